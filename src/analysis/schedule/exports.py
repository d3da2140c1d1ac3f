"""The schedule for schedulers that a machine or an office has already: files for them, each asking `run-due`.

They ask it often and leave to it what is due: time zones, moments that were missed and further tries are not told
twice. Airflow alone is told the rhythm, as it shows what will run when. All name the schedule that they were made from
and the place of the reports, if these are not the usual ones.
"""

import hashlib
import json
import math
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from analysis import storage
from analysis.schedule.credentials import PASSWORD, WEBHOOK
from analysis.schedule.rota import FILE, Entry, Rota

_HOME, _WINDOWS_HOME = "/srv/casegrade", r"C:\casegrade"
_PORT = 8643

# What a path may have besides letters and digits. Spaces and these can be quoted for every format; what is left out
# means something to at least one of them wherever it stands: $ % { } " ' \ ` : or a control character.
_MARKS = " .,_+=@~()&#!-"
_POSIX = re.compile(rf"(/[\w{re.escape(_MARKS)}]+)+")
_WINDOWS = re.compile(rf"[A-Za-z]:(\\[\w{re.escape(_MARKS)}]+)+")
# A place that fsspec knows. Whoever is named there has no password: the files can be read by others than secrets can.
_URL = re.compile(rf"[a-z][a-z0-9+.-]*://(?!.*:.*@)[\w/:{re.escape(_MARKS)}]+", re.ASCII | re.IGNORECASE)
_FILE_URL = "file://"
# On GitHub, paths are in the project, and those of folders are patterns too.
_PROJECT_FILE = re.compile(rf"[\w{re.escape(_MARKS)}]+(/[\w{re.escape(_MARKS)}]+)*")
_PROJECT_FOLDER = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:@-]*", re.IGNORECASE | re.ASCII)
_LONGEST = 200
# bytes that cron takes as the command of a line
_CRON_LONGEST = 998
# folders of a pod that have a volume of their own
_MOUNTED = ("/tmp", "/home/casegrade")

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
        schedule: file that says what is due, as a path below `home` with slashes, or an absolute one; null for the
            project's schedule.toml.
        output: where the reports are: a folder, named in the same way, or a URL; null for the project's reports/.
            On GitHub's machines, what is neither in the project nor a URL would be lost.
    """

    home: str | None = None
    command: str | None = None
    user: str = "casegrade"
    image: str = "registry.example/casegrade:0.1.0"
    schedule: str | None = None
    output: str | None = None


def settled(kind: str, setup: Setup, root: Path, /) -> Setup:
    """What somebody asks for in a project on this machine, as `files` takes it.

    Args:
        kind: one of `KINDS`.
        setup: without a `home`, that of this project is meant, if it can be one for the kind; `schedule`, and `output`
            if it is no URL, are from the working directory.
        root: folder of the project.

    Raises:
        ExportError: if the schedule, or an output that is no absolute path, would not be found where it will run.
    """
    home = setup.home
    if home is None and (kind == "windows") == (os.name == "nt"):
        home = str(root)
    # GitHub's machines have the project in a place that nobody knows
    is_here = kind != "github-actions" and home is not None and Path(home).resolve() == root.resolve()
    schedule, output = setup.schedule, setup.output
    if schedule is not None:
        schedule = _placed(schedule, root, is_here=is_here)
    # an absolute path is one of the machine that will run it
    form = PureWindowsPath if kind == "windows" else PurePosixPath
    if output is not None and "://" not in output and not form(output).is_absolute():
        output = _placed(output, root, is_here=is_here)
    return replace(setup, home=home, schedule=None if schedule == FILE else schedule, output=output)


def _placed(said: str, root: Path, *, is_here: bool) -> str:
    """A path of this machine as it is in the project, or else, if it will be used here, from the root on."""
    path = Path(said)
    # links above it are followed; what it is itself a link to may change
    whole = path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
    if whole.is_relative_to(root.resolve()):
        return whole.relative_to(root.resolve()).as_posix()
    if is_here:
        return str(whole)
    raise ExportError(
        f'"{_shown(said)}" is not in the project, and would not be found where the schedule will run: give one that is.'
    )


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
    there = _there(setup, PurePosixPath)
    asked = shlex.join([*there.asked, *there.options, "--log-format", "json"])
    line = f"{asked} >> {shlex.quote(f'{there.home}/schedule.log')} 2>&1"
    if len(line.encode()) > _CRON_LONGEST:
        raise ExportError(
            f"A line of cron would have {len(line.encode())} bytes, and may have no more than {_CRON_LONGEST}: "
            "give shorter paths."
        )
    return {
        "casegrade.crontab": _rendered("casegrade.crontab", source=there.source, home=there.home, line=line)
    }


def _systemd(rota: Rota, setup: Setup) -> dict[str, str]:
    there = _there(setup, PurePosixPath)
    if not _USER.fullmatch(setup.user):
        raise ExportError(f'"{_shown(setup.user)}" is no name of a user: give one such as casegrade.')
    written = [f"{there.home}/reports", *([there.folder] if there.folder else []), f"{there.home}/data"]
    values = {
        "source": there.source,
        "home": there.home,
        "command": _quoted(there.command),
        "project": _quoted(there.home),
        "options": "".join(f" {word if word.startswith('--') else _quoted(word)}" for word in there.options),
        "folders": " ".join(map(_quoted, written[:-1])),
        "written": " ".join(map(_quoted, written)),
        "sources": _quoted(f"{there.home}/data/raw"),
        "user": setup.user,
        "port": _PORT,
        "longest": _longest(rota),
    }
    names = ("casegrade-run-due.service", "casegrade-run-due.timer", "casegrade-serve.service")
    return {name: _rendered(name, **values) for name in names}


def _windows(rota: Rota, setup: Setup) -> dict[str, str]:
    there = _there(setup, PureWindowsPath)
    asked = _for_cmd([*there.asked, *there.options, "--log-format", "json"])
    # with /s the shell takes off the outer quotes and leaves all others as they are
    arguments = f'/d /s /c "{asked} >> "{there.home}\\logs\\schedule.log" 2>&1"'
    return {
        "casegrade-run-due.xml": _rendered(
            "casegrade-run-due.xml",
            # two hyphens would end the comment
            source=re.sub("-(?=-)", "- ", there.source),
            home=there.home,
            arguments=arguments,
            longest=_longest(rota),
        ),
        "register.ps1": _rendered("register.ps1", source=there.source, home=there.home, folder=there.folder),
    }


def _kubernetes(rota: Rota, setup: Setup) -> dict[str, str]:
    there = _there(setup, PurePosixPath)
    if not _IMAGE.fullmatch(setup.image):
        raise ExportError(
            f'"{_shown(setup.image)}" is no image: give one such as registry.example/casegrade:0.1.0.'
        )
    # a URL needs no volume
    volume = there.folder if there.output else f"{there.home}/reports"
    for folder in (there.home, *_MOUNTED):
        if volume is not None and PurePosixPath(folder).is_relative_to(volume):
            raise ExportError(
                f'A volume in "{volume}" would hide "{folder}": give another folder for the reports.'
            )
    # a pod sees all processors of its node, and would make as many reports at a time
    words = [*there.asked, *there.options, "--jobs", "2", "--log-format", "json"]
    text = _rendered(
        "casegrade.yaml",
        source=there.source,
        home=there.home,
        command=[_yaml(word) for word in words],
        image=_yaml(setup.image),
        volume=None if volume is None else _yaml(volume),
        longest=_longest(rota),
    )
    return {"casegrade.yaml": text}


def _github_actions(rota: Rota, setup: Setup) -> dict[str, str]:
    options, folder = [], "reports"
    if setup.schedule is not None:
        wanted = f"a file of the project, named with letters, digits, spaces and {_MARKS.strip()}"
        options += ["--schedule", _in_project(setup.schedule, _PROJECT_FILE, wanted)]
    if setup.output is not None:
        output = setup.output.removeprefix(_FILE_URL)
        if _is_url(output):
            # nothing is to be kept from one machine to the next
            folder, output = "", _url(output)
        else:
            wanted = "a URL, or a folder of the project, named with letters, digits, . - and _"
            folder = output = _in_project(output, _PROJECT_FOLDER, wanted)
        options += ["--output", output]
    text = _rendered(
        "casegrade.yml",
        source=FILE if setup.schedule is None else str(PurePosixPath(setup.schedule)),
        minutes=min(_MINUTES, math.ceil(_longest(rota) / 60)),
        secrets=(PASSWORD, WEBHOOK),
        asked=shlex.join([".venv/bin/casegrade", "schedule", "run-due", *options]),
        folder=folder,
    )
    return {"casegrade.yml": text}


def _airflow(rota: Rota, setup: Setup) -> dict[str, str]:
    there = _there(setup, PurePosixPath)
    dags = [_dag(list(entries)) for _, entries in groupby(sorted(rota.entries, key=_rhythm), key=_rhythm)]
    text = _rendered(
        "casegrade_dags.py",
        source=there.source,
        run_due=_python(shlex.join([*there.asked, *there.options])),
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


@dataclass(frozen=True)
class _There:
    """What the command is given on the machine that runs it: every word can be quoted for every format.

    Attributes:
        home: folder of the project.
        command: the casegrade command.
        source: name of the schedule, for people.
        schedule: the file, if it is not the project's usual one.
        output: folder or URL of the reports, if they are not in the project's usual one.
    """

    home: str
    command: str
    source: str
    schedule: str | None
    output: str | None

    @property
    def asked(self) -> list[str]:
        return [self.command, "--project", self.home, "schedule", "run-due"]

    @property
    def options(self) -> list[str]:
        schedule = [] if self.schedule is None else ["--schedule", self.schedule]
        return schedule + ([] if self.output is None else ["--output", self.output])

    @property
    def folder(self) -> str | None:
        """The folder of the reports, if it is another than the project's; null too if they have a URL."""
        return None if self.output is None or _is_url(self.output) else self.output


def _there(setup: Setup, kind: type[PurePath]) -> _There:
    is_windows = kind is PureWindowsPath
    home = _path(setup.home or (_WINDOWS_HOME if is_windows else _HOME), kind)
    usual = rf"{home}\.venv\Scripts\casegrade.exe" if is_windows else f"{home}/.venv/bin/casegrade"
    output = setup.output
    if output is not None:
        # it is a folder as any other, which has to be known as one
        output = output.removeprefix(_FILE_URL)
        output = _url(output) if _is_url(output) else _path(output, kind, home)
    return _There(
        home=home,
        command=_path(setup.command or usual, kind),
        source=FILE if setup.schedule is None else str(kind(setup.schedule)),
        schedule=None if setup.schedule is None else _path(setup.schedule, kind, home),
        output=output,
    )


def _path(said: str, kind: type[PurePath], home: str | None = None) -> str:
    """An absolute path; a relative one counts from `home`, if there is one to count from."""
    is_windows = kind is PureWindowsPath
    # on Windows, some paths are neither relative nor absolute: they are left as they are, and refused
    path = str(kind(said) if home is None or kind(said).anchor else kind(home) / said)
    form = _WINDOWS if is_windows else _POSIX
    if not form.fullmatch(path) or not _is_plain(path, kind):
        raise ExportError(
            f'"{_shown(said)}" cannot be put into files for other programs: give a whole path such as '
            f"{_WINDOWS_HOME if is_windows else _HOME}, of at most {_LONGEST} letters, with nothing but letters, "
            f"digits, spaces and {_MARKS.strip()} in its names."
        )
    return path


def _in_project(said: str, form: re.Pattern[str], wanted: str) -> str:
    path = str(PurePosixPath(said))
    if not form.fullmatch(path) or not _is_plain(path, PurePosixPath):
        raise ExportError(
            f'"{_shown(said)}" is of no use on GitHub\'s machines, which have the project alone: give {wanted}, '
            f"of at most {_LONGEST} letters."
        )
    return path


def _is_plain(path: str, kind: type[PurePath]) -> bool:
    return ".." not in kind(path).parts and path.strip() == path and len(path) <= _LONGEST


def _is_url(said: str) -> bool:
    return "://" in said


def _url(said: str) -> str:
    if not _URL.fullmatch(said) or not _is_plain(said, PurePosixPath):
        raise ExportError(
            f'"{_shown(said)}" cannot be put into files for other programs: give a URL such as s3://casegrade/reports, '
            f"of at most {_LONGEST} letters, without a password, and with nothing but letters of ASCII, digits, spaces "
            f"and /:{_MARKS.strip()} in it."
        )
    return said


def _shown(said: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in said[:60])


def _quoted(text: str) -> str:
    return f'"{text}"'


def _for_cmd(words: Iterable[str]) -> str:
    """A command for the shell of Windows, to which more than a space means something outside of quotes."""
    return " ".join(word if re.fullmatch(r"[\w.:\\/-]+", word) else f'"{word}"' for word in words)


def _python(text: str) -> str:
    """A text as Python code, in the quotes that a formatter would choose."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    escaped = re.sub(rf"[\\{quote}]", r"\\\g<0>", text)
    return f"{quote}{escaped}{quote}"


def _yaml(text: str) -> str:
    # what JSON takes for a text, YAML takes for the same
    return json.dumps(text, ensure_ascii=False)


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
    environment.filters["python"] = _python
    return environment
