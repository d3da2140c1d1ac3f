"""When something is due: cron lines in a time zone, and the release calendar. Every moment is in UTC."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

# In its last years a line that names 29 February can be silent for eight of them, and 40 around a century.
_NEVER = timedelta(days=366 * 41)
# More than any clock is put forward or back.
_SHIFT = timedelta(hours=3)
_FIELDS = 5
# cron lines are looked at for decades from a moment on, and calendars of Python's end in 9999
_LAST_YEAR = 2200


class MomentError(Exception):
    """A cron line, a time zone or a date that means no moment. The message says what is wrong with it."""


@dataclass(frozen=True)
class Line:
    """A cron line and the time zone that its hours are of.

    The five fields are those of Debian's cron. Where clocks go forward, a time of day that does not exist is due
    when the clock jumps; where they go back, one that exists twice is due once. Lines whose minute or hour
    begins with a star go by the hours that pass, as intervals do.
    """

    text: str
    zone: str

    def last(self, now: datetime, /) -> datetime | None:
        """The latest moment at or before `now`; null if there has been none in forty years."""
        # who asks every minute gets the same answer until the next moment
        last, following = _known.get(self, (None, None))
        if last is None or not last <= now < (following or last):
            last, following = self._last(now), next(self.following(now), None)
            _known[self] = last, following
        return last

    def _last(self, now: datetime) -> datetime | None:
        # going back, the library can pass by moments around a shift of the clocks; going forward, it does not
        for near in CronSim(self.text, self._local(now + timedelta(seconds=1)), reverse=True):
            earlier = near.astimezone(UTC)
            if earlier < now - _NEVER:
                return None
            last = None
            for moment in self.following(earlier - timedelta(minutes=1)):
                if moment > now:
                    break
                last = moment
            if last is not None:
                return last
        return None

    def following(self, now: datetime, /) -> Iterator[datetime]:
        """The moments after `now`, in order; they end where there is none for forty years."""
        since = self._local(now - _SHIFT if self._shifts_around(now) else now)
        last = now
        for local in CronSim(self.text, since):
            moment = local.astimezone(UTC)
            if moment - last > _NEVER:
                return
            if moment > last:
                last = moment
                yield moment

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.zone))

    def _shifts_around(self, now: datetime) -> bool:
        before, after = self._local(now - _SHIFT), self._local(now + _SHIFT)
        return before.utcoffset() != after.utcoffset()


_known: dict[Line, tuple[datetime | None, datetime | None]] = {}


def line(text: str, zone: str, /) -> Line:
    """A cron line that is known to mean something.

    Raises:
        MomentError: if it has not five fields, a field is not one, or no moment ever fits it.
    """
    shown = f'"{" ".join(text.split())[:60]}"'
    if len(text.split()) != _FIELDS:
        raise MomentError(
            f"{shown} is no cron line: give the five fields minute, hour, day of month, month and day of week, "
            'such as "0 6 1 * *" for six in the morning of the first of each month'
        )
    try:
        found = Line(" ".join(text.split()), zone)
        if next(found.following(datetime(2000, 1, 1, tzinfo=UTC)), None) is None:
            raise CronSimError("no day fits it")
    except (CronSimError, AssertionError, ValueError, OverflowError, RecursionError) as error:
        told = str(error).removeprefix("Bad ") or "it is not readable"
        raise MomentError(
            f"{shown} is no cron line ({told}): see crontab(5) for what each field takes"
        ) from error
    return found


def zone(name: str, /) -> str:
    """The name of a time zone that is known here.

    Raises:
        MomentError: if it is not.
    """
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        meant = [one for one in available_timezones() if one.casefold() == name.casefold()]
        like = f"did you mean {meant[0]}?" if meant else "give a name such as Europe/London"
        raise MomentError(
            f'"{" ".join(name.split())[:60]}" is no time zone that is known here: {like}'
        ) from error
    return name


def moment(said: date | datetime, zone: str, /, *, is_end: bool = False) -> datetime:
    """The moment that a date or a time means: a time without an offset is one of `zone`.

    A date means its first moment; as an end, the first moment after that day.

    Raises:
        MomentError: if it lies beyond what calendars here can tell.
    """
    if not 2000 <= said.year < _LAST_YEAR:
        raise MomentError(f"{said} is too far away: give a date of this century")
    try:
        if isinstance(said, datetime):
            local = said if said.tzinfo is not None else said.replace(tzinfo=ZoneInfo(zone))
        else:
            day = said + timedelta(days=1) if is_end else said
            local = datetime.combine(day, time(), tzinfo=ZoneInfo(zone))
        return local.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise MomentError(f"{said} is too far away: give a date of this century") from error


@dataclass(frozen=True)
class Blackout:
    """A time in which nothing is run: from `start`, until just before `end`, and why."""

    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True)
class Calendar:
    """When reports may be run at all: not before a moment, and not within blackouts."""

    not_before: datetime | None = None
    blackouts: tuple[Blackout, ...] = ()

    def held(self, now: datetime, /) -> str | None:
        """Why nothing may be run now, in words; null if it may."""
        if self.not_before is not None and now < self.not_before:
            return "not before its release"
        return next((one.reason for one in self.blackouts if one.start <= now < one.end), None)

    def free(self, now: datetime, /) -> datetime:
        """The first moment, from `now` on, at which something may be run."""
        free = max(now, self.not_before or now)
        for one in sorted(self.blackouts, key=lambda one: one.start):
            if one.start <= free < one.end:
                free = one.end
        return free


def latest(lines: Sequence[Line], now: datetime, /) -> datetime | None:
    """The latest moment at or before `now` of several lines; null if there is none."""
    return max((moment for line in lines if (moment := line.last(now)) is not None), default=None)


def coming(lines: Sequence[Line], now: datetime, /) -> datetime | None:
    """The first moment after `now` of several lines; null if there is none."""
    return min(
        (moment for line in lines if (moment := next(line.following(now), None)) is not None), default=None
    )


def between(lines: Sequence[Line], after: datetime, before: datetime, /, *, most: int = 100_000) -> int:
    """How many moments of several lines lie between two, both left out; no more than `most` are counted."""
    found: set[datetime] = set()
    for line in lines:
        for moment in line.following(after):
            if moment >= before or len(found) >= most:
                break
            found.add(moment)
    return len(found)
