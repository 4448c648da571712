"""A real scheduler whose commands spoil their own files: runs end, others run, sixty readers hold nobody up."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.service import until
from tests.support.things import clear, put
from tests.support.web import client, web_site

SPOILT = list(itertools.product(("log", "result", "exit"), ("directory", "pipe", "pipe with a writer")))
BASE = 'B="$(dirname "$GNOMON_RESULT")/$(basename "$GNOMON_RESULT" .result)"'


@pytest.mark.timeout(300)
def test_a_scheduler_and_its_readers(tmp_path: Path) -> None:
    with web_site(tmp_path) as place:
        for number, (suffix, thing) in enumerate(SPOILT):
            text = f"{BASE}; {put(thing, f'$B.{suffix}')}: >{tmp_path}/ready{number}; sleep 1000"
            task = {"type": "command", "command": text}
            job = {"id": f"spoilt{number}", "task": task, "timeout": "3s" if number % 2 else "1h"}
            place.write(f"{job['id']}.yaml", job | {"kill_grace": "1s"})
        place.write("innocent.yaml", {"id": "innocent", "task": {"type": "command", "command": "echo well"}})
        url = place.listening()
        try:
            with client(url, place.token()) as ask:
                until(lambda: ask.get("/jobs/innocent").status_code == 200, "the jobs to be read", 60)
                runs = {number: begin(ask, f"spoilt{number}") for number in range(len(SPOILT))}
                until(lambda: all((tmp_path / f"ready{n}").exists() or n % 2 for n in runs), "all to be spoilt", 60)
                with ThreadPoolExecutor(60) as readers:
                    asked = [readers.submit(ask.get, f"/runs/{runs[n % len(runs)]}/log") for n in range(60)]
                    assert {one.result().status_code for one in asked} == {200}
                ended(ask, begin(ask, "innocent"), "succeeded")
                for number in runs:
                    if number % 2 == 0:
                        assert ask.post(f"/runs/{runs[number]}/cancel").status_code in (200, 202)
                for number, run in runs.items():
                    ended(ask, run, "timed_out" if number % 2 else "cancelled")
                ended(ask, begin(ask, "innocent"), "succeeded")
        finally:
            clear(tmp_path)


def begin(ask: httpx.Client, job: str) -> str:
    answer = ask.post(f"/jobs/{job}/runs", json={})
    assert answer.status_code in (200, 201, 202), answer.text
    found: str = answer.json()["id"]
    return found


def ended(ask: httpx.Client, run: str, wanted: str) -> None:
    """Wait for the end of its attempt."""

    def outcome() -> str | None:
        attempts = ask.get(f"/runs/{run}").json()["attempts"]
        return attempts[-1]["outcome"] if attempts else None

    assert until(outcome, f"{run} to end", 60) == wanted
