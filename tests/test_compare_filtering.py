from functools import partial
from typing import Any

import polars as pl
import pytest

from analysis import vocabulary
from analysis.compare import change, trend
from analysis.compare.filtering import in_period, select_audits
from analysis.compare.graded import GivenError, SelectionError, checked_evidence
from analysis.evidence.cleaning import Evidence
from analysis.vocabulary import VocabularyError


def ids(audits: pl.DataFrame, **asked: Any) -> list[str]:
    return select_audits(audits, **asked)["inspection_id"].to_list()


def test_nothing_asked_leaves_everything(audits: pl.DataFrame) -> None:
    assert select_audits(audits).equals(audits)


def test_a_force_is_found_by_any_of_its_names(audits: pl.DataFrame) -> None:
    expected = ["warwickshire-2022-02-initial", "warwickshire-2023-02-review"]
    assert ids(audits, force="Warwickshire Police") == expected
    assert ids(audits, force=vocabulary.forces().named("warwickshire")) == expected
    assert ids(audits, force=["dorset", "warwickshire"])[-2:] == expected


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"kind": "review"}, pl.col("kind") == "review"),
        ({"kind": ["initial", "review"]}, pl.col("kind").is_in(["initial", "review"])),
        (
            {"scale": "four grades", "area": "overall"},
            (pl.col("scale") == "four grades") & (pl.col("area") == "overall"),
        ),
        ({"graded_by": "force"}, pl.col("graded_by") == "force"),
    ],
)
def test_words_are_asked_for_together(audits: pl.DataFrame, asked: dict[str, Any], holds: pl.Expr) -> None:
    found = select_audits(audits, **asked)
    assert found.height > 0
    assert found.equals(audits.filter(holds))


def test_dates_are_those_of_fieldwork_and_else_of_publication_both_ends_included(
    audits: pl.DataFrame,
) -> None:
    found = ids(audits, force="metropolitan", area="overall", first="2017", last="2018-02")
    assert found == [
        "metropolitan-2017-update",
        "metropolitan-published-2017-11-update",
        "metropolitan-published-2018-02-update",
    ]
    assert "metropolitan-2018-10-re-inspection" in ids(audits, first="2018-10", last="2018")
    # a bare year may lie on either side of a month in it
    assert "metropolitan-2017-update" in ids(audits, first="2017-06", last="2017-06")


def test_what_no_audit_has_leaves_no_row_and_every_column(audits: pl.DataFrame) -> None:
    found = select_audits(audits, force="kent")
    assert found.height == 0
    assert found.columns == audits.columns


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"kind": "reveiw"}, 'No kind is called "reveiw": did you mean review?'),
        ({"scale": "three"}, "did you mean three grades"),
        ({"area": ["overall", "missing child"]}, "did you mean missing children"),
        (
            {"graded_by": "nobody"},
            'No grader is called "nobody": use one of: inspectors, inspectors only, force',
        ),
        ({"first": "Feb 2022"}, 'first is "Feb 2022", but must be a year or a month: "2021" or "2021-04"'),
        ({"last": "2022-13"}, 'a year or a month: "2021" or "2021-04"'),
        ({"first": 2021}, 'first is 2021, but must be a year or a month: "2021" or "2021-04"'),
        ({"first": "2022", "last": "2021-04"}, "The period ends in 2021-04, before it begins in 2022"),
        ({"kind": "initial, reveiw"}, 'No kind is called "reveiw": did you mean review?'),
        ({"kind": 3}, "No kind is called 3: use one of: initial, review"),
        ({"area": [None]}, "No area is called None: use one of: overall"),
        ({"kind": []}, "`kind` names nothing: leave it out, or name at least one."),
    ],
)
def test_unknown_words_are_refused_with_near_matches(
    audits: pl.DataFrame, asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(SelectionError) as refused:
        select_audits(audits, **asked)
    assert told in str(refused.value)


@pytest.mark.parametrize("force", ["Warwikshire", "dorset, Warwikshire", ["dorset", "Warwikshire"]])
def test_an_unknown_force_is_refused_with_near_matches(audits: pl.DataFrame, force: Any) -> None:
    with pytest.raises(VocabularyError, match=r'"Warwikshire"\. Did you mean warwickshire'):
        select_audits(audits, force=force)


@pytest.mark.parametrize("force", [3, [3], [None]])
def test_a_force_that_is_no_text_is_refused(audits: pl.DataFrame, force: Any) -> None:
    with pytest.raises(VocabularyError, match="A force is named by a text"):
        select_audits(audits, force=force)


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "initial, review"},
        {"kind": " initial ,review,"},
        {"kind": ("initial", "review")},
        {"kind": pl.Series(["initial", "review"])},
    ],
)
def test_several_words_are_a_sequence_or_stand_with_commas(
    audits: pl.DataFrame, asked: dict[str, Any]
) -> None:
    expected = audits.filter(pl.col("kind").is_in(["initial", "review"]))
    assert select_audits(audits, **asked).equals(expected)


def test_a_name_with_a_comma_in_it_is_one_name(audits: pl.DataFrame) -> None:
    scale = vocabulary.ADEQUATE_IN_THE_MIDDLE.name
    assert "," in scale
    found = select_audits(audits, scale=scale)
    assert found.height > 0
    assert set(found["scale"]) == {scale}
    assert ids(audits, force="London, City of") == []
    assert ids(audits, force="dorset, warwickshire") == ids(audits, force=["dorset", "warwickshire"])


@pytest.mark.parametrize("name", ["force", "kind", "scale", "area", "graded_by", "first", "last"])
def test_empty_text_asks_for_nothing(audits: pl.DataFrame, name: str) -> None:
    assert select_audits(audits, **{name: ""}).equals(audits)


def test_any_year_that_begins_before_it_ends_is_a_period(audits: pl.DataFrame) -> None:
    assert select_audits(audits, first="1850").equals(select_audits(audits, first="1900"))
    assert ids(audits, first="2022-02", last="2022") == ids(audits.filter(in_period("2022-02", "2022")))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "this is None"),
        ("dorset", "this is 'dorset':"),
        (pl.LazyFrame({"force": ["dorset"]}), "this is a LazyFrame"),
        (pl.DataFrame(), "This table has no column"),
        (pl.DataFrame({"force": ["dorset"]}), "This table has no column"),
    ],
)
def test_what_is_no_table_of_audits_is_refused_wherever_one_is_needed(given: Any, told: str) -> None:
    for ask in (
        select_audits,
        partial(change.examine, force="dorset"),
        partial(trend.trend, force="dorset"),
        partial(trend.by_area, force="dorset"),
    ):
        with pytest.raises(
            GivenError, match=r"give the audits as from analysis\.load_audits\(\)\.$"
        ) as refused:
            ask(given)
        assert told in str(refused.value)


def test_all_tables_are_told_from_one(audits: pl.DataFrame, evidence: Evidence) -> None:
    with pytest.raises(GivenError, match="this is an Evidence: give the audits"):
        select_audits(evidence)  # type: ignore[arg-type]
    assert checked_evidence(evidence) is evidence
    with pytest.raises(GivenError, match=r"than a DataFrame has: give analysis\.load_evidence\(\)\.$"):
        checked_evidence(audits)
