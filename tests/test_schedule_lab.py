"""A real JupyterLab, asked over its REST API as its own form asks."""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import synthetic
from filelock import FileLock
from processes import is_gone
from synthetic import small

from analysis import paths
from analysis.publish import batch, pdf, plan, record, shelf
from analysis.publish.record import State
from analysis.schedule import credentials, rota, running, runs
from analysis.schedule.running import Left, Maker, Order, Settle
from analysis.schedule.runs import End, Origin, Run

if util.find_spec("jupyter_scheduler") is None and "CI" not in os.environ:
    pytest.skip("jupyter-scheduler is an extra, which is not here", allow_module_level=True)

with warnings.catch_warnings():
    # jupyter-scheduler uses what SQLAlchemy 2.1 warns of
    warnings.simplefilter("ignore")
    from jupyter_scheduler import orm

    from analysis.schedule import lab as lab_module

# one server, whose processes tests here kill: keep them on one worker
pytestmark = [
    pytest.mark.xdist_group("lab"),
    # jupyter-scheduler leaves the closing of its databases to Python, which warns of it from 3.13 on
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# what is shipped, where JupyterLab looks for the settings of this extension
CONFIG = Path(__file__).resolve().parents[1] / "src" / "labconfig" / "jupyter_jupyter_scheduler_config.json"
TOKEN = "only-for-this-test"
SECRET = "a secret of the mail server"
# a guard against waiting for ever: a machine may have much else to do
PATIENCE = 600
FORCE, QUALITY = f"notebooks/{plan.FORCE_NOTEBOOK}", f"notebooks/{plan.QUALITY_NOTEBOOK}"
SHOWN = "from IPython.display import HTML\nHTML('<h2>How was it made?</h2>')"

SCHEDULE = """
[defaults]
cron = "0 6 1 1 *"

[forces.surrey]
retention = { runs = 1 }
"""


def until(found: Callable[[], Any]) -> Any:
    """What is found, once it is."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


@dataclass
class Lab:
    """A server that runs, and the project that it works in."""

    project: paths.Project
    url: str
    # what cells are told and tell
    marks: Path
    staging: Path

    @property
    def place(self) -> shelf.Shelf:
        return shelf.at(self.project.reports)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=method,
            headers={"Authorization": f"token {TOKEN}"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            content = answer.read()
        return json.loads(content) if content and not path.startswith("files/") else content

    def begin(self, notebook: str = FORCE, *outputs: str, **parameters: str) -> str:
        """Create a job with what the form sends."""
        return str(self.ask("POST", "scheduler/jobs", form(notebook, *outputs, **parameters))["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"scheduler/jobs/{job_id}")
        return found

    def pid(self, job_id: str) -> int:
        """The process of a job, as the server notes it."""
        question = "SELECT pid FROM jobs WHERE job_id = ?"
        with contextlib.closing(sqlite3.connect(self.staging.parent / "jobs.sqlite")) as jobs:
            ((pid,),) = jobs.execute(question, (job_id,))
        return int(pid)

    def jobs(self) -> list[str]:
        return [job["job_id"] for job in self.ask("GET", "scheduler/jobs")["jobs"]]

    def ended(self, job_id: str) -> dict[str, Any]:
        def end() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in ("COMPLETED", "FAILED") else None

        found: dict[str, Any] = until(end)
        return found

    def run(self, notebook: str = FORCE, *outputs: str, **parameters: str) -> dict[str, Any]:
        return self.ended(self.begin(notebook, *outputs, **parameters))

    def downloaded(self, job: dict[str, Any]) -> dict[str, bytes]:
        """The outputs of a job by name, as somebody has them in the file browser."""
        self.ask("GET", f"scheduler/jobs/{job['job_id']}/download_files")
        files = until(lambda: (found := self.job(job["job_id"]))["downloaded"] and found["job_files"])
        return {
            one["file_format"]: self.ask("GET", f"files/{urllib.parse.quote(one['file_path'])}")
            for one in files
        }

    def staged(self, job: dict[str, Any], output: str) -> list[bytes]:
        """What a job left of one kind of output."""
        return [path.read_bytes() for path in (self.staging / job["job_id"]).glob(f"*-*-*.{output}")]

    def history(self, report: str) -> list[Run]:
        return list(runs.of(self.place, report))

    def folder(self, run: Run) -> Path:
        return self.project.reports / runs.FOLDER / run.report / run.run_id

    def mark(self, name: str) -> Path:
        return self.marks / name

    def lines(self) -> list[str]:
        log = self.mark("log")
        return log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []


def form(notebook: str, *outputs: str, **parameters: str) -> dict[str, Any]:
    return {
        "name": "A job",
        "input_uri": notebook,
        "runtime_environment_name": "casegrade",
        "output_formats": list(outputs or ("ipynb", "html")),
        "compute_type": None,
        "idempotency_token": "",
        "tags": ["mine"],
        "runtime_environment_parameters": {},
        "parameters": parameters,
    }


def cell(marks: Path) -> str:
    """A cell that tells what it does, waits and fails as it is told."""
    return f"""\
import os, time
from pathlib import Path
marks = Path({str(marks)!r})
def say(word):
    with (marks / "log").open("a") as log:
        log.write(f"{{word}} {{force}}\\n")
(marks / f"{{force}}-pid").write_text(str(os.getpid()))
(marks / "secrets").write_text(" ".join(name for name in os.environ if "CASEGRADE_SMTP" in name))
say("began")
while (marks / f"{{force}}-waits").exists():
    time.sleep(0.02)
say("ended")
if (marks / f"{{force}}-fails").exists():
    raise ValueError("it was told to")"""


def end(marker: str) -> None:
    """End all that were started with a marker in their environment, whoever is their parent now."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if marker in process.environ().values():
                process.kill()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("lab")
    # the path of a socket may have no more than about 100 letters
    short_folder = Path(tempfile.mkdtemp(prefix="cg-"))
    project = synthetic.copy_of_project(root / "project")
    marks, config, runtime = root / "marks", root / "config", root / "runtime"
    for folder in (marks, config, runtime, project.root / "jobs", project.notebooks / "scratch"):
        folder.mkdir()
    small(project, cell(marks), SHOWN)
    small(project, SHOWN, notebook=plan.QUALITY_NOTEBOOK)
    (project.root / rota.FILE).write_text(SCHEDULE, encoding="utf-8")
    shutil.copy(CONFIG, config)
    marker = uuid.uuid4().hex
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("CASEGRADE", "JUPYTER"))
    } | {
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(root / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "HOME": str(root),
        "XDG_RUNTIME_DIR": str(short_folder),
        "LAB_TEST": marker,
        credentials.PASSWORD: SECRET,
    }
    command = [
        str(Path(sys.executable).with_name("jupyter-lab")),
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        f"--IdentityProvider.token={TOKEN}",
        f"--SchedulerApp.db_url=sqlite:///{root / 'jobs.sqlite'}",
        f"--Scheduler.staging_path={root / 'staging'}",
    ]
    with (root / "log").open("wb") as log:
        server = subprocess.Popen(command, env=env, cwd=project.root, stdout=log, stderr=log)
    try:
        told = until(lambda: server.poll() is not None or next(runtime.glob("jpserver-*.json"), None))
        assert server.poll() is None, (root / "log").read_text(encoding="utf-8")
        # it may be half written
        url = until(lambda: re.search(r'"url": "(http://[^"]+)"', told.read_text(encoding="utf-8")))[1]
        found = Lab(project, url, marks, root / "staging")
        until(lambda: answers(found))
        yield found
    finally:
        server.kill()
        server.wait()
        end(marker)
        shutil.rmtree(short_folder, ignore_errors=True)


def answers(lab: Lab) -> bool:
    try:
        lab.ask("GET", "api/status")
    except urllib.error.URLError:
        return False
    return True


def tried() -> nbformat.NotebookNode:
    """A notebook of somebody's own."""
    declared = nbformat.v4.new_code_cell("half: float = 0.5  # how much", metadata={"tags": ["parameters"]})
    return nbformat.v4.new_notebook(
        cells=[declared, nbformat.v4.new_code_cell("print(half * 4)\nassert half < 1")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


def failed_with(job: dict[str, Any]) -> str:
    assert job["status"] == "FAILED"
    return str(job["status_message"])


# --------------------------------------------------------------------- over the REST API


def test_a_job_is_the_run_that_casegrade_report_would_be(lab: Lab) -> None:
    outputs = ["ipynb", "html"]
    with contextlib.suppress(pdf.PdfError):
        pdf.make_ready()
        outputs.append("pdf")
    # quotes are what the Lab's own manager asks for
    job = lab.run(FORCE, *outputs, force='"Dorset Police"', confidence="0.9")
    assert (job["status"], job["status_message"]) == ("COMPLETED", None)
    known = shelf.recorded(lab.place, "dorset")
    assert known is not None
    assert known.state is State.DRAFT
    assert known.parameters == {"force": "dorset", "confidence": 0.9}
    assert shelf.is_as_written(lab.place, "dorset", known)
    (run,) = lab.history("dorset")
    assert (run.origin, run.end, run.made) == (Origin.LAB, End.MADE, known.run_id)
    assert (lab.project.reports / "index.html").is_file()
    # it shows which run it was, beside what somebody noted
    assert job["tags"] == ["mine", f"casegrade:{lab.project.reports}/runs/dorset/{run.run_id}"]
    report = lab.project.reports / "dorset"
    made = {"ipynb": record.NOTEBOOK, "html": record.PAGE, "pdf": record.PDF_FILE}
    files = lab.downloaded(job)
    assert files == {
        "input": (lab.project.root / FORCE).read_bytes(),
        **{output: (report / made[output]).read_bytes() for output in outputs},
    }
    assert lab.mark("secrets").read_text(encoding="utf-8") == ""
    # what is as it would be made is handed over as it is
    again = lab.run(FORCE, *outputs, force="dorset", confidence="0.9")
    assert [run.end for run in lab.history("dorset")] == [End.UNCHANGED, End.MADE]
    assert lab.lines().count("began dorset") == 1
    assert lab.staged(again, "html") == [files["html"]]


def test_a_wrong_parameter_is_refused_in_a_sentence(lab: Lab) -> None:
    job = lab.run(force="suffolk", confidence="high")
    assert failed_with(job) == (
        'The parameter confidence takes a number, but got "high": level of all intervals, at least 0.5 and below 1.'
    )
    assert not lab.history("suffolk")


def test_a_notebook_that_fails_is_shown_as_failed_and_leaves_the_report_as_it_was(lab: Lab) -> None:
    assert lab.run(force="derbyshire")["status"] == "COMPLETED"
    page = (lab.project.reports / "derbyshire" / record.PAGE).read_bytes()
    lab.mark("derbyshire-fails").touch()
    job = lab.run(force="derbyshire", confidence="0.8")
    message = failed_with(job)
    assert "ValueError: it was told to" in message
    assert job["end_time"] is not None
    assert (lab.project.reports / "derbyshire" / record.PAGE).read_bytes() == page
    run = lab.history("derbyshire")[0]
    assert (run.origin, run.end, run.reason) == (Origin.LAB, End.FAILED, message)
    # as far as it came
    (notebook,) = lab.staged(job, "ipynb")
    assert "This run failed" in nbformat.reads(notebook.decode(), as_version=4).cells[0].source
    assert notebook == (lab.folder(run) / record.NOTEBOOK).read_bytes()
    assert not lab.staged(job, "html")


def test_a_copy_that_says_something_else_makes_no_report(lab: Lab) -> None:
    copy = lab.project.notebooks / "scratch" / plan.FORCE_NOTEBOOK
    notebook = nbformat.read(lab.project.root / FORCE, as_version=4)
    notebook.cells[-1].source += "\n# edited"
    nbformat.write(notebook, copy)
    message = failed_with(lab.run(f"notebooks/scratch/{copy.name}", force="suffolk"))
    assert f"{copy.name} of this job is not as the project's own" in message
    assert f"anew from {lab.project.root / FORCE}" in message
    assert not lab.history("suffolk")


def test_another_notebook_runs_with_typed_parameters_and_is_published_nowhere(lab: Lab) -> None:
    nbformat.write(tried(), lab.project.notebooks / "scratch" / "try.ipynb")
    before = sorted(lab.project.reports.glob("*"))
    job = lab.run("notebooks/scratch/try.ipynb", half="0.25")
    assert (job["status"], job["status_message"]) == ("COMPLETED", None)
    files = lab.downloaded(job)
    assert nbformat.reads(files["ipynb"].decode(), as_version=4).cells[-1].outputs[0].text == "1.0\n"
    assert b"<html" in files["html"]
    failed = lab.run("notebooks/scratch/try.ipynb", half="2")
    assert "of try.ipynb ended in AssertionError" in failed_with(failed)
    (left,) = lab.staged(failed, "ipynb")
    assert "8.0" in left.decode()
    assert sorted(lab.project.reports.glob("*")) == before


def test_a_notebook_that_cannot_run_is_refused_in_the_form(lab: Lab) -> None:
    scratch = lab.project.notebooks / "scratch"
    (scratch / "empty.ipynb").write_text("", encoding="utf-8")
    notebook = tried()
    notebook.metadata["kernelspec"] = {"name": "ir", "language": "R", "display_name": "R"}
    nbformat.write(notebook, scratch / "r.ipynb")
    nbformat.write(nbformat.v4.new_notebook(), scratch / "none.ipynb")
    told = {
        "empty": "is not a notebook that can be read",
        "r": "is a notebook of R",
        "none": "names no kernel",
    }
    for name, why in told.items():
        with pytest.raises(urllib.error.HTTPError) as refused:
            lab.begin(f"notebooks/scratch/{name}.ipynb")
        with refused.value as answer:
            assert why in json.loads(answer.read())["message"]


def test_jobs_wait_for_each_other_and_both_are_made(lab: Lab) -> None:
    lab.mark("hampshire-waits").touch()
    first = lab.begin(force="hampshire")
    until(lambda: "began hampshire" in lab.lines())
    second, killed = lab.begin(force="northumbria"), lab.begin(force="wiltshire")
    for job in (second, killed):
        until(lambda job=job: any("/refused/" in tag for tag in lab.job(job)["tags"]))
    psutil.Process(lab.pid(killed)).kill()
    until(lambda: is_gone(lab.pid(killed)))
    assert [lab.job(job)["status"] for job in (first, second, killed)] == ["IN_PROGRESS"] * 3
    lab.mark("hampshire-waits").unlink()
    assert [lab.ended(job)["status"] for job in (first, second)] == ["COMPLETED", "COMPLETED"]
    assert failed_with(lab.job(killed)) == "It was cut off before it ended: run it again."
    assert not lab.history("wiltshire")
    of_these = [line for line in lab.lines() if line.split()[1] in ("hampshire", "northumbria")]
    assert of_these == ["began hampshire", "ended hampshire", "began northumbria", "ended northumbria"]


def test_a_job_that_is_stopped_leaves_nothing_behind_that_hinders_the_next(lab: Lab) -> None:
    lab.mark("lincolnshire-waits").touch()
    job = lab.begin(force="lincolnshire")
    until(lambda: "began lincolnshire" in lab.lines())
    kernel = int(lab.mark("lincolnshire-pid").read_text(encoding="utf-8"))
    lab.ask("PATCH", f"scheduler/jobs/{job}", {"status": "STOPPED"})
    until(lambda: lab.job(job)["status"] == "STOPPED")
    until(lambda: is_gone(kernel))
    assert [run.end for run in lab.history("lincolnshire")] == [End.BEGUN]
    lab.mark("lincolnshire-waits").unlink()
    assert lab.run(force="lincolnshire")["status"] == "COMPLETED"
    assert [run.end for run in lab.history("lincolnshire")] == [End.MADE, End.INTERRUPTED]
    assert lab.job(job)["status"] == "STOPPED"


def test_old_jobs_go_with_their_runs_unless_their_report_was_published(lab: Lab) -> None:
    published = lab.run(force="surrey")
    assert published["status"] == "COMPLETED"
    with paths.using(lab.project):
        batch.sign(lab.project, lab.place, ["surrey"], reviewer="A. Reader", wait=PATIENCE)
    old, latest = (lab.run(force="surrey", confidence=level) for level in ("0.8", "0.9"))
    assert (old["status"], latest["status"]) == ("COMPLETED", "COMPLETED")
    kept, gone = {published["job_id"], latest["job_id"]}, old["job_id"]
    assert kept <= set(lab.jobs())
    assert gone not in lab.jobs()
    staged = {path.name for path in lab.staging.iterdir()}
    assert kept <= staged
    assert gone not in staged
    assert [run.end for run in lab.history("surrey")] == [End.MADE, End.MADE]


def test_a_definition_runs_while_its_copy_is_the_project_s_own_notebook(lab: Lab) -> None:
    timed = form(QUALITY) | {"schedule": "0 0 1 1 *", "timezone": "Europe/London"}
    definition = lab.ask("POST", "scheduler/job_definitions", timed)["job_definition_id"]
    jobs = f"scheduler/job_definitions/{definition}/jobs"
    job = lab.ended(lab.ask("POST", jobs, {})["job_id"])
    assert job["status"] == "COMPLETED"
    assert lab.staged(job, "html") == [(lab.project.reports / record.QUALITY / record.PAGE).read_bytes()]
    assert [run.end for run in lab.history(record.QUALITY)] == [End.MADE]
    own = lab.project.root / QUALITY
    kept = own.read_bytes()
    small(lab.project, f"{SHOWN}\n# newer", notebook=plan.QUALITY_NOTEBOOK)
    try:
        job = lab.ended(lab.ask("POST", jobs, {})["job_id"])
    finally:
        own.write_bytes(kept)
    assert "make the job, or its definition, anew" in failed_with(job)


def test_the_form_is_offered_what_there_is_and_no_more(lab: Lab) -> None:
    features = lab.ask("GET", "scheduler/config")["supported_features"]
    assert {name for name, is_there in features.items() if is_there} == {
        "job_name",
        "parameters",
        "output_formats",
        "job_definition",
        "idempotency_token",
        "tags",
        "stop_job",
        "delete_job",
    }
    (environment,) = lab.ask("GET", "scheduler/runtime_environments")
    assert environment["metadata"]["path"] == sys.executable
    assert [one["name"] for one in environment["output_formats"]][:2] == ["ipynb", "html"]


def test_an_idempotency_token_is_taken_once(lab: Lab) -> None:
    asked = form(FORCE) | {"idempotency_token": "once"}
    job = lab.ask("POST", "scheduler/jobs", asked)["job_id"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        lab.ask("POST", "scheduler/jobs", asked)
    with refused.value as answer:
        assert answer.code == 409
    assert "The parameter force is needed" in failed_with(lab.ended(job))
    lab.ask("DELETE", f"scheduler/jobs/{job}")
    assert job not in lab.jobs()


# ------------------------------------------------------- what the server has a process do


@dataclass
class Desk:
    """A database of jobs, which are run one by one in this process."""

    project: paths.Project
    folder: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'jobs.sqlite'}"

    @property
    def place(self) -> shelf.Shelf:
        return shelf.at(self.project.reports)

    def put(self, *jobs: dict[str, Any]) -> list[str]:
        usual = {
            "name": "A job",
            "input_filename": plan.FORCE_NOTEBOOK,
            "runtime_environment_name": "casegrade",
            "output_formats": [],
        }
        with orm.create_session(self.url)() as session:
            rows = [orm.Job(**(usual | job)) for job in jobs]
            session.add_all(rows)
            session.commit()
            return [str(row.job_id) for row in rows]

    def run(
        self,
        name: str = plan.FORCE_NOTEBOOK,
        *outputs: str,
        content: bytes | None = None,
        created: int | None = None,
        **parameters: str,
    ) -> dict[str, Any]:
        job = {
            "input_filename": name,
            "parameters": parameters,
            "output_formats": outputs or ("ipynb", "html"),
        }
        (job_id,) = self.put(job if created is None else job | {"create_time": created})
        staged = self.folder / "staging" / job_id
        staged.mkdir(parents=True)
        (staged / name).write_bytes(
            (self.project.notebooks / name).read_bytes() if content is None else content
        )
        files = {output: str(staged / f"made.{output}") for output in ("ipynb", "html", "pdf", "docx")}
        manager = lab_module.CasegradeExecutionManager(
            job_id, str(self.project.root), self.url, {**files, "input": str(staged / name)}
        )
        manager.process()
        return self.jobs()[job_id]

    def jobs(self) -> dict[str, dict[str, Any]]:
        with orm.create_session(self.url)() as session:
            return {
                job.job_id: {
                    "job_id": job.job_id,
                    "status": job.status,
                    "status_message": job.status_message,
                    "tags": job.tags,
                }
                for job in session.query(orm.Job)
            }

    def staged(self) -> set[str]:
        return {path.name for path in (self.folder / "staging").iterdir()}


@pytest.fixture
def desk(project: paths.Project, tmp_path: Path) -> Desk:
    desk = Desk(project, tmp_path)
    orm.create_tables(desk.url)
    return desk


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """What is to be made; nothing is."""
    orders: list[Order] = []

    def batches(**_: object) -> Maker:
        def make(_project: paths.Project, _place: shelf.Shelf, order: Order, settle: Settle) -> None:
            orders.append(order)
            for name in order.names:
                settle(name, Left(End.MADE))

        return make

    monkeypatch.setattr(running, "batches", batches)
    return orders


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"force": "kentt"}, 'No force is called "kentt". Did you mean kent'),
        ({"force": "kent", "confidense": "0.9"}, 'has no parameter "confidense"'),
        ({"force": "kent", "confidence": "2"}, "The parameter confidence"),
        ({}, "The parameter force is needed"),
    ],
)
def test_parameters_that_cannot_be_are_refused(
    desk: Desk, made: list[Order], parameters: dict[str, str], told: str
) -> None:
    assert told in failed_with(desk.run(**parameters))
    assert not made
    assert not runs.reports(desk.place)


def test_what_is_asked_for_reaches_the_batch_typed(desk: Desk, made: list[Order]) -> None:
    desk.run(plan.FORCE_NOTEBOOK, "html", "pdf", force="Kent Police", confidence="'0.9'", baseline="")
    desk.run(plan.QUALITY_NOTEBOOK)
    assert made == [
        Order(("kent",), {"confidence": 0.9, "baseline": ""}, frozenset({"pdf"}), False, 300.0),
        Order((record.QUALITY,), {}, frozenset(), False, 300.0),
    ]


def test_what_cannot_be_asked_for_is_refused(desk: Desk, made: list[Order]) -> None:
    told = failed_with(desk.run(plan.QUALITY_NOTEBOOK, force="kent"))
    assert told == f"{plan.QUALITY_NOTEBOOK} takes no parameters: remove force."
    assert "There is no output docx: choose among Notebook, HTML, PDF." in failed_with(
        desk.run(plan.FORCE_NOTEBOOK, "docx", force="kent")
    )
    assert not made


def test_what_a_copy_showed_when_it_was_last_run_makes_it_no_other_notebook(
    desk: Desk, made: list[Order]
) -> None:
    notebook = nbformat.read(desk.project.root / FORCE, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="earlier")]
    assert desk.run(content=nbformat.writes(notebook).encode(), force="kent")["status"] == "COMPLETED"
    notebook.cells[-1].metadata["tags"] = ["notebook-only"]
    assert "is not as the project's own" in failed_with(
        desk.run(content=nbformat.writes(notebook).encode(), force="kent")
    )
    assert "is not a notebook that can be read" in failed_with(desk.run(content=b"{}", force="kent"))
    (desk.project.root / FORCE).unlink()
    assert "is missing: restore it" in failed_with(desk.run(content=nbformat.writes(notebook).encode()))
    assert len(made) == 1


def test_a_force_without_audits_has_no_report_and_the_job_says_so(desk: Desk) -> None:
    (force, *_) = synthetic.slugs(synthetic.NoAudit)
    job = desk.run(force=force)
    assert job["status"] == "COMPLETED"
    assert job["status_message"] == (
        f"There is no Notebook and no HTML of the report on {force}: there are no audits of it yet."
    )
    assert [run.end for run in runs.of(desk.place, force)] == [End.NO_AUDITS]


def test_an_audit_that_is_not_the_force_s_is_a_failed_run(desk: Desk) -> None:
    message = failed_with(desk.run(force="dorset", baseline="dorset-1999-01-initial"))
    assert "dorset-1999-01-initial" in message
    (run,) = runs.of(desk.place, "dorset")
    assert (run.end, run.reason) == (End.FAILED, message)


def test_what_nobody_thought_of_is_a_failed_run_with_a_sentence(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def batches(**_: object) -> Maker:
        raise ZeroDivisionError("of all\nthings " + "and more " * 500)

    monkeypatch.setattr(running, "batches", batches)
    message = failed_with(desk.run(force="kent"))
    assert message.startswith("ZeroDivisionError: of all things and more")
    assert len(message) == 1024
    assert "Traceback" in capsys.readouterr().err
    assert [run.end for run in runs.of(desk.place, "kent")] == [End.FAILED]


def test_jobs_of_one_second_are_runs_of_their_own(desk: Desk, made: list[Order]) -> None:
    jobs = [desk.run(created=1_800_000_000_000 + n, force="kent") for n in range(3)]
    assert {job["status"] for job in jobs} == {"COMPLETED"}
    assert [run.run_id for run in runs.of(desk.place, "kent")] == [
        f"20270115T080000Z-lab-{attempt:03}" for attempt in (3, 2, 1)
    ]


def test_a_job_whose_process_was_killed_is_shown_as_failed(desk: Desk, made: list[Order]) -> None:
    statuses = ("IN_PROGRESS", "STOPPING", "STOPPED", "COMPLETED")
    cut = dict(zip(statuses, desk.put(*({"status": status} for status in statuses)), strict=True))
    alive, of_others = desk.put(*[{"status": "IN_PROGRESS"}] * 2)
    for job_id in (*cut.values(), alive, of_others):
        (desk.folder / "staging" / job_id).mkdir(parents=True)
    locks = {
        job_id: desk.folder / "staging" / job_id / lab_module._ALIVE for job_id in (*cut.values(), alive)
    }
    for lock in locks.values():
        lock.touch()
    with FileLock(locks[alive]):
        assert "No force" in failed_with(desk.run(force="nowhere"))
    jobs = desk.jobs()
    assert failed_with(jobs[cut["IN_PROGRESS"]]) == "It was cut off before it ended: run it again."
    assert jobs[cut["STOPPING"]]["status"] == jobs[cut["STOPPED"]]["status"] == "STOPPED"
    assert jobs[cut["COMPLETED"]]["status"] == "COMPLETED"
    assert jobs[alive]["status"] == jobs[of_others]["status"] == "IN_PROGRESS"


def test_a_run_whose_process_was_killed_is_one_that_was_cut_off(desk: Desk, made: list[Order]) -> None:
    now = record.now().replace(microsecond=0)
    runs.begin(desk.place, "kent", due=now, attempt=1, now=now, origin=Origin.LAB)
    desk.run(force="kent")
    assert sorted(run.end for run in runs.of(desk.place, "kent")) == [End.INTERRUPTED, End.MADE]


def test_a_run_of_the_schedule_that_is_not_ended_is_the_schedule_s_own_matter(
    desk: Desk, made: list[Order]
) -> None:
    now = record.now()
    runs.begin(desk.place, "kent", due=now, attempt=1, now=now)
    desk.run(force="kent")
    ends = {run.origin: run.end for run in runs.of(desk.place, "kent")}
    assert ends == {Origin.SCHEDULE: End.BEGUN, Origin.LAB: End.MADE}


def test_only_so_many_jobs_of_a_report_are_kept(desk: Desk, made: list[Order]) -> None:
    (desk.project.root / rota.FILE).write_text(
        '[defaults]\ncron = "0 6 1 1 *"\n[forces.kent]\nretention = { runs = 2 }\n', encoding="utf-8"
    )
    # others than those of this report that this manager ran
    path = f"casegrade:{desk.project.reports}/runs"
    of_others = (None, [], ["mine"], [f"{path}/essex/1"], ["casegrade:/elsewhere/reports/runs/kent/1"])
    others = desk.put(*({"status": "COMPLETED", "create_time": 1, "tags": tags} for tags in of_others))
    others += desk.put({"status": "IN_PROGRESS", "create_time": 1, "tags": [f"{path}/kent/1"]})
    # its run was removed by others
    desk.put({"status": "COMPLETED", "tags": [f"{path}/kent/1"]})
    jobs = [desk.run(force="kent")["job_id"] for _ in range(5)]
    assert set(desk.jobs()) == {*others, *jobs[-2:]}
    assert desk.staged() == set(jobs[-2:])
    assert len(list(runs.of(desk.place, "kent"))) == 2


def test_nothing_is_removed_while_nobody_knows_what_is_to_be_kept(desk: Desk, made: list[Order]) -> None:
    (desk.project.root / rota.FILE).write_text("[defaults", encoding="utf-8")
    path = f"casegrade:{desk.project.reports}/runs/kent"
    now = record.now()
    past = [
        runs.begin(desk.place, "kent", due=now, attempt=n, now=now, origin=Origin.LAB) for n in range(1, 121)
    ]
    old = desk.put(*({"status": "COMPLETED", "tags": [f"{path}/{run.run_id}"]} for run in past))
    assert desk.run(force="kent")["status"] == "COMPLETED"
    assert set(old) < set(desk.jobs())


@pytest.mark.parametrize(
    ("notebook", "counted"), [(plan.FORCE_NOTEBOOK, "refused"), ("try.ipynb", "other/try.ipynb")]
)
def test_jobs_that_came_to_no_run_do_not_pile_up(desk: Desk, notebook: str, counted: str) -> None:
    nbformat.write(tried(), desk.project.notebooks / "try.ipynb")
    path = f"casegrade:{desk.project.reports}/runs"
    old = desk.put(
        *(
            {"status": "FAILED", "create_time": n, "tags": ["mine", f"{path}/{counted}/{n}"]}
            for n in range(120)
        )
    )
    of_others = desk.put(
        {"status": "IN_PROGRESS", "create_time": 1, "tags": [f"{path}/{counted}/1"]},
        {"status": "COMPLETED", "create_time": 1, "tags": [f"{path}/other/others.ipynb/1"]},
    )
    job = desk.run(notebook, force="nowhere")
    assert job["tags"] == [f"{path}/{counted}/{job['job_id']}"]
    assert set(desk.jobs()) == {*old[20:], *of_others, job["job_id"]}


def test_a_job_that_is_a_copy_of_another_has_a_mark_of_its_own(desk: Desk, made: list[Order]) -> None:
    (job_id,) = desk.put({"tags": ["mine", "casegrade:/elsewhere/reports/runs/kent/1"]})
    manager = lab_module.CasegradeExecutionManager(job_id, str(desk.project.root), desk.url, {})
    manager._mark(desk.place, "kent", "2")
    assert desk.jobs()[job_id]["tags"] == ["mine", f"casegrade:{desk.project.reports}/runs/kent/2"]


def test_a_definition_s_copy_is_never_refused_out_of_sight(tmp_path: Path) -> None:
    copy = tmp_path / str(uuid.uuid4()) / "try.ipynb"
    manager = lab_module.CasegradeExecutionManager
    # as the server calls it, and as one would
    assert manager.validate(manager, str(copy))
    assert manager.validate(str(copy))


def test_a_job_outside_of_a_project_is_told_what_to_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.VARIABLE, "/nowhere")
    assert "CASEGRADE_PROJECT is set to /nowhere" in failed_with(desk.run(force="kent"))
    monkeypatch.delenv(paths.VARIABLE)
    monkeypatch.setattr(paths, "_is_project", lambda folder: False)
    told = failed_with(desk.run(force="kent"))
    assert f"{desk.project.root}, is in no casegrade project: start JupyterLab in a checkout" in told


def test_parameters_of_another_notebook_are_held_against_it(desk: Desk) -> None:
    nbformat.write(tried(), desk.project.notebooks / "try.ipynb")
    told = failed_with(desk.run("try.ipynb", half="a lot"))
    assert told == 'The parameter half takes a number, but got "a lot": how much.'
    assert 'has no parameter "force"' in failed_with(desk.run("try.ipynb", force="kent"))
