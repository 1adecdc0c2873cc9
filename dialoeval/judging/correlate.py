"""Metrics held against people: correlations over systems and over segments, their tests, and the judges' ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.judging.agreements import reliability
from dialoeval.judging.estimates import Settings, plain
from dialoeval.judging.judgments import Judgments, StudyKind
from dialoeval.judging.metric_scores import LENGTH, MetricScores, ordered
from dialoeval.judging.metric_tests import MOST_TESTED, MetricTest, metric_tests
from dialoeval.judging.panel import Panel, answers, panel
from dialoeval.judging.ratings import OVERALL, context_means
from dialoeval.stats import (
    PairwiseAccuracy,
    SegmentCorrelation,
    SystemCorrelation,
    Undefined,
    adjust,
    ceiling,
    fixed,
    icc,
    item_means,
    pairwise_accuracy,
    segment_correlation,
    system_correlation,
)
from dialoeval.version import __version__

GROUPINGS = ("none", "item", "sys")
KINDS = ("pearson", "spearman", "kendall")


@dataclass(frozen=True)
class SystemLevel:
    """A metric and people over systems.

    Attributes:
        question: asked of people.
        metric: its name.
        systems: with a figure of both.
        figures: {kind of correlation: it}, with all of these systems.
        without_human: the same without the human reply; empty if it is not among the systems.
        p_adjusted: of Pearson's correlation, after Holm's correction over metrics and questions.
    """

    question: str
    metric: str
    systems: tuple[str, ...]
    figures: dict[str, SystemCorrelation | Undefined]
    without_human: dict[str, SystemCorrelation | Undefined]
    p_adjusted: float | None


@dataclass(frozen=True)
class SegmentLevel:
    """A metric and people over segments.

    Attributes:
        question: asked of people.
        metric: its name.
        pearson: {grouping: Pearson's correlation}.
        spearman: {grouping: Spearman's rho}.
        kendall: {grouping: Kendall's tau-b}.
        accuracy: share of pairs of replies that the metric orders as people do.
    """

    question: str
    metric: str
    pearson: dict[str, SegmentCorrelation | Undefined]
    spearman: dict[str, SegmentCorrelation | Undefined]
    kendall: dict[str, SegmentCorrelation | Undefined]
    accuracy: PairwiseAccuracy | Undefined


@dataclass(frozen=True)
class Correlations:
    """All that `judge correlate` prints.

    Attributes:
        judgments: of people.
        settings: of the intervals.
        systems: over systems.
        segments: over segments.
        tests: between metrics.
        ceilings: {question: the highest correlation with items' means that can be expected}.
        human: the system that is left out of `without_human`.
        notes: about what is missing.
    """

    judgments: Judgments
    settings: Settings
    systems: tuple[SystemLevel, ...]
    segments: tuple[SegmentLevel, ...]
    tests: tuple[MetricTest, ...]
    ceilings: dict[str, float | Undefined]
    human: str | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what correlations.json holds."""
        names = ("settings", "systems", "segments", "tests", "ceilings", "human", "notes")
        about = {"source": self.judgments.source, "judgments_sha256": self.judgments.sha256}
        return {"schema": 1, "created_with": __version__, **about} | {
            name: plain(getattr(self, name)) for name in names
        }


@dataclass(frozen=True)
class _Metrics:
    """The figures of metrics: of whole systems, and (contexts, systems) tables of segments."""

    scores: MetricScores
    tables: dict[str, np.ndarray]
    systems: Sequence[str]

    def whole(self, metric: str) -> np.ndarray:
        """Return (systems,) figures of whole systems, NaN where there is none."""
        known = self.scores.systems.get(metric, {})
        return np.array([known.get(system, np.nan) for system in self.systems])


def correlations(
    judgments: Judgments, scores: MetricScores, settings: Settings | None = None, human: str | None = None
) -> Correlations:
    """Hold metrics against people.

    Args:
        judgments: models as judges and excluded judges are left out.
        scores: of the metrics.
        settings: of the intervals.
        human: the system that is the human reply; None: the one with that name.

    Raises:
        UserError: there are no judgments of people, or no scores of their contexts.
    """
    settings = settings or Settings()
    left_out = judgments.models | judgments.excluded
    rows = [row for row in answers(judgments) if row.judge not in left_out]
    if not rows:
        raise UserError(f"{judgments.source} has no judgments of people to hold metrics against")
    of_people = panel(judgments, rows)
    contexts = sorted({row.context for row in rows})  # as the panel numbers them
    for metric, known in scores.segments.items():
        if not {context for _, context in known} & set(contexts):
            raise UserError(
                f"the scores of {metric} have none of the {len(contexts):,} contexts of {judgments.source}: ids differ"
            )
    human = human or next((name for name in judgments.systems if name.lower() == "human"), None)
    ratings = _ratings(of_people, judgments)
    notes = [*judgments.notes, *scores.notes, *_gaps(of_people, judgments, scores)]
    if LENGTH not in scores.segments and LENGTH not in scores.systems:
        notes.append("length: not computed: needs replies, or a field of lengths")
    tables = {metric: scores.table(metric, judgments.systems, contexts) for metric in ordered(scores.segments)}
    metrics = _Metrics(scores, tables, judgments.systems)
    count = len({**scores.systems, **scores.segments})
    if count > MOST_TESTED:
        notes.append(f"differences are tested among the last {MOST_TESTED} of the {count} metrics, length with them")
    wholes = {metric: metrics.whole(metric) for metric in scores.systems}
    levels = [
        _system_level(question, metric, people, metrics, human, settings)
        for question, people in ratings.items()
        for metric in ordered({**scores.systems, **scores.segments})
    ]
    p_values = {
        (one.question, one.metric): found.p_value
        for one in levels
        if isinstance(found := one.figures["pearson"], SystemCorrelation)
    }
    adjusted = adjust(p_values) if p_values else {}
    tested = OVERALL if OVERALL in ratings and OVERALL not in of_people.questions else None
    return Correlations(
        judgments,
        settings,
        tuple(_with_p(one, adjusted.get((one.question, one.metric))) for one in levels),
        tuple(
            _segment_level(question, metric, table, people, settings)
            for question, people in ratings.items()
            for metric, table in tables.items()
        ),
        tuple(
            test
            for question, people in ratings.items()
            if tested in (None, question)
            for test in metric_tests(question, people, tables, wholes, settings.seed)
        ),
        _ceilings(of_people, judgments, settings.seed),
        human,
        tuple(notes),
    )


def _ratings(of: Panel, judgments: Judgments) -> dict[str, np.ndarray]:
    """Return {question: (contexts, systems)} mean ratings; of pairs, wins minus losses a comparison."""
    if judgments.kind == StudyKind.likert:
        return context_means(of)
    place = {system: i for i, system in enumerate(judgments.systems)}
    sides = np.array([[place[name] for name in unit] for unit in of.units], dtype=np.int64)
    shape = int(of.context.max()) + 1, len(judgments.systems)
    ratings = {}
    for q, question in enumerate(of.questions):
        part = of.where(of.question == q)
        sums, counts = np.zeros(shape), np.zeros(shape)
        for which, sign in ((0, 1), (1, -1)):
            at = part.context, sides[part.unit, which]
            np.add.at(sums, at, sign * part.value)
            np.add.at(counts, at, 1)
        with np.errstate(invalid="ignore"):
            ratings[question] = np.round(sums / counts, 9)
    return ratings


def _system_level(
    question: str, metric: str, people: np.ndarray, metrics: _Metrics, human: str | None, settings: Settings
) -> SystemLevel:
    table, whole, systems = metrics.tables.get(metric), metrics.whole(metric), metrics.systems
    table = None if metric in metrics.scores.systems else table
    known = [i for i in range(len(systems)) if (np.isfinite(whole[i]) if table is None else _some(table[:, i]))]
    known = [i for i in known if _some(people[:, i])]

    def figures(columns: list[int]) -> dict[str, SystemCorrelation | Undefined]:
        judged = people[:, columns]
        theirs = item_means(judged, np.isfinite(judged).astype(float))
        if table is None:
            ours = fixed(whole[columns])
        else:
            ours = item_means(table[:, columns], np.isfinite(table[:, columns]).astype(float))
        return {
            kind: system_correlation(ours, theirs, len(people), kind, settings.resamples, settings.seed)
            for kind in KINDS
        }

    others = [i for i in known if systems[i] != human]
    return SystemLevel(
        question,
        metric,
        tuple(systems[i] for i in known),
        figures(known),
        figures(others) if len(others) < len(known) else {},
        None,
    )


def _some(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _with_p(one: SystemLevel, p: float | None) -> SystemLevel:
    return SystemLevel(one.question, one.metric, one.systems, one.figures, one.without_human, p)


def _segment_level(
    question: str, metric: str, table: np.ndarray, people: np.ndarray, settings: Settings
) -> SegmentLevel:
    table, people = _complete(table, people)
    return SegmentLevel(
        question,
        metric,
        {g: segment_correlation(table, people, g, "pearson", settings.resamples, settings.seed) for g in GROUPINGS},
        {g: segment_correlation(table, people, g, "spearman", settings.resamples, settings.seed) for g in GROUPINGS},
        {g: segment_correlation(table, people, g, "kendall", settings.resamples, settings.seed) for g in GROUPINGS},
        pairwise_accuracy(table, people),
    )


def _complete(table: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the systems and contexts for which both sides have something."""
    both = np.isfinite(table) & np.isfinite(people)
    rows, columns = both.any(axis=1), both.any(axis=0)
    table, people = np.where(both, table, np.nan), np.where(both, people, np.nan)
    return table[rows][:, columns], people[rows][:, columns]


def _gaps(of: Panel, judgments: Judgments, scores: MetricScores) -> list[str]:
    """Return a note on each metric that has a figure for some, but not all, judged replies of a system."""
    names = sorted({row.context for row in answers(judgments) if row.judge in set(of.judge_names)})
    judged = {
        (system, names[context])
        for context, unit in set(zip(of.context.tolist(), of.unit.tolist(), strict=True))
        for system in of.units[unit]
    }
    notes = []
    for metric in ordered(scores.segments):
        known = scores.segments[metric]
        systems = {system for system, _ in known}
        wanted = [key for key in judged if key[0] in systems]
        missing = sum(key not in known for key in wanted)
        if missing:
            notes.append(f"{metric}: {missing:,} of {len(wanted):,} judged replies have no score and are left out")
    return notes


def _ceilings(of: Panel, judgments: Judgments, seed: int) -> dict[str, float | Undefined]:
    """Return {question: the root of the reliability of the ratings that metrics are held against}.

    A judgment of a pair rates both replies, one with the value and the other with its negative.
    """
    if judgments.kind == StudyKind.likert:
        return {line.question: line.ceiling for line in reliability(of, 0, seed)}
    place = {system: i for i, system in enumerate(judgments.systems)}
    sides = np.array([[place[name] for name in unit] for unit in of.units], dtype=np.int64)
    found: dict[str, float | Undefined] = {}
    for q, question in enumerate(of.questions):
        part = of.where(of.question == q)
        replies = np.concatenate([part.context * len(place) + sides[part.unit, which] for which in (0, 1)])
        agreement = icc(replies, np.concatenate([part.value, -part.value]), None, 0, seed)
        found[question] = agreement if isinstance(agreement, Undefined) else ceiling(agreement.value)
    return found
