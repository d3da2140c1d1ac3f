import csv
import io
import json
import re
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
import synthetic
from synthetic import small
from typer.testing import CliRunner

from analysis import cli, paths
from analysis.publish import batch, plan, record, shelf
from analysis.schedule import commands

# runs with kernels that some tests here share: keep them on one worker
pytestmark = pytest.mark.xdist_group("cli")

COMMANDS = (
    *("clean", "check", "report", "publish", "withdraw", "verify", "notebooks", "dictionary"),
    *("clean-runs", "lab", "schedule"),
)
OF_SCHEDULE = ("run-due", "next", "status", "serve", "export")
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
    groups = {one.name for one in cli.app.registered_groups}
    assert registered | groups == set(COMMANDS)
    assert {one.name or one.callback.__name__ for one in commands.app.registered_commands} == set(OF_SCHEDULE)


def test_help_lists_every_command_of_the_schedule_with_a_sentence() -> None:
    done = run("schedule", "--help")
    assert done.exit_code == 0
    for command in OF_SCHEDULE:
        assert re.search(rf"\b{command}\b +[A-Z]\w+", done.stdout)
        assert run("schedule", command, "--help").exit_code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_of_its_own(command: str) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"casegrade {command}" in done.stdout


def test_help_on_reports_names_what_can_be_set() -> None:
    text = run("report", "--help").stdout
    for option in (
        *("--all", "--parameter", "-p", "--baseline", "--follow-up", "--confidence", "--jobs"),
        *("--force-rebuild", "--dry-run", "--deadline", "--report-deadline", "--wait"),
        *("--cluster", "--output", "--auto-publish", "--pdf", "--interactive", "--log-format", "--timings"),
    ):
        assert re.search(rf"{option}\b", text), option


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
    told = done.stdout.strip().split(", ")
    assert told == ["docs/data-dictionary.md", "docs/run-record.schema.json"]
    assert all((project.root / name).is_file() for name in told)


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


# ------------------------------------------------------------------------------------ reports

SHOW = "from IPython.display import HTML\nHTML(f'<h2>{force}</h2>')"
# the outcomes that these three have, with whatever notebook
FORCES = {"dorset": "draft", "hampshire": "one audit only", "kent": "no audits yet"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What some commands said one after the other in one project, by the name of each; and the project."""
    project = synthetic.copy_of_project(tmp_path_factory.mktemp("cli") / "project")
    small(project, SHOW)
    said: dict[str, Any] = {"project": project}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.VARIABLE, str(project.root))
        patch.setenv("COLUMNS", "200")
        said["before"] = run("report", *FORCES, "--dry-run")
        said["before, in JSON"] = run("report", *FORCES, "--dry-run", "--log-format", "json")
        said["no records"] = run("report", "--timings")
        said["first"] = run("report", *FORCES, "--log-format", "json", "--jobs", "2")
        said["again"] = run("report", *FORCES)
        said["again, in JSON"] = run("report", *FORCES, "--log-format", "json")
        said["after"] = run("report", *FORCES, "--dry-run")
        said["timings"] = run("report", *FORCES, "--timings", "--force-rebuild", "--jobs", "2")
        said["records"] = run("report", "--timings")
    return said


def events(done: Any) -> list[dict[str, Any]]:
    """What was told in JSON: every line of it is one object."""
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(datetime.fromisoformat(one["time"]).utcoffset() is not None for one in found)
    return found


def table(text: str) -> list[list[str]]:
    """The rows of a table as it is drawn, without its head."""
    lines = [line for line in text.splitlines() if re.match(r"[│|]", line)]
    return [[cell.strip() for cell in re.split(r"[│|]", line)[1:-1]] for line in lines]


def test_run_told_in_json_is_one_object_per_line_from_begun_to_ended(made: dict[str, Any]) -> None:
    done = made["first"]
    assert done.exit_code == 0
    told = events(done)
    assert [one["event"] for one in told] == ["begun", "report", "report", "report", "ended"]
    assert told[0]["reports"] == 3
    reports = {one["report"]: one for one in told[1:-1]}
    assert {name: one["outcome"] for name, one in reports.items()} == FORCES
    for name in ("dorset", "hampshire"):
        known = shelf.recorded(shelf.at(made["project"].reports), name)
        assert known is not None
        assert reports[name]["is_new"] is True
        assert reports[name]["reasons"] == ["there is no report yet"]
        assert reports[name]["headline"] == known.headline
        assert reports[name]["kernel"] in ("warm", "fresh")
        assert reports[name]["seconds"] > 0
    assert reports["kent"]["is_new"] is False
    ended = told[-1]
    assert ended["outcomes"] == dict.fromkeys(FORCES.values(), 1)
    assert ended["made"] == 2
    assert ended["index"] == str(made["project"].reports / "index.html")
    assert done.stdout == ""


def test_report_that_stays_is_told_as_not_new(made: dict[str, Any]) -> None:
    told = events(made["again, in JSON"])
    reports = [one for one in told if one["event"] == "report"]
    assert [(one["report"], one["outcome"], one["is_new"], one["reasons"]) for one in reports] == [
        (name, outcome, False, []) for name, outcome in FORCES.items()
    ]
    assert told[-1]["made"] == 0


def test_summary_at_the_end_counts_outcomes_and_what_was_made_now(made: dict[str, Any]) -> None:
    done = made["again"]
    assert (done.exit_code, done.stderr) == (0, "")
    assert table(done.stdout) == [[outcome, "1", "0"] for outcome in FORCES.values()]
    assert re.search(
        rf"^[\d.]+ seconds\. Index: {re.escape(str(made['project'].reports))}/index\.html$",
        done.stdout,
        re.MULTILINE,
    )


def test_dry_run_lists_every_report_with_its_reason(made: dict[str, Any]) -> None:
    before, after = made["before"], made["after"]
    assert (before.exit_code, before.stderr) == (after.exit_code, after.stderr) == (0, "")
    none = ["kent", "no", "it has no audits"]
    assert table(before.stdout) == [
        ["dorset", "yes", "there is no report yet"],
        ["hampshire", "yes", "there is no report yet"],
        none,
    ]
    assert "2 of 3 would be made. Nothing was written." in before.stdout
    unchanged = "nothing that it depends on changed"
    assert table(after.stdout) == [["dorset", "no", unchanged], ["hampshire", "no", unchanged], none]
    assert "0 of 3 would be made." in after.stdout


def test_dry_run_in_json_tells_what_is_planned(made: dict[str, Any]) -> None:
    told = [one for one in events(made["before, in JSON"]) if one["event"] == "planned"]
    assert [(one["report"], one["is_due"], one["reasons"]) for one in told] == [
        ("dorset", True, ["there is no report yet"]),
        ("hampshire", True, ["there is no report yet"]),
        ("kent", False, ["it has no audits"]),
    ]


TIMES = ["start_seconds", "cells_seconds", "page_seconds", "files_seconds"]


@pytest.mark.parametrize("said", ["timings", "records"])
def test_timings_are_csv_with_a_row_for_each_report(said: str, made: dict[str, Any]) -> None:
    done = made[said]
    assert done.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["report", "outcome", "started", "finished", "seconds", *TIMES, "kernel"]
    assert [(row["report"], row["outcome"]) for row in rows] == [
        ("dorset", "draft"),
        ("hampshire", "one audit only"),
    ]
    for row in rows:
        taken = datetime.fromisoformat(row["finished"]) - datetime.fromisoformat(row["started"])
        assert float(row["seconds"]) == pytest.approx(taken.total_seconds())
        assert all(float(row[name]) >= 0 for name in TIMES)
        assert row["kernel"] in ("warm", "fresh")


def test_timings_of_a_run_are_those_in_the_records(made: dict[str, Any]) -> None:
    assert made["timings"].stdout == made["records"].stdout
    # progress is told all the same, where it does not mix with the rows
    assert "dorset: draft" in made["timings"].stderr


def test_timings_before_any_run_are_a_head_without_rows(made: dict[str, Any]) -> None:
    done = made["no records"]
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        ",".join(["report", "outcome", "started", "finished", "seconds", *TIMES, "kernel"])
    ]


def test_timings_include_the_page_on_data_quality(project: paths.Project) -> None:
    small(project, "1", notebook=plan.QUALITY_NOTEBOOK)
    batch.run(project, shelf.at(project.reports), batch.Asked((), with_quality=True))
    (row,) = csv.DictReader(io.StringIO(run("report", "--timings").stdout))
    assert row["report"] == record.QUALITY


def test_note_and_refusals_are_json_too_if_that_is_asked_for(
    project: paths.Project, kernels: list[str]
) -> None:
    claims = project.raw / "claims.csv"
    claims.write_bytes(claims.read_bytes().rstrip(b"\n"))
    noted = events(run("report", "kent", "--log-format", "json"))
    assert [one["event"] for one in noted] == ["begun", "message", "report", "ended"]
    assert "claims.csv" in noted[1]["message"]

    done = run("report", "narnia", "--log-format", "json")
    assert done.exit_code == 2
    (refused,) = events(done)
    assert refused["event"] == "error"
    assert '"narnia"' in refused["message"]

    with_force(project, "Narnia")
    done = run("report", "dorset", "--log-format", "json")
    assert done.exit_code == 1
    assert [one["event"] for one in events(done)] == ["begun", "message", "error"]
    assert kernels == []


def hanging(folder: Path) -> str:
    """A cell that starts a process and hangs, for Dorset; it leaves both numbers in `folder`."""
    return f"""
if force == "dorset":
    import os, subprocess, time
    from pathlib import Path
    child = subprocess.Popen(["sleep", "600"])
    Path({str(folder)!r}, "begun").write_text(f"{{os.getpid()}} {{child.pid}}")
    time.sleep(600)
"""


def assert_gone(file: Path) -> None:
    """None of the processes whose numbers are in a file is left, save for the shell that nobody waited for."""
    numbers = [int(number) for number in file.read_text(encoding="utf-8").split()]
    assert numbers
    for number in numbers:
        if psutil.pid_exists(number):
            try:
                process = psutil.Process(number)
                process.wait(10)
            except psutil.NoSuchProcess:
                continue
            except psutil.TimeoutExpired:
                assert process.status() == psutil.STATUS_ZOMBIE


def test_report_that_takes_too_long_is_stopped_with_all_it_started_and_the_others_go_on(
    project: paths.Project, tmp_path: Path
) -> None:
    small(project, "'before'", hanging(tmp_path), SHOW)

    done = run("report", "dorset", "hampshire", "suffolk", "--report-deadline", "3", "--jobs", "2")

    assert done.exit_code == 1
    told = dict(line.split(": ", 1) for line in done.stderr.splitlines())
    assert set(told) == {"dorset", "hampshire", "suffolk"}
    assert told["dorset"] == f"{plan.FORCE_NOTEBOOK} was stopped: it took longer than 3 seconds"
    assert told["hampshire"].startswith("one audit only")
    assert told["suffolk"].startswith("draft")
    assert_gone(tmp_path / "begun")
    failed = project.reports / "dorset" / "failed"
    left = nbformat.read(failed / "report.ipynb", as_version=4)
    assert left.cells[0].cell_type == "markdown"
    assert left.cells[0].source == f"**This run failed:** {told['dorset']}."
    # as far as it came
    assert [cell.outputs[0]["data"]["text/plain"] for cell in left.cells if cell.get("outputs")] == [
        "'before'"
    ]
    known = record.parse((failed / record.FILE).read_bytes())
    assert known is not None
    assert known.headline == told["dorset"]
    assert not (project.reports / "dorset" / "report.html").exists()
    assert told["dorset"] in (project.reports / "index.html").read_text(encoding="utf-8")


def test_run_that_takes_too_long_ends_and_the_next_one_makes_the_rest(
    project: paths.Project, tmp_path: Path
) -> None:
    small(project, hanging(tmp_path), SHOW)

    done = run("report", "dorset", "hampshire", "suffolk", "--deadline", "3", "--jobs", "1")

    assert done.exit_code == 1
    told = dict(line.split(": ", 1) for line in done.stderr.splitlines())
    assert told["dorset"] == "it was stopped: the run's deadline had passed"
    kept = (project.reports / "dorset" / "failed" / "report.ipynb").read_text(encoding="utf-8")
    assert "it was stopped: the run's deadline had passed" in kept
    for force in ("hampshire", "suffolk"):
        assert told[force] == "it was not begun: the run's deadline had passed"
    assert_gone(tmp_path / "begun")
    assert table(done.stdout) == [["failed", "3", "3"]]

    small(project, SHOW)
    done = run("report", "dorset", "hampshire", "suffolk", "--deadline", "600")
    assert done.exit_code == 0
    assert table(done.stdout) == [["draft", "2", "2"], ["one audit only", "1", "1"]]


@pytest.mark.parametrize("option", ["--deadline", "--report-deadline", "--wait", "--jobs"])
@pytest.mark.parametrize("value", ["-1", "soon"])
def test_option_that_is_no_number_of_seconds_or_jobs_is_refused(
    option: str, value: str, project: paths.Project, kernels: list[str]
) -> None:
    done = run("report", "dorset", option, value)
    assert done.exit_code == 2
    assert option in done.stderr
    assert kernels == []
    assert not project.reports.exists()


def test_jobs_are_made_at_a_time(project: paths.Project, tmp_path: Path) -> None:
    # each waits until another one has begun too
    wait = f"""
import time
from pathlib import Path
Path({str(tmp_path)!r}, f"{{force}}.begun").touch()
while len(list(Path({str(tmp_path)!r}).glob("*.begun"))) < 2:
    time.sleep(0.02)
"""
    small(project, wait)
    done = run("report", "dorset", "suffolk", "--jobs", "2", "--report-deadline", "60")
    assert done.exit_code == 0, done.stderr


def test_with_one_job_one_report_is_made_after_the_other(project: paths.Project, tmp_path: Path) -> None:
    alone = f"""
import time
from pathlib import Path
mark = Path({str(tmp_path)!r}, "begun")
mark.touch(exist_ok=False)
time.sleep(0.1)
mark.unlink()
"""
    small(project, alone)
    done = run("report", "dorset", "suffolk", "hampshire", "--jobs", "1")
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_reports_go_to_another_folder_if_one_is_named(
    form: str, project: paths.Project, tmp_path: Path
) -> None:
    small(project, SHOW)
    place = tmp_path / "share" / "reports"
    for is_new in (True, False):
        done = run("report", "dorset", "--output", form.format(place), "--log-format", "json")
        assert done.exit_code == 0
        told = events(done)
        assert [one["is_new"] for one in told if one["event"] == "report"] == [is_new]
        assert told[-1]["index"] == str(place / "index.html")
    assert sorted(path.name for path in place.iterdir()) == sorted([*synthetic.AROUND, "dorset"])
    assert not project.reports.exists()
    known = shelf.recorded(shelf.at(place), "dorset")
    assert known is not None
    assert shelf.is_as_written(shelf.at(place), "dorset", known)


@pytest.mark.parametrize(
    ("place", "told"), [("nope://published", "Protocol not known: nope"), ("{file}", "cannot be used")]
)
def test_place_that_cannot_be_used_is_refused_with_the_reason(
    place: str, told: str, project: paths.Project, tmp_path: Path, kernels: list[str]
) -> None:
    (tmp_path / "file").touch()
    done = run("report", "dorset", "--output", place.format(file=tmp_path / "file"))
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert kernels == []


@pytest.mark.parametrize("words", [[], ["--log-format", "json"]], ids=["in words", "in JSON"])
def test_second_run_is_refused_with_exit_code_3_and_who_holds_the_lock(
    words: list[str], project: paths.Project, kernels: list[str]
) -> None:
    with shelf.at(project.reports).locked(wait=0, tell=print):
        before = sorted(project.reports.iterdir())
        done = run("report", "dorset", "--wait", "0", *words)
        assert sorted(project.reports.iterdir()) == before
    assert done.exit_code == 3
    message = events(done)[-1]["message"] if words else done.stderr
    assert re.match(
        r'Reports are being made by "casegrade.*", process \d+ of \w+ on .*, running since', message
    )
    assert done.stdout == ""
    assert kernels == []


def test_second_run_waits_and_says_for_whom(project: paths.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    small(project, SHOW)
    held, let_go = threading.Event(), threading.Event()
    told = shelf._told

    def tell(holder: bytes | None) -> str:
        # it is let go when the other is about to wait
        let_go.set()
        return told(holder)

    monkeypatch.setattr(shelf, "_told", tell)

    def hold() -> None:
        with shelf.at(project.reports).locked(wait=0, tell=print):
            held.set()
            let_go.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    done = run("report", "dorset", "--wait", "60")
    holder.join()
    assert done.exit_code == 0
    assert done.stderr.startswith('Waiting for "casegrade')
    assert (project.reports / "dorset" / "report.html").is_file()


def test_run_that_has_nothing_to_write_waits_for_nobody(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.VARIABLE, str(made["project"].root))
    with shelf.at(made["project"].reports).locked(wait=0, tell=print):
        done = run("report", *FORCES, "--wait", "0")
    assert (done.exit_code, done.stderr) == (0, "")


def test_forced_rebuild_makes_all_again(made: dict[str, Any]) -> None:
    assert sorted(made["timings"].stderr.splitlines()) != []
    first = {one["report"]: one.get("run_id") for one in events(made["first"]) if one["event"] == "report"}
    for name in ("dorset", "hampshire"):
        known = shelf.recorded(shelf.at(made["project"].reports), name)
        assert known is not None
        assert known.run_id != first[name]
