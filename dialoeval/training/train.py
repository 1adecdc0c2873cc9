"""The training loop: one page, to be read from top to bottom."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from dialoeval import data
from dialoeval.config import DatasetConfig, Direction, TrainConfig, TrainingConfig
from dialoeval.errors import UserError
from dialoeval.files import sha256_json, write_json
from dialoeval.training.checkpoint import load_state, save_model, save_state
from dialoeval.training.model import make_model
from dialoeval.training.sequences import batches, encode_dialogues, in_order


@dataclass
class Corpus:
    """Token sequences of one split."""

    sequences: list[list[int]]

    @property
    def lengths(self) -> list[int]:
        return [len(sequence) for sequence in self.sequences]

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    def micro_batch(self, indices: list[int], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (input ids, labels), each (rows, longest), right-padded; -100 labels are left out of the loss.

        The padding is told by the lengths, never by the token's value: the end-of-text token pads and is learned.
        """
        rows = [self.sequences[i] for i in indices]
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full((len(rows), longest), -100)
        for row, sequence in enumerate(rows):
            ids[row, : len(sequence)] = labels[row, : len(sequence)] = torch.tensor(sequence)
        return ids.to(device), labels.to(device)


def train(config: TrainConfig, command: str | None = None) -> dict[str, Any]:
    """Train as `config` says; write the model to ``training.output_dir``, and return what ``training.json`` holds.

    Loss is the mean cross-entropy in nats over all tokens of the dialogues but the first of each sequence; perplexity
    is its exponential. The learning rate warms up linearly and falls along a cosine to a tenth. Killed, the same
    command goes on from the last checkpoint and ends with the same weights. `command` is recorded as it is.

    Raises:
        UserError: no GPU where one is asked for, no data, a model that cannot be loaded, an output folder that holds
            the training of another configuration.
    """
    _quiet()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but PyTorch sees no GPU here")
    options, output = config.training, Path(config.training.output_dir)
    mixed_precision = {"fp32": "no", "bf16": "bf16"}[options.precision]
    accelerator = Accelerator(cpu=config.device == "cpu", mixed_precision=mixed_precision)
    torch.manual_seed(config.seed)
    model, tokenizer = make_model(config)
    corpus = _corpus(config.dataset, options, tokenizer)
    validation = _held_out(config)
    held_out = _corpus(validation, options, tokenizer) if validation else None
    run = _identity(config, corpus)

    decay = [p for p in model.parameters() if p.ndim >= 2]
    no_decay = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": options.weight_decay}, {"params": no_decay, "weight_decay": 0.0}],
        lr=options.learning_rate,
        betas=(0.9, options.beta2),
    )
    model.to(accelerator.device)
    progress = load_state(output, model, optimizer, run) or {"run": run, "step": 0, "seconds": 0.0, "curve": []}
    losses: list[float] = progress.setdefault("losses", [])  # of the steps since the last log line
    bare = model
    model, optimizer = accelerator.prepare(model, optimizer)

    start = time.monotonic() - progress["seconds"]
    bar = tqdm(total=options.max_steps, initial=progress["step"], unit="step", disable=not sys.stderr.isatty())
    steps = batches(corpus.lengths, options.batch_tokens, options.micro_batch_tokens, config.seed)
    for step, micro_batches in enumerate(steps, 1):
        if step <= progress["step"]:
            continue  # already taken before a restart: only the order of the data is replayed
        if step > options.max_steps:
            break
        # Dropout depends on the step alone, so that a restart changes nothing.
        torch.manual_seed(config.seed * 1_000_003 + step)
        loss = _step(model, optimizer, accelerator, corpus, micro_batches, options, step)
        losses.append(loss)
        progress["step"] = step
        bar.update()
        last = step == options.max_steps
        if step % options.log_every == 0 or last:
            rate = round(learning_rate(step, options), 8)
            row = {"step": step, "loss": round(sum(losses) / len(losses), 4), "lr": rate}
            losses.clear()
            if held_out and (step % options.eval_every == 0 or last):
                row["validation_loss"] = round(evaluate(bare, held_out, options.micro_batch_tokens), 4)
                row["validation_perplexity"] = round(math.exp(row["validation_loss"]), 3)
            progress["curve"].append(row)
            bar.write(json.dumps(row), file=sys.stderr)
        progress["seconds"] = round(time.monotonic() - start, 1)
        if step % options.save_every == 0 or last:
            save_model(bare, tokenizer, output, options.save_dtype)
            save_state(output, bare, optimizer, progress)
    bar.close()

    summary = {"schema": 1, "command": command, **_summary(config, corpus, held_out, bare, progress)}
    write_json(output / "training.json", summary)
    return summary


def learning_rate(step: int, options: TrainingConfig) -> float:
    """Linear warm-up over `warmup_steps`, then half a cosine from the peak down to a tenth of it at `max_steps`."""
    if step <= options.warmup_steps:
        return options.learning_rate * step / max(1, options.warmup_steps)
    part = (step - options.warmup_steps) / max(1, options.max_steps - options.warmup_steps)
    return options.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, part))))


@torch.no_grad()
def evaluate(model: Any, corpus: Corpus, micro_batch_tokens: int) -> float:
    """Mean cross-entropy in nats a token over every sequence of `corpus`."""
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


def _step(
    model: Any,
    optimizer: Any,
    accelerator: Accelerator,
    corpus: Corpus,
    micro_batches: list[list[int]],
    options: TrainingConfig,
    step: int,
) -> float:
    """One optimiser step; the mean loss a token over its micro-batches."""
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
    # Causal attention keeps the right padding away from real tokens, so no mask is needed; positions are a plain range.
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), labels[:, 1:].reshape(-1), ignore_index=-100, reduction="sum"
    )


def _corpus(dataset: DatasetConfig, options: TrainingConfig, tokenizer: Any) -> Corpus:
    dialogues = data.dialogues(dataset)
    sequences = encode_dialogues(
        dialogues,
        lambda turns: tokenizer(turns, add_special_tokens=False, verbose=False)["input_ids"] if turns else [],
        tokenizer.eos_token_id,
        options.block_size,
        backward=options.direction == Direction.backward,
    )
    sequences = [sequence for sequence in sequences if len(sequence) > 1]
    if not sequences:
        raise UserError(f"the dataset {dataset.name} has no dialogues (path={dataset.path}, split={dataset.split})")
    return Corpus(sequences)


def _held_out(config: TrainConfig) -> DatasetConfig | None:
    """Where the held-out dialogues are: another split, or for a dataset without splits another file."""
    options = config.training
    if options.validation_path is not None:
        return dataclasses.replace(config.dataset, path=options.validation_path, limit=options.validation_limit)
    if options.validation_split is None or not data.has_splits(config.dataset):
        return None
    return dataclasses.replace(config.dataset, split=options.validation_split, limit=options.validation_limit)


def _quiet() -> None:
    """Keep transformers' own bars and hints out of the log, which holds one JSON line a report."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _identity(config: TrainConfig, corpus: Corpus) -> dict[str, Any]:
    """What decides the weights: kept with each checkpoint, so that no other training is continued by mistake."""
    free = ("name", "output_dir", "log_every", "eval_every", "save_every")
    training = {
        key: value
        for key, value in dataclasses.asdict(config.training).items()
        if key not in free and not key.startswith("validation_")
    }
    model = dataclasses.asdict(config.model)
    return {"model": model, "training": training, "seed": config.seed, "data": sha256_json(corpus.sequences)}


def _summary(
    config: TrainConfig, corpus: Corpus, held_out: Corpus | None, model: Any, progress: dict[str, Any]
) -> dict[str, Any]:
    """What ``training.json`` records beside the weights."""
    import platform

    import transformers

    loss = evaluate(model, held_out, config.training.micro_batch_tokens) if held_out else None
    return {
        "run": progress["run"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_sequences": len(corpus.sequences),
        "train_tokens": corpus.tokens,
        "validation_tokens": held_out.tokens if held_out else None,
        "validation_loss": round(loss, 4) if loss is not None else None,
        "validation_perplexity": round(math.exp(loss), 3) if loss is not None else None,
        "seconds": progress["seconds"],
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "curve": progress["curve"],
    }
