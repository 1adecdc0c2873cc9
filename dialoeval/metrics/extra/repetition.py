"""Repetition inside a reply."""

from __future__ import annotations

from typing import Any

import numpy as np

from dialoeval.metrics.base import Array, RowMetric, Rows
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

ORDERS = 4


class Repetition(RowMetric):
    """Repeated n-grams over all n-grams, for n = 1..4; the score is that of n = 4. Words are split at white space."""

    name = "repetition"
    description = "share of a reply's 1..4-grams that repeat an earlier one of it, over all replies, 0..1"
    figures = (
        Figure("repetition", "Repetition-4", percent=True, unit="0..1", higher_is_better=False),
        *(
            Figure(f"repetition.{n}", f"Repetition-{n}", percent=True, unit="0..1", higher_is_better=False)
            for n in range(1, ORDERS)
        ),
    )

    def rows(self, corpus: Corpus) -> Array:
        rows = np.zeros((len(corpus), 2 * ORDERS))
        for i, line in enumerate(corpus.hypotheses):
            words = line.split()
            for n in range(1, ORDERS + 1):
                grams = [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]
                rows[i, n - 1] = len(grams) - len(set(grams))
                rows[i, ORDERS + n - 1] = len(grams)
        return rows

    def values(self, totals: Array) -> Array:
        shares = _shares(totals)
        return np.concatenate([shares[:, -1:], shares[:, :-1]], axis=1)

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        rows = self.rows(corpus)
        more: dict[str, Any] = {"by_order": _shares(rows.sum(axis=0, keepdims=True))[0].tolist()}
        return Rows(self, rows, self.judged(corpus), more)

    def signature(self, corpus: Corpus) -> str:
        return "repetition|tok:split|within-reply"


METRIC = Repetition


def _shares(totals: Array) -> Array:
    repeated, grams = np.hsplit(totals, 2)
    return np.asarray(repeated / np.maximum(grams, 1))
