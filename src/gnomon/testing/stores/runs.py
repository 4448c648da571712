"""Promises about runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gnomon.core.attempts import Failure
from gnomon.core.ports import Store
from gnomon.core.records import Activity, Cause, RunRecord
from gnomon.core.states import ACTIVE, State

from .base import StoreCase, at, attempt, ids, put_runs, run

FULL = run(
    "01FULL",
    1.000001,
    State.RUNNING,
    cause=Cause.DOWNSTREAM,
    version=3,
    flow_id="01ROOT",
    schedule_id="a:default",
    fire_at=at(0.5),
    priority=-5,
    queue="gpu",
    exclusive=False,
    pools={"db": 2, "net": 1},
    max_active=4,
    available_at=at(2),
    deadline_at=at(3),
    queued_at=at(4),
    started_at=at(5),
    finished_at=at(6),
    attempts=3,
    failures=2,
    lost=1,
    parameters={"z": [1, {"ü": None}], "a": True},
    labels={"team": "data"},
    retry_of="01OLD",
    parent_id="01PARENT",
    item={"row": [0]},
    waiting_for="pool db (2 of 2 taken)",
    reason="because",
    note="clocks went back",
    exit_code=-9,
    result=[1, "x", None],
    error=Failure("exit_code", "ended with 1"),
    lateness_s=0.125,
    duration_s=1e-6,
    cancel_requested_at=at(7),
    cancel_actor="me",
    cancel_reason="enough",
    configuration=("base", 3),
)


class RunCases(StoreCase):
    """Single runs and the questions of the engine."""

    @pytest.mark.parametrize("record", [FULL, run("01BARE")], ids=["full", "bare"])
    def test_run_comes_back_as_it_was(self, store: Store, record: RunRecord) -> None:
        put_runs(store, record)
        assert store.read(lambda r: r.run(record.id)) == record
        assert store.read(lambda r: r.run_by_key(record.run_key)) == record
        assert store.read(lambda r: r.runs_by_id([record.id, "nope"])) == {record.id: record}
        assert store.read(lambda r: r.run("nope")) is None
        assert store.read(lambda r: r.run_by_key("nope")) is None
        assert store.read(lambda r: r.runs_by_id([])) == {}

    @pytest.mark.parametrize("value", [0, False, "", [], {}, 1.5, "\U0001f600", 2**80, {"": {"": []}}])
    def test_json_values_keep_their_kind(self, store: Store, value: object) -> None:
        put_runs(store, run("1", result=value, item=value))
        found = store.read(lambda r: r.run("1"))
        assert found is not None
        assert (found.result, type(found.result)) == (value, type(value))
        assert found.item == value

    def test_words_that_are_no_unicode_are_spelt_out(self, store: Store) -> None:
        error, half = Failure("x\udce9", "bytes \udcff ü"), {"\udc80": ["\ud800", {"a": "b"}]}
        put_runs(store, run("1", error=error, note="\udc80", result=half, item="\udc80"))
        found = store.read(lambda r: r.run("1"))
        assert found is not None
        assert found.error == Failure("x\\udce9", "bytes \\udcff ü")
        assert (found.note, found.item) == ("\\udc80", "\\udc80")
        assert found.result == {"\\udc80": ["\\ud800", {"a": "b"}]}

    def test_what_nobody_could_read_is_nothing(self, store: Store) -> None:
        deep: list[object] = []
        for _ in range(300):
            deep = [deep]
        put_runs(store, run("1", result=deep, item=1))
        found = store.read(lambda r: r.run("1"))
        assert found is not None
        assert (found.result, found.item) == (None, 1)

    def test_run_key_is_unique(self, store: Store) -> None:
        put_runs(store, run("1"))
        again, new = run("2", run_key="key-1"), run("3")
        twice = run("4", run_key="key-3")
        assert list(store.write(lambda tx: tx.insert_runs([again, new, twice]))) == ["2", "4"]
        assert sorted(store.read(lambda r: r.runs_by_id(["1", "2", "3", "4"]))) == ["1", "3"]
        assert list(store.write(lambda tx: tx.insert_runs([run("1")]))) == ["1"]
        assert list(store.write(lambda tx: tx.insert_runs([]))) == []

    def test_fires_that_lie_ahead_give_up_their_keys(self, store: Store) -> None:
        fires = [("a:x", 1), ("a:x", 2), ("a:x", 3), ("a:y", 3)]

        def made(attempt: str) -> list[RunRecord]:
            return [
                run(f"{entry}{n}{attempt}", n, run_key=f"{entry}|{n}", schedule_id=entry, fire_at=at(n))
                for entry, n in fires
            ]

        put_runs(store, *made("first"))
        assert store.write(lambda tx: tx.release_fires("a:x", "a", at(1))) == 2
        refused = store.write(lambda tx: tx.insert_runs(made("second")))
        assert set(refused) == {"a:x1second", "a:y3second"}
        assert len(store.read(lambda r: r.runs_by_id([one.id for one in made("first")]))) == 4, "they are kept"
        assert store.write(lambda tx: tx.release_fires("a:z", "a", at(1))) == 0

    def test_update_writes_if_the_state_is_the_expected_one(self, store: Store) -> None:
        put_runs(store, run("1"), run("2", state=State.RUNNING))
        changes = [(run(n, state=State.RUNNING, started_at=at(9)), State.QUEUED) for n in ("1", "2", "3")]
        assert list(store.write(lambda tx: tx.update_runs(changes))) == ["2", "3"]
        assert store.read(lambda r: r.run("1")) == changes[0][0]
        assert store.read(lambda r: r.run("2")) == run("2", state=State.RUNNING)
        assert store.read(lambda r: r.run("3")) is None
        assert list(store.write(lambda tx: tx.update_runs([]))) == []

    def test_update_goes_step_by_step(self, store: Store) -> None:
        put_runs(store, run("1"))
        steps = [
            (run("1", state=State.RUNNING), State.QUEUED),
            (run("1", state=State.RUNNING, exit_code=7), State.QUEUED),
            (run("1", state=State.SUCCEEDED), State.RUNNING),
        ]
        assert list(store.write(lambda tx: tx.update_runs(steps))) == ["1"]
        found = store.read(lambda r: r.run("1"))
        assert found is not None
        assert (found.state, found.exit_code) == (State.SUCCEEDED, None)

    def test_update_writes_everything_but_the_identity(self, store: Store) -> None:
        before = run("01FULL", 99, State.QUEUED, run_key="mine", actor="x", flow_id="y")
        put_runs(store, before)
        assert not store.write(lambda tx: tx.update_runs([(FULL, State.QUEUED)]))
        kept = ("run_key", "due_at", "cause", "created_at", "actor", "schedule_id", "fire_at", "retry_of", "parent_id")
        expected = replace(FULL, **{name: getattr(before, name) for name in (*kept, "item")})
        assert store.read(lambda r: r.run("01FULL")) == expected

    def test_prefix_gives_at_most_two(self, store: Store) -> None:
        put_runs(store, *[run(name) for name in ("01A", "01AB", "01AC", "01B")])
        assert list(store.read(lambda r: r.run_by_prefix("01AB"))) == ["01AB"]
        assert list(store.read(lambda r: r.run_by_prefix("01A"))) == ["01A", "01AB"]
        assert list(store.read(lambda r: r.run_by_prefix("02"))) == []
        assert list(store.read(lambda r: r.run_by_prefix("01%"))) == []

    def test_active_runs_oldest_due_first(self, store: Store) -> None:
        put_runs(store, *[run(str(n), 10 - n, state) for n, state in enumerate(State)])
        put_runs(store, run("other", job_id="b"))
        found = store.read(lambda r: r.active_runs("a"))
        assert [record.state for record in found] == [state for state in reversed(State) if state in ACTIVE]
        assert ids(store.read(lambda r: r.active_runs("b"))) == ["other"]
        assert store.read(lambda r: r.active_runs("c")) == []

    def test_activity_counts_active_runs_only(self, store: Store) -> None:
        put_runs(store, *[run(f"{n}{state}", n, state) for state in State for n in range(2)])
        put_runs(store, run("b", state=State.RUNNING, job_id="b"), run("c", state=State.FAILED, job_id="c"))
        found = store.read(lambda r: r.activity(["a", "b", "c", "d"]))
        assert found == {"a": Activity(2, 2, 2, 2, 2), "b": Activity(running=1)}
        assert store.read(lambda r: r.activity([])) == {}

    def test_flow_in_order(self, store: Store) -> None:
        put_runs(store, run("r", 5), run("z", 5, flow_id="r"), run("b", 4, flow_id="r"), run("other", 1))
        put_runs(store, run("x", flow_id="elsewhere"), run("y", 3, flow_id="elsewhere"))
        assert ids(store.read(lambda r: r.flow("r"))) == ["b", "r", "z"]
        assert ids(store.read(lambda r: r.flow("elsewhere"))) == ["x", "y"]
        assert ids(store.read(lambda r: r.flow("other"))) == ["other"]
        assert store.read(lambda r: r.flow("nope")) == []

    def test_flows_in_which_something_waits(self, store: Store) -> None:
        put_runs(store, run("r", 5), run("z", 5, flow_id="r", state=State.WAITING), run("o", 1))
        put_runs(store, run("p", 5), run("q", 5, flow_id="p"), run("w", 5, state=State.WAITING))
        assert set(store.read(lambda r: r.waiting_flows(["r", "p", "o", "w", "nope"]))) == {"r"}
        assert not store.read(lambda r: r.waiting_flows([]))

    def test_queue_by_priority_then_due_then_id(self, store: Store) -> None:
        put_runs(store, run("d", 1), run("c", 1), run("b", 0), run("a", 9, priority=5), run("e", 0, priority=-1))
        put_runs(store, run("g", 0.5, queue="gpu"), run("x", queue="other"), run("n", state=State.RUNNING))
        queues = ["default", "gpu"]
        order = ["a", "b", "g", "c", "d", "e"]
        found = store.read(lambda r: r.queued(queues, 10))
        assert ids(found) == order
        assert ids(store.read(lambda r: r.queued(queues, 3))) == order[:3]
        assert ids(store.read(lambda r: r.queued(["gpu"], 3))) == ["g"]
        assert store.read(lambda r: r.queued([], 3)) == []
        for position, last in enumerate(found):
            rest = store.read(lambda r, last=last: r.queued(queues, 10, last))  # type: ignore[misc]
            assert ids(rest) == order[position + 1 :]

    def test_arriving(self, store: Store) -> None:
        waits = [("s", State.SCHEDULED, 5), ("r", State.RETRY_WAIT, 3), ("late", State.RETRY_WAIT, 8)]
        put_runs(store, *[run(name, state=state, available_at=at(when)) for name, state, when in waits])
        put_runs(store, run("q", available_at=at(1)), run("none", state=State.SCHEDULED))
        put_runs(store, run("over", state=State.CANCELLED, available_at=at(1)))
        assert store.read(lambda r: r.next_available_at()) == at(3)
        assert ids(store.read(lambda r: r.arriving(at(5), 10))) == ["r", "s"]
        assert ids(store.read(lambda r: r.arriving(at(9), 1))) == ["r"]
        assert store.read(lambda r: r.arriving(at(2), 1)) == []

    def test_expiring_has_only_runs_that_never_started(self, store: Store) -> None:
        for number, state in enumerate(State):
            put_runs(store, run(state.value, state=state, deadline_at=at(10 - number)))
        put_runs(store, run("tried", deadline_at=at(0), attempts=1), run("free"))
        found = store.read(lambda r: r.expiring(at(10), 10))
        assert ids(found) == ["queued", "waiting", "scheduled"]
        assert ids(store.read(lambda r: r.expiring(at(9), 1))) == ["queued"]
        assert store.read(lambda r: r.next_deadline_at()) == at(8)

    def test_nothing_to_come(self, store: Store) -> None:
        put_runs(store, run("1", state=State.SUCCEEDED, available_at=at(0), deadline_at=at(0)))
        assert store.read(lambda r: r.next_available_at()) is None
        assert store.read(lambda r: r.next_deadline_at()) is None

    def test_cancelling_has_active_runs_only(self, store: Store) -> None:
        put_runs(store, *[run(state.value, state=state, cancel_requested_at=at(1)) for state in State])
        put_runs(store, run("free"))
        assert sorted(ids(store.read(lambda r: r.cancelling(100)))) == sorted(state.value for state in ACTIVE)
        assert len(store.read(lambda r: r.cancelling(2))) == 2

    def test_pool_use_counts_running_runs(self, store: Store) -> None:
        put_runs(store, *[run(state.value, state=state, pools={"db": 2, "net": 1}) for state in State])
        put_runs(store, run("more", state=State.RUNNING, pools={"db": 3}), run("none", state=State.RUNNING))
        assert dict(store.read(lambda r: r.pool_use(["db", "idle"]))) == {"db": 5}
        assert store.read(lambda r: r.pool_use([])) == {}

    def test_delete_takes_the_attempts_along(self, store: Store) -> None:
        put_runs(store, run("1"), run("2"))
        store.write(lambda tx: tx.insert_attempts([attempt("1"), attempt("2")]))
        store.write(lambda tx: tx.delete_runs(["1", "nope"]))
        store.write(lambda tx: tx.delete_runs([]))
        assert store.read(lambda r: r.run("1")) is None
        assert sorted(store.read(lambda r: r.attempts(["1", "2"]))) == ["2"]
