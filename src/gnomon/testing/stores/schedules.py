"""Promises about schedule entries."""

from __future__ import annotations

from dataclasses import replace

from gnomon.core.ports import Store
from gnomon.core.records import ScheduleFilter
from gnomon.core.rules import ScheduleSpec

from .base import StoreCase, at, schedule


class ScheduleCases(StoreCase):
    """Entries, their cursors and revisions."""

    def test_entry_comes_back_as_it_was(self, store: Store) -> None:
        spec = ScheduleSpec(
            "calendar",
            {"day": "last"},
            "America/New_York",
            "x",
            at(0),
            None,
            3.5,
            ("2026-12-25",),
            "next",
            False,
            {"n": 1},
        )
        full = schedule("a:x", 5, spec=spec, position=3, revision=9, paused_at=at(1.000001), paused_by="me")
        store.write(lambda tx: tx.put_schedules([full, schedule("a:none", None)]))
        assert store.read(lambda r: r.schedule("a:x")) == full
        bare = store.read(lambda r: r.schedule("a:none"))
        assert bare is not None
        assert (bare.cursor, bare.due_at) == (None, None)
        assert store.read(lambda r: r.schedule("a:y")) is None

    def test_put_replaces_whatever_the_revision_and_raises_it(self, store: Store) -> None:
        store.write(lambda tx: tx.put_schedules([schedule(revision=5)]))
        store.write(lambda tx: tx.put_schedules([schedule(revision=2, due=9)]))
        found = store.read(lambda r: r.schedule("a:default"))
        assert found == schedule(revision=6, due=9)

    def test_an_edit_refuses_whoever_read_the_entry_before(self, store: Store) -> None:
        store.write(lambda tx: tx.put_schedules([schedule()]))
        store.write(lambda tx: tx.put_schedules([schedule(due=9)]))
        assert list(store.write(lambda tx: tx.advance_schedules([schedule(due=60)]))) == ["a:default"]
        assert store.read(lambda r: r.schedule("a:default")) == schedule(revision=2, due=9)

    def test_due_earliest_first_within_the_limit(self, store: Store) -> None:
        entries = [schedule(f"{name}:default", due) for name, due in zip("abcde", (30, 10, 20, None, 40), strict=True)]
        store.write(lambda tx: tx.put_schedules(entries))
        due = store.read(lambda r: r.due_schedules(at(30), 10))
        assert [entry.job_id for entry in due] == ["b", "c", "a"]
        assert [entry.job_id for entry in store.read(lambda r: r.due_schedules(at(30), 2))] == ["b", "c"]
        assert store.read(lambda r: r.due_schedules(at(9.999999), 10)) == []
        assert store.read(lambda r: r.next_due_at()) == at(10)

    def test_undecided_are_those_whose_fire_has_passed_or_that_are_looked_at_apart_from_it(self, store: Store) -> None:
        fires = {"a": (10, 10), "b": (11, 11), "c": (5, 40), "d": (99, 30), "e": (10, 61), "f": (20, 20)}
        entries = [replace(schedule(f"{n}:default", due), cursor=at(cursor)) for n, (cursor, due) in fires.items()]
        store.write(lambda tx: tx.put_schedules(entries))
        found = store.read(lambda r: r.undecided_schedules(at(10), at(60), 10))
        assert [entry.job_id for entry in found] == ["a", "d", "c"]
        assert len(store.read(lambda r: r.undecided_schedules(at(10), at(60), 2))) == 2

    def test_those_whose_exclusions_name_files(self, store: Store) -> None:
        spec = schedule().spec
        entries = [
            replace(schedule("a:default", 1), spec=replace(spec, exclude=("weekends", "ical:/x.ics"))),
            replace(schedule("b:default", None), spec=replace(spec, exclude=("ical:/x.ics",))),
            schedule("c:default", 1),
        ]
        store.write(lambda tx: tx.put_schedules(entries))
        assert [entry.job_id for entry in store.read(lambda r: r.calendar_schedules())] == ["a"]

    def test_nothing_due(self, store: Store) -> None:
        assert store.read(lambda r: r.next_due_at()) is None
        store.write(lambda tx: tx.put_schedules([schedule(due=None)]))
        assert store.read(lambda r: r.next_due_at()) is None

    def test_advance_compares_and_sets(self, store: Store) -> None:
        first, second = schedule("a:default", 1), schedule("b:default", 1, revision=4)
        store.write(lambda tx: tx.put_schedules([first, second]))
        moved = [replace(entry, cursor=at(60), due_at=at(61)) for entry in (first, replace(second, revision=3))]
        unknown = schedule("c:default")
        assert list(store.write(lambda tx: tx.advance_schedules([*moved, unknown]))) == ["b:default", "c:default"]
        assert store.read(lambda r: r.schedule("a:default")) == replace(moved[0], revision=2)
        assert store.read(lambda r: r.schedule("b:default")) == second
        assert store.read(lambda r: r.schedule("c:default")) is None
        assert list(store.write(lambda tx: tx.advance_schedules(moved[:1]))) == ["a:default"]
        assert list(store.write(lambda tx: tx.advance_schedules([]))) == []

    def test_advance_writes_pause_and_leaves_the_rest(self, store: Store) -> None:
        store.write(lambda tx: tx.put_schedules([schedule()]))
        asked = schedule(position=7, anchor=at(99), paused_at=at(3), paused_by="me", cursor=None, due_at=None)
        assert not store.write(lambda tx: tx.advance_schedules([asked]))
        found = store.read(lambda r: r.schedule("a:default"))
        assert found == replace(asked, position=0, anchor=at(-60), revision=2)

    def test_twice_in_one_call_the_second_is_stale(self, store: Store) -> None:
        store.write(lambda tx: tx.put_schedules([schedule()]))
        assert list(store.write(lambda tx: tx.advance_schedules([schedule(), schedule()]))) == ["a:default"]

    def test_lists(self, store: Store) -> None:
        entries = [
            schedule("a:2", position=0),
            schedule("a:1", position=1, paused_at=at(0)),
            schedule("b:1", position=0),
        ]
        store.write(lambda tx: tx.put_schedules(entries))
        of = store.read(lambda r: r.schedules_of(["a", "b", "x"]))
        assert {job: [e.schedule_id for e in found] for job, found in of.items()} == {"a": ["a:2", "a:1"], "b": ["b:1"]}
        assert store.read(lambda r: r.schedules_of([])) == {}

        def names(where: ScheduleFilter, limit: int = 50, cursor: str | None = None) -> tuple[list[str], str | None]:
            page = store.read(lambda r: r.schedules(where, limit, cursor))
            return [entry.schedule_id for entry in page.items], page.next

        found, following = names(ScheduleFilter(), 2)
        assert found == ["a:1", "a:2"]
        assert names(ScheduleFilter(), 2, following) == (["b:1"], None)
        assert names(ScheduleFilter(job_id="a")) == (["a:1", "a:2"], None)
        assert names(ScheduleFilter(job_id="a", paused=True)) == (["a:1"], None)
        assert names(ScheduleFilter(paused=False)) == (["a:2", "b:1"], None)

    def test_delete(self, store: Store) -> None:
        store.write(lambda tx: tx.put_schedules([schedule("a:1"), schedule("a:2")]))
        store.write(lambda tx: tx.delete_schedules(["a:1", "a:9"]))
        store.write(lambda tx: tx.delete_schedules([]))
        assert store.read(lambda r: r.schedule("a:1")) is None
        assert store.read(lambda r: r.schedule("a:2")) is not None
