from typing import Any

import polars as pl
import pytest

from analysis import vocabulary
from analysis.compare.filtering import select_audits
from analysis.compare.graded import SelectionError
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
        ({"graded_by": "nobody"}, "No grader is called \"nobody\": use one of: inspectors, inspectors only, force"),
        ({"first": "Feb 2022"}, 'as "2021" or "2021-04"'),
        ({"last": "2022-13"}, 'as "2021" or "2021-04"'),
    ],
)
def test_unknown_words_are_refused_with_near_matches(
    audits: pl.DataFrame, asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(SelectionError) as refused:
        select_audits(audits, **asked)
    assert told in str(refused.value)


def test_an_unknown_force_is_refused_with_near_matches(audits: pl.DataFrame) -> None:
    with pytest.raises(VocabularyError, match="warwickshire"):
        select_audits(audits, force="Warwikshire")
