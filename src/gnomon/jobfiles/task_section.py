"""The `task` of a job, in all the ways it may be written, and entries of `configurations:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from gnomon.core.configurations import blamed, merged, unknown_keys
from gnomon.core.errors import UsageError
from gnomon.core.model import Task
from gnomon.core.values import Json, JsonObject

from .context import Context, Given
from .foreign import arguments_of_config, type_of_config
from .lint import warn_of_numbers, warn_of_secrets
from .readers import BAD, Bad, named, plain, wrong_type
from .report import At
from .tree import Mapping_, Seq, Value, WrittenFloat, WrittenInt, shown

ENTRY_POINT = {"command": "command", "python": "function", "http": "url", "sql": "query"}
"""Which argument of a task type `entry_point` is."""


def read_task(given: Given, context: Context) -> tuple[Task | Bad, tuple[Value, At] | None]:
    """The task of a job, and the timeout (with its place) when it was written inside the task."""
    if given.has("function"):
        names = {key: key for key in ("function", "args", "kwargs") if given.has(key)}
        return _flat("python", names, given, context), None
    if given.has("task_type") or given.has("entry_point"):
        return _by_entry_point(given, context), None
    if not given.has("task"):
        hint = "write for example `task: {type: command, command: [date]}`"
        given.at.problem("missing_key", "a job needs `task`", hint, of_key=True)
        return BAD, None
    return _written(given.value("task"), given.place("task"), context)


def _by_entry_point(given: Given, context: Context) -> Task | Bad:
    for name, other in (("task_type", "entry_point"), ("entry_point", "task_type")):
        if not given.has(name):
            message = f"`{other}` needs `{name}` beside it"
            given.place(other).problem("missing_key", message, "or write `task: {type: …}`", of_key=True)
            return BAD
    kind = _type_name(given.value("task_type"), given.place("task_type"), context)
    if isinstance(kind, Bad):
        return BAD
    if kind not in ENTRY_POINT:
        hint = f"write `task: {{type: {kind}, …}}`"
        given.place("entry_point").problem(
            "unknown_key", f"a task of type {kind} has no entry point", hint, of_key=True
        )
        return BAD
    names = {ENTRY_POINT[kind]: "entry_point", "args": "args", "kwargs": "kwargs"}
    return _flat(kind, {key: name for key, name in names.items() if given.has(name)}, given, context)


def _flat(kind: str, names: Mapping[str, str], given: Given, context: Context) -> Task | Bad:
    """A task whose arguments stand among the keys of the job: argument → key."""
    task_type = context.task_types.resolve(kind)
    if task_type is None:
        given.place("function").unknown(
            "unknown_task_type", f"there is no task type {kind}", kind, context.task_types.names()
        )
        return BAD
    try:
        arguments = task_type.validate({argument: plain(given.value(key)) for argument, key in names.items()})
    except UsageError as error:
        for item in error.problems:
            head = item.key.split(".")[0].split("[")[0]
            at = given.place(names[head]) if head in names else given.at
            rest = item.key[len(head) :].lstrip(".") if head in names else ""
            at.report.add(item.code, item.message, at.path, item.hint, key=rest)
        return BAD
    return Task(task_type.name, arguments)


def _written(value: Value, at: At, context: Context) -> tuple[Task | Bad, tuple[Value, At] | None]:
    if isinstance(value, (str, Seq)):
        return _validated("command", {"command": plain(value)}, at, context, bare=True), None
    if not isinstance(value, Mapping_):
        return wrong_type(value, at, "a mapping", "write for example `{type: command, command: [date]}`"), None
    warn_of_secrets(value, at)
    timeout = (value["timeout_sec"], at.child("timeout_sec")) if "timeout_sec" in value else None
    use = named("name of a configuration")(value["use"], at.child("use")) if value.get("use") is not None else None
    if isinstance(use, Bad):
        return BAD, timeout
    base = context.configurations.get(str(use)) if use is not None else {}
    if base is None and value.get("type") is None and value.get("config_type") is None:
        warn_of_numbers(value, at)
        return Task("", arguments_of(value, "", leave=("use", "timeout_sec")), str(use)), timeout  # see `uses`
    kind = _declared_type(value, at, context, base or {})
    if isinstance(kind, Bad):
        return BAD, timeout
    if base and base.get("type") not in (None, kind):
        message = f"the task is of type {kind}, its configuration {shown(use)} of type {base['type']}"
        at.problem("configuration_type", message, "leave `type` out of the task, or use another configuration")
        return BAD, timeout
    own = arguments_of(value, kind, leave=("use", "timeout_sec"))
    if use is None:
        return _validated(kind, own, at, context, value), timeout
    if base:
        below = {key: item for key, item in base.items() if key != "type"}
        task_type = context.task_types.resolve(kind)
        try:
            if task_type is not None:
                own = cast(dict[str, Json], _kept(own, task_type.validate(merged(below, own))))
        except UsageError as error:
            at.refused(_as_written(blamed(error, str(use), below, own), value, kind))
            return BAD, timeout
    return Task(kind, own, str(use)), timeout


def arguments_of(value: Mapping_, kind: str, leave: tuple[str, ...] = ()) -> dict[str, Json]:
    """The arguments in a mapping that also says its type; foreign names made ours when it has a `config_type`."""
    taken = ("type", "config_type", *leave)
    if "config_type" in value:
        return arguments_of_config(value, kind, taken)[0]
    return {key: plain(item) for key, item in value.items() if key not in taken}


def _as_written(error: UsageError, value: Value, kind: str) -> UsageError:
    """The problems with the keys that stand in the file."""
    if not isinstance(value, Mapping_) or "config_type" not in value:
        return error
    written = arguments_of_config(value, kind, ("type", "config_type"))[1]
    return UsageError(
        *(
            replace(item, key=written[head] + item.key[len(head) :])
            if (head := re.split(r"[.\[]", item.key, maxsplit=1)[0]) in written
            else item
            for item in error.problems
        )
    )


def _declared_type(value: Mapping_, at: At, context: Context, base: JsonObject) -> str | Bad:
    if value.get("type") is not None and value.get("config_type") is not None:
        at.child("config_type").problem("conflicting_keys", "`type` and `config_type` mean the same", "keep `type`")
        return BAD
    if value.get("type") is not None:
        return _type_name(value["type"], at.child("type"), context)
    if value.get("config_type") is not None:
        return config_type(value["config_type"], at.child("config_type"), context)
    if isinstance(base.get("type"), str):
        return _type_name(str(base["type"]), at, context)
    known = ", ".join(context.task_types.names())
    at.problem("missing_key", "a task needs `type`", f"known types: {known}", of_key=True)
    return BAD


def config_type(value: Value, at: At, context: Context) -> str | Bad:
    """The task type that a `config_type` names."""
    return _type_name(type_of_config(value) if isinstance(value, str) else value, at, context)


def _type_name(value: Value, at: At, context: Context) -> str | Bad:
    if not isinstance(value, str):
        return wrong_type(value, at, "the name of a task type")
    found = context.task_types.resolve(value)
    if found is not None:
        return found.name
    names = context.task_types.names()
    aliases = [alias for name in names if (kind := context.task_types.resolve(name)) for alias in kind.aliases]
    at.unknown("unknown_task_type", f"there is no task type {shown(value)}", value, (*names, *aliases), of_key=False)
    return BAD


def _validated(
    kind: str, arguments: dict[str, Json], at: At, context: Context, value: Value = None, *, bare: bool = False
) -> Task | Bad:
    task_type = context.task_types.resolve(kind)
    if task_type is None:
        at.unknown("unknown_task_type", f"there is no task type {kind}", kind, context.task_types.names())
        return BAD
    try:
        return Task(task_type.name, task_type.validate(arguments))
    except UsageError as error:
        if not bare:
            at.refused(_as_written(error, value, kind))
        for item in error.problems if bare else ():
            key = item.key.removeprefix("command").lstrip(".")
            at.report.add(item.code, item.message, at.path, item.hint, key=key)
        return BAD


def _kept(value: Json, canonical: Json) -> Json:
    """With the numbers that the task type reads as texts as they were written."""
    if isinstance(value, (WrittenInt, WrittenFloat)):
        return str(value) if isinstance(canonical, str) else value
    if isinstance(value, dict) and isinstance(canonical, Mapping):
        return {key: _kept(item, canonical.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(canonical, (list, tuple)) and len(value) == len(canonical):
        return [_kept(item, other) for item, other in zip(value, canonical, strict=True)]
    return value


def read_configurations(value: Value, at: At, context: Context) -> dict[str, JsonObject]:
    """The `configurations:` of a file: name → arguments, with `type` canonical when it is given."""
    if not isinstance(value, Mapping_):
        wrong_type(value, at, "a mapping of names to arguments")
        return {}
    answer: dict[str, JsonObject] = {}
    for name, item in value.items():
        here = at.child(name)
        if isinstance(named("name of a configuration")(name, here), Bad):
            continue
        if not isinstance(item, Mapping_):
            wrong_type(item, here, "a mapping of arguments")
            continue
        warn_of_secrets(item, here)
        warn_of_numbers(item, here)
        kind: str | Bad | None = None
        if item.get("type") is not None or item.get("config_type") is not None:
            kind = _declared_type(item, here, context, {})
        if not isinstance(kind, Bad):
            arguments = _configured(item, kind or "", here, context)
            answer[name] = {"type": kind, **arguments} if kind else arguments
    return answer


def _configured(item: Mapping_, kind: str, at: At, context: Context) -> dict[str, Json]:
    """The arguments of a configuration; a problem for each key that its type does not have."""
    if "use" in item:
        at.child("use").problem("unknown_key", "a configuration does not use another", "write its arguments out")
    arguments = arguments_of(item, kind, leave=("use",))
    task_type = context.task_types.resolve(kind)
    wrong = unknown_keys(arguments, task_type) if task_type is not None else []
    if wrong:
        at.refused(_as_written(UsageError(*wrong), item, kind))
    return {key: value for key, value in arguments.items() if key not in {problem.key for problem in wrong}}
