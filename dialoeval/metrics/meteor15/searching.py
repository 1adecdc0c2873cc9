"""The beam search for the best alignment among the candidates, with METEOR 1.5's rules for ties.

The module is compiled (see `native.py`): it imports numba and is imported only for that.

A path is a column of `state` (rows below), of `hyp_used` (one bit a word of the reply) and of `ref_used`. Paths live
in two banks of BEAM columns; a step that branches copies the survivors into the other bank.
"""

from __future__ import annotations

import numpy as np

from dialoeval.metrics.meteor15.matching import EXACT, HYPOTHESIS_LENGTH, HYPOTHESIS_START, LENGTH, MODULE, NEXT, START
from dialoeval.metrics.meteor15.stemming import compiled

BEAM = 40
# A path's weight matched (reply + reference), chunks closed, distance; the end of its last match in the reference and
# (-1 where no chunk is open) in the reply; the newest of its matches in the chain of `taken`.
WEIGHT, CHUNKS, DISTANCE, REF_END, HYP_END, NEWEST = 0, 1, 2, 3, 4, 5
PARENT, CANDIDATE = 6, 7  # further rows of a survivor
STATE_ROWS = 8


@compiled
def _set(bits, column, start, length):
    for k in range(start, start + length):
        bits[column, k >> 6] |= np.uint64(1) << np.uint64(k & 63)


@compiled
def _any_set(bits, column, start, length):
    for k in range(start, start + length):  # noqa: SIM110 - numba takes no generators
        if bits[column, k >> 6] >> np.uint64(k & 63) & np.uint64(1) != 0:
            return True
    return False


@compiled
def _weight(table, c):
    """A match's weight on both sides: exact 1, all else 0.5 a word, cut down to whole numbers on each side."""
    if table[MODULE, c] == EXACT:
        return table[LENGTH, c] + table[HYPOTHESIS_LENGTH, c]
    return (table[LENGTH, c] >> 1) + (table[HYPOTHESIS_LENGTH, c] >> 1)


@compiled
def _survive(survivors, count, weight, chunks, distance, ref_end, hyp_end, newest, parent, candidate):
    """Insert a path into the first BEAM of a stable sort: more weight, fewer chunks, less distance; how many now."""
    place = count
    while place > 0:
        before = place - 1
        if survivors[WEIGHT, before] != weight:
            if survivors[WEIGHT, before] > weight:
                break
        elif survivors[CHUNKS, before] != chunks:
            if survivors[CHUNKS, before] < chunks:
                break
        elif survivors[DISTANCE, before] <= distance:
            break
        place = before
    if place >= BEAM:
        return count
    last = min(count, BEAM - 1)
    for k in range(last, place, -1):
        for row in range(STATE_ROWS):
            survivors[row, k] = survivors[row, k - 1]
    survivors[WEIGHT, place] = weight
    survivors[CHUNKS, place] = chunks
    survivors[DISTANCE, place] = distance
    survivors[REF_END, place] = ref_end
    survivors[HYP_END, place] = hyp_end
    survivors[NEWEST, place] = newest
    survivors[PARENT, place] = parent
    survivors[CANDIDATE, place] = candidate
    return last + 1


@compiled
def _fix(table, head, hyp_cover, ref_cover, chosen, hyp_used, ref_used):
    """Take the matches that nothing else competes with; `chosen[i]` is the candidate at reference place i, or -1."""
    for i in range(head.shape[0]):
        chosen[i] = -1
        c = head[i]
        if c < 0 or table[NEXT, c] >= 0:
            continue
        alone = True
        for k in range(table[LENGTH, c]):
            alone &= ref_cover[i + k] == 1
        for k in range(table[HYPOTHESIS_LENGTH, c]):
            alone &= hyp_cover[table[HYPOTHESIS_START, c] + k] == 1
        if alone:
            chosen[i] = c
            _set(ref_used, 0, i, table[LENGTH, c])
            _set(hyp_used, 0, table[HYPOTHESIS_START, c], table[HYPOTHESIS_LENGTH, c])


@compiled
def _step(i, table, head, fixed, state, hyp_used, ref_used, base, order, count, survivors):
    """Move every path over reference place i into `survivors`; (how many survive, whether a path branched)."""
    kept = 0
    branched = False
    for rank in range(count):
        path = order[rank]
        weight, chunks, distance = state[WEIGHT, path], state[CHUNKS, path], state[DISTANCE, path]
        ref_end, hyp_end, newest = state[REF_END, path], state[HYP_END, path], state[NEWEST, path]
        if _any_set(ref_used, base + path, i, 1):
            if i >= ref_end:  # not inside the last match: a fixed one starts here
                start = table[HYPOTHESIS_START, fixed]
                weight += _weight(table, fixed)
                chunks += hyp_end != -1 and start != hyp_end
                distance += abs(i - start)
                ref_end, hyp_end = i + table[LENGTH, fixed], start + table[HYPOTHESIS_LENGTH, fixed]
        else:
            c = head[i]
            while c >= 0:
                start, length = table[HYPOTHESIS_START, c], table[HYPOTHESIS_LENGTH, c]
                if not _any_set(ref_used, base + path, i, table[LENGTH, c]) and not _any_set(
                    hyp_used, base + path, start, length
                ):
                    branched = True
                    closes = hyp_end != -1 and start != hyp_end
                    kept = _survive(
                        survivors,
                        kept,
                        weight + _weight(table, c),
                        chunks + closes,
                        distance,
                        i + table[LENGTH, c],
                        start + length,
                        newest,
                        path,
                        c,
                    )
                    distance += abs(i - start)  # on the parent: what comes after it inherits the distance, not it
                c = table[NEXT, c]
            chunks += hyp_end != -1
            hyp_end = -1
        kept = _survive(survivors, kept, weight, chunks, distance, ref_end, hyp_end, newest, path, -1)
    return kept, branched


@compiled
def _branch(survivors, kept, table, state, hyp_used, ref_used, base, taken, n_taken):
    """Copy the survivors into the other bank of columns; how many links `taken` holds now."""
    other = BEAM - base
    for k in range(kept):
        parent = survivors[PARENT, k]
        for w in range(hyp_used.shape[1]):
            hyp_used[other + k, w] = hyp_used[base + parent, w]
        for w in range(ref_used.shape[1]):
            ref_used[other + k, w] = ref_used[base + parent, w]
        for row in range(NEWEST + 1):
            state[row, k] = survivors[row, k]
        c = survivors[CANDIDATE, k]
        if c >= 0:
            _set(ref_used, other + k, table[START, c], table[LENGTH, c])
            _set(hyp_used, other + k, table[HYPOTHESIS_START, c], table[HYPOTHESIS_LENGTH, c])
            taken[n_taken, 0] = survivors[NEWEST, k]
            taken[n_taken, 1] = c
            state[NEWEST, k] = n_taken
            n_taken += 1
    return n_taken


@compiled
def search(table, head, hyp_cover, ref_cover, chosen, state, hyp_used, ref_used, order, survivors, taken):
    """Choose an alignment: `chosen[i]` becomes the candidate that starts at reference place i, or -1.

    Scratch: `state` and `survivors` (STATE_ROWS, BEAM), `hyp_used` and `ref_used` (2 BEAM, words / 64), `order`
    (BEAM,), `taken` (BEAM times the reference's words, 2): links (previous link, candidate).
    """
    hyp_used[0, :] = 0
    ref_used[0, :] = 0
    _fix(table, head, hyp_cover, ref_cover, chosen, hyp_used, ref_used)
    base = 0
    count = 1
    n_taken = 0
    order[0] = 0
    state[WEIGHT, 0] = state[CHUNKS, 0] = state[DISTANCE, 0] = state[REF_END, 0] = 0
    state[HYP_END, 0] = state[NEWEST, 0] = -1
    idle = True  # no path has an open chunk: a place without candidates changes nothing
    for i in range(head.shape[0]):
        if idle and head[i] < 0:
            continue
        kept, branched = _step(i, table, head, chosen[i], state, hyp_used, ref_used, base, order, count, survivors)
        if branched:
            n_taken = _branch(survivors, kept, table, state, hyp_used, ref_used, base, taken, n_taken)
            base = BEAM - base
        idle = True
        for k in range(kept):
            path = k
            if not branched:
                path = survivors[PARENT, k]
                for row in range(NEWEST + 1):
                    state[row, path] = survivors[row, k]
            order[k] = path
            idle &= state[HYP_END, path] == -1
        count = kept
    kept = 0
    for rank in range(count):
        path = order[rank]
        kept = _survive(
            survivors,
            kept,
            state[WEIGHT, path],
            state[CHUNKS, path] + (state[HYP_END, path] != -1),
            state[DISTANCE, path],
            0,
            0,
            state[NEWEST, path],
            path,
            -1,
        )
    link = survivors[NEWEST, 0]
    while link >= 0:
        chosen[table[START, taken[link, 1]]] = taken[link, 1]
        link = taken[link, 0]
