"""An Atom feed of figures that moved and reports that were withdrawn, for those who follow more than one force."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from lxml import etree

from analysis.present import plainly
from analysis.publish import revisions
from analysis.publish.record import Revision, State
from analysis.publish.revisions import Withdrawn

FILE = "feed.xml"

_ATOM = "http://www.w3.org/2005/Atom"
# of entries: their ids follow from the report and the run, so that readers know what they have seen
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "casegrade:revisions")
_TITLE = "Child protection case grades: figures that changed"
_LONGEST = 500


def atom(
    moved: Sequence[Revision | Withdrawn],
    /,
    *,
    names: Mapping[str, str],
    page: str,
    since: datetime,
    drafts: Mapping[str, str] = {},
) -> str:
    """The feed as text (RFC 4287): one entry per report and version or withdrawal, newest first.

    Links are relative, so that the feed works from a share as it does from a web site.

    Args:
        moved: figures that moved and reports that were withdrawn, newest first.
        names: full name of each force by slug.
        page: file name of a report's page in its folder.
        drafts: page of the draft that waits, by slug, where one does beside a report.
        since: when there was nothing to tell yet, which is what a feed without entries is of.
    """
    # readers ask for it again and again, and want what is new
    latest = list(moved)[:_LONGEST]
    feed = etree.Element(f"{{{_ATOM}}}feed", nsmap={None: _ATOM})
    _add(feed, "id", f"urn:uuid:{_NAMESPACE}")
    _add(feed, "title", _TITLE)
    _add(feed, "updated", max((one.date for one in latest), default=since.isoformat(timespec="seconds")))
    _add(_add(feed, "author"), "name", "casegrade")
    _add(feed, "link", rel="self", href=FILE)
    _add(feed, "link", rel="alternate", href="index.html")
    for key, of_one in groupby(latest, _key):
        group = list(of_one)
        force = group[0].force
        entry = _add(feed, "entry")
        _add(entry, "id", f"urn:uuid:{uuid.uuid5(_NAMESPACE, ' '.join(key))}")
        _add(entry, "title", _entry_title(group[0], names.get(force, force)))
        _add(entry, "updated", group[0].date)
        is_draft = isinstance(group[0], Revision) and group[0].version == State.DRAFT
        href = drafts.get(force) if is_draft else None
        _add(entry, "link", rel="alternate", href=href or f"{force}/{page}")
        _add(entry, "content", "\n".join(map(revisions.sentence, group)), type="text")
    etree.indent(feed)
    return f"{etree.tostring(feed, encoding='unicode')}\n"


def _key(one: Revision | Withdrawn) -> tuple[str, str, str]:
    if isinstance(one, Withdrawn):
        return one.force, one.date, "withdrawn"
    return one.force, one.run_id, one.version


def _entry_title(one: Revision | Withdrawn, name: str) -> str:
    if isinstance(one, Withdrawn):
        return f"{name}: report withdrawn"
    draft = "Draft: " if one.version == State.DRAFT else ""
    return f"{draft}{name}: figures changed ({one.reason})"


def _add(parent: etree._Element, tag: str, text: str | None = None, **attributes: str) -> etree._Element:
    made = etree.SubElement(parent, f"{{{_ATOM}}}{tag}", **attributes)
    made.text = None if text is None else plainly.harmless(text)
    return made
