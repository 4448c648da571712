"""The examples of docs/client.md, against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.web import web_site

PAGE = Path(__file__).resolve().parents[2] / "docs" / "client.md"


@pytest.mark.slow
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M)
    assert len(found) >= 5
    with web_site(tmp_path) as place:
        url = place.listening()
        monkeypatch.setenv("GNOMON_TOKEN", place.token())
        names: dict[str, object] = {"__name__": "page"}
        for block in found:
            exec(compile(block.replace("http://127.0.0.1:8085", url), str(PAGE), "exec"), names)
        said = capsys.readouterr().out
    assert "hello\n" in said
    assert "did you mean 'greet'?" in said
    assert "stale_edit" in said
    assert "complete" in said
