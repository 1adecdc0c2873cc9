"""Perplexity of replies under a causal language model, which measures fluency, not relevance."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array, RowMetric, Rows
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.figures import Figure

_LARGEST_LOSS = 700.0  # nats per token; exp overflows above about 709


class Perplexity(RowMetric):
    """The exponential of the mean -ln p over the tokens of all replies, each reply after the model's start token.

    Replies longer than the model's context length are truncated. The details count these, and replies without tokens,
    which are left out.
    """

    name = "perplexity"
    description = (
        "perplexity of the replies, without context, under a causal model: perplexity:MODEL (Hub name or folder)"
    )
    figures = (Figure("perplexity", "Perplexity", unit="1 and up", higher_is_better=False),)
    takes_argument = True

    def __init__(self, argument: str | None = None) -> None:
        super().__init__(argument)
        if not argument:
            raise UserError("perplexity needs a model after a colon, a Hub name or a folder: perplexity:gpt2")

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        """Compute the loss and the number of tokens of each reply."""
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
        """Return (n, 2) loss in nats and number of tokens."""
        return self.statistics(corpus).rows

    def values(self, totals: Array) -> Array:
        """Return (m, 1) perplexities."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.exp(np.minimum(totals[:, :1] / totals[:, 1:], _LARGEST_LOSS))

    def signature(self, corpus: Corpus) -> str:
        """Return model and options."""
        return f"perplexity|model:{self.argument}|context:none|per-token"


METRIC = Perplexity
