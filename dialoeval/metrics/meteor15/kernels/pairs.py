"""The statistics of replies, each with the best of its references."""

from __future__ import annotations

from dialoeval.metrics.meteor15.kernels.beam_search import search
from dialoeval.metrics.meteor15.kernels.candidates import find_candidates
from dialoeval.metrics.meteor15.kernels.compiler import compiled
from dialoeval.metrics.meteor15.layout import (
    COLUMNS,
    F64,
    FIRST_MATCHES,
    HYP_FUNCTION_WORDS,
    HYP_LENGTH,
    HYP_MATCHES,
    HYP_START,
    HYP_WORDS,
    I32,
    LENGTH,
    MODULE,
    PERFECT,
    REF_FUNCTION_WORDS,
    REF_MATCHES,
    REF_WORDS,
    TOTAL_CHUNKS,
    U8,
    Beam,
    Candidates,
    I32Matrix,
    Output,
    Phrases,
    Texts,
    Weighting,
    Words,
)


@compiled
def _count(hyp: I32, ref: I32, functions: U8, table: I32Matrix, chosen: I32, row: F64) -> None:
    """Count the statistics of one pair, aligned by the candidates `chosen`, into `row`."""
    row[:] = 0
    row[HYP_WORDS] = hyp.shape[0]
    row[REF_WORDS] = ref.shape[0]
    for j in range(hyp.shape[0]):
        row[HYP_FUNCTION_WORDS] += functions[hyp[j]]
    for i in range(ref.shape[0]):
        row[REF_FUNCTION_WORDS] += functions[ref[i]]
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
        start, length, ref_length = table[HYP_START, c], table[HYP_LENGTH, c], table[LENGTH, c]
        chunks += hyp_end != -1 and start != hyp_end
        hyp_end = start + length
        column = FIRST_MATCHES + 4 * table[MODULE, c]
        for k in range(length):
            row[column + 2 * functions[hyp[start + k]]] += 1
        for k in range(ref_length):
            row[column + 1 + 2 * functions[ref[i + k]]] += 1
        row[HYP_MATCHES] += length
        row[REF_MATCHES] += ref_length
        i += ref_length
    chunks += hyp_end != -1
    if chunks == 1 and row[HYP_MATCHES] == row[HYP_WORDS] and row[REF_MATCHES] == row[REF_WORDS]:
        row[PERFECT] = 1
    else:
        row[TOTAL_CHUNKS] = chunks


@compiled
def _score(row: F64, weighting: Weighting) -> float:
    """Return the score of one pair, as `formula.figures` computes it."""
    parameters, modules, weights = weighting.parameters, weighting.modules, weighting.weights
    alpha, beta, gamma, delta = parameters[0], parameters[1], parameters[2], parameters[3]
    hyp_length = delta * (row[HYP_WORDS] - row[HYP_FUNCTION_WORDS]) + (1.0 - delta) * row[HYP_FUNCTION_WORDS]
    ref_length = delta * (row[REF_WORDS] - row[REF_FUNCTION_WORDS]) + (1.0 - delta) * row[REF_FUNCTION_WORDS]
    hyp_matches = 0.0
    ref_matches = 0.0
    for kind in range(2):
        share = delta if kind == 0 else 1.0 - delta
        for m in range(modules.shape[0]):
            column = FIRST_MATCHES + 4 * modules[m] + 2 * kind
            hyp_matches += row[column] * weights[m] * share
            ref_matches += row[column + 1] * weights[m] * share
    precision = hyp_matches / hyp_length
    recall = ref_matches / ref_length
    mean = 1.0 / ((1.0 - alpha) / precision + alpha / recall)
    fragments = row[TOTAL_CHUNKS] / ((row[HYP_MATCHES] + row[REF_MATCHES]) / 2.0)
    score: float = mean * (1.0 - gamma * fragments**beta)
    return score if score > 0.0 else 0.0  # NaN becomes 0 too


@compiled
def score_replies(
    texts: Texts,
    words: Words,
    phrases: Phrases,
    weighting: Weighting,
    candidates: Candidates,
    beam: Beam,
    output: Output,
) -> None:
    """Fill in `output.rows` from reply `output.cursor[0]` up to `output.cursor[1]`.

    If a pair's candidates do not fit into their table, the cursor stays at its reply and `candidates.total` says how
    many columns it needs.
    """
    for r in range(output.cursor[0], output.cursor[1]):
        output.cursor[0] = r
        text = texts.replies[r]
        hyp = texts.words[texts.text_offsets[text] : texts.text_offsets[text + 1]]
        output.rows[r, :] = 0
        highest = -1.0
        for k in range(texts.reference_offsets[r], texts.reference_offsets[r + 1]):
            text = texts.references[k]
            ref = texts.words[texts.text_offsets[text] : texts.text_offsets[text + 1]]
            n_hyp, n_ref = hyp.shape[0], ref.shape[0]
            pair_candidates = Candidates(
                candidates.table,
                candidates.head[:n_ref],
                candidates.tail[:n_ref],
                candidates.hyp_cover[:n_hyp],
                candidates.ref_cover[:n_ref],
                candidates.total,
            )
            find_candidates(hyp, ref, words, phrases, weighting.modules, pair_candidates)
            if candidates.total[0] > candidates.table.shape[1]:
                return
            pair_beam = Beam(
                beam.chosen[:n_ref],
                beam.state,
                beam.survivors,
                beam.hyp_used[:, : (n_hyp + 63) >> 6],
                beam.ref_used[:, : (n_ref + 63) >> 6],
                beam.order,
                beam.links,
            )
            search(pair_candidates, pair_beam)
            _count(hyp, ref, words.functions, candidates.table, beam.chosen, output.pair)
            score = _score(output.pair, weighting)
            if score > highest:
                highest = score
                for column in range(COLUMNS):
                    output.rows[r, column] = output.pair[column]
    output.cursor[0] = output.cursor[1]
