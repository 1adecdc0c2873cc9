"""The logits processors against those of transformers, on the same scores."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig
from transformers.generation import logits_process as reference

from dialoeval.config import DecodingConfig
from dialoeval.generation import processors

pytestmark = pytest.mark.oracle
ROWS, VOCABULARY = 12, 301


@pytest.fixture(params=[0, 1])
def scores(request) -> torch.Tensor:
    generator = torch.Generator().manual_seed(request.param)
    scores = torch.randn(ROWS, VOCABULARY, generator=generator) * torch.linspace(0.1, 8, ROWS)[:, None]
    scores[3] = scores[3].round()  # many ties
    scores[4, 5:] = float("-inf")
    return scores


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(0, 6, (ROWS, 17), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("k", [1, 10, 300, 1000])
def test_top_k(scores, k):
    assert torch.equal(processors.top_k(scores, k), reference.TopKLogitsWarper(k)(None, scores))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_top_p(scores, p):
    assert torch.equal(processors.top_p(scores, p), reference.TopPLogitsWarper(p)(None, scores))


@pytest.mark.parametrize("p", [0.01, 0.2, 1.0])
def test_min_p(scores, p):
    assert torch.equal(processors.min_p(scores, p), reference.MinPLogitsWarper(p)(None, scores))


@pytest.mark.parametrize("mass", [0.05, 0.5, 0.95])
def test_typical(scores, mass):
    assert torch.equal(processors.typical(scores, mass), reference.TypicalLogitsWarper(mass)(None, scores))


@pytest.mark.parametrize("penalty", [0.7, 1.3])
def test_repetition_penalty(scores, tokens, penalty):
    result = processors.repetition_penalty(scores, tokens, torch.full((ROWS,), 17), penalty)
    assert torch.equal(result, reference.RepetitionPenaltyLogitsProcessor(penalty)(tokens, scores))


@pytest.mark.parametrize("size", [1, 2, 3, 17, 18])
def test_no_repeat_ngrams(scores, tokens, size):
    result = processors.no_repeat_ngrams(scores, tokens, torch.full((ROWS,), 17), size)
    assert torch.equal(result, reference.NoRepeatNGramLogitsProcessor(size)(tokens, scores))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_ragged_rows_equal_rows_alone(scores, tokens, size):
    lengths = torch.arange(ROWS) + 1
    padded = tokens.masked_fill(torch.arange(17) >= lengths[:, None], 3)
    together = processors.no_repeat_ngrams(scores, padded, lengths, size)
    penalised = processors.repetition_penalty(scores, padded, lengths, 1.5)
    for row, length in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        inputs = tokens[one, :length], scores[one]
        assert torch.equal(together[one], reference.NoRepeatNGramLogitsProcessor(size)(*inputs))
        assert torch.equal(penalised[one], reference.RepetitionPenaltyLogitsProcessor(1.5)(*inputs))


def test_min_new_tokens(scores):
    new_tokens = torch.arange(ROWS)
    result = processors.min_new_tokens(scores, new_tokens, [7], 4)
    for row in range(ROWS):
        processor = reference.MinNewTokensLengthLogitsProcessor(3, 4, 7)
        assert torch.equal(result[row : row + 1], processor(torch.zeros(1, 3 + row), scores[row : row + 1]))


SETTINGS = [
    {"temperature": 0.7},
    {"top_k": 10},
    {"temperature": 1.5, "top_k": 50, "top_p": 0.8},
    {"top_p": 0.9, "min_p": 0.02, "typical_p": 0.7},
    {"top_k": 40, "typical_p": 0.3},
    {
        "temperature": 0.6, "top_k": 30, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.9, "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 3, "min_new_tokens": 6,
    },
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: ",".join(s))
def test_the_whole_chain_is_generates(scores, tokens, settings, tmp_path):
    """The order is that of `generate`, which builds its list of processors from the settings: the scores are equal."""
    from support.random_models import random_gpt2
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(random_gpt2(tmp_path, layers=1, width=8, heads=1))
    decoding = DecodingConfig(name="x", strategy="sample", **settings)
    prompt = 12
    given = {name: value for name, value in settings.items() if name != "min_p" or value}
    config = GenerationConfig(do_sample=True, **{"top_k": 0, **given})
    config._eos_token_tensor = torch.tensor([7])
    expected = model._get_logits_processor(
        config, input_ids_seq_length=prompt, model_kwargs={"attention_mask": torch.ones(ROWS, prompt)}
    )(tokens, scores)
    lengths = torch.full((ROWS,), 17)
    result = processors.penalise(scores, tokens, lengths, lengths - prompt, [7], decoding)
    assert torch.equal(processors.warp(result, decoding), expected)
