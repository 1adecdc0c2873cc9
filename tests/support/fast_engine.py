"""Random models and requests for the fast engine's tests, and the replies of `generate`."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from dialoeval.config import DecodingConfig, EngineConfig
from dialoeval.generation.engines.fast import FastEngine
from dialoeval.generation.types import TokenRequest

EOS, WINDOW, VOCABULARY = 0, 96, 383
torch.set_num_threads(1)


def gpt2(seed: int = 0, end: float = 0.0, **config):
    """Return a random GPT-2; `end` is added to the logit of the end token, so that replies end before the limit."""
    torch.manual_seed(seed)
    settings = {"vocab_size": VOCABULARY, "n_positions": WINDOW, "n_embd": 32, "n_layer": 2, "n_head": 4, **config}
    model = lively(GPT2LMHeadModel(GPT2Config(**settings, bos_token_id=EOS, eos_token_id=EOS)).eval())
    with torch.no_grad():
        vector = model.lm_head.weight[EOS]
        model.transformer.ln_f.bias.add_(end * vector / vector.square().sum())
    return model


def llama(seed: int = 0, end: float = 0.0, **config):
    """Return a random Llama, which has no biases: `end` lengthens the end token's output vector."""
    torch.manual_seed(seed)
    settings = {
        "vocab_size": VOCABULARY, "max_position_embeddings": WINDOW, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, **config,
    }  # fmt: skip
    model = lively(LlamaForCausalLM(LlamaConfig(**settings, bos_token_id=EOS, eos_token_id=EOS)).eval())
    with torch.no_grad():
        model.lm_head.weight[EOS].mul_(1 + end / 3)
    return model


def lively(model):
    """Scale the initial weights, with which every reply repeats one token, and sharpen the distribution."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and "wte" not in name and "embed" not in name and "lm_head" not in name:
                weight.mul_(12.0)
            elif name in ("transformer.ln_f.weight", "model.norm.weight"):
                weight.mul_(25.0)
    return model


def requests(count: int, seed: int = 0, longest: int = 40) -> list[TokenRequest]:
    generator = random.Random(seed)
    return [
        TokenRequest(f"e{i}", tuple(generator.randrange(VOCABULARY) for _ in range(generator.randrange(1, longest))))
        for i in range(count)
    ]


def decoding(strategy: str = "greedy", **settings) -> DecodingConfig:
    """Return a decoding; several candidates need a reranker in the configuration, which engines ignore."""
    reranked = {"rerank": "mmi"} if settings.get("num_candidates", 1) > 1 else {}
    return DecodingConfig(name="test", strategy=strategy, **{"max_new_tokens": 12, **reranked, **settings})


def engine(model, window: int = WINDOW, **settings) -> FastEngine:
    settings = {"device": "cpu", "workers": 1, **settings}
    return FastEngine(model, EngineConfig(**settings), eos_ids=(EOS,), window=window)


def replies(fast: FastEngine, work: Sequence[TokenRequest], how: DecodingConfig, seed: int = 0):
    """Return (example, sample) -> (tokens, finish), and check that every reply comes once."""
    generated = list(fast.generate(work, how, seed))
    by_sample = {(reply.example_id, reply.sample): (reply.token_ids, reply.finish) for reply in generated}
    assert len(by_sample) == len(generated)
    return by_sample


def by_generate(model, work: Sequence[TokenRequest], how: DecodingConfig, window: int = WINDOW):
    """Return the replies of transformers' `generate` to each context in a batch of one."""
    by_sample = {}
    for request in work:
        prompt = torch.tensor([request.token_ids])
        settings = {"num_beams": how.num_beams, "length_penalty": how.length_penalty}
        settings |= {"early_stopping": how.early_stopping} if how.num_beams > 1 else {}
        output = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=min(how.max_new_tokens, window - prompt.shape[1]),
            min_new_tokens=how.min_new_tokens,
            repetition_penalty=how.repetition_penalty,
            no_repeat_ngram_size=how.no_repeat_ngram_size,
            do_sample=False,
            pad_token_id=EOS,
            eos_token_id=EOS,
            **settings,
        )[0, prompt.shape[1] :].tolist()
        ended = EOS in output
        by_sample[request.example_id, 0] = (
            tuple(output[: output.index(EOS)] if ended else output),
            "stop" if ended else "length",
        )
    return by_sample


def ended(by_sample) -> int:
    return sum(finish == "stop" for _, finish in by_sample.values())


PENALTIES = {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 4}

HOW = {
    "greedy": decoding(),
    "beam": decoding("beam", num_beams=3),
    "top-k": decoding("sample", top_k=20, temperature=0.8),
    "candidates": decoding("sample", top_k=10, num_candidates=5),
    "all filters": decoding("sample", top_k=40, top_p=0.9, min_p=0.01, typical_p=0.95, **PENALTIES),
    "pure": decoding("sample", num_candidates=2),
}
