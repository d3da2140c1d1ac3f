"""The run record: what one report run used and produced, in `record.json` beside the report."""

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from analysis import paths, vocabulary

FILE = "record.json"
# a report as it is read, as it was run, and as it is printed
PAGE, NOTEBOOK, PDF_FILE = "report.html", "report.ipynb", "report.pdf"
# the report on the data as a whole, which is of no force
QUALITY = "data-quality"
# what reports are made as, besides the usual
PDF, INTERACTIVE = "pdf", "interactive"
# Versions of a report that its record remembers, so that an old copy is known as one.
REMEMBERED = 100

_PACKAGES = (
    "altair",
    "gptables",
    "great-tables",
    "ipykernel",
    "jinja2",
    "lxml",
    "nbconvert",
    "numpy",
    "papermill",
    "polars",
    "scipy",
    "statsmodels",
    "vl-convert-python",
    # an extra, which need not be there
    "weasyprint",
    "xlsxwriter",
)


class Outcome(StrEnum):
    """What a run came to. `draft` and `published` are reports on two audits, or on the data as a whole."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ONE_AUDIT = "one audit only"
    NO_AUDITS = "no audits yet"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class State(StrEnum):
    """Where a report is on its way to readers."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class SignOffError(Exception):
    """A report that cannot be published or withdrawn. The message says why and what to do."""


class SignOff(BaseModel):
    """Who let a report be published, when, and what exactly they let."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reviewer: str | None = Field(
        description="Who read the draft and let it pass; null if the run was told to publish without a reviewer."
    )
    signed: datetime = Field(description="When, in UTC.")
    draft: dict[str, str] = Field(description="SHA-256 of each file of the draft that was read, by name.")


class Withdrawal(BaseModel):
    """Why a report is no longer there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(description="Why, in a sentence that readers are shown.")
    withdrawn: datetime = Field(description="When, in UTC.")


class Earlier(BaseModel):
    """An earlier version of a report, which a later one has taken the place of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str = Field(description="Id of the run that made it.")
    finished: datetime = Field(description="When that run ended, in UTC.")
    state: State = Field(description="Whether it was a draft, published or withdrawn.")
    sign_off: SignOff | None = Field(
        default=None, description="Who had let it be published; null for a draft."
    )
    withdrawal: Withdrawal | None = Field(
        default=None, description="Why it had been withdrawn; null if it was not."
    )
    outputs: dict[str, str] = Field(description="SHA-256 of each of its files, by name.")


@dataclass(frozen=True)
class Revision:
    """One figure that moved. Numbers are as in `figures.csv`; empty if there was or is none.

    Attributes:
        date: when the new version was made, in UTC.
        force: slug.
        measure: as in `figures.csv`.
        period: as in `figures.csv`.
        reason: one of `revisions.Reason`, or several joined by "and".
        detail: the same in words.
        version: what the new version is: draft or published.
        run_id: of the run that made it.
    """

    date: str
    force: str
    measure: str
    period: str
    old_value: str
    new_value: str
    old_lower: str
    new_lower: str
    old_upper: str
    new_upper: str
    old_n_cases: str
    new_n_cases: str
    old_base: str
    new_base: str
    reason: str
    detail: str
    version: str
    run_id: str


class RunRecord(BaseModel):
    """What one report run used and produced. One file per report, and one per failed run."""

    model_config = ConfigDict(extra="forbid", title="Run record")

    run_id: str = Field(description="Unique id of the run of this report.")
    force: str = Field(description="Slug of the force; data-quality for the page on the data as a whole.")
    outcome: Outcome = Field(description="How the run ended.")
    state: State = Field(description="Whether it is a draft, published or withdrawn.")
    sign_off: SignOff | None = Field(default=None, description="Who let it be published; null for a draft.")
    withdrawal: Withdrawal | None = Field(
        default=None, description="Why it was withdrawn; null if it was not."
    )
    formats: tuple[str, ...] = Field(default=(), description="What was asked for besides: pdf, interactive.")
    headline: str = Field(description="The report's headline; for a failed run, the error in one sentence.")
    about: str = Field(description="Which audits the report is about, in words.")
    compared: tuple[str, ...] = Field(description="Their inspection ids.")
    parameters: dict[str, Any] = Field(
        description="Parameters given to the notebook; those left at their default are not repeated."
    )
    started: datetime = Field(description="When work on the report began, in UTC.")
    finished: datetime = Field(description="When it ended, in UTC.")
    seconds: dict[str, float] = Field(
        description="Seconds by step: start (of the kernel), cells, page (with its pictures), files."
    )
    kernel: str = Field(description="How the kernel was started: warm, fresh, or none if it came to none.")
    attempts: int = Field(description="How often a kernel was started until one was ready.")
    depends_on: dict[str, str] = Field(
        description="SHA-256 of everything the report depends on, by kind. If none differs, it is not made again."
    )
    inputs: dict[str, str] = Field(description="SHA-256 of each raw file and of the notebook, by name.")
    code_version: str = Field(description="Version of casegrade.")
    revision: str | None = Field(description="Commit of the checkout; null outside version control.")
    is_dirty: bool | None = Field(
        description="Whether the checkout had uncommitted changes; null outside version control."
    )
    python: str = Field(description="Version of Python.")
    packages: dict[str, str] = Field(description="Versions of the libraries that shape figures and page.")
    outputs: dict[str, str] = Field(description="SHA-256 of each file written beside this record, by name.")
    moved: tuple[Revision, ...] = Field(
        default=(),
        description="Figures that differ from the last version that was published, or else from the draft before: "
        "rows of revisions.csv.",
    )
    earlier: tuple[Earlier, ...] = Field(
        default=(),
        description="Versions that this one took the place of, latest first: all that were published or withdrawn, and "
        f"at most {REMEMBERED} drafts.",
    )


def report_named(name: str, forces: vocabulary.Forces, /) -> str:
    """The name of a report by whatever its force is called: a slug, or `data-quality`.

    Raises:
        VocabularyError: if no force is called that.
    """
    return name if name == QUALITY else forces.named(name).slug


def parse(text: str | bytes | None, /) -> RunRecord | None:
    """The record that a text holds; null if it holds none that can be read."""
    try:
        return None if text is None else RunRecord.model_validate_json(text)
    except ValueError:
        return None


def text(record: RunRecord, /) -> str:
    """The record as the text of its file."""
    return record.model_dump_json(indent=2) + "\n"


def schema() -> str:
    """The JSON schema of a run record, as the text of a file."""
    return json.dumps(RunRecord.model_json_schema(), indent=2) + "\n"


def now() -> datetime:
    """The present time in UTC, to the millisecond."""
    present = datetime.now(UTC)
    return present.replace(microsecond=present.microsecond // 1000 * 1000)


def sha256(content: bytes | str, /) -> str:
    """The SHA-256 of bytes, or of a text in UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


@lru_cache(maxsize=1)
def versions() -> Mapping[str, str]:
    """The versions of those of the libraries that shape figures, pages and files which are installed."""
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


@lru_cache(maxsize=1)
def code_version() -> str:
    """The version of casegrade that is installed."""
    return metadata.version("casegrade")


def python_version() -> str:
    """The version of Python that runs."""
    return ".".join(str(part) for part in sys.version_info[:3])


def code_hash() -> str:
    """The SHA-256 of all code of casegrade, templates included."""
    digest = hashlib.sha256()
    for path in paths.code():
        digest.update(f"{path.relative_to(paths.package()).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def libraries_hash(project: paths.Project, /) -> str:
    """The SHA-256 of the lock and of the versions that are installed, Python's own among them."""
    lock = project.root / "requirements.lock"
    locked = sha256(lock.read_bytes()) if lock.is_file() else None
    return sha256(json.dumps([locked, dict(versions()), code_version(), python_version()]))


@lru_cache(maxsize=4)
def revision(root: Path, /) -> tuple[str | None, bool | None]:
    """The commit of a checkout and whether it has uncommitted changes; nulls outside version control."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changes = _git(root, "status", "--porcelain")
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit, bool(changes)


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()
