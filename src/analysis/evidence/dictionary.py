"""The data dictionary: what every raw column and every column of the cleaned tables means, as one page."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dataframely as dy
import polars as pl

from analysis.evidence.sources import Column, Resource, datapackage


def page(raw: Path, schemas: Sequence[type[dy.Schema]], /) -> str:
    """Describe every raw file and every processed table, as the text of `docs/data-dictionary.md`.

    Args:
        raw: the folder that holds `datapackage.json`.
        schemas: the schemas of the processed tables. A column's meaning and unit are its
            `description` and its `metadata["unit"]`; `metadata["description"]` is used where the
            former is absent.

    Returns:
        Markdown, ending in a newline: raw files in the order of the record, then the processed
        tables in the order given. The same input gives the same text.

    Raises:
        EvidenceError: if the record cannot be read.
    """
    package = datapackage(raw)
    lines = [
        "# Data dictionary",
        "",
        "`casegrade dictionary` writes this page from `data/raw/datapackage.json` and from the schemas "
        "in the code. Change those, not the page.",
        "",
        "A blank count means not stated, never zero.",
        "",
        "## Raw files",
        "",
        package.description,
    ]
    for resource in package.resources:
        lines += ["", *_raw_section(resource)]
    if schemas:
        lines += ["", "## Processed tables", "", "Rebuilt by `casegrade clean` and never edited."]
    for schema in schemas:
        lines += ["", *_processed_section(schema)]
    return "\n".join(lines) + "\n"


def _raw_section(resource: Resource) -> Iterator[str]:
    yield f"### {resource.title} (`{resource.path}`)"
    yield ""
    yield resource.description
    yield ""
    yield from (f"- Source: [{source.title}]({source.path})" for source in resource.sources)
    yield from (f"- Licence: [{licence.title}]({licence.path})" for licence in resource.licences)
    if resource.rights:
        yield f"- Rights: {resource.rights}"
    if resource.primary_key:
        yield f"- A row is identified by: {_code(resource.primary_key)}"
    if not resource.fields:
        return
    yield ""
    yield from _markdown_table(
        ("Column", "Type", "Unit", "Allowed values", "Meaning"),
        (
            (
                f"`{column.name}`",
                column.type,
                column.unit or "",
                _allowed_in_raw(column),
                column.description,
            )
            for column in resource.fields
        ),
    )


def _allowed_in_raw(column: Column) -> str:
    rule = column.constraints
    parts = [_code(column.allowed)] if column.allowed else []
    if rule.pattern is not None:
        parts.append(column.form or "")
    parts += _bounds(rule.minimum, rule.maximum)
    if rule.unique:
        parts.append("unique")
    parts.append("never blank" if rule.required else "may be blank")
    return "; ".join(parts)


def _processed_section(schema: type[dy.Schema]) -> Iterator[str]:
    yield f"### {schema.__name__}"
    # inspect.getdoc would give a schema without a docstring that of dataframely
    if schema.__doc__:
        yield ""
        yield inspect.cleandoc(schema.__doc__)
    if key := schema.primary_key():
        yield ""
        yield f"- A row is identified by: {_code(key)}"
    yield ""
    yield from _markdown_table(
        ("Column", "Type", "Unit", "Allowed values", "Meaning"),
        (
            (
                f"`{name}`",
                "Enum" if isinstance(column, dy.Enum) else str(column.dtype),
                str((column.metadata or {}).get("unit", "")),
                _allowed_in_processed(name, column),
                column.description or str((column.metadata or {}).get("description", "")),
            )
            for name, column in schema.columns().items()
        ),
    )
    rules = _rules(schema)
    if rules:
        yield ""
        yield "Every row satisfies:"
        yield ""
        yield from (f"- `{name}`{f': {meaning}' if meaning else ''}" for name, meaning in rules.items())


def _allowed_in_processed(name: str, column: dy.Column) -> str:
    parts = [_code(column.categories)] if isinstance(column, dy.Enum) else []
    if (values := getattr(column, "is_in", None)) is not None:
        parts.append(_code(str(value) for value in values))
    parts += _bounds(getattr(column, "min", None), getattr(column, "max", None))
    if (above := getattr(column, "min_exclusive", None)) is not None:
        parts.append(f"more than {above}")
    if (below := getattr(column, "max_exclusive", None)) is not None:
        parts.append(f"less than {below}")
    if (pattern := getattr(column, "regex", None)) is not None:
        parts.append(f"matches `{pattern}`")
    checks = [rule for rule in column.validation_rules(pl.col(name)) if rule.startswith("check")]
    parts += [rule.removeprefix("check__").replace("_", " ") for rule in checks if rule != "check"]
    if column.unique:
        parts.append("unique")
    parts.append("may be null" if column.nullable else "never null")
    return "; ".join(parts)


def _bounds(least: Any, most: Any) -> list[str]:
    if least is not None and most is not None:
        return [f"{least} to {most}"]
    return [f"{least} or more"] if least is not None else [f"{most} or less"] if most is not None else []


def _rules(schema: type[dy.Schema]) -> Mapping[str, str]:
    """The rules about whole rows, inherited ones first, each with its docstring or an empty text."""
    found: dict[str, str] = {}
    for part in reversed(schema.__mro__):
        for name, member in vars(part).items():
            # dataframely keeps no public list of them: @dy.rule() leaves an object with the function
            if (function := getattr(member, "validation_fn", None)) is not None:
                found[name] = " ".join((inspect.getdoc(function) or "").split())
    return found


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for cells in rows:
        # a bar or a line break would end the cell
        shown = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
        yield f"| {' | '.join(shown)} |"
