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
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from analysis import storage
from analysis.publish import record
from analysis.publish.record import RunRecord

FAILED_FOLDER, DRAFT_FOLDER = "failed", "draft"
LOCK = ".lock"
_HOLDER = ".lock-held-by.json"
# On a remote shelf a holder says again that it is alive; one that has not for this long is gone.
_LEASE = 60.0
# Whoever takes over from one that is gone looks again after this long whether it was alone in that.
_SETTLE = 2.0


class LockedError(Exception):
    """Somebody else is writing. The message says who."""


class ShelfError(Exception):
    """A place where no reports can be put. The message says why."""


class Shelf(Protocol):
    """What a run needs of the place that its reports go to. Names are of reports: slugs of forces.

    Whatever reads or writes raises `ShelfError` if the place does not let it.
    """

    def read(self, path: str, /) -> bytes | None:
        """The content of a file; null if there is none."""

    def has(self, path: str, /) -> bool:
        """Whether there is a file."""

    def write(self, path: str, content: bytes, /) -> None:
        """Write a file, or replace it in one step."""

    def names(self, folder: str, /) -> list[str]:
        """What is in a folder, in order, apart from what begins with a dot; nothing if there is no such folder."""

    def place(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Put a report in the place of its earlier version, its record among the files."""

    def place_beside(self, name: str, part: str, files: Mapping[str, bytes], /) -> None:
        """Put something in a folder below a report's, which stays: what a failed run left, or a draft."""

    def remove(self, path: str, /) -> None:
        """Remove a file, or a folder with all that is in it, if it is there."""

    def locked(self, *, wait: float, tell: Callable[[str], None]) -> contextlib.AbstractContextManager[None]:
        """The right to write, for one run at a time: see `FolderShelf.locked`."""

    def tidy(self) -> None:
        """Clear what a run that was killed left half done, unless another run is writing."""

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


def failed_notebook(shelf: Shelf, name: str, run_id: str, /) -> bytes | None:
    """The notebook of a failed run of a report, as far as it came; null if there is none, or another run's."""
    known = failure(shelf, name)
    if known is None or known.run_id != run_id:
        return None
    return shelf.read(f"{name}/{FAILED_FOLDER}/{record.NOTEBOOK}")


def drafted(shelf: Shelf, name: str, /) -> RunRecord | None:
    """The record of the draft that waits beside a report that is published; null if none does."""
    return recorded(shelf, f"{name}/{DRAFT_FOLDER}")


def latest(shelf: Shelf, name: str, /) -> tuple[str, RunRecord] | None:
    """The folder and the record of the last version of a report, draft or not; null if there is none."""
    for folder in (f"{name}/{DRAFT_FOLDER}", name):
        if (known := recorded(shelf, folder)) is not None:
            return folder, known
    return None


def is_as_written(shelf: Shelf, name: str, known: RunRecord, /) -> bool:
    """Whether every file of a report still is what its record says. `name` is that of its folder."""
    for file, digest in known.outputs.items():
        content = shelf.read(f"{name}/{file}")
        if content is None or record.sha256(content) != digest:
            return False
    return True


def unaltered(shelf: Shelf, folder: str, file: str, known: RunRecord, /) -> bytes | None:
    """A file of a report, if it is what the report's record says; else null, as what others wrote is no figure."""
    content = shelf.read(f"{folder}/{file}")
    return content if content is not None and record.sha256(content) == known.outputs.get(file) else None


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
        # set while this run holds the lock
        self._is_held = False

    def read(self, path: str, /) -> bytes | None:
        """The content of a file; null if there is none."""
        with _used(self.folder):
            try:
                return (self.folder / path).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def has(self, path: str, /) -> bool:
        """Whether there is a file."""
        return (self.folder / path).is_file()

    def write(self, path: str, content: bytes, /) -> None:
        """Write a file, or replace it in one step."""
        with _used(self.folder):
            storage.write_bytes(self.folder / path, content)

    def names(self, folder: str, /) -> list[str]:
        """What is in a folder, in order, apart from what begins with a dot; nothing if there is no such folder."""
        with _used(self.folder):
            try:
                found = os.listdir(self.folder / folder)  # noqa: PTH208 - a path of each takes ten times as long
                return sorted(name for name in found if not name.startswith("."))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def place(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Put a report in the place of its earlier version, in one step."""
        self._switch_in(name, self.folder / name, files)

    def place_beside(self, name: str, part: str, files: Mapping[str, bytes], /) -> None:
        """Put something in a folder below a report's, in one step; the report stays."""
        with _used(self.folder):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._switch_in(name, self.folder / name / part, files)

    def remove(self, path: str, /) -> None:
        """Remove a file, or a folder with all that is in it, if it is there."""
        with _used(self.folder):
            storage.remove(self.folder / path)

    def _switch_in(self, name: str, final: Path, files: Mapping[str, bytes]) -> None:
        with _used(self.folder), storage.staging_folder(self.folder, name) as staging:
            for file, content in files.items():
                (staging / file).write_bytes(content)
            storage.switch(staging, final)

    @contextlib.contextmanager
    def locked(self, *, wait: float, tell: Callable[[str], None] = lambda message: None) -> Iterator[None]:
        """The right to write here, for one run at a time. The system takes it back from one that dies.

        Whatever a run that was killed left half done is cleared first. Who has the right already keeps it.

        Args:
            wait: seconds to wait for whoever holds it.
            tell: is told whom this run waits for.

        Raises:
            LockedError: if it is still held then.
            ShelfError: if nothing can be written here.
        """
        if self._is_held:
            yield
            return
        with _used(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / LOCK, is_singleton=False)
            self._acquire(lock, wait, tell)
        self._is_held = True
        try:
            with _used(self.folder):
                storage.recover(self.folder)
                for part in (FAILED_FOLDER, DRAFT_FOLDER):
                    for left in self.folder.glob(f"*/.{part}.*"):
                        storage.recover(left.parent)
                storage.write_bytes(self.folder / _HOLDER, _holder())
            yield
        finally:
            self._is_held = False
            (self.folder / _HOLDER).unlink(missing_ok=True)
            lock.release()

    def _acquire(self, lock: FileLock, wait: float, tell: Callable[[str], None]) -> None:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = _told(self.read(_HOLDER))
            if wait > 0:
                tell(f"Waiting for {who}.")
            try:
                lock.acquire(timeout=wait)
            except Timeout as error:
                raise LockedError(_held_by(who)) from error

    def tidy(self) -> None:
        """Clear what a run that was killed left half done, unless another run is writing."""
        # whoever comes to an end takes its name away
        if self.has(_HOLDER):
            with contextlib.suppress(LockedError), self.locked(wait=0):
                pass

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
        # set while this run holds the lock
        self._holder: str | None = None

    def _path(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    def read(self, path: str, /) -> bytes | None:
        """The content of a file; null if there is none."""
        # what goes wrong far away is told by as many kinds of error as there are libraries below
        with _used(self._url, Exception):
            try:
                content: bytes = self._files.cat_file(self._path(path))
            except FileNotFoundError:
                return None
        return content

    def has(self, path: str, /) -> bool:
        """Whether there is a file."""
        with _used(self._url, Exception):
            return bool(self._files.isfile(self._path(path)))

    def write(self, path: str, content: bytes, /) -> None:
        """Write a file, or replace it."""
        self._check_lock()
        self._write(path, content)

    def _write(self, path: str, content: bytes, **how: str) -> None:
        with _used(self._url, Exception):
            self._files.makedirs(self._path(path).rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(self._path(path), content, **how)

    def names(self, folder: str, /) -> list[str]:
        """What is in a folder, in order, apart from what begins with a dot; nothing if there is no such folder."""
        with _used(self._url, Exception):
            try:
                found = [path.rstrip("/").rpartition("/")[2] for path in self._listed(folder)]
            except FileNotFoundError:
                return []
        return sorted(name for name in found if not name.startswith("."))

    def place(self, name: str, files: Mapping[str, bytes], /) -> None:
        """Put a report in the place of its earlier version: its files, and last its record.

        What is no longer part of it goes before that, so that a record never stands beside more than it names.
        """
        self._put(name, {file: content for file, content in files.items() if file != record.FILE})
        with _used(self._url, Exception):
            for path in self._listed(name):
                if path.rpartition("/")[2] not in {*files, record.FILE}:
                    self._files.rm(path, recursive=True)
        self._put(name, {record.FILE: files[record.FILE]})

    def place_beside(self, name: str, part: str, files: Mapping[str, bytes], /) -> None:
        """Put something in a folder below a report's; the report stays."""
        self._put(f"{name}/{part}", files)

    def remove(self, path: str, /) -> None:
        """Remove a file, or a folder with all that is in it, if it is there."""
        self._check_lock()
        with _used(self._url, Exception), contextlib.suppress(FileNotFoundError):
            self._files.rm(self._path(path), recursive=True)

    def _put(self, folder: str, files: Mapping[str, bytes]) -> None:
        self._check_lock()
        for file in sorted(files, key=lambda file: file == record.FILE):
            self._write(f"{folder}/{file}", files[file])

    def _listed(self, name: str) -> list[str]:
        self._files.invalidate_cache()
        return [str(path) for path in self._files.ls(self._path(name), detail=False)]

    @contextlib.contextmanager
    def locked(self, *, wait: float, tell: Callable[[str], None] = lambda message: None) -> Iterator[None]:
        """The right to write here, for one run at a time, by a file that its holder renews while it lives.

        Who has the right already keeps it.

        Args:
            wait: seconds to wait for whoever holds it.
            tell: is told whom this run waits for.

        Raises:
            LockedError: if it is still held then.
            ShelfError: if nothing can be written here.
        """
        if self._holder is not None:
            yield
            return
        self._check_bucket()
        mine = uuid.uuid4().hex
        deadline, has_told = time.monotonic() + wait, False
        while not self._take(mine):
            who = _told(self.read(LOCK))
            if time.monotonic() >= deadline:
                raise LockedError(_held_by(who))
            if not has_told:
                tell(f"Waiting for {who}.")
                has_told = True
            time.sleep(min(1.0, max(0.0, deadline - time.monotonic())))
        self._holder = mine
        stop = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(mine, stop), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            stop.set()
            renewing.join()
            self._holder = None
            self._let_go(mine)

    def _check_bucket(self) -> None:
        # a folder is made where there is none; a bucket with a misspelt name is not
        bucket = self._root.partition("/")[0]
        with _used(self._url, Exception):
            if bucket and not self._files.exists(bucket):
                raise ShelfError(
                    f"{self._url} cannot be used: there is no {bucket}. Make it, or mend the name."
                )

    def _take(self, mine: str) -> bool:
        held = self.read(LOCK)
        if held is not None:
            if not _is_stale(held):
                return False
            with _used(self._url, Exception), contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._path(LOCK))
        try:
            # refuses if another was quicker, where the place can tell
            self._write(LOCK, _holder(mine), mode="create")
        except ShelfError as error:
            if isinstance(error.__cause__, FileExistsError):
                return False
            raise
        if held is not None:
            # another that found it stale at the same moment may have taken this one for it
            time.sleep(_SETTLE)
        return self._is_held_by(mine)

    def _is_held_by(self, holder: str) -> bool:
        return (_parsed(self.read(LOCK)) or {}).get("run") == holder

    def _check_lock(self) -> None:
        if self._holder is not None and not self._is_held_by(self._holder):
            raise LockedError(
                "This run stood still for so long that another one took over: "
                f"{_told(self.read(LOCK))}. It will make what is left."
            )

    def _renew(self, mine: str, stop: threading.Event) -> None:
        while not stop.wait(_LEASE / 3):
            # what cannot be said now is said a little later, or not in time
            with contextlib.suppress(ShelfError):
                if self._is_held_by(mine):
                    self._write(LOCK, _holder(mine))

    def _let_go(self, mine: str) -> None:
        # if that fails it grows stale by itself
        with contextlib.suppress(ShelfError):
            if self._is_held_by(mine):
                with _used(self._url, Exception):
                    self._files.rm_file(self._path(LOCK))

    def tidy(self) -> None:
        """Clear what a run that was killed left half done, unless another run is writing."""
        held = self.read(LOCK)
        if held is not None and _is_stale(held):
            with contextlib.suppress(LockedError), self.locked(wait=0):
                pass

    def shown(self, path: str, /) -> str:
        """The URL of a file."""
        return f"{self._url}/{path}"


@contextlib.contextmanager
def _used(place: object, kind: type[Exception] = OSError) -> Iterator[None]:
    try:
        yield
    except (LockedError, ShelfError):
        raise
    except kind as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise ShelfError(f"{place} cannot be used ({told}): mend that, or name another place.") from error


def _holder(run: str = "") -> bytes:
    held = {
        "run": run,
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


def _held_by(who: str) -> str:
    return f"Reports are being made by {who}: try again when it has ended."


def _is_stale(holder: bytes) -> bool:
    found = _parsed(holder)
    try:
        seen = datetime.fromisoformat(str((found or {}).get("seen")))
    except ValueError:
        return True
    return (datetime.now(UTC) - seen).total_seconds() > _LEASE
