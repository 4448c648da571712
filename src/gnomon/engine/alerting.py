"""Notes signs of trouble where decisions are made, in their transaction: incidents, messages and pings to be sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gnomon.core import alerts
from gnomon.core.alerts import SETTING, Defaults, Kind, Policy, Sign, defaults_of, judge, policy_of
from gnomon.core.deliveries import Delivery
from gnomon.core.model import Job
from gnomon.core.planning import FirePlan
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import RunRecord
from gnomon.core.states import FINAL, State

from .acts import Acts, Line
from .context import Context

LOOK = timedelta(seconds=1)
"""How often, at most, the queue is searched for runs that are late; less often if it is long."""
LONG_QUEUE = 500
REMINDED_AT_ONCE = 100
NOBODY = Policy((), frozenset(), float("inf"))
"""Of jobs whose trouble nobody follows: what was open still ends."""


def defaults(reader: Reader) -> Defaults:
    """What holds for jobs that say nothing, as the scheduler that started last was told."""
    kept = reader.setting(SETTING)
    return defaults_of(None if kept is None else json.loads(kept))


@dataclass(slots=True)
class Alerting:
    """Turns what happened to runs and fires into signs."""

    context: Context

    def begun(self, tx: Transaction, runs: Sequence[RunRecord], now: datetime, acts: Acts) -> None:
        """These runs have just started."""
        if not runs:
            return
        jobs, general = self._jobs(tx, runs), defaults(tx)
        troubled = {job_id for job_id, _ in tx.open_incidents({run.job_id for run in runs})}
        signs: list[Sign] = []
        policies: dict[str, Policy | None] = {}
        pings: list[Delivery] = []
        for run in runs:
            job = jobs.get(run.id)
            if job is None or not alerts.counts(run):
                continue
            if job.ping is not None:
                pings.append(alerts.ping(run, job.ping, "start", f"{run.job_id} started", now))
            policy = policies.setdefault(run.job_id, policy_of(job, general))
            sign = alerts.begun(run, job, policy or NOBODY)
            if sign is None:
                continue
            if sign.kind is not None:
                troubled.add(run.job_id)
            if run.job_id in troubled:
                signs.append(sign)
        self.note(tx, signs, policies, pings, now, acts)

    def ended(self, tx: Transaction, runs: Sequence[RunRecord], now: datetime, acts: Acts) -> None:
        """These runs are over."""
        runs = [run for run in runs if run.state in FINAL]
        if not runs:
            return
        jobs, general = self._jobs(tx, runs), defaults(tx)
        signs: list[Sign] = []
        policies: dict[str, Policy | None] = {}
        pings: list[Delivery] = []
        for run in runs:
            job = jobs.get(run.id)
            sign = alerts.ended(run, acts.paused.get(run.job_id))
            if sign is None or job is None:
                continue
            signs.append(sign)
            policies[run.job_id] = policy_of(job, general)
            if job.ping is not None and run.state is not State.SKIPPED:
                event = "success" if run.state is State.SUCCEEDED else "fail"
                pings.append(alerts.ping(run, job.ping, event, sign.text, now))
        self.note(tx, signs, policies, pings, now, acts)

    def missed(self, tx: Transaction, plans: Sequence[tuple[Job, FirePlan]], now: datetime, acts: Acts) -> None:
        """What was decided about fires: some may be lost."""
        found = [(job, sign) for job, plan in plans if plan.skips and (sign := alerts.missed(job, plan, now))]
        if found:
            general = defaults(tx)
            policies = {job.job_id: policy_of(job, general) for job, _ in found}
            self.note(tx, [sign for _, sign in found], policies, [], now, acts)

    def _jobs(self, tx: Transaction, runs: Sequence[RunRecord]) -> Mapping[str, Job]:
        found = self.context.definitions.of(tx, list(runs))
        return {run.id: job for run in runs if (job := found.get((run.job_id, run.version))) is not None}

    def note(
        self,
        tx: Transaction,
        signs: Sequence[Sign],
        policies: Mapping[str, Policy | None],
        pings: Sequence[Delivery],
        now: datetime,
        acts: Acts,
    ) -> None:
        """Judge signs, and keep what follows, and these pings, in the transaction.

        Of pings of a job that could not be sent, only the newest of each event waits.
        """
        if signs:
            standing = tx.open_incidents({sign.job_id for sign in signs})
            fresh = [s for s in signs if s.run_id is None or not _known(s, standing.get((s.job_id, Kind.LATE)))]
            judgement = judge(fresh, standing, policies, now, self.context.new_id)
            if judgement.incidents:
                tx.put_incidents(judgement.incidents)
            for incident in judgement.incidents:
                if incident.id not in {known.id for known in standing.values()}:
                    acts.log.append(Line(logging.WARNING, f"alert: {incident.text} (incident {incident.id})"))
            pings = [*judgement.deliveries, *pings]
        if pings:
            newest = {(ping.channel, ping.event): None for ping in pings if ping.is_ping}
            if newest:
                tx.supersede_pings(list(newest), "a newer one took its place")
            tx.insert_deliveries(pings)


def _known(sign: Sign, late: alerts.Incident | None) -> bool:
    """The lateness of a run that was noticed while it waited is not counted again when it starts."""
    return late is not None and sign.kind is Kind.LATE and sign.run_id == late.run_id


@dataclass(slots=True)
class Lookout:
    """Finds what happens by nothing happening: runs that wait too long, incidents that stay open. On the leader."""

    context: Context
    _next_at: datetime | None = None
    _wanted: datetime | None = None
    _alerting: Alerting = field(init=False)

    def __post_init__(self) -> None:
        self._alerting = Alerting(self.context)

    def step(self, tx: Transaction, now: datetime, acts: Acts) -> None:
        """Look at what is left in the queue, at most once a second."""
        if self._next_at is not None and now < self._next_at <= now + LOOK * 60:
            if tx.queued(self.context.queues, 1):
                acts.wake(self._next_at)
            self._wake(acts)
            return
        general = defaults(tx)
        waiting = tx.queued_jobs()
        total = sum(count for count, _ in waiting.values())
        self._wanted = None
        self._next_at = now + LOOK * min(30, 1 + total // LONG_QUEUE)
        if waiting:
            self._late(tx, {job_id: since for job_id, (_, since) in waiting.items()}, general, now, acts)
        gone = tx.orphaned_incidents(REMINDED_AT_ONCE)
        if gone:  # nothing of a retired job can go well again
            tx.put_incidents([replace(incident, closed_at=now) for incident in gone])
        if general.remind_s is not None:
            self._remind(tx, timedelta(seconds=general.remind_s), general, now)
        self._wake(acts)

    def _late(
        self, tx: Transaction, waiting: Mapping[str, datetime], general: Defaults, now: datetime, acts: Acts
    ) -> None:
        records = tx.jobs_by_id(waiting.keys())
        policies: dict[str, Policy | None] = {}
        for job_id, since in waiting.items():
            policy = None if job_id not in records else policy_of(records[job_id].job, general)
            if policy is None or Kind.LATE not in policy.kinds:
                continue
            due = since + timedelta(seconds=policy.late_after_s)
            if due > now:
                self._want(due)
            else:
                policies[job_id] = policy
        standing = tx.open_incidents(policies.keys()) if policies else {}
        signs = []
        for job_id, policy in policies.items():
            if policy is None or (job_id, Kind.LATE) in standing:
                continue
            for run in tx.active_runs(job_id):
                if run.state is State.QUEUED and run.attempts == 0 and alerts.counts(run):
                    sign = alerts.waits(run, records[job_id].job, policy, now)
                    if sign is not None:
                        signs.append(sign)
                        break
        self._alerting.note(tx, signs, policies, [], now, acts)

    def _remind(self, tx: Transaction, every: timedelta, general: Defaults, now: datetime) -> None:
        due = tx.unacknowledged(now - every, REMINDED_AT_ONCE)
        jobs = tx.jobs_by_id({incident.job_id for incident in due}) if due else {}
        for incident in due:
            record = jobs.get(incident.job_id)
            policy = None if record is None else policy_of(record.job, general)
            if policy is not None:
                unheard = {message.channel for message in tx.deliveries_of(incident.id) if message.next_at is not None}
                policy = replace(policy, channels=tuple(name for name in policy.channels if name not in unheard))
            told, out = alerts.remind(incident, policy, now)
            tx.put_incidents([told])
            tx.insert_deliveries(out)
        oldest = tx.next_told_at()
        if oldest is not None:
            self._want(oldest + every)

    def _wake(self, acts: Acts) -> None:
        if self._wanted is not None and self._next_at is not None:
            acts.wake(max(self._wanted, self._next_at))

    def _want(self, at: datetime) -> None:
        """A look is needed then."""
        self._wanted = at if self._wanted is None else min(at, self._wanted)
