"""casegrade: graded child-protection case audits in, honest before/after comparisons out.

    import analysis
    audits = analysis.load_audits()                        # one row per audit
    pair = analysis.compare(audits, force="warwickshire")  # .verdict, .headline, .figures
    analysis.charts.before_after(pair)                     # altair chart
    analysis.tables.before_after(pair)                     # great_tables table

`analysis.report` gives what a force's report draws on, `analysis.sections` shows it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.present import charts, quality, sections, tables, wording
    from analysis.surface import Comparison, compare, load_audits, load_evidence, report

__all__ = [
    "Comparison",
    "charts",
    "compare",
    "load_audits",
    "load_evidence",
    "quality",
    "report",
    "sections",
    "tables",
    "wording",
]

# `analysis.compare` is a package and, for whoever calls it, the public function. Loading the
# package and taking its name away makes room for the function; a package once loaded never
# takes its name back. Inside, write `from analysis.compare import change`.
import_module("analysis.compare")
globals().pop("compare")

_MODULES = ("charts", "quality", "sections", "tables", "wording")


def __getattr__(name: str) -> Any:
    # heavy libraries are imported when first asked for
    if name in _MODULES:
        return import_module(f"analysis.present.{name}")
    if name in __all__:
        return getattr(import_module("analysis.surface"), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
