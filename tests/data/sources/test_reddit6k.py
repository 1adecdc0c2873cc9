"""The paper's 6K Reddit file."""

from __future__ import annotations

import pytest

from dialoeval import data
from dialoeval.config.schema import DatasetConfig
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
    path.write_text("hi\n\tx\n")
    with pytest.raises(UserError, match=r"test.refs.txt, line 1: no references"):
        data.load(config(path))
    path.write_text("hi\tonly the human reply\n\tx\n")
    with pytest.raises(UserError, match=r"line 1: no references besides the human reply, the last column"):
        data.load(config(path))
    with pytest.raises(UserError, match=r"no row of d can be used; 2 are bad"):
        data.load(config(path, skip_bad=True))
