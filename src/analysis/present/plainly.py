"""Text as it was given, made harmless for whoever looks at it: what cannot be seen is shown."""

import re

# Those that turn the direction of text that follows, and controls other than line feed and tab.
_HIDDEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


# What a spreadsheet takes for the beginning of a formula, its full-width forms included.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")


def guarded(text: str, /) -> str:
    """The text as a cell of a CSV file: harmless, and behind an apostrophe if a spreadsheet would evaluate it."""
    shown = harmless(text)
    return f"'{shown}" if _FORMULA.match(shown) and not _NUMBER.fullmatch(shown) else shown


def unguarded(cell: str, /) -> str:
    """The text of a cell that `guarded` made."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def harmless(text: str, /) -> str:
    """The text with each hidden character in its place as "[U+202E]"; all else as it is.

    Hidden are the characters that set the direction of writing, which can make a sentence read as
    another, and control characters other than line feed and tab, which files cannot hold.
    """
    return _HIDDEN.sub(lambda found: f"[U+{ord(found.group()):04X}]", text)
