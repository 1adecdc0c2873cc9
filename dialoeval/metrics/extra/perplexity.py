"""Perplexity of replies under a causal language model, which measures fluency, not relevance."""

from __future__ import annotations

from typing import Any

import numpy as np

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

    def check(self) -> None:
        """Check that the model is there.

        Raises:
            UserError: it is not.
        """
        from dialoeval.models import check_model

        assert self.argument is not None
        check_model(self.argument)

    def statistics(self, corpus: Corpus, *, progress: bool = False) -> Rows:
        """Compute the rows of a corpus; replies without tokens are not scored."""
        rows = self.rows(corpus)
        return Rows(self, rows, rows[:, 1] > 0)

    def rows(self, corpus: Corpus) -> Array:
        """Return (n, 3) loss in nats, number of tokens, and whether the reply was truncated."""
        from dialoeval.metrics.extra._models import LanguageModel

        assert self.argument is not None
        model = LanguageModel(self.argument)
        return np.array([model.losses(text) for text in corpus.hypotheses], dtype=float).reshape(-1, 3)

    def details(self, rows: Array) -> dict[str, Any]:
        """Return the numbers of tokens, of replies without tokens, and of truncated replies."""
        _, tokens, cut = rows.T
        return {"tokens": int(tokens.sum()), "empty": int((tokens == 0).sum()), "cut": int(cut.sum())}

    def values(self, totals: Array) -> Array:
        """Return (m, 1) perplexities."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.exp(np.minimum(totals[:, :1] / totals[:, 1:2], _LARGEST_LOSS))

    def signature(self, corpus: Corpus) -> str:
        """Return model and options."""
        return f"perplexity|model:{self.argument}|context:none|per-token"


METRIC = Perplexity
