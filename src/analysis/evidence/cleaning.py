"""From `data/raw` to `data/processed`: read, correct, judge, reconcile, write; or refuse as a whole.

The tables in `data/processed` are written together and switched in together, so that a reader
never sees half of them, and a run that fails leaves the earlier ones as they were.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

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

_UNREADABLE = (pl.exceptions.PolarsError, dy.exc.ValidationError, dy.exc.SchemaError)


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
    """Write the tables as Parquet into `data/processed`, all together, replacing earlier ones."""
    processed = project.processed
    with storage.staging_folder(processed.parent, "processed") as staging:
        for name, table in evidence.tables.items():
            table.write_parquet(staging / f"{name}.parquet")
        manifest = {
            "rules": _rules_fingerprint(),
            "inputs": dict(evidence.inputs),
            "rows_read": dict(evidence.rows_read),
        }
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        storage.switch(staging, processed)


def load(project: paths.Project, /) -> Evidence:
    """The cleaned tables: read from `data/processed` if they are up to date, else cleaned afresh.

    Nothing is written, so that any number of notebooks may load at once.

    Raises:
        EvidenceError: if the raw files cannot be cleaned.

    Warns:
        RejectedRowsWarning: if raw rows were refused and so are missing from the tables.
    """
    evidence = _stored(project) or clean(project.raw)
    if evidence.faults:
        warnings.warn(
            f"{len(evidence.faults)} raw row(s) were refused and are missing from the tables: "
            "run `casegrade clean` to see why.",
            RejectedRowsWarning,
            stacklevel=2,
        )
    return evidence


def _stored(project: paths.Project) -> Evidence | None:
    try:
        manifest = json.loads((project.processed / MANIFEST).read_text(encoding="utf-8"))
        if manifest["rules"] != _rules_fingerprint() or manifest["inputs"] != fingerprints(project.raw):
            return None
        rows_read = {str(file): int(n) for file, n in manifest["rows_read"].items()}
        tables = {
            name: schema.validate(pl.read_parquet(project.processed / f"{name}.parquet"))
            for name, schema in SCHEMAS.items()
        }
    except (OSError, LookupError, TypeError, ValueError, AttributeError, *_UNREADABLE):
        # anything odd in a folder that can be rebuilt is answered by rebuilding
        return None
    return Evidence(**tables, rows_read=rows_read, inputs=manifest["inputs"])  # type: ignore[arg-type]


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
