"""Published statements: what one page says about one audit, parsed, corrected and validated.

`audit_statements.csv` in; accepted statements and rejected rows out. Nothing is guessed: an
unknown force, an impossible date or a count that is no count refuses the row and says why.
"""

from dataclasses import replace
from pathlib import Path

import dataframely as dy
import polars as pl

from analysis import vocabulary
from analysis.evidence import dates, rawfile
from analysis.evidence.corrections import FILE as CORRECTIONS_FILE
from analysis.evidence.corrections import AppliedCorrection, Correction, apply
from analysis.evidence.faults import EvidenceError, Fault, Reject
from analysis.evidence.rawfile import Rule
from analysis.vocabulary import Grade

FILE = "audit_statements.csv"

COLUMNS = (
    "force",
    "inspection",
    "fieldwork",
    "report_published",
    "area",
    "graded_by",
    "cases",
    "good",
    "adequate",
    "requires_improvement",
    "inadequate",
    "below_good",
    "publisher",
    "title",
    "url",
    "source_kind",
    "text_shared_with",
    "note",
)
_COUNTS = ("cases", "good", "adequate", "requires_improvement", "inadequate", "below_good")
_GRADES = ("good", "adequate", "requires_improvement", "inadequate")


def _count(description: str) -> dy.Int64:
    return dy.Int64(nullable=True, min=0, metadata={"description": description, "unit": "cases"})


def _text(description: str, *, nullable: bool = False, known: tuple[str, ...] | None = None) -> dy.String:
    check = None if known is None else {"known": lambda column: column.is_in(list(known))}
    return dy.String(nullable=nullable, check=check, metadata={"description": description})


class AuditKey(dy.Schema):
    """What names an audit, and what was inspected. Shared by statements and audits."""

    inspection_id = _text(
        "Force or group, fieldwork (or `published-` and the month) and kind, for example "
        "`warwickshire-2022-02-initial`"
    )
    force = _text("Slug of the force; null for figures of a group of forces", nullable=True)
    group = _text("Slug of the group of forces; null for figures of one force", nullable=True)
    kind = _text("Kind of inspection", known=tuple(vocabulary.KINDS))
    fieldwork = _text(
        "Month, or year where no month is stated, of the fieldwork; null if not stated", nullable=True
    )
    fieldwork_precision = _text("How exactly fieldwork was stated", nullable=True, known=dates.PRECISIONS)
    published = _text("Year, month or day the report was published; null if not stated", nullable=True)
    area = _text("Area of child protection, or `overall`", known=vocabulary.AREAS)
    graded_by = _text("Who graded the cases", known=tuple(vocabulary.GRADERS))
    scale = _text("Set of grades used", known=tuple(vocabulary.SCALES))
    n_cases = _count("Audited cases")
    n_good = _count("Cases graded good")
    n_adequate = _count("Cases graded adequate; null also where the scale has no such grade")
    n_requires_improvement = _count(
        "Cases graded requires improvement; null also where the scale has no such grade"
    )
    n_inadequate = _count("Cases graded inadequate")
    n_below_good = _count("Cases graded requires improvement or inadequate")


class Statement(AuditKey):
    """Grain: one row per accepted row of `audit_statements.csv`, in file order.

    Counts are as stated on the page (after declared corrections); null means "not stated".
    """

    row = dy.Int64(
        primary_key=True, metadata={"description": "Row of audit_statements.csv as a spreadsheet shows it"}
    )
    publisher = _text("Who published the page")
    title = _text("Title of the page; null if it was not seen", nullable=True)
    url = _text("Address of the page")
    source_kind = _text("How close the page is to the inspectorate", known=tuple(vocabulary.SOURCE_KINDS))
    source = _text(
        "Whose wording it is: the text it shares, else the publisher. Statements with the same "
        "source count once"
    )
    note = _text("Transcriber's note", nullable=True)
    is_kept_as_printed = dy.Bool(
        nullable=False,
        metadata={"description": "Accepted, by a declared correction, although the sums are wrong"},
    )

    @dy.rule()
    def belongs_to_a_force_or_a_group(cls) -> pl.Expr:  # noqa: N805 - dataframely passes the class
        """Figures are either of one force or of a group, never of both or of nobody."""
        return pl.col("force").is_null() != pl.col("group").is_null()


def read(
    raw: Path, corrections: tuple[Correction, ...], /
) -> tuple[dy.DataFrame[Statement], dy.DataFrame[Reject], dy.DataFrame[AppliedCorrection]]:
    """Read, correct and judge the published statements.

    Args:
        raw: the folder of raw files.
        corrections: every declared correction.

    Returns:
        Accepted statements in file order, rejected rows in file order, and the corrections
        applied. Every row of the file is in one of the first two.

    Raises:
        EvidenceError: if the file as a whole is unusable, or a correction does not fit it.
        ForcesError: if `forces.csv` is unusable.
    """
    printed = rawfile.read(raw / FILE, COLUMNS)
    rows = printed.with_columns(scale=pl.lit(None, dtype=pl.String))
    rows, applied = apply(rows, corrections, file=FILE)
    named = with_force(rows, vocabulary.forces(raw))
    rules = _rules()
    _refuse_idle_keeps(named, rules)
    accepted, rejects = rawfile.sift(named, [_unless_kept(rule) for rule in rules], file=FILE)
    return Statement.validate(_parsed(accepted), cast=True), rejects, applied


def _unless_kept(rule: Rule) -> Rule:
    if not rule.may_be_kept:
        return rule
    return replace(rule, is_broken=rule.is_broken & ~pl.col("kept").list.contains(rule.column))


def _refuse_idle_keeps(rows: pl.DataFrame, rules: list[Rule]) -> None:
    """A row that is kept although nothing is wrong with it has been mended, or was never wrong."""
    faults = []
    for number, columns in rows.filter(pl.col("kept").list.len() > 0).select("row", "kept").iter_rows():
        for column in columns:
            about = [
                rule.is_broken.fill_null(False)
                for rule in rules
                if rule.may_be_kept and rule.column == column
            ]
            is_wrong = rows.select("row", is_wrong=pl.any_horizontal(pl.lit(False), *about))
            if not is_wrong.filter(pl.col("row") == number)["is_wrong"][0]:
                faults.append(
                    Fault(
                        CORRECTIONS_FILE,
                        f"keeps {FILE}, row {number}, as printed, but nothing about {column} is wrong there",
                        "remove the entry, or name the column that is wrong",
                        column=column,
                    )
                )
    if faults:
        raise EvidenceError(faults)


def with_force(rows: pl.DataFrame, forces: vocabulary.Forces, /) -> pl.DataFrame:
    """Add `slug` (null if unknown), `group` (null unless a group of forces), `kind` and `force_remedy`."""
    names = rows["force"].drop_nulls().unique().to_list()
    slugs = {name: found.slug for name in names if (found := forces.find(name)) is not None}
    remedies = {
        name: _inside_a_sentence(forces.suggestion(name))
        for name in names
        if name not in slugs and name not in vocabulary.GROUPS
    }
    return rows.with_columns(
        slug=_mapped("force", slugs),
        group=_mapped("force", dict(vocabulary.GROUPS)),
        force_remedy=_mapped("force", remedies).fill_null("name one of the 43 forces"),
        kind=_mapped("inspection", dict(vocabulary.KIND_SLUG_OF_PRINTED)),
    )


def _inside_a_sentence(suggestion: str) -> str:
    return suggestion[0].lower() + suggestion[1:].rstrip(".?")


def _mapped(column: str, mapping: dict[str, str]) -> pl.Expr:
    return pl.col(column).replace_strict(mapping, default=None, return_dtype=pl.String)


def is_dropped() -> Rule:
    """The rule that a row which a declared correction drops is refused, for its declared reason."""
    return Rule(
        None, pl.col("drop_reason").is_not_null(), pl.col("drop_reason"), "nothing: the drop is declared"
    )


def is_no_force() -> Rule:
    """The rule that `force` must name one of the 43 forces or a known group of them."""
    return Rule(
        "force",
        pl.col("slug").is_null() & pl.col("group").is_null(),
        "is not a force of England and Wales",
        pl.col("force_remedy"),
    )


def is_no_kind() -> Rule:
    """The rule that `inspection` must be a known kind of inspection."""
    known = list(vocabulary.KIND_SLUG_OF_PRINTED)
    return is_unlisted("inspection", known, "a kind of inspection")


def is_published_before_fieldwork() -> Rule:
    """The rule that a report is not published before its fieldwork, as exactly as both dates are stated."""
    fieldwork, published = pl.col("fieldwork"), pl.col("report_published")
    length = pl.min_horizontal(fieldwork.str.len_chars(), published.str.len_chars())
    return Rule(
        "report_published",
        dates.exists("fieldwork")
        & dates.exists("report_published")
        & (published.str.head(length) < fieldwork.str.head(length)),
        "lies before the fieldwork",
        "look both dates up in the report",
    )


def is_no_address(column: str) -> Rule:
    """The rule that a value must be stated and be the full address of a web page."""
    return Rule(
        column,
        ~pl.col(column).fill_null("").str.contains(r"^https?://[^\s/]+\.\S+$"),
        "is not the address of a web page",
        "give the full address, beginning with https://",
    )


def is_unlisted(column: str, known: list[str], noun: str) -> Rule:
    """The rule that a value must be stated and be one of a closed list; the remedy names near ones."""
    return Rule(
        column,
        pl.col(column).is_null() | ~pl.col(column).is_in(known),
        f"is not {noun} that is known here",
        pl.col(column)
        .fill_null("")
        .map_elements(
            lambda word: vocabulary.near_words(word, known).removesuffix("?"), return_dtype=pl.String
        ),
    )


def dated_month() -> pl.Expr:
    """The month that decides which scale applies: fieldwork, else publication; null if neither is stated."""
    return pl.coalesce(dates.month_or_year("fieldwork"), dates.month_or_year("report_published"))


def inspection_id() -> pl.Expr:
    """The id of an inspection, from `slug` or `group`, `fieldwork` or `report_published`, and `kind`."""
    when = pl.coalesce(
        dates.month_or_year("fieldwork"),
        pl.format("published-{}", dates.month_or_year("report_published")),
    )
    return pl.format("{}-{}-{}", pl.coalesce("slug", "group"), when, pl.col("kind"))


def _scale() -> pl.Expr:
    month = dated_month()
    is_year = month.str.len_chars() == 4
    # a bare 2024 may lie after the change of method: it is treated as if it did
    latest = pl.when(is_year).then(month + "-12").otherwise(month)
    earliest = pl.when(is_year).then(month + "-01").otherwise(month)
    return (
        pl.when(pl.col("scale").is_not_null())
        .then(pl.col("scale"))
        .when((pl.col("kind") == "topic-judgments") | (latest >= vocabulary.FIRST_MONTH_OF_TOPIC_JUDGMENTS))
        .then(pl.lit(vocabulary.TOPIC_JUDGMENTS.name))
        .when(earliest < vocabulary.FIRST_MONTH_OF_THREE_GRADES)
        .then(pl.lit(vocabulary.FOUR_GRADES.name))
        .otherwise(pl.lit(vocabulary.THREE_GRADES.name))
    )


def _number(column: str) -> pl.Expr:
    # null for anything but digits, so that rules about sums pass over what another rule refuses
    return (
        pl.when(pl.col(column).str.contains(r"^[0-9]{1,9}$"))
        .then(pl.col(column))
        .cast(pl.Int64, strict=False)
    )


def _rules() -> list[Rule]:
    number = {name: _number(name) for name in _COUNTS}
    known = {name: number[name].fill_null(0) for name in _COUNTS}
    stated_below = known["requires_improvement"] + known["inadequate"]
    total = known["good"] + known["adequate"] + pl.max_horizontal(stated_below, known["below_good"])
    has_grades = pl.any_horizontal(pl.col(name).is_not_null() for name in (*_GRADES, "below_good"))
    scale = _scale()
    month, year = dates.month_or_year("fieldwork"), pl.col("fieldwork").str.slice(0, 4)
    month_known = (
        pl.when(dates.exists("fieldwork") & (month.str.len_chars() == 7))
        .then(month)
        .max()
        .over("slug", "kind", year, "group")
    )
    return [
        rawfile.is_repeated(COLUMNS),
        *(rawfile.is_padded(name) for name in COLUMNS),
        is_dropped(),
        is_no_force(),
        is_no_kind(),
        dates.is_no_date("fieldwork"),
        dates.is_no_date("report_published"),
        Rule(
            "fieldwork",
            pl.col("fieldwork").is_null() & pl.col("report_published").is_null(),
            "is blank, and so is report_published: the inspection cannot be told from others",
            "state one of the two, at least its year",
        ),
        is_published_before_fieldwork(),
        Rule(
            "fieldwork",
            # updates come several a year, so a year beside a month is no contradiction there
            (pl.col("fieldwork").str.len_chars() == 4)
            & month_known.is_not_null()
            & (pl.col("kind") != "update"),
            pl.format("gives a year only, where another row gives {} for such an inspection", month_known),
            "write the month if it is the same inspection",
        ),
        is_unlisted("area", list(vocabulary.AREAS), "an area of child protection"),
        is_unlisted("graded_by", list(vocabulary.GRADERS), "someone who grades"),
        *(
            Rule(
                name,
                pl.col(name).is_not_null() & number[name].is_null(),
                "is not a whole number of cases, 0 or more",
                "write digits only, or leave it blank if it is not stated",
            )
            for name in _COUNTS
        ),
        Rule(
            None,
            pl.all_horizontal(pl.col(name).is_null() for name in _COUNTS),
            "states no count at all",
            "add the counts that the page states, or remove the row",
        ),
        Rule("cases", number["cases"] == 0, "is an audit of no cases", "leave it blank if it is not stated"),
        Rule(
            "cases",
            total > number["cases"],
            pl.format("is less than the grades, which add to {}", total),
            "look the row up at its url; if it is printed so, declare it in corrections.toml (keep)",
            may_be_kept=True,
        ),
        Rule(
            "below_good",
            (number["below_good"] < stated_below)
            | (
                (number["below_good"] != stated_below)
                & number["requires_improvement"].is_not_null()
                & number["inadequate"].is_not_null()
            ),
            pl.format("is not requires improvement plus inadequate, which make {}", stated_below),
            "look the row up at its url; if it is printed so, declare it in corrections.toml (keep)",
            may_be_kept=True,
        ),
        Rule(
            "adequate",
            pl.col("adequate").is_not_null() & (scale == vocabulary.THREE_GRADES.name),
            "is a grade that audits have not used since 2015",
            'leave it blank; it is not the same as "requires improvement"',
        ),
        *(
            Rule(
                name,
                pl.col(name).is_not_null() & (scale == vocabulary.ADEQUATE_IN_THE_MIDDLE.name),
                "is not on the declared scale of this audit",
                "leave it blank, or mend the scale in corrections.toml",
            )
            for name in ("requires_improvement", "below_good")
        ),
        Rule(
            "scale",
            pl.col("scale").is_not_null() & ~pl.col("scale").is_in(list(vocabulary.SCALES)),
            "is not a scale that is known here",
            f"use one of: {'; '.join(vocabulary.SCALES)}",
        ),
        Rule(
            "inspection",
            has_grades
            & (scale == vocabulary.TOPIC_JUDGMENTS.name)
            & dates.exists("fieldwork").fill_null(True)
            & dates.exists("report_published").fill_null(True),
            "has case grades, but inspections since February 2024 judge topics and grade no cases",
            "leave the grades blank, or mend the dates",
        ),
        rawfile.is_blank("publisher", "name who published the page"),
        is_no_address("url"),
        is_unlisted("source_kind", list(vocabulary.SOURCE_KINDS), "a kind of source"),
    ]


def _parsed(accepted: pl.DataFrame) -> pl.DataFrame:
    return accepted.select(
        inspection_id().alias("inspection_id"),
        pl.col("slug").alias("force"),
        "group",
        "kind",
        dates.month_or_year("fieldwork").alias("fieldwork"),
        dates.precision("fieldwork").alias("fieldwork_precision"),
        pl.col("report_published").alias("published"),
        "area",
        "graded_by",
        _scale().alias("scale"),
        _number("cases").alias("n_cases"),
        *(_number(grade.column).alias(f"n_{grade.column}") for grade in reversed(Grade)),
        _number("below_good").alias("n_below_good"),
        "row",
        "publisher",
        "title",
        "url",
        "source_kind",
        pl.coalesce("text_shared_with", "publisher").alias("source"),
        "note",
        (pl.col("kept").list.len() > 0).alias("is_kept_as_printed"),
    )
