"""Whether a file that was passed on is what was published: its hash against the records of its report."""

import contextlib
import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from analysis.present import wording
from analysis.publish import feed, page, record, revisions, shelf
from analysis.publish.record import Outcome, RunRecord
from analysis.publish.shelf import Shelf

# whatever saved the page may have put the attributes in another order
_MARK = re.compile(
    rb"""<meta\b(?=[^>]*\bname=["']?casegrade-report\b)[^>]*\bcontent=["']?([\w-]+)""", re.IGNORECASE
)


# pages about all reports, and what lies beside them
_ABOUT_ALL = (page.INDEX, page.NATIONAL, page.ABOUT, feed.FILE, revisions.FILE)


class State(StrEnum):
    """What a file is."""

    AS_PUBLISHED = "as published"
    DRAFT = "draft"
    SUPERSEDED = "superseded"
    ALTERED = "altered"


class UnknownFileError(Exception):
    """A file that cannot be judged. The message says why and what would help."""


@dataclass(frozen=True)
class Finding:
    """What a file is, and in one sentence how that is known."""

    state: State
    sentence: str


def verify(file: Path, place: Shelf, forces: Iterable[str], /) -> Finding:
    """Compare a file with the records of the reports.

    A copy is known by its content, wherever it lies. One that was changed is known as a copy of a
    report by the record beside it, by the name that pages and tables of figures carry, or by its folder.

    Args:
        file: a file of a report, or a copy of one.
        place: where the reports are.
        forces: slugs of the forces that there may be reports on.

    Raises:
        UnknownFileError: if the file is not readable, was never published, or nothing tells which
            report it is from.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UnknownFileError(
            f"{file} cannot be read ({error.strerror}): name a file of a report."
        ) from error
    # some mail programs and spreadsheets end lines in their own way
    digests = {record.sha256(content), record.sha256(content.replace(b"\r\n", b"\n"))}
    beside = record.parse(_beside(file))
    names = [*forces, record.QUALITY]
    known = {name: found for name in names if (found := shelf.recorded(place, name)) is not None}
    waiting = [found for name in known if (found := shelf.drafted(place, name)) is not None]
    came_along = [beside] if beside is not None and beside.outcome is not Outcome.FAILED else []
    for found in came_along:
        # to somebody who has not got the reports
        known.setdefault(found.force, found)
    for found in (*known.values(), *waiting):
        if digests & _current(found):
            return _as_it_was_made(found, ", by the record that came with it" if found is beside else "")
    for found in known.values():
        for earlier in found.earlier:
            if digests & set(earlier.outputs.values()):
                kind = "a draft of " if earlier.state is record.State.DRAFT else ""
                was = f"{kind}{_what(found)} as made on {wording.day(earlier.finished)}"
                return Finding(State.SUPERSEDED, f"Superseded: {was}; the report was {_since(found)}.")
    for found in came_along:
        if digests & _current(found):
            return _as_it_was_made(found, ", by the record that came with it")
    if beside is not None and file.name == record.FILE:
        raise UnknownFileError(f"{file.name} is what other files are held against: name one of those.")
    if beside is not None and beside.outcome is Outcome.FAILED:
        raise UnknownFileError(f"{file.name} is what a failed run left: it was never published.")
    if file.name in _ABOUT_ALL:
        raise UnknownFileError(
            f"{file.name} is about all reports and made anew by every run: name a file of one."
        )
    named = beside.force if beside is not None else _named(content, file)
    if named not in known:
        raise UnknownFileError(
            f"No record says anything of {file.name}: run this in the project that published it, "
            "or put the report's record.json beside it."
        )
    return Finding(
        State.ALTERED,
        f"Altered: this is no version of {_what(known[named])} that its record knows; "
        "take the file from where it was published.",
    )


def _current(found: RunRecord) -> set[str]:
    """Hashes of the files that a version is made of; of one that was withdrawn, of the page that says so."""
    if found.state is record.State.WITHDRAWN:
        return {digest for name, digest in found.outputs.items() if name == record.PAGE}
    return set(found.outputs.values())


def _as_it_was_made(found: RunRecord, by: str) -> Finding:
    told = f"{_what(found)}, run {found.run_id} of {wording.minute(found.finished)}{by}"
    if found.state is record.State.WITHDRAWN:
        return Finding(
            State.AS_PUBLISHED, f"As published: the page that says that {_what(found)} was withdrawn."
        )
    if found.state is record.State.DRAFT:
        return Finding(State.DRAFT, f"Draft: as it was made, but not signed off: {told}.")
    return Finding(State.AS_PUBLISHED, f"As published: {told}.")


def _since(found: RunRecord) -> str:
    """What became of the report after an earlier version, and when."""
    if found.withdrawal is not None:
        return f"withdrawn on {wording.minute(found.withdrawal.withdrawn)}"
    if found.sign_off is not None:
        return f"published on {wording.minute(found.sign_off.signed)}"
    return f"made again on {wording.minute(found.finished)}"


def _beside(file: Path) -> bytes | None:
    try:
        return (file.parent / record.FILE).read_bytes()
    except OSError:
        return None


def _what(found: RunRecord) -> str:
    return f"the report {found.force}"


def _named(content: bytes, file: Path) -> str:
    """The report that a file says it is from: a page in its head, a table of figures in its first row."""
    if marked := _MARK.search(content):
        return marked.group(1).decode(errors="replace")
    if file.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(content.decode(errors="replace")))
        # whoever altered it need not have left a table
        with contextlib.suppress(csv.Error):
            return next(rows, {}).get("force") or ""
    return file.absolute().parent.name
