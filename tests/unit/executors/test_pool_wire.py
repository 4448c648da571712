"""What is on the wire and in journals: whose it is can always be told, and no end goes without a word."""

from __future__ import annotations

import pytest

from gnomon.executors.pool.wire import Began, Over, opened, over_line, packet, records

HEAD = '["X","r",1,7,12.5,0.5,true,null,"","",3'


@pytest.mark.parametrize("run", ["r", "with\nline", "half\udce9", "ä", '"', "@"])
def test_a_packet_says_whose_it_is(run: str) -> None:
    for body in (b"[]", b"@/some\npath", b""):
        assert opened(packet(3, run, 2, body)) == (3, run, 2, body)


@pytest.mark.parametrize("result", ["9" * 5000, "[" * 100_000, "{", "nul", '"\n'.strip() + "x"])
def test_a_result_that_can_not_be_read_is_an_end_all_the_same(result: str) -> None:
    data = f"{HEAD},{result}]\n".encode() + b'["S","s",1,1,0.0]\n'
    (kind, over), then = records(data)
    assert kind == "X"
    assert isinstance(over, Over)
    assert (over.run, over.number, over.token, over.ok, over.log, over.result) == ("r", 1, 7, True, 3, None)
    assert over.code == "bad_result"
    assert then == ("S", Began("s", 1, 1, 0.0))


def test_a_failure_keeps_its_own_code() -> None:
    over = Over("r", 1, 7, 1.0, 0.5, False, None, "ValueError", "no", 0, None)
    assert [one for _, one in records(over_line(over, "9" * 5000))] == [over]


@pytest.mark.parametrize(
    "line",
    [
        f'["X","r",1,7,12.5,{"9" * 5000},true,null,"","",3,null]',
        '["X","r",1,7,12.5,0.5,true,null,"torn',
        '["X","r",1,7,12.5,0.5,true,null]',
    ],
)
def test_an_end_of_which_less_is_known_is_a_failure(line: str) -> None:
    ((_, over),) = records(line.encode() + b"\n")
    assert isinstance(over, Over)
    assert (over.run, over.number, over.token, over.at, over.ok, over.code) == ("r", 1, 7, 12.5, False, "bad_result")


@pytest.mark.parametrize("line", ["", '["X","r",', '["S","r",1,1', "{}", "\x00\x00", '["X","r",1,7,12.5,0.5'])
def test_what_is_left_of_half_a_line_is_nothing(line: str) -> None:
    assert list(records(line.encode())) == []
    assert all(record.run == "r" for _, record in records(line.encode() + b"\n"))
