from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from synthetic import RAW

from analysis import vocabulary
from analysis.schedule import coming, due, rota
from analysis.schedule.due import Standing, State
from analysis.schedule.rota import Entry
from analysis.schedule.runs import End, Origin, Run

FORCES = vocabulary.forces(RAW)
NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# six in the morning, each day
DUE = NOW - 6 * HOUR


def entry(*lines: str, cron: str = "0 6 * * *") -> Entry:
    text = "\n".join([f'[forces.kent]\ncron = "{cron}"\nretry_after = 600', *lines])
    return rota.parse(text.encode(), FORCES).entries[0]


def run(end: End, moment: datetime = DUE, *, attempt: int = 1, **changed: Any) -> Run:
    fields = {
        "run_id": f"{moment:%Y%m%dT%H%M%SZ}-{attempt:03}",
        "report": "kent",
        "due": moment,
        "attempt": attempt,
        "end": end,
        "started": moment,
        "finished": moment + timedelta(minutes=1),
        "host": "here",
    }
    return Run(**fields | changed)


def standing(*past: Run, now: datetime = NOW, of: Entry | None = None, again: bool = False) -> Standing:
    """Where a report stands; its runs the last one first."""
    return due.standing(of or entry(), past, now, again=again)


def test_what_has_never_run_is_due_for_its_last_moment() -> None:
    found = standing()
    assert (found.state, found.due, found.attempt, found.missed) == (State.DUE, DUE, 1, 0)
    assert found.coming is None


@pytest.mark.parametrize("end", [End.MADE, End.UNCHANGED, End.NO_AUDITS])
def test_what_went_well_is_not_due_until_its_next_moment(end: End) -> None:
    past = run(end)
    assert standing(past).state is State.NOT_DUE
    assert standing(past).coming == DUE + DAY
    assert standing(past, now=DUE + DAY - timedelta(seconds=1)).state is State.NOT_DUE
    assert standing(past, now=DUE + DAY).state is State.DUE


def test_moments_that_were_missed_are_made_up_for_by_one_run() -> None:
    found = standing(run(End.MADE, DUE - 5 * DAY))
    assert (found.state, found.due, found.missed) == (State.DUE, DUE, 4)


def test_what_was_cut_off_counts_as_missed_and_what_failed_does_not() -> None:
    assert standing(run(End.INTERRUPTED, DUE - DAY), run(End.MADE, DUE - 2 * DAY)).missed == 1
    assert standing(run(End.INTERRUPTED, DUE - DAY), run(End.INTERRUPTED, DUE - 4 * DAY)).missed == 4
    assert standing(run(End.FAILED, DUE - DAY), run(End.MADE, DUE - 2 * DAY)).missed == 0


def test_a_failure_is_tried_again_after_a_while_as_often_as_it_is_to_be() -> None:
    first = run(End.FAILED)
    retry = DUE + timedelta(minutes=11)
    waiting = standing(first, now=retry - timedelta(seconds=1))
    assert (waiting.state, waiting.coming) == (State.RETRY, retry)
    again = standing(first, now=retry)
    assert (again.state, again.due, again.attempt) == (State.DUE, DUE, 2)
    later = [run(End.FAILED, attempt=number) for number in (3, 2, 1)]
    assert standing(*later).state is State.FAILED
    assert standing(*later).coming == DUE + DAY
    assert standing(*later, of=entry("retries = 3"), now=NOW).attempt == 4
    assert standing(first, of=entry("retries = 0")).state is State.FAILED


def test_what_was_given_up_is_due_once_more_if_it_is_asked_for() -> None:
    failed = [run(End.FAILED, attempt=number) for number in (3, 2, 1)]
    assert standing(*failed, again=True).state is State.DUE
    assert standing(*failed, again=True).attempt == 4
    assert standing(run(End.FAILED), now=DUE + timedelta(minutes=2), again=True).state is State.DUE
    assert standing(run(End.MADE), again=True).state is State.NOT_DUE


def test_what_has_begun_and_not_ended_is_neither_due_nor_done() -> None:
    assert standing(run(End.BEGUN, finished=None)).state is State.BEGUN


def test_runs_that_were_cut_off_are_begun_again_at_once() -> None:
    found = standing(run(End.INTERRUPTED))
    assert (found.state, found.attempt) == (State.DUE, 2)


def test_interruptions_are_counted_from_the_last_other_end_over_all_moments() -> None:
    cut = [run(End.INTERRUPTED, attempt=number) for number in (5, 4, 3)]
    assert due.interruptions([*cut, run(End.FAILED, attempt=2), run(End.INTERRUPTED)]) == 3
    assert due.interruptions([run(End.BEGUN, DUE + DAY), run(End.MADE, origin=Origin.LAB), *cut]) == 4
    assert due.interruptions([run(End.MADE, DUE + DAY), *cut]) == 0


def test_one_that_is_cut_off_twice_in_a_row_waits_as_after_a_failure() -> None:
    twice = [run(End.INTERRUPTED, attempt=number) for number in (2, 1)]
    assert standing(*twice, now=DUE + timedelta(minutes=2)).state is State.RETRY
    assert standing(*twice, now=DUE + timedelta(minutes=11)).state is State.DUE


def test_a_clock_that_was_ahead_neither_stops_nor_doubles_a_run() -> None:
    # it ran in a year that has not come, before the clock was put right
    ahead = run(End.MADE, DUE + 3650 * DAY)
    assert standing(ahead).state is State.DUE
    assert standing(ahead, run(End.MADE)).state is State.NOT_DUE
    # an hour back: what has been run at six is not run at the next six
    assert standing(run(End.MADE), run(End.MADE, DUE - DAY), now=DUE - HOUR).state is State.NOT_DUE
    assert standing(run(End.MADE), now=DUE).state is State.NOT_DUE
    # what failed in a future is not waited for
    later = run(End.FAILED, finished=DUE + 300 * DAY)
    assert standing(later).state is State.DUE


def test_a_line_that_was_changed_counts_from_then_on() -> None:
    daily = run(End.MADE, DUE)
    assert standing(daily, of=entry(cron="0 6 1 * *")).state is State.NOT_DUE
    assert standing(daily, of=entry(cron="0 11 * * *")).state is State.DUE


def test_runs_of_the_lab_are_nothing_to_the_schedule() -> None:
    assert standing(run(End.MADE, origin=Origin.LAB)).state is State.DUE


def test_the_release_calendar_holds_what_is_due_and_lets_it_go_once() -> None:
    held = entry('[[release.blackout]]\nstart = 2027-01-09\nend = 2027-01-12\nreason = "Pre-election period"')
    past = run(End.MADE, DUE - 3 * DAY)
    found = standing(past, of=held)
    assert (found.state, found.held) == (State.HELD, "Pre-election period")
    assert found.coming == datetime(2027, 1, 13, tzinfo=UTC)
    after = standing(past, of=held, now=datetime(2027, 1, 13, tzinfo=UTC))
    assert (after.state, after.due, after.missed) == (State.DUE, datetime(2027, 1, 12, 6, tzinfo=UTC), 4)
    early = standing(of=entry("not_before = 2027-01-11"))
    assert (early.state, early.held) == (State.HELD, "not before its release")


def test_a_line_that_comes_once_in_years_is_due_for_its_last_moment() -> None:
    found = standing(of=entry(cron="0 6 29 2 *"))
    assert (found.state, found.due) == (State.DUE, datetime(2024, 2, 29, 6, tzinfo=UTC))
    assert standing(run(End.MADE, datetime(2024, 2, 29, 6, tzinfo=UTC)), of=found.entry).coming == datetime(
        2028, 2, 29, 6, tzinfo=UTC
    )


def test_what_comes_is_shown_by_moments_in_order(tmp_path: Path) -> None:
    text = b"""
[forces.kent]
cron = "0 6 * * *"
[forces.surrey]
cron = ["0 6 * * *", "0 7 11 * *"]
[forces.dorset]
cron = "0 6 * * *"
[forces.essex]
cron = "0 6 * * *"
[[release.blackout]]
start = 2027-01-10T00:00:00
end = 2027-01-11T06:30:00
reason = "Quiet"
forces = ["dorset"]
"""
    entries = rota.parse(text, FORCES).entries
    runs = {"kent": [run(End.MADE)], "essex": [run(End.FAILED, NOW - HOUR, attempt=1)]}
    found = [due.standing(one, runs.get(one.name, []), NOW - timedelta(minutes=55)) for one in entries]
    shown = coming.following(found, NOW - timedelta(minutes=55), most=5)
    assert [(f"{one.when:%d %H:%M}", one.reports, one.note) for one in shown] == [
        ("10 11:05", ("surrey",), ""),
        ("10 11:11", ("essex",), "attempt 2"),
        ("11 06:00", ("essex", "kent", "surrey"), ""),
        ("11 06:30", ("dorset",), "held: Quiet"),
        ("11 07:00", ("surrey",), ""),
    ]
