import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pikepdf
import pytest
import synthetic
from lxml import html
from markupsafe import escape
from typer.testing import CliRunner

from analysis import cli, paths
from analysis.publish import batch, gate, pdf, record, shelf
from analysis.publish.record import PDF

# one run for all tests here, and WeasyPrint is slow to load
pytestmark = pytest.mark.xdist_group("pdf")

ROOT = Path(__file__).resolve().parents[1]
FORCES = ("warwickshire", "metropolitan", "avon-and-somerset")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> paths.Project:
    project = synthetic.copy_of_project(tmp_path_factory.mktemp("pdf") / "project")
    results = batch.run(
        project, shelf.at(project.reports), batch.Asked(FORCES, formats=frozenset([PDF])), jobs=2
    )
    assert all(result.outcome != "failed" for result in results), results
    return project


def page(project: paths.Project, force: str) -> str:
    return (project.reports / force / "report.html").read_text(encoding="utf-8")


def made(project: paths.Project, force: str) -> pikepdf.Pdf:
    return pikepdf.open(project.reports / force / record.PDF_FILE)


def elements(file: pikepdf.Pdf) -> Iterator[Any]:
    """Every structure element, in reading order."""

    def below(node: Any) -> Iterator[Any]:
        if isinstance(node, pikepdf.Array):
            for one in node:
                yield from below(one)
        elif isinstance(node, pikepdf.Dictionary):
            if "/S" in node and node.get("/Type") != "/MCR":
                yield node
            if "/K" in node:
                yield from below(node.K)

    return below(file.Root.StructTreeRoot.K)


def tagged(file: pikepdf.Pdf, *tags: str) -> list[Any]:
    return [one for one in elements(file) if str(one.S) in tags]


@pytest.mark.parametrize("force", FORCES)
def test_pdf_is_tagged_named_and_in_british_english(force: str, project: paths.Project) -> None:
    file = made(project, force)
    title = html.document_fromstring(page(project, force)).findtext(".//title")
    assert file.Root.MarkInfo.Marked
    assert file.Root.Lang == "en-GB"
    assert file.Root.ViewerPreferences.DisplayDocTitle
    assert str(file.docinfo.Title) == title
    with file.open_metadata() as metadata:
        assert metadata["dc:title"] == title
        assert str(metadata["pdfuaid:part"]) == "1"
    assert all(one.Tabs == "/S" for one in file.pages)


@pytest.mark.parametrize("force", FORCES)
def test_charts_have_the_words_of_the_page_as_descriptions(force: str, project: paths.Project) -> None:
    tree = html.document_fromstring(page(project, force))
    told = [f"{one.findtext('title')}. {one.findtext('desc')}" for one in tree.iterfind(".//figure//svg")]
    file = made(project, force)
    figures = tagged(file, "/Figure")
    assert [str(one.Alt) for one in figures] == told
    assert told
    assert all("/BBox" in one.A for one in figures)


@pytest.mark.parametrize("force", FORCES)
def test_tables_have_captions_and_header_cells_with_scope(force: str, project: paths.Project) -> None:
    tree = html.document_fromstring(page(project, force))
    file = made(project, force)
    tables = tagged(file, "/Table")
    # one that goes on over the page is two
    assert len(tables) >= len(tree.findall(".//table")) > 0
    assert len(tagged(file, "/Caption")) >= len(tree.findall(".//table"))
    scopes = [str(one.A.Scope) for one in tagged(file, "/TH")]
    assert {"/Column", "/Row"} == set(scopes)
    for cell in tagged(file, "/TD"):
        assert len(cell.A.Headers) >= 1


@pytest.mark.parametrize("force", FORCES)
def test_headings_are_those_of_the_page_in_their_order(force: str, project: paths.Project) -> None:
    tree = html.document_fromstring(page(project, force))
    levels = [f"/{one.tag.upper()}" for one in tree.xpath("//h1 | //h2 | //h3")]
    file = made(project, force)
    assert [str(one.S) for one in tagged(file, "/H1", "/H2", "/H3")] == levels


def test_same_page_makes_the_same_bytes(project: paths.Project) -> None:
    text = page(project, "avon-and-somerset")
    assert pdf.render(text, is_draft=True) == pdf.render(text, is_draft=True)


def test_draft_is_marked_on_every_sheet_and_what_is_published_is_not(project: paths.Project) -> None:
    text = page(project, "avon-and-somerset")
    draft, published = (pikepdf.open(io.BytesIO(pdf.render(text, is_draft=one))) for one in (True, False))
    assert len(draft.pages) == len(published.pages) > 1
    for marked, plain in zip(draft.pages, published.pages, strict=True):
        # a word across the sheet, which screen readers skip
        assert drawn(marked)["Do", True] == 1
        assert drawn(plain)["Do", True] == 0
    # and a line above it
    assert drawn(draft.pages[0])["BT", False] == drawn(published.pages[0])["BT", False] + 1


def drawn(sheet: Any) -> Counter[tuple[str, bool]]:
    """How often something is drawn, by operator, and whether it is an artifact: no part of the document."""
    found: Counter[tuple[str, bool]] = Counter()
    around: list[bool] = []
    for operands, operator in pikepdf.parse_content_stream(sheet):
        if str(operator) in ("BDC", "BMC"):
            around.append(str(operands[0]) == "/Artifact")
        elif str(operator) == "EMC":
            around.pop()
        found[str(operator), any(around)] += 1
    return found


def bare(body: str) -> str:
    return f'<!doctype html><html lang="en"><head><title>T</title></head><body><h1>H</h1>{body}</body></html>'


def test_nothing_is_loaded(tmp_path: Path) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', encoding="utf-8")
    text = bare('<img src="{}" alt="x">')
    with_file = pdf.render(text.format(secret.as_uri()), is_draft=False)
    with_nothing = pdf.render(text.format("data:,"), is_draft=False)
    assert b"/Image" not in with_file
    assert abs(len(with_file) - len(with_nothing)) < 200


@pytest.mark.parametrize("odd", ["\N{POLICE CAR}", "\u202eabc", "<script>x</script>", "w" * 10_000])
def test_odd_words_do_not_stop_it(odd: str) -> None:
    assert pdf.render(bare(f"<p>{escape(odd)}</p>"), is_draft=True).startswith(b"%PDF-")


def test_record_knows_the_pdf_and_a_run_without_one_leaves_it(project: paths.Project) -> None:
    known = shelf.recorded(shelf.at(project.reports), "warwickshire")
    assert known is not None
    assert known.formats == (PDF,)
    assert known.outputs[record.PDF_FILE] == record.sha256(
        (project.reports / "warwickshire" / record.PDF_FILE).read_bytes()
    )
    (again,) = batch.run(project, shelf.at(project.reports), batch.Asked(("warwickshire",)))
    assert not again.is_new


def test_page_that_the_gate_refuses_becomes_no_pdf(tmp_path: Path) -> None:
    project = synthetic.copy_of_project(tmp_path / "project")
    synthetic.small(project, "from IPython.display import HTML\nHTML('<p>99% of cases</p>')")
    (result,) = batch.run(
        project, shelf.at(project.reports), batch.Asked(("dorset",), formats=frozenset([PDF]))
    )
    assert result.outcome == "failed"
    assert gate.Rule.NUMBER in result.headline
    assert not list(project.reports.rglob("*.pdf"))


HIDING = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "weasyprint":
            raise {error}
sys.meta_path.insert(0, Hidden())
from analysis import cli
cli.main()
"""


@pytest.mark.parametrize(
    "error",
    [
        "ModuleNotFoundError(\"No module named 'weasyprint'\")",
        "OSError('cannot load library libpango-1.0-0: x')",
    ],
    ids=["no package", "no libraries"],
)
def test_missing_libraries_are_told_in_a_sentence_and_nothing_is_made(error: str, tmp_path: Path) -> None:
    project = synthetic.copy_of_project(tmp_path / "project")
    done = subprocess.run(
        [sys.executable, "-c", HIDING.format(error=error), "report", "dorset", "--pdf"],
        env={**os.environ, paths.VARIABLE: str(project.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "A PDF needs WeasyPrint and the Pango libraries" in done.stderr
    assert "apt-get install" in done.stderr
    assert "Traceback" not in done.stderr
    assert not project.reports.exists()


def test_command_makes_a_pdf_beside_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = synthetic.copy_of_project(tmp_path / "project")
    monkeypatch.setenv(paths.VARIABLE, str(project.root))
    done = CliRunner().invoke(cli.app, ["report", "avon-and-somerset", "--pdf"])
    assert done.exit_code == 0, done.stderr
    assert (project.reports / "avon-and-somerset" / record.PDF_FILE).read_bytes().startswith(b"%PDF-")
