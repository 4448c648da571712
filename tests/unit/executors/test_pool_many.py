"""Many calls in worker processes: each once, long ones at once, and nothing is left of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.core.attempts import Ended, Outcome

from .pool_support import Rig, callables_in, rigs_of, task


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


def test_long_calls_really_run_at_once(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=6)
    marks = tmp_path / "marks"
    runs = [rig.start("up_and_hang", str(marks), grace_s=0.0) for _ in range(6)]
    rig.sink.until(lambda: marks.exists() and len(marks.read_text().split()) == 6)
    for run in runs:
        rig.pool.cancel(run, 1)
    assert {rig.sink.ended(run).outcome for run in runs} == {Outcome.CANCELLED}


def test_a_long_call_holds_nothing_back(make: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make(size=3)
    long = [rig.start("up_and_hang", str(tmp_path / "m"), grace_s=0.0) for _ in range(2)]
    short = [rig.start("echo", i) for i in range(50)]
    assert {rig.sink.ended(run).outcome for run in short} == {Outcome.SUCCEEDED}
    assert [rig.sink.ends(run) for run in long] == [[], []]
    for run in long:
        rig.pool.cancel(run, 1)
        rig.sink.ended(run)


def test_many_each_exactly_once(rig: Rig, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    specs = [task(f"m{i}", "note", str(ledger), f"{i}\n") for i in range(2000)]
    rig.pool.start(specs)
    rig.pool.start(specs)
    rig.sink.until(lambda: sum(isinstance(e, Ended) for e in list(rig.sink.events)) >= 2000)
    rig.pool.start(specs)  # known until they are forgotten
    assert rig.run("noop").outcome is Outcome.SUCCEEDED
    assert sorted(map(int, ledger.read_text().split())) == list(range(2000))
    assert sum(isinstance(e, Ended) for e in rig.sink.events) == 2001


def test_files_are_gone_when_all_is_told(make: Callable[..., Rig]) -> None:
    rig = make()
    for i in range(50):
        rig.pool.start([task(f"f{i}", "noop")])
    for i in range(50):
        rig.sink.ended(f"f{i}")
        rig.pool.forget(f"f{i}", 1)
        rig.pool.forget(f"f{i}", 1)
    rig.pool.detach()
    rig.pool.detach()
    assert [p for p in rig.directory.rglob("*") if p.is_file()] == []


def test_journals_stay_small(make: Callable[..., Rig]) -> None:
    rig = make(size=1)
    text = "x" * 5000
    largest = 0
    for batch in range(10):
        runs = [f"j{batch}-{i}" for i in range(50)]
        rig.pool.start([task(run, "large", 5000) for run in runs])
        for run in runs:
            assert rig.sink.ended(run).result == text
            rig.pool.forget(run, 1)
        largest = max(largest, sum(p.stat().st_size for p in rig.directory.rglob("*.journal*")))
    assert 100_000 < largest < 1_200_000
