import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from lxml import etree

from analysis import paths
from analysis.compare import change, planning, trend
from analysis.compare.change import Comparison, SingleAudit
from analysis.present import wording
from analysis.publish import takeaway
from analysis.publish.takeaway import ExportError, export


@pytest.fixture(scope="module")
def pair(audits: pl.DataFrame) -> Comparison:
    found = change.examine(audits, force="warwickshire")
    assert isinstance(found, Comparison)
    return found


@pytest.fixture(scope="module")
def single(audits: pl.DataFrame) -> SingleAudit:
    found = change.examine(audits, force="thames-valley")
    assert isinstance(found, SingleAudit)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_figures_are_those_of_the_comparison(pair: Comparison, tmp_path: Path) -> None:
    made = export(pair, tmp_path / "mine")
    rows = list(csv.DictReader(io.StringIO((made.folder / "figures.csv").read_text(encoding="utf-8"))))
    assert [row["measure"] for row in rows] == pair.figures["measure"].to_list()
    assert [row["n_cases"] for row in rows if row["measure"] == "share_good"] == ["23", "9", ""]
    about = json.loads((made.folder / "figures.csv-metadata.json").read_text(encoding="utf-8"))
    assert about["url"] == "figures.csv"
    with zipfile.ZipFile(made.folder / "figures.xlsx") as workbook:
        assert workbook.testzip() is None


def test_charts_are_drawings_with_their_words(pair: Comparison, tmp_path: Path) -> None:
    made = export(pair, tmp_path / "mine")
    words = (made.folder / "words.txt").read_text(encoding="utf-8")
    assert wording.headline(pair) in words
    assert wording.LIMITS in words
    for name in ("chart-grades.svg", "chart-changes.svg"):
        root = etree.fromstring((made.folder / name).read_bytes())
        described = root.findtext("{http://www.w3.org/2000/svg}desc")
        assert described
        assert described in words


def test_one_audit_has_no_chart_of_changes(single: SingleAudit, tmp_path: Path) -> None:
    made = export(single, tmp_path / "mine")
    assert "chart-changes.svg" not in made.files
    assert made.files == tuple(name for name in takeaway.FILES if (made.folder / name).exists())
    assert set(contents(made.folder)) == set(made.files)


def test_it_goes_to_the_scratch_folder_of_the_project_and_says_so(
    pair: Comparison, project: paths.Project
) -> None:
    made = export(pair)
    assert made.folder == project.notebooks / "scratch" / "exports" / "warwickshire"
    assert repr(made) == (
        "Exported to notebooks/scratch/exports/warwickshire: figures.csv, figures.csv-metadata.json, figures.xlsx, "
        "chart-grades.svg, chart-changes.svg, words.txt."
    )


def test_the_same_comparison_makes_the_same_files(pair: Comparison, tmp_path: Path) -> None:
    one, other = (export(pair, tmp_path / name).folder for name in ("one", "other"))
    assert contents(one) == contents(other)


def test_an_earlier_export_gives_way_only_when_told(
    pair: Comparison, single: SingleAudit, tmp_path: Path
) -> None:
    export(pair, tmp_path / "mine")
    before = contents(tmp_path / "mine")
    with pytest.raises(ExportError, match="replace=True"):
        export(single, tmp_path / "mine")
    assert contents(tmp_path / "mine") == before
    export(single, tmp_path / "mine", replace=True)
    assert "chart-changes.svg" not in contents(tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_is_no_export_never_gives_way(pair: Comparison, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter-1.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ExportError, match=r"chapter-1\.txt, which is no part of an export"):
        export(pair, tmp_path / "thesis", replace=True)
    with pytest.raises(ExportError, match="is a file"):
        export(pair, tmp_path / "thesis" / "chapter-1.txt", replace=True)
    assert contents(tmp_path / "thesis") == {"chapter-1.txt": b"years of work"}


def test_an_empty_folder_is_filled(pair: Comparison, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert len(export(pair, tmp_path / "mine").files) == len(takeaway.FILES)


def test_an_export_that_fails_leaves_the_earlier_one(
    pair: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(pair, tmp_path / "mine")
    before = contents(tmp_path / "mine")

    def full(*_given: Any, **_also: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(takeaway.formats, "write_xlsx", full)
    with pytest.raises(OSError, match="no space left"):
        export(pair, tmp_path / "mine", replace=True)
    assert contents(tmp_path / "mine") == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("given", [None, "warwickshire", 3])
def test_what_is_no_comparison_is_refused_in_one_sentence(given: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^Export a comparison, as from analysis\.compare\.$"):
        export(given, tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_what_only_looks_like_a_comparison_is_refused_too(
    pair: Comparison, audits: pl.DataFrame, tmp_path: Path
) -> None:
    for other in (trend.trend(audits, force="warwickshire"), planning.plan(pair), audits):
        with pytest.raises(ExportError, match="Export a comparison"):
            export(other, tmp_path / "mine")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["", "  ", 3, b"mine"])
def test_a_folder_that_has_no_name_is_refused(
    pair: Comparison, folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match="names no folder: give the path of one"):
        export(pair, folder)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_may_be_named_as_such(single: SingleAudit, tmp_path: Path) -> None:
    assert export(single, folder=str(tmp_path / "mine")).folder == tmp_path / "mine"
