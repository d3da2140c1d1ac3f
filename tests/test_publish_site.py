import base64
import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import synthetic
from lxml import html

from analysis import paths, vocabulary
from analysis.compare import change
from analysis.compare.change import Comparison, NoAudit, SingleAudit
from analysis.evidence.cleaning import Evidence
from analysis.present import wording
from analysis.publish import batch, gate, record, shelf, site
from analysis.publish.record import Outcome, RunRecord, SignOff, State

# The index is made from what lies in `reports`. Here that is put there by hand, so that every
# state can be had without a kernel; test_publish_batch.py looks at the index after real runs.
COMPARED = synthetic.slugs(Comparison)
ALONE = synthetic.slugs(SingleAudit)
WITHOUT = synthetic.slugs(NoAudit)
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} {% raw %} &lt;'


def run_record(force: str, **changed: Any) -> RunRecord:
    given = {
        "run_id": "0" * 32,
        "force": force,
        "outcome": Outcome.PUBLISHED,
        "state": State.PUBLISHED,
        "sign_off": SignOff(reviewer="A Reader", signed=datetime(2024, 5, 2, 9, tzinfo=UTC), draft={}),
        "headline": f"Headline of {force}.",
        "about": f"Compared: two audits of {force}.",
        "compared": (f"{force}-2021-04-initial", f"{force}-2022-04-review"),
        "parameters": {"force": force},
        "started": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "finished": datetime(2024, 5, 1, 12, 1, tzinfo=UTC),
        "seconds": {},
        "kernel": "warm",
        "attempts": 1,
        "depends_on": {},
        "inputs": {},
        "code_version": "0.1.0",
        "revision": None,
        "is_dirty": None,
        "python": "3.11.0",
        "packages": {},
        "outputs": {"report.html": "0" * 64},
    }
    return RunRecord(**given | changed)


def file(project: paths.Project, name: str, text: str = "<!doctype html>") -> None:
    path = project.reports / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def publish(project: paths.Project, force: str, *, folder: str = "", **changed: Any) -> None:
    if folder:
        changed = {"outputs": {}, **changed}
    else:
        file(project, f"{force}/report.html")
    file(project, f"{force}/{folder}/{record.FILE}", record.text(run_record(force, **changed)))


def publish_with(project: paths.Project, force: str, figures: str, **changed: Any) -> None:
    """A report with figures, which its record knows."""
    outputs = {"report.html": "0" * 64, "figures.csv": record.sha256(figures)}
    publish(project, force, outputs=outputs, **changed)
    file(project, f"{force}/figures.csv", figures)


def pages_of(project: paths.Project, evidence: Evidence) -> dict[str, str]:
    return site.pages(evidence, project, shelf.at(project.reports), footer=batch.footer(project))


def text_of(project: paths.Project, evidence: Evidence) -> str:
    return pages_of(project, evidence)[site.INDEX]


def withdrawn(reason: str, moment: datetime) -> dict[str, Any]:
    """What a record says of a report that is withdrawn."""
    withdrawal = record.Withdrawal(reason=reason, withdrawn=moment)
    return {"state": State.WITHDRAWN, "outcome": Outcome.WITHDRAWN, "withdrawal": withdrawal}


def index_of(project: paths.Project, evidence: Evidence) -> Any:
    return html.document_fromstring(text_of(project, evidence))


def rows(tree: Any) -> dict[str, Any]:
    return {row.get("id"): row for row in tree.iterfind(".//tbody/tr")}


def words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


@pytest.fixture
def full(project: paths.Project, evidence: Evidence) -> Any:
    """An index with a row of every kind."""
    publish(project, "warwickshire")
    publish(project, "avon-and-somerset", outcome=Outcome.ONE_AUDIT)
    publish(project, "dorset", headline="The earlier headline.")
    failed = {"outcome": Outcome.FAILED, "headline": "cell 3 ended in ValueError: no file"}
    publish(project, "dorset", folder="failed", **failed)
    publish(project, "suffolk", folder="failed", **failed)
    publish(project, record.QUALITY)
    return index_of(project, evidence)


def test_index_lists_every_force_once_by_its_full_name(full: Any, project: paths.Project) -> None:
    forces = vocabulary.forces(project.raw)
    assert len(forces) == 43
    assert {slug: words(row[0]) for slug, row in rows(full).items()} == {
        force.slug: force.full_name for force in forces
    }


def test_forces_are_in_alphabetical_order_and_the_page_says_that_the_order_means_nothing(full: Any) -> None:
    names = [vocabulary.force(slug).short_name for slug in rows(full)]
    assert names == sorted(names)
    assert "alphabetical order" in words(full)
    assert not re.search(r"\b(rank|best|worst|league|top)\w*\b", words(full.find(".//main")), re.IGNORECASE)


def test_status_is_what_the_last_run_left(full: Any) -> None:
    status = {slug: words(row[1]) for slug, row in rows(full).items()}
    assert status["warwickshire"] == "published"
    assert status["avon-and-somerset"] == "one audit only"
    assert status["dorset"] == status["suffolk"] == "failed"
    assert {status[slug] for slug in WITHOUT} == {"no audits yet"}
    run = {"warwickshire", "avon-and-somerset", "dorset", "suffolk"}
    assert {status[slug] for slug in {*COMPARED, *ALONE} - run} == {"not run yet"}


def test_box_says_what_is_known_by_the_data_and_what_became_of_reports(full: Any) -> None:
    told = words(full.find(".//div[@class='box']"))
    n = (len(COMPARED), len(ALONE), len(WITHOUT))
    assert sum(n) == 43
    assert (
        f"Of 43 police forces in England and Wales, {n[0]} have two audits to compare, {n[1]} have one, "
        f"and of {n[2]} no case grades have been transcribed."
    ) in told
    assert "Of the reports, 3 are published and 0 are drafts that nobody has signed off." in told


def test_headline_and_audits_are_those_of_the_record(full: Any) -> None:
    row = words(rows(full)["warwickshire"])
    assert "Headline of warwickshire." in row
    assert "Compared: two audits of warwickshire." in row


def test_audits_that_were_chosen_are_named_and_not_the_usual_ones(
    project: paths.Project, evidence: Evidence
) -> None:
    publish(project, "metropolitan", about="Compared: two quarterly updates.")
    usual = wording.compared(change.examine(evidence.audits, force="metropolitan"))
    row = words(rows(index_of(project, evidence))["metropolitan"])
    assert "two quarterly updates" in row
    assert usual not in row


def test_link_leads_to_the_report_and_only_where_there_is_one(full: Any, project: paths.Project) -> None:
    links = {slug: [link.get("href") for link in row.iterfind(".//a")] for slug, row in rows(full).items()}
    assert links["warwickshire"] == ["warwickshire/report.html"]
    assert links["dorset"] == ["dorset/report.html"]
    assert links["suffolk"] == []
    assert not any(links[slug] for slug in WITHOUT)
    for hrefs in links.values():
        assert all((project.reports / href).is_file() for href in hrefs)


def test_failed_force_says_why_and_that_the_link_is_to_the_earlier_report(full: Any) -> None:
    dorset, suffolk = words(rows(full)["dorset"]), words(rows(full)["suffolk"])
    for row in (dorset, suffolk):
        assert "The last run failed: cell 3 ended in ValueError: no file" in row
    # the headline of a report that could not be renewed is not passed off as the latest
    assert "The earlier headline." in dorset
    assert "The report is the earlier one." in dorset
    assert "the earlier one" not in suffolk


@pytest.mark.parametrize("slug", WITHOUT)
def test_force_without_audits_names_the_inspections_that_are_known_to_exist(
    slug: str, project: paths.Project, evidence: Evidence
) -> None:
    row = words(rows(index_of(project, evidence))[slug])
    known = evidence.known_inspections.filter(evidence.known_inspections["force"] == slug).to_dicts()
    for one in known:
        assert wording.known_inspection(one) in row
    assert ("Known to exist" in row) == bool(known)


def test_both_inspections_of_staffordshire_are_named(project: paths.Project, evidence: Evidence) -> None:
    row = words(rows(index_of(project, evidence))["staffordshire"])
    assert re.search(r"[^-]inspection of 2021", row)
    assert re.search(r"re-inspection of March 2023", row)


def test_page_on_data_quality_is_linked_once_it_is_there(project: paths.Project, evidence: Evidence) -> None:
    before = index_of(project, evidence)
    publish(project, record.QUALITY, folder="failed", outcome=Outcome.FAILED)
    failed = index_of(project, evidence)
    publish(project, record.QUALITY)
    after = index_of(project, evidence)
    hrefs = [[link.get("href") for link in tree.iterfind(".//a")] for tree in (before, failed, after)]
    assert ["data-quality/report.html" in one for one in hrefs] == [False, False, True]


def test_index_is_accessible_html(full: Any, project: paths.Project, evidence: Evidence) -> None:
    text = text_of(project, evidence)
    assert text.lower().startswith("<!doctype html>")
    assert full.get("lang") == "en-GB"
    assert full.findtext("head/title").strip()
    assert [heading.tag for heading in full.xpath("//h1 | //h2 | //h3")][:1] == ["h1"]
    assert len(full.findall(".//h1")) == 1
    main = full.find(".//main")
    assert full.find(".//a").get("href") == f"#{main.get('id')}"
    table = main.find(".//table")
    assert table[0].tag == "caption"
    assert {cell.get("scope") for cell in table.iterfind(".//thead//th")} == {"col"}
    assert {cell.get("scope") for cell in table.iterfind(".//tbody//th")} == {"row"}
    region = table.getparent()
    assert (region.get("role"), region.get("tabindex")) == ("region", "0")
    assert region.get("aria-labelledby") == table[0].get("id")
    ids = [one.get("id") for one in full.iter() if one.get("id") is not None]
    assert len(ids) == len(set(ids))


def test_index_runs_nothing_and_loads_nothing(full: Any, project: paths.Project, evidence: Evidence) -> None:
    (script,) = full.xpath("//script")
    assert not full.xpath("//link | //img | //iframe | //form | //base | //object")
    assert not full.xpath("//*[@src or @srcset or @onclick or @onload]")
    assert not re.search(r"url\((?!\"data:)|@import", "".join(full.itertext("style")))
    policy = full.find("head/meta[@http-equiv='Content-Security-Policy']").get("content")
    assert policy.startswith("default-src 'none'")
    # the one that searches and sorts, and no other
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    text = text_of(project, evidence)
    assert str(project.root) not in text
    # works from a file share: every link is relative
    assert all(not re.match(r"[a-z]+:|/", link.get("href")) for link in full.iterfind(".//a"))
    assert len(text) < 150_000


def test_index_ends_on_the_limits_and_the_licence(full: Any) -> None:
    assert wording.LIMITS in words(full)
    footer = words(full.find(".//footer"))
    assert "Open Government Licence" in footer
    assert "not official statistics" in footer


def test_words_of_records_are_shown_as_they_are(project: paths.Project, evidence: Evidence) -> None:
    publish(project, "warwickshire", headline=HOSTILE, about=HOSTILE)
    publish(project, "dorset", folder="failed", outcome=Outcome.FAILED, headline=HOSTILE)
    tree = index_of(project, evidence)
    assert not tree.xpath("//main//script | //img | //*[@onerror]")
    for slug in ("warwickshire", "dorset"):
        assert HOSTILE in words(rows(tree)[slug])


@pytest.mark.parametrize(
    "damage",
    ["", "not json", "{}", "[]", '{"run_id": 1}', "\x00"],
    ids=["empty", "words", "no fields", "list", "a field", "zero byte"],
)
def test_record_that_cannot_be_read_leaves_its_report_and_says_so(
    damage: str, project: paths.Project, evidence: Evidence
) -> None:
    publish(project, "warwickshire")
    file(project, "warwickshire/record.json", damage)
    row = rows(index_of(project, evidence))["warwickshire"]
    assert words(row[1]) == "failed"
    assert "Its record.json cannot be read, so it stays as it is" in words(row)
    assert row.find(".//a") is None


def test_record_that_is_not_utf8_cannot_be_read(project: paths.Project, evidence: Evidence) -> None:
    publish(project, "warwickshire")
    (project.reports / "warwickshire" / "record.json").write_bytes(b"\xff\xfe{}")
    assert words(rows(index_of(project, evidence))["warwickshire"][1]) == "failed"


def test_record_without_its_report_counts_as_not_run(project: paths.Project, evidence: Evidence) -> None:
    publish(project, "warwickshire")
    (project.reports / "warwickshire" / "report.html").unlink()
    row = rows(index_of(project, evidence))["warwickshire"]
    assert words(row[1]) == "not run yet"
    assert row.find(".//a") is None


def run_without_reports(project: paths.Project) -> None:
    """A run that has no report to make: there is no audit of Kent."""
    batch.run(project, shelf.at(project.reports), batch.Asked(("kent",)))


def files_in(project: paths.Project) -> list[str]:
    return sorted(path.name for path in project.reports.iterdir())


def test_index_is_written_before_any_report_was_made(project: paths.Project) -> None:
    assert not project.reports.exists()
    run_without_reports(project)
    tree = html.document_fromstring((project.reports / "index.html").read_text(encoding="utf-8"))
    assert len(rows(tree)) == 43
    assert files_in(project) == [*synthetic.AROUND]


def test_index_is_replaced_whole_and_the_same_every_time(project: paths.Project, evidence: Evidence) -> None:
    publish(project, "warwickshire")
    run_without_reports(project)
    first = (project.reports / "index.html").read_bytes()
    assert first.decode() == text_of(project, evidence)
    (project.reports / "index.html").write_text("half an ind", encoding="utf-8")
    run_without_reports(project)
    assert (project.reports / "index.html").read_bytes() == first
    assert files_in(project) == [*synthetic.AROUND, "warwickshire"]


def test_index_that_cannot_be_written_leaves_the_earlier_one(project: paths.Project) -> None:
    run_without_reports(project)
    earlier = (project.reports / "index.html").read_bytes()
    # half of a character: no file can hold it
    with pytest.raises(UnicodeEncodeError):
        shelf.write_if_changed(shelf.at(project.reports), site.INDEX, "\ud800")
    assert (project.reports / "index.html").read_bytes() == earlier
    assert files_in(project) == [*synthetic.AROUND]


def test_others_may_read_the_index(project: paths.Project) -> None:
    run_without_reports(project)
    # a temporary file is its owner's alone, and a web server runs as somebody else
    assert (project.reports / "index.html").stat().st_mode & 0o444 == 0o444


def test_record_written_is_the_record_read() -> None:
    written = run_record("kent", parameters={"force": "kent", "confidence": 0.9}, headline=HOSTILE)
    assert record.parse(record.text(written)) == written
    assert record.parse(record.text(written).encode()) == written


def test_record_refuses_a_field_that_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="verdict"):
        run_record("kent", verdict="clear")


FIGURES = "force,measure,period,value,lower,upper,n_cases,base,note\n"
PAIR = FIGURES + (
    "{0},share_good,baseline,0.24,0.16,0.34,20,83,n\n"
    "{0},share_good,follow_up,0.32,0.19,0.50,10,31,n\n"
    "{0},share_good,change,0.08,-0.09,0.27,,114,n\n"
)


@pytest.fixture
def national(project: paths.Project, evidence: Evidence) -> Any:
    for slug in ("warwickshire", "dorset"):
        publish_with(project, slug, PAIR.format(slug))
    alone = {"outcome": Outcome.ONE_AUDIT, "compared": ("avon-and-somerset-2023-07-initial",)}
    figures = FIGURES + "avon-and-somerset,share_good,baseline,0.25,0.16,0.36,17,69,n\n"
    publish_with(project, "avon-and-somerset", figures, state=State.DRAFT, sign_off=None, **alone)
    pages = pages_of(project, evidence)
    return html.document_fromstring(pages[site.NATIONAL])


def test_national_page_has_every_pair_in_alphabetical_order_and_ranks_nobody(national: Any) -> None:
    table = national.xpath("//table[caption[@id='compared-caption']]")[0]
    names = [words(one) for one in table.xpath(".//tbody//th/a")]
    assert names == ["Dorset Police", "Warwickshire Police"]
    assert "not ranked" in words(national)
    assert not re.search(
        r"\b(best|worst|league|top|highest|lowest)\b", words(national.find(".//main")), re.IGNORECASE
    )
    # by the data, whatever reports there are
    assert f"{len(COMPARED)} have two audits to compare, {len(ALONE)} have one" in words(national)


def test_national_page_marks_drafts_and_says_what_a_range_is(national: Any) -> None:
    told = words(national)
    assert "1 of the 3 reports here is a draft that nobody has signed off." in told
    versions = {words(one[0]): words(one[1]) for one in national.iterfind(".//tbody//th")}
    assert versions == {
        "Dorset Police": "Published 2 May 2024",
        "Warwickshire Police": "Published 2 May 2024",
        "Avon and Somerset Police": "Draft of 1 May 2024",
    }
    assert "Each range is a 95% interval" in told
    assert wording.ROUNDING in told


def test_national_page_says_where_a_range_is_of_another_level(
    project: paths.Project, evidence: Evidence
) -> None:
    publish_with(project, "dorset", PAIR.format("dorset"), parameters={"force": "dorset", "confidence": 0.9})
    pages = pages_of(project, evidence)
    assert "24% (90% range 16% to 34%), 20 of 83 cases" in pages[site.NATIONAL]


def test_failed_run_is_told_in_the_index_and_not_as_what_the_report_says(
    project: paths.Project, evidence: Evidence
) -> None:
    publish(project, "dorset", headline="The report's own words.")
    publish(project, "dorset", folder="failed", outcome=Outcome.FAILED, headline="cell 3 ended in ValueError")
    pages = pages_of(project, evidence)
    assert "ValueError" in pages[site.INDEX]
    assert "ValueError" not in pages[site.NATIONAL]
    assert "The report&#39;s own words." in pages[site.NATIONAL]


def test_draft_that_waits_is_linked_whatever_the_state_of_the_report(
    project: paths.Project, evidence: Evidence
) -> None:
    publish(project, "dorset", **withdrawn("Wrong.", datetime(2024, 6, 1, tzinfo=UTC)))
    publish(project, "suffolk")
    publish(project, "suffolk", folder="failed", outcome=Outcome.FAILED, headline="cell 3")
    for slug in ("dorset", "suffolk"):
        file(project, f"{slug}/draft/report.html")
        publish(project, slug, folder="draft", state=State.DRAFT, sign_off=None)
    found = rows(index_of(project, evidence))
    status = {slug: words(found[slug][1]) for slug in ("dorset", "suffolk")}
    assert status == {"dorset": "withdrawn", "suffolk": "failed"}
    for slug in status:
        assert found[slug].xpath(f".//a[@href='{slug}/draft/report.html']")


def test_other_formats_of_a_report_are_linked(project: paths.Project, evidence: Evidence) -> None:
    outputs = dict.fromkeys(["report.html", "figures.csv", "summary.txt", "record.json"], "0" * 64)
    publish(project, "dorset", outputs=outputs)
    links = rows(index_of(project, evidence))["dorset"].xpath(".//details//a/@href")
    assert links == ["dorset/summary.txt", "dorset/figures.csv"]


def test_withdrawals_are_told_in_the_index_and_in_the_feed(
    project: paths.Project, evidence: Evidence
) -> None:
    moment = datetime(2024, 6, 30, 23, 30, tzinfo=UTC)
    publish(project, "dorset", **withdrawn("The counts were of another force.", moment))
    pages = pages_of(project, evidence)
    # half past eleven in UTC is the next day in an English summer
    told = "The report was withdrawn on 1 July 2024: The counts were of another force."
    assert told in pages[site.INDEX]
    assert told in pages["feed.xml"]
    assert "Dorset Police: report withdrawn" in pages["feed.xml"]
    # no figure has moved, so that there is no list to link to
    assert "revisions.csv" not in pages
    assert "revisions.csv" not in pages[site.INDEX]


@pytest.mark.parametrize("name", ["index", "tombstone"])
def test_what_is_restricted_is_on_no_page_about_all_reports(
    name: str, project: paths.Project, evidence: Evidence
) -> None:
    project.restricted.mkdir(parents=True)
    (project.restricted / "cases.csv").write_text("case_id,grade\nZQ-77123,good\n", encoding="utf-8")
    if name == "index":
        publish(project, "dorset", headline="No row for ZQ-77123.")
        with pytest.raises(gate.GateError, match="restricted") as refused:
            pages_of(project, evidence)
    else:
        withdrawal = record.Withdrawal(
            reason="It named ZQ-77123.", withdrawn=datetime(2024, 6, 1, tzinfo=UTC)
        )
        with pytest.raises(gate.GateError, match="restricted") as refused:
            site.tombstone("dorset", "Dorset", withdrawal, project, footer=())
    assert "77123" not in str(refused.value)


def test_failed_run_whose_error_names_what_is_restricted_is_told_without_it(
    project: paths.Project, evidence: Evidence
) -> None:
    project.restricted.mkdir(parents=True)
    (project.restricted / "cases.csv").write_text("case_id,grade\nZQ-77123,good\n", encoding="utf-8")
    publish(project, "dorset")
    publish(project, "dorset", folder="failed", outcome=Outcome.FAILED, headline="no row for ZQ-77123")
    file(project, f"suffolk/{record.FILE}", "{}")
    publish(project, "suffolk", folder="failed", outcome=Outcome.FAILED, headline="cell 3")
    pages = pages_of(project, evidence)
    assert not any("77123" in text for text in pages.values())
    assert "Its record in dorset/failed says why." in pages[site.INDEX]
    # which is the more urgent
    assert "Its record.json cannot be read" in words(rows(index_of(project, evidence))["suffolk"])


def test_national_page_says_the_figures_of_the_files(national: Any) -> None:
    row = national.xpath("//table[caption[@id='compared-caption']]//tbody/tr")[0]
    assert [words(cell) for cell in row][1:] == [
        "24% (range 16% to 34%), 20 of 83 cases",
        "32% (range 19% to 50%), 10 of 31 cases",
        "+8 points (range −9 points to +27 points)",
        *["not known"] * 3,
    ]
    single = national.xpath("//table[caption[@id='single-caption']]//tbody/tr")[0]
    assert "25% (range 16% to 36%), 17 of 69 cases" in words(single)
    assert len(national.xpath("//ul[@class='multiples']/li")) == 3
    assert len(national.xpath("//ul[@class='key']/li")) > 5


def test_map_shows_the_status_of_the_index(project: paths.Project, evidence: Evidence) -> None:
    publish(project, "dorset")
    tree = index_of(project, evidence)
    lists = {term.text: words(term.getnext()) for term in tree.iter("dt")}
    assert lists["Published"] == "Dorset Police"
    status = {words(row[0]): words(row[1]) for row in rows(tree).values()}
    for name in lists["No audits yet"].split(", "):
        assert status[name] == "no audits yet"


@pytest.mark.parametrize(
    "damage", ["", "force\n1\n", "no such\nthing,at all\n", FIGURES + "a,share_good,baseline,x,,,,,\n"]
)
def test_figures_that_cannot_be_read_are_no_picture_and_stop_nothing(
    damage: str, project: paths.Project, evidence: Evidence
) -> None:
    publish_with(project, "dorset", damage)
    assert rows(index_of(project, evidence))["dorset"].find(".//svg") is None


def test_row_of_one_audit_has_a_cell_under_every_heading(national: Any) -> None:
    table = national.xpath("//table[caption[@id='single-caption']]")[0]
    assert {len(row) for row in table.iter("tr")} == {4}
