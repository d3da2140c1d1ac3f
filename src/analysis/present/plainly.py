"""Text as it was given, made harmless for whoever looks at it: what cannot be seen is shown."""

import re
import unicodedata

# Those that turn the direction of text that follows, controls other than line feed and tab, and characters
# without a shape. Joiners and selectors are not among them: emoji and some names are made with them.
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


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
    another, those without a shape, which can keep a word from being found, and control characters
    other than line feed and tab, which files cannot hold.
    """
    return _HIDDEN.sub(lambda found: f"[U+{ord(found.group()):04X}]", text)


def legible(text: str, /) -> str:
    """The text as a reader takes it, to look for words in: one spelling of what looks the same.

    Without characters that are not seen, accents and forms of letters; hyphens, dashes and minus are "-",
    quotation marks "'", and what separates words is one blank.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).translate(_LOOKS)
    return " ".join(_CONTROLS.sub("", text).split())


_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f]")


class _Looks(dict[int, str]):
    """What a character looks like, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = _look(chr(code))
        return self[code]


_LOOKS = _Looks()


def _look(character: str) -> str:
    kind = unicodedata.category(character)
    if kind in ("Cf", "Mn", "Me") or character == "\ufffd":
        return ""
    if kind == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    return "'" if kind in ("Pi", "Pf") or character in "\u02bc\u2032" else character


def told(error: BaseException, /) -> str:
    """An error in one line: what ours say is meant to be read, and of any other its kind is said too."""
    said = " ".join(str(error).split())
    if said and type(error).__module__.startswith("analysis."):
        return said
    return f"{type(error).__name__}: {said}".removesuffix(": ")
