"""Runs, flows and backfills over REST."""

from __future__ import annotations

import pytest

from tests.unit.web.calling import TASK, Caller, World


@pytest.fixture
def pair(world: World) -> World:
    """A job, and one after it."""
    world.job("a", parameters={"day": {"type": "string", "default": "x"}}, schedule="0 0 * * *")
    world.job("b", depends_on=["a"])
    return world


def test_a_run_is_started_found_skipped_and_cancelled(pair: World, operator: Caller, viewer: Caller) -> None:
    run = operator.post("/jobs/a/runs", {"parameters": {"day": "mon"}}, 201)
    assert (run["state"], run["cause"], run["parameters"], run["actor"]) == (
        "queued",
        "manual",
        {"day": "mon"},
        "rest:a-operator",
    )
    assert viewer.get(f"/runs/{run['id']}") == viewer.get(f"/runs/{run['id'][:20]}") == run
    flow = viewer.get(f"/flows/{run['id']}")
    assert [(r["job_id"], r["state"]) for r in flow["runs"]] == [("a", "queued"), ("b", "waiting")]
    assert [f["id"] for f in viewer.get("/flows")["items"]] == [run["id"]]
    below = flow["runs"][1]["id"]
    assert operator.post(f"/runs/{below}/skip")["reason"] == "skipped_by_hand"
    assert operator.post(f"/runs/{run['id']}/cancel")["state"] == "cancelled"
    operator.refused("POST", f"/runs/{run['id']}/cancel", 409, "run_over")
    again = operator.post(f"/runs/{run['id']}/retry", None, 201)
    assert again["retry_of"] == run["id"]
    assert operator.post(f"/flows/{run['id']}/cancel")["state"] == "cancelled"
    operator.refused("POST", "/jobs/a/runs", 422, "parameter_unknown", {"parameters": {"dya": 1}})
    operator.refused("POST", "/jobs/none/runs", 404, "job_not_found")
    operator.refused("GET", "/runs/none", 404, "run_not_found")


def test_lists_by_every_word(pair: World, operator: Caller, viewer: Caller) -> None:
    first = operator.post("/jobs/a/runs", None, 201)["id"]
    operator.post(f"/runs/{first}/cancel")
    second = operator.post("/jobs/a/runs", None, 201)["id"]

    def found(query: str) -> list[str]:
        return [run["id"] for run in viewer.get(f"/runs?{query}")["items"]]

    assert found("state=cancelled&job=a") == [first]
    assert found("q=state:active+job:a") == [second]
    assert found("state=queued&state=cancelled&job=a") == [second, first]
    assert found("since=1h&job=a") == [second, first]
    assert found("until=2020-01-01") == []
    page = viewer.get("/runs?job=a&limit=1")
    assert [run["id"] for run in page["items"]] == [second]
    assert found(f"job=a&limit=1&cursor={page['next']}") == [first]
    assert viewer.refused("GET", "/runs?state=faield", 422, "state_unknown")["errors"][0]["key"] == "query.state"
    assert viewer.refused("GET", "/runs?q=sate:failed", 422, "filter_key_unknown")["errors"][0]["key"] == "query.q"
    viewer.refused("GET", "/runs?cursor=x", 422, "bad_cursor")


def test_the_same_key_gives_the_same_run(pair: World, operator: Caller, admin: Caller) -> None:
    key = {"Idempotency-Key": "once"}
    first = operator.post("/jobs/a/runs", None, 201, **key)
    assert operator.post("/jobs/a/runs", None, 201, **key) == first
    assert admin.post("/jobs/a/runs", None, 201, **key)["id"] != first["id"], "keys of others are other keys"
    operator.refused("POST", "/jobs/a/runs", 409, "idempotency_key_reused", {"parameters": {"day": "tue"}}, **key)
    operator.refused("POST", "/jobs/b/runs", 409, "idempotency_key_reused", **key)
    assert len(operator.get("/runs?job=a")["items"]) == 2


def test_backfills(pair: World, operator: Caller, viewer: Caller) -> None:
    wish = {"from": "2026-01-01", "until": "2026-01-04", "concurrency": 2}
    dry = operator.post("/jobs/a/backfill", {**wish, "dry_run": True})
    assert [fire["run_id"] for fire in dry["fires"]] == [None] * 3
    assert viewer.get("/runs")["items"] == []
    made = operator.post("/jobs/a/backfill", wish)
    assert all(fire["run_id"] for fire in made["fires"])
    assert operator.post("/jobs/a/backfill", wish)["there"] == 3
    viewer.refused("POST", "/jobs/a/backfill", 403, "forbidden", wish)
    operator.refused("POST", "/jobs/a/backfill", 422, "backfill_range", {"from": "2026-01-04", "until": "2026-01-01"})
    refused = operator.refused("POST", "/jobs/a/backfill", 422, "time_invalid", {"from": "nonsense", "until": "now"})
    assert refused["errors"][0]["key"] == "from"


def test_deleting_by_id_and_by_filter(pair: World, operator: Caller, author: Caller) -> None:
    ids = [operator.post("/jobs/a/runs", None, 201)["id"] for _ in range(3)]
    for run_id in ids[:2]:
        operator.post(f"/flows/{run_id}/cancel")
    operator.refused("POST", "/runs/delete", 403, "forbidden", {"ids": ids})
    author.refused("POST", "/runs/delete", 422, "nothing_named", {})
    author.refused("POST", "/runs/delete", 422, "nothing_named", {"ids": [], "q": ""})
    author.refused("POST", "/runs/delete", 409, "run_active", {"ids": ids})
    dry = author.post("/runs/delete", {"q": "job:a", "dry_run": True})
    assert sorted(dry["deleted"]) == sorted(ids[:2])
    assert [kept["id"] for kept in dry["kept"]] == [ids[2]]
    assert len(author.get("/runs?job=a")["items"]) == 3
    author.refused("DELETE", f"/runs/{ids[2]}", 409, "run_active")
    author.delete(f"/runs/{ids[0]}")
    assert author.post("/runs/delete", {"q": "job:a"})["deleted"] == [ids[1]]
    assert [run["id"] for run in author.get("/runs?job=a")["items"]] == [ids[2]]


def test_output_of_a_run_that_has_none_yet(pair: World, operator: Caller, viewer: Caller) -> None:
    run_id = operator.post("/jobs/a/runs", None, 201)["id"]
    answer = viewer.ask("GET", f"/runs/{run_id}/log?download=true")
    assert (answer.text, answer.headers["x-gnomon-complete"]) == ("", "false")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{run_id}.log"'
    viewer.refused("GET", f"/runs/{run_id}/log?attempt=3", 422, "attempt_not_found")


def test_a_job_file_owns_its_job_but_it_may_be_run(world: World, operator: Caller) -> None:
    world.job("filed", file="/etc/jobs/f.yaml", task=TASK)
    assert operator.post("/jobs/filed/runs", None, 201)["job_id"] == "filed"
