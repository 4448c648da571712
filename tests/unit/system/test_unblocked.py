"""A stream that nobody has to read."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import pytest

from gnomon.system import unblocked as module
from gnomon.system.unblocked import Unblocked, unblocked
from tests.support.service import until


def full_pipe() -> tuple[int, int]:
    """Its ends; whoever writes waits for a reader."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(write, b"\n"):
            continue
    os.set_blocking(write, True)
    return read, write


def test_what_nobody_reads_is_dropped_and_counted_and_told_when_somebody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10_000)
    read, write = full_pipe()
    line = "x" * 99 + "\n"
    with os.fdopen(write, "w") as file:
        stream = Unblocked(file, lambda count: f"dropped {count}\n")
        for _ in range(5000):
            print(line, end="", file=stream)
        (found,) = stream.checks()
        assert "lines were dropped" in found.message
        taken = bytearray()

        def counted() -> int:
            *lines, _ = taken.decode().split("\n")
            return sum(one == line.strip() or int(one.removeprefix("dropped ")) for one in filter(None, lines))

        def told() -> bool:
            taken.extend(os.read(read, 1 << 16))
            return counted() == 5000

        until(told, "what was dropped")
        assert b"dropped" in taken
        print("the end", file=stream)
        stream.finish()
        assert os.read(read, 1 << 16) == b"the end\n"
    os.close(read)


def test_a_line_dropped_while_others_are_told_of_makes_none_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10_000)
    read, write = full_pipe()
    taken = bytearray()

    class Line(str):
        """Somebody reads, and is told, just when it is counted."""

        __slots__ = ()

        def count(self, *_: object) -> int:
            while b"dropped" not in taken:
                taken.extend(os.read(read, 1 << 16))
            return 1

    with os.fdopen(write, "w") as file:
        stream = Unblocked(file, lambda count: f"dropped {count}\n")
        for _ in range(200):
            stream.write("x" * 99 + "\n")
        stream.write(Line("y\n"))
        stream.write("the end\n")
        stream.finish()
        taken += os.read(read, 1 << 16)
    os.close(read)
    lines = taken.decode().splitlines()
    told = [int(line.split()[1]) for line in lines if line.startswith("dropped")]
    assert lines.count("x" * 99) + sum(told) == 201
    assert lines[-1] == "the end" or lines[-2] == "the end"


def test_the_end_does_not_wait_for_a_reader_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_S", 0.05)
    read, write = os.pipe()
    with os.fdopen(write, "w") as file:
        stream = Unblocked(file)
        stream.write("x" * 1_000_000)
        stream.write("y" * 60_000)
        stream.write("y" * 60_000)
        stream.finish()
        os.close(read)  # the thread gives up


def test_a_reader_that_is_gone_and_a_full_disk_cost_the_line(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    full = ["/dev/full"] if os.access("/dev/full", os.W_OK) else []  # some sandboxes keep it for root
    for place in (write, *full):
        with open(place, "w") as file:
            stream = Unblocked(file)
            stream.write("a\nb\n")
            stream.finish()


def test_text_that_the_stream_cannot_show_is_escaped_and_a_stream_without_descriptor_is_left(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as file, unblocked(file) as stream:
        print("ä \udce9", file=stream)
    assert (tmp_path / "out").read_text() == "\\xe4 \\udce9\n"
    plain = io.StringIO()
    with unblocked(plain) as stream:
        assert stream is plain
    with unblocked(None) as stream:
        assert stream is None
