"""A batch of replies, each against its references: the statistics of the best pair.

The module is compiled (see `native.py`): it imports numba and is imported only for that.
"""

from __future__ import annotations

from dialoeval.metrics.meteor15.matching import (
    HYPOTHESIS_LENGTH,
    HYPOTHESIS_START,
    LENGTH,
    MODULE,
    START,
    find_candidates,
)
from dialoeval.metrics.meteor15.searching import search
from dialoeval.metrics.meteor15.stemming import compiled

# Columns of a row of statistics; `dialoeval.metrics.meteor15.STATISTICS` names them.
HYP_LENGTH, REF_LENGTH, HYP_FUNCTION, REF_FUNCTION, MATCHES = 0, 1, 2, 3, 4
CHUNKS, HYP_MATCHES, REF_MATCHES, PERFECT, COLUMNS = 20, 21, 22, 23, 24


@compiled
def _count(hyp, ref, functions, table, chosen, row):
    """The statistics of one pair whose alignment is `chosen`."""
    row[:] = 0
    row[HYP_LENGTH] = hyp.shape[0]
    row[REF_LENGTH] = ref.shape[0]
    for j in range(hyp.shape[0]):
        row[HYP_FUNCTION] += functions[hyp[j]]
    for i in range(ref.shape[0]):
        row[REF_FUNCTION] += functions[ref[i]]
    chunks = 0
    hyp_end = -1
    i = 0
    while i < ref.shape[0]:
        c = chosen[i]
        if c < 0:
            chunks += hyp_end != -1
            hyp_end = -1
            i += 1
            continue
        start, length = table[HYPOTHESIS_START, c], table[HYPOTHESIS_LENGTH, c]
        chunks += hyp_end != -1 and start != hyp_end
        hyp_end = start + length
        column = MATCHES + 4 * table[MODULE, c]
        for k in range(length):
            row[column + 2 * functions[hyp[start + k]]] += 1
        for k in range(table[LENGTH, c]):
            row[column + 1 + 2 * functions[ref[i + k]]] += 1
        row[HYP_MATCHES] += length
        row[REF_MATCHES] += table[LENGTH, c]
        i = table[START, c] + table[LENGTH, c]
    chunks += hyp_end != -1
    if chunks == 1 and row[HYP_MATCHES] == row[HYP_LENGTH] and row[REF_MATCHES] == row[REF_LENGTH]:
        row[PERFECT] = 1
    else:
        row[CHUNKS] = chunks


@compiled
def _score(row, modules, weights, parameters):
    """The score of one pair, as `figures` computes it."""
    alpha, beta, gamma, delta = parameters[0], parameters[1], parameters[2], parameters[3]
    hyp_length = delta * (row[HYP_LENGTH] - row[HYP_FUNCTION]) + (1.0 - delta) * row[HYP_FUNCTION]
    ref_length = delta * (row[REF_LENGTH] - row[REF_FUNCTION]) + (1.0 - delta) * row[REF_FUNCTION]
    hyp_matches = 0.0
    ref_matches = 0.0
    for part in range(2):
        share = delta if part == 0 else 1.0 - delta
        for m in range(modules.shape[0]):
            column = MATCHES + 4 * modules[m] + 2 * part
            hyp_matches += row[column] * weights[m] * share
            ref_matches += row[column + 1] * weights[m] * share
    precision = hyp_matches / hyp_length
    recall = ref_matches / ref_length
    mean = 1.0 / ((1.0 - alpha) / precision + alpha / recall)
    fragments = row[CHUNKS] / ((row[HYP_MATCHES] + row[REF_MATCHES]) / 2.0)
    score = mean * (1.0 - gamma * fragments**beta)
    return score if score > 0.0 else 0.0  # also where it is not a number


@compiled
def score_batch(
    begin,
    replies,
    references,
    places,
    texts,
    words,
    hashes,
    stems,
    functions,
    known,
    ranges,
    masks,
    sets,
    keys,
    children,
    first,
    stream,
    modules,
    weights,
    parameters,
    table,
    chosen,
    head,
    tail,
    hyp_cover,
    ref_cover,
    state,
    hyp_used,
    ref_used,
    order,
    survivors,
    taken,
    counts,
    row,
    out,
    best,
):
    """Score replies `begin`, `begin` + 1, ...: how many are done, fewer where a pair's candidates overflow `table`.

    Reply r is text ``replies[r]``; its references are the texts ``references[places[r]:places[r + 1]]``; text t is the
    words ``words[texts[t]:texts[t + 1]]``. Of an overflow, ``counts[0]`` says how many columns are needed.
    ``out[r]`` gets the best pair's statistics, ``best[r]`` the place of its reference among the reply's, or -1.
    """
    for r in range(begin, replies.shape[0]):
        hyp = words[texts[replies[r]] : texts[replies[r] + 1]]
        best[r] = -1
        out[r, :] = 0
        highest = -1.0
        hyp_bits = (hyp.shape[0] + 63) >> 6
        for place in range(places[r], places[r + 1]):
            text = references[place]
            ref = words[texts[text] : texts[text + 1]]
            find_candidates(
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
                head[: ref.shape[0]],
                tail,
                hyp_cover[: hyp.shape[0]],
                ref_cover[: ref.shape[0]],
                counts,
            )
            if counts[0] > table.shape[1]:
                return r
            search(
                table,
                head[: ref.shape[0]],
                hyp_cover,
                ref_cover,
                chosen,
                state,
                hyp_used[:, :hyp_bits],
                ref_used[:, : (ref.shape[0] + 63) >> 6],
                order,
                survivors,
                taken,
            )
            _count(hyp, ref, functions, table, chosen, row)
            score = _score(row, modules, weights, parameters)
            if score > highest:
                highest = score
                best[r] = place - places[r]
                for column in range(COLUMNS):
                    out[r, column] = row[column]
    return replies.shape[0]
