"""Agreement of judges: Krippendorff's alpha, Fleiss' kappa, agreeing pairs, intraclass correlations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.errors import UserError, nearest
from dialoeval.stats.draws import Figure, Interval, Undefined, codes, group_sums, item_interval_of, of_totals

LEVELS = ("nominal", "ordinal", "interval")
_CONSTANT = "every judgment was the same"
_SINGLE = "no item has two judgments"


@dataclass(frozen=True)
class Agreement:
    """A figure of agreement.

    Attributes:
        value: the figure of all items.
        interval: over other items, by bootstrap.
        items: number of items that count.
        judgments: number of judgments of these items.
        left_out: items with one judgment, which say nothing about agreement.
    """

    value: float
    interval: Interval | Undefined
    items: int
    judgments: int
    left_out: int


def count_table(items: np.ndarray, values: np.ndarray, domain: Sequence[object]) -> np.ndarray:
    """Return (n, v) how often each item was given each value of the domain.

    Args:
        items: (N,) label of the item of each judgment.
        values: (N,) judgments; None and NaN were not given and are left out.
        domain: all v values that could be given, in their order, whether or not anyone gave them.

    Raises:
        UserError: a value is not in the domain.
    """
    numbers, n = codes(items)
    place = {value: i for i, value in enumerate(domain)}
    table = np.zeros((n, len(place)), dtype=np.int64)
    unique, inverse = _unique(values)
    columns = np.full(len(unique), -1)
    for i, value in enumerate(unique):
        if value is None or value != value:
            continue
        if value not in place:
            raise UserError(f"the value {value!r} is not one of {', '.join(map(repr, place))}")
        columns[i] = place[value]
    of_value = columns[inverse]
    given = of_value >= 0
    np.add.at(table, (numbers[given], of_value[given]), 1)
    return table


def krippendorff_alpha(
    table: np.ndarray,
    level: str = "nominal",
    values: Sequence[float] | None = None,
    resamples: int = 10_000,
    seed: int = 12345,
) -> Agreement | Undefined:
    """Return Krippendorff's alpha, 1 - observed / expected disagreement (Krippendorff 2011, by coincidences).

    The disagreement of two values is 0 or 1 (nominal), the square of the number of judgments between them, counting
    half of those at either end (ordinal), or the square of their difference (interval).

    Args:
        table: (n, v) counts of `count_table`, over the declared domain.
        level: "nominal", "ordinal" (columns are in order) or "interval".
        values: (v,) the numbers that the columns stand for at level "interval"; 1 .. v if not given.
        resamples: of the interval over items.
        seed: of the resamples.

    Raises:
        UserError: the level is unknown, or values do not fit the table.
    """
    if level not in LEVELS:
        raise UserError(f"unknown level {level!r}{nearest(level, LEVELS)} (known: {', '.join(LEVELS)})")
    table = _counts(table)
    v = table.shape[1]
    numbers = np.arange(1.0, v + 1) if values is None else np.asarray(values, dtype=float)
    if len(numbers) != v:
        raise UserError(f"{len(numbers)} values for {v} columns of counts")
    used = table[table.sum(axis=1) > 1]
    if not len(used):
        return Undefined(_SINGLE)
    if level == "ordinal":
        return _agreement(used, _ordinal_alpha, table, resamples, seed)
    distance = np.ones((v, v)) - np.eye(v) if level == "nominal" else (numbers[:, None] - numbers) ** 2
    within = np.sum((used @ distance) * used, axis=1) / (used.sum(axis=1) - 1)

    def alpha(totals: np.ndarray) -> np.ndarray:
        counts = totals[:, :v]
        return _alpha(totals[:, v], np.sum((counts @ distance) * counts, axis=1), counts.sum(axis=1))

    return _agreement(np.column_stack([used, within]), of_totals(alpha), table, resamples, seed)


def fleiss_kappa(table: np.ndarray, resamples: int = 10_000, seed: int = 12345) -> Agreement | Undefined:
    """Return Fleiss' kappa (1971) of a count table (n, v); undefined where items have unequally many judgments."""
    table = _counts(table)
    table = table[table.sum(axis=1) > 0]
    sizes = table.sum(axis=1)
    if not len(sizes) or sizes.max() < 2:
        return Undefined(_SINGLE)
    k = sizes[0]
    if np.any(sizes != k):
        return Undefined(f"items have {sizes.min():.0f} to {sizes.max():.0f} judgments, and it needs equally many")
    share = np.sum(table * (table - 1), axis=1) / (k * (k - 1))

    def kappa(totals: np.ndarray) -> np.ndarray:
        counts, agreeing = totals[:, :-1], totals[:, -1]
        n = counts.sum(axis=1)
        chance = np.sum((counts / n[:, None]) ** 2, axis=1)
        several = (counts > 0).sum(axis=1) > 1
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(several, (agreeing * k / n - chance) / (1 - chance), np.nan))

    return _agreement(np.column_stack([table, share]), of_totals(kappa), table, resamples, seed)


def agreeing_pairs(table: np.ndarray, resamples: int = 10_000, seed: int = 12345) -> Agreement | Undefined:
    """Return the share of pairs of judgments of one item that are equal, from a count table (n, v)."""
    table = _counts(table)
    used = table[table.sum(axis=1) > 1]
    if not len(used):
        return Undefined(_SINGLE)
    sizes = used.sum(axis=1)
    rows = np.column_stack([np.sum(used * (used - 1), axis=1), sizes * (sizes - 1)])
    return _agreement(rows, of_totals(lambda totals: totals[:, 0] / totals[:, 1]), table, resamples, seed)


def icc(
    items: np.ndarray, values: np.ndarray, k: float | None = 1, resamples: int = 10_000, seed: int = 12345
) -> Agreement | Undefined:
    """Return the one-way intraclass correlation (Shrout and Fleiss 1979): ICC(1,1), or ICC(1,k) of means of k.

    From the mean squares B between and W within items, ICC(1,1) = (B - W) / (B + (k0 - 1) W), where k0 is the number of
    judgments an item, (N - sum k_i^2 / N) / (n - 1) where they differ; k judgments have k r / (1 + (k - 1) r).

    Args:
        items: (N,) label of the item of each judgment.
        values: (N,) numbers; NaN is a judgment that was not given.
        k: judgments whose mean is meant; None means k0.
        resamples: of the interval over items.
        seed: of the resamples.
    """
    values = np.asarray(values, dtype=float)
    given = np.isfinite(values)
    numbers, n = codes(np.asarray(items)[given])
    values = values[given]
    values = values - (values.mean() if len(values) else 0.0)
    sums = group_sums(numbers, n, np.column_stack([np.ones(len(values)), values, values**2]))
    used = sums[sums[:, 0] > 1]
    if not len(used):
        return Undefined(_SINGLE)
    if len(used) < 2:
        return Undefined("two items or more are needed")
    size, total, squares = used.T
    rows = np.column_stack([np.ones(len(used)), size, size**2, total, squares, total**2 / size])
    found = _agreement(rows, of_totals(lambda totals: _icc(totals, k)), sums[:, :1], resamples, seed)
    differ = isinstance(found, Undefined) and np.ptp(values) > 0
    return Undefined("the mean of every item is the same") if differ else found


def ceiling(reliability: float) -> float | Undefined:
    """Return sqrt(ICC(1,k)), the correlation with means of k judgments that a perfect metric would have.

    A measure correlates with an error-free one at most by the root of its reliability (Spearman 1904).
    """
    if not reliability > 0:
        return Undefined("judges agree no more than by chance")
    return math.sqrt(reliability)


def _agreement(rows: np.ndarray, figure: Figure, table: np.ndarray, resamples: int, seed: int) -> Agreement | Undefined:
    """Return the figure of all items with its interval; a figure that cannot be computed is one of constant ratings."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(figure(np.ones((1, len(rows))), rows)[0])
    if not math.isfinite(value):
        return Undefined(_CONSTANT)
    sizes = table.sum(axis=1)
    interval = item_interval_of(rows, figure, resamples, seed)
    return Agreement(value, interval, len(rows), int(sizes[sizes > 1].sum()), int(np.sum(sizes == 1)))


def _icc(totals: np.ndarray, k: float | None) -> np.ndarray:
    """Return (m,) correlations from (m, 6) totals of 1, k_i, k_i^2, sum, sum of squares, sum^2 / k_i."""
    n, count, squares_of_sizes, total, squares, between = totals.T
    noise = 1e-12 * np.maximum(squares, 1e-300)  # what rounding leaves of a sum of squares that is 0
    b = np.maximum(between - total**2 / count, 0) / (n - 1)
    w = np.where(squares - between > noise, squares - between, 0) / (count - n)
    b = np.where(b * (n - 1) > noise, b, 0)
    k0 = (count - squares_of_sizes / count) / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        single = (b - w) / (b + (k0 - 1) * w)
        wanted = k0 if k is None else k
        return np.asarray(wanted * single / (1 + (wanted - 1) * single))


def _counts(table: np.ndarray) -> np.ndarray:
    table = np.asarray(table, dtype=float)
    if table.ndim != 2:
        raise UserError("agreement is computed from a table of counts, items by values (see count_table)")
    return table


def _unique(values: np.ndarray) -> tuple[list[object], np.ndarray]:
    """Return the different values and (N,) which of them each is; None and NaN may be among them."""
    place: dict[object, int] = {}
    numbers = [place.setdefault(None if x != x else x, len(place)) for x in np.asarray(values).tolist()]
    return list(place), np.array(numbers, dtype=np.int64)


def _ordinal_alpha(weights: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return (m,) ordinal alphas of items (n, v) with weights (m, n).

    The square of the number of judgments between two values, half of those at either end, is the squared difference of
    their middle ranks; so the distances are those of numbers that depend on the weights.
    """
    counts = weights @ table
    n, size = counts.sum(axis=1), table.sum(axis=1)
    rank = np.cumsum(counts, axis=1) - counts / 2 - n[:, None] / 2
    pairs = 2 * (size * (rank**2 @ table.T) - (rank @ table.T) ** 2)
    seen = np.sum(weights * pairs / (size - 1), axis=1)
    expected = 2 * (n * np.sum(counts * rank**2, axis=1) - np.sum(counts * rank, axis=1) ** 2)
    several = (counts > 0).sum(axis=1) > 1
    return _alpha(seen, np.where(several, expected, 0.0), n)


def _alpha(seen: np.ndarray, expected: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return (m,) alphas of summed disagreements within items and of all pairs; NaN where all judgments are one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - np.where(expected > 0, seen * (n - 1) / expected, np.nan))
