import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
import synthetic

from analysis import paths, vocabulary
from analysis.evidence import cleaning
from analysis.evidence.cleaning import Evidence
from analysis.publish import batch, gate, shelf
from analysis.publish.gate import GateError, Rule, Subject

# the report that is mutated takes a kernel: keep what needs it on one worker
pytestmark = pytest.mark.xdist_group("gate")

FIGURES = b"""force,measure,period,value,lower,upper,n_cases,base,note
dorset,share_good,baseline,0.240964,0.161749,0.343102,20,83,20 of 83 audited cases
dorset,share_good,follow_up,0.322581,0.185653,0.499206,10,31,10 of 31 audited cases
dorset,share_good,change,0.081617,-0.087474,0.270115,,114,10 of 31 less 20 of 83
dorset,detectable_change_good,change,0.278000,,,,114,smallest rise that shows with 80% power
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
PAGE = f"""<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="description" content="What moved at Dorset Police">
<title>Case grades: Dorset Police</title>
<style>p {{ color: black; }}</style>
</head>
<body>
<a class="skip" href="#main">Skip to main content</a>
<main id="main">
<h1>Case grades: Dorset Police</h1>
<p>Published 24 November 2026. Data as of 2026-11-23, version 1.0.2, read at 09:30.</p>
<h2 id="grades">What grades did inspectors give?</h2>
<p>Of the 83 cases, 20 (24%) were good: 24.1% to be exact, from 16% to 34%, in 2021 and/or 2022.</p>
<p>A rise of 8 percentage points, from \u22129 to +27, a 95% range. Chance is 50%; 80% power.</p>
<figure class="chart" id="chart"><figcaption>Share good rose</figcaption>
<svg role="img" aria-labelledby="chart-title chart-desc" viewBox="0 0 9 9">
<title id="chart-title">Share good rose</title>
<desc id="chart-desc">Two bars. 20 good of 83, then 10 of 31.</desc><path d="M0,0L9,9" aria-label="a bar"></path></svg>
<details open><summary>The same as a table</summary><div role="region" tabindex="0">
<table id="table-grades"><caption id="grades-caption">Audited cases</caption>
<thead><tr><th scope="col">Grade</th><th scope="col">Cases</th></tr></thead>
<tbody><tr><th scope="row">Good</th><td>20</td></tr></tbody></table></div></details></figure>
<h3>Sources</h3>
<div data-numbers="sources"><ul>
<li><a href="https://example.org/west-midlands/5">Kent Online, 24/7</a>: 384 cases.</li></ul></div>
</main>
<footer><p>Made by casegrade 0.1.0.</p></footer>
</body>
</html>
"""
SUBJECT = Subject(
    figures=FIGURES,
    own=("dorset", "Dorset", "Dorset Police", "E23000039"),
    others=("kent", "Kent", "Kent Police", "E23000032", "west-midlands", "West Midlands", "the Met"),
    quoted=frozenset({"384", "24", "7"}),
    columns=(*gate.IDENTIFYING, "ward"),
    values=("Jane Roe", "Rosehill & Sons"),
)
RLO = "\u202e"


@dataclass(frozen=True)
class Break:
    """One way to break one rule: the text that is put in the place of another."""

    rule: Rule
    old: str
    new: str


END = "</main>"
HEAD = "<style>"


def added(rule: Rule, markup: str) -> Break:
    return Break(rule, END, f"{markup}{END}")


BREAKS = (
    added(Rule.REQUEST, '<img src="https://example.org/a.png" alt="A map of the force area">'),
    added(Rule.REQUEST, '<img src="a.png" alt="A map of the force area">'),
    added(Rule.REQUEST, '<img srcset="//example.org/a.png 2x" alt="A map of the force area">'),
    added(Rule.REQUEST, "<iframe></iframe>"),
    added(Rule.REQUEST, '<p style="background: url(https://example.org/x)">Words</p>'),
    added(Rule.REQUEST, '<a href="https://example.org/" ping="https://example.org/count">Words</a>'),
    Break(Rule.REQUEST, HEAD, '<link rel="stylesheet" href="style.css"><style>'),
    Break(Rule.REQUEST, HEAD, '<meta http-equiv="refresh" content="0; url=https://example.org"><style>'),
    Break(Rule.REQUEST, "color: black;", "} @import 'x.css'; p {"),
    Break(Rule.REQUEST, "color: black;", "background: url('//example.org/x');"),
    Break(Rule.REQUEST, "color: black;", "background: u\\72l(//example.org/x);"),
    Break(Rule.REQUEST, "<path d=", '<use href="https://example.org/a.svg#x"></use><path d='),
    Break(Rule.REQUEST, "<path d=", '<image xlink:href="https://example.org/a.png"></image><path d='),
    Break(Rule.REQUEST, "<path d=", '<path fill="url(https://example.org/a.svg)" d='),
    added(Rule.SCRIPT, "<script>1</script>"),
    added(Rule.SCRIPT, '<p onclick="1">Words</p>'),
    added(Rule.SCRIPT, '<a href="javascript:void">Words</a>'),
    Break(Rule.POLICY, f'content="{POLICY}"', 'content=""'),
    Break(Rule.POLICY, "Content-Security-Policy", "x-policy"),
    Break(Rule.POLICY, "default-src 'none'", "default-src *"),
    Break(Rule.POLICY, "img-src data:", "img-src data: https:"),
    Break(Rule.POLICY, "img-src data:", "script-src 'unsafe-inline'"),
    Break(Rule.POLICY, "img-src data:", "script-src 'sha256-AAAA'"),
    Break(Rule.POLICY, "; form-action 'none'", ""),
    Break(Rule.POLICY, '<meta charset="utf-8">', "<style></style>"),
    added(Rule.DESCRIPTION, '<img src="data:image/png;base64,AA">'),
    added(Rule.DESCRIPTION, '<img src="data:image/png;base64,AA" alt="">'),
    added(
        Rule.DESCRIPTION,
        '<img src="data:image/png;base64,AA" alt="No description has been provided for this image">',
    ),
    added(Rule.DESCRIPTION, '<img src="data:image/png;base64,AA" alt="chart.png">'),
    added(Rule.DESCRIPTION, '<img src="data:image/png;base64,AA" alt="Chart">'),
    added(Rule.DESCRIPTION, '<svg viewBox="0 0 1 1"><path d="M0,0"></path></svg>'),
    Break(Rule.DESCRIPTION, "Two bars. 20 good of 83, then 10 of 31.", ""),
    Break(Rule.DESCRIPTION, "Two bars. 20 good of 83, then 10 of 31.", "Share good rose"),
    Break(Rule.CHART_TABLE, "details", "section"),
    added(Rule.DUPLICATE_ID, '<p id="grades">Words</p>'),
    added(Rule.LINK, '<p><a href="#nowhere">Words</a></p>'),
    added(Rule.LINK, '<div aria-labelledby="nowhere">Words</div>'),
    Break(Rule.TABLE, "Audited cases</caption>", "</caption>"),
    Break(Rule.TABLE, '<th scope="row">', "<th>"),
    Break(Rule.TABLE, '<th scope="col">Grade</th>', '<th scope="col"></th>'),
    Break(Rule.TABLE, '<th scope="col">', '<th scope="x">'),
    Break(Rule.HEADING, "<h2 id=", "<h2>First</h2><h4>Deep</h4><h2 id="),
    Break(Rule.HEADING, "<h3>Sources</h3>", "<h1>Sources</h1>"),
    Break(Rule.HEADING, "<h3>Sources</h3>", "<h3></h3>"),
    Break(Rule.LANGUAGE, ' lang="en-GB"', ""),
    Break(Rule.LANGUAGE, 'lang="en-GB"', 'lang=""'),
    Break(Rule.TITLE, "<title>Case grades: Dorset Police</title>", ""),
    Break(Rule.TITLE, "<title>Case grades: Dorset Police</title>", "<title> </title>"),
    added(Rule.CODE, "<pre>grades</pre>"),
    added(Rule.CODE, "<p>Use <code>grades</code></p>"),
    added(Rule.CODE, '<div class="jp-Cell">Words</div>'),
    added(Rule.CODE, '<div class="highlight hl-ipython3">Words</div>'),
    added(Rule.CODE, "<p>In [ ]:</p>"),
    added(Rule.CODE, "<p>Traceback (most recent call last)</p>"),
    added(Rule.CODE, "<!-- cell -->"),
    added(Rule.PATH, "<p>Read from /home/someone/audits.csv</p>"),
    added(Rule.PATH, "<p>Read from C:\\Users\\someone</p>"),
    added(Rule.PATH, "<p>Read from \\\\server\\share</p>"),
    added(Rule.PATH, "<p>Read from ~/audits.csv</p>"),
    added(Rule.PATH, '<p><a href="file:///srv/audits.csv">Words</a></p>'),
    added(Rule.PATH, '<p title="/tmp/x">Words</p>'),
    added(Rule.OTHER_FORCE, "<p>Better than Kent Police</p>"),
    added(Rule.OTHER_FORCE, "<p>West <b>Midlands</b></p>"),
    added(Rule.OTHER_FORCE, '<p id="kent-title">Words</p>'),
    added(Rule.OTHER_FORCE, '<p><a href="../west-midlands/report.html">Words</a></p>'),
    Break(Rule.OTHER_FORCE, 'aria-label="a bar"', 'aria-label="E23000032"'),
    Break(Rule.OTHER_FORCE, "Two bars.", "Two bars of the Met."),
    Break(Rule.OTHER_FORCE, "<td>20</td>", "<td>20 Kent</td>"),
    added(Rule.RESTRICTED, '<p data-officer_name="x">Words</p>'),
    added(Rule.RESTRICTED, "<p>Signed by Jane Roe.</p>"),
    added(Rule.RESTRICTED, "<p>Case of Rosehill &amp; Sons.</p>"),
    Break(Rule.RESTRICTED, '<th scope="col">Grade</th>', '<th scope="col">Officer name</th>'),
    Break(Rule.RESTRICTED, '<th scope="col">Grade</th>', '<th scope="col">Ward</th>'),
    Break(Rule.RESTRICTED, 'aria-label="a bar"', 'aria-label="child age: x"'),
    Break(Rule.NUMBER, "20 (24%)", "20 (25%)"),
    Break(Rule.NUMBER, "20 (24%)", "21 (24%)"),
    Break(Rule.NUMBER, "24.1%", "24.2%"),
    Break(Rule.NUMBER, "8 percentage points", "7 percentage points"),
    Break(Rule.NUMBER, "+27", "+29"),
    Break(Rule.NUMBER, "95% range", "90% range"),
    Break(Rule.NUMBER, "Of the 83 cases", "Of the 2,083 cases"),
    Break(Rule.NUMBER, "Of the 83 cases", "Of 2021 cases"),
    Break(Rule.NUMBER, "then 10 of 31.", "then 11 of 31."),
    Break(Rule.NUMBER, "<td>20</td>", "<td>22</td>"),
    Break(Rule.NUMBER, "384 cases", "385 cases"),
    added(Rule.HIDDEN_CHARACTER, f"<p>Words {RLO}sdrow</p>"),
    Break(Rule.HIDDEN_CHARACTER, 'aria-label="a bar"', f'aria-label="a {RLO}bar"'),
    added(Rule.SIZE, f"<p>{'word ' * 40_000}</p>"),
)


def rules(page: str, subject: Subject = SUBJECT) -> set[Rule]:
    return {problem.rule for problem in gate.problems(page, subject)}


def broken(page: str, change: Break) -> str:
    made = page.replace(change.old, change.new)
    assert made != page
    return made


def test_page_that_breaks_no_rule_passes() -> None:
    assert gate.problems(PAGE, SUBJECT) == []
    gate.check(PAGE, SUBJECT)


@pytest.mark.parametrize("change", BREAKS, ids=lambda change: f"{change.rule.name}: {change.new[:50]}")
def test_page_that_breaks_one_rule_is_refused_for_that_rule_alone(change: Break) -> None:
    assert rules(broken(PAGE, change)) == {change.rule}


def test_every_rule_has_a_page_that_breaks_it() -> None:
    assert {change.rule for change in BREAKS} == set(Rule) == {*gate._RULES, Rule.SIZE}


def test_refusal_names_the_rule_and_counts_what_else_is_wrong() -> None:
    page = broken(broken(PAGE, BREAKS[0]), added(Rule.CODE, "<pre>x</pre>"))
    with pytest.raises(
        GateError, match=r"not published \(external request\): .* There are 1 further"
    ) as refused:
        gate.check(page, SUBJECT)
    assert [problem.rule for problem in refused.value.problems] == [Rule.REQUEST, Rule.CODE]


def test_refusal_does_not_repeat_what_is_restricted() -> None:
    (problem,) = gate.problems(broken(PAGE, added(Rule.RESTRICTED, "<p>Jane Roe</p>")), SUBJECT)
    assert "Jane" not in problem.sentence


def test_script_is_let_in_by_its_own_hash_alone() -> None:
    subject = replace(SUBJECT, is_interactive=True)
    page = broken(PAGE, added(Rule.SCRIPT, "<script>1</script>"))
    allowed = page.replace("img-src data:", f"img-src data:; script-src {gate._hash('1')}")
    assert rules(allowed, subject) == set()
    assert rules(allowed.replace("<script>1<", "<script>2<"), subject) == {Rule.POLICY}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3 May 2021, in 2022, from 2020 to 2023, 2026-11-23 at 10:15", set()),
        ("1,234 cases and 5.5%", {"1234", "5.5"}),
        ("version 1.2.3", set()),
        ("2022 cases", {"2022"}),
    ],
)
def test_dates_are_no_numbers(text: str, numbers: set[str]) -> None:
    assert gate.numbers_in(text) == numbers


@dataclass(frozen=True)
class Report:
    """A real report, and what it is held against."""

    page: str
    subject: Subject


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    project = synthetic.copy_of_project(tmp_path_factory.mktemp("gate") / "project")
    (result,) = batch.run(project, shelf.at(project.reports), batch.Asked(("warwickshire",)))
    folder = project.reports / "warwickshire"
    assert result.is_new, result.headline
    evidence = cleaning.clean(project.raw)
    return Report(
        (folder / "report.html").read_text(encoding="utf-8"),
        replace(subject_of("warwickshire", project, evidence), figures=(folder / "figures.csv").read_bytes()),
    )


def subject_of(force: str, project: paths.Project, evidence: Evidence) -> Subject:
    named = vocabulary.forces(project.raw)
    mine = named.named(force)
    tables = (evidence.audits, evidence.statements, evidence.findings, evidence.known_inspections)
    rows = [row for table in tables for row in table.filter(pl.col("force") == force).rows()]
    return Subject(
        own=(*mine.names, mine.ons_code),
        others=tuple(name for one in named if one is not mine for name in (*one.names, one.ons_code)),
        quoted=frozenset().union(*(gate.numbers_in(str(cell)) for row in rows for cell in row)),
        columns=SUBJECT.columns,
        values=SUBJECT.values,
    )


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda page: page.replace(old, new, 1)


def inside(markup: str) -> Callable[[str], str]:
    return replaced("</main>", f"{markup}</main>")


MUTATIONS: dict[Rule, tuple[Callable[[str], str], ...]] = {
    Rule.REQUEST: (
        replaced("<style>", '<link rel="preload" href="https://example.org/a.js"><style>'),
        replaced("<style>", "<style>@import url(https://example.org/a.css);"),
        inside('<img src="https://example.org/a.png" alt="A map of the force area">'),
    ),
    Rule.SCRIPT: (inside("<script>1</script>"), replaced("<h1>", '<h1 onmouseover="x">')),
    Rule.POLICY: (
        replaced("default-src 'none'", "default-src 'self'"),
        lambda page: re.sub(r"<meta http-equiv[^>]*>", "", page),
    ),
    Rule.DESCRIPTION: (
        lambda page: re.sub(r"<desc ([^>]*)>[^<]*", r"<desc \1>", page, count=1),
        replaced(' role="img"', ""),
        lambda page: re.sub(r"<desc ([^>]*)>[^<]*", r"<desc \1>Chart", page, count=1),
    ),
    Rule.CHART_TABLE: (lambda page: re.sub(r"<details.*?</details>", "", page, count=1, flags=re.DOTALL),),
    Rule.DUPLICATE_ID: (inside('<p id="chart-grades">Words</p>'),),
    Rule.LINK: (replaced('href="#', 'href="#no-'), replaced('aria-labelledby="', 'aria-labelledby="no-')),
    Rule.TABLE: (
        lambda page: re.sub(r"<caption.*?</caption>", "", page, count=1, flags=re.DOTALL),
        replaced(' scope="col"', ""),
        replaced(' scope="row"', ""),
    ),
    Rule.HEADING: (
        lambda page: page.replace("<h3", "<h5").replace("</h3", "</h5"),
        replaced("<h1>", "<h1>x</h1><h1>"),
    ),
    Rule.LANGUAGE: (replaced(' lang="en-GB"', ""),),
    Rule.TITLE: (lambda page: re.sub(r"<title>.*?</title>", "", page, count=1),),
    Rule.CODE: (inside('<div class="highlight"><pre>import analysis</pre></div>'), inside("<p>Out[3]:</p>")),
    Rule.PATH: (
        inside("<p>See /srv/shares/audits</p>"),
        replaced('href="../index.html"', 'href="/srv/x/index.html"'),
    ),
    Rule.OTHER_FORCE: (
        replaced("Warwickshire Police</caption>", "West Mercia Police</caption>"),
        inside('<p id="kent">Words</p>'),
        replaced("<desc", '<desc data-force="E23000032"'),
    ),
    Rule.RESTRICTED: (
        replaced(">Measure<", ">Officer name<"),
        inside("<p>Read by Jane Roe.</p>"),
        replaced("<td", '<td data-child_age="x"'),
    ),
    Rule.NUMBER: (
        replaced("23 (31%)", "23 (33%)"),
        replaced("23 of 74", "24 of 74"),
        replaced("a fall of 5 percentage points", "a fall of 7 percentage points"),
        inside('<div data-numbers="sources"><p>999 cases</p></div>'),
    ),
    Rule.HIDDEN_CHARACTER: (replaced("Inspectors", f"{RLO}Inspectors"),),
    Rule.SIZE: (inside("<p>" + "word " * 40_000 + "</p>"),),
}


def test_real_report_passes(report: Report) -> None:
    assert gate.problems(report.page, report.subject) == []


def test_every_rule_broken_in_a_real_report_is_caught(report: Report) -> None:
    assert set(MUTATIONS) == set(Rule)
    missed = []
    for rule, mutations in MUTATIONS.items():
        for number, mutate in enumerate(mutations):
            mutated = mutate(report.page)
            assert mutated != report.page, (rule, number)
            if rule not in rules(mutated, report.subject):
                missed.append((rule, number))
    assert missed == []


def test_every_number_in_the_prose_of_a_real_report_is_looked_at(report: Report) -> None:
    start, end = report.page.index("<h1>"), report.page.index("What did inspectors say?</h2>")
    prose = [
        found
        for found in re.finditer(
            r"<(?:p|li|td)[^<>]*>[^<>]*?(?<![\w.])(\d+)(?=%| of | \(|</td>| percentage)", report.page
        )
        if start < found.start() < end
    ]
    assert len(prose) > 30
    known = {row[key] for row in csv.DictReader(io.StringIO(FIGURES.decode())) for key in ("n_cases", "base")}
    assert "977" not in known
    for found in prose:
        mutated = report.page[: found.start(1)] + "977" + report.page[found.end(1) :]
        assert Rule.NUMBER in rules(mutated, report.subject), found.group()


def test_report_that_breaks_a_rule_is_not_published_and_the_earlier_one_stays(tmp_path: Path) -> None:
    project = synthetic.copy_of_project(tmp_path / "project")
    shown = "from IPython.display import HTML\nHTML('<p>{}</p>')"
    synthetic.small(project, shown.format("Nothing to see."))
    (first,) = batch.run(project, shelf.at(project.reports), batch.Asked(("dorset",)))
    assert first.is_new
    before = (project.reports / "dorset" / "report.html").read_bytes()

    synthetic.small(project, shown.format("99% of cases"))
    (result,) = batch.run(project, shelf.at(project.reports), batch.Asked(("dorset",)))

    assert result.outcome == "failed"
    assert "not in figures.csv" in result.headline
    assert (project.reports / "dorset" / "report.html").read_bytes() == before
