"""The example with a configuration of three jobs, served: an edit changes the next run, runs say their version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.test_cli import Place, place
from tests.support.service import until

__all__ = ["place"]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "jobs.d" / "shared-configuration.yaml"
JOBS = ("shop-orders", "shop-returns", "shop-stock")


def run_all(place: Place) -> dict[str, tuple[str, Any]]:
    """What each job printed, and the configuration its run names."""
    flow = place.cli("run", "shop-orders", "--no-wait")["flow_id"]
    place.cli("run", "shop-returns", "--no-wait")

    def over() -> list[Any]:
        found = place.rows("select * from runs where finished_at is not null order by due_at desc, id desc")
        newest = {row["job_id"]: row for row in reversed(found)}
        done = [row for row in newest.values() if row["flow_id"] == flow or row["job_id"] == "shop-returns"]
        active = place.rows("select 1 from runs where finished_at is null")
        return done if len(done) == len(JOBS) and not active else []

    runs = until(over, "the three jobs have run")
    answer = {}
    for row in runs:
        run = place.cli("runs", "show", row["id"])
        used = run["configuration"]
        assert f"{used['name']} (version {used['version']})" in place.plain("runs", "show", row["id"]).stdout
        answer[row["job_id"]] = (place.cli("runs", "logs", row["id"])["log"].strip(), run["configuration"])
    return answer


def test_three_jobs_on_one_configuration(place: Place) -> None:
    text = EXAMPLE.read_text()
    place.write("shop.yaml", text)
    place.serve()
    until(lambda: len(place.rows("select 1 from jobs")) == len(JOBS), "the jobs are loaded")
    first = {"name": "shop", "version": 1}
    assert run_all(place) == {
        "shop-orders": ("shop eu, timeout 20, orders", first),
        "shop-returns": ("shop eu, timeout 60, returns", first),
        "shop-stock": ("shop eu, timeout 20, stock", first),
    }

    place.write("shop.yaml", text.replace("REGION: eu", "REGION: asia"))
    until(lambda: len(place.rows("select 1 from configuration_versions")) == 2, "the edit is seen")
    second = {"name": "shop", "version": 2}
    assert run_all(place) == {
        "shop-orders": ("shop asia, timeout 20, orders", second),
        "shop-returns": ("shop asia, timeout 60, returns", second),
        "shop-stock": ("shop asia, timeout 20, stock", second),
    }

    shown = place.cli("configurations", "show", "shop")
    assert (shown["version"], shown["used_by"]) == (2, list(JOBS))
    assert place.cli("configurations", "show", "shop", "--version", "1")["arguments"]["env"]["REGION"] == "eu"
    assert [item["version"] for item in place.cli("configurations", "history", "shop")] == [2, 1]
    place.cli("configurations", "delete", "shop", "--yes", code=2)
    place.cli("configurations", "save", "mine", "--type", "command", "-a", 'command=["date"]', "-a", "cwd=/")
    assert [item["name"] for item in place.cli("configurations", "list")] == ["mine", "shop"]
    assert place.cli("configurations", "delete", "--unused", "--yes") == {"deleted": ["mine"], "kept": []}
