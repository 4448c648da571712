"""Configurations: list, show, save, history, delete; and what job files make of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from gnomon.core.configurations import ConfigurationRecord, ConfigurationVersion, not_there, unknown_keys
from gnomon.core.errors import Conflict, NotFound, Problem, UsageError, usage
from gnomon.core.filters import ConfigurationFilter
from gnomon.core.identity import is_job_id
from gnomon.core.model import Job
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import Page, Source, SourceKind
from gnomon.core.tasks import TaskTypes
from gnomon.core.values import Json, JsonObject, canonical_json, rfc3339
from gnomon.jobfiles.uses import Content, settled

from .context import Desk
from .elsewhere import anywhere

BY_HAND = Source(SourceKind.REST)
"""The source of what is saved by a person."""
Seen: TypeAlias = "Callable[[JsonObject | None], None]"
"""Is given a configuration as it is right before a change of it; raises if the caller has not seen it so."""


@anywhere
def list_configurations(
    desk: Desk, limit: int = 50, cursor: str | None = None, where: ConfigurationFilter | None = None
) -> Page[JsonObject]:
    """Configurations by name, as objects."""

    def work(reader: Reader) -> Page[JsonObject]:
        page = reader.configurations(limit, cursor, where)
        users = reader.configuration_users([record.name for record in page.items])
        views = tuple(configuration_view(r, users.get(r.name, ())) for r in page.items)
        return Page(views, page.next, page.partial)

    return desk.store.read(work)


@anywhere
def unused_configurations(desk: Desk) -> list[JsonObject]:
    """Those that no job uses, by name."""

    def work(reader: Reader) -> list[JsonObject]:
        names = reader.configuration_names()
        used = reader.configuration_users(names)
        return [configuration_view(find_configuration(reader, name), ()) for name in names if name not in used]

    return desk.store.read(work)


@anywhere
def show_configuration(desk: Desk, name: str, version: int | None = None) -> JsonObject:
    """One configuration as an object; with `version`, its content as it was then.

    Raises:
        NotFound: names the nearest, or says which versions there are.
    """

    def work(reader: Reader) -> JsonObject:
        if version is None:
            record = find_configuration(reader, name)
            return configuration_view(record, reader.configuration_users([name]).get(name, ()))
        kept = reader.configuration_version(name, version)
        if kept is not None:
            return version_view(kept)
        known = [item.version for item in reader.configuration_history(name, 500)]
        if not known:
            find_configuration(reader, name)
        text = f"version {version} of configuration {name!r} is not kept"
        hint = "kept: " + ", ".join(str(number) for number in known[:20])
        raise NotFound(Problem("configuration_version_not_found", text, "--version", hint))

    return desk.store.read(work)


@anywhere
def configuration_history(desk: Desk, name: str, limit: int = 50) -> list[JsonObject]:
    """The versions that are kept, newest first.

    Raises:
        NotFound: there never was such a configuration.
    """

    def work(reader: Reader) -> list[JsonObject]:
        kept = reader.configuration_history(name, limit)
        if not kept:
            find_configuration(reader, name)
        return [version_view(item) for item in kept]

    return desk.store.read(work)


@anywhere
def save_configuration(
    desk: Desk,
    name: str,
    type_: str | None,
    arguments: JsonObject,
    source: Source = BY_HAND,
    seen: Seen | None = None,
) -> JsonObject:
    """Add or change a configuration that no file owns; the same content again changes nothing.

    Args:
        seen: asked about the configuration as it is (None: there is none), in the same transaction.

    Raises:
        UsageError: the name, the type, or a key that tasks of the type do not have; or it would break jobs that use it.
        Conflict: a file owns it.
    """
    if not is_job_id(name):
        raise usage("bad_name", f"{name!r} is no name for a configuration", key="name", hint="letters, digits, . _ - /")
    content = _checked(desk.task_types, type_, arguments)

    def work(tx: Transaction) -> None:
        old = tx.configuration(name)
        if old is not None:
            _refuse_file_owned(old, "changed")
        if seen is not None:
            seen(None if old is None else configuration_view(old, ()))
        _refuse_breaking(tx, desk.task_types, name, content)
        if put(tx, name, content, source, desk.clock.now(), desk.actor):
            desk.audit(tx, "configuration.save", name, _content(old), _content(tx.configuration(name)))

    desk.store.write(work)
    return show_configuration(desk, name)


@anywhere
def delete_configuration(desk: Desk, name: str, seen: Seen | None = None) -> None:
    """Remove it; versions that runs refer to can still be shown.

    Args:
        seen: asked about the configuration as it is, in the same transaction.

    Raises:
        NotFound: there is none. Conflict: jobs use it (names them), or a file owns it.
    """

    def work(tx: Transaction) -> None:
        record = find_configuration(tx, name)
        refuse_undeletable(tx, record)
        if seen is not None:
            seen(configuration_view(record, ()))
        tx.delete_configuration(name)
        desk.audit(tx, "configuration.delete", name, _content(record))

    desk.store.write(work)


def refuse_undeletable(reader: Reader, record: ConfigurationRecord) -> None:
    """A configuration that a file owns, or that jobs use, stays.

    Raises:
        Conflict: naming the file, or the jobs.
    """
    _refuse_file_owned(record, "deleted")
    users = reader.configuration_users([record.name]).get(record.name, ())
    if users:
        text = f"configuration {record.name!r} is used by {_some(users)}"
        raise Conflict(Problem("configuration_in_use", text, "", "change or delete these jobs first"))


def put(tx: Transaction, name: str, content: Content, source: Source, now: datetime, actor: str) -> bool:
    """Make `content` the configuration; a new version only if it differs. Returns whether anything was written."""
    old = tx.configuration(name)
    if old is not None and _same(old, content):
        if old.source == source:
            return False
        tx.put_configuration(replace(old, source=source), actor)
        return True
    newest = tx.configuration_history(name, 1)
    again = old is None and bool(newest) and _same(newest[0], content)
    version = newest[0].version + (0 if again else 1) if newest else 1
    made = now if old is None else old.created_at
    tx.put_configuration(
        ConfigurationRecord(name, version, source, made, now, content.type, dict(content.arguments)), actor
    )
    return True


def settle(reader: Reader, job: Job, task_types: TaskTypes) -> Job:
    """The job with its task's type, when that comes from the configuration it uses.

    Raises:
        UsageError: the configuration is not there, or does not fit; keys begin with `task`.
    """
    if job.task.use is None:
        return job

    def find(name: str) -> Content | None:
        record = reader.configuration(name)
        return None if record is None else Content(record.type, record.arguments)

    try:
        return settled(job, find, reader.configuration_names(), task_types)
    except UsageError as error:
        raise UsageError(*(replace(p, key=f"task.{p.key}") for p in error.problems)) from None


def find_configuration(reader: Reader, name: str) -> ConfigurationRecord:
    """The configuration.

    Raises:
        NotFound: naming the nearest.
    """
    record = reader.configuration(name)
    if record is None:
        raise NotFound(*(replace(p, key="") for p in not_there(name, reader.configuration_names()).problems))
    return record


def configuration_view(record: ConfigurationRecord, used_by: Sequence[str]) -> JsonObject:
    """The JSON object of a configuration."""
    return {
        "name": record.name,
        "version": record.version,
        "type": record.type,
        "arguments": dict(record.arguments),
        "source": {"kind": str(record.source.kind), "path": record.source.path},
        "used_by": list(used_by),
        "created_at": rfc3339(record.created_at),
        "updated_at": rfc3339(record.updated_at),
    }


def version_view(kept: ConfigurationVersion) -> JsonObject:
    """The JSON object of one version."""
    return {
        "name": kept.name,
        "version": kept.version,
        "type": kept.type,
        "arguments": dict(kept.arguments),
        "at": rfc3339(kept.at),
        "actor": kept.actor,
    }


def _checked(task_types: TaskTypes, type_: str | None, arguments: JsonObject) -> Content:
    if "use" in arguments:
        raise usage("unknown_key", "a configuration does not use another", key="use", hint="write its arguments out")
    if type_ is None:
        return Content(None, dict(arguments))
    kind = task_types.resolve(type_)
    if kind is None:
        known = ", ".join(task_types.names())
        raise usage("task_type_unknown", f"no task type is called {type_!r}", key="type", hint=f"known: {known}")
    wrong = unknown_keys(arguments, kind)
    if wrong:
        raise UsageError(*wrong)
    return Content(kind.name, dict(arguments))


def _refuse_breaking(reader: Reader, task_types: TaskTypes, name: str, content: Content) -> None:
    """Jobs that were right must stay right."""
    job_ids = reader.configuration_users([name]).get(name, ())
    problems: list[Problem] = []
    for job_id, record in sorted(reader.jobs_by_id(job_ids).items()):
        try:
            settled(record.job, lambda _: content, (), task_types)
        except UsageError as error:
            text = f"job {job_id!r} could not run: {error.problems[0].message}"
            hint = f"change the task of {job_id!r} first, or save this under another name"
            problems.append(Problem("configuration_breaks_jobs", text, error.problems[0].key, hint))
    if problems:
        raise UsageError(*problems)


def _refuse_file_owned(record: ConfigurationRecord, action: str) -> None:
    if record.source.kind is SourceKind.FILE:
        text = f"configuration {record.name!r} comes from {record.source.path}: it cannot be {action} here"
        raise Conflict(Problem("configuration_owned_by_file", text, "", f"change {record.source.path}"))


def _same(one: ConfigurationRecord | ConfigurationVersion, content: Content) -> bool:
    return one.type == content.type and canonical_json(one.arguments) == canonical_json(content.arguments)


def _content(record: ConfigurationRecord | None) -> Json:
    return None if record is None else {"version": record.version, "type": record.type, **dict(record.arguments)}


def _some(names: Collection[str]) -> str:
    shown = sorted(names)[:10]
    return ", ".join(shown) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
