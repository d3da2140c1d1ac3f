"""Put files and folders in their place in one step: a reader sees the old one or the new one, whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# what a new file or folder is readable to; tempfile makes both for their owner only
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


def write_text(path: Path, text: str, /) -> Path:
    """Write a text file (UTF-8, lines ended by newline) in one step; folders above it are made.

    Returns:
        `path`.

    Raises:
        OSError: if it cannot be written; an earlier file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else _FILE_MODE
    # in the same folder, because only there is replacing a file one step
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    staging = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
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
    folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    folder.chmod(_FOLDER_MODE)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def switch(new: Path, old: Path, /) -> None:
    """Put the folder `new` in the place of `old`; what was there goes away after, never before."""
    if not old.exists():
        new.rename(old)
        return
    retired = new.with_name(f"{new.name}-old")
    old.rename(retired)
    try:
        new.rename(old)
    except BaseException:
        retired.rename(old)
        raise
    shutil.rmtree(retired)
