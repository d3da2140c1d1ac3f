from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.compare import change, detect

WARWICKSHIRE = (28 / 74, 23 / 74, 23 / 74)
BOTH = (74, 34)
cases = st.integers(20, 400)
shares = st.floats(0.05, 0.95)


@pytest.mark.parametrize(("start", "sign", "points"), [(23 / 74, 1, 28), (28 / 74, -1, -25)])
def test_smallest_changes_are_those_of_the_method(start: float, sign: int, points: int) -> None:
    found = detect.smallest_change(start, *BOTH, sign=sign, power=0.8)
    assert found is not None
    assert round(100 * found) == points


@pytest.mark.parametrize(("n", "base", "after", "sign"), [(23, 74, 34, 1), (28, 74, 34, -1), (2, 83, 31, 1)])
def test_a_report_and_a_plan_give_the_same_smallest_change(n: int, base: int, after: int, sign: int) -> None:
    planned = detect.smallest_change(n / base, base, after, sign=sign, power=change.POWER)
    assert planned == change.smallest_detectable_change(n, base, after, sign=sign)


@given(start=shares, before=cases, after=cases, is_rise=st.booleans(), power=st.sampled_from([0.5, 0.8, 0.9]))
def test_the_smallest_change_shows_just_as_often_as_promised(
    start: float, before: int, after: int, is_rise: bool, power: float
) -> None:
    found = detect.smallest_change(start, before, after, sign=1 if is_rise else -1, power=power)
    if found is not None:
        assert (found > 0) is is_rise
        assert detect.share_power(start, found, before, after) == pytest.approx(power, abs=1e-6)


@given(start=shares, size=st.floats(0.01, 0.9), more=st.floats(1.05, 2), before=cases, after=cases)
def test_a_larger_change_shows_no_less_often(
    start: float, size: float, more: float, before: int, after: int
) -> None:
    smaller, larger = (1 - start) * size / 2, (1 - start) * size / 2 * more
    less, greater = (detect.share_power(start, change, before, after) for change in (smaller, larger))
    # below the level of the test itself the approximation is not in order
    assert greater >= less or less < 0.1


def test_a_change_from_no_case_to_every_case_always_shows() -> None:
    assert detect.share_power(0.0, 1.0, *BOTH) == 1.0
    assert detect.share_power(1.0, -1.0, *BOTH) == 1.0


def test_there_is_no_smallest_change_where_there_is_no_room() -> None:
    assert detect.smallest_change(1.0, *BOTH, sign=1, power=0.8) is None
    assert detect.smallest_change(0.02, *BOTH, sign=-1, power=0.8) is None


@pytest.mark.parametrize(
    ("start", "size"), [(23 / 74, 0.28), (28 / 74, -0.25), (0.5, 0.2), (0.2, 0.15), (0.8, -0.3)]
)
def test_listing_every_outcome_agrees_with_the_normal_approximation(start: float, size: float) -> None:
    listed = detect.listed_share_power(start, size, *BOTH)
    assert listed == pytest.approx(detect.share_power(start, size, *BOTH), abs=0.03)


def test_listing_every_outcome_agrees_with_a_simulation() -> None:
    random = np.random.default_rng(7)
    x, y = random.binomial(74, 0.3, 100_000), random.binomial(34, 0.5, 100_000)
    pooled = (x + y) / 108
    z = (y / 34 - x / 74) / np.sqrt(pooled * (1 - pooled) * (1 / 34 + 1 / 74))
    shown = float((abs(z) > NormalDist().inv_cdf(0.975)).mean())
    # three standard errors
    assert detect.listed_share_power(0.3, 0.2, *BOTH) == pytest.approx(shown, abs=0.005)


def test_tables_too_large_to_list_are_not_listed() -> None:
    assert detect.listed_share_power(0.3, 0.1, 2_000, 2_000) is None


@pytest.mark.parametrize(("odds_ratio", "power"), [(2.0, 0.46), (2.5, 0.65), (3.0, 0.81)])
def test_power_of_all_grades_is_that_of_the_method(odds_ratio: float, power: float) -> None:
    # those are simulated; the formula is one for large audits
    assert detect.grades_power(WARWICKSHIRE, odds_ratio, *BOTH) == pytest.approx(power, abs=0.025)


def test_power_of_all_grades_is_what_the_rank_test_has_in_a_simulation() -> None:
    random = np.random.default_rng(7)
    end = detect.shifted(WARWICKSHIRE, 3.0)
    before, after = random.multinomial(74, WARWICKSHIRE, 1500), random.multinomial(34, end, 1500)
    shown = [
        change.superiority(one, other).excludes(0.5)
        for one, other in zip(before.tolist(), after.tolist(), strict=True)
    ]
    assert np.mean(shown) == pytest.approx(detect.grades_power(WARWICKSHIRE, 3.0, *BOTH), abs=0.04)


@given(odds_ratio=st.floats(0.05, 20))
def test_a_shift_multiplies_the_odds_at_every_step_of_the_scale(odds_ratio: float) -> None:
    end = detect.shifted(WARWICKSHIRE, odds_ratio)
    assert sum(end) == pytest.approx(1)
    for step in (1, 2):
        better_before, better_after = sum(WARWICKSHIRE[step:]), sum(end[step:])
        ratio = better_after / (1 - better_after) / (better_before / (1 - better_before))
        assert ratio == pytest.approx(odds_ratio)


@given(before=cases, after=cases, sign=st.sampled_from([1, -1]))
def test_the_smallest_shift_shows_just_as_often_as_promised(before: int, after: int, sign: int) -> None:
    found = detect.smallest_odds_ratio(WARWICKSHIRE, before, after, sign=sign, power=0.8)
    assert found is not None
    assert (found > 1) is (sign > 0)
    assert detect.grades_power(WARWICKSHIRE, found, before, after) == pytest.approx(0.8, abs=1e-6)


def test_there_is_no_smallest_shift_for_a_handful_of_cases() -> None:
    assert detect.smallest_odds_ratio(WARWICKSHIRE, 2, 2, sign=1, power=0.8) is None
