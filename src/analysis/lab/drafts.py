"""A notebook to begin an analysis with, which already does what the house rules ask."""

import re
import unicodedata
from pathlib import Path

import nbformat

from analysis import paths

FOLDER = "scratch"
_TEMPLATE = Path(__file__).parent / "templates" / "new_analysis.ipynb"
_LONGEST = 60


class DraftError(Exception):
    """No notebook can be begun. The message says what to give."""


def begin(project: paths.Project, question: str, /) -> Path:
    """Put a new notebook into `notebooks/scratch/`, which git does not keep, and return where it is.

    Nothing is ever written over: a second notebook on the same question has a number.

    Args:
        project: the project.
        question: the heading of the notebook, and in short its name.

    Raises:
        DraftError: if the question has no letters.
    """
    asked = " ".join(question.replace("_", " ").split())
    stem = _stem(asked)
    if not re.search("[a-z]", stem):
        raise DraftError(
            f'"{asked}" is no question: ask it in words, as in "Did case grades in Kent change?".'
        )
    notebook = nbformat.read(_TEMPLATE, as_version=4)
    heading = asked[0].upper() + asked[1:] + ("" if asked.endswith("?") else "?")
    first = notebook.cells[0]
    first.source = "\n".join([f"# {heading}", *first.source.split("\n")[1:]])
    folder = project.notebooks / FOLDER
    folder.mkdir(exist_ok=True)
    text = nbformat.writes(notebook)
    number = 1
    while True:
        path = folder / (f"{stem}.ipynb" if number == 1 else f"{stem}_{number}.ipynb")
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            number += 1
        else:
            return path


def _stem(question: str) -> str:
    plain = unicodedata.normalize("NFKD", question).encode("ascii", "ignore").decode().lower()
    words = re.findall("[a-z0-9]+", plain)
    stem = ""
    for word in words:
        if stem and len(stem) + 1 + len(word) > _LONGEST:
            break
        stem = f"{stem}_{word}".strip("_")
    return stem[:_LONGEST]
