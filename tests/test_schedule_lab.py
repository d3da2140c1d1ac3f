"""A real JupyterLab, asked over its REST API as its own form asks."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import synthetic
from processes import is_gone
from synthetic import small

from analysis import paths
from analysis.evidence import sources
from analysis.publish import batch, pdf, plan, record, shelf
from analysis.schedule import credentials, rota, runs
from analysis.schedule.runs import End, Origin, Run

if util.find_spec("jupyter_scheduler") is None and "CI" not in os.environ:
    pytest.skip("jupyter-scheduler is an extra, which is not here", allow_module_level=True)

# one server, whose processes tests here kill: keep them on one worker
pytestmark = pytest.mark.xdist_group("lab")

# as it is shipped, where JupyterLab looks for the settings of this extension
CONFIG = {
    "Scheduler": {"execution_manager_class": "analysis.schedule.lab.CasegradeExecutionManager"},
    "SchedulerApp": {"environment_manager_class": "analysis.schedule.lab.CasegradeEnvironmentManager"},
}
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

    def refused(self, notebook: str = FORCE, *outputs: str, **parameters: str) -> str:
        job = self.run(notebook, *outputs, **parameters)
        assert job["status"] == "FAILED"
        return str(job["status_message"])

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
        return self.mark("log").read_text(encoding="utf-8").split("\n")[:-1]


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
say("began")
(marks / f"{{force}}-pid").write_text(f"{{os.getpid()}} ")
(marks / "secrets").write_text(" ".join(name for name in os.environ if "CASEGRADE_SMTP" in name))
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
    (config / "jupyter_jupyter_scheduler_config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
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
        url = json.loads(until(lambda: told.read_text(encoding="utf-8")))["url"]
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


def failed_with(job: dict[str, Any]) -> str:
    assert job["status"] == "FAILED"
    return str(job["status_message"])


# ------------------------------------------------------------------------- a report is made


def test_a_job_is_the_run_that_casegrade_report_would_be(lab: Lab) -> None:
    # quotes are what the Lab's own manager asks for
    job = lab.run(FORCE, "ipynb", "html", force='"Dorset Police"', confidence="0.9")
    assert (job["status"], job["status_message"]) == ("COMPLETED", None)
    known = shelf.recorded(lab.place, "dorset")
    assert known is not None
    assert known.state is record.State.DRAFT
    assert known.parameters == {"force": "dorset", "confidence": 0.9}
    assert shelf.is_as_written(lab.place, "dorset", known)
    (run,) = lab.history("dorset")
    assert (run.origin, run.end, run.made) == (Origin.LAB, End.MADE, known.run_id)
    files = lab.downloaded(job)
    report = lab.project.reports / "dorset"
    assert files["html"] == (report / record.PAGE).read_bytes()
    assert files["ipynb"] == (report / record.NOTEBOOK).read_bytes()
    assert files["input"] == (lab.project.notebooks / plan.FORCE_NOTEBOOK).read_bytes()
    # it shows which run it was, beside what somebody else noted
    assert job["tags"][0] == "mine"
    assert job["tags"][1].endswith(f"reports/runs/dorset/{run.run_id}")
    assert (lab.project.reports / "index.html").is_file()


def test_what_is_as_it_would_be_made_is_not_made_again_but_handed_over(lab: Lab) -> None:
    first, second = lab.run(force="suffolk"), lab.run(force="suffolk")
    assert [run.end for run in lab.history("suffolk")] == [End.UNCHANGED, End.MADE]
    assert lab.lines().count("began suffolk") == 1
    assert lab.staged(first, "html") == lab.staged(second, "html")
    assert len(lab.staged(second, "html")) == 1


def test_the_page_on_data_quality_is_made_by_its_notebook(lab: Lab) -> None:
    job = lab.run(QUALITY)
    assert job["status"] == "COMPLETED"
    assert lab.staged(job, "html") == [(lab.project.reports / record.QUALITY / record.PAGE).read_bytes()]
    assert lab.history(record.QUALITY)[0].end is End.MADE
    assert "takes no parameters: remove force" in lab.refused(QUALITY, force="kent")


def test_a_pdf_is_made_if_the_form_asks_for_one(lab: Lab) -> None:
    try:
        pdf.make_ready()
    except pdf.PdfError:
        assert "PDF" in lab.refused(FORCE, "pdf", force="wiltshire")
        return
    job = lab.run(FORCE, "pdf", force="wiltshire")
    assert job["status"] == "COMPLETED"
    assert lab.downloaded(job)["pdf"].startswith(b"%PDF")


def test_a_force_without_audits_has_no_report_and_the_job_says_so(lab: Lab) -> None:
    (force, *_) = synthetic.slugs(synthetic.NoAudit)
    job = lab.run(force=force)
    assert job["status"] == "COMPLETED"
    assert job["status_message"] == (
        f"There is no Notebook and no HTML of the report on {force}: there are no audits of it yet."
    )
    assert [run.end for run in lab.history(force)] == [End.NO_AUDITS]


def test_kernels_know_nothing_of_secrets(lab: Lab) -> None:
    assert lab.run(force="cheshire")["status"] == "COMPLETED"
    assert lab.mark("secrets").read_text(encoding="utf-8") == ""


# ------------------------------------------------------------------------- failed is failed


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"force": "kentt"}, 'No force is called "kentt". Did you mean kent'),
        ({"force": "kent", "confidense": "0.9"}, 'has no parameter "confidense"'),
        ({"force": "kent", "confidence": "high"}, 'The parameter confidence takes a number, but got "high"'),
        ({"force": "kent", "confidence": "2"}, "The parameter confidence"),
        ({"force": "kent", "baseline": "kent-1999-01-initial"}, "kent-1999-01-initial"),
        ({}, "The parameter force is needed"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_in_a_sentence(
    lab: Lab, parameters: dict[str, str], told: str
) -> None:
    message = lab.refused(**parameters)
    assert told in message
    assert "Traceback" not in message
    assert not lab.project.reports.joinpath("kent", record.FILE).exists()


def test_a_notebook_that_fails_is_shown_as_failed_and_leaves_the_report_as_it_was(lab: Lab) -> None:
    assert lab.run(force="norfolk")["status"] == "COMPLETED"
    page = (lab.project.reports / "norfolk" / record.PAGE).read_bytes()
    lab.mark("norfolk-fails").touch()
    job = lab.run(force="norfolk", confidence="0.8")
    message = failed_with(job)
    assert "ValueError: it was told to" in message
    assert job["end_time"] is not None
    assert (lab.project.reports / "norfolk" / record.PAGE).read_bytes() == page
    run = lab.history("norfolk")[0]
    assert (run.origin, run.end, run.reason) == (Origin.LAB, End.FAILED, message)
    # as far as it came
    (notebook,) = lab.staged(job, "ipynb")
    assert "This run failed" in nbformat.reads(notebook.decode(), as_version=4).cells[0].source
    assert notebook == (lab.folder(run) / record.NOTEBOOK).read_bytes()
    assert not lab.staged(job, "html")
    lab.mark("norfolk-fails").unlink()
    assert lab.run(force="norfolk", confidence="0.8")["status"] == "COMPLETED"


def test_a_copy_that_says_something_else_makes_no_report(lab: Lab) -> None:
    copy = lab.project.notebooks / "scratch" / plan.FORCE_NOTEBOOK
    own = lab.project.root / FORCE
    shutil.copy(own, copy)
    # what it showed when it was last run says nothing of what it does
    shown = nbformat.read(copy, as_version=4)
    shown.cells[-1].outputs = [nbformat.v4.new_output("stream", text="earlier")]
    nbformat.write(shown, copy)
    assert lab.run(f"notebooks/scratch/{copy.name}", force="essex")["status"] == "COMPLETED"
    shown.cells[-1].source += "\n# edited"
    nbformat.write(shown, copy)
    message = lab.refused(f"notebooks/scratch/{copy.name}", force="kent")
    assert f"{copy.name} of this job is not as the project's own" in message
    assert str(own) in message
    assert not lab.history("kent")


# --------------------------------------------------------------------------- other notebooks


def test_another_notebook_runs_with_typed_parameters_and_is_published_nowhere(lab: Lab) -> None:
    path = lab.project.notebooks / "scratch" / "try.ipynb"
    notebook = nbformat.v4.new_notebook()
    declared = nbformat.v4.new_code_cell("half: float = 0.5  # how much", metadata={"tags": ["parameters"]})
    notebook.cells = [declared, nbformat.v4.new_code_cell("print(half * 4)\nassert half < 1")]
    nbformat.write(notebook, path)
    before = sorted(lab.project.reports.glob("*"))
    job = lab.run("notebooks/scratch/try.ipynb", half="0.25")
    assert (job["status"], job["status_message"]) == ("COMPLETED", None)
    files = lab.downloaded(job)
    assert nbformat.reads(files["ipynb"].decode(), as_version=4).cells[-1].outputs[0].text == "1.0\n"
    assert b"<html" in files["html"]
    assert 'The parameter half takes a number, but got "a lot"' in lab.refused(
        "notebooks/scratch/try.ipynb", half="a lot"
    )
    failed = lab.run("notebooks/scratch/try.ipynb", half="2")
    assert "cell 2 of try.ipynb ended in AssertionError" in failed_with(failed)
    (left,) = lab.staged(failed, "ipynb")
    assert "8.0" in left.decode()
    assert sorted(lab.project.reports.glob("*")) == before


def test_a_notebook_that_cannot_run_is_refused_in_the_form(lab: Lab) -> None:
    scratch = lab.project.notebooks / "scratch"
    (scratch / "empty.ipynb").write_text("", encoding="utf-8")
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "ir", "language": "R"}})
    nbformat.write(notebook, scratch / "r.ipynb")
    for name, told in (("empty", "is not a notebook that can be read"), ("r", "is a notebook of R")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            lab.begin(f"notebooks/scratch/{name}.ipynb")
        with refused.value as answer:
            assert told in json.loads(answer.read())["message"]


# --------------------------------------------------------------- one at a time, and stopped


def test_jobs_wait_for_each_other_and_both_are_made(lab: Lab) -> None:
    lab.mark("hampshire-waits").touch()
    first = lab.begin(force="hampshire")
    until(lambda: "began hampshire" in lab.lines())
    second = lab.begin(force="northumbria")
    until(lambda: lab.job(second)["status"] == "IN_PROGRESS")
    lab.mark("hampshire-waits").unlink()
    assert [lab.ended(job)["status"] for job in (first, second)] == ["COMPLETED", "COMPLETED"]
    of_these = [line for line in lab.lines() if line.split()[1] in ("hampshire", "northumbria")]
    assert of_these == ["began hampshire", "ended hampshire", "began northumbria", "ended northumbria"]


def test_jobs_of_one_moment_are_runs_of_their_own(lab: Lab) -> None:
    jobs = [lab.begin(force="gwent", confidence=level) for level in ("0.7", "0.8", "0.9")]
    assert {lab.ended(job)["status"] for job in jobs} == {"COMPLETED"}
    found = lab.history("gwent")
    assert len({run.run_id for run in found}) == 3
    assert {run.end for run in found} == {End.MADE}


def test_a_job_that_is_stopped_leaves_nothing_behind_that_hinders_the_next(lab: Lab) -> None:
    lab.mark("lincolnshire-waits").touch()
    job = lab.begin(force="lincolnshire")
    pid = until(lambda: lab.mark("lincolnshire-pid").exists() and lab.mark("lincolnshire-pid").read_text())
    lab.ask("PATCH", f"scheduler/jobs/{job}", {"status": "STOPPED"})
    until(lambda: lab.job(job)["status"] == "STOPPED")
    until(lambda: is_gone(int(pid)))
    assert [run.end for run in lab.history("lincolnshire")] == [End.BEGUN]
    lab.mark("lincolnshire-waits").unlink()
    assert lab.run(force="lincolnshire")["status"] == "COMPLETED"
    assert [run.end for run in lab.history("lincolnshire")] == [End.MADE, End.INTERRUPTED]
    assert lab.job(job)["status"] == "STOPPED"


def test_a_job_whose_process_was_killed_is_shown_as_failed(lab: Lab) -> None:
    lab.mark("cleveland-waits").touch()
    job = lab.begin(force="cleveland")
    until(lambda: "began cleveland" in lab.lines())
    (holder,) = [json.loads((lab.project.reports / ".lock-held-by.json").read_text())["pid"]]
    psutil.Process(holder).kill()
    until(lambda: is_gone(holder))
    lab.mark("cleveland-waits").unlink()
    assert lab.job(job)["status"] == "IN_PROGRESS"
    assert lab.run(force="cleveland")["status"] == "COMPLETED"
    assert failed_with(lab.job(job)) == "It was cut off before it ended: run it again."


# -------------------------------------------------------------------------------- retention


def test_old_jobs_go_with_their_runs_unless_their_report_was_published(lab: Lab) -> None:
    published = lab.begin(force="surrey")
    assert lab.ended(published)["status"] == "COMPLETED"
    sources.record(lab.project.raw)
    with paths.using(lab.project):
        batch.sign(lab.project, lab.place, ["surrey"], reviewer="A. Reader", wait=PATIENCE)
    old, last = (lab.begin(force="surrey", confidence=level) for level in ("0.8", "0.9"))
    # which of the two is run first is up to them
    assert {lab.ended(job)["status"] for job in (old, last)} == {"COMPLETED"}
    latest = lab.begin(force="surrey", confidence="0.7")
    assert lab.ended(latest)["status"] == "COMPLETED"
    assert {published, latest} == {job for job in lab.jobs() if job in (published, old, last, latest)}
    assert {published, latest} <= {path.name for path in lab.staging.iterdir()}
    assert not {old, last} & {path.name for path in lab.staging.iterdir()}
    assert len(lab.history("surrey")) == 2


def test_jobs_that_others_made_stay(lab: Lab) -> None:
    # of no report, so that nobody knows whether it is still wanted
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1)")])
    nbformat.write(notebook, lab.project.notebooks / "scratch" / "own.ipynb")
    job = lab.run("notebooks/scratch/own.ipynb")
    assert job["tags"] == ["mine"]
    assert lab.run(force="surrey", confidence="0.6")["status"] == "COMPLETED"
    assert job["job_id"] in lab.jobs()


# ------------------------------------------------------------------- the form and definitions


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
    asked = form(FORCE, force="avon-and-somerset") | {"idempotency_token": "once"}
    job = lab.ask("POST", "scheduler/jobs", asked)["job_id"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        lab.ask("POST", "scheduler/jobs", asked)
    with refused.value as answer:
        assert answer.code == 409
    assert lab.ended(job)["status"] == "COMPLETED"


def test_a_definition_runs_while_its_copy_is_the_project_s_own_notebook(lab: Lab) -> None:
    definition = lab.ask(
        "POST",
        "scheduler/job_definitions",
        form(QUALITY) | {"schedule": "0 0 1 1 *", "timezone": "Europe/London"},
    )["job_definition_id"]
    runs_of = f"scheduler/job_definitions/{definition}/jobs"
    assert lab.ended(lab.ask("POST", runs_of, {})["job_id"])["status"] == "COMPLETED"
    own = lab.project.root / QUALITY
    kept = own.read_bytes()
    small(lab.project, f"{SHOWN}\n# newer", notebook=plan.QUALITY_NOTEBOOK)
    try:
        job = lab.ended(lab.ask("POST", runs_of, {})["job_id"])
    finally:
        own.write_bytes(kept)
    assert "or its definition, anew from" in failed_with(job)
