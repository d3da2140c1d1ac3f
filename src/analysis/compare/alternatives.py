"""The same before/after question asked in other defensible ways.

Only what the libraries lack or do wrong is written here; what they do right is called where
it is needed. Counts are whole numbers of cases, worst grade first, as everywhere.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.compare.shares import CONFIDENCE


class Posterior(NamedTuple):
    """Posterior probabilities, each 0-1, that the cases behind two audits changed in a given way.

    `superiority` is the probability that theta exceeds one half, where theta is the chance that
    a case of the later period has the better grade, ties counted half.
    """

    good_up: float
    inadequate_down: float
    both: float
    superiority: float


def miettinen_nurminen(
    x1: int, n1: int, x2: int, n2: int, /, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Find the score interval for the difference of two independent shares, x1/n1 - x2/n2.

    The interval holds every difference that a score test does not reject, with the variance
    taken at the likeliest shares that differ by just so much and multiplied by N/(N-1), where
    N = n1 + n2 (Miettinen & Nurminen 1985, Statistics in Medicine 4:213). It stands in for
    statsmodels' `confint_proportions_2indep(method="score")`, which is wrong (issue #10269).

    Args:
        x1: cases that have the grade in the first audit.
        n1: cases in the first audit.
        x2: cases that have the grade in the second audit.
        n2: cases in the second audit.
        confidence: coverage aimed at, a fraction between 0 and 1.

    Returns:
        The lower and the upper limit, in this order, as fractions from -1 to 1 (not points).
        The difference observed is never outside.

    Raises:
        ValueError: if an audit has no cases, if a count is negative, fractional or larger than
            its audit, or if `confidence` is not between 0 and 1.
    """
    # where it is called, as it takes seconds to import: see compare.change
    from scipy import stats

    for x, n in ((x1, n1), (x2, n2)):
        if x > n:
            raise ValueError(f"{x} cases of {n} is impossible: a count must not exceed its audit.")
        _audit([n - x, x])
    if not 0 < confidence < 1:
        raise ValueError(f"The confidence must lie between 0 and 1, but is {confidence}.")
    observed = x1 / n1 - x2 / n2
    both = n1 + n2
    largest = float(stats.chi2.ppf(confidence, 1)) * both / (both - 1)

    def is_accepted(difference: float) -> bool:
        second = _likeliest_second_share(x1, n1, x2, n2, difference)
        first = second + difference
        variance = first * (1 - first) / n1 + second * (1 - second) / n2
        # multiplied out: at 0 of n and n of n the variance is 0, and a quotient would fail
        return (observed - difference) ** 2 <= largest * variance

    return _last_that_holds(observed, -1.0, is_accepted), _last_that_holds(observed, 1.0, is_accepted)


def permutation_p(counts_before: Sequence[int], counts_after: Sequence[int], /) -> float:
    """Test exactly whether the two audits could be one set of cases dealt out at random.

    The statistic is the sum of midranks of one audit (the rank-sum test for ties of Lehmann
    1975, Nonparametrics, chapter 1); every way to deal the cases out is counted, so that
    neither ties nor small audits need an approximation.

    Args:
        counts_before: cases per grade in the earlier audit, worst grade first.
        counts_after: cases per grade in the later audit, same grades and order.

    Returns:
        The two-sided p-value, 0-1: the probability of a rank sum at least as far from its
        expectation as the observed one. Unchanged when the audits are swapped.

    Raises:
        ValueError: if an audit has no cases, if a count is negative or fractional, or if the
            audits differ in their number of grades.
    """
    _, _, totals = _pair(counts_before, counts_after)
    # twice the midrank, so that every score is whole
    midranks = [2 * sum(totals[:grade]) + total + 1 for grade, total in enumerate(totals)]
    return trend_p(counts_before, counts_after, midranks)[1]


def trend_p(
    counts_a: Sequence[int], counts_b: Sequence[int], scores: Sequence[float], /
) -> tuple[float, float]:
    """Test exactly for a linear trend over ordered columns, with the given scores.

    The statistic is the sum of scores of one group, given all totals (Graubard & Korn 1987,
    Biometrics 43:471; Mehta, Patel & Senchaudhuri 1992, JCGS 1:21, as in StatXact).

    Args:
        counts_a: cases per column in one group.
        counts_b: cases per column in the other group, same columns.
        scores: the distance of each column on the scale of the trend; any unit, any origin.

    Returns:
        The one-sided and the two-sided p-value, in this order, each 0-1. One-sided is the
        smaller tail, observed sum included; two-sided is the probability of a sum at least as
        far from its expectation as the observed one. Unchanged when the groups are swapped.

    Raises:
        ValueError: if a group has no cases, if a count is negative or fractional, if the
            lengths differ, or if a score is not finite or has too many decimals to be exact.
    """
    smaller, _, totals = _pair(counts_a, counts_b)
    if len(scores) != len(totals):
        raise ValueError(f"{len(totals)} columns need as many scores, but {len(scores)} are given.")
    drawn = sum(smaller)
    cases = sum(totals)
    whole = _whole_numbers(scores)
    if (cases + 1) * (drawn * max(whole) + 1) >= 2**63:
        raise ValueError("The scores have too many decimals to be added exactly: round them.")
    sums, weights = _score_sums(drawn, totals, whole)
    observed = sum(count * score for count, score in zip(smaller, whole, strict=True))
    # times the number of cases, so that distances from the expectation compare as whole numbers
    expected = drawn * sum(total * score for total, score in zip(totals, whole, strict=True))
    is_as_far = np.abs(sums * cases - expected) >= abs(observed * cases - expected)
    lower, upper, two_sided = (
        float(weights[tail].sum() / weights.sum()) for tail in (sums <= observed, sums >= observed, is_as_far)
    )
    return min(lower, upper), min(two_sided, 1.0)


def freeman_halton_p(table: Sequence[Sequence[int]], /) -> float:
    """Test two audits for any difference at all, the order of grades ignored.

    Every table with the same totals is listed, and those no likelier than the observed one are
    added up (Freeman & Halton 1951, Biometrika 38:141). With two columns this is Fisher's exact
    test. `scipy.stats.fisher_exact` estimates the same by unseeded simulation.

    Args:
        table: two rows of counts, one per audit; columns are grades, in any order.

    Returns:
        The p-value, 0-1. Unchanged when rows or columns are swapped.

    Raises:
        ValueError: if there are not two rows, if the rows differ in length, if a row has no
            cases, or if a count is negative or fractional.
    """
    from scipy import stats

    if len(table) != 2:
        raise ValueError(f"The table must have two rows, one per audit, but has {len(table)}.")
    smaller, _, totals = _pair(table[0], table[1])
    drawn = sum(smaller)
    free = product(*(range(min(total, drawn) + 1) for total in totals[:-1]))
    rows = [(*row, drawn - sum(row)) for row in free if 0 <= drawn - sum(row) <= totals[-1]]
    probabilities = stats.multivariate_hypergeom.pmf(rows, totals, drawn)
    observed = probabilities[rows.index(tuple(smaller))]
    # equally likely tables differ by rounding in the last digits: count them in, as R does
    is_no_likelier = probabilities <= observed * (1 + 1e-7)
    return min(float(probabilities[is_no_likelier].sum() / probabilities.sum()), 1.0)


def posterior_probabilities(
    before: Sequence[int],
    after: Sequence[int],
    /,
    *,
    prior: float = 0.5,
    draws: int = 200_000,
    seed: int = 1998,
) -> Posterior:
    """Simulate how probable each kind of change is, given the two audits and a prior.

    Each audit's shares have a Dirichlet posterior with parameters counts + `prior`, the audits
    apart (Gelman et al. 2013, Bayesian Data Analysis, section 3.4; one half is Jeffreys' prior).

    Args:
        before: cases per grade in the earlier audit, worst grade first, best grade last.
        after: cases per grade in the later audit, same grades and order.
        prior: pseudo-cases added to every grade of each audit, above 0.
        draws: simulated pairs of shares; 200,000 leave a standard error of 0.0011 at most.
        seed: of the random numbers. The same arguments always give the same result.

    Returns:
        Probabilities 0-1, see `Posterior`: best grade more frequent, worst grade less frequent,
        both at once, theta above one half.

    Raises:
        ValueError: if an audit has no cases, if a count is negative or fractional, if the
            audits differ in their number of grades, or if `prior` or `draws` is not above 0.
    """
    _pair(before, after)
    if not (0 < prior < math.inf and draws > 0):
        raise ValueError(f"The prior and the draws must be above 0, but are {prior} and {draws}.")
    generator = np.random.default_rng(seed)
    earlier = generator.dirichlet(np.asarray(before) + prior, size=draws)
    later = generator.dirichlet(np.asarray(after) + prior, size=draws)
    is_good_up = later[:, -1] > earlier[:, -1]
    is_inadequate_down = later[:, 0] < earlier[:, 0]
    worse_or_half_of_ties = earlier.cumsum(axis=1) - earlier / 2
    theta = (later * worse_or_half_of_ties).sum(axis=1)
    return Posterior(
        good_up=float(is_good_up.mean()),
        inadequate_down=float(is_inadequate_down.mean()),
        both=float((is_good_up & is_inadequate_down).mean()),
        superiority=float((theta > 0.5).mean()),
    )


def _likeliest_second_share(x1: int, n1: int, x2: int, n2: int, difference: float) -> float:
    """Maximise the likelihood over the second share, the first being it plus `difference`."""
    lowest, highest = max(0.0, -difference), min(1.0, 1.0 - difference)

    def is_rising(second: float) -> bool:
        first = second + difference
        # derivative of the log-likelihood, times both p(1 - p), which keeps its sign
        slope = (x1 - n1 * first) * second * (1 - second) + (x2 - n2 * second) * first * (1 - first)
        return slope > 0

    return _last_that_holds(lowest, highest, is_rising)


def _last_that_holds(start: float, end: float, holds: Callable[[float], bool]) -> float:
    """Halve the way from `start`, where the claim holds, to `end` until the change is found."""
    for _ in range(52):  # the bits of a float
        middle = (start + end) / 2
        if holds(middle):
            start = middle
        else:
            end = middle
    return start


def _score_sums(
    drawn: int, totals: Sequence[int], scores: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Convolve the columns: every possible sum of scores of `drawn` cases, with its weight.

    Weights are proportional to probabilities. They are products of binomial probabilities, since
    independent binomials given their sum are the hypergeometric draw; unlike numbers of ways,
    these neither overflow nor need big integers.
    """
    from scipy import stats

    share = drawn / sum(totals)
    # cases taken so far and their sum of scores are one number, so that equal states merge fast
    base = drawn * max(scores) + 1
    taken: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
    sums: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
    weights: NDArray[np.float64] = np.ones(1)
    for total, score in zip(totals[:-1], scores[:-1], strict=True):
        more = np.arange(min(total, drawn) + 1, dtype=np.int64)
        state = np.add.outer(taken * base + sums, more * (base + score))
        weight = np.multiply.outer(weights, stats.binom.pmf(more, total, share))
        is_possible = np.add.outer(taken, more) <= drawn
        distinct, place = np.unique(state[is_possible], return_inverse=True)
        weights = np.bincount(place, weight[is_possible]).astype(np.float64)
        taken, sums = distinct // base, distinct % base
    rest = drawn - taken
    return sums + rest * scores[-1], weights * stats.binom.pmf(rest, totals[-1], share)


def _whole_numbers(scores: Sequence[float]) -> list[int]:
    """Turn scores into whole numbers from 0 with the same ratios of distances."""
    if not all(math.isfinite(score) for score in scores):
        raise ValueError(f"Scores must be finite numbers, but are {', '.join(map(str, scores))}.")
    # through the text: 0.1 is meant as one tenth, not as the float next to it
    exact = [Fraction(str(score)) for score in scores]
    unit = math.lcm(*(score.denominator for score in exact))
    whole = [int((score - min(exact)) * unit) for score in exact]
    divisor = math.gcd(*whole) or 1
    return [score // divisor for score in whole]


def _pair(one: Sequence[int], other: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Check two audits; return the smaller, the larger and the totals per grade."""
    if len(one) != len(other):
        raise ValueError(f"The audits must have the same grades, but have {len(one)} and {len(other)}.")
    first, second = sorted((_audit(one), _audit(other)), key=sum)
    return first, second, [a + b for a, b in zip(first, second, strict=True)]


def _audit(counts: Sequence[int]) -> list[int]:
    shown = ", ".join(map(str, counts))
    if len(counts) < 2:
        raise ValueError(f"An audit needs at least two grades, but has {len(counts)}.")
    if any(count < 0 or count != int(count) for count in counts):
        raise ValueError(f"Counts must be whole numbers of cases, none negative, but are {shown}.")
    if sum(counts) == 0:
        raise ValueError("An audit without cases has no shares to compare: leave it out.")
    return [int(count) for count in counts]
