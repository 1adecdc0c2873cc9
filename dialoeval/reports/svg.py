"""Pieces of inline SVG: the marks of runs, texts and their widths, axes.

A run has the same colour and shape everywhere: classes ``k0`` .. ``k9`` (colour) and ``s0`` .. ``s5`` (shape) by its
position, so that the first 60 runs differ in one of them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

COLOURS, SHAPES = 10, 6
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 34
TEXT_HEIGHT = 13.0  # of the 11 px font of the page, with its ascenders and descenders
_WIDE = 6.7  # px of a character of that font, at most; a mean of real names is about 5.6
_OUTLINES = {
    1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    2: ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
    3: ((0, -1.3), (1.25, 0.95), (-1.25, 0.95)),
    4: ((0, 1.3), (1.25, -0.95), (-1.25, -0.95)),
    5: ((-0.45, -1.3), (0.45, -1.3), (0.45, -0.45), (1.3, -0.45), (1.3, 0.45), (0.45, 0.45), (0.45, 1.3), (-0.45, 1.3),
        (-0.45, 0.45), (-1.3, 0.45), (-1.3, -0.45), (-0.45, -0.45)),
}  # fmt: skip
"""Corners of the shapes in units of the radius: square, diamond, two triangles, cross. Shape 0 is the circle."""


@dataclass(frozen=True)
class Plot:
    """A figure of the page: its title, a remark below it, and its markup."""

    title: str
    note: str
    svg: Markup
    wide: bool = False


def colour(run: int) -> str:
    """Return the classes that give a run its colour and its shape."""
    return f"k{run % COLOURS} s{run // COLOURS % SHAPES}"


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Return at most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`."""
    span = high - low
    if not span > 0:
        return [low]
    step = 10 ** math.floor(math.log10(span / most))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def shortened(name: str, most: int) -> str:
    """Return the name, without its middle if it is longer than `most`: runs differ in the end."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}"


def text_width(text: str) -> float:
    """Return how wide a text is at most, in px."""
    return _WIDE * sum(2 if ord(character) > 0x1100 else 1 for character in text)


def dot(x: float, y: float, key: str, title: str, css: str = "dot", radius: float = 3.6) -> str:
    """Return the mark of a figure at (x, y), in the shape of `key`; `title` is shown where the pointer rests."""
    inside = f"<title>{html.escape(title)}</title>" if title else ""
    shape = next((int(part[1:]) for part in key.split() if part[0] == "s"), 0)
    if shape not in _OUTLINES:
        return f'<circle class="{css} {key}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">{inside}</circle>'
    points = " ".join(f"{x + radius * dx:.1f},{y + radius * dy:.1f}" for dx, dy in _OUTLINES[shape])
    return f'<polygon class="{css} {key}" points="{points}">{inside}</polygon>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Return a straight line."""
    return f'<line class="{css}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def svg_text(x: float, y: float, text: str, anchor: str, css: str = "") -> str:
    """Return escaped text at (x, y), anchored at its "start", "middle" or "end"."""
    attributes = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>{html.escape(text)}</text>'


def frame(content: str, width: int, height: int, label: str) -> Markup:
    """Return the picture of marks, which screen readers name by the label."""
    # every piece of text in `content` was escaped when it was put in
    size = f'viewBox="0 0 {width} {height}" style="max-width:{width * 1.25:g}px"'
    return Markup(f'<svg {size} role="img" aria-label="{html.escape(label)}">{content}</svg>')


@dataclass(frozen=True)
class Box:
    """A rectangle that labels must not meet."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other: Box) -> bool:
        """Return whether the other lies inside."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom

    def meets(self, other: Box) -> bool:
        """Return whether the two have a point in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def placed(
    points: Sequence[tuple[float, float, str]], within: Box, avoided: Sequence[Box] = ()
) -> list[tuple[float, float] | None]:
    """Return for each (x, y, text) where its label starts (left, baseline), so that no label meets another or a point.

    A label stands beside its point, or further up or down, where it meets nothing `avoided` if there is such a place.
    None: there is no room, and a key must name the point.
    """
    taken = [Box(x - 5, y - 5, x + 5, y + 5) for x, y, _ in points]
    found: list[tuple[float, float] | None] = [None] * len(points)
    for i in sorted(range(len(points)), key=lambda i: points[i][1]):
        x, y, text = points[i]
        wide = text_width(text)
        places = [
            (left, y + 4 + shift * TEXT_HEIGHT / 2)
            for shift in sorted(range(-8, 9), key=abs)
            for left in (x + 8, x - 8 - wide, x - wide / 2)
        ]
        boxes = {place: Box(place[0], place[1] - 11, place[0] + wide, place[1] + 3) for place in places}
        free = [p for p in places if within.holds(boxes[p]) and not any(boxes[p].meets(other) for other in taken)]
        clear = [p for p in free if not any(boxes[p].meets(other) for other in avoided)]
        if free:
            found[i] = (clear or free)[0]
            taken.append(boxes[(clear or free)[0]])
    return found
