"""Confidence intervals by resampling, which stay within the range of a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, Self

import numpy as np

from dialoeval.stats.exact import exact_interval

_BLOCK = 250  # resamples computed at a time, which bounds memory
_SINGLE = 1000  # replies looked at to find the share that has a figure
_MORE = 0.8  # mean number of further replies: 1 would be that of an exact bound, 0.8 holds what it should most evenly
Range = tuple[float, float]


class Weighable(Protocol):
    """A set of examples with figures for any weights of the examples."""

    @property
    def size_biased(self) -> frozenset[str]:
        """Names of figures that resampling biases, since a reply drawn twice adds no new n-gram."""

    @property
    def ranges(self) -> Mapping[str, Range]:
        """{figure: (lowest, highest) possible value}; a figure that is not named may have any value."""

    def __len__(self) -> int: ...

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return {figure: (m,) values}.

        Args:
            weights: (m, n) how often each example is counted; None counts each once, with m = 1. A figure that cannot
                be computed for given weights is left out, and has no interval and no test.
        """

    def optimistic(self, weights: np.ndarray, more: np.ndarray) -> dict[str, np.ndarray]:
        """Return {figure: (m,) values} with ``more`` (m,) further replies like the best one.

        Only figures that rest on few replies are named, whose upper bounds must allow for replies not seen yet.
        """

    def part(self, *, size_biased: bool) -> Self:
        """Return the examples with only the figures that resampling biases, or only with the others."""


def resample(n: int, resamples: int, seed: int) -> np.ndarray:
    """Return (resamples, n) how often each of n examples is drawn in n draws with replacement.

    For the same seed, the draws are those of sacrebleu's paired bootstrap, which allows a comparison.
    """
    drawn = np.random.default_rng(seed).choice(n, size=(resamples, n), replace=True)
    return np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.int32)


def delete_quarter(n: int, resamples: int, seed: int) -> tuple[np.ndarray, float]:
    """Return (resamples, n) samples of three quarters of n examples without replacement, and the factor for spreads.

    No example is drawn twice, so that no n-gram is repeated that was not. Values of m of n examples spread less than
    values of n examples, by sqrt((n - m) / m): the factor is the inverse (delete-d jackknife, Shao and Wu 1989).
    """
    m = min(max(1, 3 * n // 4), n - 1)
    rng = np.random.default_rng(seed)
    weights = np.zeros((resamples, n), dtype=np.int32)
    for row in weights:
        row[rng.permutation(n)[:m]] = 1
    return weights, math.sqrt(m / (n - m))


def bootstrap_intervals(
    examples: Weighable, resamples: int = 1000, seed: int = 12345, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Return {figure: (low, high)}, which never leave the range of the figure.

    Percentile bootstrap over examples (Efron 1979). The upper bound of a figure that rests on few replies (see
    `Weighable.optimistic`) also allows for about one more reply like the best one: as an exact upper bound of a count c
    is that of c + 1. `size_biased` figures (entropy, distinct-n) use `delete_quarter`, on the scale
    of `to_scale`. A figure at a bound of its range that no resample leaves gets the exact interval of "0 of n examples
    differ". The result is empty for fewer than two examples or without resamples.
    """
    n = len(examples)
    if n < 2 or resamples < 1:
        return {}
    observed = {name: float(values[0]) for name, values in examples.figures().items()}
    intervals: dict[str, tuple[float, float]] = {}
    plain = examples.part(size_biased=False) if examples.size_biased else examples
    weights = resample(n, resamples, seed)
    more = np.random.default_rng([seed, 1]).poisson(_MORE, size=resamples)
    upper = in_blocks(lambda block: plain.optimistic(weights[block], more[block]), resamples)
    for name, values in figures_of(plain, weights).items():
        low, high = percentiles(values, confidence)
        intervals[name] = low, max(high, percentiles(upper[name], confidence)[1]) if name in upper else high
    for name, values in size_biased_values(examples, observed, resamples, seed).items():
        intervals[name] = percentiles(values, confidence)
    for name, (low, high) in intervals.items():
        if low == high == observed[name] and observed[name] in examples.ranges.get(name, ()):
            intervals[name] = _at_bound(examples, name, observed[name], confidence)
    return {name: interval for name, interval in intervals.items() if math.isfinite(interval[0])}


def size_biased_values(
    examples: Weighable, observed: Mapping[str, float], resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Return {figure: (resamples,)} values of size-biased figures around the observed ones, within their ranges."""
    if not examples.size_biased:
        return {}
    weights, factor = delete_quarter(len(examples), resamples, seed)
    drawn = figures_of(examples.part(size_biased=True), weights)
    values = {}
    for name, figures in drawn.items():
        bounds = examples.ranges.get(name, (-math.inf, math.inf))
        scaled = to_scale(figures, bounds)
        centre = to_scale(np.array(observed[name]), bounds)
        finite = scaled[np.isfinite(scaled)]  # NaN: no drawn example has the figure
        values[name] = from_scale(centre + factor * (finite - finite.mean()), bounds) if len(finite) else finite
    return values


def to_scale(values: np.ndarray, bounds: Range) -> np.ndarray:
    """Return values on a scale on which they can be shifted: arcsin(sqrt(x)) of a share, the root of x from 0 on."""
    low, high = bounds
    if math.isfinite(low) and math.isfinite(high):
        return np.asarray(np.arcsin(np.sqrt(np.clip((values - low) / (high - low), 0.0, 1.0))))
    return np.asarray(np.sqrt(np.maximum(values - low, 0.0))) if math.isfinite(low) else values


def from_scale(scaled: np.ndarray, bounds: Range) -> np.ndarray:
    """Return the values of `to_scale`; a scaled value beyond the end of the scale is the bound."""
    low, high = bounds
    if math.isfinite(low) and math.isfinite(high):
        return np.asarray(low + (high - low) * np.sin(np.clip(scaled, 0.0, math.pi / 2)) ** 2)
    return np.asarray(low + np.maximum(scaled, 0.0) ** 2) if math.isfinite(low) else scaled


def percentiles(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval that holds `confidence` of the values (m,); NaN if all of them are."""
    values = values[np.isfinite(values)]  # NaN: no drawn example has the figure
    if not len(values):
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def figures_of(examples: Weighable, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the figures for (m, n) weights, computed in blocks."""
    return in_blocks(lambda block: examples.figures(weights[block]), len(weights))


def in_blocks(compute: Callable[[slice], dict[str, np.ndarray]], m: int) -> dict[str, np.ndarray]:
    """Return {figure: (m,) values} from a function that computes a block of them."""
    parts = [compute(slice(start, start + _BLOCK)) for start in range(0, m, _BLOCK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _at_bound(examples: Weighable, name: str, observed: float, confidence: float) -> tuple[float, float]:
    """Return the interval of a figure that every example holds at a bound: others may be rare, but still unseen."""
    low, high = examples.ranges[name]
    if not math.isfinite(high - low):
        return observed, observed
    n = len(examples)
    if name not in examples.size_biased:  # count only the examples that have the figure
        some = np.unique(np.linspace(0, n - 1, min(n, _SINGLE)).astype(int))
        single = (some[:, None] == np.arange(n)).astype(np.int32)
        n = round(n * float(np.isfinite(examples.figures(single)[name]).mean()))
    if n < 2:
        return observed, observed
    differ = (high - low) * exact_interval(0, n, confidence)[1]
    return (high - differ, high) if observed == high else (low, low + differ)
