"""What the matchers need to know of each word: hash, stem's hash, place in the paraphrase table, synonym sets.

The module is compiled (see `native.py`): it imports numba and is imported only for that.
"""

from __future__ import annotations

import numba
import numpy as np

from dialoeval.metrics.meteor15.stemming import compiled, stem

# WordNet 3.0's morphology (morph.c): noun, verb and adjective endings and what replaces them, in its order.
_ENDINGS = [
    "s>",
    "ses>s",
    "xes>x",
    "zes>z",
    "ches>ch",
    "shes>sh",
    "men>man",
    "ies>y",
    "s>",
    "ies>y",
    "es>e",
    "es>",
    "ed>e",
    "ed>",
    "ing>e",
    "ing>",
    "er>",
    "est>",
    "er>e",
    "est>e",
]
_ENDING_LETTERS = np.zeros((len(_ENDINGS), 8), np.uint16)
_ENDING_SIZES = np.zeros((len(_ENDINGS), 2), np.int64)
for _row, _rule in enumerate(_ENDINGS):
    _suffix, _base = _rule.split(">")
    _ENDING_LETTERS[_row, : len(_suffix + _base)] = [ord(letter) for letter in _suffix + _base]
    _ENDING_SIZES[_row] = len(_suffix), len(_base)


@compiled
def string_hash(units, start, end):
    """The 32-bit polynomial hash of UTF-16 code units: h = 31 h + unit, wrapping."""
    value = np.uint32(0)
    for i in range(start, end):
        value = np.uint32(value * np.uint32(31) + units[i])
    return value


@compiled
def find_word(units, start, end, slots, offsets, letters):
    """The vocabulary's number of ``units[start:end]``, or -1. `slots` is an open-addressing table of 2^k places."""
    mask = np.uint32(slots.shape[0] - 1)
    slot = np.uint32(string_hash(units, start, end) * np.uint32(0x9E3779B1)) >> np.uint32(8) & mask
    while slots[slot] >= 0:
        word = slots[slot]
        low = offsets[word]
        if offsets[word + 1] - low == end - start:
            equal = True
            for k in range(end - start):
                if letters[low + k] != units[start + k]:
                    equal = False
                    break
            if equal:
                return word
        slot = slot + np.uint32(1) & mask
    return -1


@compiled
def find_base(word, length, scratch, slots, offsets, letters, own):
    """The vocabulary's number of the word's base form by the endings above, or -1.

    Only words with synonym sets of their own (`own`: first and last place of each word's) count as known.
    """
    if length <= 2 or (word[length - 1] == 115 and word[length - 2] == 115):  # short, or ...ss: left as it is
        return find_word(word, 0, length, slots, offsets, letters)
    for row in range(_ENDING_SIZES.shape[0]):
        size, added = _ENDING_SIZES[row, 0], _ENDING_SIZES[row, 1]
        if size > length:
            continue
        equal = True
        for k in range(size):
            if word[length - size + k] != _ENDING_LETTERS[row, k]:
                equal = False
                break
        if not equal:
            continue
        for k in range(length - size):
            scratch[k] = word[k]
        for k in range(added):
            scratch[length - size + k] = _ENDING_LETTERS[row, size + k]
        base = find_word(scratch, 0, length - size + added, slots, offsets, letters)
        if base >= 0 and own[base, 1] > own[base, 0]:
            return base
    return -1


@compiled
def describe(units, places, slots, offsets, letters, own, sets_of, sets, known, scratch, hashes, stems, ranges, masks):
    """Fill in what the matchers need for each word ``units[places[w]:places[w + 1]]``.

    `known[w]` becomes its number in the vocabulary or -1; `hashes` and `stems` the hashes of the word and its stem;
    `ranges[w]` the part of `sets` that holds its synonym sets (for a word that is not in the vocabulary, those of its
    base form); `masks` a 64-bit digest of these: two words without a common bit share no set. `scratch` has two rows
    longer than any word.
    """
    for w in range(known.shape[0]):
        start, end = places[w], places[w + 1]
        length = end - start
        hashes[w] = string_hash(units, start, end)
        known[w] = find_word(units, start, end, slots, offsets, letters)
        for k in range(length):
            scratch[0, k] = units[start + k]
        if known[w] >= 0:
            ranges[w, 0], ranges[w, 1] = sets_of[known[w], 0], sets_of[known[w], 1]
        else:
            base = find_base(scratch[0], length, scratch[1], slots, offsets, letters, own)
            if base >= 0:
                ranges[w, 0], ranges[w, 1] = own[base, 0], own[base, 1]
            else:
                ranges[w, 0] = ranges[w, 1] = 0
        mask = np.uint64(0)
        for k in range(ranges[w, 0], ranges[w, 1]):
            mask |= np.uint64(1) << np.uint64((sets[k] * 40503 >> 4) & 63)
        masks[w] = mask
        stems[w] = string_hash(scratch[0], 0, stem(scratch[0], length))


@compiled
def find_bases(units, places, slots, offsets, letters, own, scratch, bases):
    """`bases[w]`: the number of each word's base form (`find_base`), or -1."""
    for w in range(bases.shape[0]):
        length = places[w + 1] - places[w]
        for k in range(length):
            scratch[0, k] = units[places[w] + k]
        bases[w] = find_base(scratch[0], length, scratch[1], slots, offsets, letters, own)


__all__ = ["describe", "find_bases", "find_word", "numba", "string_hash"]
