"""What is due: for one report, what its cron lines, its release calendar and its past runs come to at a moment."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import chain, takewhile

from analysis.schedule import moments
from analysis.schedule.rota import Entry
from analysis.schedule.runs import End, Origin, Run

# A run that was cut off is begun again. One that is cut off so often in a row may be what ends its own process.
MOST_INTERRUPTIONS = 5
_CUT = (End.INTERRUPTED, End.BEGUN)


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
        now: the moment.
        state: whether it is due, and if not, why.
        due: the moment that it is, or was last, due for; null if none has come yet.
        attempt: which attempt the next run for that moment would be, from 1.
        last: its last run; null if there is none.
        since: its last run for an earlier moment that was not cut off, or the first that was; null if there is none.
        retry: when it is tried again, if it has failed and is to be; else null.
    """

    entry: Entry
    now: datetime
    state: State
    due: datetime | None
    attempt: int
    last: Run | None
    since: Run | None
    retry: datetime | None

    @cached_property
    def missed(self) -> int:
        """How many moments before the one that it is due for came to nothing, of those after its last run."""
        if self.due is None or self.since is None:
            return 0
        is_lost = self.since.end in _CUT
        return moments.between(self.entry.lines, self.since.due, self.due) + is_lost

    @property
    def is_due(self) -> bool:
        """Whether it is to be run now."""
        return self.state is State.DUE

    @property
    def is_amiss(self) -> bool:
        """Whether its report is not as it should be by now, and nothing but time or a person mends that."""
        return self.state in (State.FAILED, State.RETRY, State.BEGUN)

    @property
    def age(self) -> timedelta | None:
        """How long ago its last run ended, or began if it has not; null if there is none."""
        return None if self.last is None else self.now - (self.last.finished or self.last.started)

    @property
    def is_cut_off(self) -> bool:
        """Whether its last run has begun and not ended: it is running, or whoever ran it is gone."""
        return self.last is not None and self.last.end is End.BEGUN

    @property
    def held(self) -> str | None:
        """Why the release calendar holds it, in words; null if it does not."""
        return self.entry.calendar.held(self.now) if self.state is State.HELD else None

    @cached_property
    def coming(self) -> datetime | None:
        """When it can be run next; null if it can be now, or never."""
        calendar = self.entry.calendar
        if self.state in (State.DUE, State.BEGUN):
            return None
        if self.state is State.HELD:
            return calendar.free(self.now)
        moment = self.retry or moments.coming(self.entry.lines, self.now)
        return None if moment is None else calendar.free(moment)


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
    since: Run | None = None
    if last is not None and (latest is None or last.due >= latest):
        # the later of the two, as lines may have been changed since
        latest = last.due
    if last is None or last.due != latest or not last.end.is_success:
        for run in chain([] if last is None else [last], runs):
            if run.due == latest:
                of_moment.append(run)
            else:
                since = run
                if run.end not in _CUT:
                    break
    else:
        of_moment = [last]
    state, retry = _judged(entry, of_moment, latest, now, again=again)
    if state is State.DUE and entry.calendar.held(now) is not None:
        state = State.HELD
    attempt = 1 + max((run.attempt for run in of_moment), default=0)
    return Standing(entry, now, state, latest, attempt, last, since, retry)


def _judged(
    entry: Entry, of_moment: list[Run], latest: datetime | None, now: datetime, *, again: bool
) -> tuple[State, datetime | None]:
    if latest is None or any(run.end.is_success for run in of_moment):
        return State.NOT_DUE, None
    if of_moment and of_moment[0].end is End.BEGUN:
        return State.BEGUN, None
    failed = [run for run in of_moment if run.end is End.FAILED]
    if not of_moment or again:
        return State.DUE, None
    if is_final(entry, len(failed)):
        return State.FAILED, None
    # one that was cut off is begun again at once; if it is again, something may be wrong that takes a while
    if of_moment[0].end is End.FAILED or interruptions(of_moment) > 1:
        retry = (of_moment[0].finished or of_moment[0].started) + entry.retry_after
        # a clock that was put back must not make it wait for longer than it would have
        if now < retry <= now + entry.retry_after:
            return State.RETRY, retry
    return State.DUE, None


def is_final(entry: Entry, n_failed: int, /) -> bool:
    """Whether a moment is given up after so many attempts that failed."""
    return n_failed > entry.retries


def interruptions(past: Iterable[Run], /) -> int:
    """How many runs of the schedule were cut off in a row, up to the last one; `past` has the last one first."""
    of_schedule = (run for run in past if run.origin is Origin.SCHEDULE)
    return sum(1 for _ in takewhile(lambda run: run.end in _CUT, of_schedule))
