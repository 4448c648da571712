"""What can be asked of each list: its keys, and the filter they make."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gnomon.core.errors import Problem, UsageError
from gnomon.core.filters import (
    AuditFilter,
    ConfigurationFilter,
    FlowFilter,
    JobFilter,
    RunFilter,
    ScheduleFilter,
    SkipFilter,
)
from gnomon.core.records import Cause, SkipReason, SourceKind

from .keys import Choice, Choices, Fields, Flag, Key, Labels, One, Seconds, Several, States, Time, Types, Version, Words
from .reading import Reading
from .text import Term, split

F = TypeVar("F")
Options = Mapping[str, Sequence[str] | str | None]
_SPLIT = frozenset({"state", "type"})


@dataclass(frozen=True, slots=True)
class Language(Generic[F]):
    """The filter language of one list.

    Attributes:
        kind: the list's name.
        make: the filter of its fields.
        keys: what may stand before a colon; "" for words.
    """

    kind: str
    make: Callable[..., F]
    keys: Mapping[str, Key]

    def parse(self, text: str, reading: Reading) -> F:
        """The filter that a text means; the empty text matches everything.

        Raises:
            UsageError: `filter_invalid`, `filter_key_unknown`, `filter_value_invalid`, or the code of a bad time,
                duration, state, label or type. Nothing else, whatever the text.
        """
        return self._build(split(text), reading)

    def options(self, options: Options, reading: Reading, query: str | None = None, place: str = "--{}") -> F:
        """The filter of command line options (or parameters of a request), by key, and of a text beside them.

        Args:
            place: how an option is written, in complaints.

        Raises:
            UsageError: as `parse`; the key is the option.
        """
        terms = list(split(query or ""))
        for key, said in options.items():
            texts = [said] if isinstance(said, str) else list(said or ())
            if key in _SPLIT:
                texts = [part.strip() for text in texts for part in text.split(",")]
            if texts:
                terms.append(Term(key, tuple(texts), place=place.format(key)))
        return self._build(terms, reading)

    def write(self, where: F) -> str:
        """A text that means this filter: `parse` gives it back."""
        texts = [text for name, key in self.keys.items() for text in key.texts(name, where)]
        return " ".join(dict.fromkeys(texts))

    def names(self) -> list[str]:
        """Its keys."""
        return [name for name in self.keys if name]

    def _build(self, terms: Iterable[Term], reading: Reading) -> F:
        fields: dict[str, Any] = {}
        for term in terms:
            key = self.keys.get(term.key)
            if key is None:
                raise self._unknown(term)
            key.put(fields, term, reading)
        if "states" in fields:
            fields["states"] = tuple(fields["states"])
        return self.make(**fields)

    def _unknown(self, term: Term) -> UsageError:
        known = "known: " + ", ".join(self.names())
        near = difflib.get_close_matches(term.key[:100], self.names(), n=1)
        hint = f"did you mean {near[0]}? {known}" if near else known
        place = f" (at character {term.column})" if term.column else ""
        text = f"{self.kind} have no filter {term.key[:100]!r}{place}"
        return UsageError(Problem("filter_key_unknown", text, term.key[:100], hint, column=term.column or None))


@dataclass(frozen=True, slots=True)
class Jobs:
    """The job's id: one, or any of several."""

    def put(self, fields: Fields, term: Term, reading: Reading) -> None:
        if not term.negated and fields.get("job_id") is not None:
            fields["job_ids"] = (fields.pop("job_id"),)
        Several("job_ids", "not_job_ids").put(fields, term, reading)
        if len(fields.get("job_ids", ())) == 1:
            fields["job_id"] = fields.pop("job_ids")[0]

    def texts(self, name: str, of: object) -> list[str]:
        return One("job_id").texts(name, of) + Several("job_ids", "not_job_ids").texts(name, of)


RUNS: Language[RunFilter] = Language(
    "runs",
    RunFilter,
    {
        "job": Jobs(),
        "state": States(),
        "type": Types("task_types", "not_task_types"),
        "label": Labels(),
        "since": Time("since"),
        "until": Time("until"),
        "duration": Seconds("duration_s"),
        "lateness": Seconds("lateness_s"),
        "error": Several("errors", "not_errors"),
        "signature": One("signature"),
        "cause": Choices("causes", Cause, "cause"),
        "schedule": One("schedule_id"),
        "flow": One("flow_id"),
        "parent": One("parent_id"),
        "actor": One("actor"),
        "config": Version("configuration"),
        "": Words(),
    },
)
JOBS: Language[JobFilter] = Language(
    "jobs",
    JobFilter,
    {
        "job": Several("job_ids", "not_job_ids"),
        "type": Types("task_types", "not_task_types"),
        "label": Labels(),
        "config": One("configuration"),
        "source": Choice("source", SourceKind, "source"),
        "paused": Flag("paused"),
        "enabled": Flag("enabled"),
        "retired": Flag("retired", default=False),
        "since": Time("due_from"),
        "until": Time("due_until"),
        "": Words(),
    },
)
SCHEDULES: Language[ScheduleFilter] = Language(
    "schedules", ScheduleFilter, {"job": Jobs(), "paused": Flag("paused"), "": Words()}
)
CONFIGURATIONS: Language[ConfigurationFilter] = Language(
    "configurations",
    ConfigurationFilter,
    {"type": Types("types"), "used": Flag("used"), "source": Choice("source", SourceKind, "source"), "": Words()},
)
FLOWS: Language[FlowFilter] = Language(
    "flows", FlowFilter, {"job": One("job_id"), "since": Time("since"), "until": Time("until"), "": Words()}
)
SKIPS: Language[SkipFilter] = Language(
    "skips",
    SkipFilter,
    {
        "job": One("job_id"),
        "schedule": One("schedule_id"),
        "reason": Choices("reasons", SkipReason, "reason"),
        "since": Time("since"),
        "until": Time("until"),
        "": Words(),
    },
)
AUDIT: Language[AuditFilter] = Language(
    "audit",
    AuditFilter,
    {
        "actor": One("actor"),
        "action": Several("actions"),
        "object": One("object"),
        "since": Time("since"),
        "until": Time("until"),
        "": Words(),
    },
)
LANGUAGES: Mapping[str, Language[Any]] = {
    language.kind: language for language in (RUNS, JOBS, SCHEDULES, CONFIGURATIONS, FLOWS, SKIPS, AUDIT)
}
