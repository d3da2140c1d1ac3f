import re
import struct
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import synthetic
import vl_convert
from lxml import etree

from analysis.compare import change
from analysis.compare.change import Comparison, SingleAudit
from analysis.present import charts, pictures, plainly, slide, wording
from analysis.publish import formats

SLUGS = synthetic.slugs(Comparison, SingleAudit)
PUBLISHERS = ("HMICFRS", "BBC News")
STATUS = "Published 24 November 2026. Data as of 23 November 2026, version 1.0.0."


def examined(slug: str) -> Any:
    return synthetic.MADE_UP.get(slug) or change.examine(synthetic.shipped().audits, force=slug)


TOLD: Any = {"status": STATUS, "is_draft": True, "publishers": PUBLISHERS}


def chart(slug: str) -> str | None:
    one = examined(slug)
    is_known = one.figures["value"].is_not_null().any()
    return charts.picture(charts.before_after(one), name="chart-grades").svg if is_known else None


def drawn(slug: str, **given: Any) -> Any:
    told = {**TOLD, "drawing": chart(slug), "is_draft": False, **given}
    return etree.fromstring(slide.svg(examined(slug), **told))


def words(tree: Any) -> str:
    return " ".join(" ".join(tree.itertext()).split())


@pytest.mark.parametrize("slug", SLUGS)
def test_slide_says_what_was_graded_how_sure_the_limits_and_how_old_it_is(slug: str) -> None:
    told = words(drawn(slug))
    for sentence in (wording.title(examined(slug)), wording.headline(examined(slug)), wording.LIMITS, STATUS):
        assert sentence in told
    assert "Source: HMICFRS; BBC News." in told
    if isinstance(examined(slug), Comparison) and wording.known_changes(examined(slug)):
        assert "95% intervals" in told
    assert "…" not in told


@pytest.mark.parametrize("slug", [*SLUGS, *synthetic.MADE_UP])
def test_texts_stay_on_the_slide_and_do_not_lie_on_each_other(slug: str) -> None:
    lines = []
    for text in drawn(slug).iterfind("{*}text"):
        y, size = float(text.get("y")), float(text.get("font-size"))
        for part in text.iterfind("{*}tspan"):
            y += float(part.get("dy"))
            # letters are about half as wide as they are high
            x = float(part.get("x"))
            lines.append((x, y, x + len(part.text) * size * 0.5, size))
    assert all(end < slide.WIDTH and y < slide.HEIGHT - 10 for _, y, end, _ in lines)
    for number, (x, y, end, _) in enumerate(lines):
        for other_x, other_y, other_end, size in lines[number + 1 :]:
            if x < other_end and other_x < end:
                assert abs(other_y - y) >= size, (slug, lines[number])


def test_graded_by_the_force_itself_is_not_said_to_be_chosen_by_inspectors() -> None:
    graded = synthetic.shipped().audits.filter(
        (pl.col("graded_by") == "force") & (pl.col("area") == "overall") & pl.col("n_good").is_not_null()
    )
    row = graded.rows(named=True)[0]
    one = change.examine(graded.filter(pl.col("inspection_id") == row["inspection_id"]), force=row["force"])
    told = words(etree.fromstring(slide.svg(one, drawing=None, **TOLD)))
    assert "The force graded these cases itself." in told
    assert wording.LIMITS not in told


def test_draft_is_marked_and_what_is_published_is_not() -> None:
    assert "DRAFT" in words(drawn("dorset", is_draft=True))
    assert "DRAFT" not in words(drawn("dorset"))


def test_description_tells_the_grades() -> None:
    told = slide.description(examined("warwickshire"))
    assert (
        "February 2022, 74 cases: 28 inadequate (38%), 23 requires improvement (31%), 23 good (31%)." in told
    )
    assert wording.headline(examined("warwickshire")) in told


@pytest.mark.parametrize(
    "odd", ["<script>alert(1)</script>", "a & b", "=1+1", "\u202eabc", "\N{POLICE CAR}", "w" * 10_000]
)
def test_odd_words_are_words(odd: str) -> None:
    tree = drawn("dorset", status=odd)
    assert not tree.xpath("//*[local-name()='script']")
    assert plainly.harmless(odd)[:20].strip() in words(tree)


@pytest.mark.parametrize("slug", ["warwickshire", "surrey"])
def test_picture_is_1200_by_675_the_same_every_time_and_carries_its_description(
    slug: str, tmp_path: Path
) -> None:
    for name in ("one.png", "two.png"):
        formats.write_png(examined(slug), tmp_path / name, drawing=chart(slug), **TOLD)
    content = (tmp_path / "one.png").read_bytes()
    assert content == (tmp_path / "two.png").read_bytes()
    chunks, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(body)
        chunks.setdefault(body[:4], body[4:])
        at += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (1200, 675)
    assert chunks[b"iTXt"].endswith(slide.description(examined(slug)).encode())
    assert chunks[b"IEND"] == b""


def test_words_of_the_chart_are_drawn_where_there_is_no_arial() -> None:
    text = slide.svg(examined("warwickshire"), drawing=chart("warwickshire"), **TOLD)
    start = text.index("<svg x=")
    within = text[start : text.index("</svg>", start)]
    without_words = re.sub(r"<text.*?</text>", "", within, flags=re.DOTALL)
    assert without_words != within
    full, bare = (vl_convert.svg_to_png(text.replace(within, one)) for one in (within, without_words))
    assert len(full) > len(bare)


def test_chart_of_a_notebook_that_was_run_is_found_by_its_name() -> None:
    figure = charts.picture(charts.before_after(examined("dorset")), name="chart-grades")
    notebook = {
        "cells": [
            {"outputs": [{"data": {"text/html": ["<p>", "</p>"]}}]},
            {"outputs": [{"data": {"text/html": figure.html}}]},
        ]
    }
    assert pictures.found(notebook, "chart-grades") == figure.svg
    assert pictures.found(notebook, "chart-changes") is None
