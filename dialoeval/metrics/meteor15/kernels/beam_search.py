"""The beam search for the best alignment among the candidates, with METEOR 1.5's rules for ties.

Paths live in two banks of BEAM_WIDTH rows of used words; a step that branches copies the survivors into the other bank.
"""

from __future__ import annotations

import numpy as np

from dialoeval.metrics.meteor15.kernels.compiler import compiled
from dialoeval.metrics.meteor15.layout import (
    BEAM_WIDTH,
    CANDIDATE,
    CHUNKS,
    DISTANCE,
    EXACT,
    HYP_END,
    HYP_LENGTH,
    HYP_START,
    I32,
    LENGTH,
    MODULE,
    NEWEST,
    NEXT,
    PARENT,
    PATH_ROWS,
    REF_END,
    START,
    WEIGHT,
    Beam,
    Candidates,
    I32Matrix,
    Path,
    U64Matrix,
)


@compiled
def _set_bits(bits: U64Matrix, row: int, start: int, length: int) -> None:
    for k in range(start, start + length):
        bits[row, k >> 6] |= np.uint64(1) << np.uint64(k & 63)


@compiled
def _any_bit(bits: U64Matrix, row: int, start: int, length: int) -> bool:
    for k in range(start, start + length):  # noqa: SIM110 - numba does not compile generators
        if bits[row, k >> 6] >> np.uint64(k & 63) & np.uint64(1) != 0:
            return True
    return False


@compiled
def _match_weight(table: I32Matrix, c: int) -> int:
    """Return a match's weight on both sides: 1 a word if exact, otherwise 0.5 a word, rounded down on each side."""
    weight: int = table[LENGTH, c] + table[HYP_LENGTH, c]
    if table[MODULE, c] != EXACT:
        weight = (table[LENGTH, c] >> 1) + (table[HYP_LENGTH, c] >> 1)
    return weight


@compiled
def _path(state: I32Matrix, column: int) -> Path:
    """Return the path in a column of `Beam.state`, as the parent of a survivor."""
    return Path(
        np.int64(state[WEIGHT, column]),
        np.int64(state[CHUNKS, column]),
        np.int64(state[DISTANCE, column]),
        np.int64(state[REF_END, column]),
        np.int64(state[HYP_END, column]),
        np.int64(state[NEWEST, column]),
        np.int64(column),
        np.int64(-1),
    )


@compiled
def _insert(survivors: I32Matrix, count: int, path: Path) -> int:
    """Insert a path among the best BEAM_WIDTH, and return how many there are.

    More weight is better, then fewer chunks, then less distance; among equals the earlier path stays first.
    """
    rank = count
    while rank > 0:
        other = rank - 1
        if survivors[WEIGHT, other] != path.weight:
            if survivors[WEIGHT, other] > path.weight:
                break
        elif survivors[CHUNKS, other] != path.chunks:
            if survivors[CHUNKS, other] < path.chunks:
                break
        elif survivors[DISTANCE, other] <= path.distance:
            break
        rank = other
    if rank >= BEAM_WIDTH:
        return count
    last = min(count, BEAM_WIDTH - 1)
    for k in range(last, rank, -1):
        for row in range(PATH_ROWS):
            survivors[row, k] = survivors[row, k - 1]
    survivors[WEIGHT, rank] = path.weight
    survivors[CHUNKS, rank] = path.chunks
    survivors[DISTANCE, rank] = path.distance
    survivors[REF_END, rank] = path.ref_end
    survivors[HYP_END, rank] = path.hyp_end
    survivors[NEWEST, rank] = path.newest
    survivors[PARENT, rank] = path.parent
    survivors[CANDIDATE, rank] = path.candidate
    return last + 1


@compiled
def _choose_uncontested(candidates: Candidates, beam: Beam) -> None:
    """Choose the candidates whose words no other candidate covers."""
    table = candidates.table
    for i in range(candidates.head.shape[0]):
        beam.chosen[i] = -1
        c = candidates.head[i]
        if c < 0 or table[NEXT, c] >= 0:
            continue
        alone = True
        for k in range(table[LENGTH, c]):
            alone &= candidates.ref_cover[i + k] == 1
        for k in range(table[HYP_LENGTH, c]):
            alone &= candidates.hyp_cover[table[HYP_START, c] + k] == 1
        if alone:
            beam.chosen[i] = c
            _set_bits(beam.ref_used, 0, i, table[LENGTH, c])
            _set_bits(beam.hyp_used, 0, table[HYP_START, c], table[HYP_LENGTH, c])


@compiled
def _advance(i: int, candidates: Candidates, beam: Beam, bank: int, count: int) -> tuple[int, bool]:
    """Move every path over word i of the reference into `beam.survivors`.

    Returns:
        How many paths survive, and whether any of them took a candidate.
    """
    table, survivors = candidates.table, beam.survivors
    n_survivors = 0
    branched = False
    for rank in range(count):
        column = beam.order[rank]
        weight, chunks, distance, ref_end, hyp_end, newest, _, _ = _path(beam.state, column)
        if _any_bit(beam.ref_used, bank + column, i, 1):
            if i >= ref_end:  # not inside the last match: an uncontested one starts here
                c = beam.chosen[i]
                start = table[HYP_START, c]
                weight += _match_weight(table, c)
                chunks += hyp_end != -1 and start != hyp_end
                distance += abs(i - start)
                ref_end, hyp_end = i + table[LENGTH, c], start + table[HYP_LENGTH, c]
        else:
            c = candidates.head[i]
            while c >= 0:
                start, length = table[HYP_START, c], table[HYP_LENGTH, c]
                if not _any_bit(beam.ref_used, bank + column, i, table[LENGTH, c]) and not _any_bit(
                    beam.hyp_used, bank + column, start, length
                ):
                    branched = True
                    new_weight = weight + _match_weight(table, c)
                    new_chunks = chunks + (hyp_end != -1 and start != hyp_end)
                    new_ref_end, new_hyp_end = i + table[LENGTH, c], start + length
                    branch = Path(new_weight, new_chunks, distance, new_ref_end, new_hyp_end, newest, column, c)
                    n_survivors = _insert(survivors, n_survivors, branch)
                    # As in the jar, the match's distance goes to the path that does not take it, and so to the
                    # candidates after it.
                    distance += abs(i - start)
                c = table[NEXT, c]
            chunks += hyp_end != -1
            hyp_end = -1
        unbranched = Path(weight, chunks, distance, ref_end, hyp_end, newest, column, -1)
        n_survivors = _insert(survivors, n_survivors, unbranched)
    return n_survivors, branched


@compiled
def _copy_survivors(table: I32Matrix, beam: Beam, bank: int, count: int, n_links: int) -> int:
    """Copy the survivors into the other bank, and return the new number of links."""
    state, survivors = beam.state, beam.survivors
    other = BEAM_WIDTH - bank
    for k in range(count):
        parent = survivors[PARENT, k]
        for w in range(beam.hyp_used.shape[1]):
            beam.hyp_used[other + k, w] = beam.hyp_used[bank + parent, w]
        for w in range(beam.ref_used.shape[1]):
            beam.ref_used[other + k, w] = beam.ref_used[bank + parent, w]
        for row in range(NEWEST + 1):
            state[row, k] = survivors[row, k]
        c = survivors[CANDIDATE, k]
        if c >= 0:
            _set_bits(beam.ref_used, other + k, table[START, c], table[LENGTH, c])
            _set_bits(beam.hyp_used, other + k, table[HYP_START, c], table[HYP_LENGTH, c])
            beam.links[n_links, 0] = survivors[NEWEST, k]
            beam.links[n_links, 1] = c
            state[NEWEST, k] = n_links
            n_links += 1
    return n_links


@compiled
def _set_order(order: I32, state: I32Matrix, survivors: I32Matrix, count: int, branched: bool) -> bool:
    """Put the survivors into the paths' columns, best first in `order`; return whether none has an open chunk."""
    idle = True
    for k in range(count):
        column = k
        if not branched:
            column = survivors[PARENT, k]
            for row in range(NEWEST + 1):
                state[row, column] = survivors[row, k]
        order[k] = column
        idle &= state[HYP_END, column] == -1
    return idle


@compiled
def _choose_best(candidates: Candidates, beam: Beam, count: int) -> None:
    """Choose the candidates of the best path, its open chunk counted."""
    n_survivors = 0
    for rank in range(count):
        weight, chunks, distance, ref_end, hyp_end, newest, column, _ = _path(beam.state, beam.order[rank])
        chunks += hyp_end != -1
        closed = Path(weight, chunks, distance, ref_end, hyp_end, newest, column, -1)
        n_survivors = _insert(beam.survivors, n_survivors, closed)
    link = beam.survivors[NEWEST, 0]
    while link >= 0:
        c = beam.links[link, 1]
        beam.chosen[candidates.table[START, c]] = c
        link = beam.links[link, 0]


@compiled
def search(candidates: Candidates, beam: Beam) -> None:
    """Choose an alignment: `beam.chosen[i]` becomes the candidate that starts at word i of the reference, or -1."""
    beam.hyp_used[0, :] = 0
    beam.ref_used[0, :] = 0
    _choose_uncontested(candidates, beam)
    for row in range(NEWEST + 1):
        beam.state[row, 0] = 0
    beam.state[HYP_END, 0] = beam.state[NEWEST, 0] = -1
    beam.order[0] = 0
    bank = 0
    count = 1
    n_links = 0
    idle = True  # no path has an open chunk: a word without candidates changes nothing
    for i in range(candidates.head.shape[0]):
        if idle and candidates.head[i] < 0:
            continue
        count, branched = _advance(i, candidates, beam, bank, count)
        if branched:
            n_links = _copy_survivors(candidates.table, beam, bank, count, n_links)
            bank = BEAM_WIDTH - bank
        idle = _set_order(beam.order, beam.state, beam.survivors, count, branched)
    _choose_best(candidates, beam, count)
