"""Intervals of means, shares and differences of judgments that cluster by item and by judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.errors import UserError
from dialoeval.stats.draws import (
    Interval,
    Undefined,
    codes,
    drawn_weights,
    group_sums,
    item_interval_of,
    of_totals,
    percentile_interval,
    rows_at_a_time,
)

_FEW_JUDGES = 10  # below this, the normal quantile is too small


@dataclass(frozen=True)
class Statistic:
    """A sum of ratios of totals over judgments: a mean, a share, a net win, or a difference of such.

    The value is the sum over r of coefficient_r * sum(numerators_r) / sum(denominators_r). Make one by `ratio` or
    `mean`, and combine several by `combined`, such as the difference of two systems or the mean of two questions.

    Attributes:
        items: (N,) label of the item (context) of each judgment.
        judges: (N,) label of its judge.
        numerators: (N, r).
        denominators: (N, r); 0 where the judgment does not belong to a ratio.
        coefficients: (r,).
    """

    items: np.ndarray
    judges: np.ndarray
    numerators: np.ndarray
    denominators: np.ndarray
    coefficients: np.ndarray

    @property
    def value(self) -> float | Undefined:
        """The figure of all judgments."""
        totals = self.denominators.sum(axis=0)
        if not len(totals) or np.any(totals == 0):
            return Undefined("no judgment belongs to it")
        return float(self.coefficients @ (self.numerators.sum(axis=0) / totals))

    def rows(self) -> np.ndarray:
        """Return (N, 2r) numerators and denominators side by side."""
        return np.hstack([self.numerators, self.denominators])

    def of_totals(self, totals: np.ndarray) -> np.ndarray:
        """Return (m,) values for (m, 2r) totals, NaN where a denominator is 0."""
        r = len(self.coefficients)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((totals[:, :r] / np.where(totals[:, r:] == 0, np.nan, totals[:, r:])) @ self.coefficients)


def ratio(items: np.ndarray, judges: np.ndarray, numerator: np.ndarray, denominator: np.ndarray) -> Statistic:
    """Return the ratio of two totals, such as wins among decided judgments.

    Args:
        items: (N,) labels.
        judges: (N,) labels.
        numerator: (N,) numbers; a judgment where it or the denominator is NaN was not given, and is left out.
        denominator: (N,) numbers, 0 for a judgment that does not count.

    Raises:
        UserError: the lengths differ.
    """
    arrays = [np.asarray(items), np.asarray(judges)]
    numbers = [np.asarray(x, dtype=float) for x in (numerator, denominator)]
    lengths = {len(x) for x in [*arrays, *numbers]}
    if len(lengths) > 1:
        raise UserError(f"items, judges and values must be of one length: they have {sorted(lengths)}")
    given = np.isfinite(numbers[0]) & np.isfinite(numbers[1])
    columns = [x[given][:, None] for x in numbers]
    return Statistic(arrays[0][given], arrays[1][given], columns[0], columns[1], np.ones(1))


def mean(items: np.ndarray, judges: np.ndarray, values: np.ndarray) -> Statistic:
    """Return the plain mean of judgments (N,); NaN is a judgment that was not given."""
    return ratio(items, judges, values, np.ones(len(values)))


def combined(statistics: Sequence[Statistic], coefficients: Sequence[float]) -> Statistic:
    """Return the sum of statistics times coefficients: (1, -1) is a difference, (1/2, 1/2) the mean of two questions.

    Items and judges with the same label are the same in all of them; statistics need not be of the same items.
    """
    widths = [len(x.coefficients) for x in statistics]
    parts = []
    for which in ("numerators", "denominators"):
        block = np.zeros((sum(len(x.items) for x in statistics), sum(widths)))
        row = column = 0
        for x, width in zip(statistics, widths, strict=True):
            block[row : row + len(x.items), column : column + width] = getattr(x, which)
            row, column = row + len(x.items), column + width
        parts.append(block)
    return Statistic(
        np.concatenate([x.items for x in statistics]),
        np.concatenate([x.judges for x in statistics]),
        parts[0],
        parts[1],
        np.concatenate([factor * x.coefficients for x, factor in zip(statistics, coefficients, strict=True)]),
    )


def item_interval(
    statistic: Statistic, resamples: int = 10_000, seed: int = 12345, confidence: float = 0.95
) -> Interval | Undefined:
    """Return the interval over other items and these judges: percentile bootstrap over items.

    Ratios are computed anew in each draw. With as many judgments an item everywhere this is the bootstrap over
    context means by which DSTC7 published its intervals (10,000 draws of 1,000 contexts).
    """
    if isinstance(statistic.value, Undefined):
        return statistic.value
    items, n = codes(statistic.items)
    return item_interval_of(
        group_sums(items, n, statistic.rows()), of_totals(statistic.of_totals), resamples, seed, confidence
    )


@dataclass(frozen=True)
class TwoWay:
    """The interval over other items and other judges.

    Attributes:
        value: the figure.
        low: lower bound.
        high: upper bound.
        half_width: of the interval.
        item_half_width: if only items were drawn anew.
        judge_half_width: if only judges were drawn anew.
        items: number of items.
        judges: number of judges.
        df: degrees of freedom of the t quantile, judges - 1 below ten judges; None for the normal quantile.
    """

    value: float
    low: float
    high: float
    half_width: float
    item_half_width: float
    judge_half_width: float
    items: int
    judges: int
    df: int | None


def two_way_interval(statistic: Statistic, confidence: float = 0.95, judges: int | None = None) -> TwoWay | Undefined:
    """Return the interval of a figure that clusters by item and by judge.

    The variance is V_item + V_judge - V_item,judge of the linearised statistic (Cameron, Gelbach and Miller 2011), each
    the sum of squares of the cluster totals of its influences; if that is not positive, the larger of the first two.

    Args:
        statistic: the figure.
        confidence: of the interval.
        judges: how many there are, if some labels stand for nobody (such as a tie by rule); None: one a label.
    """
    from scipy.special import ndtri, stdtrit

    value = statistic.value
    if isinstance(value, Undefined):
        return value
    items, n_items = codes(statistic.items)
    numbers, labels = codes(statistic.judges)
    n_judges = labels if judges is None else judges
    if n_judges < 2:
        return Undefined("one judge says nothing about other judges")
    if n_items < 2:
        return Undefined("one item says nothing about other items")
    influences = _influences(statistic)
    cells, n_cells = codes(items * labels + numbers)
    by_item, by_judge, by_cell = (
        float(np.sum(np.bincount(clusters, influences, minlength=n) ** 2))
        for clusters, n in ((items, n_items), (numbers, labels), (cells, n_cells))
    )
    variance = by_item + by_judge - by_cell
    if variance <= 0:
        variance = max(by_item, by_judge)
    if math.sqrt(variance) <= 1e-12 * max(1.0, abs(value)):
        return Undefined("every item and judge gives the same figure")
    df = n_judges - 1 if n_judges < _FEW_JUDGES else None
    level = (1 + confidence) / 2
    quantile = float(ndtri(level) if df is None else stdtrit(df, level))
    half, item_half, judge_half = (quantile * math.sqrt(v) for v in (variance, by_item, by_judge))
    return TwoWay(value, value - half, value + half, half, item_half, judge_half, n_items, n_judges, df)


def pigeonhole_interval(
    statistic: Statistic, resamples: int = 2_000, seed: int = 12345, confidence: float = 0.95
) -> Interval | Undefined:
    """Return the interval by the pigeonhole bootstrap (Owen 2007), a conservative cross-check of `two_way_interval`.

    Items and judges are drawn with replacement, each on its own; a judgment counts as often as its item times its
    judge.
    """
    if isinstance(statistic.value, Undefined):
        return statistic.value
    items, n_items = codes(statistic.items)
    judges, n_judges = codes(statistic.judges)
    if min(n_items, n_judges) < 2:
        return Undefined("two items and two judges or more are needed")
    rows, values = statistic.rows(), []
    step = rows_at_a_time(len(rows) + n_items + n_judges)
    for start in range(0, resamples, step):
        m = min(step, resamples - start)
        of_items, of_judges = (
            drawn_weights(n, m, _stream(seed, start, which)) for which, n in enumerate((n_items, n_judges))
        )
        values.append(statistic.of_totals((of_items[:, items] * of_judges[:, judges]) @ rows))
    return percentile_interval(np.concatenate(values), confidence)


def leave_one_judge_out(statistic: Statistic) -> tuple[np.ndarray, np.ndarray]:
    """Return (j,) labels of judges and (j,) figures without each, NaN where none would be left."""
    labels = np.unique(statistic.judges)
    judges, n = codes(statistic.judges)
    rows = statistic.rows()
    return labels, statistic.of_totals(rows.sum(axis=0) - group_sums(judges, n, rows))


def severity(items: np.ndarray, judges: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (j,) labels of judges and (j,) means of their values minus the others' mean on the same items.

    NaN values are left out, and so are items that nobody else judged; a judge with no other item has NaN.
    """
    given = np.isfinite(np.asarray(values, dtype=float))
    labels, numbers = np.unique(np.asarray(judges)[given], return_inverse=True)
    items, n_items = codes(np.asarray(items)[given])
    values = np.asarray(values, dtype=float)[given]
    cells, n_cells = codes(items * len(labels) + numbers)
    sums, own = np.bincount(items, values, n_items), np.bincount(cells, values, n_cells)
    counts, own_counts = np.bincount(items, minlength=n_items), np.bincount(cells, minlength=n_cells)
    others = counts[items] - own_counts[cells]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = values - (sums[items] - own[cells]) / others
        shared = others > 0
        total = np.bincount(numbers[shared], apart[shared], len(labels))
        return labels, total / np.bincount(numbers[shared], minlength=len(labels))


def _influences(statistic: Statistic) -> np.ndarray:
    """Return (N,) how much each judgment moves the figure, to first order."""
    totals = statistic.denominators.sum(axis=0)
    ratios = statistic.numerators.sum(axis=0) / totals
    return np.asarray((statistic.numerators - ratios * statistic.denominators) @ (statistic.coefficients / totals))


def _stream(seed: int, start: int, which: int) -> int:
    """Return the seed of one block of draws."""
    return int(np.random.SeedSequence([seed, start, which]).generate_state(1)[0])
