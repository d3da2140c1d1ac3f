"""From `data/raw` to `data/processed`: read, correct, judge, reconcile, write; or refuse as a whole.

The tables in `data/processed` are written together and switched in together, so that a reader
never sees half of them, and a run that fails leaves the earlier ones as they were.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

from analysis import paths, storage, vocabulary
from analysis.evidence import corrections as declared
from analysis.evidence import narrative, reconcile, statements
from analysis.evidence.corrections import AppliedCorrection, Correction
from analysis.evidence.faults import EvidenceError, Fault, Reject
from analysis.evidence.narrative import Claim, Finding, KnownInspection
from analysis.evidence.reconcile import Audit, CaseGrade, JudgedStatement
from analysis.evidence.statements import Statement

MANIFEST = "manifest.json"
INPUTS = (
    statements.FILE,
    narrative.FINDINGS_FILE,
    narrative.CLAIMS_FILE,
    narrative.KNOWN_INSPECTIONS_FILE,
    "forces.csv",
    declared.FILE,
)

# what comes of a folder that is not there, not whole, or not ours
_ODD = (OSError, LookupError, TypeError, ValueError, AttributeError)

_Reader = Callable[
    [Path, tuple[Correction, ...]],
    tuple[pl.DataFrame, dy.DataFrame[Reject], dy.DataFrame[AppliedCorrection]],
]


class RejectedRowsWarning(UserWarning):
    """Some raw rows were refused, so the tables lack them."""


@dataclass(frozen=True)
class Evidence:
    """Every cleaned table, and what became of every raw row.

    Attributes:
        audits: one row per audit (schema `Audit`).
        case_grades: one row per audit and grade (schema `CaseGrade`).
        statements: one row per accepted statement, with what became of it (schema `JudgedStatement`).
        findings, claims, known_inspections: the other raw files, accepted rows only.
        corrections: one row per corrected value (schema `AppliedCorrection`).
        rejected: one row per refused raw row of any file (schema `Reject`).
        rows_read: rows of each raw file, before anything was refused.
        inputs: SHA-256 of each raw file, as it was when it was read.
    """

    audits: dy.DataFrame[Audit]
    case_grades: dy.DataFrame[CaseGrade]
    statements: dy.DataFrame[JudgedStatement]
    findings: dy.DataFrame[Finding]
    claims: dy.DataFrame[Claim]
    known_inspections: dy.DataFrame[KnownInspection]
    corrections: dy.DataFrame[AppliedCorrection]
    rejected: dy.DataFrame[Reject]
    rows_read: Mapping[str, int]
    inputs: Mapping[str, str]

    def __repr__(self) -> str:
        told = "; ".join(f"{name} {frame.height}" for name, frame in self.tables.items())
        return f"Evidence, rows by table: {told}"

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by the name of their file in `data/processed`."""
        return {
            "audits": self.audits,
            "case_grades": self.case_grades,
            "statements": self.statements,
            "findings": self.findings,
            "claims": self.claims,
            "known_inspections": self.known_inspections,
            "corrections": self.corrections,
            "rejected": self.rejected,
        }

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Rejected rows that nobody declared, in file and row order: each needs mending."""
        dropped = self.corrections.filter(pl.col("action") == "drop").select("file", "row")
        rows = self.rejected.join(dropped, on=["file", "row"], how="anti", maintain_order="left")
        return tuple(Fault(**row) for row in rows.iter_rows(named=True))


# The tables as a reader meets them, in this order: name of the file, schema.
SCHEMAS: Mapping[str, type[dy.Schema]] = {
    "audits": Audit,
    "case_grades": CaseGrade,
    "statements": JudgedStatement,
    "findings": Finding,
    "claims": Claim,
    "known_inspections": KnownInspection,
    "corrections": AppliedCorrection,
    "rejected": Reject,
}


def clean(raw: Path, /) -> Evidence:
    """Clean the raw files into tables; nothing is written.

    Raises:
        EvidenceError: if a file as a whole is unusable or a declared correction does not fit.
            Rows that are refused one by one do not raise: they are in `rejected` and `faults`.
    """
    # taken before anything is read: a file that changes meanwhile makes the tables stale, not wrong
    inputs = fingerprints(raw)
    # Each file is tried, so that one run tells of everything that is wrong.
    faults: list[Fault] = []
    try:
        vocabulary.forces(raw)
    except vocabulary.ForcesError as error:
        raise EvidenceError([Fault("forces.csv", f"cannot be used ({error})", "mend it first")]) from error
    corrections = declared.load(raw)
    readers: dict[str, _Reader] = {
        statements.FILE: statements.read,
        narrative.FINDINGS_FILE: narrative.findings,
        narrative.CLAIMS_FILE: narrative.claims,
        narrative.KNOWN_INSPECTIONS_FILE: narrative.known_inspections,
    }
    faults += [
        Fault(
            declared.FILE,
            f'corrections are not applied to "{file}"',
            f"name one of {', '.join(readers)}",
            column="file",
        )
        for file in sorted({entry.file for entry in corrections} - set(readers))
    ]
    accepted: dict[str, pl.DataFrame] = {}
    rejected: list[dy.DataFrame[Reject]] = []
    applied: list[dy.DataFrame[AppliedCorrection]] = []
    for file, read in readers.items():
        try:
            rows, refused, corrected = read(raw, corrections)
        except EvidenceError as error:
            faults += error.faults
            continue
        accepted[file] = rows
        rejected.append(refused)
        applied.append(corrected)
    if faults:
        raise EvidenceError(faults)
    audits, judged = reconcile.reconcile(Statement.cast(accepted[statements.FILE]))
    return Evidence(
        audits=audits,
        case_grades=reconcile.case_grades(audits),
        statements=judged,
        findings=Finding.cast(accepted[narrative.FINDINGS_FILE]),
        claims=Claim.cast(accepted[narrative.CLAIMS_FILE]),
        known_inspections=KnownInspection.cast(accepted[narrative.KNOWN_INSPECTIONS_FILE]),
        corrections=AppliedCorrection.validate(pl.concat(applied)),
        rejected=Reject.validate(pl.concat(rejected)),
        rows_read={
            file: rows.height + refused.height
            for (file, rows), refused in zip(accepted.items(), rejected, strict=True)
        },
        inputs=inputs,
    )


def write(evidence: Evidence, /, *, project: paths.Project) -> None:
    """Write the tables as Parquet into `data/processed`, all together, replacing earlier ones.

    Raises:
        ValidationError: if a table is not what its schema says; nothing is written then.
    """
    processed = project.processed
    for name, schema in SCHEMAS.items():
        schema.validate(evidence.tables[name])
    files = _stored_form(evidence, is_excerpt=False)
    with storage.alone(processed), storage.staging_folder(processed.parent, processed.name) as staging:
        for name, content in files.items():
            (staging / name).write_bytes(content)
        storage.switch(staging, processed)


def tidy(project: paths.Project, /) -> None:
    """Clear what a process that was killed left beside `data/processed`."""
    if storage.is_left(project.processed.parent):
        with storage.alone(project.processed):
            pass


def _stored_form(evidence: Evidence, *, is_excerpt: bool) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, table in evidence.tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        files[f"{name}.parquet"] = buffer.getvalue()
    manifest = {
        "rules": _rules_fingerprint(),
        "inputs": dict(evidence.inputs),
        "rows_read": dict(evidence.rows_read),
        "is_excerpt": is_excerpt,
        # one that is the same to the byte was checked when it, or what it was cut from, was written
        "tables": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    files[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files


def packed(evidence: Evidence, forces: Iterable[vocabulary.Force], /) -> dict[str, bytes]:
    """A project in small, which `load` reads as it reads the whole one: files by their path in a project.

    Args:
        evidence: the tables to take along, all of them or one force's.
        forces: the forces to list in `data/raw/forces.csv`.
    """
    files = {f"data/raw/{vocabulary.FORCES_FILE}": vocabulary.listing(forces).encode()}
    for name, content in _stored_form(evidence, is_excerpt=True).items():
        files[f"data/processed/{name}"] = content
    return files


class Excerpts:
    """The tables cut up by force: what one force's report may see, and all that it depends on."""

    def __init__(self, evidence: Evidence, /):
        self._evidence = evidence
        # sorted once, so that the rows of a force are a slice of each table, not a copy
        self._tables: dict[str, tuple[pl.DataFrame, dict[str, tuple[int, int]]]] = {}
        for name, table in evidence.tables.items():
            if "force" in table.columns:
                rows = table.sort("force", maintain_order=True, nulls_last=True)
                counted = rows.group_by("force", maintain_order=True).len().rows()
                starts, start = {}, 0
                for force, n in counted:
                    starts[force] = (start, n)
                    start += n
                self._tables[name] = (rows, starts)

    def of(self, force: str, /) -> Evidence:
        """The rows of one force, in the order of the whole tables; `rejected` is empty.

        Of `corrections` it has those of the force's statements.
        """
        tables = {
            name: self._rows(name, force) if name in self._tables else table.clear()
            for name, table in self._evidence.tables.items()
        }
        tables["corrections"] = self._evidence.corrections.filter(
            (pl.col("file") == statements.FILE) & pl.col("row").is_in(tables["statements"]["row"].to_list())
        )
        return Evidence(**tables, rows_read={}, inputs={})  # type: ignore[arg-type]

    def _rows(self, name: str, force: str) -> pl.DataFrame:
        rows, starts = self._tables[name]
        start, n = starts.get(force, (0, 0))
        return rows.slice(start, n)


def content_hash(evidence: Evidence, /) -> str:
    """The SHA-256 of what the tables say: the same for the same rows, whatever file they were read from."""
    digest = hashlib.sha256()
    for name, table in evidence.tables.items():
        digest.update(f"{name}\n{table.write_ndjson()}\n".encode())
    digest.update(json.dumps(dict(evidence.rows_read)).encode())
    return digest.hexdigest()


def current(project: paths.Project, /) -> Evidence | None:
    """The tables in `data/processed`, if they are as `is_stale` wants them and can be read."""
    try:
        manifest, files = _stored(project)
        rows_read = {str(file): int(n) for file, n in manifest["rows_read"].items()}
        tables = {name: pl.read_parquet(files[f"{name}.parquet"]) for name in SCHEMAS}
    except (*_ODD, pl.exceptions.PolarsError):
        # anything odd in a folder that can be rebuilt is answered by rebuilding
        return None
    return Evidence(**tables, rows_read=rows_read, inputs=manifest["inputs"])  # type: ignore[arg-type]


def is_stale(project: paths.Project, /) -> bool:
    """Whether `data/processed` is not what the present rules made of the present raw files, or was altered since."""
    try:
        _stored(project)
    except _ODD:
        return True
    return False


def _stored(project: paths.Project) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files of the tables, byte by byte as they were written."""
    manifest: dict[str, Any] = json.loads((project.processed / MANIFEST).read_text(encoding="utf-8"))
    if not _is_current(manifest, project):
        raise ValueError("the tables were made from other files or by other rules")
    files = {f"{name}.parquet": (project.processed / f"{name}.parquet").read_bytes() for name in SCHEMAS}
    for file, content in files.items():
        if hashlib.sha256(content).hexdigest() != manifest["tables"][file]:
            raise ValueError(f"{file} is not as it was written")
    return manifest, files


def _is_current(manifest: dict[str, Any], project: paths.Project) -> bool:
    if manifest["rules"] != _rules_fingerprint():
        return False
    # an excerpt travels without the files that it was cleaned from
    return bool(manifest["is_excerpt"]) or manifest["inputs"] == fingerprints(project.raw)


def load(project: paths.Project, /) -> Evidence:
    """The cleaned tables: read from `data/processed` if they are up to date, else cleaned afresh.

    Nothing is written, so that any number of notebooks may load at once.

    Raises:
        EvidenceError: if the raw files cannot be cleaned.

    Warns:
        RejectedRowsWarning: if raw rows were refused and so are missing from the tables.
    """
    evidence = current(project) or clean(project.raw)
    if evidence.faults:
        warnings.warn(
            f"{len(evidence.faults)} raw row(s) were refused and are missing from the tables: "
            "run `casegrade clean` to see why.",
            RejectedRowsWarning,
            stacklevel=2,
        )
    return evidence


def fingerprints(raw: Path, /) -> dict[str, str]:
    """The SHA-256 of every raw file that cleaning reads, by file name; a missing file has none."""
    return {
        name: hashlib.sha256((raw / name).read_bytes()).hexdigest()
        for name in INPUTS
        if (raw / name).is_file()
    }


@lru_cache(maxsize=1)
def _rules_fingerprint() -> str:
    """The SHA-256 of the code that cleans: tables made by other rules are not read as if made by these."""
    here = Path(__file__).parent
    sources = [*sorted(here.glob("*.py")), here.parent / "vocabulary.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
