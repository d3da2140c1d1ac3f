"""How a process that serves is, for whoever asks on this machine: an address, and a file that grows old if it hangs.

Nothing here repeats what others wrote: an error may quote data, or a secret put in its way.
"""

import contextlib
import errno
import json
import os
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from analysis import paths, storage
from analysis.publish import record
from analysis.schedule import due
from analysis.schedule.due import Standing
from analysis.schedule.runs import FOLDER, End, Run

_PATH = "/health"
_LOOPBACK = "127.0.0.1"
# What a page on the web could have its own name lead to is still asked for by that name.
_HOSTS = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.IGNORECASE)

# seconds between two beats
_BEAT = 5.0
# So many looks may be late, and so many seconds in any case, before the process is unwell.
_LATE, _PATIENCE = 3, 60.0
# seconds for whoever asks to say what
_SLOWEST = 5.0

_OK, _UNWELL = "ok", "unwell"


class ServingError(Exception):
    """A process that cannot begin to serve. The message says why and what to do."""


def heart_beat(project: paths.Project, /) -> Path:
    """The file that shows that a process on this machine is alive, unless another is named."""
    # hidden, so that nobody takes it for the runs of a report
    host = re.sub(r"[^\w.-]", "-", socket.gethostname())
    return project.reports / FOLDER / f".heart-beat-{host}.json"


def url(port: int, /) -> str:
    """Where to ask how a process is."""
    return f"http://{_LOOPBACK}:{port}{_PATH}"


class Wellbeing:
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
        self._n_reports = self._n_untold = 0
        self._failed: list[str] = []
        self._coming: datetime | None = None
        self.stands(found)

    @property
    def started(self) -> datetime:
        """When the process began, in UTC."""
        return self._started

    @property
    def coming(self) -> datetime | None:
        """The next moment at which something can be run, in UTC; null if there is none."""
        return self._coming

    @property
    def is_looking(self) -> bool:
        """Whether a look at the schedule has begun and not ended."""
        return self._looking_since is not None

    @property
    def in_hand(self) -> list[str]:
        """The reports that are being made."""
        with self._lock:
            return list(self._in_hand)

    def beats(self) -> None:
        """Say that the main thread lives."""
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
        """Let no further look begin."""
        with self._lock:
            self._is_closed = True

    def runs(self, run: Run) -> None:
        """Say that a run has begun, or has ended."""
        with self._lock:
            self._last_sign = time.monotonic()
            if run.end is End.BEGUN:
                self._in_hand[run.report] = None
            else:
                self._in_hand.pop(run.report, None)

    def stands(self, found: Sequence[Standing], n_untold: int = 0) -> None:
        """Say where each report stands, and how many things people could not be told yet."""
        moments = [one.now if one.is_due else one.coming for one in found]
        with self._lock:
            self._n_reports, self._n_untold = len(found), n_untold
            self._failed = [one.entry.name for one in found if one.state is due.State.FAILED]
            self._coming = min((moment for moment in moments if moment is not None), default=None)

    def has_looked(self, problem: str | None) -> None:
        """Say that a look has ended, and in words that quote nothing what was wrong, if anything was."""
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
                "untold": self._n_untold,
            }


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@contextlib.contextmanager
def at(port: int, told: Callable[[], Mapping[str, object]]) -> Iterator[int]:
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
        elif self.path.partition("?")[0] != _PATH:
            self.send_error(404)
        else:
            told = self.server.told()
            self._answer(200 if told["status"] == _OK else 503, told)

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(self, code: int, *_: object) -> None:
        # not the library's page, which repeats what was asked for; what it does not know is not here either
        self._answer(404 if code == 501 else code, {"error": f"there is nothing but {_PATH}"})

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


class Heart:
    """A file that is written anew every few seconds by the main thread, so that it grows old if that hangs."""

    def __init__(self, path: Path, wellbeing: Wellbeing, port: int):
        self._path, self._wellbeing, self._port = path, wellbeing, port
        self._written: tuple[float, object] | None = None
        self._is_broken = False

    def begin(self) -> None:
        """Write the file for the first time.

        Raises:
            OSError: if it cannot be written.
        """
        # what a process that was killed in the middle of writing left; its name is this machine's own
        for left in self._path.parent.glob(f".{self._path.name}.*"):
            storage.remove(left)
        self._write(self._wellbeing.told()["status"])

    def go_on(self, complain: Callable[[str], None]) -> None:
        """Say that the main thread lives, and write so if it is time; what goes wrong is told once."""
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
        """Take the file away: this is a clean end."""
        with contextlib.suppress(OSError):
            self._path.unlink()
