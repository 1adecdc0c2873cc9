"""A board as Markdown, CSV, LaTeX, JSON and a pandas frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dialoeval.metrics.figures import Figure
from dialoeval.metrics.scores import protocol_json
from dialoeval.reports.board import Board, Row, Section
from dialoeval.reports.board_settings import written
from dialoeval.tables import Cell, Heading, Strong, Table, markdown_text

if TYPE_CHECKING:
    import pandas

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
    marks: list[int] = []
    for heading, rows in section.groups:
        if heading and not page:
            lines.append((Strong(heading), *[""] * (len(headings) - 1)))
        marks += [len(lines) + i for i, row in enumerate(rows) if row.is_mark]
        lines += [(row.name, *((seeds_text(row),) if seeds else ()), *_cells(board, row, intervals)) for row in rows]
    remarks = (*_legend(section), *section.remarks) if intervals else section.remarks
    return Table(headings, tuple(lines), remarks, unranked=tuple(marks))


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


def to_json(board: Board) -> dict[str, Any]:
    """Return the board as JSON values; figures are fractions, as in scores.json."""
    return {
        "schema": 1,
        "folders": list(board.folders),
        "settings": {key: list(x) if isinstance(x, tuple) else x for key, x in vars(board.settings).items()},
        "sections": [
            {
                "data": section.rows[0].runs[0].data,
                "dataset": section.rows[0].values["dataset"],
                "n": section.rows[0].scores.n,
                "protocol": protocol_json(section.rows[0].scores.protocol),
                "remarks": list(section.remarks),
                "rows": [_row_json(row, board.columns) for row in section.rows],
            }
            for section in board.sections
        ],
        "left_out": [vars(run) for run in board.left_out],
        "filtered": board.filtered,
    }


def _row_json(row: Row, columns: Iterable[Figure | str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": row.name, "model": row.values["model"], "decoding": row.values["decoding"]}
    shown |= {"runs": [run.name for run in row.runs], "seeds": row.seeds}
    for column in columns:
        if isinstance(column, str):
            shown[column] = row.values.get(column)
            continue
        shown[column.name] = row.get(column.name)
        interval = row.scores.interval(column.name) if len(row.runs) == 1 else None
        if interval is not None:
            shown[f"{column.name}_low"], shown[f"{column.name}_high"] = interval
        if len(row.runs) > 1:
            shown[f"{column.name}_sd"] = row.spread(column.name)
    return shown


def to_frame(board: Board) -> pandas.DataFrame:
    """Return a row a run, or for all its seeds: the columns of the CSV file, with lists of runs and seeds."""
    import pandas

    rows = []
    for section in board.sections:
        first = section.rows[0]
        about = {"dataset": first.values["dataset"], "protocol": first.scores.protocol.name, "n": first.scores.n}
        about["data"] = first.runs[0].data
        rows += [about | _row_json(row, board.columns) for row in section.rows]
    return pandas.DataFrame(rows)
