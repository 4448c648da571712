"""What applying job files reads and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gnomon.core.errors import Problem
from gnomon.core.model import Job
from gnomon.core.records import Source

from .parsing import ParsedFile
from .uses import Content


class Active(Protocol):
    """A job as the store has it, not retired (`core.records.JobRecord` is one)."""

    @property
    def job(self) -> Job:
        """Its current definition."""

    @property
    def source(self) -> Source:
        """Its owner."""


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What to write, and what to tell.

    Attributes:
        upserts: (job, path of its file) to write; also when only the file changed.
        retire: ids of jobs that no file asks for any more.
        in_effect: path → the version of the file that now counts; the next plan's `in_effect`.
        problems: path → why its newest version does not count (or not whole).
        warnings: path → what is wrong around jobs that stay as they are.
        pools: of all files in effect.
        configurations: (name, content, path) of all files in effect.
        dropped: names of configurations that no file has any more.
    """

    upserts: tuple[tuple[Job, str], ...] = ()
    retire: tuple[str, ...] = ()
    in_effect: Mapping[str, ParsedFile] = field(default_factory=dict)
    problems: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    warnings: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)
    configurations: tuple[tuple[str, Content, str], ...] = ()
    dropped: tuple[str, ...] = ()
