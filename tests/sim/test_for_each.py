"""`for_each`: fan-out over a list, limits of the items, fan-in, and the repetition of what failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from gnomon.core.attempts import AttemptSpec
from gnomon.core.errors import UsageError
from gnomon.core.records import RunFilter, RunRecord
from gnomon.core.states import State
from gnomon.core.values import Json, canonical_json
from gnomon.testing.virtual import VirtualScheduler

ECHO = {"type": "command", "command": ["echo", "${item}"]}
TRUE = {"type": "command", "command": ["true"]}


def items(scheduler: VirtualScheduler, parent: str) -> list[RunRecord]:
    """The item runs of a run, in the order of the list."""
    return list(scheduler._store.read(lambda r: r.items(parent)))


def every_run(scheduler: VirtualScheduler) -> list[RunRecord]:
    top = scheduler._store.read(lambda r: r.runs(RunFilter(), limit=10_000)).items
    return [*top, *(item for run in top for item in items(scheduler, run.id))]


def words(spec: AttemptSpec) -> list[str]:
    """The words of a command."""
    command = spec.arguments["command"]
    assert isinstance(command, Sequence)
    return [word if isinstance(word, str) else canonical_json(word) for word in command]


def echo(spec: AttemptSpec) -> Json:
    """The result of an attempt is its last word; the word `bad` fails."""
    word = words(spec)[-1]
    if word.startswith("bad"):
        raise ValueError(word)
    return word


def test_one_run_per_item_with_its_value_and_place() -> None:
    scheduler = VirtualScheduler()
    task = {"type": "command", "command": ["echo", "${item.name}", "${index}", "${item}"]}
    scheduler.add_job("each", task=task, for_each=[{"name": "a"}, {"name": "b"}])
    scheduler.when("each", effect=lambda spec: words(spec)[1])
    run = scheduler.run("each")
    assert [words(s) for s in scheduler.started] == [
        ["echo", "a", "0", '{"name":"a"}'],
        ["echo", "b", "1", '{"name":"b"}'],
    ]
    assert (run.state, run.result, len(run.attempts)) == (State.SUCCEEDED, ["a", "b"], 0)
    made = items(scheduler, run.id)
    assert [(i.item, i.state, i.parent_id, i.flow_id) for i in made] == [
        ({"name": name}, State.SUCCEEDED, run.id, run.flow_id) for name in "ab"
    ]
    assert [r.id for r in scheduler.runs("each")] == [run.id], "lists show the run, not its items"


def test_items_run_under_the_limits_of_their_job_and_the_parent_takes_no_slot() -> None:
    scheduler = VirtualScheduler(concurrency=3, pools={"db": 2})
    scheduler.add_job("each", task=ECHO, for_each=list(range(6)), max_active=2, overlap="skip")
    scheduler.add_job("pooled", task=ECHO, for_each=list(range(4)), pool="db")
    scheduler.when("each", takes=60)
    scheduler.when("pooled", takes=60)
    run = scheduler.run("each")
    assert run.state is State.RUNNING
    assert len(scheduler.started) == 2, "max_active holds for items, and the parent does not count"
    scheduler.run("pooled")
    assert len(scheduler.started) == 3, "three slots, none taken by a parent"
    scheduler.advance(seconds=60)
    assert len(scheduler.started) == 3 + 3
    scheduler.advance(minutes=10)
    assert scheduler.get_run(run.id).result == [None] * 6
    assert {r.state for r in every_run(scheduler)} == {State.SUCCEEDED}


def test_retries_belong_to_items() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("each", task=ECHO, for_each=[1, 2], restarts=1, retry={"delay": 5, "jitter": False})
    scheduler.when("each", fails=1)
    run = scheduler.run("each")
    assert [i.state for i in items(scheduler, run.id)] == [State.RETRY_WAIT] * 2
    scheduler.advance(seconds=5)
    assert scheduler.get_run(run.id).state is State.SUCCEEDED


def test_another_fire_sees_the_job_as_active_while_items_run() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("each", task=ECHO, for_each=[1, 2], interval=60)
    scheduler.when("each", takes=90)
    scheduler.advance(seconds=130)
    assert [r.state for r in scheduler.runs("each")] == [State.RUNNING]
    assert [str(s.reason) for s in scheduler.skips("each")] == ["overlap"]
    scheduler.advance(seconds=60)
    assert len(scheduler.runs("each")) == 2


@pytest.mark.parametrize("overlap", ["queue_one", "queue_all"])
def test_a_second_run_waits_for_the_whole_first(overlap: Any) -> None:
    scheduler = VirtualScheduler(concurrency=1)
    scheduler.add_job("each", task=ECHO, for_each=[1, 2, 3], interval=60, overlap=overlap)
    scheduler.when("each", takes=25)
    scheduler.advance(seconds=120)
    first, second = scheduler.runs("each")
    assert (first.state, second.state) == (State.RUNNING, State.QUEUED)
    assert second.waiting_for == "an earlier run of this job"
    scheduler.advance(seconds=30)
    assert [r.state for r in scheduler.runs("each")] == [State.SUCCEEDED, State.RUNNING]


def test_an_empty_list_succeeds_at_once_and_lets_others_go_on() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("each", task=ECHO, for_each=[])
    scheduler.add_job(
        "after", task={"type": "command", "command": ["echo", "${runs.each.result}"]}, depends_on=["each"]
    )
    run = scheduler.run("each")
    assert (run.state, run.result) == (State.SUCCEEDED, [])
    assert [words(s) for s in scheduler.started] == [["echo", "[]"]]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("${hosts}", "for_each_not_a_list"),
        ("${nothing}", "unknown_reference"),
        ("${many}", "for_each_too_large"),
        ("${runs.x.result}", "unknown_reference"),
    ],
)
def test_a_list_that_is_none_fails_the_run(value: Any, code: str) -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("each", task=ECHO, for_each=value, parameters={"hosts": "a", "many": list(range(10_000))})
    run = scheduler.run("each")
    assert (run.state, run.error and run.error.code) == (State.FAILED, code)
    assert scheduler.started == []


def test_a_list_that_is_too_long_is_refused_at_load() -> None:
    with pytest.raises(UsageError) as caught:
        VirtualScheduler().add_job("each", task=ECHO, for_each=list(range(1001)))
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("for_each_too_large", "for_each")


def test_a_thousand_items_are_fine() -> None:
    scheduler = VirtualScheduler(concurrency=1000)
    scheduler.add_job("each", task=ECHO, for_each=list(range(1000)))
    run = scheduler.run("each")
    assert run.state is State.SUCCEEDED
    assert [words(s)[1] for s in scheduler.started] == [str(n) for n in range(1000)]


def test_a_parameter_may_be_the_list() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("each", task=ECHO, for_each="${hosts}", parameters={"hosts": {"type": "array", "default": ["x"]}})
    scheduler.when("each", effect=echo)
    assert scheduler.run("each").result == ["x"]
    assert scheduler.run("each", hosts=["a", "b"]).result == ["a", "b"]


def pipeline(scheduler: VirtualScheduler, names: list[str], **policies: Any) -> None:
    """list -> each -> after"""
    scheduler.add_job("list", task=TRUE)
    scheduler.when("list", result=names)
    scheduler.add_job("each", task=ECHO, for_each="${runs.list.result}", depends_on=["list"], **policies)
    scheduler.add_job(
        "after", task={"type": "command", "command": ["echo", "${runs.each.result}"]}, depends_on=["each"]
    )
    scheduler.when("each", effect=echo)


def test_fan_in_waits_for_all_and_gets_the_results_in_order() -> None:
    scheduler = VirtualScheduler(concurrency=2)
    pipeline(scheduler, list("abcde"))
    scheduler.when("each", takes=10, effect=echo)
    scheduler.run("list")
    assert str(scheduler.runs("after")[0].waiting_for).startswith("upstream each")
    scheduler.advance(seconds=29)
    assert scheduler.runs("after")[0].state is State.WAITING
    scheduler.advance(seconds=1)
    assert words(scheduler.started[-1])[1] == '["a","b","c","d","e"]'


def test_failed_items_fail_the_run_and_only_they_are_run_again() -> None:
    scheduler = VirtualScheduler()
    pipeline(scheduler, ["a", "bad1", "c", "bad2"])
    scheduler.run("list")
    (each,) = scheduler.runs("each")
    assert (each.state, each.reason, each.result) == (State.FAILED, "items_failed", ["a", None, "c", None])
    assert each.error is not None
    assert each.error.message.startswith('2 of 4 items did not succeed (2 failed); first item 1 ("bad1"): bad1')
    assert scheduler.runs("after")[0].reason == "upstream_failed"

    began = len(scheduler.started)
    scheduler.when("each", effect=lambda spec: words(spec)[-1].upper())
    scheduler.retry(each.id)
    again = scheduler.runs("each")[-1]
    assert [words(s)[-1] for s in scheduler.started[began:-1]] == ["bad1", "bad2"]
    assert (again.state, again.result) == (State.SUCCEEDED, ["a", "BAD1", "c", "BAD2"])
    assert again.retry_of == each.id
    assert again.flow_id == each.flow_id
    assert [i.retry_of is not None for i in items(scheduler, again.id)] == [True, True]
    assert words(scheduler.started[-1])[1] == '["a","BAD1","c","BAD2"]', "what was skipped for it goes on"


def test_a_second_rerun_stands_on_all_before() -> None:
    scheduler = VirtualScheduler()
    pipeline(scheduler, ["a", "bad1", "bad2"])
    scheduler.run("list")
    scheduler.when("each", effect=lambda spec: echo(spec) if words(spec)[-1] == "bad2" else "ok")
    scheduler.retry(scheduler.runs("each")[-1].id)
    assert scheduler.runs("each")[-1].result == ["a", "ok", None]
    scheduler.when("each", effect=lambda spec: "late")
    scheduler.retry(scheduler.runs("each")[-1].id)
    assert scheduler.runs("each")[-1].result == ["a", "ok", "late"]
    assert len(items(scheduler, scheduler.runs("each")[-1].id)) == 1


def test_a_person_may_run_one_item_again() -> None:
    scheduler = VirtualScheduler()
    pipeline(scheduler, ["a", "bad"])
    scheduler.run("list")
    (each,) = scheduler.runs("each")
    scheduler.when("each", effect=lambda spec: "mended")
    scheduler.retry(items(scheduler, each.id)[1].id)
    made = items(scheduler, each.id)
    assert [(i.state, i.result) for i in made if i.retry_of] == [(State.SUCCEEDED, "mended")]
    assert scheduler.get_run(each.id).state is State.FAILED, "what is over stays over"
    scheduler.retry(each.id)
    again = scheduler.runs("each")[-1]
    assert (again.result, items(scheduler, again.id)) == (["a", "mended"], [])
    assert scheduler.runs("after")[-1].state is State.SUCCEEDED


def test_a_success_is_repeated_whole() -> None:
    scheduler = VirtualScheduler()
    pipeline(scheduler, ["a", "b"])
    scheduler.run("list")
    (each,) = scheduler.runs("each")
    scheduler.retry(each.id)
    assert [i.state for i in items(scheduler, scheduler.runs("each")[-1].id)] == [State.SUCCEEDED] * 2


def test_cancelling_the_run_cancels_its_items() -> None:
    scheduler = VirtualScheduler(concurrency=2)
    pipeline(scheduler, ["a", "b", "c", "d"])
    scheduler.when("each", takes=30, effect=echo)
    scheduler.run("list")
    (each,) = scheduler.runs("each")
    scheduler.advance(seconds=30)
    scheduler.cancel(each.id)
    run = scheduler.get_run(each.id)
    assert (run.state, run.reason, run.result) == (State.CANCELLED, "cancelled", ["a", "b", None, None])
    states = [i.state for i in items(scheduler, each.id)]
    assert states == [State.SUCCEEDED, State.SUCCEEDED, State.CANCELLED, State.CANCELLED]
    assert scheduler.runs("after")[0].reason == "upstream_failed"


def test_one_cancelled_item_fails_the_run() -> None:
    scheduler = VirtualScheduler()
    pipeline(scheduler, ["a", "b"])
    scheduler.when("each", takes=30, effect=echo)
    scheduler.run("list")
    (each,) = scheduler.runs("each")
    scheduler.cancel(items(scheduler, each.id)[0].id)
    scheduler.advance(seconds=30)
    run = scheduler.get_run(each.id)
    assert run.error is not None
    assert (run.state, run.error.code) == (State.FAILED, "items_failed")
    assert "(1 cancelled)" in run.error.message


def test_replace_ends_the_items_of_the_run_before() -> None:
    scheduler = VirtualScheduler(concurrency=2)
    scheduler.add_job("each", task=ECHO, for_each=[1, 2, 3], interval=60, overlap="replace")
    scheduler.when("each", takes=timedelta(hours=1))
    scheduler.advance(seconds=125)
    first, second = scheduler.runs("each")
    assert (first.state, first.reason, second.state) == (State.CANCELLED, "replaced", State.RUNNING)
    assert {i.state for i in items(scheduler, first.id)} == {State.CANCELLED}


def test_a_scheduler_that_was_down_goes_on() -> None:
    scheduler = VirtualScheduler(concurrency=2)
    pipeline(scheduler, list("abcd"))
    scheduler.when("each", takes=10, effect=echo)
    scheduler.run("list")
    scheduler.stop()
    scheduler.advance(seconds=60)
    scheduler.start()
    scheduler.advance(seconds=60)
    assert scheduler.runs("each")[0].result == list("abcd")
    assert len(scheduler.started) == 1 + 4 + 1


def test_failures_in_a_row_count_runs_not_items() -> None:
    scheduler = VirtualScheduler()
    pipeline(scheduler, ["bad1", "bad2", "bad3"], pause_after=2)
    scheduler.run("list")
    job = scheduler.get_job("each")
    assert job is not None
    assert not job.paused
    scheduler.run("list")
    assert scheduler.get_job("each").paused  # type: ignore[union-attr]


def test_results_beyond_the_limit_fail_the_run_and_say_so() -> None:
    scheduler = VirtualScheduler()
    scheduler.add_job("each", task=ECHO, for_each=list(range(30)))
    scheduler.when("each", result="x" * 50_000)
    run = scheduler.run("each")
    assert (run.state, run.error and run.error.code) == (State.FAILED, "result_too_large")
