import polars as pl
import pytest

import analysis
from analysis.compare.graded import SelectionError
from analysis.evidence.cleaning import Evidence
from analysis.surface import NoComparisonError
from analysis.vocabulary import VocabularyError


def test_a_researcher_gets_from_nothing_to_figures_and_charts_in_four_calls() -> None:
    audits = analysis.load_audits()
    pair = analysis.compare(audits, force="warwickshire")

    assert audits.height == 48
    assert pair.figures.height == 12
    assert str(pair.verdict) == "direction mixed, evidence cannot tell"
    assert type(analysis.charts.before_after(pair)).__module__.startswith("altair")
    assert "<caption" in analysis.tables.before_after(pair).as_raw_html()


@pytest.mark.parametrize(
    "name", ["warwickshire", "Warwickshire", "Warwickshire Police", "WARWICKSHIRE CONSTABULARY"]
)
def test_a_force_may_be_named_in_any_known_way(name: str, audits: pl.DataFrame) -> None:
    assert analysis.compare(audits, force=name).force == "warwickshire"


def test_an_unknown_force_is_refused_with_near_matches(audits: pl.DataFrame) -> None:
    with pytest.raises(VocabularyError, match="north-yorkshire, south-yorkshire or west-yorkshire"):
        analysis.compare(audits, force="yorkshire")


@pytest.mark.parametrize(("force", "told"), [("kent", "No audits yet"), ("bedfordshire", "One audit only")])
def test_a_force_without_a_pair_is_told_of_what_there_is(force: str, told: str, audits: pl.DataFrame) -> None:
    with pytest.raises(NoComparisonError, match=told):
        analysis.compare(audits, force=force)


def test_the_comparison_speaks_its_headline(audits: pl.DataFrame) -> None:
    pair = analysis.compare(audits, force="suffolk")
    assert (
        pair.headline
        == "We cannot tell whether case grades at Suffolk Constabulary changed between July 2022 and July 2023."
    )
    assert repr(pair).startswith(pair.headline)


def test_audits_can_be_chosen_by_id(audits: pl.DataFrame) -> None:
    pair = analysis.compare(
        audits,
        force="metropolitan",
        baseline="metropolitan-published-2017-11-update",
        follow_up="metropolitan-2018-10-re-inspection",
    )
    assert (pair.baseline.n_cases, pair.follow_up.n_cases) == (135, 303)
    with pytest.raises(SelectionError, match="did you mean"):
        analysis.compare(audits, force="metropolitan", baseline="metropolitan-2016-03-initial")


def test_a_level_of_confidence_widens_the_intervals(audits: pl.DataFrame) -> None:
    def width(confidence: float) -> float:
        pair = analysis.compare(audits, force="warwickshire", confidence=confidence)
        row = analysis.wording.figure(pair, "share_good", "change")
        return float(row["upper"] - row["lower"])

    assert width(0.8) < width(0.95) < width(0.99)


def test_a_report_is_there_for_every_force_with_or_without_audits(evidence: Evidence) -> None:
    assert "Kent Police" in repr(analysis.report(evidence, force="kent"))
    assert analysis.report(evidence, force="kent", baseline="", follow_up="").audits == ()


def test_only_what_is_meant_for_researchers_is_offered() -> None:
    assert dir(analysis) == sorted(analysis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'cmopare'"):
        _ = analysis.cmopare
