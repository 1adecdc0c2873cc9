"""Test examples in training data, against sets of tuples."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialoeval import data
from dialoeval.data import contamination as module
from dialoeval.data.contamination import COMMON, contamination
from dialoeval.data.example import Example
from dialoeval.data.training_text import TrainingText, training_text
from dialoeval.errors import UserError
from dialoeval.files import write_jsonl
from dialoeval.text.plain_words import plain_text

TURN = st.text(st.sampled_from("aabB ,."), max_size=8)
TURNS = st.lists(TURN, min_size=1, max_size=4)
EXAMPLES = st.lists(st.tuples(TURNS, st.lists(TURN, max_size=3)), min_size=1, max_size=5)


class Given(TrainingText):
    """Training text in memory."""

    def __init__(self, dialogues):
        self.name, self.given = "given", dialogues

    def read(self):
        self.dialogues, self.sha256 = len(self.given), ""
        return iter(self.given)


def grams(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def brute_force(examples, dialogues, orders):
    """Yield (kind, looked up, seen, rare, covered, covered by rare) of each example."""
    plain = [[plain_text(turn) for turn in dialogue] for dialogue in dialogues]
    pairs = Counter((a, b) for turns in plain for a, b in itertools.pairwise(turns))
    runs = Counter(tuple(turns[i:j]) for turns in plain for j in range(len(turns) + 1) for i in range(j))
    counts = {n: Counter(g for turns in plain for g in grams(" ".join(turns).split(), n)) for n in orders}

    def flags(kind, values):
        return kind, bool(values), any(values), any(0 < value <= COMMON for value in values)

    for context, references in examples:
        turns = [plain_text(turn) for turn in context]
        references = [reference for reference in map(plain_text, references) if reference]
        yield flags("pair", [pairs[turns[-1], reference] for reference in references if turns[-1]])
        yield flags("context", [runs[tuple(turns)]] if all(turns) else [])
        before = " ".join(turns).split()
        for n in orders:
            places = {"reference": [], "context": [counts[n][g] for g in grams(before, n)], "border": []}
            for reference in references:
                words = reference.split()
                places["reference"] += [counts[n][g] for g in grams(words, n)]
                both = before[-(n - 1) :] + words[: n - 1] if n > 1 else []
                places["border"] += [counts[n][g] for i, g in enumerate(grams(both, n)) if i < len(before[-(n - 1) :])]
            for place, values in places.items():
                yield flags(f"ngram{n}.{place}", values)
            yield flags(f"ngram{n}", [value for values in places.values() for value in values])


@settings(deadline=None, max_examples=150)
@given(EXAMPLES, st.lists(TURNS, min_size=1, max_size=6), st.sampled_from([(1, 2), (2, 3), (3, 5)]), st.integers(1, 12))
@example(  # the first turn is looked up once, though contexts of several lengths end with it
    examples=[(["B"], []), (["B", "B"], []), (["B", "B", "B"], [])], dialogues=[["B"]], orders=(1, 2), times=4
)
def test_everything_is_what_brute_force_finds(examples, dialogues, orders, times):
    before, module.ORDERS = module.ORDERS, orders
    try:
        if not any(plain_text(turn) for turns in dialogues for turn in turns):
            with pytest.raises(UserError, match="has no words"):
                contamination([Example("0", ("a",))], Given(dialogues))
            return
        given_examples = [Example(str(i), tuple(c), tuple(r)) for i, (c, r) in enumerate(examples)]
        result = contamination(given_examples, Given(dialogues * times))
    finally:
        module.ORDERS = before
    rows = list(brute_force(examples, dialogues * times, orders))
    per_example = len(rows) // len(examples)
    for kind in result.found:
        for i in range(len(examples)):
            expected = next(row for row in rows[i * per_example : (i + 1) * per_example] if row[0] == kind.name)
            assert (kind.looked_up[i], kind.seen[i], kind.rare[i]) == expected[1:], (kind.name, i)
    dirty = [any(row[3] for row in rows[i * per_example : (i + 1) * per_example]) for i in range(len(examples))]
    assert result.clean.tolist() == [not flag for flag in dirty]


def test_the_share_of_covered_words_and_what_is_common():
    reference = "one two three four five six seven eight nine ten"
    dialogue = ("start", "one two three four five six seven eight, and more")
    examples = [Example("a", ("start",), (reference,)), Example("b", ("start",), ()), Example("c", ("other",), ("no",))]
    for times, rare in ((10, 0.8), (11, 0.0)):
        kinds = {kind.name: kind for kind in contamination(examples, Given([dialogue] * times)).found}
        covered, rarely = kinds["ngram8"].covered
        assert covered[0] == 0.8 and rarely[0] == rare and np.isnan(covered[1]) and covered[2] == 0
        assert kinds["ngram8.reference"].seen.tolist() == [True, False, False]
        assert kinds["ngram8.reference"].rare.tolist() == [times == 10, False, False]
        assert kinds["ngram8.border"].seen[0] and not kinds["ngram13"].seen.any()
        assert kinds["context"].seen.tolist() == [True, True, False]


def test_a_file_is_read_as_training_reads_it(tmp_path):
    file = tmp_path / "train.tsv"
    file.write_text("0.0 hi there EOS 1.0 how are you\t1.0 i am fine\n" * 3, "utf-8")
    training = training_text(f"dialogpt_tsv:{file}")
    kinds = contamination([Example("a", ("How are you?",), ("I am fine!", "no"))], training).found
    assert kinds[0].rare.tolist() == [True] and kinds[1].seen.tolist() == [True] and training.dialogues == 3
    config = training_text(f"dialogpt_tsv:{file}", ["dataset.limit=2", "dataset.context_turns=1"]).config
    assert data.dialogues(config) == [(*e.context, *e.references) for e in data.load(config).examples]
    assert data.dialogues(config) == [("how are you", "i am fine")] * 2
    write_jsonl(tmp_path / "t.jsonl", [{"turns": ["hi there", "how are you", "i am fine"]}] * 3)
    assert training_text(str(tmp_path / "t.jsonl")).config.limit is None
    again = training_text(str(tmp_path / "t.jsonl"))
    list(again.read())
    assert again.sha256 == training.sha256


def test_a_context_without_a_turn_is_refused_in_training_too(tmp_path):
    (tmp_path / "train.tsv").write_text("0.0 START\t1.0 hello\n", "utf-8")
    with pytest.raises(UserError, match="the example '1' of dialogpt_tsv has an empty context"):
        list(training_text(f"dialogpt_tsv:{tmp_path / 'train.tsv'}").read())
