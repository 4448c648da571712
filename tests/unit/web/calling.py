"""Asking the whole application, gate included, on a real SQLite file."""

from __future__ import annotations

import json
from asyncio import Runner, gather
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx
from starlette.types import ASGIApp

from gnomon.app.parts import Parts
from gnomon.core.access import Role
from gnomon.core.records import SkipReason, SkipRecord, Source, SourceKind
from gnomon.operations.building import build_job
from gnomon.operations.context import Desk
from gnomon.operations.jobs import save_job
from gnomon.operations.tokens import create_token
from gnomon.web.application import build
from gnomon.web.service import Service
from tests.unit.web.promises import check_promise

PREFIX = "/api/v1"
TASK = {"type": "command", "command": ["true"]}


class Caller:
    """Asks in the name of one token. Paths are below `/api/v1`, unless they begin with it."""

    def __init__(self, world: World, token: str | None) -> None:
        self.world = world
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer, whatever its status."""
        sent = {**self.headers, **(headers or {})}
        url = path if path.startswith(PREFIX) else PREFIX + path
        return self.world.request(method, url, headers=sent, **({} if body is None else {"json": body}))

    def send(self, method: str, path: str, text: str) -> httpx.Response:
        """The answer to a body as it is written, which is said to be JSON."""
        headers = {**self.headers, "Content-Type": "application/json"}
        return self.world.request(method, PREFIX + path, content=text, headers=headers)

    def get(self, path: str, status: int = 200) -> Any:
        """The document; the status must be this."""
        return _checked(self.ask("GET", path), status)

    def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """The document; the status must be this."""
        return _checked(self.ask("POST", path, body, headers), status)

    def put(self, path: str, body: Any, status: int = 200, match: str | None = None) -> Any:
        """The document; the status must be this. `match`: the entity tag of `If-Match`."""
        return _checked(self.ask("PUT", path, body, {} if match is None else {"If-Match": match}), status)

    def delete(self, path: str, status: int = 204, match: str | None = None) -> Any:
        """The document, None if there is none."""
        return _checked(self.ask("DELETE", path, None, {} if match is None else {"If-Match": match}), status)

    def tag(self, path: str) -> str:
        """The entity tag of an object."""
        return self.ask("GET", path).headers["etag"]

    def refused(self, method: str, path: str, status: int, code: str, body: Any = None, **headers: str) -> Any:
        """The problem document of a refusal, which must have this status and this code."""
        answer = self.ask(method, path, body, headers)
        document = _checked(answer, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert document["code"] == code, document
        assert document["errors"][0]["code"] == code
        return document


def _checked(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    return json.loads(answer.text) if answer.text else None


class World:
    """A service on a database of its own. `desk`: the operations beside REST, as of the CLI.

    Args:
        fresh: an application of its own; otherwise all worlds share one (building it takes long), one after the other.
    """

    def __init__(self, parts: Parts, *, fresh: bool = False) -> None:
        self.parts = parts
        self.desk = parts.desk("cli:test")
        self.changes = 0
        self.service = Service(desk=self._desk, clock=parts.clock, changed=self._changed, settings=parts.settings)
        self.application = build(self.service) if fresh else _shared(self.service)
        self.tokens = {role: str(create_token(self.desk, f"a-{role}", role)["token"]) for role in Role}
        self._runner = Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.close()

    def request(self, method: str, path: str, **said: Any) -> httpx.Response:
        """One request, as it comes over the network."""

        return self.together([{"method": method, "url": path, **said}])[0]

    def together(self, requests: Sequence[Mapping[str, Any]]) -> list[httpx.Response]:
        """Requests at the same time, as they come over the network."""

        async def work() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8085") as client:
                return await gather(*(client.request(**said) for said in requests))

        answers = self._runner.run(work())
        for said, answer in zip(requests, answers, strict=True):
            check_promise(said["method"], answer)
        return answers

    def _desk(self, actor: str, address: str | None) -> Desk:
        desk = self.parts.desk(actor)
        desk.address = address
        return desk

    def _changed(self) -> None:
        self.changes += 1

    def caller(self, role: Role | None = Role.ADMIN) -> Caller:
        """A caller with the token of `role`; None: without any."""
        return Caller(self, None if role is None else self.tokens[role])

    def job(self, job_id: str, *, file: str | None = None, **keys: Any) -> None:
        """Save a job beside REST. `file`: the path of the job file that owns it."""
        document = {"job_id": job_id, "task": TASK, **keys}
        job = build_job(document, self.desk.kinds, self.desk.task_types, self.desk.timezone)
        source = Source(SourceKind.REST) if file is None else Source(SourceKind.FILE, file)
        save_job(self.desk, job, source)

    def skip(self, job_id: str, hour: int, reason: SkipReason) -> None:
        """Its default entry made no run at that hour of 2026-01-01 (UTC)."""
        at = datetime(2026, 1, 1, hour, tzinfo=UTC)
        record = SkipRecord(f"{job_id}:default", job_id, at, at, 1, reason, "", at)
        self.desk.store.write(lambda tx: tx.insert_skips([record]))


_kept: list[tuple[Service, ASGIApp]] = []


def _shared(service: Service) -> ASGIApp:
    """The application of all worlds, which serves this one from now on."""
    if not _kept:
        own = replace(service)
        _kept.append((own, build(own)))
    own, application = _kept[0]
    for field in fields(Service):
        setattr(own, field.name, getattr(service, field.name))
    return application
