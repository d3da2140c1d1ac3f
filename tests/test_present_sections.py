import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import polars as pl
import pytest
import synthetic
from lxml import html

from analysis import vocabulary
from analysis.compare import change
from analysis.compare.change import Comparison, NoAudit, SingleAudit
from analysis.evidence import narrative, statements
from analysis.evidence.cleaning import Evidence
from analysis.present import sections, wording
from analysis.present.pictures import Picture
from analysis.present.sections import ForceReport, Section

SLUGS = synthetic.slugs()
COMPARED = synthetic.slugs(Comparison)
ALONE = synthetic.slugs(SingleAudit)
WITHOUT = synthetic.slugs(NoAudit)

Maker = Callable[[ForceReport], Any]
# every public function that takes a report: a section that is added is tested at once
SECTIONS: dict[str, Maker] = {
    name: made
    for name, made in inspect.getmembers(sections, inspect.isfunction)
    if not name.startswith("_")
    and made.__module__ == sections.__name__
    and list(inspect.signature(made).parameters) == ["report"]
}

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)><!-- {{ 7 * 7 }} &lt;'
ADDRESS = 'https://example.org/"onmouseover="alert(1)'
# what sections are made of; a script, an image or a frame is none of it
TAGS = {
    "a", "caption", "dd", "desc", "details", "div", "dl", "dt", "figcaption", "figure",
    "g", "h3", "li", "line", "p", "path", "rect",
    "span", "strong", "style", "summary", "svg", "table", "tbody", "td",
    "text", "th", "thead", "title", "tr", "tspan", "ul",
}  # fmt: skip


def shown(section: Any) -> Any:
    # as a notebook shows it: a picture has a bundle of media types, everything else just HTML
    bundle = (
        section._repr_mimebundle_() if isinstance(section, Picture) else {"text/html": section._repr_html_()}
    )
    return html.fragment_fromstring(bundle["text/html"], create_parent=True)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="session")
def report_of(evidence: Evidence) -> Callable[[str], ForceReport]:
    return cache(lambda slug: ForceReport(change.examine(evidence.audits, force=slug), evidence))


@pytest.fixture(scope="session")
def section_of(report_of: Callable[[str], ForceReport]) -> Callable[[str, str], Any]:
    """A section of a force's report by name, made once."""
    return cache(lambda name, slug: SECTIONS[name](report_of(slug)))


@pytest.fixture(scope="session")
def hostile_report_of(evidence: Evidence) -> Callable[[str], ForceReport]:
    """The same reports, with every text that a raw file may hold turned against the reader."""
    text = pl.lit(HOSTILE)
    hostile: Any = replace(
        evidence,
        audits=evidence.audits.with_columns(note=text),
        statements=evidence.statements.with_columns(
            publisher=text, source=pl.lit("another text"), title=text, url=pl.lit(ADDRESS)
        ),
        findings=evidence.findings.with_columns(theme=text, publisher=text, url=pl.lit(ADDRESS)),
    )
    return cache(lambda slug: ForceReport(change.examine(hostile.audits, force=slug), hostile))


def test_there_are_sections_to_test() -> None:
    assert {"status", "headline", "how_sure", "findings", "sources", "limits", "annex"} <= set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_section_has_words_in_both_forms_for_every_force(
    name: str, section_of: Callable[[str, str], Any]
) -> None:
    for slug in SLUGS:
        section = section_of(name, slug)
        assert words("".join(shown(section).itertext())), slug
        assert words(repr(section)), slug
        assert {one.tag for one in shown(section).iter()} <= TAGS, slug
        assert not re.search(r"\b(None|nan|null)\b", repr(section)), slug


@pytest.mark.parametrize("name", SECTIONS)
def test_words_of_raw_files_never_become_markup(
    name: str, hostile_report_of: Callable[[str], ForceReport]
) -> None:
    for slug in SLUGS:
        section = SECTIONS[name](hostile_report_of(slug))
        tree = shown(section)
        assert {one.tag for one in tree.iter()} <= TAGS, slug
        assert not [key for one in tree.iter() for key in one.attrib if key.startswith("on")], slug
        assert {one.get("href") for one in tree.iterfind(".//a")} <= {ADDRESS}, slug
        # shown as it is: neither swallowed nor escaped twice
        assert (HOSTILE in "".join(tree.itertext())) == (HOSTILE in repr(section)), slug


@pytest.mark.parametrize("name", ["findings", "sources", "other_audits", "by_area"])
def test_words_of_raw_files_are_shown_where_they_are_quoted(
    name: str, hostile_report_of: Callable[[str], ForceReport]
) -> None:
    slug = {"other_audits": "west-yorkshire", "by_area": "west-midlands"}.get(name, "warwickshire")
    assert HOSTILE in "".join(shown(SECTIONS[name](hostile_report_of(slug))).itertext())


@pytest.mark.parametrize("slug", SLUGS)
def test_plain_text_of_a_section_says_what_the_page_says(
    slug: str, section_of: Callable[[str, str], Any]
) -> None:
    for name in SECTIONS:
        section = section_of(name, slug)
        # the page links a source where plain text spells its address out
        if not isinstance(section, Section) or name == "sources":
            continue
        tree = shown(section)
        page = (
            words(" ".join(tree.xpath(".//text()[not(parent::style)]"))).replace("( ", "(").replace(" )", ")")
        )
        for line in section.plain.splitlines():
            # cells of a table
            assert words(line.removeprefix("- ").replace(" | ", " ")) in page, name


@pytest.mark.parametrize("slug", SLUGS)
def test_ids_are_unique_among_all_sections_of_a_force(
    slug: str, section_of: Callable[[str, str], Any]
) -> None:
    ids = [one.get("id") for name in SECTIONS for one in shown(section_of(name, slug)).iterfind(".//*[@id]")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("slug", SLUGS)
def test_headings_inside_sections_are_of_the_third_level(
    slug: str, section_of: Callable[[str, str], Any]
) -> None:
    # the notebook has the second level, the page the first
    for name in SECTIONS:
        assert not shown(section_of(name, slug)).xpath(".//h1 | .//h2 | .//h4")


@pytest.mark.parametrize("slug", SLUGS)
def test_links_lead_to_the_pages_that_were_read_and_say_whose_they_are(
    slug: str, report_of: Callable[[str], ForceReport]
) -> None:
    report = report_of(slug)
    known = {
        row["url"]: row["publisher"]
        for table in (report.evidence.statements, report.evidence.findings)
        for row in table.filter(pl.col("force") == slug).to_dicts()
    }
    for make in (sections.findings, sections.sources):
        for link in shown(make(report)).iterfind(".//a"):
            assert link.get("href") in known
            assert len("".join(link.itertext())) > 2
            assert not re.search(r"\bhere\b|^https?:|^link$", "".join(link.itertext()))


def test_headline_box_has_the_headline_and_then_the_summary(
    report_of: Callable[[str], ForceReport],
) -> None:
    box = shown(sections.headline(report_of("warwickshire"))).find("div[@class='box']")
    *told, source = ["".join(one.itertext()) for one in box]
    examined = report_of("warwickshire").examined
    assert told == [wording.headline(examined), *wording.summary(examined)]
    assert source == "Source: HMICFRS; BBC News; Police Professional."
    assert box[0].get("class") == "headline"


@pytest.mark.parametrize("slug", ["warwickshire", "avon-and-somerset"])
def test_first_screen_gives_the_counts_with_their_base_and_the_limits(
    slug: str, report_of: Callable[[str], ForceReport]
) -> None:
    report = report_of(slug)
    told = sections.headline(report).plain
    for audit in report.audits:
        for count in (audit.n_cases, audit.count(vocabulary.Grade.GOOD)):
            assert re.search(rf"\b{count}\b", told)
    assert wording.LIMITS in told


def test_findings_of_warwickshire_stand_beside_the_counts(
    evidence: Evidence, report_of: Callable[[str], ForceReport]
) -> None:
    tree = shown(sections.findings(report_of("warwickshire")))
    rows = evidence.findings.filter(pl.col("force") == "warwickshire").to_dicts()
    parts = {
        "".join(heading.itertext()): [words("".join(item.itertext())) for item in heading.getnext()]
        for heading in tree.iterfind(".//h3")
    }
    assert sum(map(len, parts.values())) == len(rows)
    starts = {
        "improved": "Improved",
        "still a concern": "Still a concern",
        "needs improvement": "Needed improvement",
        "recommendation": "Subject of a recommendation",
    }
    for row in rows:
        where = [items for heading, items in parts.items() if heading.startswith(starts[row["status"]])]
        assert any(f"{row['theme']} ({row['publisher']})" in items for items in where), row["theme"]
    assert any(heading.startswith("Improved") for heading in parts)
    assert any(heading.startswith("Still a concern") for heading in parts)
    assert "answer different questions" in "".join(tree.itertext())


def test_findings_put_the_latest_audit_first(report_of: Callable[[str], ForceReport]) -> None:
    headings = [
        "".join(one.itertext())
        for one in shown(sections.findings(report_of("warwickshire"))).iterfind(".//h3")
    ]
    later = [number for number, heading in enumerate(headings) if "2023" in heading]
    earlier = [number for number, heading in enumerate(headings) if "2022" in heading]
    assert later
    assert earlier
    assert max(later) < min(earlier)


@pytest.mark.parametrize("slug", SLUGS)
def test_findings_name_their_audit_in_words(slug: str, report_of: Callable[[str], ForceReport]) -> None:
    for heading in shown(sections.findings(report_of(slug))).iterfind(".//h3"):
        # an inspection id is for files; readers get "post-inspection review of February 2023"
        assert slug not in "".join(heading.itertext())


def test_conflict_on_dorset_is_named_with_what_was_decided(
    evidence: Evidence, report_of: Callable[[str], ForceReport]
) -> None:
    section = sections.sources(report_of("dorset"))
    lost = evidence.statements.filter((pl.col("force") == "dorset") & ~pl.col("is_upheld")).to_dicts()
    assert [row["n_inadequate"] for row in lost] == [23]
    for form in (section.plain, "".join(shown(section).itertext())):
        assert "Sources disagree" in form
        assert re.search(r"\b28\b.*was taken", form)
        assert re.search(r"\b23\b.*was not", form)
    items = ["".join(one.itertext()) for one in shown(section).iterfind(".//li")]
    refused = [item for item in items if "not followed" in item]
    assert len(refused) == 1
    assert str(lost[0]["publisher"]) in refused[0]
    assert "23 inadequate" in refused[0]


@pytest.mark.parametrize("slug", [*COMPARED, *ALONE])
def test_every_statement_behind_the_figures_is_listed_with_its_link_and_counts(
    slug: str, evidence: Evidence, report_of: Callable[[str], ForceReport]
) -> None:
    report = report_of(slug)
    items = {
        (link.get("href"), words("".join(item.itertext())))
        for item in shown(sections.sources(report)).iterfind(".//li")
        for link in item.iterfind("a")
    }
    for audit in report.audits:
        rows = evidence.statements.filter(
            (pl.col("inspection_id") == audit.inspection_id)
            & (pl.col("area") == audit.area)
            & (pl.col("graded_by") == audit.graded_by)
        ).to_dicts()
        assert rows
        for row in rows:
            told = [text for url, text in items if url == row["url"] and words(row["publisher"]) in text]
            assert told
            if row["n_inadequate"] is not None:
                assert any(f"{row['n_inadequate']} inadequate" in text for text in told)


@pytest.mark.parametrize("file", [statements.FILE, narrative.CLAIMS_FILE])
def test_correction_is_told_beside_the_row_of_the_file_that_it_is_about(
    file: str, evidence: Evidence, report_of: Callable[[str], ForceReport]
) -> None:
    row = evidence.statements.filter(pl.col("force") == "warwickshire")["row"][0]
    moved = evidence.corrections.filter(pl.col("file") == narrative.CLAIMS_FILE).with_columns(
        file=pl.lit(file), row=pl.lit(row, pl.Int64)
    )
    report = replace(report_of("warwickshire"), evidence=replace(evidence, corrections=moved))
    assert ("Corrected:" in sections.sources(report).plain) == (file == statements.FILE)


@pytest.mark.parametrize("slug", [*COMPARED, *ALONE])
def test_number_of_sources_is_told_for_every_audit(
    slug: str, report_of: Callable[[str], ForceReport]
) -> None:
    report = report_of(slug)
    plain = sections.sources(report).plain
    for audit in report.audits:
        assert wording.resolution_sentence(audit) in plain
        number = "One source" if audit.n_sources == 1 else f"{audit.n_sources} independent sources"
        assert number in wording.resolution_sentence(audit)


@pytest.mark.parametrize("slug", COMPARED)
def test_how_sure_tells_both_changes_and_what_a_range_is(
    slug: str, report_of: Callable[[str], ForceReport]
) -> None:
    told = sections.how_sure(report_of(slug)).plain
    assert "Share graded good" in told
    assert "Share graded inadequate" in told
    assert "95% interval" in told
    assert "true uncertainty is wider" in told


@pytest.mark.parametrize("slug", ALONE)
def test_one_audit_alone_gets_no_change_and_says_what_would_make_one_possible(
    slug: str, report_of: Callable[[str], ForceReport]
) -> None:
    report = report_of(slug)
    for make in (sections.how_sure, sections.changes_chart):
        assert repr(make(report)) == sections.no_comparison(report).plain
    assert sections.no_comparison(report).plain.startswith("A comparison becomes possible")


@pytest.mark.parametrize("slug", WITHOUT)
def test_force_without_audits_gets_sentences_and_no_figures(
    slug: str, section_of: Callable[[str, str], Any]
) -> None:
    for name in SECTIONS:
        section = section_of(name, slug)
        if name in ("limits", "method", "findings", "sources", "words"):
            continue
        assert isinstance(section, Section), name
        assert not re.search(r"\d", section.plain), name


@pytest.mark.parametrize("slug", SLUGS)
def test_limits_are_told_to_every_reader(slug: str, report_of: Callable[[str], ForceReport]) -> None:
    limits = sections.limits(report_of(slug)).plain
    assert "not a random sample" in limits
    assert "what became of the child" in limits
    assert ("Follow-ups happen where first grades were poor" in limits) == (slug in COMPARED)


def test_method_names_the_level_that_was_asked_for(evidence: Evidence) -> None:
    examined = change.examine(evidence.audits, force="warwickshire", confidence=0.9)
    told = sections.method(ForceReport(examined, evidence)).plain
    assert "90% Wilson" in told
    assert "90% Newcombe" in told


def test_comparison_of_nothing_has_words_in_place_of_a_chart(evidence: Evidence) -> None:
    pair = synthetic.pair((None, None, None), (9, 20, 12), earlier={"n_cases": 30})
    section = sections.changes_chart(ForceReport(pair, evidence))
    assert isinstance(section, Section)
    assert str(pair.verdict.reason) in section.plain


@pytest.mark.parametrize("slug", [*COMPARED, *ALONE])
def test_every_audit_of_a_force_is_in_its_report(
    slug: str, evidence: Evidence, report_of: Callable[[str], ForceReport]
) -> None:
    report = report_of(slug)
    told = " ".join(repr(make(report)) for make in SECTIONS.values()).lower()
    for row in evidence.audits.filter(pl.col("force") == slug).to_dicts():
        assert wording.audit_name(change.GradedAudit.from_row(row)).lower() in told


def test_text_with_markup_of_its_own_is_escaped_once() -> None:
    for section in (sections.paragraphs([HOSTILE]), sections.bullets([HOSTILE])):
        assert {one.tag for one in shown(section).iter()} <= TAGS
        assert "".join(shown(section).itertext()) == HOSTILE
        assert HOSTILE in section.plain
