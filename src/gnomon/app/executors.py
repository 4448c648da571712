"""The executors of a node."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gnomon.core.attempts import Executor
from gnomon.executors.commands import CommandExecutor
from gnomon.executors.inline import InlineExecutor
from gnomon.executors.invocation import Source
from gnomon.executors.pool import PoolExecutor
from gnomon.executors.shared import SharedExecutor
from gnomon.tasks.secrets import look_up, providers

from .parts import Parts


@dataclass(slots=True)
class Embedding:
    """What an application brings along that runs a node inside itself.

    Attributes:
        functions: reference -> function, for those that other processes cannot import.
        queues: lines that only this process serves. A list: the engine may read it while it grows.
        threads: functions run in threads of this process (and on `loop`), not in worker processes.
        loop: where `async` functions run; None: a loop of gnomon's own.
        path: where worker processes look for modules of callables first.
        packages: where they look for those of task types first.
    """

    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    queues: list[str] = field(default_factory=list)
    threads: bool = False
    loop: asyncio.AbstractEventLoop | None = None
    path: tuple[str, ...] = field(default_factory=lambda: (os.getcwd(),))
    packages: tuple[str, ...] = ()

    @property
    def routes(self) -> Mapping[str, str]:
        """Where this node performs what the `python` task asks the pool for."""
        return {"pool": "inline"} if self.threads else {}


def make_executors(parts: Parts, node_id: str, embedding: Embedding) -> Mapping[str, Executor]:
    """All executors by name; none starts anything before it is given work."""
    attempts, slots = parts.directory / "attempts", parts.settings.concurrency
    every: tuple[Executor, ...] = (
        CommandExecutor(attempts, clock=parts.clock, worker=node_id, source=Source(look_up, providers)),
        PoolExecutor(
            attempts, node_id, clock=parts.clock, size=slots, path=embedding.path, packages=embedding.packages
        ),
        SharedExecutor(attempts, node_id, clock=parts.clock, size=slots, path=embedding.packages),
        InlineExecutor(
            clock=parts.clock,
            functions=embedding.functions,
            threads=slots,
            loop=embedding.loop,
            directory=attempts if embedding.threads else None,
            worker=node_id,
        ),
    )
    return {executor.name: executor for executor in every}
