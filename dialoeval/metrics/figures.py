"""The table of figures: the numbers of the metrics, with their units and formats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dialoeval.tables import Cell, Heading

_QUANTITIES = ("bits per word", "nats", "words", "percent", "1 and up")  # units of figures that are never below 0


@dataclass(frozen=True)
class Figure:
    """One number of a metric.

    Attributes:
        name: flat name in JSON, commands and data frames, such as ``bleu4``; ``<metric>.<part>`` for a further figure.
        heading: column heading in tables.
        decimals: printed digits after the point.
        percent: printed in percent, but a fraction in JSON (as the paper prints BLEU, METEOR and distinct-n).
        unit: unit of the value in JSON, for documentation: bits per word, nats, words, 0..1.
        needs_references: whether the figure is undefined without references.
        higher_is_better: None if neither direction is better.
        size_biased: whether resampling biases the figure, since it depends on the number of distinct replies.
    """

    name: str
    heading: str
    decimals: int = 2
    percent: bool = False
    unit: str = ""
    needs_references: bool = False
    higher_is_better: bool | None = True
    size_biased: bool = False

    def cell(
        self, value: float | None, interval: Sequence[float] | None = None, *, why: str = "", signed: bool = False
    ) -> Cell:
        """Return a table cell.

        Args:
            value: as in JSON, or None if it is missing.
            interval: (low, high) of the value.
            why: why the value is missing.
            signed: print the sign, as for differences.
        """
        factor = 100 if self.percent else 1
        low, high = (None, None) if value is None or interval is None else (factor * edge for edge in interval)
        scaled = None if value is None else factor * value
        return Cell(scaled, self.decimals, "" if signed else self.unit_suffix, low, high, why, signed, factor)

    def mean_cell(self, value: float | None, spread: float | None, *, why: str = "") -> Cell:
        """Return a table cell of a mean over runs, with their standard deviation; `why` as in `cell`."""
        cell = self.cell(value, why=why)
        return replace(cell, spread=None if spread is None else spread * cell.factor)

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest possible value, from the unit: the ends of ``0..1``, else 0 and infinity of a quantity."""
        low, dots, high = self.unit.partition("..")
        if dots:
            return float(low), float(high)
        return (0.0 if self.unit in _QUANTITIES else -math.inf), math.inf

    @property
    def column(self) -> Heading:
        """The heading of a column of it."""
        return Heading(self.heading, self.name, self.higher_is_better)

    @property
    def unit_suffix(self) -> str:
        """The unit after a printed value: ``%`` or nothing."""
        return "%" if self.percent else ""


def _nist(n: int) -> Figure:
    return Figure(f"nist{n}", f"NIST-{n}", unit="bits per word", needs_references=True)


def _bleu(n: int) -> Figure:
    return Figure(f"bleu{n}", f"BLEU-{n}", percent=True, unit="0..1", needs_references=True)


NIST = tuple(_nist(n) for n in range(1, 6))
BLEU = tuple(_bleu(n) for n in range(1, 5))
METEOR = Figure("meteor", "METEOR", percent=True, unit="0..1", needs_references=True)
ENTROPY = tuple(Figure(f"entropy{n}", f"Entropy-{n}", unit="nats", size_biased=True) for n in range(1, 5))
DISTINCT = tuple(Figure(f"distinct{n}", f"Dist-{n}", percent=True, unit="0..1", size_biased=True) for n in range(1, 3))
LENGTH = Figure("avg_len", "Avg Len", decimals=1, unit="words", higher_is_better=None)

FIGURES: dict[str, Figure] = {figure.name: figure for figure in (*NIST, *BLEU, METEOR, *ENTROPY, *DISTINCT, LENGTH)}
"""The paper's figures by flat name, in the order of its tables."""

PAPER_TABLE = tuple(
    FIGURES[name]
    for name in ("nist2", "nist4", "bleu2", "bleu4", "meteor", "entropy4", "distinct1", "distinct2", "avg_len")
)
"""The columns of the paper's tables 2 and 3."""
