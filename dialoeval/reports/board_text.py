"""A board as tables: Markdown, CSV and LaTeX."""

from __future__ import annotations

from dataclasses import replace

from dialoeval.metrics.figures import Figure
from dialoeval.reports.board import Board, Row, Section
from dialoeval.reports.board_settings import written
from dialoeval.tables import Cell, Heading, Strong, Table, markdown_text

_SEEDS_NAMED = 6


def section_table(board: Board, section: Section, *, intervals: bool = True, page: bool = False) -> Table:
    """Return the rows of a section.

    Args:
        board: that has it.
        section: of the board.
        intervals: with the 95% interval, or the standard deviation over seeds, of each figure.
        page: for the page, whose script names the groups: without a row above each group that names it, and with the
            same columns in all sections.
    """
    seeds = any(len(row.runs) > 1 for one in (board.sections if page else [section]) for row in one.rows)
    headings = (Heading("System", "system"), *((Heading("Seeds", "seeds"),) if seeds else ()), *_headings(board))
    lines: list[tuple[str | Cell, ...]] = []
    for heading, rows in section.groups:
        if heading and not page:
            lines.append((Strong(heading), *[""] * (len(headings) - 1)))
        lines += [(row.name, *((seeds_text(row),) if seeds else ()), *_cells(board, row, intervals)) for row in rows]
    remarks = (*_legend(section), *section.remarks) if intervals else section.remarks
    return Table(headings, tuple(lines), remarks)


def seeds_text(row: Row) -> str:
    """Return how many seeds a row has, and which."""
    seeds = list(map(str, row.seeds))
    if not seeds:
        return ""
    named = ", ".join(seeds[:_SEEDS_NAMED]) + (", …" if len(seeds) > _SEEDS_NAMED else "")
    return f"{len(seeds)} ({named})"


def _headings(board: Board) -> list[Heading]:
    return [column.column if isinstance(column, Figure) else Heading(column, column) for column in board.columns]


def _cells(board: Board, row: Row, intervals: bool) -> list[str | Cell]:
    cells: list[str | Cell] = []
    for column in board.columns:
        if isinstance(column, Figure):
            cell = row.cell(column)
            cells.append(cell if intervals else replace(cell, low=None, high=None, spread=None))
        else:
            cells.append("" if row.values.get(column) is None else written(row.values[column]))
    return cells


def _legend(section: Section) -> tuple[str, ...]:
    """Return what stands after the figures, if rows of several seeds are among the others."""
    if not any(len(row.runs) > 1 for row in section.rows):
        return ()
    one = ", ± or [low, high] the 95% bootstrap interval of one run" if any(
        len(row.runs) == 1 for row in section.rows
    ) else ""  # fmt: skip
    return (f"Rows of several seeds: the mean; sd: the standard deviation over seeds{one}.",)


def to_markdown(board: Board) -> str:
    """Return the notes, then a table a section."""
    parts = [
        f"# Board of {', '.join(board.folders)}\n",
        "".join(f"- {markdown_text(note)}\n" for note in board.notes()),
    ]
    for section in board.sections:
        parts += [f"## {markdown_text(section.title)}\n", section_table(board, section).to_markdown()]
    return "\n".join(parts)


def to_csv(board: Board) -> str:
    """Return all rows in one table, with columns that tell the sections apart."""
    own = ("model", "decoding", "dataset", "protocol", "n")
    headings = ("system", *own, "data", "seeds", "runs")
    shown = [heading for heading in _headings(board) if heading.name not in headings]
    lines: list[tuple[str | Cell, ...]] = []
    for section in board.sections:
        for row in section.rows:
            about = (*(written(row.values[key]) for key in own), row.runs[0].data)
            seeds, runs = " ".join(map(str, row.seeds)), " ".join(run.name for run in row.runs)
            cells = dict(zip(_headings(board), _cells(board, row, True), strict=True))
            lines.append((row.name, *about, seeds, runs, *(cells[heading] for heading in shown)))
    return Table((*(Heading(name, name) for name in headings), *shown), tuple(lines)).to_csv()


def to_latex(board: Board) -> str:
    """Return a float a section. What its figures are stands in the caption; what was left out, in comments."""
    parts = ["".join(f"% {' '.join(note.split())}\n" for note in board.notes())]
    for i, section in enumerate(board.sections, 1):
        table = section_table(board, section)
        several = any(len(row.runs) > 1 for row in section.rows)
        below = "95% bootstrap intervals" + (", standard deviations (sd) over seeds" if several else "")
        bold = " Best figures in bold." if table.best() else ""
        caption = f"{section.title}.{bold} Below the figures: {below}."
        parts.append(replace(table, caption=caption).to_latex(f"tab:board-{i}"))
    return "\n".join(parts)
