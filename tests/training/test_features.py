"""Training sequences of responses: the published preparation's, and those that fit a block."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialoeval import data
from dialoeval.config import Cutting, DatasetConfig
from dialoeval.data.example import WeightedDialogue
from dialoeval.errors import UserError
from dialoeval.training.features import encode_responses, published_features

EOS = "<|endoftext|>"


def words(turns):
    return [turn.split() for turn in turns]


def as_published(tokens, spans):
    """Return a sequence as the published files write it: what is read, and what is predicted at each place."""
    predicted = {place for start, stop in spans for place in range(start, stop)}
    target = [tokens[place] if place in predicted else None for place in range(1, len(tokens))]
    return {"input": tokens[:-1], "target": target}


def read(path, **more):
    counts = Counter()
    config = DatasetConfig(name="rows", kind="dialogpt_tsv", path=str(path), **more)
    return data.weighted_dialogues(config, counts), counts


def features(dialogue, max_length, *, reverse=False):
    order = slice(None, None, -1 if reverse else 1)
    found = published_features(words(dialogue.turns)[order], dialogue.weights[order], EOS, max_length)
    return [as_published(*feature) for feature in found]


@pytest.mark.parametrize(("max_length", "reverse"), [(128, False), (24, False), (24, True)])
@pytest.mark.parametrize("keys", [True, False])
def test_the_features_are_the_published_ones(shared, tmp_path, max_length, reverse, keys):
    rows = gzip.decompress((shared / "reddit_extract" / "train.tsv.gz").read_bytes()).decode()
    if not keys:
        rows = "".join(row.partition("\t")[2] for row in rows.splitlines(keepends=True))
    (tmp_path / "rows.tsv").write_text(rows)
    name = f"train.features_{max_length}{'_reverse' if reverse else ''}.jsonl.gz"
    published = [
        json.loads(line) for line in gzip.decompress((shared / "reddit_extract" / name).read_bytes()).splitlines()
    ]
    dialogues, counts = read(tmp_path / "rows.tsv")
    ours = [
        {"line": number, "features": features(dialogue, max_length, reverse=reverse)}
        for number, dialogue in enumerate(dialogues, 1)
    ]
    assert len(ours) == 585 and counts.keys() == {"replies of weight 0"}
    assert ours == published


def of(tmp_path, line, max_length=128, **more):
    (tmp_path / "rows.tsv").write_text(line + "\n")
    return [
        feature for dialogue in read(tmp_path / "rows.tsv")[0] for feature in features(dialogue, max_length, **more)
    ]


def inputs(found):
    return [" ".join(feature["input"]).replace(EOS, "|") for feature in found]


def predicted(found):
    return [
        " ".join("-" if token is None else token for token in feature["target"]).replace(EOS, "|") for feature in found
    ]


def test_a_turn_that_is_exactly_the_longest_stays_and_a_longer_one_ends_the_sequence(tmp_path):
    assert inputs(of(tmp_path, "a b c EOS d\te f", 3)) == ["a b c | d", "d | e f"]
    assert inputs(of(tmp_path, "a b c EOS d EOS e\tf", 2)) == ["d | e", "e | f"]
    assert inputs(of(tmp_path, "a EOS b EOS c d e EOS f\tg", 2)) == ["a | b", "f | g"]
    assert inputs(of(tmp_path, "a b c\td e f", 3)) == ["a b c | d e f"]  # a sequence needs two turns


def test_only_the_first_number_of_a_turn_is_its_weight(tmp_path):
    found = of(tmp_path, "k1,k2,k3\t1.0 0.0 a EOS 0.5 b EOS 0.0 c EOS 2 d\t1e0 1.0 e")
    assert inputs(found) == ["0.0 a | b | c | d | 1.0 e"]
    assert predicted(found) == ["- - b | - - d | 1.0 e |"]


def test_numbers_that_may_not_be_weights_are_counted(tmp_path):
    (tmp_path / "rows.tsv").write_text("5 apples EOS 1.0 yes\t0.5 no\n1.0 a\t0.0 b\n")
    assert read(tmp_path / "rows.tsv")[1] == {
        "numbers other than 0 and 1 read as weights": 2,
        "replies of weight 0": 1,
    }


@pytest.mark.parametrize("line", ["a\t", "\ta", "a EOS  EOS b\tc", "a EOS \tb", "keys\ta\t ", "keys\t\tb"])
def test_a_line_with_an_empty_turn_is_left_out_and_counted(tmp_path, line):
    (tmp_path / "rows.tsv").write_text(f"{line}\n1.0 x\t1.0 y\n")
    dialogues, counts = read(tmp_path / "rows.tsv")
    assert dialogues == [WeightedDialogue(("x", "y"), (1.0, 1.0))] and counts == {"lines with an empty turn": 1}


def test_a_turn_of_a_weight_alone_has_an_end_and_no_words(tmp_path):
    found = of(tmp_path, "1.0  EOS 1.0 b EOS 1.0\t1.0 c")
    assert (inputs(found), predicted(found)) == (["| b | | c"], ["b | | c |"])


def test_what_is_never_predicted_at_the_end_is_cut_off(tmp_path):
    assert inputs(of(tmp_path, "1.0 a EOS 1.0 b EOS 0.0 c\t0.0 d")) == ["a | b"]
    assert of(tmp_path, "1.0 a EOS 0.0 b\t0.0 c") == []
    assert of(tmp_path, "1.0 a\t0.0 b") == []
    reverse = of(tmp_path, "0.0 a EOS 1.0 b\t1.0 c", reverse=True)
    assert (inputs(reverse), predicted(reverse)) == (["c | b"], ["- b |"])


def test_a_line_of_other_columns_names_itself(tmp_path):
    (tmp_path / "rows.tsv").write_text("1.0 a\t1.0 b\n1.0 a\tb\tc\td\n")
    with pytest.raises(UserError, match=r"rows.tsv, line 2: expected a context and a reply, .* found 4 columns"):
        read(tmp_path / "rows.tsv")
    dialogues, counts = read(tmp_path / "rows.tsv", skip_bad=True)
    assert len(dialogues) == 1 and counts == {"lines that cannot be read": 1}


def test_turns_that_the_published_cutting_drops_are_counted():
    counts = Counter()
    dialogue = WeightedDialogue(("a b c", "d", "e f g h", "i"), (1.0, 1.0, 1.0, 1.0))
    encode_responses([dialogue], lambda turns: [turn.split() for turn in turns], EOS, 2, Cutting.dialogpt, counts)
    assert counts == {"turns of more than 2 tokens": 2}


turns = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 1.0, 0.5])), max_size=9)


def numbered(lengths):
    """Return a dialogue whose words all differ."""
    return WeightedDialogue(
        tuple(" ".join(f"{i}.{j}" for j in range(n)) for i, (n, _) in enumerate(lengths)),
        tuple(weight for _, weight in lengths),
    )


@given(turns, st.integers(2, 30), st.booleans())
def test_fitting_sequences_predict_every_later_turn_once_after_the_turn_before_it(lengths, block, backward):
    dialogue = numbered(lengths)
    counts = Counter()
    found = encode_responses([dialogue], words, EOS, block, Cutting.fit, counts, backward=backward)
    order = slice(None, None, -1 if backward else 1)
    room = block // 2 - 1
    texts = [turn[:room] for turn in words(dialogue.turns)][order]
    pairs = list(zip(texts, texts[1:], dialogue.weights[order][1:], strict=False))
    learned = []
    for tokens, spans in found:
        assert len(tokens) <= block and spans[-1][1] == len(tokens)
        for start, stop in spans:
            before = " ".join(tokens[:start]).split(EOS)[-2].split()
            learned.append((before, tokens[start : stop - 1]))
            assert start > 0 and tokens[stop - 1] == tokens[start - 1] == EOS
    assert learned == [(before, turn) for before, turn, weight in pairs if weight]
    assert sum(counts.values()) == sum(n > room for n, _ in lengths)


@given(st.lists(turns, max_size=4), st.integers(8, 40), st.booleans())
def test_the_recipe_leaves_out_what_the_published_loader_does(dialogues, block, backward):
    counts = Counter()
    dialogues = [numbered(lengths) for lengths in dialogues]
    found = encode_responses(dialogues, words, EOS, block, Cutting.dialogpt, counts, backward=backward)
    whole = [f for dialogue in dialogues for f in features(dialogue, block, reverse=backward)]
    padded = [feature for feature in whole if -(-len(feature["input"]) // 8) * 8 <= block]
    assert [as_published(*feature) for feature in found] == padded
    assert counts[f"sequences of more than {block} tokens"] == len(whole) - len(padded)
    long = sum(len(turn.split()) > block for dialogue in dialogues for turn in dialogue.turns)
    assert sum(counts.values()) == len(whole) - len(padded) + long


def test_runs_read_the_same_rows_with_keys_and_without_weights(tmp_path):
    def examples(text):
        (tmp_path / "rows.tsv").write_text(text)
        config = DatasetConfig(name="rows", kind="dialogpt_tsv", path=str(tmp_path / "rows.tsv"))
        return [(example.context, example.references) for example in data.load(config).examples]

    expected = [(("hi there", "what ?"), ("no 5",))]
    assert examples("t3_a,t1_b,t1_c\t1.0 hi there EOS 0.0 what ?\t1.0 no 5\n") == expected
    assert examples("hi there EOS what ?\tno 5\n") == expected
    assert examples("t3_a,t1_b,t1_c\thi there EOS what ?\tno 5\n") == expected
    with pytest.raises(UserError, match=r"it looks like dataset=dialogpt_tsv"):
        data.load(DatasetConfig(name="talks", kind="file", path=str(tmp_path / "rows.tsv")))
    with pytest.raises(UserError, match=r"the turn 'what \?' begins with no weight"):
        examples("1.0 hi there EOS what ?\t1.0 no 5\n")
