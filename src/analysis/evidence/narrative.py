"""What is known of inspections besides counts: findings by theme, claims, and what is still to transcribe."""

from collections.abc import Sequence
from pathlib import Path

import dataframely as dy
import polars as pl

from analysis import vocabulary
from analysis.evidence import dates, rawfile, statements
from analysis.evidence.corrections import AppliedCorrection, Correction, apply
from analysis.evidence.faults import Reject
from analysis.evidence.rawfile import Rule

FINDINGS_FILE = "findings.csv"
CLAIMS_FILE = "claims.csv"
KNOWN_INSPECTIONS_FILE = "known_inspections.csv"

_INSPECTION_COLUMNS = ("force", "inspection", "fieldwork")


def _text(description: str, *, nullable: bool = False) -> dy.String:
    return dy.String(nullable=nullable, metadata={"description": description})


class Finding(dy.Schema):
    """Grain: one row per theme that a page says had improved or was still a concern, in file order."""

    inspection_id = _text("Inspection, as in audits")
    force = _text("Slug of the force", nullable=True)
    theme = _text("Theme, paraphrased")
    status = dy.String(
        nullable=False,
        check={"known": lambda column: column.is_in(list(vocabulary.FINDING_STATUSES))},
        metadata={"description": "What inspectors said of it"},
    )
    publisher = _text("Who published the page")
    url = _text("Address of the page")


class Claim(dy.Schema):
    """Grain: one row per sentence in the press reduced to the number it claims, in file order."""

    inspection_id = _text("Inspection, as in audits")
    force = _text("Slug of the force; null for a group of forces", nullable=True)
    area = _text("Area of child protection, or `overall`")
    claim = _text("The words of the claim")
    measure = _text("What the claim is about")
    claimed = _text("The number claimed, with < or > where the words say less or more than")
    publisher = _text("Who published the page")
    url = _text("Address of the page")


class KnownInspection(dy.Schema):
    """Grain: one row per inspection known to exist, in file order."""

    inspection_id = _text("Inspection, as in audits")
    force = _text("Slug of the force", nullable=True)
    kind = _text("Kind of inspection")
    fieldwork = _text("Month or year of the fieldwork; null if not stated", nullable=True)
    published = _text("Date the report was published; null if not stated", nullable=True)
    n_recommendations = dy.Int64(
        nullable=True,
        min=0,
        metadata={"description": "Recommendations made; null if not stated", "unit": "recommendations"},
    )
    note = _text("What is known of its counts", nullable=True)


def findings(
    raw: Path, corrections: Sequence[Correction] = (), /
) -> tuple[dy.DataFrame[Finding], dy.DataFrame[Reject], dy.DataFrame[AppliedCorrection]]:
    """Read `findings.csv`: accepted findings, rejected rows, and the corrections applied.

    Raises:
        EvidenceError: if the file as a whole is unusable, or a correction does not fit it.
    """
    columns = (*_INSPECTION_COLUMNS, "theme", "status", "source_publisher", "source_url")
    rules = [
        rawfile.is_blank("theme", "name the theme in a few words"),
        statements.is_unlisted(
            "status", list(vocabulary.FINDING_STATUSES), "something inspectors say of a theme"
        ),
        rawfile.is_blank("source_publisher", "name who published the page"),
        statements.is_no_address("source_url"),
    ]
    accepted, rejects, applied = _read(raw / FINDINGS_FILE, columns, corrections, rules)
    renamed = accepted.rename({"source_publisher": "publisher", "source_url": "url"})
    return Finding.validate(renamed.select(Finding.column_names())), rejects, applied


def claims(
    raw: Path, corrections: Sequence[Correction] = (), /
) -> tuple[dy.DataFrame[Claim], dy.DataFrame[Reject], dy.DataFrame[AppliedCorrection]]:
    """Read `claims.csv`: accepted claims, rejected rows, and the corrections applied.

    Raises:
        EvidenceError: if the file as a whole is unusable, or a correction does not fit it.
    """
    columns = (*_INSPECTION_COLUMNS, "area", "claim", "measure", "claimed", "publisher", "url")
    rules = [
        statements.is_unlisted("area", list(vocabulary.AREAS), "an area of child protection"),
        rawfile.is_blank("claim", "quote the words of the claim"),
        rawfile.is_blank("measure", "say what the claim is about, for example share good"),
        Rule(
            "claimed",
            ~pl.col("claimed").fill_null("").str.contains(r"^[<>]?[0-9]+(\.[0-9]+)?$"),
            "is not a number, with < or > before it where the words say less or more than",
            "write a share as a fraction of 1, a number of cases as digits",
        ),
        rawfile.is_blank("publisher", "name who published the page"),
        statements.is_no_address("url"),
    ]
    accepted, rejects, applied = _read(raw / CLAIMS_FILE, columns, corrections, rules)
    return Claim.validate(accepted.select(Claim.column_names())), rejects, applied


def known_inspections(
    raw: Path, corrections: Sequence[Correction] = (), /
) -> tuple[dy.DataFrame[KnownInspection], dy.DataFrame[Reject], dy.DataFrame[AppliedCorrection]]:
    """Read `known_inspections.csv`: accepted inspections, rejected rows, and the corrections applied.

    Raises:
        EvidenceError: if the file as a whole is unusable, or a correction does not fit it.
    """
    columns = (*_INSPECTION_COLUMNS, "report_published", "recommendations", "note")
    rules = [
        dates.is_no_date("report_published"),
        statements.is_published_before_fieldwork(),
        Rule(
            None,
            statements.inspection_id().is_not_null()
            & (pl.col("row") != pl.col("row").first().over(statements.inspection_id())),
            "names an inspection that an earlier row names",
            "put what is known of an inspection into one row",
        ),
        Rule(
            "recommendations",
            pl.col("recommendations").is_not_null()
            & ~pl.col("recommendations").str.contains(r"^[0-9]{1,4}$"),
            "is not a whole number, 0 or more",
            "write digits only, or leave it blank if it is not stated",
        ),
    ]
    accepted, rejects, applied = _read(raw / KNOWN_INSPECTIONS_FILE, columns, corrections, rules)
    parsed = accepted.with_columns(
        dates.month_or_year("fieldwork").alias("fieldwork"),
        pl.col("report_published").alias("published"),
        pl.col("recommendations").cast(pl.Int64).alias("n_recommendations"),
    )
    return KnownInspection.validate(parsed.select(KnownInspection.column_names())), rejects, applied


def _read(
    path: Path, columns: tuple[str, ...], corrections: Sequence[Correction], rules: list[Rule]
) -> tuple[pl.DataFrame, dy.DataFrame[Reject], dy.DataFrame[AppliedCorrection]]:
    rows = rawfile.read(path, columns)
    if "report_published" not in columns:
        # not in the file, but a correction may say it where no fieldwork is known
        rows = rows.with_columns(report_published=pl.lit(None, dtype=pl.String))
    rows, applied = apply(rows, corrections, file=path.name)
    rows = statements.with_force(rows, vocabulary.forces(path.parent))
    shared = [
        rawfile.is_repeated(columns),
        statements.is_dropped(),
        *(rawfile.is_padded(name) for name in columns),
        statements.is_no_force(),
        statements.is_no_kind(),
        dates.is_no_date("fieldwork"),
        Rule(
            "fieldwork",
            pl.col("fieldwork").is_null() & pl.col("report_published").is_null(),
            "is blank: the inspection cannot be told from others",
            "state it, at least its year",
        ),
    ]
    accepted, rejects = rawfile.sift(rows, [*shared, *rules], file=path.name)
    named = accepted.with_columns(inspection_id=statements.inspection_id())
    return named.drop("force").rename({"slug": "force"}), rejects, applied
