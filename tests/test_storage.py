import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis import storage

# A writer that switches two versions in turn, as fast as it can, until it is killed or told to stop.
WRITER = """
import sys
from pathlib import Path
from analysis import storage
parent = Path(sys.argv[1])
if sys.argv[2] == "in two steps":
    storage._exchange = lambda one, other: False
version = 0
print("begun", flush=True)
while not (parent / "stop").exists():
    version += 1
    with storage.staging_folder(parent, "kent") as staging:
        for name in ("one", "two", "three"):
            (staging / name).write_text(str(version))
        storage.switch(staging, parent / "kent")
"""


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def folder(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def start_writer(parent: Path, steps: str) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(parent), steps], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "begun\n"
    return writer


def ended(writer: subprocess.Popen[str]) -> int:
    with writer:
        return writer.wait(30)


@pytest.fixture
def in_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system or a file system that cannot exchange two folders."""
    monkeypatch.setattr(storage, "_exchange", lambda one, other: False)


@pytest.fixture(params=["in one step", "in two steps"])
def steps(request: pytest.FixtureRequest) -> str:
    if request.param == "in two steps":
        request.getfixturevalue("in_two_steps")
    return str(request.param)


def test_the_system_that_tests_run_on_exchanges_folders_in_one_step(tmp_path: Path) -> None:
    # without it, the tests that need it would prove nothing
    one, other = folder(tmp_path / "one", a="1"), folder(tmp_path / "other", b="2")
    assert storage._exchange(one, other)
    assert (contents(one), contents(other)) == ({"b": "2"}, {"a": "1"})


@pytest.mark.usefixtures("steps")
def test_switch_puts_the_new_folder_in_place_and_leaves_nothing_else(tmp_path: Path) -> None:
    for version in "12":
        storage.switch(folder(tmp_path / "new", **{f"file{version}": version}), tmp_path / "kent")
        assert contents(tmp_path / "kent") == {f"file{version}": version}
        assert [path.name for path in tmp_path.iterdir()] == ["kent"]


@pytest.mark.usefixtures("steps")
def test_switch_takes_the_place_of_a_file_or_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    elsewhere = folder(tmp_path / "elsewhere", kept="1")
    (tmp_path / "link").symlink_to(elsewhere)
    for name in ("file", "link"):
        storage.switch(folder(tmp_path / "new", a="2"), tmp_path / name)
        assert contents(tmp_path / name) == {"a": "2"}
    assert contents(elsewhere) == {"kept": "1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "file", "link"]


def test_reader_never_sees_a_missing_or_mixed_folder(tmp_path: Path) -> None:
    folder(tmp_path / "kent", one="0", two="0", three="0")
    writer = start_writer(tmp_path, "in one step")
    seen: set[str | None] = set()
    n_looks = 0
    try:
        while len(seen) < 50 and n_looks < 200_000:
            n_looks += 1
            # whoever holds the folder holds one version of it; the path may lead to the next
            held = os.open(tmp_path / "kent", os.O_RDONLY)
            try:
                texts = {read_below(held, name) for name in ("one", "two", "three")} - {None}
            finally:
                os.close(held)
            assert len(texts) <= 1
            seen |= texts
    finally:
        (tmp_path / "stop").touch()
        assert ended(writer) == 0
    assert len(seen) > 10


def read_below(held: int, name: str) -> str | None:
    try:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=held)
    except FileNotFoundError:
        return None  # the version that is held is being removed
    with os.fdopen(descriptor) as file:
        return file.read()


def test_reader_by_path_always_finds_a_folder_and_a_file(tmp_path: Path) -> None:
    folder(tmp_path / "kent", one="0", two="0", three="0")
    problems: list[Exception] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                int((tmp_path / "kent" / "one").read_text(encoding="utf-8"))
            except Exception as error:
                problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for version in range(300):
            with storage.staging_folder(tmp_path, "kent") as staging:
                (staging / "one").write_text(str(version), encoding="utf-8")
                storage.switch(staging, tmp_path / "kent")
    finally:
        stop.set()
        reader.join()
    assert problems == []


class Killed(BaseException):
    """Stands for a process that ends here: nothing after it happens, not even tidying up."""


def switch_killed(new: Path, old: Path, *, at: int) -> None:
    """Switch, and end before the n-th change of the file system, without any that would follow."""
    rename, remove = Path.rename, storage.remove
    n_changes = 0

    def count() -> None:
        nonlocal n_changes
        n_changes += 1
        if n_changes >= at:
            raise Killed

    def counted_rename(path: Path, target: Path) -> Path:
        count()
        return rename(path, target)

    def counted_remove(path: Path) -> None:
        count()
        remove(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", counted_rename)
        patch.setattr(storage, "remove", counted_remove)
        with pytest.raises(Killed):
            storage.switch(new, old)


@pytest.mark.usefixtures("in_two_steps")
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_switch_in_two_steps_that_is_killed_at_any_of_them_is_put_right(tmp_path: Path, at: int) -> None:
    old = folder(tmp_path / "kent", text="old")
    new = folder(tmp_path / ".kent.new-abc", text="new")
    switch_killed(new, old, at=at)
    assert storage.is_left(tmp_path)

    storage.recover(tmp_path)

    # the old one until the new one is in its place: the last change removes the old one
    assert contents(tmp_path / "kent") == {"text": "new" if at == 4 else "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["kent"]
    assert not storage.is_left(tmp_path)


def test_switch_in_one_step_that_is_killed_after_it_is_put_right(tmp_path: Path) -> None:
    old = folder(tmp_path / "kent", text="old")
    new = folder(tmp_path / ".kent.new-abc", text="new")
    switch_killed(new, old, at=1)
    assert contents(tmp_path / "kent") == {"text": "new"}

    storage.recover(tmp_path)

    assert contents(tmp_path / "kent") == {"text": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["kent"]


@pytest.mark.parametrize("steps", ["in one step", "in two steps"], indirect=True)
@pytest.mark.parametrize("moment", [0.01, 0.03, 0.05, 0.07])
def test_writer_killed_at_any_moment_leaves_one_whole_version(
    tmp_path: Path, steps: str, moment: float
) -> None:
    folder(tmp_path / "kent", one="0", two="0", three="0")
    writer = start_writer(tmp_path, steps)
    with pytest.raises(subprocess.TimeoutExpired):
        writer.wait(moment)
    writer.kill()
    ended(writer)

    storage.recover(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["kent"]
    found = contents(tmp_path / "kent")
    assert set(found) == {"one", "two", "three"}
    assert len(set(found.values())) == 1


def test_recovery_touches_nothing_that_is_not_of_a_writer(tmp_path: Path) -> None:
    kept = {".git", ".old-kent", ".lock", ".hidden.txt", "kent", "new-kent"}
    for name in kept:
        (tmp_path / name).mkdir()
    assert not storage.is_left(tmp_path)
    storage.recover(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_recovery_of_a_folder_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    storage.recover(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def test_bytes_are_written_as_they_are_and_folders_above_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    assert storage.write_bytes(path, b"\x00\r\n\xff") == path
    assert path.read_bytes() == b"\x00\r\n\xff"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_file_that_is_replaced_keeps_who_may_read_it(tmp_path: Path) -> None:
    path = storage.write_bytes(tmp_path / "file", b"1")
    path.chmod(0o600)
    storage.write_bytes(path, b"2")
    assert path.read_bytes() == b"2"
    assert path.stat().st_mode & 0o777 == 0o600


def test_text_is_written_as_utf8_with_the_line_ends_that_it_has(tmp_path: Path) -> None:
    storage.write_text(tmp_path / "file", "ä\n")
    assert (tmp_path / "file").read_bytes() == "ä\n".encode()


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_file_that_cannot_be_written_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = storage.write_bytes(tmp_path / "file", b"earlier")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[failing], fail)
    with pytest.raises(OSError, match="No space left"):
        storage.write_bytes(path, b"later")
    assert path.read_bytes() == b"earlier"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_reader_of_a_file_sees_one_version_whole(tmp_path: Path) -> None:
    path, size = tmp_path / "file", 200_000
    storage.write_bytes(path, b"0" * size)
    problems: list[bytes] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            content = path.read_bytes()
            if content.count(content[:1]) != size:
                problems.append(content)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for digit in b"123456789" * 5:
            storage.write_bytes(path, bytes([digit]) * size)
    finally:
        stop.set()
        reader.join()
    assert problems == []


def test_staging_folder_goes_with_all_that_is_left_in_it(tmp_path: Path) -> None:
    def build() -> Iterator[Path]:
        with storage.staging_folder(tmp_path / "parent", "kent") as staging:
            (staging / "file").touch()
            yield staging
            raise ValueError("stopped")

    built = build()
    assert next(built).stat().st_mode & 0o777 == 0o755
    with pytest.raises(ValueError, match="stopped"):
        next(built)
    assert list((tmp_path / "parent").iterdir()) == []


def test_only_one_at_a_time_is_alone_with_a_path(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []
    barrier = threading.Barrier(4)

    def enter() -> None:
        barrier.wait()
        for _ in range(5):
            with storage.alone(tmp_path / "processed"):
                inside.append(1)
                time.sleep(0.001)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(most) == 20
    assert list(tmp_path.iterdir()) == []


def test_being_alone_ends_with_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stopped"), storage.alone(tmp_path / "processed"):
        raise ValueError("stopped")
    with storage.alone(tmp_path / "processed"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_scratch_folders_are_entered_by_their_user_only_and_swept_when_their_process_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = storage.scratch("job")
    gone = subprocess.run(
        [sys.executable, "-c", "from analysis import storage; print(storage.scratch('job'))"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    others = tmp_path / "casegrade-0"
    others.mkdir()
    assert mine.stat().st_mode & 0o077 == 0
    storage.sweep()
    assert mine.is_dir()
    assert others.is_dir()
    assert not Path(gone).exists()
    storage.sweep(os.getpid())
    assert not mine.exists()
