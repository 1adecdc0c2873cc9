"""Plots of figures against a decoding setting, for the runs of a sweep."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from markupsafe import Markup

from dialoeval.metrics.figures import FIGURES, Figure
from dialoeval.metrics.score_tables import score_cell
from dialoeval.reports.plots import extent, vertical
from dialoeval.reports.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    Plot,
    colour,
    dot,
    frame,
    line,
    svg_text,
    text_width,
)
from dialoeval.runs.reader import LoadedRun
from dialoeval.runs.records import RunSettings, flat
from dialoeval.tables import Cell

SETTING_FIGURES = ("nist4", "bleu4", "meteor", "entropy4", "distinct2", "avg_len")
WIDTH, HEIGHT = 300, 190
# Values that turn a setting off, from `dialoeval.config.schema.DecodingConfig`. A setting that is off stands where its
# effect vanishes: k of top-k above all numbers of tokens, a share of the probability at 1, a limit of n-grams at 0.
_OFF = {
    "top_k": 0, "top_p": 1, "typical_p": 1, "min_p": 0, "repetition_penalty": 1, "no_repeat_ngram_size": 0,
    "max_length": 0,
}  # fmt: skip
_OFF_LAST = ("top_k", "max_length")


@dataclass(frozen=True)
class _Point:
    """The figure of the runs that share a value of the setting and all else but the seed.

    Attributes:
        position: of the setting's value among all values.
        runs: their positions among the runs.
        cells: their figures, with intervals.
    """

    position: int
    runs: tuple[int, ...]
    cells: tuple[Cell, ...]

    @property
    def values(self) -> list[float]:
        """The figures."""
        return [cell.value for cell in self.cells if cell.value is not None]

    @property
    def cell(self) -> Cell:
        """The mean over seeds with the lowest and highest figure; of one run, its own figure and interval."""
        if len(self.cells) == 1:
            return self.cells[0]
        first, values = self.cells[0], self.values
        return Cell(statistics.fmean(values), first.decimals, first.suffix, min(values), max(values))


@dataclass(frozen=True)
class _Series:
    """A setting that varies among runs that are otherwise the same, or differ in the seed alone.

    Attributes:
        setting: its name.
        values: its values in the order of their effect.
        lines: of each group of runs, {value: runs}.
    """

    setting: str
    values: list[float]
    lines: list[dict[float, list[int]]]


def setting_plots(names: Sequence[str], runs: Sequence[LoadedRun]) -> list[Plot]:
    """Plot figures against every numeric decoding setting that varies among runs that are otherwise the same.

    Runs that differ in that setting alone are joined by a line; runs that differ in the seed too are one point, the
    mean of their figures. The values stand at equal distances, in order; ``off`` stands at the end where the setting
    has no effect.
    """
    plots = []
    for series in _all_series(runs):
        for name in SETTING_FIGURES:
            figure = FIGURES[name]
            drawn = [points for group in series.lines if (points := _points(group, series.values, runs, figure))]
            if drawn:
                seeds = any(len(point.cells) > 1 for points in drawn for point in points)
                note = (
                    "Mean over seeds, from the lowest to the highest; of one seed, its 95% interval." if seeds else ""
                )
                title = f"{figure.heading} by {series.setting.replace('_', ' ')}"
                plots.append(Plot(title, note, _panel(drawn, series, figure, names)))
    return plots


def value_label(setting: str, value: float) -> str:
    """Return a value of a decoding setting as an axis prints it: ``off`` if it turns the setting off."""
    return "off" if _OFF.get(setting) == value else f"{value:g}"


def effect(setting: str, value: float) -> float:
    """Return where a value of a decoding setting stands in the order of values."""
    return math.inf if setting in _OFF_LAST and _OFF[setting] == value else value


def _points(
    group: dict[float, list[int]], values: Sequence[float], runs: Sequence[LoadedRun], figure: Figure
) -> list[_Point]:
    points = []
    for value in sorted(group, key=values.index):
        cells = {i: score_cell(runs[i].scores, figure) for i in group[value]}
        present = {i: cell for i, cell in cells.items() if cell.value is not None}
        if present:
            points.append(_Point(values.index(value), tuple(present), tuple(present.values())))
    return points


def _all_series(runs: Sequence[LoadedRun]) -> list[_Series]:
    names = dict.fromkeys(name for run in runs for name, value in run.settings.decoding.items() if _is_number(value))
    found = []
    for name in names:
        groups: dict[str, dict[float, list[int]]] = {}
        for i, run in enumerate(runs):
            value = run.settings.decoding.get(name)
            if _is_number(value):
                groups.setdefault(_others(run.settings, name), {}).setdefault(float(value), []).append(i)
        lines = [group for group in groups.values() if len(group) > 1]
        if lines:
            values = sorted({value for group in lines for value in group}, key=lambda value: effect(name, value))
            found.append(_Series(name, values, lines))
    return found


def _others(settings: RunSettings, name: str) -> str:
    """Return a key of everything that decides replies and figures, but one decoding setting and the seed."""
    decoding = {key: value for key, value in settings.decoding.items() if key not in (name, "name")}
    sections = {
        "decoding": decoding,
        "model": settings.model,
        "dataset": settings.dataset,
        "protocol": settings.protocol,
    }
    return repr(sorted(flat(sections).items(), key=str))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _panel(drawn: Sequence[Sequence[_Point]], series: _Series, figure: Figure, names: Sequence[str]) -> Markup:
    ends = extent([cell for points in drawn for point in points for cell in (point.cell, *point.cells)])
    to_y, grid = vertical(ends, figure, WIDTH, HEIGHT)
    step = (WIDTH - LEFT - RIGHT) / len(series.values)

    def to_x(position: int) -> float:
        return LEFT + (position + 0.5) * step

    marks = [grid]
    labels = [value_label(series.setting, value) for value in series.values]
    every = math.ceil(max(text_width(label) + 4 for label in labels) / step)  # labels that would meet are left out
    for position, label in enumerate(labels):
        if (len(labels) - 1 - position) % every == 0:
            marks.append(svg_text(to_x(position), HEIGHT - BOTTOM + 16, label, "middle"))
    for points in drawn:
        key = colour(points[0].runs[0])
        path = " ".join(f"{to_x(p.position):.1f},{to_y(p.cell.value or 0.0):.1f}" for p in points)
        marks.append(f'<polyline class="curve {key}" points="{path}"/>')
        for point in points:
            x, cell = to_x(point.position), point.cell
            key = colour(point.runs[0])
            if cell.low is not None and cell.high is not None:
                marks.append(line(x, to_y(cell.low), x, to_y(cell.high), f"whisker {key}"))
            if len(point.cells) > 1:
                marks += [dot(x, to_y(value), key, "", "seed", 2) for value in point.values]
            marks.append(dot(x, to_y(cell.value or 0.0), key, _spoken(point, labels[point.position], names)))
    label = series.setting.replace("_", " ")
    marks.append(svg_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, label, "middle", "axis"))
    return frame("".join(marks), WIDTH, HEIGHT, f"{figure.heading} by {series.setting}")


def _spoken(point: _Point, label: str, names: Sequence[str]) -> str:
    """Return what is shown where the pointer rests on a point."""
    cell = point.cell
    if len(point.cells) == 1:
        return f"{names[point.runs[0]]}: {cell.figure} {cell.margin}"
    return f"{label}, {len(point.cells)} seeds: mean {cell.figure}, {cell.bounds}"
