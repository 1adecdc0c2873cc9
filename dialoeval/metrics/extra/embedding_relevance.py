"""Embedding-based relevance of a reply to its references and to its context (Liu et al. 2016)."""

from __future__ import annotations

DESCRIPTION = (
    "cosine of reply and best reference: average, extrema, greedy; and of reply and context; takes :MODEL@LAYER"
)


def compute(hypotheses, references, contexts=None, argument=None):
    """Means over replies: `average` (the score), `extrema`, `greedy` with the best reference; `context`: average with
    the joined turns. None where no reply has references, or a context. An empty text has similarity 0.
    """
    from dialoeval.metrics.extra._models import Encoder, split_layer

    name, layer = split_layer(argument)
    encoder = Encoder(name)
    layer = encoder.layers if layer is None else min(layer, encoder.layers)
    joined = ["\n".join(turns) for turns in contexts] if contexts else [""] * len(hypotheses)
    texts = {*hypotheses, *(r for refs in references for r in refs), *joined}
    vectors = encoder.encode(sorted(texts), layer)
    judged = [(vectors[h], [vectors[r] for r in refs]) for h, refs in zip(hypotheses, references, strict=True) if refs]
    placed = [(vectors[h], vectors[c]) for h, c in zip(hypotheses, joined, strict=True) if c]
    figures = {
        kind.__name__: _mean([max(kind(hypothesis, r) for r in refs) for hypothesis, refs in judged])
        for kind in (average, extrema, greedy)
    }
    return {
        "score": figures["average"],
        **figures,
        "context": _mean([average(hypothesis, context) for hypothesis, context in placed]),
        "signature": f"embedding_relevance|model:{encoder.name}|layer:{layer}|best-ref",
        "n": len(judged),
        "n_context": len(placed),
        "left_out": len(hypotheses) - len(judged),
    }


def average(a, b):
    """Cosine of the mean token vectors."""
    return _cosine(a.vectors[a.words].mean(dim=0), b.vectors[b.words].mean(dim=0)) if _both(a, b) else 0.0


def extrema(a, b):
    """Cosine of the vectors that hold, in each dimension, the tokens' value farthest from 0 (Forgues et al. 2014)."""
    return _cosine(_extreme(a), _extreme(b)) if _both(a, b) else 0.0


def greedy(a, b):
    """Mean cosine of each token with its nearest of the other text, both ways (Rus and Lintean 2012)."""
    import torch

    if not _both(a, b):
        return 0.0
    normal = torch.nn.functional.normalize
    similarity = normal(a.vectors[a.words], dim=-1) @ normal(b.vectors[b.words], dim=-1).T
    return float((similarity.max(dim=1).values.mean() + similarity.max(dim=0).values.mean()) / 2)


def _both(a, b):
    return bool(a.words.any()) and bool(b.words.any())


def _extreme(encoded):
    vectors = encoded.vectors[encoded.words]
    return vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))[0]


def _cosine(a, b):
    import torch

    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def _mean(values):
    return sum(values) / len(values) if values else None
