"""Means of scores by models whose context length cuts some inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from dialoeval.metrics.base import Array, MeanMetric
from dialoeval.metrics.corpus import Corpus


class WindowMean(MeanMetric):
    """A mean over replies that counts those whose input was cut.

    Attributes:
        cut: (n,) whether the input of each reply was cut; `per_reply` sets it.
    """

    cut: Array

    def rows(self, corpus: Corpus) -> Array:
        """Return the rows of a mean, then whether the input was cut."""
        return np.hstack([super().rows(corpus), self.cut[:, None]])

    def values(self, totals: Array) -> Array:
        """Return the means."""
        return super().values(totals[:, :-1])

    def details(self, rows: Array) -> dict[str, Any]:
        """Return how many replies have a score, and of how many the input was cut to the model's length."""
        scored = int(rows[:, len(self.figures)].sum())
        return {"n": scored, "left_out": len(rows) - scored, "cut": int(rows[:, -1].sum())}
