import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import vocabulary
from analysis.compare import change
from analysis.compare.change import Comparison, Direction, NoAudit, SingleAudit
from analysis.compare.change import Evidence as Strength
from analysis.compare.shares import BASELINE, CHANGE, FOLLOW_UP
from analysis.evidence.cleaning import Evidence
from analysis.present import sections, wording
from analysis.vocabulary import Grade

SLUGS = vocabulary.forces(Path(__file__).resolve().parents[1] / "data" / "raw").slugs

FOUR = {"scale": "four grades"}
# On the four-grade scale good and inadequate may be known while the two grades between are not,
# so that there is a direction but no verdict on all grades.
GAPS = FOUR | {"earlier": {"n_cases": 40}}
# name: counts before, counts after (worst to best), options, direction, evidence.
# "not known" goes with "not comparable" only: without a direction there is no evidence to judge.
# Level and clear at once is possible on four grades only; its headline has a test of its own.
PAIRS: dict[str, tuple[Any, Any, dict[str, Any], Direction, Strength]] = {
    "better, clear": ((28, 23, 23), (2, 10, 22), {}, Direction.BETTER, Strength.CLEAR),
    "better, cannot tell": ((21, 24, 27), (6, 7, 17), {}, Direction.BETTER, Strength.CANNOT_TELL),
    "better, too few": ((10, 20, 10), (1, 2, 4), {}, Direction.BETTER, Strength.TOO_FEW),
    "better, not comparable": (
        (10, None, None, 10),
        (5, 10, 10, 15),
        GAPS,
        Direction.BETTER,
        Strength.NOT_COMPARABLE,
    ),
    "worse, clear": ((2, 10, 22), (28, 23, 23), {}, Direction.WORSE, Strength.CLEAR),
    "worse, cannot tell": ((6, 7, 17), (21, 24, 27), {}, Direction.WORSE, Strength.CANNOT_TELL),
    "worse, too few": ((1, 2, 4), (10, 20, 10), {}, Direction.WORSE, Strength.TOO_FEW),
    "worse, not comparable": (
        (5, None, None, 15),
        (10, 10, 10, 10),
        GAPS,
        Direction.WORSE,
        Strength.NOT_COMPARABLE,
    ),
    "mixed, clear": ((5, 60, 5), (30, 10, 30), {}, Direction.MIXED, Strength.CLEAR),
    "mixed, cannot tell": ((28, 23, 23), (10, 15, 9), {}, Direction.MIXED, Strength.CANNOT_TELL),
    "mixed, one of two": ((5, 60, 5), (6, 40, 24), {}, Direction.MIXED, Strength.CANNOT_TELL),
    "mixed, too few": ((10, 20, 10), (1, 3, 1), {}, Direction.MIXED, Strength.TOO_FEW),
    "mixed, not comparable": (
        (5, None, None, 5),
        (10, 10, 10, 10),
        GAPS,
        Direction.MIXED,
        Strength.NOT_COMPARABLE,
    ),
    "level, cannot tell": ((10, 20, 10), (20, 40, 20), {}, Direction.LEVEL, Strength.CANNOT_TELL),
    "level, too few": ((10, 20, 10), (1, 2, 1), {}, Direction.LEVEL, Strength.TOO_FEW),
    "level, not comparable": (
        (10, None, None, 10),
        (10, 10, 10, 10),
        GAPS,
        Direction.LEVEL,
        Strength.NOT_COMPARABLE,
    ),
    "not known, another method": (
        (9, 20, 12),
        (),
        {
            "later": {
                "scale": "topic judgments",
                "n_cases": 48,
                "kind": "topic-judgments",
                "fieldwork": "2024-05",
            }
        },
        Direction.UNKNOWN,
        Strength.NOT_COMPARABLE,
    ),
    "not known, other grades": (
        (9, 5, 20, 12),
        (9, 20, 12),
        {"earlier": FOUR},
        Direction.UNKNOWN,
        Strength.NOT_COMPARABLE,
    ),
    "not known, another area": (
        (9, 20, 12),
        (9, 20, 12),
        {"scale": "three grades"},
        Direction.UNKNOWN,
        Strength.NOT_COMPARABLE,
    ),
    "not known, grades that do not add up": (
        (9, 20, 12),
        (9, 20, 12),
        {"later": {"n_cases": 40}},
        Direction.UNKNOWN,
        Strength.NOT_COMPARABLE,
    ),
    "not known, no counts": (
        (None, None, None),
        (9, 20, 12),
        {"earlier": {"n_cases": 30}},
        Direction.UNKNOWN,
        Strength.NOT_COMPARABLE,
    ),
    "not known, no number of cases": (
        (None, None, None),
        (9, 20, 12),
        {},
        Direction.UNKNOWN,
        Strength.NOT_COMPARABLE,
    ),
    "not known, share good only": (
        (None, None, 20),
        (20, 20, 40),
        {"earlier": {"n_cases": 80, "n_below_good": 60}},
        Direction.UNKNOWN,
        Strength.NOT_COMPARABLE,
    ),
}
LONE: dict[str, dict[str, Any]] = {
    "all known": {"counts": (5, 10, 15)},
    "none good": {"counts": (5, 10, 0)},
    "all good": {"counts": (0, 0, 12)},
    "one case": {"counts": (1, 0, 0)},
    "no grade known": {"counts": (None, None, None), "n_cases": 31},
    "nothing known": {"counts": (None, None, None)},
    "below good only": {"counts": (None, None, 14), "n_cases": 89, "n_below_good": 75},
    "one grade known": {"counts": (30, None, None), "n_cases": 79},
    "does not add up": {"counts": (9, 20, 12), "n_cases": 40},
    "graded by the force": {"counts": (5, 10, 15), "graded_by": "force"},
    "inspectors alone": {"counts": (5, 10, 15), "graded_by": "inspectors only"},
    "one area": {"counts": (5, 10, 15), "area": "missing children"},
    "a year only": {"counts": (5, 10, 15), "fieldwork": "2021"},
    "date of publication only": {"counts": (5, 10, 15), "fieldwork": None, "published": "2018-11"},
    "four grades": {"counts": (5, 10, 15, 20), "scale": "four grades"},
    "topic judgments": {"counts": (), "scale": "topic judgments", "n_cases": 48, "kind": "topic-judgments"},
}


def pair_of(name: str) -> Comparison:
    before, after, options, _, _ = PAIRS[name]
    if name.endswith("another area"):
        # the rule that chooses audits never pairs two areas; only direct callers can
        first = synthetic.audit(before)
        second = synthetic.audit(after, kind="review", fieldwork="2022-03", area="missing children")
        graded = [change.GradedAudit.from_row(row) for row in synthetic.audits(first, second).to_dicts()]
        return change.between(*graded)
    return synthetic.pair(before, after, **options)


def single_of(name: str) -> SingleAudit:
    options = dict(LONE[name])
    return synthetic.single(options.pop("counts"), **options)


def examples() -> Iterator[Comparison | SingleAudit | NoAudit]:
    for name in PAIRS:
        yield pair_of(name)
    for name in LONE:
        yield single_of(name)
    yield synthetic.none()


def sayings(examined: Comparison | SingleAudit | NoAudit) -> list[str]:
    """Everything that a report says about the figures, one text each, quotations of sources apart."""
    told = [wording.headline(examined), wording.compared(examined), *wording.summary(examined)]
    told += [wording.findings_and_counts(examined), *wording.what_it_cannot_tell(examined)]
    told.append(wording.interval_sentence(examined.confidence))
    if isinstance(examined, Comparison):
        told += [wording.change_sentence(examined, grade) for grade in (Grade.GOOD, Grade.INADEQUATE)]
        told += [wording.evidence_sentence(examined), wording.superiority_sentence(examined)]
        told += [wording.detectable_sentence(examined), wording.change_description(examined)]
        told += [wording.change_chart_title(examined), wording.change_chart_subtitle(examined)]
    if isinstance(examined, SingleAudit):
        told.append(wording.when_comparable(examined, []))
    if not isinstance(examined, NoAudit):
        told += [wording.chart_title(examined), wording.chart_subtitle(examined)]
        told.append(wording.grades_description(examined))
    return told


def figure_sayings(examined: Comparison | SingleAudit) -> list[str]:
    """The sentences that hold nothing but figures and dates."""
    told = [wording.headline(examined), wording.grades_description(examined)]
    told += [wording.audit_sentence(examined, period) for period in wording.periods(examined)]
    if isinstance(examined, Comparison):
        told += [wording.change_sentence(examined, grade) for grade in (Grade.GOOD, Grade.INADEQUATE)]
        told += [wording.superiority_sentence(examined), wording.detectable_sentence(examined)]
        told.append(wording.change_description(examined))
    return told


def report_of(slug: str, evidence: Evidence) -> sections.ForceReport:
    return sections.ForceReport(change.examine(evidence.audits, force=slug), evidence)


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", text) if part]


def half_up(share: Fraction, places: int = 0) -> str:
    scaled = floor(abs(share) * 100 * 10**places + Fraction(1, 2))
    return str(scaled) if not places else f"{scaled // 10**places}.{scaled % 10**places}"


def allowed_numbers(examined: Comparison | SingleAudit) -> set[str]:
    """Every number that a sentence about these audits may show, worked out from the figures alone."""
    # where neither audit is better; the fewest cases compared; the power of the smallest change
    allowed = {"50", str(change.FEWEST_CASES), f"{change.POWER * 100:.0f}"}
    audits = [examined.baseline, examined.follow_up] if isinstance(examined, Comparison) else [examined.audit]
    for audit in audits:
        allowed |= {date[:4] for date in (audit.fieldwork, audit.published) if date}
        allowed |= set(re.findall(r"\d+", audit.inspection_id)) | {str(audit.n_cases)}
    for row in examined.figures.iter_rows(named=True):
        allowed |= {str(row[key]) for key in ("n_cases", "base") if row[key] is not None}
        for key in ("value", "lower", "upper"):
            if row[key] is None:
                continue
            exact = Fraction(repr(row[key]))
            is_share = row["period"] != CHANGE
            allowed.add(half_up(exact, 1 if is_share and row["base"] >= 100 else 0))
            if 0 < abs(exact) < Fraction(1, 200):
                allowed.add("1")  # "less than 1 percentage point"
    return allowed


def numbers(text: str) -> set[str]:
    # a full stop ends a sentence, a stop before a digit is a decimal
    return set(re.findall(r"\d+(?:\.\d+)?", text))


@pytest.mark.parametrize("name", PAIRS)
def test_made_up_pairs_have_the_verdict_they_stand_for(name: str) -> None:
    verdict = pair_of(name).verdict
    assert (verdict.direction, verdict.evidence) == PAIRS[name][3:]


@pytest.mark.parametrize("name", [name for name in PAIRS if name.split(", ")[1] == "cannot tell"])
def test_headline_says_that_we_cannot_tell_unless_the_picture_is_mixed(name: str) -> None:
    headline = wording.headline(pair_of(name))
    if name.startswith("mixed"):
        assert headline.startswith("Mixed picture at Kent Police: the share graded good ")
        assert headline.endswith(", but neither change is bigger than chance could explain.")
    else:
        assert headline == (
            "We cannot tell whether case grades at Kent Police changed between March 2021 and March 2022."
        )


@pytest.mark.parametrize(("name", "word"), [("better, clear", "higher"), ("worse, clear", "lower")])
def test_headline_says_which_grades_were_better_only_if_the_evidence_is_clear(name: str, word: str) -> None:
    assert wording.headline(pair_of(name)) == (
        f"Case grades at Kent Police were {word} in March 2022 than in March 2021. "
        "A difference this large would be unusual if nothing had changed."
    )


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        ((28, 23, 23), (10, 15, 9), ("fell", "fell")),
        ((26, 34, 13), (14, 8, 11), ("rose", "rose")),
    ],
)
def test_mixed_headline_names_how_each_share_moved(
    before: tuple[int, ...], after: tuple[int, ...], moves: tuple[str, str]
) -> None:
    headline = wording.headline(synthetic.pair(before, after))
    assert f"share graded good {moves[0]} and the share graded inadequate {moves[1]}," in headline


def test_mixed_headline_says_how_many_of_the_changes_are_more_than_chance() -> None:
    both, one = (wording.headline(pair_of(name)) for name in ("mixed, clear", "mixed, one of two"))
    assert "both changes" in both
    assert "only the change in the share graded good" in one
    assert "neither" not in both + one


@pytest.mark.parametrize("name", [name for name in PAIRS if name.endswith("too few")])
def test_headline_names_the_smaller_audit_if_there_are_too_few_cases(name: str) -> None:
    pair = pair_of(name)
    fewest = min((pair.baseline, pair.follow_up), key=lambda audit: audit.n_cases or 0)
    headline = wording.headline(pair)
    assert headline.startswith(f"Inspectors graded only {fewest.n_cases} cases ")
    assert headline.endswith(f"in {wording.when(fewest)}, too few to compare.")


@pytest.mark.parametrize("name", [name for name in PAIRS if name.startswith("not known")])
def test_headline_of_audits_that_cannot_be_compared_says_so_and_why(name: str) -> None:
    pair = pair_of(name)
    headline = wording.headline(pair)
    if name.endswith("share good only"):
        assert headline.startswith("Only the share graded good can be compared at Kent Police")
    else:
        assert "cannot be compared" in headline
        assert str(pair.verdict.reason) in headline
    assert not re.search(r"\b(higher|lower|better|worse)\b", headline)


def test_headline_after_february_2024_says_that_the_methods_differ() -> None:
    headline = wording.headline(pair_of("not known, another method"))
    assert "before and after February 2024 use different methods" in headline


@pytest.mark.parametrize("direction", ["better", "worse", "mixed", "level"])
def test_headline_never_says_that_only_one_share_can_be_compared_if_both_can(direction: str) -> None:
    pair = pair_of(f"{direction}, not comparable")
    assert not wording.headline(pair).startswith("Only the share graded good can be compared")


def test_headline_of_a_share_that_stayed_level_does_not_say_by_how_much_it_moved() -> None:
    pair = synthetic.pair((None, None, 10), (10, 20, 10), earlier={"n_cases": 40, "n_below_good": 30})
    headline = wording.headline(pair)
    assert "level" in headline
    assert "more than chance" not in headline


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # good and inadequate stay, the grades between move up
        ((10, 70, 10, 10), (10, 10, 70, 10)),
        # one case more is good, 59 fell from adequate to requires improvement
        ((10, 10, 70, 10), (10, 69, 10, 11)),
    ],
)
def test_headline_on_four_grades_never_contradicts_the_grades_between(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    pair = synthetic.pair(before, after, scale="four grades")
    is_up = wording.figure(pair, "superiority", CHANGE)["value"] > 0.5
    headline = wording.headline(pair)
    assert ("lower" if is_up else "higher") not in headline


@pytest.mark.parametrize("name", PAIRS)
def test_evidence_sentence_says_direction_and_evidence_apart(name: str) -> None:
    verdict = pair_of(name).verdict
    said = wording.evidence_sentence(pair_of(name))
    words = {
        Direction.BETTER: "better",
        Direction.WORSE: "worse",
        Direction.MIXED: "mixed",
        Direction.LEVEL: "level",
        Direction.UNKNOWN: "not known",
    }
    assert words[verdict.direction] in said
    assert ("cannot tell" in said) == (verdict.evidence is Strength.CANNOT_TELL)
    assert ("too few" in said) == (verdict.evidence is Strength.TOO_FEW)
    assert ("not comparable" in said) == (verdict.evidence is Strength.NOT_COMPARABLE)


def test_level_counts_are_not_called_a_difference() -> None:
    # two audits with the same shares differ in nothing, so no difference can be "this large"
    assert "differences this large" not in wording.evidence_sentence(pair_of("level, cannot tell"))


@pytest.mark.parametrize("name", PAIRS)
def test_summary_counts_both_audits_and_ends_on_the_limits(name: str) -> None:
    pair = pair_of(name)
    said = wording.summary(pair)
    assert said[:2] == tuple(wording.audit_sentence(pair, period) for period in (BASELINE, FOLLOW_UP))
    assert said[-1] == wording.LIMITS
    reason = pair.verdict.reason
    assert reason is None or any(reason in one for one in (wording.headline(pair), *said))


def test_limits_are_those_every_headline_must_be_followed_by() -> None:
    assert wording.LIMITS == (
        "Inspectors chose these cases to look at particular areas of work. They are not a random sample, so "
        "they do not tell us about all child protection cases or why grades changed."
    )


def test_limits_do_not_say_that_inspectors_chose_cases_which_the_force_chose() -> None:
    lone = single_of("graded by the force")
    assert "that the force graded itself" in wording.headline(lone)
    assert not any(said.startswith("Inspectors chose") for said in wording.summary(lone))


@pytest.mark.parametrize("name", LONE)
def test_one_audit_alone_says_so_and_claims_no_change(name: str) -> None:
    lone = single_of(name)
    headline = wording.headline(lone)
    assert headline.startswith("One audit only: ")
    assert not re.search(r"\b(rose|fell|higher|lower|changed|better|worse)\b", headline)


def test_no_audit_names_the_force_and_gives_no_number() -> None:
    headline = wording.headline(synthetic.none())
    assert headline.startswith("No audits yet: ")
    assert "Kent Police" in headline
    assert not numbers(headline)
    assert wording.summary(synthetic.none()) == ()


@pytest.mark.parametrize(
    ("n", "base", "shown"),
    [
        (1, 40, "3%"),  # 2.5
        (1, 8, "13%"),  # 12.5
        (3, 40, "8%"),  # 7.5
        (5, 40, "13%"),  # 12.5, where half to even gives 12
        (0, 21, "0%"),
        (21, 21, "100%"),
        (98, 99, "99%"),
        (99, 100, "99.0%"),
        (1, 400, "0.3%"),  # 0.25
        (5, 400, "1.3%"),  # 1.25, where half to even gives 1.2
        (400, 400, "100.0%"),
        (96, 374, "25.7%"),
    ],
)
def test_percentages_are_rounded_half_up_with_one_decimal_from_100_cases(
    n: int, base: int, shown: str
) -> None:
    assert wording.percent(n / base, base=base) == shown


def test_every_share_of_up_to_130_cases_is_rounded_as_the_exact_fraction_is() -> None:
    wrong = [
        (n, base)
        for base in range(1, 131)
        for n in range(base + 1)
        if wording.percent(n / base, base=base) != f"{half_up(Fraction(n, base), 0 if base < 100 else 1)}%"
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("before", "base_before", "after", "base_after", "shown"),
    [
        (2, 20, 3, 24, "3"),  # 2.5
        (3, 20, 3, 24, "3"),  # -2.5
        (11, 20, 15, 24, "8"),  # 7.5
        (7, 20, 3, 24, "23"),  # -22.5
        (0, 40, 1, 40, "3"),  # 2.5
        (23, 74, 9, 34, "5"),  # 4.6, though 31% less 26% is 5 as well
    ],
)
def test_points_of_a_change_are_rounded_half_up_from_the_counts(
    before: int, base_before: int, after: int, base_after: int, shown: str
) -> None:
    estimate = change.share_change(before, base_before, after, base_after)
    assert wording.points(estimate.value) == shown


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ((13, 2, 5), (22, 4, 14), "56%"),  # 55.5
        ((3, 5, 12), (13, 3, 24), "47%"),  # 46.5
        ((10, 8, 2), (23, 2, 15), "54%"),  # 53.5
        ((28, 23, 23), (10, 15, 9), "51%"),
    ],
)
def test_chance_of_the_better_grade_is_rounded_half_up_from_the_counts(
    before: tuple[int, ...], after: tuple[int, ...], shown: str
) -> None:
    said = wording.superiority_sentence(synthetic.pair(before, after))
    assert f" {shown} of the time" in said


@pytest.mark.parametrize(
    ("confidence", "shown"), [(0.95, "95%"), (0.9, "90%"), (0.975, "97.5%"), (0.999, "99.9%")]
)
def test_level_of_the_intervals_is_named_as_it_was_asked_for(
    confidence: float, shown: str, evidence: Evidence
) -> None:
    pair = synthetic.pair((28, 23, 23), (10, 15, 9), confidence=confidence)
    assert f" {shown} " in wording.interval_sentence(confidence)
    assert f" {shown} " in sections.method(sections.ForceReport(pair, evidence)).plain


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("2022", "2022"),
        ("2022-02", "February 2022"),
        ("2022-02-14", "February 2022"),
        ("2022-12", "December 2022"),
    ],
)
def test_month_says_as_much_of_a_date_as_readers_need(date: str, words: str) -> None:
    assert wording.month(date) == words


@pytest.mark.parametrize("nothing", [None, ""])
def test_month_refuses_to_make_up_a_date(nothing: str | None) -> None:
    with pytest.raises(ValueError, match="no date"):
        wording.month(nothing)


def test_date_of_publication_is_not_passed_off_as_the_date_of_the_fieldwork() -> None:
    lone = single_of("date of publication only")
    assert "November 2018 (published)" in wording.when(lone.audit)
    assert "November 2018 (published)" in wording.compared(lone)


@pytest.mark.parametrize("slot", ["earlier", "later"])
def test_sentences_stay_grammatical_if_only_the_date_of_publication_is_known(slot: str) -> None:
    dated = {"fieldwork": None, "published": "2020-11" if slot == "earlier" else "2022-11"}
    pair = synthetic.pair((28, 23, 23), (10, 15, 9), **{slot: dated})
    level = synthetic.pair((28, 23, 23), (1, 2, 1), **{slot: dated})
    lone = single_of("date of publication only")
    for said in [*sayings(pair), *sayings(level), *sayings(lone)]:
        assert not re.search(r"\b(in|and|than in|to) published\b", said), said


def test_one_case_is_singular_in_every_sentence() -> None:
    lone, few = single_of("one case"), synthetic.pair((10, 20, 10), (1, 0, 0))
    for said in [*sayings(lone), *sayings(few)]:
        assert not re.search(r"\b1 cases\b", said), said
    assert re.search(r"\b1 case\b", wording.headline(lone))


def test_a_grade_with_no_cases_is_said_and_not_left_out() -> None:
    lone = single_of("none good")
    assert "0 (0%)" in wording.headline(lone)
    assert "0 good (0%)" in wording.grades_description(lone)


def test_all_good_is_said_with_its_range_and_no_promise_of_a_rise() -> None:
    pair = synthetic.pair((0, 0, 300), (0, 0, 400))
    assert "300 (100.0%)" in wording.audit_sentence(pair, BASELINE)
    assert "cannot tell" in wording.headline(pair)
    assert "no interval" in wording.superiority_sentence(pair)
    # 300 and 400 cases are not too few: nothing can be better than all good
    assert "too small" not in wording.detectable_sentence(pair)


@pytest.mark.parametrize(
    "name", [name for name in PAIRS if name.startswith("not known") and not name.endswith("only")]
)
def test_audits_that_cannot_be_compared_are_not_called_too_small(name: str) -> None:
    assert "too small" not in wording.detectable_sentence(pair_of(name))


def test_smallest_change_that_shows_is_told_with_its_direction_and_size() -> None:
    said = wording.detectable_sentence(pair_of("mixed, cannot tell"))
    assert re.search(r"rise of about 28 points in the share graded good", said)
    assert re.search(r"fall of about 25 points in the share graded inadequate", said)


def test_a_share_that_did_not_move_is_level_and_not_a_rise_of_0() -> None:
    pair = pair_of("level, cannot tell")
    for grade in (Grade.GOOD, Grade.INADEQUATE):
        assert not re.search(r"That is a (rise|fall)", wording.change_sentence(pair, grade))
    assert "level" in wording.chart_title(pair)
    assert not re.search(r"\brose|\bfell", wording.chart_title(pair))


def test_a_change_that_rounds_to_0_keeps_its_direction() -> None:
    pair = synthetic.pair((100, 100, 100), (100, 101, 100))
    said = wording.change_sentence(pair, Grade.GOOD)
    assert "a fall of less than 1 percentage point" in said
    assert " of 0 " not in said


def test_a_change_of_1_point_is_singular() -> None:
    pair = synthetic.pair((50, 100, 50), (50, 100, 52))
    assert re.search(r"a rise of 1 percentage point\b(?!s)", wording.change_sentence(pair, Grade.GOOD))


@pytest.mark.parametrize("name", PAIRS)
def test_chart_titles_have_ten_words_or_fewer(name: str) -> None:
    pair = pair_of(name)
    for title in (wording.chart_title(pair), wording.change_chart_title(pair)):
        assert 0 < len(title.split()) <= 10, title


@pytest.mark.parametrize("slug", SLUGS)
def test_chart_titles_of_every_force_have_ten_words_or_fewer(slug: str, evidence: Evidence) -> None:
    examined = report_of(slug, evidence).examined
    if isinstance(examined, NoAudit):
        return
    titles = [wording.chart_title(examined)]
    titles += [wording.change_chart_title(examined)] if isinstance(examined, Comparison) else []
    for title in titles:
        assert 0 < len(title.split()) <= 10, title


BANNED = {
    "outcome": r"\boutcomes?\b",
    "significant": r"\bsignifican",
    "score": r"\bscor(e|es|ed|ing)\b",
    "failed cases": r"\bfail(s|ed|ing|ure)?\b",
    "league table": r"\bleague\b",
    "ranking": r"\brank(s|ed|ing|ings)?\b",
    "best or worst force": r"\b(best|worst|top|bottom)\b",
    "cause": r"\b(because|caused?|causes|due to|thanks to|owing to|led to|as a result|resulted|impact)\b",
    "performance": r"\bperform(ance|ed|ing)?\b",
    "a sample": r"\bsamples?\b",
}


def banned_words_in(text: str) -> list[str]:
    # "not a random sample" is what a report must say; any other sample is a claim
    bare = re.sub(r"not a random sample", "", text)
    return [name for name, pattern in BANNED.items() if re.search(pattern, bare, re.IGNORECASE)]


@pytest.mark.parametrize("slug", SLUGS)
def test_banned_words_appear_in_no_sentence_about_any_force(slug: str, evidence: Evidence) -> None:
    report = report_of(slug, evidence)
    told = sayings(report.examined)
    told += [wording.resolution_sentence(audit) for audit in report.audits]
    told += sections.method(report).plain.splitlines() + sections.limits(report).plain.splitlines()
    for said in told:
        assert banned_words_in(said) == [], said


def test_banned_words_appear_in_no_sentence_about_made_up_audits() -> None:
    found = {said: banned_words_in(said) for one in examples() for said in sayings(one)}
    assert {said: words for said, words in found.items() if words} == {}


# Headlines describe counts; that nothing changed is more than any count can bear.
NO_CHANGE = (
    r"\b(no|not any|without) (change|difference)\b|\bunchanged\b|\b(did|has|have) not change|\bthe same\b"
)


def test_no_headline_claims_that_nothing_changed() -> None:
    for one in examples():
        assert not re.search(NO_CHANGE, wording.headline(one), re.IGNORECASE), wording.headline(one)


@pytest.mark.parametrize("slug", SLUGS)
def test_no_headline_of_any_force_claims_that_nothing_changed(slug: str, evidence: Evidence) -> None:
    assert not re.search(NO_CHANGE, wording.headline(report_of(slug, evidence).examined), re.IGNORECASE)


MOST_WORDS = 30
# Longer sentences that the code has; each should be split, and then its line here goes.
LONGER = (
    r"^A test of one share alone would find a rise of about .* or a fall of about",
    r"^One audit only: of the \d+ cases about children at high risk of sexual exploitation",
    r"^(- )?Evidence is called clear only if",
)


@pytest.mark.parametrize("slug", SLUGS)
def test_sentences_of_every_force_have_30_words_or_fewer(slug: str, evidence: Evidence) -> None:
    report = report_of(slug, evidence)
    told = sayings(report.examined) + [wording.resolution_sentence(audit) for audit in report.audits]
    told += sections.method(report).plain.splitlines() + sections.limits(report).plain.splitlines()
    told += sections.no_comparison(report).plain.splitlines()
    for said in (sentence for text in told for sentence in sentences(text)):
        is_listed = any(re.search(pattern, said) for pattern in LONGER)
        assert is_listed or len(said.split()) <= MOST_WORDS, said


@pytest.mark.parametrize("slug", SLUGS)
def test_numbers_in_the_sentences_of_every_force_come_from_its_figures(slug: str, evidence: Evidence) -> None:
    examined = report_of(slug, evidence).examined
    if isinstance(examined, NoAudit):
        return
    for said in figure_sayings(examined):
        assert numbers(said) <= allowed_numbers(examined), said


@pytest.mark.parametrize("name", [*PAIRS, *LONE])
def test_numbers_in_sentences_about_made_up_audits_come_from_the_figures(name: str) -> None:
    examined = pair_of(name) if name in PAIRS else single_of(name)
    for said in figure_sayings(examined):
        assert numbers(said) <= allowed_numbers(examined), said
        assert "None" not in said


def test_sentences_follow_the_table_of_figures_and_not_the_audits() -> None:
    pair = pair_of("mixed, cannot tell")
    is_good_before = (pl.col("measure") == "share_good") & (pl.col("period") == BASELINE)
    altered = pair.figures.with_columns(
        n_cases=pl.when(is_good_before).then(61).otherwise("n_cases"),
        value=pl.when(is_good_before).then(61 / 74).otherwise("value"),
    )
    said = wording.audit_sentence(replace(pair, figures=altered), BASELINE)
    assert "61 (82%)" in said
    assert "23" not in said


@pytest.mark.parametrize("slug", SLUGS)
def test_sentences_of_every_force_are_whole(slug: str, evidence: Evidence) -> None:
    report = report_of(slug, evidence)
    told = [
        *sayings(report.examined),
        *(wording.resolution_sentence(audit) for audit in report.audits),
        sections.no_comparison(report).plain,
    ]
    for said in told:
        assert "None" not in said, said
        assert "nan" not in said.lower().split(), said
        assert not re.search(r"  |\.\.|\?\.| ,| \.|:\.", said), said
        assert said[0].isupper() or said[0].isdigit(), said


@settings(max_examples=60)
@given(
    before=st.tuples(*[st.integers(0, 60)] * 3).filter(lambda counts: sum(counts) >= 20),
    after=st.tuples(*[st.integers(0, 60)] * 3).filter(lambda counts: sum(counts) >= 20),
)
def test_headline_agrees_with_the_verdict_whatever_the_counts(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    pair = synthetic.pair(before, after)
    headline = wording.headline(pair)
    is_clear = pair.verdict.evidence is Strength.CLEAR
    assert headline.startswith("Mixed picture") == (pair.verdict.direction is Direction.MIXED)
    assert ("were higher" in headline) == (is_clear and pair.verdict.direction is Direction.BETTER)
    assert ("were lower" in headline) == (is_clear and pair.verdict.direction is Direction.WORSE)
    assert numbers(headline) <= allowed_numbers(pair)


def test_known_inspection_is_named_with_what_is_known_of_its_dates() -> None:
    row = {"kind": "re-inspection", "fieldwork": "2023-03", "published": "2023-07-05"}
    assert wording.known_inspection(row) == "re-inspection of March 2023 (published July 2023)"
    assert wording.known_inspection(row | {"fieldwork": None}) == "re-inspection (published July 2023)"
    assert wording.known_inspection(row | {"fieldwork": None, "published": None}) == "re-inspection"
