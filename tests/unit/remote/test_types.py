"""The clients as type checkers see them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.timing import patience

pytestmark = pytest.mark.timeout(600)

HERE = Path(__file__).parent
WRONG = {
    "client.get_run(3)": "arg-type",
    'client.get_run("a")["job"]': "TypedDict",
    'client.list_runs(job_id="a")': "call-arg",
    'client.start_run("a")["state"] + 1': "operator",
    '[run["id"] async for run in client.list_runs()]': "",
    'client.create_token("a", "root")': "arg-type",
    'await client.get_run("a")': "",
    'client.put_run("a")': "attr-defined",
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
    bad.write_text(
        "from gnomon import Client\nasync def f(client: Client) -> None:\n" + "\n".join(f"    {line}" for line in WRONG)
    )
    assert "Success" in (said := mypy(good, tmp_path / "cache")), said
    lines = mypy(bad, tmp_path / "cache").splitlines()
    for number, code in enumerate(WRONG.values(), 3):
        assert [line for line in lines if line.startswith(f"bad.py:{number}:") and code in line], (code, lines)
