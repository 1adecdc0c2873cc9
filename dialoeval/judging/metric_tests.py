"""Tests of metrics against each other: whether one correlates more with people than another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from dialoeval.judging.metric_scores import ordered
from dialoeval.stats import Permutation, Undefined, Williams, adjust, perm_both, williams_test

MOST_TESTED = 8  # metrics whose pairs are tested
_TRIALS = 1000  # of PERM-BOTH
_FEWEST = 4  # systems of a correlation over systems


@dataclass(frozen=True)
class MetricTest:
    """Whether one metric correlates more with people than another; the first is the one with the larger correlation.

    Attributes:
        question: asked of people.
        level: "system" or "segment".
        grouping: of the correlations: "system", or "none" or "item" of segments.
        first: metric.
        second: metric.
        test: Williams' or PERM-BOTH, one-sided.
        p_adjusted: two-sided (twice the one-sided p, since the data say which metric is the first), after Holm's
            correction over the tests of this kind at this level.
    """

    question: str
    level: str
    grouping: str
    first: str
    second: str
    test: Williams | Permutation | Undefined
    p_adjusted: float | None


def metric_tests(
    question: str, people: np.ndarray, tables: Mapping[str, np.ndarray], whole: Mapping[str, np.ndarray], seed: int
) -> list[MetricTest]:
    """Return the tests of all pairs of metrics, at the levels at which both have figures.

    Args:
        question: asked of people.
        people: (contexts, systems) mean ratings, NaN where there are none.
        tables: {metric: (contexts, systems) scores of segments}; of too many metrics the last ones are tested.
        whole: {metric: (systems,) figures of whole systems}, which go before the means of segments.
        seed: of the permutations.
    """
    found: list[MetricTest] = []
    means, wholes = _means(people), {name: _means(table) for name, table in tables.items()} | dict(whole)
    for first, second in combinations(ordered(wholes)[-MOST_TESTED:], 2):
        found.append(_williams(question, "system", (first, second), np.stack([means, wholes[first], wholes[second]])))
    segments = list(combinations(ordered(tables)[-MOST_TESTED:], 2))
    for grouping in ("system", "item"):
        for first, second in segments:
            found.append(_permuted(question, grouping, (first, second), people, tables, seed))
    for first, second in segments:
        values = np.stack([people.ravel(), tables[first].ravel(), tables[second].ravel()])
        found.append(_williams(question, "none", (first, second), values))
    return _adjusted(found)


def _williams(question: str, grouping: str, pair: tuple[str, str], values: np.ndarray) -> MetricTest:
    """Return Williams' test on the columns of values (3, n) of people and two metrics that are complete."""
    first, second = pair
    values = values[:, np.isfinite(values).all(axis=0)]
    test = williams_test(*values)
    if isinstance(test, Williams) and test.t < 0:
        first, second, test = second, first, williams_test(values[0], values[2], values[1])
    return MetricTest(question, "system" if grouping == "system" else "segment", grouping, first, second, test, None)


def _permuted(
    question: str, grouping: str, pair: tuple[str, str], people: np.ndarray, tables: Mapping[str, np.ndarray], seed: int
) -> MetricTest:
    """Return PERM-BOTH on the segments of two metrics, of correlations over systems or by item."""
    first, second = pair
    test: Permutation | Undefined = Undefined(f"fewer than {_FEWEST} systems")
    given = np.isfinite(people) & np.isfinite(tables[first]) & np.isfinite(tables[second])
    if grouping != "system" or np.sum(given.any(axis=0)) >= _FEWEST:
        test = perm_both(people, tables[first], tables[second], grouping, _TRIALS, seed)
    if isinstance(test, Permutation) and test.delta < 0:
        first, second = second, first
        test = perm_both(people, tables[first], tables[second], grouping, _TRIALS, seed)
    return MetricTest(question, "system" if grouping == "system" else "segment", grouping, first, second, test, None)


def _means(table: np.ndarray) -> np.ndarray:
    """Return (systems,) means over contexts, NaN for a system without values."""
    counts = np.isfinite(table).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(table, axis=0) / np.where(counts, counts, np.nan))


def _adjusted(tests: list[MetricTest]) -> list[MetricTest]:
    families: dict[tuple[str, type], dict[int, float]] = {}
    for i, one in enumerate(tests):
        if not isinstance(one.test, Undefined):
            # the data say which metric is the first, so that one side alone would be too small
            families.setdefault((one.grouping, type(one.test)), {})[i] = min(1.0, 2 * one.test.p_value)
    adjusted = {i: p for family in families.values() for i, p in adjust(family).items()}
    return [replace(one, p_adjusted=adjusted.get(i)) for i, one in enumerate(tests)]
