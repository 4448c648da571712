"""Pause, edit, retire, add again: what happens to cursor, anchor and the fires between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gnomon.core.errors import Conflict, NotFound, UsageError
from gnomon.core.model import CatchUp, CatchUpMode, Overlap
from gnomon.core.records import ScheduleFilter, SkipReason, Source, SourceKind
from gnomon.operations.definitions import retire
from gnomon.operations.jobs import delete_job, list_jobs, pause_job, resume_job, save_job, show_job
from gnomon.operations.runs import start_run
from gnomon.operations.schedules import (
    delete_schedule,
    edit_schedule,
    list_schedules,
    pause_schedule,
    resume_schedule,
    show_schedule,
)
from tests.unit.engine.deployment import PYTHON, Deployment, finish

FILE = Source(SourceKind.FILE, "/etc/gnomon/jobs.d/a.yaml")


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def retired(d: Deployment, job_id: str) -> None:
    record = d.read(lambda r: r.job(job_id))
    assert record is not None
    d.store.write(lambda tx: retire(tx, d.desk.planner, record, d.clock.now()))


def decided(d: Deployment, job_id: str = "a") -> dict[float | None, str]:
    """Each decided fire time, in seconds, of an entry that fires every 60 s from its anchor."""
    found = {d.seconds(r.fire_at): "run" for r in d.runs(job_id) if r.fire_at is not None}
    for skip in d.skips(job_id):
        first, last = d.seconds(skip.first_at), d.seconds(skip.last_at)
        assert first is not None
        assert last is not None
        times = [first + 60 * n for n in range(int((last - first) // 60) + 1)]
        assert len(times) == skip.count
        for moment in times:
            assert moment not in found, f"{moment} decided twice"
            found[moment] = str(skip.reason)
    return found


# ---- identity, anchor ------------------------------------------------------------------------------


def test_the_first_fire_of_an_interval_is_one_interval_after_it_was_first_seen(d: Deployment) -> None:
    d.clock.advance(7)
    d.add("a", "every 60s")
    entry = d.entry("a:default")
    assert (d.seconds(entry.anchor), d.seconds(entry.cursor)) == (7, 67)


def test_the_same_definition_again_changes_nothing(d: Deployment) -> None:
    d.add("a", "every 60s")
    before = d.read(lambda r: r.job("a")), d.entry("a:default")
    d.clock.advance(30)
    d.add("a", "every 60s")
    assert (d.read(lambda r: r.job("a")), d.entry("a:default")) == before


@pytest.mark.parametrize(
    "fields",
    [{"restarts": 5}, {"description": "x"}, {"priority": 9}, {"overlap": Overlap.ALLOW}, {"timeout_s": 4.0}],
)
def test_edits_of_other_fields_do_not_move_the_anchor(d: Deployment, fields: dict[str, object]) -> None:
    d.add("a", "every 60s")
    d.clock.advance(90)
    d.add("a", "every 60s", **fields)
    entry = d.entry("a:default")
    assert (d.seconds(entry.anchor), d.seconds(entry.cursor)) == (0, 120)
    assert show_job(d.desk, "a")["definition_version"] == 2


@pytest.mark.parametrize("value", [{"every": "60s", "jitter": "5s"}, {"every": "60s", "exclude": ["2031-01-01"]}])
def test_edits_of_the_entry_that_leave_its_interval_do_not_move_the_anchor(d: Deployment, value: object) -> None:
    d.add("a", "every 60s")
    d.clock.advance(90)
    d.save(d.job("a", value))
    entry = d.entry("a:default")
    assert (d.seconds(entry.anchor), d.seconds(entry.cursor)) == (0, 120)


def test_changing_the_interval_sets_a_new_anchor(d: Deployment) -> None:
    d.add("a", "every 60s")
    d.clock.advance(90)
    d.add("a", "every 20s")
    entry = d.entry("a:default")
    assert (d.seconds(entry.anchor), d.seconds(entry.cursor)) == (90, 110)


def test_fires_due_up_to_the_commit_keep_the_old_definition(d: Deployment) -> None:
    d.add("a", "every 60s", overlap=Overlap.ALLOW)
    d.clock.advance(60)
    d.add("a", "every 60s", command="other", overlap=Overlap.ALLOW)
    (run,) = d.runs("a")
    assert (d.seconds(run.fire_at), run.version) == (60, 1)
    node, _ = d.node()
    d.clock.advance(60)
    node.step()
    assert [(d.seconds(r.fire_at), r.version) for r in d.runs("a")] == [(60, 1), (120, 2)]


def test_a_fire_held_back_by_its_jitter_survives_an_edit_of_the_entry(d: Deployment) -> None:
    """It has passed but not started: the edited entry names it too."""
    d.save(d.job("a", {"every": "60s", "jitter": "50s"}))
    assert d.entry("a:default").due_at > d.entry("a:default").cursor
    d.clock.advance(60)
    d.save(d.job("a", {"every": "60s", "jitter": "49s"}))
    assert d.seconds(d.entry("a:default").cursor) == 60
    node, _ = d.node()
    d.clock.advance(50)
    node.step()
    assert decided(d) == {60: "run"}


def test_schedules_keep_their_place_when_others_come_and_go(d: Deployment) -> None:
    d.add("a", "every 60s", "0 5 * * *")
    hourly = [e for e in list_schedules(d.desk, ScheduleFilter(job_id="a")).items if e["kind"] == "every"]
    d.clock.advance(90)
    d.add("a", "0 6 * * *", "every 60s")
    assert d.seconds(d.entry(str(hourly[0]["id"])).anchor) == 0
    assert len(list_schedules(d.desk, ScheduleFilter(job_id="a")).items) == 2


# ---- pause ---------------------------------------------------------------------------------------


def test_times_passed_while_paused_are_skips_never_caught_up(d: Deployment) -> None:
    d.add("a", "every 60s", catch_up=CatchUp(CatchUpMode.ALL))
    node, executor = d.node()
    d.clock.advance(60)
    pause_job(d.desk, "a", "holiday")
    pause_job(d.desk, "a", "again")
    node.step()
    finish(d, node, executor)
    d.clock.advance(300)
    node.step()
    assert decided(d) == {60: "run"}, "the fire due until the commit ran; nothing since"
    resume_job(d.desk, "a")
    resume_job(d.desk, "a")
    assert decided(d) == {60: "run"} | {60.0 * n: "paused" for n in range(2, 7)}
    (skip,) = d.skips("a")
    assert skip.detail == "the job was paused by alice: holiday"
    d.clock.advance(60)
    node.step()
    assert decided(d)[420] == "run"


def test_one_schedule_of_several_may_be_paused(d: Deployment) -> None:
    d.save(d.job("a", {"every": "60s", "name": "x"}, {"every": "45s", "name": "y"}, overlap=Overlap.ALLOW))
    pause_schedule(d.desk, "a:x")
    assert show_schedule(d.desk, "a:x")["paused"]
    assert show_schedule(d.desk, "a:x")["next_fire_at"] is None
    node, _ = d.node()
    d.clock.advance(90)
    node.step()
    assert {r.schedule_id for r in d.runs("a")} == {"a:y"}
    resume_schedule(d.desk, "a:x")
    assert [(s.schedule_id, s.reason, s.detail) for s in d.skips("a") if s.schedule_id == "a:x"] == [
        ("a:x", SkipReason.PAUSED, "the schedule was paused by alice")
    ]
    assert d.seconds(d.entry("a:x").cursor) == 120


def test_job_and_schedule_paused_both_need_resuming(d: Deployment) -> None:
    d.add("a", "every 60s")
    pause_job(d.desk, "a")
    pause_schedule(d.desk, "a")
    d.clock.advance(90)
    resume_job(d.desk, "a")
    assert d.entry("a:default").due_at is None
    d.clock.advance(60)
    resume_schedule(d.desk, "a")
    assert decided(d) == {60: "paused", 120: "paused"}
    assert d.seconds(d.entry("a:default").due_at) == 180


def test_disabled_is_like_paused_with_its_own_reason(d: Deployment) -> None:
    d.add("a", "every 60s", enabled=False)
    node, _ = d.node()
    d.clock.advance(150)
    node.step()
    d.add("a", "every 60s")
    assert decided(d) == {60: "disabled", 120: "disabled"}
    d.clock.advance(30)
    node.step()
    assert decided(d)[180] == "run"


def test_a_rule_changed_while_paused_leaves_no_fire_undecided(d: Deployment) -> None:
    d.add("a", "every 60s")
    pause_job(d.desk, "a")
    d.clock.advance(130)
    d.add("a", "every 600s")
    assert decided(d) == {60: "paused", 120: "paused"}
    d.clock.advance(60)
    resume_job(d.desk, "a")
    assert d.seconds(d.entry("a:default").cursor) == 730


def test_a_manual_run_of_a_paused_job_is_allowed(d: Deployment) -> None:
    d.add("a", "every 60s")
    pause_job(d.desk, "a")
    assert start_run(d.desk, "a")["state"] == "queued"


# ---- retire, add again -----------------------------------------------------------------------------


def test_a_retired_job_never_fires_its_history_stays_and_it_comes_back_with_its_anchor(d: Deployment) -> None:
    d.add("a", "every 60s")
    node, executor = d.node()
    d.clock.advance(60)
    node.step()
    finish(d, node, executor)
    retired(d, "a")
    d.clock.advance(300)
    node.step()
    assert decided(d) == {60: "run"}
    assert list_jobs(d.desk, d_filter()).items == ()
    with pytest.raises(Conflict, match="not in its source any more"):
        start_run(d.desk, "a")
    d.add("a", "every 60s")
    entry = d.entry("a:default")
    assert (d.seconds(entry.anchor), d.seconds(entry.cursor)) == (0, 420)
    assert decided(d) == {60: "run"}, "while it was retired there were no fires"


def d_filter():  # type: ignore[no-untyped-def]
    from gnomon.core.records import JobFilter

    return JobFilter()


def test_retired_and_added_again_while_paused_each_fire_is_decided_once(d: Deployment) -> None:
    """The skip of the pause was dropped at the resume, since one with the same beginning existed."""
    d.add("a", "every 60s")
    pause_job(d.desk, "a")
    d.clock.advance(130)
    retired(d, "a")
    assert decided(d) == {60: "paused", 120: "paused"}
    d.clock.advance(600)
    d.add("a", "every 60s")
    assert d.entry("a:default").due_at is None, "still paused"
    d.clock.advance(100)
    resume_job(d.desk, "a")
    assert decided(d) == {60: "paused", 120: "paused", 780: "paused"}


def test_one_time_that_ran_does_not_run_again_when_its_job_is_added_again(d: Deployment) -> None:
    d.add("a", "at 2030-01-01T00:10:00Z")
    node, executor = d.node()
    d.clock.advance(600)
    node.step()
    finish(d, node, executor)
    retired(d, "a")
    d.store.write(lambda tx: tx.delete_runs([r.id for r in tx.runs_by_id([d.run("a").id]).values()]))
    d.clock.advance(60)
    d.add("a", "at 2030-01-01T00:10:00Z")
    assert d.entry("a:default").cursor is None
    d.add("a", {"at": "2030-01-01T00:10:00Z", "jitter": "3s"})
    d.clock.advance(60)
    node.step()
    assert not d.runs("a"), "its history was pruned; it is decided all the same"


def test_one_time_that_passed_between_retiring_and_adding_again_runs_within_a_day(d: Deployment) -> None:
    for gap_s, runs in ((30, 1), (2 * 86400, 0)):
        d = Deployment()
        d.add("a", "at 2030-01-01T00:10:00Z")
        d.clock.advance(590)
        retired(d, "a")
        d.clock.advance(gap_s)
        d.add("a", "at 2030-01-01T00:10:00Z")
        node, _ = d.node()
        node.step()
        assert len(d.runs("a")) == runs
        assert len(d.skips("a")) == 1 - runs


def test_a_job_dropped_without_its_rule_being_readable_does_not_sleep_for_ever(d: Deployment) -> None:
    of = d.desk.engine.rules
    object.__setattr__(d.desk.engine, "rules", type("R", (), {"of": lambda _, e: None})())
    d.add("a", "every 60s")
    object.__setattr__(d.desk.engine, "rules", of)
    assert d.seconds(d.entry("a:default").due_at) == 60
    node, _ = d.node()
    d.clock.advance(60)
    node.step()
    assert decided(d) == {60: "run"}


# ---- owners --------------------------------------------------------------------------------------


def test_what_a_file_owns_changes_in_its_file(d: Deployment) -> None:
    d.save(d.job("a", "every 60s"), FILE)
    for refused in (
        lambda: delete_job(d.desk, "a"),
        lambda: edit_schedule(d.desk, "a", "every 5s"),
        lambda: delete_schedule(d.desk, "a"),
        lambda: save_job(d.desk, d.job("a"), PYTHON),
    ):
        with pytest.raises(Conflict) as caught:
            refused()
        assert "/etc/gnomon/jobs.d/a.yaml" in str(caught.value)
        assert caught.value.code == "owned_by_file"
    pause_job(d.desk, "a")
    start_run(d.desk, "a")
    assert d.entry("a:default").anchor is not None


def test_an_edited_schedule_keeps_its_id_whatever_the_rule_is_now(d: Deployment) -> None:
    d.add("a", "every 60s", "every 90s")
    first, second = (str(e["id"]) for e in list_schedules(d.desk, ScheduleFilter(job_id="a")).items)
    assert edit_schedule(d.desk, first, "0 5 * * *")["id"] == first
    assert {e["id"] for e in list_schedules(d.desk, ScheduleFilter()).items} == {first, second}


def test_an_edit_may_name_a_schedule_but_not_like_another(d: Deployment) -> None:
    d.save(d.job("a", {"every": "60s", "name": "x"}, {"every": "90s", "name": "y"}))
    assert edit_schedule(d.desk, "a:x", {"every": "60s", "name": "z"})["id"] == "a:z"
    with pytest.raises(UsageError, match="another schedule 'a:y'"):
        edit_schedule(d.desk, "a:z", {"every": "60s", "name": "y"})
    assert len(list_schedules(d.desk, ScheduleFilter()).items) == 2


def test_a_bad_edit_changes_nothing(d: Deployment) -> None:
    d.add("a", "every 60s")
    with pytest.raises(UsageError):
        edit_schedule(d.desk, "a", "61 * * * *")
    assert show_schedule(d.desk, "a")["rule"] == "every 60s" or "every 1m" in str(show_schedule(d.desk, "a")["rule"])


def test_deleting_one_of_two_schedules_keeps_the_id_of_the_other(d: Deployment) -> None:
    d.add("a", "every 60s", "every 90s")
    first, second = (str(e["id"]) for e in list_schedules(d.desk, ScheduleFilter(job_id="a")).items)
    d.clock.advance(10)
    delete_schedule(d.desk, first)
    (left,) = list_schedules(d.desk, ScheduleFilter(job_id="a")).items
    assert left["id"] == second
    assert d.seconds(d.entry(second).anchor) == 0
    delete_schedule(d.desk, second)
    assert show_job(d.desk, "a")["schedules"] == []


def test_delete_removes_job_and_history_and_refuses_while_a_run_is_active(d: Deployment) -> None:
    d.add("a", "every 60s")
    node, executor = d.node()
    start_run(d.desk, "a")
    with pytest.raises(Conflict, match="not over"):
        delete_job(d.desk, "a")
    node.step()
    finish(d, node, executor)
    assert delete_job(d.desk, "a") == 1
    assert len(d.logs.deleted) == 1
    with pytest.raises(NotFound):
        show_job(d.desk, "a")
    assert d.read(lambda r: r.schedule("a:default")) is None


def test_names_are_looked_up_kindly(d: Deployment) -> None:
    d.add("backup", "every 60s", "every 90s")
    with pytest.raises(NotFound, match="did you mean 'backup'"):
        show_job(d.desk, "bakcup")
    with pytest.raises(Conflict, match="several schedules"):
        show_schedule(d.desk, "backup")
    with pytest.raises(NotFound):
        pause_schedule(d.desk, "nothing")


def test_every_change_is_audited_with_its_actor(d: Deployment) -> None:
    d.add("a", "every 60s")
    pause_job(d.desk, "a", "why")
    resume_job(d.desk, "a")
    edit_schedule(d.desk, "a", "every 90s")
    found = [(a.actor, a.action) for a in d.read(lambda r: list(r.audit()))]
    assert found == [("alice", "schedule.edit"), ("alice", "job.resume"), ("alice", "job.pause")]


def test_a_retired_job_may_be_taken_by_another_source(d: Deployment) -> None:
    d.save(d.job("a", "every 60s"), FILE)
    retired(d, "a")
    save_job(d.desk, d.job("a", "every 60s"), PYTHON)
    record = d.read(lambda r: r.job("a"))
    assert record is not None
    assert replace(record, retired_at=None).source == PYTHON
    assert record.retired_at is None
