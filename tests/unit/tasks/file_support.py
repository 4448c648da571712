"""Running one file task in this process, as the worker does."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.core.values import canonical_json
from gnomon.tasks.file import FILE, run
from gnomon.tasks.performing import TaskFailed, Work


def do(operation: str, path: object = None, roots: object = None, **more: Any) -> dict[str, Any]:
    """Perform a file task here; `from_` is `from`."""
    arguments = {"operation": operation, "path": path and str(path), **more}
    if "from_" in more:
        arguments["from"] = str(arguments.pop("from_"))
    if "to" in more:
        arguments["to"] = str(more["to"])
    environment = {"GNOMON_RUN_ID": "run1", "GNOMON_ATTEMPT": "1", "GNOMON_FENCE": "1"}
    if roots is not None:
        environment["GNOMON_FILE_ROOTS"] = str(roots)
    result = run(Work(FILE.validate(arguments), lambda text: None, environment))
    assert isinstance(result, dict)
    assert len(canonical_json(result).encode()) <= 64 * 1024, "more than is kept of a run"
    return result


def refusal(operation: str, path: object = None, roots: object = None, **more: Any) -> str:
    """The code it fails with."""
    with pytest.raises(TaskFailed) as caught:
        do(operation, path, roots, **more)
    return caught.value.task_code
