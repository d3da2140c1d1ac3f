"""What a researcher calls: the cleaned tables, a comparison that can speak, a force's report, all forces."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import polars as pl

from analysis import paths, vocabulary
from analysis.compare import change, national
from analysis.compare.change import NoAudit, SingleAudit
from analysis.compare.graded import checked_evidence
from analysis.compare.national import KINDS, ScopeError
from analysis.compare.shares import CONFIDENCE
from analysis.evidence import cleaning
from analysis.evidence.cleaning import Evidence
from analysis.present import national_words, wording
from analysis.present.sections import ForceReport
from analysis.vocabulary import Force


class NoComparisonError(Exception):
    """The force has no two audits to compare. The message says what there is."""


@dataclass(frozen=True)
class Comparison(change.Comparison):
    """Two audits of one force: every figure, one verdict, and the headline they allow.

    Attributes are those of `analysis.compare.change.Comparison`: `force`, `baseline`,
    `follow_up`, `confidence`, `verdict`, `figures` (one row per measure and period), `others`.
    """

    @property
    def headline(self) -> str:
        """What a reader should take away, in one or two sentences."""
        return wording.headline(self)

    def __repr__(self) -> str:
        return f"{self.headline}\n{wording.compared(self)} Verdict: {self.verdict}."

    def _repr_html_(self) -> str:
        """What a notebook shows: the headline, the verdict, and the counts and changes as tables."""
        from analysis.present import sections, tables

        told = sections.paragraphs([self.headline, f"{wording.compared(self)} Verdict: {self.verdict}."])
        shown = (tables.before_after(self), tables.changes(self))
        return str(told.html) + "".join(table.as_raw_html() for table in shown)


@dataclass(frozen=True, repr=False)
class NationalPicture(national.NationalPicture):
    """All forces together: see `analysis.compare.national.NationalPicture` for what it has.

    `analysis.national` shows its parts.
    """

    @property
    def headline(self) -> str:
        """What a reader should take away, in two or three sentences."""
        return " ".join(national_words.headline(self))

    def __repr__(self) -> str:
        return f"{self.headline}\n{national_words.coverage(self)}\n{national_words.in_scope(self.scope)}"

    def _repr_html_(self) -> str:
        from analysis.present import sections

        return str(sections.paragraphs(repr(self).splitlines()).html)


def load_evidence() -> Evidence:
    """Every cleaned table of the project: see `analysis.evidence.cleaning.Evidence`.

    Raises:
        EvidenceError: if the raw files cannot be cleaned.
    """
    return cleaning.load(paths.project())


def load_audits() -> pl.DataFrame:
    """The audits of the project: one row per set of graded case files (schema `Audit`).

    Ordered by force, then date, area and who graded. Unknown counts are null, never 0; counts are numbers
    of audited cases. Which pages they rest on: `load_evidence().statements`.

    Raises:
        EvidenceError: if the raw files cannot be cleaned.

    Example:
        >>> audits = load_audits()
        >>> audits.filter(inspection_id="warwickshire-2023-02-review").select("n_cases", "n_good").row(0)
        (34, 9)
    """
    return load_evidence().audits


def compare(
    audits: pl.DataFrame,
    /,
    *,
    force: str | Force,
    baseline: str | None = None,
    follow_up: str | None = None,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare two audits of a force.

    Args:
        audits: one row per audit (schema `Audit`), as from `load_audits`.
        force: slug, name or alias of a force, or one of `analysis.forces`.
        baseline: inspection id of the earlier audit; by default the last full inspection that was
            followed up.
        follow_up: inspection id of the later audit; by default the next review or re-inspection.
        confidence: level of all intervals, at least 0.5 and below 1.

    Raises:
        GivenError: if what is given is not what `load_audits` or `load_evidence` gives.
        VocabularyError: if no force is called that; the message names near matches.
        NoComparisonError: if the force has no two audits to compare.
        SelectionError: if an audit asked for does not exist or is not in date order.
        ValueError: if `confidence` is below 0.5 or not below 1.

    Example:
        >>> pair = compare(load_audits(), force="Warwickshire Police")
        >>> pair.verdict.direction.value, pair.verdict.evidence.value
        ('mixed', 'cannot tell')
        >>> pair.figures.filter(measure="share_good", period="change").select(pl.col("value").round(4), "base").row(0)
        (-0.0461, 108)
    """
    slug = vocabulary.force(force).slug
    examined = change.examine(
        audits, force=slug, baseline=baseline, follow_up=follow_up, confidence=confidence
    )
    if isinstance(examined, SingleAudit | NoAudit):
        raise NoComparisonError(
            f"{slug} has no two audits to compare. {wording.headline(examined)} "
            "analysis.report() shows what there is."
        )
    return Comparison(**{one.name: getattr(examined, one.name) for one in fields(examined)})


def national_picture(
    audits: pl.DataFrame,
    /,
    *,
    kinds: str | Sequence[str] = KINDS,
    scale: str = vocabulary.THREE_GRADES.name,
    first: str | None = None,
    last: str | None = None,
    confidence: float = CONFIDENCE,
) -> NationalPicture:
    """All 43 forces together: what is known of whom, what follow-ups show, and who is unusual.

    Methods and their sources: docs/method.md, section 1, item 5. No force is ranked.

    Args:
        audits: one row per audit (schema `Audit`), as from `load_audits`.
        kinds: slugs of the kinds of inspection to look at, as a sequence or with commas between:
            "initial, review, re-inspection".
        scale: name of the scale of case grades, for example "three grades".
        first: the earliest year or month of fieldwork, as "2021" or "2021-04"; null or empty for none.
        last: the latest, included; null or empty for none.
        confidence: level of all intervals, at least 0.5 and below 1.

    Returns:
        The picture. Shares and changes are fractions; forces stand in alphabetical order.

    Raises:
        GivenError: if what is given is not what `load_audits` gives.
        ScopeError: if a kind or scale is unknown, the message naming near matches; if the period is
            none, the confidence is no level, or no audit is left.

    Example:
        >>> picture = national_picture(load_audits(), first="2021")
        >>> [pair.force for pair in picture.full_pairs]
        ['dorset', 'north-yorkshire', 'suffolk', 'warwickshire']
    """
    if not isinstance(kinds, str | Sequence) or not all(isinstance(kind, str) for kind in kinds):
        raise ScopeError(f"kinds is {kinds!r}, but must name kinds: {', '.join(vocabulary.KINDS)}.")
    asked = kinds.split(",") if isinstance(kinds, str) else kinds
    scope = national.scope(
        kinds=[kind.strip() for kind in asked if kind.strip()],
        scale=scale,
        first=first or None,
        last=last or None,
        confidence=confidence,
    )
    found = national.picture(audits, forces=vocabulary.forces().slugs, scope=scope)
    return NationalPicture(**{one.name: getattr(found, one.name) for one in fields(found)})


def report(
    evidence: Evidence,
    /,
    *,
    force: str | Force,
    baseline: str | None = None,
    follow_up: str | None = None,
    confidence: float = CONFIDENCE,
) -> ForceReport:
    """What a force's report draws on, whether the force has two audits, one or none.

    Args:
        evidence: every cleaned table, as from `load_evidence`.
        force: slug, name or alias of a force, or one of `analysis.forces`.
        baseline: inspection id of the earlier audit; null or empty for the default of `compare`.
        follow_up: inspection id of the later audit; null or empty for the default of `compare`.
        confidence: level of all intervals, at least 0.5 and below 1.

    Raises:
        GivenError: if what is given is not what `load_audits` or `load_evidence` gives.
        VocabularyError: if no force is called that; the message names near matches.
        SelectionError: if an audit asked for does not exist or is not in date order.
        ValueError: if `confidence` is below 0.5 or not below 1.

    Example:
        >>> report(load_evidence(), force="kent")
        Child protection case grades: Kent Police. No audit of this force has been transcribed.
    """
    checked_evidence(evidence)
    slug = vocabulary.force(force).slug
    examined = change.examine(
        evidence.audits,
        force=slug,
        baseline=baseline or None,
        follow_up=follow_up or None,
        confidence=confidence,
    )
    return ForceReport(examined, evidence)
