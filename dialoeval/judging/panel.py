"""The judgments of an analysis as arrays: which count, and the codes of contexts, judges, questions and systems."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from dialoeval.judging.judgments import ItemKind, Judgment, Judgments, Standing, StudyKind

T = TypeVar("T")


@dataclass(frozen=True)
class Panel:
    """Judgments as arrays of N rows, one for each answer to a question.

    Attributes:
        kind: pairs or ratings.
        units: what was judged, in the order of tables: systems, or pairs of systems.
        questions: names.
        judge_names: in the order of their codes, which is that of the names: no figure depends on the order of rows.
        points: of ratings, from the lowest; (-1, 0, 1) of pairs.
        unit: (N,) position among the units.
        question: (N,) position among the questions.
        judge: (N,) code; a negative one is nobody, each its own: of a tie that no judge saw.
        context: (N,) code, in the order of the ids.
        visit: (N,) code of the visit of a judge to an item, which answers several questions.
        value: (N,) points of a rating, or 1, 0, -1.
        first_left: (N,) 1 if the first system of a pair was shown as reply A, 0 if as reply B, -1 if that is not known.
        seconds: (N,) time taken for the item, NaN if that is not known.
    """

    kind: StudyKind
    units: tuple[tuple[str, ...], ...]
    questions: tuple[str, ...]
    judge_names: tuple[str, ...]
    points: tuple[int, ...]
    unit: np.ndarray
    question: np.ndarray
    judge: np.ndarray
    context: np.ndarray
    visit: np.ndarray
    value: np.ndarray
    first_left: np.ndarray
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    @property
    def item(self) -> np.ndarray:
        """(N,) code of the context and the unit: what one judge sees at a time."""
        return np.asarray(self.context * max(1, len(self.units)) + self.unit)

    @property
    def judges(self) -> int:
        """How many judges gave the judgments."""
        return number_of_judges(self.judge)

    def names(self) -> list[str]:
        """Return how tables call the units."""
        return [" vs ".join(unit) for unit in self.units]

    def where(self, mask: np.ndarray) -> Panel:
        """Return the rows of a mask (N,)."""
        arrays = ("unit", "question", "judge", "context", "visit", "value", "first_left", "seconds")
        return replace(self, **{name: getattr(self, name)[mask] for name in arrays})


def number_of_judges(codes: np.ndarray) -> int:
    """Return how many judges the codes of a panel (N,) stand for."""
    return len(np.unique(codes[codes >= 0]))


def answers(judgments: Judgments) -> list[Judgment]:
    """Return the judgments of real items that count: those beyond the number asked for and refusals do not."""
    return [
        row
        for row in judgments.rows
        if row.kind == ItemKind.real and row.standing == Standing.counted and row.refusal is None
    ]


def panel(judgments: Judgments, rows: Iterable[Judgment], judges: Collection[str] | None = None) -> Panel:
    """Return the rows as arrays.

    Args:
        judgments: what they belong to; its systems, pairs and questions give the order of tables.
        rows: some of its judgments.
        judges: whose rows are taken; None takes all.
    """
    chosen = [row for row in rows if judges is None or row.judge in judges]
    pairwise = judgments.kind == StudyKind.pairwise
    units: Sequence[tuple[str, ...]] = judgments.pairs if pairwise else [(system,) for system in judgments.systems]
    unit, question = _places(units), _places([question.name for question in judgments.questions])
    judge = _codes(row.judge for row in chosen if row.standing != Standing.automatic)
    context = _codes(row.context for row in chosen)
    visits: dict[tuple[str, str, int], int] = {}
    times: dict[tuple[str, str, str], int] = {}
    visit = []
    for row in chosen:
        key = row.judge, row.item, row.question
        times[key] = times.get(key, -1) + 1
        visit.append(visits.setdefault((row.judge, row.item, times[key]), len(visits)))
    points = judgments.questions[0].points if judgments.questions else ()
    return Panel(
        kind=judgments.kind,
        units=tuple(units),
        questions=tuple(question),
        judge_names=tuple(judge),
        points=(-1, 0, 1) if pairwise else tuple(point for point, _ in points),
        unit=_array([unit[row.systems] for row in chosen]),
        question=_array([question[row.question] for row in chosen]),
        judge=_array(
            [-1 - i if row.standing == Standing.automatic else judge[row.judge] for i, row in enumerate(chosen)]
        ),
        context=_array([context[row.context] for row in chosen]),
        visit=_array(visit),
        value=_array([row.value for row in chosen]),
        first_left=_array([-1 if row.shown_first is None else row.shown_first == row.systems[0] for row in chosen]),
        seconds=np.array([np.nan if row.seconds is None else row.seconds for row in chosen], dtype=float),
    )


def _places(values: Iterable[T]) -> dict[T, int]:
    return {value: place for place, value in enumerate(values)}


def _codes(values: Iterable[str]) -> dict[str, int]:
    return _places(sorted(set(values)))


def _array(values: Sequence[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)
