"""What training writes beside the weights: the progress of a checkpoint, and the record of a finished training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """Counters of a training, saved with every checkpoint.

    Attributes:
        run: the settings and data that decide the weights.
        step: optimiser steps taken.
        seconds: time spent, over all restarts.
        curve: one row per log line: step, loss, lr, and the validation figures if they were computed.
        losses: loss of each step since the last log line.
    """

    run: dict[str, Any]
    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``progress.json``."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class TrainingRecord:
    """A finished training, as ``training.json`` holds it.

    Attributes:
        command: the command line, or None if the training was started from Python.
        run: the settings and data that decide the weights.
        parameters: number of weights of the model.
        train_sequences, train_tokens, validation_tokens: size of the corpora; end-of-text tokens count.
        validation_loss: mean cross-entropy in nats per token; None without held-out dialogues, as its exponential
            `validation_perplexity`.
        seconds: time spent, over all restarts.
        versions: version of each package that the weights depend on.
        curve: as in `Progress`.
    """

    command: str | None
    run: dict[str, Any]
    parameters: int
    train_sequences: int
    train_tokens: int
    validation_tokens: int | None
    validation_loss: float | None
    validation_perplexity: float | None
    seconds: float
    versions: dict[str, str]
    curve: list[dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``training.json``."""
        return {"schema": 1, **dataclasses.asdict(self)}
