"""Every sentence about figures, chosen by rule from the verdict and the table of figures.

No arithmetic: numbers come from `figures` and are only rounded, half up, once. Direction (what
the counts did) and evidence (what they can bear) are said apart. House words: an audited case
has a case grade; nothing is a sample, a score or an outcome.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from analysis import vocabulary
from analysis.compare.change import (
    FEWEST_CASES,
    Comparison,
    Direction,
    Evidence,
    NoAudit,
    SingleAudit,
)
from analysis.compare.graded import GradedAudit
from analysis.compare.shares import BASELINE, CHANGE, FOLLOW_UP, measure_of
from analysis.vocabulary import Grade, Role

Examined = Comparison | SingleAudit | NoAudit

LIMITS = (
    "Inspectors chose these cases to look at particular areas of work. They are not a random sample, so they "
    "do not tell us about all child protection cases or why grades changed."
)

NOT_KNOWN = "not known"

ROUNDING = (
    "Percentages are rounded once, half up, so that differences of rounded shares may differ by one point."
)
_LONDON = ZoneInfo("Europe/London")

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def figure(examined: Comparison | SingleAudit, measure: str, period: str, /) -> dict[str, Any]:
    """One row of `examined.figures` as a mapping.

    Args:
        examined: what the figures are of.
        measure: name of the measure, for example `share_good`.
        period: `baseline`, `follow_up` or `change`.

    Raises:
        KeyError: if there is no such figure.
    """
    rows = examined.figures.filter((pl.col("measure") == measure) & (pl.col("period") == period)).to_dicts()
    if not rows:
        raise KeyError(f"no figure {measure} for {period}")
    return rows[0]


def _has(examined: Comparison | SingleAudit, measure: str, period: str) -> bool:
    rows = examined.figures.filter((pl.col("measure") == measure) & (pl.col("period") == period))
    return rows.height == 1 and rows["value"][0] is not None


def known_changes(pair: Comparison, /) -> list[Grade]:
    """Those of the grades good and inadequate whose change of share is known."""
    return [grade for grade in (Grade.GOOD, Grade.INADEQUATE) if _has(pair, measure_of(grade), CHANGE)]


def _rounded(value: float, places: int) -> str:
    exact = Decimal(repr(value)) * 100
    return str(exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))


def percent(share: float, /, *, base: int) -> str:
    """A fraction as a percentage: whole below 100 cases, else with one decimal; half is rounded up.

    Args:
        share: a fraction 0-1.
        base: audited cases that it is of.

    Example:
        >>> percent(23 / 74, base=74), percent(96 / 374, base=374), percent(0.125, base=40)
        ('31%', '25.7%', '13%')
    """
    return f"{_rounded(share, 0 if base < 100 else 1)}%"


def level(confidence: float, /) -> str:
    """A level of confidence as a percentage with the digits it has: 95%, 97.5%."""
    return f"{(Decimal(repr(confidence)) * 100).normalize():f}%"


def points(change: float, /) -> str:
    """The size of a change of shares in whole percentage points, without its sign."""
    return _rounded(abs(change), 0)


def signed_points(change: float | None, /) -> str:
    """A change of shares in whole percentage points with its sign: "+5", "0", or "not known"."""
    if change is None:
        return NOT_KNOWN
    size = points(change)
    # a minus sign, not a hyphen, so that it is read out and never breaks from its number
    if size == "0":
        return size
    return f"+{size}" if change > 0 else f"\N{MINUS SIGN}{size}"


PERIODS = {BASELINE: "earlier", FOLLOW_UP: "later", CHANGE: "change"}


def measure_label(measure: str, /) -> str:
    """A measure in words: "Share good" for `share_good`."""
    words = measure.replace("_", " ")
    for start, label in (
        ("share ", "Share "),
        ("detectable change ", "Smallest change that shows, share "),
        ("superiority", "Later case has the better grade"),
    ):
        if words.startswith(start):
            return label + words.removeprefix(start)
    return words


def is_in_points(row: Mapping[str, Any], /) -> bool:
    """Whether a row of figures is a change of a share, which is told in percentage points."""
    return bool(row["period"] == CHANGE and row["measure"] != "superiority")


def figure_text(row: dict[str, Any], key: str, /) -> str:
    """The value, or an end of its interval, of a row of figures: "31%", "+5 points", "not known".

    Args:
        row: of the figures, as a mapping.
        key: `value`, `lower` or `upper`.
    """
    if row[key] is None:
        return "" if row["value"] is not None else NOT_KNOWN
    if is_in_points(row):
        size = signed_points(row[key])
        return f"{size} point" if size.lstrip("+\N{MINUS SIGN}") == "1" else f"{size} points"
    return percent(row[key], base=row["base"] if row["period"] != CHANGE else 1)


def figure_told(row: dict[str, Any], /, *, confidence: float | None = None) -> str:
    """A row of figures in words: value, range, cases and base; "not known" without a value.

    Args:
        row: of the figures, as a mapping.
        confidence: level of the range, where it is to be said; null where not.
    """
    if row["value"] is None:
        return NOT_KNOWN
    told = figure_text(row, "value")
    if row["lower"] is not None:
        of = "" if confidence is None else f"{level(confidence)} "
        told += f" ({of}range {figure_text(row, 'lower')} to {figure_text(row, 'upper')})"
    return told if row["n_cases"] is None else f"{told}, {of_cases(row['n_cases'], row['base'])}"


def known_of_forces(n_forces: int, /, *, n_pairs: int, n_single: int) -> str:
    """How much is known of all forces, in one sentence.

    Args:
        n_forces: all forces.
        n_pairs: those with two audits.
        n_single: those with one.
    """
    return (
        f"Of {n_forces} police forces in England and Wales, {n_pairs} have two audits to compare, {n_single} have one, "
        f"and of {n_forces - n_pairs - n_single} no case grades have been transcribed."
    )


def count(n: int | None, /) -> str:
    """A number of cases as a figure: "74", or "not known"."""
    return NOT_KNOWN if n is None else str(n)


def cases(n: int | None, /) -> str:
    """A number of cases in words: "1 case", "74 cases", "a number of cases that is not known"."""
    if n is None:
        return "a number of cases that is not known"
    return "1 case" if n == 1 else f"{n} cases"


def count_and_share(row: dict[str, Any], /) -> str:
    """A figure of one audit as "23 of 74 (31%)"."""
    return f"{row['n_cases']} of {row['base']} ({percent(row['value'], base=row['base'])})"


def share_told(row: dict[str, Any], /) -> str:
    """The share of one audit with its base: "31% of 74 cases"."""
    return f"{percent(row['value'], base=row['base'])} of {cases(row['base'])}"


def of_cases(n: int, base: int, /) -> str:
    """A count of audited cases with its base: "9 of 34 cases".

    Args:
        n: cases counted.
        base: audited cases.
    """
    return f"{n} of {cases(base)}"


def month(date: str | None, /) -> str:
    """A partial date in words: "February 2022" or "2022"; a day is left out.

    Raises:
        ValueError: if there is no date.
    """
    if not date:
        raise ValueError("there is no date to put into words")
    year, *rest = date.split("-")
    return f"{_MONTHS[int(rest[0]) - 1]} {year}" if rest else year


def when(audit: GradedAudit, /) -> str:
    """When an audit took place: "February 2022", or "November 2018 (published)" if that is all that is known."""
    return month(audit.fieldwork) if audit.fieldwork else f"{month(audit.published)} (published)"


def audit_name(audit: GradedAudit, /) -> str:
    """An audit in words: "post-inspection review of February 2023"."""
    noun = vocabulary.KINDS[audit.kind].noun
    return f"{noun} of {when(audit)}"


def force_name(slug: str, /) -> str:
    """The full name of a force, for example "Warwickshire Police"."""
    return vocabulary.force(slug).full_name


def title(examined: Examined, /) -> str:
    """The heading of a force's report."""
    return f"Child protection case grades: {force_name(examined.force)}"


def day(moment: date | datetime, /) -> str:
    """A date in words: "3 May 2026". Of a moment, the day that it is in England and Wales then."""
    if isinstance(moment, datetime):
        moment = local(moment)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def local(moment: datetime, /) -> datetime:
    """A moment as clocks in England and Wales show it then."""
    return moment.astimezone(_LONDON)


def minute(moment: datetime, /) -> str:
    """A moment in words, as clocks in England and Wales show it then: "3 May 2026 at 09:05"."""
    return f"{day(moment)} at {local(moment):%H:%M}"


def version(*, signed: date | None, as_of: date, data_version: str) -> str:
    """The status of a page: draft or published, and the data behind it.

    Args:
        signed: the day on which it was let be published; null for a draft.
        as_of: the day of the data.
        data_version: of the data.
    """
    state = "Draft, not signed off" if signed is None else f"Published {day(signed)}"
    return f"{state}. Data as of {day(as_of)}, version {data_version}."


def compared(examined: Examined, /) -> str:
    """Which audits a report is about, in one sentence."""
    if isinstance(examined, Comparison):
        return f"Compared: {audit_name(examined.baseline)} and {audit_name(examined.follow_up)}."
    if isinstance(examined, SingleAudit):
        return f"One audit: {audit_name(examined.audit)}{_particular(examined.audit)}."
    return "No audit of this force has been transcribed."


def _particular(audit: GradedAudit) -> str:
    """What sets the cases or the grades of an audit apart from most others."""
    about = "" if audit.area == vocabulary.OVERALL else f", {audit.area}"
    usual = vocabulary.THREE_GRADES.grades
    grades = tuple(audit.counts)
    return about if grades == usual or not grades else f"{about}, graded {_listed(grades)}"


def _listed(grades: Sequence[Grade]) -> str:
    *first, last = (grade.value for grade in reversed(grades))
    return f"{', '.join(first)} or {last}"


def headline(examined: Examined, /) -> str:
    """What a reader should take away, in one or two sentences, by the rule in docs/method.md."""
    if isinstance(examined, Comparison):
        return _comparison_headline(examined)
    if isinstance(examined, SingleAudit):
        return f"One audit only: {_lower_first(audit_sentence(examined, *periods(examined)))}"
    return f"No audits yet: no case grades of {force_name(examined.force)} have been transcribed."


def periods(examined: Comparison | SingleAudit, /) -> tuple[str, ...]:
    """The periods of the audits a report is about: two for a comparison, else one."""
    if isinstance(examined, Comparison):
        return (BASELINE, FOLLOW_UP)
    return (FOLLOW_UP,) if examined.audit.role is Role.FOLLOW_UP else (BASELINE,)


def audit_of(examined: Comparison | SingleAudit, period: str, /) -> GradedAudit:
    """The audit of a period.

    Args:
        examined: a comparison, or the one audit, which is of any period.
        period: `baseline` or `follow_up`.
    """
    if isinstance(examined, SingleAudit):
        return examined.audit
    return examined.baseline if period == BASELINE else examined.follow_up


def _comparison_headline(pair: Comparison) -> str:
    force, verdict = force_name(pair.force), pair.verdict
    before, after = when(pair.baseline), when(pair.follow_up)
    if verdict.evidence is Evidence.NOT_COMPARABLE:
        partial = _partial_headline(pair)
        if partial:
            return partial
        reason = verdict.reason or "the audits differ"
        return f"The two audits of {force} cannot be compared: {reason}."
    if verdict.evidence is Evidence.TOO_FEW:
        fewest = min((pair.baseline, pair.follow_up), key=lambda audit: audit.n_cases or 0)
        return f"Inspectors graded only {cases(fewest.n_cases)} at {force} in {when(fewest)}, too few to compare."
    if verdict.direction is Direction.MIXED:
        return (
            f"Mixed picture at {force}: the share graded good {_moved(pair, Grade.GOOD)} and the share graded "
            f"inadequate {_moved(pair, Grade.INADEQUATE)}, {_mixed_evidence(pair)}."
        )
    if verdict.evidence is Evidence.CLEAR:
        higher = "higher" if verdict.direction is Direction.BETTER else "lower"
        return (
            f"Case grades at {force} were {higher} in {after} than in {before}. "
            "A difference this large would be unusual if nothing had changed."
        )
    return f"We cannot tell whether case grades at {force} changed between {before} and {after}."


def _mixed_evidence(pair: Comparison) -> str:
    larger = [
        grade
        for grade in (Grade.GOOD, Grade.INADEQUATE)
        if _excludes_zero(figure(pair, measure_of(grade), CHANGE))
    ]
    if not larger:
        return "but neither change is bigger than chance could explain"
    if len(larger) == 1:
        return f"but only the change in the share graded {larger[0].value} is bigger than chance could easily explain"
    return "and both changes are bigger than chance could easily explain"


def _partial_headline(pair: Comparison) -> str | None:
    known = known_changes(pair)
    if not known:
        return None
    between = f"between {when(pair.baseline)} and {when(pair.follow_up)}"
    grades = " and ".join(grade.value for grade in known)
    only = f"Only the {'share' if len(known) == 1 else 'shares'} graded {grades} can be compared at"
    told = [
        f"{'it' if len(known) == 1 else f'the share graded {grade.value}'} {_moved(pair, grade)}"
        for grade in known
    ]
    moved = [grade for grade in known if _moved(pair, grade) != "stayed level"]
    larger = [grade for grade in moved if _excludes_zero(figure(pair, measure_of(grade), CHANGE))]
    if not moved:
        chance = ""
    elif len(larger) == len(moved):
        chance = ", by more than chance could easily explain"
    elif larger:
        chance = f", only the share graded {larger[0].value} by more than chance could easily explain"
    else:
        chance = ", but not by more than chance could explain"
    return f"{only} {force_name(pair.force)}: {' and '.join(told)} {between}{chance}."


def _excludes_zero(row: dict[str, Any]) -> bool:
    return row["lower"] is not None and (row["lower"] > 0 or row["upper"] < 0)


def _moved(pair: Comparison, grade: Grade) -> str:
    value = figure(pair, measure_of(grade), CHANGE)["value"]
    return "rose" if value > 0 else "fell" if value < 0 else "stayed level"


def audit_sentence(examined: Comparison | SingleAudit, period: str, /) -> str:
    """What was graded in one audit: "Of the 74 cases that inspectors chose ..., 23 (31%) were good ...".

    Args:
        examined: a comparison, or the one audit.
        period: `baseline` or `follow_up`.
    """
    audit = audit_of(examined, period)
    about = "" if audit.area == vocabulary.OVERALL else f" about {audit.area}"
    chose = {
        "force": f"that the force graded itself in {when(audit)}",
        "inspectors only": f"that inspectors alone chose to look at in {when(audit)}",
    }.get(audit.graded_by, f"that inspectors chose to look at in {when(audit)}")
    if audit.n_cases is None:
        return f"No source read says how many cases{about} inspectors looked at in {when(audit)}."
    told = []
    for grade in (Grade.GOOD, Grade.INADEQUATE):
        if _has(examined, measure_of(grade), period):
            row = figure(examined, measure_of(grade), period)
            told.append(f"{_share_were(row)} {grade.value}")
    if _has(examined, "share_below_good", period):
        row = figure(examined, "share_below_good", period)
        told.append(f"{_share_were(row)} below good")
    if not told:
        reason = (
            "the printed grades do not add up"
            if audit.adds_up is False
            else "no source read gives their grades"
        )
        there = "There was" if audit.n_cases == 1 else "There were"
        return f"{there} {cases(audit.n_cases)}{about} {chose}, but {reason}."
    return f"Of the {cases(audit.n_cases)}{about} {chose}, {' and '.join(told)}."


def _share_were(row: dict[str, Any]) -> str:
    verb = "was" if row["n_cases"] == 1 else "were"
    return f"{row['n_cases']} ({percent(row['value'], base=row['base'])}) {verb}"


def summary(examined: Examined, /) -> tuple[str, ...]:
    """The sentences of the headline box below the headline: the counts, why not more, and the limits."""
    if isinstance(examined, NoAudit):
        return ()
    if isinstance(examined, SingleAudit):
        return (limits(examined),)
    counts = tuple(audit_sentence(examined, period) for period in (BASELINE, FOLLOW_UP))
    reason = examined.verdict.reason
    said = reason is None or reason in headline(examined)
    more = () if said else (f"More cannot be compared: {reason}.",)
    return (*counts, *more, limits(examined))


def source(publishers: Sequence[str], /) -> str:
    """Whose pages figures are from, in one sentence; empty if nobody is known."""
    return f"Source: {'; '.join(publishers)}." if publishers else ""


def limits(examined: Comparison | SingleAudit, /) -> str:
    """What the cases are not, whoever graded the last of them."""
    audit = examined.follow_up if isinstance(examined, Comparison) else examined.audit
    if audit.graded_by == "force":
        return LIMITS.replace(
            "Inspectors chose these cases to look at particular areas of work.",
            "The force graded these cases itself.",
        )
    return LIMITS


def change_sentence(pair: Comparison, grade: Grade, /) -> str:
    """How a share changed and how sure that is: counts, points and the interval, or why it is not known.

    Args:
        pair: the comparison.
        grade: whose share is meant.
    """
    row = figure(pair, measure_of(grade), CHANGE)
    if row["value"] is None:
        return f"Share graded {grade.value}: {row['note']}."
    before = figure(pair, measure_of(grade), BASELINE)
    after = figure(pair, measure_of(grade), FOLLOW_UP)
    return (
        f"Share graded {grade.value}: {count_and_share(before)} in {when(pair.baseline)}, "
        f"{count_and_share(after)} in {when(pair.follow_up)}. That is {movement(row['value'])}. "
        f"Anything from {movement(row['lower'])} to {movement(row['upper'])} fits these counts."
    )


def movement(change: float, /) -> str:
    """A change of a share in words: "a rise of 15 percentage points", "no change"."""
    size = points(change)
    if size == "0":
        return (
            "no change"
            if change == 0
            else f"a {'rise' if change > 0 else 'fall'} of less than 1 percentage point"
        )
    unit = "percentage point" if size == "1" else "percentage points"
    return f"a {'rise' if change > 0 else 'fall'} of {size} {unit}"


def movement_range(lower: float, upper: float, /) -> str:
    """Two ends of a range of changes in words: "a fall of 18 to a rise of 13 percentage points".

    Args:
        lower: the lower end, as a fraction.
        upper: the upper end, as a fraction.
    """
    first, second = movement(lower), movement(upper)
    unit = " percentage points"
    if first.endswith(unit) and second.endswith(("percentage points", "percentage point")):
        first = first.removesuffix(unit)
    return f"{first} to {second}"


def superiority_sentence(pair: Comparison, /) -> str:
    """The chance that a follow-up case has the better grade, or why it is not known."""
    row = figure(pair, "superiority", CHANGE)
    if row["value"] is None:
        return f"All grades together: {row['note']}."
    said = (
        f"All grades together: if one case is taken from each audit, the later one has the better grade "
        f"{_rounded(row['value'], 0)}% of the time, counting ties as half."
    )
    if row["lower"] is None:
        return f"{said} These counts allow no interval."
    return (
        f"{said} Anything from {_rounded(row['lower'], 0)}% to {_rounded(row['upper'], 0)}% fits these counts; "
        "50% would mean that neither audit has the better grades."
    )


def evidence_sentence(pair: Comparison, /) -> str:
    """What the counts did and what they can bear, said apart as the two fields of the verdict."""
    direction = {
        Direction.BETTER: "point to better grades",
        Direction.WORSE: "point to worse grades",
        Direction.MIXED: "point both ways (mixed)",
        Direction.LEVEL: "are level",
        Direction.UNKNOWN: "do not show a direction, as some are not known",
    }[pair.verdict.direction]
    if pair.verdict.direction is Direction.LEVEL and pair.verdict.evidence is Evidence.CANNOT_TELL:
        return "The counts are level. We cannot tell whether anything changed: small changes do not show."
    evidence = {
        Evidence.CLEAR: "The evidence for a change is clear: a difference this large would be unusual if nothing "
        "had changed.",
        Evidence.CANNOT_TELL: "We cannot tell whether that is a change: differences this large are common even when "
        "nothing changes.",
        Evidence.TOO_FEW: f"There are too few cases to judge by: one audit has fewer than {FEWEST_CASES}.",
        Evidence.NOT_COMPARABLE: f"All grades together are not comparable: {pair.verdict.reason}.",
    }[pair.verdict.evidence]
    return f"The counts {direction}. {evidence}"


def interval_sentence(confidence: float, /) -> str:
    """What an interval is, in plain English, for its first use."""
    return (
        f"Each range is a {level(confidence)} interval: the values that fit the counts if the cases were "
        "independent draws from a steady process. As the cases were chosen, the true uncertainty is wider."
    )


def detectable_sentence(pair: Comparison, /) -> str:
    """The smallest changes that a test of one share could have shown in two audits of this size."""
    n, m = pair.baseline.n_cases, pair.follow_up.n_cases
    told = []
    for grade, verb in ((Grade.GOOD, "rise"), (Grade.INADEQUATE, "fall")):
        measure = f"detectable_change_{grade.column}"
        if _has(pair, measure, CHANGE):
            size = points(figure(pair, measure, CHANGE)["value"])
            told.append(f"a {verb} of about {size} points in the share graded {grade.value}")
    if not told and pair.verdict.reason:
        return f"The smallest change that could have shown cannot be worked out: {pair.verdict.reason}."
    if not told:
        return "No rise of the share graded good and no fall of the share graded inadequate could have shown."
    return (
        f"Only large changes are likely to show in {n} and {m} cases. A test of one share alone would find "
        f"{' or '.join(told)} 80% of the time. Smaller changes may be there and not show."
    )


def chart_title(examined: Comparison | SingleAudit, /) -> str:
    """The message of the chart of grades, in ten words or fewer."""
    if isinstance(examined, SingleAudit):
        return "Case grades in the one audit so far"
    both = [grade for grade in (Grade.INADEQUATE, Grade.GOOD) if _has(examined, measure_of(grade), CHANGE)]
    if not both:
        return "Case grades in the two audits"
    moves = [(grade, _moved(examined, grade)) for grade in both]
    if len(moves) == 2 and moves[0][1] == moves[1][1]:
        verb = moves[0][1]
        return f"Shares graded inadequate and graded good both {verb}"
    return capitalised(", ".join(f"share graded {grade.value} {verb}" for grade, verb in moves))


def chart_subtitle(examined: Comparison | SingleAudit, /) -> str:
    """Measure, place and time of the chart of grades."""
    audits = (
        (examined.audit,) if isinstance(examined, SingleAudit) else (examined.baseline, examined.follow_up)
    )
    dates = " and ".join(when(audit) for audit in audits)
    return f"Share of audited cases at each grade, {force_name(examined.force)}, {dates}"


def grades_description(examined: Comparison | SingleAudit, /) -> str:
    """The chart of grades in words, for whoever cannot see it: every count and share that it shows."""
    told = []
    for period in periods(examined):
        audit = audit_of(examined, period)
        parts = [
            f"{row['n_cases']} {grade.value} ({percent(row['value'], base=row['base'])})"
            for grade in audit.counts
            if (row := figure(examined, measure_of(grade), period))["value"] is not None
        ]
        if _has(examined, "share_below_good", period):
            row = figure(examined, "share_below_good", period)
            parts.insert(0, f"{row['n_cases']} below good ({percent(row['value'], base=row['base'])})")
        shown = ", ".join(parts) if parts else "grades not known"
        told.append(f"{capitalised(when(audit))}, {cases(audit.n_cases)}: {shown}.")
    shape = "Stacked bar" if len(told) == 1 else "Two stacked bars, the earlier audit above the later"
    return f"{shape}. {' '.join(told)}"


def change_chart_title(pair: Comparison, /) -> str:
    """The message of the chart of changes, in ten words or fewer."""
    rows = [figure(pair, measure_of(grade), CHANGE) for grade in (Grade.GOOD, Grade.INADEQUATE)]
    known = [row for row in rows if row["value"] is not None]
    if not known:
        return "The changes cannot be worked out"
    larger = [row for row in known if _excludes_zero(row)]
    if len(known) == 1:
        return "The range lies on one side of no change" if larger else "The range includes no change"
    if not larger:
        return "Both ranges include no change"
    return (
        "Both ranges lie on one side of no change"
        if len(larger) == 2
        else "One of two ranges includes no change"
    )


def change_chart_subtitle(pair: Comparison, /) -> str:
    """Measure, place and time of the chart of changes."""
    return (
        f"Change in share of audited cases, percentage points, {force_name(pair.force)}, "
        f"{when(pair.baseline)} to {when(pair.follow_up)}"
    )


def change_description(pair: Comparison, /) -> str:
    """The chart of changes in words: every change and interval that it shows."""
    told = []
    for grade in (Grade.INADEQUATE, Grade.GOOD):
        row = figure(pair, measure_of(grade), CHANGE)
        if row["value"] is None:
            told.append(f"Share {grade.value}: {row['note']}.")
        else:
            told.append(
                f"Share {grade.value}: {movement(row['value'])}, range from {movement(row['lower'])} to "
                f"{movement(row['upper'])}."
            )
    return f"A dot and range for each change, beside a line that marks no change. {' '.join(told)}"


def resolution_sentence(audit: GradedAudit, /) -> str:
    """How the counts of an audit were settled: how many sources, what they disagree on, what is derived."""
    if audit.n_sources == 1:
        backing = "One source states these counts."
    elif audit.n_sources_agreeing == audit.n_sources:
        backing = f"{audit.n_sources} independent sources agree."
    else:
        backing = f"{audit.n_sources_agreeing} of {audit.n_sources} independent sources agree."
    return f"{backing} {audit.note}" if audit.note else backing


def what_it_cannot_tell(examined: Examined, /) -> tuple[str, ...]:
    """The fixed limits of every report, one sentence each, and those that apply to this one."""
    fixed = [
        "Inspectors chose the cases, by area of work. They are not a random sample of all cases.",
        "A case grade is a judgment of how police handled one case. It does not say what became of the child.",
        "The data cannot show what was done about any single case.",
    ]
    if isinstance(examined, Comparison):
        fixed += [
            "Follow-ups happen where first grades were poor. Poor first grades tend to be followed by better "
            "ones even if nothing changes.",
            "The mix of cases differs: a follow-up looks at the areas that inspectors were worried about.",
            "Follow-ups look at fewer cases, and other inspectors may have graded them.",
            "Cases may share officers, teams or families, so the true uncertainty is wider than the ranges.",
            "Nothing here shows why grades changed, or did not.",
        ]
    return tuple(fixed)


def method(confidence: float, /) -> tuple[str, ...]:
    """How the figures were worked out, in short, one sentence or two each. `confidence` is the level of intervals."""
    at = level(confidence)
    return (
        "Counts are taken from published pages; where pages disagree, the inspectorate's own page is followed, then "
        "official bodies, then the press. Pages that share wording count as one source.",
        f"Shares have {at} Wilson intervals; changes of shares have {at} Newcombe intervals.",
        "All grades together are compared by the chance that a case of the later audit has the better grade "
        "(Brunner and Munzel), counting ties as half.",
        "Evidence is called clear only if that chance lies clearly off 50% while both shares point the same way, or "
        "if both changes lie clearly off zero, and if an exact test agrees.",
        ROUNDING,
    )


def findings_and_counts(examined: Examined, /) -> str:
    """Why findings and counts may point different ways without contradiction."""
    return (
        "Findings and counts answer different questions. Inspectors judge progress against their recommendations; "
        "the counts describe the case files they read. One does not contradict the other."
    )


def when_comparable(single: SingleAudit, known: Sequence[dict[str, Any]], /) -> str:
    """What would make a comparison possible for a force with one audit.

    Args:
        single: the force's one audit.
        known: inspections of the force known to exist (rows of `known_inspections`).
    """
    missing = [row for row in known if row["inspection_id"] != single.audit.inspection_id]
    if missing:
        named = ", ".join(known_inspection(row) for row in missing)
        return (
            f"A comparison becomes possible when the counts of another inspection are transcribed: {named}."
        )
    return "A comparison becomes possible when the counts of a follow-up are published and transcribed."


def known_inspection(row: dict[str, Any], /) -> str:
    """A row of `known_inspections` in words: "re-inspection of May 2022 (published October 2022)"."""
    noun = vocabulary.KINDS[row["kind"]].noun
    took_place = f" of {month(row['fieldwork'])}" if row["fieldwork"] else ""
    published = f" (published {month(row['published'])})" if row["published"] else ""
    return f"{noun}{took_place}{published}"


def capitalised(text: str, /) -> str:
    """Text with its first letter large and the others as they are."""
    return text[:1].upper() + text[1:]


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
