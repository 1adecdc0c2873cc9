"""N-grams of a few texts, counted in many others that stream by: only the few are in memory, as 64-bit hashes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
_BLOCK = 1 << 18  # words counted at a time
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplication modulo 2**64 loses nothing
_SEED = 20191101


@dataclass(frozen=True)
class Windows:
    """All n-grams of the few texts, in order.

    Attributes:
        text: (w,) index of the text.
        start: (w,) position in the text.
        count: (w,) how often the n-gram was counted in the other texts.
    """

    text: Ints
    start: Ints
    count: Ints


class Grams:
    """The n-grams of some texts and how often other texts contain each.

    Two different n-grams share a hash with a probability of 2**-64. An n-gram does not reach into another text.

    Args:
        texts: the words of each text.
        orders: the n that are counted.
    """

    def __init__(self, texts: Sequence[Sequence[str]], orders: Iterable[int]) -> None:
        self.orders = sorted(set(orders))
        self._vocabulary: dict[str, int] = {}
        for word in itertools.chain.from_iterable(texts):
            self._vocabulary.setdefault(word, len(self._vocabulary) + 1)
        random = np.random.default_rng(_SEED)
        self._values = random.integers(0, 2**64, size=len(self._vocabulary) + 1, dtype=np.uint64)
        lengths = np.array([len(words) for words in texts], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(lengths + 1)])[: len(texts)].astype(np.int64)
        self._ids = self._encoded(texts)
        self._hashes: dict[int, Hashes] = {}
        positions, hashes = self._single(self._ids)
        for n in range(1, max(self.orders) + 1):
            if n > 1:
                positions, hashes = self._longer(self._ids, positions, hashes, n)
            if not len(positions):
                break
            if n in self.orders:
                self._hashes[n] = np.unique(hashes)
        self._counts = {n: np.zeros(len(hashes), dtype=np.int64) for n, hashes in self._hashes.items()}
        self.words = 0

    def count(self, texts: Iterable[Sequence[str]]) -> None:
        """Count the n-grams of further texts in one pass; `words` grows by the number of their words."""
        block: list[Sequence[str]] = []
        size = 0
        for words in texts:
            block.append(words)
            size += len(words) + 1
            self.words += len(words)
            if size >= _BLOCK:
                self._count_block(block)
                block, size = [], 0
        if block:
            self._count_block(block)

    def windows(self, n: int) -> Windows:
        """Return all n-grams of the texts, for n one of the `orders`."""
        positions, hashes = self._single(self._ids)
        for order in range(2, n + 1):
            positions, hashes = self._longer(self._ids, positions, hashes, order)
        if not len(positions):
            return Windows(positions, positions, positions)
        counts = self._counts[n][np.searchsorted(self._hashes[n], hashes)]
        text = np.searchsorted(self._starts, positions, side="right") - 1
        return Windows(text, positions - self._starts[text], counts)

    def _count_block(self, texts: Sequence[Sequence[str]]) -> None:
        ids = self._encoded(texts)
        positions, hashes = self._single(ids)
        for n in range(1, max(self._hashes, default=0) + 1):
            if n > 1:
                positions, hashes = self._longer(ids, positions, hashes, n)
            if n in self._hashes:
                table = self._hashes[n]
                index = np.minimum(np.searchsorted(table, hashes), len(table) - 1)
                found = table[index] == hashes
                self._counts[n] += np.bincount(index[found], minlength=len(table))
                # a longer n-gram of the few texts begins with one of theirs: no other need be followed
                positions, hashes = positions[found], hashes[found]
            if not len(positions):
                return

    def _encoded(self, texts: Sequence[Sequence[str]]) -> Ints:
        """Return the words' numbers, with a 0 after each text and for words that the few texts lack."""
        get, end = self._vocabulary.get, (None,)
        words = itertools.chain.from_iterable(itertools.chain(text, end) for text in texts)
        return np.fromiter((get(word, 0) if word is not None else 0 for word in words), dtype=np.int64)

    def _single(self, ids: Ints) -> tuple[Ints, Hashes]:
        """Return positions and hashes of the words that the few texts have."""
        positions = np.flatnonzero(ids)
        return positions, self._values[ids[positions]]

    def _longer(self, ids: Ints, positions: Ints, hashes: Hashes, n: int) -> tuple[Ints, Hashes]:
        """Return positions and hashes of n-grams from those of their first n - 1 words.

        Every text ends with a 0, so that each position has a word or a 0 after its n - 1 words.
        """
        following = ids[positions + n - 1]
        kept = following != 0
        return positions[kept], hashes[kept] * _BASE + self._values[following[kept]]
