import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

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


def public_functions() -> list[tuple[str, Callable[..., Any]]]:
    """Every function that a researcher reaches from `analysis`, by the name under which."""
    found: list[tuple[str, Callable[..., Any]]] = []
    for name in analysis.__all__:
        thing = getattr(analysis, name)
        if inspect.ismodule(thing):
            found += [
                (f"{name}.{inner}", function)
                for inner, function in vars(thing).items()
                if inspect.isfunction(function)
                and function.__module__ == thing.__name__
                and not inner.startswith("_")
            ]
        elif inspect.isfunction(thing):
            found.append((name, thing))
    return found


@pytest.mark.parametrize(
    ("name", "function"), public_functions(), ids=lambda one: one if isinstance(one, str) else ""
)
def test_every_public_function_says_what_it_takes(name: str, function: Callable[..., Any]) -> None:
    told = inspect.getdoc(function) or ""
    parameters = list(inspect.signature(function).parameters)
    assert told, name
    # one argument is what the first line is about
    missing = [one for one in parameters if f"\n    {one}: " not in told] if len(parameters) > 1 else []
    assert not missing, f"{name} does not say what {missing} are"


def test_forces_complete_as_a_researcher_types() -> None:
    shell = InteractiveShell()
    shell.run_cell("import analysis")
    typed = "analysis.forces.wa"
    with provisionalcompleter():
        found = [one.text for one in shell.Completer.completions(typed, len(typed))]
    assert [one for one in found if one.endswith("warwickshire")]


def test_a_force_of_the_list_can_be_given_for_its_name(audits: pl.DataFrame) -> None:
    pair = analysis.compare(audits, force=analysis.forces.north_yorkshire)
    assert pair.force == "north-yorkshire"


def test_a_name_that_is_nearly_right_is_met_with_the_right_one() -> None:
    with pytest.raises(AttributeError, match="did you mean compare"):
        _ = analysis.comprae
    with pytest.raises(AttributeError, match="Did you mean warwickshire"):
        _ = analysis.forces.warwikshire


def test_all_evidence_shows_itself_in_one_line(evidence: Evidence) -> None:
    assert repr(evidence).startswith("Evidence, rows by table: audits 48; ")
    assert "\n" not in repr(evidence)


def test_the_list_of_forces_can_be_copied_and_looked_into() -> None:
    forces = analysis.forces
    assert len(pickle.loads(pickle.dumps(forces))) == len(copy.copy(forces)) == 43
    assert len(repr(forces).splitlines()) == 43
    assert not hasattr(forces, "_repr_html_")


def test_a_comparison_shows_itself_as_headline_verdict_and_tables(audits: pl.DataFrame) -> None:
    shown = analysis.compare(audits, force="warwickshire")._repr_html_()
    assert "Mixed picture at Warwickshire Police" in shown
    assert "direction mixed, evidence cannot tell" in shown
    assert shown.count("<caption") == 2
