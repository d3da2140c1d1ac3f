"""What git does with notebooks in this checkout: shows what changed in cells, and keeps no results of scratch.

Both are settings of this one checkout, in its `.git/config`. Nothing is set for the user's other work.
"""

import shlex
import subprocess
import sys
from importlib import util

from analysis import paths

# name of a setting, and the module and words that it runs
_SETTINGS = {
    "filter.nbstripout.clean": ("nbstripout", ()),
    "diff.jupyternotebook.command": ("nbdime.vcs.git.diffdriver", ("diff",)),
}


def prepare(project: paths.Project, /) -> list[str]:
    """Set what is not yet set of this checkout's notebook settings, and return the names of what was set.

    `.gitattributes` says for which files they hold. Empty if this is no checkout, or if the extra
    `lab` is not installed. A setting that somebody made is left as it is.
    """
    if not (project.root / ".git").exists():
        return []
    made = []
    for name, (module, words) in _SETTINGS.items():
        if util.find_spec(module.split(".")[0]) is None or _git(project, "--get", name).stdout:
            continue
        command = shlex.join([sys.executable, "-m", module, *words])
        if _git(project, "--local", name, command).returncode == 0:
            made.append(name)
    return made


def _git(project: paths.Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(project.root), "config", *words], capture_output=True, text=True, check=False
    )
