"""Perplexity of replies under a causal language model: a figure of fluency, not of relevance."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array, RowMetric, Rows
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

_LARGEST_LOSS = 700.0  # nats per token; exp of more is infinite


class Perplexity(RowMetric):
    """exp of the mean -ln p over all tokens of all replies, each after the model's start token.

    Replies without a token have none and are counted; those longer than the model's window are cut and counted.
    """

    name = "perplexity"
    description = "perplexity of the replies by themselves under a causal model: perplexity:MODEL (hub name or folder)"
    figures = (Figure("perplexity", "Perplexity", unit="1 and up", higher_is_better=False),)
    takes_argument = True

    def __init__(self, argument: str | None = None) -> None:
        super().__init__(argument)
        if not argument:
            raise UserError("perplexity needs a model after a colon, a hub name or a folder: perplexity:gpt2")

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        from dialoeval.metrics.extra._models import LanguageModel

        assert self.argument is not None
        model = LanguageModel(self.argument)
        losses = [model.losses(text) for text in corpus.hypotheses]
        rows = np.array([[loss, tokens] for loss, tokens, _ in losses], dtype=float).reshape(-1, 2)
        judged: npt.NDArray[np.bool_] = rows[:, 1] > 0
        more: dict[str, Any] = {
            "tokens": int(rows[:, 1].sum()),
            "empty": int((~judged).sum()),
            "cut": sum(cut for *_, cut in losses),
        }
        return Rows(self, rows, judged, more)

    def rows(self, corpus: Corpus) -> Array:
        return self.statistics(corpus).rows

    def values(self, totals: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.exp(np.minimum(totals[:, :1] / totals[:, 1:], _LARGEST_LOSS))

    def signature(self, corpus: Corpus) -> str:
        return f"perplexity|model:{self.argument}|context:none|per-token"


METRIC = Perplexity
