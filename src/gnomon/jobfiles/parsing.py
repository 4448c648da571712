"""A document → its jobs, and everything that is wrong with it. Never raises for what a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gnomon.core.errors import Problem
from gnomon.core.identity import is_job_id
from gnomon.core.model import Job
from gnomon.core.rules import ScheduleKinds
from gnomon.core.tasks import TaskTypes
from gnomon.core.values import JsonObject

from .context import Context, Given
from .fields import BY_SPELLING, FILE_KEYS, conflicts
from .graph import cycles
from .job_section import read_job
from .policies import slots
from .readers import Bad, wrong_type
from .reading import Document, read
from .report import At, Report
from .task_section import read_configurations
from .tree import Mapping_, Place, Seq, Value, shown

MAX_JOBS = 10_000


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What a job file says.

    Attributes:
        jobs: the valid jobs, in the order written.
        problems: all that is wrong; empty: the file is good.
        warnings: what works and is probably not meant.
        pools: slots by pool, from `pools:`.
        configurations: arguments by name, from `configurations:`.
        by_entry: a bare list: its valid entries count although others are bad. Any other file counts whole.
        skipped: ids of the bad entries of a bare list; None among them: an entry whose id cannot be read.
        places: line and column of each job. configuration_places: of each configuration.
        upstream_places: of each (job, upstream).
    """

    jobs: tuple[Job, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    pools: Mapping[str, int] = field(default_factory=dict)
    configurations: Mapping[str, JsonObject] = field(default_factory=dict)
    by_entry: bool = False
    skipped: frozenset[str | None] = frozenset()
    places: Mapping[str, Place] = field(default_factory=dict)
    configuration_places: Mapping[str, Place] = field(default_factory=dict)
    upstream_places: Mapping[tuple[str, str], Place] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether this version of the file may take effect."""
        return self.by_entry or not self.problems


def parse_bytes(
    data: bytes, file: str, kinds: ScheduleKinds, task_types: TaskTypes, *, default_timezone: str = "UTC"
) -> ParsedFile:
    """The jobs in the bytes of a file. `file` names the format by its extension, and is put into every problem."""
    document = read(data, file)
    if isinstance(document, list):
        return ParsedFile(problems=tuple(document))
    return parse_document(document, Context(kinds, task_types, default_timezone))


def parse_document(document: Document, context: Context) -> ParsedFile:
    """The jobs of a document."""
    return _FileParser(document, context).parse()


class _FileParser:
    def __init__(self, document: Document, context: Context) -> None:
        self._root = document.root
        self._report = Report(document)
        self._context = context
        self._jobs: dict[str, Job] = {}
        self._ids: dict[str, At] = {}
        self._skipped: set[str | None] = set()
        self._defaults: dict[str, tuple[Value, At]] = {}
        self._pools: dict[str, int] = {}

    def parse(self) -> ParsedFile:
        root, top = self._root, At(self._report)
        if isinstance(root, Seq):
            self._list(root, top)
        elif isinstance(root, Mapping_):
            self._mapping(root, top)
        else:
            wrong_type(root, top, "a job, or `jobs:` with a list of jobs")
        self._cycles()
        return self._answer()

    def _mapping(self, root: Mapping_, top: At) -> None:
        for key, read_section in (
            ("configurations", self._configure),
            ("pools", self._pool),
            ("defaults", self._default),
        ):
            if root.get(key) is not None:
                read_section(root[key], top.child(key))
        own = [key for key in root if key not in FILE_KEYS]
        if "jobs" not in root:
            if own or not root:
                self._job(root, top, ignore=FILE_KEYS)
            return
        for key in own:
            hint = "put it into `defaults:` or into a job" if key in BY_SPELLING else ""
            if hint:
                top.child(key).problem("misplaced_key", f"{shown(key)} stands beside `jobs`", hint, of_key=True)
            else:
                top.child(key).unknown("unknown_key", f"a file has no key {shown(key)}", key, FILE_KEYS)
        jobs = root["jobs"]
        if isinstance(jobs, Seq):
            self._list(jobs, top.child("jobs"))
        elif jobs is not None:
            wrong_type(jobs, top.child("jobs"), "a list of jobs", "start each job with `- job_id: …`")

    def _configure(self, value: Value, at: At) -> None:
        self._context.configurations = read_configurations(value, at, self._context)

    def _pool(self, value: Value, at: At) -> None:
        read_slots = slots(value, at)
        self._pools = cast(dict[str, int], read_slots) if isinstance(read_slots, dict) else {}

    def _default(self, value: Value, at: At) -> None:
        if not isinstance(value, Mapping_):
            wrong_type(value, at, "a mapping of job keys")
            return
        self._defaults = self._by_name(value, at, ())
        if "job_id" in self._defaults:
            message = "`job_id` cannot be a default"
            self._defaults.pop("job_id")[1].problem("misplaced_key", message, "give each job its own", of_key=True)
        for name, (item, here) in list(self._defaults.items()):
            read_value = BY_SPELLING[name].read
            if read_value is not None and item is not None and isinstance(read_value(item, here), Bad):
                del self._defaults[name]  # complained about once; the jobs are judged without it

    def _list(self, jobs: Seq, at: At) -> None:
        if len(jobs) > MAX_JOBS:
            message = f"a job file has at most {MAX_JOBS:,} jobs, this one {len(jobs):,}"
            at.problem("too_many_jobs", message, "split the file")
            self._skipped.add(None)
            return
        for index, entry in enumerate(jobs):
            if isinstance(entry, Mapping_):
                self._job(entry, at.child(index))
            else:
                wrong_type(entry, at.child(index), "a job", "write a mapping with `job_id` and `task`")
                self._skipped.add(None)

    def _job(self, entry: Mapping_, at: At, ignore: tuple[str, ...] = ()) -> None:
        before = self._report.count
        given = self._given(entry, at, ignore)
        job = read_job(given, self._context)
        name = given.value("job_id")
        job_id = job.job_id if job is not None else name if isinstance(name, str) and is_job_id(name) else None
        first = self._ids.setdefault(job_id, at) if job_id is not None else at
        if first is not at:
            line = self._report.document.place(first.path)[0]
            message = f"the job {shown(job_id)} is given twice: here and in line {line}"
            given.place("job_id").problem("duplicate_job_id", message, "give one of them another id")
        if job is not None and self._report.count == before:
            self._jobs[job.job_id] = job
        elif self._report.count > before and job_id not in self._jobs:
            self._skipped.add(job_id)

    def _given(self, entry: Mapping_, at: At, ignore: tuple[str, ...]) -> Given:
        own = self._by_name(entry, at, ignore)
        for name in own:
            for other in own:
                if name < other and conflicts(name, other):
                    message = f"`{name}` and `{other}` cannot stand in one job"
                    own[other][1].problem("conflicting_keys", message, "keep one of them", of_key=True)
        if not self._defaults:
            return Given(at, own)
        inherited = {
            name: item
            for name, item in self._defaults.items()
            if name not in own and not any(conflicts(name, other) for other in own)
        }
        return Given(at, {**inherited, **own})

    def _by_name(self, entry: Mapping_, at: At, ignore: tuple[str, ...]) -> dict[str, tuple[Value, At]]:
        answer: dict[str, tuple[Value, At]] = {}
        for key, value in entry.items():
            known = BY_SPELLING.get(key)
            here = at.child(key)
            if known is None:
                if key not in ignore:
                    words = (*BY_SPELLING, *ignore)
                    here.unknown("unknown_key", f"a job has no key {shown(key)}", key, words)
            elif known.name in answer:
                first = str(answer[known.name][1].path[-1])
                message = f"`{first}` and `{key}` mean the same"
                here.problem("conflicting_keys", message, "keep one of them", of_key=True)
            else:
                answer[known.name] = (value, here)
        return answer

    def _cycles(self) -> None:
        edges = {name: [item.job for item in job.depends_on] for name, job in self._jobs.items() if job.depends_on}
        for fault in cycles(edges):
            at, key = self._upstream(fault.job, fault.upstream)
            self._report.add(fault.code, fault.message, at, fault.hint, key=key)
            for name in fault.jobs:
                self._skipped.add(name)
                self._jobs.pop(name, None)

    def _upstream(self, job: str, upstream: str) -> tuple[tuple[str | int, ...], str]:
        path = self._ids[job].path
        entry = self._entry(job)
        key = next((word for word in ("depends_on", "dependencies") if word in entry), "")
        names = [item.job for item in self._jobs[job].depends_on]
        listed = isinstance(entry.get(key), Seq) and upstream in names
        return (*path, *((key,) if key else ())), f"[{names.index(upstream)}]" if listed else ""

    def _entry(self, job: str) -> Mapping_:
        here: Any = self._root
        for step in self._ids[job].path:
            here = here[step]
        return cast(Mapping_, here)

    def _answer(self) -> ParsedFile:
        document = self._report.document
        upstream_places = {}
        for name, job in self._jobs.items():
            for item in job.depends_on:
                path, key = self._upstream(name, item.job)
                where = (*path, int(key[1:-1])) if key else path
                upstream_places[name, item.job] = document.place(where)
        return ParsedFile(
            jobs=tuple(self._jobs.values()),
            problems=self._report.problems(),
            warnings=tuple(self._report.warnings),
            pools=self._pools,
            configurations=dict(self._context.configurations),
            by_entry=isinstance(self._root, Seq),
            skipped=frozenset(self._skipped),
            places={name: document.place(at.path) for name, at in self._ids.items() if name in self._jobs},
            configuration_places={
                name: document.place(("configurations", name)) for name in self._context.configurations
            },
            upstream_places=upstream_places,
        )
