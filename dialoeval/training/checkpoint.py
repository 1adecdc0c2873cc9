"""Checkpoints in the Hub's format, and the state from which training resumes to the same weights."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialoeval.errors import UserError
from dialoeval.files import read_json, write_json
from dialoeval.training.records import Progress

if TYPE_CHECKING:
    import torch

STATE = "state"  # folder of the last checkpoint: weights, optimiser, progress


def save_model(model: Any, tokenizer: Any, folder: Path, dtype: str) -> None:
    """Write weights (safetensors), configuration and tokenizer to a model folder.

    Each file is replaced atomically: a folder that held an earlier checkpoint can be loaded at any time.

    Args:
        model: a transformers model; it stays as it is.
        tokenizer: its tokenizer.
        folder: the model folder, created if it does not exist.
        dtype: "fp16" to halve the weights, or "fp32".

    Raises:
        UserError: the folder cannot be written.
    """
    import copy

    saved = copy.deepcopy(model).cpu()
    if dtype == "fp16":
        saved = saved.half()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".model-", dir=folder) as fresh:
            saved.save_pretrained(fresh)
            tokenizer.save_pretrained(fresh)
            for file in Path(fresh).iterdir():
                file.chmod(0o644)  # safetensors writes files that only their owner can read
                os.replace(file, folder / file.name)
    except OSError as error:
        raise UserError(f"cannot write the model to {folder}: {error.strerror or error}") from error


def save_state(output: Path, model: Any, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Replace the state folder by renaming: a killed training always leaves one whole checkpoint.

    Raises:
        UserError: the folder cannot be written.
    """
    import torch

    output.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".state-", dir=output))
    try:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, fresh / "tensors.pt")
        write_json(fresh / "progress.json", progress.to_json())
        old = output / f"{STATE}.old"
        shutil.rmtree(old, ignore_errors=True)
        if (output / STATE).exists():
            os.replace(output / STATE, old)
        os.replace(fresh, output / STATE)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"cannot write a checkpoint to {output}: {error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def load_state(output: Path, model: Any, optimizer: torch.optim.Optimizer, run: dict[str, Any]) -> Progress | None:
    """Restore the last checkpoint into `model` and `optimizer`; return its progress, or None if there is none.

    Args:
        output: the folder of the training.
        model: the model, on its device.
        optimizer: its optimiser.
        run: the settings and data that decide the weights; the checkpoint must have the same.

    Raises:
        UserError: the folder holds the training of another configuration.
    """
    import torch

    folder = next((f for f in (output / STATE, output / f"{STATE}.old") if (f / "progress.json").is_file()), None)
    if folder is None:
        return None
    progress = Progress(**read_json(folder / "progress.json"))
    if progress.run != run:
        changed = [key for key in run if progress.run.get(key) != run[key]]
        raise UserError(
            f"{output} holds the training of another configuration (differs in: {', '.join(changed)}); "
            "choose another training.output_dir, or delete that folder"
        )
    device = next(model.parameters()).device
    tensors = torch.load(folder / "tensors.pt", map_location=device, weights_only=True)
    model.load_state_dict(tensors["model"])
    optimizer.load_state_dict(tensors["optimizer"])
    return progress
