"""BERTScore (Zhang et al. 2020): greedy matching of contextual token vectors, without idf weights or rescaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array, MeanMetric
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

if TYPE_CHECKING:
    import torch

    from dialoeval.metrics.extra._models import Encoded

_DEFAULT_LAYERS = {"roberta-large": 17, "FacebookAI/roberta-large": 17}  # default of bert-score, tuned on WMT16


def _figure(name: str, heading: str) -> Figure:
    return Figure(name, heading, decimals=4, unit="0..1", needs_references=True)


class BertScore(MeanMetric):
    """F1, precision and recall, each the maximum over a reply's references, as in the bert-score package."""

    name = "bertscore"
    description = (
        "BERTScore F1 of the best reference, mean over replies; bertscore:MODEL@LAYER, default MiniLM's last layer"
    )
    figures = (
        _figure("bertscore", "BERTScore"),
        _figure("bertscore.precision", "BERTScore P"),
        _figure("bertscore.recall", "BERTScore R"),
    )
    takes_argument = True
    needs_references = True

    def check(self) -> None:
        """Check that the encoder is there.

        Raises:
            UserError: it is not.
        """
        from dialoeval.metrics.extra._models import check_encoder

        check_encoder(self.argument)

    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n, 3) F1, precision and recall."""
        from dialoeval.metrics.extra._models import Encoder, split_layer

        name, layer = split_layer(self.argument)
        encoder = Encoder(name)
        layer = _DEFAULT_LAYERS.get(encoder.name, encoder.layers) if layer is None else layer
        if layer > encoder.layers:
            raise UserError(f"bertscore: {encoder.name} has {encoder.layers} layers, not {layer}")
        self._model = f"model:{encoder.name}|layer:{layer}"
        pairs = list(zip(corpus.hypotheses, corpus.references, strict=True))
        vectors = encoder.encode([text.strip() for h, refs in pairs if refs for text in (h, *refs)], layer)
        scores = np.full((len(pairs), 3), np.nan)
        for i, (hypothesis, refs) in enumerate(pairs):
            if refs:
                matches = [match(vectors[hypothesis.strip()], vectors[r.strip()]) for r in refs]
                precision, recall, f1 = np.max([m.double().numpy() for m in matches], axis=0)
                scores[i] = f1, precision, recall
        return scores

    def signature(self, corpus: Corpus) -> str:
        """Return model, layer and options."""
        return f"bertscore|{self._model}|idf:no|rescaled:no|best-ref"


METRIC = BertScore


def match(hypothesis: Encoded, reference: Encoded) -> torch.Tensor:
    """Return (3,) precision, recall and F1 of two encoded texts, or zeros if either has no words.

    As in bert-score, words may match special tokens, but special tokens are not counted.
    """
    import torch

    if not hypothesis.words.any() or not reference.words.any():
        return torch.zeros(3)
    normal = torch.nn.functional.normalize
    similarity = normal(hypothesis.vectors, dim=-1) @ normal(reference.vectors, dim=-1).T
    precision = similarity.max(dim=1).values[hypothesis.words].mean()
    recall = similarity.max(dim=0).values[reference.words].mean()
    return torch.stack([precision, recall, 2 * precision * recall / (precision + recall)]).nan_to_num(0.0)
