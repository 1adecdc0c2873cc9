"""The share of the commonest reply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dialoeval.metrics.base import Array, Metric, MetricStatistics
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure
from dialoeval.text.plain_words import NORMALISATION, plain_text

_NAMES = ("commonest_reply", "commonest_reply.references")


@dataclass(frozen=True)
class Kinds(MetricStatistics):
    """The kinds of n replies, and of the first reference of each.

    Attributes:
        kinds: (2, n) number of the text's kind, -1 for no reference.
        texts: of each kind.
    """

    kinds: npt.NDArray[np.int64]
    texts: list[str]

    def figures(self, weights: Array | None = None) -> dict[str, Array]:
        """Return the weight of the commonest kind over all weight, NaN without weight."""
        weights = np.ones((1, self.kinds.shape[1])) if weights is None else weights.astype(float)
        return {
            name: np.array([_largest(kinds, row, len(self.texts)) for row in weights])
            for name, kinds in zip(_NAMES, self.kinds, strict=True)
            if (kinds >= 0).any()
        }

    def pooled(self, other: MetricStatistics) -> Kinds:
        """Return the kinds of both systems."""
        assert isinstance(other, Kinds)
        number = {text: k for k, text in enumerate(dict.fromkeys([*self.texts, *other.texts]))}
        sides = [np.array([*(number[text] for text in side.texts), -1])[side.kinds] for side in (self, other)]
        return Kinds(np.concatenate(sides, axis=1), list(number))

    def details(self) -> dict[str, Any]:
        """Return the commonest texts, how often they occur, and the number of distinct ones."""
        named = zip(("of_replies", "of_references"), self.kinds, strict=True)
        return {what: _described([self.texts[k] for k in kinds if k >= 0]) for what, kinds in named}


class CommonestReply(Metric):
    """The share of the replies that are the commonest one, up to case and punctuation.

    Beside it is the same share of the first references, one for each example.
    """

    name = "commonest_reply"
    description = "share of the replies that are the commonest one, beside that of the first references, 0..1"
    figures = (
        Figure(_NAMES[0], "Commonest", percent=True, unit="0..1", higher_is_better=False, size_biased=True),
        Figure(_NAMES[1], "Commonest refs", percent=True, unit="0..1", higher_is_better=False, size_biased=True,
               needs_references=True),
    )  # fmt: skip

    @property
    def reply_figure(self) -> None:
        """None: a single reply has no such figure."""
        return

    @property
    def columns(self) -> tuple[Figure, ...]:
        """Both figures."""
        return self.figures

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Kinds:
        """Return the kinds of a corpus."""
        replies = [plain_text(reply) for reply in corpus.hypotheses]
        first = [plain_text(references[0]) if references else None for references in corpus.references]
        number: dict[str | None, int] = {}
        for text in [*replies, *first]:
            if text is not None:
                number.setdefault(text, len(number))
        kinds = [[number.get(text, -1) for text in texts] for texts in (replies, first)]
        return Kinds(np.array(kinds, dtype=np.int64).reshape(2, -1), [str(text) for text in number])

    def signature(self, corpus: Corpus) -> str:
        """Return how texts are compared."""
        return f"commonest_reply|{NORMALISATION}"


METRIC = CommonestReply


def _largest(kinds: npt.NDArray[np.int64], weights: Array, count: int) -> float:
    known = kinds >= 0
    sums = np.bincount(kinds[known], weights=weights[known], minlength=count)
    return float(sums.max() / sums.sum()) if sums.sum() > 0 else float("nan")


def _described(texts: Sequence[str]) -> dict[str, Any]:
    commonest = Counter(texts).most_common(5)
    return {"distinct": len(set(texts)), "commonest": [{"text": text, "count": count} for text, count in commonest]}
