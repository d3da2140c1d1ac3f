"""A report on one slide: what was graded, what moved, how sure, and what it cannot say, for decks."""

import re
import textwrap
from collections.abc import Sequence

from markupsafe import Markup

from analysis.compare.change import Comparison, SingleAudit
from analysis.present import plainly, wording

WIDTH, HEIGHT = 1200, 675

_EDGE = 56
_FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
_INK, _QUIET, _BLUE = "#0b0c0c", "#505a5f", "#1d70b8"
# where the picture of the grades goes, and what is beside it
_PICTURE_TOP, _PICTURE_WIDTH = 262, 560
_BESIDE_WIDTH, _BELOW_LETTERS = WIDTH - 2 * _EDGE - _PICTURE_WIDTH - 48, 135
_LINE = 1.36


def svg(
    examined: Comparison | SingleAudit,
    /,
    *,
    drawing: str | None,
    status: str,
    is_draft: bool,
    publishers: Sequence[str],
) -> str:
    """The slide as SVG, 1200 by 675.

    Args:
        examined: what was compared.
        drawing: the chart of its grades (`pictures.Picture.svg`); null if there is none.
        status: whether it is a draft, and as of when the data are (`wording.version`).
        is_draft: whether nobody has signed it off; then the slide says so in large letters.
        publishers: whose pages the figures are from, the closest to the inspectorate first.
    """
    lines = Markup("")
    y = 64
    lines += _lines(_wrapped(wording.title(examined), 75), y, size=28, weight="bold")
    about = _wrapped(wording.compared(examined), 110)
    lines += _lines(about, y + 34, size=19, colour=_QUIET)
    y += 58 + 26 * len(about)
    lines += _lines(_wrapped(wording.headline(examined), 78), y, size=27, weight="bold")
    x, top = _EDGE + _PICTURE_WIDTH + 48, _PICTURE_TOP + 24
    said = _beside(examined)
    is_compared = isinstance(examined, Comparison) and bool(said)
    below = [
        wording.limits(examined),
        *(
            [f"Ranges are {wording.level(examined.confidence)} intervals. {wording.ROUNDING}"]
            if is_compared
            else []
        ),
        f"{status} {wording.source(publishers)}",
    ]
    # from the bottom up: what stands there has its place, and the sentences beside the picture take what is left
    bottom = HEIGHT - 22
    for sentence in reversed(below):
        wrapped = _wrapped(sentence, _BELOW_LETTERS, most=2)
        bottom -= 22 * len(wrapped)
        lines += _lines(wrapped, bottom + 16, size=16, colour=_QUIET)
        bottom -= 4
    lines += _picture(drawing, bottom - _PICTURE_TOP - 12)
    size, gap = _fitting(said, bottom - top)
    for sentence in said:
        wrapped = _wrapped(sentence, _letters(size))
        lines += _lines(wrapped, top, size=size, x=x)
        top += round(size * _LINE) * len(wrapped) + gap
    mark = (
        Markup(
            '<g transform="rotate(-24 600 340)"><text x="600" y="410" text-anchor="middle" font-size="220" '
            'font-weight="bold" fill="#808080" fill-opacity=".15" font-family="{}">DRAFT</text></g>'
        ).format(_FONT)
        if is_draft
        else Markup("")
    )
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}">'
            '<rect width="{0}" height="{1}" fill="#ffffff"/><rect width="{0}" height="10" fill="{2}"/>{3}{4}</svg>'
        ).format(WIDTH, HEIGHT, _BLUE, lines, mark)
    )


def _letters(size: int) -> int:
    """How many letters of a size fit beside the picture."""
    return _BESIDE_WIDTH * 2 // size


def _fitting(sentences: list[str], height: int) -> tuple[int, int]:
    """The largest size of letters at which sentences fit into a height, and the gap between them."""
    for size in range(19, 11, -1):
        lines = sum(len(_wrapped(sentence, _letters(size))) for sentence in sentences)
        gap = round(size * 0.9)
        if lines * round(size * _LINE) + gap * (len(sentences) - 1) <= height:
            return size, gap
    return 12, 6


def description(examined: Comparison | SingleAudit, /) -> str:
    """The slide in words, to be put beside it where a picture can have a description."""
    parts = [wording.title(examined), wording.headline(examined), wording.grades_description(examined)]
    return plainly.harmless(" ".join([*(part.rstrip(".") + "." for part in parts), *_beside(examined)]))


def _beside(examined: Comparison | SingleAudit) -> list[str]:
    if isinstance(examined, SingleAudit):
        return [wording.audit_sentence(examined, period) for period in wording.periods(examined)]
    return [wording.change_sentence(examined, grade) for grade in wording.known_changes(examined)]


def _picture(drawing: str | None, height: int) -> Markup:
    if drawing is None:
        return Markup("")
    # who turns it into a picture has Arial or has not, and leaves out what it has no font for
    drawing = drawing.replace('font-family="Arial"', f'font-family="{_FONT}"')
    opening = re.match(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', drawing)
    if opening is None:
        return Markup("")
    return Markup(
        '<svg x="{}" y="{}" width="{}" height="{}" viewBox="{}" preserveAspectRatio="xMinYMin meet">'
    ).format(_EDGE - 6, _PICTURE_TOP, _PICTURE_WIDTH, height, opening.group(1)) + Markup(
        drawing[opening.end() :]
    )


def _wrapped(text: str, width: int, *, most: int = 12) -> list[str]:
    return textwrap.wrap(" ".join(plainly.harmless(text).split()), width, max_lines=most, placeholder=" …")


def _lines(
    lines: Sequence[str], y: int, *, size: int, weight: str = "normal", colour: str = _INK, x: int = _EDGE
) -> Markup:
    drawn = Markup("").join(
        Markup('<tspan x="{}" dy="{}">{}</tspan>').format(x, 0 if number == 0 else round(size * _LINE), line)
        for number, line in enumerate(lines)
    )
    return Markup('<text y="{}" font-family="{}" font-size="{}" font-weight="{}" fill="{}">{}</text>').format(
        y, _FONT, size, weight, colour, drawn
    )
