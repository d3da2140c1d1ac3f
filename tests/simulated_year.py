"""A scheduler in a simulated year, in a process of its own that can be killed: see test_schedule_year.py.

What is made is a line in a log instead of a report, and the clock is a simulated one; all else is the real thing.
"""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from analysis import paths, vocabulary
from analysis.publish import shelf
from analysis.schedule import rota, running, runs
from analysis.schedule.running import Left, Order, Settle
from analysis.schedule.runs import End, Origin, Run

# not from `synthetic`, which takes a second to load and is not needed fifty times
RAW = Path(__file__).resolve().parents[1] / "data" / "raw"
# some fail at first and go well when they are tried again, one never goes well
FAIL_FIRST, FAILS = ("essex", "dorset"), "gwent"
# what its folder has besides the schedule: the minutes at which it looks, how far it has come, what it said,
# and whether it is to die at the next report
LOOKS, CLOCK, LOG, AIM = "looks", "clock", "log", "aim"


def main() -> None:
    """Live through the year from where the clock stands to its end."""
    folder = Path(sys.argv[1])
    place = shelf.FolderShelf(folder / "reports")
    project = paths.Project(folder)
    found = rota.parse((folder / rota.FILE).read_bytes(), vocabulary.forces(RAW))
    log = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    clock = folder / CLOCK
    since = datetime.fromisoformat(clock.read_text())
    now = since

    def say(*words: object) -> None:
        os.write(log, (" ".join(map(str, (now.isoformat(), *words))) + "\n").encode())

    def make(_project: paths.Project, _place: shelf.Shelf, order: Order, settle: Settle) -> None:
        for name in order.names:
            run = next(run for run in runs.of(place, name) if run.origin is Origin.SCHEDULE)
            say("makes", name, run.run_id)
            if (folder / AIM).exists():
                # some kills are to come in the middle of a run, for certain
                (folder / AIM).unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            fails = name == FAILS or (name in FAIL_FIRST and run.attempt == 1)
            settle(name, Left(End.FAILED, "It fails.") if fails else Left(End.UNCHANGED))

    def tell(run: Run) -> None:
        say(run.end, run.report, run.run_id)

    for number, line in enumerate((folder / LOOKS).read_text().split()):
        now = datetime.fromisoformat(line)
        if now >= since:
            # whole or not at all, as it may be killed here too
            (folder / "clock.new").write_text(line)
            (folder / "clock.new").replace(clock)
            say("looks")
            running.run_due(project, place, found, make=make, now=lambda now=now: now, tell=tell)
            say("looked")
            if number % 40 == 0:
                of_lab = runs.begin(place, FAILS, due=now, attempt=1, now=now, origin=Origin.LAB)
                runs.finish(place, of_lab, End.UNCHANGED, now=now)


if __name__ == "__main__":
    main()
