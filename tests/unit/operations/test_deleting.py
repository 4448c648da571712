"""Asking and deleting as people do: by id, task type, label, period and state; what must stay says why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gnomon.core.errors import Conflict, NotFound, UsageError
from gnomon.core.model import Task
from gnomon.core.ports import Transaction
from gnomon.core.records import JobFilter, RunFilter, ScheduleFilter, Source, SourceKind
from gnomon.core.states import FINAL, State
from gnomon.operations import deleting
from gnomon.operations.jobs import list_jobs, pause_job
from gnomon.operations.runs import start_run
from tests.unit.engine.deployment import BEGIN, Deployment, finish

FILE = Source(SourceKind.FILE, "/etc/jobs/a.yaml")
CALL = Task("python", {"callable": "m:f"})


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def at(seconds: float) -> Any:
    return BEGIN + timedelta(seconds=seconds)


def jobs(d: Deployment, limit: int = 50, **where: Any) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = list_jobs(d.desk, JobFilter(**where), limit, cursor)
        assert len(page.items) <= limit
        found += [str(job["job_id"]) for job in page.items]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_jobs_by_period_are_those_with_a_run_due_in_it_and_those_that_will_have_one(d: Deployment, limit: int) -> None:
    for name in ("alone", "by-hand", "never"):
        d.add(name)
    d.add("hourly", "every 1h")
    d.add("often", "every 60s")
    d.add("once", "2030-01-01T00:30:00Z")
    d.add("paused", "every 60s")
    d.add("tomorrow", {"cron": "0 9 * * *", "exclude": ["2030-01-01"]})
    node, _ = d.node()
    start_run(d.desk, "by-hand")
    d.clock.advance(59)
    pause_job(d.desk, "paused")
    d.clock.advance(2)
    node.step()
    assert jobs(d, limit, due_until=at(1)) == ["by-hand"]
    assert jobs(d, limit, due_from=at(30), due_until=at(61)) == ["often"], "the past: runs"
    assert jobs(d, limit, due_from=at(60), due_until=at(60)) == []
    assert jobs(d, limit, due_from=at(60), due_until=at(62)) == ["often"]
    assert jobs(d, limit, due_from=at(121), due_until=at(1801)) == ["often", "once"], "ahead: planned fires"
    assert jobs(d, limit, due_from=at(121), due_until=at(1800)) == ["often"], "the end is no part of it"
    assert jobs(d, limit, due_from=at(100)) == ["hourly", "often", "once", "tomorrow"]
    assert jobs(d, limit, due_from=at(0), due_until=at(3601)) == ["by-hand", "hourly", "often", "once"]
    nine, ten = at(9 * 3600), at(10 * 3600)
    assert jobs(d, limit, due_from=nine, due_until=ten) == ["hourly", "often"], "a holiday does not count"
    day = timedelta(days=1)
    assert jobs(d, limit, due_from=nine + day, due_until=ten + day) == ["hourly", "often", "tomorrow"]


def test_words_for_task_types(d: Deployment) -> None:
    assert deleting.task_types(d.desk, ["shell", "execute_command", "python"]) == ("command", "python")
    assert deleting.task_types(d.desk, []) == ()
    with pytest.raises(UsageError, match="is called 'nosuch'") as caught:
        deleting.task_types(d.desk, ["command", "nosuch"])
    assert "known: " in str(caught.value)


def test_a_group_means_its_types_together(d: Deployment) -> None:
    """`db` is an alias of sql; in a question it means mongo as well."""

    class Types:
        def resolve(self, name: str) -> Any:
            names = {"sql": "sql", "db": "sql", "mongo": "mongo", "file": "file", "http": "http", "api": "http"}
            return type("Kind", (), {"name": names[name]}) if name in names else None

        def names(self) -> list[str]:
            return []

    d.desk.engine.task_types = Types()
    assert deleting.task_types(d.desk, ["db"]) == ("sql", "mongo")
    assert deleting.task_types(d.desk, ["api", "files", "mongo"]) == ("http", "file", "mongo")


def test_jobs_by_type_label_and_period_what_files_own_and_what_works_is_kept(d: Deployment) -> None:
    d.add("call", task=CALL)
    d.add("one", labels={"team": "a"})
    d.add("two", labels={"team": "a"})
    d.add("three", labels={"team": "b"})
    d.save(d.job("owned", labels={"team": "a"}), FILE)
    start_run(d.desk, "two")
    assert deleting.choose_jobs(d.desk, JobFilter(task_types=("python",))).deleted == ["call"]
    choice = deleting.choose_jobs(d.desk, JobFilter(labels={"team": "a"}))
    assert choice.deleted == ["one"]
    reasons = {kept.id: kept.reason for kept in choice.kept}
    assert reasons["two"] == "1 runs of it are not over"
    assert "/etc/jobs/a.yaml" in reasons["owned"]
    assert jobs(d) == ["call", "one", "owned", "three", "two"], "choosing changes nothing"
    assert deleting.choose_jobs(d.desk, JobFilter(due_until=at(1))).deleted == []
    done = deleting.delete_jobs(d.desk, choice)
    assert (done.deleted, {kept.id for kept in done.kept}) == (["one"], {"two", "owned"})
    assert jobs(d) == ["call", "owned", "three", "two"]


def test_what_became_busy_since_it_was_chosen_is_kept(d: Deployment) -> None:
    d.add("a", "every 60s")
    choice = deleting.choose_jobs(d.desk, JobFilter())
    d.clock.advance(61)
    done = deleting.delete_jobs(d.desk, choice)
    assert done.deleted == []
    assert "not over" in done.kept[0].reason, "its fire was due: deciding it comes first"
    d.add("b")
    choice = deleting.named_jobs(d.desk, ["b", "b"])
    assert deleting.delete_jobs(d.desk, choice).deleted == ["b"]
    again = deleting.delete_jobs(d.desk, choice)
    assert (again.deleted, again.kept) == ([], [])


def test_if_one_named_job_must_stay_none_goes(d: Deployment) -> None:
    d.add("a")
    d.save(d.job("owned"), FILE)
    for names, error in ((["a", "owned"], Conflict), (["a", "nobody"], NotFound)):
        with pytest.raises(error):
            deleting.named_jobs(d.desk, names)
    d.save(d.job("owned", "every 60s"), FILE)
    with pytest.raises(Conflict, match=r"a\.yaml"):
        deleting.named_schedules(d.desk, ["owned"])


def test_a_job_that_is_being_deleted_fires_no_more(d: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.operations.jobs._DELETE_BATCH", 2)
    d.add("a", "every 60s")
    node, executor = d.node()
    for _ in range(5):
        d.clock.advance(60)
        node.step()
        finish(d, node, executor)
    steps = 0

    def meanwhile() -> None:
        nonlocal steps
        steps += 1
        d.store.afterwards = None
        d.clock.advance(60)
        node.step()
        d.store.afterwards = meanwhile

    d.store.afterwards = meanwhile
    done = deleting.delete_jobs(d.desk, deleting.named_jobs(d.desk, ["a"]))
    assert (done.deleted, done.runs) == (["a"], 5)
    assert steps == 3, "a small step at a time"


def test_schedules_all_of_a_job_or_all_there_are(d: Deployment) -> None:
    d.add("a", {"name": "x", "every": "60s"}, {"name": "y", "every": "90s"})
    d.add("b", "every 60s")
    d.save(d.job("owned", "every 60s"), FILE)
    assert deleting.choose_schedules(d.desk, ScheduleFilter(job_id="a")).deleted == ["a:x", "a:y"]
    done = deleting.delete_schedules(d.desk, deleting.choose_schedules(d.desk, ScheduleFilter()))
    assert done.deleted == ["a:x", "a:y", "b:default"]
    assert [(kept.id, "a.yaml" in kept.reason) for kept in done.kept] == [("owned:default", True)]
    assert jobs(d) == ["a", "b", "owned"]


def test_runs_by_period_and_state_with_their_output_in_small_steps(
    d: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.operations.deleting.RUNS_AT_ONCE", 3)
    d.add("a", "every 60s")
    node, executor = d.node()
    for _ in range(8):
        d.clock.advance(60)
        node.step()
        if len(d.runs()) < 8:
            finish(d, node, executor)
    early = deleting.choose_runs(d.desk, RunFilter(until=at(121)))
    assert len(early.deleted) == 2
    everything = deleting.choose_runs(d.desk, RunFilter())
    assert len(everything.deleted) == 7
    (active,) = everything.kept
    assert "running" in active.reason
    assert deleting.choose_runs(d.desk, RunFilter(states=(State.FAILED,))).deleted == []
    sizes: list[int] = []
    real = type(d.store._store).write

    def counted(store: Any, work: Any) -> Any:
        def seen(tx: Transaction) -> Any:
            answer = work(tx)
            sizes.append(len(answer[0]))
            return answer

        return real(store, seen)

    monkeypatch.setattr(type(d.store._store), "write", counted)
    told: list[int] = []
    done = deleting.delete_chosen_runs(d.desk, everything, told.append)
    assert sizes == told == [3, 3, 1]
    assert sorted(done.deleted) == sorted(everything.deleted)
    assert sorted(run_id for run_id, _ in d.logs.deleted) == sorted(done.deleted)
    assert [r.id for r in d.runs()] == [active.id]


def test_a_run_that_is_not_over_is_never_deleted_even_if_chosen(d: Deployment) -> None:
    d.add("a")
    run_id = str(start_run(d.desk, "a")["id"])
    done = deleting.delete_chosen_runs(d.desk, deleting.Deletion(["gone", run_id]))
    assert (done.deleted, [kept.id for kept in done.kept]) == ([], [run_id])
    assert d.run("a").state not in FINAL
