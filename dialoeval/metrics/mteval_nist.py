"""NIST as mteval-v14 prints it: cumulative, information-weighted, over all references of the whole set."""

from __future__ import annotations

import math

import numpy as np

from dialoeval.metrics.overlap import ORDERS, Overlap

STATISTICS = (*(f"information{j}" for j in range(1, 6)), *(f"total{j}" for j in range(1, 6)), "reference_words")

# The length penalty is one half where the reply has two thirds of the words (Doddington 2002; mteval-v14).
_BETA = -math.log(0.5) / math.log(1.5) ** 2


def statistics(counts: Overlap) -> np.ndarray:
    """(n, 11): information of matches and n-gram totals of orders 1..5, mean reference length. Rows add up.

    The information weights come from the references of the set that `counts` was made of; sums over a part of it (a
    resample, a paired test) keep these weights.
    """
    return np.column_stack([counts.information, counts.totals, counts.reference_words])


def figures(totals: np.ndarray) -> np.ndarray:
    """Cumulative NIST-1..5, (..., 5), of summed statistics (..., 11); in bits a word, 0 and up.

    NIST-n = penalty * sum over j <= n of information_j / max(total_j, 1), where penalty = exp(-beta ln^2(ratio)) for a
    ratio of reply words to mean reference words between 0 and 1, and 1 above.
    """
    information, counts = totals[..., :ORDERS], totals[..., ORDERS : 2 * ORDERS]
    words, reference_words = counts[..., 0], totals[..., 2 * ORDERS]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(reference_words > 0, words / reference_words, np.where(words > 0, np.inf, 0.0))
        penalty = np.exp(-_BETA * np.log(np.minimum(ratio, 1.0)) ** 2)
    penalty = np.where(ratio > 0, penalty, 0.0)
    return np.cumsum(information / np.maximum(counts, 1), axis=-1) * penalty[..., None]
