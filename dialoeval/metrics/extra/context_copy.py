"""The share of a reply that is copied from its context."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import BesideReferences, beside, contexts_of
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure
from dialoeval.text.plain_words import NORMALISATION, plain_words

ORDERS = (2, 4)


class ContextCopy(BesideReferences):
    """The mean share of a reply's 2-grams (the main figure) and 4-grams that stand in a turn of its context.

    A reply without n-grams, or without a context, has no score.
    """

    name = "context_copy"
    description = "mean share of a reply's 2-grams (and 4-grams) that stand in its context, 0..1"
    figures = beside(
        Figure("context_copy", "Context copy-2", percent=True, unit="0..1", higher_is_better=None),
        Figure("context_copy.4", "Context copy-4", percent=True, unit="0..1", higher_is_better=None),
    )

    def text_scores(self, corpus: Corpus, examples: Sequence[int], texts: Sequence[str]) -> Array:
        """Return (t, 2) shares of 2-grams and 4-grams.

        Raises:
            UserError: no reply has a context.
        """
        contexts = contexts_of(self.name, corpus)

        @cache
        def grams_of_context(i: int, n: int) -> frozenset[tuple[str, ...]]:
            return frozenset(gram for turn in contexts[i] for gram in _grams(plain_words(turn), n))

        scores = np.full((len(texts), len(ORDERS)), np.nan)
        for row, (i, text) in enumerate(zip(examples, texts, strict=True)):
            words = plain_words(text)
            for column, n in enumerate(ORDERS):
                grams = _grams(words, n)
                if grams and any(turn.strip() for turn in contexts[i]):
                    scores[row, column] = sum(gram in grams_of_context(i, n) for gram in grams) / len(grams)
        return scores

    def signature(self, corpus: Corpus) -> str:
        """Return how words are compared."""
        return f"context_copy|{NORMALISATION}|within-turn|mean:replies"


METRIC = ContextCopy


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
