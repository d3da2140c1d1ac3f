"""A report to make, and what was made: values that can be sent to another process or machine.

A job is a project in small: one notebook and the rows of one force. Its kernel sees nothing else,
so nothing else can be in the report, and nothing else needs to be hashed to know whether the
report is out of date.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from analysis.publish import record
from analysis.publish.gate import Subject
from analysis.publish.record import Outcome, Revision, SignOff
from analysis.publish.revisions import History


@dataclass(frozen=True)
class Words:
    """What surrounds the notebook on a page that is not about a force, or on every page.

    `as_of` is the day that the data are as of, `data_version` their version. `title` and `description`
    are null for a force's report, which words them from its audits.
    """

    footer: tuple[str, ...]
    licence: str
    index: str
    as_of: date
    data_version: str
    title: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Job:
    """One report to make.

    Attributes:
        name: of the report, and of its folder; for a force its slug.
        notebook: path of the notebook below the project.
        parameters: for the notebook, checked; with `force` if the report is about one.
        files: the project that its kernel works in, by path below it.
        words: what surrounds the notebook on the page.
        code: hash of the code that is to make it (`record.code_hash`).
        limit: seconds that it may take; null for any.
        until: moment, in seconds since 1970, after which it is not to go on; null for none.
        subject: what no page of the report may say, and what it is about (`gate.Subject`).
        formats: what is to be made besides the usual: `PDF`, `INTERACTIVE`.
        sign_off: who let it be published; null for a draft.
        history: what the report was before.
        executed: the notebook as it was run; then it is not run again, and only dressed anew.
    """

    name: str
    notebook: str
    parameters: Mapping[str, Any]
    files: Mapping[str, bytes] = field(repr=False)
    words: Words = field(repr=False)
    code: str
    limit: float | None = None
    until: float | None = None
    subject: Subject = field(default_factory=Subject, repr=False)
    formats: frozenset[str] = frozenset()
    sign_off: SignOff | None = None
    executed: bytes | None = field(default=None, repr=False)
    history: History = field(default_factory=History, repr=False)

    @property
    def signed(self) -> date | None:
        """The day on which it was let be published; null for a draft."""
        return None if self.sign_off is None else self.sign_off.signed


@dataclass(frozen=True)
class Made:
    """What became of a job: the files of the report; or why it failed, and the notebook as far as it went."""

    name: str
    outcome: Outcome
    headline: str
    about: str
    compared: tuple[str, ...]
    files: Mapping[str, bytes] = field(repr=False)
    started: datetime
    finished: datetime
    seconds: Mapping[str, float]
    kernel: str
    attempts: int
    sign_off: SignOff | None = None
    revisions: tuple[Revision, ...] = field(default=(), repr=False)


def failed(job: Job, problem: str, /, *, started: datetime | None = None) -> Made:
    """A job that came to nothing, with the reason in one sentence."""
    moment = record.now()
    return Made(
        job.name, Outcome.FAILED, plain(problem), "", (), {}, started or moment, moment, {}, "none", 0
    )


def plain(problem: str, /) -> str:
    """A message that may be shown to readers: one line, files by their name, not by where a machine keeps them."""
    one_line = " ".join(problem.split())
    return re.sub(r"(?<![\w:/.])(?:[A-Za-z]:)?[/\\](?:[^\s'\"/\\]+[/\\])+([^\s'\"/\\:,)]+)", r"\1", one_line)
