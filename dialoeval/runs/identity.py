"""What tells a run from all others: exactly what changes the replies."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from dialoeval.config import DecodingConfig, RunConfig
from dialoeval.data import Dataset
from dialoeval.files import sha256_json
from dialoeval.generation import VERSION
from dialoeval.generation.types import Generator
from dialoeval.paths import conf_dir


def identity(config: RunConfig, dataset: Dataset, generator: Generator) -> dict[str, Any]:
    """The run's identity: what generates, how it decodes, the data's content and the seed.

    Left out is what changes no reply: batch sizes, workers, folders, scoring, protocol. The seed counts only where
    something is drawn.
    """
    return {
        "generator": generator.identity(),
        "decoding": decoding_settings(config.decoding),
        "dataset": dataset.fingerprint,
        "seed": config.seed if config.decoding.strategy == "sample" else None,
        "generation_version": VERSION,
    }


def decoding_settings(decoding: DecodingConfig) -> dict[str, Any]:
    """Every decoding parameter but its display name, as plain values."""
    settings = {key: value for key, value in vars(decoding).items() if key != "name"}
    return {key: str(value) if type(value) not in (int, float, bool) else value for key, value in settings.items()}


def folder_name(config: RunConfig, identity_of_run: dict[str, Any]) -> str:
    """``<model>-<decoding>-<dataset>-<12 hex digits>``."""
    words = (model_name(config), config.decoding.name, config.dataset.name)
    readable = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", word).strip("_.") or "x" for word in words)
    return f"{readable[:120]}-{sha256_json(identity_of_run)[:12]}"


def model_name(config: RunConfig) -> str:
    """The model's name in tables and folder names.

    A shipped name stands for its own path only: with another ``model.path`` the name is the path's last part, so that
    a checkpoint is never shown under another model's name.
    """
    name, path = config.model.name, config.model.path
    shipped = shipped_path(name)
    return name if shipped in (None, path) else path.rstrip("/").rsplit("/", 1)[-1] or path


@lru_cache(maxsize=64)
def shipped_path(name: str) -> str | None:
    """The path of a model of conf/model; None where no file there has this name."""
    from omegaconf import OmegaConf

    for file in sorted((conf_dir() / "model").glob("*.yaml")):
        values = OmegaConf.to_container(OmegaConf.load(file))
        if values.get("name") == name:
            return values.get("path")
    return None
