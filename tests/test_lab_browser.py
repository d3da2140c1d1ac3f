"""A real JupyterLab, as `casegrade lab` starts it, in a real browser."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import Any

import nbformat
import pytest
import synthetic
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Route

from analysis import paths

if util.find_spec("jupyterlab") is None and "CI" not in os.environ:
    pytest.skip("jupyterlab is an extra, which is not here", allow_module_level=True)

# one server and one browser for all tests here
pytestmark = pytest.mark.xdist_group("lab-browser")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
CASEGRADE = Path(sys.executable).with_name("casegrade")
SHOTS = ROOT / "screenshots" / "lab"
TOKEN = "only-for-this-test"
# a guard against waiting for ever: a machine may have much else to do
PATIENCE = 240
CELLS = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .jp-InputPrompt"
DARK = "document.body.dataset.jpThemeLight === 'false'"
ERRORS = "[data-mime-type='application/vnd.jupyter.error'], [data-mime-type='application/vnd.jupyter.stderr']"


def until(found: Callable[[], Any]) -> Any:
    """What is found, once it is."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


@dataclass
class Lab:
    """A server that runs, and the project that it shows."""

    project: paths.Project
    url: str
    opened: str

    def ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}", method=method, headers={"Authorization": f"token {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            content = answer.read()
        return json.loads(content) if content else None


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}login", timeout=PATIENCE).close()
    except urllib.error.URLError:
        return False
    return True


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("lab")
    project = synthetic.copy_of_project(root / "project")
    shutil.copy(ROOT / "pyproject.toml", project.root)
    who = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org")
    for words in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "--message", "As it is.")):
        subprocess.run(["git", "-C", str(project.root), *words], check=True)
    log = root / "log"
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("CASEGRADE", "JUPYTER"))
    } | {"HOME": str(root)}
    # the machines that run this may be root's, where Jupyter asks for a word
    further = ("--allow-root", f"--IdentityProvider.token={TOKEN}")
    with log.open("wb") as told:
        server = subprocess.Popen(
            [CASEGRADE, "lab", "--no-browser", "--port", "0", "--", *further],
            env=env,
            cwd=project.root,
            stdout=told,
            stderr=told,
        )
    try:

        def address() -> re.Match[str] | None:
            said = log.read_text(encoding="utf-8")
            assert server.poll() is None, said
            return re.search(r"(http://127\.0\.0\.1:\d+/)(lab/\S+)\?token=", said)

        url, opened = until(address).groups()
        until(lambda: answers(url))
        yield Lab(project, url, opened)
    finally:
        # kernels end with it
        server.terminate()
        server.wait()


@dataclass
class Window:
    """JupyterLab in the browser, on one notebook."""

    page: Page
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def route(self, route: Route) -> None:
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def until(self, found: Callable[[], Any]) -> Any:
        """What is found, once it is; meanwhile requests are let through, which only a wait of the page does."""
        deadline = time.monotonic() + PATIENCE
        while not (value := found()):
            assert time.monotonic() < deadline
            self.page.wait_for_timeout(50)
        return value

    def status(self) -> str:
        return self.page.locator("#jp-main-statusbar").inner_text()

    def prompts(self) -> list[str]:
        # not the text that is seen: what is off the screen is not laid out
        return [text.strip() for text in self.page.locator(CELLS).all_text_contents()]

    def errors(self) -> list[str]:
        return [text[:1000] for text in self.page.locator(ERRORS).all_text_contents()]

    def choose(self, menu: str, entry: str) -> None:
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=entry, exact=True).click()

    def run_all(self) -> None:
        self.until(lambda: "| Idle" in self.status())
        # what is stored has numbers already
        self.choose("Edit", "Clear Outputs of All Cells")
        self.until(lambda: set(self.prompts()) == {"[ ]:"})
        self.choose("Run", "Run All Cells")
        self.until(lambda: self.errors() or all(re.fullmatch(r"\[\d+\]:", text) for text in self.prompts()))
        assert self.errors() == []
        self.until(lambda: "| Idle" in self.status())

    def charts(self) -> list[Locator]:
        """Charts, once each has come to life."""
        # what pickers show is drawn anew with each choice, and stays a drawing
        found = self.page.locator("figure.chart:not(.widget-html *)").all()
        for chart in found:
            chart.locator(".live [tabindex='0']").first.wait_for(timeout=PATIENCE * 1000)
        return found

    def shoot(self, name: str) -> None:
        """Keep a picture of the whole notebook."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        # twice: what comes into view for the first time is laid out and grows
        for _ in range(2):
            height = self.page.evaluate(
                """() => {
                  document.querySelector(".jp-WindowedPanel-outer").scrollTop = 0;
                  const cells = [...document.querySelectorAll(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")];
                  return cells.at(-1).getBoundingClientRect().bottom;
                }"""
            )
            self.page.set_viewport_size({"width": 1280, "height": min(int(height) + 60, 16_000)})
        self.page.screenshot(path=SHOTS / f"{name}.png")
        self.page.set_viewport_size({"width": 1280, "height": 1000})


@pytest.fixture
def window(browser: Browser, lab: Lab) -> Iterator[Callable[..., Window]]:
    contexts = []

    def open_notebook(notebook: str, **settings: Any) -> Window:
        context = browser.new_context(viewport={"width": 1280, "height": 1000}, **settings)
        contexts.append(context)
        page = context.new_page()
        window = Window(page)
        context.route("**/*", window.route)
        page.on("console", lambda said: window.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: window.complaints.append(str(error)))
        page.goto(f"{lab.url}lab/tree/{notebook}?token={TOKEN}&reset")
        page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=PATIENCE * 1000)
        return window

    yield open_notebook
    for context in contexts:
        context.close()
    for session in lab.ask("GET", "api/sessions"):
        lab.ask("DELETE", f"api/sessions/{session['id']}")


def centre(mark: Locator) -> tuple[float, float]:
    box = mark.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def is_on_top(mark: Locator) -> bool:
    at_centre = """mark => {
      const box = mark.getBoundingClientRect();
      return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) === mark;
    }"""
    return bool(mark.evaluate(at_centre))


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_runs_and_each_of_its_charts_answers_in_light_and_dark(
    notebook: str, window: Callable[..., Window]
) -> None:
    opened = window(f"notebooks/{notebook}", color_scheme="light")
    page, stem = opened.page, Path(notebook).stem
    opened.run_all()
    assert opened.errors() == []
    charts = opened.charts()
    tooltip = page.locator("#vg-tooltip-element")
    for chart in charts:
        marks = chart.locator(".live [tabindex]")
        chart.scroll_into_view_if_needed()
        box = chart.locator(".live svg").bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] > 50
        # the drawing that it stands for is there and gives way
        assert not chart.locator(":scope > svg").is_visible()

        first = marks.first
        first.scroll_into_view_if_needed()
        # where dots lie on each other, the one on top answers
        top = next((mark for mark in marks.all() if is_on_top(mark)), first)
        words = str(top.get_attribute("aria-label"))
        page.mouse.move(*centre(top))
        opened.until(tooltip.is_visible)
        assert [part.split(": ")[0] for part in words.split("; ")] == [
            key.strip() for key in tooltip.locator(".key").all_inner_texts()
        ]
        page.mouse.move(2, 2)
        opened.until(lambda: not tooltip.is_visible())

        first.focus()
        words = str(first.get_attribute("aria-label"))
        told = chart.locator(".told")
        assert told.inner_text() == words
        assert tooltip.is_visible()
        page.keyboard.press("Escape")
        assert not tooltip.is_visible()
        page.keyboard.press("End")
        assert told.inner_text() == marks.last.get_attribute("aria-label")
        page.keyboard.press("Home")
        if marks.count() > 1:
            page.keyboard.press("ArrowRight")
            assert marks.nth(1).evaluate("mark => mark === document.activeElement")
            assert told.inner_text() == marks.nth(1).get_attribute("aria-label")
        page.keyboard.press("Escape")
        # one stop of the Tab key for the chart
        assert chart.locator(".live [tabindex='0']").count() == 1
    if charts:
        found = Axe().run(page, context=".casegrade-chart")
        assert [(one["id"], one["nodes"][0]["target"]) for one in found.response["violations"]] == []
    opened.shoot(f"{stem}-light")

    lit = [chart.locator(".live svg").inner_html() for chart in charts]
    page.emulate_media(color_scheme="dark")
    opened.until(lambda: page.evaluate(DARK))
    for chart, before in zip(charts, lit, strict=True):
        opened.until(lambda chart=chart, before=before: chart.locator(".live svg").inner_html() != before)
    opened.charts()
    opened.shoot(f"{stem}-dark")
    assert opened.outside == []
    assert opened.complaints == []


def test_it_opens_on_the_landing_notebook_whose_results_are_shown(
    lab: Lab, window: Callable[..., Window]
) -> None:
    assert lab.opened == "lab/tree/notebooks/00_start_here.ipynb"
    opened = window("notebooks/00_start_here.ipynb")
    # trusted: a drawing that was cleaned away could not be seen
    opened.until(lambda: opened.page.locator("figure.chart svg[role='img']").count() == 2)
    for drawing in opened.page.locator("figure.chart svg[role='img']").all():
        assert drawing.is_visible()
    opened.until(lambda: opened.page.locator("[title*='Notebook trusted: 3 of 3']").count() == 1)
    assert opened.outside == []


def test_no_answer_without_the_token(lab: Lab) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{lab.url}api/contents", timeout=PATIENCE)
    refused.value.close()
    assert refused.value.code == 403
    with urllib.request.urlopen(f"{lab.url}casegrade/chart.js", timeout=PATIENCE) as answer:
        assert "/login" in answer.url


def test_pickers_change_the_chart(window: Callable[..., Window]) -> None:
    opened = window("notebooks/04_explore.ipynb")
    opened.run_all()
    force = opened.page.locator(".jupyter-widgets select").first
    figure = opened.page.locator(".widget-html figure.chart")
    figure.wait_for(timeout=PATIENCE * 1000)
    figure.scroll_into_view_if_needed()
    before = figure.inner_html()
    force.select_option(index=force.locator("option", has_text="Suffolk").evaluate("one => one.index"))
    opened.until(lambda: figure.inner_html() != before)
    told = opened.page.locator(".widget-html [role='status']")
    opened.until(lambda: "Suffolk" in str(told.text_content()))
    assert figure.locator("svg").is_visible()
    measure = opened.page.locator(".jupyter-widgets select").nth(2)
    before = figure.inner_html()
    measure.select_option(index=0)
    opened.until(lambda: figure.inner_html() != before)
    assert opened.errors() == []


def test_the_launcher_begins_a_notebook_which_runs_and_is_formatted_when_saved(
    lab: Lab, window: Callable[..., Window]
) -> None:
    opened = window("notebooks/00_start_here.ipynb")
    page = opened.page
    opened.until(lambda: "| Idle" in opened.status())
    page.keyboard.press("Control+Shift+L")
    card = page.locator(".jp-LauncherCard", has_text="New analysis notebook")
    card.wait_for(timeout=PATIENCE * 1000)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "launcher.png")
    card.click()
    page.locator(".jp-Dialog input").fill("did grades in Kent change")
    page.get_by_role("button", name="Begin").click()
    made = lab.project.notebooks / "scratch" / "did_grades_in_kent_change.ipynb"
    opened.until(made.exists)
    panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    panel.get_by_role("heading", name="Did grades in Kent change?").wait_for(timeout=PATIENCE * 1000)
    page.wait_for_timeout(100)
    opened.run_all()
    assert opened.errors() == []
    assert panel.locator(".casegrade-chart").count() == 2

    cell = panel.locator(".jp-CodeCell .cm-content").last
    cell.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("print( analysis.wording.what_it_cannot_tell( pair ) )")
    page.keyboard.press("Control+S")
    tidy = "print(analysis.wording.what_it_cannot_tell(pair))"
    opened.until(lambda: cell.inner_text().strip() == tidy)

    def stored() -> bool:
        with contextlib.suppress(ValueError):
            return bool(nbformat.read(made, as_version=4).cells[-1].source == tidy)
        return False

    opened.until(stored)


def test_what_was_run_alive_is_stored_whole_and_small(lab: Lab, window: Callable[..., Window]) -> None:
    opened = window("notebooks/02_force_report.ipynb")
    path = lab.project.notebooks / "02_force_report.ipynb"
    before = nbformat.read(path, as_version=4)
    opened.run_all()
    opened.page.keyboard.press("Control+S")
    live = "application/vnd.casegrade.chart+json"
    opened.until(lambda: live in path.read_text(encoding="utf-8"))
    after = nbformat.read(path, as_version=4)
    assert after.metadata.kernelspec == before.metadata.kernelspec
    for one, other in zip(before.cells, after.cells, strict=True):
        for shown in other.get("outputs", []):
            assert len(json.dumps(shown["data"].pop(live, {}))) < 20_000
        assert [shown["data"] for shown in other.get("outputs", [])] == [
            shown["data"] for shown in one.get("outputs", [])
        ]
