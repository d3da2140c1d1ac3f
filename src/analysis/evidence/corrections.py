"""Known errors of the raw files, declared as data in `corrections.toml` and applied while cleaning.

The raw files keep what the publisher printed. Each entry says which rows it means, what was
expected there, what to do and why. An entry whose rows have changed is an error: a correction
must never go on silently after its reason has gone.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import dataframely as dy
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis.evidence.faults import EvidenceError, Fault

FILE = "corrections.toml"


class Correction(BaseModel):
    """One entry of `corrections.toml`.

    `override` puts `value` in `column`; `keep` accepts a row that a rule about `column` would
    refuse, as printed; `drop` refuses a row, with `reason`. `match` gives columns and their raw
    text; it must find exactly `matches` rows, and each must have `expected` in `column`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    match: Annotated[dict[str, str], Field(min_length=1)]
    matches: Annotated[int, Field(ge=1)] = 1
    column: str
    action: Literal["override", "keep", "drop"]
    expected: str
    value: str | None = None
    reason: Annotated[str, Field(min_length=20)]

    @model_validator(mode="after")
    def _value_belongs_to_override(self) -> "Correction":
        if (self.action == "override") != (self.value is not None):
            raise ValueError('an "override" needs a value, and only an "override" has one')
        return self


class AppliedCorrection(dy.Schema):
    """Grain: one row per corrected value, in file and row order."""

    file = dy.String(nullable=False, metadata={"description": "Raw file"})
    row = dy.Int64(nullable=False, metadata={"description": "Row as a spreadsheet shows it"})
    column = dy.String(nullable=False, metadata={"description": "Column the correction is about"})
    action = dy.Enum(["override", "keep", "drop"], nullable=False, metadata={"description": "What was done"})
    was = dy.String(nullable=True, metadata={"description": "Raw text; null for blank"})
    now = dy.String(nullable=True, metadata={"description": "Text used instead; null if none is"})
    reason = dy.String(nullable=False, metadata={"description": "Why, as declared"})


def load(raw: Path, /) -> tuple[Correction, ...]:
    """Read the declared corrections, in file order.

    Raises:
        EvidenceError: if `corrections.toml` is missing, is not TOML, or an entry is not valid.
    """
    try:
        declared = tomllib.loads((raw / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EvidenceError(
            [Fault(FILE, "is missing from data/raw", "restore it from version control")]
        ) from error
    except OSError as error:
        raise EvidenceError(
            [Fault(FILE, f"cannot be read ({error.strerror})", "restore it from version control")]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EvidenceError([Fault(FILE, f"is not readable as TOML ({error})", "mend that line")]) from error
    unknown = sorted(set(declared) - {"correction"})
    faults = [
        Fault(FILE, f'"{name}" is not known here', 'use only "[[correction]]" entries') for name in unknown
    ]
    entries = []
    listed = declared.get("correction", [])
    if not isinstance(listed, list):
        faults.append(
            Fault(FILE, '"correction" is not a list of entries', 'begin each with "[[correction]]"')
        )
        listed = []
    for number, entry in enumerate(listed, start=1):
        try:
            entries.append(Correction.model_validate(entry))
        except ValidationError as error:
            faults += [
                Fault(
                    FILE,
                    f"entry {number}: {problem['msg']}",
                    "mend the entry; CONTRIBUTING.md shows one",
                    column=".".join(str(part) for part in problem["loc"]) or None,
                )
                for problem in error.errors()
            ]
    if faults:
        raise EvidenceError(faults)
    return tuple(entries)


def apply(
    rows: pl.DataFrame, corrections: Sequence[Correction], /, *, file: str
) -> tuple[pl.DataFrame, dy.DataFrame[AppliedCorrection]]:
    """Apply the corrections declared for `file`.

    Args:
        rows: one row per record of the file, with `row` and its columns as text.
        corrections: every declared correction; those for other files are passed over.
        file: the name of the raw file.

    Returns:
        `rows` with overridden values and two more columns, `kept` (the columns a `keep` entry
        names for that row, a list of text) and `drop_reason` (null unless a `drop` entry means
        it); and one row per corrected value.

    Raises:
        EvidenceError: if an entry finds no row, more or fewer rows than it names, a value other
            than it expects, or names a column the file does not have.
    """
    faults: list[Fault] = []
    applied: list[list[object]] = []
    correctable = set(rows.columns) - {"row"}
    rows = rows.with_columns(
        kept=pl.lit([], dtype=pl.List(pl.String)), drop_reason=pl.lit(None, dtype=pl.String)
    )
    for entry in corrections:
        if entry.file != file:
            continue
        unknown = [name for name in (*entry.match, entry.column) if name not in correctable]
        if unknown:
            faults += [
                Fault(FILE, f"{file} has no such column", "name a column of that file", column=name)
                for name in unknown
            ]
            continue
        is_meant = pl.all_horizontal(pl.col(name).fill_null("") == text for name, text in entry.match.items())
        meant = rows.filter(is_meant)
        described = ", ".join(f'{name} "{text}"' for name, text in entry.match.items())
        if meant.height != entry.matches:
            faults.append(
                Fault(
                    FILE,
                    f"the correction for {file} where {described} names {entry.matches} row(s) "
                    f"and finds {meant.height}",
                    "look whether the raw rows have changed, then mend or remove the entry",
                    column=entry.column,
                )
            )
            continue
        other = meant.filter(pl.col(entry.column).fill_null("") != entry.expected)
        if not other.is_empty():
            faults += [
                Fault(
                    file,
                    f'{FILE} expected "{entry.expected}" here',
                    "look whether the publisher has mended the error, then mend or remove the entry",
                    row=number,
                    column=entry.column,
                    value=value or "",
                )
                for number, value in other.select("row", entry.column).iter_rows()
            ]
            continue
        for number, was in meant.select("row", entry.column).iter_rows():
            now = {"override": entry.value or None, "keep": was, "drop": None}[entry.action]
            applied.append([file, number, entry.column, entry.action, was, now, entry.reason])
        if entry.action == "override":
            rows = rows.with_columns(
                pl.when(is_meant)
                .then(pl.lit(entry.value or None, dtype=pl.String))
                .otherwise(pl.col(entry.column))
                .alias(entry.column)
            )
        elif entry.action == "keep":
            rows = rows.with_columns(
                kept=pl.when(is_meant)
                .then(pl.col("kept").list.concat(pl.lit([entry.column])))
                .otherwise(pl.col("kept"))
            )
        else:
            rows = rows.with_columns(
                drop_reason=pl.when(is_meant).then(pl.lit(entry.reason)).otherwise(pl.col("drop_reason"))
            )
    if faults:
        raise EvidenceError(faults)
    schema = AppliedCorrection.create_empty().schema
    frame = pl.DataFrame(applied, schema=schema, orient="row").sort("row", maintain_order=True)
    return rows, AppliedCorrection.validate(frame, cast=True)
