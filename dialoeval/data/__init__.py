"""Datasets: examples to reply to and dialogues to train on. One module reads each kind (`DatasetKind`)."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from dialoeval import plugins
from dialoeval.config import DatasetConfig
from dialoeval.data import sources
from dialoeval.data.example import Dataset, Example, WeightedDialogue
from dialoeval.data.kind import ConversationKind, DatasetKind, StreamedKind, WeightedKind
from dialoeval.data.pairs import Pair, pairs_of
from dialoeval.errors import UserError, nearest
from dialoeval.plugins import Plugin

__all__ = [
    "ConversationKind",
    "Dataset",
    "DatasetKind",
    "Example",
    "WeightedDialogue",
    "WeightedKind",
    "dialogues",
    "has_splits",
    "iter_dialogues",
    "load",
    "pairs",
    "weighted_dialogues",
]


def kinds() -> list[str]:
    """Return the built-in dataset kinds, sorted by name."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__))


def load(config: DatasetConfig) -> Dataset:
    """Read the examples that a dataset configuration names.

    Raises:
        UserError: a file, row or field is missing or malformed (the message names file, line and field); or a context
            is empty, and `config.allow_empty_context` is not set.
    """
    dataset = _module(config).load(config)
    if not dataset.examples and dataset.skipped:
        where, why = dataset.skipped[0]
        raise UserError(
            f"no row of {config.name} can be used; {len(dataset.skipped)} are bad, the first: {where}: {why}"
        )
    if not dataset.examples:
        told = ", ".join(
            f"{count} {what}" for what, count in (dataset.reading.counts if dataset.reading else {}).items()
        )
        raise UserError(
            f"the dataset {config.name} has no examples (path={config.path}, split={config.split})"
            + (f": {told}" if told else "")
        )
    empty = [example.id for example in dataset.examples if not any(turn.strip() for turn in example.context)]
    if empty and not config.allow_empty_context:
        raise UserError(
            f"{len(empty)} of {len(dataset.examples)} examples of {config.name} have an empty context, to which there "
            f"is nothing to reply (the first: {empty[0]!r}): mend the data, or set dataset.allow_empty_context=true"
        )
    return dataset


def dialogues(config: DatasetConfig) -> list[tuple[str, ...]]:
    """Read the dialogues to train on, each a tuple of turns, oldest first: see `iter_dialogues`.

    Raises:
        UserError: as `load`.
    """
    return list(iter_dialogues(config))


def iter_dialogues(config: DatasetConfig) -> Iterator[tuple[str, ...]]:
    """Yield the dialogues to train on. Files of tables and DialoGPT's training files are read as they are needed.

    A `ConversationKind` gives whole conversations. For other kinds, each context is joined with each of its references.

    Raises:
        UserError: as `load`.
    """
    module = _module(config)
    if isinstance(module, ConversationKind):
        yield from module.dialogues(config)
        return
    examples = module.stream(config) if isinstance(module, StreamedKind) else load(config).examples
    for example in examples:
        if not any(turn.strip() for turn in example.context) and not config.allow_empty_context:
            raise UserError(
                f"the example {example.id!r} of {config.name} has an empty context: mend the data, or set "
                "dataset.allow_empty_context=true"
            )
        yield from ((*example.context, reference) for reference in example.references if reference.strip())


def weighted_dialogues(config: DatasetConfig, counts: Counter[str]) -> list[WeightedDialogue]:
    """Read the dialogues to train on, with the weight of each turn; it is 1 in kinds that know no weights.

    Args:
        config: of the dataset.
        counts: receives what is left out, and why.

    Raises:
        UserError: as `load`.
    """
    module = _module(config)
    if isinstance(module, WeightedKind):
        return module.weighted_dialogues(config, counts)
    return [WeightedDialogue(turns, (1.0,) * len(turns)) for turns in dialogues(config)]


def pairs(config: DatasetConfig) -> list[Pair]:
    """Read every reply of a dataset with its context and the id of its conversation; empty contexts are allowed.

    Raises:
        UserError: as `load`.
    """
    module = _module(config)
    if hasattr(module, "pairs"):
        return list(module.pairs(config))
    return [pair for example in load(replace(config, allow_empty_context=True)).examples for pair in pairs_of(example)]


def has_splits(config: DatasetConfig) -> bool:
    """Return whether the dataset has several splits, of which ``config.split`` chooses one."""
    return bool(getattr(_module(config), "HAS_SPLITS", False))


def plugin(kind: str) -> Plugin | None:
    """Return the plugin that reads datasets of this kind, or None if the kind is built in or unknown.

    Raises:
        UserError: two packages offer the kind.
    """
    return None if kind in kinds() else plugins.get("datasets", kind)


def _module(config: DatasetConfig) -> DatasetKind:
    """Import the module that reads this kind of dataset, and check ``config.options``."""
    kind, options = config.kind, config.options
    offer = plugin(kind)
    if offer is not None:
        module = offer.load()
        if not hasattr(module, "load"):
            raise UserError(f"the plugin {kind!r} of {offer.package} is not a dataset kind: it has no load(config)")
    elif kind in kinds():
        module = importlib.import_module(f"{sources.__name__}.{kind}")
    else:
        known = sorted({*kinds(), *plugins.find("datasets")})
        raise UserError(f"unknown dataset kind {kind!r}{nearest(kind, known)} (known: {', '.join(known)})")
    if hasattr(module, "check"):
        module.check(options)
    elif options:
        raise UserError(f"dataset.options.{next(iter(options))}: the dataset kind {kind} has no options")
    return cast(DatasetKind, module)
