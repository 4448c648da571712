"""What must hold, worked out from the jobs' ledger, the database file and arithmetic; none of gnomon's code judges."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.chaos.soak.jobs import Plan
from tests.chaos.soak.nemesis import Nemesis
from tests.chaos.soak.world import World

SECOND = 1_000_000
FINAL = frozenset({"succeeded", "failed", "cancelled", "skipped"})
_DISTURBING = {"state directory", "move the database"}
_VIOLENT = {"kill a worker", "freeze a worker"} | _DISTURBING


@dataclass(frozen=True, slots=True)
class Line:
    """What a job wrote: `start` or `end`, when (uptime, wall clock), and the end it was told to come to."""

    what: str
    job: str
    run: str
    attempt: int
    fire: str
    up: float
    wall: float
    code: str


def ledger(world: World) -> list[Line]:
    """All lines that are whole."""
    lines = []
    for raw in world.ledger.read_text(errors="replace").splitlines():
        parts = raw.split(" ")
        if len(parts) == 8:
            what, job, run, attempt, fire, up, wall, code = parts
            wall = wall or "nan"  # `date` has said nothing: killed with its job, or ended by libfaketime
            lines.append(Line(what, job, run, int(attempt), fire, float(up), float(wall), code))
    return lines


class Judge:
    """The verdict on a world at rest: a list of what is wrong, each in one line."""

    def __init__(self, world: World, plan: Plan, nemesis: Nemesis) -> None:
        self.world, self.plan, self.nemesis = world, plan, nemesis
        self.lines = ledger(world)
        self.runs = {r["id"]: r for r in world.rows("select * from runs")}
        self.attempts = {(a["run_id"], a["number"]): a for a in world.rows("select * from attempts")}
        self.starts = {(line.run, line.attempt): line for line in self.lines if line.what == "start"}
        self.ends = {(line.run, line.attempt): line for line in self.lines if line.what == "end"}

    def verdict(self) -> list[str]:
        checks = (self.twice, self.known, self.over, self.right, self.early, self.complete, self.kept, self.whole)
        return [f"{check.__name__}: {text}" for check in checks for text in check()] + self.nemesis.refused

    def twice(self) -> Iterator[str]:
        """No attempt begins twice; of jobs with `on_lost: fail`, no run."""
        begun = Counter((line.run, line.attempt) for line in self.lines if line.what == "start")
        for (run, attempt), count in begun.items():
            if count > 1:
                yield f"attempt {attempt} of run {run} ({self._job(run)}) began {count} times"
        fragile = Counter(run for run, _ in begun if self._job(run) in self.plan.fragile)
        for run, count in fragile.items():
            row = self.runs.get(run)
            if count > 1 and row is not None and row["failures"] == 0:
                yield f"run {run} ({self._job(run)}, on_lost: fail) began {count} times"

    def known(self) -> Iterator[str]:
        """What has begun is in the database."""
        for key, line in self.starts.items():
            if key not in self.attempts:
                yield f"attempt {key} of {line.job} began and is not in the database"

    def over(self) -> Iterator[str]:
        """Every run and every attempt has ended."""
        for run in self.runs.values():
            if run["state"] not in FINAL:
                yield f"run {run['id']} ({run['job_id']}) is {run['state']}"
        for (run, number), attempt in self.attempts.items():
            if attempt["outcome"] is None:
                yield f"attempt {number} of run {run} ({self._job(run)}) has no end"

    def right(self) -> Iterator[str]:
        """The end in the database is the one the job came to; `lost` only where a fault took it away."""
        for key, attempt in self.attempts.items():
            job, start, end = self._job(key[0]), self.starts.get(key), self.ends.get(key)
            outcome = attempt["outcome"]
            if outcome in ("succeeded", "failed") and start is None and attempt["error_code"] not in _NOT_BEGUN:
                yield f"{job} {key} is {outcome} ({attempt['error_code']}) and never began"
            if outcome == "succeeded" and end is None and not job.startswith("hostile/"):
                yield f"{job} {key} succeeded and never ended"
            if outcome == "lost" and end is not None and not self._excused(key, _VIOLENT):
                yield f"{job} {key} ended, and is lost without any fault: {attempt['error_message']}"
            if (
                outcome in ("succeeded", "failed")
                and end is not None
                and job.startswith(("command/", "call/", "innocent/"))
            ):
                wanted = "succeeded" if end.code == "0" else "failed"
                if outcome != wanted and not self._excused(key, _VIOLENT):
                    yield f"{job} {key} ended with {end.code} and is {outcome}: {attempt['error_code']}"
            stopped = start is None or outcome in ("timed_out", "cancelled", "lost")
            if job.startswith("stop/") and not stopped and not self._excused(key, _VIOLENT):
                yield f"{job} {key} is {outcome} ({attempt['error_code']}) instead of timed_out"

    def early(self) -> Iterator[str]:
        """Nothing starts before its time, by any clock that was shown since it may have been decided."""
        for line in self.starts.values():
            if line.fire not in ("", "-"):
                ahead = datetime.fromisoformat(line.fire).timestamp() - line.wall
                row = self.runs.get(line.run)
                waited = 0.0 if row is None else max(0.0, line.wall - row["created_at"] / SECOND)
                far = any(line.up - 900 <= at <= line.up for at, name in self.nemesis.moments if name == "clock far")
                slack = self.world.clock.latest(line.up, 900 if far else 30 + waited) - self._offset(line.up)
                if ahead > slack + 0.05:
                    yield f"{line.job} {line.run} began {ahead:.2f} s before its time"

    def complete(self) -> Iterator[str]:
        """Each fire time of the jobs that always stood in a file has one run or one skip."""
        skips = defaultdict(list)
        for skip in self.world.rows("select * from skips"):
            skips[skip["job_id"]].append(skip)
        fired: dict[str, Counter[int]] = defaultdict(Counter)
        for run in self.runs.values():
            if run["fire_at"] is not None and run["cause"] != "backfill":
                fired[run["job_id"]][run["fire_at"]] += 1
        jobs = {j["job_id"]: j for j in self.world.rows("select * from jobs")}
        for job_id, every in self.plan.every.items():
            job = jobs.get(job_id)
            if job is None or job["retired_at"] is None:
                yield f"{job_id} is not there, or never retired"
                continue
            period = every * SECOND
            twice = [at for at, n in fired[job_id].items() if n > max(1, self._shown(at)) and not self._reset(at)]
            if twice:
                yield f"{job_id}: {len(twice)} fire times have two runs, e.g. {twice[:4]}"
            if any(at % period for at in fired[job_id]):
                yield f"{job_id} fired when nothing was due"
            expected = range((job["created_at"] // period + 1) * period, job["retired_at"] + 1, period)
            covered = set(fired[job_id])
            for skip in skips[job_id]:
                inside = range(-(-skip["first_at"] // period) * period, min(skip["last_at"], expected.stop) + 1, period)
                if len(inside) < 100_000:
                    covered.update(inside)
            missing = [at for at in expected if at not in covered and not self._reset(at)]
            if missing:
                yield f"{job_id}: {len(missing)} fire times without a decision, e.g. {missing[:4]}"

    def kept(self) -> Iterator[str]:
        """What was acknowledged is there."""
        for run in self.nemesis.acknowledged:
            if run not in self.runs:
                yield f"run {run} was acknowledged and is not there"

    def whole(self) -> Iterator[str]:
        """The database is what SQLite calls ok."""
        db = sqlite3.connect(f"file:{self.world.db}?mode=ro", uri=True)
        answer = db.execute("pragma integrity_check").fetchall()
        db.close()
        if answer != [("ok",)]:
            yield str(answer[:3])

    def summary(self) -> dict[str, Any]:
        return {
            "runs": dict(Counter(r["state"] for r in self.runs.values())),
            "attempts": dict(Counter(a["outcome"] for a in self.attempts.values())),
            "starts": len(self.starts),
            "faults": dict(self.nemesis.done),
        }

    def _job(self, run: str) -> str:
        row = self.runs.get(run)
        return str(row["job_id"]) if row is not None else "?"

    def _excused(self, key: tuple[str, int], names: set[str]) -> bool:
        start = self.starts.get(key)
        return start is None or any(
            n in names and start.up - 60 <= at <= start.up + 60 for at, n in self.nemesis.moments
        )

    def _offset(self, up: float) -> float:
        return [offset for at, offset in self.world.clock.history if at <= up][-1]

    def _reset(self, at: int) -> bool:
        """A person had the schedules start anew then: what a wrong clock had done for such times is done once more."""
        return any(a * SECOND <= at <= b * SECOND for a, b in self.nemesis.resets)

    def _shown(self, at: int) -> int:
        """How often a wrong clock showed this time, and a person had the schedules start anew afterwards."""
        return sum(a * SECOND <= at <= b * SECOND for a, b in self.nemesis.wrong)


_NOT_BEGUN = frozenset({"spawn_failed", "worker_failed", "worker_died", "timed_out", "bad_arguments"})


def orphans(world: World) -> list[str]:
    """Processes of attempts that have ended in the database, and whatever stands still."""
    over = {
        (a["run_id"], str(a["number"]))
        for a in world.rows("select run_id, number from attempts where outcome is not null")
    }
    found = []
    for pid, env in world.ours().items():
        if (env.get("GNOMON_RUN_ID", ""), env.get("GNOMON_ATTEMPT", "")) in over:
            found.append(f"process {pid} ({env['STATE']}) of {env.get('GNOMON_JOB_ID')} {env['GNOMON_RUN_ID']}")
    return found
