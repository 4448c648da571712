"""What the composition root hands to the web room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from gnomon.core.ports import Clock
from gnomon.operations.context import Desk
from gnomon.operations.health import Itself
from gnomon.operations.settings import Settings, load_settings
from gnomon.operations.tally import Tally


@dataclass(slots=True)
class Service:
    """Everything handlers work with.

    Attributes:
        desk: the operations in the name of an actor, asked from an address.
        clock: the only way to learn the time.
        hosts: names (lower case, without port) under which the service may be asked for; `*` allows all.
        secure: browsers reach it over TLS, so cookies are for TLS only.
        settings: of the scheduler, for those who may look.
        tally: what this process did. quiet_s: how long ago its loop last turned. node_id: of its scheduler.
        own: what this process knows of itself, for `health`.
        stopping: the server ends: streams close.
        changed: a hint that something was written: the scheduler looks at once.
    """

    desk: Callable[[str, str | None], Desk]
    clock: Clock
    hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "::1"})
    secure: bool = False
    changed: Callable[[], None] = field(default=lambda: None)
    settings: Settings = field(default_factory=lambda: load_settings({}, {}, search=False))
    tally: Tally = field(default_factory=Tally)
    quiet_s: Callable[[], float | None] = field(default=lambda: None)
    node_id: str = ""
    own: Itself | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
