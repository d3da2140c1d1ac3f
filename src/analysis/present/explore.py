"""What the steps of the guided tour show: audits over time and audits of areas; no arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal

import altair as alt
import polars as pl

from analysis import vocabulary
from analysis.compare import trend as compared
from analysis.compare.change import FEWEST_CASES
from analysis.compare.graded import GradedAudit
from analysis.compare.shares import CONFIDENCE, measure_of
from analysis.compare.trend import FEWEST_AUDITS, ByArea, Steady, Trend
from analysis.present import charts, house, sections, tables, wording
from analysis.present.pictures import Picture
from analysis.present.sections import Section
from analysis.present.tables import Table
from analysis.vocabulary import Force, Grade, Role

TREND, AREAS = "chart-trend", "chart-areas"
_SHADES = {
    Grade.GOOD: house.COLOURS[Grade.GOOD.value],
    Grade.INADEQUATE: house.COLOURS[Grade.INADEQUATE.value],
}


@dataclass(frozen=True)
class ForceTrend(Trend):
    """A trend that can speak. Attributes are those of `analysis.compare.trend.Trend`."""

    @property
    def sentence(self) -> str:
        """Which audits there are, and what they can bear."""
        return " ".join(trend_sentences(self))

    @property
    def words(self) -> Section:
        """The same as paragraphs, for a notebook to show."""
        return sections.paragraphs(trend_sentences(self))

    def chart(self, grade: str | Grade = "good") -> alt.LayerChart:
        """The share at a grade over time: see `trend_chart`."""
        return trend_chart(self, grade)

    def picture(self, grade: str | Grade = "good", *, name: str = TREND) -> Picture | Section:
        """The chart ready to be shared, with its table; a sentence where no share is known.

        `grade` is "good" or "inadequate". `name` is the id of the figure, and must be unique on its page.

        Raises:
            VocabularyError: if the grade is neither; the message names near matches.
        """
        return _picture(self, grade, name=name)

    def __repr__(self) -> str:
        return f"{self.sentence}\n{trend_table(self)!r}"

    def _repr_html_(self) -> str:
        return str(self.words.html) + trend_table(self).as_raw_html()


@dataclass(frozen=True)
class AreaBreakdown(ByArea):
    """Audits by area that can speak. Attributes are those of `analysis.compare.trend.ByArea`."""

    @property
    def sentence(self) -> str:
        """Which areas were audited, and which with too few cases."""
        return " ".join(area_sentences(self))

    @property
    def words(self) -> Section:
        """The same as paragraphs, for a notebook to show."""
        return sections.paragraphs(area_sentences(self))

    def chart(self, grade: str | Grade = "good") -> alt.LayerChart:
        """The share at a grade by area: see `area_chart`."""
        return area_chart(self, grade)

    def picture(self, grade: str | Grade = "good", *, name: str = AREAS) -> Picture | Section:
        """The chart ready to be shared, with its table; a sentence where no share is known.

        `grade` is "good" or "inadequate". `name` is the id of the figure, and must be unique on its page.

        Raises:
            VocabularyError: if the grade is neither; the message names near matches.
        """
        return _picture(self, grade, name=name)

    def __repr__(self) -> str:
        return f"{self.sentence}\n{area_table(self)!r}" if self.audits else self.sentence

    def _repr_html_(self) -> str:
        told = str(self.words.html)
        return told + area_table(self).as_raw_html() if self.audits else told


def trend(
    audits: pl.DataFrame,
    /,
    *,
    force: str | Force,
    area: str = vocabulary.OVERALL,
    confidence: float = CONFIDENCE,
) -> ForceTrend:
    """The audits of a force in order of time, and which of them are of one series.

    Args:
        audits: one row per audit (schema `Audit`), as from `load_audits`.
        force: slug, name or alias of a force, or one of `analysis.forces`.
        area: area of child protection, or `overall`.
        confidence: level of all intervals, at least 0.5 and below 1.

    Returns:
        The trend: `.figures` (one row per audit and measure, schema `AuditFigure`; shares are fractions),
        `.sentence`, `.words`, `.chart(grade="good")`, `.picture(grade="inadequate")`. A steady rise or
        fall is tested from 3 audits of one series on, of at least 20 cases each: exact test for a linear
        trend (Graubard & Korn 1987, Biometrics 43:471).

    Raises:
        GivenError: if `audits` is no table of audits.
        VocabularyError: if no force is called that; the message names near matches.
        SelectionError: if the force has no audit of this area.
        ValueError: if `confidence` is below 0.5 or not below 1.

    Example:
        >>> import analysis
        >>> seen = analysis.trend(analysis.load_audits(), force="metropolitan")
        >>> seen.figures.filter(measure="share_good").select("dated", pl.col("value").round(3), "base").row(0)
        ('2016-02', 0.257, 374)
        >>> [audit.inspection_id for audit, number in zip(seen.audits, seen.series) if number == 1]
        ['metropolitan-2016-02-initial', 'metropolitan-2018-10-re-inspection']
    """
    found = compared.trend(audits, force=vocabulary.force(force).slug, area=area, confidence=confidence)
    return ForceTrend(**{one.name: getattr(found, one.name) for one in fields(found)})


def by_area(audits: pl.DataFrame, /, *, force: str | Force, confidence: float = CONFIDENCE) -> AreaBreakdown:
    """The audits of single areas of child protection beside the overall audit of the same inspection.

    Args:
        audits: one row per audit (schema `Audit`), as from `load_audits`.
        force: slug, name or alias of a force, or one of `analysis.forces`.
        confidence: level of all intervals, at least 0.5 and below 1.

    Returns:
        The breakdown: `.figures` (schema `AuditFigure`; shares are fractions), `.sentence`, `.words`,
        `.chart(grade="good")`, `.picture(grade="inadequate")`.

    Raises:
        GivenError: if `audits` is no table of audits.
        VocabularyError: if no force is called that; the message names near matches.
        ValueError: if `confidence` is below 0.5 or not below 1.

    Example:
        >>> import analysis
        >>> seen = analysis.by_area(analysis.load_audits(), force="north-yorkshire")
        >>> seen.figures.filter(measure="share_good").select("area", "n_cases", "base").rows()
        [('overall', 11, 33), ('child protection investigations', 3, 11)]
    """
    found = compared.by_area(audits, force=vocabulary.force(force).slug, confidence=confidence)
    return AreaBreakdown(**{one.name: getattr(found, one.name) for one in fields(found)})


def _picture(seen: Trend | ByArea, named: str | Grade, *, name: str) -> Picture | Section:
    grade = vocabulary.grade(named)
    told = trend_sentences(seen) if isinstance(seen, Trend) else area_sentences(seen)
    if not _rows(seen, grade):
        return sections.paragraphs([*told, f"No share graded {grade} is known, so there is no chart."])
    chart = trend_chart(seen, grade) if isinstance(seen, Trend) else area_chart(seen, grade)
    table = trend_table(seen) if isinstance(seen, Trend) else area_table(seen)
    # the words of the same result, elsewhere on the page, have the table too
    return charts.picture(chart, name=name, table=table.with_id(f"{name}-table"))


def _rows(seen: Trend | ByArea, grade: Grade) -> list[dict[str, Any]]:
    known = seen.figures.filter((pl.col("measure") == measure_of(grade)) & pl.col("value").is_not_null())
    return known.to_dicts()


def trend_sentences(seen: Trend, /) -> tuple[str, ...]:
    """Which audits there are, which may be compared, and whether a share rose or fell steadily."""
    name = wording.force_name(seen.force)
    about = "all areas" if seen.area == vocabulary.OVERALL else seen.area
    n = len(seen.audits)
    told = [f"{name}, {about}: inspectors' case grades are known of {_counted(n, 'audit', 'audits')}."]
    numbers = [number for number in dict.fromkeys(seen.series) if number is not None]
    n_joined = 0
    for number in numbers:
        joined = [audit for audit, one in zip(seen.audits, seen.series, strict=True) if one == number]
        n_joined = max(n_joined, len(joined))
        if len(joined) > 1:
            told.append(f"These are one series: {_named(joined)}.")
    if n > 1 and n_joined < 2:
        told.append("No two of them are of one series.")
    told += [f"Shown apart ({reason}): {_named(audits)}." for reason, audits in _by_reason(seen.apart)]
    told += [f"Left out ({reason}): {_named(audits)}." for reason, audits in _by_reason(seen.left_out)]
    told += [_steadily(one) for one in seen.steady]
    if n_joined == 2:
        told.append(
            f"A steady rise or fall is looked for from {FEWEST_AUDITS} audits of one series on; here there are 2."
        )
    return tuple(told)


def _counted(n: int, one: str, several: str) -> str:
    return f"{n or 'no'} {one if n in (0, 1) else several}"


def _by_reason(pairs: Sequence[tuple[GradedAudit, str]]) -> list[tuple[str, list[GradedAudit]]]:
    reasons = dict.fromkeys(reason for _, reason in pairs)
    return [(reason, [audit for audit, why in pairs if why == reason]) for reason in reasons]


def _named(audits: Sequence[GradedAudit]) -> str:
    *first, last = [wording.audit_name(audit) for audit in audits]
    return f"{', '.join(first)} and {last}" if first else last


def _steadily(one: Steady) -> str:
    verb = "rise" if one.is_rise else "fall"
    opening = (
        f"Over {one.n_audits} audits the counts point to a steady {verb} in the share graded {one.grade}."
    )
    if one.is_clear:
        return f"{opening} A {verb} this steady would be unusual if nothing had changed."
    return f"{opening} We cannot tell whether that is a change: it is common even when nothing changes."


def area_sentences(seen: ByArea, /) -> tuple[str, ...]:
    """Which areas were audited, which have too few cases, and which are left out."""
    name = wording.force_name(seen.force)
    areas = [audit for audit in seen.audits if audit.area != vocabulary.OVERALL]
    if not areas and not seen.left_out:
        return (f"{name}: no source read gives the case grades of a single area.",)
    n = len(areas)
    counted = _counted(n, "audit of a single area", "audits of single areas")
    told = [f"{name}: inspectors' case grades are known of {counted}."]
    few = [audit for audit in seen.too_few if audit.area != vocabulary.OVERALL]
    if few:
        named = ", ".join(f"{audit.area} ({wording.cases(audit.n_cases)})" for audit in few)
        told.append(f"Too few to compare, under {FEWEST_CASES} cases: {named}.")
    told += [
        f"Left out ({reason}): {'; '.join(f'{audit.area}, {wording.audit_name(audit)}' for audit in audits)}."
        for reason, audits in _by_reason(seen.left_out)
    ]
    if areas:
        told.append("Areas differ in the cases that they hold, so differences between them are no finding.")
    return tuple(told)


def trend_table(seen: Trend, /) -> Table:
    """Every share that is followed, one row per audit and grade, in date order."""
    return _table(
        seen, name="table-trend", caption=f"Case grades over time, {wording.force_name(seen.force)}"
    )


def area_table(seen: ByArea, /) -> Table:
    """Every share that is followed, one row per audit and grade, the overall audit first."""
    return _table(
        seen, name="table-by-area", caption=f"Case grades by area, {wording.force_name(seen.force)}"
    )


def _table(seen: Trend | ByArea, *, name: str, caption: str) -> Table:
    by_id = {(audit.inspection_id, audit.area): audit for audit in seen.audits}
    apart = {audit.inspection_id for audit, _ in seen.apart} if isinstance(seen, Trend) else set()
    few = {id(audit) for audit in seen.too_few}
    rows = []
    measures = {measure_of(grade) for grade in vocabulary.COMPARED} | {"share_below_good"}
    for row in seen.figures.filter(pl.col("measure").is_in(list(measures))).iter_rows(named=True):
        audit = by_id[row["inspection_id"], row["area"]]
        remark = (
            "too few to compare"
            if id(audit) in few
            else "shown apart"
            if audit.inspection_id in apart
            else ""
        )
        rows.append(
            {
                "audit": wording.capitalised(wording.audit_name(audit)),
                "area": wording.capitalised(row["area"]),
                "grade": wording.measure_label(row["measure"]),
                "n_cases": wording.NOT_KNOWN if row["n_cases"] is None else str(row["n_cases"]),
                "base": str(row["base"]),
                "share": _shown(row, "value"),
                "lower": _shown(row, "lower"),
                "upper": _shown(row, "upper"),
                "note": remark,
            }
        )
    columns = {
        "audit": "Audit",
        "area": "Area",
        "grade": "Measure",
        "n_cases": "Cases",
        "base": "Of",
        "share": "Share",
        "lower": "Range from",
        "upper": "Range to",
        "note": "Note",
    }
    if isinstance(seen, Trend):
        columns.pop("area")
    if not any(row["note"] for row in rows):
        columns.pop("note")
    return tables.from_rows(
        [{key: row[key] for key in columns} for row in rows], name=name, caption=caption, columns=columns
    )


def _shown(row: dict[str, Any], key: str) -> str:
    return wording.NOT_KNOWN if row[key] is None else wording.percent(row[key], base=row["base"])


@house.unchecked
def trend_chart(seen: Trend, grade: str | Grade = "good", /) -> alt.LayerChart:
    """The share at a grade over time: a dot and its range for each audit, to scale.

    Audits of one series are filled and joined; what is joined to no other is hollow and stands alone.
    Nothing is joined across a break.

    Raises:
        VocabularyError: if the grade is neither good nor inadequate; the message names near matches.
    """
    grade = vocabulary.grade(grade)
    colour = _SHADES[grade]
    by_id = {audit.inspection_id: audit for audit in seen.audits}
    apart = {audit.inspection_id for audit, _ in seen.apart}
    found = _rows(seen, grade)
    years = [row["drawn_at"].year for row in found]
    rows = [
        {
            "at": row["drawn_at"].isoformat(),
            "value": row["value"],
            "lower": row["lower"],
            "upper": row["upper"],
            "series": str(row["series"]),
            "told": wording.percent(row["value"], base=row["base"]),
            "audit": wording.audit_name(by_id[row["inspection_id"]]),
            "cases": wording.of_cases(row["n_cases"], row["base"]),
            "is_apart": row["inspection_id"] in apart,
            "side": side,
        }
        for row, side in zip(found, _sides(found), strict=True)
    ]
    joined, alone = ([row for row in rows if row["is_apart"] is is_apart] for is_apart in (False, True))
    x = alt.X(
        "at:T",
        title=None,
        axis=alt.Axis(format="%Y", tickCount={"interval": "year", "step": 1}, grid=False, labelOverlap=True),
        # whole years, so that at least two are named
        scale=alt.Scale(domain=[f"{min(years)}-01-01", f"{max(years) + 1}-01-01"]),
    )
    share = alt.Scale(domain=[0, 1])
    y = alt.Y(
        "lower:Q",
        title=None,
        scale=share,
        axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1], gridColor="#D9D9D9", domain=False),
    )
    tip = [
        alt.Tooltip("audit:N", title="Audit"),
        alt.Tooltip("told:N", title="Share"),
        alt.Tooltip("cases:N", title="Cases"),
    ]
    everything = alt.Data(values=rows)
    value = alt.Y("value:Q", scale=share)
    layers = [
        alt.Chart(everything).mark_rule(strokeWidth=3, color=colour).encode(x=x, y=y, y2=alt.Y2("upper:Q")),
        alt.Chart(alt.Data(values=joined))
        .mark_line(strokeWidth=2, color=colour)
        .encode(x=x, y=value, detail="series:N"),
        alt.Chart(alt.Data(values=joined))
        .mark_point(filled=True, size=150, color=colour, opacity=1)
        .encode(x=x, y=value, tooltip=tip),
        alt.Chart(alt.Data(values=alone))
        .mark_point(filled=True, size=150, fill=house.GROUND, stroke=colour, strokeWidth=3, opacity=1)
        .encode(x=x, y=value, tooltip=tip),
    ]
    layers += [
        alt.Chart(alt.Data(values=[row for row in rows if row["side"] == side]))
        .mark_text(
            baseline="bottom", align=side, dx=dx, dy=-6, fontSize=15, fontWeight="bold", color=house.INK
        )
        .encode(x=x, y=alt.Y("upper:Q", scale=share), text=alt.Text("told:N"))
        for side, dx in _BESIDE.items()
    ]
    return house.styled(
        layers,
        title=_trend_title(seen, grade),
        subtitle=_trend_subtitle(seen, grade),
        description=trend_description(seen, grade),
        height=240,
    )


_BESIDE: dict[Literal["center", "right", "left"], int] = {"center": 0, "right": 8, "left": -8}
# closer than this, two numbers would run into each other
_CLOSE = timedelta(days=150)


def _sides(rows: Sequence[dict[str, Any]]) -> list[Literal["center", "right", "left"]]:
    """How the number of each audit is aligned: close ones lean away from each other."""
    dates = [row["drawn_at"] for row in rows]
    sides: list[Literal["center", "right", "left"]] = []
    for place, date in enumerate(dates):
        if place and date - dates[place - 1] < _CLOSE and sides[-1] != "left":
            sides[-1] = "right"
            sides.append("left")
        else:
            sides.append("center")
    return sides


def _trend_title(seen: Trend, grade: Grade) -> str:
    n = len(_rows(seen, grade))
    known = {one.grade: one for one in seen.steady}
    if grade in known and known[grade].is_clear:
        return f"Share graded {grade} {'rose' if known[grade].is_rise else 'fell'} steadily"
    return f"Share graded {grade} in {n} audits" if n > 1 else f"Share graded {grade} in the one audit"


def _trend_subtitle(seen: Trend, grade: Grade) -> str:
    drawn = {row["inspection_id"] for row in _rows(seen, grade)}
    alone = [audit for audit, _ in seen.apart if audit.inspection_id in drawn]
    enough = [audit for audit in alone if audit not in seen.too_few]
    about = "" if seen.area == vocabulary.OVERALL else f", {seen.area}"
    name = wording.force_name(seen.force)
    why = {
        f"it has fewer than {FEWEST_CASES} cases": len(enough) < len(alone),
        "it is not an inspection or its follow-up": any(audit.role is Role.NEITHER for audit in enough),
        "no other has the same grades": any(audit.role is not Role.NEITHER for audit in enough),
    }
    reasons = " or ".join(reason for reason, is_so in why.items() if is_so)
    key = f". Hollow: not joined, as {reasons}" if reasons else ""
    return f"Share of audited cases{about}, {name}. Bars are {wording.level(seen.confidence)} ranges{key}"


def trend_description(seen: Trend, grade: Grade, /) -> str:
    """The chart of a trend in words: every share and range that it shows."""
    by_id = {audit.inspection_id: audit for audit in seen.audits}
    told = [
        f"{wording.capitalised(wording.audit_name(by_id[row['inspection_id']]))}: {_figure(row)}."
        for row in _rows(seen, grade)
    ]
    return f"A dot and range for each audit, by date. {' '.join(told)} {' '.join(trend_sentences(seen))}"


def _figure(row: dict[str, Any]) -> str:
    lower, upper = (wording.percent(row[key], base=row["base"]) for key in ("lower", "upper"))
    return f"{wording.count_and_share(row)}, range {lower} to {upper}"


@house.unchecked
def area_chart(seen: ByArea, grade: str | Grade = "good", /) -> alt.LayerChart:
    """The share at a grade by area: a dot and its range for each audit, hollow where cases are too few.

    Raises:
        VocabularyError: if the grade is neither good nor inadequate; the message names near matches.
    """
    grade = vocabulary.grade(grade)
    colour = _SHADES[grade]
    by_id = {(audit.inspection_id, audit.area): audit for audit in seen.audits}
    few = {(audit.inspection_id, audit.area) for audit in seen.too_few}
    rows = [
        {
            "row": _area_label(by_id[row["inspection_id"], row["area"]]),
            "value": row["value"],
            "lower": row["lower"],
            "upper": row["upper"],
            "told": wording.percent(row["value"], base=row["base"]),
            "cases": wording.of_cases(row["n_cases"], row["base"]),
            "is_few": (row["inspection_id"], row["area"]) in few,
        }
        for row in _rows(seen, grade)
    ]
    names = [str(row["row"]) for row in rows]
    y = alt.Y("row:N", sort=names, title=None, axis=None)
    share = alt.Scale(domain=[0, 1])
    x = alt.X(
        "lower:Q",
        title=f"Share graded {grade}",
        scale=share,
        axis=alt.Axis(format="%", values=[0, 0.5, 1], grid=False),
    )
    value = alt.X("value:Q", scale=share)
    tip = [
        alt.Tooltip("row:N", title="Audit"),
        alt.Tooltip("told:N", title="Share"),
        alt.Tooltip("cases:N", title="Cases"),
    ]
    many, scarce = ([row for row in rows if row["is_few"] is is_few] for is_few in (False, True))
    everything = alt.Data(values=rows)
    layers = [
        alt.Chart(everything).mark_rule(strokeWidth=4, color=colour).encode(x=x, x2=alt.X2("upper:Q"), y=y),
        alt.Chart(alt.Data(values=many))
        .mark_point(filled=True, size=190, color=colour, opacity=1)
        .encode(x=value, y=y, tooltip=tip),
        alt.Chart(alt.Data(values=scarce))
        .mark_point(filled=True, size=170, fill=house.GROUND, stroke=colour, strokeWidth=3, opacity=1)
        .encode(x=value, y=y, tooltip=tip),
        alt.Chart(everything)
        .mark_text(align="left", dx=10, fontSize=15, fontWeight="bold", color=house.INK)
        .encode(x=alt.X("upper:Q", scale=share), y=y, text=alt.Text("told:N")),
        house.row_labels(names, "row", above=14),
    ]
    return house.styled(
        layers,
        title=_area_title(seen, grade),
        subtitle=_area_subtitle(seen, grade),
        description=area_description(seen, grade),
        height=66 * len(rows),
    )


def _area_label(audit: GradedAudit) -> str:
    # beside its year and cases a long name has no room on a phone; the table has it whole
    words = audit.area.split()
    area = audit.area if len(audit.area) <= _LONGEST else f"{' '.join(words[:4])} …"
    year, _, _ = audit.dated.partition("-")
    return f"{wording.capitalised(area)}, {year}, {wording.cases(audit.n_cases)}"


_LONGEST = 32


def _area_title(seen: ByArea, grade: Grade) -> str:
    few = {(audit.inspection_id, audit.area) for audit in seen.too_few}
    shown = {(row["inspection_id"], row["area"]) for row in _rows(seen, grade)}
    if shown & few:
        return "Too few cases by area to compare"
    return f"Share graded {grade}, by area of child protection"


def _area_subtitle(seen: ByArea, grade: Grade) -> str:
    few = f". Hollow: fewer than {FEWEST_CASES} cases" if seen.too_few else ""
    name, level = wording.force_name(seen.force), wording.level(seen.confidence)
    return f"Share of audited cases graded {grade}, {name}. Bars are {level} ranges{few}"


def area_description(seen: ByArea, grade: Grade, /) -> str:
    """The chart of areas in words: every share and range that it shows."""
    by_id = {(audit.inspection_id, audit.area): audit for audit in seen.audits}
    told = []
    for row in _rows(seen, grade):
        audit = by_id[row["inspection_id"], row["area"]]
        told.append(f"{wording.capitalised(row['area'])}, {wording.audit_name(audit)}: {_figure(row)}.")
    return f"A dot and range for each audit. {' '.join(told)} {' '.join(area_sentences(seen))}"
