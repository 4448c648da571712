"""The pages of the task types http, email and file: examples load, keys and codes of failures are all there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gnomon.tasks import email_arguments, file_arguments, http_arguments, http_expect
from tests.unit.jobfiles.rooms import parsed

ROOT = Path(__file__).parents[2]
TYPES = {
    "http": (*http_arguments.KEYS, *http_arguments.SPELLINGS, *http_expect.KEYS, *http_expect.OPERATORS),
    "email": email_arguments.KEYS,
    "file": (*file_arguments.KEYS, *file_arguments.OPERATIONS),
}
SHARED = ("net_addresses.py", "net_tls.py", "http_network.py")
"""Files of more than one type; `setting_invalid` is in docs/errors.md."""


def page(kind: str) -> str:
    return (ROOT / "docs" / f"tasks-{kind}.md").read_text()


@pytest.mark.parametrize("kind", TYPES)
def test_every_example_is_read(kind: str) -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```", page(kind), re.DOTALL | re.MULTILINE)
    assert examples
    for example in examples:
        text = example if example.startswith("jobs:") else "job_id: example\n" + example
        found = parsed(text)
        assert found.problems == (), example
        assert {job.task.type for job in found.jobs} == {kind}


@pytest.mark.parametrize("kind", TYPES)
def test_every_key_is_in_the_manual(kind: str) -> None:
    words = set(re.findall(r"[\w]+", " ".join(re.findall(r"`([^`]*)`", page(kind)))))
    assert [key for key in TYPES[kind] if key not in words] == []


@pytest.mark.parametrize("kind", TYPES)
def test_every_failure_is_in_the_manual(kind: str) -> None:
    room = ROOT / "src" / "gnomon" / "tasks"
    files = [*room.glob(f"{kind}*.py"), *(room / name for name in SHARED if kind == "http")]
    text = "".join(file.read_text() for file in files)
    codes = set(re.findall(r'TaskFailed\(\s*"(\w+)"', text)) - {"setting_invalid"}
    assert len(codes) > 5
    other = page("http") if kind == "file" else ""
    assert sorted(code for code in codes if f"`{code}`" not in page(kind) + other) == []
