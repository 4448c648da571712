"""Files called like modules of the library lie where gnomon is started: nothing of gnomon's own runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

TRAP = "import os\nopen({marker!r}, 'a').write(__name__ + '\\n')\nraise SystemExit('not this one')\n"
MINE = """
def plain():
    return __name__
async def later():
    return "later"
def fails():
    raise LookupError("no such thing")
"""
JOBS: dict[str, Any] = {
    "file": {"type": "file", "operation": "append", "path": "{root}/made", "content": "x"},
    "http": {"type": "http", "url": "http://127.0.0.1:{port}/"},
    "sql": {"type": "sql", "url": "sqlite:///{root}/some.db", "query": "select 1 as one"},
    "plain": {"type": "python", "callable": "mine:plain"},
    "later": {"type": "python", "callable": "mine:later"},
    "secret": {"type": "command", "command": "echo $S", "env": {"S": "env:SHADOW_SECRET"}},
    "fails": {"type": "python", "callable": "mine:fails"},
    "missing": {"type": "python", "callable": "mine:plane"},
}


class Page(BaseHTTPRequestHandler):
    """Says that all is well."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A directory with a trap for every module of the library, and for what packages would import if it were there."""
    names = {name for name in sys.stdlib_module_names if not name.startswith("__")} - {"antigravity", "this"}
    for name in names | {"brotli", "simplejson", "httpx", "yaml", "sitecustomize", "usercustomize"}:
        (tmp_path / f"{name}.py").write_text(TRAP.format(marker=str(tmp_path / "sprung")))
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "some.db").touch()
    return tmp_path


def gnomon(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GNOMON_", "PYTHON"))}
    command = [Path(sys.executable).with_name("gnomon"), *words]
    return subprocess.run(
        command,
        cwd=place,
        env=environment | {"SHADOW_SECRET": "tell nobody"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_every_way_of_performing(trapped: Path, port: int) -> None:
    text = json.dumps([{"job_id": name, "task": task} for name, task in JOBS.items()])
    (trapped / "jobs.json").write_text(text.replace("{root}", str(trapped)).replace("{port}", str(port)))
    done = gnomon(trapped, "run", "jobs.json", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    runs = {run["job_id"]: run for run in json.loads(done.stdout)["runs"]}
    assert not (trapped / "sprung").exists(), (trapped / "sprung").read_text()
    good = set(JOBS) - {"fails", "missing"}
    assert {name: runs[name]["state"] for name in good} == dict.fromkeys(good, "succeeded")
    assert runs["fails"]["error"]["code"] == "LookupError"
    assert "did you mean 'plain'" in runs["missing"]["error"]["message"]
