"""Preference with the length of replies held equal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dialoeval.errors import UserError
from dialoeval.stats.draws import Undefined, codes, group_sums

_NOTHING = 1e-12  # variance, in parts of that of independent judgments, that is rounding


@dataclass(frozen=True)
class EqualLength:
    """The preferred share that a model expects of replies of equal length.

    Attributes:
        share: at equal length; a tie is half a win.
        low: lower bound of its 95% interval over items.
        high: upper bound.
        observed: share without the model.
        slope: change of the log-odds from much shorter to equal, or from equal to much longer.
        slope_p_value: two-sided, of no preference for length; None where all differences of length are the same.
    """

    share: float
    low: float
    high: float
    observed: float
    slope: float
    slope_p_value: float | None


def equal_length_preference(
    items: np.ndarray, outcomes: np.ndarray, lengths: np.ndarray, confidence: float = 0.95
) -> EqualLength | Undefined:
    """Return the preference at equal length, by a logistic model of the preference on the difference in length.

    logit P(first preferred) = b0 + b1 tanh(d / sd(d)) as in length-controlled AlpacaEval (Dubois et al. 2024), d the
    first reply's length minus the second's. A tie is half a win and half a loss. Errors allow for judgments of one item
    going together (a sandwich over items; Liang and Zeger 1986).

    Args:
        items: (N,) label of the item of each judgment.
        outcomes: (N,) 1 where the first was preferred, 0 for a tie, -1; NaN was not given.
        lengths: (N,) differences in length, such as words.
        confidence: of the interval.

    Raises:
        UserError: an outcome is another value.
    """
    from scipy.special import ndtr, ndtri

    outcomes, lengths = np.asarray(outcomes, dtype=float), np.asarray(lengths, dtype=float)
    given = np.isfinite(outcomes) & np.isfinite(lengths)
    outcomes, d = outcomes[given], lengths[given]
    if not np.isin(outcomes, (-1.0, 0.0, 1.0)).all():
        raise UserError("an outcome must be 1 (first preferred), 0 (tie) or -1")
    numbers, n = codes(np.asarray(items)[given])
    if n < 2:
        return Undefined("two items or more are needed")
    wanted = (outcomes + 1) / 2
    if wanted.min() == wanted.max():
        tie = wanted[0] == 0.5
        return Undefined("every judgment is a tie" if tie else "every judgment preferred the same side")
    spread = float(d.std())
    if spread == 0 and d[0] != 0:
        return Undefined("every pair differs in length by the same amount")
    design = np.column_stack([np.ones(len(d)), np.tanh(d / spread)]) if spread > 0 else np.ones((len(d), 1))
    if spread > 0 and _separated(wanted, d):
        return Undefined("length alone decides every preference")
    b = _fit(design, wanted)
    p = 1 / (1 + np.exp(-design @ b))
    bread = np.linalg.inv((design * (p * (1 - p))[:, None]).T @ design)
    scores = group_sums(numbers, n, design * (wanted - p)[:, None])
    variances = np.diag(bread @ (scores.T @ scores) @ bread)
    if not variances[0] > _NOTHING * bread[0, 0]:
        return Undefined("the items do not differ, so that nothing is known of others")
    errors = np.sqrt(np.maximum(variances, 0.0))
    half = float(ndtri((1 + confidence) / 2)) * errors[0]
    share, low, high = (1 / (1 + math.exp(-x)) for x in (b[0], b[0] - half, b[0] + half))
    sloped = spread > 0
    p_value = (float(2 * ndtr(-abs(b[1]) / errors[1])) if errors[1] > 0 else 1.0) if sloped else None
    return EqualLength(share, low, high, float(wanted.mean()), float(b[1]) if sloped else 0.0, p_value)


def _separated(wanted: np.ndarray, d: np.ndarray) -> bool:
    """Return whether a threshold of length separates wins from losses (Albert and Anderson 1984): no finite slope."""
    won, lost = d[wanted > 0], d[wanted < 1]  # a tie is on both sides
    return bool(won.min() >= lost.max() or won.max() <= lost.min())


def _fit(design: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the (q,) coefficients of greatest likelihood by Newton's method."""
    b = np.zeros(design.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-design @ b))
        step = np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design, design.T @ (wanted - p))
        b += step * min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    return b
