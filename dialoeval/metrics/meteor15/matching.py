"""Candidate matches between the words of a reply and of a reference: exact, stem, synonym, paraphrase.

The module is compiled (see `native.py`): it imports numba and is imported only for that.

Candidates are kept in `table`, one column each, and chained by their start in the reference, in the order found:
`head[i]`, `table[NEXT, c]`. `counts` holds at 0 how many there are; once they do not fit, they are only counted.
"""

from __future__ import annotations

import numpy as np

from dialoeval.metrics.meteor15.stemming import compiled

EXACT, STEM, SYNONYM, PARAPHRASE = 0, 1, 2, 3
START, LENGTH, HYPOTHESIS_START, HYPOTHESIS_LENGTH, MODULE, NEXT = 0, 1, 2, 3, 4, 5  # rows of `table`


@compiled
def _add(start, length, hyp_start, hyp_length, module, table, head, tail, hyp_cover, ref_cover, counts):
    candidate = counts[0]
    counts[0] += 1
    if candidate >= table.shape[1]:
        return
    table[START, candidate] = start
    table[LENGTH, candidate] = length
    table[HYPOTHESIS_START, candidate] = hyp_start
    table[HYPOTHESIS_LENGTH, candidate] = hyp_length
    table[MODULE, candidate] = module
    table[NEXT, candidate] = -1
    if head[start] < 0:
        head[start] = candidate
    else:
        table[NEXT, tail[start]] = candidate
    tail[start] = candidate
    for k in range(length):
        ref_cover[start + k] += 1
    for k in range(hyp_length):
        hyp_cover[hyp_start + k] += 1


@compiled
def _share_set(sets, a, a_end, b, b_end):
    """Whether two sorted stretches of `sets` have a member in common."""
    while a < a_end and b < b_end:
        if sets[a] == sets[b]:
            return True
        if sets[a] < sets[b]:
            a += 1
        else:
            b += 1
    return False


@compiled
def _match_words(module, hyp, ref, hashes, stems, ranges, masks, sets, table, head, tail, hyp_cover, ref_cover, counts):
    """One-word candidates. "Different words" means different hashes: colliding words count as the same word."""
    for i in range(ref.shape[0]):
        b = ref[i]
        for j in range(hyp.shape[0]):
            a = hyp[j]
            if module == EXACT:
                found = hashes[a] == hashes[b]
            elif module == STEM:
                found = stems[a] == stems[b] and hashes[a] != hashes[b]
            else:
                found = (
                    masks[a] & masks[b] != 0
                    and hashes[a] != hashes[b]
                    and _share_set(sets, ranges[a, 0], ranges[a, 1], ranges[b, 0], ranges[b, 1])
                )
            if found:
                _add(i, 1, j, 1, module, table, head, tail, hyp_cover, ref_cover, counts)


@compiled
def find_child(keys, children, node, word):
    """The node of the phrase trie that `word` leads to from `node`, or -1. Open addressing over 2^k places."""
    mask = np.uint64(keys.shape[0] - 1)
    key = np.int64(node) << 16 | np.int64(word)
    slot = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)) & mask
    while keys[slot] >= 0:
        if keys[slot] == key:
            return children[slot]
        slot = slot + np.uint64(1) & mask
    return -1


@compiled
def _match_phrases(
    looked_up_in_reference,
    source,
    target,
    known,
    keys,
    children,
    first,
    stream,
    table,
    head,
    tail,
    hyp_cover,
    ref_cover,
    counts,
):
    """Candidates of the table's phrases in `source` and their paraphrases in `target`.

    `known[w]` is a word's number in the vocabulary, whose first 65,536 at most are the table's own words. Node n's
    paraphrases are ``stream[first[n]:first[n + 1]]``, each its length and its words, in the table's order.
    """
    present = np.uint64(0)
    for j in range(target.shape[0]):
        if known[target[j]] >= 0:
            present |= np.uint64(1) << np.uint64(known[target[j]] & 63)
    for i in range(source.shape[0]):
        node = 0
        for depth in range(source.shape[0] - i):
            word = known[source[i + depth]]
            node = find_child(keys, children, node, word) if 0 <= word < 65536 else -1
            if node < 0:
                break
            place = first[node]
            while place < first[node + 1]:
                size = np.int64(stream[place])
                if present >> np.uint64(stream[place + 1] & 63) & np.uint64(1) != 0:
                    for j in range(target.shape[0] - size + 1):
                        equal = True
                        for k in range(size):
                            if known[target[j + k]] != stream[place + 1 + k]:
                                equal = False
                                break
                        if not equal:
                            continue
                        if looked_up_in_reference:
                            _add(i, depth + 1, j, size, PARAPHRASE, table, head, tail, hyp_cover, ref_cover, counts)
                        else:
                            _add(j, size, i, depth + 1, PARAPHRASE, table, head, tail, hyp_cover, ref_cover, counts)
                place += 1 + size


@compiled
def find_candidates(
    hyp,
    ref,
    modules,
    hashes,
    stems,
    known,
    ranges,
    masks,
    sets,
    keys,
    children,
    first,
    stream,
    table,
    head,
    tail,
    hyp_cover,
    ref_cover,
    counts,
):
    """List the candidates of one pair (`hyp` and `ref`: numbers of words), module by module."""
    counts[0] = 0
    head[:] = -1
    hyp_cover[:] = 0
    ref_cover[:] = 0
    same = hyp.shape[0] == ref.shape[0]
    if same:
        for i in range(hyp.shape[0]):
            if hashes[hyp[i]] != hashes[ref[i]]:
                same = False
                break
    for m in range(1 if same else modules.shape[0]):  # equal sentences: the first module alone
        module = modules[m]
        if module == PARAPHRASE:
            _match_phrases(
                True, ref, hyp, known, keys, children, first, stream, table, head, tail, hyp_cover, ref_cover, counts
            )
            _match_phrases(
                False, hyp, ref, known, keys, children, first, stream, table, head, tail, hyp_cover, ref_cover, counts
            )
        else:
            _match_words(
                module, hyp, ref, hashes, stems, ranges, masks, sets, table, head, tail, hyp_cover, ref_cover, counts
            )
