"""What the documents say exists: commands, options, links, packages, job files."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "changes").glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in PAGES if "_build" not in page.parts]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """The command as installed, in this process: exit code, stdout, stderr."""
    from gnomon.cli.main import main

    monkeypatch.setattr(sys, "argv", ["gnomon", *args])
    for name, value in (("COLUMNS", "250"), ("TERMINAL_WIDTH", "250"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    code: object = 0
    try:
        code = main()  # type: ignore[func-returns-value,unused-ignore]
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code if isinstance(code, int) else int(code is not None), out, err


def command_lines(text: str) -> Iterator[str]:
    """Each `gnomon …` in a console block or in backticks."""
    for block in re.findall(r"^```(?:console|sh|shell|bash)\n(.*?)^```", text, re.S | re.M):
        for line in block.splitlines():
            if found := re.match(r"(?:\$ )?(?:sudo )?(?:\.venv/bin/)?gnomon (.+)", line.strip()):
                yield found[1]
    for found in re.finditer(r"`(?:\.venv/bin/)?gnomon ([^`\n]+)`", text):
        yield found[1]


def commands() -> dict[tuple[str, ...], set[str]]:
    """Words of each command → the long options that some document gives it."""
    result: dict[tuple[str, ...], set[str]] = {}
    for page in PAGES:
        for line in command_lines(page.read_text("utf-8")):
            words = shlex.split(re.split(r" [|>&]| #|…", line)[0], comments=True)
            names: list[str] = []
            for word in words[:2]:
                if not re.fullmatch(r"[a-z][a-z-]+", word):
                    break
                names.append(word)
            options = {word.split("=")[0].rstrip("]") for word in words if re.match(r"--[a-z]", word)}
            result.setdefault(tuple(names), set()).update(options)
    return result


@pytest.mark.parametrize(("words", "options"), sorted((k, sorted(v)) for k, v in commands().items()), ids=str)
def test_every_command_named_in_a_document_exists(
    words: tuple[str, ...], options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, problem = run_cli(monkeypatch, capsys, *words, "--help")
    assert code == 0, f"gnomon {' '.join(words)}: {problem}"
    assert [option for option in options if option not in text] == []


def test_a_command_that_does_not_exist_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, capsys, "no-such-command", "--help")[0] == 2
    assert run_cli(monkeypatch, capsys, "jobs", "no-such-command", "--help")[0] == 2


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.S | re.M)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    relative = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    assert [target for target in relative if not (page.parent / target).exists()] == []


def first_column(page: str) -> list[str]:
    rows = [
        line.split("|")[1].strip() for line in (ROOT / page).read_text("utf-8").splitlines() if line.startswith("|")
    ]
    return [row for row in rows if row not in {"term", "package"} and set(row) - set("-: ")]


def test_every_dependency_has_its_line_and_every_line_its_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = [entry for group in project["dependency-groups"].values() for entry in group if isinstance(entry, str)]
    optional = [entry for extra in project["project"].get("optional-dependencies", {}).values() for entry in extra]
    declared = {
        re.split(r"[^a-z0-9-]", entry)[0] for entry in [*project["project"]["dependencies"], *groups, *optional]
    }
    assert sorted(first_column("docs/dependencies.md")) == sorted(declared)


def test_every_glossary_term_once() -> None:
    terms = first_column("docs/glossary.md")
    assert len(terms) > 20
    assert sorted(terms) == sorted(set(terms))


def job_blocks() -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return [block for block in re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M) if "job_id" in block]


def test_job_files_of_the_readme_and_the_examples_are_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = job_blocks()
    assert blocks
    for number, block in enumerate(blocks):
        (tmp_path / f"readme-{number}.yaml").write_text(block, "utf-8")
    monkeypatch.chdir(tmp_path)
    for directory in (tmp_path, ROOT / "examples" / "jobs.d"):
        code, text, problem = run_cli(monkeypatch, capsys, "validate", str(directory), "--json")
        assert code == 0, text + problem
        assert json.loads(text)["ok"] is True
