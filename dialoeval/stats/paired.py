"""Paired tests of two systems on the same examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dialoeval.errors import UserError
from dialoeval.stats.intervals import Weighable, percentiles, resample

_BLOCK = 250  # resamples or trials at a time: bounds the memory


@dataclass(frozen=True)
class PairedResult:
    """One figure of two systems.

    Attributes:
        a, b: the figure of each; difference: b - a.
        low, high: 95% percentile interval of the difference; None where the test gives none.
        p_value: two-sided, of no difference.
    """

    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p_value: float


def paired_bootstrap(a: Weighable, b: Weighable, resamples: int = 1000, seed: int = 12345) -> dict[str, PairedResult]:
    """Paired bootstrap resampling (Koehn 2004): the same examples are drawn for both systems.

    The p-value is that of sacrebleu's ``PairedTest``: the share, with one added above and below, of resamples whose
    absolute difference, centred on the mean one, is larger than the one observed (Riezler and Maxwell 2005).

    Raises:
        UserError: the systems have different numbers of examples.
    """
    n = _paired_size(a, b)
    ours, theirs = _observed(a, b)
    weights = resample(n, resamples, seed)
    drawn_a, drawn_b = _figures(a, weights), _figures(b, weights)
    results = {}
    for name in ours:
        differences = drawn_b[name] - drawn_a[name]
        observed = theirs[name] - ours[name]
        centred = np.abs(differences - differences.mean())
        p_value = float((np.sum(centred > abs(observed)) + 1) / (resamples + 1))
        low, high = percentiles(differences, observed if name in a.biased else None)
        results[name] = PairedResult(ours[name], theirs[name], observed, low, high, p_value)
    return results


class Poolable(Weighable):
    """Examples that can be put together with those of another system."""

    def pooled(self, other: Poolable) -> Weighable:
        """Both systems' replies as one set of 2n: this one's first."""
        ...


def approximate_randomization(
    a: Poolable, b: Poolable, trials: int = 1000, seed: int = 12345
) -> dict[str, PairedResult]:
    """Paired approximate randomization (Noreen 1989, Riezler and Maxwell 2005): replies trade places by coin tosses.

    The p-value is sacrebleu's: the share, with one added above and below, of trials whose absolute difference is larger
    than the one observed.

    Raises:
        UserError: the systems have different numbers of examples.
    """
    n = _paired_size(a, b)
    ours, theirs = _observed(a, b)
    both = a.pooled(b)
    swaps = np.random.default_rng(seed).integers(2, size=(trials, n), dtype=bool)
    extreme = dict.fromkeys(ours, 0)
    for start in range(0, trials, _BLOCK):
        swap = swaps[start : start + _BLOCK]
        left = both.figures(np.hstack([~swap, swap]).astype(np.int32))
        right = both.figures(np.hstack([swap, ~swap]).astype(np.int32))
        for name in ours:
            observed = abs(theirs[name] - ours[name])
            # sums in another order differ in the last bits: equal within these is not larger
            extreme[name] += int(np.sum(np.abs(right[name] - left[name]) > observed + 1e-12))
    return {
        name: PairedResult(
            ours[name], theirs[name], theirs[name] - ours[name], None, None, (extreme[name] + 1) / (trials + 1)
        )
        for name in ours
    }


def _paired_size(a: Weighable, b: Weighable) -> int:
    if len(a) != len(b):
        raise UserError(f"a paired test needs the same examples: one system has {len(a)}, the other {len(b)}")
    if len(a) < 2:
        raise UserError("a paired test needs at least two examples")
    return len(a)


def _observed(a: Weighable, b: Weighable) -> tuple[dict[str, float], dict[str, float]]:
    left, right = a.figures(), b.figures()
    common = [name for name in left if name in right]
    return {name: float(left[name][0]) for name in common}, {name: float(right[name][0]) for name in common}


def _figures(examples: Weighable, weights: np.ndarray) -> dict[str, np.ndarray]:
    parts = [examples.figures(weights[i : i + _BLOCK]) for i in range(0, len(weights), _BLOCK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
