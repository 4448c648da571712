"""Task types of the program and of installed packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gnomon import Scheduler, UsageError, register_task
from gnomon.tasks import registry
from tests.unit.scheduler import tasks


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_loaded", {})


@pytest.fixture(params=["thread", "process"])
def anywhere(request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    made = Scheduler(executor=request.param)
    yield made
    made.shutdown(wait=False)


def test_a_function_is_a_task_type(anywhere: Scheduler) -> None:
    register_task("resize", tasks.resize)
    job = anywhere.add_job("thumb", task={"type": "Resize", "path": "${job_id}.png", "width": 20, "crop": True})
    assert dict(job.task) == {"type": "resize", "path": "${job_id}.png", "width": 20, "crop": True}
    anywhere.start()
    assert anywhere.wait(anywhere.run("thumb"), 30).result == "thumb.png:20:['crop']"


def test_arguments_are_checked_against_the_signature(scheduler: Scheduler) -> None:
    register_task("strict")(tasks.strict)
    with pytest.raises(UsageError) as caught:
        scheduler.add_job("a", task={"type": "strict", "widht": 20})
    assert [(p.code, p.key) for p in caught.value.problems] == [
        ("unknown_key", "task.widht"),
        ("missing_key", "task.path"),
    ]
    assert "did you mean width" in caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("name", "task", "code"),
    [
        ("command", tasks.strict, "task_type_taken"),
        ("Shell", tasks.strict, "task_type_taken"),
        ("no name", tasks.strict, "bad_name"),
        ("a", lambda: None, "not_importable"),
        ("a", tasks.by_position, "bad_callable"),
        ("a", 7, "bad_callable"),
    ],
)
def test_what_can_not_be_a_task_type(name: str, task: Any, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        register_task(name, task)
    assert caught.value.code == code


class Shout:
    """A task type of a third party, built on what the pool can do."""

    name, aliases, executor = "shout", ("cry",), "pool"

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return dict(arguments)

    def describe(self, arguments: Mapping[str, Any]) -> str:
        return f"shout {arguments}"

    def order(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"callable": "tests.unit.scheduler.tasks:sample_task", "args": [arguments["text"]]}


def test_objects_are_task_types_too(scheduler: Scheduler) -> None:
    register_task("shout", Shout())
    register_task("shout", Shout())
    scheduler.add_job("a", task={"type": "cry", "text": "hello"})
    scheduler.start()
    assert scheduler.wait(scheduler.run("a"), 30).result == "HELLO"


def test_job_files_take_them(tmp_path: Path) -> None:
    from tests.support.service import until

    register_task("strict", tasks.strict)
    (tmp_path / "a.yaml").write_text("job_id: a\ntask: {type: strict, path: x}\n")
    with Scheduler(jobs_dir=tmp_path) as scheduler:
        until(lambda: scheduler.get_job("a"), "the file is loaded")
        assert scheduler.wait(scheduler.run("a"), 30).result == {"path": "x", "width": 100}


def test_installed_packages_bring_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    info = tmp_path / "images-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: images\nVersion: 1.0\n")
    text = "[gnomon.tasks]\nscale = tests.unit.scheduler.tasks:strict\nbroken = no_such_module:x\n"
    (info / "entry_points.txt").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with Scheduler() as scheduler:
        scheduler.add_job("a", task={"type": "scale", "path": "x"})
        assert scheduler.wait(scheduler.run("a"), 30).result == {"path": "x", "width": 100}
        with pytest.raises(UsageError, match="there is no task type 'broken'"):
            scheduler.add_job("b", task={"type": "broken"})
    assert "task type broken (no_such_module:x) cannot be loaded" in caplog.text
