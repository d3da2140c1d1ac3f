"""Make one report: from a job to the files of a report, in whatever process or on whatever machine."""

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import polars as pl

from analysis import paths, storage
from analysis.compare import change
from analysis.compare.change import Comparison, NoAudit, SingleAudit
from analysis.compare.graded import GradedAudit
from analysis.compare.shares import CONFIDENCE
from analysis.present import charts, message, pictures, sections, wording
from analysis.publish import formats, gate, interactive, page, pdf, record, revisions, runner
from analysis.publish.job import Job, Made, failed, plain
from analysis.publish.record import INTERACTIVE, NOTEBOOK, PDF, Outcome, Revision, State

_OVERDUE = "the run's deadline had passed"
# tables of the evidence that a report quotes
_QUOTED = ("audits", "statements", "corrections", "findings", "known_inspections")
_COMPARISON_ONLY, _SINGLE_ONLY = "comparison-only", "single-only"
# What is in memory here, whatever becomes of the files meanwhile.
_CODE = record.code_hash()


def make(job: Job, /) -> Made:
    """Make a report. Whatever goes wrong is told in what is returned: nothing is raised."""
    started, clock = record.now(), time.monotonic()
    limit, overdue = _time_left(job)
    if limit is not None and limit <= 0:
        return failed(job, f"it was not begun: {_OVERDUE}", started=started)
    if job.code != _CODE:
        return failed(
            job,
            "it was not begun: the worker has other code of casegrade in memory than the one that asks; "
            "install the same version in both and start the worker again",
            started=started,
        )
    run = runner.Run()
    examined: Comparison | SingleAudit | NoAudit | None = None
    headline, about, problem = "", "", None
    moved: list[Revision] = []
    folder = storage.scratch("job")
    try:
        project, made = paths.Project(folder.resolve() / "project"), folder / "made"
        made.mkdir()
        try:
            with paths.using(project):
                _lay_out(job, project)
                examined = _examined(job, project)
                headline = _description(job, examined)
                about = "" if examined is None else wording.compared(examined)
                moved = _build(job, examined, project, made, run, limit, overdue)
        except (runner.RunError, page.PageError, gate.GateError, pdf.PdfError) as error:
            problem = plain(str(error))
        except Exception as error:  # whatever it is, it must not stop the other reports
            problem = plain(f"{type(error).__name__}: {error}")
        kept = [made / NOTEBOOK] if problem is not None else sorted(made.iterdir())
        files = {path.name: path.read_bytes() for path in kept if path.is_file()}
    finally:
        # a kernel's last files may still be written meanwhile
        shutil.rmtree(folder, ignore_errors=True)
    elsewhere = sum(seconds for step, seconds in run.seconds.items() if step != "files")
    run.seconds["files"] = max(0.0, time.monotonic() - clock - elsewhere)
    return Made(
        name=job.name,
        outcome=_outcome(examined, job) if problem is None else Outcome.FAILED,
        headline=headline if problem is None else problem,
        about=about,
        compared=tuple(audit.inspection_id for audit in _audits(examined)),
        files=files,
        started=started,
        finished=record.now(),
        seconds={name: round(seconds, 3) for name, seconds in run.seconds.items()},
        kernel=run.kernel,
        attempts=run.attempts,
        sign_off=job.sign_off,
        revisions=tuple(moved),
    )


def _time_left(job: Job) -> tuple[float | None, str | None]:
    """The seconds that a job may take, and what to say if they are over because the run's are; null for none."""
    left = None if job.until is None else job.until - time.time()
    if left is not None and (job.limit is None or left < job.limit):
        return left, f"it was stopped: {_OVERDUE}"
    return job.limit, None


def _lay_out(job: Job, project: paths.Project) -> None:
    for name, content in job.files.items():
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _examined(job: Job, project: paths.Project) -> Comparison | SingleAudit | NoAudit | None:
    force = job.parameters.get("force")
    if force is None:
        return None
    audits = pl.read_parquet(project.processed / "audits.parquet")
    return change.examine(
        audits,
        force=force,
        baseline=job.parameters.get("baseline") or None,
        follow_up=job.parameters.get("follow_up") or None,
        confidence=job.parameters.get("confidence", CONFIDENCE),
    )


def _build(
    job: Job,
    examined: Comparison | SingleAudit | NoAudit | None,
    project: paths.Project,
    made: Path,
    run: runner.Run,
    limit: float | None,
    overdue: str | None,
) -> list[Revision]:
    """Fill the folder `made`; returns the figures that moved."""
    if job.executed is not None:
        (made / NOTEBOOK).write_bytes(job.executed)
        executed = nbformat.reads(job.executed.decode(), as_version=4)
    else:
        executed = runner.execute(
            project.root / job.notebook,
            output=made / NOTEBOOK,
            parameters=job.parameters,
            project=project,
            limit=limit,
            overdue=overdue,
            run=run,
        )
    status = wording.version(signed=job.signed, as_of=job.words.as_of, data_version=job.words.data_version)
    figures = None
    names = _QUOTED if isinstance(examined, Comparison | SingleAudit) else ()
    quoted = {name: pl.read_parquet(project.processed / f"{name}.parquet") for name in names}
    publishers: list[str] = []
    if isinstance(examined, Comparison | SingleAudit):
        publishers = sections.publishers(_audits(examined), quoted["statements"])
        formats.write_csv(examined, made / formats.CSV)
        formats.write_xlsx(
            examined,
            made / "figures.xlsx",
            licence=job.words.licence,
            as_of=job.words.as_of,
            status=status,
            publishers=publishers,
        )
        formats.write_csvw(
            examined,
            made / "figures.csv-metadata.json",
            described=made / formats.CSV,
            licence=job.words.licence,
            as_of=job.words.as_of,
        )
        figures = (made / formats.CSV).read_bytes()
    clock = time.monotonic()
    moved = _moved(job, figures)
    known = revisions.together([*moved, *job.history.past], job.history.withdrawn)
    told = tuple(revisions.sentence(one) for one in known[: revisions.SHOWN])
    text = page.PageText(
        title=job.words.title or wording.title(_known(examined)),
        description=_description(job, examined),
        index=job.words.index,
        footer=job.words.footer,
        name=job.name,
        status=status,
        is_draft=job.signed is None,
        changes=None if figures is None else told,
    )
    hidden = _SINGLE_ONLY if isinstance(examined, Comparison) else _COMPARISON_ONLY
    rendered = page.render(executed, text, without_tags=[hidden])
    subject = _subject(job, examined, quoted.values(), figures, told)
    if INTERACTIVE in job.formats and (specifications := _specifications(examined, executed)):
        rendered = interactive.upgraded(rendered, specifications)
        subject = replace(
            subject, is_interactive=True, scripts=interactive.scripts(), largest=interactive.LARGEST
        )
    gate.check(rendered, subject)
    (made / record.PAGE).write_text(rendered, encoding="utf-8")
    if isinstance(examined, Comparison | SingleAudit):
        words = message.text(examined, status=text.status, is_draft=text.is_draft, publishers=publishers)
        (made / "summary.txt").write_text(words, encoding="utf-8")
        formats.write_png(
            examined,
            made / "summary.png",
            drawing=pictures.found(executed, charts.GRADES),
            status=text.status,
            is_draft=text.is_draft,
            publishers=publishers,
        )
    if PDF in job.formats:
        (made / record.PDF_FILE).write_bytes(pdf.render(rendered, is_draft=job.signed is None))
    run.seconds["page"] = time.monotonic() - clock
    return moved


def _specifications(
    examined: Comparison | SingleAudit | NoAudit | None, executed: nbformat.NotebookNode
) -> dict[str, Any]:
    """The charts that the page shows, by the name of their figure."""
    if not isinstance(examined, Comparison | SingleAudit):
        return {}
    drawn: dict[str, Any] = {charts.GRADES: charts.before_after}
    if isinstance(examined, Comparison):
        drawn[charts.CHANGES] = charts.changes
    return {
        name: charts.picture(make(examined), name=name).specification
        for name, make in drawn.items()
        if pictures.found(executed, name) is not None
    }


def _moved(job: Job, figures: bytes | None) -> list[Revision]:
    return revisions.between(
        job.history.figures,
        figures,
        date=record.now() if job.sign_off is None else job.sign_off.signed,
        reason=job.history.reason,
        version=State.DRAFT if job.sign_off is None else State.PUBLISHED,
        # whoever puts the report in its place knows it
        run_id="",
    )


def _subject(
    job: Job,
    examined: Comparison | SingleAudit | NoAudit | None,
    quoted: Iterable[pl.DataFrame],
    figures: bytes | None,
    changes: Sequence[str],
) -> gate.Subject:
    """What the page is held against: the figures as their file has them, and what the sources print."""
    if examined is None or figures is None:
        return job.subject
    printed = set(gate.numbers_in(" ".join(changes)))
    for table in quoted:
        # digits of an address are no figures
        texts = table.drop("url", strict=False)
        printed.update(*(gate.numbers_in(str(cell)) for row in texts.rows() for cell in row))
    dates = [audit.fieldwork or audit.published for audit in (*_audits(examined), *_others(examined))]
    return replace(
        job.subject,
        figures=figures,
        quoted=frozenset(printed),
        years=frozenset(date[:4] for date in dates if date),
        confidence=examined.confidence,
    )


def _known(examined: Comparison | SingleAudit | NoAudit | None) -> Comparison | SingleAudit | NoAudit:
    if examined is None:
        raise ValueError("a report that is about no force needs a title of its own")
    return examined


def _description(job: Job, examined: Comparison | SingleAudit | NoAudit | None) -> str:
    return job.words.description or wording.headline(_known(examined))


def _outcome(examined: Comparison | SingleAudit | NoAudit | None, job: Job) -> Outcome:
    if isinstance(examined, SingleAudit):
        return Outcome.ONE_AUDIT
    if isinstance(examined, NoAudit):
        return Outcome.NO_AUDITS
    return Outcome.DRAFT if job.sign_off is None else Outcome.PUBLISHED


def _others(examined: Comparison | SingleAudit | NoAudit | None) -> tuple[GradedAudit, ...]:
    return examined.others if isinstance(examined, Comparison | SingleAudit) else ()


def _audits(examined: Comparison | SingleAudit | NoAudit | None) -> tuple[GradedAudit, ...]:
    if isinstance(examined, Comparison):
        return (examined.baseline, examined.follow_up)
    return (examined.audit,) if isinstance(examined, SingleAudit) else ()
