import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import altair as alt
import pytest
import synthetic
from lxml import etree, html

from analysis.compare import change
from analysis.compare.change import Comparison, SingleAudit
from analysis.compare.shares import CHANGE, measure_of
from analysis.evidence.cleaning import Evidence
from analysis.present import charts, wording
from analysis.vocabulary import Grade

SVG = "{http://www.w3.org/2000/svg}"

# Government Analysis Function, "Data visualisation: colours in charts"
PALETTE = ("#12436D", "#28A197", "#801650", "#F46A25", "#3D3D3D", "#A285D1")
PAPER, INK = "#FFFFFF", "#0B0C0C"


def layers(chart: alt.LayerChart) -> list[dict[str, Any]]:
    spec = chart.to_dict()
    found: list[dict[str, Any]] = spec["layer"]
    for layer in found:
        # consolidated data sets stand apart from the layers that draw them
        if "name" in layer.get("data", {}):
            layer["data"] = {"values": spec["datasets"][layer["data"]["name"]]}
    return found


def layer_of(chart: alt.LayerChart, mark: str) -> dict[str, Any]:
    return next(layer for layer in layers(chart) if layer["mark"]["type"] == mark)


def fields_drawn(encoding: Any) -> Iterator[str]:
    if isinstance(encoding, dict):
        if "field" in encoding:
            yield encoding["field"]
        for part in encoding.values():
            yield from fields_drawn(part)
    elif isinstance(encoding, list):
        for part in encoding:
            yield from fields_drawn(part)


def luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def colours_of(chart: alt.LayerChart) -> dict[str, str]:
    scale = layer_of(chart, "bar")["encoding"]["color"]["scale"]
    return dict(zip(scale["domain"], scale["range"], strict=True))


def bars(chart: alt.LayerChart) -> dict[str, list[dict[str, Any]]]:
    """The segments of each bar as they are drawn: bars from above, segments from the left."""
    layer = layer_of(chart, "bar")
    drawn: dict[str, list[dict[str, Any]]] = {audit: [] for audit in layer["encoding"]["y"]["sort"]}
    for row in sorted(layer["data"]["values"], key=lambda row: row["order"]):
        drawn[row["audit"]].append(row)
    return drawn


def drawn_colours(chart: alt.LayerChart) -> set[str]:
    return {found.upper() for found in re.findall(r"#[0-9A-Fa-f]{6}\b", str(chart.to_dict()))}


MADE_UP: dict[str, Comparison | SingleAudit] = {
    "both ranges on one side": synthetic.pair((5, 60, 5), (30, 10, 30)),
    "level": synthetic.pair((10, 20, 10), (20, 40, 20)),
    "a grade without cases": synthetic.pair((10, 0, 30), (0, 20, 20)),
    "all good": synthetic.pair((0, 0, 30), (0, 0, 40)),
    "four grades": synthetic.pair((5, 6, 7, 8), (8, 7, 6, 5), scale="four grades"),
    "below good on one side": synthetic.pair(
        (None, None, 20), (20, 20, 40), earlier={"n_cases": 80, "n_below_good": 60}
    ),
    "an ampersand in the name": synthetic.pair(
        (5, 6, 7),
        (7, 6, 5),
        earlier={"force": "devon-and-cornwall"},
        later={"force": "devon-and-cornwall"},
    ),
    "one grade known": synthetic.single((30, None, None), n_cases=79),
    "no grade known": synthetic.single((None, None, None), n_cases=31),
}
# every rule below holds for the shipped audits and for made-up ones
EXAMPLES: dict[str, Any] = MADE_UP | {
    slug: change.examine(synthetic.shipped().audits, force=slug)
    for slug in synthetic.slugs(Comparison, SingleAudit)
}
PAIRS = [name for name, one in EXAMPLES.items() if isinstance(one, Comparison)]


@cache
def pictures(name: str) -> list[charts.Picture]:
    """The pictures of an example, drawn once: drawing takes a quarter of a second."""
    made = [charts.picture(charts.before_after(EXAMPLES[name]), name="chart-grades")]
    if name in PAIRS:
        made.append(charts.picture(charts.changes(EXAMPLES[name]), name="chart-changes"))
    return made


@pytest.mark.parametrize("slug", SLUGS)
def test_grades_chart_of_every_force_holds_nothing_that_it_does_not_show(name: str) -> None:
    for layer in layers(charts.before_after(EXAMPLES[name])):
        shown = set(fields_drawn(layer["encoding"]))
        for row in layer["data"]["values"]:
            assert set(row) <= shown


@pytest.mark.parametrize("slug", SLUGS)
def test_changes_chart_of_every_force_holds_nothing_that_it_does_not_show(name: str) -> None:
    for layer in layers(charts.changes(EXAMPLES[name])):
        # a layer shares the rows of the layer it is drawn over
        shown = {field for one in layers(charts.changes(EXAMPLES[name])) for field in fields_drawn(one)}
        for row in layer["data"]["values"]:
            assert set(row) <= shown


@pytest.mark.parametrize("slug", SLUGS)
def test_segments_of_every_force_are_the_shares_in_the_figures(name: str) -> None:
    examined = EXAMPLES[name]
    drawn = bars(charts.before_after(examined))
    names = {measure_of(grade): grade.value for grade in Grade} | {
        "share_below_good": "below good, not told apart"
    }
    for (audit, segments), period in zip(drawn.items(), wording.periods(examined), strict=True):
        known = {
            names[row["measure"]]: (row["value"], row["n_cases"])
            for row in examined.figures.iter_rows(named=True)
            if row["period"] == period and row["measure"] in names and row["value"] is not None
        }
        assert {one["grade"]: (one["share"], one["n_cases"]) for one in segments} == known, audit


@pytest.mark.parametrize("slug", SLUGS)
def test_full_bars_of_every_force_add_to_all_cases(name: str) -> None:
    examined = EXAMPLES[name]
    drawn = bars(charts.before_after(examined))
    for segments, period in zip(drawn.values(), wording.periods(examined), strict=True):
        audit = wording.audit_of(examined, period)
        if audit.ordered_counts is not None:
            assert sum(one["n_cases"] for one in segments) == audit.n_cases
            assert sum(one["share"] for one in segments) == pytest.approx(1)


def test_a_grade_that_only_one_of_two_audits_could_give_is_drawn_all_the_same() -> None:
    pair = synthetic.pair((9, 20, 12), (9, 8, 20, 12), later={"scale": "four grades"})
    for segments in bars(charts.before_after(pair)).values():
        assert sum(one["share"] for one in segments) == pytest.approx(1)


@pytest.mark.parametrize("name", EXAMPLES)
def test_grades_run_from_worst_to_best_and_the_earlier_audit_is_above(name: str) -> None:
    examined = EXAMPLES[name]
    chart = charts.before_after(examined)
    worst_to_best = ["below good, not told apart", *(grade.value for grade in Grade)]

    legend = list(colours_of(chart))
    assert legend == sorted(legend, key=worst_to_best.index)
    for segments in bars(chart).values():
        names = [one["grade"] for one in segments]
        assert names == sorted(names, key=worst_to_best.index)
        assert [one["order"] for one in segments] == sorted({one["order"] for one in segments})
    dates = [wording.when(wording.audit_of(examined, period)) for period in wording.periods(examined)]
    for label, date in zip(bars(chart), dates, strict=True):
        assert date.lower() in label.lower()


@pytest.mark.parametrize("slug", SLUGS)
def test_order_is_explicit_in_every_layer_of_every_force(name: str) -> None:
    examined = EXAMPLES[name]
    found = layers(charts.before_after(examined))
    if isinstance(examined, Comparison):
        found += [one for one in layers(charts.changes(examined)) if "y" in one["encoding"]]
    for layer in found:
        # without a sort Vega orders by alphabet: "after" above "before"
        assert isinstance(layer["encoding"]["y"]["sort"], list)
        if layer["mark"]["type"] == "bar":
            assert layer["encoding"]["order"]["field"] == "order"
            assert layer["encoding"]["x"]["stack"] == "zero"


@pytest.mark.parametrize("slug", SLUGS)
def test_bars_of_every_force_start_at_0_and_end_at_100_percent(name: str) -> None:
    layer = layer_of(charts.before_after(EXAMPLES[name]), "bar")
    assert layer["encoding"]["x"]["scale"]["domain"] == [0, 1]
    svg = charts.picture(charts.before_after(EXAMPLES[name]), name="c").svg
    assert re.findall(r">(\d+%)</text>", svg) == ["0%", "50%", "100%"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_segments_are_in_the_colours_of_the_analysis_function(name: str) -> None:
    assert set(colours_of(charts.before_after(EXAMPLES[name])).values()) <= set(PALETTE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_other_colour_is_ink_paper_or_grey(name: str) -> None:
    examined = EXAMPLES[name]
    found = drawn_colours(charts.before_after(examined))
    if isinstance(examined, Comparison):
        found |= drawn_colours(charts.changes(examined))
    others = found - set(PALETTE) - {PAPER, INK, "#000000"}
    assert {colour for colour in others if len({colour[1:3], colour[3:5], colour[5:]}) > 1} == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_grade_has_one_colour_in_both_bars_and_no_other_grade_has_it(name: str) -> None:
    colours = colours_of(charts.before_after(EXAMPLES[name]))
    assert len(set(colours.values())) == len(colours)


@pytest.mark.parametrize("name", EXAMPLES)
def test_counts_can_be_read_on_their_segments(name: str) -> None:
    chart = charts.before_after(EXAMPLES[name])
    colours = colours_of(chart)
    for segments in bars(chart).values():
        for one in segments:
            assert contrast(one["text_colour"], colours[one["grade"]]) >= 4.5, one["grade"]
            assert one["shown"] == (str(one["n_cases"]) if one["n_cases"] else "")


def test_a_count_stays_off_a_segment_that_is_narrower_than_the_count() -> None:
    # 1 of 202 is 2 pixels wide: white digits would stand on their neighbours or on paper
    chart = charts.before_after(synthetic.pair((1, 200, 1), (2, 150, 1)))
    width = chart.to_dict()["width"]
    for segments in bars(chart).values():
        for one in segments:
            assert one["share"] * width >= 8 * len(one["shown"]), one


@pytest.mark.parametrize("name", EXAMPLES)
def test_text_beside_the_bars_can_be_read_on_paper(name: str) -> None:
    spec = charts.before_after(EXAMPLES[name]).to_dict()
    config = spec["config"]
    told = [config["axis"]["labelColor"], config["axis"]["titleColor"], config["legend"]["labelColor"]]
    told += [config["title"]["color"], config["title"]["subtitleColor"]]
    for colour in told:
        assert contrast(colour, PAPER) >= 4.5


@pytest.mark.parametrize("name", EXAMPLES)
def test_segments_stand_out_from_the_paper(name: str) -> None:
    for colour in colours_of(charts.before_after(EXAMPLES[name])).values():
        assert contrast(colour, PAPER) >= 3


def assert_neighbours_can_be_told_apart(examined: Comparison | SingleAudit) -> None:
    chart = charts.before_after(examined)
    colours = colours_of(chart)
    bar = layer_of(chart, "bar")["mark"]
    # a grade between two neighbours that has no cases brings colours together that are not
    # neighbours in the palette; no three colours differ by 3 to 1 from one another and from
    # paper, so a white line must part them
    assert (bar["stroke"], bar["strokeWidth"]) == (PAPER, 2)
    ladder = list(colours)
    for segments in bars(chart).values():
        drawn = [one for one in segments if one["n_cases"]]
        for left, right in pairwise(drawn):
            places = [ladder.index(one["grade"]) for one in (left, right)]
            is_next = places[1] - places[0] == 1 or left["grade"].startswith("below good")
            pair = [colours[one["grade"]] for one in (left, right)]
            assert not is_next or contrast(*pair) >= 3, (left["grade"], right["grade"], contrast(*pair))


@pytest.mark.parametrize("slug", SLUGS)
def test_neighbouring_segments_of_every_force_can_be_told_apart(name: str) -> None:
    assert_neighbours_can_be_told_apart(EXAMPLES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_neighbouring_segments_of_made_up_audits_can_be_told_apart(name: str) -> None:
    assert_neighbours_can_be_told_apart(EXAMPLES[name])


@pytest.mark.parametrize("slug", SLUGS)
def test_changes_of_every_force_are_those_in_the_figures(name: str) -> None:
    pair = EXAMPLES[name]
    drawn = layer_of(charts.changes(pair), "point")["data"]["values"]
    expected = []
    for grade in (Grade.INADEQUATE, Grade.GOOD):
        row = wording.figure(pair, measure_of(grade), CHANGE)
        if row["value"] is not None:
            expected.append((row["value"], row["lower"], row["upper"]))
    assert [(one["value"], one["lower"], one["upper"]) for one in drawn] == expected


@pytest.mark.parametrize("slug", SLUGS)
def test_changes_of_every_force_stand_beside_a_labelled_line_at_no_change(name: str) -> None:
    chart = charts.changes(EXAMPLES[name])
    lines = [
        one
        for one in layers(chart)
        if any(row.get("zero") == 0 for row in one["data"]["values"])
        and one["encoding"]["x"]["field"] == "zero"
    ]
    assert {one["mark"]["type"] for one in lines} == {"rule", "text"}
    label = next(one for one in lines if one["mark"]["type"] == "text")
    assert label["encoding"]["text"]["field"] == "label"
    assert label["data"]["values"][0]["label"] == "no change"
    assert ">no change</text>" in charts.picture(chart, name="c").svg


@pytest.mark.parametrize("name", [name for name, one in EXAMPLES.items() if isinstance(one, Comparison)])
def test_0_is_readable_on_the_axis_of_changes(name: str) -> None:
    pair = EXAMPLES[name]
    assert isinstance(pair, Comparison)
    svg = charts.picture(charts.changes(pair), name="c").svg
    # Vega hides labels that run into each other by making them transparent
    assert re.search(r'opacity="1">0</text>', svg)


def test_0_is_readable_on_the_axis_of_a_narrow_range(evidence: Evidence) -> None:
    svg = charts.picture(charts.changes(compared("metropolitan", evidence)), name="c").svg
    assert re.search(r'opacity="1">0</text>', svg)


def test_whiskers_and_dots_show_the_interval_and_the_change() -> None:
    chart = charts.changes(synthetic.pair((28, 23, 23), (10, 15, 9)))
    whiskers = next(one for one in layers(chart) if "x2" in one["encoding"])
    assert (whiskers["encoding"]["x"]["field"], whiskers["encoding"]["x2"]["field"]) == ("lower", "upper")
    assert layer_of(chart, "point")["encoding"]["x"]["field"] == "value"
    assert whiskers["mark"]["color"] in PALETTE


def figure_of(picture: charts.Picture) -> Any:
    return html.fragment_fromstring(picture._repr_html_())


@pytest.mark.parametrize("slug", SLUGS)
def test_picture_of_every_force_is_one_image_with_a_name_and_a_description(name: str) -> None:
    for picture in pictures(name):
        drawing = etree.fromstring(picture.svg)
        assert drawing.get("role") == "img"
        named = drawing.get("aria-labelledby").split()
        told = {one.get("id"): one.text for one in drawing.iter(f"{SVG}title", f"{SVG}desc")}
        assert [told[name] for name in named] == [picture.title, picture.description]
        assert all(text.strip() for text in told.values())
        # Vega names each mark with its values; a screen reader would read those in place of the words
        marks = [one for one in drawing.iter() if one is not drawing]
        assert not [one for one in marks for name in one.attrib if name.startswith("aria-") or name == "role"]


@pytest.mark.parametrize("slug", SLUGS)
def test_picture_of_every_force_runs_nothing_and_loads_nothing(name: str) -> None:
    for picture in pictures(name):
        drawing = etree.fromstring(picture.svg)
        assert {etree.QName(one).localname for one in drawing.iter()} <= {
            "svg", "title", "desc", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath",
        }  # fmt: skip
        for one in drawing.iter():
            for name, value in one.attrib.items():
                assert not name.lower().startswith("on")
                assert "href" not in name
                assert not re.search(r"https?:|//|data:|url\((?!#)", value), value


@pytest.mark.parametrize("slug", SLUGS)
def test_description_of_every_force_tells_every_count_that_is_drawn(name: str) -> None:
    examined = EXAMPLES[name]
    description = charts.picture(charts.before_after(examined), name="c").description
    for segments in bars(charts.before_after(examined)).values():
        for one in segments:
            grade = one["grade"].split(",")[0]
            assert re.search(
                rf"\b{one['n_cases']} {grade} \({wording.percent(one['share'], base=1)[:1]}", description
            )
    for period in wording.periods(examined):
        assert f"{wording.audit_of(examined, period).n_cases} cases" in description


@pytest.mark.parametrize("slug", SLUGS)
def test_description_of_every_force_tells_every_change_and_range(name: str) -> None:
    pair = EXAMPLES[name]
    description = charts.picture(charts.changes(pair), name="c").description
    for grade in (Grade.INADEQUATE, Grade.GOOD):
        row = wording.figure(pair, measure_of(grade), CHANGE)
        told = description.partition(f"Share {grade.value}:")[2].partition("Share ")[0]
        if row["value"] is None:
            assert "not worked out" in told
            continue
        sizes = [wording.points(row[key]) for key in ("value", "lower", "upper")]
        assert re.findall(r"\d+", told) == sizes
        ways = ["rise" if row[key] > 0 else "fall" for key in ("value", "lower", "upper")]
        assert re.findall(r"rise|fall", told) == ways


@pytest.mark.parametrize("slug", SLUGS)
def test_picture_as_plain_text_is_its_title_and_description(name: str) -> None:
    for picture in pictures(name):
        words = repr(picture)
        assert words.endswith(picture.description)
        assert picture.title in words
        assert picture.subtitle in words
        assert "<" not in words


@pytest.mark.parametrize("slug", SLUGS)
def test_title_stands_outside_the_drawing_as_text(name: str) -> None:
    for picture in pictures(name):
        figure = figure_of(picture)
        caption = "".join(figure.find("figcaption").itertext())
        assert picture.title in caption
        assert picture.subtitle in caption
        drawn = [text for node in figure.iterfind(".//text") for text in node.itertext()]
        assert picture.title not in " ".join(drawn)


def test_two_pictures_on_one_page_share_no_id() -> None:
    page = "".join(one._repr_html_() for one in pictures(synthetic.pair((28, 23, 23), (10, 15, 9))))
    ids = [one.get("id") for one in html.fragment_fromstring(page, create_parent=True).iterfind(".//*[@id]")]
    assert len(ids) == len(set(ids))
    assert {"chart-grades", "chart-changes"} <= set(ids)


def test_ids_inside_a_drawing_are_its_own_and_are_all_found() -> None:
    # a gradient is the drawing's own thing that other marks refer to by id
    filled = alt.LayerChart(
        layer=[
            alt.Chart(alt.Data(values=[{"x": 1}]))
            .mark_bar(
                clip=True,
                color=alt.Gradient(
                    gradient="linear",
                    stops=[
                        alt.GradientStop(color="#12436D", offset=0),
                        alt.GradientStop(color="#28A197", offset=1),
                    ],
                ),
            )
            .encode(x="x:Q")
        ]
    ).properties(title=alt.Title(text="Title", subtitle=["Sub"]), description="Words")
    drawings = [etree.fromstring(charts.picture(filled, name=name).svg) for name in ("one", "two")]
    ids = [one.get("id") for drawing in drawings for one in drawing.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    for name, drawing in zip(("one", "two"), drawings, strict=True):
        named = re.findall(r"url\(#([^)]+)\)", etree.tostring(drawing, encoding="unicode"))
        assert named
        assert set(named) <= {one for one in ids if one.startswith(f"{name}-")}


def test_words_in_a_picture_are_escaped() -> None:
    hostile = '<script>alert("x")</script> & co'
    chart = charts.before_after(synthetic.pair((28, 23, 23), (10, 15, 9)))
    chart = chart.properties(title=alt.Title(text=hostile, subtitle=[hostile]), description=hostile)
    picture = charts.picture(chart, name="c")
    assert "<script" not in picture._repr_html_()
    assert etree.fromstring(picture.svg).find(f"{SVG}desc").text == hostile
    assert "".join(figure_of(picture).find("figcaption").itertext()) == f"{hostile} {hostile}"


@pytest.mark.parametrize("missing", ["title", "description"])
def test_picture_without_words_is_refused(missing: str) -> None:
    chart = charts.before_after(synthetic.pair((28, 23, 23), (10, 15, 9)))
    setattr(chart, missing, alt.Undefined)
    with pytest.raises(ValueError, match=r"needs a title and a description"):
        charts.picture(chart, name="c")


def test_picture_is_drawn_the_same_every_time() -> None:
    pair = synthetic.pair((28, 23, 23), (10, 15, 9))
    one, other = (charts.picture(charts.before_after(pair), name="c").svg for _ in range(2))
    assert one == other


def test_picture_fits_a_phone_and_scales() -> None:
    for picture in pictures(synthetic.pair((28, 23, 23), (10, 15, 9))):
        drawing = etree.fromstring(picture.svg)
        assert drawing.get("width") == "100%"
        assert drawing.get("viewBox")


@pytest.mark.parametrize("slug", SLUGS)
def test_no_drawing_of_any_force_says_none_or_nan(name: str) -> None:
    for picture in pictures(name):
        assert not re.search(r"\bNone\b|\bnan\b|\bNaN\b|\bundefined\b|\bnull\b", picture._repr_html_())


def test_audit_without_a_number_of_cases_is_drawn_without_making_one_up() -> None:
    for picture in pictures(synthetic.pair((None, None, None), (9, 20, 12))):
        assert "None" not in picture._repr_html_()
