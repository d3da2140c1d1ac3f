import csv
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import vocabulary
from analysis.vocabulary import Forces, Grade, VocabularyError

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "raw"
FORCES = vocabulary.forces(SHIPPED)

# Every name by ONS code, as seen in the ONS lists, in registries and on pages of the forces,
# their commissioners and the inspectorate.
NAMES_BY_CODE = {
    "E23000001": "Metropolitan Police; Metropolitan Police Service; MPS; the Met; Met Police; metropolitan",
    "E23000002": "Cumbria; Cumbria Constabulary; Cumbria Police",
    "E23000003": "Lancashire; Lancashire Constabulary; Lancashire Police",
    "E23000004": "Merseyside; Merseyside Police",
    "E23000005": "Greater Manchester; Greater Manchester Police; GMP",
    "E23000006": "Cheshire; Cheshire Constabulary; Cheshire Police",
    "E23000007": "Northumbria; Northumbria Police",
    "E23000008": "Durham; Durham Constabulary; Durham Police",
    "E23000009": "North Yorkshire; North Yorkshire Police",
    "E23000010": "West Yorkshire; West Yorkshire Police",
    "E23000011": "South Yorkshire; South Yorkshire Police",
    "E23000012": "Humberside; Humberside Police",
    "E23000013": "Cleveland; Cleveland Police",
    "E23000014": "West Midlands; West Midlands Police",
    "E23000015": "Staffordshire; Staffordshire Police",
    "E23000016": "West Mercia; West Mercia Police",
    "E23000017": "Warwickshire; Warwickshire Police",
    "E23000018": "Derbyshire; Derbyshire Constabulary; Derbyshire Police",
    "E23000019": "Nottinghamshire; Nottinghamshire Police; Nottinghamshire Constabulary",
    "E23000020": "Lincolnshire; Lincolnshire Police",
    "E23000021": "Leicestershire; Leicestershire Police; Leicestershire Constabulary",
    "E23000022": "Northamptonshire; Northamptonshire Police",
    "E23000023": "Cambridgeshire; Cambridgeshire Constabulary; Cambridgeshire Police",
    "E23000024": "Norfolk; Norfolk Constabulary; Norfolk Police",
    "E23000025": "Suffolk; Suffolk Constabulary; Suffolk Police",
    "E23000026": "Bedfordshire; Bedfordshire Police; Bedfordshire Constabulary",
    "E23000027": "Hertfordshire; Hertfordshire Constabulary; Hertfordshire Police",
    "E23000028": "Essex; Essex Police",
    "E23000029": "Thames Valley; Thames Valley Police; TVP",
    "E23000030": "Hampshire; Hampshire and Isle of Wight Constabulary; Hampshire Constabulary",
    "E23000031": "Surrey; Surrey Police",
    "E23000032": "Kent; Kent Police",
    "E23000033": "Sussex; Sussex Police",
    "E23000034": "London, City of; City of London Police; City of London; CoLP",
    "E23000035": "Devon & Cornwall; Devon and Cornwall Police; Devon & Cornwall Police; Devon and Cornwall",
    "E23000036": "Avon and Somerset; Avon and Somerset Police; Avon and Somerset Constabulary; Avon & Somerset",
    "E23000037": "Gloucestershire; Gloucestershire Constabulary; Gloucestershire Police",
    "E23000038": "Wiltshire; Wiltshire Police",
    "E23000039": "Dorset; Dorset Police",
    "W15000001": "North Wales; North Wales Police; Heddlu Gogledd Cymru",
    "W15000002": "Gwent; Gwent Police; Heddlu Gwent",
    "W15000003": "South Wales; South Wales Police; Heddlu De Cymru",
    "W15000004": "Dyfed-Powys; Dyfed-Powys Police; Dyfed Powys; Dyfed–Powys",
}
NAMES = [(code, name.strip()) for code, names in NAMES_BY_CODE.items() for name in names.split(";")]

NON_BREAKING_SPACE, FULL_WIDTH = "\u00a0", {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def spellings(name: str) -> list[str]:
    return [
        name,
        name.upper(),
        name.lower(),
        name.title(),
        f"  {name.replace(' ', '   ')}\t",
        name.replace(" ", NON_BREAKING_SPACE),
        name.translate(FULL_WIDTH),
        name.replace(" & ", "&"),
        name.replace("&", "and"),
        name.replace(" and ", " & "),
        name[4:] if name.lower().startswith("the ") else f"The {name}" if "," not in name else name,
    ]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    shutil.copy(SHIPPED / "forces.csv", tmp_path)
    return tmp_path


def edit(raw: Path, change: Callable[[list[list[str]]], object]) -> None:
    with (raw / "forces.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with (raw / "forces.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def set_cell(force: str, column: str, value: str) -> Callable[[list[list[str]]], object]:
    def change(rows: list[list[str]]) -> None:
        (row,) = [row for row in rows if row[0] == force]
        row[rows[0].index(column)] = value

    return change


def test_there_are_43_forces_with_a_slug_and_a_code_each() -> None:
    assert len(FORCES) == 43
    assert len(set(FORCES.slugs)) == 43
    assert {force.ons_code for force in FORCES} == set(NAMES_BY_CODE)


def test_forces_come_in_alphabetical_order_of_slug() -> None:
    assert [force.slug for force in FORCES] == list(FORCES.slugs) == sorted(FORCES.slugs)


def test_a_slug_fits_into_a_path_and_an_id() -> None:
    assert [slug for slug in FORCES.slugs if not re.fullmatch(r"[a-z]+(-[a-z]+)*", slug)] == []


def test_four_forces_are_welsh() -> None:
    welsh = [force for force in FORCES if force.nation == "Wales"]

    assert [force.slug for force in welsh] == ["dyfed-powys", "gwent", "north-wales", "south-wales"]
    assert all(force.ons_code.startswith("W15") and force.region == "Wales" for force in welsh)
    assert {force.nation for force in FORCES} == {"England", "Wales"}


@pytest.mark.parametrize(("code", "name"), NAMES)
def test_every_known_name_finds_its_force_however_it_is_spelt(code: str, name: str) -> None:
    found = {FORCES.find(spelling) for spelling in spellings(name)}

    assert {force.ons_code if force else None for force in found} == {code}


@pytest.mark.parametrize("force", list(FORCES), ids=lambda force: force.slug)
def test_every_name_of_the_file_finds_its_force_however_it_is_spelt(force: vocabulary.Force) -> None:
    found = {FORCES.find(spelling) for name in force.names for spelling in spellings(name)}

    assert found == {force}


@pytest.mark.parametrize("dash", list("-‐‑‒–—―−－﹣﹘ "), ids=lambda dash: f"U+{ord(dash):04X}")
def test_any_dash_or_none_joins_dyfed_and_powys(dash: str) -> None:
    found = FORCES.find(f"Dyfed{dash}Powys Police")

    assert found is not None
    assert found.slug == "dyfed-powys"


def test_a_bracketed_note_is_no_part_of_an_alias() -> None:
    assert FORCES.named("dyfed-powys").aliases == ("Dyfed Powys", "Dyfed–Powys")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("London, City of", "city-of-london"),
        ("london ,city of", "city-of-london"),
        ("City of London", "city-of-london"),
        ("Yorkshire, West", "west-yorkshire"),
        ("Wales, North", "north-wales"),
    ],
)
def test_an_inverted_name_is_turned_round(name: str, slug: str) -> None:
    assert FORCES.named(name).slug == slug


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "-",
        "&",
        ",",
        "The",
        "Police",
        "The Police Service",
        "Constabulary",
        "Yorkshire",
        "Wales",
        "Midlands",
        "London",
        "England",
        "Manchester",
        "BTP",
        "British Transport Police",
        "PSNI",
        "Police Service of Northern Ireland",
        "Police Scotland",
        "Isle of Wight",
        "Kent Police and Crime Commissioner",
        "Kent and Essex",
        "Kent Police, Sussex Police",
        "Cornwall and Devon",
        "Kent1",
        "K\x00ent",
        "kent-2022-02-initial",
        *vocabulary.GROUPS,
    ],
)
def test_what_is_no_single_territorial_force_is_not_found(name: str) -> None:
    assert FORCES.find(name) is None
    with pytest.raises(VocabularyError, match=re.escape(f'No force is called "{name}".')):
        FORCES.named(name)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Yorkshire", {"north-yorkshire", "south-yorkshire", "west-yorkshire"}),
        ("Wales", {"north-wales", "south-wales"}),
        ("London", {"city-of-london"}),
        ("Manchester", {"greater-manchester"}),
        ("Cornwall", {"devon-and-cornwall"}),
        ("Kent Police, Sussex Police", {"kent", "sussex"}),
        ("", set()),
        ("Police", set()),
        ("PSNI", set()),
        ("Police Scotland", set()),
    ],
)
def test_names_that_contain_a_force_or_a_part_of_one_suggest_it(name: str, near: set[str]) -> None:
    assert {force.slug for force in FORCES.near(name)} == near


@pytest.mark.parametrize(
    ("name", "likeliest"),
    [
        ("Warwikshire", "warwickshire"),
        ("Metropolitain", "metropolitan"),
        ("Glostershire", "gloucestershire"),
        ("Nothumbria Police", "northumbria"),
        ("Avon Somerset", "avon-and-somerset"),
        ("thamesvalley", "thames-valley"),
    ],
)
def test_a_slip_suggests_the_force_that_was_meant_first(name: str, likeliest: str) -> None:
    near = FORCES.near(name)

    assert FORCES.find(name) is None
    assert near[0].slug == likeliest
    assert len(near) <= 3


def test_no_more_forces_are_suggested_than_asked_for() -> None:
    assert len(FORCES.near("shire")) == 3
    assert len(FORCES.near("shire", most=1)) == 1


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("Kent Fire and Rescue", "Did you mean kent?"),
        ("Wales", "Did you mean north-wales or south-wales?"),
        ("Yorkshire", "Did you mean north-yorkshire, south-yorkshire or west-yorkshire?"),
        ("Atlantis", "The 43 forces are listed in data/raw/forces.csv."),
    ],
)
def test_a_suggestion_is_one_sentence(name: str, suggestion: str) -> None:
    assert FORCES.suggestion(name) == suggestion


@given(st.text())
def test_any_text_at_all_is_found_or_not_and_never_breaks_the_search(name: str) -> None:
    found, near = FORCES.find(name), FORCES.near(name)

    assert len(near) <= 3
    assert found is None or found in near


def test_a_very_long_name_is_refused_like_any_other() -> None:
    assert FORCES.find("Kent " * 10_000) is None
    assert FORCES.near("x" * 100_000) == ()


def test_without_a_folder_the_forces_are_those_of_the_project() -> None:
    assert vocabulary.force("the Met").slug == "metropolitan"
    with pytest.raises(VocabularyError, match="Did you mean north-wales or south-wales"):
        vocabulary.force("Wales")


def test_a_changed_file_is_read_anew(raw: Path) -> None:
    assert vocabulary.forces(raw).find("Men of Kent") is None
    edit(raw, set_cell("kent", "aliases", "Men of Kent"))
    # two writes may fall within one tick of the file system's clock
    os.utime(raw / "forces.csv", ns=(0, 1))

    assert vocabulary.forces(raw).named("Men of Kent").slug == "kent"


def one_sentence(message: str) -> bool:
    return message.startswith("forces.csv") and message.endswith(".") and "\n" not in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is missing from data/raw: restore it"),
        (b"", "restore"),
        (b"\n\n", "restore"),
        (b"slug,ons_code\nkent,E23000032\n", "row 1: the columns must be slug, ons_code"),
        (b"slug;ons_code;short_name\n", "row 1: the columns must be slug, ons_code"),
        ((SHIPPED / "forces.csv").read_bytes().splitlines(keepends=True)[0], "lists no force: restore it"),
        ("Dyfed–Powys".encode("cp1252"), "is not UTF-8 text: save it as UTF-8"),
        ("slug".encode("utf-16"), "is not UTF-8 text: save it as UTF-8"),
        (
            (SHIPPED / "forces.csv").read_bytes() + b'kent,"E23',
            "is not readable as CSV (unexpected end of data): restore it",
        ),
    ],
    ids=[
        "missing",
        "empty",
        "blank",
        "short",
        "semicolons",
        "header only",
        "Windows 1252",
        "UTF-16",
        "open quote",
    ],
)
def test_a_broken_file_is_told_in_one_sentence(raw: Path, content: bytes | None, reason: str) -> None:
    (raw / "forces.csv").unlink()
    if content is not None:
        (raw / "forces.csv").write_bytes(content)

    with pytest.raises(VocabularyError) as raised:
        vocabulary.forces(raw)

    assert one_sentence(str(raised.value))
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda rows: [row.insert(0, row.pop()) for row in rows],
            "row 1: the columns must be slug, ons_code",
        ),
        (lambda rows: [row.append("x") for row in rows], "row 1: the columns must be slug, ons_code"),
        (lambda rows: rows[9].append("more"), "row 10: a force needs one value for each of the 8 columns"),
        (lambda rows: rows[9].pop(), "row 10: a force needs one value for each of the 8 columns"),
        (set_cell("kent", "slug", ""), "row 21: a force needs one value for each of the 8 columns"),
        (
            set_cell("kent", "aliases", "GMP"),
            'gives the name "GMP" to both greater-manchester and kent: keep it with one of them',
        ),
        (
            set_cell("kent", "aliases", "Kent County; south WALES constabulary"),
            'gives the name "South-Wales" to both kent and south-wales: keep it with one of them',
        ),
        (
            set_cell("kent", "short_name", "Sussex"),
            'gives the name "sussex" to both kent and sussex: keep it with one of them',
        ),
    ],
    ids=[
        "reordered columns",
        "extra column",
        "long row",
        "short row",
        "blank slug",
        "an alias of two forces",
        "an alias of two forces, spelt otherwise",
        "a name of two forces",
    ],
)
def test_a_broken_row_is_told_in_one_sentence(
    raw: Path, change: Callable[[list[list[str]]], object], reason: str
) -> None:
    edit(raw, change)

    with pytest.raises(VocabularyError) as raised:
        vocabulary.forces(raw)

    assert one_sentence(str(raised.value))
    assert reason.lower() in str(raised.value).lower()


@pytest.mark.parametrize(
    "change",
    [
        set_cell("lancashire", "slug", "kent"),
        set_cell("lancashire", "ons_code", "E23000032"),
        set_cell("lancashire", "ons_code", ""),
        set_cell("lancashire", "full_name", ""),
        set_cell("lancashire", "aliases", "Police"),
        set_cell("lancashire", "slug", " lancashire"),
        set_cell("lancashire", "slug", "../lancashire"),
    ],
    ids=[
        "slug given twice",
        "code given twice",
        "no code",
        "no full name",
        "an alias that any nameless text would match",
        "slug with a space",
        "slug that leads out of reports",
    ],
)
def test_a_row_that_would_lose_or_blur_a_force_is_refused(
    raw: Path, change: Callable[[list[list[str]]], object]
) -> None:
    edit(raw, change)

    with pytest.raises(VocabularyError) as raised:
        vocabulary.forces(raw)

    assert one_sentence(str(raised.value))


def test_a_blank_line_does_not_shift_the_row_that_is_told(raw: Path) -> None:
    edit(raw, lambda rows: (rows.insert(5, []), rows.append(["gotham"])))

    with pytest.raises(VocabularyError, match="row 46: "):
        vocabulary.forces(raw)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.rstrip(b"\n"),
        lambda content: content.decode().encode("utf-8-sig"),
    ],
    ids=["Windows line ends", "no last line end", "byte order mark"],
)
def test_what_a_spreadsheet_changes_on_saving_does_no_harm(
    raw: Path, rewrite: Callable[[bytes], bytes]
) -> None:
    path = raw / "forces.csv"
    path.write_bytes(rewrite(path.read_bytes()))

    assert list(vocabulary.forces(raw)) == list(FORCES)


def test_a_folder_in_the_place_of_the_file_is_told(raw: Path) -> None:
    (raw / "forces.csv").unlink()
    (raw / "forces.csv").mkdir()

    with pytest.raises(VocabularyError) as raised:
        vocabulary.forces(raw)

    assert one_sentence(str(raised.value))


def test_a_list_of_forces_may_come_in_any_order() -> None:
    assert Forces(reversed(list(FORCES))).slugs == FORCES.slugs


def test_grades_are_ordered_worst_to_best_on_every_scale() -> None:
    order = list(Grade)

    assert [grade.column for grade in order] == ["inadequate", "requires_improvement", "adequate", "good"]
    assert [grade.value for grade in order if grade.is_below_good] == ["inadequate", "requires improvement"]
    for scale in vocabulary.SCALES.values():
        assert list(scale.grades) == sorted(scale.grades, key=order.index)


def test_every_closed_list_names_each_thing_once() -> None:
    assert len(set(vocabulary.AREAS)) == len(vocabulary.AREAS)
    assert vocabulary.AREAS[0] == vocabulary.OVERALL
    assert set(vocabulary.KIND_SLUG_OF_PRINTED.values()) == set(vocabulary.KINDS)
    assert set(vocabulary.GROUPS.values()) == set(vocabulary.NAME_OF_GROUP)


@pytest.mark.parametrize(
    ("word", "question"),
    [
        ("gud", "did you mean good?"),
        ("in adequate", "did you mean inadequate or adequate?"),
        ("zzz", "use one of: inadequate, requires improvement, adequate, good"),
        ("", "use one of: inadequate, requires improvement, adequate, good"),
        (None, "use one of: inadequate, requires improvement, adequate, good"),
        (["good"], "use one of: inadequate, requires improvement, adequate, good"),
    ],
)
def test_an_unknown_word_is_answered_with_near_words_or_all_of_them(word: object, question: str) -> None:
    assert vocabulary.near_words(word, [grade.value for grade in Grade]) == question


@pytest.mark.parametrize("given", [None, 3, ["dorset"], b"dorset"])
def test_a_force_that_is_no_text_is_refused_in_one_sentence(given: Any) -> None:
    for ask in (FORCES.find, FORCES.named, FORCES.__getitem__, vocabulary.force):
        with pytest.raises(
            VocabularyError, match=r'^A force is named by a text, for example "warwickshire", but'
        ) as no:
            ask(given)
        assert repr(given) in str(no.value)


def test_a_large_thing_in_place_of_a_force_is_named_by_its_kind() -> None:
    with pytest.raises(VocabularyError, match=r"but this is a list\.$"):
        FORCES.find(list(range(1000)))  # type: ignore[arg-type]


def test_a_force_is_in_the_list_by_any_name_and_by_itself() -> None:
    assert "the Met" in FORCES
    assert FORCES["the Met"] in FORCES
    assert "Gotham" not in FORCES
    assert 3 not in FORCES
    with pytest.raises(VocabularyError, match="dorset"):
        FORCES["dorsett"]


def test_an_attribute_takes_any_case() -> None:
    assert FORCES.Warwickshire is FORCES.warwickshire is FORCES["warwickshire"]
    assert FORCES.WEST_MIDLANDS.slug == "west-midlands"


@pytest.mark.parametrize("word", ["good", "Good", " share_good ", "SHARE_GOOD", Grade.GOOD])
def test_a_grade_is_read_in_any_case_and_as_a_measure(word: str) -> None:
    assert vocabulary.grade(word) is Grade.GOOD


def test_a_grade_of_two_words_is_read_as_a_measure_too() -> None:
    named = vocabulary.grade("share_requires_improvement", among=Grade)
    assert named is Grade.REQUIRES_IMPROVEMENT


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("goood", '"goood" is no grade that is compared: did you mean good?'),
        ("adequate", "did you mean inadequate?"),
        (None, "None is no grade that is compared: use one of: good, inadequate"),
        (3, "3 is no grade that is compared: use one of: good, inadequate"),
    ],
)
def test_a_grade_that_is_none_is_refused_with_near_matches(word: Any, told: str) -> None:
    with pytest.raises(VocabularyError) as no:
        vocabulary.grade(word)
    assert told in str(no.value)
