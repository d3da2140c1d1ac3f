import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, as_completed, wait
from multiprocessing import connection
from pathlib import Path

import pytest
from processes import PATIENCE, eventually, is_gone

from analysis.publish import kernels, pool, warm


@pytest.fixture(params=["forked", "spawned"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What holds for workers that are forked holds for those that are spawned, where nothing can be forked."""
    if request.param == "spawned":
        monkeypatch.setenv(warm.VARIABLE, "off")
    elif warm.idle() is None:
        pytest.skip("nothing can be forked here")
    return str(request.param)


@pytest.fixture
def workers() -> Iterator[pool.WorkerPool]:
    with pool.WorkerPool(2) as made:
        yield made


# ------------------------------------------------------------------------------ what workers do


def square(number: int) -> int:
    return number * number


def pid_of_worker(*_: object) -> int:
    return os.getpid()


def pids_of_worker_and_spare() -> tuple[int, int]:
    spare = kernels._spare
    assert spare is not None
    return os.getpid(), spare.process.pid


def touch(path: Path) -> str:
    path.touch()
    return path.name


def write_pid_and_sleep(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_text(str(os.getpid()))
    new.replace(path)
    time.sleep(600)


def wait_for(path: Path) -> str:
    assert eventually(path.exists)
    return path.name


def fail(error: BaseException) -> None:
    raise error


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave_a_child() -> int:
    # which has its end of every line of this process open
    if os.fork() == 0:
        time.sleep(600)
    return os.getpid()


def kill_itself_with_a_child_left() -> None:
    leave_a_child()
    kill_itself()


class PickyError(Exception):
    """An error that cannot be made again from its message."""

    def __init__(self, one: str, two: str):
        super().__init__(f"{one} and {two}")


# --------------------------------------------------------------------------------------- tests


def test_a_pool_is_an_executor(how: str, workers: pool.WorkerPool) -> None:
    assert isinstance(workers, Executor)
    assert list(workers.map(square, range(6))) == [0, 1, 4, 9, 16, 25]
    with pytest.raises(TypeError, match="positional"):
        workers.submit(square, number=3)
    workers.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        workers.submit(square, 3)


def test_tasks_are_done_side_by_side_and_end_in_any_order(workers: pool.WorkerPool, tmp_path: Path) -> None:
    # the first cannot end before the second
    first = workers.submit(wait_for, tmp_path / "second")
    second = workers.submit(touch, tmp_path / "second")
    assert {future.result(PATIENCE) for future in as_completed([first, second], PATIENCE)} == {"second"}


def test_there_are_no_more_processes_than_asked_for(workers: pool.WorkerPool) -> None:
    assert len(set(workers.map(pid_of_worker, range(12)))) <= 2


def test_an_error_travels_and_its_worker_goes_on() -> None:
    with pool.WorkerPool(1) as workers:
        before = workers.submit(pid_of_worker).result(PATIENCE)
        for error in (ValueError("no such audit"), FileNotFoundError(2, "gone"), EOFError(), TimeoutError()):
            told = workers.submit(fail, error).exception(PATIENCE)
            assert (type(told), told.args) == (type(error), error.args)
        assert workers.submit(pid_of_worker).result(PATIENCE) == before


def test_what_cannot_be_sent_fails_its_own_task_only() -> None:
    with pool.WorkerPool(1) as workers:
        before = workers.submit(pid_of_worker).result(PATIENCE)
        assert workers.submit(lambda: None).exception(PATIENCE) is not None
        assert workers.submit(fail, PickyError("one", "two")).exception(PATIENCE) is not None
        back = workers.submit(eval, "lambda: None").exception(PATIENCE)
        assert isinstance(back, pool.WorkerError)
        assert "function cannot be sent back" in str(back)
        assert workers.submit(pid_of_worker).result(PATIENCE) == before


def test_a_task_whose_code_is_not_there_fails_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def task(): return 'found'")
    with pool.WorkerPool(1) as workers:
        workers.submit(square, 1).result(PATIENCE)
        monkeypatch.syspath_prepend(tmp_path)
        task = __import__("only_here").task
        assert "only_here" in str(workers.submit(task).exception(PATIENCE))
        with pool.WorkerPool(1) as later:
            assert later.submit(task).result(PATIENCE) == "found"


def test_a_worker_that_dies_takes_only_its_own_task_with_it(how: str, tmp_path: Path) -> None:
    with pool.WorkerPool(2) as workers:
        beside = workers.submit(wait_for, tmp_path / "go")
        lost = workers.submit(kill_itself)
        after = [workers.submit(square, number) for number in range(4)]
        with pytest.raises(pool.WorkerError, match="died, killed by signal 9"):
            lost.result(PATIENCE)
        (tmp_path / "go").touch()
        assert beside.result(PATIENCE) == "go"
        assert [future.result(PATIENCE) for future in after] == [0, 1, 4, 9]


def test_a_worker_that_leaves_is_lost_with_its_code() -> None:
    with pool.WorkerPool(1) as workers:
        for leave in (os._exit, sys.exit):
            with pytest.raises(pool.WorkerError, match="died with exit code 7"):
                workers.submit(leave, 7).result(PATIENCE)
        assert workers.submit(square, 3).result(PATIENCE) == 9


@pytest.mark.skipif(warm.idle() is None, reason="nothing can be forked here")
def test_a_worker_that_dies_is_missed_though_a_child_of_it_lives() -> None:
    with pool.WorkerPool(1) as workers:
        with pytest.raises(pool.WorkerError, match="killed by signal 9"):
            workers.submit(kill_itself_with_a_child_left).result(PATIENCE)
        assert workers.submit(square, 3).result(PATIENCE) == 9


def test_a_worker_that_dies_at_rest_takes_no_task_with_it(how: str) -> None:
    with pool.WorkerPool(1) as workers:
        pid = workers.submit(pid_of_worker).result(PATIENCE)
        os.kill(pid, signal.SIGKILL)
        # not waited for: whether it is gone when the task comes must not matter
        assert workers.submit(square, 3).result(PATIENCE) == 9


@pytest.mark.skipif(warm.idle() is None, reason="nothing can be forked here")
def test_a_worker_that_dies_at_rest_takes_no_task_with_it_though_a_child_of_it_lives() -> None:
    with pool.WorkerPool(1) as workers:
        os.kill(workers.submit(leave_a_child).result(PATIENCE), signal.SIGKILL)
        (worker,) = workers._workers
        assert connection.wait([worker._ended], PATIENCE)
        assert workers.submit(square, 3).result(PATIENCE) == 9


@pytest.mark.skipif(
    sys.platform != "linux", reason="other systems do not tell an unread task from a read one"
)
def test_a_task_that_was_never_read_is_given_to_another(how: str) -> None:
    with pool.WorkerPool(1) as workers:
        pid = workers.submit(pid_of_worker).result(PATIENCE)
        os.kill(pid, signal.SIGSTOP)
        unread = workers.submit(square, 3)
        # long enough to be sent
        assert not wait([unread], 0.5).done
        os.kill(pid, signal.SIGKILL)
        assert unread.result(PATIENCE) == 9


def test_a_task_that_does_not_come_back_is_given_up_and_its_process_killed(tmp_path: Path) -> None:
    with pool.WorkerPool(1, limit=10) as workers:
        # a worker that is slow to start is none that hangs
        workers.submit(square, 1).result(PATIENCE)
        workers._limit = 1
        hanging = workers.submit(write_pid_and_sleep, tmp_path / "pid")
        with pytest.raises(pool.WorkerError, match="did not come back within 1 seconds"):
            hanging.result(PATIENCE)
        pid = int((tmp_path / "pid").read_text())
        assert eventually(lambda: is_gone(pid))
        workers._limit = None
        assert workers.submit(square, 3).result(PATIENCE) == 9


def test_a_pool_that_is_cut_short_kills_what_runs_and_forgets_what_waits(how: str, tmp_path: Path) -> None:
    workers = pool.WorkerPool(1)
    running = workers.submit(write_pid_and_sleep, tmp_path / "pid")
    waiting = [workers.submit(touch, tmp_path / f"never-{n}") for n in range(3)]
    assert eventually((tmp_path / "pid").exists)
    workers.shutdown(wait=False, cancel_futures=True)
    assert isinstance(running.exception(PATIENCE), pool.WorkerError)
    assert wait(waiting, PATIENCE).not_done == set()
    with pytest.raises(CancelledError):
        waiting[0].result()
    pid = int((tmp_path / "pid").read_text())
    assert eventually(lambda: is_gone(pid))
    workers.shutdown()
    assert not list(tmp_path.glob("never-*"))


def test_a_pool_that_is_cut_short_at_once_ends_too() -> None:
    workers = pool.WorkerPool(2)
    # they may not have been begun yet
    asked = [workers.submit(time.sleep, 600) for _ in range(4)]
    workers.shutdown(cancel_futures=True)
    assert wait(asked, PATIENCE).not_done == set()
    for future in asked:
        assert future.cancelled() or isinstance(future.exception(), pool.WorkerError)


def test_a_pool_can_be_ready_before_there_is_a_task() -> None:
    with pool.WorkerPool(2) as workers:
        workers.start()
        assert eventually(lambda: len(workers._workers) == 2)
        assert len(set(workers.map(pid_of_worker, range(6)))) <= 2
    with pool.WorkerPool(2) as workers:
        # and if there never is one
        workers.start()


@pytest.mark.skipif(warm.idle() is None, reason="nothing can be forked here")
def test_the_kernel_that_a_worker_has_ready_ends_with_it() -> None:
    with pool.WorkerPool(2) as workers:
        left = workers.submit(pids_of_worker_and_spare).result(PATIENCE)
        assert not any(is_gone(pid) for pid in left)
    assert eventually(lambda: all(is_gone(pid) for pid in left))
    with pool.WorkerPool(1) as workers:
        left = workers.submit(pids_of_worker_and_spare).result(PATIENCE)
        os.kill(left[0], signal.SIGKILL)
        assert eventually(lambda: all(is_gone(pid) for pid in left))


PARENT = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import test_publish_pool
from analysis.publish import pool
if __name__ == "__main__":
    workers = pool.WorkerPool(1)
    workers.submit(test_publish_pool.write_pid_and_sleep, pathlib.Path(sys.argv[2]))
    sys.stdin.readline()
"""


@pytest.mark.parametrize("end", ["killed", "done"])
def test_workers_end_when_their_parent_does(how: str, end: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    words = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path / "pid")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert eventually((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        assert not is_gone(pid)
        if end == "killed":
            parent.kill()
        with contextlib.suppress(BrokenPipeError):
            # it does not wait for a task that nobody waits for
            parent.communicate(b"\n", timeout=PATIENCE)
        assert eventually(lambda: is_gone(pid))
