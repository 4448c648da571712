"""Secrets are struck out in every spelling that is promised, however the output is cut."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.redaction import Redactor
from tests.support.timing import cpu_seconds

SECRET = "s3cr%t/pass+w ord&ünï\"'"
ALPHABET = st.characters(exclude_categories=("Cs", "Cc"))
SECRETS = st.text(ALPHABET, min_size=6, max_size=40).filter(lambda text: len(set(text)) > 4 and text.strip() == text)


def spellings(secret: str) -> list[str]:
    quoted = [urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)]
    raw = secret.encode()
    lower = "".join(f"%{byte:02x}" for byte in raw)
    return [
        *(secret, *quoted, lower, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]),
        *(
            html.escape(secret),
            ascii(secret)[1:-1],
            "".join(f"\\{byte:03o}" if byte > 126 else chr(byte) for byte in raw),
        ),
        *([repr(raw)[2:-1]] if "\\" not in secret else []),
    ]


def encodings(secret: str) -> list[tuple[str, str]]:
    """(base64 of something around the secret, the part of it that only the secret decides)."""
    found = []
    for before in ("", "x", "us", "user:", "user::"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode((before + secret + "!").encode()).decode()
            start = -(-len(before.encode()) * 4 // 3)
            end = len((before + secret).encode()) * 4 // 3
            found.append((text, text[start:end]))
    return found


@given(SECRETS)
def test_every_spelling_is_struck_out(secret: str) -> None:
    redactor = Redactor([secret])
    for spelling in spellings(secret):
        assert redactor.text(f"<{spelling}>") == "<***>"
    for text, telling in encodings(secret):
        struck = redactor.text(f"Basic {text}.")
        assert telling not in struck
        assert telling[2:-2] not in struck
    for whole in (base64.b64encode(secret.encode()), base64.urlsafe_b64encode(secret.encode())):
        assert redactor.data(b"<" + whole + b">") == b"<***>"
        assert redactor.data(b"<" + whole.rstrip(b"=") + b">") == b"<***>"


@given(SECRETS, st.data())
def test_pieces_make_no_difference(secret: str, data: st.DataObject) -> None:
    redactor = Redactor([secret])
    text = data.draw(st.sampled_from([*spellings(secret), *(text for text, _ in encodings(secret)), secret[:-1]]))
    whole = f"{secret[:3]} {text} {secret[:5]}{text}{secret[0]}".encode()
    stream, said, at = redactor.stream(), b"", 0
    while at < len(whole):
        count = data.draw(st.integers(1, 9))
        said += stream.feed(whole[at : at + count])
        at += count
    said += stream.end()
    assert secret.encode() not in said
    assert said.replace(b"***", b"") == redactor.data(whole).replace(b"***", b"") or text not in said.decode()


def test_what_is_no_beginning_of_a_secret_is_passed_on_at_once() -> None:
    stream = Redactor(["hunter22"]).stream()
    assert stream.feed(b"hello\n") == b"hello\n"
    assert stream.feed(b"hun") == b""
    assert stream.feed(b"dred\n") == b"hundred\n"
    assert stream.feed(b"my hunter") == b"my "
    assert stream.feed(b"22!\n") == b"***!\n"
    assert stream.end() == b""


def test_json_at_any_depth_with_keys_and_numbers() -> None:
    value: Any = {"a hunter22": [1, {"x": "hunter22"}, 31415926, 3.5, True, None], "b": "aHVudGVyMjI="}
    struck = {"a ***": [1, {"x": "***"}, "***", 3.5, True, None], "b": "***"}
    assert Redactor(["hunter22", "31415926"]).json(value) == struck
    assert Redactor([]).json(value) == value
    assert not Redactor(["abc"]), "too short to be struck out"


@pytest.mark.parametrize("text", ["first line 1\nsecond line 2\nthird", "-----BEGIN KEY-----\nMIIBVQ==abc\n"])
def test_lines_of_a_long_secret_count_alone(text: str) -> None:
    struck = Redactor([text]).text("a: " + text.splitlines()[1] + " b " + text)
    assert text.splitlines()[1] not in struck
    assert struck == "a: *** b ***"


def test_much_output_is_searched_fast() -> None:
    stream = Redactor([SECRET]).stream()
    block = b"2026-11-21 12:00:00 INFO some words about nothing s3cr in particular\n" * 1000
    said = b"".join(stream.feed(block[at : at + 4096]) for _ in range(20) for at in range(0, len(block), 4096))
    assert len(said + stream.end()) == 20 * len(block)


@settings(max_examples=30)
@given(st.binary(min_size=40, max_size=200), st.integers(8, 76), st.sampled_from(["\n", "\r\n", "\\n"]), st.text("xyz"))
def test_base64_in_lines_is_struck_out(data: bytes, width: int, end: str, before: str) -> None:
    secret = base64.b85encode(data).decode()
    text = base64.b64encode((before + secret + "?").encode()).decode()
    broken = end.join(text[at : at + width] for at in range(0, len(text), width))
    redactor = Redactor([secret])
    assert len(redactor.text(broken)) < 20 + len(before) * 2
    stream = redactor.stream()
    said = b"".join(stream.feed(broken[at : at + 50].encode()) for at in range(0, len(broken), 50)) + stream.end()
    assert len(said) < 20 + len(before) * 2


@pytest.mark.parametrize("secret", ["pass\n", "  pass  ", "\tpass\r\n"])
def test_white_space_around_a_secret_does_not_hide_it(secret: str) -> None:
    assert Redactor([secret]).text("it is pass.") == "it is ***."


@pytest.mark.parametrize("password", ["hunter22", "p%40ss%2Fw", "a:b@c"])
def test_the_password_within_an_address_is_a_secret_too(password: str) -> None:
    redactor = Redactor([f"postgresql+psycopg://me:{password}@db.example.com:5432/shop"])
    assert redactor.text(f"login of me with {password} refused") == "login of me with *** refused"
    assert redactor.text(f"<{urllib.parse.unquote(password)}>") == "<***>"
    assert redactor.text("db.example.com, me") == "db.example.com, me"


def test_a_long_key_costs_little() -> None:
    lines = [base64.b64encode(bytes(range(at, at + 48))).decode() for at in range(70)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    block = base64.b64encode(bytes(at * at % 251 for at in range(60_000)))

    def work() -> int:
        stream = Redactor([key]).stream()
        return len(b"".join(stream.feed(block[at : at + 4096]) for at in range(0, len(block), 4096)) + stream.end())

    took_s, count = cpu_seconds(work)
    assert count == len(block)
    assert took_s < 3, "it was half a minute"
