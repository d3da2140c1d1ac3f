from pathlib import Path

import dataframely as dy
import polars as pl

from analysis.evidence import dictionary, sources

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "raw"


class Example(dy.Schema):
    """Grain: one row per example."""

    slug = dy.String(primary_key=True, regex="^[a-z|-]+$", description="The key | of the example.")
    n_cases = dy.Int64(nullable=True, min=0, metadata={"unit": "cases", "description": "How many."})
    share = dy.Float64(min=0, max=1, description="The share.", metadata={"unit": "fraction 0-1"})
    grade = dy.Enum(["inadequate", "good"], check={"is_known": lambda grade: grade.is_not_null()})
    above = dy.Int64(min_exclusive=0, max_exclusive=9, unique=True)
    level = dy.Int64(is_in=[1, 2])

    @dy.rule()
    def share_needs_cases(cls) -> pl.Expr:  # noqa: N805
        """A share has a number of cases
        that it is a share of."""
        return pl.col("n_cases").is_not_null()


class Heir(Example):
    extra = dy.String(nullable=True)

    @dy.rule()
    def extra_is_short(cls) -> pl.Expr:  # noqa: N805
        return pl.col("extra").str.len_chars() < 9


def section(page: str, heading: str) -> list[str]:
    lines = page.splitlines()
    start = lines.index(heading)
    end = next(
        (number for number, line in enumerate(lines) if number > start and line.startswith("##")), None
    )
    return lines[start:end]


def test_the_dictionary_describes_every_column_of_every_raw_file() -> None:
    page = dictionary.page(SHIPPED, [])

    assert "## Processed tables" not in page
    for resource in sources.datapackage(SHIPPED).resources:
        lines = section(page, f"### {resource.title} (`{resource.path}`)")
        for column in resource.fields:
            (line,) = [line for line in lines if line.startswith(f"| `{column.name}` | {column.type} |")]
            assert column.description in line
            assert column.unit is None or f"| {column.unit} |" in line
            assert all(f"`{value}`" in line for value in column.allowed)
        assert any(resource.licences[0].title in line for line in lines)
        assert resource.sha256 is not None
        assert resource.sha256 not in page


def test_the_dictionary_describes_every_column_and_rule_of_a_processed_table() -> None:
    lines = section(dictionary.page(SHIPPED, [Example]), "### Example")

    assert lines == [
        "### Example",
        "",
        "Grain: one row per example.",
        "",
        "- A row is identified by: `slug`",
        "",
        "| Column | Type | Unit | Allowed values | Meaning |",
        "|---|---|---|---|---|",
        r"| `slug` | String |  | matches `^[a-z\|-]+$`; never null | The key \| of the example. |",
        "| `n_cases` | Int64 | cases | 0 or more; may be null | How many. |",
        "| `share` | Float64 | fraction 0-1 | 0 to 1; never null | The share. |",
        "| `grade` | Enum |  | `inadequate`, `good`; is known; never null |  |",
        "| `above` | Int64 |  | more than 0; less than 9; unique; never null |  |",
        "| `level` | Int64 |  | `1`, `2`; never null |  |",
        "",
        "Every row satisfies:",
        "",
        "- `share_needs_cases`: A share has a number of cases that it is a share of.",
    ]


def test_the_dictionary_shows_what_a_schema_inherits_but_not_the_text() -> None:
    lines = section(dictionary.page(SHIPPED, [Example, Heir]), "### Heir")

    assert lines[2] == "- A row is identified by: `slug`"
    assert lines[-2:] == [
        "- `share_needs_cases`: A share has a number of cases that it is a share of.",
        "- `extra_is_short`",
    ]


def test_the_dictionary_is_the_same_every_time_and_ends_in_one_newline() -> None:
    page = dictionary.page(SHIPPED, [Example, Heir])

    assert page == dictionary.page(SHIPPED, [Example, Heir])
    assert page.endswith("\n")
    assert not page.endswith("\n\n")
    assert "\n\n\n" not in page
