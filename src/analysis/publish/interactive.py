"""Pages whose charts answer to mouse and keyboard: still one file, offline, and whole without scripts."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from markupsafe import escape

from analysis.present import pictures
from analysis.publish import page as pages

# with Vega inside, of which a page has one
LARGEST = 1_500_000


def upgraded(page: str, specifications: Mapping[str, Mapping[str, Any]], /) -> str:
    """A finished page with the charts' specifications and the one script that brings them to life.

    The page's policy lets in that script by its hash, and nothing else.

    Args:
        page: the page, with a drawing in the figure of each chart.
        specifications: of the charts, in Vega-Lite, by the name of their figure. They hold what the
            drawing holds: published figures.
    """
    script = _script()
    holders = "".join(
        f'<script type="application/json" data-chart="{escape(name)}">{_json(specification)}</script>\n'
        for name, specification in specifications.items()
    )
    allowed = f"script-src '{pages.hash_of(script)}'; img-src data:"
    page = page.replace("img-src data:", allowed, 1)
    return page.replace("</body>", f"{holders}<script>{script}</script>\n</body>", 1)


def scripts() -> frozenset[str]:
    """The script that brings charts to life, by hash (`page.hash_of`): what `gate.Subject.scripts` takes."""
    return frozenset((pages.hash_of(_script()),))


def _json(specification: Mapping[str, Any]) -> str:
    # the chart's words stand outside, as text
    bare = {key: value for key, value in specification.items() if key not in ("title", "description")}
    return json.dumps(bare, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


@cache
def _script() -> str:
    script = pictures.script(pages.template("interactive.js"))
    return script.replace("</script", "<\\/script").strip()
