"""Entropy and distinct-n of replies: the paper's diversity figures, from n-gram counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.metrics.ngrams import code_words, count_by, ngrams

ENTROPY_ORDERS = 4
DISTINCT_ORDERS = 2
_BLOCK = 128  # resamples computed at a time, which bounds memory


@dataclass(frozen=True)
class _Order:
    """Counts of one n-gram order, separate for n-grams in a single reply and n-grams shared by several.

    Attributes:
        totals: (n,) number of n-grams in each reply.
        single: (c, (n,) number of n-grams that occur c times in this reply and in no other), for each count c.
        shared_replies: (S,) replies that contain a shared n-gram, sorted by n-gram.
        shared_counts: (S,) how often they contain it.
        shared_starts: (G,) offset of each shared n-gram in `shared_replies` and `shared_counts`.
    """

    totals: np.ndarray
    single: tuple[tuple[int, np.ndarray], ...]
    shared_replies: np.ndarray
    shared_counts: np.ndarray
    shared_starts: np.ndarray


class Diversity:
    """N-gram counts of n replies, from which the figures of any resample follow."""

    def __init__(self, words: Sequence[Sequence[str]]) -> None:
        ids, sentences, _ = code_words(words)
        self.replies = len(words)
        self.orders = tuple(
            _split(grams.ids, grams.sentences, grams.types, self.replies)
            for grams in ngrams(ids, sentences, ENTROPY_ORDERS)
        )

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return (m,) values of entropy1..4 (nats) and distinct1..2 (0..1).

        entropy-n is -sum(p ln p) over the n-gram distribution of all replies, distinct-n is distinct n-grams / n-grams.
        Both are 0 without n-grams.

        Args:
            weights: (m, n) integers, how often each reply is counted; None counts each once, with m = 1.
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
        return figures


def _split(ids: np.ndarray, sentences: np.ndarray, types: int, replies: int) -> _Order:
    grams, owners, counts = count_by(ids, sentences, replies)  # sorted by n-gram
    is_single = np.bincount(grams, minlength=types)[grams] == 1
    single = tuple(
        (int(c), np.bincount(owners[is_single & (counts == c)], minlength=replies).astype(float))
        for c in np.unique(counts[is_single])
    )
    shared = grams[~is_single]
    starts = np.flatnonzero(np.r_[True, shared[1:] != shared[:-1]]) if len(shared) else np.zeros(0, dtype=np.int64)
    totals = np.bincount(sentences, minlength=replies).astype(float)
    return _Order(totals, single, owners[~is_single], counts[~is_single].astype(np.int32), starts)


def _figures(order: _Order, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (entropy, distinct), each (m,). With counts c and their sum N, entropy = ln N - sum(c ln c) / N."""
    totals = weights @ order.totals
    types = np.zeros(len(weights))
    c_ln_c = np.zeros(len(weights))
    weights = weights.astype(np.int32, copy=False)
    max_weight = int(weights.max(initial=0))
    largest = max(int(totals.max(initial=0)), max_weight * max((count for count, _ in order.single), default=0))
    table = _c_ln_c_table(largest)
    is_drawn = (weights > 0).astype(float)
    for count, ngrams_by_reply in order.single:
        c_ln_c += table[: max_weight * count + 1 : count][weights] @ ngrams_by_reply
        types += is_drawn @ ngrams_by_reply
    if len(order.shared_starts):
        by_reply = weights.T  # one row for each reply, so that the gathered rows are contiguous
        counts = np.add.reduceat(by_reply[order.shared_replies] * order.shared_counts[:, None], order.shared_starts)
        c_ln_c += table[counts].sum(axis=0)
        types += (counts > 0).sum(axis=0)
    divisors = np.maximum(totals, 1)
    entropy = np.where(totals > 0, np.log(divisors) - c_ln_c / divisors, 0.0)
    return np.maximum(entropy, 0.0), types / divisors


def _c_ln_c_table(largest: int) -> np.ndarray:
    """Return (largest + 1,) c ln c for c = 0 .. largest, with 0 ln 0 = 0."""
    counts = np.arange(largest + 1, dtype=float)
    table: np.ndarray = counts * np.log(np.maximum(counts, 1))
    return table
