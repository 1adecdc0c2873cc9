"""The probability of the context given the reply, under a backward model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from dialoeval.errors import UserError
from dialoeval.metrics.base import Array
from dialoeval.metrics.beside import contexts_of
from dialoeval.metrics.corpus import Corpus
from dialoeval.metrics.extra._windows import WindowMean
from dialoeval.metrics.figures import Figure

_BATCH_TOKENS = 1024  # whose logits are in memory at a time


class Backward(WindowMean):
    """The mean over replies of log P(context | reply) per token of the context, in nats, as MMI reranking scores it.

    `backward.sum` is the mean of the whole log-probability. No references are used. A reply without a context has no
    score.

    Source: Zhang et al. (2020), "DialoGPT", section 3.2.
    """

    name = "backward"
    description = "mean log P(context | reply) per token under a backward model, in nats: backward:MODEL, at most 0"
    figures = (
        Figure("backward", "Backward", decimals=3, unit="nats per token, at most 0"),
        Figure("backward.sum", "Backward sum", unit="nats, at most 0"),
    )
    takes_argument = True

    def __init__(self, argument: str | None = None) -> None:
        super().__init__(argument)
        if not argument:
            raise UserError(
                "backward needs a model trained on reversed dialogues after a colon, a Hub name or a folder: "
                "backward:tiny-backward"
            )

    def check(self) -> None:
        """Check that the model is there.

        Raises:
            UserError: it is not.
        """
        from dialoeval.models import check_model

        assert self.argument is not None
        check_model(self.argument)

    def per_reply(self, corpus: Corpus) -> Array:
        """Return (n, 2) log-probabilities per token and whole, NaN without a context.

        Raises:
            UserError: no reply has a context, or the model is an encoder-decoder.
        """
        from dialoeval.config import EngineConfig
        from dialoeval.models import load_model
        from dialoeval.models.dialogue_scores import BackwardTexts

        assert self.argument is not None
        contexts = contexts_of(self.name, corpus)
        loaded = load_model(self.argument, revision=None, weights=None, engine=EngineConfig())
        if loaded.encoder_decoder:
            raise UserError(f"{self.name} must be a causal language model, not an encoder-decoder")
        texts = BackwardTexts(loaded)
        scores = np.full((len(corpus), 2), np.nan)
        scored = [i for i, turns in enumerate(contexts) if any(turn.strip() for turn in turns)]
        wholes = [(texts.encode(corpus.hypotheses[i]), texts.source(contexts[i])) for i in scored]
        pairs = [texts.pair(corpus.hypotheses[i], source) for i, (_, source) in zip(scored, wholes, strict=True)]
        self.cut = np.zeros(len(corpus))
        self.cut[scored] = [whole != pair for whole, pair in zip(wholes, pairs, strict=True)]
        scores[scored, 1] = log_probabilities(loaded.model, pairs)
        scores[scored, 0] = scores[scored, 1] / [len(target) for _, target in pairs]
        if not np.isfinite(scores[scored]).all():
            raise UserError(f"{loaded.name} returns scores that are not finite: its weights are broken")
        return scores

    def signature(self, corpus: Corpus) -> str:
        """Return the model and what it scores."""
        return f"backward|model:{self.argument}|target:context reversed with ends|mean:tokens, then replies"


METRIC = Backward


def log_probabilities(model: Any, pairs: Sequence[tuple[list[int], list[int]]]) -> list[float]:
    """Return ln P(target | given) of a causal model for pairs (given, target), in nats.

    Pairs of one length form a batch: nothing is padded, which not every architecture would ignore.
    """
    import torch

    values = [0.0] * len(pairs)
    order = sorted(range(len(pairs)), key=lambda i: sum(map(len, pairs[i])))
    for length, same in itertools.groupby(order, key=lambda i: sum(map(len, pairs[i]))):
        group, rows = list(same), max(1, _BATCH_TOKENS // length)
        for part in (group[start : start + rows] for start in range(0, len(group), rows)):
            ids = torch.tensor([[*pairs[i][0], *pairs[i][1]] for i in part], device=model.device)
            with torch.inference_mode():
                logits = model(ids[:, :-1]).logits
                for i, row, row_logits in zip(part, ids, logits, strict=True):
                    first = len(pairs[i][0])
                    wanted = row_logits[first - 1 :].float()
                    chosen = wanted.gather(1, row[first:, None])[:, 0] - wanted.logsumexp(-1)
                    values[i] = float(chosen.double().sum())
    return values
