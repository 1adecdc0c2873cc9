"""The README's three paths work as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
MINI = " --talks 250 --contexts 40 --steps 12"  # the size of its own test


def paths() -> dict[str, list[str]]:
    """{the path's name: its commands}."""
    section = README.read_text().partition("## Three paths")[2].partition("\n## ")[0]
    parts = re.split(r"\*\*(I [^*]+)\.\*\*", section)[1:]
    return {
        name: [line.strip() for line in text.splitlines() if line.startswith("    ")]
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["I have replies", "I have a checkpoint", "I reproduce the paper"])
def test_a_path_works_as_written(name, tmp_path):
    commands = paths()[name]
    assert sum(command.startswith("dialoeval ") for command in commands) == 3
    program = f"{sys.executable} -m dialoeval"
    for command in commands:
        line = re.sub(r"^dialoeval\b", program, command) + (MINI if "reproduce mini" in command else "")
        environment = os.environ | {"PYTHONPATH": str(README.parent)}
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert any(tmp_path.iterdir())


@pytest.mark.slow
def test_the_demo_prints_the_table_of_the_readme(tmp_path, monkeypatch, capsys):
    from dialoeval.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    shown = [line.strip() for line in README.read_text().splitlines() if line.startswith("    | ")]
    assert printed == shown[: len(printed)]
    assert (tmp_path / "reports" / "demo-tiny.html").is_file()
