"""Claims of the press beside what the counts say: one claim of a reader's own, or every one transcribed.

No arithmetic: verdicts and counts come from `compare.claims` and are only put into words. The
number of a claim is what is judged, never who made it.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from fractions import Fraction
from typing import Any

import dataframely as dy
import polars as pl
from markupsafe import Markup

from analysis import vocabulary
from analysis.compare import claims as checks
from analysis.compare import phrases
from analysis.compare.claims import ClaimVerdict, JudgedClaim, Nearness
from analysis.compare.graded import GradedAudit, checked_evidence
from analysis.compare.phrases import Unit
from analysis.compare.shares import CONFIDENCE
from analysis.evidence.cleaning import Evidence
from analysis.present import tables, wording
from analysis.present.sections import Section, bullets, paragraphs
from analysis.present.tables import Table

# wording.percent gives one decimal from this base on: as much as a share needs whose base is not known
_TO_ONE_DECIMAL = 100
_LONGEST_EXACT = len("99.999%")

_NAMES = {
    Fraction(0): "none",
    Fraction(1, 10): "one in ten",
    Fraction(1, 5): "a fifth",
    Fraction(1, 4): "a quarter",
    Fraction(1, 3): "a third",
    Fraction(1, 2): "half",
    Fraction(2, 3): "two thirds",
    Fraction(3, 4): "three quarters",
    Fraction(4, 5): "four fifths",
    Fraction(9, 10): "nine in ten",
    Fraction(1): "all",
}
_COUNT = {
    ClaimVerdict.MATCHES: "matches it",
    ClaimVerdict.ROUNDS_TO: "rounds to it",
}


class CheckedClaim(checks.Checked):
    """A claim held against what was counted, with the verdict in words.

    Attributes are those of `analysis.compare.claims.Checked`: `reading` (what was read: `value`,
    `lower`, `upper`, `tolerance`, `unit`), `share`, `n_cases`, `base`, `verdict`, `gap`, `estimate`.
    """

    @property
    def phrase(self) -> str:
        """The words as they were given."""
        return self.reading.phrase

    @property
    def explanation(self) -> str:
        """What the words say, what was counted, and how far the one is from the other: two sentences."""
        told, rounding = _numbers(self.reading)
        rounds = f", and {rounding} rounds to it" if rounding else ""
        count = _COUNT.get(self.verdict) or self._apart()
        return f'"{wording.capitalised(self.phrase)}" is {told}{rounds}. {self._told()} {count}.'

    @property
    def in_words(self) -> str:
        """The share in everyday words that the counts allow, for example "rather more than a third"."""
        return in_words(self.share)

    def _told(self) -> str:
        if self.n_cases is None or self.base is None:
            return f"The share, {_percent(self.share)},"
        share = wording.percent(float(self.share), base=self.base)
        return f"The count, {self.n_cases} of {self.base} ({share}),"

    def _apart(self) -> str:
        is_above = self.verdict is ClaimVerdict.UNDERSTATES
        # at an end that the words leave out nothing lies between
        if not self.gap:
            return f"is just not {'below' if is_above else 'above'} that"
        if self.reading.unit is Unit.CASES:
            return f"is {wording.cases(abs(int(self.gap)))} {'more' if is_above else 'fewer'}"
        size = wording.points(self.gap)
        if size == "0":
            return f"is less than 1 percentage point {'above' if is_above else 'below'} that"
        unit = "percentage point" if size == "1" else "percentage points"
        return f"is {size} {unit} {'more' if is_above else 'less'}"

    def _lines(self) -> tuple[str, str, str]:
        estimate = self.estimate
        also = f"In everyday words: {self.in_words}."
        if estimate is not None:
            ends = (
                wording.percent(end, base=self.base or 1)
                for end in (estimate.lower, estimate.upper)
                if end is not None
            )
            also += f" The range of the share is {' to '.join(ends)}, and takes no part in the verdict."
        return f'"{self.phrase}": {self.verdict}', self.explanation, also

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        first, *rest = self._lines()
        told = Markup("").join(Markup("<p>{}</p>").format(one) for one in rest)
        return str(Markup('<div class="box"><p class="headline">{}</p>{}</div>').format(first, told))


def check_claim(phrase: str, counted: float, /, *, base: int | None = None) -> CheckedClaim:
    """Hold a claim against what was counted, and say in words how they compare.

    The rule is that of `analysis.compare.claims`; `analysis.claims.rule()` shows it.

    Args:
        phrase: the words for the number alone, for example "a third", "almost three quarters",
            "more than half", "one in five", "42 per cent" or "almost 15 cases".
        counted: the share as a fraction of 1 (0.38 is 38%); or, with `base`, the number of cases.
        base: audited cases. Give it if you know it, as the share is then exact.

    Returns:
        The verdict with its explanation; shown in full in a notebook.

    Raises:
        ClaimError: if the words cannot be read with certainty, or `counted` is neither a share nor a
            number of cases. The message says what can be read.

    Example:
        >>> import analysis
        >>> print(analysis.check_claim("a third", 28, base=74).verdict)
        understates
        >>> print(analysis.check_claim("almost half", 0.49).explanation)
        "Almost half" is 45% or more and less than 50%. The share, 49%, matches it.
    """
    checked = checks.check(phrase, counted, base=base)
    return CheckedClaim(**{one.name: getattr(checked, one.name) for one in fields(checked)})


def in_words(share: Fraction, /) -> str:
    """A share in everyday words: "almost half", "rather more than a third", "none".

    Raises:
        ValueError: if it is no share.
    """
    nearness, nearest = checks.everyday(share)
    if nearness is Nearness.EXACTLY and nearest in (0, 1):
        return _NAMES[nearest]
    return f"{nearness} {_NAMES[nearest]}"


def said(reading: phrases.Reading, /) -> str:
    """What words say, as numbers: "33.3% (30.8% to 35.8% rounds to it)", "more than 50%"."""
    told, rounding = _numbers(reading)
    return f"{told} ({rounding} rounds to it)" if rounding else told


def _numbers(reading: phrases.Reading) -> tuple[str, str]:
    """The numbers that words say, and those that round to them; the latter empty if nothing else does."""
    shown = _percent if reading.unit is Unit.SHARE else _count
    unit = "" if reading.unit is Unit.SHARE else " case" if reading.upper == 1 else " cases"
    less = "less" if reading.unit is Unit.SHARE else "fewer"
    if reading.lower is not None and reading.lower == reading.upper:
        told = f"{shown(reading.lower)}{unit}"
    elif (
        reading.lower is not None
        and reading.upper is not None
        and reading.includes_lower
        and reading.includes_upper
    ):
        told = f"{shown(reading.lower)} to {shown(reading.upper)}{unit}"
    else:
        told = " and ".join(_ends(reading, shown, less)) + unit
    ends = [shown(end) for end in reading.rounding if end is not None] if reading.tolerance else []
    return told, f"{' to '.join(ends)}{unit}" if ends else ""


def _ends(reading: phrases.Reading, shown: Callable[[Fraction], str], less: str) -> Iterator[str]:
    if reading.lower is not None:
        end = shown(reading.lower)
        yield f"{end} or more" if reading.includes_lower else f"more than {end}"
    if reading.upper is not None:
        end = shown(reading.upper)
        yield f"{end} or {less}" if reading.includes_upper else f"{less} than {end}"


def _percent(share: Fraction) -> str:
    # 42.5% and 0.75% as they are, a third to one decimal
    exact = wording.level(float(share))
    return exact if len(exact) <= _LONGEST_EXACT else wording.percent(float(share), base=_TO_ONE_DECIMAL)


def _count(number: Fraction) -> str:
    return str(int(number))


def _points(change: Fraction) -> str:
    return wording.level(float(change)).removesuffix("%")


def judged(evidence: Evidence, /) -> dy.DataFrame[JudgedClaim]:
    """Every claim transcribed with its counts and verdict: one row per claim, in file order.

    Raises:
        GivenError: if `evidence` is not all cleaned tables.
    """
    checked_evidence(evidence)
    return checks.judged(evidence.claims, evidence.audits, evidence.statements)


def rule() -> Section:
    """How a claim is judged, in short, for readers."""
    nearby, little = (_points(part) for part in (phrases.NEARBY, phrases.A_LITTLE))
    return bullets(
        [
            "Matches: the exact count or share is what the words say.",
            "Rounds to: it is not exactly that, but as near as rounding allows. A percentage is good to half of its "
            "last digit: 42 per cent is 41.5% to 42.5%.",
            f"A fraction, such as a third or one in five, is good to {nearby} percentage points on both sides, half "
            "the way from a fifth to a quarter. It goes no further than a quarter of the way to none or all.",
            f"Almost says a little less, just over a little more. A little is up to {little} percentage points for a "
            f"fraction. It is {nearby} points for a percentage that is a multiple of {phrases.ROUND_PERCENT}, and one "
            f"unit of the last digit for any other. For a number of cases it is a tenth, at least 1 case.",
            "About allows a percentage or a number of cases a little on both sides. It allows a fraction no more, "
            "which is rough as it is.",
            "Bounds, such as more than, at least, under and up to, hold or do not hold, however far the count lies "
            "beyond them. Numbers of cases and ranges are not rounded.",
            "Only, just and a mere say nothing of the number.",
            "Overstates: the words say more than was counted. Understates: they say less.",
            "Cannot be checked: no source read gives the counts, or the words cannot be read with certainty.",
            "A claim is about the cases that were audited, and those were counted. So the ranges of the shares play "
            "no part in a verdict.",
        ]
    )


def summary(evidence: Evidence, /) -> Section:
    """How many claims there are, and how many of them got each verdict."""
    verdicts = judged(evidence)["verdict"].to_list()
    if not verdicts:
        return paragraphs([_NO_CLAIM])
    counts = [(verdicts.count(verdict), does) for verdict, does in _DOES.items()]
    *first, last = (
        f"{n} {one if n == 1 else several}" if n else nothing for n, (nothing, one, several) in counts
    )
    claims = "1 claim" if len(verdicts) == 1 else f"{len(verdicts)} claims"
    return paragraphs([f"Of {claims}, {', '.join(first)}, and {last}."])


_NO_CLAIM = "No claim has been transcribed."
_DOES = {
    ClaimVerdict.MATCHES: (
        "none matches what was counted",
        "matches what was counted",
        "match what was counted",
    ),
    ClaimVerdict.ROUNDS_TO: ("none rounds to it", "rounds to it", "round to it"),
    ClaimVerdict.OVERSTATES: ("none overstates it", "overstates it", "overstate it"),
    ClaimVerdict.UNDERSTATES: ("none understates it", "understates it", "understate it"),
    ClaimVerdict.CANNOT: ("all can be checked", "cannot be checked", "cannot be checked"),
}


def table(evidence: Evidence, /) -> Table | Section:
    """Every claim with who said it, the exact count and share, and the verdict; one row per claim, in file order."""
    found = judged(evidence)
    if found.is_empty():
        return paragraphs([_NO_CLAIM])
    links: dict[str, Markup] = {}
    rows = []
    for row in found.iter_rows(named=True):
        page = f"{row['publisher']}: {row['url']}"
        links[page] = Markup('<a href="{}">{}</a>').format(row["url"], row["publisher"])
        rows.append(
            {
                "audit": _audit_named(evidence, row),
                "claim": _claimed(row),
                "verdict": ". ".join((wording.capitalised(row["verdict"]), *_near(row))),
                "page": page,
                "n_cases": wording.count(row["n_cases"]),
                "base": wording.count(row["base"]),
                "share": _share(row, "share"),
                "lower": _share(row, "lower"),
                "upper": _share(row, "upper"),
            }
        )
    made = tables.from_rows(
        rows,
        name="table-claims",
        caption=f"Claims, and what was counted (ranges at {wording.level(CONFIDENCE)})",
        columns={
            "audit": "Audit",
            "claim": "Claim",
            "verdict": "Verdict",
            "page": "Said by",
            "n_cases": "Cases",
            "base": "Of",
            "share": "Share",
            "lower": "Range from",
            "upper": "Range to",
        },
    )
    quoted = {
        row["claim"]: Markup('<div data-numbers="sources">{}</div>').format(row["claim"]) for row in rows
    }
    return made.fmt(lambda page: str(links[page]), columns="page").fmt(
        lambda claim: str(quoted[claim]), columns="claim"
    )


def sentences(evidence: Evidence, /) -> Section:
    """For each claim: the verdict, why, and the sentence that the counts allow, in file order."""
    plain: list[str] = []
    html = Markup("")
    for row in judged(evidence).iter_rows(named=True):
        named = _audit_named(evidence, row)
        verdict = wording.capitalised(row["verdict"])
        why = " ".join((_why(row), *_near(row)))
        notes = list(_notes(row))
        label = "What can be said" if row["share"] is None else "What the counts say"
        plain += [f"{named}: {_claimed(row)}", f"Said by {row['publisher']}.", f"- {verdict}. {why}"]
        plain += [f"- {note}" for note in notes] + [f"- {label}: {sentence(row)}"]
        items = Markup("<li><strong>{}.</strong> {}</li>").format(verdict, why)
        items += Markup("").join(Markup('<li data-numbers="sources">{}</li>').format(note) for note in notes)
        items += Markup("<li>{}: <strong>{}</strong></li>").format(label, sentence(row))
        html += Markup(
            '<h3 data-numbers="sources">{}: {}</h3><p>Said by <a href="{}">{}</a>.</p><ul>{}</ul>'
        ).format(named, _claimed(row), row["url"], row["publisher"], items)
    return Section("\n".join(plain), html) if plain else paragraphs([_NO_CLAIM])


def sentence(row: dict[str, Any], /) -> str:
    """The sentence that would have been right, by rule from the exact counts: of whom, when, how many of how many.

    Args:
        row: a row of `judged`. Without a share, the sentence says what is not known.
    """
    if row["base"] is None:
        return "No source read gives the counts, so there is no sentence to put in its place."
    grade = row["measure"].partition(" ")[2]
    of_area = "" if row["area"] == vocabulary.OVERALL else f" of {row['area']}"
    cases = "case" if row["base"] == 1 else "cases"
    chosen = f"{_where(row)}, inspectors chose {row['base']} {cases}{of_area} to look at"
    if row["share"] is None:
        if row["is_primary"]:
            return (
                f'{chosen}. The inspectorate itself says that "{row["claim"]}" of them were graded {grade}; no '
                "page read gives the count."
            )
        return f"{chosen}; no source read says how many of them they graded {grade}."
    n = row["n_cases"]
    share = wording.percent(row["share"], base=row["base"])
    told = in_words(Fraction(n, row["base"]))
    if row["base"] == 1:
        return f"{chosen} and {'graded it' if n else 'did not grade it'} {grade} ({share})."
    if told in ("none", "all"):
        return f"{chosen} and graded {told} of them ({share}) {grade}."
    return f"{chosen} and graded {n} of them ({share}) {grade}: {told}."


def _where(row: dict[str, Any]) -> str:
    """Of whom and when an audit was: "At Warwickshire Police in February 2022"."""
    if row["force"]:
        place = f"At {wording.force_name(row['force'])}"
    else:
        place = f"In {vocabulary.NAME_OF_GROUP[row['group']]}" if row["group"] else "In this audit"
    if row["fieldwork"]:
        return f"{place} in {wording.month(row['fieldwork'])}"
    return f"{place}, as published in {wording.month(row['published'])}" if row["published"] else place


def limits() -> Section:
    """What a verdict on a claim does not say."""
    return bullets(
        [
            wording.LIMITS,
            "A claim that matches is right about the cases that were audited. It may still be wrong of all cases.",
            "What is judged is the number, in the few words noted here. The page may say more around them.",
            "Overstates does not mean that a force is made to look worse than it is. That depends on the grade: more "
            "cases graded good look better, more cases graded inadequate look worse.",
            "Where sources disagree on a count, the verdict rests on the count that outweighs the others. The verdict "
            "by the others is told too.",
            "Near the border between two verdicts, one case decides. Where 1 or 2 cases would, that is said. The "
            "sentence with the exact count has no border.",
            wording.interval_sentence(CONFIDENCE),
        ]
    )


def _near(row: dict[str, Any]) -> Iterator[str]:
    """What 1 or 2 cases would change, if they would: one sentence."""
    if row["nearby"]:
        yield f"{wording.capitalised(row['nearby'])}."


def _why(row: dict[str, Any]) -> str:
    if row["reason"] is not None:
        return f"{wording.capitalised(row['reason'])}."
    return check_claim(row["claim"], row["n_cases"], base=row["base"]).explanation


def _notes(row: dict[str, Any]) -> Iterator[str]:
    # without a verdict the reason has said what is not known
    if row["reason"] is None and row["note"]:
        yield row["note"]
    if row["otherwise"]:
        yield f"{wording.capitalised(row['otherwise'])}."


def _claimed(row: dict[str, Any]) -> str:
    return f'"{row["claim"]}" graded {row["measure"].partition(" ")[2]}'


def _share(row: dict[str, Any], key: str) -> str:
    return wording.NOT_KNOWN if row[key] is None else wording.percent(row[key], base=row["base"])


def _audit_named(evidence: Evidence, row: dict[str, Any]) -> str:
    """Whose audit a claim is about, which, and of what area."""
    named = [wording.force_name(row["force"])] if row["force"] else []
    if row["group"]:
        named.append(wording.capitalised(vocabulary.NAME_OF_GROUP[row["group"]]))
    audits = evidence.audits.filter(pl.col("inspection_id") == row["inspection_id"])
    if audits.is_empty():
        named.append(row["inspection_id"])
    else:
        named.append(wording.audit_name(GradedAudit.from_row(audits.row(0, named=True))))
    if row["area"] != vocabulary.OVERALL:
        named.append(row["area"])
    return ", ".join(named)
