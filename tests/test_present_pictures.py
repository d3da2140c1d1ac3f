from typing import Any

import pytest
import synthetic
from IPython.core.formatters import DisplayFormatter

from analysis.present import charts, pictures
from analysis.present.pictures import Picture


@pytest.fixture(scope="module")
def picture() -> Picture:
    return charts.picture(charts.before_after(synthetic.MADE_UP["level"]), name="chart-grades")


def shown(picture: Picture) -> dict[str, Any]:
    """What a kernel sends for a cell that ends in the picture."""
    data, _ = DisplayFormatter().format(picture)
    return dict(data)


def test_in_a_notebook_of_ones_own_a_picture_is_drawn_at_once(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(pictures.VARIABLE, raising=False)
    bundle = shown(picture)
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/html"].startswith('<figure class="chart" id="chart-grades">')


def test_a_kernel_that_makes_a_report_hands_pictures_over_and_draws_none(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(pictures.VARIABLE, pictures.LATER)
    monkeypatch.setattr(Picture, "html", property(lambda self: pytest.fail("it was drawn")))
    assert set(shown(picture)) == {"text/plain", pictures.HANDED_OVER}


def test_a_picture_that_was_handed_over_is_the_one_that_would_have_been_drawn(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(pictures.VARIABLE, raising=False)
    at_once = shown(picture)
    monkeypatch.setenv(pictures.VARIABLE, pictures.LATER)
    assert pictures.drawn(shown(picture)) == at_once


def test_what_is_no_picture_stays_as_it_is() -> None:
    bundle = {"text/plain": "4", "text/html": "<p>4</p>"}
    assert pictures.drawn(bundle) == bundle


def test_getting_ready_to_draw_leaves_nothing_behind_and_can_be_done_twice(picture: Picture) -> None:
    pictures.make_ready()
    pictures.make_ready()
    assert picture.svg.startswith("<svg ")
