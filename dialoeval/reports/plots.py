"""Plots as inline SVG: small, without a library, coloured by the page's own variables.

A run has the same colour everywhere: class ``k0`` .. ``k9`` by its position.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from markupsafe import Markup

from dialoeval.metrics.figures import FIGURES, Figure
from dialoeval.metrics.score_tables import columns, score_cell
from dialoeval.runs.reader import LoadedRun
from dialoeval.runs.records import RunSettings, flat
from dialoeval.tables import Cell

COLOURS = 10
SETTING_FIGURES = ("nist4", "bleu4", "meteor", "entropy4", "distinct2", "avg_len")
LONGEST = 40  # words; longer replies are counted in the last bar
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 34


@dataclass(frozen=True)
class Plot:
    """A figure of the page: its title, a remark below it, and its markup."""

    title: str
    note: str
    svg: Markup
    wide: bool = False


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


@dataclass(frozen=True)
class _Point:
    """A run's figure in a plot of a decoding setting.

    Attributes:
        position: of the setting's value among all values.
        run: its position among the runs.
        cell: the figure, with its interval.
        value: the figure.
    """

    position: int
    run: int
    cell: Cell
    value: float


def colour(run: int) -> str:
    """Return the class that gives a run its colour."""
    return f"k{run % COLOURS}"


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Return at most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`."""
    span = high - low
    if not span > 0:
        return [low]
    step = 10 ** math.floor(math.log10(span / most))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


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


def setting_plots(names: Sequence[str], runs: Sequence[LoadedRun]) -> list[Plot]:
    """Plot figures against every numeric decoding setting that varies among runs that are otherwise the same.

    Runs that differ in that setting alone are joined by a line; its values stand at equal distances.
    """
    plots = []
    for setting, lines in _series(runs).items():
        values = sorted({x for line in lines for x, _ in line})
        for name in SETTING_FIGURES:
            figure = FIGURES[name]
            drawn = [_points(line, values, runs, figure) for line in lines]
            if any(drawn):
                svg = _setting_panel(drawn, [f"{v:g}" for v in values], setting, figure, names)
                plots.append(Plot(f"{figure.heading} by {setting.replace('_', ' ')}", "", svg))
    return plots


def _points(
    line: Sequence[tuple[float, int]], values: Sequence[float], runs: Sequence[LoadedRun], figure: Figure
) -> list[_Point]:
    """Return the points of a line of (value of the setting, run) at which the figure has a value."""
    cells = [(values.index(x), i, score_cell(runs[i].scores, figure)) for x, i in line]
    return [_Point(position, i, cell, cell.value) for position, i, cell in cells if cell.value is not None]


def _series(runs: Sequence[LoadedRun]) -> dict[str, list[list[tuple[float, int]]]]:
    """Return {setting: lines of (value, run)}; a line's runs differ in nothing else that decides replies."""
    names = dict.fromkeys(name for run in runs for name, value in run.settings.decoding.items() if _is_number(value))
    series = {}
    for name in names:
        groups: dict[str, dict[float, int]] = {}
        for i, run in enumerate(runs):
            value = run.settings.decoding.get(name)
            if _is_number(value):
                groups.setdefault(_others(run.settings, name), {})[float(value)] = i
        lines = [sorted(group.items()) for group in groups.values() if len(group) > 1]
        if lines:
            series[name] = lines
    return series


def _others(settings: RunSettings, name: str) -> str:
    """Return a key of everything that decides replies and figures, but one decoding setting."""
    decoding = {key: value for key, value in settings.decoding.items() if key not in (name, "name")}
    sections = {
        "decoding": decoding,
        "model": settings.model,
        "dataset": settings.dataset,
        "protocol": settings.protocol,
    }
    return repr((sorted(flat(sections).items(), key=str), settings.seed))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _setting_panel(
    lines: Sequence[Sequence[_Point]], labels: Sequence[str], setting: str, figure: Figure, names: Sequence[str]
) -> Markup:
    width, height = 300, 190
    to_y, grid = _vertical(_extent([point.cell for line in lines for point in line]), figure, width, height)
    step = (width - LEFT - RIGHT) / len(labels)

    def to_x(position: int) -> float:
        return LEFT + (position + 0.5) * step

    marks = [grid]
    for position, label in enumerate(labels):
        marks.append(svg_text(to_x(position), height - BOTTOM + 16, label, "middle"))
    for line in lines:
        key = colour(line[0].run) if line else ""
        points = " ".join(f"{to_x(point.position):.1f},{to_y(point.value):.1f}" for point in line)
        marks.append(f'<polyline class="curve {key}" points="{points}"/>')
        for point in line:
            x, cell = to_x(point.position), point.cell
            if cell.low is not None and cell.high is not None:
                ends = f'y1="{to_y(cell.low):.1f}" y2="{to_y(cell.high):.1f}"'
                marks.append(f'<line class="whisker {key}" x1="{x:.1f}" x2="{x:.1f}" {ends}/>')
            title = f"{names[point.run]}: {cell.figure} {cell.margin}"
            marks.append(dot(x, to_y(point.value), key, title))
    marks.append(svg_text((LEFT + width - RIGHT) / 2, height - 4, setting.replace("_", " "), "middle", "axis"))
    return frame("".join(marks), width, height, f"{figure.heading} by {setting}")


def interval_strips(runs: Sequence[LoadedRun]) -> list[Strips]:
    """Return a column for each figure of the scores table that a run has, with the 95% interval of each run."""
    strips = []
    for figure in columns(run.scores for run in runs):
        cells = [score_cell(run.scores, figure) for run in runs]
        low, high = _extent([cell for cell in cells if cell.value is not None])
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
    to_y, grid = _vertical(_extent([y for _, _, y in points]), up, width, height)
    to_x, scale = _horizontal(_extent([x for _, x, _ in points]), across, width, height)
    marks, labels = [grid, scale], []
    for i, x, y in points:
        px, py, key = to_x(x.value or 0.0), to_y(y.value or 0.0), colour(i)
        if x.low is not None and x.high is not None:
            ends = f'x1="{to_x(x.low):.1f}" x2="{to_x(x.high):.1f}"'
            marks.append(f'<line class="whisker thin {key}" {ends} y1="{py:.1f}" y2="{py:.1f}"/>')
        if y.low is not None and y.high is not None:
            ends = f'y1="{to_y(y.low):.1f}" y2="{to_y(y.high):.1f}"'
            marks.append(f'<line class="whisker thin {key}" x1="{px:.1f}" x2="{px:.1f}" {ends}/>')
        marks.append(dot(px, py, key, f"{names[i]}: NIST-4 {x}, Dist-2 {y}"))
        labels.append((px, py, names[i]))
    marks += _apart(labels, width)
    marks.append(svg_text((LEFT + width - RIGHT) / 2, height - 4, "NIST-4", "middle", "axis"))
    svg = frame("".join(marks), width, height, "Dist-2 against NIST-4")
    return Plot("Relevance and diversity", "Dist-2 (upwards) against NIST-4, with 95% intervals.", svg, wide=True)


def _apart(labels: Sequence[tuple[float, float, str]], width: int) -> list[str]:
    """Return labels beside their points, pushed down if they would overlap; none if there are too many to read."""
    if len(labels) > 12:
        return []
    placed: list[tuple[float, float, float]] = []  # (left, right, baseline) of the labels before
    marks = []
    for x, y, name in sorted(labels, key=lambda label: label[1]):
        text = shortened(name, 28)
        length = 5.6 * len(text)
        left = x + 8 if x + 8 + length < width else x - 8 - length
        base = y - 7
        while any(left < r and l < left + length and abs(base - b) < 12 for l, r, b in placed):  # noqa: E741
            base += 2
        placed.append((left, left + length, base))
        marks.append(svg_text(left, base, text, "start"))
    return marks


def length_plot(names: Sequence[str], runs: Sequence[LoadedRun]) -> Plot:
    """Plot a histogram of reply lengths for each run, before the lengths of the first run's references in grey."""
    human = _shares([len(text.split()) for texts in runs[0].references for text in texts])
    shares = [_shares([len(reply.split()) for reply in run.hypotheses]) for run in runs]
    width, row = 460, 46
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
                    x, tall = RIGHT + words * bar + inset, value / top * (row - 18)
                    size = f'width="{max(0.8, bar - 2 * inset):.2f}" height="{tall:.2f}"'
                    marks.append(f'<rect class="{css}" x="{x:.2f}" y="{floor - tall:.2f}" {size}/>')
        marks.append(f'<line class="grid" x1="{RIGHT}" x2="{width - RIGHT}" y1="{floor}" y2="{floor}"/>')
        mean = sum(len(reply.split()) for reply in runs[i].hypotheses) / max(1, len(runs[i].hypotheses))
        marks.append(svg_text(width - RIGHT, floor - row + 26, f"{shortened(name, 40)}  mean {mean:.1f}", "end"))
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


def shortened(name: str, most: int) -> str:
    """Return the name, without its middle if it is longer than `most`: runs differ in the end."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}"


def _extent(cells: Sequence[Cell]) -> tuple[float, float]:
    """Return what an axis must show: all figures and their intervals, and some room around them."""
    lows = [cell.value if cell.low is None else min(cell.low, cell.value) for cell in cells if cell.value is not None]
    highs = [
        cell.value if cell.high is None else max(cell.high, cell.value) for cell in cells if cell.value is not None
    ]
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    return low - room, high + room


def _vertical(
    extent: tuple[float, float], figure: Figure, width: int, height: int
) -> tuple[Callable[[float], float], str]:
    low, high = extent

    def to_y(value: float) -> float:
        return height - BOTTOM - (value - low) / (high - low) * (height - TOP - BOTTOM)

    marks = [
        svg_text(LEFT - 8, to_y(t) + 4, f"{t:g}{figure.unit_suffix}", "end") + _grid(to_y(t), width)
        for t in ticks(low, high)
    ]
    return to_y, "".join(marks)


def _grid(y: float, width: int) -> str:
    return f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _horizontal(
    extent: tuple[float, float], figure: Figure, width: int, height: int
) -> tuple[Callable[[float], float], str]:
    low, high = extent

    def to_x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (width - LEFT - RIGHT)

    marks = [
        svg_text(to_x(t), height - BOTTOM + 16, f"{t:g}{figure.unit_suffix}", "middle") for t in ticks(low, high, 6)
    ]
    return to_x, "".join(marks)


def dot(x: float, y: float, key: str, title: str) -> str:
    """Return the mark of a figure at (x, y); `title` is shown where the pointer rests."""
    inside = f"<title>{html.escape(title)}</title>" if title else ""
    return f'<circle class="dot {key}" cx="{x:.1f}" cy="{y:.1f}" r="3.6">{inside}</circle>'


def svg_text(x: float, y: float, text: str, anchor: str, css: str = "") -> str:
    """Return escaped text at (x, y), anchored at its "start", "middle" or "end"."""
    attributes = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>{html.escape(text)}</text>'


def frame(content: str, width: int, height: int, label: str) -> Markup:
    """Return the picture of marks, which screen readers name by the label."""
    # every piece of text in `content` was escaped when it was put in
    size = f'viewBox="0 0 {width} {height}" style="max-width:{width * 1.25:g}px"'
    return Markup(f'<svg {size} role="img" aria-label="{html.escape(label)}">{content}</svg>')
