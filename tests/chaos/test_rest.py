"""A scheduler that dies at the worst moments of a request: what it answered is there, and the same request sent again
makes nothing twice. Judged by the database file and the jobs' own ledger."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service import until
from tests.support.web import WebSite, client

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(300)]

_SERVE = """
import os, signal, sys
from pathlib import Path
import gnomon.app.parts as parts
from gnomon.cli.main import main
flag, old = Path(sys.argv.pop(1)), parts._Stopwatch.at
def at(self, point):
    if flag.exists() and flag.read_text() == point:
        os.kill(os.getpid(), signal.SIGKILL)
    old(self, point)
parts._Stopwatch.at = at
sys.argv = ["gnomon", "serve"]
raise SystemExit(main())
"""


class MortalSite(WebSite):
    """Its schedulers kill themselves at the next commit once the flag file names a point of it."""

    @property
    def flag(self) -> Path:
        return self.root / "die-at"

    def serve(self, *options: str) -> subprocess.Popen[bytes]:
        assert not options
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(self.flag)],
                cwd=self.root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.alive.append(process)
        return process

    def die_at(self, point: str) -> None:
        draft = self.root / "draft"
        draft.write_text(point)
        draft.rename(self.flag)

    def buried(self) -> None:
        """Wait for the death of the last one."""
        assert self.process.wait(20) == -9
        self.alive.pop()
        self.flag.unlink()


def test_the_same_request_after_a_death_does_nothing_twice(tmp_path: Path) -> None:
    """CHAOS_ROUNDS=100 plays the long form."""
    rng = random.Random(int(os.environ.get("CHAOS_SEED", "5")))
    place = MortalSite(tmp_path)
    answered: dict[str, str] = {}
    try:
        url = place.listening()
        token = place.token()
        task = {"type": "command", "command": f"echo $GNOMON_RUN_ID >>{place.ledger}"}
        with client(url, token) as ask:
            assert ask.put("/jobs/a", json={"task": task}).status_code == 200
        keys = []
        for number in range(int(os.environ.get("CHAOS_ROUNDS", "6"))):
            mine = [f"key-{number}-{n}" for n in range(rng.randrange(1, 6))]
            keys += mine
            if rng.random() < 0.7:
                _start(url, token, "warm", answered)
            place.die_at(rng.choice(["before_commit", "after_commit"]))
            _at_once([lambda u=url, k=key: _start(u, token, k, answered) for key in mine])
            place.buried()
            url = place.listening()
            for key in mine:  # to be sure, all of them, as a caller would
                _start(url, token, key, answered)
            assert all(key in answered for key in mine)
        with client(url, token) as ask:
            until(lambda: not ask.get("/runs", params={"q": "state:active"}).json()["items"], "all runs are over")
        made = {row["id"] for row in place.rows("select id from runs")}
        assert made == set(answered.values()), "every run is that of one key"
        assert len(made) == len(answered), "no two keys have the same run"
        assert set(keys) <= set(answered)
        assert Counter(line[0] for line in place.ledger_lines()) == Counter(made), "each ran, and once"
    finally:
        place.close()


def _start(url: str, token: str, key: str, answered: dict[str, str]) -> None:
    """Start a run under that key. An answer must be the one that the key had before."""
    try:
        with client(url, token) as ask:
            answer = ask.post("/jobs/a/runs", headers={"Idempotency-Key": key})
    except httpx.TransportError:
        return
    assert answer.status_code == 201, answer.text
    run_id = str(answer.json()["id"])
    assert answered.setdefault(key, run_id) == run_id, key


def _at_once(calls: list[Any]) -> None:
    failed: list[BaseException] = []

    def calling(call: Any) -> None:
        try:
            call()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=calling, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


def test_two_servers_and_many_threads_make_one_run_of_a_key(tmp_path: Path) -> None:
    place = WebSite(tmp_path)
    try:
        urls = [place.listening(), place.listening()]
        assert urls[0] != urls[1]
        token = place.token()
        with client(urls[0], token) as ask:
            assert ask.put("/jobs/a", json={"task": {"type": "command", "command": "true"}}).status_code == 200
        answered: dict[str, str] = {}
        for key in ("k1", "k2", "k3"):
            calls = [lambda u=url, k=key: _start(u, token, k, answered) for url in urls for _ in range(8)]
            _at_once(calls)
        assert len(set(answered.values())) == 3
        assert {row["id"] for row in place.rows("select id from runs")} == set(answered.values())
        for url in urls:  # both see all, and the audit has one entry for each
            with client(url, token) as ask:
                assert len(ask.get("/runs").json()["items"]) == 3
                entries = ask.get("/audit", params={"action": "run.start"}).json()["items"]
                assert len(entries) == 3
                assert {entry["address"] for entry in entries} == {"127.0.0.1"}
    finally:
        place.close()
