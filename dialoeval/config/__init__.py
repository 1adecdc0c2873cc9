"""Typed configuration: the schemas of conf/, checked before anything runs."""

from dialoeval.config.schema import (
    ArchitectureConfig,
    DatasetConfig,
    DecodingConfig,
    Direction,
    Dtype,
    EngineConfig,
    ModelConfig,
    Precision,
    Prompt,
    ProtocolConfig,
    RunConfig,
    SaveDtype,
    ScoringConfig,
    Tracker,
    TrainConfig,
    TrainingConfig,
)

__all__ = [
    "ArchitectureConfig",
    "DatasetConfig",
    "DecodingConfig",
    "Direction",
    "Dtype",
    "EngineConfig",
    "ModelConfig",
    "Precision",
    "Prompt",
    "ProtocolConfig",
    "RunConfig",
    "SaveDtype",
    "ScoringConfig",
    "Tracker",
    "TrainConfig",
    "TrainingConfig",
]
