"""What a baseline replies, example by example. No reply depends on other examples."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

from dialoeval.data.example import Example
from dialoeval.data.pairs import last_turn
from dialoeval.errors import UserError
from dialoeval.generation import rng
from dialoeval.generation.engines.baseline.training import TrainingSet
from dialoeval.generation.types import Retrieved

Said = tuple[str, Retrieved | None]  # a reply, and where it was taken from


class Replier(Protocol):
    """A baseline."""

    def identity(self) -> dict[str, Any]:
        """Return what determines the replies beside the settings and the training set."""
        ...

    def reply(self, example: Example, seed: int) -> Said:
        """Return the reply to an example.

        Raises:
            UserError: there is none.
        """
        ...


class _Plain:
    """A baseline that its settings and its training set determine."""

    def identity(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


class Constant(_Plain):
    """One text for every context."""

    def __init__(self, text: str) -> None:
        self.text = text

    def reply(self, example: Example, seed: int) -> Said:
        """Return the text."""
        return self.text, None


class Human(_Plain):
    """The human reply that is no reference."""

    def reply(self, example: Example, seed: int) -> Said:
        """Return the human reply.

        Raises:
            UserError: the example has none.
        """
        if example.human is None:
            raise UserError(f"the example {example.id} has no human reply apart from its references")
        return example.human, None


class Copy(_Plain):
    """The last turn of the context; nothing where there is none."""

    def reply(self, example: Example, seed: int) -> Said:
        """Return the last turn."""
        return last_turn(example.context), None


class Random(_Plain):
    """A reply of the training set, drawn by seed and example id; those of the example's conversation are left out."""

    def __init__(self, training: TrainingSet) -> None:
        self.training = training

    def reply(self, example: Example, seed: int) -> Said:
        """Return the reply that one uniform draw chooses."""
        own = self.training.own_documents(example.id)
        draw = float(rng.uniforms([rng.key(seed, example.id)], [0], [0])[0])
        number = int(draw * (len(self.training.pairs) - len(own)))
        for left_out in own:  # in order: the number counts the others only
            number += left_out <= number
        return self.training.pairs[number].reply, None


class Frequent(_Plain):
    """The commonest reply of the training set, without the replies of the example's own conversation.

    Replies are equal if they are but for white space; of equally common ones the first is chosen.
    """

    def __init__(self, training: TrainingSet) -> None:
        self.training = training
        counts = Counter(" ".join(pair.reply.split()) for pair in training.pairs)
        place = {text: number for number, text in enumerate(counts)}  # of the first appearance
        self.counts = [(text, count, place[text]) for text, count in counts.most_common()]

    def reply(self, example: Example, seed: int) -> Said:
        """Return the commonest reply."""
        pairs = self.training.pairs
        own = Counter(" ".join(pairs[i].reply.split()) for i in self.training.own_documents(example.id))
        best, most, first = "", 0, 0
        for text, count, place in self.counts:
            if count < most:
                break
            rest = count - own[text]
            if rest > most or (rest == most and place < first):
                best, most, first = text, rest, place
        return best, None
