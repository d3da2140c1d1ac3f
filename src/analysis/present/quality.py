"""What became of the raw data, as tables: read, corrected, refused, in conflict, partly known, missing."""

import polars as pl

from analysis import vocabulary
from analysis.compare.graded import GradedAudit
from analysis.evidence import reconcile
from analysis.evidence.cleaning import Evidence
from analysis.evidence.reconcile import RESOLUTIONS
from analysis.present import tables, wording
from analysis.present.sections import Section, paragraphs
from analysis.present.tables import Table


def rows_read(evidence: Evidence, /) -> Table:
    """Rows of each raw file: read, accepted, rejected. The last two make the first."""
    rejected = dict(evidence.rejected.group_by("file").len().iter_rows())
    rows = [
        {
            "file": file,
            "n_read": str(n_read),
            "n_accepted": str(n_read - rejected.get(file, 0)),
            "n_rejected": str(rejected.get(file, 0)),
        }
        for file, n_read in evidence.rows_read.items()
    ]
    return tables.from_rows(
        rows,
        name="table-rows-read",
        caption="Rows of the raw files",
        columns={"file": "File", "n_read": "Read", "n_accepted": "Accepted", "n_rejected": "Rejected"},
    )


def corrections(evidence: Evidence, /) -> Table | Section:
    """Corrections that were applied, one row per declared reason, with the rows it concerns."""
    if evidence.corrections.is_empty():
        return paragraphs(["No correction is declared."])
    grouped = evidence.corrections.group_by(
        "file", "column", "action", "was", "now", "reason", maintain_order=True
    )
    rows = [
        {
            "rows": f"{row['file']}, row {', '.join(str(number) for number in row['row'])}",
            "column": row["column"],
            "action": row["action"],
            "was": row["was"] or "blank",
            "now": row["now"] or "refused",
            "reason": row["reason"],
        }
        for row in grouped.agg("row").iter_rows(named=True)
    ]
    return tables.from_rows(
        rows,
        name="table-corrections",
        caption="Corrections declared and applied",
        columns={
            "rows": "Rows",
            "column": "Column",
            "action": "Action",
            "was": "Was",
            "now": "Used",
            "reason": "Why",
        },
    )


def rejected(evidence: Evidence, /) -> Table | Section:
    """Raw rows that were refused, with what to do."""
    if evidence.rejected.is_empty():
        return paragraphs(["No row was rejected."])
    rows = [
        {
            "place": f"{row['file']}, row {row['row']}",
            "column": row["column"] or "",
            "text": row["value"] or "",
            "reason": row["reason"],
            "remedy": row["remedy"],
        }
        for row in evidence.rejected.iter_rows(named=True)
    ]
    return tables.from_rows(
        rows,
        name="table-rejected",
        caption="Raw rows that were refused",
        columns={
            "place": "Row",
            "column": "Column",
            "text": "Value",
            "reason": "Why",
            "remedy": "What to do",
        },
    )


def resolutions(evidence: Evidence, /) -> Table:
    """How many audits were resolved in which way, in the order in which a resolution is named."""
    meaning = {
        "conflict": "sources disagree on a count",
        "derived": "a grade follows by subtraction",
        "partial": "a count is in no source read",
        "agreed": "two or more independent sources",
        "single source": "one source",
    }
    counts = dict(evidence.audits.group_by("resolution").len().iter_rows())
    rows = [
        {"resolution": name, "meaning": meaning[name], "n_audits": str(counts.get(name, 0))}
        for name in RESOLUTIONS
    ]
    return tables.from_rows(
        rows,
        name="table-resolutions",
        caption=f"How the {evidence.audits.height} audits were resolved",
        columns={"resolution": "Resolution", "meaning": "Meaning", "n_audits": "Audits"},
    )


def conflicts(evidence: Evidence, /) -> Table | Section:
    """Audits on which sources disagree or whose grades do not add up, and what was decided."""
    found = evidence.audits.filter((pl.col("resolution") == "conflict") | ~pl.col("adds_up").fill_null(True))
    return _audits(found, name="table-conflicts", caption="Audits in conflict, and what was decided")


def partly_known(evidence: Evidence, /) -> Table | Section:
    """Audits without conflict of which a count is unknown or derived."""
    found = evidence.audits.filter(pl.col("resolution").is_in(["derived", "partial"]))
    return _audits(found, name="table-partly-known", caption="Audits with derived or unknown counts")


def _audits(found: pl.DataFrame, *, name: str, caption: str) -> Table | Section:
    if found.is_empty():
        return paragraphs([f"{caption}: none."])
    rows = []
    for row in found.iter_rows(named=True):
        whose = wording.force_name(row["force"]) if row["force"] else vocabulary.NAME_OF_GROUP[row["group"]]
        audit = GradedAudit.from_row(row)
        rows.append(
            {
                "whose": whose,
                "audit": wording.audit_name(audit),
                "area": audit.area,
                "graded": vocabulary.GRADERS[audit.graded_by],
                "note": audit.note or "",
            }
        )
    return tables.from_rows(
        rows,
        name=name,
        caption=caption,
        columns={
            "whose": "Force",
            "audit": "Audit",
            "area": "Area",
            "graded": "Graded",
            "note": "What was decided",
        },
    )


def look_alikes(evidence: Evidence, /) -> Table | Section:
    """Pairs of audits that may be one audit under two dates."""
    found = reconcile.look_alikes(evidence.audits)
    if found.is_empty():
        return paragraphs(["No two audits look like one audit under two dates."])
    rows = [
        {
            "whose": wording.force_name(row["force"]),
            "first": row["inspection_id"],
            "second": row["other_inspection_id"],
            "area": row["area"],
        }
        for row in found.iter_rows(named=True)
    ]
    return tables.from_rows(
        rows,
        name="table-look-alikes",
        caption="Audits that may be one audit under two dates",
        columns={"whose": "Force", "first": "One", "second": "Other", "area": "Area"},
    )


def to_transcribe(evidence: Evidence, /) -> Table | Section:
    """Inspections known to exist of which no audit of all areas has been transcribed."""
    overall = evidence.audits.filter(pl.col("area") == vocabulary.OVERALL).select("inspection_id")
    missing = evidence.known_inspections.join(overall, on="inspection_id", how="anti", maintain_order="left")
    if missing.is_empty():
        return paragraphs(["Every inspection known to exist has been transcribed."])
    rows = [
        {
            "whose": wording.force_name(row["force"]),
            "inspection": wording.known_inspection(row),
            "n_recommendations": "not known"
            if row["n_recommendations"] is None
            else str(row["n_recommendations"]),
        }
        for row in missing.iter_rows(named=True)
    ]
    return tables.from_rows(
        rows,
        name="table-to-transcribe",
        caption="Inspections known to exist, case counts still to transcribe",
        columns={"whose": "Force", "inspection": "Inspection", "n_recommendations": "Recommendations"},
    )


def without_audits(evidence: Evidence, /) -> Section:
    """The forces of which no audit has been transcribed."""
    known = set(evidence.audits["force"].drop_nulls())
    names = [force.short_name for force in vocabulary.forces() if force.slug not in known]
    return paragraphs(
        [f"Forces without any audit so far, {len(names)} of {len(vocabulary.forces())}: {', '.join(names)}."]
    )
