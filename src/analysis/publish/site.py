"""The index of all reports: every force that is expected, its status and headline, from their records."""

from collections import Counter
from dataclasses import dataclass

from jinja2 import Environment, select_autoescape
from jinja2.loaders import FunctionLoader

from analysis import paths, vocabulary
from analysis.compare.change import NoAudit
from analysis.evidence.cleaning import Evidence, Excerpts
from analysis.present import wording
from analysis.publish import page, plan, shelf
from analysis.publish.record import Outcome
from analysis.publish.shelf import Shelf

INDEX = "index.html"
NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Row:
    """One force in the index. `href` is the page to open, relative to the index; null if there is none."""

    force: vocabulary.Force
    status: str
    headline: str
    compared: str
    href: str | None
    note: str | None


def rows(evidence: Evidence, project: paths.Project, place: Shelf, /) -> list[Row]:
    """One row per force, in alphabetical order of name: as its last run left it."""
    forces = sorted(vocabulary.forces(project.raw), key=lambda force: force.short_name)
    excerpts = Excerpts(evidence)
    with paths.using(project):
        return [_row(force, excerpts.of(force.slug), place) for force in forces]


def _row(force: vocabulary.Force, excerpt: Evidence, place: Shelf) -> Row:
    if not plan.has_audits(plan.selected(excerpt, force.slug, {})):
        none = wording.headline(NoAudit(force.slug, 0.95))
        return Row(force, Outcome.NO_AUDITS, none, "", None, _known(excerpt))
    done = shelf.recorded(place, force.slug)
    failure = shelf.failure(place, force.slug)
    path = f"{force.slug}/{page.REPORT}"
    href = path if done is not None and page.REPORT in done.outputs and place.has(path) else None
    if failure is not None:
        earlier = "The link leads to the earlier report." if href else None
        return Row(force, Outcome.FAILED, f"The last run failed: {failure.headline}", "", href, earlier)
    if done is None or href is None:
        return Row(force, NOT_RUN, "There are audits, but no report has been made of them.", "", None, None)
    return Row(force, done.outcome, done.headline, done.about, href, None)


def _known(excerpt: Evidence) -> str | None:
    known = excerpt.known_inspections.to_dicts()
    if not known:
        return None
    return f"Known to exist, not transcribed: {', '.join(wording.known_inspection(row) for row in known)}."


def index(evidence: Evidence, project: paths.Project, place: Shelf, /, *, footer: tuple[str, ...]) -> str:
    """The page of all reports, from what the records say now."""
    listed = rows(evidence, project, place)
    quality = f"{plan.QUALITY}/{page.REPORT}"
    counts = Counter(str(row.status) for row in listed)
    order = [*Outcome, NOT_RUN]
    # tests and rendering read the same template from inside the package
    environment = Environment(
        loader=FunctionLoader(lambda name: (page._TEMPLATES / name).read_text(encoding="utf-8")),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2").render(
        rows=listed,
        counts=[(str(status), counts[status]) for status in order if counts[status]],
        style=page.style(),
        footer=footer,
        limits=wording.LIMITS,
        quality=quality if place.has(quality) else None,
    )
