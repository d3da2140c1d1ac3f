"""The `casegrade` command: a thin face over the modules below it. Its exit codes are those of `console`."""

import csv
import os
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from analysis import console, paths, vocabulary
from analysis.lab import command as lab_command
from analysis.schedule import commands, credentials

if TYPE_CHECKING:
    from analysis.publish.batch import Result
    from analysis.publish.plan import Step
    from analysis.publish.record import RunRecord

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Graded child-protection case audits in, honest before/after reports per police force out.",
)


def main() -> None:
    """Run the command line."""
    app(prog_name="casegrade")


app.add_typer(commands.app, name="schedule")
app.command("clean-runs")(commands.clean_runs)
app.command("lab")(lab_command.lab)


@app.callback()
def _project(
    context: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the casegrade project; by default the working directory's or the checkout."
        ),
    ] = None,
) -> None:
    if project is not None:
        os.environ[paths.VARIABLE] = str(project)
    # whatever a command starts, notebooks among it, has no use for secrets
    context.obj = {name: os.environ.pop(name) for name in credentials.NAMES if name in os.environ}


def _note_changes(raw: Path, say: Callable[[str], None] = console.complain) -> None:
    from analysis.evidence import sources

    names = sources.changed(raw)
    if names:
        say(
            f"Note: changed since datapackage.json recorded it: {', '.join(names)}. "
            "If that is meant, run `casegrade check --record`."
        )


@app.command()
def clean() -> None:
    """Clean data/raw into data/processed; tell of every row that was refused."""
    from analysis.evidence import cleaning

    with console.plainly():
        project = paths.project()
        _note_changes(project.raw)
        evidence = cleaning.clean(project.raw)
        cleaning.write(evidence, project=project)
        n_read = sum(evidence.rows_read.values())
        n_rejected = evidence.rejected.height
        console.out.print(
            f"{n_read} rows read, {n_read - n_rejected} accepted, {n_rejected} rejected; "
            f"{evidence.audits.height} audits in data/processed."
        )
        for fault in evidence.faults:
            console.complain(fault.sentence)
        if evidence.faults:
            raise typer.Exit(console.DATA_TO_MEND)


@app.command()
def check(
    record: Annotated[
        bool,
        typer.Option("--record", help="Record the present files' checksums and sizes, if a change is meant."),
    ] = False,
) -> None:
    """Check data/raw against datapackage.json: checksums, columns, types, allowed values."""
    from analysis.evidence import sources

    with console.plainly():
        raw = paths.project().raw
        if record:
            changed = sources.record(raw)
            console.out.print(f"Recorded: {', '.join(changed)}." if changed else "Nothing has changed.")
        faults = sources.check(raw)
        for fault in faults:
            console.complain(fault.sentence)
        if faults:
            raise typer.Exit(console.DATA_TO_MEND)
        console.out.print("data/raw is as datapackage.json describes it.")


@app.command()
def report(
    forces: Annotated[list[str] | None, typer.Argument(help="Forces, by slug or name.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every force, and the page on data quality.")] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="NAME=VALUE", help="Set a parameter of the notebook; repeatable."
        ),
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Inspection id of the earlier audit.")] = None,
    follow_up: Annotated[str | None, typer.Option(help="Inspection id of the later audit.")] = None,
    confidence: Annotated[
        str | None, typer.Option(help="Level of all intervals, at least 0.5 and below 1.")
    ] = None,
    jobs: console.Jobs = None,
    force_rebuild: Annotated[
        bool, typer.Option("--force-rebuild", help="Make every report again, even if nothing changed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and why; make and write nothing.")
    ] = False,
    deadline: Annotated[
        float | None, typer.Option(min=1, help="Seconds that the whole run may take.")
    ] = None,
    report_deadline: Annotated[
        float, typer.Option(min=1, help="Seconds that one report may take; then its kernel is killed.")
    ] = 300,
    wait: console.Wait = 60,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Make the reports on a Dask cluster: tcp://host:port, or local:4 for 4 workers here."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Where the reports go: a folder, or a URL that fsspec knows (s3://...)."),
    ] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Let charts answer to mouse and keyboard; a larger page.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Make each report as a tagged PDF too.")] = False,
    auto_publish: Annotated[
        bool,
        typer.Option(
            "--auto-publish", help="Publish what passes the checks, without anybody reading it first."
        ),
    ] = False,
    log_format: console.Log = console.LogFormat.TEXT,
    timings: Annotated[
        bool,
        typer.Option(
            "--timings", help="Print the times of the reports as CSV; without forces, of those there are."
        ),
    ] = False,
) -> None:
    """Make the reports of some forces or all that are out of date, and the index."""
    from analysis.publish import batch, record, shelf
    from analysis.publish.parameters import ParameterError
    from analysis.publish.record import INTERACTIVE, PDF, Outcome

    with console.plainly(
        console.complain_in_json if log_format is console.LogFormat.JSON else console.complain
    ):
        project = paths.project()
        place = shelf.at(output or project.reports)
        named = vocabulary.forces(project.raw)
        if timings and not forces and not all_:
            _print_timings([shelf.recorded(place, name) for name in (*named.slugs, record.QUALITY)])
            return
        if bool(forces) == all_:
            raise ParameterError("Name one or more forces, or give --all: casegrade report warwickshire.")
        slugs = list(dict.fromkeys(named.named(force).slug for force in forces or named.slugs))
        given = _given(parameter or [], baseline=baseline, follow_up=follow_up, confidence=confidence)
        if "force" in given:
            raise ParameterError(f"Name the force itself: casegrade report {given['force']}.")
        if len(slugs) > 1 and {"baseline", "follow_up"} & set(given):
            raise ParameterError("A baseline or follow_up belongs to one force: name that force alone.")
        values = batch.check_notebook(project, given) if given else {}
        with _telling(log_format, len(slugs) + all_) as teller:
            asked = batch.Asked(
                tuple(slugs),
                values,
                with_quality=all_,
                rebuild=force_rebuild,
                publish=auto_publish,
                formats=frozenset(([PDF] if pdf else []) + ([INTERACTIVE] if interactive else [])),
            )
            if dry_run:
                teller.plan(batch.dry_run(project, place, asked))
                return
            _note_changes(project.raw, teller.say)
            results = batch.run(
                project,
                place,
                asked,
                jobs=jobs or os.cpu_count() or 1,
                cluster_address=cluster,
                limits=batch.Limits(report=report_deadline, run=deadline),
                wait=wait,
                tell=teller.told,
                say=teller.say,
            )
            teller.end(results, None if timings else place.shown("index.html"))
    if timings:
        _print_timings([result.record for result in results])
    if any(result.outcome is Outcome.FAILED for result in results):
        raise typer.Exit(console.DATA_TO_MEND)


def _given(pairs: list[str], **named: str | None) -> dict[str, str]:
    from analysis.publish.parameters import ParameterError

    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError(f'"{pair}" is not NAME=VALUE, for example: -p confidence=0.9.')
        given[name] = value
    return given | {name: value for name, value in named.items() if value is not None}


@contextmanager
def _telling(log_format: console.LogFormat, n_reports: int) -> Iterator["_Teller"]:
    teller = _JsonTeller(n_reports) if log_format is console.LogFormat.JSON else _TextTeller(n_reports)
    with teller.progress:
        yield teller


class _Teller(ABC):
    """Tells how a run goes, to people or to programs."""

    def __init__(self, n_reports: int):
        self._n_reports = n_reports
        self._started = time.monotonic()
        self.progress: AbstractContextManager[object] = nullcontext()

    @abstractmethod
    def say(self, message: str) -> None:
        """Tell something that is no result."""

    @abstractmethod
    def plan(self, steps: "Sequence[Step]") -> None:
        """Tell what would be made."""

    @abstractmethod
    def told(self, result: "Result") -> None:
        """Tell how a report ended."""

    @abstractmethod
    def end(self, results: "Sequence[Result]", index: str | None) -> None:
        """Tell how the run ended; `index` is null if only the results are to be on the output."""


class _TextTeller(_Teller):
    """Progress on a terminal, a line per report elsewhere, and a table at the end."""

    def __init__(self, n_reports: int):
        super().__init__(n_reports)
        self._n_done = self._n_failed = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            TimeRemainingColumn(),
            console=console.err,
            transient=True,
            disable=not console.err.is_terminal,
        )
        self._task = self._bar.add_task("Reports", total=n_reports, failed="")
        self.progress = self._bar

    def say(self, message: str) -> None:
        console.complain(message)

    def plan(self, steps: "Sequence[Step]") -> None:
        table = Table("Report", "Would be made", "Why")
        for step in steps:
            told = "; ".join(step.reasons) or "nothing that it depends on changed"
            table.add_row(step.name, "yes" if step.is_due else "no", told)
        console.out.print(table)
        console.out.print(
            f"{sum(step.is_due for step in steps)} of {len(steps)} would be made. Nothing was written."
        )

    def told(self, result: "Result") -> None:
        self._n_done += 1
        self._n_failed += result.outcome == "failed"
        failed = f"{self._n_failed} failed" if self._n_failed else ""
        self._bar.update(self._task, advance=1, failed=failed)
        if result.outcome == "failed":
            console.complain(f"{result.name}: {result.headline}")
        elif result.is_new and not console.err.is_terminal:
            console.complain(f"{result.name}: {result.outcome} ({self._n_done} of {self._n_reports})")

    def end(self, results: "Sequence[Result]", index: str | None) -> None:
        if index is None:
            return
        table = Table("Outcome", "Reports", "Made now")
        for outcome in dict.fromkeys(result.outcome for result in results):
            of_it = [result for result in results if result.outcome is outcome]
            table.add_row(str(outcome), str(len(of_it)), str(sum(result.is_new for result in of_it)))
        console.out.print(table)
        console.out.print(f"{time.monotonic() - self._started:.1f} seconds. Index: {index}")


class _JsonTeller(_Teller):
    """One JSON object per line on the error stream: begun, report, message, planned, error, ended."""

    def __init__(self, n_reports: int):
        super().__init__(n_reports)
        console.event("begun", reports=n_reports)

    def say(self, message: str) -> None:
        console.event("message", message=message)

    def plan(self, steps: "Sequence[Step]") -> None:
        for step in steps:
            console.event("planned", report=step.name, is_due=step.is_due, reasons=list(step.reasons))

    def told(self, result: "Result") -> None:
        fields: dict[str, object] = {}
        if result.is_new and result.record is not None:
            taken = (result.record.finished - result.record.started).total_seconds()
            fields = {"seconds": taken, "kernel": result.record.kernel, "run_id": result.record.run_id}
        console.event(
            "report",
            report=result.name,
            outcome=str(result.outcome),
            headline=result.headline,
            is_new=result.is_new,
            reasons=list(result.reasons),
            **fields,
        )

    def end(self, results: "Sequence[Result]", index: str | None) -> None:
        counts = Counter(str(result.outcome) for result in results)
        made = sum(result.is_new for result in results)
        console.event(
            "ended",
            outcomes=counts,
            made=made,
            seconds=round(time.monotonic() - self._started, 3),
            index=index,
        )


_STEPS = ("start", "cells", "page", "files")


def _print_timings(records: "Sequence[RunRecord | None]") -> None:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(
        [
            "report",
            "outcome",
            "started",
            "finished",
            "seconds",
            *(f"{step}_seconds" for step in _STEPS),
            "kernel",
        ]
    )
    for found in records:
        if found is not None:
            taken = (found.finished - found.started).total_seconds()
            steps = [found.seconds.get(step, "") for step in _STEPS]
            times = [found.started.isoformat(), found.finished.isoformat(), f"{taken:.3f}"]
            rows.writerow([found.force, found.outcome, *times, *steps, found.kernel])


@app.command()
def publish(
    reports: Annotated[list[str], typer.Argument(help="Forces whose drafts were read; or data-quality.")],
    reviewer: Annotated[str, typer.Option(help="Who read them, as the record is to name them.")],
    read: Annotated[
        list[Path] | None,
        typer.Option(
            help="File that was read, such as a copy of report.html; refused if the draft is another by now."
        ),
    ] = None,
    output: console.Output = None,
    wait: console.Wait = 60,
) -> None:
    """Publish drafts that a person has read: same figures, no mark of a draft, the reviewer in the record."""
    from analysis.publish import batch, shelf

    with console.plainly():
        project = paths.project()
        place = shelf.at(output or project.reports)
        names = _named_reports(reports, project)
        results = batch.sign(
            project, place, names, reviewer=reviewer, read=read or (), wait=wait, say=console.complain
        )
        for result in results:
            if result.outcome == "failed":
                console.complain(f"{result.name}: {result.headline}")
            else:
                console.out.print(
                    f"{result.name}: published. {place.shown(f'{result.name}/report.html')}", markup=False
                )
    if any(result.outcome == "failed" for result in results):
        raise typer.Exit(console.DATA_TO_MEND)


@app.command()
def withdraw(
    report: Annotated[str, typer.Argument(help="Force whose report is to go; or data-quality.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence for its readers.")],
    output: console.Output = None,
    wait: console.Wait = 60,
) -> None:
    """Take a report away; a page that says so, when and why stays in its place."""
    from analysis.publish import batch, shelf

    with console.plainly():
        project = paths.project()
        place = shelf.at(output or project.reports)
        (name,) = _named_reports([report], project)
        batch.withdraw(project, place, name, reason=reason, wait=wait, say=console.complain)
        console.out.print(f"{name}: withdrawn. {place.shown(f'{name}/report.html')}", markup=False)


def _named_reports(reports: list[str], project: paths.Project) -> list[str]:
    from analysis.publish import record

    forces = vocabulary.forces(project.raw)
    return list(dict.fromkeys(record.report_named(name, forces) for name in reports))


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="Files of a report, or copies of them.")],
    output: console.Output = None,
) -> None:
    """Say of a file that was passed on whether it is as published, a draft, superseded or altered."""
    from analysis.publish import shelf
    from analysis.publish import verify as verifying

    with console.plainly():
        project = paths.project()
        place = shelf.at(output or project.reports)
        slugs = vocabulary.forces(project.raw).slugs
        as_made = (verifying.State.AS_PUBLISHED, verifying.State.DRAFT)
        codes: list[int] = []
        for file in files:
            about = f"{file}: " if len(files) > 1 else ""
            try:
                finding = verifying.verify(file, place, slugs)
            except verifying.UnknownFileError as error:
                console.complain(f"{about}{error}")
                codes.append(console.NOT_POSSIBLE)
                continue
            console.out.print(about, finding.sentence, sep="", markup=False)
            codes.append(0 if finding.state in as_made else console.DATA_TO_MEND)
    if any(codes):
        # what was altered weighs more than what nobody knows
        raise typer.Exit(console.DATA_TO_MEND if console.DATA_TO_MEND in codes else console.NOT_POSSIBLE)


@app.command()
def notebooks() -> None:
    """Run the committed notebooks again and store them as run; then review what changed."""
    from analysis.publish import batch, runner

    with console.plainly():
        project = paths.project()
        batch.prepare(project)
        try:
            for notebook in batch.run_notebooks(project):
                console.out.print(notebook.relative_to(project.root))
        except runner.RunError as error:
            console.complain(str(error))
            raise typer.Exit(console.DATA_TO_MEND) from error


@app.command()
def dictionary() -> None:
    """Write docs/data-dictionary.md and docs/run-record.schema.json from what the code declares."""
    from analysis.compare.shares import Figure
    from analysis.evidence import cleaning
    from analysis.evidence import dictionary as described
    from analysis.publish import record

    with console.plainly():
        project = paths.project()
        text = described.page(project.raw, [*cleaning.SCHEMAS.values(), Figure])
        (project.docs / "data-dictionary.md").write_text(text, encoding="utf-8")
        (project.docs / "run-record.schema.json").write_text(record.schema(), encoding="utf-8")
        console.out.print("docs/data-dictionary.md, docs/run-record.schema.json")
