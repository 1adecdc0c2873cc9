"""Datasets of the hub, as local folders in the hub's format."""

from __future__ import annotations

import json

import pytest

from dialoeval import data
from dialoeval.config.schema import ColumnsConfig, DatasetConfig
from dialoeval.errors import UserError


def config(path=None, columns=None, **settings):
    path = None if path is None else str(path)
    return DatasetConfig(name="d", kind="hub", path=path, columns=ColumnsConfig(**(columns or {})), **settings)


@pytest.fixture
def hub_folder(tmp_path_factory, monkeypatch):
    import datasets

    # Not tmp_path: its name has "test" in it, which `datasets` takes for the split of every file below.
    tmp_path = tmp_path_factory.mktemp("corpus")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    for split, count in (("train", 3), ("test", 2)):
        rows = [{"dialog": [f"{split} {i}", "yes"], "answer": "no"} for i in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.mark.parametrize("limit", [None, 1])
def test_hub_folder(hub_folder, limit):
    columns = {"context": "dialog", "references": "answer"}
    dataset = data.load(config(hub_folder, columns, split="test", limit=limit))
    assert [e.context for e in dataset.examples] == [("test 0", "yes"), ("test 1", "yes")][:limit]
    assert data.dialogues(config(hub_folder, columns, split="train"))[2] == ("train 2", "yes", "no")


def test_hub_errors_say_what_to_do(hub_folder, tmp_path):
    columns = {"context": "dialog"}
    with pytest.raises(UserError, match=r"[Uu]nknown split .*test"):
        data.load(config(hub_folder, columns, split="dev"))
    with pytest.raises(UserError, match=r"BuilderConfig 'nope' not found"):
        data.load(config(hub_folder, columns, subset="nope"))
    with pytest.raises(UserError, match=r"row 1: there is no column 'dialogue'; did you mean 'dialog'"):
        data.load(config(hub_folder, {"context": "dialogue"}))
    with pytest.raises(UserError, match=r"cannot load the dataset nobody/nothing: it is not a local folder"):
        data.load(config("nobody/nothing", columns))
    with pytest.raises(UserError, match=r"dataset.path must be set"):
        data.load(config())
    script = tmp_path / "scripted"
    script.mkdir()
    (script / "scripted.py").write_text("import datasets\n")
    with pytest.raises(UserError, match=r"needs its loading script.*refs/convert/parquet"):
        data.load(config(script, columns))
