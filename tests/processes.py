"""What tests of processes ask again and again."""

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

# a guard against waiting for ever, not an expectation
PATIENCE = 60


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold."""
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        process = psutil.Process(pid)
        # its first thread may be one while others have its files open still
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True


def said(
    *command: str | Path,
    folder: Path | None = None,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """The exit code of a command, which may be given a text to read, and all that it says."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout
