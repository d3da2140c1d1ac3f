"""Time the batch beside other ways of making the same reports, and print ratios.

    make bench                          everything, about an hour on two cores
    python benchmarks/bench.py --quick  a few minutes: a sample of the loop, no growth

Ratios of times taken side by side in one run hold on any machine; seconds do not. All forces here are
synthetic, and their reports are thrown away. Results go to benchmarks/results.json.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import synthetic_forces

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
N_REPORTS = 43
OURS = "ours: all (43 reports, data quality, index)"
# in megabytes; ru_maxrss is in kilobytes on Linux and in bytes on macOS
_UNIT = 1e3 if sys.platform == "linux" else 1e6


class Bench:
    """One run: what was measured, and where things are."""

    def __init__(self, folder: Path, *, repeats: int, sample: int):
        self.folder = folder
        self.repeats = repeats
        self.sample = sample
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, float] = {}
        self.checks: list[dict[str, Any]] = []
        self.project = synthetic_forces.make(folder / "p43", N_REPORTS)
        self.slugs = slugs(self.project)

    def time(self, name: str, seconds: float) -> None:
        """Note a time."""
        self.seconds[name] = seconds
        print(f"{name:58} {seconds:9.2f} s", flush=True)

    def compare(
        self, name: str, value: float, *, at_least: float | None = None, at_most: float | None = None
    ) -> None:
        """Note a ratio or a time against its target."""
        holds = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        target = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
        self.checks.append({"name": name, "value": round(value, 3), "target": target, "holds": holds})
        print(f"  {name}: {value:.2f} ({target}: {'yes' if holds else 'NO'})", flush=True)

    def casegrade(self, project: Path, *arguments: str, **env: str) -> tuple[float, float]:
        """Run the command; returns seconds, and the most memory that its own process took, in MB."""
        command = [str(BIN / "casegrade"), "--project", str(project), *arguments]
        started = time.perf_counter()
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | env, cwd=project)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed; see {(self.folder / 'log').read_text()[-2000:]}")
        return time.perf_counter() - started, usage.ru_maxrss / _UNIT

    def other_way(self, way: str) -> float:
        """Make all reports in one of the ways of other_ways.py; returns seconds."""
        out = self.folder / way
        out.mkdir(exist_ok=True)
        command = [sys.executable, str(HERE / "other_ways.py"), way, str(self.project), str(out), *self.slugs]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=self.project)
        assert len(list(out.glob("*.html"))) == N_REPORTS
        return float(json.loads(done.stdout.splitlines()[-1])["seconds"])

    def loop(self, names: list[str]) -> float:
        """What a user would write: two commands per force."""
        out = self.folder / "loop"
        out.mkdir(exist_ok=True)
        env = os.environ | {"CASEGRADE_PROJECT": str(self.project)}
        started = time.perf_counter()
        for name in names:
            target = out / f"{name}.ipynb"
            notebook = self.project / "notebooks" / "02_force_report.ipynb"
            run = [BIN / "papermill", notebook, target, "-p", "force", name, "--no-progress-bar"]
            convert = [BIN / "jupyter", "nbconvert", "--to", "html", "--log-level", "ERROR", target]
            for command in (run, convert):
                subprocess.run(
                    [str(word) for word in command],
                    check=True,
                    capture_output=True,
                    env=env,
                    cwd=self.project,
                )
        return time.perf_counter() - started


def slugs(project: Path) -> list[str]:
    """The forces of a project."""
    lines = (project / "data" / "raw" / "forces.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [line.split(",")[0] for line in lines]


def stamps(folder: Path) -> dict[str, int]:
    """When each file of a folder was last written."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def full(bench: Bench) -> None:
    """43 reports: ours, the limit, the loop on all cores, the loop."""
    everything = ("report", "--all", "--force-rebuild")
    # the limit makes the pages of forces and nothing about all of them
    forces_only = ("report", *bench.slugs, "--force-rebuild")
    cold, _ = bench.casegrade(bench.project, *everything, CASEGRADE_WARM="600")
    bench.time("ours: all, server started for it", cold)
    ours, named, limits = [], [], []
    for _ in range(bench.repeats):
        ours.append(bench.casegrade(bench.project, *everything, CASEGRADE_WARM="600"))
        limits.append(bench.other_way("limit"))
        named.append(bench.casegrade(bench.project, *forces_only, CASEGRADE_WARM="600")[0])
    warm = statistics.median(seconds for seconds, _ in ours)
    bench.memory["43"] = max(memory for _, memory in ours)
    bench.time(f"{OURS}, median of {bench.repeats}", warm)
    bench.time(f"ours: the 43 reports alone, median of {bench.repeats}", statistics.median(named))
    bench.time(
        f"limit: plain function, long-lived pool, median of {bench.repeats}", statistics.median(limits)
    )
    bench.time("parallel: papermill and nbconvert in all cores' processes", bench.other_way("parallel"))
    names = bench.slugs[: bench.sample]
    loop = bench.loop(names) * N_REPORTS / len(names)
    how = "" if len(names) == N_REPORTS else f" (from {len(names)} of them)"
    bench.time(f"loop: papermill, then jupyter nbconvert, per force{how}", loop)
    bench.compare("loop / ours", loop / warm, at_least=40)
    bench.compare("loop / ours with the server's start", loop / cold, at_least=40)
    bench.compare(
        "parallel loop / ours",
        bench.seconds["parallel: papermill and nbconvert in all cores' processes"] / warm,
        at_least=8,
    )
    bench.compare("43 reports alone / limit", statistics.median(named) / statistics.median(limits), at_most=3)
    bench.compare("all / limit", warm / statistics.median(limits), at_most=3)


def incremental(bench: Bench) -> None:
    """Nothing changed; one force changed."""
    bench.casegrade(bench.project, "report", "--all", CASEGRADE_WARM="600")
    before = stamps(bench.project)
    idle = [
        bench.casegrade(bench.project, "report", "--all", CASEGRADE_WARM="600")[0]
        for _ in range(bench.repeats + 2)
    ]
    assert stamps(bench.project) == before, "a run that had nothing to do touched a file"
    bench.time("nothing changed", statistics.median(idle))
    one = []
    for _ in range(bench.repeats):
        synthetic_forces.change_one(bench.project)
        one.append(bench.casegrade(bench.project, "report", "--all", CASEGRADE_WARM="600")[0])
    bench.time("one force changed of 43", statistics.median(one))
    bench.compare("seconds if nothing changed", statistics.median(idle), at_most=2)
    bench.compare("seconds if one force changed", statistics.median(one), at_most=3)


def growth(bench: Bench, sizes: list[int]) -> None:
    """The cost of one report as there are more of them, and the memory of the process that has them made."""
    per_report = bench.seconds[f"{OURS}, median of {bench.repeats}"] / N_REPORTS
    for size in sizes:
        project = synthetic_forces.make(bench.folder / f"p{size}", size)
        seconds, memory = bench.casegrade(project, "report", "--all", CASEGRADE_WARM="600")
        bench.time(f"ours: {size} reports", seconds)
        bench.memory[str(size)] = memory
        bench.compare(f"cost of one of {size} / of one of 43", seconds / size / per_report, at_most=1.15)
        bench.compare(f"parent's memory at {size}, MB", memory, at_most=400)
        shutil.rmtree(project)


@contextlib.contextmanager
def dask(n_workers: int) -> Iterator[str]:
    """A scheduler and workers on loopback, as somebody would start them; ended after."""
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"

        def start(*words: str) -> None:
            process = subprocess.Popen(
                [str(BIN / "dask"), *words, "--scheduler-file", str(file)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=folder,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not file.is_file():
            time.sleep(0.05)
        for _ in range(n_workers):
            start("worker", "--nthreads", "1", "--no-dashboard")
        yield json.loads(file.read_text())["address"]


def cluster(bench: Bench) -> None:
    """Two Dask workers beside two local ones; both sides warm."""
    local, remote = [], []
    with dask(2) as address:
        together = ("report", "--all", "--force-rebuild", "--jobs", "2")
        time.sleep(5)
        bench.casegrade(bench.project, *together, "--cluster", address, CASEGRADE_WARM="600")
        for _ in range(bench.repeats):
            local.append(bench.casegrade(bench.project, *together, CASEGRADE_WARM="600")[0])
            remote.append(
                bench.casegrade(bench.project, *together, "--cluster", address, CASEGRADE_WARM="600")[0]
            )
    bench.time("two local workers, 43 reports", statistics.median(local))
    bench.time("two Dask workers, 43 reports", statistics.median(remote))
    bench.compare("Dask / local", statistics.median(remote) / statistics.median(local), at_most=1.25)


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    memory = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else None
    )
    names = (
        "papermill",
        "nbconvert",
        "ipykernel",
        "jupyter-client",
        "polars",
        "altair",
        "vl-convert-python",
        "distributed",
    )
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": None if memory is None else round(memory, 1),
        "load_before": [round(one, 2) for one in os.getloadavg()],
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in names},
    }


def main() -> None:
    """Run what is asked for, print and write the results; the exit code is 0 whatever they are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a sample of the loop, one repeat, no growth")
    parser.add_argument("--parts", nargs="*", default=["full", "incremental", "cluster", "growth"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[430, 4300])
    asked = parser.parse_args()
    described = machine()
    parts = [part for part in asked.parts if not (asked.quick and part == "growth")]
    with tempfile.TemporaryDirectory(prefix="casegrade-bench-") as folder:
        bench = Bench(Path(folder), repeats=1 if asked.quick else 3, sample=3 if asked.quick else N_REPORTS)
        if "full" in parts or "growth" in parts:
            full(bench)
        if "incremental" in parts:
            incremental(bench)
        if "cluster" in parts:
            cluster(bench)
        if "growth" in parts:
            growth(bench, asked.sizes)
    results = {
        "what": "synthetic forces; seconds on a shared machine; only ratios travel",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": described,
        "seconds": {name: round(seconds, 2) for name, seconds in bench.seconds.items()},
        "parent_memory_mb": {name: round(memory) for name, memory in bench.memory.items()},
        "checks": bench.checks,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"{sum(check['holds'] for check in bench.checks)} of {len(bench.checks)} targets hold.")


if __name__ == "__main__":
    main()
