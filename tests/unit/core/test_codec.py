"""Jobs as JSON: nothing lost, defaults left out, corruption named."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings

from gnomon.core.codec import definition_digest, job_from_json, job_to_json, schedule_from_json, schedule_to_json
from gnomon.core.errors import InvariantViolated
from gnomon.core.identity import duplicate_schedule_ids, is_job_id, schedule_ids
from gnomon.core.model import Job, Retry, Task
from gnomon.core.rules import ScheduleSpec
from tests.unit.jobfiles.generated import jobs, same

TASK = Task("command", {"command": ["date"]})


@settings(max_examples=200)
@given(jobs())
def test_a_job_survives_json(job: Job) -> None:
    again = job_from_json(json.loads(json.dumps(job_to_json(job))))
    assert again == job
    assert same(job_to_json(again), job_to_json(job))
    assert definition_digest(again) == definition_digest(job)


def test_defaults_are_left_out() -> None:
    assert job_to_json(Job("a", TASK)) == {
        "job_id": "a",
        "task": {"type": "command", "arguments": {"command": ["date"]}},
    }
    assert job_to_json(Job("a", TASK, retry=Retry(delay_s=5)))["retry"] == {"delay_s": 5.0}


def test_instants_are_rfc_3339() -> None:
    spec = ScheduleSpec("cron", {"cron": "0 1 * * *"}, "Europe/Berlin", start=datetime(2026, 12, 1, tzinfo=UTC))
    text = schedule_to_json(spec)
    assert text == {
        "kind": "cron",
        "rule": {"cron": "0 1 * * *"},
        "timezone": "Europe/Berlin",
        "start": "2026-12-01T00:00:00Z",
    }
    assert schedule_from_json(text) == spec


def test_the_digest_follows_the_definition_only() -> None:
    job = Job("a", TASK, labels={"x": "1", "y": "2"}, timeout_s=60)
    assert definition_digest(job) == definition_digest(replace(job, labels={"y": "2", "x": "1"}, timeout_s=60.0))
    assert definition_digest(job) != definition_digest(replace(job, timeout_s=61))


@pytest.mark.parametrize(
    "obj",
    [
        None,
        [],
        {},
        {"job_id": "a"},
        {"job_id": 5, "task": {"type": "x"}},
        {"job_id": "a", "task": {"type": "x"}, "colour": "red"},
        {"job_id": "a", "task": {"type": "x"}, "overlap": "dance"},
        {"job_id": "a", "task": {"type": "x"}, "schedules": [{"kind": "cron"}]},
        {"job_id": "a", "task": {"type": "x"}, "schedules": "none"},
        {"job_id": "a", "task": {"type": "x"}, "schedules": [{"kind": "at", "rule": {}, "start": "yesterday"}]},
    ],
)
def test_corruption_is_named(obj: object) -> None:
    with pytest.raises(InvariantViolated) as caught:
        job_from_json(obj)
    assert caught.value.code == "stored_job_corrupt"


def test_ids_of_schedules() -> None:
    one, two = ScheduleSpec("every", {"every": "1h"}), ScheduleSpec("every", {"every": "2h"}, name="b")
    assert schedule_ids(Job("a", TASK)) == ()
    assert schedule_ids(Job("a", TASK, schedules=(one,))) == ("a:default",)
    assert schedule_ids(Job("a", TASK, schedules=(two,))) == ("a:b",)
    hashed, named = schedule_ids(Job("a", TASK, schedules=(one, two)))
    assert named == "a:b"
    assert hashed.startswith("a:")
    assert hashed == schedule_ids(Job("a", TASK, schedules=(two, replace(one, jitter_s=5))))[1]
    assert duplicate_schedule_ids(Job("a", TASK, schedules=(two, one, one))) == [(1, 2, hashed)]


@pytest.mark.parametrize(
    ("text", "good"), [("a/b.c-d_E9", True), ("", False), ("a b", False), ("a\n", False), ("ä", False)]
)
def test_job_ids(text: str, good: bool) -> None:
    assert is_job_id(text) is good
