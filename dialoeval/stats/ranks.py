"""Rank correlations of many resamples of items at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dialoeval.stats.draws import Interval, Undefined, item_weights, percentile_interval

_RESAMPLES = 1000  # at most: the work for one is that of all pairs of items
_MOST_ITEMS = 3000  # of Kendall's tau, whose memory grows with their square
Resampled = Callable[[np.ndarray], np.ndarray]


def rank_interval(
    metric: np.ndarray, human: np.ndarray, kind: str, by_column: bool, resamples: int, seed: int
) -> Interval | Undefined:
    """Return the interval over items of a rank correlation, exact for each resample (an item drawn twice is a tie).

    Args:
        metric: (n, S) figures of each item and system; NaN where there is none.
        human: (n, S) mean ratings.
        kind: "spearman" or "kendall" (tau-b).
        by_column: the mean over systems of each one's correlation, rather than one over all segments.
        resamples: how often the items are drawn, at most 1,000.
        seed: of the draws.
    """
    n, resamples = len(metric), min(resamples, _RESAMPLES)
    if n < 2:
        return Undefined("an interval needs two items or more")
    if resamples < 1:
        return Undefined("no resamples were asked for")
    if kind == "kendall" and n > _MOST_ITEMS:
        return Undefined(f"an interval of tau-b takes {_MOST_ITEMS:,} items at most")
    given = np.isfinite(metric) & np.isfinite(human)
    parts = [slice(i, i + 1) for i in range(metric.shape[1])] if by_column else [slice(None)]
    of_part = _kendall if kind == "kendall" else _spearman
    figures = [of_part(metric[:, part], human[:, part], given[:, part]) for part in parts]
    drawn = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for weights in item_weights(n, resamples, seed):
            values = np.stack([figure(weights) for figure in figures])
            some = np.isfinite(values)
            drawn.append(np.where(some, values, 0.0).sum(axis=0) / some.sum(axis=0))
    return percentile_interval(np.concatenate(drawn))


def _kendall(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> Resampled:
    """Return tau-b of weights (m, n) of the items of segments (n, S).

    The pairs that agree minus those that do not, and the pairs that are no tie, are quadratic forms of the weights:
    sums over pairs of items of the signs between their segments. Two copies of a segment are a tie.
    """
    n = len(x)
    both, of_x, of_y = (np.zeros((n, n)) for _ in range(3))
    for s in range(x.shape[1]):
        for t in range(x.shape[1]):
            known = given[:, s, None] & given[:, t]
            signs = [np.where(known, np.sign(side[:, s, None] - side[:, t]), 0.0) for side in (x, y)]
            both += signs[0] * signs[1]
            of_x += np.abs(signs[0])
            of_y += np.abs(signs[1])

    def figure(weights: np.ndarray) -> np.ndarray:
        product, first, second = (np.sum((weights @ form) * weights, axis=1) for form in (both, of_x, of_y))
        return np.asarray(np.where((first > 0) & (second > 0), product / np.sqrt(first * second), np.nan))

    return figure


def _spearman(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> Resampled:
    """Return rho of weights (m, n) of the items of segments (n, S): Pearson's r of middle ranks among the drawn."""
    items = np.nonzero(given)[0]
    sides = [np.unique(side[given], return_inverse=True)[1].reshape(-1) for side in (x, y)]

    def figure(weights: np.ndarray) -> np.ndarray:
        of_segments = weights[:, items]
        total = of_segments.sum(axis=1, keepdims=True)
        centred = []
        for places in sides:
            order = np.argsort(places, kind="stable")
            ends = np.cumsum(np.bincount(places)) - 1
            high = np.cumsum(of_segments[:, order], axis=1)[:, ends]
            low = np.hstack([np.zeros((len(high), 1)), high[:, :-1]])
            centred.append(((low + high - total) / 2)[:, places])  # the mean of middle ranks is half of the total
        first, second, product = (
            np.sum(of_segments * a * b, axis=1) for a, b in (centred[:1] * 2, centred[1:] * 2, centred)
        )
        return np.asarray(np.where((first > 0) & (second > 0), product / np.sqrt(first * second), np.nan))

    return figure
