"""Pairs of context and reply, each with its conversation: what a baseline draws or retrieves replies from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dialoeval.data.example import Example

_TURN = re.compile(r":\d+$")  # that ends the id of an example made from a conversation


@dataclass(frozen=True, slots=True)
class Pair:
    """A reply and what was said before it.

    Attributes:
        conversation: id of the conversation.
        context: turns, oldest first; may be empty.
        reply: the text.
    """

    conversation: str
    context: tuple[str, ...]
    reply: str

    @property
    def last_turn(self) -> str:
        """The last turn of the context; empty if there is none."""
        return last_turn(self.context)


def last_turn(context: tuple[str, ...]) -> str:
    """Return the last turn of a context; empty if there is none."""
    return context[-1] if context else ""


def conversation_of(example_id: str) -> str:
    """Return the conversation of an example: its id without the number of the turn, ``CONVERSATION:TURN``."""
    return _TURN.sub("", example_id)


def pairs_of(example: Example) -> list[Pair]:
    """Return an example's context with each of its references that is not empty."""
    conversation = conversation_of(example.id)
    return [Pair(conversation, example.context, reply) for reply in example.references if reply.strip()]
