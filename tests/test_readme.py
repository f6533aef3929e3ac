"""README's tables are those of the measured JSON files, and its commands exist."""

import re
from pathlib import Path

import pytest

from benchmarks import readme
from worldmodel_env import cli

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def test_tables_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert readme.render(TEXT) == TEXT, "run `python -m benchmarks.readme`"


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
