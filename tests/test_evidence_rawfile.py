import codecs
import csv
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.evidence import rawfile
from analysis.evidence.faults import EvidenceError, Fault, as_frame
from analysis.evidence.rawfile import Rule

COLUMNS = ("force", "cases", "note")
GOOD = b"force,cases,note\nKent,12,first\nSurrey,,\n"
ROWS = [(2, "Kent", "12", "first"), (3, "Surrey", None, None)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.csv"


def faults_of(path: Path, content: bytes | None) -> tuple[Fault, ...]:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EvidenceError) as raised:
        rawfile.read(path, COLUMNS)
    assert str(raised.value) == "\n".join(fault.sentence for fault in raised.value.faults)
    return raised.value.faults


def places(faults: Sequence[Fault]) -> list[tuple[str, int | None, str | None]]:
    return [(fault.file, fault.row, fault.column) for fault in faults]


def test_records_are_text_with_the_row_a_spreadsheet_shows_and_blanks_are_null(path: Path) -> None:
    path.write_bytes(GOOD)

    rows = rawfile.read(path, COLUMNS)

    assert rows.rows() == ROWS
    assert dict(rows.schema) == {"row": pl.Int64} | dict.fromkeys(COLUMNS, pl.String)


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"\n", b"\r"),
        GOOD.rstrip(b"\n"),
        GOOD.replace(b"Kent", b'"Kent"').replace(b",,\n", b',"",""\n'),
    ],
    ids=[
        "byte order mark",
        "Windows line ends",
        "old Macintosh line ends",
        "no last line end",
        "needless quotes",
    ],
)
def test_how_a_spreadsheet_saves_makes_no_difference(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    assert rawfile.read(path, COLUMNS).rows() == ROWS


@pytest.mark.parametrize("value", [" ", " 12", "012", "NA", "null", "None", "nan", "-", "1e3", "TRUE", "\t"])
def test_no_value_but_the_empty_one_is_read_as_blank_or_as_anything_but_text(path: Path, value: str) -> None:
    path.write_text(f"force,cases,note\nKent,{value},x\n", encoding="utf-8")

    assert rawfile.read(path, COLUMNS)["cases"].to_list() == [value]


def test_a_line_break_within_quotes_does_not_shift_the_row_numbers(path: Path) -> None:
    path.write_bytes(b'force,cases,note\nKent,1,"two\nlines"\nSurrey,2,"three\r\nmore\r\n"\nEssex,3,x\n')

    rows = rawfile.read(path, COLUMNS)

    assert rows["row"].to_list() == [2, 3, 4]
    assert rows["note"].to_list() == ["two\nlines", "three\r\nmore\r\n", "x"]


@pytest.mark.parametrize(
    "character", list("\v\f\x1c\x1d\x1e\x85\u2028\u2029\ufeff"), ids=lambda c: f"U+{ord(c):04X}"
)
def test_only_a_line_end_ends_a_record(path: Path, character: str) -> None:
    # no CSV writer puts quotes around these; some web pages are full of them
    path.write_text(f"force,cases,note\nKent,12,before{character}after\n", encoding="utf-8")

    assert rawfile.read(path, COLUMNS).rows() == [(2, "Kent", "12", f"before{character}after")]


@given(
    st.lists(
        st.tuples(
            *(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) for _ in COLUMNS)
        ),
        min_size=1,
    )
)
def test_whatever_is_written_within_quotes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "some.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([COLUMNS, *records])

    read = rawfile.read(path, COLUMNS)

    assert read["row"].to_list() == list(range(2, len(records) + 2))
    assert read.drop("row").rows() == [tuple(value or None for value in record) for record in records]


@pytest.mark.parametrize(
    ("content", "row", "reason", "remedy"),
    [
        (None, None, "is missing from data/raw", "restore"),
        (b"", None, "is empty", "restore"),
        (b" \r\n\t\n", None, "is empty", "restore"),
        (codecs.BOM_UTF8, None, "is empty", "restore"),
        (codecs.BOM_UTF8 + b"\n", None, "is empty", "restore"),
        (b"force,cases,note\n", None, "has a header and no rows", "restore"),
        (b"force,cases,note\n\n\n", None, "has a header and no rows", "restore"),
        (
            "force,cases,note\nKent,1,a\nDyfed–Powys,2,b\n".encode("cp1252"),
            3,
            "is not UTF-8 text (byte 0x96",
            "save the file",
        ),
        (GOOD.decode().encode("utf-16"), 1, "is not UTF-8 text (byte 0xff", "save the file"),
        (GOOD.decode().encode("utf-16-le"), None, "NUL characters", "save the file"),
        (GOOD.replace(b"first", b"fir\0st"), None, "NUL characters", "save the file"),
    ],
    ids=[
        "missing",
        "empty",
        "blank",
        "a byte order mark alone",
        "a byte order mark and a blank line",
        "header only",
        "header and blank lines",
        "Windows 1252",
        "UTF-16",
        "UTF-16 without a mark",
        "NUL",
    ],
)
def test_a_file_that_is_unusable_as_a_whole_is_told_once(
    path: Path, content: bytes | None, row: int | None, reason: str, remedy: str
) -> None:
    (fault,) = faults_of(path, content)

    assert places([fault]) == [("some.csv", row, None)]
    assert reason in fault.reason
    assert remedy in fault.remedy


def test_a_folder_in_the_place_of_the_file_is_told(path: Path) -> None:
    path.mkdir()

    (fault,) = faults_of(path, None)

    assert fault.file == "some.csv"


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (b"force,cases", ["note"]),
        (b"note", ["force", "cases"]),
        (b"force,cases,note,url", ["url"]),
        (b"force,Cases,note", ["Cases", "cases"]),
        (b"force, cases,note", [" cases", "cases"]),
        (b"force;cases;note", ["force;cases;note", "force", "cases", "note"]),
        (b"force,cases,note,", [None]),
        (b"force,cases,note,force", ["force"]),
        (b"force,cases,note,,", [None]),
        (b",,", [None]),
    ],
    ids=[
        "missing",
        "two missing",
        "extra",
        "renamed",
        "with a space",
        "semicolons",
        "without a name",
        "twice",
        "two without a name",
        "none with a name",
    ],
)
def test_every_wrong_column_is_named(path: Path, header: bytes, columns: list[str | None]) -> None:
    faults = faults_of(path, header + b"\nKent,12,x\n")

    assert sorted(map(str, places(faults))) == sorted(str(("some.csv", 1, column)) for column in columns)
    assert all(fault.reason and fault.remedy for fault in faults)


def test_columns_in_another_order_are_refused_with_the_right_order(path: Path) -> None:
    (fault,) = faults_of(path, b"cases,force,note\n12,Kent,x\n")

    assert places([fault]) == [("some.csv", 1, None)]
    assert fault.reason == "the columns are in another order"
    assert "force, cases, note" in fault.remedy


def test_every_ragged_record_is_told_with_its_row(path: Path) -> None:
    faults = faults_of(path, b'force,cases,note\nKent,1\nEssex,1,"a\nb"\nSurrey,1,x, with a comma\n')

    assert places(faults) == [("some.csv", 2, None), ("some.csv", 4, None)]
    assert [[n for n in "0123456789" if n in fault.reason] for fault in faults] == [["2", "3"], ["3", "4"]]
    assert all("comma" in fault.remedy for fault in faults)


@pytest.mark.parametrize(
    ("content", "row"), [(GOOD + b"\n", 4), (GOOD.replace(b"Surrey", b"\nSurrey"), 3)], ids=["last", "middle"]
)
def test_a_blank_line_is_told_with_its_row(path: Path, content: bytes, row: int) -> None:
    (fault,) = faults_of(path, content)

    assert places([fault]) == [("some.csv", row, None)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'Essex,"1,never closed\n', "unexpected end of data"),
        (b'Essex,"1" or 2,closed too early\n', "',' expected after '\"'"),
        (b"Essex,1," + b"x" * 200_000 + b"\n", "field larger than field limit"),
    ],
    ids=["open quote", "text after a quote", "endless value"],
)
def test_a_broken_record_is_told_with_its_row(path: Path, line: bytes, why: str) -> None:
    (fault,) = faults_of(path, GOOD + line)

    assert why in fault.reason
    assert fault.row == 4


def frame(*counts: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        [(number, "Kent", count) for number, count in enumerate(counts, start=2)],
        schema={"row": pl.Int64, "force": pl.String, "cases": pl.String},
        orient="row",
    )


NO_DIGITS = Rule("cases", ~pl.col("cases").str.contains(r"^\d+$"), "is no number", "write digits")
TOO_LONG = Rule("cases", pl.col("cases").str.len_chars() > 3, "is too long", "shorten it")
BIG = Rule(None, pl.col("cases") == "1000", "is big", "make it small")


def test_sifting_parts_rows_and_keeps_accepted_ones_as_they_are() -> None:
    rows = frame("1", "x", "2", None)

    accepted, rejects = rawfile.sift(rows, [NO_DIGITS], file="some.csv")

    assert accepted.equals(rows.filter(pl.col("row") != 3))
    assert rejects.rows() == [("some.csv", 3, "cases", "x", "is no number", "write digits")]


def test_a_rule_that_cannot_tell_refuses_nothing() -> None:
    accepted, rejects = rawfile.sift(frame(None, None), [NO_DIGITS, TOO_LONG, BIG], file="some.csv")

    assert accepted.height == 2
    assert rejects.is_empty()


def test_without_rules_or_rows_nothing_is_refused() -> None:
    assert rawfile.sift(frame("1"), [], file="some.csv")[0].height == 1
    assert [part.height for part in rawfile.sift(frame(), [NO_DIGITS], file="some.csv")] == [0, 0]


def test_a_row_is_refused_once_for_its_first_broken_rule_and_the_others_are_told_too() -> None:
    _, rejects = rawfile.sift(frame("1000", "many", "x"), [TOO_LONG, NO_DIGITS, BIG], file="some.csv")

    assert rejects.rows() == [
        ("some.csv", 2, "cases", "1000", "is too long; also: is big", "shorten it"),
        ("some.csv", 3, "cases", "many", "is too long; also: is no number", "shorten it"),
        ("some.csv", 4, "cases", "x", "is no number", "write digits"),
    ]


def test_a_further_fault_in_another_column_is_told_with_its_column_and_value() -> None:
    elsewhere = Rule("force", pl.col("force") == "Kent", "is not meant", "name another")

    _, rejects = rawfile.sift(frame("x"), [NO_DIGITS, elsewhere], file="some.csv")

    (reject,) = rejects.to_dicts()
    assert (reject["column"], reject["value"]) == ("cases", "x")
    assert "force" in reject["reason"]
    assert "Kent" in reject["reason"]


def test_a_fault_of_a_value_is_told_with_its_column_beside_one_of_the_row_as_a_whole() -> None:
    repeated = rawfile.is_repeated(("force", "cases"))

    _, rejects = rawfile.sift(frame("1", "x", "x"), [repeated, NO_DIGITS], file="some.csv")

    reason = rejects.filter(row=4)["reason"].item()
    assert reason.startswith("repeats row 3 in every column; also: ")
    assert "cases" in reason.split("also: ")[1]
    assert '"x"' in reason


def test_a_fault_of_the_row_as_a_whole_has_neither_column_nor_value() -> None:
    _, rejects = rawfile.sift(frame("1000"), [BIG], file="some.csv")

    assert rejects.select("column", "value").rows() == [(None, None)]


def test_reason_and_remedy_may_differ_from_row_to_row() -> None:
    rule = Rule(
        "cases",
        pl.col("cases").str.len_chars() > 0,
        pl.format("is {}", "cases"),
        pl.format("not {}", "cases"),
    )

    _, rejects = rawfile.sift(frame("1", "2"), [rule], file="some.csv")

    assert rejects.select("reason", "remedy").rows() == [("is 1", "not 1"), ("is 2", "not 2")]


def test_a_reason_may_look_at_the_rows_that_are_not_refused() -> None:
    most = pl.col("cases").cast(pl.Int64).max().over("force")
    rule = Rule("cases", pl.col("cases") == "1", pl.format("is less than {}", most), "add some")

    _, rejects = rawfile.sift(frame("1", "9"), [rule], file="some.csv")

    assert rejects["reason"].to_list() == ["is less than 9"]


@given(st.lists(st.none() | st.text("0x", max_size=5), max_size=20))
def test_accepted_and_refused_rows_are_all_rows_and_none_is_both(counts: list[str | None]) -> None:
    rows = frame(*counts)
    rules = [TOO_LONG, NO_DIGITS, BIG, rawfile.is_repeated(("cases",)), rawfile.is_blank("cases", "state it")]

    accepted, rejects = rawfile.sift(rows, rules, file="some.csv")

    assert sorted([*accepted["row"], *rejects["row"]]) == rows["row"].to_list()
    assert accepted["cases"].is_unique().all()
    assert rejects["row"].is_sorted()
    assert (rejects["reason"].str.len_chars() > 0).all()


def test_each_repetition_is_refused_and_told_which_row_it_repeats() -> None:
    rows = frame("1", "2", "1", None, "1", None)

    accepted, rejects = rawfile.sift(rows, [rawfile.is_repeated(("force", "cases"))], file="some.csv")

    assert accepted["row"].to_list() == [2, 3, 5]
    assert rejects.select("row", "column", "reason").rows() == [
        (4, None, "repeats row 2 in every column"),
        (6, None, "repeats row 2 in every column"),
        (7, None, "repeats row 5 in every column"),
    ]


@pytest.mark.parametrize("blank", [None, " ", "\t", "\u00a0"], ids=["null", "space", "tab", "no-break space"])
def test_white_space_does_not_count_as_stated(blank: str | None) -> None:
    accepted, rejects = rawfile.sift(
        frame("1", blank), [rawfile.is_blank("cases", "state it")], file="some.csv"
    )

    assert accepted["row"].to_list() == [2]
    assert rejects.select("column", "reason", "remedy").rows() == [
        ("cases", "is blank, but must be stated", "state it")
    ]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ({}, "some.csv: is odd: mend it."),
        ({"row": 3}, "some.csv, row 3: is odd: mend it."),
        ({"row": 3, "column": "cases"}, "some.csv, row 3, column cases: is odd: mend it."),
        (
            {"row": 3, "column": "cases", "value": ""},
            'some.csv, row 3, column cases, value "": is odd: mend it.',
        ),
        ({"value": "x" * 80}, f'some.csv, value "{"x" * 80}": is odd: mend it.'),
        ({"value": "x" * 10_000}, f'some.csv, value "{"x" * 77}...": is odd: mend it.'),
    ],
)
def test_a_fault_is_one_sentence(place: dict[str, int | str], sentence: str) -> None:
    assert Fault("some.csv", "is odd", "mend it", **place).sentence == sentence  # type: ignore[arg-type]


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\u2028"], ids=["LF", "CRLF", "CR", "U+2028"])
def test_a_value_with_a_line_break_does_not_break_the_sentence(break_: str) -> None:
    # a reason may quote what else is in the row, and a name of a column comes from the file too
    told = {"reason": f"is not{break_}even", "column": f"ca{break_}ses", "value": f"two{break_}lines"}

    sentence = Fault(file="some.csv", remedy="mend it", row=3, **told).sentence

    assert len(sentence.splitlines()) == 1
    assert [word for word in ("not", "even", "ca", "ses", "two", "lines") if word not in sentence] == []


def test_faults_become_a_table_in_their_order() -> None:
    faults = [Fault("b.csv", "is odd", "mend it", row=9, column="x", value="y"), Fault("a.csv", "gone", "go")]

    assert as_frame(faults).rows() == [
        ("b.csv", 9, "x", "y", "is odd", "mend it"),
        ("a.csv", None, None, None, "gone", "go"),
    ]
    assert as_frame([]).is_empty()
