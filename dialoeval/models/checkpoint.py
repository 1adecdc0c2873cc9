"""The generation settings that a checkpoint brings along: its generation_config.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dialoeval.models.hub import explained
from dialoeval.models.loading import resolve
from dialoeval.models.pretrained import read_commit, read_config, read_generation_settings, written_settings


@dataclass(frozen=True)
class CheckpointSettings:
    """What a checkpoint says of generation.

    Attributes:
        settings: of generation_config.json; None if the model has no such file.
        encoder_decoder: whether it is an encoder-decoder model.
    """

    settings: dict[str, Any] | None
    encoder_decoder: bool


def read_checkpoint_settings(path: str, revision: str | None) -> CheckpointSettings:
    """Read the generation settings of a model, without its weights.

    Raises:
        UserError: as `dialoeval.models.loading.load_model`.
    """
    location = resolve(path)
    with explained(path, location):
        commit = read_commit(location, revision)
        config = read_config(location, commit)
        settings = read_generation_settings(location, commit)
    return CheckpointSettings(
        None if settings is None else written_settings(settings), bool(getattr(config, "is_encoder_decoder", False))
    )
