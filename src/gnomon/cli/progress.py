"""The progress of a pipeline: a live table on a terminal, elsewhere a line for every change of state."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from gnomon.system.unblocked import unblocked

from .output import console, seconds, state_text
from .sanitising import plain

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from gnomon.core.records import RunRecord


@contextlib.contextmanager
def unread_progress() -> Iterator[None]:
    """What is printed on stdout and stderr in the body keeps nobody waiting: jobs go on if nobody reads it."""
    before = sys.stdout, sys.stderr
    with unblocked(sys.stdout) as out, unblocked(sys.stderr) as err:
        try:
            sys.stdout, sys.stderr = out, err
            yield
        finally:
            sys.stdout, sys.stderr = before


class Progress:
    """Shows runs while they change. `quiet`: nothing at all."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._states: dict[str, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(console=console(), refresh_per_second=8, transient=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, runs: Sequence[RunRecord]) -> None:
        """Show the runs as they are now."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(_table(runs))
            return
        for run in runs:
            state = str(run.state)
            if run.state == "running":  # a run with items has no attempt of its own
                state = (
                    f"running (attempt {run.attempts})" if run.attempts else f"running ({run.waiting_for or 'items'})"
                )
            if self._states.get(run.id) != state:
                self._states[run.id] = state
                print(f"{run.job_id}: {state}{_remark(run)}", flush=True)


def _remark(run: RunRecord) -> str:
    if run.state in ("failed", "skipped", "cancelled", "retry_wait"):
        return f": {plain(run.error.message)}" if run.error else f" ({run.reason})" if run.reason else ""
    if run.state == "waiting":
        return f" for {run.waiting_for}" if run.waiting_for else ""
    return f" in {seconds(run.duration_s)}" if run.duration_s is not None else ""


def _table(runs: Sequence[RunRecord]) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False, expand=False)
    for run in runs:
        grid.add_row(run.job_id, state_text(run.state), _remark(run).removeprefix(": ").strip())
    over = sum(run.state in ("succeeded", "failed", "cancelled", "skipped") for run in runs)
    grid.add_row(ProgressBar(total=max(len(runs), 1), completed=over, width=30), f"{over} of {len(runs)}", "")
    return grid
