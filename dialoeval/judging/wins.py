"""Pairs of systems: wins, ties and losses, tests over items, intervals, Davidson's strengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dialoeval.judging.estimates import Estimate, Settings, estimates
from dialoeval.judging.panel import Panel
from dialoeval.stats import adjust, sign_test
from dialoeval.stats.clusters import mean, ratio
from dialoeval.stats.davidson import Davidson, DavidsonIntervals, davidson, davidson_intervals
from dialoeval.stats.draws import Undefined
from dialoeval.stats.pairwise import Counts, majority, pair_counts, sign_flip_test, win_tie_loss

ALPHA = 0.05  # of bold figures


@dataclass(frozen=True)
class Win:
    """The outcome of one question for one pair.

    Attributes:
        question: its name.
        first: system whose win counts as such.
        second: the other.
        judgments: counts of judgments.
        items: counts of items by the majority of their judges.
        contexts: number of contexts.
        judges: number of judges.
        p_independent: of the sign test over judgments, as if they were independent.
        p_value: of the exact sign-flip test over items.
        p_adjusted: the same after Holm's correction over questions and pairs.
        preferred: share of decided judgments that prefer the first.
        net: share of wins minus share of losses among all judgments.
    """

    question: str
    first: str
    second: str
    judgments: Counts
    items: Counts
    contexts: int
    judges: int
    p_independent: float
    p_value: float
    p_adjusted: float
    preferred: Estimate
    net: Estimate

    @property
    def winner(self) -> int:
        """1 or -1 if the side that won more often did so significantly after correction, else 0."""
        lead = self.judgments.wins - self.judgments.losses
        return 0 if not lead or self.p_adjusted >= ALPHA else (1 if lead > 0 else -1)


@dataclass(frozen=True)
class Strengths:
    """Davidson's model of one question.

    Attributes:
        question: its name.
        anchor: the system of strength 0.
        pairs: names of the pairs judged, to which the rows of `fit.shares` belong.
        fit: the strengths, or why there are none.
        intervals: of the strengths, over other contexts.
    """

    question: str
    anchor: str
    pairs: tuple[tuple[str, str], ...]
    fit: Davidson | Undefined
    intervals: DavidsonIntervals | Undefined


def wins(panel: Panel, settings: Settings) -> tuple[Win, ...]:
    """Return the outcome of each question and pair that was judged."""
    parts = {}
    for q, question in enumerate(panel.questions):
        for u, unit in enumerate(panel.units):
            part = panel.where((panel.question == q) & (panel.unit == u))
            if len(part):
                parts[question, unit] = part
    statistics = {}
    for key, part in parts.items():
        ids = part.context, part.judge
        statistics[(*key, "preferred")] = ratio(*ids, (part.value == 1).astype(float), (part.value != 0).astype(float))
        statistics[(*key, "net")] = mean(*ids, part.value.astype(float))
    found = estimates(statistics, settings, cross_check=True)
    tests = {key: sign_flip_test(part.context, part.value).p_value for key, part in parts.items()}
    adjusted = adjust(tests)
    lines = []
    for key, part in parts.items():
        counts = win_tie_loss(part.value)
        lines.append(
            Win(
                question=key[0],
                first=key[1][0],
                second=key[1][1],
                judgments=counts,
                items=majority(part.context, part.value),
                contexts=len(np.unique(part.context)),
                judges=part.judges,
                p_independent=sign_test(counts.wins, counts.losses),
                p_value=tests[key],
                p_adjusted=adjusted[key],
                preferred=found[(*key, "preferred")],
                net=found[(*key, "net")],
            )
        )
    return tuple(lines)


def strengths(panel: Panel, systems: tuple[str, ...], settings: Settings) -> tuple[Strengths, ...]:
    """Return Davidson's strengths for each question."""
    anchor = settings.anchor if settings.anchor in systems else systems[0]
    place = {system: i for i, system in enumerate(systems)}
    sides = np.array([[place[name] for name in unit] for unit in panel.units], dtype=np.int64).reshape(-1, 2)
    fits = []
    for q, question in enumerate(panel.questions):
        part = panel.where(panel.question == q)
        if not len(part):
            continue
        first, second = sides[part.unit].T
        outcomes = pair_counts(part.context, first, second, part.value)
        fit = davidson(outcomes.pairs, outcomes.counts.sum(axis=0), systems, place[anchor])
        intervals: DavidsonIntervals | Undefined = Undefined("the strengths do not exist")
        if isinstance(fit, Davidson):
            intervals = davidson_intervals(
                outcomes.pairs, outcomes.counts, len(systems), place[anchor], settings.resamples, settings.seed
            )
        pairs = tuple((systems[a], systems[b]) for a, b in outcomes.pairs.tolist())
        fits.append(Strengths(question, anchor, pairs, fit, intervals))
    return tuple(fits)
