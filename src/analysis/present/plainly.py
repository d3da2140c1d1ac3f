"""Text as it was given, made harmless for whoever looks at it: what cannot be seen is shown."""

import re

# Those that turn the direction of text that follows, and controls other than line feed and tab.
_HIDDEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str, /) -> str:
    """The text with each hidden character in its place as "[U+202E]"; all else as it is.

    Hidden are the characters that set the direction of writing, which can make a sentence read as
    another, and control characters other than line feed and tab, which files cannot hold.
    """
    return _HIDDEN.sub(lambda found: f"[U+{ord(found.group()):04X}]", text)
