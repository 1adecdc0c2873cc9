"""Checkpoints in the Hub's format, and the state from which training resumes to the same weights."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError, first_line
from dialoeval.files import read_json, sha256_file, write_json
from dialoeval.training.folder import MODEL, RECORD, STATE, weight_hashes
from dialoeval.training.lora import is_lora, trained_tensors
from dialoeval.training.processes import Processes
from dialoeval.training.records import Progress, TrainingRecord

if TYPE_CHECKING:
    import torch

FOLDER = "state"  # of the last checkpoint: weights, optimiser, progress
_PROGRESS, _TENSORS = "progress.json", "tensors.pt"


def save_model(
    model: Any, tokenizer: Any, folder: Path, dtype: str, record: Callable[[dict[str, str]], TrainingRecord]
) -> TrainingRecord:
    """Write weights (safetensors), configuration and tokenizer to a model folder, and the record of the weights.

    Of a model with adapters, these are written, as peft does.
    Each file is replaced atomically: a folder that held an earlier checkpoint can be loaded at any time. The record
    comes first, so that weights never lack one; a kill before the weights leaves some whose hash differs from it.

    Args:
        model: a transformers model; it stays as it is.
        tokenizer: its tokenizer.
        folder: the model folder, which exists.
        dtype: "fp16" to halve the weights, or "fp32".
        record: makes the record of {weight file: SHA-256}.

    Returns:
        The record.

    Raises:
        UserError: the folder cannot be written.
    """
    import copy

    saved = copy.deepcopy(model).cpu()
    if dtype == "fp16":
        saved = saved.half()
    with _written(folder, "the model"), tempfile.TemporaryDirectory(prefix=MODEL, dir=folder) as name:
        fresh = Path(name)
        if is_lora(saved):
            saved.save_pretrained(fresh, save_embedding_layers=False)
            (fresh / "README.md").unlink(missing_ok=True)  # a form of peft's to be filled in
        else:
            saved.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
        written = record(weight_hashes(fresh))
        write_json(fresh / RECORD, written.to_json())
        for file in sorted(fresh.iterdir(), key=lambda file: file.name != RECORD):
            file.chmod(0o644)  # safetensors writes files that only their owner can read
            os.replace(file, folder / file.name)
        for stale in {file.name for file in folder.glob("*.safetensors")} - set(written.weights):
            (folder / stale).unlink()
    return written


def save_state(output: Path, model: Any, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Replace the state folder by renaming: a killed training always leaves one whole checkpoint.

    Raises:
        UserError: the folder cannot be written.
    """
    import torch

    with _written(output, "a checkpoint"):
        fresh = Path(tempfile.mkdtemp(prefix=STATE, dir=output))
        try:
            torch.save({"model": trained_tensors(model), "optimizer": optimizer.state_dict()}, fresh / _TENSORS)
            progress.tensors_sha256 = sha256_file(fresh / _TENSORS)
            write_json(fresh / _PROGRESS, progress.to_json())
            old = output / f"{FOLDER}.old"
            shutil.rmtree(old, ignore_errors=True)
            if (output / FOLDER).exists():
                os.replace(output / FOLDER, old)
            os.replace(fresh, output / FOLDER)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def read_progress(output: Path) -> Progress | None:
    """Return the progress of the last checkpoint, or None if there is none.

    Raises:
        UserError: it is damaged.
    """
    folder = _folder(output)
    if folder is None:
        return None
    with _readable(folder):
        return Progress.from_json(read_json(folder / _PROGRESS), str(folder / _PROGRESS))


def load_tensors(
    output: Path, model: Any, optimizer: torch.optim.Optimizer, progress: Progress, processes: Processes
) -> None:
    """Restore the last checkpoint, which the first process reads, into `model`, on its device, and `optimizer`.

    Raises:
        UserError: the checkpoint is damaged.
    """
    import torch

    read: dict[str, Any] = {}

    def restore() -> None:
        with _readable(output / FOLDER):
            try:
                missing = model.load_state_dict(tensors["model"], strict=not is_lora(model)).missing_keys
                if lost := set(missing) & set(trained_tensors(model)):
                    raise UserError(f"{_TENSORS} lacks {sorted(lost)[0]}")
                optimizer.load_state_dict(tensors["optimizer"])
            except Exception as error:  # of many types: names and shapes of tensors
                raise UserError(f"{output / FOLDER / _TENSORS}: {first_line(error)}") from error

    def read_file() -> None:
        folder = _folder(output)
        assert folder is not None
        file = folder / _TENSORS
        with _readable(folder):
            if not file.is_file():
                raise UserError(f"there is no file {file}")
            if progress.tensors_sha256 not in (None, sha256_file(file)):
                raise UserError(f"{file} is not as it was written")
            try:
                device = next(model.parameters()).device
                read.update(torch.load(file, map_location=device, weights_only=True))
            except Exception as error:  # of many types: zip archive, pickle
                raise UserError(f"{file}: {first_line(error)}") from error

    processes.on_first(read_file)
    tensors = processes.share(read)
    processes.everywhere(restore)


def remove_state(output: Path) -> None:
    """Remove the checkpoint of a training that has ended."""
    for name in (FOLDER, f"{FOLDER}.old"):
        shutil.rmtree(output / name, ignore_errors=True)


def _folder(output: Path) -> Path | None:
    """Return the folder of the last checkpoint, wherever a killed training left it; None if there is none."""
    return next((f for f in (output / FOLDER, output / f"{FOLDER}.old") if f.is_dir()), None)


@contextlib.contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Say what to do about a damaged checkpoint."""
    try:
        yield
    except UserError as error:
        raise UserError(
            f"the state of the training is damaged: {error}; delete the folder {folder} and run again (the training "
            "begins from its first step)"
        ) from error


@contextlib.contextmanager
def _written(folder: Path, what: str) -> Iterator[None]:
    """Turn any error of writing into a sentence. The libraries have no common type for a full disk."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; {_AGAIN}") from error
    except Exception as error:
        reason = (isinstance(error, OSError) and error.strerror) or first_line(error)
        raise UserError(f"cannot write {what} to {folder}: {reason}; {_AGAIN}") from error


_AGAIN = "once it can be written, the same command goes on from the last checkpoint"
