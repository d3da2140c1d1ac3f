"""Is a force unusual? The shares of many audits against what chance alone makes of one share.

A funnel plot has the share of each audit over its number of cases, and the limits within which shares
would lie if all audits were of one process. It describes; it ranks nobody (Spiegelhalter 2005,
Statistics in Medicine 24:1185).
"""

import math
from collections.abc import Sequence

# Two limits, as is usual: about 2 and 3 standard deviations.
INNER, OUTER = 0.95, 0.998


def binomial_limits(target: float, base: int, /, *, level: float) -> tuple[float, float]:
    """Between which shares an audit of `base` cases lies, by chance alone, with probability `level`.

    Exact binomial limits, interpolated between whole numbers of cases, so that lines through many
    bases are smooth (Spiegelhalter 2005, appendix A.1.1).

    Args:
        target: the share that all audits would have, between 0 and 1.
        base: audited cases, at least 1.
        level: for example 0.95; half of the rest lies beyond either limit.

    Returns:
        The lower and the upper limit, in this order, as fractions 0-1.

    Raises:
        ValueError: if `target` or `level` is not between 0 and 1, or there are no cases.

    Example:
        >>> lower, upper = binomial_limits(0.35, 34, level=0.95)
        >>> f"{lower:.3f} to {upper:.3f}"
        '0.179 to 0.499'
    """
    if not (0 < target < 1 and 0 < level < 1):
        raise ValueError(f"target and level must lie between 0 and 1, but are {target} and {level}.")
    if base < 1:
        raise ValueError("A limit needs at least one audited case.")
    tail = (1 - level) / 2
    return _limit(target, base, tail), _limit(target, base, 1 - tail)


def _limit(target: float, base: int, probability: float) -> float:
    from scipy import stats

    cases = int(stats.binom.ppf(probability, base, target))
    reached = float(stats.binom.cdf(cases, base, target))
    before = float(stats.binom.cdf(cases - 1, base, target))
    share = (cases - (reached - probability) / (reached - before)) / base
    # below 1 case in `base` the interpolation passes the end of the scale
    return min(max(share, 0.0), 1.0)


def tail(target: float, n: int, base: int, /) -> float:
    """How often chance alone makes a share as far out as `n` of `base`, on its side of the target, 0-1."""
    from scipy import stats

    return float(min(stats.binom.cdf(n, base, target), stats.binom.sf(n - 1, base, target)))


def part_outside(target: float, base: int, /, *, level: float) -> float:
    """The part of audits of `base` cases that chance alone puts outside; at most 1 less the level."""
    from scipy import stats

    half = (1 - level) / 2
    lowest = int(stats.binom.ppf(half, base, target))
    highest = base - int(stats.binom.ppf(half, base, 1 - target))
    return float(stats.binom.cdf(lowest - 1, base, target) + stats.binom.sf(highest, base, target))


def overdispersion(counts: Sequence[int], bases: Sequence[int], /, *, target: float) -> float:
    """How many times as much shares vary as chance alone would make them: 1 if chance is all.

    The mean of squared standardised distances from the target (Spiegelhalter 2005, section 5), none
    cut off. Where it is well above 1, points outside the limits are to be expected.

    Args:
        counts: cases at the grade, one number per audit.
        bases: audited cases, in the same order.
        target: the share that all audits would have, between 0 and 1.

    Raises:
        ValueError: if there are no audits, or not as many bases as counts.
    """
    if len(counts) != len(bases) or not counts:
        raise ValueError("Overdispersion needs at least one audit, and a base for each count.")
    if not 0 < target < 1:
        raise ValueError(f"The target must lie between 0 and 1, but is {target}.")
    variance = target * (1 - target)
    squares = [(n / base - target) ** 2 * base / variance for n, base in zip(counts, bases, strict=True)]
    return math.fsum(squares) / len(squares)


def overdispersion_p(spread: float, n_audits: int, /) -> float:
    """How often chance alone makes an overdispersion so large or larger, 0-1, by the chi-squared distribution.

    Args:
        spread: as from `overdispersion`.
        n_audits: how many audits it is of. One degree of freedom is the target's, which they make.

    Raises:
        ValueError: if there are fewer than two audits.
    """
    from scipy import stats

    if n_audits < 2:
        raise ValueError("Overdispersion can be judged from two audits on.")
    return float(stats.chi2.sf(spread * n_audits, n_audits - 1))
