"""The arguments of file tasks: every spelling, every mistake."""

from __future__ import annotations

import pytest

from gnomon.core.errors import UsageError
from gnomon.core.values import Json
from gnomon.tasks.file import FILE
from gnomon.tasks.file_arguments import OPERATION_SPELLINGS, OPERATIONS, SPELLINGS


def test_all_spellings() -> None:
    written = {"location": "/x", "file_operation": "WRITE", "file_content": "c", "file_encoding": "UTF8"}
    canonical = {"operation": "write", "path": "/x", "content": "c", "encoding": "utf-8"}
    assert FILE.validate(written) == canonical
    assert FILE.validate(canonical) == canonical
    assert FILE.validate({"path": "/x", "content": ""})["operation"] == "write"
    moved = {"operation": "move", "from": "/a", "to": "/b"}
    assert FILE.validate({"operation": "rename", "source": "/a", "target": "/b"}) == moved
    assert FILE.validate({"operation": "mv", "location": "/a", "destination": "/b"}) == moved
    assert set(OPERATION_SPELLINGS.values()) <= set(OPERATIONS)
    assert set(SPELLINGS.values()) <= set().union(*OPERATIONS.values())


@pytest.mark.parametrize(
    ("arguments", "code", "key", "hint"),
    [
        ({}, "missing_key", "operation", "read"),
        ({"operation": "reed", "path": "/x"}, "unknown_value", "operation", "read?"),
        ({"operation": 5, "path": "/x"}, "bad_type", "operation", ""),
        ({"operation": "read"}, "missing_key", "path", ""),
        ({"operation": "copy", "from": "/x"}, "missing_key", "to", ""),
        ({"operation": "write", "path": "/x"}, "missing_key", "content", ""),
        ({"operation": "read", "pth": "/x", "path": "/x"}, "unknown_key", "pth", "path?"),
        ({"operation": "read", "path": "/x", "content": "c"}, "unknown_key", "content", "max_bytes"),
        ({"operation": "read", "path": "/x", "location": "/x"}, "conflicting_keys", "location", "path"),
        ({"operation": "read", "path": ["/x"]}, "bad_type", "path", ""),
        ({"operation": "read", "path": ""}, "bad_value", "path", ""),
        ({"operation": "read", "path": "/a\0b"}, "bad_value", "path", ""),
        ({"operation": "read", "path": "/\udcff"}, "bad_value", "path", ""),
        ({"operation": "read", "path": "~/x"}, "bad_value", "path", "whole"),
        ({"operation": "read", "path": "/x", "max_bytes": -1}, "bad_value", "max_bytes", ""),
        ({"operation": "read", "path": "/x", "max_bytes": 70_000}, "bad_value", "max_bytes", ""),
        ({"operation": "read", "path": "/x", "encoding": "klingon"}, "unknown_value", "encoding", "utf-8"),
        ({"operation": "read", "path": "/x", "encoding": "rot13"}, "unknown_value", "encoding", "utf-8"),
        ({"operation": "read", "path": "/x", "missing": "fine"}, "unknown_value", "missing", ""),
        (
            {"operation": "write", "location": "/x", "file_content": "ä", "encoding": "ascii"},
            "bad_value",
            "file_content",
            "",
        ),
        ({"operation": "write", "path": "/x", "content": "!", "encoding": "base64"}, "bad_value", "content", ""),
        ({"operation": "write", "path": "/x", "content": "", "mode": 640}, "bad_value", "mode", "quotes"),
        ({"operation": "write", "path": "/x", "content": "", "mode": "rw"}, "bad_value", "mode", "quotes"),
        ({"operation": "write", "path": "/x", "content": "", "overwrite": "maybe"}, "bad_type", "overwrite", ""),
        ({"operation": "write", "path": "/x", "content": "", "method": "GET"}, "unknown_value", "method", "PUT"),
        ({"operation": "read", "path": "s3://b/x", "storage_options": "key"}, "bad_type", "storage_options", ""),
    ],
)
def test_mistakes(arguments: dict[str, Json], code: str, key: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        FILE.validate(arguments)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == (code, key)
    assert hint in problem.hint


def test_all_mistakes_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        FILE.validate({"operation": "write", "path": 5, "encoding": "no", "contant": ""})
    assert {problem.key for problem in caught.value.problems} == {"path", "encoding", "contant", "content"}


def test_what_is_filled_later_is_left_alone() -> None:
    arguments: dict[str, Json] = {
        "operation": "write",
        "path": "${runs.a.result.path}",
        "content": "${body}",
        "encoding": "${enc}",
        "mode": "${mode}",
        "overwrite": "${over}",
        "storage_options": {"key": "env:S3_KEY", "secret": "${x}"},
    }
    assert FILE.validate(arguments) == arguments
    assert FILE.secrets == ("storage_options", "to_storage_options")


def test_a_description_shows_no_credentials() -> None:
    line = FILE.describe({"operation": "copy", "from": "http://me:secret@h/a?token=1", "to": "ftp://me:pw@h/b"})
    assert line == "copy http://h/a?… → ftp://h/b"
    assert len(FILE.describe({"operation": "read", "path": "/" + "x" * 500})) == 200
