"""What verbs share in printing: `--json` and `--quiet`, and tables as wide as the terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from dialoeval.metrics.scores import Scores
    from dialoeval.tables import Table

JSON_HELP = "print one JSON object and nothing else on stdout"
QUIET_HELP = "print only warnings and errors"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--json``."""
    parser.add_argument("--json", action="store_true", help=JSON_HELP)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options ``--json`` and ``--quiet``, which exclude each other."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help=JSON_HELP)
    group.add_argument("--quiet", action="store_true", help=QUIET_HELP)


@contextlib.contextmanager
def quietly(quiet: bool) -> Iterator[None]:
    """If `quiet`, print nothing on stdout within it, and on stderr warnings and errors only."""
    if not quiet:
        yield
        return
    from dialoeval.progress import silent

    logger = logging.getLogger("dialoeval")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with silent(), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def print_json(value: Any) -> None:
    """Print a JSON object on one line."""
    from dialoeval.files import dumps

    print(dumps(value))


def scores_text(systems: Sequence[tuple[str, Scores]]) -> str:
    """Return the table of (name, scores) as Markdown: see `table_text`."""
    from dialoeval.metrics.score_tables import score_table

    return table_text(score_table(systems, intervals=True), score_table(systems))


def table_text(whole: Table, plain: Table) -> str:
    """Return a table as Markdown.

    In a file or pipe it is whole. A terminal too narrow for the intervals gets none, the `plain` table; one too narrow
    for all figures gets several tables below each other.
    """
    text = whole.to_markdown()
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    if _width(text) <= width:
        return text
    note = (
        "\n(the terminal is too narrow for the 95% intervals)\n" if whole.to_markdown() != plain.to_markdown() else ""
    )
    return "\n".join(part.to_markdown() for part in _parts(plain, width)) + note


def _width(text: str) -> int:
    return max(len(line) for line in text.splitlines() if line.startswith("|"))


def _parts(table: Table, width: int) -> list[Table]:
    """Return a table as tables that fit a width, each with the first column and at least one other."""
    from dialoeval.tables import Table

    def part(columns: Sequence[int], remarks: tuple[str, ...] = ()) -> Table:
        picked = (0, *columns)
        rows = tuple(tuple(row[i] for i in picked) for row in table.rows)
        return Table(tuple(table.headings[i] for i in picked), rows, remarks)

    groups: list[list[int]] = [[]]
    for column in range(1, len(table.headings)):
        if groups[-1] and _width(part([*groups[-1], column]).to_markdown()) > width:
            groups.append([])
        groups[-1].append(column)
    return [part(columns, table.remarks if columns is groups[-1] else ()) for columns in groups]
