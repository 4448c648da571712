"""The small tables: job files, pools, settings, and the feed of changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select

from gnomon.core.records import Change, FileRecord
from gnomon.core.values import from_micros, to_micros

from .schema import changes, job_files, pools, settings
from .session import Session, Statement, WriteSession, given, insert_new, listed, one, upsert, within
from .values import text, value

_FILES = Statement(select(*job_files.columns).order_by(job_files.c.path))
_SIZES = Statement(select(pools.c.name, func.min(pools.c.size)).group_by(pools.c.name))
_SETTING = Statement(select(settings.c.value).where(settings.c.name == given("name")))
_CHANGES = Statement(
    select(*changes.columns).where(changes.c.seq > given("after")).order_by(changes.c.seq).limit(given("limit"))
)
_LAST_CHANGE = Statement(select(func.max(changes.c.seq)))


class MiscReads(Session):
    """Questions to the small tables."""

    def pool_sizes(self) -> Mapping[str, int]:
        return {row[0]: row[1] for row in self.fetch(_SIZES)}

    def files(self) -> Sequence[FileRecord]:
        return [
            FileRecord(path, digest, bool(ok), from_micros(seen), tuple(value(problems) or ()))
            for path, digest, ok, seen, problems in self.fetch(_FILES)
        ]

    def setting(self, name: str) -> str | None:
        row = self.first(_SETTING, name=name)
        return None if row is None else str(row[0])

    def changes(self, after_seq: int, limit: int = 1000) -> Sequence[Change]:
        return [
            Change(seq, from_micros(at), {kind: tuple(ids) for kind, ids in value(kept).items()})
            for seq, at, kept in self.fetch(_CHANGES, after=after_seq, limit=limit)
        ]

    def last_change(self) -> int:
        row = self.first(_LAST_CHANGE)
        return 0 if row is None or row[0] is None else int(row[0])


_PUT_FILE = upsert(job_files)
_DELETE_FILES = Statement(delete(job_files).where(within(job_files.c.path, "paths")))
_PUT_SETTING = upsert(settings)
_DELETE_SETTING = Statement(delete(settings).where(settings.c.name == given("name")))
_DROP_POOLS = Statement(delete(pools).where(pools.c.owner == given("owner")))
_OWNED = Statement(select(pools.c.name, pools.c.size).where(pools.c.owner == given("owner")))
_PUT_POOL = upsert(pools)
_ADD_CHANGE = insert_new(changes, ("seq",), without=("seq",))


class MiscWrites(WriteSession):
    """Changes to the small tables."""

    def put_files(self, records: Sequence[FileRecord]) -> None:
        rows = [
            (r.path, r.digest, one(r.ok), to_micros(r.seen_at), text([dict(p) for p in r.problems] or None))
            for r in records
        ]
        self.change_many(_PUT_FILE, rows)
        self.touch("files", [record.path for record in records])

    def delete_files(self, paths: Collection[str]) -> None:
        if paths and self.change(_DELETE_FILES, paths=listed(paths)):
            self.touch("files", paths)

    def put_setting(self, name: str, value: str | None) -> None:
        if value is None:
            self.change(_DELETE_SETTING, name=name)
        else:
            self.change_many(_PUT_SETTING, [(name, value)])

    def put_pools(self, sizes: Mapping[str, int], owner: str) -> None:
        before = {row[0]: row[1] for row in self.fetch(_OWNED, owner=owner)}
        if before == dict(sizes):
            return
        self.change(_DROP_POOLS, owner=owner)
        self.change_many(_PUT_POOL, [(owner, name, size) for name, size in sizes.items()])
        self.touch("pools", sorted(before.keys() | sizes.keys()))

    def append_change(self, at: datetime, touched: Mapping[str, Collection[str]]) -> None:
        """One entry of the feed; nothing if nothing was touched."""
        if touched:
            ids = text({kind: list(of_kind) for kind, of_kind in touched.items()})
            self.change_many(_ADD_CHANGE, [(to_micros(at), ids)])
