"""The schedule for schedulers that a machine or an office has already: files for them, each asking `run-due`.

They ask it often and leave to it what is due: time zones, moments that were missed and further tries are not told
twice. Airflow alone is told the rhythm, as it shows what will run when.
"""

import hashlib
import json
import math
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from analysis import storage
from analysis.schedule.credentials import PASSWORD, WEBHOOK
from analysis.schedule.rota import Entry, Rota

_HOME, _WINDOWS_HOME = "/srv/casegrade", r"C:\casegrade"
_PORT = 8643

# What a path may have besides letters and digits. Spaces and these can be quoted for every format; what is left out
# means something to at least one of them wherever it stands: $ % { } " ' \ ` : or a control character.
_MARKS = " .,_+=@~()&#!-"
_POSIX = re.compile(rf"(/[\w{re.escape(_MARKS)}]+)+")
_WINDOWS = re.compile(rf"[A-Za-z]:(\\[\w{re.escape(_MARKS)}]+)+")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:@-]*", re.IGNORECASE | re.ASCII)
# the line of a crontab, with three paths in it, may have a thousand letters
_LONGEST = 200

# how long a task of Airflow waits for another run that is writing
_WAIT = 900
# for what a run does besides its reports: cleaning the data, the pages about all reports
_MARGIN = 300
# seconds that clocks of machines which work together may be apart
_LATER = 60
# no job of GitHub's may take longer
_MINUTES = 360

# The Task Scheduler takes UTF-16 alone; Windows PowerShell takes a script without a mark for one in another encoding.
_MARKED: Mapping[str, str] = {".xml": "utf-16-le", ".ps1": "utf-8"}


class ExportError(Exception):
    """A value that cannot be put into files for another program. The message says which, and what to do."""


@dataclass(frozen=True)
class Setup:
    r"""The machine that a schedule will run on.

    Attributes:
        home: folder of the project there, absolute; null for /srv/casegrade, on Windows C:\casegrade. GitHub's
            machines fetch the project themselves, and it does not matter there.
        command: the casegrade command there; null for the one in `.venv` of `home`.
        user: that systemd runs it as.
        image: for Kubernetes, with the project in `home`.
    """

    home: str | None = None
    command: str | None = None
    user: str = "casegrade"
    image: str = "registry.example/casegrade:0.1.0"


def files(kind: str, rota: Rota, setup: Setup, /) -> dict[str, str]:
    """The files for a kind of scheduler, one of `KINDS`: their paths below `deploy/`, and what is in them.

    Raises:
        ExportError: if the kind is not known, or `setup` or `rota` has something that cannot be put into them.
    """
    if kind not in _MADE:
        raise ExportError(
            f'"{kind[:60]}" is no scheduler that is known here: give one of {", ".join(KINDS)}.'
        )
    return {f"{kind}/{name}": text for name, text in _MADE[kind](rota, setup).items()}


def write(folder: Path, files: Mapping[str, str], /) -> list[Path]:
    """Write files of `files` below a folder, each in one step and in the encoding that its reader expects.

    Returns:
        Where they are.

    Raises:
        OSError: if one cannot be written.
    """
    return [storage.write_bytes(folder / name, _encoded(name, text)) for name, text in files.items()]


def _encoded(name: str, text: str) -> bytes:
    encoding = _MARKED.get(PurePath(name).suffix)
    return text.encode() if encoding is None else f"\ufeff{text}".encode(encoding)


def _cron(_rota: Rota, setup: Setup) -> dict[str, str]:
    home, command = _posix(setup)
    asked = shlex.join([command, "--project", home, "schedule", "run-due", "--log-format", "json"])
    line = f"{asked} >> {shlex.quote(f'{home}/schedule.log')} 2>&1"
    return {"casegrade.crontab": _rendered("casegrade.crontab", home=home, line=line)}


def _systemd(rota: Rota, setup: Setup) -> dict[str, str]:
    home, command = _posix(setup)
    if not _USER.fullmatch(setup.user):
        raise ExportError(f'"{setup.user[:60]}" is no name of a user: give one such as casegrade.')
    values = {
        "home": home,
        "start": f'"{command}" --project "{home}" schedule',
        "user": setup.user,
        "port": _PORT,
        "longest": _longest(rota),
    }
    names = ("casegrade-run-due.service", "casegrade-run-due.timer", "casegrade-serve.service")
    return {name: _rendered(name, **values) for name in names}


def _windows(rota: Rota, setup: Setup) -> dict[str, str]:
    home = _path(setup.home or _WINDOWS_HOME, _WINDOWS, PureWindowsPath)
    command = _path(setup.command or rf"{home}\.venv\Scripts\casegrade.exe", _WINDOWS, PureWindowsPath)
    asked = subprocess.list2cmdline(
        [command, "--project", home, "schedule", "run-due", "--log-format", "json"]
    )
    # with /s the shell takes off the outer quotes and leaves all others as they are
    arguments = f'/d /s /c "{asked} >> "{home}\\logs\\schedule.log" 2>&1"'
    return {
        "casegrade-run-due.xml": _rendered(
            "casegrade-run-due.xml", home=home, arguments=arguments, longest=_longest(rota)
        ),
        "register.ps1": _rendered("register.ps1", home=home),
    }


def _kubernetes(rota: Rota, setup: Setup) -> dict[str, str]:
    home, command = _posix(setup)
    if not _IMAGE.fullmatch(setup.image):
        raise ExportError(
            f'"{setup.image[:60]}" is no image: give one such as registry.example/casegrade:0.1.0.'
        )
    # a pod sees all processors of its node, and would make as many reports at a time
    words = [command, "--project", home, "schedule", "run-due", "--jobs", "2", "--log-format", "json"]
    text = _rendered(
        "casegrade.yaml",
        home=home,
        command=[_yaml(word) for word in words],
        image=_yaml(setup.image),
        reports=_yaml(f"{home}/reports"),
        longest=_longest(rota),
    )
    return {"casegrade.yaml": text}


def _github_actions(rota: Rota, _setup: Setup) -> dict[str, str]:
    minutes = min(_MINUTES, math.ceil(_longest(rota) / 60))
    return {"casegrade.yml": _rendered("casegrade.yml", minutes=minutes, secrets=(PASSWORD, WEBHOOK))}


def _airflow(rota: Rota, setup: Setup) -> dict[str, str]:
    home, command = _posix(setup)
    asked = shlex.join([command, "--project", home, "schedule", "run-due"])
    dags = [_dag(list(entries)) for _, entries in groupby(sorted(rota.entries, key=_rhythm), key=_rhythm)]
    text = _rendered(
        "casegrade_dags.py",
        run_due=_python(asked),
        wait=_WAIT,
        dags=dags,
        timetables=sorted(
            {
                "MultipleCronTriggerTimetable" if len(dag["lines"]) > 1 else "CronTriggerTimetable"
                for dag in dags
            }
        ),
    )
    return {"casegrade_dags.py": text}


_MADE: Mapping[str, Callable[[Rota, Setup], dict[str, str]]] = {
    "cron": _cron,
    "systemd": _systemd,
    "windows": _windows,
    "kubernetes": _kubernetes,
    "github-actions": _github_actions,
    "airflow": _airflow,
}
KINDS = tuple(_MADE)


def _rhythm(entry: Entry) -> tuple[Any, ...]:
    """What all reports of a DAG have in common: it is said once for all of them."""
    lines = tuple(dict.fromkeys(line.text for line in entry.lines))
    return lines, entry.timezone, entry.retries, int(entry.retry_after.total_seconds()), entry.deadline


def _dag(entries: list[Entry]) -> dict[str, Any]:
    lines, zone, retries, retry_after, deadline = rhythm = _rhythm(entries[0])
    for line in lines:
        if not _is_read_by_airflow(line):
            raise ExportError(
                f'Airflow cannot read "{line}" ({entries[0].name}): write it without LW, without L after a day of '
                "the week, and with # on all of its days of the week or on none; or use another scheduler."
            )
    # Airflow knows past runs by this id. So it changes with the rhythm alone, not with what else is scheduled.
    words = re.sub(r"[^A-Za-z0-9]+", "-", "_".join(lines).replace("*", "any")).strip("-")[:80]
    mark = hashlib.sha256(json.dumps(rhythm).encode()).hexdigest()[:8]
    return {
        "id": f"casegrade_{words}_{mark}",
        "title": f"casegrade: {' and '.join(lines)} ({zone})",
        "lines": lines,
        "zone": zone,
        "retries": retries,
        # a little later than the command is ready for it, whose clock may be another machine's
        "retry_after": retry_after + _LATER,
        "longest": _WAIT + math.ceil(deadline) + _MARGIN,
        "names": [entry.name for entry in entries],
    }


def _is_read_by_airflow(line: str) -> bool:
    """Whether Airflow reads a cron line that is one here: it knows all but three things."""
    days = line.split()[4].split(",")
    return not re.search(r"LW|\dL\b", line, re.IGNORECASE) and len({"#" in day for day in days}) == 1


def _longest(rota: Rota) -> int:
    """The seconds that a run of all reports may take: what takes longer hangs."""
    return math.ceil(sum(entry.deadline for entry in rota.entries)) + _MARGIN


def _posix(setup: Setup) -> tuple[str, str]:
    home = _path(setup.home or _HOME, _POSIX, PurePosixPath)
    return home, _path(setup.command or f"{home}/.venv/bin/casegrade", _POSIX, PurePosixPath)


def _path(said: str, form: re.Pattern[str], kind: type[PurePath]) -> str:
    path = str(kind(said))
    if not form.fullmatch(path) or ".." in kind(path).parts or path.strip() != path or len(path) > _LONGEST:
        shown = "".join(char if char.isprintable() else "?" for char in said[:60])
        example = _WINDOWS_HOME if kind is PureWindowsPath else _HOME
        raise ExportError(
            f'"{shown}" cannot be put into files for other programs: give a whole path such as {example}, of at most '
            f"{_LONGEST} letters, with nothing but letters, digits, spaces and {_MARKS.strip()} in its names."
        )
    return path


def _python(text: str) -> str:
    """A text as Python code, in the quotes that a formatter would choose."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    escaped = re.sub(rf"[\\{quote}]", r"\\\g<0>", text)
    return f"{quote}{escaped}{quote}"


def _yaml(text: str) -> str:
    # what JSON takes for a text, YAML takes for the same
    return json.dumps(text, ensure_ascii=False)


def _below(path: Iterable[str]) -> str:
    return f'"{"/".join(path)}"'


def _rendered(name: str, **values: Any) -> str:
    return _environment().get_template(f"{name}.j2").render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("analysis.schedule"),
        autoescape=select_autoescape(enabled_extensions=("xml.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"python": _python, "below": _below}
    return environment
