import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import synthetic
from axe_playwright_python.sync_playwright import Axe
from lxml import html
from playwright.sync_api import Browser, Page, Request
from processes import eventually

from analysis import vocabulary
from analysis.publish import batch, record, shelf
from analysis.publish.record import INTERACTIVE

# one browser and one set of reports for all tests here
pytestmark = pytest.mark.xdist_group("browser")

ROOT = Path(__file__).resolve().parents[1]
FORCES = ("warwickshire", "metropolitan", "avon-and-somerset")
LIVE = "dorset/report.html"
PAGES = (
    "index.html",
    "national.html",
    "about.html",
    LIVE,
    *(f"{name}/report.html" for name in (*FORCES, record.QUALITY)),
)
SCHEMES, WIDTHS = ("light", "dark"), (320, 1280)
# WCAG 2.2 at level AA, with all that it includes
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = synthetic.copy_of_project(tmp_path_factory.mktemp("browser") / "project")
    place = shelf.at(project.reports)
    results = batch.run(project, place, batch.Asked(FORCES, with_quality=True), jobs=2)
    assert all(result.is_new and result.outcome != "failed" for result in results)
    interactive = batch.Asked(("dorset",), formats=frozenset([INTERACTIVE]))
    assert all(result.outcome == "draft" for result in batch.run(project, place, interactive))
    # a draft and a published report differ in looks
    batch.sign(project, place, ["metropolitan"], reviewer="A Reader")
    return project.reports


@dataclass
class Opened:
    """A page in the browser, and what it asked for and complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def asked(self, request: Request) -> None:
        self.requests.append(request.url)


@pytest.fixture
def opened(browser: Browser, reports: Path) -> Iterator[Any]:
    contexts = []

    def open_page(name: str, *, width: int = 1280, **settings: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        # nothing answers, as on a network that lets nothing through
        context.set_offline(True)
        page = context.new_page()
        opened = Opened(page)
        page.on("request", opened.asked)
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.goto((reports / name).as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_page_meets_wcag_and_fits_its_window(name: str, scheme: str, width: int, opened: Any) -> None:
    page = opened(name, width=width, color_scheme=scheme).page
    if name == LIVE:
        page.wait_for_selector(".live [tabindex]")
    shots = ROOT / "screenshots"
    shots.mkdir(exist_ok=True)
    page.screenshot(path=shots / f"{name.replace('/', '-')}-{scheme}-{width}.png", full_page=True)
    found = Axe().run(page, options={"runOnly": list(RULES)})
    told = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found.response["violations"]]
    assert told == []
    assert len(found.response["passes"]) > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES)
def test_page_asks_for_nothing_and_complains_of_nothing(name: str, opened: Any, reports: Path) -> None:
    found = opened(name)
    found.page.wait_for_timeout(200)
    assert found.requests == [(reports / name).as_uri()]
    assert found.complaints == []


@pytest.mark.parametrize("force", FORCES)
def test_every_figure_can_be_read_without_scripts(force: str, opened: Any, reports: Path) -> None:
    page = opened(f"{force}/report.html", java_script_enabled=False).page
    with (reports / force / "figures.csv").open(encoding="utf-8", newline="") as file:
        figures = list(csv.DictReader(file))
    rows = page.locator("#table-figures tbody tr")
    assert rows.count() == len(figures)
    for number, figure in enumerate(figures):
        assert rows.nth(number).is_visible()
        cells = rows.nth(number).inner_text().split("\t")
        assert {figure["n_cases"], figure["base"]} <= {cell.strip() for cell in cells}
    for table in page.locator("table").all():
        assert table.is_visible()


def test_index_is_whole_without_scripts(opened: Any, reports: Path) -> None:
    page = opened("index.html", java_script_enabled=False).page
    assert page.locator("#forces tbody tr").count() == len(vocabulary.forces(ROOT / "data" / "raw").slugs)
    assert all(row.is_visible() for row in page.locator("#forces tbody tr").all())
    # what does nothing without scripts is not shown without them
    assert not page.locator("#tools").is_visible()
    assert page.locator("#forces button").count() == 0


def tabbed_through(page: Page, stops: int) -> tuple[list[int], list[str]]:
    """The `data-number` of what the Tab key comes to, one after the other, and how each is outlined then."""
    reached, outlined = [], []
    for _ in range(stops):
        page.keyboard.press("Tab")
        number, outline = page.evaluate(
            "[document.activeElement.dataset.number, getComputedStyle(document.activeElement).outlineStyle]"
        )
        reached.append(int(number))
        outlined.append(outline)
    return reached, outlined


@pytest.mark.parametrize("name", PAGES)
def test_keyboard_reaches_every_link_table_and_control_and_shows_where_it_is(name: str, opened: Any) -> None:
    page = opened(name).page
    if name == LIVE:
        page.wait_for_selector("#chart-changes .live [tabindex]")
    wanted = page.evaluate(
        """() => {
          // what is folded up is reached once it is open
          for (const one of document.querySelectorAll("details")) one.open = true;
          const all = [...document.querySelectorAll("a[href], [tabindex='0'], summary, input, select, button")];
          all.forEach((one, number) => one.dataset.number = number);
          return all.length;
        }"""
    )
    reached, outlined = tabbed_through(page, wanted)
    assert reached == list(range(wanted))
    assert "none" not in outlined


def test_first_tab_leads_past_the_header(opened: Any) -> None:
    page = opened("warwickshire/report.html").page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_dark_mode_is_dark(opened: Any) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    assert opened("index.html", color_scheme="dark").page.evaluate(background) == "rgb(11, 12, 12)"
    assert opened("index.html", color_scheme="light").page.evaluate(background) == "rgb(255, 255, 255)"


def test_draft_is_marked_and_what_is_published_is_not(opened: Any) -> None:
    marked = "getComputedStyle(document.body).backgroundImage"
    draft, published = opened("warwickshire/report.html").page, opened("metropolitan/report.html").page
    assert draft.evaluate(marked).startswith('url("data:image/svg+xml')
    assert published.evaluate(marked) == "none"
    assert draft.locator(".draft-mark").is_visible()
    assert published.locator(".draft-mark").count() == 0


def test_wide_table_scrolls_by_keyboard_on_a_narrow_screen(opened: Any) -> None:
    page = opened("warwickshire/report.html", width=320).page
    region = page.locator(".table:has(#table-figures)")
    region.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    # not `wait_for_function`: to look twice it makes code from text, which the page forbids
    assert eventually(lambda: page.evaluate("document.activeElement.scrollLeft > 0"))


def test_index_finds_forces_by_word_and_status(opened: Any) -> None:
    page = opened("index.html").page
    visible = (
        "[...document.querySelectorAll('#forces tbody tr')].filter((row) => !row.hidden).map((row) => row.id)"
    )
    page.get_by_label("Find a force or a word").fill("yorkshire north")
    assert page.evaluate(visible) == ["north-yorkshire"]
    assert page.get_by_role("status").inner_text() == "1 of 43 forces shown"
    page.get_by_label("Find a force or a word").fill("")
    page.get_by_label("Status", exact=True).select_option("published")
    assert page.evaluate(visible) == ["metropolitan"]
    page.get_by_label("Status", exact=True).select_option("")
    page.get_by_label("Version", exact=True).select_option("draft")
    assert page.evaluate(visible) == ["avon-and-somerset", "dorset", "warwickshire"]


def test_index_is_sorted_by_its_headings(opened: Any) -> None:
    page = opened("index.html").page
    order = "[...document.querySelectorAll('#forces tbody tr')].map((row) => row.id)"
    forces = page.evaluate(order)
    page.get_by_role("button", name="Force").click()
    assert page.evaluate(order) == forces[::-1]
    page.get_by_role("button", name="Version").click()
    page.get_by_role("button", name="Version").click()
    assert set(page.evaluate(order)[:4]) == {*FORCES, "dorset"}
    assert page.locator("th[aria-sort]").evaluate_all("all => all.map((one) => one.ariaSort)") == [
        "descending"
    ]


def test_printed_page_has_its_tables_and_leaves_out_what_only_works_on_a_screen(opened: Any) -> None:
    page = opened("warwickshire/report.html").page
    page.emulate_media(media="print")
    assert page.locator("#table-grades").is_visible()
    assert not page.locator("nav.contents").is_visible()
    assert not page.locator(".skip").is_visible()


def test_chart_answers_to_mouse_and_keyboard_with_the_figures_of_its_table(opened: Any) -> None:
    page = opened(LIVE).page
    marks = page.locator("#chart-grades .live [tabindex]")
    marks.first.wait_for()
    assert marks.count() == 6
    assert not page.locator("#chart-grades > svg").is_visible()
    marks.first.focus()
    told = page.locator("#chart-grades .told")
    # as the table has it
    assert told.inner_text() == (
        "Grade: inadequate; Cases: 28; Share: 34% of 83 cases; Audit: April 2021 inspection, 83 cases"
    )
    marks.nth(1).hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "requires improvement" in page.locator("#vg-tooltip-element").inner_text()
    assert page.locator("#table-grades").is_visible()
    changes = page.locator("#chart-changes .live [tabindex]")
    changes.first.focus()
    assert page.locator("#chart-changes .told").inner_text() == (
        "Measure: Share graded inadequate; Change: +2 points; Range: \u221216 points to +22 points"
    )


def test_live_page_without_scripts_has_its_drawings(opened: Any) -> None:
    page = opened(LIVE, java_script_enabled=False).page
    assert page.locator("#chart-grades > svg").is_visible()
    assert page.locator(".live").count() == 0


# what a row of a chart's data may have: nothing that is not drawn or told
SHOWN: tuple[set[str], ...] = (
    {"audit", "grade", "n_cases", "share", "told", "order", "shown", "text_colour"},
    {"measure", "value", "lower", "upper", "told", "told_range"},
    {"zero", "label"},
    {"audit"},
    {"measure"},
)


def test_live_page_holds_published_figures_and_no_other_data(reports: Path) -> None:
    tree = html.document_fromstring((reports / LIVE).read_text(encoding="utf-8"))
    with (reports / "dorset" / "figures.csv").open(encoding="utf-8", newline="") as file:
        figures = list(csv.DictReader(file))
    known = {f"{float(row[key]):.6f}" for row in figures for key in ("value", "lower", "upper") if row[key]}
    holders = tree.xpath("//script[@data-chart]")
    assert [one.get("data-chart") for one in holders] == ["chart-grades", "chart-changes"]
    for holder in holders:
        for values in datasets(json.loads(holder.text)):
            for row in values:
                assert set(row) in SHOWN, row
                for name in ("share", "value", "lower", "upper"):
                    if name in row:
                        assert f"{row[name]:.6f}" in known
    assert len(tree.xpath("//script[not(@type)]")) == 1


def datasets(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        if isinstance(node.get("values"), list) and all(isinstance(one, dict) for one in node["values"]):
            yield node["values"]
        for one in node.values():
            yield from datasets(one)
    elif isinstance(node, list):
        for one in node:
            yield from datasets(one)
