"""What comes next, as people are shown it: moments, and the reports that are due at each."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice

from analysis.schedule import moments
from analysis.schedule.due import Standing, State


@dataclass(frozen=True)
class Coming:
    """A moment, in UTC, the reports that are run at it, the time zone of their hours, and what there is to know."""

    when: datetime
    reports: tuple[str, ...]
    zone: str
    note: str


def following(found: Sequence[Standing], now: datetime, /, *, most: int) -> list[Coming]:
    """What is due now and at the next moments, in order of time, no more than so many moments.

    A moment within a blackout is shown where it comes to: at the end of that, once for all that it holds.
    """
    each = heapq.merge(*(_of(one, now) for one in found))
    coming = []
    for (when, zone, note), group in islice(groupby(each, key=lambda one: one[:3]), most):
        coming.append(Coming(when, tuple(sorted({name for *_, name in group})), zone, note))
    return coming


def _of(one: Standing, now: datetime) -> Iterator[tuple[datetime, str, str, str]]:
    entry = one.entry
    last = now
    if one.state is State.DUE:
        yield now, entry.timezone, _missed(one), entry.name
    elif one.state is State.BEGUN:
        yield now, entry.timezone, "has begun, and not ended", entry.name
    elif one.state is State.RETRY and one.coming is not None:
        yield one.coming, entry.timezone, f"attempt {one.attempt}", entry.name
    elif one.state is State.HELD and one.coming is not None:
        last = one.coming
        yield one.coming, entry.timezone, f"held: {one.held}", entry.name
    after = now
    while (moment := moments.coming(entry.lines, after)) is not None:
        # of all that a blackout holds, its end is shown once
        after = entry.calendar.free(moment)
        if after > last:
            last = after
            yield (
                after,
                entry.timezone,
                f"held: {entry.calendar.held(moment)}" if after > moment else "",
                entry.name,
            )


def _missed(one: Standing) -> str:
    return f"makes up for {one.missed} earlier" if one.missed else ""
