"""Tables in the paper's layout, as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """One figure of the paper's tables: its heading, its flat name, the factor and decimals it is printed with."""

    heading: str
    name: str
    factor: float
    decimals: int
    suffix: str = ""


# The column order of the paper's tables 2 and 3. BLEU, METEOR and distinct are printed in percent.
PAPER_COLUMNS = (
    Column("NIST-2", "nist2", 1, 2),
    Column("NIST-4", "nist4", 1, 2),
    Column("BLEU-2", "bleu2", 100, 2, "%"),
    Column("BLEU-4", "bleu4", 100, 2, "%"),
    Column("METEOR", "meteor", 100, 2, "%"),
    Column("Entropy-4", "entropy4", 1, 2),
    Column("Dist-1", "distinct1", 100, 2, "%"),
    Column("Dist-2", "distinct2", 100, 2, "%"),
    Column("Avg Len", "avg_len", 1, 1),
)
MISSING = "–"


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first column names the row, the others hold figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """A pipe table, padded so that it reads well as plain text."""
        cells = [[_markdown(cell) for cell in row] for row in (self.headings, *self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.headings))]

        def line(row: Sequence[str]) -> str:
            first, *rest = (
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            return "| " + " | ".join([first, *rest]) + " |\n"

        rule = "|" + "|".join(
            "-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)
        )
        return line(cells[0]) + rule + "|\n" + "".join(map(line, cells[1:]))

    def to_csv(self) -> str:
        """Comma-separated, quoted where needed."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.headings, *self.rows])
        return stream.getvalue()

    def to_latex(self) -> str:
        """A booktabs tabular."""
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in (self.headings, *self.rows)]
        body = "\n".join(lines[1:])
        columns = "l" + "r" * (len(self.headings) - 1)
        return f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{lines[0]}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"

    def to_html(self) -> str:
        """A table element; every cell is escaped."""
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.headings)
        body = "".join(
            f'<tr><th scope="row">{html.escape(first)}</th>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in rest)
            + "</tr>"
            for first, *rest in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def figure(scores: dict[str, Any], name: str) -> float | None:
    """A flat figure (``bleu2``) of scores in the layout of scores.json; None where it was not computed."""
    if name in ("meteor", "avg_len", "nist5"):
        return scores.get(name)
    family, order = name[:-1], int(name[-1])
    values = scores.get(family) or []
    return values[order - 1] if len(values) >= order else None


def paper_table(rows: Sequence[tuple[str, dict[str, Any]]], *, intervals: bool = False) -> Table:
    """The paper's columns for named scores; with `intervals`, half the width of the 95% interval behind each figure.

    Args:
        rows: (name, scores as in scores.json).
    """
    headings = ("System", *(column.heading for column in PAPER_COLUMNS))
    return Table(
        headings, tuple((name, *(_cell(scores, c, intervals) for c in PAPER_COLUMNS)) for name, scores in rows)
    )


def _cell(scores: dict[str, Any], column: Column, intervals: bool) -> str:
    value = figure(scores, column.name)
    if value is None:
        return MISSING
    text = f"{value * column.factor:.{column.decimals}f}{column.suffix}"
    interval = scores.get("intervals", {}).get(column.name) if intervals else None
    if interval:
        text += f" ±{(interval[1] - interval[0]) / 2 * column.factor:.{column.decimals}f}"
    return text


def _markdown(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _latex(cell: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "–": "--",
    }
    special |= {character: "\\" + character for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in cell)
