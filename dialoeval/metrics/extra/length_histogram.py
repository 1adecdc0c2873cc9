"""Histogram and median of reply lengths."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dialoeval.metrics.base import Array, Metric, MetricStatistics
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure


@dataclass(frozen=True)
class Lengths(MetricStatistics):
    """Reply lengths.

    Attributes:
        name: name of the figure.
        lengths: (n,) words in each reply.
    """

    name: str
    lengths: npt.NDArray[np.int64]

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        """Return the weighted median, (m,): the mean of the middle two for an even number of replies."""
        if not len(self.lengths):
            return {}
        weights = np.ones((1, len(self.lengths))) if weights is None else np.asarray(weights)
        order = np.argsort(self.lengths, kind="stable")
        ranks = np.cumsum(weights[:, order], axis=1)
        total = ranks[:, -1]
        lower = [np.searchsorted(row, np.ceil(t / 2)) for row, t in zip(ranks, total, strict=True)]
        upper = [np.searchsorted(row, np.floor(t / 2) + 1) for row, t in zip(ranks, total, strict=True)]
        sizes = self.lengths[order]
        return {self.name: (sizes[lower] + sizes[upper]) / 2}

    def pooled(self, other: MetricStatistics) -> Lengths:
        """Return the lengths of both systems, this one's first."""
        assert isinstance(other, Lengths)
        return Lengths(self.name, np.concatenate([self.lengths, other.lengths]))

    def scores(self) -> Array:
        """Return (n,) lengths."""
        return self.lengths.astype(float)

    def details(self) -> dict[str, Any]:
        """Return the histogram, {words: number of replies}."""
        counts = Counter(self.lengths.tolist())
        return {"histogram": {str(words): count for words, count in sorted(counts.items())}}


class LengthHistogram(Metric):
    """Histogram of reply lengths in words; the figure is the median."""

    name = "length_histogram"
    description = "histogram of reply lengths in words (split at white space); the figure is the median"
    figures = (Figure("length_histogram", "Median length", decimals=1, unit="words", higher_is_better=None),)

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Lengths:
        """Count the words of each reply."""
        lengths = np.array([len(line.split()) for line in corpus.hypotheses], dtype=np.int64)
        return Lengths(self.name, lengths)

    def signature(self, corpus: Corpus) -> str:
        """Return the tokenizer."""
        return "length_histogram|tok:split"


METRIC = LengthHistogram
