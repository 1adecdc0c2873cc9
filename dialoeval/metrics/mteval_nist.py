"""NIST as mteval-v14 prints it: cumulative, with information weights from all references of the set."""

from __future__ import annotations

import math

import numpy as np

from dialoeval.metrics.overlap import ORDERS, Overlap

STATISTICS = (*(f"information{j}" for j in range(1, 6)), *(f"total{j}" for j in range(1, 6)), "reference_words")

# The length penalty is 1/2 for a reply with 2/3 of the reference words (Doddington 2002; mteval-v14).
_BETA = -math.log(0.5) / math.log(1.5) ** 2


def statistics(counts: Overlap) -> np.ndarray:
    """Return (n, 11): information of matches and totals of orders 1..5, mean reference length. Rows add up.

    The information weights come from the references of the whole set, also for sums over a part of it (a resample, a
    paired test).
    """
    return np.column_stack([counts.information, counts.totals, counts.reference_words])


def figures(totals: np.ndarray) -> np.ndarray:
    """Return cumulative NIST-1..5 (..., 5), in bits per word (>= 0), from summed statistics (..., 11).

    NIST-n = penalty * sum over j <= n of information_j / max(total_j, 1), with penalty = exp(-beta ln^2(min(ratio, 1)))
    for the ratio of reply words to mean reference words (Doddington 2002).
    """
    information, counts = totals[..., :ORDERS], totals[..., ORDERS : 2 * ORDERS]
    words, reference_words = counts[..., 0], totals[..., 2 * ORDERS]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(reference_words > 0, words / reference_words, np.where(words > 0, np.inf, 0.0))
        penalty = np.exp(-_BETA * np.log(np.minimum(ratio, 1.0)) ** 2)
    penalty = np.where(ratio > 0, penalty, 0.0)
    return np.cumsum(information / np.maximum(counts, 1), axis=-1) * penalty[..., None]
