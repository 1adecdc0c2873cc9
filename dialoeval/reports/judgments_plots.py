"""Pictures of an analysis of judgments: bars of win, tie and loss; figures with their two intervals."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dialoeval.judging.analysis import Tables
from dialoeval.judging.estimates import Estimate
from dialoeval.reports.svg import TOP, Plot, colour, dot, frame, shortened, svg_text, text_width, ticks
from dialoeval.stats import Interval, TwoWay, Undefined

WIDTH, ROW = 480, 26
LONGEST_NAME = 36  # characters
FOOT = 30


@dataclass(frozen=True)
class ForestRow:
    """A line of a forest plot: a name, a figure and its colour."""

    name: str
    estimate: Estimate
    key: str


def pictures(tables: Tables, name: str) -> list[Plot]:
    """Return the pictures of a section of the report: ``wins``, ``preference`` or ``means``."""
    if name == "wins" and tables.wins:
        return [win_bars(tables, question) for question in dict.fromkeys(win.question for win in tables.wins)]
    if name == "preference" and tables.wins:
        plots = []
        for question in dict.fromkeys(win.question for win in tables.wins):
            wins = [win for win in tables.wins if win.question == question]
            rows = [ForestRow(f"{w.first} vs {w.second}", w.preferred, colour(i)) for i, w in enumerate(wins)]
            plots.append(forest(f"Preference for the first: {question}", rows, middle=0.5, percent=True))
        return plots
    if name == "means":
        systems = list(dict.fromkeys(mean.system for mean in tables.means))
        plots = []
        for question in dict.fromkeys(mean.question for mean in tables.means):
            means = [mean for mean in tables.means if mean.question == question]
            rows = [ForestRow(mean.system, mean.estimate, colour(systems.index(mean.system))) for mean in means]
            plots.append(forest(f"Mean rating: {question}", rows))
        return plots
    return []


def win_bars(tables: Tables, question: str) -> Plot:
    """Return a bar for each pair: wins, ties, losses as shares of all answers."""
    wins = [win for win in tables.wins if win.question == question]
    height = TOP + len(wins) * 2 * ROW
    marks = []
    for i, win in enumerate(wins):
        top = TOP + i * 2 * ROW
        counts = win.judgments
        wins_share, ties_share, losses_share = counts.percentages
        marks.append(svg_text(0, top + 10, f"{shortened(win.first, 22)} {wins_share}%", "start"))
        marks.append(svg_text(WIDTH / 2, top + 10, f"same {ties_share}%", "middle"))
        marks.append(svg_text(WIDTH, top + 10, f"{losses_share}% {shortened(win.second, 22)}", "end"))
        x = 0.0
        parts = zip(
            (counts.wins, counts.ties, counts.losses),
            counts.percentages,
            ("bar k0", "human", "bar k1"),
            (f"prefer {win.first}", "same", f"prefer {win.second}"),
            strict=True,
        )
        for count, percent, css, what in parts:
            wide = WIDTH * count / max(1, counts.total)
            title = html.escape(f"{what}: {count:,} ({percent}%)")
            marks.append(
                f'<rect class="{css}" x="{x:.1f}" y="{top + 16:.1f}" width="{wide:.1f}" height="18">'
                f"<title>{title}</title></rect>"
            )
            x += wide
    label = f"{question}: shares of win, tie and loss"
    return Plot(question, "Preferred, the same, not preferred.", frame("".join(marks), WIDTH, height, label), wide=True)


def forest(title: str, rows: Sequence[ForestRow], middle: float | None = None, percent: bool = False) -> Plot:
    """Return figures with two intervals each: thick over other contexts, thin over other contexts and judges.

    Args:
        title: of the plot.
        rows: its lines.
        middle: where a line is drawn, such as no preference.
        percent: print figures in percent.
    """
    shown = [row for row in rows if not isinstance(row.estimate.value, Undefined)]
    height = TOP + max(1, len(rows)) * ROW + FOOT
    low, high = _extent(shown, middle)
    names = 12 + max((text_width(shortened(row.name, LONGEST_NAME)) for row in rows), default=0.0)
    sides = 20  # the numbers at the ends of the axis reach beyond it

    def to_x(value: float) -> float:
        return names + sides + (value - low) / (high - low) * (WIDTH - names - 2 * sides)

    bottom = height - FOOT
    marks = []
    for tick in ticks(low, high, 6):
        marks.append(f'<line class="grid" x1="{to_x(tick):.1f}" x2="{to_x(tick):.1f}" y1="{TOP}" y2="{bottom}"/>')
        text = f"{100 * tick:g}%" if percent else f"{tick:g}"
        marks.append(svg_text(to_x(tick), bottom + 16, text, "middle"))
    if middle is not None:
        marks.append(f'<line class="zero" x1="{to_x(middle):.1f}" x2="{to_x(middle):.1f}" y1="{TOP}" y2="{bottom}"/>')
    for i, row in enumerate(rows):
        y = TOP + (i + 0.5) * ROW
        marks.append(svg_text(names - 10, y + 4, shortened(row.name, LONGEST_NAME), "end"))
        if isinstance(row.estimate.value, Undefined):
            marks.append(svg_text(names, y + 4, f"not computed: {row.estimate.value.reason}", "start"))
            continue
        for interval, css in ((row.estimate.both, "whisker thin"), (row.estimate.contexts, "whisker thick")):
            marks.append(_whisker(interval, y, f"{css} {row.key}", to_x))
        marks.append(dot(to_x(row.estimate.value), y, row.key, _spoken(row, percent)))
    note = "Thick: other contexts, these judges. Thin: other contexts and judges (95%)."
    return Plot(title, note, frame("".join(marks), WIDTH, height, title), wide=True)


def _whisker(interval: Interval | TwoWay | Undefined, y: float, css: str, to_x: Callable[[float], float]) -> str:
    if isinstance(interval, Undefined):
        return ""
    ends = f'x1="{to_x(interval.low):.1f}" x2="{to_x(interval.high):.1f}"'
    return f'<line class="{css}" {ends} y1="{y:.1f}" y2="{y:.1f}"/>'


def _spoken(row: ForestRow, percent: bool) -> str:
    factor, decimals = (100, 1) if percent else (1, 3)
    both, value = row.estimate.both, row.estimate.value
    text = row.name if isinstance(value, Undefined) else f"{row.name}: {factor * value:.{decimals}f}"
    if isinstance(both, TwoWay):
        text += f", {factor * both.low:.{decimals}f} to {factor * both.high:.{decimals}f}"
    return text


def _extent(rows: Sequence[ForestRow], middle: float | None) -> tuple[float, float]:
    values = [] if middle is None else [middle]
    for row in rows:
        if not isinstance(row.estimate.value, Undefined):
            values.append(row.estimate.value)
        for interval in (row.estimate.contexts, row.estimate.both):
            if not isinstance(interval, Undefined):
                values += [interval.low, interval.high]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * 0.05 or 0.5
    return low - room, high + room
