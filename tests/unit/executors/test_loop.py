"""The loop makes the calls it was given, for what they were given for."""

from __future__ import annotations

import os

from gnomon.executors.loop import Loop
from gnomon.system.clock import SystemClock


def test_a_number_that_has_changed_hands_is_not_the_one_that_was_ready() -> None:
    """Of two descriptors that are ready at once, the first call closes the other and gives its number to a third."""
    made: list[str] = []
    loop = Loop(SystemClock(), "test", lambda: None)
    ends = [os.pipe() for _ in range(3)]
    silent = ends[2][0]

    def first(other: int) -> None:
        made.append("ready")
        loop.unwatch(other)
        os.dup2(silent, other)
        loop.watch(other, lambda: made.append("silent"))
        loop.submit(loop._halt)

    loop.watch(ends[0][0], lambda: first(ends[1][0]))
    loop.watch(ends[1][0], lambda: first(ends[0][0]))
    for _, writer in ends[:2]:
        os.write(writer, b"x")
    loop.start()
    loop._thread.join()
    for pair in ends:
        for fd in pair:
            os.close(fd)
    assert made == ["ready"]
