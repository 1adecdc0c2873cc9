"""The page of `dialoeval reproduce`: the paper's figures and ours as bars, and the table with its differences."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialoeval.metrics.figures import PAPER_TABLE, Figure
from dialoeval.reports.html import write_page
from dialoeval.reports.paper import human_evaluation, published
from dialoeval.reports.reproduce import Line, Row, difference, sources, to_table
from dialoeval.reports.svg import Plot, frame, line, shortened, svg_text, text_width
from dialoeval.tables import Cell

WIDTH, BAR, LANE = 320, 12, 17


@dataclass(frozen=True)
class TableRow:
    """A row of the table.

    Attributes:
        system: its system, in the first row of a system; else empty.
        label: whose figures they are.
        kind: "published", "measured" or "difference".
        cells: (figure, class of the cell): of a difference, "same" if it prints as 0, else "other".
    """

    system: str
    label: str
    kind: str
    cells: list[tuple[Cell, str]]


def write_reproduction(out_path: str | os.PathLike[str], name: str, rows: Sequence[Row], human_note: str) -> None:
    """Write the page of one of the paper's tables.

    Args:
        out_path: of the page.
        name: "dstc7" or "reddit6k".
        rows: of `reproduce`.
        human_note: about the paper's human judgments, which stand below the table of reddit6k.

    Raises:
        UserError: the page cannot be written.
    """
    values = {
        "title": published().tables[name].title,
        "meta": f"{published().paper}; {published().source}",
        "plots": reproduction_plots(rows),
        "columns": [column.heading for column in PAPER_TABLE],
        "systems": [table_rows(row) for row in rows],
        "notes": [*to_table(rows).notes, *filter(None, [published().tables[name].note])],
        "sources": sources(rows),
        "human": Markup(human_evaluation().to_html()) if name == "reddit6k" else None,
        "human_note": human_note,
    }
    write_page(out_path, "reproduce.html", values)


def table_rows(row: Row) -> list[TableRow]:
    """Return the rows of a system: the first published figures, ours, the differences, other published ones."""
    first, *others = row.published or (None,)
    found = [] if first is None else [_line(first, "published")]
    for measured in row.measured:
        found.append(_line(measured, "measured"))
        if first is not None:
            found.append(TableRow("", "difference", "difference", _differences(measured, first)))
    found += [_line(other, "published") for other in others if other is not None]
    return [TableRow(row.system if i == 0 else "", one.label, one.kind, one.cells) for i, one in enumerate(found)]


def _line(one: Line, kind: str) -> TableRow:
    return TableRow("", one.label, kind, [(cell, "") for cell in one.cells])


def _differences(measured: Line, reported: Line) -> list[tuple[Cell, str]]:
    cells = difference(measured, reported)
    return [(cell, "" if cell.value is None else "same" if _is_zero(cell) else "other") for cell in cells]


def _is_zero(cell: Cell) -> bool:
    return not float(cell.figure)


def reproduction_plots(rows: Sequence[Row]) -> list[Plot]:
    """Return a picture for each figure: bars of the systems that have a published figure and one of ours."""
    plots = []
    for i, figure in enumerate(PAPER_TABLE):
        groups = []
        for row in rows:
            if not row.published or row.published[0].cells[i].value is None:
                continue
            ours = [one.cells[i] for one in row.measured if one.cells[i].value is not None]
            if ours:
                groups.append((row.system, row.published[0].cells[i], ours))
        if groups:
            plots.append(Plot(figure.heading, "Published in grey, measured here in colour.", _bars(groups, figure)))
    return plots


def _bars(groups: Sequence[tuple[str, Cell, Sequence[Cell]]], figure: Figure) -> Markup:
    cells = [cell for _, reported, ours in groups for cell in (reported, *ours)]
    longest = max(abs(cell.value or 0.0) for cell in cells) or 1.0
    room = WIDTH - max(text_width(cell.figure) for cell in cells) - 8
    marks, y = [], 4.0
    for system, reported, ours in groups:
        marks.append(svg_text(0, y + 11, shortened(system, 44), "start", "real"))
        y += LANE
        for cell, css in ((reported, "reported"), *((cell, "bar k0") for cell in ours)):
            wide = abs(cell.value or 0.0) / longest * room
            title = f"{system}, {'published' if css == 'reported' else 'measured here'}: {cell.figure}"
            size = f'width="{max(wide, 0.8):.1f}" height="{BAR}"'
            inside = f"<title>{html.escape(title)}</title>"
            marks.append(f'<rect class="{css}" x="0" y="{y:.1f}" {size}>{inside}</rect>')
            marks.append(svg_text(wide + 6, y + BAR - 2, cell.figure, "start"))
            y += BAR + 2
        y += 8
    marks.append(line(0, 0, 0, y - 6, "grid"))
    return frame("".join(marks), WIDTH, round(y), f"{figure.heading}: published and measured")
