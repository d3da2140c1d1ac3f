import logging
import os
import stat
import traceback
from pathlib import Path

import pytest

from analysis.schedule import credentials
from analysis.schedule.credentials import NAMES, PASSWORD, WEBHOOK, Credentials, CredentialsError

SECRET = 'hunter2 "und/er+st\\and"'
TOKEN = "T0AbCdEf/B0987/x7kQ-zz_9"
URL = f"https://hooks.chat.example/services/{TOKEN}?sig=ab%2Bc%2Fd9&sv=1.0"


def in_file(folder: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "held"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def refused(environ: dict[str, str], *, secret: str = SECRET) -> str:
    """What is told of an environment that cannot be used; neither it nor its traceback tells the secret."""
    with pytest.raises(CredentialsError) as caught:
        credentials.take(environ)
    error: BaseException | None = caught.value
    told = "".join(traceback.format_exception(caught.value))
    while error is not None:
        told += repr(error)
        error = error.__context__
    assert secret not in told
    assert not set(environ) & set(NAMES)
    return str(caught.value)


def test_secrets_are_taken_out_of_the_environment() -> None:
    environ = {PASSWORD: SECRET, WEBHOOK: URL, "PATH": "/bin"}
    assert credentials.take(environ) == Credentials(SECRET, URL)
    assert environ == {"PATH": "/bin"}


def test_they_are_gone_from_the_environment_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, SECRET)
    assert credentials.take().smtp_password == SECRET
    assert PASSWORD not in os.environ


def test_without_secrets_there_are_none() -> None:
    assert credentials.take({}) == Credentials(None, None)
    assert credentials.take(dict.fromkeys(NAMES, "")) == Credentials(None, None)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secrets_come_from_files_of_this_users_own(tmp_path: Path, end: str) -> None:
    environ = {f"{PASSWORD}_FILE": str(in_file(tmp_path, SECRET + end))}
    assert credentials.take(environ) == Credentials(SECRET, None)
    assert not environ
    assert credentials.take({f"{WEBHOOK}_FILE": str(in_file(tmp_path, URL + end))}) == Credentials(None, URL)


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    told = refused({PASSWORD: SECRET, f"{PASSWORD}_FILE": str(in_file(tmp_path, SECRET))})
    assert told == f"{PASSWORD} and {PASSWORD}_FILE are both set: unset one of them."


@pytest.mark.skipif(os.name != "posix", reason="there, others are kept out in another way")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o610])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    assert "chmod 600" in refused({f"{PASSWORD}_FILE": str(in_file(tmp_path, SECRET, mode))})


@pytest.mark.skipif(os.name != "posix", reason="there, files have no owner of this kind")
def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = in_file(tmp_path, SECRET)
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    assert "belongs to another user" in refused({f"{PASSWORD}_FILE": str(path)})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (SECRET + "\nmore\n", "more than one line"),
        (SECRET + "\0", "no text"),
        (SECRET.encode() + b"\xff", "no secret that can be used"),
        (SECRET * 1000, "no secret that can be used"),
    ],
)
def test_a_file_without_one_secret_is_refused(tmp_path: Path, content: str | bytes, told: str) -> None:
    assert told in refused({f"{PASSWORD}_FILE": str(in_file(tmp_path, content))})


def test_a_file_that_is_missing_is_refused_without_its_name_as_that_may_be_the_secret(tmp_path: Path) -> None:
    assert "cannot be read" in refused({f"{PASSWORD}_FILE": SECRET})
    assert "cannot be read" in refused({f"{PASSWORD}_FILE": f"{SECRET}\0"})
    assert "cannot be read" in refused({f"{PASSWORD}_FILE": str(tmp_path)})


@pytest.mark.skipif(os.name != "posix", reason="there are no such pipes")
def test_a_pipe_that_nobody_writes_to_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert "no ordinary file" in refused({f"{PASSWORD}_FILE": str(tmp_path / "pipe")})


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:80/a", "http://localhost/a", "http://[::1]:8/a"])
def test_a_webhook_is_https_or_on_this_machine(url: str) -> None:
    assert credentials.take({WEBHOOK: url}).webhook_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.chat.example/s3cret",
        "http://127.0.0.1.evil.example/s3cret",
        "http://localhost@evil.example/s3cret",
        "ftp://hooks.chat.example/s3cret",
        "file:///s3cret",
        "https:///s3cret",
        "https://hooks.chat.example:port/s3cret",
        "https://[hooks/s3cret",
        "https://user:s3cret@hooks.chat.example/",
        "https://hooks.chat.example/s3cret space",
        "https://hooks.chat.example/s3cretü",
        "s3cret",
    ],
)
def test_any_other_address_is_refused_and_not_shown(url: str) -> None:
    assert "https://" in refused({WEBHOOK: url}, secret="s3cret")


def test_a_password_that_mail_servers_do_not_take_is_refused() -> None:
    assert "ASCII" in refused({PASSWORD: "pässword"}, secret="pässword")
    assert "more than one line" in refused({PASSWORD: f"{SECRET}\n{SECRET}"})


def test_secrets_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    held = Credentials(SECRET, URL)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r", held, held)
    for shown in (repr(held), str(held), f"{held}", caplog.text):
        assert "hunter2" not in shown
        assert TOKEN not in shown
        assert "hooks.chat.example" not in shown
