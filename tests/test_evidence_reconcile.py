import itertools
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis import vocabulary
from analysis.evidence import reconcile
from analysis.evidence.cleaning import Evidence
from analysis.evidence.statements import Statement
from analysis.vocabulary import Grade

COUNTS = ("n_cases", "n_good", "n_adequate", "n_requires_improvement", "n_inadequate", "n_below_good")
KEY = ("inspection_id", "area", "graded_by")
SCHEMA = Statement.create_empty().schema


def said(publisher: str, source_kind: str = "press", **told: Any) -> dict[str, Any]:
    counts = {name: told.pop(name.removeprefix("n_"), None) for name in COUNTS}
    statement = {
        "inspection_id": "kent-2019-05-initial",
        "force": "kent",
        "group": None,
        "kind": "initial",
        "fieldwork": "2019-05",
        "fieldwork_precision": "month",
        "published": "2019-09",
        "area": "overall",
        "graded_by": "inspectors",
        "scale": "three grades",
        "publisher": publisher,
        "title": None,
        "url": "https://example.org/page",
        "source_kind": source_kind,
        "source": publisher,
        "note": None,
        "is_kept_as_printed": False,
    }
    assert not told.keys() - statement.keys()
    return statement | counts | told


def resolve_all(*said_: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = [{"row": row} | statement for row, statement in enumerate(said_, start=2)]
    return reconcile.reconcile(Statement.validate(pl.DataFrame(rows, schema=SCHEMA)))


def resolve(*said_: dict[str, Any]) -> dict[str, Any]:
    audits, _ = resolve_all(*said_)
    (audit,) = audits.to_dicts()
    return audit


def counts_of(audit: dict[str, Any]) -> dict[str, int]:
    return {name.removeprefix("n_"): audit[name] for name in COUNTS if audit[name] is not None}


def the_audit(audits: pl.DataFrame, inspection_id: str, **key: str) -> dict[str, Any]:
    wanted = {"area": "overall", "graded_by": "inspectors"} | key
    (audit,) = audits.filter(inspection_id=inspection_id, **wanted).to_dicts()
    return audit


REAL_CASES = {
    "Dorset 2021": (
        ("dorset-2021-04-initial", {}),
        {"cases": 83, "good": 20, "requires_improvement": 35, "inadequate": 28, "below_good": 63},
        ("conflict", 4, 3, True),
        ([], ["n_inadequate"]),
        "Sources disagree on inadequate: 28 (3 independent sources) was taken, 23 (Bournemouth Echo) was not.",
    ),
    "Metropolitan 2016": (
        ("metropolitan-2016-02-initial", {}),
        {"cases": 374, "good": 96, "below_good": 278},
        ("conflict", 5, 4, None),
        (["n_good"], ["n_cases"]),
        "Sources disagree on the number of cases: 374 (4 independent sources) was taken, "
        "384 (breakingnewstime.com) was not. Not printed but follows by arithmetic: good 96. "
        "Not stated in any source read: requires improvement and inadequate (only their sum, 278).",
    ),
    "West Yorkshire 2014, by the force": (
        ("west-yorkshire-2014-08-initial", {"graded_by": "force"}),
        {
            "cases": 33,
            "good": 17,
            "adequate": 8,
            "requires_improvement": 5,
            "inadequate": 3,
            "below_good": 8,
        },
        ("single source", 1, 1, True),
        ([], []),
        None,
    ),
    "West Yorkshire 2014, the same cases by inspectors": (
        ("west-yorkshire-2014-08-initial", {}),
        {
            "cases": 33,
            "good": 9,
            "adequate": 8,
            "requires_improvement": 7,
            "inadequate": 10,
            "below_good": 17,
        },
        ("single source", 1, 1, False),
        ([], []),
        "The grades add to 34, not 33: kept as printed, and not used for a comparison.",
    ),
    "West Yorkshire 2014, further cases by inspectors alone": (
        ("west-yorkshire-2014-08-initial", {"graded_by": "inspectors only"}),
        {
            "cases": 64,
            "good": 17,
            "adequate": 20,
            "requires_improvement": 12,
            "inadequate": 15,
            "below_good": 27,
        },
        ("derived", 1, 1, True),
        (["n_inadequate"], []),
        "Not printed but follows by arithmetic: inadequate 15.",
    ),
    "Northamptonshire 2019": (
        ("northamptonshire-2019-03-review", {}),
        {"cases": 21, "good": 0, "requires_improvement": 10, "inadequate": 11, "below_good": 21},
        ("derived", 3, 3, True),
        (["n_requires_improvement"], []),
        "Not printed but follows by arithmetic: requires improvement 10. "
        "Only 2 of the 3 sources that agree state any grade.",
    ),
    "Greater Manchester 2014, by inspectors": (
        ("greater-manchester-2014-07-initial", {}),
        {
            "cases": 30,
            "good": 8,
            "adequate": 16,
            "requires_improvement": 1,
            "inadequate": 5,
            "below_good": 6,
        },
        ("derived", 1, 1, True),
        (["n_adequate"], []),
        "Not printed but follows by arithmetic: adequate 16.",
    ),
    "Greater Manchester 2014, by the force": (
        ("greater-manchester-2014-07-initial", {"graded_by": "force"}),
        {"cases": 30},
        ("partial", 1, 1, None),
        ([], []),
        "Not stated in any source read: good, adequate, requires improvement, inadequate.",
    ),
    "Greater Manchester 2024": (
        ("greater-manchester-published-2024-12-topic-judgments", {}),
        {"cases": 48},
        ("partial", 1, 1, None),
        ([], []),
        "No case grades: since February 2024 inspectors judge five topics and do not publish case grades.",
    ),
    "the thematic report of 2015": (
        ("national-8-forces-published-2015-07-thematic", {}),
        {"cases": 576, "good": 177, "adequate": 179, "inadequate": 220},
        ("agreed", 4, 4, True),
        ([], []),
        None,
    ),
}


@pytest.mark.parametrize("case", REAL_CASES)
def test_a_real_case_comes_out_right(audits: pl.DataFrame, case: str) -> None:
    (inspection_id, key), counts, (resolution, n, n_agreeing, adds_up), (derived, contested), note = (
        REAL_CASES[case]
    )

    audit = the_audit(audits, inspection_id, **key)

    assert counts_of(audit) == counts
    assert (audit["resolution"], audit["n_sources"], audit["n_sources_agreeing"]) == (
        resolution,
        n,
        n_agreeing,
    )
    assert audit["adds_up"] is adds_up
    assert (audit["derived"], audit["contested"]) == (derived, contested)
    assert audit["note"] == note


def test_the_two_sets_of_cases_of_west_yorkshire_are_never_added(audits: pl.DataFrame) -> None:
    overall = audits.filter(force="west-yorkshire", area="overall")

    assert overall.select("graded_by", "n_cases").rows() == [
        ("force", 33),
        ("inspectors", 33),
        ("inspectors only", 64),
    ]


@pytest.mark.parametrize(
    ("inspection_id", "counts", "resolution"),
    [
        ("warwickshire-2022-02-initial", (74, 23, 23, 28), "single source"),
        ("warwickshire-2023-02-review", (34, 9, 15, 10), "agreed"),
        ("north-yorkshire-2021-11-initial", (73, 13, 34, 26), "agreed"),
        ("north-yorkshire-2022-12-review", (33, 11, 8, 14), "agreed"),
        ("suffolk-2022-07-initial", (72, 27, 24, 21), "agreed"),
        ("suffolk-2023-07-review", (30, 17, 7, 6), "single source"),
        ("dorset-2022-04-review", (31, 10, 10, 11), "agreed"),
        ("cleveland-2017-05-initial", (81, 15, 42, 24), "derived"),
        ("hampshire-2022-06-review", (30, 12, 14, 4), "agreed"),
    ],
)
def test_a_full_audit_on_three_grades_adds_up(
    audits: pl.DataFrame, inspection_id: str, counts: tuple[int, ...], resolution: str
) -> None:
    audit = the_audit(audits, inspection_id)

    assert tuple(audit[f"n_{n}"] for n in ("cases", "good", "requires_improvement", "inadequate")) == counts
    assert audit["n_adequate"] is None
    assert audit["adds_up"] is True
    assert audit["resolution"] == resolution


def test_an_audit_is_one_set_of_cases(audits: pl.DataFrame) -> None:
    assert audits.height == 48
    assert audits.select(KEY).is_unique().all()


def test_every_statement_is_behind_one_audit_and_counted_in_it(evidence: Evidence) -> None:
    behind = evidence.statements.group_by(KEY).agg(pl.col("source").n_unique().alias("n"))

    counted = evidence.audits.join(behind, on=KEY, how="full", coalesce=True)

    assert counted.height == evidence.audits.height
    assert counted.filter(pl.col("n_sources") != pl.col("n")).is_empty()


def test_figures_of_groups_never_carry_a_force_and_come_last(audits: pl.DataFrame) -> None:
    groups = audits.filter(pl.col("group").is_not_null())

    assert groups["force"].null_count() == groups.height == 2
    assert audits.tail(2).equals(groups)
    assert set(groups["group"]) == {"national-6-forces", "national-8-forces"}
    assert not any(audits["force"].drop_nulls().is_in(list(vocabulary.NAME_OF_GROUP)))


def test_audits_come_by_force_then_date_then_area_then_who_graded(audits: pl.DataFrame) -> None:
    keys = [
        (
            row["force"],
            row["fieldwork"] or row["published"],
            row["area"] != "overall",
            row["area"],
            row["graded_by"],
        )
        for row in audits.drop_nulls("force").iter_rows(named=True)
    ]

    assert keys == sorted(keys)


def test_every_resolution_occurs_and_is_one_of_the_five(audits: pl.DataFrame) -> None:
    assert set(audits["resolution"]) == set(reconcile.RESOLUTIONS)


def test_the_losers_stay_listed_with_what_they_differ_in(evidence: Evidence) -> None:
    losers = evidence.statements.filter(~pl.col("is_upheld"))

    assert losers.select("inspection_id", "publisher", "differs_in").rows() == [
        ("dorset-2021-04-initial", "Bournemouth Echo", ["n_inadequate"]),
        ("metropolitan-2016-02-initial", "breakingnewstime.com", ["n_cases"]),
        ("metropolitan-2016-02-initial", "breakingnewstime.com", ["n_cases"]),
        ("west-midlands-2014-06-initial", "Heart West Midlands", ["n_cases"]),
    ]
    assert evidence.statements["row"].to_list() == list(range(2, evidence.statements.height + 2))


@pytest.mark.parametrize(
    ("said_", "good"),
    [
        pytest.param(
            [
                said("A", cases=10, good=3),
                said("B", cases=10, good=3),
                said("C", cases=10, good=3),
                said("Inspectorate", "primary", cases=10, good=4),
            ],
            4,
            id="the inspectorate's own page beats a majority of the press",
        ),
        pytest.param(
            [said("Commissioner", "official", good=3), said("Inspectorate", "primary", good=4)],
            4,
            id="the inspectorate's own page beats an official body",
        ),
        pytest.param(
            [said("A", good=3), said("B", good=3), said("Commissioner", "official", good=4)],
            4,
            id="an official body beats a majority of the press",
        ),
        pytest.param(
            [
                said("A", cases=10, good=3, requires_improvement=3, inadequate=4),
                said("Commissioner", "official", cases=10, good=4),
            ],
            4,
            id="an official body beats a set of counts that adds up",
        ),
        pytest.param(
            [said("A", good=3), said("B", good=4), said("C", good=4)],
            4,
            id="two independent texts beat one",
        ),
        pytest.param(
            [
                said("A", good=3, source="PA Media"),
                said("B", good=3, source="PA Media"),
                said("C", good=3, source="PA Media"),
                said("D", good=4),
                said("E", good=4),
            ],
            4,
            id="texts that share wording count once",
        ),
        pytest.param(
            [
                said("A", cases=10, good=4, requires_improvement=3, inadequate=3),
                said("B", cases=10, good=3, requires_improvement=3, inadequate=3),
            ],
            4,
            id="a set that adds up beats one that does not",
        ),
        pytest.param(
            [
                said("A", cases=10, good=4, requires_improvement=3, inadequate=3),
                said("B", cases=11, good=3, requires_improvement=3, inadequate=3),
                said("C", good=3),
            ],
            3,
            id="a majority beats a set that adds up",
        ),
    ],
)
def test_one_value_outranks_another_whatever_the_order(said_: list[dict[str, Any]], good: int) -> None:
    audits = [resolve(*order) for order in itertools.permutations(said_)] if len(said_) <= 3 else []
    audits += [resolve(*said_), resolve(*reversed(said_))]

    assert {audit["n_good"] for audit in audits} == {good}
    assert {audit["resolution"] for audit in audits} == {"conflict"}
    assert {"n_good" in audit["contested"] for audit in audits} == {True}
    assert {f"disagree on good: {good} (" in audit["note"] for audit in audits} == {True}
    assert {"was not." in audit["note"] for audit in audits} == {True}


def test_a_full_tie_leaves_the_count_unknown_and_says_so() -> None:
    audits, judged = resolve_all(said("A", cases=10, good=3), said("B", cases=10, good=4))

    (audit,) = audits.to_dicts()
    assert counts_of(audit) == {"cases": 10}
    assert audit["resolution"] == "conflict"
    assert audit["contested"] == ["n_good", "n_below_good"]
    assert (audit["n_sources"], audit["n_sources_agreeing"]) == (2, 0)
    assert "Sources disagree on good: 3 (A) against 4 (B); none outranks, so it is unknown." in audit["note"]
    assert judged["is_upheld"].to_list() == [False, False]
    assert judged["differs_in"].to_list() == [["n_good", "n_below_good"]] * 2


def test_a_tie_on_one_count_leaves_the_others_known() -> None:
    audit = resolve(
        said("A", cases=10, inadequate=4),
        said("B", cases=10, inadequate=4),
        said("C", good=3),
        said("D", good=2),
    )

    assert counts_of(audit) == {"cases": 10, "inadequate": 4}


@pytest.mark.parametrize("first", ["A", "B"])
def test_a_note_never_says_that_another_value_was_taken_than_the_resolved_one(first: str) -> None:
    # A and B tie on good; the pages of C and D together settle it by arithmetic
    a, b = said("A", good=3), said("B", good=4)
    others = (said("C", requires_improvement=3, inadequate=4), said("D", cases=10))

    audit = resolve(*((a, b) if first == "A" else (b, a)), *others)

    assert audit["n_good"] in (3, None)
    assert "4 (B) was taken" not in audit["note"]


@pytest.mark.parametrize(
    ("scale", "told", "derived"),
    [
        ("three grades", {"cases": 10, "requires_improvement": 4, "inadequate": 3}, {"good": 3}),
        ("three grades", {"cases": 10, "good": 3, "inadequate": 3}, {"requires_improvement": 4}),
        ("three grades", {"cases": 10, "good": 3, "requires_improvement": 4}, {"inadequate": 3}),
        ("three grades", {"good": 3, "requires_improvement": 4, "inadequate": 3}, {"cases": 10}),
        ("three grades", {"cases": 10, "below_good": 7}, {"good": 3}),
        (
            "three grades",
            {"cases": 10, "below_good": 7, "inadequate": 3},
            {"good": 3, "requires_improvement": 4},
        ),
        (
            "three grades",
            {"cases": 10, "below_good": 7, "requires_improvement": 7},
            {"good": 3, "inadequate": 0},
        ),
        ("three grades", {"cases": 10, "good": 10}, {"requires_improvement": 0, "inadequate": 0}),
        (
            "three grades",
            {"cases": 10, "below_good": 0},
            {"good": 10, "requires_improvement": 0, "inadequate": 0},
        ),
        ("three grades", {"cases": 10, "below_good": 10}, {"good": 0}),
        ("three grades", {"cases": 6, "requires_improvement": 1, "inadequate": 5}, {"good": 0}),
        ("three grades", {"good": 3, "below_good": 7}, {"cases": 10}),
        (
            "four grades",
            {"cases": 10, "good": 3, "requires_improvement": 2, "inadequate": 1},
            {"adequate": 4},
        ),
        ("four grades", {"cases": 10, "good": 3, "below_good": 3}, {"adequate": 4}),
        (
            "four grades",
            {"cases": 6, "requires_improvement": 1, "inadequate": 5},
            {"good": 0, "adequate": 0},
        ),
        ("good, adequate, inadequate", {"cases": 10, "good": 3, "inadequate": 3}, {"adequate": 4}),
        # with two grades open nothing follows
        ("three grades", {"cases": 10, "good": 3}, {}),
        ("three grades", {"cases": 10, "inadequate": 3}, {}),
        ("four grades", {"cases": 10, "good": 3, "inadequate": 3}, {}),
        ("four grades", {"cases": 10, "below_good": 7}, {}),
        ("four grades", {"good": 3, "requires_improvement": 4, "inadequate": 3}, {}),
        ("four grades", {"good": 3, "below_good": 7}, {}),
        ("topic judgments", {"cases": 10}, {}),
    ],
    ids=str,
)
def test_what_follows_by_arithmetic_is_derived_and_said_so(
    scale: str, told: dict[str, int], derived: dict[str, int]
) -> None:
    audit = resolve(said("A", scale=scale, **told))

    counts = counts_of(audit)
    counts.pop("below_good", None)
    assert counts == {name: n for name, n in (told | derived).items() if name != "below_good"}
    assert sorted(audit["derived"]) == sorted(f"n_{name}" for name in derived)
    assert (audit["resolution"] == "derived") == bool(derived)
    for name, count in derived.items():
        noun = "the number of cases" if name == "cases" else name.replace("_", " ")
        assert f"{noun} {count}" in audit["note"].split("follows by arithmetic: ")[1]


def test_below_good_is_the_sum_of_the_two_grades_and_no_derived_grade() -> None:
    audit = resolve(said("A", cases=10, good=3, requires_improvement=4, inadequate=3))

    assert audit["n_below_good"] == 7
    assert audit["derived"] == []
    assert audit["resolution"] == "single source"


def test_below_good_of_one_page_is_held_against_good_of_another() -> None:
    audit = resolve(said("A", cases=10, below_good=7), said("Inspectorate", "primary", cases=10, good=4))

    assert counts_of(audit) == {"cases": 10, "good": 4, "below_good": 6}
    assert audit["contested"] == ["n_good", "n_below_good"]


def test_pages_complete_each_other_without_a_conflict() -> None:
    audit = resolve(said("A", cases=10, inadequate=3), said("B", below_good=7))

    assert counts_of(audit) == {
        "cases": 10,
        "good": 3,
        "requires_improvement": 4,
        "inadequate": 3,
        "below_good": 7,
    }
    assert (audit["resolution"], audit["n_sources"], audit["n_sources_agreeing"]) == ("derived", 2, 2)


FULL = {"cases": 10, "good": 3, "requires_improvement": 4, "inadequate": 3}


@pytest.mark.parametrize(
    ("said_", "resolution"),
    [
        ([said("A", **FULL)], "single source"),
        ([said("A", **FULL), said("B", **FULL, source="A")], "single source"),
        ([said("A", **FULL), said("B", **FULL)], "agreed"),
        ([said("A", cases=10), said("B", cases=10)], "partial"),
        ([said("A", cases=10, good=3, below_good=7), said("B", cases=10)], "partial"),
        ([said("A", **FULL | {"cases": None})], "derived"),
        ([said("A", cases=10, below_good=7)], "derived"),
        ([said("A", cases=10, below_good=7), said("B", cases=11)], "conflict"),
        ([said("A", cases=10), said("B", cases=11)], "conflict"),
        ([said("A", **FULL), said("B", **FULL | {"good": 2})], "conflict"),
        ([said("A", **FULL), said("A", **FULL | {"good": 2})], "conflict"),
    ],
    ids=[
        "one page",
        "two pages with one text",
        "two texts",
        "grades unknown",
        "split unknown",
        "total derived",
        "derived before partial",
        "conflict before derived",
        "conflict before partial",
        "conflict before agreed",
        "conflict with itself",
    ],
)
def test_the_first_resolution_that_applies_is_named(said_: list[dict[str, Any]], resolution: str) -> None:
    assert resolve(*said_)["resolution"] == resolution


def test_what_else_applies_is_told_in_the_note() -> None:
    audit = resolve(said("A", cases=10, below_good=7), said("B", cases=10), said("C", cases=11))

    assert audit["note"] == (
        "Sources disagree on the number of cases: 10 (2 independent sources) was taken, 11 (C) was not. "
        "Not printed but follows by arithmetic: good 3. "
        "Not stated in any source read: requires improvement and inadequate (only their sum, 7). "
        "Only 1 of the 2 sources that agree states any grade."
    )


@pytest.mark.parametrize(
    ("said_", "told"),
    [
        ([said("A", **FULL), said("B", **FULL)], None),
        ([said("A", **FULL), said("B", cases=10)], "Only 1 of the 2 sources that agree states any grade."),
        (
            [said("A", **FULL), said("B", **FULL), said("C", cases=10)],
            "Only 2 of the 3 sources that agree state any grade.",
        ),
        ([said("A", **FULL), said("B", cases=10, below_good=7)], None),
        ([said("A", cases=10), said("B", cases=10)], None),
    ],
    ids=["both", "one of two", "two of three", "below good is a grade", "none"],
)
def test_support_for_the_total_alone_is_told_apart(said_: list[dict[str, Any]], told: str | None) -> None:
    note = resolve(*said_)["note"] or ""

    assert told in note if told else "that agree" not in note


def test_a_source_that_contradicts_itself_does_not_agree() -> None:
    audit = resolve(said("A", **FULL), said("B", **FULL), said("A", **FULL | {"cases": 11, "good": 4}))

    assert (audit["n_sources"], audit["n_sources_agreeing"]) == (2, 1)


def test_too_few_grades_for_the_total_are_kept_and_flagged() -> None:
    audit = resolve(said("A", **FULL | {"good": 2}))

    assert audit["adds_up"] is False
    assert "The grades add to 9, not 10" in audit["note"]


@pytest.mark.parametrize(
    "said_",
    [
        [said("A", cases=10, good=3, below_good=4)],
        [said("A", cases=10, good=3), said("B", cases=10, below_good=6)],
        [
            said("A", cases=10, good=3, requires_improvement=3, inadequate=4),
            said("P", "primary", cases=10, good=4),
        ],
        [said("A", cases=10), said("B", good=3), said("C", below_good=8)],
    ],
    ids=["of one page", "of two pages that tie", "of two pages that rank", "of three pages"],
)
def test_good_and_below_good_that_do_not_make_the_total_are_never_both_trusted(
    said_: list[dict[str, Any]],
) -> None:
    audit = resolve(*said_)

    known = None not in (audit["n_cases"], audit["n_good"], audit["n_below_good"])
    assert (
        not known or audit["n_good"] + audit["n_below_good"] == audit["n_cases"] or audit["adds_up"] is False
    )


@pytest.mark.parametrize(
    "said_",
    [
        [said("A", **FULL), said("P", "primary", cases=11)],
        [said("A", **FULL), said("P", "primary", cases=10, good=4)],
    ],
    ids=["another total", "another grade"],
)
def test_counts_that_no_page_prints_together_are_not_called_printed(said_: list[dict[str, Any]]) -> None:
    audit = resolve(*said_)

    assert audit["adds_up"] is not False or "as printed" not in audit["note"]


@pytest.mark.parametrize(
    ("dates", "published"),
    [
        (["2019-09", "2019-09-12"], "2019-09-12"),
        (["2019", None], "2019"),
        (["2019-09-12", "2019-09-13", "2019-09-13"], "2019-09-13"),
        (["2019-09-13", "2019-09-12"], "2019-09-13"),
        ([None, None], None),
    ],
)
def test_the_most_exact_date_of_publication_stated_most_often_is_taken(
    dates: list[str | None], published: str | None
) -> None:
    audit = resolve(*(said(f"Paper {n}", cases=10, published=date) for n, date in enumerate(dates)))

    assert audit["published"] == published


def test_the_most_exact_fieldwork_is_what_an_audit_says_of_its_precision() -> None:
    audit = resolve(said("A", cases=10), said("B", cases=10, fieldwork_precision="day"))

    assert (audit["fieldwork"], audit["fieldwork_precision"]) == ("2019-05", "day")


def test_areas_graders_and_inspections_are_resolved_apart() -> None:
    audits, _ = resolve_all(
        said("A", good=1),
        said("A", good=2, area="missing children"),
        said("A", good=3, graded_by="force"),
        said("A", good=4, inspection_id="kent-2020-05-review", kind="review", fieldwork="2020-05"),
    )

    assert audits["n_good"].to_list() == [3, 1, 2, 4]
    assert audits["resolution"].unique().to_list() == ["partial"]


def test_inspections_of_the_same_month_come_in_one_order() -> None:
    initial = said("A", good=1)
    review = said("A", good=2, inspection_id="kent-2019-05-review", kind="review")

    forwards, _ = resolve_all(initial, review)
    backwards, _ = resolve_all(review, initial)

    assert forwards["inspection_id"].to_list() == backwards["inspection_id"].to_list()


N_STATEMENTS = 108


@settings(max_examples=10)
@given(st.permutations(range(N_STATEMENTS)))
@example(list(reversed(range(N_STATEMENTS))))
def test_the_order_of_the_statements_makes_no_difference(evidence: Evidence, order: list[int]) -> None:
    statements = Statement.cast(evidence.statements.select(Statement.column_names()))
    assert statements.height == N_STATEMENTS

    audits, judged = reconcile.reconcile(Statement.cast(statements[order]))

    assert audits.equals(evidence.audits)
    assert judged.sort("row").equals(evidence.statements)


SMALL = st.none() | st.integers(0, 6)


@st.composite
def statement_sets(draw: st.DrawFn) -> list[dict[str, Any]]:
    scale = draw(st.sampled_from(["three grades", "four grades"]))
    found = []
    for _ in range(draw(st.integers(1, 5))):
        names = ["good", "requires_improvement", "inadequate", "below_good"]
        names += ["adequate"] if scale == "four grades" else []
        counts = {name: draw(SMALL) for name in names}
        # as the rules for raw rows demand
        stated = (counts["requires_improvement"] or 0) + (counts["inadequate"] or 0)
        if counts["below_good"] is not None and (
            counts["below_good"] < stated
            or None not in (counts["requires_improvement"], counts["inadequate"])
        ):
            counts["below_good"] = stated
        total = (counts["good"] or 0) + (counts.get("adequate") or 0) + max(stated, counts["below_good"] or 0)
        # a page that states no count at all is refused before
        is_silent = all(count is None for count in counts.values())
        n_cases = st.integers(max(total, 1), max(total, 1) + 3)
        counts["cases"] = draw(n_cases if is_silent else st.none() | n_cases)
        found.append(
            said(
                draw(st.sampled_from("ABCD")),
                draw(st.sampled_from(list(vocabulary.SOURCE_KINDS))),
                scale=scale,
                **counts,
            )
        )
    return found


@settings(max_examples=50)
@given(statement_sets(), st.randoms())
@example([said("A", cases=10, good=3, below_good=4)], None)
def test_whatever_pages_say_an_audit_is_either_coherent_or_flagged(
    said_: list[dict[str, Any]], random: Any
) -> None:
    numbered = [{"row": row} | statement for row, statement in enumerate(said_, start=2)]

    audits, judged = reconcile.reconcile(Statement.validate(pl.DataFrame(numbered, schema=SCHEMA)))
    if random is not None:
        random.shuffle(numbered)
    again, _ = reconcile.reconcile(Statement.validate(pl.DataFrame(numbered, schema=SCHEMA)))

    (audit,) = audits.to_dicts()
    assert audits.equals(again)
    assert judged.height == len(said_)
    assert audit["n_sources"] == len({statement["source"] for statement in said_})
    # a count that nobody states is derived; one that somebody states is not
    for name in ("n_cases", *(f"n_{grade.column}" for grade in Grade)):
        if audit[name] is not None and name not in audit["derived"]:
            assert audit[name] in [statement[name] for statement in said_]
    # a share may be taken only of counts that go together
    if audit["adds_up"] is not False and audit["scale"] == "three grades":
        good, below, cases = audit["n_good"], audit["n_below_good"], audit["n_cases"]
        assert None in (good, below, cases) or good + below == cases


def test_every_grade_of_the_scale_has_a_row_worst_first(evidence: Evidence) -> None:
    grades = evidence.case_grades
    graded = evidence.audits.filter(pl.col("scale") != "topic judgments")

    for audit, rows in zip(graded.to_dicts(), grades.group_by(KEY, maintain_order=True), strict=True):
        key, of_audit = rows
        assert key == tuple(audit[name] for name in KEY)
        assert of_audit["grade"].to_list() == [
            grade.value for grade in vocabulary.SCALES[audit["scale"]].grades
        ]
        assert of_audit["n_cases"].to_list() == [
            audit[f"n_{grade.column}"] for grade in vocabulary.SCALES[audit["scale"]].grades
        ]


def test_a_grade_without_cases_is_present_with_zero_and_an_unknown_one_with_null(evidence: Evidence) -> None:
    def counts(inspection_id: str) -> list[tuple[str, int | None]]:
        rows = evidence.case_grades.filter(
            inspection_id=inspection_id, area="overall", graded_by="inspectors"
        )
        return rows.select("grade", "n_cases").rows()

    assert counts("northamptonshire-2019-03-review") == [
        ("inadequate", 11),
        ("requires improvement", 10),
        ("good", 0),
    ]
    assert counts("metropolitan-2016-02-initial") == [
        ("inadequate", None),
        ("requires improvement", None),
        ("good", 96),
    ]
    assert counts("national-8-forces-published-2015-07-thematic") == [
        ("inadequate", 220),
        ("adequate", 179),
        ("good", 177),
    ]
    assert counts("greater-manchester-published-2024-12-topic-judgments") == []


def test_an_audit_has_one_row_for_a_grade(evidence: Evidence) -> None:
    assert evidence.case_grades.select(*KEY, "grade").is_unique().all()
    assert evidence.case_grades["grade"].dtype == pl.Enum([grade.value for grade in Grade])


def test_case_grades_of_a_group_have_no_force(evidence: Evidence) -> None:
    of_groups = evidence.case_grades.filter(pl.col("inspection_id").str.starts_with("national"))

    assert of_groups["force"].null_count() == of_groups.height == 7
    assert evidence.case_grades["force"].null_count() == 7
