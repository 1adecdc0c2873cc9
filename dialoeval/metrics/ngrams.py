"""Integer-coded n-grams of many sentences at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ngrams:
    """All n-grams of one order, in text order.

    Attributes:
        ids: (N,) number of each n-gram, 0 .. types - 1; equal n-grams have equal numbers.
        prefixes: (N,) number of its first n - 1 words among the n-grams of the order below (zeros for order 1).
        sentences: (N,) index of its sentence.
        types: number of distinct n-grams.
    """

    ids: np.ndarray
    prefixes: np.ndarray
    sentences: np.ndarray
    types: int


def code_words(sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Return (word ids (T,), sentence index of each word (T,), {word: id})."""
    vocabulary: dict[str, int] = {}
    number = vocabulary.setdefault
    ids = np.fromiter((number(word, len(vocabulary)) for words in sentences for word in words), dtype=np.int64)
    lengths = np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences))
    return ids, np.repeat(np.arange(len(sentences)), lengths), vocabulary


def ngrams(words: np.ndarray, sentences: np.ndarray, orders: int) -> Iterator[Ngrams]:
    """Yield the n-grams of order 1 .. `orders` of the word ids `words` (T,) with their `sentences` (T,)."""
    vocabulary = int(words.max()) + 1 if len(words) else 0
    ids, types = words, vocabulary
    positions = np.arange(len(words))  # start of each n-gram of the current order
    yield Ngrams(ids, np.zeros_like(ids), sentences, types)
    for order in range(2, orders + 1):
        fits = positions + order - 1 < len(words)
        fits[fits] = sentences[positions[fits]] == sentences[positions[fits] + order - 1]
        prefixes, positions = ids[fits], positions[fits]
        keys = prefixes * vocabulary + words[positions + order - 1]
        distinct, ids = np.unique(keys, return_inverse=True)
        types = len(distinct)
        yield Ngrams(ids, prefixes, sentences[positions], types)


def count_by(group: np.ndarray, ids: np.ndarray, types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (groups, ids, counts): how often each n-gram occurs in each group, if at all; sorted by group, then id."""
    keys, counts = np.unique(group * max(types, 1) + ids, return_counts=True)
    return keys // max(types, 1), keys % max(types, 1), counts
