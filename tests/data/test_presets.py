"""Each preset reads a file in the shape in which its data is published."""

from __future__ import annotations

import gzip

import pytest
import zstandard

from dialoeval import data
from dialoeval.config.compose import compose
from dialoeval.config.groups import group_options
from dialoeval.errors import UserError
from tests.support.preset_files import PUBLISHED

KINDS = ("convai2", "cornell", "oasst", "dialogpt_tsv")  # presets with a reader of their own


def load(preset, path, *overrides):
    config = compose("config", [f"dataset={preset}", f"dataset.path='{path}'", *overrides])
    return data.load(config.dataset)


def pairs(dataset):
    return [(list(example.context), list(example.references)) for example in dataset.examples]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: f"{p.preset}-{next(iter(p.files))}")
def test_a_preset_reads_the_published_shape(tmp_path, published):
    dataset = load(published.preset, published.write(tmp_path))
    assert pairs(dataset) == published.examples
    assert dataset.examples[0].system == published.system
    assert len({example.id for example in dataset.examples}) == len(dataset.examples)


def test_every_preset_has_a_published_file():
    others = {"chitchat", "chitchat-train", "conversations", "file", "hub", "ultrachat"}
    assert {published.preset for published in PUBLISHED} == set(group_options("dataset")) - others


@pytest.mark.parametrize("published", [p for p in PUBLISHED if len(p.files) == 1], ids=lambda p: next(iter(p.files)))
def test_compressed_files_give_the_same_examples(tmp_path, published):
    path = published.write(tmp_path)
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}
    for suffix, pack in packed.items():
        other = path.with_name(path.name + suffix)
        other.write_bytes(pack(path.read_bytes()))
        assert pairs(load(published.preset, other)) == published.examples


@pytest.mark.parametrize(
    "published",
    [p for p in PUBLISHED if p.preset not in ("dstc7", "reddit6k")],
    ids=lambda p: f"{p.preset}-{next(iter(p.files))}",
)
def test_a_file_is_told_or_its_preset_is_named(tmp_path, published):
    """`dataset=file` either reads the same examples as the preset, or refuses and names the preset."""
    path = published.write(tmp_path)
    if published.preset == "cornell":
        path = path / "movie_conversations.txt"
    if published.preset in KINDS:
        with pytest.raises(UserError, match=f"dataset={published.preset}"):
            load("file", path)
    else:
        assert pairs(load("file", path)) == published.examples


def test_another_file_than_the_presets_is_refused_with_its_columns(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"who": "x", "what": "y", "messages": ["a", "b"]}\n')
    with pytest.raises(UserError, match=r"not the columns of multiwoz: who, what, messages; it looks like"):
        load("multiwoz", path)


def test_a_guess_that_fails_names_ten_columns_only(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("{" + ", ".join(f'"column{i}": 1' for i in range(3000)) + "}\n")
    with pytest.raises(UserError, match=r"column9 and 2990 more\); set dataset.columns.context") as error:
        load("file", path)
    assert len(str(error.value)) < 500
