"""Some of the audits, chosen by the words of this field; a word that is in no list is refused."""

import re
from collections.abc import Container, Iterable, Sequence
from typing import Any

import polars as pl

from analysis import vocabulary
from analysis.compare.graded import SelectionError, checked_audits
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
    """The audits that have all that is asked for; null or empty text asks for nothing.

    Of several words any will do: a sequence of them, or a text with commas between. For anything
    else the table is a polars frame: `audits.filter(pl.col("n_cases") > 30)`.

    Args:
        audits: one row per audit (schema `Audit`), as from `load_audits`.
        force: slug, name or alias of a force, one of `analysis.forces`, or several.
        kind: kind of inspection: `initial`, `review`, `re-inspection`, `update`, `thematic`,
            `topic-judgments`, or several.
        scale: set of grades, for example "three grades", or several.
        area: area of child protection as printed, or `overall`, or several.
        graded_by: `inspectors`, `inspectors only` or `force`, or several.
        first: the earliest year or month of fieldwork (else publication), as "2021" or "2021-04".
        last: the latest, included. A bare year may be any month of it.

    Returns:
        The rows in the order of `audits`, with the same columns; none if no audit has it all.

    Raises:
        GivenError: if `audits` is no table of audits.
        VocabularyError: if no force is called that; the message names near matches.
        SelectionError: if another word is in no list, naming near matches; if a date is none, or the
            period ends before it begins.

    Example:
        >>> import analysis
        >>> chosen = analysis.select_audits(analysis.load_audits(), force="Warwickshire Police", kind="initial, review")
        >>> chosen.select("inspection_id", "n_cases", "n_good").rows()
        [('warwickshire-2022-02-initial', 74, 23), ('warwickshire-2023-02-review', 34, 9)]
    """
    checked_audits(audits)
    asked = {
        "kind": (kind, vocabulary.KINDS),
        "scale": (scale, vocabulary.SCALES),
        "area": (area, vocabulary.AREAS),
        "graded_by": (graded_by, vocabulary.GRADERS),
    }
    wanted = [
        pl.col(column).is_in(_known(column, chosen, known))
        for column, (words, known) in asked.items()
        if (chosen := _several(column, words, known)) is not None
    ]
    names = _several("force", force, vocabulary.forces())
    if names is not None:
        wanted.append(pl.col("force").is_in([vocabulary.force(name).slug for name in names]))
    wanted.append(in_period(first, last))
    return audits.filter(*wanted)


def in_period(first: str | None, last: str | None, /) -> pl.Expr:
    """Whether an audit lies from `first` to `last`, both included, by its fieldwork (else publication).

    A bare year of either side may be any month of it. An audit without a date lies in no period.

    Args:
        first: the earliest year or month, as "2021" or "2021-04"; null or empty for no limit.
        last: the latest.

    Raises:
        SelectionError: if one is no year or month, or the period ends before it begins.

    Example:
        >>> dates = pl.DataFrame({"fieldwork": ["2021", "2022-02", None], "published": ["2022", None, "2021-06"]})
        >>> dates.select(within=in_period("2021-04", "2021"))["within"].to_list()
        [True, False, True]
    """
    for name, date in (("first", first), ("last", last)):
        if date in (None, ""):
            continue
        if not isinstance(date, str) or not re.fullmatch(r"[0-9]{4}(-(0[1-9]|1[0-2]))?", date):
            told = f'"{date}"' if isinstance(date, str) else repr(date)
            raise SelectionError(f'{name} is {told}, but must be a year or a month: "2021" or "2021-04".')
    if first and last and first[: len(last)] > last[: len(first)]:
        raise SelectionError(
            f"The period ends in {last}, before it begins in {first}: exchange first and last."
        )
    dated = pl.coalesce("fieldwork", "published")
    within = pl.lit(value=True)
    for limit, is_first in ((first, True), (last, False)):
        if limit:
            # cut to what both have: all months of a year lie in that year
            length = pl.min_horizontal(dated.str.len_chars(), pl.lit(len(limit), dtype=pl.UInt32))
            ours, theirs = dated.str.head(length), pl.lit(limit).str.head(length)
            within &= ours >= theirs if is_first else ours <= theirs
    return within


def _several(name: str, asked: object, known: Container[str]) -> list[Any] | None:
    """What was asked for one by one; null if nothing was. A name may itself have a comma in it."""
    if isinstance(asked, str):
        text = asked.strip()
        # "good, adequate, inadequate" is one scale, "London, City of" one force
        parts = [text] if text in known else [part.strip() for part in text.split(",")]
        return [part for part in parts if part] or None
    if asked is None:
        return None
    if isinstance(asked, Force) or not isinstance(asked, Iterable):
        return [asked]
    found = [one.strip() if isinstance(one, str) else one for one in asked]
    if not found:
        raise SelectionError(f"`{name}` names nothing: leave it out, or name at least one.")
    return found


def _known(column: str, words: list[Any], known: Iterable[str]) -> list[str]:
    choices = list(known)
    for word in words:
        if word not in choices:
            noun = "grader" if column == "graded_by" else column
            told = f'"{word}"' if isinstance(word, str) else repr(word)
            raise SelectionError(f"No {noun} is called {told}: {vocabulary.near_words(word, choices)}")
    return words
