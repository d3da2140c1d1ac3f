"""The same jobs on other machines: a Dask cluster behind the standard interface of an executor."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

LOCAL = "local:"
_CONNECT_SECONDS = 30


class ClusterError(Exception):
    """A cluster that cannot be used. The message says why."""


@contextlib.contextmanager
def connected(address: str, /) -> Iterator[tuple[Executor, int]]:
    """An executor on the workers of a cluster, and how many jobs they do at a time.

    A job whose worker dies is given to another one by Dask.

    Args:
        address: `tcp://host:port` of a Dask scheduler, or `local:4` for four workers on this machine,
            which end with this.

    Raises:
        ClusterError: if Dask is not installed, the address is none, or nobody answers or works there.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ClusterError('A cluster needs Dask: install casegrade with its extra "cluster".') from error
    with contextlib.ExitStack() as stack:
        target: object = address
        if address.startswith(LOCAL):
            n_workers = address.removeprefix(LOCAL)
            if not n_workers.isdigit() or int(n_workers) < 1:
                raise ClusterError(f'"{address}" is not local: and a number of workers, for example local:4.')
            target = stack.enter_context(
                LocalCluster(
                    n_workers=int(n_workers), threads_per_worker=1, processes=True, dashboard_address=None
                )
            )
        elif "://" not in address:
            raise ClusterError(f'"{address}" is no address of a scheduler, for example tcp://10.0.0.5:8786.')
        try:
            client = stack.enter_context(Client(target, timeout=_CONNECT_SECONDS, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ClusterError(f"No Dask scheduler answers at {address} ({error}).") from error
        # each job has effects on time and on nothing else, but two are never one
        n_threads = sum(client.nthreads().values())
        if n_threads == 0:
            raise ClusterError(f"The Dask scheduler at {address} has no workers: start some.")
        yield client.get_executor(pure=False), n_threads
