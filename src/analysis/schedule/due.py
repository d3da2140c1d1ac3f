"""What is due: for one report, what its cron lines, its release calendar and its past runs come to at a moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from analysis.schedule import moments
from analysis.schedule.rota import Entry
from analysis.schedule.runs import End, Origin, Run

# A run that was cut off is begun again. One that is cut off so often in a row may be what ends its own process.
MOST_INTERRUPTIONS = 5


class State(StrEnum):
    """Where a report stands in its schedule."""

    DUE = "due"
    NOT_DUE = "not due"
    HELD = "held"
    RETRY = "to be tried again"
    FAILED = "failed"
    BEGUN = "begun"


@dataclass(frozen=True)
class Standing:
    """Where one report stands at a moment. Every moment is in UTC.

    Attributes:
        entry: its line of the schedule.
        state: whether it is due, and if not, why.
        due: the moment that it is, or was last, due for; null if none has come yet.
        attempt: which attempt the next run for that moment would be, from 1.
        missed: how many moments before that one nothing ran at, of those after the last run.
        coming: when it can be run next, if it is not due; null if never.
        reason: why it is held, in words; else null.
        last: its last run; null if there is none.
        since: its last run for an earlier moment; null if there is none.
    """

    entry: Entry
    state: State
    due: datetime | None
    attempt: int
    missed: int
    coming: datetime | None
    reason: str | None
    last: Run | None
    since: Run | None


def standing(entry: Entry, past: Iterable[Run], now: datetime, /, *, again: bool = False) -> Standing:
    """Where a report stands at `now`.

    It is due if its last moment at or before `now` has no run that went well. Whatever moments lie between the
    last run and that one are made up for by one run. Runs of moments after `now` do not count: a clock was wrong.

    Args:
        entry: its line of the schedule.
        past: its runs, the one that was due last first; read only as far as needed.
        now: the moment.
        again: whether what has failed for good is due once more.
    """
    runs = (run for run in past if run.origin is Origin.SCHEDULE and run.due <= now)
    last = next(runs, None)
    latest = moments.latest(entry.lines, now)
    of_moment: list[Run] = []
    since = last
    if last is not None and (latest is None or last.due >= latest):
        # the later of the two, as lines may have been changed since
        latest = last.due
        of_moment, since = [last], None
        for run in runs:
            if run.due != latest:
                since = run
                break
            of_moment.append(run)
    missed = 0
    if latest is not None and since is not None:
        missed = moments.between(entry.lines, since.due, latest)
    attempt = len(of_moment) + 1
    state, coming = _judged(entry, of_moment, latest, now, again=again)
    reason = entry.calendar.held(now) if state is State.DUE else None
    if reason is not None:
        state, coming = State.HELD, entry.calendar.free(now)
    if coming is None and state in (State.NOT_DUE, State.FAILED):
        coming = following(entry, now)
    return Standing(entry, state, latest, attempt, missed, coming, reason, last, since)


def _judged(
    entry: Entry, of_moment: list[Run], latest: datetime | None, now: datetime, *, again: bool
) -> tuple[State, datetime | None]:
    if latest is None or any(run.end.is_success for run in of_moment):
        return State.NOT_DUE, None
    if of_moment and of_moment[0].end is End.BEGUN:
        return State.BEGUN, None
    failed = [run for run in of_moment if run.end is End.FAILED]
    if not failed or again:
        return State.DUE, None
    if is_final(entry, len(failed)):
        return State.FAILED, None
    if of_moment[0].end is End.FAILED:
        retry = (of_moment[0].finished or of_moment[0].started) + entry.retry_after
        # a clock that was put back must not make it wait for longer than it would have
        if now < retry <= now + entry.retry_after:
            return State.RETRY, entry.calendar.free(retry)
    return State.DUE, None


def is_final(entry: Entry, n_failed: int, /) -> bool:
    """Whether a moment is given up after so many attempts that failed."""
    return n_failed > entry.retries


def following(entry: Entry, now: datetime, /) -> datetime | None:
    """When a report that is not due can be run next: at its next moment, or when the release calendar lets it."""
    moment = moments.coming(entry.lines, now)
    return None if moment is None else entry.calendar.free(moment)


def interruptions(past: Iterable[Run], due: datetime, /) -> int:
    """How many runs for a moment were cut off in a row, up to the last one; `past` has the last one first."""
    n_cut = 0
    for run in past:
        if run.origin is Origin.SCHEDULE and run.due == due:
            if run.end not in (End.INTERRUPTED, End.BEGUN):
                break
            n_cut += 1
        elif run.due < due:
            break
    return n_cut
