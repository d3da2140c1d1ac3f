"""A link to a folder, which a code host shows as a list, leads to the page about what is in it."""

import re

from sphinx.application import Sphinx

_FOLDER = re.compile(r"(\]\((?!\w+:)[\w./-]+/)\)")


def _lead(app: Sphinx, page: str, source: list[str]) -> None:
    if app.project.doc2path(page, absolute=False).suffix == ".md":
        source[0] = _FOLDER.sub(r"\1index.md)", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _lead)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
