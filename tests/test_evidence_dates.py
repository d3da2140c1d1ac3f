import re
from datetime import date

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.evidence import dates, rawfile

REMEDY = "write the year, the month or the day as 2022, 2022-02 or 2022-02-14, or leave it blank"


def sift(*texts: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = pl.DataFrame({"fieldwork": texts}, schema={"fieldwork": pl.String}).with_row_index("row", 2)
    return rawfile.sift(rows.cast({"row": pl.Int64}), [dates.is_no_date("fieldwork")], file="some.csv")


def is_refused(text: str) -> bool:
    accepted, rejects = sift(text)
    assert accepted.height + rejects.height == 1
    return accepted.is_empty()


@pytest.mark.parametrize(
    ("text", "precision", "month_or_year"),
    [
        ("2022", "year", "2022"),
        ("2022-02", "month", "2022-02"),
        ("2022-02-14", "day", "2022-02"),
        ("2024-02-29", "day", "2024-02"),
        ("2000-02-29", "day", "2000-02"),
        ("2014-12-31", "day", "2014-12"),
        (None, None, None),
    ],
)
def test_a_partial_date_is_accepted_and_keeps_its_precision(
    text: str | None, precision: str | None, month_or_year: str | None
) -> None:
    accepted, rejects = sift(text)

    assert rejects.is_empty()
    assert accepted.select(
        dates.precision("fieldwork").alias("precision"), dates.month_or_year("fieldwork").alias("cut")
    ).rows() == [(precision, month_or_year)]
    assert precision is None or precision in dates.PRECISIONS


@pytest.mark.parametrize(
    "text",
    [
        "last year",
        "soon",
        "2022-13",
        "2022-00",
        "2022-02-30",
        "2022-02-29",
        "1900-02-29",
        "2022-04-31",
        "2022-01-00",
        "2022-2",
        "2022-02-1",
        "2022-02-",
        "2022-",
        "22",
        "022",
        "20222",
        "2022-02-14-01",
        "2022-02-14T00:00",
        "2022/02",
        "2022.02",
        "2022 02",
        "202202",
        "02-2022",
        "14-02-2022",
        "Feb 2022",
        "-2022",
        "+2022",
        " 2022",
        "2022 ",
        "2022-02\n",
        "2022\u00a0",
        "2022‑02",
        "２０２２",
        "٢٠٢٢",
        "٢٠٢٢-٠٢-١٤",
        "2022-0٢",
        "20²2",
        "2022\x00",
        "0000",
        "0000-01",
        "0000-01-01",
        "9" * 10_000,
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_what_is_no_date_that_exists_is_refused_with_its_value(text: str) -> None:
    accepted, rejects = sift("2022", text)

    assert accepted["fieldwork"].to_list() == ["2022"]
    assert rejects.rows() == [("some.csv", 3, "fieldwork", text, "is not a date that exists", REMEDY)]


@given(st.dates(min_value=date(1900, 1, 1)), st.sampled_from([4, 7, 10]))
def test_every_day_month_and_year_that_exists_is_accepted(day: date, length: int) -> None:
    assert not is_refused(day.isoformat()[:length])


@given(st.from_regex(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", fullmatch=True) | st.text(max_size=12))
@example("2100-02-29")
def test_nothing_is_accepted_but_a_date_of_the_calendar(text: str) -> None:
    completed = text + "0000-01-01"[len(text) :] if len(text) in (4, 7) else text
    exists = bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", completed))
    if exists:
        try:
            date.fromisoformat(completed)
        except ValueError:
            exists = False

    assert is_refused(text) != exists
