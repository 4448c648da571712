"""A canary secret, given to every kind of task that can hold one, and made to sing: it must be found nowhere."""

from __future__ import annotations

import base64
import http.server
import os
import re
import sqlite3
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gnomon.tasks import TaskTypeCatalogue
from tests.e2e.test_cli import Place, place
from tests.support.service import until

__all__ = ["place"]
CANARY = "Tw33t/tw00+canary & Söhne%"
SINGER = """
import base64, os, sys, time, urllib.parse
secret = os.environ["SONG"]
print("raw", secret)
print("twice", secret + secret, file=sys.stderr)
for before in ("", "a", "ab", "user:"):
    print("base64", base64.b64encode((before + secret).encode()).decode())
    print("urlsafe", base64.urlsafe_b64encode((before + secret + "!").encode()).decode().rstrip("="))
print("quoted", urllib.parse.quote(secret), urllib.parse.quote_plus(secret), urllib.parse.quote(secret, safe=""))
print("lower", "".join(f"%{byte:02x}" for byte in secret.encode()))
print("json", __import__("json").dumps({secret: secret}))
for cut in (1, 7, len(secret) - 1):
    for part in ("split ", secret[:cut], secret[cut:]):
        sys.stdout.write(part)
        sys.stdout.flush()
        time.sleep(0.02)
    print()
with open(os.environ["GNOMON_RESULT"], "w") as file:
    __import__("json").dump({"said": [secret], secret: base64.b64encode(secret.encode()).decode()}, file)
print("input", sys.stdin.read())
sys.exit(int(sys.argv[1]))
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """Says back what it was asked, in headers and body; `/fail` refuses."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        said = f"{self.path} {dict(self.headers)} {body} {CANARY} {urllib.parse.quote(CANARY)}".encode()
        self.send_response(500 if "fail" in self.path else 200)
        self.send_header("Content-Length", str(len(said)))
        self.send_header("X-Song", base64.b64encode(CANARY.encode()).decode())
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def echo() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@cache
def spellings() -> dict[str, bytes]:
    """What must not be found. Of base64, the part that is the same whatever stands around it."""
    raw = CANARY.encode()
    found = {
        "raw": raw,
        "half": raw[: len(raw) // 2 + 3],
        "the other half": raw[len(raw) // 2 - 2 :],
        "json": CANARY.encode("ascii", "backslashreplace").replace(b"\\xf6", b"\\u00f6"),
        "quote": urllib.parse.quote(CANARY).encode(),
        "quote all": urllib.parse.quote(CANARY, safe="").encode(),
        "quote_plus": urllib.parse.quote_plus(CANARY).encode(),
        "lower": "".join(f"%{byte:02x}" for byte in raw).encode(),
    }
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw + b"??")
        sure = text[-(-before * 4 // 3) : (before + len(raw)) * 4 // 3]
        found[f"base64, {before} before"] = sure[2:-2]
        found[f"urlsafe, {before} before"] = sure[2:-2].translate(bytes.maketrans(b"+/", b"-_"))
    return found


def hits(data: bytes) -> list[str]:
    return [name for name, needle in spellings().items() if needle in data]


def files_below(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in root.rglob("*"):
        try:
            if path.is_file():
                yield str(path), path.read_bytes()
        except OSError:
            continue


class Watch(threading.Thread):
    """Looks at the command lines of all processes, again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.found: set[str] = set()
        self.seen = 0

    def run(self) -> None:
        while not self.over.wait(0.01):
            for name in filter(str.isdecimal, os.listdir("/proc")):
                try:
                    line = Path("/proc", name, "cmdline").read_bytes()
                except OSError:
                    continue
                self.seen += b"singer.py" in line
                if hits(line):
                    self.found.add(line.decode("utf-8", "replace"))


def jobs(root: Path, url: str) -> dict[str, Any]:
    """A job file with a job of every registered task type that has a place for a secret, well and badly ending."""
    singer, known = str(root / "singer.py"), set(TaskTypeCatalogue().names())
    song = {"env": {"SONG": "env:CANARY"}, "stdin": "env:CANARY"}
    dead = "127.0.0.1"
    tasks: dict[str, dict[str, Any]] = {
        "sing": {"type": "command", "command": ["python3", singer, "0"], **song},
        "sing-badly": {"type": "command", "command": ["python3", singer, "3"], **song},
        "sing-in-shell": {"type": "command", "command": 'echo "$SONG"; no-such-"$SONG"; cd "/$SONG"; exit 5', **song},
        "sing-from-file": {"type": "command", "command": ["cat"], "stdin": f"file:{root}/secret"},
        "sing-configured": {"use": "stage"},
    }
    if "http" in known:
        headers = {"X-Key": "env:CANARYB64", "Authorization": "env:CANARYB64"}
        basic = {"basic": {"username": "me", "password": "env:CANARY"}}
        common = {"type": "http", "headers": {"X-Key": "env:CANARYB64"}, "query": {"q": "env:CANARY"}, "method": "POST"}
        tasks |= {
            "http": {**common, "url": f"{url}/ok", "json": {"deep": ["env:CANARY"]}, "auth": basic},
            "http-500": {**common, "url": f"{url}/fail", "form": {"a": "env:CANARY"}, "headers": headers},
            "http-dead": {**common, "url": "env:DEAD_URL"},
        }
    if "sql" in known:
        tasks |= {
            "sql": {
                "type": "sql", "url": f"sqlite:///{root}/own.db",
                "query": "select :s as a, :s || 'x' as b", "parameters": {"s": "env:CANARY"},
            },
            "sql-bad": {
                "type": "sql", "url": f"sqlite:///{root}/own.db",
                "query": "select * from nowhere where a = :s", "parameters": {"s": "env:CANARY"},
            },
            "sql-dead": {"type": "sql", "url": "env:DEAD_DSN", "query": "select 1", "connect_timeout": 2},
            "sql-file": {"type": "sql", "url": "env:BAD_FILE", "query": "select 1"},
        }  # fmt: skip
    if "mongo" in known:
        tasks["mongo-dead"] = {
            "type": "mongo", "url": "env:DEAD_MONGO", "database": "d", "collection": "c", "operation": "find",
        }  # fmt: skip
    if "email" in known:
        tasks["email-dead"] = {
            "type": "email", "host": dead, "port": 9, "username": "me", "password": "env:CANARY",
            "from": "a@example.org", "to": ["b@example.org"], "subject": "s", "text": "t",
        }  # fmt: skip
    if "file" in known:
        tasks["file-dead"] = {
            "type": "file", "operation": "read", "path": "ftp://127.0.0.1:9/x",
            "storage_options": {"username": "me", "password": "env:CANARY"},
        }  # fmt: skip
    stage = {
        "type": "command",
        "command": ["python3", singer, "4"],
        "env": {"SONG": "env:CANARY"},
        "stdin": "env:CANARY",
    }
    listed = [{"job_id": name, "task": task, "timeout": 30} for name, task in tasks.items()]
    return {
        "configurations": {"stage": stage, "unused": {"type": "command", "env": {"password": "env:CANARY"}}},
        "jobs": listed,
    }


def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the scheduler."""
    quoted = urllib.parse.quote(CANARY, safe="")
    monkeypatch.setenv("CANARY", CANARY)
    monkeypatch.setenv("CANARYB64", base64.b64encode(f"me:{CANARY}".encode()).decode())
    monkeypatch.setenv("DEAD_URL", f"http://me:{quoted}@127.0.0.1:9/{quoted}?k={quoted}")
    monkeypatch.setenv("DEAD_DSN", f"postgresql://me:{quoted}@127.0.0.1:9/db")
    monkeypatch.setenv("BAD_FILE", f"sqlite:////nowhere/{CANARY}/x.db")
    monkeypatch.setenv("DEAD_MONGO", f"mongodb://me:{quoted}@127.0.0.1:9/?serverSelectionTimeoutMS=500")


def answers(place: Place) -> Iterator[tuple[str, bytes]]:
    """What the command line says about everything."""
    runs = place.cli("runs", "list", "--limit", "500")
    questions = [
        *(["runs", "list"], ["jobs", "list"], ["jobs", "files"], ["configurations", "list"], ["doctor"]),
        *(["configurations", "show", "stage"], ["configurations", "history", "stage"], ["validate", str(place.jobs)]),
        *([word, name, run["id"]] for run in runs for word, name in (("runs", "show"), ("runs", "logs"))),
        *(["why", run["job_id"]] for run in runs),
    ]
    for words in questions:
        for done in (place.plain(*words), place.plain(*words, "--json")):
            yield " ".join(words), (done.stdout + done.stderr).encode()


def test_the_canary_is_found_nowhere(place: Place, echo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets(monkeypatch)
    outside = place.root.parent / f"{place.root.name}-outside"
    outside.mkdir()
    (outside / "singer.py").write_text(SINGER)
    (outside / "secret").write_text(CANARY + "\n")
    (outside / "own.db").touch()
    document = jobs(outside, echo)
    names = [entry["job_id"] for entry in document["jobs"]]
    assert not hits(str(document).encode())
    place.write("jobs.json", document)
    place.write(
        "broken.json", {"job_id": "b", "task": {"type": "command", "command": ["x"], "env": {"A B": "env:CANARY"}}}
    )
    watch = Watch()
    watch.start()
    process = place.serve("--log-level", "debug")
    until(lambda: len(place.rows("select 1 from jobs")) == len(names), f"all jobs are loaded: {place.log.read_text()}")
    for name in names:
        place.cli("run", name, "--no-wait")
    ended = "select job_id, state, result, error_message from runs where finished_at is not null"
    until(lambda: len(place.rows(ended)) == len(names), "all runs are over", 60)
    watch.over.set()
    watch.join()
    rows = {row["job_id"]: row for row in place.rows(ended)}
    sung = place.cli("runs", "logs", next(r["id"] for r in place.cli("runs", "list", "--job", "sing")))["log"]
    assert re.findall(r"^raw (.*)$", sung, re.M) == ["***"], "it has sung, and was struck out"
    assert re.findall(r"^split (.*)$", sung, re.M) == ["***"] * 3
    assert re.findall(r"^input (.*)$", sung, re.M) == ["***"]
    assert rows["sing"]["result"] == '{"said":["***"],"***":"***"}'
    assert {name: row["state"] for name, row in rows.items() if row["state"] == "succeeded"}.keys() >= {
        *("sing", "sing-from-file"),
        *({"http"} & rows.keys()),
        *({"sql"} & rows.keys()),
    }, [f"{name}: {row['state']}, {row['error_message']}" for name, row in rows.items()]
    assert not [name for name in rows if re.search(r"bad|dead|500|shell", name) and rows[name]["state"] == "succeeded"]

    found = [f"{where}: {hit}" for where, said in answers(place) for hit in hits(said)]
    assert watch.seen, "processes were seen while they ran"
    assert not watch.found
    found += [f"file {path}: {hit}" for path, data in files_below(place.root) for hit in hits(data)]
    place.kill(process, 15)
    found += [f"file after the end {path}: {hit}" for path, data in files_below(place.root) for hit in hits(data)]
    with closing(sqlite3.connect(place.db)) as db:
        dump = "\n".join(db.iterdump()).encode()
    found += [f"database: {hit}" for hit in hits(dump)]
    assert not found, "\n".join(found)
    assert b"env:CANARY" in dump, "the reference is kept"


def test_the_search_would_find_it(tmp_path: Path) -> None:
    (tmp_path / "singer.py").write_text(SINGER)
    environment = {**os.environ, "SONG": CANARY, "GNOMON_RESULT": str(tmp_path / "result")}
    said = subprocess.run(
        ["python3", tmp_path / "singer.py", "0"],
        env=environment,
        input=CANARY.encode(),
        capture_output=True,
        check=True,
    ).stdout
    assert set(hits(said)) == set(spellings())
