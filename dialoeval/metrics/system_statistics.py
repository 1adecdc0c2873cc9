"""Statistics of the replies of one system for several metrics, and the figures of any choice of these replies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dialoeval.config import ProtocolConfig
from dialoeval.errors import UserError
from dialoeval.metrics import paper, registry
from dialoeval.metrics.base import Array, Metric, MetricStatistics
from dialoeval.metrics.corpus import Corpus, corpus, join, require_same


@dataclass(frozen=True)
class Statistics:
    """What every figure of one system follows from: the currency of scores, intervals, tests and shard merges.

    Attributes:
        corpus: the replies and what they are scored against.
        metrics: the paper's first, then others.
        parts: the statistics of each metric, by its name.
    """

    corpus: Corpus
    metrics: tuple[Metric, ...]
    parts: dict[str, MetricStatistics]

    def __len__(self) -> int:
        return len(self.corpus)

    @property
    def size_biased(self) -> frozenset[str]:
        """Names of figures that depend on the number of replies: see `Figure.size_biased`."""
        return frozenset(f.name for metric in self.metrics for f in metric.figures if f.size_biased)

    def figures(self, weights: np.ndarray | None = None) -> dict[str, Array]:
        """Return {figure: (m,) values} for `weights` (m, n), how often each reply is taken; None: each once, m = 1.

        NIST keeps the information weights of the whole set. Figures that need references are left out where no reply
        has any.
        """
        values: dict[str, Array] = {}
        for metric in self.metrics:
            values |= self.parts[metric.name].figures(weights)
        return values

    def pooled(self, other: Statistics) -> Statistics:
        """Return both systems' replies to the same examples as one set, this one's first; NIST keeps its weights.

        Raises:
            UserError: the references, protocols or metrics differ.
        """
        require_same(self.corpus, other.corpus)
        _require_same_metrics([self, other], "was computed for one system only")
        parts = {name: part.pooled(other.parts[name]) for name, part in self.parts.items()}
        return Statistics(self.corpus.joined(other.corpus), self.metrics, parts)

    @staticmethod
    def merge(shards: Sequence[Statistics]) -> Statistics:
        """Return the statistics of all shards together: equal to those of the whole set, in the order given.

        NIST's information weights and the n-gram counts are computed anew from the texts; slow METEOR is not.

        Raises:
            UserError: the shards were computed under different protocols, or for different metrics.
        """
        whole = join([shard.corpus for shard in shards])
        _require_same_metrics(shards, "is there for some shards only: compute it for all or for none")
        metrics = shards[0].metrics
        parts = {m.name: m.merged(whole, [shard.parts[m.name] for shard in shards]) for m in metrics}
        return Statistics(whole, metrics, parts)

    def segments(self, ids: Sequence[str]) -> Segments:
        """Return the scores of each reply; `ids` name the replies, in their order."""
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
    """Scores of single replies: NIST-5 and BLEU-4 as mteval prints them for a segment, METEOR, those of other metrics.

    Attributes:
        ids: (n,) of the replies.
        scores: {figure: (n,)}; None where a reply has no score, for want of a reference.
        lengths: (n,) words of the cleaned replies.
    """

    ids: list[str]
    scores: dict[str, list[float | None]]
    lengths: list[int]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of segments.jsonl: ``{"id", <figure>..., "length"}``."""
        for i, name in enumerate(self.ids):
            yield {"id": name, **{key: values[i] for key, values in self.scores.items()}, "length": self.lengths[i]}


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
        references: for each reply the list of its references.
        protocol: None: the text as it is, every reference.
        meteor: with METEOR, the costly one of the paper's metrics.
        extra: names of metrics beside the paper's; they see the text before the protocol's cleaning.
        contexts: the turns before each reply, which some extra metrics look at.
        progress: show how far slow metrics are, on stderr.

    Raises:
        UserError: the lists do not fit, an unknown metric, or what a metric needs is missing.
    """
    metrics = (*paper.metrics(meteor), *(registry.get(name) for name in dict.fromkeys(extra)))
    whole = corpus(hypotheses, references, protocol, contexts)
    return Statistics(whole, metrics, {m.name: m.statistics(whole, progress=progress) for m in metrics})


def _require_same_metrics(sets: Sequence[Statistics], problem: str) -> None:
    names = [[metric.name for metric in one.metrics] for one in sets]
    common = set.intersection(*map(set, names))
    for name in dict.fromkeys(name for one in names for name in one):
        if name not in common:
            raise UserError(f"{'METEOR' if name == 'meteor' else name} {problem}")
