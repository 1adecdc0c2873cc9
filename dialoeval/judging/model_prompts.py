"""What a model is asked as a judge: one question about one item, with the replies in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialoeval.files import sha256_json
from dialoeval.judging.judgments import Question

VERSION = 1  # of the wording below, part of a judge's identity

_SYSTEM = "You judge replies in conversations between people. Answer with one {kind} and nothing else."
_PAIR_LETTERS = ("A", "B", "C")  # reply A, reply B, no difference


@dataclass(frozen=True)
class Ask:
    """One question put to a model.

    Attributes:
        item: name of the item.
        question: name of the question.
        shown: systems in the order in which their replies stand in the prompt.
        system: text of the system prompt.
        user: text of the user's turn.
        options: answers that the model can give, one letter or digit each.
        values: value of each option for the systems in the order shown: 1, -1 and 0 of a pair, the point of a rating.
    """

    item: str
    question: str
    shown: tuple[str, ...]
    system: str
    user: str
    options: tuple[str, ...]
    values: tuple[int, ...]

    @property
    def key(self) -> str:
        """Hash of the texts that the model reads, and of what they are about."""
        return sha256_json([self.item, self.question, self.shown, self.system, self.user, self.options])[:24]

    @property
    def plain(self) -> str:
        """The prompt of a model without a chat template, which continues it with a space and an option."""
        return f"{self.system}\n\n{self.user}\nAnswer:"


def asks(item: str, context: Sequence[str], replies: dict[str, str], questions: Sequence[Question]) -> list[Ask]:
    """Return the questions about one item: of a pair each question in both orders, of one reply each once.

    Args:
        item: name of the item.
        context: turns, the oldest first.
        replies: system -> reply; two of them, or one.
        questions: of the study.
    """
    names = tuple(replies)
    orders = [names] if len(names) == 1 else [names, names[::-1]]
    return [_ask(item, context, replies, question, shown) for question in questions for shown in orders]


def _ask(item: str, context: Sequence[str], replies: dict[str, str], question: Question, shown: tuple[str, ...]) -> Ask:
    texts = [replies[system] or "(no reply)" for system in shown]
    if question.points:
        points = tuple(point for point, _ in question.points)
        scale = ", ".join(f"{point} ({label.lower()})" for point, label in question.points)
        statement = f"Statement: {question.text}\nHow far do you agree? {scale}"
        user = f"{_conversation(context)}\n\nReply: {texts[0]}\n\n{statement}"
        options, values, kind = tuple(map(str, points)), points, "number"
    else:
        replies_text = "\n".join(f"Reply {letter}: {text}" for letter, text in zip("AB", texts, strict=True))
        user = (
            f"{_conversation(context)}\n\n{replies_text}\n\nQuestion: {question.text}\n"
            "A (reply A), B (reply B) or C (no difference)?"
        )
        options, values, kind = _PAIR_LETTERS, (1, -1, 0), "letter"
    return Ask(item, question.name, shown, _SYSTEM.format(kind=kind), user, options, values)


def _conversation(context: Sequence[str]) -> str:
    """Return the turns, one a line; the last one is the other person's, as on the page for judges."""
    last = len(context) - 1
    return "Conversation:\n" + "\n".join(f"Person {1 + (last - i) % 2}: {turn}" for i, turn in enumerate(context))
