"""How a server is asked for each operation. A test holds this table against the operations that are marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from gnomon.core.errors import NotFound, usage
from gnomon.core.filters import ConfigurationFilter, FlowFilter, JobFilter, RunFilter, ScheduleFilter
from gnomon.core.records import Page, Source
from gnomon.core.values import Json, JsonObject, parse_rfc3339
from gnomon.operations import (
    backfill,
    configurations,
    files,
    fires,
    flows,
    jobs,
    runs,
    schedules,
    telling,
    why,
)
from gnomon.operations.context import Desk
from gnomon.operations.filters import CONFIGURATIONS, FLOWS, JOBS, RUNS, SCHEDULES
from gnomon.operations.gates import Gate

from .calls.call import Call, as_json
from .calls.configurations import list_files
from .client import Client, Listing

P = ParamSpec("P")
T = TypeVar("T")
MOST_FIRES = 1000
_AT_ONCE = 1000
"""So many a server gives in one answer."""
ANSWERS: dict[str, Callable[..., Any]] = {}


def answers(
    operation: Callable[Concatenate[Desk, P], T],
) -> Callable[[Callable[Concatenate[Client, P], T]], Callable[Concatenate[Client, P], T]]:
    """Enter a function as the way to ask a server for `operation`; it takes the same."""

    def enter(function: Callable[Concatenate[Client, P], T]) -> Callable[Concatenate[Client, P], T]:
        ANSWERS[f"{operation.__module__}.{operation.__name__}"] = function
        return function

    return enter


def plain(value: object) -> JsonObject:
    """A typed answer as the object it is."""
    return cast(JsonObject, value)


def paged(found: Listing[Any], limit: int, cursor: str | None) -> Page[JsonObject]:
    """A page of `limit`, in as many parts as the server wants."""
    items: list[JsonObject] = []
    while True:
        part = found.page(cursor, min(limit - len(items), _AT_ONCE))
        items += part.items
        cursor = part.next
        if cursor is None or part.partial or len(items) >= limit:
            return Page(tuple(items), cursor, part.partial)


def _at(text: str | None) -> datetime | None:
    return None if text is None else parse_rfc3339(text)


def every(found: Listing[Any]) -> list[JsonObject]:
    """All of a list."""
    return cast(list[JsonObject], list(found))


# ---- jobs and schedule entries ---------------------------------------------------------------------


@answers(jobs.list_jobs)
def _(client: Client, where: JobFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    return paged(client.list_jobs(q=JOBS.write(where)), limit, cursor)


@answers(jobs.show_job)
def _(client: Client, job_id: str) -> JsonObject:
    return plain(client.get_job(job_id))


@answers(jobs.define_job)
def _(client: Client, document: Mapping[str, object], seen: object = None, *, new: bool = False) -> JsonObject:
    return plain(client.create_job(document) if new else client.put_job(str(document["job_id"]), document))


@answers(jobs.pause_job)
def _(client: Client, job_id: str, reason: str | None = None) -> JsonObject:
    return plain(client.pause_job(job_id, reason))


@answers(jobs.resume_job)
def _(client: Client, job_id: str) -> JsonObject:
    return plain(client.resume_job(job_id))


@answers(schedules.list_schedules)
def _(client: Client, where: ScheduleFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    return paged(client.list_schedules(q=SCHEDULES.write(where)), limit, cursor)


@answers(schedules.show_schedule)
def _(client: Client, schedule_id: str) -> JsonObject:
    return plain(client.get_schedule(schedule_id))


@answers(schedules.edit_schedule)
def _(client: Client, schedule_id: str, value: object, seen: object = None) -> JsonObject:
    return plain(client.put_schedule(schedule_id, value))


@answers(schedules.pause_schedule)
def _(client: Client, schedule_id: str) -> JsonObject:
    return plain(client.pause_schedule(schedule_id))


@answers(schedules.resume_schedule)
def _(client: Client, schedule_id: str) -> JsonObject:
    return plain(client.resume_schedule(schedule_id))


@answers(schedules.reset_schedule)
def _(client: Client, schedule_id: str) -> JsonObject:
    return plain(client.reset_schedule(schedule_id))


@answers(fires.next_fires)
def _(
    client: Client, what: object, *, timezone: str | None = None, after: datetime | None = None, count: int = 5
) -> JsonObject:
    if not 1 <= count <= MOST_FIRES:
        raise usage("count_out_of_range", f"count is {count}", key="count", hint=f"1 to {MOST_FIRES} of a server")
    if isinstance(what, str):
        ways = (client.get_schedule_next, client.get_job_next) if ":" in what else (client.get_job_next,)
        for ask in ways:
            try:
                return plain(ask(what, after=after, count=count))
            except NotFound:
                continue
    return plain(client.preview_schedule(what, timezone=timezone, after=after, count=count))


@answers(files.list_files)
def _(client: Client) -> list[JsonObject]:
    return every(client.list_files(limit=_AT_ONCE))


@answers(files.guard)
def _(client: Client) -> str | None:
    whole: Call[Any] = replace(cast(Call[Any], list_files(limit=1).first), read=as_json)
    said = client.send(whole)["guard"]
    return None if said is None else str(said)


@answers(files.confirm_empty)
def _(client: Client) -> None:
    client.confirm_empty_files()


# ---- configurations --------------------------------------------------------------------------------


@answers(configurations.list_configurations)
def _(
    client: Client, limit: int = 50, cursor: str | None = None, where: ConfigurationFilter | None = None
) -> Page[JsonObject]:
    text = None if where is None else CONFIGURATIONS.write(where)
    return paged(client.list_configurations(q=text), limit, cursor)


@answers(configurations.unused_configurations)
def _(client: Client) -> list[JsonObject]:
    return every(client.list_configurations(unused=True, limit=_AT_ONCE))


@answers(configurations.show_configuration)
def _(client: Client, name: str, version: int | None = None) -> JsonObject:
    if version is None:
        return plain(client.get_configuration(name))
    return plain(client.get_configuration_version(name, version))


@answers(configurations.configuration_history)
def _(client: Client, name: str, limit: int = 50) -> list[JsonObject]:
    return every(client.list_configuration_versions(name, limit=min(limit, _AT_ONCE)))


@answers(configurations.save_configuration)
def _(
    client: Client,
    name: str,
    type_: str | None,
    arguments: JsonObject,
    source: Source = configurations.BY_HAND,
    seen: object = None,
) -> JsonObject:
    return plain(client.put_configuration(name, arguments, type=type_))


@answers(configurations.delete_configuration)
def _(client: Client, name: str, seen: object = None) -> None:
    client.delete_configuration(name)


# ---- runs, flows, backfills ------------------------------------------------------------------------


@answers(runs.list_runs)
def _(client: Client, where: RunFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    return paged(client.list_runs(q=RUNS.write(where)), limit, cursor)


@answers(runs.show_run)
def _(client: Client, run_id: str) -> JsonObject:
    return plain(client.get_run(run_id))


@answers(runs.start_run)
def _(
    client: Client, job_id: str, parameters: Mapping[str, Json] | None = None, idempotency_key: str | None = None
) -> JsonObject:
    if idempotency_key is not None:
        raise usage("not_remote", "the client makes the key of its own", hint="leave it out")
    return plain(client.start_run(job_id, parameters))


@answers(runs.cancel_run)
def _(client: Client, run_id: str) -> JsonObject:
    return plain(client.cancel_run(run_id))


@answers(runs.skip_run)
def _(client: Client, run_id: str) -> JsonObject:
    return plain(client.skip_run(run_id))


@answers(runs.retry_run)
def _(client: Client, run_id: str) -> JsonObject:
    return plain(client.retry_run(run_id))


@answers(runs.read_log)
def _(
    client: Client, run_id: str, number: int | None = None, offset: int = 0, limit: int = 1 << 20
) -> tuple[bytes, int, bool]:
    part = client.get_run_log(run_id, attempt=number, offset=offset, limit=limit)
    return part.data, part.next, part.complete


@answers(telling.alerts_of_run)
def _(client: Client, run_id: str) -> list[JsonObject]:
    return every(client.list_run_incidents(run_id))


@answers(flows.page_of_flows)
def _(client: Client, where: FlowFilter, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    return paged(client.list_flows(q=FLOWS.write(where)), limit, cursor)


@answers(flows.show_flow)
def _(client: Client, name: str) -> JsonObject:
    return plain(client.get_flow(name))


@answers(flows.cancel_flow)
def _(client: Client, name: str) -> JsonObject:
    return plain(client.cancel_flow(name))


@answers(flows.retry_flow)
def _(client: Client, name: str) -> JsonObject:
    return plain(client.retry_flow(name))


@answers(backfill.backfill)
def _(client: Client, wish: backfill.Wish, *, dry_run: bool = False) -> JsonObject:
    return plain(
        client.backfill_job(
            wish.job_id,
            wish.since,
            wish.until,
            schedule_id=wish.schedule_id,
            concurrency=wish.concurrency,
            again=wish.again,
            newest_first=wish.newest_first,
            parameters=wish.parameters,
            dry_run=dry_run,
        )
    )


@answers(why.explain)
def _(client: Client, what: str, time: str | None = None) -> why.Explanation:
    try:
        said = client.explain_job(what, time)
    except NotFound as no_job:
        if time is not None:
            raise
        try:
            said = client.explain_run(what)
        except NotFound:
            raise no_job from None
    gates = [Gate(g["name"], g["passed"], g["evidence"], _at(g["at"])) for g in said["gates"]]
    return why.Explanation(said["verdict"], said["outcome"], said["run_id"], gates)


@answers(why.job_zone)
def _(client: Client, job_id: str) -> str:
    job = client.get_job(job_id)
    own = job["definition"].get("timezone")
    return str(own or next((entry["timezone"] for entry in job["schedules"]), None) or client.get_about()["timezone"])
