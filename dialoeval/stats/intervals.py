"""Bootstrap confidence intervals."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np


class Weighable(Protocol):
    """A set of examples whose figures follow from how often each example is taken."""

    @property
    def size_biased(self) -> frozenset[str]:
        """Names of figures that a resample shifts as a whole, since a reply that is drawn twice brings nothing new."""

    def __len__(self) -> int: ...

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return {figure: (m,) values} for `weights` (m, n), how often each example is taken; None: each once.

        A figure that cannot be told for other weights is left out when they are given: it has no interval and no test.
        """


def resample(n: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, n) how often each of n examples is drawn in n draws with replacement.

    The draws are those of sacrebleu's paired bootstrap for the same seed, so that the two can be compared.
    """
    drawn = np.random.default_rng(seed).choice(n, size=(resamples, n), replace=True)
    return np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.int32)


def bootstrap_intervals(
    examples: Weighable, resamples: int = 1000, seed: int = 12345, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap interval of every figure: {name: (low, high)}; examples are what is resampled (Efron 1979).

    For the examples' `size_biased` figures (entropy, distinct-n) the resampled values are first moved so that their
    mean is the figure itself: the interval then tells how much the figure varies with the choice of that many examples.
    Empty where there are fewer than two examples or no resamples.
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
    """The interval that holds `confidence` of the values (m,); with `centre`, after moving their mean there."""
    values = values[np.isfinite(values)]  # a resample of no example that has the figure has none
    if not len(values):
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    shift = 0.0 if centre is None else centre - float(values.mean())
    return float(low) + shift, float(high) + shift
