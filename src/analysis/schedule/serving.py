"""Run what is due for as long as the process lives, and tell on this machine how it is.

A look at the schedule is `running.run_due`, in a thread of its own. The main thread watches the clock, shows by a
file that it is alive, and takes signals. Nothing is remembered here: who is killed is started again, and goes on.
"""

import contextlib
import logging
import math
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from analysis import paths
from analysis.present import plainly
from analysis.publish import record
from analysis.publish.shelf import LockedError, Shelf, ShelfError
from analysis.schedule import health, outbox, running
from analysis.schedule.health import Heart, Wellbeing
from analysis.schedule.outbox import Telling
from analysis.schedule.rota import Rota, ScheduleError
from analysis.schedule.runs import Run
from analysis.vocabulary import ForcesError

# seconds
_STEP = 1.0
# A clock that is off by less is being set right, which it is all the time.
_JUMP = 2.0
_LOOK = "look"
_NAMED = 3


class _OutdatedError(Exception):
    """The code in memory is no longer the code that there is."""


@dataclass(frozen=True)
class Terms:
    """How a process serves.

    Attributes:
        port: where it tells how it is, on this machine only; 0 for any that is free.
        heart_beat: the file that shows that it is alive.
        every: seconds from one look at the schedule to the next.
        grace: seconds that a run in hand may take when the process is asked to stop.
        jobs: how many reports to make at a time.
    """

    port: int
    heart_beat: Path
    every: float
    grace: float
    jobs: int


@dataclass(frozen=True)
class Begun:
    """What there is to know when it begins: how many reports, the next moment in UTC, and where it tells how it is."""

    n_reports: int
    coming: datetime | None
    health: str
    heart_beat: Path


@dataclass(frozen=True)
class Saying:
    """Who is told of what.

    Attributes:
        begun: called once, before the first look.
        tell: called when a run begins and when it has ended.
        say: is told what else there is to know.
        complain: is told what went wrong.
    """

    begun: Callable[[Begun], None]
    tell: Callable[[Run], None]
    say: Callable[[str], None]
    complain: Callable[[str], None]


def serve(
    project: paths.Project,
    place: Shelf,
    terms: Terms,
    /,
    *,
    read: Callable[[], Rota],
    telling: Callable[[Rota], Telling | None],
    saying: Saying,
) -> bool:
    """Look at the schedule again and again, and run what is due, until a signal asks to stop. A second leaves at once.

    The schedule is read at each look. What goes wrong later is told once, and again if something else does; it
    never ends the process.

    Args:
        project: where raw files and notebooks are.
        place: where the reports are, and the runs beside them.
        terms: how to serve.
        read: the schedule as it is now.
        telling: how people are told, by a schedule.
        saying: who is told of what.

    Returns:
        Whether no run was in hand at the end. Else whoever calls has to leave by `os._exit`, as Python would wait
        for it; its workers end with the process.

    Raises:
        ScheduleError, ForcesError: if there is no schedule to begin with.
        ServingError: if the port cannot be used.
        ShelfError: if the place of the reports cannot be read.
        OSError: if the heart beat cannot be written.
    """
    rota = read()
    found = running.standings(place, rota.entries, record.now())
    wellbeing = Wellbeing(terms.every, found)
    saying = _unbreakable(saying)
    with health.at(terms.port, wellbeing.told) as port, _Signals() as signals:
        heart = Heart(terms.heart_beat, wellbeing, port)
        heart.begin()
        url = health.url(port)
        saying.begun(Begun(len(rota.entries), wellbeing.coming, url, terms.heart_beat))
        look = _Look(project, place, terms.jobs, read, telling, saying, wellbeing)
        rhythm = _Rhythm(look, terms.every)
        watch = _ClockWatch()
        rhythm.begin()
        while not signals.came_within(_STEP):
            try:
                if (shift := watch.shift()) is not None:
                    saying.say(_shifted(shift))
                    rhythm.now()
                heart.go_on(saying.complain)
            except Exception as error:
                look.note(f"The watch over the clock failed: {plainly.told(error)}.")
        rhythm.end()
        wellbeing.close()
        if wellbeing.is_looking:
            saying.say(f"Stopping: waits {terms.grace:g} seconds for {_named(wellbeing.in_hand)}.")
        until = time.monotonic() + terms.grace
        while wellbeing.is_looking and time.monotonic() < until:
            signals.came_within(min(_STEP, max(until - time.monotonic(), 0.0)))
            heart.go_on(saying.complain)
        if wellbeing.is_looking:
            saying.complain(f"Left {_named(wellbeing.in_hand)} behind: the next start begins it again.")
            return False
        heart.end()
    saying.say("Stopped.")
    return True


def _named(reports: Sequence[str]) -> str:
    if not reports:
        return "a look at the schedule"
    return ", ".join(reports) if len(reports) <= _NAMED else f"{len(reports)} reports"


def _shifted(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if abs(seconds) >= 2 * size:
            told = f"{abs(seconds) / size:.0f} {unit}"
            break
    else:
        told = f"{abs(seconds):.0f} seconds"
    how = f"put back by {told}" if seconds < 0 else f"put forward by {told}, or stood still so long"
    return f"The clock was {how}: looks at the schedule now."


def _speak_to_nobody() -> None:
    """Let what nobody reads any more go nowhere: Python would end in an error over what it could not write."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


def _unbreakable(saying: Saying) -> Saying:
    """The same, but for whoever read along and has gone: that ends neither a run nor the process."""

    def unbreakable(told: Callable[[Any], None]) -> Callable[[Any], None]:
        def tell(what: Any) -> None:
            try:
                told(what)
            except (OSError, SystemExit):
                # rich leaves the process when a pipe breaks
                _speak_to_nobody()
            except Exception:
                # how it is told is no reason to stop what is told of
                return

        return tell

    return Saying(
        unbreakable(saying.begun),
        unbreakable(saying.tell),
        unbreakable(saying.say),
        unbreakable(saying.complain),
    )


class _Look:
    """One look at the schedule after the other; what goes wrong is told if it did not at the look before."""

    def __init__(
        self,
        project: paths.Project,
        place: Shelf,
        jobs: int,
        read: Callable[[], Rota],
        telling: Callable[[Rota], Telling | None],
        saying: Saying,
        wellbeing: Wellbeing,
    ):
        self._project, self._place, self._read, self._telling = project, place, read, telling
        self._make = running.batches(jobs=jobs, say=self._say)
        self._saying, self._wellbeing = saying, wellbeing
        self._code = record.code_hash()
        self._said: set[str] = set()
        self._said_before: set[str] = set()
        self._had_problem = False

    def __call__(self) -> None:
        if not self._wellbeing.may_look():
            return
        problem: str | None = "The last look at the schedule did not end."
        try:
            problem = self._problem()
        finally:
            if self._had_problem and problem is None:
                self._saying.say("What was wrong is mended: goes on.")
            self._had_problem = problem is not None
            self._said_before, self._said = self._said, set()
            self._wellbeing.has_looked(problem)

    def note(self, message: str, say: Callable[[str], None] | None = None) -> None:
        is_new = message not in self._said | self._said_before
        self._said.add(message)
        if is_new:
            (say or self._saying.complain)(message)

    def _problem(self) -> str | None:
        """Look; returns what was wrong in words that quote nothing, or null."""
        try:
            self._look()
        except LockedError:
            # whoever writes does what is due; if not, the next look does
            return None
        except _OutdatedError:
            problem = told = "The code of casegrade changed since this process started: start it again."
        except (ScheduleError, ForcesError) as error:
            problem, told = "The schedule cannot be used as it is: see the log.", str(error)
        except ShelfError as error:
            problem, told = "The place of the reports cannot be used: see the log.", str(error)
        except BaseException as error:
            # panics of Polars are no exceptions to Python
            problem = f"The last look at the schedule ended in {type(error).__name__}: see the log."
            told = f"The look at the schedule ended in {plainly.told(error)}. The next one tries again."
        else:
            return None
        self.note(told)
        return problem

    def _look(self) -> None:
        # a pull may have brought data, which belong to another commit then
        record.revision.cache_clear()
        if record.code_hash() != self._code:
            # workers would have the new one, and what asks them the old
            raise _OutdatedError
        rota = self._read()
        try:
            running.run_due(
                self._project,
                self._place,
                rota,
                make=self._make,
                telling=self._telling(rota),
                tell=self._tell,
                say=self._say,
            )
        finally:
            found = running.standings(self._place, rota.entries, record.now())
            self._wellbeing.stands(found, outbox.n_waiting(self._place))

    def _say(self, message: str) -> None:
        self.note(message, self._saying.say)

    def _tell(self, run: Run) -> None:
        self._wellbeing.runs(run)
        self._saying.tell(run)


class _Rhythm:
    """When there is a look: now, and then at every whole minute, or whatever it is; never two at a time."""

    def __init__(self, look: Callable[[], None], every: float):
        # only who serves needs it
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.triggers.base import BaseTrigger

        class Whole(BaseTrigger):  # type: ignore[misc]
            # APScheduler's own interval counts every moment that a clock was put forward over, one by one
            def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
                if previous_fire_time is None:
                    return now
                return datetime.fromtimestamp((math.floor(now.timestamp() / every) + 1) * every, UTC)

        # it has nothing to say that a look does not say better, such as that one takes longer than a minute
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL + 1)
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._scheduler.add_job(
            look, Whole(), id=_LOOK, max_instances=1, coalesce=True, misfire_grace_time=None
        )

    def begin(self) -> None:
        self._scheduler.start()

    def now(self) -> None:
        self._scheduler.modify_job(_LOOK, next_run_time=datetime.now(UTC))

    def end(self) -> None:
        self._scheduler.shutdown(wait=False)


class _ClockWatch:
    """Whether the clock was put forward or back: held against one that nobody can put."""

    def __init__(self) -> None:
        self._apart = self._now()

    @staticmethod
    def _now() -> float:
        return time.time() - time.monotonic()

    def shift(self) -> float | None:
        """By how many seconds it was since the last time; null if by none that matter."""
        shift = self._now() - self._apart
        if abs(shift) < _JUMP:
            return None
        self._apart += shift
        return shift


class _Signals:
    """The signals that ask to stop: the first one in good order, the second at once."""

    def __init__(self) -> None:
        # of all that a handler can wake the main thread by, this alone cannot be held by it
        self._came: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._n_came = 0

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._take) for one in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _take(self, signum: int, _frame: object) -> None:
        self._n_came += 1
        if self._n_came > 1:
            os._exit(128 + signum)
        self._came.put(signum)

    def came_within(self, seconds: float) -> bool:
        try:
            self._came.get(timeout=seconds)
        except queue.Empty:
            return False
        return True
