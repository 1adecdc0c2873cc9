"""One evaluation example: a dialogue so far, and what people replied; and a dataset of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dialoeval.files import sha256_json


@dataclass(frozen=True)
class Example:
    """A single-turn reply to generate and judge.

    Attributes:
        id: unique in its dataset.
        context: the dialogue's turns, oldest first; may be empty.
        references: human replies, in their original order; may be empty.
    """

    id: str
    context: tuple[str, ...]
    references: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Dataset:
    """Examples in their order, with what identifies them.

    Attributes:
        name: as tables show it.
        examples: with unique ids.
        fingerprint: SHA-256 over ids, contexts and references; two datasets with one fingerprint are the same.
        skipped: ``(where, why)`` of every row that ``skip_bad`` left out.
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
