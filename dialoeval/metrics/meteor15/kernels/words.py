"""What the matchers need to know of each word: hash, hash of the stem, number in the vocabulary, synonym sets."""

from __future__ import annotations

import numpy as np

from dialoeval.metrics.meteor15 import hash_tables
from dialoeval.metrics.meteor15.kernels.compiler import compiled
from dialoeval.metrics.meteor15.kernels.stemmer import S, stem
from dialoeval.metrics.meteor15.kernels.suffixes import (
    ends_with,
    parse_rules,
    replace_suffix,
    same_units,
    suffix_table,
)
from dialoeval.metrics.meteor15.layout import U16, BaseForms, I32Matrix, Scratch, Spelling, Synonyms, Vocabulary, Words

# The endings of WordNet 3.0's morphology (morph.c): of nouns, verbs and adjectives, in its order.
NOUN_ENDINGS = "s> ses>s xes>x zes>z ches>ch shes>sh men>man ies>y"
VERB_ENDINGS = "s> ies>y es>e es> ed>e ed> ing>e ing>"
ADJECTIVE_ENDINGS = "er> est> er>e est>e"
ENDINGS = suffix_table(parse_rules(f"{NOUN_ENDINGS} {VERB_ENDINGS} {ADJECTIVE_ENDINGS}"))
SET_FACTOR, SET_SHIFT = 40503, 4  # hash of a synonym set's number to one of 64 bits

word_slot = compiled(hash_tables.word_slot)


@compiled
def string_hash(units: U16, start: int, end: int) -> np.uint32:
    """Return Java's 32-bit hash of ``units[start:end]``."""
    value = np.uint32(0)
    for i in range(start, end):
        value = np.uint32(value * hash_tables.JAVA_FACTOR + units[i])
    return value


@compiled
def find_word(units: U16, start: int, end: int, vocabulary: Vocabulary) -> int:
    """Return the vocabulary's number of the word ``units[start:end]``, or -1."""
    mask = np.uint64(vocabulary.slots.shape[0] - 1)
    slot = word_slot(np.uint64(string_hash(units, start, end)), mask)
    while vocabulary.slots[slot] >= 0:
        word: int = vocabulary.slots[slot]
        begin = vocabulary.offsets[word]
        if vocabulary.offsets[word + 1] - begin == end - start and same_units(
            vocabulary.letters, begin, units, start, end - start
        ):
            return word
        slot = slot + np.uint64(1) & mask
    return -1


@compiled
def find_base(scratch: Scratch, length: int, vocabulary: Vocabulary, own: I32Matrix) -> int:
    """Return the vocabulary's number of the base form of ``scratch.word[:length]`` by WordNet's endings, or -1.

    Only words with synonym sets of their own (`Synonyms.own`) count as base forms. Words of two letters and words in
    -ss are their own base forms.
    """
    word = scratch.word
    if length <= 2 or (word[length - 1] == S and word[length - 2] == S):
        return find_word(word, 0, length, vocabulary)
    for row in range(ENDINGS.numbers.shape[0]):
        if ends_with(word, length, ENDINGS, row):
            for k in range(length):
                scratch.base[k] = word[k]
            base = find_word(scratch.base, 0, replace_suffix(scratch.base, length, ENDINGS, row), vocabulary)
            if base >= 0 and own[base, 1] > own[base, 0]:
                return base
    return -1


@compiled
def describe_words(
    spelling: Spelling, vocabulary: Vocabulary, synonyms: Synonyms, words: Words, scratch: Scratch
) -> None:
    """Fill in `words` (all but `functions` and `sets`) for each word of `spelling`.

    A word outside the vocabulary gets the synonym sets of its base form.
    """
    for w in range(words.known.shape[0]):
        start, end = spelling.offsets[w], spelling.offsets[w + 1]
        length = end - start
        for k in range(length):
            scratch.word[k] = spelling.letters[start + k]
        words.hashes[w] = string_hash(spelling.letters, start, end)
        known = words.known[w] = find_word(spelling.letters, start, end, vocabulary)
        words.ranges[w, 0] = words.ranges[w, 1] = 0
        if known >= 0:
            words.ranges[w, 0], words.ranges[w, 1] = synonyms.all_sets[known, 0], synonyms.all_sets[known, 1]
        else:
            base = find_base(scratch, length, vocabulary, synonyms.own)
            if base >= 0:
                words.ranges[w, 0], words.ranges[w, 1] = synonyms.own[base, 0], synonyms.own[base, 1]
        mask = np.uint64(0)
        for k in range(words.ranges[w, 0], words.ranges[w, 1]):
            mask |= np.uint64(1) << np.uint64((synonyms.sets[k] * SET_FACTOR >> SET_SHIFT) & 63)
        words.masks[w] = mask
        words.stems[w] = string_hash(scratch.word, 0, stem(scratch.word, length))


@compiled
def find_base_forms(vocabulary: Vocabulary, synonyms: Synonyms, base_forms: BaseForms, scratch: Scratch) -> None:
    """Fill in `base_forms` for each word of the vocabulary."""
    for w in range(base_forms.numbers.shape[0]):
        start = vocabulary.offsets[w]
        length = vocabulary.offsets[w + 1] - start
        for k in range(length):
            scratch.word[k] = vocabulary.letters[start + k]
        base_forms.numbers[w] = find_base(scratch, length, vocabulary, synonyms.own)
