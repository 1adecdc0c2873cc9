"""Stop texts and further end tokens: replies equal those of transformers' `generate`, whatever the batch."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_models import TEXTS, bpe_tokenizer, random_gpt2, scaled

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation import open_generator, stopping

LIMIT = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    saved = random_gpt2(tmp_path_factory.mktemp("stop") / "gpt2", width=32, layers=1)
    return scaled(saved, matrices=12.0, last=25.0)


@pytest.fixture(scope="module")
def examples():
    draw = random.Random(1)
    return [Example(f"e{i}", tuple(draw.sample(TEXTS, draw.randrange(1, 4)))) for i in range(24)]


def replies(folder, examples, decoding, **engine):
    model = ModelConfig(name="m", path=str(folder))
    generator = open_generator(model, EngineConfig(**{"device": "cpu", "workers": 1, **engine}), decoding)
    found = {reply.id: reply for reply in generator.reply(examples, decoding, 0)}
    prompts = {example.id: generator.source._prompt(example, decoding).token_ids for example in examples}
    generator.close()
    return found, prompts


def by_generate(folder, prompts, ends=(), stop=(), **how):
    """Return the generated tokens of transformers, one prompt at a time, without the end token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    found = {}
    for name, prompt in prompts.items():
        ids = torch.tensor([prompt])
        if stop:
            how |= {"stop_strings": list(stop), "tokenizer": tokenizer}
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=LIMIT, do_sample=False,
                             eos_token_id=[0, *ends], pad_token_id=0, **how)[0, ids.shape[1]:].tolist()  # fmt: skip
        end = next((i for i, token in enumerate(out) if token in (0, *ends)), None)
        found[name] = out[:end]
    return found, tokenizer


def greedy(**settings):
    return DecodingConfig(name="g", strategy="greedy", max_new_tokens=LIMIT, **settings)


@pytest.fixture(scope="module")
def common(folder, examples):
    """Tokens, most frequent first, and some texts of greedy replies."""
    _, prompts = replies(folder, examples, greedy(), name="hf")
    found, tokenizer = by_generate(folder, prompts)
    tokens = [token for ids in found.values() for token in ids[3:]]
    frequent = sorted(set(tokens), key=lambda token: (-tokens.count(token), token))
    texts = [tokenizer.decode(ids[4:7])[1:-1] for ids in found.values() if len(ids) > 7]
    return frequent, [text for text in texts if text and "\ufffd" not in text][:3]


@pytest.mark.parametrize("engine", [{"name": "hf"}, {"name": "hf", "batch_tokens": 1}, {"name": "fast"},
                                    {"name": "fast", "slots": 3}, {"name": "fast", "workers": 2}])  # fmt: skip
def test_stop_texts_equal_generate(folder, examples, common, engine):
    stop = common[1]
    assert stop
    found, prompts = replies(folder, examples, greedy(stop=stop), **engine)
    expected, tokenizer = by_generate(folder, prompts, stop=stop)
    whole, _ = replies(folder, examples, greedy(), name="hf")
    assert any(found[name].tokens < whole[name].tokens for name in found)
    for name, ids in expected.items():
        text = tokenizer.decode(ids)
        cut = stopping.first(text, stop)
        kept = text if cut < 0 else text[:cut]
        assert found[name].text == " ".join(kept.replace("<|endoftext|>", "").split())
        assert found[name].tokens == len(ids)
        assert not any(entry in found[name].text for entry in stop)


@pytest.mark.parametrize("engine", ["hf", "fast"])
@pytest.mark.parametrize("strategy", ["greedy", "beam", "penalties"])
def test_end_tokens_equal_generate(folder, examples, common, engine, strategy):
    ends = common[0][:2]
    how = {"greedy": {}, "beam": {"num_beams": 3}, "penalties": {"min_new_tokens": 4, "repetition_penalty": 1.3}}
    decoding = DecodingConfig(
        name="d",
        strategy="beam" if strategy == "beam" else "greedy",
        max_new_tokens=LIMIT,
        end_tokens=list(ends),
        **how[strategy],
    )
    found, prompts = replies(folder, examples, decoding, name=engine)
    expected, tokenizer = by_generate(folder, prompts, ends, **how[strategy])
    for name, ids in expected.items():
        assert found[name].tokens == len(ids), (name, ids)
        assert found[name].text == " ".join(tokenizer.decode(ids, skip_special_tokens=True).split())


@pytest.mark.parametrize("settings", [{"stop": True}, {"end_tokens": True}])
def test_sampled_replies_do_not_depend_on_engine_or_slots(folder, examples, common, settings):
    settings = {"stop": common[1]} if "stop" in settings else {"end_tokens": common[0][:2]}
    decoding = DecodingConfig(
        name="s", strategy="sample", temperature=0.7, max_new_tokens=LIMIT, num_candidates=1, **settings
    )
    one, _ = replies(folder, examples, decoding, name="fast")
    for engine in ({"name": "fast", "slots": 2}, {"name": "hf"}):
        other, _ = replies(folder, examples, decoding, **engine)
        for name, reply in one.items():
            assert (reply.text, reply.tokens, reply.finish) == (
                other[name].text,
                other[name].tokens,
                other[name].finish,
            )
            assert reply.logprob == pytest.approx(other[name].logprob, abs=1e-3)


def test_what_is_not_a_token(folder, examples):
    with pytest.raises(UserError, match="not a single token"):
        replies(folder, examples, greedy(end_tokens=["hello there, how are you"]), name="fast")
    with pytest.raises(UserError, match="not an id from 0 to"):
        replies(folder, examples, greedy(end_tokens=[100000]), name="hf")
    for bad in ({"stop": [""]}, {"stop": "x"}, {"stop": [3]}, {"end_tokens": [1.5]}, {"end_tokens": [True]}):
        with pytest.raises(UserError, match="must be a list"):
            greedy(**bad)
    assert greedy(stop=[r"\n\tx", "\n"]).stop == ["\n\tx", "\n"]  # as command lines write them
    with pytest.raises(UserError, match="strategy=beam"):
        DecodingConfig(name="b", strategy="beam", num_beams=2, stop=["x"])


def test_identity_has_them_only_if_set():
    from dialoeval.runs.identity import decoding_settings

    assert not {"stop", "end_tokens"} & decoding_settings(greedy()).keys()
    settings = decoding_settings(greedy(stop=["\n"], end_tokens=[5, "x"]))
    assert settings["stop"] == ["\n"] and settings["end_tokens"] == [5, "x"]


TOKENIZER = bpe_tokenizer()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 382), max_size=12), st.lists(st.text("aeot .h", min_size=1, max_size=3), max_size=3))
def test_a_cut_is_the_fewest_tokens(tokens, stop):
    tokens = [token % len(TOKENIZER) for token in tokens]
    found = stopping.cut(tokens, TOKENIZER, stop)
    if found is None:
        assert stopping.first(TOKENIZER.decode(tokens), stop) < 0
    else:
        count, text = found
        assert stopping.ends(tokens[:count], TOKENIZER, stop)
        assert not any(stopping.ends(tokens[:n], TOKENIZER, stop) for n in range(count))
        assert TOKENIZER.decode(tokens[:count]).replace("<|endoftext|>", "").startswith(text)
