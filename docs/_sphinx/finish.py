"""The last touch to a page: tables scroll by keyboard, and look the same whoever made them."""

import re
from itertools import count
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_TABLE = re.compile(r'<table\b[^>]*>(?:\s*<caption id="(?P<name>[^"]+)")?', re.ASCII)
# stays in sight while the table scrolls under it
_CAPTION = re.compile(r"(<caption\b[^>]*>)(.*?)</caption>", re.DOTALL)
# great_tables gives each table a style sheet, made for a white page, parts of which hold for the whole of it
_STYLE = re.compile(r"<style\b[^>]*>.*?</style>", re.DOTALL)
# parameters on lines of their own: Sphinx writes a list of definitions without a term
_PARAMETERS = re.compile(r"<dl>(\s*<dd>.*?)</dl>", re.DOTALL)
_FEW_HEADINGS = 3
_STYLED = re.compile(r'(<div id="table-[^"]*") style="[^"]*"')


def finished(body: str, /) -> str:
    """The body of a page with each table in a region that takes focus and scrolls."""
    numbers = count(1)

    def wrapped(found: re.Match[str]) -> str:
        named = (
            f'aria-labelledby="{found["name"]}"' if found["name"] else f'aria-label="Table {next(numbers)}"'
        )
        return f'<div class="table" role="group" tabindex="0" {named}>{found.group()}'

    def in_lines(found: re.Match[str]) -> str:
        return found[1].replace("<dd>", '<span class="parameter">').replace("</dd>", "</span>")

    body = _PARAMETERS.sub(in_lines, body)
    body = _STYLED.sub(r"\1", _STYLE.sub("", body)).replace("gt_right", "number")
    body = _CAPTION.sub(r"\1<span>\2</span></caption>", body)
    return _TABLE.sub(wrapped, body).replace("</table>", "</table></div>")


def _finish(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    body = context.get("body")
    if not body:
        return
    if page != app.config.root_doc and context.get("toc", "").count("<li>") > _FEW_HEADINGS:
        contents = (
            f'<nav class="contents" aria-label="On this page"><p>On this page</p>{context["toc"]}</nav>'
        )
        body = body.replace("</h1>", f"</h1>{contents}", 1)
    context["body"] = finished(body)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
