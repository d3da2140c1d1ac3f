from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compare import change, shares
from analysis.compare.change import Direction, Evidence
from analysis.compare.graded import SelectionError
from analysis.evidence.reconcile import Audit

GRADES = ("inadequate", "requires_improvement", "good")


def audit(
    counts: Sequence[int | None],
    *,
    fieldwork: str,
    kind: str = "initial",
    n_cases: int | None = None,
    force: str = "kent",
    area: str = "overall",
    graded_by: str = "inspectors",
    scale: str = "three grades",
    adds_up: bool | None = True,
) -> dict[str, object]:
    known = [count for count in counts if count is not None]
    n = n_cases if n_cases is not None else sum(known)
    return {
        "inspection_id": f"{force}-{fieldwork}-{kind}",
        "force": force,
        "group": None,
        "kind": kind,
        "fieldwork": fieldwork,
        "fieldwork_precision": "month",
        "published": None,
        "area": area,
        "graded_by": graded_by,
        "scale": scale,
        "n_cases": n,
        "n_good": counts[2],
        "n_adequate": None,
        "n_requires_improvement": counts[1],
        "n_inadequate": counts[0],
        "n_below_good": None,
        "resolution": "agreed",
        "n_sources": 2,
        "n_sources_agreeing": 2,
        "adds_up": adds_up if len(known) == 3 else None,
        "derived": [],
        "contested": [],
        "note": None,
    }


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=Audit.create_empty().schema, orient="row")


def pair(before: Sequence[int | None], after: Sequence[int | None], **more: object) -> change.Comparison:
    rows = frame(
        audit(before, fieldwork="2021-05"),
        audit(after, fieldwork="2022-05", kind="review", **more),  # type: ignore[arg-type]
    )
    examined = change.examine(rows, force="kent")
    assert isinstance(examined, change.Comparison)
    return examined


def value(examined: change.Comparison, measure: str, period: str = "change") -> tuple[float, float, float]:
    row = examined.figures.filter((pl.col("measure") == measure) & (pl.col("period") == period)).row(
        0, named=True
    )
    return row["value"], row["lower"], row["upper"]


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        ((30, 20, 24), (5, 10, 25), Direction.BETTER),
        ((30, 20, 24), (30, 10, 4), Direction.WORSE),
        ((28, 23, 23), (10, 15, 9), Direction.MIXED),
        ((20, 20, 20), (10, 10, 10), Direction.LEVEL),
        ((20, 20, 20), (10, 5, 15), Direction.BETTER),
        ((20, 20, 20), (15, 5, 10), Direction.WORSE),
        ((20, 20, 20), (5, 15, 10), Direction.BETTER),
        ((20, 20, 20), (10, 15, 5), Direction.WORSE),
    ],
)
def test_direction_says_what_the_counts_did(
    before: Sequence[int], after: Sequence[int], direction: Direction
) -> None:
    assert pair(before, after).verdict.direction is direction


def test_equal_shares_of_different_bases_are_level_exactly() -> None:
    # 1/3 of 21 and 1/3 of 33: floating point would see a difference
    assert pair((7, 7, 7), (11, 11, 11)).verdict.direction is Direction.LEVEL


@pytest.mark.parametrize(
    ("before", "after", "evidence"),
    [
        ((28, 23, 23), (10, 15, 9), Evidence.CANNOT_TELL),
        ((40, 20, 14), (3, 8, 23), Evidence.CLEAR),
        ((14, 20, 40), (23, 8, 3), Evidence.CLEAR),
        # both ends grow at the cost of the middle: mixed, yet clearly not the same grades
        ((5, 64, 5), (14, 6, 14), Evidence.CLEAR),
        ((28, 23, 23), (7, 6, 6), Evidence.TOO_FEW),
        ((7, 6, 6), (10, 15, 9), Evidence.TOO_FEW),
    ],
)
def test_evidence_says_what_the_counts_can_bear(
    before: Sequence[int], after: Sequence[int], evidence: Evidence
) -> None:
    assert pair(before, after).verdict.evidence is evidence


def test_twenty_cases_are_enough_to_compare() -> None:
    assert pair((28, 23, 23), (7, 7, 6)).verdict.evidence is not Evidence.TOO_FEW


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ({"scale": "four grades"}, "different sets of grades"),
        ({"area": "missing children"}, "different areas"),
        ({"graded_by": "force"}, "different people"),
        ({"adds_up": False}, "do not add"),
        ({"scale": "topic judgments"}, "February 2024"),
    ],
)
def test_audits_that_differ_in_kind_are_not_comparable(later: dict[str, str], reason: str) -> None:
    before = audit((28, 23, 23), fieldwork="2021-05")
    after = audit((10, 15, 9), fieldwork="2022-05", kind="review", **later)  # type: ignore[arg-type]
    first, second = (change.GradedAudit.from_row(row) for row in frame(before, after).iter_rows(named=True))

    examined = change.between(first, second)

    assert examined.verdict.evidence is Evidence.NOT_COMPARABLE
    assert reason in (examined.verdict.reason or "")
    changes = examined.figures.filter(pl.col("period") == "change")
    assert changes["value"].is_null().all()
    assert {"share_good", "share_inadequate", "superiority"} <= set(changes["measure"])
    assert changes["note"].str.contains("not worked out").all()


def test_a_partial_audit_is_compared_on_what_both_sides_know() -> None:
    examined = pair((None, None, 96), (83, 127, 93), n_cases=303)
    assert examined.verdict.evidence is Evidence.NOT_COMPARABLE
    assert examined.verdict.direction is Direction.UNKNOWN
    known = examined.figures.filter((pl.col("period") == "change") & pl.col("value").is_not_null())
    assert "share_good" in set(known["measure"])
    assert "share_inadequate" not in set(known["measure"])


def test_the_pair_is_the_last_followed_up_full_inspection_and_the_next_follow_up() -> None:
    rows = frame(
        audit((10, 10, 10), fieldwork="2016-01"),
        audit((10, 10, 10), fieldwork="2017-01", kind="review"),
        audit((20, 20, 20), fieldwork="2021-05"),
        audit((11, 10, 10), fieldwork="2021-11", kind="update"),
        audit((12, 10, 10), fieldwork="2022-05", kind="re-inspection"),
        audit((13, 10, 10), fieldwork="2023-05", kind="review"),
    )
    examined = change.examine(rows, force="kent")
    assert isinstance(examined, change.Comparison)
    assert (examined.baseline.inspection_id, examined.follow_up.inspection_id) == (
        "kent-2021-05-initial",
        "kent-2022-05-re-inspection",
    )
    assert len(examined.others) == 4


def test_both_audits_can_be_chosen() -> None:
    rows = frame(
        audit((10, 10, 10), fieldwork="2016-01"),
        audit((20, 20, 20), fieldwork="2021-05"),
        audit((12, 10, 10), fieldwork="2022-05", kind="re-inspection"),
    )
    examined = change.examine(rows, force="kent", baseline="kent-2016-01-initial")
    assert isinstance(examined, change.Comparison)
    assert examined.baseline.fieldwork == "2016-01"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"baseline": "kent-2021-06-initial"}, "did you mean kent-2021-05-initial"),
        ({"baseline": "kent-2022-05-review", "follow_up": "kent-2021-05-initial"}, "does not lie before"),
        ({"baseline": "kent-2022-05-review"}, "no later"),
        ({"follow_up": "kent-2021-05-initial"}, "no earlier"),
    ],
)
def test_audits_that_cannot_be_chosen_are_refused_with_what_can(asked: dict[str, str], told: str) -> None:
    rows = frame(
        audit((20, 20, 20), fieldwork="2021-05"), audit((12, 10, 10), fieldwork="2022-05", kind="review")
    )
    with pytest.raises(SelectionError, match=told):
        change.examine(rows, force="kent", **asked)  # type: ignore[arg-type]


def test_a_force_without_a_pair_has_one_audit_or_none() -> None:
    one = frame(audit((20, 20, 20), fieldwork="2021-05"))
    single = change.examine(one, force="kent")
    assert isinstance(single, change.SingleAudit)
    assert set(single.figures["period"]) == {"baseline"}
    assert isinstance(change.examine(one, force="essex"), change.NoAudit)


def test_a_review_alone_stands_as_follow_up() -> None:
    single = change.examine(frame(audit((20, 20, 20), fieldwork="2021-05", kind="review")), force="kent")
    assert isinstance(single, change.SingleAudit)
    assert set(single.figures["period"]) == {"follow_up"}


@pytest.mark.parametrize("confidence", [0, 0.1, 1, -0.5, 95, float("nan")])
def test_a_confidence_that_is_no_level_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"at least 0\.5 and below 1"):
        change.examine(frame(), force="kent", confidence=confidence)


@pytest.mark.parametrize(("n", "base"), [(1, 0), (5, 4), (-1, 4)])
def test_a_share_of_nothing_or_more_than_all_is_refused(n: int, base: int) -> None:
    with pytest.raises(ValueError, match="share"):
        shares.share(n, base)


@pytest.mark.parametrize(("before", "after"), [((0, 0, 30), (0, 0, 30)), ((30, 0, 0), (0, 0, 30))])
def test_audits_without_spread_have_superiority_but_no_interval(
    before: Sequence[int], after: Sequence[int]
) -> None:
    estimate = change.superiority(before, after)
    assert (estimate.lower, estimate.upper) == (None, None)
    assert estimate.value == (0.5 if before == after else 1.0)


def test_no_change_would_show_where_there_is_no_room_for_one() -> None:
    assert change.smallest_detectable_change(20, 20, 34, sign=1) is None
    assert change.smallest_detectable_change(1, 74, 34, sign=-1) is None


counts = st.tuples(*[st.integers(0, 60)] * 3).filter(lambda row: sum(row) >= 2)


@given(before=counts, after=counts)
def test_swapping_the_audits_turns_the_answer_round(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    forth, back = change.superiority(before, after), change.superiority(after, before)
    assert forth.value == pytest.approx(1 - back.value)
    if forth.lower is not None and back.upper is not None:
        assert forth.lower == pytest.approx(1 - back.upper, abs=1e-9)
    ahead = change.share_change(before[2], sum(before), after[2], sum(after))
    behind = change.share_change(after[2], sum(after), before[2], sum(before))
    assert ahead.value == pytest.approx(-behind.value)
    assert ahead.lower == pytest.approx(-(behind.upper or 0), abs=1e-9)


@given(before=counts, after=counts)
def test_reversing_the_scale_turns_superiority_round(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    forth = change.superiority(before, after)
    assert forth.value == pytest.approx(1 - change.superiority(before[::-1], after[::-1]).value)


@given(row=counts)
def test_equal_audits_are_even(row: tuple[int, ...]) -> None:
    assert change.superiority(row, row).value == pytest.approx(0.5)


@given(before=counts, after=counts, times=st.integers(2, 5))
def test_intervals_contain_the_estimate_and_narrow_with_more_cases(
    before: tuple[int, ...], after: tuple[int, ...], times: int
) -> None:
    more_before, more_after = tuple(n * times for n in before), tuple(n * times for n in after)
    few = change.share_change(before[2], sum(before), after[2], sum(after))
    many = change.share_change(more_before[2], sum(more_before), more_after[2], sum(more_after))
    assert few.lower is not None
    assert few.upper is not None
    assert many.lower is not None
    assert many.upper is not None
    assert few.lower - 1e-9 <= few.value <= few.upper + 1e-9
    assert many.upper - many.lower <= few.upper - few.lower + 1e-9
    wide, narrow = change.superiority(before, after), change.superiority(more_before, more_after)
    if wide.lower is not None and narrow.lower is not None and wide.upper and narrow.upper:
        assert wide.lower - 1e-9 <= wide.value <= wide.upper + 1e-9
        assert narrow.upper - narrow.lower <= wide.upper - wide.lower + 1e-9


@given(row=counts)
def test_shares_of_one_audit_sum_to_one(row: tuple[int, ...]) -> None:
    single = change.examine(frame(audit(row, fieldwork="2021-05")), force="kent")
    assert isinstance(single, change.SingleAudit)
    assert single.figures["value"].sum() == pytest.approx(1)


@settings(max_examples=25)
@given(st.randoms())
def test_the_order_of_audits_changes_nothing(random: object) -> None:
    rows = [
        audit((20, 20, 20), fieldwork="2021-05"),
        audit((12, 10, 10), fieldwork="2022-05", kind="review"),
        audit((1, 2, 3), fieldwork="2022-05", kind="review", area="missing children"),
        audit((9, 9, 9), fieldwork="2020-01", force="essex"),
    ]
    expected = change.examine(frame(*rows), force="kent")
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert isinstance(expected, change.Comparison)
    shuffled = change.examine(frame(*rows), force="kent")
    assert isinstance(shuffled, change.Comparison)
    assert shuffled.figures.equals(expected.figures)


# Shares inadequate, requires improvement, good: both pairs of the method's plan, and corners.
STARTS = [
    (0.378, 0.311, 0.311),
    (0.356, 0.466, 0.178),
    (1 / 3, 1 / 3, 1 / 3),
    (0.10, 0.20, 0.70),
    (0.70, 0.20, 0.10),
    (0.05, 0.90, 0.05),
    (0.02, 0.03, 0.95),
    (0.90, 0.08, 0.02),
    (0.39, 0.00, 0.61),
]
N_PAIRS = 3000


def simulated(start: Sequence[float]) -> list[tuple[list[int], list[int]]]:
    random = np.random.default_rng(20220205)
    before = random.multinomial(74, start, N_PAIRS).tolist()
    after = random.multinomial(34, start, N_PAIRS).tolist()
    return list(zip(before, after, strict=True))


@pytest.mark.parametrize("start", STARTS, ids=str)
def test_under_no_change_at_most_one_pair_in_twenty_is_called_clear(start: Sequence[float]) -> None:
    n_clear = 0
    for before, after in simulated(start):
        ordinal = change.superiority(before, after)
        contrasts = [change.share_change(before[i], 74, after[i], 34) for i in (2, 0)]
        good, inadequate = contrasts
        moves = {np.sign(round(good.value, 12)), -np.sign(round(inadequate.value, 12))}
        # only mixed or not matters to the rule
        direction = Direction.MIXED if {1.0, -1.0} <= moves else Direction.BETTER
        found = change.evidence_of(direction, contrasts, ordinal, before, after, confidence=0.95)
        n_clear += found is Evidence.CLEAR
    assert n_clear / N_PAIRS <= 0.05


@pytest.mark.parametrize("start", STARTS[:3], ids=str)
def test_intervals_cover_the_truth_as_often_as_they_say(start: Sequence[float]) -> None:
    covered = {"good": 0, "inadequate": 0, "superiority": 0}
    for before, after in simulated(start):
        covered["good"] += not change.share_change(before[2], 74, after[2], 34).excludes(0)
        covered["inadequate"] += not change.share_change(before[0], 74, after[0], 34).excludes(0)
        covered["superiority"] += not change.superiority(before, after).excludes(0.5)
    for n in covered.values():
        assert 0.93 <= n / N_PAIRS <= 0.97


def test_intervals_cover_a_real_change_as_often_as_they_say() -> None:
    random = np.random.default_rng(20230218)
    start, end = (0.378, 0.311, 0.311), (0.15, 0.25, 0.60)
    theta = sum(after * (sum(start[:i]) + start[i] / 2) for i, after in enumerate(end))
    covered = {"good": 0, "inadequate": 0, "superiority": 0}
    before_rows = random.multinomial(74, start, N_PAIRS).tolist()
    after_rows = random.multinomial(34, end, N_PAIRS).tolist()
    for before, after in zip(before_rows, after_rows, strict=True):
        covered["good"] += not change.share_change(before[2], 74, after[2], 34).excludes(end[2] - start[2])
        covered["inadequate"] += not change.share_change(before[0], 74, after[0], 34).excludes(
            end[0] - start[0]
        )
        covered["superiority"] += not change.superiority(before, after).excludes(theta)
    for n in covered.values():
        assert 0.93 <= n / N_PAIRS <= 0.97
