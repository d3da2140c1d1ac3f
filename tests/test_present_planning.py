import re
from functools import cache
from typing import Any

import polars as pl
import pytest
from lxml import html as lxml_html

from analysis.compare import change
from analysis.compare import planning as compared
from analysis.compare.change import Comparison
from analysis.present import planning
from analysis.present.planning import Power, power

COUNTS = [28, 23, 23]
ASKED: list[dict[str, Any]] = [
    {"after": 34},
    {"after": 34, "grade": "good"},
    {"after": 34, "of": "grades"},
    {"change": 0.2},
    {"change": 0.1},
    {"odds_ratio": 0.5},
    {"after": 34, "change": -0.2, "grade": "inadequate"},
    {"after": 34, "odds_ratio": 3.0},
    {"after": 34, "change": 0.28, "of": "verdict", "draws": 100},
    {"after": 34, "design_effect": 1.5},
]


@cache
def _made(place: int) -> Power:
    return power(COUNTS, **ASKED[place])


def planned(asked: dict[str, Any]) -> Power:
    """What is asked, worked out once for all tests, as it cannot be changed."""
    return _made(ASKED.index(asked))


def test_two_audits_are_told_what_they_could_have_shown(audits: pl.DataFrame) -> None:
    pair = change.examine(audits, force="warwickshire")
    assert isinstance(pair, Comparison)
    assert power(pair).sentence == (
        "With 74 and 34 cases, only a rise of about 28 points in the share graded good (from 31%) would show 80% of "
        "the time. So would a fall of about 25 points in the share graded inadequate (from 38%). Smaller changes may "
        "be there and not show."
    )


@pytest.mark.parametrize(
    ("start", "asked", "told"),
    [
        (
            0.31,
            {"change": 0.2},
            "a rise of 20 points in a share (from 31%) 80% of the time, two audits of equal size",
        ),
        (
            COUNTS,
            {"change": 0.2},
            "beside the 74 cases of the earlier audit needs 131 cases. Two audits of equal",
        ),
        (
            COUNTS,
            {"change": 0.1},
            "no follow-up of up to 10,000 cases is enough: the 74 cases of the earlier audit",
        ),
        (0.5, {"change": 0.005, "before": 50}, "Not even two audits of 10,000 cases each are enough."),
        (0.1, {"change": 0.85}, "need 20 cases each, the fewest that are ever compared"),
        (COUNTS, {"after": 34, "change": 0.2}, "would show 51% of the time."),
        (COUNTS, {"after": 34, "odds_ratio": 3.0}, "by an odds ratio of 3 would show 82% of the time."),
        (COUNTS, {"after": 34, "of": "grades"}, "by an odds ratio of about 2.9 would show"),
        (COUNTS, {"after": 34, "design_effect": 1.5}, "they count for about 49 and 23 independent ones"),
        (0.05, {"before": 74, "after": 34}, "No fall in a share (from 5%) would show 80% of the time."),
        (0.31, {"before": 74, "after": 34}, "So would a fall of about 23 points."),
        (0.0, {"before": 30, "after": 20, "change": 0.05}, "Listing every outcome gives 8% in place of 28%"),
        ([1, 1, 1], {"after": 2, "of": "grades"}, "no odds ratio up to 100 would show 80% of the time"),
        ([1, 1, 1], {"after": 2, "grade": "good"}, "No rise in the share graded good (from 33%) would show"),
        (
            [40, 10, 24],
            {"after": 34, "change": 0.28, "of": "verdict", "draws": 100},
            "It cannot be the case if the cases come from the grades between alone: ",
        ),
        (
            COUNTS,
            {"after": 34, "change": 0.28, "of": "verdict", "draws": 100},
            "100 simulated pairs for each",
        ),
        (
            COUNTS,
            {"after": 34, "change": -0.25, "grade": "inadequate", "of": "verdict", "draws": 100},
            "if the cases go to the grades between alone",
        ),
    ],
)
def test_answers_are_told_in_plain_english(start: Any, asked: dict[str, Any], told: str) -> None:
    assert told in power(start, **asked).sentence


def test_the_cases_are_told_once_where_nothing_would_show() -> None:
    assert power([0, 0, 74], after=34).sentence == (
        "With 74 and 34 cases: No rise in the share graded good (from 100%) would show 80% of the time. No fall in the "
        "share graded inadequate (from 0%) would show 80% of the time."
    )


def test_a_chart_of_changes_that_show_does_not_call_them_large() -> None:
    large, small = power(COUNTS, after=34), power([280, 230, 230], after=740)
    assert large.picture().title == small.picture().title == "Smallest changes that show"


def test_every_row_of_the_table_has_the_share_that_its_line_starts_from() -> None:
    rows = [line.split(" | ") for line in repr(planning.table(power(COUNTS, after=34))).splitlines()[1:]]
    starts = {
        row[0].partition(":")[0]: {other[1] for other in rows if other[0][:18] == row[0][:18]} for row in rows
    }
    assert starts == {"Share graded good": {"31%"}, "Share graded inadequate": {"38%"}}


@pytest.mark.parametrize("asked", ASKED, ids=str)
class TestEveryPlan:
    def test_has_a_chart_that_the_schema_of_charts_allows(self, asked: dict[str, Any]) -> None:
        planned(asked).chart().to_dict(validate=True)

    def test_has_a_title_of_ten_words_or_fewer(self, asked: dict[str, Any]) -> None:
        assert 1 <= len(planned(asked).picture().title.split()) <= 10

    def test_describes_its_chart_with_every_number_of_its_labels(self, asked: dict[str, Any]) -> None:
        made = planned(asked)
        labels = re.findall(r"'told': '([^']*)'", str(made.chart().to_dict()))
        description = made.picture().description
        for label in labels:
            assert re.search(rf"(?<!\d){re.escape(label.removesuffix(' points'))}", description)

    def test_has_a_table_of_the_same_answers(self, asked: dict[str, Any]) -> None:
        made = planned(asked)
        table = lxml_html.fragment_fromstring(planning.table(made).as_raw_html())
        points = compared.curve(made)["is_told"].sum() if "verdict" not in asked.values() else 0
        assert len(table.findall(".//tbody/tr")) == made.figures.height + points
        assert table.find(".//caption").text

    def test_shows_itself_as_its_sentence_and_table(self, asked: dict[str, Any]) -> None:
        made = planned(asked)
        assert repr(made) == made.sentence
        assert made.sentence in lxml_html.fromstring(made._repr_html_()).text_content()

    def test_says_nothing_that_the_house_does_not_say(self, asked: dict[str, Any]) -> None:
        said = f"{planned(asked).sentence} {planned(asked).picture()!r}".lower()
        assert not re.search(r"\bsample|signific|outcome of|score|league", said)
