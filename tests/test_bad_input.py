import csv
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from lxml import html
from typer.testing import CliRunner

from analysis import cli, paths
from analysis.evidence import cleaning
from analysis.evidence.cleaning import Evidence
from analysis.present import plainly
from analysis.publish import batch, shelf

STATEMENTS = "audit_statements.csv"
CSV_FILES = (STATEMENTS, "findings.csv", "claims.csv", "known_inspections.csv")
EARLIER_REPORT = b"<!doctype html><title>An earlier report</title>\n"
# The initial inspection of Warwickshire: good 23, requires improvement 23 and inadequate 28 of 74
WARWICKSHIRE = {"force": "Warwickshire", "inspection": "initial inspection"}

Edit = Callable[[Path], object]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def rewrite(path: Path, change: Callable[[list[list[str]]], object]) -> None:
    rows = rows_of(path)
    change(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def row_of_warwickshire(raw: Path) -> int:
    header, *records = rows_of(raw / STATEMENTS)
    (row,) = [
        row
        for row, record in enumerate(records, start=2)
        if all(record[header.index(name)] == value for name, value in WARWICKSHIRE.items())
    ]
    return row


def cells(**values: str) -> Edit:
    def edit(raw: Path) -> None:
        row = row_of_warwickshire(raw)

        def change(rows: list[list[str]]) -> None:
            for name, value in values.items():
                rows[row - 1][rows[0].index(name)] = value

        rewrite(raw / STATEMENTS, change)

    return edit


def rows(file: str, change: Callable[[list[list[str]]], object]) -> Edit:
    return lambda raw: rewrite(raw / file, change)


def content(file: str, change: Callable[[bytes], bytes]) -> Edit:
    return lambda raw: (raw / file).write_bytes(change((raw / file).read_bytes()))


def replaced_by_a_folder(file: str) -> Edit:
    return lambda raw: ((raw / file).unlink(), (raw / file).mkdir())


def declared(**changed: str) -> Edit:
    entry = {
        "file": f'"{STATEMENTS}"',
        "match": '{ force = "Warwickshire", inspection = "initial inspection" }',
        "column": '"cases"',
        "action": '"keep"',
        "expected": '"74"',
        "reason": '"The page prints it so in two places."',
    } | changed
    text = "\n[[correction]]\n" + "".join(f"{name} = {value}\n" for name, value in entry.items())
    return content("corrections.toml", lambda before: before + text.encode())


@pytest.fixture
def raw(project: paths.Project, evidence: Evidence) -> Path:
    cleaning.write(evidence, project=project)
    report = project.reports / "warwickshire" / "report.html"
    report.parent.mkdir(parents=True)
    report.write_bytes(EARLIER_REPORT)
    return project.raw


def casegrade(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_told(result: Result, told: Sequence[str]) -> None:
    # anything but an orderly exit would be a traceback on the screen
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert all(line.endswith((".", "?")) for line in lines)
    assert [part for part in told if not any(part in line for line in lines)] == []


# that a file is not as recorded is told besides, and is no fault
def faults_in(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if not line.startswith("Note: ")]


def missing(file: str) -> Any:
    return pytest.param(
        lambda raw: (raw / file).unlink(),
        [f"{file}", "is missing from data/raw: restore"],
        id=f"{file} is missing",
    )


def empty(file: str) -> Any:
    return pytest.param(
        content(file, lambda _: b""), [f"{file}: ", "is empty: restore"], id=f"{file} is empty"
    )


def of_two(file: str) -> Any:
    return pytest.param(
        content(file, lambda before: before + before.splitlines(keepends=True)[1].replace(b",", b"", 1)),
        [f"{file}, row ", "comma"],
        id=f"{file} has a ragged row",
    )


FILE_FAULTS = [
    *map(missing, (*CSV_FILES, "forces.csv", "corrections.toml")),
    *map(empty, CSV_FILES),
    pytest.param(
        content("forces.csv", lambda _: b""),
        ["forces.csv", "restore"],
        id="forces.csv is empty",
    ),
    *map(of_two, CSV_FILES),
    pytest.param(
        content(STATEMENTS, lambda before: before.decode().encode("cp1252")),
        [f"{STATEMENTS}, row 6: ", "is not UTF-8 text (byte 0x96", ": save the file "],
        id="Windows 1252",
    ),
    pytest.param(
        content("claims.csv", lambda before: before.decode().encode("utf-16")),
        ["claims.csv, row 1: ", "is not UTF-8 text (byte 0xff", ": save the file "],
        id="UTF-16",
    ),
    pytest.param(
        content("forces.csv", lambda before: before.decode().encode("cp1252")),
        ["forces.csv", "is not UTF-8 text", ": save "],
        id="forces.csv in Windows 1252",
    ),
    pytest.param(
        content("findings.csv", lambda _: b"\xef\xbb\xbf"),
        ["findings.csv: ", "is empty: restore"],
        id="a byte order mark alone",
    ),
    pytest.param(
        rows(STATEMENTS, lambda table: [row.append("x") for row in table]),
        [f"{STATEMENTS}, row 1, column x: ", "datapackage.json", ": remove "],
        id="extra column",
    ),
    pytest.param(
        rows("findings.csv", lambda table: [row.pop(3) for row in table]),
        ["findings.csv, row 1, column theme: the column is missing: "],
        id="missing column",
    ),
    pytest.param(
        rows("claims.csv", lambda table: table[0].__setitem__(0, "Force")),
        ["claims.csv, row 1, column force: the column is missing", "claims.csv, row 1, column Force: "],
        id="renamed column",
    ),
    pytest.param(
        rows(STATEMENTS, lambda table: [row.insert(0, row.pop()) for row in table]),
        [f"{STATEMENTS}, row 1: the columns are in another order: ", "force, inspection, fieldwork, "],
        id="reordered columns",
    ),
    pytest.param(
        rows("forces.csv", lambda table: [row.pop() for row in table]),
        ["forces.csv, row 1", "slug, ons_code, short_name"],
        id="forces.csv lacks a column",
    ),
    pytest.param(
        rows("forces.csv", lambda table: table[20].__setitem__(5, "GMP")),
        ["forces.csv", '"GMP"', "both greater-manchester and kent", "keep it with one of them"],
        id="one name for two forces",
    ),
    pytest.param(
        content(STATEMENTS, lambda before: before + b'Kent,"never closed\n'),
        [f"{STATEMENTS}, row 110: ", "as CSV (unexpected end of data)"],
        id="open quote",
    ),
    pytest.param(
        content("known_inspections.csv", lambda before: before.splitlines(keepends=True)[0]),
        ["known_inspections.csv: ", "has a header and no rows: restore"],
        id="header only",
    ),
    pytest.param(
        content("corrections.toml", lambda before: before.replace(b'action = "keep"', b"action = keep")),
        ["corrections.toml", "is not readable as TOML", "line 19", "mend that line."],
        id="broken TOML",
    ),
    pytest.param(
        content("corrections.toml", lambda _: b"correction = 3\n"),
        ["corrections.toml"],
        id="corrections that are no list",
    ),
    pytest.param(
        declared(action='"replace"'),
        [
            "corrections.toml, column action: entry 6: Input should be 'override', 'keep' or 'drop'",
            "mend the entry",
        ],
        id="unknown action",
    ),
    pytest.param(
        declared(match='{ force = "Warwick" }'),
        [
            f'corrections.toml, column cases: the correction for {STATEMENTS} where force "Warwick" names 1 '
            "row(s) and finds 0: look whether the raw rows have changed"
        ],
        id="correction that matches nothing",
    ),
    pytest.param(
        declared(match='{ force = "Thames Valley" }'),
        ["names 1 row(s) and finds 5: look whether the raw rows have changed"],
        id="correction that matches too much",
    ),
    pytest.param(
        declared(expected='"70"'),
        [
            f'{STATEMENTS}, row 79, column cases, value "74": corrections.toml expected "70" here: look whether '
            "the publisher has mended the error, then mend or remove the entry."
        ],
        id="correction of another value",
    ),
    pytest.param(
        declared(column='"grade"'),
        [f"corrections.toml, column grade: {STATEMENTS} has no such column: name a column of that file."],
        id="correction of an unknown column",
    ),
    pytest.param(
        declared(file='"forces.csv"'),
        [
            f'corrections.toml, column file: corrections are not applied to "forces.csv": name one of {STATEMENTS}'
        ],
        id="correction of another file",
    ),
    pytest.param(
        # a change that cleaning accepts, so that nothing but the record is wrong
        lambda raw: (
            rewrite(raw / "known_inspections.csv", lambda table: table[1].__setitem__(4, "10")),
            (raw / "datapackage.json").write_bytes(b"{"),
        ),
        ["datapackage.json: ", "is not JSON in UTF-8", "mend it"],
        id="broken datapackage.json",
    ),
    *(
        pytest.param(replaced_by_a_folder(file), [file], id=f"{file} is a folder")
        for file in (STATEMENTS, "forces.csv", "corrections.toml")
    ),
]


@pytest.mark.parametrize(("spoil", "told"), FILE_FAULTS)
def test_a_file_that_cannot_be_used_stops_everything_and_changes_nothing(
    project: paths.Project, raw: Path, kernels: list[str], spoil: Edit, told: list[str]
) -> None:
    processed, reports = contents(project.processed), contents(project.reports)
    spoil(raw)
    spoilt = contents(raw)

    cleaned = casegrade("clean")
    reported = casegrade("report", "warwickshire")

    assert_told(cleaned, told)
    assert_told(reported, told)
    assert kernels == []
    assert contents(project.processed) == processed
    assert contents(project.reports) == reports == {"warwickshire/report.html": EARLIER_REPORT}
    assert contents(raw) == spoilt
    assert sorted(path.name for path in (project.root / "data").iterdir()) == ["processed", "raw"]


def refused(edit: Edit, place: str, reason: str, remedy: str, id_: str) -> Any:
    return pytest.param(edit, [f"{STATEMENTS}, row 79{place}: ", reason, remedy], id=id_)


NO_COUNT = "is not a whole number of cases, 0 or more"
DIGITS = "write digits only, or leave it blank if it is not stated."
NO_DATE = "is not a date that exists"
PARTIAL = "write the year, the month or the day as 2022, 2022-02 or 2022-02-14, or leave it blank."
ROW_FAULTS = [
    *(
        refused(
            cells(**{name: value}), f', column {name}, value "{value}"', NO_COUNT, DIGITS, f"{name} {value}"
        )
        for name, value in (
            ("good", "-1"),
            ("inadequate", "28.0"),
            ("requires_improvement", "23.5"),
            ("cases", "seventy-four"),
            ("cases", "٧٤"),
            ("below_good", "69%"),
        )
    ),
    # the space must be seen, for it is what is wrong
    refused(cells(cases=" 74"), ', column cases, value " 74"', "", "", "cases with a space"),
    refused(
        cells(good="24"),
        ', column cases, value "74"',
        "is less than the grades, which add to 75",
        "look the row up at its url; if it is printed so, declare it in corrections.toml (keep).",
        "grades exceed the total",
    ),
    refused(
        cells(good="", below_good="50"),
        ', column below_good, value "50"',
        "is not requires improvement plus inadequate, which make 51",
        "look the row up at its url",
        "below good is not the sum",
    ),
    refused(
        cells(cases="", good="", requires_improvement="", inadequate=""),
        "",
        "states no count at all",
        "add the counts that the page states, or remove the row.",
        "no count at all",
    ),
    refused(
        cells(force="Yorkshire"),
        ', column force, value "Yorkshire"',
        "is not a force of England and Wales",
        "north-yorkshire, south-yorkshire or west-yorkshire",
        "no such force",
    ),
    refused(
        cells(force="British Transport Police"),
        ', column force, value "British Transport Police"',
        "is not a force of England and Wales",
        "the 43 forces are listed in data/raw/forces.csv.",
        "a force of no area",
    ),
    refused(
        cells(force="x" * 10_000),
        f', column force, value "{"x" * 77}..."',
        "is not a force of England and Wales",
        "the 43 forces are listed in data/raw/forces.csv.",
        "an endless name",
    ),
    *(
        refused(
            cells(fieldwork=date),
            f', column fieldwork, value "{date}"',
            NO_DATE,
            PARTIAL,
            f"fieldwork {date}",
        )
        for date in ("2022-13", "2022-02-30", "last year", "2022-2", "0000")
    ),
    refused(
        cells(fieldwork="2022-09"),
        ', column report_published, value "2022-08-05"',
        "lies before the fieldwork",
        "look both dates up in the report.",
        "published before the fieldwork",
    ),
    refused(
        cells(inspection="revisit"),
        ', column inspection, value "revisit"',
        "is not a kind of inspection that is known here",
        "did you mean ",
        "unknown kind",
    ),
    refused(
        cells(area="missing kids"),
        ', column area, value "missing kids"',
        "is not an area of child protection that is known here",
        "did you mean missing children",
        "unknown area",
    ),
    refused(
        cells(graded_by="the force"),
        ', column graded_by, value "the force"',
        "is not someone who grades that is known here",
        "did you mean force",
        "unknown grader",
    ),
    refused(
        cells(adequate="0"),
        ', column adequate, value "0"',
        "is a grade that audits have not used since 2015",
        'leave it blank; it is not the same as "requires improvement".',
        "adequate in 2022",
    ),
    refused(
        cells(fieldwork="2024-03", report_published="2024-09"),
        ', column inspection, value "initial inspection"',
        "has case grades, but inspections since February 2024 judge topics and grade no cases",
        "leave the grades blank, or mend the dates.",
        "case grades after February 2024",
    ),
    pytest.param(
        rows(STATEMENTS, lambda table: table.append(table[78])),
        [f"{STATEMENTS}, row 110: repeats row 79 in every column: remove one of the two rows."],
        id="duplicate row",
    ),
    pytest.param(
        rows("findings.csv", lambda table: table[1].__setitem__(4, "better")),
        ['findings.csv, row 2, column status, value "better": ', "use one of: improved, "],
        id="unknown status",
    ),
    pytest.param(
        rows("claims.csv", lambda table: table[1].__setitem__(6, "a third")),
        [
            'claims.csv, row 2, column claimed, value "a third": is not a number',
            "write a share as a fraction",
        ],
        id="a claim without a number",
    ),
    pytest.param(
        rows("known_inspections.csv", lambda table: table[1].__setitem__(4, "-9")),
        ['known_inspections.csv, row 2, column recommendations, value "-9": ', "write digits only"],
        id="negative recommendations",
    ),
    pytest.param(
        rows("known_inspections.csv", lambda table: table[1].__setitem__(4, "٩")),
        ['known_inspections.csv, row 2, column recommendations, value "٩": ', "write digits only"],
        id="recommendations in other digits",
    ),
    pytest.param(
        cells(good="[bold]many[/bold]\n[/red]"),
        [f'{STATEMENTS}, row 79, column good, value "[bold]many[/bold]', NO_COUNT, DIGITS],
        id="markup and a line break in a value",
    ),
]


@pytest.mark.parametrize(("spoil", "told"), ROW_FAULTS)
def test_a_row_that_cannot_be_used_is_told_and_kept_apart_and_stops_every_report(
    project: paths.Project, raw: Path, kernels: list[str], spoil: Edit, told: list[str]
) -> None:
    processed, reports = contents(project.processed), contents(project.reports)
    spoil(raw)

    reported = casegrade("report", "warwickshire")

    assert_told(reported, told)
    assert kernels == []
    assert contents(project.processed) == processed
    assert contents(project.reports) == reports == {"warwickshire/report.html": EARLIER_REPORT}

    cleaned = casegrade("clean")

    assert_told(cleaned, told)
    assert cleaned.stdout.split(" audits in")[0].rsplit(";", 1)[0].endswith(" 1 rejected")
    rejected = pl.read_parquet(project.processed / "rejected.parquet")
    (reject,) = rejected.to_dicts()
    place = f"{reject['file']}, row {reject['row']}"
    assert told[0].startswith(place)
    assert (reject["column"] is None) == (", column " not in told[0])
    assert reject["reason"]
    assert reject["remedy"]
    n_rows = sum(len(rows_of(raw / file)) - 1 for file in CSV_FILES)
    assert cleaned.stdout.startswith(f"{n_rows} rows read, {n_rows - 1} accepted, 1 rejected; ")
    assert contents(project.reports) == reports


def test_every_bad_row_is_told_and_written_and_the_others_are_kept(
    project: paths.Project, raw: Path, evidence: Evidence
) -> None:
    cells(good="many")(raw)
    rows(STATEMENTS, lambda table: table[1].__setitem__(0, "Gotham"))(raw)
    rows("claims.csv", lambda table: table[1].__setitem__(6, "a third"))(raw)

    result = casegrade("clean")

    assert_told(result, ["row 2, column force", "row 79, column good", "claims.csv, row 2, column claimed"])
    assert len(faults_in(result.stderr)) == 3
    rejected = pl.read_parquet(project.processed / "rejected.parquet")
    assert rejected.select("file", "row", "column", "value").rows() == [
        (STATEMENTS, 2, "force", "Gotham"),
        (STATEMENTS, 79, "good", "many"),
        ("claims.csv", 2, "claimed", "a third"),
    ]
    kept = pl.read_parquet(project.processed / "statements.parquet")
    assert kept["row"].to_list() == [row for row in evidence.statements["row"] if row not in (2, 79)]


def test_with_good_data_a_report_does_start_a_kernel_and_without_one_the_earlier_report_stays(
    project: paths.Project, raw: Path, kernels: list[str]
) -> None:
    result = casegrade("report", "warwickshire")

    # this is what shows that the tests above would notice a kernel
    assert kernels == ["warwickshire"]
    assert result.exit_code == 1
    assert "warwickshire: " in result.stderr
    assert (project.reports / "warwickshire" / "report.html").read_bytes() == EARLIER_REPORT


def test_good_data_is_cleaned_without_complaint(project: paths.Project, raw: Path) -> None:
    shutil.rmtree(project.processed)

    result = casegrade("clean")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "159 rows read, 159 accepted, 0 rejected; 48 audits in data/processed.\n"
    assert contents(project.processed)


@pytest.mark.parametrize(
    "change",
    [
        lambda before: b"\xef\xbb\xbf" + before,
        lambda before: before.replace(b"\n", b"\r\n"),
        lambda before: before.rstrip(b"\n"),
    ],
    ids=["byte order mark", "Windows line ends", "no last line end"],
)
@pytest.mark.parametrize("file", [STATEMENTS, "forces.csv"])
def test_how_a_spreadsheet_saves_makes_no_difference(
    project: paths.Project, raw: Path, file: str, change: Callable[[bytes], bytes]
) -> None:
    before = pl.read_parquet(project.processed / "audits.parquet")
    content(file, change)(raw)

    assert casegrade("clean").exit_code == 0
    assert pl.read_parquet(project.processed / "audits.parquet").equals(before)


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("casegrade")
    return subprocess.run(
        [script, *arguments], capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1"}
    )


def test_the_installed_command_tells_of_a_bad_row_in_one_plain_line(
    project: paths.Project, raw: Path
) -> None:
    cells(good="-1")(raw)

    told = run_script("clean")

    assert told.returncode == 1
    assert faults_in(told.stderr) == [
        f'{STATEMENTS}, row 79, column good, value "-1": is not a whole number of cases, 0 or more: '
        "write digits only, or leave it blank if it is not stated."
    ]
    assert told.stdout == "159 rows read, 158 accepted, 1 rejected; 47 audits in data/processed.\n"


HARMFUL = (
    '<script>alert(1)</script> **bold** [a](javascript:alert(1)) =HYPERLINK("x","y") \u202eevil\u202c \N{POLICE CAR} '
    + "\u2066isolated\u2069 \u2067turned\u2069 be\x07ll next\x85line West\u200bMidlands "
    + "word " * 2_000
).strip()


def test_words_of_a_raw_file_are_harmless_in_every_format(project: paths.Project) -> None:
    path = project.raw / "audit_statements.csv"
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    column = rows[0].index("title")
    hit = next(row for row in rows[1:] if row[rows[0].index("force")] == "Warwickshire")
    hit[column] = HARMFUL
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")

    asked = batch.Asked(("warwickshire",), formats=frozenset(["pdf", "interactive"]))
    (result,) = batch.run(project, shelf.at(project.reports), asked)

    assert result.outcome == "draft", result.headline
    folder = project.reports / "warwickshire"
    page = html.document_fromstring((folder / "report.html").read_text(encoding="utf-8"))
    told = " ".join(page.find(".//main").text_content().split())
    assert plainly.harmless(HARMFUL) in told
    assert not page.xpath("//main//script | //main//strong[.='bold'] | //a[starts-with(@href, 'javascript')]")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")
    for name in ("figures.csv", "summary.txt"):
        assert "\u202e" not in (folder / name).read_text(encoding="utf-8")
