"""Replies that equal a reference."""

from __future__ import annotations

import numpy as np

from dialoeval.metrics.base import Array, MeanMetric
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure


class ExactMatch(MeanMetric):
    name = "exact_match"
    description = "share of replies that equal one of their references (white space and case folded), 0..1"
    figures = (Figure("exact_match", "Exact match", percent=True, unit="0..1", needs_references=True),)
    needs_references = True

    def per_reply(self, corpus: Corpus) -> Array:
        return np.array(
            [
                float(_fold(hypothesis) in map(_fold, refs)) if refs else np.nan
                for hypothesis, refs in zip(corpus.hypotheses, corpus.references, strict=True)
            ]
        )

    def signature(self, corpus: Corpus) -> str:
        return "exact_match|case:folded|space:folded"


METRIC = ExactMatch


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
