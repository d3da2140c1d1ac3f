"""Tell people of scheduled runs: one mail to each address, one message to a webhook. Neither holds any figure."""

import hashlib
import http.client
import json
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from email import headerregistry
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from typing import Annotated, Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import HTTPErrorProcessor, HTTPSHandler, ProxyHandler, Request, build_opener
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from analysis.present import plainly, wording
from analysis.schedule.credentials import PASSWORD, WEBHOOK, Credentials
from analysis.schedule.rota import CHANGED, FAILURE, LONDON, RECOVERY, Address, Mail, Notify

# seconds without a word from a server
_PATIENCE = 30.0
# A card of Teams may have 28 kB, so that a message in which all reports changed would be refused.
_MOST = 25
# Whoever runs this is not told to every server on the way: the mail's sender says enough.
_HOST = "[127.0.0.1]"
# Headers here are short. Python fails to fold some addresses, which stand in its way as they are.
_UNFOLDED = SMTP.clone(max_line_length=998)
_NAMED = 3


class News(BaseModel):
    """Something that happened to one report, and who is still to be told of it.

    Attributes:
        name: slug of the force, or `data-quality`.
        kind: `FAILURE`, `RECOVERY` or `CHANGED`.
        when: when the run ended.
        due: when it was due.
        run_id: the run.
        addresses: who is still to be told by mail.
        version: whether the new version is a "draft" or "published"; of changed figures only, else ignored.
        page: what to look at, as a path below the folder of reports.
        webhook: whether it is still to be told by webhook, if there is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Annotated[str, Field(pattern=f"^({FAILURE}|{RECOVERY}|{CHANGED})$")]
    when: AwareDatetime
    due: AwareDatetime
    run_id: str
    addresses: tuple[Address, ...]
    version: str | None = None
    page: str
    webhook: bool = True


@dataclass(frozen=True)
class Sent:
    """What became of news.

    Attributes:
        remaining: the news that somebody could not be told, with only those addresses, and the webhook only if that
            failed: what to send when it is tried again.
        problems: why, a sentence each, in words of our own: those of servers and errors may hold a secret.
    """

    remaining: tuple[News, ...]
    problems: tuple[str, ...]


def send(
    news: Sequence[News],
    settings: Notify,
    credentials: Credentials,
    /,
    *,
    named: Callable[[str], str],
    shown: Callable[[str], str],
    now: datetime,
) -> Sent:
    """Tell everybody who is to be told, each in one message. What cannot be delivered is no error, but remains.

    News of a kind that the settings leave out, or for a way that they do not give, is told to nobody and does not
    remain. Times are told as London time.

    Args:
        news: what happened.
        settings: of what is told, and how.
        credentials: what the mail server and the webhook ask for.
        named: the full name of a report by its slug.
        shown: the place of a file by its path below the folder of reports, used if the settings give no link.
        now: the moment that mails are dated.
    """
    wanted = [one for one in news if one.kind in settings.on]
    digest = partial(_digest, named=named, shown=shown, link=settings.link)
    missed: Mapping[str, str] = {}
    if settings.mail is not None:
        letters = {}
        for address in dict.fromkeys(address for one in wanted for address in one.addresses):
            theirs = [one for one in wanted if address in one.addresses]
            letters[address] = _letter(settings.mail.sender, address, theirs, digest(theirs), now)
        missed = _mailed(settings.mail, letters, credentials.smtp_password)
    untold: str | None = None
    if settings.webhook is not None and (theirs := [one for one in wanted if one.webhook]):
        untold = _posted(_PAYLOADS[settings.webhook](digest(theirs)), credentials.webhook_url)
    remaining = []
    for one in wanted:
        addresses = tuple(address for address in dict.fromkeys(one.addresses) if address in missed)
        is_untold = one.webhook and untold is not None
        if addresses or is_untold:
            remaining.append(one.model_copy(update={"addresses": addresses, "webhook": is_untold}))
    problems = [
        f"{_listed([one for one in missed if missed[one] == why])} could not be told by mail: {why}"
        for why in dict.fromkeys(missed.values())
    ]
    problems += [] if untold is None else [f"The webhook could not be told: {untold}"]
    return Sent(tuple(remaining), tuple(problems))


def _listed(addresses: Sequence[str]) -> str:
    if len(addresses) > _NAMED:
        return f"{', '.join(addresses[:_NAMED])} and {len(addresses) - _NAMED} more"
    return " and ".join([", ".join(addresses[:-1]), addresses[-1]] if addresses[:-1] else addresses)


# ------------------------------------------------------------------------------------ what is said


@dataclass(frozen=True)
class _Item:
    """One piece of news in words. `place` is a link, or the path of a file."""

    name: str
    what: str
    place: str

    @property
    def is_link(self) -> bool:
        return self.place.startswith(("https://", "http://"))


@dataclass(frozen=True)
class _Digest:
    """What is told of several pieces of news: how many of what, which ones, and what to do."""

    summary: str
    items: tuple[_Item, ...]
    advice: tuple[str, ...]


# in the order in which they are told; the number is that of reports
_HAPPENED: Mapping[str, Callable[[str], str]] = {
    FAILURE: "{} failed".format,
    CHANGED: "figures changed in {}".format,
    RECOVERY: "{} recovered".format,
}
_DRAFT, _PUBLISHED = "draft", "published"
# by kind, or by version of changed figures
_WHAT = {
    FAILURE: "the report could not be made",
    RECOVERY: "the report was made again, after runs that failed",
    _DRAFT: "figures changed, and a draft waits to be read and published",
    _PUBLISHED: "figures changed, and the new version is published",
}
_STATUS = "casegrade schedule status"


def _digest(
    news: Sequence[News], /, *, named: Callable[[str], str], shown: Callable[[str], str], link: str | None
) -> _Digest:
    said: list[str] = []
    for kind, phrase in _HAPPENED.items():
        if n := len({one.name for one in news if one.kind == kind}):
            noun = "" if said else " report" if n == 1 else " reports"
            said.append(phrase(f"{n}{noun}"))
    order = list(_HAPPENED)
    items = tuple(
        _Item(
            name=_line(named(one.name)),
            what=_what(one),
            place=_line(shown(one.page) if link is None else f"{link}/{quote(one.page)}"),
        )
        for one in sorted(news, key=lambda one: (order.index(one.kind), one.name, one.when))
    )
    return _Digest(", ".join(said), items, tuple(_advice(news)))


def _what(one: News) -> str:
    said = _WHAT.get((one.version if one.kind == CHANGED else one.kind) or "", "figures changed")
    return f"{said} (due {_minute(one.due)}, ended {_minute(one.when)})"


def _advice(news: Sequence[News]) -> Iterator[str]:
    if any(one.kind == FAILURE for one in news):
        yield f'For why a report failed, and when it is tried again, run "{_STATUS}".'
    changed = {one.version for one in news if one.kind == CHANGED}
    if _DRAFT in changed:
        yield 'Read each draft, then publish it with "casegrade publish".'
    if changed - {_DRAFT}:
        yield "Read what changed before you cite figures of an earlier version."
    if all(one.kind == RECOVERY for one in news):
        yield "You need not do anything."


def _minute(moment: datetime) -> str:
    """The moment in London time."""
    local = moment.astimezone(ZoneInfo(LONDON))
    return f"{wording.day(local.date())} at {local:%H:%M} {local:%Z}"


def _line(text: str) -> str:
    return " ".join(plainly.harmless(text).split())


# -------------------------------------------------------------------------------------------- mail


def _letter(
    sender: str, address: str, news: Sequence[News], digest: _Digest, now: datetime, /
) -> EmailMessage:
    name, _, domain = sender.rpartition("@")
    to_name, _, to_domain = address.rpartition("@")
    message = EmailMessage(policy=_UNFOLDED)
    message["From"] = headerregistry.Address("casegrade", name, domain)
    message["To"] = headerregistry.Address("", to_name, to_domain)
    message["Subject"] = f"casegrade: {digest.summary}"
    message["Date"] = now
    # The same for the same news: if a server hangs up before it says that it took a mail, the mail is sent again,
    # and whoever has two can tell that they are one. The usual one would tell the name of this machine.
    told = "\n".join([address, *sorted(f"{one.name} {one.kind} {one.run_id}" for one in news)])
    message["Message-ID"] = f"<{hashlib.sha256(told.encode()).hexdigest()[:32]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    lines = [f"{digest.summary[:1].upper()}{digest.summary[1:]}."]
    for item in digest.items:
        lines += ["", f"{item.name}: {item.what}", item.place]
    # quoted-printable keeps long links whole on the way, and needs nothing of the server
    message.set_content("\n".join([*lines, "", *digest.advice, ""]), cte="quoted-printable")
    return message


class _NoMailError(Exception):
    """There is no connection to send mails on. The message says why and what to do."""


def _mailed(mail: Mail, letters: Mapping[str, EmailMessage], password: str | None, /) -> Mapping[str, str]:
    """The addresses that could not be reached, each with the reason.

    Each has a connection of its own, so that whatever a server does at one address stays there.
    """
    missed: dict[str, str] = {}
    for n_done, (address, letter) in enumerate(letters.items()):
        try:
            client = _opened(mail, password)
        except _NoMailError as problem:
            # the others would wait as long, for the same
            return missed | dict.fromkeys([*letters][n_done:], str(problem))
        with closing(client):
            try:
                client.send_message(letter, mail.sender, [address])
            except Exception as error:
                # a server can bring smtplib to raise errors that it does not name
                missed[address] = _refused(error)
            else:
                # whatever it answers now, it took the mail
                with suppress(Exception):
                    client.quit()
    return missed


def _opened(mail: Mail, password: str | None, /) -> smtplib.SMTP:
    """A connection to the mail server that takes mails, and never without TLS.

    Raises:
        _NoMailError: if there is none.
    """
    if mail.user is not None and password is None:
        raise _NoMailError(
            f"[notify.mail] names a user, but there is no password: set {PASSWORD} or {PASSWORD}_FILE."
        )
    try:
        context = ssl.create_default_context(cafile=mail.authority)
    except (OSError, ValueError):
        raise _NoMailError(
            "the certificate that authority in [notify.mail] names cannot be read: mend the path or the file."
        ) from None
    client: smtplib.SMTP | None = None
    try:
        if mail.security == "tls":
            client = smtplib.SMTP_SSL(
                mail.host, mail.port, local_hostname=_HOST, timeout=_PATIENCE, context=context
            )
        else:
            client = smtplib.SMTP(mail.host, mail.port, local_hostname=_HOST, timeout=_PATIENCE)
            client.ehlo()
            if not client.has_extn("starttls"):
                raise _NoMailError(
                    "the mail server offers no STARTTLS, and nothing is sent without TLS: check host and port in "
                    '[notify.mail], or set security = "tls" there.'
                )
            client.starttls(context=context)
        client.ehlo_or_helo_if_needed()
        if mail.user is not None and password is not None:
            client.login(mail.user, password)
    except Exception as error:
        if client is not None:
            client.close()
        # without the error: its traceback would lead to the password
        raise _NoMailError(_unusable(error)) from None
    return client


def _unusable(error: Exception) -> str:
    """Why there is no connection, and what to do."""
    if isinstance(error, _NoMailError):
        return str(error)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return (
            f"the mail server refuses user and password ({_told(error)}): check user in [notify.mail], and "
            f"{PASSWORD}."
        )
    if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
        return (
            "the mail server takes no password in any way known here: check host and port in [notify.mail], or "
            "take user out there."
        )
    remedy = "check host, port and security in [notify.mail]"
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = "check host in [notify.mail], and name the certificate of the server's authority as authority there"
    return f"the mail server cannot be used ({_told(error)}): {remedy}."


def _refused(error: Exception) -> str:
    """Why a mail was not taken, and what to do."""
    told = _told(error)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"the mail server refuses the address ({told}): check it under notify, or ask who runs the server."
    if isinstance(error, smtplib.SMTPSenderRefused):
        return f"the mail server refuses the sender ({told}): check sender and user in [notify.mail]."
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server refuses the mail ({told}): ask who runs it."
    return f"the mail could not be handed over ({told}): look at the log of the mail server."


_HUNG_UP = "it hung up, or did not answer in time"
# the first that fits
_FAILURES: Mapping[type[Exception], str] = {
    ssl.SSLError: "it does not speak TLS as it should",
    TimeoutError: "it does not answer",
    ConnectionRefusedError: "nothing answers at its port",
    socket.gaierror: "its name is not known",
    smtplib.SMTPServerDisconnected: _HUNG_UP,
    ConnectionError: _HUNG_UP,
    http.client.HTTPException: "what it answers is not how web servers speak",
    OSError: "there is no way to it",
}


def _told(error: BaseException) -> str:
    """What went wrong, by type and number alone: the text of errors may be a server's, and quote what it was sent."""
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return _told(error.reason)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        ((code, answer),) = error.recipients.values()
        return _answered(code, answer)
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error.smtp_code, error.smtp_error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted, error {error.verify_code} of OpenSSL"
    if isinstance(error, OSError) and str(error).startswith("Tunnel connection failed"):
        return "the proxy lets nothing through"
    return next((said for kind, said in _FAILURES.items() if isinstance(error, kind)), type(error).__name__)


def _answered(code: int, answer: bytes | str) -> str:
    """The code that a mail server answered, with its enhanced status (RFC 3463) if there is one of the same class."""
    if code < 0:
        return "what it answers is not how mail servers speak"
    # smtplib's own words are text
    said = answer if isinstance(answer, bytes) else b""
    status = re.match(rb"%d\.\d{1,3}\.\d{1,3}(?!\S)" % (code // 100), said)
    return str(code) if status is None else f"{code} {status.group().decode()}"


# ----------------------------------------------------------------------------------------- webhook


def _slack(digest: _Digest, /) -> Mapping[str, Any]:
    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def line(item: _Item) -> str:
        if not item.is_link:
            return f"• {escaped(f'{item.name}: {item.what}, see {item.place}')}"
        # a bar would end the address
        return f"• <{escaped(item.place).replace('|', '%7C')}|{escaped(item.name)}>: {escaped(item.what)}"

    lines = [f"*casegrade: {digest.summary}*", *map(line, digest.items[:_MOST]), *_more(digest)]
    return {"text": "\n".join([*lines, *map(escaped, digest.advice)])}


def _teams(digest: _Digest, /) -> Mapping[str, Any]:
    def escaped(text: str) -> str:
        return re.sub(r"([\\`*_\[\]()#~<>])", r"\\\1", text)

    def block(text: str, **how: str) -> Mapping[str, Any]:
        return {"type": "TextBlock", "text": text, "wrap": True, **how}

    def line(item: _Item) -> str:
        if not item.is_link:
            return f"{escaped(item.name)}: {item.what}, see {escaped(item.place)}"
        # a bracket would end the address
        place = item.place.replace("(", "%28").replace(")", "%29")
        return f"[{escaped(item.name)}]({place}): {item.what}"

    # links are Markdown: Teams shows the actions of a RichTextBlock as text (microsoft/AdaptiveCards, issue 9100)
    body = [
        block(f"casegrade: {digest.summary}", weight="Bolder"),
        *(block(line(item)) for item in digest.items[:_MOST]),
        *(block(text) for text in (*_more(digest), *digest.advice)),
    ]
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    card = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [card]}


_PAYLOADS: Mapping[str, Callable[[_Digest], Mapping[str, Any]]] = {"slack": _slack, "teams": _teams}


def _more(digest: _Digest) -> Iterator[str]:
    if (n := len(digest.items) - _MOST) > 0:
        yield f'{n} more: run "{_STATUS}".'


class _AsAnswered(HTTPErrorProcessor):
    """Takes every answer as it is: to follow a redirect would tell the news to whomever it names."""

    def http_response(self, request: Request, response: http.client.HTTPResponse) -> Any:
        return response

    https_response = http_response


def _posted(payload: Mapping[str, Any], url: str | None, /) -> str | None:
    """Why the webhook could not be told; null if it was."""
    if url is None:
        return f"[notify] names a webhook, but there is no address: set {WEBHOOK} or {WEBHOOK}_FILE."
    handlers: list[Any] = [_AsAnswered(), HTTPSHandler(context=ssl.create_default_context())]
    if not url.startswith("https://"):
        # one of this machine, and without TLS: a proxy would read it
        handlers.append(ProxyHandler({}))
    try:
        request = Request(
            url,
            data=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "casegrade"},
        )
        with build_opener(*handlers).open(request, timeout=_PATIENCE) as response:
            status = int(response.status)
    except Exception as error:
        # a server can bring urllib to raise errors that it does not name
        return f"it cannot be reached ({_told(error)}): check {WEBHOOK}, and the proxy if there is one."
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"it answers {status}, which sends elsewhere: put the address that it has now into {WEBHOOK}."
    return f"it answers {status}: check {WEBHOOK}, or ask who runs it."
