"""What is asked of each run of a list, beside what an index answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select

from gnomon.core.filters import Range
from gnomon.core.records import RunFilter
from gnomon.core.states import State

from .schema import constant, job_definitions, runs
from .session import given, listed, within
from .text_conditions import actor_values, has_word, holds, is_actor, label_values, word_values

_NUMBERED = re.compile(r"([a-z_]+?)[0-9]+")
_TIMED_OUT = and_(runs.c.state == constant(State.FAILED.value), runs.c.error_code == constant("timed_out"))


def rest_conditions(names: frozenset[str]) -> list[ColumnElement[bool]]:
    """The conditions of `rest_values`, by the names of their values."""
    conditions: list[ColumnElement[bool]] = []
    for name in sorted(names):
        numbered = _NUMBERED.fullmatch(name)
        if numbered is not None and numbered[1] in _NUMBERED_CONDITIONS:
            conditions.append(_NUMBERED_CONDITIONS[numbered[1]](name))
        elif name in _CONDITIONS:
            conditions.append(_CONDITIONS[name]())
    if "error0" in names:  # the numbered ones are alternatives
        errors = [n for n in sorted(names) if re.fullmatch(r"error[0-9]+", n)]
        conditions.append(or_(*(_has_error(name) for name in errors)))
    if "states" in names:
        states = within(runs.c.state, "states")
        conditions.append(or_(states, _TIMED_OUT) if "timed_out" in names else states)
    elif "timed_out" in names:
        conditions.append(_TIMED_OUT)
    return conditions


def rest_values(where: RunFilter) -> dict[str, object]:
    """The values of every condition in a filter, but for times, flow and parent."""
    values: dict[str, object] = {}
    job_ids = [where.job_id] if where.job_id is not None else where.job_ids
    lists = {
        "job_ids": job_ids,
        "states": [state.value for state in where.states],
        "task_types": where.task_types,
        "causes": [cause.value for cause in where.causes],
        "not_job_ids": where.not_job_ids,
        "not_task_types": where.not_task_types,
    }
    values |= {name: listed(some) for name, some in lists.items() if some}
    singles = {"schedule_id": where.schedule_id, "signature": where.signature}
    values |= {name: value for name, value in singles.items() if value is not None}
    if where.timed_out:
        values["timed_out"] = True
    if where.actor is not None:
        values |= actor_values(where.actor)
    if where.configuration is not None:
        values["configuration"], version = where.configuration
        values |= {} if version is None else {"configuration_version": version}
    values |= _range_values("duration_s", where.duration_s) | _range_values("lateness_s", where.lateness_s)
    values |= label_values(where.labels.items(), "label") | label_values(where.not_labels, "not_label")
    values |= word_values(where.words) | word_values(where.not_words, "not_word")
    return values | word_values(where.errors, "error") | word_values(where.not_errors, "not_error")


def _range_values(name: str, of: Range) -> dict[str, object]:
    ends = ((of.low, "_over" if of.low_open else "_least"), (of.high, "_under" if of.high_open else "_most"))
    return {name + end: value for value, end in ends if value is not None}


def _typed(name: str) -> ColumnElement[bool]:
    """The definition a run was made with has such a task."""
    return exists(
        select(job_definitions.c.version).where(
            job_definitions.c.job_id == runs.c.job_id,
            job_definitions.c.version == runs.c.version,
            within(job_definitions.c.task_type, name),
        )
    )


def _has_error(name: str) -> ColumnElement[bool]:
    """Code or message of the error have the word in them."""
    return or_(has_word(runs.c.error_code, name), has_word(runs.c.error_message, name))


_CONDITIONS: Mapping[str, Callable[[], ColumnElement[bool]]] = {
    "job_ids": lambda: within(runs.c.job_id, "job_ids"),
    "not_job_ids": lambda: not_(within(runs.c.job_id, "not_job_ids")),
    "task_types": lambda: _typed("task_types"),
    "not_task_types": lambda: not_(_typed("not_task_types")),
    "causes": lambda: within(runs.c.cause, "causes"),
    "schedule_id": lambda: runs.c.schedule_id == given("schedule_id"),
    "signature": lambda: runs.c.error_signature == given("signature"),
    "actor": lambda: is_actor(runs.c.actor),
    "configuration": lambda: runs.c.configuration == given("configuration"),
    "configuration_version": lambda: runs.c.configuration_version == given("configuration_version"),
    **{
        f"{name}_{end}": make
        for name in ("duration_s", "lateness_s")
        for end, make in (
            ("over", lambda name=name: runs.c[name] > given(f"{name}_over")),
            ("least", lambda name=name: runs.c[name] >= given(f"{name}_least")),
            ("under", lambda name=name: runs.c[name] < given(f"{name}_under")),
            ("most", lambda name=name: runs.c[name] <= given(f"{name}_most")),
        )
    },
}
_NUMBERED_CONDITIONS: Mapping[str, Callable[[str], ColumnElement[bool]]] = {
    "label": lambda name: holds(runs.c.labels, name),
    "not_label": lambda name: not_(holds(runs.c.labels, name)),
    "word": lambda name: has_word(runs.c.job_id, name),
    "not_word": lambda name: not_(has_word(runs.c.job_id, name)),
    "not_error": lambda name: not_(_has_error(name)),
}
