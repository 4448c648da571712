"""What the audit says of a change: enough to see what is different, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.records import JobRecord, RunRecord
from gnomon.core.rules import ScheduleKinds
from gnomon.core.values import Json, JsonObject, rfc3339
from gnomon.jobfiles.writing import job_to_mapping


def job_said(record: JobRecord, kinds: ScheduleKinds) -> JsonObject:
    """A job: its version, where it comes from, and its definition with the keys of a job file."""
    source = {"kind": str(record.source.kind), "path": record.source.path}
    return {"version": record.version, "source": source, **job_to_mapping(record.job, kinds)}


def job_change(old: JobRecord | None, new: JobRecord, kinds: ScheduleKinds) -> tuple[Json, Json]:
    """`before` and `after` of a job that was saved: the keys that differ; of a new one all."""
    after = job_said(new, kinds)
    if old is None or old.retired_at is not None:
        return None, after
    return difference(job_said(old, kinds), after)


def difference(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[JsonObject, JsonObject]:
    """The entries that are not the same in both."""
    keys = [key for key in {**before, **after} if key not in before or key not in after or before[key] != after[key]]
    return {k: before[k] for k in keys if k in before}, {k: after[k] for k in keys if k in after}


def run_said(run: RunRecord) -> JsonObject:
    """A run: of which job, and in which state."""
    asked = {} if run.cancel_requested_at is None else {"cancel_requested_at": rfc3339(run.cancel_requested_at)}
    return {"job_id": run.job_id, "state": str(run.state), **asked}


def runs_said(runs: Sequence[RunRecord]) -> JsonObject:
    """Many runs: how many of which job, and when they were due."""
    moments = sorted(run.due_at for run in runs)
    return {
        "count": len(runs),
        "jobs": dict(sorted(Counter(run.job_id for run in runs).items())),
        "first_due_at": rfc3339(moments[0]) if moments else None,
        "last_due_at": rfc3339(moments[-1]) if moments else None,
    }


def content_said(record: ConfigurationRecord | None) -> Json:
    """A configuration; None if there was none."""
    if record is None:
        return None
    return {
        "version": record.version,
        "type": record.type,
        "path": record.source.path,
        "arguments": dict(record.arguments),
    }
