"""Alerts of real schedulers that are killed: each message arrives, once for each incident, in its order."""

from __future__ import annotations

import signal
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.hooks import Hooks, Post, hooks
from tests.support.service import Site, site, until

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(120)]


def settings(place: Site, text: str) -> None:
    (place.root / "gnomon.toml").write_text(text)


def ops(server: Hooks) -> str:
    return f'[alerts]\ndefault = ["ops"]\n[alerts.ops]\ntype = "webhook"\nurl = "{server.url("/ops")}"\n'


def failing(place: Site, count: int, **more: Any) -> None:
    """Jobs that fail until there is a file `ok`."""
    task = ["test", "-e", str(place.root / "ok")]
    told = {"channels": ["ops"], "on": ["failed", "recovered"]}  # on a busy machine fires are missed, too
    more = {"alerts": told, **more}
    jobs = [{"job_id": f"j{n}", "schedule": "every 500ms", "task": task, **more} for n in range(count)]
    place.write("jobs.json", {"jobs": jobs})


def by_job(posts: list[Post]) -> dict[str, list[tuple[str, str]]]:
    """Of each job (event, key) in the order in which they came first."""
    found: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
    for post in posts:
        found[post.json["job_id"]][post.json["event"], post.headers["idempotency-key"]] = None
    return {job: list(messages) for job, messages in found.items()}


def test_a_storm_with_two_schedulers_and_kills_in_its_middle(tmp_path: Path) -> None:
    with site(tmp_path) as place, hooks() as server:
        settings(place, ops(server))
        failing(place, 20)
        schedulers = [place.serve(), place.serve()]
        for kill in range(4):
            before = place.states().get("failed", 0)
            until(lambda before=before: place.states().get("failed", 0) >= before + 60, "more failures", 40)
            place.kill(schedulers.pop(kill % 2))
            schedulers.append(place.serve())
        assert place.states()["failed"] >= 200
        (place.root / "ok").touch()
        over = "select count(*) n from incidents where closed_at is not null"
        waiting = "select count(*) n from deliveries where next_at is not null"
        until(lambda: place.rows(over)[0]["n"] == 20 and not place.rows(waiting)[0]["n"], "all is well again", 60)
        failed = [post for post in server.posts if post.json["event"] in ("failed", "recovered")]
        told = by_job(failed)
        assert {job: [event for event, _ in messages] for job, messages in told.items()} == {
            f"j{n}": ["failed", "recovered"] for n in range(20)
        }
        repeated = Counter(post.headers["idempotency-key"] for post in failed)
        assert sum(repeated.values()) <= 40 + 4 * 20  # only what was on its way when a scheduler was killed
        assert {row["n"] for row in place.rows("select count(*) n from incidents group by job_id")} == {1}


def test_two_schedulers_send_once(tmp_path: Path) -> None:
    with site(tmp_path) as place, hooks() as server:
        settings(place, ops(server))
        failing(place, 10)
        place.serve()
        place.serve()
        until(lambda: len(place.rows("select 1 from nodes")) == 2, "two schedulers")
        until(lambda: place.states().get("failed", 0) >= 60, "failures", 40)
        until(lambda: len(server.posts) >= 10, "ten messages")
        assert Counter(post.json["job_id"] for post in server.posts) == {f"j{n}": 1 for n in range(10)}


def test_what_was_decided_but_not_sent_survives_a_kill(tmp_path: Path) -> None:
    """Killed while the message is on its way: it comes again, with the same key. Then never again."""
    with site(tmp_path) as place, hooks() as server:
        settings(place, ops(server))
        server.hold = threading.Event()
        failing(place, 1)
        scheduler = place.serve()
        until(lambda: server.posts, "the message is on its way")
        assert [row["attempts"] for row in place.rows("select attempts from deliveries")] == [0]
        place.kill(scheduler)
        server.hold.set()
        scheduler = place.serve()
        done = "select 1 from deliveries where delivered_at is not null"
        until(lambda: place.rows(done), "it is known to have arrived")
        assert len(server.posts) == 2
        assert len({post.headers["idempotency-key"] for post in server.posts}) == 1
        place.kill(scheduler)
        before = place.states()["failed"]
        place.serve()
        until(lambda: place.states()["failed"] > before + 3, "more failures")
        assert len(server.posts) == 2


CHANNELS = """
[alerts.hangs]
type = "webhook"
url = "{url}/hangs"
[alerts.endless]
type = "webhook"
url = "{endless}/x"
[alerts.dead]
type = "webhook"
url = "http://127.0.0.1:1/CANARY-path-1"
[alerts.broken]
type = "webhook"
url = "env:BROKEN_HOOK"
[alerts.mail]
type = "email"
host = "127.0.0.1"
port = 1
tls = "none"
from = "a@example.org"
to = "b@example.org"
[alerts.chat]
type = "apprise"
url = "json://user:CANARY-password@127.0.0.1:1/CANARY-path-2"
"""


def test_channels_that_do_not_work_delay_neither_runs_nor_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path) as place, hooks() as server, hooks() as wrong, hooks() as endless:
        server.hold, server.hold_for = threading.Event(), "/hangs"
        wrong.status, wrong.says = 500, b"no hook at /CANARY-path-3/x, said env:BROKEN_HOOK"
        endless.status, endless.endless = 500, True
        monkeypatch.setenv("BROKEN_HOOK", wrong.url("/CANARY-path-3/x"))
        text = ops(server) + CHANNELS.format(url=server.url(""), endless=endless.url(""))
        settings(place, text)
        names = ["hangs", "endless", "dead", "broken", "mail", "chat", "nobody"]
        failing(place, 3, alerts=names, ping=server.url("/hangs"))
        place.write("good.json", {"job_id": "good", "schedule": "every 500ms", "task": ["false"]})
        scheduler = place.serve()
        until(lambda: server.to("/ops"), "the message of the other channel", 20)
        late = "select max(started_at - due_at) / 1e6 late, count(*) n from runs where started_at is not null"
        until(lambda: place.rows(late)[0]["n"] > 40, "runs go on", 40)
        tried = "select channel, max(attempts) tries, max(error) error from deliveries group by channel"
        known = {row["channel"]: row for row in place.rows(tried)}
        assert place.rows(late)[0]["late"] < 4  # on a busy machine; a send that was waited for would be 15
        assert all(known[name]["tries"] >= 1 for name in names if name != "hangs")
        assert "did you mean" in known["nobody"]["error"] or "declare" in known["nobody"]["error"]
        server.hold.set()
        place.kill(scheduler, signal.SIGTERM)
        said = place.cli("alerts", "list")
        assert {incident["job_id"] for incident in said} >= {"good", "j0", "j1", "j2"}
        data = b"".join(path.read_bytes() for path in (*place.root.glob("gnomon.db*"), place.log) if path.is_file())
        assert b"CANARY" not in data
