"""Some of the audits, chosen by the words of this field; a word that is in no list is refused."""

import re
from collections.abc import Iterable, Sequence

import polars as pl

from analysis import vocabulary
from analysis.compare.graded import SelectionError
from analysis.vocabulary import Force

Words = str | Sequence[str]


def select_audits(
    audits: pl.DataFrame,
    /,
    *,
    force: str | Force | Sequence[str | Force] | None = None,
    kind: Words | None = None,
    scale: Words | None = None,
    area: Words | None = None,
    graded_by: Words | None = None,
    first: str | None = None,
    last: str | None = None,
) -> pl.DataFrame:
    """The audits that have all that is asked for; null asks for nothing.

    For anything else the table is a polars frame: `audits.filter(pl.col("n_cases") > 30)`.

    Args:
        audits: one row per audit (schema `Audit`), as from `load_audits`.
        force: slug, name or alias of a force, one of `analysis.forces`, or several.
        kind: kind of inspection: `initial`, `review`, `re-inspection`, `update`, `thematic`,
            `topic-judgments`, or several.
        scale: set of grades, for example "three grades", or several.
        area: area of child protection as printed, or `overall`, or several.
        graded_by: `inspectors`, `inspectors only` or `force`, or several.
        first: the earliest year or month of fieldwork (else publication), as "2021" or "2021-04".
        last: the latest, included.

    Returns:
        The rows in the order of `audits`, with the same columns; none if no audit has it all.

    Raises:
        VocabularyError: if no force is called that; the message names near matches.
        SelectionError: if another word is in no list, naming near matches, or a date is none.
    """
    asked = {
        "kind": (kind, vocabulary.KINDS),
        "scale": (scale, vocabulary.SCALES),
        "area": (area, vocabulary.AREAS),
        "graded_by": (graded_by, vocabulary.GRADERS),
    }
    wanted = [
        pl.col(column).is_in(_known(column, words, known))
        for column, (words, known) in asked.items()
        if words is not None
    ]
    if force is not None:
        names = [force] if isinstance(force, str | Force) else list(force)
        slugs = [one.slug if isinstance(one, Force) else vocabulary.force(one).slug for one in names]
        wanted.append(pl.col("force").is_in(slugs))
    dated = pl.coalesce("fieldwork", "published")
    for name, date in (("first", first), ("last", last)):
        if date is None:
            continue
        if not re.fullmatch(r"(19|20)\d\d(-(0[1-9]|1[0-2]))?", date):
            raise SelectionError(
                f'`{name}` is "{date}", but must be a year or month, as "2021" or "2021-04".'
            )
        # cut to what was asked: all months of a year lie in that year
        length = pl.min_horizontal(dated.str.len_chars(), pl.lit(len(date)))
        both = dated.str.slice(0, length), pl.lit(date).str.slice(0, length)
        wanted.append(both[0] >= both[1] if name == "first" else both[0] <= both[1])
    return audits.filter(*wanted) if wanted else audits


def _known(column: str, words: Words, known: Iterable[str]) -> list[str]:
    asked = [words] if isinstance(words, str) else list(words)
    for word in asked:
        if word not in known:
            noun = "grader" if column == "graded_by" else column
            raise SelectionError(f'No {noun} is called "{word}": {vocabulary.near_words(word, known)}')
    return asked
