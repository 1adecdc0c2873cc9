"""Tables of figures and text, as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "–"


class Strong(str):
    """Text of a cell in bold."""


@dataclass(frozen=True)
class Cell:
    """A figure of a table.

    Attributes:
        value: in the printed unit, or None if it is missing.
        decimals: digits after the point.
        suffix: unit after the number.
        low: lower bound of the 95% interval, or None.
        high: upper bound of the 95% interval, or None.
        why: why the value is missing.
        signed: print the sign, as for differences.
    """

    value: float | None
    decimals: int = 2
    suffix: str = ""
    low: float | None = None
    high: float | None = None
    why: str = ""
    signed: bool = False

    @property
    def figure(self) -> str:
        """The figure as printed, without its interval."""
        if self.value is None:
            return MISSING
        return f"{self.value:{'+' if self.signed else ''}z.{self.decimals}f}{self.suffix}"

    @property
    def margin(self) -> str:
        """``±`` and half the width of the interval, or ``[low, high]`` if it is skewed; empty without an interval.

        An interval is skewed if its bounds are not equally far from the value: by more than a quarter of half its
        width, and more than rounding hides.
        """
        if self.value is None or self.low is None or self.high is None:
            return ""
        skew = abs((self.high - self.value) - (self.value - self.low))
        if skew > max((self.high - self.low) / 8, 10**-self.decimals):
            return f"[{self.low:.{self.decimals}f}, {self.high:.{self.decimals}f}]"
        return f"±{(self.high - self.low) / 2:.{self.decimals}f}"

    @property
    def bounds(self) -> str:
        """``low to high`` of the interval; empty without an interval."""
        if self.value is None or self.low is None or self.high is None:
            return ""
        return f"{self.low:.{self.decimals}f} to {self.high:.{self.decimals}f}"

    def __str__(self) -> str:
        return f"{self.figure} {self.margin}".rstrip()


@dataclass(frozen=True)
class Table:
    """Rows under headings. The first column names the row; a cell is text or a figure.

    Attributes:
        headings: of the columns.
        rows: as many cells each.
        remarks: sentences about the table, printed among the `notes`.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons for missing figures, each once, with the columns concerned; then the remarks."""
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            for heading, cell in zip(self.headings, row, strict=True):
                if isinstance(cell, Cell) and cell.value is None and cell.why:
                    columns = reasons.setdefault(cell.why, [])
                    if heading not in columns:
                        columns.append(heading)
        missing = (f"{MISSING} {', '.join(columns)}: {why}" for why, columns in reasons.items())
        return (*missing, *self.remarks)

    def to_markdown(self) -> str:
        """Return a pipe table, padded to read well as plain text, with the `notes` below it."""
        cells = [[_markdown_cell(cell) for cell in row] for row in (self.headings, *self.rows)]
        widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(self.headings))]
        left = self._text_columns()

        def line(row: Sequence[str]) -> str:
            padded = (cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(row))
            return "| " + " | ".join(padded) + " |\n"

        rule = "".join("|" + "-" * (w + 2) if i in left else "|" + "-" * (w + 1) + ":" for i, w in enumerate(widths))
        notes = "".join(f"\n{_markdown(note)}\n" for note in self.notes)
        return line(cells[0]) + rule + "|\n" + "".join(map(line, cells[1:])) + notes

    def to_csv(self) -> str:
        """Return comma-separated values for programs.

        Figures have six decimals and their unit is in the heading. Bounds of intervals have columns of their own. A
        missing figure is an empty field.
        """
        indexes = range(len(self.headings))
        columns = [[cell for row in self.rows if isinstance(cell := row[i], Cell)] for i in indexes]
        with_interval = [any(cell.low is not None for cell in cells) for cells in columns]
        headings: list[str] = []
        for heading, cells, interval in zip(self.headings, columns, with_interval, strict=True):
            unit = " (%)" if any(cell.suffix == "%" for cell in cells) else ""
            headings += [heading + unit, *([f"{heading} low{unit}", f"{heading} high{unit}"] if interval else [])]
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(headings)
        for row in self.rows:
            fields: list[Any] = []
            for cell, interval in zip(row, with_interval, strict=True):
                values = (cell.value, cell.low, cell.high) if isinstance(cell, Cell) else (cell, None, None)
                fields += [_plain(value) for value in (values if interval else values[:1])]
            writer.writerow(fields)
        return stream.getvalue()

    def to_latex(self) -> str:
        """Return a booktabs tabular, with the `notes` as comments."""
        left = self._text_columns()
        columns = "".join("l" if i in left else "r" for i in range(len(self.headings)))
        lines = [" & ".join(map(_latex_cell, row)) + r" \\" for row in (self.headings, *self.rows)]
        rows = ["\\toprule", lines[0], "\\midrule", *lines[1:], "\\bottomrule"]
        notes = "".join(f"% {' '.join(note.split())}\n" for note in self.notes)
        return f"{notes}\\begin{{tabular}}{{{columns}}}\n" + "\n".join(rows) + "\n\\end{tabular}\n"

    def to_html(self, *, css_class: str = "figures", row_attributes: Sequence[str] = ()) -> str:
        """Return a table element with all texts escaped.

        Args:
            css_class: class of the table.
            row_attributes: markup for the ``tr`` of each row, not escaped.
        """
        left = self._text_columns()
        kinds = ['class="text"' if i in left else 'class="number"' for i in range(len(self.headings))]
        head = "".join(
            f'<th scope="col" {kind}>{html.escape(cell)}</th>' for kind, cell in zip(kinds, self.headings, strict=True)
        )
        rows = []
        for i, (first, *rest) in enumerate(self.rows):
            attributes = f" {row_attributes[i]}" if i < len(row_attributes) else ""
            cells = "".join(_html(cell, kind) for cell, kind in zip(rest, kinds[1:], strict=True))
            rows.append(f'<tr{attributes}><th scope="row">{html.escape(str(first))}</th>{cells}</tr>')
        head, body = f"<thead><tr>{head}</tr></thead>", "<tbody>" + "\n".join(rows) + "</tbody>"
        return f'<table class="{html.escape(css_class)}">{head}{body}</table>'

    def _text_columns(self) -> set[int]:
        """Return the indexes of left-aligned columns: the first, and those with words."""
        words = {i for row in self.rows for i, cell in enumerate(row) if isinstance(cell, str) and _has_words(cell)}
        return {0} | words


def _has_words(text: str) -> bool:
    return any(map(str.isalpha, re.sub(r"\de[+-]?\d", "", text)))  # 3e-05 is not a word


def _plain(value: float | str | None) -> str | float:
    if value is None or isinstance(value, str):
        return value or ""
    return float(f"{value:.6f}")


def markdown_text(text: str) -> str:
    """Return text on one line that Markdown shows as it is, wherever it stands in a page."""
    escaped = re.sub(r"[\\`*_\[\]>#|]", r"\\\g<0>", " ".join(text.split()))
    return _markdown_entities(escaped)


def _markdown(text: str) -> str:
    """Return text on one line for a table's cell.

    Tables are also read as plain text: what a cell leaves alone, such as ``#`` or the underscore of snake_case, is not
    escaped.
    """
    text = re.sub(r"[\\|*`]|(?<![^\W_])_|_(?![^\W_])|\](?=\()", r"\\\g<0>", text)
    return _markdown_entities(" ".join(text.split()))


def _markdown_cell(cell: str | Cell) -> str:
    return f"**{_markdown(cell)}**" if isinstance(cell, Strong) else _markdown(str(cell))


def _markdown_entities(text: str) -> str:
    """Escape what would begin an entity or a tag. ``<`` before a space or a digit begins none, and stays readable."""
    return re.sub(r"<(?![\s\d])", "&lt;", re.sub(r"&(?=#?\w+;)", "&amp;", text))


# Characters special to LaTeX. A bracket after `\\` would start an optional argument. OT1 prints other characters for
# the angle brackets and the bar.
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "±": r"$\pm$",
    "–": "--",
    "…": r"\ldots{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def _latex_cell(cell: str | Cell) -> str:
    return f"\\textbf{{{_latex(cell)}}}" if isinstance(cell, Strong) else _latex(str(cell))


def _html(cell: str | Cell, kind: str) -> str:
    if isinstance(cell, Strong):
        return f"<td {kind}><strong>{html.escape(cell)}</strong></td>"
    if not isinstance(cell, Cell):
        return f"<td {kind}>{html.escape(cell)}</td>"
    if cell.value is None:
        return f'<td {kind} title="{html.escape(cell.why)}"><span class="missing">{MISSING}</span></td>'
    margin = f' <span class="margin">{cell.margin}</span>' if cell.margin else ""
    title = f' title="95% interval {cell.bounds}"' if cell.bounds else ""
    return f'<td {kind} data-value="{cell.value:.9g}"{title}>{html.escape(cell.figure)}{margin}</td>'
