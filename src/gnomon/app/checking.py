"""Whether a database is whole, and what is in it fits together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from gnomon.core.errors import InvariantViolated, Problem, usage
from gnomon.core.ports import Reader
from gnomon.core.values import JsonObject, to_micros
from gnomon.operations.nodes import living_in, refusal
from gnomon.operations.settings import Settings, database_file
from gnomon.stores.sql.checks import contradictions
from gnomon.stores.sql.session import Session
from gnomon.stores.sqlite_copy import problems_in

from .parts import open_parts

_MOST = 1000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `count`: how many things are wrong, at most 1000; `examples`: some of them."""

    name: str
    ok: bool
    message: str
    count: int = 0
    examples: tuple[str, ...] = ()

    def view(self) -> JsonObject:
        """The JSON object."""
        return {
            "name": self.name,
            "ok": self.ok,
            "message": self.message,
            "count": self.count,
            "examples": [*self.examples],
        }


def check_database(settings: Settings) -> Sequence[Finding]:
    """Everything there is to check. Nothing is changed; a scheduler may run.

    Raises:
        UsageError, Unavailable: it cannot even be opened.
    """
    path = database_file(settings.db)
    if path is None:
        raise usage("database_no_file", f"{settings.db} is no file", hint="name the file of a database with --db")
    if not path.exists():
        raise refusal(path) or usage("database_missing", f"there is no database at {path}", hint="name one with --db")
    damage = tuple(problems_in(path))
    if damage:
        text = f"{path} is damaged; restore a backup, or try `sqlite3 FILE .recover`"
        return [Finding("integrity", False, text, len(damage), damage[:_SHOWN])]
    findings = [Finding("integrity", True, f"{path} is whole")]
    with open_parts(settings) as parts:
        desk = parts.desk()
        now = desk.clock.now()
        since = to_micros(now - timedelta(days=1))

        def look(reader: Reader) -> None:
            if not isinstance(reader, Session):
                raise InvariantViolated(Problem("store_statement", "this store cannot be checked"))
            for one in contradictions(reader, since, _MOST):
                count = len(one.ids)
                said = f"{count}{' or more' if count >= _MOST else ''} {one.meaning}" if count else f"no {one.meaning}"
                findings.append(Finding(one.name, not count, said, count, tuple(one.ids[:_SHOWN])))
            alive = {node.node_id for node in living_in(desk, reader)}
            lost = {node.node_id for node in reader.nodes() if node.node_id not in alive}
            waiting = [a.run_id for node in sorted(lost) for a in reader.live_attempts(node)]
            if waiting and alive:
                text = f"{len(waiting)} attempts of schedulers that are gone, and none that runs takes them over"
            elif waiting:
                text = f"{len(waiting)} attempts wait for the next scheduler, which takes them over"
            else:
                text = "no attempts of schedulers that are gone"
            findings.append(Finding("orphans", not (waiting and alive), text, len(waiting), tuple(waiting[:_SHOWN])))

        desk.store.read(look)
    return findings
