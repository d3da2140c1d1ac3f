import math
import re
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import synthetic

from analysis import paths
from analysis.publish import batch, restricted, shelf
from analysis.publish.gate import IDENTIFYING
from analysis.publish.restricted import RestrictedError

# reports take a kernel: keep them on one worker
pytestmark = pytest.mark.xdist_group("restricted")

RETURNS = (
    "case_id,custody_officer_name,grade,area\nDor-77123,Jane Roe,good,missing children\nx,,inadequate,\n"
)


def held(project: paths.Project, text: str = RETURNS) -> Path:
    project.restricted.mkdir(parents=True, exist_ok=True)
    file = project.restricted / "dorset-returns.csv"
    file.write_text(text, encoding="utf-8")
    return file


def run(project: paths.Project) -> batch.Result:
    (result,) = batch.run(project, shelf.at(project.reports), batch.Asked(("dorset",)))
    return result


def named(project: paths.Project, columns: str, values: str) -> restricted.Restricted:
    held(project, f"{columns}\n{values}\n")
    return restricted.read(project.restricted)


def test_without_restricted_files_the_known_columns_are_restricted(project: paths.Project) -> None:
    found = restricted.read(project.restricted)
    assert (found.columns, found.values) == (tuple(sorted(IDENTIFYING)), ())


def test_what_identifies_is_restricted_and_what_is_published_is_not(project: paths.Project) -> None:
    held(project)
    pl.DataFrame({"child_name": ["Anna Bell"], "n": [3]}).write_parquet(project.restricted / "more.parquet")
    found = restricted.read(project.restricted)
    assert {"case_id", "custody_officer_name", "child_name"} <= set(found.columns)
    assert not {"grade", "area", "n"} & set(found.columns)
    # one that is too short to be looked for is left out
    assert found.values == ("Anna Bell", "Dor-77123", "Jane Roe")


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("Child Name", "child_name"),
        ("childName", "child_name"),
        ("ChildID", "child_id"),
        ("surname", "surname"),
        ("dob", "dob"),
        ("Post-code", "post_code"),
        ("crime_ref", "crime_ref"),
        ("nhs_no", "nhs_no"),
        ("email", "email"),
        ("urn", "urn"),
        ("officer", "officer"),
        ("address", "address"),
        ("reference", "reference"),
        ("name", "name"),
        ("ward", "ward"),
    ],
)
def test_every_column_is_restricted_however_it_is_written(
    column: str, name: str, project: paths.Project
) -> None:
    found = named(project, f"{column},grade", "Bell 77123,good")
    assert name in found.columns
    assert found.values == ("Bell 77123",)


@pytest.mark.parametrize(
    "column", ["force_name", "inspection_id", "grade_name", "Area", "publisher", "GradedBy"]
)
def test_what_the_published_tables_have_too_is_not_restricted(column: str, project: paths.Project) -> None:
    found = named(project, column, "Dorset Police 2022")
    assert (found.columns, found.values) == (tuple(sorted(IDENTIFYING)), ())


@pytest.mark.parametrize(
    "value", ["missing children", "post-inspection review", "Good", "2021", "24.5%", "2022-03"]
)
def test_words_and_numbers_of_any_page_are_not_restricted(value: str, project: paths.Project) -> None:
    assert named(project, "case_reference", value).values == ()


def test_names_that_the_project_prints_are_not_restricted(project: paths.Project) -> None:
    held(project, "owner_name\nDorset Police\nJane Roe\n")
    assert restricted.read(project.restricted, public=["Dorset Police"]).values == ("Jane Roe",)


def test_of_a_column_that_tells_nobody_what_stands_in_one_row_is_restricted(project: paths.Project) -> None:
    held(project, "outcome,note\nno further action,\nno further action,mother is Anna\ncharged,Rosehill\n")
    assert restricted.read(project.restricted).values == ("mother is Anna",)


def test_word_that_heads_a_column_of_pages_may_be_said(project: paths.Project) -> None:
    assert "note" not in named(project, "Note", "mother is Anna").columns


def test_dates_and_numbers_are_restricted_as_they_would_be_printed(project: paths.Project) -> None:
    project.restricted.mkdir(parents=True)
    table = pl.DataFrame(
        {
            "date_of_birth": [datetime(2010, 1, 2), None],
            "case_id": [100234.0, math.nan],
            "nhs_number": [9434765919, None],
        }
    )
    table.write_parquet(project.restricted / "more.parquet")
    assert restricted.read(project.restricted).values == ("100234", "2010-01-02", "9434765919")


def test_name_of_a_file_may_be_in_capitals(project: paths.Project) -> None:
    held(project).rename(project.restricted / "B.CSV")
    assert "Jane Roe" in restricted.read(project.restricted).values


@pytest.mark.parametrize("name", [".gitkeep", ".hidden.xlsx", "README.md", "readme.txt"])
def test_what_is_no_table_may_lie_there(name: str, project: paths.Project) -> None:
    held(project)
    (project.restricted / name).write_text("words", encoding="utf-8")
    assert "Jane Roe" in restricted.read(project.restricted).values


@pytest.mark.parametrize("name", ["a.tsv", "a.xlsx", "a.json", "a.csv.gz", "a.txt", "a"])
def test_file_of_another_kind_is_refused_with_its_name_and_a_remedy(
    name: str, project: paths.Project
) -> None:
    held(project)
    (project.restricted / name).write_text("words", encoding="utf-8")
    with pytest.raises(RestrictedError, match=rf"{re.escape(name)} is neither CSV nor Parquet, .*: save it"):
        restricted.read(project.restricted)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_file_without_commas_is_refused(separator: str, project: paths.Project) -> None:
    held(project, RETURNS.replace(",", separator))
    with pytest.raises(RestrictedError, match=r"dorset-returns\.csv has no commas .*: save it with commas"):
        restricted.read(project.restricted)


@pytest.mark.parametrize("shown", ["Case Dor-77123 was good.", "Graded by JANE ROE.", "custody_officer_name"])
def test_report_that_says_it_is_not_published_and_the_message_does_not_repeat_it(
    shown: str, project: paths.Project
) -> None:
    held(project)
    synthetic.small(project, f"from IPython.display import HTML\nHTML('<p>{shown}</p>')")
    result = run(project)
    assert result.outcome == "failed"
    assert "restricted column or value" in result.headline
    assert "Jane" not in result.headline
    assert "77123" not in result.headline
    assert not (project.reports / "dorset" / "report.html").exists()


def test_report_of_published_figures_passes_beside_restricted_files(project: paths.Project) -> None:
    held(project)
    assert run(project).outcome == "draft"


def test_restricted_file_that_cannot_be_read_stops_the_run(project: paths.Project) -> None:
    held(project, 'a,b\n"open')
    with pytest.raises(RestrictedError, match=r"dorset-returns\.csv cannot be read, .*: mend or remove it"):
        run(project)
    assert not (project.reports / "dorset").exists()
