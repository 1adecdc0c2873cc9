"""The paper's published figures, which the package carries with their source, and what its human judgments can bear."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from dialoeval.files import read_json
from dialoeval.metrics.figures import PAPER_TABLE, Figure
from dialoeval.paths import assets_dir
from dialoeval.stats import exact_interval, sign_test
from dialoeval.tables import Cell, Table

PAPER = ("dstc7", "reddit6k")


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    """What assets/paper/tables.json holds."""
    return read_json(assets_dir() / "paper" / "tables.json")


def printed_cell(value: float | None, figure: Figure, why: str = "not published") -> Cell:
    """A figure that is already in the unit the paper prints (percent where it has percent)."""
    return Cell(value, figure.decimals, figure.unit_suffix, why=why)


def table_of(name: str) -> tuple[str, Table]:
    """(title, rows as published) of the paper's table `name`, one of `PAPER`."""
    entry = published()["tables"][name]
    headings = ("System", *(column.heading for column in PAPER_TABLE))
    rows = tuple(
        (system, *(printed_cell(figures.get(column.name), column) for column in PAPER_TABLE))
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
