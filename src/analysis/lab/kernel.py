"""What a kernel of `casegrade lab` does more than any other: it reads edited code again, and charts answer.

An IPython extension, which only kernels that this JupyterLab starts are given. A notebook that is run
by anything else, from a cell or a terminal of it too, shows and stores what it always does.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.formatters import DisplayFormatter

from analysis.present import pictures

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

# what src/analysis/lab/front draws
LIVE = "application/vnd.casegrade.chart+json"
# of what one result may add to a stored notebook, in letters
LARGEST = 300_000


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Have code that was edited read again before each cell, and charts shown alive."""
    shell.run_line_magic("load_ext", "autoreload")
    shell.run_line_magic("autoreload", "2")
    shell.display_formatter = AliveFormatter(parent=shell)
    bundles = shell.display_formatter.mimebundle_formatter
    # by name: nothing is imported for it
    bundles.for_type_by_name("altair.vegalite.v6.api", "TopLevelMixin", shown)


class AliveFormatter(DisplayFormatter):
    """What anything shows, and beside it what a script makes answer to mouse and keyboard, if it has charts.

    Whatever reads the notebook later and does not know the second has the first.
    """

    def format(
        self, obj: Any, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The bundle of an object by media type, and its metadata."""
        with pictures.noting() as noted:
            bundle, metadata = super().format(obj, include, exclude)  # type: ignore[no-untyped-call]
        if noted and "text/html" in bundle:
            bundle |= _live(*(_chart(one.specification, one.name, _title(one)) for one in noted))
        return bundle, metadata


def shown(chart: Any, /) -> dict[str, Any]:
    """A chart of Altair's: as it is shared if it has the words for it, otherwise its drawing."""
    specification = chart.to_dict()
    title = specification.get("title")
    if isinstance(title, Mapping) and "subtitle" in title and "description" in specification:
        digest = hashlib.sha256(json.dumps(specification, sort_keys=True).encode()).hexdigest()
        picture = pictures.Picture(specification, f"chart-{digest[:12]}")
        return {"text/plain": repr(picture), "text/html": picture.html}
    import vl_convert

    told = str(specification.get("description", "A chart without a description."))
    drawing = vl_convert.vegalite_to_svg(specification)
    return {"text/plain": told, "image/svg+xml": drawing} | _live(_chart(specification, "", told, whole=True))


def _title(picture: pictures.Picture) -> str:
    return f"{picture.title}. {picture.subtitle}"


def _chart(
    specification: Mapping[str, Any], name: str, label: str, *, whole: bool = False
) -> dict[str, object]:
    words = () if whole else ("title", "description")
    bare = {key: value for key, value in specification.items() if key not in words}
    return {"name": name, "label": label, "specification": bare}


def _live(*charts: dict[str, object]) -> dict[str, Any]:
    given = {"charts": list(charts)}
    return {LIVE: given} if len(json.dumps(given)) <= LARGEST else {}
