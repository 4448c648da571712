"""`gnomon alerts`, and what `runs show`, `why` and `doctor` say of messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gnomon.app import Parts
from gnomon.core.alerts import Incident, Kind
from gnomon.core.attempts import Failure
from gnomon.core.deliveries import Delivery
from gnomon.core.ports import Transaction
from gnomon.core.states import State
from gnomon.testing.stores.base import run

from .conftest import Gnomon

ID = "01m7zet0etx30jbs0aaswy2n16"


@pytest.fixture
def trouble(parts: Parts) -> Parts:
    """The job `clock` failed twice; ops was told, dev not yet, night never will."""
    now = datetime.now(UTC)
    failed = [
        run(f"run{n}", state=State.FAILED, job_id="clock", due_at=at, finished_at=at, error=Failure("exit_code", "bad"))
        for n, at in enumerate((now - timedelta(seconds=9), now - timedelta(seconds=5)))
    ]
    opened = now - timedelta(seconds=8)
    incident = Incident(ID, "clock", Kind.FAILED, opened, now, 2, "clock failed: bad", opened, "run0")
    told = Delivery("ops", "failed", "clock", {"text": "x"}, opened, now, None, "run0", ID, 1, delivered_at=now)
    later = replace(told, channel="dev", delivered_at=None, next_at=now, error="refused", attempts=3)
    lost = replace(later, channel="night", next_at=None, error="answered 410 Gone")

    def write(tx: Transaction) -> None:
        tx.insert_runs(failed)
        tx.put_incidents([incident])
        tx.insert_deliveries([told, later, lost])

    parts.store.write(write)
    return parts


def test_lists_say_what_did_not_arrive(trouble: Parts, gnomon: Gnomon) -> None:
    (incident,) = gnomon("alerts", "list", "--json").json
    assert incident["told"] == {"delivered": 1, "pending": 1, "given_up": 1}
    assert "1 of 3, 1 given up" in " ".join(gnomon("alerts", "list").out.split())
    states = {one["channel"]: one["state"] for one in gnomon("alerts", "show", ID[:8], "--json").json["deliveries"]}
    assert states == {"ops": "delivered", "dev": "pending", "night": "given_up"}


@pytest.mark.parametrize("run_id", ["run0", "run1"])
def test_a_run_says_who_was_told_of_it(trouble: Parts, gnomon: Gnomon, run_id: str) -> None:
    (alert,) = gnomon("runs", "show", run_id, "--json").json["alerts"]
    assert alert["id"] == ID
    assert [(one["channel"], one["state"]) for one in alert["told"]] == [
        ("ops", "delivered"),
        ("dev", "pending"),
        ("night", "given_up"),
    ]
    said = " ".join(gnomon("runs", "show", run_id).out.split())
    assert "failed 2 times, still open: ops was told, dev not told yet (refused), night given up" in said
    assert f"gnomon alerts show {ID}" in said
    gate = gnomon("why", run_id, "--json").json["gates"][-1]
    assert (gate["name"], gate["passed"]) == ("people were told", False)
    assert ID in gate["evidence"]


def test_other_runs_say_nothing(trouble: Parts, gnomon: Gnomon) -> None:
    other = gnomon("run", "clock", "--no-wait", "--json").json
    assert gnomon("runs", "show", other["id"], "--json").json["alerts"] == []
    assert "people were told" not in gnomon("why", other["id"]).out


def test_the_doctor_names_channels_that_were_not_reached(trouble: Parts, gnomon: Gnomon) -> None:
    found = {one["name"]: one for one in gnomon("doctor", "--json", code=1).json["checks"]}
    assert (found["alerts to dev"]["level"], found["alerts to night"]["level"]) == ("warn", "fail")
    assert "1 given up in the last day: answered 410 Gone" in found["alerts to night"]["message"]
    assert "alerts to ops" not in found
