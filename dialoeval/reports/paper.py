"""The paper's published figures, which the package carries with their source, and what its human judgments can bear."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from dialoeval.files import read_json
from dialoeval.paths import assets_dir
from dialoeval.reports.tables import PAPER_COLUMNS, Cell, Column, Table

PAPER = ("dstc7", "reddit6k")


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    """What assets/paper/tables.json holds."""
    return read_json(assets_dir() / "paper" / "tables.json")


def printed_cell(value: float | None, column: Column, why: str = "not published") -> Cell:
    """A figure that is already in the unit the paper prints (percent where it has percent)."""
    return Cell(value, column.decimals, column.suffix, why=why)


def table_of(name: str) -> tuple[str, Table]:
    """(title, rows as published) of the paper's table `name`, one of `PAPER`."""
    entry = published()["tables"][name]
    headings = ("System", *(column.heading for column in PAPER_COLUMNS))
    rows = tuple(
        (system, *(printed_cell(figures.get(column.name), column) for column in PAPER_COLUMNS))
        for system, figures in entry["rows"].items()
    )
    return entry["title"], Table(headings, rows)


def human_evaluation() -> Table:
    """The paper's pairwise human judgments with the share of decided ones that prefer A, and what chance would give.

    The interval is the exact 95% one (Clopper and Pearson 1934), the p-value that of the exact two-sided sign test;
    ties are left out of both. Three judges saw each example, so that judgments are not independent: the true
    uncertainty is larger.
    """
    rows = []
    for entry in published()["human_evaluation"]["rows"]:
        wins, losses = entry["wins"], entry["losses"]
        low, high = (100 * edge for edge in exact_interval(wins, wins + losses))
        p_value = sign_test(wins, losses)
        rows.append(
            (
                f"{entry['question']}: {entry['a']} vs {entry['b']}",
                str(wins),
                str(entry["ties"]),
                str(losses),
                Cell(100 * wins / (wins + losses), 1, "%"),
                f"[{low:.1f}, {high:.1f}]",
                f"{p_value:.2g}" if p_value >= 1e-300 else "<1e-300",
            )
        )
    return Table(("Question", "A wins", "Ties", "B wins", "A preferred", "95% interval", "p (sign test)"), tuple(rows))


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p-value of `wins` and `losses` if both were as likely: twice the smaller tail, at most 1."""
    n, k = wins + losses, min(wins, losses)
    return min(1.0, 2 * _at_most(_log_choices(n, k), n, 0.5))


def exact_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share: all shares that an exact test at this level would not reject."""
    return _lower_bound(successes, n, confidence), 1 - _lower_bound(n - successes, n, confidence)


def _lower_bound(successes: int, n: int, confidence: float) -> float:
    """The p at which `successes` or more have the chance of one tail, by bisection: that chance grows with p."""
    if successes == 0:
        return 0.0
    choices = _log_choices(n, successes - 1)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        small = 1 - _at_most(choices, n, middle) < (1 - confidence) / 2
        low, high = (middle, high) if small else (low, middle)
    return (low + high) / 2


def _log_choices(n: int, k: int) -> np.ndarray:
    """(k + 1,) logarithms of n choose 0 .. k."""
    places = np.arange(1, k + 1)
    return np.concatenate([[0.0], np.cumsum(np.log((n - places + 1) / places))])


def _at_most(log_choices: np.ndarray, n: int, p: float) -> float:
    """P(X <= k) of a binomial(n, p), 0 < p < 1, given the logarithms of n choose 0 .. k."""
    places = np.arange(len(log_choices))
    return min(1.0, float(np.exp(log_choices + places * math.log(p) + (n - places) * math.log1p(-p)).sum()))
