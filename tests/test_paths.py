import importlib.util
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from analysis import paths
from analysis.paths import Project, ProjectNotFoundError

ROOT = Path(__file__).resolve().parents[1]


def make_project(folder: Path) -> Path:
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    return folder


# outside every project, and no project named
@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv(paths.VARIABLE, raising=False)
    return folder


# the module where no checkout surrounds it, as after a normal installation
@pytest.fixture
def installed_elsewhere(tmp_path: Path) -> ModuleType:
    copy = tmp_path / "site-packages" / "analysis" / "paths.py"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(str(paths.__file__), copy)
    spec = importlib.util.spec_from_file_location("paths_elsewhere", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("raw", "data/raw"),
        ("processed", "data/processed"),
        ("notebooks", "notebooks"),
        ("reports", "reports"),
        ("docs", "docs"),
    ],
)
def test_every_folder_lies_below_the_root_and_need_not_exist(tmp_path: Path, name: str, place: str) -> None:
    folder = getattr(Project(tmp_path / "missing"), name)

    assert folder == tmp_path / "missing" / place
    assert not folder.exists()


@pytest.mark.parametrize("below", [".", "notebooks", "notebooks/scratch", "data/raw", "reports/kent/failed"])
def test_the_project_is_found_from_anywhere_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    root = make_project(tmp_path / "project")
    (root / below).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(root / below)

    assert paths.project() == Project(root)


def test_the_nearest_project_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(tmp_path / "outer")
    inner = make_project(tmp_path / "outer" / "copies" / "inner")
    monkeypatch.chdir(inner)

    assert paths.project().root == inner


def test_a_named_project_beats_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = make_project(tmp_path / "named")
    monkeypatch.chdir(make_project(tmp_path / "here"))
    monkeypatch.setenv(paths.VARIABLE, str(named))

    assert paths.project().root == named


@pytest.mark.parametrize("name", ["../named", "~/named", "../named/notebooks/.."])
def test_a_named_project_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    named = make_project(tmp_path / "named")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(paths.VARIABLE, name)

    assert paths.project().root == named.resolve()


def test_an_empty_name_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = make_project(tmp_path / "here")
    monkeypatch.chdir(here)
    monkeypatch.setenv(paths.VARIABLE, "")

    assert paths.project().root == here


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: shutil.rmtree(root),
        lambda root: shutil.rmtree(root / "notebooks"),
        lambda root: shutil.rmtree(root / "data"),
        lambda root: ((root / "data" / "raw").rmdir(), (root / "data" / "raw").write_text("")),
    ],
    ids=["missing", "without notebooks", "without data", "a file in the place of data/raw"],
)
def test_a_named_folder_that_is_no_project_is_refused_although_another_is_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object]
) -> None:
    named = make_project(tmp_path / "named")
    spoil(named)
    monkeypatch.chdir(make_project(tmp_path / "here"))
    monkeypatch.setenv(paths.VARIABLE, str(named))

    with pytest.raises(ProjectNotFoundError) as raised:
        paths.project()

    message = str(raised.value)
    assert paths.VARIABLE in message
    assert str(named) in message
    assert "data/raw and notebooks" in message
    assert "unset it" in message
    assert "\n" not in message


def test_outside_every_project_the_checkout_is_the_project() -> None:
    assert paths.project().root == ROOT


def test_where_there_is_no_project_at_all_the_message_says_what_to_do(
    installed_elsewhere: ModuleType,
) -> None:
    with pytest.raises(installed_elsewhere.ProjectNotFoundError, match="change into a checkout") as raised:
        installed_elsewhere.project()

    assert f"set {paths.VARIABLE}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_project_in_use_is_the_project_whatever_else_is_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = make_project(tmp_path / "named")
    monkeypatch.setenv(paths.VARIABLE, str(named))
    one, other = Project(tmp_path / "one"), Project(tmp_path / "other")

    with paths.using(one):
        assert paths.project() == one
        with paths.using(other):
            assert paths.project() == other
        assert paths.project() == one

    assert paths.project().root == named


def test_the_project_in_use_is_let_go_when_something_goes_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stopped"), paths.using(Project(tmp_path)):
        raise ValueError("stopped")

    assert paths.project().root == ROOT


def test_each_thread_has_a_project_in_use_of_its_own(tmp_path: Path) -> None:
    projects = [Project(tmp_path / str(number)) for number in range(4)]
    at_once = threading.Barrier(len(projects))

    def look(project: Project) -> Project:
        with paths.using(project):
            at_once.wait(60)
            return paths.project()

    with ThreadPoolExecutor(len(projects)) as pool:
        assert list(pool.map(look, projects)) == projects


def test_importing_touches_no_project(tmp_path: Path) -> None:
    code = "from analysis import paths; print(paths.VARIABLE)"

    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={paths.VARIABLE: str(tmp_path / "missing"), "PATH": ""},
    )

    assert told.stdout == f"{paths.VARIABLE}\n"
    assert told.stderr == ""
