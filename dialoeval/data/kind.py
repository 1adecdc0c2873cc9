"""What a dataset kind is: a module that reads examples, found by the configuration's `kind`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from dialoeval.config import DatasetConfig
from dialoeval.data.example import Dataset


class DatasetKind(Protocol):
    """A module of `dialoeval.data.sources`, or of another package.

    ``HAS_SPLITS = True`` in it says that ``config.split`` chooses among several; without it there is one split.
    ``check(options)`` in it refuses entries of ``config.options`` that it does not know; without it there are none.
    """

    def load(self, config: DatasetConfig) -> Dataset:
        """Read the examples that `config` names, the first ``config.limit`` of them.

        Raises:
            UserError: naming file, line and field of what is missing or malformed.
        """


@runtime_checkable
class ConversationKind(DatasetKind, Protocol):
    """A dataset kind that knows whole conversations."""

    def dialogues(self, config: DatasetConfig) -> list[tuple[str, ...]]:
        """Read the dialogues to train on: each a tuple of turns, oldest first."""
