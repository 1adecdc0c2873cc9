"""The chitchat split, hub datasets (as local folders in the hub's format), and the paper's two file formats."""

from __future__ import annotations

import json

import pytest

from dialoeval import data
from dialoeval.config.schema import ColumnsConfig, DatasetConfig
from dialoeval.data.sources import chitchat
from dialoeval.data.sources.dstc7 import dialogue_turns, reference_text
from dialoeval.errors import UserError


def config(kind, path=None, columns=None, **settings):
    path = None if path is None else str(path)
    return DatasetConfig(name="d", kind=kind, path=path, columns=ColumnsConfig(**(columns or {})), **settings)


# ---- hub


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
    dataset = data.load(config("hub", hub_folder, columns, split="test", limit=limit))
    assert [e.context for e in dataset.examples] == [("test 0", "yes"), ("test 1", "yes")][:limit]
    assert data.dialogues(config("hub", hub_folder, columns, split="train"))[2] == ("train 2", "yes", "no")


def test_hub_errors_say_what_to_do(hub_folder, tmp_path):
    columns = {"context": "dialog"}
    with pytest.raises(UserError, match=r"[Uu]nknown split .*test"):
        data.load(config("hub", hub_folder, columns, split="dev"))
    with pytest.raises(UserError, match=r"BuilderConfig 'nope' not found"):
        data.load(config("hub", hub_folder, columns, subset="nope"))
    with pytest.raises(UserError, match=r"row 1: there is no column 'dialogue'; did you mean 'dialog'"):
        data.load(config("hub", hub_folder, {"context": "dialogue"}))
    with pytest.raises(UserError, match=r"cannot get the dataset nobody/nothing: no such folder"):
        data.load(config("hub", "nobody/nothing", columns))
    with pytest.raises(UserError, match=r"dataset.path must be set"):
        data.load(config("hub"))
    script = tmp_path / "scripted"
    script.mkdir()
    (script / "scripted.py").write_text("import datasets\n")
    with pytest.raises(UserError, match=r"made by a script.*refs/convert/parquet"):
        data.load(config("hub", script, columns))


# ---- the paper's formats


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
    dataset = data.load(config("dstc7", tmp_path))
    assert [(e.id, e.context, e.references) for e in dataset.examples] == [
        ("a", ("one", "two"), ("x",)),
        ("b", ("only",), ("r1", "", "three")),
    ]
    assert data.load(config("dstc7", tmp_path / "test.refs.txt")).examples[0].context == ()
    (tmp_path / "test.convos.txt").write_text(convos.splitlines()[1])
    with pytest.raises(UserError, match=r"test.refs.txt, line 2: the id a has no dialogue in .*skip_bad"):
        data.load(config("dstc7", tmp_path))
    assert len(data.load(config("dstc7", tmp_path, skip_bad=True)).skipped) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tx\na\ty\n", "line 2: the id 'a' was met before"),
        ("a\n", "line 1: the id a has no references"),
        ("\tx\n", "line 1: the first field, the id, is empty"),
    ],
)
def test_dstc7_bad_lines(tmp_path, text, message):
    (tmp_path / "refs.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        data.load(config("dstc7", tmp_path / "refs.txt"))


def test_dstc7_other_errors(tmp_path):
    with pytest.raises(UserError, match=r"holds neither test.refs.txt nor references.jsonl"):
        data.load(config("dstc7", tmp_path))
    (tmp_path / "references.jsonl").write_text('{"id": "a", "references": "x"}\n')
    with pytest.raises(UserError, match=r'references.jsonl, line 1: field "references" must be a list of texts'):
        data.load(config("dstc7", tmp_path))
    (tmp_path / "test.refs.txt").write_text("a\tx\n")
    (tmp_path / "test.convos.txt").write_text("a\tb\n")
    with pytest.raises(UserError, match=r"test.convos.txt, line 1: expected 7 tab-separated fields, found 2"):
        data.load(config("dstc7", tmp_path))


def test_dstc7_public_release(shared):
    dataset = data.load(config("dstc7", shared / "dstc7"))
    assert len(dataset.examples) == 1000
    ids = [example.id for example in dataset.examples]
    assert ids == sorted(ids)
    with open(shared / "dstc7" / "references.jsonl", encoding="utf-8") as stream:
        rows = {row["id"]: tuple(row["references"]) for row in map(json.loads, stream)}
    assert all(example.references == rows[example.id] for example in dataset.examples)


def test_reddit6k(tmp_path):
    path = tmp_path / "test.refs.txt"
    path.write_text("hi EOS what ?\t0.5|this\t0.1|that\n\nyes\tno\n")
    dataset = data.load(config("reddit6k", path))
    assert [(e.id, e.context, e.references) for e in dataset.examples] == [
        ("1", ("hi", "what ?"), ("this", "that")),
        ("3", ("yes",), ("no",)),
    ]
    path.write_text("hi\n\tx\n")
    with pytest.raises(UserError, match=r"test.refs.txt, line 1: no references"):
        data.load(config("reddit6k", path))
    with pytest.raises(UserError, match=r"no row of d can be used; 2 are bad"):
        data.load(config("reddit6k", path, skip_bad=True))


# ---- chitchat


def normal(text):
    return " ".join(text.lower().split())


@pytest.fixture(scope="module")
def splits():
    return {split: chitchat.conversations(split) for split in chitchat.SPLITS}


def test_chitchat_splits_are_disjoint_and_whole(splits):
    ids = {split: {name for name, _ in conversations} for split, conversations in splits.items()}
    assert sum(map(len, ids.values())) == len(set().union(*ids.values())) == 7168
    assert {split: len(found) for split, found in ids.items()} == {"test": 303, "validation": 152, "train": 6713}


def test_chitchat_test_conversations_are_not_trained_on(splits):
    def texts(split):
        return {tuple(map(normal, turns)) for _, turns in splits[split] if len(turns) > 1}

    assert not texts("test") & texts("train")
    long_turns = {normal(t) for _, turns in splits["test"] for t in turns if len(t.split()) >= 8}
    trained = {normal(t) for _, turns in splits["train"] for t in turns}
    assert len(long_turns & trained) <= 5 < 4000 < len(long_turns)  # greetings and one automatic message


def test_chitchat_examples(splits):
    settings = config("chitchat", split="test", context_turns=3)
    dataset = data.load(settings)
    assert len(dataset.examples) == 6106
    assert dataset.fingerprint == data.load(settings).fingerprint
    assert dataset.fingerprint.startswith("77a0f8727889")
    assert [e.id for e in data.load(config("chitchat", split="test", context_turns=3, limit=50)).examples] == [
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
        data.load(config("chitchat", split="tests"))
