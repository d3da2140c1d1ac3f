"""Run what is due, once, whoever asks and however often: the one function that every scheduler calls."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analysis import paths
from analysis.publish import record
from analysis.publish.record import Outcome, RunRecord, State
from analysis.publish.shelf import LockedError, Shelf, ShelfError
from analysis.schedule import due, outbox, runs
from analysis.schedule.due import Standing
from analysis.schedule.outbox import Telling
from analysis.schedule.rota import CHANGED, FAILURE, RECOVERY, Entry, Rota
from analysis.schedule.runs import End, Run


@dataclass(frozen=True)
class Order:
    """Reports that are made in one batch, as they are made alike: see `rota.Entry`."""

    names: tuple[str, ...]
    parameters: Mapping[str, Any]
    formats: frozenset[str]
    publish: bool
    deadline: float


@dataclass(frozen=True)
class Left:
    """What a batch left of one report: how its run ended, why it failed, and the record that there is."""

    end: End
    reason: str | None = None
    record: RunRecord | None = None


Maker = Callable[[paths.Project, Shelf, Order], Mapping[str, Left]]


def standings(
    place: Shelf, entries: Iterable[Entry], now: datetime, /, *, again: bool = False
) -> list[Standing]:
    """Where each report stands; nothing is written."""
    return [due.standing(entry, runs.of(place, entry.name), now, again=again) for entry in entries]


def run_due(
    project: paths.Project,
    place: Shelf,
    rota: Rota,
    /,
    *,
    names: Sequence[str] = (),
    again: bool = False,
    wait: float = 0.0,
    make: Maker,
    telling: Telling | None = None,
    now: Callable[[], datetime] = record.now,
    tell: Callable[[Run], None] = lambda run: None,
    say: Callable[[str], None] = lambda message: None,
) -> list[Run]:
    """Run what is due and tell of it. It can be called at any time, from several machines: one of them runs it.

    What is remembered are the runs alone. Each is written down before it begins and after it ended, so that
    whoever is killed at any moment loses nothing: the next call finds a run that has not ended and begins it again.

    Args:
        project: where raw files and notebooks are.
        place: where the reports are, and the runs beside them.
        rota: what is due when.
        names: of the reports to look at; all if none is named.
        again: whether to run what has failed for good once more.
        wait: seconds to wait for another run that is writing.
        make: makes the reports: `batches` for the reports of this project.
        telling: how people are told; null if nobody is.
        now: the clock.
        tell: called when a run begins and when it has ended.
        say: is told what else there is to know.

    Returns:
        The runs that ended in this call.

    Raises:
        ScheduleError: if a report is named that is not in the schedule.
        LockedError: if something is due and another run is still writing.
        ShelfError: if nothing can be read or written there.
    """
    entries = rota.chosen(names)
    has_news = telling is not None and outbox.is_waiting(place, now())
    if not has_news and not _has_work(standings(place, entries, now(), again=again)):
        return []
    with place.locked(wait=wait, tell=say):
        ended: list[Run] = []
        for entry in entries:
            ended += _cut_off(place, entry, now(), tell)
        # another run may have done it meanwhile
        found = [one for one in standings(place, entries, now(), again=again) if one.state is due.State.DUE]
        for order, group in _orders(found):
            ended += _run(project, place, order, group, make, now, tell, say)
        if telling is not None:
            outbox.deliver(place, telling, now=now(), say=say)
        for entry in entries:
            if any(run.report == entry.name for run in ended):
                for run in runs.expired(place, entry.name, entry.retention, now()):
                    runs.remove(place, run)
        return ended


def _has_work(found: Iterable[Standing]) -> bool:
    return any(one.state in (due.State.DUE, due.State.BEGUN) for one in found)


def _cut_off(place: Shelf, entry: Entry, now: datetime, tell: Callable[[Run], None]) -> list[Run]:
    """End runs that have begun and not ended: whoever ran them is gone, as nobody else has the right to write."""
    found = []
    past = list(_until_ended(place, entry.name))
    for run in past:
        n_cut = due.interruptions(runs.of(place, entry.name), run.due)
        if n_cut < due.MOST_INTERRUPTIONS:
            ended = runs.finish(place, run, End.INTERRUPTED, now=now)
        else:
            reason = f"It was cut off {n_cut} times in a row, the last time on {run.host}."
            ended = _ended(place, entry, run, Left(End.FAILED, reason), now)
        tell(ended)
        found.append(ended)
    return found


def _until_ended(place: Shelf, report: str) -> Iterable[Run]:
    for run in runs.of(place, report):
        if run.origin is not runs.Origin.SCHEDULE:
            continue
        if run.end is not End.BEGUN:
            return
        yield run


def _orders(found: Sequence[Standing]) -> list[tuple[Order, list[Standing]]]:
    """What is due in as few batches as can be."""
    orders: list[tuple[Order, list[Standing]]] = []
    for one in found:
        entry = one.entry
        alike = (dict(entry.parameters), entry.formats, entry.publish, entry.deadline)
        for place, (order, group) in enumerate(orders):
            if (order.parameters, order.formats, order.publish, order.deadline) == alike:
                names = (*order.names, entry.name)
                orders[place] = (Order(names, *alike), [*group, one])
                break
        else:
            orders.append((Order((entry.name,), *alike), [one]))
    return orders


def _run(
    project: paths.Project,
    place: Shelf,
    order: Order,
    group: Sequence[Standing],
    make: Maker,
    now: Callable[[], datetime],
    tell: Callable[[Run], None],
    say: Callable[[str], None],
) -> list[Run]:
    begun: list[tuple[Entry, Run]] = []
    for one in group:
        assert one.due is not None
        run = runs.begin(
            place, one.entry.name, due=one.due, attempt=one.attempt, missed=one.missed, now=now()
        )
        tell(run)
        begun.append((one.entry, run))
    try:
        left = make(project, place, order)
    except (LockedError, ShelfError, OSError):
        # nothing more can be written: the next call begins them again
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if type(error).__module__ == "builtins":
            reason = f"{type(error).__name__}: {reason}"
        say(reason)
        left = {name: Left(End.FAILED, reason) for name in order.names}
    ended = []
    for entry, run in begun:
        ended.append(_ended(place, entry, run, left[run.report], now()))
        tell(ended[-1])
    return ended


def _ended(place: Shelf, entry: Entry, run: Run, left: Left, now: datetime) -> Run:
    """Write down how a run ended, and put what people are to be told where it waits for being told."""
    before = list(_since_success(place, run))
    known = before[-1].made if before and before[-1].end.is_success else None
    is_other = left.record is not None and left.record.run_id != known
    of_moment = [one for one in before if one.due == run.due]
    end = left.end
    if end is End.UNCHANGED and is_other and left.record is not None and of_moment:
        # an attempt that was cut off after it had made it
        end = End.MADE if left.record.finished >= of_moment[-1].started else end
    for kind in _news(entry, end, left, before, is_other=is_other and (end is End.MADE or known is not None)):
        outbox.post(place, entry, run, kind, left.record, now=now)
    return runs.finish(place, run, end, now=now, reason=left.reason, left=left.record)


def _since_success(place: Shelf, run: Run) -> Iterator[Run]:
    """The runs of a report before one, the last one first, up to one that went well."""
    for one in runs.of(place, run.report):
        if one.origin is not run.origin or one.run_id >= run.run_id:
            continue
        yield one
        if one.end.is_success:
            return


def _news(entry: Entry, end: End, left: Left, before: Sequence[Run], *, is_other: bool) -> list[str]:
    """What people are told of a run: that it failed, once it was tried as often as it is to be."""
    n_failed = sum(one.end is End.FAILED for one in before)
    if end is End.FAILED:
        # over several moments too, as the next one may come before all attempts for the last were made
        return [FAILURE] if (n_failed + 1) % (entry.retries + 1) == 0 else []
    news = []
    if n_failed > entry.retries:
        news.append(RECOVERY)
    if (
        is_other
        and left.record is not None
        and left.record.moved
        and left.record.state is not State.WITHDRAWN
    ):
        news.append(CHANGED)
    return news


def batches(*, jobs: int = 1, say: Callable[[str], None] = lambda message: None) -> Maker:
    """What makes the reports of this project, as `casegrade report` does.

    Args:
        jobs: how many to make at a time.
        say: is told what there is to know besides.
    """

    def make(project: paths.Project, place: Shelf, order: Order) -> Mapping[str, Left]:
        # only who makes something needs it, and it takes half a second to load
        from analysis.publish import batch

        asked = batch.Asked(
            tuple(name for name in order.names if name != record.QUALITY),
            batch.check_notebook(project, order.parameters) if order.parameters else {},
            with_quality=record.QUALITY in order.names,
            formats=order.formats,
            publish=order.publish,
        )
        limits = batch.Limits(report=order.deadline)
        results = batch.run(project, place, asked, jobs=jobs, limits=limits, say=say)
        return {one.name: _left(one.outcome, one.headline, one.record, is_new=one.is_new) for one in results}

    return make


def _left(outcome: Outcome, headline: str, left: RunRecord | None, *, is_new: bool) -> Left:
    if outcome is Outcome.FAILED:
        return Left(End.FAILED, headline, left)
    if outcome is Outcome.NO_AUDITS:
        return Left(End.NO_AUDITS)
    return Left(End.MADE if is_new else End.UNCHANGED, None, left)
