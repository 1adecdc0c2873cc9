"""Repetition of n-grams within a reply."""

from __future__ import annotations

from typing import Any

import numpy as np

from dialoeval.metrics.base import Array, RowMetric
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

ORDERS = 4


class Repetition(RowMetric):
    """Repeated n-grams / n-grams for n = 1..4, with n = 4 as the main figure. Words are split at white space."""

    name = "repetition"
    description = "share of the 1..4-grams that repeat an earlier one of the same reply, over all replies, 0..1"
    figures = (
        Figure("repetition", "Repetition-4", percent=True, unit="0..1", higher_is_better=False),
        *(
            Figure(f"repetition.{n}", f"Repetition-{n}", percent=True, unit="0..1", higher_is_better=False)
            for n in range(1, ORDERS)
        ),
    )

    def rows(self, corpus: Corpus) -> Array:
        """Return (n, 8): repeated n-grams, then n-grams, of orders 1..4."""
        rows = np.zeros((len(corpus), 2 * ORDERS))
        for i, line in enumerate(corpus.hypotheses):
            words = line.split()
            for n in range(1, ORDERS + 1):
                grams = [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]
                rows[i, n - 1] = len(grams) - len(set(grams))
                rows[i, ORDERS + n - 1] = len(grams)
        return rows

    def values(self, totals: Array) -> Array:
        """Return (m, 4) shares of orders 4, 1, 2, 3."""
        shares = _shares(totals)
        return np.concatenate([shares[:, -1:], shares[:, :-1]], axis=1)

    def details(self, rows: Array) -> dict[str, Any]:
        """Return the shares of all orders."""
        return {"by_order": _shares(rows.sum(axis=0, keepdims=True))[0].tolist()}

    def signature(self, corpus: Corpus) -> str:
        """Return the tokenizer."""
        return "repetition|tok:split|within-reply"


METRIC = Repetition


def _shares(totals: Array) -> Array:
    """Return (m, 4) repeated n-grams / n-grams of summed rows (m, 8), 0 without n-grams."""
    repeated, grams = np.hsplit(totals, 2)
    return np.asarray(repeated / np.maximum(grams, 1))
