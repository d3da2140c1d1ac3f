"""Small multiples: the case grades of one force as bars the size of a word, the earlier audit above the later."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from analysis.compare.shares import BASELINE, FOLLOW_UP, measure_of
from analysis.present import wording
from analysis.vocabulary import Grade

_WIDTH, _BAR, _GAP = 160, 12, 4
_NAMES = {BASELINE: "earlier audit", FOLLOW_UP: "later audit"}
# worst first, as they are drawn
_MEASURES = {
    "share_below_good": "below good, not told apart",
    **{measure_of(grade): grade.value for grade in Grade},
}


def key() -> Markup:
    """What the colours of all bars mean, as a list."""
    named = [(_css(measure), words) for measure, words in _MEASURES.items()] + [("", "not known")]
    items = Markup("").join(
        Markup('<li><svg class="bars" aria-hidden="true" viewBox="0 0 12 12">{}</svg> {}</li>').format(
            Markup('<rect class="{}" width="12" height="12"></rect>').format(name) if name else "", words
        )
        for name, words in named
    )
    return Markup('<ul class="key">{}</ul>').format(items)


def _css(measure: str, /) -> str:
    """The class of the style sheet that colours a measure."""
    return measure.replace("_", "-")


def svg(rows: Sequence[Mapping[str, str]], /) -> Markup:
    """The bars, described by their counts; empty if no share is known.

    Args:
        rows: the figures of one force as in `figures.csv`: texts, empty for null.
    """
    shown = {
        period: [
            row
            for measure in _MEASURES
            for row in rows
            if row["measure"] == measure and row["period"] == period and row["value"]
        ]
        for period in _NAMES
    }
    bars = [(period, found) for period, found in shown.items() if found]
    if not bars:
        return Markup("")
    told = "; ".join(f"{_NAMES[period]}: {_counts(found)}" for period, found in bars)
    drawn = Markup("").join(_bar(found, number * (_BAR + _GAP)) for number, (_, found) in enumerate(bars))
    return Markup('<svg class="bars" role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>').format(
        wording.capitalised(told), _WIDTH, len(bars) * (_BAR + _GAP) - _GAP, drawn
    )


def _counts(rows: Sequence[Mapping[str, str]]) -> str:
    counted = ", ".join(f"{row['n_cases']} {_MEASURES[row['measure']]}" for row in rows)
    return f"{counted}, of {wording.cases(int(rows[0]['base']))}"


def _bar(rows: Sequence[Mapping[str, str]], y: int) -> Markup:
    drawn, x = Markup(""), 0.0
    for row in rows:
        width = float(row["value"]) * _WIDTH
        drawn += Markup('<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"></rect>').format(
            _css(row["measure"]), x, y, width, _BAR
        )
        x += width
    return drawn
