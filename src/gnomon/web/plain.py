"""JSON without a detour through pydantic."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse

from gnomon.core.texts import json_bytes


class Plain(JSONResponse):
    """What operations answer is JSON already; whatever its texts hold, it is sent in valid UTF-8."""

    def render(self, content: Any) -> bytes:
        return json_bytes(content)
