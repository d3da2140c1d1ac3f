import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import synthetic
import yaml

from analysis import paths
from analysis.schedule import exports, rota, runs
from analysis.schedule.exports import Setup

COMMAND = Path(sys.executable).with_name("casegrade")
SCHEDULE = '[forces.warwickshire]\ncron = "* * * * *"\n'
# cron looks once a minute, and the report has to be made; a guard against waiting for ever, not an expectation
PATIENCE = 300

# The folders that cron reads are empty here, and whatever is started ends with it.
CRON = """
mount -t tmpfs none /var/spool/cron/crontabs
mount -t tmpfs none /etc/cron.d
mount -t tmpfs none /run
mount --bind /dev/null /etc/crontab
echo '0 0 1 1 * true' | crontab -
(crontab -l; cat "$1") | crontab -
crontab -l > "$2"
exec cron -f
"""
READ_ONLY = """
mount --bind /tmp /tmp
mount --bind "$1" "$1"
mount --bind "$2" "$2"
mount -o remount,bind,ro /
mount -o remount,bind,ro "$1"
shift 2
exec "$@"
"""
# what says that the project's own schedule was asked for
UNUSED = "[forces.kent]\ncron = 'never'\n"
# each in mounts of its own, of which the machine sees nothing
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec")


@pytest.fixture(autouse=True)
def needs_mounts_of_its_own() -> None:
    missing = [name for name in ("cron", "crontab", "unshare") if shutil.which(name) is None]
    if os.name != "posix" or os.geteuid() != 0:
        missing.append("root")
    if missing:
        told = f"a real cron needs {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project with one report that is due, and a command that can be run there."""
    project = synthetic.copy_of_project(tmp_path / "case grade").root
    (project / rota.FILE).write_text(SCHEDULE, encoding="utf-8")
    # A server for kernels that sees other mounts and processes than everybody else is of no use to others.
    (project / "casegrade").write_text(
        f'#!/bin/sh\nCASEGRADE_WARM=off HOME="{tmp_path}" exec "{COMMAND}" "$@"\n', encoding="utf-8"
    )
    (project / "casegrade").chmod(0o755)
    return project


def exported(kind: str, home: Path, place: Path, **more: str) -> Path:
    setup = Setup(home=str(home), command=str(home / "casegrade"), **more)
    schedule = rota.read(paths.Project(home), home / more.get("schedule", rota.FILE))
    [path] = exports.write(place, exports.files(kind, schedule, setup))
    return path


def ends(output: Path) -> list[str]:
    found = (output / runs.FOLDER / "warwickshire").glob(f"*/{runs.FILE}")
    return [json.loads(path.read_text(encoding="utf-8"))["end"] for path in found]


@contextmanager
def running(log: Path, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_real_cron_makes_the_report_that_is_due_and_leaves_the_rest_of_the_crontab(
    home: Path, tmp_path: Path
) -> None:
    output = home / "kept & (new) #1"
    (home / rota.FILE).rename(home / "other #1.toml")
    (home / rota.FILE).write_text(UNUSED, encoding="utf-8")
    crontab = exported("cron", home, tmp_path / "deploy", schedule="other #1.toml", output=output.name)
    log, installed = tmp_path / "cron.log", tmp_path / "installed"
    until = time.monotonic() + PATIENCE
    with running(log, *ALONE, CRON, "sh", crontab, installed) as cron:
        while "made" not in ends(output):
            told = log.read_text() + "".join(path.read_text() for path in home.glob("schedule.log"))
            assert cron.poll() is None, told
            assert time.monotonic() < until, told
            time.sleep(0.5)
    assert "0 0 1 1 * true\n" in installed.read_text()
    assert crontab.read_text() in installed.read_text()
    assert (output / "warwickshire" / "report.html").is_file()
    assert not (home / "reports").exists()
    first = json.loads((home / "schedule.log").read_text().splitlines()[0])
    assert (first["event"], first["report"]) == ("begun", "warwickshire")


@pytest.mark.slow
@pytest.mark.parametrize("output", ["reports", "kept #1"])
def test_an_image_that_cannot_be_written_to_makes_reports_into_its_volume(
    output: str, home: Path, tmp_path: Path
) -> None:
    more = {} if output == "reports" else {"output": output}
    _, cron = yaml.safe_load_all(exported("kubernetes", home, tmp_path / "deploy", **more).read_text())
    [container] = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    [volume] = [one["mountPath"] for one in container["volumeMounts"] if one["name"] == "reports"]
    Path(volume).mkdir()

    def said(*command: str | Path) -> tuple[int, str]:
        done = subprocess.run(
            [*ALONE, READ_ONLY, "sh", str(home), volume, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    assert said("touch", home / "data" / "x")[0] != 0
    # what the image was built with
    subprocess.run([home / "casegrade", "--project", home, "clean"], check=True, capture_output=True)
    code, told = said(*container["command"])
    assert code == 0, told
    assert "made" in ends(home / output), told
