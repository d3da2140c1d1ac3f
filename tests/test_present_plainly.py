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
        ("a\u200bb\ufeff", "a[U+200B]b[U+FEFF]"),
        ("a\u2028b\u2029", "a[U+2028]b[U+2029]"),
        ("\u2060\u2064\u206a\u206f\U000e0041", "[U+2060][U+2064][U+206A][U+206F][U+E0041]"),
        # emoji and some names are made with joiners
        ("\U0001f46e\u200d\u2640\ufe0f \u200c", "\U0001f46e\u200d\u2640\ufe0f \u200c"),
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


@given(some.text(some.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_guard_is_taken_away_again(text: str) -> None:
    if not text.startswith("'"):
        assert plainly.unguarded(plainly.guarded(text)) == text


@pytest.mark.parametrize(
    ("text", "legible"),
    [
        ("West Mid\u00adlands", "West Midlands"),
        ("Ja\u200bne\u00a0 \n Roe", "Jane Roe"),
        ("O\u2019Connor, \u201cx\u201d", "O'Connor, 'x'"),
        ("Dyfed\u2011Powys \u2013 \u22125", "Dyfed-Powys - -5"),
        ("\uff2b\uff45\uff4e\uff54 \u2079\u2077 \u00bd", "Kent 97 1\u20442"),
        ("Jos\u00e9 K\x00ent\ufffd 9\ufe0f\u20e3", "Jose Kent 9"),
    ],
)
def test_what_looks_the_same_is_spelled_the_same(text: str, legible: str) -> None:
    assert plainly.legible(text) == legible


@given(some.text())
def test_legible_text_stays_as_it_is(text: str) -> None:
    once = plainly.legible(text)
    assert plainly.legible(once) == once
