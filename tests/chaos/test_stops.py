"""A scheduler that dies between any two steps of stopping something: its successor finishes them.

Long form, all steps: `STOP_STEPS=all`; `STOP_SEED` chooses others for the short one.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.service import until
from tests.support.stopping import KINDS
from tests.support.things import clear, with_environment

pytestmark = [pytest.mark.chaos]

ROOT = Path(__file__).parents[2]
MOST = 60
"""Longer than any stop: then the first scheduler ends it by itself."""


def play(place: Path, kind: str, why: str, node: str, calls: int) -> int:
    order = [sys.executable, "-m", "tests.support.stopping", str(place), kind, why, node, str(calls)]
    done = subprocess.run(order, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def once(root: Path, kind: str, why: str, calls: int) -> tuple[bool, str]:
    """Whether the stop was longer than so many calls; and what was wrong afterwards."""
    place = root / f"{kind} {why} {calls}".replace(" ", "-")
    place.mkdir()
    try:
        killed = play(place, kind, why, "one", calls) == -signal.SIGKILL
        if killed:
            assert play(place, kind, why, "two", 0) == 0
        until(lambda: not with_environment(str(place)), f"{kind}, {why}, {calls}: all of it to be gone", 90)
        told = [json.loads(line) for line in (place / "journal").read_text().splitlines()]
        outcomes = {one["outcome"] for one in told if one["kind"] == "ended"}
        wanted = {"timed_out" if why == "timeout" else "cancelled"}
        return killed, "" if outcomes == wanted else f"{place.name}: {told}"
    except AssertionError as error:
        return True, f"{place.name}: {error}; left: {[state_of(pid) for pid in with_environment(str(place))]}"
    finally:
        clear(place)


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text()[:60]
    except OSError:
        return ""


@pytest.mark.timeout(3600)
def test_a_scheduler_that_dies_in_the_midst_of_a_stop(tmp_path: Path) -> None:
    chance = random.Random(int(os.environ.get("STOP_SEED", "1")))
    cases = list(itertools.product(KINDS, ("timeout", "cancel")))
    with ThreadPoolExecutor(3) as pool:
        if os.environ.get("STOP_STEPS") == "all":
            done = list(pool.map(lambda case: all_steps(tmp_path, *case), cases))
            wrong = [text for texts in done for text in texts]
        else:
            some = [(*case, chance.randrange(1, 25)) for case in cases]
            wrong = [text for _, text in pool.map(lambda case: once(tmp_path, *case), some) if text]
    assert wrong == []


def all_steps(root: Path, kind: str, why: str) -> list[str]:
    """One after the other, until the stop is shorter."""
    wrong = []
    for calls in range(1, MOST):
        longer, text = once(root, kind, why, calls)
        if text:
            print(text)
            wrong.append(text)
        if not longer:
            print(f"{kind}, {why}: {calls - 1} steps")
            return wrong
    return [*wrong, f"{kind}, {why}: more than {MOST} steps"]
