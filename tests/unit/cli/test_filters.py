"""`--query` of the lists: the same language, the same errors, beside the other options."""

from __future__ import annotations

import pytest

from gnomon.app import Parts
from gnomon.core.records import RunFilter
from gnomon.operations.runs import cancel_run, start_run
from tests.unit.cli.conftest import Gnomon


@pytest.fixture
def runs(parts: Parts) -> list[str]:
    """A run of `clock` that is cancelled, one of `after` that waits for a slot."""
    desk = parts.desk()
    started = [str(start_run(desk, job_id)["id"]) for job_id in ("clock", "owned")]
    cancel_run(desk, started[0])
    return started


def test_runs(gnomon: Gnomon, runs: list[str]) -> None:
    def found(*words: str) -> set[str]:
        return {run["job_id"] for run in gnomon("runs", "list", "--json", *words).json}

    assert found("-q", "state:cancelled since:1h") >= {"clock"}
    assert found("--query", "-state:cancelled job:owned,clock") == {"owned"}
    assert found("-q", "OWN") == {"owned"}
    assert found("-q", "-own type:shell") >= {"clock"}
    assert found("-q", "state:ended", "--job", "owned") == set()
    assert found("-q", "until:2h") == set()
    shown = gnomon("runs", "list", "-q", "job:clock").out
    assert runs[0] in shown
    assert runs[1] not in shown


@pytest.mark.usefixtures("parts")
def test_jobs_schedules_and_flows(gnomon: Gnomon, runs: list[str]) -> None:
    jobs = gnomon("jobs", "list", "--json", "-q", "label:team=a -own").json
    assert [job["job_id"] for job in jobs] == ["clock"]
    entries = gnomon("schedules", "list", "--json", "-q", "-clock").json
    assert [entry["id"] for entry in entries] == ["owned:default"]
    gnomon("run", "clock", "--no-wait")
    flows = gnomon("flows", "list", "--json", "-q", "job:after", "--limit", "1")
    assert [flow["root"] for flow in flows.json] == ["clock"]
    cursor = flows.err.split("--cursor ")[1].strip()
    assert len(gnomon("flows", "list", "--json", "-q", "job:after", "--cursor", cursor).json) == 1


@pytest.mark.usefixtures("parts")
def test_mistakes_say_where(gnomon: Gnomon) -> None:
    (error,) = gnomon("runs", "list", "--json", "-q", "job:a stat:failed", code=2).errors
    assert (error["code"], error["column"], error["key"]) == ("filter_key_unknown", 7, "stat")
    assert "did you mean state" in error["hint"]
    (error,) = gnomon("runs", "list", "--json", "--state", "faild", code=2).errors
    assert (error["code"], error["key"]) == ("state_unknown", "--state")
    (error,) = gnomon("flows", "list", "--json", "--since", "whenever", code=2).errors
    assert (error["code"], error["key"]) == ("time_invalid", "--since")


def test_a_partial_page_says_so(gnomon: Gnomon, parts: Parts, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.stores.sql.paging._FEWEST", 1)
    monkeypatch.setattr("gnomon.stores.sql.paging.STRETCHES", (1,))
    monkeypatch.setattr("gnomon.stores.sql.paging.walk.__kwdefaults__", {"newest_first": True, "stretches": (1,)})
    page = parts.store.read(lambda r: r.runs(RunFilter(labels={"no": "such"}), 1))
    assert (page.items, page.partial) == ((), True)
    done = gnomon("runs", "list", "--json", "-q", "label:no=such", "--limit", "1")
    assert done.json == []
    assert "not everything was looked at; go on with --cursor" in done.err
