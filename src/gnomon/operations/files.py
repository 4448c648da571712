"""Job files into the store: what a look at the directory found is applied in one transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.errors import Problem
from gnomon.core.health import MOST_TEXT, Check, Level
from gnomon.core.ports import Reader, Transaction
from gnomon.core.records import AuditRecord, FileRecord, JobFilter, JobRecord, Page, Source, SourceKind
from gnomon.core.values import JsonObject, rfc3339
from gnomon.jobfiles.applying import FilePlan, plan_files
from gnomon.jobfiles.directory import DirectoryWatcher, inside
from gnomon.jobfiles.parsing import ParsedFile

from .configurations import put
from .context import Desk
from .definitions import retire, upsert
from .doubts import doubts, unknown_channels
from .elsewhere import anywhere
from .nodes import living_in
from .said import content_said, job_change, job_said
from .views import problem_view

logger = logging.getLogger("gnomon")
CONFIRM = "files.confirm_empty"
GUARD = "files.guard"
WATCH = "files.watch"
"""Which node watches which place, as JSON."""
FILES = "files"
"""Who changed what a job file changed."""


@dataclass(slots=True)
class FileDesk:
    """Applies what a watcher finds. One per node; only the leader's is asked to apply.

    `in_effect`: the version of each file that counts, None before the first application.
    """

    desk: Desk
    watcher: DirectoryWatcher
    in_effect: Mapping[str, ParsedFile] | None = None
    _told: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    _guard: Problem | None = None
    _owed: bool = False
    _broken: Sequence[Problem] = ()
    _leads: bool = False

    def checks(self) -> Iterator[Check]:
        """Files that do not count, or a directory that is not believed; of the one that applies them."""
        guard, broken = self._guard, self._broken
        if not self._leads or (guard is None and not broken):
            return
        word = "job file has mistakes" if len(broken) == 1 else "job files have mistakes"
        text = str(guard) if guard is not None else f"{len(broken)} {word}, see `gnomon jobs files`: {broken[0]}"
        yield Check("job_files", Level.DEGRADED, " ".join(text.split())[:MOST_TEXT])

    def look(self, leading: bool) -> bool:
        """Look at the directory once; apply what changed if this node leads. Returns whether anything was applied."""
        self._leads = leading
        if leading and self.desk.store.read(lambda r: r.setting(CONFIRM)) is not None:
            self.watcher.confirm_empty()
            self.desk.store.write(lambda tx: tx.put_setting(CONFIRM, None))
        changes = self.watcher.scan()
        before, self.in_effect = self.in_effect, None  # if anything cannot be written, all is applied again
        self._tell_guard(changes.guard, leading)
        if not leading:
            return False
        self._owed = self._owed or bool(changes)
        if before is not None and (not self._owed or self.watcher.losing):
            self.in_effect = before
            return False  # a file that is missing for a moment may be on its way to another name
        self._owed = False
        plan = self.desk.store.write(lambda tx: self._apply(tx, changes.removed, before))
        self.in_effect = plan.in_effect
        if before is None and watched_by_nobody(self.watcher.outside):
            logger.warning("%s", watched_by_nobody(self.watcher.outside))
        self._tell(plan)
        return True

    def _apply(self, tx: Transaction, removed: Sequence[str], before: Mapping[str, ParsedFile] | None) -> FilePlan:
        now = self.desk.clock.now()
        active = active_jobs(tx)
        watched = self.watcher
        gone = [*removed, *_strangers(active, watched)] if before is None else removed
        plan = plan_files(
            active,
            watched.good,
            root=watched.root,
            in_effect=before,
            broken=watched.broken,
            held=watched.held,
            removed=gone,
            configured=stored_configurations(tx),
            task_types=self.desk.task_types,
        )
        self._configure(tx, plan)
        made: list[AuditRecord] = []
        for job, path in plan.upserts:
            old, saved = active.get(job.job_id), upsert(tx, self.desk.planner, job, Source(SourceKind.FILE, path), now)
            if old is None or saved is not old:
                made.append(AuditRecord(now, FILES, "job.save", job.job_id, *job_change(old, saved, self.desk.kinds)))
        for job_id in plan.retire:
            retire(tx, self.desk.planner, active[job_id], now)
            said = job_said(active[job_id], self.desk.kinds)
            made.append(AuditRecord(now, FILES, "job.remove", job_id, said))
        tx.add_audit(made)
        if before is None:
            tx.put_setting(WATCH, json.dumps({"node": self.desk.engine.node_id, "root": watched.root}))
            tx.put_setting(GUARD, None if self._guard is None else str(self._guard))
        tx.put_pools(plan.pools, "files")
        known = set(watched.good) | set(watched.failed)
        tx.delete_files([f.path for f in tx.files() if f.path not in known])
        tx.put_files([self._record(path, plan) for path in sorted(known)])
        return plan

    def _configure(self, tx: Transaction, plan: FilePlan) -> None:
        now = self.desk.clock.now()
        for name, content, path in plan.configurations:
            old = tx.configuration(name)
            if put(tx, name, content, Source(SourceKind.FILE, path), now, FILES):
                before, after = content_said(old), content_said(tx.configuration(name))
                tx.add_audit([AuditRecord(now, FILES, "configuration.save", name, before, after)])
        for name in plan.dropped:
            old = tx.configuration(name)
            tx.delete_configuration(name)
            tx.add_audit([AuditRecord(now, FILES, "configuration.delete", name, content_said(old))])

    def _record(self, path: str, plan: FilePlan) -> FileRecord:
        problems = (*self.watcher.failed.get(path, ()), *plan.problems.get(path, ()))
        warned = (*problems, *plan.warnings.get(path, ()))
        views = tuple(problem_view(p) for p in warned)
        digest = self.watcher.digests.get(path, "")
        return FileRecord(path, digest, not problems, self.desk.clock.now(), views)

    def _tell(self, plan: FilePlan) -> None:
        """Log every problem once, and what was applied."""
        bad = {**plan.problems, **self.watcher.failed}
        self._broken = [bad[path][0] for path in sorted(bad) if bad[path]]
        now: dict[str, tuple[Problem, ...]] = {}
        for path in {*self.watcher.failed, *plan.problems, *plan.warnings}:
            now[path] = (*self.watcher.failed.get(path, ()), *plan.problems.get(path, ()), *plan.warnings.get(path, ()))
        for path, problems in now.items():
            for problem in problems:
                if problem not in self._told.get(path, ()):
                    logger.error("%s", problem)
            if problems and self._told.get(path) != problems and path in plan.in_effect:
                kept = (
                    "its other entries count"
                    if plan.in_effect[path].by_entry
                    else "its last good version stays in effect"
                )
                logger.warning("%s: %s", path, kept)
        for path in self._told.keys() - now.keys():
            logger.info("%s is %s", path, "fine again" if path in self.watcher.good else "gone")
        self._told = now
        for job, path in plan.upserts:
            logger.info("job %s loaded from %s", job.job_id, path)
            for doubt in (*doubts(job), *unknown_channels(job, self.desk.channels)):
                logger.warning("%s: %s", path, doubt)
        for job_id in plan.retire:
            logger.info("job %s is in no file any more: it does not fire again, its history stays", job_id)

    def _tell_guard(self, guard: Problem | None, leading: bool) -> None:
        if guard == self._guard:
            return
        if guard is not None:
            logger.error("%s", guard)
        else:
            logger.info("the jobs directory %s is believed again", self.watcher.root)
        self._guard = guard
        if leading:
            text = None if guard is None else str(guard)
            self.desk.store.write(lambda tx: tx.put_setting(GUARD, text))


def active_jobs(reader: Reader) -> dict[str, JobRecord]:
    """Every job that is not retired, by id."""
    found: dict[str, JobRecord] = {}
    cursor: str | None = None
    while True:
        page = reader.jobs(JobFilter(), limit=1000, cursor=cursor)
        found.update((record.job_id, record) for record in page.items)
        cursor = page.next
        if cursor is None:
            return found


def stored_configurations(reader: Reader) -> dict[str, ConfigurationRecord]:
    """Every configuration, by name."""
    found: dict[str, ConfigurationRecord] = {}
    cursor: str | None = None
    while True:
        page = reader.configurations(1000, cursor)
        found.update((record.name, record) for record in page.items)
        cursor = page.next
        if cursor is None:
            return found


def owned_paths(reader: Reader) -> set[str]:
    """Paths of files that own jobs."""
    return {r.source.path for r in active_jobs(reader).values() if r.source.path is not None}


def unwatched(desk: Desk) -> list[str]:
    """Files that own jobs and that no scheduler watches, although one fires them."""

    def ask(reader: Reader) -> list[str]:
        alive = {node.node_id for node in living_in(desk, reader)}
        kept = json.loads(reader.setting(WATCH) or "{}")
        root = kept.get("root") if kept.get("node") in alive else None
        return sorted(p for p in owned_paths(reader) if root is None or not inside(root, p)) if alive else []

    return desk.store.read(ask)


def watched_by_nobody(paths: Collection[str]) -> str:
    """What to tell people of such files; "" if there are none."""
    if not paths:
        return ""
    shown = ", ".join(sorted(paths)[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return (
        f"the jobs of {shown} fire on as they are, although no scheduler watches that: watch it (--jobs-dir), "
        "or remove it, or the jobs (`gnomon jobs delete`)"
    )


@anywhere
def confirm_empty(desk: Desk) -> None:
    """A person says that the jobs directory is meant to be as empty as it is: its jobs are retired at the next look."""

    def work(tx: Transaction) -> None:
        tx.put_setting(CONFIRM, desk.actor)
        desk.audit(tx, "files.confirm_empty", "jobs directory")

    desk.store.write(work)


@anywhere
def list_files(desk: Desk) -> list[JsonObject]:
    """Job files and what is wrong with them."""
    return [_file_view(f) for f in desk.store.read(lambda reader: list(reader.files()))]


def file_page(desk: Desk, limit: int = 50, cursor: str | None = None) -> Page[JsonObject]:
    """Job files by path, and a part of them. The cursor is the last path of the part before."""
    found = [f for f in desk.store.read(lambda reader: list(reader.files())) if f.path > (cursor or "")]
    more = found[limit - 1].path if len(found) > limit else None
    return Page(tuple(_file_view(f) for f in found[:limit]), more)


@anywhere
def guard(desk: Desk) -> str | None:
    """What the scheduler does not believe of the jobs directory, in words; None: it believes it."""
    return desk.store.read(lambda reader: reader.setting(GUARD))


def _file_view(record: FileRecord) -> JsonObject:
    seen = rfc3339(record.seen_at)
    return {"path": record.path, "ok": record.ok, "seen_at": seen, "problems": list(record.problems)}


def _strangers(active: Mapping[str, JobRecord], watcher: DirectoryWatcher) -> list[str]:
    """Files outside the watched place that own jobs: the directory was changed by the operator; they are gone."""
    known = watcher.broken | watcher.held | watcher.good.keys()
    paths = {r.source.path for r in active.values() if r.source.kind is SourceKind.FILE and r.source.path}
    return sorted(p for p in paths - known if not p.startswith(watcher.root.rstrip("/") + "/") and p != watcher.root)
