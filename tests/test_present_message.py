from typing import Any

import pytest
import synthetic

from analysis.compare import change
from analysis.compare.change import Comparison, SingleAudit
from analysis.present import message, wording

SLUGS = synthetic.slugs(Comparison, SingleAudit)
STATUS = "Published 24 November 2026. Data as of 23 November 2026, version 1.0.0."


def examined(slug: str) -> Any:
    return change.examine(synthetic.shipped().audits, force=slug)


def told(slug: str, **given: Any) -> str:
    return message.text(
        examined(slug),
        **{"status": STATUS, "is_draft": False, "publishers": ["HMICFRS", "BBC News"], **given},
    )


def unwrapped(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n")]


@pytest.mark.parametrize("slug", SLUGS)
def test_message_says_what_was_graded_what_moved_how_sure_the_limits_and_the_source(slug: str) -> None:
    parts = unwrapped(told(slug))
    assert parts[0] == wording.title(examined(slug))
    assert wording.compared(examined(slug)) in parts
    assert wording.headline(examined(slug)) in parts
    assert set(wording.summary(examined(slug))) <= set(parts)
    assert "Source: HMICFRS; BBC News. The report has each page." in parts
    assert parts[-1] == STATUS
    has_range = any("fits these counts" in part for part in parts)
    assert has_range == any("interval" in part for part in parts)


@pytest.mark.parametrize("slug", SLUGS)
def test_message_is_plain_text_in_short_lines(slug: str) -> None:
    text = told(slug)
    assert text.endswith(".\n")
    assert all(len(line) <= 72 for line in text.splitlines())
    assert not {"<", ">", "\t", "*", "\r"} & set(text)


def test_draft_says_so_in_its_first_line() -> None:
    assert told("dorset", is_draft=True).startswith("Draft: Child protection case grades: Dorset Police\n")


@pytest.mark.parametrize("odd", ["<script>", "=HYPERLINK()", "# heading", "\N{POLICE CAR}", "w" * 10_000])
def test_odd_words_are_words(odd: str) -> None:
    assert odd in told("dorset", publishers=[odd]).replace("\n", "")


def test_words_do_not_turn_the_direction_of_others() -> None:
    assert "[U+202E]" in told("dorset", publishers=["\u202eabc"])
