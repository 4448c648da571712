"""The curl lines of docs/rest.md, as they are written, against a real `gnomon serve`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import until
from tests.support.web import WebSite, client, web_site

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rest.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8085"


def lines() -> list[str]:
    """The commands of the page, those of several lines as one."""
    text = "".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.S | re.M)).replace("\\\n", " ")
    return re.findall(r"^(?:[^'\n]|'[^']*')+$", text, re.M)


def run_lines(place: WebSite, url: str) -> list[tuple[str, int, str]]:
    """Every command in one shell: its text, its exit code (22: curl saw a refusal), and what it printed."""
    assert PAGE.count(ADDRESS) == 1
    (place.root / ".curlrc").write_text("fail-with-body\n")
    (place.root / "bin").mkdir()
    (place.root / "bin" / "gnomon").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gnomon "$@"\n')
    (place.root / "bin" / "gnomon").chmod(0o755)
    script = "".join(f"{line}\nprintf '\\n@@@%s@@@\\n' $?\n" for line in lines()).replace(ADDRESS, url)
    home = {"CURL_HOME": str(place.root), "PATH": f"{place.root}/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-u"],
        input=script,
        cwd=place.root,
        env=place.environment() | home,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    parts = re.split(r"\n@@@(\d+)@@@\n", done.stdout)
    assert len(parts) == 2 * len(lines()) + 1, done.stderr
    return [(line, int(code), out) for line, out, code in zip(lines(), parts[::2], parts[1::2], strict=False)]


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="the page uses curl and jq")
@pytest.mark.slow
def test_the_curl_lines_of_the_page_work_as_they_are_written(tmp_path: Path) -> None:
    with web_site(tmp_path) as place:
        done = run_lines(place, place.listening())
        mode = (tmp_path / "gnomon-auth").stat().st_mode & 0o777
    assert len(done) > 40
    for line, code, out in done:
        refusal = re.search(r"# (\d+) (\w+)$", line)
        assert code == (22 if refusal else 0), f"{line}\n{out}"
        if refusal:
            told = json.loads(out)
            assert [str(told["status"]), told["code"]] == [refusal[1], refusal[2]]
    assert mode == 0o600
    dry = next(json.loads(out) for line, _, out in done if '"ids": ["report"]' in line)
    assert {*dry["deleted"], *(kept["id"] for kept in dry["kept"])} == {"report"}
    assert dry["dry_run"] is True
    described = [json.loads(out) for line, _, out in done if line.endswith("$api/jobs/report")]
    assert described[0]["labels"] == {"team": "data"}


@pytest.mark.slow
def test_a_job_made_over_rest_fires_and_one_of_a_file_names_it(tmp_path: Path) -> None:
    task: dict[str, Any] = {"type": "command", "command": ["true"]}
    with web_site(tmp_path) as place:
        place.write("nightly.json", {"job_id": "nightly", "schedule": "0 3 * * *", "task": task})
        url = place.listening()
        with client(url, place.token()) as admin:
            made = admin.post("/jobs", json={"job_id": "tick", "schedule": "every 1s", "task": task})
            assert made.status_code == 201, made.text

            def fired() -> bool:
                runs = admin.get("/runs", params={"job": "tick", "cause": "schedule", "state": "succeeded"}).json()
                return len(runs["items"]) >= 2

            until(fired, "it fires")
            until(lambda: admin.get("/jobs/nightly").status_code == 200, "the file is read")
            refused = admin.put("/jobs/nightly", json={"task": task})
            assert refused.status_code == 409
            assert str(place.jobs / "nightly.json") in refused.json()["detail"]
            assert admin.post("/jobs/nightly/pause").json()["paused"] is True
            assert admin.get("/files").json()["items"][0]["ok"] is True
