import re
from typing import Any

import polars as pl
import pytest
import synthetic
from lxml import html as lxml_html

from analysis import vocabulary
from analysis.evidence.reconcile import Audit
from analysis.present import explore
from analysis.present.explore import AreaBreakdown, ForceTrend, by_area, trend
from analysis.present.pictures import Picture
from analysis.present.sections import Section
from analysis.vocabulary import VocabularyError

WITH_AREAS = ("metropolitan", "north-yorkshire", "south-yorkshire", "west-midlands", "nottinghamshire")
MEASURES = ("good", "inadequate")


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=Audit.create_empty().schema, orient="row")


def in_years(*counts: list[int | None]) -> pl.DataFrame:
    kinds = ["initial", *["re-inspection"] * (len(counts) - 1)]
    return table(
        *(
            synthetic.audit(one, kind=kind, fieldwork=f"{2016 + place}-03")
            for place, (one, kind) in enumerate(zip(counts, kinds, strict=True))
        )
    )


def marks(seen: ForceTrend | AreaBreakdown, measure: str, mark: str) -> list[dict[str, Any]]:
    spec = seen.chart(measure).to_dict(validate=True)
    found = []
    for layer in spec["layer"]:
        kind = layer["mark"] if isinstance(layer["mark"], str) else layer["mark"]["type"]
        if kind == mark:
            data = layer.get("data", spec.get("data"))
            found.append(layer | {"rows": spec.get("datasets", {}).get(data.get("name"), data.get("values"))})
    return found


class TestTrend:
    def test_says_which_audits_are_one_series_which_stand_apart_and_which_are_left_out(
        self, audits: pl.DataFrame
    ) -> None:
        told = explore.trend_sentences(trend(audits, force="the Met"))
        assert told == (
            "Metropolitan Police Service, all areas: inspectors' case grades are known of 4 audits.",
            "These are one series: inspection of February 2016 and re-inspection of October 2018.",
            "Shown apart (a quarterly update is neither an inspection nor the follow-up of one): quarterly update of "
            "November 2017 (published) and quarterly update of February 2018 (published).",
            "Left out (graded by the force itself): quarterly update of 2017.",
            "A steady rise or fall is looked for from 3 audits of one series on; here there are 2.",
        )

    def test_takes_a_force_as_it_is_listed(self, audits: pl.DataFrame) -> None:
        force = vocabulary.forces().named("dorset")
        assert trend(audits, force=force).force == "dorset"

    def test_says_so_where_no_two_audits_are_of_one_series(self) -> None:
        rows = table(
            synthetic.audit([5, 5, 5, 5], scale="four grades", fieldwork="2014-10"),
            synthetic.audit([10, 10, 10], fieldwork="2016-03"),
        )
        assert "No two of them are of one series." in trend(rows, force=synthetic.FORCE).sentence

    @pytest.mark.parametrize(
        ("last", "told"),
        [
            ([15, 20, 35], "A rise this steady would be unusual if nothing had changed."),
            ([38, 22, 11], "We cannot tell whether that is a change"),
        ],
    )
    def test_tells_a_steady_change_from_one_that_may_be_chance(
        self, last: list[int | None], told: str
    ) -> None:
        seen = trend(
            in_years([40, 20, 10], [30, 20, 14 if last[2] == 35 else 10], last), force=synthetic.FORCE
        )
        assert told in seen.sentence

    def test_a_clear_rise_is_the_title_of_its_chart(self) -> None:
        seen = trend(in_years([40, 20, 10], [30, 20, 20], [15, 20, 35]), force=synthetic.FORCE)
        assert seen.chart("good").title.text == "Share graded good rose steadily"
        assert seen.chart("inadequate").title.text == "Share graded inadequate fell steadily"

    def test_joins_the_audits_of_a_series_only(self, audits: pl.DataFrame) -> None:
        seen = trend(audits, force="metropolitan")
        [line] = marks(seen, "good", "line")
        assert [row["told"] for row in line["rows"]] == ["25.7%", "30.7%"]
        filled, hollow = marks(seen, "good", "point")
        assert [row["told"] for row in hollow["rows"]] == ["7.4%", "10.7%"]
        assert filled["mark"].get("fill") is None
        assert hollow["mark"]["fill"] == "#FFFFFF"

    def test_does_not_join_series_on_other_grades(self) -> None:
        rows = table(
            synthetic.audit([5, 5, 5, 5], scale="four grades", fieldwork="2014-03"),
            synthetic.audit([5, 5, 5, 6], scale="four grades", fieldwork="2014-10", kind="review"),
            synthetic.audit([10, 10, 10], fieldwork="2016-03"),
            synthetic.audit([10, 10, 12], fieldwork="2017-03", kind="review"),
        )
        [line] = marks(trend(rows, force=synthetic.FORCE), "good", "line")
        assert [row["series"] for row in line["rows"]] == ["1", "1", "2", "2"]
        assert line["encoding"]["detail"]["field"] == "series"

    def test_numbers_of_close_audits_lean_away_from_each_other(self, audits: pl.DataFrame) -> None:
        seen = trend(audits, force="metropolitan")
        sides = {
            layer["mark"]["align"]: [row["told"] for row in layer["rows"]]
            for layer in marks(seen, "good", "text")
        }
        assert sides == {"center": ["25.7%", "30.7%"], "right": ["7.4%"], "left": ["10.7%"]}

    def test_says_which_audits_have_too_few_cases_to_be_compared(self) -> None:
        seen = trend(in_years([40, 20, 10], [30, 20, 20], [1, 2, 9], [1, 2, 9]), force=synthetic.FORCE)
        assert (
            "Shown apart (fewer than 20 cases, too few to compare): re-inspection of March 2018 and re-inspection of "
            "March 2019. A steady rise or fall is looked for from 3 audits of one series on; here there are 2."
        ) in seen.sentence
        assert [line.rsplit(" | ", 1)[1] for line in repr(explore.trend_table(seen)).splitlines()[1:]] == [
            *[""] * 4,
            *["too few to compare"] * 4,
        ]
        filled, hollow = marks(seen, "good", "point")
        assert ([row["cases"] for row in filled["rows"]], [row["cases"] for row in hollow["rows"]]) == (
            ["10 of 70 cases", "20 of 70 cases"],
            ["9 of 12 cases"] * 2,
        )

    @pytest.mark.parametrize(
        ("changed", "why"),
        [
            ({"kind": "update"}, "it is not an inspection or its follow-up"),
            ({"scale": "four grades", "fieldwork": "2014-10"}, "no other has the same grades"),
        ],
    )
    def test_says_in_its_key_why_a_dot_is_hollow(self, changed: dict[str, Any], why: str) -> None:
        counts = [10, 10, 10, 10] if "scale" in changed else [10, 10, 10]
        rows = table(
            synthetic.audit([10, 10, 10], fieldwork="2016-03"),
            synthetic.audit([10, 10, 12], fieldwork="2017-03", kind="review"),
            synthetic.audit(counts, **({"fieldwork": "2018-03"} | changed)),
        )
        subtitle = str(trend(rows, force=synthetic.FORCE).chart().title.subtitle)
        assert f"Hollow: not joined, as {why}" in subtitle.replace("', '", " ")

    def test_has_no_key_where_no_dot_is_hollow(self) -> None:
        assert "Hollow" not in str(
            trend(in_years([10, 10, 10], [9, 9, 12]), force=synthetic.FORCE).chart().title
        )

    def test_is_shown_as_words_where_no_share_is_known(self, audits: pl.DataFrame) -> None:
        shown = trend(audits, force="west-yorkshire").picture("good")
        assert isinstance(shown, Section)
        assert "No share graded good is known, so there is no chart." in repr(shown)


class TestByArea:
    def test_says_which_areas_have_too_few_cases(self, audits: pl.DataFrame) -> None:
        seen = by_area(audits, force="north yorkshire")
        assert (
            "Too few to compare, under 20 cases: child protection investigations (11 cases)." in seen.sentence
        )
        assert seen.chart().title.text == "Too few cases by area to compare"

    def test_draws_too_few_cases_hollow(self, audits: pl.DataFrame) -> None:
        filled, hollow = marks(by_area(audits, force="north-yorkshire"), "good", "point")
        assert [row["cases"] for row in filled["rows"]] == ["11 of 33 cases"]
        assert [row["cases"] for row in hollow["rows"]] == ["3 of 11 cases"]

    @pytest.mark.parametrize("force", ["warwickshire", "kent", "cleveland"])
    def test_a_force_without_areas_is_told_so(self, audits: pl.DataFrame, force: str) -> None:
        seen = by_area(audits, force=force)
        assert isinstance(seen.picture(), Section)
        assert seen.sentence in lxml_html.fromstring(
            f"<div>{seen._repr_html_()}</div>"
        ).text_content().replace("\n", " ")
        assert "single area" in repr(seen)

    def test_rows_of_a_chart_have_names_of_their_own(self, audits: pl.DataFrame) -> None:
        for force in WITH_AREAS:
            seen = by_area(audits, force=force)
            names = [explore._area_label(audit) for audit in seen.audits]
            assert len(set(names)) == len(names)
            # what fits in 400 pixels at this size
            assert max(map(len, names)) <= 56


def shown(audits: pl.DataFrame) -> list[tuple[ForceTrend | AreaBreakdown, str]]:
    forces = audits["force"].drop_nulls().unique().sort()
    seen = [
        trend(audits, force=force)
        for force in forces
        if "overall" in audits.filter(pl.col("force") == force)["area"].to_list()
    ]
    return [
        (one, measure)
        for one in [*seen, *(by_area(audits, force=force) for force in WITH_AREAS)]
        for measure in MEASURES
    ]


def test_every_chart_is_as_the_house_has_it(audits: pl.DataFrame) -> None:
    drawn = 0
    for seen, measure in shown(audits):
        picture = seen.picture(measure)
        if isinstance(picture, Section):
            continue
        drawn += 1
        assert isinstance(picture, Picture)
        seen.chart(measure).to_dict(validate=True)
        assert 1 <= len(picture.title.split()) <= 10
        values = re.findall(r"'told': '([^']+)'", str(picture.specification))
        assert values
        assert all(value in picture.description and value in picture.table_text for value in values)
        said = f"{seen!r} {picture!r}".lower()
        assert not re.search(r"\bsample|signific|\boutcome|score|league|ranking", said)
    assert drawn > 30


def test_tables_name_every_share_that_is_followed(audits: pl.DataFrame) -> None:
    seen = trend(audits, force="metropolitan")
    rows = repr(explore.trend_table(seen)).splitlines()[1:]
    assert len(rows) == seen.figures.filter(pl.col("measure") != "share_requires_improvement").height
    assert (
        rows[0]
        == "Inspection of February 2016 | Share inadequate | not known | 374 | not known | not known | not known | "
    )
    assert rows[1] == "Inspection of February 2016 | Share good | 96 | 374 | 25.7% | 21.5% | 30.3% | "


def test_results_show_themselves_as_words_and_table(audits: pl.DataFrame) -> None:
    for seen in (trend(audits, force="metropolitan"), by_area(audits, force="metropolitan")):
        text = lxml_html.fromstring(f"<div>{seen._repr_html_()}</div>").text_content()
        assert all(sentence in text for sentence in re.split(r"(?<=\.) (?=[A-Z])", seen.sentence))
        assert "25.8%" in text
        assert repr(seen).startswith(seen.sentence)


@pytest.mark.parametrize("measure", ["share_good", "Good", " inadequate"])
def test_measures_are_known_by_several_spellings(audits: pl.DataFrame, measure: str) -> None:
    assert isinstance(trend(audits, force="dorset").picture(grade=measure), Picture)


def test_other_measures_are_refused_with_near_matches(audits: pl.DataFrame) -> None:
    for seen in (trend(audits, force="dorset"), by_area(audits, force="metropolitan")):
        with pytest.raises(VocabularyError, match="did you mean good"):
            seen.picture(grade="goood")
        for word in ("superiority of all", None, 3):
            with pytest.raises(VocabularyError, match="use one of: good, inadequate"):
                seen.chart(grade=word)  # type: ignore[arg-type]


def test_unknown_forces_are_refused_with_near_matches(audits: pl.DataFrame) -> None:
    with pytest.raises(VocabularyError, match="dorset"):
        trend(audits, force="dorsett")
    with pytest.raises(VocabularyError, match="dorset"):
        by_area(audits, force="dorsett")


def test_words_and_charts_of_the_same_results_can_stand_on_one_page(audits: pl.DataFrame) -> None:
    found: list[str] = []
    for seen in (trend(audits, force="metropolitan"), by_area(audits, force="metropolitan")):
        drawings = [seen.picture(), seen.picture("inadequate", name=f"{type(seen).__name__}-second")]
        page = seen._repr_html_() + "".join(one.html for one in drawings if isinstance(one, Picture))
        found += re.findall(r'\bid="([^"]+)"', page)
    tables_and_figures = [one for one in found if "title" not in one and "desc" not in one]
    assert len(set(tables_and_figures)) == len(tables_and_figures)
