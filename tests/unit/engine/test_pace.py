"""Short calls are claimed ahead of a free slot; long ones, unknown ones and commands are not."""

from __future__ import annotations

import pytest

from gnomon.core.model import Job, Task
from gnomon.engine.pace import SHORT_S, Pace
from gnomon.engine.settings import EngineSettings
from gnomon.operations.runs import start_run

from .deployment import Deployment, FakeExecutor


def _job(job_id: str, kind: str = "python", callable_: str = "pkg.mod:quick") -> Job:
    arguments = {"callable": callable_, "args": [], "kwargs": {}} if kind == "python" else {"command": ["true"]}
    return Job(job_id, Task(kind, arguments))


def test_a_call_nobody_has_seen_is_not_short() -> None:
    assert Pace().seconds(_job("a")) is None


def test_jobs_that_call_the_same_thing_share_what_is_known() -> None:
    pace = Pace()
    pace.saw(_job("a"), 0.001, "pool")
    assert pace.seconds(_job("b")) == 0.001
    assert pace.seconds(_job("c", callable_="pkg.mod:other")) is None


def test_one_long_call_ends_it_at_once_and_short_ones_bring_it_back_slowly() -> None:
    pace = Pace()
    pace.saw(_job("a"), 0.001, "pool")
    pace.saw(_job("a"), 3.0, "pool")
    assert pace.seconds(_job("a")) is None
    pace.saw(_job("a"), 0.001, "pool")
    assert pace.seconds(_job("a")) is None
    for _ in range(40):
        pace.saw(_job("a"), 0.001, "pool")
    assert (pace.seconds(_job("a")) or 1) < SHORT_S


def test_commands_are_never_short() -> None:
    pace = Pace()
    pace.saw(_job("a", "command"), 0.001, "commands")
    assert pace.seconds(_job("a", "command")) is None


@pytest.mark.parametrize(("seen_s", "claimed"), [(0.001, 20), (None, 2), (1.0, 2)])
def test_a_node_claims_beyond_its_slots_only_what_is_short(seen_s: float | None, claimed: int) -> None:
    place = Deployment(EngineSettings(concurrency=2))
    node, _ = place.node("n1")
    executor = FakeExecutor()
    executor.name = "pool"
    node.executors["pool"] = executor  # type: ignore[index]
    for n in range(20):
        place.save(_job(f"job{n}"))
        start_run(place.desk, f"job{n}")
    if seen_s is not None:
        node.context.pace.saw(_job("job0"), seen_s, "pool")
    node.step()
    assert place.read(lambda r: r.live_count("n1")) == claimed
    assert len(executor.started) == claimed
