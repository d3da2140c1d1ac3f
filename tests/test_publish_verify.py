import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import synthetic
from synthetic import small
from typer.testing import CliRunner

from analysis import cli, paths, vocabulary
from analysis.present import wording
from analysis.publish import batch, plan, record, shelf, verify
from analysis.publish.record import Outcome
from analysis.publish.verify import Finding, State, UnknownFileError

# two runs with kernels that all tests here share: keep them on one worker
pytestmark = pytest.mark.xdist_group("verify")

NAMES = ("dorset", "suffolk", record.QUALITY)
FIRST, SECOND = (f"from IPython.display import HTML\nHTML('<p>{word}</p>')" for word in ("first", "second"))
FIGURES = ("figures.csv", "figures.xlsx")


@dataclass(frozen=True)
class Published:
    """A project after two runs, and copies of what the first one published."""

    project: paths.Project
    first: Path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("verify")
    project = synthetic.copy_of_project(folder / "project")
    small(project, FIRST)
    small(project, FIRST, notebook=plan.QUALITY_NOTEBOOK)
    run(project)
    first = Path(shutil.copytree(project.reports, folder / "first"))
    small(project, SECOND)
    small(project, SECOND, notebook=plan.QUALITY_NOTEBOOK)
    assert all(result.is_new for result in run(project))
    return Published(project, first)


def run(project: paths.Project) -> list[batch.Result]:
    asked = batch.Asked(("dorset", "suffolk"), with_quality=True, publish=True)
    results = batch.run(project, shelf.at(project.reports), asked, jobs=2)
    assert {result.outcome for result in results} == {Outcome.PUBLISHED}
    return results


@pytest.fixture
def project(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> paths.Project:
    copy = paths.Project(Path(shutil.copytree(published.project.root, tmp_path / "project")))
    monkeypatch.setenv(paths.VARIABLE, str(copy.root))
    return copy


def judged(file: Path, project: paths.Project) -> Finding:
    return verify.verify(file, shelf.at(project.reports), vocabulary.forces(project.raw).slugs)


def sent(file: Path, folder: Path, *, name: str = "from a colleague") -> Path:
    """A copy of a file, as it lies somewhere else under another name."""
    folder.mkdir(exist_ok=True)
    return Path(shutil.copyfile(file, folder / f"{name}{file.suffix}"))


def files_of(name: str) -> tuple[str, ...]:
    shown = ("report.html", "report.ipynb")
    return shown if name == record.QUALITY else (*shown, *FIGURES)


EVERY_FILE = [(name, file) for name in NAMES for file in files_of(name)]


@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_file_in_its_place_and_a_copy_elsewhere_are_as_published(
    name: str, file: str, published: Published, tmp_path: Path
) -> None:
    project = published.project
    known = shelf.recorded(shelf.at(project.reports), name)
    assert known is not None
    original = project.reports / name / file
    for one in (original, sent(original, tmp_path / "downloads")):
        found = judged(one, project)
        assert found.state is State.AS_PUBLISHED
        assert found.sentence == (
            f"As published: the report {name}, run {known.run_id} of {wording.minute(known.finished)}."
        )


@pytest.mark.parametrize("name", NAMES)
def test_copy_from_before_the_last_run_is_superseded(name: str, published: Published, tmp_path: Path) -> None:
    found = judged(sent(published.first / name / "report.html", tmp_path / "mail"), published.project)
    assert found.state is State.SUPERSEDED
    assert re.match(
        rf"Superseded: the report {name} as made on .*; the report was published on ", found.sentence
    )


def test_file_that_a_later_run_made_the_same_again_is_as_published(
    published: Published, tmp_path: Path
) -> None:
    # the figures did not change when the notebook did
    found = judged(sent(published.first / "dorset" / "figures.csv", tmp_path / "mail"), published.project)
    assert found.state is State.AS_PUBLISHED


def test_old_copy_that_came_with_its_old_record_is_superseded_all_the_same(published: Published) -> None:
    found = judged(published.first / "dorset" / "report.html", published.project)
    assert found.state is State.SUPERSEDED


EDITS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a word of a page": ("report.html", lambda before: before.replace(b"second", b"better")),
    "a space at the end of a page": ("report.html", lambda before: before + b" "),
    "a page saved by a browser": (
        "report.html",
        lambda before: re.sub(
            rb'<meta name="(.*?)" content="(dorset)">', rb"<META content='\2' name='\1' />", before
        ),
    ),
    "a figure": ("figures.csv", lambda before: before.replace(b"0.", b"0.9", 1)),
}


@pytest.mark.parametrize("file", ["report.html", "figures.csv"])
def test_other_line_ends_are_no_alteration(file: str, published: Published, tmp_path: Path) -> None:
    copy = sent(published.project.reports / "dorset" / file, tmp_path / "downloads")
    copy.write_bytes(copy.read_bytes().replace(b"\n", b"\r\n"))
    assert judged(copy, published.project).state is State.AS_PUBLISHED


@pytest.mark.parametrize("name", EDITS)
def test_altered_copy_is_known_by_the_name_that_it_carries(
    name: str, published: Published, tmp_path: Path
) -> None:
    file, edit = EDITS[name]
    copy = sent(published.project.reports / "dorset" / file, tmp_path / "downloads")
    before = copy.read_bytes()
    copy.write_bytes(edit(before))
    assert copy.read_bytes() != before
    found = judged(copy, published.project)
    assert found.state is State.ALTERED
    assert "the report dorset" in found.sentence
    assert "take the file from where it was published" in found.sentence


@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_file_that_was_altered_in_its_place_is_told_as_altered(
    name: str, file: str, project: paths.Project
) -> None:
    path = project.reports / name / file
    path.write_bytes(path.read_bytes() + b"\n")
    found = judged(path, project)
    assert found.state is State.ALTERED
    assert f"the report {name}" in found.sentence


def test_altered_copy_of_a_file_without_a_name_inside_is_known_by_its_folder(
    published: Published, tmp_path: Path
) -> None:
    copy = sent(published.project.reports / "dorset" / "figures.xlsx", tmp_path / "dorset", name="figures")
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert judged(copy, published.project).state is State.ALTERED


# ------------------------------------------------------------------ away from the reports


@pytest.fixture
def elsewhere(published: Published, tmp_path: Path) -> paths.Project:
    """The project of somebody who has made no reports."""
    root = tmp_path / "elsewhere"
    shutil.copytree(published.project.raw, root / "data" / "raw")
    shutil.copytree(published.project.notebooks, root / "notebooks")
    return paths.Project(root)


@pytest.mark.parametrize(("name", "file"), EVERY_FILE)
def test_file_that_came_with_its_record_is_judged_by_it_and_that_is_said(
    name: str, file: str, published: Published, elsewhere: paths.Project, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(published.project.reports / name, tmp_path / "attachments"))
    found = judged(folder / file, elsewhere)
    assert found.state is State.AS_PUBLISHED
    assert f"the report {name}" in found.sentence
    assert found.sentence.endswith(", by the record that came with it.")
    (folder / file).write_bytes((folder / file).read_bytes() + b" ")
    assert judged(folder / file, elsewhere).state is State.ALTERED


def test_old_file_that_came_with_the_record_of_a_later_version_is_superseded(
    published: Published, elsewhere: paths.Project, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(published.project.reports / "dorset", tmp_path / "attachments"))
    shutil.copyfile(published.first / "dorset" / "report.html", folder / "report.html")
    assert judged(folder / "report.html", elsewhere).state is State.SUPERSEDED


def test_without_reports_and_without_a_record_nothing_can_be_said(
    published: Published, elsewhere: paths.Project, tmp_path: Path
) -> None:
    copy = sent(published.project.reports / "dorset" / "report.html", tmp_path / "mail")
    with pytest.raises(UnknownFileError, match=r"No record says anything.*put the report's record\.json"):
        judged(copy, elsewhere)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("holiday.jpg", b"\xff\xd8\xff\x00"),
        ("notes.csv", b"a,b\n1,2\n"),
        ("empty.csv", b""),
        ("one line.csv", b"force"),
        ("long.csv", b'force\n"' + b"x" * 200_000),
        ("zero.csv", b"force\n\0\n"),
        ("page.html", b'<meta name="casegrade-report" content="narnia">'),
        ("cut.html", b'<meta name="casegrade-report" content="'),
        ("record.json", b"{}"),
    ],
)
def test_file_of_no_report_is_refused(
    name: str, content: bytes, published: Published, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnknownFileError, match=f"No record says anything of {re.escape(name)}"):
        judged(tmp_path / name, published.project)


@pytest.mark.parametrize("name", ["missing.html", "."])
def test_file_that_cannot_be_read_is_refused(name: str, published: Published, tmp_path: Path) -> None:
    with pytest.raises(UnknownFileError, match="cannot be read"):
        judged(tmp_path / name, published.project)


def test_what_a_failed_run_left_was_never_published(project: paths.Project) -> None:
    small(project, "1 / 0")
    asked = batch.Asked(("dorset",))
    (result,) = batch.run(project, shelf.at(project.reports), asked)
    assert result.outcome is Outcome.FAILED
    left = project.reports / "dorset" / "failed" / "report.ipynb"
    with pytest.raises(UnknownFileError, match=r"report\.ipynb is what a failed run left"):
        judged(left, project)
    # the report that is still there is as published, by its own record
    assert judged(project.reports / "dorset" / "report.html", project).state is State.AS_PUBLISHED
    # and so is a copy of it that somebody put beside the failed one
    copy = sent(project.reports / "dorset" / "report.html", left.parent)
    assert judged(copy, project).state is State.AS_PUBLISHED


def test_record_is_held_against_nothing(published: Published) -> None:
    with pytest.raises(UnknownFileError, match="what other files are held against"):
        judged(published.project.reports / "dorset" / record.FILE, published.project)


# ---------------------------------------------------------------------------- the command


def casegrade(*words: str | Path) -> Any:
    return CliRunner().invoke(cli.app, ["verify", *map(str, words)], prog_name="casegrade")


def test_command_says_as_published_and_exits_0(project: paths.Project) -> None:
    done = casegrade(project.reports / "dorset" / "report.html")
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.fullmatch(r"As published: the report dorset, run \w{32} of .* at \d\d:\d\d\.\n", done.stdout)


def test_command_says_altered_and_exits_1(project: paths.Project) -> None:
    page = project.reports / "dorset" / "report.html"
    page.write_bytes(page.read_bytes() + b" ")
    done = casegrade(page)
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.startswith("Altered: ")


@pytest.mark.usefixtures("project")
def test_command_says_superseded_and_exits_1(published: Published, tmp_path: Path) -> None:
    done = casegrade(sent(published.first / "dorset" / "report.html", tmp_path / "mail"))
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.startswith("Superseded: ")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", ["unknown.html", "missing.html"])
def test_command_refuses_what_it_cannot_judge_and_exits_2(name: str, tmp_path: Path) -> None:
    (tmp_path / "unknown.html").write_text("<p>", encoding="utf-8")
    done = casegrade(tmp_path / name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_command_judges_several_files_and_names_each(project: paths.Project) -> None:
    good, bad = project.reports / "dorset" / "report.html", project.reports / "suffolk" / "figures.csv"
    bad.write_bytes(b"force\nsuffolk\n")
    done = casegrade(good, bad)
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{good}: As published: the report dorset")
    assert second.startswith(f"{bad}: Altered: this is no version of the report suffolk")


def test_command_looks_where_it_is_told_that_the_reports_are(project: paths.Project, tmp_path: Path) -> None:
    page = sent(project.reports / "dorset" / "report.html", tmp_path / "mail")
    project.reports.rename(tmp_path / "archive")
    assert casegrade(page).exit_code == 2
    assert casegrade(page, "--output", tmp_path / "archive").exit_code == 0
    assert casegrade(page, "--output", f"file://{tmp_path}/archive").exit_code == 0


def test_verifying_writes_nothing(project: paths.Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.root.rglob("*")}
    casegrade(project.reports / "dorset" / "report.html")
    assert {path: path.stat().st_mtime_ns for path in project.root.rglob("*")} == before
