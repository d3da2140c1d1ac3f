"""Which stored results JupyterLab may show as they are: those of our own notebooks that can do nothing.

A notebook that is not trusted has its results cleaned before they are shown, which takes the drawings away.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from lxml import etree, html
from nbformat.sign import NotebookNotary

from analysis import paths

# what pages of ours are made of; whatever is not named here may run, load or send something
_ELEMENTS = re.compile(
    "a|abbr|b|br|caption|code|col|colgroup|dd|details|div|dl|dt|em|figcaption|figure|h2|h3|h4|hr|i|li|ol|p|pre|"
    "section|small|span|strong|style|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|ul|"
    "circle|clippath|defs|desc|g|line|lineargradient|path|pattern|rect|stop|svg|text|title|tspan"
)
_LINKS = frozenset(
    ("href", "src", "xlink:href", "action", "formaction", "poster", "data", "srcset", "background")
)
_PLAIN = frozenset(("text/plain", "text/html", "image/png"))


def sign(project: paths.Project, /) -> list[str]:
    """Have Jupyter trust the project's own notebooks, and return their names in order.

    Signed is what git has as it is here and what holds nothing in its results that could run, load or
    send anything: a notebook that was edited, came from elsewhere or lies in `notebooks/scratch/` is
    left to whoever runs it. Without git nothing is signed.
    """
    notary = NotebookNotary()
    signed = []
    try:
        for path in _committed(project):
            notebook = nbformat.read(path, as_version=4)
            if all(_is_still(output) for output in _outputs(notebook)):
                notary.sign(notebook)
                signed.append(path.name)
    finally:
        notary.store.close()
    return signed


def _committed(project: paths.Project) -> list[Path]:
    command = ("git", "-C", str(project.notebooks))
    try:
        known, changed = (
            subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout.split("\0")
            for words in (
                ("ls-files", "-z", "*.ipynb"),
                ("diff", "-z", "--name-only", "--relative", "HEAD", "--"),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    names = [name for name in known if name and "/" not in name and name not in changed]
    return [project.notebooks / name for name in sorted(names)]


def _outputs(notebook: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for cell in notebook["cells"]:
        yield from cell.get("outputs", [])


def _is_still(output: Mapping[str, Any]) -> bool:
    bundle = output.get("data", {})
    return set(bundle) <= _PLAIN and (
        "text/html" not in bundle or _has_only_marks("".join(bundle["text/html"]))
    )


def _has_only_marks(text: str) -> bool:
    try:
        found = html.fragments_fromstring(text)
    except etree.ParserError:
        return False
    nodes = [node for one in found if not isinstance(one, str) for node in one.iter()]
    return all(
        isinstance(node.tag, str) and _ELEMENTS.fullmatch(node.tag.lower()) and _is_bare(node)
        for node in nodes
    )


def _is_bare(node: html.HtmlElement) -> bool:
    for name, value in node.attrib.items():
        lowered = name.lower()
        told = "".join(value.split()).lower()
        if lowered.startswith("on"):
            return False
        if lowered in _LINKS and not (
            lowered == "href" and node.tag == "a" and told.startswith(("https:", "#"))
        ):
            return False
        if not _is_plain_style(told):
            return False
    return node.tag != "style" or _is_plain_style(node.text or "")


def _is_plain_style(text: str) -> bool:
    told = "".join(text.split()).lower().replace("url(#", "")
    return not any(word in told for word in ("url(", "image(", "image-set(", "@import", "\\"))
