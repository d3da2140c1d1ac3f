import csv
import hashlib
import io
import json
import re
import signal
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import synthetic
from lxml import html
from nbformat import v4
from synthetic import small
from typer.testing import CliRunner

from analysis import cli, paths
from analysis.publish import batch, formats, plan, pool, record, shelf
from analysis.publish.record import Outcome, RunRecord

# kernel runs that all tests here share: keep them on one worker
pytestmark = pytest.mark.xdist_group("batch")

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    *(
        "report.html",
        "report.ipynb",
        "figures.csv",
        "figures.csv-metadata.json",
        "figures.xlsx",
        "summary.txt",
        "summary.png",
    ),
    "record.json",
}
# a message that a terminal and a page might each read as markup of their own
MESSAGE = "[/red] lost <b>files</b> :boom:"


@dataclass(frozen=True)
class Stage:
    """What one command left behind: exit code, what it said, files under `reports`, and strays.

    `hidden` are names with a leading dot in the project, `beside` those in the working directory.
    """

    exit_code: int
    out: str
    err: str
    files: dict[str, bytes]
    hidden: tuple[str, ...]
    beside: tuple[str, ...]

    def of(self, force: str) -> dict[str, bytes]:
        start = f"{force}/"
        return {name.removeprefix(start): data for name, data in self.files.items() if name.startswith(start)}

    def record(self, folder: str) -> RunRecord:
        return RunRecord.model_validate_json(self.files[f"{folder}/record.json"])

    @property
    def index(self) -> dict[str, Any]:
        tree = html.document_fromstring(self.files["index.html"].decode())
        return {row.get("id"): row for row in tree.iterfind(".//tbody/tr")}


def report(project: paths.Project, *words: str) -> Stage:
    done = CliRunner().invoke(cli.app, ["report", *words], prog_name="casegrade")
    every = sorted(project.root.rglob("*"))
    reports = project.reports
    return Stage(
        exit_code=done.exit_code,
        out=done.stdout,
        err=done.stderr,
        files={
            str(path.relative_to(reports)): path.read_bytes()
            for path in every
            if path.is_file() and path.is_relative_to(reports)
        },
        hidden=tuple(str(path.relative_to(project.root)) for path in every if path.name.startswith(".")),
        beside=tuple(path.name for path in Path.cwd().iterdir()),
    )


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """Three commands in a row on one project, from a working directory that is not in it.

    "first" with the notebook as shipped, "broken" with one that raises for Dorset, "mended" with
    the shipped one again.
    """
    project = synthetic.copy_of_project(tmp_path_factory.mktemp("batch") / "project")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    notebook = project.notebooks / plan.FORCE_NOTEBOOK
    shipped = notebook.read_bytes()
    broken = nbformat.reads(shipped.decode(), as_version=4)
    broken.cells.insert(2, v4.new_code_cell(f'if force == "dorset":\n    raise RuntimeError({MESSAGE!r})'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.VARIABLE, str(project.root))
        patch.chdir(elsewhere)
        found = {"first": report(project, "dorset", "Wiltshire Police", "staffordshire", "dorset")}
        nbformat.write(broken, notebook)
        found["broken"] = report(project, "dorset", "wiltshire", "--jobs", "1")
        notebook.write_bytes(shipped)
        found["mended"] = report(project, "dorset")
    return found


def words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def test_forces_end_as_drafts_as_one_audit_only_or_without_audits(stages: dict[str, Stage]) -> None:
    first = stages["first"]
    assert first.exit_code == 0
    assert first.record("dorset").outcome is Outcome.DRAFT
    assert first.record("wiltshire").outcome is Outcome.ONE_AUDIT
    assert first.of("staffordshire") == {}
    told = re.findall(r"(draft|one audit only|no audits yet|failed)\W+(\d+)", first.out)
    # a force that is named twice is run once
    assert dict(told) == {"draft": "1", "one audit only": "1", "no audits yet": "1"}


def test_each_report_that_was_made_is_told_in_a_plain_line(stages: dict[str, Stage]) -> None:
    told = re.sub(r"\d of 3", "n of 3", stages["first"].err).splitlines()
    assert sorted(told) == ["dorset: draft (n of 3)", "wiltshire: one audit only (n of 3)"]


@pytest.mark.parametrize("force", ["dorset", "wiltshire"])
def test_report_leaves_its_five_files_and_nothing_else(force: str, stages: dict[str, Stage]) -> None:
    assert set(stages["first"].of(force)) == FILES


@pytest.mark.parametrize("stage", ["first", "broken", "mended"])
def test_no_staging_folder_and_no_socket_is_left_behind(stage: str, stages: dict[str, Stage]) -> None:
    # the file that runs lock stays: to remove it while others wait for it would make two locks of one
    assert stages[stage].hidden == (f"reports/{shelf.LOCK}",)
    folders = {name.partition("/")[0] for name in stages[stage].files if "/" in name}
    assert folders == {"dorset", "wiltshire"}


@pytest.mark.parametrize("stage", ["first", "broken", "mended"])
def test_working_directory_that_is_elsewhere_changes_nothing_and_stays_empty(
    stage: str, stages: dict[str, Stage]
) -> None:
    assert stages[stage].beside == ()
    assert {"index.html", "wiltshire/report.html"} <= set(stages[stage].files)


@pytest.mark.parametrize("folder", ["dorset", "wiltshire"])
def test_record_tells_what_went_in_and_what_came_out(folder: str, stages: dict[str, Stage]) -> None:
    first, record = stages["first"], stages["first"].record(folder)
    outputs = {name: data for name, data in first.of(folder).items() if name != "record.json"}
    assert record.outputs == {name: hashlib.sha256(data).hexdigest() for name, data in outputs.items()}
    assert record.force == folder
    assert record.parameters == {"force": folder}
    assert record.kernel in ("warm", "fresh")
    assert record.attempts == 1
    assert set(record.seconds) == {"start", "cells", "page", "files"}
    assert set(record.depends_on) == {
        "evidence",
        "notebook",
        "code",
        "libraries",
        "parameters",
        "words",
        "forbidden",
    }
    assert record.started <= record.finished
    assert record.started.utcoffset() is not None
    assert (record.revision, record.is_dirty) == (None, None)
    raw = {
        path.name: path for path in [*(ROOT / "data" / "raw").iterdir(), *(ROOT / "notebooks").glob("02_*")]
    }
    for name, digest in record.inputs.items():
        assert hashlib.sha256(raw[name].read_bytes()).hexdigest() == digest
    assert {"audit_statements.csv", "corrections.toml", plan.FORCE_NOTEBOOK} <= set(record.inputs)
    assert {"polars", "papermill", "statsmodels"} <= set(record.packages)


def test_record_of_a_comparison_names_both_audits(stages: dict[str, Stage]) -> None:
    assert stages["first"].record("dorset").compared == ("dorset-2021-04-initial", "dorset-2022-04-review")
    assert stages["first"].record("wiltshire").compared == ("wiltshire-2023-04-review",)


def test_headline_is_the_same_in_the_record_the_index_and_the_report(stages: dict[str, Stage]) -> None:
    first = stages["first"]
    for force in ("dorset", "wiltshire"):
        headline = first.record(force).headline
        page = html.document_fromstring(first.of(force)["report.html"].decode())
        assert words(page.find(".//*[@class='headline']")) == headline
        assert headline in words(first.index[force])


@pytest.mark.parametrize("force", ["dorset", "wiltshire"])
def test_stored_notebook_was_run_for_its_force_and_names_no_machine(
    force: str, stages: dict[str, Stage]
) -> None:
    stored = stages["first"].of(force)["report.ipynb"].decode()
    run = nbformat.reads(stored, as_version=4)
    nbformat.validate(run)
    assert any(f'force = "{force}"' in cell.source for cell in run.cells if cell.cell_type == "code")
    counts = [cell.execution_count for cell in run.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not re.search(r"/(tmp|home|root|work|Users)/|start_time|end_time", stored)


def test_figures_are_those_of_the_force(stages: dict[str, Stage]) -> None:
    text = stages["first"].of("dorset")["figures.csv"].decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == formats.COLUMNS
    assert {row["force"] for row in rows} == {"dorset"}


def test_report_that_fails_is_told_with_its_cell_and_reason_and_fails_the_command(
    stages: dict[str, Stage],
) -> None:
    broken = stages["broken"]
    assert broken.exit_code == 1
    assert broken.err.startswith("dorset: cell ")
    # neither a terminal's markup nor its emoji
    assert MESSAGE in broken.err
    assert "RuntimeError" in broken.err
    assert "Traceback" not in broken.err
    told = re.findall(r"(draft|one audit only|no audits yet|failed)\W+(\d+)", broken.out)
    assert dict(told) == {"failed": "1", "one audit only": "1"}


def test_report_that_fails_stops_no_other(stages: dict[str, Stage]) -> None:
    first, broken = stages["first"], stages["broken"]
    assert set(broken.of("wiltshire")) == FILES
    assert broken.record("wiltshire").run_id != first.record("wiltshire").run_id
    assert broken.of("wiltshire")["report.html"] == first.of("wiltshire")["report.html"]


def test_earlier_report_stays_as_it_was_when_a_later_one_fails(stages: dict[str, Stage]) -> None:
    kept = {name: data for name, data in stages["broken"].of("dorset").items() if "/" not in name}
    assert kept == stages["first"].of("dorset")


def test_failed_notebook_is_kept_with_its_error_and_a_record(stages: dict[str, Stage]) -> None:
    failed = stages["broken"].of("dorset/failed")
    assert set(failed) == {"report.ipynb", "record.json"}
    record = stages["broken"].record("dorset/failed")
    assert record.outcome is Outcome.FAILED
    assert MESSAGE in record.headline
    assert record.outputs == {"report.ipynb": hashlib.sha256(failed["report.ipynb"]).hexdigest()}
    run = nbformat.reads(failed["report.ipynb"].decode(), as_version=4)
    errors = [one for cell in run.cells for one in cell.get("outputs", []) if one.output_type == "error"]
    assert [(one.ename, one.evalue) for one in errors] == [("RuntimeError", MESSAGE)]


def test_index_says_that_the_last_run_failed_and_leads_to_the_earlier_report(
    stages: dict[str, Stage],
) -> None:
    row = stages["broken"].index["dorset"]
    assert words(row[1]) == "failed"
    assert MESSAGE in words(row)
    assert row.find(".//b") is None
    assert row.find(".//a").get("href") == "dorset/report.html"
    assert "The report is the earlier one." in words(row)


def test_report_that_works_again_replaces_the_failed_one(stages: dict[str, Stage]) -> None:
    mended = stages["mended"]
    assert mended.exit_code == 0
    assert set(mended.of("dorset")) == FILES
    assert words(mended.index["dorset"][1]) == "draft"
    assert MESSAGE not in mended.files["index.html"].decode()


@pytest.mark.parametrize("name", ["report.html", "figures.csv", "report.ipynb"])
def test_the_same_run_gives_the_same_bytes(name: str, stages: dict[str, Stage]) -> None:
    assert stages["mended"].of("dorset")[name] == stages["first"].of("dorset")[name]


@pytest.mark.parametrize("stage", ["first", "broken", "mended"])
def test_index_lists_43_forces_and_every_link_resolves(stage: str, stages: dict[str, Stage]) -> None:
    index = stages[stage].index
    assert len(index) == 43
    for row in index.values():
        for link in row.iterfind(".//a"):
            assert link.get("href") in stages[stage].files


def test_index_tells_apart_what_was_run_what_was_not_and_what_cannot_be(stages: dict[str, Stage]) -> None:
    index = stages["first"].index
    status = {slug: words(row[1]) for slug, row in index.items()}
    assert status["dorset"] == "draft"
    assert status["wiltshire"] == "one audit only"
    assert status["staffordshire"] == "no audits yet"
    assert status["kent"] == "no audits yet"
    assert status["warwickshire"] == "not run yet"


def test_index_names_the_inspections_of_staffordshire_that_are_known_to_exist(
    stages: dict[str, Stage],
) -> None:
    row = words(stages["first"].index["staffordshire"])
    assert "inspection of" in row
    assert "re-inspection of March 2023" in row
    assert stages["first"].index["staffordshire"].find(".//a") is None


REFUSALS = {
    "an unknown force": (["warwick"], r'"warwick".*warwickshire'),
    "a name that three forces share": (["Yorkshire"], r"north-yorkshire.*south-yorkshire.*west-yorkshire"),
    "one unknown force among known ones": (["dorset", "narnia"], r'"narnia"'),
    "a path": (["../dorset"], r'No force is called "\.\./dorset"'),
    "markup": (["[/red]"], r'"\[/red\]"'),
    "a misspelt parameter": (["dorset", "-p", "forse=kent"], r'no parameter "forse".*force'),
    "the force as a parameter": (["dorset", "-p", "force=kent"], r"casegrade report kent"),
    "an ill-typed parameter": (["dorset", "-p", "confidence=high"], r'confidence takes a number.*"high"'),
    "an ill-typed option": (["dorset", "--confidence", "95%"], r'confidence takes a number.*"95%"'),
    "a level above 1": (["dorset", "--confidence", "95"], r"confidence"),
    "a level that is no number": (["dorset", "-p", "confidence=nan"], r"confidence"),
    "a parameter without a value": (["dorset", "-p", "confidence"], r"NAME=VALUE"),
    "an audit that is not there": (
        ["dorset", "--baseline", "dorset-2021-04-initia"],
        r"dorset-2021-04-initial",
    ),
    "an audit of another force": (
        ["dorset", "--baseline", "suffolk-2022-07-initial"],
        r"dorset has no audit",
    ),
    "audits the wrong way round": (
        ["dorset", "--baseline", "dorset-2022-04-review", "--follow-up", "dorset-2021-04-initial"],
        r"dorset-2022-04-review.*dorset-2021-04-initial",
    ),
    "one audit for two forces": (["dorset", "kent", "--baseline", "x"], r"one force"),
    "no force": ([], r"one or more forces, or .*--all"),
    "some forces and all": (["dorset", "--all"], r"one or more forces, or .*--all"),
    "no report at a time": (["dorset", "--jobs", "0"], r"jobs"),
    "an option that is none": (["dorset", "--fast"], r"--fast"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_reported_is_refused_before_a_kernel_starts(
    name: str, project: paths.Project, kernels: list[str]
) -> None:
    asked, told = REFUSALS[name]
    stage = report(project, *asked)
    assert stage.exit_code == 2
    assert re.search(told, stage.err, re.DOTALL)
    assert "Traceback" not in stage.err
    assert stage.out == ""
    assert kernels == []
    assert not project.reports.exists()


def test_notebook_without_parameters_is_refused_before_a_kernel_starts(
    project: paths.Project, kernels: list[str]
) -> None:
    notebook = project.notebooks / plan.FORCE_NOTEBOOK
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        cell["metadata"]["tags"] = []
    notebook.write_text(json.dumps(content), encoding="utf-8")
    stage = report(project, "dorset")
    assert stage.exit_code == 2
    assert plan.FORCE_NOTEBOOK in stage.err
    assert kernels == []
    assert not project.reports.exists()


def test_forces_without_audits_need_no_kernel(project: paths.Project, kernels: list[str]) -> None:
    stage = report(project, "kent", "staffordshire", "--jobs", "1")
    assert stage.exit_code == 0
    assert kernels == []
    assert set(stage.files) == set(synthetic.AROUND)
    assert stage.err == ""


def publish(project: paths.Project, *forces: str, jobs: int = 1, **asked: Any) -> dict[str, batch.Result]:
    results = batch.run(project, shelf.at(project.reports), batch.Asked(forces, **asked), jobs=jobs)
    return {result.name: result for result in results}


def test_report_that_warns_fails_and_keeps_the_notebook(project: paths.Project) -> None:
    small(project, "import warnings\nwarnings.warn('odd counts')")
    done = publish(project, "dorset")["dorset"]
    assert done.outcome is Outcome.FAILED
    assert "error stream" in done.headline
    assert (project.reports / "dorset" / "failed" / "report.ipynb").is_file()
    assert not (project.reports / "dorset" / "report.html").exists()


def test_report_whose_kernel_dies_fails_and_is_told(project: paths.Project) -> None:
    small(project, "import os\nos._exit(1)")
    done = publish(project, "dorset")["dorset"]
    assert done.outcome is Outcome.FAILED
    assert "Dead" in done.headline
    assert (project.reports / "dorset" / "failed" / "record.json").is_file()


def test_index_tells_of_a_failure_without_naming_folders_of_this_machine(project: paths.Project) -> None:
    # the index is passed on; where somebody's files lie is not for its readers
    small(project, "import os\nopen(os.path.join(os.getcwd(), 'data', 'lost.csv'))")
    done = publish(project, "dorset")["dorset"]
    index = (project.reports / "index.html").read_text(encoding="utf-8")
    assert "FileNotFoundError" in done.headline
    assert "lost.csv" in index
    assert str(project.root) not in index


def test_worker_that_dies_takes_no_other_report_with_it(
    project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(project, "from IPython.display import HTML\nHTML('<h2>Grades</h2>')")
    submit = pool.WorkerPool.submit

    def submit_one_that_kills(self: pool.WorkerPool, make: Any, job: Any) -> Future[Any]:
        # as when memory runs out: the process that makes Dorset's report is gone without a word
        deadly = (signal.raise_signal, signal.SIGKILL)
        return submit(self, *(deadly if job.name == "dorset" else (make, job)))

    monkeypatch.setattr(pool.WorkerPool, "submit", submit_one_that_kills)
    done = publish(project, "dorset", "hampshire", "wiltshire", "suffolk", jobs=2)
    assert {force: result.outcome for force, result in done.items()} == {
        "dorset": Outcome.FAILED,
        "hampshire": Outcome.ONE_AUDIT,
        "wiltshire": Outcome.ONE_AUDIT,
        "suffolk": Outcome.DRAFT,
    }
    assert "died, killed by signal 9" in done["dorset"].headline
    assert [path.name for path in project.reports.iterdir() if path.name.startswith(".")] == [shelf.LOCK]
    index = html.document_fromstring((project.reports / "index.html").read_text(encoding="utf-8"))
    assert words(index.get_element_by_id("dorset")[1]) == "failed"


def test_page_on_data_quality_that_fails_leaves_the_earlier_one_and_the_index(
    project: paths.Project,
) -> None:
    small(project, "1", notebook=plan.QUALITY_NOTEBOOK)
    assert publish(project, with_quality=True)[record.QUALITY].outcome is Outcome.DRAFT
    folder = project.reports / record.QUALITY
    earlier = {path.name: path.read_bytes() for path in folder.iterdir()}
    small(project, "1 / 0", notebook=plan.QUALITY_NOTEBOOK)
    failed = publish(project, with_quality=True)[record.QUALITY]
    assert failed.outcome is Outcome.FAILED
    assert "ZeroDivisionError" in failed.headline
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == earlier
    assert (folder / "failed" / "report.ipynb").is_file()
    assert "data-quality/report.html" in (project.reports / "index.html").read_text(encoding="utf-8")


def test_parameters_reach_the_notebook_and_the_record(project: paths.Project) -> None:
    small(
        project,
        "from IPython.display import HTML\nHTML(f'<p>{force} {confidence:.0%} interval {baseline!r}</p>')",
    )
    values = batch.check_notebook(project, {"confidence": "0.9"})
    publish(project, "dorset", values=values)
    page = html.document_fromstring((project.reports / "dorset" / "report.html").read_text(encoding="utf-8"))
    assert "dorset 90% interval ''" in words(page)
    stored = (project.reports / "dorset" / "record.json").read_text(encoding="utf-8")
    assert RunRecord.model_validate_json(stored).parameters == {"force": "dorset", "confidence": 0.9}


LOOK_AROUND = """
import json, os
from pathlib import Path
import analysis
from analysis import paths, vocabulary
from IPython.display import HTML
evidence = analysis.load_evidence()
root = paths.project().root
HTML("<pre>" + json.dumps({
    "forces": sorted({str(one) for table in evidence.tables.values()
                      if "force" in table.columns for one in table["force"]}),
    "listed": [one.slug for one in vocabulary.forces()],
    "files": sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()),
    "root": str(root),
    "cwd": os.getcwd(),
    "told": [value for value in os.environ.values()],
}) + "</pre>")
"""


def test_kernel_sees_the_rows_of_its_own_force_and_neither_the_project_nor_another_force(
    project: paths.Project,
) -> None:
    small(project, LOOK_AROUND)
    done = publish(project, "dorset", "hampshire", jobs=2)
    for force, result in done.items():
        # no page may say such things
        assert result.outcome is Outcome.FAILED
        assert "the page was not published" in result.headline
        kept = project.reports / force / "failed" / "report.ipynb"
        shown = nbformat.read(kept, as_version=4)["cells"][-1]["outputs"][-1]["data"]["text/html"]
        seen = json.loads(html.fragment_fromstring("".join(shown)).text)
        assert seen["forces"] == seen["listed"] == [force]
        assert seen["root"] == seen["cwd"] != str(project.root)
        assert not [told for told in seen["told"] if str(project.root) in told]
        others = [name for name in seen["files"] if not name.startswith("data/processed/")]
        assert others == ["data/raw/forces.csv", f"notebooks/{plan.FORCE_NOTEBOOK}"]


def test_stored_tables_that_were_altered_are_made_again(project: paths.Project) -> None:
    small(project, "1")
    asked = batch.Asked(("dorset",))
    batch.run(project, shelf.at(project.reports), asked)
    table = project.processed / "audits.parquet"
    before = table.read_bytes()
    table.write_bytes(before[:-1] + b"x")

    (result,) = batch.run(project, shelf.at(project.reports), asked)

    assert table.read_bytes() == before
    # its rows are what they were
    assert not result.is_new
