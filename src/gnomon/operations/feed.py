"""What was changed, commit by commit: for dashboards and programs that follow along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gnomon.core.ports import Reader
from gnomon.core.records import Change
from gnomon.core.values import JsonObject, rfc3339

from .context import Desk

MOST_IDS = 200
"""Of each kind of object, one event names at most so many."""
_ACCESS = {"tokens", "users", "sessions"}
"""Kinds that followers are not told of: they only show that somebody may have been shut out."""


@dataclass(frozen=True, slots=True)
class Part:
    """Part of the feed.

    Attributes:
        events: in order, as `(seq, object)`.
        last: the newest change there is.
        whole: nothing is missing between the asked place and the first event. Otherwise its reader starts anew.
        access: something was changed about who may come in.
    """

    events: Sequence[tuple[int, JsonObject]]
    last: int
    whole: bool
    access: bool = False


def feed_after(desk: Desk, seq: int, limit: int = 200) -> Part:
    """The changes after `seq`, at most `limit`. They are kept for an hour."""

    def work(reader: Reader) -> Part:
        last = reader.last_change()
        found = reader.changes(seq, limit) if seq < last else ()
        whole = seq == last or (bool(found) and found[0].seq == seq + 1)
        wanted = [run_id for change in found for run_id in change.ids.get("runs", ())[:MOST_IDS]]
        runs = reader.runs_by_id(wanted) if wanted else {}
        states = {
            run.id: {"id": run.id, "job_id": run.job_id, "flow_id": run.flow_id, "state": str(run.state)}
            for run in runs.values()
        }
        access = not whole or any(_ACCESS & change.ids.keys() for change in found)
        return Part([(change.seq, _view(change, states)) for change in found], last, whole, access)

    return desk.store.read(work)


def newest_change(desk: Desk) -> int:
    """The place at which somebody begins who follows from now on."""
    return desk.store.read(lambda reader: reader.last_change())


def _view(change: Change, runs: dict[str, dict[str, str]]) -> JsonObject:
    """`{"seq", "at", KIND: [ids], "runs": [{"id", "job_id", "flow_id", "state"}], "more": [kinds cut off]}`.

    A run has the state it is in when the event is read; one that is gone by then has its id alone.
    """
    kinds = {kind: list(ids[:MOST_IDS]) for kind, ids in change.ids.items() if kind != "runs" and kind not in _ACCESS}
    named = [runs.get(run_id, {"id": run_id}) for run_id in change.ids.get("runs", ())[:MOST_IDS]]
    more = sorted(kind for kind, ids in change.ids.items() if len(ids) > MOST_IDS)
    return {"seq": change.seq, "at": rfc3339(change.at), **kinds, "runs": named, "more": more}
