"""Exact tests and intervals of proportions, without resampling."""

from __future__ import annotations

import math

import numpy as np


def sign_test(wins: int, losses: int) -> float:
    """Return the two-sided p-value of the exact sign test: twice the smaller binomial tail, at most 1."""
    n, k = wins + losses, min(wins, losses)
    return min(1.0, 2 * _at_most(_log_choices(n, k), n, 0.5))


def exact_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval (low, high) of the proportion successes / n (Clopper and Pearson 1934)."""
    return _lower_bound(successes, n, confidence), 1 - _lower_bound(n - successes, n, confidence)


def _lower_bound(successes: int, n: int, confidence: float) -> float:
    """Return the p with P(X >= successes) = (1 - confidence) / 2, by bisection: the probability grows with p."""
    if successes == 0:
        return 0.0
    choices = _log_choices(n, successes - 1)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        small = 1 - _at_most(choices, n, middle) < (1 - confidence) / 2
        low, high = (middle, high) if small else (low, middle)
    return (low + high) / 2


def _log_choices(n: int, k: int) -> np.ndarray:
    """Return (k + 1,) natural logarithms of n choose 0 .. k."""
    sizes = np.arange(1, k + 1)
    return np.concatenate([[0.0], np.cumsum(np.log((n - sizes + 1) / sizes))])


def _at_most(log_choices: np.ndarray, n: int, p: float) -> float:
    """Return P(X <= k) for X ~ binomial(n, p), 0 < p < 1, from the logarithms of n choose 0 .. k."""
    sizes = np.arange(len(log_choices))
    return min(1.0, float(np.exp(log_choices + sizes * math.log(p) + (n - sizes) * math.log1p(-p)).sum()))
