"""Every mistake is a UsageError that says where it is and what is allowed."""

from __future__ import annotations

import pytest

from tests.unit.schedules.bad_expressions import CRON, MAPPINGS
from tests.unit.schedules.rules import problems_of


def test_the_corpus_is_large_and_without_doubles() -> None:
    assert len(CRON) + len(MAPPINGS) >= 300
    assert len({text for text, _, _ in CRON}) == len(CRON) >= 150


@pytest.mark.parametrize(("text", "field", "allowed"), CRON)
def test_bad_cron_names_field_text_and_range(text: str, field: str, allowed: str) -> None:
    for value, key in ((text, ""), ({"cron": text}, "cron")):
        problems = problems_of(value)
        assert [p.key for p in problems] == [key] * len(problems)
        assert all(p.code in ("cron_invalid", "cron_never_fires") for p in problems)
        message = problems[0].message
        assert field in message
        assert allowed in message or allowed in problems[0].hint
        assert problems[0].hint


@pytest.mark.parametrize(("value", "key"), MAPPINGS, ids=lambda v: str(v)[:50])
def test_bad_values_name_their_key(value: object, key: str) -> None:
    problems = problems_of(value)
    assert key in [p.key for p in problems]
    assert all(p.message and p.code for p in problems)


def test_all_problems_at_once() -> None:
    problems = problems_of({"cron": "60 25 * * 9", "timezone": "X/Y", "jiter": 1, "enabled": 1, "name": "!"})
    keys = sorted(p.key for p in problems)
    assert keys == ["cron", "cron", "cron", "enabled", "jiter", "name", "timezone"]
    assert next(p for p in problems if p.key == "jiter").hint == "did you mean jitter?"
