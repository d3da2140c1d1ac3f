"""Pickers of a force, its audits and a measure, which show the headline and a chart of what is picked.

In a live notebook they are widgets. Where nobody can pick, as in a notebook that is run for the
record or without ipywidgets, the same view of the first choice is shown, and with the same words.
"""

import contextlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import polars as pl
from markupsafe import Markup

from analysis import vocabulary
from analysis.compare import change
from analysis.compare.change import Comparison, NoAudit, SingleAudit
from analysis.compare.graded import GradedAudit, SelectionError, checked_audits
from analysis.compare.shares import CONFIDENCE
from analysis.present import charts, explore, sections, tables, wording
from analysis.present.pictures import Picture
from analysis.present.sections import Section
from analysis.vocabulary import Force, Role, VocabularyError

MEASURES: Mapping[str, str] = {
    "all grades": "All grades, before and after",
    "good": "Share good over time",
    "inadequate": "Share inadequate over time",
}
# what a Jupyter server tells the kernels that it starts for a notebook somebody has open
LIVE = "JPY_SESSION_NAME"
# id of the chart
NAME = "chart-picked"
_USUAL = ""


def is_live() -> bool:
    """Whether somebody may pick: a Jupyter server runs this kernel, and ipywidgets is installed."""
    return bool(os.environ.get(LIVE)) and importlib.util.find_spec("ipywidgets") is not None


@dataclass(frozen=True)
class View:
    """What is shown of one choice: words, and a chart with its table where there is one."""

    words: Section
    drawing: Picture | Section

    @property
    def html(self) -> str:
        """Words and chart as one piece. Screen readers are told of the words when they change."""
        shown = self.drawing.html if isinstance(self.drawing, Picture) else str(self.drawing.html)
        return str(Markup('<div role="status">{}</div>').format(self.words.html)) + shown

    def __repr__(self) -> str:
        return f"{self.words!r}\n{self.drawing!r}"


def view(
    audits: pl.DataFrame,
    /,
    *,
    force: str | Force,
    measure: str = "all grades",
    baseline: str | None = None,
    follow_up: str | None = None,
    confidence: float = CONFIDENCE,
) -> View:
    """What the pickers show of one choice, whether the force has two audits, one or none.

    Args:
        audits: one row per audit (schema `Audit`).
        force: slug, name or alias of a force, or one of `analysis.forces`.
        measure: "all grades", "good" or "inadequate", as in `vocabulary.grade`.
        baseline: inspection id of the earlier audit; null for the usual one.
        follow_up: inspection id of the later audit; null for the usual one.
        confidence: level of all intervals, at least 0.5 and below 1.

    Raises:
        GivenError: if `audits` is no table of audits.
        VocabularyError: if no force is called that, or the measure is none of these.
        SelectionError: if an audit asked for does not exist or is not in date order.
    """
    measure = _measure(measure)
    slug = vocabulary.force(force).slug
    examined = change.examine(
        audits, force=slug, baseline=baseline, follow_up=follow_up, confidence=confidence
    )
    told = [f"{wording.force_name(slug)}. {wording.compared(examined)}"]
    if isinstance(examined, NoAudit):
        return View(sections.paragraphs(told), sections.paragraphs([wording.headline(examined)]))
    told.append(wording.headline(examined))
    if isinstance(examined, Comparison):
        told += [
            f"A {noun} is neither an inspection nor the follow-up of one: its cases may have been chosen otherwise."
            for noun in dict.fromkeys(
                vocabulary.KINDS[audit.kind].noun
                for audit in (examined.baseline, examined.follow_up)
                if audit.role is Role.NEITHER
            )
        ]
    if measure != "all grades":
        try:
            seen = explore.trend(audits, force=slug, confidence=confidence)
        except SelectionError:
            seen = None
        nothing = sections.paragraphs(["There is no audit of all areas to follow over time."])
        return View(sections.paragraphs(told), nothing if seen is None else seen.picture(measure, name=NAME))
    if examined.figures["value"].is_null().all():
        return View(
            sections.paragraphs(told), sections.paragraphs(["No share is known, so there is no chart."])
        )
    # of its own name, as the notebook may show the same comparison elsewhere
    table = tables.before_after(examined).with_id(f"{NAME}-table")
    drawing = charts.picture(charts.before_after(examined), name=NAME, table=table)
    return View(sections.paragraphs(told), drawing)


def _measure(asked: object) -> str:
    """One of `MEASURES`, a grade of which may be written in any way that a grade may."""
    if isinstance(asked, str):
        with contextlib.suppress(VocabularyError):
            return vocabulary.grade(asked).value
        if asked.strip().casefold() in MEASURES:
            return asked.strip().casefold()
    told = f'"{asked}"' if isinstance(asked, str) else repr(asked)
    raise VocabularyError(f"The measure {told} is unknown: {vocabulary.near_words(asked, MEASURES)}")


def status(audits: pl.DataFrame, slug: str, /) -> str:
    """What there is of a force: "two audits", "one audit" or "no audit"."""
    examined = change.examine(audits, force=slug)
    if isinstance(examined, NoAudit):
        return "no audit"
    return "one audit" if isinstance(examined, SingleAudit) else "two audits"


def pairs(audits: pl.DataFrame, slug: str, /) -> dict[str, tuple[str, str]]:
    """Every two audits of a force that can be put side by side, in words, with their inspection ids.

    Of all areas, graded by inspectors, with known case grades; the earlier first, in date order.
    """
    rows = audits.filter((pl.col("force") == slug) & (pl.col("area") == vocabulary.OVERALL))
    known = [
        audit
        for audit in (GradedAudit.from_row(row) for row in rows.iter_rows(named=True))
        if audit.graded_by == "inspectors" and audit.has_case_grades
    ]
    known.sort(key=lambda audit: audit.month)
    return {
        f"{wording.audit_name(one)} and {wording.audit_name(other)}": (one.inspection_id, other.inspection_id)
        for place, one in enumerate(known)
        for other in known[place + 1 :]
        # months and years that overlap leave open which came first
        if not other.month.startswith(one.month) and one.role is not Role.FOLLOW_UP
    }


class Explorer:
    """Pickers and what they show. A notebook shows it by itself: as widgets, or as the first view.

    Attributes:
        audits: one row per audit.
        force: slug of the force picked.
        measure: the measure picked.
    """

    def __init__(self, audits: pl.DataFrame, *, force: str, measure: str, confidence: float):
        self.audits = audits
        self.force = force
        self.measure = measure
        self._confidence = confidence
        self._pair: tuple[str, str] | None = None

    @property
    def view(self) -> View:
        """What is shown of the present choice."""
        baseline, follow_up = self._pair or (None, None)
        return view(
            self.audits,
            force=self.force,
            measure=self.measure,
            baseline=baseline,
            follow_up=follow_up,
            confidence=self._confidence,
        )

    def __repr__(self) -> str:
        return repr(self.view)

    def _ipython_display_(self) -> None:
        # takes a tenth of a second, and only notebooks show anything
        display: Any = import_module("IPython.display").display
        first = self.view
        if is_live():
            # with the first view beside it, for wherever the notebook is looked at without a kernel
            widget = self.widget()._repr_mimebundle_()
            display(widget | {"text/html": first.html, "text/plain": repr(first)}, raw=True)
        else:
            # one after the other, as a chart on its own may be handed over to be drawn elsewhere
            display(first.words)
            display(first.drawing)

    def widget(self) -> Any:
        """The pickers and the view as one widget (ipywidgets `VBox`): force, audits, measure, what they show.

        What is shown is an `ipywidgets.HTML`, whose value is the view: one message per change, kept
        with the notebook, and nothing that is printed meanwhile can get in between, as it could with
        an `Output`. Drawings hold no scripts, so plain HTML is all they need.

        Raises:
            ImportError: if ipywidgets is not installed.
        """
        ipywidgets: Any = import_module("ipywidgets")
        wide = {"description_width": "6em"}
        layout = {"width": "100%", "max_width": "44em"}
        force = ipywidgets.Dropdown(
            description="Force",
            options=[
                (f"{one.full_name} ({status(self.audits, one.slug)})", one.slug)
                for one in vocabulary.forces()
            ],
            value=self.force,
            style=wide,
            layout=layout,
        )
        audits = ipywidgets.Dropdown(description="Audits", style=wide, layout=layout)
        measure = ipywidgets.Dropdown(
            description="Measure",
            options=[(label, name) for name, label in MEASURES.items()],
            value=self.measure,
            style=wide,
            layout=layout,
        )
        shown = ipywidgets.HTML()

        def offer() -> None:
            found = pairs(self.audits, self.force)
            audits.options = [
                ("The usual ones", _USUAL),
                *((label, "|".join(two)) for label, two in found.items()),
            ]
            audits.value = _USUAL
            audits.disabled = not found

        def show() -> None:
            try:
                shown.value = self.view.html
            except SelectionError as error:
                shown.value = str(sections.paragraphs([str(error)]).html)

        def force_picked(changed: Mapping[str, Any]) -> None:
            self.force, self._pair = changed["new"], None
            # picks the usual audits, which shows them unless they were picked already
            offer()
            show()

        def audits_picked(changed: Mapping[str, Any]) -> None:
            earlier, _, later = (changed["new"] or _USUAL).partition("|")
            self._pair = (earlier, later) if later else None
            show()

        def measure_picked(changed: Mapping[str, Any]) -> None:
            self.measure = changed["new"]
            show()

        offer()
        show()
        force.observe(force_picked, names="value")
        audits.observe(audits_picked, names="value")
        measure.observe(measure_picked, names="value")
        return ipywidgets.VBox([force, audits, measure, shown])


def explorer(
    audits: pl.DataFrame,
    /,
    *,
    force: str | Force = "warwickshire",
    measure: str = "all grades",
    confidence: float = CONFIDENCE,
) -> Explorer:
    """Pickers of a force, two of its audits and a measure, which show the headline and a chart.

    Args:
        audits: one row per audit (schema `Audit`), as from `load_audits`.
        force: what is picked at first: slug, name or alias of a force, or one of `analysis.forces`.
        measure: what is picked at first: "all grades", "good" or "inadequate", as in `vocabulary.grade`.
        confidence: level of all intervals, at least 0.5 and below 1.

    Returns:
        The pickers. Where nobody can pick, they show the first choice as it stands.

    Raises:
        GivenError: if `audits` is no table of audits.
        VocabularyError: if no force is called that, or the measure is none of these; the message names
            near matches.
        ValueError: if `confidence` is below 0.5 or not below 1.

    Example:
        >>> import analysis
        >>> found = analysis.explorer(analysis.load_audits(), force="Dorset Police", measure="good")
        >>> print(repr(found).splitlines()[0])
        Dorset Police. Compared: inspection of April 2021 and post-inspection review of April 2022.
    """
    slug = vocabulary.force(force).slug
    change.check_confidence(confidence)
    return Explorer(checked_audits(audits), force=slug, measure=_measure(measure), confidence=confidence)
