"""Why, job files, task types, and what this gnomon is."""

from __future__ import annotations

import json

import pytest

from gnomon.core.records import FileRecord, SkipReason
from gnomon.core.version import __version__
from gnomon.operations.files import GUARD
from gnomon.operations.runs import start_run
from tests.unit.web.calling import TASK, Caller, World

BAD = "job_id: a\nschedule: 99 * * * *\ntask: {type: command, command: date}\n"
PROBLEM = {"file": "/jobs/a.yaml", "line": 2, "column": 1, "key": "x", "code": "c", "message": "m", "hint": ""}


def test_why_of_a_job_and_of_a_run(viewer: Caller, world: World) -> None:
    world.job("a", schedule="0 * * * *", timezone="Europe/Berlin")
    assert viewer.get("/jobs/a/why")["outcome"] == "future"
    world.skip("a", 5, SkipReason.PAUSED)
    assert viewer.get("/jobs/a/why")["outcome"] == "skipped"
    assert viewer.get("/jobs/a/why?at=2026-01-01T05:00:00Z")["outcome"] == "skipped"
    assert viewer.get("/jobs/a/why?at=2026-01-01 06:00")["outcome"] == "skipped", "in the zone of the job"
    assert viewer.get("/jobs/a/why?at=2026-01-01T05:30:00Z")["outcome"] == "no_fire"
    run = str(start_run(world.desk, "a")["id"])
    told = viewer.get(f"/runs/{run}/why")
    assert (told["outcome"], told["run_id"]) == ("queued", run)
    assert told["gates"]
    assert viewer.get(f"/runs/{run[:20]}/why")["run_id"] == run
    viewer.refused("GET", "/jobs/b/why", 404, "job_not_found")
    viewer.refused("GET", "/jobs/b/why?at=now", 404, "job_not_found")
    assert viewer.refused("GET", "/jobs/a/why?at=someday", 422, "time_invalid")["errors"][0]["key"] == "query.at"
    for end in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31"):
        viewer.refused("GET", f"/jobs/a/why?at={end}", 422, "time_invalid")
    viewer.refused("GET", "/runs/nosuchrun/why", 404, "run_not_found")


def test_a_text_is_judged_with_line_and_column(author: Caller, operator: Caller, world: World) -> None:
    told = author.post("/validate", {"text": BAD})
    assert (told["ok"], told["jobs"]) == (False, [])
    assert [(e["line"], e["column"], e["key"], e["code"]) for e in told["errors"]] == [
        (2, 11, "schedule", "cron_invalid")
    ]
    good = {"job_id": "b", "task": {"use": "api"}, "depends_on": ["upstream"]}
    assert author.post("/validate", {"text": json.dumps(good), "format": "json"})["ok"] is False
    world.job("upstream")
    author.put("/configurations/api", {"type": "command", "arguments": {"command": ["true"]}})
    told = author.post("/validate", {"text": json.dumps(good), "format": "json"})
    assert told == {"ok": True, "jobs": ["b"], "errors": [], "warnings": []}, "beside what there is"
    toml = 'job_id = "c"\n[task]\ntype = "command"\ncommand = "date"\n'
    assert author.post("/validate", {"text": toml, "format": "toml"})["jobs"] == ["c"]
    assert [job["job_id"] for job in author.get("/jobs")["items"]] == ["upstream"], "nothing is saved"
    for text in ("", "\x00", "[" * 5000, "&a [*a]"):
        assert author.post("/validate", {"text": text})["ok"] is False
    operator.refused("POST", "/validate", 403, "forbidden", {"text": BAD})
    author.refused("POST", "/validate", 422, "missing_key", {})
    author.refused("POST", "/validate", 422, "bad_value", {"text": BAD, "format": "xml"})


def test_job_files_and_their_errors(viewer: Caller, operator: Caller, author: Caller, world: World) -> None:
    now = world.desk.clock.now()
    records = [FileRecord("/jobs/a.yaml", "", False, now, (PROBLEM,)), FileRecord("/jobs/b.yaml", "", True, now)]
    world.desk.store.write(lambda tx: tx.put_files(records))
    told = viewer.get("/files")
    assert [(file["path"], file["ok"]) for file in told["items"]] == [("/jobs/a.yaml", False), ("/jobs/b.yaml", True)]
    assert told["items"][0]["problems"] == [PROBLEM]
    assert told["guard"] is None
    first = viewer.get("/files?limit=1")
    assert viewer.get(f"/files?cursor={first['next']}")["items"] == told["items"][1:]
    world.desk.store.write(lambda tx: tx.put_setting(GUARD, "the directory is empty"))
    assert viewer.get("/files")["guard"] == "the directory is empty"
    operator.refused("POST", "/files/confirm-empty", 403, "forbidden")
    assert author.post("/files/confirm-empty") == {"confirmed": True}


def test_what_there_is(viewer: Caller, world: World) -> None:
    types = {item["name"]: item for item in viewer.get("/task-types")["items"]}
    assert {"command", "http", "sql", "file", "email", "mongo", "python"} <= types.keys()
    assert "api" in types["http"]["aliases"]
    assert types["command"]["description"]
    told = viewer.get("/about")
    assert (told["version"], told["database"], told["timezone"]) == (__version__, "sqlite", "UTC")
    assert {"cron", "every", "calendar", "at", "rrule", "startup"} == set(told["schedule_kinds"])
    assert told["settings"]["concurrency"] == 10
    assert str(world.parts.directory) not in json.dumps(told), "where the database is nobody needs to know"
    assert "tls_key" not in told["settings"]


@pytest.mark.parametrize(
    "path",
    ["/jobs", "/schedules", "/configurations", "/files", "/about", "/task-types", "/openapi.json", "/jobs/a/why"],
)
def test_strangers_are_told_nothing(stranger: Caller, path: str) -> None:
    stranger.refused("GET", path, 401, "token_missing")


def test_bodies_that_no_job_has_are_refused_and_never_a_bug(author: Caller) -> None:
    deep: object = "x"
    for _ in range(900):
        deep = [deep]
    for value in (float("nan"), "\ud800", "\x00", 10**400, deep, {"": None}, [[]]):
        for job in ({"job_id": "a", "task": {**TASK, "env": value}}, {"job_id": value, "task": TASK}, {"task": value}):
            answer = author.send("POST", "/jobs", json.dumps(job))
            assert 400 <= answer.status_code < 500, (str(job)[:80], answer.text)
        for body in ({"arguments": {"cwd": value}}, {"type": "http", "arguments": {"url": value}}):
            answer = author.send("PUT", "/configurations/c", json.dumps(body))
            assert answer.status_code < 500, (str(body)[:80], answer.text)
            for path in ("/configurations/c", "/configurations/c/versions", "/configurations"):
                assert author.ask("GET", path).status_code in (200, 404)
        preview = {"schedule": {"every": "1h", "parameters": {"p": value}, "name": "n"}}
        assert author.send("POST", "/next", json.dumps(preview)).status_code < 500


@pytest.mark.parametrize("key", ["jobs", "defaults", "pools", "configurations"])
def test_a_job_is_no_file(author: Caller, key: str) -> None:
    for value in ([], {}, [{"job_id": "b", "task": TASK}]):
        told = author.refused("POST", "/jobs", 422, "misplaced_key", {"job_id": "a", "task": TASK, key: value})
        assert told["errors"][0]["key"] == key
    assert author.get("/jobs")["items"] == []


def test_half_characters_are_refused(author: Caller) -> None:
    for order in ("jobs", "schedules", "runs"):
        answer = author.send("POST", f"/{order}/delete", '{"ids": ["\\ud800"]}')
        assert answer.status_code == 422, answer.text
    assert author.send("POST", "/configurations/delete", '{"names": ["\\ud800"]}').status_code == 422
    assert author.send("POST", "/next", '{"schedule": "\\ud800"}').status_code == 422
