"""The last look at a finished page: what must not be published is refused, with the rule that it breaks.

The page is read as a browser would read it (`finished`), whatever made it. Nothing here mends a page.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from analysis.compare.shares import CONFIDENCE
from analysis.present import plainly, wording
from analysis.publish import finished
from analysis.publish import page as pages
from analysis.publish.finished import Page, Said, attributes_of, holds_data, name_of
from analysis.publish.names import SHORTEST, Found, Names, key_of
from analysis.publish.numbers import Figures
from analysis.publish.numbers import numbers_in as numbers_in

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
    "dob",
    "family_name",
    "first_name",
    "forename",
    "home_address",
    "home_postcode",
    "last_name",
    "nhs_number",
    "officer_id",
    "officer_name",
    "school_name",
    "surname",
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
    MARKUP = "page that cannot be read as a browser reads it"
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
        years: of its audits, which stand alone where nothing nearer is known.
        confidence: level of its intervals.
        columns: names of columns that no page may have.
        values: what no page may say.
        largest: bytes that the page may have.
        is_interactive: whether it may have scripts.
        scripts: which, by hash (`page.hash_of`); none for whichever its policy names.
    """

    figures: bytes | None = None
    own: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    quoted: frozenset[str] = frozenset()
    years: frozenset[str] = frozenset()
    confidence: float = CONFIDENCE
    columns: tuple[str, ...] = IDENTIFYING
    values: tuple[str, ...] = field(default=(), repr=False)
    largest: int = LARGEST
    is_interactive: bool = False
    scripts: frozenset[str] = frozenset()


def check(page: str, subject: Subject, /) -> None:
    """Let a page pass.

    Raises:
        GateError: if it breaks any rule.
    """
    if found := problems(page, subject):
        raise GateError(found)


def problems(page: str, subject: Subject, /) -> list[Problem]:
    """Everything that is wrong with a finished page, rule by rule; an empty list lets it pass."""
    size = len(page.encode(errors="replace"))
    if size > 2 * subject.largest:
        # looking closer at what was not meant to be a page can take for ever
        return [_too_large(size, subject)]
    try:
        read = Page.read(page)
    except finished.UnreadableError as error:
        return [Problem(Rule.MARKUP, str(error))]
    found = [
        Problem(rule, sentence)
        for rule, look in _RULES.items()
        for sentence in dict.fromkeys(look(read, subject))
    ]
    if not re.match(r"<!doctype html>", page, re.IGNORECASE):
        found.append(Problem(Rule.MARKUP, "it has to begin with <!doctype html>, and nothing else."))
    if "\x00" in page:
        found.append(Problem(Rule.HIDDEN_CHARACTER, "there is a character that no text has, U+0000."))
    if size > subject.largest:
        longest = max(read.said, key=lambda one: len(one.text))
        found.append(
            _too_large(size, subject, f" The longest text is {longest.where}: {_shown(longest.text)}.")
        )
    return found


def _too_large(size: int, subject: Subject, more: str = "") -> Problem:
    told = f"it has {size} bytes, and may have {subject.largest}: show less, or draw it simpler."
    return Problem(Rule.SIZE, f"{told}{more}")


def _shown(text: str) -> str:
    words = plainly.harmless(" ".join(text.split()))
    return words if len(words) <= 80 else f"{words[:77]}..."


_OF_TEXT = (
    "html head meta title style script body header footer main nav section article aside div p h1 h2 h3 h4 h5 h6 "
    "ul ol li dl dt dd blockquote figure figcaption details summary hr br wbr a abbr b bdi cite data del dfn em i ins "
    "mark q s small span strong sub sup time u img table caption colgroup col thead tbody tfoot tr th td "
    "label input select optgroup option button fieldset legend meter progress"
)
_OF_DRAWINGS = (
    "svg g path rect circle ellipse line polyline polygon text tspan title desc defs clippath lineargradient "
    "radialgradient stop"
)
_OF_CODE = "pre code samp kbd var tt xmp listing plaintext textarea output"
_LOADS = (
    "srcset imagesrcset attributionsrc poster background ping action formaction manifest archive data classid "
    "codebase lowsrc dynsrc"
)
_CODE_ELEMENTS = frozenset(_OF_CODE.split())
# another rule is about those of code, and about what turns the direction of writing
_ELEMENTS = frozenset((*_OF_TEXT.split(), *_OF_DRAWINGS.split(), *_CODE_ELEMENTS, "bdo"))
_LOADING = frozenset(_LOADS.split())
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp)[;,]", re.IGNORECASE)
_STYLE_LOADS = re.compile(
    r"@\s*import|(?:image-set|cross-fade|\bimage|\bsrc|\bpaint)\s*\(|sourcemappingurl", re.IGNORECASE
)


def _requests(page: Page, subject: Subject) -> Iterator[str]:
    for element in page.elements:
        name = name_of(element)
        if name not in _ELEMENTS:
            yield f"<{name}> has no place on the page."
        if name == "meta" and element.get("http-equiv") is not None and not finished.is_policy(element):
            yield f"the page would tell the browser {_shown(element.get('http-equiv'))}."
        for attribute, value in attributes_of(element):
            if (
                attribute in _LOADING
                or (attribute == "src" and not (name == "img" and _PICTURE.match(value)))
                or (attribute == "href" and name != "a" and not value.startswith("#"))
            ):
                yield f"<{name}> would load {_shown(value) or 'itself'}."
            if attribute == "style" or (attribute != "href" and re.search(r"url\s*\(", value, re.IGNORECASE)):
                yield from _style_requests(value)
        if name == "style":
            if name_of(element.getparent()) != "head":
                yield "there is a style outside the head of the page."
            yield from _style_requests(element.text or "")


def _style_requests(text: str) -> Iterator[str]:
    if "\\" in text or "/*" in text:
        yield "a style hides what it says, behind a backslash or in a comment."
    if _STYLE_LOADS.search(text):
        yield "a style would load another."
    for address in re.findall(r"url\(\s*['\"]?([^'\")]*)", text, re.IGNORECASE):
        if not address.strip().lower().startswith(("#", "data:image/", "data:font/")):
            yield f"a style would load {_shown(address)}."
    if "data:image/svg" in text.lower() and (
        ";base64" in text.lower()
        or re.search(r"<[^<>]*\bhref|<(?:style|script|foreignobject)", unquote(text).lower())
    ):
        yield "a drawing in a style would load another, or hides what it says."


def _scripts(page: Page, subject: Subject) -> Iterator[str]:
    for element in page.elements:
        name = name_of(element)
        if name == "script":
            yield from _script(element, subject)
        for attribute, value in attributes_of(element):
            if attribute.startswith("on"):
                yield f"<{name}> has a handler, {attribute}."
            bare = re.sub(r"[\x00-\x20]", "", value).lower()
            if re.match(r"(?:java|vb)script:", bare) or (
                attribute == "href" and bare.startswith("data:") and not bare.startswith("data:text/csv")
            ):
                yield f"<{name}> has a script in {attribute}."


def _script(element: Any, subject: Subject) -> Iterator[str]:
    if not subject.is_interactive:
        yield "there is a script, and the page has to be whole without."
    elif not (holds_data(element) or element.get("type") is None):
        yield f"there is a script of the type {_shown(element.get('type'))}."
    elif (
        subject.scripts
        and not holds_data(element)
        and pages.hash_of(element.text or "") not in subject.scripts
    ):
        yield "there is a script that is none of the project's."


# What may stand in a policy, by directive. A script is let in by the hash of its text and in no other way.
_POLICY = {
    "default-src": {"'none'"},
    "style-src": {"'unsafe-inline'", "'none'"},
    "img-src": {"data:", "'none'"},
    "base-uri": {"'none'"},
    "form-action": {"'none'"},
}
_REQUIRED = ("default-src", "base-uri", "form-action")


def _policy(page: Page, subject: Subject) -> Iterator[str]:
    given = [element for element in page.elements if finished.is_policy(element)]
    if len(given) != 1 or given[0] not in page.root.xpath("/html/head/meta"):
        yield "the page has to have exactly one content security policy, in its head."
        return
    before = [name_of(one) for one in given[0].itersiblings(preceding=True) if isinstance(one.tag, str)]
    if set(before) - {"meta"}:
        yield "the content security policy has to come before styles and scripts."
    directives: dict[str, set[str]] = {}
    for directive in given[0].get("content", "").split(";"):
        if not directive.split():
            continue
        name, *sources = directive.split()
        name = name.lower()
        if name in directives:
            # a browser goes by the first
            yield f"{_shown(name)} is there twice."
        directives[name] = set(sources)
    for name in _REQUIRED:
        if directives.get(name) != {"'none'"}:
            yield f"{name} has to be 'none'."
    scripts = {_hash(script.text or "") for script in page.root.xpath("//script") if not holds_data(script)}
    for name, sources in directives.items():
        allowed = scripts if name == "script-src" else _POLICY.get(name, set())
        if extra := sources - allowed:
            yield f"{name} lets in {_shown(' '.join(sorted(extra)))}."


def _hash(text: str) -> str:
    return f"'{pages.hash_of(text)}'"


# words that say that there is something, and not what
_SAYING_NOTHING = (
    "a above alt alternative an and are area bar been below by caption cell chart charts data describe described "
    "description diagram document dolor empty fig figure figures file for gif graph graphic has here icon image images "
    "img in insert ipsum is it jpeg jpg line logo lorem media na nan no none notebook null of on output photo pic "
    "picture pictures pie placeholder plot png preview provided report screenshot see show showing shown shows svg "
    "table tbc tbd text the these this tiff tif title to todo undefined untitled webp xxx"
)
_EMPTY_WORDS = frozenset(_SAYING_NOTHING.split())


def _telling_words(text: str) -> list[str]:
    """The words of a description that say something."""
    return [
        word
        for word in re.findall(r"[^\W\d_]{2,}", plainly.legible(text).lower())
        if word not in _EMPTY_WORDS
    ]


def _is_unseen(element: Any) -> bool:
    """Whether some or all readers do not meet an element."""
    return any(
        one.get("hidden") is not None
        or one.get("aria-hidden", "").lower() == "true"
        or re.search(r"display\s*:\s*none|visibility\s*:\s*hidden", one.get("style", ""), re.IGNORECASE)
        for one in (element, *element.iterancestors())
    )


_IMAGES = (
    "//body//*[self::img or self::svg or self::area or self::input[@type='image'] "
    "or @role='img' or @role='image' or starts-with(@role, 'graphics-')]"
)
_CHARTS = "//figure[contains(concat(' ', @class, ' '), ' chart ')]"


def _descriptions(page: Page, subject: Subject) -> Iterator[str]:
    charts = page.root.xpath(f"{_CHARTS}//svg | //svg[contains(concat(' ', @class, ' '), ' marks ')]")
    for element in page.root.xpath(_IMAGES):
        if element.xpath("ancestor::*[@role='img' or self::svg]"):
            continue
        name = name_of(element)
        if name == "svg" and element not in charts and _is_unseen(element):
            if _telling_words(" ".join(element.xpath(".//text//text()"))):
                yield "a drawing has words, and is hidden from who cannot see it."
            continue
        if name == "svg" and element.get("role") != "img":
            yield "a drawing is not marked as an image (role img)."
        what = f"the image {element.get('id') or _shown(element.get('src', ''))}".strip()
        for words in _described(page.root, element):
            if not words:
                yield f"{what} has no description."
            elif len(_telling_words(words)) < 2:
                yield f'{what} is described as "{_shown(words)}", which says nothing.'
    for drawing in charts:
        title, description = (
            _telling_words(" ".join(drawing.xpath(f"./{tag}//text()"))) for tag in ("title", "desc")
        )
        if _is_unseen(drawing):
            yield "a chart is hidden from who cannot see it."
        if not title or len(description) < 2 or title == description:
            yield "a chart needs a title, and a description that says more than the title."


def _described(root: Any, element: Any) -> list[str]:
    if name_of(element) in ("img", "area", "input"):
        return [plainly.legible(element.get("alt", ""))]
    if element.get("aria-labelledby"):
        named = [root.xpath("//*[@id=$name]", name=name) for name in element.get("aria-labelledby").split()]
        return [plainly.legible(" ".join(one[0].text_content() for one in named if one))]
    return [plainly.legible(element.get("aria-label", ""))]


def _chart_tables(page: Page, subject: Subject) -> Iterator[str]:
    for figure in page.root.xpath(_CHARTS):
        if not figure.xpath(".//details//table//td"):
            yield f"the chart {figure.get('id', '')} has no table of its figures next to it."
    for drawing in page.root.xpath("//svg[contains(concat(' ', @class, ' '), ' marks ')]"):
        if not drawing.xpath("ancestor::figure[contains(concat(' ', @class, ' '), ' chart ')]"):
            yield "a chart is in no figure that has a table of its figures."


def _duplicate_ids(page: Page, subject: Subject) -> Iterator[str]:
    for name, times in Counter(page.root.xpath("//@id")).items():
        if times > 1:
            yield f'{times} elements have the id "{_shown(name)}".'
        if not name or re.search(r"\s", name):
            yield f'the id "{_shown(name)}" is empty or has a blank.'


_REFERENCES = (
    "aria-activedescendant",
    "aria-controls",
    "aria-describedby",
    "aria-details",
    "aria-errormessage",
    "aria-flowto",
    "aria-labelledby",
    "aria-owns",
    "for",
    "headers",
    "list",
)


def _links(page: Page, subject: Subject) -> Iterator[str]:
    known = {*page.root.xpath("//@id"), "top"}
    for element in page.elements:
        for attribute, value in attributes_of(element):
            named = value.split() if attribute in _REFERENCES else []
            if attribute != "href":
                named += re.findall(r"url\(\s*['\"]?#([^'\")]*)", value)
            for name in named:
                if name not in known:
                    yield f'{attribute} names "{_shown(name)}", which is not there.'
            if attribute == "href" and value.startswith("#") and unquote(value[1:]) not in known:
                yield f'a link leads to "{_shown(value)}", which is not there.'
            if attribute == "href" and not value.strip():
                yield "a link leads nowhere."


_SCOPES = {
    "thead": ("col", "colgroup"),
    "tbody": ("row", "rowgroup", "colgroup"),
    "tfoot": ("row", "rowgroup"),
}


def _tables(page: Page, subject: Subject) -> Iterator[str]:
    for element in page.elements:
        if element.get("role") in ("table", "grid", "treegrid") and name_of(element) != "table":
            yield f"<{name_of(element)}> only looks like a table."
    for number, table in enumerate(page.root.xpath("//table"), start=1):
        what = f"table {number}"
        captions = table.xpath("./caption")
        if not captions or not _telling_words(captions[0].text_content()) or _is_unseen(captions[0]):
            yield f"{what} has no caption."
        headers = table.xpath(".//th")
        scopes = [cell.get("scope", "").lower() for cell in headers]
        if not set(scopes) & {"col", "colgroup"}:
            yield f"{what} has no header cells of columns."
        for cell, scope in zip(headers, scopes, strict=True):
            part = next((name_of(one) for one in cell.iterancestors() if name_of(one) in _SCOPES), "")
            if scope not in ("col", "row", "colgroup", "rowgroup"):
                yield f'{what}: the header cell "{_shown(cell.text_content())}" has no scope.'
            elif part and scope not in _SCOPES[part]:
                yield f'{what}: the header cell "{_shown(cell.text_content())}" has the scope of another place.'
            if not plainly.legible(cell.text_content()):
                yield f"{what} has an empty header cell."


_HEADINGS = "//body//*[self::h1 or self::h2 or self::h3 or self::h4 or self::h5 or self::h6]"


def _headings(page: Page, subject: Subject) -> Iterator[str]:
    last = 0
    for heading in page.root.xpath(_HEADINGS):
        level, words = int(heading.tag[1]), plainly.legible(heading.text_content())
        if not words:
            yield f"a heading of level {level} is empty."
        if level > last + 1:
            yield f'"{_shown(words)}" is of level {level} and follows level {last}.'
        if heading.get("role") is not None or _is_unseen(heading):
            yield f'"{_shown(words)}" is no heading for everybody.'
        last = level
    if len(page.root.xpath("//body//h1")) != 1:
        yield "the page has to have exactly one heading of the first level."
    if page.root.xpath("//*[@role='heading' or @aria-level]"):
        yield "something is made a heading by its role or level: use an element of headings."


def _language(page: Page, subject: Subject) -> Iterator[str]:
    if page.root.get("lang", "").lower() not in ("en", "en-gb"):
        yield "the page does not say that it is in English."
    for language in page.root.xpath("//*/*/@lang"):
        # what a source in Wales says may be in Welsh
        if language.lower() not in ("en", "en-gb", "cy"):
            yield f'something is said to be in the language "{_shown(language)}".'


def _title(page: Page, subject: Subject) -> Iterator[str]:
    titles = page.root.xpath("/html/head/title")
    words = titles[0].text_content().split() if len(titles) == 1 else []
    if len(words) < 2 or not _telling_words(" ".join(words)):
        yield "the page has no title, or one that says nothing."


_CODE_CLASS = re.compile(
    r"(?:^|\s)(?:jp-|highlight|hl-|input_?area|input_prompt|output_|prompt|codemirror|cm-|language-|code_?cell"
    r"|codehilite|sourcecode|nbinput|nboutput)",
    re.IGNORECASE,
)
_CODE_TEXT = re.compile(
    r"\bIn ?\[[\d *]*\] ?:|\bOut\[\d+\] ?:|Traceback \(most recent call last\)|<[\w.]+ object(?: at 0x[0-9a-f]+)?>"
    r"|\bshape: \(|\"(?:cell_type|execution_count|kernelspec)\"|application/vnd\."
    r"|\bimport [\w.]+ as \w+|\bdef \w+\([^()]*\) ?[-:]"
)
_CODE_BEGINS = re.compile(
    r"\[[\d *]+\] ?:|>>> |(?:\w+\.)*[A-Z]\w+(?:Error|Exception|Warning): |import [\w.]+$|from [\w.]+ import \w"
    r"|\w+ = \w+(?:\.\w+)*\(|%%?(?:autoreload|bash|capture|config|env|load_ext|matplotlib|pip|run|sql|time|timeit)\b"
    r"|!\s?(?:pip|python|ls|cd)\b"
)


def _code(page: Page, subject: Subject) -> Iterator[str]:
    for element in page.elements:
        if name_of(element) in _CODE_ELEMENTS or _CODE_CLASS.search(element.get("class", "").strip()):
            yield f"<{name_of(element)}> shows code: {_shown(element.text_content())}."
    for one in page.said:
        if found := _CODE_BEGINS.match(one.plain) or _CODE_TEXT.search(one.plain):
            yield f"{one.where} shows code: {_shown(found.group())}."
    for remark in page.remarks:
        yield f"there is a comment: {_shown(remark)}."


_FOLDERS = "tmp|home|root|users|var|mnt|opt|usr|etc|srv|private|volumes|work|data"
_OURS = "data|src|notebooks|tests|benchmarks|site-packages"
_PATH = re.compile(
    r"\bfile:(?=\S)|\b(?!https?:)[a-z][a-z0-9+.-]{1,20}://|\blocalhost\b|\b127\.0\.0\.1\b"
    r"|(?<![\w:/.])~\w*[/\\]\w|\$\w+[/\\]\w|%\w+%[/\\]"
    r"|(?<![a-z0-9])[a-z][:|][\\/](?!/)|\\\\(?=\S)|[\w-]\\[\w .-]+(?:\\|\.\w)"
    r"|(?<![\w:/])//\w[\w.-]*/\w"
    rf"|(?<![\w/])/(?:{_FOLDERS})/"
    rf"|(?<![\w/>])/(?:{_FOLDERS})\b"
    r"|(?<![\w:/.>)])/(?:[\w.@+-]+/)+[\w.@+-]*"
    rf"|(?<![\w/-])(?:{_OURS})[/\\][\w.-]+[/\\.]\w"
    # drafts are two folders below the pages about all reports
    r"|(?<![\w./\\])(?:\.\.[/\\]){2,9}(?![\w-]+\.html\b)\w"
)
_MAY_BE_PATH = re.compile(r"[/\\~:|]|localhost|127\.0")
_IN_TEXT = re.compile(
    r"(?<![\w.])\.\.?[/\\]\w|(?<![\w/.>)])/[\w-]+\.(?:csv|parquet|py|ipynb|xlsx|json|html)\b"
)
_IN_LINK = re.compile(r"(?!https?:|mailto:|data:|(?:java|vb)script:)[a-z][a-z0-9+.-]*:|[/\\]")


def _paths(page: Page, subject: Subject) -> Iterator[str]:
    for one in page.said:
        if one.leads_outside:
            continue
        text = one.decoded.lower()
        # most texts have nothing of a path
        if not _MAY_BE_PATH.search(text):
            continue
        further = _IN_LINK.match(text) if one.where == finished.A_LINK else _IN_TEXT.search(text)
        if found := _PATH.search(text) or further:
            yield f"{one.where} names a place on a machine: {_shown(one.decoded[found.start() : found.start() + 60])}."


# names of forces that are words of everyday language when written small
_ORDINARY = ("metropolitan", "the met")
_IN_TABLES = ("a table cell", "a header cell", "a caption", finished.A_HEADING)


def _other_forces(page: Page, subject: Subject) -> Iterator[str]:
    if not subject.others:
        return
    names = _names((*subject.own, *subject.others))
    own = {key_of(name) for name in subject.own}
    for one in page.said:
        if one.leads_outside:
            continue
        # the name of a newspaper may have that of a county in it; a code is in no name
        is_title = one.is_quoted and one.is_heard and one.where not in _IN_TABLES
        for found in names.found(one.searched, is_prose=one.is_heard):
            if key_of(found.name) not in own and not (is_title and not re.search(r"\d", found.name)):
                yield f'{one.where} names "{_shown(found.written)}", which is another force.'


@lru_cache(maxsize=128)
def _names(names: tuple[str, ...]) -> Names:
    return Names(names, ordinary=_ORDINARY)


def _restricted(page: Page, subject: Subject) -> Iterator[str]:
    columns, values = _columns(subject.columns), _values(subject.values)
    for one in page.said:
        for found in columns.found(one.searched, is_prose=False):
            if _is_column(one, found):
                yield f'{one.where} has the restricted column "{found.name}".'
        # in styles, too, "white" is no surname
        if any(values.found(one.searched)):
            # the value itself is not for a message that ends up in a record
            yield f"{one.where} says what a restricted column holds."


@lru_cache(maxsize=8)
def _columns(columns: tuple[str, ...]) -> Names:
    return Names(form for name in columns for form in _forms_of_column(name))


@lru_cache(maxsize=8)
def _values(values: tuple[str, ...]) -> Names:
    return Names(form for value in values for form in _forms_of_value(value))


def _forms_of_column(name: str) -> tuple[str, ...]:
    first, _, last = name.partition("_")
    if not last:
        return (name,)
    return (name, f"{name}s", f"{last} of {first}")


def _forms_of_value(value: str) -> tuple[str, ...]:
    if len(key_of(value)) < SHORTEST:
        return ()
    words = value.split()
    if len(words) == 2:
        # as lists of names have it, with a comma between
        return (value, f"{words[1]} {words[0]}")
    if re.fullmatch(r"(?:19|20)\d\d-\d\d-\d\d", value):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            return (value,)
        return (value, wording.day(day), f"{day:%d/%m/%Y}")
    return (value,)


def _is_column(one: Said, found: Found) -> bool:
    """Whether a text names a column, and does not only have its words."""
    if one.leads_outside:
        return False
    has_parts = re.search(r"[_ ]", found.name) is not None
    if not one.is_heard and one.where != finished.A_COLUMN:
        return has_parts
    if re.match(rf"\s*{re.escape(found.written)}\s*(?::|\.?$)", one.decoded):
        return True
    is_header, is_short = one.where in finished.HEADERS, len(one.decoded.split()) <= 4
    if not has_parts:
        return is_header and is_short
    return is_header or is_short or not re.search(r"[\s-]", found.written)


def _foreign_numbers(page: Page, subject: Subject) -> Iterator[str]:
    if subject.figures is None:
        return
    figures = Figures.read(subject.figures, confidence=subject.confidence)
    for one in page.own_words():
        for number in figures.foreign(one.text):
            if number.digits in subject.years and not (number.sign or number.unit):
                continue
            yield f'{one.where} says "{_shown(number.shown)}", which is not in figures.csv.'
    for one in page.quotations():
        for digits in sorted(numbers_in(one.text) - subject.quoted):
            yield f'what sources say has "{_shown(digits)}", which no source says.'
    for one in page.said:
        if one.where == finished.A_STYLE and re.search(
            r"counter-(?:reset|set|increment)", one.text, re.IGNORECASE
        ):
            yield "a style counts, and what it counts is not in figures.csv."


_TURNING = re.compile(r"unicode-bidi|(?<![\w-])direction\s*:\s*rtl|writing-mode", re.IGNORECASE)


def _hidden_characters(page: Page, subject: Subject) -> Iterator[str]:
    for one in page.said:
        if plainly.harmless(one.text) != one.text:
            yield f"{one.where} has characters that cannot be seen and change what can be: {_shown(one.text)}."
        if one.where == finished.A_STYLE and _TURNING.search(one.text):
            yield "a style turns the direction of writing."
    for element in page.root.xpath("//bdo | //*[@dir]"):
        if name_of(element) == "bdo" or element.get("dir", "").lower() not in ("ltr", "auto"):
            yield f"<{name_of(element)}> turns the direction of writing."


def _markup(page: Page, subject: Subject) -> Iterator[str]:
    for element in page.root.xpath("//svg//title | //svg//style"):
        # in a drawing, a browser takes for elements what is only text elsewhere
        if re.search(r"<[a-zA-Z!/?]", element.text or ""):
            yield f"<{name_of(element)}> of a drawing has elements in it."


_RULES: Mapping[Rule, Callable[[Page, Subject], Iterator[str]]] = {
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
    Rule.MARKUP: _markup,
}
