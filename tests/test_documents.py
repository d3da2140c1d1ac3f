import re
from pathlib import Path

import polars as pl
import pytest
from typer.main import get_command

import analysis
from analysis import vocabulary
from analysis.cli import app
from analysis.compare import change
from analysis.compare.shares import Figure
from analysis.evidence import cleaning, dictionary
from analysis.publish import plan, record

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_data_dictionary_is_current() -> None:
    current = dictionary.page(ROOT / "data" / "raw", [*cleaning.SCHEMAS.values(), Figure])
    assert read("docs/data-dictionary.md") == current, "run `make dictionary` and review what changed"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_shown_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)^([a-z]+):.*## ", read("Makefile")))
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"(?:`|^|\n)make ([a-z]+)\b", text)) <= targets
    assert set(re.findall(r"(?:`|bin/)casegrade ([a-z]+)\b", text)) <= commands


def test_every_option_of_a_run_is_explained_and_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    known, of_publish = (
        {option for one in commands[name].params for option in one.opts if option.startswith("--")}
        for name in ("report", "publish")
    )
    shown = set(re.findall(r"`(--[a-z-]+)", read("README.md"))) - {"--engine"}
    told = set(re.findall(r"(?:casegrade report|`)[^`\n]*?(--[a-z-]+)", read("README.md")))
    assert shown <= known | of_publish
    assert known - told - {"--parameter", "--baseline", "--follow-up"} == set()


def test_the_schema_of_the_run_record_is_current_and_every_field_described() -> None:
    assert read("docs/run-record.schema.json") == record.schema(), "run `make dictionary`"
    described = set(
        re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"(?m)^\| (`.*?) \|", read("docs/run-record.md"))))
    )
    assert set(record.RunRecord.model_fields) <= described
    kinds = {plan.EVIDENCE, plan.NOTEBOOK, plan.CODE, plan.LIBRARIES, plan.PARAMETERS, plan.WORDS}
    assert kinds <= described


def test_every_make_target_is_explained() -> None:
    phony = set(re.findall(r"(?m)^\.PHONY: (.+)$", read("Makefile"))[0].split())
    assert phony == set(re.findall(r"(?m)^([a-z]+):.*## ", read("Makefile")))


def test_the_headlines_of_the_readme_are_the_published_figures(audits: pl.DataFrame) -> None:
    readme = " ".join(read("README.md").split())
    for force in ("warwickshire", "north-yorkshire"):
        pair = analysis.compare(audits, force=force)
        for measure in ("share_good", "share_inadequate"):
            for period in ("baseline", "follow_up"):
                row = analysis.wording.figure(pair, measure, period)
                share = analysis.wording.percent(row["value"], base=row["base"])
                counts = rf"{row['n_cases']} of {row['base']}[^().]*\({re.escape(share)}\)"
                assert re.search(counts, readme), (force, measure, period)


def test_the_counts_of_the_readme_are_the_present_ones(
    audits: pl.DataFrame, evidence: cleaning.Evidence
) -> None:
    readme = " ".join(read("README.md").split())
    examined = [change.examine(audits, force=force.slug) for force in vocabulary.forces()]
    n_single = sum(isinstance(one, change.SingleAudit) for one in examined)
    n_none = sum(isinstance(one, change.NoAudit) for one in examined)
    statements = evidence.statements

    assert (
        f"{statements.height} published statements by {statements['publisher'].n_unique()} publishers"
        in readme
    )
    assert f"{n_single} of 43 (49%) have one audit only, {n_none} of 43 (40%) have none" in readme
