"""How every command speaks: what it says, how it tells of expected errors, and the code that it leaves with.

Exit codes: 0 done; 1 raw data to mend, or a report that failed, or a file that is superseded or altered;
2 asked for something that does not exist or cannot be done; 3 another run is writing; 130 stopped by the user.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from analysis import paths, vocabulary

DATA_TO_MEND, NOT_POSSIBLE, LOCKED, INTERRUPTED = 1, 2, 3, 130

out = Console(soft_wrap=True, highlight=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)

_WIDE = 300


class LogFormat(StrEnum):
    """How a run tells of itself."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[str | None, typer.Option(help="Where the reports are, if not in the project's reports/.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Reports to make at a time; by default one per processor.")
]
Log = Annotated[LogFormat, typer.Option(help="Tell of it in words, or as one JSON object per line.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for another run that is writing.")]


def show(table: Table) -> None:
    """Print a table; into a file or a pipe as wide as it is."""
    # rich takes 80 letters for the width of what is no terminal, and cuts words to fit
    if not out.is_terminal:
        out.width = _WIDE
    out.print(table)


def complain(message: str) -> None:
    """Say something on the error stream."""
    # text from raw files is shown as it is: neither read as rich's markup nor let steer the terminal
    shown = "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in message
    )
    err.print(shown, markup=False)


@contextmanager
def plainly(complain: Callable[[str], None] = complain) -> Iterator[None]:
    """Tell expected errors in one sentence each, and leave with their exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt as error:
        complain("Stopped. Reports that were finished are in their place; the next run makes the rest.")
        raise typer.Exit(INTERRUPTED) from error
    except Exception as error:
        code = _code(error)
        if code is None and isinstance(error, OSError):
            told = error.filename or "a file"
            complain(
                f"{told} cannot be used ({error.strerror or error}): mend that and run the command again."
            )
            raise typer.Exit(NOT_POSSIBLE) from error
        if code is None:
            raise
        complain(str(error))
        raise typer.Exit(code) from error


def _code(error: Exception) -> int | None:
    """The exit code of an expected error; null for any other."""
    # they take a second to load, which only who fails has to spend
    from analysis.compare.graded import SelectionError
    from analysis.evidence.faults import EvidenceError
    from analysis.lab.drafts import DraftError
    from analysis.lab.start import LabError
    from analysis.publish.cluster import ClusterError
    from analysis.publish.gate import GateError
    from analysis.publish.parameters import ParameterError
    from analysis.publish.pdf import PdfError
    from analysis.publish.record import SignOffError
    from analysis.publish.restricted import RestrictedError
    from analysis.publish.revisions import RevisionsError
    from analysis.publish.shelf import LockedError, ShelfError
    from analysis.publish.verify import UnknownFileError
    from analysis.schedule.credentials import CredentialsError
    from analysis.schedule.exports import ExportError
    from analysis.schedule.health import ServingError
    from analysis.schedule.rota import ScheduleError

    to_mend = (EvidenceError, GateError, RestrictedError, RevisionsError, vocabulary.ForcesError)
    impossible = (
        ParameterError,
        PdfError,
        SelectionError,
        vocabulary.VocabularyError,
        paths.ProjectNotFoundError,
        ClusterError,
        ShelfError,
        SignOffError,
        UnknownFileError,
        CredentialsError,
        DraftError,
        ExportError,
        LabError,
        ScheduleError,
        ServingError,
    )
    # some of what needs mending is also something that does not exist
    kinds = {DATA_TO_MEND: to_mend, NOT_POSSIBLE: impossible, LOCKED: (LockedError,)}
    return next((code for code, kind in kinds.items() if isinstance(error, kind)), None)


def event(event: str, **fields: object) -> None:
    """Write one line of JSON to the error stream: what happened, when, and more about it."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    err.file.write(json.dumps({"event": event, "time": moment, **fields}, ensure_ascii=False) + "\n")
    err.file.flush()


def complain_in_json(message: str) -> None:
    """`complain` for programs."""
    event("error", message=message)
