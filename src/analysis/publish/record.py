"""The run record: what one report run used and produced, in `record.json` beside the report."""

import hashlib
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

FILE = "record.json"

_PACKAGES = (
    "altair",
    "great-tables",
    "ipykernel",
    "nbconvert",
    "numpy",
    "papermill",
    "polars",
    "scipy",
    "statsmodels",
)


class Outcome(StrEnum):
    """How the run of one force ended."""

    PUBLISHED = "published"
    ONE_AUDIT = "one audit only"
    NO_AUDITS = "no audits yet"
    FAILED = "failed"


class RunRecord(BaseModel):
    """What one report run used and produced.

    Attributes:
        run_id: unique id of the run.
        force: slug of the force.
        outcome: how it ended.
        headline: the report's headline; for a failed run, the error in one sentence.
        about: which audits the report is about, in words.
        compared: their inspection ids.
        parameters: parameters given to the notebook; defaults are not repeated.
        started, finished: times in UTC.
        inputs: SHA-256 of each raw file and of the notebook, by name.
        code_version: version of casegrade.
        revision: commit of the checkout; null outside version control.
        is_dirty: whether the checkout had uncommitted changes; null outside version control.
        packages: versions of the libraries that shape the figures and the page.
        outputs: SHA-256 of each file written beside this record, by name.
    """

    model_config = ConfigDict(extra="forbid")

    run_id: str
    force: str
    outcome: Outcome
    headline: str
    about: str
    compared: tuple[str, ...]
    parameters: dict[str, Any]
    started: datetime
    finished: datetime
    inputs: dict[str, str]
    code_version: str
    revision: str | None
    is_dirty: bool | None
    packages: dict[str, str]
    outputs: dict[str, str]


def read(folder: Path, /) -> RunRecord | None:
    """The record in `folder`; null if there is none or it is not readable as one."""
    try:
        return RunRecord.model_validate_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write(record: RunRecord, folder: Path, /) -> None:
    """Write the record into `folder`."""
    (folder / FILE).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def now() -> datetime:
    """The present time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def hashes(files: Iterable[Path], /) -> dict[str, str]:
    """The SHA-256 of each file, by file name, in the order given."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def versions() -> dict[str, str]:
    """The versions of the libraries that shape the figures and the page."""
    return {name: metadata.version(name) for name in _PACKAGES}


def code_version() -> str:
    """The version of casegrade that is installed."""
    return metadata.version("casegrade")


@lru_cache(maxsize=4)
def revision(root: Path, /) -> tuple[str | None, bool | None]:
    """The commit of a checkout and whether it has uncommitted changes; nulls outside version control."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changes = _git(root, "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit, bool(changes)


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()
