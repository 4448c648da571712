"""Writes the jobs of a simulation, changes them, and tells the oracle."""

from __future__ import annotations

import random  # noqa: TID251 - the seed decides everything here
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gnomon.core.model import Backoff, CatchUp, CatchUpMode, Dependency, Job, OnLost, Overlap, Rate, Retry, Task, When
from gnomon.core.records import Source, SourceKind
from gnomon.operations.context import Desk
from gnomon.operations.definitions import retire, upsert

from .oracle import Every, Minutes, Oracle, Timing

ROOTS = ("job0", "job1", "job2")
JOIN = "both"
"""Waits for two roots; it may wait for ever, since one of them may not fire again."""
POOL = {"db": 2}
_RETRIED: tuple[tuple[str | int, ...], ...] = ((), (), (1,), ("timed_out",), ("failed",), ("exit_code", 7))
_RULES: tuple[Timing, ...] = (Every(20.0), Every(60.0), Every(300.0), Minutes(1), Minutes(5), Minutes(15))


@dataclass(slots=True)
class Author:
    """The people (or files) that own the jobs."""

    random: random.Random
    desk: Desk
    oracle: Oracle
    latest: datetime
    retired: set[str] = field(default_factory=set)
    wide: bool = False
    known: set[str] = field(default_factory=set)
    """Every job there ever was but the join."""

    def begin(self) -> None:
        """The first definitions: one to three roots, and what lies below them."""
        self.begin_pools()
        for job_id in ROOTS[: self.random.randint(1, 3)]:
            self.define(job_id)
        for job_id, needs in (
            ("below", (Dependency("job0"),)),
            ("always", (Dependency("job0", When.FINISHED),)),
            ("alarm", (Dependency("below", When.FAILED),)),
            ("end", (Dependency("below"), Dependency("always"))),
        ):
            if self.random.random() < 0.6 and self.known.issuperset(d.job for d in needs):
                self.save(self._job(job_id, depends_on=needs))
                self.known.add(job_id)
        if "job1" in self.known and self.random.random() < 0.4:
            self.save(self._job(JOIN, depends_on=(Dependency("job0"), Dependency("job1"))))

    def begin_pools(self) -> None:
        """Declare the pools."""
        self.desk.store.write(lambda tx: tx.put_pools(POOL, "simulation"))

    def schedule(self, job_id: str, rules: dict[str, Timing], **fields: Any) -> None:
        """A job of a part, with these schedules and whatever other policies."""
        self.save(self._job(job_id, rules, **fields))
        self.known.add(job_id)
        self.oracle.define(job_id, rules, self._now())

    def follow(self, job_id: str, needs: tuple[Dependency, ...]) -> None:
        """A job of a part, downstream of others."""
        self.save(self._job(job_id, depends_on=needs))
        self.known.add(job_id)

    def define(self, job_id: str) -> None:
        """A new or changed root. (An edit while the clock is set back is a reset: not done.)"""
        if not self._on_time():
            return
        names = self.random.choice([("x",), ("x",), ("x", "y")])
        rules = {name: self.random.choice(_RULES) for name in names}
        self.save(self._job(job_id, rules))
        self.retired.discard(job_id)
        self.known.add(job_id)
        self.oracle.define(job_id, rules, self._now())

    def retire(self, job_id: str) -> None:
        """Its source drops it."""
        if not self._on_time() or job_id in self.retired or job_id not in self.known:
            return
        now = self._now()
        record = self.desk.store.read(lambda r: r.job(job_id))
        assert record is not None
        self.desk.store.write(lambda tx: retire(tx, self.desk.planner, record, now))
        self.retired.add(job_id)
        self.oracle.retire(job_id, now)

    def bring_back(self, job_id: str) -> None:
        """Its source has it again, as it was."""
        if not self._on_time() or job_id not in self.retired:
            return
        record = self.desk.store.read(lambda r: r.job(job_id))
        assert record is not None
        rules = {s.name or "": self.oracle.segments[f"{job_id}:{s.name}"][-1].rule for s in record.job.schedules}
        self.save(record.job)
        self.retired.discard(job_id)
        self.oracle.define(job_id, rules, self._now())

    def _now(self) -> datetime:
        return self.desk.clock.now()

    def _on_time(self) -> bool:
        self.latest = max(self.latest, self._now())
        return self._now() >= self.latest

    def _job(self, job_id: str, rules: dict[str, Timing] | None = None, **fields: Any) -> Job:
        pick = self.random.choice
        specs = [
            replace(self.desk.kinds.parse(rule.text, default_timezone="UTC", job_id=job_id), name=name)
            for name, rule in (rules or {}).items()
        ]
        job = Job(
            job_id,
            Task("command", {"command": ["true"]}),
            schedules=tuple(specs),
            restarts=pick([0, 0, 2]),
            retry=Retry(delay_s=pick([0.0, 5.0])),
            overlap=pick(list(Overlap)),
            catch_up=CatchUp(pick(list(CatchUpMode)), max_age_s=pick([None, 600.0]), max_count=pick([3, 1000])),
            misfire_grace_s=pick([None, None, 0.0, 400.0]),
            on_lost=pick(list(OnLost)),
            start_deadline_s=pick([None, None, 120.0]),
            max_active=pick([None, 1]),
            pools=pick([{}, {}, {"db": 1}, {"db": 2}, {"db": 3}]),
            priority=pick([0, 1]),
            pause_after=pick([None, None, None, 3]),
            **fields,
        )
        if not self.wide:
            return job
        backoff = Retry(pick([0.0, 5.0]), pick(list(Backoff)), 2.0, 60.0, pick([True, False]), pick(_RETRIED))
        return replace(job, retry=backoff, rate=pick([None, None, Rate(1, 5.0), Rate(2, 15.0)]))

    def save(self, job: Job) -> None:
        """Make this the definition."""
        now = self._now()
        self.desk.store.write(lambda tx: upsert(tx, self.desk.planner, job, Source(SourceKind.PYTHON), now))
