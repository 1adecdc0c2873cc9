"""The training loop: one page, to be read from top to bottom."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from dialoeval import data
from dialoeval.config import DatasetConfig, Direction, TrainConfig, TrainingConfig
from dialoeval.errors import UserError
from dialoeval.files import sha256_json, write_json
from dialoeval.models.plain_text import PlainText
from dialoeval.training.checkpoint import load_state, save_model, save_state
from dialoeval.training.model import make_model
from dialoeval.training.records import Progress, TrainingRecord
from dialoeval.training.sequences import batches, encode_dialogues, in_order


@dataclass
class Corpus:
    """Token sequences of one split."""

    sequences: list[list[int]]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence."""
        return [len(sequence) for sequence in self.sequences]

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(self.lengths)

    def micro_batch(self, indices: list[int], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (input ids, labels), each (rows, longest), right-padded; the loss ignores labels of -100.

        Padding follows from the lengths, not from token values: the end-of-text token both pads and is learned.
        """
        rows = [self.sequences[i] for i in indices]
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full((len(rows), longest), -100)
        for row, sequence in enumerate(rows):
            ids[row, : len(sequence)] = labels[row, : len(sequence)] = torch.tensor(sequence)
        return ids.to(device), labels.to(device)


def train(config: TrainConfig, command: str | None = None) -> TrainingRecord:
    """Train a model, write it to ``training.output_dir``, and return the record in its ``training.json``.

    The loss is the mean cross-entropy in nats over all tokens except the first of each sequence; perplexity is its
    exponential. The learning rate warms up linearly, then follows a cosine down to a tenth of its peak. A killed
    training resumes from its last checkpoint and ends with the same weights.

    Args:
        config: settings of the model, the dataset and the optimisation.
        command: the command line, for the record.

    Raises:
        UserError: a CUDA device was requested but there is none, the dataset is empty, the model cannot be loaded, or
            the output folder holds the training of another configuration.
    """
    _silence_transformers()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but PyTorch finds no GPU")
    options, output = config.training, Path(config.training.output_dir)
    mixed_precision = {"fp32": "no", "bf16": "bf16"}[options.precision]
    accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision=mixed_precision)
    torch.manual_seed(config.seed)
    model, tokenizer = make_model(config)
    corpus = load_corpus(config.dataset, options, tokenizer)
    validation = held_out_dataset(config)
    held_out = load_corpus(validation, options, tokenizer) if validation else None
    identity = _identity(config, corpus)

    optimizer = _adamw(model, options)
    model.to(accelerator.device)
    progress = load_state(output, model, optimizer, identity) or Progress(identity)
    bare = model
    model, optimizer = accelerator.prepare(model, optimizer)

    start = time.monotonic() - progress.seconds
    bar = tqdm(total=options.max_steps, initial=progress.step, unit="step", disable=not sys.stderr.isatty())
    steps = batches(corpus.lengths, options.batch_tokens, options.micro_batch_tokens, config.seed)
    # A restart replays the order of the data only.
    for step, micro_batches in enumerate(islice(steps, progress.step, options.max_steps), progress.step + 1):
        torch.manual_seed(config.seed * 1_000_003 + step)  # dropout depends on the step alone, as a restart needs
        progress.losses.append(_step(model, optimizer, accelerator, corpus, micro_batches, options, step))
        progress.step = step
        bar.update()
        last = step == options.max_steps
        if step % options.log_every == 0 or last:
            row = _curve_row(bare, held_out if step % options.eval_every == 0 or last else None, options, progress)
            progress.curve.append(row)
            bar.write(json.dumps(row), file=sys.stderr)
        progress.seconds = round(time.monotonic() - start, 1)
        if step % options.save_every == 0 or last:
            save_model(bare, tokenizer, output, options.save_dtype)
            save_state(output, bare, optimizer, progress)
    bar.close()

    record = _record(command, progress, bare, corpus, held_out, options)
    write_json(output / "training.json", record.to_json())
    return record


def learning_rate(step: int, options: TrainingConfig) -> float:
    """Return the rate of a step: linear warm-up to the peak, then half a cosine down to a tenth of it."""
    if step <= options.warmup_steps:
        return options.learning_rate * step / max(1, options.warmup_steps)
    part = (step - options.warmup_steps) / max(1, options.max_steps - options.warmup_steps)
    return options.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, part))))


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


def load_corpus(dataset: DatasetConfig, options: TrainingConfig, tokenizer: Any) -> Corpus:
    """Return the dialogues of a dataset as token sequences of two tokens or more.

    Raises:
        UserError: the dataset cannot be read, or has no dialogues.
    """
    sequences = encode_dialogues(
        data.dialogues(dataset),
        PlainText(tokenizer).encode_all,  # a special token that a turn spells is text, as in prompts
        tokenizer.eos_token_id,
        options.block_size,
        backward=options.direction == Direction.backward,
    )
    sequences = [sequence for sequence in sequences if len(sequence) > 1]
    if not sequences:
        raise UserError(f"the dataset {dataset.name} has no dialogues (path={dataset.path}, split={dataset.split})")
    return Corpus(sequences)


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
    tokens = sum(len(corpus.sequences[i]) - 1 for batch in micro_batches for i in batch)
    total = 0.0
    for indices in micro_batches:
        ids, labels = corpus.micro_batch(indices, accelerator.device)
        with accelerator.autocast():
            loss = _loss_sum(model, ids, labels) / max(1, tokens)
        accelerator.backward(loss)
        total += loss.item()
    if not math.isfinite(total):
        raise UserError(f"the loss is not finite at step {step}: lower training.learning_rate")
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


def _curve_row(model: Any, held_out: Corpus | None, options: TrainingConfig, progress: Progress) -> dict[str, float]:
    """Return the log row of the steps since the last one, whose losses are cleared."""
    loss = sum(progress.losses) / len(progress.losses)
    progress.losses.clear()
    row = {"step": progress.step, "loss": round(loss, 4), "lr": round(learning_rate(progress.step, options), 8)}
    if held_out:
        row["validation_loss"] = round(evaluate(model, held_out, options.micro_batch_tokens), 4)
        row["validation_perplexity"] = round(math.exp(row["validation_loss"]), 3)
    return row


def _identity(config: TrainConfig, corpus: Corpus) -> dict[str, Any]:
    """Return what decides the weights; a checkpoint resumes only under an equal identity."""
    free = ("name", "output_dir", "log_every", "eval_every", "save_every")
    training = {
        key: value
        for key, value in dataclasses.asdict(config.training).items()
        if key not in free and not key.startswith("validation_")
    }
    model = {key: value for key, value in dataclasses.asdict(config.model).items() if not key.startswith("template_")}
    return {"model": model, "training": training, "seed": config.seed, "data": sha256_json(corpus.sequences)}


def _record(
    command: str | None,
    progress: Progress,
    model: Any,
    corpus: Corpus,
    held_out: Corpus | None,
    options: TrainingConfig,
) -> TrainingRecord:
    import transformers

    loss = evaluate(model, held_out, options.micro_batch_tokens) if held_out else None
    return TrainingRecord(
        command=command,
        run=progress.run,
        parameters=sum(p.numel() for p in model.parameters()),
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
        curve=progress.curve,
    )


def _silence_transformers() -> None:
    """Keep transformers' progress bars and hints out of the log, which holds one JSON row per line."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
