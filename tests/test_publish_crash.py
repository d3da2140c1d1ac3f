import contextlib
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import psutil
import pytest
import synthetic
from synthetic import small

from analysis import paths
from analysis.evidence import cleaning, sources
from analysis.publish import plan, record, shelf
from analysis.publish.record import Outcome

# commands in processes of their own, which tests here kill: keep them on one worker
pytestmark = pytest.mark.xdist_group("crash")

FORCES = ("dorset", "hampshire", "suffolk")
MADE = (*FORCES, record.QUALITY)
TABLES = "data/processed"
N_KILLS = 12
# longer than anything here takes; a wait that comes to it is a failure
PATIENCE = 120


@dataclass
class Site:
    """A project with audits of three forces only, and a warm server that nobody else uses."""

    project: paths.Project
    env: dict[str, str]
    # where cells write which process they run in
    marks: Path
    version: int = 0
    known: dict[str, int] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def reports(self) -> Path:
        return self.project.reports

    def change(self) -> None:
        """Make every report, the tables and the index out of date."""
        self.version += 1
        said = f"version {self.version}.0."
        small(self.project, self._mark, self._show)
        small(self.project, self._show, notebook=plan.QUALITY_NOTEBOOK)
        path = self.project.raw / "audit_statements.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row | {"title": said} for row in csv.DictReader(file)]
        write_csv(path, rows)
        package = self.project.raw / "datapackage.json"
        text = re.sub(r'"title": "Graded[^"]*"', f'"title": "Graded {said}"', package.read_text("utf-8"))
        package.write_text(text, encoding="utf-8")
        sources.record(self.project.raw)

    @property
    def _mark(self) -> str:
        return (
            f"import os\nfrom pathlib import Path\n"
            f"Path({str(self.marks)!r}, f'{{force}}-{{os.getpid()}}').write_text(str(os.getppid()))"
        )

    @property
    def _show(self) -> str:
        return f"from IPython.display import HTML\nHTML('<h2>version {self.version}.0.</h2>')"

    def hang(self, *forces: str) -> None:
        """Have the notebook hang for some forces until there is a file called go."""
        waits = f"while force in {forces!r} and not Path({str(self.marks / 'go')!r}).exists():"
        small(self.project, f"{self._mark}\nimport time\n{waits}\n    time.sleep(0.02)", self._show)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        run = subprocess.Popen(
            [Path(sys.executable).with_name("casegrade"), "report", "--all", "--jobs", "2", *words],
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # a shell that runs in the background has what it starts ignore this
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(run)
        return run

    def run(self, *words: str) -> tuple[int, str, str]:
        return ended(self.start(*words))

    def kernels(self, *forces: str) -> set[int]:
        """The processes that cells of some forces ran in, or those of all; each is named once."""
        found = [path for force in forces or FORCES for path in self.marks.glob(f"{force}-*")]
        for path in found:
            path.unlink()
        return {int(path.name.rpartition("-")[2]) for path in found}

    def began(self, *forces: str) -> int:
        """Wait until cells of these forces run; returns the process that their kernels come from."""
        wait_for(
            lambda: (
                all(path.read_text("utf-8") for path in self.marks.glob("*-*"))
                and all(list(self.marks.glob(f"{force}-*")) for force in forces)
            )
        )
        return int(next(self.marks.glob(f"{forces[0]}-*")).read_text(encoding="utf-8"))


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def runs(number: int) -> bool:
    """Whether a process is at work: one that has ended and that nobody asked after is not."""
    try:
        return psutil.Process(number).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def children(server: int) -> set[int]:
    """What a warm server has forked and is still at work: workers and kernels."""
    try:
        return {child.pid for child in psutil.Process(server).children(recursive=True) if runs(child.pid)}
    except psutil.NoSuchProcess:
        return set()


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    # the path of a socket may have no more than about 100 letters
    folder = Path(tempfile.mkdtemp(prefix="cg-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def began_with(tmp_path_factory: pytest.TempPathFactory, short_folder: Path) -> Iterator[Site]:
    """The project after a first run, which has started a warm server."""
    root = tmp_path_factory.mktemp("crash")
    project = synthetic.copy_of_project(root / "project")
    for name in ("audit_statements.csv", "findings.csv"):
        with (project.raw / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        kept = [row for row in rows if row["force"].split()[0].lower() in FORCES]
        write_csv(project.raw / name, kept)
    with (project.raw / "claims.csv").open(encoding="utf-8", newline="") as file:
        write_csv(project.raw / "claims.csv", list(csv.DictReader(file))[:1])
    (project.raw / "corrections.toml").write_text("# none\n", encoding="utf-8")
    (root / "marks").mkdir()
    env = {name: value for name, value in os.environ.items() if name != "CASEGRADE_WARM"} | {
        paths.VARIABLE: str(project.root),
        "XDG_RUNTIME_DIR": str(short_folder),
    }
    site = Site(project, env, root / "marks")
    site.change()
    code, _, told = site.run()
    assert code == 0, told
    servers = {int(path.read_text(encoding="utf-8")) for path in site.marks.glob("*-*")}
    yield site
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(server)
            if "analysis.publish.warm" in " ".join(process.cmdline()):
                process.kill()


@pytest.fixture
def site(began_with: Site, tmp_path: Path) -> Iterator[Site]:
    """A copy of it, of which every report is as it would be made."""
    project = paths.Project(Path(shutil.copytree(began_with.project.root, tmp_path / "project")))
    (tmp_path / "marks").mkdir()
    env = began_with.env | {paths.VARIABLE: str(project.root)}
    known = dict.fromkeys((*MADE, TABLES), began_with.version)
    site = Site(project, env, tmp_path / "marks", began_with.version, known)
    yield site
    # none is left if the test went well
    for run in site.started:
        with run:
            run.kill()


# ----------------------------------------------------------------------- what must be whole


def version_in(text: str) -> int:
    (found,) = set(re.findall(r"<h2[^>]*>version (\d+)\.0\.</h2>", text))
    return int(found)


def whole_version(folder: Path) -> int:
    """The version of a report, whose files are all those of its record and no others."""
    known = record.parse((folder / record.FILE).read_bytes())
    assert known is not None
    assert known.outcome is not Outcome.FAILED
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != record.FILE}
    assert {name: record.sha256(content) for name, content in files.items()} == known.outputs
    return version_in(files["report.html"].decode())


def assert_whole(site: Site) -> None:
    """Every report is the old one or the new one, and so are the tables and the index."""
    for name in MADE:
        version = whole_version(site.reports / name)
        assert version in (site.known[name], site.version)
        site.known[name] = version
    assert (site.reports / "index.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    processed = site.project.processed
    manifest = json.loads((processed / cleaning.MANIFEST).read_text(encoding="utf-8"))
    assert {path.name for path in processed.iterdir()} == {
        cleaning.MANIFEST,
        *(f"{name}.parquet" for name in cleaning.SCHEMAS),
    }
    (title,) = pl.read_parquet(processed / "statements.parquet")["title"].unique()
    version = int(title.removeprefix("version ").removesuffix(".0."))
    assert version in (site.known[TABLES], site.version)
    assert (version == site.version) == (manifest["inputs"] == cleaning.fingerprints(site.project.raw))
    site.known[TABLES] = version


def assert_finished(site: Site) -> None:
    """Everything is of the present version, and nothing else is there."""
    assert_whole(site)
    assert set(site.known.values()) == {site.version}
    assert f"Graded version {site.version}.0." in (site.reports / "index.html").read_text(encoding="utf-8")
    assert {path.name for path in site.reports.iterdir()} == {*MADE, *synthetic.AROUND}
    assert {path.name for path in site.project.processed.parent.iterdir()} == {"raw", "processed"}


# ------------------------------------------------------------------------------------ killed


def test_run_killed_at_any_moment_leaves_old_or_new_and_the_next_one_finishes(site: Site) -> None:
    chance = random.Random(20241123)
    site.change()
    began = time.monotonic()
    assert site.run()[0] == 0
    lasting = time.monotonic() - began
    assert_finished(site)
    site.kernels()
    codes = []
    for n in range(N_KILLS):
        site.change()
        run = site.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(lasting * (n + chance.random()) / N_KILLS)
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        codes.append(ended(run)[0])
        wait_for(lambda: not any(map(runs, site.kernels())))
        assert_whole(site)
        if n % 4 == 3:
            code, _, told = site.run()
            assert code == 0, told
            assert_finished(site)
    # most of them were killed in the middle of it
    assert codes.count(-signal.SIGKILL) >= N_KILLS // 2


def test_no_worker_and_no_kernel_outlives_a_run_that_was_killed(site: Site) -> None:
    site.hang("dorset", "suffolk")
    run = site.start()
    server = site.began("dorset", "suffolk")
    assert "analysis.publish.warm" in " ".join(psutil.Process(server).cmdline())
    at_work = children(server)
    # two kernels, and the two workers that have them
    assert site.kernels("dorset", "suffolk") < at_work
    assert len(at_work) >= 4

    run.kill()
    ended(run)

    wait_for(lambda: not children(server))
    assert not any(map(runs, at_work))
    assert_whole(site)


def test_without_a_warm_server_none_outlives_it_either(site: Site) -> None:
    site.hang("dorset", "suffolk")
    run = site.start(CASEGRADE_WARM="off")
    site.began("dorset", "suffolk")
    started = {child.pid for child in psutil.Process(run.pid).children(recursive=True)}
    assert site.kernels("dorset", "suffolk") <= started

    run.kill()
    ended(run)

    wait_for(lambda: not any(map(runs, started)))
    assert_whole(site)


def test_run_that_is_interrupted_keeps_what_was_finished_and_leaves_nothing_else(site: Site) -> None:
    site.change()
    site.hang("suffolk")
    before = {name: known_of(site, name).run_id for name in MADE}
    run = site.start()
    server = site.began("suffolk")
    # the others are made meanwhile by the other worker, and there is nothing left but to wait
    others = [name for name in MADE if name != "suffolk"]
    wait_for(lambda: all(known_of(site, name).run_id != before[name] for name in others))

    run.send_signal(signal.SIGINT)

    code, _, told = ended(run)
    assert code == 130
    assert "Stopped. Reports that were finished are in their place" in told
    assert "Traceback" not in told
    wait_for(lambda: not children(server))
    assert not any(map(runs, site.kernels()))
    assert {path.name for path in site.reports.iterdir()} == {*MADE, *synthetic.AROUND}
    assert {whole_version(site.reports / name) for name in others} == {site.version}
    assert known_of(site, "suffolk").run_id == before["suffolk"]
    (site.marks / "go").touch()
    assert site.run("--wait", "0")[0] == 0


def test_kernel_that_was_killed_fails_its_report_and_no_other(site: Site) -> None:
    site.change()
    site.hang("dorset")
    run = site.start()
    site.began("dorset")
    (mark,) = site.marks.glob("dorset-*")
    os.kill(int(mark.name.rpartition("-")[2]), signal.SIGKILL)
    code, _, told = ended(run)
    assert code == 1
    assert "dorset: " in told
    assert "DeadKernelError" in told
    assert "hampshire: one audit only" in told
    left = json.loads((site.reports / "dorset" / "failed" / "report.ipynb").read_text(encoding="utf-8"))
    assert "This run failed" in "".join(left["cells"][0]["source"])
    assert whole_version_beside_failed(site) == site.known["dorset"]


def whole_version_beside_failed(site: Site) -> int:
    shutil.rmtree(site.reports / "dorset" / "failed")
    return whole_version(site.reports / "dorset")


# ------------------------------------------------------------------------------- two at once


def test_second_run_waits_for_the_first_or_is_refused_with_its_name(site: Site) -> None:
    site.change()
    site.hang("dorset")
    first = site.start()
    site.began("dorset")

    code, out, told = site.run("--wait", "0")
    assert (code, out) == (3, "")
    assert re.search(rf'"casegrade report --all --jobs 2", process {first.pid} of ', told)

    second = site.start("--wait", str(PATIENCE))
    assert second.stderr is not None
    assert second.stderr.readline().startswith('Waiting for "casegrade report --all --jobs 2", process ')
    (site.marks / "go").touch()
    assert ended(first)[0] == 0
    code, _, told = ended(second)
    # all was made by the first
    assert (code, told) == (0, "")
    for name in MADE:
        assert shelf.is_as_written(shelf.at(site.reports), name, known_of(site, name))


def known_of(site: Site, name: str) -> record.RunRecord:
    known = shelf.recorded(shelf.at(site.reports), name)
    assert known is not None
    return known


def test_runs_that_begin_at_once_all_end_well(site: Site) -> None:
    site.change()
    started = [site.start() for _ in range(3)]
    assert [(code, "Traceback" in told) for code, _, told in map(ended, started)] == [(0, False)] * 3
    assert_finished(site)


def test_runs_that_begin_at_once_and_write_to_different_places_share_the_tables(
    site: Site, tmp_path: Path
) -> None:
    site.change()
    places = [tmp_path / "one", tmp_path / "other"]
    started = [site.start("--output", str(place)) for place in places]
    assert [code for code, _, _ in map(ended, started)] == [0, 0]
    for place in places:
        assert {name: whole_version(place / name) for name in MADE} == dict.fromkeys(MADE, site.version)
    assert not cleaning.is_stale(site.project)
    assert {path.name for path in site.project.processed.parent.iterdir()} == {"raw", "processed"}
