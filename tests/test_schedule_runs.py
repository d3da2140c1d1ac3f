import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from synthetic import small
from typer.testing import CliRunner, Result

from analysis import cli, paths
from analysis.publish import batch, record, shelf
from analysis.publish.shelf import FolderShelf, RemoteShelf, Shelf
from analysis.schedule import rota, running, runs
from analysis.schedule.rota import Retention
from analysis.schedule.runs import End, Origin, Run

NOW = datetime(2027, 1, 31, 6, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """A shelf that is a folder, and one that fsspec writes to."""
    return (
        FolderShelf(tmp_path / "reports")
        if request.param == "folder"
        else RemoteShelf(f"memory://{tmp_path}")
    )


def put(
    place: Shelf, days_ago: int, end: End = End.MADE, *, origin: Origin = Origin.SCHEDULE, attempt: int = 1
) -> Run:
    due = NOW - days_ago * DAY
    run = runs.begin(place, "kent", due=due, attempt=attempt, now=due, origin=origin)
    return run if end is End.BEGUN else runs.finish(place, run, end, now=due)


def ids(found: list[Run]) -> list[str]:
    return [run.run_id for run in found]


def test_runs_are_read_back_the_last_one_first(place: Shelf) -> None:
    put_down = [put(place, 3), put(place, 2, End.FAILED), put(place, 2, attempt=2), put(place, 1, End.BEGUN)]
    lab = put(place, 1, origin=Origin.LAB)
    assert list(runs.of(place, "kent")) == [lab, *reversed(put_down)]
    assert [run.attempt for run in put_down] == [1, 1, 2, 1]
    assert list(runs.of(place, "surrey")) == []
    assert runs.reports(place) == ["kent"]


def test_more_than_nine_attempts_stay_in_order(place: Shelf) -> None:
    for attempt in range(1, 13):
        put(place, 1, End.INTERRUPTED, attempt=attempt)
    assert [run.attempt for run in runs.of(place, "kent")] == list(range(12, 0, -1))


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"run_id": 3}'])
def test_a_run_that_cannot_be_read_is_passed_over(place: Shelf, content: bytes) -> None:
    kept = put(place, 2)
    place.write("runs/kent/20270130T060000Z-001/run.json", content)
    assert list(runs.of(place, "kent")) == [kept]


def test_a_run_that_lies_where_another_belongs_is_passed_over(place: Shelf) -> None:
    run = put(place, 40)
    put(place, 1)
    content = place.read(f"runs/kent/{run.run_id}/run.json") or b""
    # copied by whoever keeps folders the same, put there by hand, or written to lead elsewhere
    place.write(f"runs/kent/{run.run_id} (copy)/run.json", content)
    place.write(f"runs/surrey/{run.run_id}/run.json", content)
    elsewhere = content.replace(run.run_id.encode(), b"../../victim")
    place.write("runs/kent/20260101T060000Z-001/run.json", elsewhere)
    place.write("victim/file", b"")
    assert [one.run_id for one in runs.of(place, "kent")] == ["20270130T060000Z-001", run.run_id]
    assert list(runs.of(place, "surrey")) == []
    runs.clear(place, "kent", Retention(runs=1), NOW)
    assert place.has("victim/file")


def test_a_time_without_a_zone_is_passed_over(place: Shelf) -> None:
    run = put(place, 1)
    path = f"runs/kent/{run.run_id}/run.json"
    for key in ("due", "started", "finished"):
        content = json.loads(place.read(path) or b"") | {key: "2027-01-30T06:00:00"}
        place.write(path, json.dumps(content).encode())
        assert list(runs.of(place, "kent")) == []


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (Retention(), 10),
        (Retention(runs=4), 4),
        (Retention(days=3), 3),
        (Retention(runs=2, days=5), 5),
        (Retention(runs=6, days=1), 6),
        (Retention(runs=100), 10),
    ],
)
def test_the_last_runs_are_kept_and_those_of_the_last_days(
    place: Shelf, retention: Retention, kept: int
) -> None:
    put_down = [put(place, days_ago) for days_ago in range(10)]
    now = NOW + timedelta(hours=1)
    assert ids(runs.expired(place, "kent", retention, now)) == ids(put_down[kept:])
    assert ids(runs.clear(place, "kent", retention, now)) == ids(put_down[kept:])
    assert ids(list(runs.of(place, "kent"))) == ids(put_down[:kept])


def test_the_last_run_of_the_schedule_and_one_that_has_not_ended_stay(place: Shelf) -> None:
    scheduled, begun = put(place, 50), put(place, 60, End.BEGUN)
    for days_ago in range(5):
        put(place, days_ago, origin=Origin.LAB)
    kept = {scheduled.run_id, begun.run_id}
    assert not kept & set(ids(runs.expired(place, "kent", Retention(runs=1), NOW)))
    assert len(runs.expired(place, "kent", Retention(runs=1), NOW)) == 4


# From here on with the real batch.


def command(*words: str) -> Result:
    return CliRunner().invoke(cli.app, list(words))


def made(project: paths.Project, source: str, days_ago: int) -> Run:
    """A run of another version of the report."""
    small(project, source)
    (project.root / rota.FILE).write_text('[defaults]\ncron = "0 6 * * *"\n[forces.dorset]\n')
    (run,) = running.run_due(
        project,
        shelf.at(project.reports),
        rota.read(project),
        make=running.batches(),
        now=lambda: NOW - days_ago * DAY,
    )
    assert run.end is End.MADE
    return run


def test_what_was_published_is_kept_and_the_rest_goes(project: paths.Project) -> None:
    place = shelf.at(project.reports)
    # one that is read and signed off, one that nobody read, one that is signed off later, and the last
    versions = []
    for number in range(5):
        versions.append(made(project, str(number), 10 - number))
        if number in (0, 2):
            batch.sign(project, place, ["dorset"], reviewer="A. Reader")
    published = [versions[0].run_id, versions[2].run_id]

    dry = command("clean-runs", "--dry-run", "--runs", "1")
    assert dry.exit_code == 0, dry.output
    assert dry.stdout.splitlines()[-1] == "2 runs would be removed."
    assert len(list(runs.of(place, "dorset"))) == 5
    done = command("clean-runs", "--runs", "1")
    assert done.stdout.splitlines()[-1] == "2 runs removed."
    assert sorted(ids(list(runs.of(place, "dorset")))) == sorted([*published, versions[4].run_id])
    assert command("clean-runs", "--runs", "1").stdout == "0 runs removed.\n"
    # what they left is there still, whole
    for run_id in published:
        kept = record.parse(place.read(f"runs/dorset/{run_id}/{record.FILE}"))
        assert kept is not None
        assert kept.force == "dorset"


def test_without_limits_of_its_own_the_command_goes_by_the_schedule(project: paths.Project) -> None:
    small(project, "1")
    place = shelf.at(project.reports)
    for days_ago in range(6):
        put(place, days_ago)
    (project.root / rota.FILE).write_text('[forces.kent]\ncron = "0 6 * * *"\nretention = { runs = 2 }\n')
    assert command("clean-runs").stdout.splitlines()[-1] == "4 runs removed."
    (project.root / rota.FILE).unlink()
    refused = command("clean-runs")
    assert refused.exit_code == 2
    assert "schedule.toml is missing" in refused.stderr


@pytest.mark.parametrize("limit", [("--runs", "2000000"), ("--runs", "0"), ("--days", "40000")], ids=" ".join)
def test_limits_that_are_none_are_refused(project: paths.Project, limit: tuple[str, str]) -> None:
    refused = command("clean-runs", *limit)
    assert refused.exit_code == 2
    assert "Traceback" not in refused.output


def test_old_runs_are_not_removed_while_another_run_writes(project: paths.Project) -> None:
    place = shelf.at(project.reports)
    for days_ago in range(3):
        put(place, days_ago)
    with FolderShelf(project.reports).locked(wait=0):
        assert command("clean-runs", "--runs", "1", "--wait", "0").exit_code == 3
        assert command("clean-runs", "--runs", "1", "--dry-run").exit_code == 0
    assert len(list(runs.of(place, "kent"))) == 3


def test_a_run_is_written_as_it_is_described(place: Shelf) -> None:
    run = put(place, 1, End.FAILED)
    written = json.loads(place.read(f"runs/kent/{run.run_id}/run.json") or b"")
    assert set(written) == set(Run.model_fields)
    assert all(field.description for field in Run.model_fields.values())
