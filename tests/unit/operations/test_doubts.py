"""What would go wrong at the first run is said before."""

from __future__ import annotations

from dataclasses import replace

from gnomon.core.model import Dependency, Job, Parameter, Task
from gnomon.operations.doubts import doubts, open_references, pool_doubts, unknown_channels, unknown_runs


def _job(*words: str, **fields: object) -> Job:
    return replace(Job("j", Task("command", {"command": ["echo", *words]})), **fields)  # type: ignore[arg-type]


def test_references_that_something_fills_are_fine() -> None:
    job = _job("${day}", "${fire_date}", "${runs.up/stream-1.result.n}", "$${x}", parameters=(Parameter("day"),))
    assert doubts(job) == []


def test_a_reference_nobody_fills_names_the_nearest() -> None:
    (problem,) = doubts(_job("${fire_dte}"))
    assert problem.code == "unknown_reference"
    assert "fire_date" in problem.hint


def test_an_alert_to_a_channel_nobody_declared_names_the_nearest() -> None:
    job = _job(alerts={"channels": ["opps", "ops"], "on": ["failed"]})
    (problem,) = unknown_channels(job, ["ops", "dev"])
    assert (problem.code, problem.key, "'ops'" in problem.hint) == ("channel_unknown", "alerts", True)
    assert "[alerts.opps]" in unknown_channels(job, [])[0].hint
    assert unknown_channels(job, None) == []  # whoever judges does not know the settings
    assert doubts(job) == []


def test_an_item_is_known_where_there_are_items() -> None:
    assert doubts(_job("${item.name}", "${index}", for_each="${runs.list.result}")) == []
    assert [p.code for p in doubts(_job("${item}"))] == ["unknown_reference"]
    (problem,) = doubts(_job("${item}", for_each="${hosts}", parameters=(Parameter("host"),)))
    assert (problem.key, "${host}" in problem.hint) == ("for_each", True)


def test_runs_of_jobs_that_are_not_there_or_not_upstream() -> None:
    up = replace(_job(), job_id="up")
    middle = replace(_job("${runs.up.result}"), job_id="a.b", depends_on=(Dependency("up"),))
    last = replace(_job("${runs.up.result.x[0].y}", "${runs.a.b.state}"), depends_on=(Dependency("a.b"),))
    assert unknown_runs([up, middle, last]) == ([], []), "what lies above it through others is upstream"
    typo = replace(_job("x", "${runs.upp.result}"), depends_on=(Dependency("up"),))
    ((problem,), warnings) = unknown_runs([up, typo])
    assert (problem.code, problem.key, problem.hint) == (
        "unknown_reference",
        "task.command[2]",
        "did you mean ${runs.up.result}?",
    )
    assert warnings == []
    beside = replace(_job(for_each="${runs.up.result}"))
    (problems, (warning,)) = unknown_runs([up, beside])
    assert (problems, warning.code, warning.key) == ([], "reference_not_upstream", "for_each")
    assert warning.hint == "add up to its depends_on"


def test_a_reference_that_never_closes_is_a_warning() -> None:
    (warning,) = open_references(_job("a", "${oops"))
    assert (warning.code, warning.key) == ("reference_unclosed", "task.command[2]")
    assert open_references(_job("$${x", "${fire_date}", "$HOME", "{}")) == []


def test_a_pool_that_nobody_declares_or_that_is_too_small() -> None:
    job = _job(pools={"db": 3, "dsk": 1, "gpu": 1})
    found = {
        problem.key if problem.code == "pool_too_small" else problem.code: problem
        for problem in pool_doubts(job, {"db": 2, "disk": 1, "gpu": 1})
    }
    assert found.keys() == {"pool.db", "pool_undeclared"}
    assert "wants 3 of the 2 slots" in found["pool.db"].message
    assert found["pool_undeclared"].hint == "did you mean 'disk'?"
    assert "gnomon.toml" in pool_doubts(job, {"db": 3, "dsk": 1})[0].hint
