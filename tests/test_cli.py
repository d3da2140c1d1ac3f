import csv
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analysis import cli, paths
from analysis.publish import plan

COMMANDS = ("clean", "check", "report", "notebooks", "dictionary")
STATEMENTS = "audit_statements.csv"


def run(*words: str) -> Any:
    return CliRunner().invoke(cli.app, list(words), prog_name="casegrade")


def with_force(project: paths.Project, text: str) -> None:
    """Put a text in the place of the first statement's force."""
    path = project.raw / STATEMENTS
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows[1][rows[0].index("force")] = text
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


@pytest.fixture(autouse=True)
def _plain_and_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    # help is laid out for the width of the terminal, which tests have none of
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def test_help_lists_every_command_with_a_sentence() -> None:
    done = run("--help")
    assert done.exit_code == 0
    assert done.stderr == ""
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b +[A-Z]\w+", done.stdout)


def test_every_command_there_is_is_tested_here() -> None:
    registered = {one.name or getattr(one.callback, "__name__", "") for one in cli.app.registered_commands}
    assert registered == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_of_its_own(command: str) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"casegrade {command}" in done.stdout


def test_help_on_reports_names_what_can_be_set() -> None:
    text = run("report", "--help").stdout
    for option in ("--all", "--parameter", "-p", "--baseline", "--follow-up", "--confidence", "--jobs"):
        assert option in text


def test_command_without_words_shows_what_there_is() -> None:
    done = run()
    assert done.exit_code == 2
    assert "report" in done.stdout + done.stderr


@pytest.mark.parametrize("words", [["bogus"], ["report", "--bogus"], ["clean", "extra"], ["--bogus"]])
def test_what_is_no_command_is_refused_on_the_error_stream(words: list[str]) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert words[-1] in done.stderr
    assert "Traceback" not in done.stderr


def test_cleaning_good_data_tells_the_counts_and_exits_0(project: paths.Project) -> None:
    done = run("clean")
    assert (done.exit_code, done.stderr) == (0, "")
    read, accepted, rejected = map(int, re.findall(r"(\d+) (?:rows read|accepted|rejected)", done.stdout))
    assert read == accepted + rejected > 0
    assert (project.processed / "audits.parquet").is_file()


@pytest.mark.usefixtures("project")
def test_checking_good_data_says_so_and_exits_0() -> None:
    done = run("check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "data/raw is as datapackage.json describes it" in done.stdout


def test_file_that_was_changed_by_hand_is_named_and_exits_1(project: paths.Project) -> None:
    with (project.raw / "claims.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    done = run("check")
    assert done.exit_code == 1
    assert "claims.csv" in done.stderr
    assert done.stdout == ""


def test_change_that_is_meant_is_recorded_once(project: paths.Project) -> None:
    path = project.raw / "claims.csv"
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    first, second = run("check", "--record"), run("check", "--record")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "claims.csv" in first.stdout
    assert "Nothing has changed" in second.stdout


def test_row_to_mend_is_told_on_the_error_stream_and_exits_1(project: paths.Project) -> None:
    with_force(project, "Narnia")
    done = run("clean")
    assert done.exit_code == 1
    assert re.search(rf'{STATEMENTS}, row 2, column force, value "Narnia"', done.stderr)
    assert "Narnia" not in done.stdout


def test_complaints_read_as_sentences(project: paths.Project) -> None:
    with_force(project, "Kentt")
    for line in run("clean").stderr.splitlines():
        assert not re.search(r"[?!]\.|\.\.|: [A-Z]\w+ you mean", line), line


def test_missing_file_is_named_and_nothing_is_written(project: paths.Project) -> None:
    (project.raw / "findings.csv").unlink()
    done = run("clean")
    assert done.exit_code == 1
    assert "findings.csv" in done.stderr
    assert done.stdout == ""
    assert not project.processed.exists()


def test_folder_that_is_no_project_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.VARIABLE, str(tmp_path))
    done = run("clean")
    assert done.exit_code == 2
    assert str(tmp_path) in done.stderr
    assert paths.VARIABLE in done.stderr
    assert done.stdout == ""


def test_project_can_be_named_for_one_command(
    project: paths.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.VARIABLE, str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    done = run("--project", "project", "clean")
    assert done.exit_code == 0
    assert (project.processed / "manifest.json").is_file()


def test_dictionary_is_written_where_it_says(project: paths.Project) -> None:
    done = run("dictionary")
    assert done.exit_code == 0
    assert done.stdout.strip() == "docs/data-dictionary.md"
    assert (project.docs / "data-dictionary.md").is_file()


def test_notebook_that_fails_exits_1_and_stays_as_it_was(project: paths.Project) -> None:
    path = project.notebooks / plan.QUALITY_NOTEBOOK
    broken = path.read_text(encoding="utf-8").replace("analysis.load_evidence()", "1 / 0")
    path.write_text(broken, encoding="utf-8")
    done = run("notebooks")
    assert done.exit_code == 1
    assert plan.QUALITY_NOTEBOOK in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert path.read_text(encoding="utf-8") == broken
    assert not [one.name for one in project.notebooks.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize(
    "text",
    [
        "[bold]Kent[/bold]",
        "[/red]Kent",
        "[link=https://evil.example]Kent[/link]",
        "Kent :100: :warning:",
        "{kent!r} %s",
        "Kent \\[x]",
    ],
    ids=["markup", "closing tag", "link", "emoji", "placeholders", "backslash"],
)
def test_words_of_a_file_are_shown_as_they_are(text: str, project: paths.Project) -> None:
    with_force(project, text)
    done = run("clean")
    assert done.exit_code == 1
    assert f'"{text}"' in done.stderr


def test_a_complaint_stays_on_one_line_however_narrow_the_terminal(
    project: paths.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a line is what a log or grep finds
    monkeypatch.setenv("COLUMNS", "40")
    with_force(project, "The county that lies behind the wardrobe")
    told = [line for line in run("clean").stderr.splitlines() if "wardrobe" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{STATEMENTS}, row 2")


@pytest.mark.parametrize("text", ["[/red]", "[bold]kent[/bold]", ":100:"])
def test_words_of_a_command_are_shown_as_they_are(text: str, project: paths.Project) -> None:
    done = run("report", text)
    assert done.exit_code == 2
    assert f'"{text}"' in done.stderr
    assert not project.reports.exists()


@pytest.mark.parametrize(
    "text",
    ["Kent\x1b[2J", "Kent\x1b]0;gone\x07", "Kent\x08\x08\x08\x08Essex", "Kent\u202etxet"],
    ids=["erase", "rename", "overwrite", "turn round"],
)
def test_words_of_a_file_do_not_steer_the_terminal(text: str, project: paths.Project) -> None:
    # erasing, renaming, overwriting and turning round what is shown is for no raw file to do
    with_force(project, text)
    done = run("clean")
    assert done.exit_code == 1
    assert STATEMENTS in done.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", done.stderr)


def test_installed_command_is_this_one(project: paths.Project) -> None:
    command = Path(sys.executable).with_name("casegrade")
    done = subprocess.run([command, "check"], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "datapackage.json" in done.stdout
    refused = subprocess.run(
        [command, "report", "warwick"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "warwickshire" in refused.stderr
    assert "\x1b" not in refused.stderr
    assert not project.reports.exists()
