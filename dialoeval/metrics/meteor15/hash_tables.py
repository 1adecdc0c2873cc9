"""Open-addressing hash tables: their hash functions, shared with the compiled loops, and how they are filled."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

JAVA_FACTOR = np.uint32(31)  # java.lang.String.hashCode: h = 31 h + code unit
_PHRASE_FACTOR, _PHRASE_SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(40)  # 2^64 over the golden ratio
_WORD_FACTOR, _WORD_SHIFT = np.uint64(0x9E3779B1), np.uint64(8)  # 2^32 over the golden ratio, to the next prime
_LOW_32_BITS = np.uint64(0xFFFFFFFF)

Unsigned = TypeVar("Unsigned", np.uint64, NDArray[np.uint64])


def phrase_slot(key: Unsigned, mask: np.uint64) -> Unsigned:
    """Return the slot where the search for a trie key (node << 16 | word) begins in a table of ``mask + 1`` slots."""
    return key * _PHRASE_FACTOR >> _PHRASE_SHIFT & mask


def word_slot(word_hash: Unsigned, mask: np.uint64) -> Unsigned:
    """Return the slot where the search for a word with this 32-bit hash begins in a table of ``mask + 1`` slots."""
    return (word_hash * _WORD_FACTOR & _LOW_32_BITS) >> _WORD_SHIFT & mask


def table_size(entries: int) -> int:
    """Return a power of two, at least twice the number of entries."""
    return 1 << (2 * entries).bit_length()


def assign_slots(preferred: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Return a slot for each entry, all different: its preferred one or the next free one (linear probing)."""
    slots = preferred.astype(np.int64)
    taken = np.zeros(size, bool)
    waiting = np.arange(len(slots))
    while len(waiting):
        tried = slots[waiting]
        _, first = np.unique(tried, return_index=True)
        first = first[~taken[tried[first]]]
        taken[tried[first]] = True
        waiting = np.delete(waiting, first)
        slots[waiting] = slots[waiting] + 1 & size - 1
    return slots
