"""A report in plain text, for an e-mail: what was graded, what moved, how sure, what it cannot say, where from."""

import textwrap
from collections.abc import Sequence

from analysis.compare.change import Comparison, SingleAudit
from analysis.present import plainly, wording

_WIDTH = 72


def text(
    examined: Comparison | SingleAudit,
    /,
    *,
    status: str,
    is_draft: bool,
    publishers: Sequence[str],
) -> str:
    """The message: its first line is made to be the subject. Lines have 72 letters at most, but for long words.

    Args:
        examined: what was compared.
        status: whether it is a draft, and as of when the data are (`wording.version`).
        is_draft: whether nobody has signed it off.
        publishers: whose pages the figures are from.
    """
    title = wording.title(examined)
    parts = [
        f"Draft: {title}" if is_draft else title,
        wording.compared(examined),
        wording.headline(examined),
        *wording.summary(examined),
    ]
    if isinstance(examined, Comparison):
        grades = wording.known_changes(examined)
        parts += [wording.change_sentence(examined, grade) for grade in grades]
        parts += [wording.interval_sentence(examined.confidence)] if grades else []
    parts.append(wording.ROUNDING)
    if publishers:
        parts.append(f"{wording.source(publishers)} The report has each page.")
    parts.append(status)
    return "\n\n".join(_wrapped(plainly.harmless(part)) for part in parts) + "\n"


def _wrapped(part: str) -> str:
    return textwrap.fill(" ".join(part.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)
