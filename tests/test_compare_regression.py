import math

import pytest
from scipy import stats

from analysis.compare.regression import Regression, concentration, regression_to_the_mean
from analysis.compare.shares import Estimate

SHARES = (0.35, 0.40, 0.25)


def made_up(**changed: object) -> Regression:
    given: dict[str, object] = {
        "base_before": 74,
        "base_after": 34,
        "concentration": 20.0,
        "n_forces": 6000,
        "n_judged": 100,
    }
    return regression_to_the_mean(SHARES, **(given | changed))  # type: ignore[arg-type]


def fall(found: Regression) -> float:
    return found.inadequate[0].value - found.inadequate[1].value


def holds(estimate: Estimate, value: float) -> bool:
    return not estimate.excludes(value)


def expected_first_share(share: float, base: int, chosen: float) -> float:
    """The mean share of the highest part of binomial shares: the tail, and of the tied the rest."""
    total = reached = 0.0
    for n in range(base, -1, -1):
        probability = min(stats.binom.pmf(n, base, share), chosen - reached)
        total += probability * n / base
        reached += probability
        if reached >= chosen:
            break
    return total / chosen


def test_the_same_arguments_give_the_same_result() -> None:
    assert made_up() == made_up()
    assert made_up(seed=1) != made_up(seed=2)


@pytest.mark.parametrize("chosen", [0.1, 1 / 3, 0.5])
def test_the_first_share_of_forces_that_are_alike_is_that_of_the_cut_binomial(chosen: float) -> None:
    found = made_up(concentration=None, chosen=chosen, n_forces=60_000, n_judged=2)
    expected = expected_first_share(SHARES[0], 74, chosen)
    assert found.inadequate[0].value == pytest.approx(expected, abs=0.0015)


def test_forces_that_are_alike_go_all_the_way_back_to_the_mean() -> None:
    found = made_up(concentration=None, n_forces=30_000)
    assert holds(found.inadequate[1], SHARES[0])
    assert holds(found.good[1], SHARES[2])


def test_without_a_choice_nothing_changes_on_average() -> None:
    found = made_up(chosen=1.0, confidence=0.99)
    for before, after in (found.inadequate, found.good):
        assert holds(before, after.value)
        assert holds(after, before.value)


def test_the_more_forces_differ_the_less_of_the_fall_is_luck() -> None:
    falls = [fall(made_up(concentration=one)) for one in (None, 100.0, 20.0, 5.0)]
    assert falls == sorted(falls, reverse=True)
    assert falls[-1] > 0
    # what a share keeps of its distance from the mean is what its reliability says
    for one in (100.0, 20.0, 5.0):
        found = made_up(concentration=one, n_forces=60_000, n_judged=2)
        kept = (found.inadequate[1].value - SHARES[0]) / (found.inadequate[0].value - SHARES[0])
        assert kept == pytest.approx(74 / (74 + one), abs=0.03)


def test_the_smaller_the_first_audit_the_larger_the_fall() -> None:
    assert fall(made_up(base_before=20)) > fall(made_up(base_before=74)) > fall(made_up(base_before=400))


def test_forces_chosen_for_poor_grades_seem_to_get_better_more_often_than_not() -> None:
    chosen, everybody = made_up(concentration=None), made_up(concentration=None, chosen=1.0)
    assert chosen.better.value > 0.4 > everybody.better.value
    assert chosen.good[1].value > chosen.good[0].value


def test_luck_is_called_clear_more_often_among_those_chosen_for_bad_luck() -> None:
    chosen = made_up(concentration=None, n_forces=6000, n_judged=1500)
    everybody = made_up(concentration=None, n_forces=6000, n_judged=1500, chosen=1.0)
    assert chosen.clear_better.value > everybody.clear_better.value
    # one half of at most 5%: the other half of errors is for the worse
    assert everybody.clear_better.value <= 0.04


def test_a_grade_that_no_case_has_stays_empty() -> None:
    found = regression_to_the_mean(
        (0.4, 0.6, 0.0), base_before=50, base_after=30, concentration=10.0, n_forces=600, n_judged=20
    )
    assert (found.good[0].value, found.good[1].value) == (0, 0)


def test_four_grades_are_as_good_as_three() -> None:
    found = regression_to_the_mean(
        (0.3, 0.2, 0.3, 0.2), base_before=50, base_after=30, concentration=None, n_forces=600, n_judged=20
    )
    assert fall(found) > 0


def test_the_simulations_interval_holds_what_more_forces_would_show() -> None:
    truth = expected_first_share(SHARES[0], 74, 1 / 3)
    n_held = {"before": 0, "after": 0}
    for seed in range(300):
        found = made_up(concentration=None, n_forces=900, n_judged=2, seed=seed)
        n_held["before"] += holds(found.inadequate[0], truth)
        n_held["after"] += holds(found.inadequate[1], SHARES[0])
    assert n_held["after"] / 300 >= 0.91
    # where the line between chosen and not lies is chance, too
    assert n_held["before"] / 300 >= 0.91


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"base_before": 1}, "at least 2 cases"),
        ({"base_after": 1}, "at least 2 cases"),
        ({"chosen": 0.0}, "chosen part"),
        ({"chosen": 1.1}, "chosen part"),
        ({"concentration": 0.0}, "concentration"),
        ({"concentration": -1.0}, "concentration"),
        ({"concentration": math.inf}, "concentration"),
        ({"n_judged": 1}, "At least 2 forces"),
        ({"n_judged": 3000}, "no more than are chosen"),
    ],
)
def test_what_cannot_be_simulated_is_refused(changed: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        made_up(**changed)


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.2, -0.2), (), ((0.5, 0.5),), (math.nan, 0.5, 0.5)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="add to 1"):
        regression_to_the_mean(shares, base_before=74, base_after=34, concentration=None)


def test_concentration_gives_the_spread_it_was_asked_for() -> None:
    found = concentration(SHARES, 0.1)
    assert found is not None
    first = stats.beta(SHARES[0] * found, (1 - SHARES[0]) * found)
    assert (first.mean(), first.std()) == pytest.approx((0.35, 0.1))


def test_forces_that_do_not_differ_have_no_concentration() -> None:
    assert concentration(SHARES, 0.0) is None


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_shares_cannot_differ_more_than_between_0_and_1(spread: float) -> None:
    with pytest.raises(ValueError, match="cannot vary"):
        concentration(SHARES, spread)
