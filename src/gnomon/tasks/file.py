"""The task type `file`: read, write, append, copy, move, delete, mkdir, list, stat; on this machine or at a URL.

Promise: a file on this machine is there whole, old or new, never half; nothing outside the roots of the worker is
touched (`GNOMON_FILE_ROOTS`), whatever links there are. `docs/tasks-file.md` is the manual of every key.
"""

from __future__ import annotations

from collections.abc import Mapping

from gnomon.core.errors import UsageError
from gnomon.core.values import Json

from .file_arguments import SPELLINGS, read
from .net_checks import Checks
from .performing import TaskFailed, Work, pool_order

SECRETS = ("storage_options", "to_storage_options")


class File:
    """Files and directories; attempts run in a worker process each."""

    name = "file"
    aliases = ("files", "write_file")
    executor = "pool"
    isolated = True
    secrets = SECRETS
    spellings: Mapping[str, str] = SPELLINGS

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """The canonical arguments: `operation`, `path` (or `from` and `to`), other keys only when given.

        Raises:
            UsageError: one problem per mistake, keys as they were written.
        """
        checks = Checks("a file task")
        canonical = read(arguments, checks)
        checks.finish()
        return canonical

    def describe(self, arguments: Mapping[str, Json]) -> str:
        """What is done to what, in one line of at most 200 characters; no credentials of URLs."""
        from .file_places import shown

        places = [shown(str(arguments[key])) for key in ("path", "from", "to") if key in arguments]
        text = " ".join(f"{arguments.get('operation')} {' → '.join(places)}".split())
        return text if len(text) <= 200 else text[:199] + "…"

    def order(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """What the pool is given."""
        return pool_order("gnomon.tasks.file:run", arguments, SECRETS)


def run(work: Work) -> Json:
    """One attempt, in a worker.

    Raises:
        TaskFailed: with a code of `docs/tasks-file.md`.
    """
    from .file_operations import perform

    checks = Checks("a file task", filled=True)
    arguments = read(work.arguments, checks)
    try:
        checks.finish()
    except UsageError as error:
        text = "; ".join(f"{item.key}: {item.message}" for item in error.problems)
        raise TaskFailed("bad_arguments", text) from None
    return perform(arguments, work)


FILE = File()
