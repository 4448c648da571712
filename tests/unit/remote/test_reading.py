"""What comes back: events, and refusals."""

from __future__ import annotations

import json

import pytest

from gnomon.core import errors
from gnomon.remote.calls.call import Answer, Call, Followed
from gnomon.remote.problems import error_of
from gnomon.remote.streams import PAUSES_S, Event, Following, Lines

FAULT = {"file": None, "line": 2, "column": 3, "key": "task", "code": "bad_value", "message": "no", "hint": "yes"}


def events(text: str) -> list[Event]:
    lines = Lines()
    return [event for line in text.split("\n") if (event := lines.put(line)) is not None]


def test_events_are_put_together_from_lines() -> None:
    whole = 'id: 7\nevent: change\ndata: {"seq":7,\ndata: "a":"b: c"}\n\ndata:{}\n\n'
    text = f": all is quiet\n\nretry: 1000\n\n{whole}id: 9\nda"
    assert events(text) == [Event("7", "change", {"seq": 7, "a": "b: c"}), Event("", "message", {})]


def test_following_goes_on_after_the_last_that_was_seen_and_gives_up_at_last() -> None:
    following = Following(Followed(Call("follow_events", "GET", "/e", headers={"A": "b"}), frozenset({"complete"})))
    assert "Last-Event-ID" not in following.call().headers
    assert following.seen(Event("7", "change", {})) is False
    assert following.call().headers == {"A": "b", "Last-Event-ID": "7"}
    assert following.seen(Event("", "output", {})) is False
    assert following.call().headers["Last-Event-ID"] == "7"
    lost = errors.Unavailable(errors.Problem("server_unreachable", "gone"))
    assert [following.pause(lost) for _ in PAUSES_S] == list(PAUSES_S)
    with pytest.raises(errors.Unavailable, match="gone"):
        following.pause(lost)
    following.seen(Event("8", "change", {}))
    assert following.pause(None) == PAUSES_S[0], "what arrives begins the count anew"
    with pytest.raises(errors.Forbidden):
        following.pause(errors.Forbidden(errors.Problem("forbidden", "no")))
    for _ in PAUSES_S[1:]:
        following.pause(None)
    with pytest.raises(errors.Unavailable) as ended:
        following.pause(None)
    assert ended.value.code == "stream_ended"
    assert following.seen(Event("9", "complete", {})) is True


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.UsageError),
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (412, errors.Stale),
        (413, errors.UsageError),
        (422, errors.UsageError),
        (500, errors.InvariantViolated),
        (503, errors.Unavailable),
    ],
)
def test_a_refusal_is_the_error_it_was(status: int, kind: type[errors.GnomonError]) -> None:
    content = json.dumps({"status": status, "code": "bad_value", "errors": [FAULT, {**FAULT, "code": "other"}]})
    found = error_of(Answer(status, {"content-type": "application/problem+json"}, content.encode()), "http://x")
    assert type(found) is kind
    assert found.problems[0] == errors.Problem("bad_value", "no", "task", "yes", None, 2, 3)
    assert [problem.code for problem in found.problems] == ["bad_value", "other"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"errors": []}', '{"errors": [3]}', '{"errors": [{}]}', "<html>"])
def test_what_is_no_refusal_of_gnomon_is_said(content: str) -> None:
    for kind in ("application/json", "text/html"):
        found = error_of(Answer(404, {"content-type": kind}, content.encode()), "http://x")
        assert isinstance(found, errors.Unavailable)
        assert found.code == "answer_not_understood"
