import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from analysis.schedule import places

TEXT = '''\
# a comment with [a.header] in it
top = 1

[one]
a = "x # [two]"
b = """
c = 3
[three]
"""
d = [
  1, # ]
  [2],
]
"quoted key" = { x = 1, y = [ { z = 2 } ] }
e.f . "g" = 4

[one.two] # a comment
h = \'\'\'
[no]\'\'\'

[[list]]
i = 1
[list.within]
j = 2

[[list]]
k = 3
[[list.deep]]
l = 4
'''


def test_every_key_has_its_line() -> None:
    found = places.lines(TEXT)
    at = {key: TEXT.splitlines()[line - 1] for key, line in found.items()}
    assert at[("top",)] == "top = 1"
    assert at[("one",)] == "[one]"
    assert at[("one", "b")] == 'b = """'
    assert at[("one", "d")] == "d = ["
    assert at[("one", "quoted key")].startswith('"quoted key"')
    assert at[("one", "e", "f", "g")].startswith("e.f")
    assert at[("one", "e")].startswith("e.f")
    assert at[("one", "two")] == "[one.two] # a comment"
    assert at[("one", "two", "h")] == "h = '''"
    assert at[("list", 0, "i")] == "i = 1"
    assert at[("list", 0, "within", "j")] == "j = 2"
    assert at[("list", 1, "k")] == "k = 3"
    assert at[("list", 1, "deep", 0, "l")] == "l = 4"
    assert ("c",) not in found
    assert ("three",) not in found
    assert ("no",) not in found


def test_what_has_no_line_has_that_of_what_is_around_it() -> None:
    found = places.lines(TEXT)
    assert places.line(found, ("one", "quoted key", "y", 0, "z")) == places.line(found, ("one", "quoted key"))
    assert places.line(found, ("one", "missing")) == 4
    assert places.line(found, ("nowhere",)) == 1


def keys(table: dict[str, Any], above: places.Key = ()) -> list[places.Key]:
    found: list[places.Key] = []
    for key, value in table.items():
        found.append((*above, key))
        if isinstance(value, dict):
            found += keys(value, (*above, key))
    return found


names = st.text(st.sampled_from("ab-_1"), min_size=1, max_size=3)
values = st.sampled_from(
    ["1", '"x = 1"', "[1,\n 2]", '"""\n[a]\nb = 1\n"""', "'#'", "2027-01-01", "{ q = 1 }"]
)


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=4), max_size=4))
def test_each_key_of_any_table_is_found_where_it_stands(tables: dict[str, dict[str, str]]) -> None:
    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in table.items())
        for name, table in tables.items()
    )
    tomllib.loads(text)
    found = places.lines(text)
    lines = text.splitlines()
    for name, table in tables.items():
        assert lines[found[(name,)] - 1] == f"[{name}]"
        for key in table:
            assert lines[found[name, key] - 1].startswith(f"{key} = ")


@given(st.text(st.sampled_from("[]{}=\"'#.\n\\ab1 "), max_size=60))
def test_any_text_that_is_toml_is_read_without_an_error(text: str) -> None:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = places.lines(text)
    for key in keys(tables):
        assert 1 <= places.line(found, key) <= text.count("\n") + 1
