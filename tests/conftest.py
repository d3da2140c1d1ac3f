import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import synthetic
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, sync_playwright

from analysis import paths
from analysis.evidence import cleaning
from analysis.evidence.cleaning import Evidence
from analysis.publish import pool
from analysis.publish.job import Job

ROOT = Path(__file__).resolve().parents[1]

# how long an example takes says more of what else the machine does than of the code
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


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
    project = synthetic.copy_of_project(tmp_path / "project")
    monkeypatch.setenv(paths.VARIABLE, str(project.root))
    return project


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("there is no browser: .ci/run has to install chromium")
        pytest.skip("no browser: install chromium")
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-gpu", "--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(quiet))
        yield browser
        browser.close()


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reports that workers were asked for. None is made, as no worker and so no kernel starts."""
    asked: list[str] = []

    def refuse(_pool: object, _function: object, job: Job) -> Future[Any]:
        asked.append(job.name)
        future: Future[Any] = Future()
        future.set_exception(OSError("a kernel was started"))
        return future

    monkeypatch.setattr(pool.WorkerPool, "submit", refuse)
    monkeypatch.setattr(pool.WorkerPool, "start", lambda _pool: None)
    return asked
