"""Many jobs at once: what becomes of each is said."""

from __future__ import annotations

import pytest

from gnomon.operations.runs import start_run
from tests.unit.web.calling import Caller, World

FILE = "/etc/gnomon/jobs.d/nightly.yaml"


@pytest.fixture
def jobs(world: World) -> World:
    """Two jobs of the command line, one of them at work; a web job; one of a file."""
    world.job("busy")
    start_run(world.desk, "busy")
    world.job("idle", labels={"team": "data"})
    world.job("ping", task={"type": "http", "url": "http://127.0.0.1/"}, schedule="every 1h")
    world.job("nightly", file=FILE, schedule="0 3 1 1 *", labels={"team": "data"})
    return world


def listed(caller: Caller) -> list[str]:
    return [job["job_id"] for job in caller.get("/jobs")["items"]]


def test_jobs_are_deleted_by_id_with_a_result_each(author: Caller, jobs: World) -> None:
    wanted = {"ids": ["idle", "busy", "nightly", "none", "idle"]}
    dry = author.post("/jobs/delete", {**wanted, "dry_run": True})
    assert (dry["dry_run"], dry["deleted"]) == (True, ["idle"])
    assert len(listed(author)) == 4
    told = author.post("/jobs/delete", wanted)
    assert {**dry, "dry_run": False} == told
    reasons = {kept["id"]: kept["reason"] for kept in told["kept"]}
    assert "1 runs that are not over" in reasons["busy"]
    assert FILE in reasons["nightly"]
    assert reasons["none"] == "there is no job 'none'"
    assert listed(author) == ["busy", "nightly", "ping"]


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ({"type": ["api"]}, ["ping"]),
        ({"label": ["team=data"]}, ["idle"]),
        ({"due_from": "now", "due_until": "+2h"}, ["ping"]),
        ({"q": "type:command -busy"}, ["idle"]),
        ({"type": ["command"], "q": "team"}, []),
        ({"retired": True}, []),
    ],
)
def test_jobs_are_deleted_by_type_label_period_and_word(
    author: Caller, jobs: World, body: dict[str, object], gone: list[str]
) -> None:
    assert author.post("/jobs/delete", {**body, "dry_run": True})["deleted"] == gone
    assert author.post("/jobs/delete", body)["deleted"] == gone
    assert not set(gone) & set(listed(author))


@pytest.mark.parametrize(
    ("body", "code", "key"),
    [
        ({}, "nothing_named", ""),
        ({"dry_run": True}, "nothing_named", ""),
        ({"ids": [], "type": [], "q": " "}, "nothing_named", ""),
        ({"ids": ["idle"], "type": ["http"]}, "nothing_named", ""),
        ({"type": ["nosuch"]}, "task_type_unknown", "type"),
        ({"label": ["x"]}, "label_invalid", "label"),
        ({"due_from": "someday"}, "time_invalid", "due_from"),
        ({"q": "stat:x"}, "filter_key_unknown", "q"),
        ({"id": ["idle"]}, "unknown_key", "id"),
        ({"ids": "idle"}, "bad_value", "ids"),
    ],
)
def test_an_order_that_names_nothing_or_means_nothing_is_refused(
    author: Caller, jobs: World, body: object, code: str, key: str
) -> None:
    for order in ("delete", "pause", "resume"):
        assert author.refused("POST", f"/jobs/{order}", 422, code, body)["errors"][0]["key"] == key
    assert len(listed(author)) == 4


def test_jobs_are_paused_and_resumed_whoever_owns_them(operator: Caller, viewer: Caller, jobs: World) -> None:
    viewer.refused("POST", "/jobs/pause", 403, "forbidden", {"label": ["team=data"]})
    viewer.refused("POST", "/jobs/resume", 403, "forbidden", {"label": ["team=data"]})
    operator.refused("POST", "/jobs/delete", 403, "forbidden", {"ids": ["idle"]})
    wanted = {"label": ["team=data"], "reason": "moving"}
    assert operator.post("/jobs/pause", {**wanted, "dry_run": True})["changed"] == ["idle", "nightly"]
    assert viewer.get("/jobs?paused=true")["items"] == []
    told = operator.post("/jobs/pause", wanted)
    assert (told["changed"], told["kept"]) == (["idle", "nightly"], [])
    assert {job["pause_reason"] for job in viewer.get("/jobs?paused=true")["items"]} == {"moving"}
    again = operator.post("/jobs/pause", {"ids": ["idle", "ping", "none"]})
    assert again["changed"] == ["ping"]
    assert [kept["id"] for kept in again["kept"]] == ["idle", "none"]
    assert operator.post("/jobs/resume", {"q": "paused:yes"})["changed"] == ["idle", "nightly", "ping"]
    assert viewer.get("/jobs?paused=true")["items"] == []
    actions = [entry.action for entry in jobs.desk.store.read(lambda reader: reader.audit(6))]
    assert actions == ["job.resume"] * 3 + ["job.pause"] * 3


def test_a_job_called_like_an_order_is_still_reached(author: Caller, world: World) -> None:
    for name in ("delete", "pause", "bulk"):
        world.job(name)
        assert author.post(f"/jobs/{name}/pause")["paused"] is True
        assert author.get(f"/jobs/{name}")["job_id"] == name
        author.delete(f"/jobs/{name}")
