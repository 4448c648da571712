"""What commands print for programs: the keys that are promised, one document, nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gnomon.app import Parts
from tests.unit.cli.conftest import Gnomon

RUN = (
    "id, job_id, parameters, actor, retry_of, parent_id, item, waiting_for, reason, labels, schedule_id, flow_id,"
    "cause, state, due_at, queued_at, started_at, finished_at, lateness_s, duration_s, exit_code, result, error,"
    "definition_version, configuration, attempts"
)
ATTEMPT = "number, outcome, error, started_at, finished_at, exit_code, node, worker"
JOB = "job_id, description, enabled, paused, task, schedules, depends_on, source, definition_version, labels"


def keys(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def test_lists_without_a_database_are_empty_and_make_none(gnomon: Gnomon, place: Path) -> None:
    for words in (["jobs", "list"], ["schedules", "list"], ["runs", "list"], ["jobs", "files"]):
        done = gnomon(*words, "--json")
        assert done.json == []
        assert "gnomon serve" in done.err
    assert list(place.iterdir()) == []


def test_a_single_object_needs_a_database(gnomon: Gnomon) -> None:
    for words in (["jobs", "show", "x"], ["runs", "show", "x"], ["why", "x"], ["jobs", "pause", "x"]):
        assert gnomon("--json", *words, code=2).errors[0]["code"] == "database_missing"


@pytest.mark.usefixtures("parts")
def test_jobs_have_the_promised_keys(gnomon: Gnomon) -> None:
    jobs = gnomon("jobs", "list", "--json").json
    assert [job["job_id"] for job in jobs] == ["after", "byhand", "clock", "owned"]
    assert all(keys(JOB) <= job.keys() for job in jobs)
    clock = gnomon("jobs", "show", "clock", "--json").json
    assert clock["task"]["type"] == "command"
    assert clock["schedules"][0]["id"] == "clock:default"
    assert clock["schedules"][0]["next_fire_at"].endswith("Z")
    assert [j["job_id"] for j in gnomon("jobs", "list", "--json", "--label", "team=a").json] == ["clock"]
    assert len(gnomon("jobs", "list", "--json", "--type", "shell").json) == 4


@pytest.mark.usefixtures("parts")
def test_a_list_that_goes_on_says_how_on_stderr(gnomon: Gnomon) -> None:
    first = gnomon("jobs", "list", "--json", "--limit", "3")
    assert len(first.json) == 3
    cursor = first.err.split("--cursor ")[1].strip()
    rest = gnomon("jobs", "list", "--json", "--cursor", cursor)
    assert [job["job_id"] for job in rest.json] == ["owned"]
    assert rest.err == ""


def test_runs_have_the_promised_keys(gnomon: Gnomon, parts: Parts) -> None:
    started = gnomon("run", "byhand", "-p", "count=3", "--json")
    assert "no scheduler runs" in started.err
    assert keys(RUN) <= started.json.keys()
    assert started.json["parameters"] == {"count": 3}
    assert started.json["state"] == "queued"
    run_id = started.json["id"]
    assert gnomon("runs", "list", "--json").json == [started.json]
    assert gnomon("runs", "show", run_id[:20], "--json").json == {**started.json, "alerts": []}
    log = gnomon("runs", "logs", run_id, "--json").json
    assert log == {"run_id": run_id, "attempt": None, "complete": False, "log": ""}
    why = gnomon("why", run_id, "--json").json
    assert why.keys() == {"verdict", "outcome", "run_id", "gates"}
    assert why["gates"][0].keys() == {"name", "passed", "evidence", "at"}
    assert "no scheduler is running" in why["verdict"]
    assert gnomon("runs", "cancel", run_id, "--json").json[0]["state"] == "cancelled"
    assert gnomon("runs", "retry", run_id, "--json").json[0]["retry_of"] == run_id
    (again,) = gnomon("runs", "list", "--state", "active", "--json").json
    assert again["cause"] == "manual"
    delete = ("runs", "delete", "--state", "ended", "--yes", "--json")
    kept = gnomon(*delete).json
    assert (kept["deleted"], [one["id"] for one in kept["kept"]]) == ([], [run_id]), "its repetition may need it"
    gnomon("runs", "cancel", again["id"])
    gone = gnomon(*delete).json
    assert (set(gone["deleted"]), gone["kept"]) == ({run_id, again["id"]}, [])


def test_a_file_runs_to_its_end(gnomon: Gnomon, place: Path) -> None:
    (place / "p.yaml").write_text(
        "jobs:\n"
        "  - {job_id: c, depends_on: [b], task: {type: command, command: 'true'}}\n"
        "  - {job_id: b, depends_on: [a], task: {type: command, command: 'echo oh no; exit 3'}}\n"
        "  - {job_id: a, task: {type: command, command: 'true'}}\n"
    )
    done = gnomon("run", "p.yaml", "--json", code=1)
    assert done.json["ok"] is False
    runs = done.json["runs"]
    assert [(run["job_id"], run["state"]) for run in runs] == [("a", "succeeded"), ("b", "failed"), ("c", "skipped")]
    assert runs[1]["exit_code"] == 3
    assert runs[2]["reason"] == "upstream_failed"
    assert all(keys(RUN) <= run.keys() for run in runs)
    assert keys(ATTEMPT) <= runs[1]["attempts"][0].keys()
    assert done.err == ""
    plain = gnomon("run", "p.yaml", code=1)
    assert "b failed: the command ended with exit code 3\n  | oh no\n" in plain.out
    assert "1 succeeded, 1 failed, 1 skipped" in plain.out
    assert not (place / "g.db").exists()


def test_good_entries_of_a_bare_list_run(gnomon: Gnomon, place: Path) -> None:
    (place / "l.json").write_text(
        '[{"task_id": "good", "task_type": "shell", "entry_point": "true"}, {"task_id": "bad", "task_type": "nosuch",'
        ' "entry_point": "x"}]'
    )
    done = gnomon("run", "l.json", "--json", code=None)
    assert [run["job_id"] for run in done.json["runs"]] == ["good"]
    assert "nosuch" in done.err
    assert gnomon("validate", "l.json", "--json", code=2).json["jobs"] == ["good"]


def test_validate_names_every_mistake(gnomon: Gnomon, place: Path) -> None:
    (place / "bad.yaml").write_text(
        'job_id: a\nschedule: "61 * * * *"\ntimeot: 5m\ntask: {type: command, command: [x]}\n'
    )
    answer = gnomon("validate", "bad.yaml", "--json", code=2).json
    assert answer.keys() == {"ok", "jobs", "errors", "warnings"}
    assert (answer["ok"], answer["jobs"]) == (False, [])
    names = ("file", "line", "column", "key", "code")
    assert [tuple(error[name] for name in names) for error in answer["errors"]] == [
        ("bad.yaml", 2, 11, "schedule", "cron_invalid"),
        ("bad.yaml", 3, 1, "timeot", "unknown_key"),
    ]
    people = gnomon("validate", "bad.yaml", code=2).out
    assert "    3 | timeot: 5m\n      | ^\n  hint: did you mean `timeout`?" in people


@pytest.mark.parametrize(
    "expression",
    ["30 2 * * *", "@daily", "every 90s", "every month on the last day at 09:00", "2099-12-20T02:00:00Z",
     "RRULE:FREQ=DAILY;COUNT=20", '{cron: "0 9 * * *", exclude: ["2026-12-25"]}', '{"every": "5m"}'],
)  # fmt: skip
def test_next_takes_what_a_schedule_takes(gnomon: Gnomon, place: Path, expression: str) -> None:
    fires = gnomon("next", expression, "--count", "2", "--timezone", "Europe/Berlin", "--json").json["fires"]
    assert fires
    assert all(fire.keys() == {"at", "local", "note"} for fire in fires)
    assert list(place.iterdir()) == []


def test_next_warns_of_what_is_probably_not_meant(gnomon: Gnomon) -> None:
    assert "are both restricted" in gnomon("next", "0 0 13 * 5").err
    assert gnomon("next", "0 0 13 * *").err == ""


@pytest.mark.usefixtures("parts")
def test_next_and_why_of_a_job(gnomon: Gnomon) -> None:
    assert len(gnomon("next", "owned", "--json").json["fires"]) == 5
    assert (
        gnomon("next", "owned:default", "--after", "2026-12-01", "--json").json["fires"][0]["at"]
        == "2026-12-01T09:00:00Z"
    )
    assert gnomon("why", "owned", "--json").json["outcome"] == "future"
    assert gnomon("why", "owned", "10:30", "--json").json["outcome"] == "no_fire"
    assert gnomon("why", "owned", "tomorrow 09:00", "--json").json["outcome"] == "future"
    assert gnomon("why", "owned", "-15m", "--json").json["outcome"] in ("no_fire", "not_known")


@pytest.mark.usefixtures("parts")
def test_jobs_by_type_and_by_period(gnomon: Gnomon) -> None:
    def ids(*words: str) -> list[str]:
        return [job["job_id"] for job in gnomon("jobs", "list", "--json", *words).json]

    assert ids("--type", "shell") == ids() == ["after", "byhand", "clock", "owned"]
    assert ids("--type", "python", "--type", "command", "--label", "team=a") == ["clock"]
    assert ids("--type", "python") == []
    assert ids("--due-from", "+1m", "--due-until", "+2h") == ["clock"], "it fires in the coming hour"
    assert ids("--due-until", "today") == []
    gnomon("run", "byhand", "-p", "count=3")
    assert ids("--since", "-10m", "--until", "+1m") == ["byhand"], "a run of it is due then"


@pytest.mark.usefixtures("parts")
def test_delete_what_the_options_choose(gnomon: Gnomon) -> None:
    gnomon("run", "byhand", "-p", "count=3")
    asked = gnomon("jobs", "delete", "--type", "shell", "--json", code=2).errors[0]
    assert asked["message"].startswith("delete 2 jobs with all runs (after, clock); 2 are kept")
    dry = gnomon("jobs", "delete", "--type", "shell", "--dry-run", "--json").json
    assert (dry["deleted"], dry["dry_run"]) == (["after", "clock"], True)
    assert [kept["id"] for kept in dry["kept"]] == ["byhand", "owned"]
    people = gnomon("jobs", "delete", "--type", "shell", "--dry-run").out
    assert "2 jobs would be deleted:\n  after\n  clock\nbyhand is kept: 1 runs of it are not over" in people
    assert "owned.yaml" in people
    assert gnomon("jobs", "delete", "--label", "team=a", "-y", "--json").json["deleted"] == ["clock"]
    assert gnomon("jobs", "delete", "--type", "python", "--json").json["deleted"] == [], "nothing to ask about"
    done = gnomon("runs", "delete", "--job", "byhand", "--yes", "--json").json
    assert (done["deleted"], "queued" in done["kept"][0]["reason"]) == ([], True)
    gnomon("runs", "cancel", done["kept"][0]["id"])
    assert gnomon("runs", "delete", "--since", "-1h", "-y").out.startswith("1 run is deleted:")
    assert gnomon("schedules", "delete", "--job", "owned", "-y", "--json").json["deleted"] == []


@pytest.mark.usefixtures("parts")
def test_pause_resume_edit_delete(gnomon: Gnomon) -> None:
    assert gnomon("jobs", "pause", "clock", "owned", "--reason", "x", "--json").json[1]["paused"] is True
    assert [job["job_id"] for job in gnomon("jobs", "list", "--paused", "--json").json] == ["clock", "owned"]
    assert gnomon("jobs", "resume", "clock", "--json").json[0]["paused"] is False
    assert gnomon("schedules", "pause", "owned", "--json").json[0]["paused"] is True
    assert gnomon("schedules", "resume", "owned:default", "--json").json[0]["paused"] is False
    edited = gnomon("schedules", "edit", "clock", "every 2h", "--json").json
    assert (edited["id"], edited["rule"]) == ("clock:default", "every 2h")
    assert gnomon("schedules", "edit", "owned", "every 2h", "--json", code=2).errors[0]["code"] == "owned_by_file"
    gone = gnomon("schedules", "delete", "--all", "--yes", "--json").json
    assert gone["deleted"] == ["clock:default"]
    assert [kept["id"] for kept in gone["kept"]] == ["owned:default"]
    assert gnomon("jobs", "delete", "byhand", "--yes", "--json").json == {"deleted": ["byhand"], "kept": [], "runs": 0}
    assert gnomon("jobs", "delete", "owned", "--yes", "--json", code=2).errors[0]["code"] == "owned_by_file"


@pytest.mark.usefixtures("parts")
def test_doctor(gnomon: Gnomon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_CONCURRENCY", "7")
    answer = gnomon("doctor", "--json", code=None).json
    assert {"name": "concurrency", "value": 7, "source": "GNOMON_CONCURRENCY"} in answer["settings"]
    checks = {check["name"]: check for check in answer["checks"]}
    assert checks["database"]["level"] == "ok"
    assert checks["schedulers"]["level"] == "warn"
    assert "tz database" in checks["time zones"]["message"]
    assert {"job files", "open files", "shell", "overdue"} <= checks.keys()
    assert checks["job files"]["level"] == "ok", "the default directory need not be there"
    assert "does not exist" in checks["job files"]["message"]
    assert "concurrency" in gnomon("doctor", code=None).out


@pytest.mark.usefixtures("parts")
def test_tables_for_people(gnomon: Gnomon) -> None:
    gnomon("run", "byhand", "-p", "count=1")
    for words in (
        ["jobs", "list"],
        ["schedules", "list"],
        ["runs", "list"],
        ["jobs", "show", "clock"],
        ["jobs", "files"],
    ):
        out = gnomon(*words).out
        assert "\x1b" not in out
        assert "UTC" in out
    assert 'parameters: {"count":' in gnomon("jobs", "show", "byhand").out
    assert "nothing says which jobs" in gnomon("jobs", "delete", code=2).err
    assert "not both" in gnomon("jobs", "delete", "byhand", "--retired", code=2).err
    run_id = gnomon("runs", "list", "--json").json[0]["id"]
    assert run_id in gnomon("runs", "list").out
    assert "byhand (version 1)" in gnomon("runs", "show", run_id).out


def test_add_upgrade_path(gnomon: Gnomon, place: Path) -> None:
    assert gnomon("db", "path", "--json").json["exists"] is False
    upgraded = gnomon("db", "upgrade", "--json").json
    assert upgraded["from"] is None
    assert gnomon("db", "upgrade").out.endswith(f"up to date: schema {upgraded['to']}\n")
    (place / "j.yaml").write_text("{job_id: j, task: {type: command, command: 'true'}}")
    assert gnomon("jobs", "add", "j.yaml", "--json").json[0]["source"] == {"kind": "rest", "path": None}
    assert gnomon("--db", str(place / "g.db"), "jobs", "list", "--json").json[0]["job_id"] == "j"
