"""Streaming: what is told on the way is the beginning of the reply, and the reply is the one that a run gives."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import chat_server
from support.families import loaded, prompts, tiny_model
from support.random_models import random_gpt2

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation import open_generator
from dialoeval.generation.engines.hf import HfEngine
from dialoeval.generation.stopping import first, settled
from dialoeval.generation.types import TokenRequest

EXAMPLE = Example("a:1", ("hello there", "how are you doing?", "not bad"))
DECODINGS = [
    DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=24),
    DecodingConfig(name="topk", strategy="sample", top_k=10, max_new_tokens=24),
    DecodingConfig(name="bytes", strategy="sample", temperature=3.0, max_new_tokens=40),
    DecodingConfig(name="stop", strategy="sample", top_k=20, stop=["o ", "ing"], max_new_tokens=40),
    DecodingConfig(name="one", strategy="greedy", max_new_tokens=1),
    DecodingConfig(name="penalised", strategy="greedy", repetition_penalty=1.3, no_repeat_ngram_size=2),
    DecodingConfig(name="beam", strategy="beam", num_beams=3, max_new_tokens=8),
]


def told(generator, decoding, seed=0):
    heard: list[str] = []
    reply = generator.stream(EXAMPLE, decoding, seed, heard.append)
    return reply, heard


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return random_gpt2(tmp_path_factory.mktemp("gpt2"), sharpen=8.0)


@pytest.mark.parametrize("engine", ["fast", "hf"])
@pytest.mark.parametrize("decoding", DECODINGS, ids=lambda decoding: decoding.name)
def test_what_is_told_becomes_the_reply(small, engine, decoding):
    generator = open_generator(ModelConfig(name="small", path=str(small)), EngineConfig(name=engine), decoding)
    for seed in range(4):
        reply, heard = told(generator, decoding, seed)
        assert [reply] == list(generator.reply([EXAMPLE], decoding, seed))
        if decoding.strategy == "beam":
            assert heard == []
            continue
        assert all(later.startswith(earlier) for earlier, later in pairwise([*heard, reply.text]))
        if reply.tokens > 5 and not decoding.stop:
            assert len(set(heard)) > 2, "the reply came at once"


@pytest.mark.parametrize(("family", "kind"), [("t5", "encoder-decoder"), ("gpt_neox", "decoder")])
def test_other_families(family, kind):
    engine = HfEngine(loaded(tiny_model(family, kind), kind, family), EngineConfig())
    decoding = DecodingConfig(name="topk", strategy="sample", top_k=20, max_new_tokens=12)
    for prompt in prompts(3):
        heard: list[tuple[int, ...]] = []
        request = TokenRequest("a", prompt)
        reply = engine.stream(request, decoding, 0, lambda tokens, heard=heard: heard.append(tuple(tokens)))
        assert [reply] == list(engine.generate([request], decoding, 0))
        assert heard == [reply.token_ids[: n + 1] for n in range(len(reply.token_ids))]


def test_a_reranked_reply_is_told_at_the_end_only():
    decoding = DecodingConfig(name="mmi", strategy="sample", top_k=10, num_candidates=3, rerank="mmi", max_new_tokens=6)
    model = ModelConfig(name="tiny", path="tiny", backward="tiny-backward")
    reply, heard = told(open_generator(model, EngineConfig(), decoding), decoding)
    assert heard == [] and len(reply.candidates) == 3


@given(st.text("ab \ufffdn", max_size=12), st.lists(st.text("abn ", min_size=1, max_size=4), max_size=3))
def test_what_is_settled_stays(text, stop):
    place = first(text, stop)
    whole = text if place < 0 else text[:place]
    for length in range(len(text) + 1):
        assert whole.startswith(settled(text[:length], stop))
    if not stop:
        assert settled(text, stop) == text.rstrip("\ufffd")


def events(*parts: str, finish: str = "stop") -> chat_server.Response:
    rows = [{"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]} for part in parts]
    rows.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    body = "".join(f": ping\n\ndata: {json.dumps(row)}\n\n" for row in rows) + "data: [DONE]\n\n"
    return 200, {"Content-Type": "text/event-stream"}, body.encode()


@pytest.fixture
def server():
    with chat_server.running() as running:
        yield running


def client(server, decoding, **engine):
    model = ModelConfig(name="served", path="served")
    return open_generator(model, EngineConfig(name="openai", base_url=server.url, **engine), decoding)


GREEDY = DecodingConfig(name="greedy", strategy="greedy")


def test_a_server_streams(server):
    server.plan = lambda body, before: events("Hi ", "th", "ere,  fri", "end") if body.get("stream") else None
    generator = client(server, GREEDY)
    reply, heard = told(generator, GREEDY)
    assert heard[:4] == ["Hi", "Hi th", "Hi there, fri", "Hi there, friend"] and reply.text == heard[-1]
    (plain,) = generator.reply([EXAMPLE], GREEDY, 0)
    assert plain.text == "NOT BAD"
    assert [body.get("stream") for body in server.bodies] == [True, None], "a run asks as before"


def test_a_server_that_does_not_stream(server):
    reply, heard = told(client(server, GREEDY), GREEDY)
    assert (reply.text, heard) == ("NOT BAD", [])  # it ignores the field
    server.plan = lambda body, before: chat_server.error(400, "stream is not supported") if "stream" in body else None
    reply, heard = told(client(server, GREEDY), GREEDY)
    assert (reply.text, heard) == ("NOT BAD", [])
    server.plan = lambda body, before: chat_server.error(401, "who are you?")
    with pytest.raises(UserError, match="401"):
        told(client(server, GREEDY), GREEDY)


def test_a_stream_that_breaks_begins_anew(server):
    broken = events("Good", " day")
    broken = (*broken[:2], broken[2].rpartition(b"data: {")[0])
    server.plan = lambda body, before: events("Hello") if before else (*broken[:2], broken[2])
    reply, heard = told(client(server, GREEDY, retries=1), GREEDY)
    assert reply.text == "Hello" and "Good day" in heard


def test_reasoning_and_stop_texts_are_not_told(server):
    decoding = DecodingConfig(name="greedy", strategy="greedy", stop=["\nUser"])
    server.plan = lambda body, before: events("<thi", "nk>why", "</think>He", "llo\nUs", "er: no")
    reply, heard = told(client(server, decoding), decoding)
    assert reply.text == "Hello" and reply.reasoning == "why"
    assert all("Hello".startswith(text) for text in heard) and "He" in heard
