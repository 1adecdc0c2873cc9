r"""Tables of papers: booktabs rows of figures with their units in two-line headings, and the float around them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

PAGE = 345.0  # pt, the text width of an article in 10pt
COLUMN = 240.0  # pt, about the width of a column of two
_NAME = 100.0  # pt, of the first column where the table would be wider than a page
# type, that of intervals, width of Computer Modern in it to that in \small, \tabcolsep in pt
_SIZES = (("small", "scriptsize", 1.0, 3), ("footnotesize", "scriptsize", 0.92, 2.5), ("scriptsize", "tiny", 0.86, 2))
_BOLD = 1.13  # width of bold figures to that of others

# Characters special to LaTeX. A bracket after `\\` would start an optional argument. OT1 prints other characters for
# the angle brackets and the bar.
_SPECIAL = {
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


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: plain text.
        unit: after all its figures, such as ``%``; it stands in the heading.
        left: whether it holds texts, aligned on the left.
    """

    heading: str
    unit: str = ""
    left: bool = False

    @property
    def lines(self) -> tuple[str, str]:
        """The heading in two lines: ``BLEU (%)`` and ``4``, ``Avg`` and ``Len``; a text's in the second."""
        unit = f" ({self.unit})" if self.unit else ""
        if self.left:
            return "", self.heading + unit
        if numbered := re.fullmatch(r"(\D+)-(\d+)", self.heading):
            return numbered[1] + unit, numbered[2]
        words = (self.heading + unit).split()
        splits = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
        return min(splits, key=lambda pair: max(map(len, pair)), default=("", self.heading))


@dataclass(frozen=True)
class Text:
    """A cell.

    Attributes:
        text: plain.
        up: signed distance to the upper bound of the interval, in small type below it; empty without an interval.
        down: to the lower bound; empty: as far as `up`, on the other side.
        bold: whether it is the best.
        figure: whether a hyphen is a minus sign.
        small: text below it where it has no interval.
    """

    text: str
    up: str = ""
    down: str = ""
    bold: bool = False
    figure: bool = False
    small: str = ""

    @property
    def markup(self) -> str:
        """The text as LaTeX."""
        words = escape(self.text)
        words = words.replace("-", "$-$") if self.figure and self.text != "–" else words
        return f"\\textbf{{{words}}}" if self.bold and words else words

    @property
    def below(self) -> str:
        """The interval as LaTeX: ``±0.05``, or both distances where it is skewed; else the small text."""
        if not self.up:
            return escape(self.small)
        return f"$^{{{self.up}}}_{{{self.down}}}$" if self.down else f"$\\pm{self.up.lstrip('+')}$"


def escape(text: str) -> str:
    """Return text on one line that LaTeX shows as it is."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def tabular(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], name_width: float = 0, small: str = "scriptsize"
) -> str:
    """Return a booktabs tabular.

    Args:
        columns: its headings.
        rows: a cell a column.
        name_width: pt of the first column, which wraps; 0: as wide as its texts.
        small: the size of type of intervals.
    """
    ragged = "\\raggedright " if name_width else ""
    kinds = ["l" if column.left else "r" for column in columns]
    if name_width:
        kinds[0] = f"p{{{name_width:.0f}pt}}"
    lines = ["\\toprule", *_head(columns), "\\midrule"]
    for row in rows:
        below = any(cell.below for cell in row)
        lines.append(ragged + " & ".join(cell.markup for cell in row) + (r" \\[-2pt]" if below else r" \\"))
        if below:
            lines.append(" & ".join(f"{{\\{small} {cell.below}}}" if cell.below else "" for cell in row) + r" \\")
    return "\n".join([f"\\begin{{tabular}}{{{''.join(kinds)}}}", *lines, "\\bottomrule", "\\end{tabular}\n"])


def _head(columns: Sequence[Column]) -> list[str]:
    """Return the lines of the headings. Neighbours with one upper line and numbers below it share that line."""
    upper, lower = zip(*(column.lines for column in columns), strict=True)
    last = " & ".join(map(escape, lower)) + r" \\"
    if not any(upper):
        return [last]
    cells, rules, at = [], [], 1
    groups = itertools.groupby(range(len(columns)), key=lambda i: upper[i] if lower[i].isdigit() else i)
    for _, group in groups:
        positions = list(group)
        text, end = escape(upper[positions[0]]), at + len(positions) - 1
        if end > at:
            rules.append(f"\\cmidrule(lr){{{at}-{end}}}")
            text = f"\\multicolumn{{{len(positions)}}}{{c}}{{{text}}}"
        cells.append(text)
        at = end + 1
    return [" & ".join(cells) + r" \\", *([" ".join(rules)] if rules else []), last]


def floating(columns: Sequence[Column], rows: Sequence[Sequence[Text]], caption: str, label: str) -> str:
    r"""Return a table in a float.

    Where it would be wider than an article's page its first column wraps, and the type is smaller; where it still is, a
    comment says so. One that is wider than a column of two spans both (``table*``, which one column ignores).
    """
    name = _width(columns[:1], [row[:1] for row in rows])
    wide = _width(columns, rows)
    wrapped = _NAME if wide + 2 * _SIZES[0][-1] * len(columns) > PAGE and name > _NAME else 0
    sizes = [
        (size, small, sep, factor * (wide - name) + (wrapped or factor * name) + 2 * sep * len(columns))
        for size, small, factor, sep in _SIZES
    ]
    size, small, sep, wide = next((fitting for fitting in sizes if fitting[-1] <= PAGE), sizes[-1])
    kind = "table*" if wide > COLUMN else "table"
    remark = (
        f"% about {wide:.0f} pt wide, and the text of an article is {PAGE:.0f} pt: choose fewer columns (--columns)\n"
        if wide > PAGE
        else ""
    )
    return (
        f"% \\usepackage{{booktabs}}\n{remark}\\begin{{{kind}}}[t]\n\\centering\\{size}\n"
        f"\\setlength{{\\tabcolsep}}{{{sep}pt}}\n\\caption{{{escape(caption)}}}\n"
        f"\\label{{{re.sub(r'[^A-Za-z0-9:._-]+', '-', label)}}}\n"
        f"{tabular(columns, rows, wrapped, small)}\\end{{{kind}}}\n"
    )


def _width(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> float:
    r"""Return about how many pt the columns take in ``\\small`` type, without what separates them."""
    total = 0.0
    for i, column in enumerate(columns):
        upper, lower = column.lines
        share = upper if not lower.isdigit() or sum(c.lines[0] == upper for c in columns) == 1 else ""
        texts = [_points(share), _points(lower)]
        texts += [_points(row[i].text) * (_BOLD if row[i].bold else 1) for row in rows]
        small = [_points(row[i].up or row[i].small) * (0.6 if row[i].down else 0.8) + 4 for row in rows]
        total += max([*texts, *small])
    return total


def _points(text: str) -> float:
    """Return about how many pt a text takes in Computer Modern at 9 pt."""
    return sum(7.0 if c.isupper() else 2.7 if c in ".,;:'|!il[]()" else 4.7 for c in text)
