"""Every Python block of the pages for programmers is run, as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.timing import patience

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parents[2]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text("utf-8"), re.S | re.M)


def run(directory: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=directory, capture_output=True, text=True, timeout=100 * patience(), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_blocks_of_the_library_page_are_a_program(tmp_path: Path) -> None:
    """One module, in the order of the page; functions of it can be imported by name."""
    found = blocks("python.md")
    assert len(found) >= 5
    (tmp_path / "page.py").write_text("\n".join(found))
    assert "Hello, world!" in run(tmp_path, "-W", "error", "-c", "import page")


@pytest.mark.slow
def test_the_blocks_of_the_testing_page_are_tests_that_pass(tmp_path: Path) -> None:
    found = blocks("testing.md")
    assert len(found) >= 5
    for number, block in enumerate(found):
        (tmp_path / f"test_block{number}.py").write_text(block)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    said = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert int(re.findall(r"(\d+) passed", said)[0]) > 100


def test_included_examples_exist() -> None:
    named = re.findall(r"\{literalinclude\} (\S+)", (ROOT / "docs" / "python.md").read_text("utf-8"))
    assert named
    assert [name for name in named if not (ROOT / "docs" / name).exists()] == []
