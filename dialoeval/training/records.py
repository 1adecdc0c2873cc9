"""What training writes beside the weights: the progress of a checkpoint, and the record of the weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dialoeval.errors import UserError


class Status(StrEnum):
    """Of a training, in training.json."""

    running = "running"
    complete = "complete"


@dataclass(frozen=True)
class Stage:
    """A part of a training under one learning-rate schedule.

    Attributes:
        first_step: steps taken before it.
        max_steps: the setting, which its schedule ends at.
    """

    first_step: int
    max_steps: int


@dataclass(frozen=True)
class Best:
    """The evaluation with the lowest held-out loss so far.

    Attributes:
        step: when it was made.
        loss: in nats per token.
        weights: hashes of the saved weight files; empty if the weights were not kept.
        sequence_loss: the mean over sequences, in nats per token; None in a state of an earlier version.
    """

    step: int
    loss: float
    weights: dict[str, str]
    sequence_loss: float | None = None


@dataclass
class Progress:
    """Counters of a training, saved with every checkpoint.

    Attributes:
        run: the settings and data that decide the weights.
        step: optimiser steps taken.
        seconds: time spent, over all restarts.
        curve: one row per log line: step, loss, lr, and the validation figures if they were computed.
        losses: loss of each step since the last log line.
        stages: the schedules so far; several if the training went on after its end.
        held_out_loss: of the weights of this step, in nats per token; None if it was not computed.
        held_out_sequence_loss: the mean over sequences of each one's loss, as the DialoGPT release computes it.
        best: the evaluation with the lowest held-out loss.
        without_gain: evaluations since then.
        tensors_sha256: of the state's tensors; None in a state of an earlier version.
    """

    run: dict[str, Any]
    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    held_out_loss: float | None = None
    held_out_sequence_loss: float | None = None
    best: Best | None = None
    without_gain: int = 0
    tensors_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``progress.json``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Any, where: str) -> Progress:
        """Read the content of ``progress.json``; `where` names the file.

        Raises:
            UserError: it is damaged.
        """
        try:
            progress = cls(**value)
            progress.stages = [Stage(**stage) for stage in value.get("stages", ())]
            progress.best = None if progress.best is None else Best(**value["best"])
            whole = (progress.step, progress.without_gain)
            rows = (progress.curve, progress.losses, progress.stages)
            if not isinstance(progress.run["training"]["max_steps"], int) or not all(type(n) is int for n in whole):
                raise TypeError("a count is not a whole number")
            if not all(isinstance(row, list) for row in rows):
                raise TypeError("expected a list")
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{where} is not the progress of a training: {error}") from error
        return progress


@dataclass(frozen=True)
class TrainingRecord:
    """How the weights beside it were trained, as ``training.json`` holds it.

    Attributes:
        command: the command line, or None if the training was started from Python.
        run: the settings and data that decide the weights.
        parameters: number of weights of the model, adapters included.
        trained_parameters: those that are trained; None in a record of an earlier version.
        left_out: {what: how many} of the training data that no sequence contains.
        processes: that shared the last steps.
        train_sequences, train_tokens, validation_tokens: size of the corpora; end-of-text tokens count.
        validation_loss: mean cross-entropy of these weights in nats per token; None if it was not computed, as its
            exponential `validation_perplexity`.
        released_perplexity: the exponential of the mean over sequences of each one's mean loss, as the DialoGPT
            release computes it; None if it was not computed.
        seconds: time spent, over all restarts.
        versions: version of each package that the weights depend on.
        status: whether the training has ended.
        step: optimiser steps that made these weights.
        stages: as in `Progress`.
        weights: {file: SHA-256} of the weight files; empty in a record of an earlier version.
        curve: as in `Progress`.
    """

    command: str | None
    run: dict[str, Any]
    parameters: int
    trained_parameters: int | None
    train_sequences: int
    train_tokens: int
    left_out: dict[str, int]
    validation_tokens: int | None
    validation_loss: float | None
    validation_perplexity: float | None
    released_perplexity: float | None
    seconds: float
    versions: dict[str, str]
    processes: int
    status: Status
    step: int
    stages: list[Stage]
    weights: dict[str, str]
    curve: list[dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``training.json``."""
        return {"schema": 1, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: Any, where: str) -> TrainingRecord:
        """Read the content of ``training.json``, of an earlier version too; `where` names the file.

        Raises:
            UserError: it is damaged.
        """
        advice = "move its folder away, or choose another training.output_dir"
        if not isinstance(value, dict) or value.get("schema") != 1:
            raise UserError(f"{where} is not the record of a training: {advice}")
        try:
            curve = value["curve"]
            earlier: dict[str, Any] = {
                "status": Status.complete,
                "step": curve[-1]["step"] if curve else 0,
                "stages": (),
                "weights": {},
                "trained_parameters": None,
                "left_out": {},
                "released_perplexity": None,
                "processes": 1,
            }
            fields = {**earlier, **{key: entry for key, entry in value.items() if key != "schema"}}
            fields["status"] = Status(fields["status"])
            fields["stages"] = [Stage(**stage) for stage in fields["stages"]]
            record = cls(**fields)
            if not isinstance(record.run["training"]["max_steps"], int) or not isinstance(record.weights, dict):
                raise TypeError("wrong type")
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise UserError(f"{where} is damaged ({error}): {advice}") from error
        return record
