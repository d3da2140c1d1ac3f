"""One audit as the comparison sees it, and which two audits of a force belong together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from analysis import vocabulary
from analysis.evidence.cleaning import Evidence
from analysis.evidence.reconcile import Audit
from analysis.vocabulary import Grade, Role


class SelectionError(Exception):
    """The audits asked for do not exist or cannot be told apart. The message says what to ask for."""


class GivenError(Exception):
    """What was given is no table of audits, or not all tables of the project. The message says what to give."""


def checked_audits(audits: object, /) -> pl.DataFrame:
    """The audits, if that is what they are: a frame with every column of the schema `Audit`.

    Raises:
        GivenError: if they are not.
    """
    if not isinstance(audits, pl.DataFrame):
        raise GivenError(
            f"The audits are a table, but this is {vocabulary.briefly(audits)}: give the audits as from "
            "analysis.load_audits()."
        )
    missing = [name for name in Audit.column_names() if name not in audits.columns]
    if missing:
        raise GivenError(
            f'This table has no column "{missing[0]}", and so is none of audits: give the audits as from '
            "analysis.load_audits()."
        )
    return audits


def checked_evidence(evidence: object, /) -> Evidence:
    """Every cleaned table, if that is what it is.

    Raises:
        GivenError: if it is not.
    """
    if not isinstance(evidence, Evidence):
        raise GivenError(
            f"More tables are needed than {vocabulary.briefly(evidence)} has: give analysis.load_evidence()."
        )
    return evidence


@dataclass(frozen=True)
class GradedAudit:
    """The case grades of one audit: one row of `audits`, with the counts by grade.

    `counts` has every grade of the audit's scale, worst to best; null is "not known". The other
    fields are those of the schema `Audit`.
    """

    inspection_id: str
    force: str
    kind: str
    fieldwork: str | None
    published: str | None
    area: str
    graded_by: str
    scale: str
    n_cases: int | None
    counts: Mapping[Grade, int | None]
    n_below_good: int | None
    resolution: str
    n_sources: int
    n_sources_agreeing: int
    adds_up: bool | None
    derived: tuple[str, ...]
    note: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any], /) -> "GradedAudit":
        """Build it from a row of `audits` given as a mapping."""
        grades = vocabulary.SCALES[row["scale"]].grades
        same = (name for name in cls.__dataclass_fields__ if name not in ("counts", "derived"))
        return cls(
            counts={grade: row[f"n_{grade.column}"] for grade in grades},
            derived=tuple(row["derived"]),
            **{name: row[name] for name in same},
        )

    @property
    def role(self) -> Role:
        """Whether this kind of inspection is a full one, a follow-up or neither."""
        return vocabulary.KINDS[self.kind].role

    @property
    def dated(self) -> str:
        """Year, month or day of the fieldwork, else of publication; empty if neither is known."""
        return self.fieldwork or self.published or ""

    @property
    def month(self) -> str:
        """The same to the month, or to the year if no more is known."""
        return self.dated[: len("2022-02")]

    @property
    def has_case_grades(self) -> bool:
        """Whether the count of at least one grade is known, and what is known adds up."""
        known = any(count is not None for count in self.counts.values())
        return known and self.n_cases is not None and self.adds_up is not False

    def count(self, grade: Grade, /) -> int | None:
        """Cases at `grade`; null if it is not known or not on the audit's scale."""
        return self.counts.get(grade)

    @property
    def ordered_counts(self) -> tuple[int, ...] | None:
        """Counts worst to best, or null if any is unknown or they do not add up."""
        known = tuple(count for count in self.counts.values() if count is not None)
        complete = bool(known) and len(known) == len(self.counts) and self.adds_up is True
        return known if complete else None


@dataclass(frozen=True)
class Selection:
    """The audits that a force's report is about.

    `baseline` and `follow_up` are the two to compare; `only` is the one audit there is where
    there are not two; all are null if the force has no audit. `others` are the force's further
    audits, in date order.
    """

    force: str
    baseline: GradedAudit | None
    follow_up: GradedAudit | None
    only: GradedAudit | None
    others: tuple[GradedAudit, ...]


def select(
    audits: pl.DataFrame,
    /,
    *,
    force: str,
    baseline: str | None = None,
    follow_up: str | None = None,
) -> Selection:
    """Choose the audits of a force to compare, or the one to report alone.

    Without a choice of the reader, only audits of all areas, graded by inspectors, with grades that
    are known and add up, are looked at. The baseline is the last full inspection that was followed
    up on the same scale; the follow-up is the next review or re-inspection after it.

    Args:
        audits: one row per audit (schema `Audit`).
        force: slug of the force.
        baseline: inspection id of the earlier audit; null for the rule above.
        follow_up: inspection id of the later audit; null for the rule above.

    Raises:
        GivenError: if `audits` is no table of audits.
        SelectionError: if an inspection id asked for has no audit of this force, or the baseline
            is not the earlier of the two.
    """
    rows = checked_audits(audits).filter(pl.col("force") == force)
    known = [GradedAudit.from_row(row) for row in rows.iter_rows(named=True)]
    chosen_baseline = _chosen(known, baseline, force) if baseline else None
    chosen_follow_up = _chosen(known, follow_up, force) if follow_up else None
    candidates = [audit for audit in known if _is_main(audit) and audit.has_case_grades]
    pair = _pair(candidates, chosen_baseline, chosen_follow_up)
    if pair is None and (baseline or follow_up):
        missing = "later review or re-inspection" if baseline else "earlier full inspection"
        asked = baseline or follow_up
        raise SelectionError(
            f"{force} has no {missing} with known case grades to compare with {asked}: "
            f"choose both audits, from {_ids(known)}."
        )
    if pair is not None:
        first, second = pair
        if not _is_before(first, second):
            raise SelectionError(
                f"{first.inspection_id} does not lie before {second.inspection_id}: "
                "exchange baseline and follow_up, or choose other audits."
            )
        rest = tuple(audit for audit in known if audit not in pair)
        return Selection(force, first, second, None, rest)
    only = _most_telling(known)
    return Selection(force, None, None, only, tuple(audit for audit in known if audit is not only))


def _pair(
    candidates: Sequence[GradedAudit], baseline: GradedAudit | None, follow_up: GradedAudit | None
) -> tuple[GradedAudit, GradedAudit] | None:
    if baseline and follow_up:
        return baseline, follow_up
    firsts = [baseline] if baseline else [audit for audit in candidates if audit.role is Role.FULL]
    seconds = [follow_up] if follow_up else [audit for audit in candidates if audit.role is Role.FOLLOW_UP]
    pairs = [
        (first, second)
        for first in firsts
        for second in seconds
        if _is_before(first, second) and (baseline or follow_up or first.scale == second.scale)
    ]
    # the next follow-up after a full inspection is the one that answers it
    latest = max(pairs, key=lambda pair: pair[0].dated, default=None)
    if latest is None:
        return None
    return min((pair for pair in pairs if pair[0] is latest[0]), key=lambda pair: pair[1].dated)


def _is_main(audit: GradedAudit) -> bool:
    return audit.area == vocabulary.OVERALL and audit.graded_by == "inspectors"


def _is_before(first: GradedAudit, second: GradedAudit) -> bool:
    # a bare year beside a month of that year leaves open which came first
    length = min(len(first.month), len(second.month))
    return first.month[:length] < second.month[:length]


def _chosen(known: Sequence[GradedAudit], inspection_id: str, force: str) -> GradedAudit:
    found = [audit for audit in known if audit.inspection_id == inspection_id and _is_main(audit)]
    if not found:
        raise SelectionError(
            f'{force} has no audit "{inspection_id}" (overall, graded by inspectors): '
            f"{vocabulary.near_words(inspection_id, [audit.inspection_id for audit in known if _is_main(audit)])}"
            if any(_is_main(audit) for audit in known)
            else f'{force} has no audit "{inspection_id}", and no other overall audit to compare.'
        )
    return found[0]


def _ids(known: Sequence[GradedAudit]) -> str:
    return ", ".join(dict.fromkeys(audit.inspection_id for audit in known if _is_main(audit))) or "none"


def _most_telling(known: Sequence[GradedAudit]) -> GradedAudit | None:
    """The audit to report alone: inspectors before force, overall before an area, then the latest."""

    def merit(audit: GradedAudit) -> tuple[bool, bool, bool, bool, bool, str]:
        return (
            audit.graded_by != "force",
            audit.area == vocabulary.OVERALL,
            audit.has_case_grades,
            audit.ordered_counts is not None,
            audit.role is not Role.NEITHER,
            audit.dated,
        )

    return max(known, key=merit, default=None)
