"""A request that comes twice is done once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.errors import Conflict, GnomonError, NotFound, UsageError
from gnomon.core.filters import AuditFilter
from gnomon.core.records import RunFilter
from gnomon.core.values import Json
from gnomon.operations.context import Desk
from gnomon.operations.idempotency import once
from gnomon.operations.jobs import save_job
from gnomon.operations.runs import start_run
from gnomon.stores import open_store
from tests.unit.engine.deployment import PYTHON, Deployment


@pytest.fixture
def d() -> Deployment:
    made = Deployment()
    save_job(made.desk, made.job("a"), PYTHON)
    return made


def ask(d: Deployment, key: str | None = "k", actor: str = "rest:ci", job: str = "a", request: Json = None) -> Any:
    """Start a run."""
    return once(d.desk, actor, key, f"run.start {job}", request, lambda desk: start_run(desk, job))


def runs(d: Deployment) -> int:
    return len(d.read(lambda r: r.runs(RunFilter(), 500)).items)


def test_the_same_request_gives_the_same_answer(d: Deployment) -> None:
    answer = ask(d, request={"a": 1, "b": [None]})
    d.clock.advance(60)
    d.node()[0].step()
    assert ask(d, request={"b": [None], "a": 1}) == answer
    assert answer["state"] == "queued"
    assert runs(d) == 1
    assert len(d.read(lambda r: r.audit_page(AuditFilter(actions=("run.start",)))).items) == 1


def test_another_request_under_the_key_is_refused(d: Deployment) -> None:
    ask(d, request={"a": 1})
    for again in (lambda: ask(d, request={"a": 2}), lambda: ask(d, job="b", request={"a": 1})):
        with pytest.raises(Conflict) as caught:
            again()
        assert caught.value.code == "idempotency_key_reused"
    assert runs(d) == 1


def test_other_keys_and_other_callers_are_other_requests(d: Deployment) -> None:
    made = {ask(d)["id"], ask(d, "l")["id"], ask(d, actor="rest:other")["id"], ask(d, None)["id"], ask(d, None)["id"]}
    assert len(made) == 5


def test_a_key_is_kept_for_a_day(d: Deployment) -> None:
    one = ask(d)
    d.clock.advance(86399)
    assert ask(d) == one
    d.clock.advance(1)
    assert ask(d) != one


def test_what_failed_is_not_kept(d: Deployment) -> None:
    with pytest.raises(NotFound):
        ask(d, job="b")
    save_job(d.desk, d.job("b"), PYTHON)
    assert ask(d, job="b")["job_id"] == "b"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\n", "ü", "\0"])
def test_keys_that_are_none(d: Deployment, key: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask(d, key)
    assert caught.value.code == "idempotency_key_invalid"
    assert runs(d) == 0


def test_many_at_once_make_one_run(d: Deployment) -> None:
    answers: list[Any] = []
    gate = threading.Barrier(8)

    def one() -> None:
        gate.wait()
        answers.append(ask(d))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len({answer["id"] for answer in answers}) == 1
    assert runs(d) == 1


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_effect_and_key_are_one_transaction(tmp_path: Path, d: Deployment, moment: str) -> None:
    failing = threading.Event()

    def on_commit(now: str) -> None:
        if now == moment and failing.is_set():
            raise OSError("power cut")

    d.desk = Desk(open_store(tmp_path / "g.db", d.clock, on_commit=on_commit), d.clock, d.logs, d.context("x"), "alice")
    save_job(d.desk, d.job("a"), PYTHON)
    failing.set()
    with pytest.raises(OSError, match="power cut"):
        ask(d)
    failing.clear()
    kept = d.desk.store.read(lambda r: r.kept_answer("rest:ci", "k"))
    found = d.desk.store.read(lambda r: r.runs(RunFilter(), 500)).items
    audit = d.desk.store.read(lambda r: r.audit_page(AuditFilter(actions=("run.start",)))).items
    assert (len(found), kept is None, len(audit)) == ((0, True, 0) if moment == "before_commit" else (1, False, 1))
    assert ask(d)["id"] == ask(d)["id"]
    assert len(d.desk.store.read(lambda r: r.runs(RunFilter(), 500)).items) == 1
    d.desk.store.close()


def test_a_work_that_fails_in_the_middle_leaves_nothing(d: Deployment) -> None:
    def work(desk: Desk) -> Json:
        start_run(desk, "a")
        start_run(desk, "nothing")
        return None

    def ask_both() -> object:
        return once(d.desk, "rest:ci", "k", "both", None, work)

    for attempt in (ask_both, ask_both):
        with pytest.raises(GnomonError) as caught:
            attempt()
        assert caught.value.code == "job_not_found"
    assert runs(d) == 0


def test_inside_its_own_writes_are_seen(d: Deployment) -> None:
    def work(desk: Desk) -> Json:
        start_run(desk, "a")
        return len(desk.store.read(lambda r: r.runs(RunFilter())).items)

    assert once(d.desk, "rest:ci", "k", "x", None, work) == 1
