import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis import cli, paths, vocabulary
from analysis.publish import record
from analysis.schedule import rota
from analysis.schedule.moments import Blackout
from analysis.schedule.rota import Entry, Retention, Rota, ScheduleError

ROOT = Path(__file__).resolve().parents[1]
FORCES = vocabulary.forces(ROOT / "data" / "raw")

# everything that a schedule can say
WHOLE = """\
[defaults]
cron = "0 6 1 * *"
timezone = "Europe/London"
formats = ["pdf"]
publish = false
retries = 2
retry_after = 900
deadline = 120.5
retention = { runs = 20, days = 400 }
notify = ["quality@force.example"]
not_before = 2026-12-01T09:30:00

[defaults.parameters]
confidence = 0.9

[groups.south]
forces = ["kent", "Sussex Police"]
cron = ["0 6 * * mon", "0 6 1 1 *"]
notify = []

[groups.others]
forces = "all"
cron = "0 7 2 1 *"

[forces.warwickshire]
cron = "30 1 * * *"
timezone = "UTC"
retries = 0
publish = true
formats = ["pdf", "interactive"]
parameters = { baseline = "warwickshire-2022-02-initial" }

[forces.kent]
deadline = 60

[forces.data-quality]
cron = "0 5 * * *"

[release]
not_before = 2026-11-30

[[release.blackout]]
start = 2027-03-25
end = 2027-05-06
reason = "Pre-election period"

[[release.blackout]]
start = 2027-06-01T12:00:00+02:00
end = 2027-06-01T13:00:00
reason = "Audit of the audits"
forces = ["south", "warwickshire"]

[notify]
on = ["failure", "recovery", "changed figures"]
link = "https://reports.example/casegrade/"
webhook = "teams"

[notify.mail]
host = "mail.example"
port = 587
security = "starttls"
sender = "casegrade@force.example"
user = "casegrade"
authority = "/etc/ssl/force.pem"
"""


def read(text: str) -> Rota:
    return rota.parse(text.encode(), FORCES)


def entry(text: str, name: str) -> Entry:
    (found,) = read(text).chosen([name])
    return found


def refused(text: str | bytes) -> str:
    with pytest.raises(ScheduleError) as raised:
        rota.parse(text.encode() if isinstance(text, str) else text, FORCES)
    return str(raised.value)


def test_the_shipped_schedule_has_every_force_and_the_page_on_data_quality() -> None:
    found = rota.read(paths.Project(ROOT))
    assert {one.name for one in found.entries} == {*FORCES.slugs, record.QUALITY}


def test_a_force_s_own_word_counts_most_then_its_group_s_then_the_defaults() -> None:
    kent, sussex, surrey = (entry(WHOLE, name) for name in ("kent", "sussex", "surrey"))
    assert [line.text for line in kent.lines] == ["0 6 * * mon", "0 6 1 1 *"]
    assert [line.text for line in surrey.lines] == ["0 7 2 1 *"]
    assert (kent.deadline, sussex.deadline) == (60, 120.5)
    assert (kent.notify, surrey.notify) == ((), ("quality@force.example",))
    assert kent.formats == {"pdf"}
    assert kent.retry_after == timedelta(seconds=900)
    assert kent.retention == Retention(runs=20, days=400)

    warwickshire = entry(WHOLE, "warwickshire")
    assert warwickshire.parameters == {"confidence": 0.9, "baseline": "warwickshire-2022-02-initial"}
    assert warwickshire.timezone == "UTC"
    assert warwickshire.publish
    assert not kent.publish
    assert entry(WHOLE, "data-quality").parameters == {}
    assert len(read(WHOLE).entries) == len(FORCES) + 1


def test_all_is_every_force_that_no_other_group_names() -> None:
    text = (
        '[groups.a]\nforces = "all"\ncron = "0 6 * * *"\n[groups.b]\nforces = ["kent"]\ncron = "0 7 * * *"\n'
    )
    assert entry(text, "kent").lines[0].text == "0 7 * * *"
    assert entry(text, "surrey").lines[0].text == "0 6 * * *"


def test_the_release_calendar_holds_what_it_names() -> None:
    pre_election = Blackout(
        datetime(2027, 3, 25, tzinfo=UTC), datetime(2027, 5, 6, 23, tzinfo=UTC), "Pre-election period"
    )
    audit = Blackout(
        datetime(2027, 6, 1, 10, tzinfo=UTC), datetime(2027, 6, 1, 12, tzinfo=UTC), "Audit of the audits"
    )
    kent, surrey, warwickshire = (entry(WHOLE, name) for name in ("kent", "surrey", "warwickshire"))
    assert kent.calendar.blackouts == warwickshire.calendar.blackouts == (pre_election, audit)
    assert surrey.calendar.blackouts == (pre_election,)
    # the later of what the calendar says and what the force says
    assert surrey.calendar.not_before == datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
    assert entry(
        '[release]\nnot_before = 2027-06-01\n[forces.kent]\ncron = "0 6 * * *"', "kent"
    ).calendar.not_before == (datetime(2027, 5, 31, 23, tzinfo=UTC))


def test_defaults_are_said_in_one_place() -> None:
    found = entry('[forces.kent]\ncron = "0 6 * * *"', "kent")
    assert (found.timezone, found.retries, found.deadline, found.publish) == (
        "Europe/London",
        2,
        300.0,
        False,
    )
    assert found.retention == rota.RETENTION
    assert found.calendar.held(datetime(2000, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("broken", "key", "told"),
    [
        ('cron = "0 6 1 * *"|cron = "0 25 1 * *"', "defaults.cron", "hour"),
        ('timezone = "UTC"|timezone = "Europe/Londn"', "forces.warwickshire.timezone", "no time zone"),
        ("retries = 0|retires = 0", "forces.warwickshire.retires", "did you mean retries"),
        ("retries = 2|retries = -1", "defaults.retries", 'greater than or equal to 0, but is "-1"'),
        ("retries = 2|retries = true", "defaults.retries", "whole number"),
        ("deadline = 60|deadline = nan", "forces.kent.deadline", ""),
        ('"kent", "Sussex Police"|"kent", "Sussx"', "groups.south.forces", "did you mean sussex"),
        ("[forces.kent]|[forces.knet]", "forces.knet", "did you mean kent"),
        ('forces = "all"|forces = ["kent"]', "groups.others.forces", "which south has too"),
        ("[forces.kent]|[forces.WARWICKSHIRE]", "forces.WARWICKSHIRE", "same force"),
        ('"quality@force.example"|"Quality <q@force.example>"', "defaults.notify.1", "e-mail address"),
        ("2026-12-01T09:30:00|'2026-12-01'", "defaults.not_before", "without quotes"),
        ("end = 2027-05-06|end = 2027-03-01", "release.blackout.1.end", "after start"),
        ('reason = "Audit of the audits"|', "release.blackout.2", "lacks reason"),
        ('["south", "warwickshire"]|["sout"]', "release.blackout.2.forces", "no force"),
        ("confidence = 0.9|force = 'kent'", "defaults.parameters.force", "take it out"),
        ("confidence = 0.9|baseline = 'x'", "defaults.parameters.baseline", "that force's own table"),
        ("confidence = 0.9|confidence = [0.9]", "defaults.parameters.confidence", "a number"),
        ('user = "casegrade"|password = "hunter2"', "notify.mail.password", "no place for a secret"),
        ('webhook = "teams"|webhook_url = "https://x"', "notify.webhook_url", "no place for a secret"),
        ('link = "https://|link = "https://me:pw@', "notify.link", "without a password"),
        ("port = 587|port = 0", "notify.mail.port", "greater than or equal to 1"),
        ("[notify.mail]|[notify.post]", "notify.post", "use one of: on, link, mail"),
        ('security = "starttls"|security = "none"', "notify.mail.security", "starttls, tls"),
        ("{ runs = 20, days = 400 }|{ run = 20 }", "defaults.retention.run", "did you mean runs?"),
        ('formats = ["pdf"]|formats = ["word"]', "defaults.formats.1", "pdf, interactive"),
        ("publish = true|publish = 1", "forces.warwickshire.publish", "boolean"),
    ],
)
def test_an_error_names_line_and_key_and_says_what_is_wrong(broken: str, key: str, told: str) -> None:
    before, after = broken.split("|")
    assert WHOLE.count(before) >= 1
    message = refused(WHOLE.replace(before, after, 1))
    # what is missing is told with the line of the table that it is missing from
    place = WHOLE.index(before) if after else WHOLE.rindex("[[", 0, WHOLE.index(before))
    line = WHOLE[:place].count("\n") + 1
    assert message.startswith(f"schedule.toml, line {line}, {key} "), message
    assert told in message
    assert "hunter2" not in message


def test_what_is_not_toml_is_told_with_its_line() -> None:
    assert refused("[forces.kent]\ncron = 0 6 * * *\n").startswith("schedule.toml, line 2, is not TOML")
    assert refused(b"[defaults]\n# \xff\n").startswith("schedule.toml, line 2, is not UTF-8")
    assert refused("[defaults]\nx = 2027-02-30\n").startswith("schedule.toml")


def test_nothing_to_schedule_and_no_way_to_tell_are_refused() -> None:
    assert "schedules nothing" in refused("")
    assert "lacks cron" in refused("[forces.kent]\n")
    twice = refused(WHOLE.replace('["kent", "Sussex Police"]', '"all"'))
    assert twice.startswith('schedule.toml, line 22, groups.others.forces is "all", as that of south')
    assert "there is no [notify.mail]" in refused(
        '[forces.kent]\ncron = "0 6 * * *"\nnotify = ["a@b.example"]'
    )


@pytest.mark.parametrize("name", ["kent", "Kent Police", "SURREY", "all", "data-quality"])
def test_no_group_may_be_called_as_a_force_is(name: str) -> None:
    text = f'[groups."{name}"]\nforces = ["sussex"]\ncron = "0 6 * * *"\n'
    assert "give the group another name" in refused(text)


def test_all_stands_alone_and_each_force_once() -> None:
    cron = 'cron = "0 6 * * *"\n'
    assert 'write "all" alone' in refused(f'[groups.a]\nforces = ["all", "kent"]\n{cron}')
    assert "names kent, twice" in refused(f'[groups.a]\nforces = ["kent", "Kent Police"]\n{cron}')
    assert "did you mean Europe/London" in refused(
        '[forces.kent]\ncron = "0 6 * * *"\ntimezone = "europe/london"'
    )


def test_a_schedule_that_is_missing_or_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="is missing"):
        rota.read(paths.Project(ROOT), tmp_path / "schedule.toml")
    with pytest.raises(ScheduleError, match="is no file"):
        rota.read(paths.Project(ROOT), tmp_path)


def test_a_report_that_is_not_in_the_schedule_is_told_with_near_ones() -> None:
    with pytest.raises(ScheduleError, match="did you mean kent"):
        read('[forces.kent]\ncron = "0 6 * * *"').chosen(["kint"])


ODD = (
    "3", "-1", "1e400", "nan", "inf", "true", '""', '"\\u0000"', '"\\u202E"', '"x\\ny"', "'''\na\nb'''", "[]", "[[]]",
    "{}",    "{ a = 1 }", "2027-01-01", "09:30:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z",
    "9" * 5000, '"' + "x" * 999 + '"',
    "[" * 400 + "]" * 400, '["a", 1]', '"0 6 * *"', '"* * * * * *"', '"0 0 31 2 *"', '"Mars/Olympus"', '"\\u001b[31m"',
)  # fmt: skip


def variants(chance: random.Random) -> Iterator[bytes]:
    """Schedules that somebody, or a disk, got wrong in one place or several."""
    keys = re.compile(r"(?m)^(\s*)([\w-]+)( = )(.+)$")
    while True:
        text = WHOLE
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            lines = text.splitlines(keepends=True)
            place = chance.randrange(len(lines) or 1)
            way = chance.randrange(11)
            if way <= 3 and (found := list(keys.finditer(text))):
                # a value of another kind, or another key
                one = chance.choice(found)
                key, value = one[2], one[4]
                if way == 3:
                    key = chance.choice(
                        (key[::-1], key.upper(), f"{key}s", f'"{key}', f"{key}.x", chance.choice(found)[2])
                    )
                else:
                    value = chance.choice(ODD)
                text = f"{text[: one.start()]}{one[1]}{key} = {value}{text[one.end() :]}"
            elif way == 4:
                text = "".join(lines[:place] + lines[place + 1 :])
            elif way == 5:
                text = "".join([*lines[:place], lines[place], *lines[place:]]) if lines else text
            elif way == 6:
                chance.shuffle(lines)
                text = "".join(lines)
            elif way == 7:
                text = text[: chance.randrange(len(text) + 1)]
            else:
                at = chance.randrange(len(text) + 1)
                new = chance.choice(
                    ("", chance.choice("[]{}=\"'#,.\n\\"), chr(chance.randrange(0x300)), "\ud7ff", "\x1b[")
                )
                text = text[:at] + new + text[at + chance.randrange(4) :]
        content = text.encode()
        if chance.random() < 0.05:
            at = chance.randrange(len(content) + 1)
            content = content[:at] + bytes([chance.randrange(256)]) + content[at:]
        yield content


def test_a_thousand_malformed_schedules_are_each_refused_in_one_sentence(
    project: paths.Project, tmp_path: Path
) -> None:
    file = tmp_path / "schedule.toml"
    n_refused = n_good = 0
    for content in variants(random.Random(20261128)):
        try:
            rota.parse(content, FORCES)
        except ScheduleError as error:
            message = str(error)
        else:
            n_good += 1
            continue
        n_refused += 1
        assert re.fullmatch(r"schedule\.toml(, line \d+,)? [^\n]{10,}[.?]", message), message
        assert len(message) < 600, message
        assert message.isprintable(), message
        # a full stop within is one of a number, a name, a key or a quoted text
        assert not re.search(r"[.?!] [A-Z][a-z]+ [a-z]+ ", re.sub(r'"[^"]*"', "", message)), message
        file.write_bytes(content)
        done = CliRunner().invoke(cli.app, ["schedule", "run-due", "--schedule", str(file)])
        assert done.exit_code == 2
        assert done.stderr == f"{message}\n"
        assert done.stdout == ""
        assert "Traceback" not in done.output
        if n_refused == 1000:
            break
    assert n_good < 1000
    assert not project.reports.exists()
