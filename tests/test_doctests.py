import doctest
import importlib
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "analysis"
WITH_EXAMPLES = sorted(
    ".".join(("analysis", *path.relative_to(SOURCE).with_suffix("").parts))
    for path in SOURCE.rglob("*.py")
    if re.search(r"^ +>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
)


def test_there_are_examples() -> None:
    assert {"analysis.surface", "analysis.compare.change", "analysis.compare.pooling"} <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_give_what_they_say(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name), verbose=False)
    assert done.attempted > 0
    assert done.failed == 0
