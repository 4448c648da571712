"""Commands with secrets: nothing secret in the log or the result, nothing lost, survivors and all."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.core.attempts import Adoption, Outcome
from gnomon.executors import CommandExecutor, Logs
from gnomon.executors.invocation import Source
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder, command
from tests.support.service import until

SECRET = "t0p/secret w0rd"
ENV = {"S": "env:S", "B": base64.b64encode(SECRET.encode()).decode(), "PLAIN": "hello"}


def look_up(reference: str) -> str:
    if reference != "env:S":
        raise LookupError(f"{reference} is not there")
    return SECRET


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


def opened(tmp_path: Path, sink: Recorder) -> CommandExecutor:
    executor = CommandExecutor(tmp_path / "state", clock=SystemClock(), source=Source(look_up, lambda: ("env",)))
    executor.open(sink)
    return executor


@pytest.fixture
def executor(tmp_path: Path, sink: Recorder) -> Iterator[CommandExecutor]:
    executor = opened(tmp_path, sink)
    yield executor
    executor.detach()


def log_of(tmp_path: Path, run_id: str) -> str:
    return Logs(tmp_path / "state").read(run_id, 1)[0].decode()


def nothing_kept(tmp_path: Path) -> bool:
    return not any(SECRET.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_output_and_result_hold_no_secret(executor: CommandExecutor, sink: Recorder, tmp_path: Path) -> None:
    script = (
        'echo "1 $S"; echo "2 $B" >&2; printf "3 t0p/sec"; sleep 0.1; echo "ret w0rd"; echo "4 $PLAIN"; cat; '
        'echo "{\\"a $S\\": [\\"$S\\", \\"$B\\", 1]}" >"$GNOMON_RESULT"; exit 3'
    )
    executor.start([command("a", script, env=ENV, stdin="env:S")])
    end = sink.ended("a")
    assert log_of(tmp_path, "a") == "1 ***\n2 ***\n3 ***\n4 hello\n***"
    assert (end.outcome, end.exit_code, end.result) == (Outcome.FAILED, 3, {"a ***": ["***", "***", 1]})
    assert end.log_bytes == len(log_of(tmp_path, "a"))
    assert nothing_kept(tmp_path)
    executor.forget("a", 1)


def test_a_short_command_loses_nothing(executor: CommandExecutor, sink: Recorder, tmp_path: Path) -> None:
    executor.start([command(f"r{n}", f'echo "{n} $S"', env=ENV) for n in range(8)])
    for n in range(8):
        assert sink.ended(f"r{n}").outcome is Outcome.SUCCEEDED
        assert log_of(tmp_path, f"r{n}") == f"{n} ***\n"


def test_much_output_is_whole(executor: CommandExecutor, sink: Recorder, tmp_path: Path) -> None:
    executor.start([command("a", 'i=0; while [ $i -lt 3000 ]; do echo "$i $S"; i=$((i+1)); done', env=ENV)])
    assert sink.ended("a").outcome is Outcome.SUCCEEDED
    assert log_of(tmp_path, "a") == "".join(f"{n} ***\n" for n in range(3000))


def test_a_secret_that_is_not_there_is_told_by_its_reference(executor: CommandExecutor, sink: Recorder) -> None:
    executor.start([command("a", "true", env={"X": "env:NOPE"})])
    end = sink.ended("a")
    assert (end.outcome, end.never_started) == (Outcome.FAILED, True)
    assert end.error is not None
    assert end.error.code == "secret_not_found"
    assert end.error.message.startswith("env.X: env:NOPE is not there")


def test_a_timeout_ends_all_of_it_and_keeps_what_was_said(
    executor: CommandExecutor, sink: Recorder, tmp_path: Path
) -> None:
    script = 'trap "echo going $S; exit 0" TERM; echo "in $S"; while :; do sleep 0.05; done'
    executor.start([command("a", script, env=ENV, timeout_s=0.5)])
    end = sink.ended("a")
    assert end.outcome is Outcome.TIMED_OUT
    assert log_of(tmp_path, "a").replace("Terminated\n", "") == "in ***\ngoing ***\n"
    executor.start(
        [
            command(
                "b",
                'trap "" TERM; echo "in $S"; while :; do sleep 0.05; done',
                env=ENV,
                timeout_s=0.5,
                kill_grace_s=0.2,
            )
        ]
    )
    assert sink.ended("b").outcome is Outcome.TIMED_OUT
    assert log_of(tmp_path, "b") == "in ***\n"
    until(lambda: not sieves(tmp_path), "no process is left")


def sieves(tmp_path: Path) -> list[int]:
    """Processes that have a file of ours open."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            links = [os.readlink(f"/proc/{name}/fd/{fd}") for fd in os.listdir(f"/proc/{name}/fd")]
        except OSError:
            continue
        if int(name) != os.getpid() and any(link.startswith(str(tmp_path)) for link in links):
            found.append(int(name))
    return found


def test_who_stays_behind_is_not_waited_for_and_still_heard(
    executor: CommandExecutor, sink: Recorder, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    script = f'echo "first $S"; (until [ -e {go} ]; do sleep 0.05; done; echo "later $S") &'
    executor.start([command("a", script, env=ENV)])
    assert sink.ended("a").outcome is Outcome.SUCCEEDED
    assert log_of(tmp_path, "a") == "first ***\n"
    go.touch()
    until(lambda: log_of(tmp_path, "a") == "first ***\nlater ***\n", "what came later is in the log")
    until(lambda: not sieves(tmp_path), "the sieve ends with those it served")


def test_it_goes_on_without_the_scheduler_and_is_adopted(tmp_path: Path, sink: Recorder) -> None:
    first, go = opened(tmp_path, sink), tmp_path / "go"
    spec = command("a", f'echo "one $S"; until [ -e {go} ]; do sleep 0.02; done; echo "two $S"', env=ENV)
    first.start([spec])
    handle = sink.started("a").handle
    first.detach()
    until(lambda: log_of(tmp_path, "a") == "one ***\n", "it has begun")
    later = Recorder()
    second = opened(tmp_path, later)
    try:
        second.adopt([Adoption(spec, handle)])
        go.touch()
        assert later.ended("a").outcome is Outcome.SUCCEEDED
    finally:
        second.detach()
    assert log_of(tmp_path, "a") == "one ***\ntwo ***\n"


def test_nothing_secret_is_an_argument_of_any_process(
    executor: CommandExecutor, sink: Recorder, tmp_path: Path
) -> None:
    executor.start([command("a", 'sleep 30; echo "$S"', env=ENV)])
    sink.started("a")
    pids = until(lambda: len(found := sieves(tmp_path)) >= 2 and found, "shim and sieve run")
    for pid in pids:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert SECRET.encode() not in line
        assert ENV["B"].encode() not in line
    executor.cancel("a", 1)
    assert sink.ended("a").outcome is Outcome.CANCELLED
