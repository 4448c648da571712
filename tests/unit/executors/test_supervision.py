"""What the conformance suite can not ask of every executor: privileges, descriptors, shortages, a dead shim."""

from __future__ import annotations

import errno
import json
import os
import pwd
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.attempts import Adoption, Handle, Outcome
from gnomon.core.values import Json
from gnomon.executors import CommandExecutor, Logs, launcher
from gnomon.executors.invocation import Source
from gnomon.executors.processes import find
from gnomon.executors.shim import SIEVED
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import Recorder, command

as_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


@pytest.fixture
def executor(tmp_path: Path, sink: Recorder) -> Iterator[CommandExecutor]:
    executor = CommandExecutor(
        tmp_path / "state", clock=SystemClock(), source=Source(lambda t: t.replace("env:X", "secret"), lambda: ("env",))
    )
    executor.open(sink)
    yield executor
    executor.detach()


def log_of(tmp_path: Path, run_id: str) -> str:
    return Logs(tmp_path / "state").read(run_id, 1)[0].decode()


@as_root
def test_run_as_drops_everything(executor: CommandExecutor, sink: Recorder, tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    script = (
        'cat /proc/self/status; echo "HOME=$HOME USER=$USER"; echo "[1]" >"$GNOMON_RESULT"; echo more >>/dev/stderr'
    )
    executor.start([command("a", script, run_as="nobody", cwd="/")])
    end = sink.ended("a")
    assert (end.outcome, end.result) == (Outcome.SUCCEEDED, [1]), log_of(tmp_path, "a")
    status = dict(line.split(":\t", 1) for line in log_of(tmp_path, "a").splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
    assert status["Gid"].split() == [str(nobody.pw_gid)] * 4
    assert set(status["Groups"].split()) <= {str(nobody.pw_gid)}
    assert {status[f"Cap{kind}"].strip("0") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {""}
    assert status["NoNewPrivs"] == "1"
    assert f"HOME={nobody.pw_dir} USER=nobody" in log_of(tmp_path, "a")


@as_root
def test_another_user_sees_little_and_can_not_reach_the_state(
    executor: CommandExecutor, sink: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.start([command("a", f"ls {tmp_path}/state; env", run_as="nobody", cwd="/")])
    sink.ended("a")
    assert "denied" in log_of(tmp_path, "a").lower()
    assert "PYTHON" not in log_of(tmp_path, "a")


def test_run_as_needs_root(executor: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    executor.start([command("a", ["true"], run_as="nobody")])
    end = sink.ended("a")
    assert end.error is not None
    assert (end.error.code, end.never_started) == ("run_as_needs_root", True)


def test_children_get_no_descriptor_signal_or_limit_of_ours(
    executor: CommandExecutor, sink: Recorder, tmp_path: Path
) -> None:
    leak = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(leak, True)
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        code = "import os, json; print(json.dumps([os.listdir('/proc/self/fd'), open('/proc/self/status').read()]))"
        executor.start([command("a", ["python3", "-S", "-c", code])])
        sink.ended("a")
    finally:
        os.close(leak)
        signal.signal(signal.SIGUSR1, before)
    fds, status = json.loads(log_of(tmp_path, "a"))
    assert set(fds) <= {"0", "1", "2", "3"}  # 3 is the directory being listed
    ignored = int(status.split("SigIgn:")[1].split()[0], 16)
    assert ignored & (1 << (signal.SIGUSR1 - 1)) == 0
    assert int(status.split("SigBlk:")[1].split()[0], 16) == 0


def test_state_is_private(executor: CommandExecutor, sink: Recorder, tmp_path: Path) -> None:
    executor.start([command("a", ["echo", "x"])])
    sink.ended("a")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    (log,) = (tmp_path / "state").rglob("*.log")
    assert log.stat().st_mode & 0o777 == 0o600


def test_secrets_are_resolved_into_the_environment_only(
    executor: CommandExecutor, sink: Recorder, tmp_path: Path
) -> None:
    executor.start([command("a", 'echo "${#P} $P"; cat /proc/$$/cmdline', env={"P": "env:X"})])
    sink.ended("a")
    assert log_of(tmp_path, "a").startswith(f"{len('secret')} ***\n")
    assert log_of(tmp_path, "a").count("***") == 1


@pytest.mark.parametrize("secret", [{}, {"P": "env:X"}], ids=["plain", "sieved"])
def test_the_shell_between_changes_no_variable_and_finds_what_the_command_finds(
    executor: CommandExecutor, sink: Recorder, tmp_path: Path, secret: dict[str, Json]
) -> None:
    names = [*re.findall(r"\b([a-z]+)(?==| in )", SIEVED), "sieve"]
    given: dict[str, Json] = dict.fromkeys(names, "as it was")
    (tmp_path / "path" / "tool").mkdir(parents=True)
    path: dict[str, Json] = {"PATH": f"{tmp_path / 'path'}:/usr/bin:/bin"}
    executor.start([command("a", ["env"], env=given | secret), command("b", ["tool"], env=path | secret)])
    assert (sink.ended("a").exit_code, sink.ended("b").exit_code) == (0, 127)
    assert set(log_of(tmp_path, "a").splitlines()) >= {f"{name}=as it was" for name in names}


def test_a_killed_shim_takes_the_command_with_it(executor: CommandExecutor, sink: Recorder, tmp_path: Path) -> None:
    executor.start([command("a", "echo $$; exec sleep 1000")])
    shim = sink.started("a").handle.process["pid"]
    sink.until(lambda: log_of(tmp_path, "a").endswith("\n"))
    assert isinstance(shim, int)
    os.kill(shim, signal.SIGKILL)
    end = sink.ended("a")
    assert (end.outcome, end.exit_code, end.never_started) == (Outcome.LOST, None, False)
    assert end.started_at is not None
    left = find(int(log_of(tmp_path, "a")))
    assert left is None or left.state == "Z"


def test_a_daemon_started_on_purpose_is_left_alone(executor: CommandExecutor, sink: Recorder, tmp_path: Path) -> None:
    executor.start([command("a", "setsid sleep 1000 & echo $!")])
    assert sink.ended("a").outcome is Outcome.SUCCEEDED
    daemon = int(log_of(tmp_path, "a"))
    process = find(daemon)
    assert process is not None
    assert process.state != "Z"
    os.kill(daemon, signal.SIGKILL)


def test_a_shortage_is_waited_out_and_order_kept(
    executor: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, failures = os.posix_spawn, iter([errno.EAGAIN, errno.EMFILE])

    def short(*args: Any, **more: Any) -> int:
        number = next(failures, 0)
        if number:
            raise OSError(number, os.strerror(number))
        return spawn(*args, **more)

    monkeypatch.setattr(os, "posix_spawn", short)
    executor.start([command(name, ["true"]) for name in "abc"])
    assert [sink.ended(name).outcome for name in "abc"] == [Outcome.SUCCEEDED] * 3
    assert [event.run_id for event in sink.events if not hasattr(event, "outcome")] == ["a", "b", "c"]


def test_a_lasting_shortage_fails_the_attempt_and_nothing_else(
    executor: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_SHORTAGE_S", 0.0)
    with monkeypatch.context() as patch:

        def short(*_: Any, **__: Any) -> int:
            raise OSError(errno.EAGAIN, "no")

        patch.setattr(os, "posix_spawn", short)
        executor.start([command("a", ["true"])])
        end = sink.ended("a")
    assert end.error is not None
    assert (end.outcome, end.error.code, end.never_started) == (Outcome.FAILED, "spawn_failed", True)
    assert "ulimit -u" in end.error.message
    executor.start([command("b", ["true"])])
    assert sink.ended("b").outcome is Outcome.SUCCEEDED


def test_without_descriptors_it_is_watched_by_looking(
    executor: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any) -> int:
        raise OSError(errno.EMFILE, "no")

    monkeypatch.setattr(os, "pidfd_open", short)
    executor.start([command("a", "exit 4"), command("b", ["sleep", "1000"], timeout_s=0.1, kill_grace_s=0)])
    assert sink.ended("a").exit_code == 4
    assert sink.ended("b").outcome is Outcome.TIMED_OUT


def test_a_reboot_is_lost(executor: CommandExecutor, sink: Recorder) -> None:
    handle = Handle("w", {"pid": 1, "start": 1, "boot": "another", "namespace": ""})
    executor.adopt([Adoption(command("a", ["true"]), handle)])
    end = sink.ended("a")
    assert (end.outcome, end.never_started) == (Outcome.LOST, False)


def test_an_attempt_that_waits_can_be_cancelled(
    executor: CommandExecutor, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any, **__: Any) -> int:
        raise OSError(errno.EAGAIN, "no")

    monkeypatch.setattr(os, "posix_spawn", short)
    executor.start([command("a", ["true"])])
    executor.cancel("a", 1)
    end = sink.ended("a")
    assert (end.outcome, end.never_started) == (Outcome.CANCELLED, True)


def test_detach_frees_everything(tmp_path: Path, sink: Recorder) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(3):
        executor = CommandExecutor(tmp_path / "state", clock=SystemClock())
        executor.open(sink)
        executor.start([command("a", ["true"])])
        sink.ended("a")
        executor.detach()
        executor.detach()
        executor.start([command("b", ["true"])])  # closed: nothing happens
    assert descriptors() == before


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"])
def test_the_witness_outlives_a_signal_to_its_group(executor: CommandExecutor, sink: Recorder, name: str) -> None:
    executor.start([command("a", f"trap '' {name}; kill -{name} 0; exit 5")])
    assert sink.ended("a").exit_code == 5
