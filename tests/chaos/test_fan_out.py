"""A pipeline with fan-out, in a real scheduler that is killed in its middle. The jobs' own ledger judges."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import Site, site, until

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(200)]

ITEMS = [f"file{n}" for n in range(50)]
BAD = "file17"
FINAL = ("succeeded", "failed", "cancelled", "skipped")

STEPS = '''
import json, os, time

def note(*words):
    """One line of the ledger, in one write."""
    ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND)
    os.write(ledger, (" ".join(map(str, words)) + "\\n").encode())
    os.close(ledger)

def listing(names):
    note("ran", "list", "-", os.environ["GNOMON_ATTEMPT"])
    return {"names": names}

def convert(name, index, mended):
    note("ran", "convert", name, os.environ["GNOMON_ATTEMPT"])
    time.sleep(0.05)
    if name == os.environ["BAD"] and not os.path.exists(mended):
        raise ValueError(f"{name} is broken")
    return index * 2

def total(values):
    note("ran", "total", "-", os.environ["GNOMON_ATTEMPT"])
    return sum(values)
'''


def _pipeline(place: Site) -> None:
    """list -> convert (50 items) -> total -> report; always (finished) and alarm (failed) beside it. Six jobs."""
    (place.root / "steps.py").write_text(STEPS)
    ledger, mended = str(place.ledger), str(place.root / "mended")
    shell = {"env": {"LEDGER": ledger}}

    def line(name: str) -> str:
        return f'echo "ran {name} - $GNOMON_ATTEMPT $WHAT" >>"$LEDGER"'

    def command(name: str, what: str = "") -> dict[str, Any]:
        return {"type": "command", "command": line(name), "env": {**shell["env"], "WHAT": what}}

    def call(name: str, *args: object) -> dict[str, Any]:
        return {"type": "python", "callable": f"steps:{name}", "args": list(args)}

    jobs = [
        {"job_id": "list", "task": call("listing", ITEMS)},
        {
            "job_id": "convert",
            "depends_on": ["list"],
            "for_each": "${runs.list.result.names}",
            "max_active": 3,
            "task": call("convert", "${item}", "${index}", mended),
        },
        {"job_id": "total", "depends_on": ["convert"], "task": call("total", "${runs.convert.result}")},
        {"job_id": "report", "depends_on": ["total"], "task": command("report", "${runs.total.result}")},
        {"job_id": "always", "depends_on": [{"job": "convert", "when": "finished"}], "task": command("always")},
        {"job_id": "alarm", "depends_on": [{"job": "convert", "when": "failed"}], "task": command("alarm")},
    ]
    place.write("pipeline.json", {"jobs": jobs})


def _ran(place: Site) -> Counter[tuple[str, str]]:
    return Counter((words[1], words[2]) for words in place.ledger_lines())


def _over(place: Site) -> bool:
    runs = place.rows("select state from runs")
    return bool(runs) and all(run["state"] in FINAL for run in runs)


def _states(flow: Any) -> dict[str, tuple[str, str | None]]:
    newest = {run["job_id"]: run for run in sorted(flow["runs"], key=lambda r: str(r["id"]))}
    return {job: (run["state"], run["reason"]) for job, run in newest.items()}


@pytest.mark.parametrize("kills", [0, 3])
def test_six_jobs_fifty_items_one_fails_and_is_rerun(
    tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAD", BAD)
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with site(tmp_path) as place:
        _pipeline(place)
        process = place.serve()
        until(lambda: len(place.rows("select 1 from jobs")) == 6, "six jobs")
        root = place.cli("run", "list", "--no-wait")
        for part in range(1, kills + 1):  # in the middle of the fan-out, each time a little later
            until(lambda p=part: sum(_ran(place).values()) >= 12 * p, "the fan-out goes on", 30)  # type: ignore[misc]
            place.kill(process)
            process = place.serve()
        until(lambda: _over(place), "all over", 60)

        flow = place.cli("flows", "show", root["id"])
        assert _states(flow) == {
            "list": ("succeeded", None),
            "convert": ("failed", "items_failed"),
            "total": ("skipped", "upstream_failed"),
            "report": ("skipped", "upstream_failed"),
            "always": ("succeeded", None),
            "alarm": ("succeeded", None),
        }
        convert = next(run for run in flow["runs"] if run["job_id"] == "convert")
        assert convert["result"] == [None if name == BAD else 2 * n for n, name in enumerate(ITEMS)]
        assert convert["items"] == {"failed": 1, "succeeded": 49}
        assert convert["error"]["message"].startswith("1 of 50 items did not succeed (1 failed); first item 17")
        first = {("list", "-"), ("always", "-"), ("alarm", "-"), *(("convert", name) for name in ITEMS)}
        assert _ran(place) == Counter(first), "each ran exactly once"
        items = place.cli("runs", "list", "--parent", convert["id"], "--limit", "100")
        assert sorted(item["index"] for item in items) == list(range(50))
        began = [[a for a in item["attempts"] if a["started_at"] is not None] for item in items]
        assert all(len(attempts) == 1 for attempts in began), "a claim that a kill kept from beginning is no start"

        (tmp_path / "mended").touch()
        place.cli("flows", "retry", root["id"])
        if kills:
            place.kill(process)
            process = place.serve()
        until(lambda: place.rows("select 1 from runs where job_id='report' and state='succeeded'"), "reported", 30)
        until(lambda: _over(place), "all over", 30)
        states = _states(place.cli("flows", "show", root["id"]))
        assert {job: state for job, (state, _) in states.items()} == dict.fromkeys(
            ("list", "convert", "total", "report", "always"), "succeeded"
        ) | {"alarm": "succeeded"}
        again = Counter([("convert", BAD), ("total", "-"), ("report", "-")])
        assert _ran(place) == Counter(first) + again, "only what had failed, and what waited for it"
        assert place.ledger_lines()[-1][1] == "report"
        assert place.ledger_lines()[-1][-1] == str(sum(2 * n for n in range(50)))
        assert place.kill(process, signal.SIGTERM) == 0
