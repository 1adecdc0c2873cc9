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
from dialoeval.metrics.protocol import signed_name
from dialoeval.version import __version__


class _Overlap(RowMetric):
    """A metric of mteval-v14, computed from the n-gram matches that NIST and BLEU share."""

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        """Compute the rows of a corpus, which may have no references."""
        return Rows(self, self.rows(corpus), corpus.judged)

    def merged(self, corpus: Corpus, parts: list[MetricStatistics]) -> MetricStatistics:
        """Compute the statistics of the whole corpus again."""
        return self.statistics(corpus)  # information weights come from the references of the whole set


class Nist(_Overlap):
    """NIST-1..5 (Doddington 2002)."""

    name = "nist"
    description = "NIST-1..5, cumulative, as mteval-v14 prints it"
    figures = NIST

    @property
    def reply_figure(self) -> Figure:
        """NIST-5, as mteval prints it for segments."""
        return replace(NIST[4], name="nist")

    def rows(self, corpus: Corpus) -> Array:
        """Return (n, 11) statistics of `mteval_nist`."""
        return mteval_nist.statistics(corpus.overlap)

    def values(self, totals: Array) -> Array:
        """Return (m, 5) cumulative NIST-1..5."""
        return mteval_nist.figures(totals)

    def reply_scores(self, rows: Array) -> Array:
        """Return (n,) NIST-5."""
        return self.values(rows)[:, 4]

    def signature(self, corpus: Corpus) -> str:
        """Return protocol, references, tokenizer and information weights."""
        return f"{_mteval(corpus)}|info:all-refs|{_version()}"


class Bleu(_Overlap):
    """BLEU-1..4 (Papineni et al. 2002)."""

    name = "bleu"
    description = "BLEU-1..4, cumulative, as mteval-v14 prints it (0..1)"
    figures = BLEU

    @property
    def reply_figure(self) -> Figure:
        """BLEU-4, as mteval prints it for segments."""
        return replace(BLEU[3], name="bleu")

    def rows(self, corpus: Corpus) -> Array:
        """Return (n, 9) statistics of `mteval_bleu`."""
        return mteval_bleu.statistics(corpus.overlap)

    def values(self, totals: Array) -> Array:
        """Return (m, 4) cumulative BLEU-1..4."""
        return mteval_bleu.figures(totals)

    def best_row(self, rows: Array) -> Array:
        """Return (9,) statistics of the reply with the most matches of long n-grams, and at least one of each order.

        A few replies, or none, have matches of four words, so that replies not seen yet matter.
        """
        return mteval_bleu.best(rows)

    def reply_scores(self, rows: Array) -> Array:
        """Return (n,) BLEU-4."""
        return self.values(rows)[:, 3]

    def signature(self, corpus: Corpus) -> str:
        """Return protocol, references, tokenizer and smoothing."""
        return f"{_mteval(corpus)}|smooth:mteval-exp|eff:cumulative|{_version()}"


class Meteor(RowMetric):
    """METEOR 1.5 (Denkowski and Lavie 2014)."""

    name = "meteor"
    description = "METEOR 1.5, as meteor-1.5.jar -l en -norm prints it (0..1)"
    figures = (METEOR,)

    def check(self) -> None:
        """Check that METEOR's language data is there, and the folder of its index.

        Raises:
            UserError: pycocoevalcap is missing, or the index is not built and its folder cannot be written.
        """
        from dialoeval.metrics.meteor15 import index

        index.check()

    def rows(self, corpus: Corpus) -> Array:
        """Return the statistics of `meteor15`, one row for each reply."""
        return self._rows(corpus, progress=False)

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        """Align replies with their references, which is the slow part; replies it leaves out are not scored."""
        rows = self._rows(corpus, progress)
        return Rows(self, np.nan_to_num(rows), corpus.judged & ~np.isnan(rows[:, 0]))

    def values(self, totals: Array) -> Array:
        """Return (m, 1) METEOR."""
        from dialoeval.metrics import meteor15

        return meteor15.figures(totals)[..., None]

    def best_row(self, rows: Array) -> Array:
        """Return the statistics of the reply with the best score: a few that equal a reference count for much."""
        best: Array = rows[int(self.reply_scores(rows).argmax())]
        return best

    def reply_scores(self, rows: Array) -> Array:
        """Return (n,) METEOR."""
        from dialoeval.metrics import meteor15

        return meteor15.segments(rows)

    def signature(self, corpus: Corpus) -> str:
        """Return protocol, references and METEOR's options."""
        from dialoeval.metrics import meteor15

        return f"{_relevance(corpus)}|{meteor15.signature()}|{_version()}"

    def _rows(self, corpus: Corpus, progress: bool) -> Array:
        from dialoeval.metrics import meteor15

        return meteor15.statistics(corpus.texts.hypotheses, corpus.texts.references, progress=progress)


@dataclass(frozen=True)
class DiversityStatistics(MetricStatistics):
    """Statistics for n-gram counts over all replies, which do not add up over replies.

    Attributes:
        words: (n,) words of each reply.
    """

    words: list[list[str]]

    @cached_property
    def counts(self) -> Diversity:
        """N-gram counts of the replies."""
        return Diversity(self.words)

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        """Return entropy-1..4 and distinct-1..2, each (m,)."""
        return self.counts.figures(None if weights is None else weights.astype(np.int64))

    def pooled(self, other: MetricStatistics) -> DiversityStatistics:
        """Return the words of both systems, this one's first."""
        assert isinstance(other, DiversityStatistics)
        return DiversityStatistics(self.words + other.words)


class DiversityMetric(Metric):
    """Entropy (Zhang et al. 2018) and distinct-n (Li et al. 2016), from the same n-gram counts."""

    name = "diversity"
    description = "entropy-1..4 in nats and distinct-1..2 (0..1) over all replies"
    figures = (*ENTROPY, *DISTINCT)

    @property
    def reply_figure(self) -> None:
        """None: single replies have no score."""
        return None

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> DiversityStatistics:
        """Return the words of the cleaned replies."""
        return DiversityStatistics(corpus.words)

    def signature(self, corpus: Corpus) -> str:
        """Return protocol, case and tokenizer."""
        case = "lc" if corpus.protocol.clean == "dstc7" else "mixed"
        return f"{_common(corpus)}|case:{case}|tok:split|{_version()}"

    def signatures(self, corpus: Corpus) -> dict[str, str]:
        """Return the signatures of entropy and distinct."""
        signature = self.signature(corpus)
        return {"entropy": f"{signature}|log:e", "distinct": signature}


class Length(RowMetric):
    """Mean words per reply."""

    name = "avg_len"
    description = "mean words per reply; empty replies count as 0"
    figures = (LENGTH,)

    @property
    def reply_figure(self) -> None:
        """None: the segments have the length as a column of its own."""
        return None

    def rows(self, corpus: Corpus) -> Array:
        """Return (n, 2): words, and 1."""
        return np.array([(len(words), 1) for words in corpus.words], dtype=float).reshape(-1, 2)

    def values(self, totals: Array) -> Array:
        """Return (m, 1) mean words per reply."""
        return (totals[..., 0] / np.maximum(totals[..., 1], 1))[..., None]

    def signature(self, corpus: Corpus) -> str:
        """Return protocol, case and tokenizer."""
        return DiversityMetric().signature(corpus)


def metrics(meteor: bool = True) -> tuple[Metric, ...]:
    """Return the paper's metrics in the order of its tables, with or without METEOR, which is slow."""
    return (Nist(), Bleu(), *((Meteor(),) if meteor else ()), DiversityMetric(), Length())


DESCRIPTIONS = {
    "nist": Nist.description,
    "bleu": Bleu.description,
    "meteor": Meteor.description,
    "entropy": "entropy of the 1..4-gram distribution of all replies, in nats",
    "distinct": "distinct 1,2-grams over all 1,2-grams of all replies (0..1)",
    "avg_len": Length.description,
}
"""{metric: description} of the paper's metrics in `dialoeval list metrics`."""


def signatures(metrics: tuple[Metric, ...], corpus: Corpus) -> dict[str, str]:
    """Return {metric: signature} in the order of scores.json, with METEOR last."""
    ordered = sorted(metrics, key=lambda metric: isinstance(metric, Meteor))
    return {name: text for metric in ordered for name, text in metric.signatures(corpus).items()}


def _version() -> str:
    return f"version:dialoeval-{__version__}"


def _common(corpus: Corpus) -> str:
    return f"protocol:{signed_name(corpus.protocol)}|clean:{corpus.protocol.clean}"


def _relevance(corpus: Corpus) -> str:
    held_out = "" if corpus.protocol.held_out is None else f"|held-out:{corpus.protocol.held_out}"
    return f"{_common(corpus)}|refs:{references_key(corpus)}|slots:{corpus.protocol.slots or 'all'}{held_out}"


def _mteval(corpus: Corpus) -> str:
    return f"{_relevance(corpus)}|case:ascii-lc|tok:mteval-v14|empty:{corpus.protocol.empty_word or 'none'}"


def references_key(corpus: Corpus) -> str:
    """Return the number of references per reply, as one number or as ``varMIN-MAX``."""
    counts = {len(refs) for refs in corpus.texts.references}
    if not counts:
        return "0"
    return str(min(counts)) if len(counts) == 1 else f"var{min(counts)}-{max(counts)}"


__all__ = [
    "DESCRIPTIONS",
    "Bleu",
    "DiversityMetric",
    "DiversityStatistics",
    "Length",
    "Meteor",
    "Nist",
    "metrics",
    "references_key",
    "signatures",
]
