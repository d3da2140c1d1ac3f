import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from processes import eventually
from synthetic import RAW, small
from typer.testing import CliRunner, Result

from analysis import cli, console, paths, vocabulary
from analysis.evidence.faults import Fault
from analysis.publish import batch, record, shelf
from analysis.publish.record import Outcome, RunRecord
from analysis.publish.shelf import FolderShelf, LockedError, ShelfError
from analysis.schedule import due, outbox, rota, running, runs
from analysis.schedule.credentials import Credentials
from analysis.schedule.outbox import Telling
from analysis.schedule.rota import CHANGED, FAILURE, RECOVERY, Rota
from analysis.schedule.running import Left, Order, Settle
from analysis.schedule.runs import End, Run

FORCES = vocabulary.forces(RAW)
NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
# everything is due at six in the morning, and fails once before it is given up
DEFAULTS = '[defaults]\ncron = "0 6 * * *"\nretries = 1\nretry_after = 600\n'
KENT = f"{DEFAULTS}[forces.kent]\n"


def parsed(text: str) -> Rota:
    return rota.parse(text.encode(), FORCES)


class Desk:
    """A schedule, a folder of reports, a clock that stands still, and a maker that does as it is told."""

    def __init__(self, folder: Path, text: str = KENT):
        self.place = FolderShelf(folder)
        self.rota = parsed(text)
        self.now = NOW
        self.orders: list[Order] = []
        self.ends: dict[str, Left | BaseException] = {}

    def make(self, _project: paths.Project, _place: shelf.Shelf, order: Order, settle: Settle) -> None:
        self.orders.append(order)
        for name in order.names:
            left = self.ends.get(name, Left(End.UNCHANGED))
            if isinstance(left, BaseException):
                raise left
            settle(name, left)

    def call(self, **how: object) -> list[str]:
        """Call it; how the runs ended that did."""
        ended = running.run_due(
            paths.Project(self.place.folder),
            self.place,
            self.rota,
            make=self.make,
            now=lambda: self.now,
            **how,  # type: ignore[arg-type]
        )
        return [f"{run.report} {run.end}" for run in ended]

    def runs(self, name: str = "kent") -> list[Run]:
        return list(runs.of(self.place, name))

    def told(self, name: str = "kent") -> list[str]:
        """What people were to be told of a report, in order."""
        return [kind for run in reversed(self.runs(name)) for kind in run.news]

    def waiting(self) -> list[str]:
        """What waits for being told."""
        folder = self.place.folder / "runs" / "to-tell"
        return [json.loads(file.read_text())["kind"] for file in sorted(folder.glob("*.json"))]

    def hours(self, number: int, **how: object) -> list[str]:
        """Call it every five minutes for so many hours; how the runs ended that did."""
        ended = []
        for _ in range(12 * number):
            # whoever is killed is called again all the same
            with contextlib.suppress(KeyboardInterrupt):
                ended += self.call(**how)
            self.now += 5 * MINUTE
        return ended


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "reports")


def test_what_is_due_is_run_once_however_often_it_is_called(desk: Desk) -> None:
    assert desk.call() == ["kent unchanged"]
    assert desk.call() == []
    desk.now += DAY
    assert desk.call() == ["kent unchanged"]
    assert [run.run_id for run in desk.runs()] == ["20270111T060000Z-001", "20270110T060000Z-001"]
    assert len(desk.orders) == 2


def test_with_nothing_due_nothing_is_written_nor_locked(desk: Desk) -> None:
    desk.call()
    before = {path: path.stat().st_mtime_ns for path in desk.place.folder.rglob("*")}
    with FolderShelf(desk.place.folder).locked(wait=0):
        assert desk.call() == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_with_something_due_another_run_that_writes_is_waited_for_or_left_alone(desk: Desk) -> None:
    with FolderShelf(desk.place.folder).locked(wait=0), pytest.raises(LockedError):
        desk.call()
    assert desk.runs() == []
    assert desk.call() == ["kent unchanged"]


def test_reports_that_are_made_alike_are_made_in_one_batch(tmp_path: Path) -> None:
    desk = Desk(
        tmp_path,
        f'{DEFAULTS}[groups.a]\nforces = ["kent", "surrey", "data-quality"]\n'
        '[forces.dorset]\nformats = ["pdf"]\n[forces.essex]\npublish = true\n[forces.sussex]\ndeadline = 9\n'
        "[forces.suffolk]\nparameters = { confidence = 0.9 }\n",
    )
    assert len(desk.call()) == 7
    made = {
        order.names: (order.formats, order.publish, order.deadline, order.parameters) for order in desk.orders
    }
    assert made == {
        ("data-quality", "kent", "surrey"): (frozenset(), False, 300, {}),
        ("dorset",): ({"pdf"}, False, 300, {}),
        ("essex",): (frozenset(), True, 300, {}),
        ("suffolk",): (frozenset(), False, 300, {"confidence": 0.9}),
        ("sussex",): (frozenset(), False, 9, {}),
    }


def test_only_the_reports_that_are_named_are_looked_at(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"{DEFAULTS}[forces.kent]\n[forces.surrey]\n")
    assert desk.call(names=["surrey"]) == ["surrey unchanged"]
    with pytest.raises(rota.ScheduleError, match="did you mean kent"):
        desk.call(names=["kint"])
    assert desk.call() == ["kent unchanged"]


def test_a_failure_is_tried_again_given_up_told_and_told_when_it_is_over(desk: Desk) -> None:
    desk.ends["kent"] = Left(End.FAILED, "The kernel died.")
    assert desk.call() == ["kent failed"]
    assert desk.told() == []
    assert desk.call() == []
    desk.now += 10 * MINUTE
    assert desk.call() == ["kent failed"]
    assert desk.told() == [FAILURE]
    desk.now += 60 * MINUTE
    assert desk.call() == []
    assert desk.runs()[0].reason == "The kernel died."

    del desk.ends["kent"]
    desk.now = NOW + DAY
    assert desk.call() == ["kent unchanged"]
    assert desk.told() == [FAILURE, RECOVERY]
    desk.now += DAY
    desk.call()
    assert len(desk.told()) == 2


def test_what_goes_well_when_it_is_tried_again_is_no_news(desk: Desk) -> None:
    desk.ends["kent"] = Left(End.FAILED, "Once.")
    desk.call()
    del desk.ends["kent"]
    desk.now += 10 * MINUTE
    assert desk.call() == ["kent unchanged"]
    assert desk.told() == []


def test_failures_are_told_even_if_the_next_moment_comes_before_the_next_attempt(tmp_path: Path) -> None:
    desk = Desk(tmp_path, '[forces.kent]\ncron = "*/5 * * * *"\nretries = 2\nretry_after = 600\n')
    desk.ends["kent"] = Left(End.FAILED, "Always.")
    told = []
    for _ in range(7):
        desk.call()
        told.append(len(desk.told()))
        desk.now += 5 * MINUTE
    assert told == [0, 0, 1, 1, 1, 2, 2]


def test_what_was_given_up_is_run_once_more_if_it_is_asked_for(desk: Desk) -> None:
    desk.ends["kent"] = Left(End.FAILED, "Mended by hand.")
    for _ in range(2):
        desk.call()
        desk.now += 10 * MINUTE
    del desk.ends["kent"]
    assert desk.call() == []
    assert desk.call(again=True) == ["kent unchanged"]
    assert desk.call(again=True) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (batch.EvidenceError([Fault("claims.csv", "is missing", "restore it")]), "claims.csv"),
        (ValueError("odd\nvalue"), "ValueError: odd value"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
    ids=["expected", "unexpected", "without words"],
)
def test_an_error_of_the_batch_is_a_failure_of_its_reports_and_stops_no_other(
    tmp_path: Path, error: Exception, reason: str
) -> None:
    desk = Desk(tmp_path, f"{DEFAULTS}[forces.kent]\n[forces.surrey]\ndeadline = 9\n")
    desk.ends["kent"] = error
    said: list[str] = []
    assert desk.call(say=said.append) == ["kent failed", "surrey unchanged"]
    assert reason in str(desk.runs()[0].reason)
    assert len(said) == 1


@pytest.mark.parametrize("error", [ShelfError("The disk is full."), OSError("gone"), LockedError("Lost.")])
def test_when_nothing_more_can_be_written_the_run_is_begun_again_later(desk: Desk, error: Exception) -> None:
    desk.ends["kent"] = error
    with pytest.raises(type(error)):
        desk.call()
    assert desk.runs()[0].end is End.BEGUN
    del desk.ends["kent"]
    assert desk.call() == ["kent interrupted", "kent unchanged"]
    assert [run.attempt for run in desk.runs()] == [2, 1]


def left(run_id: str, *, moved: bool = True, finished: datetime = NOW) -> Left:
    """A report that was made by a run, and whose figures moved."""
    kept = RunRecord.model_construct(
        run_id=run_id,
        state=record.State.DRAFT,
        moved=("something",) if moved else (),
        finished=finished,
        outputs={},
    )
    return Left(End.MADE, None, kept)


def test_changed_figures_are_told_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "text", lambda _: "{}\n")
    desk.ends["kent"] = left("a")
    desk.call()
    assert desk.told() == [CHANGED]
    # the same version is there still
    desk.ends["kent"] = Left(End.UNCHANGED, None, left("a").record)
    desk.now += DAY
    desk.call()
    assert len(desk.told()) == 1
    # somebody made another by hand
    desk.ends["kent"] = Left(End.UNCHANGED, None, left("b").record)
    desk.now += DAY
    desk.call()
    assert len(desk.told()) == 2
    desk.ends["kent"] = left("c", moved=False)
    desk.now += DAY
    desk.call()
    assert len(desk.told()) == 2


def test_figures_that_changed_in_a_run_that_was_cut_off_are_told_by_the_one_that_is_begun_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "text", lambda _: "{}\n")
    desk.ends["kent"] = OSError("cut off")
    with pytest.raises(OSError, match="cut off"):
        desk.call()
    desk.ends["kent"] = Left(End.UNCHANGED, None, left("a", finished=NOW + MINUTE).record)
    desk.now += 2 * MINUTE
    assert desk.call() == ["kent interrupted", "kent made"]
    assert desk.told() == [CHANGED]


def test_what_cannot_be_told_waits_and_is_told_later(desk: Desk) -> None:
    text = '[notify]\nwebhook = "slack"\n'
    desk.rota = parsed(KENT.replace("retries = 1", "retries = 0") + text)
    desk.ends["kent"] = Left(End.FAILED, "It fails.")
    # nobody listens there
    telling = Telling(desk.rota.notify, Credentials(webhook_url="http://127.0.0.1:9/x"), str, str)
    said: list[str] = []
    assert desk.call(telling=telling, say=said.append) == ["kent failed"]
    assert desk.waiting() == [FAILURE]
    assert len(said) == 1
    assert desk.call(telling=telling, say=said.append) == []
    assert len(said) == 1
    # a while later it is tried again, though nothing is due
    desk.now += 10 * MINUTE
    assert desk.call(telling=telling, say=said.append) == []
    assert len(said) == 2
    desk.now += 8 * DAY
    outbox.deliver(desk.place, telling, now=desk.now, say=said.append)
    assert "for a week" in said[-1]
    assert desk.waiting() == []


def test_nothing_waits_for_being_told_where_nobody_is(desk: Desk) -> None:
    desk.ends["kent"] = Left(End.FAILED, "It fails.")
    desk.hours(1)
    assert desk.told() == [FAILURE]
    assert desk.waiting() == []


def telling(desk: Desk) -> Telling:
    """A way to tell that leads nowhere: nobody listens there."""
    desk.rota = replace(desk.rota, notify=parsed(f'{KENT}[notify]\nwebhook = "slack"\n').notify)
    return Telling(
        desk.rota.notify,
        Credentials(webhook_url="http://127.0.0.1:9/x"),
        named=str,
        shown=str,
    )


def test_news_of_a_run_that_was_killed_before_its_end_was_written_waits_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ends["kent"] = left("a")
    monkeypatch.setattr(record, "text", lambda _: "{}\n")
    way = telling(desk)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "finish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            desk.call(telling=way)
    assert desk.waiting() == [CHANGED]
    assert desk.call(telling=way) == ["kent interrupted", "kent made"]
    assert desk.waiting() == [CHANGED]


def test_news_of_a_force_that_is_in_no_list_any_more_stops_no_other(
    desk: Desk, project: paths.Project
) -> None:
    from analysis.schedule import commands

    desk.ends["kent"] = Left(End.FAILED, "It fails.")
    way = commands._telling(
        Credentials(), project, desk.place, replace(desk.rota, notify=telling(desk).settings)
    )
    assert way is not None
    assert (way.named("kent"), way.named("gone"), way.named("data-quality")) == (
        *("Kent Police", "gone"),
        "The page on data quality",
    )


@pytest.mark.parametrize("kept", [1, 2, 3, 100])
def test_however_few_runs_are_kept_attempts_are_counted_and_told(tmp_path: Path, kept: int) -> None:
    desk = Desk(tmp_path, KENT.replace("retries = 1", f"retries = 2\nretention = {{ runs = {kept} }}"))
    desk.ends["kent"] = Left(End.FAILED, "It fails.")
    # jobs of the Lab count among those that are kept
    for number in range(4):
        run = runs.begin(desk.place, "kent", due=NOW, attempt=number, now=NOW, origin=runs.Origin.LAB)
        runs.finish(desk.place, run, End.MADE, now=NOW)
    assert desk.hours(5) == 3 * ["kent failed"]
    assert desk.told() == [FAILURE]
    runs.clear(desk.place, "kent", rota.Retention(runs=1), desk.now)
    assert desk.hours(5) == []
    # and on the days after
    desk.now = NOW + DAY
    assert desk.hours(24) == 6 * ["kent failed"]
    del desk.ends["kent"]
    desk.now = NOW + 4 * DAY
    desk.call()
    assert desk.runs()[0].news == (RECOVERY,)


@pytest.mark.parametrize("kept", [1, 3, 100])
def test_a_report_that_ends_its_process_is_given_up_however_few_runs_are_kept(
    tmp_path: Path, kept: int
) -> None:
    desk = Desk(tmp_path, KENT.replace("retries = 1", f"retries = 1\nretention = {{ runs = {kept} }}"))
    desk.ends["kent"] = KeyboardInterrupt()
    desk.hours(5)
    assert (
        desk.runs()[0].reason == f"It was cut off 5 times in a row, the last time on {desk.runs()[0].host}."
    )
    ends = [run.end for run in reversed(desk.runs())]
    assert ends == 2 * [*(due.MOST_INTERRUPTIONS - 1) * [End.INTERRUPTED], End.FAILED]
    assert desk.told()[-1:] == [FAILURE]
    assert due.standing(desk.rota.entries[0], desk.runs(), desk.now).state is due.State.FAILED


def test_one_that_ends_its_process_at_each_of_many_moments_is_told_of_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, '[forces.kent]\ncron = "*/5 * * * *"\nretries = 0\n')
    desk.ends["kent"] = KeyboardInterrupt()
    desk.hours(2)
    assert FAILURE in desk.told()


def test_a_report_that_ends_its_process_takes_no_other_with_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"{DEFAULTS}[forces.dorset]\n[forces.essex]\n[forces.kent]\n")
    desk.ends["kent"] = KeyboardInterrupt()
    desk.hours(3)
    ends = {name: [run.end for run in desk.runs(name)] for name in ("dorset", "essex", "kent")}
    assert ends["dorset"] == ends["essex"] == [End.UNCHANGED]
    assert ends["kent"].count(End.FAILED) == 2


def test_a_run_ends_when_its_report_is_done_and_the_last_one_after_the_batch(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"{DEFAULTS}[forces.dorset]\n[forces.essex]\n[forces.kent]\n")
    begun: list[list[End]] = []

    def make(_project: paths.Project, place: shelf.Shelf, order: Order, settle: Settle) -> None:
        for name in order.names:
            settle(name, Left(End.UNCHANGED))
            begun.append([next(runs.of(place, one)).end for one in order.names])

    desk.make = make  # type: ignore[method-assign]
    assert len(desk.call()) == 3
    assert begun == [[End.UNCHANGED, *2 * [End.BEGUN]], *2 * [[*2 * [End.UNCHANGED], End.BEGUN]]]


def test_a_report_that_nobody_settled_has_failed(desk: Desk) -> None:
    desk.make = lambda *_: None  # type: ignore[method-assign]
    assert desk.call() == ["kent failed"]


def test_a_run_of_a_future_that_was_wrong_neither_hides_a_cut_nor_takes_the_place_of_another(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path, KENT.replace("retries = 1", "retries = 1\nretention = { runs = 1 }"))
    desk.now = NOW + 3650 * DAY
    desk.call()
    desk.now = NOW
    desk.ends["kent"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        desk.call()
    del desk.ends["kent"]
    assert desk.hours(4) == ["kent interrupted", "kent unchanged"]


def test_what_was_cut_off_is_ended_though_a_blackout_holds_it(desk: Desk) -> None:
    desk.ends["kent"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        desk.call()
    desk.rota = parsed(
        f'{KENT}[[release.blackout]]\nstart = 2027-01-11\nend = 2027-03-01\nreason = "Quiet"\n'
    )
    desk.now = NOW + 20 * DAY
    assert desk.call() == ["kent interrupted"]
    assert desk.call() == []


def test_an_attempt_by_hand_does_not_change_when_people_are_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path, KENT.replace("retries = 1", "retries = 2"))
    desk.ends["kent"] = Left(End.FAILED, "It fails.")
    desk.hours(1)
    desk.call(again=True)
    assert desk.told() == [FAILURE]
    desk.now = NOW + DAY
    for number in (0, 0, 1):
        desk.call()
        assert len(desk.told()) == 1 + number
        desk.now += 10 * MINUTE


def test_runs_of_a_published_report_that_changed_nothing_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, KENT.replace("retries = 1", "retention = { runs = 3 }"))
    known = RunRecord.model_construct(
        run_id="a",
        state=record.State.PUBLISHED,
        moved=(),
        finished=NOW,
        outputs={},
        earlier=(),
        sign_off=None,
    )
    monkeypatch.setattr(shelf, "recorded", lambda *_: known)
    desk.ends["kent"] = Left(End.UNCHANGED, None, known)
    for _ in range(10):
        desk.call()
        desk.now += DAY
    assert len(desk.runs()) == 3


def test_old_runs_are_removed_and_what_is_due_stays_known(tmp_path: Path) -> None:
    desk = Desk(tmp_path, KENT.replace("retries = 1", "retries = 1\nretention = { runs = 3 }"))
    for _ in range(8):
        desk.call()
        desk.now += DAY
    assert len(desk.runs()) == 3
    assert desk.call() == ["kent unchanged"]


def test_a_report_whose_runs_cannot_be_written_down_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, f"{DEFAULTS}[forces.dorset]\n[forces.essex]\n[forces.kent]\n")
    write = FolderShelf.write

    def refuse(place: FolderShelf, path: str, content: bytes) -> None:
        if path.startswith("runs/essex/"):
            raise ShelfError("runs/essex cannot be used.")
        write(place, path, content)

    monkeypatch.setattr(FolderShelf, "write", refuse)
    for _ in range(2 * due.MOST_INTERRUPTIONS):
        with pytest.raises(ShelfError, match="essex"):
            desk.call()
    assert [order.names for order in desk.orders] == [("dorset", "kent")]
    assert {run.end for name in ("dorset", "kent") for run in desk.runs(name)} == {End.UNCHANGED}


# From here on with the real batch.

COMMAND = str(Path(sys.executable).with_name("casegrade"))


def schedule(project: paths.Project, text: str) -> None:
    (project.root / rota.FILE).write_text(text)


def command(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["schedule", *words])


ALWAYS = '[defaults]\ncron = "* * * * *"\nretries = 0\n'
YEARLY = '[defaults]\ncron = "0 6 1 1 *"\n'


def test_a_report_that_is_due_is_made_recorded_and_shown(project: paths.Project) -> None:
    small(project, "1")
    schedule(project, f"{YEARLY}[forces.dorset]\n[forces.kent]\n")
    done = command("run-due")
    assert done.exit_code == 0, done.output
    assert "dorset: made" in done.stderr
    assert "kent: no audits yet" in done.stderr
    assert (project.reports / "index.html").is_file()
    place = shelf.at(project.reports)
    (run,) = runs.of(place, "dorset")
    made = shelf.recorded(place, "dorset")
    assert made is not None
    assert made.outcome is Outcome.DRAFT
    assert run.made == made.run_id
    kept = project.reports / "runs" / "dorset" / run.run_id / record.FILE
    assert record.parse(kept.read_bytes()) == made
    assert command("run-due").stdout == "Nothing is due.\n"

    status = command("status")
    assert "dorset" in status.stdout
    assert "made" in status.stdout
    assert "not due" in status.stdout
    told = json.loads(command("status", "--json").stdout)
    assert [(one["report"], one["last"]["end"]) for one in told] == [
        ("dorset", "made"),
        ("kent", "no audits yet"),
    ]
    coming = json.loads(command("next", "--json", "--count", "1").stdout)
    assert coming[0]["reports"] == ["dorset", "kent"]
    assert coming[0]["when"].endswith("-01-01T06:00:00+00:00")


def test_a_report_that_fails_is_failed_with_its_reason_and_its_notebook(project: paths.Project) -> None:
    small(project, "1 / 0")
    schedule(project, f"{YEARLY}retries = 0\n[forces.dorset]\n")
    done = command("run-due", "--log-format", "json")
    assert done.exit_code == 1
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [one["event"] for one in events if "report" in one] == ["begun", "ended"]
    assert events[-1]["end"] == "failed"
    assert "ZeroDivisionError" in events[-1]["reason"]
    assert done.stdout == ""
    (run,) = runs.of(shelf.at(project.reports), "dorset")
    folder = project.reports / "runs" / "dorset" / run.run_id
    assert sorted(path.name for path in folder.iterdir()) == ["record.json", "report.ipynb", "run.json"]
    assert "ZeroDivisionError" in (folder / "report.ipynb").read_text()
    status = command("status").stdout
    assert "failed" in status
    assert "ZeroDivisionError" in status

    # whoever asks for it by name is not told that all is well
    asked = command("run-due", "dorset")
    assert asked.exit_code == 1
    assert "dorset is failed" in asked.stderr
    assert command("run-due").exit_code == 0

    # mended: another attempt, at once
    small(project, "1")
    assert command("run-due", "--again").exit_code == 0
    assert "made" in command("status").stdout


def test_parameters_of_the_schedule_are_those_of_the_notebook(project: paths.Project) -> None:
    small(project, "confidence")
    schedule(project, f"{YEARLY}retries = 0\n[forces.dorset]\nparameters = {{ confidense = 0.9 }}\n")
    refused = command("next")
    assert refused.exit_code == 2
    assert "did you mean confidence?" in refused.stderr
    done = command("run-due")
    assert done.exit_code == 1
    assert "did you mean confidence?" in done.stderr
    schedule(project, f"{YEARLY}[forces.dorset]\nparameters = {{ confidence = 0.9 }}\n")
    assert command("next").exit_code == 0
    assert command("run-due", "--again").exit_code == 0
    made = shelf.recorded(shelf.at(project.reports), "dorset")
    assert made is not None
    assert made.parameters == {"force": "dorset", "confidence": 0.9}


def test_raw_data_to_mend_are_a_failure_of_every_report_and_are_told_plainly(project: paths.Project) -> None:
    small(project, "1")
    schedule(project, f"{YEARLY}retries = 0\n[forces.dorset]\n[forces.kent]\n")
    (project.raw / "audit_statements.csv").write_text("force\n")
    done = command("run-due")
    assert done.exit_code == 1
    assert "Traceback" not in done.stderr
    assert {run.end for run in runs.of(shelf.at(project.reports), "kent")} == {End.FAILED}


def test_a_report_that_is_published_by_the_schedule_is_published(project: paths.Project) -> None:
    small(project, "1")
    schedule(project, f"{YEARLY}[forces.dorset]\npublish = true\n[forces.data-quality]\n")
    small(project, "1", notebook="01_data_quality.ipynb")
    done = command("run-due")
    assert done.exit_code == 0, done.output
    place = shelf.at(project.reports)
    states = {
        name: found.state for name in ("dorset", "data-quality") if (found := shelf.recorded(place, name))
    }
    assert states == {"dorset": record.State.PUBLISHED, "data-quality": record.State.DRAFT}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run-due", "atlantis"), "No force is called"),
        (("run-due", "surrey"), "is not in schedule.toml"),
        (("status", "--schedule", "nowhere.toml"), "nowhere.toml is missing"),
        (("next", "--output", "nosuch://x"), "nosuch://x"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    project: paths.Project, words: tuple[str, ...], told: str
) -> None:
    schedule(project, f"{YEARLY}[forces.kent]\n")
    done = command(*words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def called(root: str) -> int:
    """Call it as another machine on the same share would; its exit code."""
    done = subprocess.run(
        [COMMAND, "schedule", "run-due", "--jobs", "1"],
        env={**os.environ, paths.VARIABLE: root},
        check=False,
        capture_output=True,
    )
    return done.returncode


def test_of_several_machines_on_a_shared_folder_one_runs_it(project: paths.Project) -> None:
    small(project, "import time", "time.sleep(1)")
    schedule(project, f"{YEARLY}[forces.dorset]\n[forces.suffolk]\n")
    with multiprocessing.get_context("spawn").Pool(6) as pool:
        codes = pool.map(called, [str(project.root)] * 6)
    # another one was at it, or was done
    assert set(codes) <= {0, 3}
    assert 0 in codes
    place = shelf.at(project.reports)
    for name in ("dorset", "suffolk"):
        assert [(run.attempt, run.end) for run in runs.of(place, name)] == [(1, End.MADE)]


def test_a_call_that_is_killed_while_a_report_is_made_is_made_up_for_by_the_next(
    project: paths.Project,
) -> None:
    begun = project.root / "begun"
    small(project, "import time, pathlib", f"pathlib.Path({str(begun)!r}).touch()", "time.sleep(600)")
    schedule(project, f"{YEARLY}[forces.dorset]\n")
    call = subprocess.Popen(
        [COMMAND, "schedule", "run-due"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    assert eventually(begun.exists)
    call.send_signal(signal.SIGKILL)
    call.wait()
    place = shelf.at(project.reports)
    assert [run.end for run in runs.of(place, "dorset")] == [End.BEGUN]
    assert "has begun" in command("next").stdout
    small(project, "1")
    done = command("run-due")
    assert done.exit_code == 0, done.output
    assert [run.end for run in runs.of(place, "dorset")] == [End.MADE, End.INTERRUPTED]


def test_a_call_with_nothing_to_do_loads_nothing_that_computes_or_draws(project: paths.Project) -> None:
    small(project, "1")
    schedule(project, f"{YEARLY}[forces.kent]\n")
    assert command("run-due").exit_code == 0
    code = (
        "import sys\nfrom analysis.cli import app\nsys.argv = ['casegrade', 'schedule', 'run-due']\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code, end.code\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "polars",
        "altair",
        "scipy",
        "pandas",
        "papermill",
        "nbformat",
        "statsmodels",
        "smtplib",
        "apscheduler",
    }
    assert not heavy & set(done.stdout.split())


def test_secrets_in_the_environment_are_kept_from_notebooks(
    project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(
        project,
        "import os",
        "print(sorted(os.environ))",
        "print([v for v in os.environ.values() if 'hun' 'ter' in v])",
    )
    schedule(project, f"{YEARLY}[forces.dorset]\n")
    env = {
        **os.environ,
        "CASEGRADE_SMTP_PASSWORD": "hunter2",
        "CASEGRADE_WEBHOOK_URL": "https://x.example/hunter3",
    }
    for words in (["schedule", "run-due"], ["report", "dorset", "--force-rebuild"]):
        done = subprocess.run([COMMAND, *words], env=env, check=True, capture_output=True, text=True)
        assert "hunter" not in done.stdout + done.stderr
    for file in project.reports.rglob("*"):
        if file.is_file():
            assert b"hunter" not in file.read_bytes(), file
    assert "SMTP" not in (project.reports / "dorset" / "report.ipynb").read_text()


@pytest.mark.parametrize(
    "reason", ["bad key [/foo]", "[red]not red[/red]", "\x1b[2Jgone\u202etxt", "x" * 400]
)
def test_reasons_are_shown_as_they_are_and_whole(project: paths.Project, reason: str) -> None:
    schedule(project, f"{YEARLY}retries = 0\n[forces.dorset]\n[forces.kent]\n")
    place = shelf.at(project.reports)
    moment = due.standing(rota.read(project).entries[0], [], datetime.now(UTC)).due
    assert moment is not None
    for name in ("dorset", "kent"):
        run = runs.begin(place, name, due=moment, attempt=1, now=moment)
        runs.finish(place, run, End.FAILED, now=moment, reason=reason)
    done = command("status")
    assert done.exit_code == 0, done.output
    line = next(line for line in done.stdout.splitlines() if line.startswith("dorset, kent: "))
    shown = reason.replace("\x1b", "[U+001B]").replace("\u202e", "[U+202E]")
    assert line == f"dorset, kent: {shown}"
    assert "given up" in done.stdout


@pytest.mark.parametrize("words", [("status",), ("next", "--count", "3")], ids=" ".join)
def test_on_a_terminal_of_eighty_columns_no_moment_and_no_name_is_cut(
    project: paths.Project, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 80)
    monkeypatch.setattr(type(console.out), "is_terminal", True)
    held = '[[release.blackout]]\nstart = 2020-01-01\nend = 2199-05-06\nreason = "Pre-election period"\n'
    schedule(project, f'{YEARLY}retries = 0\n[groups.every]\nforces = "all"\n[forces.dorset]\n{held}')
    done = command(*words)
    assert done.exit_code == 0, done.output
    assert "\u2026" not in done.stdout
    assert "devon-and-cornwall" in done.stdout or "all 44" in done.stdout
    assert "7 May 2199 00:00" in done.stdout
    assert "Pre-election period" in done.stdout


def test_why_nothing_is_run_is_told(project: paths.Project) -> None:
    held = '[[release.blackout]]\nstart = 2020-01-01\nend = 2199-05-06\nreason = "Quiet"\n'
    schedule(project, f"{YEARLY}[forces.kent]\n{held}")
    assert command("run-due").stdout == "Nothing can be run now: 1 held, the first on Tue 7 May 2199 00:00.\n"


def test_a_calendar_that_holds_for_ever_is_shown_without_counting_what_it_holds(
    project: paths.Project,
) -> None:
    schedule(
        project, '[defaults]\ncron = "* * * * *"\nnot_before = 2199-01-01\n[groups.every]\nforces = "all"\n'
    )
    done = command("next", "--count", "2", "--json")
    assert [one["when"] for one in json.loads(done.stdout)] == [
        "2199-01-01T00:00:00+00:00",
        "2199-01-01T00:01:00+00:00",
    ]


def test_a_schedule_that_is_no_file_or_too_large_is_refused(project: paths.Project, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.toml").write_text("#" * 2_000_000)
    for name, told in (
        ("pipe", "is no file"),
        ("large.toml", "more than 1 MB"),
        ("none.toml", "is missing: name another"),
    ):
        done = command("next", "--schedule", str(tmp_path / name))
        assert done.exit_code == 2
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1
