"""The metric interface: statistics of each reply, and the figures that follow from them for any weights of the replies.

A metric is one file. The simplest scores each reply (`MeanMetric`). A metric whose statistics add up over replies is a
`RowMetric`. Any other is a `Metric` with its own `MetricStatistics`. The statistics yield the figures of the set, their
bootstrap intervals and paired tests, the scores of the replies, and the columns of all tables.
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
    """Statistics of n replies, from which the figures of one metric follow."""

    @abstractmethod
    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        """Return {figure: (m,) values}.

        Args:
            weights: (m, n) how often each reply is counted; None counts each once, with m = 1. A figure that cannot be
                computed for given weights is left out.
        """

    @abstractmethod
    def pooled(self, other: MetricStatistics) -> MetricStatistics:
        """Return the statistics of the replies of both systems as one set of 2n, this one's first."""

    def optimistic(self, weights: Array, more: Array) -> dict[str, Array]:
        """Return {figure: (m,) values} with further replies like the best, for figures that rest on few replies.

        Args:
            weights: (m, n) how often each reply is counted.
            more: (m,) how many further replies are counted.
        """
        return {}

    def scores(self) -> Array | None:
        """Return (n,) scores of the single replies, NaN if undefined; or None if the metric has no reply scores."""
        return None

    def details(self) -> dict[str, Any]:
        """Return further JSON values to report beside the figures."""
        return {}


class Metric(ABC):
    """A named metric.

    Attributes:
        name: what the user writes; ``name:argument`` with an argument.
        description: one line for `dialoeval list metrics`.
        figures: the main figure first, which has the name of the metric (except for the paper's metrics).
        takes_argument: whether the name accepts an argument, such as a model: ``perplexity:gpt2``.
        needs_references: whether a set without any reference is refused.
        package: distribution of a plugin, as ``name==version``; None for built-in metrics.
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
    def columns(self) -> tuple[Figure, ...]:
        """The figures that tables show: by default the main figure."""
        return self.figures[:1]

    @property
    def reply_figure(self) -> Figure | None:
        """The figure of the reply scores, or None if the metric has no reply scores."""
        return self.figures[0]

    def check(self) -> None:  # noqa: B027 - most metrics need nothing
        """Check, before long work and without loading a model, that what the metric needs is there.

        Raises:
            UserError: a package, model or data file is missing.
        """

    @abstractmethod
    def signature(self, corpus: Corpus) -> str:
        """Return the settings that determine the figures, as ``key:value|...``."""

    @abstractmethod
    def statistics(self, corpus: Corpus, *, progress: bool = False) -> MetricStatistics:
        """Compute the statistics of a corpus.

        Args:
            corpus: n replies with references and contexts.
            progress: show progress of slow work on stderr.

        Raises:
            UserError: a package, model or data file that the metric needs is missing.
        """

    def signatures(self, corpus: Corpus) -> dict[str, str]:
        """Return {name: signature}, with several names if one class computes several of the paper's metrics."""
        origin = "" if self.package is None else f"|plugin:{self.package}"
        return {self.name: self.signature(corpus) + origin}

    def merged(self, corpus: Corpus, parts: list[MetricStatistics]) -> MetricStatistics:
        """Return the statistics of a corpus whose consecutive shards have the statistics `parts`."""
        return self.statistics(corpus)


@dataclass(frozen=True)
class Rows(MetricStatistics):
    """Statistics that add up over replies, one row each.

    Attributes:
        metric: the metric that computes figures from summed rows.
        rows: (n, k) statistics.
        judged: (n,) whether the reply is scored; the rows of the others are zeros.
    """

    metric: RowMetric
    rows: Array
    judged: npt.NDArray[np.bool_]

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        """Return the figures of the weighted sums of the rows; none if no reply is scored.

        A choice without any scored reply has no figure (NaN).
        """
        if not self.judged.any():
            return {}
        weights = np.ones((1, len(self.rows))) if weights is None else weights.astype(float)
        return self._figures(weights, weights @ self.rows)

    def optimistic(self, weights: Array, more: Array) -> dict[str, Array]:
        """Return the figures of the weighted sums and `more` times the metric's `best_row`."""
        best = self.metric.best_row(self.rows)
        if best is None or not self.judged.any():
            return {}
        weights = weights.astype(float)
        return self._figures(weights, weights @ self.rows + np.outer(more, best))

    def _figures(self, weights: Array, totals: Array) -> dict[str, Array]:
        scored = (weights @ self.judged > 0)[:, None]
        values = np.where(scored, self.metric.values(totals), np.nan)
        return {figure.name: values[:, i] for i, figure in enumerate(self.metric.figures)}

    def pooled(self, other: MetricStatistics) -> Rows:
        """Return the rows of both systems, this one's first."""
        assert isinstance(other, Rows)
        return replace(
            self, rows=np.concatenate([self.rows, other.rows]), judged=np.concatenate([self.judged, other.judged])
        )

    def scores(self) -> Array | None:
        """Return (n,) reply scores of the metric, NaN for replies that are not scored."""
        values = self.metric.reply_scores(self.rows)
        return None if values is None else np.where(self.judged, values, np.nan)

    def details(self) -> dict[str, Any]:
        """Return the numbers of replies scored and left out, and the metric's own details."""
        n = int(self.judged.sum())
        return {"n": n, "left_out": len(self.judged) - n, **self.metric.details(self.rows)}


class RowMetric(Metric):
    """A metric whose statistics are rows of numbers that add up over replies."""

    @abstractmethod
    def rows(self, corpus: Corpus) -> Array:
        """Return (n, k) statistics."""

    @abstractmethod
    def values(self, totals: Array) -> Array:
        """Return (m, len(figures)) values from summed statistics (m, k), NaN if undefined."""

    def reply_scores(self, rows: Array) -> Array | None:
        """Return (n,) reply scores: by default, the main figure of each row."""
        return self.values(rows)[:, 0]

    def best_row(self, rows: Array) -> Array | None:
        """Return (k,) statistics of one more reply as good as the best, or None if figures rest on many replies."""
        return None

    def details(self, rows: Array) -> dict[str, Any]:
        """Return further JSON values that follow from the rows (n, k)."""
        return {}

    def judged(self, corpus: Corpus) -> npt.NDArray[np.bool_]:
        """Return (n,) whether each reply is scored: by default all, or those with references if needed."""
        return corpus.judged if self.needs_references else np.ones(len(corpus), dtype=bool)

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        """Compute the rows of a corpus.

        Raises:
            UserError: the metric needs references, and no reply has one.
        """
        judged = self.judged(corpus)
        if self.needs_references and not judged.any():
            raise UserError(f"{self.name} needs references, and no reply has one")
        return Rows(self, self.rows(corpus), judged)

    def merged(self, corpus: Corpus, parts: list[MetricStatistics]) -> MetricStatistics:
        """Return the rows of all shards, without computing them again."""
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.pooled(part)
        return whole


class MeanMetric(RowMetric):
    """A metric that scores each reply; its figures are means over the replies whose score is defined."""

    @abstractmethod
    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n, len(figures)) scores, or (n,) for one figure; NaN if undefined."""

    def rows(self, corpus: Corpus) -> Array:
        """Return (n, 2 len(figures)): scores, with 0 for NaN, then whether each is defined."""
        scores = np.asarray(self.per_reply(corpus), dtype=float).reshape(len(corpus), len(self.figures))
        if np.isinf(scores).any():
            raise UserError(f"{self.name} gives reply {int(np.isinf(scores).any(axis=1).argmax())} an infinite score")
        return np.hstack([np.nan_to_num(scores), ~np.isnan(scores)])

    def values(self, totals: Array) -> Array:
        """Return (m, len(figures)) means."""
        sums, counts = np.hsplit(totals, 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(counts > 0, sums / counts, np.nan)


@dataclass(frozen=True)
class Value(MetricStatistics):
    """A value of the whole set only, without intervals, tests or reply scores."""

    values: Mapping[str, float]
    more: Mapping[str, Any] = field(default_factory=dict)

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        """Return the values for the whole set, nothing for given weights."""
        return {} if weights is not None else {name: np.array([value]) for name, value in self.values.items()}

    def pooled(self, other: MetricStatistics) -> Value:
        """Return an empty value."""
        return Value({})

    def details(self) -> dict[str, Any]:
        """Return `more`."""
        return dict(self.more)
