"""Operations at a desk that stands elsewhere: called as ever, done by a server (`gnomon.remote`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from .context import Desk

P = ParamSpec("P")
T = TypeVar("T")


def anywhere(operation: Callable[Concatenate[Desk, P], T]) -> Callable[Concatenate[Desk, P], T]:
    """Make an operation one that a server can be asked for; `gnomon.remote.table` says how."""

    @wraps(operation)
    def done(desk: Desk, /, *args: P.args, **named: P.kwargs) -> T:
        if desk.elsewhere is None:
            return operation(desk, *args, **named)
        return desk.elsewhere.ask(operation, *args, **named)

    return done
