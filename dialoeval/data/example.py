"""Evaluation examples (a dialogue context with human replies) and datasets of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dialoeval.files import sha256_json


@dataclass(frozen=True)
class Example:
    """A context to reply to, with its references.

    Attributes:
        id: unique in the dataset.
        context: turns, oldest first; may be empty.
        references: human replies in their original order; may be empty.
    """

    id: str
    context: tuple[str, ...]
    references: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Dataset:
    """Examples in order, with their fingerprint.

    Attributes:
        name: as in tables.
        examples: with unique ids.
        fingerprint: SHA-256 over ids, contexts and references; equal for equal datasets.
        skipped: ``(where, why)`` of each row skipped by ``skip_bad``.
    """

    name: str
    examples: tuple[Example, ...]
    fingerprint: str
    skipped: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Dataset({self.name}, {len(self.examples)} examples)"


def fingerprint(examples: Iterable[Example]) -> str:
    """Return the SHA-256 over ids, contexts and references, in order."""
    return sha256_json([[example.id, example.context, example.references] for example in examples])
