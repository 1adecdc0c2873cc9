"""The vllm engine with vLLM, if it is installed, and with a stand-in for vLLM."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from support.random_models import edit_json, random_gpt2

from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
from dialoeval.data import Example
from dialoeval.errors import UserError
from dialoeval.generation import open_generator
from dialoeval.models import loading as models

GREEDY = DecodingConfig(name="greedy", strategy="greedy", max_new_tokens=12)
MMI = DecodingConfig(name="mmi", strategy="sample", top_k=10, num_candidates=3, rerank="mmi", max_new_tokens=5)
EXAMPLES = [Example(f"e{i}", ("hello there", f"do you like number {i}?")) for i in range(5)]
VLLM = EngineConfig(name="vllm", device="cpu", dtype="fp32")


@pytest.mark.oracle
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_vllm_gives_the_replies_of_fast_in_float32(monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    tiny = ModelConfig(name="tiny", path="tiny", backward="tiny-backward")
    vllm_replies = {r.id: r for r in open_generator(tiny, VLLM, GREEDY).reply(EXAMPLES, GREEDY, 0)}
    fast = EngineConfig(name="fast", device="cpu")
    fast_replies = {r.id: r for r in open_generator(tiny, fast, GREEDY).reply(EXAMPLES, GREEDY, 0)}
    for name, expected in fast_replies.items():
        reply = vllm_replies[name]
        assert (reply.text, reply.tokens, reply.finish) == (expected.text, expected.tokens, expected.finish)
        assert reply.logprob == pytest.approx(expected.logprob, abs=1e-3)


class SamplingParams(SimpleNamespace):
    KNOWN = frozenset({
        "n", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "min_tokens", "max_tokens", "seed",
        "stop_token_ids", "logprobs",
    })  # fmt: skip

    def __init__(self, **values):
        assert set(values) == self.KNOWN
        super().__init__(**values)


class LLM:
    """A stand-in that continues a prompt with its last tokens in reverse; candidate i is i tokens longer."""

    instances: list[LLM]

    def __init__(self, **options):
        self.options, self.asked = options, []
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=64))
        LLM.instances.append(self)

    def generate(self, prompts, parameters, use_tqdm):
        self.asked += list(zip(prompts, parameters, strict=True))
        answers = []
        for prompt, how in zip(prompts, parameters, strict=True):
            outputs = []
            for i in range(how.n):
                tokens = prompt["prompt_token_ids"][-2 : -5 - i : -1][: how.max_tokens]
                stopped = len(tokens) < how.max_tokens
                outputs.append(
                    SimpleNamespace(
                        token_ids=[*tokens, how.stop_token_ids[0]] if stopped else tokens,
                        cumulative_logprob=-0.25 * len(tokens),
                        finish_reason="stop" if stopped else "length",
                    )
                )
            answers.append(SimpleNamespace(outputs=outputs))
        return answers


@pytest.fixture
def stand_in(monkeypatch):
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams, module.__version__ = LLM, SamplingParams, "0.0"
    platforms = ModuleType("vllm.platforms")
    platforms.current_platform = SimpleNamespace(is_cpu=lambda: True)
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)
    LLM.instances = []
    return LLM


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = random_gpt2(tmp_path_factory.mktemp("vllm") / "m", layers=1, width=32, window=64)
    return ModelConfig(name="m", path=str(folder), backward=str(folder))


def test_replies_end_tokens_and_counts(stand_in, model):
    generator = open_generator(model, VLLM, GREEDY)
    tokenizer = models.load_tokenizer(model.path)
    for reply in generator.reply(EXAMPLES, GREEDY, 0):
        assert reply.finish == "stop" and reply.tokens == 3 and reply.logprob == -0.75 and not reply.candidates
        assert "<|endoftext|>" not in reply.text
    (llm,) = stand_in.instances
    assert llm.options["dtype"] == "float32" and llm.options["enable_chunked_prefill"] is False
    prompt, how = llm.asked[0]
    assert prompt["prompt_token_ids"][-1] == tokenizer.eos_token_id == how.stop_token_ids[0]
    assert (how.temperature, how.seed, how.n) == (0.0, None, 1)
    short = dataclasses.replace(GREEDY, max_new_tokens=2)
    assert {reply.finish for reply in generator.reply(EXAMPLES, short, 0)} == {"length"}
    assert generator.describe().accounting == {"replies": 10}


def test_candidates_are_reranked_here(stand_in, model):
    generator = open_generator(model, VLLM, MMI)
    for reply in generator.reply(EXAMPLES, MMI, 4):
        assert [candidate.tokens for candidate in reply.candidates] == [3, 4, 5]
        assert reply.text == max(reply.candidates, key=lambda c: c.score).text
    assert generator.identity()["reranker"]["kind"] == "mmi"
    how = [parameters for _, parameters in stand_in.instances[0].asked]
    assert {(h.n, h.top_k, h.temperature) for h in how} == {(3, 10, 1.0)} and len({h.seed for h in how}) == 5


def test_several_end_tokens_and_one_that_there_is_not(stand_in, model, tmp_path):
    folder = Path(shutil.copytree(model.path, tmp_path / "m"))
    edit_json(folder / "generation_config.json", eos_token_id=[7, 50256])
    generator = open_generator(dataclasses.replace(model, path=str(folder)), VLLM, GREEDY)
    assert generator.identity()["end_tokens"] == [0, 7]
    (reply,) = generator.reply(EXAMPLES[:1], GREEDY, 0)
    assert stand_in.instances[-1].asked[-1][1].stop_token_ids == [0, 7] and reply.tokens == 3


def test_what_vllm_refuses_to_load_is_one_sentence(stand_in, model, monkeypatch):
    def refuse(**_):
        raise ValueError("Free memory on device is less than desired\nand more")

    monkeypatch.setattr(sys.modules["vllm"], "LLM", refuse)
    with pytest.raises(UserError, match=r"vLLM cannot run .*: Free memory on device is less than desired$"):
        open_generator(model, VLLM, GREEDY)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"strategy": "beam", "num_beams": 10}, "divides a beam's score"),
        ({"strategy": "sample", "typical_p": 0.9}, "does not support typical_p"),
        ({"strategy": "greedy", "no_repeat_ngram_size": 3}, "no_repeat_ngram_size"),
    ],
)
def test_what_vllm_does_otherwise_is_refused_with_the_reason(settings, reason):
    with pytest.raises(UserError, match=reason):
        open_generator(ModelConfig(name="m", path="m"), VLLM, DecodingConfig(**{"name": "x", **settings}))


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_the_error_says_what_to_install():
    with pytest.raises(UserError, match=r"pip install .*vllm"):
        open_generator(ModelConfig(name="m", path="m"), VLLM, GREEDY)
