"""Shapes of dialogue data: whatever is accepted gives back the texts that went in, with the right roles."""

from __future__ import annotations

import contextlib
import gzip
import json

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval import data
from dialoeval.config.compose import compose
from dialoeval.data.content import content
from dialoeval.data.formats import detect, rows
from dialoeval.errors import UserError


def load(path, *overrides, dataset="file"):
    return data.load(compose("config", [f"dataset={dataset}", f"dataset.path='{path}'", *overrides]).dataset)


def pairs(dataset):
    return [(list(example.context), list(example.references)) for example in dataset.examples]


def write(folder, name, *lines):
    path = folder / name
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


ROW = {"context": ["hi", "hello"], "references": ["fine"]}
EXAMPLE = [(["hi", "hello"], ["fine"])]
THREE = [(["a"], ["b"]), (["a", "b"], ["c"])]
CHAT = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("a.json", [ROW], None),  # one line of .json is a document of columns, here of unequal length
        ("a.json", [ROW, ROW | {"id": "2"}], EXAMPLE * 2),  # JSON lines, whatever the suffix
        ("a.txt", [ROW, ROW | {"id": "2"}], EXAMPLE * 2),
        ("a.JSONL", [ROW], EXAMPLE),
        ("a.jsonl", [json.dumps([ROW], indent=1)], EXAMPLE),  # an array, whatever the suffix
        ("a.json", [{"x": ROW, "y": ROW}], EXAMPLE * 2),  # the key is the id
        ("a.json", [{"version": 1, "data": [ROW]}], EXAMPLE),
        ("a.jsonl", [{"turns": [["A", "a"], ["B", "b"], ["A", "c"]]}], THREE),
        ("a.jsonl", [{"turns": [[0, "a"], [1, "b"], [0, "c"]]}], THREE),
        ("a.jsonl", [{"turns": [["a first long text", "b"], ["c", "d"]]}],
         [(["a first long text"], ["b"]), (["a first long text", "b", "c"], ["d"])]),
        ("a.txt", ["a __eou__ b __eou__ c __eou__"], THREE),
        ("a.txt", ["a <|endoftext|> b <|endoftext|> c"], THREE),
        ("a.txt", ["a", "b", "c", "", "x", "y"], [*THREE, (["x"], ["y"])]),
        ("a.txt", ["Ann: a", "Bob: b", "Ann: c"], THREE),
        ("a.jsonl", [{"dialog_id": 1, "turn_id": 2, "text": "b"}, {"dialog_id": 1, "turn_id": 10, "text": "c"},
                     {"dialog_id": 1, "turn_id": 1, "text": "a"}], THREE),
        ("a.csv", ["prompt,response", '"a, b",c'], [(["a, b"], ["c"])]),
        ("a.csv", ["context\tresponse", "a, b\tc"], [(["a, b"], ["c"])]),  # tabs, whatever the suffix
        ("a.jsonl", [{"messages": CHAT}], [(["a"], ["b"])]),  # a user's turn is no reference
        ("a.jsonl", [{"messages": [{"role": "system", "content": "S"}, *CHAT]}], [(["a"], ["b"])]),
        ("a.jsonl", [{"turns": ["a", "b", "c"]}], THREE),
        ("a.jsonl", [{"turns": {"speaker": [0, 1], "utterance": ["a", "b"]}}], THREE[:1]),
        ("a.jsonl", [{"prompt": [{"role": "user", "content": "a"}], "response": "b"}], THREE[:1]),
        ("a.jsonl", [{"turns": [{"speaker": "USER", "text": "a"}, {"speaker": "SYSTEM", "text": "b"},
                                {"speaker": "USER", "text": "c"}, {"speaker": "SYSTEM", "text": "d"}]}],
         [(["a"], ["b"]), (["a", "b", "c"], ["d"])]),
    ],
)  # fmt: skip
def test_a_shape_is_told_by_its_content(tmp_path, name, lines, expected):
    path = write(tmp_path, name, *lines)
    if expected is None:
        with pytest.raises(UserError, match="may be one row or columns"):
            load(path)
    else:
        assert pairs(load(path)) == expected


@pytest.mark.parametrize(
    ("name", "lines", "overrides", "expected"),
    [
        ("a.tsv", ["a\tb", "c\td"], ["dataset.columns.context=0", "dataset.columns.references=1"],
         [(["a"], ["b"]), (["c"], ["d"])]),
        ("a.csv", ["a,b,c"], ["dataset.columns.turns=[0,1,2]"], THREE),
        ("a.csv", ["a|b,c"], ["dataset.columns.context=0", "dataset.columns.references=[1]",
                              "dataset.columns.turn_separator='|'"], [(["a", "b"], ["c"])]),
        ("a.jsonl", ['["a", "b"]'], ["dataset.columns.context=0", "dataset.columns.references=1"], THREE[:1]),
        ("a.jsonl", [{"f": ["a", "c"], "g": ["b"]}], ["dataset.columns.turns=[f,g]"], THREE),  # interleaved
        ("a.jsonl", [{"t": "a_comma_ b || c"}], ["dataset.columns.turns=t", "dataset.columns.turn_separator='||'",
                     "dataset.columns.replace={_comma_:','}"], [(["a, b"], ["c"])]),
        ("a.jsonl", [{"t": "a <x> b <y> c"}], ["dataset.columns.turns=t",
                     "dataset.columns.turn_separator=['<x>','<y>']"], THREE),
        ("a.jsonl", [{"messages": CHAT}], ["dataset.columns.turns=messages", "dataset.columns.replies_by=any"], THREE),
        ("a.jsonl", [{"messages": CHAT}], ["dataset.columns.turns=messages.content"], THREE[:1]),  # by roles, too
        ("a.jsonl", [{"turns": ["a", "b", "c", "d"]}], ["dataset.columns.replies_by=first"], [(["a", "b"], ["c"])]),
        ("a.jsonl", [{"turns": ["A: a", "B: b"]}], ["dataset.columns.speaker_separator=':'"], THREE[:1]),
        ("a.jsonl", [{"context": "a", "reference": "b", "keep": 1}, {"context": "x", "reference": "y", "keep": 0}],
         ["dataset.columns.where={keep:1}"], THREE[:1]),
    ],
)  # fmt: skip
def test_a_mapping_is_followed(tmp_path, name, lines, overrides, expected):
    assert pairs(load(write(tmp_path, name, *lines), *overrides)) == expected


@pytest.mark.parametrize(
    ("lines", "overrides", "message"),
    [
        (["context,reference", "a,b"], ["dataset.columns.turns=true"], "turns=true names no column"),
        (["context,reference", "a,b"], ["dataset.columns.context=5"], "there is no column 5 in a row of 2"),
        ([ROW], ["dataset.columns.context=1"], "there is no column 1 "),
        ([ROW], ["dataset.columns.turns=0"], "there is no column 0 "),
        ([{"a": ["x"], "b": ["y", "z", "w"]}], ["dataset.columns.turns=[a,b]"], "lists of 1 and 3 entries"),
        ([{"who": 1}], [], "cannot tell which column holds the context.*who"),
        ([{"messages": [{"role": "user", "content": "a"}]}], [], "has no examples.*1 conversations without a reply"),
        ([{"turns": [{"x": 1}]}], [], "no field for the text .the fields are: x.; set dataset.columns.text"),
        (["just a line", "and another"], [], "no conversation can be told"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(tmp_path, lines, overrides, message):
    name = "a.csv" if isinstance(lines[0], str) and "," in lines[0] else "a.txt"
    with pytest.raises(UserError, match=message):
        load(write(tmp_path, name, *lines), *overrides)


def test_system_text_tools_and_empty_turns(tmp_path):
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "one"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": None},
        {"role": "tool", "content": "x"},
        {"role": "assistant", "content": "reply"},
    ]
    dataset = load(write(tmp_path, "a.jsonl", {"id": "k", "messages": turns}))
    (example,) = dataset.examples
    assert (example.id, example.context, example.references) == ("k:5", ("one two",), ("reply",))
    assert example.system == "Be kind." and example.speakers == ("user", "assistant")
    assert dataset.reading.counts == {
        "turns joined to the speaker's turn before": 1,
        "empty turns left out": 1,
        "tool turns left out": 1,
    }


def test_patterns_folders_and_saved_datasets(tmp_path):
    for i, name in enumerate(("test-0.jsonl", "test-1.jsonl", "train-0.jsonl")):
        write(tmp_path, name, {"context": f"c{i}", "reference": f"r{i}"})
    both = [(["c0"], ["r0"]), (["c1"], ["r1"])]
    assert pairs(load(tmp_path / "test-*.jsonl")) == both
    assert pairs(load(tmp_path)) == both  # only those of the split
    assert [example.id for example in load(tmp_path).examples] == ["1", "2"]
    table = datasets.Dataset.from_list([{"context": ["a"], "references": ["b"]}])
    table.save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict({"test": table}).save_to_disk(str(tmp_path / "splits"))
    assert pairs(load(tmp_path / "saved")) == pairs(load(tmp_path / "splits")) == THREE[:1]
    with pytest.raises(UserError, match=r"has no split 'dev' \(it has: test\)"):
        load(tmp_path / "splits", "dataset.split=dev")


def test_damaged_compression_is_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(ROW).encode() * 100)[:-20])
    with pytest.raises(UserError, match=r"a.jsonl.gz: the compressed data is damaged or cut off"):
        load(path)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12)
DIALOGUES = st.lists(st.lists(TEXTS, min_size=2, max_size=5), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(DIALOGUES, st.sampled_from(["jsonl", "json", "messages", "pairs", "rows", "csv", "parquet", "keys"]))
def test_texts_come_back_as_they_went_in(tmp_path_factory, dialogues, form):
    """Whatever is accepted gives the texts that went in: of every turn but the first, with all turns before it."""
    folder = tmp_path_factory.mktemp("texts")
    expected = [(turns[:i], [turns[i]]) for turns in dialogues for i in range(1, len(turns))]
    overrides = []
    if form == "jsonl":
        path = write(folder, "a.jsonl", *({"turns": turns} for turns in dialogues))
    elif form == "json":
        path = write(folder, "a.json", json.dumps([{"turns": turns} for turns in dialogues], ensure_ascii=False))
    elif form == "keys":
        path = write(folder, "a.json", {f"k{i}": {"turns": turns, "n": i} for i, turns in enumerate(dialogues)})
    elif form == "messages":
        said = [[{"speaker": str(i % 2), "text": t} for i, t in enumerate(turns)] for turns in dialogues]
        path = write(folder, "a.jsonl", *({"turns": turns} for turns in said))
    elif form == "pairs":
        path = write(folder, "a.jsonl", *({"turns": [[i % 2, t] for i, t in enumerate(d)]} for d in dialogues))
    elif form == "rows":
        table = [{"conv_id": n, "turn_id": i, "text": t} for n, d in enumerate(dialogues) for i, t in enumerate(d)]
        path = write(folder, "a.jsonl", *reversed(table))
        expected = [(d[:i], [d[i]]) for d in reversed(dialogues) for i in range(1, len(d))]
    else:
        overrides = [] if form == "parquet" else ["dataset.columns.turns=turns", "dataset.columns.turn_separator='\t'"]
        import pandas

        frame = pandas.DataFrame({"turns": [d if form == "parquet" else "\t".join(d) for d in dialogues]})
        path = folder / f"a.{form}"
        frame.to_parquet(path) if form == "parquet" else frame.to_csv(path, index=False)
    assert pairs(load(path, *overrides)) == expected


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_rows_or_one_sentence(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("bytes") / "a.dat"
    path.write_bytes(raw)
    with contextlib.suppress(UserError):
        source = content(path)
        found = [row.value for row in rows(source, detect(source))]
        assert all(isinstance(value, UserError | dict) for value in found)


def test_references_of_some_rows_only_are_an_error(tmp_path):
    without = {"context": "a"}
    with pytest.raises(UserError, match=r"line 2: there is no column 'references'.*skip_bad"):
        load(write(tmp_path, "a.jsonl", ROW, without))
    assert len(load(tmp_path / "a.jsonl", "dataset.skip_bad=true").skipped) == 1
    with pytest.raises(UserError, match=r"line 31: field 'references': the first rows have none"):
        load(write(tmp_path, "b.jsonl", *[without] * 30, ROW))
    assert len(load(tmp_path / "b.jsonl", "dataset.columns.references=[]").examples) == 31


def test_a_key_that_occurs_twice_is_an_error(tmp_path):
    with pytest.raises(UserError, match="line 1: the key 'context' occurs twice"):
        load(write(tmp_path, "a.jsonl", '{"context": ["a"], "context": ["b"], "references": ["c"]}'))


def test_removed_turns_join_no_neighbours(tmp_path):
    def said(*turns):
        return [{"role": role, "content": text} for role, text in turns]

    tools = said(("user", "q"), ("assistant", "Let me look."), ("tool", "x"), ("assistant", "It is 15."))
    empty = said(("user", "q"), ("assistant", "yo"), ("user", ""), ("assistant", "yo2"))
    dataset = load(write(tmp_path, "a.jsonl", {"messages": tools}, {"messages": empty}))
    assert pairs(dataset) == [(["q"], ["Let me look."]), (["q"], ["yo"])]
    assert dataset.reading.counts["turns after a turn of the same speaker that are no replies"] == 2


def test_messages_as_references_are_those_after_the_user(tmp_path):
    row = {"prompt": "hi", "chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]}
    assert pairs(load(write(tmp_path, "a.jsonl", row))) == [(["hi"], ["yo"])]


def test_utterances_without_an_order_follow_their_replies(tmp_path):
    rows = [
        {"id": "2", "conversation_id": "1", "text": "b", "reply-to": "1", "timestamp": None},
        {"id": "1", "conversation_id": "1", "text": "a", "reply-to": None, "timestamp": None},
    ]
    assert pairs(load(write(tmp_path, "a.jsonl", *rows))) == THREE[:1]
    for row in rows:
        del row["reply-to"]
    with pytest.raises(UserError, match="orders no row of this conversation"):
        load(write(tmp_path, "a.jsonl", *rows))


def test_pairs_of_turns_are_no_speakers(tmp_path):
    row = {"history": [["hi", "hello there"]], "response": "x"}
    assert pairs(load(write(tmp_path, "a.jsonl", row))) == [(["hi", "hello there"], ["x"])]


def test_a_folder_without_the_split_is_refused(tmp_path):
    for name in ("train.jsonl", "latest_train.jsonl", "valid.jsonl"):
        write(tmp_path, name, ROW)
    with pytest.raises(UserError, match=r"has no file of the split 'test' \(it has: latest_train.jsonl, train"):
        load(tmp_path)
    assert len(load(tmp_path, "dataset.split=validation").examples) == 1


def test_blank_rows_are_not_lost(tmp_path):
    blank = write(tmp_path, "a.csv", "prompt,response", "a,b", "", "c,d", "")
    with pytest.raises(UserError, match="line 3: a blank line between rows"):
        load(blank)
    assert [row.value for row in rows(content(write(tmp_path, "b.csv", "reply", "a", "", "b", "")), "csv")] == [
        {"reply": "a"}, {"reply": ""}, {"reply": "b"},
    ]  # fmt: skip


def test_parlai_labels_personas_and_bad_lines(tmp_path):
    path = write(
        tmp_path,
        "a.txt",
        "1 your persona: i ski.\\nhi\thello|hey",
        "NEW line\tlost",
        "2 bye\tsee you",
        "1 yo\tho",
    )
    dataset = load(path, "dataset.skip_bad=true", dataset="convai2")
    assert pairs(dataset) == [(["hi"], ["hello", "hey"]), (["yo"], ["ho"])]
    assert dataset.examples[0].system == "your persona: i ski."
    assert dataset.reading.counts == {"lines of conversations with a bad line left out": 1}


def test_deleted_trees_are_counted(tmp_path):
    reply = {"message_id": "b", "text": "A", "role": "assistant", "replies": []}
    spam = {"message_id": "a", "text": "SPAM", "role": "prompter", "deleted": True, "replies": [reply]}
    good = {"message_id": "c", "text": "Q", "role": "prompter", "replies": [reply]}
    dataset = load(write(tmp_path, "a.jsonl", {"prompt": spam}, {"prompt": good}), dataset="oasst")
    assert pairs(dataset) == [(["Q"], ["A"])]
    assert dataset.reading.counts["deleted messages, and messages below them, left out"] == 2


def test_an_object_that_is_no_table_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="equally long arrays"):
        load(write(tmp_path, "a.json", {"context": 3, "references": ["x"]}))


def test_training_takes_one_label_of_a_parlai_line(tmp_path):
    path = write(tmp_path, "a.txt", "1 hi\thello|hey")
    config = compose("config", ["dataset=convai2", f"dataset.path={path}"]).dataset
    assert data.dialogues(config) == [("hi", "hello")]
