"""Folders of adapter files, such as LoRA's, which change the weights of a base model. The package peft reads them."""

from __future__ import annotations

import importlib.util
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialoeval.errors import UserError
from dialoeval.files import sha256_file, sha256_json
from dialoeval.paths import assets_dir, cache_dir

CONFIG = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_FULL = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Adapter:
    """A folder of adapter files.

    Attributes:
        folder: the folder.
        base: folder of the base model, or its name on the Hub.
        revision: the base's revision on the Hub.
    """

    folder: Path
    base: str
    revision: str | None

    def identity(self) -> str:
        """Return the SHA-256 of the adapter's weights and settings, wherever its base lies."""
        settings = json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))
        for name in ("base_model_name_or_path", "revision", "peft_version"):
            settings.pop(name, None)
        weights = {name: sha256_file(self.folder / name) for name in _WEIGHTS if (self.folder / name).is_file()}
        return f"sha256:{sha256_json([settings, weights])}"


def find_adapter(location: str) -> Adapter | None:
    """Return the adapter that lies in a folder, or None for a full model or a name on the Hub.

    Raises:
        UserError: the folder has full weights too, or lacks the adapter's settings, weights or base.
    """
    folder = Path(location)
    weights = [name for name in _WEIGHTS if (folder / name).is_file()]
    has_config = (folder / CONFIG).is_file()
    if not weights and not has_config:
        return None
    if full := [name for name in _FULL if (folder / name).is_file()]:
        raise UserError(
            f"{location} has {full[0]} and adapter files ({weights[0] if weights else CONFIG}), so it is not clear "
            "which is meant: move the adapter files into a folder of their own, or away"
        )
    if not has_config:
        raise UserError(f"{location} has {weights[0]} but no {CONFIG}, which names its base model")
    if not weights:
        raise UserError(f"{location} has {CONFIG} but no {_WEIGHTS[0]}")
    settings = _settings(folder)
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise UserError(f"{folder / CONFIG} names no base_model_name_or_path")
    return Adapter(folder, _base_location(folder, base), settings.get("revision"))


def apply_adapter(model: Any, adapter: Adapter) -> Any:
    """Return a base model in whose weights the adapter is merged.

    Raises:
        UserError: peft is not installed, or the adapter does not fit the base.
    """
    if importlib.util.find_spec("peft") is None:
        raise UserError(f"{adapter.folder} is an adapter, which needs peft: pip install 'dialoeval[lora]'")
    from peft import PeftConfig, get_peft_model
    from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, for names that peft uses
        config = PeftConfig.from_pretrained(str(adapter.folder))
        if config.is_prompt_learning:
            raise UserError(f"{adapter.folder} is an adapter of type {config.peft_type}, which cannot be merged")
        config.inference_mode = True
        config.base_model_name_or_path = adapter.base  # where it was found
        bare = set(model.state_dict())
        wrapped = get_peft_model(model, config)
        state = load_peft_weights(str(adapter.folder), device="cpu")
        unfit = f"{adapter.folder} does not fit {adapter.base}"
        try:
            result: Any = set_peft_model_state_dict(wrapped, state)
        except RuntimeError as error:  # of torch: a heading, then a line for each weight of another shape
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UserError(f"{unfit}: {lines[min(1, len(lines) - 1)]}") from error
        if unknown := sorted(result.unexpected_keys):
            raise UserError(f"{unfit}: it has {unknown[0]} ({len(unknown)} unknown names)")
        if missing := [name for name in sorted(result.missing_keys) if _is_new(name, bare)]:
            raise UserError(f"{unfit}: it lacks {missing[0]} ({len(missing)} missing names)")
        return wrapped.merge_and_unload()


def _is_new(name: str, bare: set[str]) -> bool:
    """Return whether a weight of a wrapped model is the adapter's, not one of the base."""
    plain = name.removeprefix("base_model.model.").replace(".base_layer.", ".").replace(".original_module.", ".")
    return plain not in bare


def _settings(folder: Path) -> dict[str, Any]:
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / CONFIG} is not readable JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UserError(f"{folder / CONFIG} is not a JSON object")
    return settings


def _base_location(folder: Path, base: str) -> str:
    """Return a base's folder, which may be named relative to the adapter's, or its name on the Hub."""
    # an embedded name is that model's, as in model.path, whatever folder of that name lies here
    for path in (assets_dir() / base, cache_dir() / base, Path(base).expanduser(), folder / base):
        if (path / "config.json").is_file():
            return str(path)
    if base.startswith((".", "/", "~")) or base.count("/") > 1:
        raise UserError(
            f"{folder} is an adapter of {base}, which is not there: correct base_model_name_or_path in {CONFIG}"
        )
    return base
