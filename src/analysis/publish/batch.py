"""Reports for one force or all: checked, run, rendered, each switched in whole; a failure stops no other."""

import multiprocessing
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from analysis import paths, storage
from analysis.compare import change
from analysis.compare.change import Comparison, NoAudit, SingleAudit
from analysis.compare.graded import SelectionError
from analysis.evidence import cleaning, sources
from analysis.evidence.cleaning import Evidence
from analysis.evidence.faults import EvidenceError
from analysis.present import wording
from analysis.publish import formats, page, parameters, record, runner, site
from analysis.publish.record import Outcome, RunRecord

FORCE_NOTEBOOK = "02_force_report.ipynb"
QUALITY_NOTEBOOK = "01_data_quality.ipynb"
QUALITY_PAGE = "data-quality.html"

_COMPARISON_ONLY, _SINGLE_ONLY = "comparison-only", "single-only"


@dataclass(frozen=True)
class Result:
    """How one force ended: its outcome, and in one sentence what it says or why it failed."""

    force: str
    outcome: Outcome
    headline: str


def prepare(project: paths.Project, /) -> Evidence:
    """Clean the raw files, refusing to go on while any row needs mending; tables are written if so.

    Raises:
        EvidenceError: if a file as a whole is unusable, or rows were refused. Then nothing is written.
    """
    evidence = cleaning.clean(project.raw)
    if evidence.faults:
        raise EvidenceError(evidence.faults)
    cleaning.write(evidence, project=project)
    return evidence


def check_notebook(project: paths.Project, given: Mapping[str, Any], /) -> dict[str, Any]:
    """Parameters in the types that the report's notebook declares: see `parameters.checked`."""
    return parameters.checked(project.notebooks / FORCE_NOTEBOOK, given)


def check_parameters(
    project: paths.Project, given: Mapping[str, Any], forces: Sequence[str], evidence: Evidence, /
) -> dict[str, Any]:
    """The parameters to give each force's notebook, apart from `force`; refused before any kernel starts.

    Raises:
        ParameterError: as `parameters.checked`, and if an audit asked for is not one of the force.
    """
    values = check_notebook(project, given)
    for force in forces:
        try:
            _examine(evidence, force, values)
        except SelectionError as error:
            raise parameters.ParameterError(str(error)) from error
    return values


def _examine(evidence: Evidence, force: str, values: Mapping[str, Any]) -> Comparison | SingleAudit | NoAudit:
    return change.examine(
        evidence.audits,
        force=force,
        baseline=values.get("baseline") or None,
        follow_up=values.get("follow_up") or None,
        confidence=values.get("confidence", 0.95),
    )


def publish_forces(
    evidence: Evidence,
    project: paths.Project,
    /,
    *,
    forces: Sequence[str],
    values: Mapping[str, Any],
    jobs: int = 1,
    on_result: Callable[[Result], None] = lambda result: None,
    with_quality: bool = False,
) -> list[Result]:
    """Make the reports of `forces`, several at a time, and then the index.

    A force whose report fails keeps its earlier report; the failed notebook is kept under
    `reports/<force>/failed/`.

    Args:
        evidence: the cleaned tables, as written to `data/processed`.
        project: where to read and write.
        forces: slugs.
        values: checked parameters apart from `force`.
        jobs: how many reports to make at a time, each in a process of its own; 1 makes them here.
        on_result: called after each force, in order of completion.
        with_quality: whether to make the page on data quality too.

    Returns:
        One result per force, in the order of `forces`; and one more if the page on data quality failed.
    """
    examined = {force: _examine(evidence, force, values) for force in forces}
    done: dict[str, Result] = {}

    def settle(result: Result) -> None:
        done[result.force] = result
        on_result(result)

    tasks: list[_Task] = []
    for force, found in examined.items():
        if isinstance(found, NoAudit):
            settle(Result(force, Outcome.NO_AUDITS, wording.headline(found)))
        else:
            tasks.append((found, project, dict(values)))
    for result in _run_here(tasks) if min(jobs, len(tasks)) < 2 else _run_apart(tasks, jobs):
        settle(result)
    if with_quality:
        try:
            publish_quality(project)
        except (runner.RunError, page.PageError) as error:
            done[QUALITY_PAGE] = Result(QUALITY_PAGE, Outcome.FAILED, " ".join(str(error).split()))
            on_result(done[QUALITY_PAGE])
    site.write_index(evidence, project, footer=footer(project))
    return [done[name] for name in (*forces, QUALITY_PAGE) if name in done]


_Task = tuple[Comparison | SingleAudit, paths.Project, dict[str, Any]]


def _run_here(tasks: Sequence[_Task]) -> Iterator[Result]:
    for task in tasks:
        yield _publish_force(*task)


def _run_apart(tasks: Sequence[_Task], jobs: int) -> Iterator[Result]:
    interrupted: list[_Task] = []
    with _workers(jobs) as pool:
        futures = {pool.submit(_publish_force, *task): task for task in tasks}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                interrupted.append(futures[future])
    # A worker that dies takes the pool with it. Whatever had not ended is run again, each alone,
    # so that only the report that kills its worker fails.
    for task in interrupted:
        _clear_staging(*task[:2])
        with _workers(1) as pool:
            try:
                yield pool.submit(_publish_force, *task).result()
            except BrokenProcessPool:
                _clear_staging(*task[:2])
                yield _died(*task)


def _workers(jobs: int) -> ProcessPoolExecutor:
    # spawned, not forked: Polars' threads do not survive a fork
    return ProcessPoolExecutor(max_workers=jobs, mp_context=multiprocessing.get_context("spawn"))


def _clear_staging(examined: Comparison | SingleAudit, project: paths.Project) -> None:
    """Remove what a process that was killed could not remove itself."""
    for left in project.reports.glob(f".{examined.force}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _died(examined: Comparison | SingleAudit, project: paths.Project, values: Mapping[str, Any]) -> Result:
    with storage.staging_folder(project.reports, examined.force) as staging:
        problem = "the process that made the report died"
        return _file(staging, examined, project, values, record.now(), problem)


def _publish_force(
    examined: Comparison | SingleAudit, project: paths.Project, values: Mapping[str, Any]
) -> Result:
    with storage.staging_folder(project.reports, examined.force) as staging:
        return _publish_into(staging, examined, project, values)


def _publish_into(
    staging: Path,
    examined: Comparison | SingleAudit,
    project: paths.Project,
    values: Mapping[str, Any],
) -> Result:
    started, problem = record.now(), None
    try:
        _build(examined, project, staging, project.notebooks / FORCE_NOTEBOOK, values)
    except (runner.RunError, page.PageError) as error:
        problem = str(error)
    except Exception as error:  # whatever it is, it must not stop the other forces
        problem = f"{type(error).__name__}: {error}"
    return _file(staging, examined, project, values, started, problem)


def _file(
    staging: Path,
    examined: Comparison | SingleAudit,
    project: paths.Project,
    values: Mapping[str, Any],
    started: datetime,
    problem: str | None,
) -> Result:
    """Add the run record and put the folder in its place: the report's, or that of a failed run."""
    force = examined.force
    if problem is not None:
        problem = _without_folders(" ".join(problem.split()))
    outcome = Outcome.FAILED if problem else _outcome(examined)
    headline = problem or wording.headline(examined)
    revision, is_dirty = record.revision(project.root)
    record.write(
        RunRecord(
            run_id=uuid.uuid4().hex,
            force=force,
            outcome=outcome,
            headline=headline,
            about=wording.compared(examined),
            compared=_compared(examined),
            parameters={"force": force, **values},
            started=started,
            finished=record.now(),
            inputs=cleaning.fingerprints(project.raw) | record.hashes([project.notebooks / FORCE_NOTEBOOK]),
            code_version=record.code_version(),
            revision=revision,
            is_dirty=is_dirty,
            packages=record.versions(),
            outputs=record.hashes(sorted(path for path in staging.iterdir() if path.is_file())),
        ),
        staging,
    )
    final = project.reports / force
    if problem:
        # beside the earlier report, which stays
        final.mkdir(exist_ok=True)
        storage.switch(staging, final / site.FAILED_FOLDER)
    else:
        storage.switch(staging, final)
    return Result(force, outcome, headline)


def _without_folders(text: str) -> str:
    """A message that may be shown to readers: files by their name, not by where this machine keeps them."""
    return re.sub(r"(?<![\w:/.])(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\]+[/\\])+([^\s'\"/\\:,)]+)", r"\1", text)


def _build(
    examined: Comparison | SingleAudit,
    project: paths.Project,
    folder: Path,
    notebook: Path,
    values: Mapping[str, Any],
) -> None:
    run = runner.execute(
        notebook,
        output=folder / "report.ipynb",
        parameters={**values, "force": examined.force},
        project=project,
    )
    text = page.PageText(
        title=wording.title(examined),
        description=wording.headline(examined),
        index=f"../{site.INDEX}",
        footer=footer(project),
    )
    hidden = _SINGLE_ONLY if isinstance(examined, Comparison) else _COMPARISON_ONLY
    document = page.render(run, text, without_tags=[hidden])
    (folder / site.REPORT).write_text(document, encoding="utf-8")
    formats.write_csv(examined, folder / "figures.csv")
    formats.write_xlsx(examined, folder / "figures.xlsx", licence=licence(project))


def _outcome(examined: Comparison | SingleAudit) -> Outcome:
    return Outcome.PUBLISHED if isinstance(examined, Comparison) else Outcome.ONE_AUDIT


def _compared(examined: Comparison | SingleAudit) -> tuple[str, ...]:
    if isinstance(examined, Comparison):
        return (examined.baseline.inspection_id, examined.follow_up.inspection_id)
    return (examined.audit.inspection_id,)


def publish_quality(project: paths.Project, /) -> None:
    """Run the notebook on data quality and put its page beside the index.

    Raises:
        RunError, PageError: if it fails; an earlier page stays.
    """
    with storage.staging_folder(project.reports, "quality") as folder:
        run = runner.execute(
            project.notebooks / QUALITY_NOTEBOOK,
            output=folder / "run.ipynb",
            parameters={},
            project=project,
        )
    text = page.PageText(
        title="Data quality: what was read, corrected, refused and in conflict",
        description="How the published statements behind the reports were read and settled",
        index=site.INDEX,
        footer=footer(project),
    )
    storage.write_text(project.reports / QUALITY_PAGE, page.render(run, text))


def run_notebooks(project: paths.Project, /) -> list[Path]:
    """Run the committed notebooks again with their default parameters and store them as run.

    Returns:
        The notebooks, in reading order.

    Raises:
        RunError: if one fails; that one stays as it was.
    """
    notebooks = sorted(project.notebooks.glob("[0-9][0-9]_*.ipynb"))
    for notebook in notebooks:
        with storage.staging_folder(project.notebooks, "run") as folder:
            output = folder / notebook.name
            runner.execute(notebook, output=output, parameters={}, project=project)
            output.replace(notebook)
    return notebooks


def licence(project: paths.Project, /) -> str:
    """The licence of the data, in one sentence."""
    package = sources.datapackage(project.raw)
    named = "; ".join(licence.attribution or licence.title for licence in package.licences)
    return f"Data: {named}".rstrip(".") + "."


def footer(project: paths.Project, /) -> tuple[str, ...]:
    """The closing lines of every page: who made it, from what, licence, accessibility, contact."""
    package = sources.datapackage(project.raw)
    return (
        f"Made by casegrade {record.code_version()} from {package.title}, version {package.version}, as of "
        f"{package.created[:10]}. "
        "These are not official statistics, and the inspectorate has not checked them.",
        licence(project),
        "This page needs no scripts and loads nothing from elsewhere. Every chart has a description and a table "
        "with the same figures. If you need it in another form, or find a figure wrong, tell whoever sent it to you.",
    )
