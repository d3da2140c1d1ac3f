"""Before and after: what the counts did, and what they can bear.

Follows docs/method.md section 1. Two contrasts (share good, share inadequate) with Newcombe
intervals, one ordinal summary (probability of superiority, Brunner-Munzel), and a verdict in two
fields that are never merged: the direction of the counts, and the evidence for a change.

The libraries that work the intervals out take two seconds to import. They are imported where
they are called, as most that is asked of this module needs its types only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from numbers import Real

import dataframely as dy
import numpy as np
import polars as pl

from analysis.compare import alternatives, detect, shares
from analysis.compare.graded import GradedAudit, select
from analysis.compare.shares import BASELINE, CHANGE, CONFIDENCE, FOLLOW_UP, Estimate, Figure
from analysis.vocabulary import Grade, Role

FEWEST_CASES = 20
POWER = 0.8
# what the probability of superiority is if neither audit has the better grades
NEUTRAL = 0.5
# of a count: whole, save where a case is taken to stand for more than one
Cases = int | Fraction
EARLIER, LATER = "the earlier audit", "the later audit"


class Direction(StrEnum):
    """What the counts did. A description, not evidence."""

    BETTER = "better"
    WORSE = "worse"
    MIXED = "mixed"
    LEVEL = "level"
    UNKNOWN = "not known"


class Evidence(StrEnum):
    """What the counts can bear."""

    CLEAR = "clear"
    CANNOT_TELL = "cannot tell"
    TOO_FEW = "too few"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Verdict:
    """Direction and evidence, apart. `reason` says why audits are not comparable; null otherwise."""

    direction: Direction
    evidence: Evidence
    reason: str | None = None

    def __str__(self) -> str:
        return f"direction {self.direction}, evidence {self.evidence}"


@dataclass(frozen=True)
class Comparison:
    """Two audits of one force, every figure of both and of the change, and one verdict.

    Attributes:
        force: slug of the force.
        baseline: the earlier audit.
        follow_up: the later audit.
        confidence: level of all intervals.
        verdict: direction and evidence.
        figures: one row per measure and period (schema `Figure`).
        others: further audits of the force, in date order.
    """

    force: str
    baseline: GradedAudit
    follow_up: GradedAudit
    confidence: float
    verdict: Verdict
    figures: dy.DataFrame[Figure] = field(repr=False, compare=False)
    others: tuple[GradedAudit, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class SingleAudit:
    """The one audit of a force that has no pair to compare, with its figures.

    `figures` has no row of period `change`; its period is `follow_up` for a review or
    re-inspection and `baseline` for anything else.
    """

    force: str
    audit: GradedAudit
    confidence: float
    figures: dy.DataFrame[Figure] = field(repr=False, compare=False)
    others: tuple[GradedAudit, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class NoAudit:
    """A force of which no audit has been transcribed."""

    force: str
    confidence: float = CONFIDENCE


def examine(
    audits: pl.DataFrame,
    /,
    *,
    force: str,
    baseline: str | None = None,
    follow_up: str | None = None,
    confidence: float = CONFIDENCE,
) -> Comparison | SingleAudit | NoAudit:
    """What can be said of a force: a comparison, one audit, or nothing.

    Args:
        audits: one row per audit (schema `Audit`).
        force: slug of the force.
        baseline: inspection id of the earlier audit; null for the last full inspection that was
            followed up.
        follow_up: inspection id of the later audit; null for the next review or re-inspection.
        confidence: level of all intervals, between 0 and 1.

    Raises:
        SelectionError: if an audit asked for does not exist or is not in date order.
        ValueError: if `confidence` is not a level of at least 0.5 and below 1.
    """
    check_confidence(confidence)
    chosen = select(audits, force=force, baseline=baseline, follow_up=follow_up)
    if chosen.baseline and chosen.follow_up:
        return between(chosen.baseline, chosen.follow_up, confidence=confidence, others=chosen.others)
    if chosen.only:
        period = FOLLOW_UP if chosen.only.role is Role.FOLLOW_UP else BASELINE
        rows = shares.share_rows(chosen.only, period=period, confidence=confidence)
        return SingleAudit(force, chosen.only, confidence, shares.as_figures(rows), chosen.others)
    return NoAudit(force, confidence)


def check_confidence(confidence: float, /) -> None:
    """Refuse what is no level of confidence.

    Raises:
        ValueError: if `confidence` is below 0.5 or not below 1.
    """
    if not isinstance(confidence, Real) or not 0.5 <= float(confidence) < 1:
        raise ValueError(
            f"confidence is {confidence!r}, but must be at least 0.5 and below 1, for example {CONFIDENCE} for 95%"
        )


def between(
    baseline: GradedAudit,
    follow_up: GradedAudit,
    /,
    *,
    confidence: float = CONFIDENCE,
    others: tuple[GradedAudit, ...] = (),
) -> Comparison:
    """Compare two audits of one force, on whatever both of them tell.

    Audits that differ in scale, area or who graded are compared on nothing: every change is
    present as a null value with the reason, and the evidence is `not comparable`.
    """
    obstacle = _obstacle(baseline, follow_up)
    rows = shares.share_rows(baseline, period=BASELINE, confidence=confidence)
    rows += shares.share_rows(follow_up, period=FOLLOW_UP, confidence=confidence)
    changes: dict[Grade, Estimate] = {}
    for grade in sorted({*baseline.counts, *follow_up.counts}, key=list(Grade).index):
        change, why_not = _change(baseline, follow_up, grade, obstacle, confidence=confidence)
        if change:
            changes[grade] = change
        rows.append(
            _change_row(
                baseline,
                follow_up,
                shares.measure_of(grade),
                change,
                why_not or _counts_note(baseline, follow_up, grade),
            )
        )
    ordinal, why_not = _superiority(baseline, follow_up, obstacle, confidence=confidence)
    rows.append(
        _change_row(
            baseline,
            follow_up,
            "superiority",
            ordinal,
            why_not or "chance that a follow-up case has the better grade, ties counted as half",
        )
    )
    for grade, sign in ((Grade.INADEQUATE, -1), (Grade.GOOD, 1)):
        if grade in changes and baseline.n_cases and follow_up.n_cases:
            smallest = smallest_detectable_change(
                baseline.counts[grade] or 0,
                baseline.n_cases,
                follow_up.n_cases,
                sign=sign,
                alpha=1 - confidence,
            )
            estimate = None if smallest is None else Estimate(smallest, None, None)
            note = (
                f"smallest {'rise' if sign > 0 else 'fall'} that shows with {POWER:.0%} power"
                if estimate
                else f"no {'rise' if sign > 0 else 'fall'} would show with {POWER:.0%} power"
            )
            rows.append(_change_row(baseline, follow_up, f"detectable_change_{grade.column}", estimate, note))
    verdict = _verdict(baseline, follow_up, changes, ordinal, obstacle, confidence)
    return Comparison(
        baseline.force, baseline, follow_up, confidence, verdict, shares.as_figures(rows), others
    )


def _obstacle(baseline: GradedAudit, follow_up: GradedAudit) -> str | None:
    """Why the two audits are not comparable at all; null if they are."""
    for audit in (baseline, follow_up):
        if audit.scale == "topic judgments":
            return "grades before and after February 2024 use different methods"
    if baseline.scale != follow_up.scale:
        return "the two audits used different sets of grades"
    if baseline.area != follow_up.area:
        return "the two audits looked at different areas of child protection"
    if baseline.graded_by != follow_up.graded_by:
        return "the two audits were graded by different people"
    for audit in (baseline, follow_up):
        if audit.adds_up is False:
            return f"the printed grades of {audit.inspection_id} do not add to the number of cases"
    return None


def _change(
    baseline: GradedAudit, follow_up: GradedAudit, grade: Grade, obstacle: str | None, *, confidence: float
) -> tuple[Estimate | None, str | None]:
    if obstacle:
        return None, f"not worked out: {obstacle}"
    n, m = baseline.n_cases, follow_up.n_cases
    x, y = baseline.count(grade), follow_up.count(grade)
    if n is None or x is None:
        return None, f"not worked out: {shares.missing_count(baseline, grade)} for {EARLIER}"
    if m is None or y is None:
        return None, f"not worked out: {shares.missing_count(follow_up, grade)} for {LATER}"
    return share_change(x, n, y, m, confidence=confidence), None


def share_change(
    n_before: Cases,
    base_before: Cases,
    n_after: Cases,
    base_after: Cases,
    /,
    *,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The share after less the share before, as a fraction, with its Newcombe interval.

    Newcombe 1998, Statistics in Medicine 17:873, method 10. Cases may be fractions, for what-ifs.

    Args:
        n_before: cases at the grade in the earlier audit.
        base_before: audited cases of the earlier audit.
        n_after: cases at the grade in the later audit.
        base_after: audited cases of the later audit.
        confidence: level of the interval.

    Raises:
        ValueError: if an audit has no cases, or more counted than audited.

    Example:
        >>> one = share_change(23, 74, 9, 34)
        >>> f"{one.value:.4f} ({one.lower:.4f} to {one.upper:.4f})"
        '-0.0461 (-0.2097 to 0.1450)'
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    for n, base in ((n_before, base_before), (n_after, base_after)):
        shares.check_share(n, base)
    lower, upper = confint_proportions_2indep(
        *map(float, (n_after, base_after, n_before, base_before)),
        method="newcomb",
        compare="diff",
        alpha=1 - confidence,
    )
    # exact, so that 2.5 points are 2.5 points when they are rounded
    value = Fraction(n_after, base_after) - Fraction(n_before, base_before)
    return Estimate(float(value), float(lower), float(upper))


def superiority(
    before: Sequence[Cases], after: Sequence[Cases], /, *, confidence: float = CONFIDENCE
) -> Estimate:
    """The chance that a case of `after` has the better grade than one of `before`, ties as half.

    Brunner and Munzel 2000, Biometrical Journal 42:17, with its t interval, cut to 0 to 1. Where
    the two audits have no grade in common, or a single one, there is no spread and no interval.

    Args:
        before: cases at each grade, worst to best; they may be fractions, for what-ifs.
        after: the same for the later audit.
        confidence: level of the interval.

    Raises:
        ValueError: if the two differ in length, or an audit has fewer than 2 cases.

    Example:
        >>> one = superiority((28, 23, 23), (10, 15, 9))
        >>> f"{one.value:.4f} ({one.lower:.4f} to {one.upper:.4f})"
        '0.5147 (0.4049 to 0.6245)'
    """
    from statsmodels.stats.nonparametric import rank_compare_2ordinal

    if len(before) != len(after):
        raise ValueError("both audits need a count for the same grades")
    if sum(before) < 2 or sum(after) < 2:
        raise ValueError("an audit of fewer than 2 cases has no spread to judge by")
    # statsmodels divides by the spread, which is 0 where the audits share no grade or only one
    with np.errstate(invalid="ignore", divide="ignore"):
        ranks = rank_compare_2ordinal(*(np.asarray([float(n) for n in counts]) for counts in (after, before)))
        lower, upper = ranks.conf_int(alpha=1 - confidence)
    below = [sum(before[:i]) * 2 + n for i, n in enumerate(before)]
    value = float(
        Fraction(sum(n * m for n, m in zip(after, below, strict=True)), 2 * sum(before) * sum(after))
    )
    if math.isnan(lower) or math.isnan(upper):
        return Estimate(value, None, None)
    return Estimate(value, max(0.0, float(lower)), min(1.0, float(upper)))


def _superiority(
    baseline: GradedAudit, follow_up: GradedAudit, obstacle: str | None, *, confidence: float
) -> tuple[Estimate | None, str | None]:
    if obstacle:
        return None, f"not worked out: {obstacle}"
    before, after = baseline.ordered_counts, follow_up.ordered_counts
    if before is None or after is None:
        which = EARLIER if before is None else LATER
        return None, f"not worked out: no source read gives every grade of {which}"
    if sum(before) < 2 or sum(after) < 2:
        return None, "not worked out: an audit has fewer than 2 cases"
    return superiority(before, after, confidence=confidence), None


def smallest_detectable_change(
    n_before: int, base_before: int, base_after: int, /, *, sign: int, alpha: float = 0.05
) -> float | None:
    """The smallest rise (`sign` 1) or fall (`sign` -1) of a share that two audits show with 80% power.

    Two-sided test at `alpha` of two independent proportions, starting from the share before.

    Args:
        n_before: cases at the grade in the earlier audit.
        base_before: audited cases of the earlier audit.
        base_after: audited cases of the later audit.
        sign: 1 for a rise, -1 for a fall.
        alpha: level of the test, 1 less the confidence.

    Returns:
        The change as a signed fraction; null if even the largest possible one would not show.

    Example:
        >>> f"{smallest_detectable_change(23, 74, 34, sign=1):.3f}"
        '0.283'
    """
    return detect.smallest_change(
        n_before / base_before, base_before, base_after, sign=sign, power=POWER, alpha=alpha
    )


def _verdict(
    baseline: GradedAudit,
    follow_up: GradedAudit,
    changes: dict[Grade, Estimate],
    ordinal: Estimate | None,
    obstacle: str | None,
    confidence: float,
) -> Verdict:
    direction = Direction.UNKNOWN if obstacle else direction_of(baseline, follow_up)
    if obstacle:
        return Verdict(direction, Evidence.NOT_COMPARABLE, obstacle)
    missing = _missing_counts(baseline, follow_up)
    if missing:
        return Verdict(direction, Evidence.NOT_COMPARABLE, missing)
    if min(baseline.n_cases or 0, follow_up.n_cases or 0) < FEWEST_CASES:
        return Verdict(direction, Evidence.TOO_FEW)
    return Verdict(direction, _evidence(baseline, follow_up, direction, changes, ordinal, confidence))


def _evidence(
    baseline: GradedAudit,
    follow_up: GradedAudit,
    direction: Direction,
    changes: dict[Grade, Estimate],
    ordinal: Estimate | None,
    confidence: float,
) -> Evidence:
    contrasts = [changes[Grade.GOOD], changes[Grade.INADEQUATE]]
    before, after = baseline.ordered_counts or (), follow_up.ordered_counts or ()
    return evidence_of(direction, contrasts, ordinal, before, after, confidence=confidence)


def evidence_of(
    direction: Direction,
    contrasts: Sequence[Estimate],
    ordinal: Estimate | None,
    before: Sequence[int],
    after: Sequence[int],
    /,
    *,
    confidence: float,
) -> Evidence:
    """The rule for `clear`: fixed in advance, docs/method.md section 1, item 4.

    The intervals alone promise a little more than they hold: under no change they call up to 10%
    of pairs clear where nearly all cases share a grade. So an exact test must agree before the
    evidence is called clear: docs/decisions/0006. Where the counts point both ways, that is the
    test of any difference in grades; elsewhere the test of a shift towards better or worse ones.

    Args:
        direction: what the counts did.
        contrasts: the changes of share good and of share inadequate.
        ordinal: the probability of superiority; null if it could not be worked out.
        before: cases at each grade of the earlier audit, worst to best.
        after: the same for the later audit.
        confidence: level of the intervals; the exact test is held to the same.
    """
    # on the scale of four grades the middle ones may outweigh a shift of the outer ones
    agrees = ordinal is not None and (
        (direction is Direction.BETTER and ordinal.value > 0.5)
        or (direction is Direction.WORSE and ordinal.value < 0.5)
    )
    by_ordinal = ordinal is not None and ordinal.excludes(0.5) and agrees
    by_both = all(contrast.excludes(0) for contrast in contrasts)
    if not (by_ordinal or by_both):
        return Evidence.CANNOT_TELL
    is_borne_out = exact_p(direction, before, after) <= 1 - confidence
    return Evidence.CLEAR if is_borne_out else Evidence.CANNOT_TELL


def exact_p(direction: Direction, before: Sequence[int], after: Sequence[int], /) -> float:
    """The p-value, 0-1, of the exact test that a verdict has to agree with.

    Args:
        direction: what the counts did: the test of any difference if they point both ways, else of a
            shift.
        before: cases at each grade of the earlier audit, worst to best.
        after: the same for the later audit.

    Raises:
        ValueError: if an audit has no cases, or the two differ in their number of grades.
    """
    if direction is Direction.MIXED:
        return alternatives.freeman_halton_p((before, after))
    return alternatives.permutation_p(before, after)


def direction_of(baseline: GradedAudit, follow_up: GradedAudit, /) -> Direction:
    """What the counts did, compared as exact fractions; unknown if a needed count is missing."""
    gains = []
    for grade, sign in ((Grade.GOOD, 1), (Grade.INADEQUATE, -1)):
        x, n, y, m = baseline.count(grade), baseline.n_cases, follow_up.count(grade), follow_up.n_cases
        if x is None or y is None or not n or not m:
            return Direction.UNKNOWN
        gains.append(sign * (Fraction(y, m) - Fraction(x, n)))
    return _direction(gains)


def verdict_on(
    before: Sequence[int], after: Sequence[int], /, *, confidence: float = CONFIDENCE
) -> tuple[Verdict, Estimate]:
    """What complete counts would be called, however few they are, and their probability of superiority.

    For counts that no page prints: what if some cases had been graded otherwise?

    Args:
        before: cases at each grade of the earlier audit, worst to best.
        after: the same for the later audit.
        confidence: level of all intervals.

    Raises:
        ValueError: if the two differ in length, or an audit has fewer than 2 cases.
    """
    ordinal = superiority(before, after, confidence=confidence)
    bases = sum(before), sum(after)
    contrasts = [
        share_change(before[end], bases[0], after[end], bases[1], confidence=confidence) for end in (-1, 0)
    ]
    direction = _direction([contrasts[0].value, -contrasts[1].value])
    evidence = evidence_of(direction, contrasts, ordinal, before, after, confidence=confidence)
    return Verdict(direction, evidence), ordinal


def _direction(gains: Sequence[float | Fraction]) -> Direction:
    """The direction of exact changes, each above 0 where it is for the better."""
    is_better, is_worse = any(gain > 0 for gain in gains), any(gain < 0 for gain in gains)
    if is_better and is_worse:
        return Direction.MIXED
    if is_better:
        return Direction.BETTER
    return Direction.WORSE if is_worse else Direction.LEVEL


def _missing_counts(baseline: GradedAudit, follow_up: GradedAudit) -> str | None:
    told = []
    for audit, name in ((baseline, EARLIER), (follow_up, LATER)):
        unknown = [grade for grade in reversed(tuple(audit.counts)) if audit.counts[grade] is None]
        if audit.n_cases is None:
            told.append(f"the number of cases of {name} is in no source read")
        elif unknown and audit.n_below_good is not None and all(grade.is_below_good for grade in unknown):
            told.append(f"for {name}, only the sum of requires improvement and inadequate is known")
        elif unknown:
            grades = " or ".join(grade.value for grade in unknown)
            told.append(f"for {name}, the number graded {grades} is in no source read")
    return "; ".join(told) or None


def _counts_note(baseline: GradedAudit, follow_up: GradedAudit, grade: Grade) -> str:
    return (
        f"{follow_up.count(grade)} of {follow_up.n_cases} less {baseline.count(grade)} of {baseline.n_cases}"
    )


def _change_row(
    baseline: GradedAudit, follow_up: GradedAudit, measure: str, estimate: Estimate | None, note: str
) -> dict[str, object]:
    known = baseline.n_cases is not None and follow_up.n_cases is not None
    return {
        "force": baseline.force,
        "measure": measure,
        "period": CHANGE,
        "value": estimate.value if estimate else None,
        "lower": estimate.lower if estimate else None,
        "upper": estimate.upper if estimate else None,
        "n_cases": None,
        "base": (baseline.n_cases or 0) + (follow_up.n_cases or 0) if known else None,
        "note": note,
    }
