"""The secrets that telling people takes: from the environment or from a file of this user's own, and nowhere else."""

import io
import os
import re
import stat
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PASSWORD, WEBHOOK = "CASEGRADE_SMTP_PASSWORD", "CASEGRADE_WEBHOOK_URL"
_IN_FILE = "_FILE"
NAMES = (PASSWORD, f"{PASSWORD}{_IN_FILE}", WEBHOOK, f"{WEBHOOK}{_IN_FILE}")

# more than any password or address has
_LARGEST = 8192
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


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
