"""The paper's metrics: NIST, BLEU, METEOR, and entropy, distinct-n and length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dialoeval.metrics import mteval_bleu, mteval_nist
from dialoeval.metrics.base import Array, Metric, MetricStatistics, RowMetric, Rows
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.diversity import Diversity
from dialoeval.metrics.figures import BLEU, DISTINCT, ENTROPY, LENGTH, METEOR, NIST, Figure
from dialoeval.version import __version__


class _Overlap(RowMetric):
    """A metric of mteval-v14, over n-gram matches that NIST and BLEU share."""

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        return Rows(self, self.rows(corpus), corpus.judged)

    def merged(self, corpus: Corpus, parts: list[MetricStatistics]) -> MetricStatistics:
        return self.statistics(corpus)  # information weights come from the references of the whole set


class Nist(_Overlap):
    name = "nist"
    description = "NIST-1..5, cumulative, as mteval-v14 prints it"
    figures = NIST

    @property
    def reply_figure(self) -> Figure:
        return replace(NIST[4], name="nist")

    def rows(self, corpus: Corpus) -> Array:
        return mteval_nist.statistics(corpus.overlap)

    def values(self, totals: Array) -> Array:
        return mteval_nist.figures(totals)

    def reply_scores(self, rows: Array) -> Array:
        return self.values(rows)[:, 4]

    def signature(self, corpus: Corpus) -> str:
        return f"{_mteval(corpus)}|info:all-refs|{_version()}"


class Bleu(_Overlap):
    name = "bleu"
    description = "BLEU-1..4, cumulative, as mteval-v14 prints it (0..1)"
    figures = BLEU

    @property
    def reply_figure(self) -> Figure:
        return replace(BLEU[3], name="bleu")

    def rows(self, corpus: Corpus) -> Array:
        return mteval_bleu.statistics(corpus.overlap)

    def values(self, totals: Array) -> Array:
        return mteval_bleu.figures(totals)

    def reply_scores(self, rows: Array) -> Array:
        return self.values(rows)[:, 3]

    def signature(self, corpus: Corpus) -> str:
        return f"{_mteval(corpus)}|smooth:mteval-exp|eff:cumulative|{_version()}"


class Meteor(RowMetric):
    name = "meteor"
    description = "METEOR 1.5, as meteor-1.5.jar -l en -norm prints it (0..1)"
    figures = (METEOR,)

    def rows(self, corpus: Corpus) -> Array:
        return self._rows(corpus, progress=False)

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        return Rows(self, self._rows(corpus, progress), corpus.judged)

    def values(self, totals: Array) -> Array:
        from dialoeval.metrics import meteor15

        return meteor15.figures(totals)[..., None]

    def reply_scores(self, rows: Array) -> Array:
        from dialoeval.metrics import meteor15

        return meteor15.segments(rows)

    def signature(self, corpus: Corpus) -> str:
        from dialoeval.metrics import meteor15

        return f"{_relevance(corpus)}|{meteor15.signature()}|{_version()}"

    def _rows(self, corpus: Corpus, progress: bool) -> Array:
        from dialoeval.metrics import meteor15

        return meteor15.statistics(corpus.texts.hypotheses, corpus.texts.references, progress=progress)


@dataclass(frozen=True)
class DiversityStatistics(MetricStatistics):
    """The words of the replies; n-gram counts of all of them, which do not add up but follow from any choice."""

    words: list[list[str]]

    @cached_property
    def counts(self) -> Diversity:
        """N-gram counts."""
        return Diversity(self.words)

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        return self.counts.figures(None if weights is None else weights.astype(np.int64))

    def pooled(self, other: MetricStatistics) -> DiversityStatistics:
        assert isinstance(other, DiversityStatistics)
        return DiversityStatistics(self.words + other.words)


class DiversityMetric(Metric):
    """Entropy, distinct-n and average length, which share their n-gram counts."""

    name = "diversity"
    description = "entropy-1..4 in nats, distinct-1..2 (0..1), and mean words a reply, over all replies"
    figures = (*ENTROPY, *DISTINCT, LENGTH)

    @property
    def reply_figure(self) -> None:
        return None

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> DiversityStatistics:
        return DiversityStatistics(corpus.words)

    def signature(self, corpus: Corpus) -> str:
        case = "lc" if corpus.protocol.clean == "dstc7" else "mixed"
        return f"{_common(corpus)}|case:{case}|tok:split|{_version()}"

    def signatures(self, corpus: Corpus) -> dict[str, str]:
        words = self.signature(corpus)
        return {"entropy": f"{words}|log:e", "distinct": words, "avg_len": words}


def metrics(meteor: bool = True) -> tuple[Metric, ...]:
    """Return the paper's metrics in the order of its tables; `meteor`, the costly one, may be left out."""
    return (Nist(), Bleu(), *((Meteor(),) if meteor else ()), DiversityMetric())


DESCRIPTIONS = {
    "nist": Nist.description,
    "bleu": Bleu.description,
    "meteor": Meteor.description,
    "entropy": "entropy of the 1..4-gram distribution of all replies, in nats",
    "distinct": "distinct 1,2-grams over all 1,2-grams of all replies (0..1)",
    "avg_len": "mean words a reply, empty ones counted as 0",
}
"""The paper's metrics as `dialoeval list metrics` names them."""


def signatures(metrics: tuple[Metric, ...], corpus: Corpus) -> dict[str, str]:
    """Return the signatures of metrics in the order of scores.json: METEOR, which may be absent, comes last."""
    ordered = sorted(metrics, key=lambda metric: isinstance(metric, Meteor))
    return {name: text for metric in ordered for name, text in metric.signatures(corpus).items()}


def _version() -> str:
    return f"version:dialoeval-{__version__}"


def _common(corpus: Corpus) -> str:
    return f"protocol:{corpus.protocol.name}|clean:{corpus.protocol.clean}"


def _relevance(corpus: Corpus) -> str:
    return f"{_common(corpus)}|refs:{references_key(corpus)}|slots:{corpus.protocol.slots or 'all'}"


def _mteval(corpus: Corpus) -> str:
    return f"{_relevance(corpus)}|case:ascii-lc|tok:mteval-v14|empty:{corpus.protocol.empty_word or 'none'}"


def references_key(corpus: Corpus) -> str:
    """Return how many references a reply was scored against: one number, or ``var`` with the range."""
    counts = {len(refs) for refs in corpus.texts.references}
    if not counts:
        return "0"
    return str(min(counts)) if len(counts) == 1 else f"var{min(counts)}-{max(counts)}"


__all__ = [
    "DESCRIPTIONS",
    "Bleu",
    "DiversityMetric",
    "DiversityStatistics",
    "Meteor",
    "Nist",
    "metrics",
    "references_key",
    "signatures",
]
