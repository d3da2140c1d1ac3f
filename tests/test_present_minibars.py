import csv
import io
from typing import Any

import pytest
import synthetic
from lxml import html

from analysis.compare import change
from analysis.compare.change import Comparison, SingleAudit
from analysis.present import minibars
from analysis.vocabulary import Grade

SLUGS = synthetic.slugs(Comparison, SingleAudit)


def rows(slug: str) -> list[dict[str, str]]:
    examined: Any = change.examine(synthetic.shipped().audits, force=slug)
    return list(csv.DictReader(io.StringIO(examined.figures.write_csv(float_precision=6))))


def drawn(slug: str) -> Any:
    return html.fragment_fromstring(str(minibars.svg(rows(slug))))


def test_bars_are_described_by_their_counts() -> None:
    assert drawn("warwickshire").get("aria-label") == (
        "Earlier audit: 28 inadequate, 23 requires improvement, 23 good, of 74 cases; "
        "later audit: 10 inadequate, 15 requires improvement, 9 good, of 34 cases"
    )
    assert drawn("warwickshire").get("role") == "img"


def test_widths_are_the_shares_worst_grade_first() -> None:
    found = drawn("warwickshire").findall("rect")
    assert [one.get("class") for one in found[:3]] == [
        "share-inadequate",
        "share-requires-improvement",
        "share-good",
    ]
    for one, share in zip(found[:3], (28 / 74, 23 / 74, 23 / 74), strict=True):
        assert float(one.get("width")) / 160 == pytest.approx(share, abs=0.001)
    for bar in (found[:3], found[3:]):
        ends = [float(one.get("x")) + float(one.get("width")) for one in bar]
        assert [float(one.get("x")) for one in bar[1:]] == pytest.approx(ends[:-1], abs=0.1)
        assert ends[-1] == pytest.approx(160, abs=0.2)


def test_grades_that_are_not_told_apart_are_one_segment() -> None:
    classes = [one.get("class") for one in drawn("metropolitan").findall("rect")]
    assert classes[:2] == ["share-below-good", "share-good"]


@pytest.mark.parametrize("slug", SLUGS)
def test_no_bar_is_wider_than_its_audit(slug: str) -> None:
    text = str(minibars.svg(rows(slug)))
    known = [row for row in rows(slug) if row["period"] != "change" and row["value"]]
    if not known:
        assert text == ""
        return
    ends = [float(one.get("x")) + float(one.get("width")) for one in drawn(slug).findall("rect")]
    assert max(ends) <= 160.2


def test_fourth_grade_has_a_colour_of_its_own() -> None:
    classes = [one.get("class") for one in drawn("greater-manchester").findall("rect")]
    assert classes == ["share-inadequate", "share-requires-improvement", "share-adequate", "share-good"]
    assert "16 adequate" in drawn("greater-manchester").get("aria-label")


def test_key_names_every_colour_once() -> None:
    items = html.fragment_fromstring(str(minibars.key())).findall("li")
    told = [" ".join(item.itertext()).strip() for item in items]
    assert told == ["below good, not told apart", *(grade.value for grade in Grade), "not known"]
    assert len({rect.get("class") for item in items for rect in item.iter("rect")}) == len(items) - 1


def test_no_known_share_is_no_picture() -> None:
    assert minibars.svg([]) == ""
