"""Read one raw CSV strictly, and part its rows into accepted and rejected.

Reading keeps every value as the text it is. Judging rows is data too: a `Rule` says which
rows are broken and what to tell whoever mends them.
"""

import csv
import difflib
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dataframely as dy
import polars as pl

from analysis.evidence.faults import EvidenceError, Fault, Reject

_LONGEST_CELL = 131_072
_RESTORE = "restore the file from version control"
_SAVE_AS_UTF_8 = 'save the file in UTF-8 (in a spreadsheet: "CSV UTF-8")'


def read(path: Path, columns: Sequence[str], /) -> pl.DataFrame:
    """Read a raw CSV whose header must be exactly `columns`, in that order.

    Returns:
        One row per record, in file order: `row` (the number a spreadsheet shows, the header
        being 1) and the columns as text. A blank is null: "not stated", never zero.

    Raises:
        EvidenceError: if the file is missing, empty, not UTF-8, not CSV, has a missing, extra
            or misplaced column, or a record with too few or too many values.
    """
    header, *body = records(path)
    faults, _ = header_faults(path.name, header, columns)
    if not faults and not any(body):
        faults = [Fault(path.name, "the file has a header and no rows", _RESTORE)]
    if not faults:
        faults = [
            Fault(
                path.name,
                f"the row has {len(record)} cells, but the header has {len(columns)}",
                "give every column a cell, and put a cell that contains a comma in quotes",
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


def content(path: Path, /) -> bytes:
    """The bytes of a raw file.

    Raises:
        EvidenceError: if it is missing, cannot be read, or is empty.
    """
    try:
        found = path.read_bytes()
    except FileNotFoundError as error:
        raise EvidenceError([Fault(path.name, "the file is missing from data/raw", _RESTORE)]) from error
    except OSError as error:
        fault = Fault(path.name, f"the file cannot be read ({error.strerror})", "make it readable to you")
        raise EvidenceError([fault]) from error
    if not found.strip():
        raise EvidenceError([Fault(path.name, "the file is empty", _RESTORE)])
    return found


def records(path: Path, /) -> list[list[str]]:
    """The records of a raw CSV, header first and blank ones included, so that n is the nth of a spreadsheet.

    Raises:
        EvidenceError: if the file is missing, empty, not UTF-8 or not CSV.
    """
    file, raw = path.name, content(path)
    try:
        # a spreadsheet may have put a byte order mark in front; it is no part of the header
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        reason = f"the file is not UTF-8 text (byte {raw[error.start]:#04x} in line {row})"
        raise EvidenceError([Fault(file, reason, _SAVE_AS_UTF_8, row=row)]) from error
    if not text.strip():
        raise EvidenceError([Fault(file, "the file is empty", _RESTORE)])
    if "\0" in text:
        reason = "the file holds NUL characters, as text in UTF-16 does"
        raise EvidenceError([Fault(file, reason, _SAVE_AS_UTF_8)])
    # Strict, because a quote that is never closed would swallow the rest of the file in one cell.
    # newline="" leaves line ends inside quotes alone; other separators of lines are just characters.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    read: list[list[str]] = []
    try:
        for cells in reader:
            # the csv module's own limit holds for the whole process, and libraries raise it
            if any(len(cell) > _LONGEST_CELL for cell in cells):
                raise csv.Error(f"field larger than field limit ({_LONGEST_CELL})")
            read.append(cells)
    except csv.Error as error:
        fault = Fault(
            file,
            f"the row cannot be read as CSV ({error})",
            'close every quote, and write a quote inside a quoted cell as ""',
            row=len(read) + 1,
        )
        raise EvidenceError([fault]) from error
    return read


def header_faults(file: str, header: Sequence[str], names: Sequence[str], /) -> tuple[list[Fault], bool]:
    """Compare the header with the record; the second value is whether the columns can be told apart."""
    in_order = f"the columns of the record are, in order: {', '.join(names)}"
    if not any(label.strip() for label in header):
        return [Fault(file, "the first row is blank, but it must be the header", in_order, row=1)], False
    twice = [label for label, times in Counter(header).items() if times > 1]
    if twice:
        named, nameless = "the column is there more than once", "more than one column has no name"
        return [
            Fault(file, named if label else nameless, in_order, row=1, column=label or None)
            for label in twice
        ], False
    faults = []
    for number, label in enumerate(header, start=1):
        if label not in names:
            alike = near(label, [name for name in names if name not in header])
            faults.append(
                Fault(
                    file,
                    "datapackage.json describes no such column" if label else f"column {number} has no name",
                    f'rename it to "{alike}"'
                    if alike
                    else "remove the column, or describe it in datapackage.json",
                    row=1,
                    column=label or None,
                )
            )
    faults += [
        Fault(file, "the column is missing", f"restore it: {in_order}", row=1, column=name)
        for name in names
        if name not in header
    ]
    if not faults and list(header) != list(names):
        faults.append(Fault(file, "the columns are in another order", f"reorder them: {in_order}", row=1))
    return faults, True


def near(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`; null if none is."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


@dataclass(frozen=True)
class Rule:
    """A reason to refuse a row.

    `is_broken` is true for the rows to refuse (null counts as false); `column` is where the
    fault is, null for the row as a whole; `reason` and `remedy` may differ from row to row. A rule
    about sums may be set aside by a declared `keep`; others cannot, as no table could hold the row.
    """

    column: str | None
    is_broken: pl.Expr
    reason: str | pl.Expr
    remedy: str | pl.Expr
    may_be_kept: bool = False


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
    # judged over all rows before any is left out, as a reason may look at other rows
    found = [
        rows.select(
            pl.lit(file).alias("file"),
            "row",
            pl.lit(rule.column, dtype=pl.String).alias("column"),
            (pl.col(rule.column) if rule.column else pl.lit(None)).cast(pl.String).alias("value"),
            _text_expr(rule.reason).alias("reason"),
            _text_expr(rule.remedy).alias("remedy"),
            pl.lit(order).alias("order"),
            rule.is_broken.fill_null(False).alias("is_broken"),
        ).filter("is_broken")
        for order, rule in enumerate(rules)
    ]
    empty = Reject.create_empty().with_columns(order=pl.lit(0), is_broken=pl.lit(False))
    faults = pl.concat([empty, *found], how="vertical_relaxed").sort("row", "order")
    first = pl.col("column").first().over("row")
    is_elsewhere = pl.col("column").is_not_null() & pl.col("column").ne_missing(first)
    told = (
        pl.when(is_elsewhere)
        .then(pl.format('{} "{}" {}', "column", pl.col("value").fill_null(""), "reason"))
        .otherwise("reason")
    )
    rejects = (
        faults.with_columns(told.alias("reason"))
        .group_by("row", maintain_order=True)
        .agg(pl.col("file", "column", "value", "remedy").first(), pl.col("reason").str.join("; also: "))
        .select(Reject.column_names())
    )
    accepted = rows.join(rejects, on="row", how="anti", maintain_order="left")
    return accepted, Reject.validate(rejects, cast=True)


def _text_expr(text: str | pl.Expr) -> pl.Expr:
    return pl.lit(text) if isinstance(text, str) else text


def is_repeated(columns: Sequence[str], /) -> Rule:
    """The rule that a record may not repeat an earlier one in every column."""
    first = pl.col("row").first().over(*columns)
    return Rule(
        None,
        pl.col("row") != first,
        pl.format("repeats row {} in every column", first),
        "remove one of the two rows",
    )


def is_blank(column: str, remedy: str, /) -> Rule:
    """The rule that a value must be stated."""
    is_nothing = pl.col(column).is_null() | (pl.col(column).str.strip_chars() == "")
    return Rule(column, is_nothing, "is blank, but must be stated", remedy)


def is_padded(column: str, /) -> Rule:
    """The rule that a value neither begins nor ends with white space, which would make it another value."""
    text = pl.col(column)
    return Rule(
        column,
        text != text.str.strip_chars(),
        "begins or ends with white space",
        "remove the white space",
    )
