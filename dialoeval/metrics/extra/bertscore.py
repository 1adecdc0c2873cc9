"""BERTScore (Zhang et al. 2020): greedy matching of contextual token vectors, without idf weights or rescaling."""

from __future__ import annotations

from dialoeval.errors import UserError

DESCRIPTION = (
    "BERTScore F1 of the best reference, mean over replies; bertscore:MODEL@LAYER, default MiniLM's last layer"
)

_DEFAULT_LAYERS = {"roberta-large": 17, "FacebookAI/roberta-large": 17}  # bert-score's choice on WMT16


def compute(hypotheses, references, contexts=None, argument=None):
    """Precision, recall and F1, each the best over a reply's references, as in the bert-score package."""
    import torch

    from dialoeval.metrics.extra._models import Encoder, split_layer

    pairs = [(h, refs) for h, refs in zip(hypotheses, references, strict=True) if refs]
    if not pairs:
        raise UserError("bertscore needs references, and no reply has one")
    name, layer = split_layer(argument)
    encoder = Encoder(name)
    layer = _DEFAULT_LAYERS.get(name, encoder.layers) if layer is None else layer
    if layer > encoder.layers:
        raise UserError(f"bertscore: {encoder.name} has {encoder.layers} layers, not {layer}")
    vectors = encoder.encode([text.strip() for h, refs in pairs for text in (h, *refs)], layer)
    best = torch.stack(
        [
            torch.stack([match(vectors[h.strip()], vectors[r.strip()]) for r in refs]).max(dim=0).values
            for h, refs in pairs
        ]
    )
    precision, recall, f1 = best.double().mean(dim=0).tolist()
    return {
        "score": f1,
        "precision": precision,
        "recall": recall,
        "signature": f"bertscore|model:{encoder.name}|layer:{layer}|idf:no|rescaled:no|best-ref",
        "n": len(pairs),
        "left_out": len(hypotheses) - len(pairs),
    }


def match(hypothesis, reference):
    """(3,) precision, recall and F1 of two encoded texts; zeros where one has no words.

    As in bert-score, special tokens may be matched but do not count themselves.
    """
    import torch

    if not hypothesis.words.any() or not reference.words.any():
        return torch.zeros(3)
    normal = torch.nn.functional.normalize
    similarity = normal(hypothesis.vectors, dim=-1) @ normal(reference.vectors, dim=-1).T
    precision = similarity.max(dim=1).values[hypothesis.words].mean()
    recall = similarity.max(dim=0).values[reference.words].mean()
    return torch.stack([precision, recall, 2 * precision * recall / (precision + recall)]).nan_to_num(0.0)
