import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import synthetic
from synthetic import small

from analysis import paths
from analysis.evidence import cleaning
from analysis.publish import batch, parameters, plan, pool, record, shelf, site
from analysis.publish.plan import Step
from analysis.publish.record import QUALITY, Outcome
from analysis.publish.shelf import FolderShelf, ShelfError

# one run with kernels that most tests here start from: keep them on one worker
pytestmark = pytest.mark.xdist_group("plan")

# two audits, two audits with findings, one audit, none
FORCES = ("dorset", "suffolk", "hampshire", "kent")
MADE = ("dorset", "suffolk", "hampshire", QUALITY)
REPORTS = MADE[:-1]
STATEMENTS, FINDINGS = "audit_statements.csv", "findings.csv"

DATA = "its audits or findings changed"
NOTEBOOK = "the notebook changed"
CODE = "the code changed"
LIBRARIES = "the lock or the installed libraries changed"
PARAMETERS = "other parameters were given"
WORDS = "the force's names or the words around every page changed"
FORBIDDEN = "what no page may say changed"
FILES = "its files are not as they were written"
FAILED = "its last run failed"
NEW = "there is no report yet"
ASKED = "it was asked for"
# what the steps of kent say as long as there is no audit of it
WITHOUT = {"kent": (plan.NO_AUDITS,)}

Change = Callable[[paths.Project], object]
Reasons = Mapping[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> paths.Project:
    """A project whose reports have been made, from notebooks that take no time."""
    project = synthetic.copy_of_project(tmp_path_factory.mktemp("plan") / "project")
    (project.root / "requirements.lock").write_text("polars==1\n", encoding="utf-8")
    small(project, "from IPython.display import HTML\nHTML(f'<h2>{force}</h2>')")
    small(project, "1", notebook=plan.QUALITY_NOTEBOOK)
    assert {result.outcome for result in run(project)} == {
        Outcome.DRAFT,
        Outcome.ONE_AUDIT,
        Outcome.NO_AUDITS,
    }
    return project


@pytest.fixture
def project(run_once: paths.Project, tmp_path: Path) -> paths.Project:
    """A copy of it, times of change included."""
    return paths.Project(shutil.copytree(run_once.root, tmp_path / "project"))


def asked(**changed: Any) -> batch.Asked:
    return batch.Asked(**{"forces": FORCES, "with_quality": True} | changed)


def run(project: paths.Project, **changed: Any) -> list[batch.Result]:
    return batch.run(project, shelf.at(project.reports), asked(**changed), jobs=2)


def steps(project: paths.Project, **changed: Any) -> dict[str, Step]:
    found = batch.dry_run(project, shelf.at(project.reports), asked(**changed))
    return {step.name: step for step in found}


def due(project: paths.Project, **changed: Any) -> dict[str, tuple[str, ...]]:
    """The reports that would be made, with the reasons."""
    return {name: step.reasons for name, step in steps(project, **changed).items() if step.is_due}


def each(*reasons: str, of: tuple[str, ...] = MADE) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(of, reasons)


def everything(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Every file and folder below with its time of change, files with their content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else None,
        )
        for path in [folder, *folder.rglob("*")]
    }


def rewrite(path: Path, edit: Callable[[list[dict[str, str]]], object]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    edit(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(reader.fieldnames or ()), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def cells(file: str, force: str, **values: str) -> Change:
    """Another text in the cells of the rows of a force."""

    def edit(rows: list[dict[str, str]]) -> None:
        found = [row for row in rows if (row.get("force") or row.get("slug")) == force]
        assert found
        for row in found:
            row.update(values)

    return lambda project: rewrite(project.raw / file, edit)


def one_more(file: str, like: str, **values: str) -> Change:
    """A row at the end, like one of a force save for some cells."""

    def edit(rows: list[dict[str, str]]) -> None:
        found = next(row for row in rows if row["force"] == like)
        rows.append(found | values)

    return lambda project: rewrite(project.raw / file, edit)


def text(name: str, old: str, new: str) -> Change:
    """Another text in a file of the project."""

    def edit(project: paths.Project) -> None:
        before = (project.root / name).read_text(encoding="utf-8")
        assert old in before
        (project.root / name).write_text(before.replace(old, new, 1), encoding="utf-8")

    return edit


def notebook(name: str, edit: Callable[[Any], object]) -> Change:
    def change(project: paths.Project) -> None:
        content = json.loads((project.notebooks / name).read_text(encoding="utf-8"))
        edit(content)
        (project.notebooks / name).write_text(json.dumps(content), encoding="utf-8")

    return change


def as_if_it_had_failed(name: str) -> Change:
    def fail(project: paths.Project) -> None:
        place = shelf.at(project.reports)
        known = shelf.recorded(place, name)
        assert known is not None
        failed = known.model_copy(update={"outcome": Outcome.FAILED, "outputs": {}})
        place.place_beside(name, shelf.FAILED_FOLDER, {record.FILE: record.text(failed).encode()})

    return fail


def together(*changes: Change) -> Change:
    return lambda project: [change(project) for change in changes]


FORCE_NOTEBOOK, QUALITY_NOTEBOOK = (plan.FORCE_NOTEBOOK, plan.QUALITY_NOTEBOOK)
OUTPUT = {"output_type": "stream", "name": "stdout", "text": ["shown"]}

CHANGES: dict[str, tuple[Change, Reasons]] = {
    "nothing": (lambda project: None, {}),
    # ------------------------------------------------------------------------- the data
    "a statement of one force": (
        cells(STATEMENTS, "Dorset", title="Another title"),
        each(DATA, of=("dorset", QUALITY)),
    ),
    "a statement of a force that no report is made of": (
        cells(STATEMENTS, "Warwickshire", title="Another title"),
        each(DATA, of=(QUALITY,)),
    ),
    "one more statement": (
        one_more(STATEMENTS, "Dorset", publisher="Another Echo", url="https://echo.example/1"),
        each(DATA, of=("dorset", QUALITY)),
    ),
    "a finding": (cells(FINDINGS, "Suffolk", status="improved"), each(DATA, of=("suffolk", QUALITY))),
    "one more finding": (
        one_more(FINDINGS, "Suffolk", force="Dorset", fieldwork="2021-04", inspection="initial inspection"),
        each(DATA, of=("dorset", QUALITY)),
    ),
    "a known inspection": (
        cells("known_inspections.csv", "Suffolk", recommendations="11"),
        each(DATA, of=("suffolk", QUALITY)),
    ),
    "the first statement of a force": (
        one_more(STATEMENTS, "Dorset", force="Kent"),
        {"kent": (NEW,)} | each(DATA, of=(QUALITY,)),
    ),
    "line ends of a raw file": (
        lambda project: (project.raw / STATEMENTS).write_bytes(
            (project.raw / STATEMENTS).read_bytes().replace(b"\n", b"\r\n")
        ),
        {},
    ),
    # -------------------------------------------------------------------- the notebooks
    "source of the force's notebook": (
        notebook(FORCE_NOTEBOOK, lambda content: content["cells"][-1].update(source="# now\n1")),
        each(NOTEBOOK, of=REPORTS),
    ),
    "source of the notebook on quality": (
        notebook(QUALITY_NOTEBOOK, lambda content: content["cells"][-1].update(source="2")),
        each(NOTEBOOK, of=(QUALITY,)),
    ),
    "a tag of a cell": (
        notebook(
            FORCE_NOTEBOOK, lambda content: content["cells"][-1]["metadata"].update(tags=["single-only"])
        ),
        each(NOTEBOOK, of=REPORTS),
    ),
    "the order of cells": (
        notebook(FORCE_NOTEBOOK, lambda content: content["cells"].reverse()),
        each(NOTEBOOK, of=REPORTS),
    ),
    "what the notebook showed when it was last run": (
        notebook(
            FORCE_NOTEBOOK,
            lambda content: content["cells"][-1].update(outputs=[OUTPUT], execution_count=7),
        ),
        {},
    ),
    "ids of cells and what an editor remembers": (
        notebook(
            FORCE_NOTEBOOK,
            lambda content: (
                content["cells"][-1].update(id="other", metadata={"collapsed": True}),
                content["metadata"].update(toc=True),
            ),
        ),
        {},
    ),
    # ------------------------------------------------------------- what surrounds them
    "the lock": (text("requirements.lock", "polars==1", "polars==2"), each(LIBRARIES)),
    "no lock any more": (lambda project: (project.root / "requirements.lock").unlink(), each(LIBRARIES)),
    "title of the data package": (
        text("data/raw/datapackage.json", "Graded child", "Judged child"),
        each(WORDS),
    ),
    "licence of the data package": (
        text("data/raw/datapackage.json", "Contains public sector", "Contains much public sector"),
        each(WORDS),
    ),
    "description of a file in the data package": (
        text("data/raw/datapackage.json", '"title": "Audit statements"', '"title": "Statements of audits"'),
        {},
    ),
    "name of a force": (
        cells("forces.csv", "dorset", full_name="Dorset Constabulary"),
        # no other page may name it as it is called now
        each(FORBIDDEN) | each(WORDS, FORBIDDEN, of=("dorset", QUALITY)),
    ),
    # ----------------------------------------------------------------- what was written
    "page edited": (
        text("reports/dorset/report.html", "<h2", "<h2 class='better'"),
        each(FILES, of=("dorset",)),
    ),
    "figures deleted": (
        lambda project: (project.reports / "suffolk" / "figures.csv").unlink(),
        each(FILES, of=("suffolk",)),
    ),
    "figures emptied": (
        lambda project: (project.reports / "suffolk" / "figures.xlsx").write_bytes(b""),
        each(FILES, of=("suffolk",)),
    ),
    "record deleted": (
        lambda project: (project.reports / "hampshire" / record.FILE).unlink(),
        each(NEW, of=("hampshire",)),
    ),
    "record cut short": (
        lambda project: (project.reports / "hampshire" / record.FILE).write_text("{", encoding="utf-8"),
        # nobody can tell whether it was published
        {},
    ),
    "report deleted": (
        lambda project: shutil.rmtree(project.reports / QUALITY),
        each(NEW, of=(QUALITY,)),
    ),
    "all reports deleted": (lambda project: shutil.rmtree(project.reports), each(NEW)),
    "a file beside the reports": (
        lambda project: (project.reports / "dorset" / "note.txt").write_text("mine", encoding="utf-8"),
        {},
    ),
    "cleaned tables deleted": (lambda project: shutil.rmtree(project.processed), {}),
    "last run failed": (as_if_it_had_failed("dorset"), each(FAILED, of=("dorset",))),
    # --------------------------------------------------------------------- more than one
    "data and notebook and lock": (
        together(
            cells(STATEMENTS, "Dorset", title="Another title"),
            notebook(FORCE_NOTEBOOK, lambda content: content["cells"][-1].update(source="2")),
            text("requirements.lock", "polars==1", "polars==2"),
        ),
        {
            "dorset": (DATA, NOTEBOOK, LIBRARIES),
            "suffolk": (NOTEBOOK, LIBRARIES),
            "hampshire": (NOTEBOOK, LIBRARIES),
            QUALITY: (DATA, LIBRARIES),
        },
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_depends_on_a_change_is_made_again_and_nothing_else_is(
    name: str, project: paths.Project
) -> None:
    change, expected = CHANGES[name]
    change(project)
    assert due(project) == expected


def test_code_that_differs_by_a_comment_makes_all_reports_again(
    project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what a comment is and what a rule, no hash can tell
    monkeypatch.setattr(record, "code_hash", lambda: record.sha256("# a comment"))
    assert due(project) == each(CODE)


def test_hash_of_the_code_covers_every_file_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copytree(paths.package(), tmp_path / "analysis")
    monkeypatch.setattr(paths, "__file__", str(copy / "paths.py"))
    before = record.code_hash()
    assert record.code_hash() == before
    (copy / "publish" / "__pycache__").mkdir(exist_ok=True)
    (copy / "publish" / "__pycache__" / "record.cpython-311.pyc").write_bytes(b"1")
    assert record.code_hash() == before
    for name in ("vocabulary.py", "publish/templates/page.css", "publish/templates/index.html.j2"):
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write("\n")
        after = record.code_hash()
        assert after != before
        before = after
    (copy / "present" / "wording.py").rename(copy / "present" / "words.py")
    assert record.code_hash() != before


@pytest.mark.parametrize(
    ("patched", "other", "reasons"),
    [
        ("versions", {"polars": "99"}, (LIBRARIES,)),
        ("python_version", "3.99.0", (LIBRARIES,)),
        # every page says which version made it
        ("code_version", "99", (LIBRARIES, WORDS)),
    ],
)
def test_other_libraries_make_all_reports_again(
    patched: str,
    other: object,
    reasons: tuple[str, ...],
    project: paths.Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record, patched, lambda: other)
    assert due(project) == each(*reasons)


def test_other_parameters_make_the_reports_again_that_take_them(project: paths.Project) -> None:
    assert due(project, values={"confidence": 0.9}) == each(PARAMETERS, of=REPORTS)
    first = "dorset-2021-04-initial"
    assert due(project, forces=("dorset",), values={"baseline": first}) == each(PARAMETERS, of=("dorset",))


def test_audit_of_another_force_is_refused(project: paths.Project) -> None:
    with pytest.raises(parameters.ParameterError, match="dorset has no audit"):
        steps(project, forces=("dorset",), values={"baseline": "suffolk-2022-07-initial"})


def test_forced_rebuild_makes_every_report_again_that_can_be_made(project: paths.Project) -> None:
    assert due(project, rebuild=True) == each(ASKED)


def test_steps_come_in_the_order_asked_for_and_say_why_one_cannot_be_made(project: paths.Project) -> None:
    found = steps(project)
    assert tuple(found) == (*FORCES, QUALITY)
    assert {name: step.reasons for name, step in found.items()} == each() | WITHOUT
    assert [name for name, step in found.items() if not step.is_possible] == ["kent"]
    assert all((step.known is None) == (name == "kent") for name, step in found.items())


def test_without_the_page_on_quality_only_the_forces_are_asked_about(project: paths.Project) -> None:
    assert tuple(steps(project, forces=("suffolk",), with_quality=False)) == ("suffolk",)


# --------------------------------------------------------------------------------- doing it


def test_nothing_changed_nothing_is_made_and_no_file_touched(
    project: paths.Project, kernels: list[str]
) -> None:
    before = everything(project.root)

    results = run(project)

    assert kernels == []
    assert everything(project.root) == before
    assert [(result.name, result.is_new) for result in results] == [
        (name, False) for name in (*FORCES, QUALITY)
    ]
    records = {name: shelf.recorded(shelf.at(project.reports), name) for name in MADE}
    assert {result.name: result.record for result in results} == records | {"kent": None}
    assert all(result.outcome is records[result.name].outcome for result in results if result.record)  # type: ignore[union-attr]


def test_nothing_changed_no_worker_is_started_and_no_lock_taken(
    project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("what has nothing to write needs neither")

    for name in ("start", "submit"):
        monkeypatch.setattr(pool.WorkerPool, name, refuse)
    monkeypatch.setattr(FolderShelf, "locked", refuse)
    (project.reports / shelf.LOCK).unlink()
    run(project)
    assert not (project.reports / shelf.LOCK).exists()


def test_one_changed_force_leaves_every_other_file_as_it_was(project: paths.Project) -> None:
    cells(STATEMENTS, "Dorset", title="Another title")(project)
    before = everything(project.reports)

    results = run(project)

    assert {result.name: result.reasons for result in results if result.is_new} == each(
        DATA, of=("dorset", QUALITY)
    )
    after = everything(project.reports)
    differ = {name for name in after.keys() | before.keys() if after.get(name) != before.get(name)}
    # the index says what it said, and is not written; "." is the folder in which two were exchanged
    assert {name.partition("/")[0] for name in differ} == {".", "dorset", QUALITY}
    assert not cleaning.is_stale(project)
    assert due(project) == {}


def test_figures_that_changed_are_told_in_the_index_too(project: paths.Project) -> None:
    def edit(rows: list[dict[str, str]]) -> None:
        for row in rows:
            if row["force"] == "Dorset" and row["inspection"] == "post-inspection review":
                row.update(good="21", requires_improvement="5", inadequate="5")

    rewrite(project.raw / STATEMENTS, edit)
    before = (project.reports / site.INDEX).read_text(encoding="utf-8")

    made = {result.name: result.headline for result in run(project) if result.is_new}

    assert set(made) == {"dorset", QUALITY}
    index = (project.reports / site.INDEX).read_text(encoding="utf-8")
    assert made["dorset"] in index
    assert made["dorset"] not in before


def test_index_that_is_out_of_date_is_written_without_making_a_report(
    project: paths.Project, kernels: list[str]
) -> None:
    cells("known_inspections.csv", "Staffordshire", note="counts known")(project)
    (project.reports / site.INDEX).unlink()
    run(project, with_quality=False)
    assert kernels == []
    assert (project.reports / site.INDEX).is_file()
    assert not cleaning.is_stale(project)


def test_what_was_made_again_is_what_was_there_before(project: paths.Project) -> None:
    place = shelf.at(project.reports)
    before = {name: shelf.recorded(place, name) for name in REPORTS}

    results = run(project, rebuild=True)

    assert {result.name: result.reasons for result in results if result.is_new} == each(ASKED)
    for name, known in before.items():
        again = shelf.recorded(place, name)
        assert known is not None
        assert again is not None
        assert again.run_id != known.run_id
        pages = [{n: d for n, d in one.outputs.items() if n != "figures.xlsx"} for one in (known, again)]
        assert pages[0] == pages[1]
    assert due(project) == {}


def test_version_that_a_report_takes_the_place_of_is_remembered_once(project: paths.Project) -> None:
    place = shelf.at(project.reports)
    first = shelf.recorded(place, "dorset")
    notebook(FORCE_NOTEBOOK, lambda content: content["cells"][-1].update(source="'changed'"))(project)
    run(project, forces=("dorset",), with_quality=False)
    second = shelf.recorded(place, "dorset")
    assert first is not None
    assert second is not None
    assert [(one.run_id, one.outputs) for one in second.earlier] == [(first.run_id, first.outputs)]


@pytest.mark.parametrize("state", ["never run", "all changed", "nothing changed", "left by a killed run"])
def test_dry_run_says_what_would_be_made_and_writes_nothing(
    state: str, project: paths.Project, kernels: list[str]
) -> None:
    if state == "never run":
        shutil.rmtree(project.reports)
        shutil.rmtree(project.processed)
    if state == "all changed":
        cells("forces.csv", "dorset", full_name="Dorset Constabulary")(project)
        (project.root / "requirements.lock").unlink()
    if state == "left by a killed run":
        (project.reports / ".dorset.new-abc").mkdir()
        (project.reports / ".lock-held-by.json").write_text("{}", encoding="utf-8")
    before = everything(project.root)

    reasons = due(project)

    assert set(reasons) == (set(MADE) if state in ("never run", "all changed") else set())
    assert kernels == []
    assert everything(project.root) == before


def test_what_a_killed_run_left_is_cleared_though_nothing_is_to_be_made(
    project: paths.Project, kernels: list[str]
) -> None:
    before = everything(project.reports)
    del before["."]
    (project.reports / ".dorset.new-abc").mkdir()
    (project.reports / ".index.html.new-abc").write_text("half", encoding="utf-8")
    (project.reports / ".lock-held-by.json").write_text("{}", encoding="utf-8")
    (project.processed.parent / ".processed.new-abc").mkdir()

    run(project)

    assert kernels == []
    after = everything(project.reports)
    del after["."]
    assert after == before
    assert sorted(path.name for path in project.processed.parent.iterdir()) == ["processed", "raw"]


# ------------------------------------------------------------------------ what must not stop


def test_notebook_that_lost_its_parameters_is_refused_although_others_were_proven(
    project: paths.Project, kernels: list[str]
) -> None:
    # papermill would run it with whatever force its cells name
    notebook(FORCE_NOTEBOOK, lambda content: content["cells"][0]["metadata"].update(tags=[]))(project)
    before = everything(project.reports)
    with pytest.raises(parameters.ParameterError, match='0 cells tagged "parameters"'):
        run(project)
    assert kernels == []
    assert everything(project.reports) == before


def test_missing_notebook_on_quality_fails_that_page_alone(project: paths.Project) -> None:
    (project.notebooks / QUALITY_NOTEBOOK).unlink()
    cells(STATEMENTS, "Dorset", title="Another title")(project)
    results = {result.name: result for result in run(project)}
    assert results[QUALITY].outcome is Outcome.FAILED
    assert QUALITY_NOTEBOOK in results[QUALITY].headline
    assert results["dorset"].outcome is Outcome.DRAFT
    assert results["dorset"].is_new


def test_report_that_cannot_be_put_in_its_place_stops_no_other(
    project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    place_report = FolderShelf.place

    def refuse_one(self: FolderShelf, name: str, files: Mapping[str, bytes]) -> None:
        if name == "dorset":
            raise ShelfError("reports cannot be used: no space left.")
        place_report(self, name, files)

    monkeypatch.setattr(FolderShelf, "place", refuse_one)
    results = {result.name: result for result in run(project, rebuild=True)}
    assert {name: result.outcome for name, result in results.items() if result.is_new} == {
        "dorset": Outcome.FAILED,
        "suffolk": Outcome.DRAFT,
        "hampshire": Outcome.ONE_AUDIT,
        QUALITY: Outcome.DRAFT,
    }
    assert "no space left" in results["dorset"].headline
    assert due(project) == {}


def test_file_in_the_place_of_a_report_gives_way_to_it(project: paths.Project) -> None:
    shutil.rmtree(project.reports / "dorset")
    (project.reports / "dorset").write_text("in the way", encoding="utf-8")
    assert due(project) == each(NEW, of=("dorset",))
    assert {result.name: result.outcome for result in run(project) if result.is_new} == {
        "dorset": Outcome.DRAFT
    }
    assert due(project) == {}


def test_inputs_in_the_record_are_those_that_were_read(project: paths.Project) -> None:
    cells(STATEMENTS, "Dorset", title="Another title")(project)
    made = next(result for result in run(project) if result.name == "dorset")
    assert made.record is not None
    files = {path.name: path for path in [*project.raw.iterdir(), *project.notebooks.iterdir()]}
    assert set(made.record.inputs) == {*cleaning.INPUTS, FORCE_NOTEBOOK}
    for name, digest in made.record.inputs.items():
        assert record.sha256(files[name].read_bytes()) == digest
