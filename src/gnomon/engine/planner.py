"""Turns due fire times into runs and skips. Only the leader's planner is asked."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gnomon.core import lifecycle
from gnomon.core.keys import fire_key, startup_key
from gnomon.core.model import Job, Overlap
from gnomon.core.planning import FirePlan, PlannedRun, PlannedSkip, plan_fires, skip_through, wake_at
from gnomon.core.ports import Transaction
from gnomon.core.records import (
    Activity,
    Cause,
    JobRecord,
    RunRecord,
    ScheduleFilter,
    ScheduleRecord,
    SkipReason,
    SkipRecord,
)
from gnomon.core.replacing import replace
from gnomon.core.states import State

from .acts import Acts, Line
from .alerting import Alerting
from .context import Context
from .creation import Order, create
from .progress import Progress

BATCH = 1000
MOST_RUNS = 5000
"""Runs made in one step, about: a long catch-up of many jobs must not hold the store for minutes."""
ACTOR = "scheduler"
UNREADABLE = timedelta(minutes=1)
"""How soon an entry whose rule could not be evaluated is tried again; its cursor stays."""
CALENDARS = timedelta(seconds=5)
"""How often the files are looked at that exclusions name."""


@dataclass(slots=True)
class Planner:
    """Decides fire times. Every entry it looks at moves its cursor past now."""

    context: Context
    _stamps: dict[str, Hashable] = field(default_factory=dict)
    _looked_at: datetime | None = None

    def step(self, tx: Transaction, now: datetime, acts: Acts) -> list[RunRecord]:
        """Decide what is due; returns runs to look after: replaced ones that had not begun, and new ones that wait."""
        self._watch_calendars(tx, now, acts)
        due = tx.due_schedules(now, BATCH)
        ended = self.plan(tx, due, now, acts, bounded=True) if due else []
        acts.wake(tx.next_due_at())
        return ended

    def plan(
        self, tx: Transaction, due: Sequence[ScheduleRecord], now: datetime, acts: Acts, *, bounded: bool = False
    ) -> list[RunRecord]:
        """Decide everything due by `now` of these entries. `bounded`: stop at an entry when enough runs were made."""
        jobs = tx.jobs_by_id({entry.job_id for entry in due})
        activity = dict(tx.activity(jobs.keys()))
        moved: list[ScheduleRecord] = []
        plans: dict[str, tuple[ScheduleRecord, FirePlan]] = {}
        made = 0
        for entry in due:
            if bounded and made >= MOST_RUNS:
                break  # what is left stays due: the next step decides it
            record = jobs.get(entry.job_id)
            plan = self._guarded(entry, record, activity, now, acts)
            activity[entry.job_id] = _after(activity.get(entry.job_id, Activity()), plan)
            made += len(plan.runs)
            plans[entry.schedule_id] = entry, plan
            moved.append(replace(entry, cursor=plan.cursor, due_at=plan.due_at))
        for conflict in tx.advance_schedules(moved):  # another node was faster: its decision stands
            plans.pop(conflict, None)
        plans = _superseded(plans, jobs)
        skips = [_skip(entry, s, now) for entry, plan in plans.values() for s in plan.skips]
        if skips:
            tx.insert_skips(skips)
            acts.skipped += skips
            decided = [(jobs[entry.job_id].job, plan) for entry, plan in plans.values() if entry.job_id in jobs]
            Alerting(self.context).missed(tx, decided, now, acts)
        ended = [run for entry, plan in plans.values() if plan.replace for run in _cancel_active(tx, entry.job_id, now)]
        runs, _ = create(tx, _orders(plans.values(), jobs), now, self.context.new_id)
        return ended + [run for run in runs if run.state is State.WAITING]

    def _watch_calendars(self, tx: Transaction, now: datetime, acts: Acts) -> None:
        """Place entries anew whose calendars have changed, are gone, or are back. One that waits is decided now."""
        looked = self._looked_at
        if looked is None or not looked <= now < looked + CALENDARS:
            self._looked_at = now
            before, self._stamps = self._stamps, {}
            moved = []
            for entry in tx.calendar_schedules():
                stamp = self._stamps[entry.schedule_id] = self.context.kinds.stamp(entry.spec)
                if before.get(entry.schedule_id) != stamp:
                    moved.append(self._placed(entry, now))
            tx.advance_schedules(moved)
        if self._stamps and self._looked_at is not None:
            acts.wake(self._looked_at + CALENDARS)

    def _placed(self, entry: ScheduleRecord, now: datetime) -> ScheduleRecord:
        """The entry at the next fire of the rule that it has now; what has passed is decided now."""
        rule = self.context.rules.of(entry)
        if rule is None or (entry.cursor is not None and entry.cursor <= now):
            return replace(entry, due_at=now)
        following = rule.next(now)
        cursor = None if following is None else following.at
        return replace(entry, cursor=cursor, due_at=wake_at(entry, rule, cursor))

    def doubt(self) -> None:
        """A transaction failed: calendars that changed in it are still to be looked at."""
        self._stamps, self._looked_at = {}, None

    def startup(self, tx: Transaction, now: datetime) -> None:
        """Make a run of every start-up entry, once per node start."""
        orders = []
        cursor: str | None = None
        while True:
            page = tx.schedules(ScheduleFilter(), limit=1000, cursor=cursor)
            entries = [e for e in page.items if e.spec.kind == "startup" and e.spec.enabled and e.paused_at is None]
            jobs = tx.jobs_by_id({e.job_id for e in entries})
            for entry in entries:
                record = jobs.get(entry.job_id)
                if record is not None and record.fires:
                    key = startup_key(entry.schedule_id, self.context.node_id)
                    orders.append(
                        Order(record, Cause.STARTUP, ACTOR, now, key, entry, parameters=entry.spec.parameters)
                    )
            cursor = page.next
            if cursor is None:
                break
        create(tx, orders, now, self.context.new_id)

    def _guarded(
        self,
        entry: ScheduleRecord,
        record: JobRecord | None,
        activity: dict[str, Activity],
        now: datetime,
        acts: Acts,
    ) -> FirePlan:
        """A rule that raises stops its own entry only."""
        try:
            return self._decide(entry, record, activity, now, acts)
        except Exception as error:
            text = f"schedule {entry.schedule_id} stands still: its rule raised {error!r}; trying again"
            acts.log.append(Line(logging.ERROR, text))
            return FirePlan(cursor=entry.cursor, due_at=now + UNREADABLE)

    def _decide(
        self,
        entry: ScheduleRecord,
        record: JobRecord | None,
        activity: dict[str, Activity],
        now: datetime,
        acts: Acts,
    ) -> FirePlan:
        rule = self.context.rules.of(entry)
        if record is None or rule is None:
            why = "its job is gone" if record is None else self.context.rules.fault(entry)
            acts.log.append(Line(logging.ERROR, f"schedule {entry.schedule_id} stands still: {why}; trying again"))
            return FirePlan(cursor=entry.cursor, due_at=now + UNREADABLE)
        if not record.fires or entry.paused_at is not None or not entry.spec.enabled:
            reason, detail = idle_reason(record, entry)
            skips, cursor = skip_through(entry, rule, now, reason, detail)
            return FirePlan(skips=skips, cursor=cursor, due_at=None)
        return plan_fires(entry, record.job, rule, activity.get(entry.job_id, Activity()), now)


def idle_reason(record: JobRecord, entry: ScheduleRecord) -> tuple[SkipReason, str]:
    """Why an entry that does not fire does not, for its skips."""
    if entry.paused_at is not None:
        return SkipReason.PAUSED, f"the schedule was paused by {entry.paused_by}"
    if record.paused_at is not None:
        why = f": {record.pause_reason}" if record.pause_reason else ""
        return SkipReason.PAUSED, f"the job was paused by {record.paused_by}{why}"
    return SkipReason.DISABLED, "the job or the schedule was disabled"


def settle(planner: Planner, tx: Transaction, entries: Sequence[ScheduleRecord], now: datetime) -> None:
    """Before a change to these entries: decide what was due until now under the old definition."""
    due = [e for e in entries if e.due_at is not None and e.due_at <= now]
    if due:
        acts = Acts()
        ended = planner.plan(tx, due, now, acts)
        Progress(planner.context).step(tx, ended, now, acts)


def wake_entry(
    planner: Planner, record: JobRecord, entry: ScheduleRecord, since: SkipReason, detail: str, now: datetime
) -> tuple[ScheduleRecord, Sequence[SkipRecord]]:
    """An entry that may fire again: what passed meanwhile is one skip, its next fire is in the future."""
    rule = planner.context.rules.of(entry)
    if rule is None:
        return replace(entry, due_at=now + UNREADABLE), ()
    skips, cursor = skip_through(entry, rule, now, since, detail)
    return replace(entry, cursor=cursor, due_at=wake_at(entry, rule, cursor)), [_skip(entry, s, now) for s in skips]


def _after(before: Activity, plan: FirePlan) -> Activity:
    if not plan.runs:
        return before
    return replace(before, queued=before.queued + len(plan.runs))


def _superseded(
    plans: Mapping[str, tuple[ScheduleRecord, FirePlan]], jobs: Mapping[str, JobRecord]
) -> dict[str, tuple[ScheduleRecord, FirePlan]]:
    """Of fires that several entries of one `replace` job make in one step, the newest replaces the others."""
    answer = dict(plans)
    newest: dict[str, tuple[datetime, str]] = {}
    for key, (entry, plan) in plans.items():
        fires = [run.due_at for run in plan.runs if not run.caught_up]
        if fires and jobs[entry.job_id].job.overlap is Overlap.REPLACE:
            newest[entry.job_id] = max(newest.get(entry.job_id, (fires[-1], key)), (fires[-1], key))
    for key, (entry, plan) in plans.items():
        by = newest.get(entry.job_id, (None, key))[1]
        gone = [run for run in plan.runs if not run.caught_up] if by != key else []
        if gone:
            skips = [
                PlannedSkip(r.fire.at, r.fire.at, 1, SkipReason.OVERLAP, f"replaced by {by} at once") for r in gone
            ]
            kept = [run for run in plan.runs if run.caught_up]
            answer[key] = entry, replace(plan, runs=kept, skips=[*plan.skips, *skips])
    return answer


def _skip(entry: ScheduleRecord, skip: PlannedSkip, now: datetime) -> SkipRecord:
    return SkipRecord(
        entry.schedule_id, entry.job_id, skip.first_at, skip.last_at, skip.count, skip.reason, skip.detail, now
    )


def _cancel_active(tx: Transaction, job_id: str, now: datetime) -> list[RunRecord]:
    active = [run for run in tx.active_runs(job_id) if run.cause is not Cause.BACKFILL]
    changes = [(lifecycle.request_cancel(run, now, ACTOR, "replaced"), run.state) for run in active]
    tx.update_runs(changes)
    return [run for run, _ in changes if run.state is State.CANCELLED]


def _orders(plans: Iterable[tuple[ScheduleRecord, FirePlan]], jobs: Mapping[str, JobRecord]) -> list[Order]:
    return [
        Order(
            job=jobs[entry.job_id],
            cause=Cause.SCHEDULE,
            actor=ACTOR,
            due_at=planned.due_at,
            run_key=fire_key(entry.schedule_id, planned.fire.at),
            schedule=entry,
            fire_at=planned.fire.at,
            exclusive=planned.exclusive,
            parameters=entry.spec.parameters,
            note=_note(planned),
            waits_until=_patience(jobs[entry.job_id].job, plan, planned.due_at),
        )
        for entry, plan in plans
        for planned in plan.runs
    ]


def _patience(job: Job, plan: FirePlan, due: datetime) -> datetime | None:
    """Until when a fire of a job with dependencies waits for them; None: it has none."""
    if not job.depends_on:
        return None
    if job.dependency_timeout_s is not None:
        return due + timedelta(seconds=job.dependency_timeout_s)
    day = due + timedelta(days=1)
    return day if plan.cursor is None else max(due, min(day, plan.cursor))


def _note(planned: PlannedRun) -> str | None:
    parts = [planned.fire.note or "", "caught up" if planned.caught_up else ""]
    return "; ".join(p for p in parts if p) or None
