"""Errors (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel


class Fault(BaseModel):
    """One thing that is wrong: what, where, and what to do about it."""

    code: str
    message: str
    key: str
    hint: str
    file: str | None
    line: int | None
    column: int | None


class ProblemDocument(BaseModel):
    """Why a request was refused."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[Fault]
