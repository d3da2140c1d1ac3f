"""`schedule.toml`: which reports are due when, how they are made and who is told; checked, one entry per report."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from analysis import paths, vocabulary
from analysis.publish import record
from analysis.publish.record import INTERACTIVE, PDF
from analysis.schedule import moments, places
from analysis.schedule.moments import Blackout, Calendar, Line, MomentError
from analysis.schedule.places import Key

FILE = "schedule.toml"
ALL = "all"
LONDON = "Europe/London"

# of one force, and so no setting of several
_OF_ONE_FORCE = ("baseline", "follow_up")
_SECRET = re.compile(r"pass(word|wd)|secret|token|webhook_url|api_?key", re.IGNORECASE)
_LONGEST = 300
_LARGEST = 1_000_000


class ScheduleError(Exception):
    """A `schedule.toml` that cannot be used. The message says where, what is wrong and what to do."""


def _listed(said: object) -> object:
    """One text as a list of one, so that both may be written."""
    if not isinstance(said, str | list):
        raise ValueError("should be a text, or a list of texts")
    return [said] if isinstance(said, str) else said


def _plain(said: str) -> str:
    if not said.strip() or len(said) > _LONGEST or not said.isprintable():
        raise ValueError(f"should be a text of one line and at most {_LONGEST} letters")
    return said


def _address(said: str) -> str:
    if (
        not re.fullmatch(r"[!-~]+@[!-~]+", said)
        or re.search(r"[\s,;<>\"()\[\]]", said)
        or said.count("@") > 1
    ):
        raise ValueError("should be an e-mail address, without a name around it")
    return said


def _link(said: str) -> str:
    if not re.fullmatch(r"(https?|file)://[!-~]+", said) or re.search(r"[\s\"<>]|://[^/]*@", said):
        raise ValueError("should be an address that begins with https://, without a password in it")
    return said.rstrip("/")


def _login(said: str) -> str:
    if not said.isascii():
        raise ValueError("should have no letters but those of ASCII, as mail servers take no others")
    return said


def _absolute(said: str) -> str:
    if not Path(said).is_absolute():
        raise ValueError("should be a whole path, from the root on")
    return said


def _day(said: object) -> object:
    # pydantic would read a number or a text as a date
    if not isinstance(said, date):
        raise ValueError(
            "should be a date or a time without quotes, such as 2027-03-25 or 2027-03-25T09:30:00"
        )
    return said


def _one_of(words: Sequence[str], said: object) -> object:
    if said not in words:
        raise ValueError(f"should be one of: {', '.join(words)}")
    return said


def _value(said: object) -> object:
    if not isinstance(said, str | bool | int | float):
        raise ValueError("should be a text, a number, true or false")
    return said


_Text = Annotated[str, AfterValidator(_plain)]
_Texts = Annotated[list[_Text], BeforeValidator(_listed), Field(min_length=1, max_length=100)]
Address = Annotated[str, AfterValidator(_address)]
_Addresses = Annotated[list[Address], BeforeValidator(_listed)]
_Day = Annotated[Any, BeforeValidator(_day)]
_Value = Annotated[Any, BeforeValidator(_value)]
_Format = Annotated[str, BeforeValidator(partial(_one_of, (PDF, INTERACTIVE)))]

FAILURE, RECOVERY, CHANGED = "failure", "recovery", "changed figures"
_News = Annotated[str, BeforeValidator(partial(_one_of, (FAILURE, RECOVERY, CHANGED)))]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Retention(_Table):
    """How long past runs of a report are kept: the last so many, and those of so many days; null for no limit."""

    runs: int | None = Field(default=None, ge=1, le=1_000_000)
    days: int | None = Field(default=None, ge=1, le=36_500)


class Settings(_Table):
    """What `[defaults]`, a group and a force may say; a force's own word counts most, then its group's."""

    cron: _Texts | None = None
    timezone: _Text | None = None
    parameters: dict[str, _Value] | None = None
    formats: list[_Format] | None = None
    publish: bool | None = None
    retries: int | None = Field(default=None, ge=0, le=20)
    retry_after: int | None = Field(default=None, ge=0, le=604_800)
    deadline: float | None = Field(default=None, ge=1, le=86_400)
    retention: Retention | None = None
    notify: _Addresses | None = None
    not_before: _Day | None = None


class Group(Settings):
    """Settings of several forces, or of `all` that no other group names."""

    forces: _Texts


class BlackoutTable(_Table):
    """A time in which nothing is run, for all or for some."""

    start: _Day
    end: _Day
    reason: _Text
    forces: _Texts | None = None


class Release(_Table):
    """The release calendar: what holds for every report."""

    not_before: _Day | None = None
    blackout: list[BlackoutTable] = Field(default=[], max_length=1000)


class Mail(_Table):
    """The mail server. Its password is no part of the schedule: see `credentials`."""

    host: _Text
    port: int = Field(default=587, ge=1, le=65_535)
    security: Annotated[str, BeforeValidator(partial(_one_of, ("starttls", "tls")))] = "starttls"
    sender: Address
    user: Annotated[_Text, AfterValidator(_login)] | None = None
    authority: Annotated[_Text, AfterValidator(_absolute)] | None = Field(
        default=None,
        description="File with the certificate of the authority that the server's own is signed by.",
    )


class Notify(_Table):
    """Who is told of what, and how. The webhook's address is no part of the schedule: see `credentials`."""

    on: list[_News] = [FAILURE, RECOVERY, CHANGED]
    link: Annotated[str, AfterValidator(_link)] | None = None
    mail: Mail | None = None
    webhook: Annotated[str, BeforeValidator(partial(_one_of, ("slack", "teams")))] | None = None


class _File(_Table):
    defaults: Settings = Settings()
    groups: dict[str, Group] = {}
    forces: dict[str, Settings] = {}
    release: Release = Release()
    notify: Notify = Notify()


# of reports that are in no schedule too
RETENTION = Retention(runs=100)

_DEFAULTS = Settings(
    timezone=LONDON,
    parameters={},
    formats=[],
    publish=False,
    retries=2,
    retry_after=600,
    deadline=300.0,
    retention=RETENTION,
    notify=[],
)


@dataclass(frozen=True)
class Entry:
    """One report and its rhythm.

    Attributes:
        name: slug of the force, or `data-quality`.
        lines: cron lines; a moment of any of them makes it due.
        calendar: when it may not be run.
        parameters: for the notebook, not yet held against it.
        formats: what it is to have besides the usual: `record.PDF`, `record.INTERACTIVE`.
        publish: whether it is published without anybody having read it.
        retries: how often it is tried again if it fails.
        retry_after: how long after a failure.
        deadline: seconds that it may take.
        retention: which past runs are kept.
        notify: addresses that are told.
    """

    name: str
    lines: tuple[Line, ...]
    calendar: Calendar
    parameters: Mapping[str, str | bool | int | float]
    formats: frozenset[str]
    publish: bool
    retries: int
    retry_after: timedelta
    deadline: float
    retention: Retention
    notify: tuple[str, ...]

    @property
    def timezone(self) -> str:
        """The name of the time zone that its hours are of."""
        return self.lines[0].zone


@dataclass(frozen=True)
class Rota:
    """All entries, in alphabetical order of name, and who is told of them."""

    entries: tuple[Entry, ...]
    notify: Notify

    def chosen(self, names: Sequence[str], /) -> tuple[Entry, ...]:
        """The entries of some reports; all of them if none is named.

        Raises:
            ScheduleError: if one is not in the schedule.
        """
        known = [entry.name for entry in self.entries]
        for name in names:
            if name not in known:
                raise ScheduleError(f"{name} is not in {FILE}: {vocabulary.near_words(name, known)}")
        return tuple(entry for entry in self.entries if not names or entry.name in names)


def read(project: paths.Project, path: Path | None = None, /) -> Rota:
    """The schedule of a project, or the one in another file.

    Raises:
        ScheduleError: if there is none, or it cannot be used as it is; the message is one sentence.
        ForcesError: if the list of forces cannot be read.
    """
    remedy = (
        "put one into the folder of the project, as docs/schedule.md describes"
        if path is None
        else "name another"
    )
    path = project.root / FILE if path is None else path
    try:
        # what is no file can be without end
        if path.exists() and not path.is_file():
            raise ScheduleError(f"{path.name} is no file: {remedy}.")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise ScheduleError(f"{path.name} is missing: {remedy}.") from error
    except OSError as error:
        raise ScheduleError(f"{path.name} cannot be read ({error.strerror}): mend that.") from error
    if len(content) > _LARGEST:
        raise ScheduleError(f"{path.name} has more than {_LARGEST // 1_000_000} MB: {remedy}.")
    return parse(content, vocabulary.forces(project.raw), name=path.name)


def parse(content: bytes, forces: vocabulary.Forces, /, *, name: str = FILE) -> Rota:
    """The schedule that a file holds.

    Raises:
        ScheduleError: as `read`.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ScheduleError(f"{name}, line {line}, is not UTF-8 text: save the file as UTF-8.") from error
    return _Reader(name, text, forces).rota()


def _shown(said: str) -> str:
    """What a file says, on one line and without what a terminal would not show, or be steered by."""
    return "".join(char if char.isprintable() else f"[U+{ord(char):04X}]" for char in " ".join(said.split()))


class _Reader:
    """One file on its way to entries; it knows on which line a complaint has its place."""

    def __init__(self, name: str, text: str, forces: vocabulary.Forces):
        self._name, self._text, self._forces = name, text, forces
        self._lines: dict[Key, int] = {}

    def rota(self) -> Rota:
        tables = self._parsed()
        self._lines = places.lines(self._text)
        self._refuse_secrets(tables)
        file = self._checked(tables)
        members = self._members(file)
        if not members:
            raise ScheduleError(
                f"{self._name} schedules nothing: add a table such as [forces.warwickshire], or a group of forces."
            )
        for table in _tables(file):
            self._check(file, table)
        blackouts = [self._blackout(number, one, file) for number, one in enumerate(file.release.blackout)]
        entries = tuple(
            self._entry(name, of_name, file, [one for who, one in blackouts if who is None or name in who])
            for name, of_name in sorted(members.items())
        )
        return Rota(entries, file.notify)

    def _error(self, key: Key, what: str) -> ScheduleError:
        where = _shown(".".join(str(part + 1 if isinstance(part, int) else part) for part in key))
        told = _shown(what)
        end = "" if told.endswith("?") else "."
        return ScheduleError(f"{self._name}, line {places.line(self._lines, key)}, {where[:100]} {told}{end}")

    def _parsed(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            what, _, where = str(error).rpartition(" (at ")
            found = re.match(r"line (\d+)", where)
            line = int(found[1]) if found else self._text.count("\n") + 1
        except (ValueError, OverflowError, RecursionError) as error:
            # a date that no calendar has, a number of thousands of digits, arrays within arrays without end
            what, line = str(error), None
        told = _shown(what)[:150].rstrip(".")
        at = "" if line is None else f", line {line},"
        raise ScheduleError(f"{self._name}{at} is not TOML ({told}): mend that, and put texts into quotes.")

    def _refuse_secrets(self, tables: Mapping[str, Any], key: Key = ()) -> None:
        for name, value in tables.items():
            if _SECRET.search(name) and key[-1:] != ("parameters",) and key not in (("groups",), ("forces",)):
                raise self._error(
                    (*key, name),
                    "is no place for a secret: take it out, and see docs/schedule.md for where it goes",
                )
            if isinstance(value, dict):
                self._refuse_secrets(value, (*key, name))

    def _checked(self, tables: Mapping[str, Any]) -> _File:
        try:
            return _File.model_validate(tables)
        except ValidationError as error:
            found = min(error.errors(include_url=False), key=lambda one: places.line(self._lines, one["loc"]))
        key, kind = found["loc"], found["type"]
        if kind == "extra_forbidden":
            words = vocabulary.near_words(str(key[-1]), self._known_beside(key))
            raise self._error(key, f"is no key that is known here: {words}")
        if kind == "missing":
            raise self._error(key[:-1], f"lacks {key[-1]}: add that key")
        what = str(found["msg"]).removeprefix("Value error, ")
        what = what.replace("Input should", "should").replace("valid dictionary", "table")
        what = re.sub(r" or instance of \w+", "", what).replace("valid integer", "whole number")
        what = re.sub(
            r"\w+ should have at least 1 item after validation, not 0", "should name at least one", what
        )
        got = found.get("input")
        shown = f', but is "{str(got)[:60]}"' if isinstance(got, str | int | float) else ""
        raise self._error(key, f"{what[:1].lower()}{what[1:]}{shown}")

    def _known_beside(self, key: Key) -> list[str]:
        names = [part for part in key[:-1] if isinstance(part, str)]
        if names[-1:] == ["retention"]:
            return list(Retention.model_fields)
        tables: Mapping[tuple[str, ...], type[BaseModel]] = {
            (): _File,
            ("release",): Release,
            ("release", "blackout"): BlackoutTable,
            ("notify",): Notify,
            ("notify", "mail"): Mail,
        }
        model = tables.get(tuple(names), Group if names[:1] == ["groups"] else Settings)
        return list(model.model_fields)

    def _named(self, key: Key, said: str) -> str:
        if said == record.QUALITY:
            return said
        if said == ALL:
            raise self._error(key, 'names "all" beside others: write "all" alone, or name the forces')
        try:
            return self._forces.named(said).slug
        except vocabulary.VocabularyError as error:
            near = vocabulary.near_words(said, [*self._forces.slugs, record.QUALITY])
            if not near.startswith("did you mean"):
                # all of them would make a sentence that nobody reads
                near = "data/raw/forces.csv has their names"
            raise self._error(key, f'names "{said[:60]}", which is no force: {near}') from error

    def _refuse_as_group(self, group: str) -> None:
        """A blackout names groups and forces alike, so that none may be called as the other."""
        known = [name.casefold() for force in self._forces for name in (force.slug, *force.names)]
        if group.casefold() in (*known, ALL, record.QUALITY):
            raise self._error(("groups", group), "is called as a force is: give the group another name")

    def _members(self, file: _File) -> dict[str, tuple[Key, ...]]:
        """Every report that is scheduled, with the tables that settle it, the most particular first."""
        group_of: dict[str, str] = {}
        everyone: str | None = None
        for group, settings in file.groups.items():
            self._refuse_as_group(group)
            if settings.forces == [ALL]:
                if everyone is not None:
                    raise self._error(
                        ("groups", group, "forces"), f'is "all", as that of {everyone}: keep one of them'
                    )
                everyone = group
                continue
            for said in settings.forces:
                key = ("groups", group, "forces")
                name = self._named(key, said)
                if name in group_of:
                    where = "twice" if group_of[name] == group else f"which {group_of[name]} has too"
                    raise self._error(key, f"names {name}, {where}: keep it once")
                group_of[name] = group
        own: dict[str, str] = {}
        for said in file.forces:
            name = self._named(("forces", said), said)
            if name in own:
                raise self._error(("forces", said), f'is the same force as "{own[name]}": keep one of them')
            own[name] = said
        names = {*group_of, *own, *((*self._forces.slugs, record.QUALITY) if everyone is not None else ())}
        members: dict[str, tuple[Key, ...]] = {}
        for name in names:
            of_group = group_of.get(name, everyone)
            tables: list[Key] = [("forces", own[name])] if name in own else []
            tables += [("groups", of_group)] if of_group is not None else []
            members[name] = (*tables, ("defaults",))
        return members

    def _entry(self, name: str, tables: Sequence[Key], file: _File, blackouts: Sequence[Blackout]) -> Entry:
        def settled(setting: str) -> tuple[Key, Any]:
            for table in tables:
                if (value := getattr(_table(file, table), setting)) is not None:
                    return (*table, setting), value
            return (*tables[0], setting), getattr(_DEFAULTS, setting)

        _, cron = settled("cron")
        if cron is None:
            raise self._error(tables[0], f'lacks cron: say when {name} is due, such as cron = "0 6 1 * *"')
        _, zone = settled("timezone")
        parameters: dict[str, Any] = {}
        for table in reversed(tables):
            parameters |= _table(file, table).parameters or {}
        of_all = file.release.not_before
        key, own = settled("not_before")
        begins = [
            self._moment(("release", "not_before"), of_all, _zone(file)),
            self._moment(key, own, zone),
        ]
        return Entry(
            name=name,
            lines=tuple(self._line(settled("cron")[0], one, zone) for one in cron),
            calendar=Calendar(max((one for one in begins if one), default=None), tuple(blackouts)),
            parameters={} if name == record.QUALITY else parameters,
            formats=frozenset(settled("formats")[1]),
            publish=settled("publish")[1],
            retries=settled("retries")[1],
            retry_after=timedelta(seconds=settled("retry_after")[1]),
            deadline=settled("deadline")[1],
            retention=settled("retention")[1],
            notify=tuple(dict.fromkeys(settled("notify")[1])),
        )

    def _check(self, file: _File, table: Key) -> None:
        """Refuse what one table says that cannot be, whether or not another has the last word."""
        settings = _table(file, table)
        zone = settings.timezone or _zone(file)
        try:
            moments.zone(zone)
        except MomentError as error:
            raise self._error((*table, "timezone"), f"cannot be used: {error}") from error
        for one in settings.cron or ():
            self._line((*table, "cron"), one, zone)
        for parameter in settings.parameters or ():
            key = (*table, "parameters", parameter)
            if parameter == "force":
                raise self._error(key, "is settled by the force that the table is of: take it out")
            if parameter in _OF_ONE_FORCE and table[0] != "forces":
                raise self._error(key, "belongs to one force: put it into that force's own table")
            if table == ("forces", record.QUALITY):
                raise self._error(key, f"is nothing that {record.QUALITY} takes: take it out")
        if settings.notify and file.notify.mail is None:
            raise self._error(
                (*table, "notify"),
                "names addresses, but there is no [notify.mail]: add it, with host and sender",
            )

    def _line(self, key: Key, said: str, zone: str) -> Line:
        try:
            return moments.line(said, zone)
        except MomentError as error:
            raise self._error(key, f"cannot be used: {error}") from error

    def _moment(self, key: Key, said: date | None, zone: str, *, is_end: bool = False) -> datetime | None:
        try:
            return None if said is None else moments.moment(said, zone, is_end=is_end)
        except MomentError as error:
            raise self._error(key, f"cannot be used: {error}") from error

    def _blackout(self, number: int, one: BlackoutTable, file: _File) -> tuple[set[str] | None, Blackout]:
        key = ("release", "blackout", number)
        start = self._moment((*key, "start"), one.start, _zone(file))
        end = self._moment((*key, "end"), one.end, _zone(file), is_end=True)
        if start is None or end is None or end <= start:
            raise self._error((*key, "end"), "should be after start")
        if one.forces is None or one.forces == [ALL]:
            return None, Blackout(start, end, one.reason)
        names: set[str] = set()
        for said in one.forces:
            group = file.groups.get(said)
            for name in [said] if group is None else group.forces:
                if name == ALL:
                    raise self._error(
                        (*key, "forces"), f"names {said}, which is of all others: name the forces"
                    )
                names.add(self._named((*key, "forces"), name))
        return names, Blackout(start, end, one.reason)


def _zone(file: _File) -> str:
    return file.defaults.timezone or LONDON


def _tables(file: _File) -> list[Key]:
    """The tables that settings may be in."""
    return [
        ("defaults",),
        *(("groups", one) for one in file.groups),
        *(("forces", one) for one in file.forces),
    ]


def _table(file: _File, key: Key) -> Settings:
    found: Any = file
    for part in key:
        found = found[part] if isinstance(found, dict) else getattr(found, str(part))
    assert isinstance(found, Settings)
    return found
