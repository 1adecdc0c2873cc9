"""The chitchat split: whole, disjoint, and the same examples as ever."""

from __future__ import annotations

import pytest

from dialoeval import data
from dialoeval.config.schema import DatasetConfig
from dialoeval.data.sources import chitchat
from dialoeval.errors import UserError


def config(**settings):
    return DatasetConfig(name="d", kind="chitchat", **settings)


def normal(text):
    return " ".join(text.lower().split())


@pytest.fixture(scope="module")
def splits():
    return {split: chitchat.conversations(split) for split in chitchat.SPLITS}


def test_chitchat_splits_are_disjoint_and_whole(splits):
    ids = {split: {name for name, _ in conversations} for split, conversations in splits.items()}
    assert sum(map(len, ids.values())) == len(set().union(*ids.values())) == 7168
    assert {split: len(names) for split, names in ids.items()} == {"test": 303, "validation": 152, "train": 6713}


def test_chitchat_test_conversations_are_not_trained_on(splits):
    def texts(split):
        return {tuple(map(normal, turns)) for _, turns in splits[split] if len(turns) > 1}

    assert not texts("test") & texts("train")
    long_turns = {normal(t) for _, turns in splits["test"] for t in turns if len(t.split()) >= 8}
    trained = {normal(t) for _, turns in splits["train"] for t in turns}
    assert len(long_turns & trained) <= 5 < 4000 < len(long_turns)  # greetings and one automatic message


def test_chitchat_examples(splits):
    settings = config(split="test", context_turns=3)
    dataset = data.load(settings)
    assert len(dataset.examples) == 6106
    assert dataset.fingerprint == data.load(settings).fingerprint
    assert dataset.fingerprint.startswith("77a0f8727889")
    assert [e.id for e in data.load(config(split="test", context_turns=3, limit=50)).examples] == [
        example.id for example in dataset.examples[:50]
    ]
    assert all(1 <= len(example.context) <= 3 for example in dataset.examples)
    turns = dict(splits["test"])
    for example in dataset.examples[:200]:
        conversation, index = example.id.rsplit(":", 1)
        assert example.references[0] == turns[conversation][int(index)]
    contexts = [tuple(map(normal, example.context)) for example in dataset.examples]
    assert len(set(contexts)) == len(contexts)
    several = [example for example in dataset.examples if len(example.references) > 1]
    assert several and all(len(set(map(normal, e.references))) == len(e.references) for e in several)


def test_chitchat_turns_join_the_messages_of_one_speaker():
    groups = [[{"text": "Hi", "sender": "x"}, {"text": " there\n", "sender": "x"}], [{"text": "yo", "sender": "y"}]]
    assert chitchat._turns([*groups, [{"text": " ", "sender": "x"}, {"text": "ok", "sender": "y"}]]) == (
        "Hi there",
        "yo ok",
    )


def test_chitchat_unknown_split():
    with pytest.raises(UserError, match="no split 'tests'; did you mean 'test'"):
        data.load(config(split="tests"))
