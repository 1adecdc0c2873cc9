"""Tables of scores in the paper's layout, with a column for each extra metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dialoeval.metrics import registry
from dialoeval.metrics.figures import Figure
from dialoeval.metrics.scores import Scores
from dialoeval.tables import Cell, Table


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
    headings = ("System", *(figure.heading for figure in figures))
    lines: list[tuple[str | Cell, ...]] = [
        (name, *(score_cell(scores, figure, intervals) for figure in figures)) for name, scores in systems
    ]
    return Table(headings, tuple(lines), tuple(_changed_files([scores for _, scores in systems])))


def _changed_files(systems: Sequence[Scores]) -> Iterator[str]:
    """Yield a sentence for each extra metric whose argument named other contents for one system than for another."""
    for name in dict.fromkeys(name for scores in systems for name in scores.extra if ":" in name):
        mine = [scores for scores in systems if name in scores.extra]
        signatures = {scores.extra[name].signature for scores in mine}
        hashes = {((scores.settings or {}).get("files") or {}).get(name) for scores in mine} - {None}
        if len(signatures) > 1 or len(hashes) > 1:
            heading, named = registry.columns(name)[0].heading, name.partition(":")[2]
            yield f"{heading}: not comparable, since {named} was not the same file or model for all rows"


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
