"""Datasets: examples to reply to and dialogues to train on, read by a module a kind (`DatasetKind`)."""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from dialoeval.config import DatasetConfig
from dialoeval.data import sources
from dialoeval.data.example import Dataset, Example
from dialoeval.data.kind import ConversationKind, DatasetKind
from dialoeval.errors import UserError, nearest

__all__ = ["ConversationKind", "Dataset", "DatasetKind", "Example", "dialogues", "has_splits", "load"]


def kinds() -> list[str]:
    """List the kinds of dataset that can be named in a configuration."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__))


def load(config: DatasetConfig) -> Dataset:
    """Read the examples that a dataset configuration names.

    Raises:
        UserError: naming file, line and field of what is missing or malformed.
    """
    _check(config)
    dataset = _module(config.kind).load(config)
    if not dataset.examples and dataset.skipped:
        where, why = dataset.skipped[0]
        raise UserError(
            f"no row of {config.name} can be used; {len(dataset.skipped)} are bad, the first: {where}: {why}"
        )
    if not dataset.examples:
        raise UserError(f"the dataset {config.name} has no examples (path={config.path}, split={config.split})")
    return dataset


def dialogues(config: DatasetConfig) -> list[tuple[str, ...]]:
    """Read the dialogues to train on: each a tuple of turns, oldest first.

    These are the conversations of a kind that knows them, else each context with each of its references.

    Raises:
        UserError: as `load`.
    """
    _check(config)
    module = _module(config.kind)
    if isinstance(module, ConversationKind):
        return module.dialogues(config)
    return [(*example.context, reference) for example in load(config).examples for reference in example.references]


def has_splits(config: DatasetConfig) -> bool:
    """Whether ``config.split`` chooses among several splits of the dataset."""
    return bool(getattr(_module(config.kind), "HAS_SPLITS", False))


def _check(config: DatasetConfig) -> None:
    if config.limit is not None and config.limit < 1:
        raise UserError(f"dataset.limit must be at least 1, or null for all, not {config.limit}")
    if config.context_turns < 0:
        raise UserError(f"dataset.context_turns must be 0 (all) or more, not {config.context_turns}")


def _module(kind: str) -> DatasetKind:
    if kind not in kinds():
        raise UserError(f"unknown dataset kind {kind!r}{nearest(kind, kinds())} (known: {', '.join(kinds())})")
    return cast(DatasetKind, importlib.import_module(f"{sources.__name__}.{kind}"))
