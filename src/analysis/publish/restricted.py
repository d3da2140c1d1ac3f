"""What the restricted files of a project hold that no page may say: names of columns, and what identifies."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from analysis import vocabulary
from analysis.present import plainly
from analysis.publish.gate import IDENTIFYING
from analysis.publish.names import SHORTEST, key_of


@dataclass(frozen=True)
class Restricted:
    """Columns that no page may name, and texts that no page may say, as `gate.Subject` takes them."""

    columns: tuple[str, ...] = IDENTIFYING
    values: tuple[str, ...] = ()


class RestrictedError(Exception):
    """A restricted file that cannot be read, so that nobody can say what must not be published."""


# What says of a case what the published tables say too, or how many there are. Neither the name of such a
# column nor what it holds tells who anybody is.
_PUBLISHED = (
    "adequate area area_name audit audited base below_good case cases change count counts date_of_inspection fieldwork "
    "force force_name force_slug good grade grade_name graded graded_by grader grades group inadequate inspected "
    "inspection inspection_date inspection_id inspection_kind kind kind_name lower measure month n n_cases nation of "
    "ons_code period published publisher publisher_name quarter region report_published requires_improvement scale "
    "scale_name share slug upper value version year"
)
_OPEN = frozenset(_PUBLISHED.split())
# Words that head a column of a page too, though in a restricted file they may hold anything.
_HEADS = "action date finding headline note range reason recommendations resolution row rows source status text theme"
_ORDINARY = frozenset((*_HEADS.split(), "title", "type", "url"))
# A part of a name that tells that each value stands for somebody or something of theirs.
_PARTS = (
    "address alias birth born carer collar crime custody dob email forename forenames id ids incident initials mail "
    "mobile name names nhs nino no num number officer phone postcode ref reference school sergeant street supervisor "
    "surname telephone uprn urn user username warrant worker"
)
_TELLING = frozenset(_PARTS.split())
# counts, shares, years and months, as they stand on any page
_PLAIN = re.compile(r"[+-]?\d{1,4}(?:[.,]\d+)?%?|(?:19|20)\d\d-\d\d")


def read(folder: Path, /, *, public: Iterable[str] = ()) -> Restricted:
    """What `data/restricted` holds, whose files are CSV or Parquet with one row per audited case.

    Every column is restricted but those that say what published tables say. So is what it holds, if that
    could tell who somebody is: all of it where the name of the column says so; else what stands in one row
    only and has two words or a digit.

    Args:
        folder: where they are.
        public: texts that the project prints, such as the names of forces: they are in no way restricted.

    Raises:
        RestrictedError: if a file cannot be read, or not be told apart into columns. Nothing may be published then.
    """
    columns, values = set(IDENTIFYING), set()
    known = {key_of(text) for text in (*_vocabulary(), *public)}
    for file in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if not file.is_file() or file.name.startswith(".") or file.stem.lower() == "readme":
            continue
        for column in _columns(file):
            name = _normal(column.name)
            if name in _OPEN:
                continue
            if name not in _ORDINARY and len(name) > 2:
                columns.add(name)
            values |= {
                value
                for value in _identifying(column, is_telling=bool(_TELLING & {name, *name.split("_")}))
                if len(key := key_of(value)) >= SHORTEST and key not in known and not _PLAIN.fullmatch(value)
            }
    return Restricted(tuple(sorted(columns)), tuple(sorted(values)))


def _columns(file: Path) -> list[pl.Series]:
    """The columns of a file, as texts."""
    kind = file.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise RestrictedError(
            f"data/restricted/{file.name} is neither CSV nor Parquet, so nothing can be checked against it: "
            "save it as one of them, or take it out of the folder."
        )
    try:
        table = pl.read_csv(file, infer_schema=False) if kind == ".csv" else pl.read_parquet(file)
        columns = [_texts(column) for column in table]
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RestrictedError(
            f"data/restricted/{file.name} cannot be read, so nothing can be checked against it: mend or remove it."
        ) from error
    if kind == ".csv" and table.width == 1 and re.search(r"[;\t|]", table.columns[0]):
        raise RestrictedError(
            f"data/restricted/{file.name} has no commas between its columns, so nothing can be checked against it: "
            "save it with commas."
        )
    return columns


def _normal(name: str) -> str:
    """The name of a column as `gate` takes it: `childName` and "Child Name" are `child_name`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plainly.legible(name))
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def _texts(column: pl.Series) -> pl.Series:
    column = column.drop_nulls()
    if column.dtype == pl.Datetime:
        column = column.dt.date()
    if column.dtype.is_float():
        column = column.filter(column.is_finite())
        if (column == column.floor()).all():
            # whole numbers, of a program that knows none with gaps
            column = column.cast(pl.Int64)
    if column.dtype.is_nested():
        return pl.Series(column.name, [str(value) for value in column.to_list()], dtype=pl.String)
    return column.cast(pl.String)


def _identifying(texts: pl.Series, *, is_telling: bool) -> Iterator[str]:
    for text, times in texts.alias("text").value_counts().iter_rows():
        value = " ".join(text.split())
        if is_telling or (times == 1 and re.search(r"\d|\S\s+\S", value)):
            yield value


def _vocabulary() -> Iterator[str]:
    yield from vocabulary.Grade
    yield from vocabulary.AREAS
    yield from vocabulary.SCALES
    yield from vocabulary.GRADERS
    yield from vocabulary.GRADERS.values()
    yield from vocabulary.FINDING_STATUSES
    yield from vocabulary.SOURCE_KINDS
    yield from vocabulary.SOURCE_KINDS.values()
    for kind in vocabulary.KINDS.values():
        yield from (kind.slug, kind.printed, kind.noun)
    # a surname such as Force would be on every page
    yield from _OPEN | _ORDINARY
    yield from (
        "yes",
        "no",
        "true",
        "false",
        "none",
        "unknown",
        "not known",
        "not recorded",
        "not applicable",
    )
