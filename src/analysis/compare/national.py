"""All forces together: what is known of whom, what follow-ups show taken together, who is unusual.

Follows docs/method.md, section 1, item 5. A mean over forces says how follow-ups went on average;
nothing here puts forces in an order.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median

import dataframely as dy
import polars as pl

from analysis import vocabulary
from analysis.compare import change, funnel, pooling, regression, shares
from analysis.compare.change import Comparison, Evidence, SingleAudit
from analysis.compare.filtering import in_period
from analysis.compare.graded import GradedAudit, SelectionError, checked_audits
from analysis.compare.pooling import Pooled
from analysis.compare.regression import Regression
from analysis.compare.sensitivity import Sensitivity, sensitivity
from analysis.compare.shares import BASELINE, CHANGE, CONFIDENCE, FOLLOW_UP
from analysis.vocabulary import Grade, Role

KINDS = ("initial", "review", "re-inspection")
GRADES = vocabulary.COMPARED
ALL = "all forces"
# Of a first audit and a follow-up, where no pair says how many there usually are.
USUAL_BASES = (74, 34)


class ScopeError(Exception):
    """What was asked for is no kind, scale or period. The message says what may be asked for."""


class Known(StrEnum):
    """What there is of a force."""

    PAIR = "two audits"
    PART = "two audits, in part"
    ONE = "one audit"
    NOTHING = "no audit here"


class Position(StrEnum):
    """Where a share lies in a funnel."""

    INSIDE = "as chance alone makes it"
    OUTSIDE = "outside 95%"
    FAR_OUTSIDE = "outside 99.8%"


@dataclass(frozen=True)
class Scope:
    """Which audits count. `first` and `last` are a year or a month, both included; null for no limit."""

    kinds: tuple[str, ...]
    scale: str
    first: str | None
    last: str | None
    confidence: float


class Coverage(dy.Schema):
    """Grain: one row per force, in alphabetical order of slug: what there is of it."""

    force = dy.String(primary_key=True, metadata={"description": "Slug of the force"})
    known = dy.String(
        nullable=False,
        check={"known": lambda column: column.is_in([known.value for known in Known])},
        metadata={
            "description": "`two audits` (that can be compared in full), `two audits, in part` (on some grades), "
            "`one audit`, `no audit here`"
        },
    )
    baseline = dy.String(
        nullable=True, metadata={"description": "Inspection id of the earlier or only audit"}
    )
    follow_up = dy.String(nullable=True, metadata={"description": "Inspection id of the later audit"})
    n_elsewhere = dy.Int64(
        nullable=False,
        metadata={"description": "Further audits of the force that are not looked at here", "unit": "audits"},
    )


class NationalFigure(dy.Schema):
    """Grain: one row per measure, subject and period: every number of the national picture.

    Shares and changes are fractions. A null value could not be worked out: `note` says why.
    """

    measure = dy.String(primary_key=True, metadata={"description": "What is measured"})
    subject = dy.String(
        primary_key=True, metadata={"description": "Slug of a force, inspection id, or `all forces`"}
    )
    period = dy.String(
        primary_key=True, metadata={"description": "`baseline`, `follow_up`, `change`, or `all` for neither"}
    )
    value = dy.Float64(nullable=True, metadata={"description": "The estimate"})
    lower = dy.Float64(nullable=True, metadata={"description": "Lower end of its interval"})
    upper = dy.Float64(nullable=True, metadata={"description": "Upper end of its interval"})
    n_cases = dy.Int64(nullable=True, metadata={"description": "Cases at the grade", "unit": "cases"})
    base = dy.Int64(nullable=True, metadata={"description": "Audited cases it rests on", "unit": "cases"})
    n_forces = dy.Int64(nullable=True, metadata={"description": "Forces it rests on", "unit": "forces"})
    note = dy.String(nullable=True, metadata={"description": "How to read it, or why it is missing"})


class Unusual(dy.Schema):
    """Grain: one row per comparison, in alphabetical order: is it clear among so many looks?"""

    force = dy.String(primary_key=True, metadata={"description": "Slug of the force"})
    direction = dy.String(nullable=False, metadata={"description": "What the counts did"})
    evidence = dy.String(nullable=False, metadata={"description": "What they bear by themselves"})
    p = dy.Float64(nullable=False, metadata={"description": "p-value of the exact test of the verdict"})
    p_holm = dy.Float64(nullable=False, metadata={"description": "The same after Holm's correction"})
    is_clear = dy.Bool(
        nullable=False, metadata={"description": "Whether the evidence is clear after the correction too"}
    )


class FunnelPoint(dy.Schema):
    """Grain: one row per grade and audit, in alphabetical order of force, then date.

    `lower` and `upper` are the interval of the share; `limit_…` say where the share of an audit of so
    many cases would lie by chance alone if it were of the same process as all, smoothed between whole cases;
    `position` is exact.
    """

    measure = dy.String(primary_key=True, metadata={"description": "`share_good` or `share_inadequate`"})
    inspection_id = dy.String(primary_key=True, metadata={"description": "The audit"})
    force = dy.String(nullable=False, metadata={"description": "Slug of the force"})
    is_follow_up = dy.Bool(
        nullable=False, metadata={"description": "Whether it is a follow-up, which the target leaves out"}
    )
    n_cases = dy.Int64(nullable=False, metadata={"description": "Cases at the grade", "unit": "cases"})
    base = dy.Int64(nullable=False, metadata={"description": "Audited cases", "unit": "cases"})
    value = dy.Float64(nullable=False, metadata={"description": "The share, as a fraction"})
    lower = dy.Float64(nullable=False, metadata={"description": "Lower end of its interval"})
    upper = dy.Float64(nullable=False, metadata={"description": "Upper end of its interval"})
    limit_lower = dy.Float64(nullable=False, metadata={"description": "Lower 95% limit"})
    limit_upper = dy.Float64(nullable=False, metadata={"description": "Upper 95% limit"})
    limit_far_lower = dy.Float64(nullable=False, metadata={"description": "Lower 99.8% limit"})
    limit_far_upper = dy.Float64(nullable=False, metadata={"description": "Upper 99.8% limit"})
    position = dy.String(
        nullable=False,
        check={"known": lambda column: column.is_in([position.value for position in Position])},
        metadata={"description": "Where the share lies"},
    )


@dataclass(frozen=True)
class Funnel:
    """The shares of one grade over the audits' sizes, with the limits of chance.

    Attributes:
        grade: of which the shares are.
        target: the share of all cases of full inspections taken together, with its interval.
        n_cases: cases at the grade that the target rests on.
        base: audited cases that it rests on.
        n_full: full inspections that the target rests on.
        overdispersion: how many times as large the variance of full inspections is as chance alone makes it.
        overdispersion_p: how often chance alone makes it so large or larger, 0-1.
        points: one row per audit (schema `FunnelPoint`).
        lines: the limits for drawing: one row per number of cases, with `base`, `limit_lower`,
            `limit_upper`, `limit_far_lower`, `limit_far_upper`.
        expected_outside: how many of the points would lie outside 95% by chance alone.
    """

    grade: Grade
    target: shares.Estimate
    n_cases: int
    base: int
    n_full: int
    overdispersion: float
    overdispersion_p: float
    points: dy.DataFrame[FunnelPoint]
    lines: pl.DataFrame
    expected_outside: float


@dataclass(frozen=True)
class Together:
    """Cases of several audits taken as one lot: how many at a grade, of how many, and the share."""

    n_cases: int
    base: int
    share: shares.Estimate


@dataclass(frozen=True)
class NationalPicture:
    """Everything that is said of all forces together.

    Attributes:
        scope: which audits count.
        coverage: one row per force (schema `Coverage`).
        pairs: every comparison, in alphabetical order of force; those in part among them.
        looked_at: every audit that a force's standing in `coverage` rests on, by inspection id.
        began: by grade, the earlier audits of all full comparisons taken together; empty if there is none.
        summaries: by grade, the change over all full comparisons, the same forces for each grade;
            empty if there are fewer than two.
        with_partial: the same with the pairs of which that change is known though another is not.
        drawn_together: by grade, the change of each force of a full comparison in the light of the
            others, by slug; empty if there are fewer than three.
        unusual: one row per full comparison (schema `Unusual`).
        expected_false_alarms: how many of the full comparisons would be called clear by chance alone,
            at most.
        any_false_alarm: the chance that at least one would, at most, 0-1.
        funnels: by grade; a grade with fewer than two full inspections is not there.
        regressions: what forces chosen for poor first grades show if nothing changes: if forces differ
            as much as they seem to, and if they differ as much as the counts allow.
        sensitivities: of each pair, in the same order.
    """

    scope: Scope
    coverage: dy.DataFrame[Coverage]
    pairs: tuple[Comparison, ...]
    looked_at: Mapping[str, GradedAudit]
    began: Mapping[Grade, Together]
    summaries: Mapping[Grade, Pooled]
    with_partial: Mapping[Grade, Pooled]
    drawn_together: Mapping[Grade, Mapping[str, shares.Estimate]]
    unusual: dy.DataFrame[Unusual]
    expected_false_alarms: float
    any_false_alarm: float
    funnels: Mapping[Grade, Funnel]
    regressions: tuple[Regression, ...]
    sensitivities: tuple[Sensitivity, ...]

    @property
    def full_pairs(self) -> tuple[Comparison, ...]:
        """The comparisons of all grades, whatever their number of cases."""
        return tuple(pair for pair in self.pairs if pair.verdict.evidence is not Evidence.NOT_COMPARABLE)

    @property
    def figures(self) -> dy.DataFrame[NationalFigure]:
        """Every number (schema `NationalFigure`): of all forces first, then by force."""
        return _figures(self)

    @property
    def n_cases_compared(self) -> int:
        """Audited cases of both audits of all full comparisons."""
        return _n_cases(self.full_pairs)

    def pairs_with(self, grade: Grade, /) -> tuple[Comparison, ...]:
        """The comparisons for which the change of the share of a grade is known."""
        return tuple(pair for pair in self.pairs if _change(pair, grade) is not None)


def scope(
    *,
    kinds: Sequence[str] = KINDS,
    scale: str = vocabulary.THREE_GRADES.name,
    first: str | None = None,
    last: str | None = None,
    confidence: float = CONFIDENCE,
) -> Scope:
    """Check what was asked for.

    Args:
        kinds: slugs of kinds of inspection.
        scale: name of a scale.
        first: the earliest year or month of fieldwork, as "2021" or "2021-04"; null for no limit.
        last: the latest, included.
        confidence: level of all intervals.

    Raises:
        ScopeError: if a kind or scale is unknown, a period is no year or month or ends before it
            begins, or the confidence is below 0.5 or not below 1.
    """
    for kind in kinds:
        if kind not in vocabulary.KINDS:
            raise ScopeError(
                f'No kind of inspection is called "{kind}": {vocabulary.near_words(kind, vocabulary.KINDS)}'
            )
    if not kinds:
        raise ScopeError(f"Name at least one kind of inspection: {', '.join(vocabulary.KINDS)}.")
    with_grades = [name for name, known in vocabulary.SCALES.items() if known.grades]
    if scale not in with_grades:
        raise ScopeError(
            f'No scale of case grades is called "{scale}": {vocabulary.near_words(scale, with_grades)}'
        )
    try:
        in_period(first, last)
    except SelectionError as error:
        raise ScopeError(str(error)) from error
    try:
        change.check_confidence(confidence)
    except ValueError as error:
        raise ScopeError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    return Scope(tuple(dict.fromkeys(kinds)), scale, first, last, confidence)


def picture(audits: pl.DataFrame, /, *, forces: Sequence[str], scope: Scope) -> NationalPicture:
    """Work out the national picture.

    Args:
        audits: one row per audit (schema `Audit`).
        forces: slugs of all forces that there are, those without audits among them.
        scope: which audits count; see `scope`.

    Raises:
        ScopeError: if no audit is in the scope.
    """
    within = checked_audits(audits).filter(_is_within(scope))
    if within.is_empty():
        raise ScopeError("No audit is of these kinds, on this scale and in this period: ask for more.")
    examined = {
        force: change.examine(within, force=force, confidence=scope.confidence) for force in sorted(forces)
    }
    pairs = tuple(one for one in examined.values() if isinstance(one, Comparison))
    full = [pair for pair in pairs if pair.verdict.evidence is not Evidence.NOT_COMPARABLE]
    alpha = 1 - scope.confidence
    funnels = {
        grade: found
        for grade in GRADES
        if (found := _funnel(within, forces, grade, confidence=scope.confidence)) is not None
    }
    return NationalPicture(
        scope=scope,
        coverage=_coverage(audits, examined),
        pairs=pairs,
        looked_at=_looked_at(examined.values()),
        began=_began(full, confidence=scope.confidence),
        summaries=_summaries(full, confidence=scope.confidence),
        with_partial=_summaries(pairs, confidence=scope.confidence),
        drawn_together=_drawn_together(full, confidence=scope.confidence),
        unusual=_unusual(full, confidence=scope.confidence),
        expected_false_alarms=len(full) * alpha,
        any_false_alarm=1 - scope.confidence ** len(full),
        funnels=funnels,
        regressions=_regressions(within, forces, pairs, confidence=scope.confidence),
        sensitivities=tuple(sensitivity(pair) for pair in pairs),
    )


def _is_within(scope: Scope) -> pl.Expr:
    chosen = pl.col("kind").is_in(list(scope.kinds)) & (pl.col("scale") == scope.scale)
    return chosen & in_period(scope.first, scope.last)


def _is_whole(audit: GradedAudit) -> bool:
    """Whether it is of all areas, by inspectors, and counts of its grades are known."""
    return audit.area == vocabulary.OVERALL and audit.graded_by == "inspectors" and audit.has_case_grades


def _coverage(
    audits: pl.DataFrame, examined: Mapping[str, Comparison | SingleAudit | change.NoAudit]
) -> dy.DataFrame[Coverage]:
    n_audits = dict(audits.group_by("force").len().iter_rows())
    rows = []
    for force, one in examined.items():
        known = Known.NOTHING
        ids: list[str | None] = [None, None]
        if isinstance(one, Comparison):
            in_full = one.verdict.evidence is not Evidence.NOT_COMPARABLE
            known = Known.PAIR if in_full else Known.PART
            ids = [one.baseline.inspection_id, one.follow_up.inspection_id]
        elif isinstance(one, SingleAudit) and _is_whole(one.audit):
            known, ids = Known.ONE, [one.audit.inspection_id, None]
        n_looked_at = len([inspection for inspection in ids if inspection])
        rows.append(
            {
                "force": force,
                "known": known.value,
                "baseline": ids[0],
                "follow_up": ids[1],
                "n_elsewhere": n_audits.get(force, 0) - n_looked_at,
            }
        )
    return Coverage.validate(pl.DataFrame(rows, schema=Coverage.create_empty().schema, orient="row"))


def _looked_at(
    examined: Iterable[Comparison | SingleAudit | change.NoAudit],
) -> dict[str, GradedAudit]:
    audits: list[GradedAudit] = []
    for one in examined:
        if isinstance(one, Comparison):
            audits += [one.baseline, one.follow_up]
        elif isinstance(one, SingleAudit):
            audits.append(one.audit)
    return {audit.inspection_id: audit for audit in audits}


def _began(pairs: Sequence[Comparison], *, confidence: float) -> dict[Grade, Together]:
    if not pairs:
        return {}
    base = sum(pair.baseline.n_cases or 0 for pair in pairs)
    found = {}
    for grade in GRADES:
        n_cases = sum(pair.baseline.count(grade) or 0 for pair in pairs)
        found[grade] = Together(n_cases, base, shares.share(n_cases, base, confidence=confidence))
    return found


def _change(pair: Comparison, grade: Grade) -> float | None:
    rows = pair.figures.filter((pl.col("measure") == shares.measure_of(grade)) & (pl.col("period") == CHANGE))
    return None if rows.is_empty() else rows["value"][0]


def _effects(pairs: Sequence[Comparison], grade: Grade) -> dict[str, tuple[float, float]]:
    """By slug, the change of a share and its variance by chance, for pairs for which it is known."""
    found = {}
    for pair in pairs:
        value = _change(pair, grade)
        if value is not None:
            variance = sum(
                _variance(audit.count(grade) or 0, audit.n_cases or 0)
                for audit in (pair.baseline, pair.follow_up)
            )
            found[pair.force] = (value, variance)
    return found


def _variance(n: int, base: int) -> float:
    """The variance by chance of a share, p(1-p)/n.

    At 0 of n and n of n that is 0, as if the share were known for sure; there, half a case is added to
    both sides. `statsmodels` `effectsize_2proportions` would add it to the counts of all pairs.
    """
    if 0 < n < base:
        return n * (base - n) / base**3
    return (n + 0.5) * (base - n + 0.5) / (base + 1) ** 3


def _summaries(pairs: Sequence[Comparison], *, confidence: float) -> dict[Grade, Pooled]:
    found = {}
    for grade in GRADES:
        effects = _effects(pairs, grade).values()
        if len(effects) >= 2:
            summary = pooling.pooled(*zip(*effects, strict=True), confidence=confidence)
            found[grade] = replace(
                summary,
                mean=_on_scale(summary.mean),
                cautious=_on_scale(summary.cautious),
                prediction=None if summary.prediction is None else _on_scale(summary.prediction),
            )
    return found


def _on_scale(change: shares.Estimate) -> shares.Estimate:
    """The change with an interval cut to -1 to 1, as no share changes by more."""
    return shares.Estimate(change.value, max(-1.0, change.lower or 0.0), min(1.0, change.upper or 0.0))


def _drawn_together(
    pairs: Sequence[Comparison], *, confidence: float
) -> dict[Grade, dict[str, shares.Estimate]]:
    found = {}
    for grade in GRADES:
        effects = _effects(pairs, grade)
        if len(effects) >= pooling.FEWEST_TO_PREDICT:
            drawn = pooling.partly_pooled(*zip(*effects.values(), strict=True), confidence=confidence)
            found[grade] = dict(zip(effects, map(_on_scale, drawn.effects), strict=True))
    return found


def _unusual(pairs: Sequence[Comparison], *, confidence: float) -> dy.DataFrame[Unusual]:
    from statsmodels.stats.multitest import multipletests

    ps = [
        change.exact_p(
            pair.verdict.direction, pair.baseline.ordered_counts or (), pair.follow_up.ordered_counts or ()
        )
        for pair in pairs
    ]
    corrected = multipletests(ps, alpha=1 - confidence, method="holm")[1] if ps else []
    rows = [
        {
            "force": pair.force,
            "direction": pair.verdict.direction.value,
            "evidence": pair.verdict.evidence.value,
            "p": p,
            "p_holm": float(p_holm),
            "is_clear": pair.verdict.evidence is Evidence.CLEAR and bool(p_holm <= 1 - confidence),
        }
        for pair, p, p_holm in zip(pairs, ps, corrected, strict=True)
    ]
    return Unusual.validate(pl.DataFrame(rows, schema=Unusual.create_empty().schema, orient="row"))


def _whole_audits(within: pl.DataFrame, forces: Sequence[str]) -> list[GradedAudit]:
    rows = within.filter(pl.col("force").is_in(list(forces))).sort(
        "force", pl.coalesce("fieldwork", "published"), "inspection_id"
    )
    audits = [GradedAudit.from_row(row) for row in rows.iter_rows(named=True)]
    return [audit for audit in audits if _is_whole(audit)]


def _funnel(within: pl.DataFrame, forces: Sequence[str], grade: Grade, *, confidence: float) -> Funnel | None:
    audits = [
        (audit, audit.count(grade) or 0, audit.n_cases or 0)
        for audit in _whole_audits(within, forces)
        if audit.count(grade) is not None and audit.role is not Role.NEITHER
    ]
    # follow-ups are of forces chosen for poor grades, which are no measure of what is usual
    full = [(n, base) for audit, n, base in audits if audit.role is Role.FULL]
    n_cases, base_of_all = sum(n for n, _ in full), sum(base for _, base in full)
    if len(full) < 2 or not 0 < n_cases < base_of_all:
        return None
    target = shares.share(n_cases, base_of_all, confidence=confidence)
    spread = funnel.overdispersion(*zip(*full, strict=True), target=target.value)
    rows = []
    for audit, n, base in audits:
        own = shares.share(n, base, confidence=confidence)
        limits, far = _limits(target.value, base)
        rows.append(
            {
                "measure": shares.measure_of(grade),
                "inspection_id": audit.inspection_id,
                "force": audit.force,
                "is_follow_up": audit.role is not Role.FULL,
                "n_cases": n,
                "base": base,
                "value": own.value,
                "lower": own.lower,
                "upper": own.upper,
                "limit_lower": limits[0],
                "limit_upper": limits[1],
                "limit_far_lower": far[0],
                "limit_far_upper": far[1],
                "position": _position(funnel.tail(target.value, n, base)).value,
            }
        )
    points = pl.DataFrame(rows, schema=FunnelPoint.create_empty().schema, orient="row")
    return Funnel(
        grade=grade,
        target=target,
        n_cases=n_cases,
        base=base_of_all,
        n_full=len(full),
        overdispersion=spread,
        overdispersion_p=funnel.overdispersion_p(spread, len(full)),
        points=FunnelPoint.validate(points),
        lines=_lines(target.value, [base for _, _, base in audits]),
        expected_outside=math.fsum(
            funnel.part_outside(target.value, base, level=funnel.INNER) for _, _, base in audits
        ),
    )


def _limits(target: float, base: int) -> tuple[tuple[float, float], tuple[float, float]]:
    def ends(level: float) -> tuple[float, float]:
        # The published formula cuts early at the top. Read from the other end it is as strict there as below,
        # and agrees with the exact tails by which an audit is called outside.
        lower, _ = funnel.binomial_limits(target, base, level=level)
        upper, _ = funnel.binomial_limits(1 - target, base, level=level)
        return lower, 1 - upper

    return ends(funnel.INNER), ends(funnel.OUTER)


def _position(tail: float) -> Position:
    if tail < (1 - funnel.OUTER) / 2:
        return Position.FAR_OUTSIDE
    return Position.OUTSIDE if tail < (1 - funnel.INNER) / 2 else Position.INSIDE


# so many numbers of cases make a line that looks smooth
_N_OF_LINE = 60


def _lines(target: float, bases: Sequence[int]) -> pl.DataFrame:
    smallest, largest = max(5, min(bases) * 4 // 5), max(bases) * 11 // 10
    # close together where the limits bend most
    steps = {
        round(smallest * (largest / smallest) ** (step / (_N_OF_LINE - 1))) for step in range(_N_OF_LINE)
    }
    rows = []
    for base in sorted(steps):
        limits, far = _limits(target, base)
        rows.append(
            {
                "base": base,
                "limit_lower": limits[0],
                "limit_upper": limits[1],
                "limit_far_lower": far[0],
                "limit_far_upper": far[1],
            }
        )
    return pl.DataFrame(rows)


def _regressions(
    within: pl.DataFrame, forces: Sequence[str], pairs: Sequence[Comparison], *, confidence: float
) -> tuple[Regression, ...]:
    firsts = [
        audit.ordered_counts
        for audit in _whole_audits(within, forces)
        if audit.role is Role.FULL and audit.ordered_counts
    ]
    if len(firsts) < 2:
        return ()
    n_by_grade = [sum(counts) for counts in zip(*firsts, strict=True)]
    total = sum(n_by_grade)
    mean = [n / total for n in n_by_grade]
    if not 0 < mean[0] < 1:
        return ()
    spread = pooling.pooled(
        [counts[0] / sum(counts) for counts in firsts],
        [_variance(counts[0], sum(counts)) for counts in firsts],
        confidence=confidence,
    ).tau
    bases = [
        round(median(audit.n_cases or 0 for audit in audits)) if audits else usual
        for audits, usual in zip(
            ([pair.baseline for pair in pairs], [pair.follow_up for pair in pairs]), USUAL_BASES, strict=True
        )
    ]
    if min(bases) < 2:
        return ()
    # shares cannot vary more than between 0 and 1
    most = 0.9 * (mean[0] * (1 - mean[0])) ** 0.5
    return tuple(
        regression.regression_to_the_mean(
            mean,
            base_before=bases[0],
            base_after=bases[1],
            concentration=regression.concentration(mean, min(tau, most)),
            confidence=confidence,
        )
        for tau in (spread.value, spread.upper or 0.0)
    )


def _n_cases(pairs: Sequence[Comparison]) -> int:
    return sum((pair.baseline.n_cases or 0) + (pair.follow_up.n_cases or 0) for pair in pairs)


def _figures(picture: NationalPicture) -> dy.DataFrame[NationalFigure]:
    rows: list[dict[str, object]] = []

    def add(
        measure: str, subject: str, period: str, one: shares.Estimate | float | None, **rest: object
    ) -> None:
        estimate = (
            one if isinstance(one, shares.Estimate) or one is None else shares.Estimate(one, None, None)
        )
        rows.append(
            {
                "measure": measure,
                "subject": subject,
                "period": period,
                "value": estimate.value if estimate else None,
                "lower": estimate.lower if estimate else None,
                "upper": estimate.upper if estimate else None,
                "n_cases": None,
                "base": None,
                "n_forces": None,
                "note": None,
                **rest,
            }
        )

    for known in Known:
        n = picture.coverage.filter(pl.col("known") == known.value).height
        add(f"forces with {known.value}", ALL, "all", None, n_forces=n, note="a number of forces")
    for grade in GRADES:
        summary, measure = picture.summaries.get(grade), shares.measure_of(grade)
        if grade in picture.began:
            start = picture.began[grade]
            of_pairs = {"n_cases": start.n_cases, "base": start.base, "n_forces": len(picture.full_pairs)}
            note = "of the earlier audits of all full comparisons together"
            add(f"began_{measure}", ALL, BASELINE, start.share, **of_pairs, note=note)
        wider = picture.with_partial.get(grade)
        if wider and (summary is None or wider.k > summary.k):
            more = {"n_forces": wider.k, "base": _n_cases(picture.pairs_with(grade))}
            note = "with forces that can be compared on this grade only"
            add(f"mean_change_{measure}_with_partial", ALL, CHANGE, wider.cautious, **more, note=note)
        if summary is None:
            note = "not worked out: fewer than two forces can be compared in full"
            add(f"mean_change_{measure}", ALL, CHANGE, None, note=note)
            continue
        base = picture.n_cases_compared
        on = {"n_forces": summary.k, "base": base}
        add(f"mean_change_{measure}", ALL, CHANGE, summary.mean, **on, note="Hartung-Knapp interval")
        add(
            f"mean_change_{measure}_cautious",
            ALL,
            CHANGE,
            summary.cautious,
            **on,
            note="never narrower than if forces do not differ",
        )
        add(f"tau_{measure}", ALL, CHANGE, summary.tau, **on, note="standard deviation between forces")
        add(
            f"i_squared_{measure}",
            ALL,
            CHANGE,
            summary.i_squared,
            **on,
            note="part of the spread above chance",
        )
        add(f"q_{measure}", ALL, CHANGE, summary.q, **on, note="Cochran's Q")
        add(f"q_p_{measure}", ALL, CHANGE, summary.q_p, **on, note=f"Q is {summary.q:.3f}")
        note = "change of one more such force" if summary.prediction else "not worked out: fewer than 3 pairs"
        add(f"prediction_{measure}", ALL, CHANGE, summary.prediction, **on, note=note)
    on = {"n_forces": len(picture.full_pairs)}
    add(
        "expected_false_alarms",
        ALL,
        "all",
        picture.expected_false_alarms,
        **on,
        note="a number of forces, at most",
    )
    add("any_false_alarm", ALL, "all", picture.any_false_alarm, **on, note="a probability, at most")
    for grade, one in picture.funnels.items():
        measure = shares.measure_of(grade)
        on_all = {"n_cases": one.n_cases, "base": one.base, "n_forces": one.n_full}
        add(f"target_{measure}", ALL, "all", one.target, **on_all, note="of all full inspections together")
        add(f"overdispersion_{measure}", ALL, "all", one.overdispersion, **on_all, note="1 if chance is all")
        add(f"overdispersion_p_{measure}", ALL, "all", one.overdispersion_p, **on_all, note="a p-value")
        add(
            f"expected_outside_{measure}",
            ALL,
            "all",
            one.expected_outside,
            n_forces=one.points["force"].n_unique(),
            note="a number of audits, by chance alone",
        )
        for point in one.points.iter_rows(named=True):
            own = shares.Estimate(point["value"], point["lower"], point["upper"])
            of = {"n_cases": point["n_cases"], "base": point["base"], "note": point["position"]}
            add(measure, point["inspection_id"], "all", own, **of)
            for name, ends in (("limit", "limit"), ("far_limit", "limit_far")):
                limits = shares.Estimate(one.target.value, point[f"{ends}_lower"], point[f"{ends}_upper"])
                add(f"{name}_{measure}", point["inspection_id"], "all", limits, base=point["base"])
    for number, made_up in enumerate(picture.regressions):
        how = ("as_seen", "at_most")[number]
        of_all = f"forces that were made up, as different as {('they seem', 'the counts allow')[number]}"
        for measure, both, moved in (
            ("share_inadequate", made_up.inadequate, made_up.inadequate_change),
            ("share_good", made_up.good, made_up.good_change),
        ):
            add(f"regression_{measure}_{how}", ALL, BASELINE, both[0], base=made_up.base_before, note=of_all)
            add(f"regression_{measure}_{how}", ALL, FOLLOW_UP, both[1], base=made_up.base_after, note=of_all)
            add(f"regression_{measure}_{how}", ALL, CHANGE, moved, note=of_all)
        add(f"regression_better_{how}", ALL, CHANGE, made_up.better, note=of_all)
        add(f"regression_clear_better_{how}", ALL, CHANGE, made_up.clear_better, note=of_all)
    for pair in picture.pairs:
        for row in pair.figures.iter_rows(named=True):
            same = {key: row[key] for key in ("value", "lower", "upper", "n_cases", "base", "note")}
            rows.append(
                {
                    "measure": row["measure"],
                    "subject": row["force"],
                    "period": row["period"],
                    "n_forces": None,
                    **same,
                }
            )
    for row in picture.unusual.iter_rows(named=True):
        add("p_exact", row["force"], CHANGE, row["p"], note="of the exact test that the verdict agrees with")
        add("p_holm", row["force"], CHANGE, row["p_holm"], note="after Holm's correction over all forces")
    for grade, by_force in picture.drawn_together.items():
        for force, estimate in by_force.items():
            note = "in the light of the other forces"
            add(f"drawn_together_{shares.measure_of(grade)}", force, CHANGE, estimate, note=note)
    return NationalFigure.validate(
        pl.DataFrame(rows, schema=NationalFigure.create_empty().schema, orient="row")
    )
