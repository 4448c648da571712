"""A task type whose function is async: what packages can bring."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from gnomon import TaskFailed
from gnomon.core.values import Json
from gnomon.tasks.performing import Work, shared_order


class Nap:
    """Sleeps, then says where it did."""

    name = "nap"
    aliases = ()
    executor = "shared"
    isolated = True
    secrets = ()

    def validate(self, arguments: Mapping[str, Json]) -> dict[str, Json]:
        return dict(arguments)

    def describe(self, arguments: Mapping[str, Json]) -> str:
        return f"nap for {arguments.get('seconds')} s"

    def order(self, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        return shared_order("tests.unit.scheduler.async_tasks:nap", arguments, self.secrets)


async def nap(work: Work) -> Json:
    seconds = work.arguments["seconds"]
    assert isinstance(seconds, int | float)
    if seconds < 0:
        raise TaskFailed("bad_nap", "nobody can sleep backwards", {"seconds": seconds})
    work.log(f"run {work.environment['GNOMON_RUN_ID']} naps")
    await asyncio.sleep(seconds)
    return {"pid": os.getpid()}
