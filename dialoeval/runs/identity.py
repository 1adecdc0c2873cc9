"""The identity of a run: exactly what changes its replies."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from dialoeval.config import DecodingConfig, RunConfig
from dialoeval.config.groups import iter_options
from dialoeval.data import Dataset, plugin
from dialoeval.files import sha256_json
from dialoeval.generation import VERSION
from dialoeval.generation.types import Generator


def run_identity(config: RunConfig, dataset: Dataset, generator: Generator) -> dict[str, Any]:
    """Return what generates, how it decodes, the data's content and the seed, as JSON values.

    Left out is what changes no reply: batch sizes, workers, folders, scoring, protocol. The seed counts only if
    something is drawn. `plugin` is part of it if one reads the dataset; a plugin's engine names itself in `generator`.
    """
    reader = plugin(config.dataset.kind)
    return ({"plugin": reader.package} if reader else {}) | {
        "generator": generator.identity(),
        "decoding": decoding_settings(config.decoding),
        "dataset": dataset.fingerprint,
        "seed": config.seed if config.decoding.strategy == "sample" else None,
        "generation_version": VERSION,
    }


def decoding_settings(decoding: DecodingConfig) -> dict[str, Any]:
    """Return every decoding parameter but its display name, as JSON values."""
    settings = {key: value for key, value in vars(decoding).items() if key != "name"}
    return {key: str(value) if type(value) not in (int, float, bool) else value for key, value in settings.items()}


def folder_name(config: RunConfig, identity: dict[str, Any]) -> str:
    """Return ``<model>-<decoding>-<dataset>-<12 hex digits>``."""
    return named_folder((model_name(config), config.decoding.name, config.dataset.name), identity)


def named_folder(words: tuple[str, ...], identity: dict[str, Any]) -> str:
    """Return words as a folder's name, with the first 12 hex digits of the identity's hash."""
    readable = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", word).strip("_.") or "x" for word in words)
    return f"{readable[:120]}-{sha256_json(identity)[:12]}"


def model_name(config: RunConfig) -> str:
    """Return the model's name in tables and folder names.

    A shipped name stands for its own path only: with another ``model.path`` the name is the path's last part, so that
    a checkpoint is never shown under another model's name.
    """
    name, path = config.model.name, config.model.path
    shipped = shipped_path(name)
    return name if shipped in (None, path) else path.rstrip("/").rsplit("/", 1)[-1] or path


@lru_cache(maxsize=64)
def shipped_path(name: str) -> str | None:
    """Return the path of the model option with this name, or None if no option has it."""
    from omegaconf import OmegaConf

    for option in iter_options("model"):
        values = OmegaConf.to_container(OmegaConf.load(option.file))
        if isinstance(values, dict) and values.get("name") == name:
            return str(values.get("path"))
    return None
