import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from processes import eventually
from synthetic import small

from analysis import paths
from analysis.publish import batch, cluster, job, record, shelf
from analysis.publish.record import Outcome

DASK = str(Path(sys.executable).parent / "dask")
FORCES = ("dorset", "hampshire", "suffolk", "warwickshire", "wiltshire", "surrey", "cheshire", "northumbria")


@contextlib.contextmanager
def started(folder: Path, n_workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A real scheduler and real workers on loopback, as somebody would start them."""
    file = folder / "scheduler.json"
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        with (folder / f"dask-{len(running)}.log").open("wb") as log:
            process = subprocess.Popen(
                [DASK, *words, "--scheduler-file", str(file)], stdout=log, stderr=log, cwd=folder
            )
        running.append(process)
        return process

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not file.is_file():
            time.sleep(0.05)
        # without a nurse that would start a killed one again
        workers = [
            start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", f"worker-{n}")
            for n in range(n_workers)
        ]
        yield json.loads(file.read_text(encoding="utf-8"))["address"], workers
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


SHOWN = "from IPython.display import HTML\nHTML(f'<h2>{force}</h2>')"


def whole(project: paths.Project, name: str) -> record.RunRecord:
    place = shelf.at(project.reports)
    known = shelf.recorded(place, name)
    assert known is not None
    assert shelf.is_as_written(place, name, known)
    return known


def test_every_report_appears_once_though_one_of_two_workers_is_killed_in_the_middle(
    project: paths.Project, tmp_path: Path
) -> None:
    begun, gate = tmp_path / "begun", tmp_path / "gate"
    begun.mkdir()
    small(
        project,
        "import pathlib, time, uuid",
        f"pathlib.Path({str(begun)!r}, f'{{force}}.{{uuid.uuid4()}}').touch()",
        f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)",
        SHOWN,
    )
    told: list[batch.Result] = []
    at_work: list[bool] = []
    with started(tmp_path, 2) as (address, workers):

        def kill_one() -> None:
            # both are in the middle of a notebook when the first goes
            at_work.append(eventually(lambda: len(list(begun.iterdir())) == len(workers)))
            workers[0].send_signal(signal.SIGKILL)
            gate.touch()

        killing = threading.Thread(target=kill_one)
        killing.start()
        results = batch.run(
            project,
            shelf.at(project.reports),
            batch.Asked(FORCES),
            cluster_address=address,
            tell=told.append,
        )
        killing.join()
        assert at_work == [True]
        assert workers[0].wait() == -signal.SIGKILL

    assert [result.name for result in results] == list(FORCES)
    assert Counter(result.name for result in told) == dict.fromkeys(FORCES, 1)
    assert Outcome.FAILED not in {result.outcome for result in results}
    for force in FORCES:
        assert whole(project, force).force == force
    # the one whose worker was killed was begun twice, and is there once
    assert len(list(begun.iterdir())) > len(FORCES)
    folders = {path.name for path in project.reports.iterdir() if path.is_dir()}
    assert folders == set(FORCES)


def test_a_cluster_makes_what_this_machine_makes(project: paths.Project, tmp_path: Path) -> None:
    small(project, SHOWN)
    asked = batch.Asked(FORCES[:3], rebuild=True)
    here, there = (shelf.at(tmp_path / name) for name in ("here", "there"))
    batch.run(project, here, asked, jobs=2)
    batch.run(project, there, asked, cluster_address="local:2")
    for force in asked.forces:
        for file in ("report.html", "report.ipynb", "figures.csv", "figures.xlsx"):
            assert here.read(f"{force}/{file}") == there.read(f"{force}/{file}")
        one, other = (shelf.recorded(place, force) for place in (here, there))
        assert one is not None
        assert other is not None
        same = {"force", "outcome", "headline", "about", "compared", "parameters", "depends_on", "inputs"}
        assert one.model_dump(include=same) == other.model_dump(include=same)
    assert here.read("index.html") == there.read("index.html")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("local:none", r"local:none.*local:4"),
        ("local:0", r"local:0"),
        ("somewhere", r"no address of a scheduler.*tcp://"),
        ("tcp://127.0.0.1:9", r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_in_a_sentence(
    address: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)
    with pytest.raises(cluster.ClusterError, match=told), cluster.connected(address):
        pass


def test_a_scheduler_without_workers_is_told_in_a_sentence(
    tmp_path: Path,
) -> None:
    with (
        started(tmp_path, 0) as (address, _),
        pytest.raises(cluster.ClusterError, match="has no workers"),
        cluster.connected(address),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(cluster.ClusterError, match='extra "cluster"'), cluster.connected("local:2"):
        pass


class Plain(Executor):
    """The least that is an executor: it has `submit` and `shutdown`, and does things when asked."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...


def test_the_batch_asks_no_more_of_an_executor_than_the_standard_interface(project: paths.Project) -> None:
    executor = Plain()
    small(project, SHOWN)
    place = shelf.at(project.reports)
    evidence = batch.prepare(project)
    asked = batch.Asked(FORCES[:2])
    steps = batch.planned(evidence, project, place, asked)
    with executor:
        results = batch.publish(steps, evidence, project, place, executor, asked=asked, width=2)
    assert [result.outcome for result in results] == [Outcome.DRAFT, Outcome.ONE_AUDIT]
    for force in FORCES[:2]:
        whole(project, force)


def test_a_worker_with_other_code_says_so_and_makes_nothing(project: paths.Project) -> None:
    from analysis.publish import making

    words = job.Words(footer=(), licence="", index="../index.html", as_of=date(2026, 1, 1), data_version="1")
    made = making.make(job.Job("dorset", "notebooks/x.ipynb", {"force": "dorset"}, {}, words, code="other"))
    assert made.outcome is Outcome.FAILED
    assert "other code of casegrade" in made.headline
    assert made.files == {}
