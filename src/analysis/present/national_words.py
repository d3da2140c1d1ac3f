"""Sentences about all forces together, by rule from the national picture; no arithmetic, no ranking."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from analysis import vocabulary
from analysis.compare.change import Comparison, Evidence
from analysis.compare.funnel import INNER, OUTER
from analysis.compare.national import Funnel, Known, NationalPicture, Position, Scope
from analysis.compare.sensitivity import MOST_REGRADED, Sensitivity
from analysis.compare.shares import Estimate, measure_of
from analysis.present import wording
from analysis.vocabulary import Grade

# With fewer forces than this, how much they differ is told with a warning.
FEW = 10

NO_RANKING = (
    "Forces stand in alphabetical order. Nothing here puts them in an order of merit: the counts of single "
    "forces cannot bear one."
)
KNOWN_LABELS = {
    Known.PAIR: "two audits to compare",
    Known.PART: "two audits, comparable in part",
    Known.ONE: "one audit only",
    Known.NOTHING: "no audit looked at here",
}


def in_scope(scope: Scope, /) -> str:
    """Which audits are looked at, in one sentence."""
    kinds = _listed([vocabulary.KINDS[kind].printed for kind in scope.kinds])
    period = ""
    if scope.first and scope.last:
        period = f", {wording.month(scope.first)} to {wording.month(scope.last)}"
    elif scope.first:
        period = f", from {wording.month(scope.first)}"
    elif scope.last:
        period = f", up to {wording.month(scope.last)}"
    return (
        f"Looked at: audits of all areas, graded by inspectors, on the scale of {scope.scale}; {kinds}{period}. "
        f"Ranges are at {wording.level(scope.confidence)}."
    )


def headline(picture: NationalPicture, /) -> str:
    """What follow-ups show over all forces, in one or two sentences."""
    n_forces = len(picture.full_pairs)
    if n_forces == 0:
        return "No force has two audits here that can be compared in full."
    n_clear = picture.unusual.filter("is_clear").height
    shows = (
        f"At the one force with a follow-up that can be compared in full, the change in case grades is "
        f"{'clear' if n_clear else 'not clear'}."
        if n_forces == 1
        else f"Across {n_forces} forces with a follow-up that can be compared in full, {n_clear or 'none'} "
        f"{'shows' if n_clear < 2 else 'show'} a clear change in case grades."
    )
    return f"{shows} {false_alarms(picture)}"


def false_alarms(picture: NationalPicture, /) -> str:
    """What chance alone would bring over so many forces."""
    n_forces = len(picture.full_pairs)
    if n_forces == 0:
        return "Without a comparison there is no false alarm to expect."
    forces = "1 force" if n_forces == 1 else f"{n_forces} forces"
    return (
        f"If nothing had changed anywhere, chance alone would still call at most "
        f"{picture.expected_false_alarms:.1f} of {forces} clear, and at least one with a chance of at most "
        f"{wording.percent(picture.any_false_alarm, base=1)}."
    )


def coverage(picture: NationalPicture, /) -> str:
    """Of how many forces there are two audits, one, or none, in one sentence."""
    told = [f"{KNOWN_LABELS[known]}: {n_known(picture, known)}" for known in Known if n_known(picture, known)]
    return f"Of {picture.coverage.height} police forces in England and Wales: {'; '.join(told)}."


def n_known(picture: NationalPicture, known: Known, /) -> int:
    """How many forces there is so much known of."""
    return picture.coverage.filter(pl.col("known") == known.value).height


def map_title(picture: NationalPicture, /) -> str:
    """The message of the map, in ten words or fewer."""
    return f"{n_known(picture, Known.PAIR)} of {picture.coverage.height} forces have two audits to compare"


def summary(picture: NationalPicture, grade: Grade, /) -> str:
    """The mean change of a share over all forces with its range, and what it may be elsewhere."""
    one = picture.summaries.get(grade)
    if one is None:
        return "No mean is worked out: fewer than two forces can be compared in full."
    told = (
        f"Share graded {grade.value}: over {one.k} forces, on average {wording.movement(one.cautious.value)}. "
        f"Anything from {_range(one.cautious)} fits the counts."
    )
    if not _same(one.mean, one.cautious):
        told += (
            " These forces happen to differ less than chance alone would make them. Who takes that for more than "
            f"luck comes to {_range(one.mean)}."
        )
    return told


def heterogeneity(picture: NationalPicture, grade: Grade, /) -> str:
    """How much the changes differ between forces, with how little of that is known, and what follows."""
    one = picture.summaries.get(grade)
    if one is None:
        return "How much forces differ cannot be told from fewer than two."
    differ = "more" if one.q > one.k - 1 else "no more"
    told = (
        f"Share graded {grade.value}: the changes differ {differ} than chance alone would make them "
        f"(Q {one.q:.1f} on {one.k - 1} degrees of freedom, p {one.q_p:.2f}). The true changes may differ between "
        f"forces by a standard deviation of {_points_with_range(one.tau)}, which is "
        f"{wording.percent(one.i_squared.value, base=1)} "
        f"({_percent_range(one.i_squared)}) of the spread that is seen."
    )
    if one.k < FEW:
        told += f" With {one.k} forces, that is hardly known at all."
    if one.prediction is not None:
        told += f" One more such force might show anything from {_range(one.prediction)}."
    return told


def with_partial(picture: NationalPicture, grade: Grade, /) -> str | None:
    """The mean change with forces that can be compared on this grade only; null if there is none."""
    full, wider = picture.summaries.get(grade), picture.with_partial.get(grade)
    if wider is None or (full is not None and full.k == wider.k):
        return None
    extra = [
        wording.force_name(pair.force)
        for pair in picture.pairs_with(grade)
        if pair.verdict.evidence is Evidence.NOT_COMPARABLE
    ]
    return (
        f"With {_listed(extra)}, of which only the share graded {grade.value} can be compared, the mean is "
        f"{wording.movement(wider.cautious.value)} ({_range(wider.cautious)})."
    )


def pairs_title(picture: NationalPicture, grade: Grade, /) -> str:
    """The message of the chart of shares before and after, in ten words or fewer."""
    values = [_figure(pair, grade, "change")["value"] for pair in picture.pairs_with(grade)]
    up, down = sum(value > 0 for value in values), sum(value < 0 for value in values)
    if up and down:
        return f"Share graded {grade.value} rose at {up}, fell at {down}"
    if up or down:
        return f"Share graded {grade.value} {'rose' if up else 'fell'} at {up or down}"
    return f"Share graded {grade.value} stayed level"


def pairs_subtitle(grade: Grade, /) -> str:
    """Measure and place of the chart of shares before and after."""
    return (
        f"Share of audited cases graded {grade.value}, earlier and later audit, forces in alphabetical order"
    )


def pair_label(pair: Comparison, grade: Grade, /) -> str:
    """A force with both shares: "Warwickshire: 31% of 74, then 26% of 34"."""
    before, after = (_figure(pair, grade, period) for period in ("baseline", "follow_up"))
    shares = [
        f"{wording.percent(row['value'], base=row['base'])} of {row['base']}" for row in (before, after)
    ]
    return f"{vocabulary.force(pair.force).short_name}: {', then '.join(shares)}"


def pairs_description(picture: NationalPicture, grade: Grade, /) -> str:
    """The chart of shares before and after in words."""
    told = [f"{pair_label(pair, grade)}." for pair in picture.pairs_with(grade)]
    return f"For each force a ring for the earlier share, a dot for the later, and a line between. {' '.join(told)}"


def changes_title(picture: NationalPicture, grade: Grade, /) -> str:
    """The message of the chart of changes, in ten words or fewer."""
    one = picture.summaries.get(grade)
    if one is None:
        return "Changes at single forces"
    return (
        "The mean range lies off no change"
        if one.cautious.excludes(0)
        else "The mean range includes no change"
    )


def changes_subtitle(picture: NationalPicture, grade: Grade, /) -> str:
    """Measure and place of the chart of changes."""
    return f"Change in share of audited cases graded {grade.value}, percentage points, with ranges"


def changes_description(rows: Sequence[tuple[str, Estimate]], /) -> str:
    """A chart of changes in words: each with its range."""
    told = [f"{label}: {wording.movement(one.value)}, range from {_range(one)}." for label, one in rows]
    return f"A dot and range for each change, beside a line that marks no change. {' '.join(told)}"


def funnel_title(funnel: Funnel, /) -> str:
    """The message of a funnel, in ten words or fewer."""
    n_outside = _outside(funnel)
    if n_outside == 0:
        return f"None of {funnel.points.height} audits lies outside the 95% limits"
    lie = "lies" if n_outside == 1 else "lie"
    return f"{n_outside} of {funnel.points.height} audits {lie} outside the 95% limits"


def _outside(funnel: Funnel) -> int:
    return funnel.points.filter(pl.col("position") != Position.INSIDE.value).height


def funnel_subtitle(funnel: Funnel, /) -> str:
    """Measure and base of a funnel."""
    return (
        f"Share graded {funnel.grade.value} by number of audited cases. Between inner lines: {wording.level(INNER)} "
        f"of audits, outer lines: {wording.level(OUTER)}, if chance alone made them differ; smoothed"
    )


def funnel_sentence(funnel: Funnel, /) -> str:
    """What a funnel shows: the usual share, how many lie outside, and how many would by chance."""
    target = wording.percent(funnel.target.value, base=funnel.base)
    told = (
        f"Of all cases of full inspections, {wording.of_cases(funnel.n_cases, funnel.base)} ({target}) were graded "
        f"{funnel.grade.value}. Of {funnel.points.height} audits, {_outside(funnel) or 'none'} "
        f"{'lies' if _outside(funnel) < 2 else 'lie'} outside the {wording.level(INNER)} limits; chance alone would "
        f"put about {funnel.expected_outside:.0f} there."
    )
    if funnel.overdispersion > 1:
        told += (
            f" Full inspections vary {funnel.overdispersion:.1f} times as much as chance alone makes them, so that "
            "more of them lie outside than the limits promise."
        )
    else:
        told += " Full inspections vary no more than chance alone makes them."
    return f"{told} To lie outside is a reason to look closer, at the mix of cases first; it is no judgment of a force."


def funnel_description(funnel: Funnel, /) -> str:
    """A funnel in words: the usual share, and each audit that lies outside the inner lines."""
    outside = [
        f"{audit_label(row)}: {wording.of_cases(row['n_cases'], row['base'])} "
        f"({wording.percent(row['value'], base=row['base'])}), {row['position']}"
        for row in funnel.points.iter_rows(named=True)
        if row["position"] != Position.INSIDE.value
    ]
    told = f" Outside: {'; '.join(outside)}." if outside else ""
    return (
        f"One dot for each of {funnel.points.height} audits, a ring if it is a follow-up, between curved lines that "
        f"come closer the more cases there are, around {wording.percent(funnel.target.value, base=funnel.base)}.{told}"
    )


def audit_label(row: dict[str, str], /) -> str:
    """A point of a funnel by force and year: "Suffolk 2022"."""
    name = vocabulary.force(row["force"]).short_name
    year = row["inspection_id"].removeprefix(f"{row['force']}-").removeprefix("published-").split("-")[0]
    return f"{name} {year}"


def regression(picture: NationalPicture, /) -> tuple[str, ...]:
    """What forces show that were chosen for poor grades and did not change, one sentence or two each."""
    if not picture.regressions:
        return ("No simulation is made: fewer than two full inspections have every grade.",)
    as_seen, at_most = picture.regressions
    first, second = as_seen.inadequate
    told = [
        "Suppose that no force changed at all, and that those with the poorest first grades, one in three, were "
        f"inspected again: {as_seen.base_before} cases first, {as_seen.base_after} then.",
        f"If forces differ as much as they seem to, their share graded inadequate would go from "
        f"{wording.percent(first.value, base=1)} to {wording.percent(second.value, base=1)}: "
        f"{wording.movement(as_seen.inadequate_change.value)} that nobody brought about. The counts of "
        f"{wording.percent(as_seen.better.value, base=1)} of them would be better, and of "
        f"{wording.percent(as_seen.clear_better.value, base=1)} clearly so.",
        "If forces differ as much as the counts allow, it would be "
        f"{wording.movement(at_most.inadequate_change.value)}.",
    ]
    one = picture.summaries.get(Grade.INADEQUATE)
    if one is not None:
        shown = f"{wording.movement(one.cautious.value)} ({_range(one.cautious)})"
        told.append(f"What the {one.k} real follow-ups show on average is {shown}.")
    if one is not None and one.mean.value < 0:
        told.append("A fall of that kind is what follow-ups of poor first grades bring by themselves.")
    told.append(
        "These forces are made up, with a fixed start of the random numbers; nothing here is about a real one."
    )
    return tuple(told)


def tipping(pair: Comparison, one: Sensitivity, /) -> str:
    """What few cases graded otherwise would have made of the evidence, in one sentence."""
    name = wording.force_name(pair.force)
    if one.verdict.evidence is Evidence.NOT_COMPARABLE:
        return f"{name}: not comparable in full, so that there is no call to change."
    if one.tipping is None:
        return (
            f"{name}: even {MOST_REGRADED} cases of one audit, moved from one grade to another, would not change "
            "what the evidence is called."
        )
    point, which = one.tipping, "later" if one.tipping.is_later else "earlier"
    return (
        f"{name}: had {point.n_cases} of the {point.base} cases of the {which} audit been graded "
        f"{point.instead.value} and not {point.given.value}, the evidence field would read "
        f"{point.verdict.evidence.value}."
    )


def limits() -> tuple[str, ...]:
    """What the national picture cannot show, one sentence each."""
    return (
        wording.LIMITS,
        "Forces are followed up because their first grades were poor. A mean over them says nothing of the others.",
        "Only counts that somebody printed and we have read are here. Forces without a pair are not forces without "
        "a follow-up.",
        "The summary takes the forces' changes as drawn from one population, which nobody can check with so few.",
        NO_RANKING,
    )


def _figure(pair: Comparison, grade: Grade, period: str) -> dict[str, Any]:
    return wording.figure(pair, measure_of(grade), period)


def _range(one: Estimate) -> str:
    if one.lower is None or one.upper is None:
        return wording.NOT_KNOWN
    return f"{wording.movement(one.lower)} to {wording.movement(one.upper)}"


def _points_with_range(one: Estimate) -> str:
    ends = " to ".join(wording.points(end) for end in (one.lower, one.upper) if end is not None)
    return f"{wording.points(one.value)} points (range {ends})"


def _percent_range(one: Estimate) -> str:
    return " to ".join(wording.percent(end, base=1) for end in (one.lower, one.upper) if end is not None)


def _same(one: Estimate, other: Estimate) -> bool:
    return _range(one) == _range(other)


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
