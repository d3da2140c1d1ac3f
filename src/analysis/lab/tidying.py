"""Code of cells as ruff formats it, by the project's own rules."""

import json
import subprocess
import sys
from collections.abc import Sequence

from analysis import paths


def formatted(project: paths.Project, sources: Sequence[str], /) -> list[str]:
    """Each cell's code formatted, in order; code that cannot be read stays as it is.

    Without ruff all stays as it is.
    """
    whole = _run(project, sources)
    if whole is not None:
        return whole
    # one of them cannot be read: it may be half written
    return [(_run(project, [source]) or [source])[0] for source in sources]


def _run(project: paths.Project, sources: Sequence[str]) -> list[str] | None:
    cells: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "id": str(number),
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(sources)
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    # by this name ruff finds the rules, and knows what it is given
    name = str(project.notebooks / "cells.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", name, "-"],
        input=json.dumps(notebook),
        capture_output=True,
        text=True,
        check=False,
        cwd=project.root,
    )
    if done.returncode != 0:
        return None
    return ["".join(cell["source"]) for cell in json.loads(done.stdout)["cells"]]
