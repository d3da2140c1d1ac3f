from typing import Any

import numpy as np
import polars as pl
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compare import change, detect, planning
from analysis.compare.change import Comparison
from analysis.compare.graded import GradedAudit
from analysis.compare.planning import Design, Plan, PlanningError, Question, plan
from analysis.vocabulary import VocabularyError

COUNTS = [28, 23, 23]


@pytest.fixture(scope="module")
def pair(audits: pl.DataFrame) -> Comparison:
    found = change.examine(audits, force="warwickshire")
    assert isinstance(found, Comparison)
    return found


def row(made: Plan, number: int = 0) -> dict[str, Any]:
    return made.figures.row(number, named=True)


def needed(made: Plan, design: Design) -> int | None:
    found = made.figures.filter(pl.col("design") == design)["n_after"]
    return None if found[0] is None else int(found[0])


class TestSmallestChange:
    def test_of_two_audits_is_what_their_report_says(self, pair: Comparison) -> None:
        made = plan(pair)
        assert made.question is Question.SMALLEST_CHANGE
        for answer in made.figures.iter_rows(named=True):
            reported = pair.figures.filter(pl.col("measure") == f"detectable_change_{answer['grade']}")
            assert answer["change"] == reported["value"][0]

    def test_of_one_share_goes_both_ways(self) -> None:
        made = plan(0.31, before=74, after=34)
        up, down = made.figures["change"]
        assert up > 0 > down
        assert made.figures["grade"].is_null().all()

    def test_of_a_named_grade_goes_both_ways(self, pair: Comparison) -> None:
        made = plan(pair, grade="requires improvement")
        assert made.figures["grade"].to_list() == ["requires improvement"] * 2

    def test_that_nothing_reaches_is_null_with_the_reason(self) -> None:
        made = plan(0.05, before=74, after=34)
        assert row(made, 1)["change"] is None
        assert row(made, 1)["note"] == "no fall from 5% would show 80% of the time"

    def test_is_larger_when_it_is_to_show_more_often(self) -> None:
        often, oftener = (plan(0.31, before=74, after=34, chance=chance) for chance in (0.8, 0.9))
        assert row(oftener)["change"] > row(often)["change"]

    def test_of_cases_that_are_alike_is_that_of_fewer_cases(self) -> None:
        alike = plan(0.31, before=90, after=60, design_effect=1.5)
        fewer = plan(0.31, before=60, after=40)
        assert alike.figures["change"].to_list() == fewer.figures["change"].to_list()
        assert alike.effective_after == 40


class TestCasesNeeded:
    def test_beside_the_earlier_audit_and_for_two_of_equal_size(self, pair: Comparison) -> None:
        made = plan(pair.baseline, change=0.2)
        assert made.question is Question.CASES_NEEDED
        assert needed(made, Design.FOLLOW_UP) == 131
        assert needed(made, Design.EQUAL) == 94

    def test_agree_with_the_formula_for_one_tail(self) -> None:
        from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

        found = needed(plan(0.31, change=0.1), Design.EQUAL)
        assert found == np.ceil(samplesize_proportions_2indep_onetail(0.1, 0.31, 0.8))

    def test_are_null_where_the_earlier_audit_leaves_too_much_open(self) -> None:
        made = plan(COUNTS, change=0.1)
        assert needed(made, Design.FOLLOW_UP) is None
        assert "the 74 cases of the earlier audit leave too much open" in row(made)["note"]
        assert needed(made, Design.EQUAL) == 361

    def test_are_null_for_a_change_too_small_for_any_audit(self) -> None:
        made = plan(0.5, change=0.005)
        assert row(made)["note"] == "not even two audits of 10,000 cases each are enough"

    def test_are_never_fewer_than_are_compared(self) -> None:
        assert needed(plan(0.1, change=0.85), Design.EQUAL) == 20

    @settings(max_examples=40)
    @given(start=st.floats(0.1, 0.9), size=st.floats(0.06, 0.5), is_rise=st.booleans())
    def test_are_the_fewest_that_show_the_change(self, start: float, size: float, is_rise: bool) -> None:
        change = min(size, (1 - start if is_rise else start) * 0.95) * (1 if is_rise else -1)
        found = needed(plan(start, change=change), Design.EQUAL)
        if found is None:
            assert detect.share_power(start, change, 10_000, 10_000) < 0.8
            return
        assert detect.share_power(start, change, found, found) >= 0.8
        assert found == 20 or detect.share_power(start, change, found - 1, found - 1) < 0.8
        # and the other way round
        smallest = detect.smallest_change(start, found, found, sign=1 if is_rise else -1, power=0.8)
        assert smallest is not None
        assert abs(smallest) <= abs(change) + 1e-9

    @settings(max_examples=30)
    @given(start=st.floats(0.15, 0.6), small=st.floats(0.08, 0.2), more=st.floats(0.01, 0.15))
    def test_are_fewer_for_a_larger_change(self, start: float, small: float, more: float) -> None:
        many, few = (needed(plan(start, change=size), Design.EQUAL) for size in (small, small + more))
        assert many is not None
        assert few is not None
        assert few <= many

    @pytest.mark.parametrize(("start", "change"), [(0.31, 0.2), (0.38, -0.2), (0.2, 0.15), (0.7, -0.15)])
    def test_show_the_change_as_often_as_promised_when_simulated(self, start: float, change: float) -> None:
        n = needed(plan(start, change=change), Design.EQUAL)
        assert n is not None
        random = np.random.default_rng(11)
        x, y = random.binomial(n, start, 20_000), random.binomial(n, start + change, 20_000)
        pooled = (x + y) / (2 * n)
        z = (y - x) / n / np.sqrt(pooled * (1 - pooled) * 2 / n)
        # three Monte Carlo errors, and what the normal approximation is off by at such sizes
        assert float((abs(z) > 1.959964).mean()) == pytest.approx(0.8, abs=0.0085 + 0.012)

    def test_grow_with_the_design_effect(self) -> None:
        plain, alike = (needed(plan(0.31, change=0.2, design_effect=by), Design.EQUAL) for by in (1.0, 2.0))
        assert plain is not None
        assert alike is not None
        assert 2 * plain - 1 <= alike <= 2 * plain

    def test_for_a_shift_of_all_grades(self) -> None:
        made = plan(COUNTS, odds_ratio=2.0)
        found = needed(made, Design.FOLLOW_UP)
        assert found is not None
        shares = tuple(n / 74 for n in COUNTS)
        assert (
            detect.grades_power(shares, 2.0, 74, found)
            >= 0.8
            > detect.grades_power(shares, 2.0, 74, found - 1)
        )


class TestChance:
    def test_rises_with_the_cases(self) -> None:
        few, many = (plan(0.31, before=74, after=after, change=0.2) for after in (34, 68))
        assert few.question is Question.CHANCE
        assert row(few)["power"] < row(many)["power"]

    def test_is_listed_too_where_that_can_be_done(self) -> None:
        assert row(plan(0.31, before=74, after=34, change=0.2))["listed"] == pytest.approx(0.51, abs=0.02)
        assert row(plan(0.31, before=74, after=34, change=0.2, design_effect=2.0))["listed"] is None

    def test_of_a_shift_is_told_for_better_and_for_worse_grades(self, pair: Comparison) -> None:
        assert row(plan(pair, odds_ratio=3.0))["power"] == pytest.approx(0.81, abs=0.02)
        assert row(plan(pair, odds_ratio=1 / 3))["size"] == pytest.approx(3.0)


class TestVerdict:
    @pytest.mark.parametrize(
        ("grade", "size", "alike", "between"), [("good", 0.28, 0.70, 0.30), ("inadequate", -0.25, 0.62, 0.31)]
    )
    def test_reads_clear_as_often_as_the_method_says(
        self, pair: Comparison, grade: str, size: float, alike: float, between: float
    ) -> None:
        made = plan(pair, grade=grade, change=size, of="verdict", draws=1000)
        test, first, second = made.figures.iter_rows(named=True)
        assert test["of"] == "share"
        # four Monte Carlo errors of 1,000 pairs
        assert first["power"] == pytest.approx(alike, abs=0.06)
        assert second["power"] == pytest.approx(between, abs=0.06)
        assert first["lower"] < first["power"] < first["upper"]

    def test_is_the_same_every_time(self, pair: Comparison) -> None:
        one, other = (plan(pair, change=0.28, of="verdict", draws=100) for _ in range(2))
        assert one.figures.equals(other.figures)

    def test_of_cases_that_cannot_come_from_between_is_null_with_the_reason(self) -> None:
        made = plan([40, 10, 24], after=34, change=0.28, of="verdict", draws=100)
        assert row(made, 2)["power"] is None
        assert "less than the change" in row(made, 2)["note"]

    def test_of_a_grade_between_is_told_for_all_others_alone(self, pair: Comparison) -> None:
        made = plan(pair, grade="requires improvement", change=0.2, of="verdict", draws=100)
        assert made.figures["others"].to_list() == [None, "all other grades alike"]

    def test_of_a_shift_of_all_grades(self, pair: Comparison) -> None:
        made = plan(pair, odds_ratio=4.0, of="verdict", draws=200)
        assert made.figures["of"].to_list() == ["grades", "verdict"]
        assert row(made, 1)["power"] > 0.7

    def test_on_four_grades(self) -> None:
        made = plan([15, 12, 20, 17], after=40, change=0.3, of="verdict", draws=100)
        assert made.figures["power"].is_not_null().all()


class TestCurve:
    @pytest.mark.parametrize(
        "asked",
        [{"after": 34}, {"change": 0.2}, {"change": -0.2, "grade": "inadequate"}, {"odds_ratio": 0.5}],
    )
    def test_of_a_smallest_change_falls_as_cases_are_added(self, asked: dict[str, Any]) -> None:
        for line in planning.curve(plan(COUNTS, **asked)).partition_by("grade", "is_rise"):
            assert line["x"].is_sorted()
            assert line["y"].is_sorted(descending=True)
            assert line["is_told"].sum() == 6

    @pytest.mark.parametrize("asked", [{"change": 0.2}, {"odds_ratio": 2.0}, {"odds_ratio": 0.5}])
    def test_of_a_chance_rises_with_the_change(self, asked: dict[str, Any]) -> None:
        line = planning.curve(plan(COUNTS, after=34, **asked))
        assert line["y"].is_sorted()
        assert line["y"].is_between(0, 1).all()

    @pytest.mark.parametrize("asked", [{"after": 34}, {"change": 0.2}, {"after": 34, "change": 0.2}])
    def test_goes_through_the_answer(self, asked: dict[str, Any]) -> None:
        made = plan(COUNTS, **asked)
        line, (answer, *_) = planning.curve(made), planning.answers(made).to_dicts()
        same = line.filter(pl.col("grade") == answer["grade"])
        assert np.interp(answer["x"], same["x"], same["y"]) == pytest.approx(answer["y"], abs=0.01)

    def test_of_a_verdict_is_empty(self) -> None:
        made = plan(COUNTS, after=34, change=0.28, of="verdict", draws=100)
        assert planning.curve(made).is_empty()
        assert planning.answers(made).is_empty()


@pytest.mark.parametrize(
    ("start", "asked", "told"),
    [
        (0.31, {}, "Give `after`"),
        (0.31, {"after": 34}, "Give `before`"),
        (0.31, {"before": 74, "after": 34, "change": 20}, "write 0.1 for a rise of 10"),
        (0.31, {"before": 74, "after": 34, "change": 0}, "which nothing can show"),
        (0.31, {"before": 74, "after": 34, "change": 0.8}, "beyond 100%: the most is 69.0%"),
        (0.31, {"before": 74, "after": 34, "change": -0.4}, "beyond 0%: the most is 31.0%"),
        (0, {"change": -0.1}, "cannot fall"),
        (31, {"change": 0.1}, "write 0.31 for 31%"),
        (0.31, {"before": 1, "after": 34}, "whole number of cases from 2"),
        (0.31, {"before": 74, "after": 34.5}, "whole number of cases from 2"),
        (0.31, {"before": 74, "after": "34"}, "whole number of cases from 2 to 10,000, but is '34'"),
        (0.31, {"before": float("nan"), "after": 34}, "from 2 to 10,000, but is nan"),
        (0.31, {"before": 74, "after": [34]}, "but is [34]"),
        (0.31, {"before": 74, "after": 34, "change": "0.1"}, "is a fraction, but is '0.1': write 0.1"),
        (0.31, {"before": 74, "after": 34, "change": float("inf")}, "is a fraction, but is inf"),
        (0.31, {"before": 74, "after": 34, "chance": "x"}, "`chance` is 'x', but must be at least 0.5"),
        (
            0.31,
            {"before": 74, "after": 34, "draws": "x"},
            "`draws` is 'x', but must be a whole number from 100",
        ),
        (
            0.31,
            {"before": 74, "after": 34, "design_effect": "x"},
            "`design_effect` is 'x', but must be at least 1",
        ),
        (COUNTS, {"after": 34, "odds_ratio": "2"}, "`odds_ratio` is '2', but lies above 0"),
        (COUNTS, {"after": 34, "of": None}, 'is not of "None": use one of: share, grades, verdict'),
        (["28", 23, 23], {"after": 34}, "3 or 4 of them, worst grade first"),
        ([28.5, 23, 23], {"after": 34}, "3 or 4 of them, worst grade first"),
        ([None, 23, 23], {"after": 34}, "3 or 4 of them, worst grade first"),
        (float("nan"), {"change": 0.1}, "Start from a comparison"),
        (None, {"change": 0.1}, "Start from a comparison"),
        (0.31, {"before": 74, "after": 34, "chance": 80}, "at least 0.5 and below 1"),
        (0.31, {"before": 74, "after": 34, "design_effect": 0.5}, "at least 1"),
        (0.31, {"before": 74, "after": 34, "draws": 1}, "from 100"),
        (0.31, {"change": 0.1, "grade": "good"}, "has no grades"),
        (0.31, {"before": 74, "after": 34, "of": "verdict"}, "needs the cases at every grade"),
        (0.31, {"odds_ratio": 2}, "needs the cases at every grade"),
        (
            COUNTS,
            {"change": 0.1, "grade": "adequate"},
            "The share graded adequate is not known: use one of: inad",
        ),
        (COUNTS, {"change": 0.1, "of": "verdicts"}, "did you mean verdict?"),
        (COUNTS, {"change": 0.1, "odds_ratio": 2}, "not both"),
        (COUNTS, {"odds_ratio": 1}, "is not 1"),
        (COUNTS, {"change": 0.1, "of": "verdict"}, "how often a change makes the evidence clear"),
        (COUNTS, {"after": 34, "of": "verdict"}, "how often a change makes the evidence clear"),
        (COUNTS, {"odds_ratio": 2, "of": "verdict"}, "how often a change makes the evidence clear"),
        (COUNTS, {"after": 34, "change": 0.1, "of": "grades"}, "give `odds_ratio` in place of `change`"),
        (COUNTS, {"after": 10, "change": 0.1, "of": "verdict"}, "always too few"),
        (
            COUNTS,
            {"after": 34, "change": 0.1, "of": "verdict", "design_effect": 2},
            "leave `design_effect` out",
        ),
        ([28, 46], {"change": 0.1}, "3 or 4 of them, worst grade first"),
        ([28, -1, 46], {"change": 0.1}, "3 or 4 of them, worst grade first"),
        ("warwickshire", {"change": 0.1}, "Start from a comparison"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_what_to_do(
    start: Any, asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(PlanningError, match=None) as refused:
        plan(start, **asked)
    assert told in str(refused.value)


@pytest.mark.parametrize("grade", ["goood", "", 3])
def test_a_grade_that_is_none_is_refused_as_everywhere(grade: Any) -> None:
    with pytest.raises(VocabularyError, match="is no grade"):
        plan(COUNTS, after=34, grade=grade)


@pytest.mark.parametrize(
    "start", [np.array(COUNTS), pl.Series(COUNTS), tuple(COUNTS), np.array(COUNTS, float)]
)
def test_counts_are_taken_in_whatever_holds_numbers(start: Any) -> None:
    assert plan(start, after=np.int64(34)).figures.equals(plan(COUNTS, after=34).figures)


def test_numbers_of_numpy_are_numbers() -> None:
    given = {"before": 74, "after": 34, "change": np.float64(0.2), "design_effect": np.float64(1.5)}
    plain = {"before": 74, "after": 34, "change": 0.2, "design_effect": 1.5}
    assert plan(np.float64(0.31), **given) == plan(0.31, **plain)
    assert plan(np.float64(0.31), **given).figures.equals(plan(0.31, **plain).figures)
    assert row(plan(np.float32(0.5), before=74, after=34))["start"] == 0.5


def test_a_grade_is_named_in_any_case_and_as_its_measure(pair: Comparison) -> None:
    assert plan(pair, grade="Share_Good").figures.equals(plan(pair, grade="good").figures)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"after": 34, "odds_ratio": 2}, "every grade must be known"),
        ({"after": 34, "change": -0.1, "grade": "inadequate", "of": "verdict"}, "every grade must be known"),
        ({"after": 34, "change": 0.1, "grade": "requires improvement"}, "is not known"),
    ],
)
def test_an_audit_with_a_grade_unknown_plans_what_is_known(asked: dict[str, Any], told: str) -> None:
    audit = GradedAudit.from_row(synthetic.audit([30, None, None], n_cases=79))
    assert row(plan(audit, after=34))["grade"] == "inadequate"
    with pytest.raises(PlanningError) as refused:
        plan(audit, **asked)
    assert told in str(refused.value)


def test_an_audit_without_case_grades_is_refused() -> None:
    for made in (synthetic.audit(n_cases=30), synthetic.audit([1, 2, 3], n_cases=30, adds_up=False)):
        with pytest.raises(PlanningError, match="no case grades to start from"):
            plan(GradedAudit.from_row(made), after=34)
