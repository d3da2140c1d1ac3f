"""The pages about all reports: every force that is expected, its status and headline, from their records."""

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any

from jinja2 import Environment, select_autoescape
from jinja2.loaders import FunctionLoader

from analysis import paths, vocabulary
from analysis.compare.change import NoAudit
from analysis.evidence.cleaning import Evidence, Excerpts
from analysis.present import plainly, wording
from analysis.publish import feed, gate, page, plan, revisions, shelf
from analysis.publish.record import Outcome, RunRecord, State, Withdrawal
from analysis.publish.revisions import Revision
from analysis.publish.shelf import Shelf

INDEX = "index.html"
REPORT = page.REPORT
NOT_RUN, SUPERSEDED = "not run yet", "superseded"
# in the order in which they are counted
_STATUSES = (
    Outcome.PUBLISHED,
    SUPERSEDED,
    Outcome.DRAFT,
    Outcome.ONE_AUDIT,
    Outcome.WITHDRAWN,
    Outcome.FAILED,
    NOT_RUN,
    Outcome.NO_AUDITS,
)


@dataclass(frozen=True)
class Row:
    """One force in the index.

    Attributes:
        force: which.
        status: of its report, in the words of `Outcome`, or `NOT_RUN`, or `SUPERSEDED` where a newer draft
            waits beside a published report.
        version: which version there is, in words; empty if there is none.
        updated: the day that version is of; null if there is none.
        headline: what it says, or why there is none.
        compared: the audits that it is about.
        href: the page to open, relative to the index; null if there is none.
        note: what else there is to know; null for nothing.
        draft: the page of a newer draft; null if there is none.
    """

    force: vocabulary.Force
    status: str
    version: str
    updated: date | None
    headline: str
    compared: str
    href: str | None
    note: str | None
    draft: str | None = None


def rows(evidence: Evidence, project: paths.Project, place: Shelf, /) -> list[Row]:
    """One row per force, in alphabetical order of name: as its last run left it."""
    forces = sorted(vocabulary.forces(project.raw), key=lambda force: force.short_name)
    excerpts = Excerpts(evidence)
    with paths.using(project):
        return [_row(force, excerpts.of(force.slug), place) for force in forces]


def _row(force: vocabulary.Force, excerpt: Evidence, place: Shelf) -> Row:
    done = shelf.recorded(place, force.slug)
    path = f"{force.slug}/{REPORT}"
    href = path if done is not None and REPORT in done.outputs and place.has(path) else None
    version, updated = _version(done) if done is not None and href is not None else ("", None)
    if done is not None and done.state is State.WITHDRAWN and href is not None:
        return Row(force, Outcome.WITHDRAWN, version, updated, done.headline, "", href, None)
    if not plan.has_audits(plan.selected(excerpt, force.slug, {})):
        none = wording.headline(NoAudit(force.slug, 0.95))
        return Row(force, Outcome.NO_AUDITS, "", None, none, "", None, _known(excerpt))
    failure = shelf.failure(place, force.slug)
    if failure is not None:
        earlier = "The link leads to the earlier report." if href else None
        told = f"The last run failed: {failure.headline}"
        return Row(force, Outcome.FAILED, version, updated, told, "", href, earlier)
    if done is None or href is None:
        told = "There are audits, but no report has been made of them."
        return Row(force, NOT_RUN, "", None, told, "", None, None)
    waiting = f"{force.slug}/{shelf.DRAFT_FOLDER}/{REPORT}"
    if shelf.drafted(place, force.slug) is not None and place.has(waiting):
        note = "The data or the method changed since. A newer version is drafted and waits to be signed off."
        return Row(force, SUPERSEDED, version, updated, done.headline, done.about, href, note, waiting)
    return Row(force, done.outcome, version, updated, done.headline, done.about, href, None)


def _version(done: RunRecord) -> tuple[str, date]:
    if done.withdrawal is not None:
        day = done.withdrawal.withdrawn.date()
        return f"Withdrawn {wording.day(day)}", day
    if done.sign_off is not None:
        day = done.sign_off.signed.date()
        return f"Published {wording.day(day)}", day
    return f"Draft of {wording.day(done.finished.date())}", done.finished.date()


def _known(excerpt: Evidence) -> str | None:
    known = excerpt.known_inspections.to_dicts()
    if not known:
        return None
    return f"Known to exist, not transcribed: {', '.join(wording.known_inspection(row) for row in known)}."


def pages(
    evidence: Evidence, project: paths.Project, place: Shelf, /, *, footer: tuple[str, ...]
) -> dict[str, str]:
    """Every page about all reports by its name, from what the records say now.

    Raises:
        GateError: if one of them must not be published.
    """
    listed = rows(evidence, project, place)
    moved = revisions.read(place.read(revisions.FILE))
    names = {row.force.slug: row.force.full_name for row in listed}
    subject = gate.Subject(is_interactive=True)
    index = _index(listed, moved, place, footer=footer)
    if gate.problems(index, subject):
        # an error may tell what no page may: then it is for those who can read the record
        listed = [_without_reason(row) if row.status == Outcome.FAILED else row for row in listed]
        index = _index(listed, moved, place, footer=footer)
        gate.check(index, subject)
    return {INDEX: index, feed.FILE: feed.atom(moved, names=names, page=REPORT)}


def _without_reason(row: Row) -> Row:
    return replace(row, headline=f"The last run failed. Its record in {row.force.slug}/failed says why.")


def _index(listed: list[Row], moved: list[Revision], place: Shelf, *, footer: tuple[str, ...]) -> str:
    names = {row.force.slug: row.force.full_name for row in listed}
    changes = [(names.get(one.force, one.force), revisions.sentence(one)) for one in moved[: revisions.SHOWN]]
    quality = f"{plan.QUALITY}/{REPORT}"
    counts = Counter(str(row.status) for row in listed)
    updated = max((row.updated for row in listed if row.updated is not None), default=None)
    return _rendered(
        "index.html.j2",
        rows=listed,
        counts=[(str(status), counts[status]) for status in _STATUSES if counts[status]],
        changes=changes,
        has_more=len(moved) > len(changes),
        revisions=revisions.FILE,
        feed=feed.FILE,
        updated=None if updated is None else wording.day(updated),
        footer=footer,
        limits=wording.LIMITS,
        quality=quality if place.has(quality) else None,
        script=page.template("index.js"),
        script_hash=_hash(page.template("index.js")),
    )


def tombstone(name: str, title: str, withdrawal: Withdrawal, /, *, footer: tuple[str, ...]) -> str:
    """The page that stays where a report was withdrawn: that it was, when and why.

    Raises:
        GateError: if the reason says what no page may say.
    """
    text = _rendered(
        "tombstone.html.j2",
        name=name,
        title=title,
        day=wording.day(withdrawal.withdrawn.date()),
        reason=withdrawal.reason,
        index=f"../{INDEX}",
        footer=footer,
    )
    gate.check(text, gate.Subject())
    return text


def _rendered(template: str, **values: Any) -> str:
    text = _environment().get_template(template).render(style=page.style(), **values)
    return plainly.harmless(text)


@cache
def _environment() -> Environment:
    # tests and rendering read the same template from inside the package
    return Environment(
        loader=FunctionLoader(page.template),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hash(script: str) -> str:
    """How a page's policy names the one script that it lets in."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
