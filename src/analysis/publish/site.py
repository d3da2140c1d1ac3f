"""The index of all reports: every force that is expected, its status and headline, from their records."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from jinja2 import Environment, select_autoescape
from jinja2.loaders import FunctionLoader

from analysis import paths, storage, vocabulary
from analysis.compare import change
from analysis.compare.change import NoAudit
from analysis.evidence.cleaning import Evidence
from analysis.present import wording
from analysis.publish import page, record
from analysis.publish.record import Outcome

INDEX = "index.html"
REPORT = "report.html"
FAILED_FOLDER = "failed"
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


def rows(evidence: Evidence, project: paths.Project, /) -> list[Row]:
    """One row per force, in alphabetical order of name: as its last run left it."""
    forces = sorted(vocabulary.forces(project.raw), key=lambda force: force.short_name)
    return [_row(force, evidence, project) for force in forces]


def _row(force: vocabulary.Force, evidence: Evidence, project: paths.Project) -> Row:
    folder = project.reports / force.slug
    examined = change.examine(evidence.audits, force=force.slug)
    if isinstance(examined, NoAudit):
        return Row(force, Outcome.NO_AUDITS, wording.headline(examined), "", None, _known(force, evidence))
    done = record.read(folder)
    failure = record.read(folder / FAILED_FOLDER)
    href = f"{force.slug}/{REPORT}" if done is not None and (folder / REPORT).is_file() else None
    if failure is not None:
        earlier = "The link leads to the earlier report." if href else None
        return Row(force, Outcome.FAILED, f"The last run failed: {failure.headline}", "", href, earlier)
    if done is None or href is None:
        return Row(force, NOT_RUN, "There are audits, but no report has been made of them.", "", None, None)
    return Row(force, done.outcome, done.headline, done.about, href, None)


def _known(force: vocabulary.Force, evidence: Evidence) -> str | None:
    known = evidence.known_inspections.filter(pl.col("force") == force.slug).to_dicts()
    if not known:
        return None
    return f"Known to exist, not transcribed: {', '.join(wording.known_inspection(row) for row in known)}."


def write_index(evidence: Evidence, project: paths.Project, /, *, footer: tuple[str, ...]) -> Path:
    """Write `reports/index.html` in one step, from what the records say now.

    Returns:
        The path of the index.
    """
    listed = rows(evidence, project)
    counts = Counter(str(row.status) for row in listed)
    order = [*Outcome, NOT_RUN]
    # tests and rendering read the same template from inside the package
    environment = Environment(
        loader=FunctionLoader(lambda name: (page._TEMPLATES / name).read_text(encoding="utf-8")),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    document = environment.get_template("index.html.j2").render(
        rows=listed,
        counts=[(str(status), counts[status]) for status in order if counts[status]],
        style=page.style(),
        footer=footer,
        limits=wording.LIMITS,
        has_quality=(project.reports / "data-quality.html").is_file(),
    )
    return storage.write_text(project.reports / INDEX, document)
