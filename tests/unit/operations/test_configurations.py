"""Configurations: saved, edited, used, refused; which version a run takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gnomon.core.attempts import AttemptSpec, Outcome
from gnomon.core.configurations import merged
from gnomon.core.errors import Conflict, NotFound, UsageError
from gnomon.core.model import Retry, Task
from gnomon.core.records import Source, SourceKind
from gnomon.core.states import State
from gnomon.operations.configurations import (
    configuration_history,
    delete_configuration,
    list_configurations,
    save_configuration,
    show_configuration,
    unused_configurations,
)
from gnomon.operations.jobs import save_job
from gnomon.operations.runs import retry_run, start_run
from tests.unit.engine.deployment import PYTHON, Deployment, begun, over, report

ENV = {"command": ["env"], "env": {"A": "1", "B": "1"}}


@pytest.fixture
def d() -> Deployment:
    return Deployment()


def use(d: Deployment, job_id: str = "a", **fields: Any) -> None:
    own: dict[str, Any] = {"env": {"B": "2"}}
    save_job(d.desk, d.job(job_id, task=Task("", own, use="c"), **fields), PYTHON)


def step(d: Deployment, node: Any, executor: Any) -> AttemptSpec:
    """The attempt that starts next."""
    executor.started.clear()
    node.step()
    (spec,) = executor.started
    found: AttemptSpec = spec
    return found


@pytest.mark.parametrize(
    ("base", "own", "expected"),
    [
        ({"url": "x", "n": 1}, {"n": 2}, {"url": "x", "n": 2}),
        ({"env": {"A": "1", "B": "1"}}, {"env": {"B": "2", "C": "3"}}, {"env": {"A": "1", "B": "2", "C": "3"}}),
        ({"body": {"a": 1, "b": 1}}, {"body": {"b": 2}}, {"body": {"b": 2}}),
        ({"query": "select 1"}, {"query": "select 2"}, {"query": "select 2"}),
        ({"query": {"a": 1}}, {"query": "select 2"}, {"query": "select 2"}),
        ({"url": "x", "n": 1}, {"n": None}, {"url": "x"}),
        ({"env": {"A": "1", "B": None}}, {"env": {"A": None}}, {"env": {"B": None}}),
        ({}, {"env": {"A": "1"}}, {"env": {"A": "1"}}),
        ({"parameters": {"a": 1}}, {"parameters": {"a": None, "b": None}}, {"parameters": {"b": None}}),
    ],
)
def test_what_a_task_gets(base: Any, own: Any, expected: Any) -> None:
    assert merged(base, own) == expected


def test_a_new_version_only_for_new_content(d: Deployment) -> None:
    assert save_configuration(d.desk, "c", "shell", ENV)["version"] == 1
    assert save_configuration(d.desk, "c", "command", dict(reversed(ENV.items())))["version"] == 1
    d.clock.advance(60)
    saved = save_configuration(d.desk, "c", "command", {**ENV, "cwd": "/"})
    assert (saved["version"], saved["type"]) == (2, "command")
    assert saved["created_at"] != saved["updated_at"]
    assert [(v["version"], v["actor"]) for v in configuration_history(d.desk, "c")] == [(2, "alice"), (1, "alice")]
    assert show_configuration(d.desk, "c", 1)["arguments"] == ENV
    with pytest.raises(NotFound) as caught:
        show_configuration(d.desk, "c", 3)
    assert caught.value.problems[0].hint == "kept: 2, 1"
    audit = d.read(lambda r: r.audit())
    assert [(a.action, a.object, a.actor) for a in audit] == [("configuration.save", "c", "alice")] * 2


def test_what_cannot_be_saved(d: Deployment) -> None:
    for name, kind, arguments, code in (
        ("a b", "command", {}, "bad_name"),
        ("c", "comand", {}, "task_type_unknown"),
        ("c", "command", {"comand": ["date"]}, "unknown_key"),
        ("c", None, {"use": "d"}, "unknown_key"),
    ):
        with pytest.raises(UsageError) as caught:
            save_configuration(d.desk, name, kind, arguments)
        assert caught.value.code == code
    assert not list_configurations(d.desk).items


def test_a_task_takes_its_type_from_the_configuration(d: Deployment) -> None:
    save_configuration(d.desk, "c", "command", ENV)
    use(d)
    record = d.read(lambda r: r.job("a"))
    assert record is not None
    assert record.job.task == Task("command", {"env": {"B": "2"}}, "c")
    assert show_configuration(d.desk, "c")["used_by"] == ["a"]


@pytest.mark.parametrize(
    ("task", "code", "key"),
    [
        (Task("", {}, "cc"), "configuration_not_found", "task.use"),
        (Task("python", {}, "c"), "configuration_type", "task.type"),
        (Task("", {}, "bare"), "configuration_type", "task.type"),
        (Task("", {"env": {"A B": "1"}}, "c"), "bad_name", "task.env.A B"),
    ],
)
def test_a_task_that_does_not_fit_is_refused(d: Deployment, task: Task, code: str, key: str) -> None:
    save_configuration(d.desk, "c", "command", ENV)
    save_configuration(d.desk, "bare", None, {"command": ["date"]})
    with pytest.raises(UsageError) as caught:
        save_job(d.desk, d.job("a", task=task), PYTHON)
    assert (caught.value.code, caught.value.problems[0].key) == (code, key)
    assert d.read(lambda r: r.job("a")) is None


def test_an_edit_that_would_break_a_job_is_refused(d: Deployment) -> None:
    save_configuration(d.desk, "c", "command", ENV)
    use(d)
    with pytest.raises(UsageError) as caught:
        save_configuration(d.desk, "c", "command", {"cwd": "/"})
    assert caught.value.code == "configuration_breaks_jobs"
    assert "'a'" in caught.value.problems[0].message
    assert show_configuration(d.desk, "c")["version"] == 1


def test_what_is_used_or_owned_by_a_file_is_not_deleted(d: Deployment) -> None:
    save_configuration(d.desk, "c", "command", ENV)
    save_configuration(d.desk, "free", "command", ENV)
    save_configuration(d.desk, "owned", "command", ENV, Source(SourceKind.FILE, "/jobs/a.yaml"))
    use(d)
    assert [c["name"] for c in unused_configurations(d.desk)] == ["free", "owned"]
    with pytest.raises(Conflict, match="is used by a") as caught:
        delete_configuration(d.desk, "c")
    assert caught.value.code == "configuration_in_use"
    for refused in (
        lambda: delete_configuration(d.desk, "owned"),
        lambda: save_configuration(d.desk, "owned", None, {}),
    ):
        with pytest.raises(Conflict, match=r"/jobs/a\.yaml") as owned:
            refused()
        assert owned.value.code == "configuration_owned_by_file"
    delete_configuration(d.desk, "free")
    with pytest.raises(NotFound, match="there is no configuration 'free'"):
        delete_configuration(d.desk, "free")


def test_retries_keep_the_version_and_a_persons_retry_takes_the_newest(d: Deployment) -> None:
    save_configuration(d.desk, "c", "command", ENV)
    use(d, restarts=1, retry=Retry(delay_s=1.0, jitter=False))
    node, executor = d.node()
    start_run(d.desk, "a", {})
    spec = step(d, node, executor)
    assert spec.arguments == {"command": ["env"], "env": {"A": "1", "B": "2"}}
    assert d.run("a").configuration == ("c", 1)

    save_configuration(d.desk, "c", "command", {"command": ["env"], "env": {"A": "9"}})
    report(node, begun(spec, d.clock.now()))
    report(node, over(spec, d.clock.now(), Outcome.FAILED))
    node.step()
    d.clock.advance(2)
    spec = step(d, node, executor)
    assert (spec.number, spec.arguments["env"]) == (2, {"A": "1", "B": "2"})
    assert d.run("a").configuration == ("c", 1)
    report(node, over(spec, d.clock.now(), Outcome.FAILED))
    node.step()

    first = d.run("a")
    retry_run(d.desk, first.id)
    spec = step(d, node, executor)
    assert spec.arguments["env"] == {"A": "9", "B": "2"}
    assert {r.id: r.configuration for r in d.runs("a")} == {first.id: ("c", 1), spec.run_id: ("c", 2)}


def test_references_in_a_configuration_are_filled(d: Deployment) -> None:
    save_configuration(d.desk, "c", "command", {"command": ["echo", "${job_id}", "env:X"]})
    use(d)
    node, executor = d.node()
    start_run(d.desk, "a", {})
    assert step(d, node, executor).arguments["command"] == ["echo", "a", "env:X"]


def test_a_configuration_that_has_gone_fails_the_run_and_names_the_nearest(d: Deployment) -> None:
    save_configuration(d.desk, "c", "command", ENV)
    use(d)
    d.store.write(lambda tx: tx.delete_configuration("c"))
    save_configuration(d.desk, "cc", "command", ENV)
    node, _ = d.node()
    start_run(d.desk, "a", {})
    node.step()
    d.clock.advance(1)
    node.step()
    run = d.run("a")
    assert (run.state, run.configuration) == (State.FAILED, None)
    assert run.error is not None
    assert run.error.code == "configuration_not_found"
    assert "did you mean 'cc'?" in run.error.message


def test_a_run_that_was_lost_keeps_its_version(d: Deployment) -> None:
    save_configuration(d.desk, "c", "command", ENV)
    use(d)
    node, executor = d.node()
    start_run(d.desk, "a", {})
    spec = step(d, node, executor)
    save_configuration(d.desk, "c", "command", {**ENV, "cwd": "/"})
    report(node, begun(spec, d.clock.now()))
    report(node, over(spec, d.clock.now(), Outcome.LOST))
    executor.started.clear()
    for _ in range(3):
        node.step()
        d.clock.advance(timedelta(seconds=1).total_seconds())
    assert d.run("a").configuration == ("c", 1)
    assert "cwd" not in executor.started[0].arguments


def test_deleted_and_made_again_it_goes_on_counting(d: Deployment) -> None:
    save_configuration(d.desk, "c", "command", ENV)
    delete_configuration(d.desk, "c")
    assert save_configuration(d.desk, "c", "command", {**ENV, "cwd": "/"})["version"] == 2
    assert replace(Task("command"), use="c").use == "c"
