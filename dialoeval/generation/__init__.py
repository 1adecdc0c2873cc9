"""Generation of single-turn replies: prompts, engines, decoding, reranking. `open_generator` is the entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
    from dialoeval.generation.types import Generator

__all__ = ["VERSION", "open_generator"]

# Part of every run's identity: raise it when a change to the code changes replies.
VERSION = 1


def open_generator(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> Generator:
    """Load the models and the engine that generate replies.

    The last model stays in memory, so that a sweep loads it once.

    Raises:
        UserError: a model is not available, or the engine is unknown or does not support the model or the decoding.
    """
    from dialoeval.generation import generator

    return generator.open_generator(model, engine, decoding)
