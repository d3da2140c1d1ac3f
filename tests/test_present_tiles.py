from pathlib import Path

import pytest
from lxml import html

from analysis import vocabulary
from analysis.present import tiles
from analysis.present.tiles import TilesError

ROOT = Path(__file__).resolve().parents[1]
FORCES = vocabulary.forces(ROOT / "data" / "raw")
NAMES = {force.slug: force.full_name for force in FORCES}
# pairs that share a long border
NEIGHBOURS = (
    "northumbria durham", "durham cleveland", "durham north-yorkshire", "cumbria lancashire",
    "cleveland north-yorkshire",
    "lancashire greater-manchester", "greater-manchester west-yorkshire", "west-yorkshire south-yorkshire",
    "north-yorkshire west-yorkshire", "merseyside greater-manchester", "merseyside cheshire", "cheshire staffordshire",
    "south-yorkshire nottinghamshire", "derbyshire nottinghamshire", "staffordshire derbyshire", "north-wales cheshire",
    "north-wales dyfed-powys", "dyfed-powys south-wales", "south-wales gwent", "gwent gloucestershire",
    "west-mercia west-midlands", "west-midlands warwickshire", "leicestershire northamptonshire",
    "cambridgeshire norfolk",
    "norfolk suffolk", "suffolk essex", "bedfordshire hertfordshire", "thames-valley bedfordshire",
    "surrey metropolitan",
    "surrey sussex", "sussex kent", "metropolitan city-of-london", "avon-and-somerset wiltshire", "wiltshire hampshire",
    "dorset hampshire", "devon-and-cornwall dorset", "avon-and-somerset dorset", "metropolitan kent",
    "gloucestershire warwickshire", "humberside lincolnshire",
)  # fmt: skip


def drawn(statuses: dict[str, str]) -> html.HtmlElement:
    links = {slug: f"{slug}/report.html" for slug, status in statuses.items() if status == "published"}
    made = tiles.figure(statuses, names=NAMES, links=links, name="map", title="Which forces have a report")
    return html.fragment_fromstring(str(made))


def test_every_force_has_one_tile_and_one_label_of_its_own() -> None:
    assert set(tiles.PLACES) == set(tiles.LABELS) == {force.slug for force in FORCES}
    assert len(set(tiles.PLACES.values())) == len(tiles.PLACES)
    assert len(set(tiles.LABELS.values())) == len(tiles.LABELS)
    assert max(map(len, tiles.LABELS.values())) <= 3


def test_map_is_narrow_enough_for_a_phone() -> None:
    assert max(column for _, column in tiles.PLACES.values()) < 9


def test_forces_that_share_a_border_mostly_touch() -> None:
    def touch(one: str, other: str) -> bool:
        return max(abs(a - b) for a, b in zip(tiles.PLACES[one], tiles.PLACES[other], strict=True)) == 1

    assert sum(touch(*pair.split()) for pair in NEIGHBOURS) >= 0.9 * len(NEIGHBOURS)


@pytest.mark.parametrize(
    ("north", "south"),
    [("northumbria", "kent"), ("cumbria", "lancashire"), ("norfolk", "essex"), ("cheshire", "gwent")],
)
def test_north_is_above_south(north: str, south: str) -> None:
    assert tiles.PLACES[north][0] < tiles.PLACES[south][0]


@pytest.mark.parametrize(
    ("west", "east"),
    [
        ("south-wales", "suffolk"),
        ("merseyside", "lincolnshire"),
        ("devon-and-cornwall", "kent"),
        ("gwent", "essex"),
        ("dorset", "hampshire"),
        ("hampshire", "sussex"),
        ("sussex", "kent"),
        ("bedfordshire", "kent"),
    ],
)
def test_west_is_left_of_east(west: str, east: str) -> None:
    assert tiles.PLACES[west][1] < tiles.PLACES[east][1]


def test_every_status_has_a_sign_and_a_style_of_its_own() -> None:
    signs = [sign for sign in tiles.SIGNS.values() if sign]
    assert len(set(signs)) == len(signs) == len(tiles.SIGNS) - 1
    slugs = list(NAMES)
    tree = drawn(dict(zip(slugs, tiles.SIGNS, strict=False)))
    groups = tree.xpath("./svg/g")
    assert len({group.get("class") for group in groups}) == len(tiles.SIGNS)
    for group, status in zip(groups, tiles.SIGNS, strict=True):
        sign = group.xpath("./text[@class='sign']")
        assert "".join(one.text for one in sign) == tiles.SIGNS[status]


def test_picture_has_a_description_and_the_lists_name_every_force_under_its_status() -> None:
    statuses = dict.fromkeys(NAMES, "no audits yet") | {"dorset": "published", "kent": "draft"}
    tree = drawn(statuses)
    assert tree.xpath("string(./svg/desc)").endswith("published: 1; draft: 1; no audits yet: 41.")
    lists = {term.text: term.getnext() for term in tree.iter("dt")}
    assert lists["Published"].text_content() == "Dorset Police"
    assert lists["Published"].find("a").get("href") == "dorset/report.html"
    assert len(lists["No audits yet"].text_content().split(", ")) == 41


def test_words_are_escaped() -> None:
    made = tiles.figure({"dorset": "draft"}, names={"dorset": "<b>D</b>"}, links={}, name="m", title="<i>")
    assert not html.fragment_fromstring(str(made)).xpath(".//b | .//i")


@pytest.mark.parametrize("statuses", [{"atlantis": "draft"}, {"dorset": "unheard of"}])
def test_force_or_status_without_a_place_is_named(statuses: dict[str, str]) -> None:
    with pytest.raises(TilesError, match=r"no place or no sign for (atlantis|unheard of): add it"):
        tiles.figure(statuses, names=NAMES, links={}, name="m", title="t")
