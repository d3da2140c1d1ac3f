"""The figures of a report as files for other programs: CSV and an accessible spreadsheet."""

from datetime import date, datetime, time
from pathlib import Path

import polars as pl

from analysis.compare.change import Comparison, SingleAudit
from analysis.compare.shares import CHANGE
from analysis.present import wording

COLUMNS = ("force", "measure", "period", "value", "lower", "upper", "n_cases", "base", "note")


def write_csv(examined: Comparison | SingleAudit, path: Path, /) -> None:
    """Write every figure as CSV (UTF-8): columns as in `COLUMNS`, numbers to 6 decimals, blank for null."""
    examined.figures.select(COLUMNS).write_csv(path, float_precision=6)


def write_xlsx(examined: Comparison | SingleAudit, path: Path, /, *, licence: str, as_of: date) -> None:
    """Write every figure as a spreadsheet to the Analysis Function's checklist: cover, contents, one table.

    It is dated `as_of`, so that the same figures make the same file.

    Empty cells carry a shorthand, as the checklist asks: `[x]` not available, `[z]` not applicable.
    """
    # gptables and the pandas it needs are heavy, and only spreadsheets need them
    import gptables
    import pandas

    name = wording.force_name(examined.force)
    figures = examined.figures.select(COLUMNS).with_columns(force=pl.lit(name))
    labels = {
        "force": "Force",
        "measure": "Measure",
        "period": "Period",
        "value": "Value",
        "lower": "Interval from",
        "upper": "Interval to",
        "n_cases": "Cases",
        "base": "Base",
        "note": "How to read it",
    }
    columns = {labels[key]: values for key, values in figures.to_dict(as_series=False).items()}
    is_missing = [value is None for value in columns[labels["value"]]]
    is_change = [period == CHANGE for period in columns[labels["period"]]]
    for label, values in columns.items():
        # a change has no number of cases of its own, whether it is known or not
        never = is_change if label == labels["n_cases"] else [False] * len(values)
        columns[label] = [
            value if value is not None else "[x]" if missing and not applies_not else "[z]"
            for value, missing, applies_not in zip(values, is_missing, never, strict=True)
        ]
    table = pandas.DataFrame(columns, dtype=object)
    sheet = gptables.GPTable(
        table=table,
        table_name="figures",
        title=f"Child protection case grades: {name}",
        subtitles=[wording.compared(examined)],
        scope="Cases that inspectors chose to look at; not a random sample",
        source="HMICFRS and pages that quote it; see the report for each page",
        units={"Value": "fraction of 1"},
        legend=["[x] not available", "[z] not applicable"],
        table_notes={"Interval from": "$$interval$$", "Interval to": "$$interval$$"},
    )
    notes = pandas.DataFrame(
        {
            "Note reference": ["interval"],
            "Note text": [wording.interval_sentence(examined.confidence)],
        }
    )
    cover = gptables.Cover(
        title=f"Child protection case grades: {name}",
        intro=[wording.headline(examined), wording.LIMITS],
        about=[
            "Shares are fractions of the audited cases; a change is the later audit less the earlier.",
            licence,
        ],
        cover_label="Cover",
    )
    workbook = gptables.produce_workbook(
        filename=str(path),
        sheets={"Figures": sheet},
        cover=cover,
        contentsheet_label="Contents",
        notes_table=notes,
        workbook_options={"strings_to_formulas": False, "strings_to_urls": False},
    )
    # what a screen reader says first; gptables leaves it empty
    workbook.set_properties(
        {
            "title": f"Child protection case grades: {name}",
            "category": "",
            "comments": "",
            "created": datetime.combine(as_of, time()),
        }
    )
    workbook.close()
