from typing import Any

import polars as pl
import pytest
import synthetic

from analysis.compare import alternatives
from analysis.compare.graded import SelectionError
from analysis.compare.shares import share
from analysis.compare.trend import Trend, by_area, trend
from analysis.evidence.reconcile import Audit
from analysis.vocabulary import Grade


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=Audit.create_empty().schema, orient="row")


def in_years(*counts: list[int | None], **changed: Any) -> list[dict[str, Any]]:
    return [
        synthetic.audit(
            one, kind="initial" if not place else "re-inspection", fieldwork=f"{2016 + place}-03", **changed
        )
        for place, one in enumerate(counts)
    ]


def followed(*counts: list[int | None]) -> Trend:
    return trend(table(*in_years(*counts)), force=synthetic.FORCE)


class TestMetropolitan:
    def test_inspection_and_re_inspection_are_one_series_and_updates_stand_apart(
        self, audits: pl.DataFrame
    ) -> None:
        seen = trend(audits, force="metropolitan")
        assert dict(zip((audit.inspection_id for audit in seen.audits), seen.series, strict=True)) == {
            "metropolitan-2016-02-initial": 1,
            "metropolitan-published-2017-11-update": None,
            "metropolitan-published-2018-02-update": None,
            "metropolitan-2018-10-re-inspection": 1,
        }
        assert [audit.inspection_id for audit, _ in seen.apart] == [
            "metropolitan-published-2017-11-update",
            "metropolitan-published-2018-02-update",
        ]
        assert [(audit.inspection_id, why) for audit, why in seen.left_out] == [
            ("metropolitan-2017-update", "graded by the force itself")
        ]

    def test_shares_are_those_of_reports_with_interval_and_base(self, audits: pl.DataFrame) -> None:
        figures = trend(audits, force="metropolitan").figures.filter(pl.col("measure") == "share_good")
        assert figures["n_cases"].to_list() == [96, 10, 23, 93]
        for row in figures.iter_rows(named=True):
            expected = share(row["n_cases"], row["base"])
            assert (row["value"], row["lower"], row["upper"]) == (
                expected.value,
                expected.lower,
                expected.upper,
            )

    def test_a_grade_that_was_not_printed_is_null_and_the_sum_is_there(self, audits: pl.DataFrame) -> None:
        figures = trend(audits, force="metropolitan").figures.filter(
            pl.col("inspection_id") == "metropolitan-2016-02-initial"
        )
        known = dict(zip(figures["measure"], figures["n_cases"], strict=True))
        assert known["share_inadequate"] is None
        assert known["share_below_good"] == 278

    def test_two_audits_are_no_trend(self, audits: pl.DataFrame) -> None:
        assert trend(audits, force="metropolitan").steady == ()


class TestSeries:
    def test_other_grades_are_another_series(self) -> None:
        old = synthetic.audit([5, 5, 5, 5], scale="four grades", fieldwork="2014-10")
        seen = trend(table(old, *in_years([10, 10, 10], [5, 10, 15])), force=synthetic.FORCE)
        assert seen.series == (1, 2, 2)
        assert [why for _, why in seen.apart] == ["no other audit used the same grades (four grades)"]

    def test_an_audit_that_is_the_only_one_does_not_stand_apart(self) -> None:
        seen = followed([10, 10, 10])
        assert seen.series == (1,)
        assert seen.apart == ()

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"graded_by": "force"}, "graded by the force itself"),
            ({"adds_up": False}, "the printed grades do not add to the number of cases"),
            ({"scale": "topic judgments"}, "inspectors have published no case grades since February 2024"),
            ({"n_cases": None}, "no source read gives the number of audited cases"),
            (
                {"n_good": None, "n_inadequate": None, "n_below_good": None},
                "no source read gives the number at a grade",
            ),
        ],
    )
    def test_what_cannot_be_shown_is_left_out_with_the_reason(
        self, changed: dict[str, Any], reason: str
    ) -> None:
        row = synthetic.audit([10, 10, 10]) | changed
        seen = trend(table(row), force=synthetic.FORCE)
        assert seen.audits == ()
        assert [why for _, why in seen.left_out] == [reason]

    def test_a_year_is_drawn_in_its_middle_and_a_month_at_its_first_day(self) -> None:
        rows = [synthetic.audit([1, 2, 3], fieldwork="2017"), synthetic.audit([1, 2, 3], fieldwork="2018-05")]
        drawn = trend(table(*rows), force=synthetic.FORCE).figures["drawn_at"].unique(maintain_order=True)
        assert [date.isoformat() for date in drawn] == ["2017-07-01", "2018-05-01"]

    def test_audits_are_in_date_order_whatever_the_order_of_rows(self) -> None:
        rows = in_years([1, 2, 3], [2, 2, 2], [3, 2, 1])
        seen = [trend(table(*order), force=synthetic.FORCE).figures for order in (rows, rows[::-1])]
        assert seen[0].equals(seen[1])


class TestSteady:
    def test_a_steady_rise_over_three_audits_is_clear(self) -> None:
        good, inadequate = followed([40, 20, 10], [30, 20, 20], [15, 20, 35]).steady
        assert (good.grade, good.is_rise, good.is_clear, good.n_audits) == (Grade.GOOD, True, True, 3)
        assert (inadequate.grade, inadequate.is_rise, inadequate.is_clear) == (Grade.INADEQUATE, False, True)

    def test_equal_shares_are_no_trend(self) -> None:
        for one in followed([20, 20, 20], [20, 20, 20], [20, 20, 20]).steady:
            assert one.p_value == pytest.approx(1)
            assert not one.is_clear

    def test_the_test_is_the_exact_one_for_a_linear_trend(self) -> None:
        good, _ = followed([30, 20, 10], [20, 20, 20], [20, 15, 25]).steady
        assert good.p_value == alternatives.trend_p([10, 20, 25], [50, 40, 35], [0, 1, 2])[1]

    def test_each_of_two_shares_is_held_to_half_the_level(self) -> None:
        tests = [
            one for n in range(10, 30) for one in followed([30, 20, 10], [30, 18, 12], [30, 30 - n, n]).steady
        ]
        assert all(one.is_clear is (one.p_value <= 0.025 + 1e-12) for one in tests)
        assert {one.is_clear for one in tests} == {True, False}

    def test_an_update_between_takes_no_part(self) -> None:
        rows = in_years([40, 20, 10], [30, 20, 20])
        update = synthetic.audit([15, 20, 35], kind="update", fieldwork="2019-01")
        assert trend(table(*rows, update), force=synthetic.FORCE).steady == ()

    def test_shares_that_were_always_none_have_no_trend(self) -> None:
        found = followed([10, 20, 0], [12, 18, 0], [14, 16, 0]).steady
        assert [one.grade for one in found] == [Grade.INADEQUATE]

    def test_swapping_first_and_last_swaps_rise_and_fall_and_nothing_else(self) -> None:
        counts: list[list[int | None]] = [[30, 20, 10], [20, 20, 20], [22, 13, 25]]
        forth, back = followed(*counts).steady, followed(*counts[::-1]).steady
        for one, other in zip(forth, back, strict=True):
            assert one.p_value == pytest.approx(other.p_value)
            assert one.is_rise is not other.is_rise


class TestTooFewCases:
    def test_take_no_part_in_a_test_of_a_steady_change(self) -> None:
        few = followed([9, 2, 1], [5, 3, 4], [1, 2, 9])
        assert few.steady == ()
        assert few.series == (None, None, None)
        assert [audit.n_cases for audit in few.too_few] == [12, 12, 12]
        with_few = followed([40, 20, 10], [30, 20, 20], [1, 2, 9], [15, 20, 35])
        assert with_few.series == (1, 1, None, 1)
        assert with_few.steady == followed([40, 20, 10], [30, 20, 20], [15, 20, 35]).steady

    def test_are_shown_apart_with_the_reason(self) -> None:
        [(audit, why)] = followed([40, 20, 10], [1, 2, 9]).apart
        assert (audit.n_cases, why) == (12, "fewer than 20 cases, too few to compare")

    @pytest.mark.parametrize(("n", "n_steady"), [(19, 0), (20, 2)])
    def test_are_those_under_the_limit_of_all_comparisons(self, n: int, n_steady: int) -> None:
        assert len(followed([10, 5, n - 15], [6, 6, n - 12], [2, 5, n - 7]).steady) == n_steady


class TestByArea:
    def test_the_overall_audit_stands_first_in_its_inspection(self, audits: pl.DataFrame) -> None:
        seen = by_area(audits, force="north-yorkshire")
        assert [(audit.area, audit.n_cases) for audit in seen.audits] == [
            ("overall", 33),
            ("child protection investigations", 11),
        ]
        assert [audit.area for audit in seen.too_few] == ["child protection investigations"]

    def test_inspections_without_areas_take_no_part(self, audits: pl.DataFrame) -> None:
        seen = by_area(audits, force="metropolitan")
        assert {audit.inspection_id for audit in seen.audits} == {
            "metropolitan-2018-10-re-inspection",
            "metropolitan-2023-09-thematic",
        }

    def test_a_force_without_areas_has_none(self, audits: pl.DataFrame) -> None:
        seen = by_area(audits, force="warwickshire")
        assert seen.audits == ()
        assert seen.figures.height == 0

    def test_an_area_without_grades_is_left_out_with_the_reason(self, audits: pl.DataFrame) -> None:
        seen = by_area(audits, force="cleveland")
        assert [(audit.area, why) for audit, why in seen.left_out] == [
            ("missing children", "no source read gives the number at a grade")
        ]


def test_an_area_that_a_force_has_no_audit_of_is_refused_with_those_it_has(audits: pl.DataFrame) -> None:
    with pytest.raises(SelectionError, match="did you mean child protection investigations"):
        trend(audits, force="north-yorkshire", area="child protection investigation")
    with pytest.raises(SelectionError, match="no audit of it has been transcribed"):
        trend(audits, force="kent")


def test_the_trend_of_an_area_is_that_of_its_own_audits(audits: pl.DataFrame) -> None:
    seen = trend(audits, force="west-midlands", area="child sexual exploitation")
    assert {audit.area for audit in seen.audits} == {"child sexual exploitation"}


@pytest.mark.parametrize("confidence", [0.4, 1.0])
def test_a_level_that_is_none_is_refused(audits: pl.DataFrame, confidence: float) -> None:
    with pytest.raises(ValueError, match="and below 1"):
        trend(audits, force="metropolitan", confidence=confidence)
    with pytest.raises(ValueError, match="and below 1"):
        by_area(audits, force="metropolitan", confidence=confidence)


def test_a_higher_level_makes_wider_ranges(audits: pl.DataFrame) -> None:
    usual, wide = (
        trend(audits, force="metropolitan", confidence=at).figures.drop_nulls("value") for at in (0.95, 0.99)
    )
    assert (wide["lower"] < usual["lower"]).all()
    assert (wide["upper"] > usual["upper"]).all()
