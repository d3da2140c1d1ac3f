"""The house style of charts: palette, type and what every chart is made through.

Charts are drawn narrow, so that their words stay readable on a phone. Rows are named above their
marks and not beside them. Meaning is never carried by colour alone.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import altair as alt
from altair.utils import schemapi

from analysis.vocabulary import Grade

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Altair checks every part of a chart as it is made, which takes most of the time that a chart takes.
# What is drawn here is fixed, and the tests check charts of every shape against the whole schema.
# The switch is one for the whole process: two threads that turned it would leave it off for everybody.
_switch = threading.Lock()


def unchecked(make: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function that makes a chart do so without Altair's checks."""

    @wraps(make)
    def made(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _switch, schemapi.debug_mode(False):
            return make(*args, **kwargs)

    return made


BELOW_GOOD = "below good, not told apart"
# Of the Analysis Function's palette. A grade has the same colour on every page, on whatever scale. All
# have 3 to 1 against white, which parts them: "adequate" has too little against its neighbour without.
COLOURS = {
    Grade.INADEQUATE.value: "#12436D",
    Grade.REQUIRES_IMPROVEMENT.value: "#28A197",
    Grade.ADEQUATE.value: "#F46A25",
    Grade.GOOD.value: "#801650",
    BELOW_GOOD: "#A285D1",
}
INK, QUIET, NAVY, GROUND = "#0B0C0C", "#3D3D3D", "#12436D", "#FFFFFF"
WIDTH = 400
_FONT = "Arial"


def styled(
    layers: Sequence[alt.Chart], *, title: str, subtitle: str, description: str, height: int
) -> alt.LayerChart:
    """Layers as one chart in the house style.

    Args:
        layers: bottom first.
        title: the message, in ten words or fewer.
        subtitle: measure, place and time.
        description: the chart in words, with every figure that it shows.
        height: of the drawing, in pixels; the width is the same for every chart.
    """
    # All at once: each `.properties()` or `.configure_…()` of a layered chart copies every layer.
    return alt.LayerChart(
        layer=list(layers),
        width=WIDTH,
        height=height,
        title=alt.Title(text=title, subtitle=_broken(subtitle)),
        description=description,
        config=style(),
    )


def style() -> alt.Config:
    """Type, colours of text and what is left out."""
    text: dict[str, Any] = {"labelFont": _FONT, "titleFont": _FONT, "labelFontSize": 15, "titleFontSize": 15}
    return alt.Config(
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            **text, labelColor=INK, titleColor=INK, titleFontWeight="normal", titlePadding=10
        ),
        legend=alt.LegendConfig(labelFont=_FONT, labelFontSize=15, labelColor=INK, labelLimit=400),
        text=alt.MarkConfig(font=_FONT),
        title=alt.TitleConfig(
            font=_FONT,
            subtitleFont=_FONT,
            fontSize=18,
            subtitleFontSize=14,
            color=INK,
            subtitleColor=QUIET,
            anchor="start",
            offset=18,
        ),
    )


def _broken(text: str, width: int = 60) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def row_labels(labels: Sequence[str], field: str, *, above: int, halo: bool = False) -> alt.Chart:
    """Names of rows, above them and from the left edge: beside them they would take a phone's width.

    With `halo` it is the white ground of the names, which keeps a line behind them from crossing them.
    """
    ground = {"color": GROUND, "stroke": GROUND, "strokeWidth": 8, "strokeJoin": "round"}
    named: alt.Chart = (
        alt.Chart(alt.Data(values=[{field: label} for label in labels]))
        .mark_text(
            align="left", baseline="bottom", dy=-above, fontSize=15, **(ground if halo else {"color": INK})
        )
        .encode(x=alt.XValue(0), y=alt.Y(f"{field}:N", sort=list(labels)), text=alt.Text(f"{field}:N"))
    )
    return named


def ranges(rows: Sequence[Mapping[str, Any]], /, *, named: str) -> list[alt.Chart]:
    """The layers of a chart of changes: a dot and its range for each, and a line at no change.

    Args:
        rows: one per change, from above: `measure` (its name, once), `value`, `lower` and `upper` as
            fractions, and in words `told` and `told_range`.
        named: what `measure` is called where a reader points at it.
    """
    names = [str(row["measure"]) for row in rows]
    data = alt.Data(values=[dict(row) for row in rows])
    y = alt.Y("measure:N", sort=names, title=None, axis=None)
    points = "format(datum.value * 100, '+.0f')"
    axis = alt.Axis(
        labelExpr=f"datum.value == 0 ? '0' : {points}", tickCount=5, grid=False, labelOverlap=False
    )
    x = alt.X("lower:Q", title="Change in percentage points", axis=axis)
    whiskers = alt.Chart(data).mark_rule(strokeWidth=4, color=NAVY).encode(x=x, x2=alt.X2("upper:Q"), y=y)
    dots = (
        alt.Chart(data)
        .mark_point(filled=True, size=190, color=NAVY, opacity=1)
        .encode(
            x=alt.X("value:Q"),
            y=y,
            tooltip=[
                alt.Tooltip("measure:N", title=named),
                alt.Tooltip("told:N", title="Change"),
                alt.Tooltip("told_range:N", title="Range"),
            ],
        )
    )
    zero = alt.Data(values=[{"zero": 0, "label": "no change"}])
    line = alt.Chart(zero).mark_rule(strokeDash=[5, 4], strokeWidth=2, color=INK).encode(x=alt.X("zero:Q"))
    label = (
        alt.Chart(zero)
        .mark_text(baseline="bottom", fontSize=15, color=INK, y=-4)
        .encode(x=alt.X("zero:Q"), text=alt.Text("label:N"))
    )
    return [
        line,
        label,
        whiskers,
        dots,
        *(row_labels(names, "measure", above=14, halo=halo) for halo in (True, False)),
    ]
