import pytest
from hypothesis import given
from hypothesis import strategies as some

from analysis.present import plainly


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a[U+202E]b"),
        ("\u200f", "[U+200F]"),
        ("\u2066x\u2069", "[U+2066]x[U+2069]"),
        ("a\x00\x1b", "a[U+0000][U+001B]"),
        ("a\r\n", "a[U+000D]\n"),
        ("caf\u00e9 \N{POLICE CAR} \u2013 a\tb", "caf\u00e9 \N{POLICE CAR} \u2013 a\tb"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str) -> None:
    assert plainly.harmless(text) == shown


@given(some.text())
def test_harmless_text_stays_as_it_is(text: str) -> None:
    once = plainly.harmless(text)
    assert plainly.harmless(once) == once


@pytest.mark.parametrize("text", ["=1", "+1+1", "-x", "@a", "\t=1", " =1", "\uff1d1", "\uff0b1", "\n=1"])
def test_what_a_spreadsheet_would_evaluate_is_guarded(text: str) -> None:
    assert plainly.guarded(text).startswith("'")


@pytest.mark.parametrize("text", ["", "a=1", "-0.05", "+3", "1e-05", "-1.5e-07", "'=1", "5 of 9"])
def test_what_it_would_not_is_left_alone(text: str) -> None:
    assert plainly.guarded(text) == text


@given(some.text(some.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_guard_is_taken_away_again(text: str) -> None:
    if not text.startswith("'"):
        assert plainly.unguarded(plainly.guarded(text)) == text
