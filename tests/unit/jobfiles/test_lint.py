"""Secrets written out in job files are warned of; references are not."""

from __future__ import annotations

import pytest

from tests.unit.jobfiles.rooms import parsed

JOB = "job_id: j\ntask: {{type: command, command: [date], env: {{{env}}}}}\n"


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("DB_PASSWORD: hunter22", "task.env.DB_PASSWORD"),
        ("token: abc", "task.env.token"),
        ("API_KEY: abc", "task.env.API_KEY"),
        ("DSN: 'postgresql://me:hunter22@db/x'", "task.env.DSN"),
    ],
)
def test_a_secret_in_clear_is_a_warning_that_does_not_show_it(entry: str, key: str) -> None:
    found = parsed(JOB.format(env=entry))
    assert found.problems == ()
    assert [(w.code, w.key, w.line) for w in found.warnings] == [("secret_in_clear", key, 2)]
    assert "hunter22" not in found.warnings[0].message


@pytest.mark.parametrize(
    "entry",
    [
        "DB_PASSWORD: 'env:DB'",
        "DB_PASSWORD: 'file:/run/secrets/db'",
        "token: 'vault:path#key'",
        "token: '${runs.login.result.token}'",
        "token: ''",
        "TOKENS: 'many'",
        "URL: 'https://example.com:8080/@me'",
        "URL: 'https://me@example.com/'",
    ],
)
def test_what_is_no_secret_in_clear(entry: str) -> None:
    assert parsed(JOB.format(env=entry)).warnings == ()


@pytest.mark.parametrize("text", ["file:secret.txt", "file: /run/x", "ENV:TOKEN", "env: TOKEN", "file:~/token"])
def test_what_is_nearly_a_reference(text: str) -> None:
    found = parsed(JOB.format(env=f"DB_PASSWORD: '{text}'"))
    assert [(w.code, w.key) for w in found.warnings] == [("no_reference", "task.env.DB_PASSWORD")]
    assert found.warnings[0].message.endswith(("env:NAME", "file:/absolute/path"))


@pytest.mark.parametrize("text", ["env:TOKEN", "file:/run/x", "file:///run/x", "profile:x", "see file: a, b"])
def test_what_is_not_nearly_a_reference(text: str) -> None:
    assert parsed(JOB.format(env=f"A: '{text}'")).warnings == ()


def test_configurations_too() -> None:
    found = parsed("configurations: {db: {type: sql, password: hunter22, headers: [{api-key: x}]}}\njobs: []\n")
    assert [w.key for w in found.warnings] == ["configurations.db.password", "configurations.db.headers[0].api-key"]
