import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import polars as pl
import pytest
import synthetic
from axe_playwright_python.sync_playwright import Axe
from lxml import html
from markdown_it import MarkdownIt
from playwright.sync_api import Browser
from test_browser import RULES, SCHEMES, WIDTHS, Opened, tabbed_through
from typer.main import get_command

import analysis
from analysis import paths
from analysis.cli import app

# one browser and one site for all tests here
pytestmark = pytest.mark.xdist_group("docs-site")

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts),
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TUTORIAL = ROOT / "docs" / "from-clone-to-a-chart.md"
HOME, SEARCH = "docs/index.html", "search.html"
# one of each kind: landing, code, charts and tables of a notebook, API, wide tables, search
KINDS = (
    HOME,
    "docs/from-clone-to-a-chart.html",
    "notebooks/02_force_report.html",
    "docs/reference.html",
    "docs/decisions/0002-dependencies.html",
    f"{SEARCH}?q=newcombe",
)
# words of a shell that are no programs
BUILT_IN = {"cd", "export"}


def build(place: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    how = [
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        "--fresh-env",
        "--builder",
        "html",
        "--conf-dir",
        "docs",
    ]
    where = ["--doctree-dir", str(place / "doctrees"), ".", str(place / "html")]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *how, *where],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    done = build(place)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return place / "html"


@pytest.fixture(scope="module")
def trees(site: Path) -> dict[Path, Any]:
    return {path: html.parse(str(path)).getroot() for path in sorted(site.rglob("*.html"))}


def names_of(tree: Any) -> set[str]:
    return set(tree.xpath("//@id"))


def names() -> Any:
    """The module with which the site finds the public names."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "_sphinx" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_same_sources_make_the_same_site(site: Path, tmp_path: Path) -> None:
    again = build(tmp_path, PYTHONHASHSEED="7")
    assert again.returncode == 0, again.stderr
    first, second = (
        {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (site, tmp_path / "html")
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_every_link_and_anchor_leads_somewhere(trees: dict[Path, Any]) -> None:
    astray = []
    for path, tree in trees.items():
        for link in tree.xpath("//@href | //@src"):
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme in ("http", "https", "mailto"), link
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in trees and anchor not in names_of(trees[target])):
                astray.append((path.name, link))
    assert astray == []


def test_no_name_is_given_twice_on_a_page(trees: dict[Path, Any]) -> None:
    for path, tree in trees.items():
        given = sorted(tree.xpath("//@id"))
        assert [name for name, all_of_it in groupby(given) if len(list(all_of_it)) > 1] == [], path.name


def test_every_page_says_its_language_and_its_title_and_runs_no_script(trees: dict[Path, Any]) -> None:
    titles = [tree.findtext(".//title") for tree in trees.values()]
    assert all(titles)
    for path, tree in trees.items():
        assert tree.get("lang") == "en-GB", path.name
        assert bool(tree.xpath("//script")) == (path.name == SEARCH), path.name
        assert not tree.xpath("//@onclick | //@onload"), path.name


def test_every_source_is_a_page_and_can_be_reached_from_home(site: Path, trees: dict[Path, Any]) -> None:
    wanted = {site / path.relative_to(ROOT).with_suffix(".html") for path in (*SOURCES, *NOTEBOOKS)}
    assert wanted <= set(trees)
    reached, open_ones = set(), [site / HOME]
    while open_ones:
        page = open_ones.pop()
        if page in reached:
            continue
        reached.add(page)
        links = (urlsplit(link) for link in trees[page].xpath("//main//@href | //nav//@href"))
        near = {
            (page.parent / unquote(link.path)).resolve() for link in links if link.path and not link.scheme
        }
        open_ones += sorted(near & set(trees))
    assert wanted <= reached


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_shown_as_it_is_stored(path: Path, site: Path, trees: dict[Path, Any]) -> None:
    def plain(text: str) -> str:
        return "".join(text.split())

    main = trees[site / "notebooks" / f"{path.stem}.html"].find(".//main")
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    shown = [plain(one.text_content()) for one in main.xpath(".//div[contains(@class, 'cell_input')]//pre")]
    assert shown == [plain(cell.source) for cell in cells]
    results = [
        one["data"]["text/html"]
        for cell in cells
        for one in cell.outputs
        if "text/html" in one.get("data", {})
    ]
    bodies = [html.fragment_fromstring(one, create_parent="div") for one in results]
    for style in (style for body in bodies for style in body.xpath(".//style")):
        style.drop_tree()
    outputs = "".join(
        plain(one.text_content()) for one in main.xpath(".//div[contains(@class, 'cell_output')]")
    )
    assert [one.text_content() for one in bodies if plain(one.text_content()) not in outputs] == []
    for kind in ("figure", "svg", "table"):
        assert len(main.xpath(f".//div[contains(@class, 'cell_output')]//{kind}")) == sum(
            len(one.xpath(f".//{kind}")) for one in bodies
        )


def test_notebooks_stand_in_the_order_of_their_numbers(site: Path, trees: dict[Path, Any]) -> None:
    links = trees[site / "docs" / "notebooks.html"].xpath("//main//div[contains(@class, 'toctree')]//@href")
    assert [Path(link).stem for link in links] == [path.stem for path in NOTEBOOKS]


def test_every_public_name_is_in_the_reference(trees: dict[Path, Any]) -> None:
    found = names()
    documented = set().union(*(names_of(tree) for tree in trees.values()))
    modules = found.modules()
    for name in analysis.__all__:
        assert name in modules or f"analysis.{name}" in documented, name
    for module in modules.values():
        assert found.functions(module)
        for function in found.functions(module):
            assert f"{module.__name__}.{function}" in documented
    kinds = {one.__name__ for one in found.classes()}
    assert {"Comparison", "Evidence", "Audit", "Figure", "GradedAudit", "Verdict", "SelectionError"} <= kinds
    for one in found.classes():
        assert documented & {f"{one.__module__}.{one.__qualname__}", f"analysis.{one.__qualname__}"}, one


def test_every_public_name_has_a_docstring() -> None:
    found = names()
    everything = [
        *found.called().values(),
        *found.modules().values(),
        *(one for module in found.modules().values() for one in found.functions(module).values()),
        *found.classes(),
        *(type(one) for one in found.objects().values()),
        *(part for kind in found.classes() for part in found.parts(kind)),
    ]
    assert len(everything) > 50
    for one in everything:
        # what a dataclass without words of its own says of itself
        assert one.__doc__, one
        assert not one.__doc__.startswith(f"{one.__name__}("), one


def test_the_reference_shows_the_types_of_a_signature(site: Path, trees: dict[Path, Any]) -> None:
    [signature] = trees[site / "docs" / "reference.html"].xpath("//dt[@id='analysis.compare']")
    text = " ".join(signature.text_content().split())
    assert text.startswith("analysis.compare(")
    assert "audits: DataFrame" in text
    assert "confidence: float = 0.95" in text
    assert text.endswith("→ Comparison")
    assert signature.xpath(".//a[@href='#analysis.Comparison']")
    modules = trees[site / "docs" / "reference-modules.html"]
    [chart] = modules.xpath("//dt[@id='analysis.present.charts.before_after']")
    assert chart.text_content().strip().startswith("analysis.charts.before_after(")


def test_the_example_of_how_to_read_a_report_is_a_published_figure(audits: pl.DataFrame) -> None:
    row = analysis.wording.figure(analysis.compare(audits, force="warwickshire"), "share_good", "follow_up")
    share, lower, upper = (analysis.wording.figure_text(row, key) for key in ("value", "lower", "upper"))
    example = f"*{row['n_cases']} of {row['base']} cases ({share}), range {lower} to {upper}*"
    assert example in (ROOT / "docs" / "how-to-read-a-report.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A block of code on a page; `result` is what stands below it, if that is what it gives."""

    page: Path
    line: int
    language: str
    text: str
    result: str | None = None


def blocks_of(path: Path) -> list[Block]:
    tokens = MarkdownIt().parse(path.read_text(encoding="utf-8"))
    found: list[Block] = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        # braces: a directive of the site
        if token.type != "fence" or token.info.startswith("{"):
            continue
        if token.info == "text" and before is not None and before.info == "python" and found:
            last = found.pop()
            found.append(Block(last.page, last.line, last.language, last.text, token.content.strip()))
            continue
        assert token.map is not None
        found.append(Block(path, token.map[0] + 1, token.info, token.content))
    return found


BLOCKS = [block for path in SOURCES for block in blocks_of(path)]


def told(block: Block) -> str:
    return f"{block.page.relative_to(ROOT).as_posix()}:{block.line}"


def test_every_block_of_code_is_of_a_language_that_is_tested_here() -> None:
    odd = [told(block) for block in BLOCKS if block.language not in ("json", "python", "sh", "text", "toml")]
    assert odd == []


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language in ("json", "toml")], ids=told)
def test_every_block_of_data_is_well_formed(block: Block) -> None:
    assert {"json": json.loads, "toml": tomllib.loads}[block.language](block.text)


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if any(one.language == "python" for one in blocks_of(path))],
    ids=lambda path: path.name,
)
def test_the_python_of_a_page_runs_from_top_to_bottom(path: Path, project: paths.Project) -> None:
    space: dict[str, Any] = {}
    with chdir(project.root):
        for block in blocks_of(path):
            if block.language != "python":
                continue
            tree = ast.parse(block.text, filename=told(block))
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, told(block), "exec"), space)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), told(block), "eval"), space)
                if block.result is not None:
                    assert str(value) == block.result, told(block)


def commands_of(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        for joined, part in groupby(words, key=lambda word: word in ("&&", "|", ";")):
            given = [word for word in part if not re.fullmatch(r"[A-Z_]+=.*", word)]
            if not joined and given:
                yield given


def wrong_with(words: list[str]) -> str | None:
    program, *rest = words
    name = Path(program).name
    if name == "make":
        targets = set(re.findall(r"(?m)^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8")))
        unknown = {word for word in rest if re.fullmatch(r"[a-z]+", word)} - targets
        return f"no target {sorted(unknown)}" if unknown else None
    if name == "casegrade":
        return wrong_with_options(get_command(app), rest)
    if program.startswith(".venv/bin/"):
        return None if (Path(sys.executable).parent / name).exists() else f"{program} is not installed"
    return None if name in BUILT_IN or shutil.which(name) else f"there is no {name}"


def wrong_with_options(command: Any, words: list[str]) -> str | None:
    known = {"--help"}
    for word in words:
        if word.startswith("--"):
            known |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            if word.partition("=")[0] not in known:
                return f"no option {word}"
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return f"no command {word}"
            command = command.commands[word]
    return None


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "sh"], ids=told)
def test_every_command_and_option_of_a_page_exists(block: Block) -> None:
    assert [(words, wrong) for words in commands_of(block.text) if (wrong := wrong_with(words))] == []


@pytest.mark.parametrize(
    "line",
    [
        "make coffee",
        ".venv/bin/casegrade brew",
        "casegrade report --al",
        ".venv/bin/no-such",
        "no-such-program",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    assert [wrong_with(words) for words in commands_of(line)] != [None]


def test_the_commands_of_the_tutorial_run(tmp_path: Path) -> None:
    root = synthetic.copy_of_project(tmp_path / "casegrade").root
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / name, root)
    # this environment stands for the one that `make setup` would make
    (root / ".venv").mkdir()
    (root / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    (root / ".venv" / ".ready").touch()
    settings = {name: value for name, value in os.environ.items() if name != paths.VARIABLE}
    commands = [block for block in blocks_of(TUTORIAL) if block.language == "sh"]
    assert len(commands) >= 3
    for block in commands:
        done = subprocess.run(
            ["bash", "-e", "-c", block.text],
            cwd=root,
            env=settings | {"CASEGRADE_WARM": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{told(block)}\n{done.stdout}{done.stderr}"
    assert (root / "data" / "processed" / "audits.parquet").is_file()
    assert (root / "reports" / "warwickshire" / "report.html").is_file()


@pytest.fixture
def opened(browser: Browser, site: Path) -> Iterator[Any]:
    contexts = []

    def open_page(name: str, *, width: int = 1280, **settings: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        opened = Opened(page)
        page.on("request", opened.asked)
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.goto(f"{site.as_uri()}/{name}")
        return opened

    yield open_page
    for context in contexts:
        context.close()


def test_every_page_asks_for_its_own_files_only_and_fits_a_phone(site: Path, opened: Any) -> None:
    # the cover leads on at once; a test of its own follows it
    pages = sorted({path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"index.html"})
    assert len(pages) > 20
    for name in pages:
        found = opened(name, width=320)
        found.page.wait_for_load_state("load")
        assert [url for url in found.requests if not url.startswith(f"{site.as_uri()}/")] == [], name
        assert found.complaints == [], name
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 320, name
        found.page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", KINDS)
def test_page_of_each_kind_meets_wcag(name: str, scheme: str, width: int, opened: Any) -> None:
    page = opened(name, width=width, color_scheme=scheme).page
    if name.startswith(SEARCH):
        page.get_by_text("Search finished").wait_for()
    shots = ROOT / "screenshots"
    shots.mkdir(exist_ok=True)
    stem = urlsplit(name).path.removesuffix(".html").replace("/", "-")
    page.screenshot(path=shots / f"site-{stem}-{scheme}-{width}.png")
    # the style sheets lie beside the page, where a script may not read them
    found = Axe().run(page, options={"runOnly": list(RULES), "preload": False})
    assert [
        (one["id"], [node["target"] for node in one["nodes"]]) for one in found.response["violations"]
    ] == []
    assert len(found.response["passes"]) > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", [HOME, "docs/how-to-read-a-report.html", "notebooks/02_force_report.html"])
def test_keyboard_reaches_every_link_and_table_and_shows_where_it_is(name: str, opened: Any) -> None:
    page = opened(name).page
    wanted = page.evaluate(
        """() => {
          const all = [...document.querySelectorAll("a[href], [tabindex='0'], summary, input, button")];
          const seen = all.filter((one) => one.checkVisibility());
          seen.forEach((one, number) => one.dataset.number = number);
          return seen.length;
        }"""
    )
    reached, outlined = tabbed_through(page, wanted)
    assert reached == list(range(wanted))
    assert "none" not in outlined


def test_first_tab_leads_past_the_header(opened: Any) -> None:
    page = opened(HOME).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_pages_are_listed_on_a_phone_too_once_unfolded(opened: Any) -> None:
    page = opened(HOME, width=320).page
    link = page.locator("nav.pages").get_by_role("link", name="API reference")
    assert not link.is_visible()
    page.get_by_text("All pages").click()
    assert link.is_visible()


def test_search_finds_pages_without_a_server(opened: Any) -> None:
    found = opened(HOME)
    page = found.page
    page.get_by_role("searchbox", name="Search").fill("newcombe")
    page.keyboard.press("Enter")
    page.get_by_text("Search finished").wait_for()
    page.locator("#search-results").get_by_role("link", name="Method", exact=True).click()
    page.get_by_role("heading", name="Method", exact=True).wait_for()
    assert found.complaints == []


def test_the_folder_of_the_site_opens_on_the_home_page(opened: Any, site: Path) -> None:
    page = opened("index.html").page
    page.wait_for_url(f"{site.as_uri()}/{HOME}")
    assert page.get_by_role("heading", name="casegrade").is_visible()


def test_dark_mode_is_dark(opened: Any) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    assert opened(HOME, color_scheme="dark").page.evaluate(background) == "rgb(11, 12, 12)"
    assert opened(HOME, color_scheme="light").page.evaluate(background) == "rgb(255, 255, 255)"
