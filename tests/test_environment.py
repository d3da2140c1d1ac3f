import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
# conda-forge does not carry these; pip brings them with `-e .[dev]`
BY_PIP = {"axe-playwright-python", "cronsim", "gptables", "kubernetes-validate", "text2num", "tzdata"}


def pyproject_requirements() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return {*project["dependencies"], *(one for extra in extras for one in extra)}


def name(requirement: str) -> str:
    return re.split(r"[<>=!~ \[]", requirement)[0].lower().replace("_", "-")


def test_conda_and_pip_users_get_the_same_requirements() -> None:
    declared = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    # conda-forge writes some names with an underscore
    conda = {one.replace("_", "-") for one in declared if isinstance(one, str)} - {"make", "pip"}
    python = next(one for one in conda if one.startswith("python>"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert python == f"python{project['requires-python']}"
    assert conda - {python} == {one for one in pyproject_requirements() if name(one) not in BY_PIP}
    assert declared[-1] == {"pip": ["-e .[dev]"]}


def test_the_lock_pins_every_requirement_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"(?m)^([a-z0-9.\-]+)(?:\[[^]]*\])?==(\S+)", lock))
    blocks = re.split(r"(?m)^(?=[a-z0-9])", lock)[1:]

    assert {name(one) for one in pyproject_requirements()} <= set(pinned)
    assert all("--hash=sha256:" in block for block in blocks)


def tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail("the tests need a git checkout: they look at what is tracked")
    return [ROOT / one for one in done.stdout.split("\0") if one and (ROOT / one).is_file()]


def test_no_file_names_a_package_index() -> None:
    # put together here, so that this file does not name them itself
    words = [
        "index" + "-url",
        "find" + "-links",
        "pypi." + "org",
        "pythonhosted." + "org",
        "anaconda." + "org",
    ]
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found = [word for word in words if word in text]
        assert not found, f"{path.relative_to(ROOT)} names {found}"


def test_no_lock_of_a_tool_that_names_hosts_is_tracked() -> None:
    assert not {path.name for path in tracked()} & {"uv.lock", "poetry.lock", "package-lock.json"}


def test_nothing_generated_is_tracked_and_no_file_is_large() -> None:
    for path in tracked():
        inside = path.relative_to(ROOT).as_posix()
        assert not inside.startswith(("reports/", "data/processed/", "data/restricted/", "screenshots/"))
        assert path.stat().st_size < 1_000_000, inside
