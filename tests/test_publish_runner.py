import ast
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from analysis import paths
from analysis.publish import runner


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


def test_sockets_do_not_outlive_their_kernel(
    tmp_path: Path, project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = tmp_path / "s"
    sockets.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(sockets))
    run(notebook(tmp_path / "one.ipynb", "number: int = 1  # number", "number"), project)
    assert not list(sockets.glob("casegrade-*"))
