import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import synthetic
from processes import eventually, is_gone
from synthetic import small

from analysis import paths, vocabulary
from analysis.publish import shelf
from analysis.schedule import health, rota, runs, serving
from analysis.schedule.runs import End, Run

# commands in processes of their own, some of which are killed: keep them on one worker
pytestmark = [
    pytest.mark.xdist_group("serving"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals are sent"),
]

# one has audits, and so a notebook that is run; the other has none
MADE, EMPTY = "dorset", "kent"
DAILY = '[defaults]\ncron = "0 6 * * *"\nretry_after = 0\n'
FAKETIME = Path("/usr/lib")


def in_time(holds: Callable[[], object]) -> bool:
    """Whether it comes to hold, on a machine that may have much else to do."""
    return any(eventually(lambda: bool(holds())) for _ in range(3))


def scheduled(*names: str, more: str = "") -> str:
    return DAILY + "".join(f"[forces.{name}]\n" for name in names) + more


@dataclass
class Served:
    """A process that serves, what it said so far, and how it says that it is."""

    process: subprocess.Popen[bytes]
    log: Path
    beats: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        assert in_time(lambda: "/health" in self.said or self.process.poll() is not None), self.said
        found = re.search(r"http://127\.0\.0\.1:(\d+)/health", self.said)
        assert found, self.said
        return int(found[1])

    def ask(
        self, path: str = "/health", method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as line:
            line.request(method, path, headers=dict(headers or {}))
            answer = line.getresponse()
            return answer.status, answer.read()

    def health(self) -> dict[str, Any]:
        code, content = self.ask()
        told: dict[str, Any] = json.loads(content)
        assert (code, told["status"]) in ((200, "ok"), (503, "unwell"))
        return told

    def is_idle(self) -> bool:
        """Whether it has looked, and is well."""
        told = self.health()
        return told["status"] == "ok" and told["last_look"] is not None and not told["running"]

    def looks_again(self, n_times: int = 2) -> bool:
        """Wait for so many more looks."""
        for _ in range(n_times):
            before = self.health()["last_look"]
            if not in_time(lambda before=before: self.health()["last_look"] != before):
                return False
        return True

    def beat(self) -> dict[str, Any] | None:
        if not self.beats.exists():
            return None
        found: dict[str, Any] = json.loads(self.beats.read_text(encoding="utf-8"))
        return found

    def ended(self) -> int:
        return self.process.wait(timeout=180)


@dataclass
class Site:
    """A project, what its cells leave for the test to see, and the processes that serve it."""

    project: paths.Project
    env: dict[str, str]
    marks: Path
    started: list[Served] = field(default_factory=list)

    @property
    def place(self) -> shelf.Shelf:
        return shelf.at(self.project.reports)

    def schedule(self, text: str) -> None:
        new = self.project.root / "schedule.new"
        new.write_text(text, encoding="utf-8")
        # in one step, as a schedule that is read half written would be a broken one
        new.replace(self.project.root / "schedule.toml")

    def hang(self) -> None:
        """Have the notebook wait for a file called go, and say in which process."""
        small(
            self.project,
            "import os, time\nfrom pathlib import Path\n"
            f"marks = Path({str(self.marks)!r})\n"
            "(marks / f'kernel-{os.getpid()}').write_text(f'{os.getppid()} {sorted(os.environ.items())}')\n"
            "while not (marks / 'go').exists():\n    time.sleep(0.02)",
        )

    def go(self) -> None:
        (self.marks / "go").touch()

    def kernels(self) -> list[int]:
        found = [path for path in self.marks.glob("kernel-*") if path.read_text(encoding="utf-8")]
        return [int(path.name.removeprefix("kernel-")) for path in found]

    def start(self, *words: str, port: int = 0, **env: str) -> Served:
        log = self.marks / f"log-{len(self.started)}"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [
                    *(Path(sys.executable).with_name("casegrade"), "schedule", "serve"),
                    *("--every", "1", "--port", str(port), *words),
                ],
                env=self.env | env,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                # a shell that runs in the background has what it starts ignore this
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        self.started.append(Served(process, log, health.heart_beat(self.project)))
        return self.started[-1]

    def runs(self, name: str) -> list[Run]:
        return list(runs.of(self.place, name))

    def ends(self, name: str) -> list[End]:
        """How the runs of a report ended, the last one first."""
        return [run.end for run in self.runs(name)]


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    # the path of a socket may have no more than about 100 letters
    folder = Path(tempfile.mkdtemp(prefix="cg-"))
    yield folder
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # a warm server, which works in its own folder
            if folder in Path(process.cwd()).parents:
                process.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(tmp_path: Path, short_folder: Path) -> Iterator[Site]:
    project = synthetic.copy_of_project(tmp_path / "project")
    small(project, "1 + 1")
    (tmp_path / "marks").mkdir()
    env = {name: value for name, value in os.environ.items() if name != "CASEGRADE_WARM"} | {
        paths.VARIABLE: str(project.root),
        "XDG_RUNTIME_DIR": str(short_folder),
    }
    site = Site(project, env, tmp_path / "marks")
    yield site
    for served in site.started:
        with served.process:
            served.process.kill()


def forked(server: int) -> set[int]:
    """What a warm server has forked: workers and kernels."""
    try:
        return {child.pid for child in psutil.Process(server).children(recursive=True)}
    except psutil.NoSuchProcess:
        return set()


def server_of(site: Site) -> int:
    """The process that kernels come from."""
    return int(next(site.marks.glob("kernel-*")).read_text(encoding="utf-8").split()[0])


# ------------------------------------------------------------------------ what it does


def test_it_runs_what_is_due_and_tells_how_it_is_meanwhile(site: Site) -> None:
    site.hang()
    site.schedule(scheduled(MADE, EMPTY))
    served = site.start()
    assert in_time(site.kernels), served.said

    told = served.health()
    assert (told["status"], told["why"], told["failed"]) == ("ok", None, [])
    assert told["running"] == [MADE]
    assert told["reports"] == 2

    site.go()
    assert in_time(served.is_idle), served.said
    assert site.ends(MADE) == [End.MADE]
    assert site.ends(EMPTY) == [End.NO_AUDITS]
    assert (site.project.reports / MADE / "report.html").is_file()
    told = served.health()
    assert datetime.fromisoformat(told["due_next"]) > datetime.fromisoformat(told["last_look"])
    assert "2 reports in schedule.toml, looked at every 1 seconds; the next is due: " in served.said
    assert f"{MADE}: due " in served.said
    assert f"{MADE}: made" in served.said
    # and nothing is run again
    assert served.looks_again()
    assert site.ends(MADE) == [End.MADE]
    assert served.said.count(f"{MADE}: made") == 1


def test_for_programs_it_tells_one_object_a_line(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    served = site.start("--log-format", "json")
    assert in_time(lambda: '"ended"' in served.said), served.said
    served.process.terminate()
    assert served.ended() == 0
    events = [json.loads(line) for line in served.said.splitlines()]
    assert [one["event"] for one in events] == ["serving", "begun", "ended", "message"]
    assert events[0] | {"schedule": "schedule.toml", "reports": 1, "every": 1} == events[0]
    assert (events[2]["report"], events[2]["end"]) == (EMPTY, "no audits yet")


def test_report_that_was_given_up_is_named_and_nothing_more_is_told(site: Site) -> None:
    small(site.project, "raise ValueError('a figure of a child')")
    site.schedule(scheduled(MADE).replace("retry_after = 0", "retries = 0"))
    served = site.start()
    assert in_time(lambda: served.health()["failed"] == [MADE]), served.said
    assert "a figure of a child" in served.said
    told = served.health()
    assert told["status"] == "ok"
    assert "a figure" not in json.dumps(told)


def test_schedule_that_was_edited_counts_at_the_next_look(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    served = site.start()
    assert in_time(served.is_idle), served.said
    site.schedule(scheduled(EMPTY, "cumbria"))
    assert in_time(lambda: site.ends("cumbria") == [End.NO_AUDITS]), served.said
    assert in_time(lambda: served.health()["reports"] == 2)


def test_schedule_that_breaks_is_told_once_and_mended_without_a_restart(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    served = site.start()
    assert in_time(served.is_idle), served.said

    site.schedule(scheduled(EMPTY, more='colour = "a secret"\n'))
    assert in_time(lambda: not served.is_idle())
    assert served.looks_again(3)
    told = served.health()
    assert told["status"] == "unwell"
    assert told["why"] == "The schedule cannot be used as it is: see the log."
    assert told["due_next"] is None
    assert in_time(lambda: (served.beat() or {})["status"] == "unwell")
    assert served.said.count("forces.kent.colour is no key that is known here") == 1

    # broken in another way
    site.schedule("[")
    assert in_time(lambda: "is not TOML" in served.said)
    assert served.looks_again(3)
    assert served.said.count("is not TOML") == 1

    site.schedule(scheduled(EMPTY, "cumbria"))
    assert in_time(lambda: site.ends("cumbria") == [End.NO_AUDITS]), served.said
    assert in_time(served.is_idle)
    assert served.said.count("What was wrong is mended: goes on.") == 1


def test_without_a_schedule_that_can_be_used_it_does_not_begin(site: Site) -> None:
    site.schedule("[")
    served = site.start()
    assert served.ended() == 2
    assert served.said.startswith("schedule.toml, line 1, is not TOML")
    assert served.said.count("\n") == 1
    assert served.beat() is None


def test_somebody_else_who_is_writing_is_no_error(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    with site.place.locked(wait=0, tell=lambda message: None):
        served = site.start()
        assert served.looks_again(3), served.said
        assert served.health()["status"] == "ok"
        assert site.runs(EMPTY) == []
    assert in_time(lambda: site.ends(EMPTY) == [End.NO_AUDITS])
    assert "try again" not in served.said


def test_place_that_cannot_be_used_makes_it_unwell_until_it_can(site: Site) -> None:
    beats = site.marks / "beats.json"
    site.schedule(scheduled(EMPTY))
    served = site.start("--heart-beat", str(beats))
    assert in_time(served.is_idle), served.said
    shutil.rmtree(site.project.reports)
    site.project.reports.write_text("no folder", encoding="utf-8")
    assert in_time(lambda: not served.is_idle())
    assert served.health()["why"] == "The place of the reports cannot be used: see the log."
    assert served.looks_again()
    assert served.said.count("cannot be used (") == 1
    site.project.reports.unlink()
    assert in_time(lambda: served.is_idle() and site.ends(EMPTY) == [End.NO_AUDITS])


def test_code_that_changed_under_it_makes_nothing(site: Site, tmp_path: Path) -> None:
    source = shutil.copytree(paths.package().parent, tmp_path / "src")
    site.schedule(scheduled(EMPTY))
    served = site.start(PYTHONPATH=str(source))
    assert in_time(served.is_idle), served.said
    (source / "analysis" / "publish" / "templates" / "page.css").write_text("", encoding="utf-8")
    assert in_time(lambda: not served.is_idle())
    told = served.health()["why"]
    assert told == "The code of casegrade changed since this process started: start it again."
    assert served.looks_again()
    assert served.said.count(told) == 1


# ------------------------------------------------------------------------ killed, and asked to stop


@pytest.mark.parametrize("warm", [{}, {"CASEGRADE_WARM": "off"}], ids=["warm", "fresh"])
def test_process_that_is_killed_in_the_middle_is_started_again_and_has_all_of_it_once(
    site: Site, warm: dict[str, str]
) -> None:
    site.hang()
    site.schedule(scheduled(MADE, EMPTY))
    served = site.start(**warm)
    assert in_time(site.kernels), served.said
    at_work = {child.pid for child in psutil.Process(served.process.pid).children(recursive=True)}
    if not warm:
        at_work = forked(server_of(site))
    assert set(site.kernels()) < at_work

    served.process.kill()

    assert served.ended() == -signal.SIGKILL
    assert in_time(lambda: all(map(is_gone, at_work)))
    assert site.ends(MADE) == [End.BEGUN]
    # it has no chance to take it away
    assert (served.beat() or {})["pid"] == served.process.pid

    site.go()
    again = site.start(port=served.port, **warm)
    assert in_time(again.is_idle), again.said
    assert site.ends(MADE) == [End.MADE, End.INTERRUPTED]
    assert site.ends(EMPTY) == [End.NO_AUDITS]
    assert [run.attempt for run in site.runs(MADE)] == [2, 1]
    assert (again.beat() or {})["pid"] == again.process.pid
    known = shelf.recorded(site.place, MADE)
    assert known is not None
    assert known.earlier == ()
    assert shelf.is_as_written(site.place, MADE, known)
    assert again.looks_again()
    assert len(site.runs(MADE)) == 2


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_waits_for_the_run_in_hand(site: Site, signum: signal.Signals) -> None:
    site.hang()
    site.schedule(scheduled(MADE))
    served = site.start("--grace", "600")
    assert in_time(site.kernels), served.said
    served.process.send_signal(signum)
    assert in_time(lambda: f"Stopping: waits 600 seconds for {MADE}." in served.said), served.said
    assert served.health()["running"] == [MADE]
    site.go()
    assert served.ended() == 0
    assert site.ends(MADE) == [End.MADE]
    assert served.said.endswith("Stopped.\n")
    assert served.beat() is None


def test_it_waits_no_longer_than_it_was_told(site: Site) -> None:
    site.hang()
    site.schedule(scheduled(MADE))
    served = site.start("--grace", "0")
    assert in_time(site.kernels), served.said
    at_work = forked(server_of(site))
    served.process.terminate()
    assert served.ended() == 130
    assert f"Left {MADE} behind: the next start begins it again." in served.said
    assert in_time(lambda: all(map(is_gone, at_work)))
    assert site.ends(MADE) == [End.BEGUN]


def test_second_signal_ends_it_at_once(site: Site) -> None:
    site.hang()
    site.schedule(scheduled(MADE))
    served = site.start("--grace", "600")
    assert in_time(site.kernels), served.said
    at_work = forked(server_of(site))
    served.process.terminate()
    assert in_time(lambda: "Stopping" in served.said)
    served.process.terminate()
    assert served.ended() == 128 + signal.SIGTERM
    assert in_time(lambda: all(map(is_gone, at_work)))


def test_whoever_read_along_and_has_gone_ends_nothing(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    command = [
        Path(sys.executable).with_name("casegrade"),
        "schedule",
        "serve",
        "--every",
        "1",
        "--port",
        "0",
    ]
    with subprocess.Popen(
        command, env=site.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stderr is not None
            process.stderr.close()
            assert in_time(lambda: site.ends(EMPTY) == [End.NO_AUDITS])
            site.schedule(scheduled(EMPTY, "cumbria"))
            assert in_time(lambda: site.ends("cumbria") == [End.NO_AUDITS])
            process.terminate()
            assert process.wait(timeout=180) == 0
        finally:
            process.kill()


# ------------------------------------------------------------------------ the clock


def faketime() -> Path:
    found = next(FAKETIME.glob("**/faketime/libfaketimeMT.so.1"), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no libfaketime: install faketime")
        pytest.skip("no libfaketime: install faketime")
    return found


def test_clock_that_is_put_back_or_forward_by_a_year_stops_nothing(site: Site) -> None:
    clock = site.marks / "clock"

    def put(days: int) -> None:
        new = site.marks / "clock.new"
        new.write_text(f"{days:+}d\n", encoding="utf-8")
        new.replace(clock)

    def looked(days: int) -> bool:
        """Whether the last look was by a clock that is off by so much."""
        last = served.health()["last_look"]
        off = datetime.fromisoformat(last) - datetime.now(UTC) if last else timedelta.max
        return abs(off - timedelta(days=days)) < timedelta(days=2)

    put(0)
    site.schedule(scheduled(EMPTY))
    # an hour, so that it would not look by itself again
    served = site.start(
        *("--every", "3600"),
        LD_PRELOAD=str(faketime()),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        NO_FAKE_STAT="1",
    )
    assert in_time(lambda: looked(0)), served.said
    assert len(site.runs(EMPTY)) == 1

    for n_before, days in enumerate((-365, 365, -3650), start=1):
        put(days)
        assert in_time(lambda days=days: looked(days)), served.said
        assert served.health()["status"] == "ok"
        assert served.said.count("The clock was put ") == n_before
    assert "The clock was put back by 365 days: looks at the schedule now." in served.said
    assert "The clock was put forward by 730 days, or stood still so long: looks" in served.said
    # one for each moment that the clock was at
    assert len({run.due for run in site.runs(EMPTY)}) == len(site.runs(EMPTY)) == 4
    assert {run.end for run in site.runs(EMPTY)} == {End.NO_AUDITS}


# ------------------------------------------------------------------------ health and heart beat


def test_health_is_told_on_this_machine_only_and_under_its_own_name(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    served = site.start()
    assert in_time(served.is_idle), served.said
    mine = psutil.Process(served.process.pid)
    listening = [one.laddr for one in mine.net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert [(one.ip, one.port) for one in listening] == [("127.0.0.1", served.port)]
    others = {
        one.address
        for found in psutil.net_if_addrs().values()
        for one in found
        if one.family == socket.AF_INET and not one.address.startswith("127.")
    }
    for address in others:
        with pytest.raises(OSError, match=r".*"):
            socket.create_connection((address, served.port), timeout=60)

    assert served.ask(method="HEAD") == (200, b"")
    assert served.ask("/health?verbose=1")[0] == 200
    for host in ("localhost", f"LOCALHOST:{served.port}", "127.0.0.1:1"):
        assert served.ask(headers={"Host": host})[0] == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost:x", "127.0.0.1:80@evil.example", ""):
        code, content = served.ask(headers={"Host": host})
        assert (code, b"status" in content) == (403, False), host
    for method, path in (("GET", "/"), ("GET", "/health/"), ("GET", "/healthy")):
        assert served.ask(path, method)[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
        code, content = served.ask(method=method)
        assert (code, b"BREW" in content) == (404, False)
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as line:
        line.sendall(b"<script>alert(1)</script>\r\n\r\n")
        assert b"script" not in line.recv(4096)


def test_health_is_answered_while_others_ask_and_say_nothing(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    served = site.start()
    port = served.port
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        assert in_time(served.is_idle), served.said


def test_second_process_on_a_port_is_refused_in_a_sentence(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    served = site.start()
    assert in_time(served.is_idle), served.said
    second = site.start(port=served.port)
    assert second.ended() == 2
    assert second.said == (
        f"Port {served.port} is taken, perhaps by another casegrade schedule serve: stop that, "
        "or name another with --port.\n"
    )
    # and the first one's heart goes on
    assert (served.beat() or {})["pid"] == served.process.pid
    assert served.is_idle()


def test_two_processes_share_the_work_of_one_place(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    first = site.start("--heart-beat", str(site.marks / "first.json"))
    second = site.start("--heart-beat", str(site.marks / "second.json"))
    assert in_time(lambda: first.is_idle() and second.is_idle())
    assert first.looks_again()
    assert second.looks_again()
    assert site.ends(EMPTY) == [End.NO_AUDITS]
    assert (first.said + second.said).count(f"{EMPTY}: no audits yet") == 1


def test_heart_beats_in_a_file_until_a_clean_end(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    left = health.heart_beat(site.project)
    left.parent.mkdir(parents=True)
    (left.parent / f".{left.name}.new-killed").write_text("half", encoding="utf-8")
    served = site.start()
    assert in_time(served.is_idle), served.said
    first = served.beat()
    assert first is not None
    assert first | {"pid": served.process.pid, "host": socket.gethostname(), "port": served.port} == first
    assert sorted(first) == ["beat", "host", "pid", "port", "started", "status"]
    for _ in range(2):
        before = served.beat()
        assert in_time(lambda before=before: served.beat() != before)
    now = served.beat()
    assert now is not None
    assert datetime.fromisoformat(now["beat"]) > datetime.fromisoformat(first["beat"])
    assert now["started"] == first["started"]
    # nobody takes it for a report that has runs
    assert runs.reports(site.place) == [EMPTY]

    served.process.terminate()
    assert served.ended() == 0
    assert [path.name for path in left.parent.iterdir()] == [EMPTY]


def test_heart_beat_that_cannot_be_written_is_told_and_ends_nothing(site: Site) -> None:
    beats = site.marks / "beats" / "beat.json"
    site.schedule(scheduled(EMPTY))
    served = site.start("--heart-beat", str(beats))
    assert in_time(served.is_idle), served.said
    shutil.rmtree(beats.parent)
    beats.parent.write_text("no folder", encoding="utf-8")
    assert in_time(lambda: "beat.json cannot be written (" in served.said)
    assert served.looks_again()
    beats.parent.unlink()
    assert in_time(beats.exists)
    assert served.said.count("cannot be written") == 1


def test_secrets_stay_with_the_process_that_was_given_them(site: Site) -> None:
    password, url = "hunter-hunter-2", "https://hooks.example/services/T0/B0/abcdefgh"
    site.hang()
    site.schedule(scheduled(MADE))
    served = site.start(CASEGRADE_SMTP_PASSWORD=password, CASEGRADE_WEBHOOK_URL=url)
    assert in_time(site.kernels), served.said
    (kernel,) = site.marks.glob("kernel-*")
    seen = [kernel.read_text(encoding="utf-8"), json.dumps(served.health()), json.dumps(served.beat())]
    for pid in (*forked(server_of(site)), server_of(site)):
        seen.append(Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace"))
    site.go()
    assert in_time(served.is_idle)
    seen.append(served.said)
    assert paths.VARIABLE in seen[0]
    for text in seen:
        assert not re.search(r"hunter|abcdefgh|CASEGRADE_SMTP|CASEGRADE_WEBHOOK", text)


def test_secret_that_cannot_be_used_is_told_before_anything_is_run(site: Site) -> None:
    site.schedule(scheduled(EMPTY))
    served = site.start(CASEGRADE_WEBHOOK_URL="ftp://secret")
    assert served.ended() == 2
    assert "is no address of a webhook" in served.said
    assert "ftp://secret" not in served.said
    assert site.runs(EMPTY) == []


# ------------------------------------------------------------------------ what nobody expects


class Panic(BaseException):
    """What a library may raise that is no exception to Python."""


def test_whatever_a_look_ends_in_is_told_in_a_line_and_the_next_one_tries_again(
    project: paths.Project,
) -> None:
    faults: list[BaseException] = [
        RuntimeError("figures of\na child"),
        RuntimeError("figures of\na child"),
        Panic("figures of a child"),
        SystemExit(7),
        KeyboardInterrupt(),
    ]
    entries = rota.parse(scheduled(EMPTY).encode(), vocabulary.forces(project.raw), name="schedule.toml")
    asked: list[int] = []
    told: list[str] = []
    why: list[object] = []
    address: list[str] = []

    def read() -> rota.Rota:
        asked.append(len(asked))
        if len(asked) == 1:
            return entries
        why.append(health_of(address[0])["why"])
        if len(asked) - 2 < len(faults):
            raise faults[len(asked) - 2]
        if len(asked) - 2 == len(faults) + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return entries

    before = signal.getsignal(signal.SIGTERM)
    place = shelf.at(project.reports)
    is_done = serving.serve(
        project,
        place,
        serving.Terms(0, project.root / "beat.json", every=1, grace=600, jobs=1),
        read=read,
        telling=lambda rota: None,
        saying=serving.Saying(
            lambda begun: address.append(begun.health), lambda run: None, told.append, told.append
        ),
    )
    assert is_done
    assert signal.getsignal(signal.SIGTERM) is before
    ends = [f"The last look at the schedule ended in {type(one).__name__}: see the log." for one in faults]
    assert why == [None, *ends, None]
    tries = "The next one tries again."
    assert told[:5] == [
        f"The look at the schedule ended in RuntimeError: figures of a child. {tries}",
        f"The look at the schedule ended in Panic: figures of a child. {tries}",
        f"The look at the schedule ended in SystemExit: 7. {tries}",
        f"The look at the schedule ended in KeyboardInterrupt. {tries}",
        "What was wrong is mended: goes on.",
    ]
    assert [run.end for run in runs.of(place, EMPTY)] == [End.NO_AUDITS]
    assert not (project.root / "beat.json").exists()


def health_of(address: str) -> dict[str, Any]:
    host, port = address.removeprefix("http://").removesuffix("/health").split(":")
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=60)) as line:
        line.request("GET", "/health")
        found: dict[str, Any] = json.loads(line.getresponse().read())
        return found


def test_look_that_hangs_makes_it_unwell_and_a_run_that_takes_long_does_not(
    project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    monkeypatch.setattr(health, "time", FakeTime(seconds))
    wellbeing = health.Wellbeing(60, [])
    assert wellbeing.may_look()

    def passes(minutes: int, *, beats: bool = True) -> object:
        seconds[0] += 60 * minutes
        if beats:
            wellbeing.beats()
        return wellbeing.told()["why"]

    assert passes(3) is None
    assert passes(1) == "There was no look at the schedule for 240 seconds."
    begun = runs.begin(
        shelf.at(project.reports), EMPTY, due=datetime.now(UTC), attempt=1, now=datetime.now(UTC)
    )
    wellbeing.runs(begun)
    assert passes(600) is None
    wellbeing.runs(begun.model_copy(update={"end": End.MADE}))
    assert passes(3) is None
    wellbeing.has_looked(None)
    assert passes(3) is None
    assert passes(2, beats=False) == "The main thread has stood still for 120 seconds."
    wellbeing.close()
    assert not wellbeing.may_look()


class FakeTime:
    def __init__(self, seconds: list[float]):
        self._seconds = seconds

    def monotonic(self) -> float:
        return self._seconds[0]

    def time(self) -> float:
        return self._seconds[0]


def test_clock_that_is_only_set_right_is_no_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = [1000.0], [0.0]
    fake = FakeTime(wall)
    monkeypatch.setattr(fake, "monotonic", lambda: steady[0])
    monkeypatch.setattr(serving, "time", fake)
    watch = serving._ClockWatch()
    found = []
    for step in (1.0, 1.5, 1.9, 2.9, 1.0, 0.0, -3600.0, 1.0):
        steady[0] += 1
        wall[0] += step
        found.append(watch.shift())
    # what adds up counts
    assert found == [None, None, None, pytest.approx(3.3), None, None, pytest.approx(-3602.0), None]


def test_no_thread_is_left_behind_but_those_that_end_with_the_process() -> None:
    assert not [one.name for one in threading.enumerate() if one.name.startswith("casegrade-health")]
