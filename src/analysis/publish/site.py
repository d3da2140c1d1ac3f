"""The pages about all reports: every force that is expected, its status and headline, from their records."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any

from jinja2 import Environment, select_autoescape
from jinja2.loaders import FunctionLoader
from markupsafe import Markup

from analysis import paths, vocabulary
from analysis.compare.change import NoAudit
from analysis.compare.shares import BASELINE, CHANGE, CONFIDENCE, FOLLOW_UP, measure_of
from analysis.evidence import sources
from analysis.evidence.cleaning import Evidence, Excerpts
from analysis.present import definitions, minibars, plainly, sections, tiles, wording
from analysis.publish import feed, formats, gate, page, plan, revisions, shelf
from analysis.publish.record import Outcome, RunRecord, State, Withdrawal
from analysis.publish.revisions import Revision
from analysis.publish.shelf import Shelf
from analysis.vocabulary import Grade

INDEX, NATIONAL, ABOUT = page.INDEX, "national.html", page.ABOUT
REPORT = page.REPORT
NOT_RUN, SUPERSEDED = "not run yet", "superseded"
# what a report leaves behind besides its page, for readers
_FORMATS: Mapping[str, str] = {
    "report.pdf": "PDF",
    "summary.txt": "text for an e-mail",
    "summary.png": "picture for a slide",
    "figures.csv": "figures as CSV",
    "figures.xlsx": "figures as a spreadsheet",
}
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
        files: the same report in other formats: what each is, and its path relative to the index.
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
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Versions:
    """The records of a force's report: of the one in its place, and of the draft that waits beside it."""

    placed: RunRecord | None
    waiting: RunRecord | None


def _versions(project: paths.Project, place: Shelf) -> dict[str, _Versions]:
    return {
        force.slug: _Versions(shelf.recorded(place, force.slug), shelf.drafted(place, force.slug))
        for force in vocabulary.forces(project.raw)
    }


def _rows(
    evidence: Evidence, project: paths.Project, place: Shelf, versions: Mapping[str, _Versions]
) -> list[Row]:
    """One row per force, in alphabetical order of name: as its last run left it."""
    forces = sorted(vocabulary.forces(project.raw), key=lambda force: force.short_name)
    excerpts = Excerpts(evidence)
    with paths.using(project):
        return [_row(force, excerpts.of(force.slug), place, versions[force.slug]) for force in forces]


def _row(force: vocabulary.Force, excerpt: Evidence, place: Shelf, versions: _Versions) -> Row:
    done = versions.placed
    path = f"{force.slug}/{REPORT}"
    href = path if done is not None and REPORT in done.outputs and place.has(path) else None
    version, updated = _version(done) if done is not None and href is not None else ("", None)
    if done is not None and done.state is State.WITHDRAWN and href is not None:
        return Row(force, Outcome.WITHDRAWN, version, updated, done.headline, "", href, None)
    if not plan.has_audits(plan.selected(excerpt, force.slug, {})):
        none = wording.headline(NoAudit(force.slug))
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
    if versions.waiting is not None and place.has(waiting):
        note = "The data or the method changed since. A newer version is drafted and waits to be signed off."
        return Row(
            force,
            SUPERSEDED,
            version,
            updated,
            done.headline,
            done.about,
            href,
            note,
            waiting,
            files=_files(done),
        )
    return Row(
        force, done.outcome, version, updated, done.headline, done.about, href, None, files=_files(done)
    )


def _files(done: RunRecord) -> tuple[tuple[str, str], ...]:
    return tuple((words, f"{done.force}/{name}") for name, words in _FORMATS.items() if name in done.outputs)


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
    versions = _versions(project, place)
    listed = _rows(evidence, project, place, versions)
    figures = {
        row.force.slug: formats.read_csv(place.read(f"{row.force.slug}/{formats.CSV}"))
        for row in listed
        if row.href is not None
    }
    listing = _listing(place, versions)
    moved = revisions.read(listing.encode() or None)
    names = {row.force.slug: row.force.full_name for row in listed}
    subject = gate.Subject(is_interactive=True)
    index = _index(listed, figures, moved, place, footer=footer)
    if gate.problems(index, subject):
        # an error may tell what no page may: then it is for those who can read the record
        listed = [_without_reason(row) if row.status == Outcome.FAILED else row for row in listed]
        index = _index(listed, figures, moved, place, footer=footer)
        gate.check(index, subject)
    national = _national(listed, figures, footer=footer)
    gate.check(national, subject)
    about = _about(project, footer=footer)
    gate.check(about, subject)
    made = {
        INDEX: index,
        NATIONAL: national,
        ABOUT: about,
        feed.FILE: feed.atom(moved, names=names, page=REPORT),
    }
    return made | ({revisions.FILE: listing} if listing else {})


def revised(project: paths.Project, place: Shelf, /) -> str:
    """The list of all figures that ever moved, those of the present records added; empty if there is none.

    Raises:
        RevisionsError: if there is a list that cannot be read.
    """
    return _listing(place, _versions(project, place))


def _listing(place: Shelf, versions: Mapping[str, _Versions]) -> str:
    content = place.read(revisions.FILE)
    known = [one for of_a_force in versions.values() for one in (of_a_force.waiting, of_a_force.placed)]
    new = [Revision(**row) for one in known if one is not None for row in one.moved]
    return revisions.added(content, new) if content is not None or new else ""


def _without_reason(row: Row) -> Row:
    return replace(row, headline=f"The last run failed. Its record in {row.force.slug}/failed says why.")


def _about(project: paths.Project, *, footer: tuple[str, ...]) -> str:
    package = sources.datapackage(project.raw)
    return _rendered(
        "about.html.j2",
        terms=sections.glossary(definitions.TERMS),
        states=sections.glossary(definitions.STATES),
        method=wording.method(CONFIDENCE),
        limits=wording.LIMITS,
        licences=package.licences,
        contacts=[one for one in package.contributors if one.email or one.path],
        index=INDEX,
        national=NATIONAL,
        footer=footer,
    )


def _map(listed: list[Row]) -> Markup:
    return tiles.figure(
        {row.force.slug: str(row.status) for row in listed},
        names={row.force.slug: row.force.full_name for row in listed},
        links={row.force.slug: row.href for row in listed if row.href is not None},
        name="map",
        title="Which forces have a report",
    )


def _national(
    listed: list[Row], figures: Mapping[str, list[dict[str, str]]], *, footer: tuple[str, ...]
) -> str:
    reported = [row for row in listed if row.href is not None and row.status != Outcome.WITHDRAWN]
    compared = [row for row in reported if any(one["period"] == CHANGE for one in figures[row.force.slug])]
    single = [row for row in reported if row not in compared]
    drawn = [(row, minibars.svg(figures[row.force.slug])) for row in reported]
    return _rendered(
        "national.html.j2",
        map=_map(listed),
        n_forces=len(listed),
        n_compared=len(compared),
        n_single=len(single),
        compared=[
            (
                row,
                [
                    _share(figures[row.force.slug], grade, period)
                    for grade in _GRADES
                    for period in (BASELINE, FOLLOW_UP, CHANGE)
                ],
            )
            for row in compared
        ],
        # of one audit it is not said here whether it is an earlier or a later one
        single=[
            (
                row,
                [
                    row.compared,
                    *(_share(figures[row.force.slug], grade, BASELINE, FOLLOW_UP) for grade in _GRADES),
                ],
            )
            for row in single
        ],
        bars=[(row, drawing) for row, drawing in drawn if drawing],
        undrawn=[row.force.short_name for row, drawing in drawn if not drawing],
        index=INDEX,
        about=ABOUT,
        limits=wording.LIMITS,
        footer=footer,
    )


_GRADES = (Grade.GOOD, Grade.INADEQUATE)


def _share(figures: list[dict[str, str]], grade: Grade, *periods: str) -> str:
    """The share at a grade in the first of some periods that has one, in words."""
    of_it = [row for row in figures if row["measure"] == measure_of(grade) and row["period"] in periods]
    return revisions.shown(of_it[0]) if of_it else wording.NOT_KNOWN


def _index(
    listed: list[Row],
    figures: Mapping[str, list[dict[str, str]]],
    moved: list[Revision],
    place: Shelf,
    *,
    footer: tuple[str, ...],
) -> str:
    names = {row.force.slug: row.force.full_name for row in listed}
    changes = [(names.get(one.force, one.force), revisions.sentence(one)) for one in moved[: revisions.SHOWN]]
    quality = f"{plan.QUALITY}/{REPORT}"
    counts = Counter(str(row.status) for row in listed)
    updated = max((row.updated for row in listed if row.updated is not None), default=None)
    return _rendered(
        "index.html.j2",
        rows=[(row, minibars.svg(figures.get(row.force.slug, []))) for row in listed],
        map=_map(listed),
        national=NATIONAL,
        about=ABOUT,
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
        script_hash=page.hash_of(page.template("index.js")),
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
        about=f"../{ABOUT}",
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
