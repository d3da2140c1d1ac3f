from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compare import alternatives, change
from analysis.compare.change import Comparison, Direction, Evidence
from analysis.compare.sensitivity import (
    CASE_MIX,
    DESIGN_EFFECT,
    PRIOR,
    REST,
    TIPPING_POINT,
    WITHOUT_AREA,
    Check,
    TippingPoint,
    areas_of_both,
    sensitivity,
    standardised_change,
    tipping_point,
)
from analysis.vocabulary import Grade

# worst to best
WARWICKSHIRE = ((28, 23, 23), (10, 15, 9))
NORTH_YORKSHIRE = ((26, 34, 13), (14, 8, 11))
SUFFOLK = ((21, 24, 27), (6, 7, 17))
DORSET = ((28, 35, 20), (11, 10, 10))
CLEAR = ((40, 20, 14), (9, 11, 14))
ONE, OTHER, THIRD = "child sexual exploitation", "children missing from home", "missing children"


def tables(cases: int, grades: int) -> Iterator[tuple[int, ...]]:
    for head in product(range(cases + 1), repeat=grades - 1):
        if sum(head) <= cases:
            yield (*head, cases - sum(head))


def distance(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(abs(n - m) for n, m in zip(one, other, strict=True)) // 2


def fewest_regraded(before: tuple[int, ...], after: tuple[int, ...], most: int) -> int | None:
    """By trying every table there is: how far away the nearest with another call lies."""
    own = change.verdict_on(before, after)[0].evidence
    found = [
        (far, told)
        for counted, is_later in ((before, False), (after, True))
        for other in tables(sum(counted), len(counted))
        if 0 < (far := distance(counted, other)) <= most
        for told in [(before, other) if is_later else (other, after)]
    ]
    for far, told in sorted(found):
        if change.verdict_on(*told)[0].evidence is not own:
            return far
    return None


def regraded(counts: Sequence[int], found: TippingPoint, grades: Sequence[Grade]) -> list[int]:
    moved = dict(zip(grades, counts, strict=True))
    assert found.given is not found.instead
    moved[found.given] -= found.n_cases
    moved[found.instead] += found.n_cases
    assert min(moved.values()) >= 0
    return list(moved.values())


def assert_it_tips(pair: Comparison, found: TippingPoint) -> None:
    counted = pair.follow_up.ordered_counts if found.is_later else pair.baseline.ordered_counts
    assert counted is not None
    other = regraded(counted, found, tuple(pair.baseline.counts))
    before, after = pair.baseline.ordered_counts, pair.follow_up.ordered_counts
    told = (before, other) if found.is_later else (other, after)
    assert found.base == sum(other) == sum(counted)
    assert found.n_cases == distance(counted, other) > 0
    assert found.verdict == change.verdict_on(*told, confidence=pair.confidence)[0]  # type: ignore[arg-type]
    assert found.verdict.evidence is not pair.verdict.evidence


# the tipping point


@pytest.mark.parametrize(
    ("counts", "n_cases"),
    [(WARWICKSHIRE, 6), (NORTH_YORKSHIRE, 5), (SUFFOLK, 1), (DORSET, 5)],
    ids=["warwickshire", "north-yorkshire", "suffolk", "dorset"],
)
def test_no_fewer_cases_would_tip_the_verdict_on_the_four_pairs(counts: Any, n_cases: int) -> None:
    pair = synthetic.pair(*counts)
    found = tipping_point(pair)
    assert found is not None
    assert found.n_cases == n_cases == fewest_regraded(*counts, most=n_cases)
    assert (found.is_later, found.verdict.evidence) == (True, Evidence.CLEAR)
    assert_it_tips(pair, found)


def test_a_clear_verdict_tips_towards_cannot_tell() -> None:
    pair = synthetic.pair(*CLEAR)
    assert pair.verdict.evidence is Evidence.CLEAR
    found = tipping_point(pair)
    assert found is not None
    assert found.verdict.evidence is Evidence.CANNOT_TELL
    assert found.n_cases == fewest_regraded(*CLEAR, most=found.n_cases)
    assert_it_tips(pair, found)


@pytest.mark.parametrize("seed", range(12))
def test_the_tipping_point_of_small_audits_is_the_nearest_of_all_tables(seed: int) -> None:
    random = np.random.default_rng(seed)
    before = tuple(random.multinomial(21, random.dirichlet((2, 2, 2))).tolist())
    after = tuple(random.multinomial(20, random.dirichlet((2, 2, 2))).tolist())
    pair = synthetic.pair(before, after)
    found = tipping_point(pair)
    assert (found.n_cases if found else None) == fewest_regraded(before, after, most=12)
    if found:
        assert_it_tips(pair, found)


def test_four_grades_have_a_tipping_point_too() -> None:
    counts = ((8, 5, 4, 4), (4, 4, 5, 7))
    pair = synthetic.pair(*counts, scale="four grades")
    found = tipping_point(pair, most=4)
    assert (found.n_cases if found else None) == fewest_regraded(*counts, most=4)
    assert found is not None
    assert_it_tips(pair, found)


def test_a_verdict_that_hangs_on_no_few_cases_has_no_tipping_point() -> None:
    assert tipping_point(synthetic.pair(*WARWICKSHIRE), most=5) is None
    far = sensitivity(synthetic.pair((60, 10, 4), (1, 4, 40)))
    assert far.tipping is None
    row = far.checks.row(by_predicate=pl.col("check") == TIPPING_POINT, named=True)
    assert row["note"].startswith("more than 12 cases of one audit")


def test_of_two_ways_with_as_few_cases_that_of_the_later_audit_is_told() -> None:
    found = tipping_point(synthetic.pair(*SUFFOLK))
    assert found is not None
    assert (found.given, found.instead, found.n_cases) == (Grade.INADEQUATE, Grade.GOOD, 1)
    assert found.is_later


@pytest.mark.parametrize("counts", [((5, 5, 5), (20, 20, 20)), ((20, None, 20), (20, 20, 20))])
def test_a_verdict_that_is_none_has_no_tipping_point(counts: Any) -> None:
    pair = synthetic.pair(*counts, earlier={"n_cases": 60} if None in counts[0] else None)
    assert tipping_point(pair) is None


# all questions


def rows(pair: Comparison, check: str) -> list[dict[str, Any]]:
    return [row for row in sensitivity(pair).checks.iter_rows(named=True) if row["check"] == check]


@pytest.mark.parametrize("counts", [WARWICKSHIRE, NORTH_YORKSHIRE, SUFFOLK, DORSET, CLEAR])
def test_a_design_effect_leaves_theta_and_widens_its_interval(counts: Any) -> None:
    own = change.superiority(*counts)
    widths = [(own.upper or 0) - (own.lower or 0)]
    for row in rows(synthetic.pair(*counts), DESIGN_EFFECT):
        assert row["measure"] == "superiority"
        assert row["value"] == pytest.approx(own.value, abs=1e-12)
        widths.append(row["upper"] - row["lower"])
    assert len(widths) == 3
    assert widths[0] < widths[1] < widths[2]
    # about as the square root of the design effect, a little more for fewer degrees of freedom
    assert 2**0.5 <= widths[2] / widths[0] < 1.5


def test_a_design_effect_takes_away_a_verdict_that_many_cases_that_hang_together_made() -> None:
    found = sensitivity(synthetic.pair(*CLEAR)).changes
    assert found["check"].unique().to_list() == [DESIGN_EFFECT]
    assert found["evidence"].unique().to_list() == [Evidence.CANNOT_TELL]
    assert found["setting"].to_list()[-1] == "2"


@settings(max_examples=8)
@given(counts=st.tuples(*[st.tuples(*[st.integers(0, 25)] * 3).filter(lambda n: sum(n) >= 20)] * 2))
def test_every_question_is_answered_or_refused_with_a_reason_whatever_the_counts(counts: Any) -> None:
    pair = synthetic.pair(*counts)
    found = sensitivity(pair)
    Check.validate(found.checks)
    order = [DESIGN_EFFECT, DESIGN_EFFECT, TIPPING_POINT, PRIOR, PRIOR, CASE_MIX, WITHOUT_AREA]
    assert found.checks["check"].to_list() == order
    assert (found.force, found.verdict) == (pair.force, pair.verdict)
    for row in found.checks.iter_rows(named=True):
        assert (row["is_changed"] is None) == (row["evidence"] is None)
        if row["evidence"]:
            assert row["is_changed"] == (row["evidence"] != pair.verdict.evidence.value)
        if row["lower"] is not None:
            assert row["lower"] - 1e-9 <= row["value"] <= row["upper"] + 1e-9


def test_another_prior_is_that_of_the_posterior_and_makes_no_verdict() -> None:
    found = rows(synthetic.pair(*WARWICKSHIRE), PRIOR)
    assert [row["setting"] for row in found] == ["1/3", "1"]
    for row, prior in zip(found, (1 / 3, 1.0), strict=True):
        expected = alternatives.posterior_probabilities(*WARWICKSHIRE, prior=prior).superiority
        assert row["value"] == expected
        assert (row["measure"], row["evidence"], row["is_changed"]) == ("probability_better", None, None)


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (synthetic.pair((5, 5, 5), (20, 20, 20)), "too few"),
        (synthetic.pair((20, None, 20), (20, 20, 20), earlier={"n_cases": 60}), "the number graded"),
        (
            synthetic.pair((9, 20, 12), (9, 8, 20, 12), later={"scale": "four grades"}),
            "different sets of grades",
        ),
        (synthetic.pair((None, None, None), (9, 20, 12)), "the number of cases"),
    ],
    ids=["too few", "a count unknown", "two scales", "nothing known"],
)
def test_a_pair_without_a_verdict_is_asked_nothing_and_says_why(pair: Comparison, reason: str) -> None:
    found = sensitivity(pair)
    assert found.tipping is None
    assert found.checks["check"].to_list() == [DESIGN_EFFECT, TIPPING_POINT, PRIOR, CASE_MIX, WITHOUT_AREA]
    assert found.checks["evidence"].is_null().all()
    assert all(note.startswith("not asked: ") and reason in note for note in found.checks["note"])
    assert found.changes.is_empty()


# by area


def with_areas(
    before: Sequence[int],
    after: Sequence[int],
    *,
    earlier: dict[str, Sequence[int | None]],
    later: dict[str, Sequence[int | None]],
    **of_later_areas: Any,
) -> Comparison:
    first, second = {"fieldwork": "2021-03"}, {"fieldwork": "2022-03", "kind": "review"}
    examined = synthetic.examine(
        synthetic.audit(before, **first),
        synthetic.audit(after, **second),
        *(synthetic.audit(n, area=area, **first) for area, n in earlier.items()),
        *(synthetic.audit(n, area=area, **second, **of_later_areas) for area, n in later.items()),
    )
    assert isinstance(examined, Comparison)
    assert examined.follow_up.ordered_counts == tuple(after)
    return examined


def test_with_one_area_the_standardised_change_is_newcombes() -> None:
    before, after = WARWICKSHIRE
    pair = with_areas(before, after, earlier={ONE: before}, later={ONE: after})
    for grade, place in ((Grade.GOOD, 2), (Grade.INADEQUATE, 0), (Grade.REQUIRES_IMPROVEMENT, 1)):
        found = standardised_change(pair, grade)
        expected = change.share_change(before[place], 74, after[place], 34)
        assert found is not None
        assert (found.value, found.lower, found.upper) == pytest.approx(
            (expected.value, expected.lower, expected.upper), abs=1e-12
        )


def test_a_standardised_change_weights_areas_as_the_earlier_audit_had_them() -> None:
    # earlier: 30 and 10 cases; later: 10 and 30, with 2 of 10 and 15 of 30 good
    pair = with_areas(
        (10, 20, 10),
        (10, 13, 17),
        earlier={ONE: (6, 18, 6), OTHER: (4, 2, 4)},
        later={ONE: (4, 4, 2), OTHER: (6, 9, 15)},
    )
    found = standardised_change(pair, Grade.GOOD)
    assert found is not None
    assert found.value == pytest.approx(30 / 40 * 2 / 10 + 10 / 40 * 15 / 30 - 10 / 40)
    assert found.lower is not None
    assert found.upper is not None
    # the same with Wilson's intervals, in plain Python
    z2 = 1.959963984540054**2

    def ends(n: int, base: int) -> tuple[float, float]:
        middle, spread = (
            (n + z2 / 2) / (base + z2),
            (z2 * (n * (base - n) / base + z2 / 4)) ** 0.5 / (base + z2),
        )
        return middle - spread, middle + spread

    first, one, other = ends(10, 40), ends(2, 10), ends(15, 30)
    down = (first[1] - 0.25) ** 2 + (0.75 * (0.2 - one[0])) ** 2 + (0.25 * (0.5 - other[0])) ** 2
    up = (0.25 - first[0]) ** 2 + (0.75 * (one[1] - 0.2)) ** 2 + (0.25 * (other[1] - 0.5)) ** 2
    assert found.lower == pytest.approx(found.value - down**0.5, abs=1e-9)
    assert found.upper == pytest.approx(found.value + up**0.5, abs=1e-9)


def test_the_same_mix_and_the_same_shares_leave_the_change_as_it_is() -> None:
    areas: dict[str, Sequence[int | None]] = {ONE: (6, 18, 6), OTHER: (4, 2, 4)}
    pair = with_areas((10, 20, 10), (10, 20, 10), earlier=areas, later=areas)
    for grade in (Grade.GOOD, Grade.INADEQUATE):
        found = standardised_change(pair, grade)
        assert found is not None
        assert found.value == pytest.approx(0)


def test_a_mix_that_alone_made_the_change_is_seen_through() -> None:
    # one area has 10% good, the other 90%, both times; only the mix changed
    pair = with_areas(
        (18, 18, 14),
        (5, 5, 40),
        earlier={ONE: (18, 18, 4), OTHER: (0, 0, 10)},
        later={ONE: (4, 5, 1), OTHER: (1, 0, 39)},
    )
    assert pair.verdict.evidence is Evidence.CLEAR
    found = standardised_change(pair, Grade.GOOD)
    assert found is not None
    assert abs(found.value) < 0.03
    assert not found.excludes(0)


def test_cases_of_areas_that_are_not_known_are_an_area_of_their_own() -> None:
    pair = with_areas(*WARWICKSHIRE, earlier={ONE: (8, 3, 3), OTHER: (9, 9, 9)}, later={ONE: (4, 5, 3)})
    assert areas_of_both(pair) == {
        ONE: ((8, 3, 3), (4, 5, 3)),
        REST: ((20, 20, 20), (6, 10, 6)),
    }


@pytest.mark.parametrize(
    ("earlier", "later", "more"),
    [
        ({}, {}, {}),
        ({ONE: (8, 3, 3)}, {OTHER: (4, 5, 3)}, {}),
        ({ONE: (8, None, 3)}, {ONE: (4, 5, 3)}, {}),
        ({ONE: (8, 3, 3)}, {ONE: (4, 5, 3)}, {"graded_by": "force"}),
        # more good cases in areas than in all
        ({ONE: (8, 3, 20), OTHER: (8, 3, 20)}, {ONE: (4, 5, 3), OTHER: (1, 1, 1)}, {}),
        # the later audit is of that area alone, the earlier one is not
        ({ONE: (8, 3, 3)}, {ONE: (10, 15, 9)}, {}),
    ],
)
def test_without_areas_of_both_there_is_no_other_mix(earlier: Any, later: Any, more: Any) -> None:
    pair = with_areas(*WARWICKSHIRE, earlier=earlier, later=later, **more)
    assert areas_of_both(pair) == {}
    assert standardised_change(pair, Grade.GOOD) is None
    for check in (CASE_MIX, WITHOUT_AREA):
        (row,) = rows(pair, check)
        assert (row["value"], row["evidence"]) == (None, None)
        assert "not known for both" in row["note"]


def test_leaving_out_an_area_judges_the_cases_that_are_left() -> None:
    pair = with_areas(
        *CLEAR, earlier={ONE: (20, 2, 2), OTHER: (2, 2, 2)}, later={ONE: (1, 1, 8), OTHER: (2, 2, 2)}
    )
    left = {ONE: ((20, 18, 12), (8, 10, 6)), OTHER: ((38, 18, 12), (7, 9, 12))}
    found = {row["setting"]: row for row in rows(pair, WITHOUT_AREA)}
    assert list(found) == [ONE, OTHER]
    for area, counts in left.items():
        verdict, theta = change.verdict_on(*counts)
        assert found[area]["evidence"] == verdict.evidence
        assert found[area]["value"] == theta.value
        assert found[area]["note"] == f"{sum(counts[0])} and {sum(counts[1])} cases are left"
    assert found[ONE]["is_changed"]
    assert found[ONE]["evidence"] == Evidence.CANNOT_TELL
    assert not found[OTHER]["is_changed"]


def test_an_area_that_is_nearly_all_there_is_cannot_be_left_out() -> None:
    pair = with_areas(*CLEAR, earlier={ONE: (40, 20, 13)}, later={ONE: (9, 11, 13)})
    (row,) = rows(pair, WITHOUT_AREA)
    assert row["note"] == "not asked: fewer than 2 cases are left"


def test_too_few_cases_left_are_called_too_few() -> None:
    # section 1, item 4: below 20 cases no audit is called anything else
    pair = with_areas(*CLEAR, earlier={ONE: (30, 10, 4)}, later={ONE: (3, 5, 9)})
    (row,) = rows(pair, WITHOUT_AREA)
    assert row["note"] == "30 and 17 cases are left"
    assert row["evidence"] == Evidence.TOO_FEW


# counts that no page prints


@pytest.mark.parametrize(
    "counts", [WARWICKSHIRE, NORTH_YORKSHIRE, SUFFOLK, DORSET, CLEAR, ((20, 0, 0), (0, 0, 20))]
)
def test_the_verdict_on_counts_is_the_verdict_on_audits(counts: Any) -> None:
    pair = synthetic.pair(*counts)
    verdict, theta = change.verdict_on(*counts)
    assert verdict == pair.verdict
    assert theta == change.superiority(*counts)


def test_the_exact_test_is_of_any_difference_only_where_the_counts_point_both_ways() -> None:
    for direction in Direction:
        test = (
            alternatives.freeman_halton_p(NORTH_YORKSHIRE)
            if direction is Direction.MIXED
            else alternatives.permutation_p(*NORTH_YORKSHIRE)
        )
        assert change.exact_p(direction, *NORTH_YORKSHIRE) == test
