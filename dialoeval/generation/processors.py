"""Logits processors: pure functions with the semantics of those of transformers.

They are applied in transformers' order: repetition penalty, no-repeat n-grams, minimum new tokens (`penalise`), then,
for sampling only, temperature, top-k, top-p, min-p, typical (`warp`). Greedy search and sampling apply them to logits,
beam search to log-probabilities, as `generate` does. All take scores (rows, vocabulary) and return a new tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from dialoeval.config import DecodingConfig

_NEVER = float("-inf")


def penalises(decoding: DecodingConfig) -> bool:
    """Return whether any processor of `penalise` is active."""
    return decoding.repetition_penalty != 1.0 or decoding.no_repeat_ngram_size > 0 or decoding.min_new_tokens > 0


def penalise(
    scores: torch.Tensor,
    tokens: torch.Tensor,
    lengths: torch.Tensor,
    new_tokens: torch.Tensor,
    eos_ids: Sequence[int],
    decoding: DecodingConfig,
) -> torch.Tensor:
    """Apply the processors that depend on the sequence so far.

    Args:
        scores: (rows, vocabulary).
        tokens: (rows, width) prompt and generated tokens, right-padded with any value.
        lengths: (rows,) lengths of the sequences without padding.
        new_tokens: (rows,) number of generated tokens.
        eos_ids: the end tokens.
        decoding: repetition_penalty, no_repeat_ngram_size and min_new_tokens.
    """
    if decoding.repetition_penalty != 1.0:
        scores = repetition_penalty(scores, tokens, lengths, decoding.repetition_penalty)
    if decoding.no_repeat_ngram_size > 0:
        scores = no_repeat_ngrams(scores, tokens, lengths, decoding.no_repeat_ngram_size)
    if decoding.min_new_tokens > 0:
        scores = min_new_tokens(scores, new_tokens, eos_ids, decoding.min_new_tokens)
    return scores


def warp(scores: torch.Tensor, decoding: DecodingConfig) -> torch.Tensor:
    """Apply temperature and the filters of sampling, which set the scores of the tokens they remove to -inf."""
    if decoding.temperature != 1.0:
        scores = scores / decoding.temperature
    if decoding.top_k > 0:
        scores = top_k(scores, decoding.top_k)
    return narrow(scores, decoding)


def narrow(scores: torch.Tensor, decoding: DecodingConfig) -> torch.Tensor:
    """Apply the filters that come after top-k, to the k best columns or to all columns with -inf in the others."""
    if decoding.top_p < 1.0:
        scores = top_p(scores, decoding.top_p)
    if decoding.min_p > 0.0:
        scores = min_p(scores, decoding.min_p)
    if decoding.typical_p < 1.0:
        scores = typical(scores, decoding.typical_p)
    return scores


def repetition_penalty(
    scores: torch.Tensor, tokens: torch.Tensor, lengths: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Divide positive and multiply negative scores of tokens in the sequence, prompt included.

    Source: Keskar et al. (2019), "CTRL", section 4.1.
    """
    import torch

    seen = _mark(scores, tokens, _inside(tokens, lengths))
    return torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)


def no_repeat_ngrams(scores: torch.Tensor, tokens: torch.Tensor, lengths: torch.Tensor, size: int) -> torch.Tensor:
    """Forbid tokens that would complete an n-gram of the sequence, prompt included."""
    import torch

    if tokens.shape[1] < size:
        return scores
    windows = tokens.unfold(1, size, 1)  # (rows, width - size + 1, size)
    ends = torch.arange(size, tokens.shape[1] + 1, device=tokens.device)  # a window's end, exclusive
    last = lengths[:, None] - (size - 1) + torch.arange(size - 1, device=tokens.device)  # the last size-1 positions
    prefix = tokens.gather(1, last.clamp(min=0))  # (rows, size - 1)
    repeats = (windows[..., :-1] == prefix[:, None]).all(dim=-1) & (ends <= lengths[:, None])
    return scores.masked_fill(_mark(scores, windows[..., -1], repeats), _NEVER)


def min_new_tokens(
    scores: torch.Tensor, new_tokens: torch.Tensor, eos_ids: Sequence[int], minimum: int
) -> torch.Tensor:
    """Forbid the end tokens in rows with fewer than `minimum` generated tokens."""
    import torch

    scores = scores.clone()
    for token in eos_ids:
        scores[:, token] = torch.where(new_tokens < minimum, _NEVER, scores[:, token])
    return scores


def top_k(scores: torch.Tensor, k: int) -> torch.Tensor:
    """Keep the k most probable tokens and all that tie with the k-th."""
    least = scores.topk(min(k, scores.shape[-1]), dim=-1).values[:, -1:]
    return scores.masked_fill(scores < least, _NEVER)


def top_p(scores: torch.Tensor, p: float) -> torch.Tensor:
    """Keep the smallest set of most probable tokens whose sum reaches p (Holtzman et al. 2020), at least one."""
    ordered, order = scores.sort(dim=-1)  # ascending, as the reference accumulates
    remove = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    remove[:, -1] = False
    return scores.masked_fill(remove.scatter(1, order, remove), _NEVER)


def min_p(scores: torch.Tensor, p: float) -> torch.Tensor:
    """Keep tokens at least p times as probable as the most probable one (Nguyen et al. 2024)."""
    probabilities = scores.softmax(dim=-1)
    return scores.masked_fill(probabilities < p * probabilities.amax(dim=-1, keepdim=True), _NEVER)


def typical(scores: torch.Tensor, mass: float) -> torch.Tensor:
    """Keep the tokens whose surprisal is nearest the entropy, up to `mass` (Meister et al. 2023), at least one."""
    import torch

    log_probabilities = scores.log_softmax(dim=-1)
    entropy = -(log_probabilities.exp() * log_probabilities).nansum(dim=-1, keepdim=True)  # 0 * -inf counts as 0
    distance, order = (-log_probabilities - entropy).abs().sort(dim=-1)
    reached = scores.gather(1, order).softmax(dim=-1).cumsum(dim=-1) < mass
    last = reached.sum(dim=-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
    remove = distance > distance.gather(1, last)
    remove[:, 0] = False
    return scores.masked_fill(torch.zeros_like(remove).scatter(1, order, remove), _NEVER)


def _inside(tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return a mask (rows, width) of the positions before each row's length."""
    import torch

    return torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]


def _mark(scores: torch.Tensor, tokens: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Return a mask (rows, vocabulary) of the tokens at which `where` (the shape of `tokens`) is true."""
    import torch

    vocabulary = scores.shape[-1]
    # The other tokens are written to a spare column.
    marks = torch.zeros(scores.shape[0], vocabulary + 1, dtype=torch.bool, device=scores.device)
    inside = where & (tokens >= 0) & (tokens < vocabulary)
    return marks.scatter_(1, torch.where(inside, tokens, vocabulary), True)[:, :vocabulary]
