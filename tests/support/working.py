"""A task type as a worker performs it, in this process: arguments as in a job file, filled, ordered, performed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gnomon.core.errors import Problem, UsageError
from gnomon.core.substitution import substitute
from gnomon.core.tasks import TaskType, order_of, received_by
from gnomon.core.values import Json
from gnomon.tasks.performing import TaskFailed, perform


def attempt(kind: TaskType, arguments: Mapping[str, Json], **parameters: Json) -> Any:
    """The result of one attempt with these parameters.

    Raises:
        UsageError: as files are read.
        TaskFailed: as an attempt fails.
    """
    filled = substitute(dict(kind.validate(arguments)), parameters, key="task", received=received_by(kind, "task"))
    assert isinstance(filled, dict)
    order: Any = order_of(kind, filled)
    return perform(*order["args"])


def failure(kind: TaskType, arguments: Mapping[str, Json], **parameters: Json) -> TaskFailed:
    """How an attempt fails."""
    with pytest.raises(TaskFailed) as caught:
        attempt(kind, arguments, **parameters)
    return caught.value


def problems(kind: TaskType, arguments: Mapping[str, Json]) -> list[Problem]:
    """What is wrong with arguments when files are read."""
    with pytest.raises(UsageError) as caught:
        kind.validate(arguments)
    return list(caught.value.problems)
