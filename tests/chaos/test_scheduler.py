"""Real schedulers, killed for real. What must have happened is worked out here, from the jobs' own ledger, the
database file and plain arithmetic; none of gnomon's code judges."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.service import Site, site, until

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(400)]

FINAL = ("succeeded", "failed", "cancelled", "skipped")
SECOND = 1_000_000


def _job(place: Site, job_id: str, schedule: object, sleep_s: float, code: int, **more: object) -> dict[str, object]:
    """A job that notes its start and end in the ledger, prints one line, and ends with `code`."""
    script = (
        f'echo "start {job_id} $GNOMON_RUN_ID $GNOMON_ATTEMPT" >>"$LEDGER"; sleep {sleep_s:.3f}; '
        f'echo "out $GNOMON_RUN_ID"; echo "end {job_id} $GNOMON_RUN_ID $GNOMON_ATTEMPT" >>"$LEDGER"; exit {code}'
    )
    task = {"type": "command", "command": script, "env": {"LEDGER": str(place.ledger)}}
    return {"job_id": job_id, "schedule": schedule, "task": task, **more}


def _starts(place: Site) -> Counter[tuple[str, str]]:
    return Counter((line[2], line[3]) for line in place.ledger_lines() if line[0] == "start")


def test_commands_in_flight_survive_the_death_of_the_scheduler(tmp_path: Path) -> None:
    rng = random.Random(7)
    count = 120
    with site(tmp_path) as place:
        fire = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        wanted = {f"job{n}": (rng.randrange(0, 100), rng.uniform(2.5, 6.0)) for n in range(count)}
        place.write("all.json", {"jobs": [_job(place, j, fire, s, c) for j, (c, s) in wanted.items()]})
        first = place.serve("--concurrency", "200")
        until(lambda: sum(_starts(place).values()) == count, f"{count} commands running", 30)
        place.kill(first)
        assert not [r for r in place.rows("select state from runs") if r["state"] in FINAL]
        # some end while nobody watches, some are adopted while they run
        until(lambda: sum(line[0] == "end" for line in place.ledger_lines()) >= 10, "some ended alone")
        place.serve("--concurrency", "200")
        until(lambda: sum(place.states().get(s, 0) for s in FINAL) == count, "all runs over", 30)

        assert place.states().get("failed", 0) + place.states().get("succeeded", 0) == count
        assert all(n == 1 for n in _starts(place).values()), "an attempt ran twice"
        assert len(_starts(place)) == count, "a fire was lost or ran twice"
        for run in place.rows("select * from runs"):
            code, slept = wanted[run["job_id"]]
            assert run["exit_code"] == code
            assert run["state"] == ("succeeded" if code == 0 else "failed")
            assert run["attempts"] == 1
            assert slept - 0.02 <= run["duration_s"] < slept + 1.5, "the duration is that of the command"
            assert (run["finished_at"] - run["started_at"]) / SECOND == pytest.approx(run["duration_s"], abs=0.2)
        some = rng.sample(place.rows("select id from runs"), 5)
        for run in some:
            assert f"out {run['id']}" in _output(place, run["id"])


def test_kills_at_random_moments_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """CHAOS_S=120 plays the long form."""
    rng = random.Random(int(os.environ.get("CHAOS_SEED", "11")))
    length_s = float(os.environ.get("CHAOS_S", "20"))
    anchor = "2026-01-01T00:00:00Z"
    with site(tmp_path) as place:
        policies = [{"overlap": o, "catch_up": c} for o in ("skip", "queue_all", "allow") for c in ("latest", "all")]
        jobs = {}
        for n in range(12):
            every = rng.choice([1, 2, 3])
            code, slept = rng.choice([0, 0, 3]), rng.uniform(0.05, 1.4)
            jobs[f"job{n}"] = (every, code, slept)
        place.write(
            "all.json",
            {
                "jobs": [
                    _job(place, j, {"every": e, "anchor": anchor}, s, c, **rng.choice(policies))
                    for j, (e, c, s) in jobs.items()
                ]
            },
        )
        kills, end = 0, time.monotonic() + length_s
        while time.monotonic() < end:
            process = place.serve("--concurrency", "50")
            moment = time.monotonic() + rng.uniform(0.3, 2.5)
            until(lambda m=moment: time.monotonic() > m, "the moment of the kill")  # type: ignore[misc]
            place.kill(process)
            kills += 1
        last = place.serve("--concurrency", "50")
        until(lambda: place.rows("select 1 from runs where state='succeeded'"), "a success", 30)
        _stop_firing(place, len(jobs))
        until(lambda: not _unfinished(place), "every run over", 60)
        assert place.kill(last, signal.SIGTERM) == 0
        print(f"{kills} kills, {place.states()}")

        assert place.states().get("succeeded", 0) > 0
        assert all(n == 1 for n in _starts(place).values()), "an attempt ran twice"
        for job_id, (every, code, _) in jobs.items():
            _check_job(place, job_id, every, code)


def _check_job(place: Site, job_id: str, every: int, code: int) -> None:
    """Every fire time has exactly one run or skip; every run that ran has the right end."""
    created = place.rows("select created_at from jobs where job_id=?", job_id)[0]["created_at"]
    retired = place.rows("select retired_at from jobs where job_id=?", job_id)[0]["retired_at"]
    period = every * SECOND
    # 2026-01-01 is a whole number of 1, 2 and 3 seconds after 1970
    expected = set(range((created // period + 1) * period, retired + 1, period))
    runs = place.rows("select * from runs where job_id=? and fire_at is not null", job_id)
    decided = Counter(r["fire_at"] for r in runs)
    for skip in place.rows("select * from skips where job_id=?", job_id):
        covered = [at for at in expected if skip["first_at"] <= at <= skip["last_at"]]
        assert len(covered) == skip["count"], (job_id, dict(skip))
        decided.update(covered)
    assert set(decided) <= expected, f"{job_id} fired when nothing was due"
    wrong = {at: decided[at] for at in expected if decided[at] != 1}
    assert not wrong, f"{job_id}: {len(wrong)} fire times without exactly one decision: {sorted(wrong.items())[:5]}"
    for run in runs:
        if run["state"] in ("succeeded", "failed"):
            assert run["exit_code"] == code, (job_id, dict(run))
            assert f"out {run['id']}" in _output(place, run["id"])


def _stop_firing(place: Site, count: int) -> None:
    """Take the jobs away: what fired stays, nothing more fires."""
    place.write("keep.json", {"job_id": "keep", "task": {"type": "command", "command": ["true"]}})
    (place.jobs / "all.json").unlink()
    until(lambda: len(place.rows("select 1 from jobs where retired_at is not null")) >= count, "jobs retired")


def _unfinished(place: Site) -> list[str]:
    return [r["id"] for r in place.rows("select id, state from runs") if r["state"] not in FINAL]


def _output(place: Site, run_id: str) -> str:
    return "".join(p.read_text() for p in (place.root / "gnomon.db.d" / "attempts").rglob(f"*{run_id}*.log"))


def test_two_schedulers_on_one_database_and_one_dies(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        anchor = "2026-01-01T00:00:00Z"
        jobs = [_job(place, f"job{n}", {"every": 1, "anchor": anchor}, 0.05, 0, overlap="allow") for n in range(5)]
        place.write("all.json", {"jobs": jobs})
        one, two = place.serve(), place.serve()
        until(lambda: len(place.rows("select 1 from nodes where stopped_at is null")) == 2, "two nodes")
        until(lambda: place.states().get("succeeded", 0) >= 15, "both work")
        leader = place.rows("select pid from nodes n join leader l on n.node_id = l.node_id")[0]["pid"]
        first, other = (one, two) if one.pid == leader else (two, one)
        newest = _newest_fire(place)
        place.kill(first)
        killed = time.time()
        until(lambda: _newest_fire(place) > newest + SECOND, "the other goes on", 10)
        gap = max(_gaps(place))
        until(lambda: _newest_fire(place) > (killed + 3) * SECOND, "it keeps going", 10)
        _stop_firing(place, len(jobs))
        until(lambda: not _unfinished(place), "every run over", 30)
        place.kill(other, signal.SIGTERM)
        assert gap <= 2.0, f"{gap:.1f} s without a start after the leader died"
        assert all(n == 1 for n in _starts(place).values())
        for n in range(5):
            _check_job(place, f"job{n}", 1, 0)
        taken_over = [
            r["created_at"] - r["fire_at"] for r in place.rows("select * from runs where fire_at is not null")
        ]
        assert max(taken_over) < 1.3 * SECOND, "the other must go on within a second"


def test_a_frozen_scheduler_that_comes_back_changes_nothing(tmp_path: Path) -> None:
    """SIGSTOP beyond the lease, with a neighbour that takes over, is in the simulator; here it is alone."""
    with site(tmp_path) as place:
        fire = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        place.write("all.json", {"jobs": [_job(place, f"job{n}", fire, 1.5, 0) for n in range(20)]})
        one = place.serve("--concurrency", "30")
        until(lambda: sum(_starts(place).values()) == 20, "all running")
        one.send_signal(signal.SIGSTOP)
        until(lambda: sum(line[0] == "end" for line in place.ledger_lines()) == 20, "all ended alone")
        one.send_signal(signal.SIGCONT)
        until(lambda: place.states().get("succeeded", 0) == 20, "all known")
        assert all(n == 1 for n in _starts(place).values())


def _newest_fire(place: Site) -> int:
    return int(place.rows("select coalesce(max(fire_at), 0) t from runs where started_at is not null")[0]["t"])


def _gaps(place: Site) -> list[float]:
    starts = [
        r["started_at"] for r in place.rows("select started_at from runs where started_at is not null order by 1")
    ]
    return [(b - a) / SECOND for a, b in itertools.pairwise(starts)]


def test_many_commands_due_in_one_minute_are_none_lost(tmp_path: Path) -> None:
    """CHAOS_COMMANDS=10000 CHAOS_SPREAD_S=60 plays the full form."""
    count = int(os.environ.get("CHAOS_COMMANDS", "1000"))
    spread_s = float(os.environ.get("CHAOS_SPREAD_S", "6"))
    with site(tmp_path) as place:
        begin = datetime.now(UTC) + timedelta(seconds=6 + count / 2000)
        due = [begin + timedelta(seconds=spread_s * n / count) for n in range(count)]
        jobs = [
            {
                "job_id": f"job{n}",
                "schedule": at.isoformat(),
                "catch_up": "all",
                "task": {
                    "type": "command",
                    "command": ["/bin/sh", "-c", 'echo "start j $1 1" >>"$0"', str(place.ledger), str(n)],
                },
            }
            for n, at in enumerate(due)
        ]
        for first in range(0, count, 500):
            place.write(f"part{first}.json", {"jobs": jobs[first : first + 500]})
        place.serve("--concurrency", "100")
        until(lambda: len(place.rows("select 1 from jobs")) == count, "all loaded", 60)
        until(lambda: place.states().get("succeeded", 0) == count, "all ran", spread_s + 60)
        assert set(place.states()) == {"succeeded"}
        assert sorted(_starts(place).values()) == [1] * count
        late = sorted(r["lateness_s"] for r in place.rows("select lateness_s from runs"))
        p50, p99 = late[count // 2], late[count * 99 // 100]
        print(f"{count} commands in {spread_s} s: lateness p50 {p50:.3f} s, p99 {p99:.3f} s")


def test_python_calls_survive_the_death_of_the_scheduler(tmp_path: Path) -> None:
    """What worker processes finish meanwhile is learnt from them; what never began runs once, later."""
    count = 12
    (tmp_path / "work.py").write_text(
        "import os, time\n"
        "def busy(number, seconds):\n"
        "    ledger = os.open(os.environ['LEDGER'], os.O_WRONLY | os.O_APPEND)\n"
        "    run, attempt = os.environ['GNOMON_RUN_ID'], os.environ['GNOMON_ATTEMPT']\n"
        "    os.write(ledger, f'start {number} {run} {attempt}\\n'.encode())\n"
        "    time.sleep(seconds)\n"
        "    os.write(ledger, f'end {number} {run} {attempt}\\n'.encode())\n"
        "    if number % 3 == 0:\n        raise ValueError(number)\n"
        "    return {'number': number}\n"
    )
    os.environ["LEDGER"] = str(tmp_path / "ledger")
    try:
        with site(tmp_path) as place:
            fire = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
            jobs = [
                {
                    "job_id": f"job{n}",
                    "schedule": fire,
                    "task": {"type": "python", "callable": "work:busy", "args": [n, 2.0]},
                }
                for n in range(count)
            ]
            place.write("all.json", {"jobs": jobs})
            first = place.serve("--concurrency", "8")
            until(lambda: sum(_starts(place).values()) == 8, "eight calls at work", 30)
            place.kill(first)
            until(lambda: sum(line[0] == "end" for line in place.ledger_lines()) == 8, "they end alone")
            place.serve("--concurrency", "8")
            until(lambda: sum(place.states().get(s, 0) for s in FINAL) == count, "all runs over", 40)
            assert sorted(_starts(place).values()) == [1] * count, "each call began exactly once"
            for run in place.rows("select * from runs"):
                number = int(run["job_id"].removeprefix("job"))
                assert run["state"] == ("failed" if number % 3 == 0 else "succeeded")
                assert run["duration_s"] == pytest.approx(2.0, abs=0.5)
    finally:
        del os.environ["LEDGER"]
