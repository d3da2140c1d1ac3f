"""Where the keys of a TOML text stand: on which line, which no TOML library of Python's tells once it is read."""

import re
import tomllib
from collections.abc import Iterator

Key = tuple[str | int, ...]

_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)
_HEADER = re.compile(r"[ \t]*(\[\[?)(.+?)\]\]?[ \t]*(?:#.*)?$", re.MULTILINE)
_KEY = re.compile(r"""[ \t]*((?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+|[ \t.])+?)[ \t]*=""")


def lines(text: str, /) -> dict[Key, int]:
    """The line of each table and each key of a text that is TOML, by its path; elements of arrays of tables by number.

    Keys within inline tables and elements of arrays have the line of the key that they are the value of.
    """
    found: dict[Key, int] = {}
    table: Key = ()
    arrays: dict[Key, int] = {}
    for number, start in _statements(text):
        header = _HEADER.match(text, start)
        if header is not None:
            table = _within_arrays(_path(header[2]), arrays)
            if header[1] == "[[":
                arrays[table] = arrays.get(table, -1) + 1
                found.setdefault(table, number)
                table = (*table, arrays[table])
            found.setdefault(table, number)
        elif (key := _KEY.match(text, start)) is not None:
            path = (*table, *_path(key[1]))
            for length in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:length], number)
    return found


def line(found: dict[Key, int], key: Key, /) -> int:
    """The line of a key, or of the innermost thing around it that has one; 1 if nothing has."""
    return next((found[key[:length]] for length in range(len(key), 0, -1) if key[:length] in found), 1)


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """Number and start of each line that begins a statement, and does not carry on with a value."""
    position, depth, number, is_new = 0, 0, 1, True
    while position < len(text):
        if is_new and depth == 0:
            yield number, position
            header = _HEADER.match(text, position)
            if header is not None:
                position = header.end()
        is_new = False
        char = text[position : position + 1]
        if char == "\n":
            number, is_new = number + 1, True
        elif char == "#":
            position = text.find("\n", position)
            if position < 0:
                return
            continue
        elif char in ("'", '"') and (string := _STRING.match(text, position)) is not None:
            number += string[0].count("\n")
            position = string.end()
            continue
        elif char and char in "[{":
            depth += 1
        elif char and char in "]}":
            depth -= 1
        position += 1


def _path(dotted: str) -> Key:
    try:
        found = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return (dotted.strip(),)
    path: list[str | int] = []
    value: object = found
    while isinstance(value, dict):
        ((key, value),) = value.items()
        path.append(key)
    return tuple(path)


def _within_arrays(path: Key, arrays: dict[Key, int]) -> Key:
    """A header's path with the number of each array's latest element that it lies within."""
    full: Key = ()
    for place, part in enumerate(path):
        full = (*full, part)
        if place < len(path) - 1 and full in arrays:
            full = (*full, arrays[full])
    return full
