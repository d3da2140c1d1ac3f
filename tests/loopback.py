"""Servers on loopback that mails and messages are sent to: real ones, with certificates and passwords."""

import asyncio
import base64
import email
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

# what the mail server asks for, and what the webhook's address ends in
USER, SECRET = "casegrade", "hunter2/hunter+hunter2"
TOKEN = "T0AbCdEf/x7kQzz9"


class Inbox:
    """What a mail server was given, and whom it does not take."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.senders: list[str] = []
        self.users: list[object] = []
        self.hosts: set[str] = set()
        self.refused: set[str] = set()
        self.dropped: set[str] = set()
        # a command, and the code that it is refused with
        self.refuses: tuple[str, str] = ("", "")
        # after so many mails it knows nobody any more
        self.n_most = 1000

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        envelope.mail_from = address
        return self._answer("MAIL")

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuses[0] == "QUIT":
            server.transport.abort()
        return self._answer("QUIT")

    def _answer(self, command: str) -> str:
        refused, code = self.refuses
        # a server may quote what it was sent
        return f"{code} is it {SECRET}?" if command == refused else "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.dropped:
            server.transport.abort()
        if address in self.refused:
            return f"550 5.1.1 nobody of that name; was it {SECRET}?"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuses[0] == "DATA":
            return self._answer("DATA")
        assert session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append((envelope.rcpt_tos, message))
        self.senders.append(envelope.mail_from)
        self.users.append(session.auth_data)
        self.hosts.add(session.host_name)
        return "250 OK"

    @property
    def told(self) -> list[str]:
        return [address for addresses, _ in self.mails for address in addresses]


class MailServer(Controller):
    """A mail server on a port of loopback that is free."""

    def __init__(self, inbox: Inbox, **how: Any):
        self.sessions: list[SMTP] = []
        super().__init__(
            inbox, hostname="127.0.0.1", port=0, ready_timeout=600, server_hostname="mail.example", **how
        )

    def factory(self) -> SMTP:
        session = SMTP(self.handler, **self.SMTP_kwargs)
        # aiosmtpd counts as TLS only what STARTTLS began
        session._auth_require_tls = self.ssl_context is None
        self.sessions.append(session)
        return session

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]

    async def _settled(self) -> None:
        for session in self.sessions:
            for transport in (session.transport, session._original_transport):
                if isinstance(transport, asyncio.Transport):
                    transport.abort()
        tasks = [one._handler_coroutine for one in self.sessions if one._handler_coroutine is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        # sockets are closed by what was put off until now
        for _ in range(20):
            await asyncio.sleep(0)

    def stop(self, no_assert: bool = False) -> None:
        asyncio.run_coroutine_threadsafe(self._settled(), self.loop).result()
        super().stop(no_assert)


class Certified:
    """An authority, and what a server and its clients need of it."""

    def __init__(self, folder: Path, *names: str):
        authority = trustme.CA()
        self.file = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.file))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(self.context)


def checked(server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    inbox = server.event_handler
    if (data.login, data.password) == (USER.encode(), SECRET.encode()) and len(inbox.mails) < inbox.n_most:
        return AuthResult(success=True, auth_data=USER)
    # a server may quote what it was sent
    plain = base64.b64encode(b"\0%b\0%b" % (data.login, data.password)).decode()
    quoted = f"{data.password.decode()} {plain}"
    return AuthResult(success=False, handled=False, message=f"535 5.7.8 this is not {quoted}")


@contextmanager
def mail_server(inbox: Inbox, certified: Certified | None, security: str, **how: Any) -> Iterator[int]:
    """The port of a mail server that asks for a password."""
    if certified is not None:
        how |= {"auth_required": True, "authenticator": checked}
        how |= (
            {"tls_context": certified.context, "require_starttls": True}
            if security == "starttls"
            else {"ssl_context": certified.context}
        )
    server = MailServer(inbox, **how)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


class Scripted(socketserver.ThreadingTCPServer):
    """A server that answers each line by its first word, keeps what it was sent, and hangs up where it has no word."""

    block_on_close = True

    def __init__(self, greeting: bytes | None, **answers: bytes):
        self.greeting, self.answers = greeting, answers
        self.received: list[bytes] = []
        self.n_calls = 0
        super().__init__(("127.0.0.1", 0), _Line)


class _Line(socketserver.StreamRequestHandler):
    server: Scripted

    def handle(self) -> None:
        self.server.n_calls += 1
        if self.server.greeting is not None:
            self.wfile.write(self.server.greeting)
        for line in self.rfile:
            self.server.received.append(line)
            answer = self.server.answers.get(line.split()[0].decode("latin-1") if line.split() else "")
            if answer is None:
                return
            self.wfile.write(answer)


class Always(dict[str, bytes]):
    """Answers nothing to whatever is said."""

    def get(self, key: str, otherwise: object = None) -> bytes:
        return b""


class WebServer(ThreadingHTTPServer):
    """A webhook, which answers as it is told and keeps what it was sent."""

    daemon_threads = False

    def __init__(self) -> None:
        self.status: int | None = 200
        self.headers: dict[str, str] = {}
        self.posted: list[tuple[str, str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Post)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}/services/{TOKEN}"


class _Post(BaseHTTPRequestHandler):
    server: WebServer

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posted.append((self.path, self.headers["Content-Type"], content))
        if self.server.status is None:
            return
        # a server may quote what it was sent
        self.send_response(self.server.status, self.path)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
