"""Tables of scores in the paper's layout, with a column for each extra metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dialoeval.metrics.figures import Figure
from dialoeval.metrics.scores import Scores
from dialoeval.tables import Cell, Heading, Table


def score_table(
    rows: Iterable[tuple[str, Scores]], *, intervals: bool = False, figures: Sequence[Figure] | None = None
) -> Table:
    """Return a table with a row for each system.

    Args:
        rows: (name, scores) of each system.
        intervals: print half the width of the 95% interval after each figure.
        figures: the columns; None: those of `columns`.
    """
    systems = list(rows)
    if figures is None:
        figures = columns([scores for _, scores in systems])
    headings = (Heading("System", "system"), *(figure.column for figure in figures))
    lines: list[tuple[str | Cell, ...]] = [
        (name, *(score_cell(scores, figure, intervals) for figure in figures)) for name, scores in systems
    ]
    return Table(headings, tuple(lines))


def columns(systems: Iterable[Scores]) -> tuple[Figure, ...]:
    """Return the paper's columns, then the extra metrics of all systems in order of appearance."""
    from dialoeval.metrics.figures import PAPER_TABLE

    shown = {figure.name: figure for figure in PAPER_TABLE}
    for scores in systems:
        shown |= {figure.name: figure for figure in scores.columns()}
    return tuple(shown.values())


def score_cell(scores: Scores, figure: Figure, intervals: bool = True) -> Cell:
    """Return a figure as a cell, with its interval, or with the reason why it is missing."""
    return scores.cell(figure, intervals)
