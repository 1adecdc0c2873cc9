"""Typed configuration: the schemas of conf/, checked before anything runs.

A schema is imported on first use, which keeps help instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialoeval.config.schema import (
        ArchitectureConfig,
        Cutting,
        DatasetConfig,
        DecodingConfig,
        Direction,
        Dtype,
        EngineConfig,
        Keep,
        LoraConfig,
        ModelConfig,
        Objective,
        Precision,
        Prompt,
        ProtocolConfig,
        RunConfig,
        SaveDtype,
        Schedule,
        ScoringConfig,
        Tracker,
        TrainConfig,
        TrainingConfig,
    )

__all__ = [
    "ArchitectureConfig",
    "Cutting",
    "DatasetConfig",
    "DecodingConfig",
    "Direction",
    "Dtype",
    "EngineConfig",
    "Keep",
    "LoraConfig",
    "ModelConfig",
    "Objective",
    "Precision",
    "Prompt",
    "ProtocolConfig",
    "RunConfig",
    "SaveDtype",
    "Schedule",
    "ScoringConfig",
    "Tracker",
    "TrainConfig",
    "TrainingConfig",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.schema"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
