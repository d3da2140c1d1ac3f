"""Altair charts in the Analysis Function's style, drawn from the table of figures; no arithmetic.

Charts hold only the figures they show, so a shared file cannot leak more. Order is explicit:
grades worst to best, the earlier audit above the later. Meaning is never carried by colour alone.
"""

from typing import Any

import altair as alt
import polars as pl

from analysis.compare.change import Comparison, SingleAudit
from analysis.compare.graded import GradedAudit
from analysis.compare.shares import CHANGE, measure_of
from analysis.present import house, wording
from analysis.present.pictures import Picture
from analysis.present.tables import Table
from analysis.vocabulary import Grade

# ids of the figures in a report, by which whoever publishes finds them
GRADES, CHANGES = "chart-grades", "chart-changes"
_DARK = (house.NAVY, "#801650")
_BAR = 40
_NARROWEST = 0.06


@house.unchecked
def before_after(examined: Comparison | SingleAudit, /) -> alt.LayerChart:
    """Case grades before above after: 100% bars, worst grade to best, counts on the segments.

    A force with one audit gets one bar. A grade whose count is not known is left out; where only
    the sum below good is known, that is one segment.
    """
    audits = [(period, wording.audit_of(examined, period)) for period in wording.periods(examined)]
    names, rows = _segments(examined, audits)
    shown = [name for name in names if name in {row["grade"] for row in rows}] or names
    labels = [_audit_label(audit) for _, audit in audits]
    data = alt.Data(values=rows)
    order = alt.Order("order:Q")
    y = alt.Y("audit:N", sort=labels, title=None, axis=None)
    bars = (
        alt.Chart(data)
        .mark_bar(stroke="#FFFFFF", strokeWidth=2, height=_BAR)
        .encode(
            x=alt.X(
                "share:Q",
                stack="zero",
                scale=alt.Scale(domain=[0, 1], nice=False),
                title="Share of audited cases",
                axis=alt.Axis(format="%", values=[0, 0.5, 1], grid=False),
            ),
            y=y,
            order=order,
            color=alt.Color(
                "grade:N",
                scale=alt.Scale(domain=shown, range=[house.COLOURS[name] for name in shown]),
                legend=alt.Legend(
                    title=None, orient="top", columns=2 if len(shown) > 3 else 3, symbolType="square"
                ),
            ),
            tooltip=[
                alt.Tooltip("grade:N", title="Grade"),
                alt.Tooltip("n_cases:Q", title="Cases"),
                alt.Tooltip("told:N", title="Share"),
                alt.Tooltip("audit:N", title="Audit"),
            ],
        )
    )
    numbers = (
        alt.Chart(data)
        .mark_text(fontSize=16, fontWeight="bold")
        .encode(
            x=alt.X("share:Q", stack="zero", bandPosition=0.5),
            y=y,
            order=order,
            text=alt.Text("shown:N"),
            color=alt.Color("text_colour:N", scale=None),
        )
    )
    return house.styled(
        [bars, numbers, house.row_labels(labels, "audit", above=_BAR // 2 + 6)],
        title=wording.chart_title(examined),
        subtitle=wording.chart_subtitle(examined),
        description=wording.grades_description(examined),
        height=84 * len(audits),
    )


def _segments(
    examined: Comparison | SingleAudit, audits: list[tuple[str, GradedAudit]]
) -> tuple[list[str], list[dict[str, Any]]]:
    used = {grade for _, audit in audits for grade in audit.counts}
    grades = [grade for grade in Grade if grade in used]
    names: list[str] = [grade.value for grade in grades]
    rows: list[dict[str, Any]] = []
    for period, audit in audits:
        shown = [(grade.value, measure_of(grade)) for grade in grades]
        measures = set(examined.figures.filter(pl.col("period") == period)["measure"])
        if "share_below_good" in measures:
            shown.insert(0, (house.BELOW_GOOD, "share_below_good"))
            if house.BELOW_GOOD not in names:
                names.insert(0, house.BELOW_GOOD)
        for order, (name, measure) in enumerate(shown):
            row = wording.figure(examined, measure, period) if measure in measures else None
            if row is None or row["value"] is None:
                continue
            rows.append(
                {
                    "audit": _audit_label(audit),
                    "grade": name,
                    "n_cases": row["n_cases"],
                    "share": row["value"],
                    "told": wording.share_told(row),
                    "order": order,
                    # a narrow segment has no room for its number; the table has it
                    "shown": str(row["n_cases"]) if row["value"] > _NARROWEST else "",
                    "text_colour": "#FFFFFF" if house.COLOURS[name] in _DARK else "#000000",
                }
            )
    return names, rows


def _audit_label(audit: GradedAudit) -> str:
    date = wording.when(audit)
    kind = {"initial": "inspection", "topic-judgments": "inspection"}.get(audit.kind, audit.kind)
    n = "cases not known" if audit.n_cases is None else wording.cases(audit.n_cases)
    return f"{wording.capitalised(date)} {kind}, {n}"


@house.unchecked
def changes(pair: Comparison, /) -> alt.LayerChart:
    """The changes in share inadequate and share good: a dot and its interval, and a line at no change.

    A change that could not be worked out is left out; the description says why.
    """
    rows = []
    for grade in (Grade.INADEQUATE, Grade.GOOD):
        row = wording.figure(pair, measure_of(grade), CHANGE)
        if row["value"] is None:
            continue
        rows.append(
            {
                "measure": f"Share graded {grade.value}",
                "value": row["value"],
                "lower": row["lower"],
                "upper": row["upper"],
                "told": wording.figure_text(row, "value"),
                "told_range": f"{wording.figure_text(row, 'lower')} to {wording.figure_text(row, 'upper')}",
            }
        )
    return house.styled(
        house.ranges(rows, named="Measure"),
        title=wording.change_chart_title(pair),
        subtitle=wording.change_chart_subtitle(pair),
        description=wording.change_description(pair),
        height=66 * max(len(rows), 1),
    )


def picture(chart: alt.LayerChart, /, *, name: str, table: Table | None = None) -> Picture:
    """A chart ready to be shared, with the table of its figures, without which no page may show it.

    Args:
        chart: with a title, a subtitle and a description.
        name: id of the figure; must be unique on its page.
        table: the same figures; null where the chart is not put on a page.

    Raises:
        ValueError: if the chart has no title or no description, which are what a reader who
            cannot see it gets.
    """
    if chart.title is alt.Undefined or chart.description is alt.Undefined:
        raise ValueError(f'the chart "{name}" needs a title and a description before it can be shared')
    # Not checked against the schema of Vega-Lite each time, which takes as long as building the chart:
    # the tests check charts of every shape.
    html, text = ("", "") if table is None else (table.as_raw_html(), repr(table))
    return Picture(chart.to_dict(validate=False), name, html, text)
