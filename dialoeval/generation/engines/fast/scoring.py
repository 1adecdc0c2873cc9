"""Scoring, log P(target | context): right-padded batches, with the output head at target positions only."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dialoeval.generation.engines.fast.cache import causal
from dialoeval.generation.engines.fast.decode import pad

if TYPE_CHECKING:
    import torch

    from dialoeval.generation.engines.fast.counters import Counters
    from dialoeval.generation.engines.fast.network import Network

Pair = tuple[Sequence[int], Sequence[int]]
_HEAD_ROWS = 512  # rows of logits in memory at once


def check(pairs: Iterable[Pair], window: int) -> None:
    """Check that contexts are not empty and that pairs fit the window.

    Raises:
        ValueError: a context is empty, or a pair exceeds the window.
    """
    for number, (context, target) in enumerate(pairs):
        if not context:
            raise ValueError(f"pair {number}: an empty context gives no probability of the target's first token")
        if len(context) + len(target) > window:
            raise ValueError(f"pair {number}: {len(context)} + {len(target)} tokens exceed the window of {window}")


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield batches of indices, shortest sequences first, with at most `budget` padded tokens (or one sequence)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (lengths[index], index)):
        if batch and (len(batch) + 1) * lengths[index] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def score(network: Network, pairs: Sequence[Pair], counters: Counters) -> list[float]:
    """Return log P(target | context) in nats for one batch of pairs; targets must not be empty."""
    import torch

    started = time.perf_counter()
    device = network.device
    # The last token is predicted only: the model never reads it.
    sequences = [[*context, *target] for context, target in pairs]
    tokens, lengths = pad([sequence[:-1] for sequence in sequences])
    count, longest = tokens.shape

    def attend(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
        k, v = (x.view(count, longest, *x.shape[1:]).transpose(1, 2).to(network.dtype) for x in (k, v))
        return causal(q, k, v, scale)

    positions = torch.arange(longest, device=device).repeat(count)
    numbers: list[int] = []  # indices of the hidden states that predict a target token
    owners: list[int] = []  # index of each target token's pair
    for row, (context, target) in enumerate(pairs):
        first = row * longest + len(context) - 1  # predicts the first target token
        numbers += range(first, first + len(target))
        owners += [row] * len(target)
    predicting, owner = torch.tensor(numbers, device=device), torch.tensor(owners)
    targets = torch.tensor([token for _, target in pairs for token in target], device=device)
    hidden = network.hidden(tokens.view(-1).to(device), positions, attend, predicting)  # (target tokens, width)
    sums = torch.zeros(count, dtype=torch.double)
    for low in range(0, len(targets), _HEAD_ROWS):
        part = slice(low, low + _HEAD_ROWS)
        sums.index_add_(0, owner[part], network.logprobs(hidden[part], targets[part]).cpu().double())
    real = int(lengths.sum())
    counters.add(prompt_tokens=real, padding_tokens=count * longest - real, scored_pairs=count)
    counters.add(score_seconds=time.perf_counter() - started)
    scores: list[float] = sums.tolist()
    return scores
