"""Metrics of texts by themselves, shown beside the same figures of the human references."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array, MeanMetric, MetricStatistics, Rows
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure


def beside(*parts: Figure) -> tuple[Figure, ...]:
    """Return figures of the replies, those of their references, and the paired differences.

    Args:
        parts: the main figure ``metric`` first, then ``metric.part``. The others are called ``metric.references`` and
            ``metric.difference``, or ``metric.part_references`` and ``metric.part_difference``.
    """
    references = tuple(
        replace(f, name=_named(f, "references"), heading=f"{f.heading} refs", needs_references=True) for f in parts
    )
    differences = tuple(
        replace(f, name=_named(f, "difference"), heading=f"{f.heading} diff", needs_references=True, unit=_span(f))
        for f in parts
    )
    return (*parts, *references, *differences)


@dataclass(frozen=True)
class DetailedRows(Rows):
    """Rows with further JSON values that follow from rows and texts."""

    more: dict[str, Any] = field(default_factory=dict)

    def details(self) -> dict[str, Any]:
        """Return the details of the rows, and `more`."""
        return super().details() | self.more


class BesideReferences(MeanMetric):
    """A score of a text, as a mean over the replies, as a mean over their references, and as a paired difference.

    An example counts for the references with the mean of their scores, and for the difference if its reply and a
    reference have a score. References without text are left out.

    Attributes:
        sums: whether the tables have a column for the difference too.
    """

    difference_column: ClassVar[bool] = False

    @abstractmethod
    def text_scores(self, corpus: Corpus, examples: Sequence[int], texts: Sequence[str]) -> Array:
        """Return (t, k) scores of texts, NaN if undefined; k is the number of figures of the replies.

        Args:
            corpus: with the contexts.
            examples: (t,) of each text, its position in the corpus.
            texts: all replies, then all references.
        """

    def corpus_details(self, corpus: Corpus, rows: Array) -> dict[str, Any]:
        """Return further JSON values that need the texts."""
        return {}

    @property
    def columns(self) -> tuple[Figure, ...]:
        """The main figure, that of the references and, for some metrics, the difference."""
        k = len(self.figures) // 3
        return (self.figures[0], self.figures[k], *([self.figures[2 * k]] if self.difference_column else []))

    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n, 3k) scores of replies, means of their references, and differences."""
        n = len(corpus)
        owners = [i for i, references in enumerate(corpus.references) for text in references if text.strip()]
        texts = [text for references in corpus.references for text in references if text.strip()]
        scores = self.text_scores(corpus, [*range(n), *owners], [*corpus.hypotheses, *texts])
        replies, theirs = scores[:n], scores[n:]
        defined = ~np.isnan(theirs)
        sums, counts = np.zeros_like(replies), np.zeros_like(replies)
        np.add.at(sums, owners, np.nan_to_num(theirs))
        np.add.at(counts, owners, defined)
        with np.errstate(invalid="ignore", divide="ignore"):
            references = np.where(counts > 0, sums / counts, np.nan)
        return np.hstack([replies, references, replies - references])

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        """Compute the rows of a corpus, with the details of its texts."""
        self.progress = progress
        return self._detailed(corpus, super().statistics(corpus, progress=progress))

    def merged(self, corpus: Corpus, parts: list[MetricStatistics]) -> MetricStatistics:
        """Return the rows of all shards, with the details of all texts."""
        whole = super().merged(corpus, parts)
        assert isinstance(whole, Rows)
        return self._detailed(corpus, whole)

    def details(self, rows: Array) -> dict[str, Any]:
        """Return how many replies have a score and are left out, and how many examples have a scored reference."""
        k = len(self.figures)
        scored = int(rows[:, k].sum())
        return {"n": scored, "left_out": len(rows) - scored, "n_references": int(rows[:, k + k // 3].sum())}

    def _detailed(self, corpus: Corpus, rows: Rows) -> DetailedRows:
        return DetailedRows(self, rows.rows, rows.judged, self.corpus_details(corpus, rows.rows))


def contexts_of(name: str, corpus: Corpus) -> list[list[str]]:
    """Return the contexts of a corpus.

    Raises:
        UserError: no reply has one.
    """
    if not corpus.contexts or not any(turn.strip() for turns in corpus.contexts for turn in turns):
        raise UserError(
            f'{name} needs the turns before each reply, and no reply has any: give the replies a field "context" '
            "(dialoeval score), or contexts= in Python"
        )
    return corpus.contexts


def _named(figure: Figure, what: str) -> str:
    return f"{figure.name}_{what}" if "." in figure.name else f"{figure.name}.{what}"


def _span(figure: Figure) -> str:
    """Return the unit of a difference: ``-1..1`` for shares."""
    return "-1..1" if figure.unit == "0..1" else f"difference in {figure.unit}"
