"""An Atom feed of figures that moved, for those who follow more than one force."""

import uuid
from collections.abc import Mapping, Sequence
from itertools import groupby

from lxml import etree

from analysis.present import plainly
from analysis.publish import revisions
from analysis.publish.record import State
from analysis.publish.revisions import Revision

FILE = "feed.xml"

_ATOM = "http://www.w3.org/2005/Atom"
# of entries: their ids follow from the report and the run, so that readers know what they have seen
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "casegrade:revisions")
_TITLE = "Child protection case grades: figures that changed"
_BEGINNING = "1970-01-01T00:00:00+00:00"


def atom(moved: Sequence[Revision], /, *, names: Mapping[str, str], page: str) -> str:
    """The feed as text (RFC 4287): one entry per report and version, newest first.

    Links are relative, so that the feed works from a share as it does from a web site.

    Args:
        moved: revisions, newest first.
        names: full name of each force by slug.
        page: file name of a report's page in its folder.
    """
    feed = etree.Element(f"{{{_ATOM}}}feed", nsmap={None: _ATOM})
    _add(feed, "id", f"urn:uuid:{_NAMESPACE}")
    _add(feed, "title", _TITLE)
    _add(feed, "updated", max((one.date for one in moved), default=_BEGINNING))
    _add(_add(feed, "author"), "name", "casegrade")
    _add(feed, "link", rel="alternate", href="index.html")
    for (force, run, version), of_one in groupby(moved, lambda one: (one.force, one.run_id, one.version)):
        group = list(of_one)
        entry = _add(feed, "entry")
        name = names.get(force, force)
        draft = "Draft: " if version == State.DRAFT else ""
        _add(entry, "id", f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{force} {run} {version}')}")
        _add(entry, "title", f"{draft}{name}: figures changed ({group[0].reason})")
        _add(entry, "updated", group[0].date)
        _add(entry, "link", rel="alternate", href=f"{force}/{page}")
        _add(entry, "content", "\n".join(map(revisions.sentence, group)), type="text")
    etree.indent(feed)
    return f"{etree.tostring(feed, encoding='unicode')}\n"


def _add(parent: etree._Element, tag: str, text: str | None = None, **attributes: str) -> etree._Element:
    made = etree.SubElement(parent, f"{{{_ATOM}}}{tag}", **attributes)
    made.text = None if text is None else plainly.harmless(text)
    return made
