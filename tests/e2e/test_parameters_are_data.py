"""Parameters full of metacharacters, all the way: asked for, kept, filled in by the engine, performed by a worker."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gnomon import Run, Scheduler
from tests.support.http_server import HttpServer, http_server
from tests.unit.tasks.test_email import Server, smtp_server

NASTY = st.text(
    st.sampled_from("$(){}[];|&<>'\"`\\*?!~#%=:@+,./ \n\t\r-aZ0äẞ🦉\x00\x7f\u2028"), min_size=1, max_size=40
) | st.sampled_from(
    [
        *("$(touch /tmp/x)", "`id`", "'; drop table runs; --", "${run_id}", "$${x}", "{url_values}", "env:HOME"),
        *("file:/etc/passwd", '{"$where": "1"}', "a\r\nX-Evil: 1", "a\r\nBcc: evil@example.com", "..", "../../x"),
        *("-rf", "%2e%2e", "=?utf-8?q?=0d=0aBcc:e@x?=", "\r\n.\r\nMAIL FROM:<e@x>", "x@y.z>, <e@x.y", "literal:x"),
    ]
)


@dataclass
class Place:
    """A scheduler inside this process, and what its tasks reach."""

    scheduler: Scheduler
    http: HttpServer
    mail: Server
    root: Path

    def run(self, job: str, text: str) -> Run:
        return self.scheduler.wait(self.scheduler.run(job, text=text), 30)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("data")
    with http_server() as http, smtp_server() as mail, Scheduler() as scheduler:
        asked = {"text": {"type": "string", "required": True}}
        request = {
            "type": "http",
            "method": "POST",
            "url": http.url + "/echo/${text}/x?a=${text}",
            "query": {"q": "${text}", "n": "<${text}>"},
            "json": {"key": "${text}", "more": ["a ${text} b"]},
        }
        message = {
            "type": "email",
            "host": "127.0.0.1",
            "port": mail.port,
            "from": "Jobs <jobs@example.com>",
            "to": ["ops@example.com"],
            "subject": "${text}",
            "body": "<${text}>",
            "attachments": [{"name": "a.txt", "content": "${text}"}],
        }
        write = {"type": "file", "operation": "write", "path": f"{root}/out", "content": "${text}"}
        named = {
            "type": "file",
            "operation": "write",
            "path": f"{root}/names/${{text}}",
            "content": "x",
            "parents": True,
        }
        for name, task in {"http": request, "email": message, "content": write, "name": named}.items():
            scheduler.add_job(name, task=task, parameters=asked, overlap="allow")
        scheduler.start()
        yield Place(scheduler, http, mail, root)


SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(text=NASTY)
@SETTINGS
@example(text="..")
@example(text="env:HOME")
def test_http(place: Place, text: str) -> None:
    before = len(place.http.seen)
    run = place.run("http", text)
    if text in (".", ".."):
        assert run.error is not None
        assert run.error.code == "bad_arguments", "it would be a step in the path"
        assert len(place.http.seen) == before
        return
    assert run.ok, run.error
    (request,) = place.http.seen[before:]
    assert run.result["json"] == {  # type: ignore[index,call-overload]
        "method": "POST",
        "rest": f"{text}/x",
        "query": [["a", text], ["n", f"<{text}>"], ["q", text]],
    }
    assert parse_qsl(request.target.partition("?")[2], keep_blank_values=True)[0] == ("a", text)
    assert json.loads(request.body) == {"key": text, "more": [f"a {text} b"]}
    assert request.header("x-evil") is None


@given(text=NASTY)
@SETTINGS
@example(text="a\r\nBcc: evil@example.com")
def test_email(place: Place, text: str) -> None:
    got = place.mail.box.got
    before = len(got)
    run = place.run("email", text)
    if any(each in text for each in "\r\n\0"):
        assert run.error is not None
        assert (run.error.code, "subject" in run.error.message) == ("bad_arguments", True)
        assert len(got) == before
        return
    assert run.ok, run.error
    (envelope,) = got[before:]
    assert envelope.rcpt_tos == ["ops@example.com"]
    message = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
    assert message["bcc"] is None
    body, attached = message.iter_parts()  # type: ignore[attr-defined]
    assert body.get_content().rstrip("\n") == f"<{text}>"
    assert attached.get_content().rstrip("\n") == text.rstrip("\n")


@given(text=NASTY)
@SETTINGS
@example(text="$(touch x)")
def test_file(place: Place, text: str) -> None:
    run = place.run("content", text)
    assert run.ok, run.error
    assert (place.root / "out").read_bytes() == text.encode()
    inside = set(place.root.iterdir())
    run = place.run("name", text)
    if run.ok:
        assert Path(f"{place.root}/names/{text}").read_text() == "x"
    else:
        assert run.error is not None
        assert run.error.code in ("bad_value", "not_a_file", "file_not_found", "not_a_directory", "bad_arguments")
    if "/" not in text and text not in (".", "..") and "\0" not in text:
        assert run.ok, run.error
        assert set(place.root.iterdir()) - inside <= {place.root / "names"}
