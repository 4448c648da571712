"""`for_each`: one run per item of a list, and a parent run that ends when all of them have ended.

The parent is running from the moment its list is known until its last item has ended; it has no attempt and takes no
slot. Its items are ordinary runs of the same job, in the same flow, under the job's own limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from . import lifecycle
from .attempts import Failure
from .errors import usage
from .handover import Unkept, kept
from .keys import flow_key, key_parts
from .lifecycle import SKIPPED_BY_HAND
from .model import Job
from .records import RunRecord
from .replacing import replace
from .reports import BAD_RESULT
from .states import RunEvent, State, advance
from .values import Json, canonical_json

PARENTS = "for_each: parents"
"""The line in which parents wait for their turn; no worker serves it."""

MOST_ITEMS = 1000
"""A list that is longer fails its run: somebody meant something else."""

RESULTS_LIMIT = 1 << 20
"""Bytes of JSON that the results of all items may have together."""


@dataclass(frozen=True, slots=True)
class Item:
    """One element of the list, and its place in it. `repeats`: the run of it that is run again."""

    index: int
    value: Json
    repeats: str | None = None


def checked_items(value: Json) -> list[Item]:
    """The items of a list.

    Raises:
        UsageError: `for_each_not_a_list`, `for_each_too_large`.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        text = f"for_each is {_kind(value)}, not a list"
        hint = "let it refer to a list, such as ${runs.JOB.result.rows}"
        raise usage("for_each_not_a_list", text, key="for_each", hint=hint)
    if len(value) > MOST_ITEMS:
        text = f"for_each has {len(value)} items; at most {MOST_ITEMS} are run"
        raise usage("for_each_too_large", text, key="for_each", hint="let each item stand for a batch")
    try:
        items = kept(value, RESULTS_LIMIT)
    except Unkept as why:
        raise usage("for_each_too_large", f"for_each: {why}", key="for_each", hint="let items name files") from None
    assert isinstance(items, list)
    return [Item(index, item) for index, item in enumerate(items)]


def index_of(run: RunRecord) -> int:
    """The place of an item in its list, from 0."""
    return int(key_parts(run.run_key).item or 0)


def standing_items(rounds: Iterable[Iterable[RunRecord]]) -> dict[int, RunRecord]:
    """The run that counts of each item: the newest, which has the highest generation.

    Args:
        rounds: the items of a parent and of those it repeats.
    """
    newest: dict[int, RunRecord] = {}
    for run in (run for some in rounds for run in some):
        index, number = index_of(run), key_parts(run.run_key).generation
        if index not in newest or number > key_parts(newest[index].run_key).generation:
            newest[index] = run
    return dict(sorted(newest.items()))


def to_repeat(standing: Mapping[int, RunRecord]) -> list[Item]:
    """The items that have not ended well."""
    return [Item(index, run.item, run.id) for index, run in standing.items() if not _good(run)]


def item_runs(
    parent: RunRecord, job: Job, items: Sequence[Item], generation: int, now: datetime, ids: Sequence[str]
) -> list[RunRecord]:
    """The runs of `items`, queued, in the order of the list.

    Args:
        ids: fresh ids, one each, ascending.
    """
    base = replace(
        parent,
        state=State.QUEUED,
        due_at=parent.fire_at or parent.due_at,
        created_at=now,
        schedule_id=None,
        fire_at=None,
        queue=job.queue,
        exclusive=False,
        pools=dict(job.pools),
        max_active=job.max_active,
        available_at=None,
        deadline_at=None,
        queued_at=now,
        started_at=None,
        lateness_s=None,
        waiting_for=None,
        note=None,
        parent_id=parent.id,
    )
    return [
        replace(
            base,
            id=run_id,
            run_key=flow_key(parent.flow_id, parent.job_id, str(item.index), generation),
            item=item.value,
            retry_of=item.repeats,
        )
        for run_id, item in zip(ids, items, strict=True)
    ]


def expanded(parent: RunRecord, count: int, kept: int, now: datetime) -> RunRecord:
    """Its items are there."""
    run = replace(parent, state=advance(parent.state, RunEvent.START), available_at=None)
    note = f"{kept} of {kept + count} items are kept from run {parent.retry_of}" if kept else parent.note
    return replace(lifecycle.begun(run, now), waiting_for=f"{count} items" if count != 1 else "1 item", note=note)


def concluded(parent: RunRecord, standing: Mapping[int, RunRecord], before: Json, now: datetime) -> RunRecord:
    """A parent whose items are all over.

    Args:
        standing: the run that counts of each item.
        before: the result of the parent it repeats: for items of which no run is kept any more.
    """
    old = list(before) if isinstance(before, Sequence) and not isinstance(before, str) else []
    size = max(len(old) if parent.retry_of else 0, max(standing, default=-1) + 1)
    results: list[Json] = []
    for index in range(size):
        run = standing.get(index)
        results.append((run.result if _good(run) else None) if run is not None else old[index])
    start = parent.started_at or now
    parent = replace(parent, result=results, duration_s=max(0.0, (now - start).total_seconds()))
    bad = [run for run in standing.values() if not _good(run)]
    if bad and parent.cancel_requested_at is not None:
        return lifecycle.close(parent, RunEvent.CANCEL, now, parent.cancel_reason or "cancelled")
    if bad:
        return _failed(parent, "items_failed", _complaint(bad, size), now)
    weight = len(canonical_json(results).encode("utf-8", "replace"))
    if weight > RESULTS_LIMIT:
        text = f"the results of {size} items are {weight} bytes of JSON; at most {RESULTS_LIMIT} are kept"
        return _failed(replace(parent, result=None), "result_too_large", text, now)
    lost = {index: why for index, run in standing.items() if (why := lifecycle.why_no_result(run))}
    if lost:
        first, why = next(iter(lost.items()))
        note = f"{BAD_RESULT}: null stands for the results of {len(lost)} items; of item {first}: {why}"
        parent = replace(parent, note="; ".join(text for text in (parent.note, note) if text))
    return lifecycle.close(parent, RunEvent.SUCCEED, now)


def _failed(parent: RunRecord, code: str, text: str, now: datetime) -> RunRecord:
    weight = len(canonical_json(parent.result).encode("utf-8", "replace"))
    parent = replace(parent, result=None if weight > RESULTS_LIMIT else parent.result, error=Failure(code, text))
    return lifecycle.close(parent, RunEvent.FAIL, now)


def _complaint(bad: Sequence[RunRecord], size: int) -> str:
    """How many did not succeed, how they ended, and the first of them."""
    counts: dict[str, int] = {}
    for run in bad:
        counts[run.state] = counts.get(run.state, 0) + 1
    ends = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    first = bad[0]
    why = f": {first.error.message}" if first.error else ""
    shown = canonical_json(first.item)
    name = shown if len(shown) <= 60 else shown[:57] + "…"
    return f"{len(bad)} of {size} items did not succeed ({ends}); first item {index_of(first)} ({name}){why}"


def _good(run: RunRecord) -> bool:
    return run.state is State.SUCCEEDED or (run.state is State.SKIPPED and run.reason == SKIPPED_BY_HAND)


def _kind(value: Json) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return "a mapping" if isinstance(value, Mapping) else f"{value!r}"
