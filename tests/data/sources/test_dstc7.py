"""The reference and conversation files of DSTC-7 Task 2."""

from __future__ import annotations

import json

import pytest

from dialoeval import data
from dialoeval.config.schema import DatasetConfig
from dialoeval.data.sources.dstc7 import dialogue_turns, reference_text
from dialoeval.errors import UserError


def config(path=None, **settings):
    path = None if path is None else str(path)
    return DatasetConfig(name="d", kind="dstc7", path=path, **settings)


def test_reference_cells():
    assert reference_text("0.75|fine | really") == "fine "  # the official scripts split at every bar
    assert reference_text("-2|no") == "no"
    assert reference_text("plain | text") == "plain | text"
    assert reference_text("12.5|") == ""


def test_dialogue_turns():
    assert dialogue_turns("START EOS til cats purr . EOS so ?") == ("til cats purr .", "so ?")
    assert dialogue_turns("1.0 hello EOS 0.0 hi") == ("hello", "hi")
    assert dialogue_turns("1.0 was good EOS and 2.0 ?") == ("1.0 was good", "and 2.0 ?")


def test_dstc7_folder_sorted_with_contexts(tmp_path):
    (tmp_path / "test.refs.txt").write_text("b\t0.5|r1\t0.1|\tthree\na\tx\n")
    convos = "a\tsub\tc1\t3\t2\tSTART EOS one EOS two\tx\nb\tsub\tc2\t3\t1\tonly\tr1\n"
    (tmp_path / "test.convos.txt").write_text(convos)
    dataset = data.load(config(tmp_path))
    assert [(e.id, e.context, e.references) for e in dataset.examples] == [
        ("a", ("one", "two"), ("x",)),
        ("b", ("only",), ("r1", "", "three")),
    ]
    with pytest.raises(UserError, match=r"2 of 2 examples of d have an empty context.*\(the first: 'a'\)"):
        data.load(config(tmp_path / "test.refs.txt"))
    assert data.load(config(tmp_path / "test.refs.txt", allow_empty_context=True)).examples[0].context == ()
    (tmp_path / "test.convos.txt").write_text(convos.splitlines()[1])
    with pytest.raises(UserError, match=r"test.refs.txt, line 2: the id a has no dialogue in .*skip_bad"):
        data.load(config(tmp_path))
    assert len(data.load(config(tmp_path, skip_bad=True)).skipped) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tx\na\ty\n", "line 2: duplicate id 'a'"),
        ("a\n", "line 1: the id a has no references"),
        ("\tx\n", "line 1: the first field, the id, is empty"),
    ],
)
def test_dstc7_bad_lines(tmp_path, text, message):
    (tmp_path / "refs.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        data.load(config(tmp_path / "refs.txt"))


def test_dstc7_other_errors(tmp_path):
    with pytest.raises(UserError, match=r"holds neither test.refs.txt nor references.jsonl"):
        data.load(config(tmp_path))
    (tmp_path / "references.jsonl").write_text('{"id": "a", "references": "x"}\n')
    with pytest.raises(UserError, match=r'references.jsonl, line 1: field "references" must be a list of strings'):
        data.load(config(tmp_path))
    (tmp_path / "test.refs.txt").write_text("a\tx\n")
    (tmp_path / "test.convos.txt").write_text("a\tb\n")
    with pytest.raises(UserError, match=r"test.convos.txt, line 1: expected 7 tab-separated fields, found 2"):
        data.load(config(tmp_path))


def test_dstc7_public_release(shared):
    with pytest.raises(UserError, match="1000 of 1000 examples of d have an empty context"):
        data.load(config(shared / "dstc7"))
    dataset = data.load(config(shared / "dstc7", allow_empty_context=True))
    assert len(dataset.examples) == 1000
    ids = [example.id for example in dataset.examples]
    assert ids == sorted(ids)
    with open(shared / "dstc7" / "references.jsonl", encoding="utf-8") as stream:
        rows = {row["id"]: tuple(row["references"]) for row in map(json.loads, stream)}
    assert all(example.references == rows[example.id] for example in dataset.examples)
