"""Bytes to values: scalars, places, refusals; nothing hostile takes long or escapes as an exception."""

from __future__ import annotations

import json
import sys

import pytest

from gnomon.core.errors import Problem
from gnomon.jobfiles.reading import Document, read
from gnomon.jobfiles.tree import Value
from tests.support.timing import cpu_seconds


def values(text: str, file: str = "a.yaml") -> Value:
    document = read(text.encode(), file)
    assert isinstance(document, Document), document
    return document.root


def refused(data: str | bytes, file: str = "a.yaml") -> Problem:
    found = read(data.encode() if isinstance(data, str) else data, file)
    assert isinstance(found, list)
    assert found
    assert all(problem.file == file and problem.line and problem.column for problem in found)
    return found[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("0123", "0123"),
        ("12:30", "12:30"),
        ("2026-12-01", "2026-12-01"),
        ("2026-12-01T09:00:00", "2026-12-01T09:00:00"),
        ("1_000", "1_000"),
        ("~", None),
        ("Null", None),
        ("TRUE", True),
        ("0x1F", 31),
        ("0o17", 15),
        ("-3", -3),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("'5'", "5"),
        ('"true"', "true"),
        ("<<", "<<"),
        ("1.2.3", "1.2.3"),
        ("+", "+"),
    ],
)
def test_scalars_of_yaml_are_those_of_yaml_1_2(text: str, value: object) -> None:
    read_value = values(f"a: {text}")
    assert read_value == {"a": value}
    assert isinstance(read_value["a"], type(value))  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("data", "file", "code", "line", "column"),
    [
        (b"a: &x 1\n", "a.yaml", "yaml_alias", 1, 4),
        (b"a: 1\nb: *x\n", "a.yaml", "yaml_alias", 2, 4),
        (b"a: !!python/object:os.system x\n", "a.yaml", "yaml_tag", 1, 4),
        (b"a: !x [1]\n", "a.yaml", "yaml_tag", 1, 4),
        (b"a: 1\nb: 2\na: 3\n", "a.yaml", "duplicate_key", 3, 1),
        (b"a: 1\n---\nb: 1\n", "a.yaml", "several_documents", 2, 1),
        (b"? [a]\n: 1\n", "a.yaml", "bad_key", 1, 3),
        (b"a: [1\nb: 2\n", "a.yaml", "yaml_syntax", 2, 2),
        (b"a:\n\tb: 1\n", "a.yaml", "yaml_syntax", 2, 1),
        (b"a: .inf\n", "a.yaml", "bad_number", 1, 4),
        (b"a: 99999999999999999999\n", "a.yaml", "number_too_large", 1, 4),
        (b'a: "\\0"\n', "a.yaml", "control_character", 1, 4),
        (b"a: \x07\n", "a.yaml", "control_character", 1, 4),
        (b"a: 1\nb: \x00\n", "a.yaml", "control_character", 2, 4),
        (b"a: 1\nb: \xff\n", "a.yaml", "not_utf8", 2, 4),
        ("a: 1".encode("utf-16"), "a.yaml", "not_utf8", 1, 1),
        (b"", "a.yaml", "empty_file", 1, 1),
        (b" \n# nothing\n", "a.yaml", "empty_file", 1, 1),
        (b"a: 1", "a.ini", "unknown_format", 1, 1),
        (b'{"a": 1,}', "a.json", "json_syntax", 1, 8 if sys.version_info >= (3, 13) else 9),
        (b'{"a": 1, "b": 2,\n "a": 3}', "a.json", "duplicate_key", 2, 2),
        (b'{"a": NaN}', "a.json", "bad_number", 1, 7),
        (b'{"a": 1e999}', "a.json", "number_too_large", 1, 7),
        (b'{"a": "\\ud800"}', "a.json", "control_character", 1, 7),
        (b"{'a': 1}", "a.json", "json_syntax", 1, 2),
        (b"a = 1\nb = nan\n", "a.toml", "bad_number", 2, 1),
        (b"a = 1\na = 2\n", "a.toml", "toml_syntax", 2, 6),
        (b"a = \n", "a.toml", "toml_syntax", 1, 5),
        (b"# nothing\n", "a.toml", "empty_file", 1, 1),
        (b"a = 99999999999999999999\n", "a.toml", "number_too_large", 1, 1),
    ],
)
def test_what_is_refused_and_where(data: bytes, file: str, code: str, line: int, column: int) -> None:
    problem = refused(data, file)
    assert (problem.code, problem.line, problem.column) == (code, line, column)


def test_a_byte_order_mark_is_no_harm() -> None:
    assert read(b"\xef\xbb\xbfa: 1", "a.yaml").root == {"a": 1}  # type: ignore[union-attr]


def test_all_formats_know_where_keys_and_values_stand() -> None:
    as_yaml = read(b"jobs:\n  - id: x\n  - id: y\n    task: {type: t}\n", "a.yaml")
    as_json = read(b'{"jobs": [\n  {"id": "x"},\n  {"id": "y",\n   "task": {"type": "t"}}]}', "a.json")
    as_toml = read(b'[[jobs]]\nid = "x"\n[[jobs]]\nid = "y"\n[jobs.task]\ntype = """t\n"""\n', "a.toml")
    assert isinstance(as_yaml, Document)
    assert isinstance(as_json, Document)
    assert isinstance(as_toml, Document)
    path = ("jobs", 1, "task", "type")
    assert as_yaml.place(path) == (4, 18)
    assert as_yaml.place(path, of_key=True) == (4, 12)
    assert as_yaml.place(("jobs", 1, "nothing", "below")) == (3, 5)
    assert as_json.place(path) == (4, 21)
    assert as_toml.place(path) == (6, 1)


def test_times_of_toml_are_texts() -> None:
    assert values("a = 2026-12-01T09:00:00Z\nb = 2026-12-01\nc = 09:00:00", "a.toml") == {
        "a": "2026-12-01T09:00:00+00:00",
        "b": "2026-12-01",
        "c": "09:00:00",
    }


BILLION_LAUGHS = b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: &d [*c,*c]\n"
HOSTILE = {
    "brackets": b"[" * 500_000,
    "brackets and newlines": b"[\n" * 300_000,
    "braces": b"{a: " * 200_000,
    "quoted braces": b'{"a":' * 150_000,
    "deep value": b"a=" + b"[" * 500_000,
    "long list": b"a: [" + b"1," * 100_000 + b"1]",
    "long JSON list": b'{"a": [' + b"1," * 490_000 + b"1]}",
    "long TOML list": b"a = [" + b"1," * 490_000 + b"1]",
    "long block list": b"- 1\n" * 249_000,
    "long number": b'{"a": ' + b"9" * 5_000 + b"}",
    "long TOML number": b"a = " + b"9" * 5_000,
    "ten megabytes": b"a" * 10_000_000,
    "dotted key": b"a." * 400_000 + b"a=1",
    "dotted header": b"[" + b"a." * 400_000 + b"a]",
    "many keys": b"".join(b"k%d = 1\n" % number for number in range(70_000)),
    "many tables": b"".join(b"[[j]]\nk%d=1\n" % number for number in range(60_000)),
    "open quote": b'a: "' + b"x" * 900_000,
    "quotes": b'"' * 999_999,
    "backslashes": b'"' + b"\\" * 999_000,
    "triple quotes": b"'''a" * 199_999,
    "anchors": b"- &a 1\n" * 100_000,
    "laughs": BILLION_LAUGHS,
    "same key": b"a: 1\n" * 100_000,
    "question marks": b"? " * 400_000,
    "dashes": b"- " * 400_000,
    "pairs in a list": b"[" + b"a: 1, " * 150_000 + b"]",
    "staircase": b"".join(b" " * level + b"a:\n" for level in range(1_400)),
    "bad UTF-8": b"a: " + b"\xff" * 900_000,
}


@pytest.mark.parametrize("file", ["a.yaml", "a.json", "a.toml"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_answered_quickly(name: str, file: str) -> None:
    took_s, found = cpu_seconds(lambda: read(HOSTILE[name], file))
    assert took_s < 1.0
    if isinstance(found, list):
        assert 1 <= len(found) <= 201
        assert all(len(str(problem)) < 1_000 for problem in found)


def test_aliases_are_refused_not_expanded() -> None:
    assert refused(BILLION_LAUGHS).code == "yaml_alias"


@pytest.mark.parametrize("file", ["a.yaml", "a.json"])
def test_depth_twenty_is_allowed_and_no_more(file: str) -> None:
    assert isinstance(read(b"[" * 20 + b"]" * 20, file), Document)
    assert refused(b"[" * 21 + b"]" * 21, file).code == "too_deep"


def test_json_reads_what_json_says() -> None:
    text = '{"a": [1, -2.5, 1e2, true, false, null, "\\u00e4\\n", "", {}], "b": {"c": []}, "": "ü"}'
    assert values(text, "a.json") == json.loads(text)
