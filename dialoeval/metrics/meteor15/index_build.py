"""Compile METEOR's language data into the arrays of its index."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialoeval.errors import UserError
from dialoeval.metrics.meteor15 import source
from dialoeval.metrics.meteor15.hash_tables import JAVA_FACTOR, assign_slots, phrase_slot, table_size, word_slot
from dialoeval.metrics.meteor15.index_file import Tables
from dialoeval.metrics.meteor15.layout import (
    TABLE_WORDS,
    BaseForms,
    Phrases,
    Scratch,
    Synonyms,
    Vocabulary,
)
from dialoeval.metrics.meteor15.machine_code import Kernels

_ENTRIES = 5_300_000  # of the English paraphrase table, for the progress bar


class _Numbers(dict[str, int]):
    """Numbers of words, in the order of their first look-up."""

    def __missing__(self, key: str) -> int:
        self[key] = number = len(self)
        return number


class _BytesNumbers(dict[bytes, int]):
    """`_Numbers` by a word's UTF-8 bytes, each decoded only once."""

    def __init__(self, numbers: _Numbers) -> None:
        self._numbers = numbers

    def __missing__(self, key: bytes) -> int:
        self[key] = number = self._numbers[key.decode("utf-8")]
        return number


def build(kernels: Kernels, *, progress: bool = False) -> Tables:
    """Read the language data and return its tables.

    Raises:
        UserError: pycocoevalcap is missing, damaged, or not METEOR 1.5's.
    """
    jar, paraphrases = source.files()
    lexicon = source.Lexicon(jar)
    numbers = _Numbers()
    phrases = _phrases(paraphrases, numbers, progress)
    if len(numbers) > TABLE_WORDS:
        raise UserError(f"{paraphrases} has {len(numbers)} different words; at most {TABLE_WORDS} can be indexed")
    for word in (*lexicon.synonym_sets, *lexicon.base_forms):
        numbers[word]
    vocabulary = _vocabulary(list(numbers))
    synonyms = _synonyms(numbers, lexicon, vocabulary, kernels)
    return Tables(vocabulary, synonyms, phrases, lexicon.function_words, lexicon.prefixes)


def _phrases(path: Path, numbers: _Numbers, progress: bool) -> Phrases:
    """Return the trie of phrases and the stream of their paraphrases."""
    from tqdm import tqdm

    nodes: dict[int, int] = {}  # node << 16 | word -> node; node 0 is the empty phrase
    starts: dict[int, int] = {}  # node of a phrase -> its offset in `stream`
    stream = array("H")
    word_numbers = _BytesNumbers(numbers)
    previous = None
    entries = tqdm(
        source.paraphrases(path),
        "indexing METEOR's paraphrases",
        _ENTRIES,
        disable=not progress,
        file=sys.stderr,
        mininterval=1,
    )
    try:
        for phrase, paraphrase in entries:
            if phrase != previous:
                node = 0
                for word in phrase.split():
                    key = node << 16 | word_numbers[word]
                    node = nodes.setdefault(key, len(nodes) + 1)
                if node in starts or node == 0:
                    raise UserError(f"{path} has phrase {phrase!r} twice or an empty phrase: not METEOR 1.5's table")
                starts[node] = len(stream)
                previous = phrase
            words = paraphrase.split()
            stream.append(len(words))
            stream.extend([word_numbers[word] for word in words])
    except OverflowError as error:
        raise UserError(f"{path} has more than {TABLE_WORDS} different words: not METEOR 1.5's table") from error
    return _trie(nodes, starts, np.frombuffer(stream, np.uint16))


def _trie(nodes: dict[int, int], starts: dict[int, int], stream: NDArray[np.uint16]) -> Phrases:
    """Return the trie as arrays, its nodes renumbered in the order of their stretches of `stream`."""
    # Phrases take numbers 1, 2, ... in the stream's order, so one array says where the paraphrases of each begin and
    # end; nodes that are not phrases follow, with empty stretches.
    order = np.full(len(nodes) + 1, -1, np.int64)
    order[0] = 0
    phrases = np.fromiter(starts, np.int64, len(starts))
    order[phrases] = 1 + np.arange(len(phrases))
    rest = np.flatnonzero(order < 0)
    order[rest] = 1 + len(phrases) + np.arange(len(rest))
    first = np.full(len(nodes) + 2, len(stream), np.int64)
    first[0] = 0
    first[1 : 1 + len(starts)] = np.fromiter(starts.values(), np.int64, len(starts))

    keys = np.fromiter(nodes, np.int64, len(nodes))
    keys = order[keys >> 16] << 16 | keys & 0xFFFF
    size = table_size(len(nodes))
    slots = assign_slots(phrase_slot(keys.astype(np.uint64), np.uint64(size - 1)), size)
    table_keys = np.full(size, -1, np.int64)
    children = np.full(size, -1, np.int32)
    table_keys[slots] = keys
    children[slots] = order[np.fromiter(nodes.values(), np.int64, len(nodes))]
    return Phrases(table_keys, children, first, stream)


def _vocabulary(words: list[str]) -> Vocabulary:
    """Return the words' letters and their hash table."""
    encoded = [word.encode("utf-16-le") for word in words]
    letters = np.frombuffer(b"".join(encoded), np.uint16)
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) // 2
    offsets = np.zeros(len(words) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    hashes = np.zeros(len(words), np.uint32)
    for k in range(int(lengths.max())):  # one letter of all words at once
        longer = np.flatnonzero(lengths > k)
        hashes[longer] = hashes[longer] * JAVA_FACTOR + letters[offsets[longer] + k]
    size = table_size(len(words))
    slots = np.full(size, -1, np.int32)
    slots[assign_slots(word_slot(hashes.astype(np.uint64), np.uint64(size - 1)), size)] = np.arange(len(words))
    return Vocabulary(letters, offsets, slots)


def _synonyms(numbers: _Numbers, lexicon: source.Lexicon, vocabulary: Vocabulary, kernels: Kernels) -> Synonyms:
    """Return each word's own synonym sets, and these with its base forms' sets.

    Base forms come from the list of irregular forms, or else from WordNet's endings.
    """
    sets = array("i")
    own = np.zeros((len(numbers), 2), np.int32)
    for word, set_numbers in lexicon.synonym_sets.items():
        own[numbers[word]] = len(sets), len(sets) + len(set_numbers)
        sets.extend(set_numbers)
    bases = BaseForms(np.zeros(len(numbers), np.int32))
    own_only = Synonyms(own, own, np.zeros(0, np.int32))
    kernels.call("find_base_forms", vocabulary, own_only, bases, Scratch.for_words(vocabulary.offsets))

    all_sets = own.copy()
    for word, number in numbers.items():
        if word in lexicon.base_forms:
            forms = [numbers[base] for base in lexicon.base_forms[word] if base in numbers]
        else:
            forms = [base for base in [int(bases.numbers[number])] if base >= 0]
        united = set(sets[own[number, 0] : own[number, 1]])
        own_count = len(united)
        for base in forms:
            united.update(sets[own[base, 0] : own[base, 1]])
        if len(united) > own_count:
            all_sets[number] = len(sets), len(sets) + len(united)
            sets.extend(sorted(united))
    return Synonyms(own, all_sets, np.frombuffer(sets, np.int32))
