"""Runs on demand: parameters, idempotency, cancel, retry, delete, logs."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.core.attempts import Outcome
from gnomon.core.errors import Conflict, NotFound, UsageError
from gnomon.core.model import Overlap, Parameter
from gnomon.core.records import RunFilter
from gnomon.operations.deleting import delete_chosen_runs, named_runs
from gnomon.operations.parameters import checked_parameters
from gnomon.operations.runs import cancel_run, list_runs, read_log, retry_run, show_run, start_run
from tests.unit.engine.deployment import Deployment, finish


@pytest.fixture
def d() -> Deployment:
    deployment = Deployment()
    deployment.add("a")
    return deployment


def test_the_same_idempotency_key_gives_the_same_run(d: Deployment) -> None:
    d.add("b")
    one = start_run(d.desk, "a", idempotency_key="k")
    assert start_run(d.desk, "a", idempotency_key="k")["id"] == one["id"]
    assert start_run(d.desk, "a", idempotency_key="l")["id"] != one["id"]
    assert start_run(d.desk, "b", idempotency_key="k")["id"] != one["id"]
    assert start_run(d.desk, "a")["id"] != one["id"]
    node, executor = d.node()
    node.step()
    for _ in range(3):
        finish(d, node, executor)
    assert start_run(d.desk, "a", idempotency_key="k")["state"] == "succeeded", "even when it is over"


def test_a_manual_run_of_an_active_job_queues(d: Deployment) -> None:
    start_run(d.desk, "a")
    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    assert sorted(str(r.state) for r in d.runs("a")) == ["queued", "running"]
    finish(d, node, executor)
    assert sorted(str(r.state) for r in d.runs("a")) == ["running", "succeeded"]
    d.add("free", overlap=Overlap.ALLOW)
    start_run(d.desk, "free")
    start_run(d.desk, "free")
    node.step()
    assert [str(r.state) for r in d.runs("free")] == ["running", "running"]


def test_cancel_refuses_what_is_over_and_retry_what_is_not(d: Deployment) -> None:
    run = str(start_run(d.desk, "a")["id"])
    with pytest.raises(Conflict, match="is queued"):
        retry_run(d.desk, run)
    assert cancel_run(d.desk, run)["state"] == "cancelled"
    with pytest.raises(Conflict, match="is over: cancelled"):
        cancel_run(d.desk, run)
    again = retry_run(d.desk, run)
    assert (again["retry_of"], again["flow_id"], again["state"]) == (run, show_run(d.desk, run)["flow_id"], "queued")


def test_a_retry_keeps_the_parameters(d: Deployment) -> None:
    d.add("p", parameters=(Parameter("n", "integer", 1),))
    run = str(start_run(d.desk, "p", {"n": "5"})["id"])
    cancel_run(d.desk, run)
    assert retry_run(d.desk, run)["parameters"] == {"n": 5}


def test_two_people_retrying_make_two_runs_of_one_flow(d: Deployment) -> None:
    run = str(start_run(d.desk, "a")["id"])
    cancel_run(d.desk, run)
    retry_run(d.desk, run)
    retry_run(d.desk, run)
    assert len({r.run_key for r in d.runs("a")}) == 3
    assert len({r.flow_id for r in d.runs("a")}) == 1


def test_running_work_is_never_deleted(d: Deployment) -> None:
    one, two = str(start_run(d.desk, "a")["id"]), str(start_run(d.desk, "a")["id"])
    cancel_run(d.desk, two)
    with pytest.raises(Conflict, match="never deleted"):
        named_runs(d.desk, [two, one])
    assert len(d.runs("a")) == 2
    assert delete_chosen_runs(d.desk, named_runs(d.desk, [two])).deleted == [two]
    with pytest.raises(NotFound):
        show_run(d.desk, two)


def test_a_beginning_of_an_id_is_enough_if_it_is_the_only_one(d: Deployment) -> None:
    run = str(start_run(d.desk, "a")["id"])
    assert show_run(d.desk, run[:20])["id"] == run
    start_run(d.desk, "a")
    with pytest.raises(Conflict, match="several runs begin"):
        show_run(d.desk, run[:5])
    with pytest.raises(NotFound):
        show_run(d.desk, run[:3])


def test_lists_are_newest_first_in_pages(d: Deployment) -> None:
    for _ in range(5):
        start_run(d.desk, "a")
        d.clock.advance(1)
    first = list_runs(d.desk, RunFilter(job_id="a"), limit=3)
    rest = list_runs(d.desk, RunFilter(job_id="a"), limit=3, cursor=first.next)
    due = [str(r["due_at"]) for r in (*first.items, *rest.items)]
    assert due == sorted(due, reverse=True)
    assert len(set(due)) == 5
    assert rest.next is None


def test_reading_a_log_of_what_never_began(d: Deployment) -> None:
    run = str(start_run(d.desk, "a")["id"])
    assert read_log(d.desk, run) == (b"", 0, False)
    with pytest.raises(UsageError, match="it has none yet"):
        read_log(d.desk, run, number=3)
    cancel_run(d.desk, run)
    assert read_log(d.desk, run) == (b"", 0, True)


def test_views_are_json(d: Deployment) -> None:
    import json

    start_run(d.desk, "a")
    node, executor = d.node()
    node.step()
    finish(d, node, executor, Outcome.FAILED)
    json.dumps(show_run(d.desk, d.run("a").id), allow_nan=False)


# ---- parameters ------------------------------------------------------------------------------------

DECLARED = (
    Parameter("text", "string", "x"),
    Parameter("count", "integer", 1),
    Parameter("ratio", "number"),
    Parameter("flag", "boolean", False),
    Parameter("names", "array"),
    Parameter("what", "any"),
    Parameter("must", "string", required=True),
)


def check(d: Deployment, **given: Any) -> dict[str, Any]:
    return dict(checked_parameters(d.job("p", parameters=DECLARED), {"must": "m"} | given))


def test_defaults_fill_what_is_not_given(d: Deployment) -> None:
    assert check(d) == {
        "text": "x",
        "count": 1,
        "ratio": None,
        "flag": False,
        "names": None,
        "what": None,
        "must": "m",
    }


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("count", "42", 42),
        ("ratio", "0.5", 0.5),
        ("ratio", 3, 3),
        ("flag", "yes", True),
        ("flag", "0", False),
        ("what", {"a": [1]}, {"a": [1]}),
        ("what", 2.5, 2.5),
        ("names", ["a"], ["a"]),
        ("text", "", ""),
    ],
)
def test_text_is_read_as_what_is_declared(d: Deployment, name: str, value: Any, read: Any) -> None:
    found = check(d, **{name: value})[name]
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", "4.2"),
        ("count", True),
        ("count", "9" * 5000),
        ("ratio", "nan"),
        ("ratio", float("inf")),
        ("ratio", "1e999"),
        ("what", float("nan")),
        ("flag", "maybe"),
        ("flag", 1),
        ("names", "a,b"),
        ("text", 5),
        ("must", None),
    ],
)
def test_wrong_types_are_refused(d: Deployment, name: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        check(d, **{name: value})
    assert [(p.code, p.key) for p in caught.value.problems] == [("parameter_type", name)]


def test_all_mistakes_at_once_with_the_nearest_name(d: Deployment) -> None:
    with pytest.raises(UsageError) as caught:
        checked_parameters(d.job("p", parameters=DECLARED), {"cuont": 1, "flag": "x"})
    assert {(p.code, p.key) for p in caught.value.problems} == {
        ("parameter_unknown", "cuont"),
        ("parameter_type", "flag"),
        ("parameter_missing", "must"),
    }
    assert "did you mean 'count'?" in str(caught.value)
