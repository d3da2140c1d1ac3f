"""From an executed notebook to a page that can be forwarded: one file, no scripts, no external request."""

import base64
import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lxml import html as lxml_html
from markupsafe import Markup

from analysis.present import plainly
from analysis.publish import finished

if TYPE_CHECKING:
    from nbformat import NotebookNode

HIDDEN_TAG = "notebook-only"
# the page of a report, in its folder
# pages about all reports
INDEX, NATIONAL, ABOUT = "index.html", "national.html", "about.html"

_TEMPLATES = files("analysis.publish") / "templates"


class PageError(Exception):
    """A notebook that must not become a page. The message says which cell and why."""


@dataclass(frozen=True)
class PageText:
    """The words around a notebook's own: title, description for search, path of the index, footer lines.

    `name` is that of the report, by which a copy that was passed on is known again. `status` says what
    kind of version it is, and a draft is marked as one all over the page. `changes` are the figures that
    moved, in words; null for a page that has none.
    """

    title: str
    description: str
    index: str
    footer: tuple[str, ...]
    name: str = ""
    status: str = ""
    is_draft: bool = False
    changes: tuple[str, ...] | None = None


def style() -> str:
    """The style sheet that every page carries inside."""
    return template("page.css")


def template(name: str, /) -> str:
    """A file of the package that pages are made from, as text."""
    return (_TEMPLATES / name).read_text(encoding="utf-8").rstrip("\n")


def hash_of(script: str, /) -> str:
    """How a page's policy names a script that it lets in."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def about_beside(index: str, /) -> str:
    """The way to the page about all reports, given that to the index."""
    return f"{index.removesuffix(INDEX)}{ABOUT}"


def render(notebook: "NotebookNode", text: PageText, /, *, without_tags: Sequence[str] = ()) -> str:
    """A complete HTML document of the notebook's text and results; code is not in the file.

    Args:
        notebook: an executed notebook.
        text: the words around it.
        without_tags: cells with one of these tags are left out, besides those tagged
            `notebook-only` and `parameters`.

    Raises:
        PageError: if a cell ended in an error or wrote to its error stream, which may name paths
            or data that are not meant to be shared.
    """
    _refuse_noise(notebook)
    hidden = {HIDDEN_TAG, *without_tags}
    shown = notebook.copy()
    shown["cells"] = [
        cell
        for cell in notebook["cells"]
        if not hidden & set(cell.metadata.get("tags", []))
        and (cell.cell_type != "code" or cell.get("outputs"))
    ]
    page = {
        "title": text.title,
        "name": text.name,
        "description": text.description,
        "index": text.index,
        "about": about_beside(text.index),
        "footer": text.footer,
        "status": text.status,
        "is_draft": text.is_draft,
        "changes": text.changes,
        "style": style(),
    }
    body, _ = _exporter().from_notebook_node(type(notebook)(shown), resources={"page": page})
    return _finished(body)


def _refuse_noise(notebook: "NotebookNode") -> None:
    for number, cell in enumerate(notebook["cells"], start=1):
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                raise PageError(f"cell {number} ended in {output['ename']}: {output['evalue']}")
            if output["output_type"] == "stream" and output["name"] == "stderr":
                raise PageError(f"cell {number} wrote to its error stream: {output['text'].strip()[:200]}")


@lru_cache(maxsize=1)
def _exporter() -> Any:
    # nbconvert takes a second to import, and reading a record or cleaning data does not need it
    from nbconvert import HTMLExporter, TemplateExporter
    from nbconvert.filters import Highlight2HTML

    class Exporter(HTMLExporter):
        # nbconvert's own reads and writes the page once more, and words images that have no description
        from_notebook_node = TemplateExporter.from_notebook_node

    made: Any = Exporter
    exporter = made(
        template_name="casegrade",
        extra_template_basedirs=[str(_TEMPLATES)],
        exclude_anchor_links=True,
        # those that would copy and check the notebook; what is shown was chosen before
        default_preprocessors=[],
    )
    # the templates below ours name it; no page shows code
    exporter.register_filter("highlight_code", Highlight2HTML(parent=exporter))
    exporter.log.setLevel(logging.ERROR)
    return exporter


def _finished(document: str) -> str:
    """Headings with ids and a contents list, tables that scroll and take focus, styles in one place only."""
    try:
        root = finished.parsed(document)
    except finished.UnreadableError as error:
        raise PageError(f"the page would not be whole: {error}") from error
    if root.xpath("//main//img[not(@alt)]"):
        raise PageError("an image has no description: give it an alt text")
    for inner in root.xpath("//body//style"):
        _remove(inner)
    for table in root.xpath("//main//table"):
        _wrap_table(table)
    _add_contents(root)
    text = lxml_html.tostring(root, encoding="unicode", doctype="<!doctype html>")
    without_blank_lines = re.sub(r"(?m)^[ \t]*\n", "", plainly.harmless(str(text)))
    return f"{without_blank_lines.strip()}\n"


def _remove(element: Any) -> None:
    parent, tail = element.getparent(), element.tail
    parent.remove(element)
    if tail and tail.strip():
        parent.text = (parent.text or "") + tail


def _wrap_table(table: Any) -> None:
    """Put a table into a region that scrolls sideways by keyboard too, in place of the library's wrapper."""
    caption = table.find("caption")
    if caption is not None:
        # stays in sight while the table scrolls under it
        shown = lxml_html.Element("span")
        shown.text, caption.text = caption.text, None
        shown.extend(list(caption))
        caption.append(shown)
    region = lxml_html.Element("div")
    region.set("class", "table")
    region.set("role", "region")
    region.set("tabindex", "0")
    if caption is not None and caption.get("id"):
        region.set("aria-labelledby", caption.get("id"))
    else:
        region.set("aria-label", "Table")
    outer = table.getparent()
    wrapper = outer if outer.tag == "div" and outer.get("id") and len(outer) == 1 else table
    if wrapper is not table:
        table.set("id", wrapper.get("id"))
    wrapper.getparent().replace(wrapper, region)
    region.append(table)
    table.tail = None
    for cell in table.xpath(".//th | .//td"):
        classes = cell.get("class", "").split()
        cell.attrib.pop("class", None)
        if "gt_right" in classes:
            cell.set("class", "number")
    for element in table.xpath(".//tr | .//tbody | ."):
        element.attrib.pop("class", None)


def _add_contents(root: Any) -> None:
    headings = root.xpath("//main//h2")
    used = set(root.xpath("//@id"))
    items = []
    for heading in headings:
        words = "".join(heading.itertext()).strip()
        name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
        while name in used:
            name += "-again"
        used.add(name)
        heading.set("id", name)
        items.append(Markup('<li><a href="#{}">{}</a></li>').format(name, words))
    if not items:
        return
    nav = lxml_html.fragment_fromstring(
        str(
            Markup('<nav class="contents" aria-label="Contents"><p>On this page</p><ul>{}</ul></nav>').format(
                Markup("").join(items)
            )
        )
    )
    headings[0].addprevious(nav)
