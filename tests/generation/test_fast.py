"""The fast engine against one-by-one `generate`, and with different batches, orders, slots and processes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from support.fast_engine import (
    EOS,
    HOW,
    PENALTIES,
    VOCABULARY,
    WINDOW,
    by_generate,
    decoding,
    ended,
    engine,
    gpt2,
    llama,
    replies,
    requests,
)
from support.random_models import bpe_tokenizer, random_gpt2
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from dialoeval.generation.engines.fast import memory, packing, supports
from dialoeval.generation.types import TokenReply, TokenRequest


@pytest.mark.oracle
@pytest.mark.parametrize("penalties", [{}, PENALTIES], ids=["plain", "penalties"])
@pytest.mark.parametrize("make", [gpt2, llama])
def test_greedy_is_generates(make, penalties):
    model, work = make(end=8.0), requests(30)
    assert replies(engine(model, slots=7), work, decoding(**penalties)) == by_generate(
        model, work, decoding(**penalties)
    )


@pytest.mark.oracle
@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("length_penalty", [1.0, 0.0, -0.5, 2.0])
def test_beam_is_generates(early_stopping, length_penalty):
    model, work = gpt2(1, end=10.0), requests(16, seed=2)
    how = decoding("beam", num_beams=4, early_stopping=early_stopping, length_penalty=length_penalty)
    expected = by_generate(model, work, how)
    assert replies(engine(model, slots=12), work, how) == expected
    assert ended(expected) >= 2  # the rules for finished beams were used


@pytest.mark.oracle
@pytest.mark.parametrize("make", [gpt2, llama])
def test_wide_beams_with_penalties_are_generates(make):
    model, work = make(2, end=8.0), requests(12, seed=3)
    how = decoding("beam", num_beams=10, **PENALTIES)
    assert replies(engine(model), work, how) == by_generate(model, work, how)


VARIANTS = {
    "inverse layer scale": (gpt2, {"scale_attn_by_inverse_layer_idx": True}),
    "unscaled attention": (gpt2, {"scale_attn_weights": False, "n_inner": 40}),
    "untied head": (gpt2, {"tie_word_embeddings": False, "activation_function": "relu"}),
    "exact gelu": (gpt2, {"activation_function": "gelu", "reorder_and_upcast_attn": True}),
    "tied llama with biases": (llama, {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
    "own head width": (llama, {"head_dim": 12, "num_key_value_heads": 1}),
    "scaled rope": (
        llama,
        {
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
            }
        },
    ),
}  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_the_architectures_are_generates(variant):
    make, config = VARIANTS[variant]
    model, work = make(3, **config), requests(8, seed=4)
    assert refusal(model.config) is None
    assert replies(engine(model), work, decoding()) == by_generate(model, work, decoding())


@pytest.mark.oracle
def test_the_edges_of_the_window_are_generates():
    model = gpt2(4)
    work = [
        TokenRequest("one token", (5,)),
        TokenRequest("end token only", (EOS,)),
        *(
            TokenRequest(f"{left} left", tuple(i % VOCABULARY for i in range(7, 7 + WINDOW - left)))
            for left in (1, 2, 11)
        ),
    ]
    for how in (decoding(), decoding("beam", num_beams=3), decoding(max_new_tokens=1)):
        assert replies(engine(model), work, how) == by_generate(model, work, how)


def test_a_prompt_that_fills_the_window_gets_an_empty_reply():
    work = [TokenRequest("full", tuple(range(WINDOW))), TokenRequest("short", (3, 4))]
    by_id = {reply.example_id: reply for reply in engine(gpt2()).generate(work, decoding(), 0)}
    assert by_id["full"] == TokenReply("full", 0, (), 0.0, "length")
    assert len(by_id["short"].token_ids) == 12
    sampled = list(engine(gpt2()).generate(work, decoding("sample", num_candidates=3), 0))
    assert [reply.sample for reply in sampled if reply.example_id == "full"] == [0, 1, 2]


def test_an_empty_reply():
    model = gpt2(5, end=1000.0)
    for how in (decoding(), decoding("beam", num_beams=3), decoding("sample", top_k=5)):
        assert set(replies(engine(model), requests(5), how).values()) == {((), "stop")}


def test_min_and_max_new_tokens():
    model, work = gpt2(5, end=1000.0), requests(5)
    for how in (decoding(min_new_tokens=3), decoding("sample", min_new_tokens=3)):
        assert {len(tokens) for tokens, _ in replies(engine(model), work, how).values()} == {3}
    for how in (decoding(max_new_tokens=1, min_new_tokens=1), decoding("beam", num_beams=2, max_new_tokens=1)):
        assert all(len(tokens) <= 1 for tokens, _ in replies(engine(model), work, how).values())


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
@pytest.mark.parametrize("make", [gpt2, llama])
def test_no_batch_order_or_slots_change_a_reply(make, how):
    model, work = make(6, end=8.0), requests(24, seed=6)
    together = replies(engine(model), work, how, seed=9)
    shuffled = random.Random(0).sample(work, len(work))
    for slots, tokens in ((1, 1), (5, 30), (16, 4096)):
        assert replies(engine(model, slots=slots, batch_tokens=tokens), shuffled, how, seed=9) == together
    alone = {}
    for request in work[:6]:
        alone |= replies(engine(model), [request], how, seed=9)
    assert alone.items() <= together.items()


def test_the_seed_and_the_example_change_a_sample():
    model, prompt = gpt2(6), (3, 1, 4, 1, 5)
    work = [TokenRequest("a", prompt), TokenRequest("b", prompt)]
    how = decoding("sample", num_candidates=3)
    first, second = replies(engine(model), work, how, seed=0), replies(engine(model), work, how, seed=1)
    assert len(set(first.values()) | set(second.values())) == 12


@pytest.mark.oracle
def test_draws_follow_the_distribution_of_transformers_processors():
    """Compare 6,000 first tokens with the filtered distribution of `generate` by a chi-square test."""
    from transformers import GenerationConfig

    model, prompt = gpt2(7), (3, 1, 4, 1, 5)
    settings = {"temperature": 1.3, "top_k": 12, "top_p": 0.95}
    how = decoding("sample", max_new_tokens=1, num_candidates=100, **settings)
    work = [TokenRequest(str(i), prompt) for i in range(60)]
    draws = [tokens[0] if tokens else EOS for tokens, _ in replies(engine(model), work, how).values()]
    counts = torch.tensor(draws).bincount(minlength=VOCABULARY).double()
    tokens = torch.tensor([prompt])
    processors = model._get_logits_processor(GenerationConfig(do_sample=True, **settings), input_ids_seq_length=5)
    with torch.no_grad():
        expected = processors(tokens, model(tokens).logits[:, -1]).softmax(-1)[0].double() * len(draws)
    possible = expected > 0
    assert counts[~possible].sum() == 0 and 3 <= possible.sum() <= 12
    chi_square = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert chi_square < 38  # up to 11 degrees of freedom: beyond the 99.99th percentile


@pytest.mark.oracle
@pytest.mark.parametrize("make", [gpt2, llama])
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_logprob_is_the_models_own(make, how):
    model, work = make(8, end=8.0), requests(8, seed=8)
    prompts = {request.example_id: request.token_ids for request in work}
    for reply in engine(model).generate(work, how, 0):
        target = [*reply.token_ids, EOS] if reply.finish == "stop" else list(reply.token_ids)
        assert reply.logprob == pytest.approx(log_probability(model, prompts[reply.example_id], target), abs=1e-3)


def log_probability(model, context: Sequence[int], target: Sequence[int]) -> float:
    tokens = torch.tensor([[*context, *target]])
    with torch.no_grad():
        logprobs = model(tokens).logits[0].double().log_softmax(-1)
    return sum(float(logprobs[len(context) - 1 + i, token]) for i, token in enumerate(target))


@pytest.mark.oracle
@pytest.mark.parametrize("make", [gpt2, llama])
@pytest.mark.parametrize("budget", [1, 64, 100_000])
def test_scores_are_the_models_own(make, budget):
    model, contexts, targets = make(9), requests(20, seed=1), requests(20, seed=2)
    pairs = [(c.token_ids, t.token_ids) for c, t in zip(contexts, targets, strict=True)]
    pairs += [((1,), ()), ((1,), tuple(range(WINDOW - 1)))]
    scores = engine(model, batch_tokens=budget).score(pairs)
    assert scores == pytest.approx([log_probability(model, *pair) for pair in pairs], abs=1e-3)
    assert scores[-2] == 0.0


def test_what_cannot_be_done_is_refused():
    fast = engine(gpt2())
    for bad in [(), tuple(range(WINDOW + 1))]:
        with pytest.raises(ValueError, match="the model takes"):
            list(fast.generate([TokenRequest("bad", bad)], decoding(), 0))
    with pytest.raises(ValueError, match="unique"):
        list(fast.generate([TokenRequest("a", (1,)), TokenRequest("a", (2,))], decoding(), 0))
    with pytest.raises(ValueError, match="empty context"):
        fast.score([((), (1,))])
    with pytest.raises(ValueError, match="window"):
        fast.score([((1,), tuple(range(WINDOW)))])


def test_no_requests():
    assert list(engine(gpt2()).generate([], decoding(), 0)) == []
    assert engine(gpt2()).score([]) == []


def refusal(config, how=None, eos_ids=(EOS,)) -> str | None:
    """Return the engine's reason not to support a model of this configuration."""
    loaded = SimpleNamespace(model=SimpleNamespace(config=config), eos_ids=eos_ids, name="m")
    return supports(loaded, how or decoding())


def test_supports_says_why_not():
    config = gpt2().config
    assert refusal(config) is None
    assert "bart" in refusal(SimpleNamespace(model_type="bart", vocab_size=9))
    assert "activation" in refusal(GPT2Config(activation_function="mish"))
    assert "cross-attention" in refusal(GPT2Config(add_cross_attention=True))
    assert "rotary" in refusal(LlamaConfig(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}))
    assert "vocabulary" in refusal(config, decoding("beam", num_beams=200))
    assert "2 tokens" in refusal(config, eos_ids=(0, 5))
    for setting, value, word in (("num_candidates", 2, "one candidate"), ("early_stopping", "sometimes", "early_stop")):
        beam = decoding("beam", num_beams=2)
        setattr(beam, setting, value)  # bypasses the check of a new configuration
        assert word in refusal(config, beam)


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_a_request_may_have_a_lower_limit_of_its_own(how):
    """A request's limit works like the decoding's, and has no effect above it."""
    model, work = gpt2(6, end=-1000.0), [TokenRequest(str(i), (3, 1, 4, i)) for i in range(6)]
    free = replies(engine(model), work, how, seed=9)
    limited = [replace(request, max_new_tokens=2 * i + 4) for i, request in enumerate(work)]
    limited_replies = replies(engine(model), limited, how, seed=9)
    lengths = {name: len(tokens) for (name, _), (tokens, _) in limited_replies.items()}
    assert lengths == {str(i): min(2 * i + 4, how.max_new_tokens) for i in range(6)}
    if how.strategy != "beam":  # a beam's choice depends on its limit
        assert all(tokens == free[key][0][: len(tokens)] for key, (tokens, _) in limited_replies.items())
    with pytest.raises(ValueError, match="1 or more"):
        replies(engine(model), [replace(work[0], max_new_tokens=0)], how)


def test_a_saved_model_with_a_tokenizer(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(random_gpt2(tmp_path, sharpen=5.0)).eval()
    tokenizer = bpe_tokenizer()
    work = [TokenRequest(text, tuple(tokenizer(text + tokenizer.eos_token).input_ids)) for text in ("hello", "why?")]
    assert replies(engine(model, 128), work, decoding()) == by_generate(model, work, decoding(), 128)


def test_accounting_adds_up():
    fast, work = engine(gpt2(end=8.0), slots=4), requests(10)
    total = sum(len(tokens) for tokens, _ in replies(fast, work, decoding()).values())
    fast.score([((1, 2), (3,))])
    account = fast.accounting()
    assert account["replies"] == 10 and account["reply_tokens"] == total
    assert account["prompt_tokens"] == sum(len(request.token_ids) for request in work) + 2
    assert account["scored_pairs"] == 1 and 0 < account["slot_use"] <= 1 and 0 <= account["padding_share"] < 1
    assert account["peak_memory_bytes"] > 1e6 and account["arithmetic"] == "fp32" and account["workers"] == 1


@pytest.mark.parametrize("make", [gpt2, llama])
def test_packed_matrices_give_the_same(make, monkeypatch):
    model, work, pairs = make(11), requests(12), [((1, 2, 3), (4, 5)), ((7,), (8, 9, 10))]
    ways = (decoding(), decoding("beam", num_beams=3))
    plain = engine(model)
    expected, scores = [replies(plain, work, how) for how in ways], plain.score(pairs)
    assert plain.accounting()["arithmetic"] == "fp32"
    packed = engine(model)
    packed.computing = packing.pack(packed.network, 1, torch.float32)  # bfloat16 is packed where a CPU has it
    assert [replies(packed, work, how) for how in ways] == expected
    assert packed.score(pairs) == pytest.approx(scores, abs=1e-4)
    assert packed.accounting()["arithmetic"] == "fp32, packed matrices"
    names = packed.computing.packed.keys()
    assert {"h.1.attn.c_attn", "h.1.mlp.c_proj"} <= names or {
        "layers.1.self_attn.q_proj",
        "layers.1.mlp.up_proj",
    } <= names
    monkeypatch.setattr(memory, "available", lambda device: 1 << 16)
    assert not packing.pack(packed.network, 1, torch.float32).packed  # no room for a second copy


@pytest.mark.parametrize("fault", ["refused", "wrong"])
def test_matrices_that_cannot_be_packed_stay_as_they_are(fault, monkeypatch):
    def product(x, packed, bias):
        if fault == "refused":
            raise RuntimeError("no kernel for this")
        return torch.zeros(len(x), 1)

    monkeypatch.setattr(packing, "product", product)
    model, work = gpt2(11), requests(5)
    fast = engine(model)
    fast.computing = packing.pack(fast.network, 1, torch.float32)
    assert replies(fast, work, decoding()) == by_generate(model, work, decoding())
    assert not fast.computing.packed and fast.accounting()["arithmetic"] == "fp32"
