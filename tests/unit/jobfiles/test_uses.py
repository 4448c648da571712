"""Configurations over a whole set of files: whose they are, and jobs that use them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gnomon.core.configurations import ConfigurationRecord
from gnomon.core.filters import AuditFilter
from gnomon.core.records import Source, SourceKind
from gnomon.core.tasks import TaskTypeRegistry
from gnomon.operations.configurations import save_configuration
from gnomon.operations.validate import check_path
from gnomon.tasks import BUILTIN
from tests.unit.jobfiles.rooms import KINDS, only
from tests.unit.operations.test_files import Watched

TYPES = TaskTypeRegistry(BUILTIN)
SHOP = "configurations: {shop: {type: command, command: [date], env: {A: one}}}\n"
USER = "job_id: user\ntask: {use: shop}\nschedule: every 60s\n"


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def write(watched: Watched, **texts: str) -> None:
    for name, text in texts.items():
        (watched.path / f"{name}.yaml").write_text(text)
    watched.look()


def stored(watched: Watched, name: str = "shop") -> ConfigurationRecord | None:
    return watched.d.read(lambda r: r.configuration(name))


def codes(watched: Watched, name: str) -> list[str]:
    found = watched.d.read(lambda r: r.files())
    return [str(p["code"]) for file in found if file.path.endswith(f"/{name}.yaml") for p in file.problems]


def test_a_configuration_comes_changes_and_goes_with_its_file(watched: Watched) -> None:
    write(watched, conf=SHOP)
    record = stored(watched)
    assert record is not None
    assert (record.version, record.type, record.source.path) == (1, "command", str(watched.path / "conf.yaml"))
    write(watched, conf=SHOP.replace("one", "twofold"))
    record = stored(watched)
    assert record is not None
    assert (record.version, record.arguments["env"]) == (2, {"A": "twofold"})
    write(watched, conf="jobs: []\n")
    assert stored(watched) is None
    audit = watched.d.read(lambda r: r.audit_page(AuditFilter(actions=("configuration",)))).items
    assert [(a.action, (a.before or {}).get("version")) for a in audit] == [
        ("configuration.delete", 2),
        ("configuration.save", 1),
        ("configuration.save", None),
    ]


def test_a_job_uses_a_configuration_of_another_file(watched: Watched) -> None:
    write(watched, user=USER, conf=SHOP)
    job = watched.d.read(lambda r: r.job("user"))
    assert job is not None
    assert (job.job.task.type, job.job.task.use) == ("command", "shop")
    version = job.version
    write(watched, conf=SHOP.replace("one", "twofold"))
    job = watched.d.read(lambda r: r.job("user"))
    assert job is not None
    assert job.version == version, "the job itself did not change"


def test_an_unknown_one_is_an_error_until_it_comes(watched: Watched) -> None:
    write(watched, user=USER, conf=SHOP.replace("shop", "shops"))
    assert codes(watched, "user") == ["configuration_not_found"]
    assert watched.d.read(lambda r: r.job("user")) is None
    write(watched, conf=SHOP)
    assert codes(watched, "user") == []
    assert watched.d.read(lambda r: r.job("user")) is not None


def test_one_saved_without_a_file_counts(watched: Watched) -> None:
    save_configuration(watched.d.desk, "shop", "command", {"command": ["date"]})
    write(watched, user=USER)
    assert watched.d.read(lambda r: r.job("user")) is not None
    write(watched, conf=SHOP)
    assert codes(watched, "conf") == ["configuration_owned_elsewhere"]
    record = stored(watched)
    assert record is not None
    assert record.source.kind is SourceKind.REST


def test_the_first_owner_keeps_it(watched: Watched) -> None:
    write(watched, z=SHOP)
    write(watched, a=SHOP.replace("one", "other"))
    assert codes(watched, "a") == ["duplicate_configuration"]
    problem = next(f for f in watched.d.read(lambda r: r.files()) if f.path.endswith("a.yaml")).problems[0]
    assert "z.yaml" in str(problem["message"])
    assert "a.yaml" in str(problem["message"])
    assert (problem["line"], problem["key"]) == (1, "configurations.shop")
    record = stored(watched)
    assert record is not None
    assert str(record.source.path).endswith("z.yaml")
    (watched.path / "z.yaml").unlink()
    watched.look()
    record = stored(watched)
    assert record is not None
    assert str(record.source.path).endswith("a.yaml")


def test_one_that_goes_leaves_its_users_with_a_warning(watched: Watched) -> None:
    write(watched, user=USER, conf=SHOP, other="job_id: other\ntask: [date]\n")
    write(watched, conf="jobs: []\n")
    assert stored(watched) is None
    assert codes(watched, "user") == ["configuration_not_found"]
    job = watched.d.read(lambda r: r.job("user"))
    assert job is not None
    assert job.retired_at is None


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("{use: shp}", "configuration_not_found"),
        ("{use: shop, type: python}", "configuration_type"),
        ("{use: shop, comand: [x]}", "unknown_key"),
        ("{use: bare}", "configuration_type"),
    ],
)
def test_validate_judges_across_files(tmp_path: Path, task: str, code: str) -> None:
    (tmp_path / "a.yaml").write_text(SHOP.replace("{shop", "{bare: {command: [date]}, shop"))
    (tmp_path / "b.yaml").write_text(f"job_id: j\ntask: {task}\n")
    found = check_path(tmp_path, KINDS, TYPES, "UTC")
    assert [p.code for p in found.problems] == [code]
    assert str(found.problems[0].file).endswith("b.yaml")
    assert found.problems[0].line == 1
    if task == "{use: shp}":
        assert found.problems[0].hint == "did you mean 'shop'?"


def test_validate_knows_those_of_a_database(tmp_path: Path, watched: Watched) -> None:
    path = tmp_path / "user.yaml"
    path.write_text(USER)
    save_configuration(watched.d.desk, "shop", "command", {"command": ["date"]})
    record = stored(watched)
    assert record is not None
    assert not check_path(path, KINDS, TYPES, "UTC", {"shop": record}).problems
    owned = replace(record, source=Source(SourceKind.FILE, str(path)))
    path.write_text(SHOP + "jobs:\n  - " + USER.replace("\n", "\n    ").rstrip() + "\n")
    assert not check_path(path, KINDS, TYPES, "UTC", {"shop": owned}).problems


@pytest.mark.parametrize(
    ("entry", "key", "hint"),
    [
        ("{type: command, comand: [x]}", "configurations.shop.comand", "did you mean command?"),
        ("{type: sql, url: 'sqlite://', quary: x}", "configurations.shop.quary", "did you mean query?"),
        ("{type: sql, into: {tabel: x}}", "configurations.shop.into.tabel", "did you mean table?"),
        ("{use: other}", "configurations.shop.use", "write its arguments out"),
        ("{type: command, use: shop}", "configurations.shop.use", "write its arguments out"),
    ],
)
def test_a_key_that_its_type_does_not_have_is_told_where_it_stands(entry: str, key: str, hint: str) -> None:
    problem = only(f"configurations:\n  shop: {entry}\njobs: []\n")
    assert (problem.code, problem.key, problem.hint) == ("unknown_key", key, hint)


def test_what_comes_from_the_configuration_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("configurations: {page: {url: 'http://localhost/'}}\njobs: []\n")
    task = "{type: command, use: page, command: [date]}"
    (tmp_path / "b.yaml").write_text(f"job_id: b\ntask: {task}\n")
    (tmp_path / "c.yaml").write_text(
        f"configurations: {{own: {{url: x}}}}\njobs: [{{job_id: c, task: {task.replace('page', 'own')}}}]\n"
    )
    found = check_path(tmp_path, KINDS, TYPES, "UTC").problems
    assert sorted(p.message for p in found if p.key.endswith("task.url")) == [
        "a command has no key 'url' (from configuration 'own')",
        "job 'b': a command has no key 'url' (from configuration 'page')",
    ]
