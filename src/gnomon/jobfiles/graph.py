"""Dependencies of a whole set of jobs: unknown names, and cycles, each named once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .report import nearest
from .tree import shown

Edges = Mapping[str, Iterable[str]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong between jobs. `job` is where to complain, `upstream` the name it gives, `jobs` all involved."""

    code: str
    message: str
    hint: str
    job: str
    upstream: str
    jobs: tuple[str, ...]


def check_graph(edges: Edges, *, known: Iterable[str] | None = None) -> list[Fault]:
    """All that is wrong with job → upstream jobs. `known`: every job there is (default: the keys of `edges`)."""
    names = set(edges if known is None else known)
    return [*unknown_names(edges, names), *cycles(edges)]


def unknown_names(edges: Edges, known: set[str]) -> list[Fault]:
    """One fault for each upstream that is not `known`."""
    faults: list[Fault] = []
    for job, upstreams in edges.items():
        for upstream in upstreams:
            if upstream not in known and upstream != job:
                hint = nearest(upstream, known) if len(faults) < 50 and len(known) < 2000 else ""
                message = f"there is no job {shown(upstream)}"
                faults.append(Fault("unknown_dependency", message, hint, job, upstream, (job,)))
    return faults


def cycles(edges: Edges) -> list[Fault]:
    """One fault for each knot of jobs that wait for each other, naming one way round: `a → b → a`."""
    faults: list[Fault] = []
    for knot in _knots(edges):
        members = set(knot)
        if len(knot) == 1:
            job = knot[0]
            if job in edges.get(job, ()):
                message = f"{shown(job)} depends on itself: {job} → {job}"
                faults.append(Fault("self_dependency", message, "take it out of `depends_on`", job, job, (job,)))
            continue
        way = _way_round(min(knot), members, edges)
        path = " → ".join(way if len(way) <= 12 else [*way[:10], "…", way[-1]])
        message = f"jobs wait for each other: {path}"
        faults.append(
            Fault("dependency_cycle", message, "take one of these out", way[0], way[1], tuple(sorted(members)))
        )
    return faults


def _way_round(start: str, members: set[str], edges: Edges) -> list[str]:
    """The shortest cycle through `start`, along the direction of `depends_on`."""
    before: dict[str, str] = {}
    queue = [start]
    for job in queue:
        for upstream in edges.get(job, ()):
            if upstream == start:
                way = [job]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return [*reversed(way), start]
            if upstream in members and upstream not in before:
                before[upstream] = job
                queue.append(upstream)
    return [start, start]


def _knots(edges: Edges) -> list[list[str]]:
    """Strongly connected components (Tarjan 1972), without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    waiting: set[str] = set()
    knots: list[list[str]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        waiting.add(root)
        while work:
            job, upstreams = work[-1]
            for upstream in upstreams:
                if upstream not in index and upstream in edges:
                    index[upstream] = low[upstream] = len(index)
                    stack.append(upstream)
                    waiting.add(upstream)
                    work.append((upstream, iter(edges.get(upstream, ()))))
                    break
                if upstream in waiting:
                    low[job] = min(low[job], index[upstream])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[job])
                if low[job] == index[job]:
                    cut = stack.index(job) if len(stack) < 64 else len(stack) - 1 - stack[::-1].index(job)
                    knots.append(stack[cut:])
                    waiting.difference_update(stack[cut:])
                    del stack[cut:]
    return knots
