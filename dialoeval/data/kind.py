"""The interface of a dataset kind: a module that reads examples, named by ``dataset.kind``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from dialoeval.config import DatasetConfig
from dialoeval.data.example import Dataset, Example, WeightedDialogue


class DatasetKind(Protocol):
    """A module of `dialoeval.data.sources`, or of a plugin.

    Three optional names: ``HAS_SPLITS = True`` if ``config.split`` chooses among several splits (default: one split);
    ``check(options)``, which raises `UserError` for unknown entries of ``config.options`` (default: no options); and
    ``pairs(config)``, which yields a `dialoeval.data.pairs.Pair` a reply (default: those of `load`'s examples).
    """

    def load(self, config: DatasetConfig) -> Dataset:
        """Read the first ``config.limit`` examples.

        Raises:
            UserError: a file, row or field is missing or malformed; the message names file, line and field.
        """


@runtime_checkable
class ConversationKind(DatasetKind, Protocol):
    """A dataset kind with whole conversations."""

    def dialogues(self, config: DatasetConfig) -> Iterable[tuple[str, ...]]:
        """Read the dialogues to train on, each a tuple of turns, oldest first."""


@runtime_checkable
class WeightedKind(DatasetKind, Protocol):
    """A dataset kind whose turns have weights in training."""

    def weighted_dialogues(self, config: DatasetConfig, counts: Counter[str]) -> list[WeightedDialogue]:
        """Read the dialogues to train on; add what is left out, and why, to the counts."""


@runtime_checkable
class StreamedKind(DatasetKind, Protocol):
    """A dataset kind whose examples can be read one after the other, for files that do not fit into memory."""

    def stream(self, config: DatasetConfig) -> Iterator[Example]:
        """Yield the first ``config.limit`` examples, whose contexts may be empty."""
