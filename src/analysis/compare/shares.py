"""Shares of audited cases with their intervals, and the table that every published number stands in."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import dataframely as dy
import polars as pl

from analysis.compare.graded import GradedAudit
from analysis.vocabulary import Grade

# Level of every interval, unless a reader asks for another.
CONFIDENCE = 0.95
BASELINE, FOLLOW_UP, CHANGE = "baseline", "follow_up", "change"
PERIODS = (BASELINE, FOLLOW_UP, CHANGE)


class Figure(dy.Schema):
    """Grain: one row per measure and period: every number that is published, with interval and base.

    Ordered by measure, worst grade first, then period. Shares and changes of shares are fractions
    (0.31 is 31%; -0.05 is a fall of 5 percentage points). A null value could not be worked out:
    `note` says why.
    """

    force = dy.String(nullable=False, metadata={"description": "Slug of the force"})
    measure = dy.String(
        primary_key=True,
        metadata={
            "description": "`share_…` (share of audited cases at a grade), `superiority` (chance that a "
            "follow-up case has the better grade, ties as half), `detectable_change_…` (smallest change "
            "of a share that the two audits show with 80% power)"
        },
    )
    period = dy.String(
        primary_key=True,
        check={"known": lambda column: column.is_in(list(PERIODS))},
        metadata={"description": "`baseline`, `follow_up`, or `change` (follow-up less baseline)"},
    )
    value = dy.Float64(
        nullable=True,
        metadata={
            "description": "The estimate as a fraction: 0.31 is 31%, and as a change 0.05 is a rise of 5 percentage "
            "points; null if it cannot be worked out"
        },
    )
    lower = dy.Float64(nullable=True, metadata={"description": "Lower end of the interval, in the same unit"})
    upper = dy.Float64(nullable=True, metadata={"description": "Upper end of the interval, in the same unit"})
    n_cases = dy.Int64(
        nullable=True,
        metadata={"description": "Cases at the grade; null for changes", "unit": "cases"},
    )
    base = dy.Int64(
        nullable=True,
        metadata={"description": "Audited cases the figure rests on", "unit": "cases"},
    )
    note = dy.String(nullable=True, metadata={"description": "How to read it, or why it is missing"})


@dataclass(frozen=True)
class Estimate:
    """A number with its interval. Both ends are null where the method gives no interval."""

    value: float
    lower: float | None
    upper: float | None

    def excludes(self, point: float, /) -> bool:
        """Whether the interval lies wholly on one side of `point`; false without an interval."""
        if self.lower is None or self.upper is None:
            return False
        return self.lower > point or self.upper < point


def share(n: int | Fraction, base: int | Fraction, /, *, confidence: float = CONFIDENCE) -> Estimate:
    """The share `n / base` with its Wilson interval (Wilson 1927, JASA 22:209).

    Args:
        n: cases counted, 0 to `base`; they may be fractions, for what-ifs.
        base: audited cases, at least 1.
        confidence: level of the interval, between 0 and 1.

    Returns:
        Fractions 0-1; the interval always holds the share.

    Raises:
        ValueError: if there are no cases, or more counted than audited.

    Example:
        >>> one = share(9, 34)
        >>> f"{one.value:.3f} ({one.lower:.3f} to {one.upper:.3f})"
        '0.265 (0.146 to 0.431)'
    """
    # where it is called, as it takes seconds to import: see compare.change
    from statsmodels.stats.proportion import proportion_confint

    check_share(n, base)
    lower, upper = proportion_confint(float(n), float(base), alpha=1 - confidence, method="wilson")
    # the ends of 0 of n and n of n are 0 and 1 exactly; floating point may miss them by 1e-17
    return Estimate(float(n / base), max(0.0, float(lower)), min(1.0, float(upper)))


def check_share(n: int | Fraction, base: int | Fraction, /) -> None:
    """Refuse counts that make no share.

    Raises:
        ValueError: if there are no cases, or more counted than audited.
    """
    if base < 1:
        raise ValueError("a share needs at least one audited case")
    if not 0 <= n <= base:
        raise ValueError(f"{n} of {base} is no share")


def share_rows(audit: GradedAudit, /, *, period: str, confidence: float) -> list[dict[str, object]]:
    """Figures (schema `Figure`) for each grade of an audit's scale, worst to best.

    A grade whose count is unknown is present with a null value and the reason.
    """
    rows: list[dict[str, object]] = []
    for grade, count in audit.counts.items():
        row: dict[str, object] = {
            "force": audit.force,
            "measure": measure_of(grade),
            "period": period,
            "value": None,
            "lower": None,
            "upper": None,
            "n_cases": count,
            "base": audit.n_cases,
            "note": None,
        }
        if audit.adds_up is False:
            row["note"] = "not worked out: the printed grades do not add to the number of cases"
        elif count is None or audit.n_cases is None:
            row["note"] = f"not worked out: {missing_count(audit, grade)}"
        else:
            estimate = share(count, audit.n_cases, confidence=confidence)
            row |= {"value": estimate.value, "lower": estimate.lower, "upper": estimate.upper}
            row["note"] = f"{count} of {audit.n_cases} audited cases"
            if f"n_{grade.column}" in audit.derived:
                row["note"] = f"{row['note']}; the count is not printed but follows by arithmetic"
        rows.append(row)
    if audit.n_below_good is not None and None in (
        audit.count(Grade.REQUIRES_IMPROVEMENT),
        audit.count(Grade.INADEQUATE),
    ):
        rows.append(_below_good_row(audit, period=period, confidence=confidence))
    return rows


def _below_good_row(audit: GradedAudit, *, period: str, confidence: float) -> dict[str, object]:
    n, base = audit.n_below_good, audit.n_cases
    known = n is not None and base is not None
    estimate = share(n, base, confidence=confidence) if n is not None and base is not None else None
    return {
        "force": audit.force,
        "measure": "share_below_good",
        "period": period,
        "value": estimate.value if estimate else None,
        "lower": estimate.lower if estimate else None,
        "upper": estimate.upper if estimate else None,
        "n_cases": n,
        "base": base,
        "note": f"{n} of {base} audited cases; requires improvement and inadequate are not told apart"
        if known
        else "not worked out: no source read gives the number of audited cases",
    }


def missing_count(audit: GradedAudit, grade: Grade, /) -> str:
    """Why there is no share of `grade`: the number of cases or the count is in no source read."""
    if audit.n_cases is None:
        return "no source read gives the number of audited cases"
    return f"no source read gives the number graded {grade.value}"


def measure_of(grade: Grade, /) -> str:
    """The name of the measure that is the share of cases at `grade`."""
    return f"share_{grade.column}"


def as_figures(rows: Sequence[dict[str, object]], /) -> dy.DataFrame[Figure]:
    """Rows as a table of figures, ordered by measure (in order of first appearance), then period."""
    frame = pl.DataFrame(rows, schema=Figure.create_empty().schema, orient="row")
    measures = list(dict.fromkeys(frame["measure"]))
    ordered = frame.sort(
        pl.col("measure").replace_strict(measures, range(len(measures)), return_dtype=pl.Int64),
        pl.col("period").replace_strict(PERIODS, range(len(PERIODS)), return_dtype=pl.Int64),
    )
    return Figure.validate(ordered)
