"""The runs of the schedule: for each moment that a report was due, what became of it. They are all that is remembered.

A run is a folder `runs/<report>/<moment>-<attempt>/` beside the reports. `run.json` says how it went; `record.json`
is the record of the report that it left, and a failed run's notebook is there as far as it came.
"""

import socket
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from analysis.publish import record, shelf
from analysis.publish.record import Earlier, RunRecord, State
from analysis.publish.shelf import Shelf
from analysis.schedule.rota import Retention

FOLDER = "runs"
FILE = "run.json"
_STAMP = "%Y%m%dT%H%M%SZ"


class End(StrEnum):
    """How a run ended, or that it has not."""

    BEGUN = "begun"
    MADE = "made"
    UNCHANGED = "unchanged"
    NO_AUDITS = "no audits yet"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_success(self) -> bool:
        """Whether the report is as it should be after it."""
        return self in (End.MADE, End.UNCHANGED, End.NO_AUDITS)


class Origin(StrEnum):
    """What started a run."""

    SCHEDULE = "schedule"
    LAB = "lab"


class Run(BaseModel):
    """One attempt to have a report as it should be at a moment. One file per run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(
        description="Name of the run's folder: the moment it was due, and which attempt it was."
    )
    report: str = Field(description="Slug of the force; data-quality for the page on the data as a whole.")
    origin: Origin = Field(default=Origin.SCHEDULE, description="What started it.")
    due: AwareDatetime = Field(description="The moment it was due, in UTC.")
    missed: int = Field(
        default=0, description="How many earlier moments it stands for, as nothing ran at them."
    )
    attempt: int = Field(description="Which attempt for this moment it was, from 1.")
    end: End = Field(description="How it ended.")
    reason: str | None = Field(default=None, description="Why it failed, in one sentence; else null.")
    news: tuple[str, ...] = Field(default=(), description="What people were to be told of it.")
    made: str | None = Field(
        default=None, description="run_id of the record of the report that it left; null for none."
    )
    started: AwareDatetime = Field(description="When it began, in UTC.")
    finished: AwareDatetime | None = Field(
        default=None, description="When it ended, in UTC; null while it runs."
    )
    host: str = Field(description="Name of the machine that it ran on.")


def begin(
    place: Shelf,
    report: str,
    /,
    *,
    due: datetime,
    attempt: int,
    now: datetime,
    missed: int = 0,
    origin: Origin = Origin.SCHEDULE,
) -> Run:
    """Say that a run begins, before it does, so that one that is killed is known to have begun."""
    stamp = f"{due.astimezone(UTC):{_STAMP}}"
    run = Run(
        run_id=f"{stamp}-{attempt:03}" if origin is Origin.SCHEDULE else f"{stamp}-{origin}-{attempt:03}",
        report=report,
        origin=origin,
        due=due,
        missed=missed,
        attempt=attempt,
        end=End.BEGUN,
        started=now,
        host=socket.gethostname(),
    )
    _write(place, run)
    return run


def finish(
    place: Shelf,
    run: Run,
    end: End,
    /,
    *,
    now: datetime,
    reason: str | None = None,
    left: RunRecord | None = None,
    news: tuple[str, ...] = (),
) -> Run:
    """Say how a run ended, and keep the record that it left; a failed run's notebook too.

    Args:
        place: where the reports are.
        run: from `begin`.
        end: how it ended.
        now: when.
        reason: why it failed.
        left: the record of the report that it left, made now or before; null if there is none.
        news: what people are to be told of it.
    """
    finished = run.model_copy(
        update={
            "end": end,
            "reason": reason,
            "news": news,
            "finished": now,
            "made": None if left is None else left.run_id,
        }
    )
    folder = _folder(run)
    if left is not None and end in (End.MADE, End.FAILED):
        place.write(f"{folder}/{record.FILE}", record.text(left).encode())
    if left is not None and end is End.FAILED:
        notebook = shelf.failed_notebook(place, run.report, left.run_id)
        if notebook is not None:
            place.write(f"{folder}/{record.NOTEBOOK}", notebook)
    # last: a run that has ended has all its files
    _write(place, finished)
    return finished


def of(place: Shelf, report: str, /) -> Iterator[Run]:
    """The runs of a report, the one that was due last first; what cannot be read is passed over."""
    for run_id in reversed(place.names(f"{FOLDER}/{report}")):
        if (run := _read(place, report, run_id)) is not None:
            yield run


def reports(place: Shelf, /) -> list[str]:
    """The reports that have runs, in alphabetical order."""
    return [name for name in place.names(FOLDER) if any(True for _ in of(place, name))]


def needed(past: Iterable[Run], now: datetime, /) -> Iterator[Run]:
    """The runs that say what is due, how often it was tried and what people know: the rest is history.

    Those of the schedule whose moment has come, up to the last that went well. Of a report that has not for long,
    that one, those for the latest moment, and those since people were told of an earlier one.
    """
    latest: datetime | None = None
    is_known = False
    for run in past:
        if run.origin is not Origin.SCHEDULE or run.due > now:
            continue
        latest = latest or run.due
        if not is_known or run.end.is_success:
            yield run
        if run.end.is_success:
            return
        is_known = is_known or (bool(run.news) and run.due != latest)


def expired(place: Shelf, report: str, retention: Retention, now: datetime, /) -> list[Run]:
    """The runs of a report that may be removed, the one that was due last first.

    The last so many are kept, and those of the last so many days; with both limits, what either keeps. Kept
    besides are those that are `needed`, one that has not ended, and what was published, at once or after somebody
    had read it.
    """
    if retention.runs is None and retention.days is None:
        return []
    if retention.days is None and len(place.names(f"{FOLDER}/{report}")) <= (retention.runs or 0):
        return []
    past = list(of(place, report))
    kept = {run.run_id for run in needed(past, now)}
    since = None if retention.days is None else now - timedelta(days=retention.days)
    old = [
        run
        for number, run in enumerate(past)
        if number >= (retention.runs or 0)
        and (since is None or run.started <= since)
        and run.end is not End.BEGUN
        and run.run_id not in kept
    ]
    return [run for run in old if not _is_published(place, run)]


def _is_published(place: Shelf, run: Run) -> bool:
    """Whether what a run made was published: as it was, or made again without the mark of a draft."""
    if run.end is not End.MADE:
        return False
    known = shelf.recorded(place, run.report)
    left = record.parse(place.read(f"{_folder(run)}/{record.FILE}"))
    if known is None or run.made is None:
        return False
    versions: list[RunRecord | Earlier] = [known, *known.earlier]
    for version in versions:
        if version.run_id == run.made and version.state is not State.DRAFT:
            return True
        if version.sign_off is not None and left is not None and version.sign_off.draft == left.outputs:
            return True
    return False


def clear(place: Shelf, report: str, retention: Retention, now: datetime, /) -> list[Run]:
    """Remove the runs of a report that are `expired`; whoever calls holds the lock of `place`.

    Returns:
        Those that were removed.
    """
    gone = expired(place, report, retention, now)
    for run in gone:
        _remove(place, run)
    return gone


def _remove(place: Shelf, run: Run) -> None:
    folder = _folder(run)
    # last what says that there was one: whoever is killed meanwhile leaves a run that is removed the next time
    for name in place.names(folder):
        if name != FILE:
            place.remove(f"{folder}/{name}")
    place.remove(folder)


def _folder(run: Run) -> str:
    return f"{FOLDER}/{run.report}/{run.run_id}"


def _write(place: Shelf, run: Run) -> None:
    place.write(f"{_folder(run)}/{FILE}", (run.model_dump_json(indent=2) + "\n").encode())


def _read(place: Shelf, report: str, run_id: str) -> Run | None:
    content = place.read(f"{FOLDER}/{report}/{run_id}/{FILE}")
    try:
        run = None if content is None else Run.model_validate_json(content)
    except ValueError:
        return None
    # one that was copied to another place says what is written down there, and would be changed and removed there
    return run if run is not None and (run.report, run.run_id) == (report, run_id) else None
