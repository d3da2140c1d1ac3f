"""Reports for one force or all: planned, made side by side, each put in its place whole; a failure stops no other."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from analysis import paths, storage, vocabulary
from analysis.compare.change import NoAudit
from analysis.compare.graded import SelectionError
from analysis.evidence import cleaning, sources
from analysis.evidence.cleaning import Evidence, Excerpts
from analysis.evidence.faults import EvidenceError, Fault
from analysis.present import plainly, wording
from analysis.publish import (
    cluster,
    formats,
    parameters,
    pdf,
    plan,
    pool,
    record,
    restricted,
    revisions,
    shelf,
    site,
    warm,
)
from analysis.publish.gate import GateError, Subject
from analysis.publish.job import Job, Made, Words, failed
from analysis.publish.plan import Step
from analysis.publish.record import (
    PDF,
    Earlier,
    Outcome,
    Revision,
    RunRecord,
    SignOff,
    SignOffError,
    State,
    Withdrawal,
)
from analysis.publish.restricted import Restricted, RestrictedError
from analysis.publish.revisions import History
from analysis.publish.shelf import Shelf, ShelfError

WITHDRAWN_FIGURES = "figures-withdrawn.csv"
QUALITY_TITLE = "Data quality: what was read, corrected, refused and in conflict"
# What a worker may still need when its time is up: to kill a kernel and to send back what there is.
GRACE = 20.0
_LONGEST_REVIEWER, _LONGEST_REASON = 200, 500
# Seconds until a run sees that it is to stop.
_STEP = 0.5


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds: one report, and the whole run. Null for as long as it takes."""

    report: float | None = 300.0
    run: float | None = None


@dataclass(frozen=True)
class Asked:
    """What a run is to make.

    Attributes:
        forces: slugs.
        values: checked parameters for the notebook, apart from `force`.
        with_quality: whether to make the page on data quality too.
        rebuild: make every report again, whatever is there.
        formats: what each is to have besides the usual: `record.PDF`, `record.INTERACTIVE`.
        publish: whether reports are published without anybody having read them; else they are drafts.
    """

    forces: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    with_quality: bool = False
    rebuild: bool = False
    formats: frozenset[str] = frozenset()
    publish: bool = False


@dataclass(frozen=True)
class Result:
    """How one report ended.

    Attributes:
        name: slug of the force, or `data-quality`.
        outcome: how it ended.
        headline: in one sentence what it says or why it failed.
        is_new: whether it was made now; else it was as it would be made, or there is nothing to report on.
        reasons: why it was made, in words.
        record: the record of the run; null if there is nothing to report on.
    """

    name: str
    outcome: Outcome
    headline: str
    is_new: bool
    reasons: tuple[str, ...] = ()
    record: RunRecord | None = None


def prepare(project: paths.Project, /) -> Evidence:
    """The cleaned tables; cleaned and written anew if the raw files or the rules changed.

    Raises:
        EvidenceError: if a file as a whole is unusable, or rows were refused and need mending.
            Then nothing is written.
    """
    return _written(_cleaned(project), project)


def _written(evidence: Evidence, project: paths.Project) -> Evidence:
    """The tables as they are in `data/processed` after this: the given ones, unless the raw files changed since."""
    if (stored := cleaning.current(project)) is not None:
        return stored
    if evidence.inputs != cleaning.fingerprints(project.raw):
        evidence = _cleaned(project)
    cleaning.write(evidence, project=project)
    return evidence


def _cleaned(project: paths.Project) -> Evidence:
    evidence = cleaning.current(project) or cleaning.clean(project.raw)
    if evidence.faults:
        raise EvidenceError(evidence.faults)
    return evidence


def check_notebook(project: paths.Project, given: Mapping[str, Any], /) -> dict[str, Any]:
    """Parameters in the types that the report's notebook declares: see `parameters.checked`."""
    return parameters.checked(project.notebooks / plan.FORCE_NOTEBOOK, given)


def planned(evidence: Evidence, project: paths.Project, place: Shelf, asked: Asked, /) -> list[Step]:
    """What a run has to do: see `plan.steps`.

    Raises:
        ParameterError: if an audit asked for is not one of the force.
    """
    shared = plan.around(project, words=footer(project))
    try:
        return plan.steps(
            evidence,
            project,
            place,
            forces=asked.forces,
            values=asked.values,
            shared=shared,
            with_quality=asked.with_quality,
            rebuild=asked.rebuild,
            formats=asked.formats,
            publish=asked.publish,
        )
    except SelectionError as error:
        raise parameters.ParameterError(str(error)) from error


def dry_run(project: paths.Project, place: Shelf, asked: Asked, /) -> list[Step]:
    """What `run` would do now; nothing is made and nothing written.

    Raises:
        EvidenceError, ParameterError: as `run`.
    """
    return planned(_cleaned(project), project, place, asked)


def run(
    project: paths.Project,
    place: Shelf,
    asked: Asked,
    /,
    *,
    jobs: int = 1,
    cluster_address: str | None = None,
    limits: Limits = Limits(),
    wait: float = 0.0,
    tell: Callable[[Result], None] = lambda result: None,
    say: Callable[[str], None] = lambda message: None,
) -> list[Result]:
    """Clean what changed, make the reports that are out of date and the index; write nothing else.

    Args:
        project: where raw files and notebooks are.
        place: where the reports go.
        asked: what to make.
        jobs: how many reports to make at a time on this machine.
        cluster_address: of the Dask cluster to make them on instead (`cluster.connected`).
        limits: how long a report and the run may take.
        wait: seconds to wait for another run that is writing.
        tell: called after each report, in order of completion.
        say: is told what else there is to know.

    Returns:
        One result per report, in the order asked for.

    Raises:
        EvidenceError: if the raw files cannot be cleaned; nothing is made then.
        ParameterError: if an audit asked for is not one of the force, or the notebook declares no parameters.
        LockedError: if another run is still writing.
        ClusterError: if the cluster cannot be used.
        PdfError: if PDF files are asked for and cannot be made here.
    """
    if asked.publish:
        _refuse_unrecorded(project)
    if PDF in asked.formats:
        # before anything is made without it
        pdf.make_ready()
    limit = None if limits.report is None else limits.report + GRACE
    workers = pool.WorkerPool(jobs, limit=limit)
    with contextlib.ExitStack() as stack:
        # an error is told at once, without waiting for workers that are still starting
        stack.push(lambda kind, *_: workers.shutdown(wait=kind is None, cancel_futures=kind is not None))
        if cluster_address is None and (asked.rebuild or cleaning.is_stale(project)):
            # they get ready while this process cleans and plans
            workers.start()
        evidence = _cleaned(project)
        steps = planned(evidence, project, place, asked)
        if not any(step.is_due for step in steps) and not _is_outdated(evidence, project, place):
            place.tidy()
            cleaning.tidy(project)
            for result in (found := [_kept(step, project) for step in steps]):
                tell(result)
            return found
        if any(step.is_due and step.force is not None and not step.is_proven for step in steps):
            check_notebook(project, {})
        stack.enter_context(place.locked(wait=wait, tell=say))
        if asked.publish:
            # they may have changed while this run waited
            _refuse_unrecorded(project)
        # another run may have changed or made some of it meanwhile
        evidence = _written(evidence, project)
        steps = planned(evidence, project, place, asked)
        if any(step.is_due for step in steps):
            # what runs that were killed could not remove
            storage.sweep()
            if cluster_address is None and warm.idle() is None:
                say(
                    "No warm kernels on this machine, or they are switched off: kernels start as usual, slower."
                )
        executor: Executor = workers
        width = jobs
        if cluster_address is not None and any(step.is_due for step in steps):
            executor, width = stack.enter_context(cluster.connected(cluster_address))
        return publish(
            steps, evidence, project, place, executor, asked=asked, width=width, limits=limits, tell=tell
        )


def _is_outdated(evidence: Evidence, project: paths.Project, place: Shelf) -> bool:
    """Whether the cleaned tables or the index would be written, though no report would."""
    if cleaning.is_stale(project):
        return True
    pages = site.pages(evidence, project, place, footer=footer(project))
    return any(place.read(name) != text.encode() for name, text in pages.items())


def publish(
    steps: Sequence[Step],
    evidence: Evidence,
    project: paths.Project,
    place: Shelf,
    executor: Executor,
    /,
    *,
    asked: Asked,
    width: int = 1,
    limits: Limits = Limits(),
    tell: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Make what is due, several reports at a time, and then the index.

    A report that fails leaves the earlier one in its place; its notebook is kept under
    `<force>/failed/`. Whoever calls holds the lock of `place`.

    Args:
        steps: from `planned`.
        evidence: the tables that they were planned from.
        project: where notebooks and raw files are.
        place: where the reports go.
        executor: whatever makes them; only `submit` and `shutdown` are used.
        asked: what the steps were planned for.
        width: how many it makes at a time.
        limits: how long a report and the run may take.
        tell: called after each report, in order of completion.

    Returns:
        One result per step, in the order of `steps`.
    """
    done: dict[str, Result] = {}

    def settle(result: Result) -> None:
        done[result.name] = result
        tell(result)

    _list_revisions(project, place)
    due = {step.name: step for step in steps if step.is_due}
    for step in steps:
        if not step.is_due:
            settle(_kept(step, project))
    if due:
        jobs = _jobs(list(due.values()), evidence, project, place, asked, limits)
        for made in _all_made(jobs, executor, width, limits):
            settle(_placed(due[made.name], made, project, place, evidence.inputs))
    _write_site(evidence, project, place)
    return [done[step.name] for step in steps]


def _kept(step: Step, project: paths.Project) -> Result:
    """The result of a step that is not due: the report stays, or there is nothing to report on."""
    if step.problem is not None:
        # a report that readers have does not go without being told to
        return Result(step.name, Outcome.FAILED, wording.capitalised(f"{step.problem}."), is_new=False)
    if step.known is not None:
        return Result(step.name, step.known.outcome, step.known.headline, False, (), step.known)
    with paths.using(project):
        nothing = wording.headline(NoAudit(str(step.force)))
    return Result(step.name, Outcome.NO_AUDITS, nothing, is_new=False)


def _jobs(
    due: Sequence[Step],
    evidence: Evidence,
    project: paths.Project,
    place: Shelf,
    asked: Asked,
    limits: Limits,
    sign_off: SignOff | None = None,
) -> Iterator[Job]:
    until = None if limits.run is None else time.time() + limits.run
    excerpts = Excerpts(evidence)
    named = vocabulary.forces(project.raw)
    past = _past(place)
    held = restricted.read(project.restricted, public=named.names)
    if asked.publish:
        sign_off = SignOff(reviewer=None, signed=record.now(), draft={})
    notebooks = cache(lambda name: _content(project.notebooks / name))
    package = sources.datapackage(project.raw)
    of_a_force = Words(
        footer(project), licence(project), f"../{site.INDEX}", package.created.date(), package.version
    )
    of_the_data = replace(
        of_a_force,
        title=QUALITY_TITLE,
        description="How the published statements behind the reports were read and settled",
    )
    # what is about all forces takes longest, and would be waited for at the end
    for step in sorted(due, key=lambda step: step.force is not None):
        if step.force is None:
            files = cleaning.packed(evidence, named)
        else:
            files = cleaning.packed(excerpts.of(step.force), [named.named(step.force)])
        signed = sign_off if step.may_publish or not asked.publish else None
        placed = shelf.recorded(place, step.name)
        path, notebook = f"notebooks/{step.notebook}", notebooks(step.notebook)
        yield Job(
            name=step.name,
            notebook=path,
            parameters=step.parameters,
            # without it the report fails, and says so
            files={**files, path: notebook} if notebook is not None else files,
            words=replace(
                of_the_data if step.force is None else of_a_force,
                index=_index_from(placed, is_draft=signed is None),
            ),
            code=step.depends_on[plan.CODE],
            limit=limits.report,
            until=until,
            subject=_subject(step.force, named, held),
            formats=step.formats,
            sign_off=signed,
            history=_history(
                step, place, placed, evidence.inputs, past.get(step.name, ()), is_final=signed is not None
            ),
        )


def _history(
    step: Step,
    place: Shelf,
    placed: RunRecord | None,
    inputs: Mapping[str, str],
    past: Sequence[Revision],
    *,
    is_final: bool,
) -> History:
    """What the new version is held against: the last that was published; if there is none, the draft before.

    So a draft lists what its readers will be told once it is published. A first one that is published, which
    is then `is_final`, has no history: what drafts said on the way is no concern of its readers.
    """
    withdrawn = () if placed is None else tuple(revisions.withdrawals(placed))
    if placed is not None and _is_final(placed):
        earlier, folder = placed, step.name
        past = [one for one in past if one.version == State.PUBLISHED]
    elif not is_final and (latest := shelf.latest(place, step.name)) is not None:
        folder, earlier = latest
    else:
        return History(withdrawn=withdrawn)
    # a draft that is signed was made from what its record says
    why = revisions.reason(earlier, inputs if step.known is None else step.known.inputs, step.depends_on)
    figures = WITHDRAWN_FIGURES if earlier.state is State.WITHDRAWN else formats.CSV
    return History(shelf.unaltered(place, folder, figures, earlier), why, tuple(past), withdrawn)


def _index_from(placed: RunRecord | None, *, is_draft: bool) -> str:
    """The way from a report's page to the index: a draft beside what is published lies one folder deeper."""
    is_beside = is_draft and _is_final(placed)
    return f"../../{site.INDEX}" if is_beside else f"../{site.INDEX}"


def _subject(force: str | None, named: vocabulary.Forces, held: Restricted) -> Subject:
    """What a page is held against: it says nothing of another force than its own, nor what is restricted."""
    if force is None:
        return Subject(columns=held.columns, values=held.values)
    mine = named.named(force)
    others = [name for other in named if other is not mine for name in (*other.names, other.ons_code)]
    return Subject(
        own=(*mine.names, mine.ons_code),
        others=tuple(others),
        columns=held.columns,
        values=held.values,
    )


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _make(job: Job) -> Made:
    # loaded by whoever makes reports: the process that has them made does without
    from analysis.publish import making

    return making.make(job)


def _all_made(jobs: Iterator[Job], executor: Executor, width: int, limits: Limits) -> Iterator[Made]:
    """What becomes of each job, in order of completion; never more of them in hand than are needed."""
    deadline = float("inf") if limits.run is None else time.monotonic() + limits.run + GRACE
    in_hand: dict[Future[Made], Job] = {}
    try:
        while True:
            while len(in_hand) < width * 2 and (job := next(jobs, None)) is not None:
                in_hand[executor.submit(_make, job)] = job
            if not in_hand:
                return
            left = max(0.0, deadline - time.monotonic())
            # in short steps: Polars has the system take up a long wait again that the user interrupts
            finished, _ = wait(in_hand, timeout=min(left, _STEP), return_when=FIRST_COMPLETED)
            for future in finished:
                yield _outcome(in_hand.pop(future), future)
            if not finished and not left:
                executor.shutdown(wait=False, cancel_futures=True)
                for job in [*in_hand.values(), *jobs]:
                    yield failed(job, f"the run was to take no longer than {limits.run:g} seconds")
                return
    except BaseException:
        # nobody waits for the rest any more
        executor.shutdown(wait=False, cancel_futures=True)
        raise


def _outcome(job: Job, future: Future[Made]) -> Made:
    try:
        return future.result()
    except pool.WorkerError as error:
        return failed(job, str(error))
    except (Exception, CancelledError) as error:
        return failed(job, f"{type(error).__name__}: {error}")


def _past(place: Shelf) -> dict[str, list[Revision]]:
    """The revisions that are known, by report."""
    found: dict[str, list[Revision]] = {}
    for one in revisions.read(place.read(revisions.FILE)):
        found.setdefault(one.force, []).append(one)
    return found


def _placed(
    step: Step, made: Made, project: paths.Project, place: Shelf, inputs: Mapping[str, str]
) -> Result:
    """Put what was made in its place, with its record; a draft beside what is published, which stays."""
    is_failed = made.outcome is Outcome.FAILED
    outputs = {name: record.sha256(content) for name, content in made.files.items()}
    revision, is_dirty = record.revision(project.root)
    notebook = _content(project.notebooks / step.notebook)
    if notebook is not None:
        inputs = {**inputs, step.notebook: record.sha256(notebook)}
    run_id = uuid.uuid4().hex
    written = RunRecord(
        run_id=run_id,
        force=step.name,
        outcome=made.outcome,
        state=State.PUBLISHED if made.sign_off is not None and not is_failed else State.DRAFT,
        sign_off=None if is_failed else made.sign_off,
        formats=tuple(sorted(step.formats)),
        headline=made.headline,
        about=made.about,
        compared=made.compared,
        parameters=dict(step.parameters),
        started=made.started,
        finished=made.finished,
        seconds=dict(made.seconds),
        kernel=made.kernel,
        attempts=made.attempts,
        depends_on=dict(step.depends_on),
        inputs=dict(inputs),
        code_version=record.code_version(),
        revision=revision,
        is_dirty=is_dirty,
        python=record.python_version(),
        packages=dict(record.versions()),
        outputs=outputs,
        moved=_of_run(made.revisions, run_id),
        earlier=() if is_failed else _earlier(place, step.name, outputs),
    )
    files = {**made.files, record.FILE: record.text(written).encode()}
    try:
        if is_failed:
            place.place_beside(step.name, shelf.FAILED_FOLDER, files)
        elif written.state is State.DRAFT and _is_final(shelf.recorded(place, step.name)):
            place.place_beside(step.name, shelf.DRAFT_FOLDER, files)
            place.remove(f"{step.name}/{shelf.FAILED_FOLDER}")
        else:
            place.place(step.name, files)
    except ShelfError as error:
        # one that does not fit, or whose folder is somebody else's, is no reason to stop the others
        return Result(step.name, Outcome.FAILED, str(error), True, step.reasons)
    return Result(step.name, made.outcome, made.headline, True, step.reasons, written)


def _of_run(moved: Sequence[Revision], run_id: str) -> tuple[Revision, ...]:
    return tuple(replace(one, run_id=run_id) for one in moved)


def _is_final(known: RunRecord | None) -> bool:
    """Whether a report is one that no draft may take the place of."""
    return known is not None and known.state is not State.DRAFT


def _earlier(place: Shelf, name: str, outputs: Mapping[str, str]) -> tuple[Earlier, ...]:
    """The versions that a report's new one takes the place of, a draft that waited among them."""
    versions = [shelf.drafted(place, name), shelf.recorded(place, name)]
    last = [
        Earlier(
            run_id=known.run_id,
            finished=known.finished,
            state=known.state,
            sign_off=known.sign_off,
            withdrawal=known.withdrawal,
            outputs=known.outputs,
        )
        for known in versions
        # the same page can be signed twice, and who did so first is not forgotten
        if known is not None and (known.outputs != outputs or known.state is not State.DRAFT)
    ]
    before = [earlier for known in versions if known is not None for earlier in known.earlier]
    every = {one.model_dump_json(exclude={"run_id", "finished"}): one for one in reversed([*last, *before])}
    kept = list(reversed(every.values()))
    # who signed what is not forgotten; of drafts, the latest are enough
    forgotten = [one for one in kept if one.state is State.DRAFT][record.REMEMBERED :]
    return tuple(one for one in kept if one not in forgotten)


def sign(
    project: paths.Project,
    place: Shelf,
    names: Sequence[str],
    /,
    *,
    reviewer: str,
    read: Sequence[Path] = (),
    wait: float = 0.0,
    say: Callable[[str], None] = lambda message: None,
) -> list[Result]:
    """Publish drafts that somebody has read: the same notebook and figures, without the mark of a draft.

    Args:
        project: where raw files and notebooks are.
        place: where the reports are.
        names: of reports: slugs, or `data-quality`.
        reviewer: who read them, as the record names them.
        read: the files that were read, or copies of them; each has to be one of these drafts as it is now.
        wait: seconds to wait for another run that is writing.
        say: is told whom this one waits for.

    Raises:
        SignOffError: if there is no draft of one of them, or not one that still is as it would be made;
            then none is published.
        EvidenceError, LockedError: as `run`.
    """
    reviewer = _said(
        reviewer,
        _LONGEST_REVIEWER,
        f'Say who read the draft, in at most {_LONGEST_REVIEWER} letters: --reviewer "Name, role".',
    )
    _refuse_unrecorded(project)
    with place.locked(wait=wait, tell=say):
        evidence = _written(_cleaned(project), project)
        _list_revisions(project, place)
        drafts = [(*_draft(evidence, project, place, name), reviewer) for name in names]
        for file in read:
            _refuse_other(file, [draft for _, _, draft, _ in drafts])
        results = [_signed(*draft, evidence, project, place) for draft in drafts]
        _write_site(evidence, project, place)
    return results


def _refuse_unrecorded(project: paths.Project) -> None:
    """Nothing is published from raw files that nobody has said are meant to be as they are."""
    faults = [
        Fault(
            name, "is not as datapackage.json recorded it", "run `casegrade check --record` if that is meant"
        )
        for name in sources.changed(project.raw)
    ]
    if faults:
        raise EvidenceError(faults)


def _list_revisions(project: paths.Project, place: Shelf) -> None:
    """List what moved before records go that a run which was killed did not come to list."""
    if listed := site.revised(project, place):
        shelf.write_if_changed(place, revisions.FILE, listed)


def _refuse_other(file: Path, drafts: Sequence[RunRecord]) -> None:
    content = _content(file)
    if content is None:
        raise SignOffError(f"{file} cannot be read: name a file of the draft that was read.")
    if not any(record.sha256(content) in draft.outputs.values() for draft in drafts):
        names = ", ".join(draft.force for draft in drafts)
        raise SignOffError(
            f"{file} is not of the draft that would be published now ({names}): read the draft as it is and name that."
        )


def _draft(
    evidence: Evidence, project: paths.Project, place: Shelf, name: str
) -> tuple[Step, str, RunRecord]:
    folder, known = shelf.latest(place, name) or (name, None)
    if known is None:
        how = "--all" if name == record.QUALITY else name
        raise SignOffError(
            f"There is no draft of {name}: make one with casegrade report {how}, if there are audits."
        )
    if known.state is not State.DRAFT:
        raise SignOffError(f"{name} is {known.state} already, and nothing newer has been drafted.")
    values = {key: value for key, value in known.parameters.items() if key != "force"}
    is_quality = name == record.QUALITY
    asked = Asked(() if is_quality else (name,), values, is_quality)
    (step,) = planned(evidence, project, place, asked)
    if step.reasons:
        why = "; ".join(step.reasons)
        raise SignOffError(
            f"The draft of {name} is not as it would be made now ({why}): make and read it again."
        )
    return step, folder, known


def _signed(
    step: Step,
    folder: str,
    draft: RunRecord,
    reviewer: str,
    evidence: Evidence,
    project: paths.Project,
    place: Shelf,
) -> Result:
    from analysis.publish import making

    signed = SignOff(reviewer=reviewer, signed=record.now(), draft=draft.outputs)
    (job,) = _jobs([step], evidence, project, place, Asked(()), Limits(), signed)
    made = making.make(replace(job, executed=place.read(f"{folder}/{record.NOTEBOOK}")))
    if made.outcome is Outcome.FAILED:
        return Result(step.name, Outcome.FAILED, made.headline, True)
    outputs = {name: record.sha256(content) for name, content in made.files.items()}
    revision, is_dirty = record.revision(project.root)
    written = draft.model_copy(
        update={
            "outcome": made.outcome,
            "state": State.PUBLISHED,
            "sign_off": signed,
            "outputs": outputs,
            "moved": _of_run(made.revisions, draft.run_id),
            "revision": revision,
            "is_dirty": is_dirty,
            "python": record.python_version(),
            "packages": dict(record.versions()),
            "earlier": _earlier(place, step.name, outputs),
        }
    )
    try:
        place.place(step.name, {**made.files, record.FILE: record.text(written).encode()})
    except ShelfError as error:
        # those that were signed before are told of all the same
        return Result(step.name, Outcome.FAILED, str(error), True)
    return Result(step.name, made.outcome, made.headline, True, ("it was signed off",), written)


def withdraw(
    project: paths.Project,
    place: Shelf,
    name: str,
    /,
    *,
    reason: str,
    wait: float = 0.0,
    say: Callable[[str], None] = lambda message: None,
) -> Result:
    """Take a report away and leave a page that says so, and why.

    Raises:
        SignOffError: if there is no report of that name, or no reason is given.
        EvidenceError, LockedError: as `run`.
    """
    reason = _said(
        reason,
        _LONGEST_REASON,
        "Say why the report is withdrawn, in a sentence or two for its readers of at most "
        f'{_LONGEST_REASON} letters: --reason "...".',
    )
    with place.locked(wait=wait, tell=say):
        _list_revisions(project, place)
        known = shelf.recorded(place, name)
        if known is None:
            unknown = f"{name} cannot be withdrawn: {plan.UNKNOWN}."
            is_there = place.has(f"{name}/{record.FILE}")
            raise SignOffError(unknown if is_there else f"There is no report of {name} to withdraw.")
        if known.state is State.WITHDRAWN:
            raise SignOffError(f"{name} is withdrawn already.")
        result = _withdrawn(known, project, place, reason)
        try:
            _write_site(_written(_cleaned(project), project), project, place)
        except (EvidenceError, GateError, RestrictedError, ShelfError) as error:
            # a report that is wrong goes, whatever else is wrong
            say(f"{name} is withdrawn, but the pages about all reports are as they were: {error}")
        return result


def _said(text: str, longest: int, ask: str) -> str:
    """What somebody typed, in one line and without what cannot be seen; refused, with `ask`, if it says nothing."""
    said = plainly.harmless(" ".join(text.split()))
    if not any(letter.isalpha() for letter in said) or len(said) > longest:
        raise SignOffError(ask)
    return said


def _withdrawn(known: RunRecord, project: paths.Project, place: Shelf, reason: str) -> Result:
    name = known.force
    withdrawal = Withdrawal(reason=reason, withdrawn=record.now())
    with paths.using(project):
        title = wording.title(NoAudit(name)) if name != record.QUALITY else QUALITY_TITLE
    try:
        page = site.tombstone(name, title, withdrawal, project, footer=footer(project)).encode()
    except GateError as error:
        raise SignOffError(f"The reason says what no page may say, so give another: {error}") from error
    files = {record.PAGE: page}
    if (figures := shelf.unaltered(place, name, formats.CSV, known)) is not None:
        # for nobody to use: what comes in its place is held against them
        files[WITHDRAWN_FIGURES] = figures
    outputs = {file: record.sha256(content) for file, content in files.items()}
    written = known.model_copy(
        update={
            "outcome": Outcome.WITHDRAWN,
            "state": State.WITHDRAWN,
            "withdrawal": withdrawal,
            "headline": f"Withdrawn: {reason}",
            "outputs": outputs,
            "earlier": _earlier(place, name, outputs),
        }
    )
    place.place(name, {**files, record.FILE: record.text(written).encode()})
    return Result(name, Outcome.WITHDRAWN, written.headline, True, ("it was withdrawn",), written)


def _write_site(evidence: Evidence, project: paths.Project, place: Shelf) -> None:
    for name, text in site.pages(evidence, project, place, footer=footer(project)).items():
        shelf.write_if_changed(place, name, text)


def run_notebooks(project: paths.Project, /) -> list[Path]:
    """Run the committed notebooks again with their default parameters and store them as run.

    Returns:
        The notebooks, in reading order.

    Raises:
        RunError: if one fails; that one stays as it was.
    """
    from analysis.publish import runner

    notebooks = sorted(project.notebooks.glob("[0-9][0-9]_*.ipynb"))
    for notebook in notebooks:
        with storage.staging_folder(project.notebooks, "run") as folder:
            output = folder / notebook.name
            runner.execute(notebook, output=output, parameters={}, project=project)
            output.replace(notebook)
    return notebooks


def licence(project: paths.Project, /) -> str:
    """The licence of the data, in one sentence."""
    return f"Data: {sources.datapackage(project.raw).attribution}"


def footer(project: paths.Project, /) -> tuple[str, ...]:
    """The closing lines of every page: who made it, from what, licence, accessibility, contact."""
    package = sources.datapackage(project.raw)
    return (
        f"Made by casegrade {record.code_version()} from {package.title}, version {package.version}, as of "
        f"{package.created:%Y-%m-%d}. "
        "These are not official statistics, and the inspectorate has not checked them.",
        licence(project),
        "This page needs no scripts and loads nothing from elsewhere. Every chart has a description and a table "
        f"with the same figures. If you need it in another form, or find a figure wrong, {_contact(package)}.",
    )


def _contact(package: sources.DataPackage) -> str:
    for one in package.contributors:
        if where := one.email or one.path:
            return f"write to {one.title}: {where}"
    return "tell whoever sent it to you"
