"""What people are shown of the schedule: tables that fit a terminal, and sentences; moments in the hours they have."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from analysis.present import plainly
from analysis.schedule.coming import Coming
from analysis.schedule.due import Standing, State
from analysis.schedule.rota import LONDON
from analysis.schedule.runs import End, Run

_STATES = {State.RETRY: "retry", State.FAILED: "given up"}
_NAMED = 3


def coming(found: Sequence[Coming], now: datetime, /, *, n_all: int) -> Table:
    """The next moments as a table; of `n_all` reports together, it says so."""
    table = _table("When", "Reports", "Note")
    for one in found:
        when = "now" if one.when <= now else local(one.when, one.zone, now)
        names = f"all {n_all}" if len(one.reports) == n_all > 1 else several(one.reports)
        _add(table, when, names, one.note)
    return table


def status(found: Sequence[Standing], /) -> tuple[Table, list[str]]:
    """Where reports stand, as a table; and what there is to say of some, a line for all of which it is true."""
    table = _table("Report", "Last run", "Age", "Now", "Next")
    for one in found:
        following = "now" if one.is_due else ""
        if one.coming is not None:
            following = local(one.coming, one.entry.timezone, one.now)
        last = "none yet" if one.last is None else str(one.last.end)
        age = "" if one.age is None else _age(one.age)
        _add(table, one.entry.name, last, age, _STATES.get(one.state, str(one.state)), following)
    said: dict[str, list[str]] = {}
    for one in found:
        for reason in _reasons(one):
            said.setdefault(reason, []).append(one.entry.name)
    return table, [plainly.harmless(f"{several(names)}: {reason}") for reason, names in said.items()]


def _reasons(one: Standing) -> list[str]:
    reasons = []
    if one.held is not None:
        until = "" if one.coming is None else f" until {local(one.coming, one.entry.timezone, one.now)}"
        reasons.append(f"held{until}: {one.held}")
    last = one.last
    if last is not None and last.end is End.BEGUN:
        reasons.append(f"has begun on {last.host} and not ended: it is running, or was cut off")
    if last is not None and last.end is End.INTERRUPTED:
        reasons.append(f"was cut off on {last.host}, and is begun again")
    if last is not None and last.reason is not None:
        reasons.append(last.reason)
    return reasons


def idle(found: Sequence[Standing], /) -> str:
    """A sentence on why nothing was run."""
    waits = [one for one in found if one.state in (State.HELD, State.RETRY)]
    if not waits:
        return "Nothing is due."
    counts = Counter("held" if one.state is State.HELD else "to be tried again" for one in waits)
    told = " and ".join(f"{number} {word}" for word, number in counts.items())
    first = min(
        (one for one in waits if one.coming is not None), key=lambda one: one.coming or one.now, default=None
    )
    when = "" if first is None or first.coming is None else f", the first {_on(first)}"
    return f"Nothing can be run now: {told}{when}."


def _on(one: Standing) -> str:
    assert one.coming is not None
    return f"on {local(one.coming, one.entry.timezone, one.now)}"


def sentence(run: Run, now: datetime, /) -> str:
    """A run that has begun or ended, in a line."""
    if run.end is End.BEGUN:
        more = f", which makes up for {run.missed} earlier" if run.missed else ""
        attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
        return f"{run.report}: due {local(run.due, LONDON, now)}{more}{attempt}"
    how = "was cut off" if run.end is End.INTERRUPTED else str(run.end)
    return f"{run.report}: {how}{f': {run.reason}' if run.reason else ''}"


def summary(ended: Sequence[Run], /) -> str:
    """How runs ended, in a line."""
    counts = Counter("cut off before" if run.end is End.INTERRUPTED else str(run.end) for run in ended)
    return f"{', '.join(f'{number} {end}' for end, number in counts.items())}."


def several(names: Sequence[str], /) -> str:
    """Names of reports, not too many."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def local(moment: datetime, zone: str, now: datetime, /) -> str:
    """A moment in the hours of a zone; with its year, if that is another than now."""
    there = moment.astimezone(ZoneInfo(zone))
    year = f" {there:%Y}" if there.year != now.astimezone(ZoneInfo(zone)).year else ""
    return f"{there:%a} {there.day} {there:%b}{year} {there:%H:%M}"


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}"
    return f"{max(minutes, 0)} min"


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        # moments and names are of no use if they are cut
        table.add_column(column, no_wrap=column in ("When", "Report", "Age", "Next"), overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    # as they are: what others wrote is neither markup nor lets steer a terminal
    table.add_row(*(Text(plainly.harmless(cell)) for cell in cells))
