"""Every public method is documented with an example, and every example is run."""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import inspect
import json
import pydoc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import gnomon
from gnomon import Scheduler
from gnomon.scheduler import views

FUNCTIONS = {name: getattr(gnomon, name) for name in ("at", "cron", "every", "next_fires", "register_task")}
METHODS = {
    name: member for name, member in inspect.getmembers(Scheduler) if inspect.isfunction(member) and name[0] != "_"
}
EVERYTHING: dict[str, Any] = {"Scheduler": Scheduler, **FUNCTIONS, **METHODS}


def examples(thing: Any, name: str) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(recurse=False)
    return [test for test in finder.find(thing, name, globs={}) if test.examples]


@pytest.fixture
def prepared() -> Iterator[Scheduler]:
    """What the examples call `scheduler`: not started, with the job `hello`."""
    scheduler = Scheduler()
    scheduler.add_job("hello", "json:dumps", interval=60, args=["Hello, world!"])
    yield scheduler
    scheduler.shutdown(wait=False)


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_the_example_of(name: str, prepared: Scheduler) -> None:
    found = examples(EVERYTHING[name], name)
    assert found, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in found:
        test.globs.update({n: getattr(gnomon, n) for n in gnomon.__all__})
        test.globs.update(scheduler=prepared, asyncio=asyncio, json=json)
        runner.run(test)
    assert runner.failures == 0


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_argument_and_error_is_documented(name: str) -> None:
    text, signature = inspect.getdoc(METHODS[name]) or "", inspect.signature(METHODS[name])
    first = text.splitlines()[0]
    assert first.endswith((".", ":")) or ". " in first, first
    names = [n for n in signature.parameters if n not in ("self", "id", "run_id", "kwargs")]
    if len(names) > 0 and name != "job":
        assert "Args:" in text
        assert [n for n in names if n not in text.partition("Args:")[2]] == []


def test_help_reads_like_documentation() -> None:
    text = pydoc.plain(pydoc.render_doc(Scheduler))
    assert "Runs jobs inside your application, on time, each fire once" in text
    assert "add_job(" in text
    for inside in ("Embedding", "Session", "ForwardRef", "Desk"):
        assert inside not in text


@pytest.mark.parametrize("name", gnomon.__all__)
def test_every_public_name_says_what_it_is(name: str) -> None:
    thing = getattr(gnomon, name)
    if name != "__version__":
        assert inspect.getdoc(thing), name


@pytest.mark.parametrize("view", [views.Job, views.Run, views.Attempt, views.ScheduleEntry])
def test_views_can_not_be_changed(view: Callable[..., Any]) -> None:
    assert view.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_what_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sheduler'"):
        _ = gnomon.Sheduler  # type: ignore[attr-defined]
    with contextlib.suppress(AttributeError):
        assert "Scheduler" in dir(gnomon)
