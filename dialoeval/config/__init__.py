"""Typed configuration: the schemas of conf/, checked before anything runs."""

from dialoeval.config.schema import (
    DatasetConfig,
    DecodingConfig,
    EngineConfig,
    ModelConfig,
    ProtocolConfig,
    RunConfig,
    TrainConfig,
    TrainingConfig,
)

__all__ = [
    "DatasetConfig",
    "DecodingConfig",
    "EngineConfig",
    "ModelConfig",
    "ProtocolConfig",
    "RunConfig",
    "TrainConfig",
    "TrainingConfig",
]
