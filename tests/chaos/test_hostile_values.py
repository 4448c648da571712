"""Whatever commands, functions and task types hand over, in every place, costs nobody else anything: an innocent job
goes on every second, during it, afterwards, and after a restart.

GNOMON_HOSTILE_SEED and GNOMON_HOSTILE_VALUES (how many are made at random) play longer: `make hostile`.
"""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gnomon import Scheduler
from gnomon.core.handover import Unkept, kept, parsed
from tests.support import hostile, hostile_tasks
from tests.support.service import Site, site, until

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("GNOMON_HOSTILE_SEED") or Random().randrange(1 << 32))
MADE = int(os.environ.get("GNOMON_HOSTILE_VALUES") or 12)
CODE = re.compile(r"[\w.:-]{1,200}")
LEFT = [
    *(b'{"x": 1}', b"", b" \n", b'{"x": 1e400}', b"[-1e999]", b"NaN", b'"\\ud800"', b'{"\\udce9": 0}'),
    *(b"[" * depth + b"]" * depth for depth in (100, 101, 980, 30_000)),
    *(b"9" * digits for digits in (600, 601, 5_000)),
    *(b"\xff\xfe", b"{", b'"\x00"', b'"\\u0000"', b'{"a": 1, "a": 2}', b"\xef\xbb\xbf1"),
    *(b" " * 65_536 + b"1", b'"' + b"x" * 65_534 + b'"'),
]
"""What commands leave as their result."""

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


@pytest.fixture
def limit_of_digits() -> Iterator[None]:
    """Put back what a hostile function lifts in our own process."""
    before = sys.get_int_max_str_digits()
    yield
    sys.set_int_max_str_digits(before)


def whats() -> list[str]:
    print(f"GNOMON_HOSTILE_SEED={SEED} GNOMON_HOSTILE_VALUES={MADE}")  # shown when it fails
    chance = Random(SEED)
    return [*hostile.ANYTHING, *(f"random:{chance.randrange(1 << 40)}" for _ in range(MADE))]


def expected(value: Any) -> tuple[str, Any, bool]:
    """State, result, and whether there is a note, of a call that returns this."""
    try:
        return "succeeded", kept(value), False
    except Unkept:
        return "succeeded", None, True


class Jobs:
    """One job for each value and place; each fires once, at start."""

    def __init__(self, root: Path) -> None:
        self.root, self.tasks, self.answers = root, list[dict[str, Any]](), dict[str, Any]()

    def add(self, task: dict[str, Any], answer: tuple[str, Any, bool] | None) -> None:
        """`answer`: None: it fails, with some code."""
        name = f"hostile-{len(self.tasks)}"
        self.tasks.append({"job_id": name, "schedule": "@reboot", "task": task, "restarts": 0})
        self.answers[name] = answer

    def python(self, function: str, answer: tuple[str, Any, bool] | None, *args: str) -> None:
        name = f"tests.support.hostile_tasks:{function}"
        self.add({"type": "python", "callable": name, "args": list(args), "path": str(ROOT)}, answer)

    def command(self, number: int, left: bytes) -> None:
        path = self.root / f"left-{number}"
        path.write_bytes(left)
        try:
            answer = ("succeeded", parsed(left), False)
        except Unkept:
            answer = None
        text = f'cat {shlex.quote(str(path))} > "$GNOMON_RESULT"'
        self.add({"type": "command", "command": text}, answer)


def all_jobs(root: Path) -> Jobs:
    jobs, chance = Jobs(root), Random(SEED)
    for number, left in enumerate(LEFT):
        jobs.command(number, left)
    for number in range(MADE // 4):
        jobs.command(len(LEFT) + number, chance.randbytes(chance.choice([1, 10, 1000])))
    for what in (names := whats()):
        answer = expected(hostile.made(what))
        jobs.python("give", answer, what)
        if chance.random() < 0.3:
            jobs.python("give_later", answer, what)
        jobs.add({"type": chance.choice(["hostile", "hostile_async"]), "what": what}, answer)
        jobs.add({"type": chance.choice(["hostile", "hostile_async"]), "what": what, "fails": True}, None)
        some = [chance.choice(names) for _ in range(3)]
        jobs.python(chance.choice(["fail", "fail_later"]), None, *some)
        jobs.python("fail_badly", None, chance.choice(["a name of half a character", what]))
    return jobs


def types_in(root: Path) -> None:
    """A package with task types, as pip would leave it."""
    info = root / "hostile_types-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile-types\nVersion: 1.0\n")
    entries = (f"{name} = tests.support.hostile_tasks:{name.upper()}" for name in ("hostile", "hostile_async"))
    (info / "entry_points.txt").write_text("\n".join(["[gnomon.tasks]", *entries, ""]))


def innocent(place: Site, more: int, what: str) -> None:
    """It fires `more` times from now on."""
    before = len(place.ledger_lines())
    until(lambda: len(place.ledger_lines()) >= before + more, f"the innocent job goes on {what}", 60)


def test_values_of_all_kinds_in_all_places_of_a_server(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    types_in(place.root)
    monkeypatch.setenv("PYTHONPATH", f"{place.root}{os.pathsep}{ROOT}")
    jobs = all_jobs(place.root)
    echo = {"type": "command", "command": f"echo tick >> {place.ledger}"}
    place.write("innocent.json", {"jobs": [{"job_id": "innocent", "schedule": "every 1s", "task": echo}]})
    place.write("hostile.json", {"jobs": jobs.tasks})
    server = place.serve()
    over = "select count(*) n from runs where job_id like 'hostile-%' and state in ('succeeded', 'failed')"
    most = 60 + len(jobs.tasks)
    until(lambda: place.rows(over)[:1] and place.rows(over)[0]["n"] == len(jobs.tasks), "all are over", most)
    innocent(place, 2, "after all of it")
    for run in place.rows("select job_id, state, note, result, error_code, error_message, attempts from runs"):
        if run["job_id"] == "innocent":
            assert run["state"] in ("succeeded", "running", "queued"), dict(run)
            continue
        about, answer = f"{jobs.tasks[int(run['job_id'][8:])]} {dict(run)}", jobs.answers[run["job_id"]]
        assert run["attempts"] == 1, about
        if answer is None:
            assert (run["state"], bool(CODE.fullmatch(run["error_code"]))) == ("failed", True), about
            assert len(run["error_message"]) <= 4000, about
        else:
            state, result, noted = answer
            found = None if run["result"] is None else parsed(run["result"].encode(), 1 << 20)
            note = (run["note"] or "").startswith("bad_result: ")
            assert (run["state"], found, note) == (state, result, noted), about
    assert max(map(len, place.log.read_bytes().splitlines())) < 20_000
    assert b"a step of the scheduler failed" not in place.log.read_bytes()
    place.kill(server)
    place.serve()
    innocent(place, 2, "after a restart")
    listed = place.cli("runs", "list", "--limit", "500")
    assert len(listed) > len(jobs.tasks) // 2
    place.cli("health")


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_values_of_all_kinds_inside_an_application(executor: str, tmp_path: Path, limit_of_digits: None) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    scheduler = Scheduler(f"sqlite:///{tmp_path}/app.db", executor=executor)
    scheduler.add_job("innocent", hostile_tasks.tick, interval=0.2, args=[str(ledger)])
    chance = Random(SEED)
    scheduler.add_job("give", hostile_tasks.give)
    with scheduler:
        for what in whats():
            function = chance.choice([hostile_tasks.give, hostile_tasks.give_later])
            scheduler.add_job("give", function, args=[what])
            run = scheduler.wait(scheduler.run("give"), 60)
            note = (run.note or "").startswith("bad_result: ")
            assert (str(run.state), run.result, note) == expected(hostile.made(what)), what
            function = chance.choice([hostile_tasks.fail, hostile_tasks.fail_later])
            scheduler.add_job("fail", function, args=[chance.choice(list(hostile.ANYTHING)), what, what])
            scheduler.add_job("bad", hostile_tasks.fail_badly, args=[what])
            for name in ("fail", "bad"):
                run = scheduler.wait(scheduler.run(name), 60)
                assert run.error is not None
                assert CODE.fullmatch(run.error.code), run.error.code
        before = ledger.stat().st_size
        until(lambda: ledger.stat().st_size >= before + 10, "the innocent job goes on")


OLD = {
    "deep": "[" * 900 + "]" * 900,
    "deeper": "[" * 50_000 + "]" * 50_000,
    "long": "9" * 5_000,
    "half": '{"\\ud800": ["\\udce9"]}',
    "broken": '{"a',
}
"""Results as older versions kept them, or the disk has."""


def test_what_an_older_version_kept_stops_nothing_after_a_restart(place: Site) -> None:
    echo = {"type": "command", "command": f"echo tick >> {place.ledger}"}
    jobs: list[dict[str, Any]] = [{"job_id": "innocent", "schedule": "every 1s", "task": echo}]
    for name in OLD:
        give = {"type": "command", "command": 'echo 1 > "$GNOMON_RESULT"; exit 1'}
        need = {"type": "command", "command": ["echo", f"${{runs.{name}.result}}"]}
        retry = {"delay": "1h"}
        jobs.append({"job_id": name, "schedule": "@reboot", "task": give, "restarts": 1, "retry": retry})
        jobs.append({"job_id": f"after-{name}", "depends_on": [{"job": name, "when": "finished"}], "task": need})
        jobs.append({"job_id": f"each-{name}", "depends_on": [{"job": name, "when": "finished"}], "task": echo})
        jobs[-1]["for_each"] = f"${{runs.{name}.result}}"
    place.write("jobs.json", {"jobs": jobs})
    server = place.serve()
    waiting = "select count(*) n from runs where state = 'retry_wait'"
    until(lambda: place.rows(waiting)[:1] and place.rows(waiting)[0]["n"] == len(OLD), "all wait for their retry", 60)
    place.kill(server)
    with sqlite3.connect(place.db) as db:
        for name, text in OLD.items():
            db.execute("update runs set result = ?, available_at = 0 where job_id = ?", (text, name))
        db.execute("update runs set error_code = ? where job_id = 'half'", ("c" * 3_000_000,))
    db.close()
    place.serve()
    over = "select count(*) n from runs where job_id != 'innocent' and state in ('failed', 'succeeded', 'skipped')"
    until(lambda: place.rows(over)[0]["n"] >= 3 * len(OLD), "all of it is over", 60)
    innocent(place, 2, "beside it")
    ends = {run["job_id"]: run for run in place.cli("runs", "list", "--limit", "200")}
    assert ends["half"]["state"] == "failed"
    assert place.cli("runs", "show", ends["each-half"]["id"])["state"] == "failed"
    assert b"a step of the scheduler failed" not in place.log.read_bytes()
