import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from analysis import vocabulary
from analysis.evidence import narrative
from analysis.evidence.cleaning import Evidence
from analysis.evidence.faults import EvidenceError

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "raw"
FINDINGS, CLAIMS, KNOWN = "findings.csv", "claims.csv", "known_inspections.csv"
READERS: dict[str, Callable[[Path], tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]] = {
    FINDINGS: narrative.findings,
    CLAIMS: narrative.claims,
    KNOWN: narrative.known_inspections,
}
N_ROWS = {FINDINGS: 30, CLAIMS: 11, KNOWN: 10}
# Derbyshire's initial inspection in known_inspections.csv, Warwickshire's in the others
ROW = {FINDINGS: 2, CLAIMS: 2, KNOWN: 4}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "raw"))


def edit(raw: Path, file: str, change: Callable[[list[list[str]]], object]) -> None:
    with (raw / file).open(encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened))
    change(rows)
    with (raw / file).open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened, lineterminator="\n").writerows(rows)


def changed(raw: Path, file: str, **cells: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    def change(rows: list[list[str]]) -> None:
        for name, value in cells.items():
            rows[ROW[file] - 1][rows[0].index(name)] = value

    edit(raw, file, change)
    accepted, rejects, _ = READERS[file](raw)
    return accepted, rejects


@pytest.mark.parametrize("file", READERS)
def test_every_shipped_row_is_accepted(file: str) -> None:
    accepted, rejects, _ = READERS[file](SHIPPED)

    assert rejects.is_empty()
    assert accepted.height == N_ROWS[file]


DATE = "write the year, the month or the day as 2022, 2022-02 or 2022-02-14, or leave it blank"
NUMBER = "write a share as a fraction of 1, a number of cases as digits"
ADDRESS = "give the full address, beginning with https://"


@pytest.mark.parametrize(
    ("files", "cells", "reason", "remedy"),
    [
        (
            list(READERS),
            {"force": "Yorkshire"},
            "is not a force of England and Wales",
            "did you mean north-yorkshire, south-yorkshire or west-yorkshire",
        ),
        (
            list(READERS),
            {"force": ""},
            "is not a force of England and Wales",
            "name one of the 43 forces",
        ),
        (
            list(READERS),
            {"inspection": "reinspection"},
            "is not a kind of inspection that is known here",
            "did you mean re-inspection",
        ),
        (list(READERS), {"fieldwork": "2022-13"}, "is not a date that exists", DATE),
        (list(READERS), {"fieldwork": "2022-2"}, "is not a date that exists", DATE),
        (
            [FINDINGS, CLAIMS],
            {"fieldwork": ""},
            "is blank: the inspection cannot be told from others",
            "state it, at least its year",
        ),
        (
            [KNOWN],
            {"fieldwork": "", "report_published": ""},
            "is blank: the inspection cannot be told from others",
            "state it, at least its year",
        ),
        ([KNOWN], {"report_published": "soon"}, "is not a date that exists", DATE),
        ([KNOWN], {"report_published": "2020-11-16"}, "lies before the fieldwork", "look both dates up"),
        *(
            (
                [KNOWN],
                {"recommendations": value},
                "is not a whole number, 0 or more",
                "write digits only, or leave it blank if it is not stated",
            )
            for value in ("twelve", "-1", "1.0", "9" * 5, "9" * 10_000, "١٢", "1２")
        ),
        *(([KNOWN], {"recommendations": value}, "", "") for value in (" 12", "12\n")),
        ([FINDINGS], {"theme": ""}, "is blank, but must be stated", "name the theme in a few words"),
        ([FINDINGS], {"theme": " "}, "", ""),
        (
            [FINDINGS],
            {"status": "improve"},
            "is not something inspectors say of a theme that is known here",
            "did you mean improved",
        ),
        (
            [FINDINGS],
            {"status": ""},
            "is not something inspectors say of a theme that is known here",
            "use one of: improved, still a concern, needs improvement, recommendation",
        ),
        (
            [FINDINGS],
            {"source_publisher": ""},
            "is blank, but must be stated",
            "name who published the page",
        ),
        ([FINDINGS], {"source_url": "bbc.co.uk"}, "is not the address of a web page", ADDRESS),
        (
            [CLAIMS],
            {"area": "everything"},
            "is not an area of child protection that is known here",
            "use one of: overall, ",
        ),
        ([CLAIMS], {"claim": ""}, "is blank, but must be stated", "quote the words of the claim"),
        ([CLAIMS], {"measure": ""}, "is blank, but must be stated", "say what the claim is about"),
        ([CLAIMS], {"publisher": ""}, "is blank, but must be stated", "name who published the page"),
        ([CLAIMS], {"url": ""}, "is not the address of a web page", ADDRESS),
        *(
            (
                [CLAIMS],
                {"claimed": value},
                "is not a number, with < or > before it where the words say less or more than",
                NUMBER,
            )
            for value in (
                "",
                "a third",
                "25%",
                "=0.25",
                "> 0.25",
                "<>1",
                ".5",
                "1.",
                "-1",
                "1e-1",
                "٠.٣",
                "1,5",
            )
        ),
    ],
    ids=lambda value: ascii(value)[:50] if isinstance(value, dict) else "",
)
def test_a_broken_rule_refuses_its_row_and_no_other(
    raw: Path, files: list[str], cells: dict[str, str], reason: str, remedy: str
) -> None:
    for file in files:
        accepted, rejects = changed(raw, file, **cells)

        (reject,) = rejects.to_dicts()
        # where two cells had to change, the first that is wrong is named
        column = "report_published" if reason == "lies before the fieldwork" else next(iter(cells))
        assert (reject["file"], reject["row"], reject["column"]) == (file, ROW[file], column)
        assert reject["value"] == (cells[column] or None)
        # of white space around a value it may be told as such or as what it makes of the value
        assert reject["reason"] == (reason or reject["reason"])
        assert reject["remedy"].startswith(remedy)
        assert accepted.height == N_ROWS[file] - 1


@pytest.mark.parametrize("file", READERS)
def test_a_repeated_row_is_refused_and_told_which_row_it_repeats(raw: Path, file: str) -> None:
    edit(raw, file, lambda rows: rows.append(rows[ROW[file] - 1]))

    accepted, rejects, _ = READERS[file](raw)

    (reject,) = rejects.to_dicts()
    assert (reject["row"], reject["column"]) == (N_ROWS[file] + 2, None)
    assert reject["reason"].startswith(f"repeats row {ROW[file]} in every column")
    assert accepted.height == N_ROWS[file]


@pytest.mark.parametrize("file", READERS)
@pytest.mark.parametrize(
    ("change", "column"),
    [
        (lambda rows: [row.append("x") for row in rows], "x"),
        (lambda rows: [row.pop(1) for row in rows], "inspection"),
        (lambda rows: [row.insert(0, row.pop()) for row in rows], None),
        (lambda rows: rows[1].pop(), None),
        (lambda rows: rows.__delitem__(slice(1, None)), None),
    ],
    ids=["extra column", "missing column", "reordered columns", "ragged row", "no rows"],
)
def test_a_file_of_another_shape_is_refused_as_a_whole(
    raw: Path, file: str, change: Callable[[list[list[str]]], object], column: str | None
) -> None:
    edit(raw, file, change)

    with pytest.raises(EvidenceError) as raised:
        READERS[file](raw)

    (fault,) = raised.value.faults
    assert (fault.file, fault.column) == (file, column)


@pytest.mark.parametrize("claimed", ["0.25", ">0.25", "<15", "14", "0", "1"])
def test_a_claim_may_be_a_number_or_a_bound(raw: Path, claimed: str) -> None:
    accepted, rejects = changed(raw, CLAIMS, claimed=claimed)

    assert rejects.is_empty()
    assert accepted["claimed"].to_list()[0] == claimed


@pytest.mark.parametrize(("recommendations", "n"), [("12", 12), ("0", 0), ("", None), ("012", 12)])
def test_recommendations_that_are_not_stated_are_unknown_and_not_none(
    raw: Path, recommendations: str, n: int | None
) -> None:
    accepted, rejects = changed(raw, KNOWN, recommendations=recommendations)

    assert rejects.is_empty()
    assert accepted.filter(inspection_id="derbyshire-2021-05-initial")["n_recommendations"].to_list() == [n]


def test_a_known_inspection_without_fieldwork_is_named_by_its_publication(raw: Path) -> None:
    accepted, _ = changed(raw, KNOWN, fieldwork="")

    row = accepted.row(by_predicate=pl.col("inspection_id").str.contains("published"), named=True)
    assert row["inspection_id"] == "derbyshire-published-2021-11-initial"
    assert (row["fieldwork"], row["published"]) == (None, "2021-11-16")


@pytest.mark.parametrize(
    "cells",
    [
        {"fieldwork": "2022-01", "report_published": "2022-05-11"},
        {"fieldwork": "2022-01", "report_published": "2022-05"},
        {"fieldwork": "2022-01", "report_published": ""},
        {"fieldwork": "2022-01-10", "report_published": "2022-05-11"},
    ],
    ids=["same dates", "publication less exact", "publication not stated", "fieldwork more exact"],
)
def test_an_inspection_is_known_once(raw: Path, cells: dict[str, str]) -> None:
    # the row of Cheshire before it, with another number of recommendations
    accepted, rejects = changed(raw, KNOWN, force="Cheshire Constabulary", **cells)

    assert accepted["inspection_id"].is_unique().all()
    assert rejects["row"].to_list() == [ROW[KNOWN]]


def test_a_force_is_found_by_any_of_its_names(raw: Path) -> None:
    accepted, _ = changed(raw, FINDINGS, force="the MET")

    assert accepted["force"].to_list()[0] == "metropolitan"
    assert accepted["inspection_id"].to_list()[0] == "metropolitan-2022-02-initial"


def test_a_claim_about_a_group_of_forces_has_no_force() -> None:
    accepted, _, _ = narrative.claims(SHIPPED)

    assert (
        accepted.filter(pl.col("force").is_null())["inspection_id"].str.starts_with("national-8-forces").all()
    )
    assert accepted["force"].null_count() == 1


@pytest.mark.parametrize("table", ["findings", "claims"])
def test_what_is_told_of_an_inspection_is_told_of_one_that_is_known(evidence: Evidence, table: str) -> None:
    known = {*evidence.audits["inspection_id"], *evidence.known_inspections["inspection_id"]}

    assert set(evidence.tables[table]["inspection_id"]) - known == set()


def test_every_status_is_one_of_the_closed_list_and_occurs(evidence: Evidence) -> None:
    assert set(evidence.findings["status"]) == set(vocabulary.FINDING_STATUSES)
