"""How far a model as judge can be believed: order, position, length, and items with a known answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dialoeval.judging.judgments import ItemKind, Judgment
from dialoeval.stats import EqualLength, Undefined, equal_length_preference, sign_test

TURNED = "turned"  # flag of a verdict that changed with the order of the replies


@dataclass(frozen=True)
class Trust:
    """One question about one pair, as a model answered it.

    Attributes:
        question: its name.
        pair: the systems.
        items: that the model answered in both orders.
        turned: of them, those whose verdict changed with the order: ties in the tables.
        always_first: of them, those where the reply shown first won in both orders.
        always_second: of them, those where the reply shown second did.
        position_p: of no preference for a position: the exact sign test of the two.
        averaged: share of the items on which P(first system) - P(second), the mean over both orders, is above 0; a
            margin of 0 counts half.
        averaged_p: of no preference: the exact sign test over items.
        longer: share of the decided verdicts on replies of different length that prefer the longer one.
        equal_length: preference for the first system among replies of equal length.
    """

    question: str
    pair: tuple[str, ...]
    items: int
    turned: int
    always_first: int
    always_second: int
    position_p: float
    averaged: float | Undefined
    averaged_p: float | Undefined
    longer: float | Undefined
    equal_length: EqualLength | Undefined


def trust(rows: Sequence[Judgment], words: Mapping[tuple[str, str], int]) -> tuple[Trust, ...]:
    """Return a line for each question and pair.

    Args:
        rows: one model's judgments of pairs.
        words: {(context, system): words of the reply}.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Judgment]] = {}
    for row in rows:
        if row.kind == ItemKind.real and row.refusal is None and len(row.sides) == 2:
            groups.setdefault((row.question, row.systems), []).append(row)
    return tuple(_line(question, pair, own, words) for (question, pair), own in groups.items())


def gold(rows: Sequence[Judgment]) -> tuple[int, int]:
    """Return (right answers, answers) to items with a known answer."""
    known = [row.value == row.gold for row in rows if row.kind == ItemKind.gold and row.gold is not None]
    return sum(known), len(known)


def _line(
    question: str, pair: tuple[str, ...], rows: Sequence[Judgment], words: Mapping[tuple[str, str], int]
) -> Trust:
    first, second = (sum(row.sides == (side, side) for row in rows) for side in (1, -1))
    margins = [row.margin for row in rows if row.margin is not None]
    above, below = sum(m > 0 for m in margins), sum(m < 0 for m in margins)
    nothing = Undefined("the model gave no probabilities")
    lengths = [_difference(row, words) for row in rows]
    unequal = [row.value * d > 0 for row, d in zip(rows, lengths, strict=True) if d and row.value]
    unknown = Undefined("the lengths of the replies are not known")
    return Trust(
        question=question,
        pair=pair,
        items=len(rows),
        turned=sum(TURNED in row.flags for row in rows),
        always_first=first,
        always_second=second,
        position_p=sign_test(first, second),
        averaged=(above + (len(margins) - above - below) / 2) / len(margins) if margins else nothing,
        averaged_p=sign_test(above, below) if margins else nothing,
        longer=sum(unequal) / len(unequal) if unequal else Undefined("no verdict on replies of different length"),
        equal_length=unknown
        if None in lengths
        else equal_length_preference(
            np.array([row.context for row in rows]),
            np.array([row.value for row in rows], dtype=float),
            np.array(lengths, dtype=float),
        ),
    )


def _difference(row: Judgment, words: Mapping[tuple[str, str], int]) -> int | None:
    """Return the words of the first reply minus those of the second, or None if they are not known."""
    first, second = (words.get((row.context, system)) for system in row.systems)
    return None if first is None or second is None else first - second
