"""The methods of both clients, from one source: the functions of `calls`, bound to whoever sends them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from .calls import access, configurations, jobs, runs, schedules
from .calls.call import Call, Followed, Listed

if TYPE_CHECKING:
    from .client import AsyncClient, AsyncListing, Client, Listing
    from .streams import Event

P = ParamSpec("P")
T = TypeVar("T")


class _Bound(Generic[P]):
    """A function of `calls` as a method: its name, its text, its parameters."""

    def __init__(self, make: Callable[P, Any]) -> None:
        self.make = make
        self.__name__, self.__doc__ = make.__name__, make.__doc__


class Method(_Bound[P], Generic[P, T]):
    """A request: answers, or is awaited."""

    def __init__(self, make: Callable[P, Call[T]]) -> None:
        super().__init__(make)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self.make)
        def ask(*args: P.args, **named: P.kwargs) -> Any:
            return client.send(self.make(*args, **named))

        return ask


class Lister(_Bound[P], Generic[P, T]):
    """A list, which pages by itself."""

    def __init__(self, make: Callable[P, Listed[T]]) -> None:
        super().__init__(make)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Listing[T]]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, AsyncListing[T]]: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self.make)
        def ask(*args: P.args, **named: P.kwargs) -> Any:
            return client.list(self.make(*args, **named))

        return ask


class Follower(_Bound[P]):
    """A stream of events, which goes on by itself where it was cut off."""

    def __init__(self, make: Callable[P, Followed]) -> None:
        super().__init__(make)

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, Iterator[Event]]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, AsyncIterator[Event]]: ...
    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        if client is None:
            return self

        @functools.wraps(self.make)
        def ask(*args: P.args, **named: P.kwargs) -> Any:
            return client.follow(self.make(*args, **named))

        return ask


class Interface:
    """All that can be asked; each method is named as its operation in the OpenAPI document."""

    list_jobs = Lister(jobs.list_jobs)
    create_job = Method(jobs.create_job)
    get_job = Method(jobs.get_job)
    put_job = Method(jobs.put_job)
    delete_job = Method(jobs.delete_job)
    pause_job = Method(jobs.pause_job)
    resume_job = Method(jobs.resume_job)
    delete_jobs = Method(jobs.delete_jobs)
    pause_jobs = Method(jobs.pause_jobs)
    resume_jobs = Method(jobs.resume_jobs)
    get_job_next = Method(jobs.get_job_next)
    explain_job = Method(jobs.explain_job)
    list_job_skips = Lister(jobs.list_job_skips)
    get_job_summaries = Method(jobs.get_job_summaries)
    list_definitions = Lister(jobs.list_definitions)
    get_definition = Method(jobs.get_definition)

    list_schedules = Lister(schedules.list_schedules)
    create_schedule = Method(schedules.create_schedule)
    get_schedule = Method(schedules.get_schedule)
    put_schedule = Method(schedules.put_schedule)
    delete_schedule = Method(schedules.delete_schedule)
    pause_schedule = Method(schedules.pause_schedule)
    resume_schedule = Method(schedules.resume_schedule)
    reset_schedule = Method(schedules.reset_schedule)
    delete_schedules = Method(schedules.delete_schedules)
    get_schedule_next = Method(schedules.get_schedule_next)
    list_skips = Lister(schedules.list_skips)
    preview_schedule = Method(schedules.preview_schedule)

    list_configurations = Lister(configurations.list_configurations)
    get_configuration = Method(configurations.get_configuration)
    put_configuration = Method(configurations.put_configuration)
    delete_configuration = Method(configurations.delete_configuration)
    list_configuration_versions = Lister(configurations.list_configuration_versions)
    get_configuration_version = Method(configurations.get_configuration_version)
    delete_configurations = Method(configurations.delete_configurations)
    list_files = Lister(configurations.list_files)
    confirm_empty_files = Method(configurations.confirm_empty_files)
    validate_text = Method(configurations.validate_text)

    list_runs = Lister(runs.list_runs)
    start_run = Method(runs.start_run)
    backfill_job = Method(runs.backfill_job)
    get_run = Method(runs.get_run)
    delete_run = Method(runs.delete_run)
    cancel_run = Method(runs.cancel_run)
    retry_run = Method(runs.retry_run)
    skip_run = Method(runs.skip_run)
    delete_runs = Method(runs.delete_runs)
    explain_run = Method(runs.explain_run)
    list_run_incidents = Lister(runs.list_run_incidents)
    get_run_log = Method(runs.get_run_log)
    follow_run_log = Follower(runs.follow_run_log)
    follow_events = Follower(runs.follow_events)
    count_runs = Method(runs.count_runs)
    get_summary = Method(runs.get_summary)
    list_flows = Lister(runs.list_flows)
    get_flow = Method(runs.get_flow)
    cancel_flow = Method(runs.cancel_flow)
    retry_flow = Method(runs.retry_flow)

    sign_in = Method(access.sign_in)
    get_session = Method(access.get_session)
    sign_out = Method(access.sign_out)
    list_tokens = Lister(access.list_tokens)
    create_token = Method(access.create_token)
    get_token = Method(access.get_token)
    revoke_token = Method(access.revoke_token)
    delete_token = Method(access.delete_token)
    list_users = Lister(access.list_users)
    create_user = Method(access.create_user)
    get_user = Method(access.get_user)
    change_user = Method(access.change_user)
    delete_user = Method(access.delete_user)
    list_audit = Lister(access.list_audit)
    list_nodes = Lister(access.list_nodes)
    list_incidents = Lister(access.list_incidents)
    get_incident = Method(access.get_incident)
    acknowledge_incident = Method(access.acknowledge_incident)
    get_about = Method(access.get_about)
    list_task_types = Lister(access.list_task_types)
    get_openapi = Method(access.get_openapi)
    get_health = Method(access.get_health)
