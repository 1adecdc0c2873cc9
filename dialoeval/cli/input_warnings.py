"""Warnings about texts, in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.metrics.scores import Scores


def print_warnings(systems: Iterable[tuple[str, Scores]]) -> None:
    """Print what is suspicious about the texts of each (name, scores) on stderr, a line each."""
    for name, scores in systems:
        for finding in scores.warnings:
            print(f"warning: {name}: {finding.message}", file=sys.stderr)
