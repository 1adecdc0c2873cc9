"""Paired tests of two systems on the same examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np

from dialoeval.errors import UserError
from dialoeval.stats.intervals import Weighable, percentiles, resample

_EQUAL = 1e-12  # sums in another order differ in the last bits
_BLOCK = 250  # resamples or trials at a time: bounds the memory


@dataclass(frozen=True)
class PairedResult:
    """One figure of two systems.

    Attributes:
        a, b: the figure of each; difference: b - a.
        low, high: 95% percentile interval of the difference; None where the test gives none.
        p_value: of a difference that large, either way, if there were none.
    """

    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p_value: float


def paired_bootstrap(a: Weighable, b: Weighable, resamples: int = 1000, seed: int = 12345) -> dict[str, PairedResult]:
    """Paired bootstrap resampling (Koehn 2004): the same examples are drawn for both systems.

    The p-value is that of sacrebleu's ``PairedTest`` (test_type="bs"), given the same seed: the share, with one added
    above and below, of resamples whose absolute difference exceeds the mean absolute one by more than the difference
    observed (Riezler and Maxwell 2005). Where none is observed it is 1, unlike there.

    Raises:
        UserError: the systems have different numbers of examples.
    """
    n = _paired_size(a, b)
    ours, theirs = _observed(a, b)
    weights = resample(n, resamples, seed)
    drawn_a, drawn_b = _figures(a, weights), _figures(b, weights)
    size_biased = a.size_biased
    results = {}
    for name in [name for name in ours if name in drawn_a]:
        differences = drawn_b[name] - drawn_a[name]
        differences = differences[np.isfinite(differences)]  # a resample of no example that has the figure has none
        observed = theirs[name] - ours[name]
        if not len(differences):
            continue
        sizes = np.abs(differences)
        p_value = _p_value(int(np.sum(sizes - sizes.mean() > abs(observed))), len(sizes), observed)
        low, high = percentiles(differences, observed if name in size_biased else None)
        results[name] = PairedResult(ours[name], theirs[name], observed, low, high, p_value)
    return results


class Poolable(Weighable, Protocol):
    """Examples that can be put together with those of another system."""

    def pooled(self, other: Self) -> Weighable:
        """Return both systems' replies as one set of 2n: this one's first."""


P = TypeVar("P", bound=Poolable)


def approximate_randomization(a: P, b: P, trials: int = 1000, seed: int = 12345) -> dict[str, PairedResult]:
    """Paired approximate randomization (Noreen 1989, Riezler and Maxwell 2005): replies trade places by coin tosses.

    The p-value is sacrebleu's (test_type="ar"), given the same seed: the share, with one added above and below, of
    trials whose absolute difference is larger than the one observed. Where none is observed it is 1, unlike there.

    Raises:
        UserError: the systems have different numbers of examples.
    """
    n = _paired_size(a, b)
    ours, theirs = _observed(a, b)
    both = a.pooled(b)
    swaps = np.random.default_rng(seed).integers(2, size=(trials, n), dtype=bool)
    extreme = dict.fromkeys([name for name in ours if name in both.figures(np.ones((1, 2 * n), dtype=np.int32))], 0)
    for start in range(0, trials, _BLOCK):
        swap = swaps[start : start + _BLOCK]
        left = both.figures(np.hstack([~swap, swap]).astype(np.int32))
        right = both.figures(np.hstack([swap, ~swap]).astype(np.int32))
        for name in extreme:
            observed = abs(theirs[name] - ours[name])
            # a trial in which one side has no figure counts against a difference
            extreme[name] += int(np.sum(~(np.abs(right[name] - left[name]) <= observed + _EQUAL)))
    return {
        name: PairedResult(
            ours[name],
            theirs[name],
            theirs[name] - ours[name],
            None,
            None,
            _p_value(larger, trials, theirs[name] - ours[name]),
        )
        for name, larger in extreme.items()
    }


def _p_value(larger: int, draws: int, observed: float) -> float:
    """One is added above and below, so that no p-value is 0; a system is never told apart from its like."""
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


def _figures(examples: Weighable, weights: np.ndarray) -> dict[str, np.ndarray]:
    parts = [examples.figures(weights[i : i + _BLOCK]) for i in range(0, len(weights), _BLOCK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
