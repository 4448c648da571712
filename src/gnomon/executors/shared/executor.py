"""The executor of async task types: one worker process for all, whose event loop awaits hundreds of attempts at once.

One thread serves it. Nothing of the functions is ever imported in this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gnomon.core.ports import Clock
from gnomon.executors.attempt import log_limit
from gnomon.executors.pool.executor import Doers, Ground, Heirs, PoolExecutor, order_of
from gnomon.executors.pool.places import Places
from gnomon.executors.pool.wire import pack
from gnomon.executors.pool.worker import Errand

from .crew import SharedCrew
from .reports import SharedReports
from .succession import SharedSuccession
from .worker import SharedSettings


class SharedExecutor(PoolExecutor):
    """Performs attempts of types whose function is `async`. Implements `gnomon.core.attempts.Executor`.

    Args:
        directory: of attempts; the same as that of the other executors, so that one `Logs` reads all.
        node_id: whose worker this is; a successor is told this name (`Adoption.owner`).
        clock: the machine's.
        settings: sizes and limits; see `SharedSettings`.
        environment: what the worker inherits; gnomon's own variables are left out. None: that of this process.

    The worker starts with the first attempt. Events come from one thread of its own.
    """

    name = "shared"

    def __init__(
        self,
        directory: Path,
        node_id: str,
        *,
        clock: Clock,
        settings: SharedSettings | None = None,
        environment: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        """`more`: single fields of `SharedSettings`, such as `size=200`."""
        super().__init__(directory, node_id, clock=clock, environment=environment)
        self._own = replace(settings or SharedSettings(), **more)

    def _people(self, ground: Ground) -> tuple[SharedReports, Doers, Heirs]:
        loop, clock, places = ground.loop, ground.clock, ground.places
        reports = SharedReports(loop, clock, ground.sink, ground.node_id)
        crew = SharedCrew(loop, clock, places, reports, self._own, ground.environment, ground.scope)
        return reports, crew, SharedSuccession(loop, clock, places, reports, ground.adopted, ground.scope)

    def _packed(self, places: Places, scope: str, errand: Errand) -> bytes:
        spec = errand.spec
        name, arguments = spec.arguments.get("callable"), spec.arguments.get("arguments") or {}
        secrets = spec.arguments.get("secrets") or []
        if not isinstance(name, str) or not isinstance(arguments, Mapping) or not isinstance(secrets, list | tuple):
            raise TypeError("callable must be a text, arguments a map, secrets a list")
        how: dict[str, Any] = {"arguments": dict(arguments), "secrets": list(secrets), "timeout_s": spec.timeout_s}
        how["log_limit"] = log_limit(spec)
        return pack(order_of(errand, places, scope, name, [], how))
