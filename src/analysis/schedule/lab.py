"""Notebook jobs of JupyterLab as runs of this project: the same parameters, records, gate and history as elsewhere.

`jupyter-scheduler` has the form and the list of jobs. What it runs them with is replaced here.
"""

import contextlib
import json
import logging
import os
import shutil
import sys
import traceback
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import util
from pathlib import Path
from typing import Any

import fsspec
from filelock import FileLock, Timeout
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_scheduler.environments import EnvironmentManager
from jupyter_scheduler.exceptions import SchedulerError
from jupyter_scheduler.executors import ExecutionManager
from jupyter_scheduler.models import JobFeature, RuntimeEnvironment, Status
from jupyter_scheduler.orm import Job
from jupyter_scheduler.utils import get_utc_timestamp

from analysis import paths, storage
from analysis.present import plainly
from analysis.publish import record, shelf
from analysis.publish.record import PDF, State
from analysis.publish.shelf import Shelf
from analysis.schedule import credentials, rota, running, runs
from analysis.schedule.credentials import CredentialsError
from analysis.schedule.rota import RETENTION, Entry, Retention, ScheduleError
from analysis.schedule.running import Left, Order
from analysis.schedule.runs import End, Origin, Run

# Seconds to wait for other runs. Of hundreds of jobs that begin at once, the last one waits for all.
WAIT = 3600.0
# as casegrade report has it
_DEADLINE = 300.0

_NOTEBOOK, _PAGE = "ipynb", "html"
# what the form calls them
_LABELS = {_NOTEBOOK: "Notebook", _PAGE: "HTML", PDF: "PDF"}
_FILES = {_NOTEBOOK: record.NOTEBOOK, _PAGE: record.PAGE, PDF: record.PDF_FILE}

# A tag by which a job is known as one of ours, and its run.
_MARK = "casegrade:"
# Where jobs that came to no run are counted, and those of other notebooks. No report is called that.
_REFUSED, _OTHER = "refused", "other"
# A file beside a job's notebook, locked while its process lives: the system frees it, however that ends.
_ALIVE = ".casegrade.lock"
_ENDED = (Status.COMPLETED, Status.FAILED, Status.STOPPED)
# what the database has room for
_LONGEST = 1024

_log = logging.getLogger(__name__)


class JobError(Exception):
    """A notebook job that was refused or failed. The message says why and what to do."""


class CasegradeExecutionManager(ExecutionManager):  # type: ignore[misc]
    """Runs a notebook job as this project runs notebooks. It is called in a process of its own.

    The project's report notebooks make the project's reports: as drafts, with their records, one job at a time, each
    with a run in the history. Other notebooks are run with typed parameters, and only their outputs are kept.
    """

    _note: str | None = None

    # The server hands over the class once more, as it calls what is a class method as a function.
    @classmethod
    def supported_features(cls, *_: object) -> dict[JobFeature, bool]:
        """What the form may offer. Retries, time limits and mails are the schedule's, and not offered here."""
        supported = {
            JobFeature.job_name,
            JobFeature.parameters,
            JobFeature.output_formats,
            JobFeature.job_definition,
            JobFeature.idempotency_token,
            JobFeature.tags,
            JobFeature.stop_job,
            JobFeature.delete_job,
        }
        return {feature: feature in supported for feature in JobFeature}

    @classmethod
    def validate(cls, *given: Any) -> bool:
        """Whether a job can be made of a notebook, whose path is the last thing given.

        Raises:
            SchedulerError: if not; the message is shown in the form.
        """
        path = Path(given[-1])
        if _is_staged(path):
            # A definition's copy, begun by the clock: a job that fails is seen, a refusal is not.
            return True
        try:
            _read(path.name, path.read_bytes())
        except OSError as error:
            raise SchedulerError(f"{path.name} cannot be read ({error.strerror}): mend that.") from error
        except JobError as error:
            raise SchedulerError(str(error)) from error
        return True

    def before_start(self) -> None:
        """Say that it runs, for as long as this process lives."""
        # before others see it run, as they end what runs and is not alive
        if (self._staging / self.job_id).is_dir():
            self._alive = FileLock(self._staging / self.job_id / _ALIVE, is_singleton=False)
            with contextlib.suppress(OSError):
                self._alive.acquire(timeout=0)
        super().before_start()

    def execute(self) -> None:
        """Run the notebook, and hand over what the form asked for.

        Raises:
            JobError, ParameterError, ShelfError, LockedError: if it cannot be run, or failed. The headline says why.
        """
        # nobody is told anything from here, so one that cannot be used is no reason to stop
        with contextlib.suppress(CredentialsError):
            credentials.take()
        project = _project(self.root_dir)
        # the server, which loads this too, runs nothing
        from analysis.publish import plan

        name, place = self.model.input_filename, shelf.at(project.reports)
        is_report = name in (plan.FORCE_NOTEBOOK, plan.QUALITY_NOTEBOOK)
        # until it comes to a run: a definition that nobody looks after may be refused every hour
        counted = _REFUSED if is_report else f"{_OTHER}/{name}"
        self._mark(place, counted, self.job_id)
        self._clear(place, counted)
        with fsspec.open(self.staging_paths["input"], "rb") as file:
            content = file.read()
        _read(name, content)
        with paths.using(project):
            if is_report:
                self._make_report(project, place, content)
            else:
                self._run_notebook(project, content)

    def on_complete(self) -> None:
        """Say that it is done, and which outputs there are none of."""
        told = {} if self._note is None else {"status_message": _cut(self._note)}
        self._update(status=Status.COMPLETED, end_time=get_utc_timestamp(), **told)

    def on_failure(self, e: Exception) -> None:
        """Say that it failed and why, in one sentence."""
        _trace_unexpected(e)
        message = _cut(plainly.told(e))
        self._update(status=Status.FAILED, status_message=message, end_time=get_utc_timestamp())

    def _update(self, **values: object) -> None:
        with self.db_session() as session:
            session.query(Job).filter(Job.job_id == self.job_id).update(values)
            session.commit()

    @property
    def _staging(self) -> Path:
        """Where jobs have their folders."""
        return Path(self.staging_paths["input"]).parents[1]

    @property
    def _formats(self) -> list[str]:
        return list(self.model.output_formats or ())

    @property
    def _parameters(self) -> dict[str, str]:
        return {name: _unquoted(value) for name, value in (self.model.parameters or {}).items()}

    def _hand_over(self, output: str, content: bytes) -> None:
        with fsspec.open(self.staging_paths[output], "wb") as file:
            file.write(content)

    # ------------------------------------------------------------------ reports of the project

    def _make_report(self, project: paths.Project, place: Shelf, content: bytes) -> None:
        report, values = self._asked(project, content)
        entry, retention = _scheduled(project, report)
        deadline = _DEADLINE if entry is None else entry.deadline
        formats = frozenset((PDF,)) if PDF in self._formats else frozenset[str]()
        order = Order((report,), values, formats, publish=False, deadline=deadline)
        with place.locked(wait=WAIT, tell=_say):
            run = self._begun(place, report)
            left = self._left(project, place, order, content)
            runs.finish(place, run, left.end, now=record.now(), reason=left.reason, left=left.record)
            self._hand_over_report(place, report, left)
            self._clear(place, report, retention)
        if left.end is End.FAILED:
            raise JobError(left.reason)

    def _asked(self, project: paths.Project, content: bytes) -> tuple[str, dict[str, Any]]:
        """The name of the report that is asked for, and the parameters besides its force."""
        from analysis.publish import parameters, plan

        name, given = self.model.input_filename, self._parameters
        _refuse_copy(project, name, content)
        if unknown := [output for output in self._formats if output not in _FILES]:
            raise JobError(f"There is no output {unknown[0]}: choose among {', '.join(_LABELS.values())}.")
        if name == plan.QUALITY_NOTEBOOK:
            if given:
                raise JobError(f"{name} takes no parameters: remove {', '.join(given)}.")
            return record.QUALITY, {}
        values = parameters.checked(project.notebooks / name, given)
        if "force" not in values:
            raise JobError(
                "The parameter force is needed: add it to the job, such as force with the value warwickshire."
            )
        return values.pop("force"), values

    def _begun(self, place: Shelf, report: str) -> Run:
        """Write down that a run begins, and of others that they were cut off. The right to write is held."""
        due = datetime.fromtimestamp(self.model.create_time // 1000, UTC)
        past = [run for run in runs.of(place, report) if run.origin is Origin.LAB]
        for run in past:
            if run.end is End.BEGUN:
                # whoever ran it is gone, as nobody else has the right to write
                runs.finish(place, run, End.INTERRUPTED, now=record.now())
        # of one second there may be several
        attempt = 1 + max((run.attempt for run in past if run.due == due), default=0)
        run = runs.begin(place, report, due=due, attempt=attempt, now=record.now(), origin=Origin.LAB)
        self._mark(place, report, run.run_id)
        return run

    def _left(self, project: paths.Project, place: Shelf, order: Order, content: bytes) -> Left:
        (report,) = order.names
        try:
            # it may have been changed while this job waited
            _refuse_copy(project, self.model.input_filename, content)
            left: dict[str, Left] = {}
            running.batches(say=_say)(project, place, order, left.__setitem__)
            return left[report]
        except Exception as error:
            _trace_unexpected(error)
            return Left(End.FAILED, plainly.told(error))

    def _hand_over_report(self, place: Shelf, report: str, left: Left) -> None:
        if left.end is End.FAILED:
            if left.record is not None and _NOTEBOOK in self._formats:
                came_to = shelf.failed_notebook(place, report, left.record.run_id)
                if came_to is not None:
                    self._hand_over(_NOTEBOOK, came_to)
            return
        latest = None if left.end is End.NO_AUDITS else shelf.latest(place, report)
        missing = []
        for output in self._formats:
            made = None if latest is None else place.read(f"{latest[0]}/{_FILES[output]}")
            if made is None:
                missing.append(_LABELS[output])
            else:
                self._hand_over(output, made)
        if missing:
            if latest is None:
                why = "there are no audits of it yet"
            else:
                why = "it is withdrawn" if latest[1].state is State.WITHDRAWN else "none was made"
            self._note = f"There is no {' and no '.join(missing)} of the report on {report}: {why}."

    # ------------------------------------------------------------------------- other notebooks

    def _run_notebook(self, project: paths.Project, content: bytes) -> None:
        from analysis.publish import parameters, runner

        name = self.model.input_filename
        folder = storage.scratch("lab")
        try:
            notebook, output = folder / name, folder / "executed" / name
            notebook.write_bytes(content)
            output.parent.mkdir()
            # one that takes none needs no cell for them
            values = parameters.checked(notebook, self._parameters) if self._parameters else {}
            try:
                with _turn():
                    executed = runner.execute(notebook, output=output, parameters=values, project=project)
            finally:
                if output.is_file() and _NOTEBOOK in self._formats:
                    self._hand_over(_NOTEBOOK, output.read_bytes())
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if _PAGE in self._formats:
            import nbconvert

            # nothing that is published, so it is as any notebook's
            page, _ = nbconvert.HTMLExporter().from_notebook_node(executed)
            self._hand_over(_PAGE, page.encode())
        others = [output for output in self._formats if output not in (_NOTEBOOK, _PAGE)]
        if missing := [_LABELS.get(output, output) for output in others]:
            self._note = f"There is no {' and no '.join(missing)} of {name}: that is made of reports only."

    # -------------------------------------------------------------------------------- retention

    def _mark(self, place: Shelf, report: str, run_id: str) -> None:
        """Have the job known as one of ours and by its run, whatever it, or one that it is a copy of, was before."""
        tags = [tag for tag in self.model.tags or () if not tag.startswith(_MARK)]
        self._update(tags=[*tags, _tag(place, report, run_id)])

    def _clear(self, place: Shelf, report: str, retention: Retention | None = None) -> None:
        """End jobs that were cut off. Remove past runs of a report that need not be kept, and jobs whose run is gone.

        Without a retention it is no report, and of its jobs the last are kept.
        """
        try:
            self._end_cut_off()
            ended = self._ended(_tag(place, report, ""))
            if retention is None:
                gone = list(ended)[RETENTION.runs :]
            else:
                runs.clear(place, report, retention, record.now())
                kept = set(place.names(f"{runs.FOLDER}/{report}"))
                gone = [job_id for job_id, run_id in ended.items() if run_id not in kept]
            for job_id in gone:
                self._remove(job_id)
        except Exception as error:
            # whatever becomes of old ones, this one is done
            _say(f"Old runs of {report} could not be removed: {plainly.told(error)}")

    def _end_cut_off(self) -> None:
        """End jobs whose process was killed, which the Lab would show as running for ever."""
        with self.db_session() as session:
            open_ids = session.query(Job.job_id).filter(Job.status.in_((Status.IN_PROGRESS, Status.STOPPING)))
            dead = [job_id for (job_id,) in open_ids if self._is_dead(job_id)]
            # asked again, as it may have ended since
            cut_off = session.query(Job).filter(Job.job_id.in_(dead))
            cut_off.filter(Job.status == Status.STOPPING).update({"status": Status.STOPPED})
            message = "It was cut off before it ended: run it again."
            cut_off.filter(Job.status == Status.IN_PROGRESS).update(
                {"status": Status.FAILED, "status_message": message, "end_time": get_utc_timestamp()}
            )
            session.commit()

    def _is_dead(self, job_id: str) -> bool:
        alive = self._staging / job_id / _ALIVE
        try:
            # one without it is not ours
            if job_id == self.job_id or not alive.exists():
                return False
            with FileLock(alive, timeout=0, is_singleton=False):
                return True
        except OSError:
            # it is held, or nobody can tell
            return False

    def _ended(self, beginning: str) -> dict[str, str]:
        """The runs by which jobs that ended are marked, by id of the job, the latest first."""
        with self.db_session() as session:
            jobs = session.query(Job).filter(Job.tags.is_not(None), Job.status.in_(_ENDED))
            return {
                job.job_id: tag.removeprefix(beginning)
                for job in jobs.order_by(Job.create_time.desc())
                for tag in job.tags or ()
                if tag.startswith(beginning)
            }

    def _remove(self, job_id: str) -> None:
        # another job may be at it
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._staging / job_id)
        with self.db_session() as session:
            session.query(Job).filter(Job.job_id == job_id).delete()
            session.commit()


class CasegradeEnvironmentManager(EnvironmentManager):  # type: ignore[misc]
    """What the form offers to run notebooks in: the Python that JupyterLab runs in, as it is what runs them."""

    def list_environments(self) -> list[RuntimeEnvironment]:
        """The one environment, with the outputs that can be made in it."""
        # an extra, which need not be there
        has_pdf = util.find_spec("weasyprint") is not None
        return [
            RuntimeEnvironment(
                name="casegrade",
                label=f"casegrade {record.code_version()}, Python {record.python_version()}",
                description="The environment that JupyterLab runs in",
                file_extensions=[_NOTEBOOK],
                output_formats=[output for output in _LABELS if output != PDF or has_pdf],
                metadata={"path": sys.executable},
            )
        ]

    def manage_environments_command(self) -> str:
        """No command of the Lab manages it."""
        return ""

    def output_formats_mapping(self) -> dict[str, str]:
        """What the outputs are called, those of earlier jobs among them."""
        return dict(_LABELS)


def _project(root: str) -> paths.Project:
    """The project that the server works in, found as everywhere else."""
    try:
        with contextlib.chdir(root):
            return paths.project()
    except (paths.ProjectNotFoundError, OSError) as error:
        if os.environ.get(paths.VARIABLE):
            raise
        raise JobError(
            f"The folder of this server, {root}, is in no casegrade project: start JupyterLab in a checkout, "
            f"or set {paths.VARIABLE} to the folder of one before."
        ) from error


def _is_staged(path: Path) -> bool:
    try:
        uuid.UUID(path.parent.name)
    except ValueError:
        return False
    return True


def _read(name: str, content: bytes) -> list[tuple[str, str, list[str]]]:
    """What a notebook does and says: kind, source and tags of each cell; what it showed does not count.

    Raises:
        JobError: if it is none that can be run.
    """
    try:
        notebook = json.loads(content)
        cells = [
            (str(cell["cell_type"]), "".join(cell["source"]), list(cell.get("metadata", {}).get("tags", [])))
            for cell in notebook["cells"]
        ]
        kernel = notebook["metadata"].get("kernelspec", {})
        name_of_kernel, language = kernel.get("name"), kernel.get("language", "python")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise JobError(f"{name} is not a notebook that can be read: save it again in JupyterLab.") from error
    if not name_of_kernel:
        raise JobError(f"{name} names no kernel: choose one for it in JupyterLab and save it.")
    if language != "python":
        raise JobError(
            f"{name} is a notebook of {language}, but jobs run Python: choose another kernel for it."
        )
    n_tagged = sum("parameters" in tags for _, _, tags in cells)
    if n_tagged > 1:
        raise JobError(f'{name} has {n_tagged} cells tagged "parameters": leave that tag on one of them.')
    return cells


def _refuse_copy(project: paths.Project, name: str, content: bytes) -> None:
    own = project.notebooks / name
    try:
        is_same = _read(name, own.read_bytes()) == _read(name, content)
    except OSError as error:
        raise JobError(f"{own} is missing: restore it from version control.") from error
    if not is_same:
        raise JobError(
            f"{name} of this job is not as the project's own, of which reports and their records are: make the job, "
            f"or its definition, anew from {own}, or give the copy another name to run it without a report."
        )


def _scheduled(project: paths.Project, report: str) -> tuple[Entry | None, Retention]:
    """What the schedule says of a report, if there is one and the report is in it; and what to keep of its runs."""
    if not (project.root / rota.FILE).exists():
        return None, RETENTION
    try:
        entries = rota.read(project).entries
    except ScheduleError as error:
        # nobody knows what is to be kept then
        _say(f"{error} Nothing is removed until then.")
        return None, Retention()
    entry = next((entry for entry in entries if entry.name == report), None)
    return entry, RETENTION if entry is None else entry.retention


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """The turn of one notebook at a time, so that there are not as many kernels as jobs."""
    folder = Path(jupyter_runtime_dir())
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "casegrade-jobs.lock", is_singleton=False)
    try:
        lock.acquire(timeout=WAIT)
    except Timeout as error:
        raise JobError(
            f"Other notebook jobs took longer than {WAIT:g} seconds: run it again when they have ended."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _tag(place: Shelf, report: str, run_id: str) -> str:
    return f"{_MARK}{place.shown(f'{runs.FOLDER}/{report}')}/{run_id}"


def _unquoted(value: str) -> str:
    """A value without quotes around it, which the Lab's own manager asks for, as it writes values into code."""
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def _trace_unexpected(error: Exception) -> None:
    if not type(error).__module__.startswith("analysis."):
        # for the server's log: the job has the sentence only
        traceback.print_exception(error)


def _cut(message: str) -> str:
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST - 1]}…"


def _say(message: str) -> None:
    _log.warning("casegrade: %s", message)
