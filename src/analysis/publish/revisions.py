"""What moved between two versions of a report: which figure, from what to what, when and why.

The list of all reports, `revisions.csv`, only grows: newest first, one row per figure that moved.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from enum import StrEnum

from analysis.present import plainly, wording
from analysis.publish import formats, plan
from analysis.publish.record import Revision, RunRecord, State

FILE = "revisions.csv"
# the raw file that declares them; what is published is in the CSV files
_CORRECTIONS = "corrections.toml"
# what a page or a feed can show of a long history
SHOWN = 30


class Reason(StrEnum):
    """Why a figure moved."""

    DATA = "data"
    CORRECTION = "correction"
    METHOD = "method"


class RevisionsError(Exception):
    """A list of revisions that cannot be read, and so must not be written over. The message says what to do."""


@dataclass(frozen=True)
class Withdrawn:
    """A report that was withdrawn: which, when, and why in words for readers."""

    force: str
    moment: datetime
    reason: str

    @property
    def date(self) -> str:
        """When, as revisions have it."""
        return self.moment.isoformat(timespec="seconds")


@dataclass(frozen=True)
class History:
    """What a report was before.

    Attributes:
        figures: `figures.csv` of the version that a new one is held against; null for a first one.
        withdrawn: earlier versions that were withdrawn, newest first.
        reason: why they may differ: from `reason`.
        past: revisions of the report that are known already, newest first.
    """

    figures: bytes | None = None
    reason: tuple[str, str] = (Reason.METHOD.value, "")
    past: tuple[Revision, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()


_COLUMNS = tuple(field.name for field in fields(Revision))


def between(
    old: bytes | None,
    new: bytes | None,
    /,
    *,
    date: datetime,
    reason: tuple[str, str],
    version: str,
    run_id: str,
) -> list[Revision]:
    """The figures that differ between two versions of `figures.csv`, in its order, dropped ones last.

    A figure moved if its value, interval, cases or base did; a note alone is no figure. A report that
    had no figures before, or whose old file cannot be read, has nothing that could have moved.

    Args:
        old: the earlier file; null if there was none.
        new: the later file; null if there is none.
        date: when the later version was made.
        reason: from `reason`.
        version: what the later version is: draft or published.
        run_id: of the run that made it.
    """
    before, after = _figures(old), _figures(new)
    if not before:
        return []
    found = []
    for key in [*after, *(key for key in before if key not in after)]:
        was, now = before.get(key, {}), after.get(key, {})
        if all(was.get(name, "") == now.get(name, "") for name in formats.NUMBERS):
            continue
        force = (now or was)["force"]
        sides = {
            f"{side}_{name}": row.get(name, "")
            for name in formats.NUMBERS
            for side, row in (("old", was), ("new", now))
        }
        found.append(
            Revision(
                date=date.isoformat(timespec="seconds"),
                force=force,
                measure=key[0],
                period=key[1],
                reason=reason[0],
                detail=reason[1],
                version=version,
                run_id=run_id,
                **sides,
            )
        )
    return found


def _figures(content: bytes | None) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["measure"], row["period"]): row for row in formats.read_csv(content)}


def reason(old: RunRecord, inputs: Mapping[str, str], depends_on: Mapping[str, str], /) -> tuple[str, str]:
    """Why figures of a new version may differ: `Reason`s joined by "and", and what changed, in words.

    Where the force's rows changed, it is for the raw files that did: for corrections that were
    declared, or for the data. Rows that changed though no raw file did are read in another way now.

    Args:
        old: the record of the earlier version.
        inputs: hashes of the raw files and the notebook behind the later one.
        depends_on: hashes of all that the later one depends on (`plan.Step`).
    """
    changed = {name for name in {*old.inputs, *inputs} if old.inputs.get(name) != inputs.get(name)}
    found = set()
    if old.depends_on.get(plan.EVIDENCE) != depends_on[plan.EVIDENCE]:
        if any(name.endswith(".csv") for name in changed):
            found.add(Reason.DATA)
        if _CORRECTIONS in changed:
            found.add(Reason.CORRECTION)
        if not found:
            found.add(Reason.METHOD)
    rules = (plan.NOTEBOOK, plan.CODE, plan.LIBRARIES, plan.PARAMETERS)
    if any(old.depends_on.get(kind) != depends_on[kind] for kind in rules):
        found.add(Reason.METHOD)
    named = [one.value for one in Reason if one in found] or [Reason.METHOD.value]
    return " and ".join(named), "; ".join(plan.changes(old.depends_on, depends_on))


def read(content: bytes | None, /) -> list[Revision]:
    """The revisions of a file, in its order; none if there is no file.

    Raises:
        RevisionsError: if it is not such a list.
    """
    if content is None:
        return []
    try:
        head, *rows = csv.reader(io.StringIO(content.decode("utf-8")), strict=True)
        if tuple(head) != _COLUMNS:
            raise ValueError("other columns")
        read = [
            Revision(**{name: plainly.unguarded(cell) for name, cell in zip(_COLUMNS, row, strict=True)})
            for row in rows
        ]
        for one in read:
            # a number or a date that is none would stop whoever words it
            sentence(one)
        return read
    except (ValueError, TypeError, ArithmeticError, csv.Error) as error:
        raise RevisionsError(
            f"{FILE} cannot be read, and what it lists would be lost: restore it from a copy, or move it away."
        ) from error


def added(content: bytes | None, new: Sequence[Revision], /) -> str:
    """The text of the list with revisions added on top, latest first; those that it has are not added again.

    Raises:
        RevisionsError: if the content is not such a list.
    """
    known = read(content)
    keys = {(one.run_id, one.measure, one.period, one.version) for one in known}
    fresh = [one for one in new if (one.run_id, one.measure, one.period, one.version) not in keys]
    fresh.sort(key=lambda one: one.date, reverse=True)
    lines = io.StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows([plainly.guarded(cell) for cell in astuple(one)] for one in (*fresh, *known))
    return lines.getvalue()


def withdrawals(known: RunRecord, /) -> list[Withdrawn]:
    """The versions of a report that were withdrawn, the present one among them, newest first."""
    every = [known.withdrawal, *(one.withdrawal for one in known.earlier)]
    return [Withdrawn(known.force, one.withdrawn, one.reason) for one in every if one is not None]


def together(moved: Sequence[Revision], withdrawn: Sequence[Withdrawn], /) -> list[Revision | Withdrawn]:
    """Figures that moved and reports that were withdrawn, latest first."""
    every: list[Revision | Withdrawn] = [*moved, *withdrawn]
    return sorted(every, key=lambda one: one.date, reverse=True)


def sentence(one: Revision | Withdrawn, /) -> str:
    """A revision in words: which figure, what it was, what it is, when and why; or what was withdrawn."""
    if isinstance(one, Withdrawn):
        return f"The report was withdrawn on {wording.day(one.moment)}: {one.reason}"
    label = f"{wording.measure_label(one.measure)}, {wording.PERIODS.get(one.period, one.period)}"
    when = wording.day(datetime.fromisoformat(one.date))
    if one.version == State.DRAFT:
        when += ", draft"
    because = f"{one.reason}: {one.detail}" if one.detail else one.reason
    return f"{label}: {_side(one, 'old')} before, {_side(one, 'new')} now ({when}; {because})."


def _side(one: Revision, side: str) -> str:
    row = {name: getattr(one, f"{side}_{name}") for name in formats.NUMBERS}
    return wording.figure_told(formats.typed({"measure": one.measure, "period": one.period, **row}))
