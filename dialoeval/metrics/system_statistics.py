"""Statistics of one system for several metrics, and the figures for any weights of its replies."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.metrics import paper, registry
from dialoeval.metrics.base import Array, Metric, MetricStatistics, Rows
from dialoeval.metrics.corpus import Corpus, corpus, join, require_same


@dataclass(frozen=True)
class Statistics:
    """The statistics that scores, intervals, paired tests and merges of shards are computed from.

    Attributes:
        corpus: the replies with their references.
        metrics: the paper's metrics, then the extra ones.
        parts: {metric: its statistics}.
    """

    corpus: Corpus
    metrics: tuple[Metric, ...]
    parts: dict[str, MetricStatistics]

    def __len__(self) -> int:
        return len(self.corpus)

    @property
    def size_biased(self) -> frozenset[str]:
        """Names of figures that resampling biases: see `Figure.size_biased`."""
        return frozenset(f.name for metric in self.metrics for f in metric.figures if f.size_biased)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """{figure: (lowest, highest) possible value}."""
        return {f.name: f.range for metric in self.metrics for f in metric.figures}

    def part(self, *, size_biased: bool) -> Statistics:
        """Return the statistics of only the metrics with a figure that resampling biases, or only of the others."""
        chosen = tuple(m for m in self.metrics if any(f.size_biased for f in m.figures) == size_biased)
        return Statistics(self.corpus, chosen, {m.name: self.parts[m.name] for m in chosen})

    def optimistic(self, weights: np.ndarray, more: np.ndarray) -> dict[str, Array]:
        """Return {figure: (m,) values} with `more` (m,) further replies like the best, of figures that rest on few."""
        values: dict[str, Array] = {}
        for metric in self.metrics:
            values |= self.parts[metric.name].optimistic(weights, more)
        return values

    def figures(self, weights: np.ndarray | None = None) -> dict[str, Array]:
        """Return {figure: (m,) values}.

        NIST keeps the information weights of the whole set. Figures that need references are left out if no reply has
        any.

        Args:
            weights: (m, n) how often each reply is counted; None counts each once, with m = 1.
        """
        values: dict[str, Array] = {}
        for metric in self.metrics:
            values |= self.parts[metric.name].figures(weights)
        return values

    def pooled(self, other: Statistics) -> Statistics:
        """Return the replies of both systems as one set of 2n, this one's first. NIST keeps its information weights.

        Raises:
            UserError: the references, protocols or metrics differ.
        """
        require_same(self.corpus, other.corpus)
        _require_same_metrics([self, other], "was computed for one system only")
        parts = {name: part.pooled(other.parts[name]) for name, part in self.parts.items()}
        return Statistics(self.corpus.joined(other.corpus), self.metrics, parts)

    @staticmethod
    def merge(shards: Sequence[Statistics]) -> Statistics:
        """Return the statistics of all shards in the order given, equal to those of the whole set.

        NIST's information weights and the n-gram counts are computed again from the texts, METEOR's alignments are not.

        Raises:
            UserError: the protocols or metrics of the shards differ.
        """
        whole = join([shard.corpus for shard in shards])
        _require_same_metrics(shards, "was computed for a part of the shards only: compute it for all or for none")
        metrics = shards[0].metrics
        parts = {m.name: m.merged(whole, [shard.parts[m.name] for shard in shards]) for m in metrics}
        return Statistics(whole, metrics, parts)

    def left_out(self, name: str) -> list[int]:
        """Return the positions of replies that have references but no statistics of a metric whose rows add up."""
        part = self.parts.get(name)
        return np.flatnonzero(self.corpus.judged & ~part.judged).tolist() if isinstance(part, Rows) else []

    def segments(self, ids: Sequence[str]) -> Segments:
        """Return the scores of the single replies, whose ids are `ids`."""
        columns: dict[str, list[float | None]] = {}
        for metric in self.metrics:
            figure, scores = metric.reply_figure, self.parts[metric.name].scores()
            if figure is not None and scores is not None:
                columns[figure.name] = [None if np.isnan(score) else float(score) for score in scores]
            elif figure is not None and metric.needs_references:
                columns[figure.name] = [None] * len(self)
        return Segments(list(ids), columns, [len(words) for words in self.corpus.words])


@dataclass(frozen=True)
class Segments:
    """Scores of single replies: NIST-5 and BLEU-4 as mteval prints them for segments, METEOR, and extra metrics.

    Attributes:
        ids: (n,) ids of the replies.
        scores: {figure: (n,) scores}, with None for replies without a score, such as those without references.
        lengths: (n,) words in the cleaned replies.
    """

    ids: list[str]
    scores: dict[str, list[float | None]]
    lengths: list[int]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of segments.jsonl: ``{"id", <figure>..., "length"}``."""
        for i, name in enumerate(self.ids):
            yield {"id": name, **{key: values[i] for key, values in self.scores.items()}, "length": self.lengths[i]}


def checked_metrics(meteor: bool, extra: Sequence[str]) -> tuple[Metric, ...]:
    """Return the paper's metrics, with or without METEOR, and those of these names, each once; all can be computed.

    Raises:
        UserError: a metric is unknown, or a package, model or data file that it needs is missing.
    """
    metrics = (*paper.metrics(meteor), *(registry.get(name) for name in dict.fromkeys(extra)))
    for metric in metrics:
        metric.check()
    return metrics


def statistics(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    protocol: ProtocolConfig | None = None,
    *,
    meteor: bool = True,
    extra: Sequence[str] = (),
    contexts: Iterable[Iterable[str]] | None = None,
    progress: bool = False,
) -> Statistics:
    """Compute the statistics of replies under a protocol.

    Args:
        hypotheses: n replies.
        references: for each reply, the list of its references.
        protocol: reference slots and cleaning; None: text as given, all references.
        meteor: compute METEOR, the slowest of the paper's metrics.
        extra: names of extra metrics, which use the text before the protocol's cleaning.
        contexts: the turns before each reply, which a few extra metrics use.
        progress: show progress of slow metrics on stderr.

    Raises:
        UserError: the lengths differ, a metric is unknown, or a package, model or data file is missing.
    """
    whole = corpus(hypotheses, references, protocol, contexts)
    metrics = checked_metrics(meteor, extra)
    return Statistics(whole, metrics, {m.name: m.statistics(whole, progress=progress) for m in metrics})


def _require_same_metrics(sets: Sequence[Statistics], problem: str) -> None:
    names = [[metric.name for metric in statistics.metrics] for statistics in sets]
    common = set.intersection(*map(set, names))
    for name in dict.fromkeys(itertools.chain(*names)):
        if name not in common:
            raise UserError(f"{'METEOR' if name == 'meteor' else name} {problem}")
