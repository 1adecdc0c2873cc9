"""The base class of the metrics of sacrebleu."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np

from dialoeval.metrics.base import Array, RowMetric
from dialoeval.metrics.corpus import Corpus


class SacreBleuMetric(RowMetric):
    """A metric of sacrebleu, which gives statistics of each reply and a score of their sums."""

    needs_references = True

    @abstractmethod
    def make(self) -> Any:
        """Return sacrebleu's metric object."""

    @cached_property
    def peer(self) -> Any:
        """The metric object of sacrebleu."""
        return self.make()

    def rows(self, corpus: Corpus) -> Array:
        """Return (n, k) statistics of sacrebleu, zeros for replies without references."""
        judged = np.flatnonzero(corpus.judged)
        references = [corpus.references[i] for i in judged]
        width = max(map(len, references))
        streams = [[refs[k] if k < len(refs) else None for refs in references] for k in range(width)]
        statistics = np.array(
            self.peer._extract_corpus_statistics([corpus.hypotheses[i] for i in judged], streams), dtype=float
        )
        rows = np.zeros((len(corpus), statistics.shape[1]))
        rows[judged] = statistics
        return rows

    def values(self, totals: Array) -> Array:
        """Return (m, 1) scores of summed statistics."""
        return np.array([[self.peer._compute_score_from_stats(row.tolist()).score] for row in totals])

    def signature(self, corpus: Corpus) -> str:
        """Return sacrebleu's signature."""
        return str(self.peer.get_signature())
