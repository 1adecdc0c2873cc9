"""Exact match of replies with references."""

from __future__ import annotations

import numpy as np

from dialoeval.metrics.base import Array, MeanMetric
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure


class ExactMatch(MeanMetric):
    """Share of replies that equal a reference up to case and white space."""

    name = "exact_match"
    description = "share of replies that equal one of their references (case and white space folded), 0..1"
    figures = (Figure("exact_match", "Exact match", percent=True, unit="0..1", needs_references=True),)
    needs_references = True

    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n,) 1 for a match, else 0; NaN without references."""
        return np.array(
            [
                float(_fold(hypothesis) in map(_fold, refs)) if refs else np.nan
                for hypothesis, refs in zip(corpus.hypotheses, corpus.references, strict=True)
            ]
        )

    def signature(self, corpus: Corpus) -> str:
        """Return the normalization."""
        return "exact_match|case:folded|space:folded"


METRIC = ExactMatch


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
