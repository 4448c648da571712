"""Jobs inside a Flask application, in as many processes as there are: each fire once.

    pip install gnomon flask gunicorn
    gunicorn --chdir examples --workers 4 --bind 127.0.0.1:8000 flask_app:app

Every worker imports this module and starts its own scheduler; they meet in the database file. Kill any of them: the
others go on, and take over what it left.
"""

from __future__ import annotations

import os

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

from gnomon import Scheduler

app = Flask(__name__)
scheduler = Scheduler(os.environ.get("JOBS_DB", "jobs.db"))


@scheduler.job(interval=1, args=["${fire_time}"])
def tick(fire_time: str) -> int:
    """Write down that it fired, in one write: several processes may do so at once."""
    with open(os.environ.get("LEDGER", os.devnull), "ab", buffering=0) as ledger:
        ledger.write(f"{fire_time} {os.getpid()}\n".encode())
    return os.getpid()


@app.get("/runs")
def runs() -> ResponseReturnValue:
    """The newest runs, of all processes."""
    found = scheduler.runs("tick", limit=20)
    return jsonify([{"fire_at": run.fire_at, "state": run.state, "by": run.result} for run in found])


@app.post("/tick")
def run_now() -> ResponseReturnValue:
    """A run on demand; any process may do it."""
    return jsonify({"run": scheduler.run("tick").id}), 202


scheduler.start()
