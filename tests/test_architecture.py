import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "analysis"

# The floors, from the ground up. A module may import only modules of a line above its own; a
# package's modules are listed in the order in which they may use each other.
FLOORS = (
    "paths",
    "storage",
    "vocabulary",
    "evidence.faults",
    "evidence.rawfile",
    "evidence.dates",
    "evidence.sources",
    "evidence.dictionary",
    "evidence.corrections",
    "evidence.statements",
    "evidence.reconcile",
    "evidence.narrative",
    "evidence.cleaning",
    "compare.graded",
    "compare.filtering",
    "compare.shares",
    "compare.phrases",
    "compare.claims",
    "compare.detect",
    "compare.alternatives",
    "compare.change",
    "compare.trend",
    "compare.planning",
    "compare.pooling",
    "compare.funnel",
    "compare.sensitivity",
    "compare.regression",
    "compare.national",
    "present.plainly",
    "present.definitions",
    "present.wording",
    "present.pictures",
    "present.tables",
    "present.house",
    "present.charts",
    "present.planning",
    "present.tiles",
    "present.minibars",
    "present.sections",
    "present.claims",
    "present.explore",
    "present.picker",
    "present.message",
    "present.slide",
    "present.quality",
    "present.national_words",
    "present.national_charts",
    "present.national",
    "surface",
    "lab.kernel",
    "lab.drafts",
    "lab.tidying",
    "lab.trust",
    "lab.checkout",
    "lab.server",
    "lab.start",
    "publish.parameters",
    "publish.record",
    "publish.warm",
    "publish.kernels",
    "publish.engine",
    "publish.runner",
    "publish.names",
    "publish.finished",
    "publish.page",
    "publish.numbers",
    "publish.gate",
    "publish.restricted",
    "publish.interactive",
    "publish.pdf",
    "publish.formats",
    "publish.shelf",
    "publish.plan",
    "publish.revisions",
    "publish.feed",
    "publish.job",
    "publish.making",
    "publish.pool",
    "publish.cluster",
    "publish.site",
    "publish.batch",
    "publish.takeaway",
    "publish.verify",
    "schedule.moments",
    "schedule.places",
    "schedule.rota",
    "schedule.runs",
    "schedule.due",
    "schedule.coming",
    "schedule.shown",
    "schedule.credentials",
    "schedule.notices",
    "schedule.outbox",
    "schedule.running",
    "schedule.health",
    "schedule.serving",
    "schedule.exports",
    "schedule.lab",
    "console",
    "lab.command",
    "schedule.commands",
    "cli",
)
PACKAGES = ("", "evidence", "compare", "present", "lab", "publish", "schedule")
BANNED_NAMES = {"utils", "helpers", "common", "config", "constants", "misc", "tools"}


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name != "__init__.py"
    }


def imported(path: Path) -> Iterator[str]:
    """Names of our own modules that a file imports, anywhere in it, as dotted below `analysis`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("analysis.")
                for alias in node.names
                if alias.name.startswith("analysis")
            )
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "analysis":
            inside = (node.module or "").removeprefix("analysis").removeprefix(".")
            for alias in node.names:
                full = f"{inside}.{alias.name}".removeprefix(".")
                yield full if full in FLOORS else inside or full


def test_every_module_has_a_floor() -> None:
    missing = set(modules()) - set(FLOORS)
    assert not missing, f"give each a line in FLOORS, above everything that uses it: {sorted(missing)}"
    assert set(FLOORS) == set(modules()), "FLOORS names modules that are gone"


@pytest.mark.parametrize("name", FLOORS)
def test_imports_point_down_only(name: str) -> None:
    above = [other for other in imported(modules()[name]) if other not in FLOORS[: FLOORS.index(name)]]
    assert not above, f"{name} imports {above}, which stand on its own floor or higher"


@pytest.mark.parametrize("package", PACKAGES[1:])
def test_packages_are_folders_without_imports(package: str) -> None:
    assert not list(imported(SOURCE / package / "__init__.py"))


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {part for name in modules() for part in name.split(".")} & BANNED_NAMES


@pytest.mark.parametrize("name", [name for name in FLOORS if name.startswith("present.")])
def test_present_does_no_arithmetic_on_figures(name: str) -> None:
    # Numbers are worked out in compare. What is left here is sizes of pictures and lines of text.
    operators = (ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
    found = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp) and isinstance(node.op, operators)
    ]
    allowed = {"int(width.group(1)) * 6 // 5", "_BAR // 2", "size / 2", "_BESIDE_WIDTH * 2 // size"}
    assert set(found) <= allowed


def public_definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


@pytest.mark.parametrize(
    "name", [name for name in FLOORS if name.split(".")[0] in ("evidence", "compare", "surface")]
)
def test_whatever_raises_says_so_in_its_docstring(name: str) -> None:
    tree = ast.parse(modules()[name].read_text(encoding="utf-8"))
    for definition in public_definitions(tree):
        if isinstance(definition, ast.ClassDef):
            continue
        raises = any(isinstance(node, ast.Raise) and node.exc for node in ast.walk(definition))
        assert not raises or "Raises:" in (ast.get_docstring(definition) or ""), definition.name


def printed(code: str) -> str:
    """What code prints in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = "import sys, analysis; print([m for m in ('polars', 'altair', 'scipy', 'pandas') if m in sys.modules])"
    assert printed(code) == "[]"


def test_compare_is_a_function_whatever_was_imported_before() -> None:
    code = (
        "from analysis.compare import change; import analysis; "
        "from analysis.compare.shares import share; print(callable(analysis.compare))"
    )
    assert printed(code) == "True"


def test_a_run_with_nothing_to_make_loads_nothing_that_draws_or_computes() -> None:
    # it takes half a second then, and more than two with what only those who make reports need
    heavy = (
        "altair",
        "great_tables",
        "gptables",
        "nbconvert",
        "pandas",
        "scipy",
        "statsmodels",
        "vl_convert",
    )
    told = "import sys; from analysis.publish import batch; print(*sys.modules)"
    assert not set(heavy) & set(printed(told).split())
