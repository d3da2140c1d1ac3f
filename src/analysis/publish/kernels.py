"""Jupyter kernels that start in milliseconds, because they are forked from a server that is warm.

Each is a real IPython kernel in a process of its own. Three doors lead to them, all entry points:
the kernel `casegrade` (a kernel spec with a provisioner), the Papermill engine `casegrade`, which
runs Python notebooks of any kernel name that way, and the reports. Where nothing can be forked, a
kernel is started as usual, and that is said once.
"""

import asyncio
import contextlib
import json
import logging
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo, write_connection_file
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import default

from analysis import storage
from analysis.publish import warm

PROVISIONER = "casegrade-warm"
SPEC = "casegrade"
_CHANNELS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")

_log = logging.getLogger(__name__)


# ---------------------------------------------------------------------------------- kernels


@dataclass
class _Kernel:
    """A kernel process that has its sockets, and waits to be told its environment and folder."""

    process: warm.Process
    orders: int
    arguments: tuple[str, ...]
    settings: dict[str, str]
    connection: dict[str, Any]
    sockets: Path

    def begin(self, env: Mapping[str, str], cwd: str | os.PathLike[str] | None) -> None:
        order = json.dumps({"env": dict(env), "cwd": os.fspath(cwd or Path.cwd())}).encode()
        try:
            with os.fdopen(self.orders, "wb") as pipe:
                pipe.write(order)
        except BrokenPipeError:
            pass  # it is dead already, which its manager will find

    def discard(self) -> None:
        os.close(self.orders)
        self.process.kill()
        self.process.close()
        shutil.rmtree(self.sockets, ignore_errors=True)


def _fork_kernel(
    arguments: tuple[str, ...],
    connection: Mapping[str, Any],
    sockets: Path,
    env: Mapping[str, str],
    *,
    stdout: int = 1,
    stderr: int = 2,
) -> _Kernel:
    reading, orders = os.pipe()
    try:
        file = next(arguments[n + 1] for n, word in enumerate(arguments) if word == "-f")
        process = warm.fork(
            _be_kernel,
            arguments,
            env=env,
            cwd=Path(file).parent,
            files=[reading],
            stdout=stdout,
            stderr=stderr,
        )
    except BaseException:
        os.close(orders)
        raise
    finally:
        os.close(reading)
    return _Kernel(process, orders, arguments, warm.settings(env), dict(connection), sockets)


def _be_kernel(arguments: tuple[str, ...], orders: int) -> None:
    """The life of a forked kernel: open the sockets, wait for orders, serve."""
    from ipykernel.kernelapp import IPKernelApp

    sys.argv = ["ipykernel_launcher", *arguments]
    begun_with = dict(os.environ)
    # 1 stands for a parent that need not be watched: the system ends this process with its owner
    app: Any = IPKernelApp.instance(parent_handle=1)
    app.initialize(list(arguments))
    with os.fdopen(orders, "rb") as pipe:
        told = pipe.read()
    if not told:
        return  # whoever wanted it has gone
    order = json.loads(told)
    # what a kernel sets for itself, such as the pager, unless something else is asked for now
    own = {
        name: value
        for name, value in os.environ.items()
        if begun_with.get(name) != value and begun_with.get(name) == order["env"].get(name)
    }
    os.environ.clear()
    os.environ.update(order["env"], **own)
    time.tzset()
    os.chdir(order["cwd"])
    app.start()
    # It is about to end, and is sending its last words. ipykernel stops the thread that sends them
    # without waiting, and then waits for this one, which waits for ten seconds for them to be sent.
    app.control_thread.join(1)


def _new_sockets() -> Path:
    return storage.scratch("kernel")


_spare: _Kernel | None = None
_keeps_spare = False
# What a notebook's kernel is started with, so that the first one can be ready too.
_AS_PAPERMILL_STARTS = ("-f", "connection.json", "--HistoryManager.hist_file=:memory:")


@contextlib.contextmanager
def spare() -> Iterator[None]:
    """While this lasts, have the next kernel of this process started before it is asked for."""
    global _keeps_spare
    _keeps_spare = warm.idle() is not None
    if _keeps_spare:
        _prepare_spare(_AS_PAPERMILL_STARTS, dict(os.environ))
    try:
        yield
    finally:
        _keeps_spare = False
        _discard_spare()


def _discard_spare() -> None:
    global _spare
    if _spare is not None:
        _spare.discard()
        _spare = None


def _prepare_spare(arguments: tuple[str, ...], env: Mapping[str, str]) -> None:
    """Start a kernel as the last one was, on sockets of its own."""
    global _spare
    _discard_spare()
    sockets = _new_sockets()
    file, connection = write_connection_file(
        str(sockets / "connection.json"),
        transport="ipc",
        ip=str(sockets / "kernel"),
        key=uuid.uuid4().hex.encode(),
        shell_port=1,
        iopub_port=2,
        stdin_port=3,
        control_port=4,
        hb_port=5,
    )
    before = dict(zip(arguments, (*arguments[1:], ""), strict=True)).get("-f", "")
    own = tuple(file if word == before else word for word in arguments)
    try:
        _spare = _fork_kernel(own, connection, sockets, env)
    except (warm.WarmError, OSError):
        shutil.rmtree(sockets, ignore_errors=True)


def _fits(kernel: _Kernel, arguments: tuple[str, ...], env: Mapping[str, str]) -> bool:
    # the same in all but the file that says where it listens
    return (
        kernel.process.poll() is None
        and kernel.settings == warm.settings(env)
        and len(kernel.arguments) == len(arguments)
        and sum(one != other for one, other in zip(kernel.arguments, arguments, strict=True)) <= 1
    )


# ------------------------------------------------------------------------------ provisioner


class WarmProvisioner(LocalProvisioner):
    """Starts the kernels of this Python by a fork, on IPC; every other kernel as usual."""

    _sockets: Path | None = None
    _taken: _Kernel | None = None
    is_warm = False

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Give a kernel that starts for the first time sockets that only its user can reach."""
        manager = self.parent
        if (
            manager is not None
            and self._sockets is None
            and sys.platform != "win32"
            and not manager.shell_port
        ):
            self._take_spare(manager)
            if self._taken is None:
                self._sockets = _new_sockets()
                manager.transport, manager.ip = "ipc", str(self._sockets / "kernel")
                manager.cache_ports = False
        return await super().pre_launch(**kwargs)

    def _take_spare(self, manager: Any) -> None:
        global _spare
        if _spare is None:
            return
        self._taken, _spare = _spare, None
        self._sockets = self._taken.sockets
        manager.cache_ports = False
        for name in ("transport", "ip", *_CHANNELS):
            setattr(manager, name, self._taken.connection[name])
        manager.session.key = self._taken.connection["key"].encode()

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork the kernel if it is one of this Python, else start it as `LocalProvisioner` does."""
        arguments = None if _needs_popen(kwargs) else _kernel_arguments(cmd)
        env = kwargs.get("env") or dict(os.environ)
        taken, self._taken = self._taken, None
        if taken is not None and (arguments is None or not _fits(taken, arguments, env)):
            # it listens where this one is to listen
            taken.process.kill()
            os.close(taken.orders)
            taken.process.wait(5)
            taken = None
        if arguments is None or not _may_fork():
            return await super().launch_kernel(cmd, **kwargs)
        try:
            kernel = (
                taken if taken is not None else await asyncio.to_thread(self._forked, arguments, env, kwargs)
            )
        except warm.WarmError as error:
            _say_once(f"{error}; kernels start as usual")
            return await super().launch_kernel(cmd, **kwargs)
        kernel.begin(env, kwargs.get("cwd"))
        if _keeps_spare:
            _prepare_spare(arguments, env)
        # what LocalProvisioner declares as nothing at all until there is something
        mine: Any = self
        mine.process = kernel.process
        mine.pid = mine.pgid = kernel.process.pid
        self.cwd = kwargs.get("cwd", Path.cwd())
        self.is_warm = True
        return self.connection_info

    def _forked(
        self, arguments: tuple[str, ...], env: Mapping[str, str], kwargs: Mapping[str, Any]
    ) -> _Kernel:
        streams = {
            name: stream if isinstance(stream, int) else stream.fileno()
            for name in ("stdout", "stderr")
            if (stream := kwargs.get(name)) is not None
        }
        return _fork_kernel(arguments, {}, self._sockets or Path(), env, **streams)

    async def wait(self) -> int | None:
        """Wait for the end of the kernel, told by the system rather than asked every tenth of a second."""
        if isinstance(self.process, warm.Process):
            await ended(self.process)
            code, self.process = self.process.returncode, None
            return code
        return await super().wait()

    async def kill(self, restart: bool = False) -> None:
        """Kill the group of the kernel, and be back when it is dead, which is at once."""
        await super().kill(restart=restart)
        if isinstance(self.process, warm.Process):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended(self.process), 5)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the sockets, unless the kernel is to start again on them."""
        await super().cleanup(restart=restart)
        if self._sockets is not None and not restart:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None


async def ended(process: warm.Process) -> None:
    """Wait until a process has ended."""
    if process.poll() is not None:
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    # a copy, so that two may wait for one process
    descriptor = os.dup(process.fileno())
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    process.poll()


def _kernel_arguments(cmd: list[str]) -> tuple[str, ...] | None:
    """What follows `python -m ipykernel_launcher`, if that is the command and the Python is this one."""
    if cmd[1:3] != ["-m", "ipykernel_launcher"]:
        return None
    named = shutil.which(cmd[0]) or cmd[0]
    # not resolved: the Python of an environment is a link to one that has other libraries
    return tuple(cmd[3:]) if Path(named).absolute() == Path(sys.executable).absolute() else None


def _needs_popen(kwargs: Mapping[str, Any]) -> bool:
    """Whether it is to outlive this process, or to have pipes, as only a child of this process can."""
    streams = [kwargs.get(name) for name in ("stdin", "stdout", "stderr")]
    return bool(kwargs.get("independent")) or any(
        isinstance(stream, int) and stream < 0 for stream in streams
    )


def _may_fork() -> bool:
    if warm.idle() is not None:
        return True
    _say_once("no warm kernels on this machine, or they are switched off; kernels start as usual")
    return False


_said: set[str] = set()


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        _log.warning("casegrade: %s", message)


# ------------------------------------------------------------------------ manager and client


class ReadyClient(AsyncKernelClient):
    """A client that is ready when the kernel is: it waits for answers, and for no fixed time."""

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        manager = self.parent
        deadline = time.monotonic() + (timeout or float("inf"))
        is_heard = False
        while not is_heard:
            self.kernel_info()
            if (reply := await _next(self.shell_channel, 1.0)) is not None:
                self._handle_kernel_info_reply(reply)
                # its first word on the other channel, a welcome if it came late there, proves that this
                # client will hear all the others
                is_heard = await _next(self.iopub_channel, 1.0) is not None
            elif manager is not None and not await manager._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if not is_heard and time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")
        # answers to questions that were asked twice are not answers to the first cell
        while await self.shell_channel.msg_ready():
            await _next(self.shell_channel, 0)

    wait_for_ready = _async_wait_for_ready

    def start_channels(
        self,
        shell: bool = True,
        iopub: bool = True,
        stdin: bool = False,
        hb: bool = False,
        control: bool = True,
    ) -> None:
        """Open the channels that running a notebook needs: none to ask a reader, none to hear a heart beat."""
        super().start_channels(shell=shell, iopub=iopub, stdin=stdin, hb=hb, control=control)


async def _next(channel: Any, timeout: float) -> dict[str, Any] | None:
    try:
        message: dict[str, Any] = await channel.get_msg(timeout=timeout)
    except Empty:
        return None
    return message


class WarmKernelManager(AsyncKernelManager):
    """Manages kernels that the warm provisioner starts, whatever their kernel spec names."""

    @default("client_factory")
    def _ready_client(self) -> type[ReadyClient]:
        return ReadyClient

    async def _async_pre_start_kernel(self, **kw: Any) -> tuple[list[str], dict[str, Any]]:
        if self.provisioner is None:
            self.kernel_id = self.kernel_id or kw.pop("kernel_id", str(uuid.uuid4()))
            self.provisioner = WarmProvisioner(
                kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
        started: tuple[list[str], dict[str, Any]] = await super()._async_pre_start_kernel(**kw)
        return started

    pre_start_kernel = _async_pre_start_kernel

    async def _async_wait(self, pollinterval: float = 0.1) -> None:
        process = getattr(self.provisioner, "process", None)
        if isinstance(process, warm.Process):
            await ended(process)
        else:
            await super()._async_wait(pollinterval)
