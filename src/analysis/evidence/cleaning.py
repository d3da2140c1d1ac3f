"""From `data/raw` to `data/processed`: read, correct, judge, reconcile, write; or refuse as a whole.

The tables in `data/processed` are written together and switched in together, so that a reader
never sees half of them, and a run that fails leaves the earlier ones as they were.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import dataframely as dy
import polars as pl

from analysis import paths, storage, vocabulary
from analysis.evidence import corrections as declared
from analysis.evidence import narrative, reconcile, statements
from analysis.evidence.corrections import AppliedCorrection
from analysis.evidence.faults import EvidenceError, Fault, Reject
from analysis.evidence.narrative import Claim, Finding, KnownInspection
from analysis.evidence.reconcile import Audit, CaseGrade, JudgedStatement

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
    # Each file is tried, so that one run tells of everything that is wrong.
    faults: list[Fault] = []
    try:
        vocabulary.forces(raw)
    except vocabulary.VocabularyError as error:
        raise EvidenceError([Fault("forces.csv", f"cannot be used ({error})", "mend it first")]) from error
    corrections = declared.load(raw)
    unknown = [entry.file for entry in corrections if entry.file != statements.FILE]
    faults += [
        Fault(
            declared.FILE, f'corrections are applied to {statements.FILE}, not to "{file}"', "mend the entry"
        )
        for file in unknown
    ]
    parts: dict[str, tuple[pl.DataFrame, dy.DataFrame[Reject]]] = {}
    applied = None
    for name, read in (
        ("statements", lambda: statements.read(raw, corrections)),
        ("findings", lambda: narrative.findings(raw)),
        ("claims", lambda: narrative.claims(raw)),
        ("known_inspections", lambda: narrative.known_inspections(raw)),
    ):
        try:
            accepted, rejects, *more = read()
        except EvidenceError as error:
            faults += error.faults
            continue
        parts[name] = (accepted, rejects)
        applied = more[0] if more else applied
    if faults or applied is None:
        raise EvidenceError(faults)
    files = {
        "statements": statements.FILE,
        "findings": narrative.FINDINGS_FILE,
        "claims": narrative.CLAIMS_FILE,
        "known_inspections": narrative.KNOWN_INSPECTIONS_FILE,
    }
    audits, judged = reconcile.reconcile(parts["statements"][0])  # type: ignore[arg-type]
    return Evidence(
        audits=audits,
        case_grades=reconcile.case_grades(audits),
        statements=judged,
        findings=Finding.cast(parts["findings"][0]),
        claims=Claim.cast(parts["claims"][0]),
        known_inspections=KnownInspection.cast(parts["known_inspections"][0]),
        corrections=applied,
        rejected=Reject.validate(pl.concat([rejects for _, rejects in parts.values()])),
        rows_read={files[name]: len(accepted) + len(rejects) for name, (accepted, rejects) in parts.items()},
    )


def write(evidence: Evidence, /, *, project: paths.Project) -> None:
    """Write the tables as Parquet into `data/processed`, all together, replacing earlier ones."""
    processed = project.processed
    with storage.staging_folder(processed.parent, "processed") as staging:
        for name, table in evidence.tables.items():
            table.write_parquet(staging / f"{name}.parquet")
        manifest = {
            "rules": _rules_fingerprint(),
            "inputs": fingerprints(project.raw),
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
        tables = {
            name: schema.validate(pl.read_parquet(project.processed / f"{name}.parquet"))
            for name, schema in SCHEMAS.items()
        }
    except (OSError, LookupError, TypeError, ValueError, *_UNREADABLE):
        # anything odd in a folder that can be rebuilt is answered by rebuilding
        return None
    return Evidence(**tables, rows_read=manifest["rows_read"])  # type: ignore[arg-type]


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
