import json
import os
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import synthetic
from processes import said

from analysis import vocabulary
from analysis.schedule import exports, moments, rota
from analysis.schedule.exports import Setup

# making an environment for Airflow takes a minute
pytestmark = pytest.mark.slow

AIRFLOW = "apache-airflow==3.3.2"
# names a folder of an environment that has it, so that it is not made again for each look at a test
READY = "CASEGRADE_TEST_AIRFLOW"
ROOT = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name("casegrade")
SECRET = "not for the log"

# one that goes well, one that meets another run at first, one that fails; the last has a rhythm of its own
SCHEDULE = """
[defaults]
cron = "30 6 * * *"
retries = 1
retry_after = 1
[forces.essex]
[forces.kent]
[forces.gwent]
cron = ["0 1 * * *", "*/15 9-17 * * 1-5"]
retries = 0
"""
STUB = """#!/bin/sh
echo "asked for: $*"
case "$*" in
  *essex*) [ -e once ] || { touch once; exit 3; } ;;
  *gwent*) exit 1 ;;
esac
"""
REAL = '[forces.warwickshire]\ncron = "* * * * *"\n'

# what Airflow's scheduler makes of cron lines, around the days on which clocks change
FIRES = """
import json, sys
from datetime import datetime
import pendulum
from airflow.timetables.trigger import CronTriggerTimetable
lines, since, until = json.loads(sys.stdin.read())
fired = {}
for line in lines:
    timetable = CronTriggerTimetable(line, timezone="Europe/London")
    timetable.validate()
    moment, fired[line] = pendulum.parse(since), []
    while moment < pendulum.parse(until):
        moment = timetable._get_next(moment)
        fired[line].append(moment.isoformat())
print("FIRED " + json.dumps(fired))
"""
# what it would run at each try; one that was cleared after it had failed for good begins with a try too many
COMMANDS = """
import json, sys
from types import SimpleNamespace
from airflow.dag_processing.dagbag import DagBag
dag = DagBag(sys.argv[1]).dags[sys.argv[2]]
task = dag.task_dict["report"]
command = task.partial_kwargs["bash_command"]
kept = SimpleNamespace(retries=task.retries)
rendered = [
    dag.get_template_env().from_string(command).render(ti=SimpleNamespace(try_number=number), task=kept)
    for number in (1, 2, 3)
]
print("RENDERED " + json.dumps(rendered))
"""


@dataclass(frozen=True)
class Airflow:
    """An Airflow of its own, with a database of its own, and the DAGs of this file's schedules."""

    environment: Path
    home: Path

    @property
    def dags(self) -> Path:
        return self.home / "dags"

    def said(self, *words: str | Path, text: str | None = None) -> tuple[int, str]:
        """The exit code of one of its commands, and all that it says."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        environ |= {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{environ['PATH']}",
            "CASEGRADE_SMTP_PASSWORD": SECRET,
        }
        command = self.environment / "bin" / words[0]
        return said(command, *words[1:], env=environ, folder=self.home, text=text)

    def asked(self, *words: str | Path, mark: str = "", text: str | None = None) -> object:
        """What a command answers in JSON, on the line that begins with a mark."""
        code, told = self.said(*words, text=text)
        lines = [line.removeprefix(mark) for line in told.splitlines() if line.startswith(mark or "[")]
        assert code == 0, told
        assert lines, told
        return json.loads(lines[-1])

    def tries(self, dag: str) -> dict[str, tuple[str, int]]:
        """How each mapped task of a DAG ended, and at which try, by the name that Airflow shows it with."""
        asked = "SELECT rendered_map_index, state, try_number FROM task_instance WHERE dag_id = ?"
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            return {name: (state, number) for name, state, number in database.execute(asked, (dag,))}


def made(environment: Path) -> Path:
    venv.create(environment, with_pip=True)
    words = ("install", "--quiet", "--disable-pip-version-check", AIRFLOW)
    done = subprocess.run([environment / "bin" / "pip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = f"{AIRFLOW} could not be installed: {done.stderr[-2000:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    return environment


def export(text: str, setup: Setup, path: Path) -> None:
    schedule = rota.parse(text.encode(), vocabulary.forces(ROOT / "data" / "raw"))
    [content] = exports.files("airflow", schedule, setup).values()
    path.write_text(content, encoding="utf-8")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    ready = os.environ.get(READY)
    environment = Path(ready) if ready else made(tmp_path_factory.mktemp("airflow-environment"))
    airflow = Airflow(environment, tmp_path_factory.mktemp("airflow"))
    airflow.dags.mkdir()
    stub = airflow.home / "case grade" / "stub"
    stub.parent.mkdir()
    stub.write_text(STUB.replace("once", f"'{airflow.home / 'once'}'"), encoding="utf-8")
    stub.chmod(0o755)
    setup = Setup(home=str(stub.parent), command=str(stub), schedule="other #1.toml", output="s3://a/b &c")
    export(SCHEDULE, setup, airflow.dags / "stub.py")
    project = synthetic.copy_of_project(airflow.home / "project")
    (project.root / rota.FILE).write_text(REAL, encoding="utf-8")
    export(REAL, Setup(home=str(project.root), command=str(COMMAND)), airflow.dags / "real.py")
    code, told = airflow.said("airflow", "db", "migrate")
    assert code == 0, told
    return airflow


@pytest.fixture(scope="module")
def ids(airflow: Airflow) -> dict[str, str]:
    """The ids of the DAGs by the words that are in the names people see."""
    listed = airflow.asked(
        "airflow", "dags", "list", "--local", "--columns", "dag_id,dag_display_name", "--output", "json"
    )
    assert isinstance(listed, list)
    return {one["dag_display_name"]: one["dag_id"] for one in listed}


DAILY = "casegrade: 30 6 * * * (Europe/London)"
OFTEN = "casegrade: 0 1 * * * and */15 9-17 * * 1-5 (Europe/London)"
REALLY = "casegrade: * * * * * (Europe/London)"


def test_airflow_finds_nothing_wrong_with_the_dags(airflow: Airflow, ids: dict[str, str]) -> None:
    for where in ((), ("--local",)):
        assert airflow.asked("airflow", "dags", "list-import-errors", *where, "--output", "json") == []
    assert set(ids) == {DAILY, OFTEN, REALLY}


def test_every_report_of_a_dag_is_a_task_of_its_name_and_one_that_met_another_run_is_tried_again(
    airflow: Airflow, ids: dict[str, str]
) -> None:
    code, told = airflow.said("airflow", "dags", "test", ids[DAILY], "2026-03-01")
    assert code == 0, told
    assert airflow.tries(ids[DAILY]) == {"essex": ("success", 2), "kent": ("success", 1)}
    home = airflow.home / "case grade"
    for report in ("essex", "kent"):
        options = f"--schedule {home}/other #1.toml --output s3://a/b &c"
        assert f"asked for: --project {home} schedule run-due {options} {report} --wait 900" in told
    assert SECRET not in told


def test_a_report_that_fails_is_shown_as_failed(airflow: Airflow, ids: dict[str, str]) -> None:
    code, told = airflow.said("airflow", "dags", "test", ids[OFTEN], "2026-03-01")
    assert code != 0, told
    assert "exit code 1" in told
    assert airflow.tries(ids[OFTEN]) == {"gwent": ("failed", 1)}


def test_airflow_makes_a_report_that_is_due(airflow: Airflow, ids: dict[str, str]) -> None:
    code, told = airflow.said("airflow", "dags", "test", ids[REALLY], "2026-03-01")
    assert code == 0, told
    assert airflow.tries(ids[REALLY]) == {"warwickshire": ("success", 1)}
    assert (airflow.home / "project" / "reports" / "warwickshire" / "report.html").is_file()
    assert "warwickshire: made" in told


def test_who_clears_a_task_that_has_failed_for_good_has_it_run_again(
    airflow: Airflow, ids: dict[str, str]
) -> None:
    found = airflow.asked("python", "-c", COMMANDS, airflow.dags, ids[DAILY], mark="RENDERED ")
    assert isinstance(found, list)
    assert [command.endswith(" --wait 900") for command in found] == [True, True, False]
    assert found[2] == f"{found[0]} --again"


def due(line: str, since: datetime, until: datetime) -> Sequence[datetime]:
    found = []
    for moment in moments.line(line, "Europe/London").following(since):
        if moment >= until:
            break
        found.append(moment)
    return found


def test_airflow_asks_for_whatever_is_due_before_it_is_due_again(airflow: Airflow) -> None:
    # Airflow and the schedule read the hours around a change of clocks differently. What is asked for too early
    # is not due yet, and has to be asked for again.
    lines = ["30 6 * * *", "30 1 * * *", "0 1 * * *", "59 0 * * *", "0 2 * * *", "*/30 1 * * *", "30 1 * * 0"]
    lines += [
        "5-59/10 0-3 * * *",
        "0 * * * *",
        "30 */2 * * *",
        "0 6 L * *",
        "0 6 * * FRI#1,FRI#4",
        "0 6 */2 * MON",
    ]
    for since, until in (
        (datetime(2026, 3, 26, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC)),
        (datetime(2026, 10, 22, tzinfo=UTC), datetime(2026, 10, 30, tzinfo=UTC)),
    ):
        text = json.dumps([lines, since.isoformat(), until.isoformat()])
        fired = airflow.asked("python", "-c", FIRES, mark="FIRED ", text=text)
        assert isinstance(fired, dict)
        for line in lines:
            asked = [datetime.fromisoformat(moment) for moment in fired[line]]
            wanted = due(line, since, until)
            assert wanted or line.startswith("0 6 ")
            for moment in wanted:
                late = min(one for one in asked if one >= moment) - moment
                # an hour of clocks, at most, and another of the line
                assert late.total_seconds() <= 2 * 3600, (line, moment, late)
