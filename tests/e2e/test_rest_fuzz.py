"""The whole REST interface, tried by its own document: no 5xx, no answer that the document does not promise.

`make test` tries some two hundred requests a role; REST_FUZZ=30 (requests per operation) tries more than 2,000 a role.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gnomon.app.parts import open_parts
from gnomon.core.access import Role
from gnomon.operations.configurations import save_configuration
from gnomon.operations.runs import cancel_run, start_run
from gnomon.operations.settings import load_settings
from gnomon.operations.tokens import create_token
from gnomon.web.application import document, interface
from gnomon.web.server import WebServer
from tests.support.service import until
from tests.unit.web.calling import World

CASES = int(os.environ.get("REST_FUZZ", "3"))
STREAMS = {"follow_events", "follow_run_log"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz") / "gnomon.db"
    with open_parts(load_settings({"db": f"sqlite:///{path}"}, {}, search=False), upgrade=True):
        return path


@pytest.fixture
def served(tmp_path: Path, database: Path) -> Iterator[tuple[World, str]]:
    """A world on a real socket."""
    shutil.copy(database, tmp_path / "gnomon.db")
    settings = load_settings({"db": f"sqlite:///{tmp_path}/gnomon.db"}, {}, search=False)
    with open_parts(settings) as parts, World(parts) as world:
        bound = socket.create_server(("127.0.0.1", 0))
        server = WebServer(lambda: world.application, [bound])
        server.start()
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        until(lambda: server.started.is_set() and requests.get(f"{url}/readyz", timeout=5).ok, "it answers")
        yield world, url
        server.stop()


def known(world: World) -> dict[str, list[str]]:
    """Things that are there, by the name of the parameter that takes them."""
    world.job("a", schedule="0 0 * * *", parameters={"x": {"type": "integer", "default": 1}})
    world.job("b", depends_on=["a"], schedules=[{"cron": "0 1 * * *", "name": "one"}, {"every": "1h", "name": "two"}])
    world.job("filed", file="/etc/jobs/f.yaml", schedule="0 0 * * *")
    save_configuration(world.desk, "stage", "http", {"url": "https://example.com"})
    create_token(world.desk, "spare", Role.VIEWER)
    over, queued = (str(start_run(world.desk, job)["id"]) for job in ("a", "b"))
    cancel_run(world.desk, over)
    return {
        "job_id": ["a", "b", "filed"],
        "run_id": [over, queued, over[:20]],
        "schedule_id": ["a:default", "b:one", "b:two", "a"],
        "name": ["stage", "spare"],
        "version": ["1", "2"],
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("role", list(Role))
def test_nothing_breaks_and_everything_is_as_documented(served: tuple[World, str], role: Role) -> None:
    world, url = served
    things = known(world)
    schema = schemathesis.openapi.from_dict(document(interface(world.service)))
    headers = {"Authorization": f"Bearer {world.tokens[role]}"}
    tried, wrong = [0], list[str]()
    session = requests.Session()
    for result in schema.get_all_operations():
        operation: Any = result.ok()
        if operation.definition.raw["operationId"] in STREAMS:
            continue
        names = [one.name for one in operation.path_parameters]
        cases = [operation.as_strategy(), operation.as_strategy(GenerationMode.NEGATIVE)]
        if names:
            values = st.fixed_dictionaries({name: st.sampled_from(things.get(name, ["1"])) for name in names})
            cases += [values.flatmap(lambda v, o=operation: o.as_strategy(path_parameters=v))] * 2

        @settings(
            max_examples=CASES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @seed(int.from_bytes(os.urandom(4)))
        @given(case=st.one_of(cases))
        def one(case: Any) -> None:
            tried[0] += 1
            answer = case.call(base_url=url, headers=headers, session=session, timeout=30)
            case.validate_response(answer, checks=CHECKS)

        try:
            one()
        except Exception as error:
            wrong.append(f"{operation.label}: {error}")
    print(f"{role}: {tried[0]} requests")
    assert not wrong, "\n\n".join(wrong)
    assert tried[0] >= 50 * CASES
