import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from lxml import html

from analysis import paths
from analysis.evidence import sources
from analysis.publish import batch, revisions, shelf
from analysis.publish.revisions import Revision, RevisionsError

# some take a kernel: keep them on one worker
pytestmark = pytest.mark.xdist_group("revisions")

HEADER = "force,measure,period,value,lower,upper,n_cases,base,note\n"
GOOD = "dorset,share_good,follow_up,0.322581,0.185653,0.499206,10,31,10 of 31 audited cases\n"
CHANGE = "dorset,share_good,change,0.081617,-0.087474,0.270115,,114,10 of 31 less 20 of 83\n"
WHEN = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)


def between(old: str | None, new: str | None) -> list[Revision]:
    files = [None if one is None else (HEADER + one).encode() for one in (old, new)]
    told: dict[str, Any] = {"date": WHEN, "reason": ("data", "its audits changed"), "version": "published"}
    return revisions.between(*files, **told, run_id="r1")


def test_same_figures_are_no_revision() -> None:
    assert between(GOOD + CHANGE, GOOD + CHANGE) == []


def test_note_alone_is_no_revision() -> None:
    assert between(GOOD, GOOD.replace("audited", "graded")) == []


def test_first_version_has_no_revisions() -> None:
    assert between(None, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.322581", "0.354839"),
        ("0.185653", "0.2"),
        ("0.499206", "0.5"),
        (",10,31,", ",11,31,"),
        (",10,31,", ",10,32,"),
    ],
)
def test_figure_that_moved_in_any_number_is_one_revision(old: str, new: str) -> None:
    (found,) = between(GOOD + CHANGE, GOOD.replace(old, new) + CHANGE)
    assert (found.force, found.measure, found.period) == ("dorset", "share_good", "follow_up")
    assert (found.date, found.reason, found.run_id) == ("2026-11-24T10:30:00+00:00", "data", "r1")


def test_old_and_new_value_stand_as_they_are_printed() -> None:
    (found,) = between(GOOD, GOOD.replace("0.322581", "0.354839"))
    assert (found.old_value, found.new_value) == ("0.322581", "0.354839")


def test_figure_that_appears_has_no_old_value_and_one_that_goes_no_new_one() -> None:
    appeared, gone = between(CHANGE, GOOD)
    assert (appeared.old_value, appeared.new_value) == ("", "0.322581")
    assert (gone.old_value, gone.new_value) == ("0.081617", "")


@pytest.mark.parametrize("damaged", [b"\xff\xfe", b"", b"no,such\n1,2\n", b'"'])
def test_earlier_file_that_cannot_be_read_is_like_none(damaged: bytes) -> None:
    told: dict[str, Any] = {"date": WHEN, "reason": ("data", ""), "version": "draft", "run_id": "r"}
    assert revisions.between(damaged, (HEADER + GOOD).encode(), **told) == []


def test_sentence_says_what_it_was_what_it_is_when_and_why() -> None:
    (moved,) = between(GOOD, GOOD.replace("0.322581", "0.354839").replace(",10,31,", ",11,31,"))
    assert revisions.sentence(moved) == (
        "Share good, later: 32% (range 19% to 50%), 10 of 31 cases before, 35% (range 19% to 50%), 11 of 31 cases now "
        "(24 November 2026; data: its audits changed)."
    )
    (gone,) = between(CHANGE, "")
    assert "+8 points (range −9 points to +27 points) before, not known now" in revisions.sentence(gone)


def test_list_grows_on_top_and_takes_nothing_twice() -> None:
    (first,) = between(GOOD, GOOD.replace("0.322581", "0.3"))
    (second,) = between(GOOD, GOOD.replace("0.322581", "0.4"))
    one = revisions.added(None, [first])
    assert revisions.read(one.encode()) == [first]
    assert revisions.added(one.encode(), [first]) == one
    later = Revision(**{**vars(second), "run_id": "r2"})
    both = revisions.added(one.encode(), [later])
    assert [row.run_id for row in revisions.read(both.encode())] == ["r2", "r1"]


def written(**changed: str) -> bytes:
    (moved,) = between(GOOD, GOOD.replace("0.322581", "0.3"))
    return revisions.added(None, [Revision(**{**vars(moved), **changed})]).encode()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\n",
        b"\xff",
        b"date,force\n",
        b"date,force\n1,2\n",
        b"not a list\nat all\n",
        b'date\n"open',
        written().replace(b"date,force", b"force,date", 1),
        written() + b"1,2\n",
        written().rstrip(b"\n") + b",more\n",
        written(date="yesterday"),
        written(new_value="a third"),
        written(new_value="inf"),
        written(new_base=""),
        written(date="0001-01-01T00:00:00+00:00"),
    ],
)
def test_damaged_list_is_not_written_over(damaged: bytes) -> None:
    with pytest.raises(RevisionsError, match=r"revisions\.csv cannot be read, .* restore it"):
        revisions.added(damaged, [])


VISIBLE = some.text(
    some.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"]), max_size=20
)
WORD = VISIBLE.map(lambda text: text.lstrip("'"))
SHARE = some.floats(-1, 1).map(lambda share: f"{share:.6f}") | some.just("")
COUNT = some.integers(0, 999).map(str)
ROW = some.builds(
    Revision,
    date=some.datetimes(timezones=some.just(UTC)).map(lambda moment: moment.isoformat(timespec="seconds")),
    **dict.fromkeys(("force", "measure", "period", "reason", "detail", "version"), WORD),
    **{f"{side}_{name}": SHARE for side in ("old", "new") for name in ("value", "lower", "upper")},
    **{f"{side}_{name}": COUNT for side in ("old", "new") for name in ("n_cases", "base")},
    run_id=some.uuids().map(lambda one: one.hex),
)


@given(some.lists(ROW, max_size=3))
def test_list_is_read_as_it_was_written(rows: list[Revision]) -> None:
    text = revisions.added(None, rows)
    assert revisions.read(text.encode()) == sorted(rows, key=lambda one: one.date, reverse=True)


@given(VISIBLE)
def test_no_cell_of_the_list_is_a_formula(text: str) -> None:
    (moved,) = between(GOOD, GOOD.replace("0.322581", "0.3"))
    written = revisions.added(None, [Revision(**{**vars(moved), "detail": f"={text}"})])
    (row,) = csv.DictReader(io.StringIO(written))
    assert row["detail"] == f"'={text}"


def made(project: paths.Project, **asked: Any) -> batch.Result:
    (result,) = batch.run(project, shelf.at(project.reports), batch.Asked(("dorset",), **asked))
    assert result.outcome != "failed", result.headline
    return result


def listed(project: paths.Project) -> list[Revision]:
    return revisions.read(shelf.at(project.reports).read(revisions.FILE))


def page_of(project: paths.Project) -> str:
    tree = html.document_fromstring((project.reports / "dorset" / "report.html").read_text(encoding="utf-8"))
    return " ".join("".join(tree.find(".//main").itertext()).split())


def with_another_count(project: paths.Project) -> None:
    """One more good case, one fewer inadequate, wherever the follow-up of Dorset is told."""
    path = project.raw / "audit_statements.csv"
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    head = rows[0]
    for row in rows[1:]:
        told = dict(zip(head, row, strict=True))
        if told["force"] == "Dorset" and told["cases"] == "31":
            for name, step in (("good", 1), ("inadequate", -1)):
                if told[name]:
                    row[head.index(name)] = str(int(told[name]) + step)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    sources.record(project.raw)


def test_figures_that_move_are_told_in_the_report_and_in_the_list(project: paths.Project) -> None:
    made(project)
    assert listed(project) == []
    assert "No figure of this report has moved since its first version." in page_of(project)

    with_another_count(project)
    result = made(project)

    found = {(one.measure, one.period): one for one in listed(project)}
    good = found["share_good", "follow_up"]
    assert (good.old_n_cases, good.new_n_cases, good.reason, good.version) == ("10", "11", "data", "draft")
    assert result.record is not None
    assert good.run_id == result.record.run_id
    assert ("share_good", "baseline") not in found
    assert revisions.sentence(good) in page_of(project)
    assert (project.reports / "index.html").read_text(encoding="utf-8").count("10 of 31 cases before") == 1


def test_revision_of_what_is_published_is_against_what_was_published(project: paths.Project) -> None:
    made(project, publish=True)
    with_another_count(project)
    made(project)
    batch.sign(project, shelf.at(project.reports), ["dorset"], reviewer="A Reader")
    versions = [one.version for one in listed(project)]
    assert versions == sorted(versions, reverse=True)
    assert {"draft", "published"} == set(versions)
    told = page_of(project)
    assert "10 of 31 cases before" in told
    assert ", draft" not in told


def test_other_level_of_confidence_is_a_change_of_method(project: paths.Project) -> None:
    made(project)
    made(project, values={"confidence": 0.9})
    assert {one.reason for one in listed(project)} == {"method"}
    shares = [one for one in listed(project) if one.measure.startswith("share_")]
    assert shares
    assert all(one.old_value == one.new_value and one.old_lower != one.new_lower for one in shares)


def test_correction_that_moves_a_figure_is_told_as_one(project: paths.Project) -> None:
    made(project)
    (old,) = [shelf.recorded(shelf.at(project.reports), "dorset")]
    assert old is not None
    inputs = {**old.inputs, "corrections.toml": "0" * 64}
    assert revisions.reason(old, inputs, {**old.depends_on, "evidence": "0"}) == (
        "correction",
        "its audits or findings changed",
    )
    both = {**inputs, "audit_statements.csv": "0" * 64}
    assert revisions.reason(old, both, {**old.depends_on, "evidence": "0", "code": "0"})[0] == (
        "data and correction and method"
    )
    assert revisions.reason(old, old.inputs, {**old.depends_on, "evidence": "0"})[0] == "method"


def test_draft_lists_what_its_readers_will_be_told_and_others_are_told_of_the_last_one(
    project: paths.Project,
) -> None:
    made(project, publish=True)
    for _ in range(2):
        with_another_count(project)
        made(project)
    draft = html.document_fromstring((project.reports / "dorset/draft/report.html").read_text("utf-8"))
    told = " ".join("".join(draft.find(".//main").itertext()).split())
    # against what is published, not against the draft before
    assert "10 of 31 cases before, 39% (range 24% to 56%), 12 of 31 cases now" in told
    index = (project.reports / "index.html").read_text(encoding="utf-8")
    assert "12 of 31 cases now" in index
    assert "11 of 31 cases now" not in index
    batch.sign(project, shelf.at(project.reports), ["dorset"], reviewer="A Reader")
    assert "10 of 31 cases before, 39% (range 24% to 56%), 12 of 31 cases now" in page_of(project)
    assert ", draft" not in (project.reports / "index.html").read_text(encoding="utf-8")
    # the list of all has every draft too
    assert {one.new_n_cases for one in listed(project) if one.measure == "share_good"} >= {"11", "12"}


@pytest.mark.parametrize("by", ["a reader", "itself"])
def test_first_version_that_is_published_tells_of_no_draft(by: str, project: paths.Project) -> None:
    made(project)
    with_another_count(project)
    made(project)
    assert "10 of 31 cases before" in page_of(project)
    if by == "a reader":
        batch.sign(project, shelf.at(project.reports), ["dorset"], reviewer="A Reader")
    else:
        made(project, publish=True)
    assert "No figure of this report has moved since its first version." in page_of(project)
    assert "10 of 31 cases before" not in (project.reports / "index.html").read_text(encoding="utf-8")


def test_figures_that_move_across_a_withdrawal_are_listed(project: paths.Project) -> None:
    place = shelf.at(project.reports)
    made(project, publish=True)
    batch.withdraw(project, place, "dorset", reason="A count was wrong.")
    with_another_count(project)
    made(project)
    batch.sign(project, place, ["dorset"], reviewer="A Reader")
    assert "10 of 31 cases before" in page_of(project)
    assert "The report was withdrawn on" in page_of(project)
    assert "A count was wrong." in page_of(project)
    assert {one.version for one in listed(project)} == {"draft", "published"}


def test_figures_that_somebody_altered_before_a_withdrawal_are_held_against_nothing(
    project: paths.Project,
) -> None:
    made(project, publish=True)
    figures = project.reports / "dorset" / "figures.csv"
    figures.write_text(figures.read_text(encoding="utf-8").replace(",10,31,", ",30,31,"), encoding="utf-8")
    batch.withdraw(project, shelf.at(project.reports), "dorset", reason="A count was wrong.")
    with_another_count(project)
    made(project)
    assert not (project.reports / revisions.FILE).exists()
    assert "30 of 31 cases before" not in page_of(project)


@pytest.mark.parametrize("then", ["sign", "withdraw"])
def test_what_a_run_that_was_killed_did_not_list_is_listed_by_whoever_comes_next(
    then: str, project: paths.Project
) -> None:
    place = shelf.at(project.reports)
    made(project)
    with_another_count(project)
    made(project)
    # as if it had been killed after its report and before the list
    (project.reports / revisions.FILE).unlink()
    if then == "sign":
        batch.sign(project, place, ["dorset"], reviewer="A Reader")
    else:
        batch.withdraw(project, place, "dorset", reason="A count was wrong.")
    assert "11" in {one.new_n_cases for one in listed(project)}


CORRECTION = """
[[correction]]
file = "audit_statements.csv"
match = {{ force = "Dorset", cases = "31", good = "10" }}
matches = {matches}
column = "{column}"
action = "override"
expected = "{expected}"
value = "{value}"
reason = "The page has a slip of the pen here, as its own table shows."
"""


def test_correction_that_is_declared_moves_a_figure_and_is_told_with_its_reason(
    project: paths.Project,
) -> None:
    made(project)
    raw = list(
        csv.DictReader(io.StringIO((project.raw / "audit_statements.csv").read_text(encoding="utf-8")))
    )
    rows = [row for row in raw if row["force"] == "Dorset" and row["cases"] == "31" and row["good"] == "10"]
    declared = project.raw / "corrections.toml"
    # what is good no more was inadequate, so that the sum stays
    text = "".join(
        CORRECTION.format(matches=len(rows), column=column, expected=rows[0][column], value=value)
        for column, value in (("inadequate", 12), ("good", 9))
    )
    declared.write_text(declared.read_text(encoding="utf-8") + text, encoding="utf-8")
    made(project)
    assert {one.reason for one in listed(project)} == {"correction"}
    assert ("share_good", "10", "9") in {
        (one.measure, one.old_n_cases, one.new_n_cases) for one in listed(project)
    }
    told = page_of(project)
    assert 'Corrected: for good, "10" is read as "9". The page has a slip of the pen here' in told


def test_report_that_is_published_without_a_reader_tells_its_readers_of_no_draft(
    project: paths.Project,
) -> None:
    made(project, publish=True)
    with_another_count(project)
    made(project)
    made(project, publish=True)
    assert {one.version for one in listed(project)} == {"draft", "published"}
    assert "10 of 31 cases before" in page_of(project)
    assert ", draft" not in page_of(project)


def test_earlier_file_with_a_word_for_a_number_is_like_none() -> None:
    assert between(GOOD.replace("0.322581", "a third"), GOOD) == []
