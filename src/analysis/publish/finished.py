"""How a finished page is read: as a browser reads it, every text on it, and where somebody meets it.

What somebody meets is not only what stands between tags: also attributes that are read out, words that
a style adds, comments, and data for a script.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from lxml import etree
from lxml import html as lxml_html

from analysis.present import plainly
from analysis.publish.names import Text

A_COLUMN, A_HEADING, A_LINK, A_STYLE = "a column of data", "a heading", "a link", "a style"
# where names of columns stand
HEADERS = ("a header cell", "a caption", "a term", "a drawing", A_COLUMN)
_PLACES = {
    "caption": "a caption",
    "dd": "a list item",
    "desc": "a drawing",
    "div": "a paragraph",
    "dt": "a term",
    "figcaption": "a caption",
    "h1": A_HEADING,
    "h2": A_HEADING,
    "h3": A_HEADING,
    "h4": A_HEADING,
    "h5": A_HEADING,
    "h6": A_HEADING,
    "li": "a list item",
    "option": "a list item",
    "p": "a paragraph",
    "summary": "a summary",
    "td": "a table cell",
    "text": "a drawing",
    "th": "a header cell",
    "title": "a title",
}
_WITHIN_WORDS = "a abbr b bdi bdo cite data del dfn em i ins mark q s small span strong sub sup time u wbr"
# what stands next to these is seen as one word with them; next to anything else it is not
_INLINE = frozenset(_WITHIN_WORDS.split())
# parts of one text that are seen apart
_LINES = frozenset(("br", "tspan"))
_READ_OUT = (
    "alt aria-description aria-label aria-placeholder aria-roledescription aria-valuetext label placeholder "
    "summary title"
)
_HEARD = frozenset(_READ_OUT.split())
# elements that show a number which is an attribute
_SHOWS = {
    "data": "value",
    "input": "value",
    "li": "value",
    "meter": "value",
    "ol": "start",
    "progress": "value",
}


class UnreadableError(Exception):
    """A page that a browser would not read as it is read here. The message says why."""


@dataclass(frozen=True)
class Said:
    """A text of the page.

    Attributes:
        where: where somebody meets it, for a message.
        text: the text as it stands.
        is_heard: whether a reader sees or hears it; else it is for programs, or for who looks at the source.
        is_quoted: whether the page says that its sources say it.
        is_aside: whether it is in the header or footer of the page, or on an axis.
    """

    where: str
    text: str
    is_heard: bool = False
    is_quoted: bool = False
    is_aside: bool = False

    @cached_property
    def plain(self) -> str:
        """The text as a reader takes it: see `plainly.legible`."""
        return plainly.legible(self.text)

    @cached_property
    def decoded(self) -> str:
        """`plain`, with what addresses spell in numbers spelled out."""
        return plainly.legible(unquote(self.text)) if "%" in self.text else self.plain

    @cached_property
    def searched(self) -> Text:
        """`decoded`, to look for names in."""
        return Text(self.decoded)

    @property
    def leads_outside(self) -> bool:
        """Whether it is the address of a page of somebody else's."""
        return self.where == A_LINK and bool(re.match(r"(?i)https?://(?!localhost|127\.)", self.text))


@dataclass(frozen=True)
class Page:
    """A finished page, read once for all who look at it.

    Attributes:
        root: its `html` element.
        elements: all elements, in order.
        said: all texts.
        remarks: comments and instructions to programs, which no page needs.
    """

    root: Any
    elements: tuple[Any, ...]
    said: tuple[Said, ...]
    remarks: tuple[str, ...]

    @classmethod
    def read(cls, document: str, /) -> "Page":
        """Read a page.

        Raises:
            UnreadableError: if it cannot be read whole.
        """
        root = parsed(document)
        remarks = tuple(
            one.text or ""
            for place in (root.itersiblings(preceding=True), root.itersiblings(), root.iter())
            for one in place
            if not isinstance(one.tag, str)
        )
        elements = tuple(root.iter(etree.Element))
        said = [*_said(root), *(Said("a comment", remark) for remark in remarks)]
        names = dict.fromkeys(name for element in elements for name in element.attrib)
        said += [Said("the name of an attribute", name) for name in names]
        return cls(root, elements, tuple(dict.fromkeys(said)), remarks)

    def own_words(self) -> Iterator[Said]:
        """What the page says itself: not what it quotes, nor its surroundings, nor axes."""
        return (one for one in self.said if one.is_heard and not (one.is_quoted or one.is_aside))

    def quotations(self) -> Iterator[Said]:
        """What the page says its sources say."""
        return (one for one in self.said if one.is_heard and one.is_quoted)


def parsed(document: str, /) -> Any:
    """The `html` element of a page.

    Raises:
        UnreadableError: if there is nothing in it, or parts of it cannot be read, as when its elements are nested
            too deep. A browser would show them.
    """
    # of its own, so that its log is about this page alone
    parser = lxml_html.HTMLParser(encoding="utf-8")
    try:
        root = lxml_html.document_fromstring(document.encode(), parser=parser)
    except UnicodeEncodeError as error:
        raise UnreadableError("it has characters that no file can hold.") from error
    except etree.ParserError as error:
        raise UnreadableError("it is empty.") from error
    if fatal := [one.message for one in parser.error_log if one.level == etree.ErrorLevels.FATAL]:
        raise UnreadableError(f"it cannot be read to its end ({fatal[0].strip()}).")
    return root


def name_of(element: Any, /) -> str:
    """The name of an element, without its namespace."""
    return str(element.tag).rpartition("}")[2].lower()


def attributes_of(element: Any, /) -> Iterator[tuple[str, str]]:
    """Names, without namespace, and values of the attributes of an element."""
    for name, value in element.attrib.items():
        yield name.rpartition("}")[2].rpartition(":")[2].lower(), value


def is_policy(element: Any, /) -> bool:
    """Whether an element is a content security policy."""
    said = str(element.get("http-equiv", "")).lower()
    return name_of(element) == "meta" and said == "content-security-policy"


def holds_data(script: Any, /) -> bool:
    """Whether a script element holds data, which no browser runs."""
    return str(script.get("type", "")).lower() == "application/json"


def _said(
    element: Any,
    *,
    is_quoted: bool = False,
    is_aside: bool = False,
    is_drawn: bool = False,
) -> Iterator[Said]:
    name = name_of(element)
    parent = element.getparent()
    is_quoted |= element.get("data-numbers") == "sources"
    is_aside |= name in ("footer", "header") and name_of(parent) == "body"
    is_aside |= is_drawn and "role-axis" in element.get("class", "").split()
    is_drawn |= name == "svg"
    yield from _attributes(element, is_quoted=is_quoted, is_aside=is_aside, is_drawn=is_drawn)
    if name in ("script", "style"):
        # the policy lets in a script by its hash; data for one is looked at like all else
        if name == "style":
            yield from _styled(element.text or "")
        elif holds_data(element):
            yield from _data(element.text or "")
        return
    if name not in _INLINE and name not in _LINES:
        # other characters that separate words stay: some are hidden ones
        text = re.sub(r"[ \t\n\r\f]+", " ", "".join(_own_text(element))).strip(" ")
        if text:
            yield Said(_PLACES.get(name, "the text"), text, True, is_quoted, is_aside)
    for child in element.iterchildren(etree.Element):
        yield from _said(child, is_quoted=is_quoted, is_aside=is_aside, is_drawn=is_drawn)


def _own_text(element: Any) -> Iterator[str]:
    """The text of an element with that of the inline elements and lines in it, but not of anything else."""
    yield element.text or ""
    for child in element:
        name = name_of(child) if isinstance(child.tag, str) else ""
        if name in _INLINE or name in _LINES:
            yield from _own_text(child)
        # a comment separates nothing
        if name and name not in _INLINE:
            yield " "
        yield child.tail or ""


def _attributes(element: Any, *, is_quoted: bool, is_aside: bool, is_drawn: bool) -> Iterator[Said]:
    if is_policy(element):
        return
    name = name_of(element)
    about = (element.get("name") or element.get("property") or "").lower()
    for attribute, value in attributes_of(element):
        if attribute == "style":
            yield from _styled(value)
            continue
        if attribute in ("href", "src") and value.startswith("data:"):
            continue
        is_heard = (
            attribute in _HEARD
            or _SHOWS.get(name) == attribute
            or (name == "meta" and attribute == "content" and about.endswith(("description", "title")))
        )
        where = A_LINK if attribute == "href" else "a drawing" if is_drawn else f"the attribute {attribute}"
        yield Said(where, value, is_heard, is_quoted, is_aside)


def _styled(text: str) -> Iterator[Said]:
    yield Said(A_STYLE, text)
    for shown in re.findall(r"content\s*:([^;}]*)", text, re.IGNORECASE):
        for quoted in re.findall(r"\"([^\"]*)\"|'([^']*)'", shown):
            yield Said(A_STYLE, "".join(quoted), is_heard=True)


def _data(text: str) -> Iterator[Said]:
    try:
        held = json.loads(text)
    except ValueError:
        yield Said("data for a script", text)
        return
    yield from _held(held, is_table=False)


def _held(value: Any, *, is_table: bool) -> Iterator[Said]:
    """The words in data for a script. Keys are names of columns in rows of a table, and else of no concern."""
    if isinstance(value, str):
        yield Said("data for a script", value)
    elif isinstance(value, list):
        for one in value:
            yield from _held(one, is_table=is_table)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield Said(A_COLUMN if is_table else "data for a script", key)
            yield from _held(one, is_table=is_table or key in ("values", "datasets"))
