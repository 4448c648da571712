"""parse∘write is the identity; and whatever a file holds, the answer is jobs or problems."""

from __future__ import annotations

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.core.codec import job_to_json
from gnomon.core.model import Job
from gnomon.jobfiles.fields import BY_SPELLING, FILE_KEYS
from gnomon.jobfiles.parsing import ParsedFile
from gnomon.jobfiles.writing import write_job, write_jobs
from tests.unit.jobfiles.generated import VALUES, jobs, same
from tests.unit.jobfiles.rooms import KINDS, parsed


@settings(max_examples=150)
@given(jobs())
def test_a_written_job_is_read_as_itself(job: Job) -> None:
    text = write_job(job, KINDS)
    found = parsed(text)
    assert found.problems == ()
    assert found.jobs == (job,)
    assert same(job_to_json(found.jobs[0]), job_to_json(job))


@settings(max_examples=30)
@given(st.lists(jobs(), max_size=4, unique_by=lambda job: job.job_id))
def test_several_jobs_in_one_file(several: list[Job]) -> None:
    found = parsed(write_jobs([Job(job.job_id, job.task) for job in several], KINDS))
    assert [job.job_id for job in found.jobs] == [job.job_id for job in several]


def good_answer(found: ParsedFile) -> None:
    assert isinstance(found, ParsedFile)
    for problem in found.problems:
        assert problem.code
        assert problem.file
        assert problem.line is None or problem.line >= 1
        assert len(str(problem)) < 5_000


FILES = st.sampled_from(["a.yaml", "a.json", "a.toml"])


@settings(max_examples=300)
@given(st.binary(max_size=200), FILES)
def test_any_bytes(data: bytes, file: str) -> None:
    good_answer(parsed(data, file))


@settings(max_examples=300)
@given(st.text("ab:-[]{}\"'\n\t &*!|>#%@`,?=.0~<\\", max_size=60), FILES)
def test_any_punctuation(text: str, file: str) -> None:
    good_answer(parsed(text, file))


KEYS = st.sampled_from([*BY_SPELLING, *FILE_KEYS, "type", "use", "config_type", "cron", "every", "bad"])
TREES = st.recursive(
    VALUES | st.sampled_from(["command", "every 5s", "a", "b", "${x}", "10/1m"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=400)
@given(TREES)
def test_any_tree_of_our_keys(tree: object) -> None:
    as_json = parsed(json.dumps(tree), "a.json")
    as_yaml = parsed(yaml.safe_dump(tree, allow_unicode=True), "a.yaml")
    good_answer(as_json)
    good_answer(as_yaml)


@settings(max_examples=200)
@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_any_job(keys: dict[str, object]) -> None:
    found = parsed(json.dumps({"jobs": [{"job_id": "a", "task": ["date"], **keys}]}), "a.json")
    good_answer(found)
    assert bool(found.jobs) != bool(found.problems)


def test_a_written_job_says_no_more_than_it_must() -> None:
    text = (
        "job_id: a\ntask: {type: command, command: [date]}\nschedule: every 5m\nrestarts: 2\ntimezone: Europe/Berlin\n"
    )
    written = write_job(parsed(text).jobs[0], KINDS)
    assert yaml.safe_load(written) == yaml.safe_load(text)


def test_a_zone_is_written_when_the_reader_would_take_another() -> None:
    job = parsed("job_id: a\ntask: [date]\nschedule: 0 1 * * *").jobs[0]
    assert "timezone" not in write_job(job, KINDS)
    assert "timezone: UTC" in write_job(job, KINDS, default_timezone="Asia/Tokyo")
