import base64
import json
import logging
import re
import socketserver
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from loopback import (
    SECRET,
    TOKEN,
    USER,
    Always,
    Certified,
    Inbox,
    Scripted,
    WebServer,
    mail_server,
    serving,
)

from analysis.schedule import notices
from analysis.schedule.credentials import PASSWORD, WEBHOOK, Credentials
from analysis.schedule.notices import News, Sent
from analysis.schedule.rota import CHANGED, FAILURE, RECOVERY, Mail, Notify

SENDER = "reports@police.example"
ANNE, BOB, CARL = "anne@one.example", "bob@two.example", "carl@three.example"
NOW = datetime(2027, 7, 1, 5, 30, tzinfo=UTC)
DUE = datetime(2027, 7, 1, 5, 0, tzinfo=UTC)
LINK = "https://reports.example/casegrade"
NAMES = {"kent": "Kent Police", "devon-and-cornwall": "Devon & Cornwall Police"}


# ------------------------------------------------------------------------------------ fixtures


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_PATIENCE", 600.0)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def secrets_stay(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing that is logged or written in any test holds a secret; the test's own servers do not count."""
    caplog.set_level(logging.DEBUG)
    yield
    lines = [one.getMessage() for one in caplog.records if one.name.split(".")[0] not in ("mail", "asyncio")]
    lines += [str(one.exc_text) for one in caplog.records if one.exc_text]
    hidden("\n".join([*lines, *capfd.readouterr()]))


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return Certified(tmp_path_factory.mktemp("authority"), "127.0.0.1", "localhost")


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with serving(WebServer()) as server:
        yield server


def hidden(text: str) -> None:
    for secret in (SECRET, "hunter2", TOKEN, *TOKEN.split("/")):
        assert secret not in text
    for encoded in (SECRET, f"\0{USER}\0{SECRET}"):
        assert base64.b64encode(encoded.encode()).decode() not in text


def news(
    name: str = "kent",
    kind: str = FAILURE,
    *addresses: str,
    page: str | None = None,
    version: str | None = None,
    webhook: bool = True,
) -> News:
    return News(
        name=name,
        kind=kind,
        when=NOW,
        due=DUE,
        run_id=f"{name}-1",
        addresses=addresses or (ANNE,),
        version=version,
        page=page or f"{name}/report.html",
        webhook=webhook,
    )


def mailing(port: int, certified: Certified | None = None, **how: Any) -> Notify:
    how.setdefault("user", USER)
    link = how.pop("link", LINK)
    authority = None if certified is None else str(certified.file)
    host = how.pop("host", "127.0.0.1")
    return Notify(link=link, mail=Mail(host=host, port=port, sender=SENDER, authority=authority, **how))


def sent(
    told: Sequence[News],
    settings: Notify,
    *,
    password: str | None = SECRET,
    url: str | None = None,
    named: Callable[[str], str] = lambda name: NAMES.get(name, name),
    shown: Callable[[str], str] = lambda path: f"/srv/reports/{path}",
) -> Sent:
    held = Credentials(password, url)
    done = notices.send(told, settings, held, named=named, shown=shown, now=NOW)
    hidden(
        "\n".join(
            [repr(held), repr(done), *done.problems, *(one.model_dump_json() for one in done.remaining)]
        )
    )
    for problem in done.problems:
        assert problem.endswith(".")
        assert "\n" not in problem
    return done


def only(problems: Sequence[str]) -> str:
    assert len(problems) == 1
    return problems[0]


# ---------------------------------------------------------------------------------------- mail

SECURITY = pytest.mark.parametrize("security", ["starttls", "tls"])


@SECURITY
def test_each_address_gets_one_mail_with_all_of_its_news(
    inbox: Inbox, certified: Certified, security: str
) -> None:
    told = [
        news("kent", FAILURE, ANNE, BOB, page="kent/failed/report.ipynb"),
        news("devon-and-cornwall", FAILURE, ANNE),
        news("surrey", CHANGED, ANNE, version="draft"),
        news("essex", RECOVERY, BOB),
    ]
    with mail_server(inbox, certified, security) as port:
        assert sent(told, mailing(port, certified, security=security)) == Sent((), ())
    assert inbox.told == [ANNE, BOB]
    assert inbox.users == [USER, USER]
    assert inbox.senders == [SENDER, SENDER]
    (_, annes), (_, bobs) = inbox.mails
    assert annes["Subject"] == "casegrade: 2 reports failed, figures changed in 1"
    assert bobs["Subject"] == "casegrade: 1 report failed, 1 recovered"
    assert annes.get_content().replace("\r\n", "\n") == (
        """\
2 reports failed, figures changed in 1.

Devon & Cornwall Police: the report could not be made (due 1 July 2027 at 06:00 BST, ended 1 July 2027 at 06:30 BST)
https://reports.example/casegrade/devon-and-cornwall/report.html

Kent Police: the report could not be made (due 1 July 2027 at 06:00 BST, ended 1 July 2027 at 06:30 BST)
https://reports.example/casegrade/kent/failed/report.ipynb

surrey: figures changed, and a draft waits to be read and published (due 1 July 2027 at 06:00 BST, ended 1 July 2027 at 06:30 BST)
https://reports.example/casegrade/surrey/report.html

For why a report failed, and when it is tried again, run "casegrade schedule status".
Read each draft, then publish it with "casegrade publish".
"""  # noqa: E501
    )


def test_a_mail_has_the_headers_of_an_automatic_one_and_does_not_name_this_machine(
    inbox: Inbox, certified: Certified
) -> None:
    with mail_server(inbox, certified, "starttls") as port:
        for _ in range(2):
            sent([news("kent", FAILURE, ANNE, BOB)], mailing(port, certified))
        sent([news("kent", RECOVERY, ANNE)], mailing(port, certified))
    first, others, again, _, third = [message for _, message in inbox.mails]
    assert first["From"] == f"casegrade <{SENDER}>"
    assert first["To"] == ANNE
    assert first["Cc"] is None
    assert BOB not in first.as_string()
    assert first["Date"].datetime == NOW
    assert first["Auto-Submitted"] == "auto-generated"
    assert first.get_content_type() == "text/plain"
    assert first.get_content_charset() == "utf-8"
    assert first["Message-ID"].endswith("@police.example>")
    assert inbox.hosts == {"[127.0.0.1]"}
    # one that was sent twice is one
    assert first["Message-ID"] == again["Message-ID"]
    assert len({first["Message-ID"], others["Message-ID"], third["Message-ID"]}) == 3


def test_without_a_link_the_place_of_the_file_is_told(inbox: Inbox, certified: Certified) -> None:
    with mail_server(inbox, certified, "starttls") as port:
        sent([news()], mailing(port, certified, link=None))
    assert "\n/srv/reports/kent/report.html\n" in inbox.mails[0][1].get_content().replace("\r\n", "\n")


def test_a_name_cannot_add_lines_or_headers(inbox: Inbox, certified: Certified) -> None:
    with mail_server(inbox, certified, "starttls") as port:
        done = sent(
            [news()],
            mailing(port, certified),
            named=lambda _: "Ként\r\nBcc: eve@evil.example\r\n\r\n.\r\nQUIT\u202e",
        )
    assert done == Sent((), ())
    assert inbox.told == [ANNE]
    message = inbox.mails[0][1]
    assert message["Bcc"] is None
    assert "Ként" in message.get_content()
    assert not [line for line in message.get_content().splitlines() if line.startswith(("Bcc", "QUIT", "."))]


@pytest.mark.parametrize(
    "address",
    [
        "'@=",
        "a..b@c",
        ".a@b",
        "a:b@c",
        "a\\b@c\\d",
        ":" + "x.y:" * 40 + "@" + "z#\\." * 40,
        "=?utf-8?q?a?=@b",
        "a@-",
    ],
)
def test_an_odd_address_is_no_error_and_stays_alone(inbox: Inbox, certified: Certified, address: str) -> None:
    with mail_server(inbox, certified, "starttls") as port:
        done = sent([news("kent", FAILURE, address, ANNE)], mailing(port, certified))
    assert inbox.told[-1] == ANNE
    assert all(len(message["To"].addresses) == 1 for _, message in inbox.mails)
    assert len(inbox.mails) + len(done.remaining) == 2


@SECURITY
def test_a_certificate_of_an_unknown_authority_is_refused_and_nothing_sent(
    inbox: Inbox, certified: Certified, tmp_path: Path, security: str
) -> None:
    told = [news("kent", FAILURE, ANNE, BOB)]
    with mail_server(inbox, certified, security) as port:
        for authority in (None, Certified(tmp_path, "127.0.0.1")):
            done = sent(told, mailing(port, authority, security=security))
            assert only(done.problems).startswith(
                f"{ANNE} and {BOB} could not be told by mail: the mail server cannot be used (its certificate"
            )
            assert "as authority there" in only(done.problems)
            assert done.remaining == (told[0].model_copy(update={"webhook": False}),)
    assert not inbox.mails
    assert not inbox.users


@SECURITY
def test_a_certificate_of_another_host_is_refused(inbox: Inbox, tmp_path: Path, security: str) -> None:
    elsewhere = Certified(tmp_path, "mail.elsewhere.example")
    with mail_server(inbox, elsewhere, security) as port:
        done = sent([news()], mailing(port, elsewhere, security=security))
    assert "its certificate cannot be trusted, error 6" in only(done.problems)
    assert done.remaining
    assert not inbox.mails


def test_a_server_without_tls_is_sent_nothing(inbox: Inbox) -> None:
    with mail_server(inbox, None, "starttls") as port:
        done = sent([news()], mailing(port))
        assert "offers no STARTTLS" in only(done.problems)
        done = sent([news()], mailing(port, security="tls"))
        assert "does not speak TLS" in only(done.problems)
        assert done.remaining
    assert not inbox.mails


BEFORE_TLS = {
    "stripped": {"ehlo": b"250-mail\r\n250 AUTH PLAIN LOGIN\r\n"},
    "refused": {
        "ehlo": b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n",
        "STARTTLS": b"454 not hunter2\r\n",
    },
    "not begun": {
        "ehlo": b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n",
        "STARTTLS": b"220 go\r\n235 no TLS\r\n",
    },
    "hangs up at STARTTLS": {"ehlo": b"250-mail\r\n250 STARTTLS\r\n"},
    "old": {"ehlo": b"502 what?\r\n", "helo": b"250 mail\r\n"},
    "nonsense": {"ehlo": b"nonsense\r\n"},
    "endless": {"ehlo": b"250-" + b"x" * 10_000 + b"\r\n"},
    "hangs up at EHLO": {},
}


@pytest.mark.parametrize("answers", BEFORE_TLS.values(), ids=BEFORE_TLS)
def test_before_tls_no_server_is_told_more_than_a_greeting(answers: dict[str, bytes]) -> None:
    quit_too = {"QUIT": b"221 bye\r\n", "quit": b"221 bye\r\n", "AUTH": b"235 ok\r\n", "mail": b"250 ok\r\n"}
    with serving(Scripted(b"220 mail\r\n", **answers, **quit_too)) as server:
        done = sent([news("kent", FAILURE, ANNE)], mailing(server.server_address[1]))
    assert only(done.problems)
    assert done.remaining
    lines = [line for line in server.received if line.isascii() and line.strip()]
    assert all(line.split()[0] in (b"ehlo", b"helo", b"STARTTLS", b"QUIT", b"quit") for line in lines[:2])
    everything = b"".join(server.received)
    for secret in (SECRET, f"\0{USER}\0{SECRET}", USER):
        assert base64.b64encode(secret.encode()) not in everything
    assert ANNE.encode() not in everything
    assert b"AUTH" not in everything


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        (b"", "hung up"),
        (b"554 hunter2\r\n", "(554)"),
        (b"554 5.3.2 hunter2\r\n", "(554 5.3.2)"),
        (b"554-5.3.2 hunter2\r\n554 hunter2\r\n", "(554 5.3.2)"),
        (b"554 5.3.2hunter2\r\n", "(554)"),
        (b"554 5.hunter2.2\r\n", "(554)"),
        (b"554 hunter2 5.3.2\r\n", "(554)"),
        (b"554 4.3.2 hunter2\r\n", "(554)"),
        (b"HTTP/1.1 400 hunter2\r\n\r\n", "not how mail servers speak"),
        (b"-12 hunter2\r\n", "not how mail servers speak"),
        (b"\xff\xfe hunter2\n", "not how mail servers speak"),
    ],
)
def test_of_what_a_mail_server_answers_its_code_and_status_alone_are_told(greeting: bytes, told: str) -> None:
    with serving(Scripted(greeting)) as server:
        if not greeting:
            server.RequestHandlerClass = _HangUp
        done = sent([news()], mailing(server.server_address[1]))
    assert "the mail server cannot be used" in only(done.problems)
    assert told in only(done.problems)
    assert done.remaining


class _HangUp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        pass


def test_a_server_that_says_nothing_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_PATIENCE", 0.2)
    told = [news("kent", FAILURE, ANNE, BOB, CARL)]
    with serving(Scripted(None)) as server:
        server.answers = Always()
        port = server.server_address[1]
        for security, why in (("starttls", "did not answer in time"), ("tls", "does not answer")):
            done = sent(told, mailing(port, security=security))
            assert only(done.problems).startswith(f"{ANNE}, {BOB} and {CARL} could not be told")
            assert why in only(done.problems)
            assert done.remaining[0].addresses == (ANNE, BOB, CARL)
    assert server.n_calls == 2


def test_a_server_that_is_not_there_is_told_as_a_problem() -> None:
    with serving(Scripted(b"")) as server:
        port = server.server_address[1]
    assert "nothing answers at its port" in only(sent([news()], mailing(port)).problems)
    assert only(sent([news()], mailing(port, host="mail.nowhere.invalid")).problems)
    odd = only(sent([news()], mailing(port, host="a..b")).problems)
    assert re.search(r"cannot be used \(Unicode\w*Error\): check host", odd)
    assert only(sent([news()], mailing(port, host=".")).problems)


@SECURITY
def test_a_wrong_password_is_told_without_it(inbox: Inbox, certified: Certified, security: str) -> None:
    with mail_server(inbox, certified, security) as port:
        settings = mailing(port, certified, security=security)
        done = sent([news("kent", FAILURE, ANNE, BOB)], settings, password=f"{SECRET}!")
    assert "refuses user and password (535 5.7.8): check user" in only(done.problems)
    assert done.remaining[0].addresses == (ANNE, BOB)
    assert not inbox.mails


def test_a_user_without_a_password_is_one_problem_and_nothing_is_sent(
    inbox: Inbox, certified: Certified
) -> None:
    with mail_server(inbox, certified, "starttls") as port:
        done = sent([news("kent", FAILURE, ANNE, BOB, CARL, "d@e")], mailing(port, certified), password=None)
    assert only(done.problems) == (
        f"{ANNE}, {BOB}, {CARL} and 1 more could not be told by mail: [notify.mail] names a user, but there is no "
        f"password: set {PASSWORD} or {PASSWORD}_FILE."
    )
    assert not inbox.mails


def test_a_user_whom_the_server_does_not_ask_for_is_told_as_a_problem(
    inbox: Inbox, certified: Certified
) -> None:
    with mail_server(
        inbox, None, "starttls", tls_context=certified.context, auth_exclude_mechanism=["LOGIN", "PLAIN"]
    ) as port:
        assert "takes no password" in only(sent([news()], mailing(port, certified)).problems)
        assert sent([news()], mailing(port, certified, user=None), password=None) == Sent((), ())
    assert inbox.told == [ANNE]


def test_an_authority_that_cannot_be_read_is_told_as_a_problem(certified: Certified, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for file in ("missing.pem", "empty.pem"):
        mail = Mail(host="127.0.0.1", port=1, sender=SENDER, authority=str(tmp_path / file))
        assert "authority" in only(sent([news()], Notify(mail=mail)).problems)


@SECURITY
def test_one_bad_address_keeps_no_other_from_its_mail_and_a_retry_tells_only_that_one(
    inbox: Inbox, certified: Certified, security: str
) -> None:
    inbox.refused.add(BOB)
    told = [
        news("kent", FAILURE, ANNE, BOB, CARL),
        news("essex", RECOVERY, CARL),
        news("surrey", RECOVERY, BOB),
    ]
    with mail_server(inbox, certified, security) as port:
        settings = mailing(port, certified, security=security)
        done = sent(told, settings)
        assert inbox.told == [ANNE, CARL]
        assert only(done.problems).startswith(
            f"{BOB} could not be told by mail: the mail server refuses the address (550 5.1.1): "
        )
        assert [(one.name, one.addresses, one.webhook) for one in done.remaining] == [
            ("kent", (BOB,), False),
            ("surrey", (BOB,), False),
        ]
        inbox.refused.clear()
        kept = [News.model_validate_json(one.model_dump_json()) for one in done.remaining]
        assert sent(kept, settings) == Sent((), ())
    assert inbox.told == [ANNE, CARL, BOB]


@SECURITY
def test_a_server_that_hangs_up_at_one_address_keeps_no_other_from_its_mail(
    inbox: Inbox, certified: Certified, security: str
) -> None:
    inbox.dropped.add(BOB)
    with mail_server(inbox, certified, security) as port:
        done = sent([news("kent", FAILURE, ANNE, BOB, CARL)], mailing(port, certified, security=security))
    assert inbox.told == [ANNE, CARL]
    assert "could not be handed over (it hung up" in only(done.problems)
    assert done.remaining[0].addresses == (BOB,)


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("MAIL", "553 5.7.1", "refuses the sender (553 5.7.1)"),
        ("DATA", "554 5.7.1", "refuses the mail (554 5.7.1)"),
        ("DATA", "421 4.3.2", "refuses the mail (421 4.3.2)"),
    ],
)
def test_a_mail_that_the_server_refuses_remains(
    inbox: Inbox, certified: Certified, command: str, code: str, told: str
) -> None:
    inbox.refuses = (command, code)
    with mail_server(inbox, certified, "starttls") as port:
        done = sent([news("kent", FAILURE, ANNE, BOB)], mailing(port, certified))
    assert told in only(done.problems)
    assert done.remaining[0].addresses == (ANNE, BOB)


def test_once_no_connection_can_be_opened_who_was_told_is_told_and_the_others_remain(
    inbox: Inbox, certified: Certified
) -> None:
    inbox.n_most = 1
    with mail_server(inbox, certified, "starttls") as port:
        done = sent([news("kent", FAILURE, ANNE, BOB, CARL)], mailing(port, certified))
    assert only(done.problems).startswith(
        f"{BOB} and {CARL} could not be told by mail: the mail server refuses"
    )
    assert inbox.told == [ANNE]
    assert done.remaining[0].addresses == (BOB, CARL)


def test_a_mail_that_was_taken_is_not_sent_again_if_the_server_hangs_up_at_the_end(
    inbox: Inbox, certified: Certified
) -> None:
    inbox.refuses = ("QUIT", "421 4.3.2")
    with mail_server(inbox, certified, "starttls") as port:
        assert sent([news("kent", FAILURE, ANNE, BOB)], mailing(port, certified)) == Sent((), ())
    assert inbox.told == [ANNE, BOB]


# ------------------------------------------------------------------------------------- webhook


def hook(kind: str, link: str | None = LINK) -> Notify:
    return Notify(webhook=kind, link=link)


def test_slack_gets_one_message_of_all_news_with_its_own_signs_escaped(web: WebServer) -> None:
    told = [
        news("devon-and-cornwall", CHANGED, ANNE, version="published"),
        news("kent", FAILURE, BOB),
        news("surrey", CHANGED, version="draft"),
    ]
    done = sent(
        told,
        hook("slack"),
        url=f"http://{web.place}",
        named=lambda name: NAMES.get(name, "<!channel> & *all*"),
    )
    assert done == Sent((), ())
    ((path, kind, payload),) = web.posted
    assert path == f"/services/{TOKEN}"
    assert kind.startswith("application/json")
    times = "(due 1 July 2027 at 06:00 BST, ended 1 July 2027 at 06:30 BST)"
    assert payload == {
        "text": "*casegrade: 1 report failed, figures changed in 2*\n"
        f"• <{LINK}/kent/report.html|Kent Police>: the report could not be made {times}\n"
        f"• <{LINK}/devon-and-cornwall/report.html|Devon &amp; Cornwall Police>: figures changed, and the new "
        f"version is published {times}\n"
        f"• <{LINK}/surrey/report.html|&lt;!channel&gt; &amp; *all*>: figures changed, and a draft waits to be "
        f"read and published {times}\n"
        'For why a report failed, and when it is tried again, run "casegrade schedule status".\n'
        'Read each draft, then publish it with "casegrade publish".\n'
        "Read what changed before you cite figures of an earlier version."
    }


def test_teams_gets_an_adaptive_card(web: WebServer) -> None:
    done = sent(
        [news("kent", RECOVERY), news("essex", RECOVERY)],
        hook("teams"),
        url=f"http://{web.place}",
        named=lambda name: NAMES.get(name, "[x](https://evil.example) *all*"),
    )
    assert done == Sent((), ())
    ((_, _, payload),) = web.posted
    assert payload["type"] == "message"
    (attachment,) = payload["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"TextBlock"}
    assert all(block["wrap"] is True for block in card["body"])
    times = "(due 1 July 2027 at 06:00 BST, ended 1 July 2027 at 06:30 BST)"
    again = f"the report was made again, after runs that failed {times}"
    assert [block["text"] for block in card["body"]] == [
        "casegrade: 2 reports recovered",
        rf"[\[x\]\(https://evil.example\) \*all\*]({LINK}/essex/report.html): {again}",
        f"[Kent Police]({LINK}/kent/report.html): {again}",
        "You need not do anything.",
    ]


@pytest.mark.parametrize("kind", ["slack", "teams"])
def test_a_path_is_told_as_text(web: WebServer, kind: str) -> None:
    sent([news()], hook(kind, link=None), url=f"http://{web.place}", shown=lambda path: f"/srv/<a>/{path}")
    text = json.dumps(web.posted[0][2])
    assert "/kent/report.html" in text
    assert "<a>" not in text
    assert "](" not in text
    assert "|" not in text


@pytest.mark.parametrize("kind", ["slack", "teams"])
def test_a_message_on_everything_stays_within_what_is_taken(web: WebServer, kind: str) -> None:
    told = [news(f"force-{number}", one) for number in range(44) for one in (FAILURE, CHANGED, RECOVERY)]
    assert sent(told, hook(kind), url=f"http://{web.place}") == Sent((), ())
    text = json.dumps(web.posted[0][2])
    assert "107 more" in text
    assert "44 reports failed, figures changed in 44, 44 recovered" in text
    assert len(text) < 28_000


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_an_answer_that_is_no_success_is_told_with_its_code_alone(web: WebServer, status: int) -> None:
    web.status = status
    done = sent([news()], hook("slack"), url=f"http://{web.place}")
    problem = only(done.problems)
    assert str(status) in problem
    assert "127.0.0.1" not in problem
    assert done.remaining == (news().model_copy(update={"addresses": ()}),)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_every_success_is_one(web: WebServer, status: int) -> None:
    web.status = status
    assert sent([news()], hook("teams"), url=f"http://{web.place}") == Sent((), ())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(web: WebServer, status: int) -> None:
    web.status, web.headers = status, {"Location": f"http://{web.place}/elsewhere"}
    done = sent([news()], hook("slack"), url=f"http://{web.place}")
    assert f"answers {status}" in only(done.problems)
    assert done.remaining
    assert [path for path, _, _ in web.posted] == [f"/services/{TOKEN}"]


def test_a_webhook_that_hangs_up_or_is_not_there_remains(web: WebServer) -> None:
    web.status = None
    done = sent([news()], hook("slack"), url=f"http://{web.place}")
    assert "hung up" in only(done.problems)
    assert done.remaining
    with serving(Scripted(b"")) as server:
        port = server.server_address[1]
    done = sent([news()], hook("slack"), url=f"http://127.0.0.1:{port}/services/{TOKEN}")
    assert "nothing answers at its port" in only(done.problems)
    with serving(Scripted(b"220 hunter2 is a mail server\r\n")) as server:
        done = sent(
            [news()], hook("slack"), url=f"http://127.0.0.1:{server.server_address[1]}/services/{TOKEN}"
        )
    assert "cannot be reached" in only(done.problems)


def test_a_webhook_that_says_nothing_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_PATIENCE", 0.2)
    with serving(Scripted(None)) as server:
        server.answers = Always()
        done = sent(
            [news()], hook("slack"), url=f"http://127.0.0.1:{server.server_address[1]}/services/{TOKEN}"
        )
    assert "does not answer" in only(done.problems)


def test_a_webhook_without_an_address_is_a_problem() -> None:
    done = sent([news()], hook("slack"))
    assert only(done.problems) == (
        "The webhook could not be told: [notify] names a webhook, but there is no address: "
        f"set {WEBHOOK} or {WEBHOOK}_FILE."
    )
    assert done.remaining


def test_the_certificate_of_a_webhook_is_checked(
    web: WebServer, certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.socket = certified.context.wrap_socket(web.socket, server_side=True)
    monkeypatch.setattr(web, "handle_error", lambda *_: None)
    done = sent([news()], hook("slack"), url=f"https://{web.place}")
    assert "its certificate cannot be trusted" in only(done.problems)
    assert not web.posted
    monkeypatch.setenv("SSL_CERT_FILE", str(certified.file))
    assert sent([news()], hook("slack"), url=f"https://{web.place}") == Sent((), ())
    assert len(web.posted) == 1


def test_a_proxy_is_used_for_what_is_elsewhere_and_is_told_no_more_than_the_host(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Scripted(None, **{"": b"HTTP/1.1 407 hunter2\r\nContent-Length: 0\r\n\r\n"})) as proxy:
        proxy.answers |= {"CONNECT": b"", "Host:": b"", "User-Agent:": b""}
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_address[1]}")
        assert sent([news()], hook("slack"), url=f"http://{web.place}") == Sent((), ())
        assert not proxy.received
        done = sent([news()], hook("slack"), url=f"https://hooks.chat.invalid/services/{TOKEN}")
    assert "the proxy lets nothing through" in only(done.problems)
    everything = b"".join(proxy.received).decode()
    assert everything.startswith("CONNECT hooks.chat.invalid:443 ")
    hidden(everything)


# ---------------------------------------------------------------------------------------- both


def test_who_was_told_in_one_way_is_not_told_again_when_the_other_failed(
    inbox: Inbox, certified: Certified, web: WebServer
) -> None:
    web.status = 500
    with mail_server(inbox, certified, "starttls") as port:
        settings = mailing(port, certified).model_copy(update={"webhook": "slack"})
        done = sent([news("kent", FAILURE, ANNE)], settings, url=f"http://{web.place}")
        assert [(one.addresses, one.webhook) for one in done.remaining] == [((), True)]
        web.status = 200
        assert sent(done.remaining, settings, url=f"http://{web.place}") == Sent((), ())
        assert len(web.posted) == 2
        assert sent([news(webhook=False)], settings, url=f"http://{web.place}") == Sent((), ())
    assert len(web.posted) == 2
    assert inbox.told == [ANNE, ANNE]


def test_only_what_the_settings_ask_for_is_told(inbox: Inbox, certified: Certified, web: WebServer) -> None:
    with mail_server(inbox, certified, "starttls") as port:
        settings = mailing(port, certified).model_copy(update={"webhook": "slack", "on": [CHANGED]})
        assert sent([news("kent", FAILURE)], settings, url=f"http://{web.place}") == Sent((), ())
        assert not web.posted
        assert sent(
            [news("kent", FAILURE), news("essex", CHANGED)], settings, url=f"http://{web.place}"
        ) == Sent((), ())
    assert inbox.mails[0][1]["Subject"] == "casegrade: figures changed in 1 report"
    assert "Kent" not in json.dumps(web.posted)


def test_with_no_way_to_tell_nobody_is_told_and_nothing_remains() -> None:
    assert sent([news()], Notify()) == Sent((), ())
    assert sent([], Notify()) == Sent((), ())


def test_a_report_that_failed_twice_is_one_report(web: WebServer) -> None:
    later = news().model_copy(update={"run_id": "kent-2", "when": NOW + timedelta(hours=1)})
    sent([later, news()], hook("slack"), url=f"http://{web.place}")
    first, *lines = web.posted[0][2]["text"].splitlines()
    assert first == "*casegrade: 1 report failed*"
    assert "06:30" in lines[0]
    assert "07:30" in lines[1]


def test_times_are_london_time(web: WebServer) -> None:
    winter = datetime(2027, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=9)))
    sent([news().model_copy(update={"due": winter})], hook("slack"), url=f"http://{web.place}")
    assert "due 31 December 2026 at 20:30 GMT, ended 1 July 2027 at 06:30 BST" in web.posted[0][2]["text"]


def test_news_is_kept_as_json_and_holds_nothing_else() -> None:
    one = news("kent", CHANGED, ANNE, BOB, version="draft")
    assert News.model_validate_json(one.model_dump_json()) == one


NO_ADDRESSES = (
    f"{ANNE}\nBcc: {BOB}",
    f"{ANNE}\r\n",
    f"a@b, {BOB}",
    "a@b@c",
    "Anne <a@b>",
    "a b@c",
    "ä@b",
    "",
)


@pytest.mark.parametrize(
    "damage",
    [
        {"error": "x"},
        {"kind": "figures"},
        {"kind": f"{FAILURE}\n"},
        {"name": None},
        {"when": "2027-07-01T05:30:00"},
        {"due": "soon"},
        {"addresses": ANNE},
        *({"addresses": [one]} for one in NO_ADDRESSES),
        {"page": 1},
        {"page": "\ud800"},
        {"webhook": "perhaps"},
    ],
)
def test_a_damaged_file_is_no_news(damage: dict[str, object]) -> None:
    whole = json.loads(news("kent", CHANGED, version="draft").model_dump_json())
    with pytest.raises(ValueError, match="1 validation error"):
        News.model_validate_json(json.dumps(whole | damage))


@pytest.mark.parametrize("text", ["", "null", '{"name": "ke', "{}", "\0" * 9])
def test_half_a_file_is_no_news(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        News.model_validate_json(text)


def test_an_error_of_whoever_names_the_reports_holds_no_secret() -> None:
    def named(name: str) -> str:
        raise LookupError(name)

    with pytest.raises(LookupError) as caught:
        sent([news()], hook("slack"), url=f"https://hooks.chat.example/services/{TOKEN}", named=named)
    hidden("".join(traceback.format_exception(caught.value)))
