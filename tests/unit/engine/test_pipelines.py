"""Flows: created together, released or skipped as their upstreams end."""

from __future__ import annotations

import pytest

from gnomon.core.attempts import AttemptSpec, Outcome
from gnomon.core.model import Dependency, When
from gnomon.core.states import State
from gnomon.operations.jobs import pause_job
from gnomon.operations.runs import cancel_run, retry_run, start_run

from .deployment import Deployment, over, report


class Line:
    """One node whose attempts end by the job's name."""

    def __init__(self) -> None:
        self.d = Deployment()
        self.node, self.executor = self.d.node()

    def waiting(self) -> list[str]:
        self.node.step()
        return sorted(spec.job_id for spec in self.executor.started)

    def end(self, job_id: str, outcome: Outcome = Outcome.SUCCEEDED, **fields: object) -> None:
        spec = next(s for s in self.executor.started if s.job_id == job_id)
        self.executor.started.remove(spec)
        self.d.clock.advance(1)
        report(self.node, over(spec, self.d.clock.now(), outcome, **fields))
        self.node.step()

    def spec(self, job_id: str) -> AttemptSpec:
        return next(s for s in self.executor.started if s.job_id == job_id)

    def state(self, job_id: str) -> State:
        return self.d.run(job_id).state


def needs(*jobs: str, when: When = When.SUCCEEDED) -> tuple[Dependency, ...]:
    return tuple(Dependency(job, when) for job in jobs)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def diamond(line: Line) -> Line:
    line.d.add("a")
    line.d.add("b", depends_on=needs("a"))
    line.d.add("c", depends_on=needs("a"))
    line.d.add("d", depends_on=needs("b", "c"))
    return line


def test_a_flow_is_created_together_and_runs_in_order(diamond: Line) -> None:
    start_run(diamond.d.desk, "a")
    assert diamond.d.states() == {"a": "queued", "b": "waiting", "c": "waiting", "d": "waiting"}
    assert len({r.flow_id for r in diamond.d.runs()}) == 1
    assert diamond.waiting() == ["a"]
    diamond.end("a")
    assert diamond.waiting() == ["b", "c"]
    diamond.end("b")
    assert diamond.waiting() == ["c"]
    assert diamond.d.run("d").waiting_for == "upstream c (running)"
    diamond.end("c")
    assert diamond.waiting() == ["d"]


def test_a_failing_step_skips_what_depends_on_it_with_the_reason(diamond: Line) -> None:
    start_run(diamond.d.desk, "a")
    diamond.waiting()
    diamond.end("a")
    diamond.end("b", Outcome.FAILED)
    done = diamond.d.run("d")
    assert (done.state, done.reason) == (State.SKIPPED, "upstream_failed")
    assert done.error is not None
    assert done.error.message == "upstream b ended failed (exit_code), succeeded is required"
    assert diamond.waiting() == ["c"], "its sibling goes on"


def test_a_skip_cascades_to_the_end_of_the_line(line: Line) -> None:
    line.d.add("a")
    for one, up in (("b", "a"), ("c", "b"), ("d", "c")):
        line.d.add(one, depends_on=needs(up))
    start_run(line.d.desk, "a")
    line.waiting()
    line.end("a", Outcome.FAILED)
    assert line.d.states() == {"a": "failed", "b": "skipped", "c": "skipped", "d": "skipped"}
    assert "upstream c ended skipped (upstream_failed)" in (line.d.run("d").error.message)  # type: ignore[union-attr]


def test_when_finished_and_when_failed(line: Line) -> None:
    line.d.add("a")
    line.d.add("always", depends_on=needs("a", when=When.FINISHED))
    line.d.add("alarm", depends_on=needs("a", when=When.FAILED))
    start_run(line.d.desk, "a")
    line.waiting()
    line.end("a")
    assert (line.state("alarm"), line.d.run("alarm").reason) == (State.SKIPPED, "upstream_not_failed")
    assert line.waiting() == ["always"]
    line.end("always")
    start_run(line.d.desk, "a")
    line.waiting()
    line.end("a", Outcome.FAILED)
    assert line.waiting() == ["alarm", "always"]


def test_a_cancelled_upstream_skips_its_downstreams(diamond: Line) -> None:
    run = start_run(diamond.d.desk, "a")
    cancel_run(diamond.d.desk, str(run["id"]))
    assert diamond.d.states() == {"a": "cancelled", "b": "skipped", "c": "skipped", "d": "skipped"}


def test_a_cancelled_downstream_skips_those_below_it_at_once(diamond: Line) -> None:
    start_run(diamond.d.desk, "a")
    cancel_run(diamond.d.desk, diamond.d.run("b").id)
    assert (diamond.state("b"), diamond.state("d"), diamond.state("c")) == (
        State.CANCELLED,
        State.SKIPPED,
        State.WAITING,
    )


def test_a_paused_or_disabled_downstream_is_skipped_with_that_reason(line: Line) -> None:
    line.d.add("a")
    line.d.add("b", depends_on=needs("a"))
    line.d.add("c", depends_on=needs("b"))
    line.d.add("off", depends_on=needs("a"), enabled=False)
    pause_job(line.d.desk, "b")
    start_run(line.d.desk, "a")
    assert (line.d.run("b").reason, line.d.run("off").reason) == ("paused", "disabled")
    line.waiting()
    line.end("a")
    assert (line.state("c"), line.d.run("c").reason) == (State.SKIPPED, "upstream_failed")


def test_start_deadline_of_a_downstream_counts_from_its_release(line: Line) -> None:
    line.d.add("a")
    line.d.add("b", depends_on=needs("a"), start_deadline_s=10)
    start_run(line.d.desk, "a")
    line.waiting()
    line.d.clock.advance(3600)
    line.node.step()
    assert line.state("b") is State.WAITING, "its upstream may take its time"
    line.end("a")
    assert line.state("b") is State.RUNNING
    spec = line.spec("b")
    line.d.clock.advance(2)
    from .deployment import begun

    report(line.node, begun(spec, line.d.clock.now()))
    line.node.step()
    assert line.d.run("b").lateness_s == 2, "late from its release"


def test_outputs_of_upstreams_fill_arguments(line: Line) -> None:
    from gnomon.core.model import Task

    line.d.add("a")
    line.d.add("b", depends_on=needs("a"), task=Task("command", {"command": ["cat", "${runs.a.result.path}"]}))
    start_run(line.d.desk, "a")
    line.waiting()
    line.end("a", result={"path": "/tmp/x"})
    assert line.waiting() == ["b"]
    assert line.spec("b").arguments["command"] == ["cat", "/tmp/x"]


def test_rerun_makes_a_new_run_in_the_same_flow_and_revives_what_its_failure_skipped(diamond: Line) -> None:
    start_run(diamond.d.desk, "a")
    diamond.waiting()
    diamond.end("a")
    diamond.end("b", Outcome.FAILED)
    diamond.end("c")
    assert diamond.state("d") is State.SKIPPED
    failed = diamond.d.run("b")
    again = retry_run(diamond.d.desk, failed.id)
    assert (again["retry_of"], again["flow_id"], again["state"]) == (failed.id, failed.flow_id, "queued")
    d_runs = diamond.d.runs("d")
    assert [r.state for r in d_runs] == [State.SKIPPED, State.WAITING]
    assert d_runs[1].retry_of == d_runs[0].id
    diamond.waiting()
    diamond.end("b")
    assert diamond.waiting() == ["d"], "with the success of c from before"
    diamond.end("d")
    second = retry_run(diamond.d.desk, str(again["id"]))
    assert second["flow_id"] == failed.flow_id
    assert len(diamond.d.runs("d")) == 2, "what succeeded is not made anew"


def test_a_rerun_that_fails_again_skips_again(diamond: Line) -> None:
    start_run(diamond.d.desk, "a")
    diamond.waiting()
    diamond.end("a", Outcome.FAILED)
    retry_run(diamond.d.desk, diamond.d.run("a").id)
    assert [str(r.state) for r in diamond.d.runs("d")] == ["skipped", "waiting"]
    diamond.waiting()
    diamond.end("a", Outcome.FAILED)
    assert [str(r.state) for r in diamond.d.runs("d")] == ["skipped", "skipped"]


# ---- two roots -----------------------------------------------------------------------------------


@pytest.fixture
def join(line: Line) -> Line:
    line.d.add("a")
    line.d.add("b")
    line.d.add("c", depends_on=needs("a", "b"))
    return line


def test_two_roots_feeding_one_job_make_one_open_join(join: Line) -> None:
    start_run(join.d.desk, "a")
    join.d.clock.advance(1)
    start_run(join.d.desk, "b")
    assert len(join.d.runs("c")) == 1
    join.waiting()
    join.end("a")
    assert join.state("c") is State.WAITING
    join.end("b")
    assert join.waiting() == ["c"]


def test_a_success_is_joined_once(join: Line) -> None:
    start_run(join.d.desk, "a")
    start_run(join.d.desk, "b")
    join.waiting()
    join.end("a")
    join.end("b")
    join.waiting()
    join.end("c")
    join.d.clock.advance(5)
    start_run(join.d.desk, "a")
    join.waiting()
    join.end("a")
    assert [str(r.state) for r in join.d.runs("c")] == ["succeeded", "waiting"], "b must succeed again"
    start_run(join.d.desk, "b")
    join.waiting()
    join.end("b")
    assert join.waiting() == ["c"]


def test_a_success_between_two_joins_counts_for_the_second(join: Line) -> None:
    start_run(join.d.desk, "a")
    join.waiting()
    join.end("a")
    start_run(join.d.desk, "b")
    join.waiting()
    join.end("b")  # releases the first join, which starts
    assert join.waiting() == ["c"]
    join.d.clock.advance(5)
    start_run(join.d.desk, "b")
    assert join.waiting() == ["b", "c"]
    join.end("b")
    join.end("c")
    start_run(join.d.desk, "a")
    join.waiting()
    join.end("a")
    assert join.waiting() == ["c"], "the second success of b was not used yet"


def test_a_failure_outside_the_flow_leaves_the_join_open(join: Line) -> None:
    start_run(join.d.desk, "a")
    start_run(join.d.desk, "b")
    join.waiting()
    join.end("a")
    join.end("b", Outcome.FAILED)
    joined = join.d.run("c")
    in_flow_of_b = joined.flow_id == join.d.run("b").flow_id
    assert joined.state is (State.SKIPPED if in_flow_of_b else State.WAITING)


def test_a_flow_ends_at_a_job_that_has_schedules_of_its_own(line: Line) -> None:
    """What lies below that job belongs to its own flows: else one success would run it twice."""
    line.d.add("a")
    line.d.add("own", "every 60s", depends_on=needs("a"))
    line.d.add("below", depends_on=needs("own"))
    start_run(line.d.desk, "a")
    assert line.d.states() == {"a": "queued"}
    start_run(line.d.desk, "own")
    assert line.d.states() == {"a": "queued", "own": "queued", "below": "waiting"}


def test_a_retired_job_is_no_part_of_new_flows(diamond: Line) -> None:
    from gnomon.operations.definitions import retire

    record = diamond.d.read(lambda r: r.job("b"))
    assert record is not None
    diamond.d.store.write(lambda tx: retire(tx, diamond.d.desk.planner, record, diamond.d.clock.now()))
    start_run(diamond.d.desk, "a")
    assert diamond.d.states().keys() == {"a", "c", "d"}
