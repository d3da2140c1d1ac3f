"""The `casegrade` command: a thin face over the modules below it.

Exit codes: 0 done; 1 raw data to mend, or a report that failed; 2 asked for something that does
not exist.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from analysis import paths, vocabulary

DATA_TO_MEND, NOT_POSSIBLE = 1, 2

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Graded child-protection case audits in, honest before/after reports per police force out.",
)
_out = Console(soft_wrap=True, highlight=False, emoji=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def main() -> None:
    """Run the command line."""
    app(prog_name="casegrade")


@app.callback()
def _project(
    project: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the casegrade project; by default the working directory's or the checkout."
        ),
    ] = None,
) -> None:
    if project is not None:
        os.environ[paths.VARIABLE] = str(project)


@contextmanager
def _plainly() -> Iterator[None]:
    """Tell expected errors in one sentence each, and leave with their exit code."""
    from analysis.compare.graded import SelectionError
    from analysis.evidence.faults import EvidenceError
    from analysis.publish.parameters import ParameterError

    try:
        yield
    except EvidenceError as error:
        _complain(str(error))
        raise typer.Exit(DATA_TO_MEND) from error
    except vocabulary.ForcesError as error:
        _complain(str(error))
        raise typer.Exit(DATA_TO_MEND) from error
    except (ParameterError, SelectionError, vocabulary.VocabularyError, paths.ProjectNotFoundError) as error:
        _complain(str(error))
        raise typer.Exit(NOT_POSSIBLE) from error


def _complain(message: str) -> None:
    # text from raw files is shown as it is: neither read as rich's markup nor let steer the terminal
    shown = "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in message
    )
    _err.print(shown, markup=False)


def _note_changes(raw: Path) -> None:
    from analysis.evidence import sources

    names = sources.changed(raw)
    if names:
        _complain(
            f"Note: changed since datapackage.json recorded it: {', '.join(names)}. "
            "If that is meant, run `casegrade check --record`."
        )


@app.command()
def clean() -> None:
    """Clean data/raw into data/processed; tell of every row that was refused."""
    from analysis.evidence import cleaning

    with _plainly():
        project = paths.project()
        _note_changes(project.raw)
        evidence = cleaning.clean(project.raw)
        cleaning.write(evidence, project=project)
        n_read = sum(evidence.rows_read.values())
        n_rejected = evidence.rejected.height
        _out.print(
            f"{n_read} rows read, {n_read - n_rejected} accepted, {n_rejected} rejected; "
            f"{evidence.audits.height} audits in data/processed."
        )
        for fault in evidence.faults:
            _complain(fault.sentence)
        if evidence.faults:
            raise typer.Exit(DATA_TO_MEND)


@app.command()
def check(
    record: Annotated[
        bool,
        typer.Option("--record", help="Record the present files' checksums and sizes, if a change is meant."),
    ] = False,
) -> None:
    """Check data/raw against datapackage.json: checksums, columns, types, allowed values."""
    from analysis.evidence import sources

    with _plainly():
        raw = paths.project().raw
        if record:
            changed = sources.record(raw)
            _out.print(f"Recorded: {', '.join(changed)}." if changed else "Nothing has changed.")
        faults = sources.check(raw)
        for fault in faults:
            _complain(fault.sentence)
        if faults:
            raise typer.Exit(DATA_TO_MEND)
        _out.print("data/raw is as datapackage.json describes it.")


@app.command()
def report(
    forces: Annotated[list[str] | None, typer.Argument(help="Forces, by slug or name.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every force.")] = False,
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
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Reports to make at a time; by default one per processor.")
    ] = None,
) -> None:
    """Make the reports of some forces or all, and the index."""
    from analysis.publish import batch
    from analysis.publish.parameters import ParameterError
    from analysis.publish.record import Outcome

    with _plainly():
        project = paths.project()
        named = vocabulary.forces(project.raw)
        if bool(forces) == all_:
            raise ParameterError("Name one or more forces, or give --all: casegrade report warwickshire.")
        slugs = list(dict.fromkeys(named.named(force).slug for force in forces or named.slugs))
        given = _given(parameter or [], baseline=baseline, follow_up=follow_up, confidence=confidence)
        if "force" in given:
            raise ParameterError(f"Name the force itself: casegrade report {given['force']}.")
        if len(slugs) > 1 and {"baseline", "follow_up"} & set(given):
            raise ParameterError("A baseline or follow_up belongs to one force: name that force alone.")
        batch.check_notebook(project, given)
        _note_changes(project.raw)
        evidence = batch.prepare(project)
        values = batch.check_parameters(project, given, slugs, evidence)
        with _progress() as progress:
            task = progress.add_task("Reports", total=len(slugs))

            def tell(result: batch.Result) -> None:
                progress.advance(task)
                if result.outcome is Outcome.FAILED:
                    _complain(f"{result.force}: {result.headline}")

            results = batch.publish_forces(
                evidence,
                project,
                forces=slugs,
                values=values,
                jobs=jobs or os.cpu_count() or 1,
                on_result=tell,
                with_quality=all_,
            )
    _out.print(_summary(results))
    _out.print(f"Index: {(project.reports / 'index.html').relative_to(project.root)}")
    if any(result.outcome is Outcome.FAILED for result in results):
        raise typer.Exit(DATA_TO_MEND)


def _given(pairs: list[str], **named: str | None) -> dict[str, str]:
    from analysis.publish.parameters import ParameterError

    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError(f'"{pair}" is not NAME=VALUE, for example: -p confidence=0.9.')
        given[name] = value
    return given | {name: value for name, value in named.items() if value is not None}


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=_err,
        transient=True,
        disable=not _err.is_terminal,
    )


def _summary(results: list) -> Table:  # type: ignore[type-arg]
    from collections import Counter

    table = Table("Outcome", "Forces")
    for outcome, n in Counter(str(result.outcome) for result in results).most_common():
        table.add_row(outcome, str(n))
    return table


@app.command()
def notebooks() -> None:
    """Run the committed notebooks again and store them as run; then review what changed."""
    from analysis.publish import batch, runner

    with _plainly():
        project = paths.project()
        batch.prepare(project)
        try:
            for notebook in batch.run_notebooks(project):
                _out.print(notebook.relative_to(project.root))
        except runner.RunError as error:
            _complain(str(error))
            raise typer.Exit(DATA_TO_MEND) from error


@app.command()
def dictionary() -> None:
    """Write docs/data-dictionary.md from datapackage.json and the schemas of the tables."""
    from analysis.compare.shares import Figure
    from analysis.evidence import cleaning
    from analysis.evidence import dictionary as described

    with _plainly():
        project = paths.project()
        text = described.page(project.raw, [*cleaning.SCHEMAS.values(), Figure])
        (project.docs / "data-dictionary.md").write_text(text, encoding="utf-8")
        _out.print("docs/data-dictionary.md")
