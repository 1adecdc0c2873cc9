"""Candidate matches between the words of a reply and of a reference: exact, stem, synonym, paraphrase."""

from __future__ import annotations

import numpy as np

from dialoeval.metrics.meteor15 import hash_tables
from dialoeval.metrics.meteor15.kernels.compiler import compiled
from dialoeval.metrics.meteor15.layout import (
    EXACT,
    HYP_LENGTH,
    HYP_START,
    I32,
    I64,
    LENGTH,
    MODULE,
    NEXT,
    PARAPHRASE,
    START,
    STEM,
    TABLE_WORDS,
    Candidates,
    I32Matrix,
    Int,
    Phrases,
    Words,
)

phrase_slot = compiled(hash_tables.phrase_slot)


@compiled
def _add(candidates: Candidates, module: int, start: int, length: Int, hyp_start: int, hyp_length: Int) -> None:
    c = candidates.total[0]
    candidates.total[0] += 1
    table, head, tail = candidates.table, candidates.head, candidates.tail
    if c >= table.shape[1]:
        return
    table[START, c] = start
    table[LENGTH, c] = length
    table[HYP_START, c] = hyp_start
    table[HYP_LENGTH, c] = hyp_length
    table[MODULE, c] = module
    table[NEXT, c] = -1
    if head[start] < 0:
        head[start] = c
    else:
        table[NEXT, tail[start]] = c
    tail[start] = c
    for k in range(length):
        candidates.ref_cover[start + k] += 1
    for k in range(hyp_length):
        candidates.hyp_cover[hyp_start + k] += 1


@compiled
def _share_set(sets: I32, ranges: I32Matrix, a: int, b: int) -> bool:
    """Return whether two words have a synonym set in common."""
    i, i_end = ranges[a, 0], ranges[a, 1]
    j, j_end = ranges[b, 0], ranges[b, 1]
    while i < i_end and j < j_end:
        if sets[i] == sets[j]:
            return True
        if sets[i] < sets[j]:
            i += 1
        else:
            j += 1
    return False


@compiled
def _match_words(module: int, hyp: I32, ref: I32, words: Words, candidates: Candidates) -> None:
    """List the one-word candidates of a module. Words are different if their hashes differ, as in the jar."""
    for i in range(ref.shape[0]):
        b = ref[i]
        for j in range(hyp.shape[0]):
            a = hyp[j]
            if module == EXACT:
                matches = words.hashes[a] == words.hashes[b]
            elif module == STEM:
                matches = words.stems[a] == words.stems[b] and words.hashes[a] != words.hashes[b]
            else:
                matches = (
                    words.masks[a] & words.masks[b] != 0
                    and words.hashes[a] != words.hashes[b]
                    and _share_set(words.sets, words.ranges, a, b)
                )
            if matches:
                _add(candidates, module, i, 1, j, 1)


@compiled
def _find_child(keys: I64, children: I32, node: int, word: int) -> int:
    """Return the node that `word` leads to from `node`, or -1."""
    mask = np.uint64(keys.shape[0] - 1)
    key = np.int64(node) << 16 | np.int64(word)
    slot = phrase_slot(np.uint64(key), mask)
    while keys[slot] >= 0:
        if keys[slot] == key:
            child: int = children[slot]
            return child
        slot = slot + np.uint64(1) & mask
    return -1


@compiled
def _word_bits(text: I32, known: I32) -> np.uint64:
    """Return a 64-bit digest of the vocabulary's words in a text."""
    bits = np.uint64(0)
    for j in range(text.shape[0]):
        if known[text[j]] >= 0:
            bits |= np.uint64(1) << np.uint64(known[text[j]] & 63)
    return bits


@compiled
def _match_phrases(
    from_reference: bool, source: I32, target: I32, known: I32, phrases: Phrases, candidates: Candidates
) -> None:
    """List the candidates between the phrases of `source` and their paraphrases in `target`.

    Args:
        from_reference: whether `source` is the reference and `target` the reply, or the other way round.
        source: words of the phrases.
        target: words of the paraphrases.
        known: numbers in the vocabulary, which begins with the words of the paraphrase table.
        phrases: the paraphrase table.
        candidates: the list to extend.
    """
    target_bits = _word_bits(target, known)
    stream = phrases.stream
    for i in range(source.shape[0]):
        node = 0
        for depth in range(source.shape[0] - i):
            word = known[source[i + depth]]
            node = _find_child(phrases.keys, phrases.children, node, word) if 0 <= word < TABLE_WORDS else -1
            if node < 0:
                break
            position = phrases.first[node]
            while position < phrases.first[node + 1]:
                size = np.int64(stream[position])
                begin = position + 1
                position = begin + size
                if target_bits >> np.uint64(stream[begin] & 63) & np.uint64(1) == 0:
                    continue  # the paraphrase's first word is not in `target`
                for j in range(target.shape[0] - size + 1):
                    equal = True
                    for k in range(size):
                        if known[target[j + k]] != stream[begin + k]:
                            equal = False
                            break
                    if equal and from_reference:
                        _add(candidates, PARAPHRASE, i, depth + 1, j, size)
                    elif equal:
                        _add(candidates, PARAPHRASE, j, size, i, depth + 1)


@compiled
def _same_words(hyp: I32, ref: I32, words: Words) -> bool:
    if hyp.shape[0] != ref.shape[0]:
        return False
    for i in range(hyp.shape[0]):  # noqa: SIM110 - numba does not compile generators
        if words.hashes[hyp[i]] != words.hashes[ref[i]]:
            return False
    return True


@compiled
def find_candidates(hyp: I32, ref: I32, words: Words, phrases: Phrases, modules: I32, candidates: Candidates) -> None:
    """List the candidates of one pair (`hyp` and `ref`: word numbers), module by module.

    Between equal texts only the first module runs, as in the jar.
    """
    candidates.total[0] = 0
    candidates.head[:] = -1
    candidates.hyp_cover[:] = 0
    candidates.ref_cover[:] = 0
    for m in range(1 if _same_words(hyp, ref, words) else modules.shape[0]):
        if modules[m] == PARAPHRASE:
            _match_phrases(True, ref, hyp, words.known, phrases, candidates)
            _match_phrases(False, hyp, ref, words.known, phrases, candidates)
        else:
            _match_words(modules[m], hyp, ref, words, candidates)
