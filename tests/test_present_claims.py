import dataclasses
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from analysis.compare import phrases
from analysis.compare.claims import ClaimVerdict
from analysis.compare.phrases import ClaimError, read
from analysis.evidence.cleaning import Evidence
from analysis.present import claims
from analysis.present.claims import check_claim
from analysis.present.tables import Table

HOSTILE = '"><script>alert(1)</script><b/onclick=x>&amp;'

# Written by hand from the counts that the pages print, one for each row of claims.csv:
RIGHT = [
    # a third of 74 is 24.7, half is 37: 28 is nearer to a third, and not near
    "28 of the 74 cases that inspectors chose to look at (38%) were graded inadequate, or rather more than a third.",
    # a quarter of 70 is 17.5
    "19 of the 70 cases that inspectors chose to look at (27%) were graded good, or just over a quarter.",
    "19 of the 70 cases that inspectors chose to look at (27%) were graded good, or just over a quarter.",
    "35 of the 70 cases that inspectors chose to look at (50%) were graded inadequate, or exactly half.",
    # half of 244 is 122; 121/244 is 49.59%
    "On criminal and sexual exploitation of children, 121 of the 244 cases that inspectors chose to look at (49.6%) "
    "were graded inadequate, or almost half.",
    # three quarters of 374 are 280.5; 278/374 is 74.33%
    "278 of the 374 cases that inspectors chose to look at (74.3%) were graded below good, or almost three quarters.",
    "278 of the 374 cases that inspectors chose to look at (74.3%) were graded below good, or almost three quarters.",
    # half of 33 is 16.5, a third is 11: 14 is nearer to half, by half a case, and not near
    "14 of the 33 cases that inspectors chose to look at (42%) were graded inadequate, or rather less than half.",
    # a third of 576 is 192; 177/576 is 30.73%, which is 2.6 points below
    "In 8 forces together, 177 of the 576 cases that inspectors chose to look at (30.7%) were graded good, or rather "
    "less than a third.",
    "No source read says how many of the 115 cases that inspectors chose to look at were graded inadequate.",
    "No source read says how many of the 31 cases that inspectors chose to look at were graded inadequate.",
]
WHY = [
    '28 of 74 cases (38%) is more than "a third" says, by 5 percentage points: 33.3% (30.8% to 35.8% rounds to it).',
    '19 of 70 cases (27%) is more than "only 25 per cent" says, by 2 percentage points: 25% (24.5% to 25.5% rounds '
    "to it).",
    '19 of 70 cases (27%) is what "just over a quarter" says: more than 25% and 30% or less.',
    '35 of 70 cases (50%) is what "half" says: 50% (47.5% to 52.5% rounds to it).',
    '121 of 244 cases (49.6%) is less than "more than half" says, by less than 1 percentage point: more than 50%.',
    '278 of 374 cases (74.3%) is what "almost three quarters" says: 70% or more and less than 75%.',
    '278 of 374 cases (74.3%) is less than "more than 75 per cent" says, by 1 percentage point: more than 75%.',
    '14 of 33 cases (42%) is what "almost 15 cases" says: 14 or more and fewer than 15 cases.',
    '177 of 576 cases (30.7%) is less than "a third" says, by 3 percentage points: 33.3% (30.8% to 35.8% rounds to '
    "it).",
    "No source read gives the number graded inadequate.",
    "No source read gives the number graded inadequate.",
]


@pytest.fixture
def no_claims(evidence: Evidence) -> Evidence:
    return replace(evidence, claims=evidence.claims.clear())


def lines(shown: object) -> list[str]:
    return repr(shown).splitlines()


def test_every_claim_of_the_press_has_the_sentence_written_by_hand(evidence: Evidence) -> None:
    said = [claims.sentence(row) for row in claims.judged(evidence).iter_rows(named=True)]
    labels = ("- What the counts say: ", "- What can be said: ")
    shown = [line for line in lines(claims.sentences(evidence)) if line.startswith(labels)]

    assert said == RIGHT
    assert shown == [f"{labels[one.startswith('No source read')]}{one}" for one in RIGHT]


def test_every_verdict_is_told_with_its_reason(evidence: Evidence) -> None:
    verdicts = [verdict.capitalize() for verdict in claims.judged(evidence)["verdict"]]
    told = [line for line in lines(claims.sentences(evidence)) if re.match(r"- [A-Z][a-z ]+\. ", line)]
    told = [line for line in told if line.split(". ")[0].removeprefix("- ") in verdicts]

    assert told == [f"- {verdict}. {why}" for verdict, why in zip(verdicts, WHY, strict=True)]


def test_every_sentence_with_a_count_says_that_inspectors_chose_the_cases(evidence: Evidence) -> None:
    for row in claims.judged(evidence).iter_rows(named=True):
        assert f"of the {row['base']} cases that inspectors chose" in claims.sentence(row)


def test_what_sources_dispute_is_told_beside_the_verdict(evidence: Evidence) -> None:
    told = lines(claims.sentences(evidence))

    assert told.count("- By 278 of 384 cases, as other sources have it, the verdict would be the same.") == 2
    assert sum(line.startswith("- Sources disagree on the number of cases: 374") for line in told) == 2


def test_sentences_as_html_say_the_same_as_in_plain_text(evidence: Evidence) -> None:
    shown = claims.sentences(evidence)
    tree = html.fragment_fromstring(f"<div>{shown._repr_html_()}</div>")
    said = "".join("".join(tree.itertext()).split())

    for line in lines(shown):
        for part in line.removeprefix("- ").split(". "):
            assert "".join(part.rstrip(".").split()) in said
    assert [link.get("href") for link in tree.iterfind(".//a")] == evidence.claims["url"].to_list()
    assert [link.text for link in tree.iterfind(".//a")] == evidence.claims["publisher"].to_list()


def test_words_of_sources_are_marked_and_the_figures_are_not(evidence: Evidence) -> None:
    tree = html.fragment_fromstring(f"<div>{claims.sentences(evidence)._repr_html_()}</div>")
    quoted = [
        " ".join("".join(one.itertext()).split()) for one in tree.iterfind(".//*[@data-numbers='sources']")
    ]

    assert quoted[:2] == [
        'Warwickshire Police, inspection of February 2022: "a third" graded inadequate',
        'Thames Valley Police, inspection of May 2023: "only 25 per cent" graded good',
    ]
    assert not [one for one in quoted if "inspectors chose" in one]
    table = html.fragment_fromstring(claims.table(evidence)._repr_html_())
    assert [one.text for one in table.iterfind(".//td/div[@data-numbers='sources']")] == [
        f'"{row["claim"]}" graded {row["measure"].split(" ", 1)[1]}'
        for row in evidence.claims.iter_rows(named=True)
    ]


def grid(table: Any) -> list[list[str]]:
    tree = html.fragment_fromstring(table._repr_html_())
    return [["".join(cell.itertext()) for cell in row] for row in tree.iterfind(".//tbody/tr")]


def test_the_table_has_every_claim_with_counts_shares_and_verdict(evidence: Evidence) -> None:
    table = claims.table(evidence)
    rows = grid(table)

    assert len(rows) == evidence.claims.height
    assert rows[0] == [
        *("Warwickshire Police, inspection of February 2022", '"a third" graded inadequate', "BBC News"),
        *("28", "74", "38%", "28%", "49%", "Understates"),
    ]
    assert rows[4] == [
        "Metropolitan Police Service, thematic inspection of September 2023, criminal and sexual exploitation of "
        "children",
        *('"more than half" graded inadequate', "Tortoise Media", "121", "244", "49.6%", "43.4%", "55.8%"),
        "Overstates",
    ]
    assert rows[8][0] == "8 forces together, thematic inspection of July 2015 (published)"
    assert rows[9] == [
        *(
            "West Midlands Police, inspection of June 2014",
            '"42 per cent" graded inadequate',
            "Heart West Midlands",
        ),
        *("not known", "115", "not known", "not known", "not known", "Cannot be checked"),
    ]
    assert [row[-1].lower() for row in rows] == claims.judged(evidence)["verdict"].to_list()


def test_the_table_links_to_each_page_and_keeps_the_rules_of_tables(evidence: Evidence) -> None:
    table = claims.table(evidence)
    assert isinstance(table, Table)
    tree = html.fragment_fromstring(table._repr_html_())

    links = [(link.text, link.get("href")) for link in tree.iterfind(".//td//a")]
    assert links == evidence.claims.select("publisher", "url").rows()
    assert tree.find(".//table")[0].tag == "caption"
    assert all(cell.get("scope") in ("col", "row") for cell in tree.iterfind(".//th"))
    assert not re.search(r"\b(None|nan|null)\b", repr(table))
    # as plain text there are no links, so the address stands there
    assert all(url in repr(table) for url in evidence.claims["url"])
    assert table._repr_html_() == claims.table(evidence)._repr_html_()


def test_words_of_a_raw_file_are_shown_as_they_are(evidence: Evidence) -> None:
    first = evidence.claims.with_row_index().with_columns(
        claim=pl.when(pl.col("index") == 0).then(pl.lit(HOSTILE)).otherwise("claim"),
        publisher=pl.when(pl.col("index") == 0).then(pl.lit(HOSTILE)).otherwise("publisher"),
        url=pl.when(pl.col("index") == 0).then(pl.lit(f"https://x.example/{HOSTILE}")).otherwise("url"),
    )
    hostile = replace(evidence, claims=first.drop("index"))

    for shown in (claims.table(hostile), claims.sentences(hostile)):
        tree = html.fragment_fromstring(f"<div>{shown._repr_html_()}</div>")
        assert not tree.xpath(".//script | .//b | .//*[@onclick]")
        assert HOSTILE in "".join(tree.itertext())
        assert f"https://x.example/{HOSTILE}" in [link.get("href") for link in tree.iterfind(".//a")]


def test_the_summary_counts_each_verdict_once(evidence: Evidence) -> None:
    assert repr(claims.summary(evidence)) == (
        "Of 11 claims, 4 match what was counted, 0 round to it, 3 overstate it, 2 understate it, "
        "and 2 cannot be checked."
    )


def test_without_claims_there_is_a_sentence(no_claims: Evidence) -> None:
    for show in (claims.summary, claims.table, claims.sentences):
        assert repr(show(no_claims)) == "No claim has been transcribed."


def row(n: int | None, base: int | None, **changed: Any) -> dict[str, Any]:
    share = None if n is None or base is None else n / base
    known: dict[str, Any] = {"measure": "share good", "area": "overall", "group": None}
    return known | {"n_cases": n, "base": base, "share": share} | changed


@pytest.mark.parametrize(
    ("counted", "sentence"),
    [
        (row(0, 30), "None of the 30 cases that inspectors chose to look at (0%) was graded good."),
        (row(30, 30), "All of the 30 cases that inspectors chose to look at (100%) were graded good."),
        (
            row(1, 30),
            "1 of the 30 cases that inspectors chose to look at (3%) was graded good, or rather less than one in ten.",
        ),
        (
            row(10, 30),
            "10 of the 30 cases that inspectors chose to look at (33%) were graded good, or exactly a third.",
        ),
        (row(1, 1), "All of the 1 case that inspectors chose to look at (100%) was graded good."),
        (row(0, 1), "None of the 1 case that inspectors chose to look at (0%) was graded good."),
        (
            row(None, 30),
            "No source read says how many of the 30 cases that inspectors chose to look at were graded good.",
        ),
        (row(None, None), "No source read gives the counts, so there is no sentence to put in its place."),
        (
            row(None, 30, area="missing children"),
            "On missing children, no source read says how many of the 30 cases that inspectors chose to look at were "
            "graded good.",
        ),
        (
            row(3, 12, area="missing children", group="national-6-forces"),
            "In 6 forces together on missing children, 3 of the 12 cases that inspectors chose to look at (25%) were "
            "graded good, or exactly a quarter.",
        ),
    ],
)
def test_the_right_sentence_follows_from_the_counts(counted: dict[str, Any], sentence: str) -> None:
    assert claims.sentence(counted) == sentence


@given(st.integers(1, 600), st.data())
def test_the_everyday_words_that_are_put_in_place_of_a_claim_match_themselves(
    base: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(0, base))
    words = claims.in_words(Fraction(n, base))

    assert check_claim(words, n, base=base).verdict is ClaimVerdict.MATCHES


@pytest.mark.parametrize("row", [row for row in RIGHT if " (" in row])
def test_the_counts_of_a_right_sentence_are_read_as_they_are_meant(row: str) -> None:
    found = re.search(r"(\d+) of the (\d+) cases that inspectors chose to look at \([\d.]+%\)", row)
    assert found
    checked = check_claim(found[0], int(found[1]), base=int(found[2]))

    # the percentage is what rounds
    assert checked.verdict in (ClaimVerdict.MATCHES, ClaimVerdict.ROUNDS_TO)
    assert checked.reading.base == int(found[2])


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a third", "33.3% (30.8% to 35.8% rounds to it)"),
        ("42 per cent", "42% (41.5% to 42.5% rounds to it)"),
        ("25.55%", "25.55% (25.545% to 25.555% rounds to it)"),
        ("one in 20", "5% (3.75% to 6.25% rounds to it)"),
        ("exactly half", "50%"),
        ("more than half", "more than 50%"),
        ("at least half", "50% or more"),
        ("less than half", "less than 50%"),
        ("at most half", "50% or less"),
        ("almost half", "45% or more and less than 50%"),
        ("just over half", "more than 50% and 55% or less"),
        ("between a third and a half", "33.3% to 50%"),
        ("about 30 to 40 per cent", "30% to 40% (27.5% to 42.5% rounds to it)"),
        ("none", "0%"),
        ("15 cases", "15 cases"),
        ("one case", "1 case"),
        ("about 15 cases", "15 cases (14 to 16 cases rounds to it)"),
        ("fewer than 15 cases", "fewer than 15 cases"),
        ("at most 15 cases", "15 or fewer cases"),
        ("more than 15 cases", "more than 15 cases"),
        ("10 to 15 cases", "10 to 15 cases"),
    ],
)
def test_what_words_say_is_shown_in_numbers(words: str, shown: str) -> None:
    assert claims.said(read(words)) == shown


def test_a_claim_of_a_readers_own_is_explained_in_one_sentence() -> None:
    checked = check_claim("a third", 28, base=74)

    assert lines(checked) == [
        '"a third": understates',
        WHY[0],
        "In everyday words: rather more than a third. The range of the share is 28% to 49%, and takes no part in the "
        "verdict.",
    ]
    assert [one.text for one in html.fragments_fromstring(checked._repr_html_())[0]] == lines(checked)
    assert checked.explanation == WHY[0]
    assert (checked.phrase, checked.in_words) == ("a third", "rather more than a third")


@pytest.mark.parametrize(
    ("words", "counted", "base", "explanation"),
    [
        (
            "a third",
            28 / 74,
            None,
            'A share of 37.8% is more than "a third" says, by 5 percentage points: 33.3% ',
        ),
        ("42%", 0.4149, None, 'A share of 41.49% is less than "42%" says, by 1 percentage point: 42% '),
        (
            "42%",
            0.415,
            None,
            'A share of 41.5% rounds to what "42%" says: 42% (41.5% to 42.5% rounds to it).',
        ),
        ("more than half", 35, 70, '35 of 70 cases (50%) is less than "more than half" says: more than 50%.'),
        ("20 cases", 14, 33, '14 of 33 cases (42%) is less than "20 cases" says, by 6 cases: 20 cases.'),
        ("15 cases", 14, 33, '14 of 33 cases (42%) is less than "15 cases" says, by 1 case: 15 cases.'),
        ("none", 1, 33, '1 of 33 cases (3%) is more than "none" says, by 3 percentage points: 0%.'),
        (
            "at least a third",
            24,
            73,
            '24 of 73 cases (33%) is less than "at least a third" says, by less than 1 percentage point: 33.3% or '
            "more.",
        ),
    ],
)
def test_an_explanation_has_the_count_the_words_and_how_far_they_are_apart(
    words: str, counted: float, base: int | None, explanation: str
) -> None:
    assert check_claim(words, counted, base=base).explanation.startswith(explanation)


def test_a_checked_claim_is_equal_to_its_like_and_cannot_be_changed() -> None:
    assert check_claim("half", 0.5) == check_claim("half", Fraction(1, 2))
    assert check_claim("half", 0.5) != check_claim("a half", 0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        check_claim("half", 0.5).verdict = ClaimVerdict.CANNOT  # type: ignore[misc]


def test_the_words_of_a_claim_are_shown_as_they_are() -> None:
    shown = check_claim("a third\N{NO-BREAK SPACE}of cases", 1 / 3)
    assert "a third\N{NO-BREAK SPACE}of cases" in repr(shown)
    with pytest.raises(ClaimError, match=r"^\"<b>a third</b>\" cannot be read"):
        check_claim("<b>a third</b>", 1 / 3)


def test_the_rule_told_to_readers_has_the_numbers_of_the_rule() -> None:
    told = repr(claims.rule())

    assert (Fraction(25, 1000), Fraction(5, 100), 5) == (
        phrases.NEARBY,
        phrases.A_LITTLE,
        phrases.ROUND_PERCENT,
    )
    assert (Fraction(1, 4), Fraction(1, 10)) == (phrases.MOST_OF_THE_WAY, phrases.PART_OF_CASES)
    for words in (
        "good to 2.5 percentage points on both sides",
        "up to 5 percentage points for a fraction",
        "2.5 points for a percentage that is a multiple of 5",
        "a quarter of the way to none or all",
        "a tenth, at least 1 case",
    ):
        assert words in told
    # each verdict is defined, by its own name
    for verdict in ClaimVerdict:
        assert f"{verdict.capitalize()}: " in told


def test_what_the_rule_gives_as_an_example_is_so() -> None:
    assert check_claim("42 per cent", 0.415).verdict is ClaimVerdict.ROUNDS_TO
    assert check_claim("42 per cent", 0.425).verdict is ClaimVerdict.ROUNDS_TO
    assert check_claim("42 per cent", 0.4251).verdict is ClaimVerdict.UNDERSTATES
    # half the way from a fifth to a quarter
    assert Fraction(1, 4) - Fraction(1, 5) == 2 * phrases.NEARBY


def test_limits_say_what_the_cases_are_not_and_what_a_range_is() -> None:
    told = repr(claims.limits())

    assert "They are not a random sample" in told
    assert "Each range is a 95% interval" in told


def test_no_word_of_this_notebook_is_one_that_the_house_avoids(evidence: Evidence) -> None:
    shown = (
        claims.rule(),
        claims.limits(),
        claims.sentences(evidence),
        claims.summary(evidence),
        claims.table(evidence),
    )
    said = "\n".join(map(repr, shown)).lower()

    assert not re.search(
        r"\b(outcomes?|scores?|significant|league|fail(?:ed|s|ure)?|lies?d|false|misleading)\b", said
    )
    assert "sample" not in said.replace("not a random sample", "")


NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "05_claim_check.ipynb"


def test_the_notebook_shows_all_of_it_and_one_claim_to_change() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")

    for shown in ("rule()", "summary(evidence)", "table(evidence)", "sentences(evidence)", "limits()"):
        assert f"claims.{shown}" in code
    assert "analysis.check_claim(" in code
    assert cells[0].metadata.tags == ["notebook-only"]
    assert len({cell.id for cell in cells}) == len(cells)
