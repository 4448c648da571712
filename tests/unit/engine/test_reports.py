"""What attempts hand over costs their own attempt at most, whatever it is: the step of all jobs goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pytest

from gnomon.core.attempts import Failure, Outcome
from gnomon.core.errors import Problem, Unavailable
from gnomon.core.model import Dependency, Retry, Task
from gnomon.core.ports import Transaction
from gnomon.core.records import AttemptRecord, RunRecord
from gnomon.core.states import State
from gnomon.engine import dispatcher, fanout, progress
from gnomon.engine.node import Node
from gnomon.operations.runs import start_run
from gnomon.operations.views import run_view
from tests.support import hostile

from .deployment import Deployment, over, report


class Bench:
    """A node with jobs that are started by hand, and one that must always go on."""

    def __init__(self) -> None:
        self.d = Deployment()
        self.node, self.executor = self.d.node()
        self.d.add("innocent")

    def begin(self, job_id: str) -> Any:
        start_run(self.d.desk, job_id)
        self.node.step()
        return self.executor.started.pop()

    def end(self, job_id: str, outcome: Outcome = Outcome.SUCCEEDED, **fields: Any) -> RunRecord:
        spec = self.begin(job_id)
        report(self.node, over(spec, self.d.clock.now(), outcome, **fields))
        self.node.step()
        return self.d.run(job_id)

    def all_is_well(self) -> None:
        assert self.end("innocent").state is State.SUCCEEDED


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("name", hostile.UNKEPT)
def test_a_result_that_cannot_be_kept_is_null_with_a_note(bench: Bench, name: str) -> None:
    bench.d.add("a", restarts=3)
    run = bench.end("a", result=hostile.UNKEPT[name]())
    assert (run.state, run.result, run.error, run.attempts) == (State.SUCCEEDED, None, None, 1)
    assert run.note is not None
    assert run.note.startswith("bad_result: the result, of type ")
    (attempt,) = bench.d.read(lambda r: r.attempts([run.id]))[run.id]
    assert attempt.error is not None
    assert attempt.error.code == "bad_result"
    assert run_view(run, [attempt])["note"] == run.note
    bench.all_is_well()


def test_a_code_of_megabytes_makes_a_short_line_in_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.d.add("a")
    with caplog.at_level(logging.INFO, "gnomon"):
        run = bench.end("a", Outcome.FAILED, error=Failure("x\udce9" * 1_500_000, "m" * 1_500_000))
    assert run.error is not None
    assert (len(run.error.code), len(run.error.message), run.reason) == (200, 4000, run.error.code)
    assert max(len(record.getMessage()) for record in caplog.records) < 2000
    bench.all_is_well()


def test_a_command_with_a_bad_result_is_done_again_only_if_that_is_asked_for(bench: Bench) -> None:
    bad = {"exit_code": 0, "error": Failure("bad_result", "it is no JSON")}
    for number, on in enumerate([(), ("failed",), (0,), ("bad_result",)]):
        bench.d.add(f"a{number}", restarts=1, retry=Retry(on=on))
        run = bench.end(f"a{number}", Outcome.FAILED, **bad)
        assert run.state is (State.RETRY_WAIT if on == ("bad_result",) else State.FAILED)
    bench.d.add("raised", restarts=1)
    assert bench.end("raised", Outcome.FAILED, **bad | {"exit_code": None}).state is State.RETRY_WAIT


@pytest.mark.parametrize(
    "what", ["${runs.a.result}", "${runs.a.result.path}", "${runs.a.result[0].x}", "x ${runs.a.result}"]
)
def test_who_needs_a_result_that_was_not_kept_is_told(bench: Bench, what: str) -> None:
    bench.d.add("a")
    bench.d.add("b", depends_on=(Dependency("a"),), task=Task("command", {"command": ["echo", what]}))
    bench.d.add("c", depends_on=(Dependency("a"),), task=Task("command", {"command": ["echo", "${runs.a.state}"]}))
    bench.d.add("each", depends_on=(Dependency("a"),), for_each="${runs.a.result}")
    first = bench.end("a", result={1})
    bench.node.step()
    for job in ("b", "each"):
        run = bench.d.run(job)
        assert run.error is not None
        assert (run.state, run.error.code) == (State.FAILED, "result_not_kept")
        for words in (what[what.index("$") :] if job == "b" else "${runs.a.result}", first.id, "of type set"):
            assert words in run.error.message
    assert bench.executor.started[-1].arguments["command"] == ["echo", "succeeded"]


def test_items_whose_result_was_not_kept(bench: Bench) -> None:
    bench.d.add("each", for_each=["x", "y"], max_active=None)
    bench.d.add(
        "b", depends_on=(Dependency("each"),), task=Task("command", {"command": ["echo", "${runs.each.result}"]})
    )
    start_run(bench.d.desk, "each")
    bench.node.step()
    results: list[Any] = ["kept", {1}]
    for spec in bench.executor.started:
        report(bench.node, over(spec, bench.d.clock.now(), result=results.pop(0)))
    bench.node.step()
    bench.node.step()
    parent = next(run for run in bench.d.runs("each") if run.parent_id is None)
    assert (parent.state, parent.result) == (State.SUCCEEDED, ["kept", None])
    assert parent.note is not None
    assert parent.note.startswith(
        "bad_result: null stands for the results of 1 items; of item 1: the result, of type set"
    )
    assert bench.d.run("b").reason == "result_not_kept"


# ---- the second net -------------------------------------------------------------------------------


class Refusing:
    """A transaction that cannot write some runs or attempts, and says so as only a bug would."""

    def __init__(self, tx: Transaction, bad: Callable[[RunRecord | AttemptRecord], bool]) -> None:
        self.tx, self.bad = tx, bad

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tx, name)

    def update_attempts(
        self, records: Sequence[AttemptRecord], *, token: Mapping[tuple[str, int], int] | None = None
    ) -> Collection[tuple[str, int]]:
        answer = self.tx.update_attempts(records, token=token)
        if any(map(self.bad, records)):
            raise OverflowError("cannot be written")
        return answer

    def update_runs(self, changes: Sequence[tuple[RunRecord, State]]) -> Collection[str]:
        if any(self.bad(run) for run, _ in changes):
            raise OverflowError("cannot be written")
        return self.tx.update_runs(changes)


def refuse(bench: Bench, bad: Callable[[RunRecord | AttemptRecord], bool]) -> None:
    write = bench.d.store._store.write
    bench.d.store._store.write = lambda work: write(lambda tx: work(Refusing(tx, bad)))  # type: ignore[method-assign, assignment, arg-type, return-value]


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED])
@pytest.mark.parametrize("record", [RunRecord, AttemptRecord])
def test_a_report_that_cannot_be_written_is_closed_on_its_own(bench: Bench, record: type, outcome: Outcome) -> None:
    for job in "abc":
        bench.d.add(job)
    refuse(bench, lambda one: isinstance(one, record) and one.exit_code == 99)
    for spec in [bench.begin(job) for job in "abc"]:
        more = {"exit_code": 99} if spec.job_id == "b" else {}
        report(bench.node, over(spec, bench.d.clock.now(), outcome, **more))
    bench.node.step()
    assert [bench.d.run(job).state for job in "abc"] == [State(str(outcome))] * 3
    run = bench.d.run("b")
    (attempt,) = bench.d.read(lambda r: r.attempts([run.id]))[run.id]
    assert attempt.error is not None
    assert (attempt.outcome, attempt.error.code) == (outcome, "bad_report")
    assert "OverflowError" in attempt.error.message
    assert bench.d.run("a").exit_code != 99
    assert len(bench.executor.forgotten) == 3
    bench.all_is_well()


def test_nothing_is_lost_when_the_store_fails_meanwhile(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for job in "ab":
        bench.d.add(job)
    refuse(bench, lambda one: one.exit_code == 99)
    for spec, code in ((bench.begin("a"), 99), (bench.begin("b"), 0)):
        report(bench.node, over(spec, bench.d.clock.now(), exit_code=code))
    taken = Node._taken

    def fail(*args: Any) -> bool:
        monkeypatch.setattr(Node, "_taken", taken)
        raise Unavailable(Problem("disk_full", "no space left"))

    monkeypatch.setattr(Node, "_taken", fail)
    with pytest.raises(Unavailable):
        bench.node.step()
    bench.node.step()
    assert [bench.d.run(job).state for job in "ab"] == [State.SUCCEEDED] * 2


def test_reports_are_kept_when_something_else_of_the_step_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.d.add("a")
    spec = bench.begin("a")
    report(bench.node, over(spec, bench.d.clock.now()))

    def fail(*args: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(type(bench.node.dispatcher), "step", fail)
        with pytest.raises(ZeroDivisionError):
            bench.node.step()
    assert bench.d.run("a").state is State.SUCCEEDED
    bench.all_is_well()


def test_a_node_that_leaves_takes_what_was_reported(bench: Bench) -> None:
    for job in "ab":
        bench.d.add(job)
    refuse(bench, lambda one: one.exit_code == 99)
    for spec, code in ((bench.begin("a"), 99), (bench.begin("b"), 0)):
        report(bench.node, over(spec, bench.d.clock.now(), exit_code=code))
    bench.node.leave()
    assert [bench.d.run(job).state for job in "ab"] == [State.SUCCEEDED] * 2


# ---- what acting on the values of one run raises ---------------------------------------------------


def stumbles(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, job_id: str) -> None:
    """A function of the scheduler that raises whenever it has to do with this job."""
    real = getattr(module, name)

    def made(*args: Any, **more: Any) -> Any:
        if any(getattr(one, "job_id", None) == job_id or getattr(one, "run", None) == job_id for one in args):
            raise RecursionError("maximum recursion depth exceeded")
        return real(*args, **more)

    monkeypatch.setattr(module, name, made)


@pytest.mark.parametrize(
    ("module", "name", "job"),
    [
        (progress.Progress, "_judged", "below"),
        (fanout, "concluded", "each"),
        (fanout.FanOut, "_items", "each"),
        (dispatcher, "pinned", "a"),
        (dispatcher, "attempt_spec", "a"),
    ],
)
def test_a_fault_at_one_run_is_the_end_of_that_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, job: str
) -> None:
    bench.d.add("a")
    bench.d.add("below", depends_on=(Dependency("root"),))
    bench.d.add("root")
    bench.d.add("each", for_each=["x"])
    stumbles(monkeypatch, module, name, job)
    for started in ("a", "root", "each"):
        start_run(bench.d.desk, started)
    for _ in range(4):
        bench.node.step()
        while bench.executor.started:
            report(bench.node, over(bench.executor.started.pop(), bench.d.clock.now()))
    ends = {run.job_id: run for run in bench.d.runs() if run.parent_id is None}
    good = ("pinned",)  # its attempt finds out by itself what it needs
    bad = {job} if name not in good else set[str]()
    assert {job_id for job_id, run in ends.items() if run.state is State.FAILED} == bad
    assert all(run.state in (State.FAILED, State.SUCCEEDED) for run in ends.values())
    for job_id in bad:
        error = ends[job_id].error
        assert error is not None
        assert error.code == "internal_error"
    bench.all_is_well()
