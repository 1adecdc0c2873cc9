"""How long replies are."""

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
    """Words of each reply, (n,)."""

    name: str
    lengths: npt.NDArray[np.int64]

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        """The median of the replies taken: the mean of the two in the middle where their number is even."""
        if not len(self.lengths):
            return {}
        taken = np.ones((1, len(self.lengths))) if weights is None else np.asarray(weights)
        order = np.argsort(self.lengths, kind="stable")
        ranks = np.cumsum(taken[:, order], axis=1)
        total = ranks[:, -1]
        lower = [np.searchsorted(row, np.ceil(t / 2)) for row, t in zip(ranks, total, strict=True)]
        upper = [np.searchsorted(row, np.floor(t / 2) + 1) for row, t in zip(ranks, total, strict=True)]
        sizes = self.lengths[order]
        return {self.name: (sizes[lower] + sizes[upper]) / 2}

    def pooled(self, other: MetricStatistics) -> Lengths:
        assert isinstance(other, Lengths)
        return Lengths(self.name, np.concatenate([self.lengths, other.lengths]))

    def scores(self) -> Array:
        return self.lengths.astype(float)

    def details(self) -> dict[str, Any]:
        counts = Counter(self.lengths.tolist())
        return {"histogram": {str(words): count for words, count in sorted(counts.items())}}


class LengthHistogram(Metric):
    name = "length_histogram"
    description = "histogram of reply lengths in words (split on white space); its score is the median"
    figures = (Figure("length_histogram", "Median length", decimals=1, unit="words", higher_is_better=None),)

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Lengths:
        lengths = np.array([len(line.split()) for line in corpus.hypotheses], dtype=np.int64)
        return Lengths(self.name, lengths)

    def signature(self, corpus: Corpus) -> str:
        return "length_histogram|tok:split"


METRIC = LengthHistogram
