"""The figures of a training: the rows of its log, and the record of its weights."""

from __future__ import annotations

import math
import platform

from dialoeval.errors import UserError
from dialoeval.training.job import Training
from dialoeval.training.lora import is_lora
from dialoeval.training.loss import evaluate
from dialoeval.training.optimise import learning_rate
from dialoeval.training.records import Status, TrainingRecord

_PLACES = 4  # of a loss


def curve_row(training: Training, evaluated: bool) -> dict[str, float]:
    """Return the log row of the steps since the last one, whose losses are cleared.

    Raises:
        UserError: the held-out loss, computed if `evaluated`, is no number or too large.
    """
    progress, options = training.progress, training.options
    loss = sum(progress.losses) / len(progress.losses)
    progress.losses.clear()
    rate = learning_rate(progress.step, options, training.width)
    row = {"step": progress.step, "loss": round(loss, _PLACES), "lr": float(f"{rate:.7g}")}
    if evaluated and training.held_out is not None:
        losses = evaluate(training.model, training.held_out, options.micro_batch_tokens, training.processes)
        if not max(losses.by_token, losses.by_sequence) < 700:  # its exponential is no number
            raise UserError(
                f"the held-out loss is {losses.by_token:.4g} at step {progress.step}: lower training.learning_rate"
            )
        progress.held_out_loss, progress.held_out_sequence_loss = losses.by_token, losses.by_sequence
        row["validation_loss"] = round(losses.by_token, _PLACES)
        row["validation_perplexity"] = round(math.exp(row["validation_loss"]), 3)
        row["released_perplexity"] = round(math.exp(losses.by_sequence), 3)
    return row


def make_record(
    training: Training,
    status: Status,
    step: int,
    losses: tuple[float | None, float | None],
    weights: dict[str, str],
) -> TrainingRecord:
    """Return the record of weights.

    Args:
        training: that made them.
        status: of the training.
        step: optimiser steps that made them.
        losses: their held-out loss by token and by sequence, if they were computed.
        weights: {file: SHA-256}.
    """
    corpus, held_out, progress = training.corpus, training.held_out, training.progress
    by_token, by_sequence = losses
    parameters = list(training.model.parameters())
    return TrainingRecord(
        command=training.command,
        run=progress.run,
        parameters=sum(p.numel() for p in parameters),
        trained_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        train_sequences=len(corpus.sequences),
        train_tokens=corpus.tokens,
        left_out=corpus.left_out,
        validation_tokens=held_out.tokens if held_out else None,
        validation_loss=None if by_token is None else round(by_token, _PLACES),
        validation_perplexity=None if by_token is None else round(math.exp(by_token), 3),
        released_perplexity=None if by_sequence is None else round(math.exp(by_sequence), 3),
        seconds=progress.seconds,
        versions=_versions(adapters=is_lora(training.model)),
        processes=training.processes.count,
        status=status,
        step=step,
        stages=list(progress.stages),
        weights=weights,
        curve=progress.curve,
    )


def _versions(*, adapters: bool) -> dict[str, str]:
    import torch
    import transformers

    versions = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
    }
    if adapters:
        import peft

        versions["peft"] = peft.__version__
    return versions
