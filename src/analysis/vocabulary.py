"""The closed lists of this field: grades, scales, kinds of inspection, who graded, areas, forces.

The 43 forces are data (`data/raw/forces.csv`); everything else is written here once, in order.
"""

import csv
import difflib
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from analysis import paths


class VocabularyError(Exception):
    """A word that is in none of the lists. The message names the near matches."""


class ForcesError(VocabularyError):
    """`forces.csv` cannot be used. The message says where and what to do."""


class Grade(StrEnum):
    """Case grades, worst to best. `adequate` exists on the four-grade scale of 2014-15 only."""

    INADEQUATE = "inadequate"
    REQUIRES_IMPROVEMENT = "requires improvement"
    ADEQUATE = "adequate"
    GOOD = "good"

    @property
    def column(self) -> str:
        """The grade as part of a column or measure name: `requires_improvement`."""
        return self.value.replace(" ", "_")

    @property
    def is_below_good(self) -> bool:
        """Whether inspectors' phrase "below good" counts this grade; `adequate` is not counted."""
        return self in (Grade.INADEQUATE, Grade.REQUIRES_IMPROVEMENT)


@dataclass(frozen=True)
class Scale:
    """A set of grades that one audit used. Audits on different scales are not comparable."""

    name: str
    grades: tuple[Grade, ...]
    explanation: str


THREE_GRADES = Scale(
    "three grades",
    (Grade.INADEQUATE, Grade.REQUIRES_IMPROVEMENT, Grade.GOOD),
    "good, requires improvement, inadequate: used from 2016 to February 2024",
)
FOUR_GRADES = Scale(
    "four grades",
    (Grade.INADEQUATE, Grade.REQUIRES_IMPROVEMENT, Grade.ADEQUATE, Grade.GOOD),
    "good, adequate, requires improvement, inadequate: used in 2014 and 2015",
)
ADEQUATE_IN_THE_MIDDLE = Scale(
    "good, adequate, inadequate",
    (Grade.INADEQUATE, Grade.ADEQUATE, Grade.GOOD),
    "good, adequate, inadequate: as printed in the 2015 thematic report",
)
TOPIC_JUDGMENTS = Scale(
    "topic judgments",
    (),
    "since February 2024 inspectors judge five topics and do not publish case grades",
)
SCALES: Mapping[str, Scale] = {
    scale.name: scale for scale in (THREE_GRADES, FOUR_GRADES, ADEQUATE_IN_THE_MIDDLE, TOPIC_JUDGMENTS)
}

# the two grades whose shares are compared and followed: the ends of every scale
COMPARED = (Grade.GOOD, Grade.INADEQUATE)

FIRST_MONTH_OF_THREE_GRADES = "2016-01"
FIRST_MONTH_OF_TOPIC_JUDGMENTS = "2024-02"


class Role(StrEnum):
    """What a kind of inspection can be in a comparison."""

    FULL = "full inspection"
    FOLLOW_UP = "follow-up"
    NEITHER = "neither"


@dataclass(frozen=True)
class Kind:
    """A kind of inspection: `slug` in ids and columns, `printed` as in the raw files, `noun` in sentences."""

    slug: str
    printed: str
    noun: str
    role: Role


KINDS: Mapping[str, Kind] = {
    kind.slug: kind
    for kind in (
        Kind("initial", "initial inspection", "inspection", Role.FULL),
        Kind("review", "post-inspection review", "post-inspection review", Role.FOLLOW_UP),
        Kind("re-inspection", "re-inspection", "re-inspection", Role.FOLLOW_UP),
        Kind("update", "quarterly update", "quarterly update", Role.NEITHER),
        Kind("thematic", "thematic inspection", "thematic inspection", Role.NEITHER),
        Kind("topic-judgments", "inspection (2024 method)", "inspection by the 2024 method", Role.NEITHER),
    )
}
KIND_SLUG_OF_PRINTED: Mapping[str, str] = {kind.printed: kind.slug for kind in KINDS.values()}

# Early reports print force and inspectors on the same files, and a further set that only
# inspectors saw: three different sets of grades, which must never be added or compared.
GRADERS: Mapping[str, str] = {
    "inspectors": "by inspectors",
    "inspectors only": "by inspectors alone, on further cases that they chose",
    "force": "by the force itself",
}

OVERALL = "overall"
# As printed. Areas that look alike are kept apart until a report shows they are the same.
AREAS: tuple[str, ...] = (
    OVERALL,
    "child protection investigations",
    "child sexual exploitation",
    "children at high risk of sexual exploitation",
    "children in residential care",
    "children missing from home",
    "criminal and sexual exploitation of children",
    "missing children",
    "online child sexual abuse and exploitation",
    "online child sexual exploitation",
)

SOURCE_KINDS: Mapping[str, str] = {
    "primary": "the inspectorate's own page",
    "official": "an official body",
    "press": "a press or other page",
}

FINDING_STATUSES: tuple[str, ...] = ("improved", "still a concern", "needs improvement", "recommendation")

# The 2015 thematic reports give one set of figures for several forces together.
GROUPS: Mapping[str, str] = {
    "National (8 forces)": "national-8-forces",
    "National, 8 forces": "national-8-forces",
    "National (6 forces)": "national-6-forces",
}
NAME_OF_GROUP: Mapping[str, str] = {
    "national-8-forces": "8 forces together",
    "national-6-forces": "6 forces together",
}


@dataclass(frozen=True)
class Force:
    """One of the 43 territorial forces of England and Wales. `slug` is its key everywhere."""

    slug: str
    ons_code: str
    short_name: str
    full_name: str
    ons_name: str
    aliases: tuple[str, ...]
    nation: str
    region: str

    @property
    def names(self) -> tuple[str, ...]:
        """Every name the force is known by, slug included."""
        return (self.slug, self.short_name, self.full_name, self.ons_name, *self.aliases)


class Forces:
    """The list of forces, in alphabetical order of slug, with tolerant and strict look-up.

    Each force is an attribute too, by its slug with underscores: `forces.west_midlands`. Any of its
    names will do as a key, `forces["West Midlands Police"]`, and tells whether there is such a
    force: `"west-midlands" in forces`.
    """

    def __init__(self, forces: Iterable[Force]):
        self._by_slug = {force.slug: force for force in sorted(forces, key=lambda force: force.slug)}
        self._by_key: dict[str, Force] = {}
        for force in self:
            for name in force.names:
                key = _match_key(name)
                other = self._by_key.setdefault(key, force)
                if other is not force:
                    raise ForcesError(
                        f'forces.csv gives the name "{name}" to both {other.slug} and {force.slug}: '
                        "keep it with one of them."
                    )

    def __iter__(self) -> Iterator[Force]:
        return iter(self._by_slug.values())

    def __len__(self) -> int:
        return len(self._by_slug)

    def __contains__(self, name: object) -> bool:
        return name in self._by_slug.values() if isinstance(name, Force) else self._found(name) is not None

    def __getitem__(self, name: str, /) -> Force:
        return self.named(name)

    def __getattr__(self, name: str) -> Force:
        # what looks into any object for special names must not be told of forces
        if name.startswith("_"):
            raise AttributeError(name)
        force = self.find(name.replace("_", "-"))
        if force is None:
            raise AttributeError(f'No force is called "{name}". {self.suggestion(name)}')
        return force

    def __dir__(self) -> list[str]:
        return [*(slug.replace("-", "_") for slug in self._by_slug), *super().__dir__()]

    def __repr__(self) -> str:
        return "\n".join(f"{force.slug}: {force.full_name}" for force in self)

    @property
    def slugs(self) -> tuple[str, ...]:
        """All slugs, in alphabetical order."""
        return tuple(self._by_slug)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of every force, slugs and aliases included."""
        return tuple(name for force in self for name in force.names)

    def find(self, name: str, /) -> Force | None:
        """The force with this slug, name or alias, in any case or spelling of & and dashes; else None.

        Raises:
            VocabularyError: if `name` is no text.
        """
        if not isinstance(name, str):
            raise VocabularyError(
                f'A force is named by a text, for example "warwickshire", but this is {briefly(name)}.'
            )
        return self._found(name)

    def _found(self, name: object) -> Force | None:
        return self._by_key.get(_match_key(name)) if isinstance(name, str) else None

    def named(self, name: str, /) -> Force:
        """The force with this slug, name or alias.

        Raises:
            VocabularyError: if there is none, the message naming near matches, or `name` is no text.
        """
        force = self.find(name)
        if force is None:
            raise VocabularyError(f'No force is called "{name}". {self.suggestion(name)}')
        return force

    def near(self, name: str, /, *, most: int = 3) -> tuple[Force, ...]:
        """Forces whose names resemble `name`, likeliest first; empty if none does."""
        key = _match_key(name)
        found: list[Force] = []
        if key:
            # "Yorkshire" is part of three names and must suggest them all, but match none
            found += [force for known, force in self._by_key.items() if key in known or known in key]
            for known in difflib.get_close_matches(key, self._by_key, n=most, cutoff=0.6):
                found.append(self._by_key[known])
        return tuple(dict.fromkeys(found))[:most]

    def suggestion(self, name: str, /) -> str:
        """What to do about an unknown name, in one sentence."""
        slugs = [force.slug for force in self.near(name)]
        if slugs:
            return f"Did you mean {_either(slugs)}?"
        return "The 43 forces are listed in data/raw/forces.csv."


def force(name: str | Force, /) -> Force:
    """The force called `name`: a slug, a name or an alias as in `forces.csv`. A force is what it is.

    Raises:
        VocabularyError: if no force is called that, the message naming near matches, or `name` is no text.

    Example:
        >>> force("Heddlu Gwent").slug
        'gwent'
        >>> force("Sufolk")
        Traceback (most recent call last):
        analysis.vocabulary.VocabularyError: No force is called "Sufolk". Did you mean suffolk or norfolk?
    """
    return name if isinstance(name, Force) else forces().named(name)


def grade(word: str | Grade, /, *, among: Iterable[Grade] = COMPARED) -> Grade:
    """The grade called `word`, in any case, or as the measure of its share: "good", "share_good".

    Args:
        word: the name of a grade, or a grade.
        among: the grades that may be meant; by default the two whose shares are compared.

    Raises:
        VocabularyError: if it is none of them; the message names near matches.

    Example:
        >>> grade("Share_Good").value
        'good'
        >>> grade("goood")
        Traceback (most recent call last):
        analysis.vocabulary.VocabularyError: "goood" is no grade that is compared: did you mean good?
    """
    known = [one.value for one in among]
    said = word.strip().casefold().removeprefix("share_").replace("_", " ") if isinstance(word, str) else word
    if said not in known:
        which = " that is compared" if tuple(known) == COMPARED else ""
        told = f'"{word}"' if isinstance(word, str) else briefly(word)
        raise VocabularyError(f"{told} is no grade{which}: {near_words(said, known)}")
    return Grade(said)


def forces(raw: Path | None = None, /) -> Forces:
    """The 43 forces of `forces.csv` in `raw` (the project's own by default)."""
    path = (raw if raw is not None else paths.project().raw) / FORCES_FILE
    try:
        return _read_forces(path, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise ForcesError(
            f"{path.name} is missing from data/raw: restore it from version control."
        ) from error


FORCES_FILE = "forces.csv"
_FORCE_COLUMNS = ("slug", "ons_code", "short_name", "full_name", "ons_name", "aliases", "nation", "region")
_FORMS = {"slug": r"[a-z]+(-[a-z]+)*", "ons_code": r"[EW][0-9]{8}"}


@lru_cache(maxsize=8)
def _read_forces(path: Path, _changed: int, /) -> Forces:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *records = csv.reader(file, strict=True)
    except UnicodeDecodeError as error:
        raise ForcesError(f"{path.name} is not UTF-8 text: save it as UTF-8.") from error
    except csv.Error as error:
        raise ForcesError(f"{path.name} is not readable as CSV ({error}): restore it.") from error
    except OSError as error:
        raise ForcesError(f"{path.name} cannot be read ({error.strerror}): restore it.") from error
    except ValueError as error:
        raise ForcesError(f"{path.name} is empty: restore it from version control.") from error
    if tuple(header) != _FORCE_COLUMNS:
        raise ForcesError(
            f"{path.name}, row 1: the columns must be {', '.join(_FORCE_COLUMNS)}: "
            "restore the header, or the file from version control."
        )
    found: list[Force] = []
    taken: dict[str, set[str]] = {name: set() for name in _FORMS}
    for number, record in enumerate(records, start=2):
        if not record:
            continue
        row = dict(zip(_FORCE_COLUMNS, record, strict=False))
        if len(record) != len(_FORCE_COLUMNS) or not all(row[name] for name in row if name != "aliases"):
            raise ForcesError(
                f"{path.name}, row {number}: a force needs one value for each of the "
                f"{len(_FORCE_COLUMNS)} columns: mend the row."
            )
        for name, form in _FORMS.items():
            if not re.fullmatch(form, row[name]) or row[name] in taken[name]:
                raise ForcesError(
                    f'{path.name}, row {number}: the {name} "{row[name]}" is malformed or given twice: mend it.'
                )
            taken[name].add(row[name])
        # a bracketed note, as in "(en dash)", is for readers of the file and no part of the alias
        aliases = [re.sub(r"\s*\([^)]*\)", "", alias).strip() for alias in row.pop("aliases").split(";")]
        force = Force(**row, aliases=tuple(alias for alias in aliases if alias))
        if not all(_match_key(name) for name in force.names):
            raise ForcesError(
                f"{path.name}, row {number}: a name says nothing but police, constabulary or service: mend it."
            )
        found.append(force)
    if not found:
        raise ForcesError(f"{path.name} lists no force: restore it from version control.")
    return Forces(found)


def listing(forces: Iterable[Force], /) -> str:
    """These forces as the text of a `forces.csv`."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_FORCE_COLUMNS)
    for force in forces:
        said = {**asdict(force), "aliases": ";".join(force.aliases)}
        rows.writerow(said[name] for name in _FORCE_COLUMNS)
    return text.getvalue()


def _match_key(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    text = re.sub(r"[‐-―−]", "-", text).replace("&", " and ").replace("-", " ")
    last, comma, first = text.partition(",")
    if comma and first.strip():
        text = f"{first} {last}"
    text = re.sub(r"\b(police|constabulary|service)\b", " ", text)
    words = text.split()
    if words[:1] == ["the"]:
        words = words[1:]
    return " ".join(words)


def near_words(word: object, known: Iterable[str], /, *, most: int = 3) -> str:
    """A question that names the known words most like `word`, or all of them if none is or it is no text."""
    choices = list(known)
    close = difflib.get_close_matches(word, choices, n=most, cutoff=0.5) if isinstance(word, str) else []
    return f"did you mean {_either(close)}?" if close else f"use one of: {', '.join(choices)}"


def briefly(given: object, /) -> str:
    """What was given in place of something else, in few words: a table would fill the screen."""
    shown, kind = repr(given), type(given).__name__
    # what has no text of its own shows where it lies in memory
    if len(shown) <= _LONGEST_SHOWN and "\n" not in shown and not shown.startswith("<"):
        return shown
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"


_LONGEST_SHOWN = 40


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
