"""What two audits could show, before anybody grades a case: changes, case numbers and chances.

Three quantities hang together: the cases of the follow-up, the size of a change, and the chance
that it shows. Whichever is left out is worked out. A plan is about the test of one share, about
all grades together, or about the verdict, whose rule is simulated as it stands.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from numbers import Real
from typing import Any, TypeGuard

import dataframely as dy
import numpy as np
import polars as pl

from analysis import vocabulary
from analysis.compare import change as rule
from analysis.compare import detect, shares
from analysis.compare.change import FEWEST_CASES, POWER, Evidence
from analysis.compare.graded import GradedAudit
from analysis.compare.shares import CONFIDENCE
from analysis.vocabulary import Grade

# more cases than any force is going to have graded
MOST_CASES = 10_000
SEED = 1998
DRAWS = 2_000


class PlanningError(Exception):
    """What was asked cannot be planned. The message says why and what to ask for."""


class Question(StrEnum):
    """What a plan answers."""

    SMALLEST_CHANGE = "smallest change"
    CASES_NEEDED = "cases needed"
    CHANCE = "chance"


class Of(StrEnum):
    """What is to show the change."""

    SHARE = "share"
    GRADES = "grades"
    VERDICT = "verdict"


class Design(StrEnum):
    """Which audits a row of a plan is about."""

    GIVEN = "as given"
    FOLLOW_UP = "follow-up beside the earlier audit"
    EQUAL = "two audits of equal size"


class Others(StrEnum):
    """Where the cases come from, or go to, by which the share of a grade changes."""

    ALIKE = "all other grades alike"
    BETWEEN = "the grades between alone"


class Planned(dy.Schema):
    """Grain: one row per answer. Shares and changes are fractions; ordered as they are told."""

    of = dy.String(nullable=False, metadata={"description": "`share`, `grades` or `verdict`"})
    grade = dy.String(nullable=True, metadata={"description": "Grade whose share it is; null if not named"})
    design = dy.String(nullable=False, metadata={"description": "Which audits the row is about"})
    others = dy.String(nullable=True, metadata={"description": "Where the changing cases come from or go to"})
    start = dy.Float64(nullable=True, metadata={"description": "Share before; null for all grades together"})
    change = dy.Float64(
        nullable=True, metadata={"description": "Share after less share before; null if none shows"}
    )
    odds_ratio = dy.Float64(
        nullable=True, metadata={"description": "Of a better grade, for all grades together"}
    )
    size = dy.Float64(
        nullable=True,
        metadata={"description": "The change without its sign, or the odds ratio as one above 1"},
    )
    n_before = dy.Int64(
        nullable=True, metadata={"description": "Cases of the earlier audit", "unit": "cases"}
    )
    n_after = dy.Int64(nullable=True, metadata={"description": "Cases of the later audit", "unit": "cases"})
    power = dy.Float64(
        nullable=True, metadata={"description": "Chance that the change shows; null if not known"}
    )
    lower = dy.Float64(nullable=True, metadata={"description": "Lower end of the simulation's error, 95%"})
    upper = dy.Float64(nullable=True, metadata={"description": "Upper end of the simulation's error, 95%"})
    listed = dy.Float64(
        nullable=True, metadata={"description": "The chance with every outcome listed, where that was done"}
    )
    note = dy.String(nullable=True, metadata={"description": "Why a value is missing"})


@dataclass(frozen=True)
class Plan:
    """An answer that knows what was asked.

    Attributes:
        question: what was left out, and so worked out.
        of: what is to show the change.
        shares: share of each grade before, worst to best; empty if only one share was given.
        before: cases of the earlier audit; null if they were not given.
        after: cases of the later audit; null if they were not given.
        chance: the chance aimed at; what `smallest change` and `cases needed` rest on.
        confidence: level of the test, as of the intervals.
        design_effect: by how much the cases count for less than independent ones.
        draws: pairs simulated for each row of the verdict.
        figures: one row per answer (schema `Planned`).
    """

    question: Question
    of: Of
    shares: tuple[float, ...]
    before: int | None
    after: int | None
    chance: float
    confidence: float
    design_effect: float
    draws: int
    figures: dy.DataFrame[Planned] = field(repr=False, compare=False)

    @property
    def effective_before(self) -> float | None:
        """How many independent cases the earlier audit counts for."""
        return None if self.before is None else self.before / self.design_effect

    @property
    def effective_after(self) -> float | None:
        """How many independent cases the later audit counts for."""
        return None if self.after is None else self.after / self.design_effect


Start = rule.Comparison | GradedAudit | float | Sequence[int] | pl.Series | np.ndarray[Any, Any]


def plan(
    start: Start,
    /,
    *,
    grade: str | None = None,
    before: int | None = None,
    after: int | None = None,
    change: float | None = None,
    odds_ratio: float | None = None,
    of: str = Of.SHARE,
    chance: float = POWER,
    confidence: float = CONFIDENCE,
    design_effect: float = 1.0,
    draws: int = DRAWS,
) -> Plan:
    """Work out which change shows, how many cases it needs, or how often it shows.

    Args:
        start: where the shares start from. A comparison gives the shares and cases of its earlier audit and
            the cases of its later one; an audit gives its shares and cases; counts by grade, worst to best,
            give the same, as a sequence, an array or a series; a fraction is the share of a grade that is
            not named.
        grade: whose share is to change. By default the share good, and for the smallest change of two
            audits also the share inadequate.
        before: cases of the earlier audit, if not those of `start`.
        after: cases of the later audit, if not those of `start`. Left out with a change: the cases needed.
        change: of the share, as a signed fraction: 0.1 is a rise of 10 percentage points. Left out: the
            smallest one that shows.
        odds_ratio: in place of `change`, a shift of all grades: 2 doubles the odds of a better grade.
        of: `share` for a test of one share, `grades` for a rank test of all grades, `verdict` for the rule
            that calls the evidence clear.
        chance: how often the change is to show, at least 0.5 and below 1.
        confidence: level of the test: the intervals of a comparison have the same.
        design_effect: at least 1. Cases of the same officers or families are alike; 1.5 lets 30 cases count
            for 20.
        draws: pairs simulated for each row of the verdict, from a fixed seed.

    Returns:
        The plan. Cases needed are at least 20, the fewest that are ever compared. Figures are null where
        nothing can do it, with the reason.

    Raises:
        VocabularyError: if `grade` is no grade; the message names near matches.
        PlanningError: if too much or too little is given, a number is none, or the change is impossible.
        ValueError: if `confidence` is below 0.5 or not below 1.
    """
    rule.check_confidence(confidence)
    by_grade, n_before, n_after, single = _start(start)
    n_before = n_before if before is None else _whole("before", before)
    n_after = n_after if after is None else _whole("after", after)
    _check_levels(chance, design_effect, draws)
    change = _fraction(change)
    kind, odds_ratio = _of(of, odds_ratio)
    if kind is not Of.SHARE and not by_grade:
        raise PlanningError(
            f"Of {kind}, a plan needs the cases at every grade: give a comparison, an audit or its counts."
        )
    if change is not None and odds_ratio is not None:
        raise PlanningError("Give the change of a share or an odds ratio, not both.")
    question = _question(change if odds_ratio is None else odds_ratio, n_before, n_after)
    made = Plan(
        question,
        kind,
        tuple(by_grade.values()),
        n_before,
        n_after,
        float(chance),
        confidence,
        float(design_effect),
        int(draws),
        _table([]),
    )
    if odds_ratio is not None or (kind is Of.GRADES and change is None):
        rows = _grades_rows(made, odds_ratio, by_grade)
    else:
        rows = _share_rows(made, _grade(grade, by_grade), change, by_grade, single)
    return replace(made, figures=_table(rows))


def curve(made: Plan, /) -> pl.DataFrame:
    """The answers beside the plan's own, for a chart.

    Returns:
        One row per line and point. `grade` and `is_rise` name the line, `x` is the cases of the later audit,
        or for a chance the size of the change as a fraction or an odds ratio; `y` is the size of the smallest
        change that shows, or the chance; `is_told` marks a few points of each line, evenly spread, for words
        and tables. Empty for a verdict, each point of which takes seconds.
    """
    points: list[dict[str, Any]] = []
    for row in made.figures.iter_rows(named=True):
        if _is_drawn(made, row) and (row["change"] is not None or made.of is Of.GRADES):
            points += _line(made, row)
    spread = (pl.int_range(pl.len()) * _TOLD // pl.len()).over("grade", "is_rise")
    is_last = (spread != spread.shift(-1, fill_value=-1)).over("grade", "is_rise")
    return pl.DataFrame(points, schema=_POINT, orient="row").with_columns(is_told=is_last)


def answers(made: Plan, /) -> pl.DataFrame:
    """The plan's own answers as points of the chart whose lines `curve` gives; same columns.

    An answer that nothing gives is left out, and so are the answers of a verdict.
    """
    points: list[dict[str, Any]] = []
    for row in made.figures.iter_rows(named=True):
        size, changed = row["size"], row["change"]
        x, y = (size, row["power"]) if made.question is Question.CHANCE else (row["n_after"], size)
        if x is None or y is None or not _is_drawn(made, row):
            continue
        is_rise = changed is None or changed > 0
        points.append({"grade": row["grade"], "is_rise": is_rise, "x": float(x), "y": float(y)})
    return pl.DataFrame(points, schema=_POINT, orient="row")


_POINT = {"grade": pl.String, "is_rise": pl.Boolean, "x": pl.Float64, "y": pl.Float64}
_TOLD = 6


def _is_drawn(made: Plan, row: dict[str, Any]) -> bool:
    # two audits of equal size lie on another line than a follow-up beside the earlier audit
    return made.of is not Of.VERDICT and (made.before is None or row["design"] != Design.EQUAL)


def _line(made: Plan, row: dict[str, Any]) -> list[dict[str, Any]]:
    start, asked, odds_ratio = row["start"], row["change"], row["odds_ratio"]
    is_rise = asked is None or asked > 0
    named = {"grade": row["grade"], "is_rise": is_rise}
    alpha = 1 - made.confidence
    toward = -1 if odds_ratio is not None and odds_ratio < 1 else 1

    def smallest(cases: int) -> float | None:
        later = cases / made.design_effect
        both = (made.effective_before or later, later)
        if made.of is Of.GRADES:
            nearest = detect.smallest_odds_ratio(
                made.shares, *both, sign=toward, power=made.chance, alpha=alpha
            )
            return None if nearest is None else max(nearest, 1 / nearest)
        sign = 1 if is_rise else -1
        found = detect.smallest_change(start, *both, sign=sign, power=made.chance, alpha=alpha)
        return None if found is None else abs(found)

    def how_often(size: float) -> float:
        both = (made.effective_before or 0.0, made.effective_after or 0.0)
        if made.of is Of.GRADES:
            return detect.grades_power(made.shares, size**toward, *both, alpha=alpha)
        return detect.share_power(start, size if is_rise else -size, *both, alpha=alpha)

    if made.question is not Question.CHANCE:
        # in steps of 5 cases, or of as many fives as leave 40 points or fewer
        last = min(max(200, 2 * (row["n_after"] or 0)), MOST_CASES)
        step = 5 * math.ceil(last / 200)
        found = [(cases, smallest(cases)) for cases in range(FEWEST_CASES, last + 1, step)]
        return [{**named, "x": float(cases), "y": size} for cases, size in found if size is not None]
    if made.of is Of.GRADES:
        sizes = np.linspace(1, max(4.0, 1.5 * row["size"]), 31)[1:]
    else:
        furthest = min(1 - start if is_rise else start, max(0.4, 1.5 * abs(asked)))
        sizes = np.linspace(0, furthest, 41)[1:]
    return [{**named, "x": float(size), "y": how_often(float(size))} for size in sizes]


def _start(
    start: Start,
) -> tuple[dict[Grade, float], int | None, int | None, float | None]:
    """Shares by grade, cases before and after, and the one share given where there are no grades."""
    if isinstance(start, rule.Comparison):
        by_grade, n_before, _, _ = _start(start.baseline)
        return by_grade, n_before, start.follow_up.n_cases, None
    if isinstance(start, GradedAudit):
        if not start.n_cases or start.adds_up is False:
            raise PlanningError(
                f"{start.inspection_id} has no case grades to start from: choose another audit."
            )
        known = {grade: n / start.n_cases for grade, n in start.counts.items() if n is not None}
        if not known:
            raise PlanningError(
                f"{start.inspection_id} has no case grades to start from: choose another audit."
            )
        return known, start.n_cases, None, None
    given: object = start
    if isinstance(start, pl.Series):
        given = start.to_list()
    elif isinstance(start, np.ndarray):
        given = start.tolist()
    if isinstance(given, Sequence) and not isinstance(given, str):
        scale = {3: vocabulary.THREE_GRADES, 4: vocabulary.FOUR_GRADES}.get(len(given))
        counts = [int(n) for n in given if _is_number(n) and n >= 0 and n == int(n)]
        cases = sum(counts)
        if scale is None or not cases or len(counts) < len(given):
            raise PlanningError(
                "Counts to start from are whole numbers of cases, 3 or 4 of them, worst grade first: "
                "for example [28, 23, 23]."
            )
        return (
            {grade: n / cases for grade, n in zip(scale.grades, counts, strict=True)},
            cases,
            None,
            None,
        )
    if _is_number(given):
        if not 0 <= given <= 1:
            raise PlanningError(
                f"A share to start from lies between 0 and 1, but is {given}: write 0.31 for 31%."
            )
        return {}, None, None, float(given)
    raise PlanningError("Start from a comparison, an audit, counts by grade or a share, for example 0.31.")


def _is_number(given: object) -> TypeGuard[float]:
    """Whether it is a number: any kind of one, of Python or numpy, but nan or infinite."""
    return isinstance(given, Real) and not isinstance(given, bool) and math.isfinite(float(given))


def _whole(name: str, cases: object) -> int:
    if not _is_number(cases) or cases != int(cases) or not 2 <= cases <= MOST_CASES:
        raise PlanningError(
            f"`{name}` is a whole number of cases from 2 to {MOST_CASES:,}, but is {cases!r}."
        )
    return int(cases)


def _check_levels(chance: object, design_effect: object, draws: object) -> None:
    if not _is_number(chance) or not 0.5 <= chance < 1:
        raise PlanningError(
            f"`chance` is {chance!r}, but must be at least 0.5 and below 1, for example {POWER}."
        )
    if not _is_number(design_effect) or not 1 <= design_effect <= 100:
        raise PlanningError(
            f"`design_effect` is {design_effect!r}, but must be at least 1 and at most 100, for example 1.5."
        )
    if not _is_number(draws) or draws != int(draws) or not 100 <= draws <= 1_000_000:
        raise PlanningError(f"`draws` is {draws!r}, but must be a whole number from 100 to 1,000,000.")


def _of(of: str, odds_ratio: object) -> tuple[Of, float | None]:
    if of not in list(Of):
        raise PlanningError(f'A plan is not of "{of}": {vocabulary.near_words(of, list(Of))}')
    if odds_ratio is None:
        return Of(of), None
    if not _is_number(odds_ratio) or not 0 < odds_ratio <= 100 or odds_ratio == 1:
        raise PlanningError(f"`odds_ratio` is {odds_ratio!r}, but lies above 0, is not 1 and at most 100.")
    # an odds ratio is a change of all grades
    return Of.GRADES if of == Of.SHARE else Of(of), float(odds_ratio)


def _question(asked: float | None, before: int | None, after: int | None) -> Question:
    if asked is None and after is None:
        raise PlanningError("Give `after`, the cases of the later audit, or `change`, or both.")
    if before is None and after is not None:
        raise PlanningError("Give `before`, the cases of the earlier audit.")
    if asked is None:
        return Question.SMALLEST_CHANGE
    return Question.CASES_NEEDED if after is None else Question.CHANCE


def _grade(grade: str | None, by_grade: dict[Grade, float]) -> Grade | None:
    if grade is None:
        return None
    if not by_grade:
        raise PlanningError("A share to start from has no grades: leave `grade` out, or start from counts.")
    named = vocabulary.grade(grade, among=Grade)
    if named not in by_grade:
        raise PlanningError(f"The share graded {named} is not known: use one of: {', '.join(by_grade)}")
    return named


def _share_rows(
    made: Plan, grade: Grade | None, change: float | None, by_grade: dict[Grade, float], single: float | None
) -> list[dict[str, Any]]:
    if made.of is Of.GRADES:
        raise PlanningError(
            "All grades together change by an odds ratio: give `odds_ratio` in place of `change`."
        )
    if change is None:
        if made.of is Of.VERDICT:
            raise PlanningError(_VERDICT_ASKS)
        return [
            _smallest_row(made, named, start, sign)
            for named, start, sign in _looked_for(grade, by_grade, single)
        ]
    named = grade if grade or not by_grade else Grade.GOOD
    if named is not None and named not in by_grade:
        raise PlanningError(f"The share graded {named} is not known: choose another `grade`.")
    start = by_grade[named] if named is not None else single or 0.0
    _check_room(change, start)
    if made.question is Question.CASES_NEEDED:
        if made.of is Of.VERDICT:
            raise PlanningError(_VERDICT_ASKS)
        return _needed_rows(
            made,
            {"grade": named, "start": start, "change": change},
            lambda n, m: detect.share_power(start, change, n, m, alpha=1 - made.confidence),
            listed=(start, change),
        )
    if made.before is None or made.after is None:
        raise PlanningError("Give `before` and `after`, the cases of both audits.")
    test = _chance_row(made, named, start, change)
    if made.of is Of.SHARE:
        return [test]
    if named is None:
        raise PlanningError(_VERDICT_ASKS)
    return [test, *_verdict_rows(made, named, change, by_grade)]


_VERDICT_ASKS = (
    "Of the verdict, a plan says how often a change makes the evidence clear: give `change` and the cases of both "
    "audits."
)


def _looked_for(
    grade: Grade | None, by_grade: dict[Grade, float], single: float | None
) -> list[tuple[Grade | None, float, int]]:
    """Which changes are looked for when none is named: each grade, its share, and the sign."""
    if single is not None:
        return [(None, single, 1), (None, single, -1)]
    if grade is not None:
        return [(grade, by_grade[grade], 1), (grade, by_grade[grade], -1)]
    return [
        (better, by_grade[better], sign)
        for better, sign in ((Grade.GOOD, 1), (Grade.INADEQUATE, -1))
        if better in by_grade
    ]


def _fraction(change: object) -> float | None:
    if change is None:
        return None
    if not _is_number(change) or not -1 <= change <= 1:
        raise PlanningError(
            f"`change` is a fraction, but is {change!r}: write 0.1 for a rise of 10 percentage points."
        )
    if change == 0:
        raise PlanningError("`change` is 0, which nothing can show: give a rise or, below 0, a fall.")
    return float(change)


def _check_room(change: float, start: float) -> None:
    room = 1 - start if change > 0 else start
    if abs(change) > room + 1e-12:
        verb, end = ("rise", "100%") if change > 0 else ("fall", "0%")
        raise PlanningError(
            f"A share of {start:.1%} cannot {verb} by {abs(change):.1%}, which would lead beyond {end}: "
            f"the most is {room:.1%}."
        )


def _smallest_row(made: Plan, grade: Grade | None, start: float, sign: int) -> dict[str, Any]:
    before, after = made.effective_before or 0.0, made.effective_after or 0.0
    found = detect.smallest_change(
        start, before, after, sign=sign, power=made.chance, alpha=1 - made.confidence
    )
    verb = "rise" if sign > 0 else "fall"
    row = _row(made, grade=grade, start=start, change=found)
    if found is None:
        return row | {"note": f"no {verb} from {start:.0%} would show {made.chance:.0%} of the time"}
    return row | {"power": made.chance, "listed": _listed(made, start, found, made.before, made.after)}


def _chance_row(made: Plan, grade: Grade | None, start: float, change: float) -> dict[str, Any]:
    before, after = made.effective_before or 0.0, made.effective_after or 0.0
    power = detect.share_power(start, change, before, after, alpha=1 - made.confidence)
    listed = _listed(made, start, change, made.before, made.after)
    return _row(made, of=Of.SHARE, grade=grade, start=start, change=change, power=power, listed=listed)


def _listed(made: Plan, start: float, change: float, before: int | None, after: int | None) -> float | None:
    # cases that count for less than whole ones cannot be listed
    if before is None or after is None or made.design_effect != 1:
        return None
    return detect.listed_share_power(start, change, before, after, alpha=1 - made.confidence)


def _needed_rows(
    made: Plan,
    shared: dict[str, Any],
    power: Callable[[float, float], float],
    *,
    listed: tuple[float, float] | None = None,
) -> list[dict[str, Any]]:
    effect = made.design_effect
    rows = []
    if made.before is not None:
        n = made.before
        found = _fewest(lambda m: power(n / effect, m / effect), made.chance)
        row = _row(made, design=Design.FOLLOW_UP, n_after=found, **shared)
        if found is None:
            row["note"] = (
                f"no follow-up of up to {MOST_CASES:,} cases is enough: the {n} cases of the earlier audit "
                "leave too much open"
            )
        else:
            row["power"] = power(n / effect, found / effect)
            row["listed"] = _listed(made, *listed, n, found) if listed else None
        rows.append(row)
    found = _fewest(lambda m: power(m / effect, m / effect), made.chance)
    row = _row(made, design=Design.EQUAL, n_before=found, n_after=found, **shared)
    if found is None:
        row["note"] = f"not even two audits of {MOST_CASES:,} cases each are enough"
    else:
        row["power"] = power(found / effect, found / effect)
        row["listed"] = _listed(made, *listed, found, found) if listed else None
    return [*rows, row]


def _fewest(power: Callable[[int], float], chance: float) -> int | None:
    """The fewest cases, from those that are ever compared, whose power reaches the chance."""
    # not halved: beside a small earlier audit the power of the pooled test may fall as cases are added
    low = FEWEST_CASES
    if power(low) >= chance:
        return low
    for step in (500, 20, 1):
        reached = next(
            (m for m in range(low + step, MOST_CASES + step, step) if power(min(m, MOST_CASES)) >= chance),
            None,
        )
        if reached is None:
            return None
        low = min(reached, MOST_CASES) - step
    return low + 1


def _grades_rows(made: Plan, odds_ratio: float | None, by_grade: dict[Grade, float]) -> list[dict[str, Any]]:
    if len(by_grade) < 3 or abs(sum(by_grade.values()) - 1) > 1e-9:
        raise PlanningError("For all grades together every grade must be known: start from other counts.")
    alpha = 1 - made.confidence
    before, after = made.effective_before, made.effective_after
    if odds_ratio is None:
        if made.of is Of.VERDICT:
            raise PlanningError(_VERDICT_ASKS)
        found = detect.smallest_odds_ratio(
            made.shares, before or 0, after or 0, sign=1, power=made.chance, alpha=alpha
        )
        row = _row(made, odds_ratio=found)
        told = f"no odds ratio up to 100 would show {made.chance:.0%} of the time"
        return [row | ({"note": told} if found is None else {"power": made.chance})]
    if made.question is Question.CASES_NEEDED:
        if made.of is Of.VERDICT:
            raise PlanningError(_VERDICT_ASKS)
        return _needed_rows(
            made,
            {"odds_ratio": odds_ratio},
            lambda n, m: detect.grades_power(made.shares, odds_ratio, n, m, alpha=alpha),
        )
    power = detect.grades_power(made.shares, odds_ratio, before or 0, after or 0, alpha=alpha)
    test = _row(made, of=Of.GRADES, odds_ratio=odds_ratio, power=power)
    if made.of is Of.GRADES:
        return [test]
    end = detect.shifted(made.shares, odds_ratio)
    return [test, _simulated(made, end, tuple(by_grade), odds_ratio=odds_ratio)]


def _verdict_rows(
    made: Plan, grade: Grade, change: float, by_grade: dict[Grade, float]
) -> list[dict[str, Any]]:
    if len(by_grade) < 3 or abs(sum(by_grade.values()) - 1) > 1e-9:
        raise PlanningError("Of the verdict, every grade must be known: start from other counts.")
    grades = tuple(by_grade)
    rows = []
    for others, taking in ((Others.ALIKE, set(grades) - {grade}), (Others.BETWEEN, set(grades[1:-1]))):
        if grade in taking:
            continue
        shared = {"grade": grade, "start": by_grade[grade], "change": change, "others": others}
        room = sum(by_grade[other] for other in taking)
        if room <= 0 or change > room + 1e-12:
            row = _row(made, **shared)
            rows.append(row | {"note": f"{others} make up {room:.0%} only, less than the change"})
            continue
        end = tuple(
            by_grade[one]
            + (change if one == grade else -change * by_grade[one] / room if one in taking else 0.0)
            for one in grades
        )
        rows.append(_simulated(made, end, grades, **shared))
    return rows


def _simulated(made: Plan, end: Sequence[float], grades: tuple[Grade, ...], **shared: Any) -> dict[str, Any]:
    n, m = made.before or 0, made.after or 0
    if min(n, m) < FEWEST_CASES:
        raise PlanningError(
            f"With fewer than {FEWEST_CASES} cases in an audit the verdict is always too few: give more cases."
        )
    if made.design_effect != 1:
        raise PlanningError("The verdict takes cases as independent: leave `design_effect` out.")
    random = np.random.default_rng(SEED)
    earlier = random.multinomial(n, _exactly_one(made.shares), made.draws)
    later = random.multinomial(m, _exactly_one(end), made.draws)
    pairs, times = np.unique(np.hstack([earlier, later]), axis=0, return_counts=True)
    n_clear = sum(
        int(count)
        for pair, count in zip(pairs.tolist(), times, strict=True)
        if _is_clear(pair[: len(grades)], pair[len(grades) :], made.confidence)
    )
    found = shares.share(n_clear, made.draws)
    return _row(made, **shared, power=found.value, lower=found.lower, upper=found.upper)


def _exactly_one(parts: Sequence[float]) -> list[float]:
    """Shares without the last digit that adding has left beyond 0 or 1, which the generator refuses."""
    kept = [max(0.0, part) for part in parts]
    return [part / sum(kept) for part in kept]


def _is_clear(before: Sequence[int], after: Sequence[int], confidence: float) -> bool:
    verdict, _ = rule.verdict_on(before, after, confidence=confidence)
    return verdict.evidence is Evidence.CLEAR


def _row(made: Plan, **known: Any) -> dict[str, Any]:
    change, odds_ratio = known.get("change"), known.get("odds_ratio")
    size = None if change is None else abs(change)
    # odds that fall to a half are as large a change as odds that double
    size = size if odds_ratio is None else max(odds_ratio, 1 / odds_ratio)
    return {
        "of": made.of,
        "grade": None,
        "design": Design.GIVEN,
        "others": None,
        "start": None,
        "change": None,
        "odds_ratio": None,
        "size": size,
        "n_before": made.before,
        "n_after": made.after,
        "power": None,
        "lower": None,
        "upper": None,
        "listed": None,
        "note": None,
    } | known


def _table(rows: Sequence[dict[str, Any]]) -> dy.DataFrame[Planned]:
    plain = [{key: str(v) if isinstance(v, StrEnum) else v for key, v in row.items()} for row in rows]
    return Planned.validate(pl.DataFrame(plain, schema=Planned.create_empty().schema, orient="row"))
