"""The figures of a report as files for other programs: CSV with its description, and an accessible spreadsheet."""

import csv
import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

from analysis.compare.change import Comparison, SingleAudit
from analysis.compare.shares import CHANGE, Figure
from analysis.present import plainly, slide, wording

COLUMNS = ("force", "measure", "period", "value", "lower", "upper", "n_cases", "base", "note")
# of a row, those that are numbers, and of what kind
NUMBERS: Mapping[str, type[int] | type[float]] = {
    "value": float,
    "lower": float,
    "upper": float,
    "n_cases": int,
    "base": int,
}
CSV = "figures.csv"


def write_csv(examined: Comparison | SingleAudit, path: Path, /) -> None:
    """Write every figure as CSV (UTF-8): columns as in `COLUMNS`, numbers to 6 decimals, blank for null.

    A text that a spreadsheet would evaluate stands behind an apostrophe.
    """
    texts = pl.col(pl.String).map_elements(plainly.guarded, return_dtype=pl.String)
    examined.figures.select(COLUMNS).with_columns(texts).write_csv(path, float_precision=6)


def read_csv(content: bytes | None, /) -> list[dict[str, str]]:
    """The rows of a `figures.csv` as texts, empty for null; none if it is not there or not as it was written."""
    try:
        rows = list(csv.DictReader(io.StringIO((content or b"").decode()), strict=True))
        for row in rows:
            # as whoever reads them takes for granted
            _ = row["force"], row["measure"], row["period"]
            for name, kind in NUMBERS.items():
                kind(row[name] or "0")
    except (ValueError, KeyError, TypeError, csv.Error):
        return []
    return rows


def typed(row: Mapping[str, str], /) -> dict[str, Any]:
    """A row of `figures.csv` with its numbers as numbers; null for empty."""
    numbers = {name: kind(row[name]) if row[name] else None for name, kind in NUMBERS.items()}
    return {**row, **numbers}


def write_csvw(
    examined: Comparison | SingleAudit, path: Path, /, *, described: Path, licence: str, as_of: date
) -> None:
    """Write what `figures.csv` is and what its columns mean, as the W3C's CSV on the Web has it.

    Args:
        examined: what the figures are of.
        path: the file to write.
        described: the CSV file, which lies beside it.
        licence: of the data, in a sentence.
        as_of: the day that the data are as of.
    """
    columns = []
    for name in COLUMNS:
        column = Figure.columns()[name]
        datatype: dict[str, Any] = {"base": _DATATYPES[type(column)]}
        if name in ("n_cases", "base"):
            datatype["minimum"] = 0
        told = {"name": name, "titles": name, "dc:description": (column.metadata or {})["description"]}
        columns.append({**told, "datatype": datatype, "required": not column.nullable, "null": ""})
    about = {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "url": described.name,
        "dc:title": wording.title(examined),
        "dc:description": f"{wording.compared(examined)} {wording.limits(examined)} "
        f"{wording.interval_sentence(examined.confidence)}",
        "dc:license": licence,
        "dc:modified": {"@value": as_of.isoformat(), "@type": "xsd:date"},
        "dialect": {"encoding": "utf-8", "header": True, "delimiter": ",", "quoteChar": '"'},
        "tableSchema": {"columns": columns, "primaryKey": ["force", "measure", "period"]},
    }
    path.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_png(
    examined: Comparison | SingleAudit,
    path: Path,
    /,
    *,
    drawing: str | None,
    status: str,
    is_draft: bool,
    publishers: Sequence[str],
) -> None:
    """Write the report on one slide as a picture of 1200 by 675 pixels, for decks: see `present.slide`.

    It carries its description, which some programs offer to whoever cannot see it.
    """
    # as in present.pictures: only who draws needs it
    import vl_convert

    drawn = slide.svg(examined, drawing=drawing, status=status, is_draft=is_draft, publishers=publishers)
    path.write_bytes(_described(vl_convert.svg_to_png(drawn, scale=1, ppi=72), slide.description(examined)))


def _described(png: bytes, words: str) -> bytes:
    """The picture with its description in it: a text chunk (iTXt) after the header, as the standard has it."""
    after_header = 8 + 25
    body = b"iTXt" + b"Description\0\0\0en-GB\0\0" + words.encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:after_header] + chunk + png[after_header:]


_DATATYPES = {dy.String: "string", dy.Float64: "double", dy.Int64: "integer"}
# what a cell of a spreadsheet can hold
_LONGEST = 32_767
_CUT = " [cut short: figures.csv has all of it]"


def _cell(value: object) -> object:
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """A text as gptables is to write it, which would make links of `[a](b)` and look for notes in `$$a$$`."""
    text = plainly.harmless(value).replace("](", "] (").replace("$$", "$ $")
    if text.strip() and not any(letter.isalnum() for letter in text):
        # it refuses signs without a word
        text = f"text: {text}"
    return text if len(text) <= _LONGEST else text[: _LONGEST - len(_CUT)] + _CUT


def write_xlsx(
    examined: Comparison | SingleAudit,
    path: Path,
    /,
    *,
    licence: str,
    as_of: date,
    status: str,
    publishers: Sequence[str],
) -> None:
    """Write every figure as a spreadsheet to the Analysis Function's checklist: cover, contents, one table.

    It is dated `as_of`, so that the same figures make the same file.

    Empty cells carry a shorthand, as the checklist asks: `[x]` not available, `[z]` not applicable.
    """
    # gptables and the pandas it needs are heavy, and only spreadsheets need them
    import gptables
    import pandas

    name = _text(wording.force_name(examined.force))
    figures = examined.figures.select(COLUMNS).with_columns(
        # in the words of the report; figures.csv has the names that programs go by
        pl.col("measure").map_elements(wording.measure_label, return_dtype=pl.String),
        pl.col("period").replace_strict(wording.PERIODS),
        # as exact as figures.csv
        pl.col("value", "lower", "upper").round(6),
        force=pl.lit(name),
    )
    labels = {
        "force": "Force",
        "measure": "Measure",
        "period": "Audit",
        "value": "Value",
        "lower": "Interval from",
        "upper": "Interval to",
        "n_cases": "Cases",
        "base": "Base",
        "note": "How to read it",
    }
    columns = {labels[key]: values for key, values in figures.to_dict(as_series=False).items()}
    is_missing = [value is None for value in columns[labels["value"]]]
    is_change = [period == CHANGE for period in examined.figures["period"]]
    for label, values in columns.items():
        # a change has no number of cases of its own, whether it is known or not
        never = is_change if label == labels["n_cases"] else [False] * len(values)
        columns[label] = [
            _cell(value) if value is not None else "[x]" if missing and not applies_not else "[z]"
            for value, missing, applies_not in zip(values, is_missing, never, strict=True)
        ]
    table = pandas.DataFrame(columns, dtype=object)
    sheet = gptables.GPTable(
        table=table,
        table_name="figures",
        title=f"Child protection case grades: {name}",
        subtitles=[_text(wording.compared(examined))],
        scope=_text(wording.limits(examined)),
        source=_text(f"{'; '.join(publishers)}; see the report for each page"),
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
        intro=[_text(status), _text(wording.headline(examined)), _text(wording.limits(examined))],
        about=[
            "Shares are fractions of the audited cases; a change is the later audit less the earlier.",
            _text(licence),
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
