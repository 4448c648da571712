"""Every executor of commands, through the suite that users get."""

from __future__ import annotations

from pathlib import Path

from gnomon.core.attempts import Executor
from gnomon.executors import CommandExecutor, Logs
from gnomon.system.clock import SystemClock
from gnomon.testing.executors import CommandExecutorSuite


class TestCommands(CommandExecutorSuite):
    def make_executor(self, directory: Path) -> Executor:
        return CommandExecutor(directory, clock=SystemClock())

    def read_log(self, directory: Path, run_id: str, number: int) -> bytes:
        logs, parts, offset = Logs(directory), [], 0
        while (part := logs.read(run_id, number, offset))[0]:
            parts.append(part[0])
            offset = part[1]
        return b"".join(parts)
