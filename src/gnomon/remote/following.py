"""Following a run at a server to its end, by its events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

from gnomon.core.errors import Problem, UsageError
from gnomon.core.states import FINAL

from .client import Client

Changed = Callable[[dict[str, Any]], None]


def follow_run(
    client: Client,
    run_id: str,
    write: Callable[[bytes], None] | None,
    attempt: int | None = None,
    *,
    from_first: bool = False,
    changed: Changed | None = None,
) -> dict[str, Any]:
    """Write what a run prints, from its newest attempt on (or only of one), until it is over; returns it.

    Args:
        run_id: its whole id.
        write: None: nothing is written. from_first: begin with the first attempt.
        changed: called with the run whenever it changed, from another thread while output is written.

    Raises:
        UsageError: it is over, and had no such attempt.
    """
    if attempt is not None:
        run = wait(client, run_id, lambda run: _over(run) or _has(run, attempt))
        if not _has(run, attempt):
            hint = f"it has {len(run['attempts'])}"
            raise UsageError(Problem("attempt_not_found", f"run {run_id} has no attempt {attempt}", hint=hint))
    if write is None:
        return wait(client, run_id, _over, changed)
    watcher = threading.Thread(target=_watch, args=(client, run_id, changed), daemon=True)
    if changed is not None:
        watcher.start()
    _write_output(client, run_id, write, attempt, from_first)
    if changed is not None:
        watcher.join(5)
    return cast(dict[str, Any], client.get_run(run_id))


def wait(
    client: Client, run_id: str, done: Callable[[dict[str, Any]], bool], changed: Changed | None = None
) -> dict[str, Any]:
    """The run, once it is as wanted. It is read anew with every event that tells of it."""
    known: dict[str, Any] = {}
    for event in client.follow_events():
        if event.kind == "change" and all(run["id"] != run_id for run in event.data.get("runs", ())):
            continue
        run = cast(dict[str, Any], client.get_run(run_id))
        if run != known and changed is not None:
            changed(run)
        known = run
        if done(known):
            break
    return known


def _watch(client: Client, run_id: str, changed: Changed) -> None:
    try:
        wait(client, run_id, _over, changed)
    except Exception:
        return  # whoever writes the output meets the same, and says so; or has left


def _write_output(
    client: Client, run_id: str, write: Callable[[bytes], None], attempt: int | None, from_first: bool
) -> None:
    """Output as bytes: where an event could not hold them as text, they are read anew."""
    places: dict[int, int] = {}
    begin = "1:0" if from_first and attempt is None else None
    for event in client.follow_run_log(run_id, attempt=attempt, last_event_id=begin):
        number, end = (int(part) for part in event.id.split(":"))
        start = places.get(number, 0)
        if event.kind == "output":
            data = str(event.data["text"]).encode("utf-8")
            whole = len(data) == end - start and b"\xef\xbf\xbd" not in data
            write(data if whole else _read(client, run_id, number, start, end))
        places[number] = end


def _read(client: Client, run_id: str, number: int, start: int, end: int) -> bytes:
    parts = []
    while start < end:
        part = client.get_run_log(run_id, attempt=number, offset=start, limit=min(end - start, 1 << 20))
        if not part.data:
            break
        parts.append(part.data)
        start = part.next
    return b"".join(parts)


def _over(run: dict[str, Any]) -> bool:
    return run["state"] in FINAL


def _has(run: dict[str, Any], attempt: int) -> bool:
    return any(one["number"] == attempt for one in run["attempts"])
