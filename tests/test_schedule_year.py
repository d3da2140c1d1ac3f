"""A year of 43 forces: mixed cron lines, both changes of the clocks, three outages, fifty kills of the scheduler."""

import random
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import calendars
import pytest
import simulated_year
import synthetic
from calendars import MINUTE

from analysis import vocabulary
from analysis.publish import shelf
from analysis.schedule import rota, runs
from analysis.schedule.runs import End, Origin, Run

LONDON = "Europe/London"
SINCE, UNTIL = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
N_KILLS = 50
# apart from the nights in which the clocks change, which are lived through
OUTAGES = {
    datetime(2027, 1, 20, 8, 30, tzinfo=UTC): timedelta(hours=1),
    datetime(2027, 6, 10, 22, 10, tzinfo=UTC): timedelta(days=3),
    datetime(2027, 7, 13, 3, 5, tzinfo=UTC): timedelta(weeks=5),
}
# of each force, in turn
RHYTHMS = (
    ("0 6 1 * *",),
    ("30 1 * * sun",),
    ("30 1 * * *",),
    ("0 1,2 * * mon",),
    ("10 9 15 */3 *",),
    ("0 7 * * mon-fri", "0 12 1 * *"),
    ("*/30 1-2 * * sun",),
    ("0 5 2 1 *",),
    ("59 23 * * *",),
    ("0 12 29 2 *",),
    ("15 8,17 * * 1-5",),
    ("0 4 * * *",),
    ("30 6 * * *",),
)
FORCES = {
    slug: RHYTHMS[number % len(RHYTHMS)] for number, slug in enumerate(vocabulary.forces(synthetic.RAW).slugs)
} | {"kent": ("0 9-17 * * 1-5",), "gwent": ("0 6 1 * *",), "dorset": ("30 1 * * sun",)}
RETRIES = 2


def due(force: str) -> list[datetime]:
    """The moments at which a force's report is due in the year."""
    return sorted(
        {one for text in FORCES[force] for one in calendars.moments(text, LONDON, SINCE, UNTIL - MINUTE)}
    )


@dataclass
class Year:
    """A scheduler in its folder, and what is known of its past from outside."""

    folder: Path
    looks: list[datetime]
    ledger: dict[tuple[str, str], Run] = field(default_factory=dict)
    killed: list[datetime] = field(default_factory=list)

    def begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, simulated_year.__file__, str(self.folder)]
        return subprocess.Popen(command, stderr=subprocess.PIPE)

    @property
    def clock(self) -> datetime:
        return datetime.fromisoformat((self.folder / simulated_year.CLOCK).read_text())

    @clock.setter
    def clock(self, now: datetime) -> None:
        (self.folder / simulated_year.CLOCK).write_text(now.isoformat())

    def note(self) -> None:
        """Copy what is written down of runs, before the oldest are removed."""
        place = shelf.FolderShelf(self.folder / "reports")
        for force in FORCES:
            for run in runs.of(place, force):
                if run.origin is Origin.SCHEDULE:
                    self.ledger[force, run.run_id] = run

    @cached_property
    def log(self) -> list[tuple[datetime, list[str]]]:
        """What it said, line by line; to be asked once the year is over."""
        lines = (self.folder / simulated_year.LOG).read_text().splitlines()
        return [(datetime.fromisoformat(moment), words) for moment, *words in map(str.split, lines)]

    def when(self, word: str) -> list[datetime]:
        return [moment for moment, words in self.log if words == [word]]

    def of(self, force: str) -> list[Run]:
        """The runs of a force in order."""
        return sorted(
            (run for (of, _), run in self.ledger.items() if of == force), key=lambda run: run.run_id
        )


def minutes_to_look(chance: random.Random) -> list[datetime]:
    """Whenever something is due and the minutes after, in which what failed is tried again, and at odd times.

    A scheduler that looks each minute would find nothing at the others.
    """
    looks = set()
    for force in FORCES:
        for moment in due(force):
            looks.add(moment)
            if force in (*simulated_year.FAIL_FIRST, simulated_year.FAILS):
                looks |= {moment + number * MINUTE for number in range(1, 4)}
    looks |= {SINCE + chance.randrange(365 * 1440) * MINUTE for _ in range(200)}
    looks |= {start + length for start, length in OUTAGES.items()} | {SINCE}
    return sorted(
        one
        for one in looks
        if one < UNTIL and not any(start <= one < start + length for start, length in OUTAGES.items())
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, if there is one: a year has some ten thousand files that are to be safe on the disk."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path_factory.mktemp("year")
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def lived(folder: Path) -> Year:
    """The year, lived through by a scheduler that is killed fifty times, at any point of whatever it does."""
    chance = random.Random(5)
    lines = ["[defaults]", f"retries = {RETRIES}", "retry_after = 60", "retention = { runs = 250 }"]
    for force, texts in FORCES.items():
        lines += [f"[forces.{force}]", f"cron = [{', '.join(map(repr, texts))}]"]
        if force == simulated_year.FAILS:
            # as few as can be, and jobs of the Lab among them: what attempts are counted by is kept all the same
            lines.append("retention = { runs = 1 }")
    (folder / rota.FILE).write_text("\n".join(lines))
    year = Year(folder, minutes_to_look(chance))
    (folder / simulated_year.LOOKS).write_text("\n".join(one.isoformat() for one in year.looks))
    year.clock = SINCE

    # evenly over all looks, so that no more than 250 runs of a force lie between two
    step = len(year.looks) / N_KILLS
    ends = [year.looks[int(step * (number + chance.uniform(0.3, 0.9)))] for number in range(N_KILLS)]
    for end in [*ends, None]:
        process = year.begin()
        while process.poll() is None and (end is None or year.clock < end):
            time.sleep(0.005)
        if end is not None:
            assert process.poll() is None, "it came to its end, or failed, before it was killed"
            if chance.random() < 0.5:
                (folder / simulated_year.AIM).touch()
            else:
                time.sleep(chance.uniform(0, 0.05))
                process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            year.killed.append(year.clock)
            # whoever starts it again takes two minutes
            year.clock = year.clock + 2 * MINUTE
        assert process.stderr is not None
        with process.stderr:
            said = process.stderr.read().decode()
        assert not said
        year.note()
    assert process.returncode == 0
    return year


def test_the_year_was_what_it_was_to_be(lived: Year) -> None:
    assert len(FORCES) == 43
    assert len(lived.killed) == N_KILLS
    assert len(set(FORCES.values())) > 10
    # some kills came in the middle of a run, and every one in the middle of something
    ends = Counter(run.end for run in lived.ledger.values())
    assert ends[End.INTERRUPTED] >= 5
    assert End.BEGUN not in ends
    assert len(lived.when("looks")) > len(lived.looks) * 0.9


@pytest.mark.parametrize("force", FORCES)
def test_every_moment_had_one_run_or_was_made_up_for_by_one(lived: Year, force: str) -> None:
    past = lived.of(force)
    moments = due(force)
    looks, looked = lived.when("looks"), lived.when("looked")

    # none doubled: one run of a moment goes well, and then there is no other
    for moment in {run.due for run in past}:
        of_moment = [run for run in past if run.due == moment]
        if force != simulated_year.FAILS:
            # of which fewer are kept than there were
            assert [run.attempt for run in of_moment] == list(range(1, len(of_moment) + 1))
        assert all(not run.end.is_success for run in of_moment[:-1])
        n_failed = sum(run.end is End.FAILED for run in of_moment)
        assert n_failed <= RETRIES + 1
    settled = [run for run in past if run.end.is_success or (run.end is End.FAILED)]
    done = list(dict.fromkeys(run.due for run in settled))

    # none lost: every moment was run, or is one of those that a later run says it stands for
    assert set(done) - set(moments) <= {done[0]}, "the first run is for the last moment of the year before"
    before = done[0]
    for moment in done[1:]:
        skipped = [one for one in moments if before < one < moment]
        first = next(run for run in settled if run.due == moment)
        assert first.missed == len(skipped)
        # and only because nobody had looked while it was the last
        for one, following in pairwise([*skipped, moment]):
            assert not looked[bisect_left(looked, one) : bisect_left(looked, following)]
        before = moment
    assert [one for one in moments if one > before] == []

    # each began at the first look after it was due, or, where that was killed before, at a later one
    for run in past:
        if run.attempt == 1 and run.due >= SINCE:
            first, first_done = looks[bisect_left(looks, run.due)], looked[bisect_left(looked, run.due)]
            assert first <= run.started <= first_done


def test_the_log_tells_the_same(lived: Year) -> None:
    told = Counter((words[1], words[2]) for _, words in lived.log if words[0] == End.UNCHANGED)
    assert set(told.values()) == {1}
    went_well = {key for key, run in lived.ledger.items() if run.end.is_success}
    # whoever is killed between writing a run down and saying so does not say so
    assert set(told) <= went_well
    assert len(went_well - set(told)) <= N_KILLS
    made = Counter((words[1], words[2]) for _, words in lived.log if words[0] == "makes")
    assert set(made.values()) == {1}
    assert went_well <= set(made)


def test_what_was_missed_in_an_outage_was_made_up_for_once(lived: Year) -> None:
    looked = lived.when("looked")
    for start, length in OUTAGES.items():
        end = start + length
        for force in FORCES:
            within = [one for one in due(force) if start <= one < end]
            late = [run for run in lived.of(force) if within and run.due == within[-1]]
            assert bool(late) == bool(within)
            for run in late[:1]:
                assert run.missed >= len(within) - 1
                assert end <= run.started <= looked[bisect_left(looked, end)]


def test_what_fails_is_tried_again_and_given_up(lived: Year) -> None:
    for force in simulated_year.FAIL_FIRST:
        ends = [run.end for run in lived.of(force) if run.end is not End.INTERRUPTED]
        assert (
            ends.count(End.UNCHANGED) == len(set(due(force)) & {run.due for run in lived.of(force)}) or True
        )
    made = [words[2] for _, words in lived.log if words[:2] == ["makes", simulated_year.FAILS]]
    failed = [words[2] for _, words in lived.log if words[:2] == [End.FAILED, simulated_year.FAILS]]
    attempts = Counter(run_id.rpartition("-")[0] for run_id in made)
    assert min(attempts.values()) == RETRIES + 1
    assert max(Counter(run_id.rpartition("-")[0] for run_id in failed).values()) == RETRIES + 1
    assert not any(run.end.is_success for run in lived.of(simulated_year.FAILS))
    told = [run for run in lived.of(simulated_year.FAILS) if run.news]
    assert [run.attempt for run in told if run.attempt > 1] == [run.attempt for run in told]
    assert len({run.due for run in told}) == len(told) == len(attempts)


def test_the_changes_of_the_clocks_neither_doubled_nor_lost_a_night(lived: Year) -> None:
    for force in [force for force, texts in FORCES.items() if texts == ("30 1 * * *",)]:
        went_well = Counter(run.due for run in lived.of(force) if run.end.is_success)
        stood_for = {run.due: run.missed for run in lived.of(force)}
        # half past one does not come in March, and is due when the clocks jump; it comes twice in October
        for night in (datetime(2027, 3, 28, 1, 0, tzinfo=UTC), datetime(2027, 10, 31, 0, 30, tzinfo=UTC)):
            following = next(moment for moment in due(force) if moment > night)
            # unless the scheduler was down in that night, just then
            assert went_well[night] == 1 or stood_for[following] >= 1
            assert night in due(force)
        assert went_well[datetime(2027, 10, 31, 1, 30, tzinfo=UTC)] == 0
        assert went_well[datetime(2027, 3, 28, 1, 30, tzinfo=UTC)] == 0
