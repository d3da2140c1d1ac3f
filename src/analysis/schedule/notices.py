"""Tell people of scheduled runs: one mail to each address, one message to a webhook. Neither holds any figure."""

import hashlib
import http.client
import json
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
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

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from analysis.present import plainly, wording
from analysis.schedule.credentials import PASSWORD, WEBHOOK, Credentials
from analysis.schedule.rota import CHANGED, FAILURE, LONDON, RECOVERY, Address, Mail, Notify

# seconds without a word from a server
_PATIENCE = 30.0
# A server that hangs up may do so because of one address, and the others are not to wait for it; after so many in
# a row it is the server.
_LOST = 3
# A card of Teams may have 28 kB, so that a message in which all reports changed would be refused.
_MOST = 25
# Whoever runs this is not told to every server on the way: the mail's sender says enough.
_HOST = "[127.0.0.1]"
# Headers here are short. Python fails to fold some addresses, which stand in its way as they are.
_UNFOLDED = SMTP.clone(max_line_length=998)
_LONGEST_ANSWER = 200
_NAMED = 3


def _kind(said: str) -> str:
    if said not in (FAILURE, RECOVERY, CHANGED):
        raise ValueError("should be a kind of news")
    return said


def _page(said: str) -> str:
    if said.startswith("/") or "\\" in said or ".." in said.split("/") or not said.isprintable():
        raise ValueError("should be the path of a file below the folder of reports")
    return said


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
    kind: Annotated[str, AfterValidator(_kind)]
    when: AwareDatetime
    due: AwareDatetime
    run_id: str
    addresses: tuple[Address, ...]
    version: str | None = None
    page: Annotated[str, AfterValidator(_page)]
    webhook: bool = True


@dataclass(frozen=True)
class Sent:
    """What became of news.

    Attributes:
        remaining: the news that somebody could not be told, with only those addresses, and the webhook only if that
            failed: what to send when it is tried again.
        problems: why, a sentence each, without any secret.
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
    zone: str = LONDON,
) -> Sent:
    """Tell everybody who is to be told, each in one message. What cannot be delivered is no error, but remains.

    News of a kind that the settings leave out, or for a way that they do not give, is told to nobody and does not
    remain.

    Args:
        news: what happened.
        settings: of what is told, and how.
        credentials: what the mail server and the webhook ask for.
        named: the full name of a report by its slug.
        shown: the place of a file by its path below the folder of reports, used if the settings give no link.
        now: the moment that mails are dated.
        zone: the time zone that times are told in.
    """
    wanted = [one for one in news if one.kind in settings.on]
    digest = partial(_digest, named=named, shown=shown, link=settings.link, zone=zone)
    missed: Mapping[str, str] = {}
    if settings.mail is not None:
        letters = {}
        for address in dict.fromkeys(address for one in wanted for address in one.addresses):
            theirs = [one for one in wanted if address in one.addresses]
            letters[address] = _letter(settings.mail.sender, address, theirs, digest(theirs), now)
        missed = _mailed(settings.mail, letters, credentials)
    untold: str | None = None
    if settings.webhook is not None and (theirs := [one for one in wanted if one.webhook]):
        untold = _posted(_PAYLOADS[settings.webhook](digest(theirs)), credentials)
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
    return Sent(tuple(remaining), tuple(credentials.redacted(plainly.harmless(one)) for one in problems))


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
_CHANGED = {
    _DRAFT: "figures changed, and a draft waits to be read and published",
    _PUBLISHED: "figures changed, and the new version is published",
}
_STATUS = "casegrade schedule status"


def _digest(
    news: Sequence[News],
    /,
    *,
    named: Callable[[str], str],
    shown: Callable[[str], str],
    link: str | None,
    zone: str,
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
            what=f"{_what(one)} (due {_minute(one.due, zone)}, ended {_minute(one.when, zone)})",
            place=_line(shown(one.page) if link is None else f"{link}/{quote(one.page)}"),
        )
        for one in sorted(news, key=lambda one: (order.index(one.kind), one.name, one.when))
    )
    return _Digest(", ".join(said), items, tuple(_advice(news)))


def _what(one: News) -> str:
    if one.kind == FAILURE:
        return "the report could not be made"
    if one.kind == RECOVERY:
        return "the report was made again, after runs that failed"
    return _CHANGED.get(one.version or "", "figures changed")


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


def _minute(moment: datetime, zone: str) -> str:
    local = moment.astimezone(ZoneInfo(zone))
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


class _UnsentError(Exception):
    """One mail that was not delivered. The message says why and what to do."""


class _NoMailError(Exception):
    """No mail can be delivered now. The message says why and what to do."""


def _mailed(
    mail: Mail, letters: Mapping[str, EmailMessage], credentials: Credentials, /
) -> Mapping[str, str]:
    """The addresses that could not be reached, each with the reason."""
    missed: dict[str, str] = {}
    waiting = list(letters)
    connection = _Connection(mail, credentials)
    try:
        while waiting:
            try:
                connection.send(waiting[0], letters[waiting[0]])
            except _UnsentError as problem:
                missed[waiting[0]] = str(problem)
            waiting.pop(0)
    except _NoMailError as problem:
        missed |= dict.fromkeys(waiting, str(problem))
    finally:
        connection.close()
    return missed


class _Connection:
    """To the mail server, made when it is first needed and again when it was lost, and never without TLS."""

    def __init__(self, mail: Mail, credentials: Credentials, /):
        self._mail, self._credentials = mail, credentials
        self._client: smtplib.SMTP | None = None
        self._n_lost = 0

    def send(self, address: str, message: EmailMessage, /) -> None:
        """Deliver a mail to one address.

        Raises:
            _UnsentError: if the server does not take it.
            _NoMailError: if it takes none at all.
        """
        if self._client is None:
            self._client = self._opened()
        client, refusal, is_lost = self._client, "", False
        try:
            client.send_message(message, self._mail.sender, [address])
        except smtplib.SMTPRecipientsRefused as error:
            refusal = f"the mail server refuses the address ({self._answer(*error.recipients[address])})"
        except smtplib.SMTPSenderRefused as error:
            answer = self._answer(error.smtp_code, error.smtp_error)
            raise _NoMailError(
                f"the mail server refuses the sender ({answer}): check sender and user in [notify.mail]."
            ) from None
        except smtplib.SMTPResponseException as error:
            refusal = f"the mail server refuses the mail ({self._answer(error.smtp_code, error.smtp_error)})"
        except Exception as error:
            # a server can bring smtplib to raise errors that it does not name
            is_lost, refusal = True, _told(error)
        if client.sock is None or is_lost:
            client.close()
            self._client = None
        self._n_lost = self._n_lost + 1 if is_lost else 0
        if self._n_lost >= _LOST:
            raise _NoMailError(f"the mail server is there, but takes nothing ({refusal}): look at its log.")
        if is_lost:
            raise _UnsentError(f"the connection to the mail server was lost ({refusal}): look at its log.")
        if refusal:
            raise _UnsentError(f"{refusal}: check the address under notify, or ask who runs the server.")

    def _opened(self) -> smtplib.SMTP:
        mail, password = self._mail, self._credentials.smtp_password
        if mail.user is not None and password is None:
            raise _NoMailError(
                f"[notify.mail] names a user, but there is no password: set {PASSWORD} or {PASSWORD}_FILE."
            )
        if mail.user is not None and not mail.user.isascii():
            raise _NoMailError(
                "user in [notify.mail] has letters outside ASCII: mail servers do not take them."
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
            client.ehlo()
            if mail.user is not None and password is not None:
                client.login(mail.user, password)
        except Exception as error:
            if client is not None:
                client.close()
            # without the error: its traceback would lead to the password
            raise self._unusable(error) from None
        return client

    def _unusable(self, error: Exception) -> _NoMailError:
        if isinstance(error, _NoMailError):
            return error
        if isinstance(error, smtplib.SMTPAuthenticationError):
            answer = self._answer(error.smtp_code, error.smtp_error)
            return _NoMailError(
                f"the mail server refuses user and password ({answer}): check user in [notify.mail], and {PASSWORD}."
            )
        if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
            return _NoMailError(
                "the mail server takes no password in any way known here: check host and port in [notify.mail], or "
                "take user out there."
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return _NoMailError(
                f"the certificate of the mail server cannot be trusted ({_told(error)}), and nothing was sent: check "
                "host in [notify.mail], and name the certificate of the server's authority as authority there."
            )
        told = (
            self._answer(error.smtp_code, error.smtp_error)
            if isinstance(error, smtplib.SMTPResponseException)
            else _told(error)
        )
        return _NoMailError(
            f"the mail server cannot be used ({told}): check host, port and security in [notify.mail]."
        )

    def _answer(self, code: int, answer: bytes | str) -> str:
        """What the server answered, in one line; a server may quote what it was sent."""
        if code < 0:
            return "what it answers is not how mail servers speak"
        said = answer if isinstance(answer, str) else answer.decode("ascii", "replace")
        # before it is cut, as half a secret would not be found
        return f"{code} {self._credentials.redacted(_line(said))[:_LONGEST_ANSWER]}".strip()

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._client is not None:
            # whatever was to be delivered is
            with suppress(Exception):
                self._client.quit()
            self._client.close()
            self._client = None


def _told(error: BaseException) -> str:
    """What went wrong with a connection, in words of the system's: those of the error may hold a secret."""
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return _told(error.reason)
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).rstrip(".")
    if isinstance(error, ssl.SSLError):
        return f"TLS: {str(error.reason or 'failed').replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, smtplib.SMTPServerDisconnected | http.client.RemoteDisconnected):
        return "it hung up, or did not answer in time"
    if isinstance(error, OSError) and str(error).startswith("Tunnel connection failed"):
        return "the proxy lets nothing through"
    if isinstance(error, http.client.HTTPException):
        return "what it answers is not how web servers speak"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


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


def _posted(payload: Mapping[str, Any], credentials: Credentials, /) -> str | None:
    """Why the webhook could not be told; null if it was."""
    url = credentials.webhook_url
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
