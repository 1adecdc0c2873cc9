"""Forest plots of differences: each with its 95% interval, those told apart from chance set off from the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dialoeval.metrics.registry import figure
from dialoeval.reports.compare import Comparison
from dialoeval.reports.compare_text import LEVEL, p_text
from dialoeval.reports.svg import TOP, Plot, colour, dot, frame, line, shortened, svg_text, text_width, ticks

WIDTH, ROW, FOOT = 640, 24, 34
_GAP = 22  # between the rows told apart and the others, with a heading
_REAL, _OTHER = "Told apart from chance", "Not told apart from chance"
_FURTHEST = 2.5  # an axis ends at this many times the largest difference; longer intervals end in an arrow


@dataclass(frozen=True)
class Row:
    """A line of the plot.

    Attributes:
        label: what is compared.
        value: the difference, in the axis' unit.
        low: lower bound of its 95% interval.
        high: upper bound.
        printed: the difference with its p-value, beside the line.
        real: it is told apart from chance.
        key: classes of its colour and shape.
    """

    label: str
    value: float
    low: float
    high: float
    printed: str
    real: bool
    key: str


def comparison_forest(c: Comparison) -> Plot | None:
    """Return the differences of two runs in all figures, in percent of A's figure, which gives them one axis.

    Returns:
        None if no figure of A is above 0.
    """
    rows, left_out = [], []
    for name, result in c.bootstrap.items():
        column = figure(name)
        if result.a <= 0 or result.low is None or result.high is None:
            left_out.append(column.heading)
            continue
        label = f"{column.heading} ↓" if column.higher_is_better is False else column.heading
        rows.append(_difference(c, name, label, 100 / result.a, "k1 s0"))
    note = "B - A in percent of A, with its 95% interval; beside it B - A as in the table, and its adjusted p."
    if left_out:
        note += f" In the table alone, since A is not above 0: {', '.join(left_out)}."
    return forest("Differences", note, rows, "%") if rows else None


def figure_forests(comparisons: Sequence[Comparison]) -> list[Plot]:
    """Return a plot for each figure: its difference of every run from one baseline, in its own unit.

    Returns:
        An empty list unless several runs are compared with the same one, and only with it.
    """
    if len(comparisons) < 2 or len({c.names[0] for c in comparisons}) > 1:
        return []
    plots = []
    for name in comparisons[0].bootstrap:
        column = figure(name)
        scale = 100.0 if column.percent else 1.0
        rows = [
            _difference(c, name, c.names[1], scale, colour(i))
            for i, c in enumerate(comparisons, 1)
            if name in c.bootstrap and c.bootstrap[name].low is not None
        ]
        points = "in percentage points, " if column.percent else ""
        note = f"Difference from {comparisons[0].names[0]}, {points}with its 95% interval and adjusted p."
        plots.append(forest(column.heading, note, rows, ""))
    return plots


def _difference(c: Comparison, name: str, label: str, scale: float, key: str) -> Row:
    """Return the row of a figure of a comparison, its difference times `scale` on the axis."""
    result, column, p = c.bootstrap[name], figure(name), p_text(c.adjusted[name])
    assert result.low is not None and result.high is not None
    value, low, high = (scale * edge for edge in (result.difference, result.low, result.high))
    printed = column.cell(result.difference, signed=True).figure
    said = f"{printed}, p {p if p.startswith('<') else '= ' + p}"
    return Row(label, value, low, high, said, c.adjusted[name] <= LEVEL, key)


def forest(title: str, note: str, rows: Sequence[Row], unit: str) -> Plot:
    """Return a forest plot. Rows told apart from chance stand first, with filled marks.

    Args:
        title: of the plot.
        note: a remark below the title.
        rows: its lines.
        unit: of the axis, after its numbers.
    """
    real, other = [row for row in rows if row.real], [row for row in rows if not row.real]
    names = max(text_width(text) for text in (_OTHER, *(shortened(row.label, 34) for row in rows))) + 12
    printed = max(text_width(row.printed) for row in rows) + 12
    low, high = _ends(rows)

    def to_x(value: float) -> float:
        inside = min(max(value, low), high)
        return names + (inside - low) / (high - low) * (WIDTH - names - printed)

    marks, y = [], float(TOP)
    for heading, group in ((_REAL, real), (_OTHER, other)):
        if not group:
            continue
        marks.append(svg_text(0, y + 10, heading, "start", "axis"))
        y += _GAP
        for row in group:
            marks += _row(row, y + ROW / 2, to_x, (low, high))
            y += ROW
        y += 8
    grid = [line(to_x(0), TOP + _GAP, to_x(0), y, "zero")]
    for tick in ticks(low, high, 6):
        grid.append(line(to_x(tick), y, to_x(tick), y + 4, "grid"))
        grid.append(svg_text(to_x(tick), y + 16, f"{tick:+g}{unit}" if tick else f"0{unit}", "middle"))
    height = round(y + FOOT - 8)
    return Plot(title, note, frame("".join([*grid, *marks]), WIDTH, height, f"{title}: forest plot"), wide=True)


def _row(row: Row, y: float, to_x: Callable[[float], float], ends: tuple[float, float]) -> list[str]:
    state = "" if row.real else " chance"
    marks = [line(to_x(row.low), y, to_x(row.high), y, f"whisker {row.key}{state}")]
    for value, beyond, sign in ((row.low, row.low < ends[0], -1), (row.high, row.high > ends[1], 1)):
        if beyond:
            x = to_x(value)
            points = f"{x + 5 * sign:.1f},{y:.1f} {x:.1f},{y - 4:.1f} {x:.1f},{y + 4:.1f}"
            marks.append(f'<polygon class="bar {row.key}{state}" points="{points}"/>')
    css = "dot" if row.real else "dot hollow"
    marks.append(dot(to_x(row.value), y, row.key, f"{row.label}: {row.printed}", css, 4.2))
    text = "real" if row.real else ""
    marks.append(svg_text(0, y + 4, shortened(row.label, 34), "start", text))
    marks.append(svg_text(WIDTH, y + 4, row.printed, "end", text))
    return marks


def _ends(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the ends of the axis: all differences, and their intervals unless these are far longer."""
    furthest = _FURTHEST * max(abs(row.value) for row in rows) or max(row.high - row.low for row in rows) or 1.0
    low = max(min(0.0, *(row.low for row in rows)), -furthest)
    high = min(max(0.0, *(row.high for row in rows)), furthest)
    low, high = min(low, *(row.value for row in rows)), max(high, *(row.value for row in rows))
    room = (high - low) * 0.04 or 0.5
    return low - room, high + room
