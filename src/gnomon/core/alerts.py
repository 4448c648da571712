"""When people are told: signs of trouble become incidents, one alert each, and messages on their way out.

sign      something happened to a job: a run failed, did not start in time, was missed; or went well
incident  a stretch of trouble of one kind of one job, from the first such sign to the next good one
delivery  one message to one channel, or one ping, kept until it has arrived or is given up
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from .deliveries import Delivery
from .model import CatchUpMode, Job
from .planning import FirePlan
from .records import Cause, RunRecord, SkipReason
from .states import State
from .values import Json, JsonObject


class Kind(StrEnum):
    """What is wrong with a job."""

    FAILED = "failed"
    LATE = "late"
    MISSED = "missed"


RECOVERED = "recovered"
EVENTS = (*(str(kind) for kind in Kind), RECOVERED)
LATE_AFTER_S = 300.0
PATIENCE = timedelta(hours=24)
"""How long an alert that does not arrive is tried."""
PING_PATIENCE = timedelta(hours=1)
"""How long a ping is worth sending."""
MOST_TEXT = 2000
"""Characters of the text of an alert; the rest of a longer error is with its run."""
SETTING = "alerts"
"""Under this name the store remembers the `Defaults`."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for jobs that say nothing: channels, seconds of lateness, seconds between reminders (None: none)."""

    channels: tuple[str, ...] = ()
    late_after_s: float = LATE_AFTER_S
    remind_s: float | None = None

    def view(self) -> JsonObject:
        """The JSON object of `defaults_of`."""
        return {"channels": list(self.channels), "late_after_s": self.late_after_s, "remind_s": self.remind_s}


def defaults_of(value: Any) -> Defaults:
    """The defaults of their JSON object; None gives those of gnomon."""
    if value is None:
        return Defaults()
    return Defaults(tuple(value["channels"]), value["late_after_s"], value["remind_s"])


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is told what about a job. `kinds`: the trouble that is followed up (all, if only recovery is told)."""

    channels: tuple[str, ...]
    on: frozenset[str]
    late_after_s: float

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(kind for kind in Kind if kind.value in self.on) or frozenset(Kind)


def policy_of(job: Job, defaults: Defaults) -> Policy | None:
    """The alerts of a job, from its key `alerts` or the defaults; None: nobody is told."""
    if job.alerts is None:
        channels: tuple[str, ...] = defaults.channels
        return Policy(channels, frozenset(EVENTS), defaults.late_after_s) if channels else None
    said = cast(Mapping[str, Any], job.alerts)
    if not said.get("channels") or not said.get("on"):
        return None
    late = said.get("late_after")
    return Policy(
        tuple(said["channels"]), frozenset(said["on"]), defaults.late_after_s if late is None else float(late)
    )


@dataclass(frozen=True, slots=True)
class Incident:
    """Trouble of one kind of one job. At most one per job and kind is open.

    Attributes:
        last_at, count: the newest sign, and how many there were.
        run_id: the run of the first sign, if there was one.
        told_at: when people were last told of it.
        acknowledged_at, acknowledged_by: somebody knows: no reminders.
        closed_at: when it was over; None: it is open.
    """

    id: str
    job_id: str
    kind: Kind
    opened_at: datetime
    last_at: datetime
    count: int
    text: str
    told_at: datetime
    run_id: str | None = None
    closed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that happened to a job.

    Attributes:
        kind: what is wrong; None: something went well.
        cures: kinds that are over because of it.
        count: how many it stands for.
        urgent: people are told although they know of the incident.
    """

    job_id: str
    at: datetime
    text: str
    kind: Kind | None = None
    cures: frozenset[Kind] = frozenset()
    run_id: str | None = None
    count: int = 1
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """Incidents that are new or changed, and what is to be told about them."""

    incidents: tuple[Incident, ...]
    deliveries: tuple[Delivery, ...]


def judge(
    signs: Sequence[Sign],
    standing: Mapping[tuple[str, Kind], Incident],
    policies: Mapping[str, Policy | None],
    now: datetime,
    new_id: Callable[[datetime], str],
) -> Judgement:
    """What `signs`, in their order, mean for the incidents that stand open.

    The first bad sign of a kind opens an incident and is told; later ones only count, unless urgent. A cure closes it,
    and `recovered` is told to those who want it.
    """
    still_open = dict(standing)
    changed: dict[str, Incident] = {}
    out: list[Delivery] = []
    for sign in signs:
        policy = policies.get(sign.job_id)
        if sign.kind is None:
            for kind in sorted(sign.cures):
                incident = still_open.pop((sign.job_id, kind), None)
                if incident is not None:
                    changed[incident.id] = closed = replace(incident, closed_at=now)
                    out += _told(closed, policy, RECOVERED, _recovery(closed, sign), sign.run_id, now)
            continue
        if policy is None or sign.kind not in policy.kinds:
            continue
        key = sign.job_id, sign.kind
        incident = still_open.get(key)
        if incident is None:
            incident = Incident(
                new_id(now), sign.job_id, sign.kind, now, sign.at, sign.count, sign.text, now, sign.run_id
            )
            out += _told(incident, policy, sign.kind.value, sign.text, sign.run_id, now)
        else:
            incident = replace(incident, last_at=max(sign.at, incident.last_at), count=incident.count + sign.count)
            if sign.urgent:
                incident = replace(incident, told_at=now)
                out += _told(incident, policy, sign.kind.value, sign.text, sign.run_id, now)
        still_open[key] = changed[incident.id] = incident
    return Judgement(tuple(changed.values()), tuple(out))


def remind(incident: Incident, policy: Policy | None, now: datetime) -> tuple[Incident, list[Delivery]]:
    """An incident that is still open is told again."""
    text = f"still {incident.kind} since {_shown(incident.opened_at)}, {_times(incident.count)}: {incident.text}"
    told = replace(incident, told_at=now)
    return told, _told(told, policy, incident.kind.value, text, incident.run_id, now, reminder=True)


def ping(run: RunRecord, url: str, event: str, text: str, now: datetime) -> Delivery:
    """A ping: the run's `start`, `success` or `fail`."""
    payload: dict[str, Json] = {"url": url, "text": text, "attempt": run.attempts, "exit_code": run.exit_code}
    return Delivery(f"ping:{run.job_id}", event, run.job_id, payload, now, now + PING_PATIENCE, now, run.id)


# ---- signs -------------------------------------------------------------------------------------


def late_since(run: RunRecord, job: Job) -> datetime:
    """From when on a run could have started: when it was due, or, behind others, when they were done."""
    behind = run.cause is Cause.DOWNSTREAM or bool(job.depends_on)
    return max(run.due_at, run.queued_at) if behind and run.queued_at is not None else run.due_at


def counts(run: RunRecord) -> bool:
    """Whether a run speaks for its job: the items of a fan-out do not, the run they belong to does."""
    return run.parent_id is None


def begun(run: RunRecord, job: Job, policy: Policy) -> Sign | None:
    """A run has started: late, or in time."""
    if run.started_at is None or run.cause is Cause.BACKFILL or not counts(run):
        return None
    late_s = (run.started_at - late_since(run, job)).total_seconds()
    if late_s > policy.late_after_s:
        text = f"{run.job_id} started {_seconds(late_s)} late (due {_shown(run.due_at)})"
        return Sign(run.job_id, run.started_at, text, Kind.LATE, run_id=run.id)
    cures = frozenset({Kind.LATE, Kind.MISSED} if run.cause is not Cause.MANUAL else {Kind.LATE})
    return Sign(run.job_id, run.started_at, f"{run.job_id} started in time", cures=cures, run_id=run.id)


def waits(run: RunRecord, job: Job, policy: Policy, now: datetime) -> Sign | None:
    """A run that has not started although it could have, for longer than `late_after`."""
    since = late_since(run, job)
    if run.cause is Cause.BACKFILL or (now - since).total_seconds() < policy.late_after_s:
        return None
    why = f": waits for {run.waiting_for}" if run.waiting_for else ": waits for a free slot"
    text = f"{run.job_id} has not started, due {_shown(run.due_at)}{why}"
    return Sign(run.job_id, now, text, Kind.LATE, run_id=run.id)


def ended(run: RunRecord, paused: str | None) -> Sign | None:
    """A run is over. `paused`: why its failure paused the job, if it did."""
    at = run.finished_at
    if at is None or not counts(run):
        return None
    if run.state is State.SUCCEEDED:
        return Sign(run.job_id, at, f"{run.job_id} succeeded", cures=frozenset({Kind.FAILED}), run_id=run.id)
    if run.state is State.FAILED:
        why = "" if run.error is None else f": {run.error.message or run.error.code}"
        stop = "" if paused is None else f"; the job is paused: {paused}"
        text = f"{run.job_id} failed{_cut(why)}{stop}"
        return Sign(run.job_id, at, text, Kind.FAILED, run_id=run.id, urgent=paused is not None)
    if run.state is State.SKIPPED and run.reason == "deadline":
        text = f"{run.job_id} did not start by its start_deadline (due {_shown(run.due_at)})"
        return Sign(run.job_id, at, text, Kind.MISSED, run_id=run.id)
    return None


def missed(job: Job, plan: FirePlan, now: datetime) -> Sign | None:
    """Fires that catch-up gave up. With mode `latest` one run stands for all of them: then nothing was missed."""
    lost = [skip for skip in plan.skips if skip.reason is SkipReason.CATCH_UP]
    if not lost or (job.catch_up.mode is CatchUpMode.LATEST and plan.runs):
        return None
    count = sum(skip.count for skip in lost)
    first, last = _shown(min(s.first_at for s in lost)), _shown(max(s.last_at for s in lost))
    when = f"at {first}" if count == 1 else f"{count} times, {first} to {last}"
    return Sign(job.job_id, now, f"{job.job_id} did not run {when}: {lost[-1].detail}", Kind.MISSED, count=count)


# ---- inside ------------------------------------------------------------------------------------


def _told(
    incident: Incident,
    policy: Policy | None,
    event: str,
    text: str,
    run_id: str | None,
    now: datetime,
    *,
    reminder: bool = False,
) -> list[Delivery]:
    if policy is None or event not in policy.on:
        return []
    payload: dict[str, Json] = {"text": text, "count": incident.count, "kind": incident.kind.value}
    if reminder:
        payload["reminder"] = True
    return [
        Delivery(name, event, incident.job_id, payload, now, now + PATIENCE, now, run_id, incident.id)
        for name in policy.channels
    ]


def _recovery(incident: Incident, sign: Sign) -> str:
    return f"{sign.text}; {incident.kind} {_times(incident.count)} since {_shown(incident.opened_at)}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _seconds(value: float) -> str:
    whole = int(value)
    if whole < 60:
        return f"{value:.1f} s"
    minutes, hours = whole // 60, whole // 3600
    return f"{minutes} min" if minutes < 120 else f"{hours} h"
