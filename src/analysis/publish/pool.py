"""Long-lived processes on this machine that make reports, behind the standard interface of an executor.

Unlike `concurrent.futures.ProcessPoolExecutor`, a worker that dies takes only its own task with it,
and one that does not come back is killed. Workers are forked from the warm server, or else spawned.
"""

import contextlib
import logging
import multiprocessing
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing import connection as waiting
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

from analysis import storage
from analysis.publish import warm


class WorkerError(Exception):
    """A worker that ended, or had to be ended, in the middle of a task. The message says how."""


class _NotTakenError(WorkerError):
    """A worker that ended before it had read the whole of its task, so that another may do it."""


class WorkerPool(Executor):
    """Processes that each do one task at a time.

    Args:
        size: number of processes.
        limit: seconds after which a task that has not come back is given up and its process killed.
    """

    def __init__(self, size: int, /, *, limit: float | None = None):
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None]
        self._tasks = queue.SimpleQueue()
        self._limit = limit
        self._size = size
        self._threads: list[threading.Thread] = []
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._is_shut = self._is_cut_short = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `fn(*args)` called by a worker; all of it must be picklable, and there are no `kwargs`."""
        if kwargs:
            raise TypeError("tasks take positional arguments only")
        with self._lock:
            if self._is_shut:
                raise RuntimeError("the pool was shut down")
            future: Future[Any] = Future()
            self._tasks.put((future, fn, args))
            self._add_worker()
        return future

    def start(self) -> None:
        """Start all processes now, so that they are ready when the first tasks come."""
        with self._lock:
            for _ in range(self._size):
                self._add_worker()

    def _add_worker(self) -> None:
        if len(self._threads) < self._size:
            thread = threading.Thread(target=self._attend, name="casegrade-worker", daemon=True)
            self._threads.append(thread)
            thread.start()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers: after what is waiting; with `cancel_futures` at once, whatever they are doing."""
        with self._lock:
            self._is_shut = True
            if cancel_futures:
                self._is_cut_short = True
                with contextlib.suppress(queue.Empty):
                    while (task := self._tasks.get_nowait()) is not None:
                        # both, as whoever waits for it is told by the second only
                        task[0].cancel()
                        task[0].set_running_or_notify_cancel()
                for worker in self._workers:
                    worker.kill()
            for _ in self._threads:
                self._tasks.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _attend(self) -> None:
        worker: _Worker | None = None
        with contextlib.suppress(Exception):
            # if it cannot start, the task that needs it will tell
            worker = self._begun()
        while (task := self._tasks.get()) is not None:
            future, function, args = task
            if not future.set_running_or_notify_cancel():
                continue
            for is_last in (False, True):
                try:
                    if worker is None:
                        worker = self._begun()
                    is_good, value = worker.call(function, args, self._limit)
                except BaseException as error:
                    if isinstance(error, WorkerError) and worker is not None:
                        self._end(worker)
                        worker = None
                    if isinstance(error, _NotTakenError) and not is_last:
                        # once only: if the next one ends as well, something else is wrong
                        continue
                    is_good, value = False, error
                break
            if is_good:
                future.set_result(value)
            else:
                future.set_exception(value)
            del task, future, args, value
        if worker is not None:
            self._end(worker)

    def _begun(self) -> "_Worker":
        worker = _Worker()
        with self._lock:
            self._workers.add(worker)
            if self._is_cut_short:
                # it was not there yet when the others were killed
                worker.kill()
        return worker

    def _end(self, worker: "_Worker") -> None:
        with self._lock:
            self._workers.discard(worker)
        worker.close()


class _Worker:
    """One process, and the line to it."""

    def __init__(self) -> None:
        self._process: warm.Process | multiprocessing.process.BaseProcess
        self._line, theirs = multiprocessing.Pipe()
        with theirs:
            try:
                # One thread each: workers and their kernels are as many as there is room for.
                env = {"POLARS_MAX_THREADS": "1", **os.environ}
                self._process = warm.fork(_work_on, files=[theirs.fileno()], path=sys.path, env=env)
            except warm.WarmError:
                # spawned, not forked: Polars' threads do not survive a fork
                context = multiprocessing.get_context("spawn")
                # a daemon, as the end of this process would wait for it otherwise
                self._process = context.Process(target=_work, args=(theirs,), daemon=True)
                self._process.start()

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], limit: float | None
    ) -> tuple[bool, Any]:
        """Whether it returned, and what it returned or raised."""
        task = reduction.ForkingPickler.dumps((function, args))
        if waiting.wait([self._ended], 0):
            # its line may take it all the same, as whatever it has started may hold the other end open
            raise _NotTakenError(self._how())
        try:
            self._line.send_bytes(task)
            if not waiting.wait([self._line, self._ended], limit):
                raise WorkerError(f"the process that made it did not come back within {limit:g} seconds")
            # a moment, as what a process had open is closed one by one; no longer, for the same reason
            answer = self._line.recv_bytes() if self._line.poll(1) else b""
        except (BrokenPipeError, ConnectionResetError) as error:
            # what the system says if it was never read, where plain death is an end of file
            raise _NotTakenError(self._how()) from error
        except (EOFError, OSError, ValueError):
            answer = b""
        if not answer:
            raise WorkerError(self._how())
        is_good, value = reduction.ForkingPickler.loads(answer)
        return is_good, value

    @property
    def _ended(self) -> Any:
        return self._process if isinstance(self._process, warm.Process) else self._process.sentinel

    def _how(self) -> str:
        code: int | None = None
        if isinstance(self._process, warm.Process):
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(1)
        else:
            self._process.join(1)
            code = self._process.exitcode
        died = "the process that made it died"
        if code is None:
            return died
        return f"{died}, killed by signal {-code}" if code < 0 else f"{died} with exit code {code}"

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._line.close()
        if isinstance(self._process, warm.Process):
            # letting go ends it, and the kernel that it may have ready
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.close()
        else:
            self._process.join(2)
            self._process.kill()
            self._process.join(5)
        if self._process.pid is not None:
            # the rows of a force among it
            storage.sweep(self._process.pid)


def _work_on(line: int) -> None:
    _work(Connection(line))


def _work(line: Connection) -> None:
    """The life of a worker: take a task, do it, hand over the result, until nobody is at the other end."""
    from analysis.present import pictures
    from analysis.publish import kernels

    # whoever has the workers says once, and in its own form, that kernels start as usual
    logging.getLogger(kernels.__name__).setLevel(logging.ERROR)
    threading.Thread(target=pictures.make_ready, daemon=True).start()
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with kernels.spare(), contextlib.suppress(EOFError, ConnectionError):
        while True:
            task = line.recv_bytes()
            line.send_bytes(_answer(task))


def _end_with(parent: Any) -> None:
    """What the system does to a forked worker: end it when its parent has, whatever it is doing."""
    parent.join()
    os._exit(1)


def _answer(task: bytes) -> bytes:
    try:
        function, args = reduction.ForkingPickler.loads(task)
        answer = (True, function(*args))
    except Exception as error:
        answer = (False, error)
    try:
        return bytes(reduction.ForkingPickler.dumps(answer))
    except Exception as error:
        # what cannot be sent is told in words
        told = WorkerError(f"{type(answer[1]).__name__} cannot be sent back: {error}")
        return bytes(reduction.ForkingPickler.dumps((False, told)))
