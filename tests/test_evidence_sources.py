import csv
import hashlib
import inspect
import json
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import frictionless
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import vocabulary
from analysis.evidence import dictionary, sources
from analysis.evidence.faults import EvidenceError, Fault

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "raw"
RERECORD = "run `casegrade check --record`"
TABLES = ("audit_statements.csv", "findings.csv", "claims.csv", "known_inspections.csv", "forces.csv")
FILES = (*TABLES, "corrections.toml")
RESOURCES = sources.datapackage(SHIPPED).resources


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in (*FILES, "datapackage.json"):
        shutil.copyfile(SHIPPED / name, folder / name)
    return folder


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def change(raw: Path, file: str, edit: Callable[[list[list[str]]], Any]) -> tuple[Fault, ...]:
    """Edit the rows of a file (the header is rows[0]), record the edit, and check."""
    rows = rows_of(raw / file)
    edit(rows)
    write(raw / file, rows)
    sources.record(raw)
    return sources.check(raw)


def set_cell(raw: Path, file: str, row: int, column: str, value: str) -> tuple[Fault, ...]:
    def edit(rows: list[list[str]]) -> None:
        rows[row - 1][rows[0].index(column)] = value

    return change(raw, file, edit)


def change_package(raw: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = raw / "datapackage.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    edit(described)
    path.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def places(faults: tuple[Fault, ...]) -> list[tuple[str, int | None, str | None, str | None]]:
    return [(fault.file, fault.row, fault.column, fault.value) for fault in faults]


def test_the_shipped_files_are_as_recorded_and_valid() -> None:
    assert sources.check(SHIPPED) == ()


def test_the_package_describes_every_shipped_file() -> None:
    package = sources.datapackage(SHIPPED)

    assert tuple(resource.path for resource in package.resources) == FILES
    assert sorted((*FILES, "datapackage.json")) == sorted(path.name for path in SHIPPED.iterdir())


def test_frictionless_itself_accepts_the_shipped_package_and_its_files() -> None:
    report = frictionless.Package(str(SHIPPED / "datapackage.json")).validate()

    assert report.flatten(["rowNumber", "fieldName", "type", "note"]) == []
    assert len(report.tasks) == len(FILES)


def test_checking_needs_no_network(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (raw / "claims.csv").write_text("force\n", encoding="utf-8")

    assert sources.check(raw)


def test_frictionless_is_not_imported_before_a_check() -> None:
    code = "import sys, analysis.evidence.sources; print('frictionless' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "False"


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda part: part.name)
def test_every_file_has_a_title_a_licence_a_source_and_a_checksum(resource: sources.Resource) -> None:
    content = (SHIPPED / resource.path).read_bytes()

    assert resource.title
    assert resource.description
    assert [licence.name for licence in resource.licences] == (["OGL-UK-3.0"] if resource.fields else ["MIT"])
    assert all(source.title and source.path.startswith("https://") for source in resource.sources)
    assert resource.sha256 == hashlib.sha256(content).hexdigest()
    assert resource.bytes == len(content)


@pytest.mark.parametrize("resource", RESOURCES[: len(TABLES)], ids=lambda part: part.name)
def test_every_column_of_every_table_is_described_in_order(resource: sources.Resource) -> None:
    assert rows_of(SHIPPED / resource.path)[0] == [column.name for column in resource.fields]
    for column in resource.fields:
        assert column.title
        assert column.description.endswith(".")
        assert (column.type == "integer") <= (column.unit is not None and column.constraints.minimum == 0)
        assert (column.constraints.pattern is None) == (column.form is None)


def test_blank_counts_are_described_as_not_stated() -> None:
    for resource in sources.datapackage(SHIPPED).resources:
        for column in resource.fields:
            if column.type == "integer":
                assert "Blank: not stated" in column.description
                assert "never zero" in column.description


def test_descriptions_keep_to_the_words_of_the_field() -> None:
    text = (SHIPPED / "datapackage.json").read_text(encoding="utf-8").lower()

    for word in ("outcome", "significant", "league", "score", "failed"):
        assert word not in text
    assert text.count("sample") == text.count("not a random sample")


def test_closed_lists_of_the_package_are_those_of_the_vocabulary() -> None:
    lists: dict[str, set[tuple[str, ...]]] = {}
    for resource in sources.datapackage(SHIPPED).resources:
        for column in resource.fields:
            if column.allowed:
                lists.setdefault(column.name, set()).add(column.allowed)

    assert lists["inspection"] == {tuple(kind.printed for kind in vocabulary.KINDS.values())}
    assert lists["graded_by"] == {tuple(vocabulary.GRADERS)}
    assert lists["source_kind"] == {tuple(vocabulary.SOURCE_KINDS)}
    assert lists["status"] == {vocabulary.FINDING_STATUSES}


def test_the_sources_of_the_claims_are_the_pages_that_its_rows_name() -> None:
    claims = next(part for part in sources.datapackage(SHIPPED).resources if part.path == "claims.csv")
    header, *rows = rows_of(SHIPPED / "claims.csv")
    named = {(row[header.index("publisher")], row[header.index("url")]) for row in rows}

    assert {(source.title, source.path) for source in claims.sources} == named


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda part: part.name)
def test_a_citation_is_one_line_with_source_and_licence(resource: sources.Resource) -> None:
    line = sources.citation(resource)

    assert "\n" not in line
    assert line.startswith(f"{resource.title}. Source: ")
    assert all(f"{source.title} ({source.path})" in line for source in resource.sources)
    assert (resource.licences[0].attribution or resource.licences[0].title).rstrip(".") in line


def test_a_licence_without_a_statement_is_cited_by_its_title(raw: Path) -> None:
    change_package(raw, lambda package: package["resources"][4]["licenses"][0].pop("attribution"))

    forces = sources.datapackage(raw).resources[4]

    assert "Licence: Open Government Licence v3.0 (https://www.nationalarchives" in sources.citation(forces)


def test_an_edited_file_is_reported_as_changed_and_checked_all_the_same(raw: Path) -> None:
    rows = rows_of(raw / "audit_statements.csv")
    rows[4][rows[0].index("good")] += " cases"
    write(raw / "audit_statements.csv", rows)
    size = (SHIPPED / "audit_statements.csv").stat().st_size

    changed, cell = sources.check(raw)

    assert (changed.file, changed.row) == ("audit_statements.csv", None)
    assert (
        f"changed since it was recorded ({size:,} bytes recorded, {size + 6:,} bytes found)" in changed.reason
    )
    assert RERECORD in changed.remedy
    assert places((cell,)) == [("audit_statements.csv", 5, "good", rows[4][rows[0].index("good")])]


def test_an_edit_that_keeps_the_size_is_reported_as_changed(raw: Path) -> None:
    path = raw / "claims.csv"
    path.write_bytes(path.read_bytes().replace(b"0.42", b"0.43"))

    (fault,) = sources.check(raw)

    assert "as many bytes as recorded" in fault.reason
    assert RERECORD in fault.remedy


def test_windows_line_ends_are_a_change_and_nothing_else(raw: Path) -> None:
    path = raw / "forces.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert ["changed" in fault.reason for fault in sources.check(raw)] == [True]
    sources.record(raw)
    assert sources.check(raw) == ()


def test_a_file_without_a_recorded_checksum_is_reported(raw: Path) -> None:
    change_package(raw, lambda package: [package["resources"][1].pop(key) for key in ("bytes", "hash")])

    (fault,) = sources.check(raw)

    assert fault.file == "findings.csv"
    assert RERECORD in fault.remedy
    assert sources.record(raw) == ("findings.csv",)
    assert sources.check(raw) == ()


def test_a_missing_file_is_reported_and_the_others_are_still_checked(raw: Path) -> None:
    (raw / "findings.csv").unlink()
    (raw / "known_inspections.csv").write_bytes(b"")

    missing, empty = sources.check(raw)

    assert (missing.file, missing.row, missing.column) == ("findings.csv", None, None)
    assert "missing" in missing.reason
    assert missing.remedy == "restore the file from version control"
    assert (empty.file, empty.reason) == ("known_inspections.csv", "the file is empty")
    assert empty.remedy == "restore the file from version control"


def test_a_folder_in_the_place_of_a_file_is_reported(raw: Path) -> None:
    (raw / "claims.csv").unlink()
    (raw / "claims.csv").mkdir()

    (fault,) = sources.check(raw)

    assert fault.file == "claims.csv"
    assert "cannot be read" in fault.reason


def test_a_csv_file_that_is_not_described_is_reported(raw: Path) -> None:
    shutil.copyfile(raw / "claims.csv", raw / "Claims copy.CSV")

    (fault,) = sources.check(raw)

    assert fault.file == "Claims copy.CSV"
    assert "does not describe this file" in fault.reason
    assert "describe it in datapackage.json" in fault.remedy


@pytest.mark.parametrize(
    ("encode", "reason"),
    [
        (
            lambda text: text.replace("–", "-").encode("cp1252"),
            "the file is not UTF-8 text (byte 0x92 in line ",
        ),
        (lambda text: text.encode("utf-16"), "the file is not UTF-8 text (byte 0xff in line 1)"),
        (lambda text: "force,inspection\n".encode("utf-16-le"), "the file holds NUL characters"),
    ],
    ids=["Windows 1252", "UTF-16", "UTF-16 without a mark"],
)
def test_a_file_in_another_encoding_is_reported(
    raw: Path, encode: Callable[[str], bytes], reason: str
) -> None:
    path = raw / "audit_statements.csv"
    path.write_bytes(encode(path.read_text(encoding="utf-8").replace("‘", "'")))
    sources.record(raw)

    (fault,) = sources.check(raw)

    assert fault.file == "audit_statements.csv"
    assert fault.reason.startswith(reason)
    assert "in UTF-8" in fault.remedy


def test_the_mark_that_a_spreadsheet_puts_in_front_is_no_part_of_the_header(raw: Path) -> None:
    path = raw / "audit_statements.csv"
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-8-sig"))
    sources.record(raw)
    assert sources.check(raw) == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'Kent,"initial inspection,2022-01,2022-05-11,9,never closed\n', "unexpected end of data"),
        (b'Kent,"initial" inspection,2022-01,2022-05-11,9,note\n', "expected after"),
    ],
    ids=["never closed", "closed too early"],
)
def test_a_broken_quote_is_reported_with_its_row(raw: Path, line: bytes, why: str) -> None:
    path = raw / "known_inspections.csv"
    row = len(rows_of(path)) + 1
    path.write_bytes(path.read_bytes() + line)
    sources.record(raw)

    (fault,) = sources.check(raw)

    assert (fault.file, fault.row) == ("known_inspections.csv", row)
    assert why in fault.reason
    assert fault.remedy.startswith("close every quote")


def test_an_added_column_is_named(raw: Path) -> None:
    (fault,) = change(raw, "claims.csv", lambda rows: [row.insert(3, "x") for row in rows])

    assert places((fault,)) == [("claims.csv", 1, "x", None)]
    assert "describes no such column" in fault.reason
    assert "remove the column, or describe it" in fault.remedy


def test_a_removed_column_is_named_and_the_others_keep_their_names(raw: Path) -> None:
    (fault,) = change(raw, "claims.csv", lambda rows: [row.pop(3) for row in rows])

    assert places((fault,)) == [("claims.csv", 1, "area", None)]
    assert "missing" in fault.reason
    assert "force, inspection, fieldwork, area, claim" in fault.remedy


def test_a_removed_column_does_not_hide_faults_in_the_others(raw: Path) -> None:
    set_cell(raw, "claims.csv", 3, "claimed", "a quarter")

    _, cell = change(raw, "claims.csv", lambda rows: [row.pop(3) for row in rows])

    assert places((cell,)) == [("claims.csv", 3, "claimed", "a quarter")]


def test_a_removed_key_column_is_only_a_missing_column(raw: Path) -> None:
    (fault,) = change(raw, "forces.csv", lambda rows: [row.pop(0) for row in rows])

    assert places((fault,)) == [("forces.csv", 1, "slug", None)]


def test_a_renamed_column_is_told_its_name(raw: Path) -> None:
    added, missing = change(raw, "claims.csv", lambda rows: rows[0].__setitem__(7, "Publisher"))

    assert places((added, missing)) == [
        ("claims.csv", 1, "Publisher", None),
        ("claims.csv", 1, "publisher", None),
    ]
    assert added.remedy == 'rename it to "publisher"'


def test_columns_in_another_order_are_reported(raw: Path) -> None:
    (fault,) = change(raw, "claims.csv", lambda rows: [row.insert(0, row.pop()) for row in rows])

    assert places((fault,)) == [("claims.csv", 1, None, None)]
    assert fault.reason == "the columns are in another order"
    assert "force, inspection, fieldwork" in fault.remedy


def test_a_column_given_twice_is_named(raw: Path) -> None:
    (fault,) = change(raw, "claims.csv", lambda rows: [row.append(row[0]) for row in rows])

    assert places((fault,)) == [("claims.csv", 1, "force", None)]
    assert "more than once" in fault.reason


@pytest.mark.parametrize("extra", [1, 2])
def test_columns_without_a_name_are_reported(raw: Path, extra: int) -> None:
    (fault,) = change(raw, "claims.csv", lambda rows: [row.extend([""] * extra) for row in rows])

    assert places((fault,)) == [("claims.csv", 1, None, None)]
    assert "no name" in fault.reason


def test_a_blank_first_row_is_reported(raw: Path) -> None:
    (fault,) = change(raw, "claims.csv", lambda rows: rows.insert(0, []))

    assert places((fault,)) == [("claims.csv", 1, None, None)]
    assert "first row is blank" in fault.reason


def test_a_header_without_rows_is_accepted(raw: Path) -> None:
    assert change(raw, "known_inspections.csv", lambda rows: rows.__delitem__(slice(1, None))) == ()


@pytest.mark.parametrize(
    ("file", "column", "value", "reason", "remedy"),
    [
        (
            "audit_statements.csv",
            "cases",
            "about 70",
            "whole number in plain digits",
            "leave it blank if it is not",
        ),
        ("audit_statements.csv", "cases", "70.5", "whole number in plain digits", "leave it blank"),
        ("audit_statements.csv", "cases", "1_0", "whole number in plain digits", "leave it blank"),
        ("audit_statements.csv", "cases", "+7", "whole number in plain digits", "leave it blank"),
        ("audit_statements.csv", "cases", " 7", "whole number in plain digits", "leave it blank"),
        ("audit_statements.csv", "cases", "٧", "whole number in plain digits", "leave it blank"),
        ("audit_statements.csv", "good", "-1", "must be 0 or more", "leave it blank"),
        (
            "audit_statements.csv",
            "inspection",
            "Initial inspection",
            "closed list",
            'write "initial inspection"',
        ),
        (
            "audit_statements.csv",
            "inspection",
            "?",
            "closed list",
            "write one of: initial inspection, post-insp",
        ),
        ("audit_statements.csv", "graded_by", "", "blank, but every row needs one", "fill it in"),
        ("audit_statements.csv", "force", "Kent ", "without spaces at its start or end", "correct the cell"),
        ("audit_statements.csv", "fieldwork", "Feb-22", "2022, 2022-02 or 2022-02-14", "leave it blank"),
        (
            "audit_statements.csv",
            "report_published",
            "2022-13",
            "2022, 2022-02 or 2022-02-14",
            "leave it blank",
        ),
        (
            "audit_statements.csv",
            "url",
            "www.bbc.co.uk",
            "starts with http:// or https://",
            "correct the cell",
        ),
        ("audit_statements.csv", "source_kind", "pres", "closed list", 'write "press"'),
        ("findings.csv", "status", "improves", "closed list", 'write "improved"'),
        ("claims.csv", "measure", "share goods", "closed list", 'write "share good"'),
        ("claims.csv", "claimed", "25%", "a number such as 0.25 or 15", "correct the cell"),
        ("known_inspections.csv", "recommendations", "nine", "whole number", "leave it blank"),
        ("forces.csv", "ons_code", "E2300017", "E23 or W15 and six digits", "correct the cell"),
        ("forces.csv", "slug", "West Midlands", "lower-case words joined by hyphens", "correct the cell"),
    ],
)
def test_a_wrong_cell_is_reported_with_its_place_value_reason_and_remedy(
    raw: Path, file: str, column: str, value: str, reason: str, remedy: str
) -> None:
    (fault,) = set_cell(raw, file, 7, column, value)

    assert places((fault,)) == [(file, 7, column, value)]
    assert reason in fault.reason
    assert remedy in fault.remedy


@pytest.mark.parametrize("value", ["2022", "2022-02", "2022-02-14", ""])
def test_dates_may_be_partial_or_blank(raw: Path, value: str) -> None:
    assert set_cell(raw, "audit_statements.csv", 7, "fieldwork", value) == ()


def test_a_new_area_is_accepted(raw: Path) -> None:
    assert set_cell(raw, "audit_statements.csv", 7, "area", "children detained in custody") == ()


def test_a_cell_that_breaks_two_rules_is_reported_once(raw: Path) -> None:
    def limit(package: dict[str, Any]) -> None:
        column = package["resources"][0]["schema"]["fields"][1]
        column |= {"form": "one word"}
        column["constraints"] |= {"pattern": "[a-z]+"}

    change_package(raw, limit)
    faults = sources.check(raw)

    assert len(faults) == len(rows_of(raw / "audit_statements.csv")) - 1
    (fault,) = [
        fault for fault in set_cell(raw, "audit_statements.csv", 9, "inspection", "?!") if fault.row == 9
    ]
    assert (fault.column, fault.value) == ("inspection", "?!")


def test_a_row_number_counts_a_cell_of_several_lines_as_one_row(raw: Path) -> None:
    set_cell(raw, "audit_statements.csv", 4, "note", "one\ntwo\nthree")

    (fault,) = set_cell(raw, "audit_statements.csv", 6, "cases", "x")

    assert places((fault,)) == [("audit_statements.csv", 6, "cases", "x")]


def test_blank_rows_are_reported_and_counted(raw: Path) -> None:
    def edit(rows: list[list[str]]) -> None:
        rows.insert(2, [])
        rows.insert(4, [""] * len(rows[0]))
        rows[6][0] = ""

    faults = change(raw, "claims.csv", edit)

    assert places(faults) == [
        ("claims.csv", 3, None, None),
        ("claims.csv", 5, None, None),
        ("claims.csv", 7, "force", ""),
    ]
    assert faults[0].reason == "the row is blank"
    assert faults[0].remedy == "delete the row"


def test_a_row_of_another_width_is_reported_once_and_its_cells_are_not(raw: Path) -> None:
    def edit(rows: list[list[str]]) -> None:
        rows[2] = rows[2][:4]
        rows[5].insert(0, "stray")
        rows[8] += ["", ""]

    faults = change(raw, "claims.csv", edit)

    assert places(faults) == [("claims.csv", row, None, None) for row in (3, 6, 9)]
    assert [fault.reason for fault in faults] == [
        f"the row has {cells} cells, but the header has 9" for cells in (4, 10, 11)
    ]
    assert "comma in quotes" in faults[0].remedy


def test_a_repeated_row_is_reported_once(raw: Path) -> None:
    (fault,) = change(raw, "forces.csv", lambda rows: rows.insert(9, list(rows[3])))

    assert places((fault,)) == [("forces.csv", 10, None, None)]
    assert fault.reason == "the row repeats row 4"
    assert fault.remedy == "delete one of the two"


def test_rows_that_differ_only_in_where_a_comma_is_are_different_rows(raw: Path) -> None:
    def edit(rows: list[list[str]]) -> None:
        for title, publisher in (("b,c", "a"), ("c", "a,b")):
            row = list(rows[5])
            row[12], row[13] = publisher, title
            rows.append(row)

    assert change(raw, "audit_statements.csv", edit) == ()


def test_a_value_that_must_be_unique_is_reported_with_its_twin(raw: Path) -> None:
    (fault,) = set_cell(raw, "forces.csv", 7, "ons_code", "E23000036")

    assert places((fault,)) == [("forces.csv", 7, "ons_code", "E23000036")]
    assert fault.reason == "row 2 has the same, but each row needs its own"
    assert fault.remedy == "correct one of the two"


def test_a_key_given_twice_is_reported_with_its_twin(raw: Path) -> None:
    (fault,) = set_cell(raw, "forces.csv", 7, "slug", "avon-and-somerset")

    assert places((fault,)) == [("forces.csv", 7, None, None)]
    assert fault.reason == "row 2 has the same slug, and no two rows may"
    assert fault.remedy == "correct one of the two, or delete it"


def test_a_key_of_several_columns_is_named_in_full(raw: Path) -> None:
    def edit(rows: list[list[str]]) -> None:
        rows.append([*rows[3][:3], "2024", "1", "again"])

    (fault,) = change(raw, "known_inspections.csv", edit)

    assert fault.row == len(rows_of(raw / "known_inspections.csv"))
    assert fault.reason == "row 4 has the same force, inspection and fieldwork, and no two rows may"


def test_a_blank_key_is_reported_cell_by_cell(raw: Path) -> None:
    (fault,) = set_cell(raw, "forces.csv", 7, "slug", "")

    assert places((fault,)) == [("forces.csv", 7, "slug", "")]


def test_more_than_a_thousand_faults_are_all_reported(raw: Path) -> None:
    def edit(rows: list[list[str]]) -> None:
        rows[1:] = [["x", "x", "x", "x", "x", str(number)] for number in range(400)]

    assert len(change(raw, "known_inspections.csv", edit)) == 4 * 400 + 399


def example_of(kind: type[frictionless.errors.DataError]) -> Any:
    of_type = {"int": 2, "str": "claimed", "List[str]": ["a"], "List[int]": [1]}
    given = {
        field.name: of_type[str(field.type)]
        for field in attrs.fields(kind)
        if field.init and field.name != "note" and field.default is attrs.NOTHING
    }
    return kind(note="why", **given)


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(frictionless.errors).values()
        if inspect.isclass(kind)
        and issubclass(kind, frictionless.Error)
        and kind.__module__ != "frictionless.error"
    ],
    ids=lambda kind: kind.type,
)
def test_every_kind_of_frictionless_error_becomes_a_fault(
    raw: Path, kind: type[frictionless.errors.DataError], monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = next(part for part in sources.datapackage(raw).resources if part.path == "claims.csv")
    error = example_of(kind)
    monkeypatch.setattr(sources, "_frictionless_errors", lambda *_: [error])

    faults = sources._row_faults(claims, rows_of(raw / "claims.csv"))

    reported_elsewhere = kind.type in ("missing-label", "extra-label", "primary-key")
    assert len(faults) == (0 if reported_elsewhere else 1)
    assert all(fault.reason and fault.remedy and "row None" not in fault.sentence for fault in faults)


def test_what_frictionless_refuses_to_open_becomes_a_fault(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise frictionless.FrictionlessException("not today")

    monkeypatch.setattr(frictionless.resources.TableResource, "from_descriptor", refuse)

    faults = sources.check(raw)

    assert [fault.file for fault in faults] == list(TABLES)
    assert {fault.reason for fault in faults} == {"not today"}


@settings(max_examples=60)
@given(
    content=st.one_of(
        st.binary(max_size=200), st.text(alphabet='ab,"\n\r\ufeff\0é', max_size=80).map(str.encode)
    )
)
def test_no_content_of_a_file_makes_a_check_fail(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("raw")
    described = json.loads((SHIPPED / "datapackage.json").read_text(encoding="utf-8"))
    described["resources"] = [described["resources"][2]]
    (folder / "datapackage.json").write_text(json.dumps(described), encoding="utf-8")
    (folder / "claims.csv").write_bytes(content)

    assert sources.check(folder)


@settings(max_examples=60)
@given(
    edits=st.lists(
        st.tuples(st.integers(1, 5), st.integers(0, 8), st.text(max_size=6)), min_size=1, max_size=12
    )
)
def test_no_cell_is_reported_twice(edits: list[tuple[int, int, str]]) -> None:
    claims = next(part for part in sources.datapackage(SHIPPED).resources if part.path == "claims.csv")
    rows = rows_of(SHIPPED / "claims.csv")
    for row, column, value in edits:
        rows[row][column] = value

    faults = sources._row_faults(claims, rows)

    reported = [(fault.row, fault.column) for fault in faults]
    assert len(set(reported)) == len(reported)
    assert all(fault.column is None or rows[fault.row - 1] for fault in faults if fault.row)


def test_files_that_are_no_longer_as_recorded_are_named(raw: Path) -> None:
    assert sources.changed(raw) == ()
    (raw / "claims.csv").unlink()
    with (raw / "findings.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert sources.changed(raw) == ("findings.csv", "claims.csv")


def test_recording_makes_a_changed_file_clean(raw: Path) -> None:
    path = raw / "claims.csv"
    path.write_bytes(path.read_bytes().replace(b"0.42", b"0.421"))
    assert sources.check(raw)

    assert sources.record(raw) == ("claims.csv",)

    assert sources.check(raw) == ()


def test_recording_changes_only_the_bytes_and_the_hash_of_the_changed_file(raw: Path) -> None:
    before = (raw / "datapackage.json").read_bytes().splitlines(keepends=True)
    path = raw / "claims.csv"
    path.write_bytes(path.read_bytes().replace(b"0.42", b"0.421"))

    sources.record(raw)

    after = (raw / "datapackage.json").read_bytes().splitlines(keepends=True)
    differing = [new.split(b":")[0].strip() for old, new in zip(before, after, strict=True) if old != new]
    assert differing == [b'"bytes"', b'"hash"']


def test_recording_twice_changes_nothing_the_second_time(raw: Path) -> None:
    (raw / "claims.csv").write_bytes(b"force\n")
    sources.record(raw)
    package = raw / "datapackage.json"
    before = (package.read_bytes(), package.stat().st_mtime_ns, package.stat().st_ino)

    assert sources.record(raw) == ()

    assert (package.read_bytes(), package.stat().st_mtime_ns, package.stat().st_ino) == before


def test_recording_the_shipped_files_would_change_nothing(raw: Path) -> None:
    assert sources.record(raw) == ()
    assert (raw / "datapackage.json").read_bytes() == (SHIPPED / "datapackage.json").read_bytes()


def test_the_shipped_record_is_written_as_recording_writes_it() -> None:
    text = (SHIPPED / "datapackage.json").read_text(encoding="utf-8")

    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def test_recording_keeps_the_permissions_and_leaves_no_other_file(raw: Path) -> None:
    package = raw / "datapackage.json"
    package.chmod(0o640)
    (raw / "claims.csv").write_bytes(b"force\n")

    sources.record(raw)

    assert stat.S_IMODE(package.stat().st_mode) == 0o640
    assert sorted(path.name for path in raw.iterdir()) == sorted([*FILES, "datapackage.json"])


def test_recording_with_a_file_missing_writes_nothing(raw: Path) -> None:
    (raw / "claims.csv").write_bytes(b"force\n")
    (raw / "forces.csv").unlink()
    before = (raw / "datapackage.json").read_bytes()

    with pytest.raises(EvidenceError, match=r"forces\.csv: the file is missing"):
        sources.record(raw)

    assert (raw / "datapackage.json").read_bytes() == before


def test_a_record_that_cannot_be_replaced_is_left_whole(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    (raw / "claims.csv").write_bytes(b"force\n")
    before = (raw / "datapackage.json").read_bytes()
    monkeypatch.setattr(Path, "replace", refuse)

    with pytest.raises(EvidenceError, match="cannot be written"):
        sources.record(raw)

    assert (raw / "datapackage.json").read_bytes() == before
    assert sorted(path.name for path in raw.iterdir()) == sorted([*FILES, "datapackage.json"])


@pytest.mark.parametrize(
    ("content", "reason", "remedy"),
    [
        (None, "the record of the raw files is missing", "restore the file"),
        (b"", "the file is not JSON in UTF-8", "mend it"),
        (b'{"name": ', "the file is not JSON in UTF-8", "mend it"),
        (b"\xff\xfe{", "the file is not JSON in UTF-8", "mend it"),
        (b"[" * 100_000, "the file is not JSON in UTF-8", "mend it"),
        (b"[]", "input should be", "mend the entry"),
        (b"{}", "name: field required", "mend the entry"),
    ],
    ids=["missing", "empty", "cut off", "not UTF-8", "nested too deep", "a list", "an empty object"],
)
def test_a_broken_record_is_an_evidence_error_and_a_fault(
    raw: Path, content: bytes | None, reason: str, remedy: str
) -> None:
    (raw / "datapackage.json").unlink()
    if content is not None:
        (raw / "datapackage.json").write_bytes(content)

    with pytest.raises(EvidenceError) as raised:
        sources.datapackage(raw)

    fault = raised.value.faults[0]
    assert fault.file == "datapackage.json"
    assert fault.reason.startswith(reason)
    assert fault.remedy.startswith(remedy)
    assert sources.check(raw) == raised.value.faults
    for call in (lambda: sources.record(raw), lambda: dictionary.page(raw, [])):
        with pytest.raises(EvidenceError):
            call()


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda part: part.pop("title"), "claims, title: field required"),
        (
            lambda part: part.__setitem__("path", "https://example.org/claims.csv"),
            "claims, path: ",
        ),
        (lambda part: part.__setitem__("path", "../claims.csv"), "claims, path: "),
        (lambda part: part.__setitem__("path", "forces.csv"), "path given more than once: forces.csv"),
        (lambda part: part.__setitem__("name", "forces"), "resource name given more than once: forces"),
        (
            lambda part: part.__setitem__("schema", "https://example.org/schema.json"),
            "claims, schema: ",
        ),
        (lambda part: part.__setitem__("bytes", "12"), "claims, bytes: "),
        (lambda part: part.__setitem__("licenses", []), "claims, licenses: "),
        (
            lambda part: part["schema"].__setitem__("primaryKey", ["page"]),
            "primaryKey names columns that are not",
        ),
        (
            lambda part: part["schema"]["fields"].append(part["schema"]["fields"][0]),
            "column given more than once",
        ),
        (
            lambda part: part["schema"]["fields"][3].pop("description"),
            "claims, schema, area, description: field required",
        ),
        (lambda part: part["schema"]["fields"][3].pop("form"), "the pattern of area needs a `form`"),
        (
            lambda part: part["schema"]["fields"][3].__setitem__("type", "date"),
            "claims, schema, area, type: ",
        ),
        (
            lambda part: part["schema"]["fields"][3]["constraints"].update(pattern="("),
            "not a regular expression",
        ),
        (
            lambda part: part["schema"]["fields"][3]["constraints"].update(maxLength=3),
            "area, constraints, maxLength",
        ),
        (
            lambda part: part["schema"]["fields"][3]["constraints"].update(minimum=3),
            "area cannot have a minimum",
        ),
    ],
)
def test_what_the_record_lacks_or_cannot_mean_is_named(
    raw: Path, edit: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    change_package(raw, lambda package: edit(package["resources"][2]))

    (fault,) = sources.check(raw)

    assert fault.file == "datapackage.json"
    assert reason in fault.reason
    assert fault.remedy


def test_properties_that_are_not_used_may_be_in_the_record(raw: Path) -> None:
    change_package(raw, lambda package: package.update(homepage="https://example.org", keywords=["police"]))

    assert sources.check(raw) == ()


@pytest.mark.parametrize("created", ["last Monday", "", 20261123, "20261123", "2026", None])
def test_a_record_without_a_day_that_can_be_read_is_refused(raw: Path, created: object) -> None:
    change_package(raw, lambda package: package.update(created=created))

    (fault,) = sources.check(raw)

    assert fault.reason.startswith("created: ")
