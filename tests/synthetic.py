"""Made-up audits, so that a test can set up any counts without touching the shipped data."""

import json
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

from analysis import paths, vocabulary
from analysis.compare import change
from analysis.compare.change import Comparison, NoAudit, SingleAudit
from analysis.evidence import cleaning
from analysis.evidence.cleaning import Evidence
from analysis.evidence.reconcile import Audit
from analysis.publish import plan, shelf
from analysis.vocabulary import Grade

FORCE = "kent"
ROOT = Path(__file__).resolve().parents[1]
RAW = ROOT / "data" / "raw"
# what lies around the reports of forces, in order
AROUND = (shelf.LOCK, "about.html", "feed.xml", "index.html", "national.html")


def copy_of_project(root: Path) -> paths.Project:
    """A copy of the project's data and notebooks in `root`, for fixtures that outlive one test."""
    shutil.copytree(RAW, root / "data" / "raw")
    shutil.copytree(
        ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("scratch", ".ipynb_checkpoints")
    )
    (root / "docs").mkdir()
    return paths.Project(root)


def small(project: paths.Project, *cells: str, notebook: str = plan.FORCE_NOTEBOOK) -> None:
    """Put a notebook in the place of a shipped one: the same parameters, cells that take no time."""
    path = project.notebooks / notebook
    made = json.loads(path.read_text(encoding="utf-8"))
    made["cells"] = [cell for cell in made["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    made["cells"] += [
        {
            "cell_type": "code",
            "id": f"small-{number}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(cells)
    ]
    path.write_text(json.dumps(made), encoding="utf-8")


@cache
def shipped() -> Evidence:
    """The cleaned tables of the shipped raw files, for whoever needs them before fixtures exist."""
    return cleaning.clean(RAW)


def slugs(*kinds: type) -> list[str]:
    """The forces of which the shipped data allow one of these: a comparison, one audit, none."""
    found = {
        force.slug: change.examine(shipped().audits, force=force.slug) for force in vocabulary.forces(RAW)
    }
    return [slug for slug, examined in found.items() if isinstance(examined, kinds or object)]


def audit(
    counts: Sequence[int | None] | None = None,
    /,
    *,
    n_cases: int | None = None,
    kind: str = "initial",
    fieldwork: str | None = "2021-03",
    published: str | None = None,
    scale: str = "three grades",
    force: str | None = FORCE,
    **changed: Any,
) -> dict[str, Any]:
    """One row of `audits`. `counts` are worst to best, as the scale orders them; null is unknown."""
    grades = vocabulary.SCALES[scale].grades
    given = dict(zip(grades, counts or [None] * len(grades), strict=True))
    known = [count for count in given.values() if count is not None]
    is_complete = bool(grades) and len(known) == len(grades)
    total = sum(known) if n_cases is None and is_complete else n_cases
    below = [given.get(grade) for grade in (Grade.INADEQUATE, Grade.REQUIRES_IMPROVEMENT)]
    dated = fieldwork or f"published-{published}"
    row = {
        "force": force,
        "group": None if force else "national-8-forces",
        "kind": kind,
        "fieldwork": fieldwork,
        "fieldwork_precision": None if fieldwork is None else {4: "year", 7: "month"}[len(fieldwork)],
        "published": published,
        "scale": scale,
        "n_cases": total,
        **{f"n_{grade.column}": given.get(grade) for grade in Grade},
        "n_below_good": None if None in below else sum(count for count in below if count is not None),
        "inspection_id": f"{force or 'national-8-forces'}-{dated}-{kind}",
        "area": vocabulary.OVERALL,
        "graded_by": "inspectors",
        "resolution": "agreed" if is_complete else "partial",
        "n_sources": 2,
        "n_sources_agreeing": 2,
        "adds_up": sum(known) == total if is_complete else None,
        "derived": [],
        "contested": [],
        "note": None,
    }
    return row | changed


def audits(*rows: dict[str, Any]) -> dy.DataFrame[Audit]:
    """Rows as the table of audits, held to its schema."""
    return Audit.validate(pl.DataFrame(list(rows), schema=Audit.create_empty().schema, orient="row"))


def examine(*rows: dict[str, Any], confidence: float = 0.95, **chosen: str) -> Any:
    """What can be said of the force that the first row is about."""
    force = rows[0]["force"]
    return change.examine(audits(*rows), force=force, confidence=confidence, **chosen)


def pair(
    before: Sequence[int | None],
    after: Sequence[int | None],
    /,
    *,
    scale: str = "three grades",
    confidence: float = 0.95,
    earlier: dict[str, Any] | None = None,
    later: dict[str, Any] | None = None,
) -> Comparison:
    """Two audits of one force compared: an inspection and the review that follows it."""
    first = audit(before, **{"scale": scale, "fieldwork": "2021-03"} | (earlier or {}))
    second = audit(after, **{"scale": scale, "fieldwork": "2022-03", "kind": "review"} | (later or {}))
    chosen = {"baseline": first["inspection_id"], "follow_up": second["inspection_id"]}
    examined = examine(first, second, confidence=confidence, **chosen)
    assert isinstance(examined, Comparison)
    return examined


def single(counts: Sequence[int | None], /, **changed: Any) -> SingleAudit:
    """One audit that has no pair."""
    examined = examine(audit(counts, **changed))
    assert isinstance(examined, SingleAudit)
    return examined


def none(*, force: str = FORCE) -> NoAudit:
    """A force of which no audit is known."""
    return NoAudit(force, 0.95)


# One of each kind of thing that charts and tables must cope with.
MADE_UP: dict[str, Comparison | SingleAudit] = {
    "both ranges on one side": pair((5, 60, 5), (30, 10, 30)),
    "level": pair((10, 20, 10), (20, 40, 20)),
    "a grade without cases": pair((10, 0, 30), (0, 20, 20)),
    "all good": pair((0, 0, 30), (0, 0, 40)),
    "four grades": pair((5, 6, 7, 8), (8, 7, 6, 5), scale="four grades"),
    "below good on one side": pair(
        (None, None, 20), (20, 20, 40), earlier={"n_cases": 80, "n_below_good": 60}
    ),
    "one grade that only one audit could give": pair(
        (9, 20, 12), (9, 8, 20, 12), later={"scale": "four grades"}
    ),
    "a sliver": pair((1, 200, 1), (2, 150, 1)),
    "no number of cases": pair((None, None, None), (9, 20, 12)),
    "an ampersand in the name": pair(
        (5, 6, 7),
        (7, 6, 5),
        earlier={"force": "devon-and-cornwall"},
        later={"force": "devon-and-cornwall"},
    ),
    "one grade known": single((30, None, None), n_cases=79),
    "no grade known": single((None, None, None), n_cases=31),
}
