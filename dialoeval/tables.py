"""Tables of figures and text, as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dialoeval import latex

MISSING = "–"


class Strong(str):
    """Text of a cell in bold."""


class Heading(str):
    """Text of a heading, with what programs and LaTeX need to know of the column.

    Attributes:
        name: of the column for programs, as in JSON; empty: made of the text.
        higher_is_better: whether the highest figure of the column is the best; None: no figure is.
    """

    name: str
    higher_is_better: bool | None

    def __new__(cls, text: str, name: str = "", higher_is_better: bool | None = None) -> Heading:
        """Make a heading: see the class."""
        heading = super().__new__(cls, text)
        heading.name, heading.higher_is_better = name, higher_is_better
        return heading


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
        factor: of the printed value to that in JSON: 100 for the percentage of a fraction.
        spread: standard deviation over several runs, of which the value is the mean, or None.
    """

    value: float | None
    decimals: int = 2
    suffix: str = ""
    low: float | None = None
    high: float | None = None
    why: str = ""
    signed: bool = False
    factor: float = 1
    spread: float | None = None

    @property
    def figure(self) -> str:
        """The figure as printed, without its interval."""
        if self.value is None:
            return MISSING
        return f"{self.value:{'+' if self.signed else ''}z.{self.decimals}f}{self.suffix}"

    @property
    def unit(self) -> str:
        """The unit of the value, which differences have too although they print none."""
        return self.suffix or ("%" if self.factor == 100 else "")

    @property
    def margin(self) -> str:
        """``±`` and half the width of the interval, or ``[low, high]`` if it is skewed; ``(sd 0.12)`` of a mean."""
        if self.value is not None and self.spread is not None:
            return f"(sd {self.spread:.{self.decimals}f})"
        up, down = self.distances
        return f"[{self.low:.{self.decimals}f}, {self.high:.{self.decimals}f}]" if down else up.replace("+", "±")

    @property
    def distances(self) -> tuple[str, str]:
        """Signed distances from the value to the upper and the lower bound of its interval, as printed.

        The first is half the width of the interval and the second is empty, unless it is skewed: its bounds are not
        equally far from the value, by more than a quarter of half its width, and more than rounding hides. Both are
        empty without an interval.
        """
        if self.value is None or self.low is None or self.high is None:
            return "", ""
        up, down = self.high - self.value, self.low - self.value
        if abs(up + down) > max((self.high - self.low) / 8, 10**-self.decimals):
            return f"{up:+z.{self.decimals}f}", f"{down:+z.{self.decimals}f}"
        return f"{(self.high - self.low) / 2:+.{self.decimals}f}", ""

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
        headings: of the columns; a `Heading` has a name for programs.
        rows: as many cells each.
        remarks: sentences about the table, printed among the `notes`.
        caption: what the table shows, for LaTeX; empty: the table is no float.
        unranked: indexes of rows that are never the best, such as the human reply.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    remarks: tuple[str, ...] = ()
    caption: str = ""
    unranked: tuple[int, ...] = ()

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

        Columns have the names of JSON (`column_names`), and figures the unit of JSON: a percentage of a fraction is a
        fraction. Bounds of intervals have columns of their own, ``bleu4_low`` and ``bleu4_high``; standard deviations
        over runs too, ``bleu4_sd``. A missing figure is an empty field.
        """
        parts: list[tuple[int, str]] = []  # column, and what of its cells
        headings: list[str] = []
        for i, name in enumerate(self.column_names()):
            cells = [cell for row in self.rows if isinstance(cell := row[i], Cell)]
            shown = [part for part in ("low", "high", "spread") if any(getattr(c, part) is not None for c in cells)]
            parts += [(i, part) for part in ("value", *shown)]
            headings += [name, *(f"{name}_{'sd' if part == 'spread' else part}" for part in shown)]
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(headings)
        writer.writerows([_field(row[i], part) for i, part in parts] for row in self.rows)
        return stream.getvalue()

    def column_names(self) -> list[str]:
        """Return a name a column for programs: that of its `Heading`, or its text in snake_case; no two are equal."""
        names: list[str] = []
        for heading in self.headings:
            words = re.sub(r"\W+", "_", heading.lower().replace("%", " percent ")).strip("_")
            name = heading.name if isinstance(heading, Heading) and heading.name else words or "column"
            twins = sum(re.fullmatch(rf"{re.escape(name)}(_\d+)?", other) is not None for other in names)
            names.append(f"{name}_{twins + 1}" if name in names else name)
        return names

    def to_latex(self, label: str = "tab:scores") -> str:
        r"""Return a booktabs tabular, with the `notes` as comments; a float with `label` if it has a caption.

        A unit is in the heading, not in the cells. ``BLEU-2`` and ``BLEU-4`` are ``2`` and ``4`` below ``BLEU (\%)``.
        The best figures of a column are bold. Intervals are in small type below the figures.
        """
        columns, rows = self._latex_parts()
        notes = "".join(f"% {' '.join(note.split())}\n" for note in self.notes)
        if not self.caption:
            return notes + latex.tabular(columns, rows)
        return notes + latex.floating(columns, rows, self.caption, label)

    def _latex_parts(self) -> tuple[list[latex.Column], list[list[latex.Text]]]:
        """Return headings and cells; where the rows of one column have several units, units stand in the row's name."""
        cells = [[cell for row in self.rows if isinstance(cell := row[i], Cell)] for i in range(len(self.headings))]
        units = [{cell.unit for cell in column if cell.value is not None} for column in cells]
        by_row = any(len(found) > 1 for found in units)
        left, best = self._text_columns(), self.best()
        columns = [
            latex.Column(heading, "" if by_row else "".join(units[i]), i in left)
            for i, heading in enumerate(self.headings)
        ]
        rows = []
        for j, row in enumerate(self.rows):
            suffixes = {cell.unit for cell in row if isinstance(cell, Cell) and cell.unit} if by_row else set()
            texts = [_latex_cell(cell, (j, i) in best) for i, cell in enumerate(row)]
            if suffixes:
                texts[0] = latex.Text(f"{texts[0].text} ({', '.join(sorted(suffixes))})", bold=texts[0].bold)
            rows.append(texts)
        return columns, rows

    def best(self) -> set[tuple[int, int]]:
        """Return (row, column) of the best figures, as printed, of each column that has a best one and two figures."""
        found = set()
        for i, heading in enumerate(self.headings):
            cells = [(j, cell) for j, row in enumerate(self.rows) if isinstance(cell := row[i], Cell)]
            values = {
                j: round(cell.value, cell.decimals)
                for j, cell in cells
                if cell.value is not None and j not in self.unranked
            }
            better = heading.higher_is_better if isinstance(heading, Heading) else None
            if better is None or len(values) < 2:
                continue
            top = max(values.values()) if better else min(values.values())
            found |= {(j, i) for j, value in values.items() if value == top}
        return found

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


def _field(cell: str | Cell, part: str) -> str:
    """Return a field of CSV: nine significant digits hide the rounding of a factor."""
    if not isinstance(cell, Cell):
        return cell if part == "value" else ""
    value = getattr(cell, part)
    return "" if value is None else f"{value / cell.factor:.9g}"


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


def _latex_cell(cell: str | Cell, best: bool) -> latex.Text:
    if isinstance(cell, Cell):
        text = replace(cell, suffix="").figure
        small = cell.margin.strip("()") if cell.spread is not None else ""
        up, down = cell.distances
        return latex.Text(text, up, down, best, figure=True, small=small)
    return latex.Text(cell, bold=isinstance(cell, Strong))


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
