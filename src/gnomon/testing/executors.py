"""The conformance suite of executors that perform `command` tasks.

Subclass it in a test file and say how to make yours:

    class TestMine(CommandExecutorSuite):
        def make_executor(self, directory):
            return MyExecutor(directory)

        def read_log(self, directory, run_id, number):
            return my_logs(directory).read(run_id, number)[0]

Each test gets a directory of its own; two executors made on one directory are owner and successor.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gnomon.core.attempts import Adoption, AttemptSpec, Ended, Event, Executor, Outcome, Started
from gnomon.core.values import Json

PATIENCE_S = 30.0


class Recorder:
    """A sink that remembers, and waits for what is to come."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = threading.Condition()

    def __call__(self, event: Event) -> None:
        """Receive an event."""
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def ends(self, run_id: str, number: int = 1) -> list[Ended]:
        """All `Ended` of an attempt so far."""
        return [e for e in list(self.events) if isinstance(e, Ended) and (e.run_id, e.number) == (run_id, number)]

    def ended(self, run_id: str, number: int = 1) -> Ended:
        """Wait for the end of an attempt. Raises AssertionError after `PATIENCE_S`."""
        self.until(lambda: bool(self.ends(run_id, number)))
        return self.ends(run_id, number)[0]

    def started(self, run_id: str, number: int = 1) -> Started:
        """Wait for the start of an attempt."""

        def found() -> list[Started]:
            every = [e for e in list(self.events) if isinstance(e, Started)]
            return [e for e in every if (e.run_id, e.number) == (run_id, number)]

        self.until(lambda: bool(found()))
        return found()[0]

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition`, which is asked again after every event and every 10 ms."""
        for _ in range(int(PATIENCE_S * 100)):
            if condition():
                return
            with self._news:
                self._news.wait(0.01)
        raise AssertionError(f"waited {PATIENCE_S} s in vain; events: {self.events}")


def command(run_id: str, what: Json, /, *, number: int = 1, token: int = 1, **more: Json) -> AttemptSpec:
    """An attempt of a command; `timeout_s` and `kill_grace_s` go to the attempt, everything else to the task."""
    timeout, grace, limit = more.pop("timeout_s", None), more.pop("kill_grace_s", 10.0), more.pop("log_limit", 100_000)
    assert isinstance(timeout, int | float | None)
    assert isinstance(grace, int | float)
    assert isinstance(limit, int)
    return AttemptSpec(
        run_id,
        number,
        token,
        "job",
        "command",
        {"command": what, **more},
        {"GNOMON_RUN_ID": run_id, "GNOMON_ATTEMPT": str(number), "GNOMON_JOB_ID": "job"},
        timeout_s=timeout,
        kill_grace_s=grace,
        log_limit=limit,
    )


class CommandExecutorSuite:
    """What every executor of commands must do."""

    def make_executor(self, directory: Path) -> Executor:
        """A new executor that keeps what it needs for recovery in `directory`. Override this."""
        raise NotImplementedError

    def read_log(self, directory: Path, run_id: str, number: int) -> bytes:
        """The captured output of an attempt from its beginning. Override this."""
        raise NotImplementedError

    @pytest.fixture
    def sink(self) -> Recorder:
        return Recorder()

    @pytest.fixture
    def executor(self, tmp_path: Path, sink: Recorder) -> Iterator[Executor]:
        executor = self.make_executor(tmp_path / "state")
        executor.open(sink)
        yield executor
        executor.detach()

    def successor(self, tmp_path: Path) -> tuple[Executor, Recorder]:
        """Another executor on the same directory, opened."""
        executor, sink = self.make_executor(tmp_path / "state"), Recorder()
        executor.open(sink)
        return executor, sink

    # ---- how things end -------------------------------------------------------------------------

    def test_success_is_started_and_ended_with_the_token(self, executor: Executor, sink: Recorder) -> None:
        executor.start([command("a", ["true"], token=7)])
        end, start = sink.ended("a"), sink.started("a")
        assert (end.outcome, end.exit_code, end.token, start.token) == (Outcome.SUCCEEDED, 0, 7, 7)
        assert end.error is None
        assert end.started_at is not None
        assert end.started_at <= end.finished_at
        assert sink.events.index(start) < sink.events.index(end)

    @pytest.mark.parametrize(
        ("what", "code", "error"),
        [
            ("exit 3", 3, "exit_code"),
            ("exit 137", 137, "exit_code"),
            ("kill -KILL $$", -9, "signal"),
            ("kill -TERM $$", -15, "signal"),
            ("kill -INT $$", -2, "signal"),
            (["no-such-program-anywhere"], 127, "command_not_found"),
            (["exit", "0"], 127, "command_not_found"),
            (["/etc/passwd"], 126, "not_executable"),
        ],
    )
    def test_exit_codes(self, executor: Executor, sink: Recorder, what: Json, code: int, error: str) -> None:
        executor.start([command("a", what)])
        end = sink.ended("a")
        assert (end.outcome, end.exit_code) == (Outcome.FAILED, code)
        assert end.error is not None
        assert end.error.code == error
        assert not end.never_started

    def test_what_is_nowhere_is_not_found_whatever_path_holds(
        self, executor: Executor, sink: Recorder, tmp_path: Path
    ) -> None:
        """execve(2) answers "permission denied" for a directory that may not be entered, and for one of that name."""
        (tmp_path / "closed").mkdir(mode=0)
        (tmp_path / "path" / "tool").mkdir(parents=True)
        environment = {"PATH": f"{tmp_path / 'closed'}::{tmp_path / 'path'}:/usr/bin:/bin"}
        executor.start([command("a", ["tool"], env=environment), command("b", ["true"], env=environment)])
        assert (sink.ended("a").exit_code, sink.ended("b").exit_code) == (127, 0)
        (tmp_path / "path" / "tool").rmdir()
        (tmp_path / "path" / "tool").write_text("")
        executor.start([command("c", ["tool"], env=environment)])
        assert sink.ended("c").exit_code == 126

    @pytest.mark.parametrize(
        ("more", "error"),
        [({"cwd": "/no/such/directory"}, "bad_cwd"), ({"run_as": "no-such-user-here"}, "unknown_user")],
    )
    def test_what_can_not_be_tried_fails(
        self, executor: Executor, sink: Recorder, more: dict[str, Json], error: str
    ) -> None:
        impossible = replace(command("a", ["true"]), arguments={"command": ["true"], **more})
        executor.start([impossible, command("b", ["true"])])
        end = sink.ended("a")
        assert end.outcome is Outcome.FAILED
        assert end.error is not None
        assert end.error.code == error
        assert sink.ended("b").outcome is Outcome.SUCCEEDED

    def test_duration_is_right_to_20_ms_and_some_load(self, executor: Executor, sink: Recorder) -> None:
        executor.start([command("a", ["sleep", "0.3"])])
        duration = sink.ended("a").duration_s
        assert duration is not None
        assert 0.28 <= duration < 0.8

    # ---- what a command sees and says -----------------------------------------------------------

    def test_input_environment_and_directory(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        script = 'cat; printf "%s|%s|%s|%s" "$MODE" "$GNOMON_RUN_ID" "$GNOMON_ATTEMPT" "$(pwd -P)"'
        executor.start([command("a", script, stdin="in\n", env={"MODE": "$(evil) 'x'"}, cwd=str(tmp_path), number=2)])
        sink.ended("a", 2)
        expected = f"in\n$(evil) 'x'|a|2|{tmp_path.resolve()}"
        assert self.read_log(tmp_path / "state", "a", 2).decode() == expected

    def test_both_streams_are_kept_in_order(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        executor.start([command("a", "echo 1; echo 2 >&2; echo 3")])
        assert sink.ended("a").log_bytes == 6
        assert self.read_log(tmp_path / "state", "a", 1) == b"1\n2\n3\n"

    def test_secrets_of_the_scheduler_stay_with_it(
        self, tmp_path: Path, sink: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GNOMON_TOKEN", "canary")
        monkeypatch.setenv("GNOMON_DB", "canary")
        executor = self.make_executor(tmp_path / "state")
        executor.open(sink)
        executor.start([command("a", "env")])
        sink.ended("a")
        executor.detach()
        log = self.read_log(tmp_path / "state", "a", 1)
        assert b"PATH=" in log
        assert b"canary" not in log

    def test_a_result_comes_back(self, executor: Executor, sink: Recorder) -> None:
        executor.start(
            [command("a", 'echo \'{"rows": 3}\' >"$GNOMON_RESULT"'), command("b", "echo no >$GNOMON_RESULT")]
        )
        assert sink.ended("a").result == {"rows": 3}
        bad = sink.ended("b")
        assert (bad.outcome, bad.result) == (Outcome.FAILED, None)
        assert bad.error is not None
        assert bad.error.code == "bad_result"

    def test_output_is_bounded(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        executor.start(
            [command("a", "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo last", log_limit=10_000)]
        )
        sink.ended("a")
        log = b""
        state = tmp_path / "state"
        sink.until(lambda: len(self.read_log(state, "a", 1)) <= 10_100)
        log = self.read_log(state, "a", 1)
        assert log.startswith(b"first\nxxx")

    # ---- stopping -------------------------------------------------------------------------------

    def test_timeout_wins_over_the_exit_code(self, executor: Executor, sink: Recorder) -> None:
        executor.start([command("a", "trap 'exit 0' TERM; sleep 100 & wait", timeout_s=0.3)])
        end = sink.ended("a")
        assert (end.outcome, end.error and end.error.code) == (Outcome.TIMED_OUT, "timed_out")

    def test_grace_lets_it_finish(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        script = "trap 'echo cleaned; exit 4' TERM; echo up; sleep 100 & wait"
        executor.start([command("a", script)])
        sink.until(lambda: self.read_log(tmp_path / "state", "a", 1) == b"up\n")
        executor.cancel("a", 1)
        end = sink.ended("a")
        assert (end.outcome, end.exit_code) == (Outcome.CANCELLED, 4)
        assert self.read_log(tmp_path / "state", "a", 1) == b"up\ncleaned\n"

    def test_nothing_survives_a_cancel(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        deaf = f"trap '' TERM; echo $$ >>{pids}; while :; do sleep 100; done"
        script = f'setsid sh -c "{deaf}" & (sh -c "{deaf}" &) ; {deaf}'
        executor.start([command("a", script.replace("$$", "\\$$", 2), kill_grace_s=0.2)])
        sink.until(lambda: pids.exists() and len(set(pids.read_text().split())) == 3)
        executor.cancel("a", 1)
        assert sink.ended("a").outcome is Outcome.CANCELLED
        assert [pid for pid in pids.read_text().split() if _alive(int(pid))] == []

    def test_cancel_of_the_unknown_is_ignored(self, executor: Executor, sink: Recorder) -> None:
        executor.cancel("nobody", 1)
        executor.start([command("a", ["true"])])
        assert sink.ended("a").outcome is Outcome.SUCCEEDED

    # ---- once -----------------------------------------------------------------------------------

    def test_many_at_once_each_exactly_once(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        ledger = tmp_path / "ledger"
        specs = [command(f"r{i}", f"echo {i} >>{ledger}; exit {i % 3}") for i in range(60)]
        executor.start(specs)
        executor.start(specs)
        assert [sink.ended(f"r{i}").exit_code for i in range(60)] == [i % 3 for i in range(60)]
        assert sorted(ledger.read_text().split(), key=int) == [str(i) for i in range(60)]
        assert sum(isinstance(event, Ended) for event in sink.events) == 60

    def test_forget_is_idempotent_and_keeps_the_log(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        executor.start([command("a", ["echo", "kept"])])
        sink.ended("a")
        executor.forget("a", 1)
        executor.forget("a", 1)
        executor.start([command("b", ["true"])])
        sink.ended("b")
        assert self.read_log(tmp_path / "state", "a", 1) == b"kept\n"

    # ---- taking over ----------------------------------------------------------------------------

    def test_a_running_command_is_watched_on(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        executor.start([command("a", f"echo before; read line <{gate}; echo $line; exit 5")])
        handle = sink.started("a").handle
        sink.until(lambda: self.read_log(tmp_path / "state", "a", 1) == b"before\n")  # until then it may be revoked
        executor.detach()
        heir, news = self.successor(tmp_path)
        heir.adopt([Adoption(command("a", "ignored", token=2), handle)])
        with gate.open("w") as file:
            file.write("after\n")
        end = news.ended("a")
        heir.detach()
        assert (end.outcome, end.exit_code, end.token) == (Outcome.FAILED, 5, 2)
        assert self.read_log(tmp_path / "state", "a", 1) == b"before\nafter\n"
        assert sink.ends("a") == []

    @pytest.mark.parametrize("known", [True, False])
    def test_an_end_that_nobody_saw_is_learnt(
        self, executor: Executor, sink: Recorder, tmp_path: Path, known: bool
    ) -> None:
        executor.start([command("a", "sleep 0.2; exit 6")])
        handle = sink.started("a").handle
        first = sink.ended("a")
        executor.detach()
        heir, news = self.successor(tmp_path)
        heir.adopt([Adoption(command("a", "ignored", token=2, timeout_s=0.01), handle if known else None)])
        end = news.ended("a")
        heir.detach()
        assert (end.exit_code, end.started_at, end.finished_at) == (6, first.started_at, first.finished_at)
        assert end.duration_s == pytest.approx(first.duration_s, abs=0.02)

    def test_what_never_began_never_will(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        ledger = tmp_path / "ledger"
        spec = command("a", f"echo ran >>{ledger}")
        heir, news = self.successor(tmp_path)
        heir.adopt([Adoption(spec, None)])
        end = news.ended("a")
        assert (end.outcome, end.never_started) == (Outcome.LOST, True)
        executor.start([spec])  # the old owner was only slow
        assert sink.ended("a").never_started
        heir.detach()
        assert not ledger.exists()

    def test_a_timeout_passed_unwatched_is_enforced(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        executor.start([command("a", "echo up; sleep 100")])
        handle = sink.started("a").handle
        sink.until(lambda: self.read_log(tmp_path / "state", "a", 1) == b"up\n")
        executor.detach()
        heir, news = self.successor(tmp_path)
        heir.adopt([Adoption(command("a", "ignored", timeout_s=0.01), handle)])
        assert news.ended("a").outcome is Outcome.TIMED_OUT
        heir.detach()

    def test_a_cancel_begun_is_finished_by_the_successor(
        self, executor: Executor, sink: Recorder, tmp_path: Path
    ) -> None:
        script = "trap 'echo deaf' TERM; echo up; while :; do sleep 0.05; done"
        executor.start([command("a", script, kill_grace_s=1000.0)])
        handle = sink.started("a").handle
        sink.until(lambda: self.read_log(tmp_path / "state", "a", 1) == b"up\n")
        executor.cancel("a", 1)
        sink.until(lambda: b"deaf" in self.read_log(tmp_path / "state", "a", 1))
        executor.detach()
        heir, news = self.successor(tmp_path)
        heir.adopt([Adoption(command("a", "ignored", token=2, kill_grace_s=0.1), handle)])
        end = news.ended("a")
        heir.detach()
        assert (end.outcome, end.token) == (Outcome.CANCELLED, 2)

    def test_two_owners_agree(self, executor: Executor, sink: Recorder, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        executor.start([command("a", f"echo up; read line <{gate}; exit 9")])
        handle = sink.started("a").handle
        sink.until(lambda: self.read_log(tmp_path / "state", "a", 1) == b"up\n")
        heir, news = self.successor(tmp_path)
        heir.adopt([Adoption(command("a", "ignored", token=2), handle)])
        gate.write_text("go\n")
        ends = sink.ended("a"), news.ended("a")
        heir.detach()
        assert [(end.exit_code, end.token) for end in ends] == [(9, 1), (9, 2)]


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
