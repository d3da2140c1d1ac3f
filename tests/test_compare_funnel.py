import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.compare.funnel import INNER, OUTER, binomial_limits, overdispersion


# the values of the method's plan, to the digits that it prints
@pytest.mark.parametrize(
    ("base", "level", "expected"),
    [
        (34, INNER, (0.179, 0.499)),
        (34, OUTER, (0.097, 0.598)),
        (74, INNER, (0.236, 0.454)),
        (74, OUTER, (0.179, 0.520)),
    ],
)
def test_limits_are_those_of_the_plan(base: int, level: float, expected: tuple[float, float]) -> None:
    assert binomial_limits(0.35, base, level=level) == pytest.approx(expected, abs=5e-4)


def by_hand(target: float, base: int, probability: float) -> float:
    """The published formula, with sums of probabilities in plain Python."""
    total, before, cases = 0.0, 0.0, -1
    while total < probability:
        cases += 1
        before = total
        total += math.comb(base, cases) * target**cases * (1 - target) ** (base - cases)
    return (cases - (total - probability) / (total - before)) / base


@given(st.integers(1, 120), st.floats(0.02, 0.98), st.sampled_from([0.8, INNER, OUTER]))
def test_limits_are_those_of_the_published_formula(base: int, target: float, level: float) -> None:
    lower, upper = binomial_limits(target, base, level=level)
    tail = (1 - level) / 2
    assert lower == pytest.approx(max(0.0, by_hand(target, base, tail)), abs=1e-6)
    assert upper == pytest.approx(max(0.0, by_hand(target, base, 1 - tail)), abs=1e-6)


@given(st.integers(1, 400), st.floats(0.02, 0.98))
def test_the_upper_limit_mirrors_the_lower_one_of_the_other_share_but_for_one_case(
    base: int, target: float
) -> None:
    upper = binomial_limits(target, base, level=INNER)[1]
    mirrored = 1 - binomial_limits(1 - target, base, level=INNER)[0]
    # either may be cut at the end of the scale
    assert upper == pytest.approx(mirrored - 1 / base, abs=1e-6) or mirrored == 1 or upper == 0


@given(st.integers(1, 1000), st.floats(0.001, 0.999), st.sampled_from([INNER, OUTER]))
def test_limits_lie_on_the_scale_in_order_around_the_target(base: int, target: float, level: float) -> None:
    lower, upper = binomial_limits(target, base, level=level)
    assert 0 <= lower <= upper <= 1
    # in very small audits, or of very rare grades, the interpolation may end before the target
    if base * min(target, 1 - target) >= 1:
        assert lower < target < upper


@given(st.integers(1, 400), st.floats(0.02, 0.98), st.floats(0.5, 0.99))
def test_a_higher_level_has_wider_limits(base: int, target: float, level: float) -> None:
    narrow, wide = (binomial_limits(target, base, level=one) for one in (level, (1 + level) / 2))
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@given(st.integers(20, 200), st.floats(0.1, 0.9))
def test_limits_close_in_as_audits_grow(base: int, target: float) -> None:
    limits = [binomial_limits(target, n, level=INNER) for n in (base, base * 2, base * 8)]
    widths = [upper - lower for lower, upper in limits]
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize(("target", "base"), [(0.35, 34), (0.35, 74), (0.24, 30), (0.24, 300), (0.5, 21)])
@pytest.mark.parametrize("level", [INNER, OUTER])
def test_about_so_many_audits_lie_outside_as_the_level_says(target: float, base: int, level: float) -> None:
    shares = np.random.default_rng(2005).binomial(base, target, 200_000) / base
    lower, upper = binomial_limits(target, base, level=level)
    tail = (1 - level) / 2
    noise = 4 * math.sqrt(tail / 200_000)
    below, above = (shares < lower).mean(), (shares > upper).mean()
    # shares come in steps: below there may be one step too few outside, above one too many
    steps = [stats.binom.pmf(stats.binom.ppf(one, base, target), base, target) for one in (tail, 1 - tail)]
    assert tail - steps[0] - noise <= below <= tail + noise
    assert tail - noise <= above <= tail + steps[1] + noise


@pytest.mark.parametrize("target", [0.001, 0.5, 0.999])
def test_an_audit_of_one_case_has_limits(target: float) -> None:
    lower, upper = binomial_limits(target, 1, level=OUTER)
    assert 0 <= lower <= upper <= 1


@pytest.mark.parametrize(
    ("target", "base", "level", "told"),
    [
        (0.0, 30, INNER, "between 0 and 1"),
        (1.0, 30, INNER, "between 0 and 1"),
        (math.nan, 30, INNER, "between 0 and 1"),
        (0.3, 30, 1.0, "between 0 and 1"),
        (0.3, 30, 95, "between 0 and 1"),
        (0.3, 0, INNER, "at least one audited case"),
    ],
)
def test_limits_of_nothing_are_refused(target: float, base: int, level: float, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        binomial_limits(target, base, level=level)


def test_overdispersion_is_the_mean_of_squared_distances_in_standard_errors() -> None:
    # 2 and 1 standard errors of 0.05 away from one half
    assert overdispersion([60, 45], [100, 100], target=0.5) == pytest.approx((4 + 1) / 2)


def test_overdispersion_is_1_where_chance_is_all() -> None:
    counts = np.random.default_rng(1).binomial(74, 0.35, 20_000).tolist()
    assert overdispersion(counts, [74] * 20_000, target=0.35) == pytest.approx(1, abs=0.04)


def test_overdispersion_is_above_1_where_forces_differ() -> None:
    random = np.random.default_rng(1)
    counts = random.binomial(74, random.normal(0.35, 0.1, 20_000).clip(0, 1)).tolist()
    # the variance between forces over that by chance
    expected = 1 + 0.1**2 * (74 - 1) / (0.35 * 0.65)
    assert overdispersion(counts, [74] * 20_000, target=0.35) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("counts", "bases", "target"), [([], [], 0.3), ([1], [10, 20], 0.3), ([1], [10], 0.0), ([1], [10], 1.0)]
)
def test_overdispersion_of_nothing_is_refused(counts: list[int], bases: list[int], target: float) -> None:
    with pytest.raises(ValueError, match=r"Overdispersion|target"):
        overdispersion(counts, bases, target=target)
