import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import analysis
from analysis.compare.national import ALL, GRADES, Known, NationalPicture
from analysis.present import national, national_charts, national_words, tiles
from analysis.present.pictures import Picture
from analysis.present.sections import Section
from analysis.vocabulary import Grade, VocabularyError, forces

# Government Analysis Function, "Data visualisation: colours in charts", and white, black and grey
PALETTE = {"#12436D", "#28A197", "#801650", "#F46A25", "#3D3D3D", "#A285D1", "#BFBFBF", "#FFFFFF", "#000000"}
INK = "#0B0C0C"
BANNED = re.compile(
    r"\b((?<!not a random )sample|significant|outcome|score|rank|league|best|worst|improved)\b", re.IGNORECASE
)

# each asks for another shape of country
SCOPES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no pair": {"kinds": "initial"},
    "no full inspection": {"kinds": "review"},
    "one pair": {"first": "2022-07"},
    "two pairs": {"first": "2021", "last": "2022"},
    "another scale": {"scale": "four grades"},
    "at 90%": {"confidence": 0.9},
}


@pytest.fixture(scope="module")
def pictures(audits: pl.DataFrame) -> dict[str, NationalPicture]:
    return {name: analysis.national_picture(audits, **asked) for name, asked in SCOPES.items()}


@pytest.fixture(scope="module")
def picture(pictures: dict[str, NationalPicture]) -> NationalPicture:
    return pictures["as it is"]


def everything_shown(picture: NationalPicture) -> dict[str, Any]:
    shown = {
        name: getattr(national, name)(picture)
        for name in (
            "headline",
            "coverage_map",
            "coverage",
            "summary",
            "drawn_together",
            "unusual",
            "funnel_words",
            "regression",
            "regression_words",
            "sensitivity",
            "tipping",
            "limits",
            "figures",
        )
    }
    for grade in ("good", "inadequate"):
        for name in ("pairs", "changes", "funnel"):
            shown[f"{name} {grade}"] = getattr(national, name)(picture, grade=grade)
    return shown


@pytest.mark.parametrize("name", SCOPES)
def test_every_part_can_be_shown_whatever_there_is(name: str, pictures: dict[str, NationalPicture]) -> None:
    for part, shown in everything_shown(pictures[name]).items():
        assert repr(shown).strip(), part
        text = shown.html if isinstance(shown, Picture) else shown._repr_html_()
        assert "<" in text, part
        assert not re.search(r"\b(nan|None|null|inf)\b(?! of)", repr(shown)), (part, repr(shown))


@pytest.mark.parametrize("name", SCOPES)
def test_words_are_those_of_the_field_and_rank_nobody(
    name: str, pictures: dict[str, NationalPicture]
) -> None:
    for part, shown in everything_shown(pictures[name]).items():
        assert not BANNED.search(repr(shown)), (part, BANNED.search(repr(shown)))


@pytest.mark.parametrize("name", SCOPES)
def test_charts_are_valid_in_the_house_colours_and_titled_in_ten_words(
    name: str, pictures: dict[str, NationalPicture]
) -> None:
    for shown in everything_shown(pictures[name]).values():
        if isinstance(shown, Picture):
            assert len(shown.title.split()) <= 10
            assert shown.subtitle
            assert shown.description
            colours = set(re.findall(r"#[0-9A-Fa-f]{6}", str(shown.specification)))
            assert colours <= PALETTE | {INK}


def test_ids_of_figures_and_tables_are_used_once(picture: NationalPicture) -> None:
    html = "".join(
        shown.html if isinstance(shown, Picture) else shown._repr_html_()
        for name, shown in everything_shown(picture).items()
        # the map has the table with it
        if name != "coverage"
    )
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_charts_are_valid_to_the_whole_schema(picture: NationalPicture) -> None:
    made = [national_charts.coverage(picture), national_charts.regression(picture)]
    for grade in GRADES:
        made += [
            national_charts.pairs(picture, grade),
            national_charts.changes(picture, grade),
            national_charts.funnel(picture.funnels[grade]),
        ]
    for chart in made:
        chart.to_dict(validate=True)


def test_the_headline_answers_whether_grades_get_better_with_counts_and_ranges(
    picture: NationalPicture,
) -> None:
    assert repr(national.headline(picture)).splitlines()[:3] == [
        "We cannot tell whether case grades get better at a follow-up.",
        "Two audits can be compared in full at 4 of 43 forces, and none of the 4 shows a clear change.",
        "On average the share graded good rose by 9 percentage points (a fall of 8 to a rise of 26 percentage points "
        "fits the counts) and the share graded inadequate fell by 3 percentage points (a fall of 18 to a rise of 13 "
        "percentage points fits the counts).",
    ]


def test_what_chance_alone_would_bring_is_said_beside_the_corrected_tests(picture: NationalPicture) -> None:
    assert "at most 0.2 of 4 forces clear" in repr(national.unusual(picture))
    assert "with a chance of at most 19%" in repr(national.unusual(picture))


def test_the_mean_is_told_with_its_range_and_with_how_little_is_known(picture: NationalPicture) -> None:
    told = repr(national.summary(picture))
    assert "over 4 forces and 430 cases, on average a rise of 9 percentage points" in told
    assert "a fall of 8 to a rise of 26 percentage points" in told
    assert "a standard deviation of 4 points (range 0 to 38)" in told
    assert told.count("With 4 forces, that is hardly known at all.") == 2
    assert "With Metropolitan Police Service, of which only the share graded good can be compared" in told


def test_the_tipping_point_is_a_sentence_about_each_pair(picture: NationalPicture) -> None:
    told = repr(national.tipping(picture)).splitlines()
    assert len(told) == 5
    assert told[3] == (
        "- Suffolk Constabulary: had 1 of the 30 cases of the later audit been graded good and not inadequate, "
        "the evidence field would read clear."
    )


def test_the_map_has_every_force_once_with_a_sign_beside_its_colour(picture: NationalPicture) -> None:
    squares = national_charts.coverage(picture).to_dict()["data"]["values"]
    assert sorted(square["label"] for square in squares) == sorted(tiles.LABELS.values())
    assert len(squares) == 43
    signs = {square["known"]: square["sign"] for square in squares}
    assert len(set(signs.values())) == len(signs) == 4


def test_the_coverage_adds_up_to_all_forces(pictures: dict[str, NationalPicture]) -> None:
    for picture in pictures.values():
        assert sum(national_words.n_known(picture, known) for known in Known) == 43
        assert repr(national.coverage(picture)).count("\n") == 43


@pytest.mark.parametrize("grade", ["good", "inadequate"])
def test_forces_stand_in_alphabetical_order(grade: str, picture: NationalPicture) -> None:
    for chart, field in (
        (national_charts.pairs(picture, Grade(grade)), "force"),
        (national_charts.changes(picture, Grade(grade)), "measure"),
    ):
        names = chart.to_dict()["layer"][1]["encoding"].get("y", {}).get("sort") or [
            row[field] for row in chart.to_dict()["layer"][-1]["data"]["values"]
        ]
        of_forces = [name for name in names if not name.startswith(("Mean", "One more"))]
        assert of_forces == sorted(of_forces)
        assert len(of_forces) >= 4


@pytest.mark.parametrize("grade", ["good", "inadequate"])
def test_the_description_of_a_chart_has_every_row_that_it_draws(grade: str, picture: NationalPicture) -> None:
    chart = national.changes(picture, grade=grade)
    for label, one in national_charts.change_rows(picture, Grade(grade)):
        assert f"{label}: " in chart.description
        assert one.lower is not None
    for pair in picture.pairs_with(Grade(grade)):
        assert (
            national_words.pair_label(pair, Grade(grade)) in national.pairs(picture, grade=grade).description
        )


def test_a_funnel_names_who_lies_outside_or_the_force_that_is_asked_for(picture: NationalPicture) -> None:
    def names(chart: Picture) -> set[str]:
        found = set()
        for layer in chart.specification["layer"]:
            if layer["mark"]["type"] == "text":
                found |= {name for row in layer["data"]["values"] for name in row["name"].split(", ")}
        return found

    outside = names(national.funnel(picture, grade="inadequate"))
    asked = names(national.funnel(picture, grade="inadequate", force="Warwickshire Police"))
    assert outside == {"Hampshire 2022", "Metropolitan 2018", "Thames Valley 2023"}
    assert asked == {"Warwickshire 2022", "Warwickshire 2023"}


def test_dots_that_lie_on_one_another_are_named_together(picture: NationalPicture) -> None:
    # both have 12 of 30
    funnel = picture.funnels[Grade.GOOD]
    far = funnel.points.with_columns(position=pl.lit("outside 95%"))
    spec = national_charts.funnel(replace(funnel, points=far)).to_dict()
    texts = [
        row["name"]
        for layer in spec["layer"]
        if layer["mark"]["type"] == "text"
        for row in layer["data"]["values"]
    ]
    assert "Hampshire 2022, Wiltshire 2023" in texts


def test_the_funnels_table_has_every_audit_with_its_limits(picture: NationalPicture) -> None:
    for grade in GRADES:
        points = picture.funnels[grade].points
        shown = national.funnel(picture, grade=grade.value)
        assert isinstance(shown, Picture)
        assert shown.table_text.count("\n") == points.height


def test_a_grade_that_is_not_compared_is_refused_with_a_near_match(picture: NationalPicture) -> None:
    with pytest.raises(VocabularyError, match="did you mean good"):
        national.pairs(picture, grade="god")
    with pytest.raises(VocabularyError, match='No force is called "Warwik"'):
        national.funnel(picture, grade="good", force="Warwik")


def test_the_table_of_figures_has_every_number_about_all_forces(picture: NationalPicture) -> None:
    n_rows = picture.figures.filter(pl.col("subject") == ALL).height
    assert repr(national.figures(picture)).count("\n") == n_rows


def test_what_is_made_up_is_called_so(picture: NationalPicture) -> None:
    words = repr(national.regression_words(picture))
    assert "The forces of the simulation are made up" in words
    assert "The 4 real forces compared here began with 103 of 302 cases (34.1%)" in words
    assert "They did not begin poorer than others" in words
    labels = [label for label, _ in national_charts.regression_rows(picture)]
    assert [label.startswith("Made up") for label in labels] == [False, True, True]


def test_without_a_pair_the_cells_say_so_and_show_no_chart(pictures: dict[str, NationalPicture]) -> None:
    none = pictures["no pair"]
    for shown in (
        national.pairs(none, grade="good"),
        national.changes(none, grade="good"),
        national.sensitivity(none),
    ):
        assert isinstance(shown, Section)
        assert "No force" in repr(shown)


def test_every_force_of_the_list_has_a_place_on_the_map() -> None:
    assert set(tiles.PLACES) == set(forces().slugs)


def test_two_forces_are_told_to_be_too_few_for_an_average(pictures: dict[str, NationalPicture]) -> None:
    two = pictures["two pairs"]
    assert len(two.full_pairs) == 2
    assert "too few for an average" in repr(national.headline(two))
    assert repr(national.summary(two)).count("No average is told") == 1
    labels = [label for label, _ in national_charts.change_rows(two, Grade.GOOD)]
    assert len(labels) == 2


def test_an_audit_is_called_outside_just_where_it_stands_beyond_its_limits(
    pictures: dict[str, NationalPicture],
) -> None:
    for picture in pictures.values():
        for funnel in picture.funnels.values():
            for point in funnel.points.iter_rows(named=True):
                is_beyond = not point["limit_lower"] <= point["value"] <= point["limit_upper"]
                assert is_beyond == point["position"].startswith("outside"), point


def test_the_page_says_which_data_it_rests_on() -> None:
    told = repr(analysis.sections.data_source())
    assert re.search(r"version \d+\.\d+\.\d+, as of \d+ \w+ 20\d\d", told)
    assert "Open Government Licence" in told
    assert "not official statistics" in told
