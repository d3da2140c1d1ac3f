"""Which numbers a text says, with sign and unit, and which of them a table of figures has."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from analysis.compare import change
from analysis.present import plainly, wording

_SHARE, _CHANGE, _OTHER = "%", "points", "?"


@dataclass(frozen=True)
class Number:
    """A number as a text says it.

    Attributes:
        digits: without separators of thousands.
        sign: "+" or "-", also where words say it; empty if nothing does.
        unit: "%" for a share, "points" for a change, "?" for what no figure here has; empty for a count.
        shown: how it stands in the text.
    """

    digits: str
    sign: str
    unit: str
    shown: str


def numbers_in(text: str, /) -> frozenset[str]:
    """The numbers of a text as they are printed, without signs and units; dates are left out."""
    return frozenset(number.digits for number in said(text))


def said(text: str, /) -> Iterator[Number]:
    """The numbers of a text in order; dates, times and versions are none."""
    legible = plainly.legible(text)
    if not re.search(r"\d", legible):
        return
    for found in _NUMBER.finditer(_DATES.sub(" ", legible)):
        given = found.groupdict(default="")
        sign = given["sign"] or {"rise": "+", "fall": "-"}.get(given["way"].lower(), "")
        unit = _SHARE if given["share"] else _CHANGE if given["change"] else _OTHER if given["other"] else ""
        # what is less than 1 is shown so because it would be rounded to 0
        digits = "0" if given["less"] and given["digits"] == "1" else given["digits"].replace(",", "")
        yield Number(digits, sign, unit, found.group().strip())


_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_IN_YEAR = r"(?:0[1-9]|1[0-2])"
_YEAR = r"(?:19|20)\d\d"
# nobody counts so many years, but files there may be
_RECENT = r"20(?:0[1-9]|[1-4]\d)"
# after a number, these make it one of things
_COUNTED = (
    r"(?![\w.,/-]*\d)(?! ?(?:%|per ?cent|(?:percentage )?points?\b|of\b|more\b|others?\b|cases\b|files\b|children\b"
    r"|audited\b|audits\b|victims\b|officers\b|offences\b|crimes\b|people\b|records\b))"
)
_DATES = re.compile(
    rf"\[U\+[0-9A-F]{{4,6}}\]"
    rf"|(?<![\w-]){_YEAR}-{_IN_YEAR}(?:-(?:0[1-9]|[12]\d|3[01]))?(?![\w-]){_COUNTED}"
    rf"|(?<![\w/-]){_YEAR}[/-](?:{_YEAR}|\d\d)(?![\w/-]){_COUNTED}"
    rf"|(?<![\w/.]){_DAY}[/.](?:0?[1-9]|1[0-2])[/.]{_YEAR}(?![\w/])"
    rf"|(?<![\w.,])(?:{_DAY} ?(?:-|to|and) ?)?{_DAY} {_MONTH}(?: {_YEAR}\b)?"
    rf"|\b{_MONTH}(?: {_DAY},)? {_YEAR}\b"
    rf"|\bat (?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?\b"
    rf"|\bversion \d{{1,4}}(?:\.\d{{1,4}}){{1,3}}\b{_COUNTED}"
    rf"|\b(?i:in|since|between|during|after|before|by|for|until|from|to|and|or|of|published|the) {_RECENT}\b{_COUNTED}"
    rf"|\({_YEAR}\b{_COUNTED}"
)
_NUMBER = re.compile(
    r"(?:(?<![\w)])(?P<sign>[+-])|\b(?P<way>rise|fall) of (?:about )?(?P<less>less than )?)?"
    # with what makes it another number: a fraction, a power, thousands
    r"(?P<digits>\d+\u2044\d+|(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:e[+-]?\d+|(?:[km]|bn)\b)?|\.\d+)"
    r"(?:[ -]?(?:(?P<share>%|per ?cent\b|pc\b)|(?P<change>(?:percentage[ -])?points?\b|pp\b|pp?ts?\b)"
    r"|(?P<other>[\u2030\xb0])))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Figures:
    """The numbers that a report may say: those of its table of figures, and those of the method."""

    counts: frozenset[str]
    shares: tuple[Decimal, ...]
    changes: tuple[Decimal, ...]
    method: re.Pattern[str]

    @staticmethod
    @lru_cache(maxsize=8)
    def read(table: bytes, /, *, confidence: float) -> "Figures":
        """What a `figures.csv` has. `confidence` is the level of its intervals."""
        rows = list(csv.DictReader(io.StringIO(table.decode())))
        ends = ("value", "lower", "upper")

        def values(*, are_points: bool) -> tuple[Decimal, ...]:
            return tuple(
                Decimal(row[key])
                for row in rows
                for key in ends
                if row[key] and are_points == wording.is_in_points(row)
            )

        return Figures(
            counts=frozenset(
                [row[key] for row in rows for key in ("n_cases", "base") if row[key]]
                + [number.digits for row in rows for number in said(row["note"]) if not number.unit]
            ),
            shares=values(are_points=False),
            changes=values(are_points=True),
            method=_method(confidence),
        )

    def foreign(self, text: str, /) -> Iterator[Number]:
        """The numbers of a text that are not among these."""
        return (number for number in said(self.method.sub(" ", text)) if not self._has(number))

    def _has(self, number: Number) -> bool:
        if number.unit == _SHARE:
            return not number.sign and _is_one_of(number.digits, self.shares)
        if number.unit == _CHANGE or number.sign:
            way = {"+": 1, "-": -1}.get(number.sign)
            return _is_one_of(
                number.digits, [value for value in self.changes if way is None or value * way >= 0]
            ) or (number.digits == "0" and _is_one_of("0", self.changes))
        if number.unit:
            return False
        # a change that is rounded to nothing has no sign
        return number.digits in self.counts or (number.digits == "0" and _is_one_of("0", self.changes))


def _is_one_of(digits: str, values: Sequence[Decimal]) -> bool:
    if not re.fullmatch(r"\d{1,3}(?:\.\d{1,6})?", digits):
        return False
    places = len(digits.partition(".")[2])
    # the table has six decimals, so that what is rounded from more may lie a hair beyond a half
    half = Decimal("0.5").scaleb(-places) + Decimal("0.0001")
    return any(abs(abs(value) * 100 - Decimal(digits)) <= half for value in values)


def _method(confidence: float) -> re.Pattern[str]:
    """Levels that belong to the method, in the words that say what they are levels of."""
    level, power, neutral = (
        re.escape(wording.level(value)) for value in (confidence, change.POWER, change.NEUTRAL)
    )
    return re.compile(
        rf"(?<![\w.,+-]){level}(?= (?:Wilson |Newcombe )?(?:intervals?|ranges?)\b)"
        rf"|(?<![\w.,+-]){power}(?= (?:power\b|of the time\b))"
        rf"|(?<![\w.,+-]){neutral}(?= would mean\b)|\b(?:off|[Cc]hance is) {neutral}(?!\w)"
        rf"|\bfewer than {change.FEWEST_CASES}(?!\w|[.,]\d)"
    )
