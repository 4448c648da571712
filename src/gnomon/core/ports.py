"""What the engine and the operations ask of the outside world: store, clock, entropy, logs.

A store keeps facts and never decides. All decisions about one set of facts are made and applied inside
one `Store.write`, so the facts cannot change in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from .access_ports import AccessReader, AccessWriter
from .alerts import Incident, Kind
from .configurations import ConfigurationRecord, ConfigurationVersion
from .deliveries import Delivery, Report
from .filters import ConfigurationFilter, FlowFilter, SkipFilter
from .model import Job
from .records import (
    Activity,
    AttemptRecord,
    Change,
    FileRecord,
    JobFilter,
    JobRecord,
    LeaderRecord,
    NodeRecord,
    Page,
    Pruned,
    RunFilter,
    RunRecord,
    ScheduleFilter,
    ScheduleRecord,
    SkipRecord,
)
from .states import State
from .summaries import FailureGroup, RunBrief

T = TypeVar("T")


class Clock(Protocol):
    """The only way to learn the time."""

    def now(self) -> datetime:
        """The wall clock, aware UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""

    def steady(self) -> float:
        """Seconds since boot, suspend included: never set, and the same for every process of one boot."""


class Entropy(Protocol):
    """The only source of randomness."""

    def bits(self, count: int) -> int:
        """A number of `count` random bits."""

    def uniform(self) -> float:
        """A number in [0, 1)."""


class Logs(Protocol):
    """Captured output of attempts."""

    def read(self, run_id: str, number: int, offset: int = 0, limit: int = 1 << 20) -> tuple[bytes, int]:
        """Up to `limit` bytes from `offset`, and the offset to go on from. Unknown attempt: empty."""

    def size(self, run_id: str, number: int) -> int:
        """Bytes kept so far."""

    def delete(self, run_id: str, number: int) -> None:
        """Remove it. Idempotent."""

    def kept(self, part: int, before: datetime) -> Sequence[tuple[str, int]]:
        """Attempts with output in this part (0 to 255) of all that there is, not touched since `before`."""


class Reader(AccessReader, Protocol):
    """Questions. Lists come in the stated order; unknown ids give None or are left out."""

    def job(self, job_id: str) -> JobRecord | None:
        """The job, retired or not."""

    def jobs(self, where: JobFilter, limit: int = 50, cursor: str | None = None) -> Page[JobRecord]:
        """Jobs by id."""

    def jobs_by_id(self, job_ids: Collection[str]) -> Mapping[str, JobRecord]:
        """Those of `job_ids` that exist, retired ones included."""

    def definition(self, job_id: str, version: int) -> Job | None:
        """A definition as it was; kept as long as a run refers to it."""

    def definitions(self, keys: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Job]:
        """The same for many `(job_id, version)` at once."""

    def downstream(self, job_ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Ids of the jobs that depend directly on each (not retired ones), sorted."""

    def schedule(self, schedule_id: str) -> ScheduleRecord | None: ...

    def schedules(self, where: ScheduleFilter, limit: int = 50, cursor: str | None = None) -> Page[ScheduleRecord]:
        """Entries by id."""

    def schedules_of(self, job_ids: Collection[str]) -> Mapping[str, tuple[ScheduleRecord, ...]]:
        """The entries of each job, by position."""

    def due_schedules(self, now: datetime, limit: int) -> Sequence[ScheduleRecord]:
        """Entries with `due_at <= now`, earliest first."""

    def undecided_schedules(self, before: datetime, soon: datetime, limit: int) -> Sequence[ScheduleRecord]:
        """Entries with `due_at <= soon`, earliest first, whose next fire was by `before`, or which are looked at apart
        from it."""

    def calendar_schedules(self) -> Sequence[ScheduleRecord]:
        """Entries that may fire and whose exclusions name files."""

    def next_due_at(self) -> datetime | None:
        """The earliest `due_at` of all entries."""

    def run(self, run_id: str) -> RunRecord | None: ...

    def run_by_prefix(self, prefix: str) -> Sequence[str]:
        """At most two ids that begin with `prefix`."""

    def run_by_key(self, run_key: str) -> RunRecord | None: ...

    def runs(self, where: RunFilter, limit: int = 50, cursor: str | None = None) -> Page[RunRecord]:
        """Runs, newest due_at first. A filter without an index reads at most 20,000 rows a page (`Page.partial`)."""

    def count_runs(self, where: RunFilter, most: int) -> tuple[int, bool]:
        """How many match, counting up to `most` within the same budget; and whether that is all of them."""

    def newest_ended(self, job_ids: Collection[str], limit: int) -> Mapping[str, Sequence[RunBrief]]:
        """Of each job the newest runs that are over, no items."""

    def newest_open(self, job_ids: Collection[str], limit: int) -> Mapping[str, Sequence[RunBrief]]:
        """Of each job the newest runs that are not over, no items."""

    def open_due(self, since: datetime, until: datetime, limit: int) -> Sequence[tuple[datetime, State]]:
        """When the runs due in [since, until) that are not over (no items) are due, newest first, and their states."""

    def newest_lateness(self, since: datetime, until: datetime, limit: int) -> Sequence[float | None]:
        """The lateness of the newest runs due in [since, until), no items; None: it has not started."""

    def newest_outcomes(
        self, job_ids: Collection[str], limit: int
    ) -> Mapping[str, Sequence[tuple[State, float | None]]]:
        """Of each job state and duration of the newest runs that are over, no items."""

    def failure_groups(self, since: datetime, until: datetime, limit: int) -> tuple[Sequence[FailureGroup], bool]:
        """The newest `limit` failed runs due in [since, until), no items, by the signature of their error; and whether
        there are more of them."""

    def oldest_queued(self) -> RunRecord | None:
        """The queued run that is due longest."""

    def live_total(self) -> int:
        """Attempts without an outcome, of all nodes."""

    def ended_by_bucket(self, since: datetime, until: datetime, width_s: int) -> Mapping[tuple[int, State], int]:
        """How many runs that are over (no items) were due in each stretch of `width_s` seconds from `since` on, by its
        number (from 0) and state. `since` and `width_s` are whole minutes, hours or days, which is what counts are kept
        of; the last stretch has all of its last one."""

    def ended_counts(self, since: datetime, until: datetime) -> Mapping[State, int]:
        """The same for a whole period, with the whole minutes at its ends."""

    def runs_by_id(self, run_ids: Collection[str]) -> Mapping[str, RunRecord]: ...

    def known_runs(self, run_ids: Collection[str]) -> Collection[str]:
        """Those of these ids that there are runs of."""

    def standing_flows(self, flow_ids: Collection[str]) -> Collection[str]:
        """Those of these flows in which something is not over: a run, or an item of one."""

    def active_runs(self, job_id: str) -> Sequence[RunRecord]:
        """Its runs that are not over, oldest due first."""

    def activity(self, job_ids: Collection[str]) -> Mapping[str, Activity]:
        """Counts of active runs of each job that has any."""

    def active_counts(self) -> Mapping[State, int]:
        """How many runs, items among them, are in each state that is not final; states with none are left out."""

    def waiting_flows(self, flow_ids: Collection[str]) -> Collection[str]:
        """Those of `flow_ids` in which a run waits that joined them (not the run a flow is named after)."""

    def flow_ids(self, where: FlowFilter, limit: int = 50, cursor: str | None = None) -> Page[str]:
        """Flows of more than one run, by id, newest first. Of those that match a filter at most 1,000 a page are
        looked at."""

    def flow(self, flow_id: str) -> Sequence[RunRecord]:
        """All runs of a flow but items, by (due_at, id)."""

    def items(self, parent_id: str) -> Sequence[RunRecord]:
        """The items of a `for_each` run, by id: in the order of its list."""

    def item_counts(self, parent_ids: Collection[str]) -> Mapping[str, Mapping[State, int]]:
        """How many items of each of these runs are in which state; those without items are left out."""

    def queued(self, queues: Collection[str], limit: int, after: RunRecord | None = None) -> Sequence[RunRecord]:
        """Runs in state queued, by (priority descending, due_at, id), those behind `after` if given."""

    def arriving(self, now: datetime, limit: int) -> Sequence[RunRecord]:
        """Runs in scheduled or retry_wait with `available_at <= now`, earliest first."""

    def next_available_at(self) -> datetime | None:
        """The earliest `available_at` of runs in scheduled or retry_wait."""

    def expiring(self, now: datetime, limit: int) -> Sequence[RunRecord]:
        """Runs that have never started (scheduled, waiting, queued with no attempt) with `deadline_at <= now`."""

    def next_deadline_at(self) -> datetime | None: ...

    def cancelling(self, limit: int) -> Sequence[RunRecord]:
        """Active runs with a cancel request."""

    def pool_use(self, pools: Collection[str]) -> Mapping[str, int]:
        """Slots taken in each pool by runs that are running."""

    def pool_sizes(self) -> Mapping[str, int]:
        """Declared pools."""

    def starts_since(self, job_id: str, since: datetime) -> Sequence[datetime]:
        """Claim times of the job's attempts after `since`, oldest first (for rate limits)."""

    def attempts(self, run_ids: Collection[str]) -> Mapping[str, tuple[AttemptRecord, ...]]:
        """Attempts of each run, by number."""

    def attempt(self, run_id: str, number: int) -> AttemptRecord | None: ...

    def live_attempts(self, node_id: str) -> Sequence[AttemptRecord]:
        """Attempts of that node without an outcome."""

    def live_count(self, node_id: str) -> int: ...

    def live_by_executor(self, node_id: str) -> Mapping[str, int]:
        """`live_count`, for each executor that has any."""

    def skips(
        self, job_id: str, since: datetime | None = None, until: datetime | None = None, limit: int = 50
    ) -> Sequence[SkipRecord]:
        """Skips whose stretch touches [since, until], newest first."""

    def skip_page(self, where: SkipFilter, limit: int = 50, cursor: str | None = None) -> Page[SkipRecord]:
        """Skips, newest `last_at` first."""

    def nodes(self) -> Sequence[NodeRecord]:
        """Nodes that have not stopped in order, and those that did in the last day."""

    def leader(self) -> LeaderRecord | None: ...

    def files(self) -> Sequence[FileRecord]:
        """Job files by path."""

    def configuration(self, name: str) -> ConfigurationRecord | None: ...

    def configurations(
        self, limit: int = 50, cursor: str | None = None, where: ConfigurationFilter | None = None
    ) -> Page[ConfigurationRecord]:
        """Configurations by name."""

    def configuration_names(self) -> Sequence[str]:
        """All names, sorted."""

    def configuration_version(self, name: str, version: int) -> ConfigurationVersion | None:
        """A configuration as it was; kept as long as a run refers to it, even when it is deleted."""

    def configuration_history(self, name: str, limit: int = 50) -> Sequence[ConfigurationVersion]:
        """The versions that are kept, newest first."""

    def configuration_users(self, names: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Ids of the jobs (not retired ones) whose task uses each, sorted; names nobody uses are left out."""

    def incident(self, incident_id: str) -> Incident | None: ...

    def incident_by_prefix(self, prefix: str) -> Sequence[str]:
        """At most two ids that begin with `prefix`."""

    def incidents(
        self, *, is_open: bool | None = None, job_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Incident]:
        """Incidents, newest first."""

    def open_incidents(self, job_ids: Collection[str]) -> Mapping[tuple[str, Kind], Incident]:
        """The open incidents of these jobs."""

    def unacknowledged(self, told_before: datetime, limit: int) -> Sequence[Incident]:
        """Open incidents nobody acknowledged, last told at that time or before; longest ago first."""

    def next_told_at(self) -> datetime | None:
        """The earliest `told_at` of all open incidents that nobody acknowledged."""

    def orphaned_incidents(self, limit: int) -> Sequence[Incident]:
        """Open incidents of jobs that are retired."""

    def pending_deliveries(self, limit: int, without: Collection[str] = ()) -> Sequence[Delivery]:
        """Deliveries with a `next_at`, by (next_at, id), to channels that are not in `without`. Only the oldest of each
        channel and incident: those behind it wait for it."""

    def troubled_deliveries(self, since: datetime, limit: int) -> Sequence[Delivery]:
        """Alerts (no pings) made since then that were tried or given up and did not arrive, newest first."""

    def deliveries_of(self, incident_id: str) -> Sequence[Delivery]:
        """In the order they were made."""

    def queued_jobs(self) -> Mapping[str, tuple[int, datetime]]:
        """Of each job with queued runs that never began: how many, and since when the oldest could have begun."""

    def setting(self, name: str) -> str | None:
        """A small value gnomon remembers (zone data version, a guard's confirmation, …)."""

    def changes(self, after_seq: int, limit: int = 1000) -> Sequence[Change]:
        """Commits after `after_seq`, in order. Kept for an hour."""

    def last_change(self) -> int:
        """The newest `seq`, 0 if none."""


class Transaction(Reader, AccessWriter, Protocol):
    """Questions and writes in one atomic step. Writes report conflicts, they never raise for them."""

    def insert_job(self, record: JobRecord) -> None:
        """Add or replace the row of a job and remember its definition under (job_id, version)."""

    def update_job(self, record: JobRecord) -> None:
        """Write everything but the definition."""

    def delete_job(self, job_id: str) -> None:
        """Remove the job, its schedules, definitions and skips. Its runs must have been removed before."""

    def put_schedules(self, records: Sequence[ScheduleRecord]) -> None:
        """Add or replace entries, whatever their revision. That of one that exists grows by one, so that whoever
        read it before is refused."""

    def advance_schedules(self, records: Sequence[ScheduleRecord]) -> Collection[str]:
        """Write cursor, due_at and pause of entries whose stored revision is `record.revision`; the stored
        revision grows by one. Returns the ids of those that had another: nothing of them was written."""

    def delete_schedules(self, schedule_ids: Collection[str]) -> None: ...

    def insert_runs(self, records: Sequence[RunRecord]) -> Collection[str]:
        """Add runs. Returns the ids of those whose run_key exists already: they were not added."""

    def update_runs(self, changes: Sequence[tuple[RunRecord, State]]) -> Collection[str]:
        """Write each run if its stored state is the given one. Returns the ids where it was not.

        Its identity never changes: id, job_id, run_key, cause, schedule_id, fire_at, due_at, created_at, actor,
        retry_of, parent_id and item keep what `insert_runs` wrote."""

    def release_fires(self, schedule_id: str, job_id: str, after: datetime) -> int:
        """Runs that an entry made for fire times later than `after` give up their run keys, so that those times can
        make a run once more; how many there are."""

    def delete_runs(self, run_ids: Collection[str]) -> None:
        """Remove runs, their items, and the attempts of all of them."""

    def insert_attempts(self, records: Sequence[AttemptRecord]) -> None: ...

    def update_attempts(
        self, records: Sequence[AttemptRecord], *, token: Mapping[tuple[str, int], int] | None = None
    ) -> Collection[tuple[str, int]]:
        """Write each attempt if it is live and its stored token is the record's (or `token[run_id, number]`,
        for a takeover that changes the token). Returns the keys of those refused."""

    def next_token(self) -> int:
        """A fencing number greater than any given before."""

    def insert_skips(self, records: Sequence[SkipRecord]) -> None:
        """Add skips. Of two with the same (schedule_id, first_at) the one that reaches further stays; the first, if
        they reach as far."""

    def put_node(self, record: NodeRecord) -> None: ...

    def put_leader(self, record: LeaderRecord) -> None: ...

    def put_files(self, records: Sequence[FileRecord]) -> None: ...

    def delete_files(self, paths: Collection[str]) -> None: ...

    def put_incidents(self, records: Sequence[Incident]) -> None:
        """Add or replace. At most one is open for each (job, kind)."""

    def insert_deliveries(self, records: Sequence[Delivery]) -> None:
        """Add them; they get numbers that grow."""

    def update_deliveries(self, records: Sequence[Delivery]) -> None:
        """Write next_at, attempts, delivered_at and error of those that are pending; of what has arrived, always."""

    def supersede_pings(self, pings: Sequence[tuple[str, str]], error: str) -> None:
        """Give up what is pending of these (channel, event), for this reason."""

    def put_setting(self, name: str, value: str | None) -> None:
        """Remember, or forget with None."""

    def put_pools(self, sizes: Mapping[str, int], owner: str) -> None:
        """Replace the pools that `owner` (a file path, "settings") declares."""

    def put_configuration(self, record: ConfigurationRecord, actor: str) -> None:
        """Add or replace the row; its content is remembered under (name, version) once and never changes there."""

    def delete_configuration(self, name: str) -> None:
        """Remove the row; its versions go with `prune_configurations`. Idempotent."""

    def prune_configurations(self, limit: int) -> int:
        """Remove at most `limit` versions that no run refers to: of configurations that are gone, and those older
        than the newest `KEPT_VERSIONS`. Returns how many."""

    def prune(
        self, *, now: datetime, runs_before: datetime, runs_per_job: int, changes_before: datetime, limit: int
    ) -> Pruned:
        """Remove finished runs due before `runs_before` or beyond the newest `runs_per_job` of their job (of those due
        by `now`: a clock that was ahead may have made others, which push nobody out), old skips and changes, and
        definitions nobody refers to; at most `limit` runs. What a run needs that is not over
        stays: its flow, and of its upstreams in others those among which it would look."""


class Courier(Protocol):
    """Carries messages to people and pings to watchers, outside the caller's thread. At least once."""

    def send(self, deliveries: Sequence[Delivery], report: Callable[[Report], None]) -> None:
        """Try each of them once, those of one channel in their order; returns at once. `report` is called once for
        each, from any thread. Raises nothing."""

    def beat(self, url: str) -> None:
        """Ping `url` once: the scheduler is alive. Returns at once; a failure is logged, not repeated."""


class Store(Protocol):
    """Durable facts. Safe to use from several threads."""

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction, alone, and return its value once it is durable (fsync).

        Concurrent calls may share one commit. If `work` raises, nothing of it is kept and the error is raised
        here. `work` may be called again after a rollback and must have no effect but through its argument.

        Raises:
            Unavailable: disk full, read-only, locked for too long. Nothing of `work` was kept.
        """

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work` on a consistent snapshot."""

    def data_version(self) -> int:
        """A number that differs whenever another process or thread has committed since; cheap (microseconds)."""

    def close(self) -> None:
        """Idempotent."""
