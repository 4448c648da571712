"""The whole table: every route × every role, also for odd spellings. What each operation needs is written by hand."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gnomon.core.access import Permission, Role, may
from gnomon.web.application import document, interface
from gnomon.web.service import Service
from tests.unit.web.calling import World
from tests.unit.web.test_gate import status

READ = """
    count_runs get_job_summaries get_summary explain_job explain_run follow_events follow_run_log get_about
    get_configuration get_configuration_version get_definition get_flow get_incident get_job get_job_next
    get_openapi get_run get_run_log get_schedule get_schedule_next get_session list_configuration_versions
    list_configurations list_definitions list_files list_flows list_incidents list_job_skips list_jobs list_nodes
    list_run_incidents list_runs list_schedules list_skips list_task_types preview_schedule sign_out
"""
RUN = """
    acknowledge_incident backfill_job cancel_flow cancel_run pause_job pause_jobs pause_schedule resume_job resume_jobs
    resume_schedule retry_flow retry_run skip_run start_run
"""
DEFINE = """
    confirm_empty_files create_job create_schedule delete_configuration delete_configurations delete_job delete_jobs
    delete_run delete_runs delete_schedule delete_schedules put_configuration put_job put_schedule reset_schedule
    validate_text
"""
ADMIN = """
    change_user create_token create_user delete_token delete_user get_token get_user list_audit list_tokens list_users
    revoke_token
"""
NEEDS = {
    name: permission
    for permission, names in zip(Permission, (READ, RUN, DEFINE, ADMIN), strict=True)
    for name in names.split()
}
OPEN = {"sign_in"}
STREAMS = {"follow_events", "follow_run_log"}


def operations(service: Service) -> list[tuple[str, str, str]]:
    """(operation id, method, path) of everything the document names."""
    paths: Any = document(interface(service))["paths"]
    return [
        (operation["operationId"], method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]


def test_every_operation_is_in_the_table(world: World) -> None:
    assert {name for name, _, _ in operations(world.service)} == NEEDS.keys() | OPEN


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_may_what_its_permissions_say_and_no_more(world: World, role: Role | None) -> None:
    headers = {} if role is None else {"Authorization": f"Bearer {world.tokens[role]}"}
    wrong = []
    for name, method, path in operations(world.service):
        url = re.sub(r"\{[^}]*\}", "9", path)
        body = {} if method == "GET" else {"json": {}}
        if name in STREAMS and role is not None:
            continue  # they answer for ever: tests/e2e/test_web.py
        got = world.request(method, url, headers=headers, **body).status_code
        if name in OPEN:
            expected = got not in (401, 403)
        elif role is None:
            expected = got == 401
        else:
            expected = (got == 403) is not may(role, NEEDS[name]) and got != 401
        if not expected or got >= 500:
            wrong.append(f"{role} {name}: {got}")
    assert not wrong


def test_other_spellings_of_a_path_are_no_way_in(world: World) -> None:
    wrong = []
    for _, method, path in operations(world.service):
        plain = re.sub(r"\{[^}]*\}", "9", path)
        below = plain.removeprefix("/api/v1")
        for odd in (
            *(f"/{plain}", f"{plain}/", plain.upper(), plain.replace("/", "//"), f"/api/v1/.{below}", f"{plain}%00"),
            *(f"/healthz/..{plain}", f"/metrics/..{plain}", f"/api%2fv1{below}", f"{plain};/healthz", f"/.{plain}"),
            *(f"/api/v1/session/..{below}", plain.replace("a", "%61", 1), f"{plain}?/healthz", f"{plain}#/healthz"),
        ):
            if (method, plain) == ("POST", "/api/v1/session") and odd in (f"{plain}?/healthz", "/%61pi/v1/session"):
                continue  # the open route itself, in other letters
            if status(world, method, odd) != 401:
                wrong.append(f"{method} {odd}")
    assert not wrong
