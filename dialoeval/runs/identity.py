"""The identity of a run: exactly what changes its replies."""

from __future__ import annotations

import re
from typing import Any

from dialoeval.config import DecodingConfig, RunConfig
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
        "seed": config.seed if config.draws else None,
        "generation_version": VERSION,
    }


def decoding_settings(decoding: DecodingConfig) -> dict[str, Any]:
    """Return every decoding parameter as JSON values: no display name, and no word on where the values come from.

    A later setting is there only if it is used, so that the folders of earlier runs keep their names.
    """
    left_out = {"name", "checkpoint"} | ({"max_length"} if decoding.max_length == 0 else set())
    settings = {key: value for key, value in vars(decoding).items() if key not in left_out and value != []}
    plain = (int, float, bool, list)
    return {key: value if type(value) in plain else str(value) for key, value in settings.items()}


def folder_name(config: RunConfig, identity: dict[str, Any]) -> str:
    """Return ``<model>-<decoding>-<dataset>-<12 hex digits>``."""
    return named_folder((config.model.name, config.decoding.name, config.dataset.name), identity)


def named_folder(words: tuple[str, ...], identity: dict[str, Any]) -> str:
    """Return words as a folder's name, with the first 12 hex digits of the identity's hash."""
    readable = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", word).strip("_.") or "x" for word in words)
    return f"{readable[:120]}-{sha256_json(identity)[:12]}"
