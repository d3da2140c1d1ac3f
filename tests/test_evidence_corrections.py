import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analysis.evidence import corrections
from analysis.evidence.corrections import Correction
from analysis.evidence.faults import EvidenceError, Fault

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "raw"
REASON = "The page prints 31, but its own table shows 32."
ENTRY = {
    "file": "some.csv",
    "match": {"force": "Surrey"},
    "column": "cases",
    "action": "override",
    "expected": "31",
    "value": "32",
    "reason": REASON,
}
ROWS = pl.DataFrame(
    {
        "row": [2, 3, 4, 5],
        "force": ["Kent", "Surrey", "Essex", "Essex"],
        "cases": ["12", "31", None, "7"],
        "scale": [None, None, None, None],
    },
    schema={"row": pl.Int64, "force": pl.String, "cases": pl.String, "scale": pl.String},
)


def toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {toml(part)}" for name, part in value.items()) + " }"
    # TOML's basic strings and numbers are JSON's
    return json.dumps(value)


# ENTRY with other values; None leaves one out
def entry(**changed: object) -> dict[str, Any]:
    return {name: value for name, value in (ENTRY | changed).items() if value is not None}


def declared(*entries: Mapping[str, object]) -> str:
    return "\n".join(
        "[[correction]]\n" + "".join(f"{name} = {toml(value)}\n" for name, value in one.items())
        for one in entries
    )


def load(folder: Path, text: str) -> tuple[Correction, ...]:
    (folder / "corrections.toml").write_text(text, encoding="utf-8")
    return corrections.load(folder)


def faults_of_loading(folder: Path, content: bytes) -> tuple[Fault, ...]:
    (folder / "corrections.toml").write_bytes(content)
    with pytest.raises(EvidenceError) as raised:
        corrections.load(folder)
    return raised.value.faults


def apply(*entries: Mapping[str, object]) -> tuple[pl.DataFrame, pl.DataFrame]:
    return corrections.apply(ROWS, [Correction.model_validate(one) for one in entries], file="some.csv")


def faults_of_applying(*entries: Mapping[str, object]) -> tuple[Fault, ...]:
    with pytest.raises(EvidenceError) as raised:
        apply(*entries)
    return raised.value.faults


def test_the_shipped_corrections_are_read_and_each_says_why() -> None:
    entries = corrections.load(SHIPPED)

    assert [(one.file, one.column, one.action, one.matches) for one in entries] == [
        ("audit_statements.csv", "graded_by", "override", 1),
        ("audit_statements.csv", "cases", "keep", 1),
        ("audit_statements.csv", "scale", "override", 7),
        ("claims.csv", "fieldwork", "override", 1),
        ("claims.csv", "report_published", "override", 1),
    ]
    assert all(one.reason.endswith(".") for one in entries)


def test_an_entry_is_read_as_declared(tmp_path: Path) -> None:
    (one,) = load(tmp_path, declared(entry(matches=3)))

    assert one.model_dump() == ENTRY | {"matches": 3}


def test_an_entry_means_one_row_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert load(tmp_path, declared(entry()))[0].matches == 1


@pytest.mark.parametrize("text", ["", "# nothing to correct\n", "correction = []\n"])
def test_a_file_without_entries_corrects_nothing(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == ()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError) as raised:
        corrections.load(tmp_path)

    assert raised.value.faults == (
        Fault("corrections.toml", "is missing from data/raw", "restore it from version control"),
    )


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "corrections.toml").mkdir()

    with pytest.raises(EvidenceError, match=r"^corrections\.toml: "):
        corrections.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"[[correction]\n", "line 1"),
        (b'[[correction]]\nfile = "some.csv\n', "line 2"),
        (b"[[correction]]\nfile = some.csv\n", "line 2"),
        (b'a = 1\na = 2\n[[correction]]\nfile = "some.csv"\n', "line 2"),
        ("# Dyfed–Powys".encode("cp1252"), "0x96"),
        ("a = 1".encode("utf-16"), "0xff"),
        (b"a = " + b"[" * 100_000, ""),
    ],
    ids=["brackets", "open quote", "no quotes", "twice", "Windows 1252", "UTF-16", "nested too deep"],
)
def test_what_is_not_toml_is_told_with_its_place(tmp_path: Path, content: bytes, where: str) -> None:
    (fault,) = faults_of_loading(tmp_path, content)

    assert fault.file == "corrections.toml"
    assert "is not readable as TOML" in fault.reason
    assert where in fault.reason
    assert fault.remedy == "mend that line"


@pytest.mark.parametrize(
    "text", ["correction = 5", "correction = true", 'correction = "x"', "correction = [1]"]
)
def test_what_is_no_list_of_entries_is_told(tmp_path: Path, text: str) -> None:
    faults = faults_of_loading(tmp_path, text.encode())

    assert faults
    assert {fault.file for fault in faults} == {"corrections.toml"}
    assert all(fault.remedy for fault in faults)


def test_a_single_table_in_the_place_of_the_list_is_told(tmp_path: Path) -> None:
    assert faults_of_loading(tmp_path, declared(entry()).replace("[[", "[").replace("]]", "]").encode())


def test_an_unknown_table_is_named(tmp_path: Path) -> None:
    faults = faults_of_loading(tmp_path, b"version = 2\n\n[[corrections]]\n")

    assert [fault.reason for fault in faults] == [
        '"corrections" is not known here',
        '"version" is not known here',
    ]
    assert {fault.remedy for fault in faults} == {'use only "[[correction]]" entries'}


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"file": None}, "file"),
        ({"match": None}, "match"),
        ({"column": None}, "column"),
        ({"action": None}, "action"),
        ({"expected": None}, "expected"),
        ({"reason": None}, "reason"),
        ({"match": {}}, "match"),
        ({"match": {"cases": 31}}, "match.cases"),
        ({"match": "Surrey"}, "match"),
        ({"matches": 0}, "matches"),
        ({"matches": -1}, "matches"),
        ({"matches": 1.5}, "matches"),
        ({"matches": "some"}, "matches"),
        ({"action": "replace"}, "action"),
        ({"expected": 31}, "expected"),
        ({"value": 32}, "value"),
        ({"reason": "A slip."}, "reason"),
        ({"reasons": REASON}, "reasons"),
        # pydantic knows of no single field here
        ({"value": None}, None),
        ({"action": "drop"}, None),
        ({"action": "keep"}, None),
    ],
    ids=str,
)
def test_every_fault_of_an_entry_is_told_with_its_number_and_key(
    tmp_path: Path, changed: dict[str, object], column: str | None
) -> None:
    (fault,) = faults_of_loading(tmp_path, declared(entry(), entry(**changed)).encode())

    assert (fault.file, fault.column) == ("corrections.toml", column)
    assert fault.reason.startswith("entry 2: ")
    assert "mend the entry" in fault.remedy


def test_the_faults_of_all_entries_are_told_at_once(tmp_path: Path) -> None:
    faults = faults_of_loading(tmp_path, declared(entry(column=None, matches=0), entry(file=None)).encode())

    assert sorted((fault.reason.split(":")[0], fault.column) for fault in faults) == [
        ("entry 1", "column"),
        ("entry 1", "matches"),
        ("entry 2", "file"),
    ]


def test_an_override_changes_the_rows_it_names_and_no_others() -> None:
    rows, applied = apply(entry())

    assert rows.select(ROWS.columns).equals(
        ROWS.with_columns(cases=pl.Series(["12", "32", None, "7"], dtype=pl.String))
    )
    assert applied.rows() == [("some.csv", 3, "cases", "override", "31", "32", REASON)]
    assert rows["kept"].to_list() == [[]] * 4
    assert rows["drop_reason"].to_list() == [None] * 4


def test_an_override_may_fill_a_blank_that_is_found_by_another_blank() -> None:
    rows, applied = apply(
        entry(match={"force": "Essex", "cases": ""}, column="scale", expected="", value="four grades")
    )

    assert rows["scale"].to_list() == [None, None, "four grades", None]
    assert applied.select("was", "now").rows() == [(None, "four grades")]


def test_an_override_may_blank_a_value() -> None:
    rows, applied = apply(entry(value=""))

    # a blank is null everywhere, never an empty text
    assert rows["cases"].to_list() == ["12", None, None, "7"]
    assert applied.select("was", "now").rows() == [("31", None)]


def test_keep_and_drop_leave_the_values_and_mark_the_rows() -> None:
    kept = entry(action="keep", value=None)
    dropped = entry(match={"force": "Kent"}, action="drop", expected="12", value=None)

    rows, applied = apply(kept, dropped)

    assert rows.select(ROWS.columns).equals(ROWS)
    assert rows["kept"].to_list() == [[], ["cases"], [], []]
    assert rows["drop_reason"].to_list() == [REASON, None, None, None]
    assert applied.select("row", "action", "was", "now").rows() == [
        (2, "drop", "12", None),
        (3, "keep", "31", "31"),
    ]


def test_an_entry_may_mean_several_rows() -> None:
    many = entry(match={"scale": ""}, matches=4, column="scale", expected="")

    overridden, _ = apply(many | {"value": "four grades"})
    kept, applied = apply(
        {name: value for name, value in many.items() if name != "value"} | {"action": "keep"}
    )

    assert overridden["scale"].to_list() == ["four grades"] * 4
    assert kept["kept"].to_list() == [["scale"]] * 4
    assert applied["row"].to_list() == [2, 3, 4, 5]


def test_entries_for_one_row_are_applied_in_file_order() -> None:
    rows, applied = apply(
        entry(), entry(expected="32", value="33"), entry(action="keep", expected="33", value=None)
    )

    assert rows["cases"].to_list() == ["12", "33", None, "7"]
    assert rows["kept"].to_list() == [[], ["cases"], [], []]
    assert applied.select("was", "now").rows() == [("31", "32"), ("32", "33"), ("33", "33")]


def test_two_columns_of_a_row_may_be_kept() -> None:
    rows, _ = apply(
        entry(action="keep", value=None), entry(action="keep", value=None, column="force", expected="Surrey")
    )

    assert rows["kept"].to_list() == [[], ["cases", "force"], [], []]


def test_entries_for_other_files_are_passed_over() -> None:
    rows, applied = apply(entry(file="other.csv", match={"no such column": "x"}))

    assert rows.select(ROWS.columns).equals(ROWS)
    assert applied.is_empty()


@pytest.mark.parametrize(
    ("match", "matches", "found"),
    [
        ({"force": "Dorset"}, 1, 0),
        ({"force": "surrey"}, 1, 0),
        ({"force": "Surrey", "cases": "32"}, 1, 0),
        ({"force": "Surrey", "cases": ""}, 1, 0),
        ({"force": ""}, 1, 0),
        ({"force": "Essex"}, 1, 2),
        ({"force": "Essex"}, 3, 2),
        ({"force": "Surrey"}, 2, 1),
    ],
    ids=str,
)
def test_an_entry_that_finds_other_than_the_rows_it_names_is_refused(
    match: dict[str, str], matches: int, found: int
) -> None:
    (fault,) = faults_of_applying(entry(match=match, matches=matches))

    assert (fault.file, fault.column) == ("corrections.toml", "cases")
    assert f"names {matches} row(s) and finds {found}" in fault.reason
    assert "some.csv" in fault.reason
    for name, value in match.items():
        assert f'{name} "{value}"' in fault.reason
    assert "look whether the raw rows have changed" in fault.remedy


@pytest.mark.parametrize("action", ["override", "keep", "drop"])
@pytest.mark.parametrize("expected", ["32", "", "31 ", "031"])
def test_an_entry_whose_expectation_is_not_met_is_refused(action: str, expected: str) -> None:
    (fault,) = faults_of_applying(
        entry(action=action, expected=expected, value="9" if action == "override" else None)
    )

    assert (fault.file, fault.row, fault.column, fault.value) == ("some.csv", 3, "cases", "31")
    assert fault.reason == f'corrections.toml expected "{expected}" here'
    assert "mend or remove the entry" in fault.remedy


def test_every_row_that_is_not_as_expected_is_told() -> None:
    faults = faults_of_applying(entry(match={"scale": ""}, matches=4, expected="7"))

    assert [(fault.row, fault.value) for fault in faults] == [(2, "12"), (3, "31"), (4, "")]


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"match": {"Force": "Surrey"}}, "Force"),
        ({"column": "grade"}, "grade"),
        # what cleaning adds to the rows is not in the file
        ({"match": {"row": "3"}}, "row"),
        ({"match": {"force": "Surrey", "drop_reason": ""}}, "drop_reason"),
        ({"match": {"force": "Surrey", "kept": ""}}, "kept"),
        ({"column": "row", "expected": "3"}, "row"),
        ({"column": "kept", "expected": ""}, "kept"),
        ({"column": "drop_reason", "expected": ""}, "drop_reason"),
    ],
    ids=str,
)
def test_a_column_that_the_file_does_not_have_is_refused(changed: dict[str, object], column: str) -> None:
    (fault,) = faults_of_applying(entry(**changed))

    assert (fault.file, fault.column) == ("corrections.toml", column)
    assert fault.reason == "some.csv has no such column"
    assert fault.remedy == "name a column of that file"


def test_all_entries_that_do_not_fit_are_told_at_once() -> None:
    faults = faults_of_applying(
        entry(column="grade"), entry(match={"force": "Dorset"}), entry(), entry(expected="30")
    )

    # the last entry is judged by what the entry before it made of the row
    assert [(fault.file, fault.value) for fault in faults] == [
        ("corrections.toml", None),
        ("corrections.toml", None),
        ("some.csv", "32"),
    ]
