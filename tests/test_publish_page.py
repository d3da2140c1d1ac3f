import csv
import getpass
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any

import nbformat
import pytest
import synthetic
from lxml import html
from nbformat import v4

from analysis import paths, vocabulary
from analysis.compare import change
from analysis.compare.change import Comparison
from analysis.evidence.cleaning import Evidence
from analysis.present import wording
from analysis.publish import batch, page, record, shelf
from analysis.publish.page import PageError, PageText
from analysis.publish.record import Outcome

# one kernel run per page, shared by every test here: keep them on one worker
pytestmark = pytest.mark.xdist_group("pages")

# a pair with every count, a pair that shares only one grade, an audit alone with others beside it
FORCES = ("warwickshire", "metropolitan", "west-yorkshire")
PAGES = (*FORCES, record.QUALITY)


@dataclass(frozen=True)
class Published:
    project: paths.Project
    evidence: Evidence

    def examined(self, force: str) -> Any:
        return change.examine(self.evidence.audits, force=force)

    def path(self, name: str) -> Path:
        return self.project.reports / name / "report.html"

    def text(self, name: str) -> str:
        return self.path(name).read_text(encoding="utf-8")

    @cached_property
    def trees(self) -> dict[str, Any]:
        return {name: html.document_fromstring(self.text(name)) for name in PAGES}


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """The finished pages of three forces and of the data's quality, from real runs of the notebooks."""
    project = synthetic.copy_of_project(tmp_path_factory.mktemp("pages") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.VARIABLE, str(project.root))
        asked = batch.Asked(FORCES, with_quality=True)
        results = batch.run(project, shelf.at(project.reports), asked, jobs=2)
        assert [result.headline for result in results if result.outcome is Outcome.FAILED] == []
        yield Published(project, batch.prepare(project))


def words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def own_words(tree: Any) -> str:
    """What the page says itself: without the names and titles of the pages that it links to."""
    copy = html.document_fromstring(html.tostring(tree, encoding="unicode"))
    for quoted in copy.xpath("//style | //a[starts-with(@href, 'http')]"):
        quoted.clear(keep_tail=True)
    return words(copy)


def grid(table: Any) -> list[list[str]]:
    return [[words(cell) for cell in row] for row in table.iterfind(".//tbody/tr")]


def half_up(number: str, *, places: int = 0) -> str:
    scaled = floor(abs(Fraction(number)) * 100 * 10**places + Fraction(1, 2))
    return str(scaled) if not places else f"{scaled // 10}.{scaled % 10}"


@pytest.mark.parametrize("name", PAGES)
def test_page_is_html_in_british_english_with_a_title(name: str, published: Published) -> None:
    tree = published.trees[name]
    assert published.text(name).lower().startswith("<!doctype html>\n<html")
    assert tree.get("lang") == "en-GB"
    assert tree.find("head/meta[@charset]").get("charset").lower() == "utf-8"
    assert tree.find("head/meta[@name='viewport']") is not None
    assert tree.find("head/meta[@name='description']").get("content").strip()
    assert len(tree.findall("head/title")) == 1
    assert tree.findtext("head/title").strip() not in ("", "Notebook")


@pytest.mark.parametrize("force", FORCES)
def test_title_and_heading_name_the_force(force: str, published: Published) -> None:
    tree = published.trees[force]
    title = wording.title(published.examined(force))
    assert tree.findtext("head/title") == title
    assert words(tree.find(".//h1")) == title


@pytest.mark.parametrize("name", PAGES)
def test_headings_start_with_one_h1_and_skip_no_level(name: str, published: Published) -> None:
    headings = published.trees[name].xpath("//h1 | //h2 | //h3 | //h4 | //h5 | //h6")
    levels = [int(heading.tag[1]) for heading in headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert all(words(heading) for heading in headings)
    assert len({words(heading) for heading in headings if heading.tag == "h2"}) == levels.count(2)


@pytest.mark.parametrize("name", PAGES)
def test_main_is_reached_by_the_first_link(name: str, published: Published) -> None:
    tree = published.trees[name]
    mains = tree.findall(".//main")
    first = tree.find(".//a")
    assert len(mains) == 1
    assert first.get("href") == f"#{mains[0].get('id')}"
    assert "skip" in words(first).lower()
    assert mains[0].get("tabindex") == "-1"


@pytest.mark.parametrize("name", PAGES)
def test_text_stands_in_landmarks(name: str, published: Published) -> None:
    body = published.trees[name].find("body")
    assert [child.tag for child in body if child.get("class") != "skip"] == ["header", "main", "footer"]
    for nav in body.iterfind(".//nav"):
        assert nav.get("aria-label") or nav.get("aria-labelledby")


@pytest.mark.parametrize("name", PAGES)
def test_page_runs_nothing(name: str, published: Published) -> None:
    tree = published.trees[name]
    assert not tree.xpath(
        "//script | //iframe | //object | //embed | //form | //base | //link | //foreignObject"
    )
    assert not [key for one in tree.iter() for key in one.attrib if key.lower().startswith("on")]
    assert "javascript:" not in published.text(name).lower()


@pytest.mark.parametrize("name", PAGES)
def test_page_loads_nothing_from_elsewhere(name: str, published: Published) -> None:
    tree = published.trees[name]
    for one in tree.iter():
        for key in ("src", "srcset", "data", "poster", "background", "xlink:href", "ping", "action"):
            assert key not in one.attrib, (one.tag, key)
        assert "href" not in one.attrib or one.tag == "a"
        assert not re.search(r"url\((?!#)", one.get("style", ""))
    styles = "".join(style.text or "" for style in tree.iterfind(".//style"))
    assert not re.search(r"url\((?!\"data:image/svg)|@import|@font-face|expression\(", styles)
    assert not tree.xpath("//body//style")
    assert not re.search(r"cdn|unpkg|googleapis|mathjax|require\.js", published.text(name).lower())


@pytest.mark.parametrize("name", PAGES)
def test_policy_in_the_head_forbids_what_the_page_does_not_need(name: str, published: Published) -> None:
    head = published.trees[name].find("head")
    policy = head.find("meta[@http-equiv='Content-Security-Policy']")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.get("content").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert not {"script-src", "connect-src", "frame-src"} & set(rules)
    # a policy binds only what comes after it
    assert head.index(policy) < min(head.index(one) for one in head if one.tag in ("style", "title"))


@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_code_and_no_prompts(name: str, published: Published) -> None:
    tree = published.trees[name]
    assert not tree.xpath("//pre | //code | //*[contains(@class, 'input') or contains(@class, 'highlight')]")
    assert not tree.xpath("//*[contains(@class, 'prompt') or contains(@class, 'jp-')]")
    text = words(tree.find("body"))
    assert not re.search(r"\b(In|Out)\s*\[", text)
    assert not re.search(r"\bimport analysis|\b(analysis|sections|quality|evidence)\.\w+|# Parameters", text)
    assert not re.search(r"\b(None|nan|NaN|null|True|False|Traceback)\b", text)


@pytest.mark.parametrize("name", PAGES)
def test_page_names_neither_folders_nor_the_machine(name: str, published: Published) -> None:
    text = published.text(name)
    assert str(published.project.root) not in text
    assert str(synthetic.ROOT) not in text
    assert not re.search(r"/(tmp|home|root|Users|work|usr|var)/|[A-Z]:\\|site-packages|\.venv|file://", text)
    assert ".py" not in text
    for private in {socket.gethostname(), getpass.getuser()} - {"root", "localhost"}:
        assert not re.search(rf"\b{re.escape(private)}\b", text)


@pytest.mark.parametrize("name", PAGES)
def test_tables_have_captions_and_scopes_and_scroll_by_keyboard(name: str, published: Published) -> None:
    tables = published.trees[name].findall(".//table")
    assert tables
    for table in tables:
        assert table[0].tag == "caption"
        assert words(table[0])
        assert all(cell.get("scope") in ("col", "row") for cell in table.iterfind(".//th"))
        assert all(words(cell) for cell in table.iterfind(".//th"))
        assert table.find(".//thead//td") is None
        region = table.getparent()
        assert (region.get("role"), region.get("tabindex")) == ("region", "0")
        assert region.get("aria-labelledby") == table[0].get("id")


@pytest.mark.parametrize("name", PAGES)
def test_ids_are_unique_and_every_reference_on_the_page_resolves(name: str, published: Published) -> None:
    tree = published.trees[name]
    ids = [one.get("id") for one in tree.iter() if one.get("id") is not None]
    assert len(ids) == len(set(ids))
    assert all(ids)
    for link in tree.iterfind(".//a"):
        if link.get("href").startswith("#"):
            assert link.get("href")[1:] in ids
    for one in tree.iter():
        for key in ("aria-labelledby", "aria-describedby", "headers", "for"):
            assert set(one.get(key, "").split()) <= set(ids)


@pytest.mark.parametrize("name", PAGES)
def test_contents_list_every_section_in_order(name: str, published: Published) -> None:
    tree = published.trees[name]
    listed = [(link.get("href")[1:], words(link)) for link in tree.iterfind(".//main//nav//a")]
    assert listed == [(heading.get("id"), words(heading)) for heading in tree.iterfind(".//h2")]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_web_pages_or_to_files_of_the_site(name: str, published: Published) -> None:
    folder = published.path(name).parent
    for link in published.trees[name].iterfind(".//a"):
        href = link.get("href")
        assert words(link)
        if href.startswith(("https://", "http://", "#")):
            continue
        assert not href.startswith("/")
        assert (folder / href).resolve().is_file(), href


@pytest.mark.parametrize("name", PAGES)
def test_page_is_small_enough_to_forward(name: str, published: Published) -> None:
    assert published.path(name).stat().st_size < 150_000


@pytest.mark.parametrize("force", FORCES)
def test_charts_are_drawings_with_names_and_descriptions(force: str, published: Published) -> None:
    tree = published.trees[force]
    drawings = tree.findall(".//svg")
    is_pair = isinstance(published.examined(force), Comparison)
    assert len(drawings) == (2 if is_pair else 1)
    for drawing in drawings:
        assert drawing.get("role") == "img"
        named = [tree.get_element_by_id(one) for one in drawing.get("aria-labelledby").split()]
        assert [one.tag for one in named] == ["title", "desc"]
        assert all(words(one) for one in named)
        assert drawing.getparent().tag == "figure"
    assert not tree.findall(".//img")


@pytest.mark.parametrize("force", FORCES)
def test_description_for_search_is_the_headline(force: str, published: Published) -> None:
    tree = published.trees[force]
    headline = wording.headline(published.examined(force))
    assert tree.find("head/meta[@name='description']").get("content") == headline
    assert words(tree.find(".//*[@class='headline']")) == headline


@pytest.mark.parametrize("force", FORCES)
def test_figures_on_the_page_are_those_in_the_file_beside_it(force: str, published: Published) -> None:
    with (published.project.reports / force / "figures.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cells = grid(published.trees[force].get_element_by_id("table-figures"))
    assert len(cells) == len(rows) > 0
    for shown, row in zip(cells, rows, strict=True):
        assert shown[5:] == [row["n_cases"], row["base"], row["note"]]
        for cell, key in zip(shown[2:5], ("value", "lower", "upper"), strict=True):
            if row[key] == "":
                assert cell in ("", "not known")
                continue
            is_share = row["period"] != "change"
            places = 1 if is_share and int(row["base"]) >= 100 else 0
            assert half_up(row[key], places=places) == re.sub(r"[^\d.]", "", cell)
            is_fall = float(row[key]) < 0 and half_up(row[key]) != "0"
            assert cell.startswith("\N{MINUS SIGN}") == is_fall


@pytest.mark.parametrize("force", FORCES)
def test_counts_in_the_grades_table_are_those_in_the_file_beside_it(force: str, published: Published) -> None:
    with (published.project.reports / force / "figures.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["period"] != "change"]
    cells = grid(published.trees[force].get_element_by_id("table-grades"))
    counted = sorted((row["n_cases"] or "not known", row["base"] or "not known") for row in rows)
    assert sorted((shown[2], shown[3]) for shown in cells) == counted


# A page that is forwarded must not look as if it were about another force, so no other force's
# name, slug or ONS code may stand in what the page says itself, in its ids or in its own links.
# Let through are the names and titles of the pages it quotes, which are links to elsewhere, and
# another force's name that is part of the own one.
@pytest.mark.parametrize("force", FORCES)
def test_page_names_its_own_force_and_no_other(force: str, published: Published) -> None:
    tree = published.trees[force]
    forces = vocabulary.forces(published.project.raw)
    own = forces.named(force)
    told = own_words(tree)
    ids = " ".join(
        one.get(key, "") for one in tree.iter() for key in ("id", "class", "headers", "aria-labelledby")
    )
    hrefs = " ".join(
        link.get("href") for link in tree.iterfind(".//a") if not link.get("href").startswith("http")
    )
    assert own.full_name in told
    for other in forces:
        if other is own:
            continue
        assert other.ons_code not in published.text(force)
        assert not re.search(rf"\b{re.escape(other.slug)}\b", f"{ids} {hrefs}")
        for name in {other.slug, *other.names}:
            if name.lower() not in " ".join(own.names).lower():
                assert not re.search(rf"\b{re.escape(name)}\b", told), name


@pytest.mark.parametrize("force", FORCES)
def test_cells_for_pairs_and_for_single_audits_are_kept_apart(force: str, published: Published) -> None:
    headings = " ".join(words(one) for one in published.trees[force].iterfind(".//h2")).lower()
    is_pair = isinstance(published.examined(force), Comparison)
    assert ("how much changed" in headings) == is_pair
    assert ("when will a comparison be possible" in headings) == (not is_pair)
    assert (published.trees[force].find(".//*[@id='table-changes']") is not None) == is_pair
    assert "cell above" not in words(published.trees[force])
    assert "Papermill" not in words(published.trees[force].find("body"))


@pytest.mark.parametrize("name", PAGES)
def test_footer_says_who_made_it_and_under_which_licence(name: str, published: Published) -> None:
    footer = words(published.trees[name].find(".//footer"))
    assert "casegrade" in footer
    assert "Open Government Licence" in footer
    assert "not official statistics" in footer
    assert "needs no scripts" in footer


def luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_text_can_be_read_in_light_dark_and_print() -> None:
    schemes = re.findall(r":root\s*{([^}]*)}", page.style())
    assert len(schemes) == 3
    light: dict[str, str] = {}
    for scheme in schemes:
        found = dict(re.findall(r"--(\w+):\s*(#[0-9a-fA-F]{3,6})", scheme))
        full = {
            name: f"#{''.join(c * 2 for c in one[1:])}" if len(one) == 4 else one
            for name, one in found.items()
        }
        light = light or full
        colours = light | full
        for paper in ("paper", "soft"):
            for ink in ("ink", "link", "quiet"):
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper, scheme)


def test_focus_is_visible_and_never_switched_off_for_what_takes_it() -> None:
    style = page.style()
    assert "a:focus-visible" in style
    assert '[tabindex="0"]:focus-visible' in style
    # main takes focus from the skip link alone, where an outline around the whole page says nothing
    assert re.findall(r"([^{}]*){[^}]*outline:\s*none", style) == ["\nmain:focus "]


TEXT = PageText(
    title="Title <b>", description='A "description"', index="../index.html", footer=("Made & done",)
)


def notebook(*cells: Any) -> Any:
    return v4.new_notebook(cells=list(cells), metadata={"language_info": {"name": "python"}})


def output(markup: str) -> Any:
    return v4.new_output(
        "execute_result", data={"text/html": markup, "text/plain": "PLAIN"}, execution_count=1
    )


def cell(markup: str, *tags: str) -> Any:
    return v4.new_code_cell("secret_source()", outputs=[output(markup)], metadata={"tags": list(tags)})


def test_cell_that_ended_in_an_error_never_becomes_a_page() -> None:
    error = v4.new_output("error", ename="ValueError", evalue="no such audit", traceback=["File /work/x.py"])
    with pytest.raises(PageError, match="cell 2 ended in ValueError: no such audit"):
        page.render(notebook(v4.new_markdown_cell("## A"), v4.new_code_cell("x", outputs=[error])), TEXT)


def test_cell_that_wrote_to_its_error_stream_never_becomes_a_page() -> None:
    warned = v4.new_output("stream", name="stderr", text="/work/x.py:3: UserWarning: hm\n")
    with pytest.raises(PageError, match="cell 1 wrote to its error stream: "):
        page.render(notebook(v4.new_code_cell("x", outputs=[warned])), TEXT)


def test_an_image_without_a_description_never_becomes_a_page() -> None:
    shown = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
    with pytest.raises(PageError, match="an image has no description: give it an alt text"):
        page.render(notebook(cell(f'<img src="{shown}">')), TEXT)
    assert 'alt="A dot"' in page.render(notebook(cell(f'<img src="{shown}" alt="A dot">')), TEXT)


@pytest.mark.parametrize("tag", ["notebook-only", "single-only"])
def test_noise_in_a_cell_that_is_left_out_is_refused_all_the_same(tag: str) -> None:
    # a warning tells that something is amiss, wherever it was raised
    warned = v4.new_output("stream", name="stderr", text="UserWarning")
    silent = v4.new_code_cell("x", outputs=[warned], metadata={"tags": [tag]})
    with pytest.raises(PageError):
        page.render(notebook(silent), TEXT, without_tags=[tag])


def test_tagged_cells_are_left_out() -> None:
    made = notebook(
        cell("<p>kept</p>"),
        cell("<p>pairs</p>", "comparison-only"),
        cell("<p>alone</p>", "single-only"),
        cell("<p>authors</p>", "notebook-only"),
        v4.new_markdown_cell("for authors", metadata={"tags": ["notebook-only"]}),
    )
    document = page.render(made, TEXT, without_tags=["single-only"])
    assert words(html.document_fromstring(document).find(".//main")) == "Title <b> kept pairs"
    assert "alone" not in document
    assert "authors" not in document


def test_only_what_is_meant_for_readers_reaches_the_page() -> None:
    quiet = v4.new_code_cell(
        "secret_source()",
        outputs=[
            v4.new_output("stream", name="stdout", text="printed"),
            v4.new_output("display_data", data={"image/png": "aGk=", "text/plain": "<Figure>"}),
            v4.new_output("display_data", data={"application/javascript": "alert(1)"}),
            output("<p>shown</p>"),
        ],
    )
    document = page.render(notebook(quiet, v4.new_raw_cell("raw words")), TEXT)
    assert "shown" in document
    for hidden in ("secret_source", "printed", "<Figure>", "&lt;Figure", "alert(1)", "raw words", "PLAIN"):
        assert hidden not in document


def test_words_around_the_notebook_are_escaped() -> None:
    tree = html.document_fromstring(page.render(notebook(cell("<p>x</p>")), TEXT))
    assert tree.findtext("head/title") == "Title <b>"
    assert tree.find(".//h1").text == "Title <b>"
    assert tree.find("head/meta[@name='description']").get("content") == 'A "description"'
    assert words(tree.find(".//footer")) == "Made & done"


def test_sections_of_the_same_name_get_ids_of_their_own() -> None:
    made = notebook(*(v4.new_markdown_cell("## Again?") for _ in range(3)))
    tree = html.document_fromstring(page.render(made, TEXT))
    ids = [heading.get("id") for heading in tree.iterfind(".//h2")]
    assert len(set(ids)) == 3
    assert [link.get("href")[1:] for link in tree.iterfind(".//main//nav//a")] == ids


def test_section_never_takes_an_id_that_the_page_has() -> None:
    made = notebook(v4.new_markdown_cell("## Main"), v4.new_markdown_cell("## Chart grades"))
    made.cells.append(cell('<figure id="chart-grades"></figure>'))
    ids = [one.get("id") for one in html.document_fromstring(page.render(made, TEXT)).iter() if one.get("id")]
    assert len(ids) == len(set(ids))


def test_notebook_without_sections_becomes_a_page_without_contents() -> None:
    tree = html.document_fromstring(page.render(notebook(cell("<p>x</p>")), TEXT))
    assert tree.find(".//main//nav") is None
    assert tree.find(".//h1") is not None


def test_rendering_leaves_the_notebook_as_it_was() -> None:
    made = notebook(v4.new_markdown_cell("## A"), cell("<p>x</p>", "single-only"))
    before = nbformat.writes(made)
    first = page.render(made, TEXT, without_tags=["single-only"])
    assert nbformat.writes(made) == before
    assert page.render(made, TEXT, without_tags=["single-only"]) == first


def test_table_that_is_not_ours_scrolls_too() -> None:
    tree = html.document_fromstring(page.render(notebook(cell("<table><tr><td>1</td></tr></table>")), TEXT))
    region = tree.find(".//table").getparent()
    assert (region.get("role"), region.get("tabindex")) == ("region", "0")
    # a region without a name is no landmark, and a screen reader would call it just that
    assert region.get("aria-label") or region.get("aria-labelledby")
