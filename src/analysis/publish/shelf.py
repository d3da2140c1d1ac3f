"""Where reports are put: a folder, in which a report changes in one step; or any place fsspec can write to.

Every report has a folder with its files and, beside them, the record of the run that made them. A
failed run keeps its notebook and its record in a folder below, and leaves the report as it was.
"""

import contextlib
import getpass
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from analysis import storage
from analysis.publish import record
from analysis.publish.record import RunRecord

FAILED_FOLDER = "failed"
LOCK = ".lock"
_HOLDER = ".lock-held-by.json"
# On a remote shelf a holder says again that it is alive; one that has not for this long is gone.
_LEASE = 60.0


class LockedError(Exception):
    """Somebody else is writing. The message says who."""


class ShelfError(Exception):
    """A place where no reports can be put. The message says why."""


class Shelf(Protocol):
    """What a run needs of the place that its reports go to. Names are of reports: slugs of forces."""

    def read(self, path: str, /) -> bytes | None:
        """The content of a file; null if there is none."""

    def write(self, path: str, content: bytes, /) -> None:
        """Write a file, or replace it in one step."""

    def place(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Put a report in the place of its earlier version, its record among the files."""

    def place_failed(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Keep what a failed run left, beside the report."""

    def locked(self, *, wait: float, tell: Callable[[str], None]) -> contextlib.AbstractContextManager[None]:
        """The right to write, for one run at a time: see `FolderShelf.locked`."""

    def shown(self, path: str, /) -> str:
        """The place of a file as told to whoever runs the command."""


def at(place: str | Path, /) -> Shelf:
    """The shelf at a path, or at a URL that fsspec knows.

    Raises:
        ShelfError: if fsspec, or what it needs for this kind of URL, is not installed.
    """
    if isinstance(place, Path) or "://" not in place:
        return FolderShelf(Path(place).absolute())
    if place.startswith("file://"):
        return FolderShelf(Path(place.removeprefix("file://")).absolute())
    return RemoteShelf(place)


def recorded(shelf: Shelf, name: str, /) -> RunRecord | None:
    """The record of a report; null if there is none that can be read."""
    return record.parse(shelf.read(f"{name}/{record.FILE}"))


def failure(shelf: Shelf, name: str, /) -> RunRecord | None:
    """The record of the last run of a report, if it failed; else null."""
    return record.parse(shelf.read(f"{name}/{FAILED_FOLDER}/{record.FILE}"))


def is_as_written(shelf: Shelf, name: str, known: RunRecord, /) -> bool:
    """Whether every file of a report still is what its record says."""
    for file, digest in known.outputs.items():
        content = shelf.read(f"{name}/{file}")
        if content is None or record.sha256(content) != digest:
            return False
    return True


def write_if_changed(shelf: Shelf, path: str, text: str, /) -> bool:
    """Write a text file unless it says that already; returns whether it was written."""
    content = text.encode()
    if shelf.read(path) == content:
        return False
    shelf.write(path, content)
    return True


class FolderShelf:
    """A folder on this machine or on a share."""

    def __init__(self, folder: Path, /):
        self.folder = folder

    def read(self, path: str, /) -> bytes | None:
        """The content of a file; null if there is none."""
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, path: str, content: bytes, /) -> None:
        """Write a file, or replace it in one step."""
        storage.write_bytes(self.folder / path, content)

    def place(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Put a report in the place of its earlier version, in one step."""
        self._switch_in(name, self.folder / name, files)

    def place_failed(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Keep what a failed run left, beside the report, in one step."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._switch_in(name, self.folder / name / FAILED_FOLDER, files)

    def _switch_in(self, name: str, final: Path, files: Mapping[str, bytes]) -> None:
        with storage.staging_folder(self.folder, name) as staging:
            for file, content in files.items():
                (staging / file).write_bytes(content)
            storage.switch(staging, final)

    @contextlib.contextmanager
    def locked(self, *, wait: float, tell: Callable[[str], None] = lambda message: None) -> Iterator[None]:
        """The right to write here, for one run at a time. The system takes it back from one that dies.

        Whatever a run that was killed left half done is cleared first.

        Args:
            wait: seconds to wait for whoever holds it.
            tell: is told whom this run waits for.

        Raises:
            LockedError: if it is still held then.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK, is_singleton=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = _told(self.read(_HOLDER))
            if wait > 0:
                tell(f"Waiting for {who}.")
            try:
                lock.acquire(timeout=wait)
            except Timeout as error:
                raise LockedError(f"Reports are being made by {who}: try again when it has ended.") from error
        try:
            storage.recover(self.folder)
            storage.write_bytes(self.folder / _HOLDER, _holder())
            yield
        finally:
            (self.folder / _HOLDER).unlink(missing_ok=True)
            lock.release()

    def shown(self, path: str, /) -> str:
        """The place of a file as told to whoever runs the command."""
        return str(self.folder / path)


class RemoteShelf:
    """A place that fsspec writes to, such as a bucket. Nothing there moves in one step.

    A report's record is written after its files. Where the two do not agree, a run was stopped in
    between, and the next one makes the report again.
    """

    def __init__(self, url: str, /):
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise ShelfError(
                f"{url} needs a library that is not installed ({error}): "
                'install casegrade with its extra "cluster", and the library that fsspec names.'
            ) from error
        except ValueError as error:
            raise ShelfError(f"{url} is no place to put reports: {error}.") from error
        self._url = url.rstrip("/")

    def _path(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    def read(self, path: str, /) -> bytes | None:
        """The content of a file; null if there is none."""
        try:
            content: bytes = self._files.cat_file(self._path(path))
        except FileNotFoundError:
            return None
        return content

    def write(self, path: str, content: bytes, /) -> None:
        """Write a file, or replace it."""
        self._files.makedirs(self._path(path).rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(self._path(path), content)

    def place(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Put a report in the place of its earlier version: its files, then its record."""
        self._put(name, files)
        known = set(files)
        for path in self._listed(name):
            if path.rpartition("/")[2] not in known:
                self._files.rm(path, recursive=True)

    def place_failed(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Keep what a failed run left, beside the report."""
        self._put(f"{name}/{FAILED_FOLDER}", files)

    def _put(self, folder: str, files: Mapping[str, bytes]) -> None:
        for last in (False, True):
            for file, content in files.items():
                if (file == record.FILE) is last:
                    self.write(f"{folder}/{file}", content)

    def _listed(self, name: str) -> list[str]:
        self._files.invalidate_cache()
        return [str(path) for path in self._files.ls(self._path(name), detail=False)]

    @contextlib.contextmanager
    def locked(self, *, wait: float, tell: Callable[[str], None] = lambda message: None) -> Iterator[None]:
        """The right to write here, for one run at a time, by a file that its holder renews while it lives.

        Args:
            wait: seconds to wait for whoever holds it.
            tell: is told whom this run waits for.

        Raises:
            LockedError: if it is still held then.
        """
        deadline, has_told = time.monotonic() + wait, False
        while not self._take():
            who = _told(self.read(LOCK))
            if time.monotonic() >= deadline:
                raise LockedError(f"Reports are being made by {who}: try again when it has ended.")
            if not has_told:
                tell(f"Waiting for {who}.")
                has_told = True
            time.sleep(min(1.0, max(0.0, deadline - time.monotonic())))
        stop = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(stop,), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            stop.set()
            renewing.join()
            with contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._path(LOCK))

    def _take(self) -> bool:
        held = self.read(LOCK)
        if held is not None and not _is_stale(held):
            return False
        if held is not None:
            with contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._path(LOCK))
        mine = _holder()
        self._files.makedirs(self._root, exist_ok=True)
        try:
            # refuses if another was quicker, where the place can tell
            self._files.pipe_file(self._path(LOCK), mine, mode="create")
        except FileExistsError:
            return False
        return self.read(LOCK) == mine

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(_LEASE / 3):
            with contextlib.suppress(OSError):
                self._files.pipe_file(self._path(LOCK), _holder())

    def shown(self, path: str, /) -> str:
        """The URL of a file."""
        return f"{self._url}/{path}"


def _holder() -> bytes:
    held = {
        "command": " ".join(["casegrade", *sys.argv[1:]]),
        "user": _user(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": _STARTED,
        "seen": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return (json.dumps(held) + "\n").encode()


_STARTED = datetime.now(UTC).isoformat(timespec="seconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "an unknown user"


def _parsed(holder: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(holder or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _told(holder: bytes | None) -> str:
    """Who holds the lock, in words."""
    found = _parsed(holder)
    if found is None:
        return "another run"
    return (
        f'"{found.get("command")}", process {found.get("pid")} of {found.get("user")} on {found.get("host")}, '
        f"running since {str(found.get('since')).replace('T', ' ').removesuffix('+00:00')} UTC"
    )


def _is_stale(holder: bytes) -> bool:
    found = _parsed(holder)
    try:
        seen = datetime.fromisoformat(str((found or {}).get("seen")))
    except ValueError:
        return True
    return (datetime.now(UTC) - seen).total_seconds() > _LEASE
