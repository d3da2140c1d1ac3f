"""Put files and folders in their place in one step: a reader sees the old one or the new one, whole."""

import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

# what a new file or folder is readable to; tempfile makes both for their owner only
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755
# in the names of what is being built, and of what something else is about to take the place of
_STAGED, _RETIRED = ".new-", ".replaced"
_SCRATCH = "casegrade-"


def scratch(purpose: str, /) -> Path:
    """A new folder among the temporary files that only this user may enter, and whose name says whose it is.

    Whoever asks for it removes it. What a process that was killed could not remove, `sweep` does.
    """
    # short, as it may hold sockets, whose paths may have no more than about 100 letters
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{purpose}-{os.getpid()}-"))


def sweep(owner: int | None = None, /) -> None:
    """Remove the scratch folders of a process that has ended, or of all that have; of this user's only."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*-*"):
        number = folder.name.removeprefix(_SCRATCH).split("-")[1]
        if not number.isdigit() or (owner is not None and int(number) != owner):
            continue
        with suppress(OSError):
            is_mine = sys.platform == "win32" or folder.stat().st_uid == os.getuid()
            if is_mine and (owner is not None or not _is_running(int(number))):
                shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    if sys.platform == "win32":
        return True  # there, asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def write_text(path: Path, text: str, /) -> Path:
    """Write a text file (UTF-8, lines ended by newline) in one step: see `write_bytes`."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes, /) -> Path:
    """Write a file in one step; folders above it are made.

    Returns:
        `path`.

    Raises:
        OSError: if it cannot be written; an earlier file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else _FILE_MODE
    # in the same folder, because only there is replacing a file one step
    handle, name = tempfile.mkstemp(prefix=f".{path.name}{_STAGED}", dir=path.parent)
    staging = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staging.chmod(mode)
        staging.replace(path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    return path


@contextmanager
def staging_folder(parent: Path, name: str, /) -> Iterator[Path]:
    """An empty folder in `parent` to build something in; whatever is left of it goes at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}{_STAGED}", dir=parent))
    folder.chmod(_FOLDER_MODE)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def switch(new: Path, old: Path, /) -> None:
    """Put the folder `new` in the place of `old`; what was there goes away after, never before.

    One step where the system can exchange two folders. Elsewhere two, and whoever is stopped between
    them leaves both folders behind, which `recover` puts right.
    """
    if not old.exists():
        new.rename(old)
        return
    if _exchange(new, old):
        remove(new)
        return
    retired = old.with_name(f".{old.name}{_RETIRED}")
    remove(retired)
    old.rename(retired)
    try:
        new.rename(old)
    except BaseException:
        retired.rename(old)
        raise
    remove(retired)


@contextmanager
def alone(path: Path, /) -> Iterator[None]:
    """The right to put something in the place of `path`, for one process at a time.

    The system takes it back from one that dies; what that one left beside `path` is cleared first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with FileLock(lock, is_singleton=False):
        try:
            recover(path.parent)
            yield
        finally:
            # while it is held: whoever waits for it sees that the file is gone, and takes a new one
            with suppress(OSError):
                lock.unlink()


def is_left(parent: Path, /) -> bool:
    """Whether there is something in `parent` for `recover` to do, or somebody is writing there."""
    return any(_STAGED in path.name or path.name.endswith(_RETIRED) for path in parent.glob(".*"))


def recover(parent: Path, /) -> None:
    """Clear what runs that were killed left in `parent`: nobody else may be writing there.

    A folder that was on its way out and has no successor is put back.
    """
    for left in sorted(parent.glob(".*")):
        if left.name.endswith(_RETIRED):
            old = parent / left.name[1:].removesuffix(_RETIRED)
            if old.exists():
                remove(left)
            else:
                left.rename(old)
        elif _STAGED in left.name:
            remove(left)


def remove(path: Path, /) -> None:
    """Remove a file, a link or a folder with all that is in it; nothing if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; false where the system or the file system cannot."""
    if sys.platform == "linux":
        name, flag = "renameat2", 2
    elif sys.platform == "darwin":
        name, flag = "renameatx_np", 2
    else:
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if call is None:
        return False
    here = -100 if sys.platform == "linux" else -2
    if call(here, os.fsencode(one), here, os.fsencode(other), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))
