import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from papermill.exceptions import PapermillExecutionError
from processes import eventually

from analysis.publish import warm

PAPERMILLS, OURS = "nbclient", "casegrade"
# what Papermill promises holds for both
BOTH = pytest.mark.parametrize("engine", [PAPERMILLS, OURS])

IS_WARM = """
import psutil
any("analysis.publish.warm" in word for word in psutil.Process().parent().cmdline())
"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The reports silence Papermill in their process; here it may speak."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.NOTSET)
    yield
    logger.setLevel(level)


def notebook(folder: Path, *cells: str) -> Path:
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    made = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=metadata)
    made.cells[0].metadata["tags"] = ["parameters"]
    path = folder / "in.ipynb"
    nbformat.write(made, path)
    return path


def execute(folder: Path, *cells: str, engine: str, **options: Any) -> NotebookNode:
    return papermill.execute_notebook(
        notebook(folder, *cells), folder / "out.ipynb", engine_name=engine, progress_bar=False, **options
    )


def stored(folder: Path) -> NotebookNode:
    return nbformat.read(folder / "out.ipynb", as_version=4)


def value(cell: NotebookNode) -> str:
    return str(cell.outputs[-1]["data"]["text/plain"])


def text(cell: NotebookNode, stream: str) -> str:
    return "".join(output["text"] for output in cell.outputs if output.get("name") == stream)


def test_parameters_are_put_in_after_their_defaults(tmp_path: Path) -> None:
    done = execute(tmp_path, "x = 1\ny = 2", "x, y", engine=OURS, parameters={"x": 5})
    assert [cell.metadata.get("tags") for cell in done.cells] == [["parameters"], ["injected-parameters"], []]
    assert value(done.cells[2]) == value(stored(tmp_path).cells[2]) == "(5, 2)"


@BOTH
def test_a_failing_cell_ends_the_run_and_is_told_on_top(engine: str, tmp_path: Path) -> None:
    with pytest.raises(PapermillExecutionError, match="no such audit") as raised:
        execute(tmp_path, "x = 1", "raise ValueError('no such audit')", "x = 2", engine=engine)
    assert (raised.value.ename, raised.value.exec_count, raised.value.cell_index) == ("ValueError", 2, 1)
    left = stored(tmp_path)
    assert "An Exception was encountered at" in left.cells[0].source
    assert 'id="papermill-error-cell"' in left.cells[2].source
    assert left.cells[3].outputs[0]["ename"] == "ValueError"
    assert left.cells[4].execution_count is None
    assert left.metadata.papermill.exception is True


@pytest.mark.parametrize(
    ("engine", "leaving"), [(PAPERMILLS, "sys.exit(0)"), (OURS, "sys.exit(0)"), (OURS, "sys.exit()")]
)
def test_a_notebook_may_leave_early(engine: str, leaving: str, tmp_path: Path) -> None:
    done = execute(tmp_path, "import sys", leaving, "'not reached'", engine=engine)
    assert done.cells[1].outputs[0]["ename"] == "SystemExit"
    assert done.cells[2].execution_count is None


@BOTH
def test_a_notebook_that_leaves_with_a_code_has_failed(engine: str, tmp_path: Path) -> None:
    with pytest.raises(PapermillExecutionError, match="3") as raised:
        execute(tmp_path, "import sys", "sys.exit(3)", "'not reached'", engine=engine)
    assert raised.value.ename == "SystemExit"
    assert stored(tmp_path).cells[-1].execution_count is None


@BOTH
def test_a_cell_that_takes_too_long_ends_the_run(engine: str, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(CellTimeoutError):
        execute(
            tmp_path,
            f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))",
            "time.sleep(600)",
            engine=engine,
            execution_timeout=1,
        )
    assert stored(tmp_path).cells[0].execution_count == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@BOTH
def test_a_dead_kernel_is_a_failure_though_the_notebook_looks_complete(engine: str, tmp_path: Path) -> None:
    with pytest.raises(DeadKernelError):
        execute(tmp_path, "print('before')", "import os\nos._exit(0)", "'not reached'", engine=engine)
    assert text(stored(tmp_path).cells[0], "stdout") == "before\n"


def test_the_death_of_a_kernel_is_told_by_the_system_and_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: NotebookClient) -> None:
        raise AssertionError("asked once a second")

    monkeypatch.setattr(NotebookClient, "_async_poll_kernel_alive", ask)
    with pytest.raises(DeadKernelError):
        execute(tmp_path, "import os, signal", "os.kill(os.getpid(), signal.SIGKILL)", engine=OURS)


SHOWING = (
    "import sys\nfor n in range(3):\n    print('out', n, flush=True)\n    print('err', n, file=sys.stderr, flush=True)",
    "from IPython.display import HTML, clear_output, display, update_display",
    "handle = display('first', display_id=True)\ndisplay(HTML('<b>bold</b>'))",
    "handle.update('second')",
    "print('gone')\nclear_output()\nprint('stays')",
    "print('gone too')\nclear_output(wait=True)\nprint('stays too')",
    "1 + 1",
    "'a' * 10_000",
    "raise KeyError('told')",
)


def test_what_cells_show_is_stored_as_papermill_stores_it(tmp_path: Path) -> None:
    found = {}
    for engine in (PAPERMILLS, OURS):
        with pytest.raises(PapermillExecutionError):
            execute(tmp_path, *SHOWING, engine=engine)
        left = stored(tmp_path)
        found[engine] = [(cell.get("outputs"), cell.get("execution_count")) for cell in left.cells]
        assert set(left.metadata) == {"kernelspec", "language_info", "papermill"}
        assert left.metadata.language_info.file_extension == ".py"
    assert found[OURS] == found[PAPERMILLS]
    cells = [outputs for outputs, _ in found[OURS] if outputs is not None]
    assert "".join(one["text"] for one in cells[0] if one["name"] == "stderr") == "err 0\nerr 1\nerr 2\n"
    assert cells[2][0]["data"]["text/plain"] == "'second'"
    assert [one["text"] for one in cells[4]] == ["stays\n"]


def test_the_order_of_what_a_cell_shows_is_kept(tmp_path: Path) -> None:
    code = "print('one')\ndisplay('two')\nprint('three')\ndisplay('four')"
    done = execute(tmp_path, code, engine=OURS)
    shown = [one.get("text") or one["data"]["text/plain"] for one in done.cells[0].outputs]
    assert shown == ["one\n", "'two'", "three\n", "'four'"]


@BOTH
def test_output_is_logged_and_copied_where_asked(
    engine: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    out, err = io.StringIO(), io.StringIO()
    code = "import sys\nprint('to out')\nprint('to err', file=sys.stderr)\n'value'"
    execute(tmp_path, code, engine=engine, log_output=True, stdout_file=out, stderr_file=err)
    assert (out.getvalue(), err.getvalue()) == ("to out\n", "to err\n")
    logged = {record.message.strip(): (record.name, record.levelno) for record in caplog.records}
    assert logged["to out"] == ("papermill", logging.INFO)
    assert logged["to err"] == ("papermill", logging.WARNING)
    assert logged["'value'"] == ("papermill", logging.INFO)


def test_a_notebook_works_in_the_folder_and_the_kernel_asked_for(tmp_path: Path) -> None:
    here = Path.cwd()
    done = execute(tmp_path, "import os\nos.getcwd()", engine=OURS, cwd=tmp_path)
    assert value(done.cells[0]) == repr(str(tmp_path))
    assert Path.cwd() == here
    with pytest.raises(NoSuchKernel):
        execute(tmp_path, "1", engine=OURS, kernel_name="none-of-this-name")


@BOTH
def test_what_a_notebook_leaves_to_the_end_is_done(engine: str, tmp_path: Path) -> None:
    execute(
        tmp_path,
        f"import atexit, os, pathlib\nos.chdir({str(tmp_path)!r})",
        "atexit.register(pathlib.Path('told').write_text, 'the end')",
        "unclosed = open('unclosed', 'w')\nunclosed.write('not lost')",
        engine=engine,
    )
    assert (tmp_path / "told").read_text() == "the end"
    assert (tmp_path / "unclosed").read_text() == "not lost"


def test_what_has_run_is_on_disk_while_the_rest_runs(tmp_path: Path) -> None:
    go = tmp_path / "go"
    waiting = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.05)"
    source = notebook(tmp_path, "'done'", "import time; time.sleep(2)", "print('x')", waiting)
    code = "import sys, papermill; papermill.execute_notebook(*sys.argv[1:3], engine_name='casegrade')"
    out = tmp_path / "out.ipynb"

    def has_first() -> bool:
        try:
            return "'done'" in json.dumps(stored(tmp_path).cells[0].get("outputs", []))
        except (OSError, ValueError):
            return False

    with subprocess.Popen([sys.executable, "-c", code, source, out], stderr=subprocess.DEVNULL) as running:
        assert eventually(has_first)
        assert running.poll() is None
        go.touch()
    assert running.returncode == 0


def command(*words: object) -> subprocess.CompletedProcess[str]:
    papermill_command = Path(sys.executable).with_name("papermill")
    return subprocess.run(
        [papermill_command, *map(str, words), "--no-progress-bar"], capture_output=True, text=True
    )


@pytest.mark.skipif(warm.idle() is None, reason="nothing can be forked here")
@pytest.mark.parametrize("option", ["--engine", "-k"])
def test_the_command_of_papermill_runs_in_warm_kernels(option: str, tmp_path: Path) -> None:
    source = notebook(tmp_path, "x = 1", "x", IS_WARM)
    done = command(option, "casegrade", source, tmp_path / "out.ipynb", "-p", "x", 5)
    assert done.returncode == 0, done.stderr
    assert [value(cell) for cell in stored(tmp_path).cells[2:]] == ["5", "True"]


def test_the_command_of_papermill_tells_by_its_code_what_went_wrong(tmp_path: Path) -> None:
    out = tmp_path / "out.ipynb"
    failed = command("--engine", OURS, notebook(tmp_path, "1 / 0"), out)
    assert failed.returncode == 1
    assert "ZeroDivisionError" in failed.stderr
    died = command("--engine", OURS, notebook(tmp_path, "import os\nos._exit(0)"), out)
    assert died.returncode == 138
