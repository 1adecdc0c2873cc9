"""Generating single-turn replies: prompts, engines, decoding, reranking.

`open_generator` is the way in; everything else is reached through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialoeval.config import DecodingConfig, EngineConfig, ModelConfig
    from dialoeval.generation.types import Generator

__all__ = ["VERSION", "open_generator"]

# Raised when a change of the code changes replies: part of every run's identity.
VERSION = 1


def open_generator(model: ModelConfig, engine: EngineConfig, decoding: DecodingConfig) -> Generator:
    """Load what it takes to reply with `model`, `engine` and `decoding`. The last model stays in memory, so that a
    sweep loads it once.

    Raises:
        UserError: the model is not available, or the engine is unknown or cannot do this.
    """
    from dialoeval.generation import generator

    return generator.open_generator(model, engine, decoding)
