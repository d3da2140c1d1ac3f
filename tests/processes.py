"""What tests of processes ask again and again."""

import time
from collections.abc import Callable

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
