"""Evaluation examples (a dialogue context with human replies) and datasets of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dialoeval.files import sha256_json


@dataclass(frozen=True)
class Example:
    """A context to reply to, with its references.

    Attributes:
        id: unique in the dataset.
        context: turns, oldest first; may be empty.
        references: human replies in their original order; may be empty.
        system: text for the system prompt, or None.
        speakers: of the turns of the context and of the reply, as the data names them; empty if it does not.
    """

    id: str
    context: tuple[str, ...]
    references: tuple[str, ...] = ()
    system: str | None = None
    speakers: tuple[str, ...] = ()


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
        fingerprint: SHA-256 over ids, contexts, references and system texts; equal for equal datasets.
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
    """Return the SHA-256 over ids, contexts, references and system texts, in order."""
    return sha256_json(
        [
            [example.id, example.context, example.references, *([] if example.system is None else [example.system])]
            for example in examples
        ]
    )
