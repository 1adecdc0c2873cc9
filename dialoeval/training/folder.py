"""The output folder of a training: its lock, and whether what it holds is this training's."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dialoeval.config import ModelConfig, Prompt, TrainConfig, TrainingConfig
from dialoeval.errors import UserError
from dialoeval.files import check_writable, read_json, sha256_file
from dialoeval.training.records import TrainingRecord

RECORD = "training.json"
MODEL, STATE = ".model-", ".state-"  # prefixes of folders in which new files are written

# Settings that change no weights.
_FREE = (
    *(f"training.{name}" for name in ("name", "output_dir", "epochs", "log_every", "save_every", "keep_state")),
    *(f"model.{name}" for name in ("name", "backward", "backward_revision", "backward_weights")),
    *(f"model.{name}" for name in ("classifier", "classifier_revision")),
)
# Settings that change weights only if the held-out loss chooses them.
_CHOOSING = (
    "training.eval_every",
    "training.validation_split",
    "training.validation_limit",
    "training.validation_path",
)


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold the output folder, created if it does not exist, and remove what a killed training left half-written.

    Raises:
        UserError: another process trains in it; or it cannot be created or written; or the disk is full.
    """
    from filelock import FileLock, Timeout

    if output.exists() and not output.is_dir():
        raise UserError(f"training.output_dir={output} is a file: choose another folder")
    check_writable(output / RECORD)
    lock = FileLock(output / ".lock")
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"another process trains in {output}: wait until it has ended, or choose another training.output_dir"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise UserError(f"cannot use the output folder {output}: {error}") from error
    try:
        for prefix in (MODEL, STATE):
            for left in output.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()


def read_record(output: Path) -> TrainingRecord | None:
    """Return what ``training.json`` holds, or None if the file does not exist.

    Raises:
        UserError: it is damaged.
    """
    file = output / RECORD
    return TrainingRecord.from_json(read_json(file), str(file)) if file.exists() else None


def weight_hashes(folder: Path) -> dict[str, str]:
    """Return {name: SHA-256} of the weight files in a model folder."""
    return {file.name: sha256_file(file) for file in sorted(folder.glob("*.safetensors"))}


def changed_weights(folder: Path) -> bool:
    """Return whether a folder's weights differ from those that its ``training.json`` records.

    False if there is no record, or if it is of an earlier version and has no hashes.

    Raises:
        UserError: the record is damaged.
    """
    record = read_record(folder)
    return record is not None and bool(record.weights) and weight_hashes(folder) != record.weights


def check_no_other_model(output: Path) -> None:
    """Check that training overwrites no model that came from elsewhere.

    Raises:
        UserError: the folder holds a model without the record or state of a training.
    """
    trained = (output / RECORD).exists() or any(output.glob("state*/progress.json"))
    if not trained and any(
        file.name == "config.json" or file.suffix in (".safetensors", ".bin") for file in output.iterdir()
    ):
        raise UserError(
            f"{output} holds a model that no training recorded, which would be overwritten: choose another "
            "training.output_dir"
        )


def settings(config: TrainConfig) -> dict[str, Any]:
    """Return the settings that decide the weights.

    Those that choose weights by held-out loss count only if one does, the objective only without a chat template.
    """
    training = dataclasses.asdict(config.training)
    free = [name.removeprefix("training.") for name in _FREE]
    if config.training.keep == "last" and not config.training.patience:
        free += [name.removeprefix("training.") for name in _CHOOSING]
    if config.model.prompt == Prompt.chat:
        free += ["objective", "cutting"]
    training = {key: value for key, value in training.items() if key not in free}
    return {"model": dataclasses.asdict(config.model), "training": training, "seed": config.seed}


def check_same(output: Path, earlier: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Check that a training in the folder had these settings; only ``training.max_steps`` may have grown.

    Args:
        output: the folder.
        earlier: settings and data of the training that it holds.
        run: those of now. Without ``data`` or ``training.max_steps``, these are not compared.

    Raises:
        UserError: they differ; each difference is named with its old and new value.
    """
    old, new = {**_defaults(), **_flat(earlier)}, _flat(run)
    changed = [key for key in new if key not in _FREE and old.get(key) != new[key]]
    if "training.max_steps" in changed and new["training.max_steps"] is None:
        changed.remove("training.max_steps")  # not known before the data is read
    if "training.max_steps" in changed and new["training.max_steps"] > old["training.max_steps"]:
        changed.remove("training.max_steps")
    if not changed:
        return
    told = [
        "the training data or its tokens"
        if key == "data"
        else f"{key} was {_shown(old.get(key))}, now {_shown(new[key])}"
        for key in changed
    ]
    raise UserError(
        f"{output} holds the training of another configuration (differs in: {'; '.join(told)}): choose another "
        "training.output_dir, or set them back"
    )


def _defaults() -> dict[str, Any]:
    """Return the defaults of settings, which hold for records of versions that had no such setting."""
    now = _flat({"model": dataclasses.asdict(ModelConfig()), "training": dataclasses.asdict(TrainingConfig())})
    return {**now, "training.objective": "all"}  # the only objective there was


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        section = key in ("model", "training", "architecture", "lora") and isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if section else {f"{prefix}{key}": value}
    return flat


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
