"""JupyterLab on this project: its settings, its kernels, its charts, and nothing from anywhere else."""

import os
from collections.abc import Sequence
from importlib import util
from pathlib import Path

from analysis import paths

START = "00_start_here.ipynb"
_HERE = Path(__file__).parent


class LabError(Exception):
    """JupyterLab cannot be started. The message says what to do."""


def check() -> None:
    """Whether there is a JupyterLab to start.

    Raises:
        LabError: if there is none.
    """
    if util.find_spec("jupyterlab") is None:
        raise LabError(
            "JupyterLab is not installed: install the extra lab, as in `pip install 'casegrade[lab]'`."
        )


def arguments(
    project: paths.Project, /, *, notebook: Path, port: int | None, browser: bool, more: Sequence[str] = ()
) -> list[str]:
    """What JupyterLab is started with: loopback only, a token as it makes one, nothing fetched.

    Args:
        project: what the file browser shows.
        notebook: the one to open, in the project.
        port: to listen on; null is JupyterLab's own or the next that is free.
        browser: whether to open one.
        more: further arguments of JupyterLab, which come last and so win.
    """
    opened = notebook.relative_to(project.root).as_posix()
    given = [
        f"--ServerApp.root_dir={project.root}",
        "--ServerApp.ip=127.0.0.1",
        f"--LabApp.default_url=/lab/tree/{opened}",
        "--ServerApp.jpserver_extensions=analysis.lab.server=True",
        "--ServerApp.kernel_spec_manager_class=analysis.lab.server.LabKernelSpecs",
        f"--LabApp.extra_labextensions_path={_HERE / 'front'}",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
        # a loop that prints without end would fill the notebook and stop the browser
        "--ZMQChannelsWebsocketConnection.iopub_msg_rate_limit=1000",
        "--ZMQChannelsWebsocketConnection.iopub_data_rate_limit=5000000",
    ]
    if port is not None:
        given.append(f"--ServerApp.port={port}")
    if not browser:
        given.append("--no-browser")
    return [*given, *more]


def serve(
    project: paths.Project, /, *, notebook: Path, port: int | None, browser: bool, more: Sequence[str] = ()
) -> None:
    """Run JupyterLab until it is stopped. Arguments and errors are those of `arguments` and `check`."""
    check()
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

    # What the user chose in JupyterLab's own settings goes before what stands here.
    known = os.environ.get("JUPYTER_CONFIG_PATH", "")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, (str(_HERE), known)))
    # where ruff looks for its settings, and from where a terminal starts
    os.chdir(project.root)
    (project.notebooks / "scratch").mkdir(exist_ok=True)
    LabApp.launch_instance(arguments(project, notebook=notebook, port=port, browser=browser, more=more))
