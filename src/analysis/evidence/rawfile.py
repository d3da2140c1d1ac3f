"""Read one raw CSV strictly, and part its rows into accepted and rejected.

Reading keeps every value as the text it is. Judging rows is data too: a `Rule` says which
rows are broken and what to tell whoever mends them.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dataframely as dy
import polars as pl

from analysis.evidence.faults import EvidenceError, Fault, Reject


def read(path: Path, columns: Sequence[str], /) -> pl.DataFrame:
    """Read a raw CSV whose header must be exactly `columns`, in that order.

    Returns:
        One row per record, in file order: `row` (the number a spreadsheet shows, the header
        being 1) and the columns as text. A blank is null: "not stated", never zero.

    Raises:
        EvidenceError: if the file is missing, empty, not UTF-8, not CSV, has a missing, extra
            or misplaced column, or a record with too few or too many values.
    """
    text = _text(path)
    try:
        # newline="" leaves line ends inside quotes alone; other separators of lines are just characters
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise EvidenceError(
            [Fault(path.name, f"is not readable as CSV ({error})", "restore it from version control")]
        ) from error
    header, body = tuple(records[0]), records[1:]
    faults = _header_faults(path.name, header, columns)
    if not faults and not any(body):
        faults = [Fault(path.name, "has a header and no rows", "restore it from version control")]
    if not faults:
        faults = [
            Fault(
                path.name,
                f"has {len(record)} values where the header names {len(columns)} columns",
                "add or remove commas, and put quotes around a value that contains a comma",
                row=number,
            )
            for number, record in enumerate(body, start=2)
            if len(record) != len(columns)
        ]
    if faults:
        raise EvidenceError(faults)
    schema = {"row": pl.Int64} | dict.fromkeys(columns, pl.String)
    rows = [[number, *record] for number, record in enumerate(body, start=2)]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(pl.col(columns).replace("", None))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise EvidenceError(
            [Fault(path.name, "is missing from data/raw", "restore it from version control")]
        ) from error
    if not content.strip():
        raise EvidenceError([Fault(path.name, "is empty", "restore it from version control")])
    try:
        # a spreadsheet may have put a byte-order mark in front; it is no part of the header
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        shown = content[error.start : error.start + 1].hex()
        raise EvidenceError(
            [
                Fault(
                    path.name,
                    f"is not UTF-8 text (byte 0x{shown})",
                    'save the file as "CSV UTF-8"',
                    row=line,
                )
            ]
        ) from error


def _header_faults(file: str, header: Sequence[str], columns: Sequence[str]) -> list[Fault]:
    faults = [
        Fault(
            file,
            "the column is missing",
            "add it back, with blanks where nothing is stated",
            row=1,
            column=name,
        )
        for name in columns
        if name not in header
    ]
    faults += [
        Fault(
            file,
            "the column is not one that datapackage.json describes",
            "remove it, or describe it there and read it in the code",
            row=1,
            column=name,
        )
        for name in header
        if name not in columns
    ]
    if not faults and tuple(header) != tuple(columns):
        faults.append(
            Fault(file, "the columns are in another order", f"order them as {', '.join(columns)}", row=1)
        )
    return faults


@dataclass(frozen=True)
class Rule:
    """A reason to refuse a row.

    `is_broken` is true for the rows to refuse (null counts as false); `column` is where the
    fault is, null for the row as a whole; `reason` and `remedy` may differ from row to row.
    """

    column: str | None
    is_broken: pl.Expr
    reason: str | pl.Expr
    remedy: str | pl.Expr


def sift(
    rows: pl.DataFrame, /, rules: Iterable[Rule], *, file: str
) -> tuple[pl.DataFrame, dy.DataFrame[Reject]]:
    """Part rows into those that break no rule and those that break one or more.

    Args:
        rows: one row per record, with `row` and the columns that the rules name.
        rules: in order of telling: the first broken one gives a reject its column and value.
        file: the name of the raw file.

    Returns:
        Accepted rows, unchanged and in order; and one reject per refused row, in row order, the
        reasons of further broken rules added to the first. Together they are all of `rows`.
    """
    found = [
        rows.filter(rule.is_broken.fill_null(False)).select(
            pl.lit(file).alias("file"),
            "row",
            pl.lit(rule.column, dtype=pl.String).alias("column"),
            (pl.col(rule.column) if rule.column else pl.lit(None)).cast(pl.String).alias("value"),
            _text_expr(rule.reason).alias("reason"),
            _text_expr(rule.remedy).alias("remedy"),
            pl.lit(order).alias("order"),
        )
        for order, rule in enumerate(rules)
    ]
    faults = pl.concat([Reject.create_empty().with_columns(order=pl.lit(0)), *found], how="vertical_relaxed")
    rejects = (
        faults.sort("row", "order")
        .group_by("row", maintain_order=True)
        .agg(
            pl.col("file", "column", "value", "remedy").first(),
            pl.col("reason").str.join("; also: "),
        )
        .select(Reject.column_names())
    )
    accepted = rows.join(rejects, on="row", how="anti", maintain_order="left")
    return accepted, Reject.validate(rejects, cast=True)


def _text_expr(text: str | pl.Expr) -> pl.Expr:
    return pl.lit(text) if isinstance(text, str) else text


def is_repeated(columns: Sequence[str], /) -> Rule:
    """The rule that a record may not repeat an earlier one in every column."""
    first = pl.col("row").first().over(pl.struct(pl.col(columns)))
    return Rule(
        None,
        pl.col("row") != first,
        pl.format("repeats row {} in every column", first),
        "remove one of the two rows",
    )


def is_unknown(column: str, known: Sequence[str], suggestion: pl.Expr | str) -> Rule:
    """The rule that a value must be stated and be one of a closed list."""
    return Rule(
        column,
        pl.col(column).is_null() | ~pl.col(column).is_in(list(known)),
        pl.when(pl.col(column).is_null())
        .then(pl.lit("is blank, but must be stated"))
        .otherwise(pl.lit("is not in the list of known values")),
        suggestion,
    )


def is_blank(column: str, remedy: str, /) -> Rule:
    """The rule that a value must be stated."""
    return Rule(column, pl.col(column).is_null(), "is blank, but must be stated", remedy)
