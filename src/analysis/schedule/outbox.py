"""What people are still to be told: it waits beside the runs until it is delivered, whoever is killed meanwhile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from analysis.publish import record, shelf
from analysis.publish.record import RunRecord
from analysis.publish.shelf import Shelf
from analysis.schedule import runs
from analysis.schedule.credentials import Credentials
from analysis.schedule.rota import FAILURE, Entry, Notify
from analysis.schedule.runs import Run

if TYPE_CHECKING:
    from analysis.schedule.notices import News

_FOLDER = f"{runs.FOLDER}/to-tell"
# when somebody could last not be told; hidden, as it is nothing to tell
_TRIED = f"{_FOLDER}/.tried"
# a server that cannot be reached is not asked again at each call, which may come every minute
_PAUSE = timedelta(minutes=10)
_INDEX = "index.html"
# what nobody could be told for so long is no news any more
_STALE = timedelta(days=7)


@dataclass(frozen=True)
class Telling:
    """How people are told.

    Attributes:
        settings: who is told of what, from the schedule.
        credentials: what the mail server and the webhook ask for.
        named: the full name of a report by its slug.
        shown: the place of a file of the reports, for whoever is told and given no link.
    """

    settings: Notify
    credentials: Credentials
    named: Callable[[str], str]
    shown: Callable[[str], str]


def post(
    place: Shelf, entry: Entry, run: Run, kind: str, left: RunRecord | None, /, *, now: datetime
) -> None:
    """Put down that people are to be told something of a run. Doing so twice is the same as doing it once."""
    # only who has something to tell needs it
    from analysis.schedule.notices import News

    latest = shelf.latest(place, entry.name)
    # the page about all reports says which have failed, and what was there before
    folder = "" if kind == FAILURE or latest is None else f"{latest[0]}/"
    page = f"{folder}{record.PAGE}" if folder else _INDEX
    news = News(
        name=entry.name,
        kind=kind,
        when=now,
        due=run.due,
        run_id=run.run_id,
        addresses=entry.notify,
        version=None if left is None else str(left.state),
        page=page,
    )
    # by its moment and not by the run: one that is begun again tells the same
    name = f"{entry.name}-{run.due:%Y%m%dT%H%M%SZ}-{kind.replace(' ', '-')}.json"
    place.write(f"{_FOLDER}/{name}", news.model_dump_json().encode())


def n_waiting(place: Shelf, /) -> int:
    """How many things people are still to be told."""
    return len(place.names(_FOLDER))


def is_waiting(place: Shelf, now: datetime, /) -> bool:
    """Whether somebody is to be told something now: not shortly after an attempt that failed."""
    if not n_waiting(place):
        return False
    try:
        tried = datetime.fromisoformat((place.read(_TRIED) or b"").decode())
    except ValueError:
        return True
    return not tried <= now < tried + _PAUSE


def deliver(place: Shelf, telling: Telling, /, *, now: datetime, say: Callable[[str], None]) -> None:
    """Tell people what waits for them; what cannot be delivered is tried again, for a week.

    Args:
        place: where the reports are; whoever calls holds its lock.
        telling: how people are told.
        now: the present.
        say: is told what could not be delivered, and why.
    """
    if not is_waiting(place, now):
        return
    names = place.names(_FOLDER)
    from analysis.schedule import notices
    from analysis.schedule.notices import News

    waiting: dict[str, News] = {}
    for name in names:
        try:
            news = News.model_validate_json(place.read(f"{_FOLDER}/{name}") or b"")
        except ValueError:
            say(f"{_FOLDER}/{name} cannot be read, so nobody is told what it says: it was removed.")
        else:
            if news.when > now - _STALE:
                waiting[name] = news
            else:
                say(
                    f"{news.name}: of {news.kind} on {news.when:%Y-%m-%d}, somebody could not be told for a week."
                )
    sent = notices.send(
        list(waiting.values()),
        telling.settings,
        telling.credentials,
        named=telling.named,
        shown=telling.shown,
        now=now,
    )
    for problem in sent.problems:
        say(problem)
    if sent.remaining:
        place.write(_TRIED, now.isoformat().encode())
    elif place.has(_TRIED):
        place.remove(_TRIED)
    remaining: Mapping[tuple[str, str, str], News] = {_key(news): news for news in sent.remaining}
    for name in names:
        news_left = remaining.get(_key(waiting[name])) if name in waiting else None
        if news_left is None:
            place.remove(f"{_FOLDER}/{name}")
        elif news_left != waiting[name]:
            place.write(f"{_FOLDER}/{name}", news_left.model_dump_json().encode())


def _key(news: "News") -> tuple[str, str, str]:
    return news.name, news.run_id, news.kind
