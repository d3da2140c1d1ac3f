"""The commands `casegrade schedule …` and `casegrade clean-runs`."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis import console, paths, vocabulary

if TYPE_CHECKING:
    from analysis.publish.shelf import Shelf
    from analysis.schedule.credentials import Credentials
    from analysis.schedule.due import Standing
    from analysis.schedule.outbox import Telling
    from analysis.schedule.rota import Rota
    from analysis.schedule.runs import Run

app = typer.Typer(no_args_is_help=True, help="Reports when they are due: schedule.toml says which and when.")

_File = Annotated[
    # what cannot be read is told in the same way as what it says
    Path | None, typer.Option(readable=False, help="The schedule, if not the project's schedule.toml.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_Names = Annotated[
    list[str] | None, typer.Argument(help="Forces, or data-quality; by default all in the schedule.")
]


@app.command("run-due")
def run_due(
    context: typer.Context,
    reports: _Names = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run what has failed for good once more, without waiting.")
    ] = False,
    jobs: console.Jobs = None,
    wait: console.Wait = 0,
    output: console.Output = None,
    schedule: _File = None,
    log_format: console.Log = console.LogFormat.TEXT,
) -> None:
    """Run what is due now, each report once, and tell who is to be told. Call it as often as you like."""
    from analysis.publish import record
    from analysis.schedule import running, shown

    # Kubernetes and Airflow ask a run to end in this way; what has begun is begun again by the next call
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    voice = _voice(log_format)
    with console.plainly(voice.complain):
        project = paths.project()
        place, rota = _place(project, output), _rota(project, schedule)
        names = _slugs(reports or (), project)
        ended = running.run_due(
            project,
            place,
            rota,
            names=names,
            again=again,
            wait=wait,
            make=running.batches(jobs=jobs or os.cpu_count() or 1, say=voice.say),
            telling=_telling(_known(context), project, place, rota),
            tell=voice.tell,
            say=voice.say,
        )
        is_text = log_format is console.LogFormat.TEXT
        # with nothing due and nothing to say, which is most minutes, nobody asks where reports stand now
        is_asked = names or (is_text and not ended)
        found = running.standings(place, rota.chosen(names), record.now()) if is_asked else []
        # whoever asks for a report by name, as Airflow does, is not told that all is well unless it is
        amiss = [one for one in found if names and one.is_amiss]
        if is_text and not amiss:
            console.out.print(shown.summary(ended) if ended else shown.idle(found))
        for one in amiss:
            if not any(run.report == one.entry.name for run in ended):
                voice.complain(f"{one.entry.name} is {one.state}: `casegrade schedule status` says why.")
    if amiss or any(run.end == "failed" for run in ended):
        raise typer.Exit(console.DATA_TO_MEND)


def _place(project: paths.Project, output: str | None) -> "Shelf":
    from analysis.publish import shelf

    return shelf.at(output or project.reports)


def _rota(project: paths.Project, schedule: Path | None) -> "Rota":
    from analysis.schedule import rota

    return rota.read(project, schedule)


def _slugs(reports: Sequence[str], project: paths.Project) -> list[str]:
    from analysis.publish import record

    forces = vocabulary.forces(project.raw)
    return [record.report_named(name, forces) for name in reports]


def _telling(known: "Credentials", project: paths.Project, place: "Shelf", rota: "Rota") -> "Telling | None":
    from analysis.publish import record
    from analysis.schedule.outbox import Telling

    def named(name: str) -> str:
        if name == record.QUALITY:
            return "The page on data quality"
        try:
            return vocabulary.forces(project.raw).named(name).full_name
        except vocabulary.VocabularyError:
            # it has gone from the list since; whoever waits for other news is told that all the same
            return name

    if rota.notify.mail is None and rota.notify.webhook is None:
        return None
    return Telling(rota.notify, known, named, place.shown)


def _known(context: typer.Context) -> "Credentials":
    """The secrets that the command was begun with, and keeps from whatever it starts."""
    from analysis.schedule import credentials

    return credentials.take(context.obj)


@dataclass(frozen=True)
class _Voice:
    """How a command tells of runs: to people, or to programs."""

    say: Callable[[str], None]
    complain: Callable[[str], None]
    tell: Callable[["Run"], None]


def _voice(log_format: console.LogFormat) -> _Voice:
    if log_format is console.LogFormat.JSON:
        return _Voice(
            lambda message: console.event("message", message=message), console.complain_in_json, _tell_in_json
        )
    return _Voice(console.complain, console.complain, _tell)


def _tell(run: "Run") -> None:
    from analysis.schedule import shown

    console.complain(shown.sentence(run, datetime.now(UTC)))


def _tell_in_json(run: "Run") -> None:
    fields = run.model_dump(mode="json", exclude={"end"})
    console.event("begun" if run.end == "begun" else "ended", end=str(run.end), **fields)


@app.command("next")
def next_(
    reports: _Names = None,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many moments to show.")] = 10,
    output: console.Output = None,
    schedule: _File = None,
    as_json: _Json = False,
) -> None:
    """Show the coming runs: what is due now, and at the next moments."""
    from analysis.schedule import coming, running, shown

    with console.plainly():
        project = paths.project()
        place, rota = _place(project, output), _rota(project, schedule)
        entries = rota.chosen(_slugs(reports or (), project))
        for entry in entries:
            # before a run at night does
            running.checked(project, [entry.name], entry.parameters)
        now = datetime.now(UTC)
        found = coming.following(running.standings(place, entries, now), now, most=count)
        if as_json:
            typer.echo(
                json.dumps(
                    [
                        {"when": one.when.isoformat(), "reports": one.reports, "note": one.note}
                        for one in found
                    ]
                )
            )
            return
        console.show(shown.coming(found, now, n_all=len(entries)))


@app.command()
def status(
    reports: _Names = None, output: console.Output = None, schedule: _File = None, as_json: _Json = False
) -> None:
    """Show the last run of each report: how it ended, how long ago, and why."""
    from analysis.schedule import running, shown

    with console.plainly():
        project = paths.project()
        place, rota = _place(project, output), _rota(project, schedule)
        now = datetime.now(UTC)
        found = running.standings(place, rota.chosen(_slugs(reports or (), project)), now)
        if as_json:
            typer.echo(json.dumps([_as_json(one) for one in found]))
            return
        table, reasons = shown.status(found)
        console.show(table)
        for reason in reasons:
            console.out.print(reason, markup=False)


@app.command()
def serve(
    context: typer.Context,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, help="Port that tells how it is, on this machine only; 0 for any that is free."
        ),
    ] = 8643,
    heart_beat: Annotated[
        Path | None,
        typer.Option(help="File that shows that it is alive, if not a hidden one in reports/runs/."),
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, max=86_400, help="Seconds from one look at the schedule to the next.")
    ] = 60,
    jobs: console.Jobs = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that a run in hand may still take when it is to stop.")
    ] = 60,
    output: console.Output = None,
    schedule: _File = None,
    log_format: console.Log = console.LogFormat.TEXT,
) -> None:
    """Stay, and run what is due when it is: for machines without a scheduler of their own."""
    from analysis.schedule import health, serving, shown
    from analysis.schedule.rota import LONDON

    voice = _voice(log_format)
    with console.plainly(voice.complain):
        project = paths.project()
        place, known = _place(project, output), _known(context)

        def begun(what: serving.Begun) -> None:
            name = str(schedule or "schedule.toml")
            if log_format is console.LogFormat.JSON:
                coming = None if what.coming is None else what.coming.isoformat()
                console.event(
                    "serving",
                    schedule=name,
                    reports=what.n_reports,
                    every=every,
                    coming=coming,
                    health=what.health,
                    heart_beat=str(what.heart_beat),
                )
                return
            reports = f"{what.n_reports} {'report' if what.n_reports == 1 else 'reports'}"
            coming = "never" if what.coming is None else shown.local(what.coming, LONDON, datetime.now(UTC))
            voice.say(f"{reports} in {name}, looked at every {every} seconds; the next is due: {coming}.")
            voice.say(f"How it is: {what.health}, and in {what.heart_beat}.")

        is_done = serving.serve(
            project,
            place,
            serving.Terms(
                port, heart_beat or health.heart_beat(project), every, grace, jobs or os.cpu_count() or 1
            ),
            read=lambda: _rota(project, schedule),
            telling=lambda rota: _telling(known, project, place, rota),
            saying=serving.Saying(begun, voice.tell, voice.say, voice.complain),
        )
    if not is_done:
        # Python would wait for the run
        os._exit(console.INTERRUPTED)


@app.command()
def export(
    kind: Annotated[
        str, typer.Argument(help="cron, systemd, windows, kubernetes, github-actions or airflow.")
    ],
    home: Annotated[
        str | None,
        typer.Option(help="Folder of the project on the machine that runs it; by default this one's."),
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="The casegrade command there; by default that of .venv in the folder.")
    ] = None,
    user: Annotated[str, typer.Option(help="User that systemd runs it as.")] = "casegrade",
    image: Annotated[str | None, typer.Option(help="Image that Kubernetes runs.")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder to write to, if not the project's deploy/.")] = None,
    output: console.Output = None,
    schedule: _File = None,
) -> None:
    """Write what cron, systemd, Windows, Kubernetes, GitHub or Airflow need to call `run-due`, into deploy/."""
    from analysis.schedule import exports

    with console.plainly():
        project = paths.project()
        setup = exports.Setup(
            home=home,
            command=command,
            user=user,
            schedule=None if schedule is None else str(schedule),
            output=output,
        )
        if image is not None:
            setup = replace(setup, image=image)
        rota, setup = _rota(project, schedule), exports.settled(kind, setup, project.root)
        for path in exports.write(to or project.root / "deploy", exports.files(kind, rota, setup)):
            console.out.print(str(path), markup=False)


def _as_json(one: "Standing") -> dict[str, object]:
    last = one.last
    return {
        "report": one.entry.name,
        "state": str(one.state),
        "due": None if one.due is None else one.due.isoformat(),
        "next": None if one.coming is None else one.coming.isoformat(),
        "held": one.held,
        "last": None if last is None else last.model_dump(mode="json"),
        "age_seconds": None if one.age is None else one.age.total_seconds(),
    }


def clean_runs(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")
    ] = False,
    runs_kept: Annotated[
        int | None,
        typer.Option(
            "--runs", min=1, max=1_000_000, help="Keep the last so many of each, whatever the schedule says."
        ),
    ] = None,
    days_kept: Annotated[
        int | None,
        typer.Option(
            "--days", min=1, max=36_500, help="Keep those of so many days, whatever the schedule says."
        ),
    ] = None,
    wait: console.Wait = 60,
    output: console.Output = None,
    schedule: _File = None,
) -> None:
    """Remove past runs that need not be kept; never those whose report was published."""
    from analysis.schedule import rota as schedules
    from analysis.schedule import runs

    with console.plainly():
        project = paths.project()
        place = _place(project, output)
        given = None
        if runs_kept is not None or days_kept is not None:
            given = schedules.Retention(runs=runs_kept, days=days_kept)
        # with limits of its own it does without a schedule, which need not be there
        entries = _rota(project, schedule).entries if given is None else ()
        known = {entry.name: entry.retention for entry in entries}
        # a report can be published while this waits for the lock, and then its run stays
        locked = nullcontext() if dry_run else place.locked(wait=wait, tell=console.complain)
        found = []
        with locked:
            for report in runs.reports(place):
                retention = given or known.get(report, schedules.RETENTION)
                gone = runs.expired if dry_run else runs.clear
                found += gone(place, report, retention, datetime.now(UTC))
        for run in found:
            console.out.print(f"{run.report}/{run.run_id}: {run.end}", markup=False)
        done = "would be removed" if dry_run else "removed"
        console.out.print(f"{len(found)} {'run' if len(found) == 1 else 'runs'} {done}.")
