"""What is wrong with a raw file, said the same way everywhere: where, what, why, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass

import dataframely as dy
import polars as pl


class Reject(dy.Schema):
    """Grain: one row per fault found in a raw file, in file and row order.

    `row` is the line a spreadsheet shows (the header is row 1); null where the fault is in the
    file as a whole. `column` and `value` are null where the fault is in the row as a whole.
    """

    file = dy.String(nullable=False)
    row = dy.Int64(nullable=True)
    column = dy.String(nullable=True)
    value = dy.String(nullable=True)
    reason = dy.String(nullable=False)
    remedy = dy.String(nullable=False)


@dataclass(frozen=True)
class Fault:
    """One fault of one raw file. Fields as in `Reject`."""

    file: str
    reason: str
    remedy: str
    row: int | None = None
    column: str | None = None
    value: str | None = None

    @property
    def sentence(self) -> str:
        """The fault in one line: file, row, column, value, reason, remedy."""
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column {self.column}"
        if self.value is not None:
            shown = self.value if len(self.value) <= 80 else self.value[:77] + "..."
            place += f', value "{shown}"'
        # a cell may hold line breaks; a sentence must not
        return " ".join(f"{place}: {self.reason}: {self.remedy}.".splitlines())


class EvidenceError(Exception):
    """Raw data that cannot be used. `faults` holds each fault; the message is their sentences."""

    def __init__(self, faults: Sequence[Fault]):
        self.faults = tuple(faults)
        super().__init__("\n".join(fault.sentence for fault in faults))


def as_frame(faults: Sequence[Fault], /) -> "dy.DataFrame[Reject]":
    """Put faults into a table.

    Returns:
        One row per fault, in the order given; no rows for no faults.
    """
    names = ("file", "row", "column", "value", "reason", "remedy")
    rows = [[getattr(fault, name) for name in names] for fault in faults]
    frame = pl.DataFrame(rows, schema=Reject.create_empty().schema, orient="row")
    return Reject.validate(frame)
