import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from analysis.present import charts, wording
from analysis.publish import page
from analysis.vocabulary import Grade

SVG = "{http://www.w3.org/2000/svg}"

# Government Analysis Function, "Data visualisation: colours in charts"
PALETTE = ("#12436D", "#28A197", "#801650", "#F46A25", "#3D3D3D", "#A285D1")
PAPER, INK = "#FFFFFF", "#0B0C0C"


def layers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    sets = spec.get("datasets", {})
    # Altair may keep rows apart from the layers that draw them
    return [
        layer | {"data": {"values": sets.get(layer["data"].get("name"), layer["data"].get("values"))}}
        for layer in spec["layer"]
    ]


def layer_of(spec: dict[str, Any], mark: str) -> dict[str, Any]:
    return next(layer for layer in layers(spec) if layer["mark"]["type"] == mark)


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


def colours_of(spec: dict[str, Any]) -> dict[str, str]:
    scale = layer_of(spec, "bar")["encoding"]["color"]["scale"]
    return dict(zip(scale["domain"], scale["range"], strict=True))


def bars(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The segments of each bar as they are drawn: bars from above, segments from the left."""
    layer = layer_of(spec, "bar")
    drawn: dict[str, list[dict[str, Any]]] = {audit: [] for audit in layer["encoding"]["y"]["sort"]}
    for row in sorted(layer["data"]["values"], key=lambda row: row["order"]):
        drawn[row["audit"]].append(row)
    return drawn


def drawn_colours(spec: dict[str, Any]) -> set[str]:
    return {found.upper() for found in re.findall(r"#[0-9A-Fa-f]{6}\b", str(spec))}


# every rule below holds for the shipped audits and for made-up ones
EXAMPLES: dict[str, Any] = synthetic.MADE_UP | {
    slug: change.examine(synthetic.shipped().audits, force=slug)
    for slug in synthetic.slugs(Comparison, SingleAudit)
}
PAIRS = [name for name, one in EXAMPLES.items() if isinstance(one, Comparison)]


@cache
def grades_chart(name: str) -> dict[str, Any]:
    return charts.before_after(EXAMPLES[name]).to_dict()


@cache
def changes_chart(name: str) -> dict[str, Any]:
    return charts.changes(EXAMPLES[name]).to_dict()


@cache
def pictures(name: str) -> list[charts.Picture]:
    """The pictures of an example, drawn once: drawing takes a quarter of a second."""
    made = [charts.picture(charts.before_after(EXAMPLES[name]), name="chart-grades")]
    if name in PAIRS:
        made.append(charts.picture(charts.changes(EXAMPLES[name]), name="chart-changes"))
    return made


@pytest.mark.parametrize("name", EXAMPLES)
def test_charts_hold_nothing_that_they_do_not_show(name: str) -> None:
    made = [grades_chart(name)]
    made += [changes_chart(name)] if name in PAIRS else []
    for chart in made:
        # layers drawn over one another share their rows
        shown = {field for layer in layers(chart) for field in fields_drawn(layer["encoding"])}
        held = {field for layer in layers(chart) for row in layer["data"]["values"] for field in row}
        assert held <= shown


@pytest.mark.parametrize("name", EXAMPLES)
def test_segments_are_the_shares_in_the_figures(name: str) -> None:
    examined = EXAMPLES[name]
    names = {measure_of(grade): grade.value for grade in Grade}
    names |= {"share_below_good": "below good, not told apart"}
    drawn = bars(grades_chart(name))
    for segments, period in zip(drawn.values(), wording.periods(examined), strict=True):
        known = {
            names[row["measure"]]: (row["value"], row["n_cases"])
            for row in examined.figures.iter_rows(named=True)
            if row["period"] == period and row["measure"] in names and row["value"] is not None
        }
        assert {one["grade"]: (one["share"], one["n_cases"]) for one in segments} == known


@pytest.mark.parametrize("name", EXAMPLES)
def test_full_bars_add_to_all_cases(name: str) -> None:
    examined = EXAMPLES[name]
    drawn = bars(grades_chart(name))
    for segments, period in zip(drawn.values(), wording.periods(examined), strict=True):
        audit = wording.audit_of(examined, period)
        if audit.ordered_counts is not None:
            assert sum(one["n_cases"] for one in segments) == audit.n_cases
            assert sum(one["share"] for one in segments) == pytest.approx(1)


@pytest.mark.parametrize("name", EXAMPLES)
def test_grades_run_from_worst_to_best_and_the_earlier_audit_is_above(name: str) -> None:
    examined = EXAMPLES[name]
    chart = grades_chart(name)
    worst_to_best = ["below good, not told apart", *(grade.value for grade in Grade)]

    legend = list(colours_of(chart))
    assert legend == sorted(legend, key=worst_to_best.index)
    for segments in bars(chart).values():
        names = [one["grade"] for one in segments]
        assert names == sorted(names, key=worst_to_best.index)
        assert len({one["order"] for one in segments}) == len(segments)
    dates = [wording.when(wording.audit_of(examined, period)) for period in wording.periods(examined)]
    for label, date in zip(bars(chart), dates, strict=True):
        assert date.lower() in label.lower()


@pytest.mark.parametrize("name", EXAMPLES)
def test_order_is_explicit_in_every_layer(name: str) -> None:
    found = layers(grades_chart(name))
    if name in PAIRS:
        found += [one for one in layers(changes_chart(name)) if "y" in one["encoding"]]
    for layer in found:
        # without a sort Vega orders by alphabet: "after" above "before"
        assert isinstance(layer["encoding"]["y"]["sort"], list)
        if layer["mark"]["type"] == "bar":
            assert layer["encoding"]["order"]["field"] == "order"
            assert layer["encoding"]["x"]["stack"] == "zero"


@pytest.mark.parametrize("name", EXAMPLES)
def test_bars_start_at_0_and_end_at_100_percent(name: str) -> None:
    layer = layer_of(grades_chart(name), "bar")
    assert layer["encoding"]["x"]["scale"]["domain"] == [0, 1]
    labels = re.findall(r">(\d+%)</text>", pictures(name)[0].svg)
    assert (labels[0], labels[-1]) == ("0%", "100%")


@pytest.mark.parametrize("name", EXAMPLES)
def test_segments_are_in_the_colours_of_the_analysis_function(name: str) -> None:
    assert set(colours_of(grades_chart(name)).values()) <= set(PALETTE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_other_colour_is_ink_paper_or_grey(name: str) -> None:
    found = drawn_colours(grades_chart(name))
    found |= drawn_colours(changes_chart(name)) if name in PAIRS else set()
    others = found - set(PALETTE) - {INK}
    assert {colour for colour in others if len({colour[1:3], colour[3:5], colour[5:]}) > 1} == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_two_grades_share_a_colour(name: str) -> None:
    colours = colours_of(grades_chart(name))
    assert len(set(colours.values())) == len(colours)


@pytest.mark.parametrize("name", EXAMPLES)
def test_counts_can_be_read_on_their_segments(name: str) -> None:
    chart = grades_chart(name)
    colours = colours_of(chart)
    for segments in bars(chart).values():
        for one in segments:
            assert contrast(one["text_colour"], colours[one["grade"]]) >= 4.5, one["grade"]
            assert one["shown"] in ("", str(one["n_cases"]))
            assert one["shown"] or one["share"] < 0.05


@pytest.mark.parametrize("name", EXAMPLES)
def test_counts_are_no_wider_than_their_segments(name: str) -> None:
    # white digits beside a sliver would stand on its neighbours or on paper
    chart = grades_chart(name)
    width = chart["width"]
    for segments in bars(chart).values():
        for one in segments:
            assert one["share"] * width >= 8 * len(one["shown"]), one


@pytest.mark.parametrize("name", EXAMPLES)
def test_text_beside_the_bars_can_be_read_on_paper(name: str) -> None:
    config = grades_chart(name)["config"]
    told = [config["axis"]["labelColor"], config["axis"]["titleColor"], config["legend"]["labelColor"]]
    told += [config["title"]["color"], config["title"]["subtitleColor"]]
    for colour in told:
        assert contrast(colour, PAPER) >= 4.5


@pytest.mark.parametrize("name", EXAMPLES)
def test_segments_stand_out_from_the_paper(name: str) -> None:
    for colour in colours_of(grades_chart(name)).values():
        assert contrast(colour, PAPER) >= 3


@pytest.mark.parametrize("name", EXAMPLES)
def test_neighbouring_segments_can_be_told_apart(name: str) -> None:
    chart = grades_chart(name)
    colours = colours_of(chart)
    audits = [wording.audit_of(EXAMPLES[name], period) for period in wording.periods(EXAMPLES[name])]
    ladder = [grade.value for grade in Grade if any(grade in audit.counts for audit in audits)]
    for segments in bars(chart).values():
        for left, right in pairwise([one for one in segments if one["n_cases"]]):
            is_gap = (
                left["grade"] in ladder and ladder.index(right["grade"]) - ladder.index(left["grade"]) > 1
            )
            shown = contrast(colours[left["grade"]], colours[right["grade"]])
            # where a grade between has no cases, colours meet that are no neighbours in the
            # palette; no three colours differ by 3 to 1 from one another and from paper too.
            # A fourth grade has the same trouble: there the line of paper has to do.
            is_parted = (left["grade"], right["grade"]) == (Grade.REQUIRES_IMPROVEMENT, Grade.ADEQUATE)
            assert shown >= 3 or is_gap or is_parted, (left["grade"], right["grade"], shown)


def test_a_grade_has_the_same_colour_on_every_scale_and_in_small_bars_too() -> None:
    small = dict(re.findall(r"\.(share-[a-z-]+) \{ fill: (#\w{6}); \}", page.style()))
    measures = {measure_of(grade).replace("_", "-"): grade.value for grade in Grade}
    named = {measures.get(name, "below good, not told apart"): colour for name, colour in small.items()}
    assert set(named) == {*(grade.value for grade in Grade), "below good, not told apart"}
    for name in EXAMPLES:
        for grade, colour in colours_of(grades_chart(name)).items():
            assert colour == named[grade]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_line_of_paper_parts_all_segments(name: str) -> None:
    mark = layer_of(grades_chart(name), "bar")["mark"]
    assert mark["stroke"].upper() == PAPER
    assert mark["strokeWidth"] >= 2


@pytest.mark.parametrize("name", PAIRS)
def test_changes_are_those_in_the_figures(name: str) -> None:
    drawn = layer_of(changes_chart(name), "point")["data"]["values"]
    rows = [wording.figure(EXAMPLES[name], measure_of(one), CHANGE) for one in (Grade.INADEQUATE, Grade.GOOD)]
    expected = [(row["value"], row["lower"], row["upper"]) for row in rows if row["value"] is not None]
    assert [(one["value"], one["lower"], one["upper"]) for one in drawn] == expected


@pytest.mark.parametrize("name", PAIRS)
def test_changes_stand_beside_a_labelled_line_at_no_change(name: str) -> None:
    at_zero = [
        one
        for one in layers(changes_chart(name))
        if one["encoding"]["x"].get("field") == "zero" and one["data"]["values"][0]["zero"] == 0
    ]
    assert {one["mark"]["type"] for one in at_zero} == {"rule", "text"}
    label = next(one for one in at_zero if one["mark"]["type"] == "text")
    assert label["data"]["values"][0][label["encoding"]["text"]["field"]] == "no change"
    assert ">no change</text>" in pictures(name)[1].svg


@pytest.mark.parametrize("name", PAIRS)
def test_0_can_be_read_on_the_axis_of_changes(name: str) -> None:
    # Vega makes labels that run into each other transparent
    assert re.search(r'opacity="1">0</text>', pictures(name)[1].svg)


@pytest.mark.parametrize("name", PAIRS)
def test_whiskers_show_the_interval_and_dots_the_change(name: str) -> None:
    chart = changes_chart(name)
    whiskers = next(one for one in layers(chart) if "x2" in one["encoding"])
    assert (whiskers["encoding"]["x"]["field"], whiskers["encoding"]["x2"]["field"]) == ("lower", "upper")
    assert layer_of(chart, "point")["encoding"]["x"]["field"] == "value"
    assert whiskers["mark"]["color"] in PALETTE


def figure_of(picture: charts.Picture) -> Any:
    return html.fragment_fromstring(picture.html)


@pytest.mark.parametrize("name", EXAMPLES)
def test_picture_is_one_image_with_a_name_and_a_description(name: str) -> None:
    for picture in pictures(name):
        drawing = etree.fromstring(picture.svg)
        assert drawing.get("role") == "img"
        told = {one.get("id"): one.text for one in drawing.iter(f"{SVG}title", f"{SVG}desc")}
        assert [told[label] for label in drawing.get("aria-labelledby").split()] == [
            picture.title,
            picture.description,
        ]
        assert len(told) == 2
        # Vega names each mark with its values; a screen reader would read those, not the words
        for mark in drawing.iterdescendants():
            assert not [key for key in mark.attrib if key.startswith("aria-") or key == "role"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_picture_runs_nothing_and_loads_nothing(name: str) -> None:
    harmless = {"svg", "title", "desc", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath"}
    for picture in pictures(name):
        drawing = etree.fromstring(picture.svg)
        assert {etree.QName(one).localname for one in drawing.iter()} <= harmless
        for one in drawing.iter():
            for key, value in one.attrib.items():
                assert not key.lower().startswith("on")
                assert "href" not in key
                assert not re.search(r"//|data:|javascript:|url\((?!#)", value), value


@pytest.mark.parametrize("name", EXAMPLES)
def test_description_tells_every_count_that_is_drawn(name: str) -> None:
    description = pictures(name)[0].description
    told = Counter(re.findall(r"(\d+) ([a-z ]+) \(", description))
    drawn = Counter(
        (str(one["n_cases"]), one["grade"].partition(",")[0])
        for segments in bars(grades_chart(name)).values()
        for one in segments
    )
    assert told == drawn
    sizes = [wording.audit_of(EXAMPLES[name], period).n_cases for period in wording.periods(EXAMPLES[name])]
    assert all(f"{size} cases" in description for size in sizes if size is not None)


@pytest.mark.parametrize("name", PAIRS)
def test_description_tells_every_change_and_its_range(name: str) -> None:
    description = pictures(name)[1].description
    for grade in (Grade.INADEQUATE, Grade.GOOD):
        row = wording.figure(EXAMPLES[name], measure_of(grade), CHANGE)
        told = description.partition(f"Share {grade.value}:")[2].partition("Share ")[0]
        if row["value"] is None:
            assert str(row["note"]) in told
            continue
        moves = [row[key] for key in ("value", "lower", "upper") if row[key] != 0]
        assert re.findall(r"rise|fall", told) == ["rise" if move > 0 else "fall" for move in moves]
        sizes = [max(1, int(wording.points(move))) for move in moves]
        assert [int(size) for size in re.findall(r"\d+", told)] == sizes


@pytest.mark.parametrize("name", EXAMPLES)
def test_picture_as_plain_text_is_its_title_and_description(name: str) -> None:
    for picture in pictures(name):
        words = repr(picture)
        assert words.endswith(picture.description)
        assert picture.title in words
        assert picture.subtitle in words
        assert "<" not in words


@pytest.mark.parametrize("name", EXAMPLES)
def test_title_stands_outside_the_drawing_as_text(name: str) -> None:
    for picture in pictures(name):
        figure = figure_of(picture)
        caption = "".join(figure.find("figcaption").itertext())
        assert picture.title in caption
        assert picture.subtitle in caption
        drawn = [text for node in figure.iterfind(".//text") for text in node.itertext()]
        assert picture.title not in " ".join(drawn)


@pytest.mark.parametrize("name", EXAMPLES)
def test_picture_scales_to_the_width_of_a_phone(name: str) -> None:
    for picture in pictures(name):
        drawing = etree.fromstring(picture.svg)
        assert drawing.get("width") == "100%"
        # below three quarters its 15 pixel labels could not be read on 320 pixels
        assert float(drawing.get("viewBox").split()[2]) <= 480


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_picture_says_none_or_nan(name: str) -> None:
    for picture in pictures(name):
        assert not re.search(r"\b(None|nan|NaN|undefined|null)\b", picture.html)


def test_two_pictures_on_one_page_share_no_id() -> None:
    page = "".join(one.html for one in pictures("four grades"))
    ids = [one.get("id") for one in html.fragment_fromstring(page, create_parent=True).iterfind(".//*[@id]")]
    assert len(ids) == len(set(ids))
    assert {"chart-grades", "chart-changes"} <= set(ids)


def test_ids_inside_a_drawing_are_its_own() -> None:
    # marks refer to a gradient by its id, which Vega numbers from 1 in every drawing
    stops = [alt.GradientStop(color="#12436D", offset=0), alt.GradientStop(color="#28A197", offset=1)]
    bar = alt.Chart(alt.Data(values=[{"x": 1}])).mark_bar(color=alt.Gradient(gradient="linear", stops=stops))
    chart = alt.LayerChart(layer=[bar.encode(x="x:Q")]).properties(
        title=alt.Title(text="Title", subtitle=["Subtitle"]), description="Description"
    )
    drawings = {name: etree.fromstring(charts.picture(chart, name=name).svg) for name in ("one", "two")}
    ids = {
        name: [one.get("id") for one in drawing.iterfind(".//*[@id]")] for name, drawing in drawings.items()
    }
    assert not set(ids["one"]) & set(ids["two"])
    for name, drawing in drawings.items():
        referred = re.findall(r"url\(#([^)]+)\)", etree.tostring(drawing, encoding="unicode"))
        assert referred
        assert set(referred) <= set(ids[name])


def test_words_in_a_picture_are_escaped() -> None:
    hostile = '<script>alert("x")</script> & co'
    chart = charts.before_after(synthetic.MADE_UP["level"]).properties(
        title=alt.Title(text=hostile, subtitle=[hostile]), description=hostile
    )
    picture = charts.picture(chart, name="c")
    assert "<script" not in picture.html
    assert etree.fromstring(picture.svg).find(f"{SVG}desc").text == hostile
    assert "".join(figure_of(picture).find("figcaption").itertext()) == f"{hostile} {hostile}"


@pytest.mark.parametrize("missing", ["title", "description"])
def test_picture_without_words_is_refused(missing: str) -> None:
    chart = charts.before_after(synthetic.MADE_UP["level"])
    setattr(chart, missing, alt.Undefined)
    with pytest.raises(ValueError, match="needs a title and a description"):
        charts.picture(chart, name="c")


def test_picture_is_drawn_the_same_every_time() -> None:
    one, other = (
        charts.picture(charts.before_after(synthetic.MADE_UP["level"]), name="c").svg for _ in range(2)
    )
    assert one == other


def test_charts_made_in_threads_leave_altairs_checks_on() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: charts.changes(synthetic.MADE_UP["all good"]), range(40)))
    with pytest.raises(alt.utils.schemapi.SchemaValidationError):
        alt.Chart().mark_bar(stroke=alt.Undefined, nonsense=1)
