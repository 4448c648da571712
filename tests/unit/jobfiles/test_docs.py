"""docs/job-files.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from gnomon.jobfiles import parsing
from gnomon.jobfiles.fields import FIELDS
from tests.unit.jobfiles.rooms import jobs

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "job-files.md").read_text()


def test_the_table_of_keys_is_that_of_the_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \| (?:[^|]|\\\|)+ \|$", TEXT.replace("| |", "|  |"), re.MULTILINE
    )
    documented = [(name, tuple(re.findall(r"`(\w+)`", others)), default.strip()) for name, others, default in rows]
    coded = [
        (item.name, item.spellings, f"part of `{item.part_of}`" if item.part_of else item.default) for item in FIELDS
    ]
    assert documented == coded


def test_every_code_is_documented() -> None:
    used: set[str] = set()
    call = re.compile(r"(?:problem|add|one|unknown|warning|Problem|Fault|_held|held_fault|_problem)\(\s*\"(\w+)\",")
    for path in Path(parsing.__file__).parent.glob("*.py"):
        source = path.read_text()
        used |= set(call.findall(source))
        used |= set(re.findall(r"code = (?:\"\w+\" if [^\n]* else )?\"(\w+)\"", source))
    section = TEXT[TEXT.index("## Errors") : TEXT.index("## The directory")]
    documented = set(re.findall(r"`(\w+)`", section))
    assert used - documented == set()
    assert len(used) > 45


def test_the_examples_are_read() -> None:
    examples = re.findall(r"```(yaml|json)\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) == 2
    for kind, text in examples:
        assert jobs(text, f"a.{kind}")
