"""`[alerts]` in the settings: what is wrong names its key."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.core.errors import Problem
from gnomon.operations.alert_settings import AlertSettings, read_alerts

OPS = {"type": "webhook", "url": "https://chat.example/hook"}


def read(table: object) -> tuple[AlertSettings, list[Problem]]:
    problems: list[Problem] = []
    return read_alerts(table, None, problems), problems


def test_everything_at_its_place() -> None:
    found, problems = read({"default": "ops", "ops": OPS, "late_after": "10m", "remind": "1d", "heartbeat": "env:HC"})
    assert problems == []
    assert (found.general.channels, found.general.late_after_s, found.general.remind_s) == (("ops",), 600, 86400)
    assert (found.heartbeat, found.heartbeat_s, [*found.channels], found.given) == ("env:HC", 60, ["ops"], True)
    assert read({}) == (AlertSettings(), [])


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ({"late_after": "soon"}, "alerts.late_after", "duration"),
        ({"heartbeat_every": "0s"}, "alerts.heartbeat_every", "at least a second"),
        ({"remind": True}, "alerts.remind", "duration"),
        ({"heartbeat": "hc.example"}, "alerts.heartbeat", "http://"),
        ({"defualt": ["ops"]}, "alerts.defualt", "did you mean 'default'"),
        ({"default": OPS}, "alerts.default", "another name"),
        ({"default": ["opps"], "ops": OPS}, "alerts.default", "did you mean 'ops'"),
        ({"o p s": OPS}, "alerts.o p s", "letters"),
        ({"ops": {**OPS, "urll": "x"}}, "alerts.ops.urll", "did you mean 'url'"),
        (3, "alerts", "table"),
    ],
)
def test_mistakes_name_their_key(table: Any, key: str, words: str) -> None:
    _, (problem, *_) = read(table)
    assert problem.key == key
    assert words in f"{problem.message} {problem.hint}"
