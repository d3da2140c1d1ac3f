"""When cron lines are due, worked out in another way than the code does: by the minutes and the days of a calendar."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# minutes, hours, days of the month, months, days of the week (Monday is 0)
EVERY = range(60), range(24), range(1, 32), range(1, 13), range(7)
LINES = {
    "30 6 * * *": ([30], [6], *EVERY[2:]),
    "30 1 * * *": ([30], [1], *EVERY[2:]),
    "0 1 * * *": ([0], [1], *EVERY[2:]),
    "0 4 * * *": ([0], [4], *EVERY[2:]),
    "59 23 * * *": ([59], [23], *EVERY[2:]),
    "0,15,45 1,2 * * *": ([0, 15, 45], [1, 2], *EVERY[2:]),
    "0 2 * * sun": ([0], [2], *EVERY[2:4], [6]),
    "30 1 * * sun": ([30], [1], *EVERY[2:4], [6]),
    "0 1,2 * * mon": ([0], [1, 2], *EVERY[2:4], [0]),
    "0 7 * * mon-fri": ([0], [7], *EVERY[2:4], range(5)),
    "15 8,17 * * 1-5": ([15], [8, 17], *EVERY[2:4], range(5)),
    "0 9-17 * * 1-5": ([0], range(9, 18), *EVERY[2:4], range(5)),
    "0 6 1 * *": ([0], [6], [1], *EVERY[3:]),
    "0 12 1 * *": ([0], [12], [1], *EVERY[3:]),
    "10 0 1 * *": ([10], [0], [1], *EVERY[3:]),
    "10 9 15 */3 *": ([10], [9], [15], [1, 4, 7, 10], EVERY[4]),
    "0 5 2 1 *": ([0], [5], [2], [1], EVERY[4]),
    "5 9 * 3,10 1-5": ([5], [9], EVERY[2], [3, 10], range(5)),
    "0 12 29 2 *": ([0], [12], [29], [2], EVERY[4]),
    "0 * * * *": ([0], *EVERY[1:]),
    "*/20 * * * *": ([0, 20, 40], *EVERY[1:]),
    "*/30 1 * * *": ([0, 30], [1], *EVERY[2:]),
    "*/30 1-2 * * sun": ([0, 30], [1, 2], *EVERY[2:4], [6]),
}


def moments(text: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    """The moments of one of the lines, from one moment to another, both among them if they are some; in UTC."""
    tz = ZoneInfo(zone)
    if zone == "UTC" or text.startswith("*") or text.split()[1].startswith("*"):
        return list(_as_minutes_pass(text, tz, since, until))
    return list(_as_days_go(text, tz, since, until))


def _as_minutes_pass(text: str, tz: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    moment = since
    while moment <= until:
        local = moment.astimezone(tz)
        told = (local.minute, local.hour, local.day, local.month, local.weekday())
        if all(one in field for one, field in zip(told, LINES[text], strict=True)):
            yield moment
        moment += MINUTE


def _as_days_go(text: str, tz: ZoneInfo, since: datetime, until: datetime) -> Iterator[datetime]:
    minutes, hours, days, months, weekdays = LINES[text]
    day, last = since.astimezone(tz).date(), until.astimezone(tz).date()
    found = set()
    while day <= last:
        if day.day in days and day.month in months and day.weekday() in weekdays:
            for hour in hours:
                for minute in minutes:
                    local = datetime(day.year, day.month, day.day, hour, minute)
                    # a time that does not exist is due when the clock jumps; one that comes twice, the first time
                    while not _exists(local, tz):
                        local += MINUTE
                    found.add(local.replace(tzinfo=tz).astimezone(UTC))
        day += DAY
    yield from sorted(moment for moment in found if since <= moment <= until)


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    there = local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return there.replace(tzinfo=None) == local
