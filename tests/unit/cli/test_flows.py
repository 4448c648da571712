"""`gnomon flows`, `gnomon runs skip`, items in lists, `gnomon backfill`."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.app import Parts
from gnomon.app.running import running
from gnomon.core.model import Job, Task
from gnomon.core.records import Source, SourceKind
from gnomon.operations.jobs import save_job

from .conftest import Gnomon


def test_a_flow_from_the_outside(parts: Parts, gnomon: Gnomon) -> None:
    root = gnomon("run", "clock", "--no-wait", "--json").json
    flow = gnomon("flows", "show", root["id"], "--json").json
    assert {run["job_id"]: run["state"] for run in flow["runs"]} == {"clock": "queued", "after": "waiting"}
    assert [one["id"] for one in gnomon("flows", "list", "--json").json] == [flow["id"]]
    assert "waits for upstream clock" in gnomon("flows", "show", flow["id"]).out.replace("\n", " ")
    assert "1 queued, 1 waiting" in " ".join(gnomon("flows", "list").out.split())
    assert gnomon("flows", "list", "--job", "clock", "--json").json == []
    waiting = next(run for run in flow["runs"] if run["job_id"] == "after")
    assert gnomon("runs", "skip", waiting["id"], "--json").json[0]["reason"] == "skipped_by_hand"
    assert gnomon("flows", "cancel", flow["id"], "--json").json["state"] == "cancelled"
    assert gnomon("flows", "cancel", flow["id"], "--json", code=2).errors[0]["code"] == "flow_over"
    assert "queued" in gnomon("flows", "retry", flow["id"]).out
    assert gnomon("flows", "show", "nothing", "--json", code=2).errors[0]["code"] == "flow_not_found"
    gates = gnomon("why", waiting["id"], "--json").json["gates"]
    assert [gate["passed"] for gate in gates if gate["name"] == "not skipped by hand"] == [False]


def test_what_was_cancelled_while_it_waited_has_not_waited_to_the_end(parts: Parts, gnomon: Gnomon) -> None:
    root = gnomon("run", "clock", "--no-wait", "--json").json
    gnomon("flows", "cancel", root["id"])
    gates = gnomon("why", "after", "--json").json["gates"]
    assert [gate["passed"] for gate in gates if gate["name"] == "upstreams are done"] == [False]


def _each(parts: Parts) -> None:
    task = Task("command", {"command": ["sh", "-c", "exit $N"], "env": {"N": "${item}"}})
    save_job(parts.desk(), Job("each", task, for_each=[0, 3, 0]), Source(SourceKind.REST))


def test_items_are_one_line_and_listed_by_their_parent(parts: Parts, gnomon: Gnomon) -> None:
    _each(parts)
    run = gnomon("run", "each", "--no-wait", "--json").json
    with running(parts, jobs=None) as node:
        node.start()
        said = gnomon("run", "each", "--wait", code=1).err
        assert "gnomon runs list --parent" in said
    listed = gnomon("runs", "list", "--job", "each", "--json").json
    assert [one["items"] for one in listed] == [{"failed": 1, "succeeded": 2}] * 2
    items = gnomon("runs", "list", "--parent", run["id"], "--json").json
    assert sorted((one["index"], one["item"], one["state"]) for one in items) == [
        (0, 0, "succeeded"),
        (1, 3, "failed"),
        (2, 0, "succeeded"),
    ]
    listing = gnomon("runs", "list", "--parent", run["id"]).out.splitlines()
    assert [line.split()[2:4] for line in listing if "failed" in line] == [["1:", "3"]]
    shown = gnomon("runs", "show", run["id"]).out
    assert "1 failed, 2 succeeded" in shown
    assert "first item 1 (3)" in shown.replace("\n", " ")
    assert "3 items: 1 failed, 2 succeeded" in gnomon("why", run["id"]).out.replace("\n", " ")
    kept = gnomon("runs", "delete", items[0]["id"], "--yes", "--json").json
    assert "an item of run" in kept["kept"][0]["reason"]
    assert gnomon("runs", "delete", run["id"], "--yes", "--json").json["deleted"] == [run["id"]]
    assert gnomon("runs", "show", items[0]["id"], "--json", code=2).errors[0]["code"] == "run_not_found"


def _daily(parts: Parts) -> None:
    desk = parts.desk()
    spec = desk.kinds.parse("0 0 * * *", default_timezone="Europe/Berlin", job_id="daily")
    save_job(desk, Job("daily", Task("command", {"command": ["true"]}), schedules=(spec,)), Source(SourceKind.REST))


def test_backfill(parts: Parts, gnomon: Gnomon) -> None:
    _daily(parts)
    words = ("backfill", "daily", "--from", "2026-01-01", "--to", "2026-01-03")
    dry: Any = gnomon(*words, "--dry-run", "--json").json
    assert [fire["local"] for fire in dry["fires"]] == [f"2026-01-0{n}T00:00:00+01:00" for n in (1, 2, 3)]
    assert "3 runs would be made" in gnomon(*words, "--dry-run").out
    refused = gnomon(*words, "--json", code=2).errors[0]
    assert (refused["code"], "nothing was made" in refused["hint"]) == ("not_confirmed", True)
    made = gnomon(*words, "--yes", "--json").json
    assert all(fire["run_id"] for fire in made["fires"])
    assert "nothing to make; 3 have a run already" in gnomon(*words, "--yes").out
    assert (
        "1 run would be made"
        in gnomon("backfill", "daily", "--from", "2026-01-05", "--to", "2026-01-05", "--dry-run").out
    )
    assert "3 runs are made" in gnomon(*words, "--yes", "--again", "--reverse", "--concurrency", "2").out
    runs = gnomon("runs", "list", "--job", "daily", "--json").json
    assert [run["cause"] for run in runs] == ["backfill"] * 6
    assert "backfill by" in gnomon("why", "daily", "2026-01-02 00:00").out


@pytest.mark.parametrize(
    ("words", "code", "key"),
    [
        (["--from", "2026-01-03", "--to", "2026-01-01"], "backfill_range", "--to"),
        (["--from", "2096-01-03", "--yes"], "backfill_range", "--from"),
        (["--from", "yesterdy"], "time_invalid", "--from"),
        (["--from", "2026-01-01", "-p", "x=1", "--yes"], "parameter_unknown", "x"),
        (["--from", "2026-01-01", "--schedule", "clock:default"], "schedule_not_found", "schedule"),
    ],
)
def test_what_a_backfill_cannot_be(parts: Parts, gnomon: Gnomon, words: list[str], code: str, key: str) -> None:
    _daily(parts)
    error = gnomon("backfill", "daily", *words, "--json", code=2).errors[0]
    assert (error["code"], error["key"]) == (code, key)
