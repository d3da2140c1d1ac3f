import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4

from analysis import paths
from analysis.publish import batch, parameters, plan
from analysis.publish.parameters import ParameterError

SHIPPED = Path(__file__).resolve().parents[1] / "notebooks" / plan.FORCE_NOTEBOOK

DECLARED = (
    'force: str = "kent"  # which force\n'
    "confidence: float = 0.95  # level of intervals\n"
    "top: int = 3  # how many rows\n"
    "is_draft: bool = True  # whether to mark it as a draft"
)


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook with one parameter of each type."""
    return written(tmp_path, parameter_cell(DECLARED), v4.new_code_cell("1 / 0"))


def parameter_cell(source: str) -> Any:
    return v4.new_code_cell(source, metadata={"tags": ["parameters"]})


def written(folder: Path, *cells: Any, name: str = "report.ipynb") -> Path:
    made = v4.new_notebook(cells=list(cells))
    made.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(made, folder / name)
    return folder / name


def test_shipped_notebook_declares_its_four_parameters_with_types_and_help() -> None:
    declared = parameters.declared(SHIPPED)
    assert {name: one.type for name, one in declared.items()} == {
        "force": "str",
        "baseline": "str",
        "follow_up": "str",
        "confidence": "float",
    }
    assert all(len(one.help.split()) > 3 for one in declared.values())


def test_shipped_notebook_defaults_to_warwickshire_at_95_percent() -> None:
    declared = parameters.declared(SHIPPED)
    assert declared["force"].default.strip("\"'") == "warwickshire"
    assert float(declared["confidence"].default) == 0.95
    assert [declared[name].default.strip("\"'") for name in ("baseline", "follow_up")] == ["", ""]


def test_parameters_are_declared_in_the_order_of_their_cell(notebook: Path) -> None:
    declared = parameters.declared(notebook)
    assert list(declared) == ["force", "confidence", "top", "is_draft"]
    assert declared["top"] == parameters.Parameter(name="top", type="int", default="3", help="how many rows")


def test_no_parameter_given_leaves_every_default(notebook: Path) -> None:
    assert parameters.checked(notebook, {}) == {}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("force", "kent", "kent"),
        ("force", "Kent Police", "kent"),
        ("force", "Devon & Cornwall", "devon-and-cornwall"),
        ("force", "London, City of", "city-of-london"),
        ("confidence", "0.9", 0.9),
        ("confidence", 0.9, 0.9),
        ("top", "5", 5),
        ("is_draft", "false", False),
        ("is_draft", True, True),
    ],
)
def test_values_come_back_in_the_declared_type(notebook: Path, name: str, given: Any, value: Any) -> None:
    checked = parameters.checked(notebook, {name: given})
    assert checked == {name: value}
    assert type(checked[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("confidence", "high"),
        ("confidence", "0,95"),
        ("confidence", "95%"),
        ("confidence", ""),
        ("confidence", None),
        ("top", "2.5"),
        ("top", "many"),
        ("is_draft", "perhaps"),
        ("force", 5),
        ("force", None),
        ("force", ["kent"]),
    ],
)
def test_ill_typed_value_is_refused_with_the_parameter_the_value_and_its_help(
    notebook: Path, name: str, given: Any
) -> None:
    with pytest.raises(ParameterError) as refusal:
        parameters.checked(notebook, {name: given})
    message = str(refusal.value)
    assert name in message
    assert str(given) in message
    assert parameters.declared(notebook)[name].help in message


@pytest.mark.parametrize("level", ["0", "1", "1.0", "95", "-0.95", "nan", "inf", "1e-9"])
def test_confidence_that_is_no_level_is_refused(notebook: Path, level: str) -> None:
    with pytest.raises(ParameterError, match="confidence"):
        parameters.checked(notebook, {"confidence": level})


@pytest.mark.parametrize(
    ("given", "near"),
    [("forse", "force"), ("Force", "force"), ("confidance", "confidence"), ("is_drft", "is_draft")],
)
def test_misspelt_parameter_is_refused_with_the_near_match(notebook: Path, given: str, near: str) -> None:
    with pytest.raises(ParameterError, match=rf'no parameter "{given}".*\b{near}\b'):
        parameters.checked(notebook, {given: "kent"})


def test_parameter_unlike_any_other_is_refused_with_all_that_there_are(notebook: Path) -> None:
    with pytest.raises(ParameterError, match="force, confidence, top, is_draft"):
        parameters.checked(notebook, {"zzz": "kent"})


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("given", "near"), [("warwick", "warwickshire"), ("Yorkshire", "north-yorkshire"), ("kentt", "kent")]
)
def test_unknown_force_is_refused_with_near_matches(notebook: Path, given: str, near: str) -> None:
    with pytest.raises(ParameterError, match=rf'"{given}".*\b{near}\b'):
        parameters.checked(notebook, {"force": given})


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("given", ["", "  ", "Police Scotland", "../../etc", "Wales"])
def test_what_is_no_force_at_all_is_refused(notebook: Path, given: str) -> None:
    with pytest.raises(ParameterError, match="No force is called"):
        parameters.checked(notebook, {"force": given})


def test_missing_notebook_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"report\.ipynb is missing: restore it"):
        parameters.declared(tmp_path / "report.ipynb")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b'{"cells": [',
        b"[]",
        b"{}",
        b"null",
        b'{"cells": 5, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        b'{"cells": [{"cell_type": "code"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        b'{"cells": [], "metadata": {}, "nbformat": 99, "nbformat_minor": 0}',
        b"\xff\xfe\x00\x00 not utf-8",
    ],
    ids=[
        "empty",
        "words",
        "cut off",
        "list",
        "no fields",
        "null",
        "number of cells",
        "half a cell",
        "version 99",
        "not utf-8",
    ],
)
def test_broken_notebook_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    notebook = tmp_path / "report.ipynb"
    notebook.write_bytes(content)
    with pytest.raises(ParameterError, match=r"report\.ipynb .*(restore|tag)"):
        parameters.declared(notebook)


def test_folder_in_the_place_of_a_notebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.ipynb").mkdir()
    with pytest.raises(ParameterError, match=r"report\.ipynb"):
        parameters.declared(tmp_path / "report.ipynb")


@pytest.mark.parametrize("count", [0, 2, 3])
def test_notebook_needs_exactly_one_parameters_cell(tmp_path: Path, count: int) -> None:
    cells = [parameter_cell(DECLARED) for _ in range(count)]
    notebook = written(tmp_path, v4.new_markdown_cell("# Report"), *cells)
    with pytest.raises(ParameterError, match=rf'has {count} cells tagged "parameters".*exactly one'):
        parameters.declared(notebook)


@pytest.mark.parametrize(
    "source",
    ['force = "kent"  # which force', "rows: list = []  # which rows", "when: object = None  # when"],
)
def test_parameter_without_a_type_that_is_known_is_refused(tmp_path: Path, source: str) -> None:
    notebook = written(tmp_path, parameter_cell(source))
    with pytest.raises(ParameterError, match=r"without a type.*str, float, int, bool"):
        parameters.declared(notebook)


def test_empty_parameters_cell_declares_nothing(tmp_path: Path) -> None:
    notebook = written(tmp_path, parameter_cell(""))
    assert parameters.declared(notebook) == {}
    with pytest.raises(ParameterError, match='no parameter "force"'):
        parameters.checked(notebook, {"force": "kent"})


def test_nothing_is_run_to_find_out_the_parameters(tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    notebook = written(
        tmp_path, parameter_cell(DECLARED), v4.new_code_cell(f"open({str(mark)!r}, 'w').close()")
    )
    before = notebook.read_bytes()
    parameters.checked(notebook, {"top": 4})
    assert not mark.exists()
    assert notebook.read_bytes() == before


def test_batch_checks_the_notebook_of_the_project_it_is_given(project: paths.Project) -> None:
    notebook = project.notebooks / plan.FORCE_NOTEBOOK
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        cell["metadata"]["tags"] = [tag for tag in cell["metadata"].get("tags", []) if tag != "parameters"]
    notebook.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ParameterError, match='0 cells tagged "parameters"'):
        batch.check_notebook(project, {})


def test_copy_of_the_notebook_under_another_name_declares_the_same(tmp_path: Path) -> None:
    copy = shutil.copyfile(SHIPPED, tmp_path / "other name.ipynb")
    assert parameters.declared(Path(copy)) == parameters.declared(SHIPPED)
