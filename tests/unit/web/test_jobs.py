"""Jobs over REST."""

from __future__ import annotations

import pytest

from gnomon.core.access import Role
from gnomon.core.records import SkipReason
from tests.unit.web.calling import PREFIX, TASK, Caller, World

FILE = "/etc/gnomon/jobs.d/nightly.yaml"


def ids(document: dict[str, list[dict[str, str]]], key: str = "job_id") -> list[str]:
    return [item[key] for item in document["items"]]


def test_a_job_is_made_read_listed_changed_and_deleted(author: Caller, viewer: Caller, world: World) -> None:
    made = author.ask("POST", "/jobs", {"job_id": "a", "schedule": "every 1h", "task": TASK})
    assert made.status_code == 201
    assert made.headers["etag"] == viewer.tag("/jobs/a")
    assert viewer.get("/jobs/a") == made.json()
    assert viewer.get("/jobs/a")["source"] == {"kind": "rest", "path": None}
    assert ids(viewer.get("/jobs")) == ["a"]
    assert world.changes == 1, "the scheduler looks at once"
    changed = author.put("/jobs/a", {"task": TASK, "schedule": "every 2h"})
    assert changed["definition_version"] == 2
    author.refused("POST", "/jobs", 409, "job_exists", {"job_id": "a", "task": TASK})
    author.delete("/jobs/a")
    author.refused("GET", "/jobs/a", 404, "job_not_found")
    author.refused("DELETE", "/jobs/a", 404, "job_not_found")


def test_every_mistake_of_a_definition_is_told_with_its_key(author: Caller) -> None:
    wrong = {"job_id": "a", "schedule": "99 * * * *", "task": {"type": "command", "comand": "date"}, "retires": 1}
    told = author.refused("POST", "/jobs", 422, "unknown_key", wrong)["errors"]
    assert {"schedule", "retires"} <= {fault["key"] for fault in told}
    assert all(fault["message"] for fault in told)
    author.refused("POST", "/jobs", 422, "missing_key", None)
    author.refused("PUT", "/jobs/b", 422, "conflicting_keys", {"job_id": "a", "task": TASK})
    author.refused("PUT", "/jobs/b", 422, "unknown_dependency", {"task": TASK, "depends_on": ["nobody"]})


def test_jobs_of_files_refuse_edits_naming_the_file(author: Caller, operator: Caller, world: World) -> None:
    world.job("nightly", file=FILE, schedule="every 1h")
    for method, path, body in (
        ("PUT", "/jobs/nightly", {"task": TASK}),
        ("DELETE", "/jobs/nightly", None),
        ("POST", "/jobs/nightly/schedules", {"schedule": "every 2h"}),
        ("PUT", "/schedules/nightly:default", {"schedule": "every 2h"}),
        ("DELETE", "/schedules/nightly:default", None),
    ):
        told = author.refused(method, path, 409, "owned_by_file", body)
        assert FILE in told["detail"], (method, path)
        assert FILE in told["errors"][0]["hint"]
    assert operator.post("/jobs/nightly/pause", {"reason": "moving"})["pause_reason"] == "moving"
    assert operator.post("/jobs/nightly/resume")["paused"] is False
    assert operator.post("/schedules/nightly:default/pause")["paused"] is True


def test_a_stale_edit_is_refused(author: Caller, world: World) -> None:
    world.job("a", schedule="every 1h")
    old = author.tag("/jobs/a")
    author.put("/jobs/a", {"task": TASK, "schedule": "every 2h"}, match=old)
    author.put("/jobs/a", {"task": TASK, "schedule": "every 3h"}, 412, match=old)
    assert author.get("/jobs/a")["definition"]["schedule"] == "every 2h"
    author.put("/jobs/b", {"task": TASK}, 412, match=old)
    author.refused("GET", "/jobs/b", 404, "job_not_found")
    author.delete("/jobs/a", 412, match=old)
    author.put("/jobs/a", {"task": TASK}, match=f'"other", W/{author.tag("/jobs/a")}')
    author.put("/jobs/a", {"task": TASK, "schedule": "every 3h"}, match="*")


def test_of_many_who_edit_the_same_at_once_one_wins(author: Caller, world: World) -> None:
    world.job("a")
    headers = {**author.headers, "If-Match": author.tag("/jobs/a")}
    tasks = [{"type": "command", "command": ["echo", str(number)]} for number in range(8)]
    edits = [{"method": "PUT", "url": f"{PREFIX}/jobs/a", "headers": headers, "json": {"task": t}} for t in tasks]
    answers = world.together(edits)
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    (winner,) = (tasks[number] for number, answer in enumerate(answers) if answer.status_code == 200)
    assert author.get("/jobs/a")["task"]["command"] == winner["command"]
    assert author.get("/jobs/a")["definition_version"] == 2


def test_pausing_is_no_edit_of_the_definition(author: Caller, world: World) -> None:
    world.job("a", schedule="every 1h")
    before = author.tag("/jobs/a")
    author.post("/jobs/a/pause")
    assert author.tag("/jobs/a") == before


def test_lists_by_id_type_label_and_word(viewer: Caller, world: World) -> None:
    world.job("reports/daily", labels={"team": "data"})
    world.job("ping", task={"type": "http", "url": "http://127.0.0.1/"}, schedule="every 1h")
    world.job("load", task={"type": "sql", "url": "sqlite://", "query": "select 1"})
    assert ids(viewer.get("/jobs?limit=2")) == ["load", "ping"]
    following = viewer.get("/jobs?limit=2")["next"]
    assert ids(viewer.get(f"/jobs?limit=2&cursor={following}")) == ["reports/daily"]
    assert ids(viewer.get("/jobs?type=api")) == ["ping"]
    assert ids(viewer.get("/jobs?type=db&type=http")) == ["load", "ping"]
    assert ids(viewer.get("/jobs?label=team=data")) == ["reports/daily"]
    assert ids(viewer.get("/jobs?id=ping&id=load&id=none")) == ["load", "ping"]
    assert ids(viewer.get("/jobs?due_from=now&due_until=%2B2h")) == ["ping"]
    assert ids(viewer.get("/jobs?q=-type:http+repo")) == ["reports/daily"]
    assert ids(viewer.get("/jobs?q=type:db&paused=false")) == ["load"]
    assert viewer.get("/jobs/reports%2Fdaily")["job_id"] == "reports/daily"


@pytest.mark.parametrize(
    ("query", "code", "key"),
    [
        ("type=nosuch", "task_type_unknown", "query.type"),
        ("label=x", "label_invalid", "query.label"),
        ("due_from=someday", "time_invalid", "query.due_from"),
        ("q=stat:x", "filter_key_unknown", "query.q"),
        ("limit=0", "bad_value", "query.limit"),
        ("limit=1001", "bad_value", "query.limit"),
        ("cursor=zzz", "bad_cursor", "cursor"),
        ("limt=5", "unknown_parameter", "query.limt"),
        ("limit=5&limit=6", "parameter_repeated", "query.limit"),
    ],
)
def test_a_question_that_means_nothing_says_what_is_wrong(viewer: Caller, query: str, code: str, key: str) -> None:
    told = viewer.refused("GET", f"/jobs?{query}", 422, code)
    assert told["errors"][0]["key"] == key


def test_an_unknown_parameter_names_the_nearest_and_is_never_passed_over(author: Caller, world: World) -> None:
    assert "limit" in author.refused("GET", "/jobs?limt=5", 422, "unknown_parameter")["errors"][0]["hint"]
    world.job("a")
    author.refused("DELETE", "/jobs/a?dry_run=true", 422, "unknown_parameter")
    assert author.get("/jobs/a")["job_id"] == "a"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/jobs", {"job_id": "b", "task": TASK}),
        ("PUT", "/jobs/a", {"task": TASK}),
        ("DELETE", "/jobs/a", None),
        ("POST", "/jobs/delete", {"ids": ["a"]}),
    ],
)
def test_who_may_run_may_not_define(operator: Caller, world: World, method: str, path: str, body: object) -> None:
    world.job("a")
    told = operator.refused(method, path, 403, "forbidden", body)
    assert Role.OPERATOR in told["detail"]


def test_the_same_key_makes_a_job_and_an_entry_once(author: Caller) -> None:
    key = {"Idempotency-Key": "k1"}
    made = author.post("/jobs", {"job_id": "a", "task": TASK}, 201, **key)
    assert author.post("/jobs", {"job_id": "a", "task": TASK}, 201, **key) == made
    author.refused("POST", "/jobs", 409, "idempotency_key_reused", {"job_id": "b", "task": TASK}, **key)
    author.refused("POST", "/jobs", 409, "job_exists", {"job_id": "a", "task": TASK}, **{"Idempotency-Key": "k2"})
    key = {"Idempotency-Key": "k3"}
    entry = author.post("/jobs/a/schedules", {"schedule": "every 1h"}, 201, **key)
    assert author.post("/jobs/a/schedules", {"schedule": "every 1h"}, 201, **key) == entry
    assert len(author.get("/schedules")["items"]) == 1


@pytest.mark.parametrize("path", ["/jobs/a/pause", "/jobs/a/resume"])
def test_who_may_read_may_not_pause(viewer: Caller, world: World, path: str) -> None:
    world.job("a")
    viewer.refused("POST", path, 403, "forbidden")


def test_definitions_of_a_job(author: Caller, viewer: Caller, world: World) -> None:
    world.job("a", schedule="every 1h")
    author.put("/jobs/a", {"task": TASK, "schedule": "every 2h"})
    author.put("/jobs/a", {"task": TASK, "schedule": "every 3h"})
    listed = viewer.get("/jobs/a/definitions")
    assert listed["items"][0] == viewer.get("/jobs/a/definitions/3")
    assert listed["items"][0]["current"] is True
    first = viewer.get("/jobs/a/definitions?limit=1")
    assert [item["version"] for item in first["items"]] == [3]
    assert viewer.get("/jobs/a/definitions/2")["definition"]["schedule"] == "every 2h"
    rest = viewer.get(f"/jobs/a/definitions?cursor={first['next']}")
    assert [item["version"] for item in rest["items"]] == [2, 1]
    viewer.refused("GET", "/jobs/a/definitions/9", 404, "definition_not_found")
    viewer.refused("GET", "/jobs/a/definitions/0", 422, "bad_value")
    viewer.refused("GET", "/jobs/a/definitions?cursor=x", 422, "bad_cursor")
    viewer.refused("GET", "/jobs/b/definitions", 404, "job_not_found")
    viewer.refused("GET", "/jobs/b/definitions/1", 404, "job_not_found")


def test_skips_of_a_job(viewer: Caller, world: World) -> None:
    world.job("a", schedule="every 1h")
    for hour in range(5):
        world.skip("a", hour, SkipReason.PAUSED if hour % 2 else SkipReason.OVERLAP)
    every = viewer.get("/jobs/a/skips")
    assert [skip["first_at"][11:13] for skip in every["items"]] == ["04", "03", "02", "01", "00"]
    seen, cursor = [], ""
    while True:
        some = viewer.get(f"/jobs/a/skips?limit=2{cursor}")
        seen += some["items"]
        if some["next"] is None:
            break
        cursor = f"&cursor={some['next']}"
    assert seen == every["items"]
    paused = viewer.get("/jobs/a/skips?reason=paused&since=2026-01-01T02:00:00Z")
    assert [skip["first_at"][11:13] for skip in paused["items"]] == ["03"]
    assert viewer.get("/jobs/a/skips?q=schedule:a:other")["items"] == []
    assert viewer.get("/skips?schedule=a:default") == every
    assert viewer.get("/skips?q=job:b")["items"] == []
    assert len(viewer.get("/skips?q=reason:overlap")["items"]) == 3
    viewer.refused("GET", "/jobs/a/skips?reason=bored", 422, "filter_value_invalid")
    viewer.refused("GET", "/jobs/a/skips?cursor=x", 422, "bad_cursor")
    viewer.refused("GET", "/jobs/b/skips", 404, "job_not_found")
