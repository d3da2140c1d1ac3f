from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, takewhile

import calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.schedule import moments
from analysis.schedule.moments import Blackout, Calendar, Line, MomentError

LONDON = "Europe/London"
ZONES = (LONDON, "UTC", "Australia/Lord_Howe", "America/New_York")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("text", calendars.LINES)
@pytest.mark.parametrize("month", [(2027, 3), (2027, 4), (2027, 10), (2027, 11), (2028, 2)], ids=str)
def test_moments_are_those_of_the_clock_and_the_calendar(
    text: str, zone: str, month: tuple[int, int]
) -> None:
    since = datetime(*month, 1, tzinfo=UTC)
    until = since + timedelta(days=35)
    expected = calendars.moments(text, zone, since, until)
    line = moments.line(text, zone)

    found = list(takewhile(lambda one: one <= until, line.following(since - calendars.MINUTE)))
    assert found == expected
    # each moment but the first is the next after the one before, and the last at any time until then
    for earlier, later in pairwise(expected):
        assert next(line.following(earlier)) == later
        assert line.last(earlier) == earlier
        assert line.last(later - timedelta(microseconds=1)) == earlier


@given(
    text=st.sampled_from(list(calendars.LINES)),
    zone=st.sampled_from(ZONES),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC)),
)
def test_looked_at_from_any_moment_the_last_comes_before_the_next(
    text: str, zone: str, now: datetime
) -> None:
    line = moments.line(text, zone)
    last, following = line.last(now), next(line.following(now))
    assert last is not None
    assert last <= now < following
    assert next(line.following(last)) == following
    assert line.last(following) == following


@pytest.mark.parametrize("seconds", range(0, 4 * 3600, 600))
@pytest.mark.parametrize(
    "day", [datetime(2027, 3, 28, tzinfo=UTC), datetime(2027, 10, 31, tzinfo=UTC)], ids=str
)
@pytest.mark.parametrize("text", ["30 1 * * *", "50 1 * * *", "10 2 * * *", "*/30 * * * *"])
def test_in_the_night_of_a_change_no_moment_lies_on_the_wrong_side_of_now(
    text: str, day: datetime, seconds: int
) -> None:
    line, now = moments.line(text, LONDON), day + timedelta(seconds=seconds)
    last, following = line.last(now), next(line.following(now))
    assert last is not None
    assert last <= now < following
    assert next(line.following(last)) == following


def test_a_time_that_comes_twice_is_due_once_and_one_that_does_not_come_is_due_when_the_clock_jumps() -> None:
    line = moments.line("30 1 * * *", LONDON)
    spring = line.following(datetime(2027, 3, 27, 12, tzinfo=UTC))
    assert [next(spring) for _ in range(2)] == [
        datetime(2027, 3, 28, 1, 0, tzinfo=UTC),
        datetime(2027, 3, 29, 0, 30, tzinfo=UTC),
    ]
    autumn = line.following(datetime(2027, 10, 30, 12, tzinfo=UTC))
    assert [next(autumn) for _ in range(2)] == [
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
        datetime(2027, 11, 1, 1, 30, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("0 0 6 * * *", "five fields"),
        ("@monthly", "five fields"),
        ("60 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 6 31 2 *", "day-of-month"),
        ("0 6 * 13 *", "month"),
        ("0 6 * * 9", "day-of-week"),
        ("a b c d e", "minute"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("9" * 5000 + " * * * *", "cron line"),
        ("0 0 1,1/ * *", "cron line"),
        ("\n" * 9 + "x", "five fields"),
    ],
)
def test_a_line_that_means_nothing_is_refused_in_one_sentence(text: str, told: str) -> None:
    with pytest.raises(MomentError, match=told) as raised:
        moments.line(text, LONDON)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@given(text=st.text(st.sampled_from("0123456789*/-,LW# ABCDEFJMNOSUabc"), max_size=30))
def test_any_text_is_a_line_or_is_refused(text: str) -> None:
    try:
        line = moments.line(text, LONDON)
    except MomentError:
        return
    following = next(line.following(datetime(2026, 12, 1, tzinfo=UTC)), None)
    assert following is None or line.last(following) == following


@pytest.mark.parametrize(
    "name", ["", "Europe/Londn", "../etc/passwd", "/etc/localtime", "Europe", "x" * 5000, "\0"]
)
def test_a_zone_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(MomentError, match="Europe/London"):
        moments.zone(name)


def test_a_day_means_its_first_moment_where_it_begins_and_its_last_where_it_ends() -> None:
    day = date(2027, 6, 1)
    assert moments.moment(day, LONDON) == datetime(2027, 5, 31, 23, tzinfo=UTC)
    assert moments.moment(day, LONDON, is_end=True) == datetime(2027, 6, 1, 23, tzinfo=UTC)
    assert moments.moment(datetime(2027, 1, 1, 9, 30), LONDON) == datetime(2027, 1, 1, 9, 30, tzinfo=UTC)
    assert moments.moment(datetime(2027, 6, 1, 9, 30), LONDON) == datetime(2027, 6, 1, 8, 30, tzinfo=UTC)
    with pytest.raises(MomentError, match="too far away"):
        moments.moment(date(9999, 12, 31), LONDON, is_end=True)


def test_a_calendar_holds_what_comes_too_early_or_within_a_blackout() -> None:
    def at(day: int) -> datetime:
        return datetime(2027, 3, day, tzinfo=UTC)

    calendar = Calendar(at(2), (Blackout(at(12), at(14), "second"), Blackout(at(10), at(12), "first")))
    assert calendar.held(at(1)) == "not before its release"
    assert [calendar.held(at(day)) for day in (2, 9, 10, 11, 12, 13, 14)] == [
        *(None, None, "first", "first", "second", "second", None)
    ]
    # from one blackout into the next
    assert [calendar.free(at(day)) for day in (1, 9, 10, 13, 14)] == [at(day) for day in (2, 9, 14, 14, 14)]


def test_moments_between_two_are_counted_without_either() -> None:
    lines = (Line("0 6 * * *", "UTC"), Line("0 6 1 * *", "UTC"), Line("0 7 * * *", "UTC"))
    first, last = datetime(2027, 1, 1, 6, tzinfo=UTC), datetime(2027, 1, 3, 6, tzinfo=UTC)
    assert moments.between(lines, first, last) == 3
    assert moments.between(lines, first, first) == 0
    assert moments.between(lines, first, last, most=2) == 2
