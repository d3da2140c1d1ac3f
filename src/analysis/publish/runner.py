"""Run notebooks by path through Papermill, each in its own kernel over IPC."""

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets import Unicode, default

from analysis import paths

START_TIMEOUT = 120
CELL_TIMEOUT = 300


class RunError(Exception):
    """A notebook that did not run to its end. The message says which cell and what happened."""


class IpcKernelManager(AsyncKernelManager):
    """Kernels that talk over IPC: no ports that parallel runs could fight over, nothing on the network.

    Each kernel has its sockets in a folder of its own, which only its user may enter. By default
    they would stand in the working directory under names that a second kernel takes too.
    """

    # Windows has no IPC transport; loopback ports are what there is
    transport = Unicode("tcp" if sys.platform == "win32" else "ipc")
    _sockets: str | None = None

    @default("ip")
    def _own_sockets(self) -> str:
        if self.transport != "ipc":
            return "127.0.0.1"
        # short, as the path of a socket may have no more than about 100 letters
        self._sockets = tempfile.mkdtemp(prefix="casegrade-")
        return str(Path(self._sockets) / "kernel")

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        await super()._async_cleanup_resources(restart=restart)
        if self._sockets is not None and not restart:
            shutil.rmtree(self._sockets, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources


def execute(
    notebook: Path, /, *, output: Path, parameters: Mapping[str, Any], project: paths.Project
) -> NotebookNode:
    """Run a notebook from top to bottom in a fresh kernel, and write it as run.

    The kernel works in the project's folder and is told which project it is. What is written
    holds the results, but neither paths of this machine nor times.

    Args:
        notebook: path of the notebook to run.
        output: path to write the executed notebook to, also when a cell fails.
        parameters: values for its parameters, already checked.
        project: the project whose data the notebook reads.

    Raises:
        RunError: if a cell raises, takes too long, or the kernel dies or does not start.
    """
    # papermill tells of every cell; a batch has its own way of telling
    logging.getLogger("papermill").setLevel(logging.ERROR)
    problem: BaseException | None = None
    with _told_of(project):
        try:
            papermill.execute_notebook(
                str(notebook),
                str(output),
                parameters=dict(parameters),
                kernel_manager_class=IpcKernelManager,
                kernel_name="python3",
                cwd=str(project.root),
                progress_bar=False,
                log_output=False,
                record_timing=False,
                start_timeout=START_TIMEOUT,
                execution_timeout=CELL_TIMEOUT,
            )
        except PapermillExecutionError as error:
            problem = RunError(
                f"cell {error.cell_index + 1} of {notebook.name} ended in {error.ename}: {error.evalue}"
            )
        except Exception as error:  # a kernel fails in as many ways as there are libraries below
            problem = RunError(f"{notebook.name} did not run to its end: {type(error).__name__}: {error}")
    if not output.is_file():
        raise problem or RunError(f"{notebook.name} left nothing behind.")
    run: NotebookNode = nbformat.read(output, as_version=4)
    _strip(run)
    nbformat.write(run, output)
    if problem is not None:
        raise problem
    return run


@contextlib.contextmanager
def _told_of(project: paths.Project) -> Iterator[None]:
    before = os.environ.get(paths.VARIABLE)
    os.environ[paths.VARIABLE] = str(project.root)
    try:
        yield
    finally:
        if before is None:
            del os.environ[paths.VARIABLE]
        else:
            os.environ[paths.VARIABLE] = before


def _strip(notebook: NotebookNode) -> None:
    """Take out what differs from run to run and what names this machine: papermill's times and paths."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
