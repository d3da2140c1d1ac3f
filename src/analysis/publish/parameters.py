"""What a notebook accepts, read from its parameters cell, and the refusal of anything else.

Papermill only warns of an unknown parameter and then runs with the defaults, which would be the
wrong force's report under the right file name. So parameters are judged before a kernel starts.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from analysis import vocabulary
from analysis.compare import change

_TYPES: Mapping[str, type] = {"str": str, "float": float, "int": int, "bool": bool}
_NOUNS: Mapping[str, str] = {
    "str": "a text",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
}


class ParameterError(Exception):
    """A parameter that a notebook does not have or cannot take. The message says what it can."""


class Parameter(BaseModel):
    """One parameter of a notebook, as its parameters cell declares it."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str
    default: str
    help: str


def declared(notebook: Path, /) -> dict[str, Parameter]:
    """The parameters of a notebook by name, in the order of its parameters cell.

    Raises:
        ParameterError: if the notebook is missing or not readable, does not have exactly one
            cell tagged `parameters`, or declares a parameter without a type that is known here.
    """
    # only a run that makes something needs these, and they take a second to import
    import nbformat
    import papermill

    try:
        read = nbformat.read(notebook, as_version=4)
        nbformat.validate(read)
    except FileNotFoundError as error:
        raise ParameterError(f"{notebook.name} is missing: restore it from version control.") from error
    except Exception as error:  # nbformat fails in as many ways as a file can be odd
        raise ParameterError(
            f"{notebook.name} is not a readable notebook: restore it from version control."
        ) from error
    tagged = [cell for cell in read.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise ParameterError(
            f'{notebook.name} has {len(tagged)} cells tagged "parameters", but needs exactly one: '
            "tag the cell that sets the parameters (in JupyterLab: property inspector, cell tags)."
        )
    # papermill tells of what it cannot read by logging; what matters is refused below
    logging.getLogger("papermill").setLevel(logging.ERROR)
    inspected = papermill.inspect_notebook(str(notebook))
    found = {
        name: Parameter(name=name, type=one["inferred_type_name"], default=one["default"], help=one["help"])
        for name, one in inspected.items()
    }
    for one in found.values():
        if one.type not in _TYPES:
            raise ParameterError(
                f"{notebook.name} declares the parameter {one.name} without a type that is known here: "
                f"annotate it with one of {', '.join(_TYPES)}."
            )
    return found


def checked(notebook: Path, given: Mapping[str, Any], /) -> dict[str, Any]:
    """Parameters in the types that the notebook declares, forces as slugs.

    Args:
        notebook: path of the notebook.
        given: values by name, as texts from a command line or as Python values.

    Raises:
        ParameterError: if the notebook has no such parameter, a value does not fit its type, or
            `force` is no force; the message names near matches.
    """
    known = declared(notebook)
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise ParameterError(
                f'{notebook.name} has no parameter "{name}": {vocabulary.near_words(name, known)}'
            )
        kind = known[name].type
        try:
            values[name] = TypeAdapter(_TYPES[kind]).validate_python(value)
        except ValidationError as error:
            raise ParameterError(
                f'The parameter {name} takes {_NOUNS[kind]}, but got "{value}": {known[name].help}.'
            ) from error
    if "force" in values:
        try:
            values["force"] = vocabulary.force(values["force"]).slug
        except vocabulary.VocabularyError as error:
            raise ParameterError(str(error)) from error
    if "confidence" in values:
        try:
            change.check_confidence(values["confidence"])
        except ValueError as error:
            raise ParameterError(f"The parameter {error}.") from error
    return values
