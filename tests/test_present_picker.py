import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import synthetic
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from processes import PATIENCE

from analysis import paths
from analysis.compare.graded import GivenError, SelectionError
from analysis.evidence.reconcile import Audit
from analysis.present import picker
from analysis.present.picker import explorer, view
from analysis.present.pictures import Picture
from analysis.present.sections import Section
from analysis.vocabulary import VocabularyError

SHOW = """
from analysis.evidence import cleaning
from analysis import paths
from analysis.present import picker
picker.explorer(cleaning.load(paths.project()).audits, force="dorset")
"""


class TestView:
    def test_says_the_headline_and_draws_the_grades(self, audits: pl.DataFrame) -> None:
        seen = view(audits, force="Warwickshire Police")
        assert "Compared: inspection of February 2022 and post-inspection review of February 2023." in repr(
            seen
        )
        assert "Mixed picture at Warwickshire Police" in repr(seen.words)
        assert isinstance(seen.drawing, Picture)
        assert seen.drawing.svg in seen.html

    @pytest.mark.parametrize("measure", ["good", "inadequate"])
    def test_draws_a_share_over_time(self, audits: pl.DataFrame, measure: str) -> None:
        drawing = view(audits, force="dorset", measure=measure).drawing
        assert isinstance(drawing, Picture)
        assert drawing.title == f"Share graded {measure} in 2 audits"

    @pytest.mark.parametrize("measure", picker.MEASURES)
    def test_shows_something_of_every_force(self, audits: pl.DataFrame, measure: str) -> None:
        for slug in synthetic.slugs():
            seen = view(audits, force=slug, measure=measure)
            assert repr(seen.words)
            assert repr(seen.drawing)

    def test_of_a_force_without_audits_is_a_sentence(self, audits: pl.DataFrame) -> None:
        seen = view(audits, force="kent")
        assert isinstance(seen.drawing, Section)
        assert "no case grades of Kent Police have been transcribed" in repr(seen)

    def test_of_a_force_with_audits_of_areas_only_says_there_is_nothing_to_follow(
        self, audits: pl.DataFrame
    ) -> None:
        seen = view(audits, force="nottinghamshire", measure="good")
        assert "no audit of all areas" in repr(seen.drawing)

    def test_of_audits_without_shares_says_so(self, audits: pl.DataFrame) -> None:
        assert "No share is known" in repr(view(audits, force="surrey").drawing)

    def test_warns_of_audits_that_are_neither_inspection_nor_follow_up(self, audits: pl.DataFrame) -> None:
        seen = view(
            audits,
            force="metropolitan",
            baseline="metropolitan-published-2017-11-update",
            follow_up="metropolitan-2018-10-re-inspection",
        )
        assert "A quarterly update is neither an inspection nor the follow-up of one" in repr(seen.words)
        assert "quarterly update is neither" not in repr(view(audits, force="metropolitan").words)

    def test_refuses_what_it_does_not_know(self, audits: pl.DataFrame) -> None:
        with pytest.raises(VocabularyError, match="did you mean good"):
            view(audits, force="dorset", measure="goood")
        with pytest.raises(VocabularyError, match="dorset"):
            view(audits, force="dorsett")
        with pytest.raises(SelectionError, match="did you mean"):
            view(audits, force="dorset", baseline="dorset-2021-initial")


class TestPairs:
    def test_are_every_two_audits_in_date_order(self, audits: pl.DataFrame) -> None:
        found = picker.pairs(audits, "metropolitan")
        assert len(found) == 6
        assert found["inspection of February 2016 and re-inspection of October 2018"] == (
            "metropolitan-2016-02-initial",
            "metropolitan-2018-10-re-inspection",
        )

    def test_leave_out_dates_of_which_either_may_come_first(self) -> None:
        rows = [
            synthetic.audit([1, 2, 3], fieldwork="2018"),
            synthetic.audit([1, 2, 3], fieldwork="2018-05", kind="review"),
        ]
        table = pl.DataFrame(rows, schema=Audit.create_empty().schema, orient="row")
        assert picker.pairs(table, synthetic.FORCE) == {}

    def test_can_each_be_shown(self, audits: pl.DataFrame) -> None:
        for slug in ("metropolitan", "dorset", "warwickshire"):
            for baseline, follow_up in picker.pairs(audits, slug).values():
                assert repr(view(audits, force=slug, baseline=baseline, follow_up=follow_up))


class TestWidget:
    def test_offers_every_force_with_what_there_is_of_it(self, audits: pl.DataFrame) -> None:
        force, *_ = explorer(audits).widget().children
        labels = [label for label, _ in force.options]
        assert len(labels) == 43
        assert "Warwickshire Police (two audits)" in labels
        assert "Thames Valley Police (one audit)" in labels
        assert "Kent Police (no audit)" in labels

    def test_names_every_picker_for_screen_readers(self, audits: pl.DataFrame) -> None:
        *pickers, _ = explorer(audits).widget().children
        assert [one.description for one in pickers] == ["Force", "Audits", "Measure"]

    def test_shows_what_is_picked(self, audits: pl.DataFrame) -> None:
        found = explorer(audits)
        force, pair, measure, shown = found.widget().children
        assert "Warwickshire Police" in shown.value
        force.value = "metropolitan"
        assert found.force == "metropolitan"
        assert "Compared: inspection of February 2016 and re-inspection of October 2018" in shown.value
        pair.value = "metropolitan-published-2017-11-update|metropolitan-2018-10-re-inspection"
        assert "Compared: quarterly update of November 2017 (published)" in shown.value
        measure.value = "inadequate"
        assert "Share graded inadequate in 2 audits" in shown.value
        assert shown.value == found.view.html

    def test_forgets_the_audits_of_another_force(self, audits: pl.DataFrame) -> None:
        force, pair, _, shown = explorer(audits, force="metropolitan").widget().children
        pair.value = "metropolitan-published-2017-11-update|metropolitan-2018-10-re-inspection"
        force.value = "dorset"
        assert pair.value == ""
        assert "Compared: inspection of April 2021 and post-inspection review of April 2022" in shown.value
        force.value = "kent"
        assert pair.disabled
        assert "no case grades of Kent Police" in shown.value

    def test_tells_of_audits_that_cannot_be_compared_in_place_of_a_traceback(
        self, audits: pl.DataFrame
    ) -> None:
        found = explorer(audits, force="dorset")
        found._pair = ("dorset-2022-04-review", "dorset-2021-04-initial")
        *_, shown = found.widget().children
        assert "exchange baseline and follow_up" in shown.value


def test_a_first_choice_that_is_unknown_is_refused(audits: pl.DataFrame) -> None:
    with pytest.raises(VocabularyError, match="use one of: all grades, good, inadequate"):
        explorer(audits, measure="xyz")
    with pytest.raises(
        VocabularyError, match="The measure None is unknown: use one of: all grades, good, inadequate"
    ):
        explorer(audits, measure=None)  # type: ignore[arg-type]
    with pytest.raises(GivenError, match="give the audits as from"):
        explorer(audits.lazy())  # type: ignore[arg-type]
    with pytest.raises(VocabularyError, match="dorset"):
        explorer(audits, force="dorsett")
    with pytest.raises(ValueError, match="and below 1"):
        explorer(audits, confidence=0.2)


def test_a_measure_is_named_in_any_case_and_as_that_of_a_grade(audits: pl.DataFrame) -> None:
    assert explorer(audits, measure="Share_Good").measure == "good"
    assert explorer(audits, measure="All grades").measure == "all grades"


@pytest.fixture
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(picker.LIVE, raising=False)
    monkeypatch.setenv(paths.VARIABLE, str(synthetic.ROOT))


def test_nobody_can_pick_without_a_server_or_without_ipywidgets(
    headless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not picker.is_live()
    monkeypatch.setenv(picker.LIVE, "notebooks/04_explore.ipynb")
    assert picker.is_live()
    monkeypatch.setattr(picker.importlib.util, "find_spec", lambda _name: None)
    assert not picker.is_live()


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    """One kernel for all tests, as a Jupyter server starts it for a notebook that somebody has open."""
    manager = KernelManager(kernel_name="python3")
    environment = os.environ | {picker.LIVE: "notebook.ipynb", paths.VARIABLE: str(synthetic.ROOT)}
    manager.start_kernel(env=environment)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        # sockets left to the end of the run would be warned of
        manager.context.term()


def told(client: BlockingKernelClient, asked: str) -> list[dict[str, Any]]:
    """All that a kernel says in answer to a message, until it is idle again."""
    said = []
    while True:
        message = client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") != asked:
            continue
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return said
        said.append(message)


def ran(client: BlockingKernelClient, *, is_live: bool) -> list[dict[str, Any]]:
    """What a notebook shows of the pickers, with or without somebody who has it open, in the one kernel."""
    setting = (
        f"os.environ[{picker.LIVE!r}] = 'notebook.ipynb'"
        if is_live
        else f"os.environ.pop({picker.LIVE!r}, None)"
    )
    told(client, client.execute(f"import os; {setting}"))
    said = told(client, client.execute(SHOW))
    assert not [message["content"] for message in said if message["msg_type"] == "error"]
    return said


def displayed(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message["content"]["data"] for message in said if message["msg_type"] == "display_data"]


def test_a_notebook_that_nobody_looks_at_has_words_and_chart_and_no_widget(
    kernel: BlockingKernelClient,
) -> None:
    said = ran(kernel, is_live=False)
    words, drawing = displayed(said)
    assert words["text/plain"].startswith("Dorset Police. Compared:")
    assert '<figure class="chart" id="chart-picked">' in drawing["text/html"]
    assert not [message for message in said if message["msg_type"].startswith("comm")]
    assert not any("widget" in name for data in (words, drawing) for name in data)


def test_two_processes_show_the_same_to_nobody(kernel: BlockingKernelClient, audits: pl.DataFrame) -> None:
    here = explorer(audits, force="dorset").view
    assert isinstance(here.drawing, Picture)
    words, drawing = displayed(ran(kernel, is_live=False))
    assert words["text/html"] == here.words._repr_html_()
    assert drawing["text/html"] == here.drawing.html
    assert displayed(ran(kernel, is_live=False)) == [words, drawing]


def test_picking_in_a_live_kernel_changes_what_is_shown(kernel: BlockingKernelClient) -> None:
    said = ran(kernel, is_live=True)
    opened = {
        message["content"]["comm_id"]: message["content"]["data"]["state"]
        for message in said
        if message["msg_type"] == "comm_open"
    }
    [bundle] = displayed(said)
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "Dorset Police" in bundle["text/html"]
    [force] = [comm for comm, state in opened.items() if state.get("description") == "Force"]
    [shown] = [comm for comm, state in opened.items() if state["_model_name"] == "HTMLModel"]
    labels = opened[force]["_options_labels"]

    picked = {
        "method": "update",
        "state": {"index": labels.index("Suffolk Constabulary (two audits)")},
        "buffer_paths": [],
    }
    message = kernel.session.msg("comm_msg", {"comm_id": force, "data": picked})
    kernel.shell_channel.send(message)
    changed = [
        one["content"]["data"]["state"]["value"]
        for one in told(kernel, message["header"]["msg_id"])
        if one["msg_type"] == "comm_msg"
        and one["content"]["comm_id"] == shown
        and "value" in one["content"]["data"].get("state", {})
    ]
    assert re.search(r'<div role="status"><p>Suffolk Constabulary\. Compared:', changed[-1])
    assert '<figure class="chart"' in changed[-1]


def test_widgets_are_loaded_only_where_they_are_shown() -> None:
    import subprocess

    code = "import sys; import analysis.present.picker; print('ipywidgets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
