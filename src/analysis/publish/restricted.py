"""What the restricted files of a project hold that no page may say: names of columns, and what identifies."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from analysis.publish.gate import IDENTIFYING

# shorter ones would be found in any text
_SHORTEST = 4
_ENDINGS = ("_id", "_name", "_number", "_postcode", "_address", "_reference", "date_of_birth")


@dataclass(frozen=True)
class Restricted:
    """Columns that no page may name, and texts that no page may say, as `gate.Subject` takes them."""

    columns: tuple[str, ...] = IDENTIFYING
    values: tuple[str, ...] = ()


class RestrictedError(Exception):
    """A restricted file that cannot be read, so that nobody can say what must not be published."""


def read(folder: Path, /) -> Restricted:
    """What `data/restricted` holds, whose files are CSV or Parquet with one row per audited case.

    Raises:
        RestrictedError: if a file cannot be read. Nothing may be published then.
    """
    columns, values = set(IDENTIFYING), set()
    for file in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if file.suffix not in (".csv", ".parquet"):
            continue
        try:
            table = pl.read_csv(file, infer_schema=False) if file.suffix == ".csv" else pl.read_parquet(file)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise RestrictedError(
                f"data/restricted/{file.name} cannot be read, so nothing can be checked against it: mend or remove it."
            ) from error
        for name in table.columns:
            low = name.lower()
            if low in IDENTIFYING or low.endswith(_ENDINGS):
                columns.add(low)
                found = table[name].cast(pl.String).drop_nulls().unique().to_list()
                values |= {value.strip() for value in found if len(value.strip()) >= _SHORTEST}
    return Restricted(tuple(sorted(columns)), tuple(sorted(values)))
