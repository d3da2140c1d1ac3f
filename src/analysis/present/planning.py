"""What two audits could show, in sentences, as a table and as a chart; no arithmetic."""

from dataclasses import dataclass, fields
from typing import Any

import altair as alt
import polars as pl
from markupsafe import Markup

from analysis.compare import planning
from analysis.compare.change import FEWEST_CASES, POWER
from analysis.compare.planning import Design, Of, Others, Plan, Question
from analysis.compare.shares import CONFIDENCE
from analysis.present import charts, house, tables, wording
from analysis.present.pictures import Picture
from analysis.present.tables import Table

NAME, TABLE = "chart-power", "table-power"
# how far the chance may lie from the one with every outcome listed before readers are told
_ROUGH = 0.05


@dataclass(frozen=True)
class Power(Plan):
    """A plan that can speak: what changes show, how many cases they need, or how often they show.

    Attributes are those of `analysis.compare.planning.Plan`: `question`, `of`, `shares`, `before`,
    `after`, `chance`, `confidence`, `design_effect`, `draws`, `figures` (one row per answer).
    """

    @property
    def sentence(self) -> str:
        """The answer in plain English."""
        return " ".join(sentences(self))

    def chart(self) -> alt.LayerChart:
        """The answer as a chart: see `chart`."""
        return chart(self)

    def picture(self, *, name: str = NAME) -> Picture:
        """The chart ready to be shared, with its words and the table of its figures.

        `name` is the id of the figure, and must be unique on its page.
        """
        # the words of the same answer, elsewhere on the page, have the table too
        return charts.picture(chart(self), name=name, table=table(self).with_id(f"{name}-table"))

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return str(Markup("<p>{}</p>").format(self.sentence) + Markup(table(self).as_raw_html()))


def power(
    start: planning.Start,
    /,
    *,
    grade: str | None = None,
    before: int | None = None,
    after: int | None = None,
    change: float | None = None,
    odds_ratio: float | None = None,
    of: str = Of.SHARE,
    chance: float = POWER,
    confidence: float = CONFIDENCE,
    design_effect: float = 1.0,
    draws: int = planning.DRAWS,
) -> Power:
    """What two audits can show: whatever of change, cases and chance is left out is worked out.

        analysis.power(pair)                             # smallest changes that two audits show
        analysis.power(pair.baseline, change=0.1)        # cases that a rise of 10 points needs
        analysis.power(0.31, before=74, after=34, change=0.2)   # how often such a rise shows
        analysis.power(pair, change=0.28, of="verdict")  # how often it makes the evidence clear

    Args:
        start: a comparison, an audit, counts by grade (worst to best; a sequence, array or series), or one
            share as a fraction 0-1.
        grade: whose share is to change; by default good, and for the smallest change also inadequate.
        before: cases of the earlier audit, if not those of `start`.
        after: cases of the later audit, if not those of `start`.
        change: of the share, as a signed fraction: 0.1 is a rise of 10 percentage points.
        odds_ratio: in place of `change`, a shift of all grades: 2 doubles the odds of a better grade.
        of: `share` for a test of one share, `grades` for a rank test of all grades, `verdict` for the rule
            that calls the evidence clear, which is simulated from a fixed seed.
        chance: how often the change is to show, at least 0.5 and below 1.
        confidence: level of the test, at least 0.5 and below 1.
        design_effect: at least 1; 1.5 lets 30 cases count for 20, as cases of the same officers do.
        draws: pairs simulated for each row of the verdict.

    Returns:
        The plan, with `.sentence`, `.figures` (schema `Planned`, where shares, changes and chances are
        fractions), `.chart()` and `.picture()`. One share is tested by the two-sided test of two proportions
        (statsmodels `power_proportions_2indep`), all grades by the rank test under proportional odds
        (Whitehead 1993, Statistics in Medicine 12:2257).

    Raises:
        VocabularyError: if `grade` is no grade; the message names near matches.
        PlanningError: if too much or too little is given, a number is none, or the change is impossible.
        ValueError: if `confidence` is below 0.5 or not below 1.

    Example:
        >>> import analysis
        >>> analysis.power(0.31, before=74, after=34, change=0.2)
        With 74 and 34 cases, a rise of 20 points in a share (from 31%) would show 51% of the time.
    """
    made = planning.plan(
        start,
        grade=grade,
        before=before,
        after=after,
        change=change,
        odds_ratio=odds_ratio,
        of=of,
        chance=chance,
        confidence=confidence,
        design_effect=design_effect,
        draws=draws,
    )
    return Power(**{one.name: getattr(made, one.name) for one in fields(made)})


def sentences(plan: Plan, /) -> tuple[str, ...]:
    """The answer in plain English, one sentence each."""
    rows = plan.figures.to_dicts()
    tell = {
        Question.SMALLEST_CHANGE: _smallest,
        Question.CASES_NEEDED: _needed,
        Question.CHANCE: _chance,
    }[plan.question]
    told = tell(plan, rows)
    rough = [
        f"Listing every outcome gives {_percent(row['listed'])} in place of {_percent(row['power'])}, as few cases "
        "have the grade."
        for row in rows
        if row["listed"] is not None and abs(row["listed"] - row["power"]) > _ROUGH
    ]
    if plan.design_effect != 1:
        counts = _both(plan.effective_before, plan.effective_after)
        counted = f": they count for about {counts} independent ones" if counts else ""
        told.append(f"Cases are alike, by a design effect of {plan.design_effect:g}{counted}.")
    return (*told, *rough)


def _smallest(plan: Plan, rows: list[dict[str, Any]]) -> list[str]:
    audits, often = f"{plan.before} and {plan.after}", f"{_percent(plan.chance)} of the time"
    if plan.of is Of.GRADES:
        found = rows[0]["odds_ratio"]
        if found is None:
            return [f"With {audits} cases, {rows[0]['note']}."]
        return [
            f"With {audits} cases, only a shift of all grades by an odds ratio of about {found:.1f} would show "
            f"{often}.",
            _ODDS,
            _SMALLER,
        ]
    told: list[str] = []
    named = None
    for row in (row for row in rows if row["change"] is not None):
        of = _share(row, plan)
        size = f"{_verb(row['change'])} of about {wording.points(row['change'])} points"
        if named is None:
            told.append(f"With {audits} cases, only a {size} in {of} would show {often}.")
        else:
            told.append(f"So would a {size}{'' if of == named else f' in {of}'}.")
        named = of
    nothing = [_nothing(row, plan, often) for row in rows if row["change"] is None]
    if told:
        return [*told, *nothing, _SMALLER]
    first, *others = nothing
    return [f"With {audits} cases: {first}", *others]


_SMALLER = "Smaller changes may be there and not show."
_ODDS = "An odds ratio of 2 doubles the odds of a better grade."


def _nothing(row: dict[str, Any], plan: Plan, often: str) -> str:
    verb = "rise" if row["note"].startswith("no rise") else "fall"
    return f"No {verb} in {_share(row, plan)} would show {often}."


def _needed(plan: Plan, rows: list[dict[str, Any]]) -> list[str]:
    first = rows[0]
    what = f"To show {_asked(first, plan)} {_percent(plan.chance)} of the time"
    told = []
    for row in rows:
        n = row["n_after"]
        fewest = ", the fewest that are ever compared" if n == FEWEST_CASES else ""
        if row["design"] == Design.FOLLOW_UP:
            told.append(
                f"{what}, a follow-up beside the {plan.before} cases of the earlier audit needs {n} cases{fewest}."
                if n is not None
                else f"{what}, {row['note']}."
            )
        elif n is None:
            told.append(f"{what}, {row['note']}." if not told else f"{wording.capitalised(row['note'])}.")
        else:
            equal = f"two audits of equal size need {n} cases each{fewest}"
            told.append(f"{what}, {equal}." if not told else f"{wording.capitalised(equal)}.")
    return [*told, _ODDS] if first["odds_ratio"] is not None else told


def _chance(plan: Plan, rows: list[dict[str, Any]]) -> list[str]:
    audits = f"{plan.before} and {plan.after}"
    test, *verdicts = rows
    told = [f"With {audits} cases, {_asked(test, plan)} would show {_percent(test['power'])} of the time."]
    if test["odds_ratio"] is not None:
        told.append(_ODDS)
    for row in verdicts:
        condition = _condition(row)
        if row["power"] is None:
            told.append(f"It cannot be the case {condition}: {row['note']}.")
            continue
        told.append(
            f"The verdict would read clear in {_percent(row['power'])} of pairs "
            f"({_percent(row['lower'])} to {_percent(row['upper'])}){condition and f' {condition}'}."
        )
    if verdicts:
        told.append(
            f"These are {plan.draws:,} simulated pairs for each; the range is the error of the simulation alone."
        )
    return told


def _condition(row: dict[str, Any]) -> str:
    if row["others"] is None:
        return ""
    is_rise = row["change"] > 0
    if row["others"] == Others.ALIKE:
        return f"if all other grades {'shrink' if is_rise else 'grow'} alike"
    return f"if the cases {'come from' if is_rise else 'go to'} {Others.BETWEEN}"


def _asked(row: dict[str, Any], plan: Plan) -> str:
    if row["odds_ratio"] is not None:
        return f"a shift of all grades by an odds ratio of {row['odds_ratio']:g}"
    return f"a {_verb(row['change'])} of {_points(row['change'])} in {_share(row, plan)}"


def _points(change: float) -> str:
    size = wording.points(change)
    return f"{size} point" if size == "1" else f"{size} points"


def _share(row: dict[str, Any], plan: Plan) -> str:
    named = f"the share graded {row['grade']}" if row["grade"] else "a share"
    return f"{named} (from {wording.percent(row['start'], base=1)})"


def _verb(change: float) -> str:
    return "rise" if change > 0 else "fall"


def _percent(chance: float) -> str:
    return wording.percent(chance, base=1)


def _both(before: float | None, after: float | None) -> str:
    return " and ".join(f"{cases:.0f}" for cases in (before, after) if cases is not None)


def table(plan: Plan, /) -> Table:
    """The answers, one row each, and below them points of the chart's lines."""
    rows = [_answer(row) for row in plan.figures.iter_rows(named=True)]
    rows += [_point(plan, row) for row in _told(plan).iter_rows(named=True)]
    shown = {
        "asked": "Change",
        "start": "Share before",
        "before": "Cases before",
        "after": "Cases after",
        "value_power": "Shows",
        "lower": "Range from",
        "upper": "Range to",
        "note": "Note",
    }
    columns = {
        key: label for key, label in shown.items() if key == "asked" or any(row.get(key) for row in rows)
    }
    filled = [{key: row.get(key, "") for key in columns} for row in rows]
    return tables.from_rows(filled, name=TABLE, caption=_caption(plan), columns=columns)


def _caption(plan: Plan) -> str:
    return {
        Question.SMALLEST_CHANGE: "Smallest changes that show, by cases of the two audits",
        Question.CASES_NEEDED: "Cases that a change needs to show",
        Question.CHANCE: "How often a change shows",
    }[plan.question]


def _answer(row: dict[str, Any]) -> dict[str, str]:
    by = {Of.SHARE: "", Of.GRADES: "", Of.VERDICT: "Verdict clear"}[Of(row["of"])]
    note = "; ".join(part for part in (by, row["others"], row["note"]) if part)
    return {
        "asked": _change(row["grade"], row["change"], row["odds_ratio"]),
        "start": "" if row["start"] is None else _percent(row["start"]),
        "before": "" if row["n_before"] is None else str(row["n_before"]),
        "after": wording.NOT_KNOWN if row["n_after"] is None else str(row["n_after"]),
        "value_power": wording.NOT_KNOWN if row["power"] is None else _percent(row["power"]),
        "lower": "" if row["lower"] is None else _percent(row["lower"]),
        "upper": "" if row["upper"] is None else _percent(row["upper"]),
        "note": note,
    }


def _change(grade: str | None, change: float | None, odds_ratio: float | None) -> str:
    if odds_ratio is not None:
        return f"All grades, odds ratio {odds_ratio:.2g}"
    of = f"Share graded {grade}" if grade else "Share"
    if change is None:
        return f"{of}: none"
    size = wording.signed_points(change)
    return f"{of}: {size} {'point' if size[1:] == '1' else 'points'}"


def _point(plan: Plan, row: dict[str, Any]) -> dict[str, str]:
    is_chance = plan.question is Question.CHANCE
    size = row["x"] if is_chance else row["y"]
    signed = size if row["is_rise"] else -size
    named = _change(None, None, size) if plan.of is Of.GRADES else _change(row["grade"], signed, None)
    cases = plan.after if is_chance else int(row["x"])
    # a line starts from the share of its grade; a shift of all grades starts from no single one
    start = next((one["start"] for one in plan.figures.to_dicts() if one["grade"] == row["grade"]), None)
    return {
        "asked": named,
        "start": "" if start is None else _percent(start),
        "before": str(cases if plan.before is None else plan.before),
        "after": str(cases),
        "value_power": _percent(row["y"] if is_chance else plan.chance),
    }


def _told(plan: Plan) -> pl.DataFrame:
    """A few points of each line, evenly spread, for readers of the table and the description."""
    return planning.curve(plan).filter("is_told")


@house.unchecked
def chart(plan: Plan, /) -> alt.LayerChart:
    """The answer as a chart.

    For the smallest change and for cases needed: the smallest change that shows against the cases of
    the follow-up, one line per grade. For a chance: the chance against the size of the change. For
    the verdict: a dot for the test and for each way the change may come about, with the error of
    the simulation.
    """
    if plan.of is Of.VERDICT:
        return _verdict_chart(plan)
    return _line_chart(plan)


def _line_chart(plan: Plan) -> alt.LayerChart:
    is_chance = plan.question is Question.CHANCE
    is_odds = plan.of is Of.GRADES
    lines = [
        {"line": _line_name(row), "x": row["x"], "y": row["y"]}
        for row in planning.curve(plan).iter_rows(named=True)
    ]
    names = list(dict.fromkeys(row["line"] for row in lines))
    dots = [
        {"line": _line_name(row), "x": row["x"], "y": row["y"], "told": _dot(plan, row)}
        for row in planning.answers(plan).sort("y", descending=True).iter_rows(named=True)
    ]
    percent = "format(datum.value * 100, '.0f')"
    size_axis = (
        alt.Axis(grid=False, tickCount=5) if is_odds else alt.Axis(grid=False, tickCount=5, labelExpr=percent)
    )
    chance_axis = alt.Axis(grid=False, values=[0, 0.2, 0.4, 0.6, 0.8, 1], format="%")
    each = "Cases in each audit" if plan.before is None else "Cases in the follow-up"
    size = "Odds ratio" if is_odds else "Size of the change, percentage points"
    x = alt.X(
        "x:Q",
        title=size if is_chance else each,
        axis=size_axis if is_chance else alt.Axis(grid=False, tickCount=5),
        scale=alt.Scale(zero=not is_odds, nice=False) if is_chance else alt.Scale(zero=True, nice=False),
    )
    y = alt.Y(
        "y:Q",
        title=None,
        axis=chance_axis if is_chance else size_axis,
        scale=alt.Scale(domain=[0, 1]) if is_chance else alt.Scale(zero=not is_odds),
    )
    tip = [
        alt.Tooltip("line:N", title="Change"),
        alt.Tooltip(
            "x:Q", title=size if is_chance else each, format=".3~g" if not is_chance or is_odds else ".0%"
        ),
        alt.Tooltip(
            "y:Q", title="Shows" if is_chance else size, format=".3~g" if is_odds and not is_chance else ".0%"
        ),
    ]
    colours = alt.Scale(domain=names, range=[_colour(name) for name in names])
    dashes = alt.Scale(domain=names, range=[[1, 0], [7, 4]][: len(names)])
    legend = (
        alt.Legend(title=None, orient="top", direction="vertical", symbolType="stroke", symbolStrokeWidth=3)
        if len(names) > 1
        else None
    )
    drawn = (
        alt.Chart(alt.Data(values=lines))
        .mark_line(strokeWidth=3)
        .encode(
            x=x,
            y=y,
            color=alt.Color("line:N", scale=colours, legend=legend),
            strokeDash=alt.StrokeDash("line:N", scale=dashes, legend=legend),
            tooltip=tip,
        )
    )
    marks = (
        alt.Chart(alt.Data(values=dots))
        .mark_point(filled=True, size=150, opacity=1)
        .encode(x=x, y=y, color=alt.Color("line:N", scale=colours, legend=None), tooltip=tip)
    )
    layers = [_goal(plan), drawn, marks]
    # the higher dot has its words above, the lower one below: close dots would share a place
    for place, dot in enumerate(dots[:2]):
        up: dict[str, Any] = (
            {"baseline": "bottom", "dy": -10}
            if place == 0 and not is_chance
            else {"baseline": "top", "dy": 34 if len(dots) > 1 else 10}
        )
        data = alt.Data(values=[dot])
        for halo in (True, False):
            ground: dict[str, Any] = (
                {"stroke": house.GROUND, "strokeWidth": 6, "color": house.GROUND}
                if halo
                else {"color": house.INK}
            )
            layers.append(
                alt.Chart(data)
                .mark_text(align="left", dx=10, fontSize=15, fontWeight="bold", **up, **ground)
                .encode(x=alt.X("x:Q"), y=alt.Y("y:Q"), text=alt.Text("told:N"))
            )
    return house.styled(
        [layer for layer in layers if layer is not None],
        title=_title(plan),
        subtitle=_subtitle(plan),
        description=description(plan),
        height=260,
    )


def _goal(plan: Plan) -> alt.Chart | None:
    """The line that is to be reached: the chance aimed at, or the change that was asked for."""
    if plan.question is Question.SMALLEST_CHANGE:
        return None
    at = plan.chance if plan.question is Question.CHANCE else plan.figures["size"][0]
    goal: alt.Chart = (
        alt.Chart(alt.Data(values=[{"goal": at}]))
        .mark_rule(strokeDash=[5, 4], strokeWidth=2, color=house.INK)
        .encode(y=alt.Y("goal:Q"))
    )
    return goal


def _dot(plan: Plan, row: dict[str, Any]) -> str:
    if plan.question is Question.CHANCE:
        return _percent(row["y"])
    if plan.question is Question.CASES_NEEDED:
        return wording.cases(int(row["x"]))
    return f"{row['y']:.1f}" if plan.of is Of.GRADES else _points(row["y"])


def _line_name(row: dict[str, Any]) -> str:
    if row["grade"] is None:
        return "rise" if row["is_rise"] else "fall"
    return f"{'rise' if row['is_rise'] else 'fall'} in share {row['grade']}"


def _colour(name: str) -> str:
    known = [colour for grade, colour in house.COLOURS.items() if name == f"rise in share {grade}"]
    known += [colour for grade, colour in house.COLOURS.items() if name == f"fall in share {grade}"]
    return known[0] if known else house.NAVY


def _verdict_chart(plan: Plan) -> alt.LayerChart:
    rows = [
        {
            "row": _verdict_row(row),
            "value": row["power"],
            "lower": row["lower"] if row["lower"] is not None else row["power"],
            "upper": row["upper"] if row["upper"] is not None else row["power"],
            "told": _percent(row["power"]),
        }
        for row in plan.figures.iter_rows(named=True)
        if row["power"] is not None
    ]
    names = [row["row"] for row in rows]
    data = alt.Data(values=rows)
    y = alt.Y("row:N", sort=names, title=None, axis=None)
    x = alt.X(
        "lower:Q",
        title="How often it shows",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", values=[0, 0.5, 1], grid=False),
    )
    ranges = alt.Chart(data).mark_rule(strokeWidth=4, color=house.NAVY).encode(x=x, x2=alt.X2("upper:Q"), y=y)
    dots = (
        alt.Chart(data)
        .mark_point(filled=True, size=190, color=house.NAVY, opacity=1)
        .encode(
            x=alt.X("value:Q"),
            y=y,
            tooltip=[alt.Tooltip("row:N", title="By"), alt.Tooltip("told:N", title="Shows")],
        )
    )
    numbers = (
        alt.Chart(data)
        .mark_text(align="left", dx=14, fontSize=15, fontWeight="bold", color=house.INK)
        .encode(x=alt.X("upper:Q"), y=y, text=alt.Text("told:N"))
    )
    return house.styled(
        [ranges, dots, numbers, house.row_labels(names, "row", above=14)],
        title=_title(plan),
        subtitle=_subtitle(plan),
        description=description(plan),
        height=66 * len(rows),
    )


def _verdict_row(row: dict[str, Any]) -> str:
    if row["of"] != Of.VERDICT:
        return "Test of all grades" if row["odds_ratio"] is not None else "Test of this share alone"
    return f"Verdict clear, {row['others']}" if row["others"] else "Verdict clear"


def _title(plan: Plan) -> str:
    """The message, in ten words or fewer."""
    if plan.of is Of.VERDICT:
        return (
            "The verdict shows a change less often than a test"
            if _is_less(plan)
            else "How often a change shows"
        )
    if plan.question is Question.CHANCE:
        return f"Such a change shows {_percent(plan.figures['power'][0])} of the time"
    if plan.question is Question.SMALLEST_CHANGE:
        return (
            "Smallest changes that show"
            if plan.figures["power"].is_not_null().any()
            else "No change would show"
        )
    if plan.figures["n_after"].is_null().any():
        return "No follow-up of any size is enough" if plan.before else "No audits of any size are enough"
    return f"Such a change needs {wording.cases(plan.figures['n_after'][0])}"


def _is_less(plan: Plan) -> bool:
    test, *verdicts = plan.figures["power"].to_list()
    return all(one is None or one < test for one in verdicts)


def _subtitle(plan: Plan) -> str:
    often = f"{_percent(plan.chance)} of the time"
    if plan.question is Question.CHANCE:
        asked = _asked(plan.figures.row(0, named=True), plan)
        return f"Chance that {asked} shows, {plan.before} and {plan.after} cases"
    what = "Odds ratio" if plan.of is Of.GRADES else "Change in percentage points"
    audits = (
        "two audits of equal size" if plan.before is None else f"{plan.before} cases in the earlier audit"
    )
    return f"{what} that shows {often}, {audits}"


def description(plan: Plan, /) -> str:
    """The chart in words: its answers, and points of its lines."""
    told = " ".join(sentences(plan))
    lines = _told(plan)
    if lines.is_empty():
        return f"A dot for each answer. {told}"
    parts = []
    for part in lines.partition_by("grade", "is_rise", maintain_order=True):
        name = wording.capitalised(_line_name(part.row(0, named=True)))
        parts.append(f"{name}: {', '.join(_point_told(plan, row) for row in part.iter_rows(named=True))}.")
    shape = "A line" if len(parts) == 1 else f"{len(parts)} lines"
    return f"{shape}, with a dot at the answer. {told} {' '.join(parts)}"


def _point_told(plan: Plan, row: dict[str, Any]) -> str:
    if plan.question is Question.CHANCE:
        size = f"odds ratio {row['x']:.1f}" if plan.of is Of.GRADES else _points(row["x"])
        return f"{size} shows {_percent(row['y'])} of the time"
    size = f"odds ratio {row['y']:.1f}" if plan.of is Of.GRADES else _points(row["y"])
    return f"{size} with {wording.cases(int(row['x']))}"
