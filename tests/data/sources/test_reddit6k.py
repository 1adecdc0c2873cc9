"""The paper's 6K Reddit file."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dialoeval import data
from dialoeval.config.schema import DatasetConfig
from dialoeval.data.example import Example, fingerprint, human_reply
from dialoeval.data.sources import reddit6k
from dialoeval.errors import UserError


def config(path=None, **settings):
    path = None if path is None else str(path)
    return DatasetConfig(name="d", kind="reddit6k", path=path, **settings)


def test_reddit6k(tmp_path):
    path = tmp_path / "test.refs.txt"
    path.write_text("hi EOS what ?\t0.5|this\t0.3|that\t0.1|human\n\nyes\tno\thuman\n")
    dataset = data.load(config(path))
    assert [(e.id, e.context, e.references) for e in dataset.examples] == [
        ("1", ("hi", "what ?"), ("this", "that")),
        ("3", ("yes",), ("no",)),
    ]
    assert [e.human for e in dataset.examples] == ["human", "human"]
    path.write_text("hi\n\tx\n")
    with pytest.raises(UserError, match=r"test.refs.txt, line 1: no references"):
        data.load(config(path))
    path.write_text("hi\tonly the human reply\n\tx\n")
    with pytest.raises(UserError, match=r"line 1: no references besides the human reply, the last column"):
        data.load(config(path))
    with pytest.raises(UserError, match=r"no row of d can be used; 2 are bad"):
        data.load(config(path, skip_bad=True))


def test_the_human_reply_is_the_last_column_and_no_reference(tmp_path):
    path = tmp_path / "test.refs.txt"
    path.write_text("hi\t9|one\t5|two\t5|one\t1|one\nyes\t1|no\t3|well\t2|so\nplain\ta\tb\n")
    dataset = data.load(config(path))
    assert [(e.references, e.human) for e in dataset.examples] == [
        (("one", "two", "one"), "one"),
        (("no", "well"), "so"),
        (("a",), "b"),
    ]
    assert dataset.reading.counts == {reddit6k.APART: 3, reddit6k.EQUAL: 1, reddit6k.UNORDERED: 1}
    assert data.load(config(path, limit=1)).reading.counts == {
        reddit6k.APART: 1,
        reddit6k.EQUAL: 1,
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hi\t2|a\t1|b\t", "the last column, the human reply, is empty"),
        ("hi\t2|a\t1|", "the last column, the human reply, is empty"),
        ("hi\t2|\t1|b", "a column is empty"),
        ("hi\t2|a", "no references besides the human reply, the last column"),
        ("hi", "no references"),
        ("\t2|a\t1|b", "the first field, the dialogue, is empty"),
    ],
)
def test_a_line_without_human_reply_or_references_is_refused_or_counted(tmp_path, line, problem):
    path = tmp_path / "test.refs.txt"
    path.write_text(f"yes\t2|no\t1|so\n{line}\n")
    with pytest.raises(UserError, match=rf"line 2: {re.escape(problem)} \(dataset.skip_bad"):
        data.load(config(path))
    dataset = data.load(config(path, skip_bad=True))
    assert len(dataset.examples) == 1 and dataset.skipped == ((f"{path}, line 2", problem),)


def test_the_fingerprint_tells_the_human_reply_and_where_it_stands(tmp_path):
    def made(line):
        (tmp_path / "f").write_text(line)
        return data.load(config(tmp_path / "f")).fingerprint

    two = Example("1", ("hi",), ("a", "b"))
    assert made("hi\ta\tb\tc\n") == fingerprint([replace(two, human="c")]) != fingerprint([two])
    assert made("hi\ta\tb\td\n") != made("hi\ta\tb\tc\n")
    # as a version that counted the last column among the references read it
    assert made("hi\ta\tb\tc\n") != fingerprint([replace(two, references=("a", "b", "c"))])
    assert fingerprint([replace(two, system="x")]) != fingerprint([replace(two, human="x")])


def test_human_reply_of_either_data_set():
    assert human_reply("apart", ["a", "b"], None) == human_reply("apart", ["a", "b"], 1) == "apart"
    assert human_reply(None, ["a", "b"], 1) == "b"
    assert human_reply(None, ["a"], 1) is human_reply(None, ["a"], None) is None
