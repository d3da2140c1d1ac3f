"""The pages about all reports: every force that is expected, its status and headline, from their records."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, select_autoescape
from jinja2.loaders import FunctionLoader
from markupsafe import Markup

from analysis import paths, vocabulary
from analysis.compare.change import NoAudit
from analysis.compare.graded import Selection
from analysis.compare.shares import BASELINE, CHANGE, CONFIDENCE, FOLLOW_UP, measure_of
from analysis.evidence import sources
from analysis.evidence.cleaning import Evidence, Excerpts
from analysis.present import definitions, minibars, plainly, tiles, wording
from analysis.publish import feed, formats, gate, page, plan, record, restricted, revisions, shelf
from analysis.publish.record import Outcome, Revision, RunRecord, State, Withdrawal
from analysis.publish.revisions import Withdrawn
from analysis.publish.shelf import Shelf
from analysis.vocabulary import Grade

INDEX, NATIONAL, ABOUT = page.INDEX, page.NATIONAL, page.ABOUT
NOT_RUN, SUPERSEDED = "not run yet", "superseded"
# what a report leaves behind besides its page, for readers
_FORMATS: Mapping[str, str] = {
    record.PDF_FILE: "PDF",
    "summary.txt": "text for an e-mail",
    "summary.png": "picture for a slide",
    "figures.csv": "figures as CSV",
    "figures.xlsx": "figures as a spreadsheet",
}


@dataclass(frozen=True)
class Row:
    """One force in the index.

    Attributes:
        force: which.
        status: of its report, in the words of `Outcome`, or `NOT_RUN`, or `SUPERSEDED` where a newer draft
            waits beside a published report.
        version: which version there is, in words; empty if there is none.
        state: the same as one of `State`; null if there is none.
        updated: the day that version is of; null if there is none.
        headline: what it says; or why there is none, if `href` is null.
        compared: the audits that it is about.
        level: of its intervals.
        is_pair: whether it is about two audits.
        href: the page to open, relative to the index; null if there is none.
        notes: what else there is to know.
        draft: the page of a newer draft; null if there is none.
        files: the same report in other formats: what each is, and its path relative to the index.
    """

    force: vocabulary.Force
    status: str
    headline: str
    version: str = ""
    state: State | None = None
    updated: date | None = None
    compared: str = ""
    level: float = CONFIDENCE
    is_pair: bool = False
    href: str | None = None
    notes: tuple[str, ...] = ()
    draft: str | None = None
    files: tuple[tuple[str, str], ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether there is a report to read: not one that was withdrawn."""
        return self.href is not None and self.state is not State.WITHDRAWN


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


@dataclass(frozen=True)
class _Known:
    """What the data have of a force: its rows, and the audits that a report would be about."""

    excerpt: Evidence
    selection: Selection


def _known(evidence: Evidence, project: paths.Project) -> dict[str, _Known]:
    excerpts = Excerpts(evidence)
    found = {force.slug: excerpts.of(force.slug) for force in vocabulary.forces(project.raw)}
    return {slug: _Known(excerpt, plan.selected(excerpt, slug, {})) for slug, excerpt in found.items()}


def _rows(
    known: Mapping[str, _Known],
    project: paths.Project,
    place: Shelf,
    versions: Mapping[str, _Versions],
    *,
    has_errors: bool = True,
) -> list[Row]:
    """One row per force, in alphabetical order of name: as its last run left it.

    `has_errors` is whether what failed is told with its error.
    """
    forces = sorted(vocabulary.forces(project.raw), key=lambda force: force.short_name)
    with paths.using(project):
        return [
            _row(force, known[force.slug], place, versions[force.slug], has_errors=has_errors)
            for force in forces
        ]


def _row(
    force: vocabulary.Force, known: _Known, place: Shelf, versions: _Versions, *, has_errors: bool
) -> Row:
    has_audits = plan.has_audits(known.selection)
    failure = shelf.failure(place, force.slug)
    done = versions.placed
    if done is None and place.has(f"{force.slug}/{record.FILE}"):
        return Row(force, Outcome.FAILED, wording.capitalised(f"{plan.UNKNOWN}."))
    if done is None or record.PAGE not in done.outputs or not place.has(f"{force.slug}/{record.PAGE}"):
        if failure is not None:
            return Row(force, Outcome.FAILED, _failed(failure, has_error=has_errors))
        if has_audits:
            return Row(force, NOT_RUN, "There are audits, but no report has been made of them.")
        none = wording.headline(NoAudit(force.slug))
        return Row(force, Outcome.NO_AUDITS, none, notes=_untranscribed(known.excerpt))
    version, updated = _version(done)
    waiting = f"{force.slug}/{shelf.DRAFT_FOLDER}/{record.PAGE}"
    draft = waiting if versions.waiting is not None and place.has(waiting) else None
    row = Row(
        force,
        status=done.outcome,
        headline=done.headline,
        version=version,
        state=done.state,
        updated=wording.local(updated).date(),
        compared="" if done.state is State.WITHDRAWN else done.about,
        level=float(done.parameters.get("confidence", CONFIDENCE)),
        is_pair=len(done.compared) > 1,
        href=f"{force.slug}/{record.PAGE}",
        draft=draft,
        files=tuple(
            (words, f"{force.slug}/{name}") for name, words in _FORMATS.items() if name in done.outputs
        ),
    )
    if not has_audits and done.state is not State.WITHDRAWN:
        return replace(row, status=Outcome.FAILED, notes=(wording.capitalised(f"{plan.GONE}."),))
    if failure is not None:
        notes = (_failed(failure, has_error=has_errors), "The report is the earlier one.")
        return replace(row, status=Outcome.FAILED, notes=notes)
    if draft is not None:
        told = "A newer version is drafted and waits to be signed off."
        is_withdrawn = done.state is State.WITHDRAWN
        return replace(row, status=row.status if is_withdrawn else SUPERSEDED, notes=(told,))
    return row


def _failed(failure: RunRecord, *, has_error: bool) -> str:
    if has_error:
        return f"The last run failed: {failure.headline}"
    return f"The last run failed. Its record in {failure.force}/{shelf.FAILED_FOLDER} says why."


def _version(done: RunRecord) -> tuple[str, datetime]:
    """Which version a record is of, in words, and the moment that made it."""
    if done.withdrawal is not None:
        moment = done.withdrawal.withdrawn
        return f"Withdrawn {wording.day(moment)}", moment
    if done.sign_off is not None:
        moment = done.sign_off.signed
        return f"Published {wording.day(moment)}", moment
    return f"Draft of {wording.day(done.finished)}", done.finished


def _untranscribed(excerpt: Evidence) -> tuple[str, ...]:
    known = excerpt.known_inspections.to_dicts()
    if not known:
        return ()
    return (f"Known to exist, not transcribed: {', '.join(wording.known_inspection(row) for row in known)}.",)


def pages(
    evidence: Evidence, project: paths.Project, place: Shelf, /, *, footer: tuple[str, ...]
) -> dict[str, str]:
    """Every page about all reports by its name, from what the records say now.

    Raises:
        GateError: if one of them must not be published.
        RestrictedError: if a restricted file cannot be read.
        RevisionsError: if the list of revisions cannot be read.
    """
    versions = _versions(project, place)
    known = _known(evidence, project)
    listed = _rows(known, project, place, versions)
    listing = _listing(place, versions)
    told = _told(revisions.read(listing.encode() or None), versions)
    names = {row.force.slug: row.force.full_name for row in listed}
    figures = {
        row.force.slug: formats.read_csv(shelf.unaltered(place, row.force.slug, formats.CSV, placed))
        for row in listed
        if row.is_readable and (placed := versions[row.force.slug].placed) is not None
    }
    selections = [one.selection for one in known.values()]
    site = _Site(project, place, footer, told, names, figures, selections, has_list=bool(listing))
    subject = _subject(project)
    index = site.index(listed)
    if gate.problems(index, subject):
        # an error may tell what no page may: then it is for those who can read the record
        listed = _rows(known, project, place, versions, has_errors=False)
        index = site.index(listed)
        gate.check(index, subject)
    made = {NATIONAL: site.national(listed), ABOUT: site.about()}
    for page_text in made.values():
        gate.check(page_text, subject)
    made[INDEX] = index
    made[feed.FILE] = feed.atom(
        told,
        names=names,
        page=record.PAGE,
        since=sources.datapackage(project.raw).created,
        drafts={row.force.slug: row.draft for row in listed if row.draft is not None},
    )
    return made | ({revisions.FILE: listing} if listing else {})


def _subject(project: paths.Project) -> gate.Subject:
    held = restricted.read(project.restricted, public=vocabulary.forces(project.raw).names)
    return gate.Subject(
        columns=held.columns,
        values=held.values,
        is_interactive=True,
        scripts=frozenset([page.hash_of(page.template("index.js"))]),
    )


def revised(project: paths.Project, place: Shelf, /) -> str:
    """The list of all figures that ever moved, those of the present records added; empty if there is none.

    Raises:
        RevisionsError: if there is a list that cannot be read.
    """
    return _listing(place, _versions(project, place))


def _listing(place: Shelf, versions: Mapping[str, _Versions]) -> str:
    content = place.read(revisions.FILE)
    known = [one for of_a_force in versions.values() for one in (of_a_force.waiting, of_a_force.placed)]
    new = [moved for one in known if one is not None for moved in one.moved]
    return revisions.added(content, new) if content is not None or new else ""


def _told(moved: list[Revision], versions: Mapping[str, _Versions]) -> list[Revision | Withdrawn]:
    """What readers of all reports are told, latest first: figures that moved, and reports that were withdrawn.

    Of a force with a published version, only the draft that waits: others were never read by anybody.
    """
    placed = [one.placed for one in versions.values() if one.placed is not None]
    final = {one.force for one in placed if one.state is not State.DRAFT}
    waiting = {one.waiting.run_id for one in versions.values() if one.waiting is not None}
    shown = [
        one for one in moved if one.version != State.DRAFT or one.run_id in waiting or one.force not in final
    ]
    return revisions.together(shown, [one for found in placed for one in revisions.withdrawals(found)])


@dataclass(frozen=True)
class _Site:
    """What the pages about all reports are made of."""

    project: paths.Project
    place: Shelf
    footer: tuple[str, ...]
    told: list[Revision | Withdrawn]
    names: Mapping[str, str]
    # of reports that can be read, by slug: rows of figures.csv
    figures: Mapping[str, list[dict[str, str]]]
    selections: list[Selection]
    has_list: bool

    def index(self, listed: list[Row]) -> str:
        """All forces, with the state of their reports, and what changed."""
        shown = self.told[: revisions.SHOWN]
        changes = [(self.names.get(one.force, one.force), revisions.sentence(one)) for one in shown]
        updated = max((row.updated for row in listed if row.updated is not None), default=None)
        quality = shelf.recorded(self.place, record.QUALITY)
        return _rendered(
            "index.html.j2",
            rows=[(row, minibars.svg(self.figures.get(row.force.slug, []))) for row in listed],
            map=_map(listed),
            national=NATIONAL,
            about=ABOUT,
            key=minibars.key(),
            known=self._known_in_words(),
            statuses=[status for status in tiles.SIGNS if any(row.status == status for row in listed)],
            n_states={state.value: sum(row.state is state for row in listed) for state in State},
            changes=changes,
            has_more=len(self.told) > len(shown),
            revisions=revisions.FILE if self.has_list else None,
            feed=feed.FILE,
            updated=None if updated is None else wording.day(updated),
            footer=self.footer,
            limits=wording.LIMITS,
            quality=None if quality is None else f"{record.QUALITY}/{record.PAGE}",
            quality_version="" if quality is None else _version(quality)[0],
            script=page.template("index.js"),
            script_hash=page.hash_of(page.template("index.js")),
        )

    def national(self, listed: list[Row]) -> str:
        """All reports on one page, in alphabetical order."""
        reported = [row for row in listed if row.is_readable]
        figures = self.figures
        drawn = [(row, minibars.svg(figures[row.force.slug])) for row in reported]
        columns = [(grade, period) for grade in _GRADES for period in (BASELINE, FOLLOW_UP, CHANGE)]
        compared = [row for row in reported if row.is_pair]
        single = [row for row in reported if not row.is_pair]
        return _rendered(
            "national.html.j2",
            map=_map(listed),
            known=self._known_in_words(),
            n_drafts=sum(row.state is State.DRAFT for row in reported),
            n_reports=len(reported),
            key=minibars.key(),
            compared=[
                (
                    row,
                    [*(_share(row, figures[row.force.slug], grade, period) for grade, period in columns)],
                )
                for row in compared
            ],
            # of one audit it is not said here whether it is an earlier or a later one
            single=[
                (
                    row,
                    [
                        row.compared,
                        *(_share(row, figures[row.force.slug], one, BASELINE, FOLLOW_UP) for one in _GRADES),
                    ],
                )
                for row in single
            ],
            bars=[(row, drawing) for row, drawing in drawn if drawing],
            undrawn=[row.force.short_name for row, drawing in drawn if not drawing],
            index=INDEX,
            about=ABOUT,
            limits=wording.LIMITS,
            interval=wording.interval_sentence(CONFIDENCE),
            rounding=wording.ROUNDING,
            footer=self.footer,
        )

    def about(self) -> str:
        """What the words mean, how figures are worked out, how accessible the pages are, whom to ask."""
        package = sources.datapackage(self.project.raw)
        return _rendered(
            "about.html.j2",
            terms=definitions.listed(definitions.TERMS),
            states=definitions.listed(definitions.STATES),
            method=wording.method(CONFIDENCE),
            limits=wording.LIMITS,
            licences=package.licences,
            contacts=[one for one in package.contributors if one.email or one.path],
            index=INDEX,
            national=NATIONAL,
            footer=self.footer,
        )

    def _known_in_words(self) -> str:
        """How many forces have two audits, one or none, by the data and not by the reports that were made."""
        n_pairs = sum(one.baseline is not None for one in self.selections)
        n_single = sum(one.only is not None for one in self.selections)
        return wording.known_of_forces(len(self.selections), n_pairs=n_pairs, n_single=n_single)


def _map(listed: list[Row]) -> Markup:
    return tiles.figure(
        {row.force.slug: str(row.status) for row in listed},
        names={row.force.slug: row.force.full_name for row in listed},
        links={row.force.slug: row.href for row in listed if row.href is not None},
        name="map",
        title="Which forces have a report",
    )


_GRADES = (Grade.GOOD, Grade.INADEQUATE)


def _share(row: Row, figures: list[dict[str, str]], grade: Grade, *periods: str) -> str:
    """The share at a grade in the first of some periods that has one, in words."""
    of_it = [one for one in figures if one["measure"] == measure_of(grade) and one["period"] in periods]
    if not of_it:
        return wording.NOT_KNOWN
    unusual = None if row.level == CONFIDENCE else row.level
    return wording.figure_told(formats.typed(of_it[0]), confidence=unusual)


def tombstone(
    name: str, title: str, withdrawal: Withdrawal, project: paths.Project, /, *, footer: tuple[str, ...]
) -> str:
    """The page that stays where a report was withdrawn: that it was, when and why.

    Raises:
        GateError: if the reason says what no page may say.
        RestrictedError: if a restricted file cannot be read.
    """
    text = _rendered(
        "tombstone.html.j2",
        name=name,
        title=title,
        day=wording.day(withdrawal.withdrawn),
        reason=withdrawal.reason,
        index=f"../{INDEX}",
        about=f"../{ABOUT}",
        footer=footer,
    )
    gate.check(text, replace(_subject(project), is_interactive=False))
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
