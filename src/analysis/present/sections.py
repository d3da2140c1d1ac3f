"""The sections of a force's report, each one display object: what a notebook cell shows.

A section is text with a little structure. In a notebook and on the page it is HTML, with every
word from a raw file escaped; as plain text it is the same words, which is what tests compare.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from markupsafe import Markup, escape

from analysis import paths, vocabulary
from analysis.compare.change import Comparison, NoAudit, SingleAudit
from analysis.compare.graded import GradedAudit
from analysis.evidence import sources as provenance
from analysis.evidence.cleaning import Evidence
from analysis.evidence.statements import FILE as STATEMENTS
from analysis.present import charts, definitions, tables, wording
from analysis.present.pictures import Picture
from analysis.present.tables import Table
from analysis.vocabulary import Grade


@dataclass(frozen=True)
class Section:
    """Text to show: `plain` line by line, `html` as escaped markup."""

    plain: str
    html: Markup

    def __repr__(self) -> str:
        return self.plain

    def _repr_html_(self) -> str:
        return str(self.html)


def paragraphs(sentences: Iterable[str], /, *, css: str = "") -> Section:
    """Each sentence, or group of sentences, as a paragraph.

    Args:
        sentences: as plain text, in order.
        css: class of every paragraph; empty for none.
    """
    said = list(sentences)
    opening = Markup('<p class="{}">').format(css) if css else Markup("<p>")
    return Section("\n".join(said), Markup("\n").join(opening + escape(one) + Markup("</p>") for one in said))


def bullets(sentences: Iterable[str], /) -> Section:
    """Each sentence as a bullet."""
    said = list(sentences)
    items = Markup("").join(Markup("<li>{}</li>").format(one) for one in said)
    return Section("\n".join(f"- {one}" for one in said), Markup("<ul>{}</ul>").format(items))


@dataclass(frozen=True)
class ForceReport:
    """Everything a report on one force draws on.

    Attributes:
        examined: the comparison, the one audit, or the lack of audits.
        evidence: every cleaned table.
    """

    examined: Comparison | SingleAudit | NoAudit
    evidence: Evidence

    @property
    def force(self) -> str:
        """Slug of the force."""
        return self.examined.force

    @property
    def audits(self) -> tuple[GradedAudit, ...]:
        """The audits that the report is about: two, one or none."""
        if isinstance(self.examined, Comparison):
            return (self.examined.baseline, self.examined.follow_up)
        return (self.examined.audit,) if isinstance(self.examined, SingleAudit) else ()

    @property
    def known_inspections(self) -> list[dict[str, Any]]:
        """Inspections of the force known to exist, in file order (rows of `known_inspections`)."""
        return self.evidence.known_inspections.filter(pl.col("force") == self.force).to_dicts()

    def __repr__(self) -> str:
        return f"{wording.title(self.examined)}. {wording.compared(self.examined)}"


def status(report: ForceReport, /) -> Section:
    """Which force, and which audits the report is about."""
    return paragraphs([wording.compared(report.examined)], css="status")


def headline(report: ForceReport, /) -> Section:
    """The headline box: what was graded, what moved, how sure, what it cannot say, where the source is."""
    said = (wording.headline(report.examined), *wording.summary(report.examined))
    first = Markup('<p class="headline">{}</p>').format(said[0])
    rest = Markup("").join(Markup("<p>{}</p>").format(one) for one in said[1:])
    named = publishers(report.audits, report.evidence.statements)
    source = wording.source(named)
    last = Markup('<p class="source" data-numbers="sources">{}</p>').format(source) if source else ""
    box = Markup('<div class="box">{}{}{}</div>').format(first, rest, last)
    return Section("\n".join([*said, source] if source else said), box)


def publishers(audits: Sequence[GradedAudit], statements: pl.DataFrame, /) -> list[str]:
    """Who published what is followed of some audits, each once, the closest to the inspectorate first.

    Args:
        audits: the audits.
        statements: one row per statement (schema `Statement`), of these audits and perhaps others.
    """
    rows = [row for audit in audits for row in _statements(audit, statements) if row["is_upheld"]]
    rows.sort(key=lambda row: list(vocabulary.SOURCE_KINDS).index(row["source_kind"]))
    return list(dict.fromkeys(row["publisher"] for row in rows))


def _statements(audit: GradedAudit, statements: pl.DataFrame) -> list[dict[str, Any]]:
    return statements.filter(
        (pl.col("inspection_id") == audit.inspection_id)
        & (pl.col("area") == audit.area)
        & (pl.col("graded_by") == audit.graded_by)
    ).to_dicts()


def grades_chart(report: ForceReport, /) -> Picture | Section:
    """The case grades as bars, the earlier audit above the later, and as a table of counts and shares."""
    if isinstance(report.examined, NoAudit):
        return paragraphs([wording.headline(report.examined)])
    table = tables.before_after(report.examined)
    if report.examined.figures["value"].is_null().all():
        return _above("No chart of grades: no share is known.", table)
    return charts.picture(charts.before_after(report.examined), name=charts.GRADES, table=table)


def changes_chart(report: ForceReport, /) -> Picture | Section:
    """The changes as dots with their ranges beside a line at no change, and as a table."""
    if not isinstance(report.examined, Comparison):
        return no_comparison(report)
    table = tables.changes(report.examined)
    if not wording.known_changes(report.examined):
        return _above(f"No chart of changes: {report.examined.verdict.reason}.", table)
    return charts.picture(charts.changes(report.examined), name=charts.CHANGES, table=table)


def _above(sentence: str, table: Table) -> Section:
    said = paragraphs([sentence])
    return Section(f"{said.plain}\n{table!r}", said.html + Markup(table.as_raw_html()))


def how_sure(report: ForceReport, /) -> Section:
    """The changes in sentences, what a range is, and the smallest change that could have shown."""
    pair = report.examined
    if not isinstance(pair, Comparison):
        return no_comparison(report)
    sentences = [
        wording.evidence_sentence(pair),
        wording.change_sentence(pair, Grade.GOOD),
        wording.change_sentence(pair, Grade.INADEQUATE),
        wording.superiority_sentence(pair),
        *([wording.interval_sentence(pair.confidence)] if pair.figures["lower"].is_not_null().any() else []),
        wording.detectable_sentence(pair),
    ]
    return paragraphs(sentences)


def no_comparison(report: ForceReport, /) -> Section:
    """Why there is no comparison, and what would make one possible."""
    if isinstance(report.examined, SingleAudit):
        said = wording.when_comparable(report.examined, report.known_inspections)
        return Section(said, _quoted(Markup("<p>{}</p>").format(said)))
    return paragraphs([wording.headline(report.examined)])


def findings(report: ForceReport, /) -> Section:
    """What inspectors said had improved or was still a concern, by audit, in their themes."""
    known = report.evidence.findings.filter(pl.col("force") == report.force)
    if known.is_empty():
        return paragraphs(
            [
                "What inspectors said by theme has not been transcribed for this force. The sources below have it."
            ]
        )
    plain: list[str] = []
    html = Markup("")
    # the latest first: what has improved and what has not is what the reader came for
    for inspection in reversed(known["inspection_id"].unique(maintain_order=True).to_list()):
        about = known.filter(pl.col("inspection_id") == inspection)
        name = _inspection_name(report, inspection)
        for state in vocabulary.FINDING_STATUSES:
            rows = about.filter(pl.col("status") == state).to_dicts()
            if not rows:
                continue
            heading = f"{_STATUS_HEADINGS[state]}: {name}"
            plain += [heading, *(f"- {row['theme']} ({row['publisher']})" for row in rows)]
            items = Markup("").join(
                Markup('<li>{} <span class="source">({})</span></li>').format(
                    row["theme"], _link(row["url"], row["publisher"])
                )
                for row in rows
            )
            html += Markup("<h3>{}</h3><ul>{}</ul>").format(heading, items)
    caution = wording.findings_and_counts(report.examined)
    return Section("\n".join([*plain, caution]), _quoted(html) + Markup("<p>{}</p>").format(caution))


_STATUS_HEADINGS = {
    "improved": "Improved",
    "still a concern": "Still a concern",
    "needs improvement": "Needed improvement",
    "recommendation": "Subject of a recommendation",
}


def _inspection_name(report: ForceReport, inspection: str) -> str:
    rows = report.evidence.audits.filter(pl.col("inspection_id") == inspection)
    if rows.is_empty():
        return inspection
    return wording.audit_name(GradedAudit.from_row(rows.row(0, named=True)))


def _link(url: str, text: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(url, text)


def by_area(report: ForceReport, /) -> Table | Section:
    """Audits of single areas of child protection, or that none is in the sources read."""
    if isinstance(report.examined, NoAudit):
        return paragraphs([wording.headline(report.examined)])
    known = [audit for audit in report.audits + report.examined.others if audit.area != vocabulary.OVERALL]
    if not known:
        return paragraphs(["Grades by area of child protection are not in the sources read."])
    return tables.areas(known, force=report.force)


def other_audits(report: ForceReport, /) -> Table | Section:
    """Audits of the force that are not compared, with why."""
    if isinstance(report.examined, NoAudit):
        return paragraphs([wording.headline(report.examined)])
    known = [audit for audit in report.examined.others if audit.area == vocabulary.OVERALL]
    if not known:
        return paragraphs(["No other audit of all areas is known for this force."])
    return tables.other_audits(known, force=report.force)


def limits(report: ForceReport, /) -> Section:
    """What the data cannot show."""
    return bullets(wording.what_it_cannot_tell(report.examined))


def sources(report: ForceReport, /) -> Section:
    """Each page behind the figures, what it states, and how disagreements were settled."""
    if not report.audits:
        return paragraphs([wording.headline(report.examined)])
    plain: list[str] = []
    html = Markup("")
    for audit in report.audits:
        settled = wording.resolution_sentence(audit)
        told = [
            (row, f"{_stated(row)}.{_corrected(row, report.evidence.corrections)}")
            for row in _statements(audit, report.evidence.statements)
        ]
        name = wording.capitalised(wording.audit_name(audit))
        plain += [
            f"{name}: {settled}",
            *(f"- {row['publisher']}: {what} {row['url']}" for row, what in told),
        ]
        items = Markup("").join(
            Markup("<li>{}: {}</li>").format(
                _link(
                    row["url"], f"{row['publisher']}, {row['title']}" if row["title"] else row["publisher"]
                ),
                what,
            )
            for row, what in told
        )
        html += Markup("<h3>{}</h3><p>{}</p><ul>{}</ul>").format(name, settled, items)
    return Section("\n".join(plain), _quoted(html))


def _quoted(html: Markup) -> Markup:
    """What sources say, so marked: its numbers are held against the sources, not against the figures."""
    return Markup('<div data-numbers="sources">{}</div>').format(html)


def _stated(row: dict[str, Any]) -> str:
    parts = [wording.cases(row["n_cases"])] if row["n_cases"] is not None else []
    parts += [
        f"{row[f'n_{grade.column}']} {grade.value}"
        for grade in reversed(Grade)
        if row[f"n_{grade.column}"] is not None
    ]
    if row["n_below_good"] is not None:
        parts.append(f"{row['n_below_good']} below good")
    shared = "" if row["source"] == row["publisher"] else f"; shares its wording with {row['source']}"
    verdict = "" if row["is_upheld"] else "; not followed, as other sources outweigh it"
    kept = "; the grades do not add up, as printed" if row["is_kept_as_printed"] else ""
    return f"{', '.join(parts) or 'no counts'}{shared}{verdict}{kept}"


def _corrected(row: dict[str, Any], corrections: pl.DataFrame) -> str:
    """What is read otherwise than the page prints it, and why, as declared."""
    told = ""
    of_it = (pl.col("file") == STATEMENTS) & (pl.col("row") == row["row"])
    for one in corrections.filter(of_it).iter_rows(named=True):
        if one["action"] == "override":
            was, now = (f'"{text}"' if text else "nothing" for text in (one["was"], one["now"]))
            told += f" Corrected: for {one['column'].replace('_', ' ')}, {was} is read as {now}."
        told += f" {one['reason']}"
    return told


def data_source() -> Section:
    """Which data the figures rest on: name, version, date, licence; and that they are no official statistics.

    Raises:
        EvidenceError: if `datapackage.json` cannot be read.
    """
    package = provenance.datapackage(paths.project().raw)
    said = [
        f"Data: {package.title}, version {package.version}, as of {wording.day(package.created)}. "
        f"{package.attribution}",
        "These are not official statistics, and the inspectorate has not checked them. What each page states is in "
        "data/raw; 01_data_quality shows how it was read.",
    ]
    return Section("\n".join(said), _quoted(paragraphs(said).html))


def method(report: ForceReport, /) -> Section:
    """How the figures were worked out, in short."""
    return bullets(wording.method(report.examined.confidence))


def words(report: ForceReport, /) -> Section:
    """What the words of the report mean."""
    plain = "\n".join(line for term in definitions.TERMS.items() for line in term)
    return Section(plain, definitions.listed(definitions.TERMS))


def annex(report: ForceReport, /) -> Table | Section:
    """Every figure of the report in one table."""
    if isinstance(report.examined, NoAudit):
        return paragraphs([wording.headline(report.examined)])
    return tables.figures(report.examined)
