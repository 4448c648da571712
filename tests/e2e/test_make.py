"""`make` on machines of other people."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRIED = [
    line.rpartition(" ")[2]
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    if re.search(r":: 3\.\d+$", line)
]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


def test_everything_names_the_pythons_that_were_tried() -> None:
    assert sorted(TRIED, key=lambda version: int(version[2:])) == TRIED
    assert ", ".join(TRIED[:-1]) + f" and {TRIED[-1]}" in (ROOT / "README.md").read_text("utf-8")
    order = re.findall(r"python(3\.\d+)", (ROOT / "Makefile").read_text("utf-8"))
    assert order[: len(TRIED)] == TRIED[::-1], "the newest that was tried comes first"


@pytest.mark.parametrize(("version", "noted"), [(TRIED[-1], False), ("3.99", True)])
def test_a_python_that_nobody_tried_starts_with_a_note(tmp_path: Path, version: str, noted: bool) -> None:
    place = tmp_path / "a place"
    place.mkdir()
    python = place / "python"
    python.write_text(
        f"#!/bin/sh\ncase $1 in -c) echo {version};; --version) echo Python {version};; *) echo began; exit 1;; esac\n"
    )
    python.chmod(0o755)
    venv = tmp_path / "venv"
    done = subprocess.run(
        ["make", "-C", str(ROOT), f"VENV={venv}", f"PYTHON={python}", f"{venv}/.runtime-ready"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "began" in done.stdout, done.stderr
    assert (f"not been tried on Python {version}" in done.stderr) == noted
