"""Plots as inline SVG: small, without a library, coloured by the page's own variables."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from dialoeval.reports.tables import PAPER_COLUMNS, figure

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 18, 40
KNOBS = ("num_beams", "top_k", "top_p", "temperature", "typical_p", "min_p", "length_penalty", "repetition_penalty")

Rows = Sequence[tuple[str, dict[str, Any]]]


def setting_plots(rows: Rows, configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A figure against each numeric decoding setting that takes three or more values over the runs."""
    plots = []
    for knob in KNOBS:
        points = [(float(c["decoding"][knob]), scores) for (_, scores), c in zip(rows, configs, strict=True)]
        if len({x for x, _ in points}) < 3:
            continue
        for name in ("nist4", "distinct2"):
            pairs = sorted((x, figure(scores, name)) for x, scores in points if figure(scores, name) is not None)
            if pairs:
                label = _heading(name)
                plots.append({"title": f"{label} by {knob}", "svg": _svg(_line_marks(pairs), pairs, knob, label)})
    return plots


def intervals_plot(rows: Rows) -> dict[str, Any]:
    """Every paper figure of every run with its 95% interval, each on its own scale."""
    row_height, label_width = 18, 190
    groups = [column for column in PAPER_COLUMNS if any(figure(s, column.name) is not None for _, s in rows)]
    height = TOP + len(groups) * (len(rows) * row_height + 26)
    marks, y = [], TOP
    for column in groups:
        marks.append(f'<text x="0" y="{y + 4}" class="head">{column.heading}</text>')
        y += 18
        spans = [_span(scores, column.name) for _, scores in rows]
        low = min((s[0] for s in spans if s), default=0.0)
        high = max((s[2] for s in spans if s), default=1.0)
        scale = (WIDTH - label_width - 70) / ((high - low) or 1.0)
        for (name, _), span in zip(rows, spans, strict=True):
            marks.append(f'<text x="8" y="{y + 4}">{html.escape(_short(name, 30))}</text>')
            if span:
                a, m, b = (label_width + (value - low) * scale for value in span)
                value = f"{span[1] * column.factor:.{column.decimals}f}"
                marks.append(
                    f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{y}" y2="{y}" class="line"/>'
                    f'<circle cx="{m:.1f}" cy="{y}" r="3.5" class="dot"/>'
                    f'<text x="{WIDTH - 4}" y="{y + 4}" text-anchor="end">{value}</text>'
                )
            y += row_height
        y += 8
    return {
        "title": "Figures with 95% intervals",
        "svg": _frame("".join(marks), WIDTH, height, "intervals of each figure"),
    }


def diversity_scatter(rows: Rows) -> dict[str, Any]:
    """Relevance (NIST-4) against diversity (Dist-2): what decoding trades."""
    points = [(figure(s, "nist4"), figure(s, "distinct2"), name) for name, s in rows if figure(s, "nist4") is not None]
    pairs = [(x, y) for x, y, _ in points]
    if not pairs:
        return {"title": "Relevance and diversity", "svg": Markup("<p>No references, so no relevance figures.</p>")}
    to_x, to_y = _scales(pairs)
    marks = []
    for x, y, name in points:
        px, py = to_x(x), to_y(y)
        # names of points in the right half stand on their left, so that none is cut off
        side, anchor = (7, "start") if px < (LEFT + WIDTH - RIGHT) / 2 else (-7, "end")
        marks.append(
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" class="dot"><title>{html.escape(name)}</title></circle>'
            f'<text x="{px + side:.1f}" y="{py - 5:.1f}" text-anchor="{anchor}">{html.escape(_short(name, 26))}</text>'
        )
    return {"title": "Relevance and diversity", "svg": _svg("".join(marks), pairs, "NIST-4", "Dist-2")}


def length_plot(names: Sequence[str], replies: Sequence[Sequence[str]], longest: int = 40) -> dict[str, Any]:
    """Share of replies by length in words; longer ones than `longest` stand at the end."""
    lines, pairs = [], [(0.0, 0.0), (float(longest), 0.01)]
    for some in replies:
        counts = [0] * (longest + 1)
        for reply in some:
            counts[min(len(reply.split()), longest)] += 1
        line = [(float(words), count / max(1, len(some))) for words, count in enumerate(counts)]
        lines.append(line)
        pairs += line
    to_x, to_y = _scales(pairs, zero=True)
    marks = []
    for i, (name, line) in enumerate(zip(names, lines, strict=True)):
        points = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in line)
        marks.append(
            f'<polyline points="{points}" class="curve c{i % 6}"><title>{html.escape(name)}</title></polyline>'
        )
        if i < 10:
            marks.append(
                f'<text x="{WIDTH - RIGHT}" y="{TOP + 14 * i + 8}" text-anchor="end" class="t{i % 6}">'
                f"{html.escape(_short(name, 30))}</text>"
            )
    return {
        "title": "Reply length",
        "svg": _svg("".join(marks), pairs, f"words ({longest}: and more)", "share", zero=True),
    }


def _span(scores: dict[str, Any], name: str) -> tuple[float, float, float] | None:
    value = figure(scores, name)
    if value is None:
        return None
    low, high = scores["intervals"].get(name, (value, value))
    return min(low, value), value, max(high, value)


def _line_marks(pairs: Sequence[tuple[float, float]]) -> str:
    to_x, to_y = _scales(pairs)
    points = " ".join(f"{to_x(x):.1f},{to_y(y):.1f}" for x, y in pairs)
    dots = "".join(f'<circle cx="{to_x(x):.1f}" cy="{to_y(y):.1f}" r="3.5" class="dot"/>' for x, y in pairs)
    return f'<polyline points="{points}" class="curve c0"/>{dots}'


def _scales(pairs: Sequence[tuple[float, float]], zero: bool = False) -> tuple[Any, Any]:
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    x0, x1 = min(xs), max(xs)
    y0, y1 = (0.0 if zero else min(ys)), max(ys)
    pad_x, pad_y = (0, 0) if zero else ((x1 - x0) * 0.08 or 0.5, (y1 - y0) * 0.12 or 0.05)
    x0, x1, y0, y1 = x0 - pad_x, x1 + pad_x, y0 - pad_y, y1 + pad_y

    def to_x(x: float) -> float:
        return LEFT + (x - x0) / ((x1 - x0) or 1) * (WIDTH - LEFT - RIGHT)

    def to_y(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y0) / ((y1 - y0) or 1) * (HEIGHT - TOP - BOTTOM)

    return to_x, to_y


def _svg(marks: str, pairs: Sequence[tuple[float, float]], x_label: str, y_label: str, zero: bool = False) -> Markup:
    to_x, to_y = _scales(pairs, zero)
    xs, ys = sorted({x for x, _ in pairs}), [y for _, y in pairs]
    ticks = []
    apart = min((to_x(b) - to_x(a) for a, b in itertools.pairwise(xs)), default=WIDTH)
    for x in xs if apart >= 30 else dict.fromkeys((xs[0], (xs[0] + xs[-1]) / 2, xs[-1])):
        ticks.append(f'<text x="{to_x(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:.4g}</text>')
    for y in (min(ys), (min(ys) + max(ys)) / 2, max(ys)):
        ticks.append(
            f'<text x="{LEFT - 8}" y="{to_y(y) + 4:.1f}" text-anchor="end">{y:.3g}</text>'
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{to_y(y):.1f}" y2="{to_y(y):.1f}" class="grid"/>'
        )
    labels = (
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(x_label)}</text>'
        f'<text x="4" y="12">{html.escape(y_label)}</text>'
    )
    return _frame("".join(ticks) + labels + marks, WIDTH, HEIGHT, f"{y_label} against {x_label}")


def _frame(content: str, width: int, height: int, label: str) -> Markup:
    # every piece of text in `content` was escaped where it was put in
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}">{content}</svg>')


def _heading(name: str) -> str:
    return next(column.heading for column in PAPER_COLUMNS if column.name == name)


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
