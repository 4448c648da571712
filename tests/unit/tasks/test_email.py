"""email tasks against a real SMTP server: what arrives, how it is refused, and that nothing can add a header."""

from __future__ import annotations

import asyncio
import email
import email.charset
import email.policy
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.core.errors import UsageError
from gnomon.tasks.email import EMAIL
from gnomon.tasks.email_run import run
from gnomon.tasks.net_addresses import SETTING
from gnomon.tasks.performing import TaskFailed, Work
from tests.support.loops import to_the_end

BASE = {"host": "127.0.0.1", "from": "Jobs <jobs@example.com>", "to": "ops@example.com", "subject": "Hello"}


class Mailbox:
    """A server that keeps what it is given; names that begin with `no` are refused."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address.startswith("no"):
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if b"X-Spam" in (envelope.content or b""):
            return "554 no spam"
        self.got.append(envelope)
        return "250 kept"

    def message(self) -> Message:
        content = self.got[-1].original_content
        assert content is not None
        return email.message_from_bytes(content, policy=email.policy.compat32)


class Server:
    """The mailbox, listening."""

    def __init__(self, box: Mailbox, port: int) -> None:
        self.box, self.port = box, port


@contextmanager
def smtp_server(**options: Any) -> Iterator[Server]:
    box = Mailbox()
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield Server(box, port)
    finally:
        controller.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with smtp_server() as running:
        yield running


def perform_filled(arguments: Mapping[str, Any]) -> Any:
    return asyncio.run(to_the_end(run(Work(arguments, lambda text: None, {"GNOMON_RUN_ID": "run-1"}))))


def perform(port: int, **arguments: Any) -> Any:
    return perform_filled(EMAIL.validate({**BASE, "port": port, **arguments}))


def failed(port: int, **arguments: Any) -> TaskFailed:
    with pytest.raises(TaskFailed) as error:
        perform(port, **arguments)
    return error.value


def decoded(message: Message, name: str) -> str:
    return str(make_header(decode_header(str(message[name] or ""))))


def payload(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


def test_a_message_arrives(server: Server) -> None:
    result = perform(
        server.port,
        to=["Ops, the team <ops@example.com>", "ö@example.com"][:1],
        cc="a@example.com; b@exämple.com",
        bcc="hidden@example.com",
        reply_to="back@example.com",
        subject="Größe  €",
        body="Line one\nünï\n.\n",
        headers={"X-Job": "nightly"},
    )
    people = ["ops@example.com", "a@example.com", "b@xn--exmple-cua.com", "hidden@example.com"]
    assert result == {"accepted": people, "refused": {}, "message_id": "<run-1@example.com>"}
    envelope, message = server.box.got[-1], server.box.message()
    assert (envelope.mail_from, envelope.rcpt_tos) == ("jobs@example.com", people)
    assert decoded(message, "Subject") == "Größe  €"
    assert message["To"] == '"Ops, the team" <ops@example.com>'
    assert message["From"] == "Jobs <jobs@example.com>"
    assert (message["Reply-To"], message["X-Job"], message["Bcc"]) == ("back@example.com", "nightly", None)
    assert "hidden" not in str(message)
    assert message["Message-ID"] == "<run-1@example.com>"
    assert message["Date"]
    assert payload(message).decode() == "Line one\nünï\n.\n"


def test_html_and_attachments(server: Server, tmp_path: Path) -> None:
    table = tmp_path / "tablé.csv"
    table.write_bytes(bytes(range(256)))
    perform(
        server.port,
        text="plain",
        html="<b>bold</b>",
        attachments=[
            str(table),
            {"path": str(table), "name": "x.bin", "content_type": "x/y"},
            {"content": "ü", "name": "n"},
        ],
    )
    parts = [part for part in server.box.message().walk() if not part.is_multipart()]
    kinds = [part.get_content_type() for part in parts]
    assert kinds == ["text/plain", "text/html", "text/csv", "x/y", "text/plain"]
    assert [part.get_filename() for part in parts] == [None, None, "tablé.csv", "x.bin", "n"]
    assert payload(parts[2]) == payload(parts[3]) == bytes(range(256))
    assert payload(parts[4]).decode() == "ü"


def test_attachments_that_cannot_be_sent(server: Server, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, Path("/dev/zero")):
        failure = failed(server.port, attachments=[str(path)])
        assert (failure.task_code, "attachments[0]" in failure.message) == ("attachment_missing", True)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(26 << 20)
    assert failed(server.port, attachments=str(large)).task_code == "attachment_too_large"


def test_recipients_are_refused(server: Server) -> None:
    result = perform(server.port, to=["nobody@example.com", "ops@example.com"])
    assert result["accepted"] == ["ops@example.com"]
    assert result["refused"] == {"nobody@example.com": "550 nobody of that name"}
    failure = failed(server.port, to=["nobody@example.com", "none@example.com"])
    assert (failure.task_code, "550 nobody" in failure.message) == ("smtp_refused", True)
    assert failure.result["refused"].keys() == {"nobody@example.com", "none@example.com"}  # type: ignore[index,call-overload]
    failure = failed(server.port, headers={"X-Spam": "yes"})
    assert (failure.task_code, "554 no spam" in failure.message) == ("smtp_refused", True)


def test_servers_that_are_not_there() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        failure = failed(unused.getsockname()[1])
        assert (failure.task_code, "refused" in failure.message) == ("smtp_unreachable", True)
        unused.listen()
        assert failed(unused.getsockname()[1], connect_timeout=0.2).task_code == "smtp_unreachable"
    assert failed(25, host="nowhere.invalid").task_code == "dns_failed"
    assert failed(25, host="169.254.169.254").task_code == "address_refused"


def test_private_addresses_by_setting(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "refuse")
    assert failed(server.port).task_code == "address_refused"


class TestTls:
    """STARTTLS, TLS from the start, and passwords."""

    ca = trustme.CA()

    def context(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        return context

    def bundle(self, tmp_path: Path) -> str:
        path = tmp_path / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return str(path)

    def test_starttls_and_passwords(self, tmp_path: Path) -> None:
        def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", b"right")
            return AuthResult(success=good, handled=False)

        options: dict[str, Any] = {"authenticator": check, "auth_required": True, "require_starttls": True}
        with smtp_server(tls_context=self.context("127.0.0.1"), **options) as server:
            secured = {"tls": "starttls", "verify": self.bundle(tmp_path)}
            mine = {"username": "me", "password": "right"}
            assert perform(server.port, **secured, **mine)["accepted"] == ["ops@example.com"]
            assert (
                perform(server.port, verify=secured["verify"], **mine)["refused"] == {}
            )  # starttls: there is a password
            failure = failed(server.port, **secured, username="me", password="wr0ng")
            assert (failure.task_code, "wr0ng" in failure.message) == ("smtp_auth", False)
            assert failed(server.port, **secured).task_code == "smtp_refused"
            assert failed(server.port, tls="starttls", **mine).task_code == "tls_failed"
            assert failed(server.port, tls="none").task_code == "smtp_refused"
            assert perform(server.port, tls="starttls", verify=False, **mine)["refused"] == {}

    def test_no_starttls_is_no_silent_fall_back(self, server: Server) -> None:
        before = len(server.box.got)
        failure = failed(server.port, tls="starttls")
        assert (failure.task_code, "no STARTTLS" in failure.message) == ("tls_failed", True)
        failure = failed(server.port, username="me", password="pw")
        assert failure.task_code == "tls_failed"
        assert failed(server.port, tls="none", username="me", password="pw").task_code == "smtp_auth"
        assert len(server.box.got) == before

    def test_implicit(self, server: Server, tmp_path: Path) -> None:
        with smtp_server(ssl_context=self.context("127.0.0.1")) as secure:
            bundle = self.bundle(tmp_path)
            assert perform(secure.port, tls="implicit", verify=bundle)["refused"] == {}
            assert failed(secure.port, tls="implicit").task_code == "tls_failed"
        assert failed(server.port, tls="implicit", verify=bundle).task_code == "tls_failed"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("starttls", 587)),
        ({"port": 465}, ("implicit", 465)),
        ({"port": 25}, ("none", 25)),
        ({"port": 2525, "username": "u", "password": "p"}, ("starttls", 2525)),
        ({"tls": "none"}, ("none", 25)),
        ({"tls": "ssl"}, ("implicit", 465)),
    ],
)
def test_how_connections_are_secured(given: dict[str, Any], expected: tuple[str, int]) -> None:
    from gnomon.tasks.email_arguments import security

    assert security(EMAIL.validate({**BASE, **given})) == expected


def test_everything_at_once_and_again() -> None:
    canonical = EMAIL.validate(
        {
            "smtp_host": "env:HOST",
            "smtp_port": "25",
            "user": "env:USER",
            "password": "env:PASSWORD",
            "sender": "a@b.c",
            "recipients": "x@y.z, 'Q' <q@y.z>, \"C, D\" <c@y.z>",
            "cc": ["${who}"],
            "title": "t ${x}",
            "message": "m\nn",
            "files": "/x",
        }
    )
    assert canonical == {
        "host": "env:HOST",
        "port": 25,
        "username": "env:USER",
        "password": "env:PASSWORD",
        "from": "a@b.c",
        "to": ["x@y.z", "'Q' <q@y.z>", '"C, D" <c@y.z>'],
        "cc": ["${who}"],
        "subject": "t ${x}",
        "body": "m\nn",
        "attachments": [{"path": "/x"}],
    }
    assert EMAIL.validate(canonical) == canonical
    assert EMAIL.describe(canonical).startswith("to x@y.z, 'Q' <q@y.z>")


@pytest.mark.parametrize(
    ("change", "key", "code"),
    [
        ({"host": None}, "host", "missing_key"),
        ({"host": "smtp://x"}, "host", "bad_value"),
        ({"from": None}, "from", "missing_key"),
        ({"from": "a@b, c@d"}, "from", "bad_value"),
        ({"to": None}, "to", "missing_key"),
        ({"to": []}, "to", "missing_key"),
        ({"to": "x"}, "to", "bad_value"),
        ({"to": ["a@b", "a@b\r\nBcc: c@d"]}, "to[1]", "bad_value"),
        ({"to": ["<a@b> <c@d>"]}, "to[0]", "bad_value"),
        ({"to": ["-oQ@b"]}, "to[0]", "bad_value"),
        ({"subject": "a\nBcc: x@y"}, "subject", "bad_value"),
        ({"subject": ["a"]}, "subject", "bad_type"),
        ({"tls": "maybe"}, "tls", "bad_value"),
        ({"port": 0}, "port", "bad_value"),
        ({"username": "x"}, "password", "missing_key"),
        ({"password": "x"}, "username", "missing_key"),
        ({"verify": "ca.pem"}, "verify", "bad_value"),
        ({"attachments": ["relative"]}, "attachments[0]", "bad_value"),
        ({"attachments": [{"content": "x"}]}, "attachments[0].name", "missing_key"),
        ({"attachments": [{"content": "x", "name": "../x"}]}, "attachments[0].name", "bad_value"),
        ({"attachments": [{"path": "/x", "content_type": "a/b; c"}]}, "attachments[0].content_type", "bad_value"),
        ({"headers": {"Bcc": "x"}}, "headers.Bcc", "reserved_name"),
        ({"headers": {"X-A": "x\ny"}}, "headers.X-A", "bad_value"),
        ({"headers": {"X A": "x"}}, "headers.X A", "bad_name"),
        ({"subjekt": "x"}, "subjekt", "unknown_key"),
        ({"sender": "a@b"}, "sender", "conflicting_keys"),
    ],
)
def test_mistakes_name_their_key(change: dict[str, Any], key: str, code: str) -> None:
    with pytest.raises(UsageError) as error:
        EMAIL.validate({**BASE, **change})
    assert (key, code) in {(problem.key, problem.code) for problem in error.value.problems}


def test_what_is_filled_in_adds_no_recipient(server: Server) -> None:
    before = len(server.box.got)
    for text in ("a@b.c, d@e.f", "a@b.c\r\nBcc: d@e.f", "a@b.c>, <d@e.f", "x <a@b.c>, y <d@e.f>", ""):
        with pytest.raises(TaskFailed) as error:
            perform_filled({**BASE, "port": server.port, "to": [text]})
        assert error.value.task_code == "bad_arguments"
    assert len(server.box.got) == before
    perform_filled({**BASE, "port": server.port, "to": [["a@b.c", "d@e.f"]]})  # a parameter that is a list
    assert server.box.got[-1].rcpt_tos == ["a@b.c", "d@e.f"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=120) | st.sampled_from(
    [
        "=?utf-8?q?a=0ABcc:x@y?=",
        "a\r\nBcc: x@y",
        "  two  spaces ",
        "\t",
        ".\r\n.\r\n",
        "From me\nTo you",
        "é" * 200,
        "\\",
    ]
)


@given(TEXT, TEXT)
@settings(max_examples=60, deadline=None)
@example("=?utf-8?b?Cg==?=", "\r\n.\r\nMAIL FROM:<x@y>\r\n")
@example("x" * 1000, "\r")
def test_whatever_the_parameters_hold_they_arrive_as_data(subject: str, body: str) -> None:
    box = _shared()
    count = len(box.box.got)
    arguments = {**BASE, "port": box.port, "to": ["ops@example.com"], "subject": subject, "body": body}
    if any(each in subject for each in "\r\n\0"):
        with pytest.raises(TaskFailed):
            perform_filled(arguments)
        arguments["subject"] = subject = "other"
    perform_filled(arguments)
    assert len(box.box.got) == count + 1
    message = box.box.message()
    assert decoded(message, "Subject") == subject
    assert payload(message).decode().replace("\r\n", "\n").removesuffix("\n") == body.replace(
        "\r\n", "\n"
    ).removesuffix("\n")
    assert box.box.got[-1].rcpt_tos == ["ops@example.com"]
    names = {name.lower() for name in message}
    assert names <= {
        *("subject", "from", "to", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"),
        *("x-peer", "x-mailfrom", "x-rcptto"),
    }


_RUNNING: list[Any] = []


def _shared() -> Server:
    """One server for all examples (a fixture would be refused by Hypothesis)."""
    if not _RUNNING:
        manager = smtp_server()
        _RUNNING.extend((manager, manager.__enter__()))
    server: Server = _RUNNING[1]
    return server


@pytest.fixture(scope="module", autouse=True)
def stop_shared() -> Iterator[None]:
    yield
    if _RUNNING:
        _RUNNING[0].__exit__(None, None, None)
        _RUNNING.clear()


def test_what_a_library_says_of_utf8_in_general_is_no_matter(server: Server) -> None:
    """apprise does so, in whatever process it is imported."""
    before = email.charset.CHARSETS["utf-8"]
    email.charset.add_charset("utf-8", email.charset.QP, email.charset.QP, "utf-8")
    try:
        perform(server.port, body="ü\r")
    finally:
        email.charset.CHARSETS["utf-8"] = before
    message = server.box.message()
    assert message["Content-Transfer-Encoding"] == "base64"
    assert payload(message).decode() == "ü\r"
