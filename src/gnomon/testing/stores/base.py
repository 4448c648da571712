"""What the cases share: how a store is opened, and records to put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.model import Job, Task
from gnomon.core.ports import Clock, Store
from gnomon.core.records import AttemptRecord, Cause, JobRecord, RunRecord, ScheduleRecord, Source, SourceKind
from gnomon.core.rules import ScheduleSpec
from gnomon.core.states import FINAL, State
from gnomon.system.clock import VirtualClock

T0 = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
Hook = Callable[[str], None]
Opener = Callable[..., Store]


def at(seconds: float) -> datetime:
    """So many seconds after T0."""
    return T0 + timedelta(seconds=seconds)


class StoreCase:
    """One kind of store.

    Attributes:
        durable: whether a second `open` of a directory gives a store over the same facts.
    """

    durable = False

    def open(self, directory: Path, clock: Clock, on_commit: Hook | None = None) -> Store:
        """A store that keeps its facts in `directory`, if anywhere."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> VirtualClock:
        return VirtualClock(T0)

    @pytest.fixture
    def opened(self, tmp_path: Path, clock: VirtualClock) -> Iterator[Opener]:
        """Opens stores over one directory and closes them at the end."""
        stores: list[Store] = []

        def make(on_commit: Hook | None = None) -> Store:
            stores.append(self.open(tmp_path, clock, on_commit))
            return stores[-1]

        yield make
        for store in stores:
            store.close()

    @pytest.fixture
    def store(self, opened: Opener) -> Store:
        return opened()


def job(job_id: str = "a", **values: Any) -> Job:
    """A small job."""
    return Job(job_id=job_id, **{"task": Task("command", {"command": "true"}), **values})


def job_record(definition: Job | str = "a", **values: Any) -> JobRecord:
    """A job as the store has it; a text is an id."""
    if isinstance(definition, str):
        definition = job(definition)
    base = JobRecord(definition, 1, Source(SourceKind.FILE, "/jobs/a.yaml"), at(0), at(0))
    return replace(base, **values)


def schedule(schedule_id: str = "a:default", due: float | None = 0, **values: Any) -> ScheduleRecord:
    """A schedule entry, due `due` seconds after T0."""
    spec, moment = ScheduleSpec("every", {"every": 60}), None if due is None else at(due)
    base = ScheduleRecord(schedule_id, schedule_id.partition(":")[0], spec, 0, at(-60), moment, moment)
    return replace(base, **values)


def run(run_id: str, due: float = 0, state: State = State.QUEUED, job_id: str = "a", **values: Any) -> RunRecord:
    """A run, due `due` seconds after T0."""
    base = RunRecord(
        id=run_id,
        job_id=job_id,
        version=1,
        state=state,
        cause=Cause.SCHEDULE,
        run_key=f"key-{run_id}",
        due_at=at(due),
        created_at=at(0),
        flow_id=run_id,
        actor="scheduler",
        finished_at=at(due + 1) if state in FINAL else None,
    )
    return replace(base, **values)


def attempt(run_id: str, number: int = 1, token: int = 1, **values: Any) -> AttemptRecord:
    """A live attempt of node n1."""
    return replace(AttemptRecord(run_id, number, token, "n1", at(0), "commands"), **values)


def put_runs(store: Store, *records: RunRecord) -> None:
    """Add these runs."""
    assert not store.write(lambda tx: tx.insert_runs(records))


def put_jobs(store: Store, *records: JobRecord | str) -> None:
    """Add these jobs."""

    def work(tx: Any) -> None:
        for record in records:
            tx.insert_job(job_record(record) if isinstance(record, str) else record)

    store.write(work)


def ids(records: Any) -> list[str]:
    """The ids of runs, in order."""
    return [record.id for record in records]
