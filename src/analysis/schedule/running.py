"""Run what is due, once, whoever asks and however often: the one function that every scheduler calls."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import takewhile
from typing import Any

from analysis import paths
from analysis.present import plainly
from analysis.publish import record
from analysis.publish.record import Outcome, RunRecord, State
from analysis.publish.shelf import LockedError, Shelf, ShelfError
from analysis.schedule import due, outbox, runs, shown
from analysis.schedule.due import Standing
from analysis.schedule.outbox import Telling
from analysis.schedule.rota import CHANGED, FAILURE, FILE, RECOVERY, Entry, Rota
from analysis.schedule.runs import End, Origin, Run


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


# Makes reports, and settles each when there is something of it.
Settle = Callable[[str, Left], None]
Maker = Callable[[paths.Project, Shelf, Order, Settle], None]


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
    found = standings(place, entries, now(), again=again)
    if not has_news and not any(one.is_due or one.is_cut_off for one in found):
        return []
    with place.locked(wait=wait, tell=say):
        desk = _Desk(project, place, make, telling, now, tell, say)
        # another run may have done it meanwhile
        found = standings(place, entries, now(), again=again)
        if cut := [one.entry for one in found if one.is_cut_off]:
            for entry in cut:
                desk.cut_off(entry)
            found = standings(place, entries, now(), again=again)
        for order, group in _orders([one for one in found if one.is_due]):
            desk.run(order, group)
        for entry in entries:
            if any(run.report == entry.name for run in desk.ended):
                runs.clear(place, entry.name, entry.retention, now())
        if telling is not None:
            outbox.deliver(place, telling, now=now(), say=say)
        if desk.unwritable is not None:
            raise desk.unwritable
        return desk.ended


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


@dataclass
class _Desk:
    """One call of `run_due` that has the right to write, and the runs that ended in it."""

    project: paths.Project
    place: Shelf
    make: Maker
    telling: Telling | None
    now: Callable[[], datetime]
    tell: Callable[[Run], None]
    say: Callable[[str], None]
    ended: list[Run] = field(default_factory=list)
    unwritable: ShelfError | None = None

    def cut_off(self, entry: Entry) -> None:
        """End runs that have begun and not ended: whoever ran them is gone, as nobody else has the right to write."""
        past = [run for run in runs.of(self.place, entry.name) if run.origin is Origin.SCHEDULE]
        for run in [run for run in past if run.end is End.BEGUN]:
            n_cut = due.interruptions(past)
            if run is past[0] and n_cut >= due.MOST_INTERRUPTIONS:
                reason = f"It was cut off {n_cut} times in a row, the last time on {run.host}."
                self._end(entry, run, Left(End.FAILED, reason))
            else:
                self._note(runs.finish(self.place, run, End.INTERRUPTED, now=self.now()))

    def run(self, order: Order, group: Sequence[Standing]) -> None:
        """Make what is due in one batch; each run ends when its report is done."""
        begun: dict[str, tuple[Entry, Run]] = {}
        for one in group:
            assert one.due is not None
            try:
                run = runs.begin(
                    self.place,
                    one.entry.name,
                    due=one.due,
                    attempt=one.attempt,
                    missed=one.missed,
                    now=self.now(),
                )
            except ShelfError as error:
                # of this report nothing can be written down; the others are none the worse for it
                self.unwritable = error
                continue
            self.tell(run)
            begun[run.report] = one.entry, run
        last: dict[str, Left] = {}

        def settle(report: str, left: Left) -> None:
            if len(begun) > 1:
                self._end(*begun.pop(report), left)
            else:
                # after the batch, which writes the pages about all reports at its own end: whoever is killed
                # before that leaves a run that is begun again, and the batch with it
                last[report] = left

        if not begun:
            return
        order = replace(order, names=tuple(begun))
        reason = "It came to nothing, and nobody said why."
        try:
            self.make(self.project, self.place, order, settle)
        except (LockedError, ShelfError, OSError):
            # nothing more can be written: the next call begins them again
            raise
        except Exception as error:
            reason = plainly.told(error)
            self.say(reason)
        for name, (entry, run) in begun.items():
            self._end(entry, run, last.get(name) or Left(End.FAILED, reason))

    def _end(self, entry: Entry, run: Run, left: Left) -> None:
        """Write down how a run ended, and put what people are to be told where it waits for being told."""
        others = (one for one in runs.of(self.place, entry.name) if one.run_id != run.run_id)
        before = list(runs.needed(others, run.due))
        known = before[-1].made if before and before[-1].end.is_success else None
        is_other = left.record is not None and left.record.run_id != known
        of_moment = [one for one in before if one.due == run.due]
        end = left.end
        if end is End.UNCHANGED and is_other and left.record is not None and of_moment:
            # an attempt that was cut off after it had made it
            end = End.MADE if left.record.finished >= of_moment[-1].started else end
        news = _news(entry, run, end, before)
        if is_other and (end is End.MADE or known is not None) and _has_moved(left.record):
            news = (*news, CHANGED)
        if self.telling is not None:
            for kind in news:
                if kind in self.telling.settings.on:
                    outbox.post(self.place, entry, run, kind, left.record, now=self.now())
        self._note(
            runs.finish(self.place, run, end, now=self.now(), reason=left.reason, left=left.record, news=news)
        )

    def _note(self, run: Run) -> None:
        self.tell(run)
        self.ended.append(run)


def _news(entry: Entry, run: Run, end: End, before: Sequence[Run]) -> tuple[str, ...]:
    """What people are told of a run, apart from figures: that it failed, once it was tried as often as it is to be."""
    told = next((one for one in before if FAILURE in one.news), None)
    if end is not End.FAILED:
        return () if told is None else (RECOVERY,)
    # over several moments too, as the next one may come before all attempts for the last were made
    since = takewhile(lambda one: one is not told, before)
    failed = [
        one
        for one in (run, *(one for one in since if one.end is End.FAILED))
        if not told or one.due != told.due
    ]
    return (FAILURE,) if due.is_final(entry, len(failed)) else ()


def _has_moved(left: RunRecord | None) -> bool:
    return left is not None and bool(left.moved) and left.state is not State.WITHDRAWN


def checked(project: paths.Project, names: Sequence[str], given: Mapping[str, Any], /) -> dict[str, Any]:
    """Parameters of the schedule for some reports, in the types that the notebook declares.

    Raises:
        ParameterError: if the notebook does not take them; the message says whose they are.
    """
    if not given:
        return {}
    from analysis.publish import batch
    from analysis.publish.parameters import ParameterError

    try:
        return batch.check_notebook(project, given)
    except ParameterError as error:
        raise ParameterError(f"{FILE}, parameters of {shown.several(names)}: {error}") from error


def batches(*, jobs: int = 1, say: Callable[[str], None] = lambda message: None) -> Maker:
    """What makes the reports of this project, as `casegrade report` does.

    Args:
        jobs: how many to make at a time.
        say: is told what there is to know besides.
    """

    def make(project: paths.Project, place: Shelf, order: Order, settle: Settle) -> None:
        # only who makes something needs it, and it takes half a second to load
        from analysis.publish import batch

        asked = batch.Asked(
            tuple(name for name in order.names if name != record.QUALITY),
            checked(project, order.names, order.parameters),
            with_quality=record.QUALITY in order.names,
            formats=order.formats,
            publish=order.publish,
        )
        limits = batch.Limits(report=order.deadline)
        batch.run(
            project,
            place,
            asked,
            jobs=jobs,
            limits=limits,
            tell=lambda one: settle(
                one.name, _left(one.outcome, one.headline, one.record, is_new=one.is_new)
            ),
            say=say,
        )

    return make


def _left(outcome: Outcome, headline: str, left: RunRecord | None, *, is_new: bool) -> Left:
    if outcome is Outcome.FAILED:
        return Left(End.FAILED, headline, left)
    if outcome is Outcome.NO_AUDITS:
        return Left(End.NO_AUDITS)
    return Left(End.MADE if is_new else End.UNCHANGED, None, left)
