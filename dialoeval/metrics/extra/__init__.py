"""Metrics beside the paper's, each under its own name: one module a metric, found by name.

A module has ``DESCRIPTION`` and ``compute(hypotheses, references, contexts[, argument])``, which returns a dict with
"score" and "signature" and imports what is heavy inside. The metrics see the text as it was before the protocol's
cleaning, and are never mixed up with the paper's.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError, nearest


def available() -> dict[str, str]:
    """{name: description}, read without importing the metrics (some are heavy)."""
    return {name: _description(name) for name in _names()}


def check(names: Sequence[str]) -> None:
    """Raise UserError for the first name that no metric has."""
    for name in names:
        base = name.partition(":")[0]
        if base not in _names():
            raise UserError(f"unknown metric {base!r}{nearest(base, _names())} (`dialoeval list metrics` lists them)")


def compute(
    name: str,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    contexts: Sequence[Sequence[str]] | None = None,
) -> dict[str, Any]:
    """One extra metric. ``name`` may carry an argument after a colon, such as a model: ``perplexity:gpt2``.

    Raises:
        UserError: unknown name, or what the metric needs is not installed.
    """
    check([name])
    base, _, argument = name.partition(":")
    module = importlib.import_module(f"{__name__}.{base}")
    if not argument:
        return module.compute(hypotheses, references, contexts)
    if "argument" not in inspect.signature(module.compute).parameters:
        raise UserError(f"the metric {base} takes no argument (got {argument!r})")
    return module.compute(hypotheses, references, contexts, argument=argument)


def _names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def _description(name: str) -> str:
    tree = ast.parse((Path(__path__[0]) / f"{name}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "DESCRIPTION":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{name} has no DESCRIPTION")
