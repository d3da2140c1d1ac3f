"""Sentences about all forces together, by rule from the national picture; no arithmetic, no ranking."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from analysis import vocabulary
from analysis.compare.change import Comparison, Evidence
from analysis.compare.funnel import INNER, OUTER
from analysis.compare.national import GRADES, Funnel, Known, NationalPicture, Position, Scope
from analysis.compare.pooling import FEWEST_TO_PREDICT, Pooled
from analysis.compare.sensitivity import MOST_REGRADED, Sensitivity
from analysis.compare.shares import CHANGE, Estimate, measure_of
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
    Known.ONE: "counts read of one audit only",
    Known.NOTHING: "no counts read that can be used here",
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


def headline(picture: NationalPicture, /) -> tuple[str, ...]:
    """Whether grades get better at follow-ups, how many show a clear change, and how they went on average."""
    n_forces, n_all = len(picture.full_pairs), picture.coverage.height
    if n_forces == 0:
        return ("No force has two audits here that can be compared in full.",)
    n_clear = picture.unusual.filter("is_clear").height
    none = "neither" if n_forces == 2 else "none"
    shows = (
        f"Two audits can be compared in full at 1 of {n_all} forces, and its change is "
        f"{'clear' if n_clear else 'not clear'}."
        if n_forces == 1
        else f"Two audits can be compared in full at {n_forces} of {n_all} forces, and {n_clear or none} of the "
        f"{n_forces} {'shows' if n_clear < 2 else 'show'} a clear change."
    )
    means = {grade: one for grade in GRADES if (one := told_mean(picture, grade)) is not None}
    if not means:
        return (_CANNOT_TELL, shows, "That is too few for an average.")
    clear = [
        f"the share graded {grade.value} {'rose' if one.cautious.value > 0 else 'fell'}"
        for grade, one in means.items()
        if one.cautious.excludes(0)
    ]
    lead = (
        f"At follow-ups, {_listed(clear)} on average, by more than chance could easily explain."
        if clear
        else _CANNOT_TELL
    )
    average = _listed(
        [
            f"the share graded {grade.value} {_moved(one.cautious.value)} ({_range(one.cautious)} fits the counts)"
            for grade, one in means.items()
        ]
    )
    return (lead, shows, f"On average {average}.")


_CANNOT_TELL = "We cannot tell whether case grades get better at a follow-up."


def told_mean(picture: NationalPicture, grade: Grade, /) -> Pooled | None:
    """The summary of a share where there are enough forces to tell of it; two tell nothing of how forces differ."""
    one = picture.summaries.get(grade)
    return one if one is not None and one.k >= FEWEST_TO_PREDICT else None


def _moved(change: float) -> str:
    told = wording.movement(change)
    for noun, verb in (("a rise of", "rose by"), ("a fall of", "fell by"), ("no change", "stayed level")):
        told = told.replace(noun, verb)
    return told


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
    one = told_mean(picture, grade)
    if one is None:
        return _TOO_FEW_FOR_A_MEAN
    told = (
        f"Share graded {grade.value}: over {one.k} forces and {wording.cases(picture.n_cases_compared)}, on average "
        f"{wording.movement(one.cautious.value)}. Anything from {_range(one.cautious)} fits the counts."
    )
    # who relies on luck may come to a range without 0 that the other range does not bear out
    if not _same(one.mean, one.cautious) and one.mean.excludes(0) == one.cautious.excludes(0):
        told += (
            " These forces happen to differ less than chance would make them. A method that relies on that gives a "
            f"narrower range, {_range(one.mean)}; the wider one is shown."
        )
    return told


_TOO_FEW_FOR_A_MEAN = "No average is told: it takes three forces that can be compared in full."


def heterogeneity(picture: NationalPicture, grade: Grade, /) -> str:
    """How much the changes differ between forces, with how little of that is known, and what follows."""
    one = told_mean(picture, grade)
    if one is None:
        return "How much forces differ cannot be told from fewer than three."
    differ = (
        "more than chance alone would easily make them"
        if one.q_p <= 1 - picture.scope.confidence
        else "no more than chance alone could make them"
    )
    told = (
        f"Share graded {grade.value}: the changes differ {differ} (Q {one.q:.1f} on {one.k - 1} degrees of freedom, "
        f"p {one.q_p:.2f}). The true changes may differ between forces by a standard deviation of "
        f"{_points_with_range(one.tau)}, which is {wording.percent(one.i_squared.value, base=1)} "
        f"({_percent_range(one.i_squared)}) of the spread that is seen."
    )
    if one.k < FEW:
        told += f" With {one.k} forces, that is hardly known at all."
    if one.prediction is not None:
        told += f" One more such force might show anything from {_range(one.prediction)}."
    return told


def with_partial(picture: NationalPicture, grade: Grade, /) -> str | None:
    """The mean change with forces that can be compared on this grade only; null if there is none."""
    full, wider = told_mean(picture, grade), picture.with_partial.get(grade)
    if full is None or wider is None or full.k == wider.k:
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
    rows = [_figure(pair, grade, CHANGE) for pair in picture.pairs_with(grade)]
    n_off = sum(Estimate(row["value"], row["lower"], row["upper"]).excludes(0) for row in rows)
    if n_off:
        exclude = "excludes" if n_off == 1 else "exclude"
        return f"Share graded {grade.value}: {n_off} of {len(rows)} ranges {exclude} no change"
    ranges = "the one range includes" if len(rows) == 1 else f"all {len(rows)} ranges include"
    return f"Share graded {grade.value}: {ranges} no change"


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
    one = told_mean(picture, grade)
    if one is None:
        return f"Share graded {grade.value}: changes at single forces"
    if one.cautious.excludes(0):
        way = "rose" if one.cautious.value > 0 else "fell"
        return f"Share graded {grade.value} {way} on average"
    return f"Share graded {grade.value}: the average may be no change"


def changes_subtitle(picture: NationalPicture, grade: Grade, /) -> str:
    """Measure and place of the chart of changes."""
    return f"Change in share of audited cases graded {grade.value}, percentage points, with ranges"


def changes_description(rows: Sequence[tuple[str, Estimate]], /) -> str:
    """A chart of changes in words: each with its range."""
    told = [
        f"{label}: {wording.movement(one.value)}{'' if one.lower is None else f', range from {_range(one)}'}."
        for label, one in rows
    ]
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
        f"of audits, outer lines: {wording.level(OUTER)}, if chance alone made them differ"
    )


def funnel_sentence(funnel: Funnel, /) -> str:
    """What a funnel shows: the usual share, how many lie outside, and how many would by chance."""
    target, low, high = (
        wording.percent(end or 0, base=funnel.base)
        for end in (funnel.target.value, funnel.target.lower, funnel.target.upper)
    )
    n_outside = _outside(funnel)
    expected = "fewer than 1" if funnel.expected_outside < 1 else f"about {funnel.expected_outside:.0f}"
    differ = (
        "more than chance alone would easily make them, so that more of them lie outside than the limits promise"
        if funnel.overdispersion_p <= _RARE
        else "no more than chance alone could make them"
    )
    return (
        f"Of all cases of {funnel.n_full} full inspections, {wording.of_cases(funnel.n_cases, funnel.base)} ({target}; "
        f"{low} to {high} by chance alone) were graded {funnel.grade.value}. Of {funnel.points.height} audits, "
        f"{n_outside or 'none'} {'lies' if n_outside < 2 else 'lie'} outside the {wording.level(INNER)} limits; "
        f"chance alone would put {expected} there. Full inspections differ {differ}: their variance is "
        f"{funnel.overdispersion:.1f} times as large (p {funnel.overdispersion_p:.2f}). To lie outside is a reason to "
        "look closer, at the mix of cases first; it is no judgment of a force."
    )


# the usual line for calling a difference more than chance
_RARE = 0.05


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
        f"inspected again: {as_seen.base_before} cases first, {as_seen.base_after} the second time.",
        f"If forces differ as these counts suggest, their share graded inadequate would go from "
        f"{wording.percent(first.value, base=1)} to {wording.percent(second.value, base=1)}: "
        f"{wording.movement(as_seen.inadequate_change.value)} that nobody brought about. The counts of "
        f"{wording.percent(as_seen.better.value, base=1)} of them would be better, and of "
        f"{wording.percent(as_seen.clear_better.value, base=1)} clearly so.",
        "If forces differ as much as the counts allow, it would be "
        f"{wording.movement(at_most.inadequate_change.value)}.",
    ]
    told += [began(picture)] if picture.began and Grade.INADEQUATE in picture.funnels else []
    told.append(
        "The forces of the simulation are made up, with a fixed start of the random numbers; nothing in it is about "
        "a real one."
    )
    return tuple(told)


def began(picture: NationalPicture, /) -> str:
    """Whether the forces that were followed up had begun with poor grades, and what follows from that."""
    start, usual = picture.began[Grade.INADEQUATE], picture.funnels[Grade.INADEQUATE]
    shares = [
        f"{wording.of_cases(n, base)} ({wording.percent(n_share.value, base=base)})"
        for n, base, n_share in (
            (start.n_cases, start.base, start.share),
            (usual.n_cases, usual.base, usual.target),
        )
    ]
    n_forces = len(picture.full_pairs)
    who = "The 1 real force" if n_forces == 1 else f"The {n_forces} real forces"
    who_began = "It" if n_forces == 1 else "They"
    follows = (
        f"{who_began} began poorer than others, so that part of a fall may come about by itself."
        if start.share.value > usual.target.value
        else f"{who_began} did not begin poorer than others, so that poor first grades explain little of their change."
    )
    return (
        f"{who} compared here began with {shares[0]} graded inadequate; over all full inspections it was {shares[1]}. "
        f"{follows}"
    )


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
        "Forces may be followed up because their first grades were poor. A mean over them says nothing of the others.",
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
    return wording.movement_range(one.lower, one.upper)


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
