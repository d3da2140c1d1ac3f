"""Charts as they are shared: drawings without scripts, with their words. Drawn here or by whoever publishes.

The program that draws needs half a second to start and does not survive a fork. A notebook that is
run for a report therefore hands its charts over as specifications, and the process that makes the
page, which lives for many reports, draws them. In anybody's own notebook they are drawn at once.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

HANDED_OVER = "application/vnd.casegrade.picture+json"
VARIABLE = "CASEGRADE_PICTURES"
LATER = "later"

_SAME_AS_TABLE = "The same figures as a table"
# rows of a table that stands open beside its chart
_LONGEST_OPEN = 20


@dataclass(frozen=True)
class Picture:
    """A chart as it is shared: a drawing without scripts, its title as text, its words and its table.

    Shows itself in a notebook and a page as a figure; as plain text it is the description and the table.

    Attributes:
        specification: of the chart, in Vega-Lite.
        name: id of the figure.
        table: the same figures as HTML; empty if there is no table of them.
        table_text: the same as text.
    """

    specification: Mapping[str, Any]
    name: str
    table: str = ""
    table_text: str = ""

    @property
    def title(self) -> str:
        """The chart's message."""
        return str(self.specification["title"]["text"])

    @property
    def subtitle(self) -> str:
        """Measure, place and time."""
        return " ".join(self.specification["title"]["subtitle"])

    @property
    def description(self) -> str:
        """The chart in words."""
        return str(self.specification["description"])

    @cached_property
    def svg(self) -> str:
        """The drawing as inline SVG, named and described for screen readers; its title stands outside."""
        # loaded when something is drawn: a kernel that hands its charts over never does
        import vl_convert

        bare = {key: value for key, value in self.specification.items() if key != "title"}
        release = re.search(r"v(\d+)\.(\d+)", str(self.specification["$schema"]))
        drawing = vl_convert.vegalite_to_svg(bare, vl_version="_".join(release.groups()) if release else None)
        return _accessible(drawing, name=self.name, title=self.title, description=self.description)

    def __repr__(self) -> str:
        chart = f"Chart: {self.title}. {self.subtitle}. {self.description}"
        return f"{chart}\n{self.table_text}" if self.table_text else chart

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        if os.environ.get(VARIABLE) == LATER:
            return {"text/plain": repr(self), HANDED_OVER: asdict(self)}
        return {"text/plain": repr(self), "text/html": self.html}

    # no _repr_html_: IPython would call it, and draw, whatever the bundle holds
    @property
    def html(self) -> str:
        """The figure: caption, drawing and table."""
        noted = _noted.get()
        if noted is not None:
            noted.append(self)
        caption = Markup(
            '<figcaption><strong class="chart-title">{}</strong> <span>{}</span></figcaption>'
        ).format(self.title, self.subtitle)
        # open, so that it is there on paper and for whoever searches the page; a long one would bury what follows
        is_open = " open" if self.table_text.count("\n") <= _LONGEST_OPEN else ""
        table = (
            f"<details{is_open}><summary>{_SAME_AS_TABLE}</summary>{self.table}</details>"
            if self.table
            else ""
        )
        return f'<figure class="chart" id="{escape(self.name)}">{caption}{self.svg}{table}</figure>'


_noted: ContextVar[list[Picture] | None] = ContextVar("pictures noted", default=None)


@contextmanager
def noting() -> Iterator[list[Picture]]:
    """Within this, in this thread, every picture that is shown as HTML is put into the list, in that order.

    What something shows may hold pictures that only it knows; whoever shows it can so do more with them.
    """
    pictures: list[Picture] = []
    token = _noted.set(pictures)
    try:
        yield pictures
    finally:
        _noted.reset(token)


def drawn(bundle: Mapping[str, Any], /) -> dict[str, Any]:
    """What a cell shows, with a chart that was handed over drawn; anything else as it is.

    Args:
        bundle: an output's data by media type.
    """
    given = dict(bundle)
    handed = given.pop(HANDED_OVER, None)
    # in the order in which Jupyter stores them
    return given if handed is None else {"text/html": Picture(**handed).html, **given}


def found(notebook: Mapping[str, Any], name: str, /) -> str | None:
    """The drawing of a chart in a notebook that was run, as SVG; null if no cell shows one of that name."""
    figure = re.compile(rf'<figure class="chart" id="{re.escape(name)}">.*?(<svg.*?</svg>)', re.DOTALL)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            shown = figure.search("".join(output.get("data", {}).get("text/html", "")))
            if shown is not None:
                return shown.group(1)
    return None


@cache
def script(snippet: str, /) -> str:
    """A script with Vega in it, with `alive` of `live.js`, which brings a chart to life, and with a snippet after that.

    It fetches nothing and makes no code from text. Of the release that draws the pictures.
    """
    # takes a second to load, and only who asks for it needs it
    import altair
    import vl_convert

    release = re.search(r"v(\d+\.\d+)", altair.SCHEMA_VERSION)
    alive = Path(__file__).with_name("live.js").read_text(encoding="utf-8")
    bundle = vl_convert.javascript_bundle(
        f"{alive}\n{snippet}", vl_version=release.group(1) if release else None
    )
    return str(bundle)


def make_ready() -> None:
    """Start the program that draws, which takes half a second, before there is something to draw."""
    import vl_convert

    vl_convert.vega_to_svg({"$schema": "https://vega.github.io/schema/vega/v6.json", "width": 1, "height": 1})


def _accessible(svg: str, *, name: str, title: str, description: str) -> str:
    # The drawing is one image to a screen reader: Vega's names for its parts would be read in
    # place of the description, and they carry every value a second time.
    bare = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", svg)
    # ids of gradients and clips are numbered from 1 in every drawing; a page has several
    bare = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', bare)
    bare = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", bare)
    # a hundredth of a pixel is finer than any screen; Vega writes seventeen digits
    bare = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}".rstrip("0").rstrip("."), bare)
    head = Markup('<title id="{0}-title">{1}</title><desc id="{0}-desc">{2}</desc>').format(
        name, title, description
    )
    opening = re.match(r"<svg[^>]*>", bare)
    if opening is None:
        raise ValueError("the drawing is not SVG")
    size = re.search(r'viewBox="[^"]*"', opening.group())
    width = re.search(r' width="(\d+)', opening.group())
    box = size.group() if size else ""
    # drawn narrow, so that its words stay readable on a phone, and let grow by a fifth elsewhere
    widest = f' style="max-width:{int(width.group(1)) * 6 // 5}px"' if width else ""
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="marks" {box}{widest} width="100%" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">'
    )
    return root + str(head) + bare[opening.end() :]
