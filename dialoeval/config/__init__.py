"""Typed configuration: the schemas of conf/, checked before anything runs."""

from dialoeval.config.schema import (
    ArchitectureConfig,
    DatasetConfig,
    DecodingConfig,
    EngineConfig,
    ModelConfig,
    Prompt,
    ProtocolConfig,
    RunConfig,
    ScoringConfig,
    TrainConfig,
    TrainingConfig,
)

__all__ = [
    "ArchitectureConfig",
    "DatasetConfig",
    "DecodingConfig",
    "EngineConfig",
    "ModelConfig",
    "Prompt",
    "ProtocolConfig",
    "RunConfig",
    "ScoringConfig",
    "TrainConfig",
    "TrainingConfig",
]
