"""Correlation of metrics with people: at the level of systems and of segments, with intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dialoeval.errors import UserError, nearest
from dialoeval.stats.draws import (
    Interval,
    Undefined,
    item_interval_of,
    item_weights,
    of_totals,
    percentile_interval,
    rows_at_a_time,
)
from dialoeval.stats.ranks import rank_interval

KINDS = ("pearson", "spearman", "kendall")
GROUPINGS = ("none", "item", "sys")
_FEWEST = 4  # systems of a correlation at system level
_BATCH = 64  # longest group whose pairs are compared all at once
_EQUAL = 1e-12  # sums in a different order differ in the last bits
Figures = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Correlation:
    """A correlation of two lists of numbers.

    Attributes:
        value: the coefficient.
        p_value: two-sided, of no correlation, as scipy computes it.
        n: length of the lists.
    """

    value: float
    p_value: float
    n: int


def correlation(x: np.ndarray, y: np.ndarray, kind: str = "pearson") -> Correlation | Undefined:
    """Return Pearson's r, Spearman's rho or Kendall's tau-b of two lists (n,); pairs with NaN are left out.

    Raises:
        UserError: the kind is unknown, or the lengths differ.
    """
    from scipy.stats import kendalltau, pearsonr, spearmanr

    _known(kind, KINDS, "correlation")
    x, y = _paired(x, y)
    if len(x) < 3:
        return Undefined(f"{len(x)} pairs of values, and it needs three")
    for name, values in (("first", x), ("second", y)):
        if np.ptp(values) == 0:
            return Undefined(f"the {name} values are all the same")
    function = {"pearson": pearsonr, "spearman": spearmanr, "kendall": kendalltau}[kind]
    found = function(x, y)
    return Correlation(float(found.statistic), float(found.pvalue), len(x))


def fixed(values: np.ndarray) -> Figures:
    """Return figures of systems (S,) that do not follow the items, such as published ones."""
    values = np.asarray(values, dtype=float)
    return lambda weights: np.broadcast_to(values, (len(weights), len(values)))


def item_means(sums: np.ndarray, counts: np.ndarray) -> Figures:
    """Return figures of systems that are means over judgments (or segments) of items.

    Args:
        sums: (n, S) sum of the values of each item and system; NaN counts as no value.
        counts: (n, S) how many there are, 0 where a system was not judged on an item.
    """
    sums, counts = np.asarray(sums, dtype=float), np.asarray(counts, dtype=float)
    counts = np.where(np.isnan(sums), 0.0, counts)
    sums = np.where(np.isnan(sums), 0.0, sums)

    def figures(weights: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((weights @ sums) / (weights @ counts))

    return figures


@dataclass(frozen=True)
class SystemCorrelation:
    """The correlation of a metric and people over systems.

    Attributes:
        value: the coefficient.
        p_value: two-sided, as if the systems were a sample of systems.
        systems: number of systems.
        interval: over other items, these systems.
    """

    value: float
    p_value: float
    systems: int
    interval: Interval | Undefined


def system_correlation(
    metric: Figures, human: Figures, items: int, kind: str = "pearson", resamples: int = 10_000, seed: int = 12345
) -> SystemCorrelation | Undefined:
    """Return the correlation over systems; the interval draws items, for the metric and people together.

    Args:
        metric: from (m, n) weights of items to (m, S) figures of systems (`item_means`, `fixed`, or a metric's own).
        human: the same for people.
        items: n; 0 gives no interval, where both are fixed.
        kind: "pearson", "spearman" or "kendall" (tau-b).
        resamples: how often the items are drawn.
        seed: of the draws.
    """
    _known(kind, KINDS, "correlation")
    once = np.ones((1, items))
    x, y = metric(once)[0], human(once)[0]
    if x.shape != y.shape:
        raise UserError(f"the metric has {len(x)} systems, people judged {len(y)}")
    n = int(np.sum(np.isfinite(x) & np.isfinite(y)))
    if n < _FEWEST:
        return Undefined(f"{n} systems, and it needs {_FEWEST}")
    found = correlation(x, y, kind)
    if isinstance(found, Undefined):
        return found
    interval: Interval | Undefined = Undefined("the items are not known")
    if items > 1 and resamples > 0:
        values = [_rows(metric(w), human(w), kind) for w in item_weights(items, resamples, seed)]
        interval = percentile_interval(np.concatenate(values))
    return SystemCorrelation(found.value, found.p_value, n, interval)


@dataclass(frozen=True)
class SegmentCorrelation:
    """The correlation of a metric and people over segments, the replies of systems to items.

    Attributes:
        value: mean over groups of the coefficient within each.
        groups: groups with a coefficient.
        left_out: groups in which a side is constant or has fewer than two values.
        interval: over other items.
    """

    value: float
    groups: int
    left_out: int
    interval: Interval | Undefined


def segment_correlation(
    metric: np.ndarray,
    human: np.ndarray,
    grouping: str,
    kind: str = "pearson",
    resamples: int = 10_000,
    seed: int = 12345,
) -> SegmentCorrelation | Undefined:
    """Return the correlation over segments under one of the groupings of mt-metrics-eval, which differ in meaning.

    Args:
        metric: (n, S) figures of each item and system; NaN where there is none.
        human: (n, S) mean ratings.
        grouping: "none" pools all segments, "item" averages over items the correlation across systems, "sys" averages
            over systems that across items.
        kind: "pearson", "spearman" or "kendall" (tau-b).
        resamples: how often the items are drawn; for Spearman and Kendall, not by item, 1,000 times at most.
        seed: of the draws.
    """
    _known(kind, KINDS, "correlation")
    metric, human = _tables(metric, human)
    values = _rows(_grouped(metric, grouping), _grouped(human, grouping), kind)
    given = np.isfinite(values)
    if not given.any():
        return Undefined("in every group the metric or people are constant")
    interval: Interval | Undefined
    if grouping == "item":
        rows = np.stack([np.where(given, values, 0.0), given.astype(float)], axis=1)
        interval = item_interval_of(rows, of_totals(lambda totals: totals[:, 0] / totals[:, 1]), resamples, seed)
    elif kind == "pearson":
        interval = _pearson_interval(metric, human, grouping, resamples, seed)
    else:
        interval = rank_interval(metric, human, kind, grouping == "sys", resamples, seed)
    return SegmentCorrelation(float(values[given].mean()), int(given.sum()), int(np.sum(~given)), interval)


@dataclass(frozen=True)
class PairwiseAccuracy:
    """How often a metric orders two replies to one item as people do, ties included.

    Attributes:
        value: accuracy at the chosen epsilon.
        epsilon: metric differences up to this are ties.
        uncalibrated: accuracy at epsilon 0.
        constant: accuracy of a metric that calls everything a tie: the share of people's ties.
        items: items with two replies or more.
    """

    value: float
    epsilon: float
    uncalibrated: float
    constant: float
    items: int


def pairwise_accuracy(metric: np.ndarray, human: np.ndarray) -> PairwiseAccuracy | Undefined:
    """Return acc* with tie calibration (Deutsch, Foster and Freitag 2023), averaged over items.

    A pair of replies is right if people and the metric order it alike, or both call it a tie. The smallest epsilon with
    the highest accuracy is chosen on the same data.

    Args:
        metric: (n, S) figures of each item and system; NaN where there is none.
        human: (n, S) mean ratings.
    """
    metric, human = _tables(metric, human)
    first, second = np.triu_indices(metric.shape[1], 1)
    x, y = metric[:, first] - metric[:, second], human[:, first] - human[:, second]
    given = np.isfinite(x) & np.isfinite(y)
    pairs = given.sum(axis=1)
    items = int(np.sum(pairs > 0))
    if not items:
        return Undefined("no item has two replies with both figures")
    weight = np.broadcast_to((1 / np.maximum(pairs, 1) / items)[:, None], x.shape)[given]
    x, y = x[given], y[given]
    tie = np.abs(y) <= _EQUAL
    agree = ~tie & (np.sign(x) == np.sign(y))
    # As epsilon grows past |x| a pair becomes a tie: people's ties turn right, the orders that agreed turn wrong.
    order = np.argsort(np.abs(x), kind="stable")
    sizes = np.abs(x)[order]
    gain = np.cumsum((weight * (tie.astype(float) - agree))[order])
    start = float(weight[agree].sum())
    last = np.append(np.flatnonzero(np.diff(sizes) > 0), len(sizes) - 1)
    epsilons = np.concatenate([[0.0], sizes[last]])
    accuracies = start + np.concatenate([[float(gain[sizes <= 0][-1]) if sizes[0] <= 0 else 0.0], gain[last]])
    best = int(np.flatnonzero(accuracies >= accuracies.max() - _EQUAL)[0])
    constant = float(weight[tie].sum())
    return PairwiseAccuracy(float(accuracies[best]), float(epsilons[best]), float(accuracies[0]), constant, items)


@dataclass(frozen=True)
class Williams:
    """The test of two correlations with one variable.

    Attributes:
        t: positive where the first correlation is larger.
        p_value: one-sided, that the first is not larger.
        between: correlation of the two metrics with each other.
    """

    t: float
    p_value: float
    between: float


def williams_test(human: np.ndarray, first: np.ndarray, second: np.ndarray) -> Williams | Undefined:
    """Test whether one metric correlates more with people than another, on the same systems (Williams 1959).

    t = (r12 - r13) sqrt((n - 1)(1 + r23) / (2 K (n - 1)/(n - 3) + ((r12 + r13)/2)^2 (1 - r23)^3)) with n - 3 degrees of
    freedom, K the determinant of the three correlations (Steiger 1980; in evaluation Graham and Baldwin 2014).

    Args:
        human: (n,) complete figures of people.
        first: (n,) of the metric that may be better.
        second: (n,) of the other.
    """
    from scipy.special import stdtr

    values = np.array([human, first, second], dtype=float)
    n = values.shape[1]
    if not np.isfinite(values).all():
        return Undefined("it needs complete figures of both metrics and people")
    if n < _FEWEST:
        return Undefined(f"{n} values, and it needs {_FEWEST}")
    if np.any(np.ptp(values, axis=1) == 0):
        return Undefined("a metric or people are constant")
    r12, r13, r23 = np.corrcoef(values)[[0, 0, 1], [1, 2, 2]]
    if r23 > 1 - 1e-9:
        return Undefined("the two metrics are the same up to scale")
    k = max(0.0, 1 - r12**2 - r13**2 - r23**2 + 2 * r12 * r13 * r23)
    below = 2 * k * (n - 1) / (n - 3) + ((r12 + r13) / 2) ** 2 * (1 - r23) ** 3
    if below < 1e-15:
        return Undefined("people's figures follow from the two metrics without error")
    t = (r12 - r13) * math.sqrt((n - 1) * (1 + r23) / below)
    return Williams(float(t), float(stdtr(n - 3, -t)), float(r23))


@dataclass(frozen=True)
class Permutation:
    """The test of two metrics' correlations by exchanging their figures.

    Attributes:
        delta: correlation of the first metric minus that of the second.
        p_value: one-sided, that the first is not larger; the smallest is 1 / (1 + trials).
        trials: permutations drawn.
    """

    delta: float
    p_value: float
    trials: int


def perm_both(
    human: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    grouping: str = "item",
    trials: int = 1_000,
    seed: int = 12345,
) -> Permutation | Undefined:
    """Test two metrics by PERM-BOTH (Deutsch, Dror and Roth 2021): figures of segments swap sides with probability 1/2.

    Both metrics are standardised first, so that a swap changes no scale. p = (1 + k) / (1 + trials), where k counts the
    trials with a difference of Pearson correlations as large as the observed one.

    Args:
        human: (n, S) mean ratings of each item and system.
        first: (n, S) of the metric that may be better; a segment that lacks one of the three is left out.
        second: (n, S) of the other.
        grouping: "none", "item" or "sys" as in `segment_correlation`, or "system" for means of systems.
        trials: number of permutations.
        seed: of the permutations.
    """
    first, human = _tables(first, human)
    second, human = _tables(second, human)
    _known(grouping, (*GROUPINGS, "system"), "grouping")
    given = np.isfinite(first) & np.isfinite(second) & np.isfinite(human)
    if not given.any():
        return Undefined("no segment has all three figures")
    x, y = (_standardised(table, given) for table in (first, second))
    human = np.where(given, human, np.nan)
    delta = float(_difference(x[None], y[None], human, grouping)[0])
    if not math.isfinite(delta):
        return Undefined("a metric or people are constant in every group")
    rng = np.random.default_rng(seed)
    step, larger = max(1, rows_at_a_time(x.size) // 4), 0
    for start in range(0, trials, step):
        swap = rng.integers(2, size=(min(step, trials - start), *x.shape), dtype=np.int8).astype(bool)
        drawn = _difference(np.where(swap, y, x), np.where(swap, x, y), human, grouping)
        larger += int(np.sum(~(drawn < delta - _EQUAL)))  # NaN, a trial without a correlation, counts as larger
    return Permutation(delta, (1 + larger) / (1 + trials), trials)


def _difference(x: np.ndarray, y: np.ndarray, human: np.ndarray, grouping: str) -> np.ndarray:
    """Return (t,) differences of two metrics' mean correlations, for (t, n, S) figures and (n, S) ratings."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(_mean_pearson(x, human, grouping) - _mean_pearson(y, human, grouping))


def _mean_pearson(x: np.ndarray, human: np.ndarray, grouping: str) -> np.ndarray:
    """Return (t,) Pearson correlations, averaged over the groups that have one."""
    t, n, s = x.shape
    given = np.isfinite(human)
    x = np.where(given, x, 0.0)  # (t, n, S)
    y = np.where(given, human, 0.0)
    if grouping == "system":
        counts = given.sum(axis=0)
        return _pearson_rows(x.sum(axis=1) / counts, np.broadcast_to(y.sum(axis=0) / counts, (t, s)))
    x = np.where(given, x, np.nan)
    if grouping == "none":
        return _pearson_rows(x.reshape(t, -1), np.broadcast_to(human.reshape(1, -1), (t, n * s)))
    if grouping == "sys":
        x, human = x.transpose(0, 2, 1), human.T
    values = _pearson_rows(x.reshape(-1, x.shape[2]), np.tile(human, (t, 1))).reshape(t, -1)
    some = np.isfinite(values)
    return np.asarray(np.where(some, values, 0.0).sum(axis=1) / some.sum(axis=1))


def _standardised(table: np.ndarray, given: np.ndarray) -> np.ndarray:
    values = table[given]
    spread = values.std()
    return np.asarray(np.where(given, (table - values.mean()) / (spread if spread > 0 else 1.0), np.nan))


def _pearson_interval(
    metric: np.ndarray, human: np.ndarray, grouping: str, resamples: int, seed: int
) -> Interval | Undefined:
    """Return the interval of a pooled correlation, or of the mean over systems, from sums of items."""
    given = np.isfinite(metric) & np.isfinite(human)
    x, y = (np.where(given, _standardised(table, given), 0.0) for table in (metric, human))
    sums = np.stack([given.astype(float), x, y, x * x, y * y, x * y], axis=2)  # (n, S, 6)
    sums = sums.sum(axis=1, keepdims=True) if grouping == "none" else sums

    def figure(totals: np.ndarray) -> np.ndarray:
        k, sx, sy, sxx, syy, sxy = np.moveaxis(totals.reshape(len(totals), -1, 6), 2, 0)
        varies = (sxx - sx**2 / k > _EQUAL * k) & (syy - sy**2 / k > _EQUAL * k)
        r = (sxy - sx * sy / k) / np.sqrt((sxx - sx**2 / k) * (syy - sy**2 / k))
        return np.asarray(np.where(varies, r, 0.0).sum(axis=1) / varies.sum(axis=1))

    return item_interval_of(sums.reshape(len(sums), -1), of_totals(figure), resamples, seed)


def _rows(x: np.ndarray, y: np.ndarray, kind: str) -> np.ndarray:
    """Return (g,) correlations of rows (g, c), NaN where a side is constant or there are fewer than two pairs."""
    if kind == "kendall":
        return _kendall_rows(x, y)
    if kind == "spearman":
        from scipy.stats import rankdata

        given = np.isfinite(x) & np.isfinite(y)
        x, y = (np.where(given, rankdata(np.where(given, side, np.inf), axis=1), np.nan) for side in (x, y))
    return _pearson_rows(x, y)


def _pearson_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    given = np.isfinite(x) & np.isfinite(y)
    count = given.sum(axis=1)
    centred = []
    for side in (x, y):
        mean = np.where(given, side, 0.0).sum(axis=1) / np.maximum(count, 1)
        centred.append(np.where(given, side - mean[:, None], 0.0))
    square = [np.einsum("gc,gc->g", side, side) for side in centred]
    varies = _varies(x, given) & _varies(y, given)
    product = np.einsum("gc,gc->g", *centred)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(varies, product / np.sqrt(square[0] * square[1]), np.nan))


def _varies(values: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return (g,) whether the given values of a row (g, c) are not all the same."""
    high = np.where(given, values, -np.inf).max(axis=1, initial=-np.inf)
    low = np.where(given, values, np.inf).min(axis=1, initial=np.inf)
    return np.asarray(high > low)


def _kendall_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (g,) tau-b: by all pairs of a short row at once, by scipy's sorting for a long one."""
    given = np.isfinite(x) & np.isfinite(y)
    varies = _varies(x, given) & _varies(y, given)
    result = np.full(len(x), np.nan)
    c = x.shape[1]
    if c > _BATCH:
        from scipy.stats import kendalltau

        for i in np.flatnonzero(varies):
            result[i] = kendalltau(x[i][given[i]], y[i][given[i]]).statistic
        return result
    first, second = np.triu_indices(c, 1)
    step = rows_at_a_time(4 * len(first))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        both = given[part][:, first] & given[part][:, second]
        signs = [np.where(both, np.sign(side[part][:, first] - side[part][:, second]), 0.0) for side in (x, y)]
        products = (signs[0] * signs[1]).sum(axis=1)
        sizes = np.abs(signs[0]).sum(axis=1) * np.abs(signs[1]).sum(axis=1)
        result[part] = np.where(varies[part], products / np.sqrt(np.where(sizes > 0, sizes, 1)), np.nan)
    return result


def _grouped(table: np.ndarray, grouping: str) -> np.ndarray:
    """Return the rows within which a correlation is computed."""
    _known(grouping, GROUPINGS, "grouping")
    return {"none": table.reshape(1, -1), "item": table, "sys": table.T}[grouping]


def _tables(metric: np.ndarray, human: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    metric, human = np.asarray(metric, dtype=float), np.asarray(human, dtype=float)
    if metric.ndim != 2 or metric.shape != human.shape:
        raise UserError(f"tables of items by systems must be of one size: they are {metric.shape} and {human.shape}")
    return metric, human


def _paired(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise UserError(f"two lists of one length are needed: they are {x.shape} and {y.shape}")
    given = np.isfinite(x) & np.isfinite(y)
    return x[given], y[given]


def _known(name: str, names: tuple[str, ...], what: str) -> None:
    if name not in names:
        raise UserError(f"unknown {what} {name!r}{nearest(name, names)} (known: {', '.join(names)})")
