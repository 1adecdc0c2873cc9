"""Bootstrap confidence intervals."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np


class Weighable(Protocol):
    """A set of examples with figures for any weights of the examples."""

    @property
    def size_biased(self) -> frozenset[str]:
        """Names of figures that resampling biases, since a reply drawn twice adds no new n-gram."""

    def __len__(self) -> int: ...

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return {figure: (m,) values}.

        Args:
            weights: (m, n) how often each example is counted; None counts each once, with m = 1. A figure that cannot
                be computed for given weights is left out, and has no interval and no test.
        """


def resample(n: int, resamples: int, seed: int) -> np.ndarray:
    """Return (resamples, n) how often each of n examples is drawn in n draws with replacement.

    For the same seed, the draws are those of sacrebleu's paired bootstrap, which allows a comparison.
    """
    drawn = np.random.default_rng(seed).choice(n, size=(resamples, n), replace=True)
    return np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.int32)


def bootstrap_intervals(
    examples: Weighable, resamples: int = 1000, seed: int = 12345, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Return {figure: (low, high)}, the percentile bootstrap intervals over examples (Efron 1979).

    For `size_biased` figures (entropy, distinct-n), the resampled values are first shifted so that their mean is the
    figure itself. The result is empty for fewer than two examples or without resamples.
    """
    if len(examples) < 2 or resamples < 1:
        return {}
    observed = examples.figures()
    figures = examples.figures(resample(len(examples), resamples, seed))
    size_biased = examples.size_biased
    intervals = {
        name: percentiles(values, float(observed[name][0]) if name in size_biased else None, confidence)
        for name, values in figures.items()
    }
    return {name: interval for name, interval in intervals.items() if math.isfinite(interval[0])}


def percentiles(values: np.ndarray, centre: float | None = None, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval that holds `confidence` of the values (m,), shifted so that their mean is `centre`."""
    values = values[np.isfinite(values)]  # NaN: no drawn example has the figure
    if not len(values):
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    shift = 0.0 if centre is None else centre - float(values.mean())
    return float(low) + shift, float(high) + shift
