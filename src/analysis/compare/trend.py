"""Several audits of one force side by side: over time, and by area of child protection.

Audits stand beside each other, and are joined only where they are of one series: the same set of
grades, the same area, the same graders, and inspections or their follow-ups. Nothing is drawn
through a break, nor to an audit of fewer cases than are ever compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import dataframely as dy
import polars as pl

from analysis import vocabulary
from analysis.compare import alternatives, shares
from analysis.compare.change import FEWEST_CASES, check_confidence
from analysis.compare.graded import GradedAudit, SelectionError, checked_audits
from analysis.compare.shares import CONFIDENCE
from analysis.vocabulary import COMPARED, Grade, Role

FEWEST_AUDITS = 3


class AuditFigure(dy.Schema):
    """Grain: one row per audit and measure, in date order, then worst grade first. Shares are fractions."""

    inspection_id = dy.String(nullable=False, metadata={"description": "The inspection"})
    area = dy.String(nullable=False, metadata={"description": "Area of child protection, or `overall`"})
    dated = dy.String(
        nullable=False, metadata={"description": "Month or year of fieldwork, else of publication"}
    )
    drawn_at = dy.Date(
        nullable=False,
        metadata={"description": "Where a chart puts it: the first of the month, 1 July of a year"},
    )
    kind = dy.String(nullable=False, metadata={"description": "Kind of inspection"})
    scale = dy.String(nullable=False, metadata={"description": "Set of grades"})
    graded_by = dy.String(nullable=False, metadata={"description": "Who graded"})
    measure = dy.String(
        nullable=False, metadata={"description": "`share_…`: share of audited cases at a grade"}
    )
    value = dy.Float64(nullable=True, metadata={"description": "The share; null if it is not known"})
    lower = dy.Float64(nullable=True, metadata={"description": "Lower end of the Wilson interval"})
    upper = dy.Float64(nullable=True, metadata={"description": "Upper end of the Wilson interval"})
    n_cases = dy.Int64(nullable=True, metadata={"description": "Cases at the grade", "unit": "cases"})
    base = dy.Int64(nullable=True, metadata={"description": "Audited cases", "unit": "cases"})
    series = dy.Int64(
        nullable=True,
        metadata={"description": "Audits with the same number are one series; null: of no series"},
    )
    note = dy.String(nullable=True, metadata={"description": "How to read it, or why it is missing"})


@dataclass(frozen=True)
class Steady:
    """An exact test of whether a share rose or fell steadily over the audits of a series.

    Attributes:
        grade: whose share.
        n_audits: audits with a known share, at least 3.
        p_value: two-sided, 0-1: how often a rise or fall as steady would come about if nothing changed.
        is_rise: whether it points upwards.
        is_clear: whether that is rare enough, with both shares looked at.
    """

    grade: Grade
    n_audits: int
    p_value: float
    is_rise: bool
    is_clear: bool


@dataclass(frozen=True)
class Trend:
    """The audits of a force over time.

    Attributes:
        force: slug of the force.
        area: area of child protection, or `overall`.
        confidence: level of all intervals.
        audits: those with a known share, in date order.
        series: number of the series of each of `audits`; null if it is of none.
        left_out: audits of the force that are not shown, each with the reason.
        apart: those of `audits` that are shown but joined to no other, each with the reason.
        too_few: those of `audits` with fewer cases than are ever compared: they are of no series.
        steady: tests of a steady rise or fall, one per share; empty where no series has 3 audits.
        figures: one row per audit and measure (schema `AuditFigure`).
    """

    force: str
    area: str
    confidence: float
    audits: tuple[GradedAudit, ...]
    series: tuple[int | None, ...]
    left_out: tuple[tuple[GradedAudit, str], ...] = field(repr=False)
    apart: tuple[tuple[GradedAudit, str], ...] = field(repr=False)
    too_few: tuple[GradedAudit, ...]
    steady: tuple[Steady, ...]
    figures: dy.DataFrame[AuditFigure] = field(repr=False, compare=False)


@dataclass(frozen=True)
class ByArea:
    """The audits of single areas of a force, each beside the overall one of the same inspection.

    Attributes:
        force: slug of the force.
        confidence: level of all intervals.
        audits: in date order, the overall audit first within an inspection.
        left_out: audits of areas of which no share is known, each with the reason.
        too_few: those of `audits` with fewer cases than are ever compared.
        figures: one row per audit and measure (schema `AuditFigure`).
    """

    force: str
    confidence: float
    audits: tuple[GradedAudit, ...]
    left_out: tuple[tuple[GradedAudit, str], ...] = field(repr=False)
    too_few: tuple[GradedAudit, ...]
    figures: dy.DataFrame[AuditFigure] = field(repr=False, compare=False)


def trend(
    audits: pl.DataFrame,
    /,
    *,
    force: str,
    area: str = vocabulary.OVERALL,
    confidence: float = CONFIDENCE,
) -> Trend:
    """Put the audits of a force in order of time, and say which are of one series.

    Args:
        audits: one row per audit (schema `Audit`).
        force: slug of the force.
        area: area of child protection, or `overall`.
        confidence: level of all intervals, between 0 and 1.

    Returns:
        The audits graded by inspectors of which a share is known; shares are fractions. A steady rise or
        fall is tested only within a series of 3 audits or more, of at least 20 cases each: the exact test
        for a linear trend over the order of audits (see `alternatives.trend_p`), each of the two shares
        held to half of 1 - `confidence`.

    Raises:
        GivenError: if `audits` is no table of audits.
        SelectionError: if the force has no audit of this area; the message names those it has.
        ValueError: if `confidence` is below 0.5 or not below 1.
    """
    check_confidence(confidence)
    known = _audits(audits, force)
    chosen = [audit for audit in known if audit.area == area]
    if not chosen:
        areas = list(dict.fromkeys(audit.area for audit in known))
        told = vocabulary.near_words(area, areas) if areas else "no audit of it has been transcribed"
        raise SelectionError(f'{force} has no audit of "{area}": {told}')
    shown, left_out = _parted(chosen)
    series, apart = _series(shown)
    return Trend(
        force,
        area,
        confidence,
        tuple(shown),
        tuple(series),
        tuple(left_out),
        tuple(apart),
        _too_few(shown),
        _steady(shown, series, confidence),
        _figures(shown, series, confidence),
    )


def by_area(audits: pl.DataFrame, /, *, force: str, confidence: float = CONFIDENCE) -> ByArea:
    """Put the audits of single areas beside the overall audit of the same inspection.

    Args:
        audits: one row per audit (schema `Audit`).
        force: slug of the force.
        confidence: level of all intervals, between 0 and 1.

    Returns:
        Audits graded by inspectors; shares are fractions. Empty where no source counts the cases of a
        single area.

    Raises:
        GivenError: if `audits` is no table of audits.
        ValueError: if `confidence` is below 0.5 or not below 1.
    """
    check_confidence(confidence)
    graded = [audit for audit in _audits(audits, force) if audit.graded_by == "inspectors"]
    inspections = {audit.inspection_id for audit in graded if audit.area != vocabulary.OVERALL}
    shown, left_out = _parted([audit for audit in graded if audit.inspection_id in inspections])
    shown.sort(key=lambda audit: (audit.month, audit.inspection_id, audit.area != vocabulary.OVERALL))
    return ByArea(
        force,
        confidence,
        tuple(shown),
        tuple(left_out),
        _too_few(shown),
        _figures(shown, [None] * len(shown), confidence),
    )


def _audits(audits: pl.DataFrame, force: str) -> list[GradedAudit]:
    rows = checked_audits(audits).filter(pl.col("force") == force).iter_rows(named=True)
    return sorted((GradedAudit.from_row(row) for row in rows), key=lambda audit: audit.month)


def _too_few(shown: Sequence[GradedAudit]) -> tuple[GradedAudit, ...]:
    return tuple(audit for audit in shown if (audit.n_cases or 0) < FEWEST_CASES)


def _parted(audits: Sequence[GradedAudit]) -> tuple[list[GradedAudit], list[tuple[GradedAudit, str]]]:
    """The audits to show, and the others with the reason."""
    shown, left_out = [], []
    for audit in audits:
        reason = _reason(audit)
        if reason is None:
            shown.append(audit)
        else:
            left_out.append((audit, reason))
    return shown, left_out


def _reason(audit: GradedAudit) -> str | None:
    if not vocabulary.SCALES[audit.scale].grades:
        return "inspectors have published no case grades since February 2024"
    if audit.graded_by != "inspectors":
        return f"graded {vocabulary.GRADERS[audit.graded_by]}"
    if audit.adds_up is False:
        return "the printed grades do not add to the number of cases"
    if audit.n_cases is None:
        return "no source read gives the number of audited cases"
    if all(audit.count(grade) is None for grade in COMPARED) and audit.n_below_good is None:
        return "no source read gives the number at a grade"
    return None


def _series(
    shown: Sequence[GradedAudit],
) -> tuple[list[int | None], list[tuple[GradedAudit, str]]]:
    """Number the audits by series; those that stand alone are named with the reason."""
    numbers: dict[str, int] = {}
    series: list[int | None] = []
    few = _too_few(shown)
    for audit in shown:
        joins = audit.role is not Role.NEITHER and audit not in few
        series.append(numbers.setdefault(audit.scale, len(numbers) + 1) if joins else None)
    apart: list[tuple[GradedAudit, str]] = []
    for place, audit in enumerate(shown):
        if audit in few:
            apart.append((audit, f"fewer than {FEWEST_CASES} cases, too few to compare"))
        elif series[place] is None:
            noun = vocabulary.KINDS[audit.kind].noun
            apart.append((audit, f"a {noun} is neither an inspection nor the follow-up of one"))
        elif series.count(series[place]) == 1 and len(numbers) > 1:
            apart.append((audit, f"no other audit used the same grades ({audit.scale})"))
    return series, apart


def _steady(
    shown: Sequence[GradedAudit], series: Sequence[int | None], confidence: float
) -> tuple[Steady, ...]:
    found = []
    for number in dict.fromkeys(one for one in series if one is not None):
        joined = [audit for audit, one in zip(shown, series, strict=True) if one == number]
        for grade in COMPARED:
            known = [
                (count, audit.n_cases)
                for audit in joined
                if (count := audit.count(grade)) is not None and audit.n_cases is not None
            ]
            if len(known) < FEWEST_AUDITS:
                continue
            at = [count for count, _ in known]
            others = [base - count for count, base in known]
            if not sum(at) or not sum(others):
                continue
            order = list(range(len(known)))
            _, p_value = alternatives.trend_p(at, others, order)
            mean_at = sum(place * n for place, n in zip(order, at, strict=True)) / sum(at)
            mean_others = sum(place * n for place, n in zip(order, others, strict=True)) / sum(others)
            # two shares are looked at: each is held to half the level (Bonferroni)
            is_clear = p_value <= (1 - confidence) / len(COMPARED)
            found.append(Steady(grade, len(known), p_value, mean_at > mean_others, is_clear))
    return tuple(found)


def _figures(
    shown: Sequence[GradedAudit], series: Sequence[int | None], confidence: float
) -> dy.DataFrame[AuditFigure]:
    rows = []
    for audit, number in zip(shown, series, strict=True):
        dated = audit.month
        about = {
            "inspection_id": audit.inspection_id,
            "area": audit.area,
            "dated": dated,
            "drawn_at": f"{dated}-01" if "-" in dated else f"{dated}-07-01",
            "kind": audit.kind,
            "scale": audit.scale,
            "graded_by": audit.graded_by,
            "series": number,
        }
        for figure in shares.share_rows(audit, period=shares.BASELINE, confidence=confidence):
            kept = {
                key: figure[key] for key in ("measure", "value", "lower", "upper", "n_cases", "base", "note")
            }
            rows.append(about | kept)
    schema = AuditFigure.create_empty().schema
    frame = pl.DataFrame(rows, schema=schema | {"drawn_at": pl.String}, orient="row")
    return AuditFigure.validate(frame.with_columns(pl.col("drawn_at").str.to_date()))
