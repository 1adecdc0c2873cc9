"""Embedding-based relevance of a reply to its references and to its context (Liu et al. 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dialoeval.metrics.base import Array, MeanMetric
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

if TYPE_CHECKING:
    import torch

    from dialoeval.metrics.extra._models import Encoded


def _figure(part: str, heading: str, needs_references: bool = True) -> Figure:
    return Figure(f"embedding_relevance{part}", heading, decimals=4, unit="-1..1", needs_references=needs_references)


class EmbeddingRelevance(MeanMetric):
    """Similarity with the best reference by `average` (the main figure), `extrema` and `greedy`, and with the context.

    The context's similarity is `average` with the joined turns. An empty text has similarity 0.
    """

    name = "embedding_relevance"
    description = (
        "cosine of reply and best reference: average, extrema, greedy; and of reply and context; takes :MODEL@LAYER"
    )
    figures = (
        _figure("", "Embedding avg"),
        _figure(".extrema", "Embedding extrema"),
        _figure(".greedy", "Embedding greedy"),
        _figure(".context", "Embedding context", needs_references=False),
    )
    takes_argument = True

    def check(self) -> None:
        """Check that the encoder is there.

        Raises:
            UserError: it is not.
        """
        from dialoeval.metrics.extra._models import check_encoder

        check_encoder(self.argument)

    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n, 4) average, extrema, greedy and context, NaN without references or context."""
        from dialoeval.metrics.extra._models import Encoder, split_layer

        name, layer = split_layer(self.argument)
        encoder = Encoder(name)
        layer = encoder.layers if layer is None else min(layer, encoder.layers)
        self._model = f"model:{encoder.name}|layer:{layer}"
        joined = ["\n".join(turns) for turns in corpus.contexts] if corpus.contexts else [""] * len(corpus)
        texts = {*corpus.hypotheses, *(r for refs in corpus.references for r in refs), *joined}
        vectors = encoder.encode(sorted(texts), layer)
        scores = np.full((len(corpus), 4), np.nan)
        for i, (hypothesis, refs) in enumerate(zip(corpus.hypotheses, corpus.references, strict=True)):
            reply = vectors[hypothesis]
            if refs:
                scores[i, :3] = [max(kind(reply, vectors[r]) for r in refs) for kind in (average, extrema, greedy)]
            if joined[i]:
                scores[i, 3] = average(reply, vectors[joined[i]])
        return scores

    def details(self, rows: Array) -> dict[str, Any]:
        """Return the numbers of replies that have references and context, and the main figure by its own name."""
        with_reference, with_context = int(rows[:, 4].sum()), int(rows[:, 7].sum())
        mean = self.values(rows.sum(axis=0, keepdims=True))[0, 0]
        return {
            "average": None if np.isnan(mean) else float(mean),
            "n": with_reference,
            "n_context": with_context,
            "left_out": len(rows) - with_reference,
        }

    def signature(self, corpus: Corpus) -> str:
        """Return model, layer and options."""
        return f"embedding_relevance|{self._model}|best-ref"


METRIC = EmbeddingRelevance


def average(a: Encoded, b: Encoded) -> float:
    """Return the cosine of the mean word vectors."""
    return _cosine(a.vectors[a.words].mean(dim=0), b.vectors[b.words].mean(dim=0)) if _both(a, b) else 0.0


def extrema(a: Encoded, b: Encoded) -> float:
    """Return the cosine of the vectors of extreme values, per dimension the farthest from 0 (Forgues et al. 2014)."""
    return _cosine(_extreme(a), _extreme(b)) if _both(a, b) else 0.0


def greedy(a: Encoded, b: Encoded) -> float:
    """Return the mean cosine of each word with the nearest of the other text, both ways (Rus and Lintean 2012)."""
    import torch

    if not _both(a, b):
        return 0.0
    normal = torch.nn.functional.normalize
    similarity = normal(a.vectors[a.words], dim=-1) @ normal(b.vectors[b.words], dim=-1).T
    return float((similarity.max(dim=1).values.mean() + similarity.max(dim=0).values.mean()) / 2)


def _both(a: Encoded, b: Encoded) -> bool:
    return bool(a.words.any()) and bool(b.words.any())


def _extreme(encoded: Encoded) -> torch.Tensor:
    vectors = encoded.vectors[encoded.words]
    return vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))[0]


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    import torch

    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))
