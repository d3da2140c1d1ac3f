"""From a run to a mailbox: the whole way that news goes, with real servers, and a secret that must stay one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from loopback import SECRET, TOKEN, USER, Certified, Inbox, WebServer, mail_server, serving
from synthetic import small

from analysis import paths
from analysis.schedule import rota
from analysis.schedule.credentials import NAMES, PASSWORD, WEBHOOK

COMMAND = str(Path(sys.executable).with_name("casegrade"))
ANNE, BOB = "anne@one.example", "bob@two.example"


@dataclass
class Office:
    """A project whose schedule tells two people by mail, and a room by webhook."""

    project: paths.Project
    inbox: Inbox
    hook: WebServer
    port: int
    authority: Path
    env: dict[str, str]
    said: str = ""

    def schedule(self, hour: int, more: str = "") -> None:
        """Make everything due, at a later moment than before if the hour is later."""
        (self.project.root / rota.FILE).write_text(
            f"""
[defaults]
cron = "0 {hour} 1 1 *"
retries = 0
notify = ["{ANNE}"]
[forces.dorset]
notify = ["{ANNE}", "{BOB}"]
{more}
[forces.suffolk]
[notify]
link = "https://reports.example/casegrade"
webhook = "slack"
[notify.mail]
host = "127.0.0.1"
port = {self.port}
sender = "casegrade@force.example"
user = "{USER}"
authority = "{self.authority}"
"""
        )

    def call(self) -> int:
        done = subprocess.run(
            [COMMAND, "schedule", "run-due"], env=self.env, capture_output=True, text=True, check=False
        )
        self.said += done.stdout + done.stderr
        return done.returncode

    def mails(self) -> dict[str, tuple[str, str]]:
        """Subject and text of what each was sent since it was last asked."""
        found = {}
        for addresses, mail in self.inbox.mails:
            (address,) = addresses
            assert address not in found, "two mails at once to one address"
            found[address] = (str(mail["Subject"]), mail.get_content())
        self.inbox.mails.clear()
        return found

    def messages(self) -> list[str]:
        found = [posted["text"] for _, _, posted in self.hook.posted]
        self.hook.posted.clear()
        return found


@pytest.fixture
def office(project: paths.Project, tmp_path: Path) -> Iterator[Office]:
    certified = Certified(tmp_path, "127.0.0.1")
    inbox = Inbox()
    with mail_server(inbox, certified, "starttls") as port, serving(WebServer()) as hook:
        secret = tmp_path / "webhook"
        secret.touch(0o600)
        secret.write_text(f"http://{hook.place}\n")
        env = {name: value for name, value in os.environ.items() if name not in NAMES}
        env |= {PASSWORD: SECRET, f"{WEBHOOK}_FILE": str(secret)}
        yield Office(project, inbox, hook, port, certified.file, env)


def test_people_are_told_of_a_failure_a_recovery_and_changed_figures_and_of_nothing_else(
    office: Office,
) -> None:
    small(office.project, "import os", "print(dict(os.environ))", "1 / 0")
    office.schedule(1)
    assert office.call() == 1
    mails = office.mails()
    assert set(mails) == {ANNE, BOB}
    assert "2 reports failed" in mails[ANNE][0]
    assert "Dorset Police" in mails[BOB][1]
    assert "Suffolk" not in mails[BOB][1]
    assert "Suffolk Constabulary" in mails[ANNE][1]
    assert "https://reports.example/casegrade/index.html" in mails[BOB][1]
    (message,) = office.messages()
    assert "Dorset Police" in message
    # an error can quote data
    assert "ZeroDivision" not in "".join([*map(str, mails.values()), message])

    # nothing new: nobody is told
    assert office.call() == 0
    assert (office.mails(), office.messages()) == ({}, [])

    small(office.project, "import os", "print(dict(os.environ))")
    office.schedule(2)
    assert office.call() == 0
    mails = office.mails()
    assert set(mails) == {ANNE, BOB}
    assert "work again" in mails[ANNE][0] or "again" in mails[ANNE][1]
    assert len(office.messages()) == 1

    # other intervals: all figures of one report move
    office.schedule(3, "parameters = { confidence = 0.9 }")
    assert office.call() == 0
    mails = office.mails()
    assert set(mails) == {ANNE, BOB}
    assert "changed" in mails[BOB][0]
    assert "Suffolk" not in mails[ANNE][1]
    (message,) = office.messages()
    figures = pl.read_csv(office.project.reports / "dorset" / "figures.csv", infer_schema=False)
    numbers = {value for column in ("value", "lower", "upper") for value in figures[column].drop_nulls()}
    told = "".join([*mails[BOB], message])
    assert len(numbers) > 5
    assert not [number for number in numbers if len(number) > 3 and number in told]
    assert "%" not in told

    assert office.call() == 0
    assert (office.mails(), office.messages()) == ({}, [])


def test_no_secret_is_anywhere_afterwards(office: Office) -> None:
    small(
        office.project,
        "import os",
        "print(dict(os.environ))",
        "print(os.environ.get('CASEGRADE_SMTP_PASSWORD'))",
    )
    office.schedule(1)
    # one that cannot be told, as the servers refuse, and then one that can
    office.inbox.refused = {BOB}
    office.hook.status = 500
    assert office.call() == 0
    small(office.project, "print(open('/proc/self/environ').read())", "1 / 0")
    office.schedule(2)
    assert office.call() == 1
    assert office.mails()
    assert "could not be told" in office.said
    written = [path for path in office.project.root.rglob("*") if path.is_file()]
    assert len(written) > 20
    pieces = [SECRET.encode(), TOKEN.encode(), b"x7kQzz9"]
    for path in written:
        content = path.read_bytes()
        assert not [piece for piece in pieces if piece in content], path
    assert not [piece for piece in pieces if piece.decode() in office.said]


def test_a_secret_in_a_file_that_others_can_read_is_refused(office: Office) -> None:
    small(office.project, "1")
    office.schedule(1)
    Path(office.env[f"{WEBHOOK}_FILE"]).chmod(0o644)
    assert office.call() == 2
    assert "chmod 600" in office.said
    assert len(office.said.splitlines()) == 1
    assert not office.project.reports.exists()
