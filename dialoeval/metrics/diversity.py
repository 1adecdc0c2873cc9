"""Entropy, distinct-n and length of replies: the paper's diversity figures, from n-gram counts that merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.metrics.ngrams import code_words, count_by, ngrams

ENTROPY_ORDERS = 4
DISTINCT_ORDERS = 2
_BLOCK = 128  # resamples at a time: bounds the memory


@dataclass(frozen=True)
class _Order:
    """Counts of one n-gram order, split by whether an n-gram stands in one reply only or in several.

    Attributes:
        totals: (n,) n-grams of each reply.
        single: for each count c that occurs: (c, (n,) how many n-grams stand c times in this reply and in no other).
        shared_replies, shared_counts: (S,) the replies that hold a shared n-gram and how often, sorted by n-gram.
        shared_starts: (G,) where each shared n-gram begins in these.
    """

    totals: np.ndarray
    single: tuple[tuple[int, np.ndarray], ...]
    shared_replies: np.ndarray
    shared_counts: np.ndarray
    shared_starts: np.ndarray


class Diversity:
    """N-gram counts of a set of replies, from which figures follow for any resample of the replies."""

    def __init__(self, words: Sequence[Sequence[str]]) -> None:
        ids, sentences, _ = code_words(words)
        self.replies = len(words)
        self.orders = tuple(
            _split(grams.ids, grams.sentences, grams.types, self.replies)
            for grams in ngrams(ids, sentences, ENTROPY_ORDERS)
        )

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """entropy1..4 (nats), distinct1..2 (0..1), avg_len (words), each (m,), for how often each reply is taken.

        Args:
            weights: (m, n) non-negative whole numbers, row by row one resample; None: every reply once.

        entropy-n = -sum p ln p over the n-grams of all replies; distinct-n = distinct n-grams / n-grams. Without any
        n-gram both are 0.
        """
        if weights is None:
            weights = np.ones((1, self.replies), dtype=np.int64)
        figures = {f"entropy{n}": np.zeros(len(weights)) for n in range(1, ENTROPY_ORDERS + 1)}
        figures |= {f"distinct{n}": np.zeros(len(weights)) for n in range(1, DISTINCT_ORDERS + 1)}
        for start in range(0, len(weights), _BLOCK):
            block = slice(start, start + _BLOCK)
            for n, order in enumerate(self.orders, 1):
                entropy, distinct = _figures(order, weights[block])
                figures[f"entropy{n}"][block] = entropy
                if n <= DISTINCT_ORDERS:
                    figures[f"distinct{n}"][block] = distinct
        taken = weights.sum(axis=1)
        figures["avg_len"] = weights @ self.orders[0].totals / np.maximum(taken, 1)
        return figures


def _split(ids: np.ndarray, sentences: np.ndarray, types: int, replies: int) -> _Order:
    grams, who, counts = count_by(ids, sentences, replies)  # grouped by n-gram
    holders = np.bincount(grams, minlength=types)
    alone = holders[grams] == 1
    single = tuple(
        (int(c), np.bincount(who[alone & (counts == c)], minlength=replies).astype(float))
        for c in np.unique(counts[alone])
    )
    shared = grams[~alone]
    starts = np.flatnonzero(np.r_[True, shared[1:] != shared[:-1]]) if len(shared) else np.zeros(0, dtype=np.int64)
    totals = np.bincount(sentences, minlength=replies).astype(float)
    return _Order(totals, single, who[~alone], counts[~alone].astype(np.int32), starts)


def _figures(order: _Order, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(entropy, distinct), each (m,). With counts c and their sum N: entropy = ln N - sum(c ln c) / N."""
    totals = weights @ order.totals
    types = np.zeros(len(weights))
    c_ln_c = np.zeros(len(weights))
    whole = weights.astype(np.int32, copy=False)
    most = int(whole.max(initial=0))
    largest = max(int(totals.max(initial=0)), most * max((count for count, _ in order.single), default=0))
    table = _c_ln_c_table(largest)
    taken_once = (whole > 0).astype(float)
    for count, how_many in order.single:
        c_ln_c += table[: most * count + 1 : count][whole] @ how_many
        types += taken_once @ how_many
    if len(order.shared_starts):
        taken = whole.T  # one row a reply: gathering rows is gathering contiguous memory
        counts = np.add.reduceat(taken[order.shared_replies] * order.shared_counts[:, None], order.shared_starts)
        c_ln_c += table[counts].sum(axis=0)
        types += (counts > 0).sum(axis=0)
    some = np.maximum(totals, 1)
    entropy = np.where(totals > 0, np.log(some) - c_ln_c / some, 0.0)
    return np.maximum(entropy, 0.0), types / some


def _c_ln_c_table(largest: int) -> np.ndarray:
    counts = np.arange(largest + 1, dtype=float)
    table: np.ndarray = counts * np.log(np.maximum(counts, 1))
    return table
