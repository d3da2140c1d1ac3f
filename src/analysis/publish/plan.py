"""What a run has to do: which reports depend on something that has changed, and on what."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis import paths, vocabulary
from analysis.compare import graded
from analysis.compare.graded import Selection
from analysis.evidence import cleaning
from analysis.evidence.cleaning import Evidence, Excerpts
from analysis.publish import record, shelf
from analysis.publish.record import RunRecord, State
from analysis.publish.shelf import Shelf

FORCE_NOTEBOOK = "02_force_report.ipynb"
QUALITY_NOTEBOOK = "01_data_quality.ipynb"

EVIDENCE, NOTEBOOK, CODE, LIBRARIES, PARAMETERS, WORDS, FORBIDDEN = (
    "evidence",
    "notebook",
    "code",
    "libraries",
    "parameters",
    "words",
    "forbidden",
)
_CHANGED = {
    EVIDENCE: "its audits or findings changed",
    NOTEBOOK: "the notebook changed",
    CODE: "the code changed",
    LIBRARIES: "the lock or the installed libraries changed",
    PARAMETERS: "other parameters were given",
    WORDS: "the force's names or the words around every page changed",
    FORBIDDEN: "what no page may say changed",
}
NO_AUDITS = "it has no audits"
GONE = "its audits are no longer in the data, so it stays as it is: restore their rows, or withdraw it"
UNKNOWN = "its record.json cannot be read, so it stays as it is: restore that file from a copy, or move the folder away"


@dataclass(frozen=True)
class Step:
    """One report of a run.

    Attributes:
        name: of the report: a force's slug, or `data-quality`.
        force: slug of the force; null if it is about none.
        notebook: name of its notebook.
        parameters: for the notebook.
        depends_on: SHA-256 of all that it depends on, by kind.
        reasons: why it is to be made, in words; none if it is as it would be made.
        is_possible: whether there is an audit to report on.
        is_proven: whether its notebook, as it is, has made a report before.
        known: the record of the report that is there, if that one stays; else null.
        problem: why the report that is there stays as it is until somebody has decided; null for nothing.
        formats: what it is to have besides the usual: what was asked for, and what it had.
        may_publish: whether it may be published without anybody having read it: not after a withdrawal.
    """

    name: str
    force: str | None
    notebook: str
    parameters: Mapping[str, Any]
    depends_on: Mapping[str, str]
    reasons: tuple[str, ...]
    is_possible: bool = True
    is_proven: bool = False
    known: RunRecord | None = None
    problem: str | None = None
    formats: frozenset[str] = frozenset()
    may_publish: bool = True

    @property
    def is_due(self) -> bool:
        """Whether it is to be made."""
        return self.is_possible and self.problem is None and bool(self.reasons)


@dataclass(frozen=True)
class Wanted:
    """What makes a report due besides what it depends on: see `steps`."""

    formats: frozenset[str]
    publish: bool
    rebuild: bool


@dataclass(frozen=True)
class Around:
    """What every report of a run depends on besides its own rows, hashed once."""

    code: str
    libraries: str
    words: str
    forbidden: str


def around(project: paths.Project, /, *, words: Sequence[str]) -> Around:
    """Hash what all reports share. `words` are the lines that surround every page."""
    return Around(
        code=record.code_hash(),
        libraries=record.libraries_hash(project),
        words=record.sha256(json.dumps(list(words))),
        forbidden=record.sha256(json.dumps(_forbidden(project))),
    )


def _forbidden(project: paths.Project) -> list[Any]:
    """What no page may say: names of forces, and the restricted files by size and time.

    Not by content: the hash is in records that are passed on, and what is restricted could be guessed from it.
    """
    files = [path for path in sorted(project.restricted.rglob("*")) if path.is_file()]
    stamps = [(path.relative_to(project.restricted).as_posix(), path.stat()) for path in files]
    names = vocabulary.listing(vocabulary.forces(project.raw))
    return [names, *((name, stat.st_size, stat.st_mtime_ns) for name, stat in stamps)]


def steps(
    evidence: Evidence,
    project: paths.Project,
    place: Shelf,
    /,
    *,
    forces: Sequence[str],
    values: Mapping[str, Any],
    shared: Around,
    with_quality: bool = False,
    rebuild: bool = False,
    formats: frozenset[str] = frozenset(),
    publish: bool = False,
) -> list[Step]:
    """One step per force, in the order given, and one for the page on data quality if asked.

    Args:
        evidence: the cleaned tables.
        project: where the notebooks are.
        place: where the reports are.
        forces: slugs.
        values: checked parameters apart from `force`.
        shared: see `around`.
        with_quality: whether to make the page on data quality too.
        rebuild: make every report again, whatever is there.
        formats: what each report is to have besides the usual.
        publish: whether drafts are not enough.

    Raises:
        SelectionError: if an audit asked for is not one of the force.
    """
    wanted = Wanted(formats, publish, rebuild)
    excerpts = Excerpts(evidence)
    sources = {name: _sources_hash(project, name) for name in (FORCE_NOTEBOOK, QUALITY_NOTEBOOK)}
    common = {CODE: shared.code, LIBRARIES: shared.libraries, FORBIDDEN: shared.forbidden}
    named = vocabulary.forces(project.raw)
    found: list[Step] = []
    for force in forces:
        excerpt = excerpts.of(force)
        possible = has_audits(selected(excerpt, force, values))
        parameters = {**values, "force": force}
        depends_on = {
            EVIDENCE: cleaning.content_hash(excerpt) if possible else "",
            NOTEBOOK: sources[FORCE_NOTEBOOK],
            PARAMETERS: record.sha256(json.dumps(parameters, sort_keys=True)),
            WORDS: record.sha256(shared.words + vocabulary.listing([named.named(force)])),
            **common,
        }
        step = Step(force, force, FORCE_NOTEBOOK, parameters, depends_on, (NO_AUDITS,), is_possible=possible)
        found.append(_judged(step, place, wanted))
    if with_quality:
        depends_on = {
            EVIDENCE: cleaning.content_hash(evidence),
            NOTEBOOK: sources[QUALITY_NOTEBOOK],
            PARAMETERS: record.sha256("{}"),
            WORDS: record.sha256(shared.words + vocabulary.listing(named)),
            **common,
        }
        step = Step(record.QUALITY, None, QUALITY_NOTEBOOK, {}, depends_on, ())
        found.append(_judged(step, place, wanted))
    return found


def has_audits(selection: Selection, /) -> bool:
    """Whether there is anything to report on."""
    return selection.baseline is not None or selection.only is not None


def selected(evidence: Evidence, force: str, values: Mapping[str, Any], /) -> Selection:
    """The audits that a report on the force with these parameters is about.

    Raises:
        SelectionError: if an audit asked for is not one of the force.
    """
    return graded.select(
        evidence.audits,
        force=force,
        baseline=values.get("baseline") or None,
        follow_up=values.get("follow_up") or None,
    )


def _judged(step: Step, place: Shelf, wanted: Wanted) -> Step:
    known = shelf.recorded(place, step.name)
    if known is None and place.has(f"{step.name}/{record.FILE}"):
        return replace(step, problem=UNKNOWN, reasons=(UNKNOWN,))
    if step.is_possible:
        return _with_reasons(step, place, wanted, known)
    if known is None or known.state is State.WITHDRAWN:
        return step
    return replace(step, problem=GONE, reasons=(GONE,))


def _with_reasons(step: Step, place: Shelf, wanted: Wanted, placed: RunRecord | None) -> Step:
    waiting = shelf.drafted(place, step.name)
    folder, known = (step.name, placed) if waiting is None else (f"{step.name}/{shelf.DRAFT_FOLDER}", waiting)
    may_publish = placed is None or placed.state is not State.WITHDRAWN
    formats = wanted.formats
    if known is not None and not wanted.rebuild:
        formats |= frozenset(known.formats)
    wanted = replace(wanted, publish=wanted.publish and may_publish)
    reasons = ("it was asked for",) if wanted.rebuild else tuple(_reasons(step, place, folder, known, wanted))
    return replace(
        step,
        formats=formats,
        may_publish=may_publish,
        reasons=reasons,
        is_proven=known is not None and known.depends_on.get(NOTEBOOK) == step.depends_on[NOTEBOOK],
        known=None if reasons else known,
    )


def _reasons(step: Step, place: Shelf, folder: str, known: RunRecord | None, wanted: Wanted) -> list[str]:
    if shelf.failure(place, step.name) is not None:
        return ["its last run failed"]
    if known is None:
        return ["there is no report yet"]
    changed = changes(known.depends_on, step.depends_on)
    if not changed and not shelf.is_as_written(place, folder, known):
        changed = ["its files are not as they were written"]
    if known.state is State.WITHDRAWN:
        return changed
    if not wanted.formats <= set(known.formats):
        changed.append("it has not all the formats that were asked for")
    if wanted.publish and known.state is State.DRAFT:
        changed.append("it is a draft, and was to be published")
    return changed


def changes(earlier: Mapping[str, str], later: Mapping[str, str], /) -> list[str]:
    """What differs between two states of all that a report depends on, in words."""
    return [why for kind, why in _CHANGED.items() if earlier.get(kind) != later[kind]]


def _sources_hash(project: paths.Project, name: str) -> str:
    """The SHA-256 of what a notebook does and says; what it showed when it was last run does not count."""
    try:
        notebook = json.loads((project.notebooks / name).read_bytes())
        cells = [
            [cell["cell_type"], "".join(cell["source"]), cell.get("metadata", {}).get("tags", [])]
            for cell in notebook["cells"]
        ]
        return record.sha256(json.dumps([cells, notebook.get("metadata", {}).get("kernelspec")]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        # whoever runs it will say what is wrong with it
        return "unreadable"
