"""Schedule entries over REST, and when something fires."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.web.calling import Caller, World

FILE = "/etc/gnomon/jobs.d/nightly.yaml"


def ids(document: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["id"] for item in document["items"]]


def test_an_entry_is_added_changed_and_deleted_by_itself(author: Caller, viewer: Caller, world: World) -> None:
    world.job("a")
    made = author.ask("POST", "/jobs/a/schedules", {"schedule": "every 1h"})
    assert made.status_code == 201
    assert made.json()["id"] == "a:default"
    assert made.headers["etag"] == viewer.tag("/schedules/a:default")
    second = author.post("/jobs/a/schedules", {"schedule": {"cron": "0 7 * * *", "name": "morning"}}, 201)
    assert second["id"] == "a:morning"
    assert ids(viewer.get("/schedules?job=a")) == ["a:default", "a:morning"], "the first keeps its id"
    third = author.post("/jobs/a/schedules", {"schedule": "every 2h"}, 201)
    assert viewer.get(f"/schedules/{third['id']}")["rule"] == "every 2h"
    changed = author.put("/schedules/a:morning", {"schedule": {"cron": "0 8 * * *", "timezone": "Europe/Berlin"}})
    assert (changed["id"], changed["rule"], changed["timezone"]) == ("a:morning", "0 8 * * *", "Europe/Berlin")
    author.delete("/schedules/a:default")
    assert ids(viewer.get("/schedules")) == sorted([third["id"], "a:morning"])
    assert viewer.get("/jobs/a")["definition_version"] == 6
    assert [entry.action for entry in world.desk.store.read(lambda r: r.audit(2))] == [
        "schedule.delete",
        "schedule.edit",
    ]


def test_refusals_of_entries(author: Caller, world: World) -> None:
    world.job("a", schedule={"cron": "0 7 * * *", "name": "morning"})
    told = author.refused(
        "POST", "/jobs/a/schedules", 422, "duplicate_schedule", {"schedule": {"every": "1h", "name": "morning"}}
    )
    assert told["errors"][0]["key"] == "schedule.name"
    told = author.refused("PUT", "/schedules/a:morning", 422, "cron_invalid", {"schedule": {"cron": "99 * * * *"}})
    assert told["errors"][0]["key"] == "schedule.cron"
    told = author.refused("POST", "/jobs/a/schedules", 422, "schedule_invalid", {"schedule": 7})
    assert told["errors"][0]["key"] == "schedule"
    author.refused("POST", "/jobs/a/schedules", 422, "missing_key", {})
    author.refused("POST", "/jobs/a/schedules", 422, "unknown_key", {"schedule": "every 1h", "rule": "every 1h"})
    author.refused("POST", "/jobs/b/schedules", 404, "job_not_found", {"schedule": "every 1h"})
    for method in ("GET", "PUT", "DELETE"):
        body = {"schedule": "every 1h"} if method == "PUT" else None
        told = author.refused(method, "/schedules/a:mornin", 404, "schedule_not_found", body)
        assert "a:morning" in told["errors"][0]["hint"]
    author.post("/jobs/a/schedules", {"schedule": "every 1h"}, 201)
    author.refused("GET", "/schedules/a", 409, "schedule_ambiguous")


def test_a_stale_edit_of_an_entry_is_refused(author: Caller, operator: Caller, world: World) -> None:
    world.job("a", schedule="every 1h")
    old = author.tag("/schedules/a:default")
    operator.post("/schedules/a:default/pause")
    assert author.tag("/schedules/a:default") == old, "a pause is no edit"
    author.put("/schedules/a:default", {"schedule": {"every": "1h", "jitter": "5s"}}, match=old)
    author.put("/schedules/a:default", {"schedule": "every 3h"}, 412, match=old)
    author.delete("/schedules/a:default", 412, match=old)
    author.delete("/schedules/a:default", match=author.tag("/schedules/a:default"))


def test_pause_resume_and_reset(operator: Caller, author: Caller, viewer: Caller, world: World) -> None:
    world.job("a", schedule="every 1h")
    paused = operator.post("/schedules/a:default/pause")
    assert (paused["paused"], paused["paused_by"], paused["next_fire_at"]) == (True, "rest:a-operator", None)
    assert ids(viewer.get("/schedules?paused=true")) == ["a:default"]
    assert ids(viewer.get("/schedules?q=paused:no")) == []
    assert operator.post("/schedules/a:default/resume")["next_fire_at"] is not None
    operator.refused("POST", "/schedules/a:default/reset", 403, "forbidden")
    assert author.post("/schedules/a:default/reset")["next_fire_at"] is not None
    for order in ("pause", "resume"):
        viewer.refused("POST", f"/schedules/a:default/{order}", 403, "forbidden")
        operator.refused("POST", f"/schedules/b/{order}", 404, "schedule_not_found")


def test_lists_by_page(viewer: Caller, world: World) -> None:
    for name in ("a", "b", "c"):
        world.job(name, schedule="every 1h")
    first = viewer.get("/schedules?limit=2")
    assert ids(first) == ["a:default", "b:default"]
    assert ids(viewer.get(f"/schedules?limit=2&cursor={first['next']}")) == ["c:default"]
    assert ids(viewer.get("/schedules?job=a&job=c")) == ["a:default", "c:default"]
    viewer.refused("GET", "/schedules?state=ok", 422, "unknown_parameter")


def test_next_of_a_schedule_that_is_not_saved(viewer: Caller) -> None:
    asked = {"schedule": "30 2 * * *", "timezone": "Europe/Berlin", "after": "2026-03-28T12:00:00Z", "count": 2}
    found = viewer.post("/next", asked)
    assert [fire["at"] for fire in found["fires"]] == ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    assert found["fires"][0]["note"], "the clocks go forward over it"
    excluded = {"cron": "0 9 * * *", "exclude": ["2026-12-25"], "timezone": "UTC"}
    found = viewer.post("/next", {"schedule": excluded, "after": "2026-12-24T12:00:00Z", "count": 1})
    assert found["fires"][0]["at"] == "2026-12-26T09:00:00Z"
    assert found["removed"][0]["at"] == "2026-12-25T09:00:00Z"
    assert viewer.get("/schedules")["items"] == []


@pytest.mark.parametrize(
    ("body", "code", "key"),
    [
        ({}, "missing_key", "schedule"),
        ({"schedule": "99 * * * *"}, "cron_invalid", "schedule"),
        ({"schedule": {"cron": "99 * * * *"}}, "cron_invalid", "schedule.cron"),
        ({"schedule": "every 1h", "timezone": "Mars/Base"}, "timezone_invalid", "timezone"),
        ({"schedule": "every 1h", "after": "someday"}, "time_invalid", "after"),
        ({"schedule": "every 1h", "count": 0}, "bad_value", "count"),
        ({"schedule": "every 1h", "count": 1001}, "bad_value", "count"),
        ({"schedul": "every 1h", "schedule": "every 1h"}, "unknown_key", "schedul"),
        ({"schedule": ["every 1h"]}, "schedule_invalid", "schedule"),
    ],
)
def test_a_preview_that_cannot_be_says_why(viewer: Caller, body: object, code: str, key: str) -> None:
    assert viewer.refused("POST", "/next", 422, code, body)["errors"][0]["key"] == key


def test_a_preview_opens_files_of_the_machine_only_for_authors(viewer: Caller, author: Caller, tmp_path: Path) -> None:
    path = tmp_path / "secret.ics"
    path.write_text("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    for excluded in (f"ical:{path}", [f" ICAL : {path}"], f"iCal:{path}"):
        body = {"schedule": {"every": "1h", "exclude": excluded}}
        viewer.refused("POST", "/next", 403, "forbidden", body)
    assert author.post("/next", {"schedule": {"every": "1h", "exclude": f"ical:{path}"}})["fires"]


def test_next_of_jobs_and_entries(viewer: Caller, operator: Caller, world: World) -> None:
    world.job("a", schedules=[{"cron": "0 7 * * *", "name": "am"}, {"cron": "0 19 * * *", "name": "pm"}])
    found = viewer.get("/jobs/a/next?after=2026-01-01T00:00:00Z&count=3")
    assert [fire["at"][8:13] for fire in found["fires"]] == ["01T07", "01T19", "02T07"]
    found = viewer.get("/schedules/a:pm/next?after=2026-01-01T00:00:00Z&count=2")
    assert [fire["at"][8:13] for fire in found["fires"]] == ["01T19", "02T19"]
    operator.post("/jobs/a/pause")
    assert "paused" in viewer.get("/jobs/a/next")["why"]
    viewer.refused("GET", "/jobs/b/next", 404, "job_not_found")
    viewer.refused("GET", "/schedules/b/next", 404, "schedule_not_found")
    viewer.refused("GET", "/jobs/a/next?count=0", 422, "bad_value")
    viewer.refused("GET", "/jobs/a/next?after=someday", 422, "time_invalid")
    world.job("every 1h".replace(" ", "-"))
    assert viewer.get("/jobs/every-1h/next")["fires"] == []


def test_many_entries_are_deleted_at_once(author: Caller, operator: Caller, viewer: Caller, world: World) -> None:
    world.job("a", schedule="every 1h")
    world.job("b", schedule="every 1h")
    world.job("nightly", file=FILE, schedule="every 1h")
    operator.refused("POST", "/schedules/delete", 403, "forbidden", {"all": True})
    told = author.post("/schedules/delete", {"all": True, "dry_run": True})
    assert (told["dry_run"], told["deleted"]) == (True, ["a:default", "b:default"])
    assert len(viewer.get("/schedules")["items"]) == 3
    told = author.post("/schedules/delete", {"ids": ["a", "nightly:default", "none"]})
    assert told["deleted"] == ["a:default"]
    assert [kept["id"] for kept in told["kept"]] == ["nightly:default", "none"]
    assert FILE in told["kept"][0]["reason"]
    assert author.post("/schedules/delete", {"job": "b"})["deleted"] == ["b:default"]
    told = author.post("/schedules/delete", {"all": True})
    assert told["deleted"] == []
    assert FILE in told["kept"][0]["reason"]
    assert [job["job_id"] for job in viewer.get("/jobs")["items"]] == ["a", "b", "nightly"], "jobs stay"
    author.refused("POST", "/schedules/delete", 404, "job_not_found", {"job": "none"})
    for body in ({}, {"all": False}, {"ids": [], "dry_run": True}, {"ids": ["a"], "all": True}):
        author.refused("POST", "/schedules/delete", 422, "nothing_named", body)
