from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from analysis.compare.alternatives import (
    freeman_halton_p,
    miettinen_nurminen,
    permutation_p,
    posterior_probabilities,
    trend_p,
)

# inadequate, requires improvement, good
WARWICKSHIRE = ((28, 23, 23), (10, 15, 9))
NORTH_YORKSHIRE = ((26, 34, 13), (14, 8, 11))
PRINTED_4 = 5e-5


def audits(most=40, grades=3):
    return st.lists(st.integers(0, most), min_size=grades, max_size=grades).filter(any)


@st.composite
def shares(draw, most=40):
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


@pytest.mark.parametrize(
    ("after_and_before", "expected"),
    [
        pytest.param((9, 34, 23, 74), (-0.2148, 0.1477), id="Warwickshire good"),
        pytest.param((10, 34, 28, 74), (-0.2596, 0.1144), id="Warwickshire inadequate"),
        pytest.param((11, 33, 13, 73), (-0.0164, 0.3447), id="North Yorkshire good"),
        pytest.param((14, 33, 26, 73), (-0.1256, 0.2681), id="North Yorkshire inadequate"),
    ],
)
def test_score_interval_of_the_two_known_pairs(after_and_before, expected):
    assert miettinen_nurminen(*after_and_before) == pytest.approx(expected, abs=PRINTED_4)


@pytest.mark.parametrize(
    ("pair", "permutation", "freeman_halton"),
    [
        pytest.param(WARWICKSHIRE, 0.7998, 0.5102, id="Warwickshire"),
        pytest.param(NORTH_YORKSHIRE, 0.6923, 0.0630, id="North Yorkshire"),
    ],
)
def test_exact_p_values_of_the_two_known_pairs(pair, permutation, freeman_halton):
    assert permutation_p(*pair) == pytest.approx(permutation, abs=PRINTED_4)
    assert freeman_halton_p(pair) == pytest.approx(freeman_halton, abs=PRINTED_4)


def test_exact_linear_trend_of_warwickshire():
    assert trend_p(*WARWICKSHIRE, (0, 1, 2))[1] == pytest.approx(0.898, abs=5e-4)


# From 100 million draws; the first two of each also by integrating over Beta densities. 0.001 is
# three standard errors of the 2 million draws tested.
@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        pytest.param(WARWICKSHIRE, (0.3083, 0.8089, 0.2890, 0.6076), id="Warwickshire"),
        pytest.param(NORTH_YORKSHIRE, (0.9571, 0.2612, 0.2596, 0.6467), id="North Yorkshire"),
    ],
)
def test_posterior_probabilities_of_the_two_known_pairs(pair, expected):
    assert posterior_probabilities(*pair, draws=2_000_000) == pytest.approx(expected, abs=1e-3)


def test_default_draws_give_two_decimals():
    default = posterior_probabilities(*WARWICKSHIRE)
    assert default == pytest.approx((0.308, 0.809, 0.289, 0.608), abs=0.003)
    assert default == posterior_probabilities(*WARWICKSHIRE)
    assert default != posterior_probabilities(*WARWICKSHIRE, seed=1)


@pytest.mark.parametrize("prior", [1 / 3, 1])
def test_other_usual_priors_shift_the_posterior_by_about_one_hundredth(prior):
    for pair in (WARWICKSHIRE, NORTH_YORKSHIRE):
        usual = posterior_probabilities(*pair)
        assert posterior_probabilities(*pair, prior=prior) == pytest.approx(usual, abs=0.012)


@given(shares(), shares())
@settings(max_examples=60)
def test_swapping_the_audits_negates_the_score_interval(one, other):
    lower, upper = miettinen_nurminen(*one, *other)
    assert miettinen_nurminen(*other, *one) == pytest.approx((-upper, -lower), abs=1e-9)


@given(shares(), shares())
@settings(max_examples=60)
def test_score_interval_contains_the_difference_and_stays_in_range(one, other):
    lower, upper = miettinen_nurminen(*one, *other)
    observed = one[0] / one[1] - other[0] / other[1]
    assert -1 <= lower <= observed <= upper <= 1
    assert lower < upper


@given(shares(), shares(), st.integers(2, 10))
@settings(max_examples=60)
def test_score_interval_narrows_when_the_audits_grow_at_the_same_shares(one, other, times):
    lower, upper = miettinen_nurminen(*one, *other)
    larger = miettinen_nurminen(*(times * count for count in (*one, *other)))
    assert lower <= larger[0] < larger[1] <= upper
    assert larger[1] - larger[0] < upper - lower


@given(shares(), shares())
@settings(max_examples=60)
def test_score_interval_widens_with_the_confidence(one, other):
    narrow, wide = (miettinen_nurminen(*one, *other, confidence=level) for level in (0.8, 0.99))
    assert wide[0] <= narrow[0] < narrow[1] <= wide[1]


@pytest.mark.parametrize("counts", [(0, 9, 0, 5), (9, 9, 5, 5), (0, 9, 5, 5), (9, 9, 0, 5), (0, 1, 1, 1)])
def test_score_interval_exists_where_nobody_or_everybody_has_the_grade(counts):
    lower, upper = miettinen_nurminen(*counts)
    observed = counts[0] / counts[1] - counts[2] / counts[3]
    assert (lower == -1) == (observed == -1)
    assert (upper == 1) == (observed == 1)
    assert upper - lower > 0.2


@given(shares(), shares())
@settings(max_examples=60)
def test_limits_are_where_an_independently_maximised_likelihood_puts_the_score(one, other):
    # a generic optimiser and the definition of the statistic, sharing no code with the interval
    (x1, n1), (x2, n2) = one, other

    def score(difference):
        def minus_log_likelihood(second):
            first = second + difference
            return -sum(
                special.xlogy(x, p) + special.xlogy(n - x, 1 - p)
                for x, n, p in ((x1, n1, first), (x2, n2, second))
            )

        bounds = max(0.0, -difference), min(1.0, 1 - difference)
        second = optimize.minimize_scalar(
            minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-10}
        ).x
        first = second + difference
        variance = (first * (1 - first) / n1 + second * (1 - second) / n2) * (n1 + n2) / (n1 + n2 - 1)
        return (x1 / n1 - x2 / n2 - difference) ** 2 / variance

    for limit in miettinen_nurminen(*one, *other):
        if abs(limit) < 1 - 1e-6:
            assert score(limit) == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-3)


@given(audits(), audits())
@settings(max_examples=60)
def test_swapping_the_audits_keeps_the_exact_p_values(before, after):
    assert permutation_p(after, before) == pytest.approx(permutation_p(before, after))
    assert freeman_halton_p([after, before]) == pytest.approx(freeman_halton_p([before, after]))
    assert trend_p(after, before, (0, 1, 5)) == pytest.approx(trend_p(before, after, (0, 1, 5)))


@given(audits(), audits())
@settings(max_examples=60)
def test_reversing_the_scale_keeps_the_exact_p_values(before, after):
    assert permutation_p(before[::-1], after[::-1]) == pytest.approx(permutation_p(before, after))
    assert freeman_halton_p([before[::-1], after[::-1]]) == pytest.approx(freeman_halton_p([before, after]))


@given(audits(most=20), st.integers(1, 4))
@settings(max_examples=60)
def test_audits_with_equal_shares_have_p_one(before, times):
    after = [times * count for count in before]
    assert permutation_p(before, after) == 1
    assert freeman_halton_p([before, after]) == 1
    assert trend_p(before, after, (0, 1, 2))[1] == 1


@given(audits(grades=2), audits(grades=2))
@settings(max_examples=60)
def test_two_by_two_freeman_halton_is_fisher(before, after):
    table = [before, after]
    assert freeman_halton_p(table) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-6)


@given(audits(grades=2), audits(grades=2))
@settings(max_examples=60)
def test_one_sided_trend_over_two_columns_is_one_sided_fisher(before, after):
    tails = [stats.fisher_exact([before, after], alternative=tail).pvalue for tail in ("less", "greater")]
    assert trend_p(before, after, (0, 1))[0] == pytest.approx(min(tails), rel=1e-6)


@given(audits(most=2), audits(most=2))
@settings(max_examples=60)
def test_permutation_p_counts_every_way_to_deal_the_cases_out(before, after):
    grades = np.repeat([0, 1, 2, 0, 1, 2], [*before, *after])
    drawn = sum(before)
    ranks = stats.rankdata(grades)
    expected = drawn * ranks.mean()
    distances = [abs(ranks[list(dealt)].sum() - expected) for dealt in combinations(range(len(ranks)), drawn)]
    # the first way dealt is the observed one; ranks are halves, and the mean may be any fraction
    is_as_far = np.array(distances) >= distances[0] - 1e-9
    assert permutation_p(before, after) == pytest.approx(is_as_far.mean())


@given(audits(), audits(), st.integers(-5, 5), st.sampled_from([0.1, 0.25, 3, -2]))
@settings(max_examples=60)
def test_trend_depends_neither_on_the_origin_nor_on_the_unit_of_the_scores(before, after, origin, unit):
    scores = [0, 1, 3]
    moved = [round(origin + unit * score, 6) for score in scores]
    assert trend_p(before, after, moved) == pytest.approx(trend_p(before, after, scores))


@given(audits(), audits())
@settings(max_examples=60)
def test_p_values_are_probabilities_above_zero(before, after):
    one_sided, two_sided = trend_p(before, after, (0, 1, 2))
    for p in (one_sided, two_sided, permutation_p(before, after), freeman_halton_p([before, after])):
        assert 0 < p <= 1
    assert one_sided <= two_sided + 1e-12


@given(audits(), audits())
@settings(max_examples=20)
def test_swapping_the_audits_turns_the_posterior_round(before, after):
    forward, back = posterior_probabilities(before, after), posterior_probabilities(after, before)
    for chance in ("good_up", "inadequate_down", "superiority"):
        assert getattr(back, chance) == pytest.approx(1 - getattr(forward, chance), abs=0.008)


@given(audits(), audits())
@settings(max_examples=20)
def test_both_changes_are_never_likelier_than_either(before, after):
    posterior = posterior_probabilities(before, after, draws=20_000)
    either = posterior.good_up + posterior.inadequate_down
    assert either - 1 - 1e-9 <= posterior.both <= min(posterior.good_up, posterior.inadequate_down)


@given(audits())
@settings(max_examples=20)
def test_equal_audits_leave_every_direction_equally_likely(audit):
    posterior = posterior_probabilities(audit, audit)
    assume(posterior.both > 0)
    assert (posterior.good_up, posterior.inadequate_down, posterior.superiority) == pytest.approx(
        (0.5, 0.5, 0.5), abs=0.008
    )


def test_large_audits_neither_overflow_nor_take_long():
    before, after = (100, 200, 200), (150, 150, 190)
    assert permutation_p(before, after) == pytest.approx(
        stats.mannwhitneyu(
            np.repeat([0, 1, 2], before),
            np.repeat([0, 1, 2], after),
            method="asymptotic",
            use_continuity=False,
        ).pvalue,
        abs=5e-4,
    )
    assert freeman_halton_p([before, after]) < 0.001


def test_a_grade_without_cases_changes_no_p_value():
    before, after = (5, 0, 9), (8, 0, 3)
    assert permutation_p(before, after) == pytest.approx(permutation_p((5, 9), (8, 3)))
    assert freeman_halton_p([before, after]) == pytest.approx(freeman_halton_p([(5, 9), (8, 3)]))


TWO_SAMPLE_QUESTIONS = [
    pytest.param(permutation_p, id="permutation_p"),
    pytest.param(lambda before, after: trend_p(before, after, (0, 1, 2)), id="trend_p"),
    pytest.param(lambda before, after: freeman_halton_p([before, after]), id="freeman_halton_p"),
    pytest.param(posterior_probabilities, id="posterior_probabilities"),
]


@pytest.mark.parametrize("question", TWO_SAMPLE_QUESTIONS)
@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        pytest.param((0, 0, 0), (1, 2, 3), "without cases", id="empty before"),
        pytest.param((1, 2, 3), (0, 0, 0), "without cases", id="empty after"),
        pytest.param((1, -2, 3), (1, 2, 3), "none negative, but are 1, -2, 3", id="negative"),
        pytest.param((1, 2.5, 3), (1, 2, 3), "whole numbers of cases", id="fractional"),
        pytest.param((1, 2, 3), (1, 2), "same grades, but have 3 and 2", id="different grades"),
        pytest.param((1,), (1,), "at least two grades", id="one grade"),
    ],
)
def test_impossible_audits_are_refused_with_a_reason(question, before, after, sentence):
    with pytest.raises(ValueError, match=sentence):
        question(before, after)


@pytest.mark.parametrize(
    ("counts", "confidence", "sentence"),
    [
        ((0, 0, 1, 2), 0.95, "without cases"),
        ((1, 2, 0, 0), 0.95, "without cases"),
        ((-1, 2, 1, 2), 0.95, "none negative"),
        ((3, 2, 1, 2), 0.95, "3 cases of 2 is impossible"),
        ((1, 2, 1, 2), 95, "between 0 and 1, but is 95"),
    ],
)
def test_impossible_shares_are_refused_with_a_reason(counts, confidence, sentence):
    with pytest.raises(ValueError, match=sentence):
        miettinen_nurminen(*counts, confidence=confidence)


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ((0, 1), "3 columns need as many scores, but 2 are given"),
        ((0, 1, float("nan")), "finite"),
        ((0, 1 / 3, 1e4), "too many decimals"),
    ],
)
def test_impossible_scores_are_refused_with_a_reason(scores, sentence):
    with pytest.raises(ValueError, match=sentence):
        trend_p((1, 2, 3), (3, 2, 1), scores)


def test_a_table_of_three_audits_is_refused():
    with pytest.raises(ValueError, match="two rows, one per audit, but has 3"):
        freeman_halton_p([(1, 2), (3, 4), (5, 6)])


@pytest.mark.parametrize("options", [{"prior": 0}, {"prior": float("nan")}, {"draws": 0}])
def test_a_prior_or_draws_of_nothing_are_refused(options):
    with pytest.raises(ValueError, match="must be above 0"):
        posterior_probabilities(*WARWICKSHIRE, **options)
