"""Plots of runs as inline SVG: small, without a library, coloured by the page's own variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dialoeval.metrics.figures import FIGURES, Figure
from dialoeval.metrics.score_tables import columns, score_cell
from dialoeval.reports.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Box,
    Plot,
    colour,
    dot,
    frame,
    line,
    placed,
    shortened,
    svg_text,
    ticks,
)
from dialoeval.runs.reader import LoadedRun
from dialoeval.tables import Cell

MOST_LABELS = 12  # of runs; more have no labels at their points, but the key of colours and shapes
LONGEST = 40  # words; longer replies are counted in the last bar


@dataclass(frozen=True)
class Strips:
    """A column of intervals.

    Attributes:
        heading: of the figure.
        ends: of its scale.
        strips: the interval of each run on it.
    """

    heading: str
    ends: tuple[str, str]
    strips: list[Markup]


_STANDALONE = (
    "svg{font:11px system-ui,sans-serif;background:#fff}text{fill:#555}.grid{stroke:#ccc}.human{fill:#ddd}"
    ".k0{fill:#2a6db0;stroke:#2a6db0}"
)


def pictures(run: LoadedRun) -> dict[str, str]:
    """Return {name: a complete SVG file} of one run's plots, for other programs to show."""
    names = [run.settings.name]
    plots = {"reply_length": length_plot(names, [run]), "diversity": diversity_scatter(names, [run])}
    head, style = '<svg xmlns="http://www.w3.org/2000/svg" ', f"<style>{_STANDALONE}</style>"
    return {
        name: re.sub("^<svg ([^>]*)>", lambda found: f"{head}{found[1]}>{style}", str(plot.svg))
        for name, plot in plots.items()
        if plot
    }


def interval_strips(runs: Sequence[LoadedRun]) -> list[Strips]:
    """Return a column for each figure of the scores table that a run has, with the 95% interval of each run."""
    strips = []
    for figure in columns(run.scores for run in runs):
        cells = [score_cell(run.scores, figure) for run in runs]
        low, high = extent([cell for cell in cells if cell.value is not None])
        low = max(low, figure.range[0])
        if any(cell.value is not None for cell in cells):
            ends = (f"{low:.3g}", f"{high:.3g}")
            column = [_strip(cell, low, high, colour(i)) for i, cell in enumerate(cells)]
            strips.append(Strips(figure.heading, ends, column))
    return strips


def _strip(cell: Cell, low: float, high: float, key: str) -> Markup:
    width, height = 96, 22

    def to_x(value: float) -> float:
        return 6 + (value - low) / ((high - low) or 1) * (width - 12)

    marks = [f'<line class="grid" x1="0" x2="{width}" y1="{height / 2}" y2="{height / 2}"/>']
    if cell.value is None:
        return frame("".join(marks), width, height, f"missing: {cell.why}")
    if cell.low is not None and cell.high is not None:
        ends = f'x1="{to_x(cell.low):.1f}" x2="{to_x(cell.high):.1f}"'
        marks.append(f'<line class="whisker {key}" {ends} y1="{height / 2}" y2="{height / 2}"/>')
    marks.append(dot(to_x(cell.value), height / 2, key, ""))
    label = cell.figure + (f", 95% interval {cell.bounds}" if cell.bounds else "")
    return frame("".join(marks), width, height, label)


def diversity_scatter(names: Sequence[str], runs: Sequence[LoadedRun]) -> Plot | None:
    """Plot relevance (NIST-4) against diversity (Dist-2), with both intervals: what decoding trades.

    Returns:
        None if no run has both figures.
    """
    across, up = FIGURES["nist4"], FIGURES["distinct2"]
    cells = [(i, score_cell(run.scores, across), score_cell(run.scores, up)) for i, run in enumerate(runs)]
    points = [(i, x, y) for i, x, y in cells if x.value is not None and y.value is not None]
    if not points:
        return None
    width, height = 460, 300
    to_y, grid = vertical(extent([y for _, _, y in points]), up, width, height)
    to_x, scale = horizontal(extent([x for _, x, _ in points]), across, width, height)
    marks, labels, avoided = [grid, scale], [], []
    for i, x, y in points:
        px, py, key = to_x(x.value or 0.0), to_y(y.value or 0.0), colour(i)
        if x.low is not None and x.high is not None:
            marks.append(line(to_x(x.low), py, to_x(x.high), py, f"whisker thin {key}"))
            avoided.append(Box(to_x(x.low), py - 1, to_x(x.high), py + 1))
        if y.low is not None and y.high is not None:
            marks.append(line(px, to_y(y.low), px, to_y(y.high), f"whisker thin {key}"))
            avoided.append(Box(px - 1, to_y(y.high), px + 1, to_y(y.low)))
        marks.append(dot(px, py, key, f"{names[i]}: NIST-4 {x}, Dist-2 {y}"))
        labels.append((px, py, shortened(names[i], 28)))
    if len(points) <= MOST_LABELS:
        room = Box(LEFT, 0, width, height - BOTTOM)
        for place, (_, _, label) in zip(placed(labels, room, avoided), labels, strict=True):
            if place is not None:
                marks.append(svg_text(*place, label, "start"))
    marks.append(svg_text((LEFT + width - RIGHT) / 2, height - 4, "NIST-4", "middle", "axis"))
    svg = frame("".join(marks), width, height, "Dist-2 against NIST-4")
    note = "Dist-2 (upwards) against NIST-4, with 95% intervals."
    if len(points) > MOST_LABELS:
        note += " Colours and shapes are those of the tables."
    return Plot("Relevance and diversity", note, svg, wide=True)


def length_plot(names: Sequence[str], runs: Sequence[LoadedRun]) -> Plot:
    """Plot a histogram of reply lengths for each run, before the lengths of the first run's references in grey."""
    human = _shares([len(text.split()) for texts in runs[0].references for text in texts])
    lengths = [[len(reply.split()) for reply in run.hypotheses] for run in runs]
    shares = [_shares(words) for words in lengths]
    width, row, lane = 460, 54, 20  # a row's label has a lane of its own above the bars
    height = TOP + len(runs) * row + BOTTOM
    top = max([*human, *(share for one in shares for share in one)], default=0) or 1
    bar = (width - 2 * RIGHT) / (LONGEST + 1)
    marks = []
    for i, (name, share) in enumerate(zip(names, shares, strict=True)):
        floor = TOP + (i + 1) * row
        bars = [(human, "human", 0.0), (share, f"bar {colour(i)}", bar * 0.22)]
        for values, css, inset in bars:
            for words, value in enumerate(values):
                if value > 0:
                    x, tall = RIGHT + words * bar + inset, value / top * (row - lane)
                    size = f'width="{max(0.8, bar - 2 * inset):.2f}" height="{tall:.2f}"'
                    marks.append(f'<rect class="{css}" x="{x:.2f}" y="{floor - tall:.2f}" {size}/>')
        marks.append(line(RIGHT, floor, width - RIGHT, floor, "grid"))
        mean = sum(lengths[i]) / max(1, len(lengths[i]))
        marks.append(dot(RIGHT + 4, floor - row + 12, colour(i), ""))
        marks.append(svg_text(RIGHT + 14, floor - row + 16, shortened(name, 46), "start"))
        marks.append(svg_text(width - RIGHT, floor - row + 16, f"mean {mean:.1f}", "end"))
    for words in range(0, LONGEST + 1, 10):
        label = f"{words}+" if words == LONGEST else str(words)
        marks.append(svg_text(RIGHT + (words + 0.5) * bar, height - BOTTOM + 16, label, "middle"))
    marks.append(svg_text(width / 2, height - 4, "words in a reply", "middle", "axis"))
    note = "Share of replies by length; the references' in grey." if any(human) else "Share of replies by length."
    return Plot("Reply length", note, frame("".join(marks), width, height, "histograms of reply lengths"), wide=True)


def _shares(lengths: Sequence[int]) -> list[float]:
    counts = [0] * (LONGEST + 1)
    for length in lengths:
        counts[min(length, LONGEST)] += 1
    return [count / max(1, len(lengths)) for count in counts]


def extent(cells: Sequence[Cell]) -> tuple[float, float]:
    """Return what an axis must show: all figures and their intervals, and some room around them."""
    lows = [cell.value if cell.low is None else min(cell.low, cell.value) for cell in cells if cell.value is not None]
    highs = [
        cell.value if cell.high is None else max(cell.high, cell.value) for cell in cells if cell.value is not None
    ]
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    return low - room, high + room


def vertical(
    ends: tuple[float, float], figure: Figure, width: int, height: int
) -> tuple[Callable[[float], float], str]:
    """Return the function from a figure's value to its y, and the marks of the axis."""
    low, high = ends

    def to_y(value: float) -> float:
        return height - BOTTOM - (value - low) / (high - low) * (height - TOP - BOTTOM)

    marks = [
        svg_text(LEFT - 8, to_y(t) + 4, f"{t:g}{figure.unit_suffix}", "end")
        + line(LEFT, to_y(t), width - RIGHT, to_y(t), "grid")
        for t in ticks(low, high)
    ]
    return to_y, "".join(marks)


def horizontal(
    ends: tuple[float, float], figure: Figure, width: int, height: int
) -> tuple[Callable[[float], float], str]:
    """Return the function from a figure's value to its x, and the marks of the axis."""
    low, high = ends

    def to_x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (width - LEFT - RIGHT)

    marks = [
        svg_text(to_x(t), height - BOTTOM + 16, f"{t:g}{figure.unit_suffix}", "middle") for t in ticks(low, high, 6)
    ]
    return to_x, "".join(marks)
