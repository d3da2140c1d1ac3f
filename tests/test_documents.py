from pathlib import Path

from analysis.compare.shares import Figure
from analysis.evidence import cleaning, sources

ROOT = Path(__file__).resolve().parents[1]


def test_the_data_dictionary_is_current() -> None:
    written = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    current = sources.dictionary(ROOT / "data" / "raw", [*cleaning.SCHEMAS.values(), Figure])
    assert written == current, "run `make dictionary` and review what changed"
