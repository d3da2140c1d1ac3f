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
