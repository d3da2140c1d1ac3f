"""How often two audits show a change that is really there, and the smallest change that they show.

For a test of one share it is the two-sided test of two independent proportions, with the variance
pooled under no change. For all grades together it is the rank test under proportional odds.
Cases may be fractions here, as a design effect leaves them.
"""

import math
from collections.abc import Sequence

import numpy as np

# the largest table of outcomes that is listed: 600 and 3,000 cases, a few tenths of a second
_MOST_OUTCOMES = 2_000_000


def share_power(start: float, change: float, before: float, after: float, /, *, alpha: float = 0.05) -> float:
    """The chance, 0-1, that a two-sided test at `alpha` shows a change of one share.

    statsmodels' `power_proportions_2indep`, which takes the normal distribution for the binomial.

    Args:
        start: the share before, a fraction 0-1.
        change: the share after less the share before, a signed fraction.
        before: cases of the earlier audit, above 0.
        after: cases of the later audit, above 0.
        alpha: level of the test.

    Returns:
        The power; 1 where both shares are without spread and differ.
    """
    # where it is called, as it takes seconds to import: see compare.change
    from statsmodels.stats.proportion import power_proportions_2indep

    if {start, start + change} == {0.0, 1.0}:
        return 1.0
    power = power_proportions_2indep(
        change, start, after, ratio=before / after, alpha=alpha, return_results=False
    )
    return float(power)


def listed_share_power(
    start: float, change: float, before: int, after: int, /, *, alpha: float = 0.05
) -> float | None:
    """The same chance without an approximation: every pair of counts is listed with its probability.

    Returns:
        The power of the pooled z test; null if there are more pairs than can be listed at once.
    """
    from scipy import stats

    if (before + 1) * (after + 1) > _MOST_OUTCOMES:
        return None
    x, y = np.arange(before + 1)[:, None], np.arange(after + 1)[None, :]
    # adding may leave 1.0000000000000002, for which the distribution is not defined
    end = min(1.0, max(0.0, start + change))
    probability = stats.binom.pmf(x, before, start) * stats.binom.pmf(y, after, end)
    pooled = (x + y) / (before + after)
    variance = pooled * (1 - pooled) * (1 / before + 1 / after)
    largest = float(stats.norm.isf(alpha / 2)) ** 2
    # multiplied out: the variance is 0 where no case or every case has the grade, which shows nothing
    is_shown = (y / after - x / before) ** 2 > largest * variance
    return min(1.0, float(probability[is_shown & (variance > 0)].sum()))


def smallest_change(
    start: float, before: float, after: float, /, *, sign: int, power: float, alpha: float = 0.05
) -> float | None:
    """The smallest rise (`sign` 1) or fall (`sign` -1) of a share that shows with a chance of `power`.

    Args:
        start: the share before, a fraction 0-1.
        before: cases of the earlier audit, above 0.
        after: cases of the later audit, above 0.
        sign: 1 for a rise, -1 for a fall.
        power: the chance aimed at, above `alpha` and below 1.
        alpha: level of the two-sided test.

    Returns:
        The change as a signed fraction; null if even the largest possible one would not show.
    """
    from scipy.optimize import brentq

    limit = (1 - start) if sign > 0 else -start

    def shortfall(change: float) -> float:
        return share_power(start, change, before, after, alpha=alpha) - power

    # the ends themselves have no variance, for which the power is undefined
    nearest, furthest = limit * 1e-6, limit * (1 - 1e-9)
    if limit == 0 or shortfall(furthest) < 0:
        return None
    return float(brentq(shortfall, nearest, furthest, xtol=1e-9))


def shifted(shares: Sequence[float], odds_ratio: float, /) -> tuple[float, ...]:
    """Shares by grade after the odds of a better grade are multiplied, at every step of the scale.

    The model of proportional odds (McCullagh 1980, JRSS B 42:109).

    Args:
        shares: shares at each grade, worst to best; they add to 1.
        odds_ratio: above 1 for better grades, below 1 for worse ones.
    """
    ends = np.cumsum(shares)[:-1]
    # the share at or below a grade: its odds are divided
    below = ends / (ends + odds_ratio * (1 - ends))
    return tuple(float(share) for share in np.diff([0.0, *below, 1.0]))


def grades_power(
    shares: Sequence[float], odds_ratio: float, before: float, after: float, /, *, alpha: float = 0.05
) -> float:
    """The chance, 0-1, that a two-sided rank test of all grades shows a shift by `odds_ratio`.

    Whitehead 1993, Statistics in Medicine 12:2257: the log odds ratio has the information
    n m (1 - sum of cubed mean shares) / (3 (n + m)).

    Args:
        shares: shares at each grade before, worst to best; they add to 1.
        odds_ratio: see `shifted`.
        before: cases of the earlier audit, above 0.
        after: cases of the later audit, above 0.
        alpha: level of the test.
    """
    from scipy import stats

    mean = (before * np.asarray(shares) + after * np.asarray(shifted(shares, odds_ratio))) / (before + after)
    information = before * after / (3 * (before + after)) * (1 - float((mean**3).sum()))
    distance = math.log(odds_ratio) * math.sqrt(information)
    critical = float(stats.norm.isf(alpha / 2))
    return float(stats.norm.sf(critical - distance) + stats.norm.cdf(-critical - distance))


def smallest_odds_ratio(
    shares: Sequence[float], before: float, after: float, /, *, sign: int, power: float, alpha: float = 0.05
) -> float | None:
    """The odds ratio nearest to 1 that shows with a chance of `power`.

    Args:
        shares: shares at each grade before, worst to best; they add to 1.
        before: cases of the earlier audit, above 0.
        after: cases of the later audit, above 0.
        sign: 1 for better grades, -1 for worse ones.
        power: the chance aimed at, above `alpha` and below 1.
        alpha: level of the two-sided test.

    Returns:
        The odds ratio of a better grade; null if none from 1/100 to 100 shows.
    """
    from scipy.optimize import brentq

    def shortfall(log_odds: float) -> float:
        return grades_power(shares, math.exp(sign * log_odds), before, after, alpha=alpha) - power

    most = math.log(100)
    if shortfall(most) < 0:
        return None
    return math.exp(sign * float(brentq(shortfall, 0.0, most, xtol=1e-9)))
