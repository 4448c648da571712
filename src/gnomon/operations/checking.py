"""Looking at the text of a job file that is saved nowhere: what a watcher would say of it."""

from __future__ import annotations

from dataclasses import replace

from gnomon.core.ports import Reader
from gnomon.core.values import JsonObject
from gnomon.jobfiles.validating import judge_text

from .context import Desk
from .doubts import doubts, unknown_channels
from .files import active_jobs, stored_configurations
from .views import problem_view


def check_text(desk: Desk, text: str, file: str = "job.yaml") -> JsonObject:
    """Everything about the text of a job file, judged beside the jobs and configurations that there are.

    Args:
        file: names the format by its extension, and is put into every problem.

    Returns:
        What `gnomon validate` says: `ok`, `jobs` (ids), `errors` and `warnings`, each with line and column.
    """

    def work(reader: Reader) -> JsonObject:
        jobs, problems, parsed = judge_text(
            text.encode("utf-8", "surrogatepass"),
            file,
            desk.kinds,
            desk.task_types,
            default_timezone=desk.timezone,
            configured=stored_configurations(reader),
            known=active_jobs(reader),
        )
        unfilled = [replace(p, file=file) for job in jobs for p in doubts(job)]
        odd = [replace(p, file=file) for job in jobs for p in unknown_channels(job, desk.channels)]
        errors, warnings = (*problems, *unfilled), (*parsed.warnings, *odd)
        return {
            "ok": not errors,
            "jobs": [job.job_id for job in jobs],
            "errors": [problem_view(p) for p in errors],
            "warnings": [problem_view(p) for p in warnings],
        }

    return desk.store.read(work)
