import csv
import io
import re
import time
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
from analysis.publish.page import hash_of

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
    values=("Jane Roe", "Rosehill & Sons", "O'Connor", "1984-03-07"),
)
RLO = "\u202e"
SHOWN = Path(__file__).resolve().parents[1] / "screenshots" / "gate-mutations.csv"


@dataclass(frozen=True)
class Break:
    """One way to break one rule: the text that is put in the place of another."""

    rule: Rule
    old: str
    new: str


END = "</main>"
HEAD = "<style>"
TITLE = "<title>Case grades: Dorset Police</title>"
PICTURE = '<img src="data:image/png;base64,AA" alt="{}">'
TABLE = "<table><caption>Audited cases</caption>{}</table>"


def added(rule: Rule, markup: str) -> Break:
    return Break(rule, END, f"{markup}{END}")


BREAKS = (
    added(Rule.REQUEST, '<img src="https://example.org/a.png" alt="A map of the force area">'),
    added(Rule.REQUEST, '<img src="a.png" alt="A map of the force area">'),
    added(Rule.REQUEST, '<img srcset="https://example.org/a.png 2x" alt="A map of the force area">'),
    added(Rule.REQUEST, "<iframe></iframe>"),
    added(Rule.REQUEST, '<p style="background: url(https://example.org/x)">Words</p>'),
    added(Rule.REQUEST, '<a href="https://example.org/" ping="https://example.org/count">Words</a>'),
    Break(Rule.REQUEST, HEAD, '<link rel="stylesheet" href="style.css"><style>'),
    Break(Rule.REQUEST, HEAD, '<meta http-equiv="refresh" content="0; url=https://example.org"><style>'),
    Break(Rule.REQUEST, "color: black;", "} @import 'x.css'; p {"),
    Break(Rule.REQUEST, "color: black;", "background: url('https://example.org/x');"),
    Break(Rule.REQUEST, "color: black;", "background: u\\72l(https://example.org/x);"),
    Break(Rule.REQUEST, "<path d=", '<use href="https://example.org/a.svg#x"></use><path d='),
    Break(Rule.REQUEST, "<path d=", '<image xlink:href="https://example.org/a.png"></image><path d='),
    Break(Rule.REQUEST, "<path d=", '<path fill="url(https://example.org/a.svg)" d='),
    added(Rule.SCRIPT, "<script>1</script>"),
    added(Rule.SCRIPT, '<p onclick="1">Words</p>'),
    added(Rule.SCRIPT, '<a href="javascript:void">Words</a>'),
    Break(Rule.POLICY, f'content="{POLICY}"', 'content=""'),
    Break(Rule.POLICY, 'http-equiv="Content-Security-Policy"', 'name="x-policy"'),
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
    Break(Rule.OTHER_FORCE, 'aria-label="a bar"', 'data-code="e23000032"'),
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
    added(Rule.REQUEST, '<img src="data:image/svg+xml,x" alt="A map of the force area">'),
    added(
        Rule.REQUEST,
        '<img src="data:image/png;base64,AA" srcset="data:image/png;base64,AA 1x, https://example.org/a.png 2x" '
        'alt="A map of the force area">',
    ),
    added(
        Rule.REQUEST, '<a href="https://example.org/" attributionsrc="https://example.org/count">Words</a>'
    ),
    added(Rule.REQUEST, "<style>p { color: red; }</style>"),
    added(Rule.REQUEST, "<noscript>Words</noscript>"),
    Break(Rule.REQUEST, HEAD, '<meta http-equiv="x-dns-prefetch-control" content="on"><style>'),
    Break(Rule.REQUEST, "color: black;", "} @import/**/'x.css'; p {"),
    Break(
        Rule.REQUEST,
        "color: black; }",
        'color: black; } p::before { content: "/*"; } p { background: url(https://example.org/x); } '
        'p::after { content: "*/"; }',
    ),
    Break(Rule.REQUEST, "color: black;", "background: image-set('https://example.org/x' 1x);"),
    Break(Rule.REQUEST, "color: black;", "/* not closed"),
    Break(Rule.REQUEST, "color: black;", "background: url(\"data:image/svg+xml,%3Cimage href='x'/%3E\");"),
    Break(Rule.REQUEST, "<path d=", '<path marker-end="url(https://example.org/a.svg)" d='),
    Break(Rule.REQUEST, "<path d=", '<path cursor="url(https://example.org/a.cur)" d='),
    Break(Rule.REQUEST, "<path d=", '<set attributeName="href" to="https://example.org/a"></set><path d='),
    added(Rule.SCRIPT, '<a href="java&#9;script:void">Words</a>'),
    added(Rule.SCRIPT, '<a href="data:image/svg+xml,x">Words</a>'),
    Break(Rule.POLICY, "default-src 'none'", "default-src *; default-src 'none'"),
    added(Rule.DESCRIPTION, '<img src="data:image/png;base64,AA" role="presentation">'),
    added(Rule.DESCRIPTION, '<img src="data:image/png;base64,AA" aria-hidden="true">'),
    *(
        added(Rule.DESCRIPTION, PICTURE.format(words))
        for words in (
            ".",
            "-",
            "xxx",
            "N/A",
            "Screenshot",
            "This is an image",
            "Bar chart",
            "TODO: describe this",
        )
    ),
    *(added(Rule.DESCRIPTION, PICTURE.format(words)) for words in ("my chart.png", "photo.tiff", "\u200d")),
    Break(Rule.DESCRIPTION, '<svg role="img"', '<svg role="img" aria-hidden="true"'),
    Break(Rule.DESCRIPTION, "Two bars. 20 good of 83, then 10 of 31.", "Chart of the figures"),
    Break(Rule.DESCRIPTION, "Two bars. 20 good of 83, then 10 of 31.", "Share good rose."),
    Break(Rule.CHART_TABLE, "<td>20</td>", ""),
    added(Rule.DUPLICATE_ID, '<p id="two words">Words</p>'),
    added(Rule.LINK, '<div aria-details="nowhere">Words</div>'),
    Break(Rule.LINK, "<path d=", '<path fill="url(#nowhere)" d='),
    Break(Rule.TABLE, "Audited cases</caption>", "Table</caption>"),
    Break(Rule.TABLE, '<caption id="grades-caption">', '<caption id="grades-caption" hidden>'),
    Break(Rule.TABLE, '<th scope="row">', '<th scope="col">'),
    Break(Rule.TABLE, '<th scope="col">Cases', '<th scope="row">Cases'),
    added(Rule.TABLE, TABLE.format('<tr><th scope="row">Good</th><td>20</td></tr>')),
    added(Rule.TABLE, '<div role="table">Words</div>'),
    Break(Rule.HEADING, "<h3>Sources</h3>", '<div role="heading" aria-level="3">Sources</div>'),
    Break(Rule.HEADING, "<h1>", '<h1 role="presentation">'),
    Break(Rule.HEADING, "<h1>", "<h1 hidden>"),
    Break(Rule.LANGUAGE, 'lang="en-GB"', 'lang="de"'),
    Break(Rule.LANGUAGE, '<main id="main">', '<main id="main" lang="">'),
    *(
        Break(Rule.TITLE, TITLE, f"<title>{words}</title>")
        for words in (
            "Untitled",
            "Notebook",
            "force_report",
            "The report",
            "&#8205;",
        )
    ),
    added(Rule.CODE, "<textarea>grades</textarea>"),
    added(Rule.CODE, '<div class="cell code_cell">Words</div>'),
    added(Rule.CODE, '<div class="sourceCode">Words</div>'),
    added(Rule.CODE, "<p><span>In </span><span>[</span><b>]:</b></p>"),
    added(Rule.CODE, "<p>&gt;&gt;&gt; grades</p>"),
    added(Rule.CODE, "<p>KeyError: grades</p>"),
    added(Rule.CODE, "<p>&lt;IPython.core.display.HTML object&gt;</p>"),
    added(Rule.CODE, "<p>shape: (three, four)</p>"),
    added(Rule.CODE, "<p>Words<br>import polars as pl</p>"),
    added(Rule.CODE, "<p>import polars</p>"),
    added(Rule.CODE, "<p>%matplotlib inline</p>"),
    added(Rule.CODE, "<?words words?>"),
    Break(Rule.CODE, "</html>", "</html><!-- cell -->"),
    *(
        added(Rule.PATH, f"<p>Read from{words}</p>")
        for words in (
            ":/home/someone/x",
            " host:/srv/x",
            " FILE:///x",
            " //server/share",
            " \\\\wsl$\\x",
            " ~name/x",
            " $HOME/x",
            " ../../x",
            " data/raw/forces.csv",
            " src/analysis/x.py",
            " http://localhost/x",
            " /ho&shy;me/some\u200cone/x",
        )
    ),
    added(Rule.PATH, '<p><a href="fi&#9;le:///x">Words</a></p>'),
    added(Rule.PATH, '<p><a href="file%3A%2F%2Fx">Words</a></p>'),
    added(Rule.PATH, '<p><a href="/news">Words</a></p>'),
    added(Rule.PATH, '<p class="/home/someone/x">Words</p>'),
    added(Rule.PATH, '<p title="data: /home/someone/x">Words</p>'),
    Break(Rule.PATH, "color: black;", "--from: '/home/someone/x';"),
    *(
        added(Rule.OTHER_FORCE, f"<p>Better than {words}</p>")
        for words in (
            "KENT POLICE",
            "kent police",
            "West midlands",
            "West&nbsp;Midlands",
            "West Mid&shy;lands",
            "Ke\u200cnt",
            "West<br>Midlands",
            "kent_share",
            "west_midlands",
            "\uff2b\uff45\uff4e\uff54",
            "West-Midlands",
            "WestMidlands",
        )
    ),
    added(Rule.OTHER_FORCE, "<p>The Met did better</p>"),
    added(Rule.OTHER_FORCE, '<p><a href="../%6bent/report.html">Words</a></p>'),
    added(Rule.OTHER_FORCE, '<p class="kent">Words</p>'),
    added(Rule.OTHER_FORCE, '<p data-kent="x">Words</p>'),
    added(Rule.OTHER_FORCE, '<p title="West&#10;Midlands">Words</p>'),
    added(Rule.OTHER_FORCE, '<div data-numbers="sources"><h3>Kent Police</h3></div>'),
    added(Rule.OTHER_FORCE, '<div data-numbers="sources"><p data-force="kent">Words</p></div>'),
    Break(Rule.OTHER_FORCE, "color: black;", 'content: "Kent Police";'),
    Break(Rule.OTHER_FORCE, "<path d=", "<text><tspan>West</tspan><tspan>Midlands</tspan></text><path d="),
    *(
        added(Rule.RESTRICTED, f"<p>Signed by {words}.</p>")
        for words in (
            "JANE ROE",
            "Jane&nbsp;Roe",
            "Jane Ro\u200ce",
            "Roe, Jane",
            "jane_roe",
            "Jane<br>Roe",
            "O\u2019Connor",
        )
    ),
    added(Rule.RESTRICTED, '<p title="Jane  Roe">Words</p>'),
    added(Rule.RESTRICTED, '<p width="Jane Roe">Words</p>'),
    added(Rule.RESTRICTED, '<p title="data: Jane Roe">Words</p>'),
    added(Rule.RESTRICTED, '<a href="https://example.org/Jane%20Roe">Words</a>'),
    added(Rule.RESTRICTED, "<p>Born on 7 March 1984.</p>"),
    added(Rule.RESTRICTED, "<p>childName</p>"),
    added(Rule.RESTRICTED, "<p>Child name: x</p>"),
    added(Rule.RESTRICTED, "<dl><dt>Child name</dt><dd>Words</dd></dl>"),
    added(Rule.RESTRICTED, '<p data-officer-name="x">Words</p>'),
    Break(Rule.RESTRICTED, "<td>20</td>", "<td>Child name</td>"),
    Break(Rule.RESTRICTED, '<th scope="col">Grade</th>', '<th scope="col">Officer-names</th>'),
    Break(Rule.RESTRICTED, "Audited cases</caption>", "Audited cases by officer name</caption>"),
    Break(Rule.RESTRICTED, "color: black;", 'content: "Jane Roe";'),
    Break(Rule.RESTRICTED, HEAD, '<meta name="author" content="Jane Roe"><style>'),
    *(
        added(Rule.NUMBER, f"<p>{words}</p>")
        for words in (
            "74 per cent of cases",
            "74 percent",
            "74pc",
            "74%of cases",
            "977cases",
            "977_cases",
            "a fall of 77pp",
            "97th",
            "\u00a397m",
            "20k",
            "a share of .33",
            "No.977",
            "1e3 cases",
            "\u00bd of cases",
            "\u2079\u2077 cases",
            "\u2468 cases",
            "\uff19\uff17 cases",
            "97 January 2022",
            "of 2000 children",
            "in 1999 files",
            "in 2021 cases",
            "a ratio of 09:77",
            "version 977 cases",
            "9770-12 cases",
            "95% of cases were good",
            "95% of the time",
            "80% were inadequate",
            "\u22128 points",
            "a fall of 8 percentage points",
            "20 points",
            "10<sub>7</sub>",
        )
    ),
    added(Rule.NUMBER, '<p title="977 cases">Words</p>'),
    added(Rule.NUMBER, '<p aria-label="977 cases">Words</p>'),
    added(Rule.NUMBER, PICTURE.format("Bars of 977 cases by grade")),
    added(Rule.NUMBER, '<label>Words <input placeholder="977"></label>'),
    added(Rule.NUMBER, '<ol start="977"><li>Words</li></ol>'),
    added(Rule.NUMBER, '<ol><li value="977">Words</li></ol>'),
    added(Rule.NUMBER, "<header><p>977 cases</p></header>"),
    added(Rule.NUMBER, "<section><footer><p>977 cases</p></footer></section>"),
    added(Rule.NUMBER, '<p class="role-axis">977 cases</p>'),
    Break(Rule.NUMBER, HEAD, '<meta property="og:description" content="977 cases"><style>'),
    Break(Rule.NUMBER, "color: black;", 'content: "977 cases";'),
    Break(Rule.NUMBER, "color: black;", "counter-reset: a 977;"),
    Break(Rule.NUMBER, "<path d=", '<g class="role-axis-x"><text>977</text></g><path d='),
    *(
        added(Rule.HIDDEN_CHARACTER, f"<p>Wor{hidden}ds</p>")
        for hidden in "\u200b\u2028\u2060\u2066\u206a\ufeff\x00\x85\U000e0041"
    ),
    added(Rule.HIDDEN_CHARACTER, "<bdo>Words</bdo>"),
    added(Rule.HIDDEN_CHARACTER, '<p dir="rtl">Words</p>'),
    added(Rule.HIDDEN_CHARACTER, f'<p class="{RLO}x">Words</p>'),
    Break(Rule.HIDDEN_CHARACTER, "color: black;", "unicode-bidi: bidi-override;"),
    Break(Rule.MARKUP, "<!doctype html>", ""),
    Break(Rule.MARKUP, "<!doctype html>", '<!doctype html SYSTEM "x">'),
    Break(Rule.MARKUP, '<title id="chart-title">', '<title id="chart-title"><b>'),
    added(Rule.MARKUP, "<div>" * 300 + "</div>" * 300 + "<p>977 cases, Kent Police</p>"),
    added(Rule.MARKUP, "<p>\ud800</p>"),
)


PASSING = (
    "of 20<br>83 cases",
    "In 2022 inspectors chose. Since 2016 they do. Between 2019 and 2021, during 2022, after 2022, by 2022, for 2022.",
    "2022/23, 2022\u201323 and 2022-2023; 24 Nov 2026, 24th November 2026, November 24, 2026, 24/11/2026",
    "24 July to 4 August 2023, 24 and 25 July 2023",
    "the 2022 audit, those graded in 2022 were good",
    "Wilson (1927), the 2015 thematic report, inspection by the 2024 method of May 2024 (published 2024)",
    "a rise of 8 percentage points, +8 points, an 8-point rise, 24 per cent, 24.1%",
    "\u22129 points, \u22129 to +27",
    "the grades are clearly off 50%; 50% would mean nothing; 95% Wilson intervals; it shows 80% of the time",
    "A metropolitan area that met the standard. None of the met targets.",
    "import of good practice, %monitor use of it, in [20] there: police",
    "and/or, good/inadequate, c/o, 24 May",
    "the case file: good",
    '<a href="#top">Back to the top</a>',
    '<a id="\u00e9" href="#%C3%A9">There</a>',
    '<a href="mailto:a@example.org">Write</a> <a href="figures.csv">Figures</a> <a href="../../index.html">All</a>',
    '<a href="data:text/csv,a">Figures</a>',
    TABLE.format('<tr><td></td><th scope="COL">Cases</th></tr>'),
    '<svg role="presentation" aria-hidden="true"><rect width="1"></rect></svg>',
    '<span lang="cy">Words</span>',
    "Sam said that the [U+202E] was in the title, and a \u00adsoft hyphen",
)
SOURCES = (
    "https://www.warwickshire.police.uk/-/media/files/report.pdf",
    "https://example.org/login?return=/news/article/1",
    "https://example.org/#/news/local/",
    "https://example.org/~user/page?u=https://example.org/home/x",
    "https://example.org/kent/news?case_id=5&school_name=x",
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


@pytest.mark.parametrize("words", PASSING)
def test_words_that_break_no_rule_pass(words: str) -> None:
    assert gate.problems(broken(PAGE, added(Rule.NUMBER, f"<div>{words}</div>")), SUBJECT) == []


@pytest.mark.parametrize("address", SOURCES)
def test_address_of_a_source_may_look_like_a_path_or_name_another_force(address: str) -> None:
    link = f'<p><a href="{address.replace("&", "&amp;")}">Words</a></p>'
    assert gate.problems(broken(PAGE, added(Rule.PATH, link)), SUBJECT) == []


def test_language_may_be_written_in_any_case() -> None:
    assert gate.problems(PAGE.replace('lang="en-GB"', 'lang="EN-gb"'), SUBJECT) == []


@pytest.mark.parametrize(
    "page", ["", " ", "<!-- x -->", "<!doctype html>", '<?xml version="1.0" encoding="utf-8"?>' + PAGE]
)
def test_what_is_no_page_is_refused(page: str) -> None:
    assert Rule.MARKUP in rules(page)


def test_what_is_far_too_large_is_not_looked_at_closer() -> None:
    (problem,) = gate.problems(PAGE + "<b>" * gate.LARGEST, SUBJECT)
    assert problem.rule is Rule.SIZE


def test_page_that_is_too_large_is_told_which_text_is_longest() -> None:
    (problem,) = gate.problems(broken(PAGE, added(Rule.SIZE, f"<p>{'word ' * 40_000}</p>")), SUBJECT)
    assert "The longest text is a paragraph: word word" in problem.sentence


@pytest.mark.parametrize(
    "markup",
    [
        "<style>" + "/* " * 10_000,
        f'<p title="{(chr(10) + " ") * 10_000}">',
        *(f"<p>{text * 20_000}</p>" for text in ("-1", "../", "a.", "1.", ".1", "/a", "version 1.1.")),
    ],
)
def test_what_is_long_is_looked_at_in_little_time(markup: str) -> None:
    # of the processor, as others may be at work beside; a pattern that goes over it again and again takes minutes
    started = time.process_time()
    gate.problems(broken(PAGE, added(Rule.SIZE, markup)), SUBJECT)
    assert time.process_time() - started < 5


def test_year_of_an_audit_may_stand_alone_and_no_other_number_may() -> None:
    page = PAGE.replace("<td>20</td>", "<td>2014</td>")
    assert rules(page) == {Rule.NUMBER}
    assert rules(page, replace(SUBJECT, years=frozenset({"2014"}))) == set()
    assert rules(
        page.replace("<td>2014</td>", "<td>2014%</td>"), replace(SUBJECT, years=frozenset({"2014"}))
    ) == {Rule.NUMBER}


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


def test_script_that_is_none_of_the_projects_is_refused_whatever_its_policy_says() -> None:
    page = broken(PAGE, added(Rule.SCRIPT, "<script>1</script>"))
    allowed = page.replace("img-src data:", f"img-src data:; script-src {gate._hash('1')}")
    known = replace(SUBJECT, is_interactive=True, scripts=frozenset([hash_of("1")]))
    assert rules(allowed, known) == set()
    assert rules(allowed, replace(known, scripts=frozenset([hash_of("2")]))) == {Rule.SCRIPT}


@pytest.mark.parametrize("kind", ["speculationrules", "importmap", "text/plain", "module"])
def test_script_of_another_type_is_refused(kind: str) -> None:
    page = broken(PAGE, added(Rule.SCRIPT, f'<script type="{kind}">{{}}</script>'))
    assert Rule.SCRIPT in rules(page, replace(SUBJECT, is_interactive=True))


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ('{"a": "Jane R\\u006fe"}', Rule.RESTRICTED),
        ('{"a": "west\\u002dmidlands"}', Rule.OTHER_FORCE),
        ('{"data": {"values": [{"ward": 1}]}}', Rule.RESTRICTED),
        ('{"officerName": 1}', Rule.RESTRICTED),
        ("Jane Roe, not JSON", Rule.RESTRICTED),
    ],
)
def test_data_for_a_script_is_read_as_the_script_reads_it(data: str, rule: Rule) -> None:
    page = broken(PAGE, added(rule, f'<script type="application/json">{data}</script>'))
    assert rules(page, replace(SUBJECT, is_interactive=True)) == {rule}


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


def styled(rules: str) -> Callable[[str], str]:
    return replaced("<style>", f"<style>\n{rules}\n")


def drawn(markup: str) -> Callable[[str], str]:
    return replaced("<rect width=", f"{markup}<rect width=")


def said(*texts: str) -> tuple[Callable[[str], str], ...]:
    return tuple(inside(f"<p>{text}</p>") for text in texts)


def substituted(pattern: str, new: str) -> Callable[[str], str]:
    return lambda page: re.sub(pattern, new, page, count=1, flags=re.DOTALL)


ALT = 'alt="A map of the force area"'
MUTATIONS: dict[Rule, tuple[Callable[[str], str], ...]] = {
    Rule.REQUEST: (
        replaced("<style>", '<link rel="preload" href="https://example.org/a.js"><style>'),
        replaced("<style>", '<base href="https://example.org/"><style>'),
        replaced("<style>", '<meta http-equiv="refresh" content="0; url=https://example.org"><style>'),
        styled("@import url(https://example.org/a.css);"),
        styled("@font-face { font-family: x; src: url(https://example.org/x.woff) }"),
        styled("p { background: URL(HTTPS://example.org/x) }"),
        styled("p { background: u\\72l(https://example.org/x) }"),
        styled("p { background: image-set('https://example.org/x' 1x) }"),
        styled(
            'p::before { content: "/*" } p { background: url(https://example.org/x) } p::after { content: "*/" }'
        ),
        styled("p { background: url(\"data:image/svg+xml,%3Cimage href='https://example.org/x'/%3E\") }"),
        inside(f'<img src="https://example.org/a.png" {ALT}>'),
        inside(
            f'<img src="data:image/png;base64,AA" srcset="data:,a 1x, https://example.org/a.png 2x" {ALT}>'
        ),
        inside(
            f'<picture><source srcset="//example.org/x"><img src="data:image/png;base64,AA" {ALT}></picture>'
        ),
        inside('<p style="background: url(//example.org/x)">Words</p>'),
        inside('<a href="https://example.org/" ping="https://example.org/count">Words</a>'),
        inside('<a href="https://example.org/" attributionsrc="https://example.org/count">Words</a>'),
        inside('<object data="https://example.org/x"></object>'),
        inside('<button formaction="https://example.org/x">Words</button>'),
        inside(f'<template><img src="https://example.org/x" {ALT}></template>'),
        drawn('<use href="https://example.org/x.svg#a"></use>'),
        drawn('<path d="M0,0" marker-end="url(https://example.org/x.svg#a)"></path>'),
        drawn('<foreignObject><iframe src="https://example.org/x"></iframe></foreignObject>'),
        drawn('<animate attributeName="href" to="https://example.org/x"></animate>'),
        drawn("<style>rect { fill: u&#x72;l(https://example.org/x) }</style>"),
    ),
    Rule.SCRIPT: (
        inside("<script>1</script>"),
        inside('<script type="speculationrules">{}</script>'),
        replaced("<h1>", '<h1 onmouseover="x">'),
        inside('<a href="javascript:void">Words</a>'),
        inside('<a href="java&#9;script:void">Words</a>'),
        inside('<a href="&#1;javascript:void">Words</a>'),
        inside('<a href="data:text/html,x">Words</a>'),
        inside('<a href="data:image/svg+xml,x">Words</a>'),
        drawn('<g onclick="x"></g>'),
    ),
    Rule.POLICY: (
        replaced("default-src 'none'", "default-src 'self'"),
        replaced("default-src 'none'", "default-src *; default-src 'none'"),
        replaced("img-src data:", "img-src data: https:"),
        replaced("img-src data:", "img-src data:; script-src-elem *"),
        replaced("img-src data:", "img-src data:; report-uri https://example.org"),
        replaced('<meta charset="utf-8">', '<meta charset="utf-8">Words'),
        substituted(r"(<meta http-equiv=[^>]*>)", r"<noscript>\1</noscript>"),
        substituted(r"<meta http-equiv[^>]*>", ""),
    ),
    Rule.DESCRIPTION: (
        substituted(r"<desc ([^>]*)>[^<]*", r"<desc \1>"),
        substituted(r"<desc ([^>]*)>[^<]*", r"<desc \1>Chart"),
        substituted(r"<desc ([^>]*)>[^<]*", r"<desc \1>Chart of the figures"),
        substituted(r"(<title id=[^>]*>)([^<]*)(</title><desc [^>]*>)[^<]*", r"\1\2\3\2."),
        replaced(' role="img"', ""),
        replaced('<svg xmlns="', '<svg aria-hidden="true" xmlns="'),
        replaced('<figure class="chart"', '<figure aria-hidden="true" class="chart"'),
        inside('<div role="img"></div>'),
        inside('<div role="graphics-document"></div>'),
        inside('<img src="data:image/png;base64,AA" title="A map of the force area">'),
        inside('<img src="data:image/png;base64,AA" role="presentation">'),
        *(
            inside(f'<img src="data:image/png;base64,AA" alt="{words}">')
            for words in (
                *(
                    "",
                    ".",
                    "-",
                    "?",
                    "xxx",
                    "N/A",
                    "42",
                    "IMG_1234",
                    "Screenshot",
                    "logo",
                    "Bar chart",
                    "A chart",
                ),
                *(
                    "image of chart",
                    "This is an image",
                    "Alt text here",
                    "Insert description here",
                    "See caption",
                ),
                *(
                    "TODO: describe this",
                    "my chart.png",
                    "photo.tiff",
                    "Lorem ipsum dolor",
                    "alt.LayerChart(...)",
                ),
            )
        ),
    ),
    Rule.CHART_TABLE: (
        substituted(r"<details.*?</details>", ""),
        substituted(r"(<details open.*?)<tbody.*?</tbody>", r"\1<tbody></tbody>"),
        replaced('<figure class="chart"', '<figure class="plot"'),
        replaced("<details open>", "<section>"),
        substituted(r'<figure class="chart"([^>]*)>', r"<div\1>"),
    ),
    Rule.DUPLICATE_ID: (
        inside('<p id="chart-grades">Words</p>'),
        inside('<p ID="main">Words</p>'),
        inside('<p id="">Words</p>'),
        inside('<p id="two words">Words</p>'),
        drawn('<g id="chart-grades"></g>'),
    ),
    Rule.LINK: (
        replaced('href="#', 'href="#no-'),
        replaced('aria-labelledby="', 'aria-labelledby="no-'),
        replaced('headers="', 'headers="no-'),
        inside('<button aria-controls="nowhere">Words</button>'),
        inside('<a href="">Words</a>'),
        drawn('<path fill="url(#nowhere)"></path>'),
    ),
    Rule.TABLE: (
        substituted(r"<caption.*?</caption>", ""),
        substituted(r"(<caption[^>]*>).*?</caption>", r"\1&nbsp;</caption>"),
        substituted(r"(<caption[^>]*>).*?</caption>", r"\1TODO</caption>"),
        replaced("<caption ", '<caption style="display: none" '),
        replaced(' scope="col"', ""),
        replaced(' scope="row"', ""),
        replaced(' scope="col"', ' scope="row"'),
        replaced(' scope="row"', ' scope="col"'),
        inside('<div role="table">Words</div>'),
    ),
    Rule.HEADING: (
        lambda page: page.replace("<h3", "<h5").replace("</h3", "</h5"),
        replaced("<h1>", "<h1>x</h1><h1>"),
        replaced("<h1>", "<h1 hidden>"),
        replaced("<h2 id=", '<h2 aria-level="5" id='),
        inside('<div role="heading">Words</div>'),
        inside("<h2>&#8203;</h2>"),
        lambda page: page.replace("<h1>", "<p>").replace("</h1>", "</p>"),
    ),
    Rule.LANGUAGE: tuple(
        replaced(' lang="en-GB"', language)
        for language in (
            "",
            ' lang=""',
            ' lang="de"',
            ' lang="en_GB"',
            ' lang="english"',
            ' xml:lang="en-GB"',
        )
    ),
    Rule.TITLE: tuple(
        substituted(r"<title>.*?</title>", title)
        for title in (
            "",
            *(f"<title>{words}</title>" for words in (" ", "Untitled", "&nbsp;", "02_force_report", ".")),
        )
    ),
    Rule.CODE: (
        inside('<div class="highlight"><pre>import analysis</pre></div>'),
        *said(
            "Out[3]:",
            "In&nbsp;[1]:",
            "<span>In </span>[1]<b>:</b>",
            "&gt;&gt;&gt; grades",
            "KeyError: grades",
        ),
        *said(
            "import polars as pl",
            "Words<br>import polars as pl",
            "shape: (three, four)",
            "%matplotlib inline",
        ),
        *said("Traceback <b>(most</b> recent call last)", "&lt;IPython.core.display.HTML object&gt;"),
        *(
            inside(f"<{name}>grades</{name}>")
            for name in ("textarea", "tt", "xmp", "output", "listing", "samp", "kbd")
        ),
        *(
            inside(f'<div class="{name}">grades</div>')
            for name in (
                "cell code_cell",
                "codehilite",
                "sourceCode",
                "nbinput",
                "cm-editor",
                "output_area",
                "jp-Cell",
            )
        ),
        inside("<!-- cell -->"),
        inside("<?php cell ?>"),
        replaced("<html", "<!-- cell --><html"),
        lambda page: f"{page}<!-- cell -->",
        styled("/* In [1]: grades */"),
    ),
    Rule.PATH: (
        replaced('href="../index.html"', 'href="/srv/x/index.html"'),
        *said(
            "/srv/shares/audits", "Read from:/home/someone/a.csv", "host:/srv/data", "./home/x", "f()/home/x"
        ),
        *said(
            "FILE:///x", "file%3A%2F%2F%2Fx", "%2Fhome%2Fsomeone", "C:\\Users\\x", "c:/Users/x", "C|/Users"
        ),
        *said(
            "\\\\server\\share",
            "//server/share/a.csv",
            "\\\\wsl$\\x",
            "src\\analysis\\x.py",
            "smb://server/share",
        ),
        *said(
            "~someone/a.csv", "$HOME/a.csv", "%USERPROFILE%\\a", "../../data/raw/a.csv", "data/raw/forces.csv"
        ),
        *said(
            "src/analysis/x.py",
            "http://localhost:8888/lab",
            "/ho&shy;me/some\u200bone/x",
            "/ho<b>me</b>/someone/x",
        ),
        *(
            inside(f'<a href="{address}">Words</a>')
            for address in (
                "fil%65:///srv/x",
                "fi&#9;le:///srv/x",
                "//server/share",
                "http://localhost/x",
                "%2Fsrv%2Fx",
            )
        ),
        inside('<p class="/home/someone/x">Words</p>'),
        inside('<p title="data: /home/someone/x">Words</p>'),
        styled("/*# sourceMappingURL=file:///home/someone/x.map */"),
        replaced("<html", "<!-- /home/someone/x --><html"),
    ),
    Rule.OTHER_FORCE: (
        replaced("Warwickshire Police</span></caption>", "West Mercia Police</span></caption>"),
        replaced("<desc", '<desc data-force="E23000032"'),
        replaced("<title>", "<title>Kent "),
        replaced("<style>", '<meta name="keywords" content="kent"><style>'),
        *said(
            "KENT POLICE", "kent police", "West midlands", "The Met did better", "Met Police", "GMP", "G.M.P."
        ),
        *said(
            "West&nbsp;Midlands", "West Mid&shy;lands", "K\u200bent", "West<br>Midlands", "West Mid<wbr>lands"
        ),
        *said(
            "kent_share",
            "west_midlands",
            "West-Midlands",
            "WestMidlands",
            "Dyfed\u2011Powys",
            "Dyfed\u2212Powys",
        ),
        *said(
            "Devon &amp; Cornwall",
            "Devon+Cornwall",
            "\uff2b\uff45\uff4e\uff54",
            "e23000032",
            "E23000032_2021",
            "E23 000 032",
        ),
        inside('<p id="kent">Words</p>'),
        inside('<p class="kent">Words</p>'),
        inside('<p data-kent="x">Words</p>'),
        inside('<p title="West\nMidlands">Words</p>'),
        inside('<p title="data: Kent">Words</p>'),
        inside('<a href="../kent/report.html">Words</a>'),
        inside('<a href="../%6bent/report.html">Words</a>'),
        inside('<div data-numbers="sources"><h2 id="q">Kent Police</h2></div>'),
        inside('<div data-numbers="sources"><p>E23000032</p></div>'),
        inside('<div data-numbers="sources"><p data-force="kent">Words</p></div>'),
        drawn("<text>Kent</text>"),
        drawn('<text><tspan x="0">West</tspan><tspan x="0" dy="15">Midlands</tspan></text>'),
        drawn('<path aria-label="Kent: good"></path>'),
        styled('p::before { content: "Kent Police " }'),
        styled(".kent { color: red }"),
    ),
    Rule.RESTRICTED: (
        replaced(">Measure<", ">Officer name<"),
        replaced(">Measure<", ">Officer&nbsp;names<"),
        replaced(">Measure<", ">Child's name<"),
        replaced("<td", '<td data-child_age="x"'),
        *said(
            "Read by Jane Roe.",
            "JANE ROE",
            "Jane&nbsp;Roe",
            "Jane R&shy;oe",
            "Jane Ro\u200be",
            "JaneRoe",
            "Jane-Roe",
        ),
        *said(
            "Roe, Jane",
            "jane_roe",
            "Jane<br>Roe",
            "J<b>an</b>e Roe",
            "Jane Roe\u2019s",
            "O\u2019Connor",
            "Jane%20Roe",
        ),
        *said("Rosehill &amp; Sons", "Rosehill and Sons", "7 March 1984", "07/03/1984", "1984-03-07"),
        *said(
            "Child name: x",
            "Age of child: x",
            "child_name",
            "childName",
            "CHILDNAME",
            "Date of birth: x",
            "DOB: x",
        ),
        inside("<dl><dt>Child name</dt><dd>Words</dd></dl>"),
        inside('<table><caption>Cases by officer name</caption><tr><th scope="col">Grade</th></tr></table>'),
        inside(
            '<table><caption>Cases</caption><tr><td>Child name</td><th scope="col">Grade</th></tr></table>'
        ),
        inside('<p title="Jane  Roe">Words</p>'),
        inside('<p title="data: Jane Roe">Words</p>'),
        inside('<p width="Jane Roe">Words</p>'),
        inside('<p class="Jane Roe">Words</p>'),
        inside('<p data-officer-name="x">Words</p>'),
        inside('<a href="https://example.org/jane-roe">Words</a>'),
        inside('<div data-numbers="sources"><p>Jane Roe</p></div>'),
        inside("<?x Jane Roe ?>"),
        styled('p::before { content: "Jane Roe" }'),
        styled("/* Jane Roe */"),
        replaced("<html", "<!-- Jane Roe --><html"),
        replaced("<style>", '<meta http-equiv="x-note" content="Jane Roe"><style>'),
    ),
    Rule.NUMBER: (
        replaced("23 (31%)", "23 (33%)"),
        replaced("23 of 74", "24 of 74"),
        replaced("a fall of 5 percentage points", "a fall of 7 percentage points"),
        replaced("a fall of 5 percentage points", "a rise of 5 percentage points"),
        replaced("\u22125 points", "+5 points"),
        inside('<div data-numbers="sources"><p>999 cases</p></div>'),
        *said(
            "977 cases",
            "9<b>7</b>7 cases",
            "9&shy;7&shy;7 cases",
            "977cases",
            "977_cases",
            "n977",
            "\u00a397m",
            "97k",
        ),
        *said(
            "33% of cases",
            "74 per cent",
            "74 percent",
            "74pc",
            "74%of cases",
            "\uff13\uff13\uff05",
            "\u221233%",
            "330\u2030",
        ),
        *said(
            "77pp",
            "a fall of 77pts",
            "a 77-point fall",
            "97th",
            "97-fold",
            "No.977",
            "1e3 cases",
            "9.7e3",
            "1 977",
        ),
        *said(
            ".33",
            "0.33",
            "33,5%",
            "1/2 of cases",
            "\u00bd of cases",
            "\u2154 of cases",
            "\u2079\u2077 cases",
            "\u246d cases",
        ),
        *said(
            "\uff19\uff17\uff17 cases",
            "\u0669\u0667\u0667 cases",
            "of 2000 children",
            "in 1999 files",
            "and 1950 others",
        ),
        *said(
            "97 January 2022", "a ratio of 09:77", "version 977 cases", "9770-12 cases", "23/977", "9<br>77"
        ),
        *said(
            "95% of cases were good", "50% of cases were good", "80% of cases were inadequate", "23 points"
        ),
        *(
            inside(f"<p {attribute}>Words</p>")
            for attribute in ('title="977 cases"', 'aria-label="977 cases"', 'aria-description="977 cases"')
        ),
        inside('<img src="data:image/png;base64,AA" alt="Bars of 977 cases by grade">'),
        inside('<input placeholder="977 cases">'),
        inside('<input value="977">'),
        inside('<ol start="977"><li>Words</li></ol>'),
        inside('<ol><li value="977">Words</li></ol>'),
        inside("<header><p>977 cases</p></header>"),
        inside("<section><footer><p>977 cases</p></footer></section>"),
        inside('<p class="role-axis">977 cases</p>'),
        drawn('<g class="role-axis-x"><text>977</text></g>'),
        drawn('<path aria-label="977 cases good"></path>'),
        drawn("<title>977</title>"),
        styled('p::before { content: "977 cases " }'),
        styled("p { counter-reset: a 977 }"),
        replaced("<style>", '<meta property="og:description" content="977 cases"><style>'),
        replaced('<meta name="description" content="', '<meta name="Description" content="977 cases '),
    ),
    Rule.HIDDEN_CHARACTER: (
        replaced("Inspectors", f"{RLO}Inspectors"),
        *said(
            *(
                f"Wor{hidden}ds"
                for hidden in "\u200b\u200e\u2028\u2060\u2063\u2067\u206a\ufeff\x00\x1b\x85\U000e0041"
            )
        ),
        inside(f'<p class="{RLO}x">Words</p>'),
        inside('<bdo dir="rtl">Words</bdo>'),
        inside('<p style="unicode-bidi: bidi-override">Words</p>'),
        styled(f'p::before {{ content: "{RLO}x" }}'),
    ),
    Rule.MARKUP: (
        inside("<div>" * 300 + "</div>" * 300 + "<p>977 cases, Kent Police</p>"),
        inside("<i>" * 300),
        inside("<p>\ud800</p>"),
        replaced("<!doctype html>", ""),
        replaced("<!doctype html>", '<?xml version="1.0" encoding="utf-8"?><!doctype html>'),
        replaced("<!doctype html>", '<!doctype html SYSTEM "file:///home/someone/x.dtd">'),
        drawn("<title><b>Words</b></title>"),
    ),
    Rule.SIZE: (
        inside(f"<p>{'word ' * 40_000}</p>"),
        inside(f"<p>{'word ' * 80_000}</p>"),
        lambda page: page + " " * 150_000,
        inside("<br>" * 40_000),
        inside(f'<p title="{"word " * 40_000}">Words</p>'),
    ),
}


def test_real_report_passes(report: Report) -> None:
    assert gate.problems(report.page, report.subject) == []


def test_every_rule_broken_in_a_real_report_is_caught(report: Report) -> None:
    assert set(MUTATIONS) == set(Rule)
    caught: dict[Rule, list[bool]] = {rule: [] for rule in MUTATIONS}
    missed = []
    for rule, mutations in MUTATIONS.items():
        for number, mutate in enumerate(mutations):
            mutated = mutate(report.page)
            assert mutated != report.page, (rule, number)
            caught[rule].append(rule in rules(mutated, report.subject))
            if not caught[rule][-1]:
                missed.append((rule.name, number))
    # for people: what was tried, and how much of it was caught
    SHOWN.parent.mkdir(exist_ok=True)
    with SHOWN.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["rule", "mutations", "caught", "rate"])
        rows.writerows(
            [rule, len(hits), sum(hits), f"{100 * sum(hits) / len(hits):.0f}%"]
            for rule, hits in caught.items()
        )
    assert missed == []
    assert all(len(hits) >= 5 and all(hits) for hits in caught.values())


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
