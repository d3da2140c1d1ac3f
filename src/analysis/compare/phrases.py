"""English words for a number, as the press writes it, read as a set of numbers; or refused.

What the words mean, and how far each may be rounded, is the rule in `compare.claims`. Whatever can
be read in two ways, or has a word too many, is refused: a wrong reading is worse than none.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import floor

from text_to_num import alpha2digit, text2num

# Half the distance of a fifth from a quarter, the two that lie nearest among halves to fifths.
NEARBY = Fraction(1, 40)
A_LITTLE = 2 * NEARBY
# Of the way to none or all, that rounding may take at most: one in 20 is not 2 in 100.
MOST_OF_THE_WAY = Fraction(1, 4)
# Percentages that are taken as round, where about or almost stands before them.
ROUND_PERCENT = 5
# Of a number of cases, that about or almost allows; at least 1 case.
PART_OF_CASES = Fraction(1, 10)


class ClaimError(Exception):
    """A claim that cannot be read or has nothing to be held against. The message says what can."""


class Unit(StrEnum):
    """What a claimed number is a number of."""

    SHARE = "share"
    CASES = "cases"


@dataclass(frozen=True)
class Reading:
    """What a phrase says: the numbers from `lower` to `upper`, and how far beside them rounding goes.

    Attributes:
        phrase: the words as they were given.
        unit: whether the numbers are shares, as fractions of 1, or cases.
        value: the number that the words name; null for a range.
        lower, upper: the ends of what the words say; null where they set none.
        includes_lower, includes_upper: whether an end itself is part of it.
        tolerance: how far beyond the ends a number still rounds to what the words say.
        base: the number of cases that the words say it is of; null if they do not.
    """

    phrase: str
    unit: Unit
    value: Fraction | None
    lower: Fraction | None
    upper: Fraction | None
    includes_lower: bool = True
    includes_upper: bool = True
    tolerance: Fraction = Fraction(0)
    base: int | None = None

    def says(self, number: Fraction, /) -> bool:
        """Whether `number` is one of those that the words say."""
        above = self.lower is None or number > self.lower or (self.includes_lower and number == self.lower)
        below = self.upper is None or number < self.upper or (self.includes_upper and number == self.upper)
        return above and below

    def gap(self, number: Fraction, /) -> Fraction:
        """How far `number` lies above (or, negative, below) the numbers that the words say; else 0."""
        if self.lower is not None and number < self.lower:
            return number - self.lower
        if self.upper is not None and number > self.upper:
            return number - self.upper
        return Fraction(0)

    @property
    def rounding(self) -> tuple[Fraction | None, Fraction | None]:
        """The ends of the numbers that match or round to what the words say."""
        lower = None if self.lower is None else max(self.lower - self.tolerance, Fraction(0))
        upper = None if self.upper is None else self.upper + self.tolerance
        if upper is not None and self.unit is Unit.SHARE:
            upper = min(upper, Fraction(1))
        return lower, upper


def rounding_of(fraction: Fraction, /) -> Fraction:
    """How far from a fraction of a whole, in words such as a third, a share may lie and round to it."""
    return _Number(fraction, _Kind.FRACTION, Fraction(1, fraction.denominator)).plain


class _Way(StrEnum):
    """How the words beside a number say that it is meant."""

    AS_IT_IS = "as it is"
    EXACTLY = "exactly"
    ABOUT = "about"
    CLOSE = "close to"
    ALMOST = "almost"
    JUST_BELOW = "just below"
    JUST_ABOVE = "just above"
    BELOW = "below"
    ABOVE = "above"
    AT_MOST = "at most"
    AT_LEAST = "at least"
    WELL_BELOW = "well below"
    WELL_ABOVE = "well above"
    SOME_BUT_BELOW = "some but below"


class _Kind(StrEnum):
    """How a number is written, on which depends how rough it is. A bare one does not say of what it is."""

    FRACTION = "fraction"
    PERCENT = "percent"
    CASES = "cases"
    BARE = "bare"


@dataclass(frozen=True)
class _Number:
    """A number as the words have it.

    `part` is the unit of its last digit, or the one part of a fraction. `base` is the number of cases that it is said
    to be of. Shares are fractions of 1, percentages too.
    """

    value: Fraction
    kind: _Kind
    part: Fraction
    base: int | None = None
    way: _Way = _Way.AS_IT_IS

    @property
    def unit(self) -> Unit | None:
        if self.kind is _Kind.BARE:
            return None
        return Unit.CASES if self.kind is _Kind.CASES else Unit.SHARE

    @property
    def plain(self) -> Fraction:
        """How far rounding goes if nothing is said of it."""
        if self.kind is _Kind.PERCENT:
            return self.part / 2
        if self.kind is _Kind.FRACTION and 0 < self.value < 1:
            return min(NEARBY, self.part / 2, self._most)
        return Fraction(0)

    @property
    def about(self) -> Fraction:
        """How far about goes."""
        return min(NEARBY, self.part, self._most) if self.kind is _Kind.FRACTION else self.little

    @property
    def little(self) -> Fraction:
        """How far almost and just over go."""
        if self.kind is _Kind.FRACTION:
            return min(A_LITTLE, self.part, self._most)
        if self.kind is _Kind.PERCENT:
            percent = self.value * 100
            is_round = self.part == Fraction(1, 100) and percent % ROUND_PERCENT == 0
            # never less than rounding goes: 0.6% is almost 1 per cent
            return max(self.part / 2, min(NEARBY if is_round else self.part, self._most))
        # half a case is none
        return Fraction(max(1, floor(PART_OF_CASES * self.value)))

    @property
    def _most(self) -> Fraction:
        to_an_end = min(self.value, 1 - self.value)
        # at none or all there is no way left to take a part of
        return MOST_OF_THE_WAY * to_an_end if to_an_end else Fraction(1)


_MORE = r"(?:(?:more|greater|higher) than|over|above|in excess of|upwards of)"
_LESS = r"(?:(?:less|fewer|lower|smaller) than|under|below)"
_SLIGHTLY = (
    r"(?:only just|just|slightly|a little|a (?:tiny )?bit|marginally|fractionally|a fraction|a shade|a touch)"
)
_WELL = r"(?:well|far|much|considerably|substantially|a lot|way)"
# The first that fits is taken, so what is longer comes before what it begins with.
_BEFORE: tuple[tuple[_Way, re.Pattern[str]], ...] = tuple(
    (way, re.compile(rf"(?:{words})(?= )"))
    for way, words in (
        (_Way.AT_LEAST, r"at (?:the very )?least|(?:no|not) (?:less|fewer) than|a minimum of"),
        (_Way.AT_MOST, r"at (?:the very )?most|(?:no|not) more than|up to|a maximum of"),
        (_Way.BELOW, r"not even"),
        (_Way.JUST_BELOW, rf"{_SLIGHTLY} {_LESS}|(?:just|a little|slightly) (?:short|shy) of|not quite"),
        (_Way.ALMOST, r"almost|(?:very )?nearly|virtually|practically|approaching|nearing"),
        (_Way.JUST_ABOVE, rf"{_SLIGHTLY} {_MORE}"),
        (_Way.WELL_BELOW, rf"{_WELL} {_LESS}"),
        (_Way.WELL_ABOVE, rf"{_WELL} {_MORE}"),
        (_Way.BELOW, rf"(?:(?:rather|somewhat) )?{_LESS}"),
        (_Way.ABOVE, rf"(?:(?:rather|somewhat) )?{_MORE}"),
        (_Way.CLOSE, r"close to|near to"),
        (_Way.ABOUT, r"(?:just )?(?:about|around)|roughly|approximately|circa|some|in the region of"),
        (_Way.EXACTLY, r"exactly|precisely"),
    )
)
_AFTER: tuple[tuple[_Way, re.Pattern[str]], ...] = (
    (_Way.AT_LEAST, re.compile(r" or (?:more|over|above|higher|greater)\b| at least$")),
    (_Way.AT_MOST, re.compile(r" or (?:less|fewer|under|below|lower)\b| at most$")),
    (_Way.ABOUT, re.compile(r" or so\b")),
)
_FROM = (_Way.ABOVE, _Way.AT_LEAST)
_TO = (_Way.BELOW, _Way.AT_MOST)
_SAYS_NOTHING = re.compile(r"(?:only(?! just)|just|merely|fully) ")
_SAYS_HOW_GRAVE = re.compile(r"a (?:mere|full|whole|whopping|staggering|shocking|massive|huge|total of) ")

# What may stand behind a number without making it a number of something else.
_TAIL = re.compile(
    r"(?P<of> of)?(?P<the>(?: all)?(?: (?:the|these|those|its|their))?)(?P<base> (?:[0-9][0-9,]*|[a-z][a-z ]*?))??"
    r"(?: (?:audited|graded|reviewed|examined|inspected|assessed|child protection|police|individual)){0,2}"
    r"(?P<cases> (?:cases?|case files?|files?|them)"
    r"(?: (?:that|which) (?:the )?inspectors(?: alone)? (?:chose(?: to (?:look at|read|audit|review))?"
    r"|looked at|read|audited|reviewed|examined|assessed|graded))?)?"
)
_RATIO = re.compile(r"(.+?)(?: cases?)? (?:in every|in|out of every|out of|of every|of) (the )?(.+)")
_DOZENS = re.compile(r"(.+) dozen")
_LARGEST_DENOMINATOR = 100
_LONGEST = 200

_WHAT_CAN = (
    'write a share such as "a third", "one in five" or "42 per cent", or a number such as "15 cases", '
    'with words like "almost" or "more than" before it'
)
_TELLS_A_CHANGE = re.compile(
    r"\b(double[ds]?|doubling|twice|thrice|times|treble[ds]?|triple[ds]?|halved|up by|down by|rise|rose|risen|fall"
    r"|fell|fallen|increased?|decreased?|drop(?:ped)?|(?:percentage )?points?|pp|from|another|extra"
    r"|(?:more|fewer|less|higher|lower)$)"
)
_NAMES_NO_NUMBER = re.compile(
    r"\b(handful|few|several|many|dozens|scores|hundreds|couple|number of|lots?|plenty|bulk|proportion|hardly|barely"
    r"|scarcely|rarely|often|mainly|mostly|largely"
    r"|(?:vast|large|great|huge|overwhelming|big|slim|narrow|small|tiny|clear) (?:majority|minority|part|share)"
    r"|some)\b"
)


def read(phrase: str, /) -> Reading:
    """The numbers that the words of a claim say.

    Read are fractions ("two-thirds", "½", "1/3"), ratios ("three in ten", "28 of 74"), percentages
    ("42 per cent", "25.5%", "twenty-five percent"), numbers of cases ("15 cases", "half a dozen"),
    all, none, most and a minority; alone, with words such as almost, about, more than, at least or
    up to, and two of them as a range. Numbers in words are read by text2num. Words that can be
    read in two ways are not read.

    Raises:
        ClaimError: if the words cannot be read with certainty; the message says what can.
    """
    text = _legible(phrase)
    found = _bracketed(text)
    if found is None:
        raise ClaimError(f'"{phrase}" cannot be read{_why_not(text)}: {_WHAT_CAN}.')
    return replace(found, phrase=phrase)


def _why_not(text: str) -> str:
    if change := _TELLS_A_CHANGE.search(text):
        return f', as "{change[1]}" compares or tells a change'
    if vague := _NAMES_NO_NUMBER.search(text):
        return f', as "{vague[1]}" is no number'
    if any(number.kind is _Kind.BARE for number in _hedged(text)):
        return ", as it does not say of what it is a number"
    return ""


# Characters that stand for plain ones. Any other is refused: a raised 2 is a note, and must not become a digit.
_PLAIN = {
    "\N{FRACTION SLASH}": "/",
    "\N{DIVISION SLASH}": "/",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{ALMOST EQUAL TO}": "~",
    "\N{MINUS SIGN}": "-",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    **dict.fromkeys("\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}", ""),
}
_SIGNS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than", "~": "about"}


def _legible(phrase: object) -> str:
    """The words in small plain letters, with one spelling of per cent, of ranges and of signs."""
    if not isinstance(phrase, str) or not phrase.strip():
        raise ClaimError(f"There are no words to read in {phrase!r}: {_WHAT_CAN}.")
    if len(phrase) > _LONGEST:
        raise ClaimError(f"{len(phrase)} characters are too many for the words of one number: {_WHAT_CAN}.")
    # a space that no line may break at holds the thousands of one number together: 1 000
    text = re.sub(r"(?<=[0-9])[\u00a0\u2007\u2009\u202f](?=[0-9]{3}(?![0-9]))", ",", phrase)
    text = "".join(_plain(character, phrase) for character in text).lower().replace('"', "").strip()
    text = re.sub(r"^'|'$", "", text)
    text = re.sub(r"(?<![a-z])(?:per[ -]?cent|p\.?c|pct)(?![a-z])\.?", "%", text)
    text = re.sub(r"\s+", " ", text).rstrip(".,;:! ")
    for sign, words in _SIGNS.items():
        text = re.sub(rf"^{sign} ?(?=[0-9a-z])", f"{words} ", text)
    text = re.sub(r"^(?:ca?\.? ?(?=[0-9])|approx(?:\.|\b) ?)", "about ", text)
    text = re.sub(r"(?<=[0-9%])\+(?= |$)", " or more", text)
    text = re.sub(r"(?<=[0-9%]) ?- ?(?=[0-9])", " to ", text)
    text = re.sub(r"(?<=[a-z0-9])-(?=[a-z0-9%])", " ", text)
    return " ".join(text.replace(", but ", " but ").split())


def _plain(character: str, phrase: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if character.isspace():
        return " "
    if character.isascii() and character.isprintable():
        return character
    if unicodedata.category(character) == "Pd":
        return "-"
    form = unicodedata.decomposition(character).partition(" ")[0]
    if form == "<fraction>":
        return f" {unicodedata.normalize('NFKC', character).translate({0x2044: '/'})} "
    if form == "<wide>":
        return unicodedata.normalize("NFKC", character)
    name = unicodedata.name(character, f"U+{ord(character):04X}").lower()
    raise ClaimError(
        f'"{phrase}" has a character that cannot be read, {name}: write plain letters and digits.'
    )


def _bracketed(text: str) -> Reading | None:
    """What is said, where brackets may say the same again: one in three (33%)."""
    parts = re.fullmatch(r"([^()]+) \(([^()]+)\)((?: [^()]+)?)", text)
    if not parts:
        return _either(text)
    outside, inside = _either(parts[1] + parts[3]), _either(parts[2])
    if outside is None or inside is None or outside.unit is not inside.unit:
        return None
    rough, exact = sorted((outside, inside), key=_width, reverse=True)
    lower, upper = rough.rounding
    ends = [end for end in (exact.value, exact.lower, exact.upper) if end is not None]
    # what stands in brackets may be more exact, but "half (44%)" says two things
    if any((lower is not None and end < lower) or (upper is not None and end > upper) for end in ends):
        return None
    return replace(exact, base=rough.base if exact.base is None else exact.base)


def _width(reading: Reading) -> float:
    lower, upper = reading.rounding
    if upper is None:
        return 1.0 if reading.unit is Unit.SHARE else float("inf")
    return float(upper - (lower or 0))


def _either(text: str) -> Reading | None:
    """What a range, two bounds or one number says; null if it is none, or can be read in two ways."""
    several = set(_ranges(text)) | set(_two_bounds(text))
    if several:
        return several.pop() if len(several) == 1 else None
    numbers = set(_hedged(text))
    return _reading(numbers.pop()) if len(numbers) == 1 else None


def _ranges(text: str) -> Iterator[Reading]:
    way, text = _before(text)
    if way not in (_Way.AS_IT_IS, _Way.ABOUT):
        return
    between = re.fullmatch(r"(?:somewhere |anywhere )?between (.+)", text)
    text = between[1] if between else text
    for one, other in _sides(text, " and " if between else " to ", _numbers):
        are_fractions = one.kind is other.kind is _Kind.FRACTION
        if one.way is not _Way.AS_IT_IS or other.way is not _Way.AS_IT_IS or one.value == other.value:
            continue
        # "between half and a third" is said, "35 to 30 per cent" is a fall
        if one.value > other.value and not are_fractions:
            continue
        low, high = sorted((one, other), key=lambda number: number.value)
        tolerance = max(low.about, high.about) if way is _Way.ABOUT else Fraction(0)
        assert low.unit is not None
        yield Reading("", low.unit, None, low.value, high.value, tolerance=tolerance, base=other.base)


def _two_bounds(text: str) -> Iterator[Reading]:
    for joint in (" but ", " and "):
        for one, other in _sides(text, joint, _hedged):
            low, high = (one, other) if one.way in _FROM else (other, one)
            if low.way in _FROM and high.way in _TO and low.value < high.value and low.unit is not None:
                yield Reading(
                    "",
                    low.unit,
                    None,
                    low.value,
                    high.value,
                    includes_lower=low.way is _Way.AT_LEAST,
                    includes_upper=high.way is _Way.AT_MOST,
                    base=other.base,
                )


def _sides(
    text: str, joint: str, numbers: Callable[[str], Iterator[_Number]]
) -> Iterator[tuple[_Number, _Number]]:
    """Two numbers of one unit on the two sides of a word; the first may leave its unit to the second."""
    for found in re.finditer(joint, text):
        for other in numbers(text[found.end() :]):
            for one in numbers(text[: found.start()]):
                first = _in_unit_of(other, one)
                if first.unit is not None and first.unit is other.unit:
                    yield first, other


def _in_unit_of(model: _Number, bare: _Number, /) -> _Number:
    """A number that does not say of what it is, as the other end of its range has it: 30 to 35 per cent."""
    if bare.kind is not _Kind.BARE or model.kind is _Kind.FRACTION:
        return bare
    if model.kind is _Kind.PERCENT and bare.value <= 100:
        return replace(bare, kind=_Kind.PERCENT, value=bare.value / 100, part=bare.part / 100)
    if model.kind is _Kind.CASES and bare.part == 1:
        return replace(bare, kind=_Kind.CASES)
    return bare


def _reading(number: _Number) -> Reading | None:
    """What a number with its words says; null if it says nothing that could be."""
    if number.unit is None:
        return None
    value, little, about, way = number.value, number.little, number.about, number.way
    if way is _Way.ALMOST:
        # almost none is more than none
        way = _Way.JUST_BELOW if value else _Way.JUST_ABOVE
    said = Reading("", number.unit, value, value, value, base=number.base)
    if way in (_Way.ABOUT, _Way.CLOSE) and number.kind is _Kind.FRACTION and value in (0, 1):
        return None
    if way in (_Way.AS_IT_IS, _Way.ABOUT, _Way.CLOSE):
        tolerance = {_Way.AS_IT_IS: number.plain, _Way.ABOUT: about, _Way.CLOSE: little}[way]
        return replace(said, tolerance=tolerance)
    # what is almost one case is not none, and no share is more than all
    least = max(value - little, Fraction(1 if number.unit is Unit.CASES else 0))
    most = value + little if number.unit is Unit.CASES else min(value + little, Fraction(1))
    lower, upper, includes_lower, includes_upper = {
        _Way.EXACTLY: (value, value, True, True),
        _Way.AT_LEAST: (value, None, True, True),
        _Way.AT_MOST: (None, value, True, True),
        _Way.BELOW: (None, value, True, False),
        _Way.ABOVE: (value, None, False, True),
        _Way.SOME_BUT_BELOW: (Fraction(0), value, False, False),
        _Way.JUST_BELOW: (least, value, True, False),
        _Way.JUST_ABOVE: (value, most, False, True),
        _Way.WELL_BELOW: (None, value - little, True, False),
        _Way.WELL_ABOVE: (value + little, None, False, True),
    }[way]
    ceiling = Fraction(1) if number.unit is Unit.SHARE else None
    if not includes_upper and upper is not None and upper <= (lower or 0):
        return None
    if not includes_lower and lower is not None and ceiling is not None and lower >= ceiling:
        return None
    return replace(
        said, lower=lower, upper=upper, includes_lower=includes_lower, includes_upper=includes_upper
    )


def _hedged(text: str) -> Iterator[_Number]:
    """The number of a text with words like almost before it, or words like or more behind it."""
    after = [(way, pattern) for way, pattern in _AFTER if pattern.search(text)]
    if len(after) > 1:
        return
    before, text = _before(text)
    if after:
        # "a third or more of cases": what stands before it has to be a number by itself
        if before is not _Way.AS_IT_IS or (found := after[0][1].search(text)) is None:
            return
        if not any(_numbers(text[: found.start()])):
            return
        text = text[: found.start()] + text[found.end() :]
    way = after[0][0] if after else before
    for number in _numbers(text):
        if number.way is _Way.AS_IT_IS:
            yield replace(number, way=way)
        elif way is _Way.AS_IT_IS:
            yield number


def _before(text: str) -> tuple[_Way, str]:
    """How the number is meant by the words before it, and the text without them."""
    while True:
        for way, pattern in _BEFORE:
            if found := pattern.match(text):
                return way, text[found.end() + 1 :]
        if not (found := _SAYS_NOTHING.match(text)):
            return _Way.AS_IT_IS, text
        text = text[found.end() :]


def _numbers(text: str) -> Iterator[_Number]:
    """Every way to read a text as one number and what it is of."""
    grave = _SAYS_HOW_GRAVE.match(text)
    versions = (text[grave.end() :], f"a {text[grave.end() :]}") if grave else (text,)
    found = set()
    for version in versions:
        tokens = version.split(" ")
        for end in range(1, len(tokens) + 1):
            rest = "".join(f" {token}" for token in tokens[end:])
            tail = _TAIL.fullmatch(rest)
            if tail and (not rest or tail["base"] or tail["cases"]):
                found |= set(_with_tail(" ".join(tokens[:end]), tail))
    yield from found


def _with_tail(core: str, tail: re.Match[str]) -> Iterator[_Number]:
    said = tail["base"]
    base = _whole_number(said.strip()) if said else None
    if said and not base:
        return
    # "2/3 cases" may be two or three of them
    either = re.fullmatch(r"([0-9]+) ?/ ?([0-9]+)", core)
    if either and tail[0] and not tail["of"] and int(either[2]) == int(either[1]) + 1:
        return
    for number, is_bare_ordinal in _core(core):
        if is_bare_ordinal and not tail["of"]:
            # "third of cases", but not "third"
            continue
        if number.kind is _Kind.BARE:
            # "15 of the 33 cases" is read as a ratio
            if tail["cases"] and not said and number.part == 1:
                yield replace(number, kind=_Kind.CASES)
            elif not tail[0]:
                yield number
        elif said and not (tail["of"] or (tail["the"] and tail["cases"]) or core == "all"):
            continue
        elif number.kind is not _Kind.CASES or not said:
            yield number if base is None else replace(number, base=base)


def _core(text: str) -> Iterator[tuple[_Number, bool]]:
    """Every way to read a text as a number; true beside it if it is an ordinal without an article."""
    whole = Fraction(1)
    if text in ("all", "every case"):
        yield _Number(whole, _Kind.FRACTION, whole), False
    if text in ("none", "no case", "no cases", "not one", "not a single"):
        yield _Number(Fraction(0), _Kind.FRACTION, whole), False
    if text in ("most", "majority", "a majority", "the majority"):
        yield _Number(Fraction(1, 2), _Kind.FRACTION, Fraction(1, 2), way=_Way.ABOVE), False
    if text in ("minority", "a minority", "the minority"):
        yield _Number(Fraction(1, 2), _Kind.FRACTION, Fraction(1, 2), way=_Way.SOME_BUT_BELOW), False
    if text.endswith("%"):
        number = _number(text[:-1].rstrip())
        if number is not None and number.value <= 100:
            yield replace(number, kind=_Kind.PERCENT, value=number.value / 100, part=number.part / 100), False
    elif (number := _number(text)) is not None:
        yield number, False
    yield from _fraction_in_words(text)
    if ratio := re.fullmatch(r"([0-9]+) ?(/) ?([0-9]+)", text) or _RATIO.fullmatch(text):
        n, of = _whole_number(ratio[1]), _whole_number(ratio[3])
        if n is not None and of and n <= of:
            # 33 in 100 are 33 per cent
            kind = _Kind.PERCENT if of == 100 else _Kind.FRACTION
            base = of if ratio[2] == "the " else None
            yield _Number(Fraction(n, of), kind, Fraction(1, of), base=base), False
    if dozens := _DOZENS.fullmatch(text):
        n = {"a": 12, "half": 6, "half a": 6}.get(dozens[1]) or 12 * (_whole_number(dozens[1]) or 0)
        if n:
            yield _Number(Fraction(n), _Kind.CASES, whole), False


def _fraction_in_words(text: str) -> Iterator[tuple[_Number, bool]]:
    numerator, _, name = text.rpartition(" ")
    of = _denominator(name)
    is_plural = name.endswith("s") or name == "halves"
    n = 1 if numerator in ("", "a", "an") else _whole_number(numerator)
    # "two third" is a slip of the pen, "one thirds" could be anything
    if of is None or n is None or not 0 < n < of or (n == 1 and is_plural):
        return
    yield (
        _Number(Fraction(n, of), _Kind.FRACTION, Fraction(1, of)),
        not numerator and name not in ("half", "quarter"),
    )


def _denominator(name: str) -> int | None:
    """The parts that the name of a fraction means: 3 for a third. Null for anything else, as for a second."""
    if name in ("half", "halves"):
        return 2
    if name in ("quarter", "quarters"):
        return 4
    if not re.fullmatch(r"[a-z]+", name):
        return None
    ordinal = re.fullmatch(r"([0-9]+)(?:rd|th)s?", alpha2digit(name, "en", 0.0))
    return int(ordinal[1]) if ordinal and 0 < int(ordinal[1]) <= _LARGEST_DENOMINATOR else None


def _number(text: str) -> _Number | None:
    """A number in digits or words, not yet of anything: 42, 25.5, 33 1/3, twenty-five, twelve point five."""
    if mixed := re.fullmatch(r"([0-9]+) ([0-9]+)/([0-9]+)", text):
        whole, n, of = (int(part) for part in mixed.groups())
        return _Number(whole + Fraction(n, of), _Kind.BARE, Fraction(1, of)) if 0 < n < of else None
    if decimal := re.fullmatch(r"([0-9]*)\.([0-9]+)", text):
        part = Fraction(1, 10 ** len(decimal[2]))
        return _Number(int(decimal[1] + decimal[2]) * part, _Kind.BARE, part)
    before, point, behind = text.partition(" point ")
    if point:
        whole_part, digits = _whole_number(before), [_whole_number(word) for word in behind.split(" ")]
        if whole_part is None or any(digit is None or digit > 9 for digit in digits):
            return None
        part = Fraction(1, 10 ** len(digits))
        return _Number(int(f"{whole_part}{''.join(map(str, digits))}") * part, _Kind.BARE, part)
    whole_number = _whole_number(text)
    return None if whole_number is None else _Number(Fraction(whole_number), _Kind.BARE, Fraction(1))


def _whole_number(text: str) -> int | None:
    """A whole number in digits or words; null for anything else."""
    if re.fullmatch(r"[0-9]{1,9}|[0-9]{1,3}(?:,[0-9]{3}){1,2}", text):
        return int(text.replace(",", ""))
    words = re.sub(r"^a (?=hundred|thousand)", "one ", text)
    # text2num also takes "o" for zero, "zero five" for 5, "twenty and five" for 25 and "hundreds" for 100
    if not re.fullmatch(r"[a-z]{2,}(?: [a-z]{2,})*", words) or re.search(
        r"^(?:zero|nought) |(?<!hundred)(?<!thousand) and |s\b", words
    ):
        return None
    try:
        return int(text2num(words, "en"))
    except ValueError:
        return None
