"""Run notebooks by path through Papermill, each in its own kernel over IPC."""

import contextlib
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

# before `engine`, which Papermill loads itself
import papermill
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from analysis import paths
from analysis.present import pictures
from analysis.publish import engine

ENGINE = "casegrade"
START_TIMEOUT = 120
CELL_TIMEOUT = 300
# Kernels are started anew if they do not come up, as on a machine that is short of something for a moment.
START_ATTEMPTS = 3

_ERROR_CELL = "papermill-error-cell-tag"


class RunError(Exception):
    """A notebook that did not run to its end. The message says which cell and what happened."""


@dataclass
class Run:
    """How a run went: filled in while it goes, so that a run that fails tells too.

    Attributes:
        seconds: by step: start of the kernel, cells.
        attempts: kernels started until one was ready.
        kernel: warm, fresh, or none.
        notebook: as the last kernel left it.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    attempts: int = 0
    kernel: str = "none"
    notebook: NotebookNode | None = field(default=None, repr=False)


class _Watch:
    """Ends a kernel whose time is up, with all that it has started."""

    def __init__(self, limit: float | None):
        self.is_over = False
        self._deadline = None if limit is None else time.monotonic() + limit
        self._group: int | None = None
        self._timer = None if limit is None else threading.Timer(max(limit, 0), self._end)
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def begin(self, group: int | None) -> None:
        self._group = group
        if self.is_over:
            self._end()

    def left(self, most: int) -> int:
        if self._deadline is None:
            return most
        # whole seconds, as nbclient takes no others
        return max(1, min(most, math.ceil(self._deadline - time.monotonic())))

    def _end(self) -> None:
        self.is_over = True
        self._kill()

    def _kill(self) -> None:
        if self._group is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._group, signal.SIGKILL)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # a kernel that died has left behind what it had started
        self._kill()


def execute(
    notebook: Path,
    /,
    *,
    output: Path,
    parameters: Mapping[str, Any],
    project: paths.Project,
    limit: float | None = None,
    overdue: str | None = None,
    run: Run | None = None,
) -> NotebookNode:
    """Run a notebook from top to bottom in a kernel of its own, and write it as run.

    The kernel works in the project's folder and is told which project it is. What is written
    holds the results, but neither paths of this machine nor times.

    Args:
        notebook: path of the notebook to run.
        output: path to write the executed notebook to, also when a cell fails: then with the error on top.
        parameters: values for its parameters, already checked.
        project: the project whose data the notebook reads.
        limit: seconds that it may take in all; then its kernel is killed, with all that it started.
        overdue: what to say then; by default that it took longer than `limit`.
        run: is told how it went.

    Raises:
        RunError: if a cell raises, takes too long, or the kernel dies or does not start.
    """
    run = run if run is not None else Run()
    watch = _Watch(limit)
    problem: str | None = None
    try:
        _attempt(notebook, parameters, project, watch, run)
    except PapermillExecutionError as error:
        problem = f"cell {error.cell_index + 1} of {notebook.name} ended in {error.ename}: {error.evalue}"
    except Exception as error:  # a kernel fails in as many ways as there are libraries below
        problem = f"{notebook.name} did not run to its end: {type(error).__name__}: {error}"
    finally:
        watch.stop()
    if watch.is_over:
        problem = overdue or f"{notebook.name} was stopped: it took longer than {limit:g} seconds"
    executed = run.notebook
    if executed is None:
        raise RunError(problem or f"{notebook.name} left nothing behind.")
    _strip(executed)
    if problem is not None:
        _put_on_top(executed, problem)
    nbformat.write(executed, output)
    if problem is not None:
        raise RunError(problem)
    return executed


def _attempt(
    notebook: Path,
    parameters: Mapping[str, Any],
    project: paths.Project,
    watch: _Watch,
    run: Run,
) -> None:
    # papermill tells of every cell and of every failure; a batch has its own way of telling
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    env = {**os.environ, paths.VARIABLE: str(project.root), pictures.VARIABLE: pictures.LATER}
    while True:
        run.attempts += 1
        began = time.monotonic()

        def ready(group: int | None, is_warm: bool, began: float = began) -> None:
            run.kernel = "warm" if is_warm else "fresh"
            run.seconds["start"] = run.seconds.get("start", 0.0) + time.monotonic() - began
            watch.begin(group)

        def end(executed: NotebookNode) -> None:
            run.notebook = executed

        try:
            papermill.execute_notebook(
                str(notebook),
                # written by whoever asked for it, once, when it is as it is to be
                None,
                parameters=dict(parameters),
                engine_name=ENGINE,
                kernel_name="python3",
                kernel_start={"cwd": str(project.root), "env": env},
                # when the last cell has ended there is nothing left to do in it
                shutdown_kernel="immediate",
                on_kernel=ready,
                on_end=end,
                progress_bar=False,
                log_output=False,
                record_timing=False,
                start_timeout=watch.left(START_TIMEOUT),
                execution_timeout=CELL_TIMEOUT,
            )
        except engine.StartError:
            if run.attempts == START_ATTEMPTS or watch.is_over:
                raise
        else:
            return
        finally:
            began_cells = run.seconds.get("start", 0.0)
            run.seconds["cells"] = max(0.0, time.monotonic() - began - began_cells)


def _put_on_top(notebook: NotebookNode, problem: str) -> None:
    """Say at the top what went wrong: Papermill does if a cell failed, but not if the kernel did."""
    notebook.cells = [
        cell
        for cell in notebook.cells
        if _ERROR_CELL not in cell.metadata.get("tags", []) or 'id="papermill-error-cell"' in cell.source
    ]
    place = ' See <a href="#papermill-error-cell">the cell</a>.' if _has_place(notebook) else ""
    words = " ".join(problem.split()).replace("&", "&amp;").replace("<", "&lt;")
    cell = nbformat.v4.new_markdown_cell(
        f"**This run failed:** {words}.{place}", metadata={"tags": [_ERROR_CELL]}
    )
    cell["id"] = "run-failed"
    notebook.cells.insert(0, cell)
    for other in notebook.cells[1:]:
        if _ERROR_CELL in other.metadata.get("tags", []):
            other["id"] = "failed-here"


def _has_place(notebook: NotebookNode) -> bool:
    return any(_ERROR_CELL in cell.metadata.get("tags", []) for cell in notebook.cells)


def _strip(notebook: NotebookNode) -> None:
    """Take out what differs from run to run and what names this machine; draw the charts handed over."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        for shown in cell.get("outputs", []):
            if "data" in shown:
                shown["data"] = pictures.drawn(shown["data"])
