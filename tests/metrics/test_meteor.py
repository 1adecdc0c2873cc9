"""METEOR against the official scores, its properties, and its policy for odd input."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dialoeval
from dialoeval.errors import UserError
from dialoeval.metrics.meteor15 import (
    STATISTICS,
    Options,
    align,
    corpus,
    figures,
    segment,
    segments,
    signature,
    statistics,
)

REPLY = "the quick brown foxes were jumping over a lazy dog ."
REFERENCES = ["a fast brown fox jumped over the lazy dogs", "dogs sleep .", "quick foxes jump"]
WORDS = "the a of cat cats kitty running ran big large f1 do Aa BB . , ' 's n't 1,000 U.S. etc. x-y -- … 😀 שלום é"
sentences = st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join)


def slots(references: list[str]) -> list[str]:
    """The six references of the DSTC-7 protocol: in turn, never the held-out one at place 1 if there is another."""
    places = (i % len(references) for i in range(6))
    return [references[2 % len(references) if place == 1 else place] for place in places]


@pytest.fixture(scope="module")
def official(shared):
    """{system: (cleaned replies, six cleaned references each, official segment scores)}, and the sets' scores."""
    from dialoeval.text.clean import clean

    references = {}
    for line in (shared / "dstc7/references.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        references[row["id"]] = clean(slots(row["references"]))
    systems: dict[str, tuple[list, list, list]] = {}
    for line in (shared / "dstc7/official_segments.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        replies, lists, scores = systems.setdefault(row["system"], ([], [], []))
        replies.append(row["cleaned"])
        lists.append(references[row["id"]])
        scores.append(row["meteor"])
    return systems, json.loads((shared / "dstc7/official.json").read_text())


def test_equals_the_official_scores(official):
    systems, sets = official
    for name, (replies, references, expected) in systems.items():
        rows = statistics(replies, references)
        np.testing.assert_allclose(segments(rows), expected, rtol=0, atol=1e-9, err_msg=name)
        assert float(figures(rows.sum(axis=0))) == pytest.approx(sets[name]["meteor"], abs=1e-12), name


def test_shards_and_resamples_add_up(official):
    replies, references, _ = official[0]["TeamB"]
    replies, references = replies[:200], references[:200]
    rows = statistics(replies, references)
    parts = [statistics(replies[i:j], references[i:j], workers=1) for i, j in ((0, 1), (1, 77), (77, 200))]
    np.testing.assert_array_equal(np.concatenate(parts), rows)
    taken = np.random.default_rng(0).integers(0, 200, 300)
    again = corpus([replies[i] for i in taken], [references[i] for i in taken])
    weights = np.bincount(taken, minlength=200)
    assert float(figures(weights @ rows)) == again
    assert figures(np.stack([rows.sum(axis=0)] * 3)).tolist() == [float(figures(rows.sum(axis=0)))] * 3


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sentences, st.lists(sentences, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_order_and_duplicates_of_references_do_not_matter(reply, references, chance):
    expected = segment(reply, references)
    shuffled = references * 2
    chance.shuffle(shuffled)
    assert segment(reply, shuffled) == expected
    assert expected == max(segment(reply, [reference]) for reference in references)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(sentences, st.lists(sentences, max_size=3)), min_size=1, max_size=8))
def test_rows_do_not_depend_on_their_neighbours(pairs):
    rows = statistics([reply for reply, _ in pairs], [references for _, references in pairs])
    for row, (reply, references) in zip(rows, pairs, strict=True):
        np.testing.assert_array_equal(row, statistics([reply], [references])[0])


@settings(max_examples=60, deadline=None)
@given(sentences, sentences)
def test_an_alignment_is_one(reply, reference):
    found = align(reply, reference)
    for side in ("hypothesis", "reference"):
        taken = [
            place
            for match in found.matches
            for place in range(
                getattr(match, f"{side}_start"), getattr(match, f"{side}_start") + getattr(match, f"{side}_length")
            )
        ]
        assert len(set(taken)) == len(taken) == found.statistics[f"{side}_matches"]
        assert all(0 <= place < len(getattr(found, side)) for place in taken)
    assert found.score == segment(reply, [reference])
    assert (found.chunks == 0) == (not found.matches)


def test_a_reply_that_is_its_reference():
    assert segment(REPLY, [REPLY]) == 1.0
    row = statistics([REPLY], [[REPLY]])[0]
    assert row[STATISTICS.index("perfect")] == 1
    assert row[STATISTICS.index("chunks")] == 0


def test_an_alignment_can_be_read():
    found = align(REPLY, REFERENCES[0])
    modules = {
        (found.reference[match.reference_start], found.hypothesis[match.hypothesis_start]): match.module
        for match in found.matches
    }
    assert modules["fox", "foxes"] == "stem"
    assert modules["brown", "brown"] == "exact"
    assert modules["fast", "quick"] == "synonym"


def test_colliding_words_are_equal_words():
    assert align("f1", "do").matches[0].module == "exact"
    assert segment("f1", ["do"]) > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's the U.S. 1990's, i.e. No. 5... well--known", "it 's the us 1990 's , ie no. 5 ... well known"),
        ("Mr. X said 1,000 or 2, 3.", "mr. x said 1,000 or 2 , 3 ."),
        ("x,y,z a-b-c", "x , y,z a b-c"),
        ("a\u00a0b\u2003c\ttab\nline\u2028same", "a b c tab line \u2028 same"),
        ("“curly” ‘quotes’ ''two''", '" curly " \' quotes \' " two "'),
        ("DOTMULTI. 😀|א", ".. 😀 | א"),
    ],
)
def test_tokens(text, expected):
    assert list(align(text, "").hypothesis) == expected.split(" ")


@pytest.mark.parametrize(
    "text", ["", " ", "\t", "\x01", "\ud800", "\ud83d\ude00", "|||", "\u202eשלום", "a" * 1_000_000, "a b " * 250_000]
)
def test_odd_replies_and_references_have_figures(text):
    for reply, references in ((text, REFERENCES), (REPLY, [text]), (text[:4000], [text[:4000]])):
        value = segment(reply, references)
        assert 0.0 <= value <= 1.0
    assert segment(text, []) == 0.0
    assert not statistics([text], [[]]).any()


def test_nothing_to_score():
    assert statistics([], []).shape == (0, len(STATISTICS))
    assert corpus([], []) == 0.0
    assert corpus(["", ""], [["a"], []]) == 0.0


def test_surrogate_pairs_are_one_character():
    assert segment("\ud83d\ude00 yes", ["😀 yes"]) == segment("😀 yes", ["😀 yes"]) == 1.0


@pytest.mark.parametrize(
    ("replies", "references"),
    [("a", [["a"]]), (["a"], "a"), (["a"], ["a"]), (["a"], []), ([1], [["a"]]), (["a"], [[None]])],
)
def test_wrong_arguments_are_the_users_mistake(replies, references):
    with pytest.raises(UserError):
        statistics(replies, references)


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "rnak"},
        {"modules": ("exact", "stems")},
        {"modules": ()},
        {"modules": ("stem", "stem")},
        {"parameters": (1.0,)},
        {"weights": (1.0,)},
    ],
)
def test_wrong_options_are_the_users_mistake(wrong):
    with pytest.raises(UserError):
        Options(**wrong)


def test_signature():
    assert signature().startswith(
        "meteor-1.5-wo-en-norm-0.85_0.2_0.6_0.75-ex_st_sy_pa-1.0_0.6_0.8_0.6|code:1|data:pycocoevalcap-1.2"
    )
    assert "-0.65_0.1_0.55_0.65-ex_pa-1.0_0.0" in signature(Options(task="util", modules=("exact", "paraphrase")))


def test_threads_give_the_same_rows():
    chance = random.Random(7)
    pool = [*REFERENCES, REPLY]
    replies = [" ".join(chance.sample(REPLY.split(), 6)) for _ in range(300)]
    references = [[chance.choice(pool) for _ in range(3)] for _ in replies]
    np.testing.assert_array_equal(
        statistics(replies, references, workers=1), statistics(replies, references, workers=4)
    )


def test_importing_is_light():
    code = (
        "import dialoeval.metrics.meteor15, sys; print([m for m in ('numpy', 'numba', 'llvmlite') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_reply_with_too_many_matches_costs_its_own_meteor_only(caplog):
    worst = " ".join(["no"] * 7000)
    replies, references = ["a cat sat", worst, "", "the dog"], [["the cat sat"], ["x", worst], ["a"], ["dogs"]]
    rows = statistics(replies, references)
    others = [0, 2, 3]
    assert np.isnan(rows[1]).all()
    assert (rows[others] == statistics([replies[i] for i in others], [references[i] for i in others])).all()
    assert corpus(replies, references) == corpus([replies[i] for i in others], [references[i] for i in others])
    assert "reply 2 of 4" in caplog.text and "49,000,000 possible matches" in caplog.text and "'no no no" in caplog.text
    assert np.isnan(segment(worst, [worst])) and np.isnan(segments(rows)).tolist() == [False, True, False, False]
    with pytest.raises(UserError, match="49,000,000 possible matches"):
        align(worst, worst)
    found = dialoeval.score(replies, references, resamples=50)
    assert found["meteor"] == corpus(replies, references) and found.counts["replies_without_meteor"] == 1
    assert any("METEOR leaves out 1 reply" in remark for remark in found.remarks())
    low, high = found.interval("meteor")
    assert 0 <= low <= high <= 1 and found["bleu1"] > 0
    alone = dialoeval.score([worst], [[worst]], resamples=0)
    assert alone.get("meteor") is None and alone.missing("meteor") == "no reply can be aligned"
