"""Which jobs a set of files asks for, and what must change in the store for that. Pure.

A file counts whole: if one of its jobs cannot be had, its version in effect stays. The exception is a bare list, of
which only the bad entries are left out. Decisions do not depend on the order in which files were read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.errors import Problem, UsageError
from gnomon.core.model import Job
from gnomon.core.records import SourceKind
from gnomon.core.tasks import TaskTypes

from .directory import inside
from .disputes import conflict_problem, fault_problem, missing_faults
from .graph import check_graph
from .parsing import ParsedFile
from .plan import Active, FilePlan
from .tree import shown
from .uses import Content, Refusal, claim, problems_of, settled

__all__ = ["Active", "FilePlan", "plan_files"]
T = TypeVar("T")


def plan_files(
    active: Mapping[str, Active],
    good: Mapping[str, ParsedFile],
    *,
    root: str | None = None,
    removed: Collection[str] = (),
    in_effect: Mapping[str, ParsedFile] | None = None,
    broken: Collection[str] = (),
    held: Collection[str] = (),
    known: Collection[str] = (),
    configured: Mapping[str, ConfigurationRecord] | None = None,
    task_types: TaskTypes | None = None,
) -> FilePlan:
    """What the files in `good` ask of a store that has `active`. Asking again after applying gives nothing to do.

    Args:
        active: every job of the store that is not retired, by id, whatever its source.
        good: newest usable version of each file (`DirectoryWatcher.good`).
        root: the watched path (`DirectoryWatcher.root`). Files below it that are in none of `good`, `broken` and
            `held` are gone: their jobs retire unless another file has them. Jobs of files elsewhere stay.
        removed: further files (anywhere) that are gone.
        in_effect: of the last plan; None at start-up.
        broken: files that are there without a usable version: they keep what they own.
        held: files that are missing, but not believed to be gone: their jobs stay unless another file has them.
        known: ids that dependencies may name although no job has them here.
        configured: every configuration of the store, by name.
        task_types: judge tasks that use a configuration; None: they are not judged.
    """
    counted = {path: version for path, version in good.items() if path not in held}
    gone = _Gone(root, frozenset(removed), frozenset(held))
    planner = _Planner(active, counted, gone, in_effect or {}, frozenset(broken), known)
    planner.configured, planner.task_types = configured or {}, task_types
    return planner.plan()


@dataclass(frozen=True, slots=True)
class _Gone:
    """Which files count as gone, of those that have no version and are not broken."""

    root: str | None
    removed: frozenset[str]
    held: frozenset[str]

    def __contains__(self, path: str) -> bool:
        return path not in self.held and (path in self.removed or (self.root is not None and inside(self.root, path)))


def _perhaps(job_id: str, path: str) -> Problem:
    message = f"job {shown(job_id)} is in this list no more, unless one of its entries without an id is it: it fires on"
    hint = "give every entry its id; then jobs that are not there are retired"
    return Problem("perhaps_removed", message, "", hint, path)


class _Planner:
    def __init__(
        self,
        active: Mapping[str, Active],
        good: Mapping[str, ParsedFile],
        gone: _Gone,
        before: Mapping[str, ParsedFile],
        broken: frozenset[str],
        known: Collection[str],
    ) -> None:
        self._known = known
        self._active = active
        self._gone = gone
        self._before = before
        self._chosen: dict[str, ParsedFile] = dict(good)
        self._keeping = set(broken)  # files without a version that counts: what they own stays
        self._left_out: set[tuple[str, str]] = set()  # (path, job) of bare lists
        self._problems: dict[str, list[Problem]] = {}
        self._warnings: dict[str, list[Problem]] = {}
        self._use_warnings: dict[str, list[Problem]] = {}
        self._configurations: dict[str, tuple[Content, str]] = {}
        self.configured: Mapping[str, ConfigurationRecord] = {}
        self.task_types: TaskTypes | None = None

    def plan(self) -> FilePlan:
        """Step back from versions that cannot count until the rest fits together; every round steps back."""
        while True:
            wanted, refused = self._claims()
            if not refused:
                self._configurations, refused = claim(self._chosen, self.configured, self._keeping)
            if not refused:
                refused = self._settle(wanted)
            if not refused:
                refused = self._judge_graph(wanted)
            if not refused:
                return self._answer(wanted)
            self._step_back(refused)

    def _claims(self) -> tuple[dict[str, tuple[Job, str]], list[tuple[str, str, Problem]]]:
        """job id → (job, path) of who gets it; and (path, job id, problem) of who does not."""
        claims: dict[str, list[tuple[str, Job]]] = {}
        for path in sorted(self._chosen):
            for job in self._chosen[path].jobs:
                if (path, job.job_id) not in self._left_out:
                    claims.setdefault(job.job_id, []).append((path, job))
        wanted: dict[str, tuple[Job, str]] = {}
        refused: list[tuple[str, str, Problem]] = []
        for job_id, claimants in claims.items():
            owner = self._owner(job_id)
            first = next((claim for claim in claimants if claim[0] == owner), claimants[0])
            for path, job in claimants:
                if path == first[0] and (owner is None or owner == path):
                    wanted[job_id] = (job, path)
                else:
                    refused.append(
                        (path, job_id, conflict_problem(self._chosen[path], path, job_id, owner or first[0]))
                    )
        return wanted, refused

    def _owner(self, job_id: str) -> str | None:
        """The path (or the name of another source) that holds a job and does not give it up; None: it is free."""
        record = self._active.get(job_id)
        if record is None:
            return None
        path = record.source.path
        if record.source.kind is not SourceKind.FILE or path is None:
            return record.source.kind.value
        if path in self._chosen:
            version = self._chosen[path]
            asks = any(job.job_id == job_id for job in version.jobs) and (path, job_id) not in self._left_out
            return path if asks or self._skips(path, job_id) else None
        return path if path in self._keeping else None

    def _skips(self, path: str, job_id: str) -> bool:
        """Whether a bare list has (or may have) the job in an entry that is bad at the moment."""
        version = self._chosen[path]
        return (path, job_id) in self._left_out or job_id in version.skipped or None in version.skipped

    def _settle(self, wanted: dict[str, tuple[Job, str]]) -> list[Refusal]:
        """Give tasks the type of the configuration they use; refuse new versions whose tasks do not fit theirs."""
        self._use_warnings.clear()
        refused: list[Refusal] = []
        types = self.task_types
        if types is None:
            return refused
        dropped = set(self._dropped())
        stored = {name: Content(r.type, r.arguments) for name, r in self.configured.items() if name not in dropped}
        contents = {**stored, **{name: content for name, (content, _) in self._configurations.items()}}
        for job_id, (job, path) in list(wanted.items()):
            if job.task.use is None:
                continue
            try:
                wanted[job_id] = settled(job, contents.get, contents, types), path
            except UsageError as error:
                problems = problems_of(error, self._chosen[path], path, job_id)
                record = self._active.get(job_id)
                if record is not None and record.job.task.use == job.task.use and self._unchanged(path):
                    self._use_warnings.setdefault(path, []).extend(problems)
                    wanted[job_id] = replace(job, task=record.job.task), path
                else:
                    refused += [(path, job_id, problem) for problem in problems]
        return refused

    def _unchanged(self, path: str) -> bool:
        return path in self._before and self._before[path] is self._chosen[path]

    def _dropped(self) -> list[str]:
        """Configurations of files that have them no more."""
        found = []
        for name, record in self.configured.items():
            path = record.source.path
            if record.source.kind is not SourceKind.FILE or path is None or name in self._configurations:
                continue
            if path in self._chosen or (path in self._gone and path not in self._keeping):
                found.append(name)
        return sorted(found)

    def _judge_graph(self, wanted: Mapping[str, tuple[Job, str]]) -> list[tuple[str, str, Problem]]:
        """Refuse new versions that depend on what is not there or close a cycle; unchanged jobs only get a warning."""
        staying = {job_id: self._active[job_id].job for job_id in self._staying(wanted)}
        jobs = {**staying, **{job_id: job for job_id, (job, _) in wanted.items()}}
        edges = {job_id: [item.job for item in job.depends_on] for job_id, job in jobs.items() if job.depends_on}
        downstream: dict[str, list[str]] = {}
        for job_id, upstreams in edges.items():
            for upstream in upstreams:
                downstream.setdefault(upstream, []).append(job_id)
        refused: list[tuple[str, str, Problem]] = []
        self._warnings.clear()
        faults = check_graph(edges, known=[*jobs, *self._known])
        judged: set[str] = set()
        for fault in faults:  # grows: what is refused is missing to others
            changed = [job_id for job_id in fault.jobs if job_id in wanted and self._changed(job_id, wanted)]
            for job_id in changed:
                path = wanted[job_id][1]
                refused.append((path, job_id, fault_problem(self._chosen[path], path, fault, job_id, edges)))
                faults.extend(missing_faults(self._lost_with(path, job_id, judged), path, wanted, downstream))
            if not changed and fault.job in wanted:
                path = wanted[fault.job][1]
                self._warnings.setdefault(path, []).append(
                    fault_problem(self._chosen[path], path, fault, fault.job, edges)
                )
        return refused

    def _lost_with(self, path: str, job_id: str, judged: set[str]) -> list[str]:
        """New jobs that are not to be had when this job is refused, each once."""
        if path in self._before and not self._chosen[path].by_entry:
            return []  # what the version before does not have comes out in the next round
        names = [job_id] if self._chosen[path].by_entry else [job.job_id for job in self._chosen[path].jobs]
        lost = [name for name in names if name not in self._active and name not in judged]
        judged.update(lost)
        return lost

    def _changed(self, job_id: str, wanted: Mapping[str, tuple[Job, str]]) -> bool:
        job, path = wanted[job_id]
        if self._unchanged(path):
            return False
        record = self._active.get(job_id)
        return record is None or record.job.depends_on != job.depends_on

    def _step_back(self, refused: Iterable[tuple[str, str, Problem]]) -> None:
        for path, job_id, problem in refused:
            problems = self._problems.setdefault(path, [])
            if problem not in problems:
                problems.append(problem)
            if path in self._chosen and self._chosen[path].by_entry:
                self._left_out.add((path, job_id))
        for path in {path for path, _, _ in refused if path in self._chosen and not self._chosen[path].by_entry}:
            before = self._before.get(path)
            if before is not None and self._chosen[path] is not before:
                self._chosen[path] = before
            else:
                del self._chosen[path]
                self._keeping.add(path)

    def _staying(self, wanted: Mapping[str, tuple[Job, str]]) -> list[str]:
        """Active jobs that no file in effect asks for, and that are not retired."""
        return [job_id for job_id in self._active if job_id not in wanted and not self._retires(job_id)]

    def _retires(self, job_id: str) -> bool:
        source = self._active[job_id].source
        if source.kind is not SourceKind.FILE or source.path is None:
            return False
        if source.path in self._chosen:
            return not self._skips(source.path, job_id)
        return source.path in self._gone and source.path not in self._keeping

    def _answer(self, wanted: Mapping[str, tuple[Job, str]]) -> FilePlan:
        upserts = []
        for job_id, (job, path) in sorted(wanted.items()):
            record = self._active.get(job_id)
            if record is None or record.job != job or record.source.path != path:
                upserts.append((job, path))
        retire = sorted(job_id for job_id in self._active if job_id not in wanted and self._retires(job_id))
        pools: dict[str, int] = {}
        for path in sorted(self._chosen):
            self._merge(pools, self._chosen[path].pools, path, "pool")
        for job_id, path in self._perhaps_removed(wanted):
            self._warnings.setdefault(path, []).append(_perhaps(job_id, path))
        for path, items in self._use_warnings.items():
            self._warnings.setdefault(path, []).extend(items)
        return FilePlan(
            upserts=tuple(upserts),
            retire=tuple(retire),
            in_effect=dict(self._chosen),
            problems={path: tuple(items) for path, items in self._problems.items()},
            warnings={path: tuple(items) for path, items in self._warnings.items()},
            pools=pools,
            configurations=tuple((name, *found) for name, found in sorted(self._configurations.items())),
            dropped=tuple(self._dropped()),
        )

    def _perhaps_removed(self, wanted: Mapping[str, tuple[Job, str]]) -> Iterator[tuple[str, str]]:
        """Jobs that stay only because an entry of their bare list has no id: it may be theirs, or they were removed."""
        for job_id in self._staying(wanted):
            source = self._active[job_id].source
            path = source.path if source.kind is SourceKind.FILE else None
            version = None if path is None else self._chosen.get(path)
            known = path is not None and (path, job_id) in self._left_out
            if path is not None and version is not None and not known and job_id not in version.skipped:
                yield job_id, path

    def _merge(self, into: dict[str, T], items: Mapping[str, T], path: str, what: str) -> None:
        """Add what one file declares; the first file (by path) that names a thing wins."""
        for name, value in items.items():
            if into.setdefault(name, value) != value:
                message = f"the {what} {shown(name)} is declared differently in another file, which counts"
                hint = "declare it in one place"
                problem = Problem(f"duplicate_{what}", message, f"{what}s.{name}", hint, path)
                self._warnings.setdefault(path, []).append(problem)
