"""The table of scores as the page shows it: arrows, the best of each column, marks of real differences."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from dialoeval.metrics.figures import Figure
from dialoeval.metrics.score_tables import columns, score_cell
from dialoeval.reports.baseline import LEVEL, BaselineTests
from dialoeval.reports.compare_text import p_text
from dialoeval.reports.explanations import Explained, explained
from dialoeval.reports.svg import colour
from dialoeval.runs.reader import LoadedRun, short_names
from dialoeval.tables import Cell

_MARKS = {1: ("▲", "better"), -1: ("▼", "worse"), 0: ("◆", "different")}


@dataclass(frozen=True)
class Shown:
    """A cell of the table.

    Attributes:
        cell: the figure.
        best: it is the best of its column.
        mark: ``▲`` better than the baseline, ``▼`` worse, ``◆`` different; empty if not told apart or not tested.
        css: class of the mark.
        said: the mark in words, with its p-value.
        p: the adjusted p-value as printed; empty if it was not tested.
    """

    cell: Cell
    best: bool = False
    mark: str = ""
    css: str = ""
    said: str = ""
    p: str = ""


@dataclass(frozen=True)
class ScoresView:
    """The table of scores.

    Attributes:
        columns: what each is about.
        rows: (name, classes of the row, whether it is the baseline, cells).
        legend: sentences on marks, tests and best figures.
        tested: whether any figure was tested.
    """

    columns: list[Explained]
    rows: list[tuple[str, str, bool, list[Shown]]]
    legend: list[str]
    tested: bool

    def add(self, about: Explained, cells: Sequence[Shown], best: Set[tuple[int, int]]) -> None:
        """Add a column; `best` as in `scores_view`."""
        self.columns.append(about)
        for i, ((_, _, _, row), cell) in enumerate(zip(self.rows, cells, strict=True)):
            row.append(replace(cell, best=(i, len(self.columns)) in best))


def scores_view(runs: Sequence[LoadedRun], tests: BaselineTests, best: Set[tuple[int, int]]) -> ScoresView:
    """Return the table of scores of the runs of a page.

    Args:
        runs: of the page.
        tests: of the runs against a baseline.
        best: (run, column) of the best figures, as `Table.best` has them; column 0 is the name.
    """
    names = short_names(runs)
    scores = [run.scores for run in runs]
    figures = columns(scores)
    cells = {figure.name: [score_cell(one, figure) for one in scores] for figure in figures}
    baseline = tests.baseline
    rows = []
    for i, name in enumerate(names):
        shown = [_shown(cells[f.name], i, f, tests, names, (i, j) in best) for j, f in enumerate(figures, 1)]
        rows.append((name, colour(i), i == baseline, shown))
    legend = []
    if best:
        legend.append("Bold: the best of its column.")
    if baseline is not None:
        legend.append(f"▲ better, ▼ worse, ◆ different: told apart from {names[baseline]}; no mark: not told apart.")
    legend += [tests.legend] if tests.legend else []
    return ScoresView([explained(f, names, scores) for f in figures], rows, legend, baseline is not None)


def _shown(
    column: Sequence[Cell], run: int, figure: Figure, tests: BaselineTests, names: Sequence[str], best: bool
) -> Shown:
    cell = column[run]
    if tests.baseline is None or figure.name not in tests.p_values[run]:
        return Shown(cell, best)
    difference = (cell.value or 0.0) - (column[tests.baseline].value or 0.0)
    return marked(cell, best, figure, difference, tests.p_values[run][figure.name], names[tests.baseline])


def marked(cell: Cell, best: bool, figure: Figure, difference: float, p: float, other: str) -> Shown:
    """Return a cell with the mark of a test.

    Args:
        cell: the figure.
        best: it is the best of its column.
        figure: of the column.
        difference: from the other system's figure.
        p: adjusted p-value of the difference.
        other: name of the other system.
    """
    printed = p_text(p)
    if p > LEVEL:
        return Shown(cell, best, p=printed)
    higher = difference > 0
    mark, word = _MARKS[0 if figure.higher_is_better is None else 1 if higher == figure.higher_is_better else -1]
    equals = "" if printed.startswith("<") else "= "
    said = f"{word}, {'higher' if higher else 'lower'} than {other}, p {equals}{printed}"
    return Shown(cell, best, mark, word, said, printed)
