"""Whether an answer is what the OpenAPI document says it is."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, cast

import httpx
from jsonschema_rs import Draft202012Validator

from gnomon.system.clock import SystemClock
from gnomon.web.application import document, interface
from gnomon.web.service import Service


@lru_cache(maxsize=1)
def openapi() -> dict[str, Any]:
    """The document; no database is needed for it."""
    return document(interface(Service(desk=lambda actor, address: cast(Any, None), clock=SystemClock())))


@lru_cache(maxsize=1)
def _paths() -> list[tuple[re.Pattern[str], str]]:
    found = [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), path) for path in openapi()["paths"]]
    return sorted(found, key=lambda pair: pair[1].count("{"))  # `/jobs/delete` before `/jobs/{job_id}`


@lru_cache(maxsize=500)
def _validator(path: str, method: str, status: int, media: str) -> Draft202012Validator:
    said = openapi()["paths"][path][method]["responses"]
    assert str(status) in said, f"{method} {path}: the document knows no answer {status}"
    schema = said[str(status)].get("content", {}).get(media, {}).get("schema")
    assert schema is not None, f"{method} {path} {status}: the document does not know {media}"
    return Draft202012Validator({**schema, "components": openapi()["components"]})


def check_promise(method: str, answer: httpx.Response) -> None:
    """Fail if an answer is another than the document of that operation says."""
    if answer.status_code == 500:
        return  # never promised
    asked = answer.request.url.raw_path.decode().partition("?")[0]
    found = [
        path for pattern, path in _paths() if pattern.fullmatch(asked) and method.lower() in openapi()["paths"][path]
    ]
    if not found or not answer.content:
        return
    media = answer.headers["content-type"].partition(";")[0]
    if media.endswith("json"):
        faults = list(
            _validator(found[0], method.lower(), answer.status_code, media).iter_errors(json.loads(answer.text))
        )
        assert not faults, f"{method} {found[0]} {answer.status_code}: {faults[0].message} at {faults[0].instance_path}"
