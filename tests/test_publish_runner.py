import ast
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_core.utils import ensure_event_loop
from nbformat.v4 import new_code_cell, new_notebook
from processes import eventually, is_gone

from analysis import paths
from analysis.publish import kernels, runner, warm

needs_forks = pytest.mark.skipif(warm.idle() is None, reason="nothing can be forked here")


def notebook(path: Path, *cells: str) -> Path:
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=metadata)
    made.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(made, path)
    return path


def run(source: Path, project: paths.Project, **parameters: object) -> nbformat.NotebookNode:
    output = source.with_name(f"{source.stem}-run-{parameters.get('number', 0)}.ipynb")
    return runner.execute(source, output=output, parameters=parameters, project=project)


def shown(run_notebook: nbformat.NotebookNode) -> str:
    return str(run_notebook.cells[-1].outputs[0]["data"]["text/plain"])


def test_a_notebook_runs_with_its_parameters_in_the_project(tmp_path: Path, project: paths.Project) -> None:
    source = notebook(
        tmp_path / "one.ipynb",
        'force: str = "kent"  # force',
        "import os\nimport analysis.paths\n(force, os.getcwd(), str(analysis.paths.project().root))",
    )
    done = run(source, project, force="essex")
    assert ast.literal_eval(shown(done)) == ("essex", str(project.root), str(project.root))


def test_what_is_stored_names_neither_this_machine_nor_the_time(
    tmp_path: Path, project: paths.Project
) -> None:
    source = notebook(tmp_path / "one.ipynb", "number: int = 1  # number", "number")
    run(source, project, number=2)
    stored = (tmp_path / "one-run-2.ipynb").read_text(encoding="utf-8")
    assert str(tmp_path) not in stored
    assert "papermill" not in nbformat.reads(stored, as_version=4).metadata
    assert "start_time" not in stored


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ('raise ValueError("no such audit")', "ended in ValueError: no such audit"),
        ("import sys\nsys.exit(3)", "SystemExit"),
        # a kernel that is killed leaves a notebook that looks complete
        ("import os\nos._exit(1)", "did not run to its end: DeadKernelError"),
    ],
)
def test_a_run_that_fails_says_where_and_why(
    cell: str, told: str, tmp_path: Path, project: paths.Project
) -> None:
    source = notebook(tmp_path / "one.ipynb", "number: int = 1  # number", cell)
    with pytest.raises(runner.RunError, match=told):
        run(source, project)


def test_a_cell_that_hangs_is_given_up(
    tmp_path: Path, project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "CELL_TIMEOUT", 2)
    source = notebook(tmp_path / "one.ipynb", "number: int = 1  # number", "import time\ntime.sleep(120)")
    with pytest.raises(runner.RunError, match="CellTimeoutError"):
        run(source, project)


def own_number(source: Path, project: paths.Project, number: int) -> int:
    return int(shown(run(source, project, number=number)))


def test_notebooks_that_run_at_once_in_one_folder_never_hear_each_other(
    tmp_path: Path, project: paths.Project
) -> None:
    # Sockets of that name in the working directory made kernels answer for one another.
    source = notebook(tmp_path / "one.ipynb", "number: int = 0  # number", "number")
    numbers = range(1, 9)
    with ProcessPoolExecutor(max_workers=4, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(own_number, [source] * 8, [project] * 8, numbers))

    assert found == list(numbers)
    assert not list(project.root.glob("kernel-ipc*"))


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where kernels of this test have their sockets, with the warm server where it is for all tests."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.environ.get("XDG_RUNTIME_DIR", tempfile.gettempdir()))
    # short, as the path of a socket may have no more than about 100 letters
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("ending", ["1", "1 / 0", "import os; os._exit(1)"])
def test_sockets_do_not_outlive_their_kernel(
    ending: str, tmp_path: Path, project: paths.Project, sockets: Path
) -> None:
    seen = tmp_path / "seen"
    look = f"import os, pathlib\npathlib.Path({str(seen)!r}).write_text(str(os.listdir({str(sockets)!r})))"
    source = notebook(tmp_path / "one.ipynb", look, ending)
    if ending == "1":
        run(source, project)
    else:
        with pytest.raises(runner.RunError):
            run(source, project)
    assert "casegrade-" in seen.read_text()
    assert not list(sockets.glob("casegrade-*"))


@needs_forks
def test_a_run_tells_of_its_kernel(tmp_path: Path, project: paths.Project) -> None:
    source, told = notebook(tmp_path / "one.ipynb", "1"), runner.Run()
    runner.execute(source, output=tmp_path / "out.ipynb", parameters={}, project=project, run=told)
    assert (told.kernel, told.attempts) == ("warm", 1)
    assert set(told.seconds) == {"start", "cells"}


# ------------------------------------------------------------------------------ what goes wrong


def failed(source: Path, project: paths.Project, **options: Any) -> tuple[str, nbformat.NotebookNode]:
    """Why a notebook did not run to its end, and what is kept of it."""
    output = source.with_name("kept.ipynb")
    with pytest.raises(runner.RunError) as raised:
        runner.execute(source, output=output, parameters={}, project=project, **options)
    return str(raised.value), nbformat.read(output, as_version=4)


def check_kept(kept: nbformat.NotebookNode, problem: str) -> None:
    """The reason stands on top, once, and below it is the notebook as far as it went."""
    assert kept.cells[0].cell_type == "markdown"
    assert kept.cells[0].source.startswith("**This run failed:**")
    assert problem.replace("<", "&lt;") in kept.cells[0].source
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert code[0].outputs[0]["data"]["text/plain"] == "'as far as it went'"
    assert code[2].execution_count is None
    assert sum("This run failed" in cell.source for cell in kept.cells) == 1
    nbformat.validate(kept)


@pytest.mark.parametrize("cell", ["raise ValueError('no such <audit>')", "import os\nos._exit(1)"])
def test_what_is_kept_of_a_run_that_failed_begins_with_the_reason(
    cell: str, tmp_path: Path, project: paths.Project
) -> None:
    source = notebook(tmp_path / "one.ipynb", "'as far as it went'", cell, "'not reached'")
    problem, kept = failed(source, project)
    check_kept(kept, problem)


def test_a_run_whose_time_is_up_ends_with_all_that_it_has_started(
    tmp_path: Path, project: paths.Project
) -> None:
    pids = tmp_path / "pids"
    source = notebook(
        tmp_path / "one.ipynb",
        "import os, pathlib, subprocess, time\n'as far as it went'",
        f"started = subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(pids)!r}).write_text(f'{{os.getpid()}} {{started.pid}}')\n"
        # it will not be interrupted
        "while True:\n    try:\n        time.sleep(600)\n    except KeyboardInterrupt:\n        pass",
        "'not reached'",
    )
    # long enough to get there, however slow the machine is
    for limit in (2, 8, 32):
        problem, kept = failed(source, project, limit=limit)
        assert problem == f"one.ipynb was stopped: it took longer than {limit} seconds"
        if pids.exists():
            break
    check_kept(kept, problem)
    assert eventually(lambda: all(is_gone(int(pid)) for pid in pids.read_text().split()))


def test_nothing_that_a_kernel_has_started_outlives_it(tmp_path: Path, project: paths.Project) -> None:
    pid = tmp_path / "pid"
    source = notebook(
        tmp_path / "one.ipynb",
        "import os, pathlib, subprocess",
        f"started = subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(started.pid))",
        "os._exit(1)",
    )
    failed(source, project)
    assert eventually(lambda: is_gone(int(pid.read_text())))


@pytest.fixture
def stillborn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many of the next kernels end before they are ready; those that have are counted."""
    counts = [0, 0]
    fork = warm.fork

    def begin(target: Any, *args: Any, **options: Any) -> warm.Process:
        if target is not kernels._be_kernel or counts[1] == counts[0]:
            return fork(target, *args, **options)
        counts[1] += 1
        return fork(sys.exit, 1)

    monkeypatch.setattr(warm, "fork", begin)
    return counts


@needs_forks
def test_a_kernel_that_does_not_start_is_started_again(
    tmp_path: Path, project: paths.Project, stillborn: list[int]
) -> None:
    stillborn[0] = 2
    source, told = notebook(tmp_path / "one.ipynb", "6 * 7"), runner.Run()
    done = runner.execute(source, output=tmp_path / "out.ipynb", parameters={}, project=project, run=told)
    assert shown(done) == "42"
    assert (told.attempts, told.kernel, stillborn[1]) == (3, "warm", 2)


@needs_forks
def test_kernels_that_never_start_are_given_up(
    tmp_path: Path, project: paths.Project, stillborn: list[int], sockets: Path
) -> None:
    stillborn[0] = 10
    source, told = notebook(tmp_path / "one.ipynb", "6 * 7"), runner.Run()
    problem, kept = failed(source, project, run=told)
    assert "the kernel did not start" in problem
    assert kept.cells[0].source.startswith("**This run failed:**")
    assert (told.attempts, told.kernel) == (runner.START_ATTEMPTS, "none")
    assert not list(sockets.glob("casegrade-*"))


@pytest.mark.parametrize("ending", ["raise ValueError", "import os; os._exit(1)", "import sys; sys.exit(3)"])
def test_cells_never_run_twice(ending: str, tmp_path: Path, project: paths.Project) -> None:
    lines = tmp_path / "lines"
    source = notebook(
        tmp_path / "one.ipynb", f"with open({str(lines)!r}, 'a') as file:\n    file.write('once\\n')", ending
    )
    told = runner.Run()
    failed(source, project, run=told)
    assert lines.read_text() == "once\n"
    assert told.attempts == 1


# ------------------------------------------------------------------------- the calling process


def test_runs_change_nothing_in_the_process_that_asks_for_them(
    tmp_path: Path, project: paths.Project
) -> None:
    second = paths.Project(tmp_path / "second")
    second.raw.mkdir(parents=True)
    second.notebooks.mkdir()
    before = (dict(os.environ), Path.cwd(), list(sys.path))
    look = "import os\nimport analysis.paths\n(os.getcwd(), str(analysis.paths.project().root))"
    source = notebook(tmp_path / "one.ipynb", "import time\ntime.sleep(0.3)", look)

    def told(where: paths.Project) -> list[tuple[str, str]]:
        found = []
        for n in range(3):
            output = where.root / f"out-{n}.ipynb"
            done = runner.execute(source, output=output, parameters={}, project=where)
            found.append(ast.literal_eval(shown(done)))
        # Jupyter's libraries open one in each thread and leave it open
        ensure_event_loop().close()
        return found

    with ThreadPoolExecutor(2) as threads:
        running = {where: threads.submit(told, where) for where in (project, second)}
        while not all(future.done() for future in running.values()):
            assert (dict(os.environ), Path.cwd(), list(sys.path)) == before
            time.sleep(0.01)
    for where, future in running.items():
        assert future.result() == [(str(where.root), str(where.root))] * 3
    assert (dict(os.environ), Path.cwd(), list(sys.path)) == before
