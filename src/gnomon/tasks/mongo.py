"""The task type `mongo`: find, aggregate, count, insert, update, delete with pymongo.

Promise: what a reference fills in is data, never an operator: `received` marks it, `mongo_building` decides where it
may stand. What the author writes may use every operator that does not run code or write elsewhere; those need `allow`.
`docs/tasks-mongo.md` is the manual of every key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gnomon.core.errors import UsageError
from gnomon.core.values import Json, JsonObject

from .data import Judge, Judging, bad_arguments, is_secret
from .performing import Work, pool_order

MARK = "$gnomon.filled"
"""The only key of a map that stands for a value which references filled in."""

COMMON = ("url", "username", "password", "database", "collection", "operation", "connect_timeout")
OPERATIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # needed, possible
    "find": ((), ("filter", "projection", "sort", "skip", "limit", "max_documents", "allow")),
    "find_one": ((), ("filter", "projection", "sort", "skip", "allow")),
    "count": ((), ("filter", "allow")),
    "aggregate": (("pipeline",), ("max_documents", "allow")),
    "insert": ((), ("document", "documents")),
    "update": (("filter", "update"), ("many", "upsert", "allow")),
    "delete": (("filter",), ("many", "allow")),
}
KEYS = tuple(dict.fromkeys([*COMMON, *(key for keys in OPERATIONS.values() for part in keys for key in part)]))
DATA = ("filter", "projection", "sort", "pipeline", "document", "documents", "update")
GUARDED = ("$where", "$function", "$accumulator", "$out", "$merge")


class Mongo:
    """pymongo in a worker process, one client for each attempt."""

    name = "mongo"
    aliases = ("mongodb",)
    executor = "pool"
    isolated = True
    secrets = ("url", "username", "password")

    def validate(self, arguments: JsonObject) -> dict[str, Json]:
        """The canonical arguments; keys only when given.

        Raises:
            UsageError: one problem per mistake, keys relative to the arguments: `filter.$where`, `pipeline[2]`, ….
        """
        return canonical(arguments, filled=False)

    def describe(self, arguments: JsonObject) -> str:
        """One line for lists, at most 200 characters: the operation and its collection."""
        place = ".".join(str(arguments[key]) for key in ("database", "collection") if key in arguments)
        return f"{arguments.get('operation')} {place}"[:200]

    def received(self, key: str, value: Json) -> Json:
        """A value from outside within filters, documents and the like, marked as data."""
        top = key.split(".")[0].split("[")[0]
        return {MARK: value} if top in DATA else value

    def order(self, arguments: JsonObject) -> dict[str, Json]:
        """What the pool is given."""
        return pool_order("gnomon.tasks.mongo:run", arguments, self.secrets)


def run(work: Work) -> Json:
    """Perform one attempt, in a worker.

    Raises:
        TaskFailed: `bad_arguments`, `operator_refused`, `mongo_unreachable`, `access_denied`, `driver_missing`,
            `mongo_error`.
    """
    try:
        arguments = canonical(work.arguments, filled=True)
    except UsageError as error:
        raise bad_arguments(error) from None
    from .mongo_performing import perform

    return perform(arguments, work)


def canonical(arguments: JsonObject, *, filled: bool) -> dict[str, Json]:
    """See `Mongo.validate`; `filled`: references are filled (their values marked) and secrets looked up."""
    judging = Judging(arguments, "mongo", filled=filled)
    judging.known(KEYS)
    for key, hint in (("url", "e.g. mongodb://db.example.com"), ("operation", ", ".join(OPERATIONS))):
        if arguments.get(key) is None:
            judging.problem("missing_key", f"a task of type mongo needs `{key}`", key, hint)
    if arguments.get("collection") is None:
        judging.problem("missing_key", "which collection?", "collection")
    judging.take("url", _url(judging))
    for key in ("username", "password", "database", "collection"):
        judging.take(key, judging.text)
    operation = arguments.get("operation")
    if operation is not None:
        judging.canonical["operation"] = judging.word(tuple(OPERATIONS))(operation, "operation")
    _keys_of(judging, judging.canonical.get("operation"))
    for key, judge in (
        *(("skip", judging.count(0, 2**31)), ("limit", judging.count(0, 2**31))),
        *(("max_documents", judging.count(0, 1_000_000)), ("connect_timeout", judging.count(1, 600))),
        *(("many", judging.flag), ("upsert", judging.flag), ("allow", _allow(judging))),
        *((key, _shape(judging)) for key in DATA),
    ):
        judging.take(key, judge)
    if not filled:
        _operators(judging)
    return judging.done()


def _url(judging: Judging) -> Judge:
    def judge(value: Json, key: str) -> Json:
        judging.text(value, key)
        named = isinstance(value, str) and value.startswith(("mongodb://", "mongodb+srv://"))
        if isinstance(value, str) and not named and (judging.filled or not is_secret(value)):
            judging.problem("bad_value", "is no URL of MongoDB", key, "write mongodb://HOST/DATABASE")
        return value

    return judge


def _allow(judging: Judging) -> Judge:
    def judge(value: Json, key: str) -> Json:
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, Sequence) or any(word not in GUARDED for word in words):
            judging.problem("bad_value", f"{value!r:.60}: only these need it", key, ", ".join(GUARDED))
        return words

    return judge


def _keys_of(judging: Judging, operation: Json) -> None:
    """Each operation has its own keys."""
    given = judging.arguments
    needed, possible = OPERATIONS.get(str(operation), ((), KEYS))
    for key in needed:
        if given.get(key) is None:
            hint = "{} means all" if key == "filter" else ""
            judging.problem("missing_key", f"`{operation}` needs `{key}`", key, hint)
    for key in given:
        if key in KEYS and key not in (*COMMON, *needed, *possible):
            judging.problem(
                "misplaced_key", f"`{operation}` takes no `{key}`", key, f"it takes {', '.join((*needed, *possible))}"
            )
    if operation == "insert" and (given.get("document") is None) == (given.get("documents") is None):
        judging.problem("missing_key", "`insert` needs `document` or `documents`, one of them", "document")


def _shape(judging: Judging) -> Judge:
    """Maps and lists where they belong; references may stand for a whole filter or document, not for operators."""

    def judge(value: Json, key: str) -> Json:
        mark = is_marked(value)
        if key == "pipeline":
            if not is_list(value) or any(not isinstance(stage, Mapping) or is_marked(stage) for stage in value):  # type: ignore[union-attr]
                judging.problem("bad_type", f"expected a list of stages, not {value!r:.60}", key, "[{$match: {…}}, …]")
        elif key == "update":
            if mark or not isinstance(value, Mapping) or not value or any(not name.startswith("$") for name in value):
                text = f"expected operators and what they change, not {value!r:.60}"
                judging.problem("bad_value", text, key, "{$set: {name: value}}")
        elif key == "sort":
            if not isinstance(value, Mapping):
                judging.problem(
                    "bad_type", f"expected names and directions, not {value!r:.60}", key, "{name: 1, day: -1}"
                )
            else:
                _directions(judging, value, key)
        elif key == "documents":
            if not mark and (not is_list(value) or not value):
                judging.problem("bad_type", f"expected a list of documents, not {value!r:.60}", key)
        elif not mark and not isinstance(value, Mapping):
            judging.problem("bad_type", f"expected a map of names to values, not {value!r:.60}", key)
        return value

    return judge


def _directions(judging: Judging, sort: JsonObject, key: str) -> None:
    for name, value in sort.items():
        open_ = judging.has_reference(value) or is_marked(value) or isinstance(value, Mapping)  # {$meta: …}
        if not open_ and (isinstance(value, bool) or value not in (1, -1)):
            judging.problem("bad_value", f"{value!r:.60} is no direction", f"{key}.{name}", "1: upwards, -1: downwards")


def is_list(value: Json) -> bool:
    """A list, not a text."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def is_marked(value: Json) -> bool:
    """Whether references filled it in."""
    return isinstance(value, Mapping) and len(value) == 1 and MARK in value


def _operators(judging: Judging) -> None:
    """As the author wrote it: no mark of ours, what is guarded only with `allow`, and no reference for operators."""
    allow = judging.canonical.get("allow") or ()
    for key in ("update", "pipeline", "sort"):
        if judging.has_reference(judging.arguments.get(key)):
            text = f"`{key}` has to be written out: a reference may stand for values in it"
            judging.problem("operator_refused", text, key)

    def walk(value: Json, key: str) -> None:
        if isinstance(value, Mapping):
            for name, item in value.items():
                place = f"{key}.{name}"
                if name == MARK:
                    judging.problem("reserved_name", f"{MARK} is gnomon's own", place)
                elif name in GUARDED and name not in allow:  # type: ignore[operator]
                    judging.problem("operator_refused", f"{name} is refused by default", place, f"allow: ['{name}']")
                walk(item, place)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for number, item in enumerate(value):
                walk(item, f"{key}[{number}]")

    for key in ("filter", "projection", "pipeline", "update"):
        walk(judging.arguments.get(key), key)
    for key in ("document", "documents", "sort"):
        if _holds_mark(judging.arguments.get(key)):
            judging.problem("reserved_name", f"{MARK} is gnomon's own", key)


def _holds_mark(value: Json) -> bool:
    if isinstance(value, Mapping):
        return MARK in value or any(_holds_mark(item) for item in value.values())
    return is_list(value) and any(_holds_mark(item) for item in value)  # type: ignore[union-attr]


MONGO = Mongo()
