"""One optimiser step, and its learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch

from dialoeval.config import Schedule, TrainingConfig
from dialoeval.errors import UserError
from dialoeval.training.corpus import Corpus
from dialoeval.training.loss import loss_sum
from dialoeval.training.processes import Processes

_NOAM_SCALE = 1e4  # of the published learning rate (DialoGPT, gpt2_training/train_utils.py)


def adamw(model: Any, options: TrainingConfig) -> torch.optim.AdamW:
    """Return the optimiser of the weights that are trained; weight decay spares biases and layer norms."""
    trained = [p for p in model.parameters() if p.requires_grad]
    decay = [p for p in trained if p.ndim >= 2]
    no_decay = [p for p in trained if p.ndim < 2]
    return torch.optim.AdamW(
        [{"params": decay, "weight_decay": options.weight_decay}, {"params": no_decay, "weight_decay": 0.0}],
        lr=options.learning_rate,
        betas=(0.9, options.beta2),
    )


def learning_rate(step: int, options: TrainingConfig, width: int) -> float:
    """Return the rate of a step, from 1: linear warm-up, then the schedule.

    Noam (Vaswani et al. 2017, section 5.3) falls as the inverse root of the step. As in the DialoGPT release, it is
    `learning_rate` * 1e4 * width ** -0.5 * min(step ** -0.5, step * warmup_steps ** -1.5).

    Args:
        step: optimiser steps, this one included.
        options: the settings.
        width: of the model's hidden states, which only noam needs.
    """
    warmup = options.warmup_steps
    if options.schedule == Schedule.noam:
        scale = _NOAM_SCALE / math.sqrt(width)
        return options.learning_rate * scale * min(1 / math.sqrt(step), step / math.sqrt(warmup**3))
    if step <= warmup:
        return options.learning_rate * step / max(1, warmup)
    assert options.max_steps is not None  # computed from the epochs
    part = (step - warmup) / max(1, options.max_steps - warmup)
    return options.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, part))))


def take_step(
    model: Any,
    optimizer: Any,
    processes: Processes,
    corpus: Corpus,
    micro_batches: list[list[int]],
    options: TrainingConfig,
    seed: int,
) -> float:
    """Take one optimiser step and return the mean loss in nats per token of its micro-batches.

    Each process computes some of the micro-batches. The gradients of all are summed: the step is that of one process,
    but for the order in which floating-point numbers are added.

    Args:
        model: in training mode afterwards.
        optimizer: with the step's learning rate.
        processes: that share the micro-batches.
        corpus: the data.
        micro_batches: indices of sequences; the same in every process.
        options: the settings.
        seed: of the step, for dropout.
    """
    model.train()
    tokens = sum(stop - start for batch in micro_batches for i in batch for start, stop in corpus.predicted(i))
    total = 0.0
    for number, indices in processes.part(list(enumerate(micro_batches))):
        torch.manual_seed(seed + (number << 44))  # dropout depends on step and micro-batch alone
        ids, labels = corpus.micro_batch(indices, processes.device)
        with processes.accelerator.autocast():
            loss = loss_sum(model, ids, labels) / max(1, tokens)
        processes.accelerator.backward(loss)
        total += loss.item()
    [total] = processes.sum_numbers([total])
    if not math.isfinite(total):
        raise UserError("the loss is not finite")
    processes.sum_gradients(model.parameters())
    if options.max_grad_norm:
        processes.accelerator.clip_grad_norm_(model.parameters(), options.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total
