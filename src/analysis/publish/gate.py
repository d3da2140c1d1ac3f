"""The last look at a finished page: what must not be published is refused, with the rule that it breaks.

The page is read as a browser would read it, whatever made it. Nothing here mends a page.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

from lxml import etree
from lxml import html as lxml_html

from analysis.compare import change
from analysis.compare.shares import CHANGE
from analysis.present import plainly
from analysis.publish import page as pages

# A page has to come through the mail and open on a phone.
LARGEST = 150_000
# Besides whatever columns the restricted files of a project have: what tells who a child or an officer is.
IDENTIFYING = (
    "case_id",
    "case_number",
    "case_reference",
    "child_age",
    "child_id",
    "child_name",
    "crime_number",
    "crime_reference",
    "custody_number",
    "date_of_birth",
    "family_name",
    "first_name",
    "home_address",
    "home_postcode",
    "last_name",
    "nhs_number",
    "officer_id",
    "officer_name",
    "school_name",
    "victim_name",
    "warrant_number",
)


class Rule(StrEnum):
    """What a page can be refused for."""

    REQUEST = "external request"
    SCRIPT = "script"
    POLICY = "content security policy"
    DESCRIPTION = "missing or placeholder description of an image"
    CHART_TABLE = "chart without its table"
    DUPLICATE_ID = "duplicate id"
    LINK = "link or reference to nothing"
    TABLE = "table without caption or scope"
    HEADING = "skipped heading level"
    LANGUAGE = "missing language"
    TITLE = "missing title"
    CODE = "code cell"
    PATH = "local path"
    OTHER_FORCE = "another force"
    RESTRICTED = "restricted column or value"
    NUMBER = "number that is not in figures.csv"
    HIDDEN_CHARACTER = "hidden character"
    SIZE = "size"


@dataclass(frozen=True)
class Problem:
    """One thing that a page must not have, and in one sentence what it is."""

    rule: Rule
    sentence: str


class GateError(Exception):
    """A page that must not be published. The message says what is wrong with it; `problems` has all of it."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        first = problems[0]
        more = f" There are {len(problems) - 1} further problems." if len(problems) > 1 else ""
        super().__init__(f"the page was not published ({first.rule}): {first.sentence}{more}")


@dataclass(frozen=True)
class Subject:
    """What a page is about, which it is held against.

    Attributes:
        figures: its `figures.csv`; null for a page that has none.
        own: names, slug and codes of its force; none for a page that is about several.
        others: those of all other forces.
        quoted: numbers that its sources print, as texts (`numbers_in`).
        confidence: level of its intervals.
        columns: names of columns that no page may have.
        values: what no page may say.
        largest: bytes that the page may have.
        is_interactive: whether it may have scripts.
    """

    figures: bytes | None = None
    own: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    quoted: frozenset[str] = frozenset()
    confidence: float = 0.95
    columns: tuple[str, ...] = IDENTIFYING
    values: tuple[str, ...] = field(default=(), repr=False)
    largest: int = LARGEST
    is_interactive: bool = False


def check(page: str, subject: Subject, /) -> None:
    """Let a page pass.

    Raises:
        GateError: if it breaks any rule.
    """
    if found := problems(page, subject):
        raise GateError(found)


def problems(page: str, subject: Subject, /) -> list[Problem]:
    """Everything that is wrong with a finished page, rule by rule; an empty list lets it pass."""
    read = _Page.read(page)
    found = [
        Problem(rule, sentence)
        for rule, look in _RULES.items()
        for sentence in dict.fromkeys(look(read, subject))
    ]
    if len(page.encode()) > subject.largest:
        size = f"it has {len(page.encode())} bytes, and may have {subject.largest}"
        found.append(Problem(Rule.SIZE, f"{size}: show less, or draw it simpler."))
    return found


_IN_TABLES = ("a table cell", "a header cell", "a caption")
_BLOCKS = {
    "caption": "a caption",
    "dd": "a list item",
    "desc": "a drawing",
    "div": "a paragraph",
    "dt": "a list item",
    "figcaption": "a caption",
    "h1": "a heading",
    "h2": "a heading",
    "h3": "a heading",
    "h4": "a heading",
    "h5": "a heading",
    "h6": "a heading",
    "li": "a list item",
    "option": "a list item",
    "p": "a paragraph",
    "script": "a script",
    "summary": "a summary",
    "td": "a table cell",
    "text": "a drawing",
    "th": "a header cell",
    "title": "a title",
}
# what sets how a page looks, and is full of numbers and slashes
_UNREAD = {
    "class",
    "style",
    "d",
    "points",
    "transform",
    "viewbox",
    "xmlns",
    "width",
    "height",
    "fill",
    "stroke",
    "font-size",
    "font-family",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "http-equiv",
}


@dataclass(frozen=True)
class _Said:
    """A text of the page, and where a reader, or a program that looks for words, meets it."""

    where: str
    text: str
    is_attribute: bool
    is_quoted: bool
    is_around: bool
    is_axis: bool


@dataclass(frozen=True)
class _Page:
    """A page as the rules see it, read once for all of them."""

    root: Any
    elements: tuple[Any, ...]
    said: tuple[_Said, ...]

    @classmethod
    def read(cls, text: str, /) -> "_Page":
        root = lxml_html.document_fromstring(text)
        return cls(
            root,
            tuple(element for element in root.iter() if isinstance(element.tag, str)),
            tuple(_said(root)),
        )

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text, attributes included, with where it is."""
        return ((one.where, one.text) for one in self.said)

    def own_words(self) -> Iterator[tuple[str, str]]:
        """What the page says itself, with where: not what it quotes, nor its surroundings, nor axes."""
        return (
            (one.where, one.text)
            for one in self.said
            if not (one.is_attribute or one.is_quoted or one.is_around or one.is_axis)
            and one.where != "a script"
        )

    def quotations(self) -> Iterator[str]:
        """What the page says its sources say."""
        return (one.text for one in self.said if one.is_quoted and not one.is_attribute)


def _said(
    element: Any,
    *,
    is_quoted: bool = False,
    is_around: bool = False,
    is_axis: bool = False,
    is_drawn: bool = False,
    is_inside: bool = False,
) -> Iterator[_Said]:
    name = _name(element)
    if name == "style" or (name == "script" and _runs(element)):
        # the policy lets in a script by its hash; data for one is looked at like all else
        return
    is_quoted |= element.get("data-numbers") == "sources"
    is_around |= name in ("footer", "header")
    is_axis |= "role-axis" in element.get("class", "")
    is_drawn |= name == "svg"
    rest = {"is_quoted": is_quoted, "is_around": is_around, "is_axis": is_axis}
    is_block = name in _BLOCKS
    if is_block or not is_inside:
        text = " ".join("".join(_own_text(element)).split())
        if text:
            yield _Said(_BLOCKS.get(name, "the text"), text, False, **rest)
    is_policy = name == "meta" and element.get("http-equiv") is not None
    for attribute, value in element.attrib.items():
        short = attribute.rpartition("}")[2].rpartition(":")[2].lower()
        if short not in _UNREAD and not is_policy and not value.startswith("data:"):
            where = "a link" if short == "href" else "a drawing" if is_drawn else f"the attribute {short}"
            is_word = short == "alt" or (name == "meta" and element.get("name") == "description")
            yield _Said(where, value, not is_word, **rest)
    for child in element:
        if isinstance(child.tag, str):
            yield from _said(child, is_drawn=is_drawn, is_inside=is_inside or is_block, **rest)


def _own_text(element: Any) -> Iterator[str]:
    """The text of an element with that of the inline elements in it, but not of further blocks."""
    yield element.text or ""
    for child in element:
        if isinstance(child.tag, str) and _name(child) not in _BLOCKS and _name(child) != "style":
            yield from _own_text(child)
        yield " " if isinstance(child.tag, str) and _name(child) in _BLOCKS else ""
        yield child.tail or ""


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _shown(text: str) -> str:
    words = plainly.harmless(" ".join(text.split()))
    return words if len(words) <= 80 else f"{words[:77]}..."


# What may stand in a policy, by directive. A script is let in by the hash of its text and in no other way.
_POLICY = {
    "default-src": {"'none'"},
    "style-src": {"'unsafe-inline'", "'none'"},
    "img-src": {"data:", "'none'"},
    "base-uri": {"'none'"},
    "form-action": {"'none'"},
}
_REQUIRED = ("default-src", "base-uri", "form-action")
_LOADING = ("src", "srcset", "poster", "background", "ping", "action", "formaction", "manifest", "archive")
_FORBIDDEN = ("iframe", "frame", "object", "embed", "applet", "base", "link", "audio", "video", "form")
_HREF_LOADS = ("image", "use", "feimage", "pattern", "script", "lineargradient", "radialgradient", "textpath")


def _requests(page: _Page, subject: Subject) -> Iterator[str]:
    for element in page.elements:
        name = _name(element)
        if name in _FORBIDDEN:
            yield f"<{name}> has no place on the page."
        if name == "meta" and element.get("http-equiv", "").lower() == "refresh":
            yield "the page would open another one."
        for attribute, value in element.attrib.items():
            short = attribute.rpartition("}")[2].rpartition(":")[2].lower()
            loads = short in _LOADING or (short == "href" and name in _HREF_LOADS)
            if loads and not value.strip().lower().startswith(("data:", "#")):
                yield f"<{name}> would load {_shown(value)}."
            if short == "style" or (
                name != "a" and short in ("fill", "stroke", "filter", "mask", "clip-path")
            ):
                yield from _style_requests(value)
        if name == "style":
            yield from _style_requests(element.text or "")


def _style_requests(text: str) -> Iterator[str]:
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    if re.search(r"@\s*import|image-set\(", bare, re.IGNORECASE) or "\\" in bare:
        yield "a style would load another, or hides what it says."
    for address in re.findall(r"url\(\s*['\"]?([^'\")]*)", bare, re.IGNORECASE):
        if not address.strip().lower().startswith(("#", "data:")):
            yield f"a style would load {_shown(address)}."


def _scripts(page: _Page, subject: Subject) -> Iterator[str]:
    for element in page.elements:
        name = _name(element)
        if name == "script" and not subject.is_interactive:
            yield "there is a script, and the page has to be whole without."
        for attribute, value in element.attrib.items():
            if attribute.lower().startswith("on"):
                yield f"<{name}> has a handler, {attribute}."
            if re.match(r"\s*(javascript|vbscript|data:text/html)", value, re.IGNORECASE):
                yield f"<{name}> has a script in {attribute}."


def _policy(page: _Page, subject: Subject) -> Iterator[str]:
    given = page.root.xpath(
        "/html/head/meta[translate(@http-equiv, 'CONTESURIYPLV', 'contesuriyplv')='content-security-policy']"
    )
    if len(given) != 1:
        yield "the page has to have exactly one content security policy, in its head."
        return
    before = [_name(one) for one in given[0].itersiblings(preceding=True) if isinstance(one.tag, str)]
    if set(before) - {"meta"}:
        yield "the content security policy has to come before styles and scripts."
    directives = {}
    for directive in given[0].get("content", "").split(";"):
        name, *sources = directive.split() or [""]
        directives[name.lower()] = set(sources)
    for name in _REQUIRED:
        if directives.get(name) != {"'none'"}:
            yield f"{name} has to be 'none'."
    scripts = {_hash(script.text or "") for script in page.root.xpath("//script") if _runs(script)}
    for name, sources in directives.items():
        allowed = scripts if name == "script-src" else _POLICY.get(name, set()) if name else sources
        if extra := sources - allowed:
            yield f"{name} lets in {_shown(' '.join(sorted(extra)))}."


def _runs(script: Any) -> bool:
    return script.get("type", "").lower() in ("", "module", "text/javascript", "application/javascript")


def _hash(text: str) -> str:
    return f"'{pages.hash_of(text)}'"


_PLACEHOLDER = re.compile(
    r"(?:(?:no )?(?:alt(?:ernative)?(?: text)?|images?|img|pictures?|photo|icon|graphic|chart|graph|figure|plot|"
    r"diagram|untitled|to ?do|tbc|tbd|placeholder|description|title|null|none|nan|undefined|lorem ipsum.*|"
    r"(?:no )?description has been provided for this image)[\s\d.:#_-]*|\S+\.(?:png|svg|jpe?g|gif|webp))",
    re.IGNORECASE,
)


def _descriptions(page: _Page, subject: Subject) -> Iterator[str]:
    for element in page.root.xpath("//body//*[self::img or self::svg or @role='img']"):
        if _is_hidden(element) or element.xpath("ancestor::*[@role='img' or self::svg]"):
            continue
        name = _name(element)
        if name == "svg" and element.get("role") != "img":
            yield "a drawing is not marked as an image (role img)."
        words = _described(page.root, element)
        what = f"the image {element.get('id') or _shown(element.get('src', ''))}".strip()
        if not any(words):
            yield f"{what} has no description."
        for one in words:
            if one and _PLACEHOLDER.fullmatch(one):
                yield f'{what} is described as "{one}", which says nothing.'
    for drawing in page.root.xpath(
        "//figure[contains(concat(' ', @class, ' '), ' chart ')]//svg[@role='img']"
    ):
        title, description = (
            " ".join("".join(drawing.xpath(f"./{tag}//text()")).split()) for tag in ("title", "desc")
        )
        if not title or not description or title == description:
            yield "a chart needs a title, and a description that says more than the title."


def _described(root: Any, element: Any) -> list[str]:
    if _name(element) == "img":
        return [" ".join(element.get("alt", "").split())]
    if element.get("aria-labelledby"):
        named = [root.xpath("//*[@id=$name]", name=name) for name in element.get("aria-labelledby").split()]
        return [" ".join(one[0].text_content().split()) if one else "" for one in named]
    return [" ".join(element.get("aria-label", "").split())]


def _is_hidden(element: Any) -> bool:
    return bool(element.xpath("ancestor-or-self::*[@aria-hidden='true' or @role='presentation']"))


def _chart_tables(page: _Page, subject: Subject) -> Iterator[str]:
    for figure in page.root.xpath("//figure[contains(concat(' ', @class, ' '), ' chart ')]"):
        if not figure.xpath(".//details//table"):
            yield f"the chart {figure.get('id', '')} has no table of its figures next to it."


def _duplicate_ids(page: _Page, subject: Subject) -> Iterator[str]:
    for name, times in Counter(page.root.xpath("//@id")).items():
        if times > 1:
            yield f'{times} elements have the id "{_shown(name)}".'
        if not name.strip():
            yield "an id is empty."


def _links(page: _Page, subject: Subject) -> Iterator[str]:
    known = set(page.root.xpath("//@id"))
    for element in page.elements:
        for attribute in ("aria-labelledby", "aria-describedby", "headers", "for"):
            for name in element.get(attribute, "").split():
                if name not in known:
                    yield f'{attribute} names "{_shown(name)}", which is not there.'
        href = element.get("href")
        if href is not None and href.startswith("#") and href[1:] not in known:
            yield f'a link leads to "{_shown(href)}", which is not there.'
        if _name(element) == "a" and href is not None and not href.strip():
            yield "a link leads nowhere."


def _tables(page: _Page, subject: Subject) -> Iterator[str]:
    for number, table in enumerate(page.root.xpath("//table"), start=1):
        what = f"table {number}"
        captions = table.xpath("./caption")
        if not captions or not captions[0].text_content().strip():
            yield f"{what} has no caption."
        headers = table.xpath(".//th")
        if not headers:
            yield f"{what} has no header cells."
        for cell in headers:
            if cell.get("scope") not in ("col", "row", "colgroup", "rowgroup"):
                yield f'{what}: the header cell "{_shown(cell.text_content())}" has no scope.'
            if not cell.text_content().strip():
                yield f"{what} has an empty header cell."


def _headings(page: _Page, subject: Subject) -> Iterator[str]:
    last = 0
    for heading in page.root.xpath(
        "//body//*[self::h1 or self::h2 or self::h3 or self::h4 or self::h5 or self::h6]"
    ):
        level, words = int(heading.tag[1]), " ".join(heading.text_content().split())
        if not words:
            yield f"a heading of level {level} is empty."
        if level > last + 1:
            yield f'"{_shown(words)}" is of level {level} and follows level {last}.'
        last = level
    if len(page.root.xpath("//body//h1")) != 1:
        yield "the page has to have exactly one heading of the first level."


def _language(page: _Page, subject: Subject) -> Iterator[str]:
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", page.root.get("lang", "")):
        yield "the page does not say which language it is in."


def _title(page: _Page, subject: Subject) -> Iterator[str]:
    titles = page.root.xpath("/html/head/title")
    if len(titles) != 1 or not titles[0].text_content().strip():
        yield "the page has no title."


_CODE_CLASS = re.compile(
    r"(?:^|\s)(?:jp-\S+|highlight\S*|input_?area|input_prompt|prompt|CodeMirror\S*|language-\S+)", re.I
)
_CODE_TEXT = re.compile(
    r"\b(?:In|Out) ?\[[\d *]*\]|Traceback \(most recent call last\)|\"cell_type\"|\"execution_count\"|"
    r"\"kernelspec\"|application/vnd\.|(?m:^\s*(?:import \w+|from [\w.]+ import |%\w+|!pip))"
)


def _code(page: _Page, subject: Subject) -> Iterator[str]:
    for element in page.elements:
        if _name(element) in ("pre", "code", "samp", "kbd") or _CODE_CLASS.search(element.get("class", "")):
            yield f"<{_name(element)}> shows code: {_shown(element.text_content())}."
    for where, text in page.texts():
        if found := _CODE_TEXT.search(text):
            yield f"{where} shows code: {_shown(found.group())}."
    for comment in page.root.iter(etree.Comment):
        yield f"there is a comment: {_shown(comment.text or '')}."


_PATH = re.compile(
    r"file:/|(?<![\w:/.])~/\w|(?<![A-Za-z0-9])[A-Za-z]:[\\/](?=\w)|\\\\\w[\w.-]*\\"
    r"|(?<![\w:/.>)])/(?:tmp|home|root|Users|var|mnt|opt|usr|etc|srv|private|Volumes)\b"
    r"|(?<![\w:/.>)])/(?:[\w.@+-]+/)+[\w.@+-]*"
)


def _paths(page: _Page, subject: Subject) -> Iterator[str]:
    for where, text in page.texts():
        if found := _PATH.search(text):
            yield f"{where} names a place on a machine: {_shown(text[found.start() : found.start() + 60])}."


def _other_forces(page: _Page, subject: Subject) -> Iterator[str]:
    if not subject.others:
        return
    pattern, own = _named(subject.others), _named(subject.own) if subject.own else None
    for one in page.said:
        is_source = one.where == "a link" and one.text.startswith(("https://", "http://"))
        # the name of a newspaper may have that of a county in it
        if is_source or (one.is_quoted and one.where not in _IN_TABLES):
            continue
        bare = own.sub(" ", one.text) if own else one.text
        if found := pattern.search(bare):
            yield f'{one.where} names "{found.group()}", which is another force.'


@lru_cache(maxsize=128)
def _named(names: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted({name for name in names if name}, key=lambda name: (-len(name), name))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _restricted(page: _Page, subject: Subject) -> Iterator[str]:
    values = _restricted_values(subject.values)
    names = ((f"the attribute {name}", name) for element in page.elements for name in element.attrib)
    for where, text in (*page.texts(), *names):
        low = text.lower()
        for column in subject.columns:
            spaced = column.replace("_", " ")
            is_header = where.startswith(("a header", "a drawing", "a script"))
            if ("_" in column and column in low) or (
                is_header and re.search(rf"(?<!\w){re.escape(spaced.lower())}(?!\w)", low)
            ):
                yield f'{where} has the restricted column "{column}".'
        if values is not None and values.search(text):
            # the value itself is not for a message that ends up in a record
            yield f"{where} says what a restricted column holds."


@lru_cache(maxsize=8)
def _restricted_values(values: tuple[str, ...]) -> re.Pattern[str] | None:
    told = sorted({value.strip() for value in values if len(value.strip()) > 2}, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, told))})(?!\w)", re.IGNORECASE) if told else None


_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
# dates and times are no figures; a number of cases is not taken for a year
_DATES = re.compile(
    rf"\d{{4}}-\d{{2}}(?:-\d{{2}})?(?!\d)|(?:\b\d{{1,2}} )?(?:{_MONTH}) (?:19|20)\d\d\b|\b\d{{1,2}}:\d\d(?::\d\d)?\b"
    r"|\bversion \d+(?:\.\d+)*"
    r"|\b(?:in|of|or|and|to|from|published|since|until|\() ?(?:19|20)\d\d\b(?!-\d| (?:cases|audited|of\b|points|\())"
)
_NUMBER = re.compile(
    r"(?<![\w.])([+\u2212-]?)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?\s?(%|(?:percentage )?points?\b)?(?![\w])"
)


def numbers_in(text: str, /) -> frozenset[str]:
    """The numbers of a text as they are printed, without signs and units; dates are left out."""
    return frozenset(number for number, *_ in _numbers(text))


def _numbers(text: str) -> Iterator[tuple[str, str, str, str]]:
    for found in _NUMBER.finditer(_DATES.sub(" ", text)):
        sign, whole, decimals, unit = found.groups(default="")
        yield f"{whole.replace(',', '')}{decimals}", sign, unit, found.group().strip()


def _foreign_numbers(page: _Page, subject: Subject) -> Iterator[str]:
    if subject.figures is None:
        return
    known = _known(subject.figures, subject.confidence)
    for where, text in page.own_words():
        for number, sign, unit, shown in _numbers(text):
            if not known.has(number, sign, unit):
                yield f'{where} says "{shown}", which is not in figures.csv.'
    for text in page.quotations():
        for number, _, _, shown in _numbers(text):
            if number not in subject.quoted:
                yield f'what sources say has "{shown}", which no source says.'


@dataclass(frozen=True)
class _Known:
    """The numbers that a page may say: those of its table of figures, and those of the method."""

    counts: frozenset[str]
    shares: tuple[Decimal, ...]
    changes: tuple[Decimal, ...]
    percents: frozenset[str]

    def has(self, number: str, sign: str, unit: str) -> bool:
        if unit == "%":
            return number in self.percents or self._is_rounded(number, (*self.shares, *self.changes))
        if unit or sign:
            return self._is_rounded(number, self.changes)
        return number in self.counts

    def _is_rounded(self, number: str, values: Sequence[Decimal]) -> bool:
        places = len(number.partition(".")[2])
        # the table has six decimals, so that what is rounded from more may lie a hair beyond a half
        half = Decimal("0.5").scaleb(-places) + Decimal("0.0001")
        return any(abs(abs(value) * 100 - Decimal(number)) <= half for value in values)


@lru_cache(maxsize=8)
def _known(figures: bytes, confidence: float) -> _Known:
    rows = list(csv.DictReader(io.StringIO(figures.decode())))
    ends = ("value", "lower", "upper")
    return _Known(
        counts=frozenset(
            [row[key] for row in rows for key in ("n_cases", "base") if row[key]]
            + [number for row in rows for number, _, unit, _ in _numbers(row["note"]) if not unit]
            + [str(change.FEWEST_CASES)]
        ),
        shares=tuple(Decimal(row[key]) for row in rows for key in ends if row[key]),
        changes=tuple(
            Decimal(row[key]) for row in rows if row["period"] == CHANGE for key in ends if row[key]
        ),
        percents=frozenset(
            f"{(Decimal(repr(level)) * 100).normalize():f}"
            for level in (confidence, change.POWER, change.NEUTRAL)
        ),
    )


def _hidden_characters(page: _Page, subject: Subject) -> Iterator[str]:
    for where, text in page.texts():
        if plainly.harmless(text) != text:
            yield f"{where} has characters that cannot be seen and change what can be: {_shown(text)}."


_RULES: Mapping[Rule, Callable[[_Page, Subject], Iterator[str]]] = {
    Rule.REQUEST: _requests,
    Rule.SCRIPT: _scripts,
    Rule.POLICY: _policy,
    Rule.DESCRIPTION: _descriptions,
    Rule.CHART_TABLE: _chart_tables,
    Rule.DUPLICATE_ID: _duplicate_ids,
    Rule.LINK: _links,
    Rule.TABLE: _tables,
    Rule.HEADING: _headings,
    Rule.LANGUAGE: _language,
    Rule.TITLE: _title,
    Rule.CODE: _code,
    Rule.PATH: _paths,
    Rule.OTHER_FORCE: _other_forces,
    Rule.RESTRICTED: _restricted,
    Rule.NUMBER: _foreign_numbers,
    Rule.HIDDEN_CHARACTER: _hidden_characters,
}
