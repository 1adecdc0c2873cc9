"""Corrections of p-values for multiple comparisons."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from dialoeval.errors import UserError, nearest

Key = TypeVar("Key", bound=Hashable)
METHODS = ("holm", "bh", "none")


def adjust(p_values: Mapping[Key, float], method: str = "holm") -> dict[Key, float]:
    """Return the adjusted p-values of a family of tests.

    Args:
        p_values: {test: p-value}.
        method: "holm" (Holm 1979; controls the family-wise error rate), "bh" (Benjamini and Hochberg 1995; controls the
            false discovery rate) or "none".

    Raises:
        UserError: the method is unknown.
    """
    if method not in METHODS:
        raise UserError(f"unknown correction {method!r}{nearest(method, METHODS)} (known: {', '.join(METHODS)})")
    m = len(p_values)
    ranked = sorted(p_values.items(), key=lambda item: item[1])
    adjusted: dict[Key, float] = {}
    if method == "holm":
        running = 0.0
        for rank, (key, p) in enumerate(ranked):
            running = max(running, min(1.0, (m - rank) * p))
            adjusted[key] = running
    elif method == "bh":
        running = 1.0
        for rank, (key, p) in reversed(list(enumerate(ranked, 1))):
            running = min(running, p * m / rank)
            adjusted[key] = running
    else:
        adjusted = dict(ranked)
    return {key: adjusted[key] for key in p_values}
