"""The loss of a language model on a corpus, and its two perplexities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from dialoeval.errors import UserError
from dialoeval.training.corpus import Corpus
from dialoeval.training.processes import ALONE, Processes
from dialoeval.training.sequences import in_order


@dataclass(frozen=True)
class Losses:
    """Mean cross-entropies of a corpus in nats per token.

    Attributes:
        by_token: every predicted token counts once.
        by_sequence: every sequence counts once: the mean over sequences of the mean over their predicted tokens.
    """

    by_token: float
    by_sequence: float

    @property
    def perplexity(self) -> float:
        """The exponential of the loss by token."""
        return math.exp(self.by_token)

    @property
    def released_perplexity(self) -> float:
        """The exponential of the loss by sequence, as the DialoGPT release computes it (lsp_model)."""
        return math.exp(self.by_sequence)


@torch.no_grad()
def evaluate(model: Any, corpus: Corpus, micro_batch_tokens: int, processes: Processes = ALONE) -> Losses:
    """Return the mean losses of a corpus, of which each process computes a part.

    Raises:
        UserError: the corpus has no token to predict.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    sums = [0.0, 0.0, 0.0, 0.0]  # losses, predicted tokens, means of sequences, sequences
    for indices in processes.part(in_order(corpus.lengths, micro_batch_tokens)):
        ids, labels = corpus.micro_batch(indices, device)
        losses = token_losses(model, ids, labels).double()
        counts = (labels[:, 1:] != -100).sum(1)
        means = losses.sum(1)[counts > 0] / counts[counts > 0]
        for place, value in enumerate((losses.sum(), counts.sum(), means.sum(), (counts > 0).sum())):
            sums[place] += float(value)
    model.train(was_training)
    total, tokens, means_total, sequences = processes.sum_numbers(sums)
    if not tokens:
        raise UserError("the held-out dialogues have no tokens to predict")
    return Losses(total / tokens, means_total / sequences)


def loss_sum(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the sum of the cross-entropies of the labels that are not -100."""
    logits = _logits(model, ids)
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), labels[:, 1:].reshape(-1), ignore_index=-100, reduction="sum"
    )


def token_losses(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each label after the first, (rows, longest - 1); 0 where it is -100."""
    logits = _logits(model, ids)
    return torch.nn.functional.cross_entropy(
        logits.transpose(1, 2).float(), labels[:, 1:], ignore_index=-100, reduction="none"
    )


def _logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    # Causal attention keeps the right padding away from real tokens, and positions are a plain range: no mask needed.
    logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return logits
