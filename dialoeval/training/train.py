"""The training loop: one page, to be read from top to bottom."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import platform
import sys
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from dialoeval import data
from dialoeval.config import DatasetConfig, Direction, Keep, Prompt, TrainConfig, TrainingConfig
from dialoeval.errors import UserError
from dialoeval.files import sha256_json, write_json
from dialoeval.models.plain_text import PlainText
from dialoeval.training import folder
from dialoeval.training.chat import ChatFormat
from dialoeval.training.checkpoint import load_tensors, read_progress, remove_state, save_model, save_state
from dialoeval.training.model import end_tokens, make_model
from dialoeval.training.records import Best, Progress, Stage, Status, TrainingRecord
from dialoeval.training.sequences import Span, batches, encode_dialogues, in_order, steps_of

_LOG = logging.getLogger(__name__)
_MANY_EPOCHS = 100


@dataclass
class Corpus:
    """Token sequences of one split.

    Attributes:
        sequences: token ids.
        spans: the positions of each sequence that are predicted; None: all but the first.
    """

    sequences: list[list[int]]
    spans: list[list[Span]] | None = None

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence."""
        return [len(sequence) for sequence in self.sequences]

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(self.lengths)

    def predicted(self, index: int) -> list[Span]:
        """Return the positions of a sequence that are predicted from those before them."""
        return [(1, len(self.sequences[index]))] if self.spans is None else self.spans[index]

    def micro_batch(self, indices: list[int], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (input ids, labels), each (rows, longest), right-padded; the loss ignores labels of -100.

        Padding follows from the lengths, not from token values: the end-of-text token both pads and is learned.
        """
        longest = max(len(self.sequences[i]) for i in indices)
        ids = torch.zeros(len(indices), longest, dtype=torch.long)
        labels = torch.full((len(indices), longest), -100)
        for row, index in enumerate(indices):
            sequence = torch.tensor(self.sequences[index])
            ids[row, : len(sequence)] = sequence
            for start, stop in self.predicted(index):
                labels[row, start:stop] = sequence[start:stop]
        return ids.to(device), labels.to(device)


@dataclass
class Training:
    """What the steps of a training work on.

    Attributes:
        options: the settings; `max_steps` is known.
        output: the model folder.
        command: the command line, for the record.
        accelerator: the device and its precision.
        model, tokenizer: to train.
        corpus, held_out: the data; None without held-out dialogues.
        run: the settings and data that decide the weights.
    """

    options: TrainingConfig
    output: Path
    command: str | None
    accelerator: Accelerator
    model: Any
    tokenizer: Any
    corpus: Corpus
    held_out: Corpus | None
    run: dict[str, Any]
    progress: Progress = field(init=False)

    @property
    def steps(self) -> int:
        """The optimiser steps of the whole training."""
        return _max_steps(self.options)

    @property
    def stopped(self) -> bool:
        """Whether the held-out loss has not gone down for `patience` evaluations."""
        return 0 < self.options.patience <= self.progress.without_gain


def train(config: TrainConfig, command: str | None = None) -> TrainingRecord:
    """Train a model, write it to ``training.output_dir``, and return the record in its ``training.json``.

    The loss is the mean cross-entropy in nats over all tokens except the first of each sequence (chat prompts: over the
    replies); perplexity is its exponential. The learning rate warms up linearly, then follows a cosine down to a tenth
    of its peak. A killed training resumes from its last checkpoint and ends with the same weights.

    Args:
        config: settings of the model, the dataset and the optimisation.
        command: the command line, for the record.

    Raises:
        UserError: a CUDA device was requested but there is none, the dataset is empty, the model cannot be loaded, or
            the output folder is in use, cannot be written, or holds the training of another configuration.
    """
    _silence_transformers()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but PyTorch finds no GPU")
    output = Path(config.training.output_dir).expanduser()
    with folder.locked(output):
        folder.check_no_other_model(output)
        progress, record = read_progress(output), folder.read_record(output)
        earlier = progress.run if progress else record.run if record else None
        if earlier:
            folder.check_same(output, earlier, folder.settings(config))  # before anything is loaded
        training = _prepare(config, output, command)
        if earlier:
            folder.check_same(output, earlier, training.run)
        complete = record is not None and record.status == Status.complete
        if record and complete and _max_steps_of(record.run) == training.steps:
            # A training that was killed in its very last save still has its state, and makes it again.
            if progress is None or not folder.changed_weights(output):
                return _finished(training, record)
        elif record and complete and progress is None:
            raise UserError(
                f"the training in {output} ended after {record.step} steps, and its optimiser's state was removed: to "
                f"train further from its weights, use model.path={output} and another training.output_dir (or train "
                "it again in another folder with training.keep_state=true)"
            )
        return _train(training, progress)


def _prepare(config: TrainConfig, output: Path, command: str | None) -> Training:
    """Load the model and the data."""
    options = config.training
    validation = held_out_dataset(config)
    if validation is None and (options.keep == Keep.best or options.patience):
        name = "keep=best" if options.keep == Keep.best else f"patience={options.patience}"
        raise UserError(
            f"training.{name} needs held-out dialogues: set training.validation_path, or training.validation_split of "
            "a dataset with splits"
        )
    mixed_precision = {"fp32": "no", "bf16": "bf16"}[options.precision]
    accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision=mixed_precision)
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
    return Training(options, output, command, accelerator, model, tokenizer, corpus, held_out, run)


def _warn(options: TrainingConfig, corpus: Corpus) -> None:
    """Say what settings mean that are hardly meant."""
    steps = _max_steps(options)
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


def _finished(training: Training, record: TrainingRecord) -> TrainingRecord:
    """Return the record of a training that has nothing left to do."""
    output = training.output
    if folder.changed_weights(output):
        raise UserError(
            f"the weights in {output} are not those that its {folder.RECORD} records: they were changed since; move "
            "the folder away to train again"
        )
    _LOG.info("%s is trained already, with these settings", output)
    if not training.options.keep_state:
        remove_state(output)
    return record


def _train(training: Training, progress: Progress | None) -> TrainingRecord:
    """Take the steps that are left, and write model and record."""
    options, model, output = training.options, training.model, training.output
    optimizer: Any = _adamw(model, options)
    model.to(training.accelerator.device)
    if progress is not None:
        load_tensors(output, model, optimizer, progress)
    progress = training.progress = _going_on(progress, training)
    prepared, optimizer = training.accelerator.prepare(model, optimizer)

    start = time.monotonic() - progress.seconds
    seed = training.run["seed"]
    steps = batches(training.corpus.lengths, options.batch_tokens, options.micro_batch_tokens, seed)
    shown = sys.stderr.isatty()
    with tqdm(total=training.steps, initial=progress.step, unit="step", disable=not shown) as bar:
        # A restart replays the order of the data only.
        for step, micro_batches in enumerate(islice(steps, progress.step, training.steps), progress.step + 1):
            if training.stopped:
                _LOG.info("stopped after step %d: the held-out loss goes down no more", progress.step)
                break
            torch.manual_seed(seed * 1_000_003 + step)  # dropout depends on the step alone, as a restart needs
            loss = _step(prepared, optimizer, training.accelerator, training.corpus, micro_batches, options, step)
            progress.losses.append(loss)
            progress.step, progress.held_out_loss = step, None
            last = step == training.steps
            evaluated = training.held_out is not None and (step % options.eval_every == 0 or last)
            if step % options.log_every == 0 or last or evaluated:
                row = _curve_row(training, evaluated)
                progress.curve.append(row)
                bar.write(json.dumps(row), file=sys.stderr)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
            progress.seconds = round(time.monotonic() - start, 1)
            if evaluated:
                _judge(training)
            ended = last or training.stopped
            if step % options.save_every == 0 or ended:
                if options.keep == Keep.last and not ended:
                    _save(training, Status.running)
                save_state(output, model, optimizer, progress)
    return _finish(training)


def _going_on(progress: Progress | None, training: Training) -> Progress:
    """Return the progress to go on from; a training that goes on under another schedule begins a stage."""
    if progress is None:
        return Progress(training.run, stages=[Stage(0, training.steps)])
    before = _max_steps_of(progress.run)
    progress.stages = progress.stages or [Stage(0, before)]
    if before != training.steps:
        progress.stages.append(Stage(progress.step, training.steps))
        progress.without_gain = 0
        _LOG.info(
            "training further from step %d of %d, with the learning rates of %d steps (the weights will not be "
            "those of %d steps at once)",
            *(progress.step, before, training.steps, training.steps),
        )
    else:
        _LOG.info("going on from step %d of %d", progress.step, training.steps)
    progress.run = training.run
    return progress


def _judge(training: Training) -> None:
    """Compare the held-out loss of this step with the lowest; keep the better weights if they are asked for."""
    progress = training.progress
    loss = progress.held_out_loss
    assert loss is not None
    if progress.best is not None and loss >= progress.best.loss:
        progress.without_gain += 1
        return
    progress.without_gain = 0
    weights = _save(training, Status.running).weights if training.options.keep == Keep.best else {}
    progress.best = Best(progress.step, loss, weights)


def _save(training: Training, status: Status) -> TrainingRecord:
    """Write the model of this step with its record."""
    progress, options = training.progress, training.options

    def record(weights: dict[str, str]) -> TrainingRecord:
        return _record(training, status, progress.step, progress.held_out_loss, weights)

    return save_model(training.model, training.tokenizer, training.output, options.save_dtype, record)


def _finish(training: Training) -> TrainingRecord:
    """Write the record of the whole training, with the last weights or beside the best, and remove the state."""
    best, output = training.progress.best, training.output
    if training.options.keep == Keep.best and best is not None:
        if folder.weight_hashes(output) != best.weights:
            raise UserError(
                f"the weights in {output} are not the best, those of step {best.step}: they were changed meanwhile; "
                "move the folder away and train again"
            )
        record = _record(training, Status.complete, best.step, best.loss, best.weights)
        write_json(output / folder.RECORD, record.to_json())
    else:
        record = _save(training, Status.complete)
    if not training.options.keep_state:
        remove_state(output)
    return record


def learning_rate(step: int, options: TrainingConfig) -> float:
    """Return the rate of a step: linear warm-up to the peak, then half a cosine down to a tenth of it."""
    if step <= options.warmup_steps:
        return options.learning_rate * step / max(1, options.warmup_steps)
    part = (step - options.warmup_steps) / max(1, _max_steps(options) - options.warmup_steps)
    return options.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, part))))


def _max_steps(options: TrainingConfig) -> int:
    assert options.max_steps is not None  # computed from the epochs
    return options.max_steps


def _max_steps_of(run: dict[str, Any]) -> int:
    return int(run["training"]["max_steps"])


@torch.no_grad()
def evaluate(model: Any, corpus: Corpus, micro_batch_tokens: int) -> float:
    """Return the mean cross-entropy of a corpus in nats per token.

    Raises:
        UserError: the corpus has no token to predict.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total, count = 0.0, 0
    for indices in in_order(corpus.lengths, micro_batch_tokens):
        ids, labels = corpus.micro_batch(indices, device)
        total += _loss_sum(model, ids, labels).item()
        count += int((labels[:, 1:] != -100).sum())
    model.train(was_training)
    if count == 0:
        raise UserError("the held-out dialogues have no tokens to predict")
    return total / count


def load_corpus(
    dataset: DatasetConfig, options: TrainingConfig, tokenizer: Any, chat: ChatFormat | None = None
) -> Corpus:
    """Return the dialogues of a dataset as token sequences of two tokens or more.

    Args:
        dataset: the training or the held-out dialogues.
        options: the length of sequences, and the order of turns.
        tokenizer: of the model.
        chat: the chat format; None: the end-of-text token follows each turn.

    Raises:
        UserError: the dataset cannot be read, or has no dialogues.
    """
    if chat:
        corpus = Corpus(*chat.encode(data.load(dataset).examples, options.block_size))
    else:
        sequences = encode_dialogues(
            data.dialogues(dataset),
            PlainText(tokenizer).encode_all,  # a special token that a turn spells is text, as in prompts
            tokenizer.eos_token_id,
            options.block_size,
            backward=options.direction == Direction.backward,
        )
        corpus = Corpus([sequence for sequence in sequences if len(sequence) > 1])
    if not corpus.sequences:
        raise UserError(f"the dataset {dataset.name} has no dialogues (path={dataset.path}, split={dataset.split})")
    return corpus


def held_out_dataset(config: TrainConfig) -> DatasetConfig | None:
    """Return the dataset of the held-out dialogues: another file or another split. None if neither is set."""
    options = config.training
    if options.validation_path is not None:
        return dataclasses.replace(config.dataset, path=options.validation_path, limit=options.validation_limit)
    if options.validation_split is None or not data.has_splits(config.dataset):
        return None
    return dataclasses.replace(config.dataset, split=options.validation_split, limit=options.validation_limit)


def _adamw(model: Any, options: TrainingConfig) -> torch.optim.AdamW:
    """Return the optimiser; weight decay spares biases and layer norms."""
    decay = [p for p in model.parameters() if p.ndim >= 2]
    no_decay = [p for p in model.parameters() if p.ndim < 2]
    return torch.optim.AdamW(
        [{"params": decay, "weight_decay": options.weight_decay}, {"params": no_decay, "weight_decay": 0.0}],
        lr=options.learning_rate,
        betas=(0.9, options.beta2),
    )


def _step(
    model: Any,
    optimizer: Any,
    accelerator: Accelerator,
    corpus: Corpus,
    micro_batches: list[list[int]],
    options: TrainingConfig,
    step: int,
) -> float:
    """Take one optimiser step and return the mean loss in nats per token of its micro-batches."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, options)
    model.train()
    tokens = sum(stop - start for batch in micro_batches for i in batch for start, stop in corpus.predicted(i))
    total = 0.0
    for indices in micro_batches:
        ids, labels = corpus.micro_batch(indices, accelerator.device)
        with accelerator.autocast():
            loss = _loss_sum(model, ids, labels) / max(1, tokens)
        accelerator.backward(loss)
        total += loss.item()
    if not math.isfinite(total):
        raise UserError(f"the loss is not finite at step {step}: lower training.learning_rate")
    if options.max_grad_norm:
        accelerator.clip_grad_norm_(model.parameters(), options.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total


def _loss_sum(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    # Causal attention keeps the right padding away from real tokens, and positions are a plain range: no mask needed.
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), labels[:, 1:].reshape(-1), ignore_index=-100, reduction="sum"
    )


def _curve_row(training: Training, evaluated: bool) -> dict[str, float]:
    """Return the log row of the steps since the last one, whose losses are cleared."""
    progress, options = training.progress, training.options
    loss = sum(progress.losses) / len(progress.losses)
    progress.losses.clear()
    row = {"step": progress.step, "loss": round(loss, 4), "lr": round(learning_rate(progress.step, options), 8)}
    if evaluated and training.held_out is not None:
        loss = evaluate(training.model, training.held_out, options.micro_batch_tokens)
        if not loss < 700:  # its exponential is no number
            raise UserError(f"the held-out loss is {loss:.4g} at step {progress.step}: lower training.learning_rate")
        progress.held_out_loss = loss
        row["validation_loss"] = round(loss, 4)
        row["validation_perplexity"] = round(math.exp(row["validation_loss"]), 3)
    return row


def _record(
    training: Training, status: Status, step: int, loss: float | None, weights: dict[str, str]
) -> TrainingRecord:
    """Return the record of weights.

    Args:
        training: that made them.
        status: of the training.
        step: optimiser steps that made them.
        loss: their held-out loss, if it was computed.
        weights: {file: SHA-256}.
    """
    import transformers

    corpus, held_out, progress = training.corpus, training.held_out, training.progress
    return TrainingRecord(
        command=training.command,
        run=progress.run,
        parameters=sum(p.numel() for p in training.model.parameters()),
        train_sequences=len(corpus.sequences),
        train_tokens=corpus.tokens,
        validation_tokens=held_out.tokens if held_out else None,
        validation_loss=round(loss, 4) if loss is not None else None,
        validation_perplexity=round(math.exp(loss), 3) if loss is not None else None,
        seconds=progress.seconds,
        versions={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        },
        status=status,
        step=step,
        stages=list(progress.stages),
        weights=weights,
        curve=progress.curve,
    )


def _silence_transformers() -> None:
    """Keep transformers' progress bars and hints out of the log, which holds one JSON row per line."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
