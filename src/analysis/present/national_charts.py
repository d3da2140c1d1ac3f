"""Altair charts of all forces together, in the house style; no arithmetic, no order of merit."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from analysis import vocabulary
from analysis.compare.national import GRADES, Funnel, Known, NationalPicture, Position
from analysis.compare.shares import CHANGE, Estimate, measure_of
from analysis.present import house, national_words, tiles, wording
from analysis.vocabulary import Grade

_TILE = 42
# What is known, by ground and ink, with a sign, as colour alone would tell nothing to many.
_TILES = {
    Known.PAIR: (house.NAVY, house.GROUND, "2"),
    Known.PART: ("#28A197", "#000000", "(2)"),
    Known.ONE: ("#BFBFBF", "#000000", "1"),
    Known.NOTHING: (house.GROUND, house.INK, ""),
}
_ROW = 56
_FUNNEL_HEIGHT = 320
_FAR_RIGHT = 150


@house.unchecked
def coverage(picture: NationalPicture, /) -> alt.LayerChart:
    """Equal squares, one for each force, roughly where it lies: how many audits there are to compare.

    Raises:
        KeyError: if a force has no place on the map.
    """
    rows = []
    for row in picture.coverage.iter_rows(named=True):
        known = Known(row["known"])
        down, across = tiles.PLACES[row["force"]]
        rows.append(
            {
                "column": across,
                "row": down,
                "label": tiles.LABELS[row["force"]],
                "sign": _TILES[known][2],
                "known": national_words.KNOWN_LABELS[known],
                "ink": _TILES[known][1],
                "force": wording.force_name(row["force"]),
            }
        )
    shown = [known for known in Known if national_words.n_known(picture, known)]
    names = [national_words.KNOWN_LABELS[known] for known in shown]
    data = alt.Data(values=rows)
    x = alt.X("column:O", axis=None, scale=alt.Scale(paddingInner=0.06))
    y = alt.Y("row:O", axis=None, scale=alt.Scale(paddingInner=0.06))
    squares = (
        alt.Chart(data)
        .mark_rect(stroke=house.QUIET, strokeWidth=1)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "known:N",
                scale=alt.Scale(domain=names, range=[_TILES[known][0] for known in shown]),
                legend=alt.Legend(title=None, orient="top", columns=2, symbolType="square"),
            ),
            tooltip=[alt.Tooltip("force:N", title="Force"), alt.Tooltip("known:N", title="Known")],
        )
    )
    ink = alt.Color("ink:N", scale=None)
    labels = (
        alt.Chart(data).mark_text(fontSize=13, dy=-6).encode(x=x, y=y, text=alt.Text("label:N"), color=ink)
    )
    signs = (
        alt.Chart(data)
        .mark_text(fontSize=10, dy=9, fontWeight="bold")
        .encode(x=x, y=y, text=alt.Text("sign:N"), color=ink)
    )
    n_rows = max(place[0] for place in tiles.PLACES.values()) + 1
    return house.styled(
        [squares, labels, signs],
        title=national_words.map_title(picture),
        subtitle="What has been read of each force; equal squares, roughly where forces lie",
        description=f"Equal squares, one for each force. {national_words.coverage(picture)}",
        height=_TILE * n_rows,
    )


@house.unchecked
def pairs(picture: NationalPicture, grade: Grade, /) -> alt.LayerChart:
    """The share at a grade before and after, one row per force, in alphabetical order."""
    rows = []
    for pair in picture.pairs_with(grade):
        before, after = (wording.figure(pair, measure_of(grade), period) for period in wording.periods(pair))
        rows.append(
            {
                "force": national_words.pair_label(pair, grade),
                "before": before["value"],
                "after": after["value"],
                "told_before": wording.share_told(before),
                "told_after": wording.share_told(after),
            }
        )
    names = [row["force"] for row in rows]
    data = alt.Data(values=rows)
    y = alt.Y("force:N", sort=names, axis=None)
    x = alt.X(
        "before:Q",
        title="Share of audited cases",
        # one scale for both grades, whose charts stand below one another
        scale=alt.Scale(domain=[0, _largest(picture)]),
        axis=alt.Axis(format="%", tickCount=5, grid=False),
    )
    tooltip = [
        alt.Tooltip("force:N", title="Force"),
        alt.Tooltip("told_before:N", title="Earlier audit"),
        alt.Tooltip("told_after:N", title="Later audit"),
    ]
    between = alt.Chart(data).mark_rule(strokeWidth=3, color="#BFBFBF").encode(x=x, x2=alt.X2("after:Q"), y=y)
    rings = (
        alt.Chart(data)
        .mark_point(filled=True, fill=house.GROUND, stroke=house.NAVY, strokeWidth=3, size=150, opacity=1)
        .encode(x=alt.X("before:Q"), y=y, tooltip=tooltip)
    )
    dots = (
        alt.Chart(data)
        .mark_point(filled=True, color=house.NAVY, size=170, opacity=1)
        .encode(x=alt.X("after:Q"), y=y, tooltip=tooltip)
    )
    return house.styled(
        [between, rings, dots, house.row_labels(names, "force", above=12)],
        title=national_words.pairs_title(picture, grade),
        subtitle=f"{national_words.pairs_subtitle(grade)}. Ring: earlier, dot: later",
        description=national_words.pairs_description(picture, grade),
        height=_ROW * max(len(rows), 1),
    )


def _largest(picture: NationalPicture) -> float:
    return max(
        float(wording.figure(pair, measure_of(grade), period)["value"])
        for grade in GRADES
        for pair in picture.pairs_with(grade)
        for period in wording.periods(pair)
    )


@house.unchecked
def changes(picture: NationalPicture, grade: Grade, /) -> alt.LayerChart:
    """The change of a share at each force with its range, their mean, and what one more force may show."""
    rows = change_rows(picture, grade)
    return _forest(
        rows,
        title=national_words.changes_title(picture, grade),
        subtitle=national_words.changes_subtitle(picture, grade),
    )


def change_rows(picture: NationalPicture, grade: Grade, /) -> list[tuple[str, Estimate]]:
    """What the chart of changes shows: a label and an estimate per row, the forces in alphabetical order."""
    rows = []
    for pair in picture.full_pairs:
        row = wording.figure(pair, measure_of(grade), CHANGE)
        name = vocabulary.force(pair.force).short_name
        rows.append((name, Estimate(row["value"], row["lower"], row["upper"])))
    one = national_words.told_mean(picture, grade)
    if one is not None:
        rows.append((f"Mean of these {one.k}", one.cautious))
        if one.prediction is not None:
            rows.append(("One more such force", one.prediction))
    return rows


@house.unchecked
def regression(picture: NationalPicture, /) -> alt.LayerChart:
    """What follow-ups show of the share inadequate, beside what they would show if nothing changed."""
    rows = regression_rows(picture)
    return _forest(
        rows,
        title="Made-up forces that never change still look better",
        subtitle="Change in share of audited cases graded inadequate, percentage points, of the made-up forces that "
        "had the poorest first grades, one in three",
    )


def regression_rows(picture: NationalPicture, /) -> list[tuple[str, Estimate]]:
    """What the chart of regression to the mean shows: a label and an estimate per row."""
    one = national_words.told_mean(picture, Grade.INADEQUATE)
    rows = [] if one is None else [(f"Real: mean of {one.k} follow-ups", one.cautious)]
    names = ("Made up: as different as counts suggest", "Made up: as different as counts allow")
    rows += [
        (name, Estimate(made_up.inadequate_change.value, None, None))
        for name, made_up in zip(names, picture.regressions, strict=False)
    ]
    return rows


def _forest(rows: Sequence[tuple[str, Estimate]], *, title: str, subtitle: str) -> alt.LayerChart:
    shown = [
        {
            "measure": label,
            "value": one.value,
            # what has no range is drawn as a dot
            "lower": one.value if one.lower is None else one.lower,
            "upper": one.value if one.upper is None else one.upper,
            "told": wording.movement(one.value),
            "told_range": "none"
            if one.lower is None or one.upper is None
            else wording.movement_range(one.lower, one.upper),
        }
        for label, one in rows
    ]
    return house.styled(
        house.ranges(shown, named="Force"),
        title=title,
        subtitle=subtitle,
        description=national_words.changes_description(rows),
        height=_ROW * max(len(rows), 1),
    )


@house.unchecked
def funnel(one: Funnel, /, *, force: str | None = None) -> alt.LayerChart:
    """Shares over numbers of cases between the limits of chance; audits outside them are named.

    Args:
        one: of the grade to show.
        force: slug of a force whose audits are to be named wherever they lie.
    """
    rows = [_point(row, force=force) for row in one.points.iter_rows(named=True)]
    lines = one.lines.to_dicts()
    scale = alt.Scale(type="log", nice=False, domain=[lines[0]["base"], lines[-1]["base"]])
    marks = [
        tick for tick in (10, 20, 50, 100, 200, 500, 1000) if lines[0]["base"] <= tick <= lines[-1]["base"]
    ]
    x = alt.X(
        "base:Q", title="Audited cases", scale=scale, axis=alt.Axis(values=marks, grid=False, format="d")
    )
    axis = alt.Axis(format="%", tickCount=5, grid=False)
    limits = alt.Data(values=lines)
    layers: list[alt.Chart] = []
    for ends, dash, width in (("limit", [1, 0], 2), ("limit_far", [6, 4], 1.5)):
        for end in ("lower", "upper"):
            y = alt.Y(f"{ends}_{end}:Q", title=f"Share {one.grade.value}", axis=axis)
            layers.append(
                alt.Chart(limits)
                .mark_line(color=house.QUIET, strokeDash=dash, strokeWidth=width, interpolate="monotone")
                .encode(x=x, y=y)
            )
    middle = alt.Data(values=[{"target": one.target.value}])
    layers.append(alt.Chart(middle).mark_rule(color=house.QUIET, strokeWidth=1).encode(y=alt.Y("target:Q")))
    tooltip = [
        alt.Tooltip("audit:N", title="Audit"),
        alt.Tooltip("told:N", title="Share"),
        alt.Tooltip("position:N", title="Lies"),
    ]
    full: dict[str, Any] = {"fill": house.NAVY, "stroke": house.GROUND, "strokeWidth": 1}
    ring: dict[str, Any] = {"fill": house.GROUND, "stroke": house.NAVY, "strokeWidth": 2.5}
    for is_follow_up, look in ((False, full), (True, ring)):
        some = alt.Data(values=[row for row in rows if row["is_follow_up"] is is_follow_up])
        layers.append(
            alt.Chart(some)
            .mark_point(filled=True, size=110, opacity=1, **look)
            .encode(x=x, y=alt.Y("value:Q"), tooltip=tooltip)
        )
    halo: dict[str, Any] = {"stroke": house.GROUND, "strokeWidth": 5, "strokeJoin": "round"}
    at_left: dict[str, Any] = {"align": "left", "dx": 9}
    at_right: dict[str, Any] = {"align": "right", "dx": -9}
    for is_left, place in ((True, at_left), (False, at_right)):
        # names of dots far to the right stand to the left of them, where there is room
        named = alt.Data(values=[row for row in _names(rows) if (row["base"] < _FAR_RIGHT) is is_left])
        for look in (halo, {}):
            layers.append(
                alt.Chart(named)
                .mark_text(fontSize=13, color=house.GROUND if look else house.INK, **look, **place)
                .encode(x=x, y=alt.Y("value:Q"), text=alt.Text("name:N"))
            )
    return house.styled(
        layers,
        title=national_words.funnel_title(one),
        subtitle=f"{national_words.funnel_subtitle(one)}. Dot: full inspection, ring: follow-up",
        description=national_words.funnel_description(one),
        height=_FUNNEL_HEIGHT,
    )


def _names(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The names to print, one text where several dots lie on one another."""
    places: dict[tuple[int, float], list[str]] = {}
    for row in rows:
        if row["name"]:
            places.setdefault((row["base"], row["value"]), []).append(row["name"])
    return [
        {"base": base, "value": value, "name": ", ".join(names)} for (base, value), names in places.items()
    ]


def _point(row: dict[str, Any], *, force: str | None) -> dict[str, Any]:
    label = national_words.audit_label(row)
    is_named = row["force"] == force if force else row["position"] != Position.INSIDE.value
    return {
        "audit": label,
        "name": label if is_named else "",
        "base": row["base"],
        "value": row["value"],
        "is_follow_up": row["is_follow_up"],
        "told": f"{wording.of_cases(row['n_cases'], row['base'])} ({wording.percent(row['value'], base=row['base'])})",
        "position": row["position"],
    }
