import csv
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dataframely.exc import ValidationError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analysis import paths, storage, vocabulary
from analysis.evidence import cleaning
from analysis.evidence.cleaning import Evidence, Excerpts, RejectedRowsWarning
from analysis.evidence.faults import EvidenceError

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "raw"
N_ROWS = {"audit_statements.csv": 108, "findings.csv": 30, "claims.csv": 11, "known_inspections.csv": 10}
TABLES = (
    "audits",
    "case_grades",
    "statements",
    "findings",
    "claims",
    "known_inspections",
    "corrections",
    "rejected",
)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def set_cell(raw: Path, file: str, row: int, column: str, value: str) -> None:
    rows = rows_of(raw / file)
    rows[row - 1][rows[0].index(column)] = value
    with (raw / file).open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened, lineterminator="\n").writerows(rows)


def declare_drop(raw: Path, row: int) -> None:
    rows = rows_of(raw / "audit_statements.csv")
    values = dict(zip(rows[0], rows[row - 1], strict=True))
    match = ", ".join(
        f"{name} = {json.dumps(values[name])}" for name in ("force", "url", "area", "graded_by")
    )
    with (raw / "corrections.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[[correction]]\nfile = "audit_statements.csv"\nmatch = {{ {match} }}\ncolumn = "cases"\n'
            f'action = "drop"\nexpected = "{values["cases"]}"\nreason = "Retracted by the publisher."\n'
        )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def assert_same(one: Evidence, other: Evidence) -> None:
    assert one.rows_read == other.rows_read
    for name in TABLES:
        assert_frame_equal(one.tables[name], other.tables[name])


@pytest.fixture
def written(project: paths.Project) -> paths.Project:
    cleaning.write(cleaning.clean(project.raw), project=project)
    return project


def test_nothing_of_the_shipped_files_is_lost_or_refused(evidence: Evidence) -> None:
    assert dict(evidence.rows_read) == N_ROWS
    assert evidence.rejected.is_empty()
    assert evidence.faults == ()
    assert evidence.statements.height == N_ROWS["audit_statements.csv"]
    assert evidence.findings.height == N_ROWS["findings.csv"]
    assert evidence.claims.height == N_ROWS["claims.csv"]
    assert evidence.known_inspections.height == N_ROWS["known_inspections.csv"]


def test_rows_read_are_rows_accepted_and_rows_refused_for_each_file(project: paths.Project) -> None:
    for file, row, column, value in (
        ("audit_statements.csv", 2, "cases", "many"),
        ("audit_statements.csv", 108, "force", "Gotham"),
        ("findings.csv", 3, "status", "fine"),
        ("claims.csv", 12, "claimed", "half"),
        ("known_inspections.csv", 11, "recommendations", "-1"),
    ):
        set_cell(project.raw, file, row, column, value)

    evidence = cleaning.clean(project.raw)

    assert dict(evidence.rows_read) == N_ROWS
    assert evidence.rejected.select("file", "row", "column", "value").rows() == [
        ("audit_statements.csv", 2, "cases", "many"),
        ("audit_statements.csv", 108, "force", "Gotham"),
        ("findings.csv", 3, "status", "fine"),
        ("claims.csv", 12, "claimed", "half"),
        ("known_inspections.csv", 11, "recommendations", "-1"),
    ]
    assert [fault.sentence.split(":")[0] for fault in evidence.faults] == [
        'audit_statements.csv, row 2, column cases, value "many"',
        'audit_statements.csv, row 108, column force, value "Gotham"',
        'findings.csv, row 3, column status, value "fine"',
        'claims.csv, row 12, column claimed, value "half"',
        'known_inspections.csv, row 11, column recommendations, value "-1"',
    ]
    refused = (2, 1, 1, 1)
    tables = (evidence.statements, evidence.findings, evidence.claims, evidence.known_inspections)
    assert [len(table) for table in tables] == [
        n - n_refused for n, n_refused in zip(N_ROWS.values(), refused, strict=True)
    ]


def test_a_declared_drop_is_listed_as_rejected_and_is_no_fault(project: paths.Project) -> None:
    declare_drop(project.raw, 2)

    evidence = cleaning.clean(project.raw)

    assert evidence.rejected["row"].to_list() == [2]
    assert evidence.faults == ()
    assert evidence.statements.height == N_ROWS["audit_statements.csv"] - 1


def test_everything_that_is_wrong_is_told_in_one_go(project: paths.Project) -> None:
    (project.raw / "findings.csv").unlink()
    (project.raw / "claims.csv").write_bytes(b"")
    (project.raw / "known_inspections.csv").write_bytes(b"force\nKent\n")
    with (project.raw / "corrections.toml").open("a", encoding="utf-8") as file:
        file.write(
            '\n[[correction]]\nfile = "forces.csv"\nmatch = { area = "overall" }\ncolumn = "claim"\n'
            'action = "drop"\nexpected = "half"\nreason = "Not a claim about case grades."\n'
        )

    with pytest.raises(EvidenceError) as raised:
        cleaning.clean(project.raw)

    told = [(fault.file, fault.column) for fault in raised.value.faults]
    assert told[:3] == [("corrections.toml", "file"), ("findings.csv", None), ("claims.csv", None)]
    assert set(told[3:]) == {
        ("known_inspections.csv", name)
        for name in ("inspection", "fieldwork", "report_published", "recommendations", "note")
    }


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b',"'), "unexpected end of data"),
        (lambda path: path.write_bytes(path.read_bytes().decode().encode("utf-16")), "is not UTF-8"),
    ],
    ids=["missing", "empty", "cut off", "UTF-16"],
)
def test_a_broken_list_of_forces_is_told_like_any_other_broken_file(
    project: paths.Project, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(project.raw / "forces.csv")

    with pytest.raises(EvidenceError, match=reason) as raised:
        cleaning.clean(project.raw)

    assert [fault.file for fault in raised.value.faults] == ["forces.csv"]


def test_cleaning_writes_nothing(project: paths.Project) -> None:
    before = sorted(project.root.rglob("*"))

    cleaning.clean(project.raw)

    assert sorted(project.root.rglob("*")) == before


COLUMNS = {
    "inspection_id": pl.String,
    "force": pl.String,
    "kind": pl.String,
    "fieldwork": pl.String,
    "area": pl.String,
    "graded_by": pl.String,
    "n_cases": pl.Int64,
    "n_good": pl.Int64,
    "n_adequate": pl.Int64,
    "n_requires_improvement": pl.Int64,
    "n_inadequate": pl.Int64,
    "n_below_good": pl.Int64,
    "resolution": pl.String,
    "n_sources": pl.Int64,
}


def test_anyone_can_read_the_audits_as_parquet_with_the_promised_columns(written: paths.Project) -> None:
    audits = pl.read_parquet(written.processed / "audits.parquet")

    assert {name: audits.schema[name] for name in COLUMNS} == COLUMNS
    (metropolitan,) = audits.filter(inspection_id="metropolitan-2016-02-initial").to_dicts()
    assert metropolitan["force"] == "metropolitan"
    assert metropolitan["fieldwork"] == "2016-02"
    assert (metropolitan["n_cases"], metropolitan["n_good"], metropolitan["n_below_good"]) == (374, 96, 278)
    # unknown, and not 0
    assert metropolitan["n_inadequate"] is None
    assert metropolitan["n_adequate"] is None


def test_every_table_is_written_with_its_schema_and_a_manifest(written: paths.Project) -> None:
    assert set(contents(written.processed)) == {f"{name}.parquet" for name in TABLES} | {"manifest.json"}
    assert tuple(cleaning.SCHEMAS) == TABLES
    for name, schema in cleaning.SCHEMAS.items():
        assert schema.is_valid(pl.read_parquet(written.processed / f"{name}.parquet"))


def test_every_column_of_every_table_is_described(evidence: Evidence) -> None:
    assert tuple(evidence.tables) == TABLES
    undescribed = [
        (name, column)
        for name, schema in cleaning.SCHEMAS.items()
        for column, described in schema.columns().items()
        # how a fault is told is described once, with the schema of rejects as a whole
        if name != "rejected" and not (described.metadata or {}).get("description")
    ]

    assert undescribed == []


def test_what_is_written_is_loaded_again(written: paths.Project, evidence: Evidence) -> None:
    assert_same(cleaning.load(written), evidence)


def test_the_folder_can_be_read_by_others(written: paths.Project) -> None:
    assert written.processed.stat().st_mode & 0o777 == 0o755


def test_writing_replaces_all_that_was_there(written: paths.Project) -> None:
    (written.processed / "old.parquet").write_bytes(b"of an earlier version")

    cleaning.write(cleaning.clean(written.raw), project=written)

    assert not (written.processed / "old.parquet").exists()
    assert sorted(path.name for path in written.processed.parent.iterdir()) == ["processed", "raw"]


def test_the_tables_are_the_same_bytes_each_time(written: paths.Project) -> None:
    before = contents(written.processed)

    cleaning.write(cleaning.clean(written.raw), project=written)

    assert contents(written.processed) == before


@pytest.mark.parametrize("file", [*(f"{table}.parquet" for table in TABLES), cleaning.MANIFEST])
def test_tables_that_cannot_all_be_written_leave_the_earlier_ones(
    written: paths.Project, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    before = contents(written.processed)
    set_cell(written.raw, "audit_statements.csv", 2, "good", "many")
    evidence = cleaning.clean(written.raw)
    write_bytes = Path.write_bytes

    def fail_at_file(path: Path, content: bytes) -> int:
        if path.name == file:
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail_at_file)

    with pytest.raises(OSError, match="No space left"):
        cleaning.write(evidence, project=written)

    assert contents(written.processed) == before
    assert sorted(path.name for path in written.processed.parent.iterdir()) == ["processed", "raw"]


def test_tables_that_cannot_be_exchanged_leave_the_earlier_ones(
    written: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(written.processed)
    evidence = cleaning.clean(written.raw)

    def fail(one: Path, other: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(storage, "_exchange", fail)

    with pytest.raises(PermissionError):
        cleaning.write(evidence, project=written)

    assert contents(written.processed) == before
    assert sorted(path.name for path in written.processed.parent.iterdir()) == ["processed", "raw"]


@pytest.mark.parametrize("failing", [1, 2])
def test_tables_that_cannot_be_switched_in_leave_the_earlier_ones(
    written: paths.Project, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    before = contents(written.processed)
    evidence = cleaning.clean(written.raw)
    rename, n_calls = Path.rename, iter(range(1, 100))

    def fail_once(path: Path, target: Path) -> Path:
        if next(n_calls) == failing:
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    # as where the system cannot exchange two folders
    monkeypatch.setattr(storage, "_exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", fail_once)

    with pytest.raises(PermissionError):
        cleaning.write(evidence, project=written)

    assert contents(written.processed) == before
    assert sorted(path.name for path in written.processed.parent.iterdir()) == ["processed", "raw"]


def test_what_a_killed_writer_left_is_cleared_by_the_next(written: paths.Project) -> None:
    data = written.processed.parent
    before = contents(written.processed)
    (data / ".processed.new-abc").mkdir()
    (data / ".processed.new-abc" / "audits.parquet").write_bytes(b"half")
    (data / ".processed.lock").touch()

    cleaning.write(cleaning.clean(written.raw), project=written)

    assert contents(written.processed) == before
    assert sorted(path.name for path in data.iterdir()) == ["processed", "raw"]


def test_what_a_killed_writer_left_is_cleared_without_writing_the_tables_again(
    written: paths.Project,
) -> None:
    data = written.processed.parent
    written.processed.rename(data / ".processed.replaced")
    (data / ".processed.new-abc").mkdir()

    cleaning.tidy(written)

    assert sorted(path.name for path in data.iterdir()) == ["processed", "raw"]
    assert not cleaning.is_stale(written)


def test_a_first_write_that_fails_leaves_nothing(
    project: paths.Project, monkeypatch: pytest.MonkeyPatch, evidence: Evidence
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)

    with pytest.raises(OSError, match="No space left"):
        cleaning.write(evidence, project=project)

    assert [path.name for path in (project.root / "data").iterdir()] == ["raw"]


# A table that cleaning would not make: seen again, it was read and not made afresh.
def mark(project: paths.Project) -> None:
    path = project.processed / "audits.parquet"
    pl.read_parquet(path).with_columns(note=pl.lit("as stored")).write_parquet(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit_manifest(lambda manifest: manifest["tables"].update({path.name: digest}))(project.processed)


def is_marked(evidence: Evidence) -> bool:
    return evidence.audits["note"].unique().to_list() == ["as stored"]


def test_a_table_that_was_altered_since_it_was_written_is_not_read(written: paths.Project) -> None:
    before = cleaning.load(written)
    path = written.processed / "audits.parquet"
    pl.read_parquet(path).with_columns(note=pl.lit("altered")).write_parquet(path)

    assert cleaning.content_hash(cleaning.load(written)) == cleaning.content_hash(before)


def test_tables_that_break_their_schema_are_not_written(project: paths.Project) -> None:
    evidence = cleaning.clean(project.raw)
    doubled = dataclasses.replace(evidence, audits=pl.concat([evidence.audits, evidence.audits]))

    with pytest.raises(ValidationError):
        cleaning.write(doubled, project=project)

    assert not project.processed.exists()


def test_fresh_tables_are_read_and_not_cleaned_again(written: paths.Project) -> None:
    mark(written)

    assert is_marked(cleaning.load(written))


def test_loading_without_tables_cleans_and_writes_nothing(project: paths.Project, evidence: Evidence) -> None:
    assert_same(cleaning.load(project), evidence)
    assert not project.processed.exists()


@pytest.mark.parametrize("file", cleaning.INPUTS)
def test_a_change_of_any_raw_file_is_cleaned_anew(written: paths.Project, file: str) -> None:
    mark(written)
    path = written.raw / file
    before = contents(written.processed)
    status = path.stat()
    # the same size and time of change: only the content tells
    path.write_bytes(path.read_bytes().replace(b"o", b"0", 1) if path.suffix != ".toml" else b"\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    try:
        loaded = cleaning.load(written)
    except (EvidenceError, RejectedRowsWarning):
        loaded = None

    assert loaded is None or not is_marked(loaded)
    assert contents(written.processed) == before


def test_a_raw_file_that_went_missing_is_not_hidden_by_the_tables(written: paths.Project) -> None:
    (written.raw / "claims.csv").unlink()

    with pytest.raises(EvidenceError, match=r"claims\.csv: .*is missing"):
        cleaning.load(written)


def test_files_that_cleaning_does_not_read_do_not_matter(written: paths.Project) -> None:
    mark(written)
    (written.raw / "datapackage.json").write_text("{}", encoding="utf-8")

    assert is_marked(cleaning.load(written))


def test_raw_files_that_change_while_tables_are_made_are_cleaned_anew(project: paths.Project) -> None:
    evidence = cleaning.clean(project.raw)
    set_cell(project.raw, "known_inspections.csv", 2, "recommendations", "10")

    cleaning.write(evidence, project=project)

    loaded = cleaning.load(project)
    assert loaded.known_inspections["n_recommendations"].to_list()[0] == 10


def edit_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def edit(processed: Path) -> None:
        path = processed / "manifest.json"
        manifest = json.loads(path.read_text(encoding="utf-8"))
        change(manifest)
        path.write_text(json.dumps(manifest), encoding="utf-8")

    return edit


def edit_audits(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], object]:
    def edit(processed: Path) -> None:
        path = processed / "audits.parquet"
        change(pl.read_parquet(path)).write_parquet(path)

    return edit


@pytest.mark.parametrize(
    "spoil",
    [
        lambda processed: shutil.rmtree(processed),
        lambda processed: (processed / "manifest.json").unlink(),
        *(
            lambda processed, text=text: (processed / "manifest.json").write_text(text, encoding="utf-8")
            for text in ("", "{", "[]", "null", "1", '"x"', "{}")
        ),
        lambda processed: (processed / "manifest.json").write_bytes(b"\xff\xfe"),
        edit_manifest(lambda manifest: manifest.pop("rows_read")),
        edit_manifest(lambda manifest: manifest.update(rows_read=None)),
        edit_manifest(lambda manifest: manifest.pop("inputs")),
        edit_manifest(lambda manifest: manifest["inputs"].pop("forces.csv")),
        edit_manifest(lambda manifest: [manifest.pop(name, None) for name in ("format", "rules")]),
        lambda processed: (processed / "rejected.parquet").unlink(),
        lambda processed: (processed / "rejected.parquet").write_bytes(b""),
        lambda processed: (processed / "rejected.parquet").write_bytes(b"PAR1 not really PAR1"),
        lambda processed: os.truncate(processed / "audits.parquet", 2_000),
        lambda processed: ((processed / "claims.parquet").unlink(), (processed / "claims.parquet").mkdir()),
        edit_audits(lambda audits: audits.drop("n_good")),
        edit_audits(lambda audits: audits.with_columns(pl.col("n_good").cast(pl.String))),
        edit_audits(lambda audits: audits.with_columns(n_good=-1)),
        edit_audits(lambda audits: pl.concat([audits, audits])),
    ],
    ids=[
        "no folder",
        "no manifest",
        "empty manifest",
        "cut manifest",
        "manifest a list",
        "manifest null",
        "manifest a number",
        "manifest a text",
        "manifest without entries",
        "manifest not UTF-8",
        "no rows read",
        "rows read null",
        "no inputs",
        "one input fewer",
        "no word of the rules",
        "no table",
        "empty table",
        "no Parquet",
        "cut table",
        "folder for a table",
        "column missing",
        "column of another type",
        "impossible value",
        "rows twice",
    ],
)
def test_tables_that_are_odd_in_any_way_are_made_afresh(
    written: paths.Project, evidence: Evidence, spoil: Callable[[Path], object]
) -> None:
    spoil(written.processed)

    assert_same(cleaning.load(written), evidence)


@pytest.mark.parametrize("is_stored", [True, False])
def test_loading_warns_of_refused_rows_once(project: paths.Project, is_stored: bool) -> None:
    set_cell(project.raw, "audit_statements.csv", 2, "good", "many")
    set_cell(project.raw, "claims.csv", 2, "claimed", "many")
    if is_stored:
        cleaning.write(cleaning.clean(project.raw), project=project)

    with pytest.warns(
        RejectedRowsWarning, match=r"2 raw row\(s\) were refused.*run `casegrade clean`"
    ) as told:
        evidence = cleaning.load(project)

    assert len(told) == 1
    assert told[0].filename == __file__
    assert evidence.rejected.height == 2


def test_loading_does_not_warn_of_declared_drops(project: paths.Project) -> None:
    declare_drop(project.raw, 2)

    # a warning would be an error here
    assert cleaning.load(project).rejected.height == 1


def test_a_row_that_is_dropped_by_declaration_excuses_no_other(project: paths.Project) -> None:
    declare_drop(project.raw, 2)
    # the same row number in another file
    set_cell(project.raw, "claims.csv", 2, "claimed", "many")

    evidence = cleaning.clean(project.raw)

    assert [(fault.file, fault.row) for fault in evidence.faults] == [("claims.csv", 2)]


def test_fingerprints_tell_of_every_input_that_is_there(project: paths.Project) -> None:
    before = cleaning.fingerprints(project.raw)
    (project.raw / "claims.csv").unlink()

    assert set(before) == set(cleaning.INPUTS)
    assert cleaning.fingerprints(project.raw) == {
        name: digest for name, digest in before.items() if name != "claims.csv"
    }


FILES = list(N_ROWS)
CELLS = {file: rows_of(SHIPPED / file) for file in FILES}


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, int, str, str]:
    file = draw(st.sampled_from(FILES))
    rows = CELLS[file]
    return (
        file,
        draw(st.integers(2, len(rows))),
        draw(st.sampled_from(rows[0])),
        draw(
            st.just("")
            | st.sampled_from(sorted({value for row in rows[1:] for value in row}))
            | st.text("0123456789-.<> ٩²", max_size=6)
            | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
        ),
    )


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path_factory.mktemp("cleaning") / "raw"))


@settings(max_examples=20)
@given(st.lists(edits(), min_size=1, max_size=12))
@example([("known_inspections.csv", 2, "recommendations", "٩")])
@example([("audit_statements.csv", row, "cases", "") for row in (72, 73, 74)])
@example([("audit_statements.csv", row, "force", "") for row in range(2, 110)])
@example([("findings.csv", row, "theme", "") for row in range(2, 32)])
def test_whatever_is_in_the_cells_cleaning_says_what_became_of_every_row(
    scratch: Path, edits: list[tuple[str, int, str, str]]
) -> None:
    for file in FILES:
        rows = [list(row) for row in CELLS[file]]
        for name, row, column, value in edits:
            if name == file:
                rows[row - 1][rows[0].index(column)] = value
        with (scratch / file).open("w", encoding="utf-8", newline="") as opened:
            csv.writer(opened, quoting=csv.QUOTE_ALL).writerows(rows)

    try:
        evidence = cleaning.clean(scratch)
    except EvidenceError as error:
        faults = error.faults
        evidence = None
    else:
        faults = evidence.faults

    assert all(fault.file and fault.reason and fault.remedy for fault in faults)
    assert all(len(fault.sentence.splitlines()) == 1 for fault in faults)
    if evidence is not None:
        n_refused = dict(evidence.rejected.group_by("file").len().rows())
        accepted = (evidence.statements, evidence.findings, evidence.claims, evidence.known_inspections)
        assert [len(table) + n_refused.get(file, 0) for file, table in zip(FILES, accepted, strict=True)] == [
            *N_ROWS.values()
        ]
        assert evidence.rejected.select("file", "row").is_unique().all()


def all_forces(evidence: Evidence) -> list[str]:
    found = {force for name in TABLES for force in forces_in(evidence, name)}
    return sorted(force for force in found if force is not None)


def forces_in(evidence: Evidence, table: str) -> list[str | None]:
    columns = evidence.tables[table].columns
    return evidence.tables[table]["force"].to_list() if "force" in columns else []


def test_excerpt_has_the_rows_of_its_force_in_their_order_and_no_others(evidence: Evidence) -> None:
    excerpts = Excerpts(evidence)
    assert len(all_forces(evidence)) > 20
    for force in [*all_forces(evidence), "narnia"]:
        excerpt = excerpts.of(force)
        for name, table in evidence.tables.items():
            is_cut = "force" in table.columns
            expected = table.filter(pl.col("force") == force) if is_cut else table.clear()
            if name == "corrections":
                # those of its statements: the reader is told beside each
                rows = excerpt.statements["row"].to_list()
                expected = table.filter(
                    (pl.col("file") == "audit_statements.csv") & pl.col("row").is_in(rows)
                )
            assert_frame_equal(excerpt.tables[name], expected)
        assert (excerpt.rows_read, excerpt.inputs) == ({}, {})


def test_packed_excerpt_is_read_as_a_project_that_has_no_other_force(
    tmp_path: Path, project: paths.Project, evidence: Evidence
) -> None:
    excerpt = Excerpts(evidence).of("dorset")
    named = vocabulary.forces(project.raw).named("dorset")
    for name, content in cleaning.packed(excerpt, [named]).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    small = paths.Project(tmp_path)

    assert_same(cleaning.load(small), excerpt)
    assert [force.slug for force in vocabulary.forces(small.raw)] == ["dorset"]
    assert not cleaning.is_stale(small)


def test_packed_tables_are_the_same_bytes_each_time(evidence: Evidence) -> None:
    packed = [cleaning.packed(Excerpts(evidence).of("dorset"), []) for _ in range(2)]
    assert packed[0] == packed[1]


def test_hash_of_the_content_is_the_same_for_the_same_rows_however_they_were_read(
    written: paths.Project, evidence: Evidence
) -> None:
    loaded = cleaning.load(written)
    assert cleaning.content_hash(loaded) == cleaning.content_hash(evidence)
    for force in all_forces(evidence):
        hashes = {cleaning.content_hash(Excerpts(one).of(force)) for one in (loaded, evidence)}
        assert len(hashes) == 1


@pytest.mark.parametrize(
    ("file", "column", "value"),
    [
        ("audit_statements.csv", "title", "Another title"),
        ("findings.csv", "status", "improved"),
        ("known_inspections.csv", "recommendations", "10"),
    ],
)
def test_hash_of_the_content_changes_for_the_force_whose_row_changed_and_no_other(
    project: paths.Project, evidence: Evidence, file: str, column: str, value: str
) -> None:
    rows = rows_of(project.raw / file)
    force = vocabulary.forces(project.raw).named(rows[1][rows[0].index("force")]).slug
    set_cell(project.raw, file, 2, column, value)

    after = cleaning.clean(project.raw)

    assert after.faults == ()
    before, now = Excerpts(evidence), Excerpts(after)
    differ = [
        slug
        for slug in all_forces(evidence)
        if cleaning.content_hash(now.of(slug)) != cleaning.content_hash(before.of(slug))
    ]
    assert differ == [force]
