"""Tables in README and docs are those of the measured JSON files; links and commands exist."""

import re
from pathlib import Path

import pytest

from benchmarks import tables
from worldmodel_env import cli

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", tables.PAGES)
def test_tables_are_generated(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / page).read_text()
    assert tables.render(text, tables.PAGES[page]) == text, "run `python -m benchmarks.tables`"


def test_links_lead_to_files() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("line", re.findall(r"^\$ worldmodel (.+)$", TEXT, re.MULTILINE))
def test_commands_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = line.split()
    options = {word for word in words if word.startswith("--")}
    command = words[: 1 + (words[0] in ("train", "data"))]
    with pytest.raises(SystemExit) as end:
        cli.main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in options)
