"""Many statements about one audit in, one resolved audit out; what lost stays listed and explained.

Each count is decided on its own. What pages state is first completed by arithmetic, page by
page, so that "278 of 374 were below good" can be held against "96 were good". Then, for each
count, the values are ranked: the inspectorate's own page, then an official body, then the press;
within that, the value with more independent sources; then one from a set of counts that adds
up; then one that is stated rather than derived. Values that tie all the way leave the count unknown.
"""

from collections.abc import Sequence

import dataframely as dy
import polars as pl

from analysis import vocabulary
from analysis.evidence.statements import AuditKey, Statement
from analysis.vocabulary import Grade

RESOLUTIONS = ("conflict", "derived", "partial", "agreed", "single source")

_KEY = ("inspection_id", "area", "graded_by")
_GRADES = tuple(f"n_{grade.column}" for grade in Grade)
_COUNTS = ("n_cases", *_GRADES, "n_below_good")
_NOUN = {
    "n_cases": "the number of cases",
    "n_below_good": "below good",
    **{f"n_{grade.column}": grade.value for grade in Grade},
}
_AUTHORITY = {"primary": 0, "official": 1, "press": 2}


class Audit(AuditKey):
    """Grain: one row per audit: the grades of one set of case files, as resolved from all statements.

    Ordered by force (groups of forces last), then date, area and who graded. A count is null
    where no statement gives it, it cannot be derived, or sources disagree and none outranks.
    """

    inspection_id = dy.String(
        primary_key=True,
        metadata={"description": "Force or group, fieldwork (or `published-` and the month) and kind"},
    )
    area = dy.String(
        primary_key=True,
        check={"known": lambda column: column.is_in(list(vocabulary.AREAS))},
        metadata={"description": "Area of child protection, or `overall`"},
    )
    graded_by = dy.String(
        primary_key=True,
        check={"known": lambda column: column.is_in(list(vocabulary.GRADERS))},
        metadata={"description": "Who graded the cases"},
    )
    resolution = dy.String(
        nullable=False,
        check={"known": lambda column: column.is_in(list(RESOLUTIONS))},
        metadata={
            "description": "The first that applies of `conflict` (sources disagree), `derived` (a grade "
            "by subtraction), `partial` (a count is unknown), `agreed` (two or more independent sources), "
            "`single source`; `note` tells the rest"
        },
    )
    n_sources = dy.Int64(
        nullable=False,
        min=1,
        metadata={
            "description": "Independent sources; texts that share wording count once",
            "unit": "sources",
        },
    )
    n_sources_agreeing = dy.Int64(
        nullable=False,
        min=0,
        metadata={
            "description": "Independent sources that contradict none of the resolved counts",
            "unit": "sources",
        },
    )
    adds_up = dy.Bool(
        nullable=True,
        metadata={
            "description": "Whether the grades add to the number of cases; null if that cannot be told"
        },
    )
    derived = dy.List(
        dy.String(nullable=False),
        nullable=False,
        metadata={"description": "Counts that no page states and that follow by arithmetic"},
    )
    contested = dy.List(
        dy.String(nullable=False),
        nullable=False,
        metadata={"description": "Counts on which statements disagree"},
    )
    note = dy.String(
        nullable=True,
        metadata={"description": "How it was resolved, in sentences; null if nothing needs saying"},
    )


class CaseGrade(dy.Schema):
    """Grain: one row per audit and grade of its scale, in the order of audits, worst grade first.

    A grade with no cases is present with 0; null means that the count is unknown.
    """

    inspection_id = dy.String(primary_key=True, metadata={"description": "Inspection, as in audits"})
    force = dy.String(
        nullable=True, metadata={"description": "Slug of the force; null for a group of forces"}
    )
    area = dy.String(primary_key=True, metadata={"description": "Area of child protection, or `overall`"})
    graded_by = dy.String(primary_key=True, metadata={"description": "Who graded the cases"})
    grade = dy.Enum(
        [grade.value for grade in Grade],
        primary_key=True,
        metadata={"description": "Case grade, ordered worst to best"},
    )
    n_cases = dy.Int64(nullable=True, min=0, metadata={"description": "Cases at this grade", "unit": "cases"})


class JudgedStatement(Statement):
    """Grain: one row per accepted statement, in file order, with what became of it."""

    is_upheld = dy.Bool(
        nullable=False,
        metadata={"description": "Whether every count it states or implies is the resolved one"},
    )
    differs_in = dy.List(
        dy.String(nullable=False),
        nullable=False,
        metadata={"description": "Counts in which it differs from the resolved audit"},
    )


def reconcile(
    statements: dy.DataFrame[Statement], /
) -> tuple[dy.DataFrame[Audit], dy.DataFrame[JudgedStatement]]:
    """Resolve every audit that the statements tell of.

    Args:
        statements: accepted statements, one row per page and audit.

    Returns:
        One row per (inspection, area, who graded), and the statements with what became of them.
    """
    implied = _complete(statements)
    ranked = _ranked_values(implied, stated=statements)
    resolved, contested = _winners(ranked)
    identity = _identity(statements)
    merged = identity.join(resolved, on=_KEY, how="left", validate="1:1").join(
        contested, on=_KEY, how="left", validate="1:1"
    )
    completed = _complete(merged)
    counted = completed.join(_derived(completed, ranked), on=_KEY, how="left", validate="1:1").with_columns(
        pl.col("derived", "contested").fill_null([])
    )
    judged = _judged(statements, implied, counted)
    support = _support(judged)
    audits = (
        counted.join(support, on=_KEY, how="left", validate="1:1")
        .with_columns(adds_up=_adds_up(), resolution=pl.lit(""))
        .with_columns(resolution=_resolution())
    )
    audits = audits.with_columns(note=pl.Series(_notes(audits, ranked, judged), dtype=pl.String))
    order: list[str | pl.Expr] = [
        pl.col("force").is_null(),
        "force",
        "group",
        pl.coalesce("fieldwork", "published"),
        "inspection_id",
        pl.col("area") != vocabulary.OVERALL,
        "area",
        "graded_by",
    ]
    audits = audits.sort(*order).select(Audit.column_names())
    return Audit.validate(audits, cast=True), judged


def case_grades(audits: dy.DataFrame[Audit], /) -> dy.DataFrame[CaseGrade]:
    """The long form of audits: one row per audit and grade of its scale (schema `CaseGrade`).

    Audits by topic judgments have no case grades and so no row.
    """
    rows = [
        {
            "inspection_id": audit["inspection_id"],
            "force": audit["force"],
            "area": audit["area"],
            "graded_by": audit["graded_by"],
            "grade": grade.value,
            "n_cases": audit[f"n_{grade.column}"],
        }
        for audit in audits.iter_rows(named=True)
        for grade in vocabulary.SCALES[audit["scale"]].grades
    ]
    frame = pl.DataFrame(rows, schema=CaseGrade.create_empty().schema, orient="row")
    return CaseGrade.validate(frame)


def look_alikes(audits: pl.DataFrame, /) -> pl.DataFrame:
    """Audits that may be one audit under two dates: to be looked at, as nothing refuses them.

    Two audits look alike if force, kind, area and who graded are the same, and their fieldwork lies
    within 3 months or their reports may have been published in the same month. Quarterly updates, of
    which there are several a year, are left out.

    Args:
        audits: one row per audit (schema `Audit`).

    Returns:
        One row per pair: `inspection_id`, `other_inspection_id`, `force`, `area`, `graded_by`; ordered by
        the first two.
    """
    same = ["force", "kind", "area", "graded_by"]
    month = pl.col("fieldwork").str.slice(0, 4).cast(pl.Int64) * 12 + pl.col("fieldwork").str.slice(
        5, 2
    ).cast(pl.Int64, strict=False)
    dated = audits.filter((pl.col("kind") != "update") & pl.col("force").is_not_null()).select(
        *same, "inspection_id", month.alias("month"), pl.col("published").str.slice(0, 7).alias("published")
    )
    is_close = (pl.col("month") - pl.col("other_month")).abs() <= 3
    # a bare year may be any month of it
    length = pl.min_horizontal(pl.col("published").str.len_chars(), pl.col("other_published").str.len_chars())
    is_same_report = pl.col("published").str.head(length) == pl.col("other_published").str.head(length)
    others = dated.rename({name: f"other_{name}" for name in ("inspection_id", "month", "published")})
    return (
        dated.join(others, on=same, how="inner")
        .filter(pl.col("inspection_id") < pl.col("other_inspection_id"))
        .filter(is_close.fill_null(False) | is_same_report.fill_null(False))
        .select("inspection_id", "other_inspection_id", "force", "area", "graded_by")
        .sort("inspection_id", "other_inspection_id")
    )


def _on_scale(grade: Grade) -> pl.Expr:
    names = [name for name, scale in vocabulary.SCALES.items() if grade in scale.grades]
    return pl.col("scale").is_in(names)


def _complete(frame: pl.DataFrame) -> pl.DataFrame:
    """Fill counts that follow from the others by addition or subtraction, whatever the scale allows."""
    known_cells = -1
    while known_cells != (known_cells := frame.select(pl.sum_horizontal(pl.col(_COUNTS).count())).item()):
        frame = frame.with_columns(_completed_once()).with_columns(_below_good_by_total())
    return frame


def _completed_once() -> list[pl.Expr]:
    cases, below = pl.col("n_cases"), pl.col("n_below_good")
    improvement, inadequate = pl.col("n_requires_improvement"), pl.col("n_inadequate")
    on_scale = {f"n_{grade.column}": _on_scale(grade) for grade in Grade}
    n_unknown = pl.sum_horizontal(
        (on_scale[name] & pl.col(name).is_null()).cast(pl.Int64) for name in _GRADES
    )
    known = pl.sum_horizontal(pl.col(name).fill_null(0) for name in _GRADES)
    # a printed "below good" says more than the split where the split is not printed
    hidden = pl.when(improvement.is_null() & inadequate.is_null()).then(below.fill_null(0)).otherwise(0)
    rest = cases - known - hidden
    n_hidden = (
        pl.when(improvement.is_null() & inadequate.is_null() & below.is_not_null()).then(2).otherwise(0)
    )
    n_open = n_unknown - n_hidden
    is_below = {"n_requires_improvement": inadequate, "n_inadequate": improvement}
    filled = []
    for name in _GRADES:
        is_hidden = (n_hidden == 2) & pl.lit(name in is_below)
        by_rest = pl.when(on_scale[name] & ~is_hidden & (rest >= 0) & ((n_open == 1) | (rest == 0))).then(
            rest
        )
        by_pair = (
            pl.when(on_scale[name] & (below >= is_below[name])).then(below - is_below[name])
            if name in is_below
            else pl.lit(None, dtype=pl.Int64)
        )
        # 0 below good leaves nothing to split
        by_none = (
            pl.when(on_scale[name] & (below == 0)).then(pl.lit(0, dtype=pl.Int64))
            if name in is_below
            else pl.lit(None, dtype=pl.Int64)
        )
        filled.append(pl.coalesce(name, by_pair, by_none, by_rest).alias(name))
    all_known = (n_unknown == 0) & pl.any_horizontal(*on_scale.values())
    better = pl.when(on_scale["n_adequate"]).then(pl.col("n_good") + pl.col("n_adequate")).otherwise("n_good")
    halves = pl.when(on_scale["n_requires_improvement"]).then(better + below)
    filled.append(pl.coalesce(cases, pl.when(all_known).then(known), halves).alias("n_cases"))
    split = pl.when(on_scale["n_requires_improvement"]).then(improvement + inadequate)
    filled.append(pl.coalesce(below, split).alias("n_below_good"))
    return filled


def _below_good_by_total() -> pl.Expr:
    better = (
        pl.when(_on_scale(Grade.ADEQUATE))
        .then(pl.col("n_good") + pl.col("n_adequate"))
        .otherwise(pl.col("n_good"))
    )
    rest = pl.col("n_cases") - better
    usable = _on_scale(Grade.REQUIRES_IMPROVEMENT) & (rest >= 0)
    return pl.coalesce("n_below_good", pl.when(usable).then(rest)).alias("n_below_good")


def _ranked_values(implied: pl.DataFrame, *, stated: pl.DataFrame) -> pl.DataFrame:
    """One row per audit, count and value, best first: `rank` 0 wins, equal ranks tie."""
    is_stated = stated.select("row", *(pl.col(name).is_not_null() for name in _COUNTS)).unpivot(
        index="row", variable_name="count", value_name="is_stated"
    )
    values = (
        implied.with_columns(
            authority=pl.col("source_kind").replace_strict(_AUTHORITY, return_dtype=pl.Int64),
            adds_up=_adds_up().fill_null(False),
        )
        .unpivot(
            _COUNTS,
            index=[*_KEY, "row", "source", "publisher", "authority", "adds_up"],
            variable_name="count",
            value_name="value",
        )
        .drop_nulls("value")
        .join(is_stated, on=["row", "count"], how="left", validate="1:1")
        .group_by(*_KEY, "count", "value")
        .agg(
            pl.col("authority").min(),
            pl.col("source").n_unique().alias("n_sources"),
            pl.col("adds_up").any(),
            pl.col("is_stated").any(),
            pl.col("row").min(),
            pl.col("publisher").unique(maintain_order=True).sort().alias("publishers"),
        )
    )
    merit = pl.struct(
        pl.col("authority"),
        -pl.col("n_sources").cast(pl.Int64),
        ~pl.col("adds_up"),
        ~pl.col("is_stated"),
    )
    return values.with_columns(rank=merit.rank("dense").over(*_KEY, "count") - 1).sort(
        *_KEY, "count", "rank", "row"
    )


def _winners(ranked: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    best = ranked.filter(pl.col("rank") == 0)
    decided = best.filter(pl.len().over(*_KEY, "count") == 1)
    resolved = decided.pivot("count", index=_KEY, values="value")
    absent = [name for name in _COUNTS if name not in resolved.columns]
    resolved = resolved.with_columns(pl.lit(None, dtype=pl.Int64).alias(name) for name in absent)
    contested = (
        ranked.group_by(*_KEY, "count")
        .len()
        .filter(pl.col("len") > 1)
        .sort(*_KEY, pl.col("count").replace_strict({name: i for i, name in enumerate(_COUNTS)}))
        .group_by(_KEY, maintain_order=True)
        .agg(pl.col("count").alias("contested"))
    )
    return resolved, contested


def _derived(completed: pl.DataFrame, ranked: pl.DataFrame) -> pl.DataFrame:
    """The counts of each audit that no page states as they are."""
    stated = ranked.filter("is_stated").select(*_KEY, "count", "value")
    return (
        completed.select(*_KEY, "n_cases", *_GRADES)
        .unpivot(index=_KEY, variable_name="count", value_name="value")
        .drop_nulls("value")
        .join(stated, on=[*_KEY, "count", "value"], how="anti", maintain_order="left")
        .group_by(_KEY, maintain_order=True)
        .agg(pl.col("count").alias("derived"))
    )


def _identity(statements: pl.DataFrame) -> pl.DataFrame:
    """What names and dates each audit. The most exact date of publication stated most often is taken."""
    published = (
        statements.drop_nulls("published")
        .group_by(*_KEY, "published")
        .agg(pl.len(), pl.col("row").min())
        .sort(pl.col("published").str.len_chars(), "len", -pl.col("row"), descending=True)
        .group_by(_KEY, maintain_order=True)
        .agg(pl.col("published").first())
    )
    precision = pl.col("fieldwork_precision").cast(pl.Enum(["year", "month", "day"]))
    return (
        statements.group_by(_KEY, maintain_order=True)
        .agg(
            pl.col("force", "group", "kind", "fieldwork", "scale").first(),
            precision.max().cast(pl.String).alias("fieldwork_precision"),
        )
        .join(published, on=_KEY, how="left", validate="1:1")
    )


def _adds_up() -> pl.Expr:
    on_scale = {f"n_{grade.column}": _on_scale(grade) for grade in Grade}
    known = pl.sum_horizontal(pl.col(name).fill_null(0) for name in _GRADES)
    all_known = pl.all_horizontal(~on_scale[name] | pl.col(name).is_not_null() for name in _GRADES)
    is_graded = pl.any_horizontal(*on_scale.values())
    split = pl.col("n_requires_improvement") + pl.col("n_inadequate")
    better = pl.col("n_good") + pl.when(on_scale["n_adequate"]).then("n_adequate").otherwise(0)
    disagrees = on_scale["n_requires_improvement"] & (
        (split != pl.col("n_below_good")).fill_null(False)
        | (better + pl.col("n_below_good") != pl.col("n_cases")).fill_null(False)
    )
    return (
        pl.when(is_graded & ((known > pl.col("n_cases")).fill_null(False) | disagrees))
        .then(pl.lit(False))
        .when(is_graded & all_known)
        .then(known == pl.col("n_cases"))
    )


def _judged(
    statements: dy.DataFrame[Statement], implied: pl.DataFrame, resolved: pl.DataFrame
) -> dy.DataFrame[JudgedStatement]:
    pairs = implied.select("row", *_KEY, *_COUNTS).join(
        resolved.select(*_KEY, *_COUNTS, "contested"), on=_KEY, how="left", validate="m:1", suffix="_resolved"
    )
    differs = pairs.select(
        "row",
        differs_in=pl.concat_list(
            # a contested count that stays unknown upholds none of its values
            pl.when(
                pl.col(name).is_not_null()
                & (
                    (pl.col(name) != pl.col(f"{name}_resolved")).fill_null(False)
                    | (pl.col(f"{name}_resolved").is_null() & pl.col("contested").list.contains(name))
                )
            ).then(pl.lit(name))
            for name in _COUNTS
        ).list.drop_nulls(),
    )
    judged = statements.join(
        differs, on="row", how="left", validate="1:1", maintain_order="left"
    ).with_columns(is_upheld=pl.col("differs_in").list.len() == 0)
    return JudgedStatement.validate(judged.select(JudgedStatement.column_names()), cast=True)


def _support(judged: pl.DataFrame) -> pl.DataFrame:
    tells_grades = pl.any_horizontal(pl.col(name).is_not_null() for name in (*_GRADES, "n_below_good"))
    sources = judged.group_by(*_KEY, "source").agg(
        # a source that is wrong in one place does not agree, whatever it says in another
        pl.col("is_upheld").all().alias("agrees"),
        tells_grades.any().alias("tells_grades"),
        pl.col("is_kept_as_printed").any(),
    )
    return sources.group_by(_KEY).agg(
        pl.len().cast(pl.Int64).alias("n_sources"),
        pl.col("agrees").sum().cast(pl.Int64).alias("n_sources_agreeing"),
        (pl.col("agrees") & pl.col("tells_grades")).sum().cast(pl.Int64).alias("n_sources_of_grades"),
        pl.col("is_kept_as_printed").any(),
    )


def _is_partial() -> pl.Expr:
    unknown = pl.any_horizontal(_on_scale(grade) & pl.col(f"n_{grade.column}").is_null() for grade in Grade)
    return unknown | pl.col("n_cases").is_null() | (pl.col("scale") == vocabulary.TOPIC_JUDGMENTS.name)


def _resolution() -> pl.Expr:
    return (
        pl.when(pl.col("contested").list.len() > 0)
        .then(pl.lit("conflict"))
        .when(pl.col("derived").list.len() > 0)
        .then(pl.lit("derived"))
        .when(_is_partial())
        .then(pl.lit("partial"))
        .when(pl.col("n_sources") >= 2)
        .then(pl.lit("agreed"))
        .otherwise(pl.lit("single source"))
    )


def _notes(audits: pl.DataFrame, ranked: pl.DataFrame, judged: pl.DataFrame) -> list[str | None]:
    values = ranked.partition_by(_KEY, as_dict=True)
    notes = []
    for audit in audits.iter_rows(named=True):
        key = tuple(audit[name] for name in _KEY)
        sentences = [
            *_conflict_sentences(audit, values[key]),
            *_derived_sentences(audit),
            *_unknown_sentences(audit),
            *_sum_sentences(audit),
            *_support_sentences(audit),
        ]
        notes.append(" ".join(sentences) or None)
    return notes


def _conflict_sentences(audit: dict[str, object], values: pl.DataFrame) -> list[str]:
    sentences = []
    contested = audit["contested"]
    assert isinstance(contested, Sequence)
    for name in contested:
        rows = values.filter(pl.col("count") == name).to_dicts()
        noun = _NOUN[name]
        taken = [row for row in rows if row["value"] == audit[name]]
        others = " and ".join(_told(row) for row in rows if row not in taken)
        if taken:
            sentences.append(f"Sources disagree on {noun}: {_told(taken[0])} was taken, {others} was not.")
        elif audit[name] is None:
            against = " against ".join(_told(row) for row in rows)
            sentences.append(f"Sources disagree on {noun}: {against}; none outranks, so it is unknown.")
        else:
            sentences.append(
                f"Sources disagree on {noun}: {others}; {audit[name]} follows from the other counts."
            )
    return sentences


def _told(row: dict[str, object]) -> str:
    return f"{row['value']} ({_backing(row)})"


def _backing(row: dict[str, object]) -> str:
    publishers, n_sources = row["publishers"], row["n_sources"]
    assert isinstance(publishers, Sequence)
    authority = {0: "the inspectorate's own page", 1: "an official body"}.get(int(str(row["authority"])))
    if authority:
        return authority
    return f"{n_sources} independent sources" if int(str(n_sources)) > 1 else str(publishers[0])


def _derived_sentences(audit: dict[str, object]) -> list[str]:
    derived = audit["derived"]
    assert isinstance(derived, Sequence)
    told = [f"{_NOUN[name]} {audit[name]}" for name in derived]
    return [f"Not printed but follows by arithmetic: {', '.join(told)}."] if told else []


def _unknown_sentences(audit: dict[str, object]) -> list[str]:
    scale = vocabulary.SCALES[str(audit["scale"])]
    if not scale.grades:
        return [f"No case grades: {scale.explanation}."]
    unknown = [grade for grade in reversed(scale.grades) if audit[f"n_{grade.column}"] is None]
    apart, split = unknown, [grade for grade in unknown if grade.is_below_good]
    told = []
    if audit["n_below_good"] is not None and len(split) == 2:
        apart = [grade for grade in unknown if grade not in split]
        told = [f"requires improvement and inadequate (only their sum, {audit['n_below_good']})"]
    told = [*(grade.value for grade in apart), *told]
    sentences = ["The number of cases is not known."] if audit["n_cases"] is None else []
    if told:
        sentences.append(f"Not stated in any source read: {', '.join(told)}.")
    return sentences


def _sum_sentences(audit: dict[str, object]) -> list[str]:
    if audit["adds_up"] is not False:
        return []
    known = sum(int(str(audit[name])) for name in _GRADES if audit[name] is not None)
    kept = (
        "kept as printed, and"
        if audit["is_kept_as_printed"]
        else "no page states them together, and they are"
    )
    if known == audit["n_cases"]:
        return [
            f"Below good ({audit['n_below_good']}) does not fit the other counts: {kept} not used for a comparison."
        ]
    return [f"The grades add to {known}, not {audit['n_cases']}: {kept} not used for a comparison."]


def _support_sentences(audit: dict[str, object]) -> list[str]:
    n_agreeing, n_of_grades = int(str(audit["n_sources_agreeing"])), int(str(audit["n_sources_of_grades"]))
    if not 0 < n_of_grades < n_agreeing:
        return []
    verb = "states" if n_of_grades == 1 else "state"
    return [f"Only {n_of_grades} of the {n_agreeing} sources that agree {verb} any grade."]
