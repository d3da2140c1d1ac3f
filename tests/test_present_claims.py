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
from analysis.compare.graded import GivenError
from analysis.compare.phrases import ClaimError, read
from analysis.evidence.cleaning import Evidence
from analysis.present import claims
from analysis.present.claims import check_claim
from analysis.present.tables import Table

HOSTILE = '"><script>alert(1)</script><b/onclick=x>&amp;'

# Written by hand from the counts that the pages print, one for each row of claims.csv:
RIGHT = [
    # a third of 74 is 24.7, half is 37: 28 is nearer to a third, and not near
    "At Warwickshire Police in February 2022, inspectors chose 74 cases to look at and graded 28 of them (38%) "
    "inadequate: rather more than a third.",
    # a quarter of 70 is 17.5
    "At Thames Valley Police in May 2023, inspectors chose 70 cases to look at and graded 19 of them (27%) good: just "
    "over a quarter.",
    "At Thames Valley Police in May 2023, inspectors chose 70 cases to look at and graded 19 of them (27%) good: just "
    "over a quarter.",
    "At Thames Valley Police in May 2023, inspectors chose 70 cases to look at and graded 35 of them (50%) inadequate: "
    "exactly half.",
    # half of 244 is 122; 121/244 is 49.59%
    "At Metropolitan Police Service in September 2023, inspectors chose 244 cases of criminal and sexual exploitation "
    "of children to look at and graded 121 of them (49.6%) inadequate: almost half.",
    # three quarters of 374 are 280.5; 278/374 is 74.33%
    "At Metropolitan Police Service in February 2016, inspectors chose 374 cases to look at and graded 278 of them "
    "(74.3%) below good: almost three quarters.",
    "At Metropolitan Police Service in February 2016, inspectors chose 374 cases to look at and graded 278 of them "
    "(74.3%) below good: almost three quarters.",
    # half of 33 is 16.5, a third is 11: 14 is nearer to half, by half a case, and not near
    "At North Yorkshire Police in December 2022, inspectors chose 33 cases to look at and graded 14 of them (42%) "
    "inadequate: rather less than half.",
    # a third of 576 is 192; 177/576 is 30.73%, which is 2.6 points below
    "In 8 forces together, as published in July 2015, inspectors chose 576 cases to look at and graded 177 of them "
    "(30.7%) good: rather less than a third.",
    "At West Midlands Police in June 2014, inspectors chose 115 cases to look at; no source read says how many of them "
    "they graded inadequate.",
    # the page is the inspectorate's own
    'At Surrey Police in June 2015, inspectors chose 31 cases to look at. The inspectorate itself says that "over '
    'half" of them were graded inadequate; no page read gives the count.',
]
WHY = [
    '"A third" is 33.3%, and 30.8% to 35.8% rounds to it. The count, 28 of 74 (38%), is 5 percentage points more. '
    # 26 of 74 are 35.1%
    'Two cases fewer would have made it "rounds to".',
    '"Only 25 per cent" is 25%, and 24.5% to 25.5% rounds to it. The count, 19 of 70 (27%), is 2 percentage points '
    # 17 of 70 are 24.3%
    'more. Two cases fewer would have made it "overstates".',
    '"Just over a quarter" is more than 25% and 30% or less. The count, 19 of 70 (27%), matches it. Two cases fewer '
    'would have made it "overstates".',
    '"Half" is 50%, and 47.5% to 52.5% rounds to it. The count, 35 of 70 (50%), matches it. '
    # 33 of 70 are 47.1%, 37 are 52.9%
    'Two more cases would have made it "understates"; two cases fewer would have made it "overstates".',
    '"More than half" is more than 50%. The count, 121 of 244 (49.6%), is less than 1 percentage point below that. '
    # 122 are half, and no more
    'Two more cases would have made it "matches".',
    '"Almost three quarters" is 70% or more and less than 75%. The count, 278 of 374 (74.3%), matches it.',
    # three more would do
    '"More than 75 per cent" is more than 75%. The count, 278 of 374 (74.3%), is 1 percentage point less.',
    '"Almost 15 cases" is 14 or more and fewer than 15 cases. The count, 14 of 33 (42%), matches it. One more case '
    'would have made it "understates"; one case fewer would have made it "overstates".',
    '"A third" is 33.3%, and 30.8% to 35.8% rounds to it. The count, 177 of 576 (30.7%), is 3 percentage points less. '
    # 178 of 576 are 30.9%
    'One more case would have made it "rounds to".',
    "No source read gives the number graded inadequate.",
    "No source read gives the number graded inadequate.",
]


@pytest.fixture
def no_claims(evidence: Evidence) -> Evidence:
    return replace(evidence, claims=evidence.claims.clear())


def lines(shown: object) -> list[str]:
    return repr(shown).splitlines()


def test_every_claim_has_the_sentence_written_by_hand(evidence: Evidence) -> None:
    said = [claims.sentence(row) for row in claims.judged(evidence).iter_rows(named=True)]
    labels = ("- What the counts say: ", "- What can be said: ")
    shown = [line for line in lines(claims.sentences(evidence)) if line.startswith(labels)]

    assert said == RIGHT
    assert shown == [f"{labels['%' not in one]}{one}" for one in RIGHT]


def test_every_verdict_is_told_with_its_reason(evidence: Evidence) -> None:
    verdicts = [verdict.capitalize() for verdict in claims.judged(evidence)["verdict"]]
    told = [line for line in lines(claims.sentences(evidence)) if re.match(r"- [A-Z][a-z ]+\. ", line)]
    told = [line for line in told if line.split(". ")[0].removeprefix("- ") in verdicts]

    assert told == [f"- {verdict}. {why}" for verdict, why in zip(verdicts, WHY, strict=True)]


def test_every_sentence_with_a_count_says_whose_cases_when_and_that_inspectors_chose_them(
    evidence: Evidence,
) -> None:
    for row in claims.judged(evidence).iter_rows(named=True):
        assert re.match(
            rf"(At|In) .+ in [A-Z][a-z]+ 20[0-9]{{2}}, inspectors chose {row['base']} cases",
            claims.sentence(row),
        )


def test_what_sources_dispute_is_told_beside_the_verdict(evidence: Evidence) -> None:
    told = lines(claims.sentences(evidence))

    assert told.count("- By 278 of 384 cases, as other sources have it, the verdict would be the same.") == 2
    assert sum(line.startswith("- Sources disagree on the number of cases: 374") for line in told) == 2


def test_notes_are_told_only_of_the_grade_that_is_claimed(evidence: Evidence) -> None:
    notes = {row["claim"]: row["note"] for row in claims.judged(evidence).iter_rows(named=True)}
    # its audit also notes that the cases graded good follow by arithmetic
    assert notes["more than half"] is None
    assert "graded good" not in notes["almost three quarters"]
    assert "by arithmetic" not in repr(claims.sentences(evidence))


def test_what_one_or_two_cases_would_change_stands_beside_the_verdict(evidence: Evidence) -> None:
    rows = {row[1]: row[2] for row in grid(claims.table(evidence))}
    assert rows['"a third" graded good'] == 'Overstates. One more case would have made it "rounds to".'
    assert rows['"more than 75 per cent" graded below good'] == "Overstates"


def test_other_tables_than_all_are_refused_with_what_to_give(evidence: Evidence) -> None:
    for show in (claims.table, claims.sentences, claims.summary, claims.judged):
        with pytest.raises(GivenError, match=r"give analysis\.load_evidence\(\)\.$"):
            show(evidence.audits)  # type: ignore[arg-type]


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
    assert not [one for one in quoted if "inspectors chose" in one or " is 33.3%" in one]
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
        *("Warwickshire Police, inspection of February 2022", '"a third" graded inadequate'),
        'Understates. Two cases fewer would have made it "rounds to".',
        *("BBC News", "28", "74", "38%", "28%", "49%"),
    ]
    assert rows[4] == [
        "Metropolitan Police Service, thematic inspection of September 2023, criminal and sexual exploitation of "
        "children",
        *('"more than half" graded inadequate', 'Overstates. Two more cases would have made it "matches".'),
        *("Tortoise Media", "121", "244", "49.6%", "43.4%", "55.8%"),
    ]
    assert rows[8][0] == "8 forces together, thematic inspection of July 2015 (published)"
    assert rows[9] == [
        *(
            "West Midlands Police, inspection of June 2014",
            '"42 per cent" graded inadequate',
            "Cannot be checked",
            "Heart West Midlands",
        ),
        *("not known", "115", "not known", "not known", "not known"),
    ]
    assert [row[2].partition(".")[0].lower() for row in rows] == claims.judged(evidence)["verdict"].to_list()


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
        "Of 11 claims, 4 match what was counted, none rounds to it, 3 overstate it, 2 understate it, "
        "and 2 cannot be checked."
    )
    one = replace(evidence, claims=evidence.claims.head(1))
    assert repr(claims.summary(one)) == (
        "Of 1 claim, none matches what was counted, none rounds to it, none overstates it, 1 understates it, "
        "and all can be checked."
    )


def test_without_claims_there_is_a_sentence(no_claims: Evidence) -> None:
    for show in (claims.summary, claims.table, claims.sentences):
        assert repr(show(no_claims)) == "No claim has been transcribed."


def row(n: int | None, base: int | None, **changed: Any) -> dict[str, Any]:
    share = None if n is None or base is None else n / base
    known: dict[str, Any] = {
        **{"measure": "share good", "area": "overall", "group": None, "force": "kent", "is_primary": False},
        **{"fieldwork": "2022-02-14", "published": "2022-07", "claim": "half"},
    }
    return known | {"n_cases": n, "base": base, "share": share} | changed


KENT = "At Kent Police in February 2022, inspectors chose"


@pytest.mark.parametrize(
    ("counted", "sentence"),
    [
        (row(0, 30), f"{KENT} 30 cases to look at and graded none of them (0%) good."),
        (row(30, 30), f"{KENT} 30 cases to look at and graded all of them (100%) good."),
        (
            row(1, 30),
            f"{KENT} 30 cases to look at and graded 1 of them (3%) good: rather less than one in ten.",
        ),
        (row(10, 30), f"{KENT} 30 cases to look at and graded 10 of them (33%) good: exactly a third."),
        (row(1, 1), f"{KENT} 1 case to look at and graded it good (100%)."),
        (row(0, 1), f"{KENT} 1 case to look at and did not grade it good (0%)."),
        (
            row(None, 30),
            f"{KENT} 30 cases to look at; no source read says how many of them they graded good.",
        ),
        (
            row(None, 30, is_primary=True),
            f'{KENT} 30 cases to look at. The inspectorate itself says that "half" of them were graded good; no page '
            "read gives the count.",
        ),
        (row(None, None), "No source read gives the counts, so there is no sentence to put in its place."),
        (
            row(None, 30, area="missing children"),
            f"{KENT} 30 cases of missing children to look at; no source read says how many of them they graded good.",
        ),
        (
            row(3, 12, area="missing children", group="national-6-forces", force=None, fieldwork=None),
            "In 6 forces together, as published in July 2022, inspectors chose 12 cases of missing children to look at "
            "and graded 3 of them (25%) good: exactly a quarter.",
        ),
        (
            row(3, 12, fieldwork="2022", published=None),
            "At Kent Police in 2022, inspectors chose 12 cases to look at and graded 3 of them (25%) good: exactly a "
            "quarter.",
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
def test_the_counts_and_the_words_of_a_right_sentence_hold_by_the_rule(row: str) -> None:
    found = re.search(r"chose (\d+) cases.* graded (\d+) of them \(([\d.]+%)\) [a-z ]+: (.+)\.$", row)
    assert found
    base, n = int(found[1]), int(found[2])

    assert check_claim(f"{n} of {base} cases", n, base=base).verdict is ClaimVerdict.MATCHES
    assert check_claim(found[4], n, base=base).verdict is ClaimVerdict.MATCHES
    # the percentage is what rounds
    assert check_claim(found[3], n, base=base).verdict in (ClaimVerdict.MATCHES, ClaimVerdict.ROUNDS_TO)


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


def test_a_claim_of_a_readers_own_is_explained() -> None:
    checked = check_claim("a third", 28, base=74)
    why = WHY[0].removesuffix(' Two cases fewer would have made it "rounds to".')

    assert lines(checked) == [
        '"a third": understates',
        why,
        "In everyday words: rather more than a third. The range of the share is 28% to 49%, and takes no part in the "
        "verdict.",
    ]
    assert [one.text for one in html.fragments_fromstring(checked._repr_html_())[0]] == lines(checked)
    assert checked.explanation == why
    assert (checked.phrase, checked.in_words) == ("a third", "rather more than a third")


@pytest.mark.parametrize(
    ("words", "counted", "base", "explanation"),
    [
        ("a third", 28 / 74, None, "The share, 37.8%, is 5 percentage points more."),
        ("42%", 0.4149, None, "The share, 41.49%, is 1 percentage point less."),
        (
            "42%",
            0.415,
            None,
            '"42%" is 42%, and 41.5% to 42.5% rounds to it. The share, 41.5%, rounds to it.',
        ),
        (
            "more than half",
            35,
            70,
            '"More than half" is more than 50%. The count, 35 of 70 (50%), is just not above that.',
        ),
        ("less than half", 35, 70, "The count, 35 of 70 (50%), is just not below that."),
        ("20 cases", 14, 33, '"20 cases" is 20 cases. The count, 14 of 33 (42%), is 6 cases fewer.'),
        ("15 cases", 14, 33, "The count, 14 of 33 (42%), is 1 case fewer."),
        ("none", 1, 33, '"None" is 0%. The count, 1 of 33 (3%), is 3 percentage points more.'),
        (
            "at least a third",
            24,
            73,
            '"At least a third" is 33.3% or more. The count, 24 of 73 (33%), is less than 1 percentage point below '
            "that.",
        ),
        ("at most a third", 25, 74, "The count, 25 of 74 (34%), is less than 1 percentage point above that."),
    ],
)
def test_an_explanation_has_the_count_the_words_and_how_far_they_are_apart(
    words: str, counted: float, base: int | None, explanation: str
) -> None:
    assert check_claim(words, counted, base=base).explanation.endswith(explanation)


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
