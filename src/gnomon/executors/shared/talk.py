"""What scheduler and worker say besides orders and records. Standard library only; runs on both sides.

Scheduler → worker, the first byte says what it is:
    `O` PACKET      an order (`pool/wire.py`); `acked` is not used
    `P`             are you there?
    `F` [[run, number], …]   these ends are durable
Worker → scheduler: records, `!` (read the journal), and
    `P`             I am
    `B` {"run", "number", "at"}   asked by SIGUSR2: this attempt holds the loop up, there
Signals: USR1 look for attempts that are to be stopped (`.intent`), USR2 say who holds the loop up, TERM end what
has begun and go.
"""

from __future__ import annotations

import json
from typing import Any

ORDER, PING, FORGET, BLAME = b"O", b"P", b"F", b"B"


def pack_keys(keys: list[tuple[str, int]]) -> bytes:
    """A message that these ends are durable."""
    return FORGET + json.dumps(keys, separators=(",", ":")).encode("utf-8", "surrogatepass")


def unpack_keys(packet: bytes) -> list[tuple[str, int]]:
    """The attempts of such a message."""
    return [(run, number) for run, number in json.loads(packet[1:].decode("utf-8", "surrogatepass"))]


def pack_blame(run: str, number: int, at: str) -> bytes:
    """A message that an attempt holds the loop up, and where."""
    return BLAME + json.dumps({"run": run, "number": number, "at": at}).encode()


def unpack_blame(packet: bytes) -> tuple[tuple[str, int], str]:
    """Which attempt, and where."""
    found: dict[str, Any] = json.loads(packet[1:])
    return (str(found["run"]), int(found["number"])), str(found["at"])
