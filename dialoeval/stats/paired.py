"""Paired tests of two systems on the same examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np

from dialoeval.errors import UserError
from dialoeval.stats.intervals import Weighable, figures_of, percentiles, resample, size_biased_values

_EQUAL = 1e-12  # sums in a different order differ in the last bits
_BLOCK = 250  # resamples or trials computed at a time, which bounds memory


@dataclass(frozen=True)
class PairedResult:
    """The comparison of two systems in one figure.

    Attributes:
        a: figure of the first system.
        b: figure of the second system.
        difference: b - a.
        low: lower bound of the difference's 95% interval, or None if the test gives no interval.
        high: upper bound of the same interval, or None.
        p_value: of the difference; see the test for how it is counted.
        p_two_sided: the same question as approximate randomization's: how often chance gives a difference this large in
            either direction.
    """

    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p_value: float
    p_two_sided: float


def paired_bootstrap(a: Weighable, b: Weighable, resamples: int = 1000, seed: int = 12345) -> dict[str, PairedResult]:
    """Compare two systems by paired bootstrap resampling: the same examples are drawn for both (Koehn 2004).

    `p_two_sided` is (k + 1) / (resamples + 1), where k counts the resamples whose difference is further from the mean
    difference than the observed one is from 0 (Efron and Tibshirani 1993, 16.4). `p_value` is sacrebleu's
    ``PairedTest`` (test_type="bs") for the same seed (Riezler and Maxwell 2005): k counts the resamples whose absolute
    difference exceeds the mean absolute difference by more than the observed one. That is about half as large for a
    clear difference, and about 0.4 rather than 1 for one near 0. Both are 1 if the observed difference is 0.

    `size_biased` figures are drawn as for their intervals, and have only the two-sided p-value, in both fields.

    Raises:
        UserError: the systems have different numbers of examples.
    """
    n = _paired_size(a, b)
    figures_a, figures_b = _observed(a, b)
    plain_a, plain_b = (x.part(size_biased=False) if x.size_biased else x for x in (a, b))
    weights = resample(n, resamples, seed)
    drawn_a = figures_of(plain_a, weights) | size_biased_values(a, figures_a, resamples, seed)
    drawn_b = figures_of(plain_b, weights) | size_biased_values(b, figures_b, resamples, seed)
    size_biased = a.size_biased
    results = {}
    for name in [name for name in figures_a if name in drawn_a]:
        differences = drawn_b[name] - drawn_a[name]
        differences = differences[np.isfinite(differences)]  # NaN: no drawn example has the figure
        observed = figures_b[name] - figures_a[name]
        if not len(differences):
            continue
        sizes = np.abs(differences)
        further = np.abs(differences - differences.mean()) > abs(observed) + _EQUAL
        two_sided = _p_value(int(np.sum(further)), len(sizes), observed)
        theirs = _p_value(int(np.sum(sizes - sizes.mean() > abs(observed))), len(sizes), observed)
        low, high = percentiles(differences)
        results[name] = PairedResult(
            a=figures_a[name],
            b=figures_b[name],
            difference=observed,
            low=low,
            high=high,
            p_value=two_sided if name in size_biased else theirs,
            p_two_sided=two_sided,
        )
    return results


class Poolable(Weighable, Protocol):
    """Examples that can be pooled with those of another system."""

    def pooled(self, other: Self) -> Weighable:
        """Return the replies of both systems as one set of 2n, this one's first."""


P = TypeVar("P", bound=Poolable)


def approximate_randomization(a: P, b: P, trials: int = 1000, seed: int = 12345) -> dict[str, PairedResult]:
    """Compare two systems by paired approximate randomization (Noreen 1989, Riezler and Maxwell 2005).

    Each trial swaps the systems' replies to each example with probability 1/2. The p-value is (k + 1) / (trials + 1),
    where k counts the trials whose absolute difference is larger than the observed one. For the same seed it equals
    sacrebleu's (test_type="ar"), except that it is 1 if the observed difference is 0. `p_two_sided` also counts the
    trials whose difference is as large as the observed one: where few replies differ, most are.

    Raises:
        UserError: the systems have different numbers of examples.
    """
    n = _paired_size(a, b)
    figures_a, figures_b = _observed(a, b)
    pool = a.pooled(b)
    swaps = np.random.default_rng(seed).integers(2, size=(trials, n), dtype=bool)
    testable = pool.figures(np.ones((1, 2 * n), dtype=np.int32))
    larger = {name: 0 for name in figures_a if name in testable}
    at_least = dict(larger)
    for start in range(0, trials, _BLOCK):
        swap = swaps[start : start + _BLOCK]
        left = pool.figures(np.hstack([~swap, swap]).astype(np.int32))
        right = pool.figures(np.hstack([swap, ~swap]).astype(np.int32))
        for name in larger:
            observed = abs(figures_b[name] - figures_a[name])
            # NaN, a trial in which one side lacks the figure, counts as larger
            differences = np.abs(right[name] - left[name])
            larger[name] += int(np.sum(~(differences <= observed + _EQUAL)))
            at_least[name] += int(np.sum(~(differences < observed - _EQUAL)))
    results = {}
    for name, count in larger.items():
        difference = figures_b[name] - figures_a[name]
        p, two_sided = (_p_value(k, trials, difference) for k in (count, at_least[name]))
        results[name] = PairedResult(figures_a[name], figures_b[name], difference, None, None, p, two_sided)
    return results


def _p_value(larger: int, draws: int, observed: float) -> float:
    """Return (larger + 1) / (draws + 1), which is never 0; or 1 if the observed difference is 0."""
    return 1.0 if abs(observed) <= _EQUAL else (larger + 1) / (draws + 1)


def _paired_size(a: Weighable, b: Weighable) -> int:
    if len(a) != len(b):
        raise UserError(f"a paired test needs the same examples: one system has {len(a)}, the other {len(b)}")
    if len(a) < 2:
        raise UserError("a paired test needs at least two examples")
    return len(a)


def _observed(a: Weighable, b: Weighable) -> tuple[dict[str, float], dict[str, float]]:
    left, right = a.figures(), b.figures()
    common = [name for name in left if name in right and np.isfinite([left[name][0], right[name][0]]).all()]
    return {name: float(left[name][0]) for name in common}, {name: float(right[name][0]) for name in common}
