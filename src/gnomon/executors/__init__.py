"""Executors: how attempts are performed outside the scheduler's own threads. One file (or family) per mechanism.

May import: gnomon.core, gnomon.system. A new executor is one file and one entry of `BUILTIN`.
`CommandExecutor` performs `command` tasks; `Logs` reads what they printed. Start reading at `commands.py`.
"""

from __future__ import annotations

from .commands import CommandExecutor
from .logs import Logs

BUILTIN: tuple[type[CommandExecutor], ...] = (CommandExecutor,)

__all__ = ["BUILTIN", "CommandExecutor", "Logs"]
