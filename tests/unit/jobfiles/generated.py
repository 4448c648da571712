"""Hypothesis strategies: whole jobs in canonical form."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from gnomon.core.identity import duplicate_schedule_ids
from gnomon.core.model import (
    Backoff,
    CatchUp,
    CatchUpMode,
    Dependency,
    Job,
    OnLost,
    Overlap,
    Parameter,
    Rate,
    Retry,
    Task,
    When,
)
from tests.unit.jobfiles.rooms import KINDS

IDS = st.text("abcXYZ019._-/", min_size=1, max_size=12)
# What YAML 1.1 or 1.2 could take for something else, among anything that is text.
TRAPS = st.sampled_from(
    ["on", "no", "~", "null", "1e3", "0o17", "0123", "12:30", "1_0", ".5", "5.", "", "<<", "=", "2026-12-01"]
)
TEXTS = TRAPS | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
MICROS = st.integers(1, 10**12).map(lambda us: us / 1_000_000)
SOME_S = st.none() | MICROS
SCHEDULES = st.sampled_from(
    [
        "30 2 * * *",
        "@daily",
        "every 90s",
        "@reboot",
        "every month on the last day at 09:00",
        "2026-12-20T02:00:00Z",
        "2026-12-20T02:00:00",
        "RRULE:FREQ=WEEKLY;BYDAY=MO",
        {"cron": "*/5 8-18 * * 1-5", "jitter": "2m", "start": "2026-12-01T00:00:00Z", "enabled": False},
        {"every": "1h", "anchor": "2026-01-01T00:00:00Z", "parameters": {"x": "on"}},
        {"cron": "0 3 * * *", "timezone": "Asia/Tokyo", "exclude": ["2026-12-25"], "roll": "next"},
    ]
)


@st.composite
def _schedules(draw: st.DrawFn, job_id: str, timezone: str | None) -> tuple[object, ...]:
    written = draw(st.lists(SCHEDULES, max_size=3))
    names = draw(st.lists(st.text("abc09._-", min_size=1, max_size=5), min_size=3, max_size=3, unique=True))
    specs = []
    for value, name in zip(written, names, strict=False):
        named = {**value, "name": name} if isinstance(value, dict) and draw(st.booleans()) else value
        specs.append(KINDS.parse(named, default_timezone=timezone or "UTC", job_id=job_id))
    return tuple(specs)


def _parameter_default(kind: str) -> st.SearchStrategy[object]:
    return {"string": TEXTS, "integer": st.integers(-9, 9), "any": VALUES}[kind]


@st.composite
def _parameters(draw: st.DrawFn) -> tuple[Parameter, ...]:
    """What schedules need not, and do not wrongly, give a value."""
    names = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True).filter(lambda name: name != "x")
    answer = []
    for name in draw(st.lists(names, max_size=3, unique=True)):
        kind = draw(st.sampled_from(["string", "integer", "any"]))
        default = draw(_parameter_default(kind))
        answer.append(Parameter(name, kind, default, default is not None and draw(st.booleans())))  # type: ignore[arg-type]
    return tuple(answer)


def _tasks() -> st.SearchStrategy[Task]:
    command = st.builds(lambda words: Task("command", {"command": ["true", *words]}), st.lists(TEXTS, max_size=3))
    keys = st.text("abcdef_", min_size=1).filter(lambda key: key not in ("bad", "use", "type"))
    plain = st.builds(lambda more: Task("plain", more), st.dictionaries(keys, VALUES, max_size=3))
    return command | plain | st.builds(lambda use: Task("plain", {"x": 1}, use), IDS)


RETRIES = st.builds(
    Retry,
    delay_s=MICROS,
    backoff=st.sampled_from(Backoff),
    factor=st.floats(1, 100),
    max_delay_s=MICROS,
    jitter=st.booleans(),
    on=st.lists(st.integers(0, 255) | st.sampled_from(["failed", "timed_out", "OSError"]), unique=True, max_size=3).map(
        tuple
    ),
)
CATCH_UPS = st.builds(CatchUp, mode=st.sampled_from(CatchUpMode), max_age_s=SOME_S, max_count=st.integers(1, 10_000))
EVENTS = st.lists(st.sampled_from(["failed", "late", "missed", "recovered"]), min_size=1, unique=True)
ALERTS = st.none() | st.fixed_dictionaries(
    {"channels": st.lists(IDS, min_size=1, max_size=2, unique=True), "on": EVENTS}, optional={"late_after": MICROS}
)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Any job that a file could hold."""
    job_id = draw(IDS)
    timezone = draw(st.sampled_from([None, "Europe/Berlin", "America/New_York"]))
    others = st.builds(Dependency, IDS.filter(lambda name: name != job_id), st.sampled_from(When))
    job = Job(
        job_id=job_id,
        task=draw(_tasks()),
        description=draw(TEXTS),
        enabled=draw(st.booleans()),
        labels=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        schedules=draw(_schedules(job_id, timezone)),  # type: ignore[arg-type]
        depends_on=draw(st.lists(others, max_size=3, unique_by=lambda item: item.job).map(tuple)),
        dependency_timeout_s=draw(SOME_S),
        parameters=draw(_parameters()),
        for_each=draw(st.none() | st.lists(VALUES, max_size=3) | st.just("${runs.a.result}")),
        timeout_s=draw(SOME_S),
        kill_grace_s=draw(MICROS | st.just(0.0)),
        restarts=draw(st.integers(0, 1000)),
        retry=draw(RETRIES | st.just(Retry())),
        overlap=draw(st.sampled_from(Overlap)),
        catch_up=draw(CATCH_UPS),
        misfire_grace_s=draw(SOME_S | st.just(0.0)),
        start_deadline_s=draw(SOME_S),
        priority=draw(st.integers(-1_000_000, 1_000_000)),
        pools=draw(st.dictionaries(IDS, st.integers(1, 100), max_size=2)),
        max_active=draw(st.none() | st.integers(1, 100)),
        rate=draw(st.none() | st.builds(Rate, st.integers(1, 10**6), MICROS)),
        queue=draw(IDS),
        on_lost=draw(st.sampled_from(OnLost)),
        pause_after=draw(st.none() | st.integers(1, 100)),
        alerts=draw(ALERTS),
        ping=draw(st.sampled_from([None, "https://hc.example/1", "env:PING"])),
        timezone=timezone,
    )
    if duplicate_schedule_ids(job):
        return Job(job_id, job.task)
    return job


def same(first: object, second: object) -> bool:
    """Equal, and of the same types all the way down (1 is not True, 1.0 is not 1)."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    if isinstance(first, float) and isinstance(second, float):
        return first == second and math.copysign(1, first) == math.copysign(1, second)
    return type(first) is type(second) and first == second
