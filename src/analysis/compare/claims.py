"""A number in a sentence of the press or of anyone else, held against what was counted.

The rule is the same for every claim:

1. The words are read as a set of numbers. What cannot be read with certainty is refused.
   - A number alone (a third, 42 per cent, 15 cases) is that number. Only, just and a mere before it
     say nothing of it.
   - A bound (more than, at least, under, up to, most) is all that lies on its side, however far.
   - A range (between, to) is all from one end to the other, both ends included.
   - Almost, nearly and just under are what lies a little below; just over is what lies a little
     above. Well under and well over are what lies beyond that.
2. `matches`: the exact count or share is in that set.
3. `rounds to`: it is not, but the words are a number that it rounds to.
   - A percentage is good to half of its last digit: 42 per cent is 41.5% to 42.5%, ends included.
   - A fraction (a third, one in five) is good to 2.5 percentage points. That is half the way from a
     fifth to a quarter, the nearest two of halves, thirds, quarters and fifths. More would let a share
     round to two of them. It is less where the parts are small (28 of 74: half of one part), and near
     none or all: at most a quarter of the way there (one in 20 is 3.75% to 6.25%).
   - About and roughly allow a fraction no more, as it is rough as it is. They allow a percentage 2.5
     points if it is a multiple of 5, else one unit of its last digit; and a number of cases a tenth,
     at least 1 case.
   - Numbers of cases, bounds, ranges and what is said to be exact are not rounded.
4. A little, in almost and just over, is 5 percentage points for a fraction (no more than one part), and
   as much as for about for all else; also at most a quarter of the way to none or all. Close to is a
   little on both sides, and counts as rounding.
5. `overstates` and `understates`: the words say more, or less, than was counted. Whether more is
   kinder or harsher depends on what is counted.
6. `cannot be checked`: the count is not known, or the words cannot be read. The reason is given.

The audit is what the claim is about, so the rule looks at the cases audited and at nothing beyond
them. Intervals stand beside the shares, and do not soften a verdict.
"""

import itertools
import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any

import dataframely as dy
import polars as pl

from analysis import vocabulary
from analysis.compare import shares
from analysis.compare.graded import GradedAudit, checked_audits
from analysis.compare.phrases import ClaimError, Reading, Unit, read, rounding_of
from analysis.compare.shares import CONFIDENCE, Estimate
from analysis.vocabulary import Grade

# In the order in which the sentence that would have been right looks for the nearest: the simplest first.
EVERYDAY = tuple(
    Fraction(*one) for one in ((1, 2), (1, 3), (2, 3), (1, 4), (3, 4), (1, 5), (4, 5), (1, 10), (9, 10))
)


class ClaimVerdict(StrEnum):
    """What the counts say of a claimed number."""

    MATCHES = "matches"
    ROUNDS_TO = "rounds to"
    OVERSTATES = "overstates"
    UNDERSTATES = "understates"
    CANNOT = "cannot be checked"


@dataclass(frozen=True)
class Checked:
    """A claim and what was counted.

    Attributes:
        reading: what the words say.
        share: the exact share that was counted, as a fraction of 1.
        n_cases, base: cases counted, and of how many; null if only the share is known.
        verdict: by the rule of this module.
    """

    reading: Reading
    share: Fraction
    n_cases: int | None
    base: int | None
    verdict: ClaimVerdict

    @property
    def gap(self) -> float:
        """How far the count lies above (or, negative, below) what the words say: share, or cases."""
        return float(self.reading.gap(_counted(self.reading, self.share, self.n_cases)))

    @property
    def estimate(self) -> Estimate | None:
        """The share with its Wilson interval; null if the number of cases is not known."""
        if self.n_cases is None or self.base is None:
            return None
        return shares.share(self.n_cases, self.base)


def check(phrase: str, counted: float, /, *, base: int | None = None) -> Checked:
    """Hold the words of a claim against what was counted.

    Args:
        phrase: the words for the number, such as "a third", "almost three quarters" or "15 cases".
        counted: the share as a fraction of 1; or, with `base`, the number of cases.
        base: audited cases. Give it if it is known, as the share is then exact, and the words may
            be about a number of cases.

    Raises:
        ClaimError: if the words cannot be read, speak of another number of audited cases, or
            `counted` is neither a share nor a number of cases.
    """
    reading = read(phrase)
    if base is None:
        if reading.unit is Unit.CASES:
            raise ClaimError(
                f'"{phrase}" is a number of cases: give the number counted and the number audited, '
                "for example 14, base=33."
            )
        share, n, of = _share(counted), None, None
    else:
        n, of = _whole(counted, "The number counted"), _whole(base, "base")
        if of < 1 or not 0 <= n <= of:
            raise ClaimError(
                f"{n} of {of} cases is no share: give the cases counted, and of how many as base."
            )
        if reading.base not in (None, of):
            raise ClaimError(
                f'"{phrase}" is of {reading.base} cases, but {of} were audited: find out which is meant.'
            )
        share = Fraction(n, of)
    return Checked(reading, share, n, of, judge(reading, _counted(reading, share, n)))


def _counted(reading: Reading, share: Fraction, n: int | None) -> Fraction:
    return Fraction(n) if reading.unit is Unit.CASES and n is not None else share


def _share(given: object) -> Fraction:
    wrong = (
        f"The share is {given!r}, but must be a fraction of 1, such as 0.38; for a number of cases give base "
        "too."
    )
    if isinstance(given, bool) or not isinstance(given, Real):
        raise ClaimError(wrong)
    if isinstance(given, Rational):
        number = Fraction(int(given.numerator), int(given.denominator))
    else:
        as_float = float(given)
        if not 0 <= as_float <= 1:
            raise ClaimError(wrong)
        # a third that was divided out is a third again: audits have hundreds of cases, not millions
        number = Fraction(as_float).limit_denominator(1_000_000)
    if not 0 <= number <= 1:
        raise ClaimError(wrong)
    return number


def _whole(given: object, name: str) -> int:
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise ClaimError(
            f"{name} is {given!r}, but must be a whole number of cases; leave base out to give a share."
        )
    return int(given)


def judge(reading: Reading, number: Fraction, /) -> ClaimVerdict:
    """The verdict on what was read, `number` being the exact share or number of cases."""
    if reading.says(number):
        return ClaimVerdict.MATCHES
    gap = reading.gap(number)
    if abs(gap) <= reading.tolerance and reading.tolerance:
        return ClaimVerdict.ROUNDS_TO
    # at an end that is not included the gap is 0, and the side has to be asked for
    is_below = reading.lower is not None and number <= reading.lower
    return ClaimVerdict.OVERSTATES if is_below else ClaimVerdict.UNDERSTATES


class Nearness(StrEnum):
    """How a share lies to the everyday fraction that is nearest to it."""

    EXACTLY = "exactly"
    JUST_BELOW = "almost"
    JUST_ABOVE = "just over"
    BELOW = "rather less than"
    ABOVE = "rather more than"


def everyday(share: Fraction, /) -> tuple[Nearness, Fraction]:
    """The share in everyday words: how it lies to the nearest of halves, thirds, quarters, fifths and tenths.

    What rounds to the fraction is almost it or just over it. None and all are the fractions 0 and 1.

    Raises:
        ValueError: if it is no share.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"{share} is no share")
    if share in (0, 1):
        return Nearness.EXACTLY, share
    nearest = min(EVERYDAY, key=lambda one: abs(one - share))
    if share == nearest:
        return Nearness.EXACTLY, nearest
    is_close = abs(share - nearest) <= rounding_of(nearest)
    if share < nearest:
        return (Nearness.JUST_BELOW if is_close else Nearness.BELOW), nearest
    return (Nearness.JUST_ABOVE if is_close else Nearness.ABOVE), nearest


class JudgedClaim(dy.Schema):
    """Grain: one row per claim, in file order, with the audit that it is about and the verdict."""

    inspection_id = dy.String(nullable=False, metadata={"description": "Inspection, as in audits"})
    force = dy.String(
        nullable=True, metadata={"description": "Slug of the force; null for a group of forces"}
    )
    group = dy.String(
        nullable=True, metadata={"description": "Group of forces, where the audit is of several"}
    )
    area = dy.String(nullable=False, metadata={"description": "Area of child protection, or `overall`"})
    fieldwork = dy.String(
        nullable=True, metadata={"description": "Year, month or day of the fieldwork; null if not known"}
    )
    published = dy.String(
        nullable=True, metadata={"description": "The same of the publication; null if not known"}
    )
    claim = dy.String(nullable=False, metadata={"description": "The words of the claim"})
    measure = dy.String(nullable=False, metadata={"description": "What the claim is about"})
    publisher = dy.String(nullable=False, metadata={"description": "Who published the page"})
    url = dy.String(nullable=False, metadata={"description": "Address of the page"})
    is_primary = dy.Bool(
        nullable=False,
        metadata={"description": "Whether the publisher is the inspectorate, as statements of its pages say"},
    )
    n_cases = dy.Int64(
        nullable=True,
        min=0,
        metadata={"description": "Cases that the claim is about; null if not known", "unit": "cases"},
    )
    base = dy.Int64(
        nullable=True,
        min=0,
        metadata={"description": "Audited cases; null if not known", "unit": "cases"},
    )
    share = dy.Float64(
        nullable=True, metadata={"description": "`n_cases` as a fraction of `base`; null if not known"}
    )
    lower = dy.Float64(nullable=True, metadata={"description": "Lower end of the interval of the share"})
    upper = dy.Float64(nullable=True, metadata={"description": "Upper end of the interval of the share"})
    verdict = dy.String(
        nullable=False,
        check={"known": lambda column: column.is_in(list(ClaimVerdict))},
        metadata={"description": "`matches`, `rounds to`, `overstates`, `understates`, `cannot be checked`"},
    )
    gap = dy.Float64(
        nullable=True,
        metadata={
            "description": "How far the count lies above (or, negative, below) what the words say: a fraction "
            "of 1, or a number of cases; null if not checked"
        },
    )
    reason = dy.String(nullable=True, metadata={"description": "Why it cannot be checked; else null"})
    note = dy.String(
        nullable=True, metadata={"description": "What to know of the counts that the claim is about"}
    )
    nearby = dy.String(
        nullable=True,
        metadata={
            "description": "Where 1 or 2 cases more or fewer would decide whether the claim holds: which verdict they "
            "would have; else null"
        },
    )
    otherwise = dy.String(
        nullable=True,
        metadata={
            "description": "Where sources disagree on these counts: what the verdict would be by those not followed"
        },
    )


def judged(
    claims: pl.DataFrame,
    audits: pl.DataFrame,
    statements: pl.DataFrame,
    /,
    *,
    confidence: float = CONFIDENCE,
) -> dy.DataFrame[JudgedClaim]:
    """Check every claim against its audit: that of the same inspection and area, graded by inspectors.

    Args:
        claims: one row per claim (schema `Claim`).
        audits: one row per audit (schema `Audit`).
        statements: one row per statement of a source (schema `Statement`), for counts that are in dispute.
        confidence: level of the Wilson intervals of the shares.

    Returns:
        One row per claim, in the order given. Counts are null where no source read has them.

    Raises:
        GivenError: if `audits` is no table of audits.
    """
    primary = set(statements.filter(pl.col("source_kind") == "primary")["publisher"])
    found = {
        (row["inspection_id"], row["area"]): row
        for row in checked_audits(audits).filter(pl.col("graded_by") == "inspectors").iter_rows(named=True)
    }
    schema = JudgedClaim.create_empty().schema
    rows = []
    for claim in claims.iter_rows(named=True):
        row = found.get((claim["inspection_id"], claim["area"]))
        about = {name: row and row[name] for name in ("group", "fieldwork", "published")}
        about["is_primary"] = claim["publisher"] in primary
        known = {**about, **_known(claim["measure"], row, confidence)}
        checked = known if known["reason"] else known | _verdict(claim, known)
        if row is not None and checked["gap"] is not None:
            checked |= {"otherwise": _otherwise(claim, row, checked, statements)}
        rows.append({name: {**claim, **checked}[name] for name in schema})
    return JudgedClaim.validate(pl.DataFrame(rows, schema=schema, orient="row"))


def _known(measure: str, row: dict[str, Any] | None, confidence: float) -> dict[str, Any]:
    """What is known of the counts that a claim is about, and the reason if it is too little to check it."""
    known: dict[str, Any] = dict.fromkeys(
        ("n_cases", "base", "share", "lower", "upper", "gap", "reason", "note", "nearby", "otherwise")
    )
    known["verdict"] = ClaimVerdict.CANNOT.value
    if row is None:
        return known | {"reason": "no case grades of this audit, given by inspectors, have been transcribed"}
    audit = GradedAudit.from_row(row)
    known["note"] = audit.note
    measured = _measured(measure)
    if measured is None:
        return known | {"reason": f'what is counted cannot be told from "{measure}"'}
    _, grade = measured
    known["note"] = _bearing(audit.note, grade)
    if audit.scale == vocabulary.TOPIC_JUDGMENTS.name:
        return known | {"reason": "this inspection judged topics and published no case grades"}
    if grade is not None and grade not in audit.counts:
        return known | {"reason": f"{grade.value} is no grade of this audit"}
    if audit.adds_up is False:
        return known | {"reason": "the printed grades do not add to the number of cases"}
    column = _column(grade)
    n, base = row[column], audit.n_cases
    known |= {"n_cases": n, "base": base}
    if n is None or base is None:
        is_base = base is None
        told = "sources disagree on" if ("n_cases" if is_base else column) in row["contested"] else None
        what = "of audited cases" if is_base else f"graded {'below good' if grade is None else grade.value}"
        return known | {"reason": f"{told or 'no source read gives'} the number {what}"}
    estimate = shares.share(n, base, confidence=confidence)
    return known | {"share": estimate.value, "lower": estimate.lower, "upper": estimate.upper}


# What these tell of one grade is nothing to a claim about another.
_OF_GRADES = (
    "Sources disagree on ",
    "Not printed but follows by arithmetic: ",
    "Not stated in any source read: ",
)


def _bearing(note: str | None, grade: Grade | None) -> str | None:
    """The sentences of an audit's note that bear on the cases at a grade or on the number of cases."""
    named = "below good" if grade is None else rf"(?<!below ){grade}"
    bears = re.compile(rf"\b(?:{named}|the number of cases)\b")
    kept = [
        sentence
        for sentence in re.split(r"(?<=\.) (?=[A-Z])", note or "")
        if not sentence.startswith(_OF_GRADES) or bears.search(sentence)
    ]
    return " ".join(kept) or None


def _verdict(claim: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """The verdict on a claim of which the counts are known, or the reason that there is none."""
    words = claim["claim"]
    try:
        checked = check(words, known["n_cases"], base=known["base"])
    except ClaimError as error:
        return {"reason": str(error).removesuffix(".")}
    measured = _measured(claim["measure"])
    if measured is None or checked.reading.unit is not measured[0]:
        is_of = {Unit.SHARE: "a share", Unit.CASES: "a number of cases"}[checked.reading.unit]
        return {"reason": f'"{words}" is {is_of}, and what is noted is "{claim["measure"]}"'}
    if not is_as_noted(checked.reading, claim["claimed"]):
        return {"reason": f'"{words}" is not the number that is noted with it, {claim["claimed"]}'}
    return {"verdict": checked.verdict.value, "gap": checked.gap, "nearby": _nearby(checked)}


_HOLDS = {ClaimVerdict.MATCHES, ClaimVerdict.ROUNDS_TO}
_FEW_CASES = {1: ("one more case", "one case fewer"), 2: ("two more cases", "two cases fewer")}


def _nearby(checked: Checked) -> str | None:
    """Which verdict 1 or 2 cases more or fewer would have, if they decide whether the claim holds; else null."""
    told = []
    n, base = checked.n_cases or 0, checked.base or 0
    for side, sign in enumerate((1, -1)):
        for k, words in _FEW_CASES.items():
            if not 0 <= n + sign * k <= base:
                break
            other = check(checked.reading.phrase, n + sign * k, base=base).verdict
            # what rounds to the words holds as what matches them does
            if other is not checked.verdict and not {other, checked.verdict} <= _HOLDS:
                told.append(f'{words[side]} would have made it "{other}"')
                break
    return "; ".join(told) or None


def _otherwise(
    claim: dict[str, Any], row: dict[str, Any], checked: dict[str, Any], statements: pl.DataFrame
) -> str | None:
    """What the verdict would be by the counts that other sources state; null if none is in dispute."""
    measured = _measured(claim["measure"])
    assert measured is not None
    column = _column(measured[1])
    stated = statements.filter(
        (pl.col("inspection_id") == row["inspection_id"])
        & (pl.col("area") == row["area"])
        & (pl.col("graded_by") == row["graded_by"])
    )
    counts = [
        sorted({row[name], *(stated[name].drop_nulls() if name in row["contested"] else ())})
        for name in (column, "n_cases")
    ]
    told = []
    for n, base in itertools.product(*counts):
        if (n, base) == (checked["n_cases"], checked["base"]) or n > base:
            continue
        other = check(claim["claim"], n, base=base).verdict.value
        same = "the same" if other == checked["verdict"] else f'"{other}"'
        told.append(f"by {n} of {base} cases, as other sources have it, the verdict would be {same}")
    return "; ".join(told) or None


_MEASURES = re.compile(r"(share|number) (below good|inadequate|requires improvement|adequate|good)")


def _measured(measure: str) -> tuple[Unit, Grade | None] | None:
    """What a measure is a number of, and of which grade; the grade is null for below good."""
    found = _MEASURES.fullmatch(measure.strip().lower())
    if not found:
        return None
    unit = Unit.SHARE if found[1] == "share" else Unit.CASES
    return unit, None if found[2] == "below good" else Grade(found[2])


def _column(grade: Grade | None) -> str:
    return "n_below_good" if grade is None else f"n_{grade.column}"


# A third that is noted as 0.33 is meant; one that is noted as 0.3 could be three in ten.
_AS_NOTED = Fraction(1, 200)


def is_as_noted(reading: Reading, claimed: str, /) -> bool:
    """Whether the words say the number that was noted with them, with < or > where they say less or more.

    Args:
        reading: the words as they were read.
        claimed: the number as in the column `claimed` of the claims, for example `<0.75`.

    Raises:
        ValueError: if `claimed` is no number, with or without < or > before it.
    """
    sign, digits = (claimed[:1], claimed[1:]) if claimed[:1] in ("<", ">") else ("", claimed)
    number = Fraction(digits)
    if reading.value is None:
        return not sign and reading.says(number)
    last = Fraction(1, 10 ** len(digits.partition(".")[2]))
    near = min(last / 2, _AS_NOTED) if reading.unit is Unit.SHARE else Fraction(0)
    is_from = reading.lower is not None and reading.lower >= reading.value
    is_to = reading.upper is not None and reading.upper <= reading.value
    said = "" if is_from == is_to else ">" if is_from else "<"
    return said == sign and abs(reading.value - number) <= near
