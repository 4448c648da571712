"""From filled arguments to what pymongo is given: values from references are data wherever they stand.

Where a marked value may stand, and what becomes of it:

| place | becomes |
|---|---|
| a field of a filter | itself if it is a text, number, true, false or null; else `{$eq: value}` |
| operand of a comparison in a filter | itself; of `$in`, `$nin`, `$all`: a list without maps that hold operators |
| any other operator of a filter | refused, unless it is a plain value |
| a whole filter | a map of fields, each equal to its value; no operators |
| an expression, a stage | itself; `{$literal: value}` if it is a map, or holds a text that begins with `$` |
| the text of `$where`, the body of `$function` | refused |
| update | itself; refused if it holds a name that begins with `$` |
| document | itself |
| projection, sort | a number, true or false; else refused |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gnomon.core.values import Json

from .mongo import MARK, is_list, is_marked
from .performing import TaskFailed

COMPARING = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
LISTED = ("$in", "$nin", "$all")
CODE = ("$where", "$function", "$accumulator")
ARGUMENTS = ("args", "initArgs", "accumulateArgs")
PIPELINES = ("pipeline",)
Build = Callable[[Json, str], Any]


def filter_of(value: Json, key: str = "filter") -> Any:
    """A filter."""
    if is_marked(value):
        inner = _inner(value)
        if not isinstance(inner, Mapping):
            raise refused(key, "a filter is a map of names to values")
        _no_operators(inner, key)
        return {name: _equal(item) for name, item in inner.items()}
    if not isinstance(value, Mapping):
        raise refused(key, "a filter is a map of names to values")
    return {name: _condition(name, item, f"{key}.{name}") for name, item in value.items()}


def _condition(name: str, value: Json, key: str) -> Any:
    """The value of one name within a filter: a field, or an operator at the top."""
    if name in ("$and", "$or", "$nor"):
        if is_marked(value) or not is_list(value):
            raise refused(key, f"{name} takes a list of conditions that is written out")
        return [filter_of(item, f"{key}[{n}]") for n, item in enumerate(value)]  # type: ignore[arg-type]
    if name.startswith("$"):
        return _operand(name, value, key)
    if is_marked(value):
        return _equal(_inner(value))
    if _is_typed(value):
        return _typed(value, key)
    if isinstance(value, Mapping) and any(item.startswith("$") for item in value):
        return {item: _operand(item, operand, f"{key}.{item}") for item, operand in value.items()}
    return _data(value, key)


def _operand(name: str, value: Json, key: str) -> Any:
    """What an operator of a filter is given."""
    if name == "$expr":
        return expression(value, key)
    if name in CODE and _has_mark(value):
        raise refused(key, f"the code of {name} is not taken from a reference")
    if is_marked(value):
        inner = _inner(value)
        if name in COMPARING or not isinstance(inner, Mapping | list):
            return inner
        if name in LISTED and isinstance(inner, list):
            _no_operators(inner, key)
            return inner
        raise refused(key, f"{name} takes a {_kind(inner)} only when it is written out")
    if name in ("$elemMatch", "$not") and isinstance(value, Mapping):
        return filter_of(value, key)
    if name in LISTED and is_list(value):
        return [_listed(item, f"{key}[{n}]") for n, item in enumerate(value)]  # type: ignore[arg-type]
    return _data(value, key) if name in COMPARING else _written(value, key)


def _listed(value: Json, key: str) -> Any:
    if is_marked(value):
        _no_operators(_inner(value), key)
        return _inner(value)
    operators = isinstance(value, Mapping) and any(name.startswith("$") for name in value) and not _is_typed(value)
    return filter_of(value, key) if operators else _data(value, key)


def _written(value: Json, key: str) -> Any:
    """What the author wrote for some other operator: marked values in it are plain."""
    if is_marked(value):
        inner = _inner(value)
        if isinstance(inner, Mapping | list):
            raise refused(key, f"takes a {_kind(inner)} only when it is written out")
        return inner
    return _each(value, key, _written)


def expression(value: Json, key: str) -> Any:
    """An expression of an aggregation, or what a stage is given."""
    if is_marked(value):
        inner = _inner(value)
        return {"$literal": inner} if _speaks(inner) else inner
    if _is_typed(value):
        return _typed(value, key)
    if not isinstance(value, Mapping):
        return _each(value, key, expression)
    return {name: _within(name, item, f"{key}.{name}") for name, item in value.items()}


def _within(name: str, value: Json, key: str) -> Any:
    if name == "$literal":
        return _data(value, key)
    if name in ("$function", "$accumulator") and isinstance(value, Mapping):
        for part, item in value.items():
            if part not in ARGUMENTS and _has_mark(item):
                raise refused(f"{key}.{part}", f"the code of {name} is not taken from a reference")
    return expression(value, key)


def pipeline_of(value: Json, key: str = "pipeline") -> Any:
    """The stages of an aggregation."""
    if is_marked(value) or not is_list(value):
        raise refused(key, "a pipeline is a list of stages that is written out")
    return [_stage(stage, f"{key}[{n}]") for n, stage in enumerate(value)]  # type: ignore[arg-type]


def _stage(stage: Json, key: str) -> Any:
    if is_marked(stage) or not isinstance(stage, Mapping):
        raise refused(key, "a stage is written out")
    return {name: _of_stage(name, item, f"{key}.{name}") for name, item in stage.items()}


def _of_stage(name: str, value: Json, key: str) -> Any:
    if name == "$match":
        return filter_of(value, key)
    if name == "$facet" and isinstance(value, Mapping) and not is_marked(value):
        return {part: pipeline_of(item, f"{key}.{part}") for part, item in value.items()}
    if (
        name in ("$lookup", "$unionWith", "$geoNear", "$graphLookup")
        and isinstance(value, Mapping)
        and not is_marked(value)
    ):
        filters = ("query", "restrictSearchWithMatch")
        return {
            part: pipeline_of(item, f"{key}.{part}")
            if part in PIPELINES
            else filter_of(item, f"{key}.{part}")
            if part in filters
            else expression(item, f"{key}.{part}")
            for part, item in value.items()
        }
    return expression(value, key)


def update_of(value: Json, key: str = "update") -> Any:
    """Operators of an update and what they change. `$pull` and `$push` would read operators in values: refused."""
    if is_marked(value):
        inner = _inner(value)
        _no_operators(inner, key)
        return inner
    return _typed(value, key) if _is_typed(value) else _each(value, key, update_of)


def document_of(value: Json, key: str) -> Any:
    """A document, or a list of them."""
    return _data(value, key)


def numbers_of(value: Json, key: str) -> Any:
    """A projection or a sort: from references come numbers, true and false only."""
    if is_marked(value):
        inner = _inner(value)
        if not isinstance(inner, bool | int | float):
            raise refused(key, f"takes a {_kind(inner)} only when it is written out")
        return inner
    return _each(value, key, numbers_of)


def refused(key: str, why: str) -> TaskFailed:
    """`operator_refused`, with the place."""
    return TaskFailed("operator_refused", f"{key}: {why}")


def _data(value: Json, key: str) -> Any:
    if is_marked(value):
        return _inner(value)
    return _typed(value, key) if _is_typed(value) else _each(value, key, _data)


def _each(value: Json, key: str, build: Build) -> Any:
    if isinstance(value, Mapping):
        return {name: build(item, f"{key}.{name}") for name, item in value.items()}
    if is_list(value):
        return [build(item, f"{key}[{n}]") for n, item in enumerate(value)]  # type: ignore[arg-type]
    return value


def _equal(value: Json) -> Any:
    return {"$eq": value} if isinstance(value, Mapping | list) else value


def _inner(value: Json) -> Any:
    assert isinstance(value, Mapping)
    return value[MARK]


def _has_mark(value: Json) -> bool:
    if isinstance(value, Mapping):
        return MARK in value or any(_has_mark(item) for item in value.values())
    return is_list(value) and any(_has_mark(item) for item in value)  # type: ignore[union-attr]


def _no_operators(value: Json, key: str) -> None:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name.startswith("$"):
                raise refused(key, "a parameter brings an operator; it may bring data only")
            _no_operators(item, key)
    elif is_list(value):
        for item in value:  # type: ignore[union-attr]
            _no_operators(item, key)


def _speaks(value: Json) -> bool:
    """Whether an expression would read more in it than a value."""
    if isinstance(value, str):
        return value.startswith("$")
    return isinstance(value, Mapping) or (is_list(value) and any(_speaks(item) for item in value))  # type: ignore[union-attr]


def _kind(value: Json) -> str:
    return "map" if isinstance(value, Mapping) else "list" if is_list(value) else "text"


# ---- types that JSON does not have ---------------------------------------------------------------

_TYPES = ("$oid", "$date", "$numberDecimal", "$uuid", "$base64")


def _is_typed(value: Json) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _TYPES


def _typed(value: Json, key: str) -> Any:
    """`{$oid: …}` and the like as the author wrote them; what is inside may come from a reference, if it is a text."""
    import base64
    from decimal import Decimal
    from uuid import UUID

    from bson import Binary, Decimal128, ObjectId

    assert isinstance(value, Mapping)
    name, text = next(iter(value.items()))
    text = _inner(text) if is_marked(text) else text
    if not isinstance(text, str):
        raise refused(f"{key}.{name}", "takes a text")
    try:
        match name:
            case "$oid":
                return ObjectId(text)
            case "$date":
                moment = datetime.fromisoformat(text)
                return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            case "$numberDecimal":
                return Decimal128(Decimal(text))
            case "$uuid":
                return Binary.from_uuid(UUID(text))
            case _:
                return base64.b64decode(text, validate=True)
    except Exception:  # each has its own
        raise TaskFailed("bad_arguments", f"{key}.{name}: {text!r:.60} is none") from None


def documents_of(value: Json, key: str) -> Sequence[Any]:
    """Documents to insert.

    Raises:
        TaskFailed: `bad_arguments`, something else than maps.
    """
    made = document_of(value, key)
    found = made if key == "documents" else [made]
    if not isinstance(found, list) or not found or any(not isinstance(item, dict) for item in found):
        raise TaskFailed("bad_arguments", f"{key}: expected documents, maps of names to values")
    return found
