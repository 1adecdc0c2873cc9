"""Agreement: of judges with each other, of a judge with itself, of questions, and of models with people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dialoeval.judging.judgments import ItemKind, Judgment, StudyKind
from dialoeval.judging.panel import Panel
from dialoeval.judging.ratings import OVERALL
from dialoeval.stats.agreement import (
    Agreement,
    agreeing_pairs,
    ceiling,
    count_table,
    fleiss_kappa,
    icc,
    krippendorff_alpha,
)
from dialoeval.stats.draws import Undefined
from dialoeval.stats.exact import exact_interval

_RESAMPLES = 1000  # of the intervals of agreement, which need no more than two decimals


@dataclass(frozen=True)
class Reliability:
    """The agreement of judges on one question.

    Attributes:
        question: its name, or ``overall`` of ratings (the mean of a judge's answers).
        alpha: {level: Krippendorff's alpha}.
        kappa: Fleiss' kappa.
        agreeing: share of equal pairs of judgments of one item.
        icc1: ICC(1,1) of ratings.
        icc_k: ICC(1,k) of ratings, the reliability of an item's mean.
        ceiling: the highest correlation with the items' means that can be expected of a metric.
        by_unit: {system or pair: alpha}; it sinks towards 0 if replies hardly vary.
    """

    question: str
    alpha: dict[str, Agreement | Undefined]
    kappa: Agreement | Undefined
    agreeing: Agreement | Undefined
    icc1: Agreement | Undefined
    icc_k: Agreement | Undefined
    ceiling: float | Undefined
    by_unit: dict[str, float | Undefined]


@dataclass(frozen=True)
class QuestionPair:
    """How alike the answers to two questions are.

    Attributes:
        first: question.
        second: question.
        answers: number of judgments that answer both.
        equal: share of them with the same answer.
        correlation: Pearson's, of the answers.
    """

    first: str
    second: str
    answers: int
    equal: float
    correlation: float | Undefined


@dataclass(frozen=True)
class Consistency:
    """How often judges gave the same answer to an item shown again with the sides swapped.

    Attributes:
        question: its name.
        equal: number of equal answers.
        repeats: number of repeats.
        low: lower bound of the exact 95% interval of the share.
        high: upper bound.
    """

    question: str
    equal: int
    repeats: int
    low: float
    high: float


def reliability(panel: Panel, resamples: int, seed: int) -> tuple[Reliability, ...]:
    """Return the agreement of judges on each question, and overall for ratings."""
    resamples = min(resamples, _RESAMPLES)
    found = [_of_question(panel, q, resamples, seed) for q in range(len(panel.questions))]
    if panel.kind == StudyKind.likert and len(panel.questions) > 1 and OVERALL not in panel.questions:
        items, values = _overall(panel)
        not_whole = Undefined("means of several questions are no points of a scale")
        icc_k = icc(items, values, None, resamples, seed)
        found.append(
            Reliability(
                OVERALL,
                {},
                not_whole,
                not_whole,
                icc(items, values, 1, resamples, seed),
                icc_k,
                _ceiling(icc_k),
                {},
            )
        )
    return tuple(found)


def _of_question(panel: Panel, q: int, resamples: int, seed: int) -> Reliability:
    part = panel.where(panel.question == q)
    table = count_table(part.item, part.value, panel.points)
    levels = ("nominal",) if panel.kind == StudyKind.pairwise else ("nominal", "ordinal", "interval")
    level = levels[min(1, len(levels) - 1)]
    by_unit: dict[str, float | Undefined] = {}
    for u, name in enumerate(panel.names()):
        of_unit = part.where(part.unit == u)
        if len(of_unit):
            counts = count_table(of_unit.item, of_unit.value, panel.points)
            alpha = krippendorff_alpha(counts, level, panel.points, 0)
            by_unit[name] = alpha.value if isinstance(alpha, Agreement) else alpha
    icc1: Agreement | Undefined = Undefined("preferences are not numbers")
    icc_k = icc1
    if panel.kind == StudyKind.likert:
        icc1 = icc(part.item, part.value, 1, resamples, seed)
        icc_k = icc(part.item, part.value, None, resamples, seed)
    return Reliability(
        panel.questions[q],
        {level: krippendorff_alpha(table, level, panel.points, resamples, seed) for level in levels},
        fleiss_kappa(table, resamples, seed),
        agreeing_pairs(table, resamples, seed),
        icc1,
        icc_k,
        _ceiling(icc_k),
        by_unit,
    )


def _ceiling(value: Agreement | Undefined) -> float | Undefined:
    return ceiling(value.value) if isinstance(value, Agreement) else value


def _overall(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return (visits,) items, and the mean of the answers of each visit that answers all questions."""
    n = int(panel.visit.max()) + 1 if len(panel) else 0
    answers = np.bincount(panel.visit, minlength=n)
    sums = np.bincount(panel.visit, panel.value, n)
    items = np.zeros(n, dtype=np.int64)
    items[panel.visit] = panel.item
    complete = answers == len(panel.questions)
    return items[complete], sums[complete] / len(panel.questions)


def question_pairs(panel: Panel) -> tuple[QuestionPair, ...]:
    """Return how alike the answers of a visit to each two questions are."""
    n = int(panel.visit.max()) + 1 if len(panel) else 0
    answers = np.full((n, len(panel.questions)), np.nan)
    answers[panel.visit, panel.question] = panel.value
    pairs = []
    for a in range(len(panel.questions)):
        for b in range(a + 1, len(panel.questions)):
            both = answers[np.isfinite(answers[:, [a, b]]).all(axis=1)][:, [a, b]]
            if not len(both):
                continue
            r: float | Undefined = Undefined("one of the questions always has the same answer")
            if (both.std(axis=0) > 0).all():
                r = float(np.corrcoef(both.T)[0, 1])
            equal = float(np.mean(both[:, 0] == both[:, 1]))
            pairs.append(QuestionPair(panel.questions[a], panel.questions[b], len(both), equal, r))
    return tuple(pairs)


def consistency(rows: Iterable[Judgment]) -> tuple[Consistency, ...]:
    """Return how often judges answered a repeat as they answered the item itself."""
    first: dict[tuple[str, ...], int] = {}
    repeats: list[tuple[tuple[str, ...], int]] = []
    for row in rows:
        key = row.judge, row.context, row.question, *row.systems
        if row.refusal is None and row.kind == ItemKind.real:
            first[key] = row.value
        elif row.refusal is None and row.kind == ItemKind.repeat:
            repeats.append((key, row.value))
    counts: dict[str, list[int]] = {}
    for key, value in repeats:
        if key in first:
            counts.setdefault(key[2], []).append(int(first[key] == value))
    lines = []
    for question, equal in counts.items():
        low, high = exact_interval(sum(equal), len(equal))
        lines.append(Consistency(question, sum(equal), len(equal), low, high))
    return tuple(lines)


def majority_of_others(panel: Panel) -> np.ndarray:
    """Return (N,) the most frequent answer of the other judges of the item, NaN if there is no single one."""
    places = {point: i for i, point in enumerate(panel.points)}
    own = np.array([places[value] for value in panel.value.tolist()], dtype=np.int64)
    cell = panel.item * len(panel.questions) + panel.question
    _, cell = np.unique(cell, return_inverse=True)
    counts = np.zeros((int(cell.max()) + 1 if len(cell) else 0, len(places)))
    np.add.at(counts, (cell, own), 1)
    # a judge who judged an item twice is not its own "other"
    _, same = np.unique(np.stack([cell, panel.judge]), axis=1, return_inverse=True)
    same = same.reshape(-1)
    by_judge = np.zeros((int(same.max()) + 1 if len(same) else 0, len(places)))
    np.add.at(by_judge, (same, own), 1)
    others = counts[cell] - by_judge[same]
    most = others.max(axis=1, initial=0)
    single = (np.sum(others == most[:, None], axis=1) == 1) & (most > 0)
    return np.where(single, np.array(panel.points, dtype=float)[others.argmax(axis=1)], np.nan)


@dataclass(frozen=True)
class WithPeople:
    """The agreement of a model as judge with people, on the items that both judged.

    Attributes:
        question: its name.
        items: with a single most frequent answer of people.
        equal: share of them on which the model gives that answer; what chance gives depends on the answers.
        alpha: Krippendorff's, of the model's answer and people's most frequent one (nominal for pairs, ordinal else).
        correlation: Pearson's, of the model's answers and people's mean, over all items that both judged.
        people: the same share for a person and the most frequent answer of the others.
        person_pairs: how many answers of persons that share is of.
    """

    question: str
    items: int
    equal: float | Undefined
    alpha: float | Undefined
    correlation: float | Undefined
    people: float | Undefined
    person_pairs: int


def with_people(model: Panel, people: Panel) -> tuple[WithPeople, ...]:
    """Return the agreement of a model with people on each question.

    Args:
        model: the answers of one model.
        people: the answers of people; both from one call of `split`, so that their codes are the same.
    """
    others = majority_of_others(people)
    lines = []
    for q, question in enumerate(people.questions):
        mine, theirs = model.where(model.question == q), people.where(people.question == q)
        answers: dict[int, list[float]] = {}
        for item, value in zip(theirs.item.tolist(), theirs.value.tolist(), strict=True):
            answers.setdefault(item, []).append(value)
        common = [(v, answers[i]) for i, v in zip(mine.item.tolist(), mine.value.tolist(), strict=True) if i in answers]
        decided = [(value, top) for value, given in common if (top := _single_mode(given)) is not None]
        none = Undefined("no item was judged by both" if not common else "people have no majority on any item")
        persons = np.isfinite(others) & (people.question == q)
        lines.append(
            WithPeople(
                question,
                len(decided),
                sum(a == b for a, b in decided) / len(decided) if decided else none,
                _alpha(decided, people) if decided else none,
                _correlation([(value, sum(given) / len(given)) for value, given in common]),
                float(np.mean(others[persons] == people.value[persons]))
                if persons.any()
                else Undefined("needs two people or more on an item"),
                int(persons.sum()),
            )
        )
    return tuple(lines)


def _single_mode(values: list[float]) -> float | None:
    counts = sorted(((values.count(value), value) for value in set(values)), reverse=True)
    return None if len(counts) > 1 and counts[0][0] == counts[1][0] else counts[0][1]


def _alpha(pairs: list[tuple[float, float]], people: Panel) -> float | Undefined:
    values = np.array(pairs)
    table = count_table(np.repeat(np.arange(len(pairs)), 2), values.ravel(), people.points)
    level = "nominal" if people.kind == StudyKind.pairwise else "ordinal"
    alpha = krippendorff_alpha(table, level, people.points, 0)
    return alpha.value if isinstance(alpha, Agreement) else alpha


def _correlation(pairs: list[tuple[float, float]]) -> float | Undefined:
    values = np.array(pairs).reshape(-1, 2)
    if len(values) < 3 or not (values.std(axis=0) > 0).all():
        return Undefined("needs three items or more, and answers that differ")
    return float(np.corrcoef(values.T)[0, 1])
