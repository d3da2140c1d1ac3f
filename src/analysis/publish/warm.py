"""Processes forked from a warm server: one that has every heavy library imported and waits.

Importing the libraries takes seconds, a fork of a process that has them takes milliseconds. The
server is the fork server of `multiprocessing`, started once per user, code and environment, and
shared by every process that asks: several batches, their workers, Papermill, JupyterLab. It ends
when nobody has used it for a while.

Only imports and one empty chart happen in the server. A query there would start Polars' threads, which a fork loses.
"""

import atexit
import contextlib
import errno
import functools
import gc
import hashlib
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection as waiting
from multiprocessing import get_all_start_methods, reduction
from pathlib import Path
from typing import Any

from analysis import paths

if sys.platform != "win32":
    import fcntl
    import resource
    from multiprocessing import forkserver, resource_tracker

    _LIMITED = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))

VARIABLE = "CASEGRADE_WARM"
IDLE = 300.0

# In the order of their weight on each other; whatever a kernel, a page or a spreadsheet would import.
_PRELOAD = (
    "analysis.surface",
    "analysis.present.sections",
    "analysis.present.quality",
    "IPython.core.completer",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "pdb",
    "sqlite3",
    "tornado.platform.asyncio",
    "ipykernel.kernelspec",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "ipykernel.subshell_manager",
    "analysis.publish.batch",
    "analysis.publish.making",
    "analysis.publish.runner",
    "statsmodels.stats.nonparametric",
    "statsmodels.stats.power",
    "statsmodels.stats.proportion",
    "narwhals._interchange.dataframe",
    "nbconvert",
    "bs4",
    "jinja2.ext",
    "jupyterlab_pygments",
    "pygments.formatters.html",
    "gptables",
    "pandas.core.reshape.reshape",
    "encodings.utf_8_sig",
    "encodings.utf_16_le",
    "encodings.utf_16_be",
    "polars._utils.udfs",
    "vl_convert",
)
# Settings that libraries read while they are imported: a server that read others is another server.
_READ_AT_IMPORT = ("PYTHON", "POLARS_", "OPENBLAS_", "OMP_", "MKL_", "LD_", "LANG", "LC_", "MPL")
_START_SECONDS = 120
# Seconds until the folder of a server that is gone, which holds its log, is removed.
_KEPT = 24 * 3600.0


class WarmError(Exception):
    """No process could be forked. The message says why."""


def idle() -> float | None:
    """Seconds that an unused server stays; null if there is to be none, here or by `CASEGRADE_WARM=off`."""
    said = os.environ.get(VARIABLE, "").strip().lower()
    if said == "off" or sys.platform != "linux" or "forkserver" not in get_all_start_methods():
        return None
    try:
        return float(said) if said else IDLE
    except ValueError:
        return IDLE


@dataclass
class Process:
    """A forked process, with the face of `subprocess.Popen` that Jupyter's managers know.

    It leads a process group of its own, and ends when the process that asked for it does.
    """

    pid: int
    _status: int
    _owner: int
    returncode: int | None = None
    stdin: None = None
    stdout: None = None
    stderr: None = None
    args: tuple[str, ...] = field(default=())
    # asked by the thread that waits for it and by the one that kills it
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def fileno(self) -> int:
        """A descriptor that becomes readable when the process has ended."""
        return self._status

    def poll(self) -> int | None:
        """The exit code, negative for a signal; null while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            TimeoutExpired: if it has not ended in time.
        """
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        status = self._status
        if self.returncode is None and status >= 0 and waiting.wait([status], timeout):
            with self._lock:
                if self.returncode is None and self._status >= 0:
                    self.returncode = self._read()
            self.close()
        return self.returncode

    def _read(self) -> int:
        try:
            code: int = forkserver.read_signed(self._status)
        except (OSError, EOFError):
            # the server went before its child: nothing will tell how the child ends
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            code = 255
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal to its whole group, if it still runs."""
        if self.poll() is None:
            self._send(signum)

    def _send(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            try:
                os.killpg(self.pid, signum)
            except ProcessLookupError:
                # so young that it has no group yet
                os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Ask its group to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End its group at once."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of it. One that still runs is told so, and ends."""
        with self._lock:
            for name in ("_status", "_owner"):
                if (descriptor := getattr(self, name)) >= 0:
                    setattr(self, name, -1)
                    os.close(descriptor)

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.close()


def fork(
    target: Callable[..., Any],
    /,
    *args: Any,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    files: Sequence[int] = (),
    path: Sequence[str] | None = None,
    stdout: int = 1,
    stderr: int = 2,
) -> Process:
    """Call `target` in a process forked from the warm server, which is started if there is none.

    Args:
        target: a function that can be imported by name; it gets `args`, which can be pickled, and
            then the descriptors of `files` as they are numbered there.
        args: its arguments.
        env: the whole environment of the process; by default that of the caller.
        cwd: its working directory; by default that of the caller.
        files: descriptors to hand over.
        path: where it looks for modules; by default where any Python would.
        stdout: descriptor that its output goes to.
        stderr: the same for its errors.

    Raises:
        WarmError: if the server cannot be started or ends before it has forked.
    """
    if idle() is None:
        raise WarmError("there is no fork server on this machine, or it is switched off")
    environment = dict(os.environ if env is None else env)
    call = _Call(target, args, environment, os.fspath(cwd or Path.cwd()), _Standing.of_this_process())
    prepared = {} if path is None else {"sys_path": list(path)}
    for is_last in (False, True):
        folder = _folder(call.env)
        try:
            return _forked(folder, call, prepared, [*files, stdout, stderr])
        except (OSError, EOFError) as error:
            # it may have grown old between being found and being asked
            if is_last:
                raise WarmError(f"the warm server does not answer ({error}); see {folder / 'log'}") from error
    raise AssertionError


def settings(env: Mapping[str, str]) -> dict[str, str]:
    """What libraries read of an environment while they are imported."""
    return {name: value for name, value in sorted(env.items()) if name.startswith(_READ_AT_IMPORT)}


def _forked(folder: Path, call: "_Call", prepared: Mapping[str, Any], files: Sequence[int]) -> Process:
    alive, client = _hold(folder, call.env), socket.socket(socket.AF_UNIX)
    status, child_status = os.pipe()
    child_data, owner = os.pipe()
    try:
        with client, Path(os.devnull).open("wb") as untracked:
            client.connect(str(folder / "socket"))
            reduction.sendfds(client, [child_data, child_status, alive, untracked.fileno(), *files])
    except BaseException:
        os.close(status)
        os.close(owner)
        raise
    finally:
        for descriptor in (alive, child_data, child_status):
            os.close(descriptor)
    try:
        message = io.BytesIO()
        reduction.dump(prepared, message)
        reduction.dump(call, message)
        if not waiting.wait([status], _START_SECONDS):
            raise TimeoutError(f"no word for {_START_SECONDS} seconds")
        pid = forkserver.read_signed(status)
        _write_all(owner, message.getbuffer())
        return Process(pid, status, owner)
    except BaseException:
        os.close(status)
        os.close(owner)
        raise


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _hold(folder: Path, env: Mapping[str, str]) -> int:
    """A hold on the server, which does not end while anyone has one. It is started if there is none."""
    held = _existing(folder)
    if held is None:
        with _only_one(folder / "lock"):
            held = _existing(folder)
            if held is None:
                held = _started(folder, env)
    os.utime(folder / "used")
    return held


def _existing(folder: Path) -> int | None:
    try:
        # succeeds if there is a server at the other end, and only then
        return os.open(folder / "alive", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


@contextlib.contextmanager
def _only_one(path: Path, *, is_patient: bool = True) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if is_patient else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _started(folder: Path, asked: Mapping[str, str]) -> int:
    _sweep(folder)
    for name in ("socket", "alive"):
        (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / "alive", 0o600)
    (folder / "used").touch()
    reading = os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
    with socket.socket(socket.AF_UNIX) as listener, (folder / "log").open("ab") as log:
        listener.bind(str(folder / "socket"))
        listener.listen(128)
        code = f"from analysis.publish.warm import _serve; _serve({listener.fileno()}, {reading}, {idle()})"
        _bury()
        # One thread for linear algebra: reports run side by side, and threads do not survive a fork.
        env = {"OPENBLAS_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", **settings(asked)}
        env |= {name: value for name, value in os.environ.items() if not name.startswith(_READ_AT_IMPORT)}
        server = subprocess.Popen(
            # without the flags of this Python: no kernel has them
            [sys.executable, "-c", code],
            # nothing lies there that could be imported in the place of a library
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(listener.fileno(), reading),
            start_new_session=True,
        )
        server.returncode = 0  # it may outlive this process, which does not wait for it
        _servers.add(server.pid)
    # Held before this process lets go of the other end: a server that nobody holds leaves.
    held = os.open(folder / "alive", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.close(reading)
    return held


def _sweep(own: Path) -> None:
    """Remove the folders of servers that ended long ago: each version of the code has one."""
    for folder in own.parent.iterdir():
        with contextlib.suppress(OSError):
            used = folder / "used"
            last = (used if used.exists() else folder).stat().st_mtime
            if folder != own and time.time() - last > _KEPT:
                _remove(folder)


def _remove(folder: Path) -> None:
    # whoever holds the lock is about to start a server there
    with _only_one(folder / "lock", is_patient=False):
        held = _existing(folder)
        if held is None:
            shutil.rmtree(folder)
        else:
            os.close(held)


_servers: set[int] = set()


def _bury() -> None:
    """Let go of the servers that this process has started and that have ended."""
    for pid in tuple(_servers):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _servers.discard(pid)


def _folder(env: Mapping[str, str]) -> Path:
    """A folder of this user's own, for servers that have read this code with these settings."""
    if _forked_with == settings(env) and _server_folder is not None:
        # a fork stays with the code that it has, whatever becomes of the files meanwhile
        return _server_folder
    return _prepared(_key(tuple(settings(env).items())), os.getuid())


def _key(settings: tuple[tuple[str, str], ...]) -> str:
    # looked at each time: in JupyterLab, a kernel that is started again is to have the code as it is now
    packages = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    # templates too: workers refuse a job from whoever has others
    stamps = [(str(path), path.stat().st_mtime_ns) for path in paths.code()]
    stamps += [(name, Path(name).stat().st_mtime_ns) for name in sorted(packages)]
    # one that was started with less cannot give more
    ceilings = [os.getpriority(os.PRIO_PROCESS, 0), *(resource.getrlimit(kind)[1] for kind in _LIMITED)]
    said = json.dumps([sys.executable, sys.version, stamps, settings, ceilings])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _prepared(key: str, user: int) -> Path:
    # short, as the path of a socket may have no more than about 100 letters
    parent = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if not os.access(parent, os.W_OK):
        parent = Path(tempfile.gettempdir())
    folder = parent / f"casegrade-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if found.st_uid != user or found.st_mode & 0o077:
            raise WarmError(f"{folder} can be entered by others: remove it, or set {VARIABLE}=off")
        (folder / key).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise WarmError(f"{folder} cannot be used ({error.strerror})") from error
    return folder / key


@dataclass(frozen=True)
class _Standing:
    """What a process has from whoever starts it: `nice`, `taskset`, `ulimit` and `umask` are to reach a fork too."""

    umask: int
    niceness: int
    cores: frozenset[int]
    limits: dict[int, tuple[int, int]]

    @classmethod
    def of_this_process(cls) -> "_Standing":
        limits = {kind: resource.getrlimit(kind) for kind in _LIMITED}
        cores = frozenset(os.sched_getaffinity(0))
        return cls(_umask(), os.getpriority(os.PRIO_PROCESS, 0), cores, limits)

    def take(self) -> None:
        os.umask(self.umask)
        # a server that was started with less cannot give more
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, self.niceness)
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, self.cores)
        for kind, (soft, hard) in self.limits.items():
            own = resource.getrlimit(kind)[1]
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(kind, (_lower(soft, own), _lower(hard, own)))


def _lower(one: int, other: int) -> int:
    limited = [limit for limit in (one, other) if limit != resource.RLIM_INFINITY]
    return min(limited, default=resource.RLIM_INFINITY)


_asking = threading.Lock()


def _umask() -> int:
    # asking the usual way sets it for a moment, while another thread may be making files
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        for line in status.splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    with _asking:
        umask = os.umask(0o077)
        os.umask(umask)
    return umask


@dataclass(frozen=True)
class _Call:
    """What `multiprocessing` sends to a fork and asks to bootstrap itself there."""

    target: Callable[..., Any]
    args: tuple[Any, ...]
    env: dict[str, str]
    cwd: str
    standing: _Standing

    def _bootstrap(self, parent_sentinel: int) -> int:
        *files, stdout, stderr = list(forkserver.get_inherited_fds() or [1, 2])
        _settle(parent_sentinel, self.env, self.cwd, stdout, stderr)
        self.standing.take()
        try:
            self.target(*self.args, *files)
        except SystemExit as leaving:
            return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        finally:
            _finish()
        return 0


def _settle(owner: int, env: Mapping[str, str], cwd: str, stdout: int, stderr: int) -> None:
    """Make a fork what a fresh process would be: its own group, environment, folder, output, chance."""
    global _forked_with
    _forked_with = settings(env)
    os.setsid()
    # The kernel of the system ends this group when the owner's end of the pipe closes, whatever
    # Python is busy with: SIGIO ends a process that does not handle it.
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(owner, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(owner, fcntl.F_SETFL, fcntl.fcntl(owner, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        if os.read(owner, 1) == b"":
            os._exit(0)  # it went before the watch stood
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, given in ((1, stdout), (2, stderr)):
        os.dup2(given, stream)
        os.close(given)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None
    os.chdir(cwd)
    if _server_hold is not None:
        os.close(_server_hold)
    # the fork has the server's trackers, whose descriptors lead nowhere here
    tracker: Any = resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None
    # every fork would draw the same numbers
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    gc.enable()


def _finish() -> None:
    """What Python does at the end of a process, and a fork server does not for its forks."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


_server_hold: int | None = None
_server_folder: Path | None = None
_forked_with: dict[str, str] | None = None


def _serve(listener: int, alive: int, lasting: float) -> None:
    """Be the server: import, then fork on request until nobody has asked for `lasting` seconds."""
    global _server_hold, _server_folder
    folder = _server_folder = Path.cwd()
    _server_hold = os.open(folder / "alive", os.O_WRONLY | os.O_NONBLOCK)
    # put there by `-c`; before the standard library, where no kernel has it
    if "" in sys.path:
        sys.path.remove("")
    # jsonschema imports a grammar of internationalised addresses if it is there, which takes almost
    # a second and which nothing here needs
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    for name in _PRELOAD:
        __import__(name)
    del sys.modules["rfc3987_syntax"]
    _rehearse()
    # what is here now stays; no fork needs to look at it, or to copy the pages it lies on
    gc.collect()
    gc.freeze()

    def is_old() -> bool:
        try:
            return time.time() - (folder / "used").stat().st_mtime >= lasting
        except OSError:
            return True  # the folder was removed: nobody will find this server again

    def has_forks() -> bool:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def grow_old(*_: object) -> None:
        global _server_hold
        # not while there are forks: with the last one it would end itself, before it has told how that ended
        if _server_hold is not None and is_old() and not has_forks():
            os.close(_server_hold)
            _server_hold = None
            signal.setitimer(signal.ITIMER_REAL, 0)

    signal.signal(signal.SIGALRM, grow_old)
    signal.setitimer(signal.ITIMER_REAL, max(lasting, 0.2), max(lasting / 10, 0.2))
    reduction.recvfds = functools.partial(_received, reduction.recvfds)
    try:
        forkserver.main(listener, alive, [])
    except SystemExit:
        # at once: while it takes itself apart it would look alive to whoever asks
        os._exit(0)


def _rehearse() -> None:
    """First uses whose results are kept, and that need neither data nor threads: how a chart is put together."""
    altair = sys.modules["altair"]
    altair.Chart(altair.Data(values=[])).mark_bar().encode(x="x:Q").to_dict(validate=False)


def _received(receive: Callable[..., list[int]], *args: Any) -> list[int]:
    try:
        return receive(*args)
    except (EOFError, RuntimeError) as error:
        # The fork server goes on after this error and no other. Whoever knocks and is killed before
        # it has asked would end the server otherwise, and every fork with it.
        raise ConnectionAbortedError(errno.ECONNABORTED, "asked for nothing") from error
