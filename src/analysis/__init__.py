"""casegrade: graded child-protection case audits in, honest before/after comparisons out.

    import analysis
    audits = analysis.load_audits()                        # one row per audit
    pair = analysis.compare(audits, force="warwickshire")  # .verdict, .headline, .figures
    analysis.charts.before_after(pair)                     # altair chart
    analysis.tables.before_after(pair)                     # great_tables table

`analysis.forces.<tab>` completes the names of forces. `analysis.national_picture` takes all forces
together, `analysis.national` shows it; `analysis.report` gives what a force's report draws on,
`analysis.sections` shows that.
"""

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.compare.filtering import select_audits
    from analysis.present import charts, claims, national, quality, sections, tables, wording
    from analysis.present.claims import check_claim
    from analysis.present.explore import by_area, trend
    from analysis.present.picker import explorer
    from analysis.present.planning import power
    from analysis.publish.takeaway import export
    from analysis.surface import (
        Comparison,
        compare,
        load_audits,
        load_evidence,
        national_picture,
        report,
    )
    from analysis.vocabulary import Forces

    forces: Forces

__all__ = [
    "Comparison",
    "by_area",
    "charts",
    "check_claim",
    "claims",
    "compare",
    "explorer",
    "export",
    "forces",
    "load_audits",
    "load_evidence",
    "national",
    "national_picture",
    "power",
    "quality",
    "report",
    "sections",
    "select_audits",
    "tables",
    "trend",
    "wording",
]

# `analysis.compare` is a package and, for whoever calls it, the public function. Loading the
# package and taking its name away makes room for the function; a package once loaded never
# takes its name back. Inside, write `from analysis.compare import change`.
import_module("analysis.compare")
globals().pop("compare", None)

# heavy libraries are imported when a name is first asked for
_MODULES = ("charts", "claims", "national", "quality", "sections", "tables", "wording")
_FUNCTIONS = {
    "by_area": "analysis.present.explore",
    "check_claim": "analysis.present.claims",
    "explorer": "analysis.present.picker",
    "export": "analysis.publish.takeaway",
    "power": "analysis.present.planning",
    "select_audits": "analysis.compare.filtering",
    "trend": "analysis.present.explore",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"analysis.present.{name}")
    if name == "forces":
        # read anew if the file changed: see vocabulary
        return import_module("analysis.vocabulary").forces()
    if name in __all__:
        return getattr(import_module(_FUNCTIONS.get(name, "analysis.surface")), name)
    near = difflib.get_close_matches(name, __all__, n=3, cutoff=0.6)
    hint = f": did you mean {' or '.join(near)}?" if near else ""
    raise AttributeError(f"module 'analysis' has no attribute {name!r}{hint}", name=None)


def __dir__() -> list[str]:
    return sorted(__all__)
