"""Jobs of the library: adding, changing, removing, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from gnomon import Conflict, NotFound, Scheduler, UsageError, at, cron, every
from tests.unit.scheduler import tasks

Maker = Callable[..., Scheduler]


def test_as_it_is_written(scheduler: Scheduler) -> None:
    scheduler.add_job("job1", tasks.sample_task, interval=1, args=["Hello, world!"])
    job = scheduler.get_job("job1")
    assert job is not None
    assert job.task["callable"] == "tests.unit.scheduler.tasks:sample_task"
    assert job.task["args"] == ["Hello, world!"]
    assert job.next_fire_at is not None
    scheduler.remove_job("job1")
    assert scheduler.get_job("job1") is None
    assert scheduler.jobs() == []


def test_adding_an_identical_job_changes_nothing(on_file: Maker) -> None:
    first, second = on_file(), on_file()
    added = first.add_job("a", tasks.sample_task, interval=60, args=["x"], labels={"team": "ops"})
    for scheduler in (first, second, first):
        assert scheduler.add_job("a", tasks.sample_task, interval=60, args=["x"], labels={"team": "ops"}) == added
    changed = second.add_job("a", tasks.sample_task, interval=60, args=["y"], labels={"team": "ops"})
    assert (changed.definition_version, changed.next_fire_at) == (2, added.next_fire_at)


@pytest.mark.parametrize(
    ("when", "kinds"),
    [
        ({"interval": 90}, ["every 90s"]),
        ({"interval": timedelta(minutes=5)}, ["every 5m"]),
        ({"interval": "2h30m"}, ["every 2h30m"]),
        ({"cron": "*/5 * * * *"}, ["*/5 * * * *"]),
        ({"at": datetime(2090, 1, 1, tzinfo=UTC)}, ["at 2090-01-01T00:00:00+00:00"]),
        ({"at": "2090-01-01T09:00:00Z"}, ["at 2090-01-01T09:00:00Z"]),
        ({"schedule": "every 30s"}, ["every 30s"]),
        ({"schedule": every("30s", name="fast")}, ["every 30s"]),
        ({"schedule": [cron("0 9 * * *", name="am"), at("2090-01-01T09:00:00Z")]}, None),
        ({}, []),
    ],
)
def test_ways_to_say_when(scheduler: Scheduler, when: dict[str, object], kinds: list[str] | None) -> None:
    job = scheduler.add_job("a", tasks.sample_task, **when)  # type: ignore[arg-type]
    if kinds is None:
        assert len(job.schedules) == 2
    else:
        assert len(job.schedules) == len(kinds)
    assert (job.next_fire_at is None) == (not job.schedules)


def test_two_ways_at_once_are_refused(scheduler: Scheduler) -> None:
    with pytest.raises(UsageError, match="interval and cron both say when"):
        scheduler.add_job("a", tasks.sample_task, interval=1, cron="* * * * *")


@pytest.mark.parametrize(
    ("more", "code", "key"),
    [
        ({"retires": 1}, "unknown_key", "retires"),
        ({"args": [object()]}, "not_json", "task.args[0]"),
        ({"kwargs": {"when": datetime(2030, 1, 1, tzinfo=UTC)}}, "not_json", "task.kwargs.when"),
        ({"interval": -1}, "duration_out_of_range", "schedule"),
        ({"cron": "61 * * * *"}, "cron_invalid", "schedule"),
        ({"timeout": 5}, "thread_timeout", "timeout"),
        ({"overlap": "never"}, "unknown_value", "overlap"),
    ],
)
def test_mistakes_name_their_key(scheduler: Scheduler, more: dict[str, object], code: str, key: str) -> None:
    with pytest.raises(UsageError) as caught:
        scheduler.add_job("a", tasks.sample_task, **more)  # type: ignore[arg-type]
    problem = caught.value.problems[0]
    assert problem.code == code
    assert problem.key.startswith(key.split(".")[0])
    assert problem.file is None
    assert scheduler.jobs() == []


def test_a_job_needs_a_function_or_a_task(scheduler: Scheduler) -> None:
    for given in ({}, {"func": print, "task": {"type": "command", "command": ["true"]}}):
        with pytest.raises(UsageError, match="either a function or a task"):
            scheduler.add_job("a", **given)  # type: ignore[arg-type]


def test_a_command_beside_functions(scheduler: Scheduler) -> None:
    scheduler.add_job("a", task={"type": "command", "command": ["echo", "out"]})
    scheduler.start()
    run = scheduler.wait(scheduler.run("a"), 30)
    assert (run.ok, run.exit_code, scheduler.log(run.id)) == (True, 0, "out\n")


def test_an_async_function_may_have_a_timeout(scheduler: Scheduler) -> None:
    scheduler.add_job("a", tasks.forever, timeout=0.1)
    scheduler.start()
    run = scheduler.wait(scheduler.run("a"), 30)
    assert run.error is not None
    assert (str(run.state), run.error.code) == ("failed", "timed_out")


def test_dependencies_must_be_there_and_lead_somewhere(scheduler: Scheduler) -> None:
    scheduler.add_job("a", tasks.pid)
    with pytest.raises(UsageError, match=r"there is no job .?aa.? \(did you mean .?a") as caught:
        scheduler.add_job("b", tasks.pid, depends_on="aa")
    assert (caught.value.code, caught.value.problems[0].key) == ("unknown_dependency", "depends_on")
    scheduler.add_job("b", tasks.pid, depends_on="a")
    with pytest.raises(UsageError, match="a → b → a"):
        scheduler.add_job("a", tasks.pid, depends_on="b")


def test_functions_are_named_so_that_others_find_them(scheduler: Scheduler) -> None:
    def nested() -> None: ...

    named = {
        "a": (tasks.sample_task, "tests.unit.scheduler.tasks:sample_task"),
        "b": ("package.module.func", "package.module:func"),
        "c": ("package.module:func", "package.module:func"),
        "d": (nested, "local:d"),
        "deep/er.id": (lambda: None, "local:deep/er.id"),
        "f": (partial(tasks.sample_task, "x"), "local:f"),
        "g": (tasks.CALLS.append, "local:g"),
    }
    for job_id, (func, reference) in named.items():
        assert scheduler.add_job(job_id, func).task["callable"] == reference, job_id


def test_a_decorated_function_can_be_imported_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "decorated.py").write_text(
        "from gnomon import Scheduler\n"
        "scheduler = Scheduler(executor='process')\n"
        "@scheduler.job(interval=3600)\n"
        "def tick(): return __name__\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import decorated  # type: ignore[import-not-found]

    with decorated.scheduler as scheduler:
        assert scheduler.get_job("tick").task["callable"] == "decorated:tick"
        assert scheduler.wait(scheduler.run("tick"), 30).error is None


def test_a_function_runs_while_its_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "importing.py").write_text(
        "from gnomon import Scheduler\n"
        "def work(): return 7\n"
        "with Scheduler() as scheduler:\n"
        "    scheduler.add_job('work', work)\n"
        "    result = scheduler.wait(scheduler.run('work'), 10).result\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import importing  # type: ignore[import-not-found]

    assert importing.result == 7


def test_worker_processes_need_functions_they_can_import() -> None:
    scheduler = Scheduler(executor="process")
    with pytest.raises(UsageError) as caught:
        scheduler.add_job("a", lambda: None)
    assert caught.value.code == "not_importable"
    scheduler.add_job("b", tasks.sample_task, timeout=5, args=["x"])


def test_what_is_not_there(scheduler: Scheduler) -> None:
    scheduler.add_job("backup", tasks.sample_task)
    for ask in (scheduler.remove_job, scheduler.pause, scheduler.resume, scheduler.run, scheduler.why):
        with pytest.raises(NotFound, match="did you mean 'backup'"):
            ask("backpu")
    with pytest.raises(NotFound):
        scheduler.get_run("0123456789")
    scheduler.remove_job("backup")
    scheduler.remove_job("backup")
    for ask in (scheduler.pause, scheduler.resume):
        with pytest.raises(NotFound):
            ask("backup")
    with pytest.raises(Conflict):
        scheduler.run("backup")


def test_moments_need_a_zone(scheduler: Scheduler) -> None:
    scheduler.add_job("a", tasks.sample_task, interval=60)
    naive = datetime(2030, 1, 1)
    for ask in (
        lambda: scheduler.why("a", naive),
        lambda: scheduler.runs(since=naive),
        lambda: scheduler.next_fires("a", after=naive),
    ):
        with pytest.raises(UsageError, match="no time zone"):
            ask()


def test_job_files_beside_python(on_file: Maker, tmp_path: Path) -> None:
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "jobs.d" / "a.yaml").write_text("job_id: filed\nfunction: tests.unit.scheduler.tasks:pid\n")
    scheduler = on_file(jobs_dir=tmp_path / "jobs.d")
    scheduler.add_job("added", tasks.pid)
    scheduler.start()
    from tests.support.service import until

    until(lambda: scheduler.get_job("filed"), "the file is loaded")
    job = scheduler.get_job("filed")
    assert job is not None
    assert job.source == "file"
    assert scheduler.wait(scheduler.run("filed"), 30).result == scheduler.wait(scheduler.run("added"), 30).result
    for change in (lambda: scheduler.remove_job("filed"), lambda: scheduler.add_job("filed", tasks.pid)):
        with pytest.raises(Conflict, match=r"a\.yaml"):
            change()


def test_the_zone_of_a_scheduler_is_that_of_its_schedules() -> None:
    scheduler = Scheduler(timezone="Europe/Berlin")
    fire = scheduler.next_fires("0 9 * * *", after=datetime(2030, 7, 1, tzinfo=UTC), count=1)["fires"][0]  # type: ignore[index,call-overload]
    assert fire["at"] == "2030-07-01T07:00:00Z"  # type: ignore[index,call-overload]
    with pytest.raises(UsageError):
        Scheduler(timezone="Europe/Berlni").add_job("a", tasks.pid, cron="0 9 * * *")
    with pytest.raises(UsageError):
        Scheduler(executor="greenlet")  # type: ignore[arg-type]
