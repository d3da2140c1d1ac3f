"""Partial dates: "2022", "2022-02" and "2022-02-14" are all dates; what is not stated is not made up."""

import polars as pl

from analysis.evidence.rawfile import Rule

_PARTIAL_DATE = r"^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$"

PRECISIONS = ("year", "month", "day")


def precision(column: str, /) -> pl.Expr:
    """How exactly a partial date is stated: "year", "month" or "day"; null for null.

    Only meaningful for text that `is_no_date` does not refuse.
    """
    length = pl.col(column).str.len_chars()
    return (
        pl.when(length == 4)
        .then(pl.lit("year"))
        .when(length == 7)
        .then(pl.lit("month"))
        .when(length == 10)
        .then(pl.lit("day"))
    )


def month_or_year(column: str, /) -> pl.Expr:
    """A partial date cut to its month, "2022-02", or left as its year, "2022"; null for null."""
    return pl.col(column).str.slice(0, 7)


def is_no_date(column: str, /) -> Rule:
    """The rule that a stated date must be a year, a month or a day that exists."""
    text = pl.col(column)
    completed = text + pl.when(text.str.len_chars() == 4).then(pl.lit("-01-01")).when(
        text.str.len_chars() == 7
    ).then(pl.lit("-01")).otherwise(pl.lit(""))
    exists = completed.str.to_date("%Y-%m-%d", strict=False).is_not_null()
    return Rule(
        column,
        text.is_not_null() & ~(text.str.contains(_PARTIAL_DATE) & exists),
        "is not a date that exists",
        "write the year, the month or the day as 2022, 2022-02 or 2022-02-14, or leave it blank",
    )
