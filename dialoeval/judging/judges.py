"""Diagnosis of judges: flags for a person to look at. Nothing is removed for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dialoeval.judging.agreements import majority_of_others
from dialoeval.judging.judgments import ItemKind, Judgment, StudyKind
from dialoeval.judging.panel import Panel
from dialoeval.stats import sign_test
from dialoeval.stats.clusters import severity

_FLAGGED = 0.01  # p-value of a side preference, Bonferroni-corrected over judges
_FAST_SHARE = 0.2  # share of fast answers that is flagged
_FEW = 20  # answers below which only gold items are flagged
_RUN = 10  # equal answers in a row that are flagged, if chance makes them as rarely as _FLAGGED
_MONOTONE = 0.95  # share of items with the same answer to all questions that is flagged
GOLD_PASS = 0.7  # least share of gold items answered as known


@dataclass(frozen=True)
class Side:
    """How often the reply shown as A was preferred.

    Attributes:
        left: decided judgments that prefer it.
        decided: judgments that are not ties and whose side is known.
        p_value: of the exact sign test.
    """

    left: int
    decided: int
    p_value: float


@dataclass(frozen=True)
class Judge:
    """What one judge's answers show.

    Attributes:
        judge: the name.
        answers: number of answers that count.
        share: of all answers.
        seconds: median time taken for an item, None if it is not known.
        fast: share of items answered faster than the study's `min_seconds`, None if that is not known.
        side: preference for the reply shown as A; None for ratings.
        ties: share of ties; None for ratings.
        ties_of_others: the judge's share of ties minus the others' on the same items; None if nobody else judged them.
        severity: of ratings: the mean minus the others' mean on the same items.
        agreement: share of answers that are the most frequent one of the others, where there is a single one.
        compared: number of answers that `agreement` is of.
        gold_passed: answers to gold items that are the known ones.
        gold: answers to gold items.
        longest_run: most equal answers in a row to one question.
        monotone: share of items with the same answer to all questions; None with one question.
        flags: what is unusual, in words.
    """

    judge: str
    answers: int
    share: float
    seconds: float | None
    fast: float | None
    side: Side | None
    ties: float | None
    ties_of_others: float | None
    severity: float | None
    agreement: float | None
    compared: int
    gold_passed: int
    gold: int
    longest_run: int
    monotone: float | None
    flags: tuple[str, ...] = ()


def side(panel: Panel) -> Side:
    """Return how often the reply shown as A is preferred, over all judges of a panel of pairs."""
    decided = panel.where((panel.value != 0) & (panel.first_left >= 0))
    left = int(np.sum((decided.value == 1) == (decided.first_left == 1)))
    return Side(left, len(decided), sign_test(left, len(decided) - left))


def judges(
    panel: Panel, rows: Iterable[Judgment], min_seconds: float | None, gold_pass: float = GOLD_PASS
) -> tuple[Judge, ...]:
    """Return the diagnosis of each judge, the busiest first; last, those who have answered gold items only.

    Args:
        panel: the answers that count.
        rows: all judgments, for gold items.
        min_seconds: an item answered faster is fast.
        gold_pass: share of gold answers below which a judge is flagged.
    """
    gold: dict[str, list[bool]] = {}
    for row in rows:
        if row.kind == ItemKind.gold and row.gold is not None and row.refusal is None:
            gold.setdefault(row.judge, []).append(bool(row.gold_passed))
    pairwise = panel.kind == StudyKind.pairwise
    cells = panel.item * len(panel.questions) + panel.question
    apart = _by_judge(cells, panel, (panel.value == 0) if pairwise else panel.value)
    others = majority_of_others(panel)
    most = max((float(np.mean(panel.value == point)) for point in panel.points), default=0.0) if len(panel) else 0.0
    lines = []
    names = list(dict.fromkeys([*panel.judge_names, *gold]))  # one who fails the first gold items sees no others
    for code, name in enumerate(names):
        mine = panel.judge == code
        if not mine.any() and name not in gold:
            continue
        part, compared = panel.where(mine), mine & np.isfinite(others)
        passed = gold.get(name, [])
        seconds = _visits(part, part.seconds)
        seconds = seconds[np.isfinite(seconds)]
        judge = Judge(
            judge=name,
            answers=len(part),
            share=len(part) / max(1, len(panel)),
            seconds=float(np.median(seconds)) if len(seconds) else None,
            fast=float(np.mean(seconds < min_seconds)) if len(seconds) and min_seconds is not None else None,
            side=side(part) if pairwise else None,
            ties=float(np.mean(part.value == 0)) if pairwise and len(part) else None,
            ties_of_others=apart.get(code) if pairwise else None,
            severity=None if pairwise else apart.get(code),
            agreement=float(np.mean(others[compared] == panel.value[compared])) if compared.any() else None,
            compared=int(compared.sum()),
            gold_passed=sum(passed),
            gold=len(passed),
            longest_run=max((_longest(part.value[part.question == q]) for q in range(len(panel.questions))), default=0),
            monotone=_monotone(part),
        )
        lines.append(_flagged(judge, len(names), most, gold_pass))
    return tuple(sorted(lines, key=lambda judge: -judge.answers))


def _flagged(judge: Judge, judges: int, most: float, gold_pass: float) -> Judge:
    """Return the judge with flags; `most` is the share of the answer that is given most often."""
    flags = []
    by_chance = judge.answers * most**judge.longest_run * judges  # expected runs of that length of all judges
    if judge.gold and judge.gold_passed < gold_pass * judge.gold:
        flags.append(f"{judge.gold_passed} of {judge.gold} gold answers right")
    if judge.fast is not None and judge.fast > _FAST_SHARE:
        flags.append(f"{judge.fast:.0%} of items faster than the least time")
    if judge.side is not None and judge.side.p_value * judges < _FLAGGED:
        flags.append(f"prefers side {'A' if 2 * judge.side.left > judge.side.decided else 'B'}")
    if judge.answers >= _FEW and judge.longest_run >= _RUN and by_chance < _FLAGGED:
        flags.append(f"{judge.longest_run} equal answers in a row")
    if judge.answers >= _FEW and judge.monotone is not None and judge.monotone >= _MONOTONE:
        flags.append("the same answer to all questions")
    return Judge(**{**vars(judge), "flags": tuple(flags)})


def _by_judge(cells: np.ndarray, panel: Panel, values: np.ndarray) -> dict[int, float]:
    labels, apart = severity(cells, panel.judge, values.astype(float))
    return {int(label): float(value) for label, value in zip(labels, apart, strict=True) if np.isfinite(value)}


def _visits(part: Panel, values: np.ndarray) -> np.ndarray:
    """Return one of the values of each visit."""
    _, first = np.unique(part.visit, return_index=True)
    return np.asarray(values[first])


def _longest(values: np.ndarray) -> int:
    """Return the length of the longest run of equal values."""
    if not len(values):
        return 0
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    return int(np.max(np.diff(ends, prepend=-1)))


def _monotone(part: Panel) -> float | None:
    """Return the share of visits with several answers that are all equal; None if there is no such visit."""
    if not len(part):
        return None
    _, visit = np.unique(part.visit, return_inverse=True)
    answers = np.bincount(visit)
    sums, squares = np.bincount(visit, part.value), np.bincount(visit, part.value.astype(float) ** 2)
    several = answers > 1
    if not several.any():
        return None
    return float(np.mean(np.isclose(squares[several] * answers[several], sums[several] ** 2)))
