"""What a metric is: statistics of each reply, and the figures that follow from them for any choice of the replies.

A metric is one file. The shortest has a score of its own for each reply (`MeanMetric`); one whose statistics add up is
a `RowMetric`; anything else is a `Metric` with statistics of its own. From the statistics come, without another line,
the figure of the set, its bootstrap interval, the paired tests, the score of each reply, and columns in all tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dialoeval.errors import UserError
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

Array = npt.NDArray[np.float64]


class MetricStatistics(ABC):
    """What the figures of one metric follow from, for n replies."""

    @abstractmethod
    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        """Return {figure: (m,) values} for m choices of the replies.

        Args:
            weights: (m, n) how often each reply is taken, or None: every reply once, m = 1. A figure that cannot be
                told for another choice than that is left out when weights are given.
        """

    @abstractmethod
    def pooled(self, other: MetricStatistics) -> MetricStatistics:
        """Return the statistics of both systems' replies to the same examples as one set of 2n, this one's first."""

    def scores(self) -> Array | None:
        """Return the score of each reply by itself, (n,) with NaN where it has none; None if the metric has none."""
        return None

    def details(self) -> dict[str, Any]:
        """Return further JSON values that are reported beside the figures."""
        return {}


class Metric(ABC):
    """A metric under its name.

    Attributes:
        name: what the user writes; with an argument ``name:argument``.
        description: one line for `dialoeval list metrics`.
        figures: the main figure first; its name is the metric's, unless the metric is one of the paper's.
        takes_argument: whether the name may carry an argument, such as a model: ``perplexity:gpt2``.
        needs_references: refuse a set in which no reply has a reference.
        package: of a plugin, the distribution that it comes from, ``name==version``.
    """

    name: str
    description: ClassVar[str]
    figures: tuple[Figure, ...]
    takes_argument: ClassVar[bool] = False
    needs_references: ClassVar[bool] = False
    package: str | None = None

    def __init__(self, argument: str | None = None) -> None:
        self.argument = argument
        if argument is None:
            return
        if not self.takes_argument:
            raise UserError(f"the metric {self.name} takes no argument (got {argument!r})")
        base, self.name = self.name, f"{self.name}:{argument}"
        short = argument.rstrip("/").rsplit("/", 1)[-1]
        self.figures = tuple(
            replace(f, name=self.name + f.name.removeprefix(base), heading=f"{f.heading} ({short})")
            for f in self.figures
        )

    @property
    def reply_figure(self) -> Figure | None:
        """The figure that the score of each reply is printed as; None if replies have no score."""
        return self.figures[0]

    @abstractmethod
    def signature(self, corpus: Corpus) -> str:
        """Return what the figures were computed with, as ``key:value|...``."""

    @abstractmethod
    def statistics(self, corpus: Corpus, *, progress: bool = False) -> MetricStatistics:
        """Compute the statistics of a corpus.

        Args:
            progress: show how far slow work is, on stderr.

        Raises:
            UserError: what the metric needs is not installed or not found.
        """

    def signatures(self, corpus: Corpus) -> dict[str, str]:
        """Return {what is signed: signature}; more than one entry where one metric holds several of the paper's."""
        origin = "" if self.package is None else f"|plugin:{self.package}"
        return {self.name: self.signature(corpus) + origin}

    def merged(self, corpus: Corpus, parts: list[MetricStatistics]) -> MetricStatistics:
        """Return the statistics of a corpus that `parts` are the shards of, in its order."""
        return self.statistics(corpus)


@dataclass(frozen=True)
class Rows(MetricStatistics):
    """Statistics that add up: one row a reply.

    Attributes:
        rows: (n, k).
        judged: (n,) whether a reply takes part; the rows of the others are zeros.
    """

    metric: RowMetric
    rows: Array
    judged: npt.NDArray[np.bool_]
    more: Mapping[str, Any] = field(default_factory=dict)

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        if not self.judged.any():
            return {}
        taken = np.ones((1, len(self.rows))) if weights is None else weights.astype(float)
        values = self.metric.values(taken @ self.rows)
        return {figure.name: values[:, i] for i, figure in enumerate(self.metric.figures)}

    def pooled(self, other: MetricStatistics) -> Rows:
        assert isinstance(other, Rows)
        return replace(
            self, rows=np.concatenate([self.rows, other.rows]), judged=np.concatenate([self.judged, other.judged])
        )

    def scores(self) -> Array | None:
        values = self.metric.reply_scores(self.rows)
        return None if values is None else np.where(self.judged, values, np.nan)

    def details(self) -> dict[str, Any]:
        counted = int(self.judged.sum())
        return {"n": counted, "left_out": len(self.judged) - counted, **self.more}


class RowMetric(Metric):
    """A metric whose statistics are rows of numbers that add up over replies."""

    @abstractmethod
    def rows(self, corpus: Corpus) -> Array:
        """Return (n, k) statistics."""

    @abstractmethod
    def values(self, totals: Array) -> Array:
        """Return (m, len(figures)) values of summed statistics (m, k); NaN where a figure has none."""

    def reply_scores(self, rows: Array) -> Array | None:
        """Return (n,) the score of each reply: by default the main figure of its own row."""
        return self.values(rows)[:, 0]

    def judged(self, corpus: Corpus) -> npt.NDArray[np.bool_]:
        """Return (n,) which replies take part: by default those with references, where the metric needs them."""
        return corpus.judged if self.needs_references else np.ones(len(corpus), dtype=bool)

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        judged = self.judged(corpus)
        if self.needs_references and not judged.any():
            raise UserError(f"{self.name} needs references, and no reply has one")
        return Rows(self, self.rows(corpus), judged)

    def merged(self, corpus: Corpus, parts: list[MetricStatistics]) -> MetricStatistics:
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.pooled(part)
        return whole


class MeanMetric(RowMetric):
    """A metric with a score for each reply; its figure is their mean over the replies that have one."""

    @abstractmethod
    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n, len(figures)) scores, NaN where a reply has none; (n,) will do for one figure."""

    def rows(self, corpus: Corpus) -> Array:
        scores = self.per_reply(corpus).astype(float).reshape(len(corpus), len(self.figures))
        return np.hstack([np.nan_to_num(scores), ~np.isnan(scores)])

    def values(self, totals: Array) -> Array:
        sums, counts = np.hsplit(totals, 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(counts > 0, sums / counts, np.nan)


@dataclass(frozen=True)
class Value(MetricStatistics):
    """A value of the whole set alone: it has no interval, no test and no score of a reply."""

    values: Mapping[str, float]
    more: Mapping[str, Any] = field(default_factory=dict)

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        return {} if weights is not None else {name: np.array([value]) for name, value in self.values.items()}

    def pooled(self, other: MetricStatistics) -> Value:
        return Value({})

    def details(self) -> dict[str, Any]:
        return dict(self.more)
