"""What user code hands over is plain and bounded behind the gate, whatever it was, and nothing of it is ever called."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.attempts import Ended, Event, Failure, Handle, Heartbeat, Outcome, Started
from gnomon.core.handover import MESSAGE_LIMIT, Unkept, code_of, kept, parsed, real, said_by, type_name, whole, words
from gnomon.core.reports import received
from gnomon.executors.pool.calling import printable
from tests.support import hostile

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Word(StrEnum):
    A = "a"


class Number(IntEnum):
    ONE = 1


EXPECTED: dict[str, object] = {
    "mixed keys": {"1": 2, "null": 3, "false": 4, "1.5": 5},
    "tuple": [1, "b"],
    "hostile text": "x",
    "hostile number": 3,
    "hostile real": 1.5,
    "hostile list": [1],
    "hostile tuple": [1],
    "hostile map": {"a": 1},
}


@pytest.mark.parametrize("name", hostile.KEPT)
def test_what_is_json_is_copied_into_plain_types(name: str) -> None:
    plain = kept(hostile.KEPT[name]())
    assert exact(plain)
    assert plain == (EXPECTED[name] if name in EXPECTED else hostile.KEPT[name]())


def test_types_of_the_library_that_are_json() -> None:
    value = {Word.A: Number.ONE, "b": OrderedDict(a=1), "c": defaultdict(list, x=[True, None])}
    assert kept(value) == {"a": 1, "b": {"a": 1}, "c": {"x": [True, None]}}
    assert exact(kept(value))


def exact(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) is str and exact(item) for key, item in value.items())
    return all(map(exact, value)) if type(value) is list else type(value) in (str, int, float, bool, type(None))


WHY = {
    "infinity inside": "-inf",
    "no number": "nan",
    "half a character": "half a character",
    "too deep": "nested more than 100 deep",
    "endless": "nested more than 100 deep",
    "laughing": "65536",
    "too long": "600 digits",
    "set": "type set",
    "decimal": "decimal.Decimal",
    "key of a map": "a key of type tuple",
    "liar": "Liar",
    "too large": "65537 bytes",
    "too large in bytes": "80004 bytes",
    "too many": "more than the 65536 bytes",
}


@pytest.mark.parametrize("name", hostile.UNKEPT)
def test_what_cannot_be_kept_says_why(name: str) -> None:
    with pytest.raises(Unkept, match="the result, of type") as caught:
        kept(hostile.UNKEPT[name]())
    assert WHY.get(name, "") in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"x": 1e400}', "inf"),
        (b"[NaN]", "nan"),
        (b'"\\ud800"', "half a character"),
        (b"[" * 980 + b"]" * 980, "deep"),
        (b"[" * 30_000 + b"]" * 30_000, "deep"),
        (b"9" * 5000, "JSON"),
        (b"9" * 1000, "600 digits"),
        (b"\xff", "JSON"),
        (b"{", "JSON"),
        (b" " * 70_000 + b"1", "longer than 65536 bytes"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_what_a_file_holds_that_cannot_be_kept(data: bytes, why: str) -> None:
    with pytest.raises(Unkept, match=why):
        parsed(data)


def test_what_a_file_holds() -> None:
    assert parsed(b' {"a": [1, null]}\n') == {"a": [1, None]}
    assert parsed(b" \n") is None


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("sold_out", "sold_out"),
        ("sold out", "sold_out"),
        ("vendor:no-stock.2", "vendor:no-stock.2"),
        ("Übel", "Übel"),
        ("\udce9\0", "_"),
        ("", "failed"),
        (404, "404"),
        (True, "failed"),
        (None, "failed"),
        (object(), "failed"),
        ("x" * 3_000_000, "x" * 200),
    ],
    ids=lambda value: type_name(value) if len(str(value)[:99]) > 50 else None,
)
def test_codes_have_1_to_200_characters_of_their_alphabet(said: object, code: str) -> None:
    assert code_of(said) == code


def test_nothing_of_a_code_or_a_message_is_called() -> None:
    assert code_of(hostile.hostile(str, "x y")) == "x_y"
    assert code_of(hostile.hostile(int, 7)) == "7"
    assert code_of(hostile.Liar()) == code_of(hostile.Untold) == "failed"
    assert words(hostile.hostile(str, "x")) == "x"
    assert type_name(hostile.Untold()) == "tests.support.hostile.Untold"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "no"),
        (ValueError(), "ValueError()"),
        (ValueError("no", 3), "('no', 3)"),
        (KeyError("key"), "'key'"),
        (LookupError(["a", 1]), "['a', 1]"),
        (OSError(2, "No such file"), "[Errno 2] No such file"),
        (ValueError("x\udce9\0"), "x\\udce9\\x00"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_exception_says(error: BaseException, text: str) -> None:
    assert said_by(error) == text


@pytest.mark.parametrize("name", hostile.ANYTHING)
def test_what_an_exception_holds_is_not_written_down_for_ever(name: str) -> None:
    for error in (ValueError(hostile.ANYTHING[name]()), KeyError("a", hostile.ANYTHING[name]())):
        assert len(said_by(error)) <= MESSAGE_LIMIT
        printable(error)


def test_messages_are_bounded_text() -> None:
    assert words("a\udcff\0ü") == "a\\udcff\\x00ü"
    assert words(None) == words(b"x") == ""
    assert len(words("x" * 3_000_000)) == MESSAGE_LIMIT


def test_numbers() -> None:
    assert [whole(said, 0, 9) for said in (hostile.hostile(int, 3), True, "3", 10)] == [3, None, None, None]
    assert [real(said) for said in (hostile.hostile(float, 1.5), 2, 1e400, 10**400)] == [1.5, 2.0, None, None]


# ---- reports --------------------------------------------------------------------------------------


def ended(**more: Any) -> Ended:
    return Ended("r", 1, 7, **{"outcome": Outcome.SUCCEEDED, "finished_at": NOW, **more})


def test_a_good_report_stays_as_it_is() -> None:
    end = ended(
        outcome=Outcome.FAILED, exit_code=3, error=Failure("x", "y"), result={"a": [1]}, log_bytes=5, duration_s=1.0
    )
    start = Started("r", 1, 7, NOW, Handle("w", {"pid": 3}))
    assert received(end, NOW) == end
    assert received(start, NOW) == start
    assert received(Heartbeat("r", 1, 7, NOW), NOW) == Heartbeat("r", 1, 7, NOW)


def test_a_result_that_cannot_be_kept_takes_nothing_from_what_has_succeeded() -> None:
    end = received(ended(result={1, 2}), NOW)
    assert isinstance(end, Ended)
    assert (end.outcome, end.result, end.error and end.error.code) == (Outcome.SUCCEEDED, None, "bad_result")
    failed = received(ended(outcome=Outcome.FAILED, error=Failure("sold out", "none left"), result=1e400), NOW)
    assert isinstance(failed, Ended)
    assert failed.error is not None
    assert (failed.outcome, failed.result, failed.error.code) == (Outcome.FAILED, None, "sold_out")
    assert failed.error.message.startswith("none left (the result, of type float,")


class Odd(datetime):
    def utcoffset(self) -> timedelta:
        return cast(timedelta, hostile.trap())


FIELDS: list[Callable[[], Any]] = [
    *hostile.ANYTHING.values(),
    lambda: Outcome.FAILED,
    lambda: "succeeded",
    lambda: 1 << 64,
    lambda: NOW,
    lambda: datetime(2030, 1, 1),
    lambda: datetime.max.replace(tzinfo=timezone(timedelta(hours=-3))),
    lambda: Odd(2030, 1, 1, tzinfo=UTC),
    lambda: Failure("c", "m"),
    lambda: Failure(cast(str, hostile.Liar()), cast(str, 3)),
    lambda: Handle("w"),
    lambda: Handle(cast(str, 4), cast(Any, {1})),
]
KINDS: list[tuple[Any, tuple[Any, ...]]] = [
    (Ended, ("r", 1, 7, Outcome.SUCCEEDED, NOW, NOW, 1.5, 0, Failure("c", "m"), {"a": 1}, 3, False)),
    (Started, ("r", 1, 7, NOW, Handle("w"))),
    (Heartbeat, ("r", 1, 7, NOW)),
]


@given(data=st.data())
def test_whatever_is_reported_comes_out_plain(data: st.DataObject) -> None:
    kind, good = data.draw(st.sampled_from(KINDS))
    fields = list(good)
    for place in data.draw(st.sets(st.integers(0, len(fields) - 1), min_size=1)):
        fields[place] = FIELDS[data.draw(st.integers(0, len(FIELDS) - 1))]()
    check(kind(*fields))


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=["ended", "started", "heartbeat"])
def test_every_field_may_be_anything(kind: int) -> None:
    make, good = KINDS[kind]
    for place in range(len(good)):
        for field in FIELDS:
            check(make(*good[:place], field(), *good[place + 1 :]))


def check(event: Event) -> None:
    out = received(event, NOW)
    if out is None:
        return
    assert type(out.run_id) is str
    assert type(out.number) is type(out.token) is int
    if isinstance(out, Started):
        assert (type(out.at), out.at.tzinfo, type(out.handle.worker)) == (datetime, UTC, str)
        json.dumps(out.handle.process)
    if isinstance(out, Ended):
        assert type(out.outcome) is Outcome
        assert type(out.finished_at) is datetime
        assert out.finished_at.tzinfo is UTC
        assert exact(out.result)
        assert exact(out.exit_code)
        assert len(json.dumps(out.result, ensure_ascii=False, allow_nan=False).encode()) < 80_000
        assert out.error is None or 1 <= len(out.error.code) <= 200
        assert out.error is None or len(out.error.message.encode()) <= 4 * MESSAGE_LIMIT


def test_what_is_no_report_is_none() -> None:
    others: list[Any] = [None, 3, object(), hostile.Liar(), Ended, Ended("", 1, 1, Outcome.LOST, NOW)]
    assert [received(event, NOW) for event in others] == [None] * len(others)
