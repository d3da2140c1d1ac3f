"""The Papermill engine `casegrade`: notebooks run in warm kernels, without waits of a fixed length.

Papermill loads this module when it is imported itself. Import Papermill, not this: while Papermill is
half loaded because of this module, it would look for an engine that is not there yet.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_core.utils import run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.log import logger
from papermill.utils import merge_kwargs, remove_args

from analysis.publish import kernels, warm

# A kernel that dies may have told why; what it sent is on its way for no longer than this.
_LAST_WORDS = 0.2
_SAVE_EVERY = 2.0


class StartError(Exception):
    """A kernel that did not start. Nothing of the notebook has run, so it may be tried again."""


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, told of a kernel's death by the system instead of asking once a second."""

    on_kernel: Callable[[int | None, bool], None] | None = None

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        try:
            await super().async_start_new_kernel(**kwargs)
        except NoSuchKernel:
            raise  # there is none that could be started again
        except Exception as error:
            raise StartError(f"the kernel did not start: {type(error).__name__}: {error}") from error

    async def async_start_new_kernel_client(self) -> Any:
        provisioner = self.km.provisioner
        try:
            client = await super().async_start_new_kernel_client()
        except Exception as error:
            raise StartError(f"the kernel did not start: {type(error).__name__}: {error}") from error
        if self.on_kernel is not None:
            self.on_kernel(getattr(provisioner, "pgid", None), getattr(provisioner, "is_warm", False))
        return client

    start_new_kernel = run_sync(async_start_new_kernel)
    start_new_kernel_client = run_sync(async_start_new_kernel_client)

    async def _async_poll_kernel_alive(self) -> None:
        process = getattr(self.km.provisioner, "process", None)
        if not isinstance(process, warm.Process):
            await super()._async_poll_kernel_alive()
            return
        await kernels.ended(process)
        await asyncio.sleep(_LAST_WORDS)
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()


class _SparingManager(NotebookExecutionManager):  # type: ignore[misc]
    """Writes the notebook at the start, at the end and every two seconds, not before and after each cell."""

    _saved_at = float("-inf")

    def save(self, **kwargs: Any) -> None:
        """Write it, unless that was done a moment ago and there is more to come."""
        if self.end_time is not None or time.monotonic() - self._saved_at >= _SAVE_EVERY:
            super().save(**kwargs)
            self._saved_at = time.monotonic()


class WarmEngine(NBClientEngine):  # type: ignore[misc]
    """The Papermill engine `casegrade`: takes what Papermill's own engine takes."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        on_end: Callable[[Any], None] | None = None,
        **kwargs: Any,
    ) -> Any:
        """As Papermill's own, save that the notebook is written less often.

        Args beyond those of Papermill's engine:
            on_end: is called with the notebook when its run is over, however it ended.
        """
        manager = _SparingManager(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **kwargs)
        finally:
            manager.cleanup_pbar()
            manager.notebook_complete()
            if on_end is not None:
                on_end(manager.nb)
        return manager.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        kernel_start: Mapping[str, Any] | None = None,
        on_kernel: Callable[[int | None, bool], None] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the notebook in a warm kernel.

        Args beyond those of Papermill's engine:
            kernel_start: what the kernel is started with: `cwd`, `env`. Unlike Papermill's own `cwd` it
                does not change the folder of this process, which other threads may be working in.
            on_kernel: is called when the kernel is ready, with its process group and whether it is warm.
        """
        given = remove_args(["input_path", "timeout", "startup_timeout"], **kwargs)
        final = merge_kwargs(
            given,
            timeout=execution_timeout or kwargs.get("timeout"),
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            log=logger,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
        )
        final.setdefault("kernel_manager_class", kernels.WarmKernelManager)
        client = _Client(nb_man, **final)
        client.on_kernel = on_kernel
        return client.execute(**(kernel_start or {}))
