"""Judgments: what a study, a published file or a model as judge yields, and what every analysis reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dialoeval.errors import UserError


class StudyKind(StrEnum):
    """What a judge does with an item."""

    pairwise = "pairwise"  # prefers one of two replies, or neither
    likert = "likert"  # rates one reply on a scale of labelled points


class ItemKind(StrEnum):
    """Why an item is in a study."""

    real = "real"
    gold = "gold"  # with a known answer, to find judges who do not read
    repeat = "repeat"  # an item again with the sides swapped, to measure a judge's consistency


class Standing(StrEnum):
    """Whether an analysis counts a judgment."""

    counted = "counted"
    surplus = "surplus"  # beyond the number of judges that the study asks for: kept, not counted
    automatic = "automatic"  # a tie of two equal replies that no judge saw


@dataclass(frozen=True)
class Judgment:
    """One judge's answer to one question about one item.

    Attributes:
        item: what was judged; the items of a study differ in context or systems.
        context: id of the example.
        systems: (first, second) of a pair in the study's order, whatever the sides shown; (system,) of a rating.
        judge: who judged.
        question: name of the question.
        value: of a pair 1 (the first system is preferred), 0 (a tie) or -1 (the second); of a rating its point.
        shown_first: the system shown as reply A, or None if that is not known.
        seconds: time taken for the item, or None.
        kind: why the item is in the study.
        gold: the known answer of a gold item, as `value`.
        standing: whether the judgment counts.
        flags: remarks of the page on this judgment, such as "revised" or "repeat_context".
        refusal: why a model as judge gave no answer (`value` is then 0 and is not to be counted), or None.
        margin: of a model on a pair: P(first preferred) - P(second preferred), the mean over both orders.
        sides: of a model on a pair: its verdict in each order, 1 for the reply shown first, -1 for the second, 0.
    """

    item: str
    context: str
    systems: tuple[str, ...]
    judge: str
    question: str
    value: int
    shown_first: str | None = None
    seconds: float | None = None
    kind: ItemKind = ItemKind.real
    gold: int | None = None
    standing: Standing = Standing.counted
    flags: tuple[str, ...] = ()
    refusal: str | None = None
    margin: float | None = None
    sides: tuple[int, ...] = ()

    @property
    def gold_passed(self) -> bool | None:
        """Whether the known answer was given; a rating may be one point off. None if no answer is known."""
        if self.gold is None:
            return None
        return abs(self.value - self.gold) <= (1 if len(self.systems) == 1 else 0)

    def to_json(self) -> dict[str, Any]:
        """Return the row of judgments.jsonl, without the fields at their defaults."""
        row: dict[str, Any] = {"item": self.item, "context": self.context, "systems": list(self.systems)}
        row |= {"judge": self.judge, "question": self.question, "value": self.value}
        if self.flags:
            row["flags"] = list(self.flags)
        if self.sides:
            row["sides"] = list(self.sides)
        for name in ("shown_first", "seconds", "gold", "refusal", "margin"):
            if getattr(self, name) is not None:
                row[name] = getattr(self, name)
        if self.kind != ItemKind.real:
            row["kind"] = str(self.kind)
        if self.standing != Standing.counted:
            row["standing"] = str(self.standing)
        return row

    @classmethod
    def from_json(cls, row: Any, where: str) -> Judgment:
        """Read a row of judgments.jsonl; `where` names file and line.

        Raises:
            UserError: a field is missing or of the wrong type.
        """
        try:
            return cls(
                item=_text(row["item"]),
                context=_text(row["context"]),
                systems=tuple(map(_text, row["systems"])),
                judge=_text(row["judge"]),
                question=_text(row["question"]),
                value=_whole(row["value"]),
                shown_first=None if row.get("shown_first") is None else _text(row["shown_first"]),
                seconds=None if row.get("seconds") is None else float(row["seconds"]),
                kind=ItemKind(row.get("kind", "real")),
                gold=None if row.get("gold") is None else _whole(row["gold"]),
                standing=Standing(row.get("standing", "counted")),
                flags=tuple(map(_text, row.get("flags", ()))),
                refusal=None if row.get("refusal") is None else _text(row["refusal"]),
                margin=None if row.get("margin") is None else float(row["margin"]),
                sides=tuple(map(_whole, row.get("sides", ()))),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{where} is not a judgment: {error} (`dialoeval judge export` writes them)") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, not {value!r}")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, not {value!r}")
    return value


@dataclass(frozen=True)
class Question:
    """A question of a study.

    Attributes:
        name: short name in tables.
        text: as judges read it.
        points: of a rating: (point, label) from the lowest; empty for a pair.
    """

    name: str
    text: str
    points: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Judgments:
    """All judgments of a study or of a published file.

    Attributes:
        kind: pairs or ratings.
        systems: in the order of tables.
        pairs: the pairs compared, in the order of tables; empty for ratings.
        questions: in the order of tables.
        rows: in the order in which they were given.
        source: the study folder or file that they come from.
        sha256: of that source's judgments.
        judges_per_item: asked for, or None if that is not known.
        excluded: judges whom the rule of the study leaves out.
        models: judges that are models; never pooled with people.
        min_seconds: a judgment faster than this is flagged.
        gold_pass: a judge with a smaller share of right answers to gold items is flagged.
        words: {(context, system): words of the reply}, where replies are known.
    """

    kind: StudyKind
    systems: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    questions: tuple[Question, ...]
    rows: Sequence[Judgment]
    source: str
    sha256: str
    judges_per_item: int | None = None
    excluded: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    min_seconds: float | None = None
    gold_pass: float = 0.7
    notes: tuple[str, ...] = field(default=())
    words: Mapping[tuple[str, str], int] = field(default_factory=dict)


# The paper's three questions (README of the DialoGPT release, "Human evaluation").
PAPER_QUESTIONS = (
    Question("relevance", "Which one is more relevant to the source prompt?"),
    Question("informativeness", "Which one is more contentful and informative?"),
    Question("human-like", "Which one do you think is more likely to be generated by a human?"),
)
_AGREEMENT = (
    (1, "Strongly disagree"),
    (2, "Disagree"),
    (3, "Neither agree nor disagree"),
    (4, "Agree"),
    (5, "Strongly agree"),
)
# DSTC7's two statements (Galley et al., 2019), on five points.
DSTC7_STATEMENTS = (
    Question("relevance", "The reply is relevant and appropriate to the conversation.", _AGREEMENT),
    Question("informativeness", "The reply is interesting and informative.", _AGREEMENT),
)
