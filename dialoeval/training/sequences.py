"""From dialogues to training batches of token sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np


def encode_dialogues(
    dialogues: Iterable[Sequence[str]],
    encode: Callable[[list[str]], list[list[int]]],
    eos_id: int,
    block_size: int,
    *,
    backward: bool = False,
) -> list[list[int]]:
    """Turn dialogues into sequences of at most `block_size` tokens, each turn followed by the end-of-text token.

    A dialogue that is longer is cut at turn boundaries, so that every sequence begins where a turn begins, as prompts
    do. A single longer turn keeps its first block_size - 1 tokens and its end. With `backward` the turns of each
    sequence stand in reverse order (the tokens of a turn in their own), which trains P(source | target) for maximum
    mutual information reranking (DialoGPT, section 3.2). Sequences of one turn, which hold no reply, are kept: they
    teach how a dialogue begins.
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

    An epoch is a seeded shuffle; a step takes sequences until they hold `batch_tokens` tokens. Inside a step sequences
    are sorted by length and cut so that a micro-batch padded to its longest has at most `micro_batch_tokens` tokens
    (or is a single sequence).
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


def in_order(lengths: Sequence[int], micro_batch_tokens: int) -> list[list[int]]:
    """All sequences once, sorted by length, in micro-batches: for evaluation."""
    return _micro_batches(list(range(len(lengths))), lengths, micro_batch_tokens)


def _micro_batches(indices: list[int], lengths: Sequence[int], limit: int) -> list[list[int]]:
    cut: list[list[int]] = [[]]
    for index in sorted(indices, key=lambda i: (lengths[i], i)):
        if cut[-1] and (len(cut[-1]) + 1) * lengths[index] > limit:
            cut.append([])
        cut[-1].append(index)
    return cut
