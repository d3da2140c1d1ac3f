"""Provenance: what each raw file is, whose it is, and whether it is still the file that was recorded.

`data/raw/datapackage.json` (Frictionless Data Package, version 2) is the one record of this. The
module reads it, checks the files against it and renews its checksums.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from analysis import storage
from analysis.evidence import rawfile
from analysis.evidence.faults import EvidenceError, Fault

PACKAGE = "datapackage.json"

_RESTORE = "restore the file from version control"
_RERECORD = f"if the change is meant, run `casegrade check --record`; if not, {_RESTORE}"
_SAVE_AS_UTF_8 = "save the file as CSV in UTF-8 without a byte order mark"


class _Part(BaseModel):
    # Properties that this module does not use (mediatype, roles, ...) may be in the file.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Licence(_Part):
    """A licence. `attribution` is the sentence that the licence asks users to print; may be None."""

    name: str
    title: str
    path: str
    attribution: str | None = None


class Source(_Part):
    """Where the facts of a file come from: a title and a web address."""

    title: str
    path: str


class Contributor(_Part):
    """Who keeps the files, and how to reach them: an e-mail address, a web address, or neither."""

    title: str
    email: str | None = Field(default=None, pattern=r"^[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+$")
    path: str | None = Field(default=None, pattern=r"^https?://\S+$")


class Constraints(BaseModel):
    """What the cells of one raw column must satisfy."""

    # A constraint that nobody checks must not look checked.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    required: bool = False
    unique: bool = False
    enum: tuple[str, ...] | None = Field(default=None, strict=False, min_length=1)
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression ({error})") from error
        return pattern


class Column(_Part):
    """One column of a raw file.

    `unit` is None where there is none. `form` says in words what `constraints.pattern` demands.
    """

    name: str
    type: Literal["string", "integer"]
    title: str
    description: str
    unit: str | None = None
    form: str | None = None
    constraints: Constraints = Constraints()

    @model_validator(mode="after")
    def _consistent(self) -> "Column":
        if self.constraints.pattern is not None and self.form is None:
            raise ValueError(f"the pattern of {self.name} needs a `form` that says it in words")
        own = {"integer": ("minimum", "maximum"), "string": ("enum", "pattern")}
        for kind, names in own.items():
            for name in names:
                if kind != self.type and getattr(self.constraints, name) is not None:
                    raise ValueError(f"{self.name} cannot have a {name}: it is of type {self.type}")
        return self

    @property
    def allowed(self) -> tuple[str, ...]:
        """The closed list of values, in the order of the package; empty if the column has none."""
        return self.constraints.enum or ()


class Table(_Part):
    """The columns of a raw file, in order, and the columns that identify a row (may be none)."""

    fields: tuple[Column, ...] = Field(strict=False, min_length=1)
    missing_values: tuple[str, ...] = Field(default=("",), alias="missingValues", strict=False)
    primary_key: tuple[str, ...] = Field(default=(), alias="primaryKey", strict=False)

    @model_validator(mode="after")
    def _consistent(self) -> "Table":
        names = [column.name for column in self.fields]
        _refuse_twice("column", names)
        if unknown := set(self.primary_key) - set(names):
            raise ValueError(f"primaryKey names columns that are not there: {', '.join(sorted(unknown))}")
        return self


class Resource(_Part):
    """One raw file. `bytes` and `hash` are None until they are recorded."""

    name: str = Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")
    # A plain file name: a path or address would be fetched from outside data/raw.
    path: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*[.](csv|toml)$")
    title: str
    description: str
    bytes: int | None = None
    hash: str | None = None
    licences: tuple[Licence, ...] = Field(alias="licenses", strict=False, min_length=1)
    sources: tuple[Source, ...] = Field(strict=False, min_length=1)
    rights: str | None = None
    # Only a CSV has columns. Corrections are data in another form, judged where they are read.
    schema_: Table | None = Field(default=None, alias="schema")

    @model_validator(mode="after")
    def _consistent(self) -> "Resource":
        if self.path.endswith(".csv") and self.schema_ is None:
            raise ValueError("schema: field required for a CSV file")
        return self

    @property
    def sha256(self) -> str | None:
        """The recorded checksum in hexadecimal, without its `sha256:`; None if none is recorded."""
        algorithm, _, digest = (self.hash or "").partition(":")
        return digest if algorithm == "sha256" and digest else None

    @property
    def fields(self) -> tuple[Column, ...]:
        """The columns, in the order of the file; none if it is not a table."""
        return self.schema_.fields if self.schema_ else ()

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns that identify a row; may be none."""
        return self.schema_.primary_key if self.schema_ else ()

    @property
    def missing_values(self) -> tuple[str, ...]:
        """The texts that stand for a blank."""
        return self.schema_.missing_values if self.schema_ else ()


class DataPackage(_Part):
    """The record of the raw files, in the order of `datapackage.json`."""

    name: str
    title: str
    description: str
    version: str
    created: datetime = Field(strict=False)
    licences: tuple[Licence, ...] = Field(alias="licenses", strict=False, min_length=1)
    sources: tuple[Source, ...] = Field(strict=False, min_length=1)
    contributors: tuple[Contributor, ...] = Field(default=(), strict=False)
    resources: tuple[Resource, ...] = Field(strict=False, min_length=1)

    @property
    def attribution(self) -> str:
        """Who is to be named, or under which licences the data are, in one sentence."""
        named = "; ".join(licence.attribution or licence.title for licence in self.licences)
        return named.rstrip(".") + "."

    @field_validator("created", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        # a number, as text too, would be read as seconds since 1970
        if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}-\d{2}([Tt ]|$)", value):
            raise ValueError("must be a date and time, such as 2026-11-23T00:00:00Z")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "DataPackage":
        _refuse_twice("resource name", [resource.name for resource in self.resources])
        _refuse_twice("path", [resource.path for resource in self.resources])
        return self


def datapackage(raw: Path, /) -> DataPackage:
    """Read the record of the raw files.

    Args:
        raw: the folder that holds `datapackage.json`, usually `project().raw`.

    Returns:
        The package; resources and columns in the order of the file.

    Raises:
        EvidenceError: if the file is missing, void, not JSON, or lacks something; one fault
            for each thing wrong.
    """
    described = _read_json(raw)
    try:
        return DataPackage.model_validate(described)
    except ValidationError as error:
        raise EvidenceError(
            [
                Fault(
                    PACKAGE,
                    f"{_place(described, problem['loc'])}{_message(problem['msg'])}",
                    "mend the entry as the Data Package standard (version 2) and its neighbours have it",
                )
                for problem in error.errors(include_url=False, include_context=False)
            ]
        ) from error


def check(raw: Path, /) -> tuple[Fault, ...]:
    """Check every raw file against its record.

    A file is checked for being there, being readable text, being the file that was recorded
    (bytes and SHA-256), having the columns of the record, and holding only cells the record
    allows. A changed file is checked in full, so that a wrong edit is found before it is recorded.
    In a row with too many or too few cells only that is reported, because its cells cannot be
    told apart; likewise in a row that repeats another one.

    Args:
        raw: the folder that holds `datapackage.json` and the files.

    Returns:
        The faults: files in the order of the record, in a file first what concerns all of it, then
        by row and column; at most one per cell. Then the CSV files that the record does not know.
        Empty if all is well. `row` is the row a spreadsheet shows (the header is row 1). A
        `datapackage.json` that cannot be read is reported here too: nothing is raised.
    """
    try:
        package = datapackage(raw)
    except EvidenceError as error:
        return error.faults
    faults = [fault for resource in package.resources for fault in _file_faults(raw, resource)]
    known = {resource.path for resource in package.resources}
    for path in sorted(raw.iterdir()):
        if path.suffix.lower() == ".csv" and path.name not in known and path.is_file():
            faults.append(
                Fault(
                    path.name,
                    f"{PACKAGE} does not describe this file, so nobody knows where it comes from",
                    f"describe it in {PACKAGE} and run `casegrade check --record`, or move it elsewhere",
                )
            )
    return tuple(faults)


def record(raw: Path, /) -> tuple[str, ...]:
    """Write the bytes and SHA-256 of every file, as it is now, into `datapackage.json`.

    Everything else in the record stays. The file is replaced in one step, and is not touched if
    nothing changed. Recording says that a change is meant, not that it is right: that is `check`.

    Args:
        raw: the folder that holds `datapackage.json` and the files.

    Returns:
        The names of the files whose record changed, in the order of the record.

    Raises:
        EvidenceError: if the record cannot be read or written, or a file cannot be read; then
            nothing was written.
    """
    package = datapackage(raw)
    contents: list[bytes] = []
    faults: list[Fault] = []
    for resource in package.resources:
        try:
            contents.append(rawfile.content(raw / resource.path))
        except EvidenceError as error:
            faults += error.faults
    if faults:
        raise EvidenceError(faults)
    described = _read_json(raw)
    changed = []
    for entry, content in zip(described["resources"], contents, strict=True):
        found = {"bytes": len(content), "hash": _hash(content)}
        if any(entry.get(key) != value for key, value in found.items()):
            entry.update(found)
            changed.append(entry["path"])
    if changed:
        try:
            storage.write_text(raw / PACKAGE, json.dumps(described, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            fault = Fault(
                PACKAGE, f"the file cannot be written ({error.strerror})", "make it writable to you"
            )
            raise EvidenceError([fault]) from error
    return tuple(changed)


def changed(raw: Path, /) -> tuple[str, ...]:
    """The names of the files that are no longer as recorded, in the order of the record.

    A file that is missing or cannot be read counts as changed.

    Raises:
        EvidenceError: if the record cannot be read.
    """
    found = []
    for resource in datapackage(raw).resources:
        try:
            faults = _change(resource, rawfile.content(raw / resource.path))
        except EvidenceError as error:
            faults = list(error.faults)
        if faults:
            found.append(resource.path)
    return tuple(found)


def citation(resource: Resource, /) -> str:
    """Say in one line what a file is, where it comes from and under which licence, for a footer."""
    sources = "; ".join(f"{source.title} ({source.path})" for source in resource.sources)
    parts = [f"{resource.title}. Source: {sources}."]
    for licence in resource.licences:
        statement = licence.attribution or f"Licence: {licence.title}."
        parts.append(f"{statement.rstrip('.')} ({licence.path}).")
    if resource.rights:
        parts.append(resource.rights)
    return " ".join(" ".join(parts).split())


def _file_faults(raw: Path, resource: Resource) -> list[Fault]:
    try:
        content = rawfile.content(raw / resource.path)
    except EvidenceError as error:
        return list(error.faults)
    faults = _change(resource, content)
    if not resource.fields:
        return faults
    try:
        rows = rawfile.records(raw / resource.path)
    except EvidenceError as error:
        return [*faults, *error.faults]
    header_faults, is_usable = rawfile.header_faults(
        resource.path, rows[0], [column.name for column in resource.fields]
    )
    faults += header_faults
    if is_usable:
        faults += _row_faults(resource, rows)
    return faults


def _change(resource: Resource, content: bytes) -> list[Fault]:
    if resource.hash is None or resource.bytes is None:
        return [
            Fault(
                resource.path,
                f"{PACKAGE} records no bytes and hash for it",
                "run `casegrade check --record` once the file is as it should be",
            )
        ]
    if resource.bytes == len(content) and resource.hash == _hash(content):
        return []
    size = f"{resource.bytes:,} bytes recorded, {len(content):,} bytes found"
    if resource.bytes == len(content):
        size = f"as many bytes as recorded, {resource.bytes:,}, but another checksum"
    return [Fault(resource.path, f"the file has changed since it was recorded ({size})", _RERECORD)]


def _row_faults(resource: Resource, rows: Sequence[Sequence[str]]) -> list[Fault]:
    """What is wrong below the header: by row and column, at most one fault per cell."""
    file, header = resource.path, list(rows[0])
    columns = {column.name: column for column in resource.fields}
    general: list[Fault] = []
    # Rows whose cells say nothing by themselves, so that nothing else is reported of them.
    void: dict[int, Fault] = {}
    placed: dict[tuple[int, int], Fault] = {}
    for error in _frictionless_errors(resource, rows):
        row = getattr(error, "row_number", None)
        column = columns.get(getattr(error, "field_name", ""))
        twin = _row_named_in(error.note)
        if error.type in ("missing-label", "extra-label"):
            continue  # _header_faults has said it, and what the column was probably renamed from
        if row is None:
            general.append(Fault(file, error.message, _RESTORE))
        elif error.type == "blank-row":
            void[row] = Fault(file, "the row is blank", "delete the row", row)
        elif error.type in ("missing-cell", "extra-cell"):
            reason = f"the row has {len(rows[row - 1])} cells, but the header has {len(header)}"
            remedy = "give every column a cell, and put a cell that contains a comma in quotes"
            void[row] = Fault(file, reason, remedy, row)
        elif error.type == "primary-key":
            if twin:  # else the key is blank altogether, and each of its cells is reported
                reason = f"row {twin} has the same {_and(resource.primary_key)}, and no two rows may"
                placed[row, -1] = Fault(file, reason, "correct one of the two, or delete it", row)
        elif column is not None and header.index(column.name) < len(rows[row - 1]):
            index = header.index(column.name)
            reason, remedy = _explained(column, rows[row - 1][index], error.type, error.note)
            fault = Fault(file, reason, remedy, row, column.name, rows[row - 1][index])
            placed.setdefault((row, index), fault)
        else:
            placed.setdefault((row, -1), Fault(file, error.message, "correct the row", row))
    first_row: dict[tuple[str, ...], int] = {}
    for row, cells in enumerate(rows[1:], start=2):
        if (first := first_row.setdefault(tuple(cells), row)) != row:
            void.setdefault(row, Fault(file, f"the row repeats row {first}", "delete one of the two", row))
    for row, name, value in _loosely_written_numbers(resource, rows):
        fault = Fault(file, *_explained(columns[name], value, "type-error", ""), row, name, value)
        placed.setdefault((row, header.index(name)), fault)
    placed = {place: fault for place, fault in placed.items() if place[0] not in void}
    placed |= {(row, -1): fault for row, fault in void.items()}
    return [*general, *(placed[place] for place in sorted(placed))]


def _frictionless_errors(resource: Resource, rows: Sequence[Sequence[str]]) -> list[Any]:
    # A third of a second to import, which only a check should cost.
    from frictionless import FrictionlessException
    from frictionless.resources import TableResource

    # The rows are handed over read, because its own reader guesses the separator. Nothing in the
    # description is a path or an address, so that nothing can be fetched.
    described = {
        "$schema": "https://datapackage.org/profiles/2.0/dataresource.json",
        "name": resource.name,
        "type": "table",
        "data": [list(cells) for cells in rows],
        "dialect": {"header": True, "headerRows": [1]},
        "schema": {
            "fields": [
                {
                    "name": column.name,
                    "type": column.type,
                    "constraints": column.constraints.model_dump(mode="json", exclude_defaults=True),
                }
                for column in resource.fields
            ],
            # By name, because one missing column must not make every later one look wrong.
            "fieldsMatch": "equal",
            "missingValues": list(resource.missing_values),
            "primaryKey": list(resource.primary_key),
        },
    }
    try:
        table = TableResource.from_descriptor(described)
        # limit_errors=0: all of them; by default it stops at a thousand
        report = table.validate(limit_errors=0)
    except FrictionlessException as exception:
        return list(exception.to_errors())
    return [*report.errors, *(error for task in report.tasks for error in task.errors)]


def _explained(column: Column, value: str, kind: str, note: str) -> tuple[str, str]:
    """Reason and remedy, in words, of an error in one cell."""
    rule = column.constraints
    correct = (
        "correct the cell" if rule.required else "correct the cell, or leave it blank if it is not stated"
    )
    broken = re.match(r'constraint "(\w+)"', note)
    match broken[1] if broken else kind:
        case "required":
            return "the cell is blank, but every row needs one", "fill it in"
        case "type-error":
            return "the cell must be a whole number in plain digits", correct
        case "minimum":
            return f"the number must be {rule.minimum} or more", correct
        case "maximum":
            return f"the number must be {rule.maximum} or less", correct
        case "pattern":
            return f"the cell must be {column.form}", correct
        case "enum":
            near = rawfile.near(value, column.allowed)
            remedy = f'write "{near}"' if near else f"write one of: {', '.join(column.allowed)}"
            return "the value is not in the closed list of this column", remedy
        case "unique-error":
            twin = _row_named_in(note)
            reason = f"{f'row {twin}' if twin else 'another row'} has the same, but each row needs its own"
            return reason, "correct one of the two"
    return note or kind, correct


def _loosely_written_numbers(
    resource: Resource, rows: Sequence[Sequence[str]]
) -> Iterator[tuple[int, str, str]]:
    """The cells that int(), and so frictionless, takes for whole numbers: 1_0, +5, other scripts."""
    whole = {column.name for column in resource.fields if column.type == "integer"}
    for row, cells in enumerate(rows[1:], start=2):
        for name, value in zip(rows[0], cells, strict=False):
            is_blank = value in resource.missing_values
            if name in whole and not is_blank and not re.fullmatch("-?[0-9]+", value):
                yield row, name, value


def _row_named_in(note: str) -> int | None:
    found = re.search(r'position "?(\d+)', note)
    return int(found[1]) if found else None


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _hash(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _read_json(raw: Path) -> Any:
    try:
        return json.loads((raw / PACKAGE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        fault = Fault(PACKAGE, "the record of the raw files is missing", _RESTORE)
        raise EvidenceError([fault]) from error
    except OSError as error:
        fault = Fault(PACKAGE, f"the file cannot be read ({error.strerror})", "make it readable to you")
        raise EvidenceError([fault]) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not JSON
        fault = Fault(PACKAGE, f"the file is not JSON in UTF-8 ({error})", f"mend it, or {_RESTORE}")
        raise EvidenceError([fault]) from error


def _refuse_twice(what: str, names: Iterable[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise ValueError(f"{what} given more than once: {', '.join(twice)}")


def _place(described: Any, location: Sequence[int | str]) -> str:
    """Where in the record something is, with names instead of positions: `audit-statements, area: `."""
    words: list[str] = []
    part = described
    for step in location:
        try:
            part = part[step]
        except (KeyError, IndexError, TypeError):
            part = None
        if isinstance(step, str):
            words.append(step)
        elif isinstance(part, dict) and isinstance(part.get("name"), str):
            words[-1:] = [part["name"]]
        else:
            words.append(str(step + 1))
    return f"{', '.join(words)}: " if words else ""


def _message(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
