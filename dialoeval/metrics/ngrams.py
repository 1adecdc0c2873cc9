"""Integer-coded n-grams of many sentences at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ngrams:
    """All n-grams of one order, in text order.

    Attributes:
        ids: (N,) which n-gram stands there: 0 .. types-1, equal numbers for equal n-grams.
        prefixes: (N,) which (n-1)-gram it begins with, in the numbering of the order below (zeros for order 1).
        sentences: (N,) the sentence that each belongs to.
        types: number of distinct n-grams.
    """

    ids: np.ndarray
    prefixes: np.ndarray
    sentences: np.ndarray
    types: int


def code_words(sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Number the words: returns (word ids (T,), sentence of each word (T,), the vocabulary)."""
    vocabulary: dict[str, int] = {}
    number = vocabulary.setdefault
    ids = np.fromiter((number(word, len(vocabulary)) for words in sentences for word in words), dtype=np.int64)
    lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
    return ids, np.repeat(np.arange(len(sentences)), lengths), vocabulary


def ngrams(words: np.ndarray, sentences: np.ndarray, orders: int) -> Iterator[Ngrams]:
    """Yield the n-grams of order 1 .. `orders` of the word ids `words` (T,) with their `sentences` (T,)."""
    vocabulary = int(words.max()) + 1 if len(words) else 0
    ids, types = words, vocabulary
    positions = np.arange(len(words))  # where the n-grams of the current order begin
    yield Ngrams(ids, np.zeros_like(ids), sentences, types)
    for order in range(2, orders + 1):
        kept = positions + order - 1 < len(words)
        kept[kept] = sentences[positions[kept]] == sentences[positions[kept] + order - 1]
        prefixes, positions = ids[kept], positions[kept]
        keys = prefixes * vocabulary + words[positions + order - 1]
        distinct, ids = np.unique(keys, return_inverse=True)
        types = len(distinct)
        yield Ngrams(ids, prefixes, sentences[positions], types)


def count_by(group: np.ndarray, ids: np.ndarray, types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count n-grams in each group: (groups, ids, counts), sorted by group, then id; only pairs that occur."""
    keys, counts = np.unique(group * max(types, 1) + ids, return_counts=True)
    return keys // max(types, 1), keys % max(types, 1), counts
