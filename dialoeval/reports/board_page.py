"""A board as one self-contained page: a script of its own sorts, filters and groups the rows."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from dialoeval.metrics.figures import Figure
from dialoeval.reports.board import Board, Row, Section
from dialoeval.reports.board_settings import sort_key, written
from dialoeval.reports.board_text import section_table, seeds_text, to_csv, to_latex, to_markdown
from dialoeval.reports.html import write_page

_MOST_FILTERS = 10
_FIRST = ("model", "decoding", "dataset", "protocol", "engine")
_REPEATED = ("name", "path", "kind", "run", "n", "seed", "reports_dir")  # said by the names, or by other columns
_SECTIONS = ("decoding.", "model.", "dataset.", "scoring.")  # whose settings can be filtered by


def write_board(board: Board, out_path: str | os.PathLike[str]) -> None:
    """Write the page.

    Raises:
        UserError: the page cannot be written.
    """
    filters = _filters(board)
    sections = [_section(board, section, filters) for section in board.sections]
    rows = [row for section in board.sections for row in section.rows]
    values = {
        "title": f"Board of {', '.join(board.folders)}",
        "meta": board.notes()[0],
        "notes": board.notes()[1:],
        "sections": sections,
        "filters": [(key, sorted(found, key=sort_key)) for key, found in filters.items()],
        "columns": [column.heading if isinstance(column, Figure) else column for column in board.columns],
        "group": board.settings.group,
        "runs": [(row.name, seeds_text(row), [run.name for run in row.runs]) for row in rows],
        "exports": {"Markdown": to_markdown(board), "LaTeX": to_latex(board), "CSV": to_csv(board)},
    }
    write_page(out_path, "board.html", values)


def _filters(board: Board) -> dict[str, set[str]]:
    """Return the settings in which the rows differ, with their values: names first, at most `_MOST_FILTERS`."""
    rows = [row for section in board.sections for row in section.rows]
    keys = dict.fromkeys(key for row in rows for key in row.values if key.startswith(_SECTIONS))
    own = [key for key in keys if key.rpartition(".")[2] not in _REPEATED]
    found = {key: {written(row.values.get(key)) for row in rows} for key in (*_FIRST, *own)}
    differing = {key: values for key, values in found.items() if len(values) > 1}
    return dict(list(differing.items())[:_MOST_FILTERS])


def _section(board: Board, section: Section, filters: Mapping[str, Any]) -> dict[str, Any]:
    table = section_table(board, section, page=True)
    first = len(table.headings) - len(board.columns)
    better = [column.higher_is_better if isinstance(column, Figure) else None for column in board.columns]
    return {
        "title": section.title,
        "notes": table.notes,
        "better": json.dumps([None] * first + better),
        "first": first,
        "table": Markup(
            table.to_html(css_class="figures board", row_attributes=[_about(row, filters) for row in section.rows])
        ),
    }


def _about(row: Row, filters: Mapping[str, Any]) -> str:
    """Return the attribute of a row that the script reads: what can be filtered, grouped and searched by."""
    keys = dict.fromkeys((*filters, "model", "decoding"))
    about = {key: written(row.values.get(key)) for key in keys}
    text = " ".join([row.name, *(run.name for run in row.runs)]).lower()
    return f'data-about="{html.escape(json.dumps(about | {"text": text, "mark": row.is_mark}))}"'
