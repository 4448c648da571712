"""What `${…}` means in a pipeline: outputs across flows, the day of the fire, parameters that must be given."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.states import State
from gnomon.testing.virtual import VirtualScheduler

TRUE = {"type": "command", "command": ["true"]}


def _echo(*words: str) -> dict[str, Any]:
    return {"type": "command", "command": ["echo", *words]}


def _said(scheduler: VirtualScheduler, job_id: str) -> list[Any]:
    return [spec.arguments["command"][1:] for spec in scheduler.started if spec.job_id == job_id]  # type: ignore[index]


def test_the_day_is_that_of_the_fire_for_every_job_of_the_flow() -> None:
    scheduler = VirtualScheduler("2026-01-01T12:00:00Z")
    scheduler.add_job("root", cron="30 0 * * *", timezone="Europe/Berlin", task=_echo("${fire_date}", "${fire_time}"))
    scheduler.add_job("down", depends_on=["root"], task=_echo("${fire_date}", "${fire_time}"))
    scheduler.advance(days=1)
    assert _said(scheduler, "root") == _said(scheduler, "down") == [["2026-01-02", "2026-01-01T23:30:00Z"]]


def test_the_day_is_in_the_zone_of_the_entry_that_fired() -> None:
    scheduler = VirtualScheduler("2026-01-01T12:00:00Z")
    noon, night = {"cron": "30 12 * * *", "timezone": "UTC"}, {"cron": "30 0 * * *", "timezone": "Europe/Berlin"}
    scheduler.add_job("a", schedule=[noon, night], task=_echo("${fire_date}"))
    scheduler.advance(days=1)
    assert _said(scheduler, "a") == [["2026-01-01"], ["2026-01-02"]]


def test_a_job_with_a_schedule_of_its_own_gets_the_outputs_it_waited_for() -> None:
    scheduler = VirtualScheduler("2026-01-01T12:00:00Z")
    scheduler.add_job("up", cron="0 1 * * *", task=TRUE)
    scheduler.add_job("own", cron="0 2 * * *", depends_on=["up"], task=_echo("${runs.up.result.n}", "${runs.up.state}"))
    for day in (1, 2):
        scheduler.when("up", result={"n": day}, takes=7200)
        scheduler.advance(days=1)
    assert _said(scheduler, "own") == [[1, "succeeded"], [2, "succeeded"]]


def test_a_join_gets_the_outputs_of_all_its_roots_and_those_it_waited_for() -> None:
    scheduler = VirtualScheduler()
    for name in "ab":
        scheduler.add_job(name, task=TRUE)
        scheduler.when(name, result=f"{name}1", takes=60)
    scheduler.add_job("join", depends_on=["a", "b"], restarts=1, task=_echo("${runs.a.result}", "${runs.b.result}"))
    scheduler.when("join", fails=1, takes=60)
    scheduler.run("a")
    scheduler.advance(seconds=30)
    scheduler.run("b")
    scheduler.advance(seconds=65)  # the join has begun
    scheduler.when("b", result="b2", takes=1)
    scheduler.run("b")
    scheduler.advance(minutes=10)
    assert _said(scheduler, "join") == [["a1", "b1"], ["a1", "b1"]], "a later success is not what it waited for"


def test_a_rerun_and_the_items_of_a_join_get_what_it_waited_for() -> None:
    scheduler = VirtualScheduler()
    for name in "ab":
        scheduler.add_job(name, task=TRUE)
        scheduler.when(name, result=[f"{name}1"])
    task = _echo("${runs.a.result}", "${runs.b.result}", "${item}")
    scheduler.add_job("join", depends_on=["a", "b"], for_each="${runs.b.result}", task=task)
    scheduler.when("join", fails=True)
    scheduler.run("a")
    scheduler.run("b")
    scheduler.advance(seconds=1)
    assert _said(scheduler, "join") == [[["a1"], ["b1"], "b1"]]
    scheduler.when("b", result=["b2"])
    scheduler.pause("join")
    scheduler.run("b")
    scheduler.when("join")
    (join,) = (run for run in scheduler.runs("join") if run.state is State.FAILED)
    scheduler.retry(join.id)
    scheduler.advance(seconds=1)
    assert _said(scheduler, "join")[1:] == [[["a1"], ["b2"], "b1"]], "the newest success when it is repeated"
    assert scheduler.runs("join", state="succeeded")


def test_a_rerun_of_a_job_with_a_schedule_of_its_own_looks_at_the_same_stretch() -> None:
    scheduler = VirtualScheduler("2026-01-01T12:00:00Z")
    scheduler.add_job("up", cron="0 1 * * *", task=TRUE)
    scheduler.add_job("own", cron="0 2 * * *", depends_on=["up"], task=_echo("${runs.up.result}"))
    scheduler.when("up", result="first")
    scheduler.advance(days=1)
    scheduler.when("up", result="second")
    scheduler.advance(days=1)
    scheduler.retry(scheduler.runs("own")[0].id)
    scheduler.advance(seconds=1)
    assert _said(scheduler, "own") == [["first"], ["second"], ["first"]]


def test_a_job_that_is_run_alone_has_no_results_to_take() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("up", task=TRUE)
    scheduler.add_job("down", depends_on=["up"], task=_echo("${runs.up.result}"))
    scheduler.run("up")
    scheduler.advance(seconds=1)
    scheduler.run("down")
    scheduler.advance(seconds=1)
    alone = scheduler.runs("down")[-1]
    assert (alone.reason, alone.error is not None) == ("unknown_reference", True)
    assert "task.command[1]: ${runs.up.result}" in str(alone.error)
    assert "start the flow at its root" in str(alone.error)


def test_a_required_parameter_that_nobody_gave_fails_the_run_naming_it() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("up", task=TRUE)
    required = {"table": {"type": "string", "required": True}}
    scheduler.add_job("down", depends_on=["up"], parameters=required, task=_echo("${table}"))
    scheduler.run("up")
    scheduler.advance(minutes=1)
    (run,) = scheduler.runs("down")
    assert run.state is State.FAILED
    assert run.error is not None
    assert (run.error.code, "'table'" in run.error.message) == ("parameter_missing", True)
    assert _said(scheduler, "down") == [], "it never began with nothing in the place of the value"


@pytest.mark.parametrize(
    ("values", "code", "key"),
    [
        ({}, "parameter_missing", "schedule"),
        ({"n": "x", "t": 1}, "parameter_type", "schedule.parameters.n"),
    ],
)
def test_a_schedule_gives_its_job_what_it_needs(values: dict[str, Any], code: str, key: str) -> None:
    declared: dict[str, Any] = {"n": {"type": "integer", "default": 1}, "t": {"required": True}}
    with pytest.raises(UsageError) as caught:
        VirtualScheduler().add_job(
            "a", schedule={"cron": "0 1 * * *", "parameters": values}, parameters=declared, task=_echo("${t}")
        )
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == (code, key)
    assert problem.hint


def test_values_of_a_schedule_arrive_typed() -> None:
    scheduler = VirtualScheduler("2030-01-01T00:00:00Z")
    entry = {"cron": "0 1 * * *", "parameters": {"n": 7}}
    scheduler.add_job("a", schedule=entry, parameters={"n": {"type": "integer", "required": True}}, task=_echo("${n}"))
    scheduler.advance(days=1)
    assert _said(scheduler, "a") == [[7]]
