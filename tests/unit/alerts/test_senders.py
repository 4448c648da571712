"""Each type of channel against a real server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from hypothesis import given
from hypothesis import strategies as st

from gnomon.alerts import read_channel
from gnomon.alerts.channel import Message, Undelivered
from gnomon.alerts.email import mail_of
from gnomon.alerts.ping import ping_address, send_ping
from gnomon.app.sending import new_client, send_message
from gnomon.core.errors import UsageError
from tests.support.hooks import Hooks, hooks
from tests.support.loops import to_the_end

pytestmark = pytest.mark.filterwarnings("ignore:.*imghdr.*:DeprecationWarning")  # what apprise imports
MESSAGE = Message(
    "[gnomon] bäckup: failed",
    "bäckup failed: exit code 1\n\njob: bäckup",
    {"event": "failed", "job_id": "bäckup", "text": "bäckup failed"},
    "gnomon-i1-failed-7",
    datetime(2026, 11, 20, 3, tzinfo=UTC),
)


@pytest.fixture
def site() -> Iterator[Hooks]:
    with hooks() as found:
        yield found


def send(table: dict[str, object]) -> None:
    channel = read_channel("ops", table)

    async def once() -> None:
        async with new_client() as http:
            await send_message(channel, MESSAGE, http)

    asyncio.run(to_the_end(once()))


def refusal(table: dict[str, object]) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        send(table)
    return caught.value


# ---- webhook -----------------------------------------------------------------------------------


def test_a_webhook_gets_json_that_can_be_verified(site: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", site.url("/secret/path"))
    monkeypatch.setenv("KEY", "k3y")
    monkeypatch.setenv("TOKEN", "Bearer t0ken")
    send({"type": "webhook", "url": "env:HOOK", "signing_key": "env:KEY", "headers": {"Authorization": "env:TOKEN"}})
    (post,) = site.posts
    assert (post.path, post.json) == ("/secret/path", MESSAGE.document)
    assert post.headers["idempotency-key"] == MESSAGE.key
    assert post.headers["authorization"] == "Bearer t0ken"
    assert post.headers["content-type"] == "application/json"
    expected = hmac.new(b"k3y", post.body, hashlib.sha256).hexdigest()
    assert post.headers["x-gnomon-signature"] == f"sha256={expected}"


@pytest.mark.parametrize(("status", "permanent"), [(500, False), (429, False), (404, False), (302, False), (422, True)])
def test_a_refusal_says_how_and_whether_to_go_on(site: Hooks, status: int, permanent: bool) -> None:
    site.status = status
    error = refusal({"type": "webhook", "url": site.url()})
    assert (str(status) in str(error), error.permanent) == (True, permanent)


def test_a_server_that_is_not_there(site: Hooks) -> None:
    with hooks() as gone:
        url = gone.url()
    assert not refusal({"type": "webhook", "url": url}).permanent


def test_a_secret_that_is_missing_is_named_and_may_come(site: Hooks) -> None:
    error = refusal({"type": "webhook", "url": "env:NO_SUCH_VARIABLE"})
    assert ("env:NO_SUCH_VARIABLE" in str(error), error.permanent) == (True, False)


@pytest.mark.parametrize("table", [{"url": "{}"}, {"url": "env:HOOK"}])
def test_a_server_that_repeats_a_secret_address_gives_nothing_away(
    site: Hooks, table: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.url("/hooks/T0CANARYpath/x%20y-canary?token=canary77&a=1").replace("//", "//user:pw-canary@")
    monkeypatch.setenv("HOOK", url)
    site.status, site.says = 404, f"no\x1b[31m hook {url}\n\nat /hooks/T0CANARYpath/x y-canary".encode()
    error = refusal({"type": "webhook", "url": str(table["url"]).format(url)})
    assert "canary" not in str(error).lower()
    assert str(error).startswith("answered 404")
    assert str(error).isprintable()


def test_an_answer_that_never_ends_is_cut(site: Hooks) -> None:
    site.status, site.endless = 500, True
    assert len(str(refusal({"type": "webhook", "url": site.url()}))) < 300
    site.status = 200
    send({"type": "webhook", "url": site.url()})  # who said 200 has it


def test_a_server_that_hangs_is_left_in_time(site: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.app.sending.TOTAL_S", 0.3)
    site.hold = threading.Event()
    error = refusal({"type": "webhook", "url": site.url()})
    assert ("within 0.3 s" in str(error), error.permanent) == (True, False)
    error = refusal({"type": "apprise", "url": f"json://127.0.0.1:{site.port}"})
    assert ("within 0.3 s" in str(error), error.permanent) == (True, False)


def test_what_libraries_log_of_addresses_stays_away(
    site: Hooks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gnomon.app.sending.THREAD", threading.current_thread().name)
    caplog.set_level("DEBUG")
    send({"type": "webhook", "url": site.url("/canary")})
    assert "canary" not in caplog.text


# ---- email -------------------------------------------------------------------------------------


class Mailbox:
    """What an SMTP server took; recipients at `full.example` are refused."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.code = 550

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.endswith("@full.example"):
            return f"{self.code} no"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((session.authenticated, envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp(mailbox: Mailbox) -> Iterator[int]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    yield from _started(controller)


def free_port() -> int:
    """A port nobody listens at: this server wants to know it beforehand."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _started(controller: Controller) -> Iterator[int]:
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def mail_to(port: int, *to: str, **more: object) -> dict[str, object]:
    return {"type": "email", "host": "127.0.0.1", "port": port, "from": "g@example.org", "to": list(to), **more}


def test_a_mail_is_sent(smtp: int, mailbox: Mailbox) -> None:
    send(mail_to(smtp, "a@example.org", "b@example.org", tls="none"))
    ((_, to, mail),) = mailbox.mails
    assert to == ["a@example.org", "b@example.org"]
    assert mail["Message-ID"] == "<gnomon-i1-failed-7@gnomon.invalid>"
    assert "exit code 1" in mail.get_payload(decode=True).decode()
    assert mail["Date"] == "Fri, 20 Nov 2026 03:00:00 +0000"


@pytest.mark.parametrize(("code", "permanent"), [(550, True), (450, False)])
def test_recipients_that_are_refused(smtp: int, mailbox: Mailbox, code: int, permanent: bool) -> None:
    mailbox.code = code
    error = refusal(mail_to(smtp, "a@full.example", tls="none"))
    assert (str(code) in str(error), error.permanent) == (True, permanent)


def test_who_was_refused_among_others_is_told(smtp: int, mailbox: Mailbox) -> None:
    error = refusal(mail_to(smtp, "a@example.org", "b@full.example", tls="none"))
    assert ("not with all: b@full.example: 550" in str(error), error.permanent) == (True, True)
    assert len(mailbox.mails) == 1


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_makes_one_mail(text: str) -> None:
    arguments = read_channel("ops", mail_to(25, "a@example.org")).arguments
    mail = message_from_bytes(mail_of(arguments, replace(MESSAGE, text=text)).as_bytes())
    assert [key.lower() for key in mail.keys()].count("subject") == 1  # noqa: SIM118
    assert mail["To"] == "a@example.org"
    assert not mail.is_multipart()


def test_a_server_without_encryption_gets_nothing(smtp: int, mailbox: Mailbox) -> None:
    assert not refusal(mail_to(smtp, "a@example.org")).permanent
    assert mailbox.mails == []


def test_encrypted_and_with_a_password(mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("MAIL_PASSWORD", "pässword")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    seen: list[bytes] = []

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        seen.append(data.password)
        return AuthResult(success=data.password == "pässword".encode(), handled=False)

    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=check,
        auth_required=True,
    )
    for port in _started(controller):
        send(mail_to(port, "a@example.org", username="g", password="env:MAIL_PASSWORD"))
        assert mailbox.mails[0][0] is True
        monkeypatch.setenv("MAIL_PASSWORD", "wr0ng-one")
        error = refusal(mail_to(port, "a@example.org", username="g", password="env:MAIL_PASSWORD"))
        assert "535" in str(error)
        assert "wr0ng-one" not in str(error)
    assert seen[0] == "pässword".encode()


# ---- apprise -----------------------------------------------------------------------------------


def test_apprise_speaks_to_its_services(site: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", f"json://127.0.0.1:{site.port}/chat")
    send({"type": "apprise", "url": "env:CHAT"})
    (post,) = site.posts
    assert post.json["title"] == MESSAGE.title
    assert "exit code 1" in post.json["message"]
    site.status = 500
    error = refusal({"type": "apprise", "urls": ["env:CHAT"]})
    assert (str(error), error.permanent) == ("not delivered by json://…", False)


def test_apprise_tells_texts_not_html(site: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "MESSAGE", replace(MESSAGE, text="a <b>{{ 7*7 }}</b> ${x} 'q' & \r\n <script>"))
    send({"type": "apprise", "url": f"json://127.0.0.1:{site.port}/?format=html"})
    said = site.posts[0].json["message"]
    assert "<b>" not in said
    assert "{{ 7*7 }}" in said.replace("&nbsp;", " ")


def test_an_apprise_service_that_hangs_holds_up_nothing_else(site: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.app.sending.TOTAL_S", 0.1)
    site.hold, site.hold_for = threading.Event(), "/hangs"
    stuck = {"type": "apprise", "url": f"json://127.0.0.1:{site.port}/hangs?rto=15"}
    said = [str(refusal(stuck)) for _ in range(4)]
    assert said[2:] == ["earlier tries still hang"] * 2
    monkeypatch.setattr("gnomon.app.sending.TOTAL_S", 10)
    send({"type": "apprise", "url": f"json://127.0.0.1:{site.port}/well"})


def test_apprise_addresses_nobody_understands() -> None:
    error = refusal({"type": "apprise", "url": "nosuchservice://x/secret"})
    assert (error.permanent, "secret" in str(error)) == (True, False)


def test_a_missing_library_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'gnomon[alerts]'" in str(refusal({"type": "apprise", "url": "json://127.0.0.1:1/"}))


# ---- pings -------------------------------------------------------------------------------------


def test_pings_go_where_the_event_says(site: Hooks) -> None:
    async def all_three() -> None:
        async with new_client() as http:
            for event in ("start", "success", "fail"):
                await send_ping(http, site.url("/uuid?x=1"), event, f"it is {event}")

    asyncio.run(all_three())
    assert [(p.path, p.body.decode()) for p in site.posts] == [
        ("/uuid/start?x=1", "it is start"),
        ("/uuid?x=1", "it is success"),
        ("/uuid/fail?x=1", "it is fail"),
    ]
    assert ping_address("https://hc.example/u/", "fail") == "https://hc.example/u/fail"
    with pytest.raises(Undelivered):
        ping_address("ftp://x", "start")


# ---- what is written ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ({}, "alerts.ops.type", "has no type"),
        ({"type": "webhok"}, "alerts.ops.type", "did you mean 'webhook'"),
        ({"type": "webhook"}, "alerts.ops.url", "missing"),
        ({"type": "webhook", "url": "example.org"}, "alerts.ops.url", "http://"),
        ({"type": "webhook", "url": "https://x", "header": {}}, "alerts.ops.header", "did you mean 'headers'"),
        ({"type": "webhook", "url": "https://x", "headers": {"a": 1}}, "alerts.ops.headers", "table of texts"),
        ({"type": "webhook", "url": "https://"}, "alerts.ops.url", "no address"),
        ({"type": "webhook", "url": "https://a b"}, "alerts.ops.url", "no address"),
        ({"type": "webhook", "url": "https://x", "headers": {"a b": "c"}}, "alerts.ops.headers", "none of a header"),
        ({"type": "webhook", "url": "https://x", "headers": {"a": "b\nc"}}, "alerts.ops.headers", "one line"),
        ({"type": "email", "host": "h", "from": "a b@c", "to": "c@d"}, "alerts.ops.from", "no mail address"),
        ({"type": "email", "host": "h", "from": "a@b", "to": []}, "alerts.ops.to", "empty"),
        ({"type": "email", "host": "h", "from": "a@b", "to": "x\ny@z"}, "alerts.ops.to", "no mail address"),
        ({"type": "email", "host": "h", "from": "a@b", "to": "c@d", "port": 0}, "alerts.ops.port", "65535"),
        (
            {"type": "email", "host": "h", "from": "a@b", "to": "c@d", "tls": "none", "password": "env:P"},
            "alerts.ops.tls",
            "in clear",
        ),
        ({"type": "apprise"}, "alerts.ops.urls", "missing"),
    ],
)
def test_mistakes_name_the_key(table: dict[str, object], key: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_channel("ops", table)
    problem = caught.value.problems[0]
    assert (problem.code, problem.key) == ("channel_invalid", key)
    assert words in f"{problem.message} {problem.hint}"


def test_descriptions_hide_what_may_be_secret() -> None:
    for table in (
        {"type": "webhook", "url": "https://user:pw@chat.example/hooks/s3cret?token=s3cret"},
        {"type": "apprise", "url": "slack://s3cret/token"},
        {"type": "email", "host": "h", "from": "a@b", "to": "c@d", "username": "pw", "password": "env:s3cret"},
    ):
        channel = read_channel("ops", table)
        said = channel.kind.describe(channel.arguments)
        assert "s3cret" not in said
        assert "pw" not in said
