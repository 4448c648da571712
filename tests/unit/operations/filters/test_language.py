"""The filter language: what is read, what is written, what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.core.durations import MAX_DURATION_S
from gnomon.core.errors import UsageError
from gnomon.core.filters import (
    AuditFilter,
    ConfigurationFilter,
    FlowFilter,
    JobFilter,
    Range,
    RunFilter,
    ScheduleFilter,
    SkipFilter,
)
from gnomon.core.records import Cause, SkipReason, SourceKind
from gnomon.core.records import RunFilter as Public
from gnomon.core.states import ACTIVE, State
from gnomon.core.tasks import TaskTypeRegistry
from gnomon.operations.filters import JOBS, LANGUAGES, RUNS, SCHEDULES, Reading
from gnomon.tasks import BUILTIN

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
READING = Reading(NOW, UTC, TaskTypeRegistry(BUILTIN))


def runs(text: str) -> RunFilter:
    return RUNS.parse(text, READING)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", RunFilter()),
        ("job:nightly", RunFilter(job_id="nightly")),
        ("job:a,b", RunFilter(job_ids=("a", "b"))),
        ("job:a job:b job:a", RunFilter(job_ids=("a", "b"))),
        ("-job:a", RunFilter(not_job_ids=("a",))),
        ("state:failed,timed_out", RunFilter(states=(State.FAILED,))),
        ("state:timed_out", RunFilter(timed_out=True)),
        ("state:succeeded,timed_out", RunFilter(states=(State.SUCCEEDED,), timed_out=True)),
        ("state:timed_out state:failed", RunFilter(states=(State.FAILED,))),
        ("-state:succeeded", RunFilter(states=tuple(s for s in State if s is not State.SUCCEEDED))),
        ("state:ended -state:succeeded,skipped", RunFilter(states=(State.FAILED, State.CANCELLED))),
        ("state:active", RunFilter(states=tuple(s for s in State if s in ACTIVE))),
        ("type:api type:shell", RunFilter(task_types=("http", "command"))),
        ("-type:db", RunFilter(not_task_types=("sql", "mongo"))),
        ("label:team=ops label:tier=1", RunFilter(labels={"team": "ops", "tier": "1"})),
        ('-label:"team=night shift"', RunFilter(not_labels=(("team", "night shift"),))),
        ('label:team="night shift"', RunFilter(labels={"team": "night shift"})),
        ("-label:a=b -label:a=c", RunFilter(not_labels=(("a", "b"), ("a", "c")))),
        ("since:2h", RunFilter(since=NOW - timedelta(hours=2))),
        (
            "since:-2h until:2026-11-01",
            RunFilter(since=NOW - timedelta(hours=2), until=datetime(2026, 11, 1, tzinfo=UTC)),
        ),
        ('since:"yesterday 09:00"', RunFilter(since=datetime(2026, 11, 20, 9, tzinfo=UTC))),
        ("since:2026-11-21T10:00:00+01:00", RunFilter(since=datetime(2026, 11, 21, 9, tzinfo=UTC))),
        ("duration:>5m", RunFilter(duration_s=Range(low=300.0, low_open=True))),
        ("duration:>=5m duration:<1h", RunFilter(duration_s=Range(300.0, 3600.0, high_open=True))),
        ("duration:5m..1h", RunFilter(duration_s=Range(300.0, 3600.0))),
        ("duration:5m.. duration:..10m", RunFilter(duration_s=Range(300.0, 600.0))),
        ("duration:>5m duration:>=5m", RunFilter(duration_s=Range(low=300.0, low_open=True))),
        ("lateness:>10s", RunFilter(lateness_s=Range(low=10.0, low_open=True))),
        ("error:timeout", RunFilter(errors=("timeout",))),
        ('error:"no such host" -error:refused', RunFilter(errors=("no such host",), not_errors=("refused",))),
        ("cause:manual,backfill", RunFilter(causes=(Cause.MANUAL, Cause.BACKFILL))),
        ("-cause:schedule", RunFilter(causes=tuple(c for c in Cause if c is not Cause.SCHEDULE))),
        ("schedule:a:default flow:01ab", RunFilter(schedule_id="a:default", flow_id="01ab")),
        ("actor:cli:alice", RunFilter(actor="cli:alice")),
        ("config:orders", RunFilter(configuration=("orders", None))),
        ("config:orders@3", RunFilter(configuration=("orders", 3))),
        ("night  -daily", RunFilter(words=("night",), not_words=("daily",))),
        ('"a b" "-x" "job:y"', RunFilter(words=("a b", "-x", "job:y"))),
        (r'error:"say \"no\" \\"', RunFilter(errors=(r'say "no" \\'[:-1],))),
        ('error:"a,b",c', RunFilter(errors=("a,b", "c"))),
        ("JOB:a STATE:Failed", RunFilter(job_id="a", states=(State.FAILED,))),
    ],
)
def test_what_a_text_means(text: str, expected: RunFilter) -> None:
    assert runs(text) == expected
    assert runs(RUNS.write(expected)) == expected


def test_flags_of_jobs_and_schedules() -> None:
    assert JOBS.parse("paused:yes retired:any -enabled:yes source:file", READING) == JobFilter(
        paused=True, retired=None, enabled=False, source=SourceKind.FILE
    )
    assert JOBS.write(JobFilter(retired=True, enabled=True)) == "enabled:yes retired:yes"
    assert SCHEDULES.parse("job:a paused:no", READING) == ScheduleFilter(job_id="a", paused=False)


def test_local_times_are_those_of_the_zone() -> None:
    berlin = replace(READING, zone=ZoneInfo("Europe/Berlin"))
    assert RUNS.parse("since:09:00", berlin).since == datetime(2026, 11, 21, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "code", "column", "words"),
    [
        ("state:failed jib:a", "filter_key_unknown", 14, "did you mean job"),
        ("paused:yes", "filter_key_unknown", 1, "known: job, state"),
        ("job:a state:faild", "state_unknown", 7, "did you mean failed"),
        ("state:", "filter_invalid", 1, "has no value"),
        ("a -", "filter_invalid", 3, "a word"),
        ('error:"x', "filter_invalid", 1, "not closed"),
        ("a\x00", "filter_invalid", 2, "U+0000"),
        ("\udcff", "filter_invalid", 1, "U+DCFF"),
        ("x" * 2001, "filter_invalid", 2001, "2001 characters"),
        ("a " * 51, "filter_invalid", 101, "more than 50"),
        ("duration:5m", "filter_value_invalid", 1, "no range"),
        ("duration:..", "filter_value_invalid", 1, "no range"),
        ("duration:>soon", "duration_invalid", 1, "not a duration"),
        ("lateness:<1000000000w", "duration_out_of_range", 1, "100 years"),
        ("since:whenever", "time_invalid", 1, "not a time"),
        ("since:1h since:2h", "filter_value_invalid", 10, "twice"),
        ("since:1h,2h", "filter_value_invalid", 1, "twice"),
        ("-since:1h", "filter_value_invalid", 1, "negated"),
        ("-duration:>1h", "filter_value_invalid", 1, "negated"),
        ("label:team", "label_invalid", 1, "no label"),
        ("label:team=a label:team=b", "filter_value_invalid", 14, "two values"),
        ("type:htp", "task_type_unknown", 1, "no task type"),
        ("cause:human", "filter_value_invalid", 1, "no cause"),
        ("config:a@b", "filter_value_invalid", 1, "no version"),
        ("-state:active -state:ended", "filter_value_invalid", 15, "no state is left"),
    ],
)
def test_what_means_nothing_is_refused_with_its_place(text: str, code: str, column: int, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        runs(text)
    problem = caught.value.problems[0]
    assert (problem.code, problem.column) == (code, column)
    assert words in f"{problem.message} {problem.hint}"


def test_options_go_through_the_same_code() -> None:
    options = {"job": "a", "state": ["failed,skipped", "ended"], "label": ["x=a,b"], "since": "2h", "type": None}
    made = RUNS.options(options, READING, "type:http")
    text = 'job:a state:failed,skipped,ended label:"x=a,b" since:2h type:http'
    assert made == runs(text)
    with pytest.raises(UsageError) as caught:
        RUNS.options({"state": ["x"]}, READING)
    assert caught.value.problems[0].key == "--state"


# ---- parse ∘ write = identity, and nothing but UsageError ---------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)
SOME = st.lists(TEXTS, unique=True, max_size=3).map(tuple)
NAMES = TEXTS.filter(lambda text: "=" not in text)
NOT_LABELS = st.lists(st.tuples(NAMES, TEXTS), unique=True, max_size=3).map(tuple)
LABELS = st.dictionaries(NAMES, TEXTS | st.just(""), max_size=3)
TIMES = st.datetimes(datetime(1000, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC)) | st.none()
SECONDS = st.integers(0, 10**9) | st.integers(0, MAX_DURATION_S * 1_000_000)
ENDS = st.none() | SECONDS.map(lambda micros: micros / 1_000_000)
FLAGS = st.sampled_from([None, True, False])
TYPES = st.lists(st.sampled_from([kind.name for kind in BUILTIN]), unique=True, max_size=3).map(tuple)


def some(of: Any) -> Any:
    return st.lists(st.sampled_from(list(of)), unique=True, max_size=len(of)).map(tuple)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    low, high = draw(ENDS), draw(ENDS)
    return Range(low, high, low is not None and draw(st.booleans()), high is not None and draw(st.booleans()))


def one_or_several(made: Any) -> Any:
    """A single job has its own field."""
    return replace(made, job_id=made.job_ids[0], job_ids=()) if len(made.job_ids) == 1 else made


RUN_FILTERS = (
    st.builds(
        RunFilter,
        job_ids=SOME,
        states=some(State),
        task_types=TYPES,
        labels=LABELS,
        since=TIMES,
        until=TIMES,
        flow_id=TEXTS | st.none(),
        schedule_id=TEXTS | st.none(),
        causes=some(Cause),
        parent_id=TEXTS | st.none(),
        words=SOME,
        timed_out=st.booleans(),
        errors=SOME,
        signature=TEXTS | st.none(),
        duration_s=ranges(),
        lateness_s=ranges(),
        configuration=st.none() | st.tuples(TEXTS.filter(lambda t: "@" not in t), st.none() | st.integers(0, 10**8)),
        actor=TEXTS | st.none(),
        not_job_ids=SOME,
        not_words=SOME,
        not_task_types=TYPES,
        not_labels=NOT_LABELS,
        not_errors=SOME,
    )
    .map(one_or_several)
    .map(lambda made: replace(made, timed_out=made.timed_out and State.FAILED not in made.states))
)
FILTERS = {
    "runs": RUN_FILTERS,
    "jobs": st.builds(
        JobFilter,
        job_ids=SOME,
        task_types=TYPES,
        labels=LABELS,
        source=st.sampled_from([None, *SourceKind]),
        paused=FLAGS,
        enabled=FLAGS,
        retired=FLAGS,
        due_from=TIMES,
        due_until=TIMES,
        configuration=TEXTS | st.none(),
        words=SOME,
        not_job_ids=SOME,
        not_task_types=TYPES,
        not_labels=NOT_LABELS,
        not_words=SOME,
    ),
    "schedules": st.builds(
        ScheduleFilter, paused=FLAGS, job_ids=SOME, words=SOME, not_job_ids=SOME, not_words=SOME
    ).map(one_or_several),
    "configurations": st.builds(
        ConfigurationFilter,
        types=TYPES,
        used=FLAGS,
        source=st.sampled_from([None, *SourceKind]),
        words=SOME,
        not_words=SOME,
    ),
    "flows": st.builds(FlowFilter, job_id=TEXTS | st.none(), since=TIMES, until=TIMES, words=SOME, not_words=SOME),
    "skips": st.builds(
        SkipFilter,
        job_id=TEXTS | st.none(),
        schedule_id=TEXTS | st.none(),
        reasons=some(SkipReason),
        since=TIMES,
        until=TIMES,
        words=SOME,
        not_words=SOME,
    ),
    "audit": st.builds(
        AuditFilter,
        actor=TEXTS | st.none(),
        actions=SOME,
        object=TEXTS | st.none(),
        since=TIMES,
        until=TIMES,
        words=SOME,
        not_words=SOME,
    ),
}


def test_every_list_has_a_strategy() -> None:
    assert FILTERS.keys() == LANGUAGES.keys()
    assert Public is RunFilter


@pytest.mark.parametrize("kind", sorted(FILTERS))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_filter_that_is_written_is_read_again(kind: str, data: st.DataObject) -> None:
    where = data.draw(FILTERS[kind])
    language = LANGUAGES[kind]
    text = language.write(where)
    if len(text) <= 2000:
        assert language.parse(text, READING) == where


PIECES = st.sampled_from(
    [f"{name}:" for language in LANGUAGES.values() for name in language.names()]
    + [
        *State,
        *Cause,
        "timed_out",
        "active",
        "-",
        '"',
        "\\",
        " ",
        ",",
        "..",
        ">",
        "<=",
        "5m",
        "=",
        "@",
        "1",
        "x=y",
        ":",
    ]
    + ["-2h", "2026-11-01", "yes", "any", "http", "\x00", "\ud800", "é", "0001-01-01", "9999-12-31T23:59:59-23:59"]
)
ANY_TEXT = st.text(max_size=80) | st.lists(PIECES, max_size=25).map("".join)


@pytest.mark.parametrize("kind", sorted(LANGUAGES))
@settings(max_examples=300, deadline=None)
@example(text="since:9999-12-31T23:59:59-23:59")
@example(text="since:0001-01-01T00:00:00+23:59")
@given(text=ANY_TEXT)
def test_any_text_is_a_filter_or_a_mistake_of_the_caller(kind: str, text: str) -> None:
    language = LANGUAGES[kind]
    try:
        where = language.parse(text, READING)
    except UsageError:
        return
    written = language.write(where)
    assert language.parse(written, READING) == where
