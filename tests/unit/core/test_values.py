"""Keys, ids, instants, canonical text, errors: the same for the same input, for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core import keys
from gnomon.core.errors import Conflict, InvariantViolated, NotFound, Problem, Unavailable, UsageError, usage
from gnomon.core.jitter import jitter
from gnomon.core.values import canonical_json, digest, from_micros, parse_rfc3339, rfc3339, to_micros

INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(INSTANTS)
def test_micros_and_text_of_an_instant_are_exact(instant: datetime) -> None:
    assert from_micros(to_micros(instant)) == instant
    text = rfc3339(instant)
    assert text is not None
    assert text.endswith("Z")
    assert parse_rfc3339(text) == instant


def test_instants_of_other_zones_become_utc_and_naive_ones_are_refused() -> None:
    local = datetime(2030, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert rfc3339(local) == "2030-01-01T00:00:00Z"
    assert rfc3339(None) is None
    with pytest.raises(ValueError, match="has no offset"):
        parse_rfc3339("2030-01-01T00:00:00")


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_equal_values_have_one_text_and_one_digest(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(turned)
    assert digest(value) == digest(turned)
    assert len(digest(value)) == 16


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_is_not_json_is_refused(bad: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical_json({"x": bad})


@given(INSTANTS.filter(lambda i: i.year >= 1970), st.integers(0, 2**80 - 1), st.integers(1, 10**7))
def test_ids_sort_by_time(instant: datetime, bits: int, later_ms: int) -> None:
    one = keys.time_ordered_id(instant, bits)
    assert len(one) == 26
    assert one == keys.time_ordered_id(instant, bits)
    try:
        two = keys.time_ordered_id(instant + timedelta(milliseconds=later_ms), 0)
    except OverflowError:
        return
    assert one < two


def test_run_keys_never_meet() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    made = {
        keys.fire_key("a:default", moment),
        keys.fire_key("a:default", moment + timedelta(microseconds=1)),
        keys.fire_key("b:default", moment),
        keys.startup_key("a:default", "node"),
        keys.caller_key("a", "key"),
        keys.flow_key("f", "a"),
        keys.flow_key("f", "a", generation=1),
        keys.flow_key("f", "a", item="1"),
        keys.flow_key("g", "a"),
    }
    assert len(made) == 9
    berlin = moment.astimezone(timezone(timedelta(hours=1)))
    assert keys.fire_key("a:default", berlin) == keys.fire_key("a:default", moment)


@given(INSTANTS, st.floats(0, 1e5))
def test_jitter_is_in_its_bounds_and_the_same_everywhere(moment: datetime, jitter_s: float) -> None:
    drawn = jitter("a:default", moment, jitter_s)
    assert timedelta(0) <= drawn <= timedelta(seconds=jitter_s)
    assert drawn == jitter(
        "a:default", moment.astimezone(timezone(timedelta(hours=-7))) if moment.year > 1 else moment, jitter_s
    )


def test_errors_are_sorted_by_blame_and_say_where_and_what_next() -> None:
    assert [e.exit_code for e in (UsageError, NotFound, Conflict, Unavailable, InvariantViolated)] == [2, 2, 2, 3, 70]
    problem = Problem("bad_key", "`tsk` is no key", "jobs[2].tsk", "did you mean `task`?", "a.yaml", 4, 2)
    assert str(problem) == "a.yaml:4:2: jobs[2].tsk: `tsk` is no key (did you mean `task`?)"
    assert str(usage("x", "just this")) == "just this"
    both = UsageError(problem, Problem("other", "more"))
    assert both.code == "bad_key"
    assert str(both).count("\n") == 1
