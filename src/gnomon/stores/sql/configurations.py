"""Configurations, their versions, and who uses them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Select, and_, delete, exists, func, or_, select

from gnomon.core.configurations import KEPT_VERSIONS, ConfigurationRecord, ConfigurationVersion
from gnomon.core.records import Source, SourceKind
from gnomon.core.values import from_micros, to_micros

from .schema import USING_JOB, USING_RUN, configuration_versions, configurations, jobs, runs
from .session import Row, Session, Statement, WriteSession, given, insert_new, listed, upsert, within
from .values import clean, mapping, mapping_text

_CURRENT = and_(
    configuration_versions.c.name == configurations.c.name,
    configuration_versions.c.version == configurations.c.version,
)
CONFIGURATION: Select[Row] = select(
    *configurations.columns, configuration_versions.c.type, configuration_versions.c.arguments
).join_from(configurations, configuration_versions, _CURRENT)
_BY_NAME = Statement(CONFIGURATION.where(configurations.c.name == given("name")))
_NAMES = Statement(select(configurations.c.name).order_by(configurations.c.name))
_VERSION = Statement(
    select(*configuration_versions.columns).where(
        configuration_versions.c.name == given("name"), configuration_versions.c.version == given("version")
    )
)
_HISTORY = Statement(
    select(*configuration_versions.columns)
    .where(configuration_versions.c.name == given("name"))
    .order_by(configuration_versions.c.version.desc())
    .limit(given("limit"))
)
_USERS = Statement(
    select(jobs.c.configuration, jobs.c.job_id)
    .where(USING_JOB, within(jobs.c.configuration, "names"), jobs.c.retired_at.is_(None))
    .order_by(jobs.c.configuration, jobs.c.job_id)
)


def configuration_from_row(row: Row) -> ConfigurationRecord:
    """The configuration of a row, with its content."""
    name, version, kind, path, created, updated, type_, arguments = row
    source = Source(SourceKind(kind), path)
    return ConfigurationRecord(
        name, version, source, from_micros(created), from_micros(updated), type_, mapping(arguments)
    )


def _version(row: Row) -> ConfigurationVersion:
    name, version, type_, arguments, at, actor = row
    return ConfigurationVersion(name, version, from_micros(at), actor, type_, mapping(arguments))


class ConfigurationReads(Session):
    """Questions about configurations."""

    def configuration(self, name: str) -> ConfigurationRecord | None:
        row = self.first(_BY_NAME, name=name)
        return None if row is None else configuration_from_row(row)

    def configuration_names(self) -> Sequence[str]:
        return [row[0] for row in self.fetch(_NAMES)]

    def configuration_version(self, name: str, version: int) -> ConfigurationVersion | None:
        row = self.first(_VERSION, name=name, version=version)
        return None if row is None else _version(row)

    def configuration_history(self, name: str, limit: int = 50) -> Sequence[ConfigurationVersion]:
        return [_version(row) for row in self.fetch(_HISTORY, name=name, limit=limit)]

    def configuration_users(self, names: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        if names:
            for name, job_id in self.fetch(_USERS, names=listed(names)):
                found.setdefault(name, []).append(job_id)
        return {name: tuple(job_ids) for name, job_ids in found.items()}


_PUT = upsert(configurations)
_ADD_VERSION = insert_new(configuration_versions, ("name", "version"))
_DROP = Statement(delete(configurations).where(configurations.c.name == given("name")))
_NEWER = configuration_versions.alias("newer")
_NEWEST = select(func.max(_NEWER.c.version)).where(_NEWER.c.name == configuration_versions.c.name).scalar_subquery()
_REFERRED = exists(
    select(runs.c.id).where(
        USING_RUN,
        runs.c.configuration == configuration_versions.c.name,
        runs.c.configuration_version == configuration_versions.c.version,
    )
)
_KNOWN = exists(select(configurations.c.name).where(configurations.c.name == configuration_versions.c.name))
_STALE = Statement(
    select(configuration_versions.c.name, configuration_versions.c.version)
    .where(or_(configuration_versions.c.version <= _NEWEST - KEPT_VERSIONS, ~_KNOWN), ~_REFERRED)
    .limit(given("limit"))
)
_DROP_VERSION = Statement(
    delete(configuration_versions).where(
        configuration_versions.c.name == given("name"), configuration_versions.c.version == given("version")
    )
)


class ConfigurationWrites(WriteSession):
    """Changes to configurations."""

    def put_configuration(self, record: ConfigurationRecord, actor: str) -> None:
        source, updated = record.source, to_micros(record.updated_at)
        row = (record.name, record.version, source.kind.value, source.path, to_micros(record.created_at), updated)
        self.change_many(_PUT, [row])
        version = (record.name, record.version, record.type, mapping_text(record.arguments), updated, clean(actor))
        self.change_many(_ADD_VERSION, [version])
        self.touch("configurations", (record.name,))

    def delete_configuration(self, name: str) -> None:
        self.change(_DROP, name=name)
        self.touch("configurations", (name,))

    def prune_configurations(self, limit: int) -> int:
        stale = self.fetch(_STALE, limit=limit)
        self.change_many(_DROP_VERSION, stale)
        return len(stale)
