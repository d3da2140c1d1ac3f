"""Run what is due for as long as the process lives, and tell on this machine how it is.

A look at the schedule is `running.run_due`, in a thread of its own. The main thread watches the clock, shows by a
file that it is alive, and takes signals. Nothing is remembered here: who is killed is started again, and goes on.
"""

import contextlib
import errno
import json
import logging
import math
import os
import queue
import re
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from analysis import paths, storage
from analysis.publish import record
from analysis.publish.shelf import LockedError, Shelf, ShelfError
from analysis.schedule import coming, due, running
from analysis.schedule.due import Standing
from analysis.schedule.outbox import Telling
from analysis.schedule.rota import Rota, ScheduleError
from analysis.schedule.runs import End, Run
from analysis.vocabulary import ForcesError

HEALTH = "/health"
_LOOPBACK = "127.0.0.1"
# What a page on the web could have its own name lead to is still asked for by that name.
_HOSTS = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.IGNORECASE)

# seconds
_STEP, _BEAT = 1.0, 5.0
# A clock that is off by less is being set right, which it is all the time.
_JUMP = 2.0
# So many looks may be late, and so many seconds in any case, before the process is unwell.
_LATE, _PATIENCE = 3, 60.0
# seconds for whoever asks to say what
_SLOWEST = 5.0
_LOOK = "look"
_NAMED = 3

_OK, _UNWELL = "ok", "unwell"


class ServingError(Exception):
    """A process that cannot begin to serve. The message says why and what to do."""


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


def heart_beat(project: paths.Project, /) -> Path:
    """The file that shows that a process on this machine is alive, unless another is named."""
    # hidden, so that nobody takes it for the runs of a report
    host = re.sub(r"[^\w.-]", "-", socket.gethostname())
    return project.reports / "runs" / f".heart-beat-{host}.json"


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
    wellbeing = _Wellbeing(terms.every, found)
    saying = _unbreakable(saying)
    with _health_at(terms.port, wellbeing.told) as port, _Signals() as signals:
        heart = _Heart(terms.heart_beat, wellbeing, port)
        heart.begin()
        url = f"http://{_LOOPBACK}:{port}{HEALTH}"
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
                look.note(f"The watch over the clock failed: {_in_one_line(error)}.")
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


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def _unbreakable(saying: Saying) -> Saying:
    """The same, but for whoever read along and has gone: that ends neither a run nor the process."""

    def unbreakable(told: Callable[[Any], None]) -> Callable[[Any], None]:
        def tell(what: Any) -> None:
            # rich leaves the process when a pipe breaks
            with contextlib.suppress(Exception, SystemExit):
                told(what)

        return tell

    return Saying(
        unbreakable(saying.begun),
        unbreakable(saying.tell),
        unbreakable(saying.say),
        unbreakable(saying.complain),
    )


# ------------------------------------------------------------------------ how it is


class _Wellbeing:
    """What is known of the looks and of the main thread: told by both, and asked by those who serve health."""

    def __init__(self, every: float, found: Sequence[Standing]):
        self._lock = threading.Lock()
        self._limit = max(_LATE * every, _PATIENCE)
        self._started = self._beat = record.now()
        # by the clock that nobody puts forward or back
        self._last_beat = self._last_sign = time.monotonic()
        self._looking_since: float | None = None
        self._is_closed = False
        self._last_look: datetime | None = None
        self._last_look_seconds: float | None = None
        self._problem: str | None = None
        self._in_hand: dict[str, None] = {}
        self._n_reports = 0
        self._failed: list[str] = []
        self._coming: datetime | None = None
        self.stands(found)

    @property
    def started(self) -> datetime:
        return self._started

    @property
    def coming(self) -> datetime | None:
        return self._coming

    @property
    def is_looking(self) -> bool:
        return self._looking_since is not None

    @property
    def in_hand(self) -> list[str]:
        with self._lock:
            return list(self._in_hand)

    def beats(self) -> None:
        with self._lock:
            self._beat, self._last_beat = record.now(), time.monotonic()

    def may_look(self) -> bool:
        """Say that a look begins; refused when the process is about to leave, which would wait for it."""
        with self._lock:
            if self._is_closed:
                return False
            self._looking_since = self._last_sign = time.monotonic()
            return True

    def close(self) -> None:
        with self._lock:
            self._is_closed = True

    def runs(self, run: Run) -> None:
        with self._lock:
            self._last_sign = time.monotonic()
            if run.end is End.BEGUN:
                self._in_hand[run.report] = None
            else:
                self._in_hand.pop(run.report, None)

    def stands(self, found: Sequence[Standing]) -> None:
        now = record.now()
        first = coming.following(found, now, most=1)
        with self._lock:
            self._n_reports = len(found)
            self._failed = [one.entry.name for one in found if one.state is due.State.FAILED]
            self._coming = first[0].when if first else None

    def has_looked(self, problem: str | None) -> None:
        with self._lock:
            now = time.monotonic()
            self._last_look = record.now()
            self._last_look_seconds = round(now - (self._looking_since or now), 3)
            self._problem, self._last_sign = problem, now
            if problem is not None:
                self._coming = None
            # what was begun and has not ended is begun again
            self._in_hand.clear()
            self._looking_since = None

    def _why(self) -> str | None:
        now = time.monotonic()
        if now - self._last_beat > _PATIENCE:
            return f"The main thread has stood still for {now - self._last_beat:.0f} seconds."
        if now - self._last_sign > self._limit and not self._in_hand:
            return f"There was no look at the schedule for {now - self._last_sign:.0f} seconds."
        return self._problem

    def told(self) -> dict[str, object]:
        """How it is, without a word of what others wrote: an error may quote data, or a secret put in its way."""
        with self._lock:
            why = self._why()
            return {
                "status": _OK if why is None else _UNWELL,
                "why": why,
                "started": _written(self._started),
                "beat": _written(self._beat),
                "last_look": _written(self._last_look),
                "last_look_seconds": self._last_look_seconds,
                "reports": self._n_reports,
                "running": list(self._in_hand),
                "due_next": _written(self._coming),
                "failed": list(self._failed),
            }


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@contextlib.contextmanager
def _health_at(port: int, told: Callable[[], Mapping[str, object]]) -> Iterator[int]:
    """Tell how it is to whoever asks on this machine; gives the port."""
    try:
        server = _HealthServer(port, told)
    except OSError as error:
        what = (
            "is taken, perhaps by another casegrade schedule serve: stop that"
            if error.errno == errno.EADDRINUSE
            else f"cannot be used ({error.strerror})"
        )
        raise ServingError(f"Port {port} {what}, or name another with --port.") from error
    thread = threading.Thread(target=server.serve_forever, name="casegrade-health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _HealthServer(ThreadingHTTPServer):
    daemon_threads = True
    # Elsewhere it lets a port be used that was just left. There it would let two share one.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, port: int, told: Callable[[], Mapping[str, object]]):
        self.told = told
        super().__init__((_LOOPBACK, port), _HealthHandler)

    def server_bind(self) -> None:
        # not HTTPServer's, which asks the network for the name of this machine
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _LOOPBACK, int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: whoever asked has gone."""


class _HealthHandler(BaseHTTPRequestHandler):
    server: _HealthServer
    server_version, sys_version = "casegrade", ""
    timeout = _SLOWEST

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not _HOSTS.fullmatch(hosts[0].strip()):
            self._answer(403, {"error": "asked for by another name than 127.0.0.1 or localhost"})
        elif self.path.partition("?")[0] != HEALTH:
            self.send_error(404)
        else:
            told = self.server.told()
            self._answer(200 if told["status"] == _OK else 503, told)

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(self, code: int, *_: object) -> None:
        # not the library's page, which repeats what was asked for; what it does not know is not here either
        self._answer(404 if code == 501 else code, {"error": f"there is nothing but {HEALTH}"})

    def _answer(self, code: int, told: Mapping[str, object]) -> None:
        content = (json.dumps(told) + "\n").encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: whoever asks every few seconds is no news."""


class _Heart:
    """A file that is written anew every few seconds by the main thread, so that it grows old if that hangs."""

    def __init__(self, path: Path, wellbeing: _Wellbeing, port: int):
        self._path, self._wellbeing, self._port = path, wellbeing, port
        self._written: tuple[float, object] | None = None
        self._is_broken = False

    def begin(self) -> None:
        # what a process that was killed in the middle of writing left; its name is this machine's own
        for left in self._path.parent.glob(f".{self._path.name}.*"):
            storage.remove(left)
        self._write(self._wellbeing.told()["status"])

    def go_on(self, complain: Callable[[str], None]) -> None:
        self._wellbeing.beats()
        status = self._wellbeing.told()["status"]
        if self._written is not None:
            last, said = self._written
            if status == said and time.monotonic() - last < _BEAT:
                return
        try:
            self._write(status)
            self._is_broken = False
        except OSError as error:
            if not self._is_broken:
                complain(f"{self._path} cannot be written ({error.strerror or error}): mend that.")
            self._is_broken = True

    def _write(self, status: object) -> None:
        # even if it cannot be written, it is not tried at every step
        self._written = (time.monotonic(), status)
        beat = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "beat": record.now().isoformat(),
            "started": self._wellbeing.started.isoformat(),
            "port": self._port,
            "status": status,
        }
        storage.write_text(self._path, json.dumps(beat) + "\n")

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()


# ------------------------------------------------------------------------ what it does


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
        wellbeing: _Wellbeing,
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
            told = f"The look at the schedule ended in {_in_one_line(error)}. The next one tries again."
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
            self._wellbeing.stands(running.standings(self._place, rota.entries, record.now()))

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
