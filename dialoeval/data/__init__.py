"""Datasets: where examples come from. One module a kind; `load` finds it by the configuration's `kind`."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from dialoeval import plugins
from dialoeval.config import DatasetConfig
from dialoeval.data import sources
from dialoeval.data.example import Dataset, Example
from dialoeval.errors import UserError, nearest
from dialoeval.plugins import Plugin

__all__ = ["Dataset", "Example", "dialogues", "load"]


def kinds() -> list[str]:
    """The kinds of dataset that can be named in a configuration."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__))


def load(config: DatasetConfig) -> Dataset:
    """Read the examples that a dataset configuration names.

    Raises:
        UserError: naming file, line and field, where something is missing or malformed.
    """
    dataset: Dataset = _source(config).load(config)
    if not dataset.examples and dataset.skipped:
        where, why = dataset.skipped[0]
        raise UserError(
            f"no row of {config.name} can be used; {len(dataset.skipped)} are bad, the first: {where}: {why}"
        )
    if not dataset.examples:
        raise UserError(f"the dataset {config.name} has no examples (path={config.path}, split={config.split})")
    return dataset


def dialogues(config: DatasetConfig) -> list[tuple[str, ...]]:
    """The dialogues to train on: each a tuple of turns, oldest first.

    A kind that knows whole conversations gives these; of the others, each context with each of its references is one.
    """
    module = _source(config)
    if hasattr(module, "dialogues"):
        turns: list[tuple[str, ...]] = module.dialogues(config)
        return turns
    return [(*example.context, reference) for example in load(config).examples for reference in example.references]


def plugin(kind: str) -> Plugin | None:
    """Return the plugin that reads datasets of this kind, or None if the kind is built in or unknown."""
    return None if kind in kinds() else plugins.get("datasets", kind)


def _source(config: DatasetConfig) -> ModuleType:
    """Return the module that reads this kind of dataset; a plugin's module has checked its options."""
    kind, options = config.kind, config.options
    if kind in kinds():
        if options:
            raise UserError(f"dataset.options.{next(iter(options))}: the dataset kind {kind} has no options")
        return importlib.import_module(f"{sources.__name__}.{kind}")
    offer = plugin(kind)
    if offer is None:
        known = sorted({*kinds(), *plugins.find("datasets")})
        raise UserError(f"unknown dataset kind {kind!r}{nearest(kind, known)} (known: {', '.join(known)})")
    module: ModuleType = offer.load()
    if hasattr(module, "check"):
        module.check(options)
    elif options:
        raise UserError(f"dataset.options.{next(iter(options))}: {kind} of {offer.package} has no options")
    return module
