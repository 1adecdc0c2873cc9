"""Retrieval of a reply: the document with the highest score, ties by its number."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from dialoeval.data.example import Example
from dialoeval.data.pairs import last_turn
from dialoeval.generation.engines.baseline.training import TrainingSet
from dialoeval.generation.types import Retrieved


class Index(Protocol):
    """The documents of a training set in a form that scores all of them for a query."""

    def identity(self) -> dict[str, Any]:
        """Return what determines the scores beside the documents."""
        ...

    def scores(self, query: str) -> np.ndarray:
        """Return the (documents,) scores of a query, larger is better, as an array of its own."""
        ...


class Retriever:
    """Replies with that of the best document; the documents of the example's own conversation are left out."""

    def __init__(self, training: TrainingSet, index: Index) -> None:
        self.training, self.index = training, index

    def identity(self) -> dict[str, Any]:
        """Return what determines the scores."""
        return self.index.identity()

    def reply(self, example: Example, seed: int) -> tuple[str, Retrieved]:
        """Return the reply of the document whose score is the highest, the first of several."""
        own = self.training.own_documents(example.id)
        scores = self.index.scores(last_turn(example.context))
        scores[list(own)] = -np.inf
        best = int(scores.argmax())  # the first of equals
        equal = self.training.equal_context(best, example.context)
        return self.training.pairs[best].reply, Retrieved(best, round(float(scores[best]), 6), equal)
