from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from analysis.publish import feed, revisions
from analysis.publish.record import Revision
from analysis.publish.revisions import Withdrawn

ATOM = "{http://www.w3.org/2005/Atom}"
NAMES = {"dorset": "Dorset Police", "kent": "Kent <&> Police"}
MOVED = Revision(
    "2026-11-24T10:30:00+00:00", "dorset", "share_good", "follow_up", "0.322581", "0.354839", "", "", "", "",
    "10", "11", "31", "31", "data", "its audits changed", "published", "r1",
)  # fmt: skip
LIST = [
    MOVED,
    replace(MOVED, measure="share_inadequate"),
    replace(MOVED, force="kent", run_id="r2", version="draft", date="2026-11-23T09:00:00+00:00"),
    replace(MOVED, run_id="r0", date="2026-01-02T09:00:00+00:00"),
]


def parsed(moved: Sequence[Revision | Withdrawn], **told: Any) -> Any:
    text = feed.atom(moved, names=NAMES, page="report.html", since=datetime(2026, 1, 1, tzinfo=UTC), **told)
    return etree.fromstring(text.encode())


def test_feed_has_what_the_standard_asks_for() -> None:
    tree = parsed(LIST)
    assert tree.tag == f"{ATOM}feed"
    assert tree.findtext(f"{ATOM}author/{ATOM}name") == "casegrade"
    for element in (tree, *tree.iterfind(f"{ATOM}entry")):
        for tag in ("id", "title", "updated"):
            assert len(element.findall(f"{ATOM}{tag}")) == 1
        assert datetime.fromisoformat(element.findtext(f"{ATOM}updated")).tzinfo is not None
        assert element.findtext(f"{ATOM}id").startswith("urn:uuid:")
    ids = [one.text for one in tree.iter(f"{ATOM}id")]
    assert len(ids) == len(set(ids))


def test_one_entry_per_report_and_version_newest_first() -> None:
    tree = parsed(LIST)
    assert [one.text for one in tree.iterfind(f"{ATOM}entry/{ATOM}title")] == [
        "Dorset Police: figures changed (data)",
        "Draft: Kent <&> Police: figures changed (data)",
        "Dorset Police: figures changed (data)",
    ]
    assert tree.findtext(f"{ATOM}updated") == MOVED.date


def test_entry_says_what_the_report_says_and_links_to_it() -> None:
    entry = parsed(LIST).find(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}content").splitlines() == [revisions.sentence(one) for one in LIST[:2]]
    assert entry.find(f"{ATOM}link").get("href") == "dorset/report.html"


def test_draft_that_waits_is_linked_and_not_what_is_published() -> None:
    links = [
        one.get("href")
        for one in parsed(LIST, drafts={"kent": "kent/draft/report.html"}).iterfind(f"{ATOM}entry/{ATOM}link")
    ]
    assert links == ["dorset/report.html", "kent/draft/report.html", "dorset/report.html"]


def test_withdrawal_is_an_entry_of_its_own() -> None:
    gone = Withdrawn("dorset", datetime(2026, 11, 25, tzinfo=UTC), "The counts were of another force.")
    entry = parsed([gone, *LIST]).find(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}title") == "Dorset Police: report withdrawn"
    assert entry.findtext(f"{ATOM}content") == (
        "The report was withdrawn on 25 November 2026: The counts were of another force."
    )


def test_feed_is_not_longer_than_what_readers_take() -> None:
    many = [replace(MOVED, run_id=f"r{number}") for number in range(600)]
    assert len(parsed(many).findall(f"{ATOM}entry")) == 500


def test_feed_without_revisions_is_a_feed_all_the_same() -> None:
    tree = parsed([])
    assert tree.findtext(f"{ATOM}updated") == "2026-01-01T00:00:00+00:00"
    assert tree.find(f"{ATOM}entry") is None


def test_same_revisions_make_the_same_feed() -> None:
    told: Any = {"names": NAMES, "page": "p", "since": datetime(2026, 1, 1, tzinfo=UTC)}
    assert feed.atom(LIST, **told) == feed.atom(LIST, **told)


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "]]>", "\u202eevil", "\x00\x08", "\N{POLICE CAR}"]
)
def test_words_are_harmless_whatever_they_are(hostile: str) -> None:
    tree = parsed([replace(MOVED, detail=hostile)])
    assert {one.tag.removeprefix(ATOM) for one in tree.iter()} <= {
        "feed", "id", "title", "updated", "author", "name", "link", "entry", "content",
    }  # fmt: skip
    told = tree.findtext(f"{ATOM}entry/{ATOM}content")
    assert "\u202e" not in told
    if hostile.isascii() and hostile.isprintable():
        assert hostile in told
