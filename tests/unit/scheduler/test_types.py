"""The library as type checkers see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.timing import patience

pytestmark = pytest.mark.timeout(600)

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
WRONG = {
    'Scheduler().add_job("a", print, overlap="never")': "overlap",
    'Scheduler().add_job("a", print, retires=1)': "retires",
    'Scheduler().add_job("a", print, interval=[1])': "interval",
    'Scheduler(executor="greenlet")': "executor",
    "Scheduler().runs(state=3)": "state",
}


def mypy(path: Path, cache: Path) -> str:
    """Only this file, as a user has it: with the package installed."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(cache), str(path)]
    done = subprocess.run(
        command, cwd=path.parent, capture_output=True, text=True, timeout=110 * patience(), check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_users_program_passes_strictly_and_mistakes_do_not(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text((HERE / "sample_program.py").read_text("utf-8"))
    bad.write_text("from gnomon import Scheduler\n" + "\n".join(WRONG))
    assert "Success" in mypy(good, tmp_path / "cache")
    said = mypy(bad, tmp_path / "cache").splitlines()
    for number, word in enumerate(WRONG.values(), 2):
        assert [line for line in said if line.startswith(f"bad.py:{number}:")], word
