"""docs/errors.md has every code that the code base can give, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SRC = ROOT / "src" / "gnomon"
MAKERS = {
    *("Problem", "usage", "problem", "_problem", "warning", "unknown", "add", "one", "Failure", "Refused"),
    *("Fault", "_held", "held_fault", "_error"),
}
CODE = re.compile(r"[a-z]+(_[a-z]+)*")
MADE_UP_OF_PARTS = {"duplicate_pool", "duplicate_configuration"}


def trees() -> list[ast.Module]:
    files = (path for path in SRC.rglob("*.py") if SRC / "testing" not in path.parents)
    return [ast.parse(path.read_bytes()) for path in files]


def literals(node: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def codes() -> set[str]:
    """First arguments of everything that makes a problem, and the tables of the stores."""
    found: set[str] = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and len(node.args) > 1:
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
                first = node.args[0]
                if name in MAKERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
            named = getattr(node.targets[0], "id", "") if isinstance(node, ast.Assign) else ""
            if named == "code" and isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp):
                found |= literals(node.value.body) | literals(node.value.orelse)
            if named in ("_UNAVAILABLE", "_USAGE") and isinstance(node, ast.Assign):
                assert isinstance(node.value, ast.Dict)
                rows = [row for row in node.value.values if isinstance(row, ast.Tuple)]
                found |= {str(ast.literal_eval(row)[0]) for row in rows}
    return {code for code in found if CODE.fullmatch(code)}


def documented() -> set[str]:
    text = (ROOT / "docs" / "errors.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    rows.append(text.partition("## Bugs")[2])
    return {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}


def test_every_code_has_its_row() -> None:
    made = codes()
    assert len(made) > 100
    assert sorted(made - documented()) == []


def test_every_row_has_its_code() -> None:
    words = set().union(*(literals(tree) for tree in trees()))
    assert sorted(documented() - words - MADE_UP_OF_PARTS) == []
