import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import synthetic
from scipy import optimize, stats

from analysis.compare import change
from analysis.compare.change import Direction, Evidence
from analysis.compare.national import (
    ALL,
    Coverage,
    Known,
    NationalFigure,
    NationalPicture,
    Position,
    ScopeError,
    picture,
    scope,
)
from analysis.vocabulary import Grade

RAW = Path(__file__).resolve().parents[1] / "data" / "raw"
with (RAW / "forces.csv").open(encoding="utf-8", newline="") as file:
    FORCES = sorted(row["slug"] for row in csv.DictReader(file))

# As printed: good, requires improvement, inadequate, of the earlier and of the later audit.
PAIRS = {
    "dorset": ((20, 35, 28), (10, 10, 11)),
    "north-yorkshire": ((13, 34, 26), (11, 8, 14)),
    "suffolk": ((27, 24, 21), (17, 7, 6)),
    "warwickshire": ((23, 23, 28), (9, 15, 10)),
}
PLACE = {Grade.GOOD: 0, Grade.INADEQUATE: 2}
# Full inspections of which the grade is known: cases at the grade, audited cases.
FULL = {
    Grade.GOOD: {
        "avon-and-somerset": (17, 69),
        "bedfordshire": (18, 81),
        "cleveland": (15, 81),
        "derbyshire": (20, 79),
        "dorset": (20, 83),
        "gloucestershire": (14, 89),
        "lincolnshire": (9, 81),
        "metropolitan": (96, 374),
        "north-yorkshire": (13, 73),
        "northumbria": (27, 101),
        "suffolk": (27, 72),
        "thames-valley": (19, 70),
        "warwickshire": (23, 74),
    },
    Grade.INADEQUATE: {
        "avon-and-somerset": (22, 69),
        "bedfordshire": (29, 81),
        "cleveland": (24, 81),
        "derbyshire": (28, 79),
        "dorset": (28, 83),
        "lancashire": (30, 79),
        "lincolnshire": (25, 81),
        "north-yorkshire": (26, 73),
        "northumbria": (33, 101),
        "suffolk": (21, 72),
        "thames-valley": (35, 70),
        "warwickshire": (28, 74),
    },
}
FOLLOW_UPS = {
    "cambridgeshire": (6, 13, 24),
    "cheshire": (10, 10, 38),
    "dorset": (10, 11, 31),
    "hampshire": (12, 4, 30),
    "metropolitan": (93, 83, 303),
    "north-yorkshire": (11, 14, 33),
    "northamptonshire": (0, 11, 21),
    "suffolk": (17, 6, 30),
    "warwickshire": (9, 10, 34),
    "wiltshire": (12, 14, 30),
}
ONE_AUDIT = {
    "avon-and-somerset",
    "bedfordshire",
    "cambridgeshire",
    "cheshire",
    "cleveland",
    "derbyshire",
    "gloucestershire",
    "hampshire",
    "lancashire",
    "lincolnshire",
    "northamptonshire",
    "northumbria",
    "thames-valley",
    "wiltshire",
}
# Forces with audits that the usual scope leaves out, and how many.
ELSEWHERE = {
    "cleveland": 1,
    "dyfed-powys": 1,
    "greater-manchester": 3,
    "metropolitan": 5,
    "north-yorkshire": 1,
    "nottinghamshire": 1,
    "south-yorkshire": 1,
    "surrey": 1,
    "west-midlands": 4,
    "west-yorkshire": 4,
}


@pytest.fixture(scope="module")
def real(audits: pl.DataFrame) -> NationalPicture:
    return picture(audits, forces=FORCES, scope=scope())


Counts = tuple[Sequence[int | None], Sequence[int | None]]


def country(
    *pairs: Counts, scale: str = "three grades", singles: Sequence[Sequence[int]] = ()
) -> pl.DataFrame:
    """Pairs of the first forces in the alphabet and single inspections of the last; worst grade first."""
    rows = []
    for force, (before, after) in zip(FORCES, pairs, strict=False):
        rows.append(synthetic.audit(before, force=force, fieldwork="2021-03", scale=scale))
        rows.append(synthetic.audit(after, force=force, fieldwork="2022-03", kind="review", scale=scale))
    for force, counts in zip(reversed(FORCES), singles, strict=False):
        rows.append(synthetic.audit(counts, force=force, fieldwork="2021-03", scale=scale))
    return synthetic.audits(*rows)


def drawn(audits: pl.DataFrame, **asked: Any) -> NationalPicture:
    return picture(audits, forces=FORCES, scope=scope(**asked))


def assert_it_holds_together(found: NationalPicture) -> None:
    assert found.coverage["force"].to_list() == FORCES
    figures = found.figures
    assert not figures.select("measure", "subject", "period").is_duplicated().any()
    for row in figures.iter_rows(named=True):
        for number in (row["value"], row["lower"], row["upper"]):
            assert number is None or math.isfinite(number), row
        assert row["value"] is not None or row["n_forces"] is not None or row["note"], row
    assert len(found.sensitivities) == len(found.pairs)
    assert [one.force for one in found.sensitivities] == [pair.force for pair in found.pairs]
    assert found.unusual["force"].to_list() == [pair.force for pair in found.full_pairs]


# the four pairs by hand, in plain Python


def by_hand(grade: Grade) -> dict[str, Any]:
    place = PLACE[grade]
    effects, variances = [], []
    for before, after in PAIRS.values():
        n, m = sum(before), sum(after)
        p, q = before[place] / n, after[place] / m
        effects.append(q - p)
        variances.append(p * (1 - p) / n + q * (1 - q) / m)

    def fit(tau2: float) -> tuple[float, float, float]:
        weights = [1 / (variance + tau2) for variance in variances]
        mean = sum(w * y for w, y in zip(weights, effects, strict=True)) / sum(weights)
        return mean, sum(w * (y - mean) ** 2 for w, y in zip(weights, effects, strict=True)), sum(weights)

    def solved(level: float) -> float:
        return (
            optimize.brentq(lambda tau2: fit(tau2)[1] - level, 0, 10, xtol=1e-14) if fit(0)[1] > level else 0
        )

    tau2 = solved(3)
    mean, spread, total = fit(tau2)
    t3, t2 = 3.182446305284263, 4.302652729911275
    error = math.sqrt(spread / 3 / total)
    cautious = math.sqrt(max(spread / 3, 1) / total)
    reach = t2 * math.sqrt(tau2 + cautious**2)
    return {
        "effects": effects,
        "variances": variances,
        "q": fit(0)[1],
        "tau": [math.sqrt(tau2), *(math.sqrt(solved(stats.chi2.ppf(level, 3))) for level in (0.975, 0.025))],
        "mean": [mean, mean - t3 * error, mean + t3 * error],
        "cautious": [mean, mean - t3 * cautious, mean + t3 * cautious],
        "prediction": [mean, mean - reach, mean + reach],
    }


def three(estimate: Any) -> list[float]:
    return [estimate.value, estimate.lower, estimate.upper]


@pytest.mark.parametrize("grade", [Grade.GOOD, Grade.INADEQUATE])
def test_the_summary_of_the_four_pairs_is_what_one_works_out_by_hand(
    real: NationalPicture, grade: Grade
) -> None:
    found, expected = real.summaries[grade], by_hand(grade)
    assert found.k == 4
    assert found.q == pytest.approx(expected["q"], rel=1e-9)
    assert found.q_p == pytest.approx(stats.chi2(3).sf(expected["q"]), rel=1e-9)
    for name in ("tau", "mean", "cautious", "prediction"):
        assert three(getattr(found, name)) == pytest.approx(expected[name], abs=1e-8), name


def test_the_summary_says_what_is_published(real: NationalPicture) -> None:
    # rounded as a page rounds them, so that a change of method cannot pass unseen
    good, inadequate = (real.summaries[grade] for grade in (Grade.GOOD, Grade.INADEQUATE))
    assert [round(number, 3) for number in three(good.mean)] == [0.090, -0.078, 0.258]
    assert [round(number, 3) for number in three(good.tau)] == [0.041, 0.0, 0.379]
    assert [round(number, 3) for number in three(good.prediction)] == [0.090, -0.197, 0.377]
    assert [round(number, 3) for number in three(inadequate.mean)] == [-0.028, -0.152, 0.095]
    assert [round(number, 3) for number in three(inadequate.cautious)] == [-0.028, -0.183, 0.126]
    assert [round(number, 3) for number in three(inadequate.tau)] == [0.0, 0.0, 0.275]
    assert (round(good.q, 3), round(inadequate.q, 3)) == (3.547, 1.916)


def test_changes_and_bases_of_the_four_pairs_are_those_printed(real: NationalPicture) -> None:
    assert [pair.force for pair in real.full_pairs] == list(PAIRS)
    for pair in real.full_pairs:
        for audit, printed in zip((pair.baseline, pair.follow_up), PAIRS[pair.force], strict=True):
            assert audit.ordered_counts == printed[::-1]
    for grade in PLACE:
        changes = real.figures.filter(
            pl.col("subject").is_in(list(PAIRS)),
            pl.col("period") == "change",
            pl.col("measure") == f"share_{grade.column}",
        )
        assert changes["value"].to_list() == pytest.approx(by_hand(grade)["effects"])


def tables_with_these_totals(totals: Sequence[int], drawn: int) -> list[tuple[int, ...]]:
    return [
        (a, b, drawn - a - b)
        for a in range(min(totals[0], drawn) + 1)
        for b in range(min(totals[1], drawn - a) + 1)
        if drawn - a - b <= totals[2]
    ]


def exact_p_by_hand(before: Sequence[int], after: Sequence[int], *, is_mixed: bool) -> float:
    """All tables with the same totals: those no likelier, or with midranks no nearer to the middle."""
    totals = [n + m for n, m in zip(before, after, strict=True)]
    ways = {
        table: math.prod(math.comb(n, m) for n, m in zip(totals, table, strict=True))
        for table in tables_with_these_totals(totals, sum(after))
    }
    middle = sum(after) * (sum(totals) + 1)
    midranks = [2 * sum(totals[:grade]) + totals[grade] + 1 for grade in range(3)]
    far = {table: abs(sum(m * r for m, r in zip(table, midranks, strict=True)) - middle) for table in ways}
    seen = tuple(after)
    extreme = [n for table, n in ways.items() if (n <= ways[seen] if is_mixed else far[table] >= far[seen])]
    return sum(extreme) / sum(ways.values())


def test_exact_tests_and_holms_correction_are_what_one_works_out_by_hand(real: NationalPicture) -> None:
    mixed = {"dorset", "north-yorkshire", "warwickshire"}
    ps = {force: exact_p_by_hand(*counts, is_mixed=force in mixed) for force, counts in PAIRS.items()}
    corrected: dict[str, float] = {}
    highest = 0.0
    for rank, (force, p) in enumerate(sorted(ps.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (4 - rank) * p))
        corrected[force] = highest
    found = {row["force"]: row for row in real.unusual.iter_rows(named=True)}
    assert list(found) == list(PAIRS)
    for force, row in found.items():
        assert row["p"] == pytest.approx(ps[force], rel=1e-9)
        assert row["p_holm"] == pytest.approx(corrected[force], rel=1e-9)
        assert row["direction"] == ("mixed" if force in mixed else "better")
        assert (row["evidence"], row["is_clear"]) == ("cannot tell", False)


def test_four_looks_promise_a_fifth_of_a_false_alarm(real: NationalPicture) -> None:
    assert real.expected_false_alarms == pytest.approx(0.2)
    assert real.any_false_alarm == pytest.approx(1 - 0.95**4)


def test_a_pair_in_part_counts_only_where_its_change_is_known(real: NationalPicture) -> None:
    assert [pair.force for pair in real.pairs_with(Grade.GOOD)] == sorted([*PAIRS, "metropolitan"])
    assert [pair.force for pair in real.pairs_with(Grade.INADEQUATE)] == list(PAIRS)
    assert real.with_partial[Grade.INADEQUATE] == real.summaries[Grade.INADEQUATE]
    more = real.with_partial[Grade.GOOD]
    p, q = 96 / 374, 93 / 303
    effects = [*by_hand(Grade.GOOD)["effects"], q - p]
    variances = np.array([*by_hand(Grade.GOOD)["variances"], p * (1 - p) / 374 + q * (1 - q) / 303])
    # Q is below 4 for these five, so that tau is 0 and the mean that of fixed weights
    assert more.tau.value == 0
    assert more.mean.value == pytest.approx(float(np.average(effects, weights=1 / variances)))


def test_every_force_is_drawn_towards_the_others(real: NationalPicture) -> None:
    for grade in PLACE:
        assert list(real.drawn_together[grade]) == list(PAIRS)
        effects, mean = by_hand(grade)["effects"], real.summaries[grade].mean.value
        for own, estimate in zip(effects, real.drawn_together[grade].values(), strict=True):
            assert abs(estimate.value - mean) < abs(own - mean) + 0.02
            # what others say makes a range narrower than that of the force alone
            assert estimate.upper - estimate.lower < 0.42  # type: ignore[operator]


def test_two_pairs_that_happen_to_agree_make_the_plain_range_of_the_mean_no_evidence(
    audits: pl.DataFrame,
) -> None:
    # Suffolk and Warwickshire: neither can tell, but their falls are nearly the same by luck
    found = drawn(audits, first="2022")
    assert [pair.verdict.evidence for pair in found.pairs] == [Evidence.CANNOT_TELL] * 2
    summary = found.summaries[Grade.INADEQUATE]
    assert summary.mean.excludes(0)
    assert not summary.cautious.excludes(0)


# coverage


def test_all_43_forces_are_there_with_what_is_known_of_them(real: NationalPicture) -> None:
    Coverage.validate(real.coverage)
    assert (len(FORCES), real.coverage["force"].to_list()) == (43, FORCES)
    for row in real.coverage.iter_rows(named=True):
        force = row["force"]
        expected = (
            Known.PAIR
            if force in PAIRS
            else Known.PART
            if force == "metropolitan"
            else Known.ONE
            if force in ONE_AUDIT
            else Known.NOTHING
        )
        assert row["known"] == expected, force
        assert row["n_elsewhere"] == ELSEWHERE.get(force, 0), force
        assert (row["baseline"] is not None) == (expected is not Known.NOTHING)
        assert (row["follow_up"] is not None) == (expected in (Known.PAIR, Known.PART))
    counted = dict(real.coverage.group_by("known").len().iter_rows())
    assert counted == {"two audits": 4, "two audits, in part": 1, "one audit": 14, "no audit here": 24}


def test_every_audit_of_a_force_is_looked_at_or_counted_as_elsewhere(
    real: NationalPicture, audits: pl.DataFrame
) -> None:
    looked_at = sum(real.coverage[name].drop_nulls().len() for name in ("baseline", "follow_up"))
    of_forces = audits.filter(pl.col("force").is_not_null()).height
    assert looked_at + real.coverage["n_elsewhere"].sum() == of_forces


# funnels


@pytest.mark.parametrize("grade", list(FULL))
def test_the_target_is_the_share_of_all_cases_of_full_inspections(
    real: NationalPicture, grade: Grade
) -> None:
    found = real.funnels[grade]
    n, base = (sum(numbers) for numbers in zip(*FULL[grade].values(), strict=True))
    assert (found.n_cases, found.base, found.target.value) == (n, base, n / base)
    squares = [(x - m * n / base) ** 2 / (m * n / base * (1 - n / base)) for x, m in FULL[grade].values()]
    assert found.overdispersion == pytest.approx(sum(squares) / len(squares))


@pytest.mark.parametrize("grade", list(FULL))
def test_the_points_are_all_audits_whose_grade_is_known(real: NationalPicture, grade: Grade) -> None:
    points = real.funnels[grade].points
    full = {
        row["force"]: (row["n_cases"], row["base"])
        for row in points.filter(~pl.col("is_follow_up")).iter_rows(named=True)
    }
    others = {
        row["force"]: (row["n_cases"], row["base"])
        for row in points.filter("is_follow_up").iter_rows(named=True)
    }
    assert full == FULL[grade]
    column = 0 if grade is Grade.GOOD else 1
    assert others == {force: (row[column], row[2]) for force, row in FOLLOW_UPS.items()}
    assert points["force"].is_sorted()
    for row in points.iter_rows(named=True):
        assert row["value"] == row["n_cases"] / row["base"]
        assert row["limit_far_lower"] <= row["limit_lower"] <= row["limit_upper"] <= row["limit_far_upper"]


@pytest.mark.parametrize("grade", list(FULL))
def test_a_point_is_called_outside_only_if_chance_reaches_it_as_rarely_as_is_said(
    real: NationalPicture, grade: Grade
) -> None:
    target = real.funnels[grade].target.value
    for row in real.funnels[grade].points.iter_rows(named=True):
        n, base = row["n_cases"], row["base"]
        tail = min(stats.binom.cdf(n, base, target), stats.binom.sf(n - 1, base, target))
        said = {Position.INSIDE: 1.0, Position.OUTSIDE: 0.025, Position.FAR_OUTSIDE: 0.001}[row["position"]]
        assert tail <= said, f"{row['inspection_id']}: {n} of {base}, tail {tail:.4f}"


@pytest.mark.parametrize("grade", list(FULL))
def test_so_many_points_are_expected_outside_as_chance_alone_puts_there(
    real: NationalPicture, grade: Grade
) -> None:
    found = real.funnels[grade]
    target, expected = found.target.value, 0.0
    for base in found.points["base"]:
        for n in range(base + 1):
            tail = min(stats.binom.cdf(n, base, target), stats.binom.sf(n - 1, base, target))
            expected += stats.binom.pmf(n, base, target) if tail < 0.025 else 0
    # shares come in steps, so that no more than 5% lie outside, and mostly fewer
    assert expected < found.points.height * 0.05
    assert found.expected_outside == pytest.approx(expected, abs=0.005)


def test_lines_reach_past_the_smallest_and_the_largest_audit(real: NationalPicture) -> None:
    for found in real.funnels.values():
        bases = found.lines["base"]
        assert bases.is_sorted()
        assert bases.is_unique().all()
        assert bases.min() < found.points["base"].min()  # type: ignore[operator]
        assert bases.max() > found.points["base"].max()  # type: ignore[operator]


# regression to the mean


def test_made_up_forces_are_as_real_ones_and_fall_back(real: NationalPicture) -> None:
    seen, at_most = real.regressions
    assert (seen.base_before, seen.base_after) == (74, 33)
    for found in (seen, at_most):
        before, after = found.inadequate
        assert before.value > after.value
        assert before.value > real.funnels[Grade.INADEQUATE].target.value
    # the more forces differ, the less of a poor first grade was luck
    falls = [one.inadequate[0].value - one.inadequate[1].value for one in (seen, at_most)]
    assert falls[0] > falls[1]


# figures


def test_figures_hold_every_number_of_the_picture(real: NationalPicture) -> None:
    figures = real.figures
    NationalFigure.validate(figures)
    numbers = {
        round(value, 12) for name in ("value", "lower", "upper") for value in figures[name].drop_nulls()
    }
    summaries = [*real.summaries.values()]
    wanted = [real.expected_false_alarms, real.any_false_alarm]
    for found in summaries:
        for one in (found.mean, found.cautious, found.tau, found.i_squared, found.prediction):
            wanted += three(one)
        wanted.append(found.q_p)
    for found in real.funnels.values():
        wanted += [*three(found.target), found.overdispersion]
        for column in (
            "value",
            "lower",
            "upper",
            "limit_lower",
            "limit_upper",
            "limit_far_lower",
            "limit_far_upper",
        ):
            wanted += found.points[column].to_list()
    for made_up in real.regressions:
        for one in (*made_up.inadequate, *made_up.good, made_up.better, made_up.clear_better):
            wanted += three(one)
    for by_force in real.drawn_together.values():
        for one in by_force.values():
            wanted += three(one)
    wanted += [*real.unusual["p"], *real.unusual["p_holm"]]
    missing = [number for number in wanted if round(number, 12) not in numbers]
    assert not missing


def value_of(found: NationalPicture, measure: str, subject: str = ALL) -> float | None:
    rows = found.figures.filter(pl.col("measure") == measure, pl.col("subject") == subject)
    assert rows.height == 1, f"{measure} of {subject} is in {rows.height} rows"
    return rows["value"][0]


@pytest.mark.parametrize("grade", list(FULL))
def test_q_and_the_expected_points_outside_are_figures_too(real: NationalPicture, grade: Grade) -> None:
    assert value_of(real, f"q_share_{grade.column}") == real.summaries[grade].q
    assert value_of(real, f"expected_outside_share_{grade.column}") == real.funnels[grade].expected_outside


def test_a_mean_that_pairs_in_part_alone_allow_is_a_figure(audits: pl.DataFrame) -> None:
    made = country(((20, 20, 20), (10, 10, 10)), ((None, None, 30), (10, 20, 30)))
    rows = made.with_columns(
        n_cases=pl.when(pl.col("n_cases").is_null()).then(80).otherwise(pl.col("n_cases"))
    )
    found = drawn(rows)
    assert found.summaries == {}
    assert found.with_partial[Grade.GOOD].k == 2
    assert value_of(found, "mean_change_share_good_with_partial") == found.with_partial[Grade.GOOD].mean.value


def test_figures_of_counts_of_forces_add_up_to_all(real: NationalPicture) -> None:
    rows = real.figures.filter(pl.col("measure").str.starts_with("forces with"))
    assert rows["n_forces"].sum() == 43


def test_the_order_of_audits_changes_nothing(real: NationalPicture, audits: pl.DataFrame) -> None:
    again = picture(audits.sample(fraction=1, shuffle=True, seed=6), forces=FORCES[::-1], scope=scope())
    assert again.figures.equals(real.figures)
    assert again.coverage.equals(real.coverage)
    assert again.unusual.equals(real.unusual)
    assert [one.tipping for one in again.sensitivities] == [one.tipping for one in real.sensitivities]
    for grade in PLACE:
        assert again.funnels[grade].points.equals(real.funnels[grade].points)


# scope


def test_by_default_all_full_inspections_and_follow_ups_on_three_grades_count() -> None:
    found = scope()
    assert found.kinds == ("initial", "review", "re-inspection")
    assert (found.scale, found.first, found.last, found.confidence) == ("three grades", None, None, 0.95)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"kinds": ["inital"]}, 'called "inital": did you mean initial'),
        ({"kinds": []}, "at least one kind"),
        ({"scale": "three grade"}, 'called "three grade": did you mean three grades'),
        ({"scale": "topic judgments"}, 'called "topic judgments"'),
        ({"first": "2021-13"}, "a year or a month"),
        ({"last": "21"}, "a year or a month"),
        ({"last": "2021-04-01"}, "a year or a month"),
        ({"first": "2022", "last": "2021"}, "exchange first and last"),
        ({"first": "2022-04", "last": "2022-03"}, "exchange first and last"),
        ({"confidence": 95}, r"Confidence is 95, but must be at least 0\.5"),
        ({"confidence": math.nan}, "Confidence is nan"),
    ],
)
def test_a_scope_that_cannot_be_is_refused_with_what_can(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ScopeError, match=told):
        scope(**asked)


def test_a_month_may_begin_the_year_that_ends_the_period() -> None:
    assert scope(first="2021-04", last="2021").last == "2021"


def test_kinds_named_twice_count_once() -> None:
    assert scope(kinds=["review", "initial", "review"]).kinds == ("review", "initial")


def test_a_scope_without_audits_is_refused(audits: pl.DataFrame) -> None:
    with pytest.raises(ScopeError, match="ask for more"):
        drawn(audits, first="2030")


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"first": "2021-03"}, ["2021", "2021-03", "2021-04", "published 2021-03-31", "2022-01"]),
        ({"first": "2021-04"}, ["2021", "2021-04", "2022-01"]),
        ({"last": "2021-03"}, ["2020-12", "2021", "2021-03", "published 2021-03-31"]),
        ({"last": "2021"}, ["2020-12", "2021", "2021-03", "2021-04", "published 2021-03-31"]),
        ({"first": "2021", "last": "2021"}, ["2021", "2021-03", "2021-04", "published 2021-03-31"]),
        ({"first": "2021-03", "last": "2021-03"}, ["2021", "2021-03", "published 2021-03-31"]),
        ({"last": "2020"}, ["2020-12"]),
    ],
)
def test_both_ends_of_a_period_are_included_and_a_bare_year_may_be_any_month(
    period: dict[str, str], expected: list[str]
) -> None:
    dates = ["2020-12", "2021", "2021-03", "2021-04", "published 2021-03-31", "2022-01"]
    rows = []
    for force, date in zip(FORCES, dates, strict=False):
        when = {"fieldwork": None, "published": date.split()[1]} if " " in date else {"fieldwork": date}
        rows.append(synthetic.audit((0, 20, 20), force=force, **when))
    known = drawn(synthetic.audits(*rows), **period).coverage.filter(pl.col("known") == Known.ONE)
    assert [dates[FORCES.index(force)] for force in known["force"]] == expected


def test_kinds_that_are_not_asked_for_leave_a_force_with_one_audit(audits: pl.DataFrame) -> None:
    found = drawn(audits, kinds=["review"])
    assert found.pairs == ()
    assert (found.funnels, found.regressions, found.summaries) == ({}, (), {})
    assert (found.expected_false_alarms, found.any_false_alarm) == (0, 0)
    assert set(found.coverage.filter(pl.col("known") == Known.ONE)["force"]) == set(FOLLOW_UPS) - {
        "metropolitan"
    }
    assert_it_holds_together(found)


def test_another_scale_has_a_picture_of_its_own(audits: pl.DataFrame) -> None:
    found = drawn(audits, scale="four grades")
    known = dict(found.coverage.filter(pl.col("known") != Known.NOTHING).select("force", "known").iter_rows())
    assert known == {"dyfed-powys": "one audit", "greater-manchester": "one audit"}
    assert_it_holds_together(found)


def test_figures_of_several_forces_together_are_no_force(audits: pl.DataFrame) -> None:
    found = drawn(audits, scale="good, adequate, inadequate", kinds=["thematic"])
    assert found.coverage["known"].unique().to_list() == [Known.NOTHING]
    assert_it_holds_together(found)


# made-up countries


def test_one_pair_has_no_summary() -> None:
    found = drawn(country(((20, 20, 20), (10, 10, 10))))
    assert (found.summaries, found.with_partial, found.drawn_together) == ({}, {}, {})
    assert value_of(found, "mean_change_share_good") is None
    assert_it_holds_together(found)


def test_two_pairs_have_a_summary_but_foretell_nothing() -> None:
    found = drawn(country(((20, 20, 20), (10, 10, 10)), ((30, 20, 20), (5, 10, 20))))
    assert found.summaries[Grade.GOOD].k == 2
    assert found.summaries[Grade.GOOD].prediction is None
    assert found.drawn_together == {}
    assert value_of(found, "prediction_share_good") is None
    assert_it_holds_together(found)


@pytest.mark.parametrize(
    "pairs",
    [
        [((20, 20, 20), (10, 10, 10))] * 3,
        [((0, 0, 30), (0, 0, 30))] * 3,
        [((30, 0, 0), (30, 0, 0))] * 2,
        [((0, 10, 30), (0, 12, 30))] * 3,
        [((30, 0, 0), (0, 0, 30)), ((0, 0, 30), (30, 0, 0)), ((0, 30, 0), (0, 30, 0))],
        [((30, 0, 0), (0, 0, 30))] * 4,
    ],
    ids=[
        "all the same",
        "all good",
        "all inadequate",
        "none inadequate",
        "as unlike as can be",
        "all turned",
    ],
)
def test_countries_at_the_ends_of_the_scale_have_a_picture(pairs: list[Counts]) -> None:
    assert_it_holds_together(drawn(country(*pairs)))


@pytest.mark.parametrize(
    "pairs",
    [
        [((1, 0, 0), (0, 0, 1)), ((0, 1, 0), (0, 1, 0))],
        [((9, 9, 9), (1, 0, 0)), ((9, 9, 2), (0, 1, 0)), ((5, 9, 2), (0, 0, 1))],
    ],
    ids=["one case each", "one case later"],
)
def test_audits_of_a_single_case_have_a_picture(pairs: list[Counts]) -> None:
    assert_it_holds_together(drawn(country(*pairs)))


@pytest.mark.parametrize(
    ("scale", "pairs"),
    [
        ("four grades", [((5, 6, 7, 8), (3, 3, 8, 8)), ((9, 6, 7, 8), (3, 3, 8, 8))]),
        ("good, adequate, inadequate", [((5, 6, 19), (3, 3, 18)), ((9, 6, 8), (3, 3, 18))]),
    ],
)
def test_other_scales_are_pooled_and_drawn_like_three_grades(scale: str, pairs: list[Counts]) -> None:
    found = drawn(country(*pairs, scale=scale), scale=scale)
    assert {grade: summary.k for grade, summary in found.summaries.items()} == {
        Grade.GOOD: 2,
        Grade.INADEQUATE: 2,
    }
    assert_it_holds_together(found)


def test_shares_and_their_changes_end_where_shares_end() -> None:
    pairs = [((30, 10, 20), (2, 10, 20)), ((12, 20, 30), (20, 10, 4)), ((20, 20, 20), (8, 15, 8))]
    for k in (2, 3):
        found = drawn(country(*pairs[:k]))
        changes = found.figures.filter(
            pl.col("measure").str.contains("^(mean_change|prediction|drawn_together)_")
        )
        assert changes["lower"].drop_nulls().min() >= -1  # type: ignore[operator]
        assert changes["upper"].drop_nulls().max() <= 1  # type: ignore[operator]


def test_a_pair_with_too_few_cases_is_pooled_but_never_clear() -> None:
    found = drawn(country(((15, 1, 1), (0, 0, 15)), ((20, 20, 20), (10, 10, 10))))
    first = found.unusual.row(0, named=True)
    assert (first["evidence"], first["is_clear"]) == (Evidence.TOO_FEW, False)
    assert first["p_holm"] < 0.001
    assert found.summaries[Grade.GOOD].k == 2


def test_what_is_clear_by_itself_may_not_be_among_many_looks() -> None:
    clear = ((40, 20, 14), (12, 8, 14))
    level = ((20, 20, 20), (10, 10, 10))
    assert change.verdict_on(*clear)[0] == change.Verdict(Direction.BETTER, Evidence.CLEAR)
    alone, among = drawn(country(clear)), drawn(country(clear, *[level] * 9))
    assert alone.unusual["is_clear"].to_list() == [True]
    assert among.unusual["evidence"].to_list()[0] == "clear"
    assert not among.unusual["is_clear"].any()
    assert among.expected_false_alarms == pytest.approx(0.5)


def test_a_country_with_a_pair_of_every_force_has_a_picture() -> None:
    random = np.random.default_rng(43)
    pairs = []
    for _ in FORCES:
        own = random.dirichlet((6, 7, 5))
        before, after = (tuple(random.multinomial(n, own).tolist()) for n in (74, 34))
        pairs.append((before, after))
    found = drawn(country(*pairs))
    assert_it_holds_together(found)
    assert found.coverage["known"].unique().to_list() == [Known.PAIR]
    assert found.summaries[Grade.GOOD].k == 43
    for summary in found.summaries.values():
        assert not summary.mean.excludes(0)
        assert summary.tau.lower == 0
    assert found.expected_false_alarms == pytest.approx(2.15)
    assert found.any_false_alarm == pytest.approx(0.89, abs=0.005)
    assert not found.unusual["is_clear"].any()
    # forces differ here, so that more lie outside than chance alone would have
    assert all(one.overdispersion > 1.5 for one in found.funnels.values())


@pytest.mark.parametrize("seed", range(3))
def test_countries_of_any_counts_have_a_picture(seed: int) -> None:
    random = np.random.default_rng(seed)

    def some(most: int) -> tuple[int, ...]:
        base = int(random.integers(2, most))
        return tuple(random.multinomial(base, random.dirichlet((0.4, 0.4, 0.4))).tolist())

    pairs = [(some(90), some(40)) for _ in range(int(random.integers(2, 7)))]
    assert_it_holds_together(drawn(country(*pairs, singles=[some(60) for _ in range(3)])))
