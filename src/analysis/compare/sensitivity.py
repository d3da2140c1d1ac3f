"""Does the verdict on a force hold if one looks at it a little otherwise?

Five questions, fixed in advance (docs/method.md, section 5): cases that hang together, cases graded
otherwise, another prior, another mix of areas, one area left out. Each says what the verdict would be
and whether that is another one.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

import dataframely as dy
import polars as pl

from analysis import vocabulary
from analysis.compare import alternatives, shares
from analysis.compare.change import (
    FEWEST_CASES,
    Comparison,
    Evidence,
    Verdict,
    evidence_of,
    share_change,
    superiority,
    verdict_on,
)
from analysis.compare.graded import GradedAudit
from analysis.compare.shares import Estimate
from analysis.vocabulary import Grade

DESIGN_EFFECTS = (1.5, 2.0)
PRIORS = (1 / 3, 1.0)
# Further away than this, the verdict does not hang on single cases.
MOST_REGRADED = 12
DESIGN_EFFECT, TIPPING_POINT, PRIOR, CASE_MIX, WITHOUT_AREA = (
    "design effect",
    "tipping point",
    "prior",
    "case mix",
    "without an area",
)


class Check(dy.Schema):
    """Grain: one row per question asked of a comparison, in the order of docs/method.md, section 5.

    A question that could not be asked is present: `evidence` is null and `note` says why.
    """

    force = dy.String(nullable=False, metadata={"description": "Slug of the force"})
    check = dy.String(
        nullable=False,
        metadata={"description": "`design effect`, `tipping point`, `prior`, `case mix`, `without an area`"},
    )
    setting = dy.String(
        nullable=True, metadata={"description": "What was set: the design effect, the prior, the area"}
    )
    measure = dy.String(nullable=True, metadata={"description": "What `value` is"})
    value = dy.Float64(nullable=True, metadata={"description": "The estimate, as a fraction"})
    lower = dy.Float64(nullable=True, metadata={"description": "Lower end of its interval"})
    upper = dy.Float64(nullable=True, metadata={"description": "Upper end of its interval"})
    direction = dy.String(nullable=True, metadata={"description": "What the counts would have done"})
    evidence = dy.String(nullable=True, metadata={"description": "What they would bear"})
    is_changed = dy.Bool(
        nullable=True,
        metadata={"description": "Whether the evidence would be called otherwise; null if there is no call"},
    )
    note = dy.String(nullable=False, metadata={"description": "How to read it, or why it is missing"})


@dataclass(frozen=True)
class TippingPoint:
    """The fewest cases of one audit that, graded otherwise, would change what the evidence is called.

    Attributes:
        n_cases: how many.
        base: of how many audited cases.
        is_later: whether they are of the later audit.
        given: the grade that they were given.
        instead: the grade that they would have to have been given.
        verdict: what would be said then.
    """

    n_cases: int
    base: int
    is_later: bool
    given: Grade
    instead: Grade
    verdict: Verdict


@dataclass(frozen=True)
class Sensitivity:
    """The answers for one force.

    Attributes:
        force: slug of the force.
        verdict: of the comparison as it is.
        tipping: see `TippingPoint`; null if more than 12 cases would be needed or the evidence is
            neither `clear` nor `cannot tell`.
        checks: one row per question (schema `Check`).
    """

    force: str
    verdict: Verdict
    tipping: TippingPoint | None
    checks: dy.DataFrame[Check]

    @property
    def changes(self) -> dy.DataFrame[Check]:
        """Those questions whose answer is another verdict; a tipping point is none, as it is sought."""
        found = self.checks.filter(pl.col("is_changed") & (pl.col("check") != TIPPING_POINT))
        return Check.validate(found)


def sensitivity(pair: Comparison, /) -> Sensitivity:
    """Ask the five questions of a comparison.

    Args:
        pair: two audits of a force; the audits of single areas are among its `others`.

    Returns:
        The answers. Where the evidence is neither `clear` nor `cannot tell`, none can be given: the
        rows are there with the reason.
    """
    before, after = pair.baseline.ordered_counts, pair.follow_up.ordered_counts
    if pair.verdict.evidence not in (Evidence.CLEAR, Evidence.CANNOT_TELL) or before is None or after is None:
        reason = pair.verdict.reason or f"the evidence is {pair.verdict.evidence}"
        rows = [
            _row(pair, check, note=f"not asked: {reason}")
            for check in (DESIGN_EFFECT, TIPPING_POINT, PRIOR, CASE_MIX, WITHOUT_AREA)
        ]
        return Sensitivity(pair.force, pair.verdict, None, _checks(rows))
    tipping = tipping_point(pair)
    rows = [
        *(_design_effect_row(pair, before, after, factor) for factor in DESIGN_EFFECTS),
        _tipping_row(pair, tipping),
        *(_prior_row(pair, before, after, prior) for prior in PRIORS),
        *_area_rows(pair),
    ]
    return Sensitivity(pair.force, pair.verdict, tipping, _checks(rows))


def tipping_point(pair: Comparison, /, *, most: int = MOST_REGRADED) -> TippingPoint | None:
    """The fewest cases of one audit, all moved from one grade to one other, that would make another call.

    Every pair of grades and both audits are tried, the fewest cases first. Of several ways with as few
    cases, one of the later audit is given before one of the earlier, then one from the worse grade.
    To spread the cases over several grades, or over both audits, is not tried.

    Args:
        pair: two audits whose counts are known and whose evidence is `clear` or `cannot tell`.
        most: how many cases to try at most.

    Returns:
        The tipping point; null if it lies beyond `most` cases, or the evidence is neither.
    """
    before, after = pair.baseline.ordered_counts, pair.follow_up.ordered_counts
    if pair.verdict.evidence not in (Evidence.CLEAR, Evidence.CANNOT_TELL) or before is None or after is None:
        return None
    grades = tuple(pair.follow_up.counts)
    for n_cases in range(1, most + 1):
        for is_later, counted in ((True, after), (False, before)):
            for move, regraded in _regraded(counted, n_cases):
                told = (before, regraded) if is_later else (regraded, after)
                verdict, _ = verdict_on(*told, confidence=pair.confidence)
                if verdict.evidence is not pair.verdict.evidence:
                    given, instead = (grades[place] for place in move)
                    return TippingPoint(n_cases, sum(counted), is_later, given, instead, verdict)
    return None


def _regraded(counts: Sequence[int], n_cases: int) -> Iterator[tuple[tuple[int, int], tuple[int, ...]]]:
    """Every way to move so many cases from one grade to one other: the two places, and the counts then."""
    for given, instead in permutations(range(len(counts)), 2):
        if counts[given] >= n_cases:
            regraded = list(counts)
            regraded[given] -= n_cases
            regraded[instead] += n_cases
            yield (given, instead), tuple(regraded)


def _design_effect_row(
    pair: Comparison, before: Sequence[int], after: Sequence[int], factor: float
) -> dict[str, object]:
    setting = f"{factor:g}"
    fewer = [[Fraction(n) / Fraction(setting) for n in counts] for counts in (before, after)]
    if min(map(sum, fewer)) < 2:
        return _row(pair, DESIGN_EFFECT, setting=setting, note="not asked: fewer than 2 cases would be left")
    direction, bases = pair.verdict.direction, [sum(counts) for counts in fewer]
    theta = superiority(*fewer, confidence=pair.confidence)
    contrasts = [
        share_change(fewer[0][end], bases[0], fewer[1][end], bases[1], confidence=pair.confidence)
        for end in (-1, 0)
    ]
    # the exact test counts ways to deal out cases, which have to be whole
    whole = [_whole(counts) for counts in fewer]
    evidence = evidence_of(direction, contrasts, theta, *whole, confidence=pair.confidence)
    note = f"as if {sum(whole[0])} and {sum(whole[1])} cases had been audited, each apart from the others"
    return _row(
        pair,
        DESIGN_EFFECT,
        setting=setting,
        estimate=theta,
        verdict=Verdict(direction, evidence),
        note=note,
    )


def _whole(counts: Sequence[Fraction]) -> tuple[int, ...]:
    """Counts rounded to whole cases so that shares stay as close as they can.

    The total is rounded half up; grades with the largest remainders get what is left, the worse
    grade first among equals.
    """
    whole = [math.floor(n) for n in counts]
    short = math.floor(sum(counts) + Fraction(1, 2)) - sum(whole)
    by_remainder = sorted(range(len(counts)), key=lambda grade: whole[grade] - counts[grade])
    for grade in by_remainder[: max(short, 0)]:
        whole[grade] += 1
    return tuple(whole)


def _tipping_row(pair: Comparison, tipping: TippingPoint | None) -> dict[str, object]:
    if tipping is None:
        note = f"more than {MOST_REGRADED} cases of one audit would have to move from one grade to another"
        return _row(pair, TIPPING_POINT, note=note)
    which = "later" if tipping.is_later else "earlier"
    note = (
        f"{tipping.n_cases} of {tipping.base} cases of the {which} audit: {tipping.instead.value} and not "
        f"{tipping.given.value}"
    )
    return _row(pair, TIPPING_POINT, setting=str(tipping.n_cases), verdict=tipping.verdict, note=note)


def _prior_row(
    pair: Comparison, before: Sequence[int], after: Sequence[int], prior: float
) -> dict[str, object]:
    probability = alternatives.posterior_probabilities(before, after, prior=prior).superiority
    setting = "1/3" if prior == PRIORS[0] else f"{prior:g}"
    return {
        **_row(
            pair,
            PRIOR,
            setting=setting,
            note=f"chance that later cases have the better grades, with {setting} pseudo-case added to each "
            "grade; no part of the verdict",
        ),
        "measure": "probability_better",
        "value": probability,
    }


def _area_rows(pair: Comparison) -> list[dict[str, object]]:
    shared = areas_of_both(pair)
    if not shared:
        why = "not asked: grades by area are not known for both audits"
        return [_row(pair, CASE_MIX, note=why), _row(pair, WITHOUT_AREA, note=why)]
    rows = []
    for grade in (Grade.GOOD, Grade.INADEQUATE):
        estimate = standardised_change(pair, grade)
        rows.append(
            {
                **_row(
                    pair,
                    CASE_MIX,
                    setting=shares.measure_of(grade),
                    estimate=estimate,
                    note="the change if the later audit had had the earlier one's mix of areas",
                ),
                "measure": shares.measure_of(grade),
            }
        )
    before, after = pair.baseline.ordered_counts or (), pair.follow_up.ordered_counts or ()
    for area, (earlier, later) in shared.items():
        if area == REST:
            continue
        rest = (
            [n - m for n, m in zip(before, earlier, strict=True)],
            [n - m for n, m in zip(after, later, strict=True)],
        )
        if min(map(sum, rest)) < 2:
            rows.append(_row(pair, WITHOUT_AREA, setting=area, note="not asked: fewer than 2 cases are left"))
            continue
        verdict, theta = verdict_on(*rest, confidence=pair.confidence)
        if min(map(sum, rest)) < FEWEST_CASES:
            verdict = Verdict(verdict.direction, Evidence.TOO_FEW)
        note = f"{sum(rest[0])} and {sum(rest[1])} cases are left"
        rows.append(_row(pair, WITHOUT_AREA, setting=area, estimate=theta, verdict=verdict, note=note))
    return rows


REST = "all other areas"


def areas_of_both(pair: Comparison, /) -> Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Counts of the areas whose grades are known for both audits of a pair, and of all the rest.

    Returns:
        By area, the earlier and the later counts, worst grade first; areas in the order of the
        vocabulary, then `REST`, which is left out where it has no cases. Empty if there is no area
        known for both, or the areas of an audit hold more cases than the audit.
    """
    before, after = pair.baseline.ordered_counts, pair.follow_up.ordered_counts
    if before is None or after is None:
        return {}
    earlier, later = _areas_of(pair, pair.baseline), _areas_of(pair, pair.follow_up)
    shared = {
        area: (earlier[area], later[area]) for area in vocabulary.AREAS if area in earlier and area in later
    }
    rest = tuple(
        tuple(
            n - sum(of_area)
            for n, *of_area in zip(whole, *(both[period] for both in shared.values()), strict=True)
        )
        for period, whole in enumerate((before, after))
    )
    if not shared or min(map(min, rest)) < 0:
        return {}
    if sum(rest[0]) and sum(rest[1]):
        shared[REST] = (rest[0], rest[1])
    # where only one audit has other areas, its mix cannot be given to the other
    return shared if bool(sum(rest[0])) == bool(sum(rest[1])) else {}


def _areas_of(pair: Comparison, audit: GradedAudit) -> Mapping[str, tuple[int, ...]]:
    return {
        other.area: other.ordered_counts
        for other in pair.others
        if other.inspection_id == audit.inspection_id
        and other.graded_by == audit.graded_by
        and other.scale == audit.scale
        and other.area != vocabulary.OVERALL
        and other.ordered_counts
    }


def standardised_change(pair: Comparison, grade: Grade, /) -> Estimate | None:
    """The change of a share if the later audit had had the earlier one's mix of areas.

    Direct standardisation: the later share of each area, weighted with its part of the earlier
    audit's cases. The interval adds up the Wilson intervals of all shares as Newcombe's does those of
    two (MOVER: Zou and Donner 2008, Statistics in Medicine 27:1693), which with one area it equals.

    Args:
        pair: two audits with areas known for both.
        grade: of the scale of both.

    Returns:
        The change as a fraction with its interval; null if no area is known for both audits.
    """
    shared = areas_of_both(pair)
    if not shared:
        return None
    place = tuple(pair.baseline.counts).index(grade)
    base = sum(sum(earlier) for earlier, _ in shared.values())
    n = sum(earlier[place] for earlier, _ in shared.values())
    parts = [(-1.0, shares.share(n, base, confidence=pair.confidence))]
    parts += [
        (sum(earlier) / base, shares.share(later[place], sum(later), confidence=pair.confidence))
        for earlier, later in shared.values()
    ]
    value = math.fsum(weight * share.value for weight, share in parts)
    down = up = 0.0
    for weight, share in parts:
        ends = sorted(weight * (end or 0.0) for end in (share.lower, share.upper))
        down += (weight * share.value - ends[0]) ** 2
        up += (ends[1] - weight * share.value) ** 2
    return Estimate(value, value - math.sqrt(down), value + math.sqrt(up))


def _row(
    pair: Comparison,
    check: str,
    *,
    note: str,
    setting: str | None = None,
    estimate: Estimate | None = None,
    verdict: Verdict | None = None,
) -> dict[str, object]:
    return {
        "force": pair.force,
        "check": check,
        "setting": setting,
        "measure": "superiority" if estimate and verdict else None,
        "value": estimate.value if estimate else None,
        "lower": estimate.lower if estimate else None,
        "upper": estimate.upper if estimate else None,
        "direction": verdict.direction.value if verdict else None,
        "evidence": verdict.evidence.value if verdict else None,
        "is_changed": verdict.evidence is not pair.verdict.evidence if verdict else None,
        "note": note,
    }


def _checks(rows: Sequence[dict[str, object]]) -> dy.DataFrame[Check]:
    return Check.validate(pl.DataFrame(rows, schema=Check.create_empty().schema, orient="row"))
