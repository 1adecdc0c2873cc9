"""Warnings about texts, in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.metrics.scores import Scores


def print_counts(name: str, scores: Scores) -> None:
    """Print how many inputs were odd, and what the protocol does with references."""
    odd = {key: value for key, value in scores.counts.items() if value}
    if odd:
        print(f"{name}: " + ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in odd.items()))
    for remark in scores.remarks():
        print(f"{name}: {remark}")


def print_warnings(systems: Iterable[tuple[str, Scores]]) -> None:
    """Print what is suspicious about the texts of each (name, scores) on stderr, a line each."""
    for name, scores in systems:
        for finding in scores.warnings:
            print(f"warning: {name}: {finding.message}", file=sys.stderr)
