"""Partial dates: "2022", "2022-02" and "2022-02-14" are all dates; what is not stated is not made up."""

import polars as pl

from analysis.evidence.rawfile import Rule

_PARTIAL_DATE = r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"

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


def exists(column: str, /) -> pl.Expr:
    """Whether a partial date is a year, a month or a day of the calendar; null for null."""
    text = pl.col(column)
    completed = text + pl.when(text.str.len_chars() == 4).then(pl.lit("-01-01")).when(
        text.str.len_chars() == 7
    ).then(pl.lit("-01")).otherwise(pl.lit(""))
    is_day = completed.str.to_date("%Y-%m-%d", strict=False).is_not_null()
    is_date = text.str.contains(_PARTIAL_DATE) & ~text.str.starts_with("0000") & is_day
    return pl.when(text.is_not_null()).then(is_date)


def is_no_date(column: str, /) -> Rule:
    """The rule that a stated date must be a year, a month or a day that exists."""
    return Rule(
        column,
        pl.col(column).is_not_null() & ~exists(column),
        "is not a date that exists",
        "write the year, the month or the day as 2022, 2022-02 or 2022-02-14, or leave it blank",
    )
