"""What the server of `casegrade lab` does more than any other: kernels that reload, the script of charts, drafts."""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

from analysis import paths
from analysis.lab import drafts, tidying
from analysis.present import pictures

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

EXTENSION = "analysis.lab.kernel"
NATIVE = "python3"
_LAUNCHED = ("-m", "ipykernel_launcher")
_DARK = Path(__file__).parent / "dark.json"


class LabKernelSpecs(KernelSpecManager):
    """The kernels that are installed, those of this Python with the extension of this JupyterLab.

    Names stay as they are, so that a notebook that is saved says of its kernel what it said before.
    """

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The spec of a kernel by its name."""
        spec = super().get_kernel_spec(kernel_name)
        command, *words = spec.argv
        if tuple(words[:2]) != _LAUNCHED:
            return spec
        # a user's own kernel of this name may be of a Python without this package
        if kernel_name == NATIVE or command in ("python", "python3", sys.executable):
            spec.argv = [sys.executable, *words, f"--IPKernelApp.extra_extensions={EXTENSION}"]
        return spec


class ChartScript(JupyterHandler):
    """Vega, and what makes its charts answer."""

    @web.authenticated
    async def get(self) -> None:
        """The script, put together once."""
        script = await asyncio.wrap_future(_making.submit(_script))
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        # asked for again each time and sent again only if it is another one
        self.set_header("Cache-Control", "no-cache")
        await self.finish(script)


class Drafts(APIHandler):
    """Notebooks that are begun from the launcher."""

    @web.authenticated
    async def post(self) -> None:
        """Begin one, for the question that is given."""
        given = self.get_json_body() or {}
        try:
            path = drafts.begin(paths.project(), str(given.get("question", "")))
        except drafts.DraftError as error:
            self.set_status(400)
            await self.finish(json.dumps({"message": str(error)}))
        else:
            await self.finish(json.dumps({"path": f"notebooks/{drafts.FOLDER}/{path.name}"}))


class Formatted(APIHandler):
    """Code of cells, formatted."""

    @web.authenticated
    async def post(self) -> None:
        """Give the cells' code as ruff formats it."""
        sources = [str(one) for one in (self.get_json_body() or {}).get("sources", [])]
        tidy = await asyncio.to_thread(tidying.formatted, paths.project(), sources)
        await self.finish(json.dumps({"sources": tidy}))


# one at a time: who asks while it is made waits for that
_making = ThreadPoolExecutor(1)


@cache
def _script() -> str:
    colours = json.dumps(json.loads(_DARK.read_text(encoding="utf-8")))
    return pictures.script(f"window.casegrade = {{ alive, dark: {colours} }};")


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "analysis.lab.server"}]


def _load_jupyter_server_extension(app: "ServerApp") -> None:
    base = app.web_app.settings["base_url"]
    handlers = [("chart.js", ChartScript), ("drafts", Drafts), ("formatted", Formatted)]
    app.web_app.add_handlers(".*$", [(url_path_join(base, "casegrade", name), one) for name, one in handlers])  # type: ignore[no-untyped-call]
    # takes a second or more, which passes while the page loads
    _making.submit(_script)
