"""Names looked for in texts however they are written: in any case, joined, hyphenated or with blanks between."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from analysis.present import plainly

# A shorter text than this, in letters and digits, would be found anywhere.
SHORTEST = 4
# Of a longer text, so many words are looked for.
_WORDS = 8


@dataclass(frozen=True)
class Found:
    """A name in a text, and how it is written there."""

    name: str
    written: str


class Text:
    """A text made ready to be searched, as often as need be."""

    def __init__(self, text: str, /):
        """Take a text that is `plainly.legible`."""
        self.text = _joined(text)
        self.words = [(one.group().lower(), one.start(), one.end()) for one in _WORD.finditer(self.text)]


class Names:
    """Some names, to be found in texts.

    Letters and digits are what counts: `Jane Roe` is found in "JANE ROE", "jane-roe" and "JaneRoe", and
    `E23000032` in "E23 000 032". An acronym of up to four capitals is found in capitals alone.
    """

    def __init__(self, names: Iterable[str], *, ordinary: Iterable[str] = ()):
        """Take the names; `ordinary` are those that are words of everyday language when written small."""
        self._ordinary = {key_of(name) for name in ordinary}
        self._names: dict[str, list[str]] = {}
        for name in names:
            if key := key_of(name):
                self._names.setdefault(key, []).append(name)
        self._longest = max(map(len, self._names), default=0)
        # most words of a text begin none of the names
        self._beginnings = {key[:length] for key in self._names for length in (1, 2, 3)}

    def found(self, text: Text, /, *, is_prose: bool = True) -> Iterator[Found]:
        """The names in a text, the longest where one begins with another.

        Args:
            text: where to look.
            is_prose: whether it is language. There, a name of one word that is written small may be another word.
        """
        after = 0
        for begin, (word, start, _) in enumerate(text.words):
            if word[:3] not in self._beginnings or begin < after:
                continue
            hit = None
            for end in range(begin, min(begin + _WORDS, len(text.words))):
                key = _key([one for one, _, _ in text.words[begin : end + 1]])
                if len(key) > self._longest + _WORDS:
                    break
                written = text.text[start : text.words[end][2]]
                if name := self._name(key, written, is_prose=is_prose):
                    hit, after = Found(name, written), end + 1
            if hit is not None:
                yield hit

    def _name(self, key: str, written: str, *, is_prose: bool) -> str | None:
        for name in self._names.get(key, ()):
            is_small = is_prose and written.islower()
            if is_small and (key in self._ordinary or (name.isalpha() and not name.islower())):
                continue
            if name.isupper() and name.isalpha() and len(name) <= 4 and not written.isupper():
                continue
            return name
        return None


def key_of(name: str, /) -> str:
    """What makes two spellings the same name; empty for a text without letters and digits."""
    return _key([word.lower() for word in _WORD.findall(_joined(plainly.legible(name)))[:_WORDS]])


_WORD = re.compile(r"[^\W_]+")


def _joined(text: str) -> str:
    if "'" in text:
        text = re.sub(r"'s\b", "", text)
    return re.sub(r"[&+]", " and ", text)


def _key(words: list[str]) -> str:
    key = "".join(words)
    # a few short numbers side by side are not one long number
    return key if len(key) >= 8 or not key.isdigit() else "-".join(words)
