import re
from fractions import Fraction
from functools import cache
from math import floor
from typing import Any

import pytest
import synthetic
from lxml import html

from analysis.compare import change
from analysis.compare.change import Comparison, SingleAudit
from analysis.compare.shares import CHANGE, measure_of
from analysis.evidence.cleaning import Evidence
from analysis.present import quality, tables, wording
from analysis.present.tables import Table
from analysis.vocabulary import Grade

EXAMPLES: dict[str, Any] = synthetic.MADE_UP | {
    slug: change.examine(synthetic.shipped().audits, force=slug)
    for slug in synthetic.slugs(Comparison, SingleAudit)
}
PAIRS = [name for name, one in EXAMPLES.items() if isinstance(one, Comparison)]
HOSTILE = '"><script>alert(1)</script><b onclick=x>&amp;'
MINUS = "\N{MINUS SIGN}"


@cache
def made(name: str) -> tuple[Table, ...]:
    """Every table of one report, as they stand on one page."""
    examined = EXAMPLES[name]
    audits = [examined.baseline, examined.follow_up] if isinstance(examined, Comparison) else [examined.audit]
    found = [
        tables.before_after(examined),
        tables.figures(examined),
        tables.areas([*audits, *examined.others], force=examined.force),
        tables.other_audits(examined.others, force=examined.force),
    ]
    return (*found, tables.changes(examined)) if isinstance(examined, Comparison) else tuple(found)


@cache
def trees(name: str) -> tuple[Any, ...]:
    return tuple(html.fragment_fromstring(table._repr_html_()) for table in made(name))


def grid(table: Table) -> list[list[str]]:
    tree = html.fragment_fromstring(table._repr_html_())
    return [["".join(cell.itertext()) for cell in row] for row in tree.iterfind(".//tbody/tr")]


def headings(table: Table) -> list[str]:
    tree = html.fragment_fromstring(table._repr_html_())
    return ["".join(cell.itertext()) for cell in tree.iterfind(".//thead//th")]


def half_up(number: float) -> str:
    return str(floor(abs(Fraction(repr(number))) * 100 + Fraction(1, 2)))


def as_points(number: float | None) -> str:
    if number is None:
        return "not known"
    size = half_up(number)
    return size if size == "0" else f"{'+' if number > 0 else MINUS}{size}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_table_has_a_caption_and_no_title_in_its_cells(name: str) -> None:
    for table, tree in zip(made(name), trees(name), strict=True):
        caption = tree.find(".//table")[0]
        assert caption.tag == "caption"
        assert caption.text.strip()
        assert repr(table).splitlines()[0] == caption.text
        # great_tables puts the title into a cell of the head, which is read out as a heading cell
        assert tree.find(".//thead//td") is None
        assert not tree.xpath(".//*[contains(@class, 'gt_title') or contains(@class, 'gt_heading')]")


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_header_cell_has_a_scope_and_words(name: str) -> None:
    for tree in trees(name):
        for cell in tree.iterfind(".//thead//th"):
            assert cell.get("scope") == "col"
        for cell in tree.iterfind(".//tbody//th"):
            assert cell.get("scope") == "row"
        for cell in tree.iterfind(".//th"):
            assert "".join(cell.itertext()).strip()
        for row in tree.iterfind(".//tbody/tr"):
            assert row[0].tag == "th"


@pytest.mark.parametrize("name", EXAMPLES)
def test_ids_are_unique_on_the_page_and_every_reference_is_found(name: str) -> None:
    ids = [one.get("id") for tree in trees(name) for one in tree.xpath("descendant-or-self::*[@id]")]
    assert len(ids) == len(set(ids))
    for tree in trees(name):
        own = tree.get("id")
        assert own.startswith("table-")
        for cell in tree.iterfind(".//*[@headers]"):
            assert all(one in ids and one.startswith(own) for one in cell.get("headers").split())
        assert not tree.xpath(".//*[@aria-labelledby or @aria-describedby]")


def test_ids_are_the_same_every_time() -> None:
    # great_tables makes up an id for a table that has none, and the page would differ every run
    pair = EXAMPLES["level"]
    assert tables.figures(pair)._repr_html_() == tables.figures(pair)._repr_html_()


@pytest.mark.parametrize("name", EXAMPLES)
def test_plain_text_has_every_cell_in_order(name: str) -> None:
    for table in made(name):
        assert repr(table).splitlines()[1:] == [" | ".join(row) for row in grid(table)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_rows_are_as_long_as_the_head(name: str) -> None:
    for table in made(name):
        assert {len(row) for row in grid(table)} <= {len(headings(table))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_cell_says_none_or_nan(name: str) -> None:
    for table in made(name):
        assert not re.search(r"\b(None|nan|NaN|null)\b", repr(table))


@pytest.mark.parametrize("name", EXAMPLES)
def test_negative_numbers_have_a_minus_sign_and_rises_a_plus(name: str) -> None:
    for table in made(name):
        for row in grid(table):
            for cell in row:
                # a hyphen is not read out, and breaks from its number at the end of a line
                assert not re.match(r"-\d", cell)


@pytest.mark.parametrize("name", EXAMPLES)
def test_grades_table_shows_the_counts_and_shares_of_the_figures(name: str) -> None:
    examined = EXAMPLES[name]
    labels = {measure_of(grade): grade.value.capitalize() for grade in Grade}
    labels |= {"share_below_good": "Below good, not told apart"}
    expected = []
    for row in examined.figures.iter_rows(named=True):
        if row["period"] == CHANGE or row["measure"] not in labels:
            continue
        shares = [row[key] for key in ("value", "lower", "upper")]
        expected.append(
            [
                labels[row["measure"]],
                wording.when(wording.audit_of(examined, row["period"])),
                *("not known" if n is None else str(n) for n in (row["n_cases"], row["base"])),
                *(
                    "not known" if share is None else wording.percent(share, base=row["base"])
                    for share in shares
                ),
            ]
        )
    assert sorted(grid(tables.before_after(examined))) == sorted(expected)


@pytest.mark.parametrize("name", EXAMPLES)
def test_grades_table_runs_from_worst_to_best_with_the_earlier_audit_above(name: str) -> None:
    examined = EXAMPLES[name]
    rows = grid(tables.before_after(examined))
    ladder = [*(grade.value.capitalize() for grade in Grade), "Below good, not told apart"]
    dates = [wording.when(wording.audit_of(examined, period)) for period in wording.periods(examined)]
    places = [(ladder.index(row[0]), dates.index(row[1])) for row in rows]
    assert places == sorted(places)


@pytest.mark.parametrize("name", PAIRS)
def test_changes_table_shows_the_changes_and_ranges_of_the_figures(name: str) -> None:
    pair = EXAMPLES[name]
    found = {row["measure"]: row for row in pair.figures.iter_rows(named=True) if row["period"] == CHANGE}
    expected = [
        [
            f"Share graded {grade.value}",
            *(as_points(found[measure_of(grade)][key]) for key in ("value", "lower", "upper")),
            found[measure_of(grade)]["note"],
        ]
        for grade in Grade
        if measure_of(grade) in found
    ]
    assert grid(tables.changes(pair)) == expected


@pytest.mark.parametrize("name", EXAMPLES)
def test_annex_has_one_row_per_figure_with_its_cases_base_and_note(name: str) -> None:
    figures = EXAMPLES[name].figures
    rows = grid(tables.figures(EXAMPLES[name]))
    assert len(rows) == figures.height
    for row, figure in zip(rows, figures.iter_rows(named=True), strict=True):
        assert row[5:] == [
            "" if figure[key] is None else str(figure[key]) for key in ("n_cases", "base", "note")
        ]
        assert row[1] == {"baseline": "earlier", "follow_up": "later", "change": "change"}[figure["period"]]


@pytest.mark.parametrize("name", EXAMPLES)
def test_annex_shows_every_value_rounded_once(name: str) -> None:
    for row, figure in zip(
        grid(tables.figures(EXAMPLES[name])), EXAMPLES[name].figures.iter_rows(named=True), strict=True
    ):
        for shown, key in zip(row[2:5], ("value", "lower", "upper"), strict=True):
            if figure["value"] is None:
                assert shown == "not known"
            elif figure[key] is None:
                assert shown == ""
            elif figure["period"] == CHANGE and figure["measure"] != "superiority":
                assert shown.split()[0] == as_points(figure[key])
                assert shown.split()[1].startswith("point")
            else:
                assert shown == wording.percent(
                    figure[key], base=figure["base"] if figure["period"] != CHANGE else 1
                )


def test_one_point_is_singular() -> None:
    pair = synthetic.pair((50, 100, 50), (50, 100, 52))
    assert not re.search(r"(?<!\d)1 points", repr(tables.figures(pair)))


def test_unknown_counts_are_not_known_and_no_cases_are_0() -> None:
    rows = {row[0]: row[2:] for row in grid(tables.before_after(EXAMPLES["one grade known"]))}
    assert rows["Good"] == ["not known", "79", "not known", "not known", "not known"]
    assert rows["Inadequate"][0] == "30"
    none_good = synthetic.single((5, 10, 0))
    assert {row[0]: row[2:5] for row in grid(tables.before_after(none_good))}["Good"] == ["0", "15", "0%"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_areas_table_accounts_for_every_case_it_counts(name: str) -> None:
    examined = EXAMPLES[name]
    audits = (
        [examined.audit] if isinstance(examined, SingleAudit) else [examined.baseline, examined.follow_up]
    )
    table = tables.areas(audits, force=examined.force)
    heads = headings(table)
    for audit, row in zip(audits, grid(table), strict=True):
        cells = dict(zip(heads, row, strict=True))
        # a grade that is not on the audit's scale has words in its cell
        graded = [cell for grade in Grade if (cell := cells.get(grade.value.capitalize(), "")).isdigit()]
        if audit.ordered_counts is not None:
            assert sum(map(int, graded)) == int(cells["Cases"])


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    tree = html.fragment_fromstring(tables.before_after(EXAMPLES["level"])._repr_html_())
    for row in tree.iterfind(".//tbody/tr"):
        assert ["gt_right" in cell.get("class") for cell in row] == [False, False, *[True] * 5]


@pytest.mark.parametrize(
    "text", [HOSTILE, '=HYPERLINK("https://evil.example")', "{{ 7 * 7 }}", "**bold** $x$ _a_"]
)
def test_words_from_files_are_shown_as_they_are(text: str) -> None:
    row = synthetic.single((5, 10, 15), note=text).audit
    shown = [
        tables.other_audits([row], force="kent"),
        tables.from_rows(
            [{"a": text, "n_b": text}], name="t", caption=text, columns={"a": text, "n_b": text}
        ),
    ]
    for table in shown:
        tree = html.fragment_fromstring(table._repr_html_())
        assert not tree.xpath(".//script | .//b | .//strong | .//em | .//*[@onclick]")
        assert text in "".join(tree.itertext())
        assert text in repr(table)
    assert grid(shown[1]) == [[text, text]]
    assert html.fragment_fromstring(shown[1]._repr_html_()).find(".//caption").text == text


@pytest.mark.parametrize(
    "make",
    [
        quality.rows_read,
        quality.corrections,
        quality.rejected,
        quality.resolutions,
        quality.conflicts,
        quality.partly_known,
        quality.to_transcribe,
    ],
)
def test_tables_on_data_quality_keep_the_same_rules(make: Any, evidence: Evidence) -> None:
    table = make(evidence)
    if not isinstance(table, Table):
        assert repr(table).strip()
        return
    tree = html.fragment_fromstring(table._repr_html_())
    assert tree.find(".//table")[0].tag == "caption"
    assert all(cell.get("scope") in ("col", "row") for cell in tree.iterfind(".//th"))
    assert repr(table).splitlines()[1:] == [" | ".join(row) for row in grid(table)]
    assert not re.search(r"\b(None|nan|null)\b", repr(table))


def test_rows_read_are_accepted_or_rejected(evidence: Evidence) -> None:
    for _, n_read, n_accepted, n_rejected in grid(quality.rows_read(evidence)):
        assert int(n_accepted) + int(n_rejected) == int(n_read)


def test_table_that_is_built_on_keeps_its_caption() -> None:
    table = tables.figures(EXAMPLES["level"]).tab_source_note("Source: HMICFRS")
    tree = html.fragment_fromstring(table._repr_html_())
    assert tree.find(".//caption").text == repr(table).splitlines()[0]
    assert "Source: HMICFRS" in "".join(tree.itertext())


def test_table_as_a_page_names_its_language() -> None:
    page = html.document_fromstring(tables.figures(EXAMPLES["level"]).as_raw_html(make_page=True))
    assert page.get("lang") == "en-GB"
    assert page.find(".//caption") is not None
