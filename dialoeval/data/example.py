"""Evaluation examples (a dialogue context with human replies) and datasets of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dialoeval.files import sha256_json

HUMAN_APART = "human_replies_kept_apart"  # the count of human replies that the data hold apart from the references


@dataclass(frozen=True)
class Example:
    """A context to reply to, with its references.

    Attributes:
        id: unique in the dataset.
        context: turns, oldest first; may be empty.
        references: human replies in their original order; may be empty.
        system: text for the system prompt, or None.
        speakers: of the turns of the context and of the reply, as the data names them; empty if it does not.
        human: the human reply that the data hold apart from the references, or None. Where a protocol holds out a
            place among the references instead, as for DSTC-7, it stays there: see `human_reply`.
    """

    id: str
    context: tuple[str, ...]
    references: tuple[str, ...] = ()
    system: str | None = None
    speakers: tuple[str, ...] = ()
    human: str | None = None


@dataclass(frozen=True)
class WeightedDialogue:
    """A dialogue to train on, with the weight of each turn.

    Attributes:
        turns: oldest first.
        weights: of the turns; a turn of weight 0 is context, and never predicted.
    """

    turns: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Reading:
    """How a table was read.

    Attributes:
        format: of the table.
        columns: of the table, or keys of its objects.
        settings: the mapping that was used, as settings of `dataset`.
        guessed: the mapping was not given, but told by the columns.
        counts: {what: how many}, such as turns left out.
        unread: columns that the told mapping leaves aside.
    """

    format: str
    columns: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    guessed: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Dataset:
    """Examples in order, with their fingerprint.

    Attributes:
        name: as in tables.
        examples: with unique ids.
        fingerprint: SHA-256 over ids, contexts, references, system texts and human replies held apart; equal for equal
            datasets.
        skipped: ``(where, why)`` of each row skipped by ``skip_bad``.
        reading: how the table was read, or None if the dataset is not a table.
    """

    name: str
    examples: tuple[Example, ...]
    fingerprint: str
    skipped: tuple[tuple[str, str], ...] = ()
    reading: Reading | None = None

    def __repr__(self) -> str:
        return f"Dataset({self.name}, {len(self.examples)} examples)"


def fingerprint(examples: Iterable[Example]) -> str:
    """Return the SHA-256 over ids, contexts, references, system texts and human replies held apart, in order."""
    return sha256_json([list(_content(example)) for example in examples])


def _content(example: Example) -> Iterator[Any]:
    """Yield what an example is; what it does not have leaves no trace, so that older fingerprints stay."""
    yield from (example.id, example.context, example.references)
    if example.system is not None:
        yield example.system
    if example.human is not None:
        yield {"human": example.human}


def human_reply(human: str | None, references: Sequence[str], held_out: int | None) -> str | None:
    """Return the human reply that no system is scored against, or None if there is none.

    Args:
        human: the one that the data hold apart, as the 6K Reddit set.
        references: of the example, in their original order.
        held_out: place of the reference that the protocol holds out, as for DSTC-7; None if it holds out none.
    """
    if human is not None or held_out is None or held_out >= len(references):
        return human
    return references[held_out]
