"""What is wrong, where, and what to write instead."""

from __future__ import annotations

import pytest

from tests.support.timing import cpu_seconds
from tests.unit.jobfiles.rooms import only, parsed, problems

TASK = "task: [date]"


@pytest.mark.parametrize(
    ("line", "code", "key", "column", "hint"),
    [
        ("shedule: x", "unknown_key", "shedule", 1, "`schedule`"),
        ("Timeout: 5", "unknown_key", "Timeout", 1, "`timeout`"),
        ("max-active: 5", "unknown_key", "max-active", 1, "`max_active`"),
        ("qqqqqqqqqq: 5", "unknown_key", "qqqqqqqqqq", 1, ""),
        ("overlap: skipp", "unknown_value", "overlap", 10, "`skip`"),
        ("catch_up: 5", "wrong_type", "catch_up", 11, ""),
        ("catch_up: {modus: all}", "unknown_key", "catch_up.modus", 12, "`mode`"),
        ("restarts: 1001", "out_of_range", "restarts", 11, "0 to 1000"),
        ("restarts: -1", "out_of_range", "restarts", 11, "0 to 1000"),
        ("restarts: '2'", "wrong_type", "restarts", 11, "without quotes"),
        ("restarts: true", "wrong_type", "restarts", 11, ""),
        ("timeout: 0", "out_of_range", "timeout", 10, "no limit"),
        ("timeout: 5 parsecs", "duration_invalid", "timeout", 10, "2h30m"),
        ("kill_grace: -1", "duration_out_of_range", "kill_grace", 13, ""),
        ("priority: 10000000", "out_of_range", "priority", 11, ""),
        ("max_active: 0", "out_of_range", "max_active", 13, ""),
        ("pause_after: 0", "out_of_range", "pause_after", 14, ""),
        ("rate: fast", "bad_rate", "rate", 7, "10/1m"),
        ("rate: {count: 1}", "missing_key", "rate", 7, "10/1m"),
        ("rate: 0/1m", "out_of_range", "rate", 7, ""),
        ("pool: [a]", "wrong_type", "pool", 7, ""),
        ("pool: a b", "bad_name", "pool", 7, "`a-b`"),
        ("pool: {db: 0}", "out_of_range", "pool.db", 12, ""),
        ("queue: ''", "bad_name", "queue", 8, ""),
        ("labels: [a]", "wrong_type", "labels", 9, "team"),
        ("labels: {a: true}", "wrong_type", "labels.a", 13, "quote"),
        ("enabled: maybe", "wrong_type", "enabled", 10, ""),
        ("description: true", "wrong_type", "description", 14, "quote"),
        ("retry: 3", "wrong_type", "retry", 8, "`restarts`"),
        ("retry: {dely: 3}", "unknown_key", "retry.dely", 9, "`delay`"),
        ("retry: {factor: 0.5}", "out_of_range", "retry.factor", 17, ""),
        ("retry: {on: [300]}", "out_of_range", "retry.on[0]", 14, ""),
        ("depends_on: [b, b]", "duplicate_dependency", "depends_on[1]", 17, ""),
        ("depends_on: [{when: failed}]", "missing_key", "depends_on[0]", 14, "job"),
        ("depends_on: [{job: b, when: done}]", "unknown_value", "depends_on[0].when", 29, "`succeeded`"),
        ("depends_on: [a]", "self_dependency", "depends_on[0]", 14, ""),
        ("depends_on: ['b c']", "bad_job_id", "depends_on[0]", 14, "`b-c`"),
        ("parameters: {2x: 1}", "bad_name", "parameters.2x", 14, ""),
        ("parameters: {x: {type: int}}", "unknown_value", "parameters.x.type", 24, "`integer`"),
        ("parameters: {x: {type: integer, default: a}}", "wrong_type", "parameters.x.default", 42, ""),
        ("for_each: abc", "wrong_type", "for_each", 11, "${runs"),
        ("alerts: {on: [failed]}", "missing_key", "alerts", 9, "ops"),
        ("ping: hc.example/1", "bad_address", "ping", 7, "https://"),
        ("alerts: {channels: a, on: [fail]}", "unknown_value", "alerts.on[0]", 28, "`failed`"),
        ("timezone: Europe/Berln", "timezone_invalid", "timezone", 11, "Europe/Berlin"),
        ("schedule: 61 * * * *", "cron_invalid", "schedule", 11, ""),
        ("schedule: {cron: '* * *'}", "cron_invalid", "schedule.cron", 18, ""),
        ("schedule: {corn: '* * *', every: 5}", "key_unknown", "schedule.corn", 12, ""),
        ("schedule: 5", "wrong_type", "schedule", 11, ""),
        ("schedule: [every 5s]", "wrong_type", "schedule", 11, "`schedules:`"),
        ("schedules: every 5s", "wrong_type", "schedules", 12, "`schedule:`"),
        ("schedules: [every 5s, {every: 0}]", "interval_out_of_range", "schedules[1].every", 31, ""),
        ("schedules: [every 5s, every 5s]", "duplicate_schedule_id", "schedules[1]", 23, "names"),
        ("schedules: [{every: 1, name: x}, {every: 2, name: x}]", "duplicate_schedule_id", "schedules[1]", 34, ""),
        ("interval_seconds: 0", "interval_out_of_range", "interval_seconds", 19, ""),
        ("interval_seconds: x", "wrong_type", "interval_seconds", 19, ""),
        ("start_time: soon", "time_invalid", "start_time", 13, ""),
    ],
)
def test_one_wrong_key(line: str, code: str, key: str, column: int, hint: str) -> None:
    problem = only(f"job_id: a\n{TASK}\n{line}\n")
    assert (problem.code, problem.key, problem.line, problem.column) == (code, key, 3, column)
    assert hint in problem.hint
    assert problem.file == "jobs.yaml"


@pytest.mark.parametrize(
    ("line", "code", "key", "column", "hint"),
    [
        ("task: {type: comand, command: x}", "unknown_task_type", "task.type", 14, "`command`"),
        ("task: {type: hhtp, command: x}", "unknown_task_type", "task.type", 14, "`http`"),
        ("task: {command: x}", "missing_key", "task", 1, "command"),
        ("task: {type: command, command: [a], cwdd: /}", "unknown_key", "task.cwdd", 37, "cwd"),
        ("task: {type: command, command: [a, [b]]}", "bad_type", "task.command[1]", 36, ""),
        ("task: {type: plain, bad: {deep: [1, 2]}}", "bad_value", "task.bad.deep[1]", 37, "make it good"),
        ("task: {type: http}", "missing_key", "task.url", 7, ""),
        ("task: 'echo ${x}'", "reference_in_shell", "task", 7, "env"),
        ("task: 5", "wrong_type", "task", 7, "command"),
        ("entry_point: x", "missing_key", "entry_point", 1, "task"),
        ("task_type: shell", "missing_key", "task_type", 1, "task"),
        ("task_type: mongo\nentry_point: x", "unknown_key", "entry_point", 1, "mongo"),
        ("task_type: shell\nentry_point: 'echo ${x}'", "reference_in_shell", "entry_point", 14, ""),
        ("task: {type: http, url: x, use: 'a b'}", "bad_name", "task.use", 33, ""),
        ("task: {type: http, config_type: Db}", "conflicting_keys", "task.config_type", 33, "`type`"),
        ("function: a:b\ntask: [date]", "conflicting_keys", "task", 1, "keep one"),
    ],
)
def test_one_wrong_task(line: str, code: str, key: str, column: int, hint: str) -> None:
    problem = only(f"job_id: a\n{line}\n")
    assert (problem.code, problem.key, problem.column) == (code, key, column)
    assert problem.line in (2, 3)
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        (TASK, "missing_key", 1, 1),
        ("job_id: a", "missing_key", 1, 1),
        ("job_id: ''\n" + TASK, "bad_job_id", 1, 9),
        ("job_id: a:b\n" + TASK, "bad_job_id", 1, 9),
        ("job_id: true\n" + TASK, "wrong_type", 1, 9),
        (f"job_id: {'a' * 201}\n{TASK}", "bad_job_id", 1, 9),
        ("hello", "wrong_type", 1, 1),
        ("5", "wrong_type", 1, 1),
        ("jobs: {a: 1}", "wrong_type", 1, 7),
        ("jobs: []\ntimeout: 5", "misplaced_key", 2, 1),
        ("jobs: []\nconfiguration: {}", "unknown_key", 2, 1),
        ("defaults: [1]\njobs: []", "wrong_type", 1, 11),
        ("defaults: {job_id: a}\njobs: []", "misplaced_key", 1, 12),
        ("defaults: {timeot: 5}\njobs: []", "unknown_key", 1, 12),
        ("defaults: {restarts: x}\njobs: [{id: a, task: [date]}, {id: b, task: [date]}]", "wrong_type", 1, 22),
        ("pools: {db: x}\njobs: []", "wrong_type", 1, 13),
        ("configurations: {c: 5}\njobs: []", "wrong_type", 1, 21),
        ("configurations: {c: {type: htp}}\njobs: []", "unknown_task_type", 1, 28),
        (f"jobs:\n- {{id: a, {TASK}}}\n- {{id: a, {TASK}}}", "duplicate_job_id", 3, 8),
        (
            f"jobs:\n- {{id: a, {TASK}, depends_on: [b]}}\n- {{id: b, {TASK}, depends_on: [a]}}",
            "dependency_cycle",
            2,
            38,
        ),
    ],
)
def test_one_wrong_file(text: str, code: str, line: int, column: int) -> None:
    problem = only(text)
    assert (problem.code, problem.line, problem.column) == (code, line, column)


def test_a_cycle_is_named_along_the_dependencies() -> None:
    lines = [f"- {{id: {a}, task: [date], depends_on: [{b}]}}" for a, b in ("ab", "bc", "ca")]
    assert "a → b → c → a" in only("jobs:\n" + "\n".join(lines)).message


def test_all_problems_of_a_file_at_once() -> None:
    entries = [
        f"{{id: a b, {TASK}, tiemout: 5, restarts: x}}",
        f"{{{TASK}, schedule: x y}}",
        "{id: c, task: {type: x}}",
    ]
    text = "jobs:\n- " + "\n- ".join(entries)
    assert [p.code for p in problems(text)] == [
        "unknown_key",
        "bad_job_id",
        "wrong_type",
        "missing_key",
        "cron_invalid",
        "unknown_task_type",
    ]


def test_a_duplicate_is_found_although_the_first_is_bad_and_both_lines_are_named() -> None:
    found = problems(f"jobs:\n- {{id: a, restarts: x, {TASK}}}\n- {{id: a, {TASK}}}")
    assert [p.code for p in found] == ["wrong_type", "duplicate_job_id"]
    assert found[1].line == 3
    assert "line 2" in found[1].message


def test_after_two_hundred_problems_they_are_counted() -> None:
    found = problems("[" + ",".join(f"{{id: j{n}, qqqq: 1}}" for n in range(5000)) + "]")
    assert len(found) == 201
    assert found[-1].code == "too_many_problems"
    assert "9800" in found[-1].message


def test_warnings_do_not_refuse_a_file() -> None:
    found = parsed(f"job_id: a\n{TASK}\nschedule: 0 0 13 * 5")
    assert found.problems == ()
    assert [(w.code, w.key, w.line) for w in found.warnings] == [("schedule_warning", "schedule", 3)]


@pytest.mark.parametrize(
    ("text", "file", "line", "key"),
    [
        ('{"job_id": "a",\n "task": ["date"],\n "restarts": "x"}', "a.json", 3, "restarts"),
        ('job_id = "a"\nrestarts = "x"\n[task]\ntype = "command"\ncommand = ["date"]', "a.toml", 2, "restarts"),
        (
            '[[jobs]]\njob_id = "a"\ntask = ["date"]\n[[jobs]]\njob_id = "b"\ntask = ["date"]\npool = ""',
            "a.toml",
            7,
            "jobs[1].pool",
        ),
    ],
)
def test_json_and_toml_have_places_too(text: str, file: str, line: int, key: str) -> None:
    problem = only(text, file)
    assert (problem.line, problem.key) == (line, key)


HOSTILE = {
    "numbers for jobs": "jobs: [" + "1," * 9_000 + "1]",
    "too many jobs": "[" + "{id: a, task: b}," * 50_000 + "{}]",
    "bad jobs": "jobs: [" + "{id: a b, x: 1, task: {type: c}}," * 9_000 + "{}]",
    "unknown keys": "".join(f"k{n}: 1\n" for n in range(60_000)),
    "unknown arguments": "job_id: a\ntask:\n  type: command\n" + "".join(f"  k{n}: 1\n" for n in range(5_000)),
    "upstreams": "job_id: a\ntask: [date]\ndepends_on: [" + "".join(f"j{n}," for n in range(60_000)) + "a]",
    "schedules": "job_id: a\ntask: [date]\nschedules: [" + "5 5 5 5 5," * 60_000 + "x]",
    "labels": "job_id: a\ntask: [date]\nlabels: {" + "".join(f"k{n}: {{}}," for n in range(60_000)) + "}",
    "a long key": "x" * 900_000 + ": 1",
    "a long id": "job_id: " + "x" * 900_000 + "\ntask: [date]",
    "a long word": "job_id: a\ntask: [date]\noverlap: " + "x" * 900_000,
    "a long duration": "job_id: a\ntask: [date]\ntimeout: " + "1s" * 400_000,
    "a long zone": "job_id: a\ntask: [date]\ntimezone: " + "x/" * 400_000,
    "a long schedule": "job_id: a\ntask: [date]\nschedule: " + "1," * 400_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_jobs_are_answered_quickly(name: str) -> None:
    took_s, found = cpu_seconds(lambda: parsed(HOSTILE[name]))
    assert took_s < 1.0
    assert found.problems
    assert all(len(str(problem)) < 3_000 for problem in found.problems)
