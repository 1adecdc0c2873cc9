"""BLEU as mteval-v14 prints it: cumulative, with its smoothing and brevity penalty."""

from __future__ import annotations

import numpy as np

from dialoeval.metrics.overlap import Overlap

ORDERS = 4
STATISTICS = (*(f"match{j}" for j in range(1, 5)), *(f"total{j}" for j in range(1, 5)), "closest")


def statistics(counts: Overlap) -> np.ndarray:
    """Return (n, 9): matches and totals of orders 1..4, closest reference length. Rows add up."""
    return np.column_stack([counts.matches[:, :ORDERS], counts.totals[:, :ORDERS], counts.closest])


def best(rows: np.ndarray) -> np.ndarray:
    """Return (9,) statistics of the reply with the most 4-gram matches (ties by shorter n-grams).

    It counts at least one match of each order, among at least as many n-grams. Its reference length is left as it is.
    """
    row: np.ndarray = rows[np.lexsort(rows[:, :ORDERS].T)[-1]].copy()
    row[:ORDERS] = np.maximum(row[:ORDERS], 1)
    row[ORDERS : 2 * ORDERS] = np.maximum(row[ORDERS : 2 * ORDERS], row[:ORDERS])
    return row


def figures(totals: np.ndarray) -> np.ndarray:
    """Return cumulative BLEU-1..4 (..., 4), 0..1, from summed statistics (..., 9).

    BLEU-n = exp(min(0, 1 - closest / words)) * exp(mean over j <= n of log precision_j), or 0 without words. For
    ascending j, each order with n-grams but without a match doubles k, which starts at 1, and has precision
    1 / (k * total). An order without n-grams adds 0 to the sum (mteval-v14, bleu_score_smoothing).
    """
    matches, counts = totals[..., :ORDERS], totals[..., ORDERS : 2 * ORDERS]
    words, closest = counts[..., 0], totals[..., 2 * ORDERS]
    missed = (matches == 0) & (counts > 0)
    k = 2.0 ** np.cumsum(missed, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(missed, 1 / k, matches) / counts
        logs = np.where(counts > 0, np.log(precision), 0.0)
        brevity = np.minimum(0.0, 1 - closest / words)
        cumulative = np.cumsum(logs, axis=-1) / np.arange(1, ORDERS + 1)
        scores = np.exp(cumulative + brevity[..., None])
    return np.where(words[..., None] > 0, scores, 0.0)
