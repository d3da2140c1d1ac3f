import ast
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from analysis import paths

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
LOGIC = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.For,
    ast.While,
    ast.If,
    ast.Try,
    ast.Lambda,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
    ast.GeneratorExp,
)
MOST_LINES = 8


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "00_start_here",
        "01_data_quality",
        "02_force_report",
        "03_national_picture",
        "04_explore",
        "05_claim_check",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
class TestEveryNotebook:
    def test_is_thin(self, path: Path) -> None:
        for cell in code_cells(path):
            assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
            assert not cell.source.lstrip().startswith(("%", "!")), cell.source
            assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, LOGIC)], (
                cell.source
            )

    def test_imports_only_the_analysis_package(self, path: Path) -> None:
        for cell in code_cells(path):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Import):
                    assert {alias.name.split(".")[0] for alias in node.names} == {"analysis"}
                if isinstance(node, ast.ImportFrom):
                    assert (node.module or "").split(".")[0] == "analysis"

    def test_names_no_path_and_no_address(self, path: Path) -> None:
        for cell in code_cells(path):
            texts = [
                node.value
                for node in ast.walk(ast.parse(cell.source))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
            assert not [text for text in texts if "/" in text or "\\" in text or "://" in text]

    def test_is_stored_as_run_from_top_to_bottom(self, path: Path) -> None:
        # nbval compares nothing in a cell without a count
        counts = [cell.execution_count for cell in code_cells(path)]
        assert counts == list(range(1, len(counts) + 1))

    def test_is_stored_without_errors_and_without_this_machine(self, path: Path) -> None:
        assert not [
            out for cell in code_cells(path) for out in cell.outputs if out.output_type in ("error", "stream")
        ]
        notebook = read(path)
        assert "papermill" not in notebook.metadata
        assert not [
            cell for cell in notebook.cells if "papermill" in cell.metadata or "execution" in cell.metadata
        ]

    def test_shows_every_result_with_words_before_it(self, path: Path) -> None:
        first = read(path).cells[0]
        assert first.cell_type == "markdown"
        assert first.source.startswith("# ")

    def test_is_valid(self, path: Path) -> None:
        nbformat.validate(read(path))


def test_the_force_report_has_exactly_one_parameters_cell() -> None:
    path = next(path for path in NOTEBOOKS if path.name.startswith("02_"))
    tagged = [cell for cell in read(path).cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1


@pytest.mark.parametrize(
    ("stored", "altered"),
    [
        # a figure in a table, and one in the words of a chart
        ("<td headers=", "<td data-altered headers="),
        ("28 inadequate (38%)", "27 inadequate (38%)"),
    ],
)
def test_a_stored_result_that_no_longer_holds_fails_the_notebook(
    tmp_path: Path, stored: str, altered: str
) -> None:
    source = next(path for path in NOTEBOOKS if path.name.startswith("02_")).read_text(encoding="utf-8")
    assert stored in source
    copy = tmp_path / "02_force_report.ipynb"
    # everywhere, as the drawing that nbval leaves out has the description too
    copy.write_text(source.replace(stored, altered), encoding="utf-8")
    root = NOTEBOOKS[0].parents[1]
    (tmp_path / "pytest.ini").touch()
    config = root / "tests" / "nbval_sanitize.cfg"

    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-sanitize-with",
        str(config),
        "-q",
        str(copy),
    ]
    done = subprocess.run(
        [*command, "-c", str(tmp_path / "pytest.ini"), "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {paths.VARIABLE: str(root)},
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert " failed" in done.stdout
