import getpass
import json
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer
from synthetic import small

from analysis import paths, storage
from analysis.publish import batch, record, shelf
from analysis.publish.record import Outcome, State
from analysis.publish.shelf import FolderShelf, LockedError, RemoteShelf, Shelf, ShelfError

# one server, which all tests here share: keep them on one worker
pytestmark = pytest.mark.xdist_group("shelf")

# Whatever talks to an S3 server here talks to one on this machine, with credentials that open nothing.
DUMMY = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
KNOWN = {
    "run_id": "1",
    "force": "dorset",
    "outcome": Outcome.DRAFT,
    "state": State.DRAFT,
    "headline": "Mixed.",
    "about": "Two audits.",
    "compared": (),
    "parameters": {},
    "started": datetime(2024, 5, 1, tzinfo=UTC),
    "finished": datetime(2024, 5, 1, tzinfo=UTC),
    "seconds": {},
    "kernel": "warm",
    "attempts": 1,
    "depends_on": {},
    "inputs": {},
    "code_version": "1",
    "revision": None,
    "is_dirty": None,
    "python": "3",
    "packages": {},
}
# A run in a process of its own: it holds the lock until its input ends.
HOLDER = """
import sys
from analysis.publish import shelf
place = shelf.at(sys.argv.pop(1))
with place.locked(wait=0, tell=print):
    print("held", flush=True)
    sys.stdin.read()
print("released", flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that speaks S3."""
    served = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    address = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in DUMMY.items():
            patch.setenv(name, value)
        # how whoever runs casegrade tells fsspec where the server is
        patch.setenv("FSSPEC_S3_ENDPOINT_URL", address)
        # fsspec reads that when it is imported, which it was long ago in this process
        configured: dict[str, dict[str, Any]] = {}
        fsspec.config.set_conf_env(configured)
        patch.setitem(fsspec.config.conf, "s3", configured["s3"])
        fsspec.filesystem("s3").mkdir("published")
        yield address
    served.stop()


PLACES = ("folder", "file URL", "memory", "s3")
REMOTE = ("memory", "s3")


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of its own for each test."""
    kind = getattr(request, "param", "folder")
    if kind == "s3":
        request.getfixturevalue("server")
    return {
        "folder": str(tmp_path / "reports"),
        "file URL": f"file://{tmp_path}/reports",
        "memory": f"memory://{uuid.uuid4().hex}/reports",
        "s3": f"s3://published/{uuid.uuid4().hex}/reports",
    }[kind]


everywhere = pytest.mark.parametrize("url", PLACES, indirect=True)
far_away = pytest.mark.parametrize("url", REMOTE, indirect=True)


def report(*, page: bytes = b"<p>1</p>", **changed: Any) -> dict[str, bytes]:
    """The files of a report, its record among them."""
    files = {"report.html": page, "figures.csv": b"force\ndorset\n"}
    outputs = {name: record.sha256(content) for name, content in files.items()}
    known = record.RunRecord(**KNOWN | {"outputs": outputs} | changed)
    # the record first, so that who writes in the order given would write it first
    return {record.FILE: record.text(known).encode(), **files}


def failed() -> dict[str, bytes]:
    known = record.RunRecord(**KNOWN | {"outcome": Outcome.FAILED, "outputs": {}})
    return {record.FILE: record.text(known).encode(), "report.ipynb": b"{}"}


def read(place: Shelf, name: str, files: Mapping[str, bytes]) -> dict[str, bytes | None]:
    return {file: place.read(f"{name}/{file}") for file in files}


def names_at(place: Shelf, name: str) -> set[str]:
    if isinstance(place, RemoteShelf):
        return {path.rpartition("/")[2] for path in place._listed(name)}
    assert isinstance(place, FolderShelf)
    return {path.name for path in (place.folder / name).iterdir()}


def quiet(_: str) -> None:
    pass


# ----------------------------------------------------------------------------- what is put there


@everywhere
def test_report_that_was_placed_is_read_as_it_was_given(url: str) -> None:
    place, files = shelf.at(url), report()
    assert shelf.recorded(place, "dorset") is None
    assert not place.has("dorset/report.html")

    place.place("dorset", files)

    again = shelf.at(url)
    assert read(again, "dorset", files) == files
    assert names_at(again, "dorset") == set(files)
    assert again.has("dorset/report.html")
    assert not again.has("dorset")
    known = shelf.recorded(again, "dorset")
    assert known is not None
    assert shelf.is_as_written(again, "dorset", known)


@everywhere
def test_later_report_takes_the_place_of_the_earlier_one_and_of_its_failed_run(url: str) -> None:
    place = shelf.at(url)
    place.place("dorset", report() | {"old.csv": b"1"})
    place.place_beside("dorset", shelf.FAILED_FOLDER, failed())
    assert shelf.failure(place, "dorset") is not None
    assert shelf.recorded(place, "dorset") is not None

    files = report(page=b"<p>2</p>")
    place.place("dorset", files)

    assert names_at(place, "dorset") == set(files)
    assert read(place, "dorset", files) == files
    assert shelf.failure(place, "dorset") is None
    assert place.read("dorset/failed/report.ipynb") is None


@everywhere
def test_failed_run_is_kept_beside_the_report_and_leaves_it_as_it_was(url: str) -> None:
    place, files = shelf.at(url), report()
    place.place("dorset", files)
    for _ in range(2):
        place.place_beside("dorset", shelf.FAILED_FOLDER, failed())
    assert read(place, "dorset", files) == files
    assert read(place, "dorset/failed", failed()) == failed()
    assert names_at(place, "dorset") == {*files, "failed"}


@everywhere
def test_failed_run_is_kept_where_there_is_no_report(url: str) -> None:
    place = shelf.at(url)
    place.place_beside("dorset", shelf.FAILED_FOLDER, failed())
    assert shelf.recorded(place, "dorset") is None
    found = shelf.failure(place, "dorset")
    assert found is not None
    assert found.outcome is Outcome.FAILED


@everywhere
def test_file_that_says_that_already_is_not_written_again(url: str) -> None:
    place = shelf.at(url)
    assert shelf.write_if_changed(place, "index.html", "one")
    assert not shelf.write_if_changed(place, "index.html", "one")
    assert shelf.write_if_changed(place, "index.html", "two")
    assert place.read("index.html") == b"two"


@everywhere
@pytest.mark.parametrize("spoil", [b"", b"<p>1</p> ", None], ids=["emptied", "added to", "gone"])
def test_report_that_was_changed_is_not_as_written(url: str, spoil: bytes | None) -> None:
    place = shelf.at(url)
    known = record.parse(report()[record.FILE])
    assert known is not None
    files = report()
    del files["report.html"]
    place.place("dorset", files if spoil is None else files | {"report.html": spoil})
    assert not shelf.is_as_written(place, "dorset", known)


@everywhere
def test_place_of_a_file_is_told_so_that_it_can_be_found(url: str) -> None:
    assert shelf.at(url).shown("index.html") == f"{url.removeprefix('file://')}/index.html"


def test_url_that_ends_in_a_slash_leads_to_the_same_place() -> None:
    place = shelf.at(f"memory://{uuid.uuid4().hex}/")
    place.write("index.html", b"1")
    assert place.shown("index.html").count("//") == 1
    assert shelf.at(place.shown("index.html").removesuffix("index.html")).read("index.html") == b"1"


# ------------------------------------------------------------------------- what cannot be used


@pytest.mark.parametrize(
    ("url", "told"),
    [("nope://published", "Protocol not known: nope"), ("s3a-b://published", "Protocol not known")],
)
def test_url_of_a_kind_that_nobody_knows_is_refused(url: str, told: str) -> None:
    with pytest.raises(ShelfError, match=told):
        shelf.at(url)


def test_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ShelfError, match=r's3://published needs a library .*extra "cluster"'):
        shelf.at("s3://published")


@pytest.mark.usefixtures("server")
def test_bucket_that_is_not_there_is_told_and_not_made() -> None:
    place = shelf.at("s3://publishde/reports")
    assert place.read("index.html") is None
    with pytest.raises(ShelfError, match="there is no publishde"), place.locked(wait=0, tell=quiet):
        pass
    assert fsspec.filesystem("s3").ls("", refresh=True) == ["published"]


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file", encoding="utf-8")
    place = shelf.at(tmp_path / "reports")
    assert place.read("dorset/record.json") is None
    for use in (
        lambda: place.locked(wait=0, tell=quiet).__enter__(),
        lambda: place.place("dorset", report()),
        lambda: place.write("index.html", b"1"),
    ):
        with pytest.raises(ShelfError, match="reports cannot be used"):
            use()


def test_folder_in_the_place_of_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "dorset" / record.FILE).mkdir(parents=True)
    assert shelf.recorded(shelf.at(tmp_path), "dorset") is None


@pytest.mark.parametrize("method", ["cat_file", "pipe_file", "isfile"])
def test_place_far_away_that_fails_is_told_in_one_sentence(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = RemoteShelf(f"memory://{uuid.uuid4().hex}")

    def fail(*_: object, **__: object) -> None:
        # libraries have kinds of errors of their own
        raise RuntimeError("no route\nto host")

    monkeypatch.setattr(place, "_files", type("Broken", (), {method: fail, "makedirs": quiet_method})())
    use: dict[str, Callable[[], object]] = {
        "cat_file": lambda: place.read("index.html"),
        "pipe_file": lambda: place.write("index.html", b""),
        "isfile": lambda: place.has("index.html"),
    }
    with pytest.raises(ShelfError, match=r"memory://\w+ cannot be used \(no route to host\)"):
        use[method]()


def quiet_method(*_: object, **__: object) -> None:
    pass


# ------------------------------------------------------------------------------------- locks


def start_holder(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, url, "report", "--all"]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def release(holder: subprocess.Popen[str]) -> None:
    told, _ = holder.communicate(timeout=60)
    assert (holder.returncode, told) == (0, "released\n")


both = pytest.mark.parametrize("url", ["folder", "s3"], indirect=True)


@both
def test_second_run_is_refused_with_who_holds_the_lock(url: str) -> None:
    holder = start_holder(url)
    try:
        with pytest.raises(LockedError) as refusal, shelf.at(url).locked(wait=0, tell=quiet):
            raise AssertionError("two at once")
    finally:
        release(holder)
    message = str(refusal.value)
    assert '"casegrade report --all"' in message
    assert f"process {holder.pid} of {getpass.getuser()} on {socket.gethostname()}" in message
    assert f"running since {datetime.now(UTC):%Y-%m-%d }" in message
    assert message.endswith("try again when it has ended.")


@both
def test_second_run_waits_until_the_first_has_ended_and_says_for_whom(url: str) -> None:
    holder = start_holder(url)
    told: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        release(holder)

    with shelf.at(url).locked(wait=60, tell=tell):
        assert holder.returncode == 0
    assert len(told) == 1
    assert told[0].startswith('Waiting for "casegrade report --all", process ')


@both
def test_run_that_waits_in_vain_is_refused(url: str) -> None:
    holder = start_holder(url)
    told: list[str] = []
    try:
        with pytest.raises(LockedError), shelf.at(url).locked(wait=0.2, tell=told.append):
            raise AssertionError("two at once")
    finally:
        release(holder)
    assert len(told) == 1


def test_lock_of_a_run_that_was_killed_is_taken_over(url: str) -> None:
    holder = start_holder(url)
    with holder:
        holder.send_signal(signal.SIGKILL)
    told: list[str] = []
    with shelf.at(url).locked(wait=0, tell=told.append):
        assert holder.returncode == -signal.SIGKILL
    assert told == []
    assert [path.name for path in Path(url).iterdir()] == [shelf.LOCK]


@everywhere
def test_lock_is_let_go_at_the_end_and_when_something_goes_wrong(url: str) -> None:
    place = shelf.at(url)
    with place.locked(wait=0, tell=quiet):
        pass
    with pytest.raises(ValueError, match="stopped"), place.locked(wait=0, tell=quiet):
        raise ValueError("stopped")
    with place.locked(wait=0, tell=quiet):
        pass


@both
def test_of_many_that_want_the_lock_one_has_it_at_a_time(url: str) -> None:
    inside: list[int] = []
    most: list[int] = []
    problems: list[BaseException] = []

    def hold() -> None:
        try:
            with shelf.at(url).locked(wait=60, tell=quiet):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=hold) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert most == [1, 1, 1]


# ----------------------------------------------------------------------- locks: in a folder


def test_what_a_killed_run_left_is_cleared_when_the_next_one_begins(tmp_path: Path) -> None:
    place = FolderShelf(tmp_path / "reports")
    place.place("dorset", report())
    place.place_beside("suffolk", shelf.FAILED_FOLDER, failed())
    before = set(place.folder.rglob("*"))
    (place.folder / ".kent.new-abc").mkdir()
    (place.folder / ".kent.new-abc" / "report.html").write_text("half", encoding="utf-8")
    (place.folder / ".index.html.new-abc").write_text("half", encoding="utf-8")
    # as left where two folders cannot be exchanged, between the two steps that it takes there
    (place.folder / "dorset").rename(place.folder / ".dorset.replaced")
    (place.folder / "suffolk" / "failed").rename(place.folder / "suffolk" / ".failed.replaced")

    with place.locked(wait=0):
        held = place.folder / ".lock-held-by.json"
        assert set(place.folder.rglob("*")) == before | {place.folder / shelf.LOCK, held}

    assert set(place.folder.rglob("*")) == before | {place.folder / shelf.LOCK}


def test_tidying_clears_what_a_killed_run_left_but_not_what_a_living_one_needs(url: str) -> None:
    place = FolderShelf(Path(url))
    holder = start_holder(url)
    (place.folder / ".kent.new-abc").mkdir()

    place.tidy()
    assert (place.folder / ".kent.new-abc").is_dir()

    with holder:
        holder.send_signal(signal.SIGKILL)
    place.tidy()
    assert [path.name for path in place.folder.iterdir()] == [shelf.LOCK]


def test_tidying_where_nothing_is_left_touches_nothing(tmp_path: Path) -> None:
    FolderShelf(tmp_path / "reports").tidy()
    assert not (tmp_path / "reports").exists()


def test_report_switches_in_one_step_and_is_made_up_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = FolderShelf(tmp_path)
    place.place("dorset", report())
    seen: list[set[str]] = []
    switch = storage.switch

    def look_and_switch(new: Path, old: Path) -> None:
        seen.append({path.name for path in new.iterdir()})
        assert (old / "report.html").read_bytes() == b"<p>1</p>"
        switch(new, old)

    monkeypatch.setattr(storage, "switch", look_and_switch)
    files = report(page=b"<p>2</p>")
    place.place("dorset", files)
    assert seen == [set(files)]


# ------------------------------------------------------------------------- locks: far away


def held_by(run: str, *, seen: timedelta) -> bytes:
    known = {"run": run, "command": "casegrade report --all", "pid": 1, "user": "ada", "host": "far"}
    moment = datetime.now(UTC) - seen
    return json.dumps(known | {"since": moment.isoformat(), "seen": moment.isoformat()}).encode()


@pytest.fixture
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "_SETTLE", 0.0)


@far_away
@pytest.mark.usefixtures("no_settling")
@pytest.mark.parametrize(
    "left", [held_by("other", seen=timedelta(minutes=10)), b"", b"half of a", b"[]", b'{"seen": "soon"}']
)
def test_lock_that_nobody_renews_any_more_is_taken_over(url: str, left: bytes) -> None:
    place = shelf.at(url)
    place.write(shelf.LOCK, left)
    told: list[str] = []
    with place.locked(wait=0, tell=told.append):
        assert place.read(shelf.LOCK) != left
    assert told == []
    assert not place.has(shelf.LOCK)


@far_away
def test_lock_that_was_renewed_a_moment_ago_is_not_taken_over(url: str) -> None:
    place = shelf.at(url)
    left = held_by("other", seen=timedelta(seconds=5))
    place.write(shelf.LOCK, left)
    place.tidy()
    with pytest.raises(LockedError, match="process 1 of ada on far"), place.locked(wait=0, tell=quiet):
        pass
    assert place.read(shelf.LOCK) == left


@far_away
@pytest.mark.usefixtures("no_settling")
def test_tidying_takes_away_the_lock_of_a_run_that_is_gone(url: str) -> None:
    place = shelf.at(url)
    place.write(shelf.LOCK, held_by("other", seen=timedelta(minutes=10)))
    place.tidy()
    assert not place.has(shelf.LOCK)


@far_away
def test_lock_is_renewed_while_it_is_held(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "_LEASE", 0.3)
    place = shelf.at(url)
    with place.locked(wait=0, tell=quiet):
        first = place.read(shelf.LOCK)
        renewed = threading.Event()
        while not renewed.wait(0.05):
            if place.read(shelf.LOCK) != first:
                renewed.set()
    assert not place.has(shelf.LOCK)


@far_away
def test_of_two_that_take_over_at_once_one_gives_way(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = shelf.at(url)
    place.write(shelf.LOCK, held_by("gone", seen=timedelta(minutes=10)))
    other = held_by("other", seen=timedelta(0))
    # the other one saw the old lock too, and takes the new one away for it
    monkeypatch.setattr("time.sleep", lambda _: RemoteShelf(url)._write(shelf.LOCK, other))
    with pytest.raises(LockedError, match="ada on far"), place.locked(wait=0, tell=quiet):
        pass
    assert place.read(shelf.LOCK) == other


@far_away
def test_run_that_stood_still_while_another_took_over_writes_nothing_more(url: str) -> None:
    place = shelf.at(url)
    place.place("dorset", report())
    before = read(place, "dorset", report())
    other = held_by("other", seen=timedelta(0))
    with place.locked(wait=0, tell=quiet):
        RemoteShelf(url)._write(shelf.LOCK, other)
        with pytest.raises(LockedError, match="another one took over"):
            place.place("dorset", report(page=b"<p>2</p>"))
    assert read(place, "dorset", report()) == before
    # nor does it take the other's lock away
    assert place.read(shelf.LOCK) == other


# ------------------------------------------------------------------------ writing far away


class Killed(BaseException):
    """Stands for a process that ends here."""


def killed_at(place: Shelf, n: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """End at the n-th file that is written; returns the names of those that were."""
    assert isinstance(place, RemoteShelf)
    pipe_file, written = place._files.pipe_file, []

    def pipe(path: str, content: bytes, **how: Any) -> None:
        if len(written) + 1 == n:
            raise Killed
        pipe_file(path, content, **how)
        written.append(path.rpartition("/")[2])

    monkeypatch.setattr(place._files, "pipe_file", pipe)
    return written


@far_away
def test_record_is_written_last(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = shelf.at(url)
    written = killed_at(place, 0, monkeypatch)
    place.place("dorset", report())
    place.place_beside("dorset", shelf.FAILED_FOLDER, failed())
    assert written == ["report.html", "figures.csv", record.FILE, "report.ipynb", record.FILE]


@far_away
@pytest.mark.parametrize("n", [1, 2, 3])
def test_report_whose_writing_stopped_in_the_middle_is_known_as_such(
    url: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shelf.at(url)
    old = report(run_id="1")
    new = report(run_id="2", page=b"<p>2</p>")
    place.place("dorset", old)
    with monkeypatch.context() as patch:
        killed_at(place, n, patch)
        with pytest.raises(Killed):
            place.place("dorset", new)

    known = shelf.recorded(place, "dorset")

    assert known is not None
    assert known.run_id == "1"
    # nothing was written yet before the first
    assert shelf.is_as_written(place, "dorset", known) == (n == 1)
    place.place("dorset", new)
    assert read(place, "dorset", new) == new


@pytest.mark.usefixtures("no_settling")
@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_batch_that_was_killed_while_writing_far_away_is_finished_by_the_next(
    url: str, project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(project, "1")
    place, asked = shelf.at(url), batch.Asked(("dorset",))
    (first,) = batch.run(project, place, asked)
    assert first.outcome is Outcome.DRAFT
    small(project, "'changed'")
    with monkeypatch.context() as patch:
        # after the lock and five files of the report, the notebook among them, and before its record
        killed_at(place, 7, patch)
        with pytest.raises(Killed):
            batch.run(project, place, asked)

    (step,) = batch.dry_run(project, place, asked)
    assert step.reasons == ("the notebook changed",)
    small(project, "1")
    (step,) = batch.dry_run(project, place, asked)
    # what it depends on is as it was, and still the files are of two versions
    assert step.reasons == ("its files are not as they were written",)

    (second,) = batch.run(project, place, asked)
    assert second.is_new
    known = shelf.recorded(place, "dorset")
    assert known is not None
    assert shelf.is_as_written(place, "dorset", known)
    (third,) = batch.run(project, place, asked)
    assert not third.is_new
    assert not place.has(shelf.LOCK)


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_command_publishes_to_a_bucket_and_verifies_against_it(
    url: str, project: paths.Project, tmp_path: Path
) -> None:
    small(project, "1")
    command = Path(sys.executable).with_name("casegrade")

    def casegrade(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([command, *words], capture_output=True, text=True, timeout=120, check=False)

    made = casegrade("report", "dorset", "--output", url)
    assert (made.returncode, made.stderr) == (0, "dorset: draft (1 of 1)\n")
    assert f"{url}/index.html" in made.stdout
    assert not project.reports.exists()

    place = shelf.at(url)
    copy = tmp_path / "from a colleague.html"
    copy.write_bytes(place.read("dorset/report.html") or b"")
    judged = casegrade("verify", str(copy), "--output", url)
    assert (judged.returncode, judged.stderr) == (0, "")
    assert judged.stdout.startswith("Draft: ")

    again = casegrade("report", "dorset", "--output", url, "--log-format", "json")
    told = [json.loads(line) for line in again.stderr.splitlines()]
    assert [one["is_new"] for one in told if one["event"] == "report"] == [False]
    assert place.has("index.html")
    assert not place.has(shelf.LOCK)
