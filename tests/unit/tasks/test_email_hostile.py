"""email tasks against servers that are slow at the wrong moment: no message twice, none behind our back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gnomon.core.errors import UsageError
from gnomon.tasks import email_run
from gnomon.tasks.email import EMAIL
from gnomon.tasks.email_run import run
from gnomon.tasks.performing import Work

GIVEN = {"host": "127.0.0.1", "from": "jobs@example.com", "to": "ops@example.com", "subject": "Hello"}


END = b"\r\n.\r\n"


class Script:
    """A server that says 250 to everything, when it is allowed to.

    Attributes:
        reads, answers, quits: when it reads messages, answers them, answers QUIT. `ended`: connections that are over.
    """

    def __init__(self) -> None:
        self.reads, self.answers, self.quits = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for event in (self.reads, self.answers, self.quits):
            event.set()
        self.connections, self.began = 0, asyncio.Event()
        self.ended: asyncio.Queue[bytes] = asyncio.Queue()
        self.messages: list[bytes] = []
        self.delay_s = 0.0
        self.tasks: list[Any] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.append(asyncio.current_task())
        got = bytearray()
        writer.write(b"220 hello\r\n")
        try:
            while line := await reader.readline():
                if line.upper().startswith(b"DATA"):
                    writer.write(b"354 go on\r\n")
                    got += (data := await reader.read(1))
                    self.began.set()
                    await self.reads.wait()
                    while END not in got[-len(data) - len(END) :] and (data := await reader.read(1 << 16)):
                        got += data
                    await self.answers.wait()
                    await asyncio.sleep(self.delay_s)  # this is the test
                    self.messages.append(bytes(got))
                elif line.upper().startswith(b"QUIT"):
                    await self.quits.wait()
                writer.write(b"250 fine\r\n")
        except OSError:
            pass
        finally:
            self.ended.put_nowait(bytes(got))
            writer.transport.abort()


@asynccontextmanager
async def script() -> AsyncIterator[tuple[Script, int]]:
    made = Script()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    try:
        yield made, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


def work(port: int, state: dict[str, Any] | None = None, **more: Any) -> Work:
    arguments = EMAIL.validate({**GIVEN, "port": port, **more})
    return Work(arguments, lambda text: None, {"GNOMON_RUN_ID": "r"}, loop_state={} if state is None else state)


def test_a_server_may_think_long_about_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives up after the message was sent sends it twice."""
    monkeypatch.setattr(email_run, "COMMAND_TIMEOUT_S", 0.2)

    async def attempt() -> None:
        async with script() as (server, port):
            server.delay_s = 0.6
            assert (await run(work(port)))["accepted"] == ["ops@example.com"]
            assert len(server.messages) == 1

    asyncio.run(attempt())


def test_what_was_taken_is_done_whether_or_not_goodbyes_are_answered() -> None:
    """A timeout that struck while we waited for it would send the message again."""

    async def attempt() -> None:
        async with script() as (server, port):
            server.quits.clear()
            await asyncio.wait_for(run(work(port)), 1.0)
            server.quits.set()
            await server.ended.get()

    asyncio.run(attempt())


def test_who_is_stopped_in_the_middle_sends_no_more(tmp_path: Path) -> None:
    """What does not fit into sockets waits in our memory; a message completed after its attempt is one too many."""
    (tmp_path / "large").write_bytes(b"\0" * (16 << 20))

    async def attempt() -> None:
        async with script() as (server, port):
            server.reads.clear()
            task = asyncio.create_task(run(work(port, attachments=[f"{tmp_path}/large"])))
            await server.began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.reads.set()
            assert END not in await asyncio.wait_for(server.ended.get(), 10)

    asyncio.run(attempt())


def test_large_attachments_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_run, "PIECES", 4)
    (tmp_path / "large").write_bytes(b"x" * (1 << 20))
    state: dict[str, Any] = {}

    async def attempt() -> None:
        async with script() as (server, port):
            server.reads.clear()
            large = [asyncio.create_task(run(work(port, state, attachments=[f"{tmp_path}/large"]))) for _ in range(3)]
            await server.began.wait()
            stopped = asyncio.create_task(run(work(port, state, attachments=[f"{tmp_path}/large"])))
            small = asyncio.create_task(run(work(port, state)))
            while server.connections < 2:
                await asyncio.sleep(0.01)
            stopped.cancel()
            server.reads.set()
            await asyncio.gather(small, *large)
            assert server.connections == 4

    asyncio.run(attempt())
    (_, pieces) = state["gnomon.tasks.email:room"]
    assert pieces._value == 4


@pytest.mark.parametrize("host", ["smtp.example.com:25", "127.0.0.1:25", "smtp://h"])
def test_a_host_has_no_port(host: str) -> None:
    with pytest.raises(UsageError) as caught:
        EMAIL.validate({**GIVEN, "host": host})
    assert [problem.key for problem in caught.value.problems] == ["host"]
    assert EMAIL.validate({**GIVEN, "host": "::1"})["host"] == "::1"
