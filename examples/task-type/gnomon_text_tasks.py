"""Two task types in one file: the short way, a function, and the long way, a type that judges its arguments at load."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from gnomon import Problem, TaskFailed, UsageError, Work, pool_order

# ---- the short way: a function. Its parameters are the arguments of the task ------------------------


def word_count(path: str, minimum: int = 0) -> dict[str, int]:
    """Words and lines of a text file; what is returned is the result of the run."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    words = len(text.split())
    if words < minimum:
        raise TaskFailed("too_few_words", f"{path} has {words} words, expected {minimum}", {"words": words})
    return {"words": words, "lines": len(text.splitlines())}


# ---- the long way: a type with aliases, a check at load, secrets, a log -----------------------------

KEYS = ("path", "sha256", "key")


class Checksum:
    """`{type: checksum, path: /srv/a.iso, sha256: …, key: "env:KEY"}`: fails when the file is another one."""

    name = "checksum"
    aliases = ("verify_checksum",)
    executor = "pool"  # a worker process; "shared" is for `async def run`
    isolated = True  # never inside an application that embeds gnomon
    secrets = ("key",)  # where `env:NAME` and `file:/path` are looked up, on the worker

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Called when the job is loaded. Opens nothing; tells all that is wrong at once; `${…}` is filled later."""
        problems = [Problem("unknown_key", f"checksum has no {key!r}", key) for key in arguments if key not in KEYS]
        path, expected = arguments.get("path"), arguments.get("sha256")
        if not isinstance(path, str):
            problems.append(Problem("missing_key", "which file?", "path", "path: /srv/data/file"))
        if not isinstance(expected, str):
            problems.append(Problem("missing_key", "which checksum is expected?", "sha256"))
        elif "${" not in expected and not re.fullmatch("[0-9a-f]{64}", expected):
            problems.append(Problem("bad_value", "64 hexadecimal digits are expected", "sha256"))
        if problems:
            raise UsageError(*problems)
        return dict(arguments)

    def describe(self, arguments: Mapping[str, Any]) -> str:
        """One line for lists."""
        return f"checksum of {arguments['path']}"

    def order(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the worker is to call."""
        return pool_order("gnomon_text_tasks:run", arguments, self.secrets)


def run(work: Work) -> dict[str, Any]:
    """One attempt, in a worker process: `work` has the arguments with references filled and secrets looked up."""
    path, key = str(work.arguments["path"]), work.arguments.get("key")
    digest = hashlib.sha256(str(key).encode() if key is not None else b"")
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    work.log(f"{path} has been read")  # goes to the log of the run, without the secrets
    found = digest.hexdigest()
    if found != work.arguments["sha256"]:
        raise TaskFailed("checksum_differs", f"{path} is another file", {"sha256": found})
    return {"path": path, "sha256": found}


CHECKSUM = Checksum()
