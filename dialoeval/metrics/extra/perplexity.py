"""Perplexity of replies under a causal language model: a figure of fluency, not of relevance."""

from __future__ import annotations

from dialoeval.errors import UserError

DESCRIPTION = "perplexity of the replies by themselves under a causal model: perplexity:MODEL (hub name or folder)"


def compute(hypotheses, references, contexts=None, argument=None):
    """exp of the mean -ln p over all tokens of all replies, each after the model's start token.

    Replies without a token have none and are counted; those longer than the model's window are cut and counted.
    """
    import math

    from dialoeval.metrics.extra._models import LanguageModel

    if not argument:
        raise UserError("perplexity needs a model after a colon, a hub name or a folder: perplexity:gpt2")
    model = LanguageModel(argument)
    losses = [model.losses(text) for text in hypotheses]
    tokens = sum(count for _, count, _ in losses)
    mean = sum(loss for loss, *_ in losses) / tokens if tokens else None
    return {
        "score": math.exp(min(mean, 700.0)) if mean is not None else None,
        "tokens": tokens,
        "empty": sum(count == 0 for _, count, _ in losses),
        "cut": sum(cut for *_, cut in losses),
        "signature": f"perplexity|model:{argument}|context:none|per-token",
        "n": len(hypotheses),
    }
