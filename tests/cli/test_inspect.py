"""`dialoeval inspect` and `run --dry-run`: what they print of published and users' files, and of mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dialoeval.cli.main import main
from tests.support.preset_files import PUBLISHED

DOCS = Path(__file__).parents[2] / "docs" / "data.md"
FIRST = {published.preset: published for published in reversed(PUBLISHED)}


@pytest.mark.parametrize("published", FIRST.values(), ids=lambda p: p.preset)
def test_the_presets_table_of_the_docs_is_what_inspect_prints(tmp_path, capsys, published):
    path = published.write(tmp_path)
    assert main(["inspect", f"dataset={published.preset}", f"dataset.path={path}"]) == 0
    printed = capsys.readouterr().out
    (context, references), *_ = published.examples
    assert all(f"{turn}\n" in printed for turn in context)
    assert all(f" {reference}\n" in printed for reference in references)
    assert f"examples: {len(published.examples)}, " in printed
    assert f"prompt: {''.join(turn + '<|endoftext|>' for turn in context)!r}" in printed
    file = "FOLDER" if len(published.files) > 1 else path.name
    command = f"`dialoeval inspect dataset={published.preset} dataset.path={file}`"
    row = next(line for line in DOCS.read_text().splitlines() if command in line)
    assert row.endswith(f"| `{context[-1]}` => `{references[0]}` |")


def test_a_users_file(tmp_path, capsys):
    path = tmp_path / "my chats.jsonl"
    turns = [{"role": r, "content": c} for r, c in (("system", "Be kind."), ("user", "hi"), ("assistant", "hello"))]
    path.write_text(json.dumps({"messages": turns}) + "\n")
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "read with: dataset.columns.turns=messages (told by the columns; change it with these settings)" in printed
    assert "system texts: 1, not used: model.prompt=dialogpt has none" in printed
    assert "  user: hi\n  => assistant: hello\n  prompt: 'hi<|endoftext|>'\n" in printed


def test_warnings_about_texts_are_printed(tmp_path, capsys):
    path = tmp_path / "d.jsonl"
    rows = [{"id": f"d{i}", "context": [f"1.0 turn {i}"] if i else [], "references": ["the same"]} for i in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "warning: all 4 examples have the same references, 'the same': see whether" in printed
    assert "warning: 3 of 3 contexts begin with a weight, such as '1.0 turn 1'" in printed
    assert "warning: 1 of 4 examples have an empty context, which a run refuses" in printed
    assert main(["run", "--dry-run", f"reports_dir={tmp_path / 'reports'}"]) == 0
    assert "warning" not in capsys.readouterr().out  # of the shipped dialogues


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    overrides = ["dataset.limit=3", f"reports_dir={tmp_path / 'reports'}"]
    assert main(["run", "--dry-run", *overrides]) == 0
    assert "dataset: chitchat" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_one_sentence(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "none.jsonl")]) == 2
    assert "there is no file" in capsys.readouterr().err
    assert main(["inspect", "a.jsonl", "b.jsonl"]) == 2
    assert "b.jsonl is one too many" in capsys.readouterr().err
