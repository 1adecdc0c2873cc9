"""What a training works on: model, data, settings and processes."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dialoeval.config import Keep, Prompt, Schedule, TrainConfig, TrainingConfig
from dialoeval.errors import UserError
from dialoeval.files import sha256_json
from dialoeval.training import folder
from dialoeval.training.chat import ChatFormat
from dialoeval.training.corpus import Corpus, held_out_dataset, load_corpus
from dialoeval.training.model import end_tokens, make_model
from dialoeval.training.processes import Processes
from dialoeval.training.records import Progress
from dialoeval.training.sequences import steps_of

_LOG = logging.getLogger(__name__)
_MANY_EPOCHS = 100


@dataclass
class Training:
    """What the steps of a training work on.

    Attributes:
        options: the settings; `max_steps` is known.
        output: the model folder.
        command: the command line, for the record.
        processes: that share the steps.
        model, tokenizer: to train.
        corpus, held_out: the data; None without held-out dialogues.
        run: the settings and data that decide the weights.
    """

    options: TrainingConfig
    output: Path
    command: str | None
    processes: Processes
    model: Any
    tokenizer: Any
    corpus: Corpus
    held_out: Corpus | None
    run: dict[str, Any]
    progress: Progress = field(init=False)

    @property
    def steps(self) -> int:
        """The optimiser steps of the whole training."""
        return max_steps(self.options)

    @property
    def stopped(self) -> bool:
        """Whether the held-out loss has not gone down for `patience` evaluations."""
        return 0 < self.options.patience <= self.progress.without_gain

    @property
    def width(self) -> int:
        """The width of the model's hidden states; 0 if its configuration does not tell."""
        return int(getattr(self.model.config.get_text_config(), "hidden_size", None) or 0)


def prepare(config: TrainConfig, output: Path, command: str | None, processes: Processes) -> Training:
    """Load the model and the data.

    Raises:
        UserError: the model or the data cannot be loaded, or a setting does not fit them.
    """
    import torch

    options = config.training
    validation = held_out_dataset(config)
    if validation is None and (options.keep == Keep.best or options.patience):
        name = "keep=best" if options.keep == Keep.best else f"patience={options.patience}"
        raise UserError(
            f"training.{name} needs held-out dialogues: set training.validation_path, or training.validation_split of "
            "a dataset with splits"
        )
    torch.manual_seed(config.seed)
    model, tokenizer = make_model(config)
    chat = None
    if config.model.prompt == Prompt.chat:
        chat = ChatFormat(config.model, tokenizer, end_tokens(model, tokenizer))
    corpus = load_corpus(config.dataset, options, tokenizer, chat)
    held_out = load_corpus(validation, options, tokenizer, chat) if validation else None
    if options.epochs is not None:
        steps = steps_of(options.epochs, corpus.lengths, options.batch_tokens)
        _LOG.info("%g epochs of %d sequences are %d steps", options.epochs, len(corpus.sequences), steps)
        options = dataclasses.replace(options, max_steps=steps, epochs=None)
    _warn(options, corpus)
    if not options.from_scratch and folder.changed_weights(Path(config.model.path)):
        _LOG.warning("the weights in %s are not those that its %s records", config.model.path, folder.RECORD)
    run = folder.settings(dataclasses.replace(config, training=options))
    run["data"] = sha256_json([corpus.sequences, corpus.spans] if corpus.spans else corpus.sequences)
    training = Training(options, output, command, processes, model, tokenizer, corpus, held_out, run)
    if options.schedule == Schedule.noam and not training.width:
        raise UserError(f"training.schedule=noam needs the hidden_size of {config.model.path}, which it does not tell")
    return training


def max_steps(options: TrainingConfig) -> int:
    """Return the optimiser steps of a training whose epochs have been counted."""
    assert options.max_steps is not None  # computed from the epochs
    return options.max_steps


def max_steps_of(run: dict[str, Any]) -> int:
    """Return the optimiser steps of a recorded training."""
    return int(run["training"]["max_steps"])


def _warn(options: TrainingConfig, corpus: Corpus) -> None:
    """Say what settings mean that are hardly meant, and what of the data is not learned."""
    steps = max_steps(options)
    if corpus.left_out:
        _LOG.info("left out: %s", ", ".join(f"{count} {what}" for what, count in corpus.left_out.items()))
    epochs = steps * options.batch_tokens / corpus.tokens
    if epochs > _MANY_EPOCHS:
        _LOG.warning(
            "%s steps of %s tokens are about %s epochs of %s sequences (%s tokens): the model will learn them by "
            "heart; training.epochs=3 would see each three times",
            *(f"{round(number):,}" for number in (steps, options.batch_tokens, epochs, len(corpus.sequences))),
            f"{corpus.tokens:,}",
        )
    if options.warmup_steps >= steps:
        _LOG.warning(
            "the learning rate never reaches its peak: training.warmup_steps=%d of %d steps",
            options.warmup_steps,
            steps,
        )
