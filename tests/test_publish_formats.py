import csv
import io
import json
import re
import time
import zipfile
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import synthetic
from lxml import etree

from analysis.compare import change
from analysis.compare.change import Comparison, SingleAudit
from analysis.present import wording
from analysis.publish import formats

EXAMPLES: dict[str, Any] = synthetic.MADE_UP | {
    slug: change.examine(synthetic.shipped().audits, force=slug)
    for slug in synthetic.slugs(Comparison, SingleAudit)
}
# writing a workbook takes a while: a full pair, a partial one, one audit, the odd ones
BOOKS = ("warwickshire", "metropolitan", "avon-and-somerset", "all good", "no number of cases")
AS_OF = date(2026, 10, 1)
TOLD: Any = {"status": "Draft, not signed off.", "publishers": ["HMICFRS", "BBC News"]}
LICENCE = "Data: Open Government Licence v3.0."
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
HOSTILE = '=HYPERLINK("https://evil.example", "open")'


@dataclass(frozen=True)
class Book:
    """A workbook as it is in the file: every part by name, and the cells of each sheet."""

    parts: dict[str, bytes]

    @property
    def names(self) -> list[str]:
        return [one.get("name") for one in self.tree("xl/workbook.xml").iter(f"{MAIN}sheet")]

    def tree(self, part: str) -> Any:
        return etree.fromstring(self.parts[part])

    @property
    def sheets(self) -> list[Any]:
        return [self.tree(f"xl/worksheets/sheet{number}.xml") for number in range(1, len(self.names) + 1)]

    def rows(self, sheet: str) -> list[list[str | float | None]]:
        strings = ["".join(one.itertext()) for one in self.tree("xl/sharedStrings.xml").iter(f"{MAIN}si")]
        found: list[list[str | float | None]] = []
        for row in self.sheets[self.names.index(sheet)].iter(f"{MAIN}row"):
            cells: list[str | float | None] = []
            for cell in row:
                value = cell.find(f"{MAIN}v")
                if value is None:
                    cells.append(None)
                elif cell.get("t") == "s":
                    cells.append(strings[int(value.text)])
                else:
                    cells.append(float(value.text))
            found.append(cells)
        return found

    def table(self) -> tuple[list[str], list[list[str | float | None]]]:
        rows = self.rows("Figures")
        start = next(number for number, row in enumerate(rows) if row[0] == "Force")
        return [str(head).split("\n")[0] for head in rows[start]], rows[start + 1 :]

    def words(self, sheet: str) -> str:
        return "\n".join(str(cell) for row in self.rows(sheet) for cell in row if cell is not None)


def written(examined: Any, folder: Path) -> Book:
    formats.write_xlsx(examined, folder / "figures.xlsx", licence=LICENCE, as_of=AS_OF, **TOLD)
    with zipfile.ZipFile(folder / "figures.xlsx") as archive:
        return Book({name: archive.read(name) for name in archive.namelist()})


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return cache(lambda name: written(EXAMPLES[name], tmp_path_factory.mktemp("book")))


def csv_rows(examined: Any, folder: Path) -> list[dict[str, str]]:
    formats.write_csv(examined, folder / "figures.csv")
    return list(csv.DictReader(io.StringIO((folder / "figures.csv").read_text(encoding="utf-8"))))


@pytest.mark.parametrize("name", EXAMPLES)
def test_csv_has_the_promised_columns_in_order_and_one_row_per_figure(name: str, tmp_path: Path) -> None:
    rows = csv_rows(EXAMPLES[name], tmp_path)
    first = (tmp_path / "figures.csv").read_bytes().partition(b"\n")[0]
    assert first == b"force,measure,period,value,lower,upper,n_cases,base,note"
    figures = EXAMPLES[name].figures
    assert [(row["measure"], row["period"]) for row in rows] == figures.select("measure", "period").rows()
    assert {row["force"] for row in rows} == {EXAMPLES[name].force}


def test_a_workbook_written_again_is_the_same_to_the_byte(tmp_path: Path) -> None:
    books = []
    for name in ("one.xlsx", "other.xlsx"):
        formats.write_xlsx(EXAMPLES["warwickshire"], tmp_path / name, licence=LICENCE, as_of=AS_OF, **TOLD)
        books.append((tmp_path / name).read_bytes())
        if len(books) == 1:
            # a workbook tells of its making to the second
            time.sleep(1.1)
    assert books[0] == books[1]
    assert b"2026-10-01T00:00:00Z" in written(EXAMPLES["warwickshire"], tmp_path).parts["docProps/core.xml"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_csv_holds_every_value_to_6_decimals_and_blanks_for_unknown(name: str, tmp_path: Path) -> None:
    for row, figure in zip(
        csv_rows(EXAMPLES[name], tmp_path), EXAMPLES[name].figures.iter_rows(named=True), strict=True
    ):
        for key in ("value", "lower", "upper"):
            assert row[key] == ("" if figure[key] is None else f"{figure[key]:.6f}")
        for key in ("n_cases", "base", "note"):
            assert row[key] == ("" if figure[key] is None else str(figure[key]))


def test_csv_of_warwickshire_has_the_published_figures(tmp_path: Path) -> None:
    rows = {(row["measure"], row["period"]): row for row in csv_rows(EXAMPLES["warwickshire"], tmp_path)}
    good, worse, chance = (
        rows["share_good", "change"],
        rows["share_inadequate", "change"],
        rows["superiority", "change"],
    )
    shown = [
        [round(float(row[key]), 4) for key in ("value", "lower", "upper")] for row in (good, worse, chance)
    ]
    assert shown == [[-0.0461, -0.2097, 0.145], [-0.0843, -0.2539, 0.1119], [0.5147, 0.4049, 0.6245]]
    assert (rows["share_good", "baseline"]["n_cases"], rows["share_good", "baseline"]["base"]) == ("23", "74")
    assert (rows["share_good", "follow_up"]["n_cases"], rows["share_good", "follow_up"]["base"]) == (
        "9",
        "34",
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_cell_of_the_csv_is_read_as_a_formula(name: str, tmp_path: Path) -> None:
    for row in csv_rows(EXAMPLES[name], tmp_path):
        for cell in row.values():
            assert not re.match(r"[=+@\t\r]|-\D", cell), cell


def test_csv_is_read_back_as_it_was_by_another_program(tmp_path: Path) -> None:
    csv_rows(EXAMPLES["warwickshire"], tmp_path)
    read = pl.read_csv(tmp_path / "figures.csv")
    assert read.schema["value"] == pl.Float64
    assert read.schema["n_cases"] == pl.Int64
    assert read.height == EXAMPLES["warwickshire"].figures.height


@pytest.mark.parametrize("name", BOOKS)
def test_workbook_has_cover_contents_notes_and_one_sheet_of_figures(name: str, book: Any) -> None:
    made = book(name)
    assert made.names == ["Cover", "Contents", "Notes", "Figures"]
    assert all(one.get("state") is None for one in made.tree("xl/workbook.xml").iter(f"{MAIN}sheet"))


@pytest.mark.parametrize("name", BOOKS)
def test_cover_says_whose_figures_these_are_what_they_show_and_what_they_cannot(name: str, book: Any) -> None:
    cover = book(name).words("Cover")
    assert cover.startswith(wording.title(EXAMPLES[name]))
    assert wording.headline(EXAMPLES[name]) in cover
    assert wording.LIMITS in cover
    assert LICENCE in cover


@pytest.mark.parametrize("name", BOOKS)
def test_contents_lists_the_sheet_of_figures(name: str, book: Any) -> None:
    listed = {str(row[0]) for row in book(name).rows("Contents") if row}
    assert "Figures" in listed


@pytest.mark.parametrize("name", BOOKS)
def test_file_has_a_title_that_programs_read_out(name: str, book: Any) -> None:
    core = book(name).tree("docProps/core.xml")
    assert core.findtext("{http://purl.org/dc/elements/1.1/}title") == wording.title(EXAMPLES[name])


@pytest.mark.parametrize("name", BOOKS)
def test_figures_are_one_marked_up_table_from_the_first_column(name: str, book: Any) -> None:
    made = book(name)
    heads, rows = made.table()
    assert heads == [
        "Force",
        "Measure",
        "Audit",
        "Value",
        "Interval from",
        "Interval to",
        "Cases",
        "Base",
        "How to read it",
    ]
    marked = [made.tree(part).get("ref") for part in made.parts if part.startswith("xl/tables/")]
    last = len(made.rows("Figures"))
    assert f"A{last - len(rows)}:I{last}" in marked
    assert made.rows("Figures")[0][0] == wording.title(EXAMPLES[name])


@pytest.mark.parametrize("name", BOOKS)
def test_values_are_numbers_and_every_empty_cell_says_why(name: str, book: Any) -> None:
    _, rows = book(name).table()
    figures = EXAMPLES[name].figures
    assert len(rows) == figures.height
    for row, figure in zip(rows, figures.iter_rows(named=True), strict=True):
        assert row[0] == wording.force_name(EXAMPLES[name].force)
        assert row[1:3] == [wording.measure_label(figure["measure"]), wording.PERIODS[figure["period"]]]
        for cell, key in zip(row[3:8], ("value", "lower", "upper", "n_cases", "base"), strict=True):
            if figure[key] is None:
                # a change has no count of its own, whether or not it could be worked out
                is_known = figure["value"] is not None
                assert cell == ("[z]" if is_known or (key, row[2]) == ("n_cases", "change") else "[x]")
            else:
                assert cell == pytest.approx(figure[key], abs=5e-7)
        assert row[8] == figure["note"]


@pytest.mark.parametrize("name", BOOKS)
def test_shorthand_is_explained_above_the_table(name: str, book: Any) -> None:
    made = book(name)
    _, rows = made.table()
    above = "\n".join(str(row[0]) for row in made.rows("Figures")[: -len(rows) - 1])
    used = {cell for row in rows for cell in row if isinstance(cell, str) and re.fullmatch(r"\[\w\]", cell)}
    for shorthand in used:
        assert re.search(rf"{re.escape(shorthand)} \w+", above)


@pytest.mark.parametrize("name", BOOKS)
def test_notes_explain_every_note_that_a_heading_refers_to(name: str, book: Any) -> None:
    made = book(name)
    heads = " ".join(
        str(cell) for row in made.rows("Figures") for cell in row if str(cell).startswith("Interval")
    )
    referred = set(re.findall(r"\[(note \d+)\]", heads))
    assert referred
    notes = {
        f"note {row[0]:g}" if isinstance(row[0], float) else row[0]: row for row in made.rows("Notes") if row
    }
    assert referred <= {str(one).strip("[]") for one in notes}
    assert wording.interval_sentence(EXAMPLES[name].confidence) in made.words("Notes")


@pytest.mark.parametrize("name", BOOKS)
def test_workbook_has_nothing_that_screen_readers_trip_over(name: str, book: Any) -> None:
    made = book(name)
    for sheet in made.sheets:
        for tag in (
            "f",
            "mergeCell",
            "autoFilter",
            "pane",
            "drawing",
            "legacyDrawing",
            "picture",
            "dataValidation",
        ):
            assert sheet.find(f".//{MAIN}{tag}") is None, tag
        assert not [one for one in sheet.iter(f"{MAIN}row", f"{MAIN}col") if one.get("hidden")]
        # a row without a cell between others ends the sheet for whoever reads by ear
        numbers = [int(row.get("r")) for row in sheet.iter(f"{MAIN}row")]
        assert numbers == list(range(1, len(numbers) + 1))
    assert not [
        part for part in made.parts if re.search(r"vba|macro|externalLink|media|pivot|comments", part)
    ]


@pytest.mark.parametrize("name", BOOKS)
def test_workbook_links_to_nothing_and_names_nobody(name: str, book: Any) -> None:
    made = book(name)
    for part, content in made.parts.items():
        assert b'TargetMode="External"' not in content, part
        assert not re.search(rb"/(tmp|home|root|work|Users)/", content), part
    core = made.tree("docProps/core.xml")
    assert [one.text for one in core if etree.QName(one).localname in ("creator", "lastModifiedBy")] == [
        None,
        None,
    ]


def test_words_that_look_like_a_formula_stay_words(tmp_path: Path) -> None:
    pair = EXAMPLES["level"]
    hostile = replace(pair, figures=pair.figures.with_columns(note=pl.lit(HOSTILE)))
    made = written(hostile, tmp_path)
    assert {row[8] for row in made.table()[1]} == {HOSTILE}
    assert not [one for sheet in made.sheets for one in sheet.iter(f"{MAIN}f")]
    # links from the contents to the sheets are meant
    links = [one for sheet in made.sheets for one in sheet.iter(f"{MAIN}hyperlink")]
    assert all(one.get("location") for one in links)


def test_level_of_the_intervals_is_named_in_the_notes(tmp_path: Path) -> None:
    made = written(synthetic.pair((28, 23, 23), (10, 15, 9), confidence=0.9), tmp_path)
    assert "90% interval" in made.words("Notes")


@pytest.mark.parametrize("write", ["csv", "xlsx"])
def test_nothing_is_left_open_for_another_file_to_be_written_over(write: str, tmp_path: Path) -> None:
    # twice to the same place: the second replaces the first whole
    for name in ("warwickshire", "all good"):
        if write == "csv":
            rows = csv_rows(EXAMPLES[name], tmp_path)
            assert len(rows) == EXAMPLES[name].figures.height
        else:
            assert len(written(EXAMPLES[name], tmp_path).table()[1]) == EXAMPLES[name].figures.height


NAMES = ("warwickshire", "metropolitan", "avon-and-somerset")


def described(name: str, folder: Path) -> dict[str, Any]:
    formats.write_csv(EXAMPLES[name], folder / "figures.csv")
    path = folder / "figures.csv-metadata.json"
    formats.write_csvw(EXAMPLES[name], path, described=folder / "figures.csv", licence=LICENCE, as_of=AS_OF)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_description_of_the_csv_fits_the_file_beside_it(name: str, tmp_path: Path) -> None:
    about = described(name, tmp_path)
    assert about["@context"] == ["http://www.w3.org/ns/csvw", {"@language": "en"}]
    columns = {one["name"]: one for one in about["tableSchema"]["columns"]}
    with (tmp_path / about["url"]).open(encoding=about["dialect"]["encoding"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(columns) == [one["titles"] for one in columns.values()]
    kinds: dict[str, Any] = {"string": str, "double": float, "integer": int}
    for row in rows:
        for column, text in row.items():
            if text == columns[column]["null"]:
                assert not columns[column]["required"], column
            else:
                kinds[columns[column]["datatype"]["base"]](text)
    keys = [tuple(row[key] for key in about["tableSchema"]["primaryKey"]) for row in rows]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", NAMES)
def test_description_says_what_each_column_means_and_how_old_the_data_are(name: str, tmp_path: Path) -> None:
    about = described(name, tmp_path)
    assert all(len(one["dc:description"]) > 10 for one in about["tableSchema"]["columns"])
    assert about["dc:title"] == wording.title(EXAMPLES[name])
    assert about["dc:license"] == LICENCE
    assert about["dc:modified"]["@value"] == "2026-10-01"
    assert "not a random sample" in about["dc:description"]


def with_note(text: str) -> Any:
    examined = EXAMPLES["warwickshire"]
    return replace(examined, figures=examined.figures.with_columns(note=pl.lit(text)))


HARMFUL = {
    "formula": HOSTILE,
    "formula after a blank": f" {HOSTILE}",
    "full-width formula": "\uff1d1+1",
    "command": "@SUM(1)",
    "tab": "\t=1",
    "minus": "-1+cmd",
    "script": "<script>alert(1)</script>",
    "markdown": "# **bold** [a](b)",
    "emoji": "\N{POLICE CAR} \N{FAMILY}",
    "right to left": "\u202e=1",
    "zero byte": "a\x00b",
    "lines": 'a\nb,"c"',
    "long": "word " * 10_000,
}


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
def test_whatever_a_cell_says_it_is_text_in_csv_and_spreadsheet(text: str, tmp_path: Path) -> None:
    examined = with_note(text)
    formats.write_csv(examined, tmp_path / "figures.csv")
    with (tmp_path / "figures.csv").open(encoding="utf-8", newline="") as file:
        notes = {row["note"] for row in csv.DictReader(file)}
    (note,) = notes
    assert not re.match(r"\s*[=+\-@\uff1d]|\t", note)
    assert "\u202e" not in note
    assert "\x00" not in note
    if text.isprintable() and text[0].isalpha():
        assert note == text
    formats.write_xlsx(examined, tmp_path / "figures.xlsx", licence=LICENCE, as_of=AS_OF, **TOLD)
    with zipfile.ZipFile(tmp_path / "figures.xlsx") as book:
        parts = {name: book.read(name) for name in book.namelist()}
    for name, content in parts.items():
        if name.startswith("xl/worksheets/sheet"):
            sheet = etree.fromstring(content)
            assert sheet.find(f".//{MAIN}f") is None
            assert not [link for link in sheet.iter(f"{MAIN}hyperlink") if not link.get("location")]
    strings = [
        "".join(one.itertext()) for one in etree.fromstring(parts["xl/sharedStrings.xml"]).iter(f"{MAIN}si")
    ]
    assert max(map(len, strings)) <= 32_767
    shown = text.replace("\u202e", "[U+202E]").replace("\x00", "[U+0000]").replace("](", "] (")[:1000]
    assert any(one.removeprefix("text: ").startswith(shown) for one in strings)


def test_text_that_a_spreadsheet_cannot_hold_says_where_the_rest_is(tmp_path: Path) -> None:
    formats.write_xlsx(with_note("word " * 10_000), tmp_path / "f.xlsx", licence=LICENCE, as_of=AS_OF, **TOLD)
    with zipfile.ZipFile(tmp_path / "f.xlsx") as book:
        assert b"[cut short: figures.csv has all of it]" in book.read("xl/sharedStrings.xml")
