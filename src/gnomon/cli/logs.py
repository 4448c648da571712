"""`gnomon runs logs`, and following a run to its end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gnomon.core.errors import UsageError

from .command import command
from .sanitising import RESET, colours_only, held_back
from .session import Session

if TYPE_CHECKING:
    from gnomon.operations.context import Desk, Elsewhere

_ENDED = ("succeeded", "failed", "cancelled", "skipped")
_LOOK_S = 0.1
_BLOCK = 1 << 20


def register(app: typer.Typer) -> None:
    """Add `logs`."""
    command(app, "logs")(logs)


def logs(
    session: Session,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or its beginning.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="Of this attempt; the newest.")
    ] = None,
) -> None:
    """What a run printed. A terminal gets colours, but no other control sequences; a pipe gets every byte."""
    from gnomon.operations.runs import read_log, show_run

    with session.desk() as desk:
        found = cast(dict[str, Any], show_run(desk, run))
        if session.json:
            _as_json(desk, found, attempt)
            return
        out = Printer()
        if follow:
            follow_run(desk, found["id"], out, attempt)
            return
        offset = 0
        while True:
            data, offset, _ = read_log(desk, found["id"], attempt, offset, _BLOCK)
            if not data:
                break
            out.write(data)
        out.end()


def _as_json(desk: Desk, run: dict[str, Any], attempt: int | None) -> None:
    from gnomon.operations.runs import read_log

    from .output import print_json

    parts: list[bytes] = []
    offset, complete = 0, False
    while True:
        data, offset, complete = read_log(desk, run["id"], attempt, offset, _BLOCK)
        parts.append(data)
        if not data:
            break
    number = attempt or len(run["attempts"]) or None
    text = b"".join(parts).decode("utf-8", "replace")
    print_json({"run_id": run["id"], "attempt": number, "complete": complete, "log": text})


def _is_terminal() -> bool:
    return sys.stdout.isatty()


@dataclass(slots=True)
class Printer:
    """Writes output of a job to stdout: raw, or to a terminal without what could drive it."""

    terminal: bool = field(default_factory=_is_terminal)
    _held: bytes = b""

    def write(self, data: bytes) -> None:
        """Print a block; what may be half a sequence waits for the next."""
        if self.terminal:
            data = self._held + data
            keep = held_back(data)
            self._held, data = data[len(data) - keep :], colours_only(data[: len(data) - keep])
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def end(self) -> None:
        """Print what waits, and leave the terminal in its own colours."""
        if self.terminal:
            sys.stdout.buffer.write(colours_only(self._held) + RESET)
            self._held = b""
        sys.stdout.buffer.flush()


def follow_run(
    desk: Desk,
    run_id: str,
    out: Printer | None,
    attempt: int | None = None,
    *,
    from_first: bool = False,
    changed: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Print what a run prints, from its newest attempt on (or only of one), until it is over; returns it.

    Args:
        out: None: print nothing. from_first: begin with the first attempt.
        changed: called with the run whenever its row changed.
    """
    from gnomon.operations.runs import show_run

    if desk.elsewhere is not None:
        return _follow_there(desk.elsewhere, run_id, out, attempt, from_first, changed)
    version: int | None = None
    run: dict[str, Any] = {}
    number, offset = attempt or 0, 0
    while True:
        now = desk.store.data_version()
        if now != version:
            fresh = cast(dict[str, Any], show_run(desk, run_id))
            if fresh != run:
                run = fresh
                if changed is not None:
                    changed(run)
            version = now
        live = [a["number"] for a in run["attempts"]]
        if attempt is not None and run["state"] in _ENDED and attempt not in live:
            raise UsageError(*_no_attempt(run, attempt))
        if attempt is None:
            newest = live[-1] if live else 0
            number = number or (min(newest, 1) if from_first else newest)
        ended = run["state"] in _ENDED if attempt is None else _over(run, attempt)
        offset = _drain(desk, run_id, number, offset, out)
        if attempt is None and live and number < live[-1]:
            number, offset = number + 1, 0
            continue
        if ended:
            if out is not None:
                out.end()
            return run
        threading.Event().wait(_LOOK_S)


def _follow_there(
    elsewhere: Elsewhere,
    run_id: str,
    out: Printer | None,
    attempt: int | None,
    from_first: bool,
    changed: Callable[[dict[str, Any]], None] | None,
) -> dict[str, Any]:
    """The same, of a server."""
    from gnomon.remote import following
    from gnomon.remote.desk import Server

    assert isinstance(elsewhere, Server)
    write = None if out is None else out.write
    run = following.follow_run(elsewhere.client, run_id, write, attempt, from_first=from_first, changed=changed)
    if out is not None:
        out.end()
    return run


def _over(run: dict[str, Any], attempt: int) -> bool:
    return any(a["number"] == attempt and a["outcome"] is not None for a in run["attempts"])


def _no_attempt(run: dict[str, Any], attempt: int) -> list[Any]:
    from gnomon.core.errors import Problem

    count = len(run["attempts"])
    return [Problem("attempt_not_found", f"run {run['id']} has no attempt {attempt}", hint=f"it has {count}")]


def _drain(desk: Desk, run_id: str, number: int, offset: int, out: Printer | None) -> int:
    """Print what is new of an attempt's output."""
    while out is not None and number:
        data, offset = desk.logs.read(run_id, number, offset, _BLOCK)
        if not data:
            break
        out.write(data)
    return offset
