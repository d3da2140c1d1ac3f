import json
from pathlib import Path
from typing import Any

import pytest
from lxml import html
from synthetic import small
from typer.testing import CliRunner

from analysis import cli, paths
from analysis.evidence.faults import EvidenceError
from analysis.publish import batch, plan, record, shelf, verify
from analysis.publish.record import INTERACTIVE, Outcome, RunRecord, SignOffError, State

# each report takes a kernel: keep them on one worker
pytestmark = pytest.mark.xdist_group("signoff")

SHOWN = "from IPython.display import HTML\nHTML('<p>{}</p>')"
REVIEWER = "A Reader, policy"


def made(project: paths.Project, *forces: str, **asked: Any) -> dict[str, batch.Result]:
    results = batch.run(project, shelf.at(project.reports), batch.Asked(forces, **asked))
    return {result.name: result for result in results}


def signed(project: paths.Project, *names: str) -> list[batch.Result]:
    return batch.sign(project, shelf.at(project.reports), names, reviewer=REVIEWER)


def withdrawn(project: paths.Project, name: str, reason: str = "It had the wrong counts.") -> batch.Result:
    return batch.withdraw(project, shelf.at(project.reports), name, reason=reason)


def stored(project: paths.Project, name: str) -> RunRecord:
    found = shelf.recorded(shelf.at(project.reports), name)
    assert found is not None
    return found


def page(project: paths.Project, name: str) -> Any:
    return html.document_fromstring((project.reports / name / "report.html").read_text(encoding="utf-8"))


def words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def row(project: paths.Project, force: str) -> list[str]:
    index = html.document_fromstring((project.reports / "index.html").read_text(encoding="utf-8"))
    return [words(cell) for cell in index.get_element_by_id(force)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def casegrade(*told: str) -> Any:
    return CliRunner().invoke(cli.app, list(told))


@pytest.fixture
def drafted(project: paths.Project) -> paths.Project:
    """A project with a draft on two audits and one on one audit."""
    small(project, SHOWN.format("first"))
    assert made(project, "dorset", "hampshire")["dorset"].is_new
    return project


def test_report_is_a_draft_until_somebody_has_read_it(drafted: paths.Project) -> None:
    assert {stored(drafted, name).state for name in ("dorset", "hampshire")} == {State.DRAFT}
    assert stored(drafted, "dorset").sign_off is None
    assert row(drafted, "dorset")[1] == "draft"
    assert row(drafted, "hampshire")[1] == "one audit only"
    assert row(drafted, "hampshire")[2].startswith("Draft of ")
    tree = page(drafted, "dorset")
    assert tree.find("body").get("class") == "draft"
    assert words(tree.find(".//p[@class='status']")).startswith("Draft, not signed off.")


def test_signed_draft_is_published_with_reviewer_time_and_hashes(drafted: paths.Project) -> None:
    draft = stored(drafted, "dorset")
    before = files(drafted.reports / "dorset")
    (result,) = signed(drafted, "dorset")
    now = stored(drafted, "dorset")
    assert (result.outcome, now.outcome, now.state) == (Outcome.PUBLISHED, Outcome.PUBLISHED, State.PUBLISHED)
    assert now.sign_off is not None
    assert now.sign_off.reviewer == REVIEWER
    assert now.sign_off.signed >= draft.finished
    assert now.sign_off.draft == draft.outputs
    # the same run: its notebook and figures are not made again
    assert now.run_id == draft.run_id
    after = files(drafted.reports / "dorset")
    assert {name for name in after if after[name] == before[name]} == {
        "report.ipynb",
        "figures.csv",
        "figures.csv-metadata.json",
    }
    assert page(drafted, "dorset").find("body").get("class") is None
    assert "draft" not in words(page(drafted, "dorset").find(".//main")).lower()
    assert row(drafted, "dorset")[1:3] == [
        "published",
        f"Published {now.sign_off.signed.day} {now.sign_off.signed:%B %Y}",
    ]
    assert {
        name: record.sha256(content) for name, content in after.items() if name != record.FILE
    } == now.outputs


def test_reviewer_is_in_the_record_and_not_on_the_page(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    assert REVIEWER not in (drafted.reports / "dorset" / "report.html").read_text(encoding="utf-8")
    assert REVIEWER not in (drafted.reports / "index.html").read_text(encoding="utf-8")


def test_what_is_published_stays_when_nothing_changed(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    result = made(drafted, "dorset")["dorset"]
    assert (result.is_new, result.outcome) == (False, Outcome.PUBLISHED)


def test_newer_draft_waits_beside_what_is_published(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    before = files(drafted.reports / "dorset")
    small(drafted, SHOWN.format("second"))

    assert made(drafted, "dorset")["dorset"].outcome is Outcome.DRAFT

    assert files(drafted.reports / "dorset") == before
    assert row(drafted, "dorset")[1] == "superseded"
    assert "second" in words(page(drafted, "dorset/draft"))
    for folder in ("dorset", "dorset/draft"):
        link = page(drafted, folder).find(".//header//a").get("href")
        assert (drafted.reports / folder / link).resolve() == drafted.reports / "index.html"
    assert not made(drafted, "dorset")["dorset"].is_new

    signed(drafted, "dorset")
    assert "second" in words(page(drafted, "dorset"))
    assert not (drafted.reports / "dorset" / "draft").exists()
    assert row(drafted, "dorset")[1] == "published"
    assert len(stored(drafted, "dorset").earlier) >= 2


def test_failed_run_leaves_both_what_is_published_and_the_draft(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    small(drafted, SHOWN.format("second"))
    made(drafted, "dorset")
    small(drafted, "1 / 0")
    assert made(drafted, "dorset")["dorset"].outcome is Outcome.FAILED
    assert "first" in words(page(drafted, "dorset"))
    assert "second" in words(page(drafted, "dorset/draft"))
    small(drafted, SHOWN.format("third"))
    assert made(drafted, "dorset")["dorset"].outcome is Outcome.DRAFT
    assert "third" in words(page(drafted, "dorset/draft"))
    assert not (drafted.reports / "dorset" / "failed").exists()


def test_draft_that_would_be_made_otherwise_now_is_not_published(drafted: paths.Project) -> None:
    before = files(drafted.reports / "dorset")
    small(drafted, SHOWN.format("second"))
    with pytest.raises(SignOffError, match=r"not as it would be made now \(the notebook changed\)"):
        signed(drafted, "dorset")
    assert files(drafted.reports / "dorset") == before


def test_draft_that_was_altered_is_not_published(drafted: paths.Project) -> None:
    (drafted.reports / "dorset" / "figures.csv").write_text("force\n", encoding="utf-8")
    with pytest.raises(SignOffError, match="its files are not as they were written"):
        signed(drafted, "dorset")


def test_one_draft_that_cannot_be_published_keeps_all_back(drafted: paths.Project) -> None:
    with pytest.raises(SignOffError, match="There is no draft of wiltshire"):
        signed(drafted, "dorset", "wiltshire")
    assert stored(drafted, "dorset").state is State.DRAFT


def test_draft_with_parameters_of_its_own_is_published_with_them(project: paths.Project) -> None:
    small(project, "from IPython.display import HTML\nHTML(f'<p>{confidence:.0%} interval</p>')")
    made(project, "dorset", values={"confidence": 0.9})
    signed(project, "dorset")
    assert stored(project, "dorset").parameters == {"force": "dorset", "confidence": 0.9}


def test_page_on_data_quality_is_signed_too(project: paths.Project) -> None:
    small(project, SHOWN.format("first"), notebook=plan.QUALITY_NOTEBOOK)
    made(project, with_quality=True)
    signed(project, record.QUALITY)
    assert stored(project, record.QUALITY).state is State.PUBLISHED


def test_auto_publish_needs_no_reader_and_says_so_in_the_record(drafted: paths.Project) -> None:
    result = made(drafted, "dorset", publish=True)["dorset"]
    assert (result.outcome, result.reasons) == (
        Outcome.PUBLISHED,
        ("it is a draft, and was to be published",),
    )
    sign_off = stored(drafted, "dorset").sign_off
    assert sign_off is not None
    assert sign_off.reviewer is None
    assert not made(drafted, "dorset", publish=True)["dorset"].is_new


def test_withdrawn_report_leaves_a_page_that_says_why(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    earlier = (drafted.reports / "dorset" / "report.html").read_bytes()
    result = withdrawn(drafted, "dorset", "It had <b>wrong</b> counts.")
    assert result.outcome is Outcome.WITHDRAWN
    assert set(files(drafted.reports / "dorset")) == {"report.html", batch.WITHDRAWN_FIGURES, record.FILE}
    told = words(page(drafted, "dorset").find(".//main"))
    assert "This report was withdrawn on" in told
    assert "It had <b>wrong</b> counts." in told
    assert row(drafted, "dorset")[1] == "withdrawn"
    # nobody makes it again before something has changed
    assert not made(drafted, "dorset")["dorset"].is_new
    small(drafted, SHOWN.format("mended"))
    assert made(drafted, "dorset")["dorset"].outcome is Outcome.DRAFT
    assert "withdrawn" in words(page(drafted, "dorset").find(".//main"))
    signed(drafted, "dorset")
    assert "mended" in words(page(drafted, "dorset"))
    copy = drafted.root / "copy.html"
    copy.write_bytes(earlier)
    assert verify.verify(copy, shelf.at(drafted.reports), ["dorset"]).state is verify.State.SUPERSEDED


def test_copy_of_a_withdrawn_report_is_known_as_one(drafted: paths.Project) -> None:
    copy = drafted.root / "copy.html"
    copy.write_bytes((drafted.reports / "dorset" / "report.html").read_bytes())
    withdrawn(drafted, "dorset")
    found = verify.verify(copy, shelf.at(drafted.reports), ["dorset"])
    assert found.state is verify.State.SUPERSEDED
    assert "a draft of the report dorset" in found.sentence
    assert "the report was withdrawn on" in found.sentence


def test_report_that_was_withdrawn_comes_back_through_a_reader_alone(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    withdrawn(drafted, "dorset", "It had the wrong counts.")
    small(drafted, SHOWN.format("mended"))
    assert made(drafted, "dorset", publish=True)["dorset"].outcome is Outcome.DRAFT
    assert stored(drafted, "dorset").state is State.WITHDRAWN
    # and it does not try again and again
    assert not made(drafted, "dorset", publish=True)["dorset"].is_new
    signed(drafted, "dorset")
    assert stored(drafted, "dorset").state is State.PUBLISHED
    assert "It had the wrong counts." in words(page(drafted, "dorset"))


def test_record_remembers_who_signed_and_why_it_was_withdrawn(drafted: paths.Project) -> None:
    place = shelf.at(drafted.reports)
    batch.sign(drafted, place, ["dorset"], reviewer="First Reader")
    small(drafted, SHOWN.format("second"))
    made(drafted, "dorset")
    batch.sign(drafted, place, ["dorset"], reviewer="Second Reader")
    withdrawn(drafted, "dorset", "It had the wrong counts.")
    tombstone = stored(drafted, "dorset")
    assert tombstone.sign_off is not None
    assert tombstone.sign_off.reviewer == "Second Reader"
    small(drafted, SHOWN.format("third"))
    made(drafted, "dorset")
    batch.sign(drafted, place, ["dorset"], reviewer="Third Reader")
    earlier = stored(drafted, "dorset").earlier
    reviewers = {one.sign_off.reviewer for one in earlier if one.sign_off is not None}
    assert reviewers == {"First Reader", "Second Reader"}
    assert [one.withdrawal.reason for one in earlier if one.withdrawal is not None] == [
        "It had the wrong counts."
    ]


def test_reader_who_names_what_they_read_cannot_sign_something_else(drafted: paths.Project) -> None:
    place = shelf.at(drafted.reports)
    copy = drafted.root / "mail.html"
    copy.write_bytes((drafted.reports / "dorset" / "report.html").read_bytes())
    small(drafted, SHOWN.format("second"))
    made(drafted, "dorset")
    with pytest.raises(SignOffError, match=r"mail\.html is not of the draft that would be published now"):
        batch.sign(drafted, place, ["dorset"], reviewer=REVIEWER, read=[copy])
    assert stored(drafted, "dorset").state is State.DRAFT
    copy.write_bytes((drafted.reports / "dorset" / "report.html").read_bytes())
    batch.sign(drafted, place, ["dorset"], reviewer=REVIEWER, read=[copy])
    assert stored(drafted, "dorset").state is State.PUBLISHED


def test_same_page_signed_twice_remembers_both_readers(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    made(drafted, "dorset", rebuild=True, publish=True)
    now = stored(drafted, "dorset")
    assert now.sign_off is not None
    assert now.sign_off.reviewer is None
    assert REVIEWER in {one.sign_off.reviewer for one in now.earlier if one.sign_off is not None}


def test_figures_of_a_withdrawn_report_are_no_figures_of_a_present_one(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    copy = drafted.root / "figures.csv"
    copy.write_bytes((drafted.reports / "dorset" / "figures.csv").read_bytes())
    withdrawn(drafted, "dorset")
    found = verify.verify(copy, shelf.at(drafted.reports), ["dorset"])
    assert found.state is verify.State.SUPERSEDED
    page_there = drafted.reports / "dorset" / "report.html"
    assert verify.verify(page_there, shelf.at(drafted.reports), ["dorset"]).state is verify.State.AS_PUBLISHED


def test_figures_that_somebody_altered_are_shown_nowhere(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    figures = drafted.reports / "dorset" / "figures.csv"
    text = figures.read_text(encoding="utf-8")
    assert ",10,31," in text
    figures.write_text(text.replace(",10,31,", ",30,31,"), encoding="utf-8")
    made(drafted, "hampshire", rebuild=True)
    assert "10 of 31 cases" not in (drafted.reports / "national.html").read_text(encoding="utf-8")
    for name in ("index.html", "national.html"):
        assert "30 of 31" not in (drafted.reports / name).read_text(encoding="utf-8")


def test_page_on_data_quality_with_a_damaged_record_is_not_signed_over(project: paths.Project) -> None:
    small(project, SHOWN.format("first"), notebook=plan.QUALITY_NOTEBOOK)
    made(project, with_quality=True)
    signed(project, record.QUALITY)
    small(project, SHOWN.format("second"), notebook=plan.QUALITY_NOTEBOOK)
    made(project, with_quality=True)
    (project.reports / record.QUALITY / record.FILE).write_text("{", encoding="utf-8")
    with pytest.raises(SignOffError, match=r"record\.json cannot be read"):
        signed(project, record.QUALITY)
    assert "first" in words(page(project, record.QUALITY))


def test_formats_stay_until_every_report_is_made_anew_without_them(drafted: paths.Project) -> None:
    made(drafted, "dorset", formats=frozenset([INTERACTIVE]))
    small(drafted, SHOWN.format("second"))
    made(drafted, "dorset")
    assert stored(drafted, "dorset").formats == (INTERACTIVE,)
    assert page(drafted, "dorset").xpath("//script") or "chart-grades" not in words(page(drafted, "dorset"))
    made(drafted, "dorset", rebuild=True)
    assert stored(drafted, "dorset").formats == ()


def test_record_that_cannot_be_read_keeps_its_report_from_being_written_over(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    (drafted.reports / "dorset" / record.FILE).write_text("{", encoding="utf-8")
    before = files(drafted.reports / "dorset")
    small(drafted, SHOWN.format("second"))
    result = made(drafted, "dorset")["dorset"]
    assert (result.outcome, result.is_new) == (Outcome.FAILED, False)
    assert "record.json cannot be read" in result.headline
    assert files(drafted.reports / "dorset") == before
    with pytest.raises(SignOffError, match=r"cannot be withdrawn: its record\.json cannot be read"):
        withdrawn(drafted, "dorset")


def test_report_is_withdrawn_although_the_data_cannot_be_cleaned(drafted: paths.Project) -> None:
    signed(drafted, "dorset")
    statements = drafted.raw / "audit_statements.csv"
    statements.write_text(
        statements.read_text(encoding="utf-8").replace("Warwickshire,", "Atlantis,"), encoding="utf-8"
    )
    told: list[str] = []
    batch.withdraw(drafted, shelf.at(drafted.reports), "dorset", reason="Wrong counts.", say=told.append)
    assert "This report was withdrawn on" in words(page(drafted, "dorset"))
    assert "Atlantis" in told[0]
    assert "dorset is withdrawn, but the pages about all reports are as they were" in told[0]


def test_nothing_is_published_from_raw_files_that_are_not_as_recorded(drafted: paths.Project) -> None:
    claims = drafted.raw / "claims.csv"
    claims.write_text(claims.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(EvidenceError, match=r"claims\.csv: is not as datapackage\.json recorded it"):
        signed(drafted, "dorset")
    with pytest.raises(EvidenceError, match=r"claims\.csv: is not as datapackage\.json recorded it"):
        made(drafted, "dorset", publish=True)
    assert stored(drafted, "dorset").state is State.DRAFT


def test_report_whose_audits_are_gone_stays_until_somebody_decides(drafted: paths.Project) -> None:
    signed(drafted, "hampshire")
    before = files(drafted.reports / "hampshire")
    for name in ("audit_statements.csv", "findings.csv"):
        file = drafted.raw / name
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(line for line in lines if "Hampshire" not in line), encoding="utf-8")
    (step,) = batch.dry_run(drafted, shelf.at(drafted.reports), batch.Asked(("hampshire",)))
    assert not step.is_due
    assert "its audits are no longer in the data" in step.reasons[0]
    result = made(drafted, "hampshire")["hampshire"]
    assert (result.outcome, result.is_new) == (Outcome.FAILED, False)
    assert result.headline.endswith("restore their rows, or withdraw it.")
    assert files(drafted.reports / "hampshire") == before
    told = row(drafted, "hampshire")
    assert told[1] == "failed"
    assert "Its audits are no longer in the data" in told[3]
    withdrawn(drafted, "hampshire")
    assert row(drafted, "hampshire")[1] == "withdrawn"


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (("publish", "kent", "--reviewer", "x"), "There is no draft of kent"),
        (("publish", "atlantis", "--reviewer", "x"), "atlantis"),
        (("publish", "dorset", "--reviewer", " "), "Say who read the draft"),
        (("withdraw", "kent", "--reason", "x"), "There is no report of kent"),
        (("publish", "dorset", "--reviewer", "w" * 201), "in at most 200 letters"),
        (("publish", "data-quality", "--reviewer", "x"), "make one with casegrade report --all"),
        (("publish", "dorset", "--reviewer", "x", "--read", "nowhere.html"), "nowhere.html cannot be read"),
        (("withdraw", "dorset", "--reason", ""), "Say why"),
        (("withdraw", "dorset", "--reason", "..."), "Say why"),
        (("withdraw", "dorset", "--reason", "word " * 200), "of at most 500 letters"),
        (("withdraw", "dorset", "--reason", "See /home/someone/notes.txt"), "local path"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(
    told: tuple[str, ...], says: str, drafted: paths.Project
) -> None:
    before = files(drafted.reports / "dorset")
    done = casegrade(*told)
    assert done.exit_code in (1, 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert files(drafted.reports / "dorset") == before


def test_commands_say_what_they_did(drafted: paths.Project) -> None:
    done = casegrade("publish", "Dorset Police", "--reviewer", REVIEWER)
    assert (done.exit_code, done.stdout.split(". ")[0]) == (0, "dorset: published")
    again = casegrade("publish", "dorset", "--reviewer", REVIEWER)
    assert again.exit_code == 2
    assert "dorset is published already" in again.stderr
    gone = casegrade("withdraw", "dorset", "--reason", "It had the wrong counts.")
    assert (gone.exit_code, gone.stdout.split(". ")[0]) == (0, "dorset: withdrawn")
    assert (
        json.loads((drafted.reports / "dorset" / record.FILE).read_text(encoding="utf-8"))["state"]
        == "withdrawn"
    )
