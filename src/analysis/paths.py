"""Where the project's folders are. Imports nothing of ours and touches no file at import.

The project is the folder that holds `data/raw` and `notebooks`. It is looked for in this
order, so that a notebook works from any working directory and a copy of the project never
writes into the original: the environment variable `CASEGRADE_PROJECT`, the working directory
and its parents, the checkout that this package was installed from.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CASEGRADE_PROJECT"


class ProjectNotFoundError(Exception):
    """No project folder was found; the message says where it was looked for and what to do."""


@dataclass(frozen=True)
class Project:
    """The folders of one checkout. Paths are absolute; none of them needs to exist yet."""

    root: Path

    @property
    def raw(self) -> Path:
        """Sourced inputs, never edited by hand after they landed."""
        return self.root / "data" / "raw"

    @property
    def processed(self) -> Path:
        """Cleaned tables, rebuilt from `raw` and never edited."""
        return self.root / "data" / "processed"

    @property
    def restricted(self) -> Path:
        """Case-level data, never published and never in version control."""
        return self.root / "data" / "restricted"

    @property
    def notebooks(self) -> Path:
        """The thin notebooks that Papermill runs."""
        return self.root / "notebooks"

    @property
    def reports(self) -> Path:
        """Rendered reports, one folder per force."""
        return self.root / "reports"

    @property
    def docs(self) -> Path:
        """Method, data dictionary, decisions."""
        return self.root / "docs"


def package() -> Path:
    """The folder of this package, wherever it is installed."""
    return Path(__file__).parent


def code() -> list[Path]:
    """Every file of the package in order, templates included; what Python compiled is left out."""
    return [
        path for path in sorted(package().rglob("*")) if path.suffix not in ("", ".pyc") and path.is_file()
    ]


_in_use: ContextVar[Project | None] = ContextVar("project in use", default=None)


@contextmanager
def using(project: Project, /) -> Iterator[None]:
    """Within this, in this thread, `project()` is the one given, wherever the process works."""
    token = _in_use.set(project)
    try:
        yield
    finally:
        _in_use.reset(token)


def project() -> Project:
    """Find the project folder.

    Raises:
        ProjectNotFoundError: if `CASEGRADE_PROJECT` names a folder that is no project, or if
            neither the working directory, its parents nor the checkout is one.
    """
    in_use = _in_use.get()
    if in_use is not None:
        return in_use
    named = os.environ.get(VARIABLE)
    if named:
        folder = Path(named).expanduser().resolve()
        if _is_project(folder):
            return Project(folder)
        raise ProjectNotFoundError(
            f"{VARIABLE} is set to {named}, which has no data/raw and notebooks folders: "
            "set it to the folder of a casegrade checkout, or unset it."
        )
    here = Path.cwd().resolve()
    checkout = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, checkout):
        if _is_project(folder):
            return Project(folder)
    raise ProjectNotFoundError(
        "No casegrade project here (a folder with data/raw and notebooks): "
        f"change into a checkout, or set {VARIABLE} to its folder."
    )


def _is_project(folder: Path) -> bool:
    return (folder / "data" / "raw").is_dir() and (folder / "notebooks").is_dir()
