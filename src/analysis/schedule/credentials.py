"""The secrets that telling people takes: from the environment or from a file of this user's own, and nowhere else."""

import base64
import io
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

PASSWORD, WEBHOOK = "CASEGRADE_SMTP_PASSWORD", "CASEGRADE_WEBHOOK_URL"
_IN_FILE = "_FILE"
NAMES = (PASSWORD, f"{PASSWORD}{_IN_FILE}", WEBHOOK, f"{WEBHOOK}{_IN_FILE}")

_REDACTED = "[secret]"
# more than any password or address has
_LARGEST = 8192
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
# A shorter piece of an address or of an encoded password is in words that tell nobody anything.
_SHORTEST = 4
# What the addresses of all webhooks of a kind have in common is no secret, and would leave holes in sentences.
_COMMON = re.compile(
    "api|automations|connectors|direct|hooks?|incomingwebhook|invoke|manual|paths|powerautomate|services|slack|teams|"
    "triggers|webhookb2|webhooks?|workflows",
    re.IGNORECASE,
)


class CredentialsError(Exception):
    """A secret that cannot be used. The message says what is wrong and what to do, and holds nothing of it."""


@dataclass(frozen=True)
class Credentials:
    """What the mail server and the webhook ask for; null for what was not given. Neither is ever shown.

    Attributes:
        smtp_password: what the mail server asks for.
        webhook_url: the address of the webhook; whoever knows it can write there.
    """

    smtp_password: str | None = field(default=None, repr=False)
    webhook_url: str | None = field(default=None, repr=False)

    def redacted(self, text: str, /) -> str:
        """The text with "[secret]" for each secret, for parts of the webhook's address and for encoded forms."""
        # the longest first, as one may be part of another
        forms = sorted(set(self._forms()), key=len, reverse=True)
        return re.sub("|".join(forms), _REDACTED, text) if forms else text

    def _forms(self) -> Iterator[str]:
        """Every form in which a secret may turn up, as a regular expression."""
        for secret in (self.smtp_password, self.webhook_url):
            if secret:
                yield from _written(secret)
                yield from _encoded(secret)
        if self.webhook_url:
            for part in _parts(self.webhook_url):
                yield from _written(part)


def _written(secret: str) -> Iterator[str]:
    yield re.escape(secret)
    # as Python and JSON quote it
    yield re.escape(repr(secret)[1:-1])
    yield re.escape(json.dumps(secret)[1:-1])
    for quoted in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        # some write the digits of a quoted letter small
        yield re.sub(r"%([0-9A-F]{2})", r"%(?i:\1)", re.escape(quoted))


def _encoded(secret: str) -> Iterator[str]:
    content = secret.encode()
    whole = base64.b64encode(content).decode()
    yield re.escape(whole)
    yield re.escape(whole.rstrip("="))
    # AUTH PLAIN encodes it behind the user's name, which shifts it by none, one or two bytes. Letters that
    # hold bits of its neighbours are left out here and taken along as whatever is around it.
    for shift in range(3):
        first = -(-shift * 8 // 6)
        last = (shift + len(content)) * 8 // 6
        core = base64.b64encode(bytes(shift) + content).decode()[first:last]
        if len(core) >= _SHORTEST:
            yield f"[A-Za-z0-9+/]*{re.escape(core)}[A-Za-z0-9+/=]*"


def _parts(url: str) -> Iterator[str]:
    address = urlsplit(url)
    if len(address.path) > 1:
        yield address.path
        if address.query:
            yield f"{address.path}?{address.query}"
    pieces = [*address.path.split("/"), address.query, *(value for _, value in parse_qsl(address.query))]
    for piece in pieces:
        if len(piece) >= _SHORTEST and not _COMMON.fullmatch(piece):
            yield piece
            yield unquote(piece)


def take(environ: MutableMapping[str, str] = os.environ, /) -> Credentials:
    """The secrets that the environment gives or names files of; they are removed from it, even on an error.

    Kernels and workers that are started later then do not inherit them.

    Raises:
        CredentialsError: if a secret is given twice, its file is missing, empty or not this user's alone, or it is
            no password or no address of a webhook.
    """
    given = {name: environ.pop(name, "") for name in NAMES}
    password, url = (_secret(name, given) for name in (PASSWORD, WEBHOOK))
    if password is not None and not password.isascii():
        raise CredentialsError(
            f"{PASSWORD} holds letters that mail servers do not take: choose a password of ASCII letters, "
            "digits and signs."
        )
    if url is not None and not _is_webhook(url):
        raise CredentialsError(
            f"{WEBHOOK} is no address of a webhook: give the whole address, which begins with https://."
        )
    return Credentials(password, url)


def scrubbed(environ: Mapping[str, str], /) -> dict[str, str]:
    """A copy of an environment without any variable that holds a secret or names its file."""
    return {name: value for name, value in environ.items() if name not in NAMES}


def _secret(name: str, given: Mapping[str, str]) -> str | None:
    in_file = f"{name}{_IN_FILE}"
    if given[name] and given[in_file]:
        raise CredentialsError(f"{name} and {in_file} are both set: unset one of them.")
    if given[name]:
        secret, where = given[name], name
    elif given[in_file]:
        secret, where = _read(in_file, given[in_file]), f"The file that {in_file} names"
    else:
        return None
    if not secret.isprintable():
        raise CredentialsError(f"{where} holds more than one line, or no text: give the secret alone.")
    return secret


def _read(name: str, path: str) -> str:
    """The content of a file, without the newline at its end.

    No message holds the path: somebody may have put the secret itself there.
    """
    problem = f"The file that {name} names"
    told = ""
    try:
        file = io.FileIO(path, opener=_opened)
    except (OSError, ValueError) as error:
        told = (isinstance(error, OSError) and error.strerror) or "no such name"
    # outside of the handler, so that no traceback leads back to an error that holds the path
    if told:
        raise CredentialsError(f"{problem} cannot be read ({told}): put the secret there, or mend the path.")
    with file:
        # the open file is asked, as the one at the path may be another a moment later
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise CredentialsError(f"{problem} is no ordinary file: give the path of one.")
        if sys.platform != "win32":
            if about.st_uid != os.getuid():
                raise CredentialsError(
                    f"{problem} belongs to another user: give it to the user who runs casegrade, with chown."
                )
            if about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise CredentialsError(
                    f"{problem} is open to others than its owner: close it with chmod 600, and change the secret "
                    "if somebody may have read it."
                )
        content = file.read(_LARGEST + 1)
    secret = None
    if len(content) <= _LARGEST:
        # suppressed rather than told: the error holds the content
        with suppress(UnicodeDecodeError):
            secret = content.decode().removesuffix("\n").removesuffix("\r")
    if secret is None:
        raise CredentialsError(f"{problem} holds no secret that can be used: put the secret alone there.")
    if not secret:
        raise CredentialsError(f"{problem} is empty: put the secret there.")
    return secret


def _opened(path: str, flags: int) -> int:
    # a pipe without a writer would never open
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_webhook(url: str) -> bool:
    if not url.isascii() or re.search(r"[\s\"<>\\]", url):
        return False
    # the error would hold the address
    with suppress(ValueError):
        address = urlsplit(url)
        host = address.hostname or ""
        if address.port == 0 or "@" in address.netloc:
            return False
        return bool(host) and (
            address.scheme == "https" or (address.scheme == "http" and _LOOPBACK.fullmatch(host) is not None)
        )
    return False
