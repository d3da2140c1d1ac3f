"""The page of a report as a tagged PDF (PDF/UA-1), for those who print it or keep it on file."""

import logging
from typing import Any

from lxml import etree
from lxml import html as lxml_html

from analysis.publish import page as pages

_MISSING = (
    "A PDF needs WeasyPrint and the Pango libraries, which are not all there ({}): install casegrade with its extra "
    '"pdf", and Pango from the system (Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 '
    "libharfbuzz-subset0; macOS: brew install pango)."
)


class PdfError(Exception):
    """A PDF that cannot be made. The message says what to install."""


def make_ready() -> None:
    """Load what makes PDF files, which takes half a second.

    Raises:
        PdfError: if WeasyPrint or the libraries that it needs are not there.
    """
    _weasyprint()


def _weasyprint() -> Any:
    try:
        # an extra, and slow to load: for those who ask for PDF
        import weasyprint
    except (ImportError, OSError) as error:
        told = " ".join(str(error).split()).split(". ")[0].split(":")[0]
        raise PdfError(_MISSING.format(told)) from error
    for name in ("weasyprint", "weasyprint.progress", "fontTools"):
        # what they say is about styles that are for screens
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return weasyprint


def render(page: str, /, *, is_draft: bool) -> bytes:
    """The PDF of a finished page. The same page makes the same bytes.

    Nothing is loaded: what the page does not hold is not in the PDF.

    Raises:
        PdfError: if WeasyPrint or the libraries that it needs are not there.
    """
    weasyprint = _weasyprint()
    root = lxml_html.document_fromstring(page)
    for drawing in root.xpath("//svg[@role='img']"):
        # of an image, a PDF has one description: the chart's title and its words
        title, words = drawing.find("title"), drawing.find("desc")
        if title is not None and words is not None:
            title.text = f"{title.text}. {words.text}"
    body = root.find("body")
    body.set("class", "draft" if is_draft else "published")
    for name in ("print.css", "draft.css") if is_draft else ("print.css",):
        style = etree.SubElement(root.find("head"), "style")
        style.text = pages.template(name)
    document = weasyprint.HTML(
        string=str(lxml_html.tostring(root, encoding="unicode", doctype="<!doctype html>")),
        url_fetcher=weasyprint.urls.URLFetcher(allowed_protocols=("data",)),
    )
    made: bytes = document.write_pdf(pdf_variant="pdf/ua-1", pdf_tags=True, finisher=_with_scopes)
    return made


def _with_scopes(document: Any, pdf: Any) -> None:
    """Say of every header cell what it heads: WeasyPrint links cells to their headers, but gives those no scope."""
    by_reference = {_reference(one): one for one in pdf.objects if isinstance(one, dict)}
    for one in by_reference.values():
        if one.get("S") != "/TH":
            continue
        row = by_reference.get(_text(one["P"]))
        group = by_reference.get(_text(row["P"])) if row is not None else None
        is_column = group is not None and group.get("S") == "/THead"
        one["A"]["Scope"] = "/Column" if is_column else "/Row"


def _reference(one: Any) -> str:
    return _text(one.reference)


def _text(reference: Any) -> str:
    return reference.decode() if isinstance(reference, bytes) else str(reference)
