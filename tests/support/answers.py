"""Writes src/gnomon/remote/answers*.py from the OpenAPI document: `python -m tests.support.answers`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from gnomon.system.clock import SystemClock
from gnomon.web.application import document, interface
from gnomon.web.service import Service

FILE = Path(__file__).resolve().parents[2] / "src" / "gnomon" / "remote" / "answers.py"
_HEAD = '''"""What a server answers: the objects of `--json`, as types. Made from the OpenAPI document.

`python -m tests.support.answers` makes it anew. A server that is newer than this client may send more keys.
"""

from __future__ import annotations

from typing import TYPES
'''
_SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def openapi() -> dict[str, Any]:
    """The document, without a server."""
    return document(interface(Service(desk=lambda actor, address: cast(Any, None), clock=SystemClock())))


def is_page(schema: dict[str, Any]) -> bool:
    """A part of a list: `gnomon.remote.Page` stands for all of them."""
    return {"items", "next", "partial"} <= schema.get("properties", {}).keys()


def python(schema: dict[str, Any]) -> str:
    """The type of a schema."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(python(one) for one in schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        return f"list[{python(schema.get('items', {}))}]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"dict[str, {python(more) if isinstance(more, dict) else 'Any'}]"
    return _SIMPLE.get(str(kind), "Any")


def answered(document: dict[str, Any], tags: Callable[[str], bool]) -> list[str]:
    """Names of schemas that answers with such tags consist of; pages stand for their items."""
    schemas = document["components"]["schemas"]
    found: dict[str, None] = {}

    def walk(schema: Any) -> None:
        if isinstance(schema, list):
            for one in schema:
                walk(one)
        if not isinstance(schema, dict):
            return
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name and name not in found:
            if not is_page(schemas[name]):
                found[name] = None
            walk(schemas[name].get("properties", {}))
        for key, one in schema.items():
            if key not in ("example", "examples"):
                walk(one)

    for methods in document["paths"].values():
        for operation in methods.values():
            if tags(operation["tags"][0]):
                walk([said for status, said in operation["responses"].items() if status.startswith("2")])
    return sorted(found)


def texts() -> dict[Path, str]:
    """The files as they are to be."""
    made = openapi()
    sums, others = answered(made, lambda tag: tag == "summary"), answered(made, lambda tag: tag != "summary")
    shared = sorted(set(sums) & set(others))
    head = _HEAD + (f"\nfrom .answers import {', '.join(shared)}\n" if shared else "")
    return {
        FILE: _text(made, others, _HEAD),
        FILE.with_name("answers_summary.py"): _text(made, [name for name in sums if name not in shared], head),
    }


def _text(made: dict[str, Any], names: list[str], head: str) -> str:
    parts = []
    for name in names:
        schema = made["components"]["schemas"][name]
        said = " ".join(str(schema.get("description", "")).split("\n\n")[0].split())
        lines = [f'class {name}(TypedDict):\n    """{said[:105]}"""\n']
        lines += [f"    {key}: {python(one)}" for key, one in schema["properties"].items()]
        parts.append("\n".join(lines) + "\n")
    typing = "Any, TypedDict" if any("Any" in part for part in parts) else "TypedDict"
    return "\n\n".join([head.replace("TYPES", typing), *parts])


if __name__ == "__main__":
    for path, content in texts().items():
        path.write_text(content, "utf-8")
