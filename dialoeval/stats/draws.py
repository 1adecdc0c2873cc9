"""Resampling of items with bounded memory, and the results that all statistics of judgments share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_CELLS = 200_000  # numbers worked on at a time: they fit a processor's cache
_KEPT = 32_000_000  # most weights, of two bytes each, that are kept for the next figure
_ALIKE = 4  # items of a kind, on average, from which kinds are drawn rather than items
_WIDE = 64  # numbers an item from which items are hardly ever alike
_MOST_DEGENERATE = 0.01  # largest share of resamples without a figure with which an interval is still given
_EQUAL = 1e-12  # sums in a different order differ in the last bits
Figure = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Undefined:
    """A figure that does not exist for the given judgments.

    Attributes:
        reason: why, as a clause that a report can print.
    """

    reason: str


@dataclass(frozen=True)
class Interval:
    """A percentile interval over resamples.

    Attributes:
        low: lower bound.
        high: upper bound.
        resamples: how many were drawn.
        degenerate: how many of them have no figure and are left out.
    """

    low: float
    high: float
    resamples: int
    degenerate: int = 0


def codes(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Return (N,) numbers 0 .. n - 1 of labels of any type, in the order of the labels, and n."""
    unique, numbers = np.unique(np.asarray(labels), return_inverse=True)
    return numbers.reshape(-1), len(unique)


def group_sums(numbers: np.ndarray, n: int, values: np.ndarray) -> np.ndarray:
    """Return (n, c) sums of the rows of values (N, c) with the same number (N,)."""
    return np.stack([np.bincount(numbers, column, minlength=n) for column in np.asarray(values, dtype=float).T], axis=1)


def item_weights(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield blocks of (m, n) weights: how often each of n items is drawn in n draws with replacement.

    The draws of one n and seed are the same for every figure, and kept for the next figure if they are few enough.
    """
    step = rows_at_a_time(n)
    if n * resamples <= _KEPT:
        kept = _kept_weights(n, resamples, seed)
        yield from (kept[start : start + step].astype(float) for start in range(0, resamples, step))
        return
    for start in range(0, resamples, step):
        yield drawn_weights(n, min(step, resamples - start), [seed, start]).astype(float)


def drawn_weights(n: int, resamples: int, seed: int | Sequence[int]) -> np.ndarray:
    """Return (resamples, n) how often each of n items is drawn in n draws with replacement."""
    rng = np.random.default_rng(seed)
    weights = np.empty((resamples, n), dtype=np.int16)
    step = rows_at_a_time(n)
    for start in range(0, resamples, step):
        m = min(step, resamples - start)
        drawn = rng.integers(n, size=(m, n)) + np.arange(m)[:, None] * n
        weights[start : start + m] = np.bincount(drawn.ravel(), minlength=m * n).reshape(m, n)
    return weights


@lru_cache(maxsize=2)
def _kept_weights(n: int, resamples: int, seed: int) -> np.ndarray:
    return drawn_weights(n, resamples, seed)


def rows_at_a_time(cells: int) -> int:
    """Return how many rows of so many numbers are held in memory at a time."""
    return max(1, _CELLS // max(1, cells))


def resampled(rows: np.ndarray, figure: Figure, resamples: int = 10_000, seed: int = 12345) -> np.ndarray:
    """Return (resamples, ...) values of a figure over resampled items.

    Args:
        rows: (n, c) numbers of each item.
        figure: from (m, n) weights of items and their (n, c) rows to (m, ...) values, NaN where there is no figure.
        resamples: how often n items are drawn with replacement.
        seed: of the draws.
    """
    n, wide = len(rows), rows.shape[1] > _WIDE
    different, counts = (rows, np.ones(n)) if wide else np.unique(rows, axis=0, return_counts=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        if len(different) * _ALIKE > n:
            return np.concatenate([figure(weights, rows) for weights in item_weights(n, resamples, seed)])
        # Many items are alike: how often each kind is drawn has the same law, and is much faster to draw.
        rng = np.random.default_rng(seed)
        step = rows_at_a_time(len(different))
        sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
        return np.concatenate([figure(rng.multinomial(n, counts / n, m).astype(float), different) for m in sizes])


def of_totals(figure: Callable[[np.ndarray], np.ndarray]) -> Figure:
    """Return a figure of weights and rows from one of the weighted totals (m, c) of the rows."""
    return lambda weights, rows: figure(weights @ rows)


def percentile_interval(values: np.ndarray, confidence: float = 0.95) -> Interval | Undefined:
    """Return the percentile interval (Efron 1979) of (m,) resampled values, NaN for a resample without a figure.

    More than 1% of such resamples give no interval, since those that are left are not a sample of all; and neither do
    values that are all equal, which say that no item differs, not that none could.
    """
    finite = values[np.isfinite(values)]
    degenerate = len(values) - len(finite)
    if not len(finite) or degenerate > _MOST_DEGENERATE * len(values):
        return Undefined(f"{degenerate:,} of {len(values):,} resamples have no figure")
    if finite.max() - finite.min() <= _EQUAL * max(1.0, abs(float(finite.max()))):
        return Undefined("every resample gives the same figure")
    tail = (1 - confidence) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return Interval(float(low), float(high), len(values), degenerate)


def item_interval_of(
    rows: np.ndarray, figure: Figure, resamples: int, seed: int, confidence: float = 0.95
) -> Interval | Undefined:
    """Return the percentile interval of a figure of items' rows (see `resampled`)."""
    if len(rows) < 2:
        return Undefined("an interval needs two items or more")
    if resamples < 1:
        return Undefined("no resamples were asked for")
    return percentile_interval(resampled(rows, figure, resamples, seed), confidence)
