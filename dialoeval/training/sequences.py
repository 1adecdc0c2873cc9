"""Training batches of token sequences from dialogues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

Span = tuple[int, int]  # positions of a sequence: start, stop


def encode_dialogues(
    dialogues: Iterable[Sequence[str]],
    encode: Callable[[list[str]], list[list[int]]],
    eos_id: int,
    block_size: int,
    *,
    backward: bool = False,
) -> list[list[int]]:
    """Return dialogues as token sequences in which the end-of-text token follows each turn.

    Longer dialogues are split between turns, so that every sequence begins with a turn, as prompts do. A turn that is
    too long keeps its first block_size - 1 tokens. Sequences of one turn count too: they teach how a dialogue begins.

    Args:
        dialogues: the turns of each dialogue.
        encode: returns the token ids of each turn.
        eos_id: the end-of-text token.
        block_size: greatest length of a sequence in tokens.
        backward: reverse the turns of a dialogue, but not the tokens of a turn: the model then learns
            P(source | target), for reranking by maximum mutual information (DialoGPT, section 3.2).
    """
    sequences: list[list[int]] = []
    for turns in dialogues:
        encoded = [[*ids[: block_size - 1], eos_id] for ids in encode(list(turns))]
        if backward:
            encoded.reverse()
        block: list[int] = []
        for ids in encoded:
            if len(block) + len(ids) > block_size:
                sequences.append(block)
                block = []
            block = block + ids
        if block:
            sequences.append(block)
    return sequences


def batches(lengths: Sequence[int], batch_tokens: int, micro_batch_tokens: int, seed: int) -> Iterator[list[list[int]]]:
    """Yield optimiser steps without end: each a list of micro-batches, each a list of sequence indices.

    Every epoch is a seeded shuffle. The sequences of a step are sorted by length before they are split.

    Args:
        lengths: tokens of each sequence.
        batch_tokens: a step takes sequences until they hold this many tokens.
        micro_batch_tokens: greatest number of tokens in a micro-batch, padding included, unless it is one sequence.
        seed: the seed of the shuffles.
    """
    epoch = 0
    step: list[int] = []
    tokens = 0
    while True:
        order = np.random.default_rng((seed, epoch)).permutation(len(lengths))
        for index in order.tolist():
            step.append(index)
            tokens += lengths[index]
            if tokens >= batch_tokens:
                yield _micro_batches(step, lengths, micro_batch_tokens)
                step, tokens = [], 0
        epoch += 1


def steps_of(epochs: float, lengths: Sequence[int], batch_tokens: int) -> int:
    """Return how many steps of `batches` it takes to see every sequence `epochs` times."""
    seen = steps = 0
    for step in batches(lengths, batch_tokens, batch_tokens, seed=0):
        seen, steps = seen + sum(map(len, step)), steps + 1
        if seen >= epochs * len(lengths):
            break
    return steps


def in_order(lengths: Sequence[int], micro_batch_tokens: int) -> list[list[int]]:
    """Return every sequence once, sorted by length, as micro-batches of indices for evaluation."""
    return _micro_batches(list(range(len(lengths))), lengths, micro_batch_tokens)


def _micro_batches(indices: list[int], lengths: Sequence[int], limit: int) -> list[list[int]]:
    cut: list[list[int]] = [[]]
    for index in sorted(indices, key=lambda i: (lengths[i], i)):
        if cut[-1] and (len(cut[-1]) + 1) * lengths[index] > limit:
            cut.append([])
        cut[-1].append(index)
    return cut
