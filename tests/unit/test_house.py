"""Rules of the house that no other tool looks after."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "gnomon"
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the project; what git knows, or what is there where there is no git (an unpacked archive)."""
    try:
        found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        kept = (".gnomon", ".venv", "_build", "__pycache__")
        return tuple(p for p in ROOT.rglob("*") if p.is_file() and not any(part in kept for part in p.parts))
    return tuple(path for name in found.split("\0") if name and (path := ROOT / name).is_file())


@cache
def parsed() -> tuple[tuple[Path, ast.Module], ...]:
    return tuple((path, ast.parse(path.read_bytes())) for path in sorted(SRC.rglob("*.py")))


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that is imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or ""


def lines_with(pattern: str) -> list[str]:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    return found


def test_no_file_is_longer_than_600_lines() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in SRC.rglob("*.py")}
    assert {name: size for name, size in sizes.items() if size > 600} == {}


def test_every_room_is_a_package() -> None:
    """Without `__init__.py` a room works, but import-linter does not see it."""
    rooms = {path.parent for path in SRC.rglob("*.py")}
    assert [str(room.relative_to(ROOT)) for room in sorted(rooms) if not (room / "__init__.py").exists()] == []


def test_no_address_of_a_package_index_is_tracked() -> None:
    hosts = "|".join([r"pypi\." + "org", "python" + "hosted", "npmjs" + r"\."])
    options = "|".join(["--(extra-)?index" + "-url[ =]", "--find" + "-links[ =]", r"^source = .*" + "registry"])
    assert lines_with(f"{hosts}|{options}") == []


def test_no_path_of_a_developers_machine_is_tracked() -> None:
    places = ["(^|[^A-Za-z0-9_])/" + "(work|farm)/[A-Za-z.]"]
    if len(ROOT.parts) > 3:
        places.append(re.escape(str(ROOT)) + "/")
    assert lines_with("|".join(places)) == []


def test_no_javascript_of_others_is_tracked() -> None:
    suffixes = {".js", ".mjs", ".cjs", ".map"}
    assert [str(path) for path in tracked() if path.suffix in suffixes and "node_modules" in path.parts] == []
    assert [str(path) for path in tracked() if path.suffix in suffixes and SRC in path.parents] == []


def test_no_python_runs_between_fork_and_exec() -> None:
    """`preexec_fn` can deadlock in a process with threads."""
    found = [
        f"{path.relative_to(ROOT)}:{node.value.lineno}"
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "preexec_fn"
    ]
    assert found == []


def test_core_imports_the_standard_library_only() -> None:
    allowed = sys.stdlib_module_names
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path, tree in parsed()
        if SRC / "core" in path.parents
        for line, name in imports(tree)
        if name.split(".")[0] not in allowed and not name.startswith("gnomon.core")
    ]
    assert found == []


def test_every_package_that_is_imported_is_declared() -> None:
    """Being there because another package needs it is not enough: it may leave with the next lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [entry for extra in project.get("optional-dependencies", {}).values() for entry in extra]
    declared = {re.split(r"[^a-z0-9-]", entry.lower())[0] for entry in [*project["dependencies"], *extras]}
    owners = packages_distributions()
    found = []
    for path, tree in parsed():
        extra = {"pytest", "hypothesis"} if SRC / "testing" in path.parents else set()
        for line, name in imports(tree):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top == "gnomon":
                continue
            names = {re.sub(r"[-_.]+", "-", owner.lower()) for owner in owners.get(top, [])}
            if not names & (declared | extra):
                found.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert found == []


BANNED = [
    "from datetime import datetime\n\nx = datetime.now()",
    "import datetime as dt\n\nx = dt.datetime.now(dt.UTC)",
    "from datetime import datetime\n\nx = datetime.utcnow()",
    "from datetime import datetime\n\nx = datetime.today()",
    "from datetime import date\n\nx = date.today()",
    "import time\n\nx = time.time()",
    "from time import monotonic\n\nx = monotonic()",
    "import random\n\nx = random.random()",
    "import secrets\n\nx = secrets.token_hex()",
    "import uuid\n\nx = uuid.uuid4()",
    "from uuid import uuid1\n\nx = uuid1()",
    "import os\n\nx = os.urandom(8)",
]


def ruff(source: str, name: str) -> str:
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--no-cache", "--output-format", "concise"]
    done = subprocess.run(
        [*command, "--stdin-filename", name, "-"], input=source, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_the_ban_on_time_and_chance_bites() -> None:
    assert [source for source in BANNED if "TID251" not in ruff(source, "src/gnomon/core/probe.py")] == []


@pytest.mark.parametrize("name", ["src/gnomon/system/probe.py", "tests/unit/probe.py", "benchmarks/probe.py"])
def test_the_ban_leaves_the_places_alone_that_need_the_clock(name: str) -> None:
    assert "TID251" not in ruff("\n".join(BANNED), name)


def locked(path: Path) -> dict[str, list[str]]:
    """Each `name==version ; marker` of a lock file, with its hashes."""
    entries: dict[str, list[str]] = {}
    for entry in re.sub(r"\\\n", " ", path.read_text("utf-8")).splitlines():
        if entry and not entry.startswith("#"):
            name, *hashes = re.split(r"\s+--hash=", entry.strip())
            entries[name] = hashes
    return entries


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_everything_locked_has_hashes(path: Path) -> None:
    entries = locked(path)
    assert entries
    assert [name for name, hashes in entries.items() if not hashes or "==" not in name] == []


def test_the_small_locks_are_part_of_the_large_one() -> None:
    """Same versions everywhere: what the tests ran with is what runs."""
    versions = {path.name: {entry.split(" ;")[0].strip() for entry in locked(path)} for path in LOCKS}
    assert versions["lock.txt"] <= versions["dev.txt"]
    assert versions["build.txt"] <= versions["dev.txt"]


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = {entry.split("==")[0] for entry in locked(ROOT / "requirements" / "lock.txt")}
    declared = {re.split(r"[^a-z0-9-]", entry.lower())[0] for entry in project["project"]["dependencies"]}
    assert declared - names == set()


def test_the_ci_script_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
