import shutil
from pathlib import Path

import polars as pl
import pytest

from analysis import paths
from analysis.evidence import cleaning
from analysis.evidence.cleaning import Evidence

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def evidence() -> Evidence:
    """The cleaned tables of the shipped raw files."""
    return cleaning.clean(ROOT / "data" / "raw")


@pytest.fixture(scope="session")
def audits(evidence: Evidence) -> pl.DataFrame:
    return evidence.audits


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> paths.Project:
    """A copy of the project's data and notebooks, which commands and kernels of the test work in."""
    root = tmp_path / "project"
    shutil.copytree(ROOT / "data" / "raw", root / "data" / "raw")
    shutil.copytree(
        ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("scratch", ".ipynb_checkpoints")
    )
    (root / "docs").mkdir()
    monkeypatch.setenv(paths.VARIABLE, str(root))
    return paths.Project(root)
