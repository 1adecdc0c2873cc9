"""METEOR's formula: from sufficient statistics to scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dialoeval.metrics.meteor15.options import MODULES, PAPER, Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STATISTICS: tuple[str, ...] = (
    "hypothesis_words",
    "reference_words",
    "hypothesis_function_words",
    "reference_function_words",
    *(
        f"{module}_{side}_{kind}"
        for module in MODULES
        for kind in ("content", "function")
        for side in ("hypothesis", "reference")
    ),
    "chunks",  # without those of perfect pairs
    "hypothesis_matches",
    "reference_matches",
    "perfect",  # pairs whose every word on both sides is matched in one chunk
)
"""Columns of `statistics`: the jar's 23 sufficient statistics in the order it prints them, then "perfect".

The jar leaves the one chunk of a perfect pair out when it sums, and sets the penalty of a perfect pair to 0 when it
scores that pair alone. Leaving the chunk out from the start gives both; the jar's own count of a pair's chunks is
``chunks + perfect``.
"""


def figures(totals: NDArray[Any], options: Options = PAPER) -> NDArray[np.float64]:
    """Return the score of sums of statistics.

    Source: Denkowski and Lavie (2014), "Meteor Universal", section 2.

    Args:
        totals: (..., len(STATISTICS)).
        options: the parameters of the formula.

    Returns:
        (...) float64 from 0 to 1; 0 if nothing matches or there are no words; NaN for sums that are NaN.
    """
    import numpy as np

    totals = np.asarray(totals, np.float64)
    column = dict(zip(STATISTICS, np.moveaxis(totals, -1, 0), strict=True))
    alpha, beta, gamma, delta = options.all_parameters
    shares = {"content": delta, "function": 1.0 - delta}
    ratios = []
    for side in ("hypothesis", "reference"):
        function_words = column[f"{side}_function_words"]
        length = delta * (column[f"{side}_words"] - function_words) + (1.0 - delta) * function_words
        matches = np.zeros_like(length)
        for kind, share in shares.items():
            for module, weight in zip(options.modules, options.module_weights, strict=True):
                matches = matches + column[f"{module}_{side}_{kind}"] * weight * share
        ratios.append((matches, length))
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = (matches / length for matches, length in ratios)
        mean = 1.0 / ((1.0 - alpha) / precision + alpha / recall)
        fragments = column["chunks"] / ((column["hypothesis_matches"] + column["reference_matches"]) / 2.0)
        scores = mean * (1.0 - gamma * fragments**beta)
        return np.where(scores > 0.0, scores, np.where(np.isnan(totals[..., 0]), np.nan, 0.0))


def segments(statistics: NDArray[Any], options: Options = PAPER) -> NDArray[np.float64]:
    """Return (n,) float64: the score of each row of `statistics` by itself."""
    return figures(statistics, options)
