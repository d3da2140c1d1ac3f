"""A report on one slide: what was graded, what moved, how sure, and what it cannot say, for decks."""

import re
import textwrap

from markupsafe import Markup

from analysis.compare.change import Comparison, SingleAudit
from analysis.present import plainly, wording

WIDTH, HEIGHT = 1200, 675

_EDGE = 56
_FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
_INK, _QUIET, _BLUE = "#0b0c0c", "#505a5f", "#1d70b8"
# where the picture of the grades goes, and what is beside it
_PICTURE_TOP, _PICTURE_WIDTH = 262, 560


def svg(examined: Comparison | SingleAudit, /, *, drawing: str | None, status: str, is_draft: bool) -> str:
    """The slide as SVG, 1200 by 675.

    Args:
        examined: what was compared.
        drawing: the chart of its grades (`pictures.Picture.svg`); null if there is none.
        status: whether it is a draft, and as of when the data are (`wording.version`).
        is_draft: whether nobody has signed it off; then the slide says so in large letters.
    """
    lines = Markup("")
    y = 64
    lines += _lines(wording.title(examined), y, size=28, width=75, weight="bold")
    lines += _lines(wording.compared(examined), y + 34, size=19, width=110, colour=_QUIET)
    lines += _lines(wording.headline(examined), y + 84, size=27, width=78, weight="bold")
    lines += _picture(drawing)
    beside = _beside(examined)
    x, top = _EDGE + _PICTURE_WIDTH + 48, _PICTURE_TOP + 24
    for sentence in beside:
        wrapped = _wrapped(sentence, 47)
        lines += _lines(sentence, top, size=19, width=47, x=x)
        top += 26 * len(wrapped) + 18
    lines += _lines(wording.LIMITS, HEIGHT - 74, size=16, width=135, colour=_QUIET)
    lines += _lines(
        f"{status} HMICFRS and pages that quote it; the report has each page.",
        HEIGHT - 26,
        size=16,
        width=150,
        colour=_QUIET,
    )
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


def description(examined: Comparison | SingleAudit, /) -> str:
    """The slide in words, to be put beside it where a picture can have a description."""
    parts = [wording.title(examined), wording.headline(examined), wording.grades_description(examined)]
    return plainly.harmless(" ".join([*(part.rstrip(".") + "." for part in parts), *_beside(examined)]))


def _beside(examined: Comparison | SingleAudit) -> list[str]:
    if isinstance(examined, SingleAudit):
        return [wording.audit_sentence(examined, period) for period in wording.periods(examined)]
    return [wording.change_sentence(examined, grade) for grade in wording.known_changes(examined)]


def _picture(drawing: str | None) -> Markup:
    if drawing is None:
        return Markup("")
    # who turns it into a picture has Arial or has not, and leaves out what it has no font for
    drawing = drawing.replace('font-family="Arial"', f'font-family="{_FONT}"')
    opening = re.match(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', drawing)
    if opening is None:
        return Markup("")
    return Markup(
        '<svg x="{}" y="{}" width="{}" height="{}" viewBox="{}" preserveAspectRatio="xMinYMin meet">'
    ).format(_EDGE - 6, _PICTURE_TOP, _PICTURE_WIDTH, HEIGHT - 110 - _PICTURE_TOP, opening.group(1)) + Markup(
        drawing[opening.end() :]
    )


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(plainly.harmless(text).split()), width, max_lines=12, placeholder=" …")


def _lines(
    text: str, y: int, *, size: int, width: int, weight: str = "normal", colour: str = _INK, x: int = _EDGE
) -> Markup:
    drawn = Markup("").join(
        Markup('<tspan x="{}" dy="{}">{}</tspan>').format(x, 0 if number == 0 else round(size * 1.36), line)
        for number, line in enumerate(_wrapped(text, width))
    )
    return Markup('<text y="{}" font-family="{}" font-size="{}" font-weight="{}" fill="{}">{}</text>').format(
        y, _FONT, size, weight, colour, drawn
    )
