"""Ratings on a scale: means as DSTC7 published them, and paired differences of systems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dialoeval.judging.estimates import Estimate, Settings, estimates
from dialoeval.judging.panel import Panel
from dialoeval.stats import adjust, sign_flip_p_values
from dialoeval.stats.clusters import Statistic, combined, mean
from dialoeval.stats.draws import Undefined
from dialoeval.stats.pairwise import Counts

OVERALL = "overall"  # mean of the questions
_DECIMALS = 9


@dataclass(frozen=True)
class Mean:
    """The mean rating of one system.

    Attributes:
        question: its name, or ``overall``.
        system: what was rated.
        estimate: the mean.
        judgments: number of answers.
        contexts: number of contexts.
        points: how often each point was given, from the lowest; empty for ``overall``.
    """

    question: str
    system: str
    estimate: Estimate
    judgments: int
    contexts: int
    points: tuple[int, ...]


@dataclass(frozen=True)
class Difference:
    """The first system's mean minus the second's.

    Attributes:
        question: its name, or ``overall``.
        first: system.
        second: system.
        estimate: of the difference of means.
        p_value: of random sign flips of the differences of context means; the contexts that both systems have.
        p_adjusted: the same after Holm's correction over questions and pairs.
        items: contexts on which the first system's mean is higher, equal, lower.
    """

    question: str
    first: str
    second: str
    estimate: Estimate
    p_value: float | Undefined
    p_adjusted: float | Undefined
    items: Counts


def context_means(panel: Panel) -> dict[str, np.ndarray]:
    """Return {question or ``overall``: (contexts, systems) means of the judgments}, NaN where there are none.

    ``overall`` is the mean of the questions' means; it is left out if there is one question, or a question of
    that name.
    """
    n = int(panel.context.max()) + 1 if len(panel) else 0
    means = {}
    for q, question in enumerate(panel.questions):
        part = panel.where(panel.question == q)
        cells = part.context * len(panel.units) + part.unit
        size = n * len(panel.units)
        with np.errstate(invalid="ignore"):
            cell_means = np.bincount(cells, part.value, size) / np.bincount(cells, minlength=size)
        means[question] = cell_means.reshape(n, len(panel.units))
    if len(means) > 1 and OVERALL not in means:
        means[OVERALL] = np.mean(list(means.values()), axis=0)
    # equal means must be equal, whatever the order in which they were added up
    return {question: np.round(table, _DECIMALS) for question, table in means.items()}


def means(panel: Panel, settings: Settings) -> tuple[Mean, ...]:
    """Return the mean of each system on each question, then overall."""
    statistics = _statistics(panel)
    found = estimates(statistics, settings, cross_check=True)
    lines = []
    for (question, unit), statistic in statistics.items():
        points: tuple[int, ...] = ()
        if question != OVERALL or OVERALL in panel.questions:
            mask = (panel.question == panel.questions.index(question)) & (panel.unit == unit)
            points = tuple(int(np.sum(panel.value[mask] == point)) for point in panel.points)
        lines.append(
            Mean(
                question,
                panel.units[unit][0],
                found[question, unit],
                len(statistic.items),
                len(np.unique(statistic.items)),
                points,
            )
        )
    return tuple(lines)


def differences(panel: Panel, settings: Settings) -> tuple[Difference, ...]:
    """Return the differences of all pairs of systems that were rated on common contexts."""
    statistics, of_contexts = _statistics(panel), context_means(panel)
    keys = [key for key in _pairs(panel, statistics) if _common(of_contexts, key).any()]
    if not keys:
        return ()
    found = estimates(
        {(q, a, b): combined([statistics[q, a], statistics[q, b]], (1, -1)) for q, a, b in keys}, settings
    )
    apart = {(q, a, b): of_contexts[q][:, a] - of_contexts[q][:, b] for q, a, b in keys}
    p_values = dict(
        zip(keys, sign_flip_p_values(np.stack(list(apart.values()), 1), settings.resamples, settings.seed), strict=True)
    )
    adjusted = adjust({key: float(p) for key, p in p_values.items()})
    lines = []
    for key in keys:
        question, a, b = key
        gaps = apart[key][np.isfinite(apart[key])]
        higher, lower = (int(np.sum(sign * gaps > 1e-9)) for sign in (1, -1))
        why = "needs two contexts or more" if settings.resamples else "no resamples were asked for"
        tested = len(gaps) > 1 and settings.resamples > 0
        lines.append(
            Difference(
                question,
                panel.units[a][0],
                panel.units[b][0],
                found[key],
                float(p_values[key]) if tested else Undefined(why),
                adjusted[key] if tested else Undefined(why),
                Counts(higher, len(gaps) - higher - lower, lower),
            )
        )
    return tuple(lines)


def _statistics(panel: Panel) -> dict[tuple[str, int], Statistic]:
    """Return the mean of each question and system, then the mean over the questions."""
    single: dict[tuple[str, int], Statistic] = {}
    for q, question in enumerate(panel.questions):
        for unit in range(len(panel.units)):
            part = panel.where((panel.question == q) & (panel.unit == unit))
            if len(part):
                single[question, unit] = mean(part.context, part.judge, part.value.astype(float))
    overall: dict[tuple[str, int], Statistic] = {}
    count = len(panel.questions)
    if count > 1 and OVERALL not in panel.questions:
        for unit in range(len(panel.units)):
            parts = [single[q, unit] for q in panel.questions if (q, unit) in single]
            if len(parts) == count:
                overall[OVERALL, unit] = combined(parts, [1 / count] * count)
    return single | overall


def _pairs(panel: Panel, statistics: dict[tuple[str, int], Statistic]) -> Iterator[tuple[str, int, int]]:
    for question in dict.fromkeys(question for question, _ in statistics):
        rated = [unit for unit in range(len(panel.units)) if (question, unit) in statistics]
        for a, b in combinations(rated, 2):
            yield question, a, b


def _common(of_contexts: dict[str, np.ndarray], key: tuple[str, int, int]) -> np.ndarray:
    question, a, b = key
    return np.asarray(np.isfinite(of_contexts[question][:, a] - of_contexts[question][:, b]))
