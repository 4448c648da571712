"""What calls do to their worker process, and do not break for the next."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.core.attempts import Outcome

from .pool_support import Rig, callables_in, problem, rigs_of


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return callables_in(tmp_path_factory.mktemp("callables"))


@pytest.fixture
def make(home: Path, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    with rigs_of(home, tmp_path / "state") as build:
        yield build


@pytest.fixture
def rig(make: Callable[..., Rig]) -> Rig:
    return make()


@pytest.mark.parametrize("name", ["forks", "forks_and_raises"])
def test_a_fork_does_not_confuse(make: Callable[..., Rig], name: str) -> None:
    rig = make(size=1)
    for _ in range(3):
        assert rig.run(name).result == "parent"
    assert rig.run("echo", 1).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("name", ["closes_everything", "steals_descriptors"])
def test_descriptors_may_be_closed(make: Callable[..., Rig], name: str) -> None:
    rig = make(size=1)
    runs = [rig.start(name), rig.start("hello"), rig.start(name), rig.start("hello")]
    assert [rig.sink.ended(run).outcome for run in runs] == ["succeeded"] * 4
    assert [rig.log(run) for run in runs[1::2]] == [b"hello\n"] * 2


def test_what_a_call_changes_is_put_back(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    first = rig.run("who").result
    assert rig.run("changes_everything").outcome is Outcome.SUCCEEDED
    run = rig.start("state")
    result = rig.sink.ended(run).result
    assert isinstance(result, list)
    assert result[:-1] == [os.getcwd(), None, True, run, 3, True, 1000]
    assert result[-1] != 0
    shown = rig.start("hello", "still")
    rig.sink.ended(shown)
    assert rig.log(shown) == b"still\n"
    last = rig.run("who").result
    assert isinstance(first, list)
    assert isinstance(last, list)
    assert first[0] == last[0]  # one worker did it all


def test_threads_left_over_are_noted(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    run = rig.start("threads")
    assert rig.sink.ended(run).outcome is Outcome.SUCCEEDED
    assert b"2 thread(s)" in rig.log(run)
    quiet = rig.start("noop")
    assert rig.sink.ended(quiet).log_bytes == 0


def test_memory_limit(make: Callable[..., Rig]) -> None:
    rig = make(memory_limit=1 << 30)
    assert problem(rig.run("eats_memory"))[0] == "MemoryError"


def test_a_worker_is_replaced_after_so_many_calls(make: Callable[..., Rig]) -> None:
    rig = make(size=1, max_calls=5)
    runs = [rig.start("who") for _ in range(20)]
    found = [rig.sink.ended(run).result for run in runs]
    assert len({result[0] for result in found if isinstance(result, list)}) == 4


def test_a_worker_that_can_not_start_is_an_end(make: Callable[..., Rig]) -> None:
    rig = make(python="/bin/false")
    assert problem(rig.run("noop"))[0] == "worker_failed"
    rig = make(python="/no/such/python")
    assert problem(rig.run("noop"))[0] == "worker_failed"


def test_term_from_elsewhere_lets_the_call_end(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=1)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "waiting.py").write_text("def wait(path):\n    with open(path) as f: return f.read()\n")
    run = rig.start("waiting:wait", str(gate), path=[str(tmp_path)])
    pid = rig.sink.started(run).handle.process["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGTERM)
    gate.write_text("done")
    assert rig.sink.ended(run).result == "done"
