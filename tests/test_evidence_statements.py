import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis import vocabulary
from analysis.evidence import corrections, reconcile, statements
from analysis.evidence.faults import EvidenceError
from analysis.evidence.statements import Statement

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "raw"
FILE = statements.FILE

Rows = list[list[str]]
Read = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def rows_of(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


HEADER, *RECORDS = rows_of(SHIPPED / FILE)
# good 23, requires improvement 23 and inadequate 28 of 74, told by one page
WARWICKSHIRE = {
    "force": "Warwickshire",
    "inspection": "initial inspection",
    "fieldwork": "2022-02",
    "report_published": "2022-08-05",
    "cases": "74",
    "publisher": "BBC News",
}
WEST_YORKSHIRE = {"force": "West Yorkshire", "graded_by": "inspectors", "area": "overall", "cases": "33"}


def row_of(rows: Rows, wanted: Mapping[str, str]) -> int:
    (number,) = [
        number
        for number, row in enumerate(rows, start=1)
        if all(row[HEADER.index(name)] == value for name, value in wanted.items())
    ]
    return number


ROW = row_of([HEADER, *RECORDS], WARWICKSHIRE)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "raw"))


def read(raw: Path) -> Read:
    return statements.read(raw, corrections.load(raw))


def edit(raw: Path, change: Callable[[Rows], object]) -> None:
    rows = rows_of(raw / FILE)
    change(rows)
    with (raw / FILE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


def changed(raw: Path, **cells: str) -> Read:
    edit(raw, lambda rows: rows[ROW - 1].__setitem__(slice(None), cell_changed(rows[ROW - 1], cells)))
    return read(raw)


def added(raw: Path, **cells: str) -> Read:
    edit(raw, lambda rows: rows.append(cell_changed(rows[ROW - 1], cells)))
    return read(raw)


def cell_changed(record: list[str], cells: Mapping[str, str]) -> list[str]:
    return [cells.get(name, value) for name, value in zip(HEADER, record, strict=True)]


def declare(raw: Path, entry: str) -> None:
    path = raw / corrections.FILE
    path.write_text(f"{path.read_text(encoding='utf-8')}\n[[correction]]\n{entry}\n", encoding="utf-8")


def accepted_row(outcome: Read, row: int = ROW) -> dict[str, object]:
    accepted, rejects, _ = outcome
    assert rejects.is_empty()
    return accepted.row(by_predicate=pl.col("row") == row, named=True)


def the_reject(outcome: Read) -> dict[str, object]:
    accepted, rejects, _ = outcome
    (reject,) = rejects.to_dicts()
    assert reject["file"] == FILE
    assert sorted([*accepted["row"], reject["row"]]) == list(range(2, len(accepted) + 3))
    return reject


def test_every_shipped_row_is_accepted_in_file_order() -> None:
    accepted, rejects, applied = read(SHIPPED)

    assert rejects.is_empty()
    assert accepted["row"].to_list() == list(range(2, len(RECORDS) + 2))
    assert applied["action"].to_list() == ["keep", *["override"] * 8]


def test_counts_are_those_of_the_page_and_a_blank_stays_unknown_and_never_becomes_zero() -> None:
    accepted, _, _ = read(SHIPPED)

    for name in ("cases", "good", "adequate", "requires_improvement", "inadequate", "below_good"):
        printed = [record[HEADER.index(name)] for record in RECORDS]
        counts = accepted[f"n_{name}"]
        assert counts.dtype == pl.Int64
        assert counts.to_list() == [int(text) if text else None for text in printed]
        assert "" in printed or name == "cases"


def test_a_printed_zero_is_a_zero(raw: Path) -> None:
    row = accepted_row(changed(raw, good="0"))

    assert row["n_good"] == 0
    assert row["n_adequate"] is None
    assert row["n_below_good"] is None


LIST_OF_AREAS_BEGINS = "use one of: overall, child protection investigations, "
DIGITS = "write digits only, or leave it blank if it is not stated"
DATE = "write the year, the month or the day as 2022, 2022-02 or 2022-02-14, or leave it blank"
LOOK_UP = "look the row up at its url"


@pytest.mark.parametrize(
    ("cells", "column", "value", "reason", "remedy"),
    [
        (
            {"force": "Yorkshire"},
            "force",
            "Yorkshire",
            "is not a force of England and Wales",
            "did you mean north-yorkshire, south-yorkshire or west-yorkshire",
        ),
        (
            {"force": "Police Scotland"},
            "force",
            "Police Scotland",
            "is not a force of England and Wales",
            "the 43 forces are listed in data/raw/forces.csv",
        ),
        (
            {"force": ""},
            "force",
            None,
            "is not a force of England and Wales",
            "name one of the 43 forces",
        ),
        (
            {"force": "National (9 forces)"},
            "force",
            "National (9 forces)",
            "is not a force of England and Wales",
            "the 43 forces are listed in data/raw/forces.csv",
        ),
        (
            {"inspection": "initial"},
            "inspection",
            "initial",
            "is not a kind of inspection that is known here",
            "did you mean initial inspection",
        ),
        (
            {"inspection": ""},
            "inspection",
            None,
            "is not a kind of inspection that is known here",
            "use one of: initial inspection, post-inspection review, re-inspection, quarterly update, "
            "thematic inspection, inspection (2024 method)",
        ),
        ({"fieldwork": "2022-02-30"}, "fieldwork", "2022-02-30", "is not a date that exists", DATE),
        (
            {"report_published": "5 August 2022"},
            "report_published",
            "5 August 2022",
            "is not a date that exists",
            DATE,
        ),
        (
            {"fieldwork": "", "report_published": ""},
            "fieldwork",
            None,
            "is blank, and so is report_published: the inspection cannot be told from others",
            "state one of the two, at least its year",
        ),
        (
            {"report_published": "2022-01-31"},
            "report_published",
            "2022-01-31",
            "lies before the fieldwork",
            "look both dates up in the report",
        ),
        (
            {"report_published": "2021"},
            "report_published",
            "2021",
            "lies before the fieldwork",
            "look both dates up in the report",
        ),
        (
            {"fieldwork": "2022-08-06"},
            "report_published",
            "2022-08-05",
            "lies before the fieldwork",
            "look both dates up in the report",
        ),
        (
            {"area": "missing"},
            "area",
            "missing",
            "is not an area of child protection that is known here",
            "did you mean missing children",
        ),
        (
            {"area": "Overall"},
            "area",
            "Overall",
            "is not an area of child protection that is known here",
            "did you mean overall",
        ),
        (
            {"area": ""},
            "area",
            None,
            "is not an area of child protection that is known here",
            LIST_OF_AREAS_BEGINS,
        ),
        (
            {"graded_by": "inspector"},
            "graded_by",
            "inspector",
            "is not someone who grades that is known here",
            "did you mean inspectors or inspectors only",
        ),
        (
            {"graded_by": ""},
            "graded_by",
            None,
            "is not someone who grades that is known here",
            "use one of: inspectors, inspectors only, force",
        ),
        ({"cases": "-74"}, "cases", "-74", "is not a whole number of cases, 0 or more", DIGITS),
        ({"good": "23.0"}, "good", "23.0", "is not a whole number of cases, 0 or more", DIGITS),
        (
            {"requires_improvement": "some"},
            "requires_improvement",
            "some",
            "is not a whole number of cases, 0 or more",
            DIGITS,
        ),
        (
            {"inadequate": "a third"},
            "inadequate",
            "a third",
            "is not a whole number of cases, 0 or more",
            DIGITS,
        ),
        ({"below_good": "69%"}, "below_good", "69%", "is not a whole number of cases, 0 or more", DIGITS),
        (
            {"fieldwork": "2014-06", "adequate": "?"},
            "adequate",
            "?",
            "is not a whole number of cases, 0 or more",
            DIGITS,
        ),
        (
            {"cases": "", "good": "", "requires_improvement": "", "inadequate": ""},
            None,
            None,
            "states no count at all",
            "add the counts that the page states, or remove the row",
        ),
        (
            {"cases": "0", "good": "", "requires_improvement": "", "inadequate": ""},
            "cases",
            "0",
            "is an audit of no cases",
            "leave it blank if it is not stated",
        ),
        (
            {"good": "24"},
            "cases",
            "74",
            "is less than the grades, which add to 75",
            f"{LOOK_UP}; if it is printed so, declare it in corrections.toml (keep)",
        ),
        (
            {"requires_improvement": "", "inadequate": "", "below_good": "52"},
            "cases",
            "74",
            "is less than the grades, which add to 75",
            f"{LOOK_UP}; if it is printed so, declare it in corrections.toml (keep)",
        ),
        (
            {"good": "", "below_good": "50"},
            "below_good",
            "50",
            "is not requires improvement plus inadequate, which make 51",
            LOOK_UP,
        ),
        (
            {"good": "", "below_good": "52"},
            "below_good",
            "52",
            "is not requires improvement plus inadequate, which make 51",
            LOOK_UP,
        ),
        (
            {"requires_improvement": "", "below_good": "27"},
            "below_good",
            "27",
            "is not requires improvement plus inadequate, which make 28",
            LOOK_UP,
        ),
        (
            {"adequate": "0"},
            "adequate",
            "0",
            "is a grade that audits have not used since 2015",
            'leave it blank; it is not the same as "requires improvement"',
        ),
        (
            {"fieldwork": "2024-02", "report_published": ""},
            "inspection",
            "initial inspection",
            "has case grades, but inspections since February 2024 judge topics and grade no cases",
            "leave the grades blank, or mend the dates",
        ),
        (
            {"inspection": "inspection (2024 method)"},
            "inspection",
            "inspection (2024 method)",
            "has case grades, but inspections since February 2024 judge topics and grade no cases",
            "leave the grades blank, or mend the dates",
        ),
        (
            {"publisher": ""},
            "publisher",
            None,
            "is blank, but must be stated",
            "name who published the page",
        ),
        *(
            (
                {"url": url},
                "url",
                url or None,
                "is not the address of a web page",
                "give the full address, beginning with https://",
            )
            for url in (
                "",
                "www.bbc.co.uk/news",
                "https://localhost",
                "javascript:alert(1)",
                "https:// x.y/z",
            )
        ),
        (
            {"source_kind": "Press"},
            "source_kind",
            "Press",
            "is not a kind of source that is known here",
            "did you mean press",
        ),
        (
            {"source_kind": ""},
            "source_kind",
            None,
            "is not a kind of source that is known here",
            "use one of: primary, official, press",
        ),
    ],
    ids=lambda value: " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_a_broken_rule_refuses_its_row_and_no_other(
    raw: Path, cells: dict[str, str], column: str | None, value: str | None, reason: str, remedy: str
) -> None:
    reject = the_reject(changed(raw, **cells))

    assert (reject["row"], reject["column"], reject["value"]) == (ROW, column, value)
    assert reject["reason"] == reason
    assert str(reject["remedy"]).startswith(remedy)


def test_a_repeated_row_is_refused_and_told_which_row_it_repeats(raw: Path) -> None:
    reject = the_reject(added(raw))

    assert (reject["row"], reject["column"], reject["value"]) == (len(RECORDS) + 2, None, None)
    assert reject["reason"] == f"repeats row {ROW} in every column"
    assert reject["remedy"] == "remove one of the two rows"


def test_a_row_that_differs_in_one_column_is_no_repetition(raw: Path) -> None:
    accepted, rejects, _ = added(raw, note="seen again")

    assert rejects.is_empty()
    assert accepted.height == len(RECORDS) + 1


def test_a_year_beside_a_month_of_the_same_inspection_is_refused_and_names_the_month(raw: Path) -> None:
    reject = the_reject(added(raw, fieldwork="2022", publisher="Other", url="https://example.org/other"))

    assert (reject["row"], reject["column"], reject["value"]) == (len(RECORDS) + 2, "fieldwork", "2022")
    assert reject["reason"] == "gives a year only, where another row gives 2022-02 for such an inspection"
    assert reject["remedy"] == "write the month if it is the same inspection"


@pytest.mark.parametrize(
    "cells",
    [
        {"inspection": "re-inspection"},
        {"fieldwork": "2021", "report_published": "2021-05"},
        {"force": "Kent"},
    ],
    ids=["another kind", "another year", "another force"],
)
def test_a_year_alone_is_accepted_where_no_such_inspection_has_a_month(
    raw: Path, cells: dict[str, str]
) -> None:
    accepted, rejects, _ = added(raw, **{"fieldwork": "2022"} | cells)

    assert rejects.is_empty()
    assert accepted["fieldwork_precision"].to_list()[-1] == "year"


def test_an_update_may_have_a_year_beside_a_month(raw: Path) -> None:
    # several come in a year, so that these need not be one and the same
    row = {"force": "Metropolitan Police Service", "inspection": "quarterly update"}

    accepted, rejects, _ = added(raw, **row, fieldwork="2017-06", report_published="2017-08")

    assert rejects.is_empty()
    assert accepted.filter(pl.col("kind") == "update")["fieldwork"].drop_nulls().to_list() == [
        "2017",
        "2017",
        "2017-06",
    ]


def test_a_month_that_does_not_exist_does_not_refuse_the_year_of_another_row(raw: Path) -> None:
    edit(raw, lambda rows: rows[ROW - 1].__setitem__(HEADER.index("fieldwork"), "2022"))

    _, rejects, _ = added(raw, fieldwork="2022-99", publisher="Other")

    assert rejects["row"].to_list() == [len(RECORDS) + 2]


# Whether two pages mean one inspection cannot be told for certain, but must not pass unseen
@pytest.mark.parametrize(
    "cells",
    [
        {"fieldwork": ""},
        {"fieldwork": "", "report_published": "2022-08"},
        {"fieldwork": "", "report_published": "2022"},
        {"fieldwork": "2022-03"},
    ],
    ids=["published on that day", "published in that month", "published in that year", "a month later"],
)
def test_a_page_that_dates_an_inspection_otherwise_is_refused_or_shown_as_a_look_alike(
    raw: Path, cells: dict[str, str]
) -> None:
    accepted, rejects, _ = added(raw, **cells, publisher="Other")

    audits, _ = reconcile.reconcile(Statement.cast(accepted))
    pairs = reconcile.look_alikes(audits)
    assert rejects["row"].to_list() == [len(RECORDS) + 2] or "warwickshire-2022-02-initial" in {
        *pairs["inspection_id"],
        *pairs["other_inspection_id"],
    }


def test_a_year_of_publication_beside_a_month_is_refused_or_shown_as_a_look_alike(raw: Path) -> None:
    review = {"force": "Cleveland", "inspection": "post-inspection review", "area": "missing children"}
    blank = dict.fromkeys(("fieldwork", "good", "requires_improvement", "inadequate"), "")

    accepted, rejects, _ = added(raw, **review | blank, cases="8", report_published="2018")

    audits, _ = reconcile.reconcile(Statement.cast(accepted))
    assert rejects["row"].to_list() == [len(RECORDS) + 2] or reconcile.look_alikes(audits).rows() == [
        (
            "cleveland-published-2018-11-review",
            "cleveland-published-2018-review",
            "cleveland",
            "missing children",
            "inspectors",
        )
    ]


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        *(
            ({name: value}, name)
            for name in ("cases", "good", "adequate", "inadequate", "below_good")
            for value in (" ", " 7", "7 ", "\u00a07", "+7", "7\n", "7,0", "1e1", "٧", "７", "²", "Ⅶ")
        ),
        ({"good": "9" * 10}, "good"),
        ({"good": "9" * 10_000}, "good"),
        ({"force": "Kent\u200b"}, "force"),
        ({"force": "x" * 10_000}, "force"),
        ({"force": "Kent; Surrey"}, "force"),
        ({"inspection": "initial  inspection"}, "inspection"),
        ({"area": "overall\n"}, "area"),
        ({"graded_by": " force"}, "graded_by"),
        ({"source_kind": "press\u200b"}, "source_kind"),
        ({"fieldwork": " 2022-02"}, "fieldwork"),
        ({"fieldwork": "2022-2"}, "fieldwork"),
        ({"fieldwork": "2022-02\n"}, "fieldwork"),
        ({"fieldwork": "0000"}, "fieldwork"),
        ({"fieldwork": "", "report_published": "٢٠٢٢"}, "report_published"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_nothing_that_only_looks_right_is_taken(raw: Path, cells: dict[str, str], column: str) -> None:
    reject = the_reject(changed(raw, **cells))

    assert (reject["row"], reject["column"], reject["value"]) == (ROW, column, cells[column])


@pytest.mark.parametrize("column", ["publisher", "text_shared_with"])
@pytest.mark.parametrize("value", ["BBC News ", " BBC News"], ids=ascii)
def test_white_space_does_not_make_another_source(raw: Path, column: str, value: str) -> None:
    accepted, rejects, _ = added(raw, **{column: value, "note": "seen again"})

    same = accepted.filter(pl.col("inspection_id") == "warwickshire-2022-02-initial")["source"]
    assert rejects["row"].to_list() == [len(RECORDS) + 2] or same.n_unique() == 1


@pytest.mark.parametrize("column", ["publisher", "text_shared_with"])
def test_white_space_is_no_source(raw: Path, column: str) -> None:
    accepted, rejects, _ = changed(raw, **{column: " "})

    assert rejects["row"].to_list() == [ROW] or accepted["source"].str.strip_chars().str.len_chars().min() > 0


def test_every_fault_of_a_row_is_told_in_its_one_reject(raw: Path) -> None:
    reject = the_reject(changed(raw, force="Gotham", fieldwork="2022-13", good="many"))

    assert (reject["column"], reject["value"]) == ("force", "Gotham")
    for told in (
        "is not a force",
        "is not a date",
        "is not a whole number",
        "fieldwork",
        "2022-13",
        "good",
        "many",
    ):
        assert told in str(reject["reason"])


@pytest.mark.parametrize("fieldwork", ["2022-13", "2022-2", "last year"])
def test_a_date_that_does_not_exist_is_no_evidence_of_another_fault(raw: Path, fieldwork: str) -> None:
    reject = the_reject(changed(raw, fieldwork=fieldwork))

    assert reject["reason"] == "is not a date that exists"


def test_a_count_that_is_no_count_is_no_evidence_of_wrong_sums(raw: Path) -> None:
    reject = the_reject(changed(raw, good="1000000000"))

    assert reject["reason"] == "is not a whole number of cases, 0 or more"


def test_a_grade_that_the_scale_of_the_audit_does_not_have_is_refused(raw: Path) -> None:
    # the thematic report of 2015 prints good, adequate and inadequate
    def change(rows: Rows) -> None:
        number = row_of(rows, {"force": "National (8 forces)", "publisher": "Lexology"})
        for name, value in (("good", "170"), ("requires_improvement", "7")):
            rows[number - 1][HEADER.index(name)] = value

    edit(raw, change)

    reject = the_reject(read(raw))

    assert (reject["column"], reject["value"]) == ("requires_improvement", "7")


def test_a_declared_drop_refuses_the_row_for_the_declared_reason(raw: Path) -> None:
    declare(
        raw,
        f'file = "{FILE}"\nmatch = {{ force = "Warwickshire", fieldwork = "2022-02" }}\ncolumn = "cases"\n'
        'action = "drop"\nexpected = "74"\nreason = "Retracted by the publisher."',
    )

    accepted, rejects, applied = read(raw)

    assert rejects.rows() == [
        (FILE, ROW, None, None, "Retracted by the publisher.", "nothing: the drop is declared")
    ]
    assert accepted.height == len(RECORDS) - 1
    assert ("drop", ROW) in applied.select("action", "row").rows()


def test_without_its_declaration_a_wrong_sum_is_refused(raw: Path) -> None:
    (raw / corrections.FILE).write_text("", encoding="utf-8")

    reject = the_reject(read(raw))

    assert (reject["row"], reject["column"], reject["value"]) == (
        row_of([HEADER, *RECORDS], WEST_YORKSHIRE),
        "cases",
        "33",
    )
    assert reject["reason"] == "is less than the grades, which add to 34"


def test_only_the_row_that_is_kept_by_declaration_is_flagged() -> None:
    accepted, _, _ = read(SHIPPED)

    kept = accepted.filter("is_kept_as_printed")
    assert kept["row"].to_list() == [row_of([HEADER, *RECORDS], WEST_YORKSHIRE)]
    assert kept.select(
        "n_cases", "n_good", "n_adequate", "n_requires_improvement", "n_inadequate"
    ).rows() == [(33, 9, 8, 7, 10)]


def test_a_kept_row_is_still_refused_for_anything_else(raw: Path) -> None:
    edit(raw, lambda rows: rows[row_of(rows, WEST_YORKSHIRE) - 1].__setitem__(HEADER.index("url"), "gone"))

    assert the_reject(read(raw))["column"] == "url"


def test_a_declared_keep_accepts_what_a_rule_about_its_column_would_refuse(raw: Path) -> None:
    edit(raw, lambda rows: rows[ROW - 1].__setitem__(HEADER.index("below_good"), "50"))
    declare(
        raw,
        f'file = "{FILE}"\nmatch = {{ force = "Warwickshire", fieldwork = "2022-02" }}\ncolumn = "below_good"\n'
        'action = "keep"\nexpected = "50"\nreason = "Printed so in the report itself."',
    )

    assert accepted_row(read(raw))["is_kept_as_printed"]


# "keep" is for what is printed and does not add up, not for what cannot be read or placed at all
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("force", "Gotham"),
        ("force", ""),
        ("inspection", "visit"),
        ("fieldwork", "2022-13"),
        ("report_published", "soon"),
        ("area", "everything"),
        ("graded_by", "nobody"),
        ("cases", "many"),
        ("cases", "-74"),
        ("good", "23.5"),
        ("adequate", "5"),
        ("publisher", ""),
        ("source_kind", "rumour"),
    ],
)
def test_a_declared_keep_does_not_accept_what_no_table_can_hold(raw: Path, column: str, value: str) -> None:
    edit(raw, lambda rows: rows[ROW - 1].__setitem__(HEADER.index(column), value))
    note = json.dumps(RECORDS[ROW - 2][HEADER.index("note")])
    declare(
        raw,
        f'file = "{FILE}"\nmatch = {{ note = {note} }}\ncolumn = "{column}"\naction = "keep"\n'
        f'expected = "{value}"\nreason = "Printed so in the report itself."',
    )

    try:
        accepted, rejects, _ = read(raw)
    except EvidenceError:
        return

    assert rejects["row"].to_list() == [ROW]
    assert accepted.height == len(RECORDS) - 1


def test_a_declared_keep_whose_sums_have_come_right_is_refused(raw: Path) -> None:
    edit(raw, lambda rows: rows[row_of(rows, WEST_YORKSHIRE) - 1].__setitem__(HEADER.index("good"), "8"))

    with pytest.raises(EvidenceError, match=r"corrections\.toml"):
        read(raw)


def test_a_declared_scale_must_be_known(raw: Path) -> None:
    path = raw / corrections.FILE
    path.write_text(
        path.read_text(encoding="utf-8").replace("good, adequate, inadequate", "five grades"),
        encoding="utf-8",
    )

    _, rejects, _ = read(raw)

    assert rejects.select("column", "value").unique().rows() == [("scale", "five grades")]
    assert rejects.height == 7
    assert rejects["remedy"].str.starts_with("use one of: three grades; four grades; ").all()


@pytest.mark.parametrize(
    ("fieldwork", "month_or_year", "precision"),
    [
        ("2022", "2022", "year"),
        ("2022-02", "2022-02", "month"),
        ("2022-02-14", "2022-02", "day"),
        ("", None, None),
    ],
)
def test_the_date_of_fieldwork_keeps_its_precision(
    raw: Path, fieldwork: str, month_or_year: str | None, precision: str | None
) -> None:
    row = accepted_row(changed(raw, fieldwork=fieldwork))

    assert (row["fieldwork"], row["fieldwork_precision"]) == (month_or_year, precision)
    assert row["published"] == "2022-08-05"


@pytest.mark.parametrize("published", ["2022", "2022-08", "2022-08-05", ""])
def test_the_date_of_publication_is_kept_as_exactly_as_stated(raw: Path, published: str) -> None:
    assert accepted_row(changed(raw, report_published=published))["published"] == (published or None)


@pytest.mark.parametrize(
    ("cells", "inspection_id"),
    [
        ({}, "warwickshire-2022-02-initial"),
        ({"fieldwork": "2022-02-14"}, "warwickshire-2022-02-initial"),
        ({"fieldwork": "2022"}, "warwickshire-2022-initial"),
        ({"fieldwork": ""}, "warwickshire-published-2022-08-initial"),
        ({"fieldwork": "", "report_published": "2022"}, "warwickshire-published-2022-initial"),
        ({"force": "the MET", "inspection": "re-inspection"}, "metropolitan-2022-02-re-inspection"),
        ({"force": "National (6 forces)"}, "national-6-forces-2022-02-initial"),
    ],
    ids=str,
)
def test_an_inspection_is_named_by_force_date_and_kind(
    raw: Path, cells: dict[str, str], inspection_id: str
) -> None:
    assert accepted_row(changed(raw, **cells))["inspection_id"] == inspection_id


@pytest.mark.parametrize(
    ("fieldwork", "published", "scale"),
    [
        ("2014-04", "2014-12", "four grades"),
        ("2015-12", "2016-03", "four grades"),
        ("2015", "2016", "four grades"),
        ("2016-01", "2016-03", "three grades"),
        ("2016", "2016", "three grades"),
        ("2024-01-31", "2024-06", "three grades"),
        ("2023", "2024-06", "three grades"),
        ("", "2015-12-31", "four grades"),
        ("", "2016-01-01", "three grades"),
        ("", "2024-01", "three grades"),
        ("2024-02", "2024-06", "topic judgments"),
        # a bare 2024 may lie after the change of method
        ("2024", "2024", "topic judgments"),
        ("", "2024-02-01", "topic judgments"),
    ],
)
def test_the_scale_follows_from_the_date(raw: Path, fieldwork: str, published: str, scale: str) -> None:
    ungraded = dict.fromkeys(("good", "requires_improvement", "inadequate"), "")

    row = accepted_row(changed(raw, fieldwork=fieldwork, report_published=published, **ungraded))

    assert row["scale"] == scale


def test_a_declared_scale_beats_the_date() -> None:
    accepted, _, _ = read(SHIPPED)

    groups = accepted.filter(pl.col("group") == "national-8-forces")
    assert groups["scale"].unique().to_list() == ["good, adequate, inadequate"]
    assert groups.height == 7


def test_figures_of_a_group_have_no_force_and_those_of_a_force_no_group() -> None:
    accepted, _, _ = read(SHIPPED)

    n_of_groups = sum(record[0] in vocabulary.GROUPS for record in RECORDS)
    assert n_of_groups == 9
    assert accepted["force"].null_count() == n_of_groups
    assert accepted.filter(pl.col("force").is_null() == pl.col("group").is_null()).is_empty()


@pytest.mark.parametrize(
    ("cells", "source"),
    [
        ({}, "BBC News"),
        ({"text_shared_with": "PA Media"}, "PA Media"),
        ({"publisher": "HMICFRS", "text_shared_with": ""}, "HMICFRS"),
    ],
    ids=str,
)
def test_a_text_that_is_shared_is_the_source_and_else_the_publisher(
    raw: Path, cells: dict[str, str], source: str
) -> None:
    assert accepted_row(changed(raw, **cells))["source"] == source


@pytest.mark.parametrize(
    "cells",
    [
        {"cases": ""},
        {"good": "20"},
        {"good": "", "requires_improvement": "", "inadequate": "", "below_good": "74"},
        {"requires_improvement": "", "inadequate": "", "below_good": "51"},
        {"below_good": "51"},
        {"title": 'two\nlines, "quoted"', "note": "x" * 10_000},
        {"force": "The  warwickshire POLICE"},
        {"cases": "074"},
    ],
    ids=[
        "no total",
        "less than the total",
        "all below good",
        "no split",
        "below good too",
        "odd text",
        "spelt otherwise",
        "leading zero",
    ],
)
def test_what_is_possible_is_accepted(raw: Path, cells: dict[str, str]) -> None:
    assert accepted_row(changed(raw, **cells))["force"] == "warwickshire"


# Text that a slip of the hand would put in a cell, and text that nobody would
PLAUSIBLE = st.one_of(
    st.just(""),
    st.sampled_from(sorted({value for record in RECORDS for value in record})),
    st.integers(-3, 10**12).map(str),
    st.dates().map(str),
    st.text("0123456789- .+eE٧²", max_size=10),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
EDITS = st.lists(
    st.tuples(st.integers(0, len(RECORDS) - 1), st.sampled_from(HEADER), PLAUSIBLE), min_size=1, max_size=15
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path_factory.mktemp("statements") / "raw"))


# the file is written over from the start for each example
@settings(max_examples=50)
@given(EDITS)
@example([(0, "note", "before\u2028after")])
@example([(0, "force", "National (8 forces)")])
@example([(number, "cases", "") for number in range(len(RECORDS))])
def test_whatever_is_in_the_cells_every_row_is_accepted_or_refused_and_none_is_both(
    scratch: Path, edits: list[tuple[int, str, str]]
) -> None:
    records = [list(record) for record in RECORDS]
    for number, name, value in edits:
        records[number][HEADER.index(name)] = value
    with (scratch / FILE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([HEADER, *records])

    try:
        accepted, rejects, _ = read(scratch)
    except EvidenceError as error:
        faults = error.faults
    else:
        faults = ()
    # all that can be wrong with the file as a whole is a correction that no longer fits
    assert all("corrections.toml" in fault.sentence for fault in faults)
    if faults:
        return

    assert sorted([*accepted["row"], *rejects["row"]]) == list(range(2, len(RECORDS) + 2))
    assert all(rejects["reason"])
    assert all(rejects["remedy"])
