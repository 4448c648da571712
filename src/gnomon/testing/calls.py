"""The conformance suite of executors that call functions in processes which outlive the scheduler.

Subclass it in a test file and say how to make yours, and what it is given:

    class TestMine(CallExecutorSuite):
        def make_executor(self, directory, node):
            return MyExecutor(directory, node)

        def arguments(self, directory, what, **more):
            return {"callable": f"chores:{what}", "kwargs": more}

Each test gets a directory of its own; two executors made on one directory are owner and successor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Executor, Outcome
from gnomon.core.values import Json

from .executors import Recorder


class CallExecutorSuite:
    """What every such executor must do. Four functions are called, each with the keyword `ledger`:

    `give(ledger, value)` returns `value`; `fail(ledger)` raises `ValueError("no")`; `hang(ledger)` waits until it is
    stopped; `wait(ledger, gate)` waits until the file `gate` is there and returns what is in it. The first thing that
    each does is to append its GNOMON_RUN_ID as a line to the file `ledger`, in one write.
    """

    def make_executor(self, directory: Path, node: str) -> Executor:
        """A new executor of the node `node`, that keeps what it needs for recovery in `directory`. Override this."""
        raise NotImplementedError

    def arguments(self, directory: Path, what: str, **more: Json) -> Mapping[str, Json]:
        """What an attempt is given so that `what` is called with `more`. Override this."""
        raise NotImplementedError

    @pytest.fixture
    def sink(self) -> Recorder:
        return Recorder()

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Path:
        path = tmp_path / "ledger"
        path.touch()
        return path

    @pytest.fixture
    def executor(self, tmp_path: Path, sink: Recorder) -> Iterator[Executor]:
        executor = self.make_executor(tmp_path, "node-1")
        executor.open(sink)
        yield executor
        executor.detach()

    @pytest.fixture
    def heir(self, tmp_path: Path) -> Iterator[tuple[Executor, Recorder]]:
        """Another executor on the same directory."""
        executor, sink = self.make_executor(tmp_path, "node-2"), Recorder()
        executor.open(sink)
        yield executor, sink
        executor.detach()

    def spec(self, directory: Path, run_id: str, what: str, *, token: int = 1, **more: Any) -> AttemptSpec:
        """An attempt to call `what`."""
        timing = {name: more.pop(name) for name in ("timeout_s", "kill_grace_s") if name in more}
        arguments = self.arguments(directory, what, ledger=str(directory / "ledger"), **more)
        environment = {"GNOMON_RUN_ID": run_id, "GNOMON_ATTEMPT": "1", "GNOMON_JOB_ID": "job"}
        return AttemptSpec(run_id, 1, token, "job", "call", arguments, environment, **timing)

    # ---- how things end -------------------------------------------------------------------------

    def test_success_is_started_and_ended_with_the_token(
        self, executor: Executor, sink: Recorder, tmp_path: Path, ledger: Path
    ) -> None:
        executor.start([self.spec(tmp_path, "a", "give", token=7, value={"n": [1]})])
        end, start = sink.ended("a"), sink.started("a")
        assert (end.outcome, end.result, end.token, start.token) == (Outcome.SUCCEEDED, {"n": [1]}, 7, 7)
        assert end.error is None
        assert end.started_at is not None
        assert end.started_at <= end.finished_at
        assert sink.events.index(start) < sink.events.index(end)

    def test_what_is_raised_is_the_error(
        self, executor: Executor, sink: Recorder, tmp_path: Path, ledger: Path
    ) -> None:
        executor.start([self.spec(tmp_path, "a", "fail")])
        end = sink.ended("a")
        assert (end.outcome, end.never_started) == (Outcome.FAILED, False)
        assert (end.error and end.error.code, end.error and end.error.message) == ("ValueError", "no")

    def test_what_has_returned_has_succeeded_though_its_result_is_too_large(
        self, executor: Executor, sink: Recorder, tmp_path: Path, ledger: Path
    ) -> None:
        executor.start([self.spec(tmp_path, "a", "give", value="x" * 70_000)])
        end = sink.ended("a")
        assert (end.outcome, end.result, end.error and end.error.code) == (Outcome.SUCCEEDED, None, "bad_result")

    def test_timeout(self, executor: Executor, sink: Recorder, tmp_path: Path, ledger: Path) -> None:
        executor.start([self.spec(tmp_path, "a", "hang", timeout_s=0.3, kill_grace_s=0.5)])
        end = sink.ended("a")
        assert (end.outcome, end.error and end.error.code) == (Outcome.TIMED_OUT, "timed_out")

    def test_cancel(self, executor: Executor, sink: Recorder, tmp_path: Path, ledger: Path) -> None:
        executor.start([self.spec(tmp_path, "a", "hang", kill_grace_s=0.5)])
        sink.until(lambda: ledger.read_text() == "a\n")
        executor.cancel("a", 1)
        assert sink.ended("a").outcome is Outcome.CANCELLED

    def test_cancel_of_the_unknown_is_ignored(
        self, executor: Executor, sink: Recorder, tmp_path: Path, ledger: Path
    ) -> None:
        executor.cancel("nobody", 1)
        executor.start([self.spec(tmp_path, "a", "give", value=1)])
        assert sink.ended("a").outcome is Outcome.SUCCEEDED

    # ---- once -----------------------------------------------------------------------------------

    def test_many_each_exactly_once(self, executor: Executor, sink: Recorder, tmp_path: Path, ledger: Path) -> None:
        specs = [self.spec(tmp_path, f"r{i}", "give", value=i) for i in range(200)]
        executor.start(specs)
        executor.start(specs)
        assert [sink.ended(f"r{i}").result for i in range(200)] == list(range(200))
        for i in range(200):
            executor.forget(f"r{i}", 1)
            executor.forget(f"r{i}", 1)
        assert Counter(ledger.read_text().split()) == Counter(f"r{i}" for i in range(200))
        assert sum(isinstance(event, Ended) for event in sink.events) == 200

    # ---- taking over ----------------------------------------------------------------------------

    @pytest.mark.parametrize("known", [True, False])
    def test_what_runs_is_watched_on(
        self,
        executor: Executor,
        sink: Recorder,
        heir: tuple[Executor, Recorder],
        tmp_path: Path,
        ledger: Path,
        known: bool,
    ) -> None:
        gate = tmp_path / "gate"
        executor.start([self.spec(tmp_path, "a", "wait", gate=str(gate))])
        handle = sink.started("a").handle
        sink.until(lambda: ledger.read_text() == "a\n")
        executor.detach()
        for token in (2, 3):
            again = self.spec(tmp_path, "a", "wait", token=token)
            heir[0].adopt([Adoption(again, handle if known else None, "node-1")])
        if not known:
            assert heir[1].started("a").handle.process == handle.process
        _put(gate, "after")
        heir[1].until(lambda: any(end.token == 3 for end in heir[1].ends("a")))  # one that is slow may tell token 2 too
        assert {(end.outcome, end.result) for end in heir[1].ends("a")} == {(Outcome.SUCCEEDED, "after")}
        assert sink.ends("a") == []
        assert ledger.read_text() == "a\n"

    def test_an_end_that_nobody_kept_is_learnt(
        self, executor: Executor, sink: Recorder, heir: tuple[Executor, Recorder], tmp_path: Path, ledger: Path
    ) -> None:
        executor.start([self.spec(tmp_path, "a", "give", value=1), self.spec(tmp_path, "b", "fail")])
        first, other = sink.ended("a"), sink.ended("b")
        executor.detach()
        heir[0].adopt(
            [
                Adoption(self.spec(tmp_path, "a", "give", token=2, timeout_s=0.001), None, "node-1"),
                Adoption(self.spec(tmp_path, "b", "fail", token=2), None, "node-1"),
            ]
        )
        end = heir[1].ended("a")
        assert (end.outcome, end.result, end.token) == (Outcome.SUCCEEDED, 1, 2)
        assert (end.started_at, end.finished_at) == (first.started_at, first.finished_at)
        assert heir[1].ended("b").error == other.error

    def test_what_never_began_never_will(
        self, executor: Executor, sink: Recorder, heir: tuple[Executor, Recorder], tmp_path: Path, ledger: Path
    ) -> None:
        heir[0].adopt([Adoption(self.spec(tmp_path, "a", "give", token=2, value=1), None, "node-1")])
        end = heir[1].ended("a")
        assert (end.outcome, end.never_started) == (Outcome.LOST, True)
        executor.start([self.spec(tmp_path, "a", "give", value=1)])  # the old owner was only slow
        late = sink.ended("a")
        assert (late.outcome, late.never_started, late.token) == (Outcome.LOST, True, 1)
        assert ledger.read_text() == ""

    def test_two_owners_agree(
        self, executor: Executor, sink: Recorder, heir: tuple[Executor, Recorder], tmp_path: Path, ledger: Path
    ) -> None:
        gate = tmp_path / "gate"
        executor.start([self.spec(tmp_path, "a", "wait", gate=str(gate))])
        handle = sink.started("a").handle
        sink.until(lambda: ledger.read_text() == "a\n")  # until then it may be revoked
        heir[0].adopt([Adoption(self.spec(tmp_path, "a", "wait", token=2), handle, "node-1")])
        _put(gate, "go")
        ends = sink.ended("a"), heir[1].ended("a")
        assert [(end.result, end.token) for end in ends] == [("go", 1), ("go", 2)]

    def test_a_timeout_passed_unwatched_is_enforced(
        self, executor: Executor, sink: Recorder, heir: tuple[Executor, Recorder], tmp_path: Path, ledger: Path
    ) -> None:
        executor.start([self.spec(tmp_path, "a", "hang")])
        handle = sink.started("a").handle
        sink.until(lambda: ledger.read_text() == "a\n")
        executor.detach()
        late = self.spec(tmp_path, "a", "hang", token=2, timeout_s=0.01, kill_grace_s=0.5)
        heir[0].adopt([Adoption(late, handle, "node-1")])
        assert heir[1].ended("a").outcome is Outcome.TIMED_OUT

    def test_an_adopted_call_can_be_cancelled(
        self, executor: Executor, sink: Recorder, heir: tuple[Executor, Recorder], tmp_path: Path, ledger: Path
    ) -> None:
        executor.start([self.spec(tmp_path, "a", "hang")])
        handle = sink.started("a").handle
        sink.until(lambda: ledger.read_text() == "a\n")
        executor.detach()
        heir[0].adopt([Adoption(self.spec(tmp_path, "a", "hang", token=2, kill_grace_s=0.5), handle, "node-1")])
        heir[0].cancel("a", 1)
        end = heir[1].ended("a")
        assert (end.outcome, end.token) == (Outcome.CANCELLED, 2)


def _put(path: Path, text: str) -> None:
    """There at once, with everything in it."""
    draft = path.with_name("draft")
    draft.write_text(text)
    draft.rename(path)
