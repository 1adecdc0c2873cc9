"""The training loop: one page, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dialoeval.config import Keep, TrainConfig
from dialoeval.errors import UserError
from dialoeval.files import write_json
from dialoeval.training import folder
from dialoeval.training.checkpoint import load_tensors, read_progress, remove_state, save_model, save_state
from dialoeval.training.job import Training, max_steps_of, prepare
from dialoeval.training.optimise import adamw, learning_rate, take_step
from dialoeval.training.processes import LostProcess, Processes, open_processes
from dialoeval.training.records import Best, Progress, Stage, Status, TrainingRecord
from dialoeval.training.results import curve_row, make_record
from dialoeval.training.sequences import batches

_LOG = logging.getLogger(__name__)


def train(config: TrainConfig, command: str | None = None) -> TrainingRecord:
    """Train a model, write it to ``training.output_dir``, and return the record in its ``training.json``.

    The loss is the mean cross-entropy in nats over the tokens that ``training.objective`` names (chat prompts: over the
    replies); perplexity is its exponential. A killed training resumes from its last checkpoint and ends with the same
    weights. Under `accelerate launch`, every process calls this function, and the first one alone writes.

    Args:
        config: settings of the model, the dataset and the optimisation.
        command: the command line, for the record.

    Raises:
        UserError: a CUDA device was requested but there is none, the dataset is empty, the model cannot be loaded, or
            the output folder is in use, cannot be written, or holds the training of another configuration.
        LostProcess: in another than the first process: the training has ended in one of the others.
    """
    _silence_transformers()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but PyTorch finds no GPU")
    mixed_precision = {"fp32": "no", "bf16": "bf16"}[config.training.precision]
    processes = open_processes(config.device == "cpu", mixed_precision)
    try:
        record = _train_in(processes, config, command)
        processes.end()
        return record
    except LostProcess as error:
        if not processes.first:
            raise
        raise UserError("another process of this training has ended: the same command goes on") from error


def _train_in(processes: Processes, config: TrainConfig, command: str | None) -> TrainingRecord:
    output = Path(config.training.output_dir).expanduser()
    with contextlib.ExitStack() as stack:

        def enter() -> tuple[Progress | None, TrainingRecord | None]:
            stack.enter_context(folder.locked(output))
            folder.check_no_other_model(output)
            progress, record = read_progress(output), folder.read_record(output)
            if earlier := _earlier(progress, record):
                folder.check_same(output, earlier, folder.settings(config))  # before anything is loaded
            return progress, record

        progress, record = processes.on_first(enter)
        training = processes.everywhere(lambda: prepare(config, output, command, processes))
        processes.check_equal(training.run, "data or settings")
        if earlier := _earlier(progress, record):
            folder.check_same(output, earlier, training.run)
        if finished := processes.on_first(lambda: _finished(training, progress, record)):
            return finished
        return _train(training, progress)


def _earlier(progress: Progress | None, record: TrainingRecord | None) -> dict[str, Any] | None:
    """Return the settings and data of the training that a folder holds."""
    return progress.run if progress else record.run if record else None


def _finished(training: Training, progress: Progress | None, record: TrainingRecord | None) -> TrainingRecord | None:
    """Return the record of a training that has nothing left to do; None if steps are left.

    Raises:
        UserError: its weights were changed, or it cannot go on without its state.
    """
    output = training.output
    if record is None or record.status != Status.complete:
        return None
    if max_steps_of(record.run) == training.steps:
        changed = folder.changed_weights(output)
        if changed and progress is not None:
            return None  # killed in its very last save, with its state: it makes that again
        if changed:
            raise UserError(
                f"the weights in {output} are not those that its {folder.RECORD} records: they were changed since; "
                "move the folder away to train again"
            )
        _LOG.info("%s is trained already, with these settings", output)
        if not training.options.keep_state:
            remove_state(output)
        return record
    if progress is None:
        raise UserError(
            f"the training in {output} ended after {record.step} steps, and its optimiser's state was removed: to "
            f"train further from its weights, use model.path={output} and another training.output_dir (or train "
            "it again in another folder with training.keep_state=true)"
        )
    return None


def _train(training: Training, progress: Progress | None) -> TrainingRecord:
    """Take the steps that are left, and write model and record."""
    options, model, processes = training.options, training.model, training.processes
    optimizer: Any = adamw(model, options)
    model.to(processes.device)
    if progress is not None:
        load_tensors(training.output, model, optimizer, progress, processes)
    processes.share_weights(model)
    progress = training.progress = _going_on(progress, training)
    prepared = processes.accelerator.prepare_model(model, evaluation_mode=True)  # autocast; gradients are summed here
    optimizer = processes.accelerator.prepare_optimizer(optimizer)

    start = time.monotonic() - progress.seconds
    limit = processes.limit(options.micro_batch_tokens, options.batch_tokens)
    steps = batches(training.corpus.lengths, options.batch_tokens, limit, training.run["seed"])
    shown = processes.first and sys.stderr.isatty()
    with tqdm(total=training.steps, initial=progress.step, unit="step", disable=not shown) as bar:
        # A restart replays the order of the data only.
        for step, micro_batches in enumerate(islice(steps, progress.step, training.steps), progress.step + 1):
            if training.stopped:
                _LOG.info("stopped after step %d: the held-out loss goes down no more", progress.step)
                break
            loss = _step(training, prepared, optimizer, micro_batches, step)
            progress.losses.append(loss)
            progress.step, progress.held_out_loss, progress.held_out_sequence_loss = step, None, None
            last = step == training.steps
            evaluated = training.held_out is not None and (step % options.eval_every == 0 or last)
            if step % options.log_every == 0 or last or evaluated:
                row = curve_row(training, evaluated)
                progress.curve.append(row)
                if processes.first:
                    bar.write(json.dumps(row), file=sys.stderr)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
            progress.seconds = round(time.monotonic() - start, 1)
            if evaluated:
                _judge(training)
            ended = last or training.stopped
            if step % options.save_every == 0 or ended:
                _checkpoint(training, optimizer, ended)
    return processes.on_first(lambda: _finish(training))


def _step(training: Training, model: Any, optimizer: Any, micro_batches: list[list[int]], step: int) -> float:
    """Take one optimiser step and return its mean loss in nats per token."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, training.options, training.width)
    seed = training.run["seed"] * 1_000_003 + step
    try:
        return take_step(model, optimizer, training.processes, training.corpus, micro_batches, training.options, seed)
    except UserError as error:
        raise UserError(f"{error} at step {step}: lower training.learning_rate") from error


def _going_on(progress: Progress | None, training: Training) -> Progress:
    """Return the progress to go on from; a training that goes on under another schedule begins a stage."""
    if progress is None:
        return Progress(training.run, stages=[Stage(0, training.steps)])
    before = max_steps_of(progress.run)
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
    weights: dict[str, str] = {}
    if training.options.keep == Keep.best:
        weights = training.processes.on_first(lambda: _save(training, Status.running).weights)
    progress.best = Best(progress.step, loss, weights, progress.held_out_sequence_loss)


def _checkpoint(training: Training, optimizer: Any, ended: bool) -> None:
    """Write the model, unless that of the end follows, and the state from which the training resumes."""

    def write() -> None:
        if training.options.keep == Keep.last and not ended:
            _save(training, Status.running)
        save_state(training.output, training.model, optimizer, training.progress)

    training.processes.on_first(write)


def _save(training: Training, status: Status) -> TrainingRecord:
    """Write the model of this step with its record."""
    progress = training.progress
    losses = progress.held_out_loss, progress.held_out_sequence_loss

    def record(weights: dict[str, str]) -> TrainingRecord:
        return make_record(training, status, progress.step, losses, weights)

    return save_model(training.model, training.tokenizer, training.output, training.options.save_dtype, record)


def _finish(training: Training) -> TrainingRecord:
    """Write the record of the whole training, with the last weights or beside the best, and remove the state."""
    best, output = training.progress.best, training.output
    if training.options.keep == Keep.best and best is not None:
        if folder.weight_hashes(output) != best.weights:
            raise UserError(
                f"the weights in {output} are not the best, those of step {best.step}: they were changed meanwhile; "
                "move the folder away and train again"
            )
        losses = best.loss, best.sequence_loss
        record = make_record(training, Status.complete, best.step, losses, best.weights)
        write_json(output / folder.RECORD, record.to_json())
    else:
        record = _save(training, Status.complete)
    if not training.options.keep_state:
        remove_state(output)
    return record


def _silence_transformers() -> None:
    """Keep transformers' progress bars and hints out of the log, which holds one JSON row per line."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
