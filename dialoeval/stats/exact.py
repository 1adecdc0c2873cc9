"""Exact tests of shares: what a count out of n can bear, without resampling."""

from __future__ import annotations

import math

import numpy as np


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p-value of `wins` and `losses` if both were as likely: twice the smaller tail, at most 1."""
    n, k = wins + losses, min(wins, losses)
    return min(1.0, 2 * _at_most(_log_choices(n, k), n, 0.5))


def exact_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share: all shares that an exact test at this level would not reject."""
    return _lower_bound(successes, n, confidence), 1 - _lower_bound(n - successes, n, confidence)


def _lower_bound(successes: int, n: int, confidence: float) -> float:
    """The p at which `successes` or more have the chance of one tail, by bisection: that chance grows with p."""
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
    """(k + 1,) logarithms of n choose 0 .. k."""
    places = np.arange(1, k + 1)
    return np.concatenate([[0.0], np.cumsum(np.log((n - places + 1) / places))])


def _at_most(log_choices: np.ndarray, n: int, p: float) -> float:
    """P(X <= k) of a binomial(n, p), 0 < p < 1, given the logarithms of n choose 0 .. k."""
    places = np.arange(len(log_choices))
    return min(1.0, float(np.exp(log_choices + places * math.log(p) + (n - places) * math.log1p(-p)).sum()))
