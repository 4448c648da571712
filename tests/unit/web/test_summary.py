"""Sums over REST."""

from __future__ import annotations

from tests.unit.web.calling import Caller, World


def test_the_first_page_in_one_answer(world: World, operator: Caller, viewer: Caller) -> None:
    world.job("a")
    first = operator.post("/jobs/a/runs", None, 201)["id"]
    operator.post(f"/runs/{first}/cancel")
    operator.post("/jobs/a/runs", None, 201)
    found = viewer.get("/summary?since=1h")
    assert found["success"]["cancelled"] == 1
    assert found["oldest_queued"]["job_id"] == "a"
    assert found["capacity"] == {"running": 0, "capacity": 0, "nodes": 0}
    assert {state for bucket in found["strip"]["buckets"] for state in bucket["counts"]} == {"cancelled", "queued"}
    assert [bar["state"] for bar in viewer.get("/summary/jobs?id=a")["jobs"]["a"]["bars"]] == ["cancelled", "queued"]
    assert viewer.get("/summary/jobs")["jobs"].keys() == {"a"}
    assert viewer.get("/summary/count?q=state:queued") == {"count": 1, "exact": True}
    viewer.refused("GET", "/summary?since=2026-01-02&until=2026-01-01", 422, "period_invalid")
    viewer.refused("GET", "/summary?buckets=0", 422, "bad_value")


def test_the_ends_of_time_are_no_accident(admin: Caller) -> None:
    for query in ("until=0001-01-01", "until=9999-12-31T23:59:59Z", "since=0001-01-01", "since=9999-12-31T23:59:59Z"):
        assert admin.ask("GET", f"/summary?{query}").status_code in (200, 422), query
