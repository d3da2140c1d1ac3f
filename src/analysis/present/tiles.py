"""A map of the 43 forces as equal squares, so that a large county counts for no more than a small one.

Drawn by hand: the index is made on every run, and a drawing program takes longer to start than that.
"""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from analysis.present import definitions

# Rows from the north, columns from the west, as forces lie to each other.
_ROWS: Sequence[tuple[int, str]] = (
    (4, "northumbria"),
    (3, "cumbria durham cleveland"),
    (3, "lancashire north-yorkshire humberside"),
    (2, "merseyside greater-manchester west-yorkshire south-yorkshire lincolnshire"),
    (1, "north-wales cheshire staffordshire derbyshire nottinghamshire"),
    (1, "dyfed-powys west-mercia west-midlands leicestershire northamptonshire cambridgeshire norfolk"),
    (0, "south-wales gwent gloucestershire warwickshire thames-valley bedfordshire hertfordshire suffolk"),
    (2, "avon-and-somerset wiltshire surrey metropolitan city-of-london essex"),
    (2, "devon-and-cornwall dorset hampshire sussex kent"),
)
PLACES: Mapping[str, tuple[int, int]] = {
    slug: (row, first + number)
    for row, (first, slugs) in enumerate(_ROWS)
    for number, slug in enumerate(slugs.split())
}
LABELS: Mapping[str, str] = {
    "avon-and-somerset": "A&S",
    "bedfordshire": "Bed",
    "cambridgeshire": "Cam",
    "cheshire": "Che",
    "city-of-london": "CoL",
    "cleveland": "Cle",
    "cumbria": "Cum",
    "derbyshire": "Der",
    "devon-and-cornwall": "D&C",
    "dorset": "Dor",
    "durham": "Dur",
    "dyfed-powys": "D-P",
    "essex": "Ess",
    "gloucestershire": "Glo",
    "greater-manchester": "GM",
    "gwent": "Gwe",
    "hampshire": "Ham",
    "hertfordshire": "Her",
    "humberside": "Hum",
    "kent": "Ken",
    "lancashire": "Lan",
    "leicestershire": "Lei",
    "lincolnshire": "Lin",
    "merseyside": "Mer",
    "metropolitan": "Met",
    "norfolk": "Nor",
    "north-wales": "NW",
    "north-yorkshire": "NY",
    "northamptonshire": "Nhn",
    "northumbria": "Nhb",
    "nottinghamshire": "Not",
    "south-wales": "SW",
    "south-yorkshire": "SY",
    "staffordshire": "Sta",
    "suffolk": "Suf",
    "surrey": "Sur",
    "sussex": "Sus",
    "thames-valley": "TV",
    "warwickshire": "War",
    "west-mercia": "WMe",
    "west-midlands": "WMi",
    "west-yorkshire": "WY",
    "wiltshire": "Wil",
}
# A sign beside the colour, which alone would tell nothing to many.
SIGNS: Mapping[str, str] = {
    "published": "\u25cf",
    "superseded": "\u25d1",
    "draft": "\u25cb",
    "one audit only": "1",
    "withdrawn": "\u2013",
    "failed": "\u00d7",
    "not run yet": "?",
    "no audits yet": "",
}
_TILE, _GAP = 40, 3


class TilesError(Exception):
    """A map that cannot be drawn. The message says which force or status it does not know."""


def figure(
    statuses: Mapping[str, str],
    /,
    *,
    names: Mapping[str, str],
    links: Mapping[str, str],
    name: str,
    title: str,
) -> Markup:
    """The map with its key, and the same as lists of names by status.

    Args:
        statuses: status of every force by slug, in the order in which the lists are to name them.
        names: full name of each force by slug.
        links: page of each force that has one, by slug.
        name: id of the figure; must be unique on its page.
        title: what the map shows.

    Raises:
        TilesError: if a force has no place on the map, or a status no sign.
    """
    unknown = [slug for slug in statuses if slug not in PLACES]
    unknown += [status for status in statuses.values() if status not in SIGNS]
    if unknown:
        told = ", ".join(sorted(set(unknown)))
        raise TilesError(f"The map has no place or no sign for {told}: add it to present/tiles.")
    by_status = {
        status: [slug for slug, found in statuses.items() if found == status]
        for status in SIGNS
        if status in statuses.values()
    }
    told = "; ".join(f"{status}: {len(slugs)}" for status, slugs in by_status.items())
    words = f"Equal squares, one for each force, roughly where it lies. Forces by status: {told}."
    width, height = (max(place[side] for place in PLACES.values()) + 1 for side in (1, 0))
    drawing = Markup(
        '<svg class="tiles" role="img" aria-labelledby="{0}-title {0}-desc" viewBox="0 0 {1} {2}">'
        '<title id="{0}-title">{3}</title><desc id="{0}-desc">{4}</desc>{5}</svg>'
    ).format(
        name,
        width * _TILE,
        height * _TILE,
        title,
        words,
        Markup("").join(_tile(slug, statuses[slug]) for slug in statuses),
    )
    key = Markup("").join(
        Markup('<li><svg class="tiles" aria-hidden="true" viewBox="0 0 {0} {0}">{1}</svg> {2}</li>').format(
            _TILE, _square(status, "", 0, 0), status
        )
        for status in by_status
    )
    lists = definitions.listed(
        {
            status[:1].upper() + status[1:]: Markup(", ").join(_named(slug, names, links) for slug in slugs)
            for status, slugs in by_status.items()
        }
    )
    return Markup(
        '<figure class="map" id="{}"><figcaption><strong class="chart-title">{}</strong></figcaption>{}'
        '<ul class="key">{}</ul><details><summary>The map as lists of names</summary>{}</details></figure>'
    ).format(name, title, drawing, key, lists)


def _tile(slug: str, status: str) -> Markup:
    row, column = PLACES[slug]
    return _square(status, LABELS[slug], column * _TILE, row * _TILE)


def _square(status: str, label: str, x: int, y: int) -> Markup:
    size = _TILE - _GAP
    sign = Markup('<text class="sign" x="{}" y="{}">{}</text>').format(
        x + size / 2, y + size * (0.82 if label else 0.68), SIGNS[status]
    )
    named = (
        Markup('<text x="{}" y="{}">{}</text>').format(x + size / 2, y + size * 0.46, label) if label else ""
    )
    return Markup('<g class="{}"><rect x="{}" y="{}" width="{}" height="{}"></rect>{}{}</g>').format(
        f"is-{status.replace(' ', '-')}",
        x + 1,
        y + 1,
        size - 2,
        size - 2,
        named,
        sign if SIGNS[status] else "",
    )


def _named(slug: str, names: Mapping[str, str], links: Mapping[str, str]) -> Markup:
    if slug in links:
        return Markup('<a href="{}">{}</a>').format(links[slug], names[slug])
    return Markup("{}").format(names[slug])
